"""P4: a matrix may say for whom its prices are; nobody makes a price by choosing the matrix."""

from datetime import date
from typing import Any

import pytest
from tests.domain.orders.examples import PUMP, UNION, UNION_REGISTERED, cny
from tests.domain.sales.examples import LIST, Office, draft
from tests.domain.terms import contracts
from tests.domain.terms.pricing import buyer

from medsales.domain.governance.approval import Approve
from medsales.domain.ids import PriceMatrixId
from medsales.domain.kernel import Refused
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.parties.customer import CustomerKind
from medsales.domain.sales.offer import WantedQuoteLine
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    OpenPriceMatrix,
    PriceCell,
    PriceMatrix,
    PriceMatrixOpened,
    ScheduleVersion,
    SubmitVersion,
)
from medsales.domain.terms.price_sheet import Buyer
from medsales.testing import given

EXPORT = PriceMatrixId("price-matrix:EXPORT")
ELSEWHERE = "海外"
PARTNERS = (CustomerKind.PARTNER,)
PLAIN: dict[str, Any] = {"code": "EXPORT", "name": "Export 出口", "currency": "CNY"}
OPEN = OpenPriceMatrix(**PLAIN, regions=(ELSEWHERE,), kinds=PARTNERS)
OTHERS = [{"regions": (ELSEWHERE,)}, {"kinds": PARTNERS}]
IDS = ["another region", "another kind"]


def office(**for_whom: Any) -> Office:
    """Where pumps cost 500 in EXPORT, and 10,000 in the list of the hospital."""
    there = Office()
    there.tell(OpenPriceMatrix(**PLAIN, **for_whom))
    cells = (PriceCell(product=PUMP, price=cny("500.00")),)
    there.tell(DraftVersion(effective_from=date(2026, 1, 1), cells=cells), EXPORT)
    there.tell(SubmitVersion(version=1), EXPORT)
    approval = there.state(EXPORT, PriceMatrix).version(1).approval
    assert approval
    there.approve(approval, by="zhao")
    there.tell(ScheduleVersion(version=1), EXPORT)
    return there


def order(matrix: PriceMatrixId) -> PlaceOrder:
    line = WantedLine(product=PUMP, quantity=1)
    return PlaceOrder(number="SO-1", customer=UNION, price_matrix=matrix, lines=(line,))


@pytest.mark.parametrize("for_whom", OTHERS, ids=IDS)
def test_p4_an_order_and_a_quote_are_not_priced_from_a_matrix_for_others(
    for_whom: dict[str, Any],
) -> None:
    there = office(**for_whom)
    line = WantedQuoteLine(product=PUMP, quantity=1)
    for wanted in (order(EXPORT), draft((line,), price_matrix=EXPORT)):
        refused = there.refusal(wanted)
        assert refused.code == "matrix.not_for_customer"
        assert f"(hospital, {UNION_REGISTERED.region})" in refused.sentence.en
        assert f"(医院, {UNION_REGISTERED.region})" in refused.sentence.zh
    there.tell(order(LIST))


@pytest.mark.parametrize(
    "for_whom",
    [
        {},
        {"regions": (ELSEWHERE, UNION_REGISTERED.region)},
        {"kinds": (CustomerKind.HOSPITAL,)},
    ],
    ids=["everybody", "its region", "its kind"],
)
def test_p4_a_matrix_for_the_customer_prices_its_orders(for_whom: dict[str, Any]) -> None:
    assert office(**for_whom).tell(order(EXPORT))


@pytest.mark.parametrize("for_whom", OTHERS, ids=IDS)
def test_p4_a_contract_is_not_compared_with_the_prices_of_others(for_whom: dict[str, Any]) -> None:
    """With them its discount would be told as nothing."""
    town = contracts.ContractTown()
    town.told(OpenPriceMatrix(**PLAIN, **for_whom))
    cells = (PriceCell(product=contracts.PUMP, price=contracts.cny(50)),)
    town.told(DraftVersion(effective_from="2026-01-01", cells=cells), EXPORT)
    town.told(SubmitVersion(version=1), EXPORT)
    state: Any = town.state(EXPORT)
    version = state.version(1)
    town.told(Approve(content_hash=version.content_hash), version.approval, by="wang")
    town.told(ScheduleVersion(version=1), EXPORT)
    town.refused("matrix.not_for_customer", contracts.draft(price_matrix=EXPORT))
    town.told(contracts.draft())


def test_for_whom_a_matrix_is_stays_as_it_was_opened() -> None:
    opened = PriceMatrixOpened(**PLAIN, regions=(ELSEWHERE,), kinds=PARTNERS)
    given().when(OPEN).then(opened)
    given(opened).when(OPEN).then()
    given(opened).when(OpenPriceMatrix(**PLAIN)).refused("matrix.exists")


def test_who_asks_for_nobody_in_particular_names_a_region_only() -> None:
    matrix = PriceMatrix(code="EXPORT", regions=(ELSEWHERE,), kinds=PARTNERS)
    matrix.must_be_for(Buyer(region=ELSEWHERE))
    with pytest.raises(Refused, match="not for this customer"):
        matrix.must_be_for(buyer())
