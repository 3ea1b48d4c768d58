"""An office at a server of its own, open for business."""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from tests.api.conftest import running
from tests.stories.office import SECRET, Office

from medsales.api.main import create_app
from medsales.company import Companies, open_company
from medsales.engine.credentials import METHOD, METHODS
from medsales.settings import Settings


@pytest.fixture
def office(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """Passwords are cheap here; that they cost a guesser enough is tested elsewhere."""
    monkeypatch.setenv("MEDSALES_SECRET", SECRET)
    monkeypatch.setitem(METHODS, METHOD, (2**4, 8, 1))
    name = f"story_{uuid4().hex[:12]}"
    companies = Companies(database_url)
    company = companies.opened[name] = open_company(database_url, name)
    monkeypatch.setattr(companies, "names", lambda: [name])
    with (
        running(create_app(companies, Settings(wait=20), work=True)) as url,
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        office = Office(http, company)
        office.opens()
        yield office
    companies.close()
