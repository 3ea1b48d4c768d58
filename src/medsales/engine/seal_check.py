"""Compares a company's log with what was sealed, and names everything that is not the same."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from medsales.audit import findings
from medsales.audit.chain import Chain, Witness
from medsales.audit.comparing import Comparison
from medsales.audit.findings import Finding
from medsales.audit.heads import Head
from medsales.audit.merkle import HASH, full_root
from medsales.engine.database import Database, Db
from medsales.engine.sealed import heads, keys_of, lines, log_of
from medsales.engine.tiles import FULL

BATCH = 4096
"""Facts held in memory at a time."""
HIGHEST = 2**62
"""No log has a position beyond it."""
AT_ONCE = 64
"""Tiles held in memory at a time."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to."""

    findings: list[Finding]
    head: Head | None
    """The last one."""
    facts: int
    """In the log, sealed or not."""


def checked(
    database: Database,
    outside: Iterable[bytes] = (),
    trusted: str | None = None,
    progress: Progress = lambda *_: None,
) -> Checked:
    """Everything is read anew, in one snapshot; `outside` are heads known elsewhere, as lines."""
    with database.get_connection() as conn:
        conn.execute("begin isolation level repeatable read read only")
        try:
            db = conn.cursor()
            witness = Witness(log_of(db), outside, database.company)
            return _checked(db, witness, trusted, progress)
        finally:
            conn.rollback()


def _checked(db: Db, witness: Witness, trusted: str | None, progress: Progress) -> Checked:
    chain = Chain(witness.log, keys_of(db))
    found = list(chain.check_keys(trusted if chain.given else None))
    comparison = Comparison(_all_lines(db), KeptTiles(db).between)
    for head in heads(db):
        found += [*chain.check(head), *witness.check(head)]
        # The size of a forged head is anybody's word.
        if chain.genuine:
            comparison.read(head.size)
            comparison.settle(head)
            progress(comparison.at, comparison.at)
    comparison.follow()
    about_facts = comparison.findings()
    about_facts += [one for one in _doubled(db) if one not in about_facts]
    about_facts += _beside_the_log(db)
    found += [*about_facts, *witness.ended(chain.last)]
    # An edited hash of a fact shows in every tile above it; those are looked at alone.
    found += [] if about_facts else _uneven(db)
    return Checked(found, chain.last, comparison.at)


def _all_lines(db: Db) -> Iterator[bytes]:
    after = 0
    while batch := lines(db, after, HIGHEST, BATCH):
        yield from (line for _, line in batch)
        after = batch[-1][0]


def _beside_the_log(db: Db) -> Iterator[Finding]:
    """Facts where no position is: no reader of the log sees them, but who loads their subject."""
    rows = db.execute(
        "select notification_id as position from facts where notification_id not between 1 and %s"
        " order by 1 limit 1000",
        (HIGHEST,),
    )
    for row in rows:
        yield findings.beside_the_log(row["position"])


def _doubled(db: Db) -> Iterator[Finding]:
    """Positions that two facts have; somebody took the index away that forbids it."""
    rows = db.execute(
        "select notification_id as position from facts group by 1 having count(*) > 1"
        " order by 1 limit 1000"
    )
    for row in rows:
        yield findings.twice(row["position"])


class KeptTiles:
    """The stored hashes of facts, read some tiles at a time."""

    def __init__(self, db: Db) -> None:
        self.db = db
        self.tiles: dict[int, bytes] = {}

    def between(self, first: int, last: int) -> bytes:
        """Of positions that lie in the same tile; fewer where they have not been kept."""
        tile = (first - 1) >> 8
        if tile not in self.tiles:
            rows = self.db.execute(
                "select n as tile, coalesce(hashes, '') as hashes from generate_series(%s::bigint,"
                " %s) n left join seal_tiles on level = 0 and tile = n",
                (tile, tile + AT_ONCE - 1),
                prepare=True,
            )
            self.tiles = {row["tile"]: row["hashes"] for row in rows}
        start = (first - 1) & 255
        return self.tiles[tile][start * HASH : (start + last - first + 1) * HASH]


def _uneven(db: Db) -> Iterator[Finding]:
    """Tiles that do not hold the roots of the tiles below them."""
    level, tile = -1, 0
    while True:
        rows = db.execute(
            "select c.level, c.tile, c.hashes, substr(p.hashes, (c.tile & 255)::int * 32 + 1, 32)"
            " as above from seal_tiles c left join seal_tiles p"
            " on p.level = c.level + 1 and p.tile = c.tile >> 8"
            " where octet_length(c.hashes) = %s and (c.level, c.tile) > (%s, %s)"
            " order by c.level, c.tile limit %s",
            (FULL, level, tile, AT_ONCE),
            prepare=True,
        ).fetchall()
        for row in rows:
            level, tile, hashes = row["level"], row["tile"], row["hashes"]
            if full_root([hashes[at : at + HASH] for at in range(0, FULL, HASH)]) != row["above"]:
                width = 256 << 8 * level
                yield findings.tile_changed(
                    level + 1, tile >> 8, tile * width + 1, (tile + 1) * width
                )
        if len(rows) < AT_ONCE:
            return
