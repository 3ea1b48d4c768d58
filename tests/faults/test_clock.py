"""A clock that jumps back an hour: order, answers and read models do not notice."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from psycopg.sql import SQL, Identifier
from tests.domain.examples import OPEN_HANGZHOU, REGISTER_UNION

from medsales.company import Company
from medsales.domain.kernel import Role
from medsales.engine.application import Actor, Ask
from medsales.engine.log import Selection, facts

MEI = Actor("mei", "Mei 梅", (Role.SYSTEM,), "desk")
HOUR = timedelta(hours=1)


def set_clocks(company: Company, by: timedelta) -> None:
    """The application's clock, and the database's as the append sees it."""
    company.app.clock = lambda: datetime.now(UTC) + by
    with company.database.writing() as db:
        db.execute(
            SQL(
                "create or replace function clock_timestamp() returns timestamptz language sql as"
                " 'select pg_catalog.clock_timestamp() + interval ''{} seconds'''"
            ).format(SQL(str(int(by.total_seconds()))))
        )
        # Ours before the built-in one, where our functions look for it.
        functions = db.execute(
            "select oid::regprocedure::text as name from pg_proc"
            " where pronamespace = current_schema()::regnamespace and proname like 'append%'"
        ).fetchall()
        for function in functions:
            db.execute(
                SQL("alter function {} set search_path to {}, pg_catalog").format(
                    SQL(function["name"]), Identifier(company.database.schema)
                )
            )


def register(n: int) -> Ask:
    hospital = REGISTER_UNION.model_copy(update={"number": f"H{n}", "name": f"Hospital {n}"})
    return Ask(hospital, MEI, key=f"h{n}")


def test_a_clock_that_jumps_back_an_hour_harms_nothing(company: Company) -> None:
    asks = [register(n) for n in range(9)]
    receipts = []
    for ask in asks:
        if ask in (asks[3], asks[6]):
            set_clocks(company, -HOUR if ask is asks[3] else timedelta(0))
        receipts.append(company.app.handle(ask))
        company.follower.catch_up()
    assert [company.app.handle(ask) for ask in asks] == receipts
    with company.database.reading() as db:
        log = facts(db, Selection(), 1000)
    assert [fact.position for fact in log] == list(range(1, len(log) + 1))
    assert all(one.recorded_at <= next.recorded_at for one, next in pairwise(log))
    during = [fact for fact in log if fact.position > receipts[2].position][:3]
    assert {fact.recorded_at for fact in during} == {log[receipts[2].position - 1].recorded_at}
    assert company.follower.verify(company.follower.projections) == []


def test_a_decision_made_by_a_clock_that_was_wrong_is_not_made_again(company: Company) -> None:
    set_clocks(company, HOUR)
    ask = Ask(OPEN_HANGZHOU, MEI, key="open")
    first = company.app.handle(ask)
    set_clocks(company, timedelta(0))
    assert company.app.handle(ask) == first
    assert company.log.head() == first.position
