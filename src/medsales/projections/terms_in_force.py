"""Which price and which clauses applied to a customer on a day, by which rule, approved by whom.

Nothing is kept for this question: it is asked seldom and about any day. The states of that day are
folded from the facts, and the papers behind them are found by the subject index.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from medsales.domain.canonical import content_hash
from medsales.domain.governance.signature import Meaning, Signature, Statement
from medsales.domain.ids import (
    ContractId,
    CustomerId,
    PriceMatrixId,
    PriceSheetId,
    ProductId,
    QuoteId,
)
from medsales.domain.kernel import Aggregate, Id, Refused, Term, Value
from medsales.domain.parties.customer import Customer
from medsales.domain.sales.offer import QuotedLine
from medsales.domain.sales.quote import Quote, QuoteStatus
from medsales.domain.stock.product import Product
from medsales.domain.terms.contract import Agreed, Contract, ContractStatus
from medsales.domain.terms.contract_content import Clause, Delivery
from medsales.domain.terms.contract_signing import CounterpartySignatureRecorded
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.domain.terms.price_sheet import Buyer, PriceSheet, sheets_for
from medsales.domain.values import Money, start_of_day_in_china
from medsales.engine.database import Db
from medsales.engine.facts import Fact, fact_from_row
from medsales.engine.log import Selection
from medsales.engine.mentions import about
from medsales.engine.past import Moment, state_at

A = TypeVar("A", bound=Aggregate)

MOST = 10_000
"""Papers of one subject that are looked at."""


class Source(Term):
    """Where a price comes from."""

    CONTRACT = "contract", "合同"
    PRICE_MATRIX = "price_matrix", "价格矩阵"


class ConsentSeen(Value):
    """That somebody approved."""

    approver: str
    name: str
    """As it was then."""
    role: str
    on_behalf_of: str | None = None
    at: datetime
    comment: str | None = None
    signature: str | None = None


class ApprovalSeen(Value):
    """The approval of a version, and everybody who gave it."""

    approval: str
    version: int
    content_hash: str
    granted_at: datetime
    consents: tuple[ConsentSeen, ...] = ()
    """None where the rules asked for nobody."""


class SignatureSeen(Value):
    """A signature over a version; `medsales signature verify` checks an electronic one anywhere."""

    signature: str | None = None
    """None where it was given on paper, or in a system of the other party."""
    evidence: str | None = None
    """Then this shows it."""
    content_hash: str
    meaning: str
    signer: str | None = None
    printed_name: str
    organisation: str
    signed_on: date
    counts: bool = True
    """False once it has been invalidated; it is kept all the same."""


class TermFound(Value):
    """A price for one piece, and everything it rests on."""

    source: Source
    id: str
    """Of the contract or the price matrix."""
    version: int
    content_hash: str
    """Of everything that version says: what was approved and signed."""
    rule: str
    """Contract, or the kind of price: special, award, agreement, regional, list (P4)."""
    price: Money
    floor: Money | None = None
    path: tuple[str, ...]
    exception: str | None = None
    """The named exception that lets it be below its floor (P5)."""
    valid_until: date | None = None
    approval: ApprovalSeen | None = None
    """None for versions from before approvals were kept by themselves."""
    signatures: tuple[SignatureSeen, ...] = ()


class NotApplied(Value):
    """A contract or a matrix that was looked at, and why it did not give the price."""

    id: str
    code: str
    en: str
    zh: str


class QuotedTerm(Value):
    """A price that was offered to this customer by then, and could be accepted that day."""

    quote: str
    version: int
    content_hash: str
    status: str
    quantity: int
    """That it was offered for."""
    price: Money
    in_force: Money
    """What the price matrix asked when it was submitted."""
    discount: Decimal
    floor: Money | None = None
    path: tuple[str, ...]
    valid_until: date
    approval: ApprovalSeen | None = None


class TermsInForce(Value):
    """The price of one piece on a day, and the clauses that go with it."""

    customer: CustomerId
    product: ProductId
    quantity: int
    on: date
    applied: TermFound
    clauses: tuple[Clause, ...] = ()
    """Of the contract in force, if the price is from one."""
    delivery: Delivery | None = None
    payment_days: int | None = None
    nothing_left: NotApplied | None = None
    """Why so many can no longer be called off, where the price of the contract applies to the day
    all the same and no matrix gives another."""
    quoted: tuple[QuotedTerm, ...] = ()
    """What quotes offered beside; it counts for the order or contract that is made of them."""
    not_applied: tuple[NotApplied, ...] = ()


class Question(NamedTuple):
    customer: CustomerId
    product: ProductId
    quantity: int
    on: date
    price_matrix: PriceMatrixId | None


class States(NamedTuple):
    """Everything that the answer depends on, as it was."""

    customer: Customer
    product: Product
    contracts: Mapping[ContractId, Contract]
    price_matrix: PriceMatrix | None
    sheets: tuple[PriceSheet | None, ...]


# What applied, from the states alone --------------------------------------------------------------


def applied(asked: Question, states: States) -> TermsInForce:
    """P4: a contract before the prices of a matrix. Raises Refused where there is no price."""
    refused: list[NotApplied] = []
    by_contract = list(_by_contracts(asked, states, refused))
    for contract, found in by_contract[:1]:
        refused += [_behind(other.id, found.id) for _, other in by_contract[1:]]
        return _under(contract, asked, found, tuple(refused))
    try:
        by_matrix = _by_matrix(asked, states)
    except Refused:
        if drawn := _called_off(asked, states, refused):
            return drawn
        raise
    return TermsInForce(**_named(asked), applied=by_matrix, not_applied=tuple(refused))


CALLED_OFF = ("contract.quantity_exceeded", "contract.amount_exceeded")


def _called_off(asked: Question, states: States, refused: list[NotApplied]) -> TermsInForce | None:
    """What a contract agrees of which not so much is left: it applies to what was called off."""
    for why in refused:
        contract = states.contracts[ContractId(why.id)]
        if why.code not in CALLED_OFF and contract.status is not ContractStatus.FULFILLED:
            continue
        try:
            found = _term(
                ContractId(why.id), contract, asked, contract.price_of(asked.product, asked.on)
            )
        except Refused:
            continue
        others = tuple(other for other in refused if other is not why)
        answer = _under(contract, asked, found, others)
        return answer.model_copy(update={"nothing_left": why})
    return None


def _by_contracts(
    asked: Question, states: States, refused: list[NotApplied]
) -> Iterator[tuple[Contract, TermFound]]:
    """Those that agree a price, the one that began last before the others."""
    begun = sorted(states.contracts.items(), key=_beginning, reverse=True)
    for id, contract in begun:
        try:
            found = contract.agreed(asked.product, asked.quantity, asked.on)
        except Refused as refusal:
            refused.append(_not_applied(id, refusal))
            continue
        yield contract, _term(id, contract, asked, found)


def _term(id: ContractId, contract: Contract, asked: Question, found: Agreed) -> TermFound:
    version = contract.valid_on(asked.on)
    reason = version.reason_of(asked.product)
    return TermFound(
        source=Source.CONTRACT,
        id=id,
        version=found.contract_version,
        content_hash=content_hash(version.content),
        rule=Source.CONTRACT,
        price=found.price,
        floor=reason.floor if reason else None,
        path=found.path,
        valid_until=version.content.valid_until,
    )


def _beginning(entry: tuple[ContractId, Contract]) -> tuple[date, str]:
    id, contract = entry
    return (contract.in_force[-1].since if contract.in_force else date.min, id)


def _by_matrix(asked: Question, states: States) -> TermFound:
    if asked.price_matrix is None or states.price_matrix is None:
        raise Refused(
            "terms.none",
            f"no contract of {asked.customer} agreed a price for {asked.quantity} of"
            f" {asked.product} on {asked.on}; name a price matrix to see its price",
            f"{asked.on} 时 {asked.customer} 没有约定 {asked.product} (数量 {asked.quantity})"
            " 价格的合同; 请指定价格矩阵",
        )
    found = states.price_matrix.price(
        states.sheets,
        asked.product,
        states.product.family,
        Buyer.of(asked.customer, states.customer),
        asked.quantity,
        asked.on,
    )
    return TermFound(
        source=Source.PRICE_MATRIX,
        id=asked.price_matrix,
        version=found.version,
        content_hash=states.price_matrix.version(found.version).hashed(asked.price_matrix),
        rule=found.rule,
        price=found.price,
        floor=found.floor,
        path=found.path,
        exception=found.exception,
        valid_until=found.valid_until,
    )


def _under(
    contract: Contract, asked: Question, found: TermFound, refused: tuple[NotApplied, ...]
) -> TermsInForce:
    content = contract.valid_on(asked.on).content
    return TermsInForce(
        **_named(asked),
        applied=found,
        clauses=content.clauses,
        delivery=content.delivery,
        payment_days=content.payment_days,
        not_applied=refused,
    )


def _named(asked: Question) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in ("customer", "product", "quantity", "on")}


def _not_applied(id: str, refusal: Refused) -> NotApplied:
    return NotApplied(id=id, code=refusal.code, en=refusal.sentence.en, zh=refusal.sentence.zh)


def _behind(id: str, first: str) -> NotApplied:
    return NotApplied(
        id=id,
        code="terms.behind",
        en=f"{first} began later and comes first",
        zh=f"{first} 生效在后, 优先适用",
    )


# The states and papers of a moment ----------------------------------------------------------------


def terms_in_force(db: Db, asked: Question, moment: Moment) -> TermsInForce | None:
    """None for a customer who was not known. Raises Refused where nothing applied.

    What a contract and a customer were on that day is told by the facts that had taken effect by
    the end of it; which version of the prices counts for a day, the matrix says itself (P7).
    """
    that_day = _by_the_end_of(asked.on, moment)
    customer = state_at(db, Customer, asked.customer, that_day) or state_at(
        db, Customer, asked.customer, moment
    )
    if customer is None:
        return None
    product = _known(state_at(db, Product, asked.product, moment), "product", asked.product)
    matrix, sheets = _prices(db, asked, product, moment)
    contracts = {
        id: state
        for id in map(ContractId, _naming(db, asked.customer, ContractId, moment))
        if (state := state_at(db, Contract, id, that_day))
    }
    answer = applied(asked, States(customer, product, contracts, matrix, sheets))
    found = answer.applied
    papers = Papers.of(db, found.id, (found.version, found.content_hash), moment)
    signed = {"approval": papers.approval(), "signatures": tuple(papers.signatures())}
    quoted = tuple(_quoted(db, asked, that_day))
    return answer.model_copy(update={"applied": found.model_copy(update=signed), "quoted": quoted})


def _known(state: A | None, kind: str, id: str) -> A:
    if state is None:
        raise Refused(f"{kind}.unknown", f"there is no {id}", f"没有 {id}")
    return state


def _by_the_end_of(day: date, moment: Moment) -> Moment:
    """Of the day in China, where contracts are signed."""
    if day == date.max:
        return moment
    end = start_of_day_in_china(day + timedelta(days=1)) - timedelta(microseconds=1)
    return Moment(moment.position, min(end, moment.effective_at or end))


def _prices(
    db: Db, asked: Question, product: Product, moment: Moment
) -> tuple[PriceMatrix | None, tuple[PriceSheet | None, ...]]:
    if asked.price_matrix is None:
        return None, ()
    found = state_at(db, PriceMatrix, asked.price_matrix, moment)
    matrix = _known(found, "price-matrix", asked.price_matrix)
    ids: tuple[PriceSheetId, ...] = sheets_for(
        asked.price_matrix, ((asked.product, product.family),)
    )
    return matrix, tuple(state_at(db, PriceSheet, id, moment) for id in ids)


def _naming(db: Db, customer: CustomerId, kind: type[Id], moment: Moment) -> list[str]:
    """Subjects of a kind that have ever named a customer."""
    given = (customer, moment.position, f"{kind.kind}:%")
    return [row["id"] for row in db.execute(NAMING, given).fetchall()]


NAMING = """
    select distinct f.originator_id as id
    from mention m join facts f on f.notification_id = m.position
    where m.subject = %s and m.position <= %s and f.originator_id like %s
    order by 1
