"""The exposure that people see is the one that decisions are made on, with its parts (K1)."""

from datetime import UTC, date, datetime
from decimal import Decimal

from tests.dealer import CHEN, LENS, UNION, ZHAO, Dealer

from medsales.domain.governance.approval import Approve
from medsales.domain.ids import ApprovalId, CreditAccountId
from medsales.domain.orders.cancelling import CancelLine
from medsales.domain.orders.fulfilment import ReturnGoods
from medsales.domain.orders.holds import ConfirmOrder, ReleaseHold
from medsales.domain.orders.order import HoldKind
from medsales.domain.terms.credit import (
    AgreeCredit,
    AgreeGroupLimit,
    ClearCredit,
    CreditAccount,
    CreditChangeRequested,
    HoldCredit,
    RequestOverride,
)
from medsales.domain.terms.credit_exposure import (
    Means,
    RecordCash,
    RecordGuarantee,
    RecordInvoice,
    RecordSettlement,
    ReleaseReservation,
)
from medsales.domain.terms.credit_group import JoinGroup, LeaveGroup
from medsales.domain.values import Money
from medsales.engine.log import Selection, facts
from medsales.projections.credit_exposure import EXPOSURES, CreditSeen, credit_seen
from medsales.projections.order_board import order_seen

ACCOUNT = CreditAccountId.of(UNION.key)
HEAD = CreditAccountId.of("children")
RECEIPT = "sha256:" + "b" * 64
TODAY, FAR = datetime.now(UTC).date(), date(2099, 12, 31)
WHY = "as agreed"


def cny(amount: str) -> Money:
    return Money(amount=amount, currency="CNY")


GUARANTEE = RecordGuarantee(
    number="G-1", guarantor="ICBC", amount=cny("50"), until=FAR, evidence=RECEIPT
)
NOTE = RecordSettlement(
    invoice="INV-1",
    means=Means.CREDIT_NOTE,
    reference="CN-1",
    amount=cny("1250"),
    evidence=RECEIPT,
)


def whole(*amounts: Decimal | None) -> list[int]:
    assert None not in amounts
    return [int(amount or 0) for amount in amounts]


def agree(dealer: Dealer, limit: str) -> None:
    dealer.tell(AgreeCredit(customer=UNION, limit=cny(limit), reason=WHY))


def seen(dealer: Dealer, id: str = ACCOUNT, on: date = TODAY) -> CreditSeen:
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        found = credit_seen(db, id, on)
    assert found is not None
    return found


def state(dealer: Dealer) -> CreditAccount:
    account = dealer.company.app.load(ACCOUNT).state
    assert isinstance(account, CreditAccount)
    return account


def test_every_part_of_the_exposure_is_shown_k1(dealer: Dealer) -> None:
    """Four lenses ordered, two shipped, one billed and half paid; one cancelled."""
    agree(dealer, "10000")
    order = dealer.order("1", (LENS, 4))
    units = [dealer.receive(f"S{n}") for n in range(2)]
    dealer.reserve(order, *units)
    dealer.dispatch("A", order, *units)
    dealer.tell(CancelLine(line=1, quantity=1, reason=WHY), order)
    bill = RecordInvoice(number="INV-1", order=order, amount=cny("1250"))
    dealer.tell(bill, ACCOUNT)
    pay = RecordSettlement(invoice="INV-1", means=Means.PAYMENT, reference="B-1", amount=cny("625"))
    dealer.tell(pay, ACCOUNT)
    dealer.tell(RecordCash(reference="B-2", amount=cny("100"), evidence=RECEIPT), ACCOUNT)
    dealer.tell(GUARANTEE, ACCOUNT)
    approve(dealer, 1)
    view = seen(dealer)
    (line,) = view.exposures
    parts = (line.confirmed, line.shipped, line.invoiced, line.unapplied_cash, line.guaranteed)
    assert whole(*parts) == [1250, 1250, 625, 100, 50]
    assert line.exposure == 1250 + 1250 + 625 - 100 - 50
    assert line.exposure == state(dealer).exposure("CNY", TODAY)
    assert whole(line.credit_limit, line.room) == whole(Decimal(10000), 10000 - line.exposure)
    assert sum(part.confirmed + part.shipped for part in view.orders) == 2500
    assert sum(part.billed - part.paid - part.credited for part in view.invoices) == 625
    assert sum(part.amount for part in view.cash) == 100
    assert sum(part.amount for part in view.guarantees) == 50
    assert dealer.company.follower.verify(["credit_exposure", "order_board"]) == []


