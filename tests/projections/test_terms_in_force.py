"""Which of several terms applies: a contract before a matrix, the later contract before (P4)."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.domain.orders.examples import (
    LIST_2026,
    MATRIX,
    MATRIX_OPENED,
    PUMP,
    PUMP_REGISTERED,
    STENT,
    UNION,
    UNION_REGISTERED,
    cny,
)

from medsales.domain.ids import ContractId
from medsales.domain.kernel import Refused
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.product import Product
from medsales.domain.terms.contract import Called, Contract, ContractStatus, InForce
from medsales.domain.terms.contract_content import ContractContent, ContractLine
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.projections.terms_in_force import Question, States, TermsInForce, applied

DAY = date(2026, 6, 15)
HT1, HT2 = ContractId("contract:HT-1"), ContractId("contract:HT-2")


def contract(
    number: str, price: str, since: date, status: ContractStatus = ContractStatus.ACTIVE
) -> Contract:
    content = ContractContent(
        number=number,
        version=1,
        customer=UNION,
        title="输液泵",
        lines=(ContractLine(line=1, product=PUMP, price=cny(price), max_quantity=10),),
        currency="CNY",
        valid_from=date(2026, 1, 1),
        valid_until=date(2026, 12, 31),
        payment_days=45,
    )
    return Contract(standing=status, in_force=(InForce(since, content),))


def answer(contracts: dict[ContractId, Contract], **otherwise: Any) -> TermsInForce:
    said = {"customer": UNION, "product": PUMP, "quantity": 2, "on": DAY, "price_matrix": MATRIX}
    states = States(
        customer=Customer().after([UNION_REGISTERED]),
        product=Product().after([PUMP_REGISTERED]),
        contracts=contracts,
        price_matrix=PriceMatrix().after([MATRIX_OPENED, *LIST_2026]),
        sheets=(),
    )
    return applied(Question(**{**said, **otherwise}), states)


OLD, NEW = contract("HT-1", "9500.00", date(2026, 2, 1)), contract("HT-2", "9900", date(2026, 3, 1))


def test_a_contract_comes_first_even_where_it_is_dearer() -> None:
    found = answer({HT1: contract("HT-1", "13000.00", date(2026, 2, 1))})
    assert (found.applied.id, found.applied.price) == (HT1, cny("13000.00"))
    assert found.payment_days == 45


def test_of_two_contracts_the_one_that_began_last_comes_first() -> None:
    found = answer({HT1: OLD, HT2: NEW})
    assert found.applied.id == HT2
    assert [(one.id, one.code) for one in found.not_applied] == [(HT1, "terms.behind")]


@pytest.mark.parametrize(
    ("otherwise", "code"),
    [
        ({"on": date(2026, 1, 15)}, "contract.not_valid"),
        ({"quantity": 11}, "contract.quantity_exceeded"),
        ({"product": STENT}, "contract.not_agreed"),
    ],
)
def test_where_no_contract_covers_it_the_matrix_does_and_it_says_why(
    otherwise: dict[str, Any], code: str
) -> None:
    found = answer({HT1: OLD}, **otherwise)
    assert (found.applied.id, found.applied.rule) == (MATRIX, "list")
    assert [one.code for one in found.not_applied] == [code]


def test_what_is_suspended_does_not_apply() -> None:
    found = answer({HT1: contract("HT-1", "1", date(2026, 2, 1), ContractStatus.SUSPENDED)})
    assert found.applied.price.amount == Decimal(12000)
    assert [one.code for one in found.not_applied] == ["contract.wrong_stage"]


def test_without_a_matrix_contracts_alone_answer() -> None:
    assert answer({HT1: OLD}, price_matrix=None).applied.id == HT1
    with pytest.raises(Refused, match="name a price matrix to see its price"):
        answer({}, price_matrix=None)


def called_off(status: ContractStatus = ContractStatus.ACTIVE) -> Contract:
    all_of_it = {PUMP: Called(10, Decimal(95000))}
    return replace(OLD, standing=status, drawn=all_of_it)


@pytest.mark.parametrize("status", [ContractStatus.ACTIVE, ContractStatus.FULFILLED])
def test_what_has_all_been_called_off_had_its_price_all_the_same(status: ContractStatus) -> None:
    """Its price and clauses apply to what was ordered; nothing is left to order."""
    found = answer({HT1: called_off(status)}, price_matrix=None)
    assert (found.applied.id, found.applied.price) == (HT1, cny("9500.00"))
    assert found.payment_days == 45
    assert found.nothing_left is not None
    assert found.nothing_left.id == HT1
    assert found.not_applied == ()


def test_where_it_can_be_ordered_at_a_matrix_price_that_one_applies() -> None:
    found = answer({HT1: called_off()})
    assert (found.applied.id, found.nothing_left) == (MATRIX, None)
    assert [one.code for one in found.not_applied] == ["contract.quantity_exceeded"]


def test_what_was_terminated_or_never_agreed_has_no_price_left() -> None:
    for contracts in ({HT1: called_off(ContractStatus.TERMINATED)}, {}):
        with pytest.raises(Refused, match="name a price matrix to see its price"):
            answer(contracts, price_matrix=None)
    with pytest.raises(Refused, match="name a price matrix to see its price"):
        answer({HT1: called_off()}, price_matrix=None, product=STENT)
