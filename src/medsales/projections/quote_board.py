"""The quote board: every quote, its versions, and every line that a customer was ever offered."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from medsales.domain.governance.approval_flow import Case
from medsales.domain.governance.licence import GateEvaluated
from medsales.domain.kernel import Value
from medsales.domain.sales import quote
from medsales.domain.sales.offer import QuoteContent, QuotedLine, Written
from medsales.domain.sales.quote import QuoteStatus
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Change, Changes, Projection, Row, on


class QuoteCard(
    Row, key=("quote",), indexes=(("customer", "quote"), ("status", "quote"), ("price_matrix",))
):
    """A quote: its current version, and how far that has come."""

    quote: str
    customer: str = ""
    price_matrix: str = ""
    tender: str | None = None
    version: int = 0
    status: str = ""
    amount: Decimal = Decimal(0)
    currency: str = ""
    discount: Decimal = Decimal(0)
    """The deepest one of all lines, in percent off the price in force."""
    below_floor: bool = False
    valid_until: date = date.min
    approval: str | None = None
    """The one it waits for, or was given."""
    drafted_at: datetime = BEGINNING
    drafted_by: str = ""
    issued_at: datetime | None = None
    """When the current version was issued."""
    accepted_at: datetime | None = None
    accepted_by: str | None = None
    """Who accepted it at the customer."""
    converted_into: str | None = None


class Shown(Value):
    """What a version says, as far as it has come."""

    written: Written
    lines: tuple[QuotedLine, ...]
    content: QuoteContent | None = None
    """What the customer sees, from the submission on."""
    case: Case | None = None
    gates: tuple[GateEvaluated, ...] = ()


class QuoteVersionCard(Row, key=("quote", "version")):
    """A version of a quote: what it says, who wrote and approved it, what became of it."""

    quote: str
    version: int
    status: str = ""
    shown: Shown | None = None
    """Its lines with the reason of each price (Q1), and what the customer sees."""
    content_hash: str | None = None
    approval: str | None = None
    approvers: tuple[str, ...] = ()
    """Nobody where it was within the seller's own limit."""
    written_by: str = ""
    """Who wrote it last."""
    submitted_by: str | None = None
    submitted_at: datetime | None = None
    approved_at: datetime | None = None
    issued_at: datetime | None = None
    ended_at: datetime | None = None
    """When it was superseded, accepted, declined, withdrawn, or its time was over."""
    reason: str | None = None
    """Why it was rejected, revised, declined, withdrawn or voided."""
    evidence: str | None = None
    """Of the acceptance."""


class IssuedLine(Row, key=("quote", "version", "line"), indexes=(("price_matrix", "quote"),)):
    """A line that was offered to a customer; nothing that comes later changes it (P7)."""

    quote: str
    version: int
    line: int
    customer: str = ""
    price_matrix: str = ""
    product: str = ""
    quantity: int = 0
    price: Decimal = Decimal(0)
    """Offered, of one piece."""
    in_force: Decimal = Decimal(0)
    """What the price matrix asked for one piece."""
    currency: str = ""
    price_version: int = 0
    issued_at: datetime = BEGINNING


