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
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any, Generic, Literal, LiteralString, TypeVar

import anyio
import anyio.to_thread
from eventsourcing.persistence import ProgrammingError
from fastapi import Depends, Query, Response
from psycopg.sql import SQL, Composable, Composed, Identifier, Placeholder
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from medsales.api.auth import Caller
from medsales.api.problems import Trouble, invalid
from medsales.company import Company
from medsales.engine.database import Db
from medsales.engine.follower import NotYet
from medsales.engine.projection import Projection

T = TypeVar("T", bound=BaseModel)
A = TypeVar("A")

POSITION = "Medsales-Position"
MOST = 2**63 - 1
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


class Reading:
    """One read model of the caller's company, at least as far as the caller asked for."""

    def __init__(self, company: Company, name: str | None, response: Response) -> None:
        self.company = company
        self.name = name
        self.response = response
        self.position = 0

    def one(self, kind: type[T], query: LiteralString, **given: Any) -> T:
        """The row that the query finds. Raises Trouble 404 when there is none."""
        rows = self._rows(SQL(query), SQL(""), given)
        if not rows:
            raise Trouble(404, "row.unknown", "there is no such thing", "没有找到")
        return kind.model_validate(rows[0])

    def page(
        self,
        kind: type[T],
        paging: Place,
        query: LiteralString,
        *,
        by: tuple[str, ...] = (),
        newest_first: bool = False,
        **given: Any,
    ) -> Page[T]:
        """The rows of a query, a page at a time, by columns that are unique and never null.

        Without `by` that is the key of the row model.
        """
        columns = by or kind.key  # type: ignore[attr-defined]
        start = paging.key(kind, columns)
        order = _order(columns, newest_first)
        statement = SQL("select * from ({}) as q {} {} limit %(limit)s").format(
            SQL(query), SQL("") if start is None else _beyond(columns, newest_first), order
        )
        values = {f"after_{n}": value for n, value in enumerate(start or ())}
        rows = self._rows(statement, order, {**given, **values, "limit": paging.limit + 1})
        items = [kind.model_validate(row) for row in rows[: paging.limit]]
        more = len(rows) > paging.limit
        return Page[kind](  # type: ignore[valid-type]
            items=items,
            next=_cursor(items[-1], columns) if more else None,
            position=self.position,
        )

    @contextmanager
    def snapshot(self) -> Iterator[Db]:
        """A cursor for several statements that see the same moment; the header says which."""
        with self.company.database.reading() as db:
            row = db.execute(_position(self.name), {"read_model": self.name}).fetchone()
            self._seen(row["position"] if row else None)
            yield db

    def _rows(
        self, statement: Composable, order: Composable, given: dict[str, Any]
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


class _Reader:
    def __init__(self, name: str | None) -> None:
        self.name = name

    async def __call__(
        self,
        caller: Caller,
        response: Response,
        min_position: Annotated[
            Position | None,
            Query(description="Wait until this has been taken in: the position a command gave."),
        ] = None,
    ) -> Reading:
        company = caller.company
        if min_position is not None and self.name is not None:
            await anyio.to_thread.run_sync(
                company.follower.wait_for,
                self.name,
                min_position,
                caller.patience,
                limiter=WAITERS,
            )
        return Reading(company, self.name, response)


def reader(projection: type[Projection]) -> Any:
    """For `Annotated[Reading, reader(StockPicture)]`: honours `min_position`, then reads."""
    return Depends(_Reader(projection.name))


LogReading = Annotated[Reading, Depends(_Reader(None))]
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
