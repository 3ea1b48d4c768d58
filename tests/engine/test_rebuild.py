"""Rebuilding: read models made anew beside the old ones, swapped in, or compared with the facts."""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.engine.conftest import Server
from tests.engine.purses import (
    Balances,
    Flows,
    at_once,
    execute,
    new_name,
    opened,
    purse,
    query,
)
from tests.engine.test_follower import BOTH, balances, line_of, program, put

from medsales.company import Company
from medsales.engine import log, schema
from medsales.engine import rebuild as module
from medsales.engine.follower import Follower

REBUILD = """
from medsales.engine import rebuild
rebuild.BATCH = 3
def wait(done, all):
    print("half way", flush=True)
    sys.stdin.readline()
company.follower.rebuild(["balances", "flows"], progress=wait)
"""


def test_a_rebuild_that_is_killed_leaves_no_harm(company: Company, server: Server) -> None:
    purse(company, coins=0)
    put(company, 20)
    company.follower.catch_up()
    before = balances(company)
    rebuild = program(server, company, REBUILD)
    assert line_of(rebuild) == "half way"
    os.kill(rebuild.pid, signal.SIGKILL)
    rebuild.communicate()
    assert (balances(company), company.follower.positions()) == (before, dict.fromkeys(BOTH, 21))
    put(company, 5)
    company.follower.catch_up()
    company.follower.rebuild(BOTH)
    assert balances(company) == {"purse:ann": (25, 26)}
    assert company.follower.verify(BOTH) == []


def test_a_rebuild_that_fails_leaves_the_old_rows(company: Company) -> None:
    purse(company)
    company.follower.catch_up()

    def stumble(_: int, __: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        company.follower.rebuild(BOTH, progress=stumble)
    assert balances(company) == {"purse:ann": (10, 1)}
    shadow = query(
        company,
        "select nspname from pg_namespace where nspname like '%%' || %s || '%%' and nspname <> %s",
        company.name,
        company.database.schema,
    )
    assert shadow == []


def test_a_rebuild_makes_the_same_rows_from_the_facts(company: Company) -> None:
    purse(company)
    put(company, 5)
    company.follower.catch_up()
    before = balances(company)
    execute(company, "update balance set coins = 999")
    company.follower.rebuild(["balances"])
    assert (balances(company), company.follower.positions()) == (before, dict.fromkeys(BOTH, 6))


def test_a_rebuild_tells_how_far_it_has_come(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    purse(company)
    put(company, 4)
    company.follower.catch_up()
    told: list[int] = []
    company.follower.rebuild(BOTH, progress=lambda done, _: told.append(done))
    assert told == [2, 4, 5]


def test_a_rebuild_keeps_up_with_facts_that_are_appended_meanwhile(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 5)
    purse(company, coins=0)
    put(company, 20)
    other = opened(server.url, company.name)
    other.follower.catch_up()
    late = iter(range(10))

    def meanwhile(_: int, __: int) -> None:
        if next(late, None) is not None:
            put(company, 3)
            other.follower.step()

    company.follower.rebuild(BOTH, progress=meanwhile)
    put(company, 1)
    company.follower.catch_up()
    assert balances(company) == {"purse:ann": (51, 52)}
    assert company.follower.verify(BOTH) == []
    other.database.close()


def test_a_rebuilt_read_model_shows_no_less_than_the_old_one_did(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one has moved on when the new one believes to be ready."""
    purse(company, coins=0)
    other = opened(server.url, company.name)
    read, moved_on = log.facts, threading.Event()

    def facts(db: Any, selection: Any, limit: int) -> Any:
        news = read(db, selection, limit)
        if not news and not moved_on.is_set():
            moved_on.set()
            put(company, 5)
            other.follower.catch_up()
        return news

    monkeypatch.setattr(module, "facts", facts)
    company.follower.rebuild(BOTH)
    assert (balances(company), company.follower.positions()) == (
        {"purse:ann": (5, 6)},
        dict.fromkeys(BOTH, 6),
    )
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


def test_a_read_model_whose_code_has_changed_is_built_anew(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse(company)
    company.follower.catch_up()
    execute(company, "update balance set coins = 999")
    company.follower.prepare()
    assert balances(company) == {"purse:ann": (999, 1)}
    monkeypatch.setattr(Balances, "fingerprint", lambda *_: "another day's code")
    company.follower.prepare()
    assert balances(company) == {"purse:ann": (10, 1)}
    (kept,) = query(company, "select * from positions where name = 'balances'")
    assert (kept["fingerprint"], kept["position"]) == ("another day's code", 1)


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
