"""U4: what is not back by the end of its day is overdue, whatever happens to clock and worker."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.dealer import CHEN, UNION, Dealer
from tests.engine.purses import commands, history, query, until

from medsales.company import Company
from medsales.domain.governance.parking import RetryParked
from medsales.domain.ids import DeviceUnitId, OrderId
from medsales.domain.stock.device_unit import (
    CollectUnit,
    DeviceUnit,
    ExtendPlacement,
    PlaceUnit,
    ReturnUnit,
    TakeBackUnit,
)
from medsales.domain.values import CHINA
from medsales.engine import worker as module
from medsales.engine.consequences import Then
from medsales.engine.timers import DUE, Timer, Timers
from medsales.engine.worker import Worker
from medsales.projections.customer_360 import customer_seen
from medsales.projections.unit_history import history_of

DAY = date(2027, 6, 30)
EVENING = datetime(2027, 6, 30, 23, 59, 59, tzinfo=CHINA)
MIDNIGHT = datetime(2027, 7, 1, tzinfo=CHINA)
HOUR = timedelta(hours=1)


@pytest.fixture
def dealer(company: Company) -> Dealer:
    return Dealer(company)


@pytest.fixture
def lens(dealer: Dealer) -> DeviceUnitId:
    """On demo at the hospital until the end of June 2027."""
    return placed(dealer, "S1")


def placed(dealer: Dealer, serial: str, due_back: date = DAY) -> DeviceUnitId:
    unit = dealer.receive(serial)
    place = PlaceUnit(placement="demo", customer=UNION, agreement="AG-1", due_back=due_back)
    dealer.tell(place, unit)
    return unit


def at(dealer: Dealer, moment: datetime) -> None:
    """The clock says so, and the worker has done what it can."""
    dealer.company.app.clock = lambda: moment
    dealer.catch_up()


def overdue(dealer: Dealer) -> list[str]:
    return [fact.subject for fact in history(dealer.company, kinds=("PlacementOverdue",))]


def timers(dealer: Dealer) -> list[dict[str, Any]]:
    return query(
        dealer.company, "select * from timer where timer = 'placement_overdue' order by subject"
    )


def asked(dealer: Dealer) -> list[dict[str, Any]]:
    return [c for c in commands(dealer.company) if c["client"] == "process:placement_overdue"]


def test_it_is_overdue_when_the_day_is_over_and_not_before(
    dealer: Dealer, lens: DeviceUnitId
) -> None:
    at(dealer, EVENING)
    assert overdue(dealer) == []
    at(dealer, MIDNIGHT)
    assert overdue(dealer) == [lens]
    assert timers(dealer) == []


def test_it_is_told_in_the_audit_trail_and_in_the_view_of_the_customer(
    dealer: Dealer, lens: DeviceUnitId
) -> None:
    at(dealer, MIDNIGHT)
    with dealer.company.database.reading() as db:
        last = history_of(db, lens)[-1]
        seen = customer_seen(db, UNION, DAY)
    assert last.en == f"overdue: was to be back from {UNION} by 2027-06-30, agreement AG-1"
    assert last.zh == f"逾期: 应于 2027-06-30 前自 {UNION} 归还, 协议 AG-1"
    assert last.by == "process:placement_overdue"
    assert seen is not None
    assert [unit.overdue for unit in seen.units] == [True]


def test_it_says_which_fact_set_the_timer(dealer: Dealer, lens: DeviceUnitId) -> None:
    at(dealer, MIDNIGHT)
    (placed,) = history(dealer.company, kinds=("UnitPlaced",))
    (late,) = history(dealer.company, kinds=("PlacementOverdue",))
    assert (late.subject, late.envelope.cause) == (lens, placed.position)


def test_however_late_and_however_often_it_is_looked_at_it_is_asked_once(
    dealer: Dealer, lens: DeviceUnitId
) -> None:
    for years in range(3):
        at(dealer, MIDNIGHT + timedelta(days=365 * years))
    assert overdue(dealer) == [lens]
    assert len(asked(dealer)) == 1


def test_two_who_ask_at_the_same_time_or_after_a_crash_ask_once(
    dealer: Dealer, lens: DeviceUnitId
) -> None:
    """The timer still stands: nobody has projected what came of the first."""
    dealer.catch_up()
    dealer.company.app.clock = lambda: MIDNIGHT
    both = [Timers(dealer.company.app, dealer.company.database) for _ in range(2)]
    rung = [each._rung(MIDNIGHT) for each in both]
    assert [[timer.subject for timer, _ in each] for each in rung] == [[lens], [lens]]
    assert [each.step() for each in both] == [1, 0]
    both[0]._ask_alone(*rung[1][0])
    at(dealer, MIDNIGHT)
    assert overdue(dealer) == [lens]


def test_what_was_extended_is_asked_for_on_its_new_day(dealer: Dealer, lens: DeviceUnitId) -> None:
    dealer.tell(ExtendPlacement(due_back=date(2027, 7, 31), reason="trial goes on"), lens)
    at(dealer, MIDNIGHT)
    assert overdue(dealer) == []
    at(dealer, datetime(2027, 8, 1, tzinfo=CHINA))
    assert overdue(dealer) == [lens]


def test_what_is_extended_after_its_day_becomes_overdue_again(
    dealer: Dealer, lens: DeviceUnitId
) -> None:
    at(dealer, MIDNIGHT)
    dealer.tell(ExtendPlacement(due_back=date(2027, 7, 31), reason="they asked"), lens)
    dealer.tell(ExtendPlacement(due_back=DAY, reason="we said no"), lens)
    at(dealer, MIDNIGHT)
    assert overdue(dealer) == [lens, lens]


def test_what_is_back_or_on_its_way_is_not_asked_for(dealer: Dealer, lens: DeviceUnitId) -> None:
    dealer.tell(CollectUnit(reason="trial ends"), lens)
    at(dealer, MIDNIGHT)
    dealer.tell(TakeBackUnit(warehouse="warehouse:HZ"), lens)
    at(dealer, MIDNIGHT)
    assert (overdue(dealer), asked(dealer), timers(dealer)) == ([], [], [])


def test_a_timer_that_has_not_heard_of_the_extension_does_no_harm(
    dealer: Dealer, lens: DeviceUnitId
) -> None:
    dealer.catch_up()
    dealer.tell(ExtendPlacement(due_back=date(2027, 7, 31), reason="trial goes on"), lens)
    dealer.company.app.clock = lambda: MIDNIGHT
    assert Timers(dealer.company.app, dealer.company.database).step() == 1
    assert overdue(dealer) == []
    # Whatever was asked too early: the day that counts is asked for all the same.
    dealer.tell(ExtendPlacement(due_back=DAY, reason="we said no"), lens)
    at(dealer, MIDNIGHT)
    assert overdue(dealer) == [lens]


def test_a_clock_that_jumps_back_an_hour_does_no_harm(dealer: Dealer, lens: DeviceUnitId) -> None:
    at(dealer, MIDNIGHT + HOUR / 2)
    other = placed(dealer, "S2", MIDNIGHT.date())
    at(dealer, MIDNIGHT - HOUR / 2)
    assert overdue(dealer) == [lens]
    assert dealer.company.log.head() == dealer.company.follower.positions()["timer_board"]
    at(dealer, MIDNIGHT + timedelta(days=1))
    assert overdue(dealer) == [lens, other]


def test_a_refusal_is_remembered_and_not_asked_for_again(
    dealer: Dealer, lens: DeviceUnitId, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ReturnUnit(order=OrderId("order:1"), reason="overdue")
    monkeypatch.setitem(DUE, "placement_overdue", lambda timer: Then(refused, timer.subject))
    for _ in range(3):
        at(dealer, MIDNIGHT)
    assert [(c["outcome"], c["code"]) for c in asked(dealer)] == [("refused", "unit.other_order")]
    assert [timer["subject"] for timer in timers(dealer)] == [lens]


def test_a_timer_that_nobody_can_ask_is_parked_and_the_others_are_asked(
    dealer: Dealer, lens: DeviceUnitId, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, other = DUE["placement_overdue"], placed(dealer, "S2")

    def slip(timer: Timer) -> Then:
        return good(timer) if timer.subject == other else Then(good(timer).command, "lot:x")

    with monkeypatch.context() as patch:
        patch.setitem(DUE, "placement_overdue", slip)
        at(dealer, MIDNIGHT)
        assert overdue(dealer) == [other]
        (parked,) = query(dealer.company, "select * from parked")
        assert (parked["name"], parked["subject"]) == ("placement_overdue", lens)
    at(dealer, MIDNIGHT)
    assert overdue(dealer) == [other]
    dealer.tell(RetryParked(name="placement_overdue", stream=lens), by=CHEN)
    at(dealer, MIDNIGHT)
    assert overdue(dealer) == [other, lens]


def test_a_timer_that_is_set_anew_while_it_is_parked_waits_too(
    dealer: Dealer, lens: DeviceUnitId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails no less: asked all the time, it would keep the worker busy for ever."""
    good = DUE["placement_overdue"]

    def slip(timer: Timer) -> Then:
        return Then(good(timer).command, "lot:x")

    with monkeypatch.context() as patch:
        patch.setitem(DUE, "placement_overdue", slip)
        at(dealer, MIDNIGHT)
        dealer.tell(ExtendPlacement(due_back=date(2027, 7, 1), reason="late"), lens)
        dealer.company.app.clock = lambda: datetime(2027, 7, 2, tzinfo=CHINA)
        dealer.company.follower.catch_up()
        assert Timers(dealer.company.app, dealer.company.database).step() == 0
    dealer.tell(RetryParked(name="placement_overdue", stream=lens), by=CHEN)
    at(dealer, datetime(2027, 7, 2, tzinfo=CHINA))
    assert overdue(dealer) == [lens]


