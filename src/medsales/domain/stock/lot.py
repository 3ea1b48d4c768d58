"""A lot: when it expires, whether it is held, and, for goods without serials, how much is where."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from pydantic import Field

from medsales.domain.governance.expiry import days_before
from medsales.domain.governance.licence import GateEvaluated, LicenceFile, must_pass, supplier_gate
from medsales.domain.ids import (
    CustomerId,
    LicenceFileId,
    LotId,
    OrderId,
    ProductId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.kernel import Aggregate, Command, Event, Key, Refused, Role, Text
from medsales.domain.stock.movement import Movement, Place, Stock
from medsales.domain.stock.product import Product, TrackedBy
from medsales.domain.stock.warehouse import Warehouse, Zone
from medsales.domain.udi import ScannedUdi, Udi
from medsales.domain.values import Days, PartialDate, Quantity, day_in_china

LONGEST_KEY = 60
"""Characters; GS1, HIBC and MA allow no serial or lot number of more than 20."""
NEAR_EXPIRY = 180
"""Days before expiry at which stock is said to be near it (近效期; GSP art. 51, item 6)."""
EXPIRED = "expired 过期"
"""The hold that expiry itself puts on goods; it is not lifted while the goods are expired."""


@dataclass(frozen=True)
class Lot(Aggregate):
    product: ProductId | None = None
    expires: PartialDate | None = None
    made: PartialDate | None = None
    near_expiry: bool = False
    holds: frozenset[str] = frozenset()
    deliveries: dict[str, LotReceived] = field(default_factory=dict)
    amounts: dict[Place, int] = field(default_factory=dict)
    reserved: dict[tuple[OrderId, WarehouseId], int] = field(default_factory=dict)

    @property
    def marks(self) -> frozenset[str]:
        """What its units are held for; not to be taken for holds of their own."""
        return frozenset(mark_of(hold) for hold in self.holds)

    def must_not_be_held(self) -> None:
        """U8."""
        if self.holds:
            reasons = ", ".join(sorted(self.holds))
            raise Refused(
                "lot.held", f"the lot is on hold: {reasons}", f"该批次已被暂停使用: {reasons}"
            )

    def must_not_be_expired(self, day: date) -> None:
        """D5, GSP art. 87: expired goods do not leave."""
        if self.expires is not None and self.expires.last_day < day:
            raise Refused(
                "lot.expired",
                f"the lot expires on {self.expires}, before {day}",
                f"该批次有效期至 {self.expires}, 早于 {day}",
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

    def stock(self, id: LotId, place: Place, quantity: int) -> Stock:
        assert self.product is not None, "the engine asks existing lots only"
        return Stock(product=self.product, lot=id, quantity=quantity, place=place)

    def with_moved(self, moved: Movement) -> Lot:
        amounts = dict(self.amounts)
        for place, change in ((moved.source, -moved.quantity), (moved.destination, moved.quantity)):
            if place is not None:
                amounts[place] = amounts.get(place, 0) + change
        return replace(self, amounts={place: n for place, n in amounts.items() if n})

    def with_reserved(self, order: OrderId, stock: Stock, change: int) -> Lot:
        key = (order, stock.place.warehouse())
        reserved = {**self.reserved, key: self.reserved.get(key, 0) + change}
        return replace(self, reserved={key: n for key, n in reserved.items() if n})


def near_from(expires: PartialDate) -> date:
    """The first day on which goods are near their expiry."""
    return days_before(expires.last_day, NEAR_EXPIRY)


def mark_of(hold: str) -> str:
    """The hold of a unit that follows from a hold of its lot."""
    return f"{hold} (whole lot 整批)"


def must_be_keys(*said: str | None) -> None:
    """A label that was read elsewhere may say anything; not everything can be part of an id."""
    for text in said:
        if text and (len(text) > LONGEST_KEY or not text.isprintable()):
            raise Refused(
                "label.unusable",
                f"{text[:LONGEST_KEY]!r} cannot be the number of a device or lot",
                f"{text[:LONGEST_KEY]!r} 不能用作器械或批次的编号",
            )


class OpenLot(Command[Lot]):
    """Note a lot when its first goods arrive; a label that says otherwise later is refused."""

    allowed = ()

    udi: Udi
    product: ProductId

    def begins(self) -> LotId:
        return LotId.of(self.product.key, self.udi.lot or "")

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
        return replace(lot, product=self.product, expires=self.expires, made=self.manufactured)


class ReceiveLot(Command[Lot]):
    """Take a quantity of a lot into a warehouse, to be inspected."""

    allowed = (Role.WAREHOUSE,)

    udi: ScannedUdi
    product: ProductId
    warehouse: WarehouseId
    quantity: Quantity
    delivery: Text
    """The supplier's delivery note; a note is received once."""
    supplier_file: LicenceFileId | None = None
    """The file of the supplier: where it is given, supplier and product must be approved."""

    def begins(self) -> LotId:
        if not self.udi.lot:
            raise Refused("lot.number_missing", "the label has no lot number", "标签上没有批号")
        must_be_keys(self.udi.di, self.udi.lot)
        return LotId.of(self.product.key, self.udi.lot)

    def _must_be_the_same(self, received: LotReceived) -> None:
        """A second pallet of a note has a number of its own; nothing is dropped silently."""
        there = Place(holder=self.warehouse, zone=Zone.PENDING)
        moved = received.moved
        if (moved.quantity, moved.destination) != (self.quantity, there):
            raise Refused(
                "lot.delivery_received",
                f"{moved.quantity} of this lot have been received with {self.delivery} already",
                f"随货同行单 {self.delivery} 已收货 {moved.quantity}",
            )

    def decide(  # noqa: PLR0913, PLR0917 - each is a part of what is decided about
        self,
        lot: Lot,
        id: LotId,
        product: Product,
        warehouse: Warehouse,
        supplier_file: LicenceFile | None,
        at: datetime,
    ) -> tuple[Event[Lot], ...] | None:
        if self.delivery in lot.deliveries:
            self._must_be_the_same(lot.deliveries[self.delivery])
            return None
        product.must_be_tracked_by(TrackedBy.LOT)
        product.must_label_one_piece(self.udi.di)
        product.must_be_registered_when_made(self.udi.manufactured)
        warehouse.must_have(Zone.PENDING)
        _must_agree(lot, self.udi, self.product)
        opened = OpenLot(udi=self.udi, product=self.product).decide(lot)
        received = LotReceived(
            udi=self.udi,
            delivery=self.delivery,
            supplier_file=self.supplier_file,
            gates=supplied_by(self.supplier_file, supplier_file, product, at),
            moved=Movement(
                product=self.product,
                lot=id,
                quantity=self.quantity,
                destination=Place(holder=self.warehouse, zone=Zone.PENDING),
            ),
        )
        return (opened, received) if opened else (received,)


