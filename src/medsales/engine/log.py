"""The log of one company: the only writer of facts, and everything that reads them in order."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import uuid4

from eventsourcing.persistence import InterfaceError, OperationalError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder
from psycopg.sql import SQL

from medsales.domain.kernel import Sentence
from medsales.engine.database import Database, Db
from medsales.engine.facts import (
    Draft,
    Envelope,
    Fact,
    envelope_to_json,
    event_to_json,
    fact_from_row,
)

APPEND = SQL("select * from append(%s::jsonb)")
SENDINGS = 3
"""How often an append is sent when the connection breaks; its key makes that harmless."""


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
    drafts: tuple[Draft, ...] = ()
    effective_at: datetime | None = None
    body: str = ""
    refusal: tuple[str, Sentence] | None = None

    @property
    def outcome(self) -> str:
        if self.refusal:
            return "refused"
        return "accepted" if self.drafts else "nothing"


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
    """What became of a request: done, repeat, reused or conflict, and its entry if it has one."""

    status: str
    entry: Entry | None


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

    def append(self, requests: Sequence[Request]) -> list[Appended]:
        """Writes what has been decided, each request for itself, all in one transaction.

        Raises the library's OperationalError when the database cannot be reached: then nothing is
        known, and asking again with the same key tells.
        """
        return self._append(json.dumps([_as_json(request) for request in requests]))

    def _append(self, requests: str) -> list[Appended]:
        for sending in range(1, SENDINGS + 1):
            try:
                with self.datastore.get_connection() as conn:
                    rows = conn.execute(APPEND, (requests,), prepare=True).fetchall()
                return [Appended(row["status"], row["outcome"] and _entry(row)) for row in rows]
            except (InterfaceError, OperationalError):
                if sending == SENDINGS:
                    raise
        raise AssertionError

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int]:
        """The library's way in, through the same function; its versions guard themselves."""
        if not stored_events:
            return []
        rows = [
            [e.originator_id, e.originator_version, e.topic, e.state.decode()]
            for e in stored_events
        ]
        request = Request(
            "", 0, Envelope("library", "library", "library", str(uuid4()), "", ""), "", {}
        )
        (appended,) = self._append(json.dumps([{**_as_json(request), "facts": rows}]))
        assert appended.entry is not None
        last = appended.entry.position
        return list(range(last - len(rows) + 1, last + 1))

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
    return [fact_from_row(row) for row in rows(db, selection, limit)]


def rows(db: Db, selection: Selection, limit: int) -> list[dict[str, Any]]:
    """As `facts`, but as they are stored, byte for byte."""
    parts = list(selection.conditions())
    where = SQL(" and ").join(SQL(condition) for condition, _ in parts)
    query = SQL("select * from facts where {} order by notification_id limit %s").format(where)
    return db.execute(query, [*(value for _, value in parts), limit]).fetchall()


def _as_json(request: Request) -> dict[str, Any]:
    code, sentence = request.refusal or (None, Sentence("", ""))
    return {
        "client": request.envelope.client,
        "key": request.envelope.key,
        "fingerprint": request.fingerprint,
        "actor": request.envelope.by,
        "command": request.envelope.command,
        "subject": request.subject,
        "outcome": request.outcome,
        "version": request.version,
        # What was asked is kept where no fact tells it.
        "body": None if request.drafts else request.body,
        "code": code,
        "en": sentence.en,
        "zh": sentence.zh,
        "guards": list(request.guards.items()),
        "metadata": envelope_to_json(request.envelope),
        "effective_at": request.effective_at and request.effective_at.isoformat(),
        "facts": [
            [draft.subject, draft.version, type(draft.event).__name__, event_to_json(draft.event)]
            for draft in request.drafts
        ],
    }


def _entry(row: dict[str, Any]) -> Entry:
    refusal = (row["code"], Sentence(row["en"], row["zh"])) if row["code"] else None
    return Entry(row["outcome"], row["version"], tuple(row["events"]), row["position"], refusal)
