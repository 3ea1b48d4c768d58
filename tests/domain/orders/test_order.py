from collections.abc import Iterable
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError
from tests.domain.orders.examples import (
    CANCER,
    CONFIRMED,
    DN1,
    EXPIRED_IN_MAY,
    HANDED,
    HANGZHOU,
    LIST_2026,
    LOT,
    MATRIX,
    MATRIX_OPENED,
    ON_DN1,
    OPEN_GATES,
    PLACED,
    PROMISED,
    PUMP,
    PUMP_REGISTERED,
    SN1,
    SN2,
    SN3,
    SO1,
    SO2,
    STENT,
    UNION,
    UNION_REGISTERED,
    UNPAID,
    WORLD,
    WUHAN,
    cancelled,
    cny,
    delivered,
    for_order,
    line,
    lot_told,
    opened,
    placed_as,
    reserved,
    shipped,
    some_stents,
    stents,
    stents_for,
    stents_handed,
    stents_on_dn1,
    told,
    unit,
    unit_received,
    unit_told,
    version_of,
)

from medsales.domain.ids import CustomerId, OrderId, ProductId
from medsales.domain.kernel import Event
from medsales.domain.orders.cancelling import CancelLine, CancelOrder
from medsales.domain.orders.fulfilment import (
    GoodsReleased,
    GoodsReturned,
    PlacedUnitsSold,
    RecordDelivery,
    RecordDispatch,
    ReleaseGoods,
    ReserveGoods,
    ReturnGoods,
    SellPlacedUnits,
)
from medsales.domain.orders.holds import ConfirmOrder
from medsales.domain.orders.order import Order, OrderStatus
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.stock.device_unit import (
    HoldUnit,
    InspectUnit,
    InstallUnit,
    Placement,
    ReleaseUnit,
    ReturnUnit,
    SellPlacedUnit,
    TakeBackUnit,
)
from medsales.domain.stock.lot import HoldLot, ReleaseLot, ReturnLot
from medsales.domain.stock.warehouse import WarehouseClosed
from medsales.domain.terms.price_matrix import PriceCell, PriceMatrix
from medsales.testing import given

WHY = "the ward is not built"


def order(*history: Event[Any], **changed: Iterable[Event[Any]]) -> given:
    """An order with this history, in a world of examples of which some have changed."""
    named = {"customer": UNION, "lot": LOT, "sn1": SN1, "sn2": SN2, "matrix": MATRIX, "pump": PUMP}
    return given(
        *history, others={**WORLD, **{named[name]: life for name, life in changed.items()}}
    )


def placing(
    *lines: tuple[ProductId, int], customer: CustomerId = UNION, number: str = "SO-1"
) -> PlaceOrder:
    wanted = tuple(WantedLine(product=product, quantity=quantity) for product, quantity in lines)
    return PlaceOrder(number=number, customer=customer, price_matrix=MATRIX, lines=wanted)


PLACE = placing((PUMP, 2), (STENT, 10))

# Placing


def test_an_order_keeps_price_version_and_rule_of_every_line_d3() -> None:
    outcome = order().when(PLACE).then(PLACED)
    assert outcome.subject == SO1


def test_placing_the_same_order_again_changes_nothing_d8() -> None:
    order(PLACED).when(PLACE).then()


def test_a_repeat_is_harmless_even_when_the_customer_has_been_suspended_since() -> None:
    order(PLACED, customer=(UNION_REGISTERED, UNPAID)).when(PLACE).then()


@pytest.mark.parametrize(
    "other",
    [
        placing((PUMP, 3), (STENT, 10)),
        placing((STENT, 10), (PUMP, 2)),
        placing((PUMP, 2), (STENT, 10), customer=CANCER),
    ],
    ids=["another quantity", "other lines", "another customer"],
)
def test_an_order_number_is_used_once_d8(other: PlaceOrder) -> None:
    order(PLACED).when(other).refused("order.number_taken", "SO-1")


def test_an_order_number_is_used_for_one_price_matrix_d8() -> None:
    other = PLACE.model_copy(update={"price_matrix": MATRIX + "-VIP"})
    others = {**WORLD, MATRIX + "-VIP": (MATRIX_OPENED, *LIST_2026)}
    given(PLACED, others=others).when(other).refused("order.number_taken")