"""
OFFERED = (QuoteStatus.ISSUED, QuoteStatus.ACCEPTED, QuoteStatus.CONVERTED)


def _quoted(db: Db, asked: Question, moment: Moment) -> Iterator[QuotedTerm]:
    for id in _naming(db, asked.customer, QuoteId, moment):
        quote = state_at(db, Quote, id, moment)
        if quote is None or quote.status not in OFFERED or quote.text().valid_until < asked.on:
            continue
        of = (quote.version, quote.content_hash)
        for line in quote.lines:
            if line.product == asked.product:
                approval = Papers.of(db, id, of, moment).approval()
                yield _offered(id, quote, line, approval)


def _offered(id: str, quote: Quote, line: QuotedLine, approval: ApprovalSeen | None) -> QuotedTerm:
    return QuotedTerm(
        quote=id,
        version=quote.version,
        content_hash=quote.content_hash,
        status=quote.status or QuoteStatus.ISSUED,
        quantity=line.quantity,
        price=line.price,
        in_force=line.in_force,
        discount=line.discount,
        floor=line.floor,
        path=line.price_path,
        valid_until=quote.text().valid_until,
        approval=approval,
    )


REFUSED = ("ContractRefused", "AmendmentRefused")
PAPERS = (
    "StepApproved",
    "ApprovalGranted",
    "ContractSigned",
    "CounterpartySignatureRecorded",
    *REFUSED,
)


class Papers(NamedTuple):
    """Who approved and who signed one version, saying exactly this."""

    db: Db
    moment: Moment
    facts: tuple[Fact[Any], ...]
    void_until: int
    """Signatures that were given before somebody refused to sign no longer count (rules.md 4)."""

    @classmethod
    def of(cls, db: Db, id: str, version_and_hash: tuple[int, str], moment: Moment) -> "Papers":
        selection = Selection(upto=moment.position, kinds=PAPERS)
        facts = [fact_from_row(row) for row in about(db, id, selection, MOST)]
        known = [fact for fact in facts if _is_known(fact, moment)]
        refused = [
            fact.position
            for fact in known
            if fact.name in REFUSED and fact.event.version == version_and_hash[0]
        ]
        papers = (
            fact
            for fact in known
            if fact.name not in REFUSED
            and (fact.event.version, fact.event.content_hash) == version_and_hash
        )
        return cls(db, moment, tuple(papers), max(refused, default=0))

    def approval(self) -> ApprovalSeen | None:
        """The one that was granted last."""
        granted = [fact for fact in self.facts if fact.name == "ApprovalGranted"]
        if not granted:
            return None
        last = granted[-1]
        return ApprovalSeen(
            approval=last.subject,
            version=last.event.version,
            content_hash=last.event.content_hash,
            granted_at=last.effective_at,
            consents=tuple(
                _consent(fact)
                for fact in self.facts
                if fact.name == "StepApproved" and fact.subject == last.subject
            ),
        )

    def signatures(self) -> Iterator[SignatureSeen]:
        for fact in self.facts:
            if fact.name == "CounterpartySignatureRecorded":
                yield _on_paper(fact.event, counts=fact.position > self.void_until)
            elif fact.name != "ApprovalGranted" and fact.event.signature:
                state = state_at(self.db, Signature, fact.event.signature, self.moment)
                if state and state.signed:
                    yield _electronic(state.signed.statement, counts=not state.invalidated)


def _is_known(fact: Fact[Any], moment: Moment) -> bool:
    return moment.effective_at is None or fact.effective_at <= moment.effective_at


def _consent(fact: Fact[Any]) -> ConsentSeen:
    event = fact.event
    return ConsentSeen(
        approver=event.approver,
        name=fact.envelope.name,
        role=event.role,
        on_behalf_of=event.on_behalf_of,
        at=fact.effective_at,
        comment=event.comment,
        signature=event.signature,
    )


def _on_paper(event: CounterpartySignatureRecorded, *, counts: bool) -> SignatureSeen:
    return SignatureSeen(
        evidence=event.evidence,
        content_hash=event.content_hash,
        meaning=Meaning.APPROVAL,
        printed_name=event.signer_name,
        organisation=event.organisation,
        signed_on=event.signed_on,
        counts=counts,
    )


def _electronic(statement: Statement, *, counts: bool) -> SignatureSeen:
    return SignatureSeen(
        signature=statement.id(),
        content_hash=statement.content_hash,
        meaning=statement.meaning,
        signer=statement.signer,
        printed_name=statement.printed_name,
        organisation=statement.organisation,
        signed_on=statement.local_time.date(),
        counts=counts,
    )
