"""Read models: rows and position together, each fact once, rebuilt and proved at any time."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.engine.conftest import Server
from tests.engine.purses import (
    MANAGER,
    Balances,
    Flows,
    OpenPurse,
    PutCoins,
    SetCeiling,
    TakeCoins,
    asked,
    at_once,
    do,
    new_name,
    opened,
    purse,
    query,
    until,
)

from medsales.company import Company
from medsales.engine import follower as module
from medsales.engine import schema
from medsales.engine.follower import Follower, NotYet

ROOT = Path(__file__).parents[2]
BOTH = ("balances", "flows")


def put(company: Company, times: int, id: str = "purse:ann", amount: int = 1) -> None:
    company.app.handle_many([asked(PutCoins(coins=amount), id) for _ in range(times)])


def balances(company: Company) -> dict[str, tuple[int, int]]:
    rows = query(company, "select * from balance order by purse")
    return {row["purse"]: (row["coins"], row["facts"]) for row in rows}


def test_read_models_show_what_happened(company: Company) -> None:
    purse(company, "ann", 10)
    purse(company, "bob", 1)
    put(company, 3)
    do(company, TakeCoins(coins=5), "purse:ann")
    company.follower.catch_up()
    assert balances(company) == {"purse:ann": (8, 5), "purse:bob": (1, 1)}
    flows = {row["event"]: row["coins"] for row in query(company, "select * from flow")}
    assert flows == {"CoinsPut": 3, "CoinsTaken": 5}
    assert company.follower.positions() == dict.fromkeys(BOTH, 6)


def test_a_position_moves_over_facts_that_change_nothing(company: Company) -> None:
    do(company, SetCeiling(name="town", most=3), by=MANAGER)
    company.follower.catch_up()
    assert company.follower.positions() == dict.fromkeys(BOTH, 1)
    assert balances(company) == {}


def test_nothing_waits_when_all_is_read(company: Company) -> None:
    purse(company)
    assert [company.follower.step(), company.follower.step()] == [1, 0]


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_read_models_at_different_positions_are_fed_from_one_read_of_the_log(
    company: Company, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(module, "BATCH", batch)
    purse(company, coins=0)
    put(company, 4)
    ahead = Follower(company.database, (Flows,))
    ahead.catch_up()
    put(company, 4)
    company.follower.catch_up()
    assert company.follower.positions() == dict.fromkeys(BOTH, 9)
    assert balances(company) == {"purse:ann": (8, 9)}
    assert query(company, "select coins from flow") == [{"coins": 8}]


def test_followers_at_once_never_apply_a_fact_twice(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 7)
    others = [opened(server.url, company.name) for _ in range(3)]
    purse(company, coins=0)
    written = threading.Event()

    def work(n: int) -> None:
        if n == 0:
            for _ in range(30):
                put(company, 10)
            written.set()
            return
        while not written.is_set():
            others[n - 1].follower.step()
        others[n - 1].follower.catch_up()

    at_once(4, work)
    assert balances(company) == {"purse:ann": (300, 301)}
    assert company.follower.verify(BOTH) == []
    for other in others:
        other.database.close()


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.engine.purses import opened
from medsales.engine import follower
company = opened(sys.argv[2], sys.argv[3])
"""
FOLLOW = """
follower.BATCH = 3
print("ready", flush=True)
sys.stdin.readline()
company.follower.catch_up()
company.database.close()
"""


def program(server: Server, company: Company, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + script, str(ROOT), server.url, company.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_followers_in_two_processes_never_apply_a_fact_twice(
    company: Company, server: Server
) -> None:
    purse(company, coins=0)
    put(company, 300)
    followers = [program(server, company, FOLLOW) for _ in range(2)]
    assert [line_of(each) for each in followers] == ["ready"] * 2
    for each in followers:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    assert [each.wait(60) for each in followers] == [0] * 2
    for each in followers:
        each.communicate()
    assert balances(company) == {"purse:ann": (300, 301)}


def test_a_read_model_that_is_new_begins_at_the_first_fact(
    company: Company, server: Server
) -> None:
    purse(company)
    name = new_name()
    schema.prepare(server.url, name)
    fresh = opened(server.url, name, (Balances,))
    do(fresh, OpenPurse(owner="ann", coins=3))
    fresh.follower.prepare()
    fresh.follower.catch_up()
    both = opened(server.url, name)
    both.follower.prepare()
    assert both.follower.positions() == {"balances": 1, "flows": 0}
    both.follower.catch_up()
    assert both.follower.positions() == {"balances": 1, "flows": 1}
    fresh.database.close()
    both.database.close()


def test_who_waits_sees_what_he_wrote(company: Company, server: Server) -> None:
    receipt = do(company, OpenPurse(owner="ann", coins=3))
    other = opened(server.url, company.name)
    waiting = threading.Thread(
        target=company.follower.wait_for, args=("balances", receipt.position, 60)
    )
    waiting.start()
    other.follower.catch_up()
    waiting.join()
    assert balances(company) == {"purse:ann": (3, 1)}
    other.database.close()


def test_who_waits_too_long_is_told_the_lag(company: Company) -> None:
    purse(company)
    with pytest.raises(NotYet, match="balances has reached position 0, not yet 1") as late:
        company.follower.wait_for("balances", 1, 0)
    assert late.value.lag == 1
    company.follower.wait_for("balances", 0, 0)


def test_until_finds_out_when_nothing_happens() -> None:
    with pytest.raises(AssertionError):
        until(lambda: False, 0)