def test_a_suspended_customer_cannot_order() -> None:
    order(customer=(UNION_REGISTERED, UNPAID)).when(PLACE).refused("customer.suspended", "unpaid")


@pytest.mark.parametrize(
    ("unknown", "code"),
    [
        ("customer", "customer.unknown"),
        ("matrix", "price-matrix.unknown"),
        ("pump", "product.unknown"),
    ],
)
def test_what_an_order_names_must_exist(unknown: str, code: str) -> None:
    order(**{unknown: ()}).when(PLACE).refused(code)


def test_what_has_no_price_cannot_be_ordered() -> None:
    order(matrix=(MATRIX_OPENED,)).when(PLACE).refused("price.none", "on 2026-06-01")


def test_the_price_is_the_one_in_force_when_the_order_takes_effect_d3() -> None:
    dearer = version_of(2, date(2026, 6, 2), PriceCell(product=PUMP, price=cny("13000.00")))
    prices = (MATRIX_OPENED, *LIST_2026, *dearer)
    (placed,) = order(matrix=prices).when(placing((PUMP, 1))).events
    assert placed.lines[0].price == cny("12000.00")  # type: ignore[attr-defined]


def test_a_late_version_in_the_past_does_not_change_an_order_already_placed_p7_d3() -> None:
    cheaper = version_of(2, date(2026, 1, 1), PriceCell(product=PUMP, price=cny("9000.00")))
    prices = (MATRIX_OPENED, *LIST_2026, *cheaper)
    assert PriceMatrix().after(prices).in_force(date(2026, 6, 1)).number == 2  # type: ignore[union-attr]
    order(PLACED, matrix=prices).when(PLACE).then()
    assert Order().after([PLACED, CONFIRMED]).placed == PLACED


# Confirming


def test_a_placed_order_is_confirmed() -> None:
    order(PLACED).when(ConfirmOrder(), SO1).then(PROMISED)


def test_a_confirmed_order_is_not_confirmed_again() -> None:
    order(PLACED, CONFIRMED).when(ConfirmOrder(), SO1).then()


def test_a_cancelled_order_cannot_be_confirmed() -> None:
    order(PLACED, cancelled((1, 2), (2, 10))).when(ConfirmOrder(), SO1).refused(
        "order.wrong_stage", "the order is cancelled, not placed"
    )


def test_nothing_is_promised_to_a_suspended_customer() -> None:
    order(PLACED, customer=(UNION_REGISTERED, UNPAID)).when(ConfirmOrder(), SO1).refused(
        "customer.suspended"
    )


def test_an_order_that_was_never_placed_is_unknown() -> None:
    order().when(ConfirmOrder(), SO1).refused("order.unknown", "there is no order:SO-1")


# Reserving

TAKEN = {"sn1": unit_told(SN1, for_order()), "lot": lot_told(stents_for(4))}


def added(id: str, history: Iterable[Event[Any]], command: Any) -> list[Event[Any]]:
    """What the unit or lot itself says to what the order asks of it."""
    before = list(history)
    return list(told(id, before, command))[len(before) :]


SECURE = ReserveGoods(units=(SN1,), quantities=(some_stents(4),))


def test_goods_are_set_aside_together_with_the_units_and_lots_themselves_d5() -> None:
    outcome = order(PLACED, CONFIRMED).when(SECURE, SO1).then(reserved(unit(SN1), stents(4)))
    assert outcome.also == {
        SN1: added(SN1, WORLD[SN1], for_order()),
        LOT: added(LOT, WORLD[LOT], stents_for(4)),
    }


def test_a_unit_that_is_set_aside_already_is_not_set_aside_again() -> None:
    order(PLACED, CONFIRMED, reserved(unit(SN1)), sn1=TAKEN["sn1"]).when(
        ReserveGoods(units=(SN1,)), SO1
    ).then()


def test_goods_fill_several_lines_of_the_same_product_in_turn_d1() -> None:
    two_lines = PLACED.model_copy(
        update={"lines": tuple(line(n, STENT, 3, "800.00", "any") for n in (1, 2))}
    )
    order(two_lines, CONFIRMED).when(ReserveGoods(quantities=(some_stents(5),)), SO1).then(
        reserved(stents(3, line=1), stents(2, line=2))
    )


