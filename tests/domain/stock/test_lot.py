"""A lot: its quantities move between places and are conserved (U11); a hold stops all of it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.domain.examples import (
    CHENGDU,
    HANGZHOU,
    ORDER,
    OTHER_ORDER,
    OTHER_SHIPMENT,
    PUMP,
    PUMP_DI,
    RUIJIN,
    SHIPMENT,
    SUTURE,
    SUTURE_DI,
    SUTURE_LOT,
    UNION,
    label,
)
from tests.domain.stock.town import Town, founded

from medsales.domain.ids import LotId, PartyId, ProductId
from medsales.domain.kernel import Command
from medsales.domain.stock.lot import (
    DeliverLot,
    HoldLot,
    InspectLot,
    LiftLotHold,
    Lot,
    LotHeld,
    LotHoldLifted,
    LotInspected,
    OpenLot,
    ReceiveLot,
    ReleaseLot,
    ReserveLot,
    ReturnLot,
    ScrapLot,
    ShipLot,
    TransferLot,
)
from medsales.domain.stock.movement import Place
from medsales.domain.stock.warehouse import CloseWarehouse, OpenWarehouse, Zone
from medsales.domain.values import CHINA
from medsales.testing import NOON, Outcome

LABEL = label(SUTURE_DI, lot="L7", expires="270131", made="250601")


def receive(**changes: Any) -> ReceiveLot:
    usual = {"udi": LABEL, "product": SUTURE, "warehouse": HANGZHOU}
    return ReceiveLot(**{**usual, "quantity": 100, "delivery": "Lily 1", **changes})


def inspect(quantity: int = 80, *, passed: bool = True, zone: Zone = Zone.PENDING) -> InspectLot:
    return InspectLot(warehouse=HANGZHOU, quantity=quantity, passed=passed, zone=zone)


def reserve(quantity: int = 30, **changes: Any) -> ReserveLot:
    usual = {"order": ORDER, "warehouse": HANGZHOU, "quantity": quantity}
    return ReserveLot(**{**usual, **changes})


def release(quantity: int = 30, **changes: Any) -> ReleaseLot:
    usual = {"order": ORDER, "warehouse": HANGZHOU, "quantity": quantity}
    return ReleaseLot(**{**usual, **changes})


def ship(quantity: int = 30, **changes: Any) -> ShipLot:
    usual = {"shipment": SHIPMENT, "order": ORDER, "customer": UNION, "warehouse": HANGZHOU}
    return ShipLot(**{**usual, "quantity": quantity, **changes})


def deliver(quantity: int = 30, **changes: Any) -> DeliverLot:
    usual = {"shipment": SHIPMENT, "order": ORDER, "customer": UNION}
    return DeliverLot(**{**usual, "quantity": quantity, **changes})


def give_back(quantity: int = 10, **changes: Any) -> ReturnLot:
    usual = {"order": ORDER, "customer": UNION, "warehouse": HANGZHOU, "reason": "too many"}
    return ReturnLot(**{**usual, "quantity": quantity, **changes})


def transfer(quantity: int = 20, **changes: Any) -> TransferLot:
    return TransferLot(
        **{"warehouse": HANGZHOU, "to": CHENGDU, "quantity": quantity, **changes},
    )


def scrap(quantity: int = 5, zone: Zone = Zone.UNQUALIFIED) -> ScrapLot:
    return ScrapLot(warehouse=HANGZHOU, zone=zone, quantity=quantity, reason="torn")


HOLD = HoldLot(hold="Q-7", reason="sterility doubted")
LIFT = LiftLotHold(hold="Q-7", reason="tests passed")
RECEIVED = (receive(),)
INSPECTED = (*RECEIVED, inspect(80))
RESERVED = (*INSPECTED, reserve(30))
SHIPPED = (*RESERVED, ship(30))
DELIVERED = (*SHIPPED, deliver(30))


def at(holder: PartyId, zone: Zone | None = None) -> Place:
    return Place(holder=holder, zone=zone)


PENDING, QUALIFIED = at(HANGZHOU, Zone.PENDING), at(HANGZHOU, Zone.QUALIFIED)


def after(outcome: Outcome, before: Town) -> Lot:
    assert outcome.refusal is None, f"refused: {outcome.refusal}"
    return before.lot().after(outcome.events)


class TestReceiving:
    def test_a_quantity_waits_for_inspection(self) -> None:
        outcome = founded().when(receive())
        assert outcome.subject == SUTURE_LOT
        lot = after(outcome, founded())
        assert lot.amounts == {PENDING: 100}
        assert lot.product == SUTURE
        assert str(lot.expires) == "2027-01-31"

    def test_a_second_delivery_adds_to_the_lot(self) -> None:
        town = founded().told(receive(), receive(delivery="Lily 2", quantity=20))
        assert town.lot().amounts == {PENDING: 120}

    def test_a_delivery_note_is_received_once(self) -> None:
        founded().told(receive()).when(receive()).then()

    def test_a_label_without_a_lot_number_is_refused(self) -> None:
        with pytest.raises(Exception, match="no lot number"):
            receive(udi=label(SUTURE_DI)).begins()

    def test_goods_tracked_by_serial_are_not_received_as_a_lot(self) -> None:
        pumps = receive(udi=label(PUMP_DI, lot="L7"), product=PUMP)
        founded().when(pumps).refused("product.tracked_otherwise", "by serial, not by lot")

    def test_udi7_the_label_bears_an_identifier_of_the_product(self) -> None:
        founded().when(receive(udi=label(PUMP_DI, lot="L7"))).refused("product.identifier_foreign")

    @pytest.mark.parametrize("made", ["191231", "200229"])
    def test_lic2_what_was_made_before_its_certificate_is_not_taken_in(self, made: str) -> None:
        founded().when(receive(udi=label(SUTURE_DI, lot="L7", made=made))).refused(
            "registration.not_valid"
        )

    def test_lic2_what_was_made_under_an_expired_certificate_is_still_taken_in(self) -> None:
        made_then = receive(udi=label(SUTURE_DI, lot="L7", made="210101"))
        assert after(founded().when(made_then), founded()).amounts == {PENDING: 100}

    def test_goods_go_only_into_an_open_warehouse(self) -> None:
        town = founded().told(CloseWarehouse(reason="lease ends"), id=HANGZHOU)
        town.when(receive()).refused("warehouse.closed", "Hangzhou is closed")

    def test_gsp40_goods_go_only_where_there_is_a_zone_for_what_waits(self) -> None:
        small = OpenWarehouse(code="S", name="Shed", address="1", zones=(Zone.QUALIFIED,))
        founded().told(small).when(receive(warehouse=small.begins())).refused(
            "warehouse.zone_missing", "Shed has no zone for pending goods"
        )

    @pytest.mark.parametrize("expires", ["270228", None])
    def test_one_lot_has_one_expiry(self, expires: str | None) -> None:
        other = receive(udi=label(SUTURE_DI, lot="L7", expires=expires), delivery="Lily 2")
        founded().told(receive()).when(other).refused("lot.label_differs", "2027-01-31")

    def test_a_lot_belongs_to_one_product(self) -> None:
        """Its id begins with the product's identifier, so no other product can come by it."""
        assert OpenLot(udi=LABEL, product=PUMP).begins() != receive().begins()

    @pytest.mark.parametrize("change", [{"quantity": 7}, {"warehouse": CHENGDU}])
    def test_a_second_receipt_on_the_same_note_is_not_dropped(self, change: dict[str, Any]) -> None:
        again = receive().model_copy(update=change)
        founded().told(receive()).when(again).refused("lot.delivery_received")

    @pytest.mark.parametrize("unknown", [{"product": ProductId.of("00")}], ids=["product"])
    def test_only_what_is_known_is_received(self, unknown: dict[str, Any]) -> None:
        founded().when(receive(**unknown)).refused("product.unknown")

    def test_u1_upper_and_lower_case_are_two_lots(self) -> None:
        lower = receive(udi=label(SUTURE_DI, lot="l7"))
        assert founded().told(receive(), lower).lot().amounts == {PENDING: 100}
        assert lower.begins() == LotId.of(SUTURE_DI, "l7") != SUTURE_LOT

    def test_opening_a_known_lot_again_changes_nothing(self) -> None:
        founded().told(receive()).when(OpenLot(udi=LABEL, product=SUTURE)).then()


