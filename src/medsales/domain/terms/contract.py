"""A contract: drafted, approved and signed by both, then what may be ordered under it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field
from rpds import HashTrieMap

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
    seller_gate,
)
from medsales.domain.governance.signature import InvalidateSignature
from medsales.domain.ids import (
    ApprovalId,
    ContractId,
    ContractTemplateId,
    CustomerId,
    LicenceFileId,
    OrderId,
    PriceMatrixId,
    PriceSheetId,
    ProductId,
    QuoteId,
    SignatureId,
)
from medsales.domain.kernel import (
    Aggregate,
    Also,
    Command,
    Event,
    Key,
    Refused,
    Role,
    Term,
    Text,
    Value,
)
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.product import Product
from medsales.domain.terms.contract_content import (
    AgreedLine,
    Award,
    Clauses,
    ContractContent,
    Delivery,
    Obligations,
    PriceReason,
    Side,
    numbered,
)
from medsales.domain.terms.contract_template import ContractTemplate
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.domain.terms.price_sheet import Buyer, PriceSheet, discount, sheets_for
from medsales.domain.values import Currency, Days, Money, Quantity, day_in_china


class ContractStatus(Term):
    DRAFT = "draft", "草稿"
    IN_APPROVAL = "in_approval", "审批中"
    APPROVED = "approved", "已批准"
    OUT_FOR_SIGNATURE = "out_for_signature", "待签署"
    PARTIALLY_SIGNED = "partially_signed", "部分签署"
    ACTIVE = "active", "生效"
    SUSPENDED = "suspended", "中止"
    FULFILLED = "fulfilled", "履行完毕"
    EXPIRED = "expired", "到期"
    TERMINATED = "terminated", "解除"
    CANCELLED = "cancelled", "已取消"


@dataclass(frozen=True)
class Signatory:
    """One party's signature under the version on its way."""

    side: Side
    by: str
    """Who signed; who entered it, where the other party signed elsewhere."""
    on: date
    signature: SignatureId | None = None
    paper: tuple[str, str] | None = None
    """What was signed elsewhere, and the evidence of it, by their hashes."""


@dataclass(frozen=True)
class UnderWay:
    """The version that is on its way to being in force: the contract itself or an amendment."""

    content: ContractContent
    content_hash: str
    authors: frozenset[str]
    seller: str
    """Who drafted it, and must be authorised to sell this (LIC-5)."""
    reasons: tuple[PriceReason, ...] = ()
    stage: ContractStatus = ContractStatus.DRAFT
    sent_on: date | None = None
    signed: tuple[Signatory, ...] = ()

    @property
    def version(self) -> int:
        return self.content.version

    @property
    def sides(self) -> set[Side]:
        return {each.side for each in self.signed}

    def must_have_been_seen(self, seen: str) -> None:
        """What you see is what you sign (B7)."""
        if seen != self.content_hash:
            raise Refused(
                "contract.content_differs",
                "what was signed is not the content that is out for signature",
                "所签内容与待签署的合同内容不一致",
            )


@dataclass(frozen=True)
class InForce:
    """A version that both parties have signed, and the first day on which it counts."""

    since: date
    content: ContractContent
    signed: tuple[Signatory, ...] = ()
    reasons: tuple[PriceReason, ...] = ()

    def reason_of(self, product: ProductId) -> PriceReason | None:
        """Why it has its price; None where that is the contract's own."""
        return next((reason for reason in self.reasons if reason.product == product), None)


@dataclass(frozen=True)
class Called:
    """How much of a product an order has called off."""

    quantity: int = 0
    amount: Decimal = Decimal(0)

    def plus(self, quantity: int, amount: Decimal) -> Called:
        return Called(self.quantity + quantity, self.amount + amount)


class Agreed(Value):
    """What a contract says about a product on a day."""

    price: Money
    """Of one piece."""
    contract_version: int
    path: tuple[str, ...]
    """Why it is this price: the contract, its version and what the line rests on."""
    remaining: int | None = None
    """Pieces that may still be called off; None where only the amount is limited."""


