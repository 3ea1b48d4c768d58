"""The past: what read models said at a moment, folded anew from the facts for one question.

A question about the past runs the same SQL as the one about now. For it alone, the rows it reads
are folded with the same handlers into temporary tables with the same names, in a transaction that
is rolled back. The search path of that transaction holds nothing else: a table that was not made
for the question is an error, never a row of the present among those of the past.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString, TypeAlias, TypeVar

from psycopg import ServerCursor
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from medsales.domain.kernel import Aggregate
from medsales.engine import parking
from medsales.engine.database import Database, Db
from medsales.engine.facts import STORED, Fact
from medsales.engine.garbage import undisturbed
from medsales.engine.mentions import mentioned
from medsales.engine.projection import (
    Batch,
    Projection,
    Row,
    copy_new,
    fold,
    sql_type,
    write,
)

A = TypeVar("A", bound=Aggregate)

CHUNK = 2000
"""Facts held in memory at a time, where a question is about everything."""
TEMPORARY = "pg_temp"


@dataclass(frozen=True)
class Moment:
    """What had been recorded up to a position, and of that what had taken effect by a time."""

    position: int
    effective_at: datetime | None = None

    def condition(self, position: LiteralString = "notification_id") -> Composed:
        """With an effective time, facts are taken in the order in which they took effect."""
        known = SQL("{} <= {}").format(Identifier(position), Literal(self.position))
        if self.effective_at is None:
            return known
        return known + SQL(" and effective_at <= {}").format(Literal(self.effective_at))

    def order(self) -> SQL:
        if self.effective_at is None:
            return SQL("originator_id, originator_version")
        return SQL("originator_id, effective_at, notification_id")


@dataclass(frozen=True)
class Scope:
    """What a question reads, and whose facts tell it; with no more than rows, everybody's."""

    rows: tuple[type[Row], ...] = ()
    """Folded from facts."""
    mentioned_by: tuple[str, ...] = ()
    """Subjects of these kinds that name the subject of the question matter, too."""
    mentions: tuple[str, ...] = ()
    """So do those of these kinds whom all these facts name."""
    each: str = ""
    """A list of this kind: as many as a page needs are folded, one after the other."""
    ledgers: tuple[type[Row], ...] = ()
    """Rows that are never changed: their past is the part up to the moment."""
    sums: Mapping[type[Row], LiteralString] = field(default_factory=dict)
    """Rows that are sums of a ledger, and how they are summed."""
    named_in: LiteralString = ""
    """A query of the ledger for the subjects whose rows are folded."""


def at_time(db: Db, moment: datetime) -> int:
    """The last position that was recorded at or before a time.

    Found by halving: the clock of the log never runs backwards, and its positions have no gaps.
    """
    row = db.execute(HALVING, {"moment": moment}).fetchone()
    assert row is not None
    return int(row["position"])


def time_of(db: Db, position: int) -> datetime:
    """When a fact was recorded; before the first one, when that was, or now if there is none."""
    query = """
        select coalesce((select recorded_at from facts where notification_id = %s), now()) as at
    """
    row = db.execute(query, (max(position, 1),)).fetchone()
    assert row is not None
    at: datetime = row["at"]
    return at


HALVING = """
    with recursive search(low, high) as (
        select 0::bigint, coalesce(max(notification_id), 0) from facts
        union all
        select case when f.recorded_at <= %(moment)s then middle else low end,
            case when f.recorded_at <= %(moment)s then high else middle - 1 end
        from search, lateral (select (low + high + 1) / 2 as middle) as half
            join lateral (select recorded_at from facts where notification_id = middle) as f on true
        where low < high
    )
    select low as position from search where low = high
"""


@contextmanager
def past(
    database: Database, projections: Iterable[Projection], moment: Moment, scope: Scope
) -> Iterator["Past"]:
    """One transaction in which the tables of a scope are those of the moment, still empty.

    Nothing of it is prepared: a statement prepared for the present must not run here.
    """
    with database.get_connection() as conn:
        threshold, conn.prepare_threshold = conn.prepare_threshold, None
        try:
            db = conn.cursor()
            db.execute(SQL(BEGIN).format(Identifier(database.schema, "positions")))
            folding = [p for p in projections if not set(p.rows).isdisjoint(scope.rows)]
            skipped = passed_over(db, folding)
            then = Past(db, database.schema, folding, skipped, moment, scope)
            db.execute(then.opening())
            yield then
        finally:
            conn.rollback()
            conn.prepare_threshold = threshold


