"""The people, hospitals, warehouses and goods that the tests of stock speak of."""

from datetime import date
from functools import cache

from medsales.domain.ids import (
    CustomerId,
    DeviceUnitId,
    LotId,
    OrderId,
    ProductId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.parties.customer import CustomerKind, RegisterCustomer
from medsales.domain.stock.product import (
    Packaging,
    RecordRegistration,
    RegisterProduct,
    Registration,
    TrackedBy,
)
from medsales.domain.stock.warehouse import OpenWarehouse
from medsales.domain.udi import Issuer, Udi, parse_udi

PUMP_DI = "06901234567892"
PUMP_BOX_DI = "06901234567014"
SUTURE_DI = "06945678000010"
SUTURE_CASE_DI = "16945678000017"
FOREIGN_DI = "06976543000019"

PUMP = ProductId.of(PUMP_DI)
SUTURE = ProductId.of(SUTURE_DI)
SN1 = DeviceUnitId.of(PUMP_DI, "SN1")
SN2 = DeviceUnitId.of(PUMP_DI, "SN2")
SN3 = DeviceUnitId.of(PUMP_DI, "SN3")
PUMP_LOT = LotId.of(PUMP_DI, "A213B1")
SUTURE_LOT = LotId.of(SUTURE_DI, "L7")
HANGZHOU = WarehouseId.of("HZ-1")
CHENGDU = WarehouseId.of("CD-1")
UNION = CustomerId.of("union")
RUIJIN = CustomerId.of("ruijin")
ORDER = OrderId.of("SO-1")
OTHER_ORDER = OrderId.of("SO-2")
SHIPMENT = ShipmentId.of("DN-1")
OTHER_SHIPMENT = ShipmentId.of("DN-2")
PHOTOGRAPH = "sha256:" + "7" * 64

FIRST_CERTIFICATE = Registration(
    number="国械注准20203080001", valid_from=date(2020, 3, 1), valid_until=date(2025, 2, 28)
)
RENEWED_CERTIFICATE = Registration(
    number="国械注准20203080001", valid_from=date(2025, 3, 1), valid_until=date(2030, 2, 28)
)


@cache
def label(
    di: str = PUMP_DI,
    *,
    serial: str | None = None,
    lot: str | None = None,
    expires: str | None = None,
    made: str | None = None,
) -> Udi:
    """What a scanner reads from a package; dates as GS1 writes them, YYMMDD."""
    said = {"01": di, "11": made, "17": expires, "10": lot, "21": serial}
    return parse_udi("".join(f"({ai}){value}" for ai, value in said.items() if value))


REGISTER_PUMP = RegisterProduct(
    di=PUMP_DI,
    issuer=Issuer.GS1,
    name="Hummingbird infusion pump",
    model="HB-2",
    registrant="Zhejiang Kingfisher Medical",
    tracked_by=TrackedBy.SERIAL,
    packages=(Packaging(di=PUMP_BOX_DI, level="box", contains=PUMP_DI, quantity=4),),
)
REGISTER_SUTURE = RegisterProduct(
    di=SUTURE_DI,
    issuer=Issuer.GS1,
    name="Lily suture",
    model="4-0",
    registrant="Sichuan Lily Medical",
    tracked_by=TrackedBy.LOT,
)
CERTIFY = RecordRegistration(registration=FIRST_CERTIFICATE)
CERTIFY_AGAIN = RecordRegistration(registration=RENEWED_CERTIFICATE)
OPEN_HANGZHOU = OpenWarehouse(code="HZ-1", name="Hangzhou", address="1 West Lake Road")
OPEN_CHENGDU = OpenWarehouse(code="CD-1", name="Chengdu", address="8 Panda Avenue")
REGISTER_UNION = RegisterCustomer(
    number="union",
    kind_of=CustomerKind.HOSPITAL,
    name="Union Hospital",
    region="Hubei",
    address="1277 Jiefang Avenue",
)
REGISTER_RUIJIN = RegisterCustomer(
    number="ruijin",
    kind_of=CustomerKind.HOSPITAL,
    name="Ruijin Hospital",
    region="Shanghai",
    address="197 Ruijin Second Road",
)
