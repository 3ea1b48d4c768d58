"""Facts per second into read models, against the library's runner."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from eventsourcing.application import Application
from eventsourcing.persistence import (
    ApplicationRecorder,
    InfrastructureFactory,
    Mapper,
    StoredEvent,
    Tracking,
)
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import Environment
from psycopg.sql import SQL, Identifier

from bench.measure import Case, Figures, Found, Goal, Table
from bench.peers import library_settings
from bench.sample import Business
from bench.setting import Setting, opened
from medsales.catalogue import PROJECTIONS
from medsales.company import Company
from medsales.domain.kernel import Event
from medsales.domain.stock.movement import Movement
from medsales.engine import projection as ours
from medsales.engine.database import Database
from medsales.engine.facts import event_from_json
from medsales.engine.follower import Follower
from medsales.engine.log import Log
from medsales.engine.positions import start_at_zero
from medsales.projections.lot_trace import LotTrace


def measure(setting: Setting) -> list[Table]:
    with setting.database("projecting") as url, opened(url) as company:
        Business(company).live(setting.size(24_000, 2_000))
        runner = Runner(url, company, setting.size(3_000, 200))
        cases: dict[str, Case] = {
            "runner": runner.figures,
            "one": lambda: caught_up(company, [LotTrace]),
            "all": lambda: caught_up(company, PROJECTIONS),
        }
        return [told(setting.interleaved(cases), company.log.head(), runner.sample)]


def told(found: Found, head: int, sample: int) -> Table:
    unit, to = "facts/s", {"the library's runner": "runner"}
    lines = [
        found.line("library's runner, one read model", ("runner", "rate", unit)),
        found.line("Follower, the same one (LotTrace)", ("one", "rate", unit), to),
        found.line(
            f"Follower, all {len(PROJECTIONS)} read models together",
            ("all", "rate", unit),
            to,
            Goal(30, "the library's runner"),
        ),
    ]
    notes = f"""\
* The log: {head:,} facts of the demo's simulated years. Follower: `catch_up` from empty tables to
  the end, as the worker does it, in batches of 2,000. What a crash of the server would undo, rows
  and position together, the follower would do again: its commits do not wait for the disk.
* library's runner: eventsourcing's ProjectionRunner on our table, over the last {sample:,} facts:
  its subscription, one transaction per event with its PostgresTrackingRecorder, one read model
  (who holds how much of a lot, without dates or names), at most two prepared upserts per event;
  other events only record the position; its commits wait for the disk, as they do by default.
  Events are read by our own mapper, which is faster than the library's. From the first event to
  the last.
* Why not 30: the goal was set when there were six read models; the subject index alone, which came
  since, writes half of all rows (3.1 a fact). About 50 µs of Python a fact (7 for reading the
  event, 25 in handlers and folding, 14 for writing) and 18 µs in the server (profiled with
  cProfile); one interpreter does all of it."""
    return Table("Facts into read models", lines, notes)


def caught_up(company: Company, kinds: Sequence[type[ours.Projection]]) -> Figures:
    forget(company)
    follower = Follower(company.database, kinds)
    begin(company, kinds)
    begun = time.perf_counter()
    follower.catch_up()
    took = time.perf_counter() - begun
    head = company.log.head()
    assert set(follower.positions().values()) == {head}
    return {"rate": head / took}


def begin(company: Company, kinds: Sequence[type[ours.Projection]]) -> None:
    """Empty tables to be followed into; `prepare` would have them rebuilt from a long log."""
    with company.database.writing() as db:
        for kind in kinds:
            ours.create_tables(db, company.database.schema, kind)
            start_at_zero(db, kind())


def forget(company: Company) -> None:
    """As if no read model had ever been made."""
    with company.database.writing() as db:
        db.execute("delete from positions")
        for kind in PROJECTIONS:
            ours.drop_tables(db, company.database.schema, kind)


# The same in the library's way


@dataclass(frozen=True)
class Told:
    """An event as the library's subscription hands it on."""

    subject: str
    event: Event[Any]


class OurMapper(Mapper[str]):
    """Reads our events, with our own reader, which is quicker than the library's."""

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        event = event_from_json(stored_event.topic, stored_event.state)
        return Told(str(stored_event.originator_id), event)


class OurApplication(Application[str]):
    """Makes our log the log that the runner follows."""

    name = "medsales"

    def construct_mapper(self) -> Mapper[str]:
        return OurMapper(self.construct_transcoder())

    def construct_recorder(self) -> ApplicationRecorder:
        return Log(Database(self.env["BENCH_URL"], "bench"))

    def close(self) -> None:
        self.recorder.datastore.close()  # type: ignore[attr-defined]
        super().close()


class HoldingView(PostgresTrackingRecorder):
    """Who holds how much of a lot: a table beside the library's tracking."""

    def __init__(self, datastore: PostgresDatastore, **given: Any) -> None:
        super().__init__(datastore, **given)
        table = Identifier(datastore.schema, "holding")
        self.sql_create_statements.append(
            SQL(
                "create table if not exists {} (lot text, goods text, holder text,"
                " quantity bigint not null, primary key (lot, goods, holder))"
            ).format(table)
        )
        self.add = SQL(
            "insert into {} as t values (%s, %s, %s, %s) on conflict (lot, goods, holder)"
            " do update set quantity = t.quantity + excluded.quantity"
        ).format(table)

    def moved(self, goods: str, moved: Movement, tracking: Tracking) -> None:
        """One transaction: what changed, and how far we have come."""
        changes = ((moved.source, -moved.quantity), (moved.destination, moved.quantity))
        with self.datastore.transaction(commit=True) as curs:
            self._insert_tracking(curs, tracking)
            for place, quantity in changes:
                if place:
                    curs.execute(self.add, (moved.lot, goods, place.holder, quantity), prepare=True)


class Holdings(Projection[HoldingView]):
    name = "holdings"
    seen: ClassVar[list[float]] = []

    def process_event(self, domain_event: Told, tracking: Tracking) -> None:
        self.seen.append(time.perf_counter())
        moved: Movement | None = getattr(domain_event.event, "moved", None)
        if moved is not None and moved.lot is not None:
            self.view.moved(domain_event.subject, moved, tracking)
        else:
            self.view.insert_tracking(tracking)


class Runner:
    """Lets the library's runner go over the last facts of the log, as often as asked."""

    def __init__(self, url: str, company: Company, sample: int) -> None:
        self.env = {**library_settings(url, "runner"), "BENCH_URL": url}
        self.company = company
        self.sample = sample

    def figures(self) -> Figures:
        head = self.company.log.head()
        self._start_at(head - self.sample)
        seen = Holdings.seen = []
        with ProjectionRunner(
            application_class=OurApplication,
            projection_class=Holdings,
            view_class=HoldingView,
            env=self.env,
        ) as runner:
            runner.wait(head, timeout=600)
            took = time.perf_counter() - seen[0]
            assert len(seen) == self.sample
        return {"rate": self.sample / took}

    def _start_at(self, position: int) -> None:
        with self.company.database.writing() as db:
            db.execute("drop schema if exists runner cascade")
            db.execute("create schema runner")
        with self._view() as view:
            view.insert_tracking(Tracking("medsales", position))

    @contextmanager
    def _view(self) -> Iterator[HoldingView]:
        factory = InfrastructureFactory[HoldingView].construct(Environment("holdings", self.env))
        with closing(factory):
            yield factory.tracking_recorder(HoldingView)
