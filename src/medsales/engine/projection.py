"""Read models: pure handlers turn facts into row changes; a batch of changes is written at once.

A projection declares its tables as row models and has one method per event, which yields changes:
put a row, set some columns, add to numbers, drop a row. Changes to the same row are folded in
memory first, so a batch costs a few statements however many facts it holds.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from types import NoneType
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar, get_args, get_origin

from psycopg.sql import SQL, Composed, Identifier, Literal
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


class Row(BaseModel):
    """One line of a read model: `class OnHand(Row, key=("product", "place"))`.

    Every column outside the key has a default, which stands for "nothing has happened yet"; what is
    added to begins at zero. A row belongs to one subject: only its facts change it. What facts of
    several subjects change is `shared`, and they only add to it. So rows do not depend on the order
    in which the streams of different subjects are read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    key: ClassVar[tuple[str, ...]]
    table: ClassVar[str]
    indexes: ClassVar[tuple[tuple[str, ...], ...]]
    shared: ClassVar[bool]

    def __init_subclass__(
        cls,
        key: tuple[str, ...] = (),
        indexes: tuple[tuple[str, ...], ...] = (),
        *,
        shared: bool = False,
        **_: Any,
    ) -> None:
        super().__init_subclass__()
        cls.key = key
        cls.indexes = indexes
        cls.shared = shared
        cls.table = "".join(f"_{c.lower()}" if c.isupper() else c for c in cls.__name__)[1:]

    @classmethod
    def put(cls, **columns: Any) -> "Change":
        """The whole row, whatever was there before."""
        return Change(cls, tuple(columns[name] for name in cls.key), columns, {}, fresh=True)

    @classmethod
    def set(cls, *key: str | int, **columns: Any) -> "Change":
        """Some columns of the row; the others keep what they have."""
        return Change(cls, key, columns, {})

    @classmethod
    def add(cls, *key: str | int, **amounts: Any) -> "Change":
        """Adds to numbers of the row."""
        return Change(cls, key, {}, amounts)

    @classmethod
    def drop(cls, *key: str | int) -> "Change":
        return Change(cls, key, {}, {}, gone=True)


class Change(NamedTuple):
    """What happens to one row."""

    row: type[Row]
    key: tuple[str | int, ...]
    values: dict[str, Any]
    amounts: dict[str, Any]
    fresh: bool = False
    gone: bool = False


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
        return sha256(inspect.getsource(inspect.getmodule(cls) or cls).encode()).hexdigest()

    def changes(self, fact: Fact[Any]) -> Changes:
        handler = self.handlers.get(fact.name)
        return handler(self, fact) if handler else ()


@dataclass(slots=True)
class Net:
    """All changes to one row in a batch, as if they were one."""

    values: dict[str, Any] = field(default_factory=dict)
    amounts: dict[str, Any] = field(default_factory=dict)
    fresh: bool = False
    gone: bool = False

    def then(self, change: Change) -> None:
        if change.fresh or change.gone:
            self.values, self.amounts, self.fresh = {}, {}, True
        self.gone = change.gone
        self.values |= change.values
        self.amounts = {c: n for c, n in self.amounts.items() if c not in change.values}
        for column, amount in change.amounts.items():
            if column in self.values:
                self.values[column] += amount
            else:
                self.amounts[column] = self.amounts.get(column, 0) + amount


Batch: TypeAlias = dict[type[Row], dict[tuple[str | int, ...], Net]]


def fold(projections: Sequence[Projection], facts: Iterable[Fact[Any]]) -> Batch:
    """What a run of facts does to the rows of these projections."""
    batch: Batch = {row: {} for projection in projections for row in projection.rows}
    for fact in facts:
        for projection in projections:
            for change in projection.changes(fact):
                if change.row.shared and (change.values or change.fresh or change.gone):
                    raise TypeError(
                        f"{change.row.__name__} is shared by several subjects: only add to it"
                    )
                batch[change.row].setdefault(change.key, Net()).then(change)
    return batch


def write(db: Db, schema: str, batch: Batch) -> None:
    """Brings a batch into the tables of a schema: at most a few statements per table and shape."""
    for row, nets in batch.items():
        gone = [dict(zip(row.key, key, strict=True)) for key, net in nets.items() if net.gone]
        if gone:
            db.execute(_delete(row, schema), (to_json(gone).decode(),))
        for shape, lines in _by_shape(row, nets).items():
            db.execute(_upsert(row, schema, *shape), (to_json(lines).decode(),))


def copy_new(db: Db, schema: str, batch: Batch) -> None:
    """As `write`, for rows whose whole life is in the batch, into tables that hold none of them."""
    for row, nets in batch.items():
        whole = list(lines(row, nets))
        if whole:
            db.execute(_insert(row, schema), (to_json(whole).decode(),))


def lines(row: type[Row], nets: dict[tuple[str | int, ...], Net]) -> Iterator[dict[str, Any]]:
    """The rows that these changes leave where there was nothing before."""
    defaults = _defaults(row)
    for key, net in nets.items():
        if not net.gone:
            begun = {**dict(zip(row.key, key, strict=True)), **defaults, **net.values}
            yield begun | {column: begun[column] + n for column, n in net.amounts.items()}


Shape: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]


def _by_shape(row: type[Row], nets: dict[tuple[str | int, ...], Net]) -> dict[Shape, list[Any]]:
    """Lines that are written by the same statement: same columns set, same columns added to."""
    shapes: dict[Shape, list[Any]] = {}
    defaults = _defaults(row)
    for key, net in nets.items():
        if not net.gone:
            line = {**defaults, **net.values, **net.amounts, **dict(zip(row.key, key, strict=True))}
            to_set = tuple(defaults) if net.fresh else tuple(sorted(set(net.values) - set(row.key)))
            to_add = () if net.fresh else tuple(sorted(net.amounts))
            shapes.setdefault((to_set, to_add), []).append(line)
    return shapes


def _defaults(row: type[Row]) -> dict[str, Any]:
    return {
        name: info.get_default(call_default_factory=True)
        for name, info in row.model_fields.items()
        if name not in row.key
    }


def _upsert(row: type[Row], schema: str, to_set: Sequence[str], to_add: Sequence[str]) -> Composed:
    columns = SQL(", ").join(map(Identifier, row.model_fields))
    settings = [SQL("{0} = excluded.{0}").format(Identifier(c)) for c in to_set]
    settings += [SQL("{0} = t.{0} + excluded.{0}").format(Identifier(c)) for c in to_add]
    then = SQL("update set ") + SQL(", ").join(settings) if settings else SQL("nothing")
    return SQL(
        "insert into {table} as t ({columns})"
        " select {columns} from jsonb_populate_recordset(null::{table}, %s::jsonb)"
        " on conflict ({key}) do {then}"
    ).format(
        table=Identifier(schema, row.table),
        columns=columns,
        key=SQL(", ").join(map(Identifier, row.key)),
        then=then,
    )


def _insert(row: type[Row], schema: str) -> Composed:
    return SQL(
        "insert into {table} select * from jsonb_populate_recordset(null::{table}, %s::jsonb)"
    ).format(table=Identifier(schema, row.table))


def _delete(row: type[Row], schema: str) -> Composed:
    key = SQL(", ").join(map(Identifier, row.key))
    return SQL(
        "delete from {table} where ({key}) in"
        " (select {key} from jsonb_populate_recordset(null::{table}, %s::jsonb))"
    ).format(table=Identifier(schema, row.table), key=key)


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
