"""What each customer owes or will: the exposure with all its parts, and what is agreed (K1)."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from medsales.domain.kernel import Value
from medsales.domain.terms import credit, credit_exposure, credit_group
from medsales.domain.terms.credit import CreditStatus
from medsales.domain.terms.credit_exposure import Means, Stage
from medsales.domain.values import Money
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Change, Changes, Projection, Row, on

NOTHING = Decimal(0)


class CreditCard(Row, key=("account",), indexes=(("customer",), ("head",))):
    """A credit account: what is agreed, and how it stands."""

    account: str
    customer: str = ""
    status: str = CreditStatus.ACTIVE
    status_reason: str | None = None
    limit_amount: Decimal | None = None
    """None: nothing has been agreed; what is owed is counted and not limited."""
    limit_currency: str | None = None
    payment_days: int | None = None
    agreed_by: str | None = None
    approved_by: tuple[str, ...] = ()
    """Who agreed to a raise."""
    head: str | None = None
    """The account of the parent company."""
    group_limit: Decimal | None = None
    group_currency: str | None = None


class CreditSum(Row, key=("account", "currency")):
    """The parts of what is owed in one currency."""

    account: str
    currency: str
    confirmed: Decimal = NOTHING
    """Promised and not yet shipped."""
    shipped: Decimal = NOTHING
    """Shipped and not yet billed."""
    invoiced: Decimal = NOTHING
    """Billed and not yet paid."""
    unapplied_cash: Decimal = NOTHING


class OrderOnCredit(Row, key=("account", "order")):
    """What one order takes."""

    account: str
    order: str
    currency: str = ""
    confirmed: Decimal = NOTHING
    shipped: Decimal = NOTHING
    reserved_at: datetime = BEGINNING


class InvoiceOnCredit(Row, key=("account", "invoice")):
    """An invoice, and what of it is still to be paid."""

    account: str
    invoice: str
    order: str = ""
    currency: str = ""
    billed: Decimal = NOTHING
    paid: Decimal = NOTHING
    credited: Decimal = NOTHING
    """By credit notes."""
    billed_at: datetime = BEGINNING


class CashOnAccount(Row, key=("account", "reference")):
    """A payment that belongs to no invoice yet, or what is left of it."""

    account: str
    reference: str
    currency: str = ""
    amount: Decimal = NOTHING
    received_at: datetime = BEGINNING


class GuaranteeHeld(Row, key=("account", "number")):
    """Somebody else's promise to pay; it counts to its last day."""

    account: str
    number: str
    guarantor: str = ""
    currency: str = ""
    amount: Decimal = NOTHING
    until: date = date.min
    evidence: str = ""
    requested_by: str | None = None
    approvers: tuple[str, ...] = ()
    """Who agreed that it counts; nobody where it was made smaller or shorter since."""


class OverrideHeld(Row, key=("account", "request")):
    """More than the limit, for a time (K4)."""

    account: str
    request: int
    currency: str = ""
    amount: Decimal = NOTHING
    until: date = date.min
    reason: str = ""
    requested_by: str = ""
    approvers: tuple[str, ...] = ()


class CreditWish(Row, key=("account", "request")):
    """What waits for the consent of somebody else."""

    account: str
    request: int
    matter: str = ""
    currency: str | None = None
    amount: Decimal | None = None
    payment_days: int | None = None
    until: date | None = None
    reference: str | None = None
    """The number of the guarantee or the credit note, or the order that is released."""
    guarantor: str | None = None
    invoice: str | None = None
    """What the credit note would settle."""
    evidence: str | None = None
    head: str | None = None
    """Of the group that is to be left."""
    reason: str = ""
    requested_by: str = ""
    requested_at: datetime = BEGINNING


class GroupMember(Row, key=("account", "member")):
    """That an account is checked against the group limit of this one."""

    account: str
    """Of the head."""
    member: str
    belongs: bool = False


