"""Random lives of accounts: exposure is the sum of its parts, and never above what was agreed."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.domain.orders.examples import cny
from tests.domain.orders.towns import InCompany, InMemory, Town
from tests.domain.terms.accounts import RECEIPT, WHY

from medsales.company import Company
from medsales.domain.governance.approval import Approve
from medsales.domain.ids import ApprovalId, CreditAccountId, CustomerId, OrderId
from medsales.domain.kernel import Command
from medsales.domain.parties.customer import CustomerKind, RegisterCustomer
from medsales.domain.terms.credit import (
    AgreeCredit,
    AgreeGroupLimit,
    BlockCredit,
    ClearCredit,
    CreditAccount,
    CreditStatus,
    EndOverride,
    HoldCredit,
    Matter,
    RequestOverride,
    UnblockCredit,
)
from medsales.domain.terms.credit_exposure import (
    EndGuarantee,
    EndReservation,
    Means,
    MoveReservation,
    RecordCash,
    RecordGuarantee,
    RecordInvoice,
    RecordSettlement,
    ReleaseReservation,
    ReserveCredit,
    ReturnCash,
    TakeReturn,
)
from medsales.domain.terms.credit_group import JoinGroup, LeaveGroup
from medsales.domain.values import Money

WHOSE = st.integers(0, 2)
ORDERS = st.integers(0, 5)
AMOUNTS = st.integers(1, 60)
LIMITS = st.integers(0, 150)
SELDOM = st.integers(0, 5)
"""What would end a life early is done when this is 0."""
STANDING = {Matter.CLEAR: CreditStatus.ON_HOLD, Matter.UNBLOCK: CreditStatus.BLOCKED}
"""How an account stands as long as this is asked about it."""
lives = count()
NOTHING = Decimal(0)


class CreditLives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.town = self.found()
        life = next(lives)
        self.customers = [CustomerId.of(f"{name}-{life}") for name in ("union", "ruijin", "group")]
        self.accounts = [CreditAccountId.of(customer.key) for customer in self.customers]
        self.orders = [OrderId.of(f"SO{n}-{life}") for n in range(6)]
        self.today = date(2026, 6, 1)
        self.owed: Counter[CreditAccountId] = Counter()
        """What should be owed, counted beside."""
        self.excess = dict.fromkeys(self.accounts, NOTHING)
        self.excused = False
        """Whether the last step may have left more owed than is agreed."""
        self.payments = 0

    def found(self) -> Town:
        return InMemory()

    def tell(self, command: Command[Any], id: str | None = None, by: str = "chen") -> bool:
        """What Chen says alone makes no room anywhere (K1, K4, K7)."""
        before = {id: self.room(id) for id in self.accounts}
        paid = id in {id for id in self.accounts if self.account(id).paid_since_held}
        told = self.town.ask(command, id, by) is None
        if by == "chen" and not self.may_make_room(command, paid=paid):
            assert all(self.room(id) <= room for id, room in before.items()), "nobody does alone"
        return told

    @staticmethod
    def may_make_room(command: Command[Any], *, paid: bool) -> bool:
        """Money does that has come, and what becomes of orders; two persons do the rest."""
        if isinstance(command, RecordSettlement):
            return command.means is Means.PAYMENT
        if isinstance(command, ClearCredit):
            return paid
        return isinstance(command, RecordCash | EndReservation | TakeReturn)

    def room(self, id: CreditAccountId) -> Decimal:
        """For how much could be sold now, at most."""
        account = self.account(id)
        groups = [account, *([self.account(account.head)] if account.head else [])]
        if any(each.stopped() for each in groups):
            return Decimal("-Infinity")
        rooms = [self.left(account.limit, self.exposed(account), account)]
        rooms += [self.left(each.group_limit, self.exposed_as_group(each), each) for each in groups]
        return min(rooms)

    def left(self, limit: Money | None, exposed: Decimal, account: CreditAccount) -> Decimal:
        return limit.amount + self.more(account) - exposed if limit else Decimal("Infinity")

    def account(self, id: CreditAccountId) -> CreditAccount:
        state = self.town.state(id)
        assert isinstance(state, CreditAccount)
        return state

    @initialize()
    def begin(self) -> None:
        for customer in self.customers:
            register = RegisterCustomer(
                number=customer.key,
                kind_of=CustomerKind.HOSPITAL,
                name=customer.key,
                region="华东",
                address="1 Road",
            )
            assert self.tell(register)
        for n in range(3):
            self.agree(n, 100)

    # What is agreed

    @rule(n=WHOSE, limit=LIMITS)
    def agree(self, n: int, limit: int) -> None:
        """Lower at once, higher when somebody else agrees."""
        agree = AgreeCredit(customer=self.customers[n], limit=cny(str(limit)), reason=WHY)
        if self.tell(agree):
            self.excused = True
        self.consent(n)

    def consent(self, n: int) -> None:
        """Somebody else agrees to what is asked; the one who asked may not."""
        pending = self.account(self.accounts[n]).pending
        for number in list(pending):
            approval = ApprovalId.of(self.accounts[n], str(number))
            state: Any = self.town.state(approval)
            approve = Approve(content_hash=state.content_hash)
            assert not self.tell(approve, approval, by="chen")
            assert self.tell(approve, approval, by="wang")

    @rule(n=WHOSE, limit=LIMITS)
    def agree_for_the_group(self, n: int, limit: int) -> None:
        agree = AgreeGroupLimit(limit=cny(str(limit)), reason=WHY)
        if self.tell(agree, self.accounts[n]):
            self.excused = True
        self.consent(n)

    @rule(n=WHOSE, amount=AMOUNTS, days=st.integers(0, 3))
    def override(self, n: int, amount: int, days: int) -> None:
        until = self.today + timedelta(days=days)
        ask = RequestOverride(amount=cny(str(amount)), until=until, reason=WHY)
        self.tell(ask, self.accounts[n])
        self.consent(n)

    @rule(n=WHOSE)
    def end_override(self, n: int) -> None:
        for request in self.account(self.accounts[n]).overrides:
            assert self.tell(EndOverride(request=request, reason=WHY), self.accounts[n])
            self.excused = True
            break

    @rule(n=WHOSE, sure=SELDOM)
    def stop_or_go_on(self, n: int, sure: int) -> None:
        if not sure:
            stop = HoldCredit(reason=WHY) if n else BlockCredit(reason=WHY)
            self.tell(stop, self.accounts[n])
        elif self.account(self.accounts[n]).status is CreditStatus.BLOCKED:
            assert self.tell(UnblockCredit(reason=WHY), self.accounts[n])
            assert self.account(self.accounts[n]).status is CreditStatus.BLOCKED
            self.consent(n)
        else:
            self.tell(ClearCredit(reason=WHY), self.accounts[n])
            self.consent(n)

    @rule()
    def a_day_passes(self) -> None:
        assert isinstance(self.town, InMemory | InCompany)
        if isinstance(self.town, InMemory):
            self.today += timedelta(days=1)
            self.town.now += timedelta(days=1)
            self.excused = True

    # What is owed

    @rule(n=WHOSE, order=ORDERS, amount=AMOUNTS, used=st.booleans(), sure=SELDOM)
    def reserve(self, n: int, order: int, amount: int, sure: int, *, used: bool) -> None:
        reserve = ReserveCredit(
            order=self.orders[order],
            customer=self.customers[n],
            amount=cny(str(amount)),
            used=used and not sure,
        )
        before = self.account(self.accounts[n])
        if not self.tell(reserve):
            return
        self.owed[self.accounts[n]] += amount
        self.excused |= reserve.used
        if not reserve.used:
            head = before.head or self.accounts[n]
            standing = {before.status, self.account(head).status}
            assert standing <= {CreditStatus.ACTIVE, CreditStatus.WATCH}
            assert self.excess_of(self.accounts[n]) == 0, "K2"
            assert self.group_excess_of(head) == 0, "K7"
            assert self.group_excess_of(self.accounts[n]) == 0, "K7"

    @rule(n=WHOSE, order=ORDERS, amount=st.integers(30, 90))
    def reserve_much(self, n: int, order: int, amount: int) -> None:
        self.reserve(n, order, amount, 1, used=False)

    @rule(n=WHOSE, order=ORDERS, amount=AMOUNTS)
    def ship(self, n: int, order: int, amount: int) -> None:
        move = MoveReservation(order=self.orders[order], amount=cny(str(amount)))
        self.tell(move, self.accounts[n])

    @rule(n=WHOSE, order=ORDERS, amount=AMOUNTS)
    def cancel(self, n: int, order: int, amount: int) -> None:
        id, number = self.accounts[n], self.orders[order]
        before = self.account(id).reservations.get(number)
        end = EndReservation(order=number, amount=cny(str(amount)))
        if self.exists(id) and self.tell(end, id) and before:
            self.owed[id] -= int(min(before.confirmed, Decimal(amount)))

    @rule(n=WHOSE, order=ORDERS, amount=AMOUNTS, whole=st.booleans(), alone=st.booleans())
    def give_back(self, n: int, order: int, amount: int, *, whole: bool, alone: bool) -> None:
        """What had not been billed ends; in doubt, when somebody else agrees, and only once."""
        id, number = self.accounts[n], self.orders[order]
        before = self.account(id).reservations.get(number)
        take = TakeReturn(order=number, amount=cny(str(amount)), whole=whole, alone=alone)
        if not self.exists(id) or not self.tell(take, id) or before is None:
            return
        billed = any(invoice.order == number for invoice in self.account(id).invoices.values())
        if whole:
            self.owed[id] -= int(before.shipped)
        elif alone and not billed:
            self.owed[id] -= int(min(before.shipped, Decimal(amount)))

    @rule(n=WHOSE, order=ORDERS, amount=AMOUNTS)
    def release(self, n: int, order: int, amount: int) -> None:
        id, number = self.accounts[n], self.orders[order]
        before = self.account(id).reservations.get(number)
        ask = ReleaseReservation(order=number, amount=cny(str(amount)), reason=WHY)
        if self.exists(id) and self.tell(ask, id):
            assert before is not None
            assert amount <= before.returned <= before.shipped, "K3"
            self.consent(n)
            self.owed[id] -= amount

    def exists(self, id: CreditAccountId) -> bool:
        return self.account(id).customer is not None

    @rule(n=WHOSE, order=ORDERS, amount=AMOUNTS, number=st.integers(0, 3))
    def bill(self, n: int, order: int, amount: int, number: int) -> None:
        bill = RecordInvoice(
            number=f"INV-{number}", order=self.orders[order], amount=cny(str(amount))
        )
        self.tell(bill, self.accounts[n])

    @rule(n=WHOSE)
    def ship_and_bill_what_came_first(self, n: int) -> None:
        id = self.accounts[n]
        number = next(iter(self.account(id).reservations), None)
        if number is None:
            return
        left = self.account(id).reservations[number]
        if left.confirmed:
            move = MoveReservation(order=number, amount=cny(str(left.confirmed)))
            assert self.tell(move, id)
        amount = cny(str(left.confirmed + left.shipped))
        invoice = f"INV-{len(self.account(id).invoices)}-{number.key}"
        assert self.tell(RecordInvoice(number=invoice, order=number, amount=amount), id)

    @rule(n=WHOSE, amount=AMOUNTS, means=st.sampled_from(Means))
    def settle(self, n: int, amount: int, means: Means) -> None:
        id = self.accounts[n]
        account = self.account(id)
        self.payments += 1
        reference = f"P-{self.payments}"
        there = amount
        if means is Means.UNAPPLIED_CASH:
            left = {key: int(cash.amount) for key, cash in account.cash.items() if cash.amount}
            reference, there = next(iter(left.items()), (reference, amount))
        for number, invoice in account.invoices.items():
            some = min(amount, there, int(invoice.open)) or amount
            settle = RecordSettlement(
                invoice=number, means=means, reference=reference, amount=cny(str(some))
            )
            if self.tell(settle, id):
                self.consent(n)
                self.owed[id] -= some * (means is not Means.UNAPPLIED_CASH)
                return

    @rule(n=WHOSE, amount=AMOUNTS, back=st.booleans())
    def cash(self, n: int, amount: int, *, back: bool) -> None:
        id = self.accounts[n]
        self.payments += 1
        reference = next(iter(self.account(id).cash), "none") if back else f"C-{self.payments}"
        kind = ReturnCash if back else RecordCash
        told = kind(reference=reference, amount=cny(str(amount)), evidence=RECEIPT)
        if self.tell(told, id):
            self.owed[id] += amount if back else -amount
            self.excused |= back

    @rule(n=WHOSE, amount=AMOUNTS, days=st.integers(0, 3), given_back=st.booleans())
    def guarantee(self, n: int, amount: int, days: int, *, given_back: bool) -> None:
        """Smaller at once, larger or longer when somebody else agrees."""
        id = self.accounts[n]
        before = self.exposed(self.account(id))
        if given_back:
            self.tell(EndGuarantee(number="G", reason=WHY), id)
        else:
            until = self.today + timedelta(days=days)
            record = RecordGuarantee(
                number="G", guarantor="ICBC", amount=cny(str(amount)), until=until, evidence=RECEIPT
            )
            self.tell(record, id)
        assert self.exposed(self.account(id)) >= before, "nobody alone makes room"
        self.excused = True
        self.consent(n)

    @rule(n=WHOSE, order=ORDERS, amount=AMOUNTS, means=st.sampled_from(Means))
    def sell_bill_and_settle(self, n: int, order: int, amount: int, means: Means) -> None:
        self.reserve(n, order, amount, 1, used=False)
        self.ship_and_bill_what_came_first(n)
        self.cash(n, amount, back=False)
        self.settle(n, amount, means)

    # Groups

    @rule(n=st.integers(0, 2), head=st.integers(1, 2))
    def join(self, n: int, head: int) -> None:
        self.excused |= self.tell(JoinGroup(head=self.accounts[head], reason=WHY), self.accounts[n])

    @rule(n=WHOSE, sure=SELDOM)
    def leave(self, n: int, sure: int) -> None:
        if not sure:
            head = self.account(self.accounts[n]).head
            self.tell(LeaveGroup(reason=WHY), self.accounts[n])
            assert self.account(self.accounts[n]).head == head, "nobody leaves alone"
            self.excused = True
            self.consent(n)

    # What must always be true

    @invariant()
    def exposure_is_the_sum_of_its_parts(self) -> None:
        for id in self.accounts:
            account = self.account(id)
            assert account.owed.get("CNY", NOTHING) == sum(parts_of(account), NOTHING), "K1"
            assert account.owed.get("CNY", NOTHING) == self.owed[id], "K1"

    @invariant()
    def nothing_is_less_than_nothing(self) -> None:
        for id in self.accounts:
            account = self.account(id)
            for reservation in account.reservations.values():
                assert min(reservation.confirmed, reservation.shipped) >= 0, "K3"
                assert reservation.is_open, "what has ended is gone"
            assert all(0 <= invoice.open <= invoice.billed for invoice in account.invoices.values())
            assert all(cash.amount >= 0 for cash in account.cash.values()), "K6"

    @invariant()
    def a_head_knows_what_its_members_owe(self) -> None:
        for id in self.accounts:
            head = self.account(id)
            members = {a for a in self.accounts if self.account(a).head == id}
            assert set(head.members) == members, "K7"
            for member in members:
                assert head.members[member] == self.account(member).owed, "K7"
            assert not (members and head.head), "one level"

    @invariant()
    def nobody_owes_more_than_was_agreed_but_for_a_reason(self) -> None:
        """What is above the limit came there by a lower limit, time, use, or money taken back."""
        for id in self.accounts:
            excess = max(self.excess_of(id), self.group_excess_of(id))
            assert self.excused or excess <= self.excess[id], "K2"
            self.excess[id] = excess
        self.excused = False

    def excess_of(self, id: CreditAccountId) -> Decimal:
        account = self.account(id)
        if account.limit is None:
            return NOTHING
        return max(NOTHING, self.exposed(account) - account.limit.amount - self.more(account))

    def group_excess_of(self, id: CreditAccountId) -> Decimal:
        head = self.account(id)
        if head.group_limit is None:
            return NOTHING
        return max(NOTHING, -self.left(head.group_limit, self.exposed_as_group(head), head))

    def exposed_as_group(self, head: CreditAccount) -> Decimal:
        """Its own, and what each member owes; who has paid in advance pays for nobody else."""
        owed = [self.account(member).owed.get("CNY", NOTHING) for member in head.members]
        return self.exposed(head) + sum((max(each, NOTHING) for each in owed), NOTHING)

    def exposed(self, account: CreditAccount) -> Decimal:
        held = [g.amount.amount for g in account.guarantees.values() if self.today <= g.until]
        return sum(parts_of(account), NOTHING) - sum(held, NOTHING)

    def more(self, account: CreditAccount) -> Decimal:
        valid = [o.amount.amount for o in account.overrides.values() if self.today <= o.until]
        return sum(valid, NOTHING)

    @invariant()
    def nothing_waits_that_is_asked_no_longer(self) -> None:
        for id in self.accounts:
            account = self.account(id)
            pending = [*account.pending.values()]
            once = [each for each in pending if each.matter is not Matter.OVERRIDE]
            assert len(once) == len({(each.matter, each.papers) for each in once})
            for request in pending:
                assert request.matter is not Matter.LEAVE_GROUP or request.head == account.head
                standing = STANDING.get(request.matter, account.status)
                assert account.status is standing, "what it is about has ended"


def parts_of(account: CreditAccount) -> Iterator[Decimal]:
    for reservation in account.reservations.values():
        yield reservation.confirmed + reservation.shipped
    for invoice in account.invoices.values():
        yield invoice.open
    for cash in account.cash.values():
        yield -cash.amount


def test_accounts_live_consistently_in_memory() -> None:
    run_state_machine_as_test(
        CreditLives, settings=settings(max_examples=80, stateful_step_count=40, deadline=None)
    )


def test_accounts_live_consistently_in_the_database(company: Company) -> None:
    town = InCompany(company)

    class LivesInCompany(CreditLives):
        def found(self) -> Town:
            return town

        def teardown(self) -> None:
            town.must_be_reproducible()

    run_state_machine_as_test(
        LivesInCompany, settings=settings(max_examples=5, stateful_step_count=25, deadline=None)
    )
