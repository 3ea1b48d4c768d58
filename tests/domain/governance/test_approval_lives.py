"""Random lives of a paper: whatever people try, nothing passes the gate without its approvals.

People write, hand in, approve for themselves and for others, replay what they once said, appoint
substitutes, change the rules, and let time pass. What must hold is checked from what was told,
not by the rules under test.
"""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from tests.domain.governance.papers import (
    FLOW,
    PAPER,
    ROLES,
    Desk,
    PaperApproved,
    SmuggleText,
    SubmitPaper,
    WritePaper,
)

from medsales.domain.governance.approval import (
    AdoptFlow,
    Approval,
    ApprovalFlow,
    ApprovalGranted,
    ApprovalRequested,
    ApprovalStatus,
    Approve,
    EscalateStep,
    FlowRule,
    ProposeFlow,
    Reject,
    RemindApprovers,
    Step,
    StepApproved,
    StepEscalated,
)
from medsales.domain.governance.person import (
    AppointSubstitute,
    EndSubstitution,
    Person,
    RegisterPerson,
)
from medsales.domain.ids import ApprovalId, PersonId
from medsales.domain.kernel import Command, Role

PEOPLE = list(ROLES)
WRITERS = ["chen", "zhao", "sun"]
TEXTS = ["3 % off", "4 % off", "30 % off"]
APPROVING = [Role.MANAGER, Role.DIRECTOR, Role.FINANCE]


class Term(NamedTuple):
    """That somebody may act for somebody else, as far as the tests know."""

    principal: str
    substitute: str
    roles: tuple[Role, ...]
    first_day: date
    last_day: date


