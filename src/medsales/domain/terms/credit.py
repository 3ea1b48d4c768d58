"""A credit account: what a customer may owe us, what it owes, and who agreed to which exception.

One stream per customer holds all of it, so that two confirmations that race for the last of a
limit meet in it, and one of them is decided again (K2). What is owed comes and goes by
reservations, see credit_exposure.py; limits of groups are in credit_group.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from rpds import HashTrieMap

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Case, RequestApproval, Verdict, VoidApproval
from medsales.domain.ids import ApprovalId, CreditAccountId, CustomerId, OrderId
from medsales.domain.kernel import (
    Aggregate,
    Also,
    Command,
    Event,
    Refused,
    Role,
    Sentence,
    Term,
    Text,
    Value,
)
from medsales.domain.parties.customer import Customer
from medsales.domain.values import Days, Money, day_in_china

K = TypeVar("K")
V = TypeVar("V")
NOTHING = Decimal(0)


class CreditStatus(Term):
    ACTIVE = "active", "正常"
    WATCH = "watch", "关注"
    ON_HOLD = "on_hold", "暂停赊销"
    BLOCKED = "blocked", "冻结"
    CLOSED = "closed", "已关闭"


STOPPED = (CreditStatus.ON_HOLD, CreditStatus.BLOCKED, CreditStatus.CLOSED)
"""Nothing new is sold on an account that stands so."""


class Matter(Term):
    """What about an account needs the consent of somebody else."""

    LIMIT = "limit", "提高信用额度"
    GROUP_LIMIT = "group_limit", "提高集团额度"
    OVERRIDE = "override", "临时额度"
    GUARANTEE = "guarantee", "接受保函"
    CREDIT_NOTE = "credit_note", "贷项通知"
    LEAVE_GROUP = "leave_group", "退出集团"
    RELEASE = "release", "释放退货额度"
    CLEAR = "clear", "恢复赊销"
    UNBLOCK = "unblock", "解除冻结"


class CreditRequest(Value):
    """What somebody else is asked to agree to; its hash is what the consent is bound to."""

    account: CreditAccountId
    number: int
    matter: Matter
    amount: Money | None = None
    payment_days: int | None = None
    until: date | None = None
    reference: str | None = None
    """The number of the guarantee or the credit note, or the order that is released."""
    guarantor: str | None = None
    invoice: str | None = None
    """What the credit note settles."""
    evidence: str | None = None
    head: CreditAccountId | None = None
    """Of the group that is left."""
    reason: str = ""
    """Empty where a paper says why."""
    requested_by: str

    @property
    def papers(self) -> tuple[str | None, str | None]:
        return self.reference, self.invoice

    def repeats(self, other: CreditRequest) -> bool:
        return self == other.model_copy(update={"number": self.number})


class Grant(Value):
    """Who agreed to which request of an account."""

    request: int
    approval: ApprovalId
    content_hash: str
    approvers: tuple[str, ...]
    requested_by: str


@dataclass(frozen=True)
class Reservation:
    """What one order takes of the credit of its customer, until it is billed or cancelled (K3)."""

    currency: str
    confirmed: Decimal = NOTHING
    """Promised and not yet shipped."""
    shipped: Decimal = NOTHING
    """Shipped and not yet billed."""
    returned: Decimal = NOTHING
    """Of what is shipped, so much at most came back; somebody must say what it was."""
    billed: Decimal = NOTHING
    """All that has been billed of the order."""

    @property
    def is_open(self) -> bool:
        return bool(self.confirmed or self.shipped)


@dataclass(frozen=True)
class Invoice:
    """What was billed for an order, and what of it is still to be paid."""

    order: OrderId
    currency: str
    billed: Decimal
    open: Decimal
    references: HashTrieMap[str, Decimal] = field(default_factory=HashTrieMap)
    """Of the payments and credit notes that were counted, and how much each was."""


@dataclass(frozen=True)
class Guarantee:
    """Somebody else's promise to pay; it counts to its last day."""

    amount: Money
    until: date
    guarantor: str
    evidence: str

    def covers(self, other: Guarantee) -> bool:
        """Whether the other one promises no more, from the same guarantor."""
        same = self.guarantor == other.guarantor
        return same and other.until <= self.until and not is_raised(self.amount, other.amount)


@dataclass(frozen=True)
class Override:
    """More than the limit, for a time."""

    amount: Money
    until: date


