"""A quote: versions of an offer to a customer, approved as they stand, accepted once, used once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

from pydantic import Field

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import RequestApproval, Verdict, VoidApproval
from medsales.domain.governance.approval_flow import Case
from medsales.domain.governance.licence import (
    OWN,
    GateEvaluated,
    LicenceFile,
    buyer_gate,
    file_of,
    must_pass,
    salesperson_gate,
)
from medsales.domain.ids import (
    ApprovalId,
    ContractId,
    ContractTemplateId,
    CustomerId,
    LicenceFileId,
    OrderId,
    PersonId,
    PriceMatrixId,
    PriceSheetId,
    ProductId,
    QuoteId,
)
from medsales.domain.kernel import (
    Aggregate,
    Also,
    Command,
    Event,
    Key,
    Note,
    Refused,
    Role,
    Term,
    Text,
)
from medsales.domain.parties.customer import Customer
from medsales.domain.sales.offer import (
    Offer,
    PriceList,
    QuoteContent,
    QuotedLine,
    WantedQuoteLines,
    Written,
)
from medsales.domain.stock.product import Product
from medsales.domain.terms.contract import DraftContractFromQuote
from medsales.domain.terms.contract_content import Award, Delivery
from medsales.domain.terms.price_matrix import GIVEN_UP, PriceMatrix
from medsales.domain.terms.price_sheet import PriceSheet, sheets_for
from medsales.domain.values import Days, Evidence, Quantity, day_in_china


class QuoteStatus(Term):
    DRAFT = "draft", "草稿"
    PENDING_APPROVAL = "pending_approval", "审批中"
    APPROVED = "approved", "已批准"
    ISSUED = "issued", "已发出"
    ACCEPTED = "accepted", "已接受"
    CONVERTED = "converted", "已转化"
    WITHDRAWN = "withdrawn", "已撤回"
    SUPERSEDED = "superseded", "已被新版取代"
    DECLINED = "declined", "已被拒绝"
    EXPIRED = "expired", "已过期"
    VOIDED = "voided", "已作废"


@dataclass(frozen=True)
class Quote(Aggregate):
    """Only the newest version is current (Q3); what became of the others is history."""

    number: str = ""
    customer: CustomerId | None = None
    price_matrix: PriceMatrixId | None = None
    version: int = 0
    status: QuoteStatus | None = None
    written: Written | None = None
    authors: tuple[str, ...] = ()
    """Everybody who wrote or submitted this version, or what it was made from."""
    lines: tuple[QuotedLine, ...] = ()
    content: QuoteContent | None = None
    """What the customer sees, from the submission on."""
    content_hash: str = ""
    requests: int = 0
    """How many approvals have been asked for, over all versions."""
    approval: ApprovalId | None = None
    """The one that is waited for, or was given, for the content as it stands."""
    accepted: QuoteAccepted | None = None
    converted_into: OrderId | ContractId | None = None

    @property
    def products(self) -> tuple[ProductId, ...]:
        return self.text().products

    @property
    def buyer_file(self) -> LicenceFileId:
        return file_of(self.buyer())

    @property
    def our_file(self) -> LicenceFileId:
        return OWN

    def buyer(self) -> CustomerId:
        assert self.customer is not None, "the engine asks existing quotes only"
        return self.customer

    def prices(self) -> PriceMatrixId:
        assert self.price_matrix is not None, "the engine asks existing quotes only"
        return self.price_matrix

    def text(self) -> Written:
        assert self.written is not None, "the engine asks existing quotes only"
        return self.written

    def must_be(self, *statuses: QuoteStatus) -> None:
        if self.status not in statuses:
            now = self.status or QuoteStatus.DRAFT
            raise Refused(
                "quote.wrong_stage",
                f"version {self.version} is {now.en}, not {' or '.join(s.en for s in statuses)}",
                f"第 {self.version} 版{now.zh}, 而非{'或'.join(s.zh for s in statuses)}",
            )

    def must_be_valid_at(self, at: datetime) -> None:
        """Q4: by the moment it is about, whether or not the timer has rung."""
        until = self.text().valid_until
        if day_in_china(at) > until:
            raise Refused(
                "quote.expired",
                f"the quote was valid until {until}",
                f"报价有效期至 {until}, 已过期",
            )

    def must_stand_on_prices_of(self, matrix: PriceMatrix) -> None:
        """P7 protects what the customer has in hand, not what we still have."""
        for number in sorted({line.price_version for line in self.lines}):
            status = matrix.version(number).status
            if status in GIVEN_UP:
                raise Refused(
                    "quote.price_given_up",
                    f"version {number} of its prices is {status.en}; revise the quote,"
                    " then it is priced anew",
                    f"其价格第 {number} 版{status.zh}; 请修订报价以重新计价",
                )

    def must_be_current(self, version: int) -> None:
        """Q3."""
        if version != self.version:
            raise Refused(
                "quote.not_current",
                f"version {version} is not the current one, which is {self.version}",
                f"第 {version} 版并非现行版本, 现行为第 {self.version} 版",
            )

    def must_say(self, content_hash: str) -> None:
        """Q4: what is accepted is what was issued."""
        if content_hash != self.content_hash:
            raise Refused(
                "quote.content_differs",
                f"what you saw is not version {self.version} as it was issued: {self.content_hash}",
                f"您看到的内容与已发出的第 {self.version} 版不一致: {self.content_hash}",
            )

    def offer(self, at: datetime) -> Offer:  # noqa: ARG002 - an acceptance does not run out
        """What was accepted and has not been used. Raises Refused (Q5)."""
        self.must_not_be_converted()
        self.must_be(QuoteStatus.ACCEPTED)
        return self.offered()

    def offered(self) -> Offer:
        return Offer(
            version=self.version,
            content_hash=self.content_hash,
            customer=self.buyer(),
            price_matrix=self.prices(),
            lines=self.lines,
            authors=self.authors,
        )

    def must_not_be_converted(self) -> None:
        """Q5."""
        if self.converted_into:
            raise Refused(
                "quote.converted",
                f"the quote has already become {self.converted_into}",
                f"该报价已转为 {self.converted_into}",
            )

    def voided(self, reason: str) -> tuple[Also, ...]:
        """Q2: what was or is to be approved is no longer what is offered."""
        return (Also(self.approval, VoidApproval(reason=reason)),) if self.approval else ()


class PricesLines(Command[Quote]):
    """A command that works out prices."""

    def sheets(
        self, price_matrix: PriceMatrix, products: tuple[Product, ...]
    ) -> tuple[PriceSheetId, ...]:
        matrix = PriceMatrixId.of(price_matrix.code)
        return sheets_for(matrix, ((ProductId.of(p.di), p.family) for p in products))


class WritesQuote(PricesLines):
    """A command that says what is to be offered."""

    lines: WantedQuoteLines
    valid_until: date
    """The last day on which it can be accepted, in China."""
    remarks: Note | None = None
    """What else the customer is told: delivery, payment, warranty."""
    tender: Text | None = None
    """The number of the tender it answers."""

    @property
    def products(self) -> tuple[ProductId, ...]:
        return self.written().products

    def written(self) -> Written:
        return Written(
            lines=self.lines,
            valid_until=self.valid_until,
            remarks=self.remarks,
            tender=self.tender,
        )


class DraftQuote(WritesQuote):
    """Begin a quote for a customer, at prices in force or others; a draft binds nobody."""

    allowed = (Role.SALES, Role.MANAGER)

    number: Key = Field(examples=["Q-2026-0001"])
    """The number of the quote, used once."""
    customer: CustomerId
    price_matrix: PriceMatrixId

    def begins(self) -> QuoteId:
        return QuoteId.of(self.number)

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        quote: Quote,
        customer: Customer,
        price_matrix: PriceMatrix,
        products: tuple[Product, ...],
        sheets: tuple[PriceSheet | None, ...],
        by: str,
        at: datetime,
    ) -> QuoteDrafted | None:
        if quote.status is not None:
            self._must_be_the_same(quote)
            return None
        known = dict(zip(self.products, products, strict=True))
        prices = PriceList(self.customer, customer, price_matrix, sheets, known, day_in_china(at))
        return QuoteDrafted(
            number=self.number,
            customer=self.customer,
            price_matrix=self.price_matrix,
            author=by,
            written=self.written(),
            lines=prices.quoted(self.lines),
        )

    def _must_be_the_same(self, quote: Quote) -> None:
        known = (quote.version, quote.customer, quote.price_matrix, quote.written)
        if known != (1, self.customer, self.price_matrix, self.written()):
            raise Refused(
                "quote.number_taken",
                f"the quote number {self.number} has been used for another quote",
                f"报价编号 {self.number} 已用于另一报价",
            )


class QuoteDrafted(Event[Quote]):
    number: str
    version: int = 1
    customer: CustomerId
    price_matrix: PriceMatrixId
    author: str
    written: Written
    lines: tuple[QuotedLine, ...]

    def apply(self, quote: Quote, /) -> Quote:
        return replace(
            quote,
            number=self.number,
            customer=self.customer,
            price_matrix=self.price_matrix,
            version=self.version,
            status=QuoteStatus.DRAFT,
            written=self.written,
            authors=(self.author,),
            lines=self.lines,
        )


class EditQuote(WritesQuote):
    """Write a draft anew; what has been submitted is revised, not edited (Q2)."""

    allowed = (Role.SALES, Role.MANAGER)

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        quote: Quote,
        customer: Customer,
        price_matrix: PriceMatrix,
        products: tuple[Product, ...],
        sheets: tuple[PriceSheet | None, ...],
        by: str,
        at: datetime,
    ) -> QuoteEdited | None:
        quote.must_be(QuoteStatus.DRAFT)
        if quote.written == self.written():
            return None
        known = dict(zip(self.products, products, strict=True))
        prices = PriceList(quote.buyer(), customer, price_matrix, sheets, known, day_in_china(at))
        return QuoteEdited(
            version=quote.version,
            author=by,
            written=self.written(),
            lines=prices.quoted(self.lines),
        )


class QuoteEdited(Event[Quote]):
    version: int
    author: str
    written: Written
    lines: tuple[QuotedLine, ...]

    def apply(self, quote: Quote, /) -> Quote:
        return replace(
            quote,
            written=self.written,
            lines=self.lines,
            authors=tuple(dict.fromkeys((*quote.authors, self.author))),
        )


class SubmitQuote(PricesLines):
    """Hand a draft in for approval, at the prices of today; within one's own limit it is approved
    at once."""

    allowed = (Role.SALES, Role.MANAGER)
    at_once = True

    def seller_file(self, by: str) -> LicenceFileId:
        return file_of(PersonId.of(by))

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        quote: Quote,
        id: QuoteId,
        customer: Customer,
        price_matrix: PriceMatrix,
        products: tuple[Product, ...],
        sheets: tuple[PriceSheet | None, ...],
        buyer_file: LicenceFile | None,
        our_file: LicenceFile | None,
        by: str,
        seller_file: LicenceFile | None,
        at: datetime,
    ) -> tuple[QuoteSubmitted | Also, ...] | None:
        if quote.status is QuoteStatus.PENDING_APPROVAL:
            return None
        quote.must_be(QuoteStatus.DRAFT)
        quote.must_be_valid_at(at)
        customer.must_be_served()
        known = dict(zip(quote.products, products, strict=True))
        prices = PriceList(quote.buyer(), customer, price_matrix, sheets, known, day_in_china(at))
        gates = self.gates(prices, day_in_china(at), buyer_file, seller_file, our_file)
        submitted = self.submitted(quote, id, by, prices, gates)
        return submitted, submitted.asks(quote, id, customer.name)

    def gates(
        self,
        prices: PriceList,
        day: date,
        buyer: LicenceFile | None,
        seller: LicenceFile | None,
        ours: LicenceFile | None,
    ) -> tuple[GateEvaluated, ...]:
        """Q7, LIC-3, LIC-5; whether an unauthorised seller is stopped is our policy."""
        goods, customer = prices.gated(), prices.buyer
        return must_pass(
            buyer_gate(buyer, customer, goods, day),
            salesperson_gate(seller, customer.region, goods, day, ours),
        )

    def submitted(
        self,
        quote: Quote,
        id: QuoteId,
        by: str,
        prices: PriceList,
        gates: tuple[GateEvaluated, ...],
    ) -> QuoteSubmitted:
        written = quote.text()
        lines = prices.quoted(written.lines)
        content = prices.content(quote.number, quote.version, written, lines)
        return QuoteSubmitted(
            version=quote.version,
            submitter=by,
            written=written,
            lines=lines,
            content=content,
            content_hash=content_hash(content),
            case=prices.case(written, lines),
            gates=gates,
            approval=ApprovalId.of(id, str(quote.requests + 1)),
        )


class QuoteSubmitted(Event[Quote]):
    version: int
    submitter: str
    written: Written
    lines: tuple[QuotedLine, ...]
    content: QuoteContent
    content_hash: str
    case: Case
    """What the approval is decided by."""
    gates: tuple[GateEvaluated, ...] = ()
    """The licences that were seen (LIC-7); LIC-5 may have warned."""
    approval: ApprovalId

    def asks(self, quote: Quote, id: QuoteId, customer: str) -> Also:
        title = f"quote {quote.number} version {self.version}, {self.content.total}, {customer}"
        wanted = RequestApproval(
            subject=id,
            number=quote.requests + 1,
            version=self.version,
            content_hash=self.content_hash,
            authors=self.apply(quote).authors,
            case=self.case,
            title=title[:200],
        )
        return Also(self.approval, wanted)

    def apply(self, quote: Quote, /) -> Quote:
        return replace(
            quote,
            status=QuoteStatus.PENDING_APPROVAL,
            lines=self.lines,
            content=self.content,
            content_hash=self.content_hash,
            authors=tuple(dict.fromkeys((*quote.authors, self.submitter))),
            requests=quote.requests + 1,
            approval=self.approval,
        )


class TakeVerdict(Command[Quote]):
    """Hear what became of the approval; it counts for the content it was asked for (Q2)."""

    allowed = ()

    verdict: Verdict

    def decide(self, quote: Quote) -> QuoteApproved | QuoteRejected:
        quote.must_be(QuoteStatus.PENDING_APPROVAL)
        verdict = self.verdict
        verdict.must_be_about(quote.approval, quote.version, quote.content_hash)
        if verdict.granted:
            return QuoteApproved(
                version=verdict.version,
                content_hash=verdict.content_hash,
                approval=verdict.approval,
                approvers=verdict.approvers,
            )
        return QuoteRejected(
            version=verdict.version, approval=verdict.approval, reason=verdict.reason or ""
        )


class QuoteApproved(Event[Quote]):
    version: int
    content_hash: str
    approval: ApprovalId
    approvers: tuple[str, ...] = ()
    """Nobody where it was within the seller's own limit."""

    def apply(self, quote: Quote, /) -> Quote:
        return replace(quote, status=QuoteStatus.APPROVED)


