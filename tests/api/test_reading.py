"""Questions: at which position they were answered, waiting for one's own writes, and pages."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator

import httpx
import pytest
from tests.api.conftest import Api, Server, new_name
from tests.domain.examples import REGISTER_PUMP, REGISTER_UNION

from medsales.company import open_company
from medsales.domain.kernel import Role
from medsales.engine.application import Actor, Ask


@pytest.fixture
def boxes(api: Api) -> Api:
    """Five boxes, of which the read model knows."""
    for number in "abcde":
        api.build(number)
    api.put("kite", "ball", box="c")
    api.project()
    return api


def test_an_answer_says_what_it_has_seen(boxes: Api) -> None:
    answer = boxes.get("/toy-counts/toy-box:c")
    assert answer.json() == {"box": "toy-box:c", "toys": 2}
    assert answer.headers["Medsales-Position"] == "6"


def test_an_answer_is_as_old_as_its_read_model(boxes: Api) -> None:
    boxes.put("drum", box="c")
    answer = boxes.get("/toy-counts/toy-box:c")
    assert (answer.json()["toys"], answer.headers["Medsales-Position"]) == (2, "6")


def test_what_is_not_there_is_a_404(boxes: Api) -> None:
    assert boxes.get("/toy-counts/toy-box:z").json()["code"] == "row.unknown"


def test_a_reader_waits_for_what_he_wrote(boxes: Api) -> None:
    position = boxes.put("drum", box="c").json()["position"]
    later = threading.Timer(0.1, boxes.project)
    later.start()
    answer = boxes.get("/toy-counts/toy-box:c", min_position=position)
    later.join()
    assert (answer.json()["toys"], answer.headers["Medsales-Position"]) == (3, "7")


def test_a_reader_does_not_wait_for_ever(boxes: Api) -> None:
    begun = time.monotonic()
    answer = boxes.get("/toy-counts", min_position=9)
    assert 0.3 <= time.monotonic() - begun < 5
    assert (answer.status_code, answer.json()["code"]) == (503, "read_model.behind")
    assert answer.headers["Retry-After"] == "1"
    assert answer.json()["lag"] == 3


def test_a_read_model_that_does_not_exist_yet_is_behind(api: Api) -> None:
    assert api.get("/toy-counts").json()["code"] == "read_model.behind"
    assert api.get("/toy-counts", min_position=1).json()["code"] == "read_model.behind"


@pytest.mark.parametrize("position", ["-1", str(2**63), "soon", "1.5"])
def test_a_position_is_a_whole_number(boxes: Api, position: str) -> None:
    answer = boxes.get("/toy-counts", min_position=position)
    assert answer.json()["errors"][0]["field"] == "min_position"


def test_those_who_wait_do_not_hold_up_commands(boxes: Api) -> None:
    readers = [
        threading.Thread(target=boxes.get, args=("/toy-counts",), kwargs={"min_position": 99})
        for _ in range(60)
    ]
    for reader in readers:
        reader.start()
    begun = time.monotonic()
    assert boxes.build("f").status_code == 200
    waited = time.monotonic() - begun
    for reader in readers:
        reader.join()
    assert waited < 20


def pages(api: Api, path: str, limit: int, **filters: int) -> list[list[str]]:
    found = []
    after: dict[str, str] = {}
    while True:
        page = api.get(path, limit=limit, **filters, **after).json()
        found.append([item["box"][-1] for item in page["items"]])
        assert page["position"] == 6
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


def test_a_list_comes_in_pages(boxes: Api) -> None:
    assert pages(boxes, "/toy-counts", 2) == [["a", "b"], ["c", "d"], ["e"]]
    assert pages(boxes, "/toy-counts", 5) == [["a", "b", "c", "d", "e"]]
    assert pages(boxes, "/toy-counts", 2, least=1) == [["c"]]
    assert pages(boxes, "/toy-counts", 2, least=9) == [[]]


def test_a_list_may_run_backwards_by_other_columns(boxes: Api) -> None:
    assert pages(boxes, "/toy-counts/newest", 2) == [["c", "e"], ["d", "b"], ["a"]]


def test_what_is_added_between_two_pages_moves_nothing(boxes: Api) -> None:
    first = boxes.get("/toy-counts", limit=3).json()
    boxes.build("0")
    boxes.project()
    second = boxes.get("/toy-counts", limit=3, after=first["next"]).json()
    assert [item["box"] for item in second["items"]] == ["toy-box:d", "toy-box:e"]


def test_every_question_can_be_asked_of_the_past(boxes: Api) -> None:
    """Also those whose author said nothing about it: then everything is folded."""
    boxes.put("drum", box="a")
    boxes.project()
    for position, toys in ((0, {}), (3, {"a": 0, "b": 0, "c": 0}), (7, {**NONE, "c": 2, "a": 1})):
        page = boxes.get("/toy-counts", as_of=position)
        assert {item["box"][-1]: item["toys"] for item in page.json()["items"]} == toys
        assert page.json()["position"] == position
        assert page.headers["Medsales-Position"] == str(position)
        answer = boxes.get("/toy-counts/toy-box:c", as_of=position)
        assert answer.json().get("toys") == toys.get("c")
        assert position or answer.json()["code"] == "row.unknown"


NONE = dict.fromkeys("abcde", 0)


def test_a_list_of_the_past_comes_in_pages(boxes: Api) -> None:
    boxes.put("drum", box="a")
    boxes.build("0")
    boxes.project()
    assert pages(boxes, "/toy-counts", 2, as_of=6) == [["a", "b"], ["c", "d"], ["e"]]
    assert pages(boxes, "/toy-counts", 2, least=1, as_of=6) == [["c"]]
    assert pages(boxes, "/toy-counts/newest", 2, as_of=6) == [["c", "e"], ["d", "b"], ["a"]]


def test_a_time_means_the_last_position_recorded_by_then(boxes: Api) -> None:
    told = [json.loads(line) for line in boxes.get("/facts", Role.AUDITOR).text.splitlines()]
    for fact in told:
        answer = boxes.get("/toy-counts", as_of=fact["recorded_at"])
        assert answer.headers["Medsales-Position"] == str(fact["position"])
    assert boxes.get("/toy-counts", as_of="2020-01-01T00:00:00+08:00").json()["items"] == []
    later = boxes.get("/toy-counts", as_of="2999-01-01T00:00:00Z")
    assert later.headers["Medsales-Position"] == "6"


def test_what_had_not_taken_effect_by_a_time_does_not_count(boxes: Api) -> None:
    sent = {"effective_at": "2020-01-02T00:00:00Z", "reason": "told late"}
    answer = boxes.http.post(
        "/toy-boxes/toy-box:c/put-toys-in",
        json={"toys": [{"name": "old"}]},
        params=sent,
        headers={"Idempotency-Key": "late"},
    )
    position = answer.json()["position"]
    boxes.project()
    then = {"effective_at": "2020-01-03T00:00:00Z"}
    assert boxes.get("/toy-counts/toy-box:c", **then).json()["toys"] == 1
    assert boxes.get("/toy-counts/toy-box:c", recorded_by=position, **then).json()["toys"] == 1
    early = boxes.get("/toy-counts/toy-box:c", recorded_by=position - 1, **then)
    assert early.json()["code"] == "row.unknown"


def test_a_position_beyond_the_log_is_told(boxes: Api) -> None:
    for given in ("as_of", "recorded_by"):
        answer = boxes.get("/toy-counts", **{given: 7})
        assert (answer.status_code, answer.json()["code"]) == (422, "position.not_recorded")
        assert answer.json()["detail"].endswith("the log ends at 6")


def test_a_past_that_the_read_model_has_not_reached_is_waited_for(boxes: Api) -> None:
    position = boxes.put("drum", box="c").json()["position"]
    assert boxes.get("/toy-counts", as_of=position).json()["code"] == "read_model.behind"
    later = threading.Timer(0.1, boxes.project)
    later.start()
    assert boxes.get("/toy-counts/toy-box:c", as_of=position).json()["toys"] == 3
    later.join()


def test_the_past_is_not_before_what_the_reader_must_see(boxes: Api) -> None:
    assert boxes.get("/toy-counts", as_of=5, min_position=5).status_code == 200
    answer = boxes.get("/toy-counts", as_of=4, min_position=5)
    assert (answer.status_code, answer.json()["code"]) == (422, "position.before_min_position")


@pytest.mark.parametrize(
    "given",
    ["-1", str(2**63), "9" * 5000, "1.5", "yesterday", "2026-01-01", "2026-01-01T00:00", "", "²"],
)
def test_a_moment_is_a_position_or_a_time_with_its_zone(boxes: Api, given: str) -> None:
    for name in ("as_of", "recorded_by"):
        answer = boxes.get("/toy-counts", **{name: given})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, name), given


def test_a_moment_is_given_once(boxes: Api) -> None:
    answer = boxes.get("/toy-counts", as_of=1, recorded_by=1)
    assert answer.json()["errors"][0]["field"] == "recorded_by"


NOT_KEYS = (b"[]", b"[7]", b"7", b'["toy-box:\\u0000"]', b'["toy-box:1", 1]')


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "%", *(urlsafe_b64encode(key).decode() for key in NOT_KEYS), "A" * 5000],
)
def test_a_cursor_that_is_not_ours_is_told(boxes: Api, cursor: str) -> None:
    answer = boxes.get("/toy-counts", after=cursor)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "after"


def test_the_cursor_of_another_list_is_told(boxes: Api) -> None:
    for key in (["toy-box:a"], ["BallCount", "toy-box:a"], ["ToyCount", 2, "toy-box:a"]):
        cursor = urlsafe_b64encode(json.dumps(key).encode()).decode()
        answer = boxes.get("/toy-counts", after=cursor)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "after")


@pytest.fixture
def shop(server: Server) -> Iterator[Api]:
    """Somebody of a company with its real read models, a product and a customer."""
    name = new_name()
    company = open_company(server.database_url, name)
    server.companies.opened[name] = company
    mei = Actor("mei", "Mei 梅", (Role.SYSTEM,), "desk")
    company.app.handle(Ask(REGISTER_PUMP.model_copy(update={"name": ODD}), mei))
    company.app.handle(Ask(REGISTER_UNION.model_copy(update={"name": ODD}), mei))
    with httpx.Client(base_url=server.url, timeout=30) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(Role.SALES))
        api.project()
        yield api
    server.forget(name)


ODD = "5% in a_b \\ c"


@pytest.mark.parametrize("path", ["/products", "/customers"])
@pytest.mark.parametrize(
    ("search", "found"), [("5% IN", 1), ("a_b", 1), ("\\ c", 1), ("5%b", 0), ("_ in", 0)]
)
def test_a_search_takes_every_sign_as_it_is(shop: Api, path: str, search: str, found: int) -> None:
    assert len(shop.get(path, search=search).json()["items"]) == found


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_page_has_1_to_1000_items(boxes: Api, limit: str) -> None:
    assert boxes.get("/toy-counts", limit=limit).json()["errors"][0]["field"] == "limit"


def test_a_database_that_is_gone_is_a_503_with_one_sentence(boxes: Api) -> None:
    boxes.company.database.close()
    for answer in (boxes.get("/toy-counts"), boxes.build("g"), boxes.get("/facts", Role.AUDITOR)):
        assert (answer.status_code, answer.json()["code"]) == (503, "database.unreachable")
        assert answer.headers["Retry-After"] == "5"
        assert answer.json()["detail"] == "the database cannot be reached"
