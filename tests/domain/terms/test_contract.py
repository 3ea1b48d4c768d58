"""What a contract goes through: drafted, approved, signed by both, suspended, ended (rules 4)."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from tests.domain.terms.contracts import (
    BEGIN,
    CONTRACT,
    END,
    PUMP,
    STENT,
    ContractTown,
    cny,
    draft,
    lines,
)

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Approve, Reject
from medsales.domain.ids import ProductId, QuoteId
from medsales.domain.kernel import Refused
from medsales.domain.terms.contract import (
    CancelContract,
    ContractStatus,
    DraftContractFromQuote,
    EditContract,
    RecallContract,
    SendContract,
    SubmitContract,
)
from medsales.domain.terms.contract_content import (
    AgreedLine,
    Clause,
    Obligation,
    PriceReason,
    Side,
)
from medsales.domain.terms.contract_life import (
    ExpireContract,
    FulfilContract,
    MeetObligation,
    RemindOfObligation,
    RemindOfRenewal,
    ResumeContract,
    SuspendContract,
    TerminateContract,
)
from medsales.domain.terms.contract_signing import RefuseContract

TRAINING = Obligation(
    key="training", description="培训护士", party=Side.OURS, due=date(2026, 9, 1), milestone=True
)


@pytest.fixture
def town() -> ContractTown:
    return ContractTown()


def edit(**more: object) -> EditContract:
    return EditContract(**draft(**more).model_dump(exclude={"number", "customer"}))


# Drafting


def test_a_contract_is_drafted_with_the_hash_of_its_content(town: ContractTown) -> None:
    town.told(draft())
    assert town.happened() == ["ContractDrafted"]
    assert town.status() is ContractStatus.DRAFT
    assert town.under_way.content_hash == content_hash(town.under_way.content)
    assert town.under_way.content.amount == 19_000


def test_drafting_the_same_again_changes_nothing(town: ContractTown) -> None:
    town.told(draft())
    town.told(draft())
    town.told(edit(title="另一标题"), CONTRACT)
    town.told(draft())
    assert town.happened() == ["ContractDrafted", "ContractEdited"]


def test_a_number_is_used_once(town: ContractTown) -> None:
    town.told(draft())
    town.refused("contract.number_taken", draft(title="另一合同"))


def test_editing_says_everything_anew(town: ContractTown) -> None:
    town.told(draft())
    town.told(edit(lines=lines(pumps=7)), CONTRACT, by="li")
    town.told(edit(lines=lines(pumps=7)), CONTRACT)
    assert town.happened() == ["ContractDrafted", "ContractEdited"]
    assert town.under_way.content.line_of(PUMP).max_quantity == 7
    assert town.under_way.authors == {"chen", "li"}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"lines": (*lines(), lines()[0])}, "contract.named_twice"),
        ({"valid_until": BEGIN - timedelta(days=1)}, "contract.ends_before_it_begins"),
        ({"currency": "EUR"}, "contract.amount_wrong"),
        ({"max_amount": cny(-1)}, "contract.amount_wrong"),
        ({"lines": (AgreedLine(product=PUMP, price=cny(10**13), max_quantity=10**6),)},
         "contract.amount_wrong"),
        ({"lines": lines(pumps=None), "public_procurement": True}, "contract.quantity_missing"),
        ({"clauses": (Clause(key="a", title="A", text="a"),) * 2}, "contract.named_twice"),
        ({"obligations": (TRAINING, TRAINING)}, "contract.named_twice"),
        ({"lines": (AgreedLine(product=ProductId.of("none"), price=cny(1)),)}, "product.unknown"),
    ],
)  # fmt: skip
def test_a_content_makes_sense(town: ContractTown, wrong: dict[str, object], code: str) -> None:
    town.refused(code, draft(**wrong))


def test_a_contract_from_a_quote_keeps_the_reasons_of_its_prices(town: ContractTown) -> None:
    """A price that is changed afterwards is the contract's own, and the approvers are told."""
    quoted = tuple(
        PriceReason(
            product=line.product,
            price=line.price,
            price_version=3,
            floor=cny(600),
            discount=Decimal("12.5"),
        )
        for line in lines()
    )
    said = draft().model_dump()
    town.told(DraftContractFromQuote(**said, quote=QuoteId.of("Q-1"), quoted=quoted))
    draft_now = town.under_way
    assert draft_now.content.quote == "quote:Q-1"
    assert [(r.price_version, r.discount) for r in draft_now.reasons] == [(3, Decimal("12.5"))] * 2
    flags = draft_now.content.flags(draft_now.reasons)
    assert "below_floor" in flags
    assert "price_of_its_own" not in flags
    cheaper = (lines()[0], lines()[1].model_copy(update={"price": cny(650)}))
    town.told(edit(lines=cheaper), CONTRACT)
    edited = town.under_way
    assert edited.content.quote == "quote:Q-1"
    assert [reason.product for reason in edited.reasons] == [PUMP]
    assert "price_of_its_own" in edited.content.flags(edited.reasons)


