"""A device unit: every command in its stage, every refusal, and the rules U1 to U12 by number."""

from datetime import date, datetime
from typing import Any

import pytest
from tests.domain.examples import (
    CHENGDU,
    HANGZHOU,
    ORDER,
    OTHER_ORDER,
    OTHER_SHIPMENT,
    PHOTOGRAPH,
    PUMP,
    PUMP_BOX_DI,
    PUMP_DI,
    PUMP_LOT,
    RUIJIN,
    SHIPMENT,
    SN1,
    SN2,
    SN3,
    SUTURE,
    SUTURE_DI,
    UNION,
    label,
)
from tests.domain.stock.town import Town, founded

from medsales.domain.ids import DeviceUnitId, LotId, ProductId
from medsales.domain.kernel import Command, Event, Refused
from medsales.domain.parties.customer import SuspendCustomer
from medsales.domain.stock.device_unit import (
    AcceptInstallation,
    ArriveUnit,
    CollectUnit,
    CompleteRepair,
    ConsumeUnit,
    CorrectSerial,
    DeliverUnit,
    DeviceUnit,
    ExtendPlacement,
    FitPart,
    HoldUnit,
    InspectUnit,
    InstallationAccepted,
    InstallUnit,
    LeadTo,
    Lifecycle,
    LiftUnitHold,
    MarkOverdue,
    OpenRepair,
    PartFitted,
    PartReplaced,
    PartTakenOut,
    PlacedUnitSold,
    Placement,
    PlacementExtended,
    PlacementOverdue,
    PlaceUnit,
    Quality,
    ReceiveUnit,
    ReleaseUnit,
    RepairCompleted,
    RepairOpened,
    ReplacePart,
    ReserveUnit,
    ReturnUnit,
    ScrapUnit,
    SellPlacedUnit,
    SerialCorrected,
    SerialLinked,
    ShipUnit,
    TakeBackUnit,
    TakeOutPart,
    Terms,
    TransferUnit,
    UninstallUnit,
    UnitArrived,
    UnitConsumed,
    UnitDelivered,
    UnitHeld,
    UnitHoldLifted,
    UnitInspected,
    UnitInstalled,
    UnitPlaced,
    UnitReceived,
    UnitReleased,
    UnitReserved,
    UnitReturned,
    UnitScrapped,
    UnitShipped,
    UnitTakenBack,
    UnitTransferred,
    UnitUninstalled,
)
from medsales.domain.stock.lot import HoldLot, LiftLotHold, LotOpened, mark_of
from medsales.domain.stock.movement import Place
from medsales.domain.stock.warehouse import CloseWarehouse, OpenWarehouse, Zone
from medsales.domain.udi import Issuer, Udi
from medsales.domain.values import CHINA
from medsales.testing import NOON, Outcome

SHED = OpenWarehouse(code="S", name="Shed", address="1", zones=(Zone.DISPATCH,))
DUE, LATER = date(2026, 9, 1), date(2026, 12, 1)


def receive(serial: str = "SN1", **said: Any) -> ReceiveUnit:
    udi = label(serial=serial, **{"lot": "A213B1", "expires": "290131", "made": "250601", **said})
    return ReceiveUnit(udi=udi, product=PUMP, warehouse=HANGZHOU)


def place(on: Placement = Placement.LOAN) -> PlaceUnit:
    return PlaceUnit(placement=on, customer=UNION, agreement="LA-1", due_back=DUE)


def swap(fitted: DeviceUnitId, removed: DeviceUnitId | None = None) -> ReplacePart:
    return ReplacePart(fitted=fitted, removed=removed)


PASS, FAIL = InspectUnit(passed=True), InspectUnit(passed=False)
RESERVE = ReserveUnit(order=ORDER, customer=UNION)
RELEASE = ReleaseUnit(order=ORDER)
TRANSFER = TransferUnit(to=CHENGDU)
ARRIVE = ArriveUnit(warehouse=CHENGDU)
SHIP = ShipUnit(shipment=SHIPMENT, order=ORDER, customer=UNION)
DELIVER = DeliverUnit(shipment=SHIPMENT, customer=UNION)
OVERDUE = MarkOverdue(due_back=DUE)
EXTEND = ExtendPlacement(due_back=LATER, reason="trial goes on")
SELL = SellPlacedUnit(order=ORDER, customer=UNION, used_disclosed=True)
INSTALL = InstallUnit(department="Intensive care")
ACCEPT = AcceptInstallation(accepted_by="Dr Wang", warranty_months=24)
UNINSTALL = UninstallUnit(reason="ward moves")
CONSUME = ConsumeUnit(reference="OP-2026-17")
HOLD = HoldUnit(hold="Q-7", reason="alarm fails")
LIFT = LiftUnitHold(hold="Q-7", reason="alarm repaired")
GIVE_BACK = ReturnUnit(order=ORDER, reason="too loud")
COLLECT = CollectUnit(reason="trial ends")
TAKE_BACK = TakeBackUnit(warehouse=HANGZHOU)
REPAIR = OpenRepair(fault="no alarm")
REPAIRED = CompleteRepair(work="loudspeaker changed")
SCRAP = ScrapUnit(reason="beyond repair")
CORRECT = CorrectSerial(correct=SN2, reason="1 was read for 2")

RECEIVED: tuple[Command[Any], ...] = (receive(),)
INSPECTED = (*RECEIVED, PASS)
RESERVED = (*INSPECTED, RESERVE)
SHIPPED = (*RESERVED, SHIP)
DELIVERED = (*SHIPPED, DELIVER)
INSTALLED = (*DELIVERED, INSTALL)
IN_SERVICE = (*INSTALLED, ACCEPT)
UNDER_REPAIR = (*IN_SERVICE, REPAIR)
RETURNING = (*DELIVERED, GIVE_BACK)
CONSUMED = (*DELIVERED, CONSUME)
SCRAPPED = (*RECEIVED, SCRAP)
ON_LOAN = (*INSPECTED, place())
TRANSFERRED = (*INSPECTED, TRANSFER)
HOLD_LOT = HoldLot(hold="R-1", reason="recall")


def town(*life: Command[Any]) -> Town:
    return founded().told(*life)


def happens(outcome: Outcome, *kinds: type[Event[Any]]) -> list[Event[Any]]:
    """The events of the unit itself, which are exactly of these kinds."""
    assert outcome.refusal is None, f"refused: {outcome.refusal}"
    assert [type(event) for event in outcome.events] == list(kinds)
    return outcome.events


def after(*life: Command[Any]) -> DeviceUnit:
    return town(*life).unit()


def at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=CHINA)