@dataclass(frozen=True)
class CreditAccount(Aggregate):
    customer: CustomerId | None = None
    status: CreditStatus = CreditStatus.ACTIVE
    limit: Money | None = None
    """None: nothing has been agreed; what is owed is counted and not limited."""
    payment_days: int = 0
    paid_since_held: bool = False
    """Whether money has come since it was put on hold."""
    # What grows with every order is not copied at every fact. These maps have no order of their
    # own: nothing that is decided or shown may depend on it.
    reservations: HashTrieMap[OrderId, Reservation] = field(default_factory=HashTrieMap)
    invoices: HashTrieMap[str, Invoice] = field(default_factory=HashTrieMap)
    cash: HashTrieMap[str, Money] = field(default_factory=HashTrieMap)
    """What is left of payments that no invoice has been named for, by reference."""
    received: HashTrieMap[str, Money] = field(default_factory=HashTrieMap)
    """All that came so, by reference; also what has been used since."""
    guarantees: dict[str, Guarantee] = field(default_factory=dict)
    owed: dict[str, Decimal] = field(default_factory=dict)
    """By currency: reserved and billed, minus unapplied cash. Always the sum of the above."""
    overrides: dict[int, Override] = field(default_factory=dict)
    requests: int = 0
    pending: dict[int, CreditRequest] = field(default_factory=dict)
    head: CreditAccountId | None = None
    """The parent company's account; its group limit is checked as well (K7)."""
    members: HashTrieMap[CreditAccountId, dict[str, Decimal]] = field(default_factory=HashTrieMap)
    """What the members of the group owe, on the account of its head."""
    group_limit: Money | None = None

    def exposure(self, currency: str, on: date) -> Decimal:
        """K1: confirmed, shipped and billed, minus unapplied cash and guarantees."""
        guaranteed = (g.amount for g in self.guarantees.values() if on <= g.until)
        return self.owed.get(currency, NOTHING) - _sum(guaranteed, currency)

    def group_exposure(self, currency: str, on: date) -> Decimal:
        """Guarantees and advances of a member secure that member only."""
        owed = (member.get(currency, NOTHING) for member in self.members.values())
        return self.exposure(currency, on) + sum((max(each, NOTHING) for each in owed), NOTHING)

    def overridden(self, currency: str, on: date) -> Decimal:
        """K4: what may be owed beyond the limit on a day."""
        return _sum((o.amount for o in self.overrides.values() if on <= o.until), currency)

    def objection(
        self, amount: Money, on: date, head: CreditAccount | None = None
    ) -> Sentence | None:
        """Why this is not sold on credit; None where there is room (K2, K7)."""
        return (
            self.stopped()
            or self.beyond(self.limit, self.exposure(amount.currency, on), amount, on)
            # Also of its own group: who has joined another does not escape what was agreed before.
            or self.objection_of_group(amount, on)
            or (head.objection_of_group(amount, on) if head else None)
        )

    def objection_of_group(self, amount: Money, on: date) -> Sentence | None:
        exposure = self.group_exposure(amount.currency, on)
        return self.stopped() or self.beyond(self.group_limit, exposure, amount, on)

    def must_have_room(self, amount: Money, on: date, head: CreditAccount | None) -> None:
        if objection := self.objection(amount, on, head):
            raise Refused("credit.no_room", objection.en, objection.zh)

    def stopped(self) -> Sentence | None:
        """Why nothing new is sold on it at all."""
        if self.status not in STOPPED:
            return None
        return Sentence(
            f"the credit account {self._name} is {self.status.en}",
            f"信用账户 {self._name} {self.status.zh}",
        )

    def beyond(
        self, limit: Money | None, exposure: Decimal, amount: Money, on: date
    ) -> Sentence | None:
        if limit is None:
            return None
        if amount.currency != limit.currency:
            return Sentence(
                f"the credit of {self._name} is agreed in {limit.currency},"
                f" not in {amount.currency}",
                f"{self._name} 的信用以 {limit.currency} 约定, 而非 {amount.currency}",
            )
        allowed = limit.amount + self.overridden(limit.currency, on)
        if exposure + amount.amount <= allowed:
            return None
        return Sentence(
            f"{amount} on top of {exposure} would be more than the {allowed} agreed with"
            f" {self._name}",
            f"现有敞口 {exposure}, 加上 {amount} 将超出 {self._name} 的额度 {allowed}",
        )

    @property
    def _name(self) -> str:
        return self.customer.key if self.customer else ""

    def must_not_be_closed(self) -> None:
        if self.status is CreditStatus.CLOSED:
            raise Refused(
                "credit.closed",
                f"the credit account {self._name} is closed",
                f"信用账户 {self._name} 已关闭",
            )

    def must_be(self, *statuses: CreditStatus) -> None:
        if self.status not in statuses:
            raise Refused(
                "credit.wrong_stage",
                f"the credit account is {self.status.en},"
                f" not {' or '.join(s.en for s in statuses)}",
                f"信用账户{self.status.zh}, 而非{'或'.join(s.zh for s in statuses)}",
            )

    def asked(
        self, title: str, wish: CreditRequest
    ) -> tuple[CreditChangeRequested | CreditRequestWithdrawn | Also, ...]:
        """Has somebody else asked, unless just this waits already; what was asked about the same
        before is asked no longer."""
        if any(wish.repeats(waiting) for waiting in self.pending.values()):
            return ()
        ask = RequestApproval(
            subject=wish.account,
            number=wish.number,
            version=wish.number,
            content_hash=content_hash(wish),
            authors=(wish.requested_by,),
            case=Case(amount=wish.amount),
            title=title,
        )
        requested = CreditChangeRequested(request=wish, content_hash=ask.content_hash)
        earlier = (
            ()
            if wish.matter is Matter.OVERRIDE
            else self.withdrawn(wish.account, wish.matter, of=wish.papers)
        )
        return (*earlier, requested, Also(ask.begins(), ask))

    def withdrawn(
        self,
        id: CreditAccountId,
        *matters: Matter,
        of: tuple[str | None, str | None] | None = None,
    ) -> Iterator[CreditRequestWithdrawn | Also]:
        """What nobody needs to agree to any more; of these papers, or of any."""
        for number, request in self.pending.items():
            if request.matter in matters and of in (None, request.papers):
                reason = "the account has changed since 账户情况已变"
                yield CreditRequestWithdrawn(request=number, reason=reason)
                yield Also(ApprovalId.of(id, str(number)), VoidApproval(reason=reason))

    def without_request(self, grant: Grant | None) -> dict[int, CreditRequest]:
        return without(self.pending, grant.request) if grant else self.pending


