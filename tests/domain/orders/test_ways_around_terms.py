"""What a clever salesperson tries with orders and prices, and why it does not help him."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.domain.governance.licences import OPERATING, PRACTICE, checked, recorded
from tests.domain.orders.examples import (
    CERTIFIED,
    CONFIRMED,
    PLACED,
    PUMP,
    PUMP_REGISTERED,
    ROAD,
    SN1,
    SO1,
    STENT,
    UNION,
    UNION_REGISTERED,
    WORLD,
    cny,
    placed_as,
    reserved,
    shipped,
    some_stents,
    stents,
    unit_told,
)
from tests.domain.orders.test_placing import SPRING, placed, promoted, wanted
from tests.domain.sales.examples import CELLS, Q1, SO9, Office, accept
from tests.domain.terms.pricing import PUMP as PRICED
from tests.domain.terms.pricing import Prices, buyer, cell, published

from medsales.domain.governance.licence_file import OWN, LicenceRevoked, LicenceScope, file_of
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.ids import ApprovalId, CreditAccountId, ShipmentId
from medsales.domain.kernel import Refused, Role, Who
from medsales.domain.orders.cancelling import CancelLine, CancelOrder, ReopenOrder
from medsales.domain.orders.fulfilment import (
    GoodsReturned,
    PlacedUnitsSold,
    ReserveGoods,
    ReturnGoods,
    SellPlacedUnits,
)
from medsales.domain.orders.holds import ConfirmOrder, OrderHeld, ReleaseHold
from medsales.domain.orders.order import HoldKind, Order, OrderStatus
from medsales.domain.orders.placing import PlaceOrder
from medsales.domain.orders.shipment import DeliverShipment, DispatchShipment
from medsales.domain.parties.customer import ReviseCustomer
from medsales.domain.sales.offer import WantedQuoteLine
from medsales.domain.stock.device_unit import Placement, UnitReturned
from medsales.domain.terms.credit import AgreeCredit, CreditAccount, RequestOverride
from medsales.domain.terms.credit_exposure import (
    Means,
    RecordInvoice,
    RecordSettlement,
    ReleaseReservation,
    ReturnNoted,
)
from medsales.domain.terms.price_matrix import AddCells, DraftVersion, PriceMatrix
from medsales.domain.terms.price_sheet import PriceCell, PriceException
from medsales.domain.terms.promotion import FreeGoods, PercentOff, Promotion
from medsales.engine.decision import Decision
from medsales.testing import NOON, given

WHY = "the ward is not built"
SALES = (Role.SALES,)
ACCOUNT = CreditAccountId.of(UNION.key)
LAST_YEAR = NOON - timedelta(days=400)


def told_late(office: Office, command: Any, id: str | None, at: datetime) -> list[Any]:
    """What would come of it if somebody said that it happened earlier."""
    decision = Decision(office.load, Who("chen", "Chen", tuple(Role)), at, office.now)
    decision.ask(id or command.begins(), command)
    return [draft.event for draft in decision.drafts]


# Saying that it happened earlier


def test_an_order_that_is_told_late_has_the_prices_of_now_d3() -> None:
    office = Office()
    cheap = PriceCell(product=PUMP, price=cny("9000.00"))
    office.price((cheap,), date(2025, 1, 1), date(2025, 12, 31))
    (order, *_) = told_late(office, wanted((PUMP, 1)), None, LAST_YEAR)
    assert order.lines[0].price == cny("10000.00")


def test_a_promotion_that_is_over_is_not_drawn_on_by_an_order_told_late() -> None:
    office = promoted(PercentOff(percent="10"))
    june, office.now = office.now, office.now + timedelta(days=60)
    with pytest.raises(Refused, match="does not run on 2026-07-31"):
        told_late(office, wanted((PUMP, 1), promotion=SPRING), None, june)


def test_a_confirmation_told_late_is_checked_as_of_now_k2_k4() -> None:
    """The override counted that day; it is over."""
    office = Office()
    office.tell(AgreeCredit(customer=UNION, limit=cny("100.00"), reason=WHY))
    account, today = CreditAccountId.of(UNION.key), office.now.date()
    more = RequestOverride(amount=cny("20000.00"), until=today, reason=WHY)
    office.tell(more, account)
    office.approve(ApprovalId.of(account, "1"))
    office.tell(wanted((PUMP, 1)))
    in_time, office.now = office.now, office.now + timedelta(days=1)
    (held,) = told_late(office, ConfirmOrder(), SO9, in_time)
    assert [hold.kind for hold in held.holds] == [HoldKind.CREDIT]
    office.now = in_time
    assert not isinstance(told_late(office, ConfirmOrder(), SO9, in_time)[0], OrderHeld)


# Waiting with the confirmation


def confirmed_later(office: Office, days: int = 1) -> Order:
    office.now += timedelta(days=days)
    office.tell(ConfirmOrder(), SO9, roles=SALES)
    return office.state(SO9, Order)


DEARER = (
    PriceCell(product=PUMP, price=cny("20000.00")),
    PriceCell(product=STENT, price=cny("799.99")),
)


def test_no_price_is_kept_by_waiting_with_the_confirmation_d3() -> None:
    office = Office()
    office.tell(wanted((PUMP, 2)), roles=SALES)
    office.price(DEARER, date(2026, 6, 2))
    assert confirmed_later(office).holds == (HoldKind.PRICE,)
    (held,) = office.streams_of(SO9, "OrderHeld")
    assert isinstance(held, OrderHeld)
    assert held.holds[0].en.endswith("costs 20000.00 CNY on 2026-06-02, not 10000.00 CNY")
    assert "2026-06-01" in held.holds[0].zh
    release = ReleaseHold(kind=HoldKind.PRICE, reason="promised on the telephone")
    office.tell(release, SO9, by="wang", roles=(Role.MANAGER,))
    assert office.state(SO9, Order).status is OrderStatus.CONFIRMED


def test_an_order_of_another_day_is_confirmed_where_it_would_cost_the_same_d3() -> None:
    office = Office()
    office.tell(wanted((STENT, 2)), roles=SALES)
    office.price(DEARER, date(2026, 6, 2))
    assert confirmed_later(office).status is OrderStatus.CONFIRMED


def test_what_is_confirmed_on_the_day_it_was_placed_keeps_its_price_d3() -> None:
    office = Office()
    office.tell(wanted((PUMP, 2)), roles=SALES)
    office.price(DEARER, date(2026, 6, 1))
    assert confirmed_later(office, 0).status is OrderStatus.CONFIRMED


def test_what_has_no_price_any_more_is_held_d3() -> None:
    office = Office()
    office.tell(wanted((PUMP, 2)), roles=SALES)
    assert confirmed_later(office, 365).holds == (HoldKind.PRICE,)


def test_a_customer_of_another_tier_by_then_has_the_prices_of_that_tier_d3() -> None:
    office = Office()
    cells = (*CELLS, PriceCell(product=PUMP, price=cny("9000.00"), tier="A"))
    office.price(cells, date(2026, 5, 1), date(2026, 12, 31))
    office.tell(wanted((PUMP, 2)), roles=SALES)
    assert placed(office).lines[0].price == cny("9000.00")
    known = UNION_REGISTERED.model_dump(include={"name", "region", "grade", "address"})
    office.tell(ReviseCustomer(tier="C", **known), UNION, by="wang")
    assert confirmed_later(office).holds == (HoldKind.PRICE,)


@pytest.mark.parametrize(("days", "stands"), [(1, True), (2, True), (3, False)])
def test_an_exception_counts_to_its_last_day_also_for_who_waits_p5(
    days: int, *, stands: bool
) -> None:
    """What the order took of it itself is no reason to hold it."""
    office = Office()
    tender = PriceException(
        name="tender", reason="a tender", max_quantity=3, until=date(2026, 6, 3)
    )
    floored = PriceCell(product=PUMP, price=cny("7000.00"), floor=cny("8000.00"), exception=tender)
    office.price((floored,), date(2026, 5, 1), date(2026, 12, 31))
    office.tell(wanted((PUMP, 3)), roles=SALES)
    assert confirmed_later(office, days).holds == (() if stands else (HoldKind.PRICE,))


@pytest.mark.parametrize(("days", "stands"), [(1, True), (60, False)])
def test_a_promotion_is_not_kept_by_who_waits_until_it_is_over(days: int, *, stands: bool) -> None:
    office = promoted(PercentOff(percent="10"))
    office.tell(wanted((PUMP, 1), promotion=SPRING), roles=SALES)
    assert confirmed_later(office, days).holds == (() if stands else (HoldKind.PRICE,))


def test_d3_what_a_quote_promised_is_confirmed_at_that_price_on_any_day() -> None:
    office = Office().accepted()
    office.tell(wanted(price_matrix=None, quote=Q1, lines=()))
    office.price(DEARER, date(2026, 6, 2))
    assert confirmed_later(office, 365).status is OrderStatus.CONFIRMED


# Opening again what a quote promised


def test_a_quote_promises_its_prices_once_also_when_its_order_is_opened_again_q5() -> None:
    office = Office().accepted()
    office.tell(wanted(price_matrix=None, quote=Q1, lines=()))
    office.tell(ConfirmOrder(), SO9)
    office.tell(CancelOrder(reason=WHY), SO9)
    office.tell(ReopenOrder(reason=WHY), SO9)
    office.tell(ConfirmOrder(), SO9)
    order = office.state(SO9, Order)
    assert (order.status, order.holds) == (OrderStatus.ON_HOLD, (HoldKind.PRICE,))


def test_an_exception_that_is_over_is_not_taken_by_opening_an_order_again_p5() -> None:
    office = Office()
    tender = PriceException(
        name="tender", reason="a tender", max_quantity=5, until=date(2026, 6, 3)
    )
    floored = PriceCell(product=PUMP, price=cny("7000.00"), floor=cny("8000.00"), exception=tender)
    office.price((floored,), date(2026, 5, 1), date(2026, 12, 31))
    office.tell(wanted((PUMP, 3)))
    office.tell(CancelOrder(reason=WHY), SO9)
    office.now += timedelta(days=1)
    office.tell(ReopenOrder(reason=WHY), SO9)
    office.tell(CancelOrder(reason=WHY), SO9)
    office.now += timedelta(days=2)
    assert office.refusal(ReopenOrder(reason=WHY), SO9).code == "price.exception_over"


# Cancelling most of what made a price


BREAK = 10
"""From so many stents on they cost 700, not 800."""
BROKEN = (
    PriceCell(product=STENT, price=cny("800.00")),
    PriceCell(product=STENT, price=cny("700.00"), min_quantity=BREAK),
)


def part(quantity: int) -> CancelLine:
    return CancelLine(line=2, quantity=quantity, reason=WHY)


@pytest.mark.parametrize("quantity", [1, BREAK - 1])
def test_a_price_for_many_is_not_kept_by_who_cancels_most_of_them_p4(quantity: int) -> None:
    asked = given(PLACED, CONFIRMED, others=WORLD)
    asked.when(part(quantity), SO1, roles=SALES).refused(
        "order.below_quantity_break", f"from {BREAK} pieces on, and {BREAK - quantity} would be"
    )
    assert asked.when(part(quantity), SO1, roles=(Role.MANAGER,)).events


def test_a_whole_line_and_a_whole_order_are_still_cancelled_by_sales() -> None:
    asked = given(PLACED, CONFIRMED, others=WORLD)
    assert asked.when(part(BREAK), SO1, roles=SALES).events
    assert asked.when(CancelOrder(reason=WHY), SO1, roles=SALES).events


def test_more_than_the_break_can_be_cancelled_down_to_it() -> None:
    office = Office()
    office.price(BROKEN, date(2026, 5, 1), date(2026, 12, 31))
    office.tell(wanted((STENT, BREAK + 2)), roles=SALES)
    assert placed(office).lines[0].min_quantity == BREAK
    first = CancelLine(line=1, quantity=1, reason=WHY)
    for _ in range(2):
        office.tell(first, SO9, roles=SALES)
    assert office.refusal(first, SO9, roles=SALES).code == "order.below_quantity_break"


def test_the_rest_of_a_shipped_part_below_the_break_is_not_cancelled_by_sales() -> None:
    some = (PLACED, CONFIRMED, reserved(stents(4)), shipped(stents(4)))
    asked = given(*some, others=WORLD)
    asked.when(CancelOrder(reason=WHY), SO1, roles=SALES).refused(
        "order.below_quantity_break", "4 would be left"
    )
    assert asked.when(CancelOrder(reason=WHY), SO1, roles=(Role.MANAGER,)).events
    more = (*some, reserved(stents(6)), shipped(stents(6)))
    assert given(*more, others=WORLD).when(CancelOrder(reason=WHY), SO1, roles=SALES).events


def test_d3_what_was_ordered_from_a_quote_keeps_its_price_whatever_is_cancelled() -> None:
    office = Office()
    office.price(BROKEN, date(2026, 5, 1), date(2026, 12, 31))
    office.issued((WantedQuoteLine(product=STENT, quantity=BREAK),))
    office.tell(accept(office.quote), Q1)
    office.tell(PlaceOrder(number="SO-9", customer=UNION, quote=Q1), roles=SALES)
    most = CancelLine(line=1, quantity=BREAK - 1, reason=WHY)
    assert office.tell(most, SO9, roles=SALES)


# Taking a promotion apart


GIFT = FreeGoods(buy=PUMP, count=1, free=STENT, free_count=1, value=cny("100.00"))


def test_a_gift_is_not_kept_by_who_cancels_what_it_was_given_with() -> None:
    office = promoted(GIFT)
    office.tell(wanted((PUMP, 1), promotion=SPRING))
    part = CancelLine(line=1, quantity=1, reason=WHY)
    assert office.refusal(part, SO9, roles=SALES).code == "order.promoted_together"
    office.tell(part, SO9, roles=(Role.MANAGER,))
    assert placed(office).lines[1].free


def test_a_promoted_order_is_still_cancelled_whole_by_its_salesperson() -> None:
    office = promoted(GIFT)
    office.tell(wanted((PUMP, 1), promotion=SPRING))
    office.tell(CancelOrder(reason=WHY), SO9, roles=SALES)
    promotion = office.state(SPRING, Promotion)
    assert not promotion.draws
    assert (promotion.drawn, promotion.drawn_pieces) == (Decimal(0), 0)


GIFT_HANDED: dict[str, Any] = {"quantities": (some_stents(1),)}
PUMP_HANDED: dict[str, Any] = {"units": (SN1,)}


def handed_over(office: Office, *parts: dict[str, Any]) -> None:
    """Each part goes by itself, and arrives."""
    office.tell(ConfirmOrder(), SO9)
    for number, part in enumerate(parts, start=1):
        office.tell(ReserveGoods(**part), SO9)
        send = DispatchShipment(
            number=f"DN-{number}", order=SO9, transport=ROAD, ship_to="3 楼", **part
        )
        office.tell(send)
        office.tell(DeliverShipment(received_by="刘"), ShipmentId.of(f"DN-{number}"))


def owed(office: Office) -> Decimal:
    return office.state(ACCOUNT, CreditAccount).owed.get("CNY", Decimal(0))


BRING_BACK = ReturnGoods(**PUMP_HANDED, reason=WHY)


@pytest.mark.parametrize(
    "parts", [(PUMP_HANDED, GIFT_HANDED), (PUMP_HANDED,)], ids=["both handed over", "gift to come"]
)
def test_a_gift_is_not_kept_by_who_returns_what_it_was_given_with_k3(parts: Any) -> None:
    """The warehouse takes the pump in; what is owed, two people decide."""
    office = promoted(GIFT)
    office.tell(wanted((PUMP, 1), promotion=SPRING))
    handed_over(office, *parts)
    events = office.tell(BRING_BACK, SO9, roles=(Role.WAREHOUSE,))
    assert {type(event) for event in events} == {GoodsReturned, ReturnNoted, UnitReturned}
    assert owed(office) == 10_000
    release = ReleaseReservation(order=SO9, amount=cny("10000.00"), reason="the stent is used")
    office.tell(release, ACCOUNT, by="wang", roles=(Role.MANAGER,))
    assert owed(office) == 10_000
    office.approve(ApprovalId.of(ACCOUNT, "1"), by="feng")
    assert owed(office) == 0


def test_what_comes_back_with_its_gift_is_owed_no_longer_k3() -> None:
    office = promoted(GIFT)
    office.tell(wanted((PUMP, 1), promotion=SPRING))
    handed_over(office, PUMP_HANDED, GIFT_HANDED)
    office.tell(BRING_BACK, SO9, roles=SALES)
    assert owed(office) == 10_000
    office.tell(ReturnGoods(**GIFT_HANDED, reason=WHY), SO9, roles=SALES)
    assert owed(office) == 0


def test_a_return_without_a_promotion_needs_nobody_else_k3() -> None:
    office = Office()
    office.tell(wanted((PUMP, 1), (STENT, 1)))
    handed_over(office, PUMP_HANDED, GIFT_HANDED)
    office.tell(BRING_BACK, SO9, roles=SALES)
    assert owed(office) == Decimal("799.99")


def test_a_stent_is_not_kept_for_nothing_by_returning_a_pump_that_was_billed_k1_k3() -> None:
    office = Office()
    office.tell(wanted((PUMP, 1), (STENT, 1)))
    handed_over(office, PUMP_HANDED, GIFT_HANDED)
    bill = RecordInvoice(number="I-1", order=SO9, amount=cny("10000.00"))
    office.tell(bill, ACCOUNT)
    office.tell(BRING_BACK, SO9, roles=SALES)
    assert owed(office) == Decimal("10799.99")
    note = RecordSettlement(
        invoice="I-1", means=Means.CREDIT_NOTE, reference="CN-1", amount=cny("10000.00")
    )
    office.tell(note, ACCOUNT)
    office.approve(ApprovalId.of(ACCOUNT, "1"), by="feng")
    rest = bill.model_copy(update={"number": "I-2", "amount": cny("799.99")})
    assert office.tell(rest, ACCOUNT), "what the customer keeps can still be billed"
    assert owed(office) == Decimal("799.99")


@pytest.mark.parametrize(
    "huge", [{"value": cny("99999999999999")}, {"free_count": 1_000_000}], ids=["value", "pieces"]
)
def test_a_gift_beyond_all_counting_is_refused_in_words(huge: dict[str, Any]) -> None:
    office = promoted(GIFT.model_copy(update=huge))
    place = wanted((PUMP, 10_000), promotion=SPRING)
    assert office.refusal(place).code == "promotion.amount_too_large"


# Selling what stands at the customer

CLASSED = (PUMP_REGISTERED.model_copy(update={"device_class": DeviceClass.III}), CERTIFIED)
OURS = recorded("own", OPERATING.model_copy(update={"scope": LicenceScope()}))
THEIRS = (*recorded(UNION, PRACTICE), checked(PRACTICE))
SELL = SellPlacedUnits(units=(SN1,), used_disclosed=True)


def at_the_customer(**changed: Any) -> given:
    known: dict[str, Any] = {
        PUMP: CLASSED,
        SN1: unit_told(SN1, placed_as()),
        OWN: OURS,
        file_of(UNION): THEIRS,
        **changed,
    }
    return given(PLACED, CONFIRMED, others={**WORLD, **known})


def test_what_is_sold_in_place_passes_the_gates_like_what_is_shipped_lic_3_lic_4_lic_8() -> None:
    (sold,) = at_the_customer().when(SELL, SO1).events
    assert isinstance(sold, PlacedUnitsSold)
    assert [gate.gate for gate in sold.gates] == ["LIC-3", "LIC-4"]
    gone = LicenceRevoked(
        number=PRACTICE.number, kind=PRACTICE.kind, on=date(2026, 5, 1), reason="closed"
    )
    at_the_customer(**{file_of(UNION): (*THEIRS, gone)}).when(SELL, SO1).refused("licence.revoked")
    at_the_customer(**{OWN: ()}).when(SELL, SO1).refused("seller.licence_missing")


def test_consignment_is_no_way_around_the_licences_of_who_buys_by_use_lic_3_u6() -> None:
    """What has been used is sold, and cannot be refused any more."""
    known: dict[str, Any] = {PUMP: CLASSED, OWN: OURS, file_of(UNION): THEIRS}
    consign = placed_as(Placement.CONSIGNMENT)
    stock = unit_told(SN1)
    (event,) = given(*stock, others={**WORLD, **known}).when(consign, SN1).events
    assert [gate.gate for gate in event.gates] == ["LIC-3", "LIC-4"]  # type: ignore[attr-defined]
    known[file_of(UNION)] = ()
    given(*stock, others={**WORLD, **known}).when(consign, SN1).refused("buyer.licence_missing")
    shown = given(*stock, others={**WORLD, **known}).when(placed_as(), SN1)
    assert shown.refusal is None, "a demonstration sells nothing"


# Hiding how deep a discount is


def deepest(prices: Prices, *commands: Any) -> Decimal:
    for command in commands:
        prices.tell(command)
    state = prices.town.state(prices.id)
    assert isinstance(state, PriceMatrix)
    return state.version(1).deepest_discount


LISTED = cell("100.00")
GIVEN_AWAY = cell("1.00", kind="special", customer=UNION)


@pytest.mark.parametrize(
    ("first", "then"), [(LISTED, GIVEN_AWAY), (GIVEN_AWAY, LISTED)], ids=["list first", "list last"]
)
def test_a_discount_shows_also_where_a_version_comes_in_parts_p2(
    first: PriceCell, then: PriceCell
) -> None:
    draft = DraftVersion(effective_from=date(2026, 7, 1), cells=(first,))
    assert deepest(Prices(), draft, AddCells(version=1, cells=(then,))) == 99


def test_a_floor_in_another_currency_is_no_floor_p5() -> None:
    floor = {"amount": "0.01", "currency": "USD"}
    wrong = PriceCell(product=PRICED, price=cny("1.00"), floor=floor)
    prices = Prices()
    draft = DraftVersion(effective_from=date(2026, 7, 1), cells=(wrong,))
    refusal = prices.town.ask(draft, prices.id)
    assert refusal is not None
    assert refusal.code == "matrix.floor_wrong"


def test_a_product_is_not_sold_below_the_floor_of_its_family_p5() -> None:
    """The two stand in different sheets, which do not see each other."""
    listed = cell("100.00", floor="80.00", family="pumps")
    prices = published((date(2026, 1, 1), [listed, GIVEN_AWAY]))
    assert prices.refusal(buyer(customer=UNION), family="pumps") == "price.below_floor"
    assert prices.refusal(buyer(customer=None), family="pumps") is None
    assert prices.refusal(buyer(customer=UNION)) is None, "of another family"
