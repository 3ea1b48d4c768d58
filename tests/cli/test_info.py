"""`medsales info`: what an operator asks first, without a change made by looking."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg.sql import SQL
from tests.domain.examples import OPEN_HANGZHOU

from medsales.cli.inspecting import CompanyState, Installation, installation
from medsales.company import Company
from medsales.domain.kernel import Role
from medsales.engine.application import Actor, Ask
from medsales.engine.backup import Backup, write_last
from medsales.settings import Settings

MEI = Actor("mei", "Mei 梅", (Role.SYSTEM,), "desk")


def looked_at(company: Company, tmp_path: Path) -> Installation:
    return installation(Settings(home=tmp_path, database_url=company.database.url))


def state_of(company: Company, tmp_path: Path) -> CompanyState:
    found = looked_at(company, tmp_path).companies
    return next(one for one in found if one.name == company.name)


def execute(company: Company, statement: str) -> None:
    with company.database.writing() as db:
        db.execute(SQL(statement))


def test_it_tells_the_lag_in_facts_and_in_seconds(company: Company, tmp_path: Path) -> None:
    company.app.handle(Ask(OPEN_HANGZHOU, MEI))
    before = datetime.now(UTC)
    state = state_of(company, tmp_path)
    assert state.lag == dict.fromkeys(company.follower.projections, 1)
    assert all(seconds > 0 for seconds in state.lag_seconds.values())
    assert state.last_fact_at
    assert abs(state.last_fact_at - before) < timedelta(hours=1)
    company.follower.catch_up()
    state = state_of(company, tmp_path)
    assert set(state.lag.values()) == {0}
    assert set(state.lag_seconds.values()) == {0.0}


def test_it_tells_who_is_at_work_since_when(company: Company, tmp_path: Path) -> None:
    assert (state_of(company, tmp_path).worker, state_of(company, tmp_path).worker_since) == (
        False,
        None,
    )
    worker = company.worker()
    with worker._place():
        state = state_of(company, tmp_path)
    assert state.worker
    assert state.worker_since
    assert state.worker_since <= datetime.now(UTC)


def test_it_tells_what_is_parked_and_what_is_due(company: Company, tmp_path: Path) -> None:
    state = state_of(company, tmp_path)
    assert (state.parked, state.timers_due) == ({}, state.timers and 0)
    execute(
        company,
        "insert into parked (name, position, subject, error) values"
        " ('stock_picture', 3, 'lot:1', 'too large'), ('lot_trace', 3, 'lot:1', 'too large'),"
        " ('lot_trace', 9, 'lot:2', 'too large')",
    )
    assert state_of(company, tmp_path).parked == {"lot_trace": 2, "stock_picture": 1}
    execute(
        company,
        "create table if not exists timer (timer text, subject text, due_at timestamptz,"
        " set_by bigint)",
    )
    execute(
        company,
        "insert into timer (timer, subject, due_at, set_by) values"
        " ('a', 's', now() - interval '1 day', 1), ('a', 't', now() + interval '1 day', 2)",
    )
    state = state_of(company, tmp_path)
    assert (state.timers, state.timers_due) == (2, 1)
    assert state.next_timer_at
    assert state.next_timer_at < datetime.now(UTC)


def test_a_schema_that_has_not_been_upgraded_yet_is_looked_at_as_it_is(
    company: Company, tmp_path: Path
) -> None:
    execute(company, "drop table if exists parked, timer, seal_heads cascade")
    execute(company, "delete from schema_steps where step > 2")
    company.app.handle(Ask(OPEN_HANGZHOU, MEI))
    state = state_of(company, tmp_path)
    assert (state.parked, state.timers, state.seal) == (None, None, None)
    assert (state.head, state.schema_step) == (1, 2)
    # Nobody else shall meet it.
    execute(company, f"drop schema {company.database.schema} cascade")


def test_it_tells_the_database_and_the_disk(company: Company, tmp_path: Path) -> None:
    state = looked_at(company, tmp_path)
    database = state.database
    assert database.reachable
    assert not database.embedded
    assert database.connections
    assert database.connections_allowed
    assert database.connections < database.connections_allowed
    assert database.size
    assert database.size > state_of(company, tmp_path).size > 0
    assert database.started_at
    assert state.disk_free
    assert list(tmp_path.iterdir()) == []


def test_it_tells_the_last_backup_and_the_write_ahead_log(tmp_path: Path) -> None:
    home, wal = tmp_path / "home", tmp_path / "wal"
    settings = Settings(home=home, wal_archive=wal)
    assert installation(settings).backup is None
    assert installation(settings).archive == installation(settings).archive
    assert not home.exists()
    home.mkdir()
    wal.mkdir()
    (wal / "000000010000000000000001.gz").write_bytes(b"12345")
    now = datetime.now(UTC)
    write_last(home, Backup(now, now, "18", 7, "0", str(wal), {}, str(tmp_path / "gone")))
    state = installation(settings)
    assert state.backup
    assert (state.backup.made_at, state.backup.there) == (now, False)
    assert state.archive
    assert (state.archive.pieces, state.archive.size) == (1, 5)


def test_no_secret_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSALES_SECRET", "geheim" * 6)
    monkeypatch.setenv("MEDSALES_SEAL_WEBHOOK", "https://bob:geheim@audit.example/x?t=geheim")
    url = "postgresql://mei:geheim@127.0.0.1:1/x"
    state = installation(Settings(home=tmp_path, database_url=url))
    assert state.settings["MEDSALES_SEAL_WEBHOOK"] == "audit.example"
    assert "user=mei" in state.settings["MEDSALES_DATABASE_URL"]
    assert "geheim" not in state.model_dump_json()
    assert state.database.problem
