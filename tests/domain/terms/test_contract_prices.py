"""Where the prices of a contract come from: compared with those in force, and never made up."""

from decimal import Decimal
from typing import Any

import pytest
from tests.domain.terms.contracts import CONTRACT, PUMP, STENT, ContractTown, cny, draft, lines

from medsales.domain.governance.approval import Approve
from medsales.domain.ids import PriceMatrixId
from medsales.domain.terms.amendment import DraftAmendment
from medsales.domain.terms.contract import EditContract, SubmitContract
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    OpenPriceMatrix,
    PriceCell,
    ScheduleVersion,
    SubmitVersion,
)

MATRIX = PriceMatrixId.of("CN")


@pytest.fixture
def town() -> ContractTown:
    """Pumps cost 50 and no less than 45; stents 875; nothing else has a price."""
    town = ContractTown()
    town.told(OpenPriceMatrix(code="CN", name="List", currency="CNY"))
    cells = (
        PriceCell(product=PUMP, price=cny(50), floor=cny(45)),
        PriceCell(product=STENT, price=cny(875)),
    )
    town.told(DraftVersion(effective_from="2026-01-01", cells=cells), MATRIX)
    town.told(SubmitVersion(version=1), MATRIX)
    state: Any = town.state(MATRIX)
    found = state.version(1)
    town.told(Approve(content_hash=found.content_hash), found.approval, by="wang")
    town.told(ScheduleVersion(version=1), MATRIX)
    return town


def flags(town: ContractTown) -> set[str]:
    return set(town.under_way.content.flags(town.under_way.reasons))


def test_prices_are_compared_with_those_in_force(town: ContractTown) -> None:
    town.told(draft(price_matrix=MATRIX))
    pump, stent = town.under_way.reasons
    assert (pump.price_version, pump.discount, pump.floor) == (1, Decimal(0), cny(45))
    assert (stent.price_version, stent.discount, stent.floor) == (1, Decimal(20), None)
    assert not {"below_floor", "price_of_its_own"} & flags(town)


def test_the_approvers_are_told_of_the_discount_and_of_the_floor(town: ContractTown) -> None:
    cheap = (lines()[0].model_copy(update={"price": cny(44)}), lines()[1])
    town.told(draft(price_matrix=MATRIX, lines=cheap))
    assert "below_floor" in flags(town)
    town.told(SubmitContract(), CONTRACT)
    requested: Any = town.streams[town.contract.approval(CONTRACT)][0]
    assert requested.case.discount == Decimal(20)
    assert "below_floor" in requested.case.flags


def test_without_a_matrix_prices_are_the_contracts_own(town: ContractTown) -> None:
    town.told(draft())
    assert "price_of_its_own" in flags(town)
    said = draft(price_matrix=MATRIX).model_dump(exclude={"number", "customer"})
    town.told(EditContract(**said), CONTRACT)
    assert "price_of_its_own" not in flags(town)


def test_a_matrix_that_does_not_exist_is_no_reason(town: ContractTown) -> None:
    other = PriceMatrixId.of("none")
    town.refused("price-matrix.unknown", draft(price_matrix=other))


def test_what_has_no_price_in_force_is_the_contracts_own(town: ContractTown) -> None:
    euros = tuple(
        line.model_copy(update={"price": line.price.model_copy(update={"currency": "EUR"})})
        for line in lines()
    )
    town.told(draft(price_matrix=MATRIX, lines=euros, currency="EUR"))
    assert "price_of_its_own" in flags(town)


def test_an_amendment_is_compared_too(town: ContractTown) -> None:
    town.active(price_matrix=MATRIX)
    cheap = lines()[0].model_copy(update={"price": cny(40)})
    change = DraftAmendment(kind="change", reason="x", lines=(cheap,))
    town.told(change.model_copy(update={"price_matrix": MATRIX}), CONTRACT)
    reason = town.under_way.reasons[0]
    assert (reason.discount, reason.floor) == (Decimal(20), cny(45))
    assert "below_floor" in flags(town)
