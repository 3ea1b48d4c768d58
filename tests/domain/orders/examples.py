"""The people, hospitals and goods that the examples of selling speak of."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from medsales.domain.governance.licence import GateEvaluated
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
from medsales.domain.kernel import Command, Event
from medsales.domain.orders.cancelling import OrderCancelled
from medsales.domain.orders.fulfilment import GoodsReserved, OrderDelivered, OrderShipped
from medsales.domain.orders.goods import Goods, LotQuantity
from medsales.domain.orders.holds import OrderConfirmed
from medsales.domain.orders.order import CancelledLine, OrderedLine, OrderPlaced, OrderStatus
from medsales.domain.orders.shipment import ShipmentDispatched, Transport
from medsales.domain.parties.customer import (
    CustomerKind,
    CustomerRegistered,
    CustomerSuspended,
    CustomerTier,
    HospitalGrade,
)
from medsales.domain.stock.device_unit import (
    DeliverUnit,
    InspectUnit,
    Placement,
    PlaceUnit,
    ReceiveUnit,
    ReserveUnit,
    ShipUnit,
)
from medsales.domain.stock.lot import DeliverLot, InspectLot, ReceiveLot, ReserveLot, ShipLot
from medsales.domain.stock.product import (
    Packaging,
    ProductRegistered,
    Registration,
    RegistrationRecorded,
    TrackedBy,
)
from medsales.domain.stock.warehouse import WarehouseOpened, Zone
from medsales.domain.terms.price_matrix import (
    PriceCell,
    PriceMatrixOpened,
    VersionApproved,
    VersionDrafted,
    VersionSubmitted,
)
from medsales.domain.udi import Issuer, Udi
from medsales.domain.values import Money, PartialDate
from medsales.testing import given


def cny(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


UNION = CustomerId("customer:91330000470003281C")
CANCER = CustomerId("customer:cms-010001")
UNION_REGISTERED = CustomerRegistered(
    uscc="91330000470003281C",
    kind_of=CustomerKind.HOSPITAL,
    name="浙江协和医院",
    region="华东",
    tier=CustomerTier.A,
    grade=HospitalGrade.GRADE_3A,
    address="杭州市庆春路 79 号",
    departments=("放射科",),
)
CANCER_REGISTERED = CustomerRegistered(
    number="cms-010001",
    kind_of=CustomerKind.CLINIC,
    name="Riverside Cancer Clinic",
    region="华南",
    tier=CustomerTier.C,
    address="2 River Road",
)
UNPAID = CustomerSuspended(reason="invoices of 2025 are unpaid")

PUMP_DI, STENT_DI = "06901234567892", "06901234567908"
PUMP, STENT = ProductId.of(PUMP_DI), ProductId.of(STENT_DI)


def registered(di: str, name: str, tracked_by: TrackedBy) -> ProductRegistered:
    return ProductRegistered(
        di=di,
        issuer=Issuer.GS1,
        name=name,
        model="M-1",
        registrant="杭州器械有限公司",
        tracked_by=tracked_by,
        packages=(Packaging(di=di, level="base"),),
    )


CERTIFICATE = Registration(
    number="国械注准20203120001", valid_from=date(2020, 1, 1), valid_until=date(2099, 12, 31)
)
CERTIFIED = RegistrationRecorded(registration=CERTIFICATE)
PUMP_REGISTERED = registered(PUMP_DI, "输液泵", TrackedBy.SERIAL)
STENT_REGISTERED = registered(STENT_DI, "冠脉支架", TrackedBy.LOT)

HANGZHOU, WUHAN = WarehouseId("warehouse:HZ-1"), WarehouseId("warehouse:WH-1")


def opened(name: str) -> WarehouseOpened:
    return WarehouseOpened(name=name, address="物流园 1 号", zones=tuple(Zone))


MATRIX = PriceMatrixId("price-matrix:CN-2026")
MATRIX_OPENED = PriceMatrixOpened(code="CN-2026", name="2026 中国", currency="CNY")


def version_of(number: int, since: date, *cells: PriceCell) -> tuple[Event[Any], ...]:
    """A version that chen wrote and wang approved."""
    return (
        VersionDrafted(number=number, author="chen", effective_from=since, cells=cells),
        VersionSubmitted(number=number),
        VersionApproved(number=number, effective_from=since, approver="wang"),
    )


LIST_2026 = version_of(
    1,
    date(2026, 1, 1),
    PriceCell(product=PUMP, price=cny("12000.00")),
    PriceCell(product=STENT, price=cny("800.00")),
    PriceCell(product=STENT, price=cny("700.00"), min_quantity=10),
)

SN1 = DeviceUnitId.of(PUMP_DI, "SN1")
SN2 = DeviceUnitId.of(PUMP_DI, "SN2")
SN3 = DeviceUnitId.of(PUMP_DI, "SN3")
LOT = LotId.of(STENT_DI, "A213")

SO1, SO2 = OrderId("order:SO-1"), OrderId("order:SO-2")
DN1, DN2 = ShipmentId("shipment:DN-1"), ShipmentId("shipment:DN-2")


def line(number: int, product: ProductId, quantity: int, price: str, rule: str) -> OrderedLine:
    return OrderedLine(
        line=number,
        product=product,
        quantity=quantity,
        price=cny(price),
        price_version=1,
        price_path=("CN-2026 version 1", "since 2026-01-01", rule),
    )


PLACED = OrderPlaced(
    customer=UNION,
    region="华东",
    tier="A",
    price_matrix=MATRIX,
    lines=(
        line(1, PUMP, 2, "12000.00", "list price, from 1"),
        line(2, STENT, 10, "700.00", "list price, from 10").model_copy(update={"min_quantity": 10}),
    ),
    placed_by="chen",
    placed_on=date(2026, 6, 1),
)
CONFIRMED = OrderConfirmed(customer=UNION)
"""As orders were confirmed before credit was kept."""
TODAY = date(2026, 6, 1)
OPEN_GATES = tuple(GateEvaluated(gate=gate, passed=True, on=TODAY) for gate in ("LIC-3", "LIC-4"))
"""Of goods that need no licence, for their class is not known."""
PROMISED = OrderConfirmed(customer=UNION, gates=OPEN_GATES, reserved=cny("31000.00"))


def unit(id: DeviceUnitId, line: int = 1) -> Goods:
    return Goods(goods=id, line=line)


def stents(
    quantity: int, warehouse: WarehouseId | None = HANGZHOU, *, line: int = 2, lot: LotId = LOT
) -> Goods:
    return Goods(goods=lot, warehouse=warehouse, line=line, quantity=quantity)


def some_stents(quantity: int, warehouse: WarehouseId = HANGZHOU) -> LotQuantity:
    return LotQuantity(lot=LOT, warehouse=warehouse, quantity=quantity)


def reserved(*goods: Goods) -> GoodsReserved:
    return GoodsReserved(customer=UNION, goods=goods)


def shipped(*goods: Goods, shipment: ShipmentId = DN1) -> OrderShipped:
    return OrderShipped(customer=UNION, shipment=shipment, goods=goods)


def delivered(*goods: Goods, shipment: ShipmentId = DN1) -> OrderDelivered:
    return OrderDelivered(customer=UNION, shipment=shipment, goods=goods)


def cancelled(
    *lines: tuple[int, int],
    reason: str = "the ward is not built",
    status: OrderStatus | None = None,
) -> OrderCancelled:
    """Cancels the order when it is all of PLACED; a confirmed one stays confirmed otherwise."""
    whole = sum(quantity for _, quantity in lines) == sum(line.quantity for line in PLACED.lines)
    return OrderCancelled(
        customer=UNION,
        lines=tuple(CancelledLine(line=number, quantity=quantity) for number, quantity in lines),
        reason=reason,
        status=status or (OrderStatus.CANCELLED if whole else OrderStatus.CONFIRMED),
    )


ROAD = Transport(carrier="顺丰医药", waybill="SF-100")
DISPATCHED = ShipmentDispatched(
    order=SO1, customer=UNION, units=(SN1,), quantities=(), transport=ROAD, ship_to="放射科 3 楼"
)


WORLD: dict[str, Iterable[Event[Any]]] = {
    UNION: (UNION_REGISTERED,),
    CANCER: (CANCER_REGISTERED,),
    PUMP: (PUMP_REGISTERED, CERTIFIED),
    STENT: (STENT_REGISTERED, CERTIFIED),
    HANGZHOU: (opened("杭州仓"),),
    WUHAN: (opened("武汉仓"),),
    MATRIX: (MATRIX_OPENED, *LIST_2026),
}
"""What there is before the goods arrive: two hospitals, two products, prices; soon also goods."""


def told(id: str, history: Iterable[Event[Any]], *commands: Command[Any]) -> tuple[Event[Any], ...]:
    """The history of a unit or lot after these commands, which a later one would read."""
    story = tuple(history)
    for command in commands:
        outcome = given(*story, others=WORLD).when(command, id)
        assert outcome.refusal is None, outcome.refusal
        story += tuple(outcome.events)
    return story


def unit_received(serial: str, expires: PartialDate | None = None) -> tuple[Event[Any], ...]:
    raw = f"(01){PUMP_DI}(21){serial}"
    udi = Udi(raw=raw, issuer=Issuer.GS1, di=PUMP_DI, serial=serial, expires=expires)
    receive = ReceiveUnit(udi=udi, product=PUMP, warehouse=HANGZHOU)
    return told(DeviceUnitId.of(PUMP_DI, serial), (), receive)


def unit_told(id: DeviceUnitId, *commands: Command[Any]) -> tuple[Event[Any], ...]:
    """A unit that passed inspection, and what came then."""
    serial = id.rpartition(":")[2]
    return told(id, unit_received(serial), InspectUnit(passed=True), *commands)


def for_order(order: OrderId = SO1) -> ReserveUnit:
    return ReserveUnit(order=order, customer=UNION)


ON_DN1 = ShipUnit(shipment=DN1, order=SO1, customer=UNION)
HANDED = DeliverUnit(shipment=DN1, customer=UNION)


def placed_as(placement: Placement = Placement.DEMO, customer: CustomerId = UNION) -> PlaceUnit:
    return PlaceUnit(
        placement=placement, customer=customer, agreement="AG-1", due_back=date(2026, 9, 1)
    )


def lot_told(
    *commands: Command[Any], quantity: int = 10, expires: PartialDate | None = None
) -> tuple[Event[Any], ...]:
    """So many stents that passed inspection, and what came then."""
    raw = f"(01){STENT_DI}(10)A213"
    udi = Udi(raw=raw, issuer=Issuer.GS1, di=STENT_DI, lot="A213", expires=expires)
    receive = ReceiveLot(
        udi=udi, product=STENT, warehouse=HANGZHOU, quantity=quantity, delivery="LS-1"
    )
    inspect = InspectLot(warehouse=HANGZHOU, quantity=quantity, passed=True)
    return told(LOT, (), receive, inspect, *commands)


def stents_for(quantity: int, order: OrderId = SO1) -> ReserveLot:
    return ReserveLot(order=order, warehouse=HANGZHOU, quantity=quantity)


def stents_on_dn1(quantity: int) -> ShipLot:
    return ShipLot(shipment=DN1, order=SO1, customer=UNION, warehouse=HANGZHOU, quantity=quantity)


def stents_handed(quantity: int) -> DeliverLot:
    return DeliverLot(shipment=DN1, order=SO1, customer=UNION, quantity=quantity)


EXPIRED_IN_MAY = PartialDate.month(2026, 5)
WORLD |= {SN1: unit_told(SN1), SN2: unit_told(SN2), SN3: unit_told(SN3), LOT: lot_told()}
