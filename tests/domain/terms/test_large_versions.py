"""However large a version is: what decides about it, and what prices an order, reads little of it.

So memory stays flat, and a price among 100,000 cells is found as one among ten.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest
from tests.domain.orders.examples import PUMP, UNION, cny
from tests.domain.orders.towns import InMemory
from tests.domain.sales.examples import LIST, Office
from tests.domain.terms.pricing import JANUARY, MATRIX, Prices, cell

from medsales.domain.governance.approval import Approve
from medsales.domain.ids import ProductId
from medsales.domain.kernel import Command, Role, Who
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.terms.price_matrix import (
    AddCells,
    ScheduleVersion,
    SubmitVersion,
    SuspendVersion,
)
from medsales.domain.terms.price_sheet import PriceCell
from medsales.engine.decision import Decision, subject_of

PRODUCTS = 500


def cells(count: int, per_product: int = 4) -> Iterable[PriceCell]:
    for n in range(count // per_product):
        for least in range(1, per_product + 1):
            yield cell("100", product=ProductId.of(f"{n:014}"), min_quantity=least)


def read_by(town: Any, command: Command[Any], id: str | None, by: str) -> set[str]:
    """Every stream that the decision looked at."""
    load = town.load if isinstance(town, Office) else town._load
    decision = Decision(load, Who(by, by, tuple(Role)), town.now)
    decision.ask(subject_of(command, id), command)
    return set(decision.read)


def sheets(streams: set[str]) -> set[str]:
    return {id for id in streams if id.startswith("price-sheet:")}


def large(count: int = 4 * PRODUCTS) -> tuple[InMemory, Prices]:
    town = InMemory()
    prices = Prices(town)
    prices.draft(cells(count))
    return town, prices


def test_what_decides_about_a_version_reads_none_of_its_prices() -> None:
    """Submitting, approving, scheduling, suspending: matrix and approval, however many cells."""
    town, prices = large()
    version = prices.matrix.version(1)
    assert sheets(set(town.streams)), "they are there"

    def asks() -> Iterable[tuple[Command[Any], str, str]]:
        yield SubmitVersion(version=1), MATRIX, "chen"
        seen = prices.matrix.version(1)
        yield Approve(content_hash=version.content_hash), str(seen.approval), "wang"
        yield ScheduleVersion(version=1), MATRIX, "chen"
        yield SuspendVersion(version=1, reason="a doubt"), MATRIX, "chen"

    for command, id, by in asks():
        streams = read_by(town, command, id, by)
        assert sheets(streams) == set(), command
        assert len(streams) < 10, command
        assert town.ask(command, id, by) is None


def test_a_matrix_is_as_small_with_many_cells_as_with_few() -> None:
    sizes = [len(repr(large(count)[1].matrix)) for count in (4, 4 * PRODUCTS)]
    assert sizes[1] - sizes[0] < 10


def test_writing_further_prices_reads_only_the_sheets_of_these() -> None:
    town, _ = large()
    more = AddCells(version=1, cells=(cell("1", product=ProductId.of("9"), min_quantity=1),))
    assert sheets(read_by(town, more, MATRIX, "chen")) == {"price-sheet:CN-2026:product:9"}


@pytest.mark.parametrize("count", [4, 4 * PRODUCTS])
def test_an_order_reads_only_the_sheets_of_what_it_orders(count: int) -> None:
    office = Office()
    pump = PriceCell(product=PUMP, price=cny("10000.00"))
    office.price((pump, *cells(count)), date(2026, 5, 1))
    line = WantedLine(product=PUMP, quantity=1)
    order = PlaceOrder(number="SO-1", customer=UNION, price_matrix=LIST, lines=(line,))
    assert sheets(read_by(office, order, None, "chen")) == {f"price-sheet:LIST:{PUMP}"}


def test_a_sheet_keeps_the_versions_of_its_product_alone() -> None:
    town, prices = large()
    prices.draft(cells(8), JANUARY)
    written = {id: len(town.streams[id]) for id in sheets(set(town.streams))}
    assert len(written) == PRODUCTS
    assert sorted(set(written.values())) == [1, 2]
    assert sum(written.values()) == PRODUCTS + 2
