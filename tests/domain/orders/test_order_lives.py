"""Random lives of orders: whatever people try, order, units, lots and shipments tell one story."""

from collections import Counter
from datetime import date
from itertools import chain, count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.domain.orders.examples import cny
from tests.domain.orders.towns import InCompany, InMemory, Town

from medsales.company import Company
from medsales.domain.governance.approval import Approve
from medsales.domain.ids import (
    ApprovalId,
    CreditAccountId,
    CustomerId,
    DeviceUnitId,
    LotId,
    OrderId,
    PriceMatrixId,
    ProductId,
    ShipmentId,
    WarehouseId,
)
from medsales.domain.kernel import Command
from medsales.domain.orders.cancelling import CancelLine, CancelOrder, RejectHold, ReopenOrder
from medsales.domain.orders.fulfilment import (
    ReleaseGoods,
    ReserveGoods,
    ReturnGoods,
    SellPlacedUnits,
)
from medsales.domain.orders.goods import LotQuantity
from medsales.domain.orders.holds import ConfirmOrder, ReleaseHold
from medsales.domain.orders.order import Order, OrderStatus, by_line
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.orders.shipment import (
    CancelShipment,
    DeliverShipment,
    DispatchShipment,
    PlanShipment,
    Shipment,
    ShipmentStatus,
    Transport,
)
from medsales.domain.parties.customer import CustomerKind, RegisterCustomer
from medsales.domain.stock.device_unit import (
    CollectUnit,
    DeviceUnit,
    HoldUnit,
    InspectUnit,
    Lifecycle,
    LiftUnitHold,
    Placement,
    PlaceUnit,
    ReceiveUnit,
    TakeBackUnit,
)
from medsales.domain.stock.lot import HoldLot, InspectLot, LiftLotHold, Lot, ReceiveLot
from medsales.domain.stock.product import (
    RecordRegistration,
    RegisterProduct,
    Registration,
    TrackedBy,
)
from medsales.domain.stock.warehouse import OpenWarehouse, Zone
from medsales.domain.terms.credit import AgreeCredit, CreditAccount
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    OpenPriceMatrix,
    PriceCell,
    PriceMatrix,
    RevokeVersion,
    ScheduleVersion,
    SubmitVersion,
    SuspendVersion,
)
from medsales.domain.udi import Issuer, Udi
from medsales.domain.values import Money

SOME_UNITS = st.sets(st.integers(0, 2), max_size=2).map(sorted)
SOME_STENTS = st.integers(0, 4)
PLACES = st.sampled_from([Placement.DEMO, Placement.CONSIGNMENT])
WAREHOUSES = st.integers(0, 1)
ORDERS = st.integers(0, 1)
SHIPMENTS = st.integers(0, 3)
SELDOM = st.integers(0, 4)
"""What would end a life early is done when this is 0."""
lives = count()
"""Lives in the same database keep apart by the number that all their keys end in."""


