"""The stored tree: tiles of 256 hashes per level, enough for any proof in a handful of rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from medsales.audit import findings
from medsales.audit.findings import Finding
from medsales.audit.merkle import HASH, full_root, node_hash, split
from medsales.engine.database import Db

FULL = 256 * HASH
"""Bytes of a full tile."""


class SealBroken(Exception):
    """Something is not what was sealed, so nothing more is signed or proved."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.en)
        self.finding = finding


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
            raise SealBroken(_missing(height, first >> 8))
        return full_root([hashes[at : at + HASH] for at in range(start, end, HASH)])


def _missing(level: int, tile: int) -> Finding:
    width = 256 << 8 * level
    return findings.tile_changed(level, tile, tile * width + 1, (tile + 1) * width)


def tiles_for(db: Db, *leaves: int) -> Tiles:
    """All tiles on the way from these leaves (from 0) to the root, in one round trip.

    What proofs need beside the way stands in the same tiles.
    """
    wanted = {(level, leaf >> 8 * (level + 1)) for leaf in leaves for level in range(8)}
    levels, tiles = zip(*wanted, strict=True)
    rows = db.execute(
        # The limit has each tile looked up by its key, however long the table is.
        "select wanted.*, hashes from unnest(%s::int[], %s::bigint[]) as wanted (level, tile),"
        " lateral (select t.hashes from seal_tiles t where t.level = wanted.level"
        " and t.tile = wanted.tile limit 1) as found",
        (list(levels), list(tiles)),
        prepare=True,
        binary=True,
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
    if len(last.hashes) == FULL:
        last = Tile(level, last.tile + 1, b"")
    row = last.hashes + hashes
    full: list[bytes] = []
    for n, start in enumerate(range(0, len(row), FULL)):
        tile = Tile(level, last.tile + n, row[start : start + FULL])
        yield tile
        if len(tile.hashes) == FULL:
            full.append(full_root([tile.hashes[at : at + HASH] for at in range(0, FULL, HASH)]))
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
