"""Templates: clauses that legal has approved, and which contract took over which version."""

from typing import Any

import pytest
from tests.domain.terms.contracts import CONTRACT, ContractTown, draft

from medsales.domain.governance.approval import Approve, Reject, Verdict
from medsales.domain.ids import ApprovalId, ContractTemplateId
from medsales.domain.kernel import Refused
from medsales.domain.terms.contract import EditContract
from medsales.domain.terms.contract_content import Clause, TemplateUsed
from medsales.domain.terms.contract_template import (
    ContractTemplate,
    DraftContractTemplate,
    RetireContractTemplate,
    SubmitContractTemplate,
    TakeVerdict,
    WithdrawContractTemplate,
)

TEMPLATE = ContractTemplateId.of("FRAMEWORK")
PAYMENT = Clause(key="payment", title="付款", text="验收后三十日内付款")
COURT = Clause(key="court", title="争议", text="由供方所在地法院管辖")


def write(*clauses: Clause) -> DraftContractTemplate:
    return DraftContractTemplate(code="FRAMEWORK", name="框架合同", clauses=clauses)


@pytest.fixture
def town() -> ContractTown:
    return ContractTown()


def template(town: ContractTown) -> ContractTemplate:
    state = town.state(TEMPLATE)
    assert isinstance(state, ContractTemplate)
    return state


def approve(town: ContractTown, by: str = "wang") -> Refused | None:
    state = template(town)
    submitted = town.last(TEMPLATE)
    approval = ApprovalId.of(TEMPLATE, str(state.requests))
    return town.ask(Approve(content_hash=submitted.content_hash), approval, by)  # type: ignore[attr-defined]


def in_force(town: ContractTown, *clauses: Clause) -> None:
    town.told(write(*clauses), by="sun")
    town.told(SubmitContractTemplate(), TEMPLATE, by="sun")
    assert approve(town) is None


def test_a_template_counts_when_somebody_else_has_approved_it(town: ContractTown) -> None:
    town.told(write(PAYMENT), by="sun")
    town.refused("contract_template.not_in_force", draft(template=TEMPLATE))
    town.told(SubmitContractTemplate(), TEMPLATE, by="sun")
    town.told(SubmitContractTemplate(), TEMPLATE, by="sun")
    refusal = approve(town, by="sun")
    assert refusal is not None
    assert refusal.code == "approval.approver_is_author"
    assert approve(town) is None
    town.told(draft(template=TEMPLATE))
    assert town.happened(TEMPLATE) == [
        "ContractTemplateDrafted",
        "ContractTemplateSubmitted",
        "ContractTemplateApproved",
    ]


def test_a_contract_takes_the_clauses_over_with_the_version(town: ContractTown) -> None:
    in_force(town, PAYMENT, COURT)
    town.told(draft(template=TEMPLATE))
    content = town.under_way.content
    assert content.clauses == (PAYMENT, COURT)
    assert content.template == TemplateUsed(template=TEMPLATE, version=1)
    assert "clauses_changed" not in content.flags(())


def test_what_a_contract_says_otherwise_is_marked(town: ContractTown) -> None:
    in_force(town, PAYMENT, COURT)
    other = PAYMENT.model_copy(update={"text": "九十日内付款"})
    extra = Clause(key="demo", title="样机", text="提供样机一台")
    town.told(draft(template=TEMPLATE, clauses=(other, COURT, extra)))
    content = town.under_way.content
    assert content.clauses == (other, COURT, extra)
    assert content.template == TemplateUsed(
        template=TEMPLATE, version=1, changed=("demo", "payment")
    )
    assert "clauses_changed" in content.flags(())


def test_a_new_version_leaves_what_was_begun_from_the_old_one(town: ContractTown) -> None:
    in_force(town, PAYMENT)
    town.told(draft(template=TEMPLATE))
    in_force(town, COURT)
    assert town.under_way.content.clauses == (PAYMENT,)
    anew = draft(template=TEMPLATE, title="x").model_dump(exclude={"number", "customer"})
    town.told(EditContract(**anew), CONTRACT)
    assert town.under_way.content.template == TemplateUsed(template=TEMPLATE, version=2)


