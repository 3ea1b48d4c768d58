"""The stock picture: what stands where, what is reserved, and the ledger that adds up to it."""

from datetime import datetime
from typing import Any

from medsales.domain.kernel import Value
from medsales.domain.stock import device_unit as unit
from medsales.domain.stock import lot
from medsales.domain.stock.device_unit import PLACED, Placement
from medsales.domain.stock.movement import Movement, Place, Stock
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Change, Changes, Projection, Row, on


class StockMovement(Row, key=("position",), ledger=True, indexes=(("product", "position"),)):
    """The ledger: every movement and reservation of goods, in the order of the log; never changed.

    All levels are sums of its lines, at any moment (`LEVELS`).
    """

    position: int
    subject: str = ""
    product: str = ""
    lot: str = ""
    quantity: int = 0
    source: str = ""
    source_zone: str = ""
    destination: str = ""
    destination_zone: str = ""
    reserved: int = 0
    """More, or less, set aside at the source."""
    ours: int = 0
    """More that stays ours at the destination, or less that is ours at the source."""
    event: str = ""
    effective_at: datetime = BEGINNING


class StockLevel(
    Row,
    key=("holder", "zone", "product", "lot"),
    shared=True,
    indexes=(("product", "lot"),),
):
    """What of a product and lot stands at a place."""

    holder: str
    zone: str
    """Empty outside our warehouses, and on the way between two of them."""
    product: str
    lot: str
    """Empty for units without a lot number."""
    on_hand: int = 0
    reserved: int = 0
    """Of what is on hand."""
    ours: int = 0
    """Placed with a customer and still ours: demo, loan, rental, consignment."""


class StockPicture(Projection):
    rows = (StockMovement, StockLevel)

    @on(
        unit.UnitReceived,
        unit.UnitInspected,
        unit.UnitTransferred,
        unit.UnitArrived,
        unit.UnitDelivered,
        lot.LotReceived,
        lot.LotInspected,
        lot.LotTransferred,
        lot.LotDelivered,
        lot.LotReturned,
        lot.LotScrapped,
    )
    def moved(self, fact: Fact[Any]) -> Changes:
        return entry(fact)

    @on(unit.UnitShipped)
    def unit_shipped(self, fact: Fact[unit.UnitShipped]) -> Changes:
        return entry(fact, reserved=-1)

    @on(lot.LotShipped)
    def lot_shipped(self, fact: Fact[lot.LotShipped]) -> Changes:
        return entry(fact, reserved=-fact.event.reserved.quantity)

    @on(unit.UnitReserved, lot.LotReserved)
    def reserved(self, fact: Fact[Any]) -> Changes:
        return standing(fact, reserved=fact.event.stock.quantity)

    @on(unit.UnitReleased, lot.LotReleased)
    def released(self, fact: Fact[Any]) -> Changes:
        return standing(fact, reserved=-fact.event.stock.quantity)

    @on(unit.UnitPlaced)
    def placed(self, fact: Fact[unit.UnitPlaced]) -> Changes:
        return entry(fact, ours=+1)

    @on(unit.UnitScrapped)
    def scrapped(self, fact: Fact[unit.UnitScrapped]) -> Changes:
        return entry(fact, ours=-1 if fact.event.placement in PLACED else 0)

    @on(unit.PartFitted)
    def fitted(self, fact: Fact[unit.PartFitted]) -> Changes:
        return entry(fact, ours=+1 if fact.event.terms.owner is None else 0)

    @on(unit.PlacedUnitSold)
    def sold_in_place(self, fact: Fact[unit.PlacedUnitSold]) -> Changes:
        return standing(fact, ours=-1)

    @on(unit.UnitTakenBack)
    def taken_back(self, fact: Fact[unit.UnitTakenBack]) -> Changes:
        was_ours = fact.event.placement_before is not Placement.SOLD
        return entry(fact, ours=-1 if was_ours else 0)


