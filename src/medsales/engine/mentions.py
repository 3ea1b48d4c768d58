"""The subject index: every fact that ever named somebody or something, found by the name."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from psycopg.sql import SQL
from pydantic import BaseModel

from medsales.domain.kernel import EVENTS, Event, Id
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.log import Selection
from medsales.engine.projection import Changes, Handler, Projection, Row

Collect: TypeAlias = Callable[[Any, set[str]], None]
"""Adds the ids that are in a value to a set."""


class Mention(Row, key=("subject", "position"), ledger=True):
    """A fact that names a subject without being its own."""

    subject: str
    position: int


class EveryEvent(Mapping[str, Handler[Any]]):
    """A handler for every event there is, also for those that are defined later.

    An event whose class has no place for an id is not even read.
    """

    def __getitem__(self, name: str) -> Handler[Any]:
        collect = collector(EVENTS[name])
        if collect is None:
            raise KeyError(name)

        def mentions(_: Mentions, fact: Fact[Any]) -> Changes:
            named: set[str] = set()
            collect(fact.event, named)
            named.discard(fact.subject)
            return [Mention.put(subject=id, position=fact.position) for id in named]

        return mentions

    def __iter__(self) -> Iterator[str]:
        return (name for name, event in EVENTS.items() if collector(event))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Mentions(Projection):
    """A subject's own facts are not in it: the log finds them by its primary key."""

    rows = (Mention,)


Mentions.handlers = EveryEvent()  # type: ignore[assignment]  # read like the dictionary it stands for


def mentioned(event: Event[Any]) -> set[str]:
    """Every id in an event."""
    found: set[str] = set()
    collect = collector(type(event))
    if collect:
        collect(event, found)
    return found


def about(db: Db, subject: str, selection: Selection, limit: int) -> list[dict[str, Any]]:
    """The first facts that are a subject's own or name it, as they are stored, in order.

    One indexed read: both halves come in the order of the log, and stop at the limit.
    """
    parts = list(selection.conditions())
    query = ABOUT.format(chosen=SQL(" and ").join(SQL(condition) for condition, _ in parts))
    chosen = [*(value for _, value in parts), limit]
    of_index = [subject, selection.after, *chosen]
    return db.execute(query, [*of_index, subject, *chosen, limit]).fetchall()


ABOUT = SQL("""
    select * from (
        (select f.* from mention m join facts f on f.notification_id = m.position
            where m.subject = %s and m.position > %s and {chosen} order by m.position limit %s)
        union all
        (select * from facts where originator_id = %s and {chosen}
            order by originator_version limit %s)
    ) as found order by notification_id limit %s
""")


# Where the ids are in an event, found once per class ----------------------------------------------


@cache
def collector(kind: Any) -> Collect | None:
    """What collects the ids in values of a type; None where there are none to be found."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return collector(inner[0])
    if origin in (Union, UnionType):
        return _of_one_of([part for part in inner if part is not type(None)])
    if origin is not None and origin is not Literal:
        return _of_many(origin, [part for part in inner if part is not Ellipsis])
    if isinstance(kind, type) and issubclass(kind, Id):
        return _add
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _of_model(kind)
    return None


def _add(value: Any, found: set[str]) -> None:
    if value is not None:
        found.add(value)


def _of_one_of(kinds: list[Any]) -> Collect | None:
    collectors = {collector(kind) for kind in kinds}
    if len(collectors) > 1:
        return _by_kind
    (only,) = collectors
    return only and _of_one_or_none(only)


def _of_one_or_none(collect: Collect) -> Collect:
    def one(value: Any, found: set[str]) -> None:
        if value is not None:
            collect(value, found)

    return collect if collect is _add else one


def _by_kind(value: Any, found: set[str]) -> None:
    kind: Any = type(value)
    collect = collector(kind)
    if collect:
        collect(value, found)


def _of_many(origin: Any, inner: list[Any]) -> Collect | None:
    if issubclass(origin, Mapping):
        keys, values = (collector(kind) for kind in inner)
        return _of_pairs(keys, values) if keys or values else None
    collect = _of_one_of(inner)
    if collect is None:
        return None

    def many(value: Any, found: set[str]) -> None:
        for part in value:
            collect(part, found)

    return many


def _of_pairs(keys: Collect | None, values: Collect | None) -> Collect:
    def pairs(value: Any, found: set[str]) -> None:
        for key, part in value.items():
            if keys:
                keys(key, found)
            if values:
                values(part, found)

    return pairs


def _of_model(kind: type[BaseModel]) -> Collect | None:
    kinds: dict[str, Any] = {name: info.annotation for name, info in kind.model_fields.items()}
    found = ((name, collector(kind)) for name, kind in kinds.items())
    parts = tuple((name, collect) for name, collect in found if collect)
    if not parts:
        return None

    def model(value: Any, found: set[str]) -> None:
        there = value.__dict__
        for name, collect in parts:
            collect(there[name], found)

    return model
