"""Who takes his time over an approval is reminded, and then the next role may help."""

from datetime import timedelta

import pytest
from tests.domain.governance.papers import WritePaper, flow
from tests.engine.purses import history, query
from tests.projections.test_approval_board import Office, board

from medsales.company import Company
from medsales.domain.governance.approval import Step
from medsales.domain.kernel import Role
from medsales.engine.timers import Timers
from medsales.testing import NOON

SLOW = Step(role=Role.MANAGER, hours=8, remind_after_hours=4, escalate_to=Role.DIRECTOR)
TIMED = ("ApproversReminded", "StepEscalated")


@pytest.fixture
def office(company: Company) -> Office:
    return Office(company)


def test_who_does_not_answer_is_reminded_and_then_the_next_role_is_asked(office: Office) -> None:
    office.follows(*flow(SLOW))
    id = office.hands_in()
    office.at(3.9)
    assert office.happened(*TIMED) == []
    office.at(4)
    office.at(7.9)
    assert office.happened(*TIMED) == ["ApproversReminded"]
    office.at(8)
    office.at(99)
    assert office.happened(*TIMED) == ["ApproversReminded", "StepEscalated"]
    assert board(office.company)[0].waiting_for == ("director", "manager")
    assert query(office.company, "select * from timer") == []
    office.approve(id, "qian")
    assert office.paper().approved


def test_who_was_waited_for_is_told_by_which_fact(office: Office) -> None:
    office.follows(*flow(SLOW))
    office.hands_in()
    office.at(9)
    (opened,) = history(office.company, kinds=("StepOpened",))
    late = history(office.company, kinds=TIMED)
    assert [fact.envelope.cause for fact in late] == [opened.position, opened.position]
    assert opened.event.due_at == NOON + timedelta(hours=8)


def test_who_has_answered_is_left_in_peace(office: Office) -> None:
    office.follows(*flow(SLOW))
    office.approve(office.hands_in(), "wang")
    office.hands_in("4 % off")
    office.tell(WritePaper(number="1", text="5 % off"))
    office.at(99)
    assert office.happened(*TIMED) == []
    assert query(office.company, "select * from timer") == []


def test_each_step_in_parallel_has_its_own_time(office: Office) -> None:
    fast = Step(role=Role.FINANCE, hours=2, escalate_to=Role.DIRECTOR)
    office.follows(*flow(SLOW, fast, in_order=False))
    id = office.hands_in()
    office.at(2)
    assert office.happened(*TIMED) == ["StepEscalated"]
    office.approve(id, "feng", step=2)
    office.at(4)
    assert office.happened(*TIMED) == ["StepEscalated", "ApproversReminded"]


def test_a_timer_that_rings_after_the_answer_does_nothing(office: Office) -> None:
    """The clock has moved, and nobody has projected the answer yet."""
    office.follows(*flow(SLOW))
    id = office.hands_in()
    office.catch_up()
    office.approve(id, "wang")
    office.company.app.clock = lambda: NOON + timedelta(hours=9)
    rung = Timers(office.company.app, office.company.database).step()
    assert rung == 2
    office.at(9)
    assert office.happened(*TIMED) == []
