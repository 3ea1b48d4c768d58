"""The engine is tested against real servers: the embedded PostgreSQL 18, and Debian's 15."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import DictRow, dict_row
from tests.conftest import server_home
from tests.engine.purses import new_company, new_name

from medsales.company import Company, open_company
from medsales.engine.embedded_postgres import EmbeddedPostgres

PROGRAMS = {"postgres15": Path("/usr/lib/postgresql/15/bin")}
"""Where the servers lie that are not the embedded one."""


@dataclass(frozen=True)
class Server:
    major: int
    url: str
    """As medsales is connected: the owner of its database."""
    superuser_url: str

    def connect(self, company: Company, *, superuser: bool = False) -> Connection[DictRow]:
        """A connection of our own into a company's schema, outside of its pool."""
        url = self.superuser_url if superuser else self.url
        options = f"-c search_path={company.database.schema}"
        if superuser:
            url = psycopg.conninfo.make_conninfo(url, dbname="medsales")
        return psycopg.connect(url, options=options, autocommit=True, row_factory=dict_row)


@pytest.fixture(scope="session", params=["postgres18", "postgres15"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """MEDSALES_TEST_DATABASE_URL, a superuser's, takes the place of the embedded one."""
    which: str = request.param
    programs = PROGRAMS.get(which)
    given = os.environ.get("MEDSALES_TEST_DATABASE_URL")
    if given and not programs:
        with psycopg.connect(given) as conn:
            yield Server(conn.info.server_version // 10000, given, given)
        return
    if programs and not (programs / "postgres").exists():
        pytest.skip(f"PostgreSQL 15 is not installed: there is no {programs}/postgres")
    major = which.removeprefix("postgres")
    with EmbeddedPostgres(server_home(major)) as embedded:
        with pytest.MonkeyPatch.context() as patch:
            if programs:
                patch.setenv("MEDSALES_PG_BIN", str(programs))
            embedded.start()
        yield Server(int(major), embedded.url(), embedded.superuser_url())


@pytest.fixture(scope="session")
def database_url(server: Server) -> str:
    return server.url


@pytest.fixture
def company(server: Server) -> Iterator[Company]:
    """A new company of people with purses; its read models stand ready, its log is empty."""
    opened = new_company(server.url)
    yield opened
    opened.close()


@pytest.fixture
def neighbour(server: Server) -> Iterator[Company]:
    """Another company in the same database."""
    opened = new_company(server.url)
    yield opened
    opened.close()


@pytest.fixture
def trader(server: Server) -> Iterator[Company]:
    """A new company that sells devices, with everything the product has."""
    opened = open_company(server.url, new_name())
    opened.follower.prepare()
    yield opened
    opened.close()
