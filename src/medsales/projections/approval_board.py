"""The approval board: what waits for whom, and who waited for whom how long."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from medsales.domain.governance import approval
from medsales.domain.governance.approval import ApprovalStatus
from medsales.domain.governance.approval_flow import (
    Case,
    FlowAdopted,
    FlowProposed,
    FlowRule,
    default_rules,
)
from medsales.domain.kernel import Value
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Changes, Projection, Row, on

APPROVED, REJECTED = "approved", "rejected"


class ApprovalCard(Row, key=("approval",), indexes=(("status", "approval"), ("subject",))):
    """One request for approval."""

    approval: str
    subject: str = ""
    kind: str = ""
    """Of the subject."""
    number: int = 0
    title: str = ""
    version: int = 0
    content_hash: str = ""
    authors: tuple[str, ...] = ()
    requested_by: str = ""
    requested_at: datetime = BEGINNING
    discount: Decimal = Decimal(0)
    """The deepest, in percent."""
    amount: Decimal | None = None
    currency: str | None = None
    flow_version: int | None = None
    """None under the built-in flow."""
    rule: str = ""
    in_order: bool = True
    status: str = ApprovalStatus.WAITING.value
    closed_at: datetime | None = None
    reason: str | None = None
    """Why it was rejected or voided."""


class ApprovalStepCard(Row, key=("approval", "step")):
    """A step of an approval since its turn came."""

    approval: str
    step: int
    role: str = ""
    approvers: int = 0
    """How many are needed."""
    approved: int = 0
    signed: bool = False
    """Whether it is approved with a signature."""
    since: datetime = BEGINNING
    until: datetime | None = None
    """When nobody was waited for any more."""
    remind_at: datetime | None = None
    due_at: datetime | None = None
    reminded_at: datetime | None = None
    escalated_at: datetime | None = None
    escalated_to: str | None = None


class ApprovalVoice(Row, key=("approval", "step", "person", "said")):
    """What somebody said to an approval."""

    approval: str
    step: int
    person: str
    said: str
    """approved or rejected."""
    on_behalf_of: str | None = None
    role: str = ""
    said_at: datetime = BEGINNING
    comment: str | None = None
    signature: str | None = None


class FlowRules(Value):
    """The rules of a flow; the first that fits a case counts."""

    rules: tuple[FlowRule, ...]


class FlowVersion(Row, key=("flow", "version")):
    """A version of who must approve what."""

    flow: str
    version: int
    proposer: str = ""
    proposed_at: datetime = BEGINNING
    reason: str = ""
    says: FlowRules | None = None
    adopter: str | None = None
    """None while it is only proposed."""
    adopted_at: datetime | None = None


class ApprovalBoard(Projection):
    rows = (ApprovalCard, ApprovalStepCard, ApprovalVoice, FlowVersion)

    @on(approval.ApprovalRequested)
    def requested(self, fact: Fact[approval.ApprovalRequested]) -> Changes:
        event = fact.event
        yield ApprovalCard.put(
            approval=fact.subject,
            subject=event.subject,
            kind=event.subject.partition(":")[0],
            number=event.number,
            title=event.title,
            version=event.version,
            content_hash=event.content_hash,
            authors=event.authors,
            requested_by=fact.by,
            requested_at=fact.effective_at,
            **of_case(event.case),
            flow_version=event.flow_version,
            rule=event.rule,
            in_order=event.in_order,
        )

    @on(approval.StepOpened)
    def opened(self, fact: Fact[approval.StepOpened]) -> Changes:
        event = fact.event
        yield ApprovalStepCard.put(
            approval=fact.subject,
            step=event.step,
            role=event.role,
            approvers=event.approvers,
            signed=event.signed,
            since=fact.effective_at,
            remind_at=event.remind_at,
            due_at=event.due_at,
        )

    @on(approval.StepApproved)
    def approved(self, fact: Fact[approval.StepApproved]) -> Changes:
        event = fact.event
        yield ApprovalVoice.put(
            approval=fact.subject,
            step=event.step,
            person=event.approver,
            said=APPROVED,
            on_behalf_of=event.on_behalf_of,
            role=event.role,
            said_at=fact.effective_at,
            comment=event.comment,
            signature=event.signature,
        )
        yield ApprovalStepCard.add(fact.subject, event.step, approved=1)
        if event.complete:
            yield ApprovalStepCard.set(fact.subject, event.step, until=fact.effective_at)

    @on(approval.ApproversReminded)
    def reminded(self, fact: Fact[approval.ApproversReminded]) -> Changes:
        yield ApprovalStepCard.set(fact.subject, fact.event.step, reminded_at=fact.effective_at)

    @on(approval.StepEscalated)
    def escalated(self, fact: Fact[approval.StepEscalated]) -> Changes:
        yield ApprovalStepCard.set(
            fact.subject,
            fact.event.step,
            escalated_at=fact.effective_at,
            escalated_to=fact.event.to,
        )

    @on(approval.ApprovalGranted)
    def granted(self, fact: Fact[approval.ApprovalGranted]) -> Changes:
        yield from closed(fact, ApprovalStatus.GRANTED)

    @on(approval.ApprovalRejected)
    def rejected(self, fact: Fact[approval.ApprovalRejected]) -> Changes:
        event = fact.event
        yield ApprovalVoice.put(
            approval=fact.subject,
            step=event.step,
            person=event.rejecter,
            said=REJECTED,
            on_behalf_of=event.on_behalf_of,
            role=event.role,
            said_at=fact.effective_at,
            comment=event.reason,
        )
        yield from closed(fact, ApprovalStatus.REJECTED, event.reason, event.open_steps)

    @on(approval.ApprovalVoided)
    def voided(self, fact: Fact[approval.ApprovalVoided]) -> Changes:
        yield from closed(fact, ApprovalStatus.VOIDED, fact.event.reason, fact.event.open_steps)

    @on(FlowProposed)
    def proposed(self, fact: Fact[FlowProposed]) -> Changes:
        event = fact.event
        yield FlowVersion.put(
            flow=fact.subject,
            version=event.version,
            proposer=event.proposer,
            proposed_at=fact.effective_at,
            reason=event.reason,
            says=FlowRules(rules=event.rules),
        )

    @on(FlowAdopted)
    def adopted(self, fact: Fact[FlowAdopted]) -> Changes:
        yield FlowVersion.set(
            fact.subject,
            fact.event.version,
            adopter=fact.event.adopter,
            adopted_at=fact.effective_at,
        )


def of_case(case: Case) -> dict[str, Any]:
    amount = case.amount
    return {
        "discount": case.discount,
        "amount": amount and amount.amount,
        "currency": amount and amount.currency,
    }


def closed(
    fact: Fact[Any], status: ApprovalStatus, reason: str | None = None, steps: tuple[int, ...] = ()
) -> Changes:
    yield ApprovalCard.set(
        fact.subject, status=status.value, closed_at=fact.effective_at, reason=reason
    )
    for step in steps:
        yield ApprovalStepCard.set(fact.subject, step, until=fact.effective_at)


class BoardLine(ApprovalCard, key=("approval",)):
    """A request, and who is waited for right now."""

    waiting_for: tuple[str, ...] = ()
    """Roles; also those that a step was escalated to."""
    due_at: datetime | None = None
    """When the first of them is late."""


BOARD = """
    select c.*,
        array(
            select distinct one from approval_step_card s,
                unnest(array[s.role, s.escalated_to]) as asked(one)
            where s.approval = c.approval and s.until is null and one is not null order by one
        ) as waiting_for,
        (
            select min(s.due_at) from approval_step_card s
            where s.approval = c.approval and s.until is null
        ) as due_at
    from approval_card c
    where (%(status)s::text is null or c.status = %(status)s)
        and (%(subject)s::text is null or c.subject = %(subject)s)
        and (%(of_kind)s::text is null or c.kind = %(of_kind)s)
        and (%(role)s::text is null or exists (
            select from approval_step_card s where s.approval = c.approval and s.until is null
                and %(role)s in (s.role, s.escalated_to)))
