"""How long the past takes: the 360° view of a customer with 2,000 facts, and other questions."""

import time
from collections.abc import Callable
from typing import Any, LiteralString

from bench.measure import Case, Figures, Found, Goal, Table, in_ms
from bench.sample import Business
from bench.setting import Setting, opened
from medsales.api.parties import SEEN
from medsales.api.stock import HISTORY, STOCK, TRACE
from medsales.company import Company
from medsales.domain.ids import DeviceUnitId, LotId
from medsales.domain.values import day_in_china
from medsales.engine.application import utc_now
from medsales.engine.database import Db
from medsales.engine.log import Selection
from medsales.engine.mentions import about
from medsales.engine.past import Moment, Scope, past
from medsales.projections.customer_360 import customer_seen
from medsales.projections.lot_trace import trace
from medsales.projections.stock_picture import PICTURE
from medsales.projections.unit_history import history_of

GOAL = Goal(100, at_most=True)
"""Milliseconds for the 360° view."""
VIEW = "360° view"
MOMENTS = ("as of the end", "as of half", "half, effective by a quarter")
OTHERS = ("unit history", "lot trace", "stock picture", "500 facts that name somebody")
ALL: dict[str, None] = {"holder": None, "product": None}

BUSIEST = """
    select subject as id, count(*) as facts from mention where subject like 'customer:%'
    group by subject order by 2 desc limit 1
"""
LOT = "select lot as id from lot_holding where goods <> lot order by last_position limit 1"
UNIT = (
    "select unit as id from history_entry where event = 'UnitInstalled' order by position limit 1"
)
QUARTER = "select effective_at as id from facts where notification_id = %s"


def measure(setting: Setting) -> list[Table]:
    with setting.database("past") as url, opened(url) as company:
        business = Business(company)
        business.customers = business.customers[: setting.size(9, 2)]
        business.live(setting.size(24_000, 2_500))
        company.follower.catch_up()
        with company.database.writing() as db:
            db.execute("analyze")
        cases = asked(company, setting.size(40, 3))
        found = setting.interleaved(cases)
        return [told(found, company.log.head(), first(company, BUSIEST)["facts"])]


def told(found: Found, head: int, concerned: int) -> Table:
    views = [
        found.line(
            f"{VIEW}, {when}, {part}", (when, part, "ms"), {"now": "now"} if goals else {}, *goals
        )
        for when, goals in (("now", ()), *((when, (GOAL,)) for when in MOMENTS))
        for part in ("p50", "p99")
    ]
    others = [
        found.line(f"{question}, as of half, {part}", (question, part, "ms"))
        for question in OTHERS
        for part in ("p50", "p99")
    ]
    notes = f"""\
* A log of {head:,} facts, the demo's simulation with few customers. {concerned:,} of them name the
  customer of the {VIEW}. Half: the position in the middle of the log; a quarter: the effective time
  of the fact at a quarter.
* Everything an answer takes: tables made, facts read, folded and copied, the question asked and its
  models built, the transaction rolled back. Without HTTP, one caller. Now: the same function over
  the stored rows.
* lot trace: a lot of 40 serials. stock picture: all products, summed up from the ledger."""
    return Table("Asking the past", [*views, *others], notes)


def asked(company: Company, times: int) -> dict[str, Case]:
    today = day_in_china(utc_now())
    customer, lot, unit = (first(company, query)["id"] for query in (BUSIEST, LOT, UNIT))
    head = company.log.head()
    half = Moment(head // 2)
    moments = (Moment(head), half, Moment(head // 2, first(company, QUARTER, head // 4)["id"]))
    views: dict[str, Callable[[], object]] = {
        when: then(company, moment, SEEN, customer, lambda db: customer_seen(db, customer, today))
        for when, moment in zip(MOMENTS, moments, strict=True)
    }
    others: dict[str, Callable[[], object]] = {
        "unit history": then(
            company, half, HISTORY, unit, lambda db: history_of(db, DeviceUnitId(unit))
        ),
        "lot trace": then(company, half, TRACE, lot, lambda db: trace(db, LotId(lot))),
        "stock picture": then(
            company, half, STOCK, "", lambda db: db.execute(PICTURE, ALL).fetchall()
        ),
        OTHERS[3]: now(company, lambda db: about(db, customer, Selection(), 500)),
    }
    questions = {
        "now": now(company, lambda db: customer_seen(db, customer, today)),
        **views,
        **others,
    }
    return {name: timed(question, times) for name, question in questions.items()}


def then(
    company: Company, moment: Moment, scope: Scope, id: str, question: Callable[[Db], Any]
) -> Callable[[], object]:
    def ask() -> object:
        projections = company.follower.projections.values()
        with past(company.database, projections, moment, scope) as begun:
            begun.fill([id], ALL)
            return question(begun.db)

    return ask


def now(company: Company, question: Callable[[Db], Any]) -> Callable[[], object]:
    def ask() -> object:
        with company.database.reading() as db:
            return question(db)

    return ask


def timed(question: Callable[[], object], times: int) -> Case:
    def case() -> Figures:
        took = []
        for _ in range(times):
            begun = time.perf_counter()
            assert question()
            took.append(time.perf_counter() - begun)
        return in_ms(took)

    return case


def first(company: Company, query: LiteralString, *given: object) -> dict[str, Any]:
    with company.database.reading() as db:
        row = db.execute(query, given or None).fetchone()
    assert row is not None
    return row