def supplied_by(
    id: LicenceFileId | None, file: LicenceFile | None, product: Product, at: datetime
) -> tuple[GateEvaluated, ...]:
    """LIC-1, LIC-2: supplier and product were approved; nothing where no file was named."""
    if id is None:
        return ()
    day = day_in_china(at)
    return must_pass(supplier_gate(file, (product.gated,), day), product.approval_gate(day))


class LotReceived(Event[Lot]):
    udi: Udi
    delivery: str
    moved: Movement
    supplier_file: LicenceFileId | None = None
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, lot: Lot, /) -> Lot:
        arrived = lot.with_moved(self.moved)
        return replace(arrived, deliveries={**lot.deliveries, self.delivery: self})


class InspectLot(Command[Lot]):
    """Inspect a quantity that waits in a warehouse: into the qualified zone, or out of the way."""

    allowed = (Role.QUALITY, Role.WAREHOUSE)

    warehouse: WarehouseId
    zone: Zone = Zone.PENDING
    """Where the goods wait: pending, or returns."""
    quantity: Quantity
    passed: bool
    remark: Text | None = None

    def decide(  # noqa: PLR0913, PLR0917 - each is a part of what is decided about
        self,
        lot: Lot,
        id: LotId,
        warehouse: Warehouse,
        product: Product,
        by: str,
        at: datetime,
    ) -> LotInspected:
        verdict = Zone.QUALIFIED if self.passed else Zone.UNQUALIFIED
        if self.zone not in (Zone.PENDING, Zone.RETURNS):
            raise Refused(
                "lot.not_waiting",
                f"goods in the {self.zone.en} zone do not wait for inspection",
                f"{self.zone.zh}的货物无需检验",
            )
        warehouse.must_separate(verdict)
        here = Place(holder=self.warehouse, zone=self.zone)
        lot.must_have(here, self.quantity)
        accepted = (product.registration_gate(lot.made, day_in_china(at)),) if self.passed else ()
        return LotInspected(
            passed=self.passed,
            inspector=by,
            remark=self.remark,
            gates=must_pass(*accepted),
            moved=lot.stock(id, here, self.quantity).to(Place(holder=self.warehouse, zone=verdict)),
        )