STAGES: dict[Lifecycle, tuple[Command[Any], ...]] = {
    Lifecycle.IN_STOCK: INSPECTED,
    Lifecycle.RESERVED: RESERVED,
    Lifecycle.IN_TRANSIT: SHIPPED,
    Lifecycle.AT_SITE: DELIVERED,
    Lifecycle.INSTALLED: INSTALLED,
    Lifecycle.IN_SERVICE: IN_SERVICE,
    Lifecycle.UNDER_REPAIR: UNDER_REPAIR,
    Lifecycle.RETURNING: RETURNING,
    Lifecycle.CONSUMED: CONSUMED,
    Lifecycle.SCRAPPED: SCRAPPED,
}
HAPPENS_IN: list[tuple[Command[Any], set[Lifecycle]]] = [
    (PASS, {Lifecycle.IN_STOCK}),
    (RESERVE, {Lifecycle.IN_STOCK, Lifecycle.RESERVED}),
    (RELEASE, {Lifecycle.RESERVED, Lifecycle.IN_STOCK}),
    (TRANSFER, {Lifecycle.IN_STOCK}),
    (SHIP, {Lifecycle.RESERVED}),
    (place(), {Lifecycle.IN_STOCK}),
    (INSTALL, {Lifecycle.AT_SITE}),
    (ACCEPT, {Lifecycle.INSTALLED, Lifecycle.IN_SERVICE}),
    (UNINSTALL, {Lifecycle.INSTALLED, Lifecycle.IN_SERVICE, Lifecycle.AT_SITE}),
    (CONSUME, {Lifecycle.AT_SITE, Lifecycle.CONSUMED}),
    (GIVE_BACK, {Lifecycle.AT_SITE}),
    (TAKE_BACK, {Lifecycle.RETURNING}),
    (REPAIR, {Lifecycle.INSTALLED, Lifecycle.IN_SERVICE, Lifecycle.UNDER_REPAIR}),
    (REPAIRED, {Lifecycle.UNDER_REPAIR}),
    (SCRAP, {Lifecycle.IN_STOCK, Lifecycle.UNDER_REPAIR, Lifecycle.SCRAPPED}),
]


@pytest.mark.parametrize(
    ("command", "stage"),
    [
        pytest.param(command, stage, id=f"{type(command).__name__}-{stage}")
        for command, stages in HAPPENS_IN
        for stage in STAGES
        if stage not in stages
    ],
)
def test_a_command_out_of_its_stage_is_refused(command: Command[Any], stage: Lifecycle) -> None:
    """Rules 7, the table of lifecycles; U10 for the last two rows."""
    town(*STAGES[stage]).when(command).refused("unit.wrong_stage", f"is {stage.en}, not")


@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_the_example_of_a_stage_is_in_that_stage(stage: Lifecycle) -> None:
    assert after(*STAGES[stage]).lifecycle is stage


ANY = [*(command for command, _ in HAPPENS_IN), ARRIVE, DELIVER, EXTEND, SELL, HOLD, LIFT]
ANY += [COLLECT, CORRECT, swap(SN2)]


@pytest.mark.parametrize("command", ANY, ids=lambda command: type(command).__name__)
def test_nothing_happens_to_a_unit_that_never_arrived(command: Command[Any]) -> None:
    founded().when(command).refused("device-unit.unknown", SN1)


class TestReceiving:
    def test_u2_a_received_unit_is_ours_in_the_pending_zone_and_not_released(self) -> None:
        outcome = founded().when(receive())
        assert outcome.subject == SN1
        happens(outcome, UnitReceived)
        unit = DeviceUnit().after(outcome.events)
        assert unit.place == Place(holder=HANGZHOU, zone=Zone.PENDING)
        assert (unit.owner, unit.quality) == (None, Quality.QUARANTINE)
        assert (unit.product, unit.lot, str(unit.expires)) == (PUMP, PUMP_LOT, "2029-01-31")

    def test_its_lot_is_noted_in_the_same_decision(self) -> None:
        (opened,) = founded().when(receive()).also[PUMP_LOT]
        assert isinstance(opened, LotOpened)
        assert (opened.product, opened.number) == (PUMP, "A213B1")

    def test_a_unit_without_a_lot_number_has_no_lot(self) -> None:
        outcome = founded().when(receive(lot=None))
        happens(outcome, UnitReceived)
        assert outcome.also == {}

    def test_u1_a_serial_number_is_received_once(self) -> None:
        town(*RECEIVED).when(receive()).refused("unit.already_received")

    def test_u1_a_unit_that_has_ended_is_not_received_again(self) -> None:
        town(*SCRAPPED).when(receive()).refused("unit.already_received")

    def test_u1_upper_and_lower_case_are_two_units(self) -> None:
        both = founded().told(receive("sn1"), receive("SN1"))
        lower, upper = DeviceUnitId.of(PUMP_DI, "sn1"), DeviceUnitId.of(PUMP_DI, "SN1")
        assert both.told(PASS, id=lower).unit(lower).quality is Quality.RELEASED
        assert both.unit(upper).quality is Quality.QUARANTINE

    def test_u1_the_label_of_a_box_is_not_that_of_a_unit(self) -> None:
        """Under it the same serial would be a second unit, and escape the holds of its lot."""
        town().when(receive(di=PUMP_BOX_DI)).refused("product.package_scanned", PUMP_BOX_DI)

    def test_a_label_without_a_serial_number_is_refused(self) -> None:
        with pytest.raises(Refused, match="no serial number"):
            ReceiveUnit(udi=label(lot="L"), product=PUMP, warehouse=HANGZHOU).begins()

    @pytest.mark.parametrize(
        "said", [{"serial": "a\nb"}, {"serial": "9" * 100}, {"lot": "a\nb"}, {"lot": "9" * 400}]
    )
    def test_a_label_read_elsewhere_whose_numbers_can_be_no_id_is_refused(
        self, said: dict[str, str]
    ) -> None:
        udi = Udi(**{"raw": "?", "issuer": Issuer.GS1, "di": PUMP_DI, "serial": "1", **said})
        with pytest.raises(Refused) as refusal:
            founded().when(ReceiveUnit(udi=udi, product=PUMP, warehouse=HANGZHOU))
        assert refusal.value.code == "label.unusable"

    def test_goods_tracked_by_lot_are_not_received_as_units(self) -> None:
        sutures = ReceiveUnit(udi=label(SUTURE_DI, serial="1"), product=SUTURE, warehouse=HANGZHOU)
        founded().when(sutures).refused("product.tracked_otherwise")

    def test_udi7_the_label_bears_an_identifier_of_the_product(self) -> None:
        founded().when(receive(di=SUTURE_DI)).refused("product.identifier_foreign")

    @pytest.mark.parametrize("made", ["200229", "200200"], ids=["the day before", "the month"])
    def test_lic2_what_was_made_before_its_certificate_is_not_taken_in(self, made: str) -> None:
        founded().when(receive(made=made)).refused("registration.not_valid")

    def test_lic2_what_was_made_under_an_expired_certificate_is_still_taken_in(self) -> None:
        happens(founded().when(receive(made="210101")), UnitReceived)

    def test_gsp40_goods_go_only_where_there_is_a_zone_for_what_waits(self) -> None:
        command = receive().model_copy(update={"warehouse": SHED.begins()})
        town(SHED).when(command).refused("warehouse.zone_missing", "pending")

    def test_a_closed_warehouse_takes_nothing_in(self) -> None:
        closed = founded().told(CloseWarehouse(reason="lease ends"), id=HANGZHOU)
        closed.when(receive()).refused("warehouse.closed")

    def test_one_lot_has_one_expiry(self) -> None:
        town(*RECEIVED).when(receive("SN2", expires="300131")).refused("lot.label_differs")

    def test_r3_a_unit_of_a_held_lot_is_held_from_its_first_moment(self) -> None:
        """U8."""
        held = founded().told(receive("SN2")).told(HOLD_LOT, id=PUMP_LOT)
        received, hold = happens(held.when(receive()), UnitReceived, UnitHeld)
        assert DeviceUnit().after([received, hold]).holds == {mark_of("R-1")}

    @pytest.mark.parametrize(
        ("field", "unknown"), [("product", ProductId.of("00")), ("warehouse", SHED.begins())]
    )
    def test_only_what_is_known_is_received(self, field: str, unknown: str) -> None:
        command = receive().model_copy(update={field: unknown})
        founded().when(command).refused(f"{field}.unknown")


