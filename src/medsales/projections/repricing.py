"""The repricing list: what was given away at older prices before a late version was known (P7).

Nothing issued changes by itself. The list says which lines of quotes and orders would cost
something else, so that people can decide what to tell the customer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from pydantic import ConfigDict

from medsales.domain.ids import CustomerId, PriceMatrixId, ProductId
from medsales.domain.kernel import Refused, Value
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.product import Product
from medsales.domain.terms.price_matrix import PriceFound, PriceMatrix
from medsales.domain.terms.price_sheet import Buyer, PriceSheet, sheets_for
from medsales.domain.values import day_in_china, start_of_day_in_china
from medsales.engine.database import Db
from medsales.engine.past import Moment, state_at


class GivenLine(Value):
    """A line of a quote that was issued, or of an order that was placed."""

    model_config = ConfigDict(extra="ignore")

    id: str
    """Of the quote or the order."""
    version: int
    """Of the quote; 0 for an order."""
    line: int
    status: str
    customer: str
    product: str
    quantity: int
    price: Decimal
    """Given to the customer for one piece."""
    in_force: Decimal
    """What the price matrix asked for one piece, as far as the line says it."""
    currency: str
    price_version: int
    given_at: datetime


class RepricedLine(GivenLine):
    """A line as it was given, and what the late version asks for it."""

    new_price: Decimal
    """Of one piece."""
    new_rule: str
    new_path: tuple[str, ...]
    difference: Decimal
    """Between the prices in force, for all pieces; negative where it has become cheaper."""
    settled: str | None = None
    """Why it is left as it is, where somebody has decided so (`settle-repricing`)."""


GIVEN = """
    select * from (
        select i.quote as id, i.version, i.line, v.status, i.customer, i.product,
            i.quantity, i.price, i.in_force, i.currency, i.price_version, i.issued_at as given_at,
            i.price_matrix
        from issued_line i
            join quote_version_card v on v.quote = i.quote and v.version = i.version
        where v.status in ('issued', 'accepted', 'converted')
        union all
        select l."order", 0, l.line, o.status, o.customer, l.product,
            l.ordered - l.cancelled, l.price, l.price, l.currency, l.price_version, o.placed_at,
            o.price_matrix
        from order_line_card l join order_card o on o."order" = l."order"
        where l.ordered > l.cancelled
            and not exists (select from quote_card q where q.converted_into = o."order")
    ) as given
    where price_matrix = %(matrix)s and given_at >= %(since)s and price_version <> %(number)s
"""
"""Lines that count and were given since a version was to be in effect, at the prices of another.

An order that was made of a quote has its lines there.
"""


def beginning_of(matrix: PriceMatrix, number: int) -> datetime:
    """When a version counts from. Raises Refused where there is no such version."""
    return start_of_day_in_china(matrix.version(number).effective_from)


@dataclass(frozen=True)
class Prices:
    """The prices of a matrix as they are known at a moment; what has been read is kept."""

    db: Db
    moment: Moment
    id: PriceMatrixId
    matrix: PriceMatrix
    products: dict[str, Product] = field(default_factory=dict)
    sheets: dict[str, tuple[PriceSheet | None, ...]] = field(default_factory=dict)

    def repriced(self, lines: Iterable[GivenLine], number: int) -> Iterator[RepricedLine]:
        """Those to which the version gives another price."""
        version = self.matrix.version(number)
        for line in lines:
            found = self.found(line)
            if found and found.version == number and found.price.amount != line.in_force:
                yield RepricedLine(
                    **line.model_dump(),
                    new_price=found.price.amount,
                    new_rule=found.rule,
                    new_path=found.path,
                    difference=(found.price.amount - line.in_force) * line.quantity,
                    settled=version.settlement(line.id),
                )

    def found(self, line: GivenLine) -> PriceFound | None:
        """The price on the day the line was given, for the customer as it was then."""
        product = self.product(line.product)
        then = Moment(self.moment.position, line.given_at)
        customer = state_at(self.db, Customer, line.customer, then)
        if product is None or customer is None:
            return None
        buyer = Buyer.of(CustomerId(line.customer), customer)
        day = day_in_china(line.given_at)
        try:
            return self.matrix.price(
                self.sheets[line.product],
                ProductId(line.product),
                product.family,
                buyer,
                line.quantity,
                day,
                line.currency,
            )
        except Refused:
            return None

    def product(self, id: str) -> Product | None:
        if id not in self.products:
            product = state_at(self.db, Product, id, self.moment)
            if product is None:
                return None
            self.products[id] = product
            sheets = sheets_for(self.id, ((ProductId(id), product.family),))
            self.sheets[id] = tuple(
                state_at(self.db, PriceSheet, sheet, self.moment) for sheet in sheets
            )
        return self.products[id]
