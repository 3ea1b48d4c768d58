"""An approval: one version of something, bound by its hash, on its way through the steps of a flow.

A subject asks for it in the decision that submits it (`Also(approval, RequestApproval(...))`), has
it voided in the decision that changes its content, and hears of it in the decision that ends it:
the subject's own internal command `TakeVerdict(verdict)` is asked together with the last step. So
there is no moment between "approved" and "the subject knows", and no race in which one of two
counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from medsales.domain.governance.approval_flow import (
    APPROVERS,
    VERDICT,
    AdoptFlow,
    ApprovalFlow,
    Case,
    FlowFound,
    FlowRule,
    ProposeFlow,
    Step,
    must_not_stand_in,
    must_take_verdicts,
    rule_for,
)
from medsales.domain.governance.person import Person
from medsales.domain.governance.signature import (
    InvalidateSignature,
    Meaning,
    SignedStatement,
    signing,
)
from medsales.domain.governance.speaking import SpeaksForUs, must_be_ours, must_speak_for_us
from medsales.domain.ids import AnyId, ApprovalFlowId, ApprovalId, PersonId, SignatureId
from medsales.domain.kernel import (
    KINDS,
    Aggregate,
    Also,
    Command,
    Event,
    Note,
    Refused,
    Role,
    Term,
    Text,
    Value,
    Who,
)
from medsales.domain.parties.our_company import OurCompany
from medsales.domain.values import Evidence, day_in_china

__all__ = [
    "AdoptFlow",
    "Approval",
    "ApprovalFlow",
    "Approve",
    "Case",
    "FlowRule",
    "ProposeFlow",
    "Reject",
    "RequestApproval",
    "Step",
    "Verdict",
    "VoidApproval",
]

StepNumber = Annotated[int, Field(ge=1, le=10)]


class Verdict(Value):
    """What became of an approval, as its subject is told."""

    approval: ApprovalId
    version: int
    content_hash: str
    granted: bool
    reason: str | None = None
    """Why it was rejected."""
    approvers: tuple[str, ...] = ()
    """Everybody who approved, and everybody for whom somebody did."""

    def must_be_about(self, approval: ApprovalId | None, version: int, content_hash: str) -> None:
        """Raises Refused where the subject has moved since it asked for this approval."""
        if (self.approval, self.version, self.content_hash) != (approval, version, content_hash):
            raise Refused(
                "approval.verdict_stale",
                f"{self.approval} is not about version {version} as it stands now",
                f"{self.approval} 审批的并非现有第 {version} 版",
            )


class ApprovalStatus(Term):
    WAITING = "waiting", "审批中"
    GRANTED = "granted", "已批准"
    REJECTED = "rejected", "已驳回"
    VOIDED = "voided", "已作废"


@dataclass(frozen=True)
class Consent:
    """That somebody approved, as himself or for another."""

    approver: str
    on_behalf_of: PersonId | None

    @property
    def people(self) -> tuple[str, ...]:
        return (self.approver, *([self.on_behalf_of.key] if self.on_behalf_of else []))


@dataclass(frozen=True)
class Voice:
    """Somebody who wants to be heard: with whose power, and in view of which substitutions."""

    who: Who
    consent: Consent
    file: Person | None
    principal: Person | None
    authors: tuple[Person | None, ...]
    us: OurCompany | None
    at: datetime

    def must_be_one_of_us(self) -> None:
        must_speak_for_us(self.file, self.us)
        if self.principal:
            must_be_ours(self.principal, self.us)

    @property
    def who_id(self) -> PersonId:
        return PersonId.of(self.who.id)

    def role_among(self, roles: tuple[Role, ...]) -> Role | None:
        """One's own role counts, or that of the one stood in for, within its term."""
        return next((role for role in roles if self._has(role)), None)

    def _has(self, role: Role) -> bool:
        if self.consent.on_behalf_of is None:
            return role in self.who.roles
        principal = self.principal
        return bool(principal and principal.stands_in(self.who_id, role, day_in_china(self.at)))


