"""A made-up subject that needs approval, as simple as a subject can be, and the people around it.

Chen and Li write papers; Wang and Zhao are managers, Qian is a director, Sun is both; Feng is in
finance. Nobody has a role that is not his.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.domain.orders.towns import InMemory

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import (
    AdoptFlow,
    Approval,
    Approve,
    Case,
    FlowRule,
    ProposeFlow,
    RequestApproval,
    Step,
    Verdict,
    VoidApproval,
)
from medsales.domain.governance.person import AppointSubstitute, RegisterPerson
from medsales.domain.ids import ApprovalFlowId, ApprovalId, PersonId
from medsales.domain.kernel import (
    Aggregate,
    Also,
    Command,
    Event,
    Id,
    Refused,
    Role,
    Text,
    Value,
    Who,
)


class PaperId(Id, example="paper:1"):
    """A paper, by its number."""


class Content(Value):
    text: str


@dataclass(frozen=True)
class Paper(Aggregate):
    text: str = ""
    version: int = 0
    authors: frozenset[str] = frozenset()
    requests: int = 0
    asked: bool = False
    approved: tuple[int, str] | None = None
    """Version and hash that passed the gate."""

    @property
    def content_hash(self) -> str:
        return content_hash(Content(text=self.text))


class WritePaper(Command[Paper]):
    """Write a paper, or write it anew; whatever was approved or asked for is void."""

    allowed = (Role.SALES,)

    number: Text
    text: Text

    def begins(self) -> PaperId:
        return PaperId.of(self.number)

    def decide(self, paper: Paper, id: PaperId, by: str) -> tuple[PaperWritten | Also, ...]:
        written = PaperWritten(text=self.text, author=by)
        if not (paper.asked or paper.approved):
            return (written,)
        approval = ApprovalId.of(id, str(paper.requests))
        return (written, Also(approval, VoidApproval(reason="the text has changed")))


class PaperWritten(Event[Paper]):
    text: str
    author: str

    def apply(self, paper: Paper, /) -> Paper:
        return replace(
            paper,
            text=self.text,
            version=paper.version + 1,
            authors=paper.authors | {self.author},
            asked=False,
            approved=None,
        )


class SubmitPaper(Command[Paper]):
    """Hand a paper in."""

    allowed = (Role.SALES,)

    discount: Decimal = Decimal(0)

    def decide(self, paper: Paper, id: PaperId) -> tuple[PaperSubmitted, Also] | None:
        if paper.asked or paper.approved:
            return None
        request = RequestApproval(
            subject=id,
            number=paper.requests + 1,
            version=paper.version,
            content_hash=paper.content_hash,
            authors=tuple(paper.authors),
            case=Case(discount=self.discount),
            title=f"Paper {PaperId(id).key}: {paper.text}",
        )
        return PaperSubmitted(approval=request.begins()), Also(request.begins(), request)


class PaperSubmitted(Event[Paper]):
    approval: ApprovalId

    def apply(self, paper: Paper, /) -> Paper:
        return replace(paper, asked=True, requests=paper.requests + 1)


class SmuggleText(Command[Paper]):
    """What a careless subject would do: change, and void nothing."""

    allowed = (Role.SALES,)

    text: Text

    def decide(self, _: Paper) -> TextSmuggled:
        return TextSmuggled(text=self.text)


class TextSmuggled(Event[Paper]):
    text: str

    def apply(self, paper: Paper, /) -> Paper:
        return replace(paper, text=self.text)


class TakeVerdict(Command[Paper]):
    """Hear what became of the approval."""

    allowed = ()

    verdict: Verdict

    def decide(self, paper: Paper) -> PaperApproved | PaperReturned:
        verdict = self.verdict
        if (verdict.version, verdict.content_hash) != (paper.version, paper.content_hash):
            raise Refused("paper.moved", "the paper has moved on", "内容已变更")
        if not verdict.granted:
            return PaperReturned(reason=verdict.reason or "")
        return PaperApproved(
            version=verdict.version,
            content_hash=verdict.content_hash,
            approval=verdict.approval,
            approvers=verdict.approvers,
        )


class PaperApproved(Event[Paper]):
    version: int
    content_hash: str
    approval: ApprovalId
    approvers: tuple[str, ...]

    def apply(self, paper: Paper, /) -> Paper:
        return replace(paper, asked=False, approved=(self.version, self.content_hash))


class PaperReturned(Event[Paper]):
    reason: str

    def apply(self, paper: Paper, /) -> Paper:
        return replace(paper, asked=False)


# The people

ROLES: dict[str, tuple[Role, ...]] = {
    "chen": (Role.SALES,),
    "li": (Role.SALES,),
    "wang": (Role.MANAGER,),
    "zhao": (Role.MANAGER, Role.SALES),
    "qian": (Role.DIRECTOR,),
    "sun": (Role.MANAGER, Role.DIRECTOR),
    "feng": (Role.FINANCE,),
}
PAPER = PaperId.of("1")
FLOW = ApprovalFlowId.of("paper")
BY_MANAGER = FlowRule(name="any", steps=(Step(role=Role.MANAGER),))


def flow(*steps: Step, in_order: bool = True) -> tuple[FlowRule, ...]:
    """One rule for everything."""
    return (FlowRule(name="any", steps=steps, in_order=in_order),)


class Desk(InMemory):
    """A town whose people have roles of their own, and whose clock can be set."""

    def who(self, by: str) -> Who:
        return Who(by, by.title(), ROLES.get(by, tuple(Role)))

    def does(self, command: Command[Any], id: str | None = None, by: str = "chen") -> None:
        """What succeeds."""
        refusal = self.ask(command, id, by)
        assert refusal is None, f"{refusal.code}: {refusal}"

    def refuses(self, code: str, command: Command[Any], id: str | None, by: str) -> None:
        refusal = self.ask(command, id, by)
        assert refusal is not None, "not refused"
        assert refusal.code == code, f"refused otherwise: {refusal.code}: {refusal}"
        assert refusal.sentence.zh

    def follows(self, *rules: FlowRule) -> None:
        """Qian proposes, Sun adopts."""
        propose = ProposeFlow(governs="paper", rules=rules, reason="as the board decided")
        self.does(propose, by="qian")
        flow: Any = self.state(FLOW)
        self.does(AdoptFlow(version=len(flow.proposed)), FLOW, by="sun")

    def hands_in(
        self, text: str = "3 % off", by: str = "chen", discount: Decimal = Decimal(0)
    ) -> ApprovalId:
        self.does(WritePaper(number="1", text=text), by=by)
        self.does(SubmitPaper(discount=discount), PAPER, by=by)
        return ApprovalId.of(PAPER, str(self.paper.requests))

    def appoints(
        self, principal: str, substitute: str, *roles: Role, first: int = 0, last: int = 10
    ) -> None:
        """From so many days after today, until."""
        for person in (principal, substitute):
            self.does(
                RegisterPerson(person=person, name=person, organisation="Dealer", title="Staff"),
                by="registrar",
            )
        today = self.now.date()
        appoint = AppointSubstitute(
            substitute=PersonId.of(substitute),
            roles=roles or ROLES[principal],
            first_day=today + timedelta(days=first),
            last_day=today + timedelta(days=last),
            reason="on leave",
        )
        self.does(appoint, PersonId.of(principal), by=principal)

    def approve(self, on_behalf_of: str | None = None, **more: Any) -> Approve:
        """What is in the paper now."""
        principal = PersonId.of(on_behalf_of) if on_behalf_of else None
        more.setdefault("content_hash", self.paper.content_hash)
        return Approve(on_behalf_of=principal, **more)

    @property
    def paper(self) -> Paper:
        state = self.state(PAPER)
        assert isinstance(state, Paper)
        return state

    def approval(self, id: str) -> Approval:
        state = self.state(id)
        assert isinstance(state, Approval)
        return state

    def told(self, id: str) -> list[str]:
        """What has happened there, by name."""
        return [type(event).__name__ for event in self.streams.get(id, [])]