def test_the_version_before_counts_until_the_next_is_approved(town: ContractTown) -> None:
    in_force(town, PAYMENT)
    town.told(write(COURT), by="sun")
    town.told(draft(template=TEMPLATE))
    assert town.under_way.content.clauses == (PAYMENT,)


def test_writing_the_same_again_changes_nothing(town: ContractTown) -> None:
    town.told(write(PAYMENT), by="sun")
    town.told(write(PAYMENT), by="sun")
    town.told(write(COURT), by="li")
    assert town.happened(TEMPLATE) == ["ContractTemplateDrafted", "ContractTemplateEdited"]
    town.told(SubmitContractTemplate(), TEMPLATE, by="sun")
    town.told(write(COURT), by="sun")
    town.refused("contract_template.no_draft", write(PAYMENT), by="sun")
    refusal = approve(town, by="li")
    assert refusal is not None
    assert approve(town) is None
    town.told(write(COURT), by="sun")
    assert template(town).draft is None


def test_what_was_rejected_is_a_draft_again(town: ContractTown) -> None:
    town.told(write(PAYMENT), by="sun")
    town.told(SubmitContractTemplate(), TEMPLATE, by="sun")
    seen = town.last(TEMPLATE).content_hash  # type: ignore[attr-defined]
    reject = Reject(content_hash=seen, reason="付款期太长")
    town.told(reject, ApprovalId.of(TEMPLATE, "1"), by="wang")
    town.told(write(COURT), by="sun")
    assert template(town).in_force is None


def test_its_authors_take_back_what_waits_for_approval(town: ContractTown) -> None:
    """Its approval is void; the draft may be written anew and submitted again."""
    withdraw = WithdrawContractTemplate(reason="条款有误")
    town.refused("contract-template.unknown", withdraw, TEMPLATE)
    town.told(write(PAYMENT), by="sun")
    town.told(withdraw, TEMPLATE, by="sun")
    town.told(SubmitContractTemplate(), TEMPLATE, by="sun")
    town.told(withdraw, TEMPLATE, by="sun")
    town.told(withdraw, TEMPLATE, by="sun")
    assert town.happened(TEMPLATE)[-1] == "ContractTemplateWithdrawn"
    assert town.happened(ApprovalId.of(TEMPLATE, "1"))[-1] == "ApprovalVoided"
    town.told(write(COURT), by="sun")
    town.told(SubmitContractTemplate(), TEMPLATE, by="sun")
    assert approve(town) is None
    town.refused("contract_template.not_in_approval", withdraw, TEMPLATE)


def test_a_clause_is_named_once(town: ContractTown) -> None:
    town.refused("contract.named_twice", write(PAYMENT, PAYMENT))


def test_a_retired_template_begins_no_contract_until_a_new_version(town: ContractTown) -> None:
    in_force(town, PAYMENT)
    for _ in range(2):
        town.told(RetireContractTemplate(reason="法规更新"), TEMPLATE)
    town.refused("contract_template.not_in_force", draft(template=TEMPLATE))
    in_force(town, COURT)
    town.told(draft(template=TEMPLATE))


@pytest.mark.parametrize(
    "stale",
    [
        {"version": 2},
        {"content_hash": "sha256:" + "0" * 64},
        {"approval": "approval:contract-template:FRAMEWORK:2"},
    ],
)
def test_a_verdict_about_anything_else_is_none(town: ContractTown, stale: dict[str, Any]) -> None:
    """It names version, content and the request that waits."""
    town.told(write(PAYMENT), by="sun")
    town.told(SubmitContractTemplate(), TEMPLATE, by="sun")
    submitted: Any = town.last(TEMPLATE)
    said = {
        "approval": ApprovalId.of(TEMPLATE, "1"),
        "version": 1,
        "content_hash": submitted.content_hash,
        "granted": True,
        "approvers": ("wang",),
    }
    wrong = TakeVerdict(verdict=Verdict(**{**said, **stale}))
    refusal = town.ask(wrong, TEMPLATE)
    assert refusal is not None
    assert refusal.code.endswith("verdict_stale")
    assert town.ask(TakeVerdict(verdict=Verdict(**said)), TEMPLATE) is None