class TestInspecting:
    @pytest.mark.parametrize("zone", [Zone.PENDING, Zone.RETURNS])
    @pytest.mark.parametrize(
        ("passed", "verdict"), [(True, Zone.QUALIFIED), (False, Zone.UNQUALIFIED)]
    )
    def test_u9_what_waits_goes_where_its_verdict_says(
        self, zone: Zone, passed: bool, verdict: Zone
    ) -> None:
        town = founded().told(*DELIVERED, give_back(10))
        before = town.lot().amounts
        now = after(town.when(inspect(10, passed=passed, zone=zone)), town).amounts
        assert now.get(at(HANGZHOU, zone), 0) == before[at(HANGZHOU, zone)] - 10
        there = at(HANGZHOU, verdict)
        assert now[there] == before.get(there, 0) + 10

    def test_the_inspection_names_its_inspector(self) -> None:
        (inspected,) = founded().told(*RECEIVED).when(inspect(1), by="mei").events
        assert isinstance(inspected, LotInspected)
        assert inspected.inspector == "mei"

    @pytest.mark.parametrize("zone", [Zone.QUALIFIED, Zone.UNQUALIFIED, Zone.DISPATCH])
    def test_b1_what_failed_is_not_inspected_again(self, zone: Zone) -> None:
        """ISO 13485, 8.3."""
        founded().told(*INSPECTED).when(inspect(1, zone=zone)).refused("lot.not_waiting", zone.en)

    def test_u11_no_more_is_inspected_than_waits(self) -> None:
        founded().told(*RECEIVED).when(inspect(101)).refused("lot.not_enough", "100 of the lot")

    def test_gsp40_what_failed_needs_a_zone_of_its_own(self) -> None:
        small = OpenWarehouse(
            code="S", name="Shed", address="1", zones=(Zone.PENDING, Zone.QUALIFIED)
        )
        town = founded().told(small, receive(warehouse=small.begins()))
        failed = InspectLot(warehouse=small.begins(), quantity=1, passed=False)
        town.when(failed).refused("warehouse.zone_missing", "unqualified")

    def test_what_waits_in_a_closed_warehouse_is_still_inspected_so_that_it_can_leave(self) -> None:
        town = founded().told(*RECEIVED).told(CloseWarehouse(reason="lease ends"), id=HANGZHOU)
        assert after(town.when(inspect(80)), town).amounts[QUALIFIED] == 80


