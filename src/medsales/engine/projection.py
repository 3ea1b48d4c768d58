"""Read models: pure handlers turn facts into row changes; a batch of changes is written at once.

A projection declares its tables as row models and has one method per event, which yields changes:
put a row, set some columns, add to numbers, drop a row. Changes to the same row are folded in
memory first, so a batch costs a few statements however many facts it holds.
"""

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache, partial
from hashlib import sha256
from operator import itemgetter
from types import NoneType
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar, get_args, get_origin

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticUndefined, to_json

from medsales.domain.kernel import Event
from medsales.engine.database import Db
from medsales.engine.facts import Fact

E = TypeVar("E", bound=Event[Any])
P = TypeVar("P", bound="Projection")

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
"""The default of a moment: before anything happened."""

SQL_TYPES: dict[type, str] = {
    str: "text",
    bool: "boolean",
    int: "bigint",
    Decimal: "numeric",
    date: "date",
    datetime: "timestamptz",
}


Key: TypeAlias = tuple[str | int, ...]


class Row(BaseModel):
    """One line of a read model: `class OnHand(Row, key=("product", "place"))`.

    Every column outside the key has a default, which stands for "nothing has happened yet"; what is
    added to begins at zero. A row belongs to one subject: only its facts change it. What facts of
    several subjects change is `shared`, and they only add to it. So rows do not depend on the order
    in which the streams of different subjects are read. The rows of a `ledger` are put once, each
    by the fact whose position is in its key, and never change: they are written fastest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    key: ClassVar[tuple[str, ...]]
    key_of: ClassVar[Callable[[dict[str, Any]], Key]]
    table: ClassVar[str]
    indexes: ClassVar[tuple[tuple[str, ...], ...]]
    shared: ClassVar[bool]
    ledger: ClassVar[bool]

    def __init_subclass__(
        cls,
        key: tuple[str, ...] = (),
        indexes: tuple[tuple[str, ...], ...] = (),
        *,
        shared: bool = False,
        ledger: bool = False,
        **_: Any,
    ) -> None:
        super().__init_subclass__()
        cls.key = key
        cls.key_of = _getter(key)
        cls.indexes = indexes
        cls.shared = shared
        cls.ledger = ledger
        cls.table = "".join(f"_{c.lower()}" if c.isupper() else c for c in cls.__name__)[1:]
        if shared or ledger:
            # A word that is not allowed costs nothing where it is.
            for word in {"put", "set", "add", "drop"} - {"add" if shared else "put"}:
                setattr(cls, word, cls.refuse)

    @classmethod
    def put(cls, **columns: Any) -> "Change":
        """The whole row, whatever was there before."""
        return _change(Change, (cls, cls.key_of(columns), columns, {}, True, False))

    @classmethod
    def set(cls, *key: str | int, **columns: Any) -> "Change":
        """Some columns of the row; the others keep what they have."""
        return _change(Change, (cls, key, columns, {}, False, False))

    @classmethod
    def add(cls, *key: str | int, **amounts: Any) -> "Change":
        """Adds to numbers of the row."""
        return _change(Change, (cls, key, {}, amounts, False, False))

    @classmethod
    def drop(cls, *key: str | int) -> "Change":
        return Change(cls, key, {}, {}, gone=True)

    @classmethod
    def refuse(cls, *_: Any, **__: Any) -> "Change":
        raise TypeError(
            f"{cls.__name__} is shared by several subjects: only add to it"
            if cls.shared
            else f"{cls.__name__} is a ledger: its rows are put once and never changed"
        )


class Change(NamedTuple):
    """What happens to a row; also all that happens to it in a batch, as if it were one change."""

    row: type[Row]
    key: Key
    values: dict[str, Any]
    amounts: dict[str, Any]
    fresh: bool = False
    """Whatever was there before does not count."""
    gone: bool = False

    def then(self, later: "Change") -> "Change":
        """Both, one after the other; neither is to be used again."""
        row, _, values, amounts, _, gone = self
        if row.ledger:
            row.refuse()
        if later.fresh or later.gone:
            return later
        if gone:
            return later._replace(fresh=True)
        if later.values:
            values.update(later.values)
            for column in amounts.keys() & later.values:
                del amounts[column]
        for column, amount in later.amounts.items():
            sums = values if column in values else amounts
            sums[column] = sums.get(column, 0) + amount
        return self


_change = tuple.__new__
"""As `Change(...)`, without the call in between: a batch has tens of thousands of them."""

Changes: TypeAlias = Iterable[Change]
Handler: TypeAlias = Callable[[Any, Fact[E]], Changes]


def on(*events: type[E]) -> Callable[[Handler[E]], Handler[E]]:
    """Marks the method that says what these events change."""

    def mark(method: Handler[E]) -> Handler[E]:
        method.projects = events  # type: ignore[attr-defined]
        return method

    return mark


class Projection:
    """An answer to one question, kept ready: `rows` it owns, and a handler per event."""

    rows: ClassVar[tuple[type[Row], ...]]
    name: ClassVar[str]
    handlers: ClassVar[dict[str, Handler[Any]]]

    def __init_subclass__(cls) -> None:
        cls.name = "".join(f"_{c.lower()}" if c.isupper() else c for c in cls.__name__)[1:]
        cls.handlers = {
            event.__name__: method
            for method in vars(cls).values()
            for event in getattr(method, "projects", ())
        }

    @classmethod
    def fingerprint(cls) -> str:
        """Changes when the code does: then the rows are made anew from the facts."""
        return _code_of(cls.__module__)

    def changes(self, fact: Fact[Any]) -> Changes:
        handler = self.handlers.get(fact.name)
        return handler(self, fact) if handler else ()


@cache  # what counts is the code that was loaded, whatever becomes of the file
def _code_of(module: str) -> str:
    return sha256(inspect.getsource(sys.modules[module]).encode()).hexdigest()


Batch: TypeAlias = dict[type[Row], dict[Key, Change]]


def fold(projections: Sequence[Projection], facts: Iterable[Fact[Any]]) -> Batch:
    """What a run of facts does to the rows of these projections."""
    batch: Batch = {row: {} for projection in projections for row in projection.rows}
    takers: dict[str, list[Callable[[Fact[Any]], Changes]]] = {}
    for fact in facts:
        name = fact.name
        if name not in takers:
            takers[name] = [
                partial(each.handlers[name], each) for each in projections if name in each.handlers
            ]
        for take in takers[name]:
            for change in take(fact):
                rows, key = batch[change.row], change.key
                earlier = rows.get(key)
                rows[key] = earlier.then(change) if earlier else change
        fact.let_go()
    return batch


def write(db: Db, schema: str, batch: Batch) -> None:
    """Brings a batch into the tables of a schema: a few statements per table."""
    for row, changes in batch.items():
        if row.ledger:
            _copy(db, schema, row, changes)
        else:
            _delete(db, schema, row, changes)
            _upsert(db, schema, row, changes)


def copy_new(db: Db, schema: str, batch: Batch) -> None:
    """As `write`, for rows whose whole life is in the batch, into tables that hold none of them."""
    for row, changes in batch.items():
        _copy(db, schema, row, changes)


def lines(row: type[Row], changes: Mapping[Key, Change]) -> Iterator[tuple[Any, ...]]:
    """The rows that these changes leave where there was nothing before."""
    form = _form(row)
    return (form.line(change) for change in changes.values() if not change.gone)


def _copy(db: Db, schema: str, row: type[Row], changes: Mapping[Key, Change]) -> None:
    if changes:
        with db.copy(_in(schema, row, _copying(row))) as copy:
            copy.set_types(_form(row).types)
            for line in lines(row, changes):
                copy.write_row(line)


def _delete(db: Db, schema: str, row: type[Row], changes: Mapping[Key, Change]) -> None:
    gone = [dict(zip(row.key, key, strict=True)) for key, change in changes.items() if change.gone]
    if gone:
        db.execute(_in(schema, row, _deletion(row)), (to_json(gone).decode(),), prepare=True)


Shape: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]


def _upsert(db: Db, schema: str, row: type[Row], changes: Mapping[Key, Change]) -> None:
    """One statement for all changes that set the same columns and add to the same."""
    shapes: dict[Shape, list[Any]] = {}
    form = _form(row)
    for change in changes.values():
        if not change.gone:
            shapes.setdefault(form.shape(change), []).append(form.whole(change))
    for shape, whole in shapes.items():
        query = _in(schema, row, _upserting(row, *shape))
        db.execute(query, (to_json(whole).decode(),), prepare=True)


@dataclass(frozen=True)
class _Form:
    """How changes to the rows of one table are written."""

    row: type[Row]
    defaults: dict[str, Any]
    types: list[str]
    adapted: dict[str, Callable[[Any], Any]]
    """What psycopg does not take as it is."""
    in_order: Callable[[dict[str, Any]], tuple[Any, ...]]

    def line(self, change: Change) -> tuple[Any, ...]:
        whole = self.whole(change)
        if self.adapted:
            whole = {**whole, **self._adapted(whole)}
        return self.in_order(whole)

    def _adapted(self, whole: dict[str, Any]) -> dict[str, Any]:
        return {
            column: adapt(whole[column])
            for column, adapt in self.adapted.items()
            if whole[column] is not None
        }

    def whole(self, change: Change) -> dict[str, Any]:
        """Every column, as the change leaves it where there was nothing before."""
        if len(change.values) == len(self.types):
            return change.values
        key = dict(zip(self.row.key, change.key, strict=True))
        whole = {**self.defaults, **key, **change.values, **change.amounts}
        if len(whole) > len(self.types):
            unknown = whole.keys() - self.row.model_fields.keys()
            raise TypeError(f"{self.row.__name__} has no column {', '.join(sorted(unknown))}")
        return whole

    def shape(self, change: Change) -> Shape:
        if change.fresh:
            return tuple(self.defaults), ()
        return tuple(sorted(change.values)), tuple(sorted(change.amounts))


@cache
def _form(row: type[Row]) -> _Form:
    columns = {name: sql_type(info.annotation) for name, info in row.model_fields.items()}
    defaults = {
        name: info.get_default(call_default_factory=True)
        for name, info in row.model_fields.items()
        if name not in row.key
    }
    types = {name: kind.removesuffix(" not null") for name, kind in columns.items()}
    adapted = {name: adapt for name, kind in types.items() if (adapt := _adapted(kind))}
    return _Form(row, defaults, list(types.values()), adapted, _getter(tuple(types)))


def _adapted(kind: str) -> Callable[[Any], Any] | None:
    if kind.endswith("[]"):
        return list
    return _as_jsonb if kind == "jsonb" else None


def _as_jsonb(value: Any) -> Jsonb:
    return Jsonb(value, dumps=to_json)


def _getter(names: Sequence[str]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """What takes these values out of a dictionary, in this order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