def test_nothing_is_set_aside_before_the_order_is_confirmed() -> None:
    order(PLACED).when(SECURE, SO1).refused("order.wrong_stage", "placed, not confirmed")


@pytest.mark.parametrize(
    "too_much",
    [ReserveGoods(units=(SN1, SN2, SN3)), ReserveGoods(quantities=(some_stents(11),))],
    ids=["units", "lots"],
)
def test_no_more_is_set_aside_than_was_ordered_d1(too_much: ReserveGoods) -> None:
    order(PLACED, CONFIRMED, lot=lot_told(quantity=20)).when(too_much, SO1).refused(
        "order.more_than_open", "still needs 1 of"
    )


def test_no_more_is_set_aside_than_ordered_minus_cancelled_d1() -> None:
    order(PLACED, CONFIRMED, cancelled((1, 1))).when(ReserveGoods(units=(SN1, SN2)), SO1).refused(
        "order.more_than_open"
    )


def test_what_was_shipped_and_returned_is_not_sent_again_under_the_same_order_d1() -> None:
    history = (reserved(unit(SN1), unit(SN2)), shipped(unit(SN1), unit(SN2)))
    order(PLACED, CONFIRMED, *history).when(ReserveGoods(units=(SN3,)), SO1).refused(
        "order.more_than_open"
    )


HOLD = HoldUnit(hold="Q-2026-7", reason="a cracked housing")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (
            {"sn1": told(SN1, unit_received("SN1", EXPIRED_IN_MAY), InspectUnit(passed=True))},
            "unit.expired",
        ),
        ({"sn1": unit_received("SN1")}, "unit.not_released"),
        ({"sn1": unit_told(SN1, HOLD)}, "unit.held"),
        ({"sn1": unit_told(SN1, for_order(SO2))}, "unit.wrong_stage"),
        ({"sn1": ()}, "device-unit.unknown"),
        ({"lot": lot_told(expires=EXPIRED_IN_MAY)}, "lot.expired"),
        ({"lot": lot_told(HoldLot(hold="Q-1", reason="a leak"))}, "lot.held"),
        ({"lot": lot_told(stents_for(7, SO2))}, "lot.not_enough_free"),
        ({"lot": ()}, "lot.unknown"),
    ],
    ids=[
        "an expired unit",
        "a unit in quarantine",
        "a held unit",
        "a unit of another order",
        "an unknown unit",
        "an expired lot",
        "a held lot",
        "a lot reserved elsewhere",
        "an unknown lot",
    ],
)
def test_all_is_set_aside_or_nothing_d5(changed: dict[str, Any], code: str) -> None:
    outcome = order(PLACED, CONFIRMED, **changed).when(SECURE, SO1)
    outcome.refused(code)
    assert outcome.drafts == []


def test_a_used_unit_is_set_aside_only_when_the_customer_knows_u5() -> None:
    used = unit_told(
        SN1,
        for_order(),
        ON_DN1,
        HANDED,
        ReturnUnit(order=SO1, reason=WHY),
        TakeBackUnit(warehouse=HANGZHOU),
        InspectUnit(passed=True),
    )
    confirmed = order(PLACED, CONFIRMED, sn1=used)
    confirmed.when(ReserveGoods(units=(SN1,)), SO1).refused("unit.used", "the sale must say so")
    outcome = confirmed.when(ReserveGoods(units=(SN1,), used_disclosed=True), SO1)
    outcome.then(reserved(unit(SN1)))
    assert outcome.also[SN1][0].disclosed_as_used  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"units": (SN1, SN1)},
        {"quantities": (some_stents(1), some_stents(2, WUHAN))},
    ],
    ids=["nothing", "a unit twice", "a lot twice"],
)
@pytest.mark.parametrize("command", [ReserveGoods, ReleaseGoods, ReturnGoods])
def test_goods_are_named_once_and_at_least_one(command: Any, named: dict[str, Any]) -> None:
    reason = {} if command is ReserveGoods else {"reason": WHY}
    with pytest.raises(ValidationError, match=r"named twice|at least one"):
        command(**named, **reason)


# Releasing

SECURED = reserved(unit(SN1), stents(4))
FREE = ReleaseGoods(units=(SN1,), quantities=(some_stents(3),), reason=WHY)


