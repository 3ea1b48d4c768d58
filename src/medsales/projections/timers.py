"""What is due and when: set by one fact, taken away by another."""

from datetime import UTC, date, datetime, time
from typing import Any

from medsales.domain.stock import device_unit as unit
from medsales.engine.facts import Fact
from medsales.engine.projection import Changes, Projection, on
from medsales.engine.timers import Timer

PLACEMENT_OVERDUE = "placement_overdue"


class TimerBoard(Projection):
    rows = (Timer,)

    @on(unit.UnitPlaced, unit.PlacementExtended)
    def placed(self, fact: Fact[Any]) -> Changes:
        yield Timer.put(
            timer=PLACEMENT_OVERDUE,
            subject=fact.subject,
            due_at=end_of(fact.event.due_back),
            set_by=fact.position,
        )

    @on(
        unit.PlacementOverdue,
        unit.PlacedUnitSold,
        unit.UnitReturned,
        unit.UnitTakenBack,
        unit.UnitConsumed,
        unit.UnitScrapped,
    )
    def not_waited_for(self, fact: Fact[Any]) -> Changes:
        yield Timer.drop(PLACEMENT_OVERDUE, fact.subject)


def end_of(day: date) -> datetime:
    """Its last moment; days are those of UTC."""
    return datetime.combine(day, time.max, UTC)
