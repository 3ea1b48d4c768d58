"""P2, P5: whoever writes prices hides neither their depth nor a lower floor from their approvers.

Neither by naming a family instead of a product, nor by a floor of his own, nor by leaving out what
a price would be compared with.
"""

from decimal import Decimal
from typing import Any

import pytest
from tests.domain.orders.towns import InMemory
from tests.domain.terms.pricing import (
    JANUARY,
    JUNE,
    MATRIX,
    STENT,
    UNION,
    A,
    Prices,
    buyer,
    cell,
    exception,
    published,
)
from tests.domain.terms.test_levels_of_approval import asked, governed

from medsales.domain.terms.price_matrix import AddCells, DraftVersion, SubmitVersion
from medsales.domain.terms.price_sheet import PriceCell

LISTED = cell("10000", floor="8000")
OTHER = cell("800", product=STENT)
FAMILY = "输液泵"
GIVEN_AWAY = {"kind": "special", "customer": UNION}
UNTOLD = Decimal(100)


def of_family(price: str, **more: Any) -> PriceCell:
    return cell(price, family=FAMILY, **more)


def told(prices: Prices, *portions: tuple[PriceCell, ...]) -> tuple[Decimal, bool]:
    """The depth and the flag of a version that is written in so many portions."""
    number = prices.draft(portions[0], JUNE)
    for portion in portions[1:]:
        prices.tell(AddCells(version=number, cells=portion))
    version = prices.matrix.version(number)
    return version.deepest_discount, version.below_floor


# P2: a price of a family and one of a product do not know each other


MIXED = {
    "a family's special price beside a product's list": (
        LISTED,
        of_family("1", floor="1", **GIVEN_AWAY),
    ),
    "a product's special price beside its family's list": (
        of_family("10000", floor="8000"),
        cell("1", floor="1", **GIVEN_AWAY),
    ),
}


@pytest.mark.parametrize("cells", MIXED.values(), ids=MIXED)
def test_p2_what_no_sheet_can_compare_is_approved_like_a_gift(cells: tuple[PriceCell, ...]) -> None:
    town = InMemory()
    prices = Prices(town)
    governed(town, "price-matrix")
    assert told(prices, cells)[0] == UNTOLD
    prices.tell(SubmitVersion(version=1))
    assert asked(town, MATRIX).rule == "deeper"


@pytest.mark.parametrize("cells", MIXED.values(), ids=MIXED)
def test_p2_in_parts_it_is_seen_too_and_in_either_order(cells: tuple[PriceCell, ...]) -> None:
    for first, second in (cells, cells[::-1]):
        assert told(Prices(), (first,), (OTHER,), (second,))[0] == UNTOLD


@pytest.mark.parametrize(
    ("before", "after"),
    [(LISTED, of_family("9999")), (of_family("9999"), LISTED)],
    ids=["product before", "family before"],
)
def test_p2_leaving_out_what_was_on_the_list_hides_nothing(
    before: PriceCell, after: PriceCell
) -> None:
    assert told(published((JANUARY, [before])), (after,))[0] == UNTOLD


def test_p2_a_draft_that_is_written_anew_is_judged_by_what_it_says_then() -> None:
    prices = Prices()
    assert told(prices, (LISTED,), (of_family("1"),))[0] == UNTOLD
    assert told(prices, (LISTED, cell("9500", tier=A)))[0] == 5


def test_p2_where_there_are_only_families_their_list_tells_the_depth() -> None:
    cells = (of_family("100"), of_family("93", **GIVEN_AWAY))
    assert told(Prices(), cells)[0] == 7


def test_p2_another_currency_than_that_of_the_list_tells_nothing() -> None:
    assert told(Prices(), (LISTED, cell("0.01", currency="USD", **GIVEN_AWAY)))[0] == UNTOLD


def test_p2_what_is_on_no_list_is_compared_with_what_it_cost_so_far() -> None:
    prices = published((JANUARY, [cell("100", tier=A)]))
    assert told(prices, (cell("80", tier=A),))[0] == 20


# P5: an own floor, and a floor that sinks


OWN_FLOOR = cell("1", floor="1", **GIVEN_AWAY)
LOWER_FLOOR = cell("9000", floor="7999.99", tier=A)


