"""A device unit: one serial number, from goods-in to the end of its life.

Four things about it change independently (rules 7): how far its life has come, on what terms it
stands where it stands, whether it is fit for use, and who owns and who holds it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated

from pydantic import Field

from medsales.domain.governance.licence import (
    GateEvaluated,
    LicenceFile,
    buyer_gate,
    must_pass,
    seller_gate,
)
from medsales.domain.governance.licence_file import OWN, file_of
from medsales.domain.ids import (
    CustomerId,
    DeviceUnitId,
    LicenceFileId,
    LotId,
    OrderId,
    ProductId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.kernel import Aggregate, Also, Command, Event, Refused, Role, Term, Text, Value
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.lot import (
    EXPIRED,
    Lot,
    OpenLot,
    expired_on,
    must_be_keys,
    near_from,
    supplied_by,
)
from medsales.domain.stock.movement import Movement, Place, Stock
from medsales.domain.stock.product import Product, TrackedBy
from medsales.domain.stock.warehouse import Warehouse, Zone
from medsales.domain.udi import ScannedUdi, Udi
from medsales.domain.values import Days, Evidence, PartialDate, day_in_china, months_after


class Lifecycle(Term):
    REGISTERED = "registered", "未入库"
    IN_STOCK = "in_stock", "在库"
    RESERVED = "reserved", "已预占"
    IN_TRANSIT = "in_transit", "在途"
    AT_SITE = "at_site", "在客户处"
    INSTALLED = "installed", "已安装"
    IN_SERVICE = "in_service", "使用中"
    UNDER_REPAIR = "under_repair", "维修中"
    RETURNING = "returning", "退回途中"
    CONSUMED = "consumed", "已使用"
    SCRAPPED = "scrapped", "已报废"
    RENUMBERED = "renumbered", "编号已更正"


class Placement(Term):
    """On what terms a unit stands where it stands."""

    STOCK = "stock", "库存"
    DEMO = "demo", "样机"
    LOAN = "loan", "借用"
    CONSIGNMENT = "consignment", "寄售"
    RENTAL = "rental", "租赁"
    SOLD = "sold", "已售"


class Quality(Term):
    QUARANTINE = "quarantine", "待验"
    RELEASED = "released", "合格"
    NONCONFORMING = "nonconforming", "不合格"


ZONE_FOR = {
    Quality.QUARANTINE: Zone.PENDING,
    Quality.RELEASED: Zone.QUALIFIED,
    Quality.NONCONFORMING: Zone.UNQUALIFIED,
}


class Terms(Value):
    """On what terms a unit stands at a customer; a part stands there on those of its system."""

    placement: Placement
    owner: CustomerId | None = None
    """None while it is ours."""
    warranty_until: date | None = None


PLACED = {Placement.DEMO, Placement.LOAN, Placement.RENTAL, Placement.CONSIGNMENT}
USED_BY = {Placement.DEMO, Placement.LOAN, Placement.RENTAL}
TERMINAL = {Lifecycle.CONSUMED, Lifecycle.SCRAPPED, Lifecycle.RENUMBERED}
IN_USE = {Lifecycle.INSTALLED, Lifecycle.IN_SERVICE}
WITH_CUSTOMER = {Lifecycle.AT_SITE, *IN_USE}
Months = Annotated[int, Field(ge=0, le=240, examples=[24])]


@dataclass(frozen=True)
class DeviceUnit(Aggregate):
    corrected_to: DeviceUnitId | None = None
    lifecycle: Lifecycle = Lifecycle.REGISTERED
    placement: Placement = Placement.STOCK
    quality: Quality = Quality.QUARANTINE
    owner: CustomerId | None = None
    """None while it is ours."""
    place: Place | None = None
    product: ProductId | None = None
    lot: LotId | None = None
    order: OrderId | None = None
    """The order it is reserved for, shipped or sold under."""
    destination: WarehouseId | None = None
    expires: PartialDate | None = None
    made: PartialDate | None = None
    near_expiry: bool = False
    holds: frozenset[str] = frozenset()
    used: bool = False
    due_back: date | None = None
    overdue: bool = False
    agreement: str | None = None
    warranty_until: date | None = None
    before_repair: Lifecycle = Lifecycle.IN_SERVICE
    parent: DeviceUnitId | None = None
    parts: frozenset[DeviceUnitId] = frozenset()

    @property
    def stock(self) -> Stock:
        assert self.product is not None, "the engine asks existing units only"
        assert self.place is not None, "a unit that was received is somewhere (U2)"
        return Stock(product=self.product, lot=self.lot, place=self.place)

    @property
    def warehouse(self) -> WarehouseId | None:
        """The one it stands in."""
        holder = self.place.holder if self.place else None
        return holder if isinstance(holder, WarehouseId) else None

    @property
    def terms(self) -> Terms:
        return Terms(
            placement=self.placement,
            owner=self.owner,
            warranty_until=self.warranty_until,
        )

    @property
    def customer(self) -> CustomerId:
        return self.stock.place.customer()

    def must_be(self, *stages: Lifecycle) -> None:
        if self.lifecycle not in stages:
            raise Refused(
                "unit.wrong_stage",
                f"the unit is {self.lifecycle.en}, not {' or '.join(s.en for s in stages)}",
                f"该器械{self.lifecycle.zh}, 而非{'或'.join(s.zh for s in stages)}",
            )

    def must_be_alive(self) -> None:
        """U10: terminal states accept only corrections."""
        if self.lifecycle in TERMINAL:
            raise Refused(
                "unit.ended",
                f"the unit is {self.lifecycle.en}; nothing more can happen to it",
                f"该器械{self.lifecycle.zh}, 不能再变动",
            )

    def must_be_usable(self, lot: Lot | None) -> None:
        """U8: what is held, not yet inspected or has failed is not reserved, shipped or used."""
        if self.holds:
            reasons = ", ".join(sorted(self.holds))
            raise Refused(
                "unit.held", f"the unit is on hold: {reasons}", f"该器械已被暂停使用: {reasons}"
            )
        if self.quality is not Quality.RELEASED:
            raise Refused(
                "unit.not_released",
                f"the unit is in {self.quality.en}, not released",
                f"该器械质量状态为{self.quality.zh}, 未放行",
            )
        if lot is not None:
            lot.must_not_be_held()

    def must_not_have_failed(self) -> None:
        """ISO 13485, 8.3: a failed unit is disposed of; no second inspection makes it good."""
        if self.quality is Quality.NONCONFORMING:
            raise Refused(
                "unit.nonconforming",
                "the unit has failed inspection; it is disposed of, not inspected again",
                "该器械检验不合格, 须按不合格品处置, 不得重新检验放行",
            )

    def must_not_be_expired(self, day: date) -> None:
        """D5, GSP art. 87."""
        if self.expires is not None and self.expires.last_day < day:
            raise Refused(
                "unit.expired",
                f"the unit expires on {self.expires}, before {day}",
                f"该器械有效期至 {self.expires}, 早于 {day}",
            )

    def must_be_disclosed_as_used(self, disclosed: bool) -> None:
        """U5."""
        if self.used and not disclosed:
            raise Refused(
                "unit.used",
                "the unit has been used for demonstration or on loan; the sale must say so",
                "该器械曾作样机或借用, 销售时须告知客户",
            )

    def must_be_on_consignment(self) -> None:
        """U6."""
        self.must_be(Lifecycle.AT_SITE)
        if self.placement is not Placement.CONSIGNMENT:
            raise Refused(
                "unit.not_consigned",
                f"the unit stands there on {self.placement.en}, not on consignment",
                f"该器械为{self.placement.zh}, 并非寄售",
            )

    def must_belong_to(self, order: OrderId) -> None:
        if self.order != order:
            raise Refused(
                "unit.other_order",
                f"the unit belongs to {self.order or 'no order'}, not to {order}",
                f"该器械属于{self.order or '无订单'}, 而非 {order}",
            )

    def must_be_a_single_part(self) -> None:
        """U12: what is fitted is in no other system and has no parts, so systems form a tree."""
        if self.parent is not None or self.parts:
            raise Refused(
                "unit.not_a_single_part",
                "the part belongs to another system or has parts of its own",
                "该部件已属于其他系统或自带部件",
            )

    def must_be_a_part_of(self, system: DeviceUnitId | None) -> None:
        """U12: a part goes where its system goes; only a swap takes it out. None: of no system."""
        if self.parent != system:
            raise Refused(
                "unit.part_of_system",
                f"the unit is a part of {self.parent or 'no system'}, not of {system or 'none'}",
                f"该器械是 {self.parent or '独立器械'} 的部件, 而非 {system or '独立器械'}",
            )

    def parts_taken_out(self, id: DeviceUnitId) -> tuple[Also, ...]:
        """U2, U12: when a system leaves, its parts go back to us, each under its own number."""
        return tuple(Also(part, TakeOutPart(system=id)) for part in sorted(self.parts))


# Goods in -----------------------------------------------------------------------------------------


class ReceiveUnit(Command[DeviceUnit]):
    """Take a unit into a warehouse, to be inspected; its audit trail begins."""

    allowed = (Role.WAREHOUSE,)

    udi: ScannedUdi
    """What the scanner sent."""
    product: ProductId
    warehouse: WarehouseId
    supplier: Text | None = None
    supplier_file: LicenceFileId | None = None
    """The file of the supplier: where it is given, supplier and product must be approved."""

    def begins(self) -> DeviceUnitId:
        """By the product's own identifier, whichever of its labels was scanned."""
        if not self.udi.di or not self.udi.serial:
            raise Refused(
                "unit.serial_missing", "the label has no serial number", "标签上没有序列号"
            )
        must_be_keys(self.udi.di, self.udi.serial, self.udi.lot)
        return DeviceUnitId.of(self.product.key, self.udi.serial)

    @property
    def lot(self) -> LotId | None:
        return LotId.of(self.product.key, self.udi.lot) if self.udi.lot else None

    def decide(  # noqa: PLR0913, PLR0917 - each is a part of what is decided about
        self,
        unit: DeviceUnit,
        product: Product,
        warehouse: Warehouse,
        lot: Lot | None,
        supplier_file: LicenceFile | None,
        at: datetime,
    ) -> tuple[Event[DeviceUnit] | Also, ...]:
        if unit != DeviceUnit():
            raise Refused(
                "unit.already_received",
                "a unit with this serial number has been received before",
                "该序列号的器械已入库",
            )
        product.must_be_tracked_by(TrackedBy.SERIAL)
        product.must_label_one_piece(self.udi.di)
        product.must_be_registered_when_made(self.udi.manufactured)
        warehouse.must_have(Zone.PENDING)
        received = UnitReceived(
            udi=self.udi,
            supplier=self.supplier,
            supplier_file=self.supplier_file,
            gates=supplied_by(self.supplier_file, supplier_file, product, at),
            moved=Movement(
                product=self.product,
                lot=self.lot,
                destination=Place(holder=self.warehouse, zone=Zone.PENDING),
            ),
        )
        return received, *self._lot_opened(), *self._held_with(lot)

    def _lot_opened(self) -> tuple[Also, ...]:
        if self.lot is None:
            return ()
        return (Also(self.lot, OpenLot(udi=self.udi, product=self.product)),)

    def _held_with(self, lot: Lot | None) -> tuple[UnitHeld, ...]:
        """A unit of a held lot is held from its first moment."""
        holds = sorted(lot.marks) if lot else ()
        return tuple(UnitHeld(hold=hold, reason="the lot is on hold") for hold in holds)