def _sum(amounts: Iterator[Money], currency: str) -> Decimal:
    return sum((each.amount for each in amounts if each.currency == currency), NOTHING)


def without(mapping: Mapping[K, V], key: K) -> dict[K, V]:
    return {each: value for each, value in mapping.items() if each != key}


# What is agreed ----------------------------------------------------------------------------------


def is_raised(before: Money | None, after: Money) -> bool:
    """Whether more may be owed than before; where nothing was agreed, everything could be."""
    if before is None:
        return False
    return before.currency != after.currency or before.amount < after.amount


class AgreeCredit(Command[CreditAccount]):
    """Agree how much a customer may owe; to raise it, somebody else must agree as well.

    Lowering takes effect at once, and only for what is confirmed from then on (K8).
    """

    allowed = (Role.FINANCE,)

    customer: CustomerId
    limit: Money
    """Zero for a customer who pays in advance."""
    payment_days: Days = 30
    """Days between the invoice and the day it is due."""
    reason: Text

    def begins(self) -> CreditAccountId:
        return CreditAccountId.of(self.customer.key)

    def decide(
        self,
        account: CreditAccount,
        id: CreditAccountId,
        customer: Customer,  # noqa: ARG002 - named, so that it must exist
        by: str,
    ) -> tuple[Event[CreditAccount] | Also, ...] | None:
        account.must_not_be_closed()
        must_not_be_negative(self.limit)
        if (account.limit, account.payment_days) == (self.limit, self.payment_days):
            return None
        longer = account.limit is not None and self.payment_days > account.payment_days
        if is_raised(account.limit, self.limit) or longer:
            title = f"Credit limit of {self.limit} 信用额度"
            wish = CreditRequest(
                account=id,
                number=account.requests + 1,
                matter=Matter.LIMIT,
                amount=self.limit,
                payment_days=self.payment_days,
                reason=self.reason,
                requested_by=by,
            )
            return account.asked(title, wish)
        agreed = CreditAgreed(
            customer=self.customer,
            limit=self.limit,
            payment_days=self.payment_days,
            reason=self.reason,
        )
        return (*account.withdrawn(id, Matter.LIMIT), agreed)


