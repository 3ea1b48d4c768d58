"""Between two moments: which facts concern a subject, and which rows they changed, from what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import tuple_row
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from medsales.engine.database import Db
from medsales.engine.facts import STORED, Fact, fact_from_row
from medsales.engine.log import Selection
from medsales.engine.mentions import about
from medsales.engine.past import PassedOver, folded
from medsales.engine.projection import Batch, Change, Projection, Row, lines

MOST = 1000
"""Facts that one comparison tells; whoever wants more asks for a shorter time."""


class TooMuch(Exception):
    """More happened between two moments than a person can read."""


@dataclass(frozen=True)
class RowChange:
    """A row that is another one now; no columns where there was none, or is none any more."""

    table: str
    key: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    added: dict[str, Any]
    """Of a row that others change, too: what these facts have added to it."""


def facts_between(db: Db, subject: str, after: int, upto: int) -> list[Fact[Any]]:
    """The facts of a subject, and those that name it. Raises TooMuch."""
    rows = about(db, subject, Selection(after=after, upto=upto), MOST + 1)
    if len(rows) > MOST:
        raise TooMuch(f"more than {MOST} facts concern {subject} between {after} and {upto}")
    return [fact_from_row(row) for row in rows]


def changed_rows(
    db: Db,
    projections: Sequence[Projection],
    skipped: PassedOver,
    facts: Sequence[Fact[Any]],
    after: int,
) -> list[RowChange]:
    """What these facts have done to rows, except to lines that only tell the fact itself."""
    if not facts:
        return []
    lives = _lives(db, {fact.subject for fact in facts}, facts[-1].position)
    touched = folded(projections, skipped, facts)
    before = folded(projections, skipped, [fact for fact in lives if fact.position <= after])
    now = folded(projections, skipped, lives)
    return [
        change
        for row in touched
        if not row.ledger and "position" not in row.key
        for change in _changes(row, touched[row], before[row], now[row])
    ]


def _lives(db: Db, subjects: Iterable[str], upto: int) -> list[Fact[Any]]:
    query = SQL(
        "select {} from facts where originator_id = any(%s) and notification_id <= %s"
        " order by originator_id, originator_version"
    ).format(SQL(STORED))
    with db.connection.cursor(row_factory=tuple_row) as found:
        return [Fact(row) for row in found.execute(query, (list(subjects), upto))]


def _changes(
    row: type[Row],
    touched: Mapping[Any, Change],
    before: Mapping[Any, Change],
    now: Mapping[Any, Change],
) -> Iterable[RowChange]:
    for key, change in touched.items():
        named = dict(zip(row.key, key, strict=True))
        if row.shared:
            added = {column: amount for column, amount in change.amounts.items() if amount}
            if added:
                yield RowChange(row.table, named, {}, {}, added)
            continue
        old, new = _columns(row, before.get(key)), _columns(row, now.get(key))
        differing = [c for c in old | new if (old or {}).get(c) != (new or {}).get(c)]
        if differing or bool(old) != bool(new):
            yield RowChange(
                row.table,
                named,
                {c: old[c] for c in differing if c in old},
                {c: new[c] for c in differing if c in new},
                {},
            )


def _columns(row: type[Row], change: Change | None) -> dict[str, Any]:
    """The row that a change leaves, without its key."""
    batch: Batch = {row: {}} if change is None else {row: {change.key: change}}
    for line in lines(row, batch[row]):
        whole = dict(zip(row.model_fields, map(_plain, line), strict=True))
        return {column: value for column, value in whole.items() if column not in row.key}
    return {}


def _plain(value: Any) -> Any:
    """Not wrapped for the database: so it equals what says the same, and can be told."""
    return value.obj if isinstance(value, Jsonb) else value
