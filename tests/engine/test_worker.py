"""The worker: one at a time, always on, and gone when it is told to."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from psycopg.sql import Identifier
from tests.engine.conftest import Server
from tests.engine.purses import (
    CoinsTaken,
    PutCoins,
    TakeCoins,
    asked,
    coins,
    do,
    opened,
    purse,
    query,
    until,
)
from tests.engine.test_processes import save_some

from medsales.company import Company
from medsales.engine import follower, log, process, tail, worker
from medsales.engine.application import MedSales
from medsales.engine.committer import Overloaded
from medsales.engine.process import POLICIES
from medsales.engine.worker import Worker

AGES = 60.0
"""Seconds: whoever waits so long has not been woken."""
Hire = Callable[..., Worker]


@pytest.fixture
def hired(server: Server, company: Company) -> Iterator[Hire]:
    """Workers of the company, each in a program of its own, so to speak."""
    workers: list[tuple[Company, Worker]] = []

    def hire() -> Worker:
        theirs = opened(server.url, company.name)
        workers.append((theirs, theirs.worker()))
        workers[-1][1].start()
        return workers[-1][1]

    yield hire
    for theirs, one in workers:
        one.stop()
        theirs.database.close()


def place(company: Company, server: Server) -> int | None:
    """Whose connection has the place of work."""
    with server.connect(company, superuser=True) as conn:
        row = conn.execute(
            "select pid from pg_locks where locktype = 'advisory' and objid = 1 and granted"
            " and classid = 'positions'::regclass::oid"
        ).fetchone()
    return int(row["pid"]) if row else None


def end(company: Company, server: Server, pid: int | None) -> None:
    assert pid is not None
    with server.connect(company, superuser=True) as conn:
        conn.execute("select pg_terminate_backend(%s)", (pid,))


def is_shown(company: Company, balance: int) -> bool:
    rows = query(company, "select coins from balance where purse = 'purse:ann'")
    return rows == [{"coins": balance}]


def stopped(one: Worker) -> bool:
    """Told to stop, and gone; a worker that is not woken is found out."""
    threading.Thread(target=one.stop, daemon=True).start()
    one.thread.join(30)
    return not one.thread.is_alive()


def test_a_worker_brings_read_models_and_processes_to_the_end_of_the_log(
    company: Company, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POLICIES, CoinsTaken.__name__, [save_some])
    purse(company, "savings", 0)
    hired()
    purse(company)
    do(company, TakeCoins(coins=3), "purse:ann")
    until(lambda: coins(company, "purse:savings") == 3 and is_shown(company, 7))


def test_a_worker_is_woken_by_what_happens(
    company: Company, server: Server, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL", AGES)
    hired()
    until(lambda: place(company, server))
    purse(company)
    for n in range(1, 6):
        do(company, PutCoins(coins=1), "purse:ann")
        until(lambda n=n: is_shown(company, 10 + n))  # type: ignore[misc]


def test_without_a_wake_up_a_worker_looks_by_itself(
    company: Company, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL", 0.05)
    monkeypatch.setattr(worker, "Identifier", lambda _: Identifier("another channel"))
    hired()
    purse(company)
    until(lambda: is_shown(company, 10))


def test_a_worker_that_waits_for_news_stops_when_told(
    company: Company, server: Server, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL", AGES)
    purse(company)
    one = hired()
    until(lambda: is_shown(company, 10))
    assert stopped(one)
    assert place(company, server) is None


def test_a_worker_that_waits_for_its_place_stops_when_told(
    company: Company, server: Server, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "POLL", AGES)
    monkeypatch.setattr(worker, "RETRY", AGES)
    first = hired()
    until(lambda: place(company, server))
    second = hired()
    assert stopped(second)
    assert first.thread.is_alive()


def test_a_worker_with_much_to_do_stops_after_the_batch_at_hand(
    company: Company, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "BATCH", 1)
    purse(company)
    company.app.handle_many([asked(PutCoins(coins=1), "purse:ann") for _ in range(200)])
    step = follower.Follower.step
    one: list[Worker] = []

    def stop_meanwhile(self: follower.Follower) -> int:
        until(lambda: one)
        one[0].stopping.set()
        return step(self)

    monkeypatch.setattr(follower.Follower, "step", stop_meanwhile)
    one.append(hired())
    assert stopped(one[0])
    assert company.follower.positions()["balances"] <= 2


def test_a_worker_that_was_never_started_can_be_stopped(company: Company) -> None:
    company.worker().stop()


def test_a_second_worker_stands_by_and_takes_over_when_the_first_is_cut_off(
    company: Company, server: Server, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY", 0.05)
    first = hired()
    until(lambda: place(company, server))
    mine = place(company, server)
    second = hired()
    purse(company)
    until(lambda: is_shown(company, 10))
    assert place(company, server) == mine
    # It may not come back, or it could be the first one again.
    first.stopping.set()
    end(company, server, mine)
    first.thread.join(30)
    assert not first.thread.is_alive()
    until(lambda: place(company, server) not in (None, mine))
    do(company, PutCoins(coins=1), "purse:ann")
    until(lambda: is_shown(company, 11))
    assert second.thread.is_alive()


def test_a_worker_survives_the_loss_of_its_connection(
    company: Company, server: Server, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY", 0.05)
    monkeypatch.setattr(worker, "POLL", AGES)
    one = hired()
    purse(company)
    for n in range(3):
        until(lambda n=n: is_shown(company, 10 + n))  # type: ignore[misc]
        until(lambda: place(company, server) is not None)
        end(company, server, place(company, server))
        do(company, PutCoins(coins=1), "purse:ann")
    until(lambda: is_shown(company, 13))
    assert one.thread.is_alive()


def test_a_worker_whose_process_met_a_conflict_tries_again(
    company: Company, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RETRY", 0.05)
    monkeypatch.setitem(POLICIES, CoinsTaken.__name__, [save_some])
    handle_many, busy = MedSales.handle_many, [3]

    def disturbed(self: MedSales, asks: Any) -> Any:
        if asks and asks[0].actor.id.startswith("process:") and busy[0]:
            busy[0] -= 1
            return [Overloaded("busy")] * len(asks)
        return handle_many(self, asks)

    monkeypatch.setattr(MedSales, "handle_many", disturbed)
    purse(company, "savings", 0)
    purse(company)
    do(company, TakeCoins(coins=3), "purse:ann")
    one = hired()
    until(lambda: coins(company, "purse:savings") == 3)
    assert one.thread.is_alive()
    assert busy == [0]


def test_two_workers_that_both_believe_to_be_alone_do_nothing_twice(
    company: Company, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it may be for a moment after the first one's connection was cut."""
    monkeypatch.setattr(worker, "AT_WORK", "select true as mine")
    monkeypatch.setitem(POLICIES, CoinsTaken.__name__, [save_some])
    purse(company, "savings", 0)
    purse(company, coins=100)
    for _ in range(2):
        hired()
    for _ in range(30):
        do(company, TakeCoins(coins=1), "purse:ann")
    until(lambda: coins(company, "purse:savings") == 30 and is_shown(company, 70))
    until(lambda: set(company.follower.positions().values()) == {company.log.head()})
    assert company.log.head() == 2 + 60
    assert company.follower.verify(["balances", "flows"]) == []