class UnitReceived(Event[DeviceUnit]):
    udi: Udi
    supplier: str | None = None
    moved: Movement
    supplier_file: LicenceFileId | None = None
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(
            unit,
            lifecycle=Lifecycle.IN_STOCK,
            product=self.moved.product,
            lot=self.moved.lot,
            place=self.moved.destination,
            expires=self.udi.expires,
            made=self.udi.manufactured,
        )


class InspectUnit(Command[DeviceUnit]):
    """Inspect a unit that was received or came back: release it, or set it apart (U9)."""

    allowed = (Role.QUALITY, Role.WAREHOUSE)

    passed: bool
    remark: Text | None = None

    @property
    def verdict(self) -> Quality:
        return Quality.RELEASED if self.passed else Quality.NONCONFORMING

    def decide(
        self, unit: DeviceUnit, warehouse: Warehouse | None, product: Product, by: str, at: datetime
    ) -> UnitInspected | None:
        unit.must_be(Lifecycle.IN_STOCK)
        if unit.quality is self.verdict:
            return None
        unit.must_not_have_failed()
        here = unit.stock
        assert warehouse is not None, "what is in stock is in a warehouse"
        zone = Zone.QUALIFIED if self.passed else Zone.UNQUALIFIED
        warehouse.must_separate(zone)
        accepted = (product.registration_gate(unit.made, day_in_china(at)),) if self.passed else ()
        return UnitInspected(
            quality=self.verdict,
            inspector=by,
            remark=self.remark,
            gates=must_pass(*accepted),
            moved=here.to(Place(holder=here.place.holder, zone=zone)),
        )


