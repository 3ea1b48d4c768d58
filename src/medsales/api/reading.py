"""Questions over HTTP: one snapshot, the position it shows, and lists that page by key.

A file of questions says which read model answers, and asks it:

    router = APIRouter(tags=["stock"])
    Stock = Annotated[Reading, reader(StockPicture)]

    @router.get("/on-hand")
    def on_hand(stock: Stock, paging: Paging, place: str) -> Page[OnHand]:
        return stock.page(
            OnHand, paging, "select * from on_hand where place = %(place)s", place=place
        )

    @router.get("/products/{id}/on-hand")
    def product(stock: Stock, id: str) -> OnHand:
        return stock.one(OnHand, "select * from on_hand where product = %(id)s", id=id)

    @router.get("/stock-value")
    def value(stock: Stock) -> Valued:
        with stock.snapshot() as db:
            return stock_value(db)

List the router in `QUESTIONS` in main.py. Everybody with a token may ask; `dependencies=[...]` of
the router narrows that.

Every question can be asked of the past (`as_of`, or `recorded_by` and `effective_at`): the same SQL
runs over rows folded from the facts up to then. Without more words that takes every fact the read
model knows. A `Scope` says whose facts are enough, and is written beside the question:

    CARD = Scope((OnHand,), mentioned_by=("order",))

    with stock.snapshot(CARD, id) as db: ...
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, Generic, Literal, LiteralString, NamedTuple, TypeVar

import anyio
import anyio.to_thread
from eventsourcing.persistence import ProgrammingError
from fastapi import Depends, Query, Response
from psycopg.sql import SQL, Composable, Composed, Identifier, Placeholder
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from medsales.api.auth import Caller
from medsales.api.commands import Moment as Time
from medsales.api.problems import Trouble, invalid
from medsales.company import Company
from medsales.domain.values import day_in_china
from medsales.engine.database import Db
from medsales.engine.follower import NotYet
from medsales.engine.mentions import Mentions
from medsales.engine.past import Moment, Past, Scope, at_time, past, time_of
from medsales.engine.projection import Projection, Row

T = TypeVar("T", bound=BaseModel)
A = TypeVar("A")

POSITION = "Medsales-Position"
MOST = 2**63 - 1
MANY = 1000
"""Subjects that are folded at a time, where few of them are what was asked for."""
Position = Annotated[int, Field(ge=0, le=MOST)]
WAITERS = anyio.CapacityLimiter(100)
"""Readers that wait have threads of their own, so that commands never queue behind them."""


class Page(BaseModel, Generic[T]):
    """A part of a list, in the order of its key."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[T]
    next: str | None
    """Give it as `after` to get the following page; null on the last one."""
    position: int
    """What had been recorded up to this position is in the list."""


class Place(BaseModel):
    """Where in a list somebody reads on."""

    limit: int
    after: str | None

    def key(self, kind: type[BaseModel], by: tuple[str, ...]) -> tuple[Any, ...] | None:
        """The values the page begins after. Raises Trouble 422 for what is no cursor of ours."""
        if self.after is None:
            return None
        try:
            text = urlsafe_b64decode(self.after + "=" * (-len(self.after) % 4))
            key = _keys(kind, by).validate_json(text)
        except (ValidationError, ValueError) as error:
            raise NO_CURSOR from error
        if b"\\u0000" in text:
            raise NO_CURSOR
        return tuple(str(part) if isinstance(part, str) else part for part in key[1:])


async def place(
    limit: Annotated[int, Query(ge=1, le=1000, description="Items per page at most.")] = 100,
    after: Annotated[
        str | None, Query(max_length=4000, description="`next` of the page before.")
    ] = None,
) -> Place:
    return Place(limit=limit, after=after)


Paging = Annotated[Place, Depends(place)]


TIMES: TypeAdapter[datetime] = TypeAdapter(Time)
"""A question has the same calendar as a command."""


