"""What stands side by side in a batch, and what others do to it between two attempts."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from tests.engine.purses import (
    MANAGER,
    PutCoins,
    SetCeiling,
    TakeCoins,
    TakeWithin,
    asked,
    coins,
    do,
    execute,
    history,
    must_be_contiguous,
    opened,
    purse,
    query,
)

from medsales.company import Company
from medsales.domain.kernel import Refused, Sentence
from medsales.engine import memory
from medsales.engine.application import Ask, Receipt, Stale
from medsales.engine.log import LIBRARY, Appended, Line, Log, Request
from medsales.engine.memory import Memory

PATIENT = 20
"""Seconds; a batch that does not come to an end shall not stop the tests."""


@pytest.fixture
def other(company: Company) -> Iterator[Company]:
    """Another program."""
    program = opened(company.database.url, company.name)
    yield program
    program.close()


@pytest.fixture
def before_append(company: Company, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has things happen, one before each of the next appends of this program."""

    def arrange(*deeds: Callable[[], object]) -> None:
        left = [*deeds]
        append = Log.append

        def disturbed(log: Log, requests: list[Request]) -> list[Appended]:
            if log is company.log and left:
                left.pop(0)()
            return append(log, requests)

        monkeypatch.setattr(Log, "append", disturbed)

    return arrange


def answers(company: Company, *asks: Ask) -> list[Any]:
    return company.app.submit(asks).result(PATIENT)


def test_a_repetition_in_a_batch_that_is_decided_while_the_log_is_held(
    company: Company, other: Company, before_append: Callable[..., None]
) -> None:
    """What comes after it rests on what has been appended in the same hold."""
    id = purse(company, coins=10)
    before_append(*[lambda: do(other, PutCoins(coins=1), id)] * 2)
    first, again, later = answers(
        company,
        asked(TakeCoins(coins=1), id, key="twice"),
        asked(TakeCoins(coins=1), id, key="twice"),
        asked(TakeCoins(coins=2), id),
    )
    assert isinstance(first, Receipt)
    assert again == first
    assert isinstance(later, Receipt)
    assert coins(company, id) == 9
    must_be_contiguous(history(company))


def test_asked_twice_at_once_with_a_version_both_get_the_answer_of_the_first(
    company: Company,
) -> None:
    id = purse(company, coins=10)
    ask = asked(TakeCoins(coins=1), id, key="twice", expected_version=1)
    first, again = answers(company, ask, ask)
    assert isinstance(first, Receipt)
    assert again == first


def test_nobody_is_told_a_version_that_was_never_written(
    company: Company, other: Company, before_append: Callable[..., None]
) -> None:
    """The first rests on a ceiling that moves, and is refused then: the purse stays as it was."""
    id = purse(company, coins=10)
    ceiling = do(company, SetCeiling(name="town", most=5), by=MANAGER).id
    before_append(lambda: do(other, SetCeiling(name="town", most=1), by=MANAGER))
    refused, receipt = answers(
        company,
        asked(TakeWithin(coins=3, ceiling=ceiling), id),
        asked(TakeCoins(coins=1), id, expected_version=1),
    )
    assert isinstance(refused, Refused)
    assert isinstance(receipt, Receipt)
    assert receipt.version == 2


def test_a_repetition_does_not_make_the_version_of_a_neighbour_stale(company: Company) -> None:
    id = purse(company, coins=10)
    once = asked(TakeCoins(coins=1), id, key="once")
    done = company.app.handle(once)
    again, neighbour = answers(
        company, once, asked(TakeCoins(coins=1), id, expected_version=done.version)
    )
    assert again == done
    assert isinstance(neighbour, Receipt)


def test_a_version_that_a_neighbour_has_passed_is_stale(company: Company) -> None:
    id = purse(company, coins=10)
    first, stale = answers(
        company, *(asked(TakeCoins(coins=1), id, expected_version=1) for _ in range(2))
    )
    assert isinstance(first, Receipt)
    assert isinstance(stale, Stale)
    assert stale.found == 2


def test_what_does_not_exist_is_not_remembered_for_ever(company: Company) -> None:
    small = Memory(company.log, capacity=10 * memory.PER_EVENT)
    for n in range(30):
        small.load([f"purse:nobody-{n}"])
        small.trim()
    assert len(small.known) <= 10


