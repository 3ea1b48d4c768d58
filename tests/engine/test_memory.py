"""What is remembered of aggregates is bounded, checked, and never of another shape."""

import gc
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from rpds import HashTrieMap
from tests.engine.purses import (
    Purse,
    PutCoins,
    TakeCoins,
    asked,
    coins,
    do,
    execute,
    opened,
    purse,
    query,
)

from medsales.company import Company
from medsales.domain.kernel import Aggregate, Refused, Value
from medsales.engine import memory
from medsales.engine.application import Receipt, Stale
from medsales.engine.decision import Loaded
from medsales.engine.log import Line, Log, Told, Wanted
from medsales.engine.memory import LONG, Memory, restored, shape, stored


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was asked of the log, each time."""
    seen: list[list[str]] = []
    told = Log.told

    def noted(log: Log, wanted: list[Wanted]) -> dict[str, Told]:
        seen.append([each.subject for each in wanted])
        return told(log, wanted)

    monkeypatch.setattr(Log, "told", noted)
    return seen


def test_what_was_just_written_is_not_read_again(company: Company, reads: list[list[str]]) -> None:
    id = purse(company, coins=10)
    reads.clear()
    for _ in range(5):
        do(company, TakeCoins(coins=1), id)
    assert reads == []
    assert coins(company, id) == 5


def test_what_another_program_wrote_is_found_out_and_only_the_news_is_read(
    company: Company, reads: list[list[str]]
) -> None:
    id = purse(company, coins=10)
    other = opened(company.database.url, company.name)
    do(other, TakeCoins(coins=8), id)
    reads.clear()
    with pytest.raises(Refused, match="there are 2 coins"):
        do(company, TakeCoins(coins=5), id)
    assert reads == [[id]]
    other.close()


def test_who_names_a_version_is_told_the_truth_and_not_what_is_remembered(
    company: Company,
) -> None:
    id = purse(company, coins=10)
    other = opened(company.database.url, company.name)
    do(other, TakeCoins(coins=1), id)
    with pytest.raises(Stale) as stale:
        do(company, TakeCoins(coins=1), id, expected_version=1)
    assert stale.value.found == 2
    do(other, TakeCoins(coins=1), id)
    assert do(company, TakeCoins(coins=1), id, expected_version=3).version == 4
    other.close()


def test_what_was_decided_and_not_written_is_forgotten(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = purse(company, coins=10)

    def away(*_: object) -> Any:
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", away)
        with pytest.raises(OSError, match="away"):
            do(company, TakeCoins(coins=9), id)
    do(company, TakeCoins(coins=9), id)
    assert coins(company, id) == 1


def test_what_was_written_weighs_as_much_as_its_facts(company: Company) -> None:
    """A price sheet of 100,000 cells is one fact, and must not pass for a small one."""
    id = purse(company, coins=10)
    known = Memory(company.log).load([id])[id]
    light, heavy = Memory(company.log), Memory(company.log)
    light.keep({id: known})
    heavy.keep({id: known}, [Line(id, 1, "Large", "x" * 10_000)])
    assert heavy.weight == light.weight + 10_000 - memory.PER_EVENT


def test_memory_is_bounded_and_what_was_used_last_stays(company: Company) -> None:
    ids = [purse(company, f"owner-{n}") for n in range(50)]
    small = Memory(company.log, capacity=10 * memory.PER_EVENT)
    for id in ids:
        small.load([ids[0], id])
        small.keep({id: Loaded(2, Purse(coins=1, opened=True))})
        small.trim()
        assert small.weight <= small.capacity
        assert ids[0] in small.known
    assert len(small.known) < 20
    assert small.weight == sum(small.weights.values())
    assert small.weights.keys() == small.known.keys()


def test_several_aggregates_are_one_round_trip(company: Company, reads: list[list[str]]) -> None:
    ids = [purse(company, f"owner-{n}", n) for n in range(5)]
    reads.clear()
    loaded = Memory(company.log).load([*ids, "purse:nobody"])
    assert reads == [[*ids, "purse:nobody"]]
    assert [loaded[id].state for id in ids] == [Purse(coins=n, opened=True) for n in range(5)]
    assert loaded["purse:nobody"] == Loaded(0, Purse())


def test_nobody_searches_for_cycles_while_a_state_is_read(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A price sheet makes some hundred thousand objects, which have none."""
    id, told, searching = purse(company, coins=1), Log.told, list[bool]()

    def noted(log: Log, wanted: list[Wanted]) -> dict[str, Told]:
        searching.append(gc.isenabled())
        return told(log, wanted)

    monkeypatch.setattr(Log, "told", noted)
    Memory(company.log).load([id])
    assert searching == [False]
    assert gc.isenabled()


