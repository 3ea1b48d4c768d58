"""What an operator does: add companies, make tokens, look at the whole installation."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import typer
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier
from pydantic import BaseModel

from medsales.api.auth import issue_token
from medsales.cli.failures import sentence
from medsales.cli.opening import ERR, OUT, founded, opened_companies
from medsales.company import storage
from medsales.domain.kernel import Role
from medsales.engine import schema
from medsales.engine.application import APP
from medsales.engine.database import DatabaseUnavailable, connect, schema_of
from medsales.engine.embedded_postgres import EmbeddedPostgresError
from medsales.settings import Settings

PEOPLE = tuple(role for role in Role if role is not Role.SYSTEM)


class CompanyState(BaseModel):
    """How far a company is."""

    name: str
    schema_step: int
    schema_steps_known: int
    head: int
    """The position of the last fact; there are no gaps, so also the number of facts."""
    refusals: int
    worker: bool
    """Whether somebody is at work for it."""
    lag: dict[str, int]
    """Facts that each read model, and the processes, have still to take in."""


class DatabaseState(BaseModel):
    """Which database it is, and whether it answers."""

    embedded: bool
    place: str
    version: str | None = None
    reachable: bool = False
    problem: str | None = None


class Installation(BaseModel):
    """What an operator asks first."""

    version: str
    python: str
    home: str
    database: DatabaseState
    companies: list[CompanyState] = []


def add_company(name: str) -> None:
    schema_of(name)
    with opened_companies() as companies:
        known = name in companies.names()
        founded(companies, name).follower.prepare()
    OUT.print(f"{name} is there already" if known else f"{name} is added")


def list_companies(*, json: bool) -> None:
    with opened_companies() as companies:
        names = companies.names()
    if json:
        OUT.print_json(data=names)
    else:
        typer.echo("\n".join(names)) if names else ERR.print("there is no company yet")


def token(  # noqa: PLR0913 - what a token says
    user: str, name: str, roles: Sequence[Role], company: str, days: float, *, json: bool
) -> None:
    """The token alone goes to stdout, what it is worth to stderr."""
    schema_of(company)
    secret = Settings().secret()
    held = tuple(roles) or PEOPLE
    made = issue_token(secret, user, name or user, held, company=company, days=days)
    until = datetime.now(UTC) + timedelta(days=days)
    if json:
        said = {"token": made, "user": user, "roles": held, "company": company, "expires": until}
        OUT.print_json(data=said, default=str)
        return
    ERR.print(
        f"for {user} in {company} until {until:%Y-%m-%d}, as {', '.join(role.en for role in held)}"
        + ("" if roles else " (every role, for local use; --role gives fewer)")
    )
    typer.echo(made)


def info(*, json: bool) -> None:
    """Exit code 1 when the database cannot be reached."""
    state = installation(Settings())
    if json:
        typer.echo(state.model_dump_json(indent=2))
    else:
        _tell(state)
    if state.database.problem:
        raise typer.Exit(1)


def installation(settings: Settings) -> Installation:
    """As it is: nothing is created or upgraded by looking at it."""
    state = Installation(
        version=APP,
        python=platform.python_version(),
        home=str(settings.home),
        database=_database(settings),
    )
    if state.database.embedded and not (settings.home / "pg").exists():
        return state
    try:
        with storage(settings) as url, connect(url) as conn:
            state.database.version = conn.info.parameter_status("server_version")
            state.database.reachable = True
            state.companies = [_company(conn, name) for name in schema.companies(url)]
    except (DatabaseUnavailable, EmbeddedPostgresError) as error:
        state.database.problem = sentence(error)
    return state


def _database(settings: Settings) -> DatabaseState:
    if not settings.database_url:
        return DatabaseState(embedded=True, place=str(settings.home / "pg"))
    parts = conninfo_to_dict(settings.database_url)
    shown = {name: part for name, part in parts.items() if "password" not in name}
    return DatabaseState(
        embedded=False, place=" ".join(f"{name}={part}" for name, part in shown.items())
    )


def _company(conn: Connection[DictRow], name: str) -> CompanyState:
    conn.execute(SQL("set search_path to {}").format(Identifier(schema_of(name))))
    head = _number(conn, "select max(notification_id) as n from facts")
    positions = conn.execute("select name, position from positions order by name").fetchall()
    return CompanyState(
        name=name,
        schema_step=schema.steps_taken(conn),
        schema_steps_known=len(schema.STEPS),
        head=head,
        refusals=_number(conn, "select count(*) as n from commands where outcome = 'refused'"),
        worker=bool(_number(conn, WORKERS)),
        lag={row["name"]: max(0, head - row["position"]) for row in positions},
    )


WORKERS = """
    select count(*) as n from pg_locks where locktype = 'advisory' and granted
    and classid = 'positions'::regclass::oid and objid = 1 and objsubid = 2
"""


def _number(conn: Connection[DictRow], query: Any) -> int:
    row = conn.execute(query).fetchone()
    return int((row or {}).get("n") or 0)


def _tell(state: Installation) -> None:
    database = state.database
    _line("medsales", f"{state.version}, Python {state.python}")
    _line("data folder", state.home)
    _line("database", f"{'embedded' if database.embedded else 'external'}, {database.place}")
    _line("", _condition(database))
    for company in state.companies:
        OUT.print()
        _tell_of(company)


def _condition(database: DatabaseState) -> str:
    if database.reachable:
        return f"reachable, PostgreSQL {database.version}"
    return database.problem or "not created yet; `medsales run` does"


def _tell_of(company: CompanyState) -> None:
    steps = f"step {company.schema_step} of {company.schema_steps_known}"
    _line("company", company.name)
    _line("log", f"{company.head:,} facts, {company.refusals:,} refusals")
    _line("schema", steps)
    _line("worker", "at work" if company.worker else "none")
    for name, lag in company.lag.items():
        _line(f"  {name}", f"{lag:,} behind" if lag else "up to date")


def _line(label: str, said: str) -> None:
    OUT.print(f"{label:<18} {said}", markup=False)
