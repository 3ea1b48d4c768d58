"""Kill -9 under load: what was acknowledged is there, once, and the read models tell the same."""

import json
import os
import signal
from collections import Counter

import httpx
from tests.cli.conftest import Program, http
from tests.faults.load import HOLD, LOT, Wish, begun, eventually, must_have_kept_its_word


def test_a_killed_server_loses_nothing_it_has_acknowledged(alone: Program) -> None:
    server = alone.serve()
    load = begun(alone, server.url())
    with load.running():
        for acknowledged in (40, 120):
            load.wait_for(acknowledged)
            server.kill()
            server = alone.serve()
            load.url = server.url()
    assert load.interrupted > 0
    must_have_kept_its_word(alone, load)


def test_a_killed_database_is_started_again_while_the_server_serves(alone: Program) -> None:
    server = alone.serve()
    load = begun(alone, server.url())
    killed = []
    with load.running():
        for acknowledged in (40, 120):
            load.wait_for(acknowledged)
            postmaster = (alone.home / "pg" / "postmaster.pid").read_text().partition("\n")[0]
            os.kill(int(postmaster), signal.SIGKILL)
            killed.append(postmaster)
    # Whether a client notices is chance: what was sent is sent again when the database is back.
    assert len({*killed}) == 2, "it was started again in between"
    must_have_kept_its_word(alone, load)
    assert "incident" not in server.errors.read_text()
    assert server.told(signal.SIGTERM) == 0


def test_a_killed_worker_does_nothing_twice_and_forgets_nothing(alone: Program) -> None:
    server = alone.serve("--no-worker")
    load = begun(alone, server.url())
    worker = alone.start("worker")
    with http(load.url, load.token) as client:
        with load.running():
            load.wait_for(120)
            worker.kill()
            load.insist(client, Wish("hold", f"/lots/{LOT}/hold-lot", HOLD))
            worker = alone.start("worker")
            # The process holds unit after unit; the worker dies among them, or just after.
            assert eventually(lambda: bool(client.get("/facts", params=BY_PROCESS).content))
            worker.kill()
            worker = alone.start("worker")
        assert eventually(lambda: everybody_is_held(client))
    must_have_kept_its_word(alone, load)


BY_PROCESS = {"kind": "UnitHeld", "actor": "process:hold_units_of_lot", "limit": "1"}


def everybody_is_held(client: httpx.Client) -> bool:
    """Each unit of the lot at most once, and in the end each."""
    lines = client.get("/facts", params={"kind": ["UnitReceived", "UnitHeld"]}).iter_lines()
    found = [json.loads(line) for line in lines]
    received = {fact["subject"] for fact in found if fact["event"] == "UnitReceived"}
    held = Counter(fact["subject"] for fact in found if fact["event"] == "UnitHeld")
    assert set(held.values()) <= {1}
    return set(held) == received


def test_two_workers_started_at_once_do_everything_once(alone: Program) -> None:
    server = alone.serve("--no-worker")
    load = begun(alone, server.url())
    both = [alone.start("worker"), alone.start("worker")]
    with http(load.url, load.token) as client:
        with load.running():
            load.wait_for(40)
            load.insist(client, Wish("hold", f"/lots/{LOT}/hold-lot", HOLD))
            load.wait_for(120)
            # Whichever of them is at work or stands by: the other one goes on.
            both[0].kill()
        assert eventually(lambda: everybody_is_held(client))
    must_have_kept_its_word(alone, load)
    assert both[1].told(signal.SIGTERM) == 0
