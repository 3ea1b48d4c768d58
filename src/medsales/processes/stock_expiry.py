"""At midnight after its last day goods are locked, and near it they are announced (LIC-6).

A lot is watched as one, however many units it has: the lock is a hold of the lot, and reaches the
trail of each unit as every hold of a lot does. Units without a lot are watched one by one.
"""

from medsales.domain.ids import DeviceUnitId, LotId
from medsales.domain.stock.device_unit import WatchUnitExpiry
from medsales.domain.stock.lot import WatchLotExpiry
from medsales.engine.consequences import Then
from medsales.engine.timers import Timer, due


@due
def lot_expiry(timer: Timer) -> Then:
    return Then(WatchLotExpiry(), LotId(timer.subject))


@due
def unit_expiry(timer: Timer) -> Then:
    return Then(WatchUnitExpiry(), DeviceUnitId(timer.subject))