def test_a_guarantee_and_an_override_are_judged_by_the_day_k1_k4(dealer: Dealer) -> None:
    agree(dealer, "1000")
    dealer.tell(GUARANTEE, ACCOUNT)
    dealer.tell(RequestOverride(amount=cny("500"), until=FAR, reason=WHY), ACCOUNT)
    assert [wish.matter for wish in seen(dealer).requests] == ["guarantee", "override"]
    for number in (1, 2):
        approve(dealer, number)
    (then,) = seen(dealer, on=FAR).exposures
    assert whole(then.guaranteed, then.overridden, then.room) == [50, 500, 1550]
    (later,) = seen(dealer, on=date(2100, 1, 1)).exposures
    assert whole(later.guaranteed, later.overridden, later.room) == [0, 0, 1000]
    view = seen(dealer)
    assert view.requests == ()
    assert view.overrides[0].approvers == ("zhao",)
    assert dealer.company.follower.verify(["credit_exposure"]) == []


def test_what_waits_for_somebody_is_shown_and_counts_not_yet_k1_k7(dealer: Dealer) -> None:
    """Whoever is asked sees what he is asked about, and who asked."""
    agree(dealer, "9000")
    dealer.tell(AgreeCredit(customer="customer:children", limit=cny("5000"), reason=WHY))
    dealer.tell(JoinGroup(head=HEAD, reason=WHY), ACCOUNT)
    billed(dealer)
    dealer.tell(GUARANTEE, ACCOUNT)
    dealer.tell(NOTE, ACCOUNT)
    dealer.tell(LeaveGroup(reason=WHY), ACCOUNT)
    dealer.tell(HoldCredit(reason="overdue"), ACCOUNT)
    dealer.tell(ClearCredit(reason="they have promised"), ACCOUNT)
    waiting = seen(dealer)
    (line,) = waiting.exposures
    assert whole(line.invoiced, line.guaranteed, line.exposure) == [1250, 0, 1250]
    assert (waiting.account.head, waiting.account.status) == (HEAD, "on_hold")
    guarantee, note, leave, clear = waiting.requests
    shown = (guarantee.reference, guarantee.guarantor, guarantee.amount, guarantee.until)
    assert shown == ("G-1", "ICBC", Decimal(50), FAR)
    assert (note.reference, note.invoice, note.amount) == ("CN-1", "INV-1", Decimal(1250))
    assert note.evidence == RECEIPT
    assert (leave.matter, leave.head, leave.requested_by) == ("leave_group", HEAD, "chen")
    assert (clear.matter, clear.reason) == ("clear", "they have promised")
    for number in (1, 2, 3, 4):
        approve(dealer, number)
    after = seen(dealer)
    (line,) = after.exposures
    assert whole(line.invoiced, line.guaranteed, line.exposure) == [0, 50, -50]
    assert line.exposure == state(dealer).exposure("CNY", TODAY)
    assert (after.account.head, after.account.status) == (None, "active")
    assert (after.requests, after.guarantees[0].approvers) == ((), ("zhao",))
    assert dealer.company.follower.verify(["credit_exposure"]) == []


def billed(dealer: Dealer) -> None:
    order = dealer.order("1", (LENS, 1))
    unit = dealer.receive("S1")
    dealer.reserve(order, unit)
    dealer.dispatch("A", order, unit)
    dealer.tell(RecordInvoice(number="INV-1", order=order, amount=cny("1250")), ACCOUNT)


def test_what_came_back_of_a_part_billed_order_is_shown_as_owed_until_it_is_released_k1_k3(
    dealer: Dealer,
) -> None:
    agree(dealer, "9000")
    order = dealer.order("1", (LENS, 2))
    units = [dealer.receive(f"S{n}") for n in range(2)]
    dealer.reserve(order, *units)
    dealer.deliver(dealer.dispatch("A", order, *units))
    dealer.tell(RecordInvoice(number="INV-1", order=order, amount=cny("1250")), ACCOUNT)
    dealer.tell(ReturnGoods(units=units[:1], reason=WHY), order)
    dealer.tell(ReleaseReservation(order=order, amount=cny("1250"), reason=WHY), ACCOUNT)
    waiting = seen(dealer)
    assert whole(waiting.exposures[0].shipped, waiting.exposures[0].exposure) == [1250, 2500]
    assert [(wish.matter, wish.reference) for wish in waiting.requests] == [("release", order)]
    approve(dealer, 1)
    after = seen(dealer)
    assert whole(after.exposures[0].shipped, after.exposures[0].exposure) == [0, 1250]
    assert after.exposures[0].exposure == state(dealer).exposure("CNY", TODAY)
    assert after.requests == ()
    assert dealer.company.follower.verify(["credit_exposure", "task_board"]) == []