class MemberOwes(Row, key=("account", "member", "currency")):
    """What a member of the group owes, as the head knows it."""

    account: str
    """Of the head."""
    member: str
    currency: str
    owed: Decimal = NOTHING


class CreditExposure(Projection):
    rows = (
        CreditCard,
        CreditSum,
        OrderOnCredit,
        InvoiceOnCredit,
        CashOnAccount,
        GuaranteeHeld,
        OverrideHeld,
        CreditWish,
        GroupMember,
        MemberOwes,
    )

    # What is agreed

    @on(credit.CreditAgreed)
    def agreed(self, fact: Fact[credit.CreditAgreed]) -> Changes:
        event = fact.event
        yield CreditCard.set(
            fact.subject,
            customer=event.customer,
            limit_amount=event.limit.amount,
            limit_currency=event.limit.currency,
            payment_days=event.payment_days,
            agreed_by=event.grant.requested_by if event.grant else fact.by,
            approved_by=event.grant.approvers if event.grant else (),
        )
        yield CreditSum.add(fact.subject, event.limit.currency, confirmed=NOTHING)
        yield from granted(fact)

    @on(credit.GroupLimitAgreed)
    def group_agreed(self, fact: Fact[credit.GroupLimitAgreed]) -> Changes:
        limit = fact.event.limit
        yield CreditCard.set(fact.subject, group_limit=limit.amount, group_currency=limit.currency)
        yield CreditSum.add(fact.subject, limit.currency, confirmed=NOTHING)
        yield from granted(fact)

    @on(credit.CreditChangeRequested)
    def requested(self, fact: Fact[credit.CreditChangeRequested]) -> Changes:
        wish = fact.event.request
        yield CreditWish.put(
            account=fact.subject,
            request=wish.number,
            matter=wish.matter,
            currency=wish.amount.currency if wish.amount else None,
            amount=wish.amount.amount if wish.amount else None,
            payment_days=wish.payment_days,
            until=wish.until,
            reference=wish.reference,
            guarantor=wish.guarantor,
            invoice=wish.invoice,
            evidence=wish.evidence,
            head=wish.head,
            reason=wish.reason,
            requested_by=wish.requested_by,
            requested_at=fact.effective_at,
        )

    @on(credit.CreditChangeRejected, credit.CreditRequestWithdrawn)
    def not_granted(self, fact: Fact[Any]) -> Changes:
        yield CreditWish.drop(fact.subject, fact.event.request)

    @on(credit.OverrideGranted)
    def overridden(self, fact: Fact[credit.OverrideGranted]) -> Changes:
        event = fact.event
        yield from granted(fact)
        yield OverrideHeld.put(
            account=fact.subject,
            request=event.grant.request,
            currency=event.amount.currency,
            amount=event.amount.amount,
            until=event.until,
            reason=event.reason,
            requested_by=event.grant.requested_by,
            approvers=event.grant.approvers,
        )

    @on(credit.OverrideEnded)
    def override_ended(self, fact: Fact[credit.OverrideEnded]) -> Changes:
        yield OverrideHeld.drop(fact.subject, fact.event.request)

    # How it stands

    @on(credit.CreditWatched)
    def watched(self, fact: Fact[credit.CreditWatched]) -> Changes:
        yield stands(fact, CreditStatus.WATCH)

    @on(credit.CreditHeld)
    def held(self, fact: Fact[credit.CreditHeld]) -> Changes:
        yield stands(fact, CreditStatus.ON_HOLD)

    @on(credit.CreditBlocked)
    def blocked(self, fact: Fact[credit.CreditBlocked]) -> Changes:
        yield stands(fact, CreditStatus.BLOCKED)

    @on(credit.CreditCleared)
    def cleared(self, fact: Fact[credit.CreditCleared]) -> Changes:
        yield stands(fact, CreditStatus.ACTIVE)
        yield from granted(fact)

    @on(credit.CreditUnblocked)
    def unblocked(self, fact: Fact[credit.CreditUnblocked]) -> Changes:
        yield stands(fact, CreditStatus.ACTIVE)
        yield from granted(fact)

    @on(credit.CreditClosed)
    def closed(self, fact: Fact[credit.CreditClosed]) -> Changes:
        yield stands(fact, CreditStatus.CLOSED)

    # What is owed

    @on(credit_exposure.CreditReserved)
    def reserved(self, fact: Fact[credit_exposure.CreditReserved]) -> Changes:
        event, amount = fact.event, fact.event.amount
        yield CreditCard.set(fact.subject, customer=event.customer)
        yield OrderOnCredit.set(
            fact.subject, event.order, currency=amount.currency, reserved_at=fact.effective_at
        )
        yield from booked(fact, amount, +1, event.stage)

    @on(credit_exposure.ReservationShipped)
    def shipped(self, fact: Fact[credit_exposure.ReservationShipped]) -> Changes:
        yield from booked(fact, fact.event.amount, -1, Stage.CONFIRMED)
        yield from booked(fact, fact.event.amount, +1, Stage.SHIPPED)

    @on(credit_exposure.ReservationEnded)
    def ended(self, fact: Fact[credit_exposure.ReservationEnded]) -> Changes:
        yield from booked(fact, fact.event.amount, -1, fact.event.stage)
        yield from granted(fact)

    @on(credit_exposure.OrderInvoiced)
    def invoiced(self, fact: Fact[credit_exposure.OrderInvoiced]) -> Changes:
        event, amount = fact.event, fact.event.amount
        yield from booked(fact, amount, -1, Stage.SHIPPED)
        yield CreditSum.add(fact.subject, amount.currency, invoiced=amount.amount)
        yield InvoiceOnCredit.put(
            account=fact.subject,
            invoice=event.number,
            order=event.order,
            currency=amount.currency,
            billed=amount.amount,
            billed_at=fact.effective_at,
        )

    @on(credit_exposure.InvoiceSettled)
    def settled(self, fact: Fact[credit_exposure.InvoiceSettled]) -> Changes:
        event, amount, currency = fact.event, fact.event.amount.amount, fact.event.amount.currency
        how = "credited" if event.means is Means.CREDIT_NOTE else "paid"
        yield InvoiceOnCredit.add(fact.subject, event.invoice, **{how: amount})
        yield CreditSum.add(fact.subject, currency, invoiced=-amount)
        if event.means is Means.UNAPPLIED_CASH:
            yield CashOnAccount.add(fact.subject, event.reference, amount=-amount)
            yield CreditSum.add(fact.subject, currency, unapplied_cash=-amount)
        yield from granted(fact)

    @on(credit_exposure.CashRecorded)
    def cash_came(self, fact: Fact[credit_exposure.CashRecorded]) -> Changes:
        amount = fact.event.amount
        yield CashOnAccount.put(
            account=fact.subject,
            reference=fact.event.reference,
            currency=amount.currency,
            amount=amount.amount,
            received_at=fact.effective_at,
        )
        yield CreditSum.add(fact.subject, amount.currency, unapplied_cash=amount.amount)

    @on(credit_exposure.CashReturned)
    def cash_went(self, fact: Fact[credit_exposure.CashReturned]) -> Changes:
        amount = fact.event.amount
        yield CashOnAccount.add(fact.subject, fact.event.reference, amount=-amount.amount)
        yield CreditSum.add(fact.subject, amount.currency, unapplied_cash=-amount.amount)

    @on(credit_exposure.GuaranteeRecorded)
    def guaranteed(self, fact: Fact[credit_exposure.GuaranteeRecorded]) -> Changes:
        event = fact.event
        yield GuaranteeHeld.put(
            account=fact.subject,
            number=event.number,
            guarantor=event.guarantor,
            currency=event.amount.currency,
            amount=event.amount.amount,
            until=event.until,
            evidence=event.evidence,
            requested_by=event.grant.requested_by if event.grant else fact.by,
            approvers=event.grant.approvers if event.grant else (),
        )
        yield from granted(fact)

    @on(credit_exposure.GuaranteeEnded)
    def guarantee_ended(self, fact: Fact[credit_exposure.GuaranteeEnded]) -> Changes:
        yield GuaranteeHeld.drop(fact.subject, fact.event.number)

    # Groups

    @on(credit_group.GroupJoined)
    def joined(self, fact: Fact[credit_group.GroupJoined]) -> Changes:
        yield CreditCard.set(fact.subject, head=fact.event.head)

    @on(credit_group.GroupLeft)
    def left(self, fact: Fact[credit_group.GroupLeft]) -> Changes:
        yield CreditCard.set(fact.subject, head=None)
        yield from granted(fact)

    @on(credit_group.MemberJoined)
    def member_joined(self, fact: Fact[credit_group.MemberJoined]) -> Changes:
        yield GroupMember.set(fact.subject, fact.event.member, belongs=True)
        for owed in fact.event.owed:
            yield owes(fact, owed)

    @on(credit_group.MemberNoted)
    def member_noted(self, fact: Fact[credit_group.MemberNoted]) -> Changes:
        yield owes(fact, fact.event.owed)

    @on(credit_group.MemberLeft)
    def member_left(self, fact: Fact[credit_group.MemberLeft]) -> Changes:
        yield GroupMember.set(fact.subject, fact.event.member, belongs=False)