class Life:
    """One life, made of chances."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.desk = Desk()
        self.terms: dict[tuple[str, int], Term] = {}
        self.authors: dict[str, set[str]] = {}
        """Of each request: everybody who had written by then, and who handed it in."""
        self.wrote: set[str] = set()
        self.said: list[tuple[Approve, str]] = []
        self.checked = 0
        for person in PEOPLE:
            name = RegisterPerson(person=person, name=person, organisation="Dealer", title="Staff")
            assert self.tell(name, by="registrar")
        self.write()

    def tell(self, command: Command[Any], id: str | None = None, by: str = "chen") -> bool:
        return self.desk.ask(command, id, by) is None

    def last(self) -> ApprovalId:
        return ApprovalId.of(PAPER, str(self.desk.paper.requests))

    def newest(self) -> Approval:
        return self.desk.approval(self.last())

    def step(self) -> None:
        """Something happens: what comes first here, more often."""
        often = {
            self.hand_in: 9,
            self.go_on: 12,
            self.stand_in: 6,
            self.appoint: 4,
            self.approve: 4,
            self.replay: 4,
            self.be_late: 4,
            self.change_the_rules: 3,
            self.write: 2,
            self.wait: 2,
            self.reject: 1,
            self.end: 1,
            self.smuggle: 1,
        }
        (happens,) = self.chance.choices(list(often), list(often.values()))
        happens()

    # What people do

    def write(self) -> None:
        text, by = self.chance.choice(TEXTS), self.chance.choice(WRITERS)
        if self.tell(WritePaper(number="1", text=text), by=by):
            self.wrote.add(by)

    def hand_in(self) -> None:
        before, by = self.desk.paper.requests, self.chance.choice(WRITERS)
        if self.tell(SubmitPaper(), PAPER, by=by) and self.desk.paper.requests > before:
            self.authors[self.last()] = {*self.wrote, by}

    def smuggle(self) -> None:
        self.tell(SmuggleText(text=self.chance.choice(TEXTS)), PAPER)

    def approve(self) -> None:
        """Anybody, for anybody."""
        step = self.chance.choice([None, None, 1, 2])
        principal = self.chance.choice([None, *PEOPLE])
        self.agree(self.desk.approve(principal, step=step), self.chance.choice(PEOPLE))

    def go_on(self) -> None:
        """Somebody of a role that is waited for, whether he may or not."""
        approval = self.newest()
        if approval.open_steps:
            roles = approval.part(self.chance.choice(approval.open_steps)).roles
            able = [person for person in PEOPLE if set(roles) & set(ROLES[person])]
            self.agree(self.desk.approve(), self.chance.choice(able))

    def stand_in(self) -> None:
        """Somebody uses the power that was passed on to him, whether it still counts or not."""
        if self.terms:
            term = self.chance.choice(list(self.terms.values()))
            self.agree(self.desk.approve(term.principal), term.substitute)

    def replay(self) -> None:
        """What somebody once said, said again about the newest request, or the old one."""
        if self.said:
            command, id = self.chance.choice(self.said)
            self.agree(command, self.chance.choice(PEOPLE), self.chance.choice([id, self.last()]))

    def agree(self, command: Approve, by: str, id: str = "") -> None:
        id = id or self.last()
        self.said.append((command, id))
        before = len(self.desk.streams.get(id, ()))
        if self.tell(command, id, by=by):
            for event in self.desk.streams[id][before:]:
                if isinstance(event, StepApproved):
                    assert event.content_hash == command.content_hash, "Q2: what he saw"
                    self.must_have_been_able_to(event, id)

    def reject(self) -> None:
        no = Reject(content_hash=self.desk.paper.content_hash, reason="too cheap")
        self.tell(no, self.last(), by=self.chance.choice(PEOPLE))

    def appoint(self) -> None:
        """All that one has, or what one may not have at all."""
        principal, substitute = self.chance.choices(PEOPLE, k=2)
        some = self.chance.sample(APPROVING, k=2)
        begins = self.desk.now.date() + timedelta(days=self.chance.choice([-1, 0, 0, 2]))
        command = AppointSubstitute(
            substitute=PersonId.of(substitute),
            roles=tuple(some) if self.chance.random() < 0.2 else ROLES[principal],
            first_day=begins,
            last_day=begins + timedelta(days=self.chance.randrange(4)),
            reason="leave",
        )
        id = PersonId.of(principal)
        before = self.appointed(id)
        if self.tell(command, id, by=principal) and self.appointed(id) > before:
            term = Term(principal, substitute, command.roles, begins, command.last_day)
            self.terms[principal, before + 1] = term

    def appointed(self, id: PersonId) -> int:
        person = self.desk.state(id)
        assert isinstance(person, Person)
        return person.appointed

    def end(self) -> None:
        if self.terms:
            principal, number = self.chance.choice(list(self.terms))
            if self.tell(EndSubstitution(number=number), PersonId.of(principal), by=principal):
                del self.terms[principal, number]

    def change_the_rules(self) -> None:
        """The newest version is adopted, or seldom the one before."""
        steps = [self.some_step() for _ in range(self.chance.choice([1, 1, 2, 3]))]
        rule = FlowRule(name="any", steps=tuple(steps), in_order=self.chance.random() < 0.5)
        propose = ProposeFlow(governs="paper", rules=(rule,), reason="better")
        self.tell(propose, by=self.chance.choice(["wang", "qian", "sun"]))
        flow = self.desk.state(FLOW)
        assert isinstance(flow, ApprovalFlow)
        version = len(flow.proposed) - (self.chance.random() < 0.2)
        by = self.chance.choice(["qian", "sun"])
        self.tell(AdoptFlow(version=max(version, 1)), FLOW, by=by)

    def some_step(self) -> Step:
        return Step(
            role=self.chance.choice(APPROVING),
            approvers=self.chance.choice([1, 1, 2]),
            hours=8,
            escalate_to=self.chance.choice([None, Role.DIRECTOR]),
        )

    def be_late(self) -> None:
        step = self.chance.choice([1, 1, 2, 3])
        command = self.chance.choice([EscalateStep, RemindApprovers])
        self.tell(command(step=step), self.last(), by="clock")

    def wait(self) -> None:
        self.desk.now += timedelta(days=self.chance.randrange(3))

    # What must hold

    def must_be_right(self) -> None:
        self.nothing_passes_the_gate_without_its_approvals()
        self.every_request_ends_once_and_only_the_newest_waits()
        self.the_paper_waits_exactly_while_its_approval_does()

    def stands_in(self, substitute: str, principal: str, role: Role) -> bool:
        today = self.desk.now.date()
        return any(
            (term.substitute, term.principal) == (substitute, principal)
            and role in term.roles
            and term.first_day <= today <= term.last_day
            for term in self.terms.values()
        )

    def must_have_been_able_to(self, event: StepApproved, id: str) -> None:
        """P2: the role was his, or that of the one he stood in for; and no author had a part."""
        role, by = event.role, event.approver
        principal = event.on_behalf_of.key if event.on_behalf_of else None
        assert role in ROLES[principal or by]
        assert principal is None or self.stands_in(by, principal, role)
        voices = {by, principal} - {None}
        assert not voices & self.authors[id]
        for author in self.authors[id]:
            assert not any(voice and self.stands_in(voice, author, role) for voice in voices)

    def nothing_passes_the_gate_without_its_approvals(self) -> None:
        passed = [e for e in self.desk.streams.get(PAPER, ()) if isinstance(e, PaperApproved)]
        for event in passed[self.checked :]:
            told = self.desk.streams[event.approval]
            asked = told[0]
            assert isinstance(asked, ApprovalRequested)
            bound = (asked.version, asked.content_hash)
            assert bound == (event.version, event.content_hash) == self.desk.paper.approved
            assert event.content_hash == self.desk.paper.content_hash
            self.must_have_done_every_step(asked, told)
        self.checked = len(passed)

    def must_have_done_every_step(self, asked: ApprovalRequested, told: list[Any]) -> None:
        consents = [event for event in told if isinstance(event, StepApproved)]
        people = [person for event in consents for person in voices(event)]
        assert len(people) == len(set(people)), "nobody counts twice"
        helped = {(event.step, event.to) for event in told if isinstance(event, StepEscalated)}
        for number, step in enumerate(asked.steps, start=1):
            done = [event for event in consents if event.step == number]
            assert len(done) == step.approvers
            assert all(e.role == step.role or (number, e.role) in helped for e in done)
            assert {event.content_hash for event in done} == {asked.content_hash}
        if asked.in_order:
            assert all(a.step <= b.step for a, b in pairwise(consents))

    def every_request_ends_once_and_only_the_newest_waits(self) -> None:
        for id, told in self.requests():
            state = self.desk.approval(id)
            granted = [event for event in told if isinstance(event, ApprovalGranted)]
            assert len(granted) <= 1
            assert state.status is not ApprovalStatus.WAITING or id == self.last()
            assert bool(state.open_steps) == (state.status is ApprovalStatus.WAITING)

    def the_paper_waits_exactly_while_its_approval_does(self) -> None:
        paper, newest = self.desk.paper, self.newest()
        assert paper.asked == (newest.status is ApprovalStatus.WAITING)
        assert bool(paper.approved) == (newest.status is ApprovalStatus.GRANTED)

    def requests(self) -> Iterator[tuple[str, list[Any]]]:
        return ((id, told) for id, told in self.desk.streams.items() if id.startswith("approval:"))


def voices(event: StepApproved) -> list[str]:
    return [event.approver, *([event.on_behalf_of.key] if event.on_behalf_of else [])]


def test_nothing_passes_a_gate_without_its_approvals() -> None:
    """And the lives go through everything, or that would prove little."""
    lived: Counter[str] = Counter()
    for seed in range(200):
        life = Life(seed)
        for _ in range(80):
            life.step()
            life.must_be_right()
        for told in life.desk.streams.values():
            lived.update(type(event).__name__ for event in told)
            lived["on behalf"] += sum(bool(getattr(each, "on_behalf_of", None)) for each in told)
    assert min(lived[name] for name in EVERYTHING) > 20, lived


EVERYTHING = (
    "ApprovalGranted",
    "ApprovalRejected",
    "ApprovalVoided",
    "FlowAdopted",
    "PaperApproved",
    "StepEscalated",
    "SubstitutionEnded",
    "TextSmuggled",
    "on behalf",
)
