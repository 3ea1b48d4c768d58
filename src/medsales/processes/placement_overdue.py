"""When a placed unit is not back at the end of the day it was due, it is overdue (U4)."""

from medsales.domain.ids import DeviceUnitId
from medsales.domain.stock.device_unit import MarkOverdue
from medsales.domain.values import day_in_china
from medsales.engine.consequences import Then
from medsales.engine.timers import Timer, due


@due
def placement_overdue(timer: Timer) -> Then:
    return Then(MarkOverdue(due_back=day_in_china(timer.due_at)), DeviceUnitId(timer.subject))
