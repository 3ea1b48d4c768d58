"""The worker of one company: follows the log, keeps read models and processes at its end."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier
from structlog.contextvars import bind_contextvars

from medsales.engine.application import MedSales
from medsales.engine.consequences import FOR_NOW
from medsales.engine.follower import BATCH, Follower
from medsales.engine.process import Processes
from medsales.engine.renewal import renewing
from medsales.engine.seal import Sealer
from medsales.engine.timers import Timer, Timers

LOG = logging.getLogger(__name__)
POLL = 1.0
"""Seconds after which the log and the clock are looked at even when no wake-up came."""
AT_WORK = "select pg_try_advisory_lock('positions'::regclass::oid::int, 1) as mine"
BREATH = 0.02
"""Seconds that the worker rests at most between two turns."""
RETRY = 1.0
"""Seconds between two tries while the database is away or another worker is at work."""


class Worker:
    """One of these is at work per company; others stand by and take over when it dies."""

    def __init__(self, app: MedSales, follower: Follower, sealer: Sealer | None = None) -> None:
        self.app = app
        self.follower = follower
        self.sealer = sealer
        self.database = follower.database
        # One read of the log feeds both: processes find in memory what was projected last.
        self.processes = Processes(app, self.database, follower.tail)
        self.timers = Timers(app, self.database) if follower.keeps(Timer) else None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name=f"worker {self.database.company}")

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Finishes the batch at hand and returns."""
        self.stopping.set()
        if self.thread.is_alive():
            with suppress(PersistenceError, psycopg.Error), self.database.cursor() as db:
                db.execute("select pg_notify(current_schema() || '.facts', '')")
            self.thread.join()

    def run(self) -> None:
        """Works until stopped; whatever goes wrong is told and tried again, nothing is skipped."""
        bind_contextvars(company=self.database.company)  # in every line of this thread
        while not self.stopping.is_set():
            try:
                with self._place() as conn:
                    self._follow(conn)
            except FOR_NOW as error:
                LOG.warning("worker %s: %s", self.database.company, " ".join(str(error).split()))
                self._rest()
            except Exception:
                LOG.exception("worker %s", self.database.company)
                self._rest()
        if self.sealer:
            self.sealer.finish()

    def catch_up(self) -> None:
        """Projects, reacts and looks at the clock, in turns, until nothing is left to do."""
        while not self.stopping.is_set() and (self._turn() or self._ring()):
            pass

    def _turn(self) -> bool:
        begun = time.monotonic()
        scanned = self.follower.step()
        shown = min(self.follower.positions().values(), default=0)
        reacted = self.processes.step(shown, meanwhile=self.follower.step)
        if 0 < scanned < BATCH:
            # Half of the time at most: the next turn finds more facts for as many statements, and
            # commands answered by this process need the interpreter too.
            self.stopping.wait(min(BREATH, time.monotonic() - begun))
        return bool(scanned or reacted)

    def _ring(self) -> bool:
        return bool(self.timers and self.timers.step())

    @contextmanager
    def _place(self) -> Iterator[psycopg.Connection[DictRow]]:
        """Waits for the one place of work; it is free when its holder's connection has ended."""
        with self.database.get_connection() as conn:
            while not self.stopping.is_set():
                row = conn.execute(AT_WORK)
                if (row.fetchone() or {})["mine"]:
                    break
                self.stopping.wait(RETRY)
            try:
                yield conn
            finally:
                if not conn.closed:
                    conn.execute("unlisten *")
                    conn.execute("select pg_advisory_unlock_all()")

    def _follow(self, conn: psycopg.Connection[DictRow]) -> None:
        channel = Identifier(f"{self.database.schema}.facts")
        conn.execute(SQL("listen {}").format(channel))
        self.follower.prepare()
        self.follower.recognise()
        self.processes.prepare()
        with renewing(self.follower):
            self._work(conn)

    def _work(self, conn: psycopg.Connection[DictRow]) -> None:
        while not self.stopping.is_set():
            # Read after listening, so that no wake-up is missed; the poll is a safety net.
            busy = self._turns(POLL)
            # Under load there is always more to do: what comes after has its turn all the same.
            busy = self._ring() or busy
            if self.sealer:
                self.sealer.step()
            for _ in conn.notifies(timeout=0 if busy else self._patience(), stop_after=1):
                pass

    def _turns(self, seconds: float) -> bool:
        """Projects and reacts, but no longer than this; whether anything may be left to do."""
        end = time.monotonic() + seconds
        while not self.stopping.is_set() and self._turn():
            if time.monotonic() > end:
                return True
        return False

    def _patience(self) -> float:
        """Until the next timer, if it is due before the clock is looked at anyway."""
        next_at = self.timers and self.timers.next_at()
        if not next_at:
            return POLL
        left = (next_at - self.app.clock()).total_seconds()
        return min(POLL, max(0.0, left))

    def _rest(self) -> None:
        self.follower.tail.forget()
        self.stopping.wait(RETRY)
