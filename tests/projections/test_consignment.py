"""Consigned goods stay ours until their use is reported; the report makes the order, once (U6)."""

from decimal import Decimal

import pytest
from tests.dealer import CHILDREN, PRICES, UNION, Dealer

from medsales.domain.ids import CreditAccountId, DeviceUnitId, OrderId
from medsales.domain.kernel import Refused
from medsales.domain.orders.usage import ReportUsage
from medsales.domain.stock.device_unit import DeviceUnit, Lifecycle, PlaceUnit
from medsales.domain.terms.credit import AgreeCredit, CreditAccount, Reservation
from medsales.domain.values import Money
from medsales.projections.order_board import order_seen


def placed(dealer: Dealer, serial: str, placement: str = "consignment") -> DeviceUnitId:
    unit = dealer.receive(serial)
    dealer.tell(
        PlaceUnit(placement=placement, customer=UNION, agreement="C1", due_back="2030-01-01"), unit
    )
    return unit


def used(*units: DeviceUnitId, customer: str = UNION, number: str = "U1") -> ReportUsage:
    return ReportUsage(
        number=number, customer=customer, price_matrix=PRICES, units=units, reference="OP-7"
    )


def state(dealer: Dealer, unit: DeviceUnitId) -> DeviceUnit:
    return dealer.company.app.existing(unit, DeviceUnit)


def test_u6_a_usage_report_sells_and_uses_up_in_one_decision(dealer: Dealer) -> None:
    first, second = placed(dealer, "S1"), placed(dealer, "S2")
    assert state(dealer, first).owner is None
    receipt = dealer.tell(used(first, second))
    assert receipt.events[:3] == ("OrderPlaced", "OrderConfirmed", "PlacedUnitsSold")
    for unit in (first, second):
        assert (state(dealer, unit).owner, state(dealer, unit).lifecycle) == (
            UNION,
            Lifecycle.CONSUMED,
        )
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        found = order_seen(db, "order:U1")
    assert found is not None
    assert (found.progress, found.order.amount, found.order.delivered) == (
        "fulfilled",
        Decimal(2500),
        2,
    )
    assert dealer.company.follower.verify(list(dealer.company.follower.projections)) == []


def test_u6_what_was_used_is_owed_even_beyond_the_limit(dealer: Dealer) -> None:
    """K2 is about promises; the use of goods is a fact, and the debt exists."""
    unit = placed(dealer, "S1")
    nothing = Money(amount=0, currency="CNY")
    dealer.tell(AgreeCredit(customer=UNION, limit=nothing, reason="pays in advance"))
    dealer.tell(used(unit))
    account = dealer.company.app.existing(CreditAccountId.of(UNION.key), CreditAccount)
    used_up = {OrderId("order:U1"): Reservation("CNY", shipped=Decimal(1250))}
    assert dict(account.reservations) == used_up


def test_u6_the_same_report_again_makes_no_second_order(dealer: Dealer) -> None:
    unit = placed(dealer, "S1")
    dealer.tell(used(unit))
    assert dealer.tell(used(unit)).events == ()
    with pytest.raises(Refused, match="consumed"):
        dealer.tell(used(unit, number="U2"))


def test_d8_another_report_needs_another_number(dealer: Dealer) -> None:
    first, second = placed(dealer, "S1"), placed(dealer, "S2")
    dealer.tell(used(first))
    with pytest.raises(Refused, match="has been used for another order"):
        dealer.tell(used(second))


def test_u6_only_consigned_goods_of_that_customer_are_reported(dealer: Dealer) -> None:
    demo, consigned = placed(dealer, "S1", "demo"), placed(dealer, "S2")
    with pytest.raises(Refused, match="not on consignment"):
        dealer.tell(used(demo))
    with pytest.raises(Refused, match="not placed with"):
        dealer.tell(used(consigned, customer=CHILDREN))
    assert state(dealer, consigned).owner is None
