"""The page that tells an operator all he asks first; nothing is changed by looking."""

import platform
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import typer
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier
from pydantic import BaseModel

from medsales.cli.failures import sentence
from medsales.cli.opening import OUT
from medsales.company import storage
from medsales.engine import schema
from medsales.engine.application import APP
from medsales.engine.backup import last_backup
from medsales.engine.database import DatabaseUnavailable, connect, schema_of
from medsales.engine.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from medsales.settings import Settings


class SealState(BaseModel):
    """The last signed tree head."""

    facts: int
    """It covers the facts up to this position."""
    sealed_at: datetime


class CompanyState(BaseModel):
    """How far a company is."""

    name: str
    schema_step: int
    schema_steps_known: int
    size: int
    """Bytes of all its tables and indexes."""
    head: int
    """The position of the last fact; there are no gaps, so also the number of facts."""
    last_fact_at: datetime | None
    refusals: int
    worker: bool
    """Whether somebody is at work for it."""
    worker_since: datetime | None
    lag: dict[str, int]
    """Facts that each read model, and the processes, have still to take in."""
    lag_seconds: dict[str, float]
    """How long the oldest of these facts has been waiting."""
    parked: dict[str, int] | None
    """Streams that wait because of a fact that could not be taken in; null: an older schema."""
    timers: int | None
    timers_due: int | None
    next_timer_at: datetime | None
    seal: SealState | None


class DatabaseState(BaseModel):
    """Which database it is, and whether it answers."""

    embedded: bool
    place: str
    running: bool | None = None
    """Whether somebody else uses the embedded server; looking starts it for a moment."""
    version: str | None = None
    reachable: bool = False
    problem: str | None = None
    started_at: datetime | None = None
    size: int | None = None
    connections: int | None = None
    connections_allowed: int | None = None


class ArchiveState(BaseModel):
    """The write-ahead log that is kept for a restore to any moment."""

    place: str
    size: int
    pieces: int
    last_at: datetime | None
    failing: bool | None
    """Whether the last try to keep a piece failed."""


class BackupState(BaseModel):
    """The last backup that was made of this installation by `medsales backup`."""

    place: str
    made_at: datetime
    size: int
    there: bool
    """Whether this machine still sees it."""


class Installation(BaseModel):
    """What an operator asks first."""

    version: str
    python: str
    home: str
    disk_free: int | None
    settings: dict[str, str]
    database: DatabaseState
    backup: BackupState | None
    archive: ArchiveState | None
    companies: list[CompanyState] = []


def info(*, json: bool) -> None:
    """Exit code 1 when the database cannot be reached."""
    state = installation(Settings())
    if json:
        typer.echo(state.model_dump_json(indent=2))
    else:
        for label, said in _page(state):
            OUT.print(f"{label:<18} {said}".rstrip(), markup=False)
    if state.database.problem:
        raise typer.Exit(1)


# Looking


def installation(settings: Settings) -> Installation:
    """As it is: nothing is created or upgraded by looking at it."""
    state = Installation(
        version=APP,
        python=platform.python_version(),
        home=str(settings.home),
        disk_free=_free(settings.home),
        settings=dict(_in_force(settings)),
        database=_database(settings),
        backup=_backup(settings),
        archive=_archive(settings),
    )
    if state.database.embedded and not (settings.home / "pg").exists():
        return state
    try:
        with storage(settings) as url, connect(url) as conn:
            _look_at(state, conn)
            state.companies = [_company(conn, name) for name in schema.companies(url)]
    except (DatabaseUnavailable, EmbeddedPostgresError) as error:
        state.database.problem = sentence(error)
    return state


def _database(settings: Settings) -> DatabaseState:
    if settings.database_url:
        return DatabaseState(embedded=False, place=_without_password(settings.database_url))
    running = EmbeddedPostgres(settings.home).in_use()
    return DatabaseState(embedded=True, place=str(settings.home / "pg"), running=running)


def _without_password(url: str) -> str:
    parts = conninfo_to_dict(url)
    return " ".join(f"{name}={part}" for name, part in parts.items() if "password" not in name)