@dataclass(frozen=True)
class Part:
    """A step and how far it is."""

    step: Step
    opened: bool = False
    """Whether its turn has come."""
    consents: tuple[Consent, ...] = ()
    reminded: bool = False
    escalated: bool = False

    @property
    def missing(self) -> int:
        return self.step.approvers - len(self.consents)

    @property
    def is_open(self) -> bool:
        return self.opened and self.missing > 0

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who may approve it."""
        also = self.step.escalate_to if self.escalated else None
        return (self.step.role, also) if also else (self.step.role,)


@dataclass(frozen=True)
class Approval(Aggregate):
    subject: str = ""
    number: int = 0
    title: str = ""
    version: int = 0
    content_hash: str = ""
    authors: tuple[str, ...] = ()
    status: ApprovalStatus | None = None
    in_order: bool = True
    parts: tuple[Part, ...] = ()
    """Step 1 is the first of them."""
    signatures: tuple[SignatureId, ...] = ()
    """Of the steps that were approved with one."""

    @property
    def id(self) -> ApprovalId:
        return ApprovalId.of(self.subject, str(self.number))

    @property
    def author_files(self) -> tuple[PersonId, ...]:
        return tuple(PersonId.of(author) for author in self.authors)

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who counts by now."""
        consents = (consent for part in self.parts for consent in part.consents)
        return tuple(dict.fromkeys(person for one in consents for person in one.people))

    @property
    def open_steps(self) -> tuple[int, ...]:
        if self.status is not ApprovalStatus.WAITING:
            return ()
        return tuple(n for n, part in enumerate(self.parts, start=1) if part.is_open)

    def part(self, step: int) -> Part:
        return self.parts[step - 1]

    def has_counted(self, consent: Consent, content_hash: str) -> bool:
        """The same again changes nothing; of what is void or rejected it is no answer."""
        counts = self.status in {ApprovalStatus.WAITING, ApprovalStatus.GRANTED}
        given = any(consent in part.consents for part in self.parts)
        return counts and given and content_hash == self.content_hash

    def must_be_open_to(self, voice: Voice, content_hash: str) -> None:
        self.must_be_waiting()
        self.must_be_about(content_hash)
        voice.must_be_one_of_us()
        self.must_not_be_by_an_author(voice.consent)

    def step_for(self, voice: Voice, wanted: int | None) -> tuple[int, Role]:
        """The first open step that this is the right person for, and the role that makes him so."""
        for number in self.open_steps:
            role = voice.role_among(self.part(number).roles)
            if role and wanted in {None, number}:
                must_not_stand_in(voice.consent.people, role, voice.at, voice.authors)
                return number, role
        raise self.not_for(voice.consent)

    def not_for(self, consent: Consent) -> Refused:
        roles = {role: None for number in self.open_steps for role in self.part(number).roles}
        en, zh = " or ".join(role.en for role in roles), "或".join(role.zh for role in roles)
        if consent.on_behalf_of:
            name = consent.on_behalf_of.key
            return Refused(
                "approval.not_substitute",
                f"this waits for {en}; you do not stand in for {name} as such today",
                f"待{zh}审批; 您今日并非 {name} 在该角色上的代理人",
            )
        return Refused(
            "approval.wrong_role",
            f"this waits for {en}, not for you",
            f"待{zh}审批, 您不具备该角色",
        )

    def must_be_waiting(self) -> None:
        if self.status is not ApprovalStatus.WAITING:
            status = self.status or ApprovalStatus.VOIDED
            raise Refused("approval.closed", f"the approval is {status.en}", f"该审批{status.zh}")

    def must_be_about(self, content_hash: str) -> None:
        """What is approved is what was seen."""
        if content_hash != self.content_hash:
            raise Refused(
                "approval.content_moved",
                f"what you saw is not what is asked about: version {self.version} of"
                f" {self.subject} has the content {self.content_hash}",
                f"您看到的内容并非待审批内容: {self.subject} 第 {self.version} 版的摘要为"
                f" {self.content_hash}",
            )

    def must_not_be_by_an_author(self, consent: Consent) -> None:
        if consent.approver in self.authors:
            raise Refused(
                "approval.approver_is_author",
                "an approval is given by somebody who did not write or submit it",
                "审批须由编制人和提交人以外的人作出",
            )
        if consent.on_behalf_of and consent.on_behalf_of.key in self.authors:
            raise Refused(
                "approval.substitute_of_author",
                f"{consent.on_behalf_of.key} wrote or submitted this; nobody approves it for him",
                f"{consent.on_behalf_of.key} 是编制人或提交人, 他人不得代为审批",
            )

    def must_count_once(self, consent: Consent) -> None:
        if again := [person for person in consent.people if person in self.people]:
            raise Refused(
                "approval.counts_once",
                f"{again[0]} has approved this already; a person counts once",
                f"{again[0]} 已审批过, 每人只计一次",
            )

    def given_up(self, reason: str) -> tuple[Also, ...]:
        """B7: who signed a step signed for an approval that counts no longer."""
        said = InvalidateSignature(reason=reason)
        return tuple(Also(signature, said) for signature in self.signatures)

    def with_part(self, step: int, part: Part) -> Approval:
        before, after = self.parts[: step - 1], self.parts[step:]
        return replace(self, parts=(*before, part, *after))


