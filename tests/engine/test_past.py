"""The past is folded for one question, and nobody else ever sees it."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from tests.engine.conftest import Server
from tests.engine.purses import (
    Balance,
    Balances,
    CoinsPut,
    Flow,
    Flows,
    Purse,
    PutCoins,
    SwapCoins,
    TakeCoins,
    at_once,
    do,
    execute,
    history,
    new_name,
    opened,
    purse,
    query,
)

from medsales.company import Company
from medsales.domain.kernel import Refused
from medsales.engine import past as time_machine
from medsales.engine import schema
from medsales.engine.database import Database, Db
from medsales.engine.facts import Fact
from medsales.engine.mentions import Mentions
from medsales.engine.past import Moment, Past, Scope, at_time, past, state_at
from medsales.engine.projection import Changes, Projection, Row, on

BALANCES = "select * from balance order by purse"
FLOWS = "select * from flow order by event"
EVERYTHING = Scope((Balance, Flow))


def rows(db: Db, sql: str) -> list[Any]:
    return [tuple(row.values()) for row in db.execute(sql, prepare=True).fetchall()]


def then(
    company: Company, position: int, *about: str, scope: Scope = EVERYTHING, **more: Any
) -> list[Any]:
    """Both tables, as of a position."""
    with asking(company, Moment(position, **more), scope) as begun:
        begun.fill(about, {})
        return [rows(begun.db, BALANCES), rows(begun.db, FLOWS)]


def asking(company: Company, moment: Moment, scope: Scope = EVERYTHING) -> Any:
    return past(company.database, company.follower.projections.values(), moment, scope)


def now(company: Company) -> list[Any]:
    with company.database.reading() as db:
        return [rows(db, BALANCES), rows(db, FLOWS)]


@pytest.fixture
def lived(company: Company) -> tuple[Company, dict[int, list[Any]]]:
    """Four purses, some things told late, and what the read models said after each."""
    chance = random.Random(5)
    seen: dict[int, list[Any]] = {}
    for _ in range(30):
        owner = chance.choice("abcd")
        purse(company, owner)
        late = datetime.now(UTC) - timedelta(hours=chance.randrange(1, 50))
        wish = chance.choice([PutCoins(coins=3), TakeCoins(coins=2)])
        with suppress(Refused):
            do(company, wish, f"purse:{owner}", effective_at=late, reason="late")
        company.follower.catch_up()
        seen[company.log.head()] = now(company)
    return company, seen


def test_everything_is_folded_in_parts_as_it_stood_at_each_position(
    lived: tuple[Company, dict[int, list[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    company, seen = lived
    assert len(seen) > 20
    assert then(company, 0) == [[], []]
    for n, (position, found) in enumerate(seen.items()):
        monkeypatch.setattr(time_machine, "CHUNK", (1, 7, 2000)[n % 3])
        assert then(company, position) == found, position


def test_a_subject_is_folded_from_its_own_facts(
    lived: tuple[Company, dict[int, list[Any]]],
) -> None:
    company, seen = lived
    for position, (balances, _) in seen.items():
        (found, _) = then(company, position, "purse:a", "purse:c")
        assert found == [row for row in balances if row[0] in {"purse:a", "purse:c"}]


def test_with_an_effective_time_facts_count_in_the_order_they_took_effect(
    server: Server,
) -> None:
    company = opened(server.url, prepared(server, Lasts), (Lasts,))
    ann = purse(company)
    begun = datetime.now(UTC)
    for coins, hours in ((1, 3), (2, 9), (3, 6)):
        at = begun - timedelta(hours=hours)
        do(company, PutCoins(coins=coins), ann, effective_at=at, reason="late")
    for hours, last in ((1, 1), (4, 3), (7, 2), (10, None)):
        moment = Moment(company.log.head(), begun - timedelta(hours=hours))
        with asking(company, moment, Scope((Last,))) as asked:
            asked.fill((), {})
            assert [row[1] for row in rows(asked.db, "select * from last")] == [last][: bool(last)]
    company.close()


class Last(Row, key=("purse",)):
    """What was put in last."""

    purse: str
    coins: int = 0


class Lasts(Projection):
    rows = (Last,)

    @on(CoinsPut)
    def put(self, fact: Fact[CoinsPut]) -> Changes:
        yield Last.put(purse=fact.subject, coins=fact.event.coins)


def prepared(server: Server, *projections: type[Projection]) -> str:
    name = new_name()
    schema.prepare(server.url, name)
    company = opened(server.url, name, projections)
    company.follower.prepare()
    company.close()
    return name


def test_a_table_that_was_not_made_for_the_question_is_an_error(company: Company) -> None:
    purse(company)
    company.follower.catch_up()
    with (
        pytest.raises(Exception, match='relation "flow" does not exist'),
        asking(company, Moment(1), Scope((Balance,))) as begun,
    ):
        begun.db.execute("select * from balance, flow")


@pytest.fixture
def single(company: Company) -> Iterator[Company]:
    """The same company through a pool of one connection, so that everybody gets the same one."""
    database = Database(company.database.url, company.name, connections=1)
    yield Company(company.name, database, company.log, company.app, company.follower)
    database.close()


def test_the_next_one_on_the_connection_sees_the_present(single: Company) -> None:
    """Statements are prepared on both sides of the past, with the same text as in it."""
    ann = purse(single)
    do(single, PutCoins(coins=5), ann)
    single.follower.catch_up()
    present = [[(ann, 15, 2)], [("CoinsPut", 5)]]
    for _ in range(7):
        assert now(single) == present
        assert then(single, 1) == [[(ann, 10, 1)], []]
        with single.database.cursor() as db:
            assert [rows(db, BALANCES), rows(db, FLOWS)] == present


def test_a_question_that_fails_leaves_nothing_behind(single: Company) -> None:
    purse(single)
    single.follower.catch_up()
    for wrong in ("select 1 / 0", "select * from nowhere"):
        with pytest.raises(Exception, match=r"division|nowhere"), asking(single, Moment(0)) as lost:
            lost.db.execute(wrong)
        with pytest.raises(LookupError), asking(single, Moment(0)):
            raise LookupError
        assert now(single) == [[("purse:ann", 10, 1)], []]
    assert query(single, "select relname from pg_class where relpersistence = 't'") == []


def test_many_who_ask_of_different_moments_get_each_their_own(company: Company) -> None:
    ann = purse(company)
    for _ in range(8):
        do(company, PutCoins(coins=1), ann)
    company.follower.catch_up()

    def ask(n: int) -> list[Any]:
        return [(then(company, 1 + n)[0], now(company)[0]) for _ in range(5)]

    for n, found in enumerate(at_once(8, ask)):
        assert found == [([(ann, 10 + n, 1 + n)], [(ann, 18, 9)])] * 5


def test_no_tables_are_swapped_while_somebody_asks(server: Server, company: Company) -> None:
    purse(company)
    with ExitStack() as stack:
        stack.enter_context(asking(company, Moment(1)))
        other = stack.enter_context(server.connect(company))
        with pytest.raises(psycopg.errors.LockNotAvailable), other.transaction():
            other.execute("lock table positions in access exclusive mode nowait")


def test_what_is_parked_is_missing_from_the_past_as_it_is_from_the_present(
    server: Server,
) -> None:
    company = opened(server.url, prepared(server, Wary), (Wary,))
    ann, bob = purse(company, "ann"), purse(company, "bob")
    for coins, id in ((1, ann), (13, ann), (2, ann), (3, bob)):
        do(company, PutCoins(coins=coins), id)
    company.follower.catch_up()
    present = "select * from caution order by purse"
    with company.database.reading() as db:
        seen = rows(db, present)
    assert seen == [(ann, 1), (bob, 3)]
    for about in ((), (ann, bob)):
        with asking(company, Moment(company.log.head()), Scope((Caution,))) as begun:
            begun.fill(about, {})
            assert rows(begun.db, present) == seen
    company.close()


class Caution(Row, key=("purse",)):
    purse: str
    coins: int = 0


class Wary(Projection):
    rows = (Caution,)

    @on(CoinsPut)
    def put(self, fact: Fact[CoinsPut]) -> Changes:
        if fact.event.coins == 13:
            raise ValueError("thirteen")
        yield Caution.add(fact.subject, coins=fact.event.coins)


def test_subjects_that_name_somebody_are_near_to_him(server: Server) -> None:
    name = prepared(server, Balances, Flows, Mentions)
    company = opened(server.url, name, (Balances, Flows, Mentions))
    ann, bob, cid = (purse(company, owner) for owner in ("ann", "bob", "cid"))
    execute(
        company, "insert into mention (subject, position) values (%s, 2), (%s, 3)", ann, f"{ann}x"
    )
    near = Scope((Balance, Flow), mentioned_by=("purse",))
    for position, found in ((1, [ann]), (2, [ann, bob]), (3, [ann, bob])):
        assert [row[0] for row in then(company, position, ann, scope=near)[0]] == found
    other = Scope((Balance, Flow), mentioned_by=("box",))
    assert [row[0] for row in then(company, 3, ann, scope=other)[0]] == [ann]
    assert cid
    company.close()


def test_a_list_goes_through_subjects_in_the_order_of_their_ids(server: Server) -> None:
    company = opened(server.url, prepared(server, Mentions), (Mentions, Balances))
    for owner in ("c", "a", "d", "b"):
        purse(company, owner)
    each = Scope((Balance,), each="purse")

    def following(position: int, after: str, count: int) -> list[str]:
        with asking(company, Moment(position), each) as begun:
            return [id[-1] for id in begun.following(after, None, count)]

    assert following(4, "", 9) == ["a", "b", "c", "d"]
    assert following(3, "", 9) == ["a", "c", "d"]
    assert following(4, "purse:b", 1) == ["c"]
    assert following(4, "purse:d", 1) == []
    company.close()


def test_a_subject_that_is_taken_in_twice_is_there_once(company: Company) -> None:
    ann = purse(company)
    with asking(company, Moment(1), Scope((Balance,))) as begun:
        begun.take_in([ann])
        begun.take_in([ann])
        assert rows(begun.db, BALANCES) == [(ann, 10, 1)]
        begun.clear()
        assert rows(begun.db, BALANCES) == []


def test_a_time_is_the_last_position_recorded_by_then(company: Company) -> None:
    purse(company, "ann", 100)
    for _ in range(12):
        purse(company, "bob")
        do(company, SwapCoins(source="purse:ann", coins=1), "purse:bob")
    log = history(company)
    tick = timedelta(microseconds=1)
    moments = {fact.recorded_at + step for fact in log for step in (-tick, timedelta(0), tick)}
    with company.database.reading() as db:
        for moment in moments:
            last = max((f.position for f in log if f.recorded_at <= moment), default=0)
            assert at_time(db, moment) == last


def test_a_time_in_an_empty_log_is_position_0(company: Company) -> None:
    with company.database.reading() as db:
        assert at_time(db, datetime.now(UTC)) == 0


def test_an_aggregate_is_built_up_to_a_moment(company: Company) -> None:
    ann = purse(company)
    do(company, PutCoins(coins=5), ann)
    with company.database.reading() as db:
        assert state_at(db, Purse, ann, Moment(0)) is None
        assert state_at(db, Purse, ann, Moment(1)) == Purse(10, opened=True)
        assert state_at(db, Purse, ann, Moment(2)) == Purse(15, opened=True)
        assert state_at(db, Purse, "purse:nobody", Moment(2)) is None


def test_no_statement_of_the_past_is_prepared(company: Company) -> None:
    with asking(company, Moment(0)) as begun:
        assert isinstance(begun, Past)
        assert begun.db.connection.prepare_threshold is None
        begun.db.execute(BALANCES, prepare=True)
        named = begun.db.execute("select count(*) as n from pg_prepared_statements").fetchone()
        assert named == {"n": 0}