def must_not_be_negative(amount: Money) -> None:
    if amount.amount < 0:
        raise Refused("credit.negative", f"{amount} is less than nothing", f"{amount} 为负数")


class CreditAgreed(Event[CreditAccount]):
    customer: CustomerId
    limit: Money
    payment_days: int
    reason: str
    grant: Grant | None = None
    """Who agreed to more; none where less was agreed, or the first."""

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(
            account,
            customer=self.customer,
            limit=self.limit,
            payment_days=self.payment_days,
            pending=account.without_request(self.grant),
        )


class AgreeGroupLimit(Command[CreditAccount]):
    """Agree how much a parent company and its group may owe together (K7)."""

    allowed = (Role.FINANCE,)

    limit: Money
    """Of the account itself and all its members."""
    reason: Text

    def decide(
        self, account: CreditAccount, id: CreditAccountId, by: str
    ) -> tuple[Event[CreditAccount] | Also, ...] | None:
        account.must_not_be_closed()
        must_not_be_negative(self.limit)
        if account.group_limit == self.limit:
            return None
        if is_raised(account.group_limit, self.limit):
            title = f"Group limit of {self.limit} 集团额度"
            wish = CreditRequest(
                account=id,
                number=account.requests + 1,
                matter=Matter.GROUP_LIMIT,
                amount=self.limit,
                reason=self.reason,
                requested_by=by,
            )
            return account.asked(title, wish)
        agreed = GroupLimitAgreed(limit=self.limit, reason=self.reason)
        return (*account.withdrawn(id, Matter.GROUP_LIMIT), agreed)


class GroupLimitAgreed(Event[CreditAccount]):
    limit: Money
    reason: str
    grant: Grant | None = None

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        pending = account.without_request(self.grant)
        return replace(account, group_limit=self.limit, pending=pending)


# More than the limit, for a time (K4) ------------------------------------------------------------


class RequestOverride(Command[CreditAccount]):
    """Ask for more than the limit until a day; somebody else must agree (K4)."""

    allowed = (Role.SALES, Role.FINANCE, Role.MANAGER)

    amount: Money
    """On top of the limit; on the account of a group's head, on top of the group's as well."""
    until: date
    """The last day on which it counts."""
    reason: Text

    def decide(
        self, account: CreditAccount, id: CreditAccountId, by: str, now: datetime
    ) -> tuple[Event[CreditAccount] | Also, ...]:
        account.must_not_be_closed()
        must_not_be_negative(self.amount)
        if self.until < day_in_china(now):
            raise Refused(
                "credit.override_over",
                f"{self.until} is over already",
                f"{self.until} 已过, 临时额度无效",
            )
        title = f"{self.amount} more until {self.until} 临时额度"
        wish = CreditRequest(
            account=id,
            number=account.requests + 1,
            matter=Matter.OVERRIDE,
            amount=self.amount,
            until=self.until,
            reason=self.reason,
            requested_by=by,
        )
        return account.asked(title, wish)


class CreditChangeRequested(Event[CreditAccount]):
    request: CreditRequest
    content_hash: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        number = self.request.number
        pending = {**account.pending, number: self.request}
        return replace(account, requests=number, pending=pending)


class WithdrawCreditRequest(Command[CreditAccount]):
    """Ask no longer for what nobody has agreed to yet."""

    allowed = (Role.SALES, Role.FINANCE, Role.MANAGER)

    request: int
    """The number of the request."""
    reason: Text

    def decide(
        self, account: CreditAccount, id: CreditAccountId
    ) -> tuple[CreditRequestWithdrawn | Also, ...]:
        if self.request not in account.pending:
            raise no_such_request(self.request)
        withdrawn = CreditRequestWithdrawn(request=self.request, reason=self.reason)
        approval = ApprovalId.of(id, str(self.request))
        return withdrawn, Also(approval, VoidApproval(reason=self.reason))


def no_such_request(number: int) -> Refused:
    return Refused(
        "credit.request_unknown",
        f"the account has no open request {number}",
        f"该账户没有第 {number} 号待批申请",
    )


class CreditRequestWithdrawn(Event[CreditAccount]):
    request: int
    reason: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(account, pending=without(account.pending, self.request))


