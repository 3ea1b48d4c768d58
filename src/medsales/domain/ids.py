"""How things are called: every aggregate's id, built from the key the business already uses.

An id that follows from the business key makes uniqueness free: two people who receive the same
serial speak of the same stream, and the second is told.
"""

from typing import Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from medsales.domain.kernel import LONGEST_ID, Id


class AnyId(Id, example="quote:Q-2026-0001"):
    """Any aggregate, by its id: what is approved or signed may be of many kinds."""

    @classmethod
    def of(cls, *key: str) -> Self:
        return cls(":".join(key))

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        pattern = r"^[a-z]+(-[a-z]+)*:[^\x00-\x1f\x7f]+$"
        text = core_schema.str_schema(pattern=pattern, max_length=LONGEST_ID)
        return core_schema.no_info_after_validator_function(cls, text)


class CustomerId(Id, example="customer:91330000470003281C"):
    """A customer, by unified social credit code or by another official number."""


class OurCompanyId(Id, example="our-company:us"):
    """Ourselves."""


class ProductId(Id, example="product:06901234567892"):
    """A product, by the device identifier (DI) of its base unit."""


class DeviceIdentifierId(Id, example="device-identifier:16901234567899"):
    """A device identifier (DI) of any package level."""


class LotId(Id, example="lot:06901234567892:A213B1"):
    """A lot, by device identifier and lot number."""


class DeviceUnitId(Id, example="device-unit:06901234567892:SN77"):
    """One device, by device identifier and serial number (U1)."""


class WarehouseId(Id, example="warehouse:HZ-1"):
    """A warehouse, by its code."""


class PriceMatrixId(Id, example="price-matrix:CN-2026"):
    """A price matrix, by its code."""


class OrderId(Id, example="order:SO-2026-0001"):
    """An order, by the number the client gave it (D8)."""


class ShipmentId(Id, example="shipment:DN-2026-0001"):
    """A shipment, by its delivery note number."""


class PersonId(Id, example="person:chen"):
    """Somebody who acts here, by the id that tokens name; never given to anybody else."""


class ApprovalFlowId(Id, example="approval-flow:quote"):
    """Who must approve what, by the kind of the subject."""


class ApprovalId(Id, example="approval:quote:Q-2026-0001:1"):
    """One request for approval, by its subject and how many it has asked for."""


class SignatureId(Id, example="signature:5f1d7a84db00d2fce00b31a7fc73224f"):
    """One electronic signature, by the first half of the SHA-256 of what was signed."""


class LicenceFileId(Id, example="licence-file:customer:91330000470003281C"):
    """All licences of one holder, by the holder: a customer, a supplier, or `own` for ours."""


class PriceSheetId(Id, example="price-sheet:CN-2026:product:06901234567892"):
    """The prices of one product or one family in a matrix, version by version."""


class PromotionId(Id, example="promotion:SPRING-2026"):
    """A promotion, by its code."""


class CreditAccountId(Id, example="credit-account:91330000470003281C"):
    """What a customer may owe us and does; by the key of the customer."""


class ContractTemplateId(Id, example="contract-template:FRAMEWORK"):
    """Clauses to begin a contract from, by their code."""


class ContractId(Id, example="contract:HT-2026-0001"):
    """A contract, by its number."""


class QuoteId(Id, example="quote:Q-2026-0001"):
    """A quote, by its number."""


class ParkingId(Id, example="parking:stock_picture"):
    """What a read model, a process or a timer has parked, by its name."""


PartyId = CustomerId | WarehouseId | ShipmentId
"""Who can hold goods: a customer, one of our warehouses, or a shipment on its way."""
