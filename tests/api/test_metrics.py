"""What Prometheus is told: the truth, without a token, and nothing of the business."""

from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.api.conftest import Api, Server, new_name
from tests.api.test_parked import park

from medsales.api.metrics import OfCompanies
from medsales.company import Companies, Company, open_company
from medsales.engine.database import Database


def measured(api: Api, **labels: str) -> dict[str, float]:
    """What is told of a company, under these further labels."""
    answer = httpx.get(f"{api.server.url}/metrics")
    assert answer.status_code == 200
    wanted = {"company": api.company.name, **labels}
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.labels == wanted
    }


def of(company: Company) -> dict[str, float]:
    """What is told of a company by a server that has opened this one alone."""
    companies = Companies(company.database.url)
    companies.opened["x"] = company
    return {
        sample.name: sample.value
        for family in OfCompanies(companies, None).collect()
        for sample in family.samples
    }


def test_metrics_tell_how_far_behind_a_read_model_is(api: Api) -> None:
    api.project()
    for number in ("1", "2", "3"):
        api.build(number)
    behind = measured(api, name="toy_counts")
    assert (behind["medsales_position"], behind["medsales_lag_facts"]) == (0, 3)
    assert behind["medsales_lag_seconds"] > 0
    api.project()
    caught_up = measured(api, name="toy_counts")
    assert (caught_up["medsales_position"], caught_up["medsales_lag_facts"]) == (3, 0)
    assert caught_up["medsales_lag_seconds"] == 0


def test_metrics_tell_how_commands_were_answered_and_in_how_many_batches(api: Api) -> None:
    api.build()
    api.put("bear")
    api.put()
    api.put("a", "b", "c")
    api.put("bear", If_Match='"7"')
    answered = {
        outcome: measured(api, outcome=outcome)["medsales_commands_total"]
        for outcome in ("accepted", "nothing", "refused", "stale", "failed")
    }
    assert answered == {"accepted": 2, "nothing": 1, "refused": 1, "stale": 1, "failed": 0}
    whole = measured(api)
    assert whole["medsales_append_jobs_total"] == 5
    assert 1 <= whole["medsales_append_batches_total"] <= 5
    assert (whole["medsales_log_head"], whole["medsales_database_up"]) == (2, 1)


def test_metrics_tell_what_is_parked(api: Api) -> None:
    park(api)
    assert measured(api, name="toy_counts")["medsales_parked_streams"] == 1


@pytest.fixture
def seller(server: Server) -> Company:
    """A company with everything the product has."""
    company = open_company(server.database_url, new_name(), 4)
    company.follower.prepare()
    return company


def test_metrics_tell_which_timers_are_due(seller: Company) -> None:
    with seller.database.writing() as db:
        db.execute(
            "insert into timer (timer, subject, due_at, set_by)"
            " select 'placement_overdue', n, now() + make_interval(days => n), n"
            " from generate_series(-1, 1) n"
        )
    told = of(seller)
    assert (told["medsales_timers_set"], told["medsales_timers_due"]) == (3, 2)
    seller.close()


def test_metrics_are_told_also_without_a_database(seller: Company) -> None:
    seller.database.close()
    told = of(replace(seller, database=Database("host=127.0.0.1 port=1", seller.name)))
    assert (told["medsales_database_up"], told["medsales_append_jobs_total"]) == (0, 0)
    assert "medsales_log_head" not in told
