"""Rebuilding: read models made anew beside the old ones, swapped in, or compared with the facts."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from eventsourcing.persistence import PersistenceError
from tests.engine.conftest import Server
from tests.engine.purses import (
    Balances,
    CoinsPut,
    Flows,
    PutCoins,
    asked,
    at_once,
    execute,
    new_name,
    opened,
    purse,
    query,
    until,
)
from tests.engine.test_follower import BOTH, balances, line_of, program, put
from tests.engine.trade import opened_for_business, ordered, received

from medsales.company import Company
from medsales.engine import follower, parking, parts, rebuild, schema
from medsales.engine.database import explained
from medsales.engine.facts import Fact
from medsales.engine.follower import Follower
from medsales.engine.projection import Change
from medsales.engine.rebuild import Rebuild

PURSES = 12


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small log is cut as a large one is, and taken by processes."""
    monkeypatch.setattr(parts, "PART", 10)
    monkeypatch.setattr(rebuild, "SMALL", 0)


def saved(company: Company, times: int = 4) -> dict[str, tuple[int, int]]:
    """Some purses, each with some coins, projected as they came."""
    for n in range(PURSES):
        purse(company, f"owner-{n}", n)
    for _ in range(times):
        company.app.handle_many(
            [asked(PutCoins(coins=n + 1), f"purse:owner-{n}") for n in range(PURSES)]
        )
    company.follower.catch_up()
    return balances(company)


def flows(company: Company) -> dict[str, int]:
    return {row["event"]: row["coins"] for row in query(company, "select * from flow")}


def spoil(company: Company) -> None:
    """Whatever is right afterwards has been made anew."""
    execute(company, "update balance set coins = -1")
    execute(company, "update flow set coins = -1")


def shadows(company: Company) -> list[dict[str, Any]]:
    return query(
        company,
        "select nspname from pg_namespace where nspname like '%%' || %s || '%%' and nspname <> %s",
        company.name,
        company.database.schema,
    )


# The same rows


def test_a_rebuild_makes_the_same_rows_from_the_facts(company: Company) -> None:
    purse(company)
    put(company, 5)
    company.follower.catch_up()
    before = balances(company)
    execute(company, "update balance set coins = 999")
    company.follower.rebuild(["balances"])
    assert (balances(company), company.follower.positions()) == (before, dict.fromkeys(BOTH, 6))


@pytest.mark.usefixtures("in_parts")
def test_processes_that_share_the_parts_make_the_same_rows(company: Company) -> None:
    before, flowed = saved(company), flows(company)
    spoil(company)
    company.follower.rebuild(BOTH, workers=2)
    assert (balances(company), flows(company)) == (before, flowed)
    assert company.follower.verify(BOTH, workers=1) == []
    assert shadows(company) == []


@pytest.mark.usefixtures("in_parts")
def test_every_read_model_is_the_same_after_a_rebuild_by_parts(
    trader: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "RUN", 3)
    opened_for_business(trader)
    received(trader, 4)
    ordered(trader, "1", 2)
    trader.follower.catch_up()
    names = list(trader.follower.projections)
    assert trader.follower.verify(names, workers=1) == []
    found = trader.follower.rebuild(names, workers=1)
    assert [one.table for one in found if one] == []
    assert sum(one.told_count for one in found) > 20


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("long", [1, 3, 7])
def test_a_stream_that_is_too_long_for_memory_is_folded_in_pieces(
    company: Company, monkeypatch: pytest.MonkeyPatch, long: int
) -> None:
    monkeypatch.setattr(parts, "RUN", 2)
    monkeypatch.setattr(parts, "LONG", long)
    purse(company, "ann", 1)
    put(company, 15)
    before, flowed = saved(company), flows(company)
    spoil(company)
    company.follower.rebuild(BOTH, workers=1)
    assert (balances(company), flows(company)) == (before, flowed)


def test_streams_are_kept_whole_but_for_very_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LONG", 4)
    given = ["aab", "bcd", "eee", "eee", "eef", "g"]
    told = [
        ("".join(fact.subject for fact in run), ends)
        for run, ends in parts.runs([[of(subject) for subject in chunk] for chunk in given])
    ]
    assert told == [
        *(("aa", True), ("bbc", True), ("d", True), ("eeeeee", False), ("ee", True)),
        *(("f", True), ("g", True)),
    ]


