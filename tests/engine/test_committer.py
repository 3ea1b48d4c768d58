"""Group commit: what waits is done together, each for itself, and nobody waits in vain."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent
from tests.engine.conftest import Server
from tests.engine.purses import (
    ANN,
    OpenPurse,
    PutCoins,
    TakeCoins,
    asked,
    at_once,
    coins,
    commands,
    history,
    must_be_contiguous,
    purse,
    query,
    until,
)

from medsales.company import Company
from medsales.domain.kernel import Refused
from medsales.engine.application import Ask, KeyReused, Receipt
from medsales.engine.committer import Committer, Overloaded
from medsales.engine.log import Log, Request

ROOT = Path(__file__).parents[2]


class Door:
    """Work that waits until it is let through, so that a queue forms behind it."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()
        self.batches: list[list[int]] = []

    def work(self, jobs: Sequence[int]) -> list[int | Exception]:
        self.batches.append([*jobs])
        self.reached.set()
        self.open.wait()
        return [ValueError(str(job)) if job < 0 else job * 10 for job in jobs]


def test_what_comes_during_a_batch_is_the_next_batch_up_to_its_cap() -> None:
    door = Door()
    committer = Committer("test", door.work, most=4)
    first = committer.submit(1)
    door.reached.wait()
    others = [committer.submit(n) for n in (2, 3, 4, 5, 6)]
    heavy = committer.submit(7, weight=9)
    last = committer.submit(8)
    door.open.set()
    assert [each.result() for each in (first, *others, heavy, last)] == [
        *(10, 20, 30, 40, 50, 60, 70, 80)
    ]
    assert door.batches == [[1], [2, 3, 4, 5], [6], [7], [8]]
    assert (committer.batches, committer.jobs, committer.load) == (5, 8, 0)


def test_one_that_fails_fails_alone() -> None:
    door = Door()
    door.open.set()
    committer = Committer("test", door.work)
    answers = [committer.submit(n) for n in (1, -2, 3)]
    assert answers[0].result() == 10
    with pytest.raises(ValueError, match="-2"):
        answers[1].result()
    assert answers[2].result() == 30


def test_too_many_are_turned_away_at_once_and_later_ones_are_welcome_again() -> None:
    door = Door()
    committer = Committer("test", door.work, bound=2)
    first = committer.submit(1)
    door.reached.wait()
    waiting = [committer.submit(2), committer.submit(3)]
    with pytest.raises(Overloaded):
        committer.submit(4)
    door.open.set()
    assert [each.result() for each in (first, *waiting)] == [10, 20, 30]
    assert committer.submit(5).result() == 50


def test_closing_finishes_what_waits_and_takes_nothing_more() -> None:
    door = Door()
    committer = Committer("test", door.work)
    answers = [committer.submit(1)]
    door.reached.wait()
    answers += [committer.submit(2), committer.submit(3)]
    closing = threading.Thread(target=committer.close)
    closing.start()
    until(lambda: committer.closing)
    with pytest.raises(Overloaded):
        committer.submit(4)
    door.open.set()
    closing.join()
    assert [answer.result(timeout=0) for answer in answers] == [10, 20, 30]


def test_who_has_gone_away_before_his_turn_is_not_served() -> None:
    door = Door()
    committer = Committer("test", door.work)
    first = committer.submit(1)
    door.reached.wait()
    gone, stays = committer.submit(2), committer.submit(3)
    assert gone.cancel()
    door.open.set()
    assert (first.result(), stays.result()) == (10, 30)
    assert door.batches == [[1], [3]]


