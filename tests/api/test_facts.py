"""What auditors read: every fact, and every refusal."""

import json
from typing import Any

import pytest
from tests.api.conftest import Api

from medsales.domain.kernel import Role


@pytest.fixture
def told(api: Api) -> Api:
    """A company with four facts of two boxes and two people."""
    api.build("1")
    api.build("2")
    api.put("kite", box="1")
    api.http.headers.update(api.auth(Role.WAREHOUSE, user="li"))
    api.put("ball", box="2")
    return api


def lines(api: Api, **filters: Any) -> list[Any]:
    answer = api.get("/facts", Role.AUDITOR, **filters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Medsales-Position"] == str(api.positions())
    return [json.loads(line) for line in answer.text.splitlines()]


def positions(api: Api, **filters: Any) -> list[int]:
    return [line["position"] for line in lines(api, **filters)]


def test_a_line_tells_the_whole_fact(told: Api) -> None:
    line = lines(told)[2]
    assert (line["position"], line["subject"], line["version"]) == (3, "toy-box:1", 2)
    assert line["event"] == "ToysPutIn"
    assert line["payload"] == {"toys": [{"name": "kite", "pieces": 1}], "remark": ""}
    assert line["envelope"]["command"] == "PutToysIn"
    assert line["recorded_at"].endswith("Z")
    assert len(line["event_id"]) == 36
    assert told.get("/facts/3", Role.AUDITOR).json() == line


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [1, 2, 3, 4]),
        ({"subject": "toy-box:1"}, [1, 3]),
        ({"kind": "ToysPutIn"}, [3, 4]),
        ({"kind": ["ToysPutIn", "ToyBoxBuilt"], "subject": "toy-box:2"}, [2, 4]),
        ({"kind": "Nothing"}, []),
        ({"actor": "li"}, [4]),
        ({"actor": ""}, []),
        ({"subject": ""}, []),
        ({"after": 2}, [3, 4]),
        ({"upto": 2}, [1, 2]),
        ({"after": 1, "limit": 2}, [2, 3]),
        ({"since": "2020-01-01T00:00:00Z"}, [1, 2, 3, 4]),
        ({"until": "2020-01-01T00:00:00Z"}, []),
        ({"after": 2**63 - 1}, []),
        ({"upto": 2**63 - 1}, [1, 2, 3, 4]),
    ],
)
def test_filters_choose_facts(told: Api, filters: dict[str, Any], found: list[int]) -> None:
    assert positions(told, **filters) == found


def test_a_moment_divides_the_facts_in_two(told: Api) -> None:
    third = lines(told)[2]["recorded_at"]
    assert positions(told, since=third) == [3, 4]
    assert positions(told, until=third) == [1, 2]


def test_a_long_log_flows_in_order_and_without_gaps(api: Api) -> None:
    items = [
        {"command": "BuildToyBox", "body": {"number": f"{n}"}, "key": f"{n}"} for n in range(1000)
    ]
    api.http.post("/commands", json={"items": items})
    api.build("last")
    assert positions(api) == list(range(1, 1002))
    assert positions(api, limit=501) == list(range(1, 502))


@pytest.mark.parametrize("path", ["/facts", "/facts/1", "/refusals"])
def test_the_audit_is_not_for_everybody(told: Api, path: str) -> None:
    assert told.get(path).json()["code"] == "role.missing"
    assert told.http.get(path, headers={"Authorization": ""}).status_code == 401
    for role in (Role.AUDITOR, Role.MANAGER, Role.QUALITY, Role.SYSTEM):
        assert told.get(path, role).status_code == 200


def test_a_position_that_is_not_there_is_a_404(told: Api) -> None:
    assert told.get("/facts/5", Role.AUDITOR).json()["code"] == "fact.unknown"
    assert told.get("/facts/0", Role.AUDITOR).status_code == 422
    assert told.get(f"/facts/{2**63}", Role.AUDITOR).status_code == 422


def test_refusals_tell_who_wanted_what_and_what_he_was_told(told: Api) -> None:
    told.put("a", "b", "c", "d", Idempotency_Key="too many")
    (refusal,) = told.get("/refusals", Role.AUDITOR).json()["items"]
    assert refusal.pop("recorded_at")
    assert refusal == {
        "client": "li",
        "key": "too many",
        "actor": "li",
        "command": "PutToysIn",
        "subject": "toy-box:1",
        "body": {"toys": [{"name": n, "pieces": 1} for n in "abcd"], "remark": ""},
        "code": "toy_box.full",
        "en": "the box is full",
        "zh": "箱子已满",
    }


def test_refusals_page_in_the_order_they_were_given(told: Api) -> None:
    items = [
        {
            "command": "PutToysIn",
            "id": "toy-box:1",
            "body": {"toys": [{"name": "a"}] * 4},
            "key": f"{n:02}",
        }
        for n in range(7)
    ]
    told.http.post("/commands", json={"items": items})
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = told.get("/refusals", Role.AUDITOR, limit=3, **after).json()
        seen += [item["key"] for item in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == [f"{n:02}" for n in range(7)]
