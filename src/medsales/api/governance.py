"""Who must approve what, who is waited for, and what there is to do."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from medsales.api.auth import Caller
from medsales.api.commands import Moment, SubjectId
from medsales.api.reading import Asked, Page, Paging, Reading, When, found, reader
from medsales.domain.governance.approval import ApprovalStatus
from medsales.domain.governance.approval_flow import takes_verdicts
from medsales.domain.ids import PersonId
from medsales.domain.kernel import Role, Text
from medsales.domain.values import day_in_china
from medsales.engine.past import Scope
from medsales.engine.projection import BEGINNING
from medsales.projections.approval_board import (
    BOARD,
    WAITS,
    ApprovalBoard,
    ApprovalCard,
    ApprovalSeen,
    ApprovalStepCard,
    ApprovalVoice,
    BoardLine,
    FlowSeen,
    FlowVersion,
    Wait,
    approval_seen,
    flow_seen,
)
from medsales.projections.task_board import (
    TASKS,
    TaskBoard,
    TaskKind,
    TaskLine,
)

router = APIRouter(tags=["governance"])
Board = Annotated[Reading, reader(ApprovalBoard)]
Tasks = Annotated[Reading, reader(TaskBoard)]
EACH_APPROVAL = Scope((ApprovalCard, ApprovalStepCard), each="approval")
EACH_WAIT = Scope((ApprovalCard, ApprovalStepCard, ApprovalVoice), each="approval")
APPROVAL = Scope((ApprovalCard, ApprovalStepCard, ApprovalVoice))
FLOW = Scope((FlowVersion,))
EVERY_TASK = Scope(TaskBoard.rows)


@router.get("/approvals")
def approval_board(
    board: Board,
    paging: Paging,
    status: ApprovalStatus | None = None,
    subject: Text | None = None,
    kind: Annotated[Text | None, Query(description="Of the subject: `quote`.")] = None,
    role: Annotated[Role | None, Query(description="Who is waited for.")] = None,
) -> Page[BoardLine]:
    """The approval board: what was asked for, and who is waited for right now."""
    return board.page(
        BoardLine,
        paging,
        BOARD,
        EACH_APPROVAL,
        subject,
        status=status,
        subject=subject,
        of_kind=kind,
        role=role,
    )


@router.get("/approval-waits")
def approval_waits(
    board: Board,
    paging: Paging,
    person: Annotated[Text | None, Query(description="For whom was waited.")] = None,
    requested_by: Annotated[Text | None, Query(description="Who waited.")] = None,
    lasting: Annotated[bool | None, Query(description="Still, or no longer.")] = None,
) -> Page[Wait]:
    """Who waited for whom how long."""
    return board.page(
        Wait,
        paging,
        WAITS,
        APPROVAL,
        by=("approval", "step", "person", "outcome"),
        approval=None,
        person=person,
        requested_by=requested_by,
        lasting=lasting,
    )


@router.get("/approvals/{id:path}")
def approval(board: Board, id: SubjectId) -> ApprovalSeen:
    """A request with its steps, what was said to it, and who waited how long."""
    with board.snapshot(APPROVAL, id) as db:
        return found(approval_seen(db, id), id)


@router.get("/approval-flows/{id:path}")
def approval_flow(board: Board, id: SubjectId) -> FlowSeen:
    """Who must approve one kind of subject: what counts, and every version there has been."""
    with board.snapshot(FLOW, id) as db:
        return found(flow_seen(db, id) if takes_verdicts(id.partition(":")[2]) else None, id)


@router.get("/tasks")
def tasks(
    tasks: Tasks,
    caller: Caller,
    asked: Asked,
    paging: Paging,
    person: Text | None = None,
    role: Annotated[list[Role] | None, Query(description="One or several.")] = None,
    mine: Annotated[bool, Query(description="Also of whom I stand in for.")] = False,
    overdue: bool = False,
    due_before: Moment | None = None,
    kind: TaskKind | None = None,
    subject: Text | None = None,
) -> Page[TaskLine]:
    """What there is to do, by person and role, in the order in which it is due."""
    roles = [*(role or ()), *(caller.actor.roles if mine else ())]
    now = _time(tasks, asked)
    return tasks.page(
        TaskLine,
        paging,
        TASKS,
        EVERY_TASK,
        by=("sort_at", "task"),
        person=caller.actor.id if mine else person,
        roles=[each.value for each in roles] or None,
        substitute=PersonId.of(caller.actor.id) if mine else None,
        today=day_in_china(now),
        late_at=now if overdue else None,
        due_before=due_before,
        of_kind=kind,
        subject=subject,
    )


def _time(tasks: Reading, asked: When) -> datetime:
    """Now, or the moment that is asked about."""
    if tasks.moment is None:
        return tasks.company.app.clock()
    if not tasks.moment.position:
        return BEGINNING
    with tasks.company.database.reading() as db:
        return asked.time(db, tasks.moment)