def approve(dealer: Dealer, number: int) -> None:
    with dealer.company.database.cursor() as db:
        told = facts(db, Selection(subject=ACCOUNT), 1000)
    (asked,) = [
        fact.event
        for fact in told
        if isinstance(fact.event, CreditChangeRequested) and fact.event.request.number == number
    ]
    approval = ApprovalId.of(ACCOUNT, str(number))
    dealer.tell(Approve(content_hash=asked.content_hash), approval, by=ZHAO)


def test_an_order_beyond_the_limit_is_shown_as_held_until_it_is_released(dealer: Dealer) -> None:
    agree(dealer, "1000")
    order = dealer.order("1", (LENS, 1))
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        held = order_seen(db, order)
    assert held is not None
    assert (held.order.status, held.progress) == ("on_hold", "on_hold")
    assert [(hold.kind, hold.owner, hold.decided) for hold in held.holds] == [
        ("credit", "finance", "")
    ]
    dealer.tell(RequestOverride(amount=cny("250"), until=FAR, reason=WHY), ACCOUNT)
    approve(dealer, 1)
    dealer.tell(ReleaseHold(kind=HoldKind.CREDIT, reason="override 1"), order, by=ZHAO)
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        released = order_seen(db, order)
    assert released is not None
    assert released.order.status == "confirmed"
    (hold,) = released.holds
    assert (hold.decided, hold.decided_by, hold.reason) == ("released", "zhao", "override 1")
    assert dealer.company.follower.verify(["order_board"]) == []


def test_the_head_of_a_group_shows_what_its_members_owe_k7(dealer: Dealer) -> None:
    agree(dealer, "9000")
    dealer.order("1", (LENS, 1))
    dealer.tell(AgreeCredit(customer="customer:children", limit=cny("5000"), reason=WHY))
    dealer.tell(AgreeGroupLimit(limit=cny("3000"), reason=WHY), HEAD)
    dealer.tell(JoinGroup(head=HEAD, reason=WHY), ACCOUNT)
    dealer.order("2", (LENS, 1))
    view = seen(dealer, HEAD)
    (line,) = view.exposures
    assert whole(line.exposure, line.members_owe, line.group_exposure) == [0, 2500, 2500]
    assert whole(line.group_limit, line.group_room) == [3000, 500]
    assert [(m.member, m.owed) for m in view.members] == [(ACCOUNT, Decimal(2500))]
    assert seen(dealer).account.head == HEAD
    dealer.tell(LeaveGroup(reason=WHY), ACCOUNT)
    approve(dealer, 1)
    assert seen(dealer, HEAD).members == ()
    assert seen(dealer, HEAD).exposures[0].members_owe == 0
    assert dealer.company.follower.verify(["credit_exposure"]) == []


def test_the_list_finds_accounts_by_standing_and_by_what_is_over_the_limit_k8(
    dealer: Dealer,
) -> None:
    agree(dealer, "9000")
    dealer.order("1", (LENS, 1))
    dealer.order("2", (LENS, 1), customer="customer:children")  # type: ignore[arg-type]
    agree(dealer, "1000")
    dealer.tell(HoldCredit(reason="overdue"), ACCOUNT)
    dealer.catch_up()

    def listed(**asked: object) -> list[str]:
        given = {"on": TODAY, "account": None, "customer": None, "status": None, "over": None}
        with dealer.company.database.reading() as db:
            rows = db.execute(EXPOSURES + " order by account", {**given, **asked}).fetchall()
        return [row["account"] for row in rows]

    assert listed() == [HEAD, ACCOUNT]
    assert listed(over=True) == listed(status="on_hold") == listed(customer=UNION) == [ACCOUNT]
    assert listed(over=False) == [HEAD]


def test_confirming_twice_changes_nothing(dealer: Dealer) -> None:
    order = dealer.order("1", (LENS, 1))
    assert dealer.tell(ConfirmOrder(), order, by=CHEN).events == ()