# Approval


def test_submitting_asks_for_approval_in_the_same_decision(town: ContractTown) -> None:
    town.told(draft())
    town.told(SubmitContract(), CONTRACT)
    town.told(SubmitContract(), CONTRACT)
    assert town.happened() == ["ContractDrafted", "ContractSubmitted"]
    assert town.happened(town.contract.approval(CONTRACT))[0] == "ApprovalRequested"
    assert town.status() is ContractStatus.IN_APPROVAL


def test_nothing_is_edited_after_it_was_submitted(town: ContractTown) -> None:
    town.told(draft())
    for step in (town.told, None):
        if step:
            step(SubmitContract(), CONTRACT)
        else:
            assert town.approve() is None
        town.refused("contract.wrong_stage", edit(title="偷改"))


def test_the_author_does_not_approve(town: ContractTown) -> None:
    town.told(draft(), by="wang")
    town.told(SubmitContract(), CONTRACT, by="chen")
    for author in ("wang", "chen"):
        refusal = town.approve(author)
        assert isinstance(refusal, Refused)
        assert refusal.code == "approval.approver_is_author"
    assert town.status() is ContractStatus.IN_APPROVAL


def test_with_the_last_approval_it_is_approved(town: ContractTown) -> None:
    town.told(draft())
    town.approved()
    assert town.happened() == ["ContractDrafted", "ContractSubmitted", "ContractApproved"]
    assert town.status() is ContractStatus.APPROVED


def test_a_rejected_contract_is_a_draft_again_and_needs_another_approval(
    town: ContractTown,
) -> None:
    town.told(draft())
    town.told(SubmitContract(), CONTRACT)
    first = town.contract.approval(CONTRACT)
    seen = town.under_way.content_hash
    town.told(Reject(content_hash=seen, reason="太便宜"), first, by="wang")
    assert town.status() is ContractStatus.DRAFT
    town.told(SubmitContract(), CONTRACT)
    assert town.contract.approval(CONTRACT) != first
    town.refused("approval.closed", Approve(content_hash=seen), first, by="wang")
    assert town.status() is ContractStatus.IN_APPROVAL
    assert town.approve() is None


def test_an_approval_that_was_given_does_not_serve_a_changed_content(town: ContractTown) -> None:
    """Q2 for contracts: recalled, changed, and the old approval counts no more."""
    town.told(draft())
    town.sent()
    approval = town.contract.approval(CONTRACT)
    town.told(RecallContract(reason="价格有误"), CONTRACT)
    assert town.happened(approval)[-1] == "ApprovalVoided"
    assert town.status() is ContractStatus.DRAFT
    town.told(edit(lines=lines(pumps=1)), CONTRACT)
    town.refused("contract.wrong_stage", SendContract())
    town.told(SubmitContract(), CONTRACT)
    town.refused("contract.wrong_stage", SendContract())


def test_its_authors_take_back_what_waits_for_approval(town: ContractTown) -> None:
    """Nobody else has to answer first: the approval is void, and the draft may be cancelled."""
    town.told(draft())
    town.told(SubmitContract(), CONTRACT)
    approval = town.contract.approval(CONTRACT)
    seen = Approve(content_hash=town.under_way.content_hash)
    town.told(seen, approval, by="wang")
    town.told(RecallContract(reason="数量有误"), CONTRACT)
    town.refused("approval.closed", seen, approval, by="qian")
    town.told(edit(title="输液泵采购"), CONTRACT)
    town.told(SubmitContract(), CONTRACT)
    assert town.approve() is None
    town.told(RecallContract(reason="不做了"), CONTRACT)
    town.told(CancelContract(reason="不做了"), CONTRACT)