class TestTransferring:
    def test_u11_what_leaves_one_warehouse_arrives_in_the_other(self) -> None:
        town = founded().told(*INSPECTED)
        amounts = after(town.when(transfer(20)), town).amounts
        assert amounts == {PENDING: 20, QUALIFIED: 60, at(CHENGDU, Zone.QUALIFIED): 20}

    def test_d5_what_is_reserved_stays(self) -> None:
        founded().told(*RESERVED).when(transfer(51)).refused("lot.not_enough_free", "50 of the lot")

    def test_what_is_not_inspected_stays(self) -> None:
        founded().told(*RECEIVED).when(transfer(1)).refused("lot.not_enough_free")

    def test_a_closed_warehouse_takes_nothing_in(self) -> None:
        town = founded().told(*INSPECTED).told(CloseWarehouse(reason="lease ends"), id=CHENGDU)
        town.when(transfer(1)).refused("warehouse.closed", "Chengdu")

    def test_what_stands_in_a_closed_warehouse_may_still_leave(self) -> None:
        town = founded().told(*INSPECTED).told(CloseWarehouse(reason="lease ends"), id=HANGZHOU)
        assert after(town.when(transfer(80)), town).amounts[at(CHENGDU, Zone.QUALIFIED)] == 80

    def test_gsp40_the_other_warehouse_has_a_zone_for_it(self) -> None:
        small = OpenWarehouse(code="S", name="Shed", address="1", zones=(Zone.PENDING,))
        town = founded().told(*INSPECTED).told(small)
        town.when(transfer(1, to=small.begins())).refused("warehouse.zone_missing")

    def test_a_transfer_to_where_it_stands_changes_nothing(self) -> None:
        founded().told(*INSPECTED).when(transfer(1, to=HANGZHOU)).then()