class QuoteRejected(Event[Quote]):
    version: int
    approval: ApprovalId
    reason: str

    def apply(self, quote: Quote, /) -> Quote:
        return replace(
            quote, status=QuoteStatus.DRAFT, approval=None, content=None, content_hash=""
        )


class IssueQuote(Command[Quote]):
    """Send an approved quote to the customer; from now on it can be accepted."""

    allowed = (Role.SALES, Role.MANAGER)
    at_once = True

    def decide(self, quote: Quote, at: datetime, price_matrix: PriceMatrix) -> QuoteIssued | None:
        if quote.status is QuoteStatus.ISSUED:
            return None
        quote.must_be(QuoteStatus.APPROVED)
        quote.must_be_valid_at(at)
        quote.must_stand_on_prices_of(price_matrix)
        return QuoteIssued(
            version=quote.version,
            customer=quote.buyer(),
            price_matrix=quote.prices(),
            content_hash=quote.content_hash,
            valid_until=quote.text().valid_until,
            lines=quote.lines,
        )


class QuoteIssued(Event[Quote]):
    version: int
    customer: CustomerId
    price_matrix: PriceMatrixId
    content_hash: str
    valid_until: date
    lines: tuple[QuotedLine, ...]
    """As they can be accepted; nothing that comes later changes them (P7)."""

    def apply(self, quote: Quote, /) -> Quote:
        return replace(quote, status=QuoteStatus.ISSUED)


