"""An order is placed at the prices in force, from an accepted quote, or under a contract (D3)."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError
from tests.domain.orders.examples import MATRIX, PUMP, STENT, UNION, WORLD, cny
from tests.domain.sales.examples import LIST, Q1, SO9, Office
from tests.domain.terms import contracts
from tests.domain.terms.contracts import CONTRACT, ContractTown

from medsales.domain.governance.approval import Approve
from medsales.domain.ids import OrderId, PriceSheetId, PromotionId
from medsales.domain.orders.cancelling import CancelLine, CancelOrder, ReopenOrder
from medsales.domain.orders.holds import ConfirmOrder
from medsales.domain.orders.order import Order, OrderPlaced, OrderStatus
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.sales.quote import Quote, QuoteStatus
from medsales.domain.terms.price_sheet import PriceCell, PriceException, PriceSheet
from medsales.domain.terms.promotion import (
    DraftPromotion,
    FreeGoods,
    PercentOff,
    Promotion,
    SubmitPromotion,
    Terms,
)
from medsales.testing import given

WHY = "the ward is not built"
SPRING = PromotionId("promotion:SPRING")


def wanted(*lines: tuple[Any, int], **more: Any) -> PlaceOrder:
    said = {"number": "SO-9", "customer": UNION, "price_matrix": LIST}
    asked = tuple(WantedLine(product=product, quantity=n) for product, n in lines)
    return PlaceOrder(**{**said, "lines": asked, **more})


def placed(office: Office, id: OrderId = SO9) -> OrderPlaced:
    order = office.state(id, Order)
    assert order.placed is not None
    return order.placed


# At the prices in force


def test_a_direct_order_at_the_wrong_price_is_refused() -> None:
    cheap = WantedLine(product=PUMP, quantity=1, price=cny("9000.00"))
    refusal = Office().refusal(wanted(lines=(cheap,)))
    assert refusal.code == "order.price_not_in_force"
    assert str(refusal) == f"{PUMP} costs 10000.00 CNY, not 9000.00 CNY"


def test_an_expected_price_that_is_in_force_changes_nothing() -> None:
    office = Office()
    office.tell(wanted(lines=(WantedLine(product=PUMP, quantity=1, price=cny("10000.00")),)))
    assert placed(office).lines[0].price == cny("10000.00")


@pytest.mark.parametrize(
    "said",
    [
        {"quote": Q1},
        {"price_matrix": None},
        {"price_matrix": None, "quote": Q1},
        {"price_matrix": None, "quote": Q1, "lines": (), "promotion": SPRING},
        {"lines": ()},
    ],
    ids=["two sources", "none", "a quote with lines", "a quote with a promotion", "no lines"],
)
def test_an_order_has_one_source_of_prices(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        wanted((PUMP, 1), **said)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"quote": "quote:Q-7", "lines": ()}, "quote.unknown"),
        ({"contract": "contract:HT-7"}, "contract.unknown"),
        ({"price_matrix": "price-matrix:XX"}, "price-matrix.unknown"),
        ({"price_matrix": MATRIX, "promotion": SPRING}, "promotion.unknown"),
    ],
)
def test_what_an_order_rests_on_must_exist(said: dict[str, Any], code: str) -> None:
    place = wanted((PUMP, 1), **{"price_matrix": None, **said})
    given(others=WORLD).when(place).refused(code)


def test_an_amount_that_cannot_be_paid_is_not_ordered() -> None:
    office = Office()
    dear = PriceCell(product=PUMP, price=cny("99999999999.00"))
    office.price((dear,), date(2026, 5, 1), date(2026, 12, 31))
    assert office.refusal(wanted((PUMP, 10_000))).code == "order.amount_too_large"


# From a quote

FROM_QUOTE: dict[str, Any] = {"price_matrix": None, "quote": Q1, "lines": ()}


def test_an_order_takes_the_lines_of_an_accepted_quote_once_q5_d3() -> None:
    office = Office().accepted()
    office.tell(wanted(**FROM_QUOTE))
    order = placed(office)
    assert [(line.product, line.quantity, line.price) for line in order.lines] == [
        (line.product, line.quantity, line.price) for line in office.quote.lines
    ]
    assert (order.quote, order.quote_version, order.price_matrix) == (Q1, 1, LIST)
    assert order.lines[0].price_path[-1] == "quote version 1"
    assert office.state(Q1, Quote).status is QuoteStatus.CONVERTED
    again = office.refusal(wanted(**FROM_QUOTE, number="SO-10"))
    assert again.code.startswith("quote.")


def test_an_order_from_a_quote_is_repeated_without_harm_d8() -> None:
    office = Office().accepted()
    office.tell(wanted(**FROM_QUOTE))
    assert office.tell(wanted(**FROM_QUOTE)) == []
    assert office.refusal(wanted((PUMP, 1))).code == "order.number_taken"


def test_a_quote_is_ordered_by_the_customer_it_was_made_for() -> None:
    office = Office().accepted()
    other = wanted(**FROM_QUOTE, customer="customer:cms-010001")
    assert office.refusal(other).code == "order.customer_differs"


def test_a_quote_that_nobody_accepted_is_not_ordered_q4() -> None:
    assert Office().issued().refusal(wanted(**FROM_QUOTE)).code.startswith("quote.")


# Under a contract


def calling_off(pumps: int, number: str = "SO-9", price: str | None = None) -> PlaceOrder:
    line = WantedLine(
        product=contracts.PUMP, quantity=pumps, price=contracts.cny(price) if price else None
    )
    return PlaceOrder(number=number, customer=contracts.UNION, contract=CONTRACT, lines=(line,))


@pytest.fixture
def town() -> ContractTown:
    town = ContractTown()
    town.active()
    return town


def order_in(town: ContractTown) -> Order:
    state = town.state(SO9)
    assert isinstance(state, Order)
    return state


def test_an_order_keeps_the_contract_version_it_was_placed_under_c3(town: ContractTown) -> None:
    town.told(calling_off(10))
    order = order_in(town).placed
    assert order is not None
    assert (order.contract, order.contract_version, order.price_matrix) == (CONTRACT, 1, None)
    assert order.lines[0].price == contracts.cny(50)
    assert town.contract.drawn[contracts.PUMP].quantity == 10
    town.told(ConfirmOrder(), SO9)
    assert order_in(town).status is OrderStatus.CONFIRMED


def test_no_order_exceeds_the_contract_c2(town: ContractTown) -> None:
    town.refused("contract.quantity_exceeded", calling_off(101))
    town.told(calling_off(60))
    town.refused("contract.quantity_exceeded", calling_off(41, "SO-10"))


def test_an_order_under_a_contract_is_at_its_price_d3(town: ContractTown) -> None:
    town.refused("order.price_not_in_force", calling_off(1, price="49"))


def test_what_is_cancelled_may_be_called_off_again_c2(town: ContractTown) -> None:
    town.told(calling_off(60))
    town.told(CancelLine(line=1, quantity=20, reason=WHY), SO9)
    assert town.contract.drawn[contracts.PUMP].quantity == 40
    town.told(CancelOrder(reason=WHY), SO9)
    assert CONTRACT in town.streams
    assert SO9 not in town.contract.called


def test_an_order_that_is_opened_again_calls_off_again_or_is_refused_c2(
    town: ContractTown,
) -> None:
    town.told(calling_off(60))
    town.told(CancelOrder(reason=WHY), SO9)
    town.told(calling_off(60, "SO-10"))
    town.refused("contract.quantity_exceeded", ReopenOrder(reason=WHY), SO9)
    town.told(CancelOrder(reason=WHY), "order:SO-10")
    town.told(ReopenOrder(reason=WHY), SO9)
    assert town.contract.drawn[contracts.PUMP].quantity == 60


# Exceptions and promotions


def test_pieces_below_the_floor_count_against_their_exception_p5() -> None:
    office = Office()
    tender = PriceException(
        name="tender", reason="a tender", max_quantity=5, until=date(2026, 12, 31)
    )
    floored = PriceCell(product=PUMP, price=cny("7000.00"), floor=cny("8000.00"), exception=tender)
    office.price((floored,), date(2026, 5, 1), date(2026, 12, 31))
    sheet = PriceSheetId.of(LIST.key, PUMP)
    office.tell(wanted((PUMP, 3)))
    line = placed(office).lines[0]
    assert line.exception is not None
    assert (line.exception.name, line.exception.sheet) == ("tender", sheet)
    assert dict(office.state(sheet, PriceSheet).taken["tender"].orders) == {SO9: 3}
    office.tell(CancelLine(line=1, quantity=1, reason=WHY), SO9)
    assert dict(office.state(sheet, PriceSheet).taken["tender"].orders) == {SO9: 2}
    assert office.refusal(wanted((PUMP, 4), number="SO-10")).code == "price.none"


def promoted(offer: Any, budget: str = "5000.00") -> Office:
    """An office with a promotion that wang approved, and for a gift qian too (P5)."""
    office = Office()
    terms = Terms(
        name="spring",
        offer=offer,
        first_day=date(2026, 5, 1),
        last_day=date(2026, 6, 30),
        currency="CNY",
        budget=cny(budget),
    )
    office.tell(DraftPromotion(code="SPRING", terms=terms))
    office.tell(SubmitPromotion(), SPRING)
    approval = office.state(SPRING, Promotion).approval
    assert approval is not None
    for approver in ("wang", "qian") if isinstance(offer, FreeGoods) else ("wang",):
        office.tell(Approve(content_hash=office.hash_of(approval)), approval, by=approver)
    return office


def test_an_order_under_a_promotion_is_cheaper_and_draws_on_its_budget() -> None:
    office = promoted(PercentOff(percent="10"))
    place = wanted((PUMP, 2), promotion=SPRING)
    office.tell(place)
    order = placed(office)
    assert [(line.price, line.price_path[-1]) for line in order.lines] == [
        (cny("9000.00"), "promotion SPRING")
    ]
    assert order.promoted is not None
    assert (order.promoted.amount.amount, order.promoted.pieces) == (Decimal(2000), 2)
    assert office.state(SPRING, Promotion).drawn == 2000
    assert office.tell(place) == [], "D8"


def test_a_budget_is_not_overdrawn_and_is_given_back_with_the_whole_order() -> None:
    office = promoted(PercentOff(percent="10"))
    office.tell(wanted((PUMP, 3), promotion=SPRING))
    other = wanted((PUMP, 3), promotion=SPRING, number="SO-10")
    assert office.refusal(other).code == "promotion.budget_used_up"
    office.tell(CancelLine(line=1, quantity=1, reason=WHY), SO9)
    assert office.refusal(other).code == "promotion.budget_used_up"
    office.tell(CancelOrder(reason=WHY), SO9)
    office.tell(other)
    assert office.refusal(ReopenOrder(reason=WHY), SO9).code == "promotion.budget_used_up"


def test_free_goods_are_lines_without_a_price() -> None:
    gift = FreeGoods(buy=PUMP, count=2, free=STENT, free_count=1, value=cny("100.00"))
    office = promoted(gift)
    place = wanted((PUMP, 4), promotion=SPRING)
    office.tell(place)
    assert [
        (line.line, line.product, line.quantity, line.free) for line in placed(office).lines
    ] == [
        (1, PUMP, 4, False),
        (2, STENT, 2, True),
    ]
    assert office.tell(place) == [], "D8"
    office.tell(ConfirmOrder(), SO9)
    assert office.state(SO9, Order).worth({1: 4, 2: 2}) == cny("40000.00")