class TakeVerdict(Command[CreditAccount]):
    """Hear what became of a request."""

    allowed = ()

    verdict: Verdict

    def decide(
        self, account: CreditAccount, id: CreditAccountId
    ) -> Event[CreditAccount] | tuple[Event[CreditAccount] | Also, ...]:
        verdict = self.verdict
        request = account.pending.get(verdict.version)
        if request is None or content_hash(request) != verdict.content_hash:
            raise no_such_request(verdict.version)
        if not verdict.granted:
            return CreditChangeRejected(request=request.number, reason=verdict.reason or "")
        grant = Grant(
            request=request.number,
            approval=verdict.approval,
            content_hash=verdict.content_hash,
            approvers=verdict.approvers,
            requested_by=request.requested_by,
        )
        return OUTCOMES[request.matter](account, id, request, grant)


class CreditChangeRejected(Event[CreditAccount]):
    request: int
    reason: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(account, pending=without(account.pending, self.request))


class OverrideGranted(Event[CreditAccount]):
    """K4: amount, last day, who asked and who agreed."""

    amount: Money
    until: date
    reason: str
    grant: Grant

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        more = Override(self.amount, self.until)
        overrides = {**account.overrides, self.grant.request: more}
        return replace(account, overrides=overrides, pending=account.without_request(self.grant))


class EndOverride(Command[CreditAccount]):
    """End an override before its last day; what was confirmed under it stays confirmed."""

    allowed = (Role.FINANCE, Role.MANAGER)

    request: int
    """The number of the request that was granted."""
    reason: Text

    def decide(self, account: CreditAccount) -> OverrideEnded:
        if self.request not in account.overrides:
            raise no_such_request(self.request)
        return OverrideEnded(request=self.request, reason=self.reason)


class OverrideEnded(Event[CreditAccount]):
    request: int
    reason: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(account, overrides=without(account.overrides, self.request))


# How the account stands (dunning) ----------------------------------------------------------------


class WatchCredit(Command[CreditAccount]):
    """Keep an eye on an account that is often late; orders go on."""

    allowed = (Role.FINANCE,)

    reason: Text

    def decide(self, account: CreditAccount) -> CreditWatched | None:
        if account.status is CreditStatus.WATCH:
            return None
        account.must_be(CreditStatus.ACTIVE)
        return CreditWatched(reason=self.reason)


class CreditWatched(Event[CreditAccount]):
    reason: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(account, status=CreditStatus.WATCH)


class HoldCredit(Command[CreditAccount]):
    """Sell nothing more on credit until overdue invoices are paid; what is confirmed goes on."""

    allowed = (Role.FINANCE,)

    reason: Text

    def decide(self, account: CreditAccount) -> CreditHeld | None:
        if account.status is CreditStatus.ON_HOLD:
            return None
        account.must_be(CreditStatus.ACTIVE, CreditStatus.WATCH)
        return CreditHeld(reason=self.reason)


class CreditHeld(Event[CreditAccount]):
    reason: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(account, status=CreditStatus.ON_HOLD, paid_since_held=False)


class ClearCredit(Command[CreditAccount]):
    """Sell on credit again: after a payment at once, on an explanation if somebody else agrees."""

    allowed = (Role.FINANCE,)

    reason: Text

    def decide(
        self, account: CreditAccount, id: CreditAccountId, by: str
    ) -> tuple[Event[CreditAccount] | Also, ...] | None:
        if account.status is CreditStatus.ACTIVE:
            return None
        account.must_be(CreditStatus.WATCH, CreditStatus.ON_HOLD)
        if account.status is CreditStatus.ON_HOLD and not account.paid_since_held:
            title = "End a hold without a payment 未付款恢复赊销"
            wish = CreditRequest(
                account=id,
                number=account.requests + 1,
                matter=Matter.CLEAR,
                reason=self.reason,
                requested_by=by,
            )
            return account.asked(title, wish)
        return (*account.withdrawn(id, Matter.CLEAR), CreditCleared(reason=self.reason))


class CreditCleared(Event[CreditAccount]):
    reason: str
    grant: Grant | None = None
    """Who agreed, where nothing had been paid."""

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        pending = account.without_request(self.grant)
        return replace(account, status=CreditStatus.ACTIVE, pending=pending)


class BlockCredit(Command[CreditAccount]):
    """Sell nothing more on credit until two people have decided to."""

    allowed = (Role.FINANCE, Role.MANAGER)

    reason: Text

    def decide(
        self, account: CreditAccount, id: CreditAccountId
    ) -> tuple[Event[CreditAccount] | Also, ...] | None:
        account.must_not_be_closed()
        if account.status is CreditStatus.BLOCKED:
            return None
        return (*account.withdrawn(id, Matter.CLEAR), CreditBlocked(reason=self.reason))