PassedOver: TypeAlias = Mapping[str, parking.Skipped]
"""What each read model could not take in."""


def passed_over(db: Db, projections: Iterable[Projection]) -> PassedOver:
    return {each.name: parking.skipped(db, each.name) for each in projections}


def folded(
    projections: Sequence[Projection], skipped: PassedOver, facts: Sequence[Fact[Any]]
) -> Batch:
    """What facts do to the rows of those read models that could take them in."""
    batch = fold([each for each in projections if not skipped[each.name]], facts)
    for each in projections:
        if skip := skipped[each.name]:
            batch |= fold([each], skip.left(facts))
    return batch


BEGIN = """
    begin isolation level repeatable read;
    lock table {} in access share mode;
    set local jit to off
"""
"""Whoever swaps tables in waits for us, or we for him."""


@dataclass(frozen=True)
class Past:
    """The tables of one question, to be filled with the rows of its moment."""

    db: Db
    schema: str
    projections: Sequence[Projection]
    """Those that make the rows."""
    skipped: PassedOver
    moment: Moment
    scope: Scope
    taken_in: set[str] = field(default_factory=set)

    def opening(self) -> Composed:
        """Sent in one go."""
        alone = SQL("set local search_path to pg_temp")
        tables = [_table(row) for row in self.scope.rows]
        ledgers = [self._ledger(row) for row in self.scope.ledgers]
        sums = [_view(row, SQL(query)) for row, query in self.scope.sums.items()]
        return SQL("; ").join([alone, *tables, *ledgers, *sums])

    def _ledger(self, row: type[Row]) -> Composed:
        lines = SQL("select * from {} where {}").format(
            Identifier(self.schema, row.table), self.moment.condition("position")
        )
        return _view(row, lines)

    def fill(self, about: Sequence[str], given: Mapping[str, Any]) -> None:
        """Fills the tables for a question, about some subjects or about everything."""
        if self.scope.named_in:
            rows = self.db.execute(SQL(self.scope.named_in), given).fetchall()
            self.take_in([row["subject"] for row in rows])
        elif about:
            self.take_in(about)
        elif self.scope.rows and not self.scope.each:
            self._take_in_everything()

    def take_in(self, about: Sequence[str]) -> None:
        """The rows of some subjects, and of those near to them."""
        near = {*about, *self._mentioning(about)} - self.taken_in
        with undisturbed():
            facts = self._facts_of(near, about)
            named = {id for fact in facts for id in self._far(fact)} - near - self.taken_in
            facts += self._facts_of(named) if named else []
            self.taken_in.update(near, named)
            copy_new(self.db, TEMPORARY, self._folded(facts))

    def clear(self) -> None:
        self.taken_in.clear()
        tables = [Identifier(TEMPORARY, row.table) for row in self.scope.rows]
        self.db.execute(SQL("truncate ") + SQL(", ").join(tables))

    def following(self, after: str, about: str | None, count: int) -> list[str]:
        """The next subjects of the scope's kind that had begun by the moment, by their ids."""
        query = FOLLOWING if about is None else FOLLOWING_ABOUT
        rows = self.db.execute(
            query.format(
                facts=Identifier(self.schema, "facts"), mention=Identifier(self.schema, "mention")
            ),
            {
                "after": after,
                "about": about,
                "kind": f"{self.scope.each}:%",
                "position": self.moment.position,
                "count": count,
            },
        ).fetchall()
        return [row["id"] for row in rows]

    def _mentioning(self, about: Sequence[str]) -> list[str]:
        if not self.scope.mentioned_by:
            return []
        query = MENTIONING.format(
            facts=Identifier(self.schema, "facts"), mention=Identifier(self.schema, "mention")
        )
        kinds, position = list(self.scope.mentioned_by), self.moment.position
        return [row["id"] for row in self.db.execute(query, (list(about), position, kinds))]

    def _far(self, fact: Fact[Any]) -> Iterator[str]:
        if self.scope.mentions:
            kinds = self.scope.mentions
            yield from (id for id in mentioned(fact.event) if id.partition(":")[0] in kinds)

    def _facts_of(self, subjects: Iterable[str], whole: Iterable[str] = ()) -> list[Fact[Any]]:
        """Of whole streams all facts: whom they name may matter, although no row follows."""
        of = SQL("originator_id = any({}) and ({} or originator_id = any({}))").format(
            Literal(list(subjects)), self._handled(), Literal(list(whole))
        )
        with self.db.connection.cursor(row_factory=tuple_row) as found:
            return [Fact(row) for row in found.execute(self._facts(of))]

    def _handled(self) -> Composed:
        """Other facts change none of the rows."""
        names = sorted({name for each in self.projections for name in each.handlers})
        return SQL("topic = any({})").format(Literal(names))

    def _facts(self, condition: Composable) -> Composed:
        return SQL("select {} from {} where {} and {} order by {}").format(
            SQL(STORED),
            Identifier(self.schema, "facts"),
            condition,
            self.moment.condition(),
            self.moment.order(),
        )

    def _folded(self, facts: Sequence[Fact[Any]]) -> Batch:
        batch = folded(self.projections, self.skipped, facts)
        return {row: changes for row, changes in batch.items() if row in self.scope.rows}

    def _take_in_everything(self) -> None:
        """Stream by stream: rows belong to one, except those that are shared and only add up."""
        for facts in self._streams():
            batch = self._folded(facts)
            copy_new(self.db, TEMPORARY, {row: batch[row] for row in batch if not row.shared})
            write(self.db, TEMPORARY, {row: batch[row] for row in batch if row.shared})

    def _streams(self) -> Iterator[list[Fact[Any]]]:
        """Whole streams, about so many facts at a time."""
        some: list[Fact[Any]] = []
        with ServerCursor(self.db.connection, "everything", row_factory=tuple_row) as found:
            found.itersize = CHUNK
            for row in found.execute(self._facts(self._handled())):
                fact: Fact[Any] = Fact(row)
                if len(some) >= CHUNK and fact.subject != some[-1].subject:
                    yield some
                    some = []
                some.append(fact)
        yield some


