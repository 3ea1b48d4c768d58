"""A device identifier (DI): which product and package level it names, once and for ever (UDI-7)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medsales.domain.ids import DeviceIdentifierId, ProductId
from medsales.domain.kernel import Aggregate, Command, Event, Refused


@dataclass(frozen=True)
class DeviceIdentifier(Aggregate):
    product: ProductId | None = None


class AssignIdentifier(Command[DeviceIdentifier]):
    """Let a device identifier name a product; it can never name another."""

    allowed = ()

    di: str
    product: ProductId

    def begins(self) -> DeviceIdentifierId:
        return DeviceIdentifierId.of(self.di)

    def decide(self, identifier: DeviceIdentifier) -> IdentifierAssigned | None:
        if identifier.product == self.product:
            return None
        if identifier.product:
            raise Refused(
                "identifier.taken",
                f"this device identifier already names {identifier.product}",
                f"该器械标识已属于 {identifier.product}",
            )
        return IdentifierAssigned(product=self.product)


class IdentifierAssigned(Event[DeviceIdentifier]):
    product: ProductId

    def apply(self, identifier: DeviceIdentifier, /) -> DeviceIdentifier:
        return replace(identifier, product=self.product)
