"""At once, against a real database: the last approvals, and approvals against everything else."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from tests.domain.governance.papers import (
    FLOW,
    Paper,
    PaperApproved,
    PaperId,
    SubmitPaper,
    WritePaper,
    flow,
)
from tests.engine.purses import at_once, history, must_be_contiguous

from medsales.company import Company
from medsales.domain.governance.approval import (
    AdoptFlow,
    Approval,
    ApprovalStatus,
    Approve,
    ProposeFlow,
    Reject,
    Step,
)
from medsales.domain.governance.person import (
    AppointSubstitute,
    EndSubstitution,
    RegisterPerson,
)
from medsales.domain.ids import ApprovalId, PersonId
from medsales.domain.kernel import Command, Refused, Role
from medsales.engine.application import Actor, Ask, Receipt

MANAGERS = [f"manager-{n}" for n in range(8)]
ROUNDS = 6


class Office:
    """Papers in a company; whoever writes has no other role."""

    def __init__(self, company: Company) -> None:
        self.company = company

    def ask(self, command: Command[Any], id: str | None, by: str, *roles: Role) -> Ask:
        return Ask(command, Actor(by, by, roles or (Role.MANAGER, Role.DIRECTOR), "tests"), id)

    def tell(self, command: Command[Any], id: str | None = None, by: str = "chen") -> Receipt:
        roles = (Role.SALES,) if by == "chen" else ()
        return self.company.app.handle(self.ask(command, id, by, *roles))

    def at_once(self, *asks: Ask) -> list[str]:
        """What came of each, in a word."""
        return at_once(len(asks), lambda n: self.answer(asks[n]))

    def answer(self, ask: Ask) -> str:
        try:
            return (*self.company.app.handle(ask).events, "nothing")[0]
        except Refused as refusal:
            return refusal.code

    def hands_in(self, number: str) -> tuple[ApprovalId, Approve]:
        """The request, and the consent to it."""
        id = PaperId(self.tell(WritePaper(number=number, text="3 % off")).id)
        self.tell(SubmitPaper(), id)
        seen = self.company.app.existing(id, Paper).content_hash
        return ApprovalId.of(id, "1"), Approve(content_hash=seen)

    def needs(self, approvers: int) -> None:
        step = Step(role=Role.MANAGER, approvers=approvers)
        self.tell(ProposeFlow(governs="paper", rules=flow(step), reason="x"), by="qian")
        self.tell(AdoptFlow(version=1), FLOW, by="sun")

    def granted(self) -> Counter[str]:
        return Counter(f.subject for f in history(self.company, kinds=("ApprovalGranted",)))


@pytest.fixture
def office(company: Company) -> Office:
    return Office(company)


def test_of_many_last_approvals_one_counts(office: Office) -> None:
    for n in range(ROUNDS):
        id, consent = office.hands_in(str(n))
        answers = office.at_once(*(office.ask(consent, id, manager) for manager in MANAGERS))
        assert Counter(answers) == {"StepApproved": 1, "approval.closed": len(MANAGERS) - 1}
    assert set(office.granted().values()) == {1}
    assert len(history(office.company, kinds=("PaperApproved",))) == ROUNDS
    must_be_contiguous(history(office.company))


def test_of_many_who_are_needed_all_count_and_it_is_granted_once(office: Office) -> None:
    office.needs(len(MANAGERS))
    id, consent = office.hands_in("1")
    office.at_once(*(office.ask(consent, id, manager) for manager in MANAGERS))
    assert office.granted() == {id: 1}
    (passed,) = history(office.company, kinds=("PaperApproved",))
    assert sorted(passed.event.approvers) == MANAGERS


def test_two_last_approvals_in_one_batch(office: Office) -> None:
    id, consent = office.hands_in("1")
    first, second = office.company.app.handle_many(
        [office.ask(consent, id, by, Role.MANAGER) for by in ("wang", "zhao")]
    )
    assert isinstance(first, Receipt)
    assert isinstance(second, Refused)
    assert second.code == "approval.closed"


def test_approving_and_rejecting_at_once_has_one_outcome(office: Office) -> None:
    for n in range(ROUNDS):
        id, consent = office.hands_in(str(n))
        no = Reject(content_hash=consent.content_hash, reason="no")
        office.at_once(*(office.ask(what, id, who) for who in MANAGERS for what in (consent, no)))
        ends = ("ApprovalGranted", "ApprovalRejected")
        assert len([f for f in history(office.company, kinds=ends) if f.subject == id]) == 1


def test_an_edit_at_the_same_moment_never_leaves_moved_content_approved(office: Office) -> None:
    """Q2: either the old text passes and the edit voids it, or the approval is refused."""
    outcomes: Counter[str] = Counter()
    for n in range(2 * ROUNDS):
        id, consent = office.hands_in(str(n))
        edit = office.ask(WritePaper(number=str(n), text="30 % off"), None, "chen", Role.SALES)
        outcomes[office.at_once(edit, office.ask(consent, id, "wang"))[1]] += 1
        paper = office.company.app.existing(PaperId.of(str(n)), Paper)
        assert (paper.text, paper.approved) == ("30 % off", None)
        assert office.company.app.existing(id, Approval).status is ApprovalStatus.VOIDED
    assert set(outcomes) <= {"StepApproved", "approval.closed"}
    must_have_passed_as_written(office)


def must_have_passed_as_written(office: Office) -> None:
    """At every position of the log, what passed is what was written last."""
    written: dict[str, str] = {}
    for fact in history(office.company):
        if fact.name == "PaperWritten":
            written[fact.subject] = Paper(text=fact.event.text).content_hash
        if isinstance(fact.event, PaperApproved):
            assert fact.event.content_hash == written[fact.subject]


def test_a_substitution_that_ends_at_the_same_moment_gives_no_power_afterwards(
    office: Office,
) -> None:
    for person in ("wang", "li"):
        name = RegisterPerson(person=person, name=person, organisation="Dealer", title="Staff")
        office.tell(name, by="qian")
    today = office.company.app.clock().date()
    wang = PersonId.of("wang")
    for n in range(ROUNDS):
        id, consent = office.hands_in(str(n))
        appoint = AppointSubstitute(
            substitute=PersonId.of("li"),
            roles=(Role.MANAGER,),
            first_day=today,
            last_day=today + timedelta(days=1),
            reason=f"leave {n}",
        )
        office.tell(appoint, wang, by="wang")
        for_wang = office.ask(
            consent.model_copy(update={"on_behalf_of": wang}), id, "li", Role.SALES
        )
        end = office.ask(EndSubstitution(number=n + 1), wang, "wang")
        office.at_once(for_wang, end)
    ended = False
    for fact in history(office.company):
        if fact.name in {"SubstituteAppointed", "SubstitutionEnded"}:
            ended = fact.name == "SubstitutionEnded"
        assert not (ended and fact.name == "StepApproved")
