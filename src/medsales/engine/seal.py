"""The sealer: hashes each new fact once, signs a head over all of them, tells it to those outside.

It signs nothing that does not continue what was sealed before: an edited tree, a log that has
become shorter, or a head that is known outside and missing here, stop it until somebody looks.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from eventsourcing.persistence import PersistenceError

from medsales.audit import findings
from medsales.audit.chain import Chain, Witness
from medsales.audit.findings import Finding
from medsales.audit.heads import NOTHING, Head, Key
from medsales.audit.leaf import moment
from medsales.audit.merkle import leaf_hash
from medsales.engine import witness
from medsales.engine.database import Database, Db
from medsales.engine.sealed import head_batch, keys_of, last_head, lines, log_of
from medsales.engine.sealing_key import SealingKey, existing, key_in, next_to
from medsales.engine.tiles import SealBroken, edge_of, grown, leaves_in, tiles_for, write_tiles

LOG = logging.getLogger(__name__)
BATCH = 4096
"""Facts that are hashed in one transaction."""
ONE_AT_A_TIME = "select pg_advisory_xact_lock('seal_heads'::regclass::oid::int, 0)"
NOW = "select greatest(clock_timestamp(), (select max(sealed_at) from seal_heads)) as now"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sealing:
    """Who signs, how often, and who outside is told."""

    key: Path
    every: float = 5.0
    """Seconds between two heads at least."""
    file: Path | None = None
    webhook: str | None = None
    authority: str | None = None
    """The address of an RFC 3161 authority."""


class OtherKey(Exception):
    """This installation's key is not the one that signs this log."""


