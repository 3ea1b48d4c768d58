"""The log: one order for all, without gaps, and nothing in it is ever changed."""

import threading
from typing import Any

import psycopg
import pytest
from tests.engine.conftest import Server
from tests.engine.purses import (
    PutCoins,
    asked,
    at_once,
    do,
    execute,
    history,
    must_be_contiguous,
    new_company,
    purse,
    query,
    until,
)

from medsales.company import Company
from medsales.engine.log import Selection, facts

APPEND = """
    select append(jsonb_build_array(jsonb_build_object(
        'client', 'by hand', 'key', %s::text, 'fingerprint', '', 'actor', '', 'command', '',
        'subject', %s::text, 'outcome', 'accepted', 'version', 1, 'guards', '[]'::jsonb,
        'metadata', '{}', 'facts', jsonb_build_array(jsonb_build_array(%s::text, 1, 'A', '{}')))))
"""


def positions(company: Company) -> list[int]:
    found = query(company, "select notification_id as n from facts order by 1")
    return [row["n"] for row in found]


def test_the_server_is_the_one_that_is_meant(company: Company, server: Server) -> None:
    with company.database.get_connection() as conn:
        assert conn.info.server_version // 10000 == server.major


def test_eight_writers_leave_no_gap_and_time_follows_the_positions(company: Company) -> None:
    def write(n: int) -> None:
        id = purse(company, f"owner-{n}")
        for _ in range(10):
            company.app.handle_many([asked(PutCoins(coins=1), id) for _ in range(3)])

    at_once(8, write)
    log = history(company)
    assert len(log) == 8 * 31
    must_be_contiguous(log)


def test_a_reader_that_never_pauses_sees_every_position_once_and_in_order(
    company: Company,
) -> None:
    seen: list[int] = []
    written = threading.Event()

    def read() -> None:
        after, last_look = 0, False
        while True:
            with company.database.cursor() as db:
                news = facts(db, Selection(after=after), 7)
            seen.extend(fact.position for fact in news)
            after = seen[-1] if seen else 0
            if last_look and not news:
                return
            last_look = written.is_set()

    reader = threading.Thread(target=read)
    reader.start()
    ids = [purse(company, f"owner-{n}") for n in range(4)]
    at_once(4, lambda n: [do(company, PutCoins(coins=1), ids[n]) for _ in range(40)])
    written.set()
    reader.join()
    assert seen == list(range(1, 4 + 160 + 1))


def test_a_writer_waits_for_the_one_before_and_nobody_sees_either_too_early(
    company: Company, server: Server
) -> None:
    with server.connect(company) as first, server.connect(company) as second:
        first.execute("begin")
        first.execute(APPEND, ("1", "a:1", "a:1"))
        waiting = threading.Thread(target=second.execute, args=(APPEND, ("2", "b:1", "b:1")))
        waiting.start()
        pid = second.info.backend_pid
        until(
            lambda: query(
                company,
                "select from pg_stat_activity where pid = %s and wait_event = 'advisory'",
                pid,
            )
        )
        assert positions(company) == []
        first.execute("commit")
        waiting.join()
    found = query(company, "select notification_id as n, originator_id as id from facts order by 1")
    assert [(row["n"], row["id"]) for row in found] == [(1, "a:1"), (2, "b:1")]


def test_an_append_that_is_rolled_back_leaves_no_gap(company: Company, server: Server) -> None:
    with server.connect(company) as conn:
        conn.execute("begin")
        conn.execute(APPEND, ("1", "a:1", "a:1"))
        conn.execute("rollback")
        conn.execute(APPEND, ("2", "b:1", "b:1"))
    assert positions(company) == [1]


def test_time_does_not_run_backwards_when_the_clock_does(company: Company) -> None:
    purse(company)
    # The database's clock was ahead once, and has been set right.
    execute(
        company,
        "insert into facts select 'a:1', 1, topic, state, 2, gen_random_uuid(), metadata,"
        " effective_at, recorded_at + interval '1 hour' from facts",
    )
    do(company, PutCoins(coins=1), "purse:ann")
    last, newest = query(company, "select recorded_at from facts order by notification_id")[1:]
    assert newest == last


CHANGES = (
    "update {0} set recorded_at = recorded_at",
    "delete from {0}",
    "delete from {0} where false",
    "truncate {0}",
    "insert into {0} select * from {0} on conflict ({1}) do update set recorded_at = now()",
)
KEYS = {"facts": "originator_id, originator_version", "commands": "client, key"}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", ["facts", "commands"])
def test_what_happened_is_not_changed_by_the_application_itself(
    company: Company, server: Server, table: str, change: str
) -> None:
    """It has no right to; a superuser, who has every right, meets the trigger."""
    told = "is refused" if server.url == server.superuser_url else "permission denied"
    purse(company)
    before = query(company, f"select * from {table}")
    with pytest.raises(Exception, match=told):
        execute(company, change.format(table, KEYS[table]))
    assert query(company, f"select * from {table}") == before


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", ["facts", "commands"])
def test_what_happened_is_not_changed_by_a_superuser_either(
    company: Company, server: Server, table: str, change: str, role: str
) -> None:
    purse(company)
    before = query(company, f"select * from {table}")
    with server.connect(company, superuser=True) as conn:
        conn.execute(f"set session_replication_role = {role}")
        with pytest.raises(psycopg.errors.RestrictViolation, match="never changed or deleted"):
            conn.execute(change.format(table, KEYS[table]))
    assert query(company, f"select * from {table}") == before


def test_the_application_may_not_switch_triggers_off(company: Company) -> None:
    with pytest.raises(Exception, match="permission denied"):
        execute(company, "set session_replication_role = replica")


def test_one_bad_request_does_not_fail_its_neighbours(company: Company) -> None:
    id = purse(company, coins=1)
    answers = company.app.handle_many(
        [
            asked(PutCoins(coins=1), id),
            asked(PutCoins(coins=1), "purse:nobody"),
            asked(PutCoins(coins=1), id),
        ]
    )
    assert [type(answer).__name__ for answer in answers] == ["Receipt", "Refused", "Receipt"]


@pytest.mark.parametrize(
    ("selected", "positions"),
    [
        ({}, [1, 2, 3, 4]),
        ({"after": 2}, [3, 4]),
        ({"upto": 2}, [1, 2]),
        ({"after": 1, "upto": 3}, [2, 3]),
        ({"subject": "purse:bob"}, [2, 4]),
        ({"kinds": ("CoinsPut",)}, [3, 4]),
        ({"kinds": ("CoinsPut", "PurseOpened"), "subject": "purse:ann"}, [1, 3]),
        ({"actor": "ann"}, [1, 2, 3, 4]),
        ({"actor": "nobody"}, []),
    ],
)
def test_a_selection_shows_what_it_names(
    company: Company, selected: dict[str, Any], positions: list[int]
) -> None:
    ids = [purse(company, "ann"), purse(company, "bob")]
    for id in ids:
        do(company, PutCoins(coins=1), id)
    assert [fact.position for fact in history(company, **selected)] == positions


def test_a_selection_by_time_begins_at_since_and_ends_before_until(company: Company) -> None:
    purse(company, "ann")
    purse(company, "bob")
    purse(company, "cem")
    times = [fact.recorded_at for fact in history(company)]
    assert [f.position for f in history(company, since=times[1])] == [2, 3]
    assert [f.position for f in history(company, until=times[1])] == [1]


def test_the_head_of_an_empty_log_is_zero(server: Server) -> None:
    company = new_company(server.url)
    assert company.log.head() == 0
    purse(company)
    assert company.log.head() == 1
    company.database.close()