def test_what_nobody_has_approved_is_not_sent(town: ContractTown) -> None:
    town.told(draft())
    town.refused("contract.wrong_stage", SendContract())
    town.told(SubmitContract(), CONTRACT)
    town.refused("contract.wrong_stage", SendContract())
    assert town.approve() is None
    town.told(SendContract(), CONTRACT)
    town.told(SendContract(), CONTRACT)
    assert town.status() is ContractStatus.OUT_FOR_SIGNATURE


def test_a_draft_can_be_cancelled_and_nothing_else(town: ContractTown) -> None:
    town.told(draft())
    town.told(SubmitContract(), CONTRACT)
    town.refused("contract.wrong_stage", CancelContract(reason="不做了"))
    other = ContractTown()
    other.told(draft())
    other.told(CancelContract(reason="不做了"), CONTRACT)
    other.told(CancelContract(reason="不做了"), CONTRACT)
    assert other.status() is ContractStatus.CANCELLED
    for command in (edit(title="x"), SubmitContract()):
        other.refused("contract.wrong_stage", command)


# In force


def test_it_is_suspended_and_resumed(town: ContractTown) -> None:
    town.active()
    town.told(SuspendContract(reason="欠款"), CONTRACT)
    town.told(SuspendContract(reason="欠款"), CONTRACT)
    town.refused("contract.wrong_stage", town.call_off("SO-1", pumps=1))
    town.told(ResumeContract(reason="已付"), CONTRACT)
    town.told(ResumeContract(reason="已付"), CONTRACT)
    town.told(town.call_off("SO-1", pumps=1), CONTRACT)
    assert town.happened()[-3:] == ["ContractSuspended", "ContractResumed", "CalledOff"]


@pytest.mark.parametrize("suspended", [False, True])
def test_it_is_terminated_once_for_all(town: ContractTown, *, suspended: bool) -> None:
    town.active()
    if suspended:
        town.told(SuspendContract(reason="x"), CONTRACT)
    town.told(TerminateContract(reason="违约"), CONTRACT)
    town.told(TerminateContract(reason="违约"), CONTRACT)
    assert town.status() is ContractStatus.TERMINATED
    town.refused("contract.wrong_stage", town.call_off("SO-1", pumps=1))
    town.refused("contract.wrong_stage", ResumeContract(reason="x"))


def test_it_expires_and_only_as_of_the_end_it_has(town: ContractTown) -> None:
    town.active()
    town.told(ExpireContract(valid_until=END - timedelta(days=9)), CONTRACT)
    assert town.status() is ContractStatus.ACTIVE
    town.told(ExpireContract(valid_until=END), CONTRACT)
    town.told(ExpireContract(valid_until=END), CONTRACT)
    assert town.status() is ContractStatus.EXPIRED
    assert town.happened().count("ContractExpired") == 1
    town.refused("contract.wrong_stage", SuspendContract(reason="x"))


def test_somebody_is_reminded_of_the_renewal_once_per_end(town: ContractTown) -> None:
    town.active()
    town.later(303)
    town.told(RemindOfRenewal(), CONTRACT)
    assert "RenewalReminded" not in town.happened()
    town.later(1)
    for _ in range(2):
        town.told(RemindOfRenewal(), CONTRACT)
    assert town.happened().count("RenewalReminded") == 1


def test_obligations_are_reminded_of_and_met(town: ContractTown) -> None:
    town.active(obligations=(TRAINING,))
    remind = RemindOfObligation(key="training")
    town.later(84)
    town.told(remind, CONTRACT)
    assert "ObligationReminded" not in town.happened()
    town.later(1)
    for _ in range(2):
        town.told(remind, CONTRACT)
    for _ in range(2):
        town.told(MeetObligation(key="training"), CONTRACT)
    town.told(remind, CONTRACT)
    assert town.happened()[-2:] == ["ObligationReminded", "ObligationMet"]
    town.refused("contract.obligation_unknown", MeetObligation(key="other"))


