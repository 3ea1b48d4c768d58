"""Timers: what must be asked when its time comes, unless something has happened by then.

What is due is a read model like any other: a fact sets a timer, another one takes it away. Whoever
is at work asks the command that belongs to it, late if nobody was, and twice without harm: its key
follows from the timer, and the command log knows it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeAlias

from medsales.engine import parking
from medsales.engine.application import Ask, MedSales
from medsales.engine.consequences import FOR_NOW, Then, ask, done
from medsales.engine.database import Database
from medsales.engine.decision import subject_of
from medsales.engine.log import Selection, facts
from medsales.engine.projection import BEGINNING, Row

BATCH = 200
"""Timers that are asked together."""


class Timer(Row, key=("timer", "subject"), indexes=(("due_at",),)):
    """Something that has a time, and nobody has waited for in vain yet."""

    timer: str
    subject: str
    due_at: datetime = BEGINNING
    set_by: int = 0
    """The position of the fact that set it."""


Bell: TypeAlias = Callable[[Timer], Then]
DUE: dict[str, Bell] = {}


def due(bell: Bell) -> Bell:
    """Marks what is to be asked when the timer of that name is due."""
    DUE[bell.__name__] = bell
    return bell


class Timers:
    """Asks what is due in one company."""

    def __init__(self, app: MedSales, database: Database) -> None:
        self.app = app
        self.database = database

    def step(self) -> int:
        """Asks what is due by now and has not been asked; returns how many that were."""
        rung = self._rung(self.app.clock())
        try:
            done(self.app, [_asked(timer, key) for timer, key in rung])
        except FOR_NOW:
            raise
        except Exception:  # noqa: BLE001 - one of them, but which?
            for timer, key in rung:
                self._ask_alone(timer, key)
        return len(rung)

    def next_at(self) -> datetime | None:
        """When the next one will be due."""
        query = "select min(due_at) as at from timer where timer = any(%s) and due_at > %s"
        with self.database.cursor() as db:
            row = db.execute(query, (list(DUE), self.app.clock()), prepare=True).fetchone()
        return row["at"] if row else None

    def _rung(self, now: datetime) -> list[tuple[Timer, str]]:
        with self.database.cursor() as db:
            rows = db.execute(
                f"select * {WAITING} and due_at <= %s order by due_at, timer, subject limit %s",
                (list(DUE), now, BATCH),
                prepare=True,
            ).fetchall()
        return [(Timer(**row), key) for row in rows if (key := row.pop("key"))]

    def _ask_alone(self, timer: Timer, key: str) -> None:
        try:
            done(self.app, [_asked(timer, key)])
        except FOR_NOW:
            raise
        except Exception as error:  # noqa: BLE001 - parked, so that it is seen and not repeated
            with self.database.writing() as db:
                (cause,) = facts(db, Selection(after=timer.set_by - 1), 1)
                parking.park(db, timer.timer, cause, error)


WAITING = """
    from (
        select t.*, set_by || ':' || floor(extract(epoch from due_at)) || ':' || subject as key
        from timer t where timer = any(%s)
    ) t
    where not exists (
        select from commands c where c.client = 'process:' || t.timer and c.key = t.key)
    and not exists (
        select from parked p where p.name = t.timer and (
            p.position = t.set_by or not p.discarded and p.subject = (
                select originator_id from facts where notification_id = t.set_by)))
"""
"""Timers that nobody has asked yet: the command log knows those that have been answered. Those of a
parked stream wait, also when they have been set anew: parked once more they would not be."""


class Standing(NamedTuple):
    """How many timers are set, and how many of them should have been asked by now."""

    set: int
    due: int


def standing(database: Database, now: datetime) -> Standing:
    with database.cursor() as db:
        total = db.execute("select count(*) as n from timer").fetchone()
        due = db.execute(
            f"select count(*) as n {WAITING} and due_at <= %s", (list(DUE), now)
        ).fetchone()
    return Standing((total or {})["n"], (due or {})["n"])


def _asked(timer: Timer, key: str) -> Ask:
    then = DUE[timer.timer](timer)
    # A refusal that has no subject would not be kept, and be asked for again and again.
    subject_of(then.command, then.id)
    return ask(timer.timer, then, key=key, cause=timer.set_by)
