"""An order: what a customer wants at which price, and how far it has come.

Here is what an order is. How it is placed is in placing.py, how it is confirmed or held in
holds.py, what happens to its goods in fulfilment.py, how it ends or begins again in cancelling.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from medsales.domain.governance.licence_file import OWN, file_of
from medsales.domain.ids import (
    ContractId,
    CreditAccountId,
    CustomerId,
    DeviceUnitId,
    LicenceFileId,
    LotId,
    PriceMatrixId,
    PriceSheetId,
    ProductId,
    PromotionId,
    QuoteId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.kernel import Aggregate, Event, Refused, Term, Value
from medsales.domain.orders.goods import Goods, Pile
from medsales.domain.values import Money

MOST = Decimal(10) ** 14
"""An amount from here on is a typing error, and more than Money holds."""


class OrderStatus(Term):
    PLACED = "placed", "已下单"
    ON_HOLD = "on_hold", "待放行"
    CONFIRMED = "confirmed", "已确认"
    CANCELLED = "cancelled", "已取消"


class HoldKind(Term):
    """Which check an order did not pass; each is owned by one role (HOLD_OWNERS)."""

    CREDIT = "credit", "信用"
    PRICE = "price", "价格"
    LICENCE = "licence", "资质"


class ExceptionUsed(Value):
    """A named exception from a floor, and the price sheet that counts its pieces."""

    name: str
    sheet: PriceSheetId


class OrderedLine(Value):
    """A line as it was placed: the price is kept with the version and the rule that made it."""

    line: int
    product: ProductId
    quantity: int
    price: Money
    """Of one piece."""
    price_version: int
    """Of the price matrix; of the contract, where the price is agreed in one."""
    price_path: tuple[str, ...]
    exception: ExceptionUsed | None = None
    """By which a price below the floor is allowed, for so many pieces (P5)."""
    wanted_line: int | None = None
    """Of the line that a promotion made this one of; none where there was no promotion."""
    free: bool = False
    """Given with what was wanted."""
    min_quantity: int = 1
    """From how many pieces on its price counts, where it is one in force: a promotion is kept or
    left as a whole, and what a quote or a contract promises does not depend on the quantity."""

    @model_serializer(mode="wrap")
    def _short(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is not so is not stored, as it was before there were exceptions and promotions."""
        said = write(self)
        return {name: said[name] for name in said if name not in LATER or said[name] != LATER[name]}


LATER = {"exception": None, "wanted_line": None, "free": False, "min_quantity": 1}
"""What lines have said from their second form on, and what it is where they do not say it."""


class Promoted(Value):
    """The promotion an order was placed under, and what it drew on its budget."""

    promotion: PromotionId
    amount: Money
    pieces: int


class CancelledLine(Value):
    line: int
    quantity: int


@dataclass(frozen=True)
class Line:
    """How far one line has come; what a decision needs to know of it."""

    product: ProductId
    ordered: int
    price: Money
    set_aside: int = 0
    """Reserved and not yet shipped."""
    shipped: int = 0
    cancelled: int = 0
    min_quantity: int = 1
    """From how many pieces on its price counts."""

    @property
    def left(self) -> int:
        """What is wanted of it, shipped or not."""
        return self.ordered - self.cancelled

    @property
    def not_shipped(self) -> int:
        """D2."""
        return self.left - self.shipped

    @property
    def open(self) -> int:
        """D1: still to be set aside."""
        return self.not_shipped - self.set_aside


