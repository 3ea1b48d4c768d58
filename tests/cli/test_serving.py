"""Serving and working: they answer, and when they end nothing of theirs is left."""

import json
import signal
import socket

import httpx
import pytest
from tests.cli.conftest import Program, http

WAREHOUSE = {"code": "HZ-1", "name": "Hangzhou", "address": "1 West Lake Road"}


def open_warehouse(url: str, token: str, code: str = "HZ-1") -> int:
    """The position of what came of it."""
    with http(url, token) as client:
        answer = client.post(
            "/warehouses/open-warehouse",
            json={**WAREHOUSE, "code": code},
            headers={"Idempotency-Key": code},
        )
    assert answer.status_code == 200, answer.text
    return int(answer.json()["position"])


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_told_to_end_and_keeps_what_it_was_told(
    alone: Program, ending: signal.Signals
) -> None:
    token = alone.says("token")
    for _ in range(2):
        server = alone.serve()
        assert open_warehouse(server.url(), token) == 1
        assert server.told(ending) == 0
        assert alone.processes() == []
    told = [json.loads(line) for line in server.errors.read_text().splitlines()]
    assert {line["level"] for line in told} == {"info"}
    (fact,) = alone.facts()
    assert (fact["position"], fact["event"]) == (1, "WarehouseOpened")
    assert alone.processes() == []


def test_an_open_stream_does_not_keep_it_from_ending(alone: Program) -> None:
    server = alone.serve()
    with socket.create_connection(("127.0.0.1", int(server.url().rpartition(":")[2]))) as idle:
        idle.sendall(b"POST /commands HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n")
        assert httpx.get(f"{address(idle)}/health/live").status_code == 200
        assert server.told(signal.SIGTERM) == 0


def address(connected: socket.socket) -> str:
    host, port = connected.getpeername()
    return f"http://{host}:{port}"


def test_a_port_in_use_is_told(alone: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        sentence = alone.refuses("serve", "--port", port)
    assert sentence == f"cannot listen on 127.0.0.1 port {port}: address already in use"
    assert list(alone.home.iterdir()) == []


def test_an_address_of_somebody_else_is_told(alone: Program) -> None:
    assert alone.refuses("serve", "--host", "192.0.2.1").startswith("cannot listen on 192.0.2.1")


def test_a_worker_may_be_a_process_of_its_own(alone: Program) -> None:
    token = alone.says("token")
    server = alone.serve("--no-worker")
    url = server.url()
    worker = alone.start("worker", "--company", "default")
    assert worker.says("at work for (.*);")[1] == "default"
    at = open_warehouse(url, token)
    with http(url, token) as client:
        assert client.get("/stock", params={"min_position": at}).status_code == 200
        health = client.get("/health/ready").json()
    assert health["companies"]["default"]["worker"] == "elsewhere"
    # The one that ends first leaves the database to the other.
    assert server.told(signal.SIGINT) == 0
    assert alone.json("info")["companies"][0]["worker"]
    assert worker.told(signal.SIGTERM) == 0
    assert alone.processes() == []


def test_run_tells_a_story_once_and_its_token_is_good(alone: Program) -> None:
    first = alone.start("run", "--port", "0", "--units", "20")
    token = first.says(r"TOKEN=(\S+)")[1]
    pasted = first.says(r'curl -H "Authorization: Bearer \$TOKEN" (http\S+)')[1]
    with http(first.url(), token) as client:
        assert client.get(pasted).status_code == 200
    assert first.told(signal.SIGINT) == 0
    second = alone.start("run", "--port", "0")
    assert int(second.says(r"the log holds ([\d,]+) facts")[1].replace(",", "")) > 20
    assert second.told(signal.SIGINT) == 0
    assert alone.processes() == []
