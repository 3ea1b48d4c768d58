"""What tests share: a real PostgreSQL, and companies in it that nobody else uses."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st

from medsales.company import Company, open_company
from medsales.engine.embedded_postgres import EmbeddedPostgres

st.register_type_strategy(Decimal, st.decimals(0, 10**9, places=2))
# A slow machine is no reason to fail; what is checked is behaviour. A failing life is shown as it
# was found: to shrink one takes minutes, and whoever looks into it can add Phase.shrink.
settings.register_profile("medsales", deadline=None, phases=[Phase.explicit, Phase.generate])
settings.load_profile("medsales")


def run_id() -> str:
    """The same in all processes of one run of pytest."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"alone{os.getpid()}"


def server_home(which: str) -> Path:
    """A short path: a socket's may have about 100 bytes."""
    return Path(tempfile.gettempdir()) / f"medsales-{run_id()[:12]}-{which}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        for home in server_home("x").parent.glob(f"medsales-{run_id()[:12]}-*"):
            EmbeddedPostgres(home).stopped()
            shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A server of this test run: the embedded one, or MEDSALES_TEST_DATABASE_URL."""
    if given := os.environ.get("MEDSALES_TEST_DATABASE_URL"):
        yield given
        return
    with EmbeddedPostgres(server_home("18")) as server:
        server.start()
        yield server.url()


@pytest.fixture
def company(database_url: str) -> Iterator[Company]:
    """A new company, whose log is empty."""
    opened = open_company(database_url, f"test_{uuid4().hex[:12]}")
    opened.follower.prepare()
    yield opened
    opened.database.close()