"""
"""Requests in one status or any, about one subject or all, waiting for one role or any."""


class Wait(Value):
    """Somebody waited for somebody."""

    approval: str
    step: int
    person: str
    """For whom, if not for anybody of the role; empty where nobody has answered."""
    outcome: str
    """approved or rejected; where nobody has answered, what became of the request."""
    on_behalf_of: str | None
    role: str
    subject: str
    title: str
    requested_by: str
    """Who waited."""
    since: datetime
    until: datetime | None
    hours: Decimal | None
    """None as long as it lasts."""
    due_at: datetime | None
    late: bool
    """Whether the answer came after its time."""


WAITS = """
    select w.*, c.subject, c.title, c.requested_by,
        round(extract(epoch from w.until - w.since) / 3600, 2) as hours,
        coalesce(w.until > w.due_at, false) as late
    from (
        select s.approval, s.step, v.person, v.said as outcome, v.on_behalf_of, v.role,
            s.since, v.said_at as until, s.due_at
        from approval_step_card s join approval_voice v using (approval, step)
        union all
        select s.approval, s.step, '', c.status, null, s.role, s.since, s.until, s.due_at
        from approval_step_card s join approval_card c using (approval)
        where (select count(*) from approval_voice v
            where v.approval = s.approval and v.step = s.step) < s.approvers
    ) as w join approval_card c using (approval)
    where (%(approval)s::text is null or w.approval = %(approval)s)
        and (%(person)s::text is null or %(person)s in (w.person, w.on_behalf_of))
        and (%(requested_by)s::text is null or c.requested_by = %(requested_by)s)
        and (%(lasting)s::boolean is null or (w.until is null) = %(lasting)s)