class UnitInspected(Event[DeviceUnit]):
    quality: Quality
    inspector: str
    remark: str | None = None
    moved: Movement
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, quality=self.quality, place=self.moved.destination)


# On its way to a customer -------------------------------------------------------------------------


class ReserveUnit(Command[DeviceUnit]):
    """Set a unit aside for an order (D5)."""

    allowed = ()

    order: OrderId
    customer: CustomerId
    used_disclosed: bool = False
    shelf_life: Days = 0
    """Days that must remain before it expires."""

    def decide(self, unit: DeviceUnit, lot: Lot | None, at: datetime) -> UnitReserved | None:
        if unit.lifecycle is Lifecycle.RESERVED and unit.order == self.order:
            return None
        unit.must_be(Lifecycle.IN_STOCK)
        unit.must_be_usable(lot)
        unit.must_not_be_expired(day_in_china(at) + timedelta(days=self.shelf_life))
        unit.must_be_disclosed_as_used(self.used_disclosed)
        return UnitReserved(
            order=self.order,
            customer=self.customer,
            disclosed_as_used=unit.used,
            stock=unit.stock,
        )


class UnitReserved(Event[DeviceUnit]):
    order: OrderId
    customer: CustomerId
    disclosed_as_used: bool = False
    stock: Stock

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.RESERVED, order=self.order)


class ReleaseUnit(Command[DeviceUnit]):
    """Free a unit that was set aside for an order."""

    allowed = ()

    order: OrderId

    def decide(self, unit: DeviceUnit) -> UnitReleased | None:
        if unit.lifecycle is Lifecycle.IN_STOCK:
            return None
        unit.must_be(Lifecycle.RESERVED)
        unit.must_belong_to(self.order)
        return UnitReleased(order=self.order, stock=unit.stock)


class UnitReleased(Event[DeviceUnit]):
    order: OrderId
    stock: Stock

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.IN_STOCK, order=None)


class TransferUnit(Command[DeviceUnit]):
    """Send a unit to another warehouse of ours."""

    allowed = (Role.WAREHOUSE,)

    to: WarehouseId

    def decide(self, unit: DeviceUnit, to: Warehouse) -> UnitTransferred | None:
        if unit.lifecycle is Lifecycle.IN_TRANSIT and unit.destination == self.to:
            return None
        unit.must_be(Lifecycle.IN_STOCK)
        here = unit.stock
        if here.place.holder == self.to:
            return None
        to.must_have(ZONE_FOR[unit.quality])
        # On the way it stays in the care of the warehouse that sent it (U2).
        on_the_way = Place(holder=here.place.holder)
        return UnitTransferred(target=self.to, moved=here.to(on_the_way))


