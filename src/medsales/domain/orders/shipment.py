"""A shipment: goods of one order on their way to the customer, and the proof that they arrived."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Self

from pydantic import model_validator

from medsales.domain.governance.licence import GateEvaluated, must_pass
from medsales.domain.governance.licence_file import OWN, LicenceFile
from medsales.domain.ids import (
    CustomerId,
    DeviceUnitId,
    LicenceFileId,
    LotId,
    OrderId,
    ProductId,
    ShipmentId,
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
from medsales.domain.orders.fulfilment import RecordDelivery, RecordDispatch
from medsales.domain.orders.goods import LotQuantity, Quantities, Units, must_name_something_once
from medsales.domain.orders.holds import sale_gates
from medsales.domain.orders.order import Order, OrderStatus
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.device_unit import DeliverUnit, ShipUnit
from medsales.domain.stock.lot import DeliverLot, ShipLot
from medsales.domain.stock.product import Product
from medsales.domain.values import Evidence, day_in_china


class ShipmentStatus(Term):
    PLANNED = "planned", "已计划"
    CANCELLED = "cancelled", "已取消"
    IN_TRANSIT = "in_transit", "运输中"
    DELIVERED = "delivered", "已签收"


class Transport(Value):
    """Who carries the goods, as the transport record must say (GSP art. 96)."""

    carrier: Text
    """The carrier, or the driver of our own vehicle."""
    waybill: Text
    """The waybill number, or the plate of our own vehicle."""


@dataclass(frozen=True)
class Shipment(Aggregate):
    status: ShipmentStatus | None = None
    order: OrderId | None = None
    customer: CustomerId | None = None
    planned_for: date | None = None
    units: tuple[DeviceUnitId, ...] = ()
    quantities: tuple[LotQuantity, ...] = ()

    def is_planned_for(self, order: OrderId) -> bool:
        return (self.status, self.order) == (ShipmentStatus.PLANNED, order)

    def must_be(self, *statuses: ShipmentStatus) -> None:
        if self.status not in statuses:
            now = self.status or ShipmentStatus.PLANNED
            raise Refused(
                "shipment.wrong_stage",
                f"the shipment is {now.en}, not {' or '.join(s.en for s in statuses)}",
                f"发货单{now.zh}, 而非{'或'.join(s.zh for s in statuses)}",
            )


class PlanShipment(Command[Shipment]):
    """Announce a shipment of an order."""

    allowed = (Role.WAREHOUSE, Role.SALES)

    number: Key
    """The delivery note number."""
    order: OrderId
    planned_for: date

    def begins(self) -> ShipmentId:
        return ShipmentId.of(self.number)

    def decide(self, shipment: Shipment, order: Order) -> ShipmentPlanned | None:
        planned = ShipmentPlanned(
            order=self.order, customer=order.buyer(), planned_for=self.planned_for
        )
        if planned.apply(shipment) == shipment:
            return None
        if shipment.status is not None and not shipment.is_planned_for(self.order):
            raise number_taken(self.number)
        order.must_be(OrderStatus.PLACED, OrderStatus.CONFIRMED)
        return planned


def number_taken(number: str) -> Refused:
    return Refused(
        "shipment.number_taken",
        f"the delivery note number {number} has been used",
        f"发货单号 {number} 已使用",
    )


class ShipmentPlanned(Event[Shipment]):
    order: OrderId
    customer: CustomerId
    planned_for: date

    def apply(self, shipment: Shipment, /) -> Shipment:
        return replace(
            shipment,
            status=ShipmentStatus.PLANNED,
            order=self.order,
            customer=self.customer,
            planned_for=self.planned_for,
        )


class CancelShipment(Command[Shipment]):
    """Give up a planned shipment; what has left cannot be cancelled, only returned (S5)."""

    allowed = (Role.WAREHOUSE, Role.SALES)

    reason: Text

    def decide(self, shipment: Shipment) -> ShipmentCancelled | None:
        if shipment.status is ShipmentStatus.CANCELLED:
            return None
        shipment.must_be(ShipmentStatus.PLANNED)
        return ShipmentCancelled(reason=self.reason)


class ShipmentCancelled(Event[Shipment]):
    reason: str

    def apply(self, shipment: Shipment, /) -> Shipment:
        return replace(shipment, status=ShipmentStatus.CANCELLED)


class DispatchShipment(Command[Shipment]):
    """Send goods of an order out, all of them or none; it need not have been planned.

    Licences are looked at again: they may have run out since the order was confirmed (LIC-8).
    """

    allowed = (Role.WAREHOUSE,)

    number: Key
    """The delivery note number, used once."""
    order: OrderId
    units: Units = ()
    quantities: Quantities = ()
    transport: Transport
    ship_to: Text
    """The delivery address (GSP art. 92)."""

    @model_validator(mode="after")
    def _carries_something_once(self) -> Self:
        must_name_something_once(self.units, self.quantities)
        return self

    def begins(self) -> ShipmentId:
        return ShipmentId.of(self.number)

    def customer(self, order: Order) -> CustomerId:
        return order.buyer()

    def products(self, order: Order) -> tuple[ProductId, ...]:
        """Those of the lines under which the goods were set aside."""
        named = {*self.units, *(some.lot for some in self.quantities)}
        lines = (line for goods, _, line in order.set_aside if goods in named)
        return tuple(dict.fromkeys(order.lines[line].product for line in lines))

    def buyer_file(self, order: Order) -> LicenceFileId | None:
        return order.buyer_file

    def own_file(self) -> LicenceFileId:
        return OWN

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        shipment: Shipment,
        id: ShipmentId,
        order: Order,
        customer: Customer,
        products: tuple[Product, ...],
        buyer_file: LicenceFile | None,
        own_file: LicenceFile | None,
        at: datetime,
    ) -> tuple[ShipmentDispatched | Also, ...]:
        if shipment.status is not None and not shipment.is_planned_for(self.order):
            raise number_taken(self.number)
        dispatched = ShipmentDispatched(
            order=self.order,
            customer=order.buyer(),
            units=self.units,
            quantities=self.quantities,
            transport=self.transport,
            ship_to=self.ship_to,
            gates=must_pass(
                *sale_gates(customer, products, buyer_file, own_file, day_in_china(at))
            ),
        )
        return dispatched, *self._asked(id, order.buyer())

    def _asked(self, id: ShipmentId, customer: CustomerId) -> tuple[Also, ...]:
        record = RecordDispatch(shipment=id, units=self.units, quantities=self.quantities)
        ship = ShipUnit(shipment=id, order=self.order, customer=customer)
        return (
            Also(self.order, record),
            *(Also(unit, ship) for unit in self.units),
            *(Also(some.lot, self._ship_lot(some, id, customer)) for some in self.quantities),
        )

    def _ship_lot(self, some: LotQuantity, id: ShipmentId, customer: CustomerId) -> ShipLot:
        return ShipLot(
            shipment=id,
            order=self.order,
            customer=customer,
            warehouse=some.warehouse,
            quantity=some.quantity,
        )


class ShipmentDispatched(Event[Shipment]):
    order: OrderId
    customer: CustomerId
    units: tuple[DeviceUnitId, ...]
    quantities: tuple[LotQuantity, ...]
    transport: Transport
    ship_to: str
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, shipment: Shipment, /) -> Shipment:
        return replace(
            shipment,
            status=ShipmentStatus.IN_TRANSIT,
            order=self.order,
            customer=self.customer,
            units=self.units,
            quantities=self.quantities,
        )


class DeliverShipment(Command[Shipment]):
    """Hand a shipment over; the proof of delivery is kept (S6)."""

    allowed = (Role.WAREHOUSE, Role.SALES, Role.TECHNICIAN)

    received_by: Text
    """Who signed for the customer."""
    evidence: Evidence | None = None

    def decide(
        self, shipment: Shipment, id: ShipmentId
    ) -> tuple[ShipmentDelivered | Also, ...] | None:
        if shipment.status is ShipmentStatus.DELIVERED:
            return None
        shipment.must_be(ShipmentStatus.IN_TRANSIT)
        assert shipment.order is not None, "what is in transit has an order"
        assert shipment.customer is not None, "what is in transit has a customer"
        delivered = ShipmentDelivered(
            order=shipment.order,
            customer=shipment.customer,
            received_by=self.received_by,
            evidence=self.evidence,
        )
        return delivered, *_handed_over(shipment, id, shipment.order, shipment.customer)


def _handed_over(
    shipment: Shipment, id: ShipmentId, order: OrderId, customer: CustomerId
) -> tuple[Also, ...]:
    return (
        Also(order, RecordDelivery(shipment=id)),
        *(Also(unit, DeliverUnit(shipment=id, customer=customer)) for unit in shipment.units),
        *(
            Also(lot, DeliverLot(shipment=id, order=order, customer=customer, quantity=quantity))
            for lot, quantity in _by_lot(shipment.quantities).items()
        ),
    )


def _by_lot(quantities: tuple[LotQuantity, ...]) -> dict[LotId, int]:
    total: dict[LotId, int] = {}
    for some in quantities:
        total[some.lot] = total.get(some.lot, 0) + some.quantity
    return total


class ShipmentDelivered(Event[Shipment]):
    order: OrderId
    customer: CustomerId
    received_by: str
    evidence: str | None = None

    def apply(self, shipment: Shipment, /) -> Shipment:
        return replace(shipment, status=ShipmentStatus.DELIVERED)
