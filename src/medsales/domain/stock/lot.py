"""A lot: when it expires, whether it is held, and, for goods without serials, how much is where."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import Field

from medsales.domain.ids import (
    CustomerId,
    LotId,
    OrderId,
    PartyId,
    ProductId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.kernel import Aggregate, Command, Event, Refused, Role, Text, Value
from medsales.domain.stock.product import Product, TrackedBy
from medsales.domain.stock.warehouse import Warehouse, Zone
from medsales.domain.udi import ScannedUdi, Udi
from medsales.domain.values import PartialDate, Quantity


class Place(Value):
    """Who has goods, and in which zone when it is a warehouse of ours."""

    holder: PartyId
    zone: Zone | None = None


@dataclass(frozen=True)
class Lot(Aggregate):
    product: ProductId | None = None
    expires: PartialDate | None = None
    holds: frozenset[str] = frozenset()
    deliveries: frozenset[str] = frozenset()
    amounts: dict[Place, int] = field(default_factory=dict)
    reserved: dict[tuple[OrderId, WarehouseId], int] = field(default_factory=dict)

    def must_not_be_held(self) -> None:
        """U8."""
        if self.holds:
            reasons = ", ".join(sorted(self.holds))
            raise Refused(
                "lot.held", f"the lot is on hold: {reasons}", f"该批次已被暂停使用: {reasons}"
            )

    def must_not_be_expired(self, at: datetime) -> None:
        """D5, GSP art. 87: expired goods do not leave."""
        if self.expires is not None and self.expires.last_day < at.date():
            raise Refused(
                "lot.expired",
                f"the lot expired on {self.expires}",
                f"该批次已于 {self.expires} 过期",
            )

    def must_have(self, place: Place, quantity: int) -> None:
        """U11: nowhere less than nothing."""
        there = self.amounts.get(place, 0)
        if there < quantity:
            raise Refused(
                "lot.not_enough",
                f"{there} of the lot are at {place.holder}, not {quantity}",
                f"该批次在 {place.holder} 仅有 {there}, 不足 {quantity}",
            )

    def must_have_free(self, warehouse: WarehouseId, quantity: int) -> None:
        """D5: what is reserved for another order is not free."""
        there = self.amounts.get(Place(holder=warehouse, zone=Zone.QUALIFIED), 0)
        taken = sum(n for (_, where), n in self.reserved.items() if where == warehouse)
        if there - taken < quantity:
            raise Refused(
                "lot.not_enough_free",
                f"{there - taken} of the lot are free at {warehouse}, not {quantity}",
                f"该批次在 {warehouse} 可用 {there - taken}, 不足 {quantity}",
            )

    def must_be_reserved(self, order: OrderId, warehouse: WarehouseId, quantity: int) -> None:
        reserved = self.reserved.get((order, warehouse), 0)
        if reserved < quantity:
            raise Refused(
                "lot.not_reserved",
                f"{reserved} of the lot are reserved for {order} at {warehouse}, not {quantity}",
                f"该批次在 {warehouse} 为 {order} 预占 {reserved}, 不足 {quantity}",
            )

    def with_moved(self, quantity: int, here: Place | None, there: Place | None) -> Lot:
        amounts = dict(self.amounts)
        if here is not None:
            amounts[here] = amounts.get(here, 0) - quantity
        if there is not None:
            amounts[there] = amounts.get(there, 0) + quantity
        return replace(self, amounts={place: n for place, n in amounts.items() if n})

    def with_reserved(self, order: OrderId, warehouse: WarehouseId, change: int) -> Lot:
        key = (order, warehouse)
        reserved = {**self.reserved, key: self.reserved.get(key, 0) + change}
        return replace(self, reserved={key: n for key, n in reserved.items() if n})


class OpenLot(Command[Lot]):
    """Note a lot when its first goods arrive; a label that says otherwise later is refused."""

    allowed = ()

    udi: Udi
    product: ProductId

    def begins(self) -> LotId:
        return LotId.of(self.udi.di or "", self.udi.lot or "")

    def decide(self, lot: Lot) -> LotOpened | None:
        if lot.product is None:
            return LotOpened(
                product=self.product,
                number=self.udi.lot or "",
                di=self.udi.di or "",
                expires=self.udi.expires,
                manufactured=self.udi.manufactured,
            )
        _must_agree(lot, self.udi, self.product)
        return None


def _must_agree(lot: Lot, udi: Udi, product: ProductId) -> None:
    if lot.product not in (None, product) or (lot.product and lot.expires != udi.expires):
        raise Refused(
            "lot.label_differs",
            f"this lot is known as {lot.product}, expiring {lot.expires}; the label says otherwise",
            f"该批次已登记为 {lot.product}, 有效期 {lot.expires}; 与标签不符",
        )


class LotOpened(Event[Lot]):
    product: ProductId
    number: str
    di: str
    expires: PartialDate | None = None
    manufactured: PartialDate | None = None

    def apply(self, lot: Lot, /) -> Lot:
        return replace(lot, product=self.product, expires=self.expires)


class ReceiveLot(Command[Lot]):
    """Take a quantity of a lot into a warehouse, to be inspected."""

    allowed = (Role.WAREHOUSE,)

    udi: ScannedUdi
    product: ProductId
    warehouse: WarehouseId
    quantity: Quantity
    delivery: Text
    """The supplier's delivery note; a note is received once."""

    def begins(self) -> LotId:
        if not self.udi.lot:
            raise Refused("lot.number_missing", "the label has no lot number", "标签上没有批号")
        return LotId.of(self.udi.di or "", self.udi.lot)

    def decide(
        self, lot: Lot, product: Product, warehouse: Warehouse
    ) -> tuple[Event[Lot], ...] | None:
        if self.delivery in lot.deliveries:
            return None
        product.must_be_tracked_by(TrackedBy.LOT)
        product.must_bear(self.udi.di)
        product.must_be_registered_when_made(self.udi.manufactured)
        warehouse.must_have(Zone.PENDING)
        _must_agree(lot, self.udi, self.product)
        opened = OpenLot(udi=self.udi, product=self.product).decide(lot)
        received = LotReceived(
            udi=self.udi,
            product=self.product,
            quantity=self.quantity,
            to=Place(holder=self.warehouse, zone=Zone.PENDING),
            delivery=self.delivery,
        )
        return (opened, received) if opened else (received,)