class UnitTransferred(Event[DeviceUnit]):
    target: WarehouseId
    moved: Movement

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(
            unit,
            lifecycle=Lifecycle.IN_TRANSIT,
            place=self.moved.destination,
            destination=self.target,
        )


class ArriveUnit(Command[DeviceUnit]):
    """Take in a unit that another warehouse sent."""

    allowed = (Role.WAREHOUSE,)

    warehouse: WarehouseId

    def decide(self, unit: DeviceUnit) -> UnitArrived | None:
        if unit.lifecycle is Lifecycle.IN_STOCK and unit.stock.place.holder == self.warehouse:
            return None
        unit.must_be(Lifecycle.IN_TRANSIT)
        here = unit.stock
        if unit.destination != self.warehouse:
            towards = unit.destination or here.place.holder
            raise Refused(
                "unit.other_destination",
                f"the unit is on its way to {towards}",
                f"该器械正运往 {towards}",
            )
        there = Place(holder=self.warehouse, zone=ZONE_FOR[unit.quality])
        return UnitArrived(moved=here.to(there))


class UnitArrived(Event[DeviceUnit]):
    moved: Movement

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(
            unit,
            lifecycle=Lifecycle.IN_STOCK,
            place=self.moved.destination,
            destination=None,
        )


class ShipUnit(Command[DeviceUnit]):
    """Send a reserved unit out; what is held, expired or unregistered stays (U8, S7, D6)."""

    allowed = ()

    shipment: ShipmentId
    order: OrderId
    customer: CustomerId

    def decide(
        self, unit: DeviceUnit, product: Product, lot: Lot | None, at: datetime
    ) -> UnitShipped:
        unit.must_be(Lifecycle.RESERVED)
        unit.must_belong_to(self.order)
        unit.must_be_usable(lot)
        unit.must_not_be_expired(day_in_china(at))
        product.must_be_registered_on(day_in_china(at))
        return UnitShipped(
            shipment=self.shipment,
            order=self.order,
            customer=self.customer,
            gates=must_pass(product.registration_gate(unit.made, day_in_china(at))),
            moved=unit.stock.to(Place(holder=self.shipment)),
        )


class UnitShipped(Event[DeviceUnit]):
    shipment: ShipmentId
    order: OrderId
    customer: CustomerId
    moved: Movement
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.IN_TRANSIT, place=self.moved.destination)


class DeliverUnit(Command[DeviceUnit]):
    """Hand a shipped unit over to the customer, who owns it from then on."""

    allowed = ()

    shipment: ShipmentId
    customer: CustomerId

    def decide(self, unit: DeviceUnit) -> UnitDelivered | None:
        if unit.placement is Placement.SOLD and unit.customer == self.customer:
            return None
        unit.must_be(Lifecycle.IN_TRANSIT)
        here = unit.stock
        if here.place.holder != self.shipment:
            raise Refused(
                "unit.other_shipment",
                f"the unit travels with {here.place.holder}, not with {self.shipment}",
                f"该器械随 {here.place.holder} 运输, 而非 {self.shipment}",
            )
        return UnitDelivered(
            shipment=self.shipment,
            customer=self.customer,
            moved=here.to(Place(holder=self.customer)),
        )


class UnitDelivered(Event[DeviceUnit]):
    shipment: ShipmentId
    customer: CustomerId
    moved: Movement

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(
            unit,
            lifecycle=Lifecycle.AT_SITE,
            placement=Placement.SOLD,
            place=self.moved.destination,
            owner=self.customer,
        )


# With a customer, but not sold --------------------------------------------------------------------


class PlaceUnit(Command[DeviceUnit]):
    """Leave a unit with a customer without selling it: demo, loan, rental, consignment (U3, U4).

    What is consigned is sold by its use, which nobody can refuse: licences are looked at here.
    """

    allowed = (Role.SALES, Role.WAREHOUSE)

    placement: Placement
    customer: CustomerId
    agreement: Text
    """The number of the agreement; there is none without (U4)."""
    due_back: date

    def buyer_file(self) -> LicenceFileId:
        return file_of(self.customer)

    def own_file(self) -> LicenceFileId:
        return OWN

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        unit: DeviceUnit,
        product: Product,
        customer: Customer,
        lot: Lot | None,
        buyer_file: LicenceFile | None,
        own_file: LicenceFile | None,
        at: datetime,
    ) -> UnitPlaced | None:
        there = Place(holder=self.customer)
        known = (unit.placement, unit.place, unit.agreement, unit.due_back)
        wanted = (self.placement, there, self.agreement, self.due_back)
        if known == wanted and unit.lifecycle in WITH_CUSTOMER:
            return None
        if self.placement not in PLACED:
            raise Refused(
                "placement.not_one",
                f"{self.placement.en} is not a way to leave a unit with a customer",
                f"{self.placement.zh}不是可用的放置方式",
            )
        unit.must_be(Lifecycle.IN_STOCK)
        unit.must_be_usable(lot)
        unit.must_not_be_expired(day_in_china(at))
        product.must_be_registered_on(day_in_china(at))
        customer.must_be_served()
        if self.due_back < day_in_china(at):
            raise Refused(
                "placement.due_before_it_begins",
                f"the unit would be due back on {self.due_back}, before it is placed",
                f"归还日 {self.due_back} 早于放置日",
            )
        return UnitPlaced(
            placement=self.placement,
            customer=self.customer,
            agreement=self.agreement,
            due_back=self.due_back,
            moved=unit.stock.to(there),
            gates=self._gates(customer, product, buyer_file, own_file, day_in_china(at)),
        )

    def _gates(
        self,
        customer: Customer,
        product: Product,
        buyer_file: LicenceFile | None,
        own_file: LicenceFile | None,
        on: date,
    ) -> tuple[GateEvaluated, ...]:
        """LIC-3, LIC-4."""
        if self.placement is not Placement.CONSIGNMENT:
            return ()
        goods = (product.gated,)
        return must_pass(
            buyer_gate(buyer_file, customer, goods, on), seller_gate(own_file, goods, on)
        )


