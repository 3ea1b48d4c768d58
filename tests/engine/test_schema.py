"""A company's schema: made once, by one program at a time, step by step; and what can go wrong."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import PersistenceError
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from tests.engine.conftest import Server
from tests.engine.purses import PutCoins, asked, do, execute, new_name, opened, purse, query

from medsales.company import Company, open_company
from medsales.engine import database, schema
from medsales.engine.database import DatabaseUnavailable, connect, explained, schema_of

PREPARE = """
import sys
from medsales.engine.schema import prepare
print("ready", flush=True)
sys.stdin.readline()
prepare(sys.argv[1], sys.argv[2])
"""


def steps_of(company: Company) -> list[int]:
    return [row["step"] for row in query(company, "select step from schema_steps order by step")]


def test_six_programs_that_prepare_one_company_at_once_agree(server: Server) -> None:
    name = new_name()
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PREPARE, server.url, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    assert [each.stdout.readline() for each in programs if each.stdout] == ["ready\n"] * 6
    for each in programs:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    assert [each.communicate()[1] for each in programs] == [""] * 6
    company = opened(server.url, name)
    assert steps_of(company) == list(range(1, len(schema.STEPS) + 1))
    company.database.close()


def test_preparing_again_changes_nothing(company: Company, server: Server) -> None:
    purse(company)
    before = query(company, "select * from schema_steps")
    schema.prepare(server.url, company.name)
    assert query(company, "select * from schema_steps") == before
    assert company.log.head() == 1


def test_a_new_step_is_taken_once_and_what_was_there_stays(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    purse(company)
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, "create table extra (n int)"))
    for _ in range(2):
        schema.prepare(server.url, company.name)
    assert steps_of(company) == list(range(1, len(schema.STEPS) + 1))
    assert query(company, "select * from extra") == []
    assert company.log.head() == 1


def test_a_step_that_fails_is_not_taken_at_all(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = steps_of(company)
    failing = "create table extra (n int); select 1 / 0"
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, "create table early ()", failing))
    with pytest.raises(DatabaseUnavailable, match="division by zero"):
        schema.prepare(server.url, company.name)
    assert steps_of(company) == before
    found = query(company, "select to_regclass('extra') as extra, to_regclass('early') as early")
    assert found == [{"extra": None, "early": None}]


def test_the_companies_of_a_database_are_those_that_were_prepared(
    company: Company, neighbour: Company, server: Server
) -> None:
    with connect(server.url) as conn:
        conn.execute(SQL("create schema {}").format(Identifier(schema_of(nobody := new_name()))))
    names = schema.companies(server.url)
    assert {company.name, neighbour.name} <= set(names)
    assert nobody not in names
    assert names == sorted(names)


@pytest.mark.parametrize("name", ["", "Ä", "1a", "a-b", "a b", "a" * 41, 'a"; drop', "A", "a\n"])
def test_a_company_has_a_short_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match="short name"):
        schema_of(name)


# Two companies


def test_two_companies_use_the_same_ids_and_number_their_facts_alike(
    company: Company, neighbour: Company
) -> None:
    for each, amount in ((company, 1), (neighbour, 2)):
        receipt = each.app.handle(asked(PutCoins(coins=0), purse(each, "ann", amount), key="k"))
        assert (receipt.id, receipt.position) == ("purse:ann", 1)
        each.follower.catch_up()
    for each, amount in ((company, 1), (neighbour, 2)):
        assert query(each, "select coins from balance") == [{"coins": amount}]
        assert [row["event"] for row in query(each, "select event from log")] == ["PurseOpened"]


def test_a_company_that_is_writing_does_not_hold_up_another(
    company: Company, neighbour: Company, server: Server
) -> None:
    purse(company)
    with server.connect(company) as conn:
        conn.execute("begin")
        conn.execute("select * from append('[]')")
        execute(neighbour, "set lock_timeout = '20s'")
        assert purse(neighbour) == "purse:ann"
        do(neighbour, PutCoins(coins=1), "purse:ann")
        neighbour.follower.catch_up()
        neighbour.follower.rebuild(["balances"])
        assert neighbour.follower.verify(["balances"]) == []
        conn.execute("rollback")
    assert (company.log.head(), neighbour.log.head()) == (1, 2)


def test_the_function_that_appends_writes_to_its_own_company_wherever_it_is_called_from(
    company: Company, neighbour: Company, server: Server
) -> None:
    request = """select * from {}.append(jsonb_build_array(jsonb_build_object(
        'client', 'c', 'key', 'k', 'fingerprint', '', 'actor', '', 'command', '', 'subject', 'a:1',
        'outcome', 'nothing', 'version', 0, 'guards', '[]'::jsonb, 'facts', '[]'::jsonb)))"""
    with server.connect(neighbour) as conn:
        conn.execute(SQL(request).format(Identifier(company.database.schema)))
    counts = [query(each, "select count(*) as n from commands") for each in (company, neighbour)]
    assert counts == [[{"n": 1}], [{"n": 0}]]


def test_a_wake_up_is_for_one_company(company: Company, neighbour: Company, server: Server) -> None:
    with server.connect(company) as ears:
        ears.execute(SQL("listen {}").format(Identifier(f"{company.database.schema}.facts")))
        purse(neighbour)
        purse(company)
        heard = list(ears.notifies(timeout=20, stop_after=1))
    assert [each.channel for each in heard] == [f"{company.database.schema}.facts"]


# What can go wrong


@pytest.fixture
def role(server: Server) -> Iterator[str]:
    """Somebody else who may log in to the server, but has been given nothing."""
    name = f"role_{uuid4().hex[:8]}"
    with psycopg.connect(server.superuser_url, autocommit=True) as conn:
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            conn.execute("create role guests")
        create = SQL("create role {} login password 'right' in role guests")
        conn.execute(create.format(Identifier(name)))
        yield name
        conn.execute(SQL("drop role {}").format(Identifier(name)))


def refused(url: str, name: str | None = None) -> DatabaseUnavailable:
    with pytest.raises(DatabaseUnavailable) as unavailable:
        open_company(url, name or new_name())
    assert "\n" not in str(unavailable.value)
    return unavailable.value


def test_a_server_that_is_too_old_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST_SERVER", 990000)
    error = refused(server.url)
    assert error.code == "database.too_old"
    assert str(error) == (
        f"medsales needs PostgreSQL 15 or newer; this server is version {server.major}"
    )


def test_a_server_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    for url in ("host=127.0.0.1 port=1", f"host={tmp_path}"):
        error = refused(url)
        assert error.code == "database.unreachable"
        assert str(error).startswith("the database cannot be reached: ")


def test_a_wrong_password_is_told(server: Server, role: str) -> None:
    must_ask_guests_for_a_password(server)
    right = make_conninfo(server.url, user=role, password="right")
    with connect(right) as conn:
        assert conn.execute("select current_user as name").fetchone() == {"name": role}
    error = refused(make_conninfo(server.url, user=role, password="wrong"))
    assert error.code == "database.login_refused"
    assert str(error).startswith("the database refused the password (")


def must_ask_guests_for_a_password(server: Server) -> None:
    """The embedded server trusts whoever reaches its socket; guests shall say who they are."""
    rule = "local all +guests scram-sha-256\n"
    with psycopg.connect(server.superuser_url, autocommit=True) as conn:
        row = conn.execute("show hba_file").fetchone()
        assert row is not None
        path = Path(row[0])
        if not os.access(path, os.W_OK):
            pytest.skip(f"{path} cannot be written here")
        if rule not in path.read_text():
            aside = path.with_name(f".hba-{uuid4().hex}")
            aside.write_text(rule + path.read_text())
            aside.chmod(0o600)
            os.chown(aside, path.stat().st_uid, path.stat().st_gid)
            aside.replace(path)
        conn.execute("select pg_reload_conf()")


def test_a_database_that_does_not_exist_is_told(server: Server) -> None:
    error = refused(make_conninfo(server.url, dbname="nowhere"))
    assert error.code == "database.missing"
    assert str(error).startswith("there is no such database (")


def test_a_server_without_a_free_connection_is_busy(server: Server, role: str) -> None:
    with psycopg.connect(server.superuser_url, autocommit=True) as conn:
        conn.execute(SQL("alter role {} connection limit 0").format(Identifier(role)))
    error = refused(make_conninfo(server.url, user=role, password="right"))
    assert error.code == "database.busy"


def test_a_user_who_may_create_nothing_lacks_a_right(server: Server, role: str) -> None:
    error = refused(make_conninfo(server.url, user=role, password="right"))
    assert error.code == "database.rights_missing"
    assert str(error).startswith("the database user lacks a right that medsales needs (")


def test_a_database_that_only_reads_is_told(server: Server) -> None:
    error = refused(make_conninfo(server.url, options="-c default_transaction_read_only=on"))
    assert error.code == "database.read_only"


NO_ROOM = "raise exception 'could not extend file' using errcode = '53100'"


def test_a_disk_without_space_is_told_while_preparing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = new_name()
    steps = (*schema.STEPS, f"do $$ begin {NO_ROOM}; end $$")
    monkeypatch.setattr(schema, "STEPS", steps)
    error = refused(server.url, name)
    assert error.code == "database.disk_full"
    assert str(error).startswith("the database has no disk space left (could not extend file")
    assert name not in schema.companies(server.url)


def test_a_disk_without_space_is_told_while_appending_and_nothing_is_half_written(
    company: Company,
) -> None:
    id = purse(company)
    execute(
        company,
        f"create function no_room() returns trigger language plpgsql as $$ begin {NO_ROOM}; end $$;"
        " create trigger no_room before insert on commands execute function no_room()",
    )
    with pytest.raises(PersistenceError) as error:
        do(company, PutCoins(coins=1), id)
    assert explained(error.value).code == "database.disk_full"
    assert company.log.head() == 1
    execute(company, "drop trigger no_room on commands")
    assert do(company, PutCoins(coins=1), id).position == 2


def test_a_url_that_cannot_be_read_is_a_wrong_setting() -> None:
    assert refused("port=abc nonsense").code == "database.setting"


def test_the_library_keeps_its_hands_off_the_lock(company: Company) -> None:
    """Its functions in the database would skip the lock that keeps the log in order."""
    settings: Any = company.database
    assert not settings.enable_db_functions
    assert settings.originator_id_type == "text"