class TestInspecting:
    @pytest.mark.parametrize(
        ("inspect", "quality", "zone"),
        [
            (PASS, Quality.RELEASED, Zone.QUALIFIED),
            (FAIL, Quality.NONCONFORMING, Zone.UNQUALIFIED),
        ],
    )
    def test_u9_the_verdict_decides_where_a_unit_stands(
        self, inspect: InspectUnit, quality: Quality, zone: Zone
    ) -> None:
        """GSP art. 40."""
        unit = after(*RECEIVED, inspect)
        assert unit.quality is quality
        assert unit.place == Place(holder=HANGZHOU, zone=zone)

    def test_the_inspection_names_its_inspector(self) -> None:
        (inspected,) = happens(town(*RECEIVED).when(PASS, by="mei"), UnitInspected)
        assert isinstance(inspected, UnitInspected)
        assert inspected.inspector == "mei"

    @pytest.mark.parametrize("inspect", [PASS, FAIL], ids=["passed", "failed"])
    def test_the_same_verdict_again_changes_nothing(self, inspect: InspectUnit) -> None:
        town(*RECEIVED, inspect).when(inspect).then()

    def test_a_released_unit_may_still_fail(self) -> None:
        assert after(*INSPECTED, FAIL).quality is Quality.NONCONFORMING

    def test_a_failed_unit_is_not_inspected_until_it_passes(self) -> None:
        """ISO 13485, 8.3."""
        town(*RECEIVED, FAIL).when(PASS).refused("unit.nonconforming")


class TestReserving:
    def test_a_unit_is_set_aside_for_an_order(self) -> None:
        happens(town(*INSPECTED).when(RESERVE), UnitReserved)
        assert after(*RESERVED).order == ORDER

    def test_reserving_again_for_the_same_order_changes_nothing(self) -> None:
        town(*RESERVED).when(RESERVE).then()

    def test_d5_a_unit_is_reserved_for_one_order_only(self) -> None:
        other = ReserveUnit(order=OTHER_ORDER, customer=RUIJIN)
        town(*RESERVED).when(other).refused("unit.wrong_stage", "is reserved")

    def test_d5_the_last_day_of_its_life_still_counts(self) -> None:
        happens(town(*INSPECTED).when(RESERVE, at=at(date(2029, 1, 31), 23)), UnitReserved)

    def test_d5_an_expired_unit_is_not_reserved(self) -> None:
        """GSP art. 87."""
        town(*INSPECTED).when(RESERVE, at=at(date(2029, 2, 1), 0)).refused(
            "unit.expired", "2029-01-31"
        )

    @pytest.mark.parametrize(
        ("day", "code"), [(date(2028, 2, 29), None), (date(2028, 3, 1), "unit.expired")]
    )
    def test_udi5_a_month_without_a_day_lasts_to_its_end(self, day: date, code: str | None) -> None:
        monthly = town(receive(expires="280200"), PASS)
        outcome = monthly.when(RESERVE, at=at(day, 23))
        assert (outcome.refusal and outcome.refusal.code) == code

    def test_a_unit_without_an_expiry_does_not_expire(self) -> None:
        town_now = town(receive(expires=None, lot=None), PASS)
        happens(town_now.when(RESERVE, at=at(date(2099, 1, 1))), UnitReserved)

    def test_a_reserved_unit_is_freed(self) -> None:
        happens(town(*RESERVED).when(RELEASE), UnitReleased)
        unit = after(*RESERVED, RELEASE)
        assert (unit.lifecycle, unit.order) == (Lifecycle.IN_STOCK, None)

    def test_freeing_a_free_unit_changes_nothing(self) -> None:
        town(*INSPECTED).when(RELEASE).then()

    def test_another_order_cannot_free_it(self) -> None:
        town(*RESERVED).when(ReleaseUnit(order=OTHER_ORDER)).refused("unit.other_order", ORDER)


class TestTransferring:
    def test_u2_on_the_way_a_unit_stays_in_the_care_of_its_sender(self) -> None:
        happens(town(*INSPECTED).when(TRANSFER), UnitTransferred)
        unit = after(*TRANSFERRED)
        assert unit.lifecycle is Lifecycle.IN_TRANSIT
        assert unit.place == Place(holder=HANGZHOU)

    def test_it_arrives_in_the_zone_of_its_quality(self) -> None:
        happens(town(*TRANSFERRED).when(ARRIVE), UnitArrived)
        unit = after(*TRANSFERRED, ARRIVE)
        assert unit.place == Place(holder=CHENGDU, zone=Zone.QUALIFIED)
        assert (unit.lifecycle, unit.destination) == (Lifecycle.IN_STOCK, None)

    def test_u9_what_came_back_still_waits_for_inspection_there(self) -> None:
        unit = after(*RETURNING, TAKE_BACK, TRANSFER, ARRIVE)
        assert unit.place == Place(holder=CHENGDU, zone=Zone.PENDING)
        assert unit.quality is Quality.QUARANTINE

    def test_sending_it_again_to_the_same_warehouse_changes_nothing(self) -> None:
        town(*TRANSFERRED).when(TRANSFER).then()

    def test_sending_it_to_where_it_is_changes_nothing(self) -> None:
        town(*INSPECTED).when(TransferUnit(to=HANGZHOU)).then()

    def test_a_second_arrival_changes_nothing(self) -> None:
        town(*TRANSFERRED, ARRIVE).when(ARRIVE).then()

    def test_on_its_way_it_is_not_sent_elsewhere(self) -> None:
        town(SHED, *TRANSFERRED).when(TransferUnit(to=SHED.begins())).refused("unit.wrong_stage")

    def test_it_does_not_arrive_elsewhere(self) -> None:
        town(*TRANSFERRED).when(ArriveUnit(warehouse=HANGZHOU)).refused(
            "unit.other_destination", CHENGDU
        )

    def test_what_was_shipped_to_a_customer_does_not_arrive_in_a_warehouse(self) -> None:
        town(*SHIPPED).when(ARRIVE).refused("unit.other_destination", SHIPMENT)

    def test_what_stands_here_does_not_arrive_there(self) -> None:
        town(*INSPECTED).when(ARRIVE).refused("unit.wrong_stage")

    def test_gsp40_the_other_warehouse_has_a_zone_for_its_quality(self) -> None:
        town(SHED, *INSPECTED).when(TransferUnit(to=SHED.begins())).refused(
            "warehouse.zone_missing", "qualified"
        )

    def test_gsp40_what_came_back_needs_a_zone_where_it_can_wait(self) -> None:
        returns = OpenWarehouse(code="R", name="Returns", address="1", zones=(Zone.RETURNS,))
        town(returns, *RETURNING, TAKE_BACK).when(TransferUnit(to=returns.begins())).refused(
            "warehouse.zone_missing", "pending"
        )

    def test_a_closed_warehouse_takes_nothing_in_but_lets_go(self) -> None:
        closed = town(*INSPECTED).told(CloseWarehouse(reason="x"), id=CHENGDU)
        closed.when(TRANSFER).refused("warehouse.closed")
        leaving = town(*INSPECTED).told(CloseWarehouse(reason="x"), id=HANGZHOU)
        happens(leaving.when(TRANSFER), UnitTransferred)


