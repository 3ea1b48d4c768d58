"""The seal: a Merkle tree over the log, kept in tiles, and signed heads that link to each other.

Each fact is hashed once, in the order of the log; `audit/` says what is hashed and how it is
proved. A tile only grows, a head is never changed: the database refuses both.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg.rows import tuple_row

from medsales.audit import findings
from medsales.audit.chain import Chain, Witness
from medsales.audit.findings import Finding
from medsales.audit.heads import NOTHING, Head, Key
from medsales.audit.leaf import canonical_line, moment
from medsales.audit.merkle import HASH, full_root, leaf_hash, node_hash, split
from medsales.engine.database import Database, Db
from medsales.engine.sealing_key import SealingKey
from medsales.engine.witness import Ways, head_lines

LOG = logging.getLogger(__name__)
BATCH = 4096
"""Facts that are hashed in one transaction."""
TILE = 256 * HASH
"""Bytes of a full tile."""
SEALING = "select pg_advisory_xact_lock('seal_heads'::regclass::oid::int, 0)"
FACTS = (
    "select notification_id, originator_id, originator_version, topic, state, metadata,"
    " effective_at, recorded_at, event_id::text from facts where notification_id > %s"
    " and notification_id <= %s order by notification_id limit %s"
)
"""What `canonical_line` takes, in its order."""


class SealBroken(Exception):
    """The log is not what was sealed, so nothing more is signed."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.en)
        self.finding = finding


class NotSealed(Exception):
    """No head covers this position yet."""

    def __init__(self, position: int, sealed: int) -> None:
        super().__init__(f"position {position} is not sealed yet; the seal covers {sealed} facts")
        self.position = position
        self.sealed = sealed


class Tile(NamedTuple):
    level: int
    tile: int
    hashes: bytes


class Tiles:
    """The hashes of a tree, as far as tiles of it are at hand."""

    def __init__(self, tiles: Iterable[Tile]) -> None:
        self.tiles: Mapping[tuple[int, int], bytes] = {
            (tile.level, tile.tile): tile.hashes for tile in tiles
        }

    def span(self, start: int, end: int) -> bytes:
        """The root over the leaves from start up to end, as proofs ask for it."""
        size = end - start
        if size & (size - 1) == 0 and start % size == 0:
            level = size.bit_length() - 1
            return self.subtree(level, start >> level)
        middle = start + split(size)
        return node_hash(self.span(start, middle), self.span(middle, end))

    def subtree(self, level: int, index: int) -> bytes:
        """The root of a full subtree. Raises SealBroken where its tile is missing or too short."""
        height, inner = divmod(level, 8)
        first = index << inner
        hashes = self.tiles.get((height, first >> 8), b"")
        start, end = (first & 255) * HASH, ((first & 255) + (1 << inner)) * HASH
        if end > len(hashes):
            raise SealBroken(tile_missing(height, first >> 8))
        return full_root([hashes[at : at + HASH] for at in range(start, end, HASH)])


def tile_missing(level: int, tile: int) -> Finding:
    width = 256 << 8 * level
    return findings.tile_changed(level, tile, tile * width + 1, (tile + 1) * width)


def tiles_for(db: Db, *leaves: int) -> Tiles:
    """All tiles on the way from these leaves (from 0) to the root, in one round trip.

    What proofs need beside the way stands in the same tiles.
    """
    wanted = {(level, leaf >> 8 * (level + 1)) for leaf in leaves for level in range(8)}
    levels, tiles = zip(*wanted, strict=True)
    rows = db.execute(
        "select level, tile, hashes from seal_tiles join"
        " unnest(%s::int[], %s::bigint[]) as wanted (level, tile) using (level, tile)",
        (list(levels), list(tiles)),
        prepare=True,
    )
    return Tiles(Tile(**row) for row in rows)


def edge_of(db: Db) -> dict[int, Tile]:
    """The last tile of each level."""
    rows = db.execute(
        "select last.* from generate_series(0, 7) as levels (level), lateral (select t.level,"
        " t.tile, t.hashes from seal_tiles t where t.level = levels.level"
        " order by t.tile desc limit 1) as last",
        prepare=True,
    )
    return {row["level"]: Tile(**row) for row in rows}


def leaves_in(edge: Mapping[int, Tile]) -> int:
    """How many facts have been hashed."""
    last = edge.get(0)
    return last.tile * 256 + len(last.hashes) // HASH if last else 0


def grown(edge: Mapping[int, Tile], hashes: bytes, level: int = 0) -> Iterator[Tile]:
    """The tiles that are new or longer when these hashes follow at a level."""
    last = edge.get(level, Tile(level, 0, b""))
    if len(last.hashes) == TILE:
        last = Tile(level, last.tile + 1, b"")
    row = last.hashes + hashes
    full: list[bytes] = []
    for n, start in enumerate(range(0, len(row), TILE)):
        tile = Tile(level, last.tile + n, row[start : start + TILE])
        yield tile
        if len(tile.hashes) == TILE:
            full.append(full_root([tile.hashes[at : at + HASH] for at in range(0, TILE, HASH)]))
    if full:
        yield from grown(edge, b"".join(full), level + 1)


def write_tiles(db: Db, tiles: Sequence[Tile]) -> None:
    levels, numbers, hashes = zip(*tiles, strict=True)
    db.execute(
        "insert into seal_tiles (level, tile, hashes)"
        " select * from unnest(%s::int[], %s::bigint[], %s::bytea[])"
        " on conflict (level, tile) do update set hashes = excluded.hashes",
        (list(levels), list(numbers), list(hashes)),
        prepare=True,
    )


# Heads and keys


def log_of(db: Db) -> str:
    row = db.execute("select log from seal_log", prepare=True).fetchone()
    assert row is not None
    return str(row["log"])


def keys_of(db: Db) -> list[Key]:
    rows = db.execute("select * from seal_keys order by made_at", prepare=True)
    return [
        Key(r["id"], r["public"], moment(r["made_at"]), r["signed_by"], r["signature"])
        for r in rows
    ]


def last_head(db: Db) -> Head | None:
    return next(heads_of(db, "true order by number desc limit 1"), None)


def heads_of(db: Db, which: Any, *values: Any) -> Iterator[Head]:
    log = log_of(db)
    rows = db.execute(f"select * from seal_heads where {which}", values).fetchall()  # noqa: S608 - our own words
    for row in rows:
        yield head_from_row(log, row)


def head_from_row(log: str, row: Mapping[str, Any]) -> Head:
    fields = {name: row[name] for name in ("number", "size", "root", "previous", "key")}
    return Head(
        log=log, sealed_at=moment(row["sealed_at"]), signature=row["signature"], **fields
    )
