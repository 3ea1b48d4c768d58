"""An approval flow: who must approve what, under which conditions, within which time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from medsales.domain.governance.person import STAFF, Person
from medsales.domain.governance.speaking import SpeaksForUs, must_speak_for_us
from medsales.domain.ids import ApprovalFlowId, PersonId
from medsales.domain.kernel import (
    KINDS,
    Aggregate,
    Command,
    Event,
    Key,
    Note,
    Refused,
    Role,
    Text,
    Value,
)
from medsales.domain.parties.our_company import OurCompany
from medsales.domain.values import Money, day_in_china, exact

VERDICT = "take-verdict"
"""The command by which a subject hears what became of its approval."""
APPROVERS = tuple(role for role in STAFF if role is not Role.AUDITOR)
"""Who may hold a role that a step asks for; which one it must be, the flow says."""

PLACES = Decimal("0.0001")
Percent = Annotated[
    Decimal, BeforeValidator(exact), Field(max_digits=7, decimal_places=4, examples=["12.5"])
]
"""Of a price; negative above it."""


def rounded_up(discount: Decimal) -> Decimal:
    """A discount is never rounded into a limit, only out of it."""
    rounded = discount.quantize(PLACES, ROUND_CEILING)
    return discount if discount == rounded else rounded


Hours = Annotated[int, Field(ge=1, le=8760, examples=[48])]
Names = Annotated[tuple[Text, ...], Field(max_length=100)]


class Case(Value):
    """What the conditions of a flow look at; the subject fills in what it knows."""

    discount: Annotated[Decimal, BeforeValidator(exact), AfterValidator(rounded_up)] = Decimal(0)
    """The deepest one, in percent off the price in force."""
    amount: Money | None = None
    region: Text | None = None
    product_classes: Names = ()
    customer_grade: Text | None = None
    flags: Names = ()
    """What is remarkable about it: below_floor, beyond_price_validity."""


class Step(Value):
    """A part of an approval: so many people of one role."""

    role: Role
    approvers: Annotated[int, Field(ge=1, le=10)] = 1
    """How many different people."""
    hours: Hours | None = None
    """Time they have; then it is escalated."""
    remind_after_hours: Hours | None = None
    escalate_to: Role | None = None
    """Who may approve in their place once their time is over."""
    signed: bool = False
    """With an electronic signature over the content."""

    @model_validator(mode="after")
    def _is_done_by_people(self) -> Self:
        if Role.SYSTEM in (self.role, self.escalate_to):
            raise ValueError("people approve, not the system")
        if self.escalate_to and not self.hours:
            raise ValueError("what is escalated has a time limit: say in how many hours")
        return self


class FlowRule(Value):
    """Which steps a case needs that fulfils all conditions; without steps it needs nobody."""

    name: Text
    discount_from: Percent | None = None
    discount_up_to: Percent | None = None
    amount_from: Money | None = None
    amount_up_to: Money | None = None
    """What an amount in another currency, or one that nothing limits, comes to, nobody knows: it
    is taken to be above every bound, so that nobody escapes those who approve large amounts."""
    regions: Names = ()
    product_classes: Names = ()
    customer_grades: Names = ()
    flags: Names = ()
    in_order: bool = True
    """One step after the other, or all at once."""
    steps: Annotated[tuple[Step, ...], Field(max_length=10)] = ()

    def fits(self, case: Case) -> bool:
        return (
            _is_between(self.discount_from, case.discount, self.discount_up_to)
            and self._fits_amount(case.amount)
            and _is_one_of(case.region, self.regions)
            and _is_one_of(case.customer_grade, self.customer_grades)
            and self._fits_names(case)
        )

    def _fits_amount(self, amount: Money | None) -> bool:
        bounds = [bound for bound in (self.amount_from, self.amount_up_to) if bound]
        if amount is None or any(bound.currency != amount.currency for bound in bounds):
            return self.amount_up_to is None and (bool(self.steps) or not bounds)
        low = self.amount_from.amount if self.amount_from else None
        high = self.amount_up_to.amount if self.amount_up_to else None
        return _is_between(low, amount.amount, high)

    def _fits_names(self, case: Case) -> bool:
        """One that is named calls for its steps; nobody is asked only where all are named.

        So a mixed case never slips through by its harmless part.
        """
        classes, flags = set(case.product_classes), set(case.flags)
        if self.steps:
            return _is_touched(classes, self.product_classes) and _is_touched(flags, self.flags)
        named = not self.product_classes or (bool(classes) and classes <= set(self.product_classes))
        return named and flags <= set(self.flags)

    def is_for_everything(self) -> bool:
        """Whether it asks somebody, on no condition."""
        return bool(self.steps) and self == FlowRule(
            name=self.name, in_order=self.in_order, steps=self.steps
        )


def _is_between(low: Decimal | None, value: Decimal, high: Decimal | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)


def _is_one_of(value: str | None, named: tuple[str, ...]) -> bool:
    return not named or value in named


def _is_touched(values: set[str], named: tuple[str, ...]) -> bool:
    return not named or not values.isdisjoint(named)


Rules = Annotated[tuple[FlowRule, ...], Field(min_length=1, max_length=50)]


def _by(role: Role) -> Step:
    return Step(role=role, hours=48, remind_after_hours=24)


MANAGER = FlowRule(name="by a manager", steps=(_by(Role.MANAGER),))
DEFAULT = (MANAGER,)
BELOW_FLOOR = FlowRule(
    name="below floor",
    flags=("below_floor", "price_of_its_own"),
    steps=(_by(Role.MANAGER), _by(Role.DIRECTOR)),
)
"""Also a price that was compared with none: otherwise a contract would be the way round a quote."""
DEFAULTS: dict[str, tuple[FlowRule, ...]] = {
    "quote": (
        BELOW_FLOOR,
        FlowRule(name="within own limit", discount_up_to=Decimal(0)),
        MANAGER,
    ),
    "contract": (BELOW_FLOOR, MANAGER),
    "price-matrix": (BELOW_FLOOR, MANAGER),
    "promotion": (BELOW_FLOOR, MANAGER),
    "credit-account": (FlowRule(name="by finance", steps=(_by(Role.FINANCE),)),),
}
"""What counts until a flow has been adopted."""


def default_rules(kind: str) -> tuple[FlowRule, ...]:
    return DEFAULTS.get(kind, DEFAULT)


def takes_verdicts(kind: str) -> bool:
    return kind in KINDS and VERDICT in KINDS[kind].commands


def must_take_verdicts(kind: str) -> None:
    if not takes_verdicts(kind):
        raise Refused(
            "approval.subject_unknown",
            f"nothing of the kind {kind!r} is approved by somebody else",
            f"没有需要审批的 {kind!r}",
        )


def must_not_stand_in(
    people: tuple[str, ...], role: Role, at: datetime, authors: tuple[Person | None, ...]
) -> None:
    """Who holds an author's power to approve does not use it on the author's work."""
    files = [author for author in authors if author]
    if any(
        author.stands_in(PersonId.of(who), role, day_in_china(at))
        for author in files
        for who in people
    ):
        raise Refused(
            "approval.substitute_of_author",
            f"who stands in for an author as {role.en} does not approve the author's work",
            f"编制人在{role.zh}角色上的代理人不得审批编制人的内容",
        )


@dataclass(frozen=True)
class ApprovalFlow(Aggregate):
    """Versions of the rules for one kind of subject; the one adopted last is in force."""

    governs: str = ""
    proposed: tuple[tuple[FlowRule, ...], ...] = ()
    """The rules of each version, from version 1 on."""
    proposers: tuple[str, ...] = ()
    in_force: int | None = None
    """The version that was adopted last."""

    @property
    def proposer_file(self) -> PersonId | None:
        """Who proposed the newest version."""
        return PersonId.of(self.proposers[-1]) if self.proposers else None


class FlowFound(Value):
    """The rule that fits a case, and the version of the flow it is from; None for the default."""

    version: int | None
    rule: FlowRule


def rule_for(kind: str, flow: ApprovalFlow | None, case: Case) -> FlowFound:
    """The first that fits; there is always one, for the last one is for everything."""
    version = flow.in_force if flow else None
    rules = flow.proposed[version - 1] if flow and version else default_rules(kind)
    return FlowFound(version=version, rule=next(rule for rule in rules if rule.fits(case)))


class ProposeFlow(SpeaksForUs, Command[ApprovalFlow]):
    """Propose who must approve one kind of subject; the first rule that fits a case will count."""

    allowed = (Role.MANAGER, Role.DIRECTOR)

    governs: Key
    """The kind of what is approved: `quote`, `price-matrix`, `contract`."""
    rules: Rules
    """The last one is for everything, so that no case goes without an answer."""
    reason: Note

    def begins(self) -> ApprovalFlowId:
        return ApprovalFlowId.of(self.governs)

    def decide(
        self,
        flow: ApprovalFlow,
        by: str,
        speaker: Person | None,
        our_company: OurCompany | None,
    ) -> FlowProposed | None:
        must_speak_for_us(speaker, our_company)
        must_take_verdicts(self.governs)
        self.must_leave_no_case_out()
        self.must_wait_for_nobody_who_never_comes()
        if flow.proposed and flow.proposed[-1] == self.rules:
            return None
        return FlowProposed(
            governs=self.governs,
            version=len(flow.proposed) + 1,
            rules=self.rules,
            proposer=by,
            reason=self.reason,
        )

    def must_leave_no_case_out(self) -> None:
        if not self.rules[-1].is_for_everything():
            raise Refused(
                "approval_flow.not_complete",
                "the last rule must have steps and no conditions, for whatever fits no other",
                "最后一条规则须设审批步骤且不带条件, 以适用于其他情形",
            )

    def must_wait_for_nobody_who_never_comes(self) -> None:
        """What waits for a role that approves nothing would wait for ever."""
        steps = [step for rule in self.rules for step in rule.steps]
        asked = [role for step in steps for role in (step.role, step.escalate_to) if role]
        if never := [role for role in asked if role not in APPROVERS]:
            raise Refused(
                "approval_flow.role_never_approves",
                f"{never[0].en} approves nothing: no step can wait for this role",
                f"{never[0].zh}不参与审批, 不能设为审批步骤",
            )


class FlowProposed(Event[ApprovalFlow]):
    governs: str
    version: int
    rules: tuple[FlowRule, ...]
    proposer: str
    reason: str

    def apply(self, flow: ApprovalFlow, /) -> ApprovalFlow:
        return replace(
            flow,
            governs=self.governs,
            proposed=(*flow.proposed, self.rules),
            proposers=(*flow.proposers, self.proposer),
        )


class AdoptFlow(SpeaksForUs, Command[ApprovalFlow]):
    """Put a proposed flow in force; not by who proposed it, for then he could approve anything.

    Approvals that are running keep the flow they began under.
    """

    allowed = (Role.DIRECTOR,)
    at_once = True

    version: Annotated[int, Field(ge=1)]

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        flow: ApprovalFlow,
        by: str,
        at: datetime,
        speaker: Person | None,
        our_company: OurCompany | None,
        proposer_file: Person | None,
    ) -> FlowAdopted | None:
        must_speak_for_us(speaker, our_company)
        if flow.in_force == self.version:
            return None
        self.must_be_the_newest(flow)
        self.must_be_somebody_else(flow, by)
        must_not_stand_in((by,), Role.DIRECTOR, at, (proposer_file,))
        return FlowAdopted(governs=flow.governs, version=self.version, adopter=by)

    def must_be_the_newest(self, flow: ApprovalFlow) -> None:
        if self.version != len(flow.proposed):
            raise Refused(
                "approval_flow.not_the_newest",
                f"version {len(flow.proposed)} is the newest proposal, not {self.version}",
                f"最新提案为第 {len(flow.proposed)} 版, 而非第 {self.version} 版",
            )

    def must_be_somebody_else(self, flow: ApprovalFlow, by: str) -> None:
        if by == flow.proposers[-1]:
            raise Refused(
                "approval_flow.adopter_is_proposer",
                "a flow is adopted by somebody who did not propose it",
                "审批流须由提案人以外的人批准启用",
            )


class FlowAdopted(Event[ApprovalFlow]):
    governs: str
    version: int
    adopter: str

    def apply(self, flow: ApprovalFlow, /) -> ApprovalFlow:
        return replace(flow, in_force=self.version)