class TestShipping:
    def test_u2_a_shipped_unit_is_with_its_shipment_and_still_ours(self) -> None:
        happens(town(*RESERVED).when(SHIP), UnitShipped)
        unit = after(*SHIPPED)
        assert (unit.place, unit.owner) == (Place(holder=SHIPMENT), None)

    def test_it_ships_only_under_its_order(self) -> None:
        other = ShipUnit(shipment=SHIPMENT, order=OTHER_ORDER, customer=UNION)
        town(*RESERVED).when(other).refused("unit.other_order")

    def test_s1_a_unit_is_on_one_shipment_only(self) -> None:
        other = ShipUnit(shipment=OTHER_SHIPMENT, order=ORDER, customer=UNION)
        town(*SHIPPED).when(other).refused("unit.wrong_stage")

    def test_d5_what_has_expired_since_it_was_reserved_stays(self) -> None:
        """GSP art. 87."""
        town(*RESERVED).when(SHIP, at=at(date(2029, 2, 1))).refused("unit.expired")

    def test_d6_the_certificate_is_valid_on_the_day_it_ships(self) -> None:
        lasting = town(receive(expires=None), PASS, RESERVE)
        happens(lasting.when(SHIP, at=at(date(2030, 2, 28))), UnitShipped)
        lasting.when(SHIP, at=at(date(2030, 3, 1))).refused("registration.not_valid", "2030-03-01")

    def test_u2_a_delivered_unit_is_the_customers(self) -> None:
        happens(town(*SHIPPED).when(DELIVER), UnitDelivered)
        unit = after(*DELIVERED)
        assert (unit.place, unit.owner) == (Place(holder=UNION), UNION)
        assert unit.placement is Placement.SOLD

    def test_a_second_delivery_changes_nothing(self) -> None:
        town(*DELIVERED).when(DELIVER).then()

    def test_another_shipment_cannot_deliver_it(self) -> None:
        other = DeliverUnit(shipment=OTHER_SHIPMENT, customer=UNION)
        town(*SHIPPED).when(other).refused("unit.other_shipment", SHIPMENT)

    def test_what_goes_to_another_warehouse_is_not_delivered(self) -> None:
        town(*TRANSFERRED).when(DELIVER).refused("unit.other_shipment", HANGZHOU)

    @pytest.mark.parametrize(
        "stage",
        [
            s
            for s in STAGES
            if s is not Lifecycle.IN_TRANSIT
            and s
            not in (
                Lifecycle.AT_SITE,
                Lifecycle.INSTALLED,
                Lifecycle.IN_SERVICE,
                Lifecycle.UNDER_REPAIR,
                Lifecycle.RETURNING,
                Lifecycle.CONSUMED,
            )
        ],
        ids=str,
    )
    def test_only_what_travels_is_delivered(self, stage: Lifecycle) -> None:
        town(*STAGES[stage]).when(DELIVER).refused("unit.wrong_stage")


USES: list[tuple[str, tuple[Command[Any], ...], Command[Any]]] = [
    ("reserved", INSPECTED, RESERVE),
    ("shipped", RESERVED, SHIP),
    ("placed", INSPECTED, place()),
    ("sold where it stands", ON_LOAN, SELL),
    ("installed", DELIVERED, INSTALL),
    ("consumed", DELIVERED, CONSUME),
]
USE = pytest.mark.parametrize(("life", "use"), [use[1:] for use in USES], ids=[u[0] for u in USES])


class TestUseIsBlocked:
    @USE
    def test_u8_a_held_unit_is_not_used(
        self, life: tuple[Command[Any], ...], use: Command[Any]
    ) -> None:
        """R3, S7: neither reserved nor shipped, placed, sold, installed or consumed."""
        town(*life, HOLD).when(use).refused("unit.held", "Q-7")

    @USE
    def test_u8_a_held_lot_holds_all_its_units_at_once(
        self, life: tuple[Command[Any], ...], use: Command[Any]
    ) -> None:
        """R3: without a fact in the unit's own history."""
        held = town(*life).told(HOLD_LOT, id=PUMP_LOT)
        assert held.unit().holds == frozenset()
        held.when(use).refused("lot.held", "R-1")

    @USE
    def test_u8_once_lifted_a_hold_blocks_nothing(
        self, life: tuple[Command[Any], ...], use: Command[Any]
    ) -> None:
        lifted = town(*life, HOLD, LIFT).told(
            HOLD_LOT, LiftLotHold(hold="R-1", reason="ok"), id=PUMP_LOT
        )
        assert lifted.when(use).events

    @pytest.mark.parametrize("use", [RESERVE, place()], ids=["reserved", "placed"])
    @pytest.mark.parametrize(
        ("life", "quality"),
        [(RECEIVED, "quarantine"), ((*RECEIVED, FAIL), "nonconforming")],
        ids=["quarantine", "nonconforming"],
    )
    def test_u8_only_a_released_unit_is_used(
        self, life: tuple[Command[Any], ...], quality: str, use: Command[Any]
    ) -> None:
        town(*life).when(use).refused("unit.not_released", quality)

    @pytest.mark.parametrize(
        ("life", "use"),
        [(INSPECTED, place()), (ON_LOAN, SELL), (DELIVERED, INSTALL), (DELIVERED, CONSUME)],
        ids=["placed", "sold where it stands", "installed", "consumed"],
    )
    def test_d5_an_expired_unit_is_not_used(
        self, life: tuple[Command[Any], ...], use: Command[Any]
    ) -> None:
        """条例 art. 55: expired devices are neither traded nor used."""
        town(*life).when(use, at=at(date(2029, 2, 1))).refused("unit.expired")

    def test_d5_some_shelf_life_may_have_to_remain(self) -> None:
        wanted = RESERVE.model_copy(update={"shelf_life": 180})
        happens(town(*INSPECTED).when(wanted, at=at(date(2028, 6, 1))), UnitReserved)
        town(*INSPECTED).when(wanted, at=at(date(2028, 9, 1))).refused("unit.expired", "2029")

    def test_s7_a_held_unit_still_comes_back(self) -> None:
        assert after(*DELIVERED, HOLD, GIVE_BACK, TAKE_BACK).holds == {"Q-7"}


