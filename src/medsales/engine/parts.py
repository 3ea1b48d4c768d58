"""Parts of the log, cut by subjects: each is folded stream by stream, by whichever process is free.

A row that is not shared depends on the facts of one subject only, and a shared row only adds. So
the parts can be folded in any order, at the same time, and each needs to be read but once.
"""

import gc
import importlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import DictRow, tuple_row
from psycopg.sql import SQL, Composed, Identifier

from medsales.domain.kernel import EVENTS
from medsales.engine import parking
from medsales.engine.database import Db, connection_settings
from medsales.engine.facts import STORED, Fact
from medsales.engine.garbage import undisturbed
from medsales.engine.projection import (
    Batch,
    Projection,
    copy_new,
    create_tables,
    fold,
    write,
)

PART = 50_000
"""Facts of a part, about: what is done again after a kill."""
RUN = 2_000
"""Facts that are folded and written at a time: what is held in memory."""
LONG = 10_000
"""Facts of one stream beyond which it is not held in memory as a whole."""
SAMPLE = 300
"""Facts looked at, per part, to cut the log."""

ANY_PART = """
    select part, first, beyond from rebuild_parts where work = %s and not done
    order by part limit 1 for update
"""
FREE_PART = f"{ANY_PART} skip locked"

BESIDE = "pg_temp"
"""Tables of this connection alone, with keys."""

Run: TypeAlias = Sequence[Fact[Any]]
Tell = Callable[[int], object]
"""Told how many facts have been folded since it was told last."""


@dataclass(frozen=True)
class Job:
    """All that a process needs to know to take parts of a rebuild."""

    url: str
    schema: str
    shadow: str
    work: str
    upto: int
    projections: tuple[type[Projection], ...]


def cut(db: Db, work: str, upto: int, count: int) -> None:
    """Notes parts of about the same size, by a sample; the streams of a part lie together."""
    percent = min(100.0, 100.0 * SAMPLE * count / max(upto, 1))
    cuts = db.execute(
        "select percentile_disc(%s::float8[]) within group (order by originator_id) as cuts"
        " from facts tablesample system (%s)",
        ([n / count for n in range(1, count)], percent),
    ).fetchone()
    # In the order of the database, which need not be Python's.
    edges = ["", *dict.fromkeys((cuts or {})["cuts"] or ()), None]
    db.executemany(
        "insert into rebuild_parts (work, part, first, beyond) values (%s, %s, %s, %s)",
        [(work, n, edges[n], edges[n + 1]) for n in range(len(edges) - 1)],
    )


