"""Where goods are and how they move: a change of place is a double entry, from here to there."""

from __future__ import annotations

from medsales.domain.ids import CustomerId, LotId, PartyId, ProductId, WarehouseId
from medsales.domain.kernel import Value
from medsales.domain.stock.warehouse import Zone


class Place(Value):
    """Who has goods, and in which zone when it is a warehouse of ours."""

    holder: PartyId
    zone: Zone | None = None
    """None also on the way from this warehouse to another of ours."""

    def warehouse(self) -> WarehouseId:
        assert isinstance(self.holder, WarehouseId), f"{self.holder} is no warehouse"
        return self.holder

    def customer(self) -> CustomerId:
        assert isinstance(self.holder, CustomerId), f"{self.holder} is no customer"
        return self.holder


class Stock(Value):
    """Some goods at a place."""

    product: ProductId
    lot: LotId | None = None
    quantity: int = 1
    place: Place

    def to(self, destination: Place | None) -> Movement:
        return Movement(
            product=self.product,
            lot=self.lot,
            quantity=self.quantity,
            source=self.place,
            destination=destination,
        )


class Movement(Value):
    """Some goods from one place to another; from outside when they are received, to nowhere when
    they cease to exist."""

    product: ProductId
    lot: LotId | None = None
    quantity: int = 1
    source: Place | None = None
    destination: Place | None = None