@dataclass(frozen=True)
class Order(Aggregate):
    status: OrderStatus | None = None
    placed: OrderPlaced | None = None
    customer: CustomerId | None = None
    lines: dict[int, Line] = field(default_factory=dict)
    set_aside: Pile = field(default_factory=dict)
    travelling: dict[ShipmentId, tuple[Goods, ...]] = field(default_factory=dict)
    delivered: Pile = field(default_factory=dict)
    holds: tuple[HoldKind, ...] = ()
    price_released: bool = False
    """Somebody has said that the price stands although its version no longer does."""
    reserved: bool = False
    """It takes from the customer's credit; orders confirmed before credit was kept do not."""
    reopened: bool = False
    reopened_by: str | None = None
    """Who may not release its holds either."""
    cancelled_last: tuple[CancelledLine, ...] = ()
    """What comes back when it is opened again."""

    @property
    def price_matrix(self) -> PriceMatrixId | None:
        return self.placed.price_matrix if self.placed else None

    @property
    def promotion(self) -> PromotionId | None:
        promoted = self.placed.promoted if self.placed else None
        return promoted.promotion if promoted else None

    @property
    def products(self) -> tuple[ProductId, ...]:
        return tuple(dict.fromkeys(line.product for line in self.lines.values()))

    @property
    def credit(self) -> CreditAccountId | None:
        return CreditAccountId.of(self.customer.key) if self.customer else None

    @property
    def buyer_file(self) -> LicenceFileId | None:
        return file_of(self.customer) if self.customer else None

    @property
    def own_file(self) -> LicenceFileId:
        return OWN

    def must_be(self, *statuses: OrderStatus) -> None:
        if self.status not in statuses:
            now = self.status or OrderStatus.CANCELLED
            raise Refused(
                "order.wrong_stage",
                f"the order is {now.en}, not {' or '.join(s.en for s in statuses)}",
                f"订单{now.zh}, 而非{'或'.join(s.zh for s in statuses)}",
            )

    def line(self, number: int) -> Line:
        if number not in self.lines:
            raise Refused(
                "order.line_unknown", f"the order has no line {number}", f"订单没有第 {number} 行"
            )
        return self.lines[number]

    def buyer(self) -> CustomerId:
        assert self.customer is not None, "the engine asks existing orders only"
        return self.customer

    def worth(self, pieces: Mapping[int, int]) -> Money:
        """What so many pieces of its lines cost."""
        return total((self.lines[n].price, quantity) for n, quantity in pieces.items())

    def with_lines(self, goods: Iterable[Goods], **signs: int) -> Order:
        """Adds the pieces of the goods, with these signs, to what is counted per line."""
        lines = dict(self.lines)
        for some in goods:
            line = lines[some.line]
            counts = {
                what: getattr(line, what) + sign * some.quantity for what, sign in signs.items()
            }
            lines[some.line] = replace(line, **counts)
        return replace(self, lines=lines)


def by_line(goods: Iterable[Goods]) -> Counter[int]:
    """How many pieces lie under which line."""
    pieces: Counter[int] = Counter()
    for some in goods:
        pieces[some.line] += some.quantity
    return pieces


def total(parts: Iterable[tuple[Money, int]]) -> Money:
    """The sum of so many pieces at these prices, all in one currency."""
    parts = tuple(parts)
    currency = parts[0][0].currency
    for price, _ in parts:
        price.must_be_in(currency)
    amount = sum((price.amount * quantity for price, quantity in parts), Decimal(0))
    if amount >= MOST:
        raise Refused(
            "order.amount_too_large",
            "the order comes to more than can be paid; look at the prices and quantities",
            "订单金额过大, 请核对单价和数量",
        )
    return Money(amount=amount, currency=currency)


def allotted(
    order: Order,
    wanted: Iterable[tuple[DeviceUnitId | LotId, WarehouseId | None, ProductId | None, int]],
) -> tuple[Goods, ...]:
    """Puts goods under the lines that are open for their product. Raises Refused (D1)."""
    found: list[Goods] = []
    taken: Counter[int] = Counter()
    for goods, warehouse, product, quantity in wanted:
        missing = quantity
        for number, line in order.lines.items():
            pieces = min(missing, line.open - taken[number])
            if line.product == product and pieces > 0:
                found.append(Goods(goods=goods, warehouse=warehouse, line=number, quantity=pieces))
                taken[number] += pieces
                missing -= pieces
        if missing:
            raise Refused(
                "order.more_than_open",
                f"no line of the order still needs {missing} of {product}",
                f"订单中没有仍需 {missing} 件 {product} 的行",
            )
    return tuple(found)


def number_taken(number: str) -> Refused:
    """D8."""
    return Refused(
        "order.number_taken",
        f"the order number {number} has been used for another order",
        f"订单号 {number} 已用于另一订单",
    )


class OrderPlaced(Event[Order]):
    customer: CustomerId
    region: str
    tier: str
    price_matrix: PriceMatrixId | None = None
    lines: tuple[OrderedLine, ...]
    quote: QuoteId | None = None
    quote_version: int | None = None
    contract: ContractId | None = None
    contract_version: int | None = None
    """C3: the version it was placed under."""
    promoted: Promoted | None = None
    placed_by: str | None = None
    """Who may not release its holds; not known of the oldest orders."""
    placed_on: date | None = None
    """The day whose prices it has; not known of the oldest orders."""

    def wanted(self) -> tuple[tuple[ProductId, int], ...]:
        """What was asked for, before a promotion took lines apart or added to them."""
        asked: dict[int, tuple[ProductId, int]] = {}
        for line in self.lines:
            number = line.wanted_line or line.line
            before = asked[number][1] if number in asked else 0
            if not line.free:
                asked[number] = (line.product, before + line.quantity)
        return tuple(asked.values())

    def apply(self, order: Order, /) -> Order:
        return replace(
            order,
            status=OrderStatus.PLACED,
            placed=self,
            customer=self.customer,
            lines={
                line.line: Line(
                    line.product, line.quantity, line.price, min_quantity=line.min_quantity
                )
                for line in self.lines
            },
        )
