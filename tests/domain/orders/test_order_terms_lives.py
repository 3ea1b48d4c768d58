"""Random lives of orders among credit, promotions, contracts, quotes and exceptions.

After every step everything that an order takes is counted again from the orders alone: credit, the
budget of the promotion, the call-offs of the contract and the pieces of the exception.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from tests.domain.orders.examples import (
    CANCER,
    HANGZHOU,
    LOT,
    PUMP,
    ROAD,
    SN1,
    SN2,
    SN3,
    STENT,
    UNION,
    cny,
)
from tests.domain.sales.examples import LIST, Office, accept, draft
from tests.domain.terms.contracts import CONTRACT, in_force

from medsales.domain.governance.approval import Approve
from medsales.domain.ids import (
    ApprovalId,
    CreditAccountId,
    CustomerId,
    OrderId,
    PriceSheetId,
    PromotionId,
    QuoteId,
    ShipmentId,
)
from medsales.domain.kernel import Command, Event, Refused
from medsales.domain.orders.cancelling import CancelLine, CancelOrder, RejectHold, ReopenOrder
from medsales.domain.orders.fulfilment import ReserveGoods, ReturnGoods
from medsales.domain.orders.goods import LotQuantity
from medsales.domain.orders.holds import ConfirmOrder, ReleaseHold
from medsales.domain.orders.order import HoldKind, Order, OrderStatus
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.orders.shipment import DeliverShipment, DispatchShipment
from medsales.domain.sales.offer import WantedQuoteLine
from medsales.domain.sales.quote import IssueQuote, Quote, SubmitQuote
from medsales.domain.stock.device_unit import InspectUnit
from medsales.domain.stock.lot import InspectLot
from medsales.domain.stock.warehouse import Zone
from medsales.domain.terms.contract import Called, Contract
from medsales.domain.terms.credit import (
    AgreeCredit,
    AgreeGroupLimit,
    ClearCredit,
    CreditAccount,
    HoldCredit,
    RequestOverride,
)
from medsales.domain.terms.credit_exposure import (
    CreditReserved,
    Means,
    RecordCash,
    RecordInvoice,
    RecordSettlement,
    ReleaseReservation,
)
from medsales.domain.terms.credit_group import JoinGroup, LeaveGroup
from medsales.domain.terms.price_sheet import PriceCell, PriceException, PriceSheet
from medsales.domain.terms.promotion import (
    DraftPromotion,
    FreeGoods,
    Promotion,
    SubmitPromotion,
    Terms,
)
from medsales.domain.values import Money

WHY = "as the ward asked"
PAPER = "sha256:" + "7" * 64
SPRING = PromotionId("promotion:SPRING")
ACCOUNT, HEAD = CreditAccountId.of(UNION.key), CreditAccountId.of(CANCER.key)
UNITS = (SN1, SN2, SN3)
TENDER = PriceException(name="tender", reason="a tender", max_quantity=6, until=date(2026, 6, 3))
CELLS = (
    PriceCell(product=PUMP, price=cny("10000.00"), floor=cny("8000.00")),
    PriceCell(product=STENT, price=cny("800.00"), floor=cny("600.00")),
    PriceCell(product=STENT, price=cny("500.00"), min_quantity=2, exception=TENDER),
)
GIFT = FreeGoods(buy=PUMP, count=1, free=STENT, free_count=1, value=cny("100.00"))


class Life:
    """What people do to a few orders of two hospitals of one group."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.office = Office()
        self.number = 0
        self.orders: list[OrderId] = []
        self.invoices: dict[str, tuple[OrderId, Decimal]] = {}
        self.settled: defaultdict[OrderId, Decimal] = defaultdict(Decimal)
        self.returned: defaultdict[OrderId, Decimal] = defaultdict(Decimal)
        """What came back and had not been billed, in money."""
        self.cash = Decimal(0)
        self.happened: Counter[str] = Counter()
        self._begin()

    def _begin(self) -> None:
        office = self.office
        office.price(CELLS, date(2026, 5, 1), date(2026, 12, 31))
        office.streams[CONTRACT] = list(in_force(UNION, STENT))
        said: dict[str, Any] = {"first_day": date(2026, 5, 1), "last_day": date(2026, 6, 4)}
        terms = Terms(name="s", offer=GIFT, currency="CNY", budget=cny("300.00"), **said)
        office.tell(DraftPromotion(code="SPRING", terms=terms))
        office.tell(SubmitPromotion(), SPRING)
        for approver in ("zhao", "qian"):
            self._agreed(self.office.state(SPRING, Promotion).approval, approver)
        for customer in (UNION, CANCER):
            office.tell(AgreeCredit(customer=customer, limit=cny("30000.00"), reason=WHY))
        office.tell(AgreeGroupLimit(limit=cny("45000.00"), reason=WHY), HEAD)
        office.tell(JoinGroup(head=HEAD, reason=WHY), ACCOUNT)

    def _agreed(self, approval: ApprovalId | None, by: str = "zhao") -> None:
        assert approval is not None
        self.tell(Approve(content_hash=self.office.hash_of(approval)), approval, by=by)

    def tell(
        self, command: Command[Any], id: str | None = None, by: str = "chen"
    ) -> list[Event[Any]] | None:
        """What came of it; None when it was refused, and then nothing has happened at all."""
        before = len(self.office.log)
        events: list[Event[Any]] | None
        try:
            events = self.office.tell(command, id, by)
        except Refused as refusal:
            self.happened[refusal.code] += 1
            events = None
        if events is None:
            assert len(self.office.log) == before
            return None
        self.happened[type(command).__name__] += bool(events)
        if any(isinstance(event, CreditReserved) for event in events):
            self.promises_are_covered()
        return events

    # What people do

    def step(self) -> None:
        doings = (
            *(self.place, self.place, self.confirm, self.confirm, self.cancel, self.cancel_part),
            *(self.reopen, self.release, self.reject, self.set_aside, self.set_aside, self.ship),
            *(self.ship, self.give_back, self.bill, self.settle, self.pay, self.agree),
            *(self.override, self.hold, self.join_or_leave, self.wait),
        )
        self.chance.choice(doings)()

    def some_order(self, wanted: Callable[[Order], object] = bool) -> tuple[OrderId, Order]:
        """One that is so, if there is any."""
        while not self.orders:
            self.place()
        fitting = [id for id, order in self.every_order() if wanted(order)]
        id = self.chance.choice(fitting or self.orders)
        return id, self.office.state(id, Order)

    def place(self) -> None:
        self.number += 1
        line = WantedLine(
            product=self.chance.choice((PUMP, STENT)), quantity=self.chance.randint(1, 3)
        )
        stent = line.model_copy(update={"product": STENT})
        source: dict[str, Any] = self.chance.choice(
            (
                {"price_matrix": LIST, "lines": (line,), "customer": CANCER},
                {"price_matrix": LIST, "lines": (line,)},
                {"price_matrix": LIST, "lines": (line,), "promotion": SPRING},
                {"contract": CONTRACT, "lines": (stent,)},
                {"quote": None, "lines": ()},
            )
        )
        if "quote" in source:
            source["quote"] = self.accepted_quote()
        order = PlaceOrder(**{"number": f"SO-{self.number}", "customer": UNION, **source})
        if self.tell(order) is not None:
            self.orders.append(order.begins())
            assert self.tell(order) == [], "D8"

    def accepted_quote(self) -> QuoteId:
        id = QuoteId.of(f"Q-{self.number}")
        lines = (WantedQuoteLine(product=PUMP, quantity=self.chance.randint(1, 2)),)
        if self.tell(draft(lines, number=id.key)) and self.tell(SubmitQuote(), id):
            self.tell(IssueQuote(), id)
            self.tell(accept(self.office.state(id, Quote)), id)
        return id

    def confirm(self) -> None:
        id, _ = self.some_order(lambda order: order.status is OrderStatus.PLACED)
        self.tell(ConfirmOrder(), id)

    def cancel(self) -> None:
        id, _ = self.some_order()
        if self.tell(CancelOrder(reason=WHY), id):
            assert self.tell(CancelOrder(reason=WHY), id) == []

    def cancel_part(self) -> None:
        id, order = self.some_order()
        line = self.chance.choice([*order.lines])
        self.tell(CancelLine(line=line, quantity=self.chance.randint(1, 2), reason=WHY), id)

    def reopen(self) -> None:
        id, _ = self.some_order(lambda order: order.status is OrderStatus.CANCELLED)
        self.tell(ReopenOrder(reason=WHY), id)

    def release(self) -> None:
        id, order = self.some_order(lambda order: order.holds)
        for kind in order.holds or (HoldKind.CREDIT,):
            self.tell(ReleaseHold(kind=kind, reason=WHY), id, by="zhao")

    def reject(self) -> None:
        id, order = self.some_order(lambda order: order.holds)
        for kind in order.holds[:1]:
            self.tell(RejectHold(kind=kind, reason=WHY), id, by="zhao")

    def set_aside(self) -> None:
        id, order = self.some_order(lambda order: order.status is OrderStatus.CONFIRMED)
        if self.chance.random() < 0.5:
            self.tell(ReserveGoods(**self.some_goods()), id)
        elif any(line.product == PUMP and line.open for line in order.lines.values()):
            self.tell(ReserveGoods(units=(self.chance.choice(UNITS),)), id)

    def some_goods(self) -> dict[str, Any]:
        if self.chance.random() < 0.5:
            return {"units": (self.chance.choice(UNITS),)}
        quantity = self.chance.randint(1, 2)
        return {"quantities": (LotQuantity(lot=LOT, warehouse=HANGZHOU, quantity=quantity),)}

    def ship(self) -> None:
        """What is set aside, all or some of it; sometimes it arrives."""
        id, order = self.some_order(lambda order: order.set_aside)
        if not order.set_aside:
            return
        goods, warehouse, _ = self.chance.choice([*order.set_aside])
        some: dict[str, Any] = (
            {"units": (goods,)}
            if warehouse is None
            else {"quantities": (LotQuantity(lot=goods, warehouse=warehouse, quantity=1),)}
        )
        self.number += 1
        number = f"DN-{self.number}"
        send = DispatchShipment(number=number, order=id, transport=ROAD, ship_to="3 楼", **some)
        if self.tell(send):
            self.tell(DeliverShipment(received_by="刘"), ShipmentId.of(number))

    def give_back(self) -> None:
        id, order = self.some_order(lambda order: order.delivered)
        if not order.delivered:
            return
        goods, _, line = self.chance.choice([*order.delivered])
        lot = (LotQuantity(lot=LOT, warehouse=HANGZHOU, quantity=1),)
        some: dict[str, Any] = {"quantities": lot} if goods == LOT else {"units": (goods,)}
        left = self.shipped_not_billed(id)
        first = next(n for g, _, n in order.delivered if g == goods)
        if self.tell(ReturnGoods(**some, reason=WHY), id):
            self.came_back(id, order.lines[first].price.amount, left)
            assert first == line or goods == LOT
            inspect = InspectLot(warehouse=HANGZHOU, zone=Zone.RETURNS, quantity=1, passed=True)
            self.tell(*((inspect, LOT) if goods == LOT else (InspectUnit(passed=True), goods)))

    def came_back(self, id: OrderId, worth: Decimal, left: Decimal) -> None:
        """Gifts, and what may have been billed, are owed until somebody else has agreed (K3)."""
        order = self.office.state(id, Order)
        promoted = order.placed is not None and order.placed.promoted is not None
        to_come = any(line.not_shipped for line in order.lines.values())
        billed = any(of == id for of, _ in self.invoices.values())
        if not order.delivered and not order.travelling and not (promoted and to_come):
            self.returned[id] += left
        elif not promoted and not billed:
            self.returned[id] += worth
        else:
            self.ask_for_release(id, min(worth, left))

    def ask_for_release(self, id: OrderId, amount: Decimal) -> None:
        account = CreditAccountId.of(self.office.state(id, Order).buyer().key)
        ask = ReleaseReservation(order=id, amount=cny(str(amount)), reason=WHY)
        if self.chance.random() < 0.5 and self.tell(ask, account):
            for number in list(self.office.state(account, CreditAccount).pending):
                self._agreed(ApprovalId.of(account, str(number)))
            self.returned[id] += amount

    def bill(self) -> None:
        id, order = self.some_order(lambda order: order.delivered)
        self.number += 1
        amount = self.chance.choice((self.shipped_not_billed(id), Decimal(700)))
        account = CreditAccountId.of(order.buyer().key)
        number = f"INV-{self.number}"
        invoice = RecordInvoice(number=number, order=id, amount=cny(str(amount)))
        if self.tell(invoice, account):
            self.invoices[number] = (id, amount)
            assert self.tell(invoice, account) == []

    def settle(self) -> None:
        if not self.invoices:
            return
        number = self.chance.choice([*self.invoices])
        id, _ = self.invoices[number]
        self.number += 1
        amount = Decimal(self.chance.choice((100, 500, 10_000)))
        settle = RecordSettlement(
            invoice=number,
            means=Means.PAYMENT,
            reference=f"P-{self.number}",
            amount=cny(str(amount)),
        )
        account = CreditAccountId.of(self.office.state(id, Order).buyer().key)
        if self.tell(settle, account):
            self.settled[id] += amount
            assert self.tell(settle, account) == []

    def pay(self) -> None:
        self.number += 1
        amount = self.chance.choice(("100.00", "2000.00"))
        cash = RecordCash(reference=f"C-{self.number}", amount=cny(amount), evidence=PAPER)
        if self.tell(cash, ACCOUNT):
            self.cash += Decimal(amount)

    def agree(self) -> None:
        limit = cny(self.chance.choice(("12000.00", "25000.00", "40000.00")))
        self.tell(AgreeCredit(customer=UNION, limit=limit, reason=WHY))
        self.consent()

    def override(self) -> None:
        until = self.office.now.date() + timedelta(days=self.chance.randint(0, 2))
        account = self.chance.choice((ACCOUNT, HEAD))
        self.tell(RequestOverride(amount=cny("9000.00"), until=until, reason=WHY), account)
        self.consent()

    def consent(self) -> None:
        for account in (ACCOUNT, HEAD):
            for number in [*self.office.state(account, CreditAccount).pending]:
                approval = ApprovalId.of(account, str(number))
                approve = Approve(content_hash=self.office.hash_of(approval))
                assert self.tell(approve, approval) is None, "not by who asked"
                assert self.tell(approve, approval, by="zhao")

    def hold(self) -> None:
        account = self.chance.choice((ACCOUNT, HEAD))
        if self.tell(HoldCredit(reason=WHY), account):
            self.confirm()
            self.tell(ClearCredit(reason=WHY), account)
            self.consent()

    def join_or_leave(self) -> None:
        if self.tell(LeaveGroup(reason=WHY), ACCOUNT):
            self.consent()
            self.confirm()
        self.tell(JoinGroup(head=HEAD, reason=WHY), ACCOUNT)

    def wait(self) -> None:
        self.office.now += timedelta(days=1) * (self.chance.random() < 0.3)

    # What must be so

    def shipped_not_billed(self, id: OrderId) -> Decimal:
        order = self.office.state(id, Order)
        shipped = sum(
            (each.price.amount * each.shipped for each in order.lines.values()), Decimal(0)
        )
        billed = sum((amount for of, amount in self.invoices.values() if of == id), Decimal(0))
        return shipped - billed - self.returned[id]

    def every_order(self) -> Iterator[tuple[OrderId, Order]]:
        for id in self.orders:
            yield id, self.office.state(id, Order)

    def owed_by(self, customer: CustomerId) -> Decimal:
        """K1, from the orders and the papers alone."""
        owed = -self.cash if customer == UNION else Decimal(0)
        for id, order in self.every_order():
            if order.buyer() != customer:
                continue
            promised = order.reserved and order.status is not OrderStatus.CANCELLED
            waiting = sum(
                (each.price.amount * each.not_shipped for each in order.lines.values()), Decimal(0)
            )
            billed = sum((amount for of, amount in self.invoices.values() if of == id), Decimal(0))
            owed += waiting if promised else 0
            owed += self.shipped_not_billed(id) + billed - self.settled[id]
        return owed

    def promises_are_covered(self) -> None:
        """K2, K4, K7: right after a promise, there was room for it."""
        today = self.office.now.date()
        last = next(e for _, e in reversed(self.office.log) if isinstance(e, CreditReserved))
        account = self.office.state(CreditAccountId.of(last.customer.key), CreditAccount)
        head = self.office.state(HEAD, CreditAccount)
        assert account.limit is not None
        assert head.group_limit is not None
        assert self.owed_by(last.customer) <= self.allowed(account, account.limit, today)
        if account.head or last.customer == CANCER:
            together = self.owed_by(CANCER) + (self.owed_by(UNION) if head.members else 0)
            assert together <= self.allowed(head, head.group_limit, today)

    def allowed(self, account: CreditAccount, limit: Money, on: date) -> Decimal:
        more = (each.amount.amount for each in account.overrides.values() if on <= each.until)
        return limit.amount + sum(more, Decimal(0))

    def check(self) -> None:
        self.credit_is_what_orders_say()
        self.promotion_is_what_orders_say()
        self.contract_is_what_orders_say()
        self.exception_is_what_orders_say()

    def credit_is_what_orders_say(self) -> None:
        for customer in (UNION, CANCER):
            account = self.office.state(CreditAccountId.of(customer.key), CreditAccount)
            assert account.owed.get("CNY", 0) == self.owed_by(customer)
            for id in account.reservations:
                order = self.office.state(id, Order)
                assert order.status is not OrderStatus.CANCELLED
                assert account.reservations[id].shipped == self.shipped_not_billed(id)
        account = self.office.state(ACCOUNT, CreditAccount)
        members = self.office.state(HEAD, CreditAccount).members
        assert {id: owed.get("CNY", 0) for id, owed in members.items()} == (
            {ACCOUNT: account.owed.get("CNY", 0)} if account.head else {}
        )

    def promotion_is_what_orders_say(self) -> None:
        promotion = self.office.state(SPRING, Promotion)
        live = {
            id: order.placed.promoted
            for id, order in self.every_order()
            if order.placed and order.placed.promoted and order.status is not OrderStatus.CANCELLED
        }
        assert {*promotion.draws} == {*live}
        assert promotion.drawn == sum(some.amount.amount for some in live.values())
        assert promotion.drawn_pieces == sum(some.pieces for some in live.values())
        assert promotion.drawn <= 300

    def contract_is_what_orders_say(self) -> None:
        contract = self.office.state(CONTRACT, Contract)
        live: dict[OrderId, int] = {}
        for id, order in self.every_order():
            if order.placed and order.placed.contract:
                live[id] = sum(line.ordered - line.cancelled for line in order.lines.values())
        wanted = {
            id: {STENT: Called(quantity=n, amount=Decimal(700) * n)} for id, n in live.items() if n
        }
        assert dict(contract.called) == wanted
        drawn = contract.drawn.get(STENT, Called()).quantity
        assert drawn == sum(live.values()) <= 3

    def exception_is_what_orders_say(self) -> None:
        sheet = self.office.state(PriceSheetId.of(LIST.key, STENT), PriceSheet)
        live: Counter[OrderId] = Counter()
        for id, order in self.every_order():
            for line in order.placed.lines if order.placed else ():
                if line.exception:
                    kept = order.lines[line.line]
                    live[id] += kept.ordered - kept.cancelled
        assert dict(sheet.taken_under("tender").orders) == {id: n for id, n in live.items() if n}
        assert sum(live.values()) <= TENDER.max_quantity


SEEDS = range(12)
STEPS = 250


@pytest.mark.parametrize("seed", SEEDS)
def test_what_orders_take_is_what_they_hold_k1_k2_k3_k4_k7_c2_p5_d4(seed: int) -> None:
    life = Life(Random(seed))
    for _ in range(STEPS):
        life.step()
        life.check()