class UnitPlaced(Event[DeviceUnit]):
    placement: Placement
    customer: CustomerId
    agreement: str
    due_back: date
    moved: Movement
    gates: tuple[GateEvaluated, ...] = ()
    """Of what is consigned: LIC-3 and LIC-4, with what they saw."""

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(
            unit,
            lifecycle=Lifecycle.AT_SITE,
            placement=self.placement,
            place=self.moved.destination,
            due_back=self.due_back,
            overdue=False,
            agreement=self.agreement,
            used=unit.used or self.placement in USED_BY,
        )


class ExtendPlacement(Command[DeviceUnit]):
    """Leave a placed unit with the customer for longer (U4)."""

    allowed = (Role.SALES, Role.MANAGER)

    due_back: date
    reason: Text

    def decide(self, unit: DeviceUnit) -> PlacementExtended | None:
        unit.must_be(*WITH_CUSTOMER)
        if unit.due_back is None:
            raise Refused("placement.none", "the unit is not placed", "该器械未作放置")
        if self.due_back == unit.due_back:
            return None
        return PlacementExtended(
            due_back=self.due_back, due_back_before=unit.due_back, reason=self.reason
        )


class PlacementExtended(Event[DeviceUnit]):
    due_back: date
    due_back_before: date
    reason: str

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, due_back=self.due_back, overdue=False)


class MarkOverdue(Command[DeviceUnit]):
    """Note that the day has passed on which a placed unit was due back (U4)."""

    allowed = ()

    due_back: date
    """The day that has passed; if the unit has another one by now, or is back, nothing happens."""

    def decide(self, unit: DeviceUnit) -> PlacementOverdue | None:
        waited_for = unit.lifecycle in {*WITH_CUSTOMER, Lifecycle.UNDER_REPAIR}
        if unit.overdue or unit.due_back != self.due_back or not waited_for:
            return None
        return PlacementOverdue(
            customer=unit.customer, agreement=unit.agreement, due_back=self.due_back
        )


class PlacementOverdue(Event[DeviceUnit]):
    customer: CustomerId
    agreement: str | None = None
    due_back: date

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, overdue=True)


class SellPlacedUnit(Command[DeviceUnit]):
    """Let the customer keep a placed unit: it is sold where it stands (U5, U6)."""

    allowed = ()

    order: OrderId
    customer: CustomerId
    used_disclosed: bool = False
    system: DeviceUnitId | None = None
    """The system that takes the unit along as a part; a part is not sold apart from it."""

    def decide(
        self,
        unit: DeviceUnit,
        id: DeviceUnitId,
        product: Product,
        lot: Lot | None,
        at: datetime,
    ) -> tuple[PlacedUnitSold | Also, ...]:
        unit.must_be(*WITH_CUSTOMER)
        unit.must_be_a_part_of(self.system)
        if unit.placement not in PLACED or unit.customer != self.customer:
            raise Refused(
                "placement.none",
                f"the unit is not placed with {self.customer}",
                f"该器械未放置在 {self.customer}",
            )
        unit.must_be_usable(lot)
        unit.must_not_be_expired(day_in_china(at))
        unit.must_be_disclosed_as_used(self.used_disclosed)
        product.must_be_registered_on(day_in_china(at))
        sold = PlacedUnitSold(
            order=self.order,
            customer=self.customer,
            placement_before=unit.placement,
            disclosed_as_used=unit.used,
            gates=must_pass(product.registration_gate(unit.made, day_in_china(at))),
            stock=unit.stock,
        )
        with_it = self.model_copy(update={"system": id})
        return sold, *(Also(part, with_it) for part in sorted(unit.parts))


class PlacedUnitSold(Event[DeviceUnit]):
    order: OrderId
    customer: CustomerId
    placement_before: Placement
    disclosed_as_used: bool
    stock: Stock
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(
            unit,
            placement=Placement.SOLD,
            owner=self.customer,
            order=self.order,
            due_back=None,
            overdue=False,
        )


# In use -------------------------------------------------------------------------------------------


class InstallUnit(Command[DeviceUnit]):
    """Install a unit in a department of the customer who has it."""

    allowed = (Role.TECHNICIAN,)

    department: Text
    checklist: Evidence | None = None

    def decide(self, unit: DeviceUnit, lot: Lot | None, by: str, at: datetime) -> UnitInstalled:
        unit.must_be(Lifecycle.AT_SITE)
        unit.must_be_usable(lot)
        unit.must_not_be_expired(day_in_china(at))
        return UnitInstalled(
            customer=unit.customer,
            department=self.department,
            engineer=by,
            checklist=self.checklist,
        )


class UnitInstalled(Event[DeviceUnit]):
    customer: CustomerId
    department: str
    engineer: str
    checklist: Evidence | None = None

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.INSTALLED)