@dataclass(frozen=True)
class Contract(Aggregate):
    drafted: str | None = None
    """The hash of what was drafted first."""
    standing: ContractStatus | None = None
    """Once both have signed, or it has been cancelled before."""
    under_way: UnderWay | None = None
    in_force: tuple[InForce, ...] = ()
    """Version by version, from 1 on; the days since when they count never go back."""
    requests: int = 0
    """How many approvals it has asked for."""
    called: HashTrieMap[OrderId, dict[ProductId, Called]] = field(default_factory=HashTrieMap)
    drawn: dict[ProductId, Called] = field(default_factory=dict)
    """All of that together; kept, so that no decision adds up every order."""
    supplemented: Decimal = Decimal(0)
    """What amendments have added to the original amount (C4)."""
    met: frozenset[str] = frozenset()
    """Obligations that have been met."""
    reminded: frozenset[tuple[str, date]] = frozenset()
    """Obligations, with the day they were due when somebody was reminded."""
    renewal_reminded_for: date | None = None
    """The end that somebody has been reminded of."""
    late_excused: bool = False
    """C6."""

    @property
    def status(self) -> ContractStatus:
        if self.standing is not None:
            return self.standing
        return self.under_way.stage if self.under_way else ContractStatus.DRAFT

    @property
    def content(self) -> ContractContent | None:
        """What counts, or is to count where nothing does yet."""
        if self.in_force:
            return self.in_force[-1].content
        return self.under_way.content if self.under_way else None

    @property
    def latest(self) -> ContractContent | None:
        """Of the version on its way, if there is one."""
        return self.under_way.content if self.under_way else self.content

    @property
    def customer(self) -> CustomerId | None:
        return self.content.customer if self.content else None

    @property
    def products(self) -> tuple[ProductId, ...]:
        return self.latest.products if self.latest else ()

    @property
    def their_licences(self) -> LicenceFileId | None:
        return file_of(self.customer) if self.customer else None

    @property
    def our_licences(self) -> LicenceFileId:
        return OWN

    @property
    def seller_licences(self) -> LicenceFileId | None:
        return file_of(self.under_way.seller) if self.under_way else None

    def agreed_content(self) -> ContractContent:
        assert self.content is not None, "the engine asks existing contracts only"
        return self.content

    def must_be(self, *statuses: ContractStatus) -> None:
        if self.status not in statuses:
            raise wrong_stage("contract", "合同", self.status, statuses)

    def draft_at(self, *stages: ContractStatus) -> UnderWay:
        """The version on its way, if it has come that far and no further."""
        draft = self.under_way
        cancelled = self.standing is ContractStatus.CANCELLED
        if draft is None or cancelled or draft.stage not in stages:
            now = self.status if draft is None or cancelled else draft.stage
            raise wrong_stage("contract", "合同", now, stages)
        return draft

    def version_on(self, day: date) -> InForce:
        """C2, C3: the version to order under on a day. Raises Refused outside the validity."""
        self.must_be(ContractStatus.ACTIVE)
        return self.valid_on(day)

    def valid_on(self, day: date) -> InForce:
        """The version that counts on a day, whether or not it may still be ordered under."""
        begun = [version for version in self.in_force if version.since <= day]
        content = begun[-1].content if begun else self.in_force[0].content
        if not begun or not content.valid_from <= day <= content.valid_until:
            first = max(content.valid_from, self.in_force[0].since)
            raise Refused(
                "contract.not_valid",
                f"{content.number} is valid from {first} until {content.valid_until}, not on {day}",
                f"合同 {content.number} 有效期自 {first} 至 {content.valid_until}, {day} 无效",
            )
        return begun[-1]

    def limits_on(self, day: date) -> tuple[ContractContent, ...]:
        """C2: what may be called off on a day must fit that version and those that come after it,
        which may have been signed already and allow less."""
        now = self.valid_on(day).content
        return now, *(v.content for v in self.in_force if v.content.version > now.version)

    def agreed(self, product: ProductId, quantity: int, on: date) -> Agreed:
        """The price of one piece, if so many may be called off on that day in China (C2)."""
        self.must_be(ContractStatus.ACTIVE)
        found = self.price_of(product, on)
        for content in self.limits_on(on):
            self.must_have_left(content, product, quantity)
            self.must_not_cost_more(content, found.price.amount * quantity)
        return found

    def price_of(self, product: ProductId, on: date) -> Agreed:
        """The price of one piece on a day, whether or not anything is left to call off."""
        version = self.valid_on(on)
        line = version.content.line_of(product)
        left = [self.remaining(content, product) for content in self.limits_on(on)]
        return Agreed(
            price=line.price,
            contract_version=version.content.version,
            path=_path(version, line.line, version.reason_of(product)),
            remaining=min((pieces for pieces in left if pieces is not None), default=None),
        )

    @property
    def drawn_amount(self) -> Decimal:
        return sum((some.amount for some in self.drawn.values()), Decimal(0))

    def remaining(self, content: ContractContent, product: ProductId) -> int | None:
        """Pieces that may still be called off."""
        limit = content.line_of(product).max_quantity
        return None if limit is None else limit - self.drawn.get(product, Called()).quantity

    def must_have_left(self, content: ContractContent, product: ProductId, quantity: int) -> None:
        left = self.remaining(content, product)
        if left is not None and quantity > left:
            raise Refused(
                "contract.quantity_exceeded",
                f"{left} of {product} may still be called off from {content.number},"
                f" not {quantity} (C2)",
                f"合同 {content.number} 的 {product} 尚可订购 {left} 件, 不足 {quantity} 件 (C2)",
            )

    def must_not_cost_more(self, content: ContractContent, amount: Decimal) -> None:
        if content.max_amount is None:
            return
        left = content.max_amount.amount - self.drawn_amount
        if amount > left:
            raise Refused(
                "contract.amount_exceeded",
                f"{left} {content.currency} may still be called off from {content.number},"
                f" not {amount} (C2)",
                f"合同 {content.number} 尚可订购 {left} {content.currency}, 不足 {amount} (C2)",
            )

    def is_called_off(self) -> bool:
        """Whether nothing is left that may be called off."""
        content = self.agreed_content()
        if content.max_amount is not None and self.drawn_amount == content.max_amount.amount:
            return True
        return all(self.remaining(content, product) == 0 for product in content.products)

    def is_signed_with(self, proof: str | tuple[str, str]) -> bool:
        """By a signature made here, or on paper elsewhere."""
        signed = [each for version in self.in_force for each in version.signed]
        signed += self.under_way.signed if self.under_way else ()
        return proof in {known for each in signed for known in (each.signature, each.paper)}

    def must_cover_what_is_drawn(self, content: ContractContent) -> None:
        """No amendment takes away what has been called off already (C2)."""
        for product, drawn in self.drawn.items():
            limit = content.line_of(product).max_quantity
            if limit is not None and limit < drawn.quantity:
                raise Refused(
                    "contract.called_off_already",
                    f"{drawn.quantity} of {product} have been called off, more than {limit}",
                    f"{product} 已订购 {drawn.quantity} 件, 多于 {limit} 件",
                )
        if content.max_amount is not None and content.max_amount.amount < self.drawn_amount:
            raise Refused(
                "contract.called_off_already",
                f"{self.drawn_amount} have been called off, more than {content.max_amount}",
                f"已订购 {self.drawn_amount}, 多于 {content.max_amount}",
            )

    def given_up(self, id: ContractId, reason: str) -> tuple[Also, ...]:
        """What becomes of the approval and the signatures of the version on its way (C1)."""
        draft = self.under_way
        if draft is None:
            return ()
        asked_for = draft.stage is not ContractStatus.DRAFT
        asked = (Also(self.approval(id), VoidApproval(reason=reason)),) if asked_for else ()
        signed = [each.signature for each in draft.signed if each.signature]
        return *asked, *(Also(each, InvalidateSignature(reason=reason)) for each in signed)

    def approval(self, id: ContractId) -> ApprovalId:
        """The one it asked for last."""
        return ApprovalId.of(id, str(self.requests))

    def with_draft(self, **changes: object) -> Contract:
        assert self.under_way is not None, "the event speaks of a version on its way"
        return replace(self, under_way=replace(self.under_way, **changes))  # type: ignore[arg-type]


