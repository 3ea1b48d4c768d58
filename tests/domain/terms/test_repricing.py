"""The repricing list of a late version ends by decisions: some of it is settled, or all (P7)."""

from tests.domain.orders.towns import InMemory
from tests.domain.terms.pricing import JANUARY, JUNE, MATRIX, cell, published

from medsales.domain.ids import OrderId, QuoteId
from medsales.domain.kernel import Event
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.domain.terms.repricing import RepricingSettled, SettleRepricing
from medsales.testing import given

QUOTE, ORDER = QuoteId.of("Q-1"), OrderId.of("SO-1")
ONE = SettleRepricing(version=2, given=(QUOTE,), reason="accepted; the price stands")
ALL = SettleRepricing(version=2, reason="all customers have been told")
ONE_SETTLED = RepricingSettled(number=2, given=(QUOTE,), reason=ONE.reason)
ALL_SETTLED = RepricingSettled(number=2, reason=ALL.reason)


def late() -> list[Event[PriceMatrix]]:
    prices = published((JANUARY, [cell("100")]), (JUNE, [cell("90")]))
    prices.draft([cell("80")])
    assert isinstance(prices.town, InMemory)
    return prices.town.streams[MATRIX]


def test_p7_what_was_given_at_older_prices_is_left_as_it_is_for_a_reason() -> None:
    given(*late()).when(ONE, MATRIX).then(ONE_SETTLED)
    version = PriceMatrix().after([*late(), ONE_SETTLED]).version(2)
    assert version.settlement(QUOTE) == ONE.reason
    assert version.settlement(ORDER) is None


def test_p7_the_whole_list_is_settled_and_the_first_reason_stays() -> None:
    given(*late(), ONE_SETTLED).when(ALL, MATRIX).then(ALL_SETTLED)
    version = PriceMatrix().after([*late(), ONE_SETTLED, ALL_SETTLED]).version(2)
    assert (version.settlement(QUOTE), version.settlement(ORDER)) == (ONE.reason, ALL.reason)


def test_what_is_settled_is_not_settled_again() -> None:
    given(*late(), ONE_SETTLED).when(ONE, MATRIX).then()
    given(*late(), ALL_SETTLED).when(ONE, MATRIX).then()
    given(*late(), ALL_SETTLED).when(ALL, MATRIX).then()
    both = ONE.model_copy(update={"given": (QUOTE, ORDER)})
    given(*late(), ONE_SETTLED).when(both, MATRIX).then(
        ONE_SETTLED.model_copy(update={"given": (QUOTE, ORDER)})
    )


def test_only_a_version_that_counts_has_a_repricing_list() -> None:
    draft = ALL.model_copy(update={"version": 3})
    given(*late()).when(draft, MATRIX).refused("matrix.version_wrong_stage")
    unknown = ALL.model_copy(update={"version": 9})
    given(*late()).when(unknown, MATRIX).refused("matrix.version_unknown")
