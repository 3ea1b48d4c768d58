"""The log of one company: the only writer of facts, and everything that reads them in order."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, LiteralString, NamedTuple

from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed

from medsales.domain.kernel import Event, Sentence
from medsales.engine.committer import Committer
from medsales.engine.database import Database, Db
from medsales.engine.facts import (
    STORED,
    Draft,
    Envelope,
    Fact,
    envelope_to_json,
    event_from_json,
    event_to_json,
    fact_from_row,
)

APPEND = SQL("select * from append(%s::jsonb)")
TOLD = SQL(
    "with wanted as ("
    "  select * from unnest(%s::text[], %s::bigint[], %s::text[]) as w (subject, known, shape)"
    "), snapshot as materialized ("
    "  select s.subject, s.version, s.state from wanted w join snapshots s using (subject, shape)"
    "  where s.version > w.known"
    ") "
    "select subject, version, null as event, state from snapshot union all "
    "select w.subject, f.* from wanted w left join snapshot s using (subject)"
    # One look into the index per subject, whatever the planner thinks of the whole log.
    " cross join lateral (select originator_version, topic, state from facts"
    "  where originator_id = w.subject and originator_version > coalesce(s.version, w.known)"
    "  offset 0) f "
    "order by 1, 2"
)
LIBRARY = Envelope("library", "library", "library", "", "", "")
"""Beside facts that come through the library's interface; they have no line in the command log."""
SENDINGS = 3
"""How often an append is sent when the connection breaks; its key makes that harmless."""


class Line(NamedTuple):
    """A fact on its way into the log, which has no position yet."""

    subject: str
    version: int
    event: str
    state: str
    """Canonical JSON."""


def line_of(draft: Draft) -> Line:
    event = draft.event
    return Line(draft.subject, draft.version, type(event).__name__, event_to_json(event))


@dataclass(frozen=True, slots=True)
class Request:
    """A decided command on its way into the log, with all that was read to decide it."""

    subject: str
    version: int
    """The subject's version after the decision."""
    envelope: Envelope
    fingerprint: str
    guards: dict[str, int]
    """Every stream that was read, at the version that was read."""
    facts: tuple[Line, ...] = ()
    effective_at: datetime | None = None
    body: str = ""
    refusal: tuple[str, Sentence] | None = None

    @property
    def outcome(self) -> str:
        if self.refusal:
            return "refused"
        return "accepted" if self.facts else "nothing"

    def entry(self, position: int) -> "Entry":
        """Its line in the command log, once written."""
        events = tuple(line.event for line in self.facts)
        return Entry(self.outcome, self.version, events, position, self.refusal)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the command log: how a command was answered, the first time."""

    outcome: str
    version: int
    events: tuple[str, ...]
    position: int
    refusal: tuple[str, Sentence] | None


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a request: done, repeat, reused, conflict or failed, and its entry if any."""

    status: str
    entry: Entry | None
    error: Exception | None = None
    """Why the database could not take it at all."""


class Wanted(NamedTuple):
    """An aggregate, the version it is known at, and the shape a snapshot must have."""

    subject: str
    known: int
    shape: str


class Told(NamedTuple):
    """The events after what was known, or after a snapshot that is further on."""

    events: Sequence[Event[Any]] = ()
    snapshot: bytes | None = None
    snapshot_version: int = 0
    size: int = 0
    """Bytes."""
    unreadable: bool = False
    """This version of the program does not know what is written there."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which facts somebody wants to see; what is not given does not restrict."""

    after: int = 0
    upto: int | None = None
    subject: str | None = None
    kinds: tuple[str, ...] = ()
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> Iterator[tuple[LiteralString, Any]]:
        yield "notification_id > %s", self.after
        if self.upto is not None:
            yield "notification_id <= %s", self.upto
        if self.subject is not None:
            yield "originator_id = %s", self.subject
        if self.kinds:
            yield "topic = any(%s)", list(self.kinds)
        if self.actor is not None:
            yield "convert_from(metadata, 'UTF8')::jsonb ->> 'by' = %s", self.actor
        if self.since:
            yield "recorded_at >= %s", self.since
        if self.until:
            yield "recorded_at < %s", self.until