def _position_or_time(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        if given.isdecimal() and int(given) <= MOST:
            return int(given)
        return TIMES.validate_python(datetime.fromisoformat(given))
    except (ValueError, OverflowError):
        pass
    raise ValueError(
        "write a position, or a time with its zone, from 1900 to 9999-12-30: 2026-01-31T08:30:00Z"
    )


PositionOrTime = Annotated[int | datetime, BeforeValidator(_position_or_time)]


class When(NamedTuple):
    """Of which moment somebody asks: recorded by then, and in effect by then."""

    recorded_by: int | datetime | None
    effective_at: datetime | None

    def __bool__(self) -> bool:
        return self != (None, None)

    def moment(self, company: Company, now: int, at_least: int = 0) -> Moment:
        """Raises Trouble 422 for a position that nothing has been recorded at yet."""
        head = company.log.head()
        position = now if self.recorded_by is None else self.recorded_by
        if isinstance(position, datetime):
            with company.database.cursor() as db:
                position = at_time(db, position)
        if position > head:
            raise _beyond_the_log(position, head)
        if position < at_least:
            raise _too_early(position, at_least)
        return Moment(position, self.effective_at)

    def time(self, db: Db, moment: Moment) -> datetime:
        """When the moment was, for what depends on a day."""
        if isinstance(self.recorded_by, datetime):
            return self.effective_at or self.recorded_by
        return self.effective_at or time_of(db, moment.position)


async def when(
    as_of: Annotated[
        PositionOrTime | None,
        Query(description="Answer as then: a position of the log, or a time."),
    ] = None,
    recorded_by: Annotated[
        PositionOrTime | None,
        Query(description="The same as `as_of`, beside `effective_at`."),
    ] = None,
    effective_at: Annotated[
        Time | None,
        Query(description="Only what had taken effect by then, in the order it did."),
    ] = None,
) -> When:
    if as_of is not None and recorded_by is not None:
        raise invalid([(("recorded_by",), "says the same as `as_of`; give one of them")])
    return When(recorded_by if as_of is None else as_of, effective_at)


Asked = Annotated[When, Depends(when)]


def _beyond_the_log(position: int, head: int) -> Trouble:
    return Trouble(
        422,
        "position.not_recorded",
        f"nothing has been recorded at position {position} yet; the log ends at {head}",
        f"位置 {position} 尚无记录；日志止于 {head}",
    )


def _too_early(position: int, at_least: int) -> Trouble:
    return Trouble(
        422,
        "position.before_min_position",
        f"an answer as of position {position} cannot show what was recorded at {at_least}",
        f"截至位置 {position} 的答案无法包含位置 {at_least} 的记录",
    )


class Reading:
    """One read model of the caller's company, at least as far as the caller asked for, or as it
    was at a moment."""

    def __init__(
        self,
        company: Company,
        name: str | None,
        response: Response,
        moment: Moment | None = None,
        asked: When | None = None,
    ) -> None:
        self.asked = asked
        self.company = company
        self.name = name
        self.response = response
        self.moment = moment
        self.position = 0
        self._past: Past | None = None

    def one(
        self,
        kind: type[T],
        query: LiteralString,
        scope: Scope | None = None,
        about: str | None = None,
        *,
        otherwise: Trouble | None = None,
        **given: Any,
    ) -> T:
        """The row that the query finds. Raises Trouble 404, or what is given, if there is none."""
        if self.moment:
            rows = self._past_rows(SQL(query), given, scope or self._read_by(query), about)
        else:
            rows = self._rows(SQL(query), SQL(""), given)
        if not rows:
            raise otherwise or Trouble(404, "row.unknown", "there is no such thing", "没有找到")
        return kind.model_validate(rows[0])

    def page(
        self,
        kind: type[T],
        paging: Place,
        query: LiteralString,
        scope: Scope | None = None,
        about: str | None = None,
        *,
        by: tuple[str, ...] = (),
        newest_first: bool = False,
        **given: Any,
    ) -> Page[T]:
        """The rows of a query, a page at a time, by columns that are unique and never null.

        Without `by` that is the key of the row model.
        """
        columns = by or kind.key  # type: ignore[attr-defined]
        start = paging.key(kind, columns) or ()
        order = _order(columns, newest_first)
        statement = SQL("select * from ({}) as q {} {} limit %(limit)s").format(
            SQL(query), _beyond(columns, newest_first) if start else SQL(""), order
        )
        values = {f"after_{n}": value for n, value in enumerate(start)}
        all_given = {**given, **values, "limit": paging.limit + 1}
        if self.moment:
            chosen = scope or self._read_by(query)
            rows = self._past_rows(statement, all_given, chosen, about, str((*start, "")[0]))
        else:
            rows = self._rows(statement, order, all_given)
        items = [kind.model_validate(row) for row in rows[: paging.limit]]
        more = len(rows) > paging.limit
        return Page[kind](  # type: ignore[valid-type]
            items=items,
            next=_cursor(items[-1], columns) if more else None,
            position=self.position,
        )

    @contextmanager
    def snapshot(self, scope: Scope | None = None, *about: str) -> Iterator[Db]:
        """A cursor for several statements that see the same moment; the header says which."""
        if self.moment:
            with self._in_the_past(scope or self._own_rows()) as then:
                then.fill(about, {})
                yield then.db
            return
        with self.company.database.reading() as db:
            row = db.execute(_position(self.name), {"read_model": self.name}).fetchone()
            self._seen(row["position"] if row else None)
            yield db

    def also(self, *about: str) -> None:
        """Inside a snapshot: further subjects of whom it has turned out that they matter."""
        if self._past:
            self._past.take_in(about)

    def day(self) -> date:
        """Today, or the day of the moment asked about, in China."""
        if self.moment is None or not self.asked:
            return day_in_china(datetime.now(UTC))
        with self.company.database.cursor() as db:
            return day_in_china(self.asked.time(db, self.moment))

    def upto(self) -> int:
        """How far the read model shows, or was asked to show."""
        if self.moment:
            return self.moment.position
        return self.company.follower.positions().get(self.name or "", 0)

    @contextmanager
    def _in_the_past(self, scope: Scope) -> Iterator[Past]:
        assert self.moment is not None, "it is asked about now"
        projections = self.company.follower.projections.values()
        with past(self.company.database, projections, self.moment, scope) as self._past:
            self._seen(self.moment.position)
            yield self._past

    def _past_rows(
        self,
        statement: SQL | Composed,
        given: dict[str, Any],
        scope: Scope,
        about: str | None,
        after: str = "",
    ) -> list[dict[str, Any]]:
        with self._in_the_past(scope) as then:
            if scope.each:
                return _gone_through(then, statement, given, about, after)
            then.fill([about] if about else [], given)
            return then.db.execute(statement, given).fetchall()

    def _own_rows(self) -> Scope:
        return Scope(self.company.follower.projections[self.name or ""].rows)

    def _read_by(self, query: str) -> Scope:
        """The rows whose tables a query names."""
        words = set(re.findall(r"\w+", query))
        rows: list[type[Row]] = [
            row
            for projection in self.company.follower.projections.values()
            for row in projection.rows
            if row.table in words
        ]
        return Scope(tuple(rows))

    def _rows(
        self, statement: SQL | Composed, order: Composable, given: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """One statement is one snapshot: the position comes with the rows, or alone."""
        query = SQL(
            'select p.position as "the position", q.* from ({}) as p left join'
            ' (select true as "is found", s.* from ({}) as s) as q on true {}'
        ).format(_position(self.name), statement, order)
        try:
            with self.company.database.cursor() as db:
                rows = db.execute(query, {**given, "read_model": self.name}).fetchall()
        except ProgrammingError:
            if self.name in (None, *self.company.follower.positions()):
                raise
            rows = []
        self._seen(rows[0]["the position"] if rows else None)
        return [_without_marks(row) for row in rows if row["is found"]]

    def _seen(self, position: int | None) -> None:
        if position is None:
            raise NotYet(self.name or "log", 0, 0)
        self.position = position
        self.response.headers[POSITION] = str(position)


MinPosition = Annotated[
    Position | None,
    Query(description="Wait until this has been taken in: the position a command gave."),
]


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(
        self,
        caller: Caller,
        response: Response,
        asked: Asked,
        min_position: MinPosition = None,
    ) -> Reading:
        moment = None
        if asked or min_position is not None:
            moment = await anyio.to_thread.run_sync(
                self._reached,
                caller.company,
                asked,
                min_position or 0,
                caller.patience,
                limiter=WAITERS,
            )
        return Reading(caller.company, self.name, response, moment, asked)

    def _reached(
        self, company: Company, asked: When, at_least: int, patience: float
    ) -> Moment | None:
        """Waits until the read model, and for the past the subject index, have come far enough."""
        names = {self.name, Mentions.name} & {self.name, *company.follower.projections}
        company.follower.wait_for(self.name, at_least, patience)
        if not asked:
            return None
        reached = company.follower.positions()
        now = min(reached.get(name, 0) for name in names)
        moment = asked.moment(company, now, at_least)
        for name in names:
            company.follower.wait_for(name, moment.position, patience)
        return moment


async def _log_reader(caller: Caller, response: Response) -> Reading:
    return Reading(caller.company, None, response)


def reader(projection: type[Projection]) -> Any:
    """For `Annotated[Reading, reader(StockPicture)]`: honours `min_position`, then reads."""
    return Depends(_Reader(projection.name))


LogReading = Annotated[Reading, Depends(_log_reader)]
"""Reads facts and commands themselves, which are never behind."""


def found(answer: A | None, id: str) -> A:
    """The answer, if there is one and it is not empty. Raises Trouble 404."""
    if not answer:
        kind = id.partition(":")[0]
        raise Trouble(404, f"{kind}.unknown", f"there is no {id}", f"没有 {id}")
    return answer


def containing(text: str | None) -> str | None:
    """The pattern of `like` for texts that contain this one, even where it holds `%` or `_`."""
    return text and "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"


def _gone_through(
    then: Past, statement: SQL | Composed, given: dict[str, Any], about: str | None, after: str
) -> list[dict[str, Any]]:
    """One subject after the other, in the order of the list, until the page is full."""
    found: list[dict[str, Any]] = []
    count = wanted = given["limit"]
    while len(found) < wanted and (subjects := then.following(after, about, count)):
        then.clear()
        then.take_in(subjects)
        found += then.db.execute(statement, given).fetchall()
        after, count = subjects[-1], min(2 * count, MANY)
    return found[:wanted]


def _without_marks(row: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in row.items() if name not in ("the position", "is found")}


def _position(name: str | None) -> SQL:
    """How far the read model, or without a name the log, has come in this snapshot."""
    if name is None:
        return SQL("select coalesce(max(notification_id), 0) as position from facts")
    return SQL("select position from positions where name = %(read_model)s")


def _beyond(by: Sequence[str], newest_first: bool) -> Composed:
    columns = SQL(", ").join(map(Identifier, by))
    after = SQL(", ").join(Placeholder(f"after_{n}") for n in range(len(by)))
    return SQL("where ({}) {} ({})").format(columns, SQL("<" if newest_first else ">"), after)


def _order(by: Sequence[str], newest_first: bool) -> Composed:
    column = SQL("{} desc" if newest_first else "{}")
    return SQL("order by ") + SQL(", ").join(column.format(Identifier(name)) for name in by)


@cache
def _keys(kind: type[BaseModel], by: tuple[str, ...]) -> TypeAdapter[tuple[Any, ...]]:
    """The name of the row model comes first: the cursor of another list is none of this one."""
    types = tuple(kind.model_fields[name].annotation for name in by)
    return TypeAdapter(tuple[Literal[kind.__name__], *types])  # type: ignore[name-defined, valid-type]


def _cursor(item: BaseModel, by: tuple[str, ...]) -> str:
    kind = type(item)
    key = _keys(kind, by).dump_json((kind.__name__, *(getattr(item, name) for name in by)))
    return urlsafe_b64encode(key).decode().rstrip("=")


NO_CURSOR = invalid([(("after",), "is not the `next` of a page of this list")])