def test_goods_are_freed_together_with_the_units_and_lots_themselves() -> None:
    outcome = order(PLACED, CONFIRMED, SECURED, **TAKEN).when(FREE, SO1)
    outcome.then(GoodsReleased(customer=UNION, goods=(unit(SN1), stents(3)), reason=WHY))
    assert outcome.also == {
        SN1: added(SN1, TAKEN["sn1"], ReleaseUnit(order=SO1)),
        LOT: added(LOT, TAKEN["lot"], ReleaseLot(order=SO1, warehouse=HANGZHOU, quantity=3)),
    }


@pytest.mark.parametrize(
    "foreign",
    [
        ReleaseGoods(units=(SN2,), reason=WHY),
        ReleaseGoods(quantities=(some_stents(5),), reason=WHY),
        ReleaseGoods(quantities=(some_stents(1, WUHAN),), reason=WHY),
    ],
    ids=["another unit", "too much", "another warehouse"],
)
def test_only_what_is_set_aside_can_be_freed(foreign: ReleaseGoods) -> None:
    order(PLACED, CONFIRMED, SECURED, **TAKEN).when(foreign, SO1).refused(
        "order.goods_foreign", "not set aside"
    )


def test_goods_that_are_free_cannot_be_freed_again() -> None:
    freed = GoodsReleased(customer=UNION, goods=(unit(SN1), stents(4)), reason=WHY)
    order(PLACED, CONFIRMED, SECURED, freed).when(FREE, SO1).refused("order.goods_foreign")


# Cancelling

CANCEL = CancelOrder(reason=WHY)


def test_an_order_is_cancelled_as_a_whole() -> None:
    order(PLACED).when(CANCEL, SO1).then(cancelled((1, 2), (2, 10)))


def test_what_was_set_aside_for_a_cancelled_order_is_free_again_d2() -> None:
    outcome = order(PLACED, CONFIRMED, SECURED, **TAKEN).when(CANCEL, SO1)
    outcome.then(
        GoodsReleased(customer=UNION, goods=(unit(SN1), stents(4)), reason=WHY),
        cancelled((1, 2), (2, 10)),
    )
    assert outcome.also.keys() == {SN1, LOT}


LEFT = (PLACED, CONFIRMED, SECURED, shipped(unit(SN1), stents(4)))


def test_what_has_been_shipped_is_not_cancelled_d2() -> None:
    order(*LEFT).when(CANCEL, SO1).then(cancelled((1, 1), (2, 6)))


@pytest.mark.parametrize(
    "history",
    [(PLACED, cancelled((1, 2), (2, 10))), (*LEFT, cancelled((1, 1), (2, 6)))],
    ids=["all cancelled", "the rest cancelled"],
)
def test_a_cancelled_order_is_not_cancelled_again(history: tuple[Event[Any], ...]) -> None:
    order(*history).when(CANCEL, SO1).then()


def test_an_order_that_has_left_altogether_can_only_be_returned_d2() -> None:
    all_of_it = (unit(SN1), unit(SN2), stents(10))
    order(PLACED, CONFIRMED, reserved(*all_of_it), shipped(*all_of_it)).when(CANCEL, SO1).refused(
        "order.all_shipped", "it can only be returned"
    )


@pytest.mark.parametrize(
    ("history", "status"),
    [((PLACED,), OrderStatus.PLACED), ((PLACED, CONFIRMED), OrderStatus.CONFIRMED)],
    ids=["placed", "confirmed"],
)
def test_some_pieces_of_a_line_are_cancelled(
    history: tuple[Event[Any], ...], status: OrderStatus
) -> None:
    some = CancelLine(line=2, quantity=3, reason=WHY)
    order(*history).when(some, SO1).then(cancelled((2, 3), status=status))


def test_no_more_is_cancelled_than_is_neither_shipped_nor_set_aside_d2() -> None:
    history = (*LEFT, reserved(stents(2)))
    order(*history).when(CancelLine(line=2, quantity=5, reason=WHY), SO1).refused(
        "order.cancel_too_much", "4 of line 2 can be cancelled, not 5"
    )
    order(*history).when(CancelLine(line=2, quantity=4, reason=WHY), SO1).then(cancelled((2, 4)))


