"""How an order is placed: at prices in force, from an accepted quote, or under a contract (D3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from medsales.domain.ids import (
    ContractId,
    CustomerId,
    OrderId,
    PriceMatrixId,
    PriceSheetId,
    ProductId,
    PromotionId,
    QuoteId,
)
from medsales.domain.kernel import Also, Command, Event, Id, Key, Refused, Role, Value
from medsales.domain.orders.drawing import drawn
from medsales.domain.orders.order import (
    ExceptionUsed,
    Order,
    OrderedLine,
    OrderPlaced,
    Promoted,
    number_taken,
    total,
)
from medsales.domain.parties.customer import Customer
from medsales.domain.sales.offer import Offer
from medsales.domain.sales.quote import ConvertQuote, Quote
from medsales.domain.stock.product import Product
from medsales.domain.terms.contract import Contract
from medsales.domain.terms.price_matrix import Buyer, PriceFound, PriceMatrix
from medsales.domain.terms.price_sheet import PriceSheet, sheets_for
from medsales.domain.terms.promotion import (
    Applied,
    FreeLine,
    PromotedLine,
    PromotedWish,
    Promotion,
)
from medsales.domain.values import Money, Quantity, day_in_china


class WantedLine(Value):
    product: ProductId
    quantity: Quantity
    price: Money | None = None
    """What the customer expects to pay for one piece; at another price nothing is ordered."""

    def must_expect(self, price: Money) -> None:
        if self.price is not None and self.price != price:
            raise Refused(
                "order.price_not_in_force",
                f"{self.product} costs {price}, not {self.price}",
                f"{self.product} 的有效价格为 {price}, 而非 {self.price}",
            )


WantedLines = tuple[WantedLine, ...]


@dataclass(frozen=True)
class PriceList:
    """What is needed to price wanted lines at the prices in force."""

    matrix: PriceMatrix
    sheets: tuple[PriceSheet | None, ...]
    families: dict[ProductId, str | None]
    buyer: Buyer
    on: date

    @classmethod
    def of(  # noqa: PLR0913, PLR0917 - what a price depends on
        cls,
        matrix: PriceMatrix,
        sheets: tuple[PriceSheet | None, ...],
        products: Iterable[Product],
        customer: CustomerId,
        profile: Customer,
        on: date,
    ) -> PriceList:
        families = {ProductId.of(product.di): product.family for product in products}
        return cls(matrix, sheets, families, Buyer.of(customer, profile), on)

    def lines(self, wanted: Iterable[WantedLine]) -> tuple[OrderedLine, ...]:
        return tuple(
            line_found(number, line, self.found(line))
            for number, line in enumerate(wanted, start=1)
        )

    def found(self, wanted: WantedLine) -> PriceFound:
        family = self.families[wanted.product]
        found = self.matrix.price(
            self.sheets, wanted.product, family, self.buyer, wanted.quantity, self.on
        )
        wanted.must_expect(found.price)
        return found

    def ordered(
        self, wanted: WantedLines, promotion: Promotion | None
    ) -> tuple[tuple[OrderedLine, ...], Applied | None]:
        return self.promoted(wanted, promotion) if promotion else (self.lines(wanted), None)

    def promoted(
        self, wanted: WantedLines, promotion: Promotion
    ) -> tuple[tuple[OrderedLine, ...], Applied]:
        """The lines as a promotion makes them: at its prices, in parts, with what it gives."""
        found = [self.found(line) for line in wanted]
        wishes = (
            PromotedWish(
                line=number,
                product=line.product,
                family=self.families[line.product],
                quantity=line.quantity,
                price=price.price,
                floor=price.floor,
            )
            for number, (line, price) in enumerate(zip(wanted, found, strict=True), start=1)
        )
        applied = promotion.applied(wishes, self.buyer, self.on)
        rule = f"promotion {promotion.code}"
        sold = [line_promoted(part, found[part.line - 1], rule) for part in applied.lines]
        given = [line_given(part, found[0], rule) for part in applied.free]
        parts = enumerate((*sold, *given), start=1)
        return tuple(part.model_copy(update={"line": n}) for n, part in parts), applied


def line_found(number: int, wanted: WantedLine, found: PriceFound) -> OrderedLine:
    return OrderedLine(
        line=number,
        product=wanted.product,
        quantity=wanted.quantity,
        price=found.price,
        price_version=found.version,
        price_path=found.path,
        exception=exception_in(found),
        min_quantity=found.min_quantity,
    )


def line_promoted(part: PromotedLine, found: PriceFound, rule: str) -> OrderedLine:
    cheaper = part.price != part.before
    return OrderedLine(
        line=part.line,
        product=part.product,
        quantity=part.quantity,
        price=part.price,
        price_version=found.version,
        price_path=(*found.path, rule) if cheaper else found.path,
        exception=exception_in(found),
        wanted_line=part.line,
    )


def line_given(part: FreeLine, found: PriceFound, rule: str) -> OrderedLine:
    return OrderedLine(
        line=1,
        product=part.product,
        quantity=part.quantity,
        price=Money(amount=Decimal(0), currency=part.value.currency),
        price_version=found.version,
        price_path=(rule, "free goods"),
        free=True,
    )


def exception_in(found: PriceFound) -> ExceptionUsed | None:
    if found.exception is None or found.sheet is None:
        return None
    return ExceptionUsed(name=found.exception, sheet=found.sheet)


def sheets_of(
    matrix: PriceMatrixId | None, products: Iterable[Product]
) -> tuple[PriceSheetId, ...]:
    if matrix is None:
        return ()
    return sheets_for(matrix, ((ProductId.of(p.di), p.family) for p in products))


def lines_offered(offer: Offer) -> tuple[OrderedLine, ...]:
    """D3: the lines as they were accepted."""
    return tuple(
        OrderedLine(
            line=number,
            product=line.product,
            quantity=line.quantity,
            price=line.price,
            price_version=line.price_version,
            price_path=(*line.price_path, f"quote version {offer.version}"),
        )
        for number, line in enumerate(offer.lines, start=1)
    )


def lines_agreed(contract: Contract, wanted: WantedLines, on: date) -> tuple[OrderedLine, ...]:
    """D3, C3: at the price of the contract as it counts that day."""
    return tuple(
        _line_agreed(number, line, contract, on) for number, line in enumerate(wanted, start=1)
    )


def _line_agreed(number: int, wanted: WantedLine, contract: Contract, on: date) -> OrderedLine:
    agreed = contract.agreed(wanted.product, wanted.quantity, on)
    wanted.must_expect(agreed.price)
    return OrderedLine(
        line=number,
        product=wanted.product,
        quantity=wanted.quantity,
        price=agreed.price,
        price_version=agreed.contract_version,
        price_path=agreed.path,
    )


class Sources(NamedTuple):
    """Where the prices of an order may come from: one of them is there."""

    prices: PriceList | None
    quote: Quote | None
    contract: Contract | None
    promotion: Promotion | None
    """Which makes something else of the prices in force."""


class PlaceOrder(Command[Order]):
    """Order products: at the prices in force, from an accepted quote, or under a contract (D3).

    The prices are kept with the order, with the rule that made them. They are those of now, also
    for an order that is told late: what was promised earlier, a quote or a contract says.
    """

    allowed = (Role.SALES,)

    number: Key = Field(examples=["SO-2026-0001"])
    """The client's own number for this order, used once (D8)."""
    customer: CustomerId
    price_matrix: PriceMatrixId | None = None
    """Where the prices in force are taken from."""
    quote: QuoteId | None = None
    """Instead: an accepted quote; its lines are ordered, once (Q5)."""
    contract: ContractId | None = None
    """Instead: a contract to call off from, at its prices (C2)."""
    promotion: PromotionId | None = None
    """With a price matrix: a promotion that makes the lines cheaper or adds to them."""
    lines: Annotated[WantedLines, Field(max_length=500)] = ()

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        sources = [each for each in (self.price_matrix, self.quote, self.contract) if each]
        if len(sources) != 1:
            raise ValueError("give one of price_matrix, quote and contract")
        if bool(self.lines) == bool(self.quote):
            raise ValueError("name the lines you want; those of a quote are in the quote")
        if self.promotion and not self.price_matrix:
            raise ValueError("a promotion goes with a price matrix")
        return self

    def begins(self) -> OrderId:
        return OrderId.of(self.number)

    @property
    def products(self) -> tuple[ProductId, ...]:
        return tuple(dict.fromkeys(line.product for line in self.lines))

    def sheets(self, products: tuple[Product, ...]) -> tuple[PriceSheetId, ...]:
        return sheets_of(self.price_matrix, products)

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        order: Order,
        id: OrderId,
        customer: Customer,
        price_matrix: PriceMatrix | None,
        products: tuple[Product, ...],
        sheets: tuple[PriceSheet | None, ...],
        quote: Quote | None,
        contract: Contract | None,
        promotion: Promotion | None,
        now: datetime,
        by: str,
    ) -> tuple[Event[Order] | Also, ...] | None:
        if order.placed is not None:
            self._must_be_the_same(order.placed)
            return None
        customer.must_be_served()
        must_exist(self.price_matrix, price_matrix)
        must_exist(self.quote, quote)
        must_exist(self.contract, contract)
        must_exist(self.promotion, promotion)
        prices = (
            PriceList.of(price_matrix, sheets, products, self.customer, customer, day_in_china(now))
            if price_matrix
            else None
        )
        placed = self._placed(customer, Sources(prices, quote, contract, promotion), now, by)
        total((line.price, line.quantity) for line in placed.lines)
        return placed, *self._taken(placed, id)

    def _placed(self, customer: Customer, sources: Sources, now: datetime, by: str) -> OrderPlaced:
        offer = sources.quote.offer(now) if sources.quote else None
        for named in (offer, sources.contract):
            self._must_be_for_the_customer(named)
        lines, promoted = self._lines(sources, offer, now)
        return OrderPlaced(
            customer=self.customer,
            region=customer.region,
            tier=customer.tier,
            price_matrix=offer.price_matrix if offer else self.price_matrix,
            lines=lines,
            quote=self.quote,
            quote_version=offer.version if offer else None,
            contract=self.contract,
            contract_version=lines[0].price_version if self.contract else None,
            promoted=promoted,
            placed_by=by,
            placed_on=day_in_china(now),
        )

    def _lines(
        self, sources: Sources, offer: Offer | None, now: datetime
    ) -> tuple[tuple[OrderedLine, ...], Promoted | None]:
        if offer is not None:
            return lines_offered(offer), None
        if sources.contract is not None:
            return lines_agreed(sources.contract, self.lines, day_in_china(now)), None
        assert sources.prices is not None, "an order has one source of prices"
        lines, drawn = sources.prices.ordered(self.lines, sources.promotion)
        if drawn is None or self.promotion is None:
            return lines, None
        saved = Promoted(promotion=self.promotion, amount=drawn.amount, pieces=drawn.pieces)
        return lines, saved

    def _taken(self, placed: OrderPlaced, id: OrderId) -> Iterator[Also]:
        if self.quote:
            yield Also(self.quote, ConvertQuote(into=id))
        yield from drawn(placed, id, {line.line: line.quantity for line in placed.lines})

    def _must_be_for_the_customer(self, named: Offer | Contract | None) -> None:
        if named is not None and named.customer != self.customer:
            raise Refused(
                "order.customer_differs",
                f"that was agreed with {named.customer}, not with {self.customer}",
                f"约定的客户为 {named.customer}, 而非 {self.customer}",
            )

    def _must_be_the_same(self, placed: OrderPlaced) -> None:
        """D8."""
        matrix = None if placed.quote else placed.price_matrix
        promotion = placed.promoted.promotion if placed.promoted else None
        known = (placed.customer, matrix, placed.quote, placed.contract, promotion)
        asked = (self.customer, self.price_matrix, self.quote, self.contract, self.promotion)
        wanted = tuple((line.product, line.quantity) for line in self.lines)
        if known != asked or not (self.quote or placed.wanted() == wanted):
            raise number_taken(self.number)


def must_exist(id: Id | None, state: object) -> None:
    if id is not None and state is None:
        raise Refused(f"{id.kind}.unknown", f"there is no {id}", f"没有 {id}")