def _path(version: InForce, line: int, reason: PriceReason | None) -> tuple[str, ...]:
    content = version.content
    return (
        f"contract {content.number} version {content.version}",
        f"since {version.since}",
        f"line {line}",
        *(reason.price_path if reason else ()),
    )


def wrong_stage(
    en: str, zh: str, now: ContractStatus, wanted: tuple[ContractStatus, ...]
) -> Refused:
    return Refused(
        "contract.wrong_stage",
        f"the {en} is {now.en}, not {' or '.join(each.en for each in wanted)}",
        f"{zh}{now.zh}, 而非{'或'.join(each.zh for each in wanted)}",
    )


Lines = Annotated[tuple[AgreedLine, ...], Field(min_length=1, max_length=500)]


@dataclass(frozen=True)
class Asked:
    """Who buys what, and what the price matrix says about it on the day it is written."""

    matrix: PriceMatrix | None
    sheets: tuple[PriceSheet | None, ...]
    goods: dict[ProductId, Product]
    customer: Customer
    buyer: Buyer
    on: date

    def reasons(
        self, lines: Iterable[AgreedLine], known: tuple[PriceReason, ...]
    ) -> tuple[PriceReason, ...]:
        """Of each line that has one: what is known of it, or else what is in force today."""
        found = ((line, [each for each in known if each.is_about(line)]) for line in lines)
        reasons = (
            max(those, key=lambda reason: reason.discount) if those else self._asked_about(line)
            for line, those in found
        )
        return tuple(reason for reason in reasons if reason)

    def _asked_about(self, line: AgreedLine) -> PriceReason | None:
        """Which price is in force, and how far that of the line is off."""
        if self.matrix is None or line.product not in self.goods:
            return None
        family, pieces = self.goods[line.product].family, line.max_quantity or 1
        currency = line.price.currency
        try:
            found = self.matrix.price(
                self.sheets, line.product, family, self.buyer, pieces, self.on, currency
            )
        except Refused:
            return None
        return PriceReason(
            product=line.product,
            price=line.price,
            pieces=pieces,
            price_version=found.version,
            price_path=found.path,
            floor=found.floor,
            discount=discount(line.price, found.price),
        )


