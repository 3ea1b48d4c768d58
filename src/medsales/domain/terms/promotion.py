"""A promotion: cheaper or free goods for a while, approved by somebody else, within a budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from rpds import HashTrieMap

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Case, RequestApproval, Verdict, VoidApproval
from medsales.domain.ids import ApprovalId, OrderId, ProductId, PromotionId
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
from medsales.domain.parties.customer import CustomerTier
from medsales.domain.terms.price_sheet import Buyer, Family, discount
from medsales.domain.values import Evidence, Money, Quantity, day_in_china, exact

CENT = Decimal("0.01")
Percent = Annotated[
    Decimal,
    BeforeValidator(exact),
    Field(gt=0, le=100, max_digits=5, decimal_places=2, examples=["5"]),
]
MOST_PIECES = 1_000_000_000
Pieces = Annotated[int, Field(ge=0, le=MOST_PIECES)]


# What it offers -----------------------------------------------------------------------------------


class PercentOff(Value):
    """So many percent off the price in force."""

    percent: Percent


class AmountOff(Value):
    """A fixed amount off the price of each piece."""

    amount: Money


class BundleItem(Value):
    """What belongs to a set, and what one piece of it costs there."""

    product: ProductId
    quantity: Quantity
    price: Money


class Bundle(Value):
    """Several products at prices that count only together."""

    items: Annotated[tuple[BundleItem, ...], Field(min_length=2, max_length=50)]


class FreeGoods(Value):
    """Buy so many of one, get so many of another for nothing."""

    buy: ProductId
    count: Quantity
    free: ProductId
    free_count: Quantity
    value: Money
    """What one free piece draws on the budget."""


Offer = PercentOff | AmountOff | Bundle | FreeGoods


class PromotedWish(Value):
    """A line that somebody orders, with the price in force."""

    line: int
    product: ProductId
    family: str | None = None
    quantity: int
    price: Money
    floor: Money | None = None


class PromotedLine(Value):
    """Some pieces of a line at one price; a line may come to stand in two of them."""

    line: int
    product: ProductId
    quantity: int
    price: Money
    before: Money

    @property
    def saved(self) -> Money:
        amount = (self.before.amount - self.price.amount) * self.quantity
        return Money(amount=amount, currency=self.price.currency)


class FreeLine(Value):
    """Goods that are given away."""

    product: ProductId
    quantity: int
    value: Money
    """Of one piece."""


class Applied(Value):
    """What a promotion makes of the lines of an order, and what that draws on its budget."""

    lines: tuple[PromotedLine, ...]
    free: tuple[FreeLine, ...] = ()
    amount: Money
    pieces: int

    @property
    def rule(self) -> str:
        return f"{self.pieces} pieces, {self.amount} off"


class Terms(Value):
    """All that is approved: what is offered, when, to whom, and how much of it there is."""

    name: Text
    offer: Offer
    first_day: date
    last_day: date
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["CNY"])]
    """Of the budget; prices in others are not touched."""
    products: Annotated[tuple[ProductId, ...], Field(max_length=500)] = ()
    """With families: what a percentage or amount is taken off. Neither: everything."""
    families: Annotated[tuple[Family, ...], Field(max_length=100)] = ()
    """Families of products."""
    regions: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    """Of the customer; none: everywhere."""
    tiers: tuple[CustomerTier, ...] = ()
    """Of the customer; none: all."""
    budget: Money | None = None
    """What may be saved by all customers together."""
    budget_pieces: Quantity | None = None
    """How many pieces may be sold or given away under it."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError("a promotion ends before it begins")
        if {money.currency for money in self._amounts()} - {self.currency}:
            raise ValueError(f"every amount of this promotion is in {self.currency}")
        if any(money.amount < 0 for money in self._amounts()):
            raise ValueError("an amount of a promotion is not negative")
        if self.budget is None and self.budget_pieces is None:
            raise ValueError("a promotion has a budget: an amount, a number of pieces, or both")
        return self

    def _amounts(self) -> Iterator[Money]:
        yield from (self.budget,) if self.budget else ()
        match self.offer:
            case AmountOff(amount=amount) | FreeGoods(value=amount):
                yield amount
            case Bundle(items=items):
                yield from (item.price for item in items)

    def covers(self, wish: PromotedWish) -> bool:
        if wish.price.currency != self.currency:
            return False
        named = wish.product in self.products or wish.family in self.families
        return named or not (self.products or self.families)

    def is_for(self, buyer: Buyer) -> bool:
        return buyer.region in (self.regions or (buyer.region,)) and buyer.tier in (
            self.tiers or (buyer.tier,)
        )


