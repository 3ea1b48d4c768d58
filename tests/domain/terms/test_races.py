"""Many orders at once on what is left of a budget or an exception, through two processes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.domain.orders.towns import InCompany
from tests.domain.terms.pricing import UNION, Prices, buyer, cell, exception, money
from tests.domain.terms.test_promotion import terms

from medsales.company import Company, open_company
from medsales.domain.governance.approval import Approve
from medsales.domain.ids import OrderId, PriceMatrixId, PriceSheetId, PromotionId
from medsales.domain.kernel import Command, Refused
from medsales.domain.terms.price_sheet import PriceSheet, TakeException, sheets_for
from medsales.domain.terms.promotion import (
    DraftPromotion,
    DrawOnPromotion,
    PercentOff,
    Promotion,
    ReturnToPromotion,
    SubmitPromotion,
)
from medsales.engine.application import SYSTEM, Ask

ORDERS = [OrderId.of(f"SO-{n}") for n in range(32)]
ID = PromotionId("promotion:SPRING")
TODAY = datetime.now(UTC).date()


@pytest.fixture
def both(company: Company, database_url: str) -> Iterator[tuple[Company, Company]]:
    """The same company, opened by two processes' worth of medsales."""
    second = open_company(database_url, company.name)
    yield company, second
    second.close()


def all_at_once(
    both: tuple[Company, Company], command: Callable[[OrderId], Command[Any]], id: str
) -> list[OrderId]:
    """Which orders got what they asked for; the others were refused by a rule."""

    def ask(n: int) -> str:
        try:
            both[n % 2].app.handle(Ask(command(ORDERS[n]), SYSTEM, id))
        except Refused as refused:
            return refused.code
        return "done"

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(len(ORDERS))))
    assert {*answers} <= {"done", "promotion.budget_used_up", "price.exception_used_up"}
    return [order for order, answer in zip(ORDERS, answers, strict=True) if answer == "done"]


def promoted(company: Company, **budget: Any) -> Callable[[], Promotion]:
    town = InCompany(company)
    said = terms(
        PercentOff(percent=Decimal(5)),
        first_day=TODAY,
        last_day=TODAY + timedelta(1),
        **budget,
    )
    assert town.ask(DraftPromotion(code="SPRING", terms=said)) is None
    assert town.ask(SubmitPromotion(), ID) is None
    drafted = company.app.existing(ID, Promotion)
    approve = Approve(content_hash=drafted.content_hash)
    assert town.ask(approve, drafted.approval, "wang") is None
    return lambda: company.app.existing(ID, Promotion)


def test_orders_race_for_one_budget_and_it_is_never_overdrawn(
    both: tuple[Company, Company],
) -> None:
    """Ten of 32 fit; all that fits is given, and what one returns the next one gets."""
    now = promoted(both[0], budget=money("100"))

    def draw(order: OrderId) -> Command[Any]:
        return DrawOnPromotion(order=order, amount=money("10"), pieces=1)

    got = all_at_once(both, draw, ID)
    assert len(got) == 10
    assert set(now().draws) == set(got)
    assert now().drawn == 100
    both[1].app.handle(Ask(ReturnToPromotion(order=got[0]), SYSTEM, ID))
    late = next(order for order in ORDERS if order not in got)
    both[0].app.handle(Ask(draw(late), SYSTEM, ID))
    assert now().drawn == 100


def test_two_orders_want_the_last_of_a_budget_and_one_gets_it(
    both: tuple[Company, Company],
) -> None:
    now = promoted(both[0], budget=None, budget_pieces=7)

    def draw(order: OrderId) -> Command[Any]:
        return DrawOnPromotion(order=order, amount=money("1"), pieces=4)

    assert len(all_at_once(both, draw, ID)) == 1
    assert now().drawn_pieces == 4


def test_orders_race_for_the_last_pieces_of_an_exception_p5(both: tuple[Company, Company]) -> None:
    prices = Prices(InCompany(both[0]), PriceMatrixId.of("CN"))
    until = TODAY + timedelta(30)
    cheap = cell("79", floor="80", tier="A", exception=exception(pieces=5, until=until))
    prices.publish([cell("100"), cheap])
    (sheet,) = sheets_for(prices.id, [(cell("1").product, None)])  # type: ignore[list-item]
    assert prices.price(buyer(customer=UNION), 2, TODAY).exception == "EX-1"

    def take(order: OrderId) -> Command[Any]:
        return TakeException(order=order, name="EX-1", version=1, quantity=2)

    assert len(all_at_once(both, take, sheet)) == 2
    state = both[1].app.existing(PriceSheetId(sheet), PriceSheet)
    assert state.taken["EX-1"].pieces == 4
    assert prices.price(buyer(customer=UNION), 2, TODAY).price == money("100")
    assert prices.price(buyer(customer=UNION), 1, TODAY).price == money("79")