def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many facts each read of the log has found."""
    found: list[int] = []
    facts = log.facts

    def counted(db: Any, selection: Any, limit: int) -> Any:
        news = facts(db, selection, limit)
        found.append(len(news))
        return news

    monkeypatch.setattr(tail, "facts", counted)
    return found


def test_one_read_of_the_log_feeds_read_models_and_processes(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POLICIES, CoinsTaken.__name__, [save_some])
    purse(company, "savings", 0)
    purse(company)
    for _ in range(5):
        do(company, TakeCoins(coins=1), "purse:ann")
    one, found = company.worker(), reads(monkeypatch)
    one.processes.prepare()
    one.catch_up()
    assert coins(company, "purse:savings") == 5
    # What happened, and what followed from it; for two read models and the processes.
    assert sum(found) == 7 + 5 == company.log.head()


def test_who_lags_behind_catches_up_by_himself_and_no_more_is_kept_in_memory_for_him(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "BATCH", 4)
    monkeypatch.setattr(process, "BATCH", 2)
    monkeypatch.setitem(POLICIES, CoinsTaken.__name__, [save_some])
    purse(company, "savings", 0)
    purse(company, coins=50)
    for _ in range(20):
        do(company, TakeCoins(coins=1), "purse:ann")
    company.follower.catch_up()
    one = company.worker()
    one.processes.prepare()
    while one._turn():
        assert len(one.follower.tail.kept) <= 4
    assert coins(company, "purse:savings") == 20
    assert one.processes.position() == company.log.head()


def test_a_worker_that_meets_what_nobody_has_foreseen_tells_it_and_goes_on(
    company: Company,
    hired: Hire,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(worker, "RETRY", 0.02)
    step, faults = follower.Follower.step, [2]

    def stumbling(self: follower.Follower) -> int:
        if faults[0]:
            faults[0] -= 1
            raise RuntimeError("nobody has foreseen this")
        return step(self)

    monkeypatch.setattr(follower.Follower, "step", stumbling)
    purse(company)
    one = hired()
    until(lambda: is_shown(company, 10))
    assert one.thread.is_alive()
    assert caplog.text.count("RuntimeError: nobody has foreseen this") == 2


def test_a_worker_goes_on_behind_a_read_model_that_cannot_take_in_everything(
    company: Company, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POLICIES, CoinsTaken.__name__, [save_some])
    purse(company, "savings", 0)
    purse(company)
    do(company, PutCoins(coins=2**70), "purse:savings")
    do(company, TakeCoins(coins=3), "purse:ann")
    hired()
    until(lambda: is_shown(company, 7))
    until(lambda: coins(company, "purse:savings") == 2**70 + 3)
