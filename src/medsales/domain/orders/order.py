"""An order: what a customer wants at which price, how much of it is set aside and sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from medsales.domain.ids import (
    CustomerId,
    DeviceUnitId,
    LotId,
    OrderId,
    PriceMatrixId,
    ProductId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.kernel import (
    Aggregate,
    Also,
    Command,
    Event,
    Key,
    Refused,
    Role,
    Sentence,
    Term,
    Text,
    Value,
)
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.device_unit import (
    ConsumeUnit,
    DeviceUnit,
    ReleaseUnit,
    ReserveUnit,
    ReturnUnit,
    SellPlacedUnit,
)
from medsales.domain.stock.lot import Lot, ReleaseLot, ReserveLot, ReturnLot
from medsales.domain.stock.product import Product
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.domain.values import Days, Money, Quantity

LineNumber = Annotated[int, Field(ge=1, le=10_000, examples=[1])]
Units = Annotated[tuple[DeviceUnitId, ...], Field(max_length=500)]


class OrderStatus(Term):
    PLACED = "placed", "已下单"
    CONFIRMED = "confirmed", "已确认"
    CANCELLED = "cancelled", "已取消"


class WantedLine(Value):
    product: ProductId
    quantity: Quantity


class OrderedLine(Value):
    """A line as it was placed: the price is kept with the version and the rule that made it."""

    line: int
    product: ProductId
    quantity: int
    price: Money
    """Of one piece."""
    price_version: int
    price_path: tuple[str, ...]


class LotQuantity(Value):
    """A quantity of a lot in one of our warehouses."""

    lot: LotId
    warehouse: WarehouseId
    quantity: Quantity


Quantities = Annotated[tuple[LotQuantity, ...], Field(max_length=100)]


class Goods(Value):
    """Some goods under a line of an order: a unit, or a quantity of a lot from a warehouse."""

    goods: DeviceUnitId | LotId
    warehouse: WarehouseId | None = None
    """None for a unit, which knows itself where it is."""
    line: int
    quantity: int = 1


Pile = dict[tuple[DeviceUnitId | LotId, WarehouseId | None, int], int]
"""How much of which goods, by line."""


def plus(pile: Pile, goods: Iterable[Goods], sign: int = +1) -> Pile:
    total = dict(pile)
    for some in goods:
        key = (some.goods, some.warehouse, some.line)
        total[key] = total.get(key, 0) + sign * some.quantity
    return {key: quantity for key, quantity in total.items() if quantity}


def minus(pile: Pile, goods: Iterable[Goods]) -> Pile:
    return plus(pile, goods, -1)


@dataclass(frozen=True)
class Line:
    """How far one line has come; what a decision needs to know of it."""

    product: ProductId
    ordered: int
    set_aside: int = 0
    """Reserved and not yet shipped."""
    shipped: int = 0
    cancelled: int = 0

    @property
    def not_shipped(self) -> int:
        """D2."""
        return self.ordered - self.cancelled - self.shipped

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

    def cancelled(self, pieces: dict[int, int], reason: str) -> OrderCancelled:
        """What becomes of the order when so many pieces of its lines are cancelled."""
        left = sum(line.ordered - line.cancelled for line in self.lines.values())
        kept = self.status or OrderStatus.PLACED
        return OrderCancelled(
            customer=self.buyer(),
            lines=tuple(CancelledLine(line=n, quantity=some) for n, some in pieces.items()),
            reason=reason,
            status=kept if left > sum(pieces.values()) else OrderStatus.CANCELLED,
        )

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


def picked(
    pile: Pile,
    wanted: Iterable[tuple[DeviceUnitId | LotId, WarehouseId | None, int]],
    refusal: Sentence,
) -> tuple[Goods, ...]:
    """Takes goods from a pile, with the lines they lie under. Raises Refused (D1, D7)."""
    found: list[Goods] = []
    left = dict(pile)
    for goods, warehouse, quantity in wanted:
        missing = quantity
        for key in [key for key in left if key[:2] == (goods, warehouse)]:
            pieces = min(missing, left[key])
            if pieces > 0:
                found.append(Goods(goods=goods, warehouse=warehouse, line=key[2], quantity=pieces))
                left[key] -= pieces
                missing -= pieces
        if missing:
            raise Refused("order.goods_foreign", f"{goods} {refusal.en}", f"{goods} {refusal.zh}")
    return tuple(found)


def number_taken(number: str) -> Refused:
    """D8."""
    return Refused(
        "order.number_taken",
        f"the order number {number} has been used for another order",
        f"订单号 {number} 已用于另一订单",
    )


class PlaceOrder(Command[Order]):
    """Order products at the prices in force; the prices are kept with the order (D3)."""

    allowed = (Role.SALES,)

    number: Key = Field(examples=["SO-2026-0001"])
    """The client's own number for this order, used once (D8)."""
    customer: CustomerId
    price_matrix: PriceMatrixId
    lines: Annotated[tuple[WantedLine, ...], Field(min_length=1, max_length=500)]

    def begins(self) -> OrderId:
        return OrderId.of(self.number)

    @property
    def products(self) -> tuple[ProductId, ...]:
        return tuple(dict.fromkeys(line.product for line in self.lines))

    def decide(
        self,
        order: Order,
        customer: Customer,
        price_matrix: PriceMatrix,
        products: tuple[Product, ...],  # noqa: ARG002 - named, so that each must exist
        at: datetime,
    ) -> OrderPlaced | None:
        if order.placed is not None:
            self._must_be_the_same(order.placed)
            return None
        customer.must_be_served()
        return self.at_prices_in_force(customer, price_matrix, at)

    def at_prices_in_force(
        self, customer: Customer, price_matrix: PriceMatrix, at: datetime
    ) -> OrderPlaced:
        return OrderPlaced(
            customer=self.customer,
            region=customer.region,
            tier=customer.tier,
            price_matrix=self.price_matrix,
            lines=tuple(
                self._priced(number, line, customer, price_matrix, at)
                for number, line in enumerate(self.lines, start=1)
            ),
        )

    def _must_be_the_same(self, placed: OrderPlaced) -> None:
        """D8."""
        known = [(line.product, line.quantity) for line in placed.lines]
        wanted = [(line.product, line.quantity) for line in self.lines]
        if (placed.customer, placed.price_matrix, known) != (
            self.customer,
            self.price_matrix,
            wanted,
        ):
            raise number_taken(self.number)

    def _priced(
        self, number: int, line: WantedLine, customer: Customer, matrix: PriceMatrix, at: datetime
    ) -> OrderedLine:
        found = matrix.price(line.product, customer.region, customer.tier, line.quantity, at.date())
        return OrderedLine(
            line=number,
            product=line.product,
            quantity=line.quantity,
            price=found.price,
            price_version=found.version,
            price_path=found.path,
        )