class AcceptInstallation(Command[DeviceUnit]):
    """Record that the customer accepted the installed unit; the warranty begins (U7)."""

    allowed = (Role.TECHNICIAN, Role.SALES)

    accepted_by: Text
    """Who signed for the customer."""
    warranty_months: Months
    evidence: Evidence | None = None

    def decide(self, unit: DeviceUnit, at: datetime) -> InstallationAccepted | None:
        if unit.lifecycle is Lifecycle.IN_SERVICE:
            return None
        unit.must_be(Lifecycle.INSTALLED)
        return InstallationAccepted(
            customer=unit.customer,
            accepted_by=self.accepted_by,
            # Only the first acceptance starts it: moving a unit does not make it younger.
            warranty_until=unit.warranty_until
            or months_after(day_in_china(at), self.warranty_months),
            evidence=self.evidence,
        )


class InstallationAccepted(Event[DeviceUnit]):
    customer: CustomerId
    accepted_by: str
    warranty_until: date
    evidence: Evidence | None = None

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.IN_SERVICE, warranty_until=self.warranty_until)


class UninstallUnit(Command[DeviceUnit]):
    """Take an installed unit out of use; it stays with the customer."""

    allowed = (Role.TECHNICIAN,)

    reason: Text

    def decide(self, unit: DeviceUnit) -> UnitUninstalled | None:
        if unit.lifecycle is Lifecycle.AT_SITE:
            return None
        unit.must_be(*IN_USE)
        unit.must_be_a_part_of(None)
        return UnitUninstalled(customer=unit.customer, reason=self.reason)


class UnitUninstalled(Event[DeviceUnit]):
    customer: CustomerId
    reason: str

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.AT_SITE)


class ConsumeUnit(Command[DeviceUnit]):
    """Record that the customer used up or implanted a unit; a consigned one is sold first (U6)."""

    allowed = (Role.TECHNICIAN, Role.SALES)

    reference: Text
    """The customer's own reference; no name of a patient."""

    def decide(
        self, unit: DeviceUnit, id: DeviceUnitId, lot: Lot | None, at: datetime
    ) -> tuple[UnitConsumed | Also, ...] | None:
        if unit.lifecycle is Lifecycle.CONSUMED:
            return None
        unit.must_be(Lifecycle.AT_SITE)
        unit.must_be_a_part_of(None)
        unit.must_be_usable(lot)
        unit.must_not_be_expired(day_in_china(at))
        if unit.owner is None:
            raise Refused(
                "unit.still_ours",
                "the unit is still ours; an order sells it before it is used up",
                "该器械仍属我方, 须先由订单售出再登记使用",
            )
        consumed = UnitConsumed(customer=unit.customer, reference=self.reference)
        return consumed, *unit.parts_taken_out(id)


class UnitConsumed(Event[DeviceUnit]):
    customer: CustomerId
    reference: str

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.CONSUMED, parts=frozenset())


# On hold ------------------------------------------------------------------------------------------


class HoldUnit(Command[DeviceUnit]):
    """Stop a unit wherever it is, until the hold is lifted; the same hold twice adds nothing."""

    allowed = (Role.QUALITY,)

    hold: Text = Field(examples=["Q-2026-7"])
    """The number of this hold; a unit may be held for several reasons at once."""
    reason: Text

    def decide(self, unit: DeviceUnit) -> UnitHeld | None:
        unit.must_be_alive()
        return None if self.hold in unit.holds else UnitHeld(hold=self.hold, reason=self.reason)


class UnitHeld(Event[DeviceUnit]):
    hold: str
    reason: str

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, holds=unit.holds | {self.hold})


class LiftUnitHold(Command[DeviceUnit]):
    """End one hold of a unit; the others remain."""

    allowed = (Role.QUALITY,)

    hold: Text
    reason: Text

    def decide(self, unit: DeviceUnit, lot: Lot | None, at: datetime) -> UnitHoldLifted | None:
        if self.hold not in unit.holds:
            return None
        unit.must_be_alive()
        if self.hold == EXPIRED:
            unit.must_not_be_expired(day_in_china(at))
        if lot is not None and self.hold in lot.marks:
            raise Refused(
                "unit.held_with_its_lot",
                f"the whole lot is on hold for {self.hold}; lift it there",
                f"整批因 {self.hold} 暂停使用, 请在批次上解除",
            )
        return UnitHoldLifted(hold=self.hold, reason=self.reason)


class UnitHoldLifted(Event[DeviceUnit]):
    hold: str
    reason: str

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, holds=unit.holds - {self.hold})


class WatchUnitExpiry(Command[DeviceUnit]):
    """Say that a unit without a lot is near its expiry; lock it when that has passed (LIC-6)."""

    allowed = ()

    def decide(self, unit: DeviceUnit, at: datetime) -> tuple[Event[DeviceUnit], ...] | None:
        day, expires = day_in_china(at), unit.expires
        if expires is None or EXPIRED in unit.holds or unit.lifecycle in TERMINAL:
            return None
        if expires.last_day < day:
            return UnitExpired(expires=expires), UnitHeld(hold=EXPIRED, reason=expired_on(expires))
        if unit.near_expiry or day < near_from(expires):
            return None
        return (UnitNearExpiry(expires=expires),)


class UnitNearExpiry(Event[DeviceUnit]):
    expires: PartialDate

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, near_expiry=True)


