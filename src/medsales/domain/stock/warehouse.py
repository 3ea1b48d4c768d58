"""A warehouse and its zones: where our goods stand, and what each place says of their state."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medsales.domain.ids import WarehouseId
from medsales.domain.kernel import Aggregate, Command, Event, Key, Refused, Role, Term, Text


class Zone(Term):
    """库区: zones separate goods by state (GSP art. 40)."""

    PENDING = "pending", "待验区"
    QUALIFIED = "qualified", "合格品区"
    UNQUALIFIED = "unqualified", "不合格品区"
    RETURNS = "returns", "退货区"
    DISPATCH = "dispatch", "发货区"


@dataclass(frozen=True)
class Warehouse(Aggregate):
    name: str = ""
    address: str = ""
    zones: frozenset[Zone] = frozenset()
    closed: bool = False

    def must_have(self, zone: Zone) -> None:
        """Whoever takes goods in asks this; a closed warehouse takes none."""
        if self.closed:
            raise Refused("warehouse.closed", f"{self.name} is closed", f"{self.name} 已关闭")
        self.must_separate(zone)

    def must_separate(self, zone: Zone) -> None:
        """GSP art. 40; asked of goods that stand here already."""
        if zone not in self.zones:
            raise Refused(
                "warehouse.zone_missing",
                f"{self.name} has no zone for {zone.en} goods",
                f"{self.name} 没有{zone.zh}",
            )


class OpenWarehouse(Command[Warehouse]):
    """Begin to keep goods in a warehouse with these zones."""

    allowed = (Role.WAREHOUSE, Role.MANAGER)

    code: Key
    name: Text
    address: Text
    zones: tuple[Zone, ...] = tuple(Zone)

    def begins(self) -> WarehouseId:
        return WarehouseId.of(self.code)

    def decide(self, warehouse: Warehouse) -> WarehouseOpened | None:
        if not warehouse.name:
            return WarehouseOpened(name=self.name, address=self.address, zones=self.zones)
        known = (warehouse.name, warehouse.address, warehouse.zones)
        if known == (self.name, self.address, frozenset(self.zones)):
            return None
        raise Refused(
            "warehouse.exists",
            f"the code {self.code} belongs to {warehouse.name}",
            f"代码 {self.code} 已属于 {warehouse.name}",
        )


class WarehouseOpened(Event[Warehouse]):
    name: str
    address: str
    zones: tuple[Zone, ...]

    def apply(self, warehouse: Warehouse, /) -> Warehouse:
        return replace(warehouse, name=self.name, address=self.address, zones=frozenset(self.zones))


class AddZone(Command[Warehouse]):
    """Mark off another zone."""

    allowed = (Role.WAREHOUSE, Role.MANAGER)

    zone: Zone

    def decide(self, warehouse: Warehouse) -> ZoneAdded | None:
        return None if self.zone in warehouse.zones else ZoneAdded(zone=self.zone)


class ZoneAdded(Event[Warehouse]):
    zone: Zone

    def apply(self, warehouse: Warehouse, /) -> Warehouse:
        return replace(warehouse, zones=warehouse.zones | {self.zone})


class CloseWarehouse(Command[Warehouse]):
    """Take in no more goods here; what stands here may still leave."""

    allowed = (Role.MANAGER,)

    reason: Text

    def decide(self, warehouse: Warehouse) -> WarehouseClosed | None:
        return None if warehouse.closed else WarehouseClosed(reason=self.reason)


class WarehouseClosed(Event[Warehouse]):
    reason: str

    def apply(self, warehouse: Warehouse, /) -> Warehouse:
        return replace(warehouse, closed=True)