class LotInspected(Event[Lot]):
    passed: bool
    inspector: str
    remark: str | None = None
    moved: Movement
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_moved(self.moved)


class TransferLot(Command[Lot]):
    """Carry free, qualified goods of a lot to another warehouse of ours."""

    allowed = (Role.WAREHOUSE,)

    warehouse: WarehouseId
    to: WarehouseId
    quantity: Quantity

    def decide(self, lot: Lot, id: LotId, to: Warehouse) -> LotTransferred | None:
        if self.warehouse == self.to:
            return None
        to.must_have(Zone.QUALIFIED)
        lot.must_have_free(self.warehouse, self.quantity)
        here = Place(holder=self.warehouse, zone=Zone.QUALIFIED)
        there = Place(holder=self.to, zone=Zone.QUALIFIED)
        return LotTransferred(moved=lot.stock(id, here, self.quantity).to(there))


class LotTransferred(Event[Lot]):
    moved: Movement

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_moved(self.moved)


class ReserveLot(Command[Lot]):
    """Set a quantity aside for an order (D5)."""

    allowed = ()

    order: OrderId
    warehouse: WarehouseId
    quantity: Quantity
    shelf_life: Days = 0
    """Days that must remain before it expires."""

    def decide(self, lot: Lot, id: LotId, at: datetime) -> LotReserved:
        lot.must_not_be_held()
        lot.must_not_be_expired(day_in_china(at) + timedelta(days=self.shelf_life))
        lot.must_have_free(self.warehouse, self.quantity)
        here = Place(holder=self.warehouse, zone=Zone.QUALIFIED)
        return LotReserved(order=self.order, stock=lot.stock(id, here, self.quantity))


class LotReserved(Event[Lot]):
    order: OrderId
    stock: Stock

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_reserved(self.order, self.stock, +self.stock.quantity)


class ReleaseLot(Command[Lot]):
    """Free a quantity that was set aside for an order."""

    allowed = ()

    order: OrderId
    warehouse: WarehouseId
    quantity: Quantity

    def decide(self, lot: Lot, id: LotId) -> LotReleased:
        lot.must_be_reserved(self.order, self.warehouse, self.quantity)
        here = Place(holder=self.warehouse, zone=Zone.QUALIFIED)
        return LotReleased(order=self.order, stock=lot.stock(id, here, self.quantity))


class LotReleased(Event[Lot]):
    order: OrderId
    stock: Stock

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_reserved(self.order, self.stock, -self.stock.quantity)


class ShipLot(Command[Lot]):
    """Send out a reserved quantity; a held or expired lot stays (U8, S7)."""

    allowed = ()

    shipment: ShipmentId
    order: OrderId
    customer: CustomerId
    warehouse: WarehouseId
    quantity: Quantity

    def decide(self, lot: Lot, id: LotId, product: Product, at: datetime) -> LotShipped:
        lot.must_not_be_held()
        lot.must_not_be_expired(day_in_china(at))
        product.must_be_registered_on(day_in_china(at))
        lot.must_be_reserved(self.order, self.warehouse, self.quantity)
        here = lot.stock(id, Place(holder=self.warehouse, zone=Zone.QUALIFIED), self.quantity)
        return LotShipped(
            order=self.order,
            customer=self.customer,
            gates=must_pass(product.registration_gate(lot.made, day_in_china(at))),
            reserved=here,
            moved=here.to(Place(holder=self.shipment)),
        )


class LotShipped(Event[Lot]):
    order: OrderId
    customer: CustomerId
    reserved: Stock
    """What had been set aside and now leaves."""
    moved: Movement
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, lot: Lot, /) -> Lot:
        left = lot.with_moved(self.moved)
        return left.with_reserved(self.order, self.reserved, -self.reserved.quantity)