def granted(fact: Fact[Any]) -> Changes:
    """What somebody has agreed to is waited for no longer."""
    if fact.event.grant:
        yield CreditWish.drop(fact.subject, fact.event.grant.request)


def stands(fact: Fact[Any], status: CreditStatus) -> Change:
    return CreditCard.set(fact.subject, status=status, status_reason=fact.event.reason)


def booked(fact: Fact[Any], amount: Money, sign: int, stage: Stage) -> Changes:
    """An amount of an order, at one stage, for the order and for the account."""
    part = {stage.value: sign * amount.amount}
    yield OrderOnCredit.add(fact.subject, fact.event.order, **part)
    yield CreditSum.add(fact.subject, amount.currency, **part)


def owes(fact: Fact[Any], owed: Money) -> Change:
    return MemberOwes.set(fact.subject, fact.event.member, owed.currency, owed=owed.amount)


# Questions ----------------------------------------------------------------------------------------


class ExposureLine(Value):
    """The exposure of an account in one currency, and all it is the sum of (K1)."""

    account: str
    currency: str
    customer: str
    status: str
    confirmed: Decimal
    shipped: Decimal
    invoiced: Decimal
    unapplied_cash: Decimal
    guaranteed: Decimal
    """By guarantees that count on the day."""
    exposure: Decimal
    """Confirmed, shipped and invoiced, minus unapplied cash and guarantees."""
    credit_limit: Decimal | None
    overridden: Decimal
    """By overrides that count on the day (K4)."""
    room: Decimal | None
    """What may still be confirmed; negative after a limit was lowered; none without a limit."""
    members_owe: Decimal
    """Of the group whose head this is; what one has paid in advance is no money of another."""
    group_exposure: Decimal
    group_limit: Decimal | None
    group_room: Decimal | None


