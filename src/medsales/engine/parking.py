"""Parking: what a read model or a process cannot take in is set aside with the rest of its stream.

Everything else goes on. Somebody looks at what is parked and has it tried again, or discards the
fact; both are facts themselves, and done by whoever follows the log when he meets them.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from eventsourcing.persistence import PersistenceError
from pydantic import BaseModel, ConfigDict

from medsales.domain.kernel import EVENTS
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.log import Selection, facts
from medsales.engine.projection import Projection, fold, write

LOG = logging.getLogger(__name__)
KIND = "parking"
"""What the decisions about parked streams are kept with: `parking:stock_picture`."""
RETRIED = "ParkedRetried"
DISCARDED = "ParkedDiscarded"
DECISIONS = {RETRIED, DISCARDED}
BATCH = 2000
LONGEST_ERROR = 1000
"""Characters of an error that are kept."""

ABOUT_ROWS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.CardinalityViolation,
    psycopg.errors.ProgramLimitExceeded,
)
"""What the database says when it refuses rows; everything else it says is about itself."""


class UnknownEvent(Exception):
    """The log holds an event that this version of medsales does not know."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no event is called {name}; a newer medsales may have recorded it")


class Parked(BaseModel):
    """A stream that waits because one of its facts could not be taken in."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    """Of the read model or process."""
    subject: str
    position: int
    """The fact that could not be taken in; all later ones of the subject wait behind it."""
    error: str
    parked_at: datetime


@dataclass
class Skipped:
    """What one reader passes over: parked streams from a position on, and discarded facts."""

    streams: dict[str, int] = field(default_factory=dict)
    discarded: set[int] = field(default_factory=set)

    def __contains__(self, fact: Fact[Any]) -> bool:
        first = self.streams.get(fact.subject)
        waits = first is not None and fact.position >= first
        return waits or fact.position in self.discarded

    def __bool__(self) -> bool:
        return bool(self.streams or self.discarded)

    def left(self, facts: Sequence[Fact[Any]]) -> Sequence[Fact[Any]]:
        """The facts that are not passed over."""
        return [fact for fact in facts if fact not in self] if self else facts


def unfit(error: BaseException) -> bool:
    """Whether the facts are to blame, and not the health of the database or of this process."""
    cause = error.__cause__ if isinstance(error, PersistenceError) else error
    if isinstance(error, PersistenceError | psycopg.Error):
        return isinstance(cause, ABOUT_ROWS)
    return isinstance(error, Exception) and not isinstance(error, MemoryError)


# What is parked -----------------------------------------------------------------------------------

PARKED = "select name, subject, position, error, parked_at from parked where not discarded"


def parked(db: Db) -> list[Parked]:
    """Every stream that waits."""
    rows = db.execute(f"{PARKED} order by name, subject")
    return [Parked(**row) for row in rows]


def parked_streams(db: Db) -> dict[str, int]:
    """How many streams wait, by read model or process; those where none waits are left out."""
    query = "select name, count(*) as n from parked where not discarded group by name order by name"
    return {row["name"]: row["n"] for row in db.execute(query)}


def skipped(db: Db, name: str) -> Skipped:
    """Everything that a read model or process passes over."""
    query = "select name, subject, position, discarded from parked where name = %s"
    return _sorted_out(db.execute(query, (name,)).fetchall()).get(name, Skipped())


def skipped_among(db: Db, names: Sequence[str], news: Sequence[Fact[Any]]) -> dict[str, Skipped]:
    """What of these facts each of these read models or processes passes over, where it does."""
    known = "select exists (select from parked where name = any(%s)) as some"
    row = db.execute(known, (list(names),), prepare=True).fetchone()
    if not news or not row or not row["some"]:
        return {}
    query = """
        select name, subject, position, discarded from parked where name = any(%s)
            and case when discarded then position between %s and %s else subject = any(%s) end
        """
    subjects = list({fact.subject for fact in news})
    # A rebuild reads stream by stream: they need not be in the order of the log.
    found = [fact.position for fact in news]
    values = (list(names), min(found), max(found), subjects)
    return _sorted_out(db.execute(query, values).fetchall())


def _sorted_out(rows: Sequence[dict[str, Any]]) -> dict[str, Skipped]:
    found: dict[str, Skipped] = {}
    for row in rows:
        skip = found.setdefault(row["name"], Skipped())
        if row["discarded"]:
            skip.discarded.add(row["position"])
        else:
            skip.streams[row["subject"]] = row["position"]
    return found


# Parking ------------------------------------------------------------------------------------------


def take_in(
    db: Db, schema: str, projections: Sequence[Projection], news: Sequence[Fact[Any]]
) -> None:
    """Brings facts into all these read models, or raises; what they pass over is passed over."""
    skips = skipped_among(db, [projection.name for projection in projections], news)
    if unhindered := [each for each in projections if each.name not in skips]:
        _must_be_known(news)
        write(db, schema, fold(unhindered, news))
    for projection in projections:
        if projection.name in skips:
            left = skips[projection.name].left(news)
            _must_be_known(left)
            write(db, schema, fold([projection], left))


def take_in_what_fits(
    db: Db, schema: str, projection: Projection, news: Sequence[Fact[Any]]
) -> None:
    """Brings facts into one read model; what cannot be is found by halving, and parked."""
    skip = skipped_among(db, [projection.name], news).get(projection.name, Skipped())
    _halve(db, schema, projection, news, skip)


def park(db: Db, name: str, fact: Fact[Any], error: BaseException) -> None:
    """Sets a stream aside from this fact on."""
    LOG.error("%s: position %s of %s is parked: %s", name, fact.position, fact.subject, told(error))
    db.execute(
        "insert into parked (name, position, subject, error) values (%s, %s, %s, %s)"
        " on conflict do nothing",
        (name, fact.position, fact.subject, told(error)),
    )


def told(error: BaseException) -> str:
    """In one line, as it is kept."""
    said = " ".join(str(error).replace("\0", "").split())
    return f"{type(error).__name__}: {said}"[:LONGEST_ERROR]


def _halve(
    db: Db, schema: str, projection: Projection, news: Sequence[Fact[Any]], skip: Skipped
) -> None:
    left = skip.left(news)
    error = _wrong_with(db, schema, projection, left)
    if error is None:
        return
    if len(left) > 1:
        half = len(left) // 2
        _halve(db, schema, projection, left[:half], skip)
        _halve(db, schema, projection, left[half:], skip)
        return
    park(db, projection.name, left[0], error)
    skip.streams[left[0].subject] = left[0].position


def _wrong_with(
    db: Db, schema: str, projection: Projection, news: Sequence[Fact[Any]]
) -> Exception | None:
    """Nothing, if they are taken in; else they are not. Raises what is no fault of theirs."""
    try:
        with db.connection.transaction():
            _must_be_known(news)
            write(db, schema, fold([projection], news))
    except Exception as error:
        if not unfit(error):
            raise
        return error
    return None


def _must_be_known(news: Sequence[Fact[Any]]) -> None:
    """Also where no read model asks for it: who does not know an event cannot say so."""
    for fact in news:
        if fact.name not in EVENTS:
            raise UnknownEvent(fact.name)


# Deciding about what is parked --------------------------------------------------------------------


def upto_decision(news: Sequence[Fact[Any]]) -> Sequence[Fact[Any]]:
    """As many facts as there are up to the first decision about a parked stream, which is last."""
    for n, fact in enumerate(news):
        if fact.name in DECISIONS:
            return news[: n + 1]
    return news


def decided_about(fact: Fact[Any]) -> str | None:
    """Whose parked stream a fact decides about; None for every other fact."""
    kind, _, name = fact.subject.partition(":")
    if fact.name not in DECISIONS or kind != KIND:
        return None
    try:
        return name if fact.event else None
    except ValueError as error:
        LOG.error("position %s cannot be read: %s", fact.position, told(error))  # noqa: TRY400
        return None


def waits_from(db: Db, name: str, decision: Fact[Any]) -> int | None:
    """Where the stream begins that goes on by this decision; None if the decision is void.

    A discard names the fact: whoever looked at another error has decided about another one.
    """
    row = db.execute(
        "select position from parked where name = %s and subject = %s and not discarded",
        (name, decision.event.stream),
    ).fetchone()
    first = None if row is None else int(row["position"])
    return first if decision.name == RETRIED or decision.event.position == first else None


def free(db: Db, name: str, decision: Fact[Any]) -> None:
    """Takes the stream out of its parking place; a discarded fact stays there alone."""
    first = waits_from(db, name, decision)
    done = (
        "delete from parked where name = %s and position = %s"
        if decision.name == RETRIED
        else "update parked set discarded = true where name = %s and position = %s"
    )
    db.execute(done, (name, first))


def settle(db: Db, schema: str, projection: Projection, decision: Fact[Any]) -> None:
    """If this decides about a stream of this read model, what waited is taken in now."""
    if decided_about(decision) != projection.name:
        return
    first = waits_from(db, projection.name, decision)
    if first is not None:
        free(db, projection.name, decision)
        # What is discarded by now is passed over there.
        for waiting in stream(db, decision.event.stream, first, decision.position):
            take_in_what_fits(db, schema, projection, waiting)


def recognise(db: Db, schema: str, projection: Projection, upto: int) -> None:
    """Takes in what was parked only because an older version of medsales did not know the event.

    Nobody need decide about that: what was wrong was the program, and it is another one now.
    """
    for row in db.execute(STRANGE, (projection.name, list(EVENTS))).fetchall():
        LOG.info("%s knows position %s by now", projection.name, row["position"])
        key = (projection.name, row["position"])
        db.execute("delete from parked where name = %s and position = %s", key)
        for waiting in stream(db, row["subject"], row["position"], upto):
            take_in_what_fits(db, schema, projection, waiting)


STRANGE = """
    select position, subject from parked join facts on notification_id = position
    where name = %s and not discarded and error like 'UnknownEvent:%%' and topic = any(%s)
    order by position
    """


def stream(db: Db, subject: str, first: int, upto: int) -> Iterator[Sequence[Fact[Any]]]:
    """The facts of a subject between two positions, batch after batch."""
    after = first - 1
    while waiting := facts(db, Selection(after=after, upto=upto, subject=subject), BATCH):
        yield waiting
        after = waiting[-1].position