"""
"""Who waited for whom how long; a line for everybody who answered, one where somebody has not."""


class ApprovalSeen(Value):
    """A request with its steps, what was said, and who waited how long."""

    approval: ApprovalCard
    steps: tuple[ApprovalStepCard, ...]
    voices: tuple[ApprovalVoice, ...]
    waits: tuple[Wait, ...]


def approval_seen(db: Db, id: str) -> ApprovalSeen | None:
    row = db.execute("select * from approval_card where approval = %s", (id,)).fetchone()
    if row is None:
        return None
    steps = db.execute("select * from approval_step_card where approval = %s order by step", (id,))
    found_steps = tuple(ApprovalStepCard(**step) for step in steps.fetchall())
    voices = db.execute(
        "select * from approval_voice where approval = %s order by said_at, step, person", (id,)
    )
    found_voices = tuple(ApprovalVoice(**voice) for voice in voices.fetchall())
    everything = {"approval": id, "person": None, "requested_by": None, "lasting": None}
    waits = db.execute(f"{WAITS} order by step, since, until, person", everything)
    return ApprovalSeen(
        approval=ApprovalCard(**row),
        steps=found_steps,
        voices=found_voices,
        waits=tuple(Wait(**wait) for wait in waits.fetchall()),
    )


class FlowSeen(Value):
    """Who must approve one kind of subject: what counts, and every version there has been."""

    flow: str
    in_force: int | None
    """None while the built-in rules count."""
    rules: tuple[FlowRule, ...]
    """What counts; the first that fits a case."""
    versions: tuple[FlowVersion, ...]


def flow_seen(db: Db, id: str) -> FlowSeen:
    """Also of a kind that nobody has proposed anything for: then the built-in rules count."""
    rows = db.execute("select * from flow_version where flow = %s order by version", (id,))
    versions = tuple(FlowVersion(**row) for row in rows.fetchall())
    adopted = [version for version in versions if version.adopted_at]
    last = max(adopted, key=lambda version: version.version, default=None)
    rules = last.says.rules if last and last.says else default_rules(id.partition(":")[2])
    return FlowSeen(flow=id, in_force=last and last.version, rules=rules, versions=versions)
