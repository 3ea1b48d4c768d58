"""Whatever is sent: a problem that names the field, and never a 500."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.conftest import Api, ToyBox

from medsales.api.openapi import plural
from medsales.catalogue import AGGREGATES
from medsales.domain.kernel import Aggregate, Id, Role

PUT = "/toy-boxes/toy-box:1/put-toys-in"
MIB = 1024 * 1024
DEEP = b"[" * 100_000


def send(api: Api, body: bytes, path: str = PUT) -> Any:
    headers = {"Idempotency-Key": f"raw-{next(api.keys)}", "Content-Type": "application/json"}
    return api.http.post(path, content=body, headers=headers)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'"text"', "body"),
        (b'{"toys": 7}', "toys"),
        (b'{"toys": [{"name": 7}]}', "toys.0.name"),
        (b'{"toys": [{"name": "a"}, {"name": "b", "pieces": "many"}]}', "toys.1.pieces"),
        (b'{"toys": [{"name": "a", "pieces": 1e999}]}', "toys.0.pieces"),
        (b'{"toys": [{"name": "a", "pieces": NaN}]}', "toys.0.pieces"),
        (b'{"toys": [{"name": "a", "pieces": Infinity}]}', "toys.0.pieces"),
        (b'{"toys": [{"name": "a", "pieces": ' + b"9" * 10_000 + b"}]}", "body"),
        (b'{"toys": [{"name": "' + b"x" * 10_000 + b'"}]}', "toys.0.name"),
        (b'{"toys": [{"name": "a\\u0000"}]}', "toys.0.name"),
        (b'{"remark": "a\\u0000"}', "remark"),
        (b'{"remark": "\\ud800"}', "body"),
        (b'{"remark": "\xff"}', "body"),
        (b'{"remark": "a\x00"}', "body"),
        (b'{"colour": "red"}', "colour"),
        (b'{"remark": ' + DEEP, "body"),
        (b'{"toys": ' + DEEP + b"]" * 100_000 + b"}", "body"),
        (b'\xef\xbb\xbf{"remark": "byte order mark"}', "body"),
    ],
)
def test_a_bad_body_is_told_by_field(api: Api, body: bytes, field: str) -> None:
    api.build()
    answer = send(api, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "input.invalid"
    assert answer.json()["errors"][0]["field"] == field
    assert api.positions() == 1


def test_a_long_text_and_a_big_number_are_kept_where_they_are_allowed(api: Api) -> None:
    api.build()
    body = {"toys": [{"name": "a", "pieces": 10**30}], "remark": "长" * 10_000}
    assert api.post(PUT, body).status_code == 200
    assert api.get("/facts/2", Role.AUDITOR).json()["payload"] == body


def test_a_backslash_before_u0000_is_no_nul(api: Api) -> None:
    api.build()
    assert api.post(PUT, {"remark": "\\u0000", "toys": [{"name": "a"}]}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/toy-boxes/toy-box:%00/put-toys-in",
        "/toy-boxes/toy-box:%ff/put-toys-in",
        "/toy-boxes/toy-box:%ED%A0%80/put-toys-in",
        PUT + "?reason=%00",
        PUT + "?reason=%ff",
        PUT + "?%00=1",
        "/%00",
        "/facts?subject=%00",
    ],
)
def test_an_address_that_is_no_text_is_refused(api: Api, path: str) -> None:
    answer = send(api, b"{}", path)
    assert (answer.status_code, answer.json()["code"]) == (400, "text.malformed")


def test_control_characters_in_an_id_are_refused(api: Api) -> None:
    answer = send(api, b"{}", "/toy-boxes/toy-box:%09/put-toys-in")
    assert answer.json()["errors"][0]["field"] == "id"


TRICKS = ["\u202egnp.exe", "a\x9b2Jb", "a\u2028b", "\x1b[8m", "\u200b\ufeff", "\u3164"]


@pytest.mark.parametrize("text", TRICKS)
@pytest.mark.parametrize("escaped", [True, False])
def test_a_text_that_shows_something_else_than_it_holds_is_told_by_field(
    api: Api, text: str, *, escaped: bool
) -> None:
    api.build()
    for body, field in (
        ({"remark": text, "toys": [{"name": "a"}]}, "remark"),
        ({"toys": [{"name": "a"}, {"name": f"{text} " * 2}]}, "toys.1.name"),
    ):
        answer = send(api, json.dumps(body, ensure_ascii=escaped).encode())
        assert (answer.status_code, answer.json()["code"]) == (422, "input.invalid"), answer.text
        assert {each["field"] for each in answer.json()["errors"]} == {field}
    item = {"command": "PutToysIn", "id": "toy-box:1", "body": body, "key": "b"}
    (outcome,) = api.post("/commands", {"items": [item]}).json()["items"]
    assert (outcome["status"], outcome["problem"]["code"]) == (422, "input.invalid")
    reason = api.post(PUT + f"?reason={quote(text)}", {})
    assert [each["field"] for each in reason.json()["errors"]] == ["reason"]
    assert api.positions() == 1


@pytest.mark.parametrize("number", ["Cafe\u0301", "C-1\u200b"])
def test_a_number_is_written_in_one_way_only(api: Api, number: str) -> None:
    """Else two customers would have what looks like one number."""
    api.http.headers.update(api.auth(Role.SALES))
    body = {"name": "Cafe\u0301", "region": "ZJ", "address": "1 Road", "kind_of": "other"}
    answer = api.post("/customers/register-customer", {**body, "number": number})
    assert "number" in {each["field"] for each in answer.json()["errors"]}
    assert "name" not in {each["field"] for each in answer.json()["errors"]}


def test_what_is_spoken_of_may_have_been_named_before_such_rules(api: Api) -> None:
    """An id in a body, and what a scanner reads, where a control separates two parts."""
    api.build()
    body = {"other": "toy-box:\u202e1", "toys": [{"name": "a"}]}
    assert api.post("/toy-boxes/toy-box:1/pour-toys", body).json()["code"] == "toy-box.unknown"
    api.http.headers.update(api.auth(Role.WAREHOUSE))
    udi = "]d20106901234567892\x1d21S1"
    body = {"udi": udi, "product": "product:x", "warehouse": "warehouse:x"}
    answer = api.post("/device-units/receive-unit", body)
    assert answer.json()["code"] != "input.invalid", answer.text


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 65536 + 1):
        yield b" " * 65536


def test_a_body_over_one_mebibyte_is_too_large(api: Api) -> None:
    answer = send(api, b" " * (MIB + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")


def test_a_body_that_does_not_tell_its_size_is_too_large_all_the_same(api: Api) -> None:
    answer = api.http.post(PUT, content=chunks(MIB), headers={"Idempotency-Key": "big"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")


def test_a_body_of_just_one_mebibyte_is_read(api: Api) -> None:
    api.build()
    body = json.dumps({"toys": [{"name": "a"}]}).encode()
    assert send(api, body + b" " * (MIB - len(body))).status_code == 200


def test_a_batch_may_be_larger_but_not_without_end(api: Api) -> None:
    assert send(api, b" " * (2 * MIB), "/commands").status_code == 422
    assert send(api, b" " * (8 * MIB + 1), "/commands").status_code == 413


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /facts HTTP/1.1\r\nHost: x\r\nX-Nul: a\0b\r\n\r\n",
        b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /x\0y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /facts?a=\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /facts HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"POST /commands HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /commands HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_raw_bytes_are_a_bad_request_at_most(api: Api, raw: bytes) -> None:
    address = urlsplit(api.server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as conn:
        conn.sendall(raw)
        answer = conn.recv(65536)
    assert answer.startswith(b"HTTP/1.1 4"), answer


TEXT = st.text(max_size=30) | st.sampled_from(["\0", "\ud800", "x" * 10_000, "1e999", "∞", "NaN"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(TEXT, part, max_size=4),
    max_leaves=12,
)
EVERY_KIND: tuple[type[Aggregate], ...] = (*AGGREGATES, ToyBox)
EXAMPLES = [id.example for id in Id.__subclasses__()]
COMMANDS = [
    (plural(aggregate.kind), name, command)
    for aggregate in EVERY_KIND
    for name, command in aggregate.commands.items()
    if name != "break-toy-box"
]


def fitting(schema: Any, defs: Any) -> st.SearchStrategy[Any]:
    """Values as a JSON schema wants them, so that a command gets as far as its decision."""
    if "$ref" in schema:
        return fitting(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        return st.one_of([fitting(part, defs) for part in schema["anyOf"]])
    if known := schema.get("enum") or schema.get("examples"):
        return st.sampled_from(known)
    return FITTING.get(schema.get("format") or schema.get("type"), _fitting_other)(schema, defs)


def _fitting_other(schema: Any, defs: Any) -> st.SearchStrategy[Any]:
    if schema.get("type") == "array":
        return st.lists(fitting(schema.get("items", {}), defs), max_size=3)
    fields = {name: fitting(part, defs) for name, part in schema.get("properties", {}).items()}
    return st.fixed_dictionaries(fields) if fields else JSON


FITTING: dict[Any, Callable[[Any, Any], st.SearchStrategy[Any]]] = {
    "date": lambda *_: st.dates().map(str),
    "date-time": lambda *_: st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    "integer": lambda *_: st.integers(0, 2000),
    "number": lambda *_: st.decimals(0, 10**9, places=2).map(float),
    "boolean": lambda *_: st.booleans(),
    "null": lambda *_: st.none(),
    "string": lambda *_: TEXT,
}


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes]:
    """A command's route with a body that fits more or less, or not at all."""
    kind, name, command = draw(st.sampled_from(COMMANDS))
    schema = command.model_json_schema()
    body: Any = draw(JSON)
    if draw(st.integers(0, 9)):
        body = draw(_fitting_other(schema, schema.get("$defs", {})))
        if isinstance(body, dict) and body and draw(st.booleans()):
            body[draw(st.sampled_from([*body, "other"]))] = draw(JSON)
    id = quote(draw(TEXT | st.sampled_from(EXAMPLES)).encode("utf-8", "surrogatepass"), safe="")
    path = f"/{kind}/{name}" if command.is_beginning() else f"/{kind}/{id}/{name}"
    return path, json.dumps(body, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(request=requests())
def test_no_command_ever_fails_for_what_it_is_sent(api: Api, request: tuple[str, bytes]) -> None:
    path, body = request
    api.http.headers.update(api.auth(Role.SYSTEM))
    answer = send(api, body, path)
    assert answer.status_code < 500, (path, body, answer.text)
    if answer.status_code != 200:
        assert answer.json()["sentences"]["zh"]


PARAMETERS = ["subject", "kind", "actor", "since", "until", "after", "upto", "limit"]
PARAMETERS += ["min_position", "effective_at", "reason", "dry_run"]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=st.sampled_from(["/facts", "/refusals", "/toy-counts", "/facts/1", PUT]),
    name=st.sampled_from(PARAMETERS),
    value=TEXT | st.integers().map(str) | st.datetimes().map(str),
)
def test_no_question_ever_fails_for_its_parameters(
    api: Api, path: str, name: str, value: str
) -> None:
    api.project()
    query = f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}"
    answer = api.http.get(f"{path}?{query}", headers=api.auth(Role.AUDITOR))
    assert answer.status_code < 500 or answer.json()["code"] == "read_model.behind", answer.text