class OrderPlaced(Event[Order]):
    customer: CustomerId
    region: str
    tier: str
    price_matrix: PriceMatrixId
    lines: tuple[OrderedLine, ...]

    def apply(self, order: Order, /) -> Order:
        return replace(
            order,
            status=OrderStatus.PLACED,
            placed=self,
            customer=self.customer,
            lines={line.line: Line(line.product, line.quantity) for line in self.lines},
        )


class ConfirmOrder(Command[Order]):
    """Promise to deliver what was ordered."""

    allowed = (Role.SALES, Role.MANAGER)

    def decide(self, order: Order, customer: Customer) -> OrderConfirmed | None:
        if order.status is OrderStatus.CONFIRMED:
            return None
        order.must_be(OrderStatus.PLACED)
        customer.must_be_served()
        return OrderConfirmed(customer=order.buyer())


class OrderConfirmed(Event[Order]):
    customer: CustomerId

    def apply(self, order: Order, /) -> Order:
        return replace(order, status=OrderStatus.CONFIRMED)


def must_name_something_once(units: Units, quantities: tuple[LotQuantity, ...]) -> None:
    """Raises ValueError, which the caller is told as a mistake in his request."""
    if len({*units, *(some.lot for some in quantities)}) != len(units) + len(quantities):
        raise ValueError("something is named twice")
    if not units and not quantities:
        raise ValueError("name at least one unit or quantity of a lot")


