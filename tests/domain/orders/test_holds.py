"""An order is promised when credit, price and licence allow it; else it is held, not lost (D4)."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from tests.domain.governance.licences import OPERATING, PRACTICE, checked, recorded
from tests.domain.orders.examples import (
    CERTIFIED,
    CONFIRMED,
    DN1,
    LIST_2026,
    MATRIX,
    MATRIX_OPENED,
    OPEN_GATES,
    PLACED,
    PROMISED,
    PUMP,
    PUMP_REGISTERED,
    ROAD,
    SN1,
    SO1,
    SO2,
    STENT,
    UNION,
    UNION_REGISTERED,
    UNPAID,
    WORLD,
    cancelled,
    cny,
    for_order,
    reserved,
    shipped,
    unit,
    unit_told,
    version_of,
)

from medsales.domain.governance.licence_file import (
    OWN,
    LicenceRevoked,
    LicenceScope,
    file_of,
)
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.ids import CreditAccountId
from medsales.domain.kernel import Event, Role
from medsales.domain.orders.cancelling import (
    CancelLine,
    CancelOrder,
    HoldRejected,
    OrderReopened,
    RejectHold,
    ReopenOrder,
)
from medsales.domain.orders.fulfilment import RecordDispatch, ReturnGoods
from medsales.domain.orders.holds import (
    ConfirmOrder,
    Hold,
    HoldReleased,
    OrderConfirmed,
    OrderHeld,
    ReleaseHold,
)
from medsales.domain.orders.order import CancelledLine, HoldKind, Order, OrderStatus
from medsales.domain.orders.shipment import DispatchShipment
from medsales.domain.terms.credit import CreditAgreed, CreditHeld
from medsales.domain.terms.credit_exposure import (
    CreditReserved,
    Ending,
    ReservationEnded,
    ReservationShipped,
    Stage,
)
from medsales.domain.terms.credit_group import GroupJoined, MemberJoined
from medsales.domain.terms.price_matrix import PriceCell, VersionRevoked, VersionSuspended
from medsales.testing import Outcome, given

WHY = "the head of finance has called them"
ACCOUNT, HEAD = CreditAccountId.of(UNION.key), CreditAccountId.of("group")
WHOLE = CreditReserved(customer=UNION, order=SO1, amount=cny("31000.00"), stage=Stage.CONFIRMED)


def limit_of(amount: str) -> CreditAgreed:
    return CreditAgreed(customer=UNION, limit=cny(amount), payment_days=30, reason="ok")


ENOUGH, SHORT = limit_of("31000"), limit_of("30999.99")
TOO_MUCH = Hold(
    kind=HoldKind.CREDIT,
    en="31000.00 CNY on top of 0 would be more than the 30999.99 agreed with 91330000470003281C",
    zh="现有敞口 0, 加上 31000.00 CNY 将超出 91330000470003281C 的额度 30999.99",
)
ON_CREDIT_HOLD = OrderHeld(customer=UNION, holds=(TOO_MUCH,), gates=OPEN_GATES)


def order(*history: Event[Any], **changed: Any) -> given:
    """An order with this history, in a world of which something has changed."""
    named = {
        "credit": ACCOUNT,
        "head": HEAD,
        "customer": UNION,
        "matrix": MATRIX,
        "pump": PUMP,
        "sn1": SN1,
        "own": OWN,
        "theirs": file_of(UNION),
    }
    return given(
        *history, others={**WORLD, **{named[name]: life for name, life in changed.items()}}
    )


def confirm(*history: Event[Any], **changed: Any) -> Outcome:
    return order(*history, **changed).when(ConfirmOrder(), SO1)


def released(
    kind: HoldKind, *history: Event[Any], by: str = "li", role: Role | None = None, **changed: Any
) -> Outcome:
    owner = {
        HoldKind.CREDIT: Role.FINANCE,
        HoldKind.PRICE: Role.MANAGER,
        HoldKind.LICENCE: Role.QUALITY,
    }[kind]
    return order(*history, **changed).when(
        ReleaseHold(kind=kind, reason=WHY), SO1, by=by, roles=(role or owner,)
    )


def holds_in(outcome: Outcome) -> dict[HoldKind, str]:
    (held,) = [event for event in outcome.events if isinstance(event, OrderHeld)]
    return {hold.kind: hold.en for hold in held.holds}


# Credit


def test_a_confirmation_and_its_reservation_are_one_decision_d4() -> None:
    outcome = confirm(PLACED, credit=(ENOUGH,)).then(PROMISED)
    assert outcome.also == {ACCOUNT: [WHOLE]}


def test_without_an_account_one_begins_with_the_reservation_d4() -> None:
    assert confirm(PLACED).then(PROMISED).also == {ACCOUNT: [WHOLE]}


def test_an_order_beyond_the_limit_is_held_and_nothing_is_reserved_k2() -> None:
    outcome = confirm(PLACED, credit=(SHORT,)).then(ON_CREDIT_HOLD)
    assert outcome.also == {}
    assert Order().after([PLACED, ON_CREDIT_HOLD]).status is OrderStatus.ON_HOLD


def test_a_held_order_is_not_confirmed_by_asking_again_k2() -> None:
    confirm(PLACED, ON_CREDIT_HOLD, credit=(limit_of("99999"),)).refused(
        "order.wrong_stage", "on hold, not placed"
    )


def test_dunning_holds_every_new_order() -> None:
    outcome = confirm(PLACED, credit=(ENOUGH, CreditHeld(reason="90 days overdue")))
    assert "is on hold" in holds_in(outcome)[HoldKind.CREDIT]


def test_the_parent_company_is_checked_too_k7() -> None:
    joined = GroupJoined(head=HEAD, reason="ok")
    head = (limit_of("99999"), MemberJoined(member=ACCOUNT, owed=()), CreditHeld(reason="late"))
    outcome = confirm(PLACED, credit=(ENOUGH, joined), head=head)
    assert HoldKind.CREDIT in holds_in(outcome)


def test_finance_releases_a_credit_hold_only_where_there_is_room_k2() -> None:
    held = (PLACED, ON_CREDIT_HOLD)
    released(HoldKind.CREDIT, *held, credit=(SHORT,)).refused(
        "order.hold_stands", "more than the 30999.99 agreed"
    )
    outcome = released(HoldKind.CREDIT, *held, credit=(SHORT, ENOUGH))
    outcome.then(HoldReleased(customer=UNION, kind=HoldKind.CREDIT, reason=WHY), PROMISED)
    assert outcome.also == {ACCOUNT: [WHOLE]}


@pytest.mark.parametrize("kind", HoldKind)
def test_a_hold_is_released_by_the_role_that_owns_it(kind: HoldKind) -> None:
    held = OrderHeld(customer=UNION, holds=(Hold(kind=kind, en="no", zh="否"),))
    for role in set(Role) - {Role.SYSTEM}:
        outcome = released(kind, PLACED, held, role=role)
        owned = {"credit": Role.FINANCE, "price": Role.MANAGER, "licence": Role.QUALITY}[kind]
        if role is owned:
            assert outcome.refusal is None
        else:
            outcome.refused("order.hold_of_others", f"decided by {owned.en}")


def test_nobody_releases_the_hold_of_an_order_he_placed() -> None:
    released(HoldKind.CREDIT, PLACED, ON_CREDIT_HOLD, by="chen", credit=(ENOUGH,)).refused(
        "order.hold_of_own"
    )


def test_nobody_releases_the_hold_of_an_order_he_opened_again() -> None:
    gone = cancelled((1, 2), (2, 10))
    again = order(*TAKEN, gone).when(ReopenOrder(reason=WHY), SO1, by="wang").events
    history = (*TAKEN, gone, *again, ON_CREDIT_HOLD)
    released(HoldKind.CREDIT, *history, by="wang", credit=(ENOUGH,)).refused("order.hold_of_own")
    assert released(HoldKind.CREDIT, *history, by="feng", credit=(ENOUGH,)).events


def test_a_hold_that_is_not_there_is_nothing_to_release() -> None:
    released(HoldKind.PRICE, PLACED, ON_CREDIT_HOLD).then()
    released(HoldKind.CREDIT, PLACED, CONFIRMED).refused("order.wrong_stage")


def test_a_hold_is_rejected_by_its_owner_and_the_order_cancelled() -> None:
    reject = RejectHold(kind=HoldKind.CREDIT, reason=WHY)
    held = order(PLACED, ON_CREDIT_HOLD)
    held.when(reject, SO1, roles=(Role.QUALITY,)).refused("order.hold_of_others")
    whole = cancelled((1, 2), (2, 10), reason=WHY)
    outcome = held.when(reject, SO1, roles=(Role.FINANCE,))
    outcome.then(HoldRejected(customer=UNION, kind=HoldKind.CREDIT, reason=WHY), whole)
    assert outcome.also == {}


def test_a_held_order_can_be_made_smaller_until_it_fits() -> None:
    fewer = order(PLACED, ON_CREDIT_HOLD).when(CancelLine(line=2, quantity=10, reason=WHY), SO1)
    held = (PLACED, ON_CREDIT_HOLD, *fewer.events)
    outcome = released(HoldKind.CREDIT, *held, credit=(SHORT,))
    assert outcome.also[ACCOUNT] == [WHOLE.model_copy(update={"amount": cny("24000.00")})]


# What becomes of the reservation

TAKEN = (PLACED, PROMISED)
FOR_ONE = cny("12000.00")


def test_cancelling_ends_the_reservation_k3_d4() -> None:
    whole = order(*TAKEN, credit=(ENOUGH, WHOLE)).when(CancelOrder(reason=WHY), SO1)
    ended = {"order": SO1, "stage": Stage.CONFIRMED, "why": Ending.CANCELLED}
    assert whole.also == {ACCOUNT: [ReservationEnded(amount=cny("31000.00"), **ended)]}
    part = order(*TAKEN, credit=(ENOUGH, WHOLE)).when(
        CancelLine(line=1, quantity=1, reason=WHY), SO1
    )
    assert part.also == {ACCOUNT: [ReservationEnded(amount=FOR_ONE, **ended)]}


def test_what_is_dispatched_is_shipped_on_the_account_d4() -> None:
    history = (*TAKEN, reserved(unit(SN1)))
    outcome = order(*history, credit=(ENOUGH, WHOLE)).when(
        RecordDispatch(shipment=DN1, units=(SN1,)), SO1
    )
    assert outcome.also == {ACCOUNT: [ReservationShipped(order=SO1, amount=FOR_ONE)]}


def test_an_order_of_before_credit_was_kept_touches_no_account() -> None:
    history = (PLACED, CONFIRMED, reserved(unit(SN1)))
    outcome = order(*history).when(RecordDispatch(shipment=DN1, units=(SN1,)), SO1)
    assert outcome.also == {}
    assert order(PLACED, CONFIRMED).when(CancelOrder(reason=WHY), SO1).also == {}


def test_what_is_returned_is_owed_no_longer_d4() -> None:
    sn1 = unit_told(SN1, for_order())
    history = (*TAKEN, reserved(unit(SN1)), shipped(unit(SN1)))
    on_account = (ENOUGH, WHOLE, ReservationShipped(order=SO1, amount=FOR_ONE))
    arrived = order(*history, credit=on_account, sn1=sn1)
    assert arrived.when(ReturnGoods(units=(SN1,), reason=WHY), SO1).refusal is not None
    state = Order().after([*history])
    assert state.reserved
    assert state.worth({1: 1}) == FOR_ONE


# Prices

REVOKED = (MATRIX_OPENED, *LIST_2026, VersionRevoked(number=1, reason="a typing error"))
SUSPENDED = (MATRIX_OPENED, *LIST_2026, VersionSuspended(number=1, reason="under review"))
CHEAPER = version_of(2, date(2026, 5, 1), PriceCell(product=PUMP, price=cny("1.00")))


@pytest.mark.parametrize("matrix", [REVOKED, SUSPENDED], ids=["revoked", "suspended"])
def test_an_order_at_a_price_that_was_given_up_is_held(matrix: Any) -> None:
    outcome = confirm(PLACED, matrix=matrix)
    assert "version 1 of the prices is" in holds_in(outcome)[HoldKind.PRICE]


def test_a_manager_lets_the_price_stand() -> None:
    held = OrderHeld(customer=UNION, holds=(Hold(kind=HoldKind.PRICE, en="revoked", zh="已撤销"),))
    outcome = released(HoldKind.PRICE, PLACED, held, matrix=REVOKED)
    outcome.then(HoldReleased(customer=UNION, kind=HoldKind.PRICE, reason=WHY), PROMISED)


def test_a_newer_price_changes_nothing_for_an_order_already_placed_d3() -> None:
    confirm(PLACED, matrix=(MATRIX_OPENED, *LIST_2026, *CHEAPER)).then(PROMISED)


def test_every_hold_is_released_before_the_order_is_confirmed() -> None:
    both = confirm(PLACED, matrix=REVOKED, credit=(SHORT,))
    assert set(holds_in(both)) == {HoldKind.CREDIT, HoldKind.PRICE}
    held = (PLACED, *both.events)
    first = released(HoldKind.PRICE, *held, matrix=REVOKED, credit=(SHORT,))
    first.then(HoldReleased(customer=UNION, kind=HoldKind.PRICE, reason=WHY))
    second = released(HoldKind.CREDIT, *held, *first.events, matrix=REVOKED, credit=(SHORT, ENOUGH))
    assert second.events[-1] == PROMISED


def test_what_no_longer_fits_when_the_last_hold_goes_is_held_again_k2() -> None:
    both = confirm(PLACED, matrix=REVOKED, credit=(SHORT,))
    first = released(HoldKind.CREDIT, PLACED, *both.events, matrix=REVOKED, credit=(ENOUGH,))
    history = (PLACED, *both.events, *first.events)
    last = released(HoldKind.PRICE, *history, matrix=REVOKED, credit=(SHORT,))
    assert isinstance(last.events[0], HoldReleased)
    assert set(holds_in(last)) == {HoldKind.CREDIT}
    assert last.also == {}


# Licences

CLASSED = (PUMP_REGISTERED.model_copy(update={"device_class": DeviceClass.III}), CERTIFIED)
OURS = recorded("own", OPERATING.model_copy(update={"scope": LicenceScope()}))
THEIRS = (*recorded(UNION, PRACTICE), checked(PRACTICE))


def licensed(**changed: Any) -> dict[str, Any]:
    return {"pump": CLASSED, "own": OURS, "theirs": THEIRS, **changed}


def test_what_needs_a_licence_is_held_until_one_is_on_file_lic_3_lic_4() -> None:
    held = confirm(PLACED, pump=CLASSED)
    assert holds_in(held)[HoldKind.LICENCE].startswith("LIC-3: ")
    released(HoldKind.LICENCE, PLACED, *held.events, pump=CLASSED).refused("order.hold_stands")
    outcome = released(HoldKind.LICENCE, PLACED, *held.events, **licensed())
    assert [type(event) for event in outcome.events] == [HoldReleased, OrderConfirmed]


def test_a_confirmation_keeps_what_its_gates_saw_lic_7() -> None:
    (confirmed,) = confirm(PLACED, **licensed()).events
    assert isinstance(confirmed, OrderConfirmed)
    assert [(gate.gate, gate.passed) for gate in confirmed.gates] == [
        ("LIC-3", True),
        ("LIC-4", True),
    ]
    assert [seen.number for gate in confirmed.gates for seen in gate.inputs] == [
        PRACTICE.number,
        OPERATING.number,
    ]


SEND = DispatchShipment(number="DN-1", order=SO1, units=(SN1,), transport=ROAD, ship_to="3 楼")


def test_licences_are_looked_at_again_when_goods_leave_lic_8() -> None:
    ready: dict[str, Any] = {
        SO1: (PLACED, CONFIRMED, reserved(unit(SN1))),
        SN1: unit_told(SN1, for_order()),
        PUMP: CLASSED,
        OWN: OURS,
        file_of(UNION): THEIRS,
    }
    (left,) = given(others={**WORLD, **ready}).when(SEND).events
    assert [gate.gate for gate in left.gates] == ["LIC-3", "LIC-4"]  # type: ignore[attr-defined]
    gone = LicenceRevoked(
        number=PRACTICE.number, kind=PRACTICE.kind, on=date(2026, 5, 1), reason="closed"
    )
    ready[file_of(UNION)] = (*THEIRS, gone)
    given(others={**WORLD, **ready}).when(SEND).refused("licence.revoked")


def test_goods_that_need_no_licence_leave_while_others_of_the_order_may_not_lic_8() -> None:
    ready: dict[str, Any] = {
        SO1: (PLACED, CONFIRMED, reserved(unit(SN1))),
        SN1: unit_told(SN1, for_order()),
        STENT: (
            WORLD_STENT.model_copy(update={"device_class": DeviceClass.III}),
            CERTIFIED,
        ),
    }
    assert given(others={**WORLD, **ready}).when(SEND).refusal is None


WORLD_STENT: Any = next(iter(WORLD[STENT]))

# Opening again


def test_a_cancelled_order_is_opened_again_as_it_was_and_must_be_confirmed_again_d4() -> None:
    history = (*TAKEN, cancelled((1, 2), (2, 10)))
    outcome = order(*history).when(ReopenOrder(reason=WHY), SO1)
    lines = (CancelledLine(line=1, quantity=2), CancelledLine(line=2, quantity=10))
    outcome.then(OrderReopened(customer=UNION, lines=lines, reason=WHY, reopened_by="chen"))
    assert outcome.also == {}
    state = Order().after([*history, *outcome.events])
    assert (state.status, state.reserved) == (OrderStatus.PLACED, False)
    assert state.lines == Order().after([PLACED]).lines


def test_what_was_cancelled_before_stays_cancelled_when_the_order_is_opened_again() -> None:
    less = cancelled((2, 4), status=OrderStatus.CONFIRMED)
    rest = cancelled((1, 2), (2, 6), status=OrderStatus.CANCELLED)
    outcome = order(*TAKEN, less, rest).when(ReopenOrder(reason=WHY), SO1)
    state = Order().after([*TAKEN, less, rest, *outcome.events])
    assert (state.lines[1].cancelled, state.lines[2].cancelled) == (0, 4)


def test_opening_an_order_again_is_no_way_around_the_credit_check_k2() -> None:
    """It was confirmed once, when there was room; now there is none."""
    gone = cancelled((1, 2), (2, 10))
    history = (*TAKEN, gone)
    again = order(*history).when(ReopenOrder(reason=WHY), SO1).events
    other = CreditReserved(customer=UNION, order=SO2, amount=cny("1"), stage=Stage.CONFIRMED)
    outcome = confirm(*history, *again, credit=(ENOUGH, other))
    assert set(holds_in(outcome)) == {HoldKind.CREDIT}


def test_opening_an_order_again_is_no_way_back_to_an_old_price_d3() -> None:
    history = (*TAKEN, cancelled((1, 2), (2, 10)))
    again = order(*history).when(ReopenOrder(reason=WHY), SO1).events
    dearer = PriceCell(product=PUMP, price=cny("20000.00"))
    same = PriceCell(product=STENT, price=cny("700.00"))
    newer = version_of(2, date(2026, 5, 1), dearer, same)
    outcome = confirm(*history, *again, matrix=(MATRIX_OPENED, *LIST_2026, *newer))
    assert "costs 20000.00 CNY on 2026-06-01, not 12000.00" in holds_in(outcome)[HoldKind.PRICE]


@pytest.mark.parametrize(
    "history",
    [
        (PLACED,),
        TAKEN,
        (*TAKEN, reserved(unit(SN1)), shipped(unit(SN1)), cancelled((1, 1), (2, 10))),
    ],
    ids=["placed", "confirmed", "partly shipped"],
)
def test_only_a_cancelled_order_is_opened_again(history: tuple[Event[Any], ...]) -> None:
    order(*history).when(ReopenOrder(reason=WHY), SO1).refused("order.wrong_stage")


def test_nothing_is_opened_again_for_a_suspended_customer() -> None:
    order(*TAKEN, cancelled((1, 2), (2, 10)), customer=(UNION_REGISTERED, UNPAID)).when(
        ReopenOrder(reason=WHY), SO1
    ).refused("customer.suspended")


def test_a_day_is_that_of_the_confirmation() -> None:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    (confirmed,) = order(PLACED).when(ConfirmOrder(), SO1, at=at).events
    assert {gate.on for gate in confirmed.gates} == {date(2026, 7, 1)}  # type: ignore[attr-defined]
