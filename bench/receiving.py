"""Receiving serial numbers a thousand at a time."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import psycopg

from bench.client import Task, play
from bench.http import body
from bench.measure import Case, Figures, Found, Goal, Table
from bench.peers import make_bare, stock_recorder, stored
from bench.sample import EVERYBODY, Business
from bench.server import serving, token
from bench.setting import Setting, opened, settle
from medsales.company import Company
from medsales.domain.stock.device_unit import ReceiveUnit
from medsales.engine.application import Ask, Receipt
from medsales.engine.log import Selection, rows

BATCH = 1000
LOT = 100
STOCK = 250
"""Events per call of the library's recorder: with 1,000 of these it hangs in `pipeline.sync`."""


def measure(setting: Setting) -> list[Table]:
    with (
        setting.database("receiving") as url,
        setting.database("receiving_http") as served_url,
        opened(url) as alone,
        opened(served_url) as served,
        stock_recorder(url) as stock,
        serving("medsales", served_url) as port,
        psycopg.connect(url) as conn,
    ):
        make_bare(url)
        plan = Plan(setting.size(5, 2), setting.size(BATCH, 100))
        at_home, over_there = Business(alone), Business(served)

        def library(events: Sequence[Row]) -> None:
            new = [stored(id, "UnitReceived", state) for id, state, _ in events]
            for part in range(0, len(new), STOCK):
                stock.insert_events(new[part : part + STOCK])

        settle(served)
        cases: dict[str, Case] = {
            "handle_many": handled(plan, at_home),
            "http": posted(plan, over_there, port),
            "stock": inserted(plan, alone, library),
            "copy": inserted(plan, alone, lambda events: copy(conn, events)),
        }
        return [told(setting.interleaved(cases), plan.size)]


@dataclass(frozen=True)
class Plan:
    """How many deliveries are taken in per run, and how many serials are in each."""

    deliveries: int
    size: int

    def rate(self, calls: Sequence[Callable[[], object]]) -> Figures:
        begun = time.perf_counter()
        for call in calls:
            call()
        return {"rate": self.size * len(calls) / (time.perf_counter() - begun)}


def handled(plan: Plan, business: Business) -> Case:
    def case() -> Figures:
        deliveries = [business.delivery(plan.size, LOT) for _ in range(plan.deliveries)]
        return plan.rate([partial(taken, business.company, each) for each in deliveries])

    return case


def posted(plan: Plan, business: Business, port: int) -> Case:
    def case() -> Figures:
        deliveries = [business.delivery(plan.size, LOT) for _ in range(plan.deliveries)]
        scripts = [[("POST", "/commands", items(each))] for each in deliveries]
        before = business.company.log.head()
        done = play(Task(port, token(), 1, scripts))
        # A batch is answered with 200 even where an item was refused.
        assert business.company.log.head() >= before + plan.size * plan.deliveries
        settle(business.company)
        return {"rate": done.rate * plan.size}

    return case


def inserted(plan: Plan, company: Company, insert: Callable[[Sequence["Row"]], object]) -> Case:
    def case() -> Figures:
        batches = [facts_of(company, plan.size) for _ in range(plan.deliveries)]
        return plan.rate([partial(insert, batch) for batch in batches])

    return case


def told(found: Found, size: int) -> Table:
    to = {"stock recorder": "stock", "COPY": "copy"}
    unit = "units/s"
    lines = [
        found.line("COPY", ("copy", "rate", unit)),
        found.line("stock recorder", ("stock", "rate", unit)),
        found.line("MedSales.handle_many", ("handle_many", "rate", unit), to, Goal(5000)),
        found.line("POST /commands", ("http", "rate", unit), to, Goal(5000)),
    ]
    return Table(f"Receiving serial numbers, {size:,} per batch", lines, NOTES)


NOTES = f"""\
* One ReceiveUnit per serial, all new, {LOT} to a lot, product and warehouse known; one caller,
  one batch after the other. Each unit is decided by itself, writes UnitReceived, a line of the
  command log, and the first of a lot opens the lot.
* MedSales.handle_many: the commands exist already, their barcodes read; nobody else works.
* POST /commands: from the request's first byte to the answer's last; one client. JSON and
  barcodes are read by the server, whose worker keeps the read models up to date meanwhile.
* stock recorder: the library's, events with the same bytes of state, {STOCK} in one call, since
  with 1,000 it hangs (eventsourcing 9.5 in psycopg's pipeline mode).
* COPY: the limit, the same events with their envelopes into a table of the same shape, one COPY
  and commit per 1,000. Neither of the two decides, reads or remembers anything.
* Not measured here, but said by the study before this work: two established Python ERPs receive
  70 and 40 units/s on such a machine.
* Why not 5,000: a unit takes about 110 µs of Python (half of it in the rules, half in making the
  request), then 55 µs in the database, one after the other (profiled with cProfile; 6,000 units/s
  when nothing else ran). Over HTTP the server also reads JSON and barcodes, and its worker keeps
  eight read models in the same interpreter."""


def taken(company: Company, commands: Sequence[ReceiveUnit]) -> None:
    answers = company.app.handle_many([Ask(command, EVERYBODY) for command in commands])
    wrong = [answer for answer in answers if not isinstance(answer, Receipt)]
    assert not wrong, wrong[0]


def items(commands: Sequence[ReceiveUnit]) -> str:
    told = [
        {"command": "ReceiveUnit", "key": str(uuid4()), "body": json.loads(body(command))}
        for command in commands
    ]
    return json.dumps({"items": told})


Row = tuple[str, bytes, bytes]


def facts_of(company: Company, size: int) -> list[Row]:
    """The bytes of that many UnitReceived, for those that only insert."""
    with company.database.reading() as db:
        found = rows(db, Selection(kinds=("UnitReceived",)), 1)[0]
    state, metadata = bytes(found["state"]), bytes(found["metadata"])
    return [(f"device-unit:{uuid4().hex}", state, metadata) for _ in range(size)]


def copy(conn: psycopg.Connection, events: Sequence[Row]) -> None:
    columns = "originator_id, originator_version, topic, state, metadata"
    with conn.cursor().copy(f"copy bare.facts ({columns}) from stdin") as into:
        for id, state, metadata in events:
            into.write_row((id, 1, "UnitReceived", state, metadata))
    conn.commit()