class UnitExpired(Event[DeviceUnit]):
    expires: PartialDate


# Coming back --------------------------------------------------------------------------------------


class ReturnUnit(Command[DeviceUnit]):
    """Let a customer send a delivered unit back (D7)."""

    allowed = ()

    order: OrderId
    reason: Text

    def decide(self, unit: DeviceUnit, id: DeviceUnitId) -> tuple[UnitReturned | Also, ...]:
        unit.must_be(Lifecycle.AT_SITE)
        unit.must_be_a_part_of(None)
        unit.must_belong_to(self.order)
        returned = UnitReturned(customer=unit.customer, order=self.order, reason=self.reason)
        return returned, *unit.parts_taken_out(id)


class CollectUnit(Command[DeviceUnit]):
    """Fetch back a unit that was placed with a customer; the placement ends (U3)."""

    allowed = (Role.SALES, Role.WAREHOUSE, Role.TECHNICIAN)

    reason: Text

    def decide(self, unit: DeviceUnit, id: DeviceUnitId) -> tuple[UnitReturned | Also, ...] | None:
        if unit.lifecycle is Lifecycle.RETURNING:
            return None
        unit.must_be(Lifecycle.AT_SITE)
        unit.must_be_a_part_of(None)
        if unit.placement is Placement.SOLD:
            raise Refused(
                "unit.sold",
                "the unit is sold; it comes back as a return under its order",
                "该器械已售出, 须按订单办理退货",
            )
        returned = UnitReturned(customer=unit.customer, reason=self.reason)
        return returned, *unit.parts_taken_out(id)


class UnitReturned(Event[DeviceUnit]):
    customer: CustomerId
    order: OrderId | None = None
    reason: str

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.RETURNING, parts=frozenset())


class TakeBackUnit(Command[DeviceUnit]):
    """Take a returning unit into a warehouse; it is ours again and must be inspected (U9)."""

    allowed = (Role.WAREHOUSE,)

    warehouse: WarehouseId

    def decide(self, unit: DeviceUnit, warehouse: Warehouse) -> UnitTakenBack:
        unit.must_be(Lifecycle.RETURNING)
        warehouse.must_have(Zone.RETURNS)
        there = Place(holder=self.warehouse, zone=Zone.RETURNS)
        return UnitTakenBack(
            customer=unit.customer,
            placement_before=unit.placement,
            moved=unit.stock.to(there),
        )


class UnitTakenBack(Event[DeviceUnit]):
    customer: CustomerId
    placement_before: Placement
    moved: Movement

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(
            unit,
            lifecycle=Lifecycle.IN_STOCK,
            placement=Placement.STOCK,
            quality=Quality.QUARANTINE,
            owner=None,
            place=self.moved.destination,
            order=None,
            due_back=None,
            overdue=False,
            used=unit.used or self.placement_before is not Placement.CONSIGNMENT,
        )


# Repairs and parts --------------------------------------------------------------------------------


class OpenRepair(Command[DeviceUnit]):
    """Take a unit out of service to repair it."""

    allowed = (Role.TECHNICIAN,)

    fault: Text

    def decide(self, unit: DeviceUnit) -> RepairOpened | None:
        if unit.lifecycle is Lifecycle.UNDER_REPAIR:
            return None
        unit.must_be(*IN_USE)
        return RepairOpened(fault=self.fault)


class RepairOpened(Event[DeviceUnit]):
    fault: str

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.UNDER_REPAIR, before_repair=unit.lifecycle)


class CompleteRepair(Command[DeviceUnit]):
    """Put a repaired unit back to use; its warranty goes on as before (U7)."""

    allowed = (Role.TECHNICIAN,)

    work: Text
    evidence: Evidence | None = None

    def decide(self, unit: DeviceUnit, by: str) -> RepairCompleted:
        unit.must_be(Lifecycle.UNDER_REPAIR)
        return RepairCompleted(
            work=self.work, engineer=by, state=unit.before_repair, evidence=self.evidence
        )


class RepairCompleted(Event[DeviceUnit]):
    work: str
    engineer: str
    state: Lifecycle
    """In use as before the repair."""
    evidence: Evidence | None = None

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=self.state)


class ReplacePart(Command[DeviceUnit]):
    """Fit a part with a serial number of its own, and take out the one it replaces (U12)."""

    allowed = (Role.TECHNICIAN,)

    fitted: DeviceUnitId
    removed: DeviceUnitId | None = None
    used_disclosed: bool = False
    """The customer knows that the part has been used before (U5)."""

    def decide(self, unit: DeviceUnit, id: DeviceUnitId) -> tuple[PartReplaced | Also, ...]:
        unit.must_be(Lifecycle.AT_SITE, Lifecycle.UNDER_REPAIR, *IN_USE)
        if self.removed is not None and self.removed not in unit.parts:
            raise Refused(
                "unit.part_not_fitted",
                f"{self.removed} is not a part of this unit",
                f"{self.removed} 不是该器械的部件",
            )
        swap = PartReplaced(fitted=self.fitted, removed=self.removed)
        fit = FitPart(
            system=id,
            customer=unit.customer,
            terms=unit.terms,
            used_disclosed=self.used_disclosed,
        )
        take_out = self.removed and Also(self.removed, TakeOutPart(system=id))
        fitted = Also(self.fitted, fit)
        return (swap, fitted, take_out) if take_out else (swap, fitted)


