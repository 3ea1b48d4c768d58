"""What is parked is shown to those who may decide, and their decisions are commands."""

from eventsourcing.persistence import StoredEvent
from tests.api.conftest import Api

from medsales.domain.kernel import Role


def park(api: Api, box: str = "1") -> None:
    """A box of which the log tells something that nobody has heard of."""
    api.project()
    api.build(box)
    api.company.log.insert_events([StoredEvent(f"toy-box:{box}", 2, "BoxLost", b"{}")])
    api.project()


def decide(api: Api, what: str, **body: object) -> dict[str, object]:
    headers = {"Idempotency-Key": f"{what}{body}", **api.auth(Role.QUALITY)}
    path = f"/parkings/{what}-parked"
    answer = api.http.post(path, json={"name": "toy_counts", **body}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_what_is_parked_is_listed_page_by_page(api: Api) -> None:
    for box in ("1", "2", "3"):
        park(api, box)
    first = api.get("/parked", Role.AUDITOR, limit=2).json()
    rest = api.get("/parked", Role.AUDITOR, limit=2, after=first["next"]).json()
    assert [one["subject"] for one in first["items"] + rest["items"]] == [
        "toy-box:1",
        "toy-box:2",
        "toy-box:3",
    ]
    one = first["items"][0]
    assert (one["name"], one["position"]) == ("toy_counts", 2)
    assert one["error"].startswith("UnknownEvent: no event is called BoxLost")


def test_it_is_not_for_everybody(api: Api) -> None:
    assert api.get("/parked", Role.SALES).json()["code"] == "role.missing"


def test_a_discard_over_http_is_done_and_remembered(api: Api) -> None:
    park(api)
    decide(api, "discard", stream="toy-box:1", position=2, reason="another program's slip")
    api.project()
    assert api.get("/parked", Role.AUDITOR).json()["items"] == []
    with api.company.database.cursor() as db:
        (row,) = db.execute("select * from log where subject = 'parking:toy_counts'").fetchall()
    assert (row["event"], row["envelope"]["by"]) == ("ParkedDiscarded", "mei")
    assert row["payload"]["reason"] == "another program's slip"


def test_a_retry_over_http_is_tried_and_parked_again(api: Api) -> None:
    park(api)
    before = api.get("/parked", Role.AUDITOR).json()["items"]
    decide(api, "retry", stream="toy-box:1")
    api.project()
    after = api.get("/parked", Role.AUDITOR).json()["items"]
    assert [one["position"] for one in after] == [2]
    assert after[0]["parked_at"] > before[0]["parked_at"]


def test_a_discard_says_what_and_why(api: Api) -> None:
    headers = {"Idempotency-Key": "1", **api.auth(Role.QUALITY)}
    body = {"name": "toy_counts", "stream": "toy-box:1"}
    answer = api.http.post("/parkings/discard-parked", json=body, headers=headers)
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"position", "reason"}
