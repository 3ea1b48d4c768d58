"""Writes a log out for an auditor: facts, hashes, heads, keys, digests, and who vouches for it.

Everything is streamed: the memory it takes does not grow with the log.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from medsales.audit.heads import Head
from medsales.audit.leaf import moment
from medsales.audit.manifest import FORMAT, MANIFEST, README, SIGNATURE
from medsales.audit.merkle import HASH, subtrees
from medsales.engine.database import Database, Db
from medsales.engine.projection import Projection
from medsales.engine.seal_check import KeptTiles
from medsales.engine.sealed import heads, keys_of, lines, log_of
from medsales.engine.sealing_key import SealingKey
from medsales.engine.tiles import tiles_for

FILE = 64 << 20
"""Bytes after which a further file of facts is begun."""
BATCH = 4096
"""Facts held in memory at a time."""
Progress = Callable[[int, int], None]


class Occupied(Exception):
    """The folder for an export holds something already."""


@dataclass(frozen=True)
class Export:
    """One export: from which log, into which folder, which positions."""

    database: Database
    folder: Path
    head: Head
    """The log as it is exported: all of the positions, in whole or in part."""
    first: int
    last: int
    written: list[dict[str, Any]] = field(default_factory=list)

    def write(
        self,
        key: SealingKey,
        projections: Mapping[str, Projection],
        version: str,
        progress: Progress = lambda *_: None,
    ) -> None:
        """Raises Occupied, OSError. The manifest comes last: without one it is not whole."""
        if self.folder.exists() and any(self.folder.iterdir()):
            raise Occupied(f"{self.folder} is not empty; an export needs a folder of its own")
        self._verifier()
        with self.database.cursor() as db:
            self._facts(db, progress)
            self._hashes(db)
            self._proof(db)
            self._heads(db)
            self._stamps(db)
        self._read_models(projections)
        self._manifest(key, version)

    # What is in it

    def _facts(self, db: Db, progress: Progress) -> None:
        after = self.first - 1
        while after < self.last:
            with self._file(f"facts/{after + 1:015}.ndjson") as file:
                while after < self.last and file.tell() < FILE:
                    batch = lines(db, after, self.last, BATCH)
                    # A position that is missing is the verifier's to find.
                    file.write(b"".join(line + b"\n" for _, line in batch))
                    after = batch[-1][0] if batch else self.last
                    progress(after - self.first + 1, self.last - self.first + 1)

    def _hashes(self, db: Db) -> None:
        """Of each fact, so that a verifier can name the one that differs."""
        kept = KeptTiles(db)
        with self._file("hashes.bin") as file:
            at = self.first
            while at <= self.last:
                end = min(self.last, ((at - 1) | 255) + 1)
                file.write(kept.between(at, end).ljust((end - at + 1) * HASH, b"\0"))
                at = end + 1

    def _proof(self, db: Db) -> None:
        """What stands before and behind, in as few hashes as lead to the root."""
        size = self.head.size
        tiles = tiles_for(db, self.first - 1, self.last - 1, size - 1)
        before, behind = (
            [[level, tiles.subtree(level, index).hex()] for level, index in subtrees(start, end)]
            for start, end in ((0, self.first - 1), (self.last, size))
        )
        self._json("proof.json", {"before": before, "behind": behind})

    def _heads(self, db: Db) -> None:
        with self._file("heads.ndjson") as file:
            for head in heads(db):
                if head.number <= self.head.number:
                    file.write(head.line())
        self._json("keys.json", [key.as_json() for key in keys_of(db)])

    def _stamps(self, db: Db) -> None:
        """The answers of timestamp authorities, each beside the text that was stamped."""
        by_number = {
            row["head"]: row["answer"]
            for row in db.execute(
                "select head, answer from seal_witnesses where way = 'timestamp' and head <= %s"
                " order by head desc limit 1000",
                (self.head.number,),
            )
        }
        for head in heads(db) if by_number else ():
            if head.number in by_number:
                with self._file(f"stamps/{head.number}.tsr") as file:
                    file.write(by_number[head.number])
                with self._file(f"stamps/{head.number}.txt") as file:
                    file.write(head.signed())

    def _read_models(self, projections: Mapping[str, Projection]) -> None:
        """Count and digest of every table, all at one moment."""
        with self.database.reading() as db:
            reached = {
                row["name"]: row["position"] for row in db.execute("select * from positions")
            }
            told = [
                {"read_model": name, "position": reached[name], **digest(db.connection, row.table)}
                for name, projection in projections.items()
                if name in reached
                for row in projection.rows
            ]
        self._json("read_models.json", told)

    def _verifier(self) -> None:
        """The program that checks it, for whoever trusts this copy of it."""
        with self._file("verifier/medsales/__init__.py"):
            pass  # so that it is found before a medsales that is installed
        for source in sorted(_sources(), key=lambda one: one.name):
            with self._file(f"verifier/medsales/audit/{source.name}") as file:
                file.write(source.read_bytes())
        with self._file("README.txt") as file:
            file.write(README.encode())

    def _manifest(self, key: SealingKey, version: str) -> None:
        with self.database.cursor() as db:
            log = log_of(db)
        manifest = {
            "format": FORMAT,
            "log": log,
            "company": self.database.company,
            "made_at": moment(datetime.now(UTC)),
            "made_by": f"medsales {version}",
            "first": self.first,
            "last": self.last,
            "head": self.head.as_json(),
            "key": key.id,
            "files": self.written,
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1).encode()
        (self.folder / SIGNATURE).write_text(f"{key.sign(text).hex()}\n")
        (self.folder / MANIFEST).write_bytes(text)

    # How it is written

    def _json(self, name: str, told: object) -> None:
        with self._file(name) as file:
            file.write(json.dumps(told, ensure_ascii=False, indent=1).encode())

    @contextmanager
    def _file(self, name: str) -> Iterator["Hashed"]:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            hashed = Hashed(file)
            yield hashed
        self.written.append(
            {"name": name, "bytes": hashed.size, "sha256": hashed.digest.hexdigest()}
        )


class Hashed:
    """A file that is hashed while it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = 0
        self.digest = sha256()

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.digest.update(data)
        self.size += len(data)

    def tell(self) -> int:
        return self.size


def digest(conn: Connection[Any], table: str) -> dict[str, Any]:
    """How many rows a table has, and SHA-256 over them; `psql` and `sha256sum` come to the same."""
    rows, found = 0, sha256()
    query = 'copy (select to_jsonb(t)::text collate "C" from {} t order by 1) to stdout'
    with conn.cursor() as db, db.copy(SQL(query).format(Identifier(table))) as blocks:
        for block in blocks:
            found.update(block)
            rows += bytes(block).count(b"\n")
    return {"table": table, "rows": rows, "sha256": found.hexdigest()}


def _sources() -> Iterator[Any]:
    for source in files("medsales.audit").iterdir():
        if source.name.endswith(".py"):
            yield source
