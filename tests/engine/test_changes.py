"""Changes to rows: however they are batched, the rows are those of one change after another."""

import gc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import pytest
from eventsourcing.persistence import IntegrityError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL, Identifier
from pydantic import Field
from tests.engine.purses import CoinsPut, query

from medsales.catalogue import PROJECTIONS
from medsales.company import Company
from medsales.domain.ids import LotId
from medsales.domain.kernel import Value
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.garbage import undisturbed
from medsales.engine.projection import (
    BEGINNING,
    Batch,
    Change,
    Changes,
    Projection,
    Row,
    add_keys,
    check_row,
    copy_new,
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
    rows: ClassVar[tuple[type[Row], ...]] = (Thing,)


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

    def __init__(self, batch: list[Change], row: type[Row] = Thing) -> None:
        self.batch = batch
        self.rows = (row,)  # type: ignore[misc]  # this one alone

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
    found = query(table, INDEXES, table.database.schema)
    assert {row["n"] for row in found} == {"thing_pkey", "thing_colour", "thing_since_name"}
    with table.database.writing() as db:
        drop_tables(db, table.database.schema, Things)
        drop_tables(db, table.database.schema, Things)
    assert query(table, INDEXES, table.database.schema) == []


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


@given(st.lists(changes, max_size=12))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_that_are_copied_are_those_that_would_have_been_written(
    table: Company, batch: list[Change]
) -> None:
    with table.database.writing() as db:
        found = []
        for bring in (write, copy_new):
            db.execute("delete from thing")
            bring(db, table.database.schema, folded(batch))
            found.append(db.execute("select * from thing order by town, number").fetchall())
    assert found[0] == found[1]


ODD = "tab\t newline\n return\r back\\slash \\. \\N \"quoted\" 'so' {braces} 中文 \U0001f600 \x01"


def test_odd_texts_are_copied_as_they_are(table: Company) -> None:
    put = Thing.put(town=ODD, number=1, name=ODD, tags=(ODD, ""), nested=Nested(name=ODD, price=1))
    with table.database.writing() as db:
        copy_new(db, table.database.schema, folded([put]))
    (row,) = query(table, "select town, name, note, tags, nested->>'name' as nested from thing")
    assert row == {"town": ODD, "name": ODD, "note": None, "tags": [ODD, ""], "nested": ODD}


@pytest.mark.parametrize(
    "change", [Thing.set("a", 1, colours="red"), Thing.put(town="a", number=1, colours="red")]
)
@pytest.mark.parametrize("bring", [write, copy_new])
def test_a_column_that_does_not_exist_is_not_passed_over(
    table: Company, bring: Callable[[Db, str, Batch], None], change: Change
) -> None:
    with (
        pytest.raises(TypeError, match="Thing has no column colours"),
        table.database.writing() as db,
    ):
        bring(db, table.database.schema, folded([change]))


class Line(Row, key=("thing", "position"), ledger=True):
    """Put once, by the fact at its position."""

    thing: str
    position: int
    said: str = ""


class Lines(Things):
    rows = (Line,)


@pytest.fixture
def ledger(table: Company) -> Company:
    with table.database.writing() as db:
        create_tables(db, table.database.schema, Lines)
    return table


def lines_of(*batch: Change) -> Batch:
    return fold([Told(list(batch), Line)], [TOLD])


def test_a_ledger_keeps_every_line_that_was_put(ledger: Company) -> None:
    for batch in ((1, 2), (3,)):
        put = [Line.put(thing="a", position=n, said=ODD) for n in batch]
        with ledger.database.writing() as db:
            write(db, ledger.database.schema, lines_of(*put))
    rows = query(ledger, "select * from line order by position")
    assert rows == [{"thing": "a", "position": n, "said": ODD} for n in (1, 2, 3)]


@pytest.mark.parametrize(
    "change",
    [
        lambda: Line.set("a", 1, said="x"),
        lambda: Line.add("a", 1, position=1),
        lambda: Line.drop("a", 1),
        lambda: lines_of(Line.put(thing="a", position=1), Line.put(thing="a", position=1)),
    ],
)
def test_a_line_of_a_ledger_never_changes(change: Callable[[], object]) -> None:
    with pytest.raises(
        TypeError, match="Line is a ledger: its rows are put once and never changed"
    ):
        change()


def test_a_line_that_a_ledger_has_is_not_put_again(ledger: Company) -> None:
    put = lines_of(Line.put(thing="a", position=1))
    with ledger.database.writing() as db:
        write(db, ledger.database.schema, put)
    with pytest.raises(IntegrityError), ledger.database.writing() as db:
        write(db, ledger.database.schema, put)


INDEXES = "select indexname as n from pg_indexes where tablename = 'thing' and schemaname = %s"


def test_a_bare_table_gets_its_keys_when_it_is_full(table: Company) -> None:
    schema = table.database.schema
    with table.database.writing() as db:
        drop_tables(db, schema, Things)
        create_tables(db, schema, Things, bare=True)
        assert db.execute(INDEXES, (schema,)).fetchall() == []
        copy_new(db, schema, folded([Thing.add("a", 1)]))
        for _ in range(2):
            add_keys(db, schema, Things)
    assert {row["n"] for row in query(table, INDEXES, schema)} == {
        "thing_pkey",
        "thing_colour",
        "thing_since_name",
    }


@pytest.mark.parametrize("before", [True, False])
def test_the_search_for_cycles_goes_on_as_before(before: bool) -> None:
    try:
        (gc.enable if before else gc.disable)()
        with suppress(ZeroDivisionError), undisturbed():
            assert not gc.isenabled()
            raise ZeroDivisionError
        assert gc.isenabled() == before
    finally:
        gc.enable()


def test_rows_are_written_to_the_schema_that_is_named(table: Company, neighbour: Company) -> None:
    with neighbour.database.writing() as db:
        create_tables(db, neighbour.database.schema, Things)
        write(db, table.database.schema, folded([Thing.add("a", 1)]))
    count = SQL("select * from {}").format(Identifier(table.database.schema, "thing"))
    assert len(query(neighbour, count)) == 1
    assert query(neighbour, "select * from thing") == []