class PricedCommand(Command[Contract]):
    """A command with prices that are compared with those in force: with those of today."""

    at_once = True

    price_matrix: PriceMatrixId | None = None
    """What prices are compared with; without it they are the contract's own, and approvers are
    told so."""

    def sheets(self, products: tuple[Product, ...]) -> tuple[PriceSheetId, ...]:
        if self.price_matrix is None:
            return ()
        named = ((ProductId.of(product.di), product.family) for product in products)
        return sheets_for(self.price_matrix, named)

    def asked(  # noqa: PLR0913, PLR0917 - what a price depends on
        self,
        matrix: PriceMatrix | None,
        sheets: tuple[PriceSheet | None, ...],
        products: tuple[Product, ...],
        id: CustomerId,
        customer: Customer,
        at: datetime,
    ) -> Asked:
        if self.price_matrix is not None and matrix is None:
            raise Refused(
                f"{self.price_matrix.kind}.unknown",
                f"there is no {self.price_matrix}",
                f"没有 {self.price_matrix}",
            )
        buyer = Buyer.of(id, customer)
        if matrix is not None:
            matrix.must_be_for(buyer)
        goods = {ProductId.of(product.di): product for product in products}
        return Asked(matrix, sheets, goods, customer, buyer, day_in_china(at))


class Beginning(NamedTuple):
    """What stays of a contract, however often its draft is edited."""

    number: str
    customer: CustomerId
    quote: QuoteId | None = None
    known: tuple[PriceReason, ...] = ()
    """Of lines that know where their price comes from."""


