"""Parking: what cannot be taken in waits with the rest of its stream, and nothing else does."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from eventsourcing import persistence
from eventsourcing.persistence import StoredEvent
from tests.engine.conftest import Server
from tests.engine.purses import (
    ANN,
    MANAGER,
    Balances,
    CoinsPut,
    CoinsTaken,
    Flows,
    PurseOpened,
    PutCoins,
    TakeCoins,
    asked,
    at_once,
    coins,
    do,
    history,
    opened,
    purse,
    query,
)
from tests.engine.test_processes import save_some, worked

from medsales.company import Company
from medsales.domain.governance.parking import DiscardParked, ParkedRetried, RetryParked
from medsales.domain.kernel import EVENTS, Refused
from medsales.engine import follower, parking, projection
from medsales.engine.application import Receipt
from medsales.engine.committer import Overloaded
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.parking import DISCARDED, RETRIED, Parked, unfit
from medsales.engine.process import POLICIES, Then
from medsales.engine.projection import Changes, Projection, on

UNLUCKY = 13
TOO_MANY = 2**70
"""More coins than a column takes."""


class Careless(Projection):
    """How much is in each purse, as far as nobody puts 13 coins in."""

    rows = Balances.rows
    trips_over: int | None = UNLUCKY

    @on(PurseOpened, CoinsPut, CoinsTaken)
    def moved(self, fact: Fact[Any]) -> Changes:
        if fact.event.coins == self.trips_over:
            raise ZeroDivisionError("thirteen")
        yield from Balances().changes(fact)


@pytest.fixture
def town(company: Company, server: Server) -> Iterator[Company]:
    """Ann has 10 coins, Bob 5; the balances are kept by somebody careless."""
    other = opened(server.url, company.name, (Careless, Flows))
    other.follower.prepare()
    purse(other, "ann", 10)
    purse(other, "bob", 5)
    yield other
    other.database.close()


def put(company: Company, owner: str, *amounts: int) -> Receipt:
    return [do(company, PutCoins(coins=amount), f"purse:{owner}") for amount in amounts][-1]


def recorded(company: Company, owner: str, name: str, state: str) -> None:
    """A fact as another version of the program may have left it."""
    id = f"purse:{owner}"
    version = company.app.load(id).version + 1
    company.log.insert_events([StoredEvent(id, version, name, state.encode())])


def parked(company: Company) -> list[Parked]:
    with company.database.cursor() as db:
        return parking.parked(db)


def where(company: Company) -> dict[tuple[str, str], int]:
    return {(each.name, each.subject): each.position for each in parked(company)}


def balances(company: Company) -> dict[str, int]:
    return {row["purse"]: row["coins"] for row in query(company, "select * from balance")}


def retry(company: Company, owner: str = "ann", name: str = "careless") -> Receipt:
    return do(company, RetryParked(name=name, stream=f"purse:{owner}"), by=MANAGER)


def discard(company: Company, position: int, owner: str = "ann", name: str = "careless") -> Receipt:
    stream = f"purse:{owner}"
    wish = DiscardParked(name=name, stream=stream, position=position, reason="a slip of the pen")
    return do(company, wish, by=MANAGER)


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Careless, "trips_over", None)


# What is parked


def test_a_fact_that_a_handler_trips_over_waits_with_the_rest_of_its_stream(town: Company) -> None:
    put(town, "ann", 1, UNLUCKY, 2)
    put(town, "bob", 3)
    town.follower.catch_up()
    assert balances(town) == {"purse:ann": 11, "purse:bob": 8}
    (one,) = parked(town)
    assert (one.name, one.subject, one.position) == ("careless", "purse:ann", 4)
    assert one.error == "ZeroDivisionError: thirteen"


def test_everybody_else_takes_it_in_and_goes_on(town: Company) -> None:
    put(town, "ann", 1, UNLUCKY, 2)
    town.follower.catch_up()
    put(town, "ann", 4)
    town.follower.catch_up()
    assert query(town, "select coins from flow") == [{"coins": 1 + UNLUCKY + 2 + 4}]
    assert town.follower.positions() == {"careless": 6, "flows": 6}
    assert balances(town)["purse:ann"] == 11


STRANGE: dict[str, tuple[Callable[[Company], object], str]] = {
    "an event of an unknown name": (
        lambda town: recorded(town, "ann", "CoinsMelted", '{"coins":1}'),
        "UnknownEvent: no event is called CoinsMelted; a newer medsales may have recorded it",
    ),
    "a state that cannot be read": (
        lambda town: recorded(town, "ann", "CoinsPut", '{"coins":"many"}'),
        "ValidationError",
    ),
    "rows that the database refuses": (
        lambda town: put(town, "ann", TOO_MANY),
        "out of range",
    ),
}


@pytest.mark.parametrize(("happens", "error"), STRANGE.values(), ids=STRANGE)
@pytest.mark.parametrize("batch", [1, 100])
def test_whatever_cannot_be_taken_in_is_found_and_parked(
    town: Company,
    happens: Callable[[Company], object],
    error: str,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follower, "BATCH", batch)
    put(town, "bob", 1)
    happens(town)
    put(town, "bob", 2)
    town.follower.catch_up()
    assert balances(town) == {"purse:ann": 10, "purse:bob": 8}
    assert where(town) == dict.fromkeys((("careless", "purse:ann"), ("flows", "purse:ann")), 4)
    assert all(error in each.error for each in parked(town))


def test_one_bad_fact_among_many_is_found_by_halving(
    town: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.follower.catch_up()
    town.app.handle_many([asked(PutCoins(coins=1), "purse:bob") for _ in range(600)])
    put(town, "ann", UNLUCKY)
    town.app.handle_many([asked(PutCoins(coins=1), "purse:bob") for _ in range(400)])
    fold, folds = projection.fold, []

    def counted(projections: Any, news: Any) -> Any:
        folds.append(len(news))
        return fold(projections, news)

    monkeypatch.setattr(parking, "fold", counted)
    town.follower.catch_up()
    assert balances(town) == {"purse:ann": 10, "purse:bob": 1005}
    assert 1 in folds
    assert len(folds) <= 2 + 2 * 11


def test_what_follows_in_a_parked_stream_is_not_looked_for_again(
    town: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(town, "ann", UNLUCKY)
    town.follower.catch_up()
    put(town, "ann", 1, UNLUCKY)
    put(town, "bob", 1)
    with monkeypatch.context() as patch:
        patch.setattr(parking, "take_in_what_fits", None)
        town.follower.catch_up()
    assert where(town) == {("careless", "purse:ann"): 3}
    assert balances(town) == {"purse:ann": 10, "purse:bob": 6}


def test_followers_at_once_park_once_and_take_in_everything_else_once(
    town: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "BATCH", 5)
    others = [opened(server.url, town.name, (Careless, Flows)) for _ in range(3)]
    put(town, "ann", 1, UNLUCKY)
    town.app.handle_many([asked(PutCoins(coins=1), "purse:bob") for _ in range(40)])
    put(town, "ann", 1)
    town.app.handle_many([asked(PutCoins(coins=1), "purse:bob") for _ in range(40)])
    retry(town)
    at_once(3, lambda n: others[n].follower.catch_up())
    assert where(town) == {("careless", "purse:ann"): 4}
    assert balances(town) == {"purse:ann": 11, "purse:bob": 85}
    for other in others:
        other.database.close()


def test_several_streams_are_parked_from_one_batch(town: Company) -> None:
    put(town, "ann", UNLUCKY, 1)
    put(town, "bob", 2, UNLUCKY, UNLUCKY)
    purse(town, "eve", 7)
    town.follower.catch_up()
    assert where(town) == {("careless", "purse:ann"): 3, ("careless", "purse:bob"): 6}
    assert balances(town) == {"purse:ann": 10, "purse:bob": 7, "purse:eve": 7}


ILLS = {
    "a lost connection": psycopg.OperationalError("gone"),
    "a full disk": psycopg.errors.DiskFull("full"),
    "a deadlock": psycopg.errors.DeadlockDetected("two"),
    "no memory": MemoryError(),
    "a missing table": psycopg.errors.UndefinedTable("balance"),
    "the end": KeyboardInterrupt(),
}
FAULTS = {
    "a handler": ZeroDivisionError(),
    "a number too large": psycopg.errors.NumericValueOutOfRange("bigint"),
    "a column without a value": psycopg.errors.NotNullViolation("purse"),
    "a row twice": psycopg.errors.CardinalityViolation("twice"),
    "a text too long for its index": psycopg.errors.ProgramLimitExceeded("2704"),
}


@pytest.mark.parametrize("error", ILLS.values(), ids=ILLS)
def test_a_sick_database_parks_nothing(error: BaseException) -> None:
    assert not unfit(error)


@pytest.mark.parametrize("error", FAULTS.values(), ids=FAULTS)
def test_what_facts_are_to_blame_for_is_parked(error: BaseException) -> None:
    assert unfit(error)


def test_an_error_is_judged_by_its_cause_where_the_library_has_wrapped_it() -> None:
    for cause, wrapper in (
        (psycopg.errors.NumericValueOutOfRange("x"), persistence.DataError("x")),
        (psycopg.errors.DiskFull("x"), persistence.OperationalError("x")),
    ):
        wrapper.__cause__ = cause
        assert unfit(wrapper) is isinstance(cause, psycopg.DataError)


def test_an_error_is_kept_in_one_line_of_bounded_length() -> None:
    assert parking.told(ValueError("two\n lines\0")) == "ValueError: two lines"
    assert len(parking.told(ValueError("x" * 10_000))) == parking.LONGEST_ERROR


# What is decided about it


def test_what_was_mended_is_tried_again_with_all_that_waited(
    town: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(town, "ann", 1, UNLUCKY, 2)
    town.follower.catch_up()
    mend(monkeypatch)
    retry(town)
    put(town, "ann", 4)
    town.follower.catch_up()
    assert parked(town) == []
    assert balances(town)["purse:ann"] == 10 + 1 + UNLUCKY + 2 + 4
    assert town.follower.verify(["careless", "flows"]) == []


def test_a_long_stream_is_tried_again_batch_after_batch(
    town: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "BATCH", 3)
    put(town, "ann", UNLUCKY, *([1] * 10))
    town.follower.catch_up()
    mend(monkeypatch)
    retry(town)
    town.follower.catch_up()
    assert balances(town)["purse:ann"] == 10 + UNLUCKY + 10


def test_a_retry_that_fails_parks_again_and_tells_the_new_error(
    town: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(town, "ann", UNLUCKY, 2, 3)
    town.follower.catch_up()
    monkeypatch.setattr(Careless, "trips_over", 3)
    retry(town)
    put(town, "ann", 4)
    put(town, "bob", 1)
    town.follower.catch_up()
    assert where(town) == {("careless", "purse:ann"): 5}
    assert balances(town) == {"purse:ann": 10 + UNLUCKY + 2, "purse:bob": 6}


def test_a_discarded_fact_is_passed_over_and_its_stream_goes_on(town: Company) -> None:
    put(town, "ann", UNLUCKY, 2)
    town.follower.catch_up()
    discard(town, 3)
    put(town, "ann", 4)
    town.follower.catch_up()
    assert parked(town) == []
    assert balances(town)["purse:ann"] == 10 + 2 + 4
    assert query(town, "select coins from flow") == [{"coins": UNLUCKY + 2 + 4}]


def test_a_discarded_fact_is_passed_over_by_a_rebuild_too(
    town: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(town, "ann", UNLUCKY, 2)
    town.follower.catch_up()
    discard(town, 3)
    town.follower.catch_up()
    mend(monkeypatch)
    town.follower.rebuild(["careless"])
    assert balances(town)["purse:ann"] == 12
    assert town.follower.verify(["careless", "flows"]) == []


def test_what_is_parked_is_no_difference_between_rows_and_facts(town: Company) -> None:
    put(town, "ann", UNLUCKY, 2)
    put(town, "bob", 1)
    town.follower.catch_up()
    assert town.follower.verify(["careless", "flows"]) == []


def test_a_discard_is_about_the_fact_that_was_looked_at(
    town: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(town, "ann", UNLUCKY, 2, 3)
    town.follower.catch_up()
    monkeypatch.setattr(Careless, "trips_over", 3)
    retry(town)
    discard(town, 3)
    town.follower.catch_up()
    assert where(town) == {("careless", "purse:ann"): 5}
    discard(town, 5)
    town.follower.catch_up()
    assert (where(town), balances(town)["purse:ann"]) == ({}, 10 + UNLUCKY + 2)


def test_decisions_about_what_is_not_parked_change_nothing(town: Company) -> None:
    put(town, "ann", 1)
    for name in ("careless", "nobody"):
        retry(town, name=name)
        discard(town, 3, name=name)
    town.follower.catch_up()
    assert balances(town)["purse:ann"] == 11
    assert parked(town) == []
    assert town.follower.verify(["careless", "flows"]) == []


def test_a_decision_is_a_fact_with_its_author_and_reason(town: Company) -> None:
    retry(town)
    discard(town, 3)
    retried, discarded = history(town, subject="parking:careless")
    assert (retried.name, retried.by) == (RETRIED, "mei")
    assert (discarded.name, discarded.event.position) == (DISCARDED, 3)
    assert discarded.event.reason == "a slip of the pen"


def test_the_same_fact_is_discarded_once(town: Company) -> None:
    assert [discard(town, 3).events for _ in range(2)] == [(DISCARDED,), ()]


def test_only_those_who_answer_for_it_decide(town: Company) -> None:
    with pytest.raises(Refused, match="is for quality or manager"):
        do(town, RetryParked(name="careless", stream="purse:ann"), by=ANN)


def test_the_engine_knows_the_decisions_by_their_stored_names() -> None:
    assert {EVENTS[name].__module__ for name in (RETRIED, DISCARDED)} == {ParkedRetried.__module__}


def test_a_decision_that_cannot_be_read_stops_nobody(town: Company) -> None:
    town.log.insert_events([StoredEvent("parking:careless", 1, RETRIED, b'{"stream":7}')])
    put(town, "ann", 1)
    town.follower.catch_up()
    assert balances(town)["purse:ann"] == 11


def test_what_only_an_older_version_did_not_know_is_taken_in_when_a_newer_one_begins(
    town: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(town, "ann", "CoinsMelted", '{"coins":1}')
    recorded(town, "bob", "CoinsLost", '{"coins":1}')
    town.follower.catch_up()
    assert len(parked(town)) == 4
    town.follower.recognise()
    assert len(parked(town)) == 4
    with monkeypatch.context() as patch:
        patch.setitem(EVENTS, "CoinsMelted", EVENTS["CoinsPut"])
        put(town, "ann", 5)
        town.follower.catch_up()
        assert balances(town)["purse:ann"] == 10
        town.follower.recognise()
        assert {each.subject for each in parked(town)} == {"purse:bob"}
        assert balances(town)["purse:ann"] == 15


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_parked_retried_and_discarded_the_rows_are_those_of_the_facts(
    town: Company, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(follower, "BATCH", dice.choice([1, 3, 10, 100]))
    expected, gone = {"ann": 10, "bob": 5, "eve": 0}, {"ann": 0, "bob": 0, "eve": 0}
    purse(town, "eve", 0)
    for _ in range(25):
        owner, amount = dice.choice(list(expected)), dice.choice([1, 2, UNLUCKY, TOO_MANY])
        put(town, owner, amount)
        expected[owner] += amount
        if dice.random() < 0.3:
            town.follower.catch_up()
            for each in parked(town):
                who = each.subject.removeprefix("purse:")
                if each.name == "careless" and dice.random() < 0.5:
                    (fact,) = history(town, after=each.position - 1, upto=each.position)
                    discard(town, each.position, who)
                    gone[who] += fact.event.coins
                elif dice.random() < 0.5:
                    retry(town, who, each.name)
    mend(monkeypatch)
    town.follower.catch_up()
    while left := [each for each in parked(town) if each.name == "careless"]:
        for each in left:
            who = each.subject.removeprefix("purse:")
            (fact,) = history(town, after=each.position - 1, upto=each.position)
            if fact.event.coins == TOO_MANY:
                discard(town, each.position, who)
                gone[who] += TOO_MANY
            else:
                retry(town, who)
        town.follower.catch_up()
    told = {f"purse:{owner}": expected[owner] - gone[owner] for owner in expected}
    assert balances(town) == told
    assert town.follower.verify(["careless", "flows"]) == []


# Processes


def slip(fact: Fact[CoinsTaken], _: Db) -> Iterator[Then]:
    """Whenever coins are taken, a coin goes to Bob; but not if there were 3."""
    if fact.event.coins == TRIPS["over"]:
        raise ZeroDivisionError("three")
    yield Then(PutCoins(coins=1), "purse:bob")


TRIPS = {"over": 3}


@pytest.fixture
def savers(town: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    """Two policies look at what is taken; one of them slips."""
    monkeypatch.setitem(POLICIES, "CoinsTaken", [slip, save_some])
    purse(town, "savings", 0)
    return town


def take(company: Company, owner: str, *amounts: int) -> None:
    for amount in amounts:
        do(company, TakeCoins(coins=amount), f"purse:{owner}")


def test_a_policy_that_raises_has_the_stream_parked_for_itself_alone(savers: Company) -> None:
    purse(savers, "eve", 9)
    take(savers, "ann", 1, 3, 2)
    take(savers, "eve", 1)
    worked(savers)
    assert where(savers) == {("slip", "purse:ann"): 6}
    assert coins(savers, "purse:bob") == 5 + 2
    assert coins(savers, "purse:savings") == 1 + 3 + 2 + 1


def test_a_policy_that_was_mended_reacts_to_all_that_waited_once(
    savers: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(savers, "ann", 1, 3, 2)
    worked(savers)
    monkeypatch.setitem(TRIPS, "over", 0)
    for _ in range(2):
        retry(savers, name="slip")
    worked(savers)
    assert (parked(savers), coins(savers, "purse:bob")) == ([], 5 + 3)


def test_a_retry_of_a_policy_that_slips_again_parks_again(
    savers: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(savers, "ann", 3, 2, 1)
    worked(savers)
    monkeypatch.setitem(TRIPS, "over", 2)
    retry(savers, name="slip")
    worked(savers)
    assert where(savers) == {("slip", "purse:ann"): 5}
    assert coins(savers, "purse:bob") == 6


def test_a_policy_passes_a_discarded_fact_over(savers: Company) -> None:
    take(savers, "ann", 3, 2)
    worked(savers)
    discard(savers, 4, name="slip")
    worked(savers)
    assert (parked(savers), coins(savers, "purse:bob")) == ([], 6)


def test_a_decision_about_a_policy_counts_although_its_doing_was_cut_off(
    savers: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(savers, "ann", 3, 2)
    worked(savers)
    monkeypatch.setitem(TRIPS, "over", 0)
    retry(savers, name="slip")
    with monkeypatch.context() as patch:
        patch.setattr(parking, "free", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            worked(savers)
    worked(savers)
    assert (parked(savers), coins(savers, "purse:bob")) == ([], 7)


def test_a_command_that_nobody_can_decide_is_the_fault_of_its_cause(
    savers: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask_badly(_: Fact[CoinsTaken], __: Db) -> Iterator[Then]:
        yield Then(PutCoins(coins=1), "ceiling:town")

    monkeypatch.setitem(POLICIES, "CoinsTaken", [ask_badly, save_some])
    take(savers, "ann", 3)
    worked(savers)
    assert where(savers) == {("ask_badly", "purse:ann"): 4}
    assert coins(savers, "purse:savings") == 3


def test_what_may_be_better_in_a_moment_is_not_parked(
    savers: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(savers, "ann", 1)
    handle_many = savers.app.handle_many
    with monkeypatch.context() as patch:
        patch.setattr(savers.app, "handle_many", lambda asks: [Overloaded("busy")] * len(asks))
        with pytest.raises(Overloaded):
            worked(savers)
    assert parked(savers) == []
    assert savers.app.handle_many == handle_many
    worked(savers)
    assert coins(savers, "purse:savings") == 1
