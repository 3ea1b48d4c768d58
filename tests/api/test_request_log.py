"""Each request leaves a line: who asked for what, under which key, and how it was answered."""

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog
from tests.api.conftest import Api

from medsales import logs
from medsales.domain.kernel import Role


class Stream(io.StringIO):
    """What was written, for whoever waits for a line of it."""

    def __init__(self) -> None:
        super().__init__()
        self.news = threading.Condition()

    def write(self, text: str) -> int:
        with self.news:
            self.news.notify_all()
            return super().write(text)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def line(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Written when the answer has left already, so it may have to be waited for."""
        with self.news:
            assert self.news.wait_for(lambda: any(map(wanted, self.lines())), 30), self.getvalue()
            return next(filter(wanted, self.lines()))

    def of(self, answer: httpx.Response) -> dict[str, Any]:
        id = answer.headers["X-Request-Id"]
        return self.line(lambda line: line["event"] == "request" and line["request"] == id)


@pytest.fixture
def log() -> Iterator[Stream]:
    with logging_to(Stream()) as stream:
        yield stream


class logging_to:  # noqa: N801 - it reads as a function
    """The logging of this process, and what it was before."""

    def __init__(self, stream: Stream, level: str = "info", form: str = "json") -> None:
        self.stream = stream
        self.how = level, form
        self.before = list(logging.root.handlers), logging.root.level

    def __enter__(self) -> Stream:
        logs.configure(*self.how, self.stream)
        return self.stream

    def __exit__(self, *_: object) -> None:
        structlog.reset_defaults()
        logging.root.handlers, level = self.before
        logging.root.setLevel(level)


def test_a_command_leaves_one_line_that_says_it_all(api: Api, log: Stream) -> None:
    answer = api.build("7")
    line = log.of(answer)
    assert line.pop("ms") > 0
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "request": answer.headers["X-Request-Id"],
        "method": "POST",
        "path": "/toy-boxes/build-toy-box",
        "company": api.company.name,
        "actor": "mei",
        "command": "BuildToyBox",
        "subject": "toy-box:7",
        "key": "key-0",
        "outcome": "accepted",
        "position": 1,
        "status": 200,
    }


def test_a_refusal_says_its_code(api: Api, log: Stream) -> None:
    api.build()
    line = log.of(api.put("bear", "ball", "car", "doll"))
    assert (line["outcome"], line["code"], line["status"]) == ("refused", "toy_box.full", 422)
    assert log.of(api.put())["outcome"] == "nothing"
    assert log.of(api.http.get("/nowhere"))["code"] == "route.unknown"


def test_a_batch_says_how_many_were_accepted(api: Api, log: Stream) -> None:
    items = [
        {"command": "BuildToyBox", "key": f"b{n}", "body": {"number": str(n)}} for n in range(3)
    ]
    full = {"command": "PutToysIn", "key": "f", "id": "toy-box:1", "body": {"toys": FOUR}}
    line = log.of(api.post("/commands", {"items": [*items, full]}))
    assert (line["commands"], line["accepted"], line["position"]) == (4, 3, 3)
    assert line["outcome"] == "batch"


FOUR = [{"name": name} for name in ("bear", "ball", "car", "doll")]


def test_the_id_that_came_with_the_request_is_kept(api: Api, log: Stream) -> None:
    answer = api.http.get("/health/live", headers={"X-Request-Id": "gate-17/a"})
    assert answer.headers["X-Request-Id"] == "gate-17/a"
    for forged in ("", "two words", "x" * 101):
        made = api.http.get("/nowhere", headers={"X-Request-Id": forged})
        assert len(made.headers["X-Request-Id"]) == 32
    assert "two words" not in log.getvalue()


def test_neither_tokens_nor_what_people_typed_are_written(api: Api, log: Stream) -> None:
    reason = "Mr Wang of bed 12 asked for it"
    moment = {"effective_at": "2026-01-01T00:00:00Z", "reason": reason}
    answer = api.http.post(
        "/toy-boxes/build-toy-box",
        params=moment,
        json={"number": "9"},
        headers={"Idempotency-Key": "k"},
    )
    assert log.of(answer)["outcome"] == "accepted"
    for secret in (api.token(Role.WAREHOUSE), "Bearer", "Wang", "bed", "Mei"):
        assert secret not in log.getvalue()


def test_an_incident_has_its_traceback_under_the_id_of_its_request(api: Api, log: Stream) -> None:
    api.build()
    answer = api.post("/toy-boxes/toy-box:1/break-toy-box")
    incident = answer.json()["incident"]
    request = log.of(answer)
    told = log.line(lambda line: line["level"] == "error")
    assert request["incident"] == told["incident"] == incident
    assert told["request"] == request["request"]
    assert (told["command"], told["actor"]) == ("BreakToyBox", "mei")
    assert "ZeroDivisionError" in told["exception"]


def test_an_address_cannot_forge_a_line(api: Api, log: Stream) -> None:
    line = log.of(api.http.get("/toy-counts/x%0A%7B%22event%22%3A%22forged%22%7D"))
    assert line["path"] == "/toy-counts/x%0A%7B%22event%22%3A%22forged%22%7D"
    with logging_to(Stream(), form="text") as text:
        answer = api.http.get("/toy-counts/x%0Aforged")
        id = answer.headers["X-Request-Id"]
        with text.news:
            assert text.news.wait_for(lambda: id in text.getvalue(), 30)
        assert "\nforged" not in text.getvalue()


def test_what_machines_ask_all_the_time_is_told_only_for_debugging(api: Api, log: Stream) -> None:
    quiet = api.http.get("/health/live")
    log.of(api.build())
    assert quiet.headers["X-Request-Id"] not in log.getvalue()
    with logging_to(Stream(), level="debug") as all:
        assert all.of(api.http.get("/health/live"))["level"] == "debug"
    with logging_to(Stream(), level="warning") as few:
        api.build("2")
        logging.getLogger("asyncio").warning("a word of a library")
        told = few.line(lambda line: line["level"] == "warning")
        assert told["event"] == "a word of a library"
        assert told["logger"] == "asyncio"
        assert len(few.lines()) == 1


class Full(Stream):
    """A disk that takes nothing any more."""

    def write(self, text: str) -> int:
        super().write(text)
        raise OSError(28, "No space left on device")


def test_a_full_disk_fails_no_request(api: Api) -> None:
    with logging_to(Full()) as full:
        assert api.build().status_code == 200
        logging.getLogger("anything").error("does not fit either")
        assert full.line(lambda line: line["event"] == "request")
        assert api.build("2").status_code == 200


def test_a_worker_says_for_whom_it_works_and_how_far_it_came(api: Api) -> None:
    api.build()
    api.put("bear")
    with logging_to(Stream(), level="debug") as log:
        worker = api.company.worker()
        worker.start()
        line = log.line(lambda line: line["event"] == "projected")
        worker.stop()
    assert (line["company"], line["first"], line["last"]) == (api.company.name, 1, 2)
    assert "request" not in line