class Log(PostgresApplicationRecorder):
    """The library's recorder on our table; what it wrote with a table lock goes through `append`.

    Its tables are made by `schema`, not by the recorder.
    """

    datastore: Database

    def __init__(self, database: Database) -> None:
        super().__init__(database, events_table_name="facts")
        self.channel_name = f"{database.schema}.facts"
        self.committer = Committer(f"append {database.company}", self.append)

    def append(self, requests: Sequence[Request]) -> list[Appended]:
        """Writes what has been decided, each request for itself, all in one transaction.

        Raises the library's OperationalError when the database cannot be reached: then nothing is
        known, and asking again with the same key tells.
        """
        try:
            return self._sent(requests)
        except (DataError, IntegrityError):
            if len(requests) == 1:
                raise
            # One of them is not even text to the database; its neighbours shall not suffer.
            return [self._alone(request) for request in requests]

    def _alone(self, request: Request) -> Appended:
        try:
            (appended,) = self._sent([request])
        except (DataError, IntegrityError) as error:
            return Appended("failed", None, error)
        return appended

    def _sent(self, requests: Sequence[Request]) -> list[Appended]:
        for sending in range(1, SENDINGS + 1):
            try:
                with self.datastore.get_connection() as conn:
                    return _append(conn.cursor(), requests)
            except (InterfaceError, OperationalError):
                if sending == SENDINGS:
                    raise
        raise AssertionError

    @contextmanager
    def held(self) -> Iterator[Callable[[Sequence[Request]], list[Appended]]]:
        """Nobody else appends meanwhile; what is appended here is durable at the end."""
        with self.datastore.writing() as db:
            db.execute("select pg_advisory_xact_lock('facts'::regclass::oid::int, 0)")
            yield lambda requests: _append(db, requests)

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int]:
        """The library's way in: grouped like ours, without a line in the command log."""
        if not stored_events:
            return []
        lines = tuple(
            Line(str(e.originator_id), e.originator_version, e.topic, e.state.decode())
            for e in stored_events
        )
        request = Request("", 0, LIBRARY, "", {}, lines)
        appended = self.committer.submit(request, len(lines)).result()
        if appended.entry is None:
            raise appended.error or IntegrityError("these versions are stored already")
        last = appended.entry.position
        return list(range(last - len(lines) + 1, last + 1))

    def close(self) -> None:
        """Finishes what is waiting."""
        self.committer.close()

    def streams(self, subjects: Iterable[str]) -> dict[str, list[Fact[Any]]]:
        """All facts of these subjects, in order, read in one snapshot and one round trip."""
        found: dict[str, list[Fact[Any]]] = {subject: [] for subject in subjects}
        with self.datastore.cursor() as db:
            rows = db.execute(
                "select * from facts where originator_id = any(%s)"
                " order by originator_id, originator_version",
                (list(found),),
                prepare=True,
            )
            for row in rows:
                found[row["originator_id"]].append(fact_from_row(row))
        return found

    def told(self, wanted: Sequence[Wanted]) -> dict[str, Told]:
        """What there is to know beyond what is known, in one round trip."""
        found = {each.subject: Told() for each in wanted}
        with self.datastore.cursor() as db:
            db.execute(TOLD, [list(column) for column in zip(*wanted, strict=True)], prepare=True)
            rows = groupby(db.fetchall(), key=lambda row: str(row["subject"]))
            found |= {subject: _told(list(lines)) for subject, lines in rows}
        return found

    def keep_snapshot(self, subject: str, version: int, shape: str, state: bytes) -> None:
        """Spares later readers the facts up to a version."""
        with self.datastore.following() as db:
            db.execute(
                "insert into snapshots as s values (%s, %s, %s, %s) on conflict (subject) do update"
                " set version = excluded.version, shape = excluded.shape, state = excluded.state"
                " where s.shape <> excluded.shape or s.version < excluded.version",
                (subject, version, shape, state),
            )

    def entry(self, client: str, key: str) -> tuple[str, Entry] | None:
        """The fingerprint and the first answer of a command, if it has been answered."""
        with self.datastore.cursor() as db:
            row = db.execute(
                "select * from commands where client = %s and key = %s", (client, key), prepare=True
            ).fetchone()
        return None if row is None else (row["fingerprint"], _entry(row))

    def head(self) -> int:
        """The position of the last fact; 0 when there is none."""
        return self.max_notification_id() or 0