def _in_force(settings: Settings) -> Iterator[tuple[str, str]]:
    """Without secrets: of addresses only the host."""
    for name, value in settings.model_dump().items():
        shown = "" if value is None else str(value)
        if value and name == "database_url":
            shown = _without_password(value)
        elif "://" in shown:
            shown = urlsplit(shown).hostname or ""
        yield f"MEDSALES_{name.upper()}", shown


def _free(folder: Path) -> int | None:
    """Of the nearest folder that is there."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    return shutil.disk_usage(there).free if there else None


def _backup(settings: Settings) -> BackupState | None:
    made = last_backup(settings.home)
    if made is None:
        return None
    there = (Path(made.place) / "backup.json").exists()
    return BackupState(place=made.place, made_at=made.made_at, size=made.size, there=there)


def _archive(settings: Settings) -> ArchiveState | None:
    folder = settings.wal_archive
    if folder is None:
        return None
    found = [path.stat() for path in folder.iterdir()] if folder.is_dir() else []
    last = max((one.st_mtime for one in found), default=None)
    return ArchiveState(
        place=str(folder),
        size=sum(one.st_size for one in found),
        pieces=len(found),
        last_at=None if last is None else datetime.fromtimestamp(last, UTC),
        failing=None,
    )


def _look_at(state: Installation, conn: Connection[DictRow]) -> None:
    found = _row(conn, SERVER)
    database = state.database
    database.reachable = True
    database.version = conn.info.parameter_status("server_version")
    database.started_at = found["started_at"]
    database.size = found["size"]
    database.connections = found["used"] - 1  # not ours
    database.connections_allowed = found["allowed"]
    if state.archive:
        state.archive.failing = found["failing"]


SERVER = """
    select pg_postmaster_start_time() as started_at, pg_database_size(current_database()) as size,
        (select count(*) from pg_stat_activity where backend_type = 'client backend') as used,
        current_setting('max_connections')::int as allowed,
        (select coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)
         from pg_stat_archiver) as failing