class QuoteBoard(Projection):
    rows = (QuoteCard, QuoteVersionCard, IssuedLine)

    @on(quote.QuoteDrafted)
    def drafted(self, fact: Fact[quote.QuoteDrafted]) -> Changes:
        event = fact.event
        yield QuoteCard.put(
            quote=fact.subject,
            customer=event.customer,
            price_matrix=event.price_matrix,
            version=event.version,
            status=QuoteStatus.DRAFT,
            drafted_at=fact.effective_at,
            drafted_by=fact.by,
            **totals(event.written, event.lines),
        )
        yield begun(fact.subject, event.version, event.author, event.written, event.lines)

    @on(quote.QuoteEdited)
    def edited(self, fact: Fact[quote.QuoteEdited]) -> Changes:
        event = fact.event
        yield QuoteCard.set(fact.subject, **totals(event.written, event.lines))
        yield QuoteVersionCard.set(
            fact.subject,
            event.version,
            written_by=event.author,
            shown=Shown(written=event.written, lines=event.lines),
        )

    @on(quote.QuoteSubmitted)
    def submitted(self, fact: Fact[quote.QuoteSubmitted]) -> Changes:
        event = fact.event
        status = QuoteStatus.PENDING_APPROVAL
        shown = Shown(
            written=event.written,
            lines=event.lines,
            content=event.content,
            case=event.case,
            gates=event.gates,
        )
        yield QuoteCard.set(
            fact.subject,
            status=status,
            approval=event.approval,
            **totals(event.written, event.lines),
        )
        yield QuoteVersionCard.set(
            fact.subject,
            event.version,
            status=status,
            shown=shown,
            content_hash=event.content_hash,
            approval=event.approval,
            submitted_by=event.submitter,
            submitted_at=fact.effective_at,
        )

    @on(quote.QuoteApproved)
    def approved(self, fact: Fact[quote.QuoteApproved]) -> Changes:
        return moved(
            fact,
            QuoteStatus.APPROVED,
            approvers=fact.event.approvers,
            approved_at=fact.effective_at,
        )

    @on(quote.QuoteRejected)
    def rejected(self, fact: Fact[quote.QuoteRejected]) -> Changes:
        return moved(fact, QuoteStatus.DRAFT, reason=fact.event.reason)

    @on(quote.QuoteIssued)
    def issued(self, fact: Fact[quote.QuoteIssued]) -> Changes:
        event = fact.event
        yield QuoteCard.set(fact.subject, issued_at=fact.effective_at)
        yield from moved(fact, QuoteStatus.ISSUED, issued_at=fact.effective_at)
        for line in event.lines:
            yield IssuedLine.put(
                quote=fact.subject,
                version=event.version,
                line=line.line,
                customer=event.customer,
                price_matrix=event.price_matrix,
                product=line.product,
                quantity=line.quantity,
                price=line.price.amount,
                in_force=line.in_force.amount,
                currency=line.price.currency,
                price_version=line.price_version,
                issued_at=fact.effective_at,
            )

    @on(quote.QuoteRevised)
    def revised(self, fact: Fact[quote.QuoteRevised]) -> Changes:
        event = fact.event
        yield QuoteVersionCard.set(
            fact.subject,
            event.superseded,
            status=QuoteStatus.SUPERSEDED,
            reason=event.reason,
            ended_at=fact.effective_at,
        )
        yield QuoteCard.set(
            fact.subject,
            version=event.version,
            status=QuoteStatus.DRAFT,
            approval=None,
            issued_at=None,
            **totals(event.written, event.lines),
        )
        yield begun(fact.subject, event.version, event.author, event.written, event.lines)

    @on(quote.QuoteAccepted)
    def accepted(self, fact: Fact[quote.QuoteAccepted]) -> Changes:
        event, at = fact.event, fact.effective_at
        yield QuoteCard.set(fact.subject, accepted_at=at, accepted_by=event.accepted_by)
        yield from moved(fact, QuoteStatus.ACCEPTED, ended_at=at, evidence=event.evidence)

    @on(quote.QuoteDeclined)
    def declined(self, fact: Fact[quote.QuoteDeclined]) -> Changes:
        return ended(fact, QuoteStatus.DECLINED, reason=fact.event.reason)

    @on(quote.QuoteWithdrawn)
    def withdrawn(self, fact: Fact[quote.QuoteWithdrawn]) -> Changes:
        return ended(fact, QuoteStatus.WITHDRAWN, reason=fact.event.reason)

    @on(quote.QuoteExpired)
    def expired(self, fact: Fact[quote.QuoteExpired]) -> Changes:
        return ended(fact, QuoteStatus.EXPIRED)

    @on(quote.QuoteVoided)
    def voided(self, fact: Fact[quote.QuoteVoided]) -> Changes:
        return ended(fact, QuoteStatus.VOIDED, reason=fact.event.reason)

    @on(quote.QuoteConverted)
    def converted(self, fact: Fact[quote.QuoteConverted]) -> Changes:
        yield QuoteCard.set(fact.subject, converted_into=fact.event.into)
        yield from moved(fact, QuoteStatus.CONVERTED)


def totals(written: Written, lines: tuple[QuotedLine, ...]) -> dict[str, Any]:
    return {
        "tender": written.tender,
        "amount": sum((line.amount for line in lines), Decimal(0)),
        "currency": lines[0].price.currency,
        "discount": max(line.discount for line in lines),
        "below_floor": any(line.is_below_floor for line in lines),
        "valid_until": written.valid_until,
    }


def begun(
    id: str, version: int, author: str, written: Written, lines: tuple[QuotedLine, ...]
) -> Change:
    return QuoteVersionCard.put(
        quote=id,
        version=version,
        status=QuoteStatus.DRAFT,
        written_by=author,
        shown=Shown(written=written, lines=lines),
    )


def moved(fact: Fact[Any], status: QuoteStatus, **of_version: Any) -> Changes:
    yield QuoteCard.set(fact.subject, status=status)
    yield QuoteVersionCard.set(fact.subject, fact.event.version, status=status, **of_version)


def ended(fact: Fact[Any], status: QuoteStatus, reason: str | None = None) -> Changes:
    return moved(fact, status, ended_at=fact.effective_at, reason=reason)


class QuoteSeen(Value):
    """A quote with all its versions, the newest last."""

    quote: QuoteCard
    versions: tuple[QuoteVersionCard, ...]


def quote_seen(db: Db, id: str) -> QuoteSeen | None:
    row = db.execute("select * from quote_card where quote = %s", (id,)).fetchone()
    if row is None:
        return None
    versions = db.execute(
        "select * from quote_version_card where quote = %s order by version", (id,)
    ).fetchall()
    return QuoteSeen(
        quote=QuoteCard(**row), versions=tuple(QuoteVersionCard(**each) for each in versions)
    )


QUOTES = """
    select * from quote_card where (%(customer)s::text is null or customer = %(customer)s)
        and (%(status)s::text is null or status = %(status)s)
"""
"""Quotes of one customer or all, at one stage or any."""