def test_a_stream_that_cannot_be_folded_disturbs_nobody_else(
    company: Company, other: Company
) -> None:
    """An event of another kind lies in it: its own command fails, its neighbours land."""
    strange, plain = purse(company, "ann"), purse(company, "bob")
    execute(
        company,
        "insert into facts select %s, 2, 'CeilingSet', '{\"most\": 1}', 3, gen_random_uuid(),"
        " metadata, effective_at, recorded_at from facts where notification_id = 1",
        strange,
    )
    failed, receipt = answers(other, *(asked(TakeCoins(coins=1), id) for id in (strange, plain)))
    assert isinstance(failed, Exception)
    assert isinstance(receipt, Receipt)


def test_a_snapshot_that_cannot_be_read_is_as_good_as_none(company: Company) -> None:
    id = purse(company, coins=1)
    company.app.handle_many([asked(PutCoins(coins=1), id) for _ in range(memory.LONG)])
    assert coins(company, id) == memory.LONG + 1
    execute(company, "update snapshots set state = %s", b'{"coins": "many"}')
    assert coins(company, id) == memory.LONG + 1


SUBJECTS = ("purse:a", "purse:b", "purse:c")
FAR = 9
"""A version that no stream has."""


def a_request(random: Random, n: int, versions: dict[str, int], wrong: float) -> Request:
    """As somebody would decide who saw all those before; now and then wrong about anything."""
    read = random.sample(SUBJECTS, random.randint(0, 3))
    right = random.random() >= wrong
    guards = {s: versions[s] if right else random.choice([0, versions[s], FAR]) for s in read}
    lines = [
        Line(subject, guards[subject] + more, "CoinsPut", f'{{"coins": {n}}}')
        for subject in read[: random.choice([0, 1, 1, 2])]
        for more in range(1, random.randint(1, 3) + 1)
    ]
    if random.random() < wrong:  # as the library's own recorder writes, who guards nothing
        lines, guards = [Line("library:1", random.randint(1, 4), "Told", "{}")], {}
    if right:
        versions |= {line.subject: line.version for line in lines if line.subject in versions}
    key = (
        random.choice([f"old-{n % 4}", f"new-{n % 7}"])
        if random.random() < 3 * wrong
        else f"key-{n}"
    )
    refusal = ("purse.too_few", Sentence("few", "少")) if not lines and n % 3 == 0 else None
    return Request(
        subject=read[0] if read else "",
        version=random.randint(0, 5),
        envelope=replace(LIBRARY, client="till", key="" if not guards and lines else key),
        fingerprint=random.choice(["one", "one", "other"]),
        guards=guards,
        facts=tuple(lines),
        body="{}",
        refusal=refusal,
    )


def written(company: Company) -> list[list[tuple[Any, ...]]]:
    facts = "notification_id, originator_id, originator_version, topic, state, metadata"
    tables = (
        f"select {facts} from facts order by 1",
        "select to_jsonb(commands) - 'recorded_at' as line from commands order by key",
    )
    return [[tuple(map(str, row.values())) for row in query(company, table)] for table in tables]


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_written_at_once_is_answered_as_one_that_is_looked_at_one_by_one(
    company: Company, neighbour: Company, seed: int
) -> None:
    """Two equal logs: one writes batches of any size, the other the same in a loop of its own."""
    function = query(company, "select pg_get_functiondef('append'::regproc) as text")[0]["text"]
    always_loop = function.replace(company.database.schema, neighbour.database.schema).replace(
        "jsonb_array_length(requests) > 4 and", "false and"
    )
    assert "false and" in always_loop
    execute(neighbour, always_loop)
    random = Random(seed)
    versions = dict.fromkeys(SUBJECTS, 0)
    told, at_once = Counter[str](), 0
    for batch in range(25):
        size, wrong = random.choice([1, 3, 5, 6, 12, 30]), random.choice([0, 0, 0.05, 0.2])
        requests = [a_request(random, 100 * batch + n, versions, wrong) for n in range(size)]
        one, other = company.log.append(requests), neighbour.log.append(requests)
        assert one == other
        assert written(company) == written(neighbour)
        told += Counter(appended.status for appended in one)
        at_once += len(one) > 4 and all(appended.status == "done" for appended in one)
        reached = query(
            company, "select originator_id s, max(originator_version) v from facts group by 1"
        )
        versions |= {row["s"]: row["v"] for row in reached if row["s"] in versions}
    assert set(told) == {"done", "conflict", "repeat", "reused"}
    assert at_once