# What it makes of an order ------------------------------------------------------------------------


MOST = Decimal(10) ** 14
"""An amount from here on is a typing error, and more than Money holds."""


def must_be_countable(amount: Decimal, pieces: int) -> None:
    if amount >= MOST or pieces > MOST_PIECES:
        raise Refused(
            "promotion.amount_too_large",
            "that is more than a promotion can count; look at the prices and quantities",
            "数量或金额超出促销可记录的范围, 请核对单价和数量",
        )


def applied(terms: Terms, wishes: Iterable[PromotedWish]) -> Applied:
    wishes = tuple(wishes)
    worth = sum((wish.price.amount * wish.quantity for wish in wishes), Decimal(0))
    must_be_countable(worth, sum(wish.quantity for wish in wishes))
    free: tuple[FreeLine, ...] = ()
    match terms.offer:
        case PercentOff() | AmountOff():
            lines = tuple(_reduced(terms, wish) for wish in wishes)
        case Bundle(items=items):
            lines = tuple(_bundled(terms, items, wishes))
        case FreeGoods():
            lines = tuple(_as_before(wish, wish.quantity) for wish in wishes)
            free = _given(terms, terms.offer, wishes)
    saved = sum((line.saved.amount for line in lines), Decimal(0))
    given = sum((line.value.amount * line.quantity for line in free), Decimal(0))
    pieces = sum(line.quantity for line in lines if line.saved.amount)
    must_be_countable(saved + given, pieces + sum(line.quantity for line in free))
    return Applied(
        lines=lines,
        free=free,
        amount=Money(amount=saved + given, currency=terms.currency),
        pieces=pieces + sum(line.quantity for line in free),
    )


def _as_before(wish: PromotedWish, quantity: int) -> PromotedLine:
    return _at(wish, quantity, wish.price)


def _at(wish: PromotedWish, quantity: int, price: Money) -> PromotedLine:
    return PromotedLine(
        line=wish.line, product=wish.product, quantity=quantity, price=price, before=wish.price
    )


def _reduced(terms: Terms, wish: PromotedWish) -> PromotedLine:
    """Never below the floor, and never above the price in force."""
    if not terms.covers(wish):
        return _as_before(wish, wish.quantity)
    amount = wish.price.amount
    match terms.offer:
        case PercentOff(percent=percent):
            wanted = (amount * (100 - percent) / 100).quantize(CENT, ROUND_HALF_UP)
        case AmountOff(amount=off):
            wanted = amount - off.amount
        case _:
            wanted = amount
    least = wish.floor.amount if wish.floor else Decimal(0)
    reduced = min(amount, max(wanted, least))
    return _at(wish, wish.quantity, Money(amount=reduced, currency=terms.currency))


