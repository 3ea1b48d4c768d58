"""What holds for every read model: rows with defaults, and rows that equal the facts."""

import pytest
from tests.dealer import GAUZE, LENS, Dealer

from medsales.catalogue import PROJECTIONS
from medsales.domain.kernel import EVENTS
from medsales.engine.projection import Projection, check_row


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_rows_have_keys_and_defaults(projection: type[Projection]) -> None:
    assert [wrong for row in projection.rows for wrong in check_row(row)] == []


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_handlers_name_events_that_exist(projection: type[Projection]) -> None:
    assert set(projection.handlers) <= set(EVENTS)


def test_no_two_read_models_share_a_table() -> None:
    tables = [row.table for projection in PROJECTIONS for row in projection.rows]
    assert len(tables) == len(set(tables))


def test_the_stored_rows_equal_the_facts(dealer: Dealer) -> None:
    dealer.sell("1", dealer.receive("S1"), dealer.receive("S2"))
    dealer.receive_gauze(9)
    dealer.order("2", (LENS, 1), (GAUZE, 3))
    dealer.catch_up()
    names = list(dealer.company.follower.projections)
    assert dealer.company.follower.verify(names) == []
    dealer.company.follower.rebuild(names)
    assert dealer.company.follower.verify(names) == []