class RequestApproval(Command[Approval]):
    """Ask for the approval of one version of a subject; the subject itself asks, when submitted."""

    allowed = ()

    subject: str
    number: int
    """The how many-eth request of this subject."""
    version: int
    content_hash: Evidence
    authors: tuple[str, ...]
    """Who wrote it; whoever submits it is taken for an author too."""
    case: Case
    title: Text
    """What it is about, in one line."""

    def begins(self) -> ApprovalId:
        return ApprovalId.of(self.subject, str(self.number))

    @property
    def kind(self) -> str:
        return self.subject.partition(":")[0]

    def flow(self) -> ApprovalFlowId:
        return ApprovalFlowId.of(self.kind)

    def decide(
        self, approval: Approval, by: str, now: datetime, flow: ApprovalFlow | None
    ) -> tuple[Event[Approval] | Also, ...] | None:
        must_take_verdicts(self.kind)
        if self.is_asked_again(approval):
            return None
        found = rule_for(self.kind, flow, self.case)
        requested = self.requested(found, by)
        if not found.rule.steps:
            return (requested, *granted(requested.apply(approval)))
        # Nobody's time to answer began before he was asked, whenever the subject says it was.
        return (requested, *opened(requested.apply(approval), now))

    def is_asked_again(self, approval: Approval) -> bool:
        if approval.status is None:
            return False
        if (approval.version, approval.content_hash) != (self.version, self.content_hash):
            raise Refused(
                "approval.exists",
                f"request {self.number} of {self.subject} was about something else",
                f"{self.subject} 的第 {self.number} 次审批申请针对的是其他内容",
            )
        return True

    def requested(self, found: FlowFound, by: str) -> ApprovalRequested:
        return ApprovalRequested(
            subject=AnyId(self.subject),
            number=self.number,
            title=self.title,
            version=self.version,
            content_hash=self.content_hash,
            authors=tuple(sorted({*self.authors, by})),
            case=self.case,
            flow_version=found.version,
            rule=found.rule.name,
            in_order=found.rule.in_order,
            steps=found.rule.steps,
        )


class ApprovalRequested(Event[Approval]):
    subject: AnyId
    number: int
    title: str
    version: int
    content_hash: str
    authors: tuple[str, ...]
    case: Case
    """What the conditions of the flow were compared with."""
    flow_version: int | None = None
    """Of the flow that was in force; none where it was the built-in one."""
    rule: str
    in_order: bool
    steps: tuple[Step, ...] = ()

    def apply(self, approval: Approval, /) -> Approval:
        return replace(
            approval,
            subject=self.subject,
            number=self.number,
            title=self.title,
            version=self.version,
            content_hash=self.content_hash,
            authors=self.authors,
            status=ApprovalStatus.WAITING,
            in_order=self.in_order,
            parts=tuple(Part(step) for step in self.steps),
        )


class StepOpened(Event[Approval]):
    """From now on somebody is waited for."""

    subject: AnyId
    title: str
    authors: tuple[str, ...]
    """Who may not be the one."""
    step: int
    role: Role
    approvers: int
    signed: bool = False
    remind_at: datetime | None = None
    due_at: datetime | None = None
    escalate_to: Role | None = None

    def apply(self, approval: Approval, /) -> Approval:
        return approval.with_part(self.step, replace(approval.part(self.step), opened=True))


def opened(approval: Approval, at: datetime) -> tuple[StepOpened, ...]:
    """The steps whose turn it is by now."""
    waiting = [n for n, part in enumerate(approval.parts, start=1) if not part.opened]
    turn = waiting[:1] if approval.in_order else waiting
    return tuple(opening(approval, number, at) for number in turn)


def opening(approval: Approval, number: int, at: datetime) -> StepOpened:
    step = approval.part(number).step
    return StepOpened(
        subject=AnyId(approval.subject),
        title=approval.title,
        authors=approval.authors,
        step=number,
        role=step.role,
        approvers=step.approvers,
        signed=step.signed,
        remind_at=_after(at, step.remind_after_hours),
        due_at=_after(at, step.hours),
        escalate_to=step.escalate_to,
    )


def _after(at: datetime, hours: int | None) -> datetime | None:
    return at + timedelta(hours=hours) if hours else None