class TermsCommand(PricedCommand):
    """A command that says all that a contract is to agree on."""

    title: Text
    """What it is about; for a contract from a tender the subject of the bid."""
    lines: Lines
    currency: Currency
    valid_from: date
    """The first day on which it may be ordered under."""
    valid_until: date
    """The last day."""
    clauses: Clauses = ()
    """Those of the template are there already; one with the same key replaces it."""
    max_amount: Money | None = None
    """Of everything that may be called off."""
    quality: Text | None = None
    """What the goods must fulfil: a standard, a grade."""
    delivery: Delivery | None = None
    payment_days: Days = 30
    """How many days after the invoice the customer pays."""
    obligations: Obligations = ()
    """What each party must do by a day."""
    renewal_notice_days: Days = 60
    """How many days before the end somebody is reminded to renew."""
    public_procurement: bool = False
    """Bought with public money (政府采购): amendments are limited (C4)."""
    award: Award | None = None
    """What was won in a tender; the contract must say the same (C5)."""
    template: ContractTemplateId | None = None
    """Whose clauses it takes over, in the version in force."""

    def content_for(
        self, beginning: Beginning, template: ContractTemplate | None, asked: Asked
    ) -> ContractContent:
        clauses, used = self.clauses, None
        if self.template and template:
            clauses, used = template.taken_over(self.template, self.clauses)
        content = ContractContent(
            **self.model_dump(include=SAID),
            number=beginning.number,
            version=1,
            customer=beginning.customer,
            customer_name=asked.customer.name,
            customer_address=asked.customer.address,
            quote=beginning.quote,
            template=used,
            clauses=clauses,
            lines=numbered(self.lines, asked.goods),
        )
        content.must_be_sound()
        return content


SAID = {
    "title",
    "currency",
    "valid_from",
    "valid_until",
    "max_amount",
    "quality",
    "delivery",
    "payment_days",
    "obligations",
    "renewal_notice_days",
    "public_procurement",
    "award",
}


class DraftContract(TermsCommand):
    """Write a contract: from a template, for a tender that was won, or freely."""

    allowed: ClassVar[tuple[Role, ...]] = (Role.SALES, Role.MANAGER, Role.LEGAL)

    number: Key = Field(examples=["HT-2026-0001"])
    """The number of the contract, used once."""
    customer: CustomerId

    def begins(self) -> ContractId:
        return ContractId.of(self.number)

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        contract: Contract,
        by: str,
        at: datetime,
        customer: Customer,
        products: tuple[Product, ...],
        template: ContractTemplate | None,
        price_matrix: PriceMatrix | None,
        sheets: tuple[PriceSheet | None, ...],
    ) -> ContractDrafted | None:
        asked = self.asked(price_matrix, sheets, products, self.customer, customer, at)
        content = self.content_for(self.beginning(), template, asked)
        if contract.drafted is not None:
            self._must_be_the_same(contract, content)
            return None
        customer.must_be_served()
        return ContractDrafted(
            content=content,
            content_hash=content_hash(content),
            author=by,
            quoted_by=self.written_by(),
            reasons=asked.reasons(self.lines, self.beginning().known),
        )

    @property
    def products(self) -> tuple[ProductId, ...]:
        return tuple(dict.fromkeys(line.product for line in self.lines))

    def beginning(self) -> Beginning:
        return Beginning(self.number, self.customer)

    def written_by(self) -> tuple[str, ...]:
        """Who is an author too, besides who asks."""
        return ()

    def _must_be_the_same(self, contract: Contract, content: ContractContent) -> None:
        if contract.drafted != content_hash(content):
            raise Refused(
                "contract.number_taken",
                f"the contract number {self.number} has been used for another contract",
                f"合同编号 {self.number} 已用于另一合同",
            )


class DraftContractFromQuote(DraftContract):
    """Write a contract that a quote is converted into; asked by the quote, once (Q5)."""

    allowed = ()

    quote: QuoteId
    quoted: tuple[PriceReason, ...]
    """Why the prices of the quote are what they are."""
    quoted_by: tuple[str, ...] = ()
    """Who wrote the quote: he wrote what the contract says, and does not approve it."""

    def beginning(self) -> Beginning:
        return Beginning(self.number, self.customer, self.quote, self.quoted)

    def written_by(self) -> tuple[str, ...]:
        return self.quoted_by


class ContractDrafted(Event[Contract]):
    content: ContractContent
    content_hash: str
    author: str
    quoted_by: tuple[str, ...] = ()
    """Who wrote the quote that it was made from; an author too."""
    reasons: tuple[PriceReason, ...] = ()

    def apply(self, contract: Contract, /) -> Contract:
        draft = UnderWay(
            self.content,
            self.content_hash,
            frozenset({self.author, *self.quoted_by}),
            seller=self.author,
            reasons=self.reasons,
        )
        return replace(contract, under_way=draft, drafted=self.content_hash)