# Statements, made once per table; the schema comes later, for each company has its own ------------


@cache
def _copying(row: type[Row]) -> SQL:
    return _template(SQL("copy {table} ({columns}) from stdin (format binary)"), row)


@lru_cache(maxsize=1000)
def _upserting(row: type[Row], to_set: Sequence[str], to_add: Sequence[str]) -> SQL:
    settings = [SQL("{0} = excluded.{0}").format(Identifier(c)) for c in to_set]
    settings += [SQL("{0} = t.{0} + excluded.{0}").format(Identifier(c)) for c in to_add]
    then = SQL("update set ") + SQL(", ").join(settings) if settings else SQL("nothing")
    query = SQL(
        "insert into {table} as t ({columns})"
        " select {columns} from jsonb_populate_recordset(null::{table}, %s::jsonb)"
        " on conflict ({key}) do {then}"
    )
    return _template(query, row, then=then)


@cache
def _deletion(row: type[Row]) -> SQL:
    query = SQL(
        "delete from {table} where ({key}) in"
        " (select {key} from jsonb_populate_recordset(null::{table}, %s::jsonb))"
    )
    return _template(query, row)


def _template(query: SQL, row: type[Row], **parts: Composable) -> SQL:
    columns = SQL(", ").join(map(Identifier, row.model_fields))
    key = SQL(", ").join(map(Identifier, row.key))
    filled = query.format(table=SQL("{table}"), columns=columns, key=key, **parts)
    return SQL(filled.as_string())


