"""Ends the trace of a command when what it did can be seen in every read model."""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from eventsourcing.persistence import PersistenceError
from opentelemetry.trace import Span

from medsales.company import Company
from medsales.engine import telemetry

LOOK = 0.005
PATIENCE = 60.0
"""Seconds after which a span says that it was not seen, and ends."""


@dataclass(frozen=True)
class Awaited:
    """A command that was answered, and its span, which lasts until its facts can be read."""

    company: Company
    position: int
    span: Span
    until: float


class Projected:
    """Looks at the positions of read models while somebody traces, whoever keeps them: a worker
    of this process or of another. Facts keep nothing of a trace, for they last longer."""

    def __init__(self) -> None:
        self.arrivals: queue.SimpleQueue[Awaited] = queue.SimpleQueue()
        self.starting = threading.Lock()
        self.thread: threading.Thread | None = None

    def expect(self, company: Company, position: int) -> None:
        """Called within the span of the request."""
        span = telemetry.begun("projected", company=company.name, position=position)
        self.arrivals.put(Awaited(company, position, span, time.monotonic() + PATIENCE))
        with self.starting:
            if self.thread is None:
                self.thread = threading.Thread(target=self._run, name="projected", daemon=True)
                self.thread.start()

    def _run(self) -> None:
        waiting: list[Awaited] = []
        while True:
            waiting = _still_waiting(self._with_arrivals(waiting))
            if waiting:
                time.sleep(LOOK)

    def _with_arrivals(self, waiting: list[Awaited]) -> list[Awaited]:
        """Those at hand; if there are none the next one is waited for."""
        found = list(waiting) or [self.arrivals.get()]
        while not self.arrivals.empty():
            found.append(self.arrivals.get())
        return found


def _still_waiting(waiting: Sequence[Awaited]) -> list[Awaited]:
    companies = {one.company.name: one.company for one in waiting}
    reached = {name: _reached(company) for name, company in companies.items()}
    return [one for one in waiting if not _ended(one, reached[one.company.name])]


def _reached(company: Company) -> int:
    try:
        return min(company.follower.positions().values(), default=0)
    except (PersistenceError, psycopg.Error):
        return 0


def _ended(one: Awaited, reached: int) -> bool:
    seen = reached >= one.position
    if not seen and time.monotonic() < one.until:
        return False
    one.span.set_attribute("seen", seen)
    one.span.end()
    return True
