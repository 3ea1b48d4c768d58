"""Many commands in one request: each is answered for itself."""

from typing import Any

import httpx
import pytest
from tests.api.conftest import Api

from medsales.domain.kernel import Role


def build(number: str, **more: Any) -> dict[str, Any]:
    body = {"number": number}
    return {"command": "BuildToyBox", "body": body, "key": f"build {number}", **more}


def put(*names: str, box: str = "1", **more: Any) -> dict[str, Any]:
    toys = [{"name": name} for name in names]
    key = f"put {'-'.join(names)} {box}"
    return {
        "command": "PutToysIn",
        "id": f"toy-box:{box}",
        "body": {"toys": toys},
        "key": key,
        **more,
    }


def send(api: Api, *items: Any) -> httpx.Response:
    return api.http.post("/commands", json={"items": items})


def told(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    return [
        item["receipt"]["version"] if "receipt" in item else item["problem"]["code"]
        for item in answer.json()["items"]
    ]


def test_a_later_command_sees_what_the_earlier_did(api: Api) -> None:
    assert told(send(api, build("1"), put("kite"), put("ball"))) == [1, 2, 3]


def test_a_bad_item_does_not_fail_its_neighbours(api: Api) -> None:
    items = [
        build("1"),
        {**build("2"), "body": {"number": 7}},
        {**build("3"), "command": "FlyToTheMoon"},
        {**build("4"), "key": ""},
        7,
        put("kite", box="9"),
        put("a", "b", "c", "d"),
        put("doll", expected_version=5),
        put("drum", effective_at="0001-01-01T00:00:00+14:00", reason="old"),
        put("a\0"),
        put("flute", id="crate:1"),
        put("kite", key="build 1", id="crate:1"),
        put("kite"),
    ]
    answer = send(api, *items)
    assert told(answer) == [
        1,
        "input.invalid",
        "command.unknown",
        "input.invalid",
        "input.invalid",
        "toy-box.unknown",
        "toy_box.full",
        "version.stale",
        "input.invalid",
        "input.invalid",
        "toy-box.unknown",
        "toy-box.unknown",
        2,
    ]
    statuses = [item["status"] for item in answer.json()["items"]]
    assert statuses == [200, 422, 404, 422, 422, 404, 422, 412, 422, 422, 404, 404, 200]
    assert answer.json()["items"][1]["problem"]["errors"][0]["field"] == "number"


def test_sending_a_batch_again_gets_the_same_answer_byte_for_byte(api: Api) -> None:
    items = [build("1"), put("kite"), put("a", "b", "c", "d")]
    first = send(api, *items)
    assert send(api, *items).content == first.content
    assert api.positions() == 2


def test_a_key_of_a_batch_is_the_key_of_the_single_command(api: Api) -> None:
    receipt = send(api, build("1")).json()["items"][0]["receipt"]
    single = api.post("/toy-boxes/build-toy-box", {"number": "1"}, Idempotency_Key="build 1")
    assert single.json() == receipt


def test_the_same_item_twice_in_a_batch_is_done_once(api: Api) -> None:
    assert told(send(api, build("1"), put("kite"), put("kite"))) == [1, 2, 2]
    assert api.positions() == 2


def test_a_wrong_id_under_a_used_key_is_told_and_fails_no_neighbour(api: Api) -> None:
    send(api, build("1"))
    assert told(send(api, put("kite", key="build 1", id="crate:1"), put("ball"))) == [
        "idempotency_key.reused",
        2,
    ]


def test_a_thousand_commands_go_at_once_and_no_more(api: Api) -> None:
    assert told(send(api, *(build(str(n)) for n in range(1000)))) == [1] * 1000
    answer = send(api, *(build(str(n)) for n in range(1001)))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "items")


@pytest.mark.parametrize("body", ["", "[]", '{"items": []}', '{"items": 7}', '{"items":['])
def test_a_batch_that_is_none_is_told(api: Api, body: str) -> None:
    assert api.http.post("/commands", content=body).status_code == 422


def test_the_time_and_reason_of_an_item_are_kept(api: Api) -> None:
    send(api, build("1", effective_at="2024-02-29T00:00:00Z", reason="offline"))
    fact = api.get("/facts/1", Role.AUDITOR).json()
    assert (fact["effective_at"], fact["envelope"]["reason"]) == (
        "2024-02-29T00:00:00.000000Z",
        "offline",
    )


def test_the_time_of_an_item_is_the_same_in_every_spelling(api: Api) -> None:
    zones = ("2024-02-29T08:00:00+16:00", "2024-02-28T16:00:00Z")
    items = [build("1", effective_at=moment, reason="offline") for moment in zones]
    assert told(send(api, *items)) == [1, 1]
    assert api.get("/facts/1", Role.AUDITOR).json()["effective_at"] == "2024-02-28T16:00:00.000000Z"
