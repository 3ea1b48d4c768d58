"""The time machine: what was answered at a position is answered again as of that position."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.api.conftest import Api, Server, new_name
from tests.dealer import (
    CHEN,
    CHILDREN,
    GAUZE,
    GAUZE_LOT,
    HANGZHOU,
    LENS,
    LOT,
    PRICES,
    SHANGHAI,
    UNION,
    ZHAO,
    Dealer,
)

from medsales.company import Company, open_company
from medsales.domain.governance.approval import Approve, FlowRule, ProposeFlow, Step
from medsales.domain.governance.licence_file import (
    Licence,
    RecordLicence,
    RevokeLicence,
    VerifyLicence,
    file_of,
)
from medsales.domain.governance.signature import InvalidateSignature, Sign
from medsales.domain.ids import (
    ApprovalFlowId,
    ContractId,
    CreditAccountId,
    CustomerId,
    DeviceUnitId,
    OrderId,
    QuoteId,
)
from medsales.domain.kernel import Command, Refused, Role
from medsales.domain.orders.cancelling import CancelOrder
from medsales.domain.orders.fulfilment import SellPlacedUnits
from medsales.domain.orders.goods import LotQuantity
from medsales.domain.parties.customer import (
    AddDepartment,
    ResumeCustomer,
    ReviseCustomer,
    SuspendCustomer,
)
from medsales.domain.sales.offer import WantedQuoteLine
from medsales.domain.sales.quote import (
    AcceptQuote,
    DeclineQuote,
    DraftQuote,
    IssueQuote,
    ReviseQuote,
    SubmitQuote,
    VoidQuote,
)
from medsales.domain.stock.device_unit import (
    AcceptInstallation,
    ArriveUnit,
    CollectUnit,
    CorrectSerial,
    InstallUnit,
    PlaceUnit,
    ScrapUnit,
    TakeBackUnit,
    TransferUnit,
)
from medsales.domain.stock.lot import HoldLot, LiftLotHold, ScrapLot
from medsales.domain.terms.contract import DraftContract, SendContract, SubmitContract
from medsales.domain.terms.contract_content import AgreedLine, Clause
from medsales.domain.terms.contract_signing import RecordCounterpartySignature, RefuseContract
from medsales.domain.terms.contract_template import DraftContractTemplate
from medsales.domain.terms.credit import AgreeCredit, RequestOverride
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    PriceCell,
    RevokeVersion,
    SuspendVersion,
)
from medsales.domain.values import Money
from medsales.engine.application import Actor, Ask, Receipt
from medsales.engine.log import Selection, facts
from medsales.engine.projection import fold, sql_type, write
from medsales.testing import Pen

QIAN = Actor("qian", "Qian Wei 钱伟", tuple(Role), "tests")
STEPS = 40
BASE = "06901234567892"
UNIT_IDS = [DeviceUnitId.of(BASE, f"S{n}") for n in range(7)]
PRICE = {"product": LENS, "region": "ZJ", "tier": "A", "on": "2026-01-05"}
WANG = Actor("wang", "王敏", tuple(Role), "tests")
PEN = Pen("wang", "王敏")
BEGUN = datetime.now(UTC) - timedelta(days=1)
SIGNED = PEN.signs("order:O2", 1, "sha256:" + "a" * 64, at=BEGUN)
ASKED: list[tuple[str, dict[str, Any]]] = [
    *((f"/device-units/{unit}/history", {}) for unit in UNIT_IDS),
    (f"/device-units/device-unit:{BASE}:RIGHT/history", {}),
    (f"/lots/{LOT}/trace", {}),
    (f"/lots/{GAUZE_LOT}/trace", {}),
    ("/stock", {}),
    ("/stock", {"product": LENS}),
    ("/stock", {"holder": UNION, "limit": 2}),
    ("/stock/summary", {}),
    ("/stock/movements", {"product": GAUZE}),
    ("/products", {}),
    ("/products", {"search": "gau"}),
    (f"/products/{LENS}", {}),
    ("/customers", {"region": "ZJ", "limit": 1}),
    (f"/customers/{UNION}", {}),
    (f"/customers/{CHILDREN}", {}),
    ("/orders", {"limit": 3}),
    ("/orders", {"customer": UNION}),
    ("/orders", {"status": "confirmed", "limit": 1}),
    ("/orders/order:O2", {}),
    ("/orders", {"hold": "credit", "limit": 1}),
    ("/credit-accounts", {"on": "2026-06-01", "limit": 1}),
    ("/credit-accounts", {"on": "2026-06-01", "over": True}),
    ("/credit-accounts/credit-account:union", {"on": "2026-06-01"}),
    ("/credit-accounts/credit-account:children", {"on": "2026-06-01"}),
    ("/scan/(01)06901234567892(17)300131(10)A213B1(21)S1", {}),
    (f"/price-matrices/{PRICES}/price", PRICE),
    (f"/price-matrices/{PRICES}/price", {"product": LENS, "customer": UNION, "on": "2026-01-05"}),
    (f"/price-matrices/{PRICES}/versions", {"limit": 2}),
    (f"/price-matrices/{PRICES}/versions/2/difference", {"from": 1, "limit": 1}),
    ("/price-history", {"product": LENS, "limit": 2}),
    ("/price-history", {"matrix": PRICES, "customer": UNION}),
    (f"/persons/{PEN.id}", {}),
    ("/signatures", {"signer": PEN.id}),
    ("/signatures", {"subject": "order:O2", "limit": 1}),
    (f"/signatures/{SIGNED.statement.id()}", {}),
    ("/licences", {}),
    ("/licences", {"holder": UNION, "kind": "practice_licence"}),
    ("/licences", {"expiring_before": "2031-01-01", "limit": 1}),
    ("/licences/announced", {}),
    (f"/licence-files/{file_of(UNION)}", {}),
    ("/quotes/quote:Q1/document", {"language": "en"}),
    ("/contracts/contract:C1/document", {}),
    ("/quotes", {"limit": 1}),
    ("/quotes", {"customer": UNION, "status": "issued"}),
    ("/quotes/quote:Q1", {}),
    (f"/customers/{UNION}/terms-in-force", {"product": LENS, "price_matrix": PRICES}),
    (f"/price-matrices/{PRICES}/versions/2/repricing", {"limit": 2}),
    ("/contracts", {"limit": 1}),
    ("/contracts", {"customer": UNION, "status": "partially_signed"}),
    ("/contracts", {"due_by": "2030-01-01"}),
    ("/contracts/contract:C1", {}),
    ("/contract-templates/contract-template:T", {}),
    ("/approvals", {"limit": 2}),
    ("/approvals", {"subject": PRICES, "status": "granted"}),
    ("/approvals", {"kind": "contract", "role": "manager"}),
    (f"/approvals/approval:{PRICES}:1", {}),
    ("/approvals/approval:contract:C1:1", {}),
    ("/approval-waits", {"limit": 3}),
    ("/approval-waits", {"person": "zhao", "lasting": False}),
    (f"/approval-flows/{ApprovalFlowId.of('price-matrix')}", {}),
    ("/tasks", {"limit": 3}),
    ("/tasks", {"role": ["manager", "sales"]}),
    ("/tasks", {"person": "chen", "overdue": True}),
]


FROM_FACTS = (
    f"{PRICES}/price",
    "/document",
    PEN.id,
    SIGNED.statement.id(),
    "/terms-in-force",
    "/repricing",
)
"""Answered from the facts themselves; a company that has rows alone cannot answer."""
NOTHING_YET = {"price.none", "price.suspended", "quote.not_submitted", "matrix.version_unknown"}


@dataclass
class Life:
    """A dealer to whom things happen by chance, some of them told late."""

    dealer: Dealer
    chance: random.Random
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    orders: list[OrderId] = field(default_factory=list)
    sales: list[Iterator[None]] = field(default_factory=list)
    happened: Counter[int] = field(default_factory=Counter)
    count: int = 0

    def told(self, command: Command[Any], id: str | None = None, by: Actor = CHEN) -> Receipt:
        """One of three is told late."""
        late = self.chance.random() < 0.33
        back = self.begun - timedelta(hours=self.chance.randrange(1, 200))
        at, reason = (back, "told late") if late else (None, None)
        return self.dealer.company.app.handle(Ask(command, by, id, effective_at=at, reason=reason))

    def step(self) -> None:
        """A sale goes on, or something happens that has not happened for long."""
        before = self.dealer.company.log.head()
        while self.sales and self.chance.random() < 0.65:
            with suppress(Refused, StopIteration):
                next(self.chance.choice(self.sales))
            if self.dealer.company.log.head() > before:
                return
        numbers = list(range(len(self.possible())))
        self.chance.shuffle(numbers)
        for number in sorted(numbers, key=lambda one: self.happened[one]):
            self.count += 1
            with suppress(Refused):
                self.possible()[number]()
            if self.dealer.company.log.head() > before:
                self.happened[number] += 1
                return

    def sale(self, customer: CustomerId) -> Iterator[None]:
        """From goods-in to the department, a step at a time; others may come between."""
        number = self.count
        self._on_credit(customer)
        unit = self.dealer.receive(f"S{len(self.sales) - 1}", HANGZHOU)
        self.dealer.receive_gauze(20, f"D{number}")
        yield
        order = self.dealer.order(f"O{number}", (LENS, 2), (GAUZE, 30), customer=customer)
        self.orders.append(order)
        yield
        some = (LotQuantity(lot=GAUZE_LOT, warehouse=HANGZHOU, quantity=4),)
        self.dealer.reserve(order, unit, quantities=some)
        yield
        shipment = self.dealer.dispatch(f"N{number}", order, unit, quantities=some)
        yield
        self.dealer.deliver(shipment)
        yield
        self.told(InstallUnit(department="Eye 眼科"), unit)
        yield
        self.told(AcceptInstallation(accepted_by="Wang", warranty_months=12), unit)

    def begin_sale(self, customer: CustomerId) -> None:
        self.sales.append(self.sale(customer))
        next(self.sales[-1])

    def possible(self) -> list[Callable[[], object]]:
        pick = self.chance.choice
        unit, customer = pick(UNIT_IDS), pick([UNION, CHILDREN])
        order = pick(self.orders or [OrderId.of("none")])
        placed = PlaceUnit(
            placement=pick(["demo", "loan"]),
            customer=customer,
            agreement="A",
            due_back="2030-01-01",
        )
        return [
            lambda: self.begin_sale(customer),
            lambda: self.begin_sale(customer),
            lambda: self.dealer.receive(unit.key.partition(":")[2], pick([HANGZHOU, SHANGHAI])),
            lambda: self.told(placed, unit),
            lambda: self.told(SellPlacedUnits(units=(unit,), used_disclosed=True), order),
            lambda: self.told(CollectUnit(reason="over"), unit),
            lambda: self.told(TakeBackUnit(warehouse=HANGZHOU), unit),
            lambda: self.told(ArriveUnit(warehouse=pick([HANGZHOU, SHANGHAI])), unit),
            lambda: self.told(CancelOrder(reason="no need"), order),
            lambda: self.told(TransferUnit(to=pick([HANGZHOU, SHANGHAI])), unit),
            lambda: self.told(ScrapUnit(reason="fell"), unit),
            lambda: self.told(
                CorrectSerial(correct=DeviceUnitId.of(BASE, "RIGHT"), reason="misread"), unit
            ),
            lambda: self.told(HoldLot(hold="H1", reason="crack"), LOT),
            lambda: self.told(LiftLotHold(hold="H1", reason="fine"), LOT),
            lambda: self.told(
                ScrapLot(warehouse=HANGZHOU, zone="qualified", quantity=1, reason="wet"), GAUZE_LOT
            ),
            lambda: self.told(AddDepartment(department=f"Dep {self.count}"), customer),
            lambda: self.told(SuspendCustomer(reason="unpaid"), CHILDREN),
            lambda: self.told(ResumeCustomer(reason="paid"), CHILDREN),
            lambda: self._revised(customer),
            self._priced,
            lambda: pick([self._licensed, self._contracted, self._quoted])(customer),
            self._signed,
        ]

    def _on_credit(self, customer: CustomerId) -> None:
        """A limit is agreed for the first sale, a lower one for each that follows."""
        account = CreditAccountId.of(customer.key)
        limit = Money(amount=50_000 - 1_000 * self.count, currency="CNY")
        self.dealer.tell(AgreeCredit(customer=customer, limit=limit, reason="as agreed"))
        more = RequestOverride(amount=limit, until="2030-01-01", reason="a tender")
        self.dealer.tell(more, account)

    def _revised(self, customer: Any) -> None:
        name = self.chance.choice(["Union 协和", "First Hospital 一院"])
        region = self.chance.choice(["ZJ", "SH"])
        self.told(ReviseCustomer(name=name, region=region, tier="B", address="2 Road"), customer)

    def _quoted(self, customer: CustomerId) -> None:
        """As far as chance has it: drafted, submitted, approved, issued, and then one of three."""
        lines = (
            WantedQuoteLine(product=LENS, quantity=1 + self.count % 3, discount="10"),
            WantedQuoteLine(product=GAUZE, quantity=5),
        )
        draft = DraftQuote(
            number=self.chance.choice(["Q1", "Q2"]),
            customer=customer,
            price_matrix=PRICES,
            lines=lines,
            valid_until="2099-12-31",
        )
        with suppress(Refused):
            self.dealer.tell(draft)
        for _ in range(self.chance.randrange(3, 6)):
            self._quote_goes_on(draft.begins())

    def _quote_goes_on(self, id: QuoteId) -> None:
        quote: Any = self.dealer.company.app.load(id).state
        if quote.status == "pending_approval":
            approve = Approve(content_hash=quote.content_hash)
            self.dealer.tell(approve, quote.approval, by=ZHAO)
            return
        known = quote.content_hash or "sha256:" + "0" * 64
        seen = {"version": quote.version, "content_hash": known}
        steps: dict[str, list[Command[Any]]] = {
            "draft": [SubmitQuote()],
            "approved": [IssueQuote()],
            "issued": [
                ReviseQuote(reason="more"),
                DeclineQuote(reason="no money"),
                AcceptQuote(**seen, accepted_by="Liu", evidence="sha256:" + "5" * 64),
            ],
            "accepted": [VoidQuote(reason="typo")],
        }
        if quote.status in steps:
            self.dealer.tell(self.chance.choice(steps[quote.status]), id)

    def _contracted(self, customer: CustomerId) -> None:
        """As far as chance has it: a draft, approved, sent, signed by the customer, refused."""
        clause = Clause(key="payment", title="Payment", text=f"{self.count} days")
        self.told(DraftContractTemplate(code="T", name="T", clauses=(clause,)))
        number = self.chance.choice(["C1", "C2"])
        line = AgreedLine(product=LENS, price=Money(amount="1000.00", currency="CNY"))
        draft = DraftContract(
            number=number,
            customer=customer,
            title=f"Contract {self.count}",
            lines=(line.model_copy(update={"max_quantity": 5}),),
            currency="CNY",
            valid_from="2026-01-01",
            valid_until="2030-12-31",
        )
        id = draft.begins()
        with suppress(Refused):
            self.told(draft)
        for _ in range(self.chance.randrange(5)):
            self._contract_goes_on(id)

    def _contract_goes_on(self, id: ContractId) -> None:
        contract: Any = self.dealer.company.app.load(id).state
        if contract.under_way is None:
            return
        seen = contract.under_way.content_hash
        approval = contract.approval(id)
        sealed = RecordCounterpartySignature(
            signer_name="Liu",
            title="Dean",
            organisation="Union",
            method="sealed_paper",
            evidence="sha256:" + "5" * 64,
            signed_at=datetime.now(UTC),
            content_hash=seen,
        )
        if contract.status == "draft":
            self.told(SubmitContract(), id)
        elif contract.status == "in_approval":
            for who in (ZHAO, QIAN):
                self.dealer.tell(Approve(content_hash=seen), approval, by=who)
        elif contract.status == "approved":
            self.told(SendContract(), id)
        elif contract.status == "out_for_signature":
            self.dealer.tell(sealed, id)
        else:
            self.told(RefuseContract(side="theirs", reason="no money"), id)

    def _licensed(self, customer: CustomerId) -> None:
        """An end long past: it is announced as soon as the clock is looked at."""
        number, file = f"DL-{self.count % 3}", file_of(customer)
        practice = Licence(
            kind="practice_licence",
            number=number,
            valid_from="2020-01-01",
            valid_until=self.chance.choice(["2024-12-31", "2030-12-31"]),
            issuer="ZJ",
        )
        some = [
            (RecordLicence(holder=customer, licence=practice), None),
            (
                VerifyLicence(
                    number=number, method="nmpa.gov.cn", valid_until=practice.valid_until
                ),
                file,
            ),
            (RevokeLicence(number=number, on="2026-01-01", reason="closed"), file),
        ]
        for command, id in some[: self.chance.randrange(1, 4)]:
            self.told(command, id, by=ZHAO if isinstance(command, VerifyLicence) else CHEN)

    def _signed(self) -> None:
        """First Wang signs, as what happened before all of this; later that counts no longer."""
        id = SIGNED.statement.id()
        asked: list[tuple[Command[Any], str]] = [(one, PEN.id) for one in PEN.commands()]
        if self.dealer.company.app.load(id).version:
            asked = [(InvalidateSignature(reason="typo"), id)]
        else:
            asked.append((Sign(signed=SIGNED), id))
        told_late: dict[str, Any] = {"effective_at": BEGUN, "reason": "told late"}
        self.dealer.company.app.handle(Ask(PEN.registration(), CHEN, **told_late))
        for command, subject in asked:
            self.dealer.company.app.handle(Ask(command, WANG, subject, **told_late))

    def _priced(self) -> None:
        number = 1 + sum(
            1
            for fact in self.dealer.company.log.streams([PRICES])[PRICES]
            if fact.name == "MatrixVersionDrafted"
        )
        cells = tuple(
            PriceCell(product=product, price=Money(amount=f"{number}00.00", currency="CNY"))
            for product in (LENS, GAUZE)
        )
        self.told(DraftVersion(effective_from="2026-01-01", cells=cells), PRICES)
        self.dealer.put_in_force(number)
        if self.chance.random() < 0.5:
            self.told(SuspendVersion(version=number, reason="typo?"), PRICES)
            self.told(RevokeVersion(version=number, reason="typo"), PRICES)


@dataclass
class Witness:
    """Somebody who asks everything, and writes down what was answered at which position."""

    http: httpx.Client
    seen: dict[int, list[Any]] = field(default_factory=dict)

    def answers(self, **when: Any) -> list[Any]:
        return [self.answer(path, {**params, **when}) for path, params in ASKED]

    def answer(self, path: str, params: dict[str, Any]) -> Any:
        answer = self.http.get(path, params=params)
        assert answer.status_code in {200, 404, 422}, answer.text
        if answer.headers["content-type"].startswith("text/html"):
            return answer.text
        found = answer.json()
        assert answer.status_code != 422 or found["code"] in NOTHING_YET, answer.text
        if "items" in found:
            found["items"] += self._rest(path, params, found["next"])
        return found

    def _rest(self, path: str, params: dict[str, Any], after: str | None) -> Iterator[Any]:
        while after:
            page = self.http.get(path, params={**params, "after": after}).json()
            yield from page["items"]
            after = page["next"]


def opened(server: Server) -> Company:
    name = new_name()
    company = open_company(server.database_url, name)
    company.follower.prepare()
    server.companies.opened[name] = company
    return company


@pytest.fixture(scope="module")
def lived(server: Server) -> Iterator[tuple[Api, Witness]]:
    """A life, and what was answered after each step of it."""
    company = opened(server)
    with httpx.Client(base_url=server.url, timeout=30) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(Role.AUDITOR))
        witness = Witness(http)
        life = Life(Dealer(company), random.Random(10))
        for _ in range(STEPS):
            life.step()
            life.dealer.catch_up()
            witness.seen[company.log.head()] = witness.answers()
        yield api, witness
    server.forget(company.name)


def test_a_life_is_long_enough_to_prove_something(lived: tuple[Api, Witness]) -> None:
    api, witness = lived
    assert len(witness.seen) > 20
    kinds = {fact.name for fact in every_fact(api.company)}
    assert kinds >= {
        "QuoteIssued",
        "SignatureInvalidated",
        "UnitDelivered",
        "UnitPlaced",
        "UnitInstalled",
        "LotShipped",
        "OrderCancelled",
        "SerialCorrected",
        "VersionRevoked",
        "CustomerRevised",
    }
    assert len({str(answers) for answers in witness.seen.values()}) > 20


def test_every_answer_as_of_a_position_is_the_one_that_was_given_there(
    lived: tuple[Api, Witness],
) -> None:
    _, witness = lived
    for position in sorted(witness.seen)[::2]:
        then = witness.seen[position]
        for question, now, seen in zip(ASKED, witness.answers(as_of=position), then, strict=True):
            assert now == seen, (position, question)


def test_every_question_that_can_be_asked_of_the_past_is_asked_here(
    lived: tuple[Api, Witness],
) -> None:
    api, _ = lived
    paths = api.get("/openapi.json").json()["paths"]
    of_the_past = {
        re.sub(r"{\w+}", "[^?]+", path)
        for path, methods in paths.items()
        if any(given["name"] == "as_of" for given in methods.get("get", {}).get("parameters", ()))
    }
    asked = {path for path, _ in ASKED} | {f"/subjects/{UNION}/facts"}
    silent = {path for path in of_the_past if not any(re.fullmatch(path, one) for one in asked)}
    assert {path for path in silent if "toy" not in path} == set()
    assert len(of_the_past) > 12


MOMENTS: list[dict[str, Any]] = [
    {"as_of": 0},
    {"recorded_by": 0, "effective_at": "2026-01-01T00:00:00Z"},
    {"as_of": "9999-12-30T23:59:59Z"},
    {"effective_at": "9999-12-30T23:59:59Z"},
]
"""The first of all and the last of all."""
NO_MOMENTS = ["9999-12-31T23:59:59Z", "1899-12-31T00:00:00Z"]


def test_every_question_has_an_answer_for_the_first_moment_and_the_last(
    lived: tuple[Api, Witness],
) -> None:
    _, witness = lived
    for path, params in ASKED:
        today = {name: value for name, value in params.items() if name != "on"}
        for moment in MOMENTS:
            answer = witness.http.get(path, params={**today, **moment})
            assert answer.status_code in {200, 404, 422}, (path, moment, answer.text)
            # Position 0 is before the first fact: it is no fault to ask about it.
            assert answer.status_code != 422 or answer.json()["code"] in NOTHING_YET, answer.text


def test_a_moment_that_no_calendar_holds_is_told_in_a_sentence(lived: tuple[Api, Witness]) -> None:
    """A question has the same calendar as a command."""
    _, witness = lived
    for path, params in ASKED:
        for name in ("as_of", "recorded_by", "effective_at"):
            for moment in NO_MOMENTS:
                answer = witness.http.get(path, params={**params, name: moment})
                assert answer.status_code == 422, (path, name, moment, answer.text)
                assert answer.json()["errors"][0]["field"] == name


def test_what_has_changed_can_be_told_of_every_row_of_every_read_model(
    lived: tuple[Api, Witness],
) -> None:
    """Also of columns that hold JSON: `medsales diff` broke off for whoever had one."""
    api, _ = lived
    rule = FlowRule(name="all", steps=(Step(role=Role.MANAGER),))
    api.company.app.handle(Ask(ProposeFlow(governs="quote", rules=(rule,), reason="safer"), WANG))
    api.company.worker().catch_up()
    rows = [row for each in api.company.follower.projections.values() for row in each.rows]
    missing = {
        (row.table, name)
        for row in rows
        for name, info in row.model_fields.items()
        if holds_json(info.annotation)
    }
    assert len(missing) > 3
    for subject in sorted({fact.subject for fact in every_fact(api.company)}):
        answer = api.get(f"/subjects/{subject}/diff")
        assert answer.status_code == 200, (subject, answer.text)
        for change in answer.json()["rows"]:
            missing -= {(change["table"], name) for name in {**change["before"], **change["after"]}}
    assert missing == set()


def test_what_is_said_again_in_json_is_no_change(lived: tuple[Api, Witness]) -> None:
    api, _ = lived
    log = every_fact(api.company)
    changed = next(fact for fact in log[::-1] if fact.name == "QuoteIssued")
    answer = api.get(f"/subjects/{changed.subject}/diff", **{"from": changed.position - 1})
    assert answer.status_code == 200, answer.text
    for change in answer.json()["rows"]:
        same = [name for name, old in change["before"].items() if old == change["after"].get(name)]
        assert same == [], change["table"]


def holds_json(annotation: Any) -> bool:
    return "jsonb" in sql_type(annotation)


def test_a_time_leads_to_the_same_answer_as_its_position(lived: tuple[Api, Witness]) -> None:
    api, witness = lived
    log = every_fact(api.company)
    for position in sorted(witness.seen)[::9]:
        at = log[position - 1].recorded_at.isoformat()
        answer = api.get(f"/customers/{UNION}", as_of=at)
        assert answer.headers["Medsales-Position"] == str(position)
        assert answer.json() == api.get(f"/customers/{UNION}", recorded_by=position).json()


def test_a_price_is_the_one_that_was_known_and_in_effect(server: Server) -> None:
    """A second version is written on day 2, to count from day 0; it is approved late."""
    company = opened(server)
    dealer = Dealer(company)
    known = company.log.head()
    cells = (PriceCell(product=LENS, price=Money(amount="999.00", currency="CNY")),)
    dealer.tell(DraftVersion(effective_from="2025-01-01", cells=cells), PRICES)
    dealer.put_in_force(2)
    approved = next(fact for fact in every_fact(company)[::-1] if fact.name == "VersionScheduled")
    with httpx.Client(base_url=server.url, timeout=30) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(Role.SALES))

        def price(**when: Any) -> Any:
            answer = api.get(f"/price-matrices/{PRICES}/price", **{**PRICE, **when})
            return answer.json().get("price", {}).get("amount") or answer.json()["code"]

        assert price() == price(as_of=approved.position) == "999.00"
        assert price(as_of=known) == price(as_of=approved.position - 1) == "1250.00"
        before = (approved.effective_at - timedelta(microseconds=1)).isoformat()
        assert price(effective_at=before) == "1250.00"
        assert price(recorded_by=known, effective_at=before) == "1250.00"
        assert price(as_of=0) == "price-matrix.unknown"
        assert price(on="2024-06-01") == price(on="2024-06-01", as_of=known) == "1250.00"
        assert price(on="2023-06-01", as_of=known) == "price.none"
        assert price(as_of=company.log.head() + 1) == "position.not_recorded"
    server.forget(company.name)


def every_fact(company: Company) -> list[Any]:
    with company.database.cursor() as db:
        return facts(db, Selection(), 10_000)


def test_both_axes_tell_what_the_facts_tell_when_taken_by_hand(
    server: Server, lived: tuple[Api, Witness]
) -> None:
    """A second company gets the rows that are folded in the order in which things happened."""
    api, witness = lived
    everything = every_fact(api.company)
    chance = random.Random(3)
    for _ in range(3):
        position = chance.randrange(len(everything) // 2, len(everything))
        at = chance.choice(everything[len(everything) // 3 :]).effective_at
        by_hand = told_by_hand(server, everything, position, at)
        then = {"recorded_by": position, "effective_at": at.isoformat()}
        with httpx.Client(base_url=server.url, timeout=30) as http:
            http.headers.update(Api(server, by_hand, http).auth(Role.AUDITOR))
            told = Witness(http).answers()
        for question, now, hand in zip(ASKED, witness.answers(**then), told, strict=True):
            if not question[0].endswith(FROM_FACTS):
                assert now == hand, (position, at, question)
        server.forget(by_hand.name)


def told_by_hand(server: Server, everything: list[Any], position: int, at: datetime) -> Company:
    company = opened(server)
    known = [fact for fact in everything if fact.position <= position and fact.effective_at <= at]
    known.sort(key=lambda fact: (fact.effective_at, fact.position))
    with company.database.writing() as db:
        write(db, company.database.schema, fold(list(company.follower.projections.values()), known))
        db.execute("update positions set position = %s", (position,))
    return company
