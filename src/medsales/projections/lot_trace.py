"""Where a lot is: every unit and quantity of it, who holds each now, and who held it before."""

from datetime import datetime
from typing import Any

from medsales.domain.ids import DeviceUnitId, LotId
from medsales.domain.kernel import Value
from medsales.domain.stock import device_unit as unit
from medsales.domain.stock import lot
from medsales.domain.stock.movement import Movement
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Changes, Projection, Row, on


class LotHolding(Row, key=("lot", "goods", "holder")):
    """How much somebody has, or had, of a unit or of goods without serials; read by lot."""

    lot: str
    goods: str
    """The unit, or the lot itself for goods without serial numbers."""
    holder: str
    quantity: int = 0
    """What is there now; zero for a former holder."""
    received: int = 0
    """All that ever arrived there."""
    last_moved_at: datetime = BEGINNING
    """When, in the world, goods last came or went."""
    last_position: int = 0


class LotOnHold(Row, key=("lot",)):
    """How many holds there are on a lot as a whole."""

    lot: str
    holds: int = 0


class Holding(Value):
    goods: str
    holder: str
    quantity: int
    last_moved_at: datetime
    last_position: int
    name: str | None
    """The customer's name."""


class LotTraced(Value):
    """The answer to a recall's first question."""

    lot: str
    held: bool
    """Whether the lot as a whole is on hold."""
    holders: tuple[Holding, ...]
    """Who has what now."""
    former: tuple[Holding, ...]
    """Who had it before."""


class LotTrace(Projection):
    rows = (LotHolding, LotOnHold)

    @on(
        unit.UnitReceived,
        unit.UnitTransferred,
        unit.UnitArrived,
        unit.UnitShipped,
        unit.UnitDelivered,
        unit.UnitPlaced,
        unit.UnitTakenBack,
        unit.PartFitted,
        unit.UnitScrapped,
        unit.UnitInspected,
    )
    def unit_moved(self, fact: Fact[Any]) -> Changes:
        moved = fact.event.moved
        return held(fact, moved) if moved.lot is not None else ()

    @on(
        lot.LotReceived,
        lot.LotInspected,
        lot.LotTransferred,
        lot.LotShipped,
        lot.LotDelivered,
        lot.LotReturned,
        lot.LotScrapped,
    )
    def quantity_moved(self, fact: Fact[Any]) -> Changes:
        return held(fact, fact.event.moved)

    @on(lot.LotHeld)
    def lot_held(self, fact: Fact[lot.LotHeld]) -> Changes:
        yield LotOnHold.add(fact.subject, holds=+1)

    @on(lot.LotHoldLifted)
    def lot_hold_lifted(self, fact: Fact[lot.LotHoldLifted]) -> Changes:
        yield LotOnHold.add(fact.subject, holds=-1)


def held(fact: Fact[Any], moved: Movement) -> Changes:
    """Less for who gave it, more for who got it; a change of zone is no change of holder."""
    source = moved.source.holder if moved.source else None
    destination = moved.destination.holder if moved.destination else None
    for holder, change in ((source, -moved.quantity), (destination, moved.quantity)):
        if holder is not None and source != destination:
            key = (moved.lot or "", fact.subject, holder)
            yield LotHolding.add(*key, quantity=change, received=max(change, 0))
            yield LotHolding.set(*key, last_moved_at=fact.effective_at, last_position=fact.position)


def trace(db: Db, id: LotId) -> LotTraced | None:
    """One indexed read: the key of the holdings begins with the lot. None for an unknown lot."""
    rows = db.execute(
        "select h.goods, h.holder, h.quantity, h.last_moved_at, h.last_position, p.name,"
        "  coalesce(o.holds, 0) > 0 as held"
        " from lot_holding h"
        " left join lot_on_hold o on o.lot = h.lot"
        " left join customer_profile p on p.customer = h.holder"
        " where h.lot = %s order by h.goods, h.last_position",
        (id,),
        prepare=True,
    ).fetchall()
    if not rows:
        return None
    on_hold = [row.pop("held") for row in rows]
    found = [Holding(**row) for row in rows]
    return LotTraced(
        lot=id,
        held=any(on_hold),
        holders=tuple(some for some in found if some.quantity > 0),
        former=tuple(some for some in found if some.quantity <= 0),
    )


def units_of(db: Db, id: str) -> list[DeviceUnitId]:
    """Every unit that ever bore this lot number and still exists."""
    rows = db.execute(
        "select goods from lot_holding where lot = %s and goods <> lot"
        " group by goods having sum(quantity) > 0 order by goods",
        (id,),
    )
    return [DeviceUnitId(row["goods"]) for row in rows]
