"""What happens to the goods of an order: set aside, shipped, delivered, sold in place, returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from medsales.domain.governance.licence import GateEvaluated, must_pass
from medsales.domain.governance.licence_file import LicenceFile
from medsales.domain.ids import (
    CustomerId,
    DeviceUnitId,
    LotId,
    OrderId,
    ProductId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.kernel import Also, Command, Event, Refused, Role, Sentence, Text
from medsales.domain.orders.goods import (
    Goods,
    Quantities,
    Units,
    minus,
    must_name_something_once,
    picked,
    plus,
)
from medsales.domain.orders.holds import sale_gates
from medsales.domain.orders.order import (
    Order,
    OrderStatus,
    allotted,
    by_line,
)
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.device_unit import (
    DeviceUnit,
    ReleaseUnit,
    ReserveUnit,
    ReturnUnit,
    SellPlacedUnit,
)
from medsales.domain.stock.lot import Lot, ReleaseLot, ReserveLot, ReturnLot
from medsales.domain.stock.product import Product
from medsales.domain.terms.credit_exposure import (
    MoveReservation,
    TakeReturn,
)
from medsales.domain.values import Days, day_in_china


def shipped_on_credit(order: Order, id: OrderId, goods: Iterable[Goods]) -> Iterator[Also]:
    """D4: what has been shipped is no longer confirmed, but owed."""
    worth = order.worth(by_line(goods))
    if order.reserved and order.credit and worth.amount:
        yield Also(order.credit, MoveReservation(order=id, amount=worth))


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
        return released, *(set_free(some, id) for some in goods)


def set_free(some: Goods, order: OrderId) -> Also:
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


class RecordDispatch(GoodsCommand):
    """Note what a shipment takes along of this order (D1)."""

    allowed = ()

    shipment: ShipmentId

    def decide(self, order: Order, id: OrderId) -> tuple[OrderShipped | Also, ...]:
        order.must_be(OrderStatus.CONFIRMED)
        goods = picked(order.set_aside, self.wanted(), NOT_SET_ASIDE)
        shipped = OrderShipped(customer=order.buyer(), shipment=self.shipment, goods=goods)
        return shipped, *shipped_on_credit(order, id, goods)


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
    """Sell units that already stand at the customer, on demo, loan or consignment (U5, U6).

    No shipment follows, so licences are looked at again here (LIC-8).
    """

    allowed = (Role.SALES,)

    units: Annotated[Units, Field(min_length=1)]
    used_disclosed: bool = False

    def products(self, units: tuple[DeviceUnit, ...]) -> tuple[ProductId, ...]:
        return tuple(dict.fromkeys(unit.product for unit in units if unit.product))

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        order: Order,
        id: OrderId,
        units: tuple[DeviceUnit, ...],
        customer: Customer,
        products: tuple[Product, ...],
        buyer_file: LicenceFile | None,
        own_file: LicenceFile | None,
        now: datetime,
    ) -> tuple[PlacedUnitsSold | Also, ...]:
        order.must_be(OrderStatus.CONFIRMED)
        gates = sale_gates(customer, products, buyer_file, own_file, day_in_china(now))
        wanted = [
            (number, None, unit.product, 1) for number, unit in zip(self.units, units, strict=True)
        ]
        sell = SellPlacedUnit(order=id, customer=order.buyer(), used_disclosed=self.used_disclosed)
        goods = allotted(order, wanted)
        sold = PlacedUnitsSold(customer=order.buyer(), goods=goods, gates=must_pass(*gates))
        on_credit = shipped_on_credit(order, id, goods)
        return sold, *on_credit, *(Also(unit, sell) for unit in self.units)


class PlacedUnitsSold(Event[Order]):
    customer: CustomerId
    goods: tuple[Goods, ...]
    gates: tuple[GateEvaluated, ...] = ()
    """LIC-3 and LIC-4, with what they saw; none where the goods had been used already."""

    def apply(self, order: Order, /) -> Order:
        return replace(order, delivered=plus(order.delivered, self.goods)).with_lines(
            self.goods, shipped=+1
        )


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
        on_credit = returned_on_credit(order, id, goods)
        return returned, *on_credit, *self._taken_back(id, order.buyer())

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


def returned_on_credit(order: Order, id: OrderId, goods: tuple[Goods, ...]) -> Iterator[Also]:
    """What came back is owed no longer, as far as it has not been billed; the account knows that.

    A gift is not kept by who returns what it was given with, nor the price of a set by a part: what
    counts as a whole under a promotion is settled when all of it is back, or by people.
    """
    if order.reserved and order.credit:
        promoted = order.promotion is not None
        kept = order.travelling or minus(order.delivered, goods)
        to_come = any(line.not_shipped for line in order.lines.values())
        take = TakeReturn(
            order=id,
            amount=order.worth(by_line(goods)),
            whole=not kept and not (promoted and to_come),
            alone=not promoted,
        )
        yield Also(order.credit, take)


class GoodsReturned(Event[Order]):
    customer: CustomerId
    goods: tuple[Goods, ...]
    reason: str

    def apply(self, order: Order, /) -> Order:
        return replace(order, delivered=minus(order.delivered, self.goods))