class LotReceived(Event[Lot]):
    udi: Udi
    product: ProductId
    quantity: int
    to: Place
    delivery: str

    def apply(self, lot: Lot, /) -> Lot:
        arrived = lot.with_moved(self.quantity, None, self.to)
        return replace(arrived, deliveries=lot.deliveries | {self.delivery})


class InspectLot(Command[Lot]):
    """Inspect a quantity that waits in a warehouse: into the qualified zone, or out of the way."""

    allowed = (Role.QUALITY, Role.WAREHOUSE)

    warehouse: WarehouseId
    zone: Zone = Zone.PENDING
    """Where the goods wait: pending, or returns."""
    quantity: Quantity
    passed: bool
    remark: Text | None = None

    def decide(self, lot: Lot, warehouse: Warehouse, by: str) -> LotInspected:
        verdict = Zone.QUALIFIED if self.passed else Zone.UNQUALIFIED
        if self.zone not in (Zone.PENDING, Zone.RETURNS):
            raise Refused(
                "lot.not_waiting",
                f"goods in the {self.zone.en} zone do not wait for inspection",
                f"{self.zone.zh}的货物无需检验",
            )
        warehouse.must_have(verdict)
        here = Place(holder=self.warehouse, zone=self.zone)
        lot.must_have(here, self.quantity)
        return LotInspected(
            product=_known(lot),
            quantity=self.quantity,
            here=here,
            to=Place(holder=self.warehouse, zone=verdict),
            passed=self.passed,
            inspector=by,
            remark=self.remark,
        )


def _known(lot: Lot) -> ProductId:
    assert lot.product is not None, "the engine asks existing lots only"
    return lot.product


class LotInspected(Event[Lot]):
    product: ProductId
    quantity: int
    here: Place
    to: Place
    passed: bool
    inspector: str
    remark: str | None = None

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_moved(self.quantity, self.here, self.to)


class TransferLot(Command[Lot]):
    """Carry free, qualified goods of a lot to another warehouse of ours."""

    allowed = (Role.WAREHOUSE,)

    warehouse: WarehouseId
    to: WarehouseId
    quantity: Quantity

    def decide(self, lot: Lot, warehouse: Warehouse, to: Warehouse) -> LotTransferred:
        warehouse.must_have(Zone.QUALIFIED)
        to.must_have(Zone.QUALIFIED)
        lot.must_have_free(self.warehouse, self.quantity)
        return LotTransferred(
            product=_known(lot),
            quantity=self.quantity,
            here=Place(holder=self.warehouse, zone=Zone.QUALIFIED),
            to=Place(holder=self.to, zone=Zone.QUALIFIED),
        )


class LotTransferred(Event[Lot]):
    product: ProductId
    quantity: int
    here: Place
    to: Place

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_moved(self.quantity, self.here, self.to)


class ReserveLot(Command[Lot]):
    """Set a quantity aside for an order (D5)."""

    allowed = ()

    order: OrderId
    warehouse: WarehouseId
    quantity: Quantity

    def decide(self, lot: Lot, at: datetime) -> LotReserved:
        lot.must_not_be_held()
        lot.must_not_be_expired(at)
        lot.must_have_free(self.warehouse, self.quantity)
        return LotReserved(
            product=_known(lot),
            order=self.order,
            warehouse=self.warehouse,
            quantity=self.quantity,
        )


class LotReserved(Event[Lot]):
    product: ProductId
    order: OrderId
    warehouse: WarehouseId
    quantity: int

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_reserved(self.order, self.warehouse, self.quantity)


class ReleaseLot(Command[Lot]):
    """Free a quantity that was set aside for an order."""

    allowed = ()

    order: OrderId
    warehouse: WarehouseId
    quantity: Quantity

    def decide(self, lot: Lot) -> LotReleased:
        lot.must_be_reserved(self.order, self.warehouse, self.quantity)
        return LotReleased(
            product=_known(lot),
            order=self.order,
            warehouse=self.warehouse,
            quantity=self.quantity,
        )


