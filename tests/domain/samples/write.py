"""Writes a sample of every event that has none yet; what exists is history and stays as it is.

    python -m tests.domain.samples.write

Read what was written before you commit it: it must be something that could have happened.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from medsales import catalogue
from medsales.domain.governance.approval_flow import Case, FlowRule, Step
from medsales.domain.governance.licence import GateEvaluated
from medsales.domain.governance.licence_file import (
    Licence,
    LicenceKind,
    LicenceScope,
    LicenceSeen,
    RenewalWindow,
)
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.governance.signature import SignedStatement
from medsales.domain.ids import (
    CustomerId,
    DeviceUnitId,
    LotId,
    OrderId,
    ParkingId,
    PriceMatrixId,
    ProductId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.kernel import EVENTS, Event, Id, Role, Term, Value
from medsales.domain.orders.goods import Goods
from medsales.domain.sales.offer import QuoteContent, QuotedLine, Written
from medsales.domain.stock.movement import Place
from medsales.domain.stock.warehouse import Zone
from medsales.domain.terms.contract_content import ContractContent
from medsales.domain.terms.contract_signing import TermsInForce
from medsales.domain.terms.contract_template import TemplateContent
from medsales.domain.terms.price_sheet import PriceCell
from medsales.domain.udi import Udi, parse_udi
from medsales.domain.values import Money, PartialDate
from medsales.engine.facts import event_to_json
from medsales.testing import Pen

SAMPLES = Path(__file__).parent
SIGNER = Pen("wang", "王敏")

IDS: dict[type[Id], str] = {
    CustomerId: "customer:91330000470003281C",
    ProductId: "product:06901234567892",
    LotId: "lot:06901234567892:A213B1",
    DeviceUnitId: "device-unit:06901234567892:SN77",
    WarehouseId: "warehouse:HZ-1",
    PriceMatrixId: "price-matrix:CN-2026",
    OrderId: "order:SO-2026-0001",
    ShipmentId: "shipment:DN-2026-0001",
    ParkingId: "parking:stock_picture",
}
TEXTS = {
    "rule": "三类产品, 低于底价",
    "governs": "quote",
    "rejecter": "wang",
    "submitter": "chen",
    "was": "issued",
    "adopter": "sun",
    "proposer": "qian",
    "currencies": "USD",
    "families": "输液泵",
    "regions": "华东",
    "approvers": "wang",
    "authors": "chen",
    "content_hash": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "accepted_by": "陈主任",
    "address": "杭州市上城区庆春路 79 号",
    "agreement": "AG-2026-0031",
    "approver": "wang",
    "author": "chen",
    "carrier": "顺丰医药",
    "catalogue_number": "HB-2-CN",
    "code": "CN-2026",
    "contact": "0571-88880000",
    "contains": "06901234567892",
    "currency": "CNY",
    "delivery": "LS-2026-0042",
    "department": "放射科",
    "departments": "放射科",
    "di": "06901234567892",
    "engineer": "zhao",
    "evidence": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "checklist": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "fault": "泵头异响",
    "hold": "Q-2026-7",
    "inspector": "li",
    "level": "box",
    "model": "HB-2",
    "name": "蜂鸟输液泵",
    "number": "国械注准20203080001",
    "price_path": "any tier, region 华东, from 1",
    "reason": "客户要求, 见邮件 2026-03-02",
    "received_by": "护士长 刘",
    "reference": "手术记录 2026-118",
    "region": "华东",
    "registrant": "浙江翠鸟医疗器械有限公司",
    "remark": "包装完好",
    "organisation": "浙江翠鸟医疗器械有限公司",
    "public_key": SIGNER.public_key,
    "key_id": SIGNER.key_id,
    "replaces": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "session": "b2Jk3dTqXw0",
    "method": "password",
    "title": "销售总监",
    "ship_to": "放射科 3 楼",
    "stream": "lot:06901234567892:A213B1",
    "supplier": "浙江翠鸟医疗器械有限公司",
    "text": "避光保存",
    "holder": "supplier:91330000470003281C",
    "verifier": "li",
    "family": "输液泵",
    "classification": "14-02-01",
    "tier": "A",
    "uscc": "91330000470003281C",
    "warnings": "gs1.check_digit: the check digit is wrong",
    "waybill": "SF1420036771",
    "signer_name": "刘院长",
    "printed_name": "孙法务",
    "recorded_by": "chen",
    "key": "training",
    "description": "开机前培训护士",
    "work": "更换泵头并校准",
    "requested_by": "chen",
    "placed_by": "chen",
    "reopened_by": "wang",
    "guarantor": "中国工商银行杭州分行",
    "invoice": "FP-2026-0007",
    "en": "1250.00 CNY on top of 9500.00 would be more than the 10000.00 agreed",
    "zh": "现有敞口 9500.00, 加上 1250.00 CNY 将超出额度 10000.00",
}
COUNTS = {"min_quantity": 10}
DATES = {
    "price_valid_until": date(2026, 12, 31),
    "until": date(2026, 12, 31),
    "effective_until": date(2026, 12, 31),
    "placed_on": date(2026, 3, 2),
    "due_back": date(2026, 9, 30),
    "due_back_before": date(2026, 6, 30),
    "first_day": date(2026, 7, 1),
    "last_day": date(2026, 7, 14),
    "planned_for": date(2026, 3, 5),
    "on": date(2028, 6, 1),
    "effective_from": date(2026, 1, 1),
    "valid_from": date(2020, 3, 1),
    "valid_until": date(2030, 2, 28),
    "warranty_until": date(2028, 3, 1),
    "since": date(2026, 6, 3),
    "sent_on": date(2026, 6, 1),
    "signed_on": date(2026, 6, 2),
    "awarded_on": date(2026, 5, 20),
    "due": date(2026, 9, 1),
    "met_on": date(2026, 8, 28),
}
OPERATING = Licence(
    kind=LicenceKind.OPERATING,
    number="浙杭药监械经营许20200123",
    scope=LicenceScope(classes=(DeviceClass.II, DeviceClass.III), codes=("14", "6815")),
    valid_from=date(2025, 3, 1),
    valid_until=date(2030, 2, 28),
    issuer="杭州市市场监督管理局",
    evidence=TEXTS["evidence"],
)
SEEN = LicenceSeen(
    file="licence-file:supplier:91330000470003281C",
    kind=OPERATING.kind,
    number=OPERATING.number,
    version=2,
    valid_from=OPERATING.valid_from,
    valid_until=OPERATING.valid_until,
    verified=True,
)
MOMENT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
AGREED = ContractContent.model_validate(
    {
        "number": "HT-2026-0001",
        "version": 2,
        "customer": IDS[CustomerId],
        "customer_name": "浙江大学医学院附属第一医院",
        "customer_address": "杭州市庆春路 79 号",
        "title": "输液泵年度采购",
        "quote": "quote:Q-2026-0001",
        "award": {
            "tender": "ZB-2026-0007",
            "subject": "输液泵年度采购",
            "awarded_on": "2026-05-20",
            "lines": [
                {
                    "product": IDS[ProductId],
                    "price": {"amount": "1250.00", "currency": "CNY"},
                    "max_quantity": 100,
                }
            ],
            "quality": "YY 0709",
            "valid_from": "2026-06-01",
            "valid_until": "2027-05-31",
        },
        "template": {
            "template": "contract-template:FRAMEWORK",
            "version": 2,
            "changed": ["payment"],
        },
        "amends": {
            "kind": "supplement",
            "reason": "新院区开业",
            "effective_from": "2026-10-01",
        },
        "clauses": [{"key": "payment", "title": "付款", "text": "验收后三十日内付款。"}],
        "lines": [
            {
                "line": 1,
                "product": IDS[ProductId],
                "price": {"amount": "1250.00", "currency": "CNY"},
                "max_quantity": 110,
                "name": "输液泵",
                "model": "IP-100",
                "registrant": "浙江翠鸟医疗器械有限公司",
            }
        ],
        "currency": "CNY",
        "max_amount": {"amount": "137500.00", "currency": "CNY"},
        "quality": "YY 0709",
        "valid_from": "2026-06-01",
        "valid_until": "2027-05-31",
        "delivery": {
            "place": "住院楼一层库房",
            "within_days": 7,
            "at_cost_of": "ours",
            "conditions": "随货同行单两份",
        },
        "payment_days": 30,
        "obligations": [
            {
                "key": "training",
                "description": "开机前培训护士",
                "party": "ours",
                "due": "2026-09-01",
                "milestone": True,
                "notice_days": 14,
            }
        ],
        "renewal_notice_days": 60,
        "public_procurement": True,
    }
)
QUOTED = QuotedLine.model_validate(
    {
        "line": 1,
        "product": IDS[ProductId],
        "quantity": 10,
        "price": {"amount": "1100.00", "currency": "CNY"},
        "in_force": {"amount": "1250.00", "currency": "CNY"},
        "price_version": 3,
        "price_path": ["CN-2026 version 3", "since 2026-01-01", "special price, from 1"],
        "rule": "special",
        "floor": {"amount": "1150.00", "currency": "CNY"},
        "exception": "EX-2026-7",
        "sheet": f"price-sheet:CN-2026:{IDS[ProductId]}",
        "discount": "12.00",
        "price_valid_until": "2026-06-30",
    }
)
WRITTEN = Written.model_validate(
    {
        "lines": [{"product": IDS[ProductId], "quantity": 10, "discount": "12"}],
        "valid_until": "2026-05-31",
        "remarks": "含安装与培训",
        "tender": "ZB-2026-0007",
    }
)
QUOTE_CONTENT = QuoteContent.model_validate(
    {
        "number": "Q-2026-0001",
        "version": 1,
        "customer": IDS[CustomerId],
        "customer_name": "浙江协和医院",
        "customer_address": "杭州市上城区庆春路 79 号",
        "price_matrix": IDS[PriceMatrixId],
        "lines": [
            {
                "line": 1,
                "product": IDS[ProductId],
                "name": "蜂鸟输液泵",
                "model": "HB-2",
                "registrant": "浙江翠鸟医疗器械有限公司",
                "registrations": ["国械注准20203080001"],
                "quantity": 10,
                "price": {"amount": "1100.00", "currency": "CNY"},
                "amount": {"amount": "11000.00", "currency": "CNY"},
            }
        ],
        "total": {"amount": "11000.00", "currency": "CNY"},
        "valid_until": "2026-05-31",
        "remarks": "含安装与培训",
        "tender": "ZB-2026-0007",
    }
)
STEP = {"role": "manager", "approvers": 2, "hours": 48, "remind_after_hours": 24}
VALUES: dict[type[Value], Value] = {
    Step: Step.model_validate({**STEP, "escalate_to": "director", "signed": True}),
    FlowRule: FlowRule.model_validate(
        {
            "name": "三类产品, 低于底价",
            "discount_from": "10.00",
            "discount_up_to": "30.00",
            "amount_from": {"amount": "1000.00", "currency": "CNY"},
            "amount_up_to": {"amount": "500000.00", "currency": "CNY"},
            "regions": ["华东"],
            "product_classes": ["III"],
            "customer_grades": ["3A"],
            "flags": ["below_floor"],
            "in_order": False,
            "steps": [{**STEP, "escalate_to": "director", "signed": True}],
        }
    ),
    Case: Case.model_validate(
        {
            "discount": "12.50",
            "amount": {"amount": "120000.00", "currency": "CNY"},
            "region": "华东",
            "product_classes": ["III"],
            "customer_grade": "3A",
            "flags": ["below_floor"],
        }
    ),
    PriceCell: PriceCell.model_validate(
        {
            "product": IDS[ProductId],
            "price": {"amount": "1130.00", "currency": "CNY"},
            "kind": "special",
            "customer": IDS[CustomerId],
            "floor": {"amount": "1200.00", "currency": "CNY"},
            "reference": "AG-2026-0031",
            "exception": {
                "name": "EX-2026-7",
                "max_quantity": 10,
                "until": "2026-06-30",
                "reason": "开业支持",
            },
        }
    ),
    PartialDate: PartialDate(on=date(2031, 1, 5)),
    Licence: OPERATING,
    LicenceSeen: SEEN,
    GateEvaluated: GateEvaluated(gate="LIC-1", passed=True, on=date(2026, 3, 2), inputs=(SEEN,)),
    RenewalWindow: RenewalWindow(
        opens_on=date(2029, 10, 15),
        closes_on=date(2030, 1, 11),
        valid_until=date(2030, 2, 28),
        calendar="holidays 0.109, CN",
    ),
    QuotedLine: QUOTED,
    Written: WRITTEN,
    QuoteContent: QUOTE_CONTENT,
    ContractContent: AGREED,
    TermsInForce: TermsInForce.of(AGREED),
    TemplateContent: TemplateContent(
        code="FRAMEWORK", version=2, name="年度框架合同", clauses=AGREED.clauses
    ),
    SignedStatement: SIGNER.signs(
        "contract:HT-2026-0001", 1, TEXTS["checklist"], at=MOMENT, document=TEXTS["evidence"]
    ),
}
SCAN = "(01)06901234567892(11)260105(17)310105(10)A213B1(21)SN77"


def sample(kind: type[Value]) -> Any:
    """A value with every field filled, also those that may be missing."""
    if kind is Udi:
        return parse_udi(SCAN)
    if kind is Money:
        return Money.model_validate({"amount": "1250.00", "currency": "CNY"})
    if kind in VALUES:
        return VALUES[kind]
    if kind is Place:
        return Place(holder=WarehouseId(IDS[WarehouseId]), zone=Zone.QUALIFIED)
    if kind is Goods:
        lot, warehouse = LotId(IDS[LotId]), WarehouseId(IDS[WarehouseId])
        return Goods(goods=lot, warehouse=warehouse, line=1, quantity=5)
    hints = get_type_hints(kind)
    return kind(**{name: filled(name, hints[name]) for name in kind.model_fields})


def filled(name: str, annotation: Any) -> Any:  # noqa: PLR0911 - a line for each kind of value
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return filled(name, get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return (filled(name, get_args(annotation)[0]),)
    if issubclass(annotation, Id):
        return annotation(IDS.get(annotation, annotation.example))
    if issubclass(annotation, Role):
        return Role.MANAGER
    if issubclass(annotation, Term):
        return list(annotation)[-1]
    if issubclass(annotation, Value):
        return sample(annotation)
    plain: dict[Any, Any] = {str: TEXTS.get(name), date: DATES.get(name), bool: True}
    plain[int] = COUNTS.get(name, 1)
    plain[datetime] = MOMENT
    return plain.get(annotation) or "20"


def own_events() -> dict[str, type[Event[Any]]]:
    """Those of medsales; tests invent others."""
    assert catalogue.AGGREGATES, "importing the catalogue makes every event known"
    return {n: event for n, event in EVENTS.items() if event.__module__.startswith("medsales.")}


def main() -> None:
    for name, event in own_events().items():
        file = SAMPLES / f"{name}.json"
        if not file.exists():
            file.write_text(event_to_json(sample(event)) + "\n")


if __name__ == "__main__":
    main()