class ReviseQuote(Command[Quote]):
    """Begin the next version from this one; whatever was approved of this one is void (Q2, Q3)."""

    allowed = (Role.SALES, Role.MANAGER)
    at_once = True

    reason: Text

    def decide(self, quote: Quote, by: str) -> tuple[QuoteRevised | Also, ...]:
        quote.must_be(QuoteStatus.PENDING_APPROVAL, QuoteStatus.APPROVED, QuoteStatus.ISSUED)
        revised = QuoteRevised(
            superseded=quote.version,
            was=quote.status or QuoteStatus.DRAFT,
            version=quote.version + 1,
            author=by,
            reason=self.reason,
            written=quote.text(),
            lines=quote.lines,
        )
        return revised, *quote.voided(self.reason)


class QuoteRevised(Event[Quote]):
    superseded: int
    was: str
    """How far the version had come that is superseded."""
    version: int
    author: str
    reason: str
    written: Written
    lines: tuple[QuotedLine, ...]

    def apply(self, quote: Quote, /) -> Quote:
        return replace(
            quote,
            version=self.version,
            status=QuoteStatus.DRAFT,
            written=self.written,
            lines=self.lines,
            authors=tuple(dict.fromkeys((*quote.authors, self.author))),
            content=None,
            content_hash="",
            approval=None,
        )