class TestReserving:
    def test_d5_what_is_set_aside_is_no_longer_free(self) -> None:
        town = founded().told(*RESERVED)
        assert town.lot().reserved == {(ORDER, HANGZHOU): 30}
        assert town.lot().amounts[QUALIFIED] == 80
        town.when(reserve(51, order=OTHER_ORDER)).refused("lot.not_enough_free", "50 of the lot")

    def test_a_second_reservation_for_the_same_order_adds_up(self) -> None:
        assert founded().told(*RESERVED, reserve(5)).lot().reserved == {(ORDER, HANGZHOU): 35}

    def test_d5_what_another_warehouse_has_is_not_free_here(self) -> None:
        founded().told(*INSPECTED).when(reserve(1, warehouse=CHENGDU)).refused(
            "lot.not_enough_free"
        )

    def test_d5_what_waits_for_inspection_is_not_free(self) -> None:
        founded().told(*INSPECTED).when(reserve(81)).refused("lot.not_enough_free")

    def test_u8_a_held_lot_is_not_reserved(self) -> None:
        founded().told(*INSPECTED, HOLD).when(reserve()).refused("lot.held", "Q-7")

    def test_d5_the_last_day_of_its_life_still_counts(self) -> None:
        town = founded().told(*INSPECTED)
        day = datetime(2027, 1, 31, 23, tzinfo=CHINA)
        assert after(town.when(reserve(), at=day), town).reserved

    def test_d5_an_expired_lot_is_not_reserved(self) -> None:
        """GSP art. 87."""
        day = datetime(2027, 2, 1, 1, tzinfo=CHINA)
        founded().told(*INSPECTED).when(reserve(), at=day).refused("lot.expired", "2027-01-31")

    @pytest.mark.parametrize(
        ("day", "code"),
        [
            (datetime(2028, 2, 29, tzinfo=UTC), None),
            (datetime(2028, 3, 1, tzinfo=UTC), "lot.expired"),
        ],
    )
    def test_udi5_a_month_without_a_day_lasts_to_its_end(
        self, day: datetime, code: str | None
    ) -> None:
        monthly = receive(udi=label(SUTURE_DI, lot="L7", expires="280200"))
        outcome = founded().told(monthly, inspect(80)).when(reserve(), at=day)
        assert (outcome.refusal and outcome.refusal.code) == code

    def test_d2_what_was_set_aside_can_be_freed_in_parts(self) -> None:
        assert founded().told(*RESERVED, release(10)).lot().reserved == {(ORDER, HANGZHOU): 20}
        assert founded().told(*RESERVED, release(30)).lot().reserved == {}

    @pytest.mark.parametrize(
        "command",
        [release(31), release(1, order=OTHER_ORDER), release(1, warehouse=CHENGDU)],
        ids=["too much", "another order", "another warehouse"],
    )
    def test_no_more_is_freed_than_was_set_aside(self, command: ReleaseLot) -> None:
        founded().told(*RESERVED).when(command).refused("lot.not_reserved")


class TestShipping:
    def test_u11_what_leaves_the_warehouse_travels_with_the_shipment(self) -> None:
        town = founded().told(*RESERVED)
        lot = after(town.when(ship(20)), town)
        assert lot.amounts == {PENDING: 20, QUALIFIED: 60, at(SHIPMENT): 20}
        assert lot.reserved == {(ORDER, HANGZHOU): 10}

    @pytest.mark.parametrize(
        "command",
        [ship(31), ship(1, order=OTHER_ORDER), ship(1, warehouse=CHENGDU)],
        ids=["too much", "another order", "another warehouse"],
    )
    def test_d1_only_what_is_set_aside_leaves(self, command: ShipLot) -> None:
        founded().told(*RESERVED).when(command).refused("lot.not_reserved")

    def test_s7_a_held_lot_does_not_leave(self) -> None:
        """U8, R3."""
        founded().told(*RESERVED, HOLD).when(ship()).refused("lot.held")

    def test_d5_an_expired_lot_does_not_leave(self) -> None:
        """GSP art. 87."""
        founded().told(*RESERVED).when(ship(), at=datetime(2027, 2, 1, tzinfo=UTC)).refused(
            "lot.expired"
        )

    def test_d6_the_certificate_is_valid_on_the_day_it_ships(self) -> None:
        undated = receive(udi=label(SUTURE_DI, lot="L7"))
        town = founded().told(undated, inspect(80), reserve(30))
        assert after(town.when(ship(), at=datetime(2030, 2, 28, 12, tzinfo=UTC)), town)
        town.when(ship(), at=datetime(2030, 3, 1, 12, tzinfo=UTC)).refused("registration.not_valid")

    def test_s2_what_the_shipment_carries_is_delivered(self) -> None:
        town = founded().told(*SHIPPED)
        amounts = after(town.when(deliver(30)), town).amounts
        assert amounts == {PENDING: 20, QUALIFIED: 50, at(UNION): 30}

    @pytest.mark.parametrize(
        "command", [deliver(31), deliver(1, shipment=OTHER_SHIPMENT)], ids=["more", "another"]
    )
    def test_s2_no_more_is_delivered_than_the_shipment_carries(self, command: DeliverLot) -> None:
        founded().told(*SHIPPED).when(command).refused("lot.not_enough")


