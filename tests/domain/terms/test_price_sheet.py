"""A sheet that is written in portions, and whose exceptions are sold by many orders."""

from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import given as property_of
from hypothesis import settings
from hypothesis import strategies as st
from tests.domain.terms.pricing import JANUARY, MATRIX, UNION, A, B, Prices, cell, exception

from medsales.domain.ids import OrderId
from medsales.domain.kernel import Refused
from medsales.domain.terms.price_depth import list_prices
from medsales.domain.terms.price_matrix import AddCells, DraftVersion
from medsales.domain.terms.price_sheet import (
    PriceCell,
    PriceKind,
    PriceSheet,
    ReturnException,
    TakeException,
    WriteSheet,
    discount,
    faults,
    faults_together,
    lowest,
)
from medsales.engine.memory import restored, stored
from medsales.testing import NOON

KNOWN = ("CNY", "USD")
SCOPES: Any = st.sampled_from(
    [{}, {"tier": A}, {"tier": B}, {"kind": "special", "customer": UNION}]
)
MONTHS: Any = st.sampled_from(
    [{}, {"valid_until": date(2026, 1, 31)}, {"valid_from": date(2026, 2, 1)}]
)
EXCEPTIONS: Any = st.sampled_from(
    [None, None, None, exception(), exception("EX-2"), exception("EX-2", pieces=4)]
)


@st.composite
def cells(draw: Any) -> PriceCell:
    """Of one product; each is in order as far as it goes by itself."""
    price = draw(st.sampled_from([65, 75, 85, 95]))
    floor = draw(st.sampled_from([None, None, 70, 80, 90]))
    needed = floor is not None and price < floor
    named = draw(EXCEPTIONS)
    made = cell(
        str(price),
        currency=draw(st.sampled_from(["CNY", "CNY", "CNY", "USD"])),
        floor=None if floor is None else str(floor),
        min_quantity=draw(st.sampled_from([1, 10, 50])),
        exception=named or (exception() if needed else None),
        **draw(SCOPES),
        **draw(MONTHS),
    )
    assert not [*faults(made, KNOWN)]
    return made


PORTIONS = st.lists(st.lists(cells(), min_size=1, max_size=3), min_size=1, max_size=6)


def write(sheet: PriceSheet, some: list[PriceCell]) -> PriceSheet | str:
    command = WriteSheet(price_matrix=MATRIX, version=1, edition=1, cells=tuple(some))
    try:
        return command.decide(sheet).apply(sheet)
    except Refused as refused:
        return refused.code


@settings(max_examples=300)
@property_of(PORTIONS)
def test_portions_are_refused_where_all_cells_together_would_be_p3_p5(
    portions: list[list[PriceCell]],
) -> None:
    """What a portion is compared with is little; it decides like a look at everything."""
    sheet, written = PriceSheet(), list[PriceCell]()
    for some in portions:
        wrong = next((side.fault.code for side in faults_together((*written, *some))), None)
        found = write(sheet, some)
        if isinstance(found, PriceSheet):
            sheet, written = found, [*written, *some]
        assert found == (wrong or sheet)
    said = sheet.said(1, 1)
    assert sorted(map(repr, said.every_cell())) == sorted(map(repr, written))
    assert said.lowest == lowest({}, written)
    assert restored(PriceSheet, stored(sheet)) == sheet


def test_a_floor_is_held_against_what_comes_later_and_a_risen_one_against_all_p5() -> None:
    known = [cell("100", floor="70"), cell("75", tier=A), cell("90", tier=B)]
    sheet: Any = write(PriceSheet(), known)
    assert write(sheet, [cell("69", tier=B, min_quantity=10)]) == "matrix.below_floor"
    assert isinstance(write(sheet, [cell("95", floor="70", min_quantity=10)]), PriceSheet)
    assert write(sheet, [cell("95", floor="80", min_quantity=10)]) == "matrix.below_floor"


def deepest(written: list[PriceCell]) -> Decimal:
    """What is on the list, but not in the currency of a price, tells nothing of it."""
    bases = list_prices(written)
    untold = Decimal(100 if bases else 0)
    known = [(each.price, bases.get(each.price.currency)) for each in written]
    return max(discount(price, base) if base else untold for price, base in known)


@settings(max_examples=100)
@property_of(PORTIONS)
def test_the_deepest_discount_is_that_of_every_cell_written_so_far_p2(
    portions: list[list[PriceCell]],
) -> None:
    prices, written, seen = Prices(), list[PriceCell](), list[Decimal]()
    for some in portions:
        command = (
            AddCells(version=1, cells=tuple(some))
            if written
            else DraftVersion(effective_from=JANUARY, cells=tuple(some))
        )
        if prices.town.ask(command, MATRIX) is None:
            written += some
            seen.append(deepest(written))
    if seen:
        assert prices.matrix.version(1).deepest_discount == max(seen)


@settings(max_examples=60)
@property_of(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4), st.booleans()), max_size=30))
def test_what_is_left_of_an_exception_is_what_no_order_holds_p5(
    wishes: list[tuple[int, int, bool]],
) -> None:
    limit = 10
    cheap = cell("79", floor="80", exception=exception(pieces=limit, until=NOON.date()))
    sheet: Any = write(PriceSheet(), [cheap])
    held = dict.fromkeys(map(OrderId.of, "01234"), 0)
    for n, quantity, back in wishes:
        order = OrderId.of(str(n))
        if back:
            returned = ReturnException(order=order, name="EX-1", quantity=quantity).decide(sheet)
            sheet = returned.apply(sheet) if returned else sheet
            held[order] -= min(quantity, held[order])
        elif quantity <= limit - sum(held.values()):
            take = TakeException(order=order, name="EX-1", version=1, quantity=quantity)
            sheet = take.decide(sheet, NOON).apply(sheet)
            held[order] += quantity
        assert sheet.left_of(cheap.exception) == limit - sum(held.values())
        assert dict(sheet.taken_under("EX-1").orders) == {o: n for o, n in held.items() if n}


def test_a_cell_that_is_changed_leaves_the_others_as_they_were() -> None:
    """Cells share the note of which fields were named, as nobody asks for it."""
    one, two = cell("79"), cell("80", tier=A)
    changed = one.model_copy(update={"kind": PriceKind.LIST})
    assert changed.model_dump() == {**one.model_dump(), "kind": "list"}
    assert PriceCell(**two.model_dump()) == two
    assert one == cell("79")