def test_it_is_fulfilled_with_the_last_obligation_when_all_is_called_off(
    town: ContractTown,
) -> None:
    town.active(obligations=(TRAINING,))
    town.told(town.call_off("SO-1", pumps=100, stents=20), CONTRACT)
    town.refused("contract.obligations_open", FulfilContract(reason="够了"))
    town.told(MeetObligation(key="training"), CONTRACT)
    assert town.happened()[-2:] == ["ObligationMet", "ContractFulfilled"]
    assert town.status() is ContractStatus.FULFILLED


def test_it_is_fulfilled_by_command_with_a_reason_for_what_is_left(town: ContractTown) -> None:
    town.active()
    town.refused("contract.not_called_off_yet", FulfilContract())
    town.told(FulfilContract(reason="医院不再需要"), CONTRACT)
    town.told(FulfilContract(), CONTRACT)
    assert town.status() is ContractStatus.FULFILLED
    town.refused("contract.wrong_stage", town.call_off("SO-1", stents=1))


FROM = {
    ContractStatus.DRAFT: {"edit", "submit", "cancel"},
    ContractStatus.IN_APPROVAL: {"submit", "recall"},
    ContractStatus.APPROVED: {"send", "recall"},
    ContractStatus.OUT_FOR_SIGNATURE: {"send", "recall"},
    ContractStatus.PARTIALLY_SIGNED: {"send", "refuse"},
    ContractStatus.ACTIVE: {"suspend", "resume", "terminate", "fulfil", "expire"},
    ContractStatus.SUSPENDED: {"suspend", "resume", "terminate", "fulfil", "expire"},
    ContractStatus.FULFILLED: {"fulfil", "expire"},
    ContractStatus.EXPIRED: {"expire"},
    ContractStatus.TERMINATED: {"terminate", "expire"},
    ContractStatus.CANCELLED: {"cancel", "expire"},
}
"""What is not refused in each state, with the repeats that change nothing."""
ASKED = {
    "edit": edit(title="x"),
    "submit": SubmitContract(),
    "cancel": CancelContract(reason="x"),
    "send": SendContract(),
    "recall": RecallContract(reason="x"),
    "refuse": RefuseContract(side=Side.THEIRS, reason="x"),
    "suspend": SuspendContract(reason="x"),
    "resume": ResumeContract(reason="x"),
    "terminate": TerminateContract(reason="x"),
    "fulfil": FulfilContract(reason="x"),
    "expire": ExpireContract(valid_until=END),
}
WAYS = {
    ContractStatus.DRAFT: "",
    ContractStatus.IN_APPROVAL: "submit",
    ContractStatus.APPROVED: "submit approve",
    ContractStatus.OUT_FOR_SIGNATURE: "submit approve send",
    ContractStatus.PARTIALLY_SIGNED: "submit approve send seal",
    ContractStatus.ACTIVE: "submit approve send seal sign",
    ContractStatus.SUSPENDED: "submit approve send seal sign suspend",
    ContractStatus.FULFILLED: "submit approve send seal sign fulfil",
    ContractStatus.EXPIRED: "submit approve send seal sign expire",
    ContractStatus.TERMINATED: "submit approve send seal sign terminate",
    ContractStatus.CANCELLED: "cancel",
}


@pytest.mark.parametrize("status", ContractStatus)
@pytest.mark.parametrize("command", ASKED)
def test_every_transition_of_the_table_and_no_other(
    town: ContractTown, status: ContractStatus, command: str
) -> None:
    town.told(draft())
    for step in WAYS[status].split():
        if step == "approve":
            assert town.approve() is None
        elif step == "seal":
            town.told(town.sealed(), CONTRACT)
        elif step == "sign":
            town.told(town.sign(), CONTRACT, by="sun")
        else:
            town.told(ASKED[step], CONTRACT)
    assert town.status() is status
    # An end that is noted before the contract is in force is none: it is passed over in silence.
    allowed = FROM[status] | ({"expire"} if not town.contract.in_force else set())
    if command in allowed:
        town.told(ASKED[command], CONTRACT)
    else:
        town.refused("contract.wrong_stage", ASKED[command])


def test_prices_of_a_contract_are_told_with_their_reason(town: ContractTown) -> None:
    town.active()
    found = town.contract.agreed(STENT, 20, BEGIN)
    assert found.price == cny(700)
    assert found.contract_version == 1
    assert found.remaining == 20
    assert found.path[:2] == ("contract HT-1 version 1", "since 2026-06-01")
