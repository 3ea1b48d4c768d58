"""Many call off the last units of a contract, or sign it, at once: nobody gets too much."""

from collections import Counter
from typing import Any

import pytest
from tests.domain.terms.contracts import (
    CONTRACT,
    PENS,
    PUMP,
    UNION,
    ContractCompany,
    cny,
    draft,
    lines,
)
from tests.engine.purses import at_once
from tests.engine.test_at_once import answered, kinds

from medsales.company import Company, open_company
from medsales.domain.ids import OrderId
from medsales.domain.kernel import Role
from medsales.domain.orders.cancelling import CancelOrder, ReopenOrder
from medsales.domain.orders.order import Order
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.engine.application import Actor, Ask, Receipt

ANN = Actor("ann", "Ann", tuple(Role))
MANY = 20


@pytest.fixture
def town(company: Company) -> ContractCompany:
    return ContractCompany(company)


def place(number: int, pumps: int) -> Ask:
    wanted = (WantedLine(product=PUMP, quantity=pumps),)
    order = PlaceOrder(number=f"SO-{number}", customer=UNION, contract=CONTRACT, lines=wanted)
    return Ask(order, ANN)


def placed(town: ContractCompany) -> int:
    """Pieces that orders have, as they say themselves."""
    orders = [town.state(OrderId.of(f"SO-{n}")) for n in range(MANY)]
    return sum(
        line.ordered - line.cancelled
        for order in orders
        if isinstance(order, Order)
        for line in order.lines.values()
    )


def test_c2_twenty_orders_want_the_last_units_and_get_what_there_is(
    town: ContractCompany, database_url: str
) -> None:
    """Two programs, ten threads each: 7 pumps are left, orders want 3; two get them."""
    town.active(lines=lines(pumps=7))
    other = open_company(database_url, town.company.name)
    other.app.clock = town.company.app.clock
    both = (town.company, other)
    answers = at_once(MANY, lambda n: answered(both[n % 2], place(n, 3)))
    other.database.close()
    assert kinds(answers) == Counter({"won": 2, "contract.quantity_exceeded": MANY - 2})
    assert town.contract.drawn[PUMP].quantity == placed(town) == 6
    town.told(place(99, 1).command)


def test_c2_the_amount_is_not_exceeded_either(town: ContractCompany) -> None:
    town.active(max_amount=cny(1000), lines=lines(pumps=None))
    answers = at_once(MANY, lambda n: answered(town.company, place(n, 3)))
    assert kinds(answers) == Counter({"won": 6, "contract.amount_exceeded": MANY - 6})
    assert town.contract.drawn_amount == 900


def test_c2_what_is_cancelled_meanwhile_is_neither_lost_nor_given_twice(
    town: ContractCompany,
) -> None:
    town.active(lines=lines(pumps=10))
    town.told(place(0, 10).command)

    def work(n: int) -> Any:
        if n % 2:
            return answered(town.company, place(n, 4))
        return answered(town.company, Ask(CancelOrder(reason="x"), ANN, OrderId.of("SO-0")))

    answers = at_once(MANY, work)
    assert set(kinds(answers)) <= {"won", "nothing", "contract.quantity_exceeded"}
    assert placed(town) <= 10
    drawn = town.contract.drawn[PUMP].quantity if PUMP in town.contract.drawn else 0
    assert drawn == placed(town)


def test_of_several_who_sign_for_one_side_one_does(town: ContractCompany) -> None:
    """And the contract begins once, with the last of the two signatures."""
    town.told(draft())
    town.sent()
    asks = [
        Ask(town.sign("sun"), Actor("sun", "", tuple(Role)), CONTRACT),
        Ask(town.sign("wang"), Actor("wang", "", tuple(Role)), CONTRACT),
        Ask(town.countersign(), Actor("liu", PENS["liu"].printed["name"], tuple(Role)), CONTRACT),
        Ask(town.sealed(), Actor("chen", "", tuple(Role)), CONTRACT),
    ]
    answers = at_once(len(asks), lambda n: answered(town.company, asks[n]))
    assert sum(isinstance(answer, Receipt) for answer in answers) == 2
    assert set(kinds(answers)) <= {"won", "contract.signed_already", "contract.wrong_stage"}
    assert town.happened().count("ContractActivated") == 1


def test_c2_an_order_that_is_reopened_calls_off_again(town: ContractCompany) -> None:
    """Cancelled, its units taken by another: it cannot have them back."""
    town.active(lines=lines(pumps=10))
    town.told(place(0, 10).command)
    town.told(CancelOrder(reason="x"), OrderId.of("SO-0"))
    town.told(place(1, 5).command)
    reopened = town.ask(ReopenOrder(reason="x"), OrderId.of("SO-0"))
    assert reopened is not None
    assert reopened.code == "contract.quantity_exceeded"
    town.told(CancelOrder(reason="x"), OrderId.of("SO-1"))
    town.told(ReopenOrder(reason="x"), OrderId.of("SO-0"))
    assert town.contract.drawn[PUMP].quantity == placed(town) == 10
