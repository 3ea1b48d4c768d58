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
    """None for an unknown lot."""
    answer = trace_as_json(db, id)
    return None if answer is None else LotTraced.model_validate_json(answer)


def trace_as_json(db: Db, id: LotId) -> str | None:
    """A lot may have thousands of units: the database itself writes the answer, in a third of the
    time that it takes to make objects of all of them."""
    found = db.execute(TRACED, {"lot": id}, prepare=True).fetchone()
    return str(found["answer"]) if found else None


TRACED = """
    select json_build_object(
        'lot', %(lot)s::text,
        'held', exists (select from lot_on_hold where lot = %(lot)s and holds > 0),
        'holders', coalesce(json_agg(line) filter (where quantity > 0), '[]'),
        'former', coalesce(json_agg(line) filter (where quantity <= 0), '[]')
    )::text as answer
    from (
        select h.quantity, json_build_object('goods', h.goods, 'holder', h.holder,
            'quantity', h.quantity, 'last_moved_at', h.last_moved_at,
            'last_position', h.last_position, 'name', p.name) as line
        from lot_holding h left join customer_profile p on p.customer = h.holder
        where h.lot = %(lot)s order by h.goods, h.last_position
    ) as found
    having count(*) > 0
"""
"""One indexed read: the key of the holdings begins with the lot."""


def units_of(db: Db, id: str) -> list[DeviceUnitId]:
    """Every unit that ever bore this lot number and still exists."""
    rows = db.execute(
        "select goods from lot_holding where lot = %s and goods <> lot"
        " group by goods having sum(quantity) > 0 order by goods",
        (id,),
    )
    return [DeviceUnitId(row["goods"]) for row in rows]