class EditContract(TermsCommand):
    """Say anew all that a draft agrees on; number, customer and quote stay."""

    allowed = (Role.SALES, Role.MANAGER, Role.LEGAL)

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        contract: Contract,
        by: str,
        at: datetime,
        customer: Customer,
        products: tuple[Product, ...],
        template: ContractTemplate | None,
        price_matrix: PriceMatrix | None,
        sheets: tuple[PriceSheet | None, ...],
    ) -> ContractEdited | None:
        draft = contract.draft_at(ContractStatus.DRAFT)
        contract.must_be(ContractStatus.DRAFT)
        before = draft.content
        asked = self.asked(price_matrix, sheets, products, before.customer, customer, at)
        beginning = Beginning(before.number, before.customer, before.quote, draft.reasons)
        content = self.content_for(beginning, template, asked)
        reasons = asked.reasons(self.lines, draft.reasons)
        if (content, reasons) == (before, draft.reasons):
            return None
        return ContractEdited(
            content=content, content_hash=content_hash(content), author=by, reasons=reasons
        )

    @property
    def products(self) -> tuple[ProductId, ...]:
        return tuple(dict.fromkeys(line.product for line in self.lines))


class ContractEdited(Event[Contract]):
    content: ContractContent
    content_hash: str
    author: str
    reasons: tuple[PriceReason, ...] = ()

    def apply(self, contract: Contract, /) -> Contract:
        assert contract.under_way is not None, "a draft was edited"
        return contract.with_draft(
            content=self.content,
            content_hash=self.content_hash,
            authors=contract.under_way.authors | {self.author},
            reasons=self.reasons,
        )


class SubmitContract(Command[Contract]):
    """Ask for approval of the draft: of the contract, or of the amendment on its way."""

    allowed = (Role.SALES, Role.MANAGER, Role.LEGAL)

    def decide(
        self,
        contract: Contract,
        id: ContractId,
        by: str,
        customer: Customer,
        products: tuple[Product, ...],
    ) -> tuple[ContractSubmitted | Also, ...] | None:
        if contract.under_way and contract.under_way.stage is ContractStatus.IN_APPROVAL:
            return None
        draft = contract.draft_at(ContractStatus.DRAFT)
        content, number = draft.content, contract.requests + 1
        request = RequestApproval(
            subject=id,
            number=number,
            version=content.version,
            content_hash=draft.content_hash,
            authors=tuple(sorted(draft.authors | {by})),
            case=case_of(draft, customer, products),
            title=f"{content.number} version {content.version}: {content.title}"[:200],
        )
        submitted = ContractSubmitted(
            version=content.version, content_hash=draft.content_hash, request=number
        )
        return submitted, Also(ApprovalId.of(id, str(number)), request)


def case_of(draft: UnderWay, customer: Customer, products: tuple[Product, ...]) -> Case:
    """What an approval flow looks at."""
    content, amount = draft.content, draft.content.amount
    classes = {product.device_class for product in products if product.device_class}
    return Case(
        discount=max((reason.discount for reason in draft.reasons), default=Decimal(0)),
        amount=None if amount is None else Money(amount=amount, currency=content.currency),
        region=customer.region,
        product_classes=tuple(sorted(classes)),
        customer_grade=customer.grade,
        flags=content.flags(draft.reasons),
    )


class ContractSubmitted(Event[Contract]):
    version: int
    content_hash: str
    request: int
    """Which of its requests for approval this is."""

    def apply(self, contract: Contract, /) -> Contract:
        submitted = contract.with_draft(stage=ContractStatus.IN_APPROVAL)
        return replace(submitted, requests=self.request)


class TakeVerdict(Command[Contract]):
    """Take over what became of the approval, in the decision that ended it."""

    allowed = ()

    verdict: Verdict

    def decide(self, contract: Contract, id: ContractId) -> ContractApproved | ContractRejected:
        draft = contract.draft_at(ContractStatus.IN_APPROVAL)
        verdict = self.verdict
        verdict.must_be_about(contract.approval(id), draft.version, draft.content_hash)
        if not verdict.granted:
            reason = verdict.reason or "-"
            return ContractRejected(version=draft.version, approval=verdict.approval, reason=reason)
        return ContractApproved(
            version=draft.version,
            approval=verdict.approval,
            content_hash=draft.content_hash,
            approvers=verdict.approvers,
        )


