"""Processes: what follows from a fact is asked once, however often the fact is seen."""

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.engine.purses import (
    MANAGER,
    CoinsTaken,
    OpenPurse,
    PutCoins,
    SetCeiling,
    TakeCoins,
    coins,
    commands,
    do,
    execute,
    history,
    purse,
)
from tests.engine.trade import ANN, CT, DI, LOT, UNITS, done, opened_for_business, received

from medsales.company import Company
from medsales.domain.stock.device_unit import InspectUnit, ReceiveUnit
from medsales.domain.stock.lot import HoldLot
from medsales.engine import process
from medsales.engine.application import MedSales
from medsales.engine.committer import Overloaded
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.process import POLICIES, Processes, Then, when


def save_some(fact: Fact[CoinsTaken], _: Db) -> Iterator[Then]:
    """Whenever coins are taken, as many go into the savings."""
    yield Then(PutCoins(coins=fact.event.coins), "purse:savings")


@pytest.fixture
def saver(company: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    monkeypatch.setitem(POLICIES, "CoinsTaken", [save_some])
    purse(company, "savings", 0)
    purse(company, "ann", 100)
    return company


def processes_of(company: Company) -> Processes:
    found = Processes(company.app, company.database)
    found.prepare()
    return found


def worked(company: Company) -> None:
    worker = company.worker()
    worker.follower.prepare()
    worker.processes.prepare()
    worker.catch_up()


def from_the_beginning(company: Company) -> None:
    execute(company, "update positions set position = 0 where name = 'processes'")


def test_what_must_follow_follows(saver: Company) -> None:
    do(saver, TakeCoins(coins=3), "purse:ann")
    worked(saver)
    assert coins(saver, "purse:savings") == 3


def test_a_fact_that_is_seen_again_has_no_second_consequence(saver: Company) -> None:
    for _ in range(3):
        do(saver, TakeCoins(coins=3), "purse:ann")
        from_the_beginning_twice(saver)
    assert coins(saver, "purse:savings") == 9


def from_the_beginning_twice(company: Company) -> None:
    for _ in range(2):
        worked(company)
        from_the_beginning(company)


def test_a_consequence_says_what_caused_it_and_on_whose_behalf(saver: Company) -> None:
    cause = do(saver, TakeCoins(coins=3), "purse:ann", correlation="visit-7")
    worked(saver)
    envelope = history(saver)[-1].envelope
    assert (envelope.cause, envelope.correlation) == (cause.position, "visit-7")
    assert (envelope.by, envelope.name) == ("process:save_some", "save some")
    assert envelope.client == "process:save_some"


def test_a_process_that_falls_before_it_notes_its_position_repeats_itself_harmlessly(
    saver: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        do(saver, TakeCoins(coins=1), "purse:ann")
    processes = processes_of(saver)

    def fall(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(processes, "_advance", fall)
        with pytest.raises(KeyboardInterrupt):
            processes.step(upto=saver.log.head())
    assert processes.position() == 0
    worked(saver)
    assert coins(saver, "purse:savings") == 5


def test_a_process_looks_no_further_than_it_is_told(
    saver: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "BATCH", 2)
    for _ in range(5):
        do(saver, TakeCoins(coins=1), "purse:ann")
    processes = processes_of(saver)
    assert [processes.step(upto=5) for _ in range(4)] == [2, 2, 1, 0]
    assert (processes.position(), coins(saver, "purse:savings")) == (5, 3)


def test_a_position_never_goes_back(saver: Company) -> None:
    processes = processes_of(saver)
    processes._advance(7)
    processes._advance(3)
    assert processes.position() == 7
    processes.prepare()
    assert processes.position() == 7


def test_a_consequence_that_is_refused_is_told_and_the_next_one_still_follows(
    saver: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def take_from_nobody(_: Fact[CoinsTaken], __: Db) -> Iterator[Then]:
        yield Then(TakeCoins(coins=999), "purse:savings")

    monkeypatch.setitem(POLICIES, "CoinsTaken", [take_from_nobody, save_some])
    do(saver, TakeCoins(coins=3), "purse:ann")
    with caplog.at_level(logging.WARNING):
        worked(saver)
    assert "there are 0 coins" in caplog.text
    assert coins(saver, "purse:savings") == 3
    assert "refused" in {line["outcome"] for line in commands(saver)}


def test_a_consequence_that_met_a_conflict_is_not_passed_over(
    saver: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(saver, TakeCoins(coins=3), "purse:ann")
    processes = processes_of(saver)
    with monkeypatch.context() as patch:
        patch.setattr(MedSales, "handle_many", lambda _, asks: [Overloaded("busy")] * len(asks))
        with pytest.raises(Overloaded):
            processes.step(upto=saver.log.head())
    worked(saver)
    assert coins(saver, "purse:savings") == 3


def test_a_policy_sees_read_models_that_have_come_at_least_to_its_fact(
    saver: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def look(fact: Fact[CoinsTaken], db: Db) -> Iterator[Then]:
        rows = db.execute("select facts from balance where purse = 'purse:ann'").fetchall()
        seen.append(bool(rows) and rows[0]["facts"] >= fact.version)
        yield from ()

    monkeypatch.setitem(POLICIES, "CoinsTaken", [look])
    for _ in range(5):
        do(saver, TakeCoins(coins=1), "purse:ann")
    worked(saver)
    assert seen == [True] * 5


def test_the_read_models_have_their_turn_while_a_process_has_much_to_ask(
    saver: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_each(fact: Fact[CoinsTaken], _: Db) -> Iterator[Then]:
        for owner in ("savings", "ann", "bob", "eve", "joe"):
            yield Then(OpenPurse(owner=owner, coins=fact.event.coins))

    monkeypatch.setitem(POLICIES, "CoinsTaken", [save_each])
    monkeypatch.setattr(process, "TOGETHER", 2)
    do(saver, TakeCoins(coins=3), "purse:ann")
    saver.follower.catch_up()
    processes, reached = processes_of(saver), [saver.follower.positions()["balances"]]

    def meanwhile() -> None:
        saver.follower.step()
        reached.append(saver.follower.positions()["balances"])

    processes.step(upto=3, meanwhile=meanwhile)
    assert reached == [3, 3, 5, 6]


def test_facts_that_lead_to_nothing_are_passed(saver: Company) -> None:
    do(saver, SetCeiling(name="town", most=1), by=MANAGER)
    do(saver, OpenPurse(owner="bob"))
    worked(saver)
    assert processes_of(saver).position() == saver.log.head() == 4


def test_when_marks_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POLICIES, "CoinsTaken", [])
    assert when(CoinsTaken)(save_some) is save_some
    assert POLICIES["CoinsTaken"] == [save_some]


# The product's own


def holds_of(company: Company) -> Counter[str]:
    return Counter(fact.subject for fact in history(company, kinds=("UnitHeld",)))


def held(company: Company, *, count: int, first: int = 0) -> int:
    opened_for_business(company)
    received(company, count, first)
    return do(company, HoldLot(hold="Q1", reason="leak"), LOT, by=ANN, key="hold").position


def test_a_lot_that_is_held_holds_each_of_its_units_once_also_when_seen_twice(
    trader: Company,
) -> None:
    position = held(trader, count=5)
    worked(trader)
    assert holds_of(trader) == dict.fromkeys(UNITS[:5], 1)
    head = trader.log.head()
    for _ in range(2):
        from_the_beginning(trader)
        worked(trader)
    assert (holds_of(trader), trader.log.head()) == (dict.fromkeys(UNITS[:5], 1), head)
    for fact in history(trader, kinds=("UnitHeld",)):
        assert (fact.envelope.cause, fact.envelope.correlation) == (position, "hold")
        assert fact.by == "process:hold_units_of_lot"


def test_units_that_came_since_do_not_confuse_a_process_that_sees_the_hold_again(
    trader: Company,
) -> None:
    """They stand before the others when the units of the lot are listed."""
    held(trader, count=3, first=5)
    worked(trader)
    for n in range(3):
        receive = {"udi": f"(01){DI}(10)A1(21)SN{n}", "product": CT, "warehouse": "warehouse:HZ"}
        done(trader, (ReceiveUnit, None, receive), (InspectUnit, UNITS[n], {"passed": True}))
    worked(trader)
    from_the_beginning(trader)
    worked(trader)
    assert holds_of(trader) == dict.fromkeys((*UNITS[:3], *UNITS[5:8]), 1)
    assert processes_of(trader).position() == trader.log.head()