EXPOSURES = """
    select x.*,
        x.credit_limit + x.overridden - x.exposure as room,
        x.exposure + x.members_owe as group_exposure,
        x.group_limit + x.overridden - x.exposure - x.members_owe as group_room
    from (
        select s.*, c.customer, c.status, g.guaranteed, o.overridden, m.members_owe,
            s.confirmed + s.shipped + s.invoiced - s.unapplied_cash - g.guaranteed as exposure,
            case when c.limit_currency = s.currency then c.limit_amount end as credit_limit,
            case when c.group_currency = s.currency then c.group_limit end as group_limit
        from credit_sum as s join credit_card as c using (account),
        lateral (
            select coalesce(sum(amount), 0) as guaranteed from guarantee_held as held
            where held.account = s.account and held.currency = s.currency
                and held.until >= %(on)s
        ) as g,
        lateral (
            select coalesce(sum(amount), 0) as overridden from override_held as held
            where held.account = s.account and held.currency = s.currency
                and held.until >= %(on)s
        ) as o,
        lateral (
            select coalesce(sum(greatest(owed, 0)), 0) as members_owe
            from member_owes as member join group_member as joined using (account, member)
            where account = s.account and member.currency = s.currency and joined.belongs
        ) as m
    ) as x
    where (%(account)s::text is null or account = %(account)s)
        and (%(customer)s::text is null or customer = %(customer)s)
        and (%(status)s::text is null or status = %(status)s)
        and (%(over)s::boolean is null or %(over)s = coalesce(
            x.credit_limit + x.overridden < x.exposure
            or x.group_limit + x.overridden < x.exposure + x.members_owe, false
        ))
"""
"""By account and currency: of one customer or all, as they stand, over their limit or not."""
LISTED = (CreditCard, CreditSum, GuaranteeHeld, OverrideHeld, GroupMember, MemberOwes)
"""The rows that the list is made of."""