def test_no_day_is_too_far(dealer: Dealer) -> None:
    placed(dealer, "S9", date.max)
    at(dealer, MIDNIGHT)
    assert [timer["due_at"].date() for timer in timers(dealer)] == [date.max]
    assert query(dealer.company, "select * from parked") == []


def test_timers_are_made_anew_from_the_facts(dealer: Dealer, lens: DeviceUnitId) -> None:
    placed(dealer, "S2", date(2028, 1, 1))
    at(dealer, MIDNIGHT)
    before = timers(dealer)
    dealer.company.follower.rebuild(["timer_board"])
    assert timers(dealer) == before
    at(dealer, MIDNIGHT)
    assert overdue(dealer) == [lens]


def test_the_state_says_so_too(dealer: Dealer, lens: DeviceUnitId) -> None:
    at(dealer, MIDNIGHT)
    assert dealer.company.app.existing(lens, DeviceUnit).overdue


# The worker


@pytest.fixture
def hired(dealer: Dealer) -> Iterator[Worker]:
    one = dealer.company.worker()
    yield one
    one.stop()


def test_a_worker_sleeps_until_the_next_timer_and_no_longer_than_the_poll(
    dealer: Dealer, lens: DeviceUnitId, hired: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL", 60.0)
    patience = {EVENING - timedelta(days=9): 60, EVENING - HOUR / 60: 60, EVENING: 1, MIDNIGHT: 60}
    dealer.catch_up()
    for moment, seconds in patience.items():
        dealer.company.app.clock = partial(datetime.fromisoformat, moment.isoformat())
        assert round(hired._patience()) == seconds
    assert timers(dealer)[0]["subject"] == lens


def test_a_worker_goes_on_when_the_clock_jumps_back(
    dealer: Dealer, lens: DeviceUnitId, hired: Worker
) -> None:
    app = dealer.company.app
    app.clock = lambda: MIDNIGHT + HOUR / 2
    hired.start()
    until(lambda: overdue(dealer) == [lens])
    app.clock = lambda: MIDNIGHT - HOUR / 2
    other = placed(dealer, "S2")
    until(lambda: {timer["subject"] for timer in timers(dealer)} == {other})
    app.clock = lambda: MIDNIGHT
    until(lambda: overdue(dealer) == [lens, other])


def test_a_worker_looks_at_the_clock_although_there_is_always_more_to_do(
    dealer: Dealer, lens: DeviceUnitId, hired: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = Worker._turn
    monkeypatch.setattr(module, "POLL", 0.05)
    monkeypatch.setattr(Worker, "_turn", lambda one: turn(one) or True)
    dealer.company.app.clock = lambda: MIDNIGHT
    hired.start()
    until(lambda: overdue(dealer) == [lens])


def test_a_worker_asks_in_time_although_nothing_wakes_it(
    dealer: Dealer, lens: DeviceUnitId, hired: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL", 600.0)
    dealer.catch_up()
    ahead = EVENING + timedelta(seconds=0.5) - datetime.now(UTC)
    dealer.company.app.clock = lambda: datetime.now(UTC) + ahead
    hired.start()
    until(lambda: overdue(dealer) == [lens])
