"""Everything about anybody: the facts that name him, and what has changed between two moments."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.api.conftest import Api, Server, new_name
from tests.dealer import CHILDREN, GAUZE, LENS, UNION, Dealer

from medsales.company import open_company
from medsales.domain.kernel import EVENTS, Role
from medsales.domain.parties.customer import ReviseCustomer
from medsales.engine import between
from medsales.projections.in_words import NAMES
from medsales.projections.unit_history import UnitHistory

REVISE = ReviseCustomer(name="Union 协和", region="SH", tier="B", address="2 Road")


@pytest.fixture
def shop(server: Server) -> Iterator[tuple[Api, Dealer]]:
    name = new_name()
    company = open_company(server.database_url, name)
    company.follower.prepare()
    server.companies.opened[name] = company
    with httpx.Client(base_url=server.url, timeout=30) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(Role.AUDITOR))
        yield api, Dealer(company)
    server.forget(name)


def about(api: Api, subject: str, **given: Any) -> list[int]:
    answer = api.get(f"/subjects/{subject}/facts", **given)
    assert answer.status_code == 200, answer.text
    return [json.loads(line)["position"] for line in answer.text.splitlines()]


def told(api: Api, subject: str, **given: Any) -> Any:
    answer = api.get(f"/subjects/{subject}/diff", **given)
    assert answer.status_code == 200, answer.text
    return answer.json()


def changed(found: Any, table: str) -> list[Any]:
    return [row for row in found["rows"] if row["table"] == table]


def test_every_fact_about_somebody_is_told_as_it_is_stored(shop: tuple[Api, Dealer]) -> None:
    api, dealer = shop
    order = dealer.sell("1", dealer.receive("S1"))
    dealer.order("2", (GAUZE, 1), customer=CHILDREN)
    dealer.catch_up()
    log = [json.loads(line) for line in api.get("/facts").text.splitlines()]
    for subject in (UNION, CHILDREN, order, LENS):
        expected = [
            fact
            for fact in log
            if fact["subject"] == subject or f'"{subject}"' in json.dumps(fact["payload"])
        ]
        answer = api.get(f"/subjects/{subject}/facts")
        assert [json.loads(line) for line in answer.text.splitlines()] == expected != []
        assert answer.headers["Medsales-Position"] == str(api.positions())
        assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert about(api, "customer:nobody") == []


def test_facts_about_somebody_are_chosen_by_position(shop: tuple[Api, Dealer]) -> None:
    api, dealer = shop
    dealer.sell("1", dealer.receive("S1"))
    dealer.catch_up()
    everything = about(api, UNION)
    assert about(api, UNION, limit=2) == everything[:2]
    assert about(api, UNION, after=everything[1]) == everything[2:]
    assert about(api, UNION, as_of=everything[3]) == everything[:4]
    answer = api.get(f"/subjects/{UNION}/facts", effective_at="2026-01-01T00:00:00Z")
    assert answer.json()["errors"][0]["field"] == "effective_at"


def test_a_reader_of_the_index_waits_for_what_he_wrote(shop: tuple[Api, Dealer]) -> None:
    api, dealer = shop
    dealer.catch_up()
    position = dealer.tell(REVISE, UNION).position
    answer = api.get(f"/subjects/{UNION}/facts", min_position=position)
    assert answer.json()["code"] == "read_model.behind"
    dealer.catch_up()
    assert about(api, UNION, min_position=position)[-1] == position


def test_only_auditors_see_everything_about_somebody(shop: tuple[Api, Dealer]) -> None:
    api, _ = shop
    for path in (f"/subjects/{UNION}/facts", f"/subjects/{UNION}/diff"):
        assert api.get(path, Role.SALES).json()["code"] == "role.missing"


def test_a_difference_tells_the_columns_that_changed(shop: tuple[Api, Dealer]) -> None:
    api, dealer = shop
    begin = api.positions()
    dealer.tell(REVISE, UNION)
    dealer.catch_up()
    found = told(api, UNION, **{"from": begin})
    assert (found["begin"], found["end"]) == (begin, begin + 1)
    (fact,) = found["facts"]
    assert fact["en"].startswith("Customer revised: name Union 协和; region SH; tier B")
    assert fact["zh"].startswith("变更客户资料: name Union 协和")
    (row,) = found["rows"]
    assert row == {
        "table": "customer_profile",
        "key": {"customer": UNION},
        "before": {
            "name": "Union Hospital 协和医院",
            "region": "ZJ",
            "tier": "A",
            "address": "1 Road",
        },
        "after": {"name": "Union 协和", "region": "SH", "tier": "B", "address": "2 Road"},
        "added": {},
    }


def test_a_difference_tells_what_came_what_went_and_what_was_added(
    shop: tuple[Api, Dealer],
) -> None:
    api, dealer = shop
    unit = dealer.receive("S1")
    begin = api.positions()
    order = dealer.sell("1", unit)
    dealer.catch_up()
    found = told(api, unit, **{"from": begin})
    assert [fact["en"] for fact in found["facts"] if fact["subject"] == unit] == [
        f"reserved for {order} of {UNION}",
        f"shipped from warehouse:HZ (qualified) with shipment:DN-1 to {UNION} for {order}",
        f"delivered to {UNION}, who owns it now",
    ]
    (at_site,) = changed(found, "unit_at_site")
    assert (at_site["before"], at_site["after"]["customer"]) == ({}, UNION)
    levels = {row["key"]["holder"]: row["added"] for row in changed(found, "stock_level")}
    assert levels == {"warehouse:HZ": {"on_hand": -1}, UNION: {"on_hand": 1}}
    assert not changed(found, "history_entry")
    shipped = next(f["position"] for f in found["facts"] if f["event"] == "UnitShipped")
    until = told(api, unit, **{"from": begin, "to": shipped})
    assert not changed(until, "unit_at_site")


def test_a_difference_is_asked_for_by_time_too(shop: tuple[Api, Dealer]) -> None:
    api, dealer = shop
    dealer.tell(REVISE, UNION)
    dealer.catch_up()
    end = api.positions()
    at = [json.loads(line)["recorded_at"] for line in api.get("/facts").text.splitlines()]
    found = told(api, UNION, **{"from": at[end - 2], "to": at[end - 1]})
    assert (found["begin"], found["end"], len(found["facts"])) == (end - 1, end, 1)
    nothing = told(api, UNION, **{"from": end, "to": end})
    assert (nothing["facts"], nothing["rows"]) == ([], [])


def test_too_much_for_one_person_is_told(
    shop: tuple[Api, Dealer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(between, "MOST", 3)
    api, dealer = shop
    for n in range(3):
        dealer.receive(f"S{n}")
    dealer.catch_up()
    answer = api.get(f"/subjects/{LENS}/diff")
    assert (answer.status_code, answer.json()["code"]) == (422, "diff.too_much")
    beyond = api.get(f"/subjects/{LENS}/diff", to=api.positions() + 1)
    assert beyond.json()["code"] == "position.not_recorded"


def test_a_fact_that_is_parked_or_unknown_is_told_and_changes_nothing(
    shop: tuple[Api, Dealer],
) -> None:
    api, dealer = shop
    dealer.catch_up()
    begin = api.positions()
    dealer.tell(REVISE, UNION)
    dealer.catch_up()
    with dealer.company.database.writing() as db:
        db.execute(
            "insert into parked (name, subject, position, error, parked_at)"
            " select name, %s, %s, 'odd', now() from positions where name = 'customer360'",
            (UNION, begin + 1),
        )
    found = told(api, UNION, **{"from": begin})
    assert [fact["event"] for fact in found["facts"]] == ["CustomerRevised"]
    assert found["rows"] == []


def test_every_event_has_words_in_chinese() -> None:
    own = {name for name, event in EVENTS.items() if event.__module__.startswith("medsales")}
    assert own - set(UnitHistory.handlers) - set(NAMES) == set()
    assert set(NAMES) <= own
