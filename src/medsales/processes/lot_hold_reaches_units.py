"""When a lot is held, each of its units is held too, so that its own audit trail shows it.

The lot itself is asked whenever one of its units is reserved, shipped or installed: the hold counts
from its own fact on, and this process only writes it into every trail. Units whose life has ended
keep theirs as it is.
"""

from collections.abc import Iterable, Iterator

from medsales.domain.ids import DeviceUnitId
from medsales.domain.stock.device_unit import HoldUnit, LiftUnitHold
from medsales.domain.stock.lot import LotHeld, LotHoldLifted, mark_of
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.process import Then, when
from medsales.projections.lot_trace import units_of


@when(LotHeld)
def hold_units_of_lot(fact: Fact[LotHeld], db: Db) -> Iterator[Then]:
    command = HoldUnit(hold=mark_of(fact.event.hold), reason=fact.event.reason)
    yield from for_each(units_of(db, fact.subject), command)


@when(LotHoldLifted)
def lift_hold_from_units_of_lot(fact: Fact[LotHoldLifted], db: Db) -> Iterator[Then]:
    command = LiftUnitHold(hold=mark_of(fact.event.hold), reason=fact.event.reason)
    yield from for_each(units_of(db, fact.subject), command)


def for_each(units: Iterable[DeviceUnitId], command: HoldUnit | LiftUnitHold) -> Iterator[Then]:
    for unit in units:
        yield Then(command, unit)
