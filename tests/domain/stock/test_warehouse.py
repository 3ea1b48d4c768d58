"""A warehouse: its zones keep goods of different state apart (GSP art. 40)."""

import pytest
from tests.domain.examples import HANGZHOU

from medsales.domain.stock.warehouse import (
    AddZone,
    CloseWarehouse,
    OpenWarehouse,
    Warehouse,
    WarehouseClosed,
    WarehouseOpened,
    Zone,
    ZoneAdded,
)
from medsales.testing import given

OPEN = OpenWarehouse(
    code="HZ-1", name="Hangzhou", address="1 West Lake Road", zones=(Zone.PENDING, Zone.QUALIFIED)
)
OPENED = WarehouseOpened(
    name="Hangzhou", address="1 West Lake Road", zones=(Zone.PENDING, Zone.QUALIFIED)
)


def test_a_warehouse_opens_with_its_zones() -> None:
    outcome = given().when(OPEN).then(OPENED)
    assert outcome.subject == HANGZHOU


def test_a_warehouse_has_all_five_zones_unless_told_otherwise() -> None:
    """GSP art. 40."""
    assert set(OpenWarehouse(code="HZ-1", name="Hangzhou", address="1").zones) == set(Zone)


def test_opening_the_same_warehouse_again_changes_nothing() -> None:
    given(OPENED).when(OPEN).then()


@pytest.mark.parametrize(
    "change", [{"name": "Chengdu"}, {"zones": (Zone.QUALIFIED,)}], ids=["name", "zones"]
)
def test_a_code_belongs_to_one_warehouse(change: dict[str, object]) -> None:
    other = OPEN.model_copy(update=change)
    given(OPENED).when(other).refused("warehouse.exists", "HZ-1 belongs to Hangzhou")


def test_a_zone_is_marked_off() -> None:
    given(OPENED).when(AddZone(zone=Zone.RETURNS), HANGZHOU).then(ZoneAdded(zone=Zone.RETURNS))
    zones = Warehouse().after([OPENED, ZoneAdded(zone=Zone.RETURNS)]).zones
    assert zones == {Zone.PENDING, Zone.QUALIFIED, Zone.RETURNS}


def test_a_zone_that_is_there_is_not_marked_off_again() -> None:
    given(OPENED).when(AddZone(zone=Zone.PENDING), HANGZHOU).then()


def test_a_warehouse_closes_once() -> None:
    closed = WarehouseClosed(reason="lease ends")
    given(OPENED).when(CloseWarehouse(reason="lease ends"), HANGZHOU).then(closed)
    given(OPENED, closed).when(CloseWarehouse(reason="lease ends"), HANGZHOU).then()


@pytest.mark.parametrize("command", [AddZone(zone=Zone.RETURNS), CloseWarehouse(reason="x")])
def test_nothing_happens_to_a_warehouse_that_was_never_opened(
    command: AddZone | CloseWarehouse,
) -> None:
    given().when(command, HANGZHOU).refused("warehouse.unknown")