"""


def _company(conn: Connection[DictRow], name: str) -> CompanyState:
    conn.execute(SQL("set search_path to {}").format(Identifier(schema_of(name))))
    found = _row(conn, COMPANY)
    lag = conn.execute(LAG, {"head": found["head"]}).fetchall()
    working = conn.execute(WORKER).fetchone()
    timers = _row_if(conn, "timer", TIMERS)
    return CompanyState(
        name=name,
        schema_step=schema.steps_taken(conn),
        schema_steps_known=len(schema.STEPS),
        **found,
        worker=working is not None,
        worker_since=working and working["since"],
        lag={row["name"]: row["facts"] for row in lag},
        lag_seconds={row["name"]: round(float(row["seconds"]), 3) for row in lag},
        parked=(_row_if(conn, "parked", PARKED) or {}).get("streams"),
        timers=timers and timers["waiting"],
        timers_due=timers and timers["due"],
        next_timer_at=timers and timers["next_at"],
        seal=_seal(conn),
    )


COMPANY = """
    select coalesce(max(f.notification_id), 0) as head,
        (select recorded_at from facts order by notification_id desc limit 1) as last_fact_at,
        (select count(*) from commands where outcome = 'refused') as refusals,
        (select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c
         where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r') as size
    from facts f
"""
LAG = """
    select name, greatest(0, %(head)s - position) as facts, greatest(0, coalesce((
        select extract(epoch from clock_timestamp() - recorded_at) from facts
        where notification_id = p.position + 1), 0)) as seconds
    from positions p order by name
"""
WORKER = """
    select a.backend_start as since from pg_locks l left join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted
        and l.classid = 'positions'::regclass::oid and l.objid = 1 and l.objsubid = 2
"""
PARKED = """
    select coalesce(jsonb_object_agg(name, streams), '{}') as streams from (
        select name, count(*) as streams from parked where not discarded group by name) each
"""
TIMERS = """
    select count(*) as waiting, count(*) filter (where due_at <= clock_timestamp()) as due,
        min(due_at) as next_at from timer
"""
SEAL = "select size, sealed_at from seal_heads order by number desc limit 1"


def _seal(conn: Connection[DictRow]) -> SealState | None:
    head = _row_if(conn, "seal_heads", SEAL)
    return SealState(facts=head["size"], sealed_at=head["sealed_at"]) if head else None


def _row(conn: Connection[DictRow], query: LiteralString) -> dict[str, Any]:
    row = conn.execute(query).fetchone()
    assert row is not None
    return row


def _row_if(conn: Connection[DictRow], table: str, query: LiteralString) -> dict[str, Any] | None:
    """A company that has not been opened since the upgrade lacks the newer tables."""
    if _row(conn, SQL("select to_regclass({}) as it").format(table).as_string())["it"] is None:
        return None
    return conn.execute(query).fetchone()


# Telling

Line = tuple[str, str]


def _page(state: Installation) -> Iterator[Line]:
    yield "medsales", f"{state.version}, Python {state.python}"
    yield "data folder", f"{state.home}{_in_brackets(state.disk_free, 'free')}"
    yield from _of_the_database(state.database)
    yield "last backup", _told_of_backup(state.backup)
    yield "write-ahead log", _told_of_archive(state.archive)
    for name, value in state.settings.items():
        if value:
            yield "settings" if name == "MEDSALES_HOME" else "", f"{name}={value}"
    for company in state.companies:
        yield "", ""
        yield from _of_a_company(company)


def _of_the_database(database: DatabaseState) -> Iterator[Line]:
    yield "database", f"{'embedded' if database.embedded else 'external'}, {database.place}"
    if not database.reachable:
        yield "", database.problem or "not created yet; `medsales run` does"
        return
    yield "", f"reachable, PostgreSQL {database.version}{_in_brackets(database.size, 'of data')}"
    if database.running is False:
        yield "", "nobody uses it at the moment"
    yield "connections", f"{database.connections} of {database.connections_allowed}"


def _told_of_backup(backup: BackupState | None) -> str:
    if backup is None:
        return "none that was made by `medsales backup`"
    gone = "" if backup.there else ", which cannot be seen from here"
    return f"{_ago(backup.made_at)}, {backup.place}{gone}"


def _told_of_archive(archive: ArchiveState | None) -> str:
    if archive is None:
        return "not kept; MEDSALES_WAL_ARCHIVE names a folder for it"
    last = f", the last {_ago(archive.last_at)}" if archive.last_at else ""
    failing = "; KEEPING IT FAILS, look at postgres.log" if archive.failing else ""
    return f"{archive.place}, {archive.pieces} pieces, {_bytes(archive.size)}{last}{failing}"


def _of_a_company(company: CompanyState) -> Iterator[Line]:
    yield "company", f"{company.name} ({_bytes(company.size)})"
    last = f", the last {_ago(company.last_fact_at)}" if company.last_fact_at else ""
    yield "log", f"{company.head:,} facts{last}, {company.refusals:,} refusals"
    yield "schema", f"step {company.schema_step} of {company.schema_steps_known}"
    since = f", connected {_ago(company.worker_since)}" if company.worker_since else ""
    yield "worker", f"at work{since}" if company.worker else "none"
    for name, lag in company.lag.items():
        behind = f"{lag:,} behind, for {_span(company.lag_seconds[name])}" if lag else "up to date"
        yield f"  {name}", behind
    if company.parked is not None:
        parked = (f"{name}: {streams}" for name, streams in company.parked.items())
        yield "parked", ", ".join(parked) or "nothing"
    if company.timers is not None:
        next_at = f", the next {company.next_timer_at:%Y-%m-%d %H:%M}Z" if company.timers else ""
        yield "timers", f"{company.timers:,} waiting, {company.timers_due:,} due{next_at}"
    yield "seal", _told_of_seal(company)


def _told_of_seal(company: CompanyState) -> str:
    if company.seal is None:
        return "none"
    left = company.head - company.seal.facts
    return f"up to position {company.seal.facts:,}, {_ago(company.seal.sealed_at)}; {left:,} after"


def _ago(moment: datetime) -> str:
    return f"{_span((datetime.now(UTC) - moment).total_seconds())} ago"


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _in_brackets(size: int | None, what: str) -> str:
    return "" if size is None else f" ({_bytes(size)} {what})"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - SI
            return f"{size:,.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