class WithdrawQuote(Command[Quote]):
    """Take back a quote that waits for approval, or that the customer has not answered."""

    allowed = (Role.SALES, Role.MANAGER)
    at_once = True

    reason: Text

    def decide(self, quote: Quote) -> tuple[QuoteWithdrawn | Also, ...] | None:
        if quote.status is QuoteStatus.WITHDRAWN:
            return None
        quote.must_be(QuoteStatus.PENDING_APPROVAL, QuoteStatus.ISSUED)
        withdrawn = QuoteWithdrawn(version=quote.version, reason=self.reason)
        return withdrawn, *quote.voided(self.reason)


class QuoteWithdrawn(Event[Quote]):
    version: int
    reason: str

    def apply(self, quote: Quote, /) -> Quote:
        return replace(quote, status=QuoteStatus.WITHDRAWN)


class AcceptQuote(Command[Quote]):
    """Note that the customer accepts, with what shows it; only what is issued and valid (Q4).

    It binds us from the moment it is told: what comes by post after the last day finds a new quote.
    """

    allowed = (Role.SALES, Role.MANAGER)
    at_once = True

    version: Quantity
    content_hash: Evidence
    """What stands on the document that the customer accepted."""
    accepted_by: Text
    """Who accepted it at the customer."""
    evidence: Evidence
    """The letter, order form or message of the customer."""

    def decide(self, quote: Quote, at: datetime) -> QuoteAccepted | None:
        accepted = QuoteAccepted(customer=quote.buyer(), **self.model_dump())
        if quote.accepted == accepted:
            return None
        quote.must_be_current(self.version)
        quote.must_be(QuoteStatus.ISSUED)
        quote.must_say(self.content_hash)
        quote.must_be_valid_at(at)
        return accepted