class ContractApproved(Event[Contract]):
    version: int
    approval: ApprovalId
    content_hash: str
    approvers: tuple[str, ...]

    def apply(self, contract: Contract, /) -> Contract:
        return contract.with_draft(stage=ContractStatus.APPROVED)


class ContractRejected(Event[Contract]):
    version: int
    approval: ApprovalId
    reason: str

    def apply(self, contract: Contract, /) -> Contract:
        return contract.with_draft(stage=ContractStatus.DRAFT)


class SendContract(Command[Contract]):
    """Give what was approved to both parties to sign."""

    allowed = (Role.SALES, Role.MANAGER, Role.LEGAL)
    at_once = True

    def decide(self, contract: Contract, at: datetime) -> ContractSent | None:
        if contract.under_way and contract.under_way.stage in OUT:
            return None
        draft = contract.draft_at(ContractStatus.APPROVED)
        return ContractSent(
            version=draft.version, content_hash=draft.content_hash, sent_on=day_in_china(at)
        )


OUT = {ContractStatus.OUT_FOR_SIGNATURE, ContractStatus.PARTIALLY_SIGNED}


class ContractSent(Event[Contract]):
    version: int
    content_hash: str
    sent_on: date

    def apply(self, contract: Contract, /) -> Contract:
        return contract.with_draft(stage=ContractStatus.OUT_FOR_SIGNATURE, sent_on=self.sent_on)


class RecallContract(Command[Contract]):
    """Take back what nobody has signed yet, from approval on: it becomes a draft, which may be
    edited, submitted anew or cancelled; an approval that was asked for or given is void."""

    allowed = (Role.SALES, Role.MANAGER, Role.LEGAL)

    reason: Text

    def decide(self, contract: Contract, id: ContractId) -> tuple[ContractRecalled | Also, ...]:
        draft = contract.draft_at(
            ContractStatus.IN_APPROVAL, ContractStatus.APPROVED, ContractStatus.OUT_FOR_SIGNATURE
        )
        recalled = ContractRecalled(version=draft.version, reason=self.reason)
        return recalled, *contract.given_up(id, self.reason)


class ContractRecalled(Event[Contract]):
    version: int
    reason: str

    def apply(self, contract: Contract, /) -> Contract:
        return contract.with_draft(stage=ContractStatus.DRAFT, sent_on=None)


class CancelContract(Command[Contract]):
    """Give up a contract that is still a draft."""

    allowed = (Role.SALES, Role.MANAGER, Role.LEGAL)

    reason: Text

    def decide(self, contract: Contract) -> ContractCancelled | None:
        if contract.standing is ContractStatus.CANCELLED:
            return None
        contract.must_be(ContractStatus.DRAFT)
        return ContractCancelled(reason=self.reason)


class ContractCancelled(Event[Contract]):
    reason: str

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, standing=ContractStatus.CANCELLED)


class CalledLine(Value):
    """So much of a product, at the price of the contract."""

    product: ProductId
    quantity: Quantity
    amount: Money
    """Of all these pieces."""


CalledLines = Annotated[tuple[CalledLine, ...], Field(min_length=1, max_length=500)]


def summed(lines: tuple[CalledLine, ...]) -> dict[ProductId, Called]:
    total: dict[ProductId, Called] = {}
    for line in lines:
        so_far = total.get(line.product, Called())
        total[line.product] = so_far.plus(line.quantity, line.amount.amount)
    return total