class TestPlacing:
    @pytest.mark.parametrize(
        ("on", "used"),
        [
            (Placement.DEMO, True),
            (Placement.LOAN, True),
            (Placement.RENTAL, True),
            (Placement.CONSIGNMENT, False),
        ],
    )
    def test_u5_what_was_on_demo_loan_or_rental_is_used(self, on: Placement, used: bool) -> None:
        """U2, U6: it is at the customer and stays ours."""
        happens(town(*INSPECTED).when(place(on)), UnitPlaced)
        unit = after(*INSPECTED, place(on))
        assert (unit.place, unit.owner) == (Place(holder=UNION), None)
        assert (unit.placement, unit.used, unit.due_back) == (on, used, DUE)

    def test_u4_the_agreement_is_recorded(self) -> None:
        (placed,) = happens(town(*INSPECTED).when(place()), UnitPlaced)
        assert isinstance(placed, UnitPlaced)
        assert (placed.agreement, placed.due_back) == ("LA-1", DUE)

    def test_placing_it_again_as_it_stands_changes_nothing(self) -> None:
        town(*ON_LOAN).when(place()).then()

    @pytest.mark.parametrize("change", [{"customer": RUIJIN}, {"placement": Placement.DEMO}])
    def test_u3_a_unit_has_one_placement_at_a_time(self, change: dict[str, Any]) -> None:
        other = place().model_copy(update=change)
        town(*ON_LOAN).when(other).refused("unit.wrong_stage", "at site")

    def test_u4_placing_it_on_another_agreement_is_another_wish(self) -> None:
        other = place().model_copy(update={"agreement": "LA-2"})
        town(*ON_LOAN).when(other).refused("unit.wrong_stage")

    def test_u4_nothing_is_due_back_before_it_is_placed(self) -> None:
        late = place().model_copy(update={"due_back": date(1999, 1, 1)})
        town(*INSPECTED).when(late).refused("placement.due_before_it_begins")

    @pytest.mark.parametrize("no_way", [Placement.STOCK, Placement.SOLD])
    def test_stock_and_sold_are_no_placements(self, no_way: Placement) -> None:
        town(*INSPECTED).when(place(no_way)).refused("placement.not_one")

    def test_nothing_is_placed_with_a_suspended_customer(self) -> None:
        suspended = town(*INSPECTED).told(SuspendCustomer(reason="licence lapsed"), id=UNION)
        suspended.when(place()).refused("customer.suspended", "licence lapsed")

    def test_u4_an_extension_keeps_the_date_before(self) -> None:
        extended = PlacementExtended(due_back=LATER, due_back_before=DUE, reason="trial goes on")
        town(*ON_LOAN).when(EXTEND).then(extended)
        assert after(*ON_LOAN, EXTEND).due_back == LATER

    def test_u4_extending_to_the_same_day_changes_nothing(self) -> None:
        town(*ON_LOAN, EXTEND).when(EXTEND).then()

    @pytest.mark.parametrize(
        "life", [ON_LOAN, (*ON_LOAN, INSTALL), (*ON_LOAN, INSTALL, OpenRepair(fault="noise"))]
    )
    def test_u4_what_is_not_back_by_its_day_is_overdue(
        self, life: tuple[Command[Any], ...]
    ) -> None:
        late = PlacementOverdue(customer=UNION, agreement="LA-1", due_back=DUE)
        town(*life).when(OVERDUE).then(late)
        assert after(*life, OVERDUE).overdue

    def test_u4_it_is_overdue_once(self) -> None:
        town(*ON_LOAN, OVERDUE).when(OVERDUE).then()

    @pytest.mark.parametrize(
        "since",
        [(EXTEND,), (SELL,), (COLLECT,), (COLLECT, TAKE_BACK)],
        ids=["extended", "sold", "on its way", "back"],
    )
    def test_u4_a_reminder_that_comes_too_late_changes_nothing(
        self, since: tuple[Command[Any], ...]
    ) -> None:
        town(*ON_LOAN, *since).when(OVERDUE).then()

    @pytest.mark.parametrize("since", [(EXTEND,), (SELL,), (COLLECT, TAKE_BACK)])
    def test_u4_overdue_ends_when_it_is_extended_sold_or_back(
        self, since: tuple[Command[Any], ...]
    ) -> None:
        assert not after(*ON_LOAN, OVERDUE, *since).overdue

    def test_u4_an_extended_placement_is_overdue_when_its_new_day_has_passed(self) -> None:
        again = MarkOverdue(due_back=LATER)
        happens(town(*ON_LOAN, OVERDUE, EXTEND).when(again), PlacementOverdue)

    def test_u4_only_a_placement_is_extended(self) -> None:
        town(*DELIVERED).when(EXTEND).refused("placement.none")

    def test_u4_what_is_in_stock_has_no_placement_to_extend(self) -> None:
        town(*INSPECTED).when(EXTEND).refused("unit.wrong_stage")

    @pytest.mark.parametrize("life", [ON_LOAN, (*ON_LOAN, INSTALL), (*ON_LOAN, INSTALL, ACCEPT)])
    def test_u5_a_demo_becomes_a_sale_where_it_stands(self, life: tuple[Command[Any], ...]) -> None:
        (sold,) = happens(town(*life).when(SELL), PlacedUnitSold)
        assert isinstance(sold, PlacedUnitSold)
        assert (sold.placement_before, sold.disclosed_as_used) == (Placement.LOAN, True)
        before, unit = after(*life), after(*life, SELL)
        assert (unit.place, unit.lifecycle) == (before.place, before.lifecycle)
        assert (unit.owner, unit.order, unit.due_back) == (UNION, ORDER, None)

    def test_u5_used_is_sold_only_with_that_disclosure(self) -> None:
        silent = SellPlacedUnit(order=ORDER, customer=UNION)
        town(*ON_LOAN).when(silent).refused("unit.used")

    def test_u5_used_is_reserved_only_with_that_disclosure(self) -> None:
        back = town(*ON_LOAN, COLLECT, TAKE_BACK, PASS)
        back.when(RESERVE).refused("unit.used")
        disclosed = RESERVE.model_copy(update={"used_disclosed": True})
        (reserved,) = happens(back.when(disclosed), UnitReserved)
        assert isinstance(reserved, UnitReserved)
        assert reserved.disclosed_as_used

    def test_u6_consigned_goods_are_sold_once(self) -> None:
        consigned = (*INSPECTED, place(Placement.CONSIGNMENT))
        silent = SellPlacedUnit(order=ORDER, customer=UNION)
        happens(town(*consigned).when(silent), PlacedUnitSold)
        town(*consigned, silent).when(silent).refused("placement.none")

    def test_u5_it_is_sold_to_the_customer_who_has_it(self) -> None:
        other = SellPlacedUnit(order=ORDER, customer=RUIJIN, used_disclosed=True)
        town(*ON_LOAN).when(other).refused("placement.none", RUIJIN)

    def test_u5_what_is_in_stock_is_not_sold_where_it_stands(self) -> None:
        town(*INSPECTED).when(SELL).refused("unit.wrong_stage")

    def test_d6_the_certificate_is_valid_on_the_day_of_the_sale(self) -> None:
        lasting = town(receive(expires=None), PASS, place())
        lasting.when(SELL, at=at(date(2030, 3, 1))).refused("registration.not_valid")

    def test_u6_consigned_goods_are_used_up_only_after_their_sale(self) -> None:
        consigned = town(*INSPECTED, place(Placement.CONSIGNMENT))
        consigned.when(CONSUME).refused("unit.still_ours")
        happens(consigned.told(SELL).when(CONSUME), UnitConsumed)

    def test_u3_collecting_ends_the_placement_when_it_is_back(self) -> None:
        happens(town(*ON_LOAN).when(COLLECT), UnitReturned)
        unit = after(*ON_LOAN, COLLECT, TAKE_BACK)
        assert (unit.placement, unit.due_back) == (Placement.STOCK, None)

    def test_collecting_again_changes_nothing(self) -> None:
        town(*ON_LOAN, COLLECT).when(COLLECT).then()

    def test_d7_what_is_sold_is_not_collected(self) -> None:
        town(*DELIVERED).when(COLLECT).refused("unit.sold")

    def test_what_is_in_use_is_not_collected(self) -> None:
        town(*ON_LOAN, INSTALL).when(COLLECT).refused("unit.wrong_stage")