class QuoteAccepted(Event[Quote]):
    version: int
    customer: CustomerId
    content_hash: str
    accepted_by: str
    evidence: str

    def apply(self, quote: Quote, /) -> Quote:
        return replace(quote, status=QuoteStatus.ACCEPTED, accepted=self)


class DeclineQuote(Command[Quote]):
    """Note that the customer does not want it."""

    allowed = (Role.SALES, Role.MANAGER)

    reason: Text

    def decide(self, quote: Quote) -> QuoteDeclined | None:
        if quote.status is QuoteStatus.DECLINED:
            return None
        quote.must_be(QuoteStatus.ISSUED)
        return QuoteDeclined(version=quote.version, reason=self.reason)


class QuoteDeclined(Event[Quote]):
    version: int
    reason: str

    def apply(self, quote: Quote, /) -> Quote:
        return replace(quote, status=QuoteStatus.DECLINED)


class ExpireQuote(Command[Quote]):
    """Note that the last day of an issued quote has passed."""

    allowed = ()

    valid_until: date
    """The day that has passed; if another one counts by now, nothing happens."""

    def decide(self, quote: Quote) -> QuoteExpired | None:
        if quote.status is not QuoteStatus.ISSUED or quote.text().valid_until != self.valid_until:
            return None
        return QuoteExpired(version=quote.version, valid_until=self.valid_until)


