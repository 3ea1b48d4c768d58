"""The approval board: what waits for whom, and who waited for whom how long."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.domain.governance.papers import (
    PAPER,
    ROLES,
    Desk,
    Paper,
    SubmitPaper,
    WritePaper,
    flow,
)
from tests.engine.purses import history

from medsales.company import Company
from medsales.domain.governance.approval import (
    AdoptFlow,
    Approve,
    EscalateStep,
    FlowRule,
    ProposeFlow,
    Reject,
    RemindApprovers,
    Step,
)
from medsales.domain.ids import ApprovalFlowId, ApprovalId
from medsales.domain.kernel import Command, Event, Role
from medsales.engine.application import Actor, Ask
from medsales.engine.facts import Envelope, Fact, envelope_to_json, event_to_json
from medsales.engine.projection import fold, write
from medsales.projections.approval_board import (
    BOARD,
    WAITS,
    ApprovalBoard,
    BoardLine,
    Wait,
    approval_seen,
    flow_seen,
)
from medsales.testing import NOON

FLOW = ApprovalFlowId.of("paper")
MANAGER = Step(role=Role.MANAGER)
DIRECTOR = Step(role=Role.DIRECTOR)
SLOW = Step(role=Role.MANAGER, hours=8, remind_after_hours=4, escalate_to=Role.DIRECTOR)


class Office:
    """Papers, and the people around them, in a company whose clock can be set."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.at(0)

    def at(self, hours: float) -> None:
        """So many hours after noon it is, and everything that is due has been asked."""
        self.now = NOON + timedelta(hours=hours)
        self.company.app.clock = lambda: self.now
        self.catch_up()

    def tell(self, command: Command[Any], id: str | None = None, by: str = "chen") -> str:
        actor = Actor(by, by.title(), ROLES[by], "tests")
        return str(self.company.app.handle(Ask(command, actor, id)).id)

    def follows(self, *rules: FlowRule) -> None:
        self.tell(ProposeFlow(governs="paper", rules=rules, reason="board"), by="qian")
        self.tell(AdoptFlow(version=1), FLOW, by="sun")

    def hands_in(self, text: str = "3 % off", number: str = "1") -> ApprovalId:
        paper = self.tell(WritePaper(number=number, text=text))
        self.tell(SubmitPaper(), paper)
        return ApprovalId.of(paper, str(self.paper(paper).requests))

    def approve(self, id: str, by: str, step: int | None = None) -> None:
        self.tell(Approve(content_hash=self.paper().content_hash, step=step), id, by=by)

    def paper(self, id: str = PAPER) -> Paper:
        return self.company.app.existing(id, Paper)

    def catch_up(self) -> None:
        worker = self.company.worker()
        worker.processes.prepare()
        worker.catch_up()

    def happened(self, *names: str) -> list[str]:
        return [fact.name for fact in history(self.company, kinds=names)]


def ask(company: Company, query: str, **given: Any) -> list[dict[str, Any]]:
    with company.database.reading() as db:
        return db.execute(query.encode(), given).fetchall()


def board(company: Company, **wanted: Any) -> list[BoardLine]:
    given = dict.fromkeys(("status", "subject", "of_kind", "role")) | wanted
    return [BoardLine(**row) for row in ask(company, f"{BOARD} order by approval", **given)]


class Told(Desk):
    """What happens at the desk, with its hours, and what the board makes of it."""

    def __init__(self, company: Company) -> None:
        super().__init__()
        self.company = company
        self.facts: list[Fact[Any]] = []

    def ask(self, command: Command[Any], id: str | None = None, by: str = "chen") -> Any:
        before = {subject: len(events) for subject, events in self.streams.items()}
        refusal = super().ask(command, id, by)
        for subject, events in self.streams.items():
            known = before.get(subject, 0)
            for version, event in enumerate(events[known:], start=known + 1):
                self.facts.append(self.fact(subject, version, event, by))
        return refusal

    def fact(self, subject: str, version: int, event: Event[Any], by: str) -> Fact[Any]:
        state, name = event_to_json(event).encode(), type(event).__name__
        envelope = Envelope(by, by, "tests", str(len(self.facts)), "Told", "")
        metadata = envelope_to_json(envelope).encode()
        position = len(self.facts) + 1
        stored = (position, subject, version, name, state, metadata, self.now, self.now, "")
        return Fact(stored)

    def after(self, hours: float) -> None:
        self.now = NOON + timedelta(hours=hours)

    def waits(self, **wanted: Any) -> list[Wait]:
        with self.company.database.writing() as db:
            write(db, self.company.database.schema, fold([ApprovalBoard()], self.facts))
        self.facts.clear()
        given = dict.fromkeys(("approval", "person", "requested_by", "lasting")) | wanted
        order = "order by approval, step, person, outcome"
        return [Wait(**row) for row in ask(self.company, f"{WAITS} {order}", **given)]


@pytest.fixture
def desk(company: Company) -> Told:
    return Told(company)


@pytest.fixture
def office(company: Company) -> Office:
    return Office(company)


def test_a_request_waits_for_the_role_of_its_step(office: Office) -> None:
    id = office.hands_in()
    office.catch_up()
    (line,) = board(office.company)
    assert line.model_dump(include={"approval", "subject", "title", "status", "waiting_for"}) == {
        "approval": id,
        "subject": PAPER,
        "title": "Paper 1: 3 % off",
        "status": "waiting",
        "waiting_for": ("manager",),
    }
    assert (line.authors, line.requested_by, line.rule) == (("chen",), "chen", "by a manager")
    assert line.due_at == NOON + timedelta(hours=48)