@pytest.fixture
def appends(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of each batch that reached the log."""
    seen: list[list[str]] = []
    append = Log.append

    def noted(log: Log, requests: Sequence[Request]) -> object:
        seen.append([request.envelope.key for request in requests])
        return append(log, requests)

    monkeypatch.setattr(Log, "append", noted)
    return seen


def queued(company: Company, server: Server, asks: Sequence[Ask]) -> list[object]:
    """Sent while somebody else holds the log, so that they all wait together."""
    with server.connect(company) as rival:
        rival.execute("begin")
        rival.execute("select pg_advisory_xact_lock('facts'::regclass::oid::int, 0)")
        first = company.app.submit([asked(OpenPurse(owner="door"))])
        until(
            lambda: query(
                company,
                "select from pg_locks where locktype = 'advisory' and not granted"
                " and classid = 'facts'::regclass::oid",
            )
        )
        answers = [company.app.submit([ask]) for ask in asks]
        rival.execute("commit")
    first.result()
    return [answer.result()[0] for answer in answers]


def test_commands_that_wait_are_decided_on_each_other_and_appended_together(
    company: Company, server: Server, appends: list[list[str]]
) -> None:
    id = purse(company, coins=10)
    appends.clear()
    asks = [asked(TakeCoins(coins=1), id, key=f"take-{n}") for n in range(15)]
    answers = queued(company, server, asks)
    assert [type(answer) for answer in answers] == [Receipt] * 10 + [Refused] * 5
    assert [answer.version for answer in answers[:10] if isinstance(answer, Receipt)] == [
        *range(2, 12)
    ]
    assert appends[1:] == [[ask.key for ask in asks]]
    assert coins(company, id) == 0
    must_be_contiguous(history(company))


def test_in_a_batch_each_request_is_answered_for_itself(company: Company, server: Server) -> None:
    """A used key, a reused key, a repetition, a refusal and a fault: their neighbours land."""
    id = purse(company, coins=10)
    taken = company.app.handle(asked(TakeCoins(coins=1), id, key="used"))
    again, other, first, second, third, refused = queued(
        company,
        server,
        [
            asked(TakeCoins(coins=1), id, key="used"),
            asked(TakeCoins(coins=2), id, key="used"),
            asked(PutCoins(coins=5), id, key="twice"),
            asked(PutCoins(coins=5), id, key="twice"),
            asked(TakeCoins(coins=14), id),
            asked(TakeCoins(coins=1), id),
        ],
    )
    assert again == taken
    assert isinstance(other, KeyReused)
    assert isinstance(first, Receipt)
    assert second == first
    assert isinstance(third, Receipt)
    assert isinstance(refused, Refused)
    assert coins(company, id) == 0
    must_be_contiguous(history(company))
    assert len(commands(company)) == len({line["key"] for line in commands(company)})


def test_a_fault_in_one_rule_is_no_fault_of_its_neighbours(
    company: Company, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = purse(company, coins=10)
    decide = TakeCoins.decide

    def faulty(command: TakeCoins, purse: object) -> object:
        return decide(command, purse) if command.coins != 3 else 1 / 0  # type: ignore[arg-type]

    faulty.__signature__ = __import__("inspect").signature(decide, eval_str=True)  # type: ignore[attr-defined]
    monkeypatch.setattr(TakeCoins, "decide", faulty)
    asks = [asked(TakeCoins(coins=n), id) for n in (2, 3, 4)]
    answers = queued(company, server, asks)
    assert [type(answer) for answer in answers] == [Receipt, ZeroDivisionError, Receipt]
    assert coins(company, id) == 4


def test_what_the_database_cannot_take_fails_alone(company: Company, server: Server) -> None:
    """PostgreSQL has no NUL in its texts; the API refuses it earlier."""
    good, bad, fine = queued(
        company,
        server,
        [
            asked(OpenPurse(owner="good")),
            Ask(OpenPurse(owner="bad"), ANN, key="nul: \0"),
            asked(OpenPurse(owner="fine")),
        ],
    )
    assert isinstance(good, Receipt)
    assert isinstance(bad, Exception)
    assert isinstance(fine, Receipt)
    assert {fact.subject for fact in history(company)} == {"purse:door", "purse:good", "purse:fine"}
    assert isinstance(company.app.handle_many([asked(OpenPurse(owner="bad"))])[0], Receipt)


def test_events_of_the_library_fail_alone_too(company: Company) -> None:
    event = StoredEvent(originator_id="a:1", originator_version=1, topic="A", state=b"{}")
    won: list[int] = []
    lost: list[int] = []

    def insert(n: int) -> None:
        try:
            company.log.insert_events([event])
        except IntegrityError:
            lost.append(n)
        else:
            won.append(n)

    at_once(16, insert)
    assert (len(won), len(lost)) == (1, 15)


def test_nothing_is_answered_before_it_is_durable(company: Company, server: Server) -> None:
    """One writer's transaction is held open: nobody gets an answer, nobody sees a later fact."""
    with server.connect(company) as rival:
        rival.execute("begin")
        rival.execute("select pg_advisory_xact_lock('facts'::regclass::oid::int, 0)")
        answer = company.app.submit([asked(OpenPurse(owner="cem"))])
        until(lambda: query(company, "select from pg_stat_activity where wait_event = 'advisory'"))
        assert not answer.done()
        assert company.log.head() == 0
        rival.execute("commit")
    (receipt,) = answer.result()
    assert isinstance(receipt, Receipt)
    assert company.log.head() == receipt.position == 1


def test_after_a_lost_connection_the_command_log_tells_what_was_done(
    company: Company, server: Server
) -> None:
    """The commit lands and its answer is lost: the same request is sent again and finds itself."""
    id = purse(company, coins=10)
    with server.connect(company) as rival:
        rival.execute("begin")
        rival.execute("select pg_advisory_xact_lock('facts'::regclass::oid::int, 0)")
        answer = company.app.submit([asked(TakeCoins(coins=1), id, key="lost")])
        until(
            lambda: query(
                company,
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where wait_event = 'advisory' and pid <> pg_backend_pid()",
            )
        )
        rival.execute("commit")
    (receipt,) = answer.result()
    assert isinstance(receipt, Receipt)
    assert company.app.handle(asked(TakeCoins(coins=1), id, key="lost")) == receipt
    assert coins(company, id) == 9


def test_a_database_that_stays_away_is_told_to_everybody_and_nothing_is_guessed(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = purse(company, coins=10)

    def away(*_: object) -> object:
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", away)
        with pytest.raises(OperationalError):
            company.app.handle(asked(TakeCoins(coins=1), id, key="k"))
    assert company.app.handle(asked(TakeCoins(coins=1), id, key="k")).version == 2
    assert coins(company, id) == 9


PROGRAM = """
import json, multiprocessing, sys
sys.path.insert(0, sys.argv[1])
from tests.engine.purses import TakeCoins, asked, at_once, opened
from tests.engine.test_at_once import kinds

def race(start, answers):
    company = opened(sys.argv[2], sys.argv[3])
    start.wait()
    take = lambda _: company.app.handle_many([asked(TakeCoins(coins=1), "purse:ann")])[0]
    told = at_once(2, take)
    answers.put(dict(kinds(told)))
    company.close()

fork = multiprocessing.get_context("fork")
start, answers = fork.Barrier(32), fork.Queue()
racers = [fork.Process(target=race, args=(start, answers)) for _ in range(32)]
for racer in racers:
    racer.start()
print(json.dumps([answers.get() for _ in racers]))
"""


def test_thirty_two_programs_race_for_the_last_coins_and_stay_in_order(
    company: Company, server: Server
) -> None:
    id = purse(company, coins=40)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT), server.url, company.name],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    counted: Counter[str] = Counter()
    for each in json.loads(done.stdout):
        counted += Counter(each)
    assert counted == {"won": 40, "purse.too_few": 24}
    assert coins(company, id) == 0
    must_be_contiguous(history(company))


def test_nobody_is_called_stale_for_what_did_not_come_about(
    company: Company, server: Server
) -> None:
    """The one before has moved the version, but was a repetition: then the version is right."""
    id = purse(company, coins=10)
    company.app.handle(asked(PutCoins(coins=1), id, key="again"))
    again, answer = queued(
        company,
        server,
        [
            asked(PutCoins(coins=1), id, key="again"),
            asked(TakeCoins(coins=1), id, expected_version=2),
        ],
    )
    assert isinstance(again, Receipt)
    assert isinstance(answer, Receipt)
    assert coins(company, id) == 10