MENTIONING = SQL("""
    select distinct f.id from {mention} m cross join lateral (
        select originator_id as id from {facts} where notification_id = m.position offset 0
    ) as f
    where m.subject = any(%s) and m.position <= %s and split_part(f.id, ':', 1) = any(%s)
""")
"""`offset 0` keeps it to one look at the log per mention, whatever the statistics say."""

FOLLOWING = SQL("""
    select originator_id as id from {facts}
    where originator_id > %(after)s and originator_version = 1 and originator_id like %(kind)s
        and notification_id <= %(position)s
    order by originator_id limit %(count)s
""")

FOLLOWING_ABOUT = SQL("""
    select distinct f.id from {mention} m cross join lateral (
        select originator_id as id from {facts} where notification_id = m.position offset 0
    ) as f
    where m.subject = %(about)s and m.position <= %(position)s
        and f.id > %(after)s and f.id like %(kind)s
    order by f.id limit %(count)s
""")


def _table(row: type[Row]) -> Composed:
    """Shared rows come in several parts, which are added up by their key."""
    columns = [
        SQL("{} {}").format(Identifier(name), SQL(sql_type(info.annotation)))
        for name, info in row.model_fields.items()
    ]
    if row.shared:
        key = SQL(", ").join(map(Identifier, row.key))
        columns.append(SQL("primary key ({})").format(key))
    return SQL("create temp table {} ({})").format(Identifier(row.table), SQL(", ").join(columns))


def _view(row: type[Row], query: Composable) -> Composed:
    return SQL("create temp view {} as {}").format(Identifier(row.table), query)


# The state of one aggregate -----------------------------------------------------------------------


def state_at(db: Db, kind: type[A], id: str, moment: Moment) -> A | None:
    """What an aggregate was at a moment; None before its first fact.

    A fact that took effect before another one it builds on waits for that one.
    """
    events = [fact.event for fact in facts_at(db, id, moment)]
    return _built(kind(), events) if events else None


def facts_at(db: Db, id: str, moment: Moment) -> list[Fact[Any]]:
    """What had happened to an aggregate by a moment, in order."""
    query = SQL("select {} from facts where originator_id = {} and {} order by {}").format(
        SQL(STORED), Literal(id), moment.condition(), moment.order()
    )
    with db.connection.cursor(row_factory=tuple_row) as found:
        return [Fact[Any](row) for row in found.execute(query)]


def _built(state: A, events: list[Any]) -> A:
    waiting = events
    while waiting:
        events, waiting = waiting, []
        for event in events:
            try:
                state = event.apply(state)
            except LookupError:
                waiting.append(event)
        if len(waiting) == len(events):
            break
    return state