def test_the_board_by_status_subject_kind_and_role(office: Office) -> None:
    office.follows(*flow(MANAGER, DIRECTOR))
    first, second = office.hands_in(), office.hands_in(number="2")
    office.approve(first, "wang")

    def found(**wanted: Any) -> list[str]:
        office.catch_up()
        return [line.approval for line in board(office.company, **wanted)]

    assert found(status="waiting") == found(of_kind="paper") == [first, second]
    assert found(subject=PAPER) == found(role="director") == [first]
    assert found(role="manager") == [second]
    assert found(status="granted") == found(of_kind="quote") == []
    office.approve(first, "qian")
    assert found(status="granted") == [first]


# Who waited for whom how long


def test_who_waited_for_whom_how_long(desk: Told) -> None:
    desk.follows(*flow(MANAGER, DIRECTOR))
    id = desk.hands_in()
    desk.after(2.5)
    desk.does(desk.approve(), id, by="wang")
    assert [(w.requested_by, w.person, w.role, w.hours) for w in desk.waits()] == [
        ("chen", "wang", "manager", Decimal("2.50")),
        ("chen", "", "director", None),
    ]
    desk.after(10)
    desk.does(desk.approve(), id, by="qian")
    (last,) = desk.waits(person="qian")
    assert (last.since, last.until) == (NOON + timedelta(hours=2.5), NOON + timedelta(hours=10))
    assert (last.outcome, last.hours, last.late) == ("approved", Decimal("7.50"), False)
    assert desk.waits(lasting=True) == desk.waits(requested_by="li") == []


def test_who_was_stood_in_for_was_waited_for_too(desk: Told) -> None:
    desk.appoints("wang", "li")
    id = desk.hands_in()
    desk.after(1)
    desk.does(desk.approve(on_behalf_of="wang"), id, by="li")
    assert [(w.person, w.on_behalf_of) for w in desk.waits(person="person:wang")] == [
        ("li", "person:wang")
    ]


def test_of_two_who_are_needed_each_is_waited_for_by_himself(desk: Told) -> None:
    desk.follows(*flow(Step(role=Role.MANAGER, approvers=2, hours=3)))
    id = desk.hands_in()
    desk.after(1)
    desk.does(desk.approve(), id, by="wang")
    assert [w.outcome for w in desk.waits()] == ["waiting", "approved"]
    desk.after(5)
    desk.does(desk.approve(), id, by="zhao")
    assert [(w.person, w.hours, w.late) for w in desk.waits()] == [
        ("wang", Decimal("1.00"), False),
        ("zhao", Decimal("5.00"), True),
    ]


def test_when_it_is_rejected_or_void_nobody_is_waited_for(desk: Told) -> None:
    desk.follows(*flow(MANAGER, DIRECTOR, in_order=False))
    rejected = desk.hands_in()
    no = Reject(content_hash=desk.paper.content_hash, reason="too cheap")
    desk.does(no, rejected, by="wang")
    voided = desk.hands_in("4 % off")
    desk.does(WritePaper(number="1", text="5 % off"))
    assert [(w.approval, w.person, w.outcome) for w in desk.waits(lasting=False)] == [
        (rejected, "wang", "rejected"),
        (rejected, "", "rejected"),
        (voided, "", "voided"),
        (voided, "", "voided"),
    ]
    assert [(line.status, line.reason, line.waiting_for) for line in board(desk.company)] == [
        ("rejected", "too cheap", ()),
        ("voided", "the text has changed", ()),
    ]


def test_a_request_is_seen_with_all_that_was_said(desk: Told) -> None:
    desk.follows(*flow(SLOW))
    id = desk.hands_in()
    desk.after(4)
    desk.does(RemindApprovers(step=1), id)
    desk.after(8)
    desk.does(EscalateStep(step=1), id)
    desk.after(9)
    desk.does(desk.approve(comment="fair"), id, by="qian")
    desk.waits()
    with desk.company.database.reading() as db:
        seen = approval_seen(db, id)
        assert approval_seen(db, "approval:paper:9:1") is None
    assert seen is not None
    (step,), (voice,), (wait,) = seen.steps, seen.voices, seen.waits
    assert (step.escalated_to, step.approved) == ("director", 1)
    assert (step.reminded_at, step.escalated_at) == (
        NOON + timedelta(hours=4),
        NOON + timedelta(hours=8),
    )
    assert (voice.person, voice.comment, voice.role) == ("qian", "fair", "director")
    assert (wait.hours, wait.late) == (Decimal("9.00"), True)


# Flows


def test_a_flow_is_seen_with_every_version(office: Office) -> None:
    office.follows(*flow(DIRECTOR))
    office.tell(ProposeFlow(governs="paper", rules=flow(MANAGER), reason="quicker"), by="sun")
    office.catch_up()
    with office.company.database.reading() as db:
        seen = flow_seen(db, FLOW)
        builtin = flow_seen(db, "approval-flow:credit-account")
    assert (seen.in_force, seen.rules) == (1, flow(DIRECTOR))
    assert [(v.proposer, v.adopter) for v in seen.versions] == [("qian", "sun"), ("sun", None)]
    assert builtin.in_force is None
    assert [rule.name for rule in builtin.rules] == ["by finance"]