class Answer(SpeaksForUs, Command[Approval]):
    """What somebody says to a request, who has seen what it is about."""

    at_once = True

    content_hash: Evidence
    """What you saw; if the content is another one, you are told and nothing happens."""
    on_behalf_of: PersonId | None = None
    """For whom you stand in, if your own role does not reach."""


class Approve(Answer):
    """Agree to what is asked about, as yourself or for somebody you stand in for."""

    allowed = APPROVERS

    step: StepNumber | None = None
    """Which one, where you could take several; otherwise the first."""
    comment: Note | None = None
    """For the authors and those who come after you."""
    signature: SignedStatement | None = None
    """Over this content, with the meaning `approval`; some steps ask for it."""

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        approval: Approval,
        who: Who,
        at: datetime,
        speaker: Person | None,
        on_behalf_of: Person | None,
        author_files: tuple[Person | None, ...],
        our_company: OurCompany | None,
    ) -> tuple[Event[Approval] | Also, ...] | None:
        consent = Consent(who.id, self.on_behalf_of)
        if approval.has_counted(consent, self.content_hash):
            return None
        voice = Voice(who, consent, speaker, on_behalf_of, author_files, our_company, at)
        approval.must_be_open_to(voice, self.content_hash)
        approval.must_count_once(consent)
        step, role = approval.step_for(voice, self.step)
        signed = self.signed(approval, step, who.id)
        approved = self.approved(approval, step, role, consent, signed)
        return (*signed, approved, *self.what_follows(approved.apply(approval), approved, at))

    def signed(self, approval: Approval, step: int, by: str) -> tuple[Also, ...]:
        if self.signature is None and not approval.part(step).step.signed:
            return ()
        if self.signature is None:
            raise Refused(
                "approval.signature_required",
                f"step {step} is approved with an electronic signature",
                f"第 {step} 步须以电子签名审批",
            )
        return (
            signing(
                self.signature,
                subject=approval.subject,
                version=approval.version,
                content_hash=approval.content_hash,
                by=by,
                meaning=Meaning.APPROVAL,
            ),
        )

    def approved(
        self, approval: Approval, step: int, role: Role, consent: Consent, signed: tuple[Also, ...]
    ) -> StepApproved:
        return StepApproved(
            subject=AnyId(approval.subject),
            version=approval.version,
            content_hash=approval.content_hash,
            step=step,
            role=role,
            approver=consent.approver,
            on_behalf_of=consent.on_behalf_of,
            comment=self.comment,
            signature=SignatureId(signed[0].id) if signed else None,
            complete=approval.part(step).missing == 1,
        )

    @staticmethod
    def what_follows(
        approval: Approval, approved: StepApproved, at: datetime
    ) -> tuple[Event[Approval] | Also, ...]:
        if not any(part.missing for part in approval.parts):
            return granted(approval)
        return opened(approval, at) if approved.complete else ()


class StepApproved(Event[Approval]):
    subject: AnyId
    version: int
    content_hash: str
    step: int
    role: Role
    """By which he could."""
    approver: str
    on_behalf_of: PersonId | None = None
    comment: str | None = None
    signature: SignatureId | None = None
    complete: bool
    """Whether nobody more is waited for in this step."""

    def apply(self, approval: Approval, /) -> Approval:
        part = approval.part(self.step)
        consents = (*part.consents, Consent(self.approver, self.on_behalf_of))
        signed = (self.signature,) if self.signature else ()
        heard = replace(approval, signatures=(*approval.signatures, *signed))
        return heard.with_part(self.step, replace(part, consents=consents))


class ApprovalGranted(Event[Approval]):
    """Every step is done, or the case needed none."""

    subject: AnyId
    version: int
    content_hash: str
    approvers: tuple[str, ...] = ()

    def apply(self, approval: Approval, /) -> Approval:
        return replace(approval, status=ApprovalStatus.GRANTED)


def granted(approval: Approval) -> tuple[Event[Approval] | Also, ...]:
    """The approval ends, and the subject hears of it in the same decision."""
    event = ApprovalGranted(
        subject=AnyId(approval.subject),
        version=approval.version,
        content_hash=approval.content_hash,
        approvers=approval.people,
    )
    verdict = Verdict(
        approval=approval.id,
        version=approval.version,
        content_hash=approval.content_hash,
        granted=True,
        approvers=approval.people,
    )
    return (event, told(approval.subject, verdict))


