"""What a customer owes or will: reservations of orders, invoices, cash and guarantees (K1, K3).

An order reserves when it is confirmed; what is shipped moves from confirmed to shipped, what is
billed from there into an invoice, and what is cancelled or returned ends. Nothing ends twice.
Whether goods that came back had been billed is not in an amount: in doubt they are owed until
somebody has said so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from rpds import HashTrieMap

from medsales.domain.ids import CreditAccountId, CustomerId, OrderId
from medsales.domain.kernel import Also, Command, Event, Key, Refused, Role, Term, Text
from medsales.domain.terms.credit import (
    NOTHING,
    OUTCOMES,
    CreditAccount,
    CreditRequest,
    Grant,
    Guarantee,
    Invoice,
    Matter,
    Outcome,
    Reservation,
    must_not_be_negative,
    without,
)
from medsales.domain.terms.credit_group import told_to_head
from medsales.domain.values import Evidence, Money, day_in_china

Happened = tuple[Event[CreditAccount] | Also, ...]
MOST = Decimal(10) ** 13
"""More than this is a typing error; it also keeps sums within the digits of Money."""


class Stage(Term):
    """How far an amount of an order has come on its way to an invoice."""

    CONFIRMED = "confirmed", "已确认未发货"
    SHIPPED = "shipped", "已发货未开票"


class Ending(Term):
    """Why a part of a reservation ends without an invoice."""

    CANCELLED = "cancelled", "订单取消"
    RETURNED = "returned", "退货"


def must_be_bookable(account: CreditAccount, amount: Money) -> None:
    must_not_be_negative(amount)
    if abs(account.owed.get(amount.currency, NOTHING)) + amount.amount > MOST:
        raise Refused(
            "credit.amount_too_large",
            f"{amount} is more than an account can hold",
            f"{amount} 超出账户可记录的金额",
        )


def with_owed(account: CreditAccount, amount: Money, sign: int) -> dict[str, Decimal]:
    before = account.owed.get(amount.currency, NOTHING)
    return {**account.owed, amount.currency: before + sign * amount.amount}


def with_reservation(
    account: CreditAccount, order: OrderId, currency: str, **parts: Decimal
) -> HashTrieMap[OrderId, Reservation]:
    """The reservations after these were added to that of the order; empty ones are gone."""
    before = account.reservations.get(order, Reservation(currency))
    after = replace(before, **{name: getattr(before, name) + parts[name] for name in parts})
    if not after.is_open:
        return account.reservations.discard(order)
    # What has been billed, released or credited did not come back unbilled.
    returned = min(max(after.returned, NOTHING), after.shipped)
    return account.reservations.insert(order, replace(after, returned=returned))


# Orders ------------------------------------------------------------------------------------------


class ReserveCredit(Command[CreditAccount]):
    """Take from the credit of a customer what a confirmed order will cost (K2, D4)."""

    allowed = ()

    order: OrderId
    customer: CustomerId
    amount: Money
    used: bool = False
    """The goods have been used already: the debt exists, whatever was agreed."""

    def begins(self) -> CreditAccountId:
        return CreditAccountId.of(self.customer.key)

    def decide(
        self,
        account: CreditAccount,
        id: CreditAccountId,
        head: CreditAccount | None,
        now: datetime,
    ) -> Happened:
        must_be_bookable(account, self.amount)
        if self.order in account.reservations:
            raise Refused(
                "credit.reserved_already",
                f"{self.order} has reserved already",
                f"{self.order} 已占用信用额度",
            )
        if not self.used:
            account.must_have_room(self.amount, day_in_china(now), head)
        reserved = CreditReserved(
            customer=self.customer,
            order=self.order,
            amount=self.amount,
            stage=Stage.SHIPPED if self.used else Stage.CONFIRMED,
        )
        return reserved, *told_to_head(id, account, self.amount.currency, reserved)


class CreditReserved(Event[CreditAccount]):
    customer: CustomerId
    order: OrderId
    amount: Money
    stage: Stage

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        part = {self.stage.value: self.amount.amount}
        return replace(
            account,
            customer=self.customer,
            reservations=with_reservation(account, self.order, self.amount.currency, **part),
            owed=with_owed(account, self.amount, +1),
        )


class MoveReservation(Command[CreditAccount]):
    """Note that so much of an order has been shipped."""

    allowed = ()

    order: OrderId
    amount: Money

    def decide(self, account: CreditAccount) -> ReservationShipped:
        must_be_reserved(account, self.order, Stage.CONFIRMED, self.amount)
        return ReservationShipped(order=self.order, amount=self.amount)


def left_of(account: CreditAccount, order: OrderId, stage: Stage) -> Decimal:
    reservation = account.reservations.get(order)
    if reservation is None:
        return NOTHING
    return reservation.confirmed if stage is Stage.CONFIRMED else reservation.shipped


def must_be_reserved(account: CreditAccount, order: OrderId, stage: Stage, amount: Money) -> None:
    """K3: what has ended does not end again."""
    left = left_of(account, order, stage)
    if amount.amount > left:
        raise Refused(
            "credit.more_than_reserved",
            f"{left} of {order} is {stage.en}, not {amount}",
            f"{order} {stage.zh}金额为 {left}, 不足 {amount}",
        )


class ReservationShipped(Event[CreditAccount]):
    order: OrderId
    amount: Money

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        amount, currency = self.amount.amount, self.amount.currency
        return replace(
            account,
            reservations=with_reservation(
                account, self.order, currency, confirmed=-amount, shipped=amount
            ),
        )


class EndReservation(Command[CreditAccount]):
    """End what an order reserved, as far as it is cancelled before it was shipped (K3)."""

    allowed = ()

    order: OrderId
    amount: Money

    def decide(self, account: CreditAccount, id: CreditAccountId) -> Happened | None:
        ended = min(self.amount.amount, left_of(account, self.order, Stage.CONFIRMED))
        if not ended:
            return None
        event = ReservationEnded(
            order=self.order,
            amount=Money(amount=ended, currency=self.amount.currency),
            stage=Stage.CONFIRMED,
            why=Ending.CANCELLED,
        )
        return event, *told_to_head(id, account, self.amount.currency, event)


class TakeReturn(Command[CreditAccount]):
    """End what an order reserved for goods that came back, as far as that is certain (K3).

    In doubt it is noted: what is reserved may be for other goods, which the customer keeps.
    """

    allowed = ()

    order: OrderId
    amount: Money
    """What the goods cost that came back."""
    whole: bool
    """The customer keeps nothing of the order."""
    alone: bool
    """The price of the goods did not depend on others that the customer keeps."""

    def decide(self, account: CreditAccount, id: CreditAccountId) -> Happened:
        events = tuple(self._happened(account))
        return (*events, *told_to_head(id, account, self.amount.currency, *events))

    def _happened(self, account: CreditAccount) -> Iterator[Event[CreditAccount]]:
        ended = self._certain(account)
        if ended:
            yield ReservationEnded(
                order=self.order,
                amount=Money(amount=ended, currency=self.amount.currency),
                stage=Stage.SHIPPED,
                why=Ending.RETURNED,
            )
        if ended < self.amount.amount:
            rest = Money(amount=self.amount.amount - ended, currency=self.amount.currency)
            yield ReturnNoted(order=self.order, amount=rest)

    def _certain(self, account: CreditAccount) -> Decimal:
        reservation = account.reservations.get(self.order)
        if reservation is None:
            return NOTHING
        if self.whole:
            return reservation.shipped
        known = self.alone and not reservation.billed
        return min(self.amount.amount, reservation.shipped) if known else NOTHING


class ReturnNoted(Event[CreditAccount]):
    """Goods came back, and are owed until they are released or an invoice is credited."""

    order: OrderId
    amount: Money

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        amount, currency = self.amount.amount, self.amount.currency
        noted = with_reservation(account, self.order, currency, returned=amount)
        return replace(account, reservations=noted)


class ReleaseReservation(Command[CreditAccount]):
    """Ask that goods which came back unbilled are owed no longer; somebody else must agree (K3).

    What has been billed is owed until a credit note says otherwise.
    """

    allowed = (Role.FINANCE, Role.MANAGER)

    order: OrderId
    amount: Money
    """What of it came back and has not been billed."""
    reason: Text

    def decide(self, account: CreditAccount, id: CreditAccountId, by: str) -> Happened:
        must_have_come_back(account, self.order, self.amount)
        title = f"Release {self.amount} of {self.order}, returned 释放退货额度"
        wish = CreditRequest(
            account=id,
            number=account.requests + 1,
            matter=Matter.RELEASE,
            amount=self.amount,
            reference=self.order,
            reason=self.reason,
            requested_by=by,
        )
        return account.asked(title, wish)


def must_have_come_back(account: CreditAccount, order: OrderId, amount: Money) -> None:
    reservation = account.reservations.get(order)
    must_be_in_currency_of(reservation, amount)
    left = reservation.returned if reservation else NOTHING
    if not 0 < amount.amount <= left:
        raise Refused(
            "credit.more_than_returned",
            f"at most {left} of {order} came back unbilled, not {amount}",
            f"{order} 退回且未开票的金额至多为 {left}, 而非 {amount}",
        )


def _release(
    account: CreditAccount, id: CreditAccountId, request: CreditRequest, grant: Grant
) -> Outcome:
    assert request.amount is not None, "a release has an amount"
    assert request.reference is not None, "a release names its order"
    order = OrderId(request.reference)
    must_have_come_back(account, order, request.amount)
    ended = ReservationEnded(
        order=order, amount=request.amount, stage=Stage.SHIPPED, why=Ending.RETURNED, grant=grant
    )
    return ended, *told_to_head(id, account, request.amount.currency, ended)


OUTCOMES[Matter.RELEASE] = _release


class ReservationEnded(Event[CreditAccount]):
    order: OrderId
    amount: Money
    stage: Stage
    why: Ending
    grant: Grant | None = None
    """Who agreed that this is what came back; none where that is certain."""

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        part = {self.stage.value: -self.amount.amount}
        if self.grant:
            part["returned"] = -self.amount.amount
        return replace(
            account,
            reservations=with_reservation(account, self.order, self.amount.currency, **part),
            owed=with_owed(account, self.amount, -1),
            pending=account.without_request(self.grant),
        )


# Invoices and money, until receivables have streams of their own ---------------------------------


class RecordInvoice(Command[CreditAccount]):
    """Bill what has been shipped of an order: the reservation ends, the receivable begins (K3)."""

    allowed = (Role.FINANCE,)

    number: Key
    """The number of the invoice, used once."""
    order: OrderId
    """What was shipped under it is billed."""
    amount: Money
    evidence: Evidence | None = None

    def decide(self, account: CreditAccount) -> OrderInvoiced | None:
        known = account.invoices.get(self.number)
        if known is not None:
            self._must_be_the_same(known)
            return None
        must_not_be_negative(self.amount)
        must_be_reserved(account, self.order, Stage.SHIPPED, self.amount)
        must_be_in_currency_of(account.reservations.get(self.order), self.amount)
        return OrderInvoiced(
            number=self.number, order=self.order, amount=self.amount, evidence=self.evidence
        )

    def _must_be_the_same(self, known: Invoice) -> None:
        billed = Money(amount=known.billed, currency=known.currency)
        if (known.order, billed) != (self.order, self.amount):
            raise Refused(
                "credit.invoice_taken",
                f"the invoice {self.number} is another: {billed} for {known.order}",
                f"发票 {self.number} 已用于 {known.order}, 金额 {billed}",
            )


def must_be_in_currency_of(part: Reservation | Invoice | Money | None, amount: Money) -> None:
    if part is not None:
        amount.must_be_in(part.currency)


class OrderInvoiced(Event[CreditAccount]):
    number: str
    order: OrderId
    amount: Money
    evidence: str | None = None

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        billed, currency = self.amount.amount, self.amount.currency
        invoice = Invoice(self.order, currency, billed=billed, open=billed)
        return replace(
            account,
            reservations=with_reservation(
                account, self.order, currency, shipped=-billed, billed=billed
            ),
            invoices=account.invoices.insert(self.number, invoice),
        )


class Means(Term):
    """By what an invoice is settled."""

    PAYMENT = "payment", "付款"
    UNAPPLIED_CASH = "unapplied_cash", "预收款核销"
    CREDIT_NOTE = "credit_note", "贷项通知"


class RecordSettlement(Command[CreditAccount]):
    """Settle an invoice or a part of it: by a payment, cash on account, or a credit note (K5).

    A credit note brings no money: it counts once somebody else has agreed.
    """

    allowed = (Role.FINANCE,)

    invoice: Key
    """Its number."""
    means: Means
    reference: Key
    """Of the payment or credit note, counted once; of the cash on account that is used."""
    amount: Money
    evidence: Evidence | None = None

    def decide(self, account: CreditAccount, id: CreditAccountId, by: str) -> Happened | None:
        invoice = account.invoices.get(self.invoice)
        if invoice is None:
            raise no_such("invoice", "发票", self.invoice)
        must_be_in_currency_of(invoice, self.amount)
        if self.means is not Means.UNAPPLIED_CASH and self.reference in invoice.references:
            must_be_the_same_payment(
                self.reference, invoice.references[self.reference], self.amount
            )
            return None
        must_not_be_negative(self.amount)
        must_be_open(self.invoice, invoice, self.amount)
        if self.means is Means.UNAPPLIED_CASH:
            must_be_on_account(account, self.reference, self.amount)
        if self.means is Means.CREDIT_NOTE:
            title = f"Credit note {self.reference} of {self.amount} 贷项通知"
            wish = CreditRequest(
                account=id,
                number=account.requests + 1,
                matter=Matter.CREDIT_NOTE,
                amount=self.amount,
                reference=self.reference,
                invoice=self.invoice,
                evidence=self.evidence,
                requested_by=by,
            )
            return account.asked(title, wish)
        settled = InvoiceSettled(**self.model_dump(), order=invoice.order)
        return settled, *told_to_head(id, account, self.amount.currency, settled)


def must_be_the_same_payment(reference: str, known: Decimal, amount: Money) -> None:
    """What is told twice is counted once; something else under its name is told to be so."""
    if known != amount.amount:
        raise Refused(
            "credit.reference_taken",
            f"{reference} was counted as {known} before, not as {amount}",
            f"{reference} 已按 {known} 入账, 而非 {amount}",
        )


def no_such(what: str, zh: str, key: str) -> Refused:
    return Refused("credit.no_such_part", f"there is no {what} {key}", f"没有{zh} {key}")


def more_than_open(what: str, left: Decimal, amount: Money) -> Refused:
    return Refused(
        "credit.more_than_open",
        f"{left} of {what} is open, not {amount}",
        f"{what} 未结金额为 {left}, 不足 {amount}",
    )


def must_be_open(number: str, invoice: Invoice, amount: Money) -> None:
    if amount.amount > invoice.open:
        raise more_than_open(number, invoice.open, amount)


def must_be_on_account(account: CreditAccount, reference: str, amount: Money) -> None:
    cash = account.cash.get(reference)
    if cash is None:
        raise no_such("cash on account", "预收款", reference)
    must_be_in_currency_of(cash, amount)
    if amount.amount > cash.amount:
        raise more_than_open(reference, cash.amount, amount)


class InvoiceSettled(Event[CreditAccount]):
    invoice: str
    order: OrderId
    means: Means
    reference: str
    amount: Money
    evidence: str | None = None
    grant: Grant | None = None
    """Who agreed to a credit note."""

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        invoice = account.invoices[self.invoice]
        settled = replace(
            invoice,
            open=invoice.open - self.amount.amount,
            references=invoice.references.insert(self.reference, self.amount.amount),
        )
        by_cash = self.means is Means.UNAPPLIED_CASH
        returned = -self.amount.amount if self.means is Means.CREDIT_NOTE else NOTHING
        is_paid = self.means is not Means.CREDIT_NOTE and self.amount.amount > 0
        return replace(
            account,
            invoices=account.invoices.insert(self.invoice, settled),
            # What is credited is not released as well.
            reservations=with_reservation(
                account, self.order, self.amount.currency, returned=returned
            ),
            cash=with_cash(account, self.reference, self.amount, -by_cash),
            # What is paid from cash on account was subtracted when the cash came.
            owed=with_owed(account, self.amount, by_cash - 1),
            paid_since_held=account.paid_since_held or is_paid,
            pending=account.without_request(self.grant),
        )


def _credit_note(
    account: CreditAccount, id: CreditAccountId, request: CreditRequest, grant: Grant
) -> Outcome:
    assert request.amount is not None, "a credit note has an amount"
    assert request.invoice is not None, "a credit note settles an invoice"
    assert request.reference is not None, "a credit note has a number"
    invoice = account.invoices[request.invoice]
    must_not_be_counted(invoice, request.reference)
    must_be_open(request.invoice, invoice, request.amount)
    settled = InvoiceSettled(
        invoice=request.invoice,
        order=invoice.order,
        means=Means.CREDIT_NOTE,
        reference=request.reference,
        amount=request.amount,
        evidence=request.evidence,
        grant=grant,
    )
    return settled, *told_to_head(id, account, request.amount.currency, settled)


def must_not_be_counted(invoice: Invoice, reference: str) -> None:
    """A payment may have come under the same name while the credit note was waiting."""
    if reference in invoice.references:
        raise Refused(
            "credit.reference_taken",
            f"{reference} has been counted as {invoice.references[reference]} since",
            f"{reference} 此后已按 {invoice.references[reference]} 入账",
        )


OUTCOMES[Matter.CREDIT_NOTE] = _credit_note


def with_cash(
    account: CreditAccount, reference: str, amount: Money, sign: int
) -> HashTrieMap[str, Money]:
    if not sign:
        return account.cash
    before = account.cash.get(reference, Money(amount=NOTHING, currency=amount.currency))
    return account.cash.insert(reference, before + amount * sign)


class RecordCash(Command[CreditAccount]):
    """Note a payment that belongs to no invoice yet: an advance, or money of unclear purpose."""

    allowed = (Role.FINANCE,)

    reference: Key
    """Of the payment, as the bank gives it; counted once."""
    amount: Money
    evidence: Evidence
    """The statement of the bank."""

    def decide(self, account: CreditAccount, id: CreditAccountId) -> Happened | None:
        known = account.received.get(self.reference)
        if known is not None:
            must_be_in_currency_of(known, self.amount)
            must_be_the_same_payment(self.reference, known.amount, self.amount)
            return None
        must_be_bookable(account, self.amount)
        recorded = CashRecorded(**self.model_dump())
        return recorded, *told_to_head(id, account, self.amount.currency, recorded)


class CashRecorded(Event[CreditAccount]):
    reference: str
    amount: Money
    evidence: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(
            account,
            cash=with_cash(account, self.reference, self.amount, +1),
            received=account.received.insert(self.reference, self.amount),
            owed=with_owed(account, self.amount, -1),
            paid_since_held=account.paid_since_held or self.amount.amount > 0,
        )


class ReturnCash(Command[CreditAccount]):
    """Pay cash on account back to the customer."""

    allowed = (Role.FINANCE,)

    reference: Key
    """Of the payment it came by."""
    amount: Money
    evidence: Evidence
    """The order to the bank."""

    def decide(self, account: CreditAccount, id: CreditAccountId) -> Happened:
        must_not_be_negative(self.amount)
        must_be_on_account(account, self.reference, self.amount)
        returned = CashReturned(**self.model_dump())
        return returned, *told_to_head(id, account, self.amount.currency, returned)


class CashReturned(Event[CreditAccount]):
    reference: str
    amount: Money
    evidence: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(
            account,
            cash=with_cash(account, self.reference, self.amount, -1),
            owed=with_owed(account, self.amount, +1),
            paid_since_held=False,
        )


class RecordGuarantee(Command[CreditAccount]):
    """Have it counted that somebody else, mostly a bank, pays if the customer does not (K1).

    Somebody else must agree, as to a higher limit; to a smaller or shorter one nobody must.
    """

    allowed = (Role.FINANCE,)

    number: Key
    """Of the letter of guarantee."""
    guarantor: Text
    """Who pays."""
    amount: Money
    until: date
    """The last day on which it counts."""
    evidence: Evidence

    def decide(self, account: CreditAccount, id: CreditAccountId, by: str) -> Happened | None:
        account.must_not_be_closed()
        must_not_be_negative(self.amount)
        recorded = GuaranteeRecorded(**self.model_dump())
        known, offered = account.guarantees.get(self.number), recorded.guarantee
        if known == offered:
            return None
        if known is None or not known.covers(offered):
            title = f"Guarantee {self.number} of {self.amount} until {self.until} 保函"
            wish = CreditRequest(
                account=id,
                number=account.requests + 1,
                matter=Matter.GUARANTEE,
                amount=self.amount,
                until=self.until,
                reference=self.number,
                guarantor=self.guarantor,
                evidence=self.evidence,
                requested_by=by,
            )
            return account.asked(title, wish)
        return (*account.withdrawn(id, Matter.GUARANTEE, of=(self.number, None)), recorded)


class GuaranteeRecorded(Event[CreditAccount]):
    number: str
    guarantor: str
    amount: Money
    until: date
    evidence: str
    grant: Grant | None = None
    """Who agreed that it counts; none where it was made smaller or shorter."""

    @property
    def guarantee(self) -> Guarantee:
        return Guarantee(self.amount, self.until, self.guarantor, self.evidence)

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(
            account,
            guarantees={**account.guarantees, self.number: self.guarantee},
            pending=account.without_request(self.grant),
        )


def _guarantee(
    _: CreditAccount, __: CreditAccountId, request: CreditRequest, grant: Grant
) -> Outcome:
    assert request.amount is not None, "a guarantee has an amount"
    assert request.until is not None, "a guarantee has a last day"
    assert request.reference is not None, "a guarantee has a number"
    recorded = GuaranteeRecorded(
        number=request.reference,
        guarantor=request.guarantor or "",
        amount=request.amount,
        until=request.until,
        evidence=request.evidence or "",
        grant=grant,
    )
    return (recorded,)


OUTCOMES[Matter.GUARANTEE] = _guarantee


class EndGuarantee(Command[CreditAccount]):
    """Give a guarantee back before its last day."""

    allowed = (Role.FINANCE,)

    number: Key
    """Of the letter of guarantee."""
    reason: Text

    def decide(self, account: CreditAccount, id: CreditAccountId) -> Happened:
        if self.number not in account.guarantees:
            raise no_such("guarantee", "保函", self.number)
        ended = GuaranteeEnded(number=self.number, reason=self.reason)
        return (*account.withdrawn(id, Matter.GUARANTEE, of=(self.number, None)), ended)


class GuaranteeEnded(Event[CreditAccount]):
    number: str
    reason: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(account, guarantees=without(account.guarantees, self.number))