def take_parts_beside(job: Job, modules: Iterable[str], told: Connection) -> None:
    """What a process of its own does: ends when nothing is left, or when nobody listens any more.

    A failure is silent: the part is left, and whoever takes it then will say what is wrong.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Who serves and who follows the log goes first.
    os.nice(5)
    for module in modules:
        importlib.import_module(module)
    # Facts and rows hold no circles; looking for them took a quarter of the time.
    gc.freeze()
    gc.disable()
    with suppress(Exception):
        take_parts(job, told.send)


def modules_of_events() -> list[str]:
    """What another process has to import to read the same facts."""
    return sorted({event.__module__ for event in EVENTS.values()})


def take_parts(job: Job, tell: Tell, *, wait: bool = False) -> None:
    """Folds one part after the other until none is free; or, if told to wait, until none is left.

    A part is free when it is not done and nobody holds its line. Whoever dies lets go of it.
    """
    with _connected(job) as conn:
        while True:
            with conn.transaction():
                part = conn.execute(ANY_PART if wait else FREE_PART, (job.work,)).fetchone()
                if part is None:
                    return
                done = _fold_part(conn, job, part, tell)
                conn.execute(
                    "update rebuild_parts set done = true, facts = %s"
                    " where work = %s and part = %s",
                    (done, job.work, part["part"]),
                )


@contextmanager
def _connected(job: Job) -> Iterator[psycopg.Connection[DictRow]]:
    settings = {**connection_settings(job.url, job.schema), "autocommit": True}
    with psycopg.connect(**settings) as conn:
        # A crash of the server undoes rows and their part together.
        conn.execute("set synchronous_commit = off; set jit = off")
        conn.execute(search_path(job.shadow, job.schema))
        yield conn


def _fold_part(
    conn: psycopg.Connection[DictRow], job: Job, part: dict[str, Any], tell: Tell
) -> int:
    folding, done = Folding(conn.cursor(), job), 0
    for run, ends in runs(_chunks(conn, job, part)):
        folding.take_in(run, ends=ends)
        done += len(run)
        tell(len(run))
    folding.finish()
    return done


def _chunks(conn: psycopg.Connection[DictRow], job: Job, part: dict[str, Any]) -> Iterator[Run]:
    """The facts of a part, stream by stream, as many at a time as are folded together."""
    with conn.cursor("facts_of_a_part", row_factory=tuple_row) as db:
        db.execute(_query(part), {**part, "upto": job.upto}, binary=True)
        while chunk := db.fetchmany(RUN):
            yield [Fact(row) for row in chunk]


def search_path(shadow: str, schema: str) -> Composed:
    """What is parked by a rebuild is its own affair until the swap."""
    return SQL("set search_path to {}, {}").format(Identifier(shadow), Identifier(schema))


def _query(part: dict[str, Any]) -> Composed:
    beyond = SQL("" if part["beyond"] is None else "and originator_id < %(beyond)s")
    return SQL(
        "select {stored} from facts where originator_id >= %(first)s {beyond}"
        " and notification_id <= %(upto)s order by originator_id, originator_version"
    ).format(stored=SQL(STORED), beyond=beyond)


def runs(chunks: Iterable[Run]) -> Iterator[tuple[Run, bool]]:
    """Streams as a whole, as many as there are; a very long one in pieces, which is told by False:
    more of it may follow."""
    held: list[Fact[Any]] = []
    for chunk in chunks:
        held += chunk
        whole = len(held)
        while whole and held[whole - 1].subject == held[-1].subject:
            whole -= 1
        if whole:
            yield held[:whole], True
            held = held[whole:]
        elif len(held) >= LONG:
            yield held, False
            held = []
    if held:
        yield held, True


class Folding:
    """Makes rows of one run of facts after the other. What is parked is passed over, and what
    cannot be taken in is parked, as the living read models do it."""

    def __init__(self, db: Db, job: Job) -> None:
        self.db = db
        self.job = job
        self.projections = [kind() for kind in job.projections]
        self.skipped = {each.name: parking.skipped(db, each.name) for each in self.projections}
        self.beside = False
        """Whether the stream at hand is so long that its rows come to be in tables of our own."""

    @undisturbed()
    def take_in(self, run: Run, *, ends: bool) -> None:
        try:
            with self.db.connection.transaction():
                self._take_in(run, ends=ends)
        except Exception as error:
            if not parking.unfit(error):
                raise
            self._take_in_what_fits(run)
        if ends:
            self.finish()
        self.beside = not ends

    def _take_in(self, run: Run, *, ends: bool) -> None:
        if unknown := {fact.name for fact in run} - EVENTS.keys():
            raise parking.UnknownEvent(unknown.pop())
        batch = self._folded(run)
        if ends and not self.beside:
            copy_new(self.db, self.job.shadow, batch)
        else:
            self._make_tables()
            write(self.db, BESIDE, batch)

    def _folded(self, run: Run) -> Batch:
        everything = [each for each in self.projections if not self.skipped[each.name]]
        batch = fold(everything, run)
        for each in self.projections:
            if skipped := self.skipped[each.name]:
                batch |= fold([each], skipped.left(run))
        return batch

    def _take_in_what_fits(self, run: Run) -> None:
        self._make_tables()
        for each in self.projections:
            parking.take_in_what_fits(self.db, BESIDE, each, run)
            self.skipped[each.name] = parking.skipped(self.db, each.name)
        self.beside = True

    def _make_tables(self) -> None:
        for projection in self.job.projections if not self.beside else ():
            create_tables(self.db, BESIDE, projection)

    def finish(self) -> None:
        """Puts what has come to be in tables of our own to the others."""
        if not self.beside:
            return
        for row in (row for projection in self.job.projections for row in projection.rows):
            mine = Identifier(BESIDE, row.table)
            theirs = Identifier(self.job.shadow, row.table)
            self.db.execute(SQL("insert into {} select * from {}").format(theirs, mine))
            self.db.execute(SQL("truncate {}").format(mine))
