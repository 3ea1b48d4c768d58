from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError
from tests.domain.orders.examples import (
    CONFIRMED,
    DISPATCHED,
    DN1,
    EXPIRED_IN_MAY,
    HANDED,
    LOT,
    ON_DN1,
    OPEN_GATES,
    PLACED,
    PUMP,
    PUMP_REGISTERED,
    ROAD,
    SN1,
    SN2,
    SO1,
    SO2,
    STENT,
    STENT_REGISTERED,
    UNION,
    WORLD,
    cancelled,
    delivered,
    for_order,
    lot_told,
    reserved,
    shipped,
    some_stents,
    stents,
    stents_for,
    stents_handed,
    stents_on_dn1,
    told,
    unit,
    unit_told,
)

from medsales.domain.kernel import Event
from medsales.domain.orders.cancelling import OrderCancelled
from medsales.domain.orders.order import CancelledLine, OrderStatus
from medsales.domain.orders.shipment import (
    CancelShipment,
    DeliverShipment,
    DispatchShipment,
    PlanShipment,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentPlanned,
)
from medsales.domain.stock.device_unit import HoldUnit
from medsales.domain.stock.lot import HoldLot
from medsales.domain.stock.product import Registration, RegistrationRecorded
from medsales.testing import given

PLAN = PlanShipment(number="DN-1", order=SO1, planned_for=date(2026, 6, 5))
PLANNED = ShipmentPlanned(order=SO1, customer=UNION, planned_for=date(2026, 6, 5))
GIVEN_UP = ShipmentCancelled(reason="the road is closed")
GIVE_UP = CancelShipment(reason="the road is closed")
LOADED = DISPATCHED.model_copy(update={"quantities": (some_stents(4),), "gates": OPEN_GATES})
SEND = DispatchShipment(
    number="DN-1",
    order=SO1,
    units=(SN1,),
    quantities=(some_stents(4),),
    transport=ROAD,
    ship_to="放射科 3 楼",
)
RECALL = HoldUnit(hold="R-1", reason="recall")
PROOF = "sha256:" + "a" * 64
HAND_OVER = DeliverShipment(received_by="护士长 刘", evidence=PROOF)
HANDED_OVER = ShipmentDelivered(order=SO1, customer=UNION, received_by="护士长 刘", evidence=PROOF)

READY = {
    **WORLD,
    SO1: (PLACED, CONFIRMED, reserved(unit(SN1), stents(4))),
    SN1: unit_told(SN1, for_order()),
    LOT: lot_told(stents_for(4)),
}
ON_THE_ROAD = {
    **WORLD,
    SO1: (*READY[SO1], shipped(unit(SN1), stents(4))),
    SN1: unit_told(SN1, for_order(), ON_DN1),
    LOT: lot_told(stents_for(4), stents_on_dn1(4)),
}


def shipment(*history: Event[Any], others: dict[str, Any] = READY) -> given:
    return given(*history, others=others)


# Planning


def test_a_shipment_of_an_order_is_announced() -> None:
    outcome = shipment().when(PLAN).then(PLANNED)
    assert outcome.subject == DN1


def test_announcing_it_again_changes_nothing() -> None:
    shipment(PLANNED).when(PLAN).then()


@pytest.mark.parametrize("history", [(LOADED,), (PLANNED, GIVEN_UP)], ids=["sent", "given up"])
def test_a_delivery_note_number_is_used_once(history: tuple[Event[Any], ...]) -> None:
    shipment(*history).when(PLAN).refused("shipment.number_taken", "DN-1")


def test_a_planned_shipment_stays_with_its_order() -> None:
    others = {**READY, SO2: (PLACED,)}
    other = PLAN.model_copy(update={"order": SO2})
    shipment(PLANNED, others=others).when(other).refused("shipment.number_taken")


def test_a_planned_shipment_can_be_planned_for_another_day() -> None:
    later = PLAN.model_copy(update={"planned_for": date(2030, 1, 1)})
    moved = PLANNED.model_copy(update={"planned_for": date(2030, 1, 1)})
    shipment(PLANNED, others=READY).when(later).then(moved)
    shipment(PLANNED, moved, others=READY).when(later).then()


