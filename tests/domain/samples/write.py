"""Writes a sample of every event that has none yet; what exists is history and stays as it is.

    python -m tests.domain.samples.write

Read what was written before you commit it: it must be something that could have happened.
"""

from datetime import date
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from medsales import catalogue
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
from medsales.domain.kernel import EVENTS, Event, Id, Term, Value
from medsales.domain.orders.order import Goods
from medsales.domain.stock.movement import Place
from medsales.domain.stock.warehouse import Zone
from medsales.domain.udi import Udi, parse_udi
from medsales.domain.values import Money, PartialDate
from medsales.engine.facts import event_to_json

SAMPLES = Path(__file__).parent

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
    "accepted_by": "陈主任",
    "address": "杭州市上城区庆春路 79 号",
    "agreement": "AG-2026-0031",
    "approver": "wang",
    "author": "chen",
    "carrier": "顺丰医药",
    "catalogue_number": "HB-2-CN",
    "code": "CN-2026",
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
    "ship_to": "放射科 3 楼",
    "stream": "lot:06901234567892:A213B1",
    "supplier": "浙江翠鸟医疗器械有限公司",
    "text": "避光保存",
    "tier": "A",
    "uscc": "91330000470003281C",
    "warnings": "gs1.check_digit: the check digit is wrong",
    "waybill": "SF1420036771",
    "work": "更换泵头并校准",
}
DATES = {
    "due_back": date(2026, 9, 30),
    "due_back_before": date(2026, 6, 30),
    "planned_for": date(2026, 3, 5),
    "effective_from": date(2026, 1, 1),
    "valid_from": date(2020, 3, 1),
    "valid_until": date(2030, 2, 28),
    "warranty_until": date(2028, 3, 1),
}
SCAN = "(01)06901234567892(11)260105(17)310105(10)A213B1(21)SN77"


def sample(kind: type[Value]) -> Any:
    """A value with every field filled, also those that may be missing."""
    if kind is Udi:
        return parse_udi(SCAN)
    if kind is Money:
        return Money.model_validate({"amount": "1250.00", "currency": "CNY"})
    if kind is PartialDate:
        return PartialDate(on=date(2031, 1, 5))
    if kind is Place:
        return Place(holder=WarehouseId(IDS[WarehouseId]), zone=Zone.QUALIFIED)
    if kind is Goods:
        lot, warehouse = LotId(IDS[LotId]), WarehouseId(IDS[WarehouseId])
        return Goods(goods=lot, warehouse=warehouse, line=1, quantity=5)
    hints = get_type_hints(kind)
    return kind(**{name: filled(name, hints[name]) for name in kind.model_fields})


def filled(name: str, annotation: Any) -> Any:
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return filled(name, get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return (filled(name, get_args(annotation)[0]),)
    if issubclass(annotation, Id):
        return annotation(IDS.get(annotation, annotation.example))
    if issubclass(annotation, Term):
        return list(annotation)[-1]
    if issubclass(annotation, Value):
        return sample(annotation)
    plain: dict[Any, Any] = {str: TEXTS.get(name), date: DATES.get(name), bool: True, int: 1}
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
