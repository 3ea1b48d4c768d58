"""A company, opened: its log, the commands it answers, its read models and its worker."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from medsales.catalogue import PROJECTIONS
from medsales.engine import schema
from medsales.engine.application import MedSales
from medsales.engine.database import Database
from medsales.engine.embedded_postgres import (
    EmbeddedPostgres,
    EmbeddedPostgresError,
    postmaster_of,
)
from medsales.engine.follower import Follower
from medsales.engine.log import Log
from medsales.engine.seal import Sealer, Sealing
from medsales.engine.worker import Worker
from medsales.settings import Settings

LOG = logging.getLogger(__name__)
LOOK = 0.25
"""Seconds between two looks at the embedded server."""


@dataclass(frozen=True)
class Company:
    """Everything of one company lives in one schema; nothing is shared with the others."""

    name: str
    database: Database
    log: Log
    app: MedSales
    follower: Follower
    sealer: Sealer | None = None

    def close(self) -> None:
        """Answers what is waiting, then lets the database go."""
        self.app.close()
        self.database.close()

    def worker(self) -> Worker:
        return Worker(self.app, self.follower, self.sealer)


def open_company(
    url: str, name: str, connections: int = 20, sealing: Sealing | None = None
) -> Company:
    """Creates or upgrades the company's schema and opens it. Raises DatabaseUnavailable."""
    schema.prepare(url, name)
    database = Database(url, name, connections=connections)
    log = Log(database)
    sealer = Sealer(database, sealing) if sealing else None
    return Company(name, database, log, MedSales(log), Follower(database, PROJECTIONS), sealer)


class UnknownCompany(LookupError):
    """The token names a company that has not been added."""


class Companies:
    """The companies of one database, opened when first asked for."""

    def __init__(self, url: str, connections: int = 20, sealing: Sealing | None = None) -> None:
        self.url = url
        self.connections = connections
        self.sealing = sealing
        self.opened: dict[str, Company] = {}
        self.opening = threading.Lock()

    def names(self) -> list[str]:
        return schema.companies(self.url)

    def __getitem__(self, name: str) -> Company:
        """Raises UnknownCompany."""
        if name in self.opened:
            return self.opened[name]
        with self.opening:
            if name not in self.opened:
                if name not in self.names():
                    raise UnknownCompany(name)
                self.opened[name] = open_company(self.url, name, self.connections, self.sealing)
            return self.opened[name]

    def close(self) -> None:
        for company in self.opened.values():
            company.close()


def sealing(settings: Settings) -> Sealing:
    """How the logs of this installation are sealed."""
    return Sealing(
        settings.seal_key or settings.home / "seal.key",
        settings.seal_every,
        settings.seal_file,
        settings.seal_webhook,
        settings.seal_tsa,
    )


@contextmanager
def storage(settings: Settings) -> Iterator[str]:
    """The database of this installation: the one that is configured, or the embedded one."""
    if settings.database_url:
        yield settings.database_url
        return
    server = EmbeddedPostgres(settings.home, settings.wal_archive)
    try:
        server.start()
        with _kept_up(server):
            yield server.url()
    finally:
        server.close()
        if not server.in_use():
            server.stopped()


@contextmanager
def _kept_up(server: EmbeddedPostgres) -> Iterator[None]:
    """Has the server started again when it dies; what it had acknowledged is still there."""
    enough = threading.Event()
    keeper = threading.Thread(target=_keep_up, args=(server, enough), name="keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        enough.set()
        keeper.join()


def _keep_up(server: EmbeddedPostgres, enough: threading.Event) -> None:
    while not enough.wait(LOOK):
        if postmaster_of(server.data):
            continue
        LOG.warning("the embedded database is gone; it is started again")
        try:
            server.start()
        except EmbeddedPostgresError as error:
            LOG.warning("%s", error.sentence)
