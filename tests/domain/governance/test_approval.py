"""P2, Q2, K4: what an approval is bound to, who may give it, and that nothing passes without it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.domain.governance.papers import (
    BY_MANAGER,
    PAPER,
    Desk,
    PaperApproved,
    SmuggleText,
    SubmitPaper,
    WritePaper,
    flow,
)

from medsales.domain.governance.approval import (
    ApprovalGranted,
    ApprovalStatus,
    Case,
    EscalateStep,
    FlowRule,
    Reject,
    RemindApprovers,
    RequestApproval,
    Step,
    StepApproved,
    StepOpened,
    VoidApproval,
)
from medsales.domain.governance.person import AppointSubstitute, DismissPerson, RegisterPerson
from medsales.domain.governance.signature import Meaning
from medsales.domain.ids import ApprovalId, PersonId
from medsales.domain.kernel import Role
from medsales.domain.parties.our_company import DescribeOurCompany
from medsales.testing import NOON, Pen, given, loaded

MANAGER = Step(role=Role.MANAGER)
DIRECTOR = Step(role=Role.DIRECTOR)
OTHER = "sha256:" + "0" * 64
AGREED = "StepApproved"


@pytest.fixture
def desk() -> Desk:
    return Desk()


# What is asked


def test_handing_in_asks_for_approval_in_the_same_decision(desk: Desk) -> None:
    id = desk.hands_in()
    asked, opened = desk.streams[id]
    assert asked.model_dump(exclude={"case", "steps"}) == {
        "subject": PAPER,
        "number": 1,
        "title": "Paper 1: 3 % off",
        "version": 1,
        "content_hash": desk.paper.content_hash,
        "authors": ("chen",),
        "flow_version": None,
        "rule": "by a manager",
        "in_order": True,
    }
    assert opened == StepOpened(
        subject=PAPER,
        title="Paper 1: 3 % off",
        authors=("chen",),
        step=1,
        role=Role.MANAGER,
        approvers=1,
        remind_at=NOON + timedelta(hours=24),
        due_at=NOON + timedelta(hours=48),
    )


def test_within_the_own_limit_it_is_granted_at_once_and_kept_as_such(desk: Desk) -> None:
    """Q2: a flow may say that nobody need be asked; the approval says so for ever."""
    desk.follows(FlowRule(name="own limit", discount_up_to=Decimal(5)), BY_MANAGER)
    id = desk.hands_in(discount=Decimal(5))
    assert desk.told(id) == ["ApprovalRequested", "ApprovalGranted"]
    assert desk.streams[id][0].rule == "own limit"  # type: ignore[attr-defined]
    assert desk.paper.approved == (1, desk.paper.content_hash)
    assert desk.told(desk.hands_in("6 % off", discount=Decimal(6))) == [
        "ApprovalRequested",
        "StepOpened",
    ]


REQUEST = RequestApproval(
    subject=PAPER,
    number=1,
    version=1,
    content_hash=OTHER,
    authors=("chen",),
    case=Case(),
    title="Paper",
)


def test_a_request_is_made_once() -> None:
    asked = given().when(REQUEST).events
    given(*asked).when(REQUEST).then()
    other = REQUEST.model_copy(update={"version": 2})
    given(*asked).when(other).refused("approval.exists")


def test_time_to_answer_begins_when_somebody_is_asked_p2() -> None:
    """A submission that is told late does not bring the escalation about at once."""
    late: Any = given().when(REQUEST, at=NOON - timedelta(days=9), now=NOON).events[1]
    assert (late.remind_at, late.due_at) == (
        NOON + timedelta(hours=24),
        NOON + timedelta(hours=48),
    )


def test_whoever_hands_in_is_taken_for_an_author() -> None:
    asked: Any = given().when(REQUEST, by="li").events[0]
    assert asked.authors == ("chen", "li")


def test_what_takes_no_verdict_asks_for_none() -> None:
    order = REQUEST.model_copy(update={"subject": "order:SO-1"})
    given().when(order).refused("approval.subject_unknown")


# Granting


def test_the_last_step_and_the_gate_are_one_decision(desk: Desk) -> None:
    id = desk.hands_in()
    hash = desk.paper.content_hash
    desk.does(desk.approve(comment="fair"), id, by="wang")
    assert desk.streams[id][2:] == [
        StepApproved(
            subject=PAPER,
            version=1,
            content_hash=hash,
            step=1,
            role=Role.MANAGER,
            approver="wang",
            comment="fair",
            complete=True,
        ),
        ApprovalGranted(subject=PAPER, version=1, content_hash=hash, approvers=("wang",)),
    ]
    assert desk.streams[PAPER][-1] == PaperApproved(
        version=1, content_hash=hash, approval=id, approvers=("wang",)
    )


def test_steps_in_order_wait_for_each_other(desk: Desk) -> None:
    desk.follows(*flow(MANAGER, DIRECTOR))
    id = desk.hands_in()
    desk.refuses("approval.wrong_role", desk.approve(), id, "qian")
    desk.does(desk.approve(), id, by="wang")
    assert not desk.paper.approved
    assert desk.told(id)[2:] == [AGREED, "StepOpened"]
    desk.does(desk.approve(), id, by="qian")
    assert desk.paper.approved


def test_steps_in_parallel_do_not(desk: Desk) -> None:
    desk.follows(*flow(MANAGER, DIRECTOR, in_order=False))
    id = desk.hands_in()
    assert desk.told(id) == ["ApprovalRequested", "StepOpened", "StepOpened"]
    desk.does(desk.approve(), id, by="qian")
    assert not desk.paper.approved
    desk.does(desk.approve(), id, by="wang")
    assert desk.told(id)[3:] == [AGREED, AGREED, "ApprovalGranted"]


def test_a_step_may_need_several_people(desk: Desk) -> None:
    desk.follows(*flow(Step(role=Role.MANAGER, approvers=2)))
    id = desk.hands_in()
    desk.does(desk.approve(), id, by="wang")
    assert not desk.paper.approved
    desk.does(desk.approve(), id, by="zhao")
    assert desk.paper.approved
    assert [event.complete for event in desk.streams[id] if isinstance(event, StepApproved)] == [
        False,
        True,
    ]


def test_who_could_take_several_steps_may_say_which(desk: Desk) -> None:
    desk.follows(*flow(MANAGER, DIRECTOR, in_order=False))
    id = desk.hands_in()
    desk.does(desk.approve(step=2), id, by="sun")
    desk.refuses("approval.wrong_role", desk.approve(step=2), id, "wang")
    desk.does(desk.approve(), id, by="wang")
    assert desk.paper.approved


def test_a_role_is_needed_that_the_step_asks_for(desk: Desk) -> None:
    id = desk.hands_in()
    desk.refuses("approval.wrong_role", desk.approve(), id, "feng")


# Author and approver


@pytest.mark.parametrize("by", ["chen", "li", "zhao"])
def test_p2_nobody_approves_what_he_wrote_or_handed_in(desk: Desk, by: str) -> None:
    """P2, K4: chen wrote it first, li changed it, zhao (a manager) handed it in."""
    desk.does(WritePaper(number="1", text="3 % off"), by="chen")
    desk.does(WritePaper(number="1", text="4 % off"), by="li")
    desk.does(SubmitPaper(), PAPER, by="zhao")
    desk.refuses("approval.approver_is_author", desk.approve(), ApprovalId.of(PAPER, "1"), by)


def test_p2_nor_does_anybody_for_the_author(desk: Desk) -> None:
    id = desk.hands_in(by="zhao")
    desk.appoints("zhao", "li", Role.MANAGER)
    desk.refuses("approval.substitute_of_author", desk.approve(on_behalf_of="zhao"), id, "li")


def test_p2_nor_does_an_author_stand_in_for_an_approver(desk: Desk) -> None:
    """The substitute of oneself, by way of somebody else."""
    id = desk.hands_in(by="chen")
    desk.appoints("wang", "chen")
    desk.refuses("approval.approver_is_author", desk.approve(on_behalf_of="wang"), id, "chen")


def test_p2_nor_does_who_holds_the_power_of_the_author(desk: Desk) -> None:
    """Wang is a manager himself, and just now also the manager that zhao would be."""
    id = desk.hands_in(by="zhao")
    desk.appoints("zhao", "wang", Role.MANAGER)
    desk.refuses("approval.substitute_of_author", desk.approve(), id, "wang")
    desk.does(desk.approve(), id, by="sun")


def test_who_does_other_work_of_the_author_may_approve(desk: Desk) -> None:
    id = desk.hands_in(by="chen")
    desk.appoints("chen", "wang", Role.SALES)
    desk.does(desk.approve(), id, by="wang")


def test_p2_nobody_is_his_own_substitute(desk: Desk) -> None:
    id = desk.hands_in()
    desk.refuses("approval.not_substitute", desk.approve(on_behalf_of="feng"), id, "feng")


def test_who_has_left_approves_and_rejects_nothing(desk: Desk) -> None:
    desk.appoints("wang", "li")
    desk.does(DismissPerson(reason="left"), PersonId.of("wang"), by="qian")
    id = desk.hands_in()
    desk.refuses("person.gone", desk.approve(), id, "wang")
    desk.refuses("person.gone", no(desk), id, "wang")
    desk.refuses("approval.not_substitute", desk.approve(on_behalf_of="wang"), id, "li")


# Substitutes


def test_a_substitute_approves_within_his_term(desk: Desk) -> None:
    desk.appoints("wang", "li", first=1, last=2)
    id = desk.hands_in()
    consent = desk.approve(on_behalf_of="wang")
    for day, code in [(0, "approval.not_substitute"), (3, "approval.not_substitute")]:
        desk.now = NOON + timedelta(days=day)
        desk.refuses(code, consent, id, "li")
    desk.now = NOON + timedelta(days=2)
    desk.does(consent, id, by="li")
    agreed: Any = desk.streams[id][2]
    assert (agreed.approver, agreed.on_behalf_of) == ("li", PersonId.of("wang"))
    assert desk.streams[PAPER][-1].approvers == ("li", "wang")  # type: ignore[attr-defined]


def test_a_substitute_has_only_the_roles_passed_on_to_him(desk: Desk) -> None:
    desk.follows(*flow(DIRECTOR))
    desk.appoints("sun", "li", Role.MANAGER)
    id = desk.hands_in()
    desk.refuses("approval.not_substitute", desk.approve(on_behalf_of="sun"), id, "li")


def test_nobody_stands_in_without_being_appointed(desk: Desk) -> None:
    id = desk.hands_in()
    desk.refuses("approval.not_substitute", desk.approve(on_behalf_of="wang"), id, "li")
    desk.refuses("approval.not_substitute", desk.approve(on_behalf_of="nobody"), id, "li")


# Nobody counts twice


@pytest.fixture
def two(desk: Desk) -> ApprovalId:
    """Two managers are needed; wang is away, and sun stands in for him."""
    desk.follows(*flow(Step(role=Role.MANAGER, approvers=2)))
    desk.appoints("wang", "sun")
    return desk.hands_in()


def test_as_himself_and_for_another_is_still_one(desk: Desk, two: ApprovalId) -> None:
    desk.does(desk.approve(), two, by="sun")
    desk.refuses("approval.counts_once", desk.approve(on_behalf_of="wang"), two, "sun")


def test_whose_substitute_approved_has_approved(desk: Desk, two: ApprovalId) -> None:
    desk.does(desk.approve(on_behalf_of="wang"), two, by="sun")
    desk.refuses("approval.counts_once", desk.approve(), two, "wang")
    desk.refuses("approval.counts_once", desk.approve(), two, "sun")


def test_nobody_takes_two_steps(desk: Desk) -> None:
    desk.follows(*flow(MANAGER, DIRECTOR))
    id = desk.hands_in()
    desk.does(desk.approve(), id, by="sun")
    desk.does(desk.approve(), id, by="sun")
    assert not desk.paper.approved
    assert desk.told(id).count(AGREED) == 1


def test_approving_again_changes_nothing(desk: Desk) -> None:
    id = desk.hands_in()
    for _ in range(2):
        desk.does(desk.approve(), id, by="wang")
    assert desk.told(id).count(AGREED) == 1


# Bound to a content


def test_q2_any_change_voids_what_is_asked_for(desk: Desk) -> None:
    id, seen = desk.hands_in(), desk.paper.content_hash
    desk.does(WritePaper(number="1", text="30 % off"), by="chen")
    assert desk.approval(id).status is ApprovalStatus.VOIDED
    desk.refuses("approval.closed", desk.approve(), id, "wang")
    desk.refuses("approval.closed", desk.approve(content_hash=seen), id, "wang")


def test_q2_any_change_voids_what_was_granted(desk: Desk) -> None:
    id = desk.hands_in()
    desk.does(desk.approve(), id, by="wang")
    desk.does(WritePaper(number="1", text="30 % off"), by="chen")
    assert desk.paper.approved is None
    assert desk.told(id)[-1] == "ApprovalVoided"


def test_q2_an_approval_that_is_replayed_after_a_change_is_refused(desk: Desk) -> None:
    id, consent = desk.hands_in(), desk.approve()
    desk.does(consent, id, by="wang")
    second = desk.hands_in("30 % off")
    desk.refuses("approval.closed", consent, id, "wang")
    desk.refuses("approval.content_moved", consent, second, "wang")
    assert not desk.paper.approved


def test_q2_what_was_not_seen_is_not_approved(desk: Desk) -> None:
    id = desk.hands_in()
    desk.refuses("approval.content_moved", desk.approve(content_hash=OTHER), id, "wang")
    desk.refuses("approval.content_moved", Reject(content_hash=OTHER, reason="no"), id, "wang")


def test_q2_a_subject_that_moved_without_a_word_passes_no_gate(desk: Desk) -> None:
    """Even then: the verdict is about other words, and nothing of it happens."""
    id, seen = desk.hands_in(), desk.paper.content_hash
    desk.does(SmuggleText(text="30 % off"), PAPER)
    desk.refuses("paper.moved", desk.approve(content_hash=seen), id, "wang")
    desk.refuses("approval.content_moved", desk.approve(), id, "wang")
    assert AGREED not in desk.told(id)


def test_the_same_text_again_needs_a_new_approval(desk: Desk) -> None:
    id, consent = desk.hands_in(), desk.approve()
    desk.does(WritePaper(number="1", text="30 % off"), by="chen")
    second = desk.hands_in("3 % off")
    assert desk.approval(second).version == 3
    desk.refuses("approval.closed", consent, id, "wang")
    assert not desk.paper.approved


# Rejecting


def no(desk: Desk, **more: Any) -> Reject:
    return Reject(content_hash=desk.paper.content_hash, reason="too cheap", **more)


def test_a_rejection_gives_the_subject_back(desk: Desk) -> None:
    id = desk.hands_in()
    desk.does(no(desk), id, by="wang")
    assert desk.told(id)[2:] == ["ApprovalRejected"]
    assert desk.told(PAPER)[-1] == "PaperReturned"
    desk.does(no(desk), id, by="wang")
    assert len(desk.told(id)) == 3
    desk.refuses("approval.closed", desk.approve(), id, "zhao")


def test_one_of_several_is_enough_to_reject(desk: Desk) -> None:
    desk.follows(*flow(MANAGER, DIRECTOR))
    id = desk.hands_in()
    desk.does(desk.approve(), id, by="wang")
    desk.does(no(desk), id, by="qian")
    rejected: Any = desk.streams[id][-1]
    assert (rejected.step, rejected.open_steps, rejected.reason) == (2, (2,), "too cheap")


def test_who_may_not_approve_may_not_reject(desk: Desk) -> None:
    id = desk.hands_in(by="zhao")
    desk.refuses("approval.approver_is_author", no(desk), id, "zhao")
    desk.refuses("approval.wrong_role", no(desk), id, "feng")
    desk.refuses("approval.not_substitute", no(desk, on_behalf_of="person:wang"), id, "feng")


def test_what_is_granted_is_not_rejected(desk: Desk) -> None:
    id = desk.hands_in()
    desk.does(desk.approve(), id, by="wang")
    desk.refuses("approval.closed", no(desk), id, "zhao")


# Voiding


def test_voiding_twice_is_harmless(desk: Desk) -> None:
    id = desk.hands_in()
    for _ in range(2):
        desk.does(VoidApproval(reason="withdrawn"), id)
    assert desk.told(id)[2:] == ["ApprovalVoided"]


def test_what_was_rejected_stays_rejected(desk: Desk) -> None:
    id = desk.hands_in()
    desk.does(no(desk), id, by="wang")
    desk.does(VoidApproval(reason="withdrawn"), id)
    assert desk.approval(id).status is ApprovalStatus.REJECTED


# Time


SLOW = Step(role=Role.MANAGER, hours=8, remind_after_hours=4, escalate_to=Role.DIRECTOR)


def test_an_escalated_step_may_also_be_approved_by_the_next_role(desk: Desk) -> None:
    desk.follows(*flow(SLOW))
    id = desk.hands_in()
    desk.refuses("approval.wrong_role", desk.approve(), id, "qian")
    desk.does(EscalateStep(step=1), id)
    desk.does(desk.approve(), id, by="qian")
    agreed: Any = desk.streams[id][3]
    assert (agreed.role, agreed.step) == (Role.DIRECTOR, 1)
    assert desk.paper.approved


def test_those_who_were_late_may_still_approve(desk: Desk) -> None:
    desk.follows(*flow(SLOW))
    id = desk.hands_in()
    desk.does(EscalateStep(step=1), id)
    desk.does(desk.approve(), id, by="wang")
    assert desk.paper.approved


@pytest.mark.parametrize("command", [RemindApprovers, EscalateStep])
def test_a_step_is_reminded_of_and_escalated_once(desk: Desk, command: Any) -> None:
    desk.follows(*flow(SLOW))
    id = desk.hands_in()
    for _ in range(2):
        desk.does(command(step=1), id)
    assert len(desk.told(id)) == 3


@pytest.mark.parametrize("command", [RemindApprovers, EscalateStep])
@pytest.mark.parametrize("step", [1, 2, 7])
def test_a_timer_that_comes_too_late_does_nothing(desk: Desk, command: Any, step: int) -> None:
    desk.follows(*flow(SLOW, SLOW))
    id = desk.hands_in()
    if step == 1:
        desk.does(desk.approve(), id, by="wang")
    before = desk.told(id)
    desk.does(command(step=step), id)
    assert desk.told(id) == before


def test_what_has_nobody_above_it_is_not_escalated(desk: Desk) -> None:
    id = desk.hands_in()
    desk.does(EscalateStep(step=1), id)
    assert len(desk.told(id)) == 2


def test_a_director_who_helped_out_does_not_count_in_his_own_step(desk: Desk) -> None:
    desk.follows(*flow(SLOW, DIRECTOR))
    id = desk.hands_in()
    desk.does(EscalateStep(step=1), id)
    desk.does(desk.approve(), id, by="qian")
    desk.does(desk.approve(), id, by="qian")
    assert not desk.paper.approved
    desk.does(desk.approve(), id, by="sun")
    assert desk.paper.approved


# Signed


WANG = Pen("wang")
SIGNED = Step(role=Role.MANAGER, signed=True)


def signing(desk: Desk, pen: Pen) -> ApprovalId:
    """A step that is to be signed, and somebody who can."""
    desk.follows(*flow(SIGNED))
    history = list(pen.history())
    desk.streams[pen.id], desk.known[pen.id] = history, loaded(pen.id, history)
    return desk.hands_in()


def signed(desk: Desk, pen: Pen, **otherwise: Any) -> Any:
    return pen.signs(PAPER, 1, desk.paper.content_hash, **otherwise)


def test_b7_a_step_may_ask_for_a_signature_over_the_very_content(desk: Desk) -> None:
    id = signing(desk, WANG)
    desk.refuses("approval.signature_required", desk.approve(), id, "wang")
    statement = signed(desk, WANG)
    desk.does(desk.approve(signature=statement), id, by="wang")
    (agreed,) = (event for event in desk.streams[id] if isinstance(event, StepApproved))
    assert agreed.signature == statement.statement.id()
    assert desk.told(statement.statement.id()) == ["Signed"]
    assert desk.paper.approved


@pytest.mark.parametrize(
    ("otherwise", "code"),
    [
        ({"content_hash": OTHER}, "signature.subject_moved"),
        ({"version": 2}, "signature.subject_moved"),
        ({"subject": "paper:2"}, "signature.other_subject"),
        ({"meaning": Meaning.REVIEW}, "signature.other_meaning"),
        ({"signer": "person:zhao"}, "signature.not_own"),
    ],
)
def test_b7_a_signature_of_something_else_approves_nothing(
    desk: Desk, otherwise: dict[str, Any], code: str
) -> None:
    id = signing(desk, WANG)
    told = {"subject": PAPER, "version": 1, "content_hash": desk.paper.content_hash, **otherwise}
    statement = WANG.signs(**told)
    desk.refuses(code, desk.approve(signature=statement), id, "wang")
    assert not desk.paper.approved


def test_b7_a_substitute_signs_as_himself(desk: Desk) -> None:
    li = Pen("li", role=Role.SALES)
    desk.appoints("wang", "li")
    id = signing(desk, li)
    desk.does(desk.approve("wang", signature=signed(desk, li)), id, by="li")
    (agreed,) = (event for event in desk.streams[id] if isinstance(event, StepApproved))
    assert (agreed.approver, agreed.on_behalf_of) == ("li", PersonId.of("wang"))


@pytest.mark.parametrize("end", ["voided", "rejected"])
def test_b7_a_signature_of_a_step_counts_as_long_as_its_approval(desk: Desk, end: str) -> None:
    """Void because the text has changed, or rejected by the next: marked, and never deleted."""
    signing(desk, WANG)
    desk.follows(*flow(SIGNED, DIRECTOR))
    desk.does(WritePaper(number="1", text="4 % off"))
    desk.does(SubmitPaper(), PAPER)
    id, seen = ApprovalId.of(PAPER, "2"), desk.paper.content_hash
    statement = WANG.signs(PAPER, 2, seen)
    desk.does(desk.approve(signature=statement), id, by="wang")
    assert desk.told(statement.statement.id()) == ["Signed"]
    if end == "voided":
        desk.does(WritePaper(number="1", text="5 % off"))
    else:
        desk.does(Reject(content_hash=seen, reason="too\nmuch"), id, by="qian")
    assert desk.told(statement.statement.id()) == ["Signed", "SignatureInvalidated"]


def test_q2_whoever_is_registered_elsewhere_approves_nothing(desk: Desk) -> None:
    """Nor does anybody for him: the buyer does not approve the quote to himself."""
    desk.does(DescribeOurCompany(name="Dealer", address="x"), by="registrar")
    register = RegisterPerson(person="wang", name="王", organisation="Hospital", title="x")
    desk.does(register, by="registrar")
    id = desk.hands_in()
    desk.refuses("person.not_ours", desk.approve(), id, "wang")
    no = Reject(content_hash=desk.paper.content_hash, reason="x")
    desk.refuses("person.not_ours", no, id, "wang")
    desk.does(
        RegisterPerson(person="li", name="li", organisation="Dealer", title="x"), by="registrar"
    )
    today = desk.now.date()
    appoint = AppointSubstitute(
        substitute=PersonId.of("li"),
        roles=(Role.MANAGER,),
        first_day=today,
        last_day=today,
        reason="x",
    )
    desk.does(appoint, PersonId.of("wang"), by="wang")
    desk.refuses("person.not_ours", desk.approve(on_behalf_of="wang"), id, "li")
    desk.does(desk.approve(), id, by="zhao")
