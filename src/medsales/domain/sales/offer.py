"""What a quote offers: its lines, how each price came about, and the content the customer sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from medsales.domain.governance.approval_flow import Case
from medsales.domain.governance.licence import GatedProduct
from medsales.domain.ids import CustomerId, PriceMatrixId, PriceSheetId, ProductId
from medsales.domain.kernel import Note, Refused, Text, Value
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.product import Product
from medsales.domain.terms.contract_content import AgreedLine, PriceReason
from medsales.domain.terms.price_matrix import PriceFound, PriceMatrix
from medsales.domain.terms.price_sheet import Buyer, PriceSheet
from medsales.domain.values import Money, Quantity, exact

HUNDRED = Decimal(100)
CENT = Decimal("0.01")
MOST = Decimal(10) ** 14
"""An amount from here on is a typing error, and more than Money holds."""

BELOW_FLOOR = "below_floor"
BEYOND_PRICE_VALIDITY = "beyond_price_validity"
OPEN_ENDED = timedelta(days=90)
"""How long a price without an end may be promised without approval (Q6): a quarter, after which
prices are looked at again. Otherwise a quote would hold the price of today for ever."""

Percent = Annotated[
    Decimal,
    BeforeValidator(exact),
    Field(ge=0, le=100, max_digits=7, decimal_places=4, examples=["12.5"]),
]


class WantedQuoteLine(Value):
    """A line as the seller wants it: at a price, at a discount, or at the price in force."""

    product: ProductId
    quantity: Quantity
    price: Money | None = None
    """Of one piece."""
    discount: Percent | None = None
    """In percent off the price in force; the price is rounded up to the cent."""

    @model_validator(mode="after")
    def _asks_for_one_price(self) -> Self:
        if self.price is not None and self.discount is not None:
            raise ValueError("give a price or a discount, not both")
        return self


WantedQuoteLines = Annotated[tuple[WantedQuoteLine, ...], Field(min_length=1, max_length=500)]


class Written(Value):
    """What the seller has written; prices are worked out from it."""

    lines: tuple[WantedQuoteLine, ...]
    valid_until: date
    remarks: Note | None = None
    tender: Text | None = None

    @property
    def products(self) -> tuple[ProductId, ...]:
        return tuple(dict.fromkeys(line.product for line in self.lines))


class QuotedLine(Value):
    """A line with the reason of its price (Q1)."""

    line: int
    product: ProductId
    quantity: int
    price: Money
    """Offered, of one piece."""
    in_force: Money
    """What the price matrix asks of this customer for one piece."""
    price_version: int
    price_path: tuple[str, ...]
    rule: str
    """Which kind of price is in force: list, regional, agreement, award or special."""
    floor: Money | None = None
    exception: str | None = None
    """The named exception that lets the price in force be below its floor (P5)."""
    sheet: PriceSheetId | None = None
    """Where the exception is counted."""
    discount: Decimal
    """In percent off the price in force, rounded up; negative above it."""
    price_valid_until: date | None = None
    """The last day of the price in force, as far as it is known (Q6)."""

    @property
    def is_below_floor(self) -> bool:
        return self.floor is not None and self.price.amount < self.floor.amount

    def last_day(self, on: date) -> date:
        """Until when its price in force may be promised from a day on, without approval (Q6)."""
        return self.price_valid_until or on + OPEN_ENDED

    @property
    def amount(self) -> Decimal:
        return self.price.amount * self.quantity


class ContentLine(Value):
    """A line as the customer reads it."""

    line: int
    product: ProductId
    name: str
    model: str
    registrant: str
    registrations: tuple[str, ...] = ()
    """The numbers of the certificates that are valid on the day of the offer."""
    quantity: int
    price: Money
    """Of one piece."""
    amount: Money


class QuoteContent(Value):
    """Everything that the customer sees; its hash is what is approved and accepted (Q2)."""

    number: str
    version: int
    customer: CustomerId
    customer_name: str
    customer_address: str
    price_matrix: PriceMatrixId
    lines: tuple[ContentLine, ...]
    total: Money
    valid_until: date
    remarks: str | None = None
    tender: str | None = None


class Offer(Value):
    """What was accepted, for the order or the contract that is made of it."""

    version: int
    content_hash: str
    customer: CustomerId
    price_matrix: PriceMatrixId
    lines: tuple[QuotedLine, ...]
    authors: tuple[str, ...] = ()

    def agreed(self) -> tuple[AgreedLine, ...]:
        """As a contract says it: a product once, with all its pieces."""
        pieces = Counter[tuple[ProductId, Money]]()
        for line in self.lines:
            pieces[line.product, line.price] += line.quantity
        return tuple(
            AgreedLine(product=product, price=price, max_quantity=quantity)
            for (product, price), quantity in pieces.items()
        )

    def reasons(self) -> tuple[PriceReason, ...]:
        """Why these prices are what they are."""
        return tuple(
            PriceReason(
                product=line.product,
                price=line.price,
                pieces=line.quantity,
                price_version=line.price_version,
                price_path=line.price_path,
                floor=line.floor,
                discount=line.discount,
            )
            for line in self.lines
        )


@dataclass(frozen=True)
class PriceList:
    """What is needed to price lines for one customer on one day."""

    customer: CustomerId
    buyer: Customer
    matrix: PriceMatrix
    sheets: tuple[PriceSheet | None, ...]
    products: Mapping[ProductId, Product]
    on: date

    def quoted(self, wanted: Iterable[WantedQuoteLine]) -> tuple[QuotedLine, ...]:
        """Raises Refused for the first line that has no price, or is asked at a wrong one."""
        return tuple(self._quoted(n, line) for n, line in enumerate(wanted, start=1))

    def _quoted(self, number: int, wanted: WantedQuoteLine) -> QuotedLine:
        found = self._found(wanted)
        price = offered(number, wanted, found.price)
        return QuotedLine(
            line=number,
            product=wanted.product,
            quantity=wanted.quantity,
            price=price,
            in_force=found.price,
            price_version=found.version,
            price_path=found.path,
            rule=found.rule,
            floor=found.floor,
            exception=found.exception,
            sheet=found.sheet,
            discount=discount(price, found.price),
            price_valid_until=found.valid_until,
        )

    def _found(self, wanted: WantedQuoteLine) -> PriceFound:
        return self.matrix.price(
            self.sheets,
            wanted.product,
            self.products[wanted.product].family,
            Buyer.of(self.customer, self.buyer),
            wanted.quantity,
            self.on,
        )

    def content(
        self, number: str, version: int, written: Written, lines: tuple[QuotedLine, ...]
    ) -> QuoteContent:
        return QuoteContent(
            number=number,
            version=version,
            customer=self.customer,
            customer_name=self.buyer.name,
            customer_address=self.buyer.address,
            price_matrix=PriceMatrixId.of(self.matrix.code),
            lines=tuple(self._shown(line) for line in lines),
            total=total(lines),
            valid_until=written.valid_until,
            remarks=written.remarks,
            tender=written.tender,
        )

    def _shown(self, line: QuotedLine) -> ContentLine:
        product = self.products[line.product]
        profile = product.registered
        return ContentLine(
            line=line.line,
            product=line.product,
            name=product.name,
            model=profile.model if profile else "",
            registrant=profile.registrant if profile else "",
            registrations=tuple(c.number for c in product.registrations if c.covers(self.on)),
            quantity=line.quantity,
            price=line.price,
            amount=line.price * line.quantity,
        )

    def case(self, written: Written, lines: tuple[QuotedLine, ...]) -> Case:
        """What the conditions of an approval flow look at."""
        grade = self.buyer.grade
        classes = {goods.device_class.value for goods in self.gated() if goods.device_class}
        return Case(
            discount=min(max(Decimal(0), *(line.discount for line in lines)), HUNDRED),
            amount=total(lines),
            region=self.buyer.region,
            product_classes=tuple(sorted(classes)),
            customer_grade=grade.value if grade else None,
            flags=flags(written, lines, self.on),
        )

    def gated(self) -> tuple[GatedProduct, ...]:
        """The goods, as the licence gates look at them (Q7)."""
        return tuple(product.gated for product in self.products.values())


def offered(number: int, wanted: WantedQuoteLine, in_force: Money) -> Money:
    """The price of one piece that is offered."""
    if wanted.discount is not None:
        kept = in_force.amount * (HUNDRED - wanted.discount) / HUNDRED
        return Money(amount=kept.quantize(CENT, rounding=ROUND_CEILING), currency=in_force.currency)
    price = wanted.price or in_force
    if price.currency != in_force.currency or price.amount < 0:
        raise Refused(
            "quote.price_wrong",
            f"line {number}: {price} is not a price in {in_force.currency}",
            f"第 {number} 行: {price} 不是 {in_force.currency} 价格",
        )
    if price.amount * wanted.quantity >= MOST:
        raise too_much(f"line {number}", f"第 {number} 行")
    return price


def discount(price: Money, in_force: Money) -> Decimal:
    """In percent, rounded up: no rounding hides a discount from its approver."""
    if not in_force.amount:
        return Decimal(0)
    part = (in_force.amount - price.amount) / in_force.amount * HUNDRED
    return part.quantize(CENT, rounding=ROUND_CEILING)


def total(lines: tuple[QuotedLine, ...]) -> Money:
    amount = sum((line.amount for line in lines), Decimal(0))
    if amount >= MOST:
        raise too_much("the quote", "报价")
    return Money(amount=amount, currency=lines[0].price.currency)


def too_much(what: str, zh: str) -> Refused:
    return Refused(
        "quote.amount_too_large",
        f"{what} comes to more than can be paid; look at the price and the quantity",
        f"{zh}金额过大, 请核对单价和数量",
    )


def flags(written: Written, lines: tuple[QuotedLine, ...], on: date) -> tuple[str, ...]:
    """What is remarkable: a price below its floor, an offer that outlives its price (Q6)."""
    told = {
        BELOW_FLOOR: any(line.is_below_floor for line in lines),
        BEYOND_PRICE_VALIDITY: any(written.valid_until > line.last_day(on) for line in lines),
    }
    return tuple(flag for flag, true in told.items() if true)
