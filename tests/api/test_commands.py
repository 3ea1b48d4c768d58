"""Commands over HTTP: what is answered, what is recorded, and what asking twice does."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import pytest
from tests.api.conftest import Api

from medsales.domain.kernel import Role


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["type"] == f"/problems/{code}"
    return True


def test_a_beginning_needs_no_id_and_answers_with_a_receipt(api: Api) -> None:
    answer = api.build()
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"1"'
    assert answer.json() == {
        "id": "toy-box:1",
        "version": 1,
        "events": ["ToyBoxBuilt"],
        "position": 1,
    }


def test_the_etag_is_the_version_afterwards(api: Api) -> None:
    api.build()
    assert api.put("kite").headers["ETag"] == '"2"'


def test_nothing_to_do_is_an_answer(api: Api) -> None:
    api.build()
    assert api.put().json()["events"] == []


def test_a_command_may_change_two_aggregates_at_once(api: Api) -> None:
    api.build("1")
    api.build("2")
    body = {"other": "toy-box:2", "toys": [{"name": "ball"}]}
    answer = api.post("/toy-boxes/toy-box:1/pour-toys", body)
    assert answer.json()["events"] == ["ToysPutIn", "ToysPutIn"]


@pytest.mark.parametrize(
    "number", ["a/b", "50%", "1:2", "a/put-toys-in", "?x=1&y#z", "盒子", "a+b", "%2F"]
)
def test_an_id_may_hold_any_printable_character(api: Api, number: str) -> None:
    assert api.build(number).json()["id"] == f"toy-box:{number}"
    answer = api.post(f"/toy-boxes/{quote(f'toy-box:{number}', safe='')}/put-toys-in")
    assert answer.json()["id"] == f"toy-box:{number}"


def test_a_slash_in_an_id_may_stand_bare(api: Api) -> None:
    api.build("a/b")
    assert api.put("kite", box="a/b").json()["id"] == "toy-box:a/b"


def test_a_command_needs_an_idempotency_key(api: Api) -> None:
    answer = api.http.post("/toy-boxes/build-toy-box", json={"number": "1"})
    assert is_problem(answer, 400, "idempotency_key.missing")


@pytest.mark.parametrize("key", ["x" * 201, "tab\tbed", "schlüssel"])
def test_an_idempotency_key_is_short_and_printable(api: Api, key: str) -> None:
    answer = api.http.post(
        "/toy-boxes/build-toy-box",
        json={"number": "1"},
        headers={b"Idempotency-Key": key.encode("latin-1")},
    )
    assert is_problem(answer, 400, "idempotency_key.malformed")


def test_asking_again_gets_the_first_answer_byte_for_byte(api: Api) -> None:
    api.build()
    first = api.put("kite", Idempotency_Key="once")
    api.put("ball")
    again = api.put("kite", Idempotency_Key="once")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert api.positions() == 3


def test_asking_again_gets_the_first_refusal_byte_for_byte(api: Api) -> None:
    api.build()
    first = api.put("a", "b", "c", "d", Idempotency_Key="once")
    again = api.put("a", "b", "c", "d", Idempotency_Key="once")
    assert is_problem(first, 422, "toy_box.full")
    assert (again.status_code, again.content) == (first.status_code, first.content)


def test_a_refusal_stands_though_it_would_be_granted_now(api: Api) -> None:
    first = api.put("kite", Idempotency_Key="early")
    api.build()
    again = api.put("kite", Idempotency_Key="early")
    assert is_problem(again, 404, "toy-box.unknown")
    assert again.content == first.content


def test_many_who_ask_the_same_at_once_get_the_same_answer(api: Api) -> None:
    api.build()
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: api.put("kite", Idempotency_Key="once"), range(16)))
    assert len({answer.content for answer in answers}) == 1
    assert api.positions() == 2


@pytest.mark.parametrize("query", ["", "?effective_at=2020-01-01T00:00:00Z&reason=late"])
def test_a_key_is_not_for_another_command(api: Api, query: str) -> None:
    api.build()
    api.put("kite", Idempotency_Key="once")
    toys = {"toys": [{"name": "kite" if query else "ball"}]}
    answer = api.post(f"/toy-boxes/toy-box:1/put-toys-in{query}", toys, Idempotency_Key="once")
    assert is_problem(answer, 422, "idempotency_key.reused")


@pytest.mark.parametrize("etag", ['"1"', "1"])
def test_if_match_lets_the_current_version_through(api: Api, etag: str) -> None:
    api.build()
    assert api.put("kite", If_Match=etag).status_code == 200


def test_if_match_stops_who_has_not_seen_the_last_version(api: Api) -> None:
    api.build()
    api.put("kite")
    answer = api.put("ball", If_Match='"1"')
    assert is_problem(answer, 412, "version.stale")
    assert answer.json()["version"] == 2


def test_asking_again_with_if_match_gets_the_first_answer(api: Api) -> None:
    api.build()
    first = api.put("kite", If_Match='"1"', Idempotency_Key="once")
    assert api.put("kite", If_Match='"1"', Idempotency_Key="once").content == first.content


@pytest.mark.parametrize("etag", ["*", '"1', 'W/"1"', '"1", "2"', "-1", "one", "9" * 30, ""])
def test_a_malformed_if_match_is_told(api: Api, etag: str) -> None:
    api.build()
    assert is_problem(api.put("ball", If_Match=etag), 400, "if_match.malformed")


def test_a_dry_run_tells_the_events_and_records_nothing(api: Api) -> None:
    api.build()
    answer = api.http.post(
        "/toy-boxes/toy-box:1/put-toys-in?dry_run=true", json={"toys": [{"name": "kite"}]}
    )
    assert answer.json() == [
        {
            "subject": "toy-box:1",
            "version": 2,
            "event": "ToysPutIn",
            "payload": {"toys": [{"name": "kite", "pieces": 1}], "remark": ""},
        }
    ]
    assert api.positions() == 1


def test_a_dry_run_is_refused_like_the_command_and_not_remembered(api: Api) -> None:
    api.build()
    toys = {"toys": [{"name": name} for name in "abcd"]}
    answer = api.post("/toy-boxes/toy-box:1/put-toys-in?dry_run=true", toys)
    assert is_problem(answer, 422, "toy_box.full")
    assert api.get("/refusals", Role.AUDITOR).json()["items"] == []


def test_a_command_may_take_effect_earlier_with_a_reason(api: Api) -> None:
    query = "?effective_at=2024-02-29T08:00:00%2B08:00&reason=delivered%20before%20the%20holiday"
    assert api.post(f"/toy-boxes/build-toy-box{query}", {"number": "1"}).status_code == 200
    fact = api.get("/facts/1", Role.AUDITOR).json()
    assert fact["effective_at"] == "2024-02-29T00:00:00.000000Z"
    assert fact["envelope"]["reason"] == "delivered before the holiday"


@pytest.mark.parametrize("offset", ["-16:00", "%2B23:59", "-23:59"])
def test_any_offset_is_told_in_utc(api: Api, offset: str) -> None:
    query = f"?effective_at=2024-02-29T08:00:00{offset}&reason=late"
    assert api.post(f"/toy-boxes/build-toy-box{query}", {"number": "1"}).status_code == 200
    assert api.get("/facts/1", Role.AUDITOR).json()["effective_at"].endswith("Z")


def test_the_same_moment_in_another_spelling_is_the_same_wish(api: Api) -> None:
    answers = [
        api.post(
            f"/toy-boxes/build-toy-box?effective_at={moment}&reason=late",
            {"number": "1"},
            Idempotency_Key="once",
        )
        for moment in ("2024-02-29T08:00:00%2B08:00", "2024-02-29T00:00:00Z")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert api.positions() == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("dry-run=true", "dry-run"),
        ("dryRun=true", "dryRun"),
        ("key=other", "key"),
        ("expected_version=7", "expected_version"),
        ("dry_run=true&dry_run=false", "dry_run"),
        ("reason=one&reason=one", "reason"),
    ],
)
def test_a_parameter_that_is_unknown_or_repeated_is_told_by_name(
    api: Api, query: str, field: str
) -> None:
    answer = api.post(f"/toy-boxes/build-toy-box?{query}", {"number": "1"})
    assert is_problem(answer, 422, "input.invalid")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert api.positions() == 0


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("effective_at=2024-02-29T08:00:00Z", "effective.reason_missing"),
        ("effective_at=2999-01-01T00:00:00Z&reason=x", "effective.in_future"),
        ("effective_at=2024-02-29T08:00:00&reason=naive", "input.invalid"),
        ("effective_at=0001-01-01T00:00:00%2B14:00&reason=old", "input.invalid"),
        ("effective_at=9999-12-30T23:59:59-14:00&reason=x", "input.invalid"),
        ("effective_at=9999-12-30T00:00:00Z&reason=x", "effective.in_future"),
        ("effective_at=soon&reason=x", "input.invalid"),
        ("dry_run=perhaps", "input.invalid"),
    ],
)
def test_a_bad_effective_time_is_refused(api: Api, query: str, code: str) -> None:
    answer = api.post(f"/toy-boxes/build-toy-box?{query}", {"number": "1"})
    assert is_problem(answer, 422, code)


def test_a_role_that_is_missing_is_a_403_and_remembered(api: Api) -> None:
    api.http.headers.update(api.auth(Role.SALES))
    assert is_problem(api.build(), 403, "role.missing")
    (refusal,) = api.get("/refusals", Role.AUDITOR).json()["items"]
    assert (refusal["actor"], refusal["code"]) == ("mei", "role.missing")


@pytest.mark.parametrize("id", ["toy-box:2", "crate:1", "", "%20"])
def test_what_does_not_exist_is_a_404(api: Api, id: str) -> None:
    answer = api.post(f"/toy-boxes/{id}/put-toys-in")
    assert is_problem(answer, 404, "toy-box.unknown")


def test_an_id_that_is_too_long_is_told(api: Api) -> None:
    assert is_problem(api.build("x" * 195), 422, "id.too_long")
    answer = api.post(f"/toy-boxes/toy-box:{'x' * 300}/put-toys-in")
    assert is_problem(answer, 422, "input.invalid")
    assert answer.json()["errors"][0]["field"] == "id"


@pytest.mark.parametrize(
    ("accepted", "detail"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "箱子已满"),
        ("en;q=0.3, zh;q=0.7", "箱子已满"),
        ("de, en;q=0.5", "the box is full"),
        ("zh;q=0", "the box is full"),
        ("", "the box is full"),
        (";;q=,zh", "箱子已满"),
    ],
)
def test_a_refusal_speaks_the_language_of_who_asked(api: Api, accepted: str, detail: str) -> None:
    api.build()
    answer = api.put("a", "b", "c", "d", Accept_Language=accepted)
    assert answer.json()["detail"] == detail
    assert answer.json()["sentences"] == {"en": "the box is full", "zh": "箱子已满"}


def test_a_bug_is_an_incident_that_gives_nothing_away(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.build()
    answer = api.post("/toy-boxes/toy-box:1/break-toy-box")
    assert is_problem(answer, 500, "incident")
    assert "secret" not in answer.text
    assert answer.json()["incident"] in caplog.text
    assert "the secret of the traceback" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "code", "status"),
    [
        ("GET", "/nowhere", "route.unknown", 404),
        ("GET", "/toy-boxes/build-toy-box", "method.not_allowed", 405),
        ("POST", "/toy-boxes/toy-box:1/fly", "route.unknown", 404),
    ],
)
def test_an_address_that_is_none_is_told(
    api: Api, method: str, path: str, code: str, status: int
) -> None:
    assert is_problem(api.http.request(method, path), status, code)


def test_the_front_door_leads_to_the_description(api: Api) -> None:
    assert api.http.get("/").headers["Location"] == "/docs"


def test_when_too_many_wait_the_next_is_told_at_once_and_may_come_again(api: Api) -> None:
    committer = api.company.app.committer
    before, committer.bound = committer.bound, 0
    answer = api.post("/toy-boxes/build-toy-box", {"number": "1"}, Idempotency_Key="b-1")
    committer.bound = before
    assert is_problem(answer, 503, "commands.waiting")
    assert answer.headers["Retry-After"] == "1"
    assert api.positions() == 0
    again = api.post("/toy-boxes/build-toy-box", {"number": "1"}, Idempotency_Key="b-1")
    assert again.status_code == 200


def test_a_hundred_at_once_are_all_answered_and_in_order(api: Api) -> None:
    with ThreadPoolExecutor(32) as pool:
        answers = [*pool.map(lambda n: api.build(number=str(n)), range(100))]
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["position"] for answer in answers) == [*range(1, 101)]
