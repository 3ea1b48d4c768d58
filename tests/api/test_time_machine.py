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
from medsales.domain.ids import CustomerId, DeviceUnitId, OrderId
from medsales.domain.kernel import Command, Refused, Role
from medsales.domain.orders.order import CancelOrder, LotQuantity, SellPlacedUnits
from medsales.domain.parties.customer import (
    AddDepartment,
    ResumeCustomer,
    ReviseCustomer,
    SuspendCustomer,
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
from medsales.domain.terms.price_matrix import (
    ApproveVersion,
    DraftVersion,
    PriceCell,
    RevokeVersion,
    SubmitVersion,
)
from medsales.domain.values import Money
from medsales.engine.application import Ask, Receipt
from medsales.engine.log import Selection, facts
from medsales.engine.projection import fold, write

STEPS = 40
BASE = "06901234567892"
UNIT_IDS = [DeviceUnitId.of(BASE, f"S{n}") for n in range(7)]
PRICE = {"product": LENS, "region": "ZJ", "tier": "A", "on": "2026-01-05"}
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
    ("/scan/(01)06901234567892(17)300131(10)A213B1(21)S1", {}),
    (f"/price-matrices/{PRICES}/price", PRICE),
]


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

    def told(self, command: Command[Any], id: str | None = None) -> Receipt:
        """One of three is told late."""
        late = self.chance.random() < 0.33
        back = self.begun - timedelta(hours=self.chance.randrange(1, 200))
        at, reason = (back, "told late") if late else (None, None)
        return self.dealer.company.app.handle(
            Ask(command, CHEN, id, effective_at=at, reason=reason)
        )

    def step(self) -> None:
        """A sale goes on, or something happens that has not happened for long."""
        before = self.dealer.company.log.head()
        while self.sales and self.chance.random() < 0.5:
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
        ]

    def _revised(self, customer: Any) -> None:
        name = self.chance.choice(["Union 协和", "First Hospital 一院"])
        region = self.chance.choice(["ZJ", "SH"])
        self.told(ReviseCustomer(name=name, region=region, tier="B", address="2 Road"), customer)

    def _priced(self) -> None:
        number = 1 + sum(
            1
            for fact in self.dealer.company.log.streams([PRICES])[PRICES]
            if fact.name == "VersionDrafted"
        )
        cells = tuple(
            PriceCell(product=product, price=Money(amount=f"{number}00.00", currency="CNY"))
            for product in (LENS, GAUZE)
        )
        self.told(DraftVersion(effective_from="2026-01-01", cells=cells), PRICES)
        self.told(SubmitVersion(version=number), PRICES)
        self.dealer.tell(ApproveVersion(version=number), PRICES, by=ZHAO)
        if self.chance.random() < 0.5:
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
        found = answer.json()
        assert answer.status_code != 422 or found["code"] == "price.none", answer.text
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
        life = Life(Dealer(company), random.Random(1))
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
    dealer.tell(SubmitVersion(version=2), PRICES)
    dealer.tell(ApproveVersion(version=2), PRICES, by=ZHAO)
    approved = every_fact(company)[-1]
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
        assert price(as_of=approved.position + 1) == "position.not_recorded"
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
            if "price" not in question[0]:
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