def told(subject: str, verdict: Verdict) -> Also:
    command = KINDS[subject.partition(":")[0]].commands[VERDICT]
    return Also(AnyId(subject), command.model_validate({"verdict": verdict}))


class Reject(Answer):
    """Give the subject back to its authors; whoever may approve an open step may do so."""

    allowed = APPROVERS

    reason: Note

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        approval: Approval,
        who: Who,
        at: datetime,
        speaker: Person | None,
        on_behalf_of: Person | None,
        author_files: tuple[Person | None, ...],
        our_company: OurCompany | None,
    ) -> tuple[ApprovalRejected | Also, ...] | None:
        if (
            approval.status is ApprovalStatus.REJECTED
            and approval.content_hash == self.content_hash
        ):
            return None
        consent = Consent(who.id, self.on_behalf_of)
        voice = Voice(who, consent, speaker, on_behalf_of, author_files, our_company, at)
        approval.must_be_open_to(voice, self.content_hash)
        step, role = approval.step_for(voice, None)
        rejected = ApprovalRejected(
            subject=AnyId(approval.subject),
            version=approval.version,
            content_hash=approval.content_hash,
            step=step,
            role=role,
            rejecter=who.id,
            on_behalf_of=self.on_behalf_of,
            reason=self.reason,
            open_steps=approval.open_steps,
        )
        heard = told(approval.subject, self.verdict(approval))
        return rejected, heard, *approval.given_up(f"the approval was rejected at step {step}")

    def verdict(self, approval: Approval) -> Verdict:
        return Verdict(
            approval=approval.id,
            version=approval.version,
            content_hash=approval.content_hash,
            granted=False,
            reason=self.reason,
        )


class ApprovalRejected(Event[Approval]):
    subject: AnyId
    version: int
    content_hash: str
    step: int
    role: Role
    rejecter: str
    on_behalf_of: PersonId | None = None
    reason: str
    open_steps: tuple[int, ...]
    """Those that nobody is waited for any more."""

    def apply(self, approval: Approval, /) -> Approval:
        return replace(approval, status=ApprovalStatus.REJECTED)


class VoidApproval(Command[Approval]):
    """Take an approval back because its subject has changed or was withdrawn; the subject asks."""

    allowed = ()

    reason: Text

    def decide(self, approval: Approval) -> tuple[ApprovalVoided | Also, ...] | None:
        if approval.status not in {ApprovalStatus.WAITING, ApprovalStatus.GRANTED}:
            return None
        voided = ApprovalVoided(
            subject=AnyId(approval.subject),
            version=approval.version,
            reason=self.reason,
            open_steps=approval.open_steps,
        )
        return voided, *approval.given_up(self.reason)


class ApprovalVoided(Event[Approval]):
    subject: AnyId
    version: int
    reason: str
    open_steps: tuple[int, ...]
    """Those that nobody is waited for any more."""

    def apply(self, approval: Approval, /) -> Approval:
        return replace(approval, status=ApprovalStatus.VOIDED)


class RemindApprovers(Command[Approval]):
    """Remind those for whom an open step waits; the clock asks."""

    allowed = ()

    step: int

    def decide(self, approval: Approval) -> ApproversReminded | None:
        if self.step not in approval.open_steps or approval.part(self.step).reminded:
            return None
        role = approval.part(self.step).step.role
        return ApproversReminded(subject=AnyId(approval.subject), step=self.step, role=role)


class ApproversReminded(Event[Approval]):
    subject: AnyId
    step: int
    role: Role

    def apply(self, approval: Approval, /) -> Approval:
        return approval.with_part(self.step, replace(approval.part(self.step), reminded=True))


class EscalateStep(Command[Approval]):
    """Let the next role approve too, because the time of a step is over; the clock asks."""

    allowed = ()

    step: int

    def decide(self, approval: Approval) -> StepEscalated | None:
        if self.step not in approval.open_steps or approval.part(self.step).escalated:
            return None
        step = approval.part(self.step).step
        if step.escalate_to is None:
            return None
        return StepEscalated(
            subject=AnyId(approval.subject),
            title=approval.title,
            authors=approval.authors,
            step=self.step,
            role=step.role,
            to=step.escalate_to,
        )


class StepEscalated(Event[Approval]):
    subject: AnyId
    title: str
    authors: tuple[str, ...]
    step: int
    role: Role
    """Who did not answer in time, and still may."""
    to: Role

    def apply(self, approval: Approval, /) -> Approval:
        return approval.with_part(self.step, replace(approval.part(self.step), escalated=True))