class GoodsCommand(Command[Order]):
    """A command about certain units and quantities of lots."""

    units: Units = ()
    quantities: Quantities = ()

    @model_validator(mode="after")
    def _names_something_once(self) -> Self:
        must_name_something_once(self.units, self.quantities)
        return self

    @property
    def lots(self) -> tuple[LotId, ...]:
        return tuple(some.lot for some in self.quantities)

    def wanted(self) -> list[tuple[DeviceUnitId | LotId, WarehouseId | None, int]]:
        units = [(unit, None, 1) for unit in self.units]
        return [*units, *((some.lot, some.warehouse, some.quantity) for some in self.quantities)]


class ReserveGoods(GoodsCommand):
    """Set units and quantities of lots aside for a confirmed order (D1, D5)."""

    allowed = (Role.SALES, Role.WAREHOUSE)

    used_disclosed: bool = False
    """The customer knows that a unit has been used for demonstration or on loan (U5)."""
    shelf_life: Days = 0
    """Days that must remain before the goods expire (D5)."""

    def decide(
        self, order: Order, id: OrderId, units: tuple[DeviceUnit, ...], lots: tuple[Lot, ...]
    ) -> tuple[GoodsReserved | Also, ...] | None:
        order.must_be(OrderStatus.CONFIRMED)
        for unit in units:
            unit.must_be_alive()
        already = {goods for goods, _, _ in order.set_aside}
        products = [unit.product for unit in units] + [lot.product for lot in lots]
        wanted = [
            (goods, warehouse, product, quantity)
            for (goods, warehouse, quantity), product in zip(self.wanted(), products, strict=True)
            if not (isinstance(goods, DeviceUnitId) and goods in already)
        ]
        if not wanted:
            return None
        goods = allotted(order, wanted)
        reserved = GoodsReserved(customer=order.buyer(), goods=goods)
        return reserved, *(self._reserve(some, id, order.buyer()) for some in goods)

    def _reserve(self, some: Goods, order: OrderId, customer: CustomerId) -> Also:
        if some.warehouse is None:
            reserve_unit = ReserveUnit(
                order=order,
                customer=customer,
                used_disclosed=self.used_disclosed,
                shelf_life=self.shelf_life,
            )
            return Also(some.goods, reserve_unit)
        reserve_lot = ReserveLot(
            order=order,
            warehouse=some.warehouse,
            quantity=some.quantity,
            shelf_life=self.shelf_life,
        )
        return Also(some.goods, reserve_lot)


class GoodsReserved(Event[Order]):
    customer: CustomerId
    goods: tuple[Goods, ...]

    def apply(self, order: Order, /) -> Order:
        return replace(order, set_aside=plus(order.set_aside, self.goods)).with_lines(
            self.goods, set_aside=+1
        )


NOT_SET_ASIDE = Sentence("is not set aside for this order in that quantity", "未为本订单预占该数量")


class ReleaseGoods(GoodsCommand):
    """Free goods that were set aside for an order."""

    allowed = (Role.SALES, Role.WAREHOUSE)

    reason: Text

    def decide(self, order: Order, id: OrderId) -> tuple[GoodsReleased | Also, ...]:
        goods = picked(order.set_aside, self.wanted(), NOT_SET_ASIDE)
        released = GoodsReleased(customer=order.buyer(), goods=goods, reason=self.reason)
        return released, *(_released(some, id) for some in goods)


def _released(some: Goods, order: OrderId) -> Also:
    if some.warehouse is None:
        return Also(some.goods, ReleaseUnit(order=order))
    release = ReleaseLot(order=order, warehouse=some.warehouse, quantity=some.quantity)
    return Also(some.goods, release)


class GoodsReleased(Event[Order]):
    customer: CustomerId
    goods: tuple[Goods, ...]
    reason: str

    def apply(self, order: Order, /) -> Order:
        return replace(order, set_aside=minus(order.set_aside, self.goods)).with_lines(
            self.goods, set_aside=-1
        )


class CancelOrder(Command[Order]):
    """Cancel all that has not been shipped; what was set aside is free again (D2)."""

    allowed = (Role.SALES, Role.MANAGER)

    reason: Text

    def decide(self, order: Order, id: OrderId) -> tuple[Event[Order] | Also, ...] | None:
        rest = {n: line.not_shipped for n, line in order.lines.items() if line.not_shipped}
        if not rest and any(line.cancelled for line in order.lines.values()):
            return None
        if not rest:
            raise Refused(
                "order.all_shipped",
                "everything has been shipped; it can only be returned",
                "订单货物已全部发出, 只能退货",
            )
        goods = tuple(
            Goods(goods=goods, warehouse=warehouse, line=line, quantity=quantity)
            for (goods, warehouse, line), quantity in order.set_aside.items()
        )
        cancelled = order.cancelled(rest, self.reason)
        released = GoodsReleased(customer=order.buyer(), goods=goods, reason=self.reason)
        if not goods:
            return (cancelled,)
        return released, *(_released(some, id) for some in goods), cancelled