def test_a_line_the_order_does_not_have_cannot_be_cancelled() -> None:
    order(PLACED).when(CancelLine(line=3, quantity=1, reason=WHY), SO1).refused(
        "order.line_unknown", "no line 3"
    )


def test_nothing_of_a_cancelled_order_is_cancelled_again() -> None:
    order(PLACED, cancelled((1, 2), (2, 10))).when(
        CancelLine(line=2, quantity=1, reason=WHY), SO1
    ).refused("order.wrong_stage")


def test_an_order_whose_lines_are_cancelled_one_by_one_is_cancelled() -> None:
    order(PLACED, cancelled((1, 2)), cancelled((2, 10), status=OrderStatus.CANCELLED)).when(
        ConfirmOrder(), SO1
    ).refused("order.wrong_stage", "cancelled")


# Dispatch and delivery, as a shipment asks for them


def test_what_a_shipment_takes_along_is_no_longer_set_aside_d1() -> None:
    take = RecordDispatch(shipment=DN1, units=(SN1,), quantities=(some_stents(3),))
    order(PLACED, CONFIRMED, SECURED).when(take, SO1).then(shipped(unit(SN1), stents(3)))


def test_only_what_is_set_aside_is_shipped_d1() -> None:
    order(PLACED, CONFIRMED, SECURED).when(RecordDispatch(shipment=DN1, units=(SN2,)), SO1).refused(
        "order.goods_foreign", "not set aside"
    )


def test_nothing_is_shipped_of_an_unconfirmed_order() -> None:
    order(PLACED).when(RecordDispatch(shipment=DN1, units=(SN1,)), SO1).refused("order.wrong_stage")


def test_the_order_notes_what_a_shipment_handed_over() -> None:
    order(*LEFT).when(RecordDelivery(shipment=DN1), SO1).then(delivered(unit(SN1), stents(4)))


@pytest.mark.parametrize(
    "history",
    [(PLACED, CONFIRMED, SECURED), (*LEFT, delivered(unit(SN1), stents(4)))],
    ids=["before dispatch", "a second time"],
)
def test_a_shipment_hands_over_only_what_it_carries_s2(history: tuple[Event[Any], ...]) -> None:
    order(*history).when(RecordDelivery(shipment=DN1), SO1).refused("order.shipment_foreign")


# Selling what stands at the customer

SELL = SellPlacedUnits(units=(SN1,), used_disclosed=True)


@pytest.mark.parametrize("placement", [Placement.DEMO, Placement.LOAN, Placement.RENTAL])
def test_a_unit_on_trial_is_sold_where_it_stands_when_the_customer_knows_u5(
    placement: Placement,
) -> None:
    on_trial = unit_told(SN1, placed_as(placement))
    outcome = order(PLACED, CONFIRMED, sn1=on_trial).when(SELL, SO1)
    outcome.then(PlacedUnitsSold(customer=UNION, goods=(unit(SN1),), gates=OPEN_GATES))
    sell = SellPlacedUnit(order=SO1, customer=UNION, used_disclosed=True)
    assert outcome.also == {SN1: added(SN1, on_trial, sell)}


def test_a_unit_on_trial_is_not_sold_as_new_u5() -> None:
    order(PLACED, CONFIRMED, sn1=unit_told(SN1, placed_as())).when(
        SellPlacedUnits(units=(SN1,)), SO1
    ).refused("unit.used", "the sale must say so")


def test_a_consigned_unit_is_new_and_is_sold_by_an_order_once_u6() -> None:
    consigned = unit_told(SN1, placed_as(Placement.CONSIGNMENT))
    outcome = order(PLACED, CONFIRMED, sn1=consigned).when(SellPlacedUnits(units=(SN1,)), SO1)
    outcome.then(PlacedUnitsSold(customer=UNION, goods=(unit(SN1),), gates=OPEN_GATES))
    sold = outcome.also[SN1]
    order(PLACED, CONFIRMED, *outcome.events, sn1=(*consigned, *sold)).when(SELL, SO1).refused(
        "placement.none"
    )


