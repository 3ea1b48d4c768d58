"""Random lives of three pumps and a lot of sutures: what people try, and what must stay true.

The same life is lived in memory and against the real engine; only the `Ledger` differs.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.domain.examples import (
    CERTIFY,
    CERTIFY_AGAIN,
    CHENGDU,
    HANGZHOU,
    OPEN_CHENGDU,
    OPEN_HANGZHOU,
    ORDER,
    OTHER_ORDER,
    OTHER_SHIPMENT,
    PUMP,
    PUMP_DI,
    REGISTER_PUMP,
    REGISTER_RUIJIN,
    REGISTER_SUTURE,
    REGISTER_UNION,
    RUIJIN,
    SHIPMENT,
    SUTURE,
    SUTURE_DI,
    UNION,
    label,
)

from medsales.domain.ids import (
    CustomerId,
    DeviceUnitId,
    LotId,
    OrderId,
    PartyId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.kernel import Aggregate, Command, Refused
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
    HoldUnit,
    InspectUnit,
    InstallUnit,
    Lifecycle,
    LiftUnitHold,
    MarkOverdue,
    OpenRepair,
    Placement,
    PlaceUnit,
    Quality,
    ReceiveUnit,
    ReleaseUnit,
    ReplacePart,
    ReserveUnit,
    ReturnUnit,
    ScrapUnit,
    SellPlacedUnit,
    ShipUnit,
    TakeBackUnit,
    TransferUnit,
    UninstallUnit,
)
from medsales.domain.stock.lot import (
    DeliverLot,
    HoldLot,
    InspectLot,
    LiftLotHold,
    Lot,
    ReceiveLot,
    ReleaseLot,
    ReserveLot,
    ReturnLot,
    ScrapLot,
    ShipLot,
    TransferLot,
    mark_of,
)
from medsales.domain.stock.movement import Place
from medsales.domain.stock.warehouse import Zone


class Ledger(Protocol):
    """Where commands are answered: a town in memory, or the engine with its log."""

    def handle(self, command: Command[Any], id: str | None) -> int:
        """How many facts came of it. Raises Refused."""
        ...

    def state(self, id: str) -> Aggregate:
        """Folded from what was stored."""
        ...

    def length(self) -> int:
        """How many facts there are."""
        ...

    def close(self) -> None:
        """The life is over."""
        ...


S = Lifecycle
STEPS: dict[type[Command[Any]], dict[S, set[S]]] = {
    InspectUnit: {S.IN_STOCK: {S.IN_STOCK}},
    ReserveUnit: {S.IN_STOCK: {S.RESERVED}},
    ReleaseUnit: {S.RESERVED: {S.IN_STOCK}},
    TransferUnit: {S.IN_STOCK: {S.IN_TRANSIT}},
    ArriveUnit: {S.IN_TRANSIT: {S.IN_STOCK}},
    ShipUnit: {S.RESERVED: {S.IN_TRANSIT}},
    DeliverUnit: {S.IN_TRANSIT: {S.AT_SITE}},
    PlaceUnit: {S.IN_STOCK: {S.AT_SITE}},
    InstallUnit: {S.AT_SITE: {S.INSTALLED}},
    AcceptInstallation: {S.INSTALLED: {S.IN_SERVICE}},
    UninstallUnit: {S.INSTALLED: {S.AT_SITE}, S.IN_SERVICE: {S.AT_SITE}},
    ConsumeUnit: {S.AT_SITE: {S.CONSUMED}},
    ReturnUnit: {S.AT_SITE: {S.RETURNING}},
    CollectUnit: {S.AT_SITE: {S.RETURNING}},
    TakeBackUnit: {S.RETURNING: {S.IN_STOCK}},
    OpenRepair: {S.INSTALLED: {S.UNDER_REPAIR}, S.IN_SERVICE: {S.UNDER_REPAIR}},
    CompleteRepair: {S.UNDER_REPAIR: {S.INSTALLED, S.IN_SERVICE}},
    ScrapUnit: {S.IN_STOCK: {S.SCRAPPED}, S.UNDER_REPAIR: {S.SCRAPPED}},
}
"""Rules 7: the table of lifecycles. Every other command leaves the lifecycle as it is."""

ENDED = {S.CONSUMED, S.SCRAPPED, S.RENUMBERED}
AT_CUSTOMER = {S.AT_SITE, S.INSTALLED, S.IN_SERVICE, S.UNDER_REPAIR, S.RETURNING, S.CONSUMED}
PLACED = {Placement.DEMO, Placement.LOAN, Placement.RENTAL, Placement.CONSIGNMENT}
USES = (ReserveUnit, ShipUnit, PlaceUnit, SellPlacedUnit, InstallUnit, ConsumeUnit)


@dataclass
class Seen:
    """What an observer at the door would have written down of one unit."""

    stage: Lifecycle = S.REGISTERED
    holds: set[str] = field(default_factory=set)
    released: bool = False
    ended: bool = False


@dataclass
class SeenLot:
    """What an observer would have counted of the sutures."""

    received: int = 0
    scrapped: int = 0
    places: Counter[Place] = field(default_factory=Counter)
    reserved: Counter[tuple[OrderId, WarehouseId]] = field(default_factory=Counter)
    holds: set[str] = field(default_factory=set)


# The usual choice comes more often than the other, so that lives become long.
PIECES = st.integers(1, 20)
WAREHOUSES = st.sampled_from([HANGZHOU, HANGZHOU, HANGZHOU, CHENGDU])
CUSTOMERS = st.sampled_from([UNION, UNION, UNION, RUIJIN])
ORDERS = st.sampled_from([ORDER, ORDER, ORDER, OTHER_ORDER])
SHIPMENTS = st.sampled_from([SHIPMENT, SHIPMENT, SHIPMENT, OTHER_SHIPMENT])
HOLDS = st.sampled_from(["Q-7", "R-1"])
LIFTS = st.sampled_from([True, True, False])
UNITS = st.sampled_from([0, 1, 2, 0, 1, 2, 3])
DUE = date(2030, 1, 1)


def place_with(customer: CustomerId, placement: Placement) -> PlaceUnit:
    return PlaceUnit(placement=placement, customer=customer, agreement="LA-1", due_back=DUE)


UNIT_COMMANDS: dict[type[Command[Any]], st.SearchStrategy[Command[Any]]] = {
    InspectUnit: st.builds(InspectUnit, passed=st.sampled_from([True, True, True, False])),
    ReserveUnit: st.builds(
        ReserveUnit, order=ORDERS, customer=CUSTOMERS, used_disclosed=st.booleans()
    ),
    ReleaseUnit: st.builds(ReleaseUnit, order=ORDERS),
    TransferUnit: st.builds(TransferUnit, to=WAREHOUSES),
    ArriveUnit: st.builds(ArriveUnit, warehouse=WAREHOUSES),
    ShipUnit: st.builds(ShipUnit, shipment=SHIPMENTS, order=ORDERS, customer=CUSTOMERS),
    DeliverUnit: st.builds(DeliverUnit, shipment=SHIPMENTS, customer=CUSTOMERS),
    PlaceUnit: st.builds(place_with, CUSTOMERS, st.sampled_from(Placement)),
    ExtendPlacement: st.builds(
        ExtendPlacement, due_back=st.dates(DUE, date(2031, 1, 1)), reason=st.just("longer")
    ),
    MarkOverdue: st.builds(MarkOverdue, due_back=st.just(DUE)),
    SellPlacedUnit: st.builds(
        SellPlacedUnit, order=ORDERS, customer=CUSTOMERS, used_disclosed=st.booleans()
    ),
    InstallUnit: st.builds(InstallUnit, department=st.just("Intensive care")),
    AcceptInstallation: st.builds(
        AcceptInstallation, accepted_by=st.just("Dr Wang"), warranty_months=st.just(24)
    ),
    UninstallUnit: st.builds(UninstallUnit, reason=st.just("ward moves")),
    ConsumeUnit: st.builds(ConsumeUnit, reference=st.just("OP-17")),
    HoldUnit: st.builds(HoldUnit, hold=HOLDS, reason=st.just("doubt")),
    LiftUnitHold: st.builds(LiftUnitHold, hold=HOLDS, reason=st.just("no doubt")),
    ReturnUnit: st.builds(ReturnUnit, order=ORDERS, reason=st.just("too loud")),
    CollectUnit: st.builds(CollectUnit, reason=st.just("trial ends")),
    TakeBackUnit: st.builds(TakeBackUnit, warehouse=WAREHOUSES),
    OpenRepair: st.builds(OpenRepair, fault=st.just("no alarm")),
    CompleteRepair: st.builds(CompleteRepair, work=st.just("loudspeaker")),
    ScrapUnit: st.builds(ScrapUnit, reason=st.just("beyond repair")),
}


class DeviceUnitLives(RuleBasedStateMachine):
    """Three pumps of one lot, a fourth to come, a number to correct to, and a lot of sutures."""

    lives = 0

    def __init__(self, open_ledger: Callable[[], Ledger]) -> None:
        super().__init__()
        self.ledger = open_ledger()
        DeviceUnitLives.lives += 1
        self.life = f"{DeviceUnitLives.lives}"
        self.units = [DeviceUnitId.of(PUMP_DI, f"{self.life}-SN{n}") for n in (1, 2, 3, 4)]
        self.spare_number = DeviceUnitId.of(PUMP_DI, f"{self.life}-SN5")
        self.pump_lot = LotId.of(PUMP_DI, f"P{self.life}")
        self.suture_lot = LotId.of(SUTURE_DI, f"S{self.life}")
        self.seen = {id: Seen() for id in self.units}
        self.fitted: set[DeviceUnitId] = set()
        self.pump_lot_holds: set[str] = set()
        self.pump_lot_opened = False
        self.sutures = SeenLot()

    @initialize()
    def the_town_is_founded(self) -> None:
        for command in (OPEN_HANGZHOU, OPEN_CHENGDU, REGISTER_UNION, REGISTER_RUIJIN):
            self.ledger.handle(command, None)
        for register, product in ((REGISTER_PUMP, PUMP), (REGISTER_SUTURE, SUTURE)):
            self.ledger.handle(register, None)
            self.ledger.handle(CERTIFY, product)
            self.ledger.handle(CERTIFY_AGAIN, product)
        for n in (0, 1, 2):
            self.receive(n, HANGZHOU)
            self.unit_told(n, InspectUnit(passed=True))
        self.receive_sutures(60, HANGZHOU, "first")
        self.inspect_sutures(HANGZHOU, Zone.PENDING, 40, passed=True)
        self.reserve_sutures(ORDER, HANGZHOU, 20, release=False)

    # What people do -----------------------------------------------------------------------

    @rule(n=UNITS, warehouse=WAREHOUSES)
    def receive(self, n: int, warehouse: WarehouseId) -> None:
        id = self.units[n]
        udi = label(serial=id.rpartition(":")[2], lot=f"P{self.life}", expires="400131")
        facts = self.told(id, ReceiveUnit(udi=udi, product=PUMP, warehouse=warehouse))
        assert (facts is not None) == (self.seen[id].stage is S.REGISTERED), "U1: exactly once"
        if facts:
            self.pump_lot_opened = True
            self.seen[id] = Seen(S.IN_STOCK, {mark_of(hold) for hold in self.pump_lot_holds})

    @rule(data=st.data(), n=UNITS, steps=st.integers(3, 9))
    def go_on(self, data: Any, n: int, steps: int) -> None:
        """What people would do next with such a unit."""
        for _ in range(steps):
            stage = self.seen[self.units[n]].stage
            fitting = [kind for kind, before in STEPS.items() if stage in before]
            fitting += (
                [SellPlacedUnit, ExtendPlacement, MarkOverdue] if stage in AT_CUSTOMER else []
            )
            if fitting:
                kind = data.draw(st.sampled_from(fitting))
                self.unit_told(n, data.draw(UNIT_COMMANDS[kind]))

    @rule(n=UNITS, command=st.one_of(*UNIT_COMMANDS.values()))
    def try_anything(self, n: int, command: Command[DeviceUnit]) -> None:
        self.unit_told(n, command)

    @rule(n=UNITS, customer=CUSTOMERS, order=ORDERS, installed=st.booleans())
    def sell(self, n: int, customer: CustomerId, order: OrderId, installed: bool) -> None:
        """The usual way, as one: each step is refused or not, as the unit stands."""
        self.unit_told(n, InspectUnit(passed=True))
        self.unit_told(n, ReserveUnit(order=order, customer=customer, used_disclosed=True))
        self.unit_told(n, ShipUnit(shipment=SHIPMENT, order=order, customer=customer))
        self.unit_told(n, DeliverUnit(shipment=SHIPMENT, customer=customer))
        if installed:
            self.unit_told(n, InstallUnit(department="Intensive care"))

    @rule(customer=CUSTOMERS, again=st.booleans())
    def sell_and_fit(self, customer: CustomerId, again: bool) -> None:
        """A system is sold, gets a part, and perhaps another for it."""
        self.sell(0, customer, ORDER, installed=True)
        self.swap(0, 1, 1, one_of_its_parts=True)
        if again:
            self.swap(0, 2, 1, one_of_its_parts=True)

    @rule(n=UNITS, fitted=UNITS, removed=UNITS, one_of_its_parts=st.booleans())
    def swap(self, n: int, fitted: int, removed: int, one_of_its_parts: bool) -> None:
        parts = sorted(self.unit(self.units[n]).parts)
        out = (parts[0] if parts else None) if one_of_its_parts else self.units[removed]
        before = {id: self.unit(id) for id in self.units}
        facts = self.told(self.units[n], ReplacePart(fitted=self.units[fitted], removed=out))
        if facts:
            self.must_have_been_usable(self.units[fitted])
            assert before[self.units[fitted]].lifecycle is S.IN_STOCK
            assert out is None or out in before[self.units[n]].parts
            self.seen[self.units[fitted]].stage = S.INSTALLED
            self.fitted.add(self.units[fitted])
            self.look_again(parts_of=set(before) - {self.units[n], self.units[fitted]})

    @rule(n=UNITS, correct=st.none() | UNITS)
    def correct(self, n: int, correct: int | None) -> None:
        id = self.units[n]
        number = self.spare_number if correct is None else self.units[correct]
        free = number == self.spare_number or self.seen[DeviceUnitId(number)].stage is S.REGISTERED
        if self.told(id, CorrectSerial(correct=number, reason="misread")):
            assert free or number == id, "U1: a number that is in use corrects nothing"
            if number in self.seen and number != id:
                self.seen[number] = Seen(S.RENUMBERED, ended=True)

    @rule(hold=HOLDS, lift=LIFTS)
    def hold_the_pumps(self, hold: str, lift: bool) -> None:
        kind = LiftLotHold if lift else HoldLot
        if self.told(self.pump_lot, kind(hold=hold, reason="doubt")) is not None:
            (self.pump_lot_holds.discard if lift else self.pump_lot_holds.add)(hold)

    # The sutures --------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(
            [
                "receive",
                "inspect",
                "transfer",
                "set_aside",
                "free",
                "ship",
                "deliver",
                "back",
                "scrap",
            ]
        ),
        order=ORDERS,
        shipment=SHIPMENTS,
        customer=CUSTOMERS,
        warehouse=WAREHOUSES,
        zone=st.sampled_from(Zone),
        quantity=PIECES,
        passed=st.booleans(),
    )
    def move_sutures(  # noqa: PLR0913, PLR0917 - every command takes what it needs
        self,
        what: str,
        order: OrderId,
        shipment: ShipmentId,
        customer: CustomerId,
        warehouse: WarehouseId,
        zone: Zone,
        quantity: int,
        passed: bool,
    ) -> None:
        match what:
            case "receive":
                self.receive_sutures(quantity, warehouse, f"note {quantity % 3}")
            case "inspect":
                waits = Zone.RETURNS if zone is Zone.RETURNS else Zone.PENDING
                self.inspect_sutures(warehouse, waits, quantity, passed=passed)
            case "transfer":
                self.transfer_sutures(warehouse, CHENGDU if passed else HANGZHOU, quantity)
            case "set_aside" | "free":
                self.reserve_sutures(order, warehouse, quantity, release=what == "free")
            case "ship":
                self.ship_sutures(order, shipment, customer, warehouse, quantity)
            case "deliver":
                self.deliver_sutures(order, shipment, customer, quantity)
            case "back":
                self.return_sutures(order, customer, warehouse, quantity)
            case "scrap":
                self.scrap_sutures(warehouse, zone, quantity)

    @rule(hold=HOLDS, lift=LIFTS)
    def hold_the_sutures(self, hold: str, lift: bool) -> None:
        kind = LiftLotHold if lift else HoldLot
        if self.told(self.suture_lot, kind(hold=hold, reason="doubt")) is not None:
            (self.sutures.holds.discard if lift else self.sutures.holds.add)(hold)

    def receive_sutures(self, quantity: int, warehouse: WarehouseId, note: str) -> None:
        udi = label(SUTURE_DI, lot=f"S{self.life}", expires="400131")
        command = ReceiveLot(
            udi=udi, product=SUTURE, warehouse=warehouse, quantity=quantity, delivery=note
        )
        if self.told(None, command):
            self.sutures.received += quantity
            self.counted(quantity, None, at(warehouse, Zone.PENDING))

    def inspect_sutures(
        self, warehouse: WarehouseId, waits: Zone, quantity: int, *, passed: bool
    ) -> None:
        there = Zone.QUALIFIED if passed else Zone.UNQUALIFIED
        command = InspectLot(warehouse=warehouse, zone=waits, quantity=quantity, passed=passed)
        if self.told(self.suture_lot, command):
            self.counted(quantity, at(warehouse, waits), at(warehouse, there))

    def transfer_sutures(self, warehouse: WarehouseId, to: WarehouseId, quantity: int) -> None:
        command = TransferLot(warehouse=warehouse, to=to, quantity=quantity)
        if self.told(self.suture_lot, command):
            self.counted(quantity, at(warehouse, Zone.QUALIFIED), at(to, Zone.QUALIFIED))

    def reserve_sutures(
        self, order: OrderId, warehouse: WarehouseId, quantity: int, *, release: bool
    ) -> None:
        kind = ReleaseLot if release else ReserveLot
        if self.told(self.suture_lot, kind(order=order, warehouse=warehouse, quantity=quantity)):
            assert release or not self.sutures.holds, "U8"
            self.sutures.reserved[order, warehouse] += -quantity if release else quantity

    def ship_sutures(
        self,
        order: OrderId,
        shipment: ShipmentId,
        customer: CustomerId,
        warehouse: WarehouseId,
        quantity: int,
    ) -> None:
        command = ShipLot(
            shipment=shipment,
            order=order,
            customer=customer,
            warehouse=warehouse,
            quantity=quantity,
        )
        if self.told(self.suture_lot, command):
            assert not self.sutures.holds, "S7"
            self.sutures.reserved[order, warehouse] -= quantity
            self.counted(quantity, at(warehouse, Zone.QUALIFIED), at(shipment))

    def deliver_sutures(
        self, order: OrderId, shipment: ShipmentId, customer: CustomerId, quantity: int
    ) -> None:
        command = DeliverLot(shipment=shipment, order=order, customer=customer, quantity=quantity)
        if self.told(self.suture_lot, command):
            self.counted(quantity, at(shipment), at(customer))

    def return_sutures(
        self, order: OrderId, customer: CustomerId, warehouse: WarehouseId, quantity: int
    ) -> None:
        command = ReturnLot(
            order=order, customer=customer, warehouse=warehouse, quantity=quantity, reason="old"
        )
        if self.told(self.suture_lot, command):
            self.counted(quantity, at(customer), at(warehouse, Zone.RETURNS))

    def scrap_sutures(self, warehouse: WarehouseId, zone: Zone, quantity: int) -> None:
        command = ScrapLot(warehouse=warehouse, zone=zone, quantity=quantity, reason="torn")
        if self.told(self.suture_lot, command):
            self.sutures.scrapped += quantity
            self.counted(quantity, at(warehouse, zone), None)

    # What the observer does ---------------------------------------------------------------

    def told(self, id: str | None, command: Command[Any]) -> int | None:
        """How many facts came of it; None when it was refused, and then nothing has changed."""
        before = self.ledger.length()
        try:
            facts = self.ledger.handle(command, id)
        except Refused:
            assert self.ledger.length() == before, "a refused command changes nothing"
            return None
        assert self.ledger.length() == before + facts
        return facts

    def unit_told(self, n: int, command: Command[DeviceUnit]) -> None:
        id, seen = self.units[n], self.seen[self.units[n]]
        facts = self.told(id, command)
        if not facts:
            return
        assert not seen.ended, f"U10: {command!r} after the end"
        if isinstance(command, USES):
            self.must_have_been_usable(id)
        steps = STEPS.get(type(command), {seen.stage: {seen.stage}})
        assert seen.stage in steps, f"rules 7: {command!r} while {seen.stage}"
        found = self.unit(id)
        assert found.lifecycle in steps[seen.stage], f"rules 7: {command!r}: {found.lifecycle}"
        self.note(seen, command, found.lifecycle)
        self.look_again(parts_of={other for other in self.units if other != id})

    def note(self, seen: Seen, command: Command[DeviceUnit], stage: Lifecycle) -> None:
        seen.stage, seen.ended = stage, stage in ENDED
        match command:
            case InspectUnit(passed=passed):
                seen.released = passed
            case TakeBackUnit():
                seen.released = False
            case HoldUnit(hold=hold):
                seen.holds.add(hold)
            case LiftUnitHold(hold=hold):
                assert hold not in {mark_of(held) for held in self.pump_lot_holds}
                seen.holds.discard(hold)
            case _:
                pass

    def look_again(self, parts_of: set[DeviceUnitId]) -> None:
        """Parts that came out of a system, with it or for another part, return to us (U12)."""
        for id in parts_of:
            found, seen = self.unit(id), self.seen[id]
            if found.lifecycle is not seen.stage:
                assert (found.lifecycle, found.parent) == (S.RETURNING, None)
                assert not seen.ended, "U10"
                seen.stage = S.RETURNING

    def must_have_been_usable(self, id: DeviceUnitId) -> None:
        """U8, R3, U9."""
        assert not self.seen[id].holds
        assert not self.pump_lot_holds
        assert self.seen[id].released

    def counted(self, quantity: int, here: Place | None, there: Place | None) -> None:
        if here is not None:
            self.sutures.places[here] -= quantity
        if there is not None:
            self.sutures.places[there] += quantity

    def unit(self, id: str) -> DeviceUnit:
        state = self.ledger.state(id)
        assert isinstance(state, DeviceUnit)
        return state

    # What is always true ------------------------------------------------------------------

    @invariant()
    def every_unit_is_as_it_was_seen(self) -> None:
        for id, seen in self.seen.items():
            unit = self.unit(id)
            assert unit.lifecycle is seen.stage
            assert unit.holds == frozenset(seen.holds)
            assert (unit.quality is Quality.RELEASED) == seen.released

    @invariant()
    def u2_every_unit_has_one_owner_and_one_place_that_fits_its_stage(self) -> None:
        for id in self.units:
            unit = self.unit(id)
            if unit.lifecycle in (S.REGISTERED, S.RENUMBERED):
                assert unit.place is None
                continue
            assert unit.place is not None
            if unit.lifecycle in (S.IN_STOCK, S.RESERVED):
                assert isinstance(unit.place.holder, WarehouseId)
                assert unit.place.zone is not None
                assert unit.owner is None
            elif unit.lifecycle is S.IN_TRANSIT:
                assert isinstance(unit.place.holder, (WarehouseId, ShipmentId))
                assert unit.place.zone is None
                assert unit.owner is None
            elif unit.lifecycle in AT_CUSTOMER:
                assert isinstance(unit.place.holder, CustomerId)
                assert unit.owner in (None, unit.place.holder)

    @invariant()
    def u3_a_placement_is_open_only_at_a_customer_and_stays_ours(self) -> None:
        for id in self.units:
            unit = self.unit(id)
            # A part stands there on the terms of its system, which has the day.
            assert (unit.due_back is not None) == (unit.placement in PLACED) or id in self.fitted
            assert unit.due_back is not None or not unit.overdue
            if unit.placement in PLACED:
                assert unit.lifecycle in AT_CUSTOMER | {S.SCRAPPED}
                assert unit.owner is None
            if unit.placement is Placement.SOLD and unit.lifecycle is not S.SCRAPPED:
                assert unit.owner is not None

    @invariant()
    def u11_sutures_are_conserved_and_nowhere_less_than_nothing(self) -> None:
        lot = self.ledger.state(self.suture_lot)
        assert isinstance(lot, Lot)
        assert lot.amounts == {place: n for place, n in self.sutures.places.items() if n}
        assert all(n > 0 for n in lot.amounts.values())
        assert sum(lot.amounts.values()) + self.sutures.scrapped == self.sutures.received
        assert lot.reserved == {key: n for key, n in self.sutures.reserved.items() if n}
        assert all(n > 0 for n in lot.reserved.values())
        for warehouse in (HANGZHOU, CHENGDU):
            set_aside = sum(n for (_, where), n in lot.reserved.items() if where == warehouse)
            assert set_aside <= lot.amounts.get(at(warehouse, Zone.QUALIFIED), 0)

    @invariant()
    def u12_parts_form_a_tree(self) -> None:
        units = {id: self.unit(id) for id in self.units}
        for id, unit in units.items():
            for part in unit.parts:
                assert units[part].parent == id
                assert units[part].place == unit.place, "a part is where its system is (U2)"
            if unit.parent is not None:
                assert id in units[unit.parent].parts
            above, up = [id], unit.parent
            while up is not None:
                assert up not in above, "a cycle"
                above, up = [*above, up], units[up].parent

    def teardown(self) -> None:
        self.ledger.close()


def at(holder: PartyId, zone: Zone | None = None) -> Place:
    return Place(holder=holder, zone=zone)


def never_tried() -> set[type[Command[Any]]]:
    """Commands of units and lots that no life tries itself; others ask for them."""
    tried: set[type[Command[Any]]] = {
        *UNIT_COMMANDS,
        *(ReceiveUnit, ReplacePart, CorrectSerial, ReceiveLot, InspectLot, TransferLot),
        *(ReserveLot, ReleaseLot, ShipLot, DeliverLot, ReturnLot, ScrapLot, HoldLot, LiftLotHold),
    }
    known = {*DeviceUnit.commands.values(), *Lot.commands.values()}
    return known - tried
