"""Read models made anew from the facts beside the old ones, swapped in, or compared with them."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as any_of
from multiprocessing.context import SpawnProcess
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.persistence import OperationalError, PersistenceError
from psycopg import Cursor
from psycopg.errors import DeadlockDetected, LockNotAvailable
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier

from medsales.engine import parking, parts
from medsales.engine.comparison import Difference, compared
from medsales.engine.database import Database, Db
from medsales.engine.facts import Fact
from medsales.engine.log import Selection, facts
from medsales.engine.parts import Job
from medsales.engine.positions import advance, positions, start_at_zero
from medsales.engine.projection import (
    Projection,
    Row,
    add_keys,
    create_tables,
    drop_tables,
)

BATCH = 2_000
"""Facts per transaction, after the parts."""
SMALL = 20_000
"""Facts that are folded sooner than another process has started."""
NEAR = 50_000
"""Facts that an old read model may be behind, and still be compared with the new one."""
PATIENCE = "200ms"
"""How long the swap waits for its readers, and lets others wait behind it, before it lets them
pass; less than the server takes to look for deadlocks."""
INDEXERS = 4
"""Read models whose indexes are made at the same time: each takes a connection, and memory of the
server."""
PAUSE = 0.05
TICK = 0.2

Progress = Callable[[int, int], None]
"""Told how far a long task has come: facts done, facts in all."""


class Stopped(Exception):
    """The rebuild was told to stop; asked for again, it goes on."""


def _quietly(_: int, __: int) -> None: ...


class Rebuild:
    """Some read models of one company, made from the facts in a schema of their own."""

    def __init__(
        self,
        database: Database,
        chosen: Sequence[Projection],
        *,
        workers: int | None = None,
        progress: Progress = _quietly,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.database = database
        self.chosen = {projection.name: projection for projection in chosen}
        self.workers = workers or os.cpu_count() or 1
        self.progress = progress
        self.stopped = stopped
        self.shadow = ""
        self.work = ""

    def rebuild(self) -> list[Difference]:
        """Builds read models anew beside the old ones, which serve until the swap.

        Returns how each new table compares with the old one, as it was at the same position.
        """
        # Not the schema of any company: "x_shadow" may well be the name of another one.
        with self._alone(f"shadow_of_{self.database.schema}", 3):
            self._build(self._going_on() or self._begun(self._common_ground()))
            found = self._compared(self._comparable())
            self._swap()
        return found

    def verify(self) -> list[Difference]:
        """Recomputes read models from the facts and tells what differs in the stored rows.

        The stored ones stand still only for a moment, while both come to the same position.
        """
        with self._alone(f"proof_of_{self.database.schema}", 4):
            try:
                stored = self._limited(self._live(), self.chosen, self._head())
                self._build(self._begun(min(stored.values())))
                found = self._compared(self.chosen)
            finally:
                self._forget()
        return [one for one in (*found, self._beyond_the_log()) if one]

    @contextmanager
    def _alone(self, shadow: str, place: int) -> Iterator[None]:
        """One at a time; the lock goes with the connection when the process dies."""
        self.shadow = shadow
        lock = "('positions'::regclass::oid::int, %s)"
        with self.database.get_connection() as conn:
            while not _is_true(conn.execute(f"select pg_try_advisory_lock{lock} as is", (place,))):
                self._go_on()
                time.sleep(PAUSE)
            try:
                yield
            finally:
                if not conn.closed:
                    conn.execute(f"select pg_advisory_unlock{lock}", (place,))

    def _go_on(self) -> None:
        if self.stopped():
            raise Stopped

    # Building

    def _going_on(self) -> Job | None:
        """The same work, by the same code, that somebody has begun and not finished."""
        with self.database.cursor() as db:
            found = db.execute("select * from rebuilds where shadow = %s", (self.shadow,))
            begun = {line["name"]: line for line in found}
        wanted = {name: projection.fingerprint() for name, projection in self.chosen.items()}
        if {name: line["fingerprint"] for name, line in begun.items()} != wanted:
            return None
        line = next(iter(begun.values()))
        return self._job(line["work"], min(line["position"] for line in begun.values()))

    def _begun(self, upto: int) -> Job:
        """A new work: bare tables, and the log cut into parts."""
        self._forget()
        work = uuid4()
        with self.database.following() as db:
            db.execute(SQL("create schema {}").format(Identifier(self.shadow)))
            for name, projection in self.chosen.items():
                create_tables(db, self.shadow, type(projection), bare=True)
                db.execute(
                    "insert into rebuilds values (%s, %s, %s, %s, %s)",
                    (self.shadow, name, work, projection.fingerprint(), upto),
                )
            _copy_parked(db, self.shadow, list(self.chosen))
            least = 1 if upto < SMALL else self.workers
            parts.cut(db, str(work), upto, max(-(-upto // parts.PART), least))
        return self._job(work, upto)

    def _job(self, work: UUID, upto: int) -> Job:
        kinds = tuple(type(projection) for projection in self.chosen.values())
        database, self.work = self.database, str(work)
        return Job(database.url, database.schema, self.shadow, self.work, upto, kinds)

    def _forget(self) -> None:
        with self.database.following() as db:
            _forget(db, self.shadow)

    def _common_ground(self) -> int:
        """The furthest position at which old and new rows can be compared."""
        return min(self._comparable().values(), default=self._head())

    def _comparable(self) -> dict[str, int]:
        """Where the old read models are, but for those that are far behind: nobody waits so long
        for the new ones only to compare them."""
        head = self._head()
        live = self._live()
        return {name: min(at, head) for name, at in live.items() if head - at <= NEAR}

    def _build(self, job: Job) -> None:
        """All parts, by as many processes as there are cores; then keys and indexes."""
        open_parts, done = self._parts(job)
        counted = _Counted(self.progress, done, job.upto)
        if open_parts > 1 and self.workers > 1 and job.upto >= SMALL:
            self._have_parts_taken(job, min(self.workers, open_parts), counted)
        # Whatever the others have left, if one of them died; and if a part cannot be folded, the
        # reason is raised here.
        parts.take_parts(job, self._told(counted), wait=True)
        with ThreadPoolExecutor(min(self.workers, INDEXERS)) as threads:
            list(threads.map(self._finish, self.chosen.values()))

    def _parts(self, job: Job) -> tuple[int, int]:
        with self.database.cursor() as db:
            row = db.execute(
                "select count(*) filter (where not done) as open,"
                " coalesce(sum(facts), 0)::bigint as done from rebuild_parts where work = %s",
                (job.work,),
            ).fetchone()
        assert row is not None
        return row["open"], row["done"]

    def _have_parts_taken(self, job: Job, count: int, counted: "_Counted") -> None:
        context, modules = get_context("spawn"), parts.modules_of_events()
        told: list[Connection] = []
        processes: list[SpawnProcess] = []
        try:
            for _ in range(count):
                hears, tells = context.Pipe(duplex=False)
                process = context.Process(
                    target=parts.take_parts_beside, args=(job, modules, tells), daemon=True
                )
                process.start()
                # Ours too would keep it open when the process has died.
                tells.close()
                processes.append(process)
                told.append(hears)
            self._listen(told, counted)
        finally:
            for process in processes:
                process.terminate()
                process.join()

    def _listen(self, told: list[Connection], counted: "_Counted") -> None:
        tell = self._told(counted)
        while told:
            for one in any_of(told, TICK):
                assert isinstance(one, Connection)
                try:
                    tell(one.recv())
                except EOFError:
                    told.remove(one)
            tell(0)

    def _told(self, counted: "_Counted") -> Callable[[int], None]:
        def tell(number: int) -> None:
            self._go_on()
            if number:
                counted.add(number)

        return tell

    def _finish(self, projection: Projection) -> None:
        """Sums up shared rows, then keys and indexes; not again where it has been done."""
        with self.database.following() as db:
            for row in projection.rows:
                if row.shared and not _has_key(db, self.shadow, row):
                    _sum_up(db, self.shadow, row)
            add_keys(db, self.shadow, type(projection))
        with self.database.cursor() as db:
            for row in projection.rows:
                db.execute(SQL("analyze {}").format(Identifier(self.shadow, row.table)))

    # Catching up

    def _catch_up(self, targets: Mapping[str, int], progress: Progress = _quietly) -> None:
        """The facts after the parts, in their order, as the living read models follow them."""
        while True:
            with self.database.following() as db:
                reached = self._step(db, targets)
            if not reached:
                return
            progress(reached, max(targets.values()))
            self._go_on()

    def _step(self, db: Db, targets: Mapping[str, int]) -> int:
        """One batch for the hindmost; returns the position reached, 0 when nothing is left."""
        reached = self._reached(db, lock=True)
        behind = {name: at for name, at in reached.items() if at < targets.get(name, 0)}
        if not behind:
            return 0
        low = min(behind.values())
        names = [name for name, at in behind.items() if at == low]
        ends = [targets[name] for name in names] + [at for at in reached.values() if at > low]
        news = parking.upto_decision(facts(db, Selection(after=low, upto=min(ends)), BATCH))
        if news:
            self._take_in(db, [self.chosen[name] for name in names], news)
            db.execute(
                "update rebuilds set position = %s where shadow = %s and name = any(%s)",
                (news[-1].position, self.shadow, names),
            )
        return news[-1].position if news else 0

    def _take_in(self, db: Db, behind: Sequence[Projection], news: Sequence[Fact[Any]]) -> None:
        db.execute(parts.search_path(self.shadow, self.database.schema))
        try:
            with db.connection.transaction():
                parking.take_in(db, self.shadow, behind, news)
        except Exception as error:
            if not parking.unfit(error):
                raise
            for projection in behind:
                parking.take_in_what_fits(db, self.shadow, projection, news)
        for projection in behind:
            parking.settle(db, self.shadow, projection, news[-1])
        db.execute(SQL("set search_path to {}").format(Identifier(self.database.schema)))

    def _reached(self, db: Db, *, lock: bool = False) -> dict[str, int]:
        """Raises OperationalError when somebody else has taken our place: what lies in the shadow
        is his, or there is none any more. That happens where the connection was lost that kept
        others away."""
        query = "select name, position from rebuilds where shadow = %s and work = %s order by name"
        lines = db.execute(query + (" for update" if lock else ""), (self.shadow, self.work))
        reached = {line["name"]: line["position"] for line in lines}
        if reached.keys() != self.chosen.keys():
            raise OperationalError("somebody else has begun to rebuild; ask again later")
        return reached

    def _live(self) -> dict[str, int]:
        with self.database.cursor() as db:
            return positions(db, self.chosen)

    def _head(self) -> int:
        with self.database.cursor() as db:
            row = db.execute("select max(notification_id) as head from facts").fetchone()
        assert row is not None
        return row["head"] or 0

    # Comparing

    def _compared(self, comparable: Mapping[str, Any]) -> list[Difference]:
        found: list[Difference] = []
        with self._same_position(comparable) as (db, same):
            for name, projection in self.chosen.items():
                for row in projection.rows:
                    self._go_on()
                    if name in same:
                        found.append(compared(db, row, self.database.schema, self.shadow))
                    else:
                        found.append(Difference(row.table, not_compared=FAR_BEHIND))
        return found

    @contextmanager
    def _same_position(self, names: Mapping[str, Any]) -> Iterator[tuple[Db, set[str]]]:
        """A snapshot, and the names of those whose old and new rows have seen the same facts in it.
        The living ones stand still until it is taken, not while it is looked at."""
        targets = self._limited(self._live(), names, self._head())
        self._catch_up(targets, self.progress)
        with ExitStack() as reading:
            db = reading.enter_context(self.database.reading())
            with self.database.writing() as still:
                live = positions(still, self.chosen, lock=True)
                targets = self._limited(live, names, self._head())
                self._catch_up(targets)
                # Where the old rows are still behind the new ones, they differ for that.
                reached = self._reached(db)
            yield db, {name for name, at in targets.items() if reached[name] == at}

    @staticmethod
    def _limited(live: Mapping[str, int], names: Mapping[str, Any], head: int) -> dict[str, int]:
        """No further than the log: it may have been set back, and not the read model."""
        return {name: min(at, head) for name, at in live.items() if name in names}

    def _beyond_the_log(self) -> Difference:
        """Such a read model will miss the facts that come next: the log was set back, not it."""
        with self.database.cursor() as db:
            rows = db.execute(
                "select name, position, head from positions,"
                " (select coalesce(max(notification_id), 0) as head from facts) as log"
                " where name = any(%s) and position > head order by name",
                (list(self.chosen),),
            ).fetchall()
        return Difference("positions", rows, [], len(rows), 0, len(rows))

    # Swapping

    def _swap(self) -> None:
        """In one short transaction. Readers of several statements hold on to `positions`: they are
        waited for, so that each of them sees either the old tables or the new ones."""
        while True:
            self._catch_up(dict.fromkeys(self.chosen, self._head()), self.progress)
            self._make_durable()
            if self._swapped():
                return
            self._go_on()
            time.sleep(PAUSE)

    def _make_durable(self) -> None:
        """Waits for the disk here; the swap would do it with its locks."""
        with self.database.writing() as db:
            db.execute("update rebuilds set shadow = shadow where shadow = %s", (self.shadow,))

    def _swapped(self) -> bool:
        try:
            with self.database.writing() as db:
                db.execute(SQL("set local lock_timeout = {}").format(PATIENCE))
                db.execute("lock table positions in access exclusive mode")
                live = positions(db, self.chosen)
                head = self._head()
                targets = self._limited(live, self.chosen, head)
                if sum(max(0, targets[n] - at) for n, at in self._reached(db).items()) > BATCH:
                    return False
                while self._step(db, targets):
                    pass
                for name, at in self._reached(db).items():
                    self._put_in_place(db, self.chosen[name], at)
                _move_parked(db, self.shadow, list(self.chosen))
                _forget(db, self.shadow)
                # Whoever follows the log has left them out until now.
                db.execute("select pg_notify(current_schema() || '.facts', '')")
        except PersistenceError as error:
            if isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                return False
            raise
        return True

    def _put_in_place(self, db: Db, projection: Projection, position: int) -> None:
        drop_tables(db, self.database.schema, type(projection))
        for row in projection.rows:
            db.execute(
                SQL("alter table {} set schema {}").format(
                    Identifier(self.shadow, row.table), Identifier(self.database.schema)
                )
            )
        start_at_zero(db, projection)
        advance(db, [projection.name], position)


FAR_BEHIND = "the old rows were far behind the log"


class _Counted:
    """How many facts have been folded, told as they are."""

    def __init__(self, progress: Progress, done: int, total: int) -> None:
        self.progress = progress
        self.done = done
        self.total = total

    def add(self, number: int) -> None:
        self.done += number
        self.progress(self.done, self.total)


def _is_true(answer: Cursor[DictRow]) -> bool:
    return bool((answer.fetchone() or {})["is"])


def _forget(db: Db, shadow: str) -> None:
    """What was built there, and what is noted of it."""
    db.execute(SQL("drop schema if exists {} cascade").format(Identifier(shadow)))
    db.execute(
        "delete from rebuild_parts p using rebuilds r where r.work = p.work and r.shadow = %s",
        (shadow,),
    )
    db.execute("delete from rebuilds where shadow = %s", (shadow,))


def _copy_parked(db: Db, shadow: str, names: list[str]) -> None:
    """What the old read models pass over, so do the new ones."""
    table = Identifier(shadow, "parked")
    db.execute(SQL("create table {} (like parked including all)").format(table))
    db.execute(
        SQL("insert into {} select * from parked where name = any(%s)").format(table), (names,)
    )


def _move_parked(db: Db, shadow: str, names: list[str]) -> None:
    db.execute("delete from parked where name = any(%s)", (names,))
    db.execute(SQL("insert into parked select * from {}").format(Identifier(shadow, "parked")))


def _has_key(db: Db, schema: str, row: type[Row]) -> bool:
    query = (
        "select from pg_index where indisprimary"
        " and indrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))"
    )
    return db.execute(query, (schema, row.table)).fetchone() is not None


def _sum_up(db: Db, schema: str, row: type[Row]) -> None:
    """Of a shared row every part has written what it adds."""
    table, summed = Identifier(schema, row.table), Identifier(schema, f"{row.table}_summed")
    columns = [
        SQL("{0}" if name in row.key else "sum({0})").format(Identifier(name))
        for name in row.model_fields
    ]
    db.execute(SQL("create table {} (like {})").format(summed, table))
    db.execute(
        SQL("insert into {} select {} from {} group by {}").format(
            summed,
            SQL(", ").join(columns),
            table,
            SQL(", ").join(map(Identifier, row.key)),
        )
    )
    db.execute(SQL("drop table {}").format(table))
    db.execute(SQL("alter table {} rename to {}").format(summed, Identifier(row.table)))