class PartReplaced(Event[DeviceUnit]):
    fitted: DeviceUnitId
    removed: DeviceUnitId | None = None

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, parts=(unit.parts - {self.removed}) | {self.fitted})


class FitPart(Command[DeviceUnit]):
    """Become a part of a system at a customer."""

    allowed = ()

    system: DeviceUnitId
    customer: CustomerId
    terms: Terms
    used_disclosed: bool = False

    def decide(
        self, unit: DeviceUnit, product: Product, lot: Lot | None, at: datetime
    ) -> PartFitted:
        unit.must_be(Lifecycle.IN_STOCK)
        unit.must_be_usable(lot)
        unit.must_not_be_expired(day_in_china(at))
        unit.must_be_a_single_part()
        unit.must_be_disclosed_as_used(self.used_disclosed)
        product.must_be_registered_on(day_in_china(at))
        return PartFitted(
            system=self.system,
            customer=self.customer,
            terms=self.terms,
            moved=unit.stock.to(Place(holder=self.customer)),
        )


class PartFitted(Event[DeviceUnit]):
    system: DeviceUnitId
    customer: CustomerId
    terms: Terms
    """Those of the system; the part inherits the rest of its warranty (U7)."""
    moved: Movement

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(
            unit,
            lifecycle=Lifecycle.INSTALLED,
            placement=self.terms.placement,
            owner=self.terms.owner,
            warranty_until=self.terms.warranty_until,
            place=self.moved.destination,
            parent=self.system,
        )


class TakeOutPart(Command[DeviceUnit]):
    """Stop being a part of a system; the part goes back to us."""

    allowed = ()

    system: DeviceUnitId

    def decide(self, unit: DeviceUnit, id: DeviceUnitId) -> tuple[PartTakenOut | Also, ...]:
        unit.must_be_a_part_of(self.system)
        taken_out = PartTakenOut(system=self.system, customer=unit.customer)
        return taken_out, *unit.parts_taken_out(id)


class PartTakenOut(Event[DeviceUnit]):
    system: DeviceUnitId
    customer: CustomerId

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.RETURNING, parent=None, parts=frozenset())


# The end, and corrections -------------------------------------------------------------------------


class ScrapUnit(Command[DeviceUnit]):
    """Destroy a unit that is in our stock or cannot be repaired."""

    allowed = (Role.QUALITY,)

    reason: Text
    evidence: Evidence | None = None

    def decide(self, unit: DeviceUnit, id: DeviceUnitId) -> tuple[UnitScrapped | Also, ...] | None:
        if unit.lifecycle is Lifecycle.SCRAPPED:
            return None
        unit.must_be(Lifecycle.IN_STOCK, Lifecycle.UNDER_REPAIR)
        unit.must_be_a_part_of(None)
        scrapped = UnitScrapped(
            reason=self.reason,
            evidence=self.evidence,
            placement=unit.placement,
            moved=unit.stock.to(None),
        )
        return scrapped, *unit.parts_taken_out(id)


class UnitScrapped(Event[DeviceUnit]):
    reason: str
    evidence: Evidence | None = None
    placement: Placement
    """On what terms it stood where it ended."""
    moved: Movement

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.SCRAPPED, parts=frozenset())


class CorrectSerial(Command[DeviceUnit]):
    """Correct a serial number that was read wrong; both numbers lead to this unit for ever (U1)."""

    allowed = (Role.QUALITY,)

    correct: DeviceUnitId
    """The unit's real number; nothing may have been recorded under it."""
    reason: Text

    def decide(
        self, unit: DeviceUnit, id: DeviceUnitId
    ) -> tuple[SerialCorrected | Also, ...] | None:
        if unit.corrected_to == self.correct:
            return None
        if unit.lifecycle is Lifecycle.RENUMBERED:
            unit.must_be_alive()
        di, _, serial = self.correct.key.partition(":")
        must_be_keys(di, serial)
        if unit.product is None or di != unit.product.key or not serial.strip():
            raise Refused(
                "unit.number_foreign",
                f"{self.correct} is no number of {unit.product}",
                f"{self.correct} 不是 {unit.product} 的编号",
            )
        if self.correct == id:
            return (SerialCorrected(correct=id, reason=self.reason),)
        corrected = SerialCorrected(correct=self.correct, reason=self.reason)
        return corrected, Also(self.correct, LeadTo(unit=id, number=self.correct))


class SerialCorrected(Event[DeviceUnit]):
    correct: DeviceUnitId
    reason: str

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, corrected_to=self.correct)


class LeadTo(Command[DeviceUnit]):
    """Let a corrected serial number lead to the unit that was first recorded under a wrong one."""

    allowed = ()

    unit: DeviceUnitId
    number: DeviceUnitId

    def begins(self) -> DeviceUnitId:
        return self.number

    def decide(self, unit: DeviceUnit) -> SerialLinked:
        if unit != DeviceUnit():
            raise Refused(
                "unit.number_taken",
                f"{self.number} is a unit of its own",
                f"{self.number} 已是另一台器械",
            )
        return SerialLinked(unit=self.unit)


class SerialLinked(Event[DeviceUnit]):
    unit: DeviceUnitId

    def apply(self, unit: DeviceUnit, /) -> DeviceUnit:
        return replace(unit, lifecycle=Lifecycle.RENUMBERED)
