"""Keeps read models at the end of the log: batches of facts, rows and position together."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from medsales.engine import parking
from medsales.engine.comparison import Difference
from medsales.engine.database import Database, Db
from medsales.engine.facts import Fact
from medsales.engine.garbage import undisturbed
from medsales.engine.positions import advance, current, positions, start_at_zero
from medsales.engine.projection import Projection, Row, create_tables
from medsales.engine.rebuild import Rebuild
from medsales.engine.tail import Tail
from medsales.engine.telemetry import span

LOG = logging.getLogger(__name__)
BATCH = 2000
"""Facts per transaction; what is held in memory at a time."""
LONG_LOG = 100_000
"""Facts that a new read model need not follow one after the other: it is rebuilt from them."""
NO_CODE = ""
"""What the rows of a read model were made by that has none yet."""
PROCESSES = "processes"
"""The name under which the processes note their position."""
GLANCE = 0.005
"""Seconds between two looks at the positions while somebody waits for them to move."""

News: TypeAlias = Sequence[Fact[Any]]


class NotYet(Exception):
    """A read model has not reached the position that the reader asked for."""

    def __init__(self, name: str, wanted: int, reached: int) -> None:
        super().__init__(f"{name} has reached position {reached}, not yet {wanted}")
        self.lag = wanted - reached


class Lag(NamedTuple):
    """How far behind the log somebody is: in facts, and by the age of the oldest one waiting."""

    position: int
    facts: int
    """Negative where he lies beyond the end of the log, which was set back without him."""
    seconds: float


class Follower:
    """Feeds several projections of one company from one read of its log."""

    def __init__(self, database: Database, projections: Sequence[type[Projection]]) -> None:
        self.database = database
        self.projections = {kind.name: kind() for kind in projections}
        self.tail = Tail(database)
        self.reached: dict[str, int] = {}
        """What this follower itself has done; the table may know of more."""
        self.moved = threading.Condition()

    def everybody(self) -> list[str]:
        """Who follows the log: the read models, and the processes behind them."""
        return [*self.projections, PROCESSES]

    def keeps(self, row: type[Row]) -> bool:
        """Whether these rows are among those kept here."""
        return any(row in projection.rows for projection in self.projections.values())

    def prepare(self) -> None:
        """Makes missing tables. Of a long log they are filled by `renew`, sooner than by steps."""
        with self.database.writing() as db:
            db.execute("select pg_advisory_xact_lock('positions'::regclass::oid::int, 2)")
            known = positions(db, self.projections)
            head = db.execute("select coalesce(max(notification_id), 0) as head from facts")
            made_by = None if (head.fetchone() or {})["head"] <= LONG_LOG else NO_CODE
            for name, projection in self.projections.items():
                if name not in known:
                    create_tables(db, self.database.schema, type(projection))
                    start_at_zero(db, projection, fingerprint=made_by)

    def outdated(self) -> list[str]:
        """Read models whose rows were made by other code. They serve as they are, and are not
        followed, until they have been rebuilt."""
        with self.database.cursor() as db:
            up_to_date = current(db, self.projections.values())
            return [name for name in positions(db, self.projections) if name not in up_to_date]

    def renew(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Rebuilds what is outdated."""
        if names := self.outdated():
            LOG.info("the code of %s has changed: rebuilding", ", ".join(names))
            self.rebuild(names, stopped=stopped)

    @undisturbed()
    def recognise(self) -> None:
        """Takes in facts that were parked because this program's forerunner did not know them."""
        with self.database.writing() as db:
            for name, reached in current(db, self.projections.values(), lock=True).items():
                parking.recognise(db, self.database.schema, self.projections[name], reached)

    @undisturbed()
    def step(self) -> int:
        """Brings the hindmost projections forward by one batch; returns the facts scanned."""
        with self.database.cursor() as db:
            reached = current(db, self.projections.values())
        if not reached:
            return 0
        low = min(reached.values())
        behind = [self.projections[name] for name, at in reached.items() if at == low]
        next_stop = min((at for at in reached.values() if at > low), default=None)
        news = parking.upto_decision(self.tail.after(low, BATCH, next_stop))
        if news:
            reach = {"first": news[0].position, "last": news[-1].position}
            with span("project", company=self.database.company, **reach):
                self._bring(behind, news)
            LOG.debug("projected", extra=reach)
        return len(news)

    def catch_up(self) -> None:
        """Projects until nothing waits."""
        while self.step():
            pass

    def _bring(self, behind: Sequence[Projection], news: News) -> None:
        """All at once; where that fails, each for itself, and what does not fit is parked."""
        try:
            self._write(behind, news, parking.take_in)
        except Exception as error:
            if not parking.unfit(error):
                raise
            LOG.warning("looking for what cannot be projected", exc_info=error)
            self._write(behind, news, _take_in_what_fits)

    def _write(self, behind: Sequence[Projection], news: News, take_in: "TakeIn") -> None:
        """The positions are locked first: a second follower waits here, and finds the work done."""
        names = [projection.name for projection in behind]
        last = news[-1]
        with self.database.following() as db:
            reached = current(db, behind, lock=True)
            if reached != dict.fromkeys(names, news[0].position - 1):
                return
            take_in(db, self.database.schema, behind, news)
            for projection in behind:
                parking.settle(db, self.database.schema, projection, last)
            advance(db, names, last.position)
        self._tell(names, last.position)

    def _tell(self, names: Sequence[str], position: int) -> None:
        with self.moved:
            self.reached |= dict.fromkeys(names, position)
            self.moved.notify_all()

    def positions(self) -> dict[str, int]:
        """How far each projection has come."""
        with self.database.cursor() as db:
            return positions(db, self.projections)

    def wait_for(self, name: str, position: int, timeout: float) -> None:
        """Returns when the read model shows everything up to a position. Raises NotYet."""
        deadline = time.monotonic() + timeout
        while self.reached.get(name, 0) < position:
            reached = self.positions().get(name, 0)
            if reached >= position:
                return
            if time.monotonic() > deadline:
                raise NotYet(name, position, reached)
            with self.moved:
                # Told at once by the worker of this process; one in another cannot tell.
                self.moved.wait_for(lambda: self.reached.get(name, 0) >= position, GLANCE)

    def rebuild(self, names: Iterable[str], **how: Any) -> list[Difference]:
        """Builds read models anew beside the old ones, which serve until the swap."""
        return self._rebuild(names, how).rebuild()

    def verify(self, names: Iterable[str], **how: Any) -> list[Difference]:
        """Recomputes read models from the facts and compares them with the stored rows."""
        return self._rebuild(names, how).verify()

    def _rebuild(self, names: Iterable[str], how: dict[str, Any]) -> Rebuild:
        return Rebuild(self.database, [self.projections[name] for name in names], **how)


TakeIn: TypeAlias = Callable[[Db, str, Sequence[Projection], News], None]


def _take_in_what_fits(db: Db, schema: str, behind: Sequence[Projection], news: News) -> None:
    for projection in behind:
        parking.take_in_what_fits(db, schema, projection, news)


def lags(database: Database, names: Iterable[str]) -> dict[str, Lag]:
    """How far behind each of these is."""
    query = """
        select name, position, head - position as facts,
            coalesce(greatest(0, extract(epoch from clock_timestamp() - recorded_at)), 0)::float8
            as seconds
        from positions cross join
            (select coalesce(max(notification_id), 0) as head from facts) as log
            left join facts on notification_id = position + 1
        where name = any(%s) order by name
        """
    with database.cursor() as db:
        rows = db.execute(query, (list(names),), prepare=True).fetchall()
    return {row.pop("name"): Lag(**row) for row in rows}