class Sealer:
    """Seals the log of one company; any number of these may be at it."""

    def __init__(self, database: Database, sealing: Sealing) -> None:
        self.database = database
        self.sealing = sealing
        self.next_at = 0.0
        self.thread: threading.Thread | None = None
        self.enough = threading.Event()
        self.broken: Finding | None = None
        """Why nothing is signed any more, until somebody has looked."""

    def step(self) -> None:
        """Has what is new sealed, if it is time, in a thread of its own: nobody waits for it."""
        at_it = self.thread is not None and self.thread.is_alive()
        if not at_it and time.monotonic() >= self.next_at:
            self.next_at = time.monotonic() + self.sealing.every
            self.thread = threading.Thread(target=self._step, name="sealer")
            self.thread.start()

    def finish(self) -> None:
        """Lets the thread end after the batch at hand, and waits for it."""
        if self.thread is not None:
            self.enough.set()
            self.thread.join()
            self.enough.clear()

    def _step(self) -> None:
        """Whatever is wrong is told, and tried again at the next step; the log goes on."""
        try:
            self.seal()
            self.broken = None
        except SealBroken as broken:
            self.broken = broken.finding
            LOG.error("sealing %s: %s", self.database.company, broken.finding.en)  # noqa: TRY400 - nobody asks where
        except (PersistenceError, psycopg.Error, OSError, ValueError, OtherKey) as error:
            LOG.warning("sealing %s: %s", self.database.company, " ".join(str(error).split()))
        except Exception:
            LOG.exception("sealing %s", self.database.company)

    def seal(self, progress: Progress = lambda *_: None) -> Head | None:
        """Seals up to the end of the log, now; the last head, none for a log without a fact.

        Raises SealBroken or OtherKey, and then has signed nothing.
        """
        while not self.enough.is_set() and self._grow(progress):
            pass
        with self._alone() as db:
            head = self._sign(db)
        if head is not None:
            self._tell(head)
        return head

    @contextmanager
    def _alone(self) -> Iterator[Db]:
        with self.database.writing() as db:
            db.execute(ONE_AT_A_TIME)
            yield db

    def _grow(self, progress: Progress) -> int:
        """Hashes the next facts; returns how many."""
        with self._alone() as db:
            edge = edge_of(db)
            after = leaves_in(edge)
            found = lines(db, after, 2**62, BATCH)
            for expected, (position, _) in enumerate(found, start=after + 1):
                if position != expected:
                    raise SealBroken(findings.missing(expected, position - 1))
            if found:
                hashes = b"".join(leaf_hash(line) for _, line in found)
                write_tiles(db, list(grown(edge, hashes)))
        progress(after + len(found), after + len(found))
        return len(found)

    def _sign(self, db: Db) -> Head | None:
        last = last_head(db)
        key = self._key(db)
        size = leaves_in(edge_of(db))
        self._continues(db, last, size)
        if size == (last.size if last else 0):
            return last
        root = tiles_for(db, size - 1).span(0, size)
        number, previous = (last.number + 1, last.hash()) if last else (1, NOTHING)
        head = Head(log_of(db), number, size, root, _now(db), previous, key.id)
        head = replace(head, signature=key.sign(head.signed()))
        db.execute(
            "insert into seal_heads values (%s, %s, %s, %s, %s, %s, %s)",
            (number, size, root, head.sealed_at, previous, key.id, head.signature),
        )
        return head

    def _continues(self, db: Db, last: Head | None, size: int) -> None:
        """Raises SealBroken unless the log, the tree and those outside know the last head."""
        in_log = _end_of_log(db)
        if in_log < size:
            raise SealBroken(findings.missing(in_log + 1, size))
        if last is not None:
            chain = Chain(last.log, keys_of(db))
            _raise_first([*chain.check_keys(), *chain.check_alone(last)])
            if size < last.size or tiles_for(db, last.size - 1).span(0, last.size) != last.root:
                raise SealBroken(findings.not_signed_over(1, last.size, last.number))
        if self.sealing.file is not None:
            _raise_first([*_against(db, witness.last_in(self.sealing.file, log_of(db)), last)])
            if last is None:
                self._not_begun_anew(self.sealing.file, log_of(db))

    def _not_begun_anew(self, file: Path, log: str) -> None:
        """Raises SealBroken where this company has another log outside: who can take all heads
        away can also give the log another number."""
        outside = Witness(log, witness.lines_in(file), self.database.company)
        outside_says = list(outside.ended(None))
        _raise_first([one for one in outside_says if one.code == "log.replaced"])

    # Keys

    def _key(self, db: Db) -> SealingKey:
        """The installation's key, which becomes this log's if it has none. Raises OtherKey."""
        key = key_in(self.sealing.key)
        keys = keys_of(db)
        if not keys:
            first = Key(key.id, key.public, _now(db))
            insert_key(db, first)
        elif keys[-1].id != key.id:
            raise OtherKey(
                f"the log of {self.database.company} is sealed with the key {keys[-1].id[:16]}…,"
                f" but {self.sealing.key} holds {key.id[:16]}…"
            )
        return key

    def rotate(self) -> Key:
        """Makes the key that waits beside the present one its successor in this log.

        Harmless when it is so already. Raises OtherKey.
        """
        successor = key_in(next_to(self.sealing.key))
        with self._alone() as db:
            keys = keys_of(db)
            if not keys or keys[-1].id != successor.id:
                present = self._key(db)
                key = Key(successor.id, successor.public, _now(db), present.id)
                text = key.signed(log_of(db))
                both = present.sign(text) + successor.sign(text)
                insert_key(db, replace(key, signature=both))
            return keys_of(db)[-1]

    # Outside

    def _tell(self, head: Head) -> None:
        """Tells those outside who do not know the last head yet; what fails is tried next time."""
        if self.sealing.file is not None:
            self._write_down(self.sealing.file)
        ways = (
            ("webhook", witness.posted, self.sealing.webhook),
            ("timestamp", witness.stamped, self.sealing.authority),
        )
        for way, tell, address in ways:
            if address and not self._told(head, way):
                try:
                    self._remember(head, way, tell(address, head))
                except witness.NotTold as error:
                    LOG.warning("sealing %s: %s", self.database.company, error)

    def _write_down(self, path: Path) -> None:
        """All heads that the file does not have yet."""
        with self._alone() as db:
            known = witness.last_in(path, log_of(db))
            at = known.number if known else 0
            while news := head_batch(db, after=at):
                witness.append(path, news, self.database.company)
                at = news[-1].number

    def _told(self, head: Head, way: str) -> bool:
        with self.database.cursor() as db:
            query = "select from seal_witnesses where head = %s and way = %s"
            return db.execute(query, (head.number, way)).fetchone() is not None

    def _remember(self, head: Head, way: str, answer: bytes) -> None:
        with self.database.writing() as db:
            db.execute(
                "insert into seal_witnesses (head, way, answer) values (%s, %s, %s)"
                " on conflict do nothing",
                (head.number, way, answer),
            )


def _against(db: Db, outside: Head | None, last: Head | None) -> Iterator[Finding]:
    """Whether the last head that is known outside is here as well."""
    if outside is None:
        return
    if last is None or last.number < outside.number:
        at = (last.number, last.size) if last else (0, 0)
        yield findings.cut_off(outside.number, outside.size, outside.sealed_at, *at)
    elif [head.signed() for head in head_batch(db, outside.number - 1, 1)] != [outside.signed()]:
        yield findings.forked(outside.number, outside.size, outside.sealed_at)


def insert_key(db: Db, key: Key) -> None:
    db.execute(
        "insert into seal_keys values (%s, %s, %s, %s, %s)",
        (key.id, key.public, key.made_at, key.signed_by, key.signature),
    )


def take_successor(path: Path) -> None:
    """From now on the key that waits is the one that signs; the one before is gone."""
    existing(next_to(path))
    next_to(path).replace(path)


def _end_of_log(db: Db) -> int:
    row = db.execute("select max(notification_id) as last from facts", prepare=True).fetchone()
    return int((row or {}).get("last") or 0)


def _now(db: Db) -> str:
    row = db.execute(NOW).fetchone()
    assert row is not None
    return moment(row["now"])


def _raise_first(wrong: list[Finding]) -> None:
    if wrong:
        raise SealBroken(wrong[0])