class CancelLine(Command[Order]):
    """Cancel some pieces of a line that are neither shipped nor set aside (D2)."""

    allowed = (Role.SALES, Role.MANAGER)

    line: LineNumber
    quantity: Quantity
    reason: Text

    def decide(self, order: Order) -> OrderCancelled:
        order.must_be(OrderStatus.PLACED, OrderStatus.CONFIRMED)
        line = order.line(self.line)
        if self.quantity > line.open:
            raise Refused(
                "order.cancel_too_much",
                f"{line.open} of line {self.line} can be cancelled, not {self.quantity}",
                f"第 {self.line} 行可取消 {line.open}, 不足 {self.quantity}",
            )
        return order.cancelled({self.line: self.quantity}, self.reason)


class CancelledLine(Value):
    line: int
    quantity: int


class OrderCancelled(Event[Order]):
    customer: CustomerId
    lines: tuple[CancelledLine, ...]
    reason: str
    status: OrderStatus
    """Of the order afterwards: cancelled when nothing of it is left."""

    def apply(self, order: Order, /) -> Order:
        lines = dict(order.lines)
        for some in self.lines:
            line = lines[some.line]
            lines[some.line] = replace(line, cancelled=line.cancelled + some.quantity)
        return replace(order, lines=lines, status=self.status)


class RecordDispatch(GoodsCommand):
    """Note what a shipment takes along of this order (D1)."""

    allowed = ()

    shipment: ShipmentId

    def decide(self, order: Order) -> OrderShipped:
        order.must_be(OrderStatus.CONFIRMED)
        goods = picked(order.set_aside, self.wanted(), NOT_SET_ASIDE)
        return OrderShipped(customer=order.buyer(), shipment=self.shipment, goods=goods)


class OrderShipped(Event[Order]):
    customer: CustomerId
    shipment: ShipmentId
    goods: tuple[Goods, ...]

    def apply(self, order: Order, /) -> Order:
        return replace(
            order,
            set_aside=minus(order.set_aside, self.goods),
            travelling={**order.travelling, self.shipment: self.goods},
        ).with_lines(self.goods, set_aside=-1, shipped=+1)


class RecordDelivery(Command[Order]):
    """Note that a shipment of this order has been handed over."""

    allowed = ()

    shipment: ShipmentId

    def decide(self, order: Order) -> OrderDelivered:
        if self.shipment not in order.travelling:
            raise Refused(
                "order.shipment_foreign",
                f"{self.shipment} carries nothing of this order",
                f"{self.shipment} 未运输本订单货物",
            )
        return OrderDelivered(
            customer=order.buyer(),
            shipment=self.shipment,
            goods=order.travelling[self.shipment],
        )


class OrderDelivered(Event[Order]):
    customer: CustomerId
    shipment: ShipmentId
    goods: tuple[Goods, ...]

    def apply(self, order: Order, /) -> Order:
        travelling = {id: goods for id, goods in order.travelling.items() if id != self.shipment}
        return replace(
            order,
            travelling=travelling,
            delivered=plus(order.delivered, _wherever(self.goods)),
        )


def _wherever(goods: Iterable[Goods]) -> list[Goods]:
    """Once delivered, it no longer matters which warehouse goods came from."""
    return [some.model_copy(update={"warehouse": None}) for some in goods]


class SellPlacedUnits(Command[Order]):
    """Sell units that already stand at the customer, on demo, loan or consignment (U5, U6)."""

    allowed = (Role.SALES,)

    units: Annotated[Units, Field(min_length=1)]
    used_disclosed: bool = False

    def decide(
        self, order: Order, id: OrderId, units: tuple[DeviceUnit, ...]
    ) -> tuple[PlacedUnitsSold | Also, ...]:
        order.must_be(OrderStatus.CONFIRMED)
        wanted = [
            (number, None, unit.product, 1) for number, unit in zip(self.units, units, strict=True)
        ]
        sell = SellPlacedUnit(order=id, customer=order.buyer(), used_disclosed=self.used_disclosed)
        sold = PlacedUnitsSold(customer=order.buyer(), goods=allotted(order, wanted))
        return sold, *(Also(unit, sell) for unit in self.units)


