"""When people take their time over an approval, they are reminded; then the next role may help."""

from medsales.domain.governance.approval import EscalateStep, RemindApprovers
from medsales.domain.ids import ApprovalId
from medsales.engine.consequences import Then
from medsales.engine.timers import Timer, due
from medsales.projections.timers import PART


@due
def approval_reminder(timer: Timer) -> Then:
    approval, step = timer.subject.split(PART)
    return Then(RemindApprovers(step=int(step)), ApprovalId(approval))


@due
def approval_escalation(timer: Timer) -> Then:
    approval, step = timer.subject.split(PART)
    return Then(EscalateStep(step=int(step)), ApprovalId(approval))
