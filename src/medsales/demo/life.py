"""Two simulated years of a dealer: prices, goods-in, sales, installations."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from medsales.demo.sources import Source
from medsales.domain.governance.approval import Approve
from medsales.domain.ids import (
    ApprovalId,
    DeviceUnitId,
    LotId,
    OrderId,
    PriceMatrixId,
    ProductId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.kernel import Command, Refused, Role
from medsales.domain.orders.fulfilment import ReserveGoods
from medsales.domain.orders.holds import ConfirmOrder
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.orders.shipment import DeliverShipment, DispatchShipment, Transport
from medsales.domain.parties.customer import CustomerTier, RegisterCustomer
from medsales.domain.stock.device_unit import (
    AcceptInstallation,
    InspectUnit,
    InstallUnit,
    ReceiveUnit,
)
from medsales.domain.stock.lot import InspectLot, ReceiveLot
from medsales.domain.stock.product import RegisterProduct, TrackedBy
from medsales.domain.stock.warehouse import OpenWarehouse
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    OpenPriceMatrix,
    PriceCell,
    ScheduleVersion,
    SubmitVersion,
)
from medsales.domain.terms.promotion import (
    DraftPromotion,
    PercentOff,
    SubmitPromotion,
    Terms,
)
from medsales.domain.udi import Issuer, check_di, gs1_element_string
from medsales.domain.values import Money, PartialDate
from medsales.engine.application import Actor, Ask, MedSales

TWO_YEARS = timedelta(days=730)
REASON = "sample data: two simulated years"
BATCH = 500
LOT_SIZE = 40
MATRIX = PriceMatrixId.of("LIST")
WAREHOUSES = (WarehouseId.of("HZ-1"), WarehouseId.of("NY-1"))
LIN = Actor("lin", "Lin Yue 林悦", (Role.SALES,), "demo")
ZHAO = Actor("zhao", "Zhao Min 赵敏", (Role.MANAGER,), "demo")
WU = Actor("wu", "Wu Gang 吴刚", (Role.WAREHOUSE,), "demo")
QIAN = Actor("qian", "Qian Li 钱丽", (Role.QUALITY,), "demo")
SUN = Actor("sun", "Sun Wei 孙伟", (Role.TECHNICIAN,), "demo")


@dataclass(frozen=True)
class Step:
    """A command, whose it is, who gives it, and when in the simulated years."""

    command: Command[Any]
    actor: Actor
    at: datetime | None
    """None for what takes effect when it is asked: nobody approves in the past."""
    id: str | None = None
    record: str | None = None
    """The record of a register it was made from."""


def moment(step: Step) -> datetime:
    """When it happened; what is asked now comes last."""
    return step.at or datetime.max.replace(tzinfo=UTC)


@dataclass
class Dealer:
    """What the simulation needs to remember; the business itself remembers in the log."""

    app: MedSales
    start: datetime
    run: str
    """Keeps the numbers of this run apart from those of an earlier one."""
    chance: random.Random = field(default_factory=lambda: random.Random(20))
    refusals: list[tuple[Step, Refused]] = field(default_factory=list)

    def tell(self, steps: Iterable[Step], advance: Callable[[int], None]) -> None:
        """Gives the commands in batches; later ones may build on earlier ones."""
        remaining = iter(steps)
        while batch := list(islice(remaining, BATCH)):
            asks = [
                Ask(s.command, s.actor, s.id, effective_at=s.at, reason=REASON if s.at else None)
                for s in batch
            ]
            for step, answer in zip(batch, self.app.handle_many(asks), strict=True):
                if isinstance(answer, Refused):
                    self.refusals.append((step, answer))
                elif isinstance(answer, Exception):
                    raise answer
            advance(len(batch))

    def day(self, number: float) -> datetime:
        """A moment so many days into the simulated years."""
        return self.start + timedelta(days=number)


def dealer(app: MedSales) -> Dealer:
    return Dealer(app, datetime.now(UTC) - TWO_YEARS, run=f"{app.log.head():06d}")


def opening(dealer: Dealer, products: Source, hospitals: Source) -> Iterator[Step]:
    """Products with their certificates, customers in the tier a manager gives them, warehouses."""
    for record, commands in products.commands:
        product = commands[0].begins()
        for command in commands:
            yield Step(command, QIAN, dealer.day(0), product, record)
    for record, (command,) in hospitals.commands:
        yield Step(command, ZHAO, dealer.day(0), record=record)
    for code, name in ((WAREHOUSES[0], "杭州一号库"), (WAREHOUSES[1], "New York")):
        key = code.partition(":")[2]
        yield Step(OpenWarehouse(code=key, name=name, address=name), WU, dealer.day(0))


def pricing(dealer: Dealer, products: Sequence[RegisterProduct]) -> Iterator[Step]:
    """A list for the first year, a dearer one for the second: drafted by Lin, approved by Zhao."""
    matrix = OpenPriceMatrix(code="LIST", name="List prices 目录价", currency="CNY")
    yield Step(matrix, LIN, dealer.day(0))
    existing = dealer.app.load(MATRIX).version
    if existing:
        return
    base = {product.begins(): dealer.chance.randrange(200, 90_000) for product in products}
    for version, (day, factor) in enumerate(((0, 100), (365, 104)), start=1):
        at = dealer.day(day + 0.1)
        cells = tuple(cell for id, price in base.items() for cell in _cells(id, price * factor))
        draft = DraftVersion(effective_from=at.date(), cells=cells)
        yield Step(draft, LIN, at, MATRIX)
        yield Step(SubmitVersion(version=version), LIN, None, MATRIX)
        seen = Approve(content_hash=draft.content(MATRIX, version))
        yield Step(seen, ZHAO, None, ApprovalId.of(MATRIX, str(version)))
        yield Step(ScheduleVersion(version=version), LIN, None, MATRIX)
    yield from promoting(dealer)


def promoting(dealer: Dealer) -> Iterator[Step]:
    """Three percent off in Zhejiang for a month from today, until its budget is used up."""
    first = dealer.day(TWO_YEARS.days).date()
    draft = DraftPromotion(
        code="SPRING",
        terms=Terms(
            name="Spring promotion 春季促销",
            offer=PercentOff(percent=Decimal(3)),
            first_day=first,
            last_day=first + timedelta(days=30),
            currency="CNY",
            regions=("浙江",),
            budget=Money(amount=Decimal(50_000), currency="CNY"),
        ),
    )
    promotion = draft.begins()
    yield Step(draft, LIN, dealer.day(700))
    yield Step(SubmitPromotion(), LIN, None, promotion)
    seen = Approve(content_hash=draft.content)
    yield Step(seen, ZHAO, None, ApprovalId.of(promotion, "1"))


def _cells(product: ProductId, cents: int) -> Iterator[PriceCell]:
    def part(percent: int) -> Money:
        amount = (Decimal(cents) * percent / 10_000).quantize(Decimal("0.01"))
        return Money(amount=amount, currency="CNY")

    def cell(percent: int, **where: Any) -> PriceCell:
        return PriceCell(product=product, price=part(percent), floor=part(80), **where)

    yield cell(100)
    yield cell(97, region="浙江")
    yield cell(94, tier=CustomerTier.A)
    yield cell(91, tier=CustomerTier.A, min_quantity=5)


def sellable(products: Source) -> list[RegisterProduct]:
    """Products with a GTIN that a scanner accepts; the others wait for a better label."""
    found = [commands[0] for _, commands in products.commands]
    return [
        product
        for product in found
        if isinstance(product, RegisterProduct)
        and product.issuer is Issuer.GS1
        and not check_di(product.di, Issuer.GS1)
    ]


@dataclass(frozen=True)
class Arrived:
    """A serial that was received, of which lot, on which day, and whether it passed inspection."""

    unit: DeviceUnitId
    product: ProductId
    lot: LotId
    day: float
    passed: bool


def goods_in(
    dealer: Dealer, products: Sequence[RegisterProduct], units: int, arrived: list[Arrived]
) -> Iterator[Step]:
    """Lots of serials, each scanned from a valid barcode, received and inspected."""
    serial = [p for p in products if p.tracked_by is TrackedBy.SERIAL]
    for number in range(units if serial else 0):
        lot_number, of_lot = divmod(number, LOT_SIZE)
        product = serial[lot_number % len(serial)]
        day = 1 + lot_number * 600 * LOT_SIZE / max(units, LOT_SIZE)
        made = dealer.day(day - 40).date()
        scan = gs1_element_string(
            product.di,
            lot=f"L{dealer.run}{lot_number:04d}",
            serial=f"S{dealer.run}{number:06d}",
            manufactured=PartialDate(on=made),
            expires=PartialDate(on=made + timedelta(days=365 * 5)),
            prefix="]d2",
        )
        warehouse = WAREHOUSES[lot_number % len(WAREHOUSES)]
        receive = ReceiveUnit(
            udi=scan, product=product.begins(), warehouse=warehouse, supplier=product.registrant
        )
        unit, lot = receive.begins(), receive.lot
        assert lot is not None, "every label here has a lot"
        passed = dealer.chance.random() > 0.01
        arrived.append(Arrived(unit, product.begins(), lot, day, passed))
        yield Step(receive, WU, dealer.day(day))
        remark = None if passed else "package damaged 包装破损"
        inspect = InspectUnit(passed=passed, remark=remark)
        yield Step(inspect, QIAN, dealer.day(day + 0.2 + of_lot / 1000), unit)


def lots_in(dealer: Dealer, products: Sequence[RegisterProduct]) -> Iterator[Step]:
    """Goods without serials, by quantity."""
    for number, product in enumerate(p for p in products if p.tracked_by is TrackedBy.LOT):
        made = dealer.day(number % 300 - 30).date()
        scan = gs1_element_string(
            product.di,
            lot=f"Q{dealer.run}{number:04d}",
            manufactured=PartialDate(on=made),
            expires=PartialDate.month(made.year + 4, made.month),
        )
        receive = ReceiveLot(
            udi=scan,
            product=product.begins(),
            warehouse=WAREHOUSES[0],
            quantity=200,
            delivery=f"D{dealer.run}{number:04d}",
        )
        at = dealer.day(2 + number % 300)
        yield Step(receive, WU, at)
        inspect = InspectLot(warehouse=WAREHOUSES[0], quantity=200, passed=True)
        yield Step(inspect, QIAN, at + timedelta(hours=4), receive.begins())


def sales(
    dealer: Dealer, customers: Sequence[RegisterCustomer], arrived: Sequence[Arrived]
) -> Iterator[Step]:
    """Two of three units are sold in small orders; most are delivered, many installed."""
    remaining = list(arrived)
    number = 0
    while remaining:
        first = remaining[0]
        size = dealer.chance.choice((1, 1, 2, 2, 3, 5))
        same = [some for some in remaining[:size] if some.lot == first.lot]
        remaining = remaining[len(same) :]
        good = [some for some in same if some.passed]
        if good and dealer.chance.random() < 0.66:
            number += 1
            day = first.day + 1 + dealer.chance.random() * 90
            yield from _sale(dealer, number, dealer.chance.choice(customers), good, day)


def _sale(
    dealer: Dealer, number: int, customer: RegisterCustomer, units: Sequence[Arrived], day: float
) -> Iterator[Step]:
    order = OrderId.of(f"SO-{dealer.run}-{number:05d}")
    ids = tuple(some.unit for some in units)
    place = PlaceOrder(
        number=order.partition(":")[2],
        customer=customer.begins(),
        price_matrix=MATRIX,
        lines=(WantedLine(product=units[0].product, quantity=len(units)),),
    )
    yield Step(place, LIN, dealer.day(day))
    yield Step(ConfirmOrder(), LIN, dealer.day(day + 0.1), order)
    if dealer.chance.random() < 0.97:
        yield Step(ReserveGoods(units=ids), WU, dealer.day(day + 1), order)
        if dealer.chance.random() < 0.93:
            yield from _delivery(dealer, order, customer, ids, day + 2)


def _delivery(
    dealer: Dealer,
    order: OrderId,
    customer: RegisterCustomer,
    units: tuple[DeviceUnitId, ...],
    day: float,
) -> Iterator[Step]:
    number = order.partition("SO-")[2]
    shipment = ShipmentId.of(f"DN-{number}")
    dispatch = DispatchShipment(
        number=shipment.partition(":")[2],
        order=order,
        units=units,
        transport=Transport(carrier="SF Express 顺丰", waybill=f"SF{number}"),
        ship_to=customer.address,
    )
    yield Step(dispatch, WU, dealer.day(day))
    if dealer.chance.random() > 0.96:
        return
    received = DeliverShipment(received_by="设备科 王主任")
    yield Step(received, WU, dealer.day(day + 2), shipment)
    department = customer.departments[0] if customer.departments else "Equipment"
    for unit in units:
        if dealer.chance.random() < 0.7:
            yield Step(InstallUnit(department=department), SUN, dealer.day(day + 5), unit)
            accept = AcceptInstallation(accepted_by="王主任", warranty_months=24)
            yield Step(accept, SUN, dealer.day(day + 6), unit)


def customers_of(hospitals: Source) -> list[RegisterCustomer]:
    found = [commands[0] for _, commands in hospitals.commands]
    return [command for command in found if isinstance(command, RegisterCustomer)]
