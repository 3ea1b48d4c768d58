"""The connection to one company's schema, and what to say when the database says no."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from eventsourcing.postgres import PostgresDatastore
from psycopg import Cursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row

Db: TypeAlias = Cursor[DictRow]

BEGIN_READING = (
    "begin isolation level repeatable read read only; lock table positions in access share mode"
)
"""The lock comes before the snapshot, and keeps rebuilt read models from being swapped in until the
end: a snapshot that finds the new tables, and is older than their rows, would find them empty."""
OLDEST_SERVER = 150000
COMPANY = re.compile(r"[a-z][a-z0-9_]{0,39}")


class DatabaseUnavailable(Exception):
    """The database cannot serve us: a stable code and one sentence for the operator."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def schema_of(company: str) -> str:
    """The schema that holds everything of a company. Raises ValueError for an impossible name."""
    if not COMPANY.fullmatch(company):
        raise ValueError(
            "a company's short name is 1 to 40 of a-z, 0-9 and _, and begins with a letter"
        )
    return f"company_{company}"


class Database(PostgresDatastore):
    """A pool of connections that see one company's schema and nothing else.

    The library's datastore, but opened by a libpq connection string (several hosts allowed), with
    the company's schema as search path. Its `enable_db_functions` stays off: it skips the lock that
    keeps the log in order.
    """

    def __init__(self, url: str, company: str, *, connections: int = 20) -> None:
        super().__init__(
            *("", "", "", "", ""),
            schema=schema_of(company),
            originator_id_type="text",
            pool_size=1,
            max_overflow=connections - 1,
            connect_timeout=10,
            max_waiting=200,
        )
        assert not self.enable_db_functions
        self.url = url
        self.company = company
        self.pool.kwargs = connection_settings(url, self.schema)

    @contextmanager
    def writing(self) -> Iterator[Db]:
        """One transaction that is committed unless something is raised."""
        with self.transaction(commit=True) as db:
            yield db

    @contextmanager
    def following(self) -> Iterator[Db]:
        """A transaction that a crash may undo as a whole: what follows the log is made again."""
        with self.writing() as db:
            db.execute("set local synchronous_commit = off")
            yield db

    @contextmanager
    def reading(self) -> Iterator[Db]:
        """One snapshot: everything read inside belongs to the same moment."""
        with self.get_connection() as conn:
            conn.execute(BEGIN_READING)
            try:
                yield conn.cursor()
            finally:
                conn.rollback()


def connection_settings(url: str, schema: str) -> dict[str, Any]:
    settings = {"connect_timeout": 10, "application_name": "medsales", **conninfo_to_dict(url)}
    options = f"{settings.get('options', '')} -c search_path={schema} -c timezone=UTC"
    return {**settings, "options": options.strip(), "row_factory": dict_row}


@contextmanager
def connect(url: str) -> Iterator[psycopg.Connection[DictRow]]:
    """A plain connection for set-up work. Raises DatabaseUnavailable with a sentence."""
    try:
        patient = make_conninfo(url, connect_timeout=10)
        with psycopg.connect(patient, row_factory=dict_row) as conn:
            if conn.info.server_version < OLDEST_SERVER:
                raise DatabaseUnavailable(
                    "database.too_old",
                    f"medsales needs PostgreSQL 15 or newer; this server is version "
                    f"{conn.info.server_version // 10000}",
                )
            yield conn
    except psycopg.Error as error:
        raise explained(error) from error


SENTENCES: dict[type[psycopg.Error], tuple[str, str]] = {
    psycopg.errors.DiskFull: ("database.disk_full", "the database has no disk space left"),
    psycopg.errors.InsufficientPrivilege: (
        "database.rights_missing",
        "the database user lacks a right that medsales needs",
    ),
    psycopg.errors.InvalidPassword: ("database.login_refused", "the database refused the password"),
    psycopg.errors.InvalidCatalogName: ("database.missing", "there is no such database"),
    psycopg.errors.TooManyConnections: ("database.busy", "the database has no free connection"),
    psycopg.errors.UndefinedColumn: (
        "read_model.rebuilding",
        "this read model is from another version of medsales; it is being made anew",
    ),
    psycopg.errors.ReadOnlySqlTransaction: (
        "database.read_only",
        "the database only reads at the moment, it may be a standby",
    ),
}

WORDS: dict[type[psycopg.Error], str] = {
    psycopg.errors.InvalidPassword: "password authentication failed",
    psycopg.errors.InvalidCatalogName: 'database ".*" does not exist',
    psycopg.errors.TooManyConnections: "too many (clients|connections)|remaining connection slots",
}
"""What the server says while connecting: psycopg drops the code of a connection never made."""


def explained(error: BaseException) -> DatabaseUnavailable:
    """One sentence for what the database driver, or the pool, has thrown."""
    cause = error if isinstance(error, psycopg.Error) else error.__cause__
    detail = " ".join(str(error).split())
    for kind, (code, sentence) in SENTENCES.items():
        if isinstance(cause, kind) or _said_while_connecting(kind, cause, detail):
            return DatabaseUnavailable(code, f"{sentence} ({detail})")
    if isinstance(cause, psycopg.ProgrammingError) and not isinstance(cause, psycopg.DataError):
        return DatabaseUnavailable("database.setting", f"the database setting is wrong: {detail}")
    return DatabaseUnavailable("database.unreachable", f"the database cannot be reached: {detail}")


def _said_while_connecting(
    kind: type[psycopg.Error], cause: BaseException | None, detail: str
) -> bool:
    connecting = isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None
    return connecting and kind in WORDS and re.search(WORDS[kind], detail) is not None