def test_nothing_is_planned_for_a_cancelled_order() -> None:
    all_of_it = tuple(
        CancelledLine(line=line.line, quantity=line.quantity) for line in PLACED.lines
    )
    cancelled = OrderCancelled(
        customer=PLACED.customer,
        lines=all_of_it,
        reason="changed mind",
        status=OrderStatus.CANCELLED,
    )
    others = {**READY, SO1: (PLACED, cancelled)}
    shipment(others=others).when(PLAN).refused("order.wrong_stage", "cancelled")


def test_a_shipment_is_planned_for_an_order_that_exists() -> None:
    shipment(others=WORLD).when(PLAN).refused("order.unknown")


# Giving up


def test_a_planned_shipment_is_given_up() -> None:
    shipment(PLANNED).when(GIVE_UP, DN1).then(GIVEN_UP)


def test_a_shipment_given_up_is_not_given_up_again() -> None:
    shipment(PLANNED, GIVEN_UP).when(GIVE_UP, DN1).then()


@pytest.mark.parametrize("history", [(LOADED,), (LOADED, HANDED_OVER)], ids=["sent", "delivered"])
def test_what_has_left_cannot_be_cancelled_s5(history: tuple[Event[Any], ...]) -> None:
    shipment(*history).when(GIVE_UP, DN1).refused("shipment.wrong_stage", "not planned")


# Dispatch


@pytest.mark.parametrize("history", [(), (PLANNED,)], ids=["unplanned", "planned"])
def test_a_shipment_leaves_with_its_units_and_lots_and_the_order_notes_it_d1(
    history: tuple[Event[Any], ...],
) -> None:
    outcome = shipment(*history).when(SEND).then(LOADED)
    assert outcome.also == {
        SO1: [shipped(unit(SN1), stents(4))],
        SN1: [told(SN1, READY[SN1], ON_DN1)[-1]],
        LOT: [told(LOT, READY[LOT], stents_on_dn1(4))[-1]],
    }


@pytest.mark.parametrize(
    "history",
    [(LOADED,), (PLANNED, GIVEN_UP), (LOADED, HANDED_OVER)],
    ids=["sent", "given up", "delivered"],
)
def test_a_delivery_note_is_dispatched_once(history: tuple[Event[Any], ...]) -> None:
    shipment(*history).when(SEND).refused("shipment.number_taken")


def test_a_shipment_planned_for_one_order_does_not_carry_another() -> None:
    elsewhere = PLANNED.model_copy(update={"order": SO2})
    shipment(elsewhere).when(SEND).refused("shipment.number_taken")


EXPIRED_CERTIFICATE = RegistrationRecorded(
    registration=Registration(
        number="国械注准20153120001", valid_from=date(2015, 1, 1), valid_until=date(2026, 5, 31)
    )
)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({SO1: ()}, "order.unknown"),
        ({SO1: (PLACED,)}, "order.wrong_stage"),
        ({SO1: (PLACED, cancelled((1, 2), (2, 10)))}, "order.wrong_stage"),
        ({SO1: (PLACED, CONFIRMED, reserved(stents(4)))}, "order.goods_foreign"),
        ({SO1: (PLACED, CONFIRMED, reserved(unit(SN1), stents(3)))}, "order.goods_foreign"),
        ({SN1: unit_told(SN1, for_order(), RECALL)}, "unit.held"),
        ({SN1: unit_told(SN1, for_order(SO2))}, "unit.other_order"),
        ({SN1: unit_told(SN1, for_order(), ON_DN1)}, "unit.wrong_stage"),
        ({PUMP: (PUMP_REGISTERED,)}, "registration.not_valid"),
        ({PUMP: (PUMP_REGISTERED, EXPIRED_CERTIFICATE)}, "registration.not_valid"),
        ({STENT: (STENT_REGISTERED, EXPIRED_CERTIFICATE)}, "registration.not_valid"),
        ({LOT: lot_told(stents_for(4), HoldLot(hold="R-1", reason="recall"))}, "lot.held"),
        ({LOT: lot_told(stents_for(3))}, "lot.not_reserved"),
    ],
    ids=[
        "an unknown order",
        "an unconfirmed order",
        "a cancelled order",
        "D1 a unit that is not set aside",
        "D1 more than is set aside",
        "S7 a recalled unit",
        "D5 a unit of another order",
        "S1 a unit on another shipment",
        "D6 a product never registered",
        "D6 a registration that ended yesterday",
        "D6 a registration of a lot that ended",
        "S7 a recalled lot",
        "D5 more of the lot than is reserved",
    ],
)
def test_all_leaves_or_nothing(changed: dict[str, Iterable[Event[Any]]], code: str) -> None:
    outcome = shipment(others={**READY, **changed}).when(SEND)
    outcome.refused(code)
    assert outcome.drafts == []