def facts(db: Db, selection: Selection, limit: int) -> list[Fact[Any]]:
    """The first facts that match, in the order of the log."""
    with db.connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        return [Fact(row) for row in cursor.execute(*_query(STORED, selection, limit))]


def rows(db: Db, selection: Selection, limit: int) -> list[dict[str, Any]]:
    """As `facts`, but as they are stored, byte for byte."""
    return db.execute(*_query("*", selection, limit)).fetchall()


def _query(columns: LiteralString, selection: Selection, limit: int) -> tuple[Composed, list[Any]]:
    parts = list(selection.conditions())
    where = SQL(" and ").join(SQL(condition) for condition, _ in parts)
    query = SQL("select {} from facts where {} order by notification_id limit %s")
    return query.format(SQL(columns), where), [*(value for _, value in parts), limit]


def _append(db: Db, requests: Sequence[Request]) -> list[Appended]:
    text = json.dumps([_as_json(request) for request in requests])
    rows = db.execute(APPEND, (text,), prepare=True).fetchall()
    if rows[0]["n"] == -1:
        return list(_all_done(requests, rows[0]["position"]))
    return [_appended(*pair) for pair in zip(requests, rows, strict=True)]


def _all_done(requests: Sequence[Request], position: int) -> Iterator[Appended]:
    for request in requests:
        position += len(request.facts)
        yield Appended("done", request.entry(position))


def _appended(request: Request, row: dict[str, Any]) -> Appended:
    if row["status"] == "done":
        return Appended("done", request.entry(row["position"]))
    return Appended(row["status"], row["outcome"] and _entry(row))


def _as_json(request: Request) -> dict[str, Any]:
    code, sentence = request.refusal or (None, Sentence("", ""))
    return {
        "client": request.envelope.client,
        "key": request.envelope.key or None,
        "fingerprint": request.fingerprint,
        "actor": request.envelope.by,
        "command": request.envelope.command,
        "subject": request.subject,
        "outcome": request.outcome,
        "version": request.version,
        # What was asked is kept where no fact tells it.
        "body": None if request.facts else request.body,
        "code": code,
        "en": sentence.en,
        "zh": sentence.zh,
        "guards": list(request.guards.items()),
        "metadata": envelope_to_json(request.envelope),
        "effective_at": request.effective_at and request.effective_at.isoformat(),
        "facts": request.facts,
    }


def _told(rows: list[dict[str, Any]]) -> Told:
    size = sum(len(row["state"]) for row in rows)
    snapshot, version = None, 0
    if rows[0]["event"] is None:
        first = rows.pop(0)
        snapshot, version = first["state"], first["version"]
    try:
        events = [event_from_json(row["event"], row["state"]) for row in rows]
    except (LookupError, ValueError):
        return Told(unreadable=True)
    return Told(events, snapshot, version, size)


def _entry(row: dict[str, Any]) -> Entry:
    refusal = (row["code"], Sentence(row["en"], row["zh"])) if row["code"] else None
    return Entry(row["outcome"], row["version"], tuple(row["events"]), row["position"], refusal)