def of(subject: str) -> Fact[Any]:
    return Fact((0, subject, 0, "", b"", b"", None, None, ""))  # type: ignore[arg-type]


@pytest.mark.usefixtures("in_parts")
def test_keys_and_indexes_have_their_names_after_any_number_of_rebuilds(trader: Company) -> None:
    indexes = "select indexname, indexdef from pg_indexes where schemaname = current_schema()"
    before = query(trader, f"{indexes} order by 1")
    assert any(row["indexname"] == "unit_at_site_customer_unit" for row in before)
    for _ in range(2):
        trader.follower.rebuild(list(trader.follower.projections), workers=1)
        assert query(trader, f"{indexes} order by 1") == before


# Compared with the old ones


def test_a_rebuild_tells_how_many_rows_differ_from_the_old_ones(company: Company) -> None:
    saved(company)
    execute(company, "update balance set coins = 999 where purse = 'purse:owner-1'")
    found = {one.table: one for one in company.follower.rebuild(BOTH)}
    assert found["balance"].differing == 2
    assert [row["coins"] for row in found["balance"].stored_only] == [999]
    assert found["balance"].stored_count == found["balance"].told_count == PURSES
    assert not found["flow"]
    assert not any(company.follower.rebuild(BOTH))


def test_old_rows_of_another_shape_are_not_compared(company: Company) -> None:
    before = saved(company)
    execute(company, "alter table balance add column colour text")
    found = {one.table: one for one in company.follower.rebuild(BOTH)}
    assert found["balance"].not_compared == "its columns are others than before"
    assert balances(company) == before
    assert "colour" not in query(company, "select * from balance limit 1")[0]


def test_old_rows_that_are_far_behind_are_not_waited_for(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "NEAR", 3)
    purse(company)
    put(company, 9)
    found = company.follower.rebuild(BOTH)
    assert {one.not_compared for one in found} == {rebuild.FAR_BEHIND}
    assert company.follower.positions() == dict.fromkeys(BOTH, 10)
    assert balances(company) == {"purse:ann": (19, 10)}


# Killed and begun again


REBUILD = """
from medsales.engine import parts, rebuild
rebuild.SMALL, parts.PART = 0, 10
def wait(done, all):
    print(done, flush=True)
    sys.stdin.readline()
company.follower.rebuild(["balances", "flows"], progress=wait, workers=WORKERS)
print("done", flush=True)
"""


@pytest.mark.usefixtures("in_parts")
def test_a_rebuild_that_is_killed_goes_on_where_it_was(company: Company, server: Server) -> None:
    before, flowed = saved(company), flows(company)
    killed = program(server, company, REBUILD.replace("WORKERS", "1"))
    first = int(line_of(killed))
    assert killed.stdin is not None
    killed.stdin.write("\n")
    killed.stdin.flush()
    # It tells of the second part before that is done.
    second = int(line_of(killed))
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert (balances(company), company.follower.positions()) == (before, dict.fromkeys(BOTH, 60))
    done = query(company, "select sum(facts)::int as facts from rebuild_parts where done")
    assert done == [{"facts": first}]
    spoil(company)
    told: list[int] = []
    company.follower.rebuild(BOTH, workers=1, progress=lambda done, _: told.append(done))
    assert told[0] == second
    assert told[-1] == 60
    assert (balances(company), flows(company)) == (before, flowed)
    assert shadows(company) == []
    assert query(company, "select * from rebuilds, rebuild_parts") == []


