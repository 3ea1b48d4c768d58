"""Alive, ready, and how far behind; and the workers that keep it so."""

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from tests.api.conftest import Api, Server, new_name, running
from tests.api.test_parked import park

from medsales.api import workers
from medsales.api.main import create_app
from medsales.company import Companies, Company
from medsales.engine.follower import Lag, lags
from medsales.settings import Settings


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_process_answers_without_a_token(server: Server) -> None:
    assert httpx.get(f"{server.url}/health/live").json() == {"alive": True}


def test_a_lag_is_told_and_leaves_the_server_ready(api: Api) -> None:
    api.project()
    api.build()
    answer = httpx.get(f"{api.server.url}/health/ready")
    assert answer.json()["ready"] is True
    found = answer.json()["companies"][api.company.name]
    assert found["read_models"]["toy_counts"].pop("lag_seconds") >= 0
    assert found == {
        "head": 1,
        "worker": "elsewhere",
        "read_models": {"toy_counts": {"position": 0, "lag": 1, "parked": 0}},
        "parked": 0,
    }


def test_what_is_parked_is_told_and_leaves_the_server_ready(api: Api) -> None:
    park(api)
    answer = httpx.get(f"{api.server.url}/health/ready").json()
    found = answer["companies"][api.company.name]
    assert (answer["ready"], found["parked"]) == (True, 1)
    assert found["read_models"]["toy_counts"]["parked"] == 1


def test_the_age_of_what_waits_is_told_and_none_when_nothing_waits(api: Api) -> None:
    api.build()
    api.project()
    api.build("2")
    first, later = lag(api), lag(api)
    assert (first.facts, first.position) == (1, 1)
    assert later.seconds > first.seconds > 0
    api.project()
    assert lag(api) == (2, 0, 0)


def lag(api: Api) -> Lag:
    return lags(api.company.database, ["toy_counts"])["toy_counts"]


def test_a_read_model_beyond_the_end_of_the_log_makes_the_server_unready(api: Api) -> None:
    api.build()
    api.project()
    with api.company.database.writing() as db:
        db.execute("update positions set position = 3")
    answer = httpx.get(f"{api.server.url}/health/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    model = answer.json()["companies"][api.company.name]["read_models"]["toy_counts"]
    assert (model["position"], model["lag"]) == (3, -2)


def test_without_a_database_a_server_is_alive_but_not_ready(settings: Settings) -> None:
    app = create_app(Companies("host=127.0.0.1 port=1 dbname=nowhere"), settings)
    with running(app) as url:
        assert httpx.get(f"{url}/health/live").status_code == 200
        answer = httpx.get(f"{url}/health/ready")
        assert (answer.status_code, answer.json()["database"]) == (503, "database.unreachable")


# Workers


class OurCompanies(Companies):
    """Only those that this test has made."""

    def __init__(self, url: str) -> None:
        super().__init__(url, 4)
        self.ours: list[str] = []

    def names(self) -> list[str]:
        return self.ours

    def add(self, server: Server) -> Company:
        company = server.open(new_name())
        self.opened[company.name] = company
        self.ours.append(company.name)
        return company


@pytest.fixture
def ours(server: Server) -> Iterator[OurCompanies]:
    companies = OurCompanies(server.database_url)
    yield companies
    for name in companies.ours:
        server.forget(name)


def worker_state(url: str, name: str) -> str:
    return str(httpx.get(f"{url}/health/ready").json()["companies"][name]["worker"])


def test_every_company_has_a_worker_also_one_that_comes_later(
    server: Server, settings: Settings, ours: OurCompanies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "LOOK", 0.05)
    app = create_app(ours, settings, work=True)
    with running(app) as url:
        company = ours.add(server)
        until(lambda: worker_state(url, company.name) == "running")
        until(lambda: company.follower.positions() == {"toy_counts": 0})
        app.state.workers.at_work[company.name].stop()
        until(lambda: worker_state(url, company.name) == "running")
    assert not app.state.workers.lives(company.name)


def test_a_worker_that_is_gone_makes_the_server_unready(
    server: Server, settings: Settings, ours: OurCompanies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "LOOK", 5)
    company = ours.add(server)
    app = create_app(ours, settings, work=True)
    with running(app) as url:
        until(lambda: app.state.workers.lives(company.name))
        app.state.workers.at_work[company.name].stop()
        answer = httpx.get(f"{url}/health/ready")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert answer.json()["companies"][company.name]["worker"] == "stopped"