def entry(fact: Fact[Any], *, reserved: int = 0, ours: int = 0) -> Changes:
    """A line of the ledger, and what it does to the levels on both sides."""
    moved = fact.event.moved
    here, there, quantity = moved.source, moved.destination, moved.quantity
    yield line(fact, moved, here, there, quantity=quantity, reserved=reserved, ours=ours)
    if here:
        yield level(moved, here, on_hand=-quantity, reserved=reserved, ours=min(ours, 0))
    if there:
        yield level(moved, there, on_hand=quantity, ours=max(ours, 0))


def standing(fact: Fact[Any], *, reserved: int = 0, ours: int = 0) -> Changes:
    """A line of the ledger for goods that stay where they are."""
    stock = fact.event.stock
    yield line(fact, stock, stock.place, None, reserved=reserved, ours=ours)
    yield level(stock, stock.place, reserved=reserved, ours=ours)


def line(
    fact: Fact[Any],
    goods: Movement | Stock,
    here: Place | None,
    there: Place | None,
    **amounts: int,
) -> Change:
    return StockMovement.put(
        position=fact.position,
        subject=fact.subject,
        product=goods.product,
        lot=goods.lot or "",
        source=here.holder if here else "",
        source_zone=zone_of(here),
        destination=there.holder if there else "",
        destination_zone=zone_of(there),
        event=fact.name,
        effective_at=fact.effective_at,
        **amounts,
    )


def zone_of(place: Place | None) -> str:
    return place.zone or "" if place else ""


def level(goods: Stock | Movement, place: Place, **amounts: int) -> Change:
    return StockLevel.add(place.holder, place.zone or "", goods.product, goods.lot or "", **amounts)


LEVELS = """
    select holder, zone, product, lot, sum(on_hand)::bigint as on_hand,
        sum(reserved)::bigint as reserved, sum(ours)::bigint as ours
    from (
        select source as holder, source_zone as zone, product, lot, -quantity as on_hand,
            reserved, least(ours, 0) as ours from stock_movement where source <> ''
        union all
        select destination, destination_zone, product, lot, quantity,
            0, greatest(ours, 0) from stock_movement where destination <> ''
    ) as sides group by holder, zone, product, lot
"""
"""The levels, as the sums of the ledger."""


class PictureLine(Value):
    """A line of the stock picture, summed over whatever was not asked to be kept apart."""

    holder: str
    """A warehouse, a shipment on its way, or a customer."""
    zone: str
    product: str
    name: str | None
    lot: str
    on_hand: int
    reserved: int
    free: int
    """Qualified and not reserved."""
    ours: int


PICTURE = """
    select s.holder, s.zone, s.product, p.name, s.lot, s.on_hand, s.reserved,
        case when s.zone = 'qualified' then s.on_hand - s.reserved else 0 end as free, s.ours
    from stock_level s left join product_name p using (product)
    where (s.on_hand <> 0 or s.reserved <> 0)
        and (%(holder)s::text is null or s.holder = %(holder)s)
        and (%(product)s::text is null or s.product = %(product)s)
"""
"""What is not zero, by holder, zone, product and lot."""


class StockSummary(Value):
    """All goods of a product in four numbers that leave nothing out."""

    product: str
    name: str | None
    in_warehouses: int
    reserved: int
    in_transit: int
    at_customers: int
    ours_at_customers: int


SUMMARY = """
    select s.product, min(p.name) as name,
        coalesce(sum(on_hand) filter (where holder like 'warehouse:%%' and zone <> ''), 0)
            as in_warehouses,
        sum(reserved) as reserved,
        coalesce(sum(on_hand) filter (where holder like 'shipment:%%'
            or (holder like 'warehouse:%%' and zone = '')), 0) as in_transit,
        coalesce(sum(on_hand) filter (where holder like 'customer:%%'), 0) as at_customers,
        sum(ours) as ours_at_customers
    from stock_level s left join product_name p using (product)
    group by s.product
"""
"""Per product: in our warehouses, reserved there, on the way, with customers."""

MOVEMENTS = """
    select * from stock_movement
    where quantity <> 0 and (%(product)s::text is null or product = %(product)s)
"""
"""The ledger, of one product or all, without what was only reserved or sold where it stands."""