class CreditBlocked(Event[CreditAccount]):
    reason: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(account, status=CreditStatus.BLOCKED)


class UnblockCredit(Command[CreditAccount]):
    """Ask to sell on credit again; somebody else must agree."""

    allowed = (Role.FINANCE,)

    reason: Text

    def decide(
        self, account: CreditAccount, id: CreditAccountId, by: str
    ) -> tuple[Event[CreditAccount] | Also, ...]:
        account.must_be(CreditStatus.BLOCKED)
        title = "Sell on credit again 解除信用冻结"
        wish = CreditRequest(
            account=id,
            number=account.requests + 1,
            matter=Matter.UNBLOCK,
            reason=self.reason,
            requested_by=by,
        )
        return account.asked(title, wish)


class CreditUnblocked(Event[CreditAccount]):
    reason: str
    grant: Grant

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        pending = account.without_request(self.grant)
        return replace(account, status=CreditStatus.ACTIVE, pending=pending)


class CloseCredit(Command[CreditAccount]):
    """Close a blocked account on which nothing is owed any more; for good."""

    allowed = (Role.FINANCE,)

    reason: Text

    def decide(
        self, account: CreditAccount, id: CreditAccountId
    ) -> tuple[Event[CreditAccount] | Also, ...] | None:
        if account.status is CreditStatus.CLOSED:
            return None
        account.must_be(CreditStatus.BLOCKED)
        if any(account.owed.values()) or account.reservations or account.members:
            raise Refused(
                "credit.still_owed",
                "something is still owed on the account, or others are checked against it",
                "该账户仍有未结款项, 或仍为集团其他成员的上级账户",
            )
        return (*account.withdrawn(id, *Matter), CreditClosed(reason=self.reason))


class CreditClosed(Event[CreditAccount]):
    reason: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(account, status=CreditStatus.CLOSED)


# What comes of consent ---------------------------------------------------------------------------

Outcome = tuple[Event[CreditAccount] | Also, ...]


def _limit(
    account: CreditAccount, _: CreditAccountId, request: CreditRequest, grant: Grant
) -> Outcome:
    assert request.amount is not None, "a limit is an amount"
    assert account.customer is not None, "what has a limit belongs to somebody"
    agreed = CreditAgreed(
        customer=account.customer,
        limit=request.amount,
        payment_days=request.payment_days or 0,
        reason=request.reason,
        grant=grant,
    )
    return (agreed,)


def _group_limit(
    _: CreditAccount, __: CreditAccountId, request: CreditRequest, grant: Grant
) -> Outcome:
    assert request.amount is not None, "a limit is an amount"
    return (GroupLimitAgreed(limit=request.amount, reason=request.reason, grant=grant),)


def _override(
    account: CreditAccount, id: CreditAccountId, request: CreditRequest, grant: Grant
) -> Outcome:
    assert request.amount is not None, "an override has an amount"
    assert request.until is not None, "an override has a last day"
    granted = OverrideGranted(
        amount=request.amount, until=request.until, reason=request.reason, grant=grant
    )
    # An approved override ends a hold: who agreed to sell more agreed to sell.
    if account.status is CreditStatus.ON_HOLD:
        cleared = CreditCleared(reason=request.reason)
        return granted, *account.withdrawn(id, Matter.CLEAR), cleared
    return (granted,)


def _clear(
    account: CreditAccount, _: CreditAccountId, request: CreditRequest, grant: Grant
) -> Outcome:
    account.must_be(CreditStatus.ON_HOLD)
    return (CreditCleared(reason=request.reason, grant=grant),)


def _unblock(
    account: CreditAccount, _: CreditAccountId, request: CreditRequest, grant: Grant
) -> Outcome:
    account.must_be(CreditStatus.BLOCKED)
    return (CreditUnblocked(reason=request.reason, grant=grant),)


OUTCOMES: dict[
    Matter, Callable[[CreditAccount, CreditAccountId, CreditRequest, Grant], Outcome]
] = {
    Matter.LIMIT: _limit,
    Matter.GROUP_LIMIT: _group_limit,
    Matter.OVERRIDE: _override,
    Matter.CLEAR: _clear,
    Matter.UNBLOCK: _unblock,
}
"""Those of guarantees, credit notes and groups are added where these are."""