class GroupMemberSeen(Value):
    member: str
    currency: str
    owed: Decimal


class CreditSeen(Value):
    """A credit account with everything its exposure is made of."""

    account: CreditCard
    on: date
    """The day that guarantees and overrides were judged by."""
    exposures: tuple[ExposureLine, ...]
    """By currency."""
    orders: tuple[OrderOnCredit, ...]
    """Those that still take something."""
    invoices: tuple[InvoiceOnCredit, ...]
    """Those that are still to be paid."""
    cash: tuple[CashOnAccount, ...]
    guarantees: tuple[GuaranteeHeld, ...]
    overrides: tuple[OverrideHeld, ...]
    requests: tuple[CreditWish, ...]
    members: tuple[GroupMemberSeen, ...]


MOST = 1000
"""Of each kind in one view; the sums are those of all."""


def credit_seen(db: Db, id: str, on: date) -> CreditSeen | None:
    row = db.execute("select * from credit_card where account = %s", (id,)).fetchone()
    if row is None:
        return None

    def told(query: str) -> list[dict[str, Any]]:
        return db.execute(query, {"id": id, "most": MOST}).fetchall()

    given = {"on": on, "account": id, "customer": None, "status": None, "over": None}
    lines = db.execute(EXPOSURES + " order by currency", given).fetchall()
    return CreditSeen(
        account=CreditCard(**row),
        on=on,
        exposures=tuple(ExposureLine(**line) for line in lines),
        orders=tuple(OrderOnCredit(**part) for part in told(ORDERS)),
        invoices=tuple(InvoiceOnCredit(**part) for part in told(INVOICES)),
        cash=tuple(CashOnAccount(**part) for part in told(CASH)),
        guarantees=tuple(GuaranteeHeld(**part) for part in told(GUARANTEES)),
        overrides=tuple(OverrideHeld(**part) for part in told(OVERRIDES)),
        requests=tuple(CreditWish(**part) for part in told(WISHES)),
        members=tuple(GroupMemberSeen(**part) for part in told(MEMBERS)),
    )


ORDERS = """
    select * from order_on_credit where account = %(id)s and (confirmed <> 0 or shipped <> 0)
    order by reserved_at, "order" limit %(most)s
"""
INVOICES = """
    select * from invoice_on_credit where account = %(id)s and billed > paid + credited
    order by billed_at, invoice limit %(most)s
"""
CASH = """
    select * from cash_on_account where account = %(id)s and amount <> 0
    order by received_at, reference limit %(most)s
"""
GUARANTEES = "select * from guarantee_held where account = %(id)s order by number limit %(most)s"
OVERRIDES = "select * from override_held where account = %(id)s order by request limit %(most)s"
WISHES = "select * from credit_wish where account = %(id)s order by request limit %(most)s"
MEMBERS = """
    select owed.member, owed.currency, owed.owed
    from member_owes as owed join group_member as joined using (account, member)
    where account = %(id)s and joined.belongs order by member, currency limit %(most)s
"""
