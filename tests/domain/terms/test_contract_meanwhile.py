"""What has happened between drafting and signing counts: nothing is signed that can no longer be.

An amendment is on its way for weeks; orders, a suspension or the end of the contract do not wait.
"""

import pytest
from tests.domain.terms.contracts import (
    BEGIN,
    CONTRACT,
    END,
    PUMP,
    UNION,
    ContractTown,
    draft,
    lines,
)

from medsales.domain.parties.customer import SuspendCustomer
from medsales.domain.terms.amendment import DraftAmendment, EditAmendment
from medsales.domain.terms.contract import EditContract
from medsales.domain.terms.contract_life import ResumeContract, SuspendContract

LESS = DraftAmendment(kind="change", reason="需求减少", lines=lines(pumps=60))


@pytest.fixture
def town() -> ContractTown:
    """A contract about 100 pumps."""
    town = ContractTown()
    town.active()
    return town


def out_for_signature(town: ContractTown, amendment: DraftAmendment) -> None:
    town.told(amendment, CONTRACT)
    town.sent()


def test_c2_an_amendment_is_not_signed_below_what_was_ordered_meanwhile(town: ContractTown) -> None:
    out_for_signature(town, LESS)
    town.told(town.call_off("SO-1", pumps=61), CONTRACT)
    for signs, by in ((town.sealed(), "chen"), (town.sign(), "sun"), (town.countersign(), "liu")):
        refusal = town.refused("contract.called_off_already", signs, by=by)
        assert "61" in refusal.sentence.zh
    town.told(town.give_back("SO-1", pumps=1), CONTRACT)
    town.told(town.sealed(), CONTRACT)
    town.told(town.sign(), CONTRACT, by="sun")
    assert town.contract.agreed_content().line_of(PUMP).max_quantity == 60


def test_c2_nor_is_the_last_signature_given_when_more_was_ordered_since_the_first(
    town: ContractTown,
) -> None:
    out_for_signature(town, LESS)
    town.told(town.sealed(), CONTRACT)
    town.told(town.call_off("SO-1", pumps=61), CONTRACT)
    town.refused("contract.called_off_already", town.sign(), by="sun")
    assert len(town.contract.in_force) == 1


def test_no_amendment_of_a_suspended_contract_is_signed(town: ContractTown) -> None:
    out_for_signature(town, LESS)
    town.told(SuspendContract(reason="供货纠纷"), CONTRACT)
    town.refused("contract.wrong_stage", town.sign(), by="sun")
    town.told(ResumeContract(reason="已解决"), CONTRACT)
    town.told(town.sign(), CONTRACT, by="sun")


def test_no_renewal_is_signed_once_the_contract_has_ended(town: ContractTown) -> None:
    """Judged by the day, whether or not the clock has noted the end."""
    renewal = DraftAmendment(
        kind="renewal", reason="续签一年", valid_until=END.replace(year=END.year + 1)
    )
    out_for_signature(town, renewal)
    town.later((END - BEGIN).days)
    town.told(town.sealed(), CONTRACT)
    town.later(1)
    refusal = town.refused("contract.over", town.sign(), by="sun")
    assert END.isoformat() in refusal.sentence.zh


def test_an_amendment_is_not_edited_as_if_it_were_the_contract(town: ContractTown) -> None:
    """Otherwise the limits of amendments (C4) and its kind would be written over."""
    town.told(LESS, CONTRACT)
    edit = draft(lines=lines(pumps=1000)).model_dump(exclude={"number", "customer"})
    town.refused("contract.wrong_stage", EditContract(**edit))


def test_no_contract_is_drafted_with_a_suspended_customer() -> None:
    town = ContractTown()
    town.told(SuspendCustomer(reason="90 days overdue"), UNION)
    town.refused("customer.suspended", draft())


def test_an_amendment_is_not_edited_while_its_contract_is_suspended(town: ContractTown) -> None:
    town.told(LESS, CONTRACT)
    town.told(SuspendContract(reason="供货纠纷"), CONTRACT)
    edit = EditAmendment(kind="change", reason="需求减少", lines=lines(pumps=50))
    town.refused("contract.wrong_stage", edit)
    town.told(ResumeContract(reason="已解决"), CONTRACT)
    town.told(edit, CONTRACT)