def _bundled(
    terms: Terms, items: tuple[BundleItem, ...], wishes: tuple[PromotedWish, ...]
) -> Iterator[PromotedLine]:
    """As many whole sets as the lines hold, none below the floor; the rest keeps its price."""
    there: Counter[ProductId] = Counter()
    for wish in wishes:
        if wish.price.currency == terms.currency:
            there[wish.product] += wish.quantity
    sets = min(there[item.product] // item.quantity for item in items)
    left = {item.product: item.quantity * sets for item in items}
    prices = {item.product: item.price for item in items}
    for wish in wishes:
        mine = wish.price.currency == terms.currency
        inside = min(left.get(wish.product, 0), wish.quantity) if mine else 0
        left[wish.product] = left.get(wish.product, 0) - inside
        if inside:
            least = wish.floor or prices[wish.product]
            lowered = max(prices[wish.product], least, key=_amount)
            yield _at(wish, inside, min(lowered, wish.price, key=_amount))
        if wish.quantity > inside:
            yield _as_before(wish, wish.quantity - inside)


def _amount(money: Money) -> Decimal:
    return money.amount


def _given(
    terms: Terms, offer: FreeGoods, wishes: tuple[PromotedWish, ...]
) -> tuple[FreeLine, ...]:
    bought = sum(
        wish.quantity
        for wish in wishes
        if wish.product == offer.buy and wish.price.currency == terms.currency
    )
    quantity = bought // offer.count * offer.free_count
    return (FreeLine(product=offer.free, quantity=quantity, value=offer.value),) * bool(quantity)


# The aggregate ------------------------------------------------------------------------------------


class PromotionStatus(Term):
    DRAFT = "draft", "草稿"
    IN_REVIEW = "in_review", "审核中"
    APPROVED = "approved", "已批准"
    STOPPED = "stopped", "已停止"


class Draw(Value):
    """What one order has drawn on the budget."""

    amount: Money
    pieces: int


@dataclass(frozen=True)
class Promotion(Aggregate):
    """Cheaper or free goods for a while, within a budget."""

    code: str = ""
    status: PromotionStatus | None = None
    terms: Terms | None = None
    version: int = 0
    """Counts what was written."""
    authors: frozenset[str] = frozenset()
    approval: ApprovalId | None = None
    requests: int = 0
    draws: HashTrieMap[OrderId, Draw] = field(default_factory=HashTrieMap)
    drawn: Decimal = Decimal(0)
    """Always the sum of the draws, as are the pieces: a budget is not added up at every order."""
    drawn_pieces: int = 0

    @property
    def content_hash(self) -> str:
        return content_hash(PromotionContent(code=self.code, version=self.version, terms=self.said))

    @property
    def said(self) -> Terms:
        assert self.terms is not None, "a promotion begins with its terms"
        return self.terms

    def must_be(self, *statuses: PromotionStatus) -> None:
        if self.status not in statuses:
            now = self.status or PromotionStatus.DRAFT
            raise Refused(
                "promotion.wrong_stage",
                f"the promotion is {now.en}, not {' or '.join(s.en for s in statuses)}",
                f"促销{now.zh}, 而非{'或'.join(s.zh for s in statuses)}",
            )

    def is_running(self, on: date) -> bool:
        """By the date: nothing has to happen for it to begin or to end."""
        approved = self.status is PromotionStatus.APPROVED
        return approved and self.said.first_day <= on <= self.said.last_day

    def must_run(self, on: date) -> None:
        if not self.is_running(on):
            status = self.status or PromotionStatus.DRAFT
            raise Refused(
                "promotion.not_running",
                f"the promotion {self.code} is {status.en} and does not run on {on}",
                f"促销 {self.code} {status.zh}, {on} 不在执行中",
            )

    def applied(self, lines: Iterable[PromotedWish], buyer: Buyer, on: date) -> Applied:
        """What it makes of these lines; a pure function. Raises Refused where it does not run."""
        self.must_run(on)
        if not self.said.is_for(buyer):
            raise Refused(
                "promotion.not_for",
                f"the promotion {self.code} is not for {buyer.region}, tier {buyer.tier}",
                f"促销 {self.code} 不适用于 {buyer.region} {buyer.tier.zh}",
            )
        return applied(self.said, lines)

    def must_have_left(self, amount: Money, pieces: int) -> None:
        """The cap holds under races: all draws of a promotion are decided on its one stream."""
        terms = self.said
        amount.must_be_in(terms.currency)
        if terms.budget and self.drawn + amount.amount > terms.budget.amount:
            raise self._used_up(f"{terms.budget.amount - self.drawn} {terms.currency}")
        if terms.budget_pieces and self.drawn_pieces + pieces > terms.budget_pieces:
            raise self._used_up(f"{terms.budget_pieces - self.drawn_pieces} pieces")

    def _used_up(self, left: str) -> Refused:
        return Refused(
            "promotion.budget_used_up",
            f"the budget of {self.code} does not cover this: {left} left",
            f"促销 {self.code} 的预算不足, 余 {left}",
        )


class PromotionContent(Value):
    """What the hash of a promotion is made of."""

    code: str
    version: int
    terms: Terms


class DraftPromotion(Command[Promotion]):
    """Write a promotion; it runs on its days once somebody else has approved it."""

    allowed = (Role.SALES, Role.MANAGER)

    code: Key = Field(examples=["SPRING-2026"])
    terms: Terms
    """What is offered, when, to whom, within which budget."""

    def begins(self) -> PromotionId:
        return PromotionId.of(self.code)

    @property
    def content(self) -> str:
        """The hash of what it would write: what its approver will be shown."""
        return content_hash(PromotionContent(code=self.code, version=1, terms=self.terms))

    def decide(self, promotion: Promotion, by: str) -> PromotionDrafted | None:
        if promotion.code and promotion.terms == self.terms:
            return None
        if promotion.code:
            raise Refused(
                "promotion.exists",
                f"the code {self.code} has been used for {promotion.said.name}",
                f"编号 {self.code} 已用于 {promotion.said.name}",
            )
        return PromotionDrafted(code=self.code, author=by, terms=self.terms)


class PromotionDrafted(Event[Promotion]):
    code: str
    author: str
    terms: Terms

    def apply(self, promotion: Promotion, /) -> Promotion:
        return replace(
            promotion,
            code=self.code,
            status=PromotionStatus.DRAFT,
            terms=self.terms,
            version=1,
            authors=frozenset((self.author,)),
        )


class EditPromotion(Command[Promotion]):
    """Write a draft anew; after submission nobody edits."""

    allowed = (Role.SALES, Role.MANAGER)

    terms: Terms
    """What is offered, when, to whom, within which budget."""

    def decide(self, promotion: Promotion, by: str) -> PromotionEdited | None:
        promotion.must_be(PromotionStatus.DRAFT)
        if promotion.terms == self.terms:
            return None
        return PromotionEdited(version=promotion.version + 1, author=by, terms=self.terms)


class PromotionEdited(Event[Promotion]):
    version: int
    author: str
    terms: Terms

    def apply(self, promotion: Promotion, /) -> Promotion:
        authors = promotion.authors | {self.author}
        return replace(promotion, version=self.version, terms=self.terms, authors=authors)


class SubmitPromotion(Command[Promotion]):
    """Hand a promotion in for approval."""

    allowed = (Role.SALES, Role.MANAGER)

    def decide(self, promotion: Promotion, id: str) -> tuple[PromotionSubmitted | Also, ...] | None:
        if promotion.status is PromotionStatus.IN_REVIEW:
            return None
        promotion.must_be(PromotionStatus.DRAFT)
        request = self._request(promotion, id)
        submitted = PromotionSubmitted(
            version=promotion.version,
            approval=request.begins(),
            content_hash=request.content_hash,
        )
        return submitted, Also(request.begins(), request)

    def _request(self, promotion: Promotion, id: str) -> RequestApproval:
        terms = promotion.said
        return RequestApproval(
            subject=id,
            number=promotion.requests + 1,
            version=promotion.version,
            content_hash=promotion.content_hash,
            authors=tuple(sorted(promotion.authors)),
            case=Case(discount=deepest(terms), amount=terms.budget, flags=flags(terms)),
            title=f"promotion {promotion.code}, {terms.first_day} to {terms.last_day}",
        )


UNTOLD = Decimal(100)


def deepest(terms: Terms) -> Decimal:
    """In percent (P2). What the terms alone do not tell is taken for all of the price: an amount
    off, a set at a price of its own or a gift of another product hides from no approver."""
    match terms.offer:
        case PercentOff(percent=percent):
            return percent
        case FreeGoods(buy=bought, free=gift) as offer if bought == gift:
            paid = Money(amount=Decimal(offer.count), currency=terms.currency)
            whole = Money(amount=Decimal(offer.count + offer.free_count), currency=terms.currency)
            return discount(paid, whole)
        case _:
            return UNTOLD


def flags(terms: Terms) -> tuple[str, ...]:
    """P5: a gift goes below every floor; all else stops at the floor when it is applied."""
    return ("below_floor",) if isinstance(terms.offer, FreeGoods) else ()


class PromotionSubmitted(Event[Promotion]):
    version: int
    approval: ApprovalId
    content_hash: Evidence

    def apply(self, promotion: Promotion, /) -> Promotion:
        return replace(
            promotion,
            status=PromotionStatus.IN_REVIEW,
            approval=self.approval,
            requests=promotion.requests + 1,
        )


class WithdrawPromotion(Command[Promotion]):
    """Take a submitted promotion back, to write it anew; its approval is void."""

    allowed = (Role.SALES, Role.MANAGER)

    reason: Text

    def decide(self, promotion: Promotion) -> tuple[PromotionWithdrawn | Also, ...] | None:
        if promotion.status is PromotionStatus.DRAFT:
            return None
        promotion.must_be(PromotionStatus.IN_REVIEW)
        withdrawn = PromotionWithdrawn(reason=self.reason)
        assert promotion.approval is not None, "it was asked for when it was submitted"
        return withdrawn, Also(promotion.approval, VoidApproval(reason=self.reason))


class PromotionWithdrawn(Event[Promotion]):
    reason: str

    def apply(self, promotion: Promotion, /) -> Promotion:
        return replace(promotion, status=PromotionStatus.DRAFT)


class TakeVerdict(Command[Promotion]):
    """Hear what became of an approval; part of its last step."""

    allowed = ()

    verdict: Verdict

    def decide(self, promotion: Promotion) -> PromotionApproved | PromotionRejected:
        promotion.must_be(PromotionStatus.IN_REVIEW)
        verdict = self.verdict
        verdict.must_be_about(promotion.approval, promotion.version, promotion.content_hash)
        if not verdict.granted:
            return PromotionRejected(version=verdict.version, reason=verdict.reason or "")
        return PromotionApproved(
            version=verdict.version,
            approval=verdict.approval,
            content_hash=verdict.content_hash,
            approvers=verdict.approvers,
        )


class PromotionApproved(Event[Promotion]):
    version: int
    approval: ApprovalId
    content_hash: str
    approvers: tuple[str, ...]

    def apply(self, promotion: Promotion, /) -> Promotion:
        return replace(promotion, status=PromotionStatus.APPROVED)


class PromotionRejected(Event[Promotion]):
    version: int
    reason: str

    def apply(self, promotion: Promotion, /) -> Promotion:
        return replace(promotion, status=PromotionStatus.DRAFT)


class StopPromotion(Command[Promotion]):
    """End an approved promotion early; orders that had it keep it."""

    allowed = (Role.MANAGER,)

    reason: Text

    def decide(self, promotion: Promotion) -> PromotionStopped | None:
        if promotion.status is PromotionStatus.STOPPED:
            return None
        promotion.must_be(PromotionStatus.APPROVED)
        return PromotionStopped(reason=self.reason)


class PromotionStopped(Event[Promotion]):
    reason: str

    def apply(self, promotion: Promotion, /) -> Promotion:
        return replace(promotion, status=PromotionStatus.STOPPED)


class DrawOnPromotion(Command[Promotion]):
    """Take an order's share of the budget, once; part of placing it."""

    allowed = ()

    order: OrderId
    amount: Money
    pieces: Pieces

    def decide(self, promotion: Promotion, now: datetime) -> PromotionDrawn | None:
        known = promotion.draws.get(self.order)
        if known == Draw(amount=self.amount, pieces=self.pieces):
            return None
        if known:
            raise Refused(
                "promotion.drawn_already",
                f"{self.order} has drawn {known.amount} already",
                f"{self.order} 已占用 {known.amount}",
            )
        promotion.must_run(day_in_china(now))
        promotion.must_have_left(self.amount, self.pieces)
        return PromotionDrawn(order=self.order, amount=self.amount, pieces=self.pieces)


class PromotionDrawn(Event[Promotion]):
    order: OrderId
    amount: Money
    pieces: int

    def apply(self, promotion: Promotion, /) -> Promotion:
        draw = Draw(amount=self.amount, pieces=self.pieces)
        return replace(
            promotion,
            draws=promotion.draws.insert(self.order, draw),
            drawn=promotion.drawn + self.amount.amount,
            drawn_pieces=promotion.drawn_pieces + self.pieces,
        )


class ReturnToPromotion(Command[Promotion]):
    """Give an order's share of the budget back; part of cancelling it."""

    allowed = ()

    order: OrderId

    def decide(self, promotion: Promotion) -> PromotionReturned | None:
        draw = promotion.draws.get(self.order)
        if draw is None:
            return None
        return PromotionReturned(order=self.order, amount=draw.amount, pieces=draw.pieces)


class PromotionReturned(Event[Promotion]):
    order: OrderId
    amount: Money
    pieces: int

    def apply(self, promotion: Promotion, /) -> Promotion:
        return replace(
            promotion,
            draws=promotion.draws.discard(self.order),
            drawn=promotion.drawn - self.amount.amount,
            drawn_pieces=promotion.drawn_pieces - self.pieces,
        )
