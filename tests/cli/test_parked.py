"""`medsales parked`: what waits is shown, tried again, discarded; each decision is a fact."""

from collections.abc import Iterator

import pytest
from eventsourcing.persistence import StoredEvent
from tests.cli.conftest import Program
from tests.domain.examples import OPEN_CHENGDU, OPEN_HANGZHOU

from medsales.company import Company, open_company
from medsales.domain.kernel import Role
from medsales.engine.application import Actor, Ask

MEI = Actor("mei", "Mei 梅", (Role.SYSTEM,), "desk")
HANGZHOU, CHENGDU = OPEN_HANGZHOU.begins(), OPEN_CHENGDU.begins()


@pytest.fixture
def stuck(database_url: str, name: str) -> Iterator[Company]:
    """Of two warehouses the log tells what this version has never heard of."""
    company = open_company(database_url, name)
    company.follower.prepare()
    for command in (OPEN_HANGZHOU, OPEN_CHENGDU):
        company.app.handle(Ask(command, MEI))
    for warehouse in (HANGZHOU, CHENGDU):
        company.log.insert_events([StoredEvent(warehouse, 2, "WarehouseFlooded", b"{}")])
    company.follower.catch_up()
    yield company
    company.close()


def test_what_is_parked_is_shown_tried_again_and_discarded(
    medsales: Program, stuck: Company
) -> None:
    at = ("--company", stuck.name)
    shown = medsales.says("parked", *at)
    assert f"stock_picture  {HANGZHOU}  from position 3\n" in shown
    assert "UnknownEvent: no event is called WarehouseFlooded" in shown
    one = [w for w in medsales.json("parked", *at) if w["name"] == "lot_trace"]
    assert [(w["subject"], w["position"]) for w in one] == [(CHENGDU, 4), (HANGZHOU, 3)]

    said = medsales.says("parked", "retry", "lot_trace", *at, "--user", "wang")
    assert said.count("is tried again for lot_trace") == 2
    medsales.says("parked", "discard", "lot_trace", HANGZHOU, "--reason", "a test of the pump", *at)
    decided = medsales.facts("--subject", "parking:lot_trace", *at)
    assert [fact["event"] for fact in decided] == ["ParkedRetried"] * 2 + ["ParkedDiscarded"]
    assert decided[0]["envelope"]["by"] == "wang"
    assert decided[2]["payload"]["reason"] == "a test of the pump"

    stuck.follower.catch_up()
    left = [w["subject"] for w in medsales.json("parked", *at) if w["name"] == "lot_trace"]
    assert left == [CHENGDU]


def test_what_cannot_be_decided_is_told_in_a_sentence(medsales: Program, stuck: Company) -> None:
    at = ("--company", stuck.name)
    said = medsales.refuses("parked", "retry", "lot_trace", "lot:x", *at)
    assert said == "lot:x is not parked for lot_trace; see `medsales parked`"
    said = medsales.refuses("parked", "retry", "nobody", *at)
    assert said == "nothing is parked for nobody; see `medsales parked`"
    reason = ("--reason", "x")
    said = medsales.refuses("parked", "discard", "lot_trace", HANGZHOU, "--reason", "", *at)
    assert "needs a reason" in said
    said = medsales.refuses(
        "parked", "discard", "lot_trace", HANGZHOU, *reason, *at, "--user", "process:x"
    )
    assert said == "process:x cannot decide: that is no name of a person"
