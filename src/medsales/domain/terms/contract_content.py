"""What a contract says: the content that is approved, signed and kept, version by version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field, StringConstraints

from medsales.domain.ids import ContractTemplateId, CustomerId, ProductId, QuoteId
from medsales.domain.kernel import Key, Note, Refused, Term, Text, Value
from medsales.domain.stock.product import Product
from medsales.domain.values import Currency, Days, Money, Quantity

Word = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=50),
    Field(examples=["payment"]),
]
"""What a clause or an obligation is called within its contract: `payment`, `milestone-1`."""


MOST = 10**14
"""No contract is worth more; what cannot be written as money need not be thought about."""


class Side(Term):
    """One of the two parties of a contract."""

    OURS = "ours", "我方"
    THEIRS = "theirs", "对方"


class AmendmentKind(Term):
    SUPPLEMENT = "supplement", "补充协议"
    CHANGE = "change", "变更协议"
    RENEWAL = "renewal", "续签协议"


class Clause(Value):
    key: Word
    title: Text
    text: Note


Clauses = Annotated[tuple[Clause, ...], Field(max_length=200)]


class AgreedLine(Value):
    """A price agreement: a product, its price, and how many pieces may be called off."""

    product: ProductId
    price: Money
    """Of one piece."""
    max_quantity: Quantity | None = None
    """How many may be called off in all; without it only the amount of the contract is a limit."""


class ContractLine(AgreedLine):
    """A price agreement, as both parties read it."""

    line: int
    name: str = ""
    """Of the goods, as registered when the line was written."""
    model: str = ""
    registrant: str = ""

    @property
    def amount(self) -> Decimal | None:
        """Of all pieces that may be called off."""
        return None if self.max_quantity is None else self.price.amount * self.max_quantity


class PriceReason(Value):
    """Why a line has its price. The other party neither sees nor signs it: it is kept beside the
    content, for those who approve and those who ask later (Q1, C3)."""

    product: ProductId
    price: Money
    pieces: Quantity = 1
    """For so many it was compared; fewer may have another price in force."""
    price_version: int
    """Of the price matrix that the price was compared with."""
    price_path: tuple[str, ...] = ()
    floor: Money | None = None
    discount: Decimal = Decimal(0)
    """In percent off the price that was in force then."""

    def is_about(self, line: AgreedLine) -> bool:
        same = (self.product, self.price) == (line.product, line.price)
        return same and (line.max_quantity or 1) >= self.pieces

    @property
    def is_below_floor(self) -> bool:
        return self.floor is not None and self.price.amount < self.floor.amount


class Obligation(Value):
    """What one party must do by a day, beside delivering and paying what is called off."""

    key: Word
    description: Text
    party: Side
    due: date
    milestone: bool = False
    notice_days: Days = 7
    """How many days before it is due somebody is reminded."""


Obligations = Annotated[tuple[Obligation, ...], Field(max_length=200)]


class Delivery(Value):
    """Where, how soon and at whose cost goods are delivered."""

    place: Text
    within_days: Days
    """After the order."""
    at_cost_of: Side = Side.OURS
    conditions: Text | None = None


class Award(Value):
    """What was won in a tender; the contract must say the same (C5)."""

    tender: Text
    """The number of the tender, as the buyer or the platform gave it."""
    subject: Text
    awarded_on: date
    """The day of the award notice; 30 days remain to sign (C6)."""
    lines: Annotated[tuple[AgreedLine, ...], Field(min_length=1, max_length=500)]
    quality: Text | None = None
    valid_from: date
    valid_until: date


class TemplateUsed(Value):
    """Which version of which template the clauses come from, and which of them say otherwise."""

    template: ContractTemplateId
    version: int
    changed: tuple[str, ...] = ()


class Amends(Value):
    """What makes a version an amendment of the one before it."""

    kind: AmendmentKind
    reason: Text
    effective_from: date | None = None
    """Not before this day, even when both have signed; None: from the last signature on."""


class ContractContent(Value):
    """Exactly what both parties read. Its canonical hash is what is approved and signed (C1)."""

    number: Key
    version: int
    customer: CustomerId
    customer_name: str = ""
    """As it was when this version was written; whoever signs for the customer is of that name."""
    customer_address: str = ""
    title: Text
    quote: QuoteId | None = None
    award: Award | None = None
    template: TemplateUsed | None = None
    amends: Amends | None = None
    clauses: tuple[Clause, ...] = ()
    lines: tuple[ContractLine, ...]
    currency: Currency
    max_amount: Money | None = None
    """Of everything that may be called off."""
    quality: Text | None = None
    """What the goods must fulfil: a standard, a grade."""
    valid_from: date
    valid_until: date
    delivery: Delivery | None = None
    payment_days: Days = 30
    """How many days after the invoice the customer pays."""
    obligations: tuple[Obligation, ...] = ()
    renewal_notice_days: Days = 60
    """How many days before the end somebody is reminded to renew."""
    public_procurement: bool = False
    """Bought with public money (政府采购): amendments are limited (C4)."""

    def line_of(self, product: ProductId) -> ContractLine:
        for line in self.lines:
            if line.product == product:
                return line
        raise Refused(
            "contract.not_agreed",
            f"{self.number} agrees no price for {product}",
            f"合同 {self.number} 未约定 {product} 的价格",
        )

    @property
    def products(self) -> tuple[ProductId, ...]:
        return tuple(line.product for line in self.lines)

    @property
    def amount(self) -> Decimal | None:
        """What the contract is worth at most; None where nothing limits it."""
        if self.max_amount is not None:
            return self.max_amount.amount
        amounts = [line.amount for line in self.lines]
        known = [amount for amount in amounts if amount is not None]
        return sum(known, Decimal(0)) if len(known) == len(amounts) else None

    def flags(self, reasons: Iterable[PriceReason]) -> tuple[str, ...]:
        """What an approval flow may look at: `below_floor`, `price_of_its_own`, ..."""
        reasons = tuple(reasons)
        known = {reason.product for reason in reasons}
        told = {
            "below_floor": any(reason.is_below_floor for reason in reasons),
            "price_of_its_own": not known.issuperset(self.products),
            "clauses_changed": self.template is not None and bool(self.template.changed),
            "no_template": self.template is None,
            "public_procurement": self.public_procurement,
            "from_tender": self.award is not None,
        }
        return tuple(flag for flag, true in told.items() if true)

    def must_be_sound(self) -> None:
        """What any version must fulfil. Raises Refused, the first thing wrong first."""
        must_name_once("product", "产品", self.products)
        must_name_once("clause", "条款", (clause.key for clause in self.clauses))
        must_name_once("obligation", "义务", (each.key for each in self.obligations))
        self._must_speak_one_currency()
        self._must_last()
        self._must_be_limited()
        self._must_equal_the_bid()

    def _must_speak_one_currency(self) -> None:
        prices = [line.price for line in self.lines]
        for money in (*prices, *((self.max_amount,) if self.max_amount else ())):
            if money.currency != self.currency or money.amount < 0:
                raise Refused(
                    "contract.amount_wrong",
                    f"{money} is not an amount in {self.currency}",
                    f"{money} 不是 {self.currency} 金额",
                )

        if (self.amount or 0) >= MOST:
            raise Refused(
                "contract.amount_wrong",
                f"a contract is worth less than {MOST} {self.currency}",
                f"合同金额须小于 {MOST} {self.currency}",
            )

    def _must_last(self) -> None:
        if self.valid_until < self.valid_from:
            raise Refused(
                "contract.ends_before_it_begins",
                f"it would end on {self.valid_until}, before it begins on {self.valid_from}",
                f"合同止期 {self.valid_until} 早于起期 {self.valid_from}",
            )

    def _must_be_limited(self) -> None:
        """C4: ten percent of nothing known cannot be told."""
        if self.public_procurement and any(line.max_quantity is None for line in self.lines):
            raise Refused(
                "contract.quantity_missing",
                "a contract of public procurement names the quantity of each product (C4)",
                "政府采购合同须列明每个产品的数量 (C4)",
            )

    def _must_equal_the_bid(self) -> None:
        """C5, 招标投标法 art. 46: subject, price, quantity, quality and term equal the bid.

        An amendment may add of the same goods (C4) and renew; price, subject and quality stay.
        """
        if self.award is None:
            return
        if self.title != self.award.subject:
            raise _unlike_the_bid("subject", "标的")
        if self.quality != self.award.quality:
            raise _unlike_the_bid("quality", "质量")
        if _prices(self.lines) != _prices(self.award.lines):
            raise _unlike_the_bid("price", "价款")
        if self.amends is None and _quantities(self.lines) != _quantities(self.award.lines):
            raise _unlike_the_bid("quantity", "数量")
        term = (self.valid_from, self.valid_until)
        if self.amends is None and term != (self.award.valid_from, self.award.valid_until):
            raise _unlike_the_bid("term", "履行期限")


def _prices(lines: Iterable[AgreedLine]) -> dict[ProductId, Money]:
    return {line.product: line.price for line in lines}


def _quantities(lines: Iterable[AgreedLine]) -> dict[ProductId, int | None]:
    return {line.product: line.max_quantity for line in lines}


def _unlike_the_bid(en: str, zh: str) -> Refused:
    return Refused(
        "contract.unlike_the_bid",
        f"the {en} is not that of the bid; a contract from a tender says what was bid (C5)",
        f"合同{zh}与投标文件不一致; 应当按照招标文件和投标文件订立合同 (C5)",
    )


def must_name_once(en: str, zh: str, keys: Iterable[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise Refused(
                "contract.named_twice", f"the {en} {key} is named twice", f"{zh} {key} 重复"
            )
        seen.add(key)


def numbered(
    lines: Iterable[AgreedLine], goods: Mapping[ProductId, Product]
) -> tuple[ContractLine, ...]:
    """Lines of a content; what is not among the goods keeps the names it has."""
    return tuple(
        _named(number, line, goods.get(line.product)) for number, line in enumerate(lines, start=1)
    )


def _named(number: int, line: AgreedLine, product: Product | None) -> ContractLine:
    if product is None:
        return ContractLine(**{**line.model_dump(), "line": number})
    profile = product.registered
    return ContractLine(
        line=number,
        product=line.product,
        price=line.price,
        max_quantity=line.max_quantity,
        name=product.name,
        model=profile.model if profile else "",
        registrant=profile.registrant if profile else "",
    )


def added(before: ContractContent, after: ContractContent) -> Decimal:
    """What an amendment adds to what may be called off, never less than nothing (C4).

    Under a cap that is what the cap rises by; else what each line rises by, so that taking away
    from one product does not make room for another.
    """
    if before.max_amount is not None or after.max_amount is not None:
        return max(Decimal(0), (after.amount or Decimal(0)) - (before.amount or Decimal(0)))
    known = {line.product: line.amount or Decimal(0) for line in before.lines}
    rises = (
        (line.amount or Decimal(0)) - known.get(line.product, Decimal(0)) for line in after.lines
    )
    return sum((max(Decimal(0), rise) for rise in rises), Decimal(0))
