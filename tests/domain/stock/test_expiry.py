"""LIC-6: what expires is announced 180 days before, and locked at midnight after its last day."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tests.domain.examples import (
    HANGZHOU,
    ORDER,
    PUMP,
    PUMP_LOT,
    SN1,
    SUTURE,
    SUTURE_DI,
    SUTURE_LOT,
    UNION,
    label,
)
from tests.domain.stock.town import Town, founded

from medsales.domain.kernel import Command
from medsales.domain.stock.device_unit import (
    HoldUnit,
    InspectUnit,
    LiftUnitHold,
    ReceiveUnit,
    ReserveUnit,
    ScrapUnit,
    UnitExpired,
    UnitHeld,
    UnitNearExpiry,
    WatchUnitExpiry,
)
from medsales.domain.stock.lot import (
    EXPIRED,
    HoldLot,
    InspectLot,
    LiftLotHold,
    LotExpired,
    LotHeld,
    LotNearExpiry,
    ReceiveLot,
    ReserveLot,
    WatchLotExpiry,
    mark_of,
)
from medsales.domain.values import PartialDate

LAST = date(2027, 1, 31)
EXPIRES = PartialDate(on=LAST)
MIDNIGHT = datetime(2027, 1, 31, 16, tzinfo=UTC)
"""00:00 of the first of February in China."""
SECOND = timedelta(seconds=1)
NEAR = datetime(2026, 8, 3, 16, tzinfo=UTC)
"""00:00 of the day that is 180 days before the last."""
LOCK = LotHeld(hold=EXPIRED, reason="expired on 2027-01-31 有效期至 2027-01-31")

SUTURES: tuple[Command[Any], ...] = (
    ReceiveLot(
        udi=label(SUTURE_DI, lot="L7", expires="270131"),
        product=SUTURE,
        warehouse=HANGZHOU,
        quantity=100,
        delivery="Lily 1",
    ),
    InspectLot(warehouse=HANGZHOU, quantity=100, passed=True),
)
SINGLE: tuple[Command[Any], ...] = (
    ReceiveUnit(udi=label(serial="SN1", expires="270131"), product=PUMP, warehouse=HANGZHOU),
    InspectUnit(passed=True),
)


def sutures() -> Town:
    return founded().told(*SUTURES)


def single() -> Town:
    return founded().told(*SINGLE)


def test_lic6_180_days_are_counted_to_the_last_day() -> None:
    assert (LAST - NEAR.date()).days - 1 == 180


class TestLots:
    def test_lic6_a_lot_near_its_expiry_is_announced_once(self) -> None:
        town, near = sutures(), LotNearExpiry(expires=EXPIRES)
        town.when(WatchLotExpiry(), at=NEAR - SECOND).then()
        town.when(WatchLotExpiry(), at=NEAR).then(near)
        town.told(WatchLotExpiry(), at=NEAR).when(WatchLotExpiry(), at=MIDNIGHT - SECOND).then()

    def test_lic6_at_midnight_after_its_last_day_it_is_locked(self) -> None:
        town = sutures().told(WatchLotExpiry(), at=NEAR)
        town.when(WatchLotExpiry(), at=MIDNIGHT).then(LotExpired(expires=EXPIRES), LOCK)
        town.told(WatchLotExpiry(), at=MIDNIGHT).when(WatchLotExpiry(), at=MIDNIGHT).then()

    def test_lic6_a_lot_that_was_expired_when_it_came_is_locked_without_an_announcement(
        self,
    ) -> None:
        sutures().when(WatchLotExpiry(), at=MIDNIGHT).then(LotExpired(expires=EXPIRES), LOCK)

    def test_lic6_what_is_locked_is_not_reserved_from_midnight_in_china_on(self) -> None:
        """Locked by its hold, and by its date also while no timer has rung."""
        reserve = ReserveLot(order=ORDER, warehouse=HANGZHOU, quantity=1)
        sutures().told(reserve, at=MIDNIGHT - timedelta(seconds=1))
        locked = sutures().told(WatchLotExpiry(), at=MIDNIGHT)
        locked.when(reserve, at=MIDNIGHT).refused("lot.held", EXPIRED)
        sutures().when(reserve, at=MIDNIGHT).refused("lot.expired")

    def test_lic6_the_lock_is_not_lifted_while_the_lot_is_expired(self) -> None:
        locked = sutures().told(WatchLotExpiry(), at=MIDNIGHT)
        lift = LiftLotHold(hold=EXPIRED, reason="still looks good")
        locked.when(lift, at=MIDNIGHT).refused("lot.expired")

    def test_lic6_a_unit_of_a_locked_lot_is_locked_with_it(self) -> None:
        receive = ReceiveUnit(
            udi=label(serial="SN1", lot="A213B1", expires="270131"),
            product=PUMP,
            warehouse=HANGZHOU,
        )
        town = founded().told(receive, InspectUnit(passed=True))
        town.told(WatchLotExpiry(), id=PUMP_LOT, at=MIDNIGHT)
        town.when(ReserveUnit(order=ORDER, customer=UNION), at=MIDNIGHT).refused("lot.held")
        town.told(HoldUnit(hold=mark_of(EXPIRED), reason=LOCK.reason))
        lift = LiftUnitHold(hold=mark_of(EXPIRED), reason="still looks good")
        town.when(lift, at=MIDNIGHT).refused("unit.held_with_its_lot")

    def test_a_lot_without_an_expiry_never_expires(self) -> None:
        endless = SUTURES[0].model_copy(update={"udi": label(SUTURE_DI, lot="L7")})
        town = founded().told(endless, id=SUTURE_LOT)
        town.when(WatchLotExpiry(), at=datetime(2099, 1, 1, tzinfo=UTC)).then()

    def test_other_holds_stand_beside_the_lock(self) -> None:
        held = sutures().told(HoldLot(hold="Q-7", reason="doubt"))
        held.told(WatchLotExpiry(), at=MIDNIGHT)
        assert held.lot().holds == {"Q-7", EXPIRED}


class TestSingleUnits:
    """Units without a lot are watched one by one."""

    def test_lic6_a_unit_is_announced_and_locked(self) -> None:
        town = single()
        town.when(WatchUnitExpiry(), at=NEAR).then(UnitNearExpiry(expires=EXPIRES))
        town.told(WatchUnitExpiry(), at=NEAR)
        town.when(WatchUnitExpiry(), at=NEAR).then()
        town.when(WatchUnitExpiry(), at=MIDNIGHT).then(
            UnitExpired(expires=EXPIRES), UnitHeld(hold=EXPIRED, reason=LOCK.reason)
        )
        town.told(WatchUnitExpiry(), at=MIDNIGHT)
        town.when(WatchUnitExpiry(), at=MIDNIGHT).then()
        reserve = ReserveUnit(order=ORDER, customer=UNION)
        town.when(reserve, at=MIDNIGHT).refused("unit.held", EXPIRED)

    def test_lic6_its_lock_is_not_lifted_while_it_is_expired(self) -> None:
        town = single().told(WatchUnitExpiry(), at=MIDNIGHT)
        lift = LiftUnitHold(hold=EXPIRED, reason="still looks good")
        town.when(lift, at=MIDNIGHT).refused("unit.expired")

    def test_a_unit_that_has_ended_is_left_in_peace(self) -> None:
        town = single().told(ScrapUnit(reason="fell"))
        town.when(WatchUnitExpiry(), SN1, at=MIDNIGHT).then()


@pytest.mark.parametrize("month", ["270100"])
def test_udi5_a_month_without_a_day_lasts_to_its_end(month: str) -> None:
    received = SUTURES[0].model_copy(update={"udi": label(SUTURE_DI, lot="L7", expires=month)})
    town = founded().told(received, id=SUTURE_LOT).told(WatchLotExpiry(), at=NEAR)
    town.when(WatchLotExpiry(), at=MIDNIGHT - SECOND).then()
    assert town.when(WatchLotExpiry(), at=MIDNIGHT).events[0] == LotExpired(
        expires=PartialDate.month(2027, 1)
    )