@pytest.mark.parametrize("own", [OWN_FLOOR, LOWER_FLOOR], ids=["price too", "floor only"])
def test_p5_a_floor_of_its_own_below_that_of_the_list_counts_as_below_floor(
    own: PriceCell,
) -> None:
    for portions in (((LISTED, own),), ((LISTED,), (own,)), ((own,), (OTHER,), (LISTED,))):
        assert told(Prices(), *portions)[1]


def test_p5_a_floor_of_a_family_that_can_be_compared_with_none_counts_as_below_floor() -> None:
    """Its products may have a higher one; once it has been approved it is compared with itself."""
    special = of_family("500", floor="400", **GIVEN_AWAY)
    assert told(Prices(), (special,))[1]
    assert not told(published((JANUARY, [special])), (special,))[1]
    lower = of_family("500", floor="399.99", **GIVEN_AWAY)
    assert told(published((JANUARY, [special])), (lower,))[1]


def test_p5_a_floor_of_its_own_above_that_of_the_list_needs_nobody_more() -> None:
    assert not told(Prices(), (LISTED, cell("9000", floor="8000", tier=A)))[1]


@pytest.mark.parametrize(
    ("cells", "flagged"),
    [
        ((cell("9000", floor="7000"),), False),
        ((cell("9000", floor="6999.99"),), True),
        ((cell("10000", floor="7999.99"),), True),
        ((cell("11000", floor="8000"),), False),
        ((cell("10000"),), True),
        ((cell("9000", tier=A),), True),
        ((cell("9000", floor="7000"), cell("9000", floor="7000", tier=A)), False),
        ((LISTED, OWN_FLOOR), True),
    ],
    ids=[
        "sinks with its price",
        "sinks further",
        "sinks alone",
        "stays",
        "is left out",
        "with the list price",
        "of a tier, with that of the list",
        "of a customer",
    ],
)
def test_p5_the_floor_in_force_may_sink_with_the_list_price_and_no_further(
    cells: tuple[PriceCell, ...], *, flagged: bool
) -> None:
    assert told(published((JANUARY, [LISTED])), cells)[1] is flagged


def test_p5_an_exception_counts_as_below_floor_as_ever() -> None:
    assert told(Prices(), (LISTED, cell("1", exception=exception(), **GIVEN_AWAY)))[1]


# P5: when a price is found, product and family do know each other


def with_family(*cells: PriceCell) -> Prices:
    return published((JANUARY, cells))


def test_p5_a_price_of_the_family_does_not_undercut_the_floor_of_the_product() -> None:
    prices = with_family(LISTED, of_family("7999.99", floor="1", **GIVEN_AWAY))
    assert prices.refusal(family=FAMILY) == "price.below_floor"
    assert prices.price(buyer(customer=None), family=FAMILY).floor == LISTED.floor


def test_p5_nor_does_its_floor_take_the_place_of_that_of_the_product() -> None:
    """A quote or a promotion would go down to it."""
    prices = with_family(LISTED, of_family("8000", floor="1", **GIVEN_AWAY))
    found = prices.price(family=FAMILY)
    assert (found.rule, found.floor) == ("special", LISTED.floor)


def test_p5_a_special_price_of_a_product_does_not_undercut_the_list_of_its_family() -> None:
    prices = with_family(of_family("10000", floor="8000"), OWN_FLOOR)
    assert prices.refusal(family=FAMILY) == "price.below_floor"


def test_p5_a_product_that_is_on_the_list_itself_has_its_own_floor() -> None:
    """The cheap model of a dear family."""
    prices = with_family(of_family("10000", floor="8000"), cell("500", floor="400"))
    found = prices.price(family=FAMILY)
    assert (found.price, found.floor) == (cell("500").price, cell("400").price)


def test_p5_a_named_exception_sells_below_the_floor_of_the_other_sheet() -> None:
    below = of_family("7000", floor="7500", exception=exception(), **GIVEN_AWAY)
    found = with_family(LISTED, below).price(family=FAMILY)
    assert (found.price, found.floor) == (below.price, LISTED.floor)


def test_p5_a_floor_of_the_same_sheet_that_was_approved_counts() -> None:
    found = published((JANUARY, [LISTED, LOWER_FLOOR])).price()
    assert found.floor == LOWER_FLOOR.floor


def test_what_a_version_says_of_itself_is_its_own() -> None:
    """The mark of a version is not that of the one before."""
    prices = published((JANUARY, [LISTED, OWN_FLOOR]))
    prices.tell(DraftVersion(effective_from=JUNE, cells=(LISTED,)))
    assert not prices.matrix.version(2).below_floor
