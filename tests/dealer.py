"""A small dealer in a company of its own: who acts, what is sold, the usual steps."""

from typing import Any

from medsales.company import Company
from medsales.domain.governance.approval import Approve
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
from medsales.domain.kernel import Command, Role
from medsales.domain.orders.fulfilment import ReserveGoods
from medsales.domain.orders.goods import LotQuantity
from medsales.domain.orders.holds import ConfirmOrder
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.orders.shipment import DeliverShipment, DispatchShipment, Transport
from medsales.domain.parties.customer import CustomerKind, CustomerTier, RegisterCustomer
from medsales.domain.stock.device_unit import InspectUnit, ReceiveUnit
from medsales.domain.stock.lot import InspectLot, ReceiveLot
from medsales.domain.stock.product import (
    RecordRegistration,
    RegisterProduct,
    Registration,
    TrackedBy,
)
from medsales.domain.stock.warehouse import OpenWarehouse
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    OpenPriceMatrix,
    PriceCell,
    PriceMatrix,
    ScheduleVersion,
    SubmitVersion,
)
from medsales.domain.udi import Issuer
from medsales.domain.values import Money
from medsales.engine.application import Actor, Ask, Receipt

CHEN = Actor("chen", "Chen Jing 陈静", tuple(Role), "tests")
ZHAO = Actor("zhao", "Zhao Min 赵敏", tuple(Role), "tests")
LENS = ProductId("product:06901234567892")
GAUZE = ProductId("product:26901234567896")
HANGZHOU = WarehouseId("warehouse:HZ")
SHANGHAI = WarehouseId("warehouse:SH")
UNION = CustomerId("customer:union")
CHILDREN = CustomerId("customer:children")
PRICES = PriceMatrixId("price-matrix:CN")
LOT = LotId("lot:06901234567892:A213B1")
GAUZE_LOT = LotId("lot:26901234567896:G1")
ROAD = Transport(carrier="SF", waybill="SF1")


class Dealer:
    """Lens implants by serial, gauze by lot, two warehouses, two hospitals, one price list."""

    def __init__(self, company: Company) -> None:
        self.company = company
        for product, name, tracking in (
            (LENS, "Lens", TrackedBy.SERIAL),
            (GAUZE, "Gauze", TrackedBy.LOT),
        ):
            self._take_up(product, name, tracking)
        for code, name in (("HZ", "Hangzhou 杭州"), ("SH", "Shanghai 上海")):
            self.tell(OpenWarehouse(code=code, name=name, address=name))
        for number, name in (
            ("union", "Union Hospital 协和医院"),
            ("children", "Children's 儿童医院"),
        ):
            self.tell(
                RegisterCustomer(
                    number=number,
                    kind_of=CustomerKind.HOSPITAL,
                    name=name,
                    region="ZJ",
                    tier=CustomerTier.A,
                    address="1 Road",
                    departments=("Eye 眼科",),
                )
            )
        self._price()

    def _take_up(self, product: ProductId, name: str, tracking: TrackedBy) -> None:
        di = product.partition(":")[2]
        self.tell(
            RegisterProduct(
                di=di,
                issuer=Issuer.GS1,
                name=name,
                model="M1",
                registrant="Maker",
                tracked_by=tracking,
            )
        )
        certificate = Registration(number="国械注准20203160001", valid_from="2020-01-01")
        self.tell(RecordRegistration(registration=certificate), product)

    def _price(self) -> None:
        self.tell(OpenPriceMatrix(code="CN", name="List", currency="CNY"))
        cells = tuple(
            PriceCell(product=product, price=Money(amount=amount, currency="CNY"))
            for product, amount in ((LENS, "1250.00"), (GAUZE, "2.50"))
        )
        self.tell(DraftVersion(effective_from="2024-01-01", cells=cells), PRICES)
        self.put_in_force(1)

    def put_in_force(self, version: int) -> Receipt:
        """Prices that Chen wrote: handed in by him, approved by Zhao, scheduled."""
        self.tell(SubmitVersion(version=version), PRICES)
        found = self.company.app.existing(PRICES, PriceMatrix).version(version)
        self.tell(Approve(content_hash=found.content_hash), found.approval, by=ZHAO)
        return self.tell(ScheduleVersion(version=version), PRICES)

    def tell(self, command: Command[Any], id: str | None = None, by: Actor = CHEN) -> Receipt:
        return self.company.app.handle(Ask(command, by, id))

    def receive(self, serial: str, warehouse: WarehouseId = HANGZHOU) -> DeviceUnitId:
        """A released lens."""
        scan = f"(01)06901234567892(17)300131(10)A213B1(21){serial}"
        received = self.tell(ReceiveUnit(udi=scan, product=LENS, warehouse=warehouse))
        self.tell(InspectUnit(passed=True), received.id)
        return DeviceUnitId(received.id)

    def receive_gauze(self, quantity: int, delivery: str = "D1") -> LotId:
        """Released gauze."""
        scan = "(01)26901234567896(17)300100(10)G1"
        self.tell(
            ReceiveLot(
                udi=scan, product=GAUZE, warehouse=HANGZHOU, quantity=quantity, delivery=delivery
            )
        )
        self.tell(InspectLot(warehouse=HANGZHOU, quantity=quantity, passed=True), GAUZE_LOT)
        return GAUZE_LOT

    def order(
        self, number: str, *lines: tuple[ProductId, int], customer: CustomerId = UNION
    ) -> OrderId:
        """A confirmed order."""
        wanted = tuple(WantedLine(product=product, quantity=n) for product, n in lines)
        place = PlaceOrder(number=number, customer=customer, price_matrix=PRICES, lines=wanted)
        id = OrderId(self.tell(place).id)
        self.tell(ConfirmOrder(), id)
        return id

    def reserve(
        self, order: OrderId, *units: DeviceUnitId, quantities: tuple[LotQuantity, ...] = ()
    ) -> None:
        self.tell(ReserveGoods(units=units, quantities=quantities), order)

    def dispatch(
        self,
        number: str,
        order: OrderId,
        *units: DeviceUnitId,
        quantities: tuple[LotQuantity, ...] = (),
    ) -> ShipmentId:
        dispatch = DispatchShipment(
            number=number,
            order=order,
            units=units,
            quantities=quantities,
            transport=ROAD,
            ship_to="1 Road",
        )
        return ShipmentId(self.tell(dispatch).id)

    def deliver(self, shipment: ShipmentId) -> None:
        self.tell(DeliverShipment(received_by="Wang"), shipment)

    def sell(self, number: str, *units: DeviceUnitId, customer: CustomerId = UNION) -> OrderId:
        """Ordered, reserved, dispatched and delivered."""
        order = self.order(number, (LENS, len(units)), customer=customer)
        self.reserve(order, *units)
        self.deliver(self.dispatch(f"DN-{number}", order, *units))
        return order

    def catch_up(self) -> None:
        """Brings read models and processes to the end of the log."""
        worker = self.company.worker()
        worker.processes.prepare()
        worker.catch_up()