def _in(schema: str, row: type[Row], template: SQL) -> Composed:
    return template.format(table=Identifier(schema, row.table))


def create_tables(db: Db, schema: str, projection: type[Projection], *, bare: bool = False) -> None:
    """Bare: without primary key and indexes, to be filled quickly; `add_keys` makes them later."""
    for row in projection.rows:
        db.execute(_table(row, schema))
    if not bare:
        add_keys(db, schema, projection)


def add_keys(db: Db, schema: str, projection: type[Projection]) -> None:
    """Primary key and indexes, where they are missing."""
    for row in projection.rows:
        if not _has_key(db, row, schema):
            db.execute(_primary_key(row, schema))
        for columns in row.indexes:
            db.execute(_index(row, schema, columns))


def drop_tables(db: Db, schema: str, projection: type[Projection]) -> None:
    for row in projection.rows:
        db.execute(SQL("drop table if exists {}").format(Identifier(schema, row.table)))


def _table(row: type[Row], schema: str) -> Composed:
    columns = [
        SQL("{} {}").format(Identifier(name), SQL(sql_type(info.annotation)))
        for name, info in row.model_fields.items()
    ]
    return SQL("create table if not exists {} ({})").format(
        Identifier(schema, row.table), SQL(", ").join(columns)
    )


