"""What has been sealed, as it is stored: the heads, the keys, and the proofs that follow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg.rows import tuple_row

from medsales.audit.heads import Head, Key
from medsales.audit.leaf import canonical_line, moment
from medsales.audit.merkle import consistency_proof, inclusion_proof
from medsales.engine.database import Db
from medsales.engine.tiles import tiles_for

FACTS = (
    "select notification_id, originator_id, originator_version, topic, state, metadata,"
    " effective_at, recorded_at, event_id::text from facts"
    " where notification_id > %s and notification_id <= %s order by notification_id limit %s"
)
"""What `canonical_line` takes, in its order."""
FACTS_OF = (
    "select notification_id, originator_id, originator_version, topic, state, metadata,"
    " effective_at, recorded_at, event_id::text from facts"
    " where originator_id = any(%s) order by notification_id"
)


class NotSealed(Exception):
    """No head covers this position yet."""

    def __init__(self, position: int, sealed: int) -> None:
        super().__init__(f"position {position} is not sealed yet; the seal covers {sealed} facts")
        self.position = position
        self.sealed = sealed


@dataclass(frozen=True, slots=True)
class Proof:
    """That a fact is in the log a head was signed over."""

    position: int
    line: bytes
    hashes: list[bytes]
    head: Head


@dataclass(frozen=True, slots=True)
class Extension:
    """That the log a head was signed over begins with its first facts, unchanged."""

    first: int
    hashes: list[bytes]
    head: Head


def line_of(row: Mapping[str, Any]) -> bytes:
    """The canonical line of a stored fact."""
    return canonical_line(
        row["notification_id"],
        row["originator_id"],
        row["originator_version"],
        row["topic"],
        row["state"],
        row["metadata"],
        row["effective_at"],
        row["recorded_at"],
        row["event_id"],
    )


def lines(db: Db, after: int, upto: int, limit: int) -> list[tuple[int, bytes]]:
    """Positions and canonical lines, in the order of the log."""
    # Plain tuples, in binary: dictionaries and hexadecimal digits cost more than the hash.
    with db.connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(FACTS, (after, upto, limit), prepare=True, binary=True)
        return [(row[0], canonical_line(*row)) for row in cursor.fetchall()]


def lines_of(db: Db, subjects: Sequence[str]) -> list[bytes]:
    """The canonical lines of some subjects, in the order of the log."""
    with db.connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(FACTS_OF, (list(subjects),), binary=True)
        return [canonical_line(*row) for row in cursor.fetchall()]


def proof(db: Db, position: int) -> Proof | None:
    """None for a position that is not there. Raises NotSealed, SealBroken."""
    found = lines(db, position - 1, position, 1)
    if not found:
        return None
    head = _covering(db, position)
    hashes = inclusion_proof(
        position - 1, head.size, tiles_for(db, position - 1, head.size - 1).span
    )
    return Proof(position, found[0][1], hashes, head)


def extension(db: Db, first: int) -> Extension:
    """Raises NotSealed, SealBroken."""
    head = _covering(db, first)
    tiles = tiles_for(db, first - 1, head.size - 1)
    return Extension(first, consistency_proof(first, head.size, tiles.span), head)


def _covering(db: Db, position: int) -> Head:
    head = last_head(db)
    if head is None or head.size < position:
        raise NotSealed(position, head.size if head else 0)
    return head


def log_of(db: Db) -> str:
    row = db.execute("select log from seal_log", prepare=True).fetchone()
    assert row is not None
    return str(row["log"])


def keys_of(db: Db) -> list[Key]:
    """The first one first."""
    rows = db.execute("select * from seal_keys order by made_at", prepare=True)
    return [
        Key(r["id"], r["public"], moment(r["made_at"]), r["signed_by"], r["signature"])
        for r in rows
    ]


HEADS: LiteralString = (
    "select seal_log.log::text, number, size, root, sealed_at, previous, key, signature"
    " from seal_heads, seal_log"
)


def last_head(db: Db) -> Head | None:
    row = db.execute(f"{HEADS} order by number desc limit 1", prepare=True).fetchone()
    return head_from_row(row) if row else None


def head_batch(db: Db, after: int = 0, limit: int = 1000) -> list[Head]:
    """The heads after a number, the first one first."""
    query = f"{HEADS} where number > %s order by number limit %s"
    return [head_from_row(row) for row in db.execute(query, (after, limit), prepare=True)]


def heads(db: Db) -> Iterator[Head]:
    """All of them, however many there are."""
    after = 0
    while batch := head_batch(db, after):
        yield from batch
        after = batch[-1].number


def head_from_row(row: Mapping[str, Any]) -> Head:
    return Head(**{**row, "sealed_at": moment(row["sealed_at"])})