class TestService:
    def test_installation_names_the_engineer_who_recorded_it(self) -> None:
        installed = UnitInstalled(customer=UNION, department="Intensive care", engineer="li")
        town(*DELIVERED).when(INSTALL, by="li").then(installed)

    def test_u7_the_warranty_begins_with_acceptance(self) -> None:
        accepted = InstallationAccepted(
            customer=UNION, accepted_by="Dr Wang", warranty_until=date(2028, 6, 1)
        )
        town(*INSTALLED).when(ACCEPT, at=NOON).then(accepted)

    def test_u7_a_second_acceptance_after_a_move_does_not_prolong_it(self) -> None:
        moved = town(*IN_SERVICE, UNINSTALL, INSTALL)
        moved.told(ACCEPT, at=at(date(2027, 1, 1)))
        assert moved.unit().warranty_until == date(2028, 6, 1)

    def test_u7_the_warranty_survives_repair(self) -> None:
        assert after(*UNDER_REPAIR, REPAIRED).warranty_until == date(2028, 6, 1)

    def test_accepting_again_changes_nothing(self) -> None:
        town(*IN_SERVICE).when(ACCEPT).then()

    @pytest.mark.parametrize("life", [INSTALLED, IN_SERVICE], ids=["installed", "in service"])
    def test_an_uninstalled_unit_stays_with_the_customer(
        self, life: tuple[Command[Any], ...]
    ) -> None:
        uninstalled = UnitUninstalled(customer=UNION, reason="ward moves")
        town(*life).when(UNINSTALL).then(uninstalled)
        assert after(*life, UNINSTALL).place == Place(holder=UNION)

    def test_uninstalling_again_changes_nothing(self) -> None:
        town(*IN_SERVICE, UNINSTALL).when(UNINSTALL).then()

    @pytest.mark.parametrize("life", [INSTALLED, IN_SERVICE], ids=["installed", "in service"])
    def test_a_repaired_unit_is_again_what_it_was(self, life: tuple[Command[Any], ...]) -> None:
        town(*life).when(REPAIR).then(RepairOpened(fault="no alarm"))
        (completed,) = happens(town(*life, REPAIR).when(REPAIRED, by="li"), RepairCompleted)
        assert isinstance(completed, RepairCompleted)
        assert completed.engineer == "li"
        assert after(*life, REPAIR, REPAIRED).lifecycle is after(*life).lifecycle

    def test_opening_a_repair_again_changes_nothing(self) -> None:
        town(*UNDER_REPAIR).when(REPAIR).then()

    def test_a_consumed_unit_keeps_the_customers_reference(self) -> None:
        consumed = UnitConsumed(customer=UNION, reference="OP-2026-17")
        town(*DELIVERED).when(CONSUME).then(consumed)

    def test_consuming_again_changes_nothing(self) -> None:
        town(*CONSUMED).when(CONSUME).then()


class TestHolding:
    @pytest.mark.parametrize(
        "stage",
        [s for s in STAGES if s not in (Lifecycle.CONSUMED, Lifecycle.SCRAPPED)],
        ids=str,
    )
    def test_u8_a_unit_can_be_held_wherever_it_is(self, stage: Lifecycle) -> None:
        held = UnitHeld(hold="Q-7", reason="alarm fails")
        town(*STAGES[stage]).when(HOLD).then(held)

    def test_the_same_hold_twice_adds_nothing(self) -> None:
        town(*INSPECTED, HOLD).when(HOLD).then()

    def test_u8_one_hold_lifted_leaves_the_other(self) -> None:
        lifted = UnitHoldLifted(hold="Q-7", reason="alarm repaired")
        twice = (*INSPECTED, HOLD, HoldUnit(hold="R-2", reason="recall"))
        town(*twice).when(LIFT).then(lifted)
        town(*twice, LIFT).when(RESERVE).refused("unit.held", "R-2")

    def test_lifting_a_hold_that_is_not_there_changes_nothing(self) -> None:
        town(*INSPECTED).when(LIFT).then()

    def test_r8_a_unit_stays_held_while_its_lot_is_held_for_the_same_reason(self) -> None:
        held = founded().told(receive("SN2")).told(HOLD_LOT, id=PUMP_LOT).told(receive())
        lift = LiftUnitHold(hold=mark_of("R-1"), reason="looks fine")
        held.when(lift).refused("unit.held_with_its_lot", "R-1")
        held.told(LiftLotHold(hold="R-1", reason="tests passed"), id=PUMP_LOT)
        happens(held.when(lift), UnitHoldLifted)

    @pytest.mark.parametrize("life", [CONSUMED, SCRAPPED], ids=["consumed", "scrapped"])
    def test_u10_what_has_ended_is_not_held(self, life: tuple[Command[Any], ...]) -> None:
        town(*life).when(HOLD).refused("unit.ended")

    def test_u10_what_ended_on_hold_stays_on_hold(self) -> None:
        town(*RECEIVED, HOLD, SCRAP).when(LIFT).refused("unit.ended")


