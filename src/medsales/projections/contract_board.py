"""The contract board: what is agreed, called off and left, and which obligations are due."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from medsales.domain.kernel import Value
from medsales.domain.terms import amendment, contract, contract_life, contract_template
from medsales.domain.terms import contract_signing as signing
from medsales.domain.terms.contract import ContractStatus
from medsales.domain.terms.contract_content import ContractContent, Side
from medsales.domain.terms.contract_template import TemplateContent, TemplateStatus
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Change, Changes, Projection, Row, on

NO_DAY = date(1, 1, 1)


class ContractCard(
    Row, key=("contract",), indexes=(("customer", "contract"), ("status", "contract"))
):
    """A contract: what counts now, how far it has come, and what has been called off."""

    contract: str
    customer: str = ""
    title: str = ""
    status: str = ""
    version: int = 0
    """In force; 0 before both have signed."""
    amending: str | None = None
    """How far the amendment on its way has come."""
    quote: str | None = None
    tender: str | None = None
    template: str | None = None
    public_procurement: bool = False
    valid_from: date = NO_DAY
    valid_until: date = NO_DAY
    currency: str = ""
    max_amount: Decimal | None = None
    """Of everything that may be called off, where there is such a cap."""
    called_amount: Decimal = Decimal(0)
    drafted_at: datetime = BEGINNING
    drafted_by: str = ""
    active_since: date | None = None
    renewal_reminded: bool = False
    """Somebody has been told that the end is near."""
    reason: str | None = None
    """Why it is suspended, or has ended."""


class ContractVersionCard(Row, key=("contract", "version")):
    """A version of a contract: its content, who wrote and approved it, since when it counts."""

    contract: str
    version: int
    status: str = ""
    amendment: str | None = None
    """What kind of amendment; none for the contract itself."""
    content: ContractContent | None = None
    content_hash: str = ""
    written_by: str = ""
    """Who wrote it last."""
    approval: str | None = None
    approvers: tuple[str, ...] = ()
    approved_at: datetime | None = None
    sent_on: date | None = None
    since: date | None = None
    """Both have signed, and from this day on it counts."""
    supplement: Decimal | None = None
    """What an amendment adds to the amount (C4)."""
    void_until: int = 0
    """Signatures given up to this position are void: somebody refused."""
    reason: str | None = None
    """Why it was rejected, recalled, refused or withdrawn."""


class ContractLineCard(Row, key=("contract", "product"), indexes=(("product",),)):
    """A product under a contract: its price, how many may be called off and how many were."""

    contract: str
    product: str
    line: int = 0
    version: int = 0
    """That last said something about it."""
    price: Decimal = Decimal(0)
    """Of one piece."""
    currency: str = ""
    max_quantity: int | None = None
    called: int = 0
    called_amount: Decimal = Decimal(0)


class ContractObligation(
    Row, key=("contract", "obligation"), indexes=(("due", "contract", "obligation"),)
):
    """What one party must do by a day."""

    contract: str
    obligation: str
    description: str = ""
    party: str = ""
    due: date = NO_DAY
    milestone: bool = False
    reminded_at: datetime | None = None
    met_on: date | None = None
    evidence: str | None = None


class ContractSignature(Row, key=("contract", "version", "position")):
    """Who signed which version for which party."""

    contract: str
    version: int
    position: int
    side: str = ""
    signer: str = ""
    """The name as printed."""
    title: str = ""
    organisation: str = ""
    signed_on: date = NO_DAY
    content_hash: str = ""
    signature: str | None = None
    """The electronic one; none where the other party signed elsewhere."""
    method: str = "electronic"
    evidence: str | None = None
    recorded_by: str = ""


class ContractCall(Row, key=("contract", "order", "product"), indexes=(("order",),)):
    """What an order has called off, net of what it gave back."""

    contract: str
    order: str
    product: str
    version: int = 0
    """Of the contract, which the order keeps (C3)."""
    quantity: int = 0
    amount: Decimal = Decimal(0)


class TemplateVersionCard(Row, key=("template", "version")):
    """A version of a contract template."""

    template: str
    version: int
    status: str = ""
    content: TemplateContent | None = None
    """Its name and its clauses."""
    content_hash: str = ""
    written_by: str = ""
    approvers: tuple[str, ...] = ()
    approved_at: datetime | None = None


class ContractBoard(Projection):
    rows = (
        ContractCard,
        ContractVersionCard,
        ContractLineCard,
        ContractObligation,
        ContractSignature,
        ContractCall,
        TemplateVersionCard,
    )

    @on(contract.ContractDrafted)
    def drafted(self, fact: Fact[contract.ContractDrafted]) -> Changes:
        yield ContractCard.put(
            contract=fact.subject,
            status=ContractStatus.DRAFT,
            drafted_at=fact.effective_at,
            drafted_by=fact.by,
            **shown(fact.event.content),
        )
        yield written(fact)

    @on(contract.ContractEdited)
    def edited(self, fact: Fact[contract.ContractEdited]) -> Changes:
        yield ContractCard.set(fact.subject, **shown(fact.event.content))
        yield written(fact)

    @on(amendment.AmendmentDrafted, amendment.AmendmentEdited)
    def amended(self, fact: Fact[Any]) -> Changes:
        yield ContractCard.set(fact.subject, amending=ContractStatus.DRAFT)
        yield written(fact)

    @on(contract.ContractSubmitted)
    def submitted(self, fact: Fact[contract.ContractSubmitted]) -> Changes:
        return moved(fact, ContractStatus.IN_APPROVAL)

    @on(contract.ContractApproved)
    def approved(self, fact: Fact[contract.ContractApproved]) -> Changes:
        event = fact.event
        return moved(
            fact,
            ContractStatus.APPROVED,
            approval=event.approval,
            approvers=event.approvers,
            approved_at=fact.effective_at,
        )

    @on(contract.ContractRejected, contract.ContractRecalled)
    def given_back(self, fact: Fact[Any]) -> Changes:
        return moved(fact, ContractStatus.DRAFT, reason=fact.event.reason, **NOT_APPROVED)

    @on(contract.ContractSent)
    def sent(self, fact: Fact[contract.ContractSent]) -> Changes:
        return moved(fact, ContractStatus.OUT_FOR_SIGNATURE, sent_on=fact.event.sent_on)

    @on(signing.ContractSigned)
    def signed(self, fact: Fact[signing.ContractSigned]) -> Changes:
        event = fact.event
        yield from moved(fact, ContractStatus.PARTIALLY_SIGNED)
        yield ContractSignature.put(
            contract=fact.subject,
            version=event.version,
            position=fact.position,
            side=event.side,
            signer=event.printed_name,
            title=event.title,
            organisation=event.organisation,
            signed_on=event.signed_on,
            content_hash=event.content_hash,
            signature=event.signature,
            recorded_by=event.signer.key,
        )

    @on(signing.CounterpartySignatureRecorded)
    def counterparty_signed(self, fact: Fact[signing.CounterpartySignatureRecorded]) -> Changes:
        event = fact.event
        yield from moved(fact, ContractStatus.PARTIALLY_SIGNED)
        yield ContractSignature.put(
            contract=fact.subject,
            version=event.version,
            position=fact.position,
            side=Side.THEIRS,
            signer=event.signer_name,
            title=event.title,
            organisation=event.organisation,
            signed_on=event.signed_on,
            content_hash=event.content_hash,
            method=event.method,
            evidence=event.evidence,
            recorded_by=event.recorded_by,
        )

    @on(signing.ContractRefused)
    def refused(self, fact: Fact[signing.ContractRefused]) -> Changes:
        reason = fact.event.reason
        void = {"void_until": fact.position, "sent_on": None}
        return moved(fact, ContractStatus.DRAFT, reason=reason, **void, **NOT_APPROVED)

    @on(signing.AmendmentRefused, amendment.AmendmentWithdrawn)
    def amendment_failed(self, fact: Fact[Any]) -> Changes:
        event = fact.event
        failed = "refused" if isinstance(event, signing.AmendmentRefused) else "withdrawn"
        yield ContractCard.set(fact.subject, amending=None)
        yield ContractVersionCard.set(
            fact.subject,
            event.version,
            status=failed,
            void_until=fact.position,
            reason=event.reason,
        )

    @on(signing.ContractActivated, signing.AmendmentTookEffect)
    def took_effect(self, fact: Fact[Any]) -> Changes:
        event = fact.event
        terms = event.terms
        yield ContractCard.set(
            fact.subject,
            status=ContractStatus.ACTIVE,
            version=event.version,
            amending=None,
            max_amount=terms.max_amount and terms.max_amount.amount,
            valid_from=terms.valid_from,
            valid_until=terms.valid_until,
            renewal_reminded=False,
            **({"active_since": event.since} if event.version == 1 else {}),
        )
        yield ContractVersionCard.set(
            fact.subject,
            event.version,
            status="in_force",
            since=event.since,
            **({} if event.version == 1 else {"supplement": event.supplement.amount}),
        )
        yield from agreed(fact)

    @on(contract_life.ContractSuspended)
    def suspended(self, fact: Fact[contract_life.ContractSuspended]) -> Changes:
        yield stands(fact, ContractStatus.SUSPENDED, fact.event.reason)

    @on(contract_life.ContractResumed)
    def resumed(self, fact: Fact[contract_life.ContractResumed]) -> Changes:
        yield stands(fact, ContractStatus.ACTIVE)

    @on(contract_life.ContractTerminated)
    def terminated(self, fact: Fact[contract_life.ContractTerminated]) -> Changes:
        yield stands(fact, ContractStatus.TERMINATED, fact.event.reason, amending=None)

    @on(contract_life.ContractExpired)
    def expired(self, fact: Fact[contract_life.ContractExpired]) -> Changes:
        yield stands(fact, ContractStatus.EXPIRED, amending=None)

    @on(contract_life.ContractFulfilled)
    def fulfilled(self, fact: Fact[contract_life.ContractFulfilled]) -> Changes:
        yield stands(fact, ContractStatus.FULFILLED, fact.event.reason, amending=None)

    @on(contract.ContractCancelled)
    def cancelled(self, fact: Fact[contract.ContractCancelled]) -> Changes:
        yield stands(fact, ContractStatus.CANCELLED, fact.event.reason)

    @on(contract_life.RenewalReminded)
    def renewal_reminded(self, fact: Fact[contract_life.RenewalReminded]) -> Changes:
        yield ContractCard.set(fact.subject, renewal_reminded=True)

    @on(contract_life.ObligationReminded)
    def obligation_reminded(self, fact: Fact[contract_life.ObligationReminded]) -> Changes:
        key, at = fact.event.key, fact.effective_at
        yield ContractObligation.set(fact.subject, key, reminded_at=at)

    @on(contract_life.ObligationMet)
    def obligation_met(self, fact: Fact[contract_life.ObligationMet]) -> Changes:
        event = fact.event
        yield ContractObligation.set(
            fact.subject, event.key, met_on=event.met_on, evidence=event.evidence
        )

    @on(contract.CalledOff)
    def called_off(self, fact: Fact[contract.CalledOff]) -> Changes:
        yield from counted(fact, +1)
        for line in fact.event.lines:
            yield ContractCall.set(
                fact.subject, fact.event.order, line.product, version=fact.event.version
            )

    @on(contract.CallOffReturned)
    def call_off_returned(self, fact: Fact[contract.CallOffReturned]) -> Changes:
        return counted(fact, -1)

    @on(contract_template.ContractTemplateDrafted, contract_template.ContractTemplateEdited)
    def template_written(self, fact: Fact[Any]) -> Changes:
        content = fact.event.content
        yield TemplateVersionCard.put(
            template=fact.subject,
            version=content.version,
            status=TemplateStatus.DRAFT,
            content=content,
            content_hash=fact.event.content_hash,
            written_by=fact.event.author,
        )

    @on(contract_template.ContractTemplateSubmitted)
    def template_submitted(self, fact: Fact[Any]) -> Changes:
        yield template_is(fact, TemplateStatus.IN_APPROVAL)

    @on(contract_template.ContractTemplateRejected, contract_template.ContractTemplateWithdrawn)
    def template_rejected(self, fact: Fact[Any]) -> Changes:
        yield template_is(fact, TemplateStatus.DRAFT)

    @on(contract_template.ContractTemplateApproved)
    def template_approved(self, fact: Fact[Any]) -> Changes:
        approvers, at = fact.event.approvers, fact.effective_at
        yield template_is(fact, TemplateStatus.IN_FORCE, approvers=approvers, approved_at=at)

    @on(contract_template.ContractTemplateRetired)
    def template_retired(self, fact: Fact[Any]) -> Changes:
        yield template_is(fact, TemplateStatus.RETIRED)


NOT_APPROVED: dict[str, Any] = {"approval": None, "approvers": (), "approved_at": None}


def shown(content: ContractContent) -> dict[str, Any]:
    """What the board shows of a content that is not in force yet."""
    return {
        "customer": content.customer,
        "title": content.title,
        "quote": content.quote,
        "tender": content.award and content.award.tender,
        "template": content.template and content.template.template,
        "public_procurement": content.public_procurement,
        "valid_from": content.valid_from,
        "valid_until": content.valid_until,
        "currency": content.currency,
        "max_amount": content.max_amount and content.max_amount.amount,
    }


def written(fact: Fact[Any]) -> Change:
    """A version begins anew with what was written; who refused one before is not forgotten."""
    content = fact.event.content
    return ContractVersionCard.set(
        fact.subject,
        content.version,
        status=ContractStatus.DRAFT,
        amendment=content.amends and content.amends.kind,
        content=content,
        content_hash=fact.event.content_hash,
        written_by=fact.event.author,
    )


def moved(fact: Fact[Any], status: ContractStatus, **columns: Any) -> Iterator[Change]:
    """How far the version on its way has come: the contract itself, or an amendment to it."""
    version = fact.event.version
    on_card = "status" if version == 1 else "amending"
    yield ContractCard.set(fact.subject, **{on_card: status})
    yield ContractVersionCard.set(fact.subject, version, status=status, **columns)


def stands(
    fact: Fact[Any], status: ContractStatus, reason: str | None = None, **columns: Any
) -> Change:
    return ContractCard.set(fact.subject, status=status, reason=reason, **columns)


def agreed(fact: Fact[Any]) -> Iterator[Change]:
    """Lines and obligations of the version that has taken effect."""
    event = fact.event
    for line in event.terms.lines:
        yield ContractLineCard.set(
            fact.subject,
            line.product,
            line=line.line,
            version=event.version,
            price=line.price.amount,
            currency=line.price.currency,
            max_quantity=line.max_quantity,
        )
    for each in event.terms.obligations:
        yield ContractObligation.set(
            fact.subject,
            each.key,
            description=each.description,
            party=each.party,
            due=each.due,
            milestone=each.milestone,
        )


def counted(fact: Fact[Any], sign: int) -> Iterator[Change]:
    order = fact.event.order
    for line in fact.event.lines:
        pieces, amount = sign * line.quantity, sign * line.amount.amount
        yield ContractCard.add(fact.subject, called_amount=amount)
        yield ContractLineCard.add(fact.subject, line.product, called=pieces, called_amount=amount)
        yield ContractCall.add(fact.subject, order, line.product, quantity=pieces, amount=amount)


def template_is(fact: Fact[Any], status: TemplateStatus, **columns: Any) -> Change:
    return TemplateVersionCard.set(fact.subject, fact.event.version, status=status, **columns)


class ContractOnBoard(ContractCard, key=("contract",)):
    """A contract, with what may still be called off and what is due next."""

    remaining_amount: Decimal | None = None
    """Under the cap; none where there is no cap."""
    remaining_pieces: int | None = None
    """Of all lines that say how many; none where no line does."""
    obligations_open: int = 0
    next_due: date | None = None
    """The first day on which something must be done."""


class LineSeen(ContractLineCard, key=("contract", "product")):
    remaining: int | None = None
    """Pieces that may still be called off; none where only the amount is limited."""


class SignatureSeen(ContractSignature, key=("contract", "version", "position")):
    void: bool = False
    """One party refused afterwards: the signature is kept, and counts no longer."""


class ContractSeen(Value):
    """A contract with its versions, lines, obligations, signatures and call-offs."""

    contract: ContractOnBoard
    versions: tuple[ContractVersionCard, ...]
    lines: tuple[LineSeen, ...]
    obligations: tuple[ContractObligation, ...]
    signatures: tuple[SignatureSeen, ...]
    calls: tuple[ContractCall, ...]
    """The orders placed last."""


class TemplateSeen(Value):
    """A contract template, version by version."""

    template: str
    in_force: int | None
    """The version that contracts are begun from."""
    versions: tuple[TemplateVersionCard, ...]


APPROVED_ONCE = (TemplateStatus.IN_FORCE, TemplateStatus.RETIRED)
MOST = 1000
"""Call-offs in one view."""


def contract_seen(db: Db, id: str) -> ContractSeen | None:
    row = db.execute(BOARD, {**ANY, "contract": id}).fetchone()
    if row is None:
        return None
    versions = db.execute(
        "select * from contract_version_card where contract = %s order by version", (id,)
    ).fetchall()
    lines = db.execute(
        "select *, max_quantity - called as remaining from contract_line_card"
        " where contract = %s and version > 0 order by line, product",
        (id,),
    ).fetchall()
    obligations = db.execute(
        "select * from contract_obligation where contract = %s order by due, obligation", (id,)
    ).fetchall()
    signatures = db.execute(
        "select s.*, s.position <= v.void_until as void from contract_signature s"
        " join contract_version_card v using (contract, version)"
        " where s.contract = %s order by s.position",
        (id,),
    ).fetchall()
    calls = db.execute(
        "select * from contract_call where contract = %s and quantity > 0"
        ' order by "order", product limit %s',
        (id, MOST),
    ).fetchall()
    return ContractSeen(
        contract=ContractOnBoard(**row),
        versions=tuple(ContractVersionCard(**each) for each in versions),
        lines=tuple(LineSeen(**each) for each in lines),
        obligations=tuple(ContractObligation(**each) for each in obligations),
        signatures=tuple(SignatureSeen(**each) for each in signatures),
        calls=tuple(ContractCall(**each) for each in calls),
    )


def template_seen(db: Db, id: str) -> TemplateSeen | None:
    rows = db.execute(
        "select * from template_version_card where template = %s order by version", (id,)
    ).fetchall()
    versions = tuple(TemplateVersionCard(**row) for row in rows)
    if not versions:
        return None
    approved = [v for v in versions if v.status in {*APPROVED_ONCE}]
    used = approved[-1] if approved and approved[-1].status == TemplateStatus.IN_FORCE else None
    return TemplateSeen(template=id, in_force=used and used.version, versions=versions)


BOARD = """
    select c.*, c.max_amount - c.called_amount as remaining_amount, l.remaining_pieces,
        o.obligations_open, o.next_due
    from contract_card c
    left join lateral (
        select sum(max_quantity - called)::bigint as remaining_pieces from contract_line_card
        where contract = c.contract and max_quantity is not null and version > 0) l on true
    left join lateral (
        select count(*) as obligations_open, min(due) as next_due from contract_obligation
        where contract = c.contract and met_on is null) o on true
    where (%(contract)s::text is null or c.contract = %(contract)s)
        and (%(customer)s::text is null or c.customer = %(customer)s)
        and (%(status)s::text is null or c.status = %(status)s)
        and (%(due_by)s::date is null or o.next_due <= %(due_by)s)
"""
"""Contracts of one customer or all, in one status or any, with something due by a day or not."""
ANY: dict[str, Any] = {"contract": None, "customer": None, "status": None, "due_by": None}