class CallOff(Command[Contract]):
    """Take what an order wants from what is agreed, once, never more than is left (C2)."""

    allowed = ()

    order: OrderId
    lines: CalledLines

    @property
    def products(self) -> tuple[ProductId, ...]:
        return tuple(dict.fromkeys(line.product for line in self.lines))

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        contract: Contract,
        now: datetime,
        customer: Customer,
        products: tuple[Product, ...],
        their_licences: LicenceFile | None,
        our_licences: LicenceFile | None,
    ) -> CalledOff | None:
        wanted = summed(self.lines)
        if self.order in contract.called:
            self._must_be_the_same(contract, wanted)
            return None
        content = contract.version_on(day_in_china(now)).content
        for product, some in wanted.items():
            self._must_be_at_its_price(content, product, some)
        self._must_fit(contract.limits_on(day_in_china(now)), contract, wanted)
        goods = tuple(product.gated for product in products)
        gates = must_pass(
            buyer_gate(their_licences, customer, goods, day_in_china(now)),
            seller_gate(our_licences, goods, day_in_china(now)),
        )
        return CalledOff(
            order=self.order,
            customer=content.customer,
            version=content.version,
            lines=self.lines,
            gates=gates,
        )

    @staticmethod
    def _must_fit(
        limits: tuple[ContractContent, ...], contract: Contract, wanted: dict[ProductId, Called]
    ) -> None:
        amount = sum((some.amount for some in wanted.values()), Decimal(0))
        for content in limits:
            for product, some in wanted.items():
                contract.must_have_left(content, product, some.quantity)
            contract.must_not_cost_more(content, amount)

    def _must_be_the_same(self, contract: Contract, wanted: dict[ProductId, Called]) -> None:
        if contract.called[self.order] != wanted:
            raise Refused(
                "contract.called_otherwise",
                f"{self.order} has called off something else already",
                f"{self.order} 已按其他内容订购",
            )

    def _must_be_at_its_price(
        self, content: ContractContent, product: ProductId, some: Called
    ) -> None:
        """D3: an order under a contract has the price of the contract."""
        price = content.line_of(product).price
        amounts = (line.amount for line in self.lines if line.product == product)
        in_currency = all(amount.currency == content.currency for amount in amounts)
        if not in_currency or some.amount != price.amount * some.quantity:
            raise Refused(
                "contract.price_differs",
                f"{content.number} agrees {price} for one of {product}, not another price",
                f"合同 {content.number} 约定 {product} 单价为 {price}, 与订单不符",
            )


class CalledOff(Event[Contract]):
    order: OrderId
    customer: CustomerId
    version: int
    """Of the contract, which the order keeps (C3)."""
    lines: tuple[CalledLine, ...]
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, contract: Contract, /) -> Contract:
        wanted = summed(self.lines)
        return replace(
            contract,
            called=contract.called.insert(self.order, wanted),
            drawn=together(contract.drawn, wanted, +1),
        )


def together(
    pile: dict[ProductId, Called], some: dict[ProductId, Called], sign: int
) -> dict[ProductId, Called]:
    """The pile with that added or taken away; what comes to nothing is left out."""
    total = dict(pile)
    for product, part in some.items():
        before = total.get(product, Called())
        total[product] = before.plus(sign * part.quantity, sign * part.amount)
    return {product: part for product, part in total.items() if part.quantity}


class ReturnCallOff(Command[Contract]):
    """Give back what an order no longer needs, also when the contract has ended."""

    allowed = ()

    order: OrderId
    lines: CalledLines

    def decide(self, contract: Contract) -> CallOffReturned:
        held = contract.called.get(self.order, {})
        for product, back in summed(self.lines).items():
            self._must_have_been_called(held.get(product, Called()), back, product)
        return CallOffReturned(
            order=self.order, customer=contract.agreed_content().customer, lines=self.lines
        )

    def _must_have_been_called(self, held: Called, back: Called, product: ProductId) -> None:
        """At the price at which it was called off."""
        same_price = back.amount * held.quantity == held.amount * back.quantity
        if back.quantity > held.quantity or not same_price:
            raise Refused(
                "contract.not_called_off",
                f"{self.order} has called off {held.quantity} of {product} for {held.amount},"
                f" and cannot give back {back.quantity} for {back.amount}",
                f"{self.order} 订购 {product} {held.quantity} 件共 {held.amount},"
                f" 不能退回 {back.quantity} 件共 {back.amount}",
            )


class CallOffReturned(Event[Contract]):
    order: OrderId
    customer: CustomerId
    lines: tuple[CalledLine, ...]

    def apply(self, contract: Contract, /) -> Contract:
        back = summed(self.lines)
        called, left = contract.called, together(contract.called[self.order], back, -1)
        return replace(
            contract,
            called=called.insert(self.order, left) if left else called.discard(self.order),
            drawn=together(contract.drawn, back, -1),
        )