class PlacedUnitsSold(Event[Order]):
    customer: CustomerId
    goods: tuple[Goods, ...]

    def apply(self, order: Order, /) -> Order:
        return replace(order, delivered=plus(order.delivered, self.goods)).with_lines(
            self.goods, shipped=+1
        )


class ReportUsage(Command[Order]):
    """Turn the use of consigned units into an order, once: sold and used up together (U6)."""

    allowed = (Role.SALES, Role.TECHNICIAN)

    number: Key = Field(examples=["SO-2026-0002"])
    """The number of the order that follows from the use."""
    customer: CustomerId
    price_matrix: PriceMatrixId
    units: Annotated[Units, Field(min_length=1)]
    reference: Text
    """The customer's own reference; no name of a patient."""

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        must_name_something_once(self.units, ())
        return self

    def begins(self) -> OrderId:
        return OrderId.of(self.number)

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        order: Order,
        id: OrderId,
        customer: Customer,
        price_matrix: PriceMatrix,
        units: tuple[DeviceUnit, ...],
        at: datetime,
    ) -> tuple[Event[Order] | Also, ...] | None:
        if order.placed is not None:
            self._must_be_the_same(order)
            return None
        for unit in units:
            unit.must_be_on_consignment()
        placed = self._order_for(units).at_prices_in_force(customer, price_matrix, at)
        wanted = [(n, None, unit.product, 1) for n, unit in zip(self.units, units, strict=True)]
        sold = PlacedUnitsSold(customer=self.customer, goods=allotted(placed.apply(order), wanted))
        return placed, OrderConfirmed(customer=self.customer), sold, *self._used_up(id)

    def _must_be_the_same(self, order: Order) -> None:
        """D8: a report repeated is the same report."""
        if (order.customer, {key[0] for key in order.delivered}) != (
            self.customer,
            set(self.units),
        ):
            raise number_taken(self.number)

    def _order_for(self, units: tuple[DeviceUnit, ...]) -> PlaceOrder:
        pieces = Counter(unit.product for unit in units if unit.product is not None)
        return PlaceOrder(
            number=self.number,
            customer=self.customer,
            price_matrix=self.price_matrix,
            lines=tuple(WantedLine(product=p, quantity=n) for p, n in pieces.items()),
        )

    def _used_up(self, id: OrderId) -> Iterator[Also]:
        for unit in self.units:
            yield Also(unit, SellPlacedUnit(order=id, customer=self.customer))
            yield Also(unit, ConsumeUnit(reference=self.reference))


NOT_DELIVERED = Sentence(
    "was not delivered under this order in that quantity", "未按本订单交付该数量"
)


class ReturnGoods(GoodsCommand):
    """Take back what was really delivered under this order (D7)."""

    allowed = (Role.SALES, Role.WAREHOUSE)

    reason: Text

    def decide(self, order: Order, id: OrderId) -> tuple[GoodsReturned | Also, ...]:
        wanted = [(goods, None, quantity) for goods, _, quantity in self.wanted()]
        goods = picked(order.delivered, wanted, NOT_DELIVERED)
        returned = GoodsReturned(customer=order.buyer(), goods=goods, reason=self.reason)
        return returned, *self._taken_back(id, order.buyer())

    def _taken_back(self, order: OrderId, customer: CustomerId) -> Iterator[Also]:
        for unit in self.units:
            yield Also(unit, ReturnUnit(order=order, reason=self.reason))
        for some in self.quantities:
            back = ReturnLot(
                order=order,
                customer=customer,
                warehouse=some.warehouse,
                quantity=some.quantity,
                reason=self.reason,
            )
            yield Also(some.lot, back)


class GoodsReturned(Event[Order]):
    customer: CustomerId
    goods: tuple[Goods, ...]
    reason: str

    def apply(self, order: Order, /) -> Order:
        return replace(order, delivered=minus(order.delivered, self.goods))