def test_what_expired_while_it_was_set_aside_stays_d5() -> None:
    known, *rest = lot_told(stents_for(4))
    expired = known.model_copy(update={"expires": EXPIRED_IN_MAY})
    shipment(others={**READY, LOT: (expired, *rest)}).when(SEND).refused("lot.expired")


@pytest.mark.parametrize(
    "goods",
    [{}, {"units": (SN1, SN1)}, {"quantities": (some_stents(1), some_stents(2))}],
    ids=["nothing", "a unit twice", "a lot twice"],
)
def test_a_shipment_carries_something_and_nothing_twice(goods: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"named twice|at least one"):
        DispatchShipment(number="DN-1", order=SO1, transport=ROAD, ship_to="放射科", **goods)


# Delivery


def test_a_shipment_is_handed_over_with_a_proof_s6() -> None:
    outcome = shipment(LOADED, others=ON_THE_ROAD).when(HAND_OVER, DN1).then(HANDED_OVER)
    assert outcome.also == {
        SO1: [delivered(unit(SN1), stents(4))],
        SN1: [told(SN1, ON_THE_ROAD[SN1], HANDED)[-1]],
        LOT: [told(LOT, ON_THE_ROAD[LOT], stents_handed(4))[-1]],
    }


def test_the_proof_is_the_fingerprint_of_a_document_s6() -> None:
    with pytest.raises(ValidationError):
        DeliverShipment(received_by="护士长 刘", evidence="a photograph")


def test_a_delivered_shipment_is_not_delivered_again() -> None:
    shipment(LOADED, HANDED_OVER, others=ON_THE_ROAD).when(HAND_OVER, DN1).then()


@pytest.mark.parametrize("history", [(PLANNED,), (PLANNED, GIVEN_UP)], ids=["planned", "given up"])
def test_only_what_is_on_its_way_is_delivered(history: tuple[Event[Any], ...]) -> None:
    shipment(*history).when(HAND_OVER, DN1).refused("shipment.wrong_stage", "not in transit")


@pytest.mark.parametrize("command", [GIVE_UP, HAND_OVER])
def test_a_shipment_nobody_announced_is_unknown(command: Any) -> None:
    shipment().when(command, DN1).refused("shipment.unknown")


def test_a_recall_on_the_road_does_not_stop_the_handover_of_what_has_left_s7() -> None:
    """S7 stops what has not left; on the road only the customer can set it aside."""
    held = unit_told(SN1, for_order(), ON_DN1, RECALL)
    outcome = shipment(LOADED, others={**ON_THE_ROAD, SN1: held}).when(HAND_OVER, DN1)
    outcome.then(HANDED_OVER)


def test_a_unit_that_travels_with_another_shipment_is_not_handed_over_s1() -> None:
    both = LOADED.model_copy(update={"units": (SN1, SN2)})
    elsewhere = {**ON_THE_ROAD, SN2: unit_told(SN2, for_order())}
    shipment(both, others=elsewhere).when(HAND_OVER, DN1).refused("unit.wrong_stage")