class OrderLives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.town = self.found()
        self.life = life = next(lives)
        self.customer = CustomerId.of(f"union-{life}")
        self.matrix = PriceMatrixId.of(f"CN-{life}")
        self.dis = {"pump": f"PUMP-{life}", "stent": f"STENT-{life}"}
        self.pump, self.stent = (ProductId.of(di) for di in self.dis.values())
        self.units = [DeviceUnitId.of(self.dis["pump"], f"SN{n}") for n in range(3)]
        self.lot = LotId.of(self.dis["stent"], "A1")
        self.warehouses = [WarehouseId.of(f"{city}-{life}") for city in ("HZ", "WH")]
        self.orders = [OrderId.of(f"SO{n}-{life}") for n in range(2)]
        self.shipments = [ShipmentId.of(f"DN{n}-{life}") for n in range(4)]
        self.prices: dict[OrderId, list[tuple[ProductId, Money]]] = {}
        self.arrived = 0
        self.returned: Counter[OrderId] = Counter()

    def found(self) -> Town:
        """Where this life is lived."""
        return InMemory()

    def tell(self, command: Command[Any], id: str | None = None, by: str = "chen") -> bool:
        """Asks; whether it happened. Anything but an answer or a refusal ends the life."""
        return self.town.ask(command, id, by) is None

    def order(self, id: OrderId) -> Order:
        state = self.town.state(id)
        assert isinstance(state, Order)
        return state

    def unit(self, id: DeviceUnitId) -> DeviceUnit:
        state = self.town.state(id)
        assert isinstance(state, DeviceUnit)
        return state

    def shipment(self, id: ShipmentId) -> Shipment:
        state = self.town.state(id)
        assert isinstance(state, Shipment)
        return state

    def the_lot(self) -> Lot:
        state = self.town.state(self.lot)
        assert isinstance(state, Lot)
        return state

    @property
    def credit(self) -> CreditAccountId:
        return CreditAccountId.of(self.customer.key)

    def account(self) -> CreditAccount:
        state = self.town.state(self.credit)
        assert isinstance(state, CreditAccount)
        return state

    # The world

    @initialize()
    def begin(self) -> None:
        for id in self.warehouses:
            code = id.partition(":")[2]
            assert self.tell(OpenWarehouse(code=code, name=code, address="物流园"))
        number = self.customer.partition(":")[2]
        hospital = CustomerKind.HOSPITAL
        assert self.tell(
            RegisterCustomer(
                number=number, kind_of=hospital, name="协和医院", region="华东", address="庆春路"
            )
        )
        self.take_up(self.dis["pump"], "输液泵", TrackedBy.SERIAL)
        self.take_up(self.dis["stent"], "冠脉支架", TrackedBy.LOT)
        code = self.matrix.partition(":")[2]
        assert self.tell(OpenPriceMatrix(code=code, name="中国", currency="CNY"))
        self.price(12, 8)
        for n in range(3):
            self.receive_unit(n)
            assert self.tell(InspectUnit(passed=True), self.units[n])
        self.receive_stents(5, 0)
        self.place(0, 2, [4, 2])
        self.place(1, 2, [3])
        self.confirm(0)
        self.reserve_what_is_free(0, 1, 2)

    def take_up(self, di: str, name: str, tracked_by: TrackedBy) -> None:
        product = RegisterProduct(
            di=di,
            issuer=Issuer.OTHER,
            name=name,
            model="M-1",
            registrant="杭州器械",
            tracked_by=tracked_by,
        )
        since = Registration(number="国械注准20203120001", valid_from=date(2020, 1, 1))
        assert self.tell(product)
        assert self.tell(RecordRegistration(registration=since), ProductId.of(di))

    @rule(pump=st.integers(9, 15), stent=st.integers(5, 9))
    def price(self, pump: int, stent: int) -> None:
        prices = {self.pump: cny(str(pump)), self.stent: cny(str(stent))}
        cells = tuple(PriceCell(product=product, price=price) for product, price in prices.items())
        draft = DraftVersion(effective_from=date(2026, 1, 1), cells=cells)
        assert self.tell(draft, self.matrix, by="chen")
        number = len(self.prices_now().versions)
        assert self.tell(SubmitVersion(version=number), self.matrix)
        version = self.prices_now().version(number)
        assert self.tell(Approve(content_hash=version.content_hash), version.approval, by="wang")
        assert self.tell(ScheduleVersion(version=number), self.matrix)

    def prices_now(self) -> PriceMatrix:
        state = self.town.state(self.matrix)
        assert isinstance(state, PriceMatrix)
        return state

    @rule(version=st.integers(1, 3), sure=SELDOM)
    def revoke_prices(self, version: int, sure: int) -> None:
        if not sure:
            self.tell(SuspendVersion(version=version, reason="a doubt"), self.matrix)
            self.tell(RevokeVersion(version=version, reason="a typing error"), self.matrix)

    def receive_unit(self, n: int) -> None:
        di, serial = self.dis["pump"], f"SN{n}"
        udi = Udi(raw=f"{di} {serial}", issuer=Issuer.OTHER, di=di, serial=serial)
        assert self.tell(ReceiveUnit(udi=udi, product=self.pump, warehouse=self.warehouses[0]))

    @rule(quantity=st.integers(1, 5), where=WAREHOUSES)
    def receive_stents(self, quantity: int, where: int) -> None:
        di = self.dis["stent"]
        receive = ReceiveLot(
            udi=Udi(raw=f"{di} A1", issuer=Issuer.OTHER, di=di, lot="A1"),
            product=self.stent,
            warehouse=self.warehouses[where],
            quantity=quantity,
            delivery=f"LS-{self.arrived}",
        )
        assert self.tell(receive)
        self.arrived += quantity
        self.inspect_stents(Zone.PENDING, where, quantity)

    @rule(zone=st.just(Zone.RETURNS), where=WAREHOUSES, quantity=st.integers(1, 2))
    def inspect_stents(self, zone: Zone, where: int, quantity: int) -> None:
        warehouse = self.warehouses[where]
        inspect = InspectLot(warehouse=warehouse, zone=zone, quantity=quantity, passed=True)
        self.tell(inspect, self.lot)

    @rule(n=st.integers(0, 2), placement=PLACES)
    def place_unit(self, n: int, placement: Placement) -> None:
        place = PlaceUnit(
            placement=placement,
            customer=self.customer,
            agreement="AG-1",
            due_back=date(2027, 1, 1),
        )
        self.tell(place, self.units[n])

    @rule(n=st.integers(0, 2), where=WAREHOUSES)
    def bring_back(self, n: int, where: int) -> None:
        """A returned unit, or one that was placed, comes home and passes inspection."""
        self.tell(CollectUnit(reason="the trial is over"), self.units[n])
        if self.tell(TakeBackUnit(warehouse=self.warehouses[where]), self.units[n]):
            assert self.tell(InspectUnit(passed=True), self.units[n])

    @rule(n=st.integers(0, 2), sure=SELDOM)
    def hold_or_lift(self, n: int, sure: int) -> None:
        reason = {"hold": "Q-1", "reason": "a leak"}
        self.tell(LiftUnitHold(**reason) if sure else HoldUnit(**reason), self.units[n])
        if n == 0:
            self.tell(LiftLotHold(**reason) if sure else HoldLot(**reason), self.lot)

    # The order

    @rule(n=ORDERS, pumps=st.integers(0, 3), stents=st.lists(st.integers(1, 4), max_size=2))
    def place(self, n: int, pumps: int, stents: list[int]) -> None:
        lines = [(self.pump, pumps)] * (pumps > 0) + [(self.stent, some) for some in stents]
        if not lines:
            return
        place = PlaceOrder(
            number=self.orders[n].partition(":")[2],
            customer=self.customer,
            price_matrix=self.matrix,
            lines=tuple(WantedLine(product=product, quantity=some) for product, some in lines),
        )
        if self.tell(place):
            placed = self.order(self.orders[n]).placed
            assert placed is not None
            self.prices.setdefault(
                self.orders[n], [(line.product, line.price) for line in placed.lines]
            )

    @rule(n=ORDERS)
    def confirm(self, n: int) -> None:
        before = self.order(self.orders[n]).status
        self.tell(ConfirmOrder(), self.orders[n])
        after = self.order(self.orders[n])
        if before is OrderStatus.PLACED and after.status is OrderStatus.CONFIRMED:
            account = self.account()
            limit = account.limit.amount if account.limit else account.owed["CNY"]
            assert account.owed["CNY"] <= limit, "K2"

    def named(self, units: list[int], stents: int, where: int) -> dict[str, Any]:
        some = LotQuantity(lot=self.lot, warehouse=self.warehouses[where], quantity=stents or 1)
        return {
            "units": tuple(self.units[n] for n in units),
            "quantities": (some,) if stents or not units else (),
        }

    @rule(limit=st.integers(40, 250))
    def agree_on_credit(self, limit: int) -> None:
        """Somebody else agrees where it is more than before."""
        agree = AgreeCredit(customer=self.customer, limit=cny(str(limit)), reason="as agreed")
        assert self.tell(agree) or self.account().limit == cny(str(limit))
        for number in self.account().pending:
            approval = ApprovalId.of(self.credit, str(number))
            asked: Any = self.town.state(approval)
            assert self.tell(Approve(content_hash=asked.content_hash), approval, by="wang")

    @rule(n=ORDERS)
    def release_its_holds(self, n: int) -> None:
        for kind in self.order(self.orders[n]).holds:
            self.tell(ReleaseHold(kind=kind, reason="checked"), self.orders[n], by="li")

    @rule(n=ORDERS, sure=SELDOM)
    def reject(self, n: int, sure: int) -> None:
        for kind in self.order(self.orders[n]).holds[: not sure]:
            assert self.tell(RejectHold(kind=kind, reason="no"), self.orders[n], by="li")

    @rule(n=ORDERS)
    def open_again(self, n: int) -> None:
        self.tell(ReopenOrder(reason="there is a budget now"), self.orders[n])

    @rule(n=ORDERS, units=SOME_UNITS, stents=SOME_STENTS, where=WAREHOUSES, told=st.booleans())
    def reserve(self, n: int, units: list[int], stents: int, where: int, *, told: bool) -> None:
        goods = self.named(units, stents, where)
        self.tell(ReserveGoods(**goods, used_disclosed=told), self.orders[n])

    @rule(n=ORDERS, pumps=st.integers(0, 2), stents=SOME_STENTS, far=st.integers(0, 3))
    def fulfil(self, n: int, pumps: int, stents: int, far: int) -> None:
        """Some of an order goes so far: set aside, dispatched, delivered, given back."""
        self.reserve_what_is_free(n, pumps, stents)
        if far > 0:
            self.dispatch_most_that_is_set_aside(n)
        if far > 1:
            self.deliver_what_is_on_its_way(n)
        if far > 2:
            self.give_back_what_came_first(n, 0)

    def reserve_what_is_free(self, n: int, pumps: int, stents: int) -> None:
        self.confirm(n)
        free = [i for i, id in enumerate(self.units) if self.is_free(id)]
        self.reserve(n, free[:pumps], stents, 0, told=True)

    def is_free(self, id: DeviceUnitId) -> bool:
        unit = self.unit(id)
        return unit.lifecycle is Lifecycle.IN_STOCK and not unit.holds

    @rule(n=ORDERS, units=SOME_UNITS, stents=SOME_STENTS, where=WAREHOUSES)
    def release(self, n: int, units: list[int], stents: int, where: int) -> None:
        goods = self.named(units, stents, where)
        self.tell(ReleaseGoods(**goods, reason="not yet"), self.orders[n])

    @rule(n=ORDERS, line=st.integers(1, 3), quantity=st.integers(1, 4))
    def cancel_line(self, n: int, line: int, quantity: int) -> None:
        self.tell(CancelLine(line=line, quantity=quantity, reason="less is enough"), self.orders[n])

    @rule(n=ORDERS, sure=SELDOM)
    def cancel(self, n: int, sure: int) -> None:
        if not sure:
            self.tell(CancelOrder(reason="no budget"), self.orders[n])

    @rule(n=ORDERS, where=WAREHOUSES)
    def give_back_what_came_first(self, n: int, where: int) -> None:
        for goods, _, _ in self.order(self.orders[n]).delivered:
            units = [self.units.index(goods)] if isinstance(goods, DeviceUnitId) else []
            self.give_back(n, units, 0 if units else 1, where)
            break

    @rule(n=ORDERS, units=SOME_UNITS)
    def sell_where_they_stand(self, n: int, units: list[int]) -> None:
        named = tuple(self.units[i] for i in units or [0])
        self.tell(SellPlacedUnits(units=named, used_disclosed=True), self.orders[n])

    @rule(n=ORDERS, units=SOME_UNITS, stents=SOME_STENTS, where=WAREHOUSES)
    def give_back(self, n: int, units: list[int], stents: int, where: int) -> None:
        goods = self.named(units, stents, where)
        if self.tell(ReturnGoods(**goods, reason="too many"), self.orders[n]):
            self.returned[self.orders[n]] += len(goods["units"]) + sum(
                some.quantity for some in goods["quantities"]
            )

    # The shipment

    @rule(s=SHIPMENTS, n=ORDERS)
    def plan(self, s: int, n: int) -> None:
        number = self.shipments[s].partition(":")[2]
        plan = PlanShipment(number=number, order=self.orders[n], planned_for=date(2026, 6, 5))
        self.tell(plan)

    @rule(s=SHIPMENTS)
    def give_up(self, s: int) -> None:
        self.tell(CancelShipment(reason="the road is closed"), self.shipments[s])

    @rule(s=SHIPMENTS, n=ORDERS, units=SOME_UNITS, stents=SOME_STENTS, where=WAREHOUSES)
    def dispatch(self, s: int, n: int, units: list[int], stents: int, where: int) -> None:
        send = DispatchShipment(
            number=self.shipments[s].partition(":")[2],
            order=self.orders[n],
            **self.named(units, stents, where),
            transport=Transport(carrier="顺丰医药", waybill="SF-1"),
            ship_to="放射科",
        )
        self.tell(send)

    @rule(n=ORDERS)
    def dispatch_most_that_is_set_aside(self, n: int) -> None:
        pile = self.order(self.orders[n]).set_aside
        if not pile:
            return
        amounts: Counter[WarehouseId] = Counter()
        for (_, warehouse, _), quantity in pile.items():
            if warehouse is not None:
                amounts[warehouse] += quantity
        self.shipments.append(ShipmentId.of(f"DN{len(self.shipments)}-{self.life}"))
        send = DispatchShipment(
            number=self.shipments[-1].partition(":")[2],
            order=self.orders[n],
            units=tuple(goods for goods, _, _ in pile if isinstance(goods, DeviceUnitId)),
            quantities=tuple(
                LotQuantity(lot=self.lot, warehouse=warehouse, quantity=quantity)
                for warehouse, quantity in amounts.most_common(1)
            ),
            transport=Transport(carrier="顺丰医药", waybill="SF-1"),
            ship_to="放射科",
        )
        self.tell(send)

    @rule(s=SHIPMENTS)
    def deliver(self, s: int) -> None:
        self.tell(DeliverShipment(received_by="护士长 刘"), self.shipments[s])

    @rule(n=ORDERS)
    def deliver_what_is_on_its_way(self, n: int) -> None:
        for shipment in self.order(self.orders[n]).travelling:
            assert self.tell(DeliverShipment(received_by="护士长 刘"), shipment)

    # What must always be true

    @invariant()
    def no_more_is_shipped_or_cancelled_than_was_ordered(self) -> None:
        for id in self.orders:
            for line in self.order(id).lines.values():
                assert min(line.set_aside, line.shipped, line.cancelled) >= 0
                assert line.shipped <= line.ordered - line.cancelled, "D1"
                assert line.cancelled <= line.ordered - line.shipped, "D2"
                assert line.set_aside + line.shipped + line.cancelled <= line.ordered

    @invariant()
    def what_is_set_aside_adds_up_by_line(self) -> None:
        for id in self.orders:
            order = self.order(id)
            assert all(quantity > 0 for quantity in order.set_aside.values())
            piles: Counter[int] = Counter()
            for (_, _, line), quantity in order.set_aside.items():
                piles[line] += quantity
            assert piles == +Counter({n: line.set_aside for n, line in order.lines.items()})

    @invariant()
    def a_unit_is_set_aside_for_the_one_order_that_says_so(self) -> None:
        said = [
            (goods, id)
            for id in self.orders
            for goods, _, _ in self.order(id).set_aside
            if isinstance(goods, DeviceUnitId)
        ]
        units = {id: self.unit(id) for id in self.units}
        taken = {id: unit for id, unit in units.items() if unit.lifecycle is Lifecycle.RESERVED}
        assert sorted(said) == sorted((id, unit.order) for id, unit in taken.items())

    @invariant()
    def a_lot_is_reserved_for_the_orders_that_say_so(self) -> None:
        said: Counter[tuple[OrderId, Any]] = Counter()
        for id in self.orders:
            for (goods, warehouse, _), quantity in self.order(id).set_aside.items():
                if goods == self.lot:
                    said[id, warehouse] += quantity
        assert self.the_lot().reserved == said

    @invariant()
    def nothing_of_a_lot_appears_or_vanishes(self) -> None:
        lot = self.the_lot()
        assert sum(lot.amounts.values()) == self.arrived
        assert all(quantity > 0 for quantity in lot.amounts.values())
        for warehouse in self.warehouses:
            lot.must_have_free(warehouse, 0)

    @invariant()
    def a_unit_is_on_at_most_one_open_shipment(self) -> None:
        on_the_way = [
            (unit, id)
            for id in self.shipments
            if self.shipment(id).status is ShipmentStatus.IN_TRANSIT
            for unit in self.shipment(id).units
        ]
        holders = {id: self.unit(id).place for id in self.units}
        assert sorted(on_the_way) == sorted(
            (id, place.holder)
            for id, place in holders.items()
            if place is not None and isinstance(place.holder, ShipmentId)
        ), "S1"

    @invariant()
    def shipments_and_orders_agree_on_what_is_on_the_way(self) -> None:
        carried: Counter[tuple[ShipmentId, Any]] = Counter()
        for id in self.shipments:
            shipment = self.shipment(id)
            if shipment.status is ShipmentStatus.IN_TRANSIT:
                carried.update((id, unit) for unit in shipment.units)
                for some in shipment.quantities:
                    carried[id, some.lot] += some.quantity
        noted: Counter[tuple[ShipmentId, Any]] = Counter()
        for order in self.orders:
            for id, goods in self.order(order).travelling.items():
                for piece in goods:
                    noted[id, piece.goods] += piece.quantity
        assert carried == noted
        held = {
            (place.holder, self.lot): quantity
            for place, quantity in self.the_lot().amounts.items()
            if isinstance(place.holder, ShipmentId)
        }
        assert held == {key: n for key, n in carried.items() if key[1] == self.lot}

    @invariant()
    def shipped_is_on_the_way_or_delivered_or_returned(self) -> None:
        for id in self.orders:
            order = self.order(id)
            on_the_way = sum(some.quantity for t in order.travelling.values() for some in t)
            there = sum(order.delivered.values()) + self.returned[id]
            assert sum(line.shipped for line in order.lines.values()) == on_the_way + there, "S2"

    @invariant()
    def delivered_units_belong_to_the_order_they_came_with(self) -> None:
        for id in self.orders:
            for goods, _, _ in self.order(id).delivered:
                if isinstance(goods, DeviceUnitId):
                    unit = self.unit(goods)
                    assert (unit.order, unit.owner) == (id, self.customer)
                    assert unit.lifecycle is Lifecycle.AT_SITE

    @invariant()
    def an_order_is_cancelled_when_all_of_it_is(self) -> None:
        for id in self.orders:
            order = self.order(id)
            nothing_left = all(line.cancelled == line.ordered for line in order.lines.values())
            cancelled = order.status is OrderStatus.CANCELLED
            assert cancelled == (bool(order.lines) and nothing_left)
            assert not (cancelled and (order.set_aside or order.travelling or order.delivered))

    @invariant()
    def every_order_takes_what_it_is_worth_of_the_credit(self) -> None:
        """D4, K3: what is confirmed and not shipped, and what is shipped and did not come back."""
        reservations = self.account().reservations
        assert set(reservations) <= set(self.orders)
        for id in self.orders:
            order, taken = self.order(id), reservations.get(id)
            lines = order.lines.items() if order.reserved else ()
            confirmed = sum(line.price.amount * line.not_shipped for _, line in lines)
            gone = [*chain(*order.travelling.values())]
            there = Counter(by_line(gone)) if order.reserved else Counter[int]()
            for (_, _, number), quantity in order.delivered.items() if order.reserved else ():
                there[number] += quantity
            shipped = sum(order.lines[n].price.amount * pieces for n, pieces in there.items())
            assert (taken.confirmed if taken else 0) == confirmed
            assert (taken.shipped if taken else 0) == shipped
            promised = order.status is OrderStatus.CONFIRMED
            assert order.reserved or not promised
            assert (order.status is OrderStatus.ON_HOLD) == bool(
                order.holds and order.status is not OrderStatus.CANCELLED
            )

    @invariant()
    def prices_never_change_after_placing(self) -> None:
        for id, prices in self.prices.items():
            placed = self.order(id).placed
            assert placed is not None
            assert [(line.product, line.price) for line in placed.lines] == prices, "D3"


def test_orders_live_consistently_in_memory() -> None:
    run_state_machine_as_test(
        OrderLives, settings=settings(max_examples=120, stateful_step_count=40, deadline=None)
    )


def test_orders_live_consistently_in_the_database(company: Company) -> None:
    town = InCompany(company)

    class LivesInCompany(OrderLives):
        def found(self) -> Town:
            return town

        def teardown(self) -> None:
            town.must_be_reproducible()

    run_state_machine_as_test(
        LivesInCompany, settings=settings(max_examples=8, stateful_step_count=25, deadline=None)
    )