class DeliverLot(Command[Lot]):
    """Hand over what a shipment carries of this lot."""

    allowed = ()

    shipment: ShipmentId
    order: OrderId
    customer: CustomerId
    quantity: Quantity

    def decide(self, lot: Lot, id: LotId) -> LotDelivered:
        here = Place(holder=self.shipment)
        lot.must_have(here, self.quantity)
        there = Place(holder=self.customer)
        return LotDelivered(order=self.order, moved=lot.stock(id, here, self.quantity).to(there))


class LotDelivered(Event[Lot]):
    order: OrderId
    moved: Movement

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_moved(self.moved)


class ReturnLot(Command[Lot]):
    """Take back a quantity from a customer into the returns zone, to be inspected (U9)."""

    allowed = ()

    order: OrderId
    customer: CustomerId
    warehouse: WarehouseId
    quantity: Quantity
    reason: Text

    def decide(self, lot: Lot, id: LotId, warehouse: Warehouse) -> LotReturned:
        warehouse.must_have(Zone.RETURNS)
        here = Place(holder=self.customer)
        lot.must_have(here, self.quantity)
        there = Place(holder=self.warehouse, zone=Zone.RETURNS)
        return LotReturned(
            order=self.order,
            reason=self.reason,
            moved=lot.stock(id, here, self.quantity).to(there),
        )


class LotReturned(Event[Lot]):
    order: OrderId
    reason: str
    moved: Movement

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_moved(self.moved)


class HoldLot(Command[Lot]):
    """Stop everything of a lot where it is: no reserving, shipping or installing until lifted."""

    allowed = (Role.QUALITY,)

    hold: Key = Field(examples=["Q-2026-7"])
    """The number of this hold; a lot may be held for several reasons at once."""
    reason: Text

    def decide(self, lot: Lot) -> LotHeld | None:
        if self.hold in lot.holds:
            return None
        return LotHeld(hold=self.hold, reason=self.reason)


class LotHeld(Event[Lot]):
    hold: str
    reason: str

    def apply(self, lot: Lot, /) -> Lot:
        return replace(lot, holds=lot.holds | {self.hold})


class LiftLotHold(Command[Lot]):
    """End one hold of a lot; the others remain."""

    allowed = (Role.QUALITY,)

    hold: Key
    reason: Text

    def decide(self, lot: Lot, at: datetime) -> LotHoldLifted | None:
        if self.hold not in lot.holds:
            return None
        if self.hold == EXPIRED:
            lot.must_not_be_expired(day_in_china(at))
        return LotHoldLifted(hold=self.hold, reason=self.reason)


class LotHoldLifted(Event[Lot]):
    hold: str
    reason: str

    def apply(self, lot: Lot, /) -> Lot:
        return replace(lot, holds=lot.holds - {self.hold})


class WatchLotExpiry(Command[Lot]):
    """Say that a lot is near its expiry; lock it when that has passed (LIC-6)."""

    allowed = ()

    def decide(self, lot: Lot, at: datetime) -> tuple[Event[Lot], ...] | None:
        day, expires = day_in_china(at), lot.expires
        if expires is None or EXPIRED in lot.holds:
            return None
        if expires.last_day < day:
            return LotExpired(expires=expires), LotHeld(hold=EXPIRED, reason=expired_on(expires))
        if lot.near_expiry or day < near_from(expires):
            return None
        return (LotNearExpiry(expires=expires),)


def expired_on(expires: PartialDate) -> str:
    return f"expired on {expires} 有效期至 {expires}"


class LotNearExpiry(Event[Lot]):
    expires: PartialDate

    def apply(self, lot: Lot, /) -> Lot:
        return replace(lot, near_expiry=True)


class LotExpired(Event[Lot]):
    expires: PartialDate


class ScrapLot(Command[Lot]):
    """Destroy a quantity that stands in a warehouse of ours."""

    allowed = (Role.QUALITY,)

    warehouse: WarehouseId
    zone: Zone
    quantity: Quantity
    reason: Text

    def decide(self, lot: Lot, id: LotId) -> LotScrapped:
        here = Place(holder=self.warehouse, zone=self.zone)
        lot.must_have(here, self.quantity)
        if self.zone is Zone.QUALIFIED:
            lot.must_have_free(self.warehouse, self.quantity)
        return LotScrapped(reason=self.reason, moved=lot.stock(id, here, self.quantity).to(None))


class LotScrapped(Event[Lot]):
    reason: str
    moved: Movement

    def apply(self, lot: Lot, /) -> Lot:
        return lot.with_moved(self.moved)
