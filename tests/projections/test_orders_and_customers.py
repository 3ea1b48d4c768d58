"""The order board and the 360° view: what people ask first, told by the facts."""

from datetime import UTC, date, datetime
from decimal import Decimal

from tests.dealer import CHEN, GAUZE, GAUZE_LOT, HANGZHOU, LENS, PRICES, UNION, Dealer

from medsales.domain.orders.cancelling import CancelOrder
from medsales.domain.orders.fulfilment import ReturnGoods
from medsales.domain.orders.goods import LotQuantity
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.parties.customer import (
    AddDepartment,
    ReviseCustomer,
    SuspendCustomer,
)
from medsales.domain.stock.device_unit import (
    AcceptInstallation,
    CompleteRepair,
    InstallUnit,
    OpenRepair,
    TakeBackUnit,
    UninstallUnit,
)
from medsales.domain.terms.price_matrix import DraftVersion, PriceCell
from medsales.domain.values import Money
from medsales.engine.application import Ask
from medsales.projections.customer_360 import CustomerSeen, customer_seen
from medsales.projections.order_board import OrderSeen, order_seen
from medsales.projections.product_list import product_bearing, product_card

TODAY = date(2027, 1, 1)


def seen(dealer: Dealer, order: str) -> OrderSeen:
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        found = order_seen(db, order)
    assert found is not None
    return found


def customer(dealer: Dealer) -> CustomerSeen:
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        found = customer_seen(db, UNION, TODAY)
    assert found is not None
    return found


def test_an_order_keeps_its_prices_with_version_and_path(dealer: Dealer) -> None:
    order = dealer.order("1", (LENS, 2), (GAUZE, 10))
    found = seen(dealer, order)
    assert (found.order.amount, found.order.currency) == (Decimal(2525), "CNY")
    assert found.lines[0].price == Decimal(1250)
    assert found.lines[0].price_version == 1
    assert found.lines[0].price_path[0] == "CN version 1"


def test_progress_follows_from_what_happened(dealer: Dealer) -> None:
    units = [dealer.receive(f"S{n}") for n in range(3)]
    order = dealer.order("1", (LENS, 3))
    assert seen(dealer, order).progress == "confirmed"
    dealer.reserve(order, *units[:2])
    first = dealer.dispatch("A", order, units[0])
    assert seen(dealer, order).progress == "in fulfilment"
    dealer.deliver(first)
    dealer.deliver(dealer.dispatch("B", order, units[1]))
    dealer.tell(CancelOrder(reason="enough"), order)
    found = seen(dealer, order)
    assert found.progress == "fulfilled"
    counts = (found.order.shipped, found.order.delivered, found.order.cancelled)
    assert counts == (2, 2, 1)
    assert [shipment.status for shipment in found.shipments] == ["delivered", "delivered"]


def test_a_cancelled_order_is_cancelled(dealer: Dealer) -> None:
    order = dealer.order("1", (LENS, 1))
    dealer.tell(CancelOrder(reason="enough"), order)
    found = seen(dealer, order)
    assert (found.progress, found.order.status) == ("cancelled", "cancelled")


def test_lines_count_quantities_of_lots(dealer: Dealer) -> None:
    dealer.receive_gauze(50)
    order = dealer.order("1", (GAUZE, 20))
    some = (LotQuantity(lot=GAUZE_LOT, warehouse=HANGZHOU, quantity=20),)
    dealer.reserve(order, quantities=some)
    dealer.deliver(dealer.dispatch("A", order, quantities=some))
    back = (LotQuantity(lot=GAUZE_LOT, warehouse=HANGZHOU, quantity=5),)
    dealer.tell(ReturnGoods(quantities=back, reason="too many"), order)
    line = seen(dealer, order).lines[0]
    assert (line.set_aside, line.shipped, line.delivered, line.returned) == (0, 20, 20, 5)


def test_the_360_view_shows_devices_on_site_and_their_state(dealer: Dealer) -> None:
    unit = dealer.receive("S1")
    order = dealer.sell("1", unit)
    dealer.tell(InstallUnit(department="Eye 眼科"), unit)
    dealer.tell(AcceptInstallation(accepted_by="Wang", warranty_months=24), unit)
    dealer.tell(OpenRepair(fault="blurred"), unit)
    (device,) = customer(dealer).units
    assert (device.unit, device.state, device.department) == (unit, "under_repair", "Eye 眼科")
    assert device.warranty_until is not None
    dealer.tell(CompleteRepair(work="cleaned"), unit)
    assert customer(dealer).units[0].state == "in_service"
    dealer.tell(UninstallUnit(reason="sent back"), unit)
    dealer.tell(ReturnGoods(units=(unit,), reason="blurred again"), order)
    dealer.tell(TakeBackUnit(warehouse=HANGZHOU), unit)
    view = customer(dealer)
    assert view.units == ()
    assert [card.order for card in view.orders] == [order]


def test_the_360_view_shows_the_profile_as_it_is_now(dealer: Dealer) -> None:
    dealer.tell(AddDepartment(department="ICU"), UNION)
    dealer.tell(
        ReviseCustomer(name="Union 2", region="SH", tier="B", grade="3A", address="2 Road"), UNION
    )
    dealer.tell(SuspendCustomer(reason="unpaid"), UNION)
    view = customer(dealer)
    assert (view.profile.name, view.profile.region, view.profile.tier) == ("Union 2", "SH", "B")
    assert view.profile.suspended_for == "unpaid"
    assert set(view.departments) == {"Eye 眼科", "ICU"}


def test_the_360_view_shows_the_prices_given_last(dealer: Dealer) -> None:
    dealer.order("1", (LENS, 1))
    order = dealer.order("2", (LENS, 1))
    (price,) = customer(dealer).prices
    assert (price.product, price.price, price.order) == (LENS, Decimal(1250), order)


def test_an_order_that_is_told_late_has_the_price_of_now(dealer: Dealer) -> None:
    """Nobody buys at last year's price by saying that he did so last year."""
    dearer = PriceCell(product=LENS, price=Money(amount="1300.00", currency="CNY"))
    dealer.tell(DraftVersion(effective_from="2025-01-01", cells=(dearer,)), PRICES)
    dealer.put_in_force(2)
    wanted = (WantedLine(product=LENS, quantity=1),)
    late = PlaceOrder(number="1", customer=UNION, price_matrix=PRICES, lines=wanted)
    when = datetime(2024, 6, 1, tzinfo=UTC)
    told = dealer.company.app.handle(Ask(late, CHEN, effective_at=when, reason="in a drawer"))
    assert seen(dealer, told.id).lines[0].price == Decimal(1300)


def test_a_late_entry_does_not_become_the_price_given_last(dealer: Dealer) -> None:
    order = dealer.order("1", (LENS, 1))
    wanted = (WantedLine(product=LENS, quantity=1),)
    late = PlaceOrder(number="2", customer=UNION, price_matrix=PRICES, lines=wanted)
    when = datetime(2024, 6, 1, tzinfo=UTC)
    dealer.company.app.handle(Ask(late, CHEN, effective_at=when, reason="found in a drawer"))
    (price,) = customer(dealer).prices
    assert price.order == order


def test_an_identifier_leads_to_its_product(dealer: Dealer) -> None:
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        package, card = product_bearing(db, "06901234567892"), product_card(db, LENS)
    assert package is not None
    assert package.product == LENS
    assert card is not None
    assert [held.number for held in card.registrations] == ["国械注准20203160001"]