def _has_key(db: Db, row: type[Row], schema: str) -> bool:
    table = Identifier(schema, row.table)
    query = "select from pg_index where indisprimary and indrelid = {}::regclass"
    return db.execute(SQL(query).format(Literal(table.as_string()))).fetchone() is not None


def _primary_key(row: type[Row], schema: str) -> Composed:
    return SQL("alter table {} add primary key ({})").format(
        Identifier(schema, row.table), SQL(", ").join(map(Identifier, row.key))
    )


def _index(row: type[Row], schema: str, columns: Sequence[str]) -> Composed:
    return SQL("create index if not exists {} on {} ({})").format(
        Identifier("_".join((row.table, *columns))[:63]),
        Identifier(schema, row.table),
        SQL(", ").join(map(Identifier, columns)),
    )


def sql_type(annotation: Any) -> str:
    """The column type for a Python annotation: `str | None` is a text that may be null."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    if NoneType in get_args(annotation):
        return _bare_type(kinds[0])
    return f"{_bare_type(annotation)} not null"


def _bare_type(annotation: Any) -> str:
    if get_origin(annotation) in (tuple, list):
        return f"{_bare_type(get_args(annotation)[0])}[]"
    return next((sql for kind, sql in SQL_TYPES.items() if _is_a(annotation, kind)), "jsonb")


def _is_a(annotation: Any, kind: type) -> bool:
    # A bool is an int, and a datetime a date, to Python; not to SQL.
    if annotation is bool or annotation is datetime:
        return annotation is kind
    return isinstance(annotation, type) and issubclass(annotation, kind)


def check_row(row: type[Row]) -> Iterator[str]:
    """What is wrong with a row model, for a test that looks at all of them."""
    for name, info in row.model_fields.items():
        if name not in row.key and info.get_default() is PydanticUndefined:
            yield f"{row.__name__}.{name} has no default"
    if not row.key:
        yield f"{row.__name__} has no key"