@pytest.mark.usefixtures("in_parts")
def test_what_was_begun_for_other_read_models_or_by_other_code_is_begun_anew(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved(company)

    def stumble(*_: Any) -> None:
        raise KeyboardInterrupt

    def left_over(names: tuple[str, ...]) -> None:
        with pytest.raises(KeyboardInterrupt):
            company.follower.rebuild(names, workers=1, progress=stumble)
        execute(company, "update rebuild_parts set done = true")

    left_over(BOTH)
    company.follower.rebuild(["balances"], workers=1)
    assert balances(company) == before
    left_over(("balances",))
    monkeypatch.setattr(Balances, "fingerprint", lambda *_: "another day's code")
    company.follower.rebuild(["balances"], workers=1)
    assert balances(company) == before


def test_a_rebuild_that_fails_leaves_the_old_rows(company: Company) -> None:
    purse(company)
    company.follower.catch_up()

    def stumble(_: int, __: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        company.follower.rebuild(BOTH, progress=stumble)
    assert balances(company) == {"purse:ann": (10, 1)}
    assert company.follower.verify(BOTH) == []


@pytest.mark.usefixtures("in_parts")
def test_parts_of_a_process_that_dies_are_done_by_the_others(
    company: Company, server: Server
) -> None:
    if server.major == 15:
        pytest.skip("processes are slow to start, and the same to every server")
    before, flowed = saved(company), flows(company)
    spoil(company)
    killed: list[int] = []

    def kill_one(_: int, __: int) -> None:
        alive = [child for child in multiprocessing.active_children() if child.pid]
        if alive and not killed:
            killed.append(alive[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    company.follower.rebuild(BOTH, workers=2, progress=kill_one)
    assert len(killed) == 1
    assert (balances(company), flows(company)) == (before, flowed)


@pytest.mark.usefixtures("in_parts")
def test_parts_that_nobody_took_are_done_all_the_same(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when every process was killed."""
    before = saved(company)
    spoil(company)
    monkeypatch.setattr(Rebuild, "_have_parts_taken", lambda *_: None)
    company.follower.rebuild(BOTH, workers=2)
    assert balances(company) == before


# Swapped in while all are at work


def test_readers_never_see_an_empty_or_half_table(company: Company, server: Server) -> None:
    saved(company)
    reader = opened(server.url, company.name)
    done = threading.Event()

    def work(n: int) -> int:
        if n == 0:
            for _ in range(8):
                company.follower.rebuild(BOTH)
            done.set()
            return 0
        return hammered(n)

    def hammered(n: int) -> int:
        times = 0
        while not done.is_set():
            assert plain() if n == 1 else snapshot()
            times += 1
        return times

    def plain() -> bool:
        with reader.database.cursor() as db:
            found = db.execute("select count(*) as n from balance", prepare=True).fetchone()
            joined = db.execute("select from balance, flow where event = 'CoinsPut'").fetchall()
        return found == {"n": PURSES} and len(joined) == PURSES

    def snapshot() -> bool:
        with reader.database.reading() as db:
            flow = db.execute("select coins from flow where event = 'CoinsPut'").fetchone()
            rows = db.execute("select coins from balance", prepare=True).fetchall()
        assert flow is not None
        begun = sum(range(PURSES))
        return len(rows) == PURSES and sum(row["coins"] for row in rows) - begun == flow["coins"]

    assert min(at_once(3, work)[1:]) > 8
    reader.database.close()


@pytest.mark.usefixtures("in_parts")
def test_a_swap_waits_for_who_is_reading_and_lets_others_read(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved(company)
    tries: list[bool] = []
    swapped = Rebuild._swapped

    def watched(self: Rebuild) -> bool:
        tries.append(swapped(self))
        return tries[-1]

    monkeypatch.setattr(Rebuild, "_swapped", watched)
    rebuilding = threading.Thread(
        target=company.follower.rebuild, args=(BOTH,), kwargs={"workers": 1}
    )
    with company.database.reading() as db:
        # The snapshot is taken, and no read model has been looked at yet.
        db.execute("select from facts")
        rebuilding.start()
        until(lambda: len(tries) >= 2 or True in tries)
        assert balances(company) == before
        assert len(db.execute("select * from balance").fetchall()) == PURSES
    rebuilding.join(30)
    assert tries[-1] is True
    assert not any(tries[:-1])
    assert balances(company) == before


@pytest.mark.usefixtures("in_parts")
def test_a_rebuild_keeps_up_with_facts_that_are_appended_meanwhile(
    company: Company, server: Server
) -> None:
    saved(company)
    other = opened(server.url, company.name)
    late = iter(range(4))

    def meanwhile(_: int, __: int) -> None:
        if next(late, None) is not None:
            put(company, 3, "purse:owner-3")
            other.follower.step()

    company.follower.rebuild(BOTH, workers=1, progress=meanwhile)
    coins, facts = balances(company)["purse:owner-3"]
    company.follower.catch_up()
    assert (coins, facts) == balances(company)["purse:owner-3"] == (3 + 4 * 4 + 12, 5 + 12)
    assert company.follower.verify(BOTH, workers=1) == []
    other.database.close()


def test_a_rebuilt_read_model_shows_no_less_than_the_old_one_did(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one has moved on when the new one believes to be ready."""
    purse(company, coins=0)
    company.follower.catch_up()
    other = opened(server.url, company.name)
    swapped, moved_on = Rebuild._swapped, threading.Event()

    def late(self: Rebuild) -> bool:
        if not moved_on.is_set():
            moved_on.set()
            put(company, 5)
            other.follower.catch_up()
        return swapped(self)

    monkeypatch.setattr(Rebuild, "_swapped", late)
    company.follower.rebuild(BOTH)
    assert balances(company) == {"purse:ann": (5, 6)}
    assert company.follower.positions() == dict.fromkeys(BOTH, 6)
    other.database.close()


def test_rebuilding_and_following_at_once_lose_nothing(company: Company, server: Server) -> None:
    purse(company, coins=0)
    others = [opened(server.url, company.name) for _ in range(2)]
    done = threading.Event()

    def work(n: int) -> None:
        if n == 0:
            for _ in range(40):
                put(company, 5)
            done.set()
        elif n == 1:
            while not done.is_set():
                others[0].follower.step()
        else:
            while not done.is_set():
                others[1].follower.rebuild(BOTH)

    at_once(3, work)
    company.follower.catch_up()
    assert balances(company) == {"purse:ann": (200, 201)}
    assert company.follower.verify(BOTH) == []
    for other in others:
        other.database.close()


@pytest.mark.parametrize("names", [BOTH, ["balances"]])
def test_who_has_lost_his_place_to_another_rebuild_swaps_nothing(
    company: Company, server: Server, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that kept others away is cut off, and somebody else begins anew."""
    before = saved(company)
    other = opened(server.url, company.name)

    def displaced(_: Rebuild) -> None:
        query(
            company,
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
            " and classid = 'positions'::regclass::oid and objid = 3 and granted",
        )
        second = Rebuild(other.database, [other.follower.projections[name] for name in names])
        with second._alone(f"shadow_of_{company.database.schema}", 3):
            second._begun(60)

    monkeypatch.setattr(Rebuild, "_make_durable", displaced)
    with pytest.raises(PersistenceError):
        company.follower.rebuild(BOTH)
    # Whoever has begun has his place still.
    assert shadows(company)
    assert balances(company) == before
    other.database.close()


# Code that has changed


@contextmanager
def rebuilds_held_up(company: Company, server: Server) -> Iterator[None]:
    """As by somebody else's rebuild, which is at work."""
    with server.connect(company) as conn:
        conn.execute("select pg_advisory_lock('positions'::regclass::oid::int, 3)")
        yield


def test_a_read_model_whose_code_has_changed_is_built_anew(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse(company)
    company.follower.catch_up()
    execute(company, "update balance set coins = 999")
    assert company.follower.outdated() == []
    monkeypatch.setattr(Balances, "fingerprint", lambda *_: "another day's code")
    company.follower.prepare()
    assert company.follower.outdated() == ["balances"]
    assert balances(company) == {"purse:ann": (999, 1)}
    company.follower.renew()
    assert balances(company) == {"purse:ann": (10, 1)}
    (kept,) = query(company, "select * from positions where name = 'balances'")
    assert (kept["fingerprint"], kept["position"]) == ("another day's code", 1)


def test_a_worker_follows_the_others_while_one_is_built_anew(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse(company)
    company.follower.catch_up()
    monkeypatch.setattr(Balances, "fingerprint", lambda *_: "another day's code")
    theirs = opened(server.url, company.name)
    worker = theirs.worker()
    with rebuilds_held_up(company, server):
        worker.start()
        put(company, 3)
        until(lambda: flows(company) == {"CoinsPut": 3})
        # It serves as it was made, and is not touched by code that has not made it.
        assert balances(company) == {"purse:ann": (10, 1)}
        assert theirs.follower.outdated() == ["balances"]
    until(lambda: balances(company) == {"purse:ann": (13, 4)})
    put(company, 1)
    until(lambda: balances(company) == {"purse:ann": (14, 5)})
    assert theirs.follower.outdated() == []
    worker.stop()
    theirs.database.close()


def test_a_worker_stops_though_its_rebuild_cannot_begin(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Balances, "fingerprint", lambda *_: "another day's code")
    theirs = opened(server.url, company.name)
    worker = theirs.worker()
    with rebuilds_held_up(company, server):
        worker.start()
        purse(company)
        until(lambda: theirs.follower.positions()["flows"] == 1)
        worker.stop()
    assert theirs.follower.outdated() == ["balances"]
    theirs.database.close()


def test_code_that_did_not_make_a_table_does_not_write_into_it(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older worker, still at work while the newer one has swapped."""
    purse(company)
    older = opened(server.url, company.name)
    monkeypatch.setattr(Balances, "fingerprint", lambda *_: "another day's code")
    company.follower.renew()
    monkeypatch.undo()
    put(company, 3)
    older.follower.catch_up()
    assert older.follower.positions() == {"balances": 1, "flows": 4}
    assert balances(company) == {"purse:ann": (10, 1)}
    older.database.close()


def test_who_asks_an_outdated_table_for_a_new_column_is_told_why(company: Company) -> None:
    with pytest.raises(PersistenceError) as error, company.database.reading() as db:
        db.execute("select colour from balance")
    assert explained(error.value).code == "read_model.rebuilding"


def test_a_read_model_that_is_new_to_a_long_log_is_rebuilt_and_not_followed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "LONG_LOG", 2)
    name = new_name()
    schema.prepare(server.url, name)
    first = opened(server.url, name, (Balances,))
    first.follower.prepare()
    purse(first)
    put(first, 4)
    first.follower.catch_up()
    both = opened(server.url, name)
    both.follower.prepare()
    assert both.follower.outdated() == ["flows"]
    both.follower.catch_up()
    assert flows(both) == {}
    both.follower.renew()
    assert flows(both) == {"CoinsPut": 4}
    for one in (first, both):
        one.database.close()


# What is parked


def careless(_: Balances, fact: Fact[CoinsPut]) -> Iterator[Change]:
    if fact.event.coins == 13:
        raise ZeroDivisionError("thirteen")
    yield from Balances().put(fact)


@pytest.mark.usefixtures("in_parts")
def test_what_is_parked_is_passed_over_by_a_rebuild_too(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(company)
    monkeypatch.setitem(Balances.handlers, "CoinsPut", careless)
    put(company, 1, "purse:owner-2", 13)
    put(company, 1, "purse:owner-2", 1)
    company.follower.catch_up()
    before = balances(company)
    assert before["purse:owner-2"] == (2 + 4 * 3, 5)
    monkeypatch.undo()
    monkeypatch.setattr(parts, "PART", 10)
    assert company.follower.verify(BOTH, workers=1) == []
    assert not any(company.follower.rebuild(BOTH, workers=1))
    assert balances(company) == before
    with company.database.cursor() as db:
        assert [(one.name, one.position) for one in parking.parked(db)] == [("balances", 61)]


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("catching_up", [False, True])
def test_what_cannot_be_taken_in_is_parked_by_a_rebuild_and_the_others_are_made(
    company: Company, monkeypatch: pytest.MonkeyPatch, catching_up: bool
) -> None:
    """By the parts, or by what comes after them."""
    before = saved(company)
    monkeypatch.setitem(Balances.handlers, "CoinsPut", careless)

    def thirteen(*_: Any) -> None:
        if company.log.head() == 60:
            put(company, 1, "purse:owner-2", 13)
            put(company, 1, "purse:owner-2", 1)

    if not catching_up:
        thirteen()
        monkeypatch.setattr(rebuild, "NEAR", 1)
    company.follower.rebuild(BOTH, workers=1, progress=thirteen)
    assert balances(company) == before
    assert flows(company)["CoinsPut"] == 4 * sum(range(PURSES + 1)) + 14
    with company.database.cursor() as db:
        assert [(one.name, one.position) for one in parking.parked(db)] == [("balances", 61)]
    assert company.follower.positions() == dict.fromkeys(BOTH, 62)


# Verified


TAMPERED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "changed": (
        "update balance set coins = coins + 1 where purse = 'purse:ann'",
        lambda d: len(d.stored_only) == len(d.told_only) == 1 and d.stored_count == d.told_count,
    ),
    "missing": (
        "delete from balance where purse = 'purse:ann'",
        lambda d: (len(d.stored_only), len(d.told_only), d.stored_count) == (0, 1, 1),
    ),
    "surplus": (
        "insert into balance values ('purse:eve', 1, 1)",
        lambda d: (len(d.stored_only), len(d.told_only), d.stored_count) == (1, 0, 3),
    ),
}


@pytest.mark.parametrize(("statement", "found"), TAMPERED.values(), ids=TAMPERED)
def test_verify_finds_a_row_that_the_facts_do_not_tell_of(
    company: Company, statement: str, found: Callable[[Any], bool]
) -> None:
    purse(company, "ann")
    purse(company, "bob")
    company.follower.catch_up()
    assert company.follower.verify(BOTH) == []
    execute(company, statement)
    (difference,) = company.follower.verify(BOTH)
    assert difference.table == "balance"
    assert difference.told_count == 2
    assert found(difference)


def test_verify_finds_a_position_beyond_the_end_of_the_log(company: Company) -> None:
    purse(company)
    company.follower.catch_up()
    execute(company, "update positions set position = 5 where name = 'flows'")
    (difference,) = company.follower.verify(BOTH)
    assert difference.table == "positions"
    assert difference.stored_only == [{"name": "flows", "position": 5, "head": 1}]
    assert company.follower.verify(["balances"]) == []
    company.follower.rebuild(["flows"])
    assert company.follower.verify(BOTH) == []


def test_verify_compares_as_far_as_the_rows_have_come(company: Company) -> None:
    purse(company)
    company.follower.catch_up()
    put(company, 3)
    Follower(company.database, (Flows,)).catch_up()
    assert company.follower.verify(BOTH) == []
    assert company.follower.positions() == {"balances": 1, "flows": 4}


def test_verify_compares_also_what_is_far_behind(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "NEAR", 1)
    purse(company)
    company.follower.catch_up()
    put(company, 5)
    assert company.follower.verify(BOTH) == []
    spoil(company)
    execute(company, "insert into flow values ('CoinsPut', 1)")
    found = company.follower.verify(BOTH)
    assert [(one.table, one.differing) for one in found] == [("balance", 2), ("flow", 1)]


def test_old_rows_that_come_near_while_the_new_ones_are_made_are_not_compared_too_early(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "NEAR", 6)
    monkeypatch.setattr(follower, "BATCH", 5)
    purse(company)
    put(company, 9)
    other = opened(server.url, company.name)
    late = iter(range(1))

    def come_near(_: int, __: int) -> None:
        if next(late, None) is not None:
            other.follower.step()

    found = company.follower.rebuild(BOTH, progress=come_near)
    assert other.follower.positions() == dict.fromkeys(BOTH, 10)
    assert {one.not_compared for one in found} == {rebuild.FAR_BEHIND}
    other.database.close()


def test_verify_finds_nothing_wrong_while_all_are_at_work(company: Company, server: Server) -> None:
    purse(company)
    other = opened(server.url, company.name)
    done = threading.Event()

    def work(n: int) -> list[Any]:
        if n:
            found = [company.follower.verify(BOTH) for _ in range(4)]
            done.set()
            return found
        while not done.is_set():
            put(company, 3)
            other.follower.step()
        return []

    assert at_once(2, work)[1] == [[], [], [], []]
    other.database.close()


def test_the_shadow_of_one_company_is_not_the_schema_of_another(server: Server) -> None:
    names = [new_name()]
    names.append(f"{names[0]}_shadow")
    both = []
    for name in names:
        schema.prepare(server.url, name)
        both.append(opened(server.url, name))
        both[-1].follower.prepare()
        purse(both[-1])
        both[-1].follower.catch_up()
    both[0].follower.rebuild(BOTH)
    assert both[0].follower.verify(BOTH) == []
    assert [each.log.head() for each in both] == [1, 1]
    for each in both:
        each.database.close()