class QuoteExpired(Event[Quote]):
    version: int
    valid_until: date

    def apply(self, quote: Quote, /) -> Quote:
        return replace(quote, status=QuoteStatus.EXPIRED)


class VoidQuote(Command[Quote]):
    """Give up an accepted quote that has not become an order or a contract."""

    allowed = (Role.MANAGER,)
    at_once = True

    reason: Text

    def decide(self, quote: Quote) -> QuoteVoided | None:
        if quote.status is QuoteStatus.VOIDED:
            return None
        quote.must_not_be_converted()
        quote.must_be(QuoteStatus.ACCEPTED)
        return QuoteVoided(version=quote.version, reason=self.reason)


class QuoteVoided(Event[Quote]):
    version: int
    reason: str

    def apply(self, quote: Quote, /) -> Quote:
        return replace(quote, status=QuoteStatus.VOIDED)


class ConvertQuote(Command[Quote]):
    """Become an order or a contract, in the decision that begins it, and never again (Q5)."""

    allowed = ()

    into: OrderId | ContractId

    def decide(self, quote: Quote) -> QuoteConverted | None:
        if quote.converted_into == self.into:
            return None
        quote.must_not_be_converted()
        quote.must_be(QuoteStatus.ACCEPTED)
        return QuoteConverted(version=quote.version, customer=quote.buyer(), into=self.into)


class QuoteConverted(Event[Quote]):
    version: int
    customer: CustomerId
    into: OrderId | ContractId

    def apply(self, quote: Quote, /) -> Quote:
        return replace(quote, status=QuoteStatus.CONVERTED, converted_into=self.into)


class ConvertQuoteToContract(Command[Quote]):
    """Make an accepted quote into the draft of a contract, at its prices; this is done once (Q5).

    What else the contract says is written there.
    """

    allowed = (Role.SALES, Role.MANAGER, Role.LEGAL)
    at_once = True

    number: Key = Field(examples=["HT-2026-0001"])
    """The number of the contract, used once."""
    title: Text
    """What the contract is about; for one from a tender the subject of the bid."""
    valid_from: date
    """The first day on which it may be ordered under."""
    valid_until: date
    """The last day."""
    template: ContractTemplateId | None = None
    """Whose clauses it takes over, in the version in force."""
    award: Award | None = None
    """What was won in a tender; the contract must say the same (C5)."""
    delivery: Delivery | None = None
    payment_days: Days = 30
    """How many days after the invoice the customer pays."""
    public_procurement: bool = False
    """Bought with public money (政府采购): amendments are limited (C4)."""

    def decide(
        self, quote: Quote, id: QuoteId, at: datetime
    ) -> tuple[QuoteConverted | Also, ...] | None:
        contract = ContractId.of(self.number)
        if quote.converted_into == contract:
            # The contract knows whether it is asked for the same once more.
            return (Also(contract, self.drafted(quote.offered(), id)),)
        offer = quote.offer(at)
        converted = QuoteConverted(version=offer.version, customer=offer.customer, into=contract)
        return converted, Also(contract, self.drafted(offer, id))

    def drafted(self, offer: Offer, quote: QuoteId) -> DraftContractFromQuote:
        lines = offer.agreed()
        return DraftContractFromQuote(
            **{name: getattr(self, name) for name in type(self).model_fields},
            customer=offer.customer,
            currency=lines[0].price.currency,
            lines=lines,
            quote=quote,
            quoted=offer.reasons(),
            quoted_by=offer.authors,
        )
