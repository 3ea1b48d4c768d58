"""Changes to rows: however they are batched, the rows are those of one change after another."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL, Identifier
from pydantic import Field
from tests.engine.purses import CoinsPut, query

from medsales.catalogue import PROJECTIONS
from medsales.company import Company
from medsales.domain.ids import LotId
from medsales.domain.kernel import Value
from medsales.engine.facts import Fact
from medsales.engine.projection import (
    BEGINNING,
    Batch,
    Change,
    Changes,
    Projection,
    Row,
    check_row,
    create_tables,
    drop_tables,
    fold,
    on,
    sql_type,
    write,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Nested(Value):
    name: str
    price: Decimal


class Thing(Row, key=("town", "number"), indexes=(("colour",), ("since", "name"))):
    """A row with a column of every type."""

    town: str
    number: int
    name: str = ""
    note: str | None = None
    pieces: int = 0
    weight: Decimal = Decimal(0)
    sold: bool = False
    colour: Colour = Colour.RED
    made: date | None = None
    since: datetime = BEGINNING
    tags: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    nested: Nested | None = None


class Things(Projection):
    rows = (Thing,)


KEYS = [("东京", 1), ("东京", -2), ("a'b\"c\\", 1)]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NUMBERS = st.integers(-(2**40), 2**40)
AMOUNTS = st.decimals(-(10**9), 10**9, places=4)
COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "name": TEXT,
    "note": st.none() | TEXT,
    "pieces": NUMBERS,
    "weight": AMOUNTS,
    "sold": st.booleans(),
    "colour": st.sampled_from(Colour),
    "made": st.none() | st.dates(),
    "since": st.datetimes(timezones=st.just(UTC)),
    "tags": st.lists(TEXT, max_size=3).map(tuple),
    "sizes": st.lists(NUMBERS, max_size=3).map(tuple),
    "nested": st.none() | st.builds(Nested, name=TEXT, price=AMOUNTS),
}
some = st.fixed_dictionaries({}, optional=COLUMNS)
added = st.fixed_dictionaries({}, optional={"pieces": NUMBERS, "weight": AMOUNTS})
keys = st.sampled_from(KEYS)
changes = st.one_of(
    st.builds(lambda k, c: Thing.put(town=k[0], number=k[1], **c), keys, some),
    st.builds(lambda k, c: Thing.set(*k, **c), keys, some),
    st.builds(lambda k, c: Thing.add(*k, **c), keys, added),
    st.builds(lambda k: Thing.drop(*k), keys),
)
batches = st.lists(st.lists(changes, max_size=8), max_size=4)
Rows = dict[tuple[Any, ...], dict[str, Any]]
TOLD: Fact[Any] = Fact((1, "a:1", 1, "CoinsPut", b"{}", b"{}", BEGINNING, BEGINNING, ""))


def one_by_one(rows: Rows, change: Change) -> None:
    """The naive model: a dictionary, and what the words mean."""
    if change.gone:
        rows.pop(change.key, None)
        return
    begun = Thing(town=change.key[0], number=change.key[1]).model_dump()
    row = begun if change.fresh else rows.get(change.key, begun)
    row = {**row, **change.values}
    rows[change.key] = row | {c: row[c] + amount for c, amount in change.amounts.items()}


class Told(Things):
    """Whatever happens, these changes follow."""

    def __init__(self, batch: list[Change]) -> None:
        self.batch = batch

    @on(CoinsPut)
    def told(self, _: Fact[Any]) -> Changes:
        for change in self.batch:
            yield change._replace(values=dict(change.values), amounts=dict(change.amounts))


def folded(batch: list[Change]) -> Batch:
    return fold([Told(batch)], [TOLD])


@pytest.fixture
def table(company: Company) -> Company:
    with company.database.writing() as db:
        create_tables(db, company.database.schema, Things)
    return company


@given(batches)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_leave_the_rows_that_one_change_after_another_would(
    table: Company, batches: list[list[Change]]
) -> None:
    expected: Rows = {}
    with table.database.writing() as db:
        db.execute("delete from thing")
        for batch in batches:
            write(db, table.database.schema, folded(batch))
            for change in batch:
                one_by_one(expected, change)
        stored = db.execute("select * from thing").fetchall()
    assert {(r["town"], r["number"]): Thing(**r) for r in stored} == {
        key: Thing(**row) for key, row in expected.items()
    }


ORDERS = [
    ([Thing.add("a", 1, pieces=5), Thing.set("a", 1, pieces=2)], 2),
    ([Thing.set("a", 1, pieces=2), Thing.add("a", 1, pieces=5)], 7),
    ([Thing.put(town="a", number=1, pieces=2), Thing.add("a", 1, pieces=5)], 7),
    ([Thing.add("a", 1, pieces=5), Thing.put(town="a", number=1)], 0),
    ([Thing.drop("a", 1), Thing.add("a", 1, pieces=5)], 5),
    ([Thing.add("a", 1, pieces=5), Thing.drop("a", 1)], None),
    ([Thing.drop("a", 1), Thing.set("a", 1, name="x")], 0),
    ([Thing.set("a", 1, pieces=2), Thing.drop("a", 1), Thing.add("a", 1, pieces=1)], 1),
    ([Thing.add("a", 1, pieces=5), Thing.add("a", 1, pieces=-2)], 103),
    ([Thing.add("a", 1)], 100),
]


@pytest.mark.parametrize(("batch", "pieces"), ORDERS)
def test_the_order_of_changes_counts(
    table: Company, batch: list[Change], pieces: int | None
) -> None:
    with table.database.writing() as db:
        write(db, table.database.schema, folded([Thing.put(town="a", number=1, pieces=100)]))
        write(db, table.database.schema, folded(batch))
    rows = query(table, "select pieces from thing")
    assert [row["pieces"] for row in rows] == ([] if pieces is None else [pieces])


def test_adding_nothing_to_what_is_not_there_begins_a_row(table: Company) -> None:
    with table.database.writing() as db:
        write(db, table.database.schema, folded([Thing.add("a", 1), Thing.set("b", 2)]))
    assert len(query(table, "select * from thing")) == 2


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (str, "text not null"),
        (str | None, "text"),
        (LotId, "text not null"),
        (Colour, "text not null"),
        (int, "bigint not null"),
        (bool, "boolean not null"),
        (bool | None, "boolean"),
        (Decimal, "numeric not null"),
        (date, "date not null"),
        (date | None, "date"),
        (datetime, "timestamptz not null"),
        (tuple[str, ...], "text[] not null"),
        (list[int], "bigint[] not null"),
        (tuple[Colour, ...] | None, "text[]"),
        (Nested, "jsonb not null"),
        (Nested | None, "jsonb"),
        (dict[str, int], "jsonb not null"),
    ],
)
def test_a_column_has_the_type_of_its_annotation(annotation: Any, expected: str) -> None:
    assert sql_type(annotation) == expected


class Annotated_(Row, key=("id",)):  # noqa: N801 - what it is about
    id: Annotated[str, Field(max_length=3)]
    count: Annotated[int, Field(ge=0)] = 0


def test_what_pydantic_checks_of_a_column_does_not_change_its_type() -> None:
    types = {name: sql_type(info.annotation) for name, info in Annotated_.model_fields.items()}
    assert types == {"id": "text not null", "count": "bigint not null"}


def test_the_indexes_of_a_row_are_made_and_go_with_its_table(table: Company) -> None:
    names = "select indexname as n from pg_indexes where tablename = 'thing' and schemaname = %s"
    found = query(table, names, table.database.schema)
    assert {row["n"] for row in found} == {"thing_pkey", "thing_colour", "thing_since_name"}
    with table.database.writing() as db:
        drop_tables(db, table.database.schema, Things)
        drop_tables(db, table.database.schema, Things)
    assert query(table, names, table.database.schema) == []


def test_a_table_that_is_there_is_left_alone(table: Company) -> None:
    with table.database.writing() as db:
        write(db, table.database.schema, folded([Thing.add("a", 1)]))
        create_tables(db, table.database.schema, Things)
    assert len(query(table, "select * from thing")) == 1


class NoDefault(Row):
    name: str


def test_a_row_without_a_key_or_a_default_is_found() -> None:
    assert list(check_row(NoDefault)) == ["NoDefault.name has no default", "NoDefault has no key"]


def test_every_row_of_the_product_is_well_made() -> None:
    assert [wrong for each in PROJECTIONS for row in each.rows for wrong in check_row(row)] == []


def test_no_two_read_models_share_a_table_or_a_name() -> None:
    tables = [row.table for each in PROJECTIONS for row in each.rows]
    assert len(set(tables)) == len(tables)
    assert len({each.name for each in PROJECTIONS}) == len(PROJECTIONS)


def test_rows_are_written_to_the_schema_that_is_named(table: Company, neighbour: Company) -> None:
    with neighbour.database.writing() as db:
        create_tables(db, neighbour.database.schema, Things)
        write(db, table.database.schema, folded([Thing.add("a", 1)]))
    count = SQL("select * from {}").format(Identifier(table.database.schema, "thing"))
    assert len(query(neighbour, count)) == 1
    assert query(neighbour, "select * from thing") == []
