"""Keeps read models at the end of the log: batches of facts, rows and position together."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Identifier

from medsales.engine.database import Database, Db
from medsales.engine.log import Selection, facts
from medsales.engine.projection import (
    Projection,
    Row,
    create_tables,
    drop_tables,
    fold,
    write,
)

BATCH = 2000
"""Facts per transaction; what is held in memory at a time."""

Progress = Callable[[int, int], None]
"""Told how far a long task has come: facts done, facts in all."""


class NotYet(Exception):
    """A read model has not reached the position that the reader asked for."""

    def __init__(self, name: str, wanted: int, reached: int) -> None:
        super().__init__(f"{name} has reached position {reached}, not yet {wanted}")
        self.lag = wanted - reached


@dataclass(frozen=True)
class Difference:
    """What `verify` found wrong in one table: rows that are stored, rows the facts tell of."""

    table: str
    stored_only: list[dict[str, Any]]
    told_only: list[dict[str, Any]]
    stored_count: int
    told_count: int


class Follower:
    """Feeds several projections of one company from one read of its log."""

    def __init__(self, database: Database, projections: Sequence[type[Projection]]) -> None:
        self.database = database
        self.projections = {kind.name: kind() for kind in projections}
        # Not the schema of any company: "x_shadow" may well be the name of another one.
        self.shadow = f"shadow_of_{database.schema}"

    def prepare(self) -> None:
        """Makes missing tables; read models whose code has changed are built anew."""
        with self.database.writing() as db:
            db.execute("select pg_advisory_xact_lock('positions'::regclass::oid::int, 2)")
            known = {r["name"]: r["fingerprint"] for r in db.execute("select * from positions")}
            for name, projection in self.projections.items():
                if name not in known:
                    create_tables(db, self.database.schema, type(projection))
                    _start_at_zero(db, projection)
        changed = [
            name
            for name, projection in self.projections.items()
            if known.get(name, projection.fingerprint()) != projection.fingerprint()
        ]
        if changed:
            self.rebuild(changed)

    def step(self) -> int:
        """Brings the hindmost projections forward by one batch; returns the facts scanned.

        The positions are locked first: a second follower waits here and then finds the work done.
        """
        if not self._has_news():
            return 0
        with self.database.following() as db:
            reached = _positions(db, self.projections, lock=True)
            low = min(reached.values())
            behind = [self.projections[name] for name, at in reached.items() if at == low]
            next_stop = min((at for at in reached.values() if at > low), default=None)
            news = facts(db, Selection(after=low, upto=next_stop), BATCH)
            if news:
                write(db, self.database.schema, fold(behind, news))
                _advance(db, [projection.name for projection in behind], news[-1].position)
        return len(news)

    def _has_news(self) -> bool:
        with self.database.cursor() as db:
            row = db.execute(
                "select coalesce((select max(notification_id) from facts), 0)"
                " > (select min(position) from positions where name = any(%s)) as news",
                (list(self.projections),),
                prepare=True,
            ).fetchone()
        return bool(row and row["news"])

    def catch_up(self) -> None:
        """Projects until nothing waits."""
        while self.step():
            pass

    def positions(self) -> dict[str, int]:
        """How far each projection has come."""
        with self.database.cursor() as db:
            return _positions(db, self.projections)

    def wait_for(self, name: str, position: int, timeout: float) -> None:
        """Returns when the read model shows everything up to a position. Raises NotYet."""
        deadline = time.monotonic() + timeout
        while (reached := self.positions().get(name, 0)) < position:
            if time.monotonic() > deadline:
                raise NotYet(name, position, reached)
            time.sleep(0.003)

    def rebuild(self, names: Iterable[str], progress: Progress = lambda *_: None) -> None:
        """Builds read models anew beside the old ones, which serve until the swap."""
        chosen = [self.projections[name] for name in names]
        with self._shadow(chosen) as reached:
            self._fill_shadow(chosen, reached, None, progress)
            with self.database.writing() as db:
                live = _positions(db, [projection.name for projection in chosen], lock=True)
                self._fill_shadow(chosen, reached, max(live.values()), progress)
                for projection in chosen:
                    self._swap(db, projection, reached.position)

    def verify(
        self, names: Iterable[str], progress: Progress = lambda *_: None
    ) -> list[Difference]:
        """Recomputes read models from the facts and compares them with the stored rows.

        The stored ones stand still only for the comparison, not while the facts are replayed.
        """
        chosen = [self.projections[name] for name in names]
        found: list[Difference] = []
        with self._shadow(chosen) as reached:
            self._fill_shadow(chosen, reached, min(self.positions().values()), progress)
            with self.database.writing() as db:
                for projection in chosen:
                    upto = _positions(db, [projection.name], lock=True)[projection.name]
                    self._fill_shadow([projection], _Reached(reached.position), upto, progress)
                    found += [self._compare(db, row) for row in projection.rows]
        found.append(self._beyond_the_log(chosen))
        return [
            difference for difference in found if difference.stored_only or difference.told_only
        ]

    def _beyond_the_log(self, chosen: Sequence[Projection]) -> Difference:
        """Such a read model will miss the facts that come next: the log was set back, not it."""
        with self.database.cursor() as db:
            rows = db.execute(
                "select name, position, head from positions,"
                " (select coalesce(max(notification_id), 0) as head from facts) as log"
                " where name = any(%s) and position > head order by name",
                ([projection.name for projection in chosen],),
            ).fetchall()
        return Difference("positions", rows, [], len(rows), 0)

    @contextmanager
    def _shadow(self, chosen: Sequence[Projection]) -> Iterator["_Reached"]:
        with self.database.get_connection() as conn:
            # One at a time; the lock goes with the connection when the process dies.
            conn.execute("select pg_advisory_lock('positions'::regclass::oid::int, 3)")
            try:
                conn.execute(
                    SQL("drop schema if exists {} cascade").format(Identifier(self.shadow))
                )
                conn.execute(SQL("create schema {}").format(Identifier(self.shadow)))
                for projection in chosen:
                    create_tables(conn.cursor(), self.shadow, type(projection))
                yield _Reached(0)
            finally:
                conn.execute(
                    SQL("drop schema if exists {} cascade").format(Identifier(self.shadow))
                )
                conn.execute("select pg_advisory_unlock('positions'::regclass::oid::int, 3)")

    def _fill_shadow(
        self,
        chosen: Sequence[Projection],
        reached: "_Reached",
        upto: int | None,
        progress: Progress,
    ) -> None:
        while True:
            with self.database.writing() as db:
                news = facts(db, Selection(after=reached.position, upto=upto), BATCH)
                write(db, self.shadow, fold(chosen, news))
            if not news:
                return
            reached.position = news[-1].position
            progress(reached.position, upto or reached.position)

    def _swap(self, db: Db, projection: Projection, position: int) -> None:
        drop_tables(db, self.database.schema, type(projection))
        for row in projection.rows:
            db.execute(
                SQL("alter table {} set schema {}").format(
                    Identifier(self.shadow, row.table), Identifier(self.database.schema)
                )
            )
        _start_at_zero(db, projection)
        _advance(db, [projection.name], position)

    def _compare(self, db: Db, row: type[Row]) -> Difference:
        stored, told = (
            Identifier(self.database.schema, row.table),
            Identifier(self.shadow, row.table),
        )
        missing = SQL("select * from {} except select * from {} limit 20")
        count = SQL("select count(*) as n from {}")
        return Difference(
            row.table,
            db.execute(missing.format(stored, told)).fetchall(),
            db.execute(missing.format(told, stored)).fetchall(),
            _number(db, count.format(stored)),
            _number(db, count.format(told)),
        )


@dataclass
class _Reached:
    position: int


def _positions(db: Db, names: Iterable[str], *, lock: bool = False) -> dict[str, int]:
    query = "select name, position from positions where name = any(%s) order by name"
    rows = db.execute(query + (" for update" if lock else ""), (list(names),), prepare=True)
    return {row["name"]: row["position"] for row in rows}


def _start_at_zero(db: Db, projection: Projection) -> None:
    db.execute(
        "insert into positions (name, fingerprint) values (%s, %s)"
        " on conflict (name) do update set fingerprint = excluded.fingerprint",
        (projection.name, projection.fingerprint()),
    )


def _advance(db: Db, names: Sequence[str], position: int) -> None:
    db.execute(
        "update positions set position = %s where name = any(%s)",
        (position, list(names)),
        prepare=True,
    )


def _number(db: Db, query: Any) -> int:
    row = db.execute(query).fetchone()
    assert row is not None
    return int(row["n"])