@pytest.mark.parametrize(
    ("history", "sn1", "code"),
    [
        ((PLACED,), unit_told(SN1, placed_as()), "order.wrong_stage"),
        ((PLACED, CONFIRMED), unit_told(SN1), "unit.wrong_stage"),
        ((PLACED, CONFIRMED), unit_told(SN1, placed_as(customer=CANCER)), "placement.none"),
        ((PLACED, CONFIRMED), unit_told(SN1, placed_as(), HOLD), "unit.held"),
        ((PLACED, CONFIRMED), unit_told(SN1, for_order(), ON_DN1, HANDED), "placement.none"),
        (
            (PLACED, CONFIRMED, cancelled((1, 2))),
            unit_told(SN1, placed_as()),
            "order.more_than_open",
        ),
    ],
    ids=["not confirmed", "in stock", "elsewhere", "held", "sold already", "not ordered"],
)
def test_only_a_fit_unit_placed_with_the_customer_is_sold_where_it_stands(
    history: tuple[Event[Any], ...], sn1: tuple[Event[Any], ...], code: str
) -> None:
    order(*history, sn1=sn1).when(SELL, SO1).refused(code)


def test_a_product_without_a_valid_registration_is_not_sold_d6() -> None:
    order(PLACED, CONFIRMED, sn1=unit_told(SN1, placed_as()), pump=(PUMP_REGISTERED,)).when(
        SELL, SO1
    ).refused("registration.not_valid", "2026-06-01")


# Returns

ARRIVED = (*LEFT, delivered(unit(SN1), stents(4)))
AT_UNION = {
    "sn1": unit_told(SN1, for_order(), ON_DN1, HANDED),
    "lot": lot_told(stents_for(4), stents_on_dn1(4), stents_handed(4)),
}
BRING_BACK = ReturnGoods(units=(SN1,), quantities=(some_stents(3),), reason=WHY)
RETURNED = GoodsReturned(customer=UNION, goods=(unit(SN1), stents(3, None)), reason=WHY)


def test_delivered_goods_are_returned_together_with_the_units_and_lots_themselves_d7() -> None:
    outcome = order(*ARRIVED, **AT_UNION).when(BRING_BACK, SO1).then(RETURNED)
    lot_back = ReturnLot(order=SO1, customer=UNION, warehouse=HANGZHOU, quantity=3, reason=WHY)
    assert outcome.also == {
        SN1: added(SN1, AT_UNION["sn1"], ReturnUnit(order=SO1, reason=WHY)),
        LOT: added(LOT, AT_UNION["lot"], lot_back),
    }


def test_goods_come_back_to_any_warehouse_d7() -> None:
    outcome = order(*ARRIVED, **AT_UNION).when(
        ReturnGoods(quantities=(some_stents(1, WUHAN),), reason=WHY), SO1
    )
    assert outcome.also[LOT][0].moved.destination.holder == WUHAN  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("history", "back"),
    [
        (ARRIVED, ReturnGoods(units=(SN2,), reason=WHY)),
        (ARRIVED, ReturnGoods(quantities=(some_stents(5),), reason=WHY)),
        (LEFT, BRING_BACK),
        ((*ARRIVED, RETURNED), BRING_BACK),
    ],
    ids=["another unit", "too much", "still on the way", "returned already"],
)
def test_only_what_was_delivered_under_the_order_is_returned_d7(
    history: tuple[Event[Any], ...], back: ReturnGoods
) -> None:
    order(*history, **AT_UNION).when(back, SO1).refused("order.goods_foreign", "not delivered")


def test_returned_goods_need_a_warehouse_that_is_open() -> None:
    closed = (opened("杭州仓"), WarehouseClosed(reason="moved"))
    given(
        *ARRIVED, others={**WORLD, HANGZHOU: closed, SN1: AT_UNION["sn1"], LOT: AT_UNION["lot"]}
    ).when(BRING_BACK, SO1).refused("warehouse.closed")


def test_an_installed_unit_is_taken_down_before_it_is_returned() -> None:
    installed = told(SN1, AT_UNION["sn1"], InstallUnit(department="放射科"))
    order(*ARRIVED, sn1=installed).when(ReturnGoods(units=(SN1,), reason=WHY), SO1).refused(
        "unit.wrong_stage", "installed, not at site"
    )


@pytest.mark.parametrize("command", [SECURE, FREE, CANCEL, BRING_BACK, SELL])
def test_nothing_can_be_done_with_an_order_nobody_placed(command: Any) -> None:
    order().when(command, OrderId("order:SO-9")).refused("order.unknown")