def long_purse(company: Company) -> str:
    id = purse(company, coins=1)
    company.app.handle_many([asked(PutCoins(coins=1), id) for _ in range(LONG)])
    return id


def snapshots(company: Company) -> list[dict[str, Any]]:
    return query(company, "select * from snapshots")


def test_a_long_stream_gets_a_snapshot_and_is_read_from_there(
    company: Company, reads: list[list[str]]
) -> None:
    id = long_purse(company)
    assert snapshots(company) == []
    first = Memory(company.log).load([id])[id]
    assert [(s["subject"], s["version"]) for s in snapshots(company)] == [(id, LONG + 1)]
    do(company, PutCoins(coins=7), id)
    told = company.log.told([Wanted(id, 0, shape(Purse))])[id]
    assert (told.snapshot_version, len(told.events)) == (LONG + 1, 1)
    again = Memory(company.log).load([id])[id]
    assert again == Loaded(LONG + 2, Purse(coins=first.state.coins + 7, opened=True))  # type: ignore[attr-defined]
    assert reads


def test_a_snapshot_of_another_shape_is_never_read(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed state class folds its own facts again, and replaces the snapshot."""
    id = long_purse(company)
    Memory(company.log).load([id])
    execute(company, "update snapshots set state = %s", stored(Purse(coins=1_000_000, opened=True)))
    assert coins(company, id) == 1_000_000, "a snapshot that fits is what is read"
    monkeypatch.setattr(memory, "shape", lambda _: "a state that has been changed")
    assert coins(company, id) == LONG + 1
    assert [s["shape"] for s in snapshots(company)] == ["a state that has been changed"]


def test_an_older_program_does_not_set_a_snapshot_back(company: Company) -> None:
    company.log.keep_snapshot("purse:ann", 300, "shape", b"new")
    company.log.keep_snapshot("purse:ann", 200, "shape", b"old")
    assert [(s["version"], bytes(s["state"])) for s in snapshots(company)] == [(300, b"new")]


def test_a_fitting_snapshot_never_hides_what_is_known_better(company: Company) -> None:
    id = long_purse(company)
    known = Memory(company.log)
    known.load([id])
    do(company, PutCoins(coins=1), id)
    known.look_again([id])
    assert known.load([id])[id].version == LONG + 2


def test_a_state_comes_back_from_its_snapshot_as_it_was() -> None:
    state = Purse(coins=3, opened=True)
    assert restored(Purse, stored(state)) == state
    assert shape(Purse) != ""


class Coin(Value):
    worth: Decimal


@dataclass(frozen=True)
class Pocket:
    coins: "HashTrieMap[Coin, int]" = field(default_factory=HashTrieMap)
    owner: str | None = None


@dataclass(frozen=True)
class Town(Aggregate):
    pockets: "HashTrieMap[tuple[str, int], Pocket]" = field(default_factory=HashTrieMap)
    streets: "dict[str, HashTrieMap[int, str]]" = field(default_factory=dict)


def test_maps_that_grow_come_back_with_their_keys_and_what_is_in_them() -> None:
    """Keys may be tuples and values; a map may lie in a map, and states in both."""
    coins = HashTrieMap({Coin(worth=Decimal("0.50")): 3, Coin(worth=Decimal(1)): 1})
    pockets = HashTrieMap([(("ann", 1), Pocket(coins, "ann")), (("bob", 2), Pocket())])
    state = Town(pockets, {"mill": HashTrieMap({7: "ann"}), "lake": HashTrieMap()})
    again = restored(Town, stored(state))
    assert again == state
    assert isinstance(again.pockets["ann", 1].coins, HashTrieMap)
    assert again.pockets["ann", 1].coins[Coin(worth=Decimal(1))] == 1
    assert isinstance(again.streets["lake"].insert(1, "bob"), HashTrieMap)
    assert restored(Town, stored(Town())) == Town()


def test_what_this_program_cannot_read_is_told_and_disturbs_nobody_else(company: Company) -> None:
    """A newer version has written there; in one batch the others are answered as ever."""
    strange, plain = purse(company, "ann"), purse(company, "bob")
    execute(
        company,
        "insert into facts select %s, 2, 'CoinsGilded', '{}', 3, gen_random_uuid(), metadata,"
        " effective_at, recorded_at from facts where notification_id = 1",
        strange,
    )
    other = opened(company.database.url, company.name)
    asks = [asked(TakeCoins(coins=1), id) for id in (strange, plain)]
    refused, receipt = other.app.handle_many(asks)
    assert isinstance(refused, Refused)
    assert refused.code == "stream.unreadable"
    assert isinstance(receipt, Receipt)
    other.close()