class TestReturning:
    def test_d7_a_unit_comes_back_under_its_order(self) -> None:
        town(*DELIVERED).when(GIVE_BACK).then(
            UnitReturned(customer=UNION, order=ORDER, reason="too loud")
        )
        other = ReturnUnit(order=OTHER_ORDER, reason="too loud")
        town(*DELIVERED).when(other).refused("unit.other_order", ORDER)

    def test_u2_until_it_is_taken_back_the_customer_owns_and_holds_it(self) -> None:
        unit = after(*RETURNING)
        assert (unit.owner, unit.place) == (UNION, Place(holder=UNION))

    def test_u9_taken_back_it_is_ours_and_waits_for_inspection(self) -> None:
        happens(town(*RETURNING).when(TAKE_BACK), UnitTakenBack)
        unit = after(*RETURNING, TAKE_BACK)
        assert unit.place == Place(holder=HANGZHOU, zone=Zone.RETURNS)
        assert (unit.owner, unit.order, unit.quality) == (None, None, Quality.QUARANTINE)

    def test_u9_it_is_not_reserved_before_inspection(self) -> None:
        disclosed = RESERVE.model_copy(update={"used_disclosed": True})
        town(*RETURNING, TAKE_BACK).when(disclosed).refused("unit.not_released")
        happens(town(*RETURNING, TAKE_BACK, PASS).when(disclosed), UnitReserved)

    def test_gsp40_returns_need_a_zone_of_their_own(self) -> None:
        town(SHED, *RETURNING).when(TakeBackUnit(warehouse=SHED.begins())).refused(
            "warehouse.zone_missing", "returns"
        )

    def test_a_closed_warehouse_takes_nothing_back(self) -> None:
        closed = town(*RETURNING).told(CloseWarehouse(reason="x"), id=HANGZHOU)
        closed.when(TAKE_BACK).refused("warehouse.closed")


class TestScrapping:
    @pytest.mark.parametrize("life", [RECEIVED, (*RECEIVED, FAIL), UNDER_REPAIR])
    def test_what_is_in_stock_or_beyond_repair_is_destroyed(
        self, life: tuple[Command[Any], ...]
    ) -> None:
        command = SCRAP.model_copy(update={"evidence": PHOTOGRAPH})
        (scrapped,) = happens(town(*life).when(command), UnitScrapped)
        assert isinstance(scrapped, UnitScrapped)
        assert scrapped.evidence == PHOTOGRAPH
        assert scrapped.moved.source == after(*life).place
        assert scrapped.moved.destination is None

    def test_scrapping_again_changes_nothing(self) -> None:
        town(*SCRAPPED).when(SCRAP).then()


def system(*more: Command[Any], life: tuple[Command[Any], ...] = IN_SERVICE) -> Town:
    """SN1 in service at Union Hospital; SN2 and SN3 released in Hangzhou."""
    others = founded().told(receive("SN2"), receive("SN3"))
    return others.told(PASS, id=SN2).told(PASS, id=SN3).told(*life, *more)


BOUGHT = Terms(placement=Placement.SOLD, owner=UNION)


class TestParts:
    def test_u12_a_swap_moves_both_parts_in_one_decision(self) -> None:
        fitted = system(swap(SN2))
        outcome = fitted.when(swap(SN3, removed=SN2))
        outcome.then(PartReplaced(fitted=SN3, removed=SN2))
        assert {id: [type(e) for e in events] for id, events in outcome.also.items()} == {
            SN3: [PartFitted],
            SN2: [PartTakenOut],
        }
        fitted.told(swap(SN3, removed=SN2))
        assert fitted.unit(SN1).parts == {SN3}
        assert (fitted.unit(SN3).parent, fitted.unit(SN2).parent) == (SN1, None)

    def test_u2_a_fitted_part_is_the_customers_and_the_one_taken_out_returns(self) -> None:
        swapped = system(swap(SN2), swap(SN3, removed=SN2))
        part, old = swapped.unit(SN3), swapped.unit(SN2)
        assert (part.place, part.owner) == (Place(holder=UNION), UNION)
        assert part.lifecycle is Lifecycle.INSTALLED
        assert old.lifecycle is Lifecycle.RETURNING
        assert swapped.told(TAKE_BACK, id=SN2).unit(SN2).quality is Quality.QUARANTINE

    @pytest.mark.parametrize("life", [DELIVERED, INSTALLED, IN_SERVICE, UNDER_REPAIR])
    def test_a_part_is_fitted_wherever_the_customer_has_the_system(
        self, life: tuple[Command[Any], ...]
    ) -> None:
        spare = founded().told(receive("SN2")).told(PASS, id=SN2).told(*life)
        happens(spare.when(swap(SN2)), PartReplaced)

    @pytest.mark.parametrize("life", [RECEIVED, RESERVED, SHIPPED, RETURNING, CONSUMED, SCRAPPED])
    def test_u10_no_part_is_fitted_elsewhere(self, life: tuple[Command[Any], ...]) -> None:
        spare = founded().told(receive("SN2")).told(PASS, id=SN2).told(*life)
        spare.when(swap(SN2)).refused("unit.wrong_stage")

    def test_u12_a_unit_is_not_a_part_of_itself(self) -> None:
        system().when(swap(SN1)).refused("unit.wrong_stage")

    def test_u12_a_part_is_in_one_system_only(self) -> None:
        two = system(swap(SN2)).told(FitPart(system=SN2, customer=UNION, terms=BOUGHT), id=SN3)
        two.when(swap(SN3)).refused("unit.wrong_stage", "installed")

    def test_u7_a_part_stands_on_the_terms_of_its_system(self) -> None:
        """It inherits the rest of the warranty, and is ours as long as the system is."""
        sold = system().when(swap(SN2)).also[SN2][0]
        assert isinstance(sold, PartFitted)
        assert sold.terms == system().unit().terms
        lent = system(life=(*ON_LOAN, INSTALL)).when(swap(SN2)).also[SN2][0]
        assert isinstance(lent, PartFitted)
        assert (lent.terms.owner, lent.terms.placement) == (None, Placement.LOAN)

    def test_u12_a_part_is_not_sold_apart_from_its_system(self) -> None:
        lent = system(swap(SN2), life=(*ON_LOAN, INSTALL))
        lent.when(SELL, SN2).refused("unit.part_of_system", SN1)

    def test_u12_a_part_does_not_leave_without_its_system(self) -> None:
        lent = system(swap(SN2), life=(*ON_LOAN, INSTALL))
        lent.when(UNINSTALL, SN2).refused("unit.part_of_system", SN1)

    def test_u12_only_its_own_system_gives_a_part_back(self) -> None:
        apart = TakeOutPart(system=SN3)
        system(swap(SN2)).when(apart, SN2).refused("unit.part_of_system", SN1)

    def test_u5_a_used_part_is_fitted_only_with_that_disclosure(self) -> None:
        used = system().told(place(), COLLECT, TAKE_BACK, PASS, id=SN2)
        used.when(swap(SN2)).refused("unit.used")
        told = swap(SN2).model_copy(update={"used_disclosed": True})
        happens(used.when(told), PartReplaced)

    def test_u5_a_system_is_sold_where_it_stands_with_its_parts(self) -> None:
        sold = system(swap(SN2), life=(*ON_LOAN, INSTALL)).when(SELL)
        assert [type(event) for event in sold.also[SN2]] == [PlacedUnitSold]

    def test_u12_a_system_does_not_become_a_part_of_its_own_part(self) -> None:
        system(swap(SN2)).when(swap(SN1), SN2).refused("unit.wrong_stage")

    @pytest.mark.parametrize("state", [{"parent": SN1}, {"parts": frozenset({SN3})}])
    def test_u12_what_is_fitted_is_a_single_part(self, state: dict[str, Any]) -> None:
        with pytest.raises(Refused) as refusal:
            DeviceUnit(**state).must_be_a_single_part()
        assert refusal.value.code == "unit.not_a_single_part"

    def test_u12_only_a_part_that_is_fitted_is_taken_out(self) -> None:
        system().when(swap(SN2, removed=SN3)).refused("unit.part_not_fitted", SN3)

    def test_u12_a_part_is_not_swapped_for_itself(self) -> None:
        system(swap(SN2)).when(swap(SN2, removed=SN2)).refused("unit.wrong_stage")

    def test_u8_a_held_part_is_not_fitted(self) -> None:
        system().told(HOLD, id=SN2).when(swap(SN2)).refused("unit.held")

    def test_u8_a_part_of_a_held_lot_is_not_fitted(self) -> None:
        system().told(HOLD_LOT, id=PUMP_LOT).when(swap(SN2)).refused("lot.held")

    def test_u9_a_part_that_came_back_is_inspected_before_it_is_fitted(self) -> None:
        back = system(swap(SN2), swap(SN3, removed=SN2)).told(TAKE_BACK, id=SN2)
        back.when(swap(SN2)).refused("unit.not_released")

    def test_d5_an_expired_part_is_not_fitted(self) -> None:
        system().when(swap(SN2), at=at(date(2029, 2, 1))).refused("unit.expired")

    def test_a_refused_part_leaves_the_whole_swap_undone(self) -> None:
        fitted = system(swap(SN2)).told(HOLD, id=SN3)
        assert fitted.when(swap(SN3, removed=SN2)).drafts == []

    def test_u2_u12_when_a_system_comes_back_so_do_its_parts(self) -> None:
        nested = system(swap(SN2)).told(swap(SN3), id=SN2)
        nested.told(UNINSTALL, GIVE_BACK)
        for id in (SN1, SN2, SN3):
            unit = nested.unit(id)
            assert (unit.lifecycle, unit.parent, unit.parts) == (
                Lifecycle.RETURNING,
                None,
                frozenset(),
            )

    def test_u12_when_a_system_is_scrapped_its_parts_live_on(self) -> None:
        scrapped = system(swap(SN2), REPAIR, SCRAP)
        assert scrapped.unit(SN1).parts == frozenset()
        assert scrapped.unit(SN2).lifecycle is Lifecycle.RETURNING

    def test_u12_when_a_placed_system_is_collected_its_parts_come_along(self) -> None:
        placed = founded().told(receive("SN2")).told(PASS, id=SN2)
        placed.told(*ON_LOAN, swap(SN2), COLLECT)
        assert placed.unit(SN2).lifecycle is Lifecycle.RETURNING

    @pytest.mark.parametrize(
        ("life", "end"), [((REPAIR,), SCRAP), ((), UNINSTALL)], ids=["scrap", "uninstall"]
    )
    def test_u10_u12_a_part_does_not_end_inside_its_system(
        self, life: tuple[Command[Any], ...], end: Command[Any]
    ) -> None:
        """Otherwise the swap that takes it out would bring it back to life."""
        system(swap(SN2)).told(*life, id=SN2).when(end, SN2).refused("unit.part_of_system", SN1)