class LotReleased(Event[Lot]):
    product: ProductId
    order: OrderId
    warehouse: WarehouseId
    quantity: int

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_reserved(self.order, self.warehouse, -self.quantity)


class ShipLot(Command[Lot]):
    """Send out a reserved quantity; a held or expired lot stays (U8, S7)."""

    allowed = ()

    shipment: ShipmentId
    order: OrderId
    warehouse: WarehouseId
    quantity: Quantity

    def decide(self, lot: Lot, product: Product, at: datetime) -> LotShipped:
        lot.must_not_be_held()
        lot.must_not_be_expired(at)
        product.must_be_registered_on(at.date())
        lot.must_be_reserved(self.order, self.warehouse, self.quantity)
        return LotShipped(
            product=_known(lot),
            order=self.order,
            quantity=self.quantity,
            here=Place(holder=self.warehouse, zone=Zone.QUALIFIED),
            to=Place(holder=self.shipment),
        )


class LotShipped(Event[Lot]):
    product: ProductId
    order: OrderId
    quantity: int
    here: Place
    to: Place

    def apply(self, lot: Lot, /) -> Lot:
        moved = lot.with_moved(self.quantity, self.here, self.to)
        return moved.with_reserved(self.order, WarehouseId(self.here.holder), -self.quantity)


class DeliverLot(Command[Lot]):
    """Hand over what a shipment carries of this lot."""

    allowed = ()

    shipment: ShipmentId
    order: OrderId
    customer: CustomerId
    quantity: Quantity

    def decide(self, lot: Lot) -> LotDelivered:
        here = Place(holder=self.shipment)
        lot.must_have(here, self.quantity)
        return LotDelivered(
            product=_known(lot),
            order=self.order,
            quantity=self.quantity,
            here=here,
            to=Place(holder=self.customer),
        )


class LotDelivered(Event[Lot]):
    product: ProductId
    order: OrderId
    quantity: int
    here: Place
    to: Place

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_moved(self.quantity, self.here, self.to)


class ReturnLot(Command[Lot]):
    """Take back a quantity from a customer into the returns zone, to be inspected (U9)."""

    allowed = ()

    order: OrderId
    customer: CustomerId
    warehouse: WarehouseId
    quantity: Quantity
    reason: Text

    def decide(self, lot: Lot, warehouse: Warehouse) -> LotReturned:
        warehouse.must_have(Zone.RETURNS)
        here = Place(holder=self.customer)
        lot.must_have(here, self.quantity)
        return LotReturned(
            product=_known(lot),
            order=self.order,
            quantity=self.quantity,
            here=here,
            to=Place(holder=self.warehouse, zone=Zone.RETURNS),
            reason=self.reason,
        )


class LotReturned(Event[Lot]):
    product: ProductId
    order: OrderId
    quantity: int
    here: Place
    to: Place
    reason: str

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_moved(self.quantity, self.here, self.to)


class HoldLot(Command[Lot]):
    """Stop everything of a lot where it is: no reserving, shipping or installing until lifted."""

    allowed = (Role.QUALITY,)

    hold: Text = Field(examples=["Q-2026-7"])
    """The number of this hold; a lot may be held for several reasons at once."""
    reason: Text

    def decide(self, lot: Lot) -> LotHeld | None:
        if self.hold in lot.holds:
            return None
        return LotHeld(product=_known(lot), hold=self.hold, reason=self.reason)


class LotHeld(Event[Lot]):
    product: ProductId
    hold: str
    reason: str

    def apply(self, lot: Lot, /) -> Lot:
        return replace(lot, holds=lot.holds | {self.hold})


class LiftLotHold(Command[Lot]):
    """End one hold of a lot; the others remain."""

    allowed = (Role.QUALITY,)

    hold: Text
    reason: Text

    def decide(self, lot: Lot) -> LotHoldLifted | None:
        if self.hold not in lot.holds:
            return None
        return LotHoldLifted(product=_known(lot), hold=self.hold, reason=self.reason)


class LotHoldLifted(Event[Lot]):
    product: ProductId
    hold: str
    reason: str

    def apply(self, lot: Lot, /) -> Lot:
        return replace(lot, holds=lot.holds - {self.hold})


class ScrapLot(Command[Lot]):
    """Destroy a quantity that stands in a warehouse of ours."""

    allowed = (Role.QUALITY,)

    warehouse: WarehouseId
    zone: Zone
    quantity: Quantity
    reason: Text

    def decide(self, lot: Lot) -> LotScrapped:
        here = Place(holder=self.warehouse, zone=self.zone)
        lot.must_have(here, self.quantity)
        if self.zone is Zone.QUALIFIED:
            lot.must_have_free(self.warehouse, self.quantity)
        return LotScrapped(
            product=_known(lot), quantity=self.quantity, here=here, reason=self.reason
        )


class LotScrapped(Event[Lot]):
    product: ProductId
    quantity: int
    here: Place
    reason: str

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_moved(self.quantity, self.here, None)