class TestReturning:
    def test_u9_what_comes_back_waits_in_the_returns_zone(self) -> None:
        town = founded().told(*DELIVERED)
        amounts = after(town.when(give_back(10)), town).amounts
        assert amounts[at(HANGZHOU, Zone.RETURNS)] == 10
        assert amounts[at(UNION)] == 20

    def test_u9_what_came_back_is_not_free_before_inspection(self) -> None:
        town = founded().told(*DELIVERED, give_back(10))
        town.when(reserve(51)).refused("lot.not_enough_free", "50 of the lot")

    @pytest.mark.parametrize(
        "command", [give_back(31), give_back(1, customer=RUIJIN)], ids=["more", "another hospital"]
    )
    def test_d7_no_more_comes_back_than_the_customer_has(self, command: ReturnLot) -> None:
        founded().told(*DELIVERED).when(command).refused("lot.not_enough")

    def test_gsp40_returns_need_a_zone_of_their_own(self) -> None:
        small = OpenWarehouse(code="S", name="Shed", address="1", zones=(Zone.PENDING,))
        town = founded().told(*DELIVERED).told(small)
        town.when(give_back(1, warehouse=small.begins())).refused(
            "warehouse.zone_missing", "returns"
        )

    def test_a_closed_warehouse_takes_no_returns(self) -> None:
        town = founded().told(*DELIVERED).told(CloseWarehouse(reason="lease ends"), id=HANGZHOU)
        town.when(give_back(1)).refused("warehouse.closed")

    def test_s7_a_held_lot_still_comes_back(self) -> None:
        town = founded().told(*DELIVERED, HOLD)
        assert after(town.when(give_back(30)), town).amounts[at(HANGZHOU, Zone.RETURNS)] == 30


class TestHolding:
    def test_a_lot_is_held_and_freed_again(self) -> None:
        held = LotHeld(hold="Q-7", reason="sterility doubted")
        lifted = LotHoldLifted(hold="Q-7", reason="tests passed")
        founded().told(*INSPECTED).when(HOLD).then(held)
        founded().told(*INSPECTED, HOLD).when(LIFT).then(lifted)
        assert founded().told(*INSPECTED, HOLD, LIFT, reserve(30)).lot().reserved

    def test_the_same_hold_twice_adds_nothing(self) -> None:
        founded().told(*INSPECTED, HOLD).when(HOLD).then()

    def test_lifting_a_hold_that_is_not_there_changes_nothing(self) -> None:
        founded().told(*INSPECTED).when(LIFT).then()

    def test_u8_one_hold_lifted_leaves_the_other(self) -> None:
        recall = HoldLot(hold="R-1", reason="recall")
        town = founded().told(*INSPECTED, HOLD, recall, LIFT)
        town.when(reserve()).refused("lot.held", "R-1")


class TestScrapping:
    def test_u11_what_is_destroyed_is_gone(self) -> None:
        town = founded().told(*RECEIVED, inspect(8, passed=False))
        amounts = after(town.when(scrap(5)), town).amounts
        assert amounts == {PENDING: 92, at(HANGZHOU, Zone.UNQUALIFIED): 3}

    def test_u11_no_more_is_destroyed_than_is_there(self) -> None:
        town = founded().told(*RECEIVED, inspect(8, passed=False))
        town.when(scrap(9)).refused("lot.not_enough", "8 of the lot")

    def test_d5_what_is_set_aside_is_not_destroyed(self) -> None:
        town = founded().told(*RESERVED)
        town.when(scrap(51, Zone.QUALIFIED)).refused("lot.not_enough_free")
        assert after(town.when(scrap(50, Zone.QUALIFIED)), town).amounts[QUALIFIED] == 30


EVERY = [
    inspect(),
    transfer(),
    reserve(),
    release(),
    ship(),
    deliver(),
    give_back(),
    HOLD,
    LIFT,
    scrap(),
]


@pytest.mark.parametrize("command", EVERY, ids=lambda command: type(command).__name__)
def test_nothing_happens_to_a_lot_that_never_arrived(command: Command[Any]) -> None:
    founded().when(command, at=NOON).refused("lot.unknown")


def test_u11_the_whole_life_of_a_lot_conserves_its_quantity() -> None:
    town = founded().told(
        *DELIVERED,
        give_back(10),
        inspect(10, zone=Zone.RETURNS, passed=False),
        scrap(4),
        transfer(15),
    )
    assert sum(town.lot().amounts.values()) == 100 - 4