class TestCorrecting:
    def test_u1_both_numbers_lead_to_the_unit(self) -> None:
        outcome = town(*RECEIVED).when(CORRECT)
        outcome.then(SerialCorrected(correct=SN2, reason="1 was read for 2"))
        assert outcome.also == {SN2: [SerialLinked(unit=SN1)]}

    def test_u1_the_unit_lives_on_under_its_first_number(self) -> None:
        corrected = town(*RECEIVED, CORRECT, PASS, RESERVE)
        assert corrected.unit(SN1).lifecycle is Lifecycle.RESERVED
        assert corrected.unit(SN1).corrected_to == SN2

    def test_u1_the_correct_number_cannot_be_received_again(self) -> None:
        town(*RECEIVED, CORRECT).when(receive("SN2")).refused("unit.already_received")

    def test_u1_correcting_again_changes_nothing(self) -> None:
        town(*RECEIVED, CORRECT).when(CORRECT).then()

    def test_u1_a_number_that_is_a_unit_of_its_own_is_no_correction(self) -> None:
        town(*RECEIVED, receive("SN2")).when(CORRECT).refused("unit.number_taken", SN2)

    def test_u1_a_wrong_correction_can_be_taken_back(self) -> None:
        back = CorrectSerial(correct=SN1, reason="it was right")
        assert town(*RECEIVED, CORRECT, back).unit(SN1).corrected_to == SN1

    @pytest.mark.parametrize("number", ["26901234567896:SN9", f"{PUMP.key}: ", PUMP.key])
    def test_u1_a_correct_number_is_one_of_the_same_product(self, number: str) -> None:
        foreign = CorrectSerial(correct=DeviceUnitId.of(number), reason="?")
        refusal = town(*RECEIVED).when(foreign).refusal
        assert refusal is not None
        assert refusal.code in ("unit.number_foreign", "label.unusable")

    def test_u1_a_wrong_correction_is_corrected_and_stays_known(self) -> None:
        third = CorrectSerial(correct=SN3, reason="it is a 3")
        corrected = town(*RECEIVED, CORRECT, third)
        assert corrected.unit(SN1).corrected_to == SN3
        assert corrected.unit(SN2).lifecycle is Lifecycle.RENUMBERED

    def test_u1_a_number_leads_to_one_unit_only(self) -> None:
        corrected = town(*RECEIVED, CORRECT, receive("SN3"))
        corrected.when(CORRECT, SN3).refused("unit.number_taken")

    def test_u1_a_number_that_leads_elsewhere_is_not_corrected(self) -> None:
        corrected = town(*RECEIVED, CORRECT)
        corrected.when(CorrectSerial(correct=SN3, reason="?"), SN2).refused("unit.ended")

    @pytest.mark.parametrize("life", [CONSUMED, SCRAPPED], ids=["consumed", "scrapped"])
    def test_u10_what_has_ended_accepts_a_correction(self, life: tuple[Command[Any], ...]) -> None:
        happens(town(*life).when(CORRECT), SerialCorrected)

    @pytest.mark.parametrize("command", ANY, ids=lambda command: type(command).__name__)
    def test_u10_nothing_else_happens_to_a_number_that_leads_elsewhere(
        self, command: Command[Any]
    ) -> None:
        outcome = town(*RECEIVED, CORRECT).when(command, SN2)
        assert outcome.drafts == []

    def test_u1_leading_begins_a_number(self) -> None:
        assert LeadTo(unit=SN1, number=SN2).begins() == SN2


def test_a_lot_is_named_by_identifier_and_number() -> None:
    assert receive().lot == LotId.of(PUMP_DI, "A213B1")
