"""A contract template: clauses to begin a contract from, approved by somebody else, in versions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import RequestApproval, Verdict, VoidApproval
from medsales.domain.governance.approval_flow import Case
from medsales.domain.ids import ApprovalId, ContractTemplateId
from medsales.domain.kernel import (
    Aggregate,
    Also,
    Command,
    Event,
    Key,
    Refused,
    Role,
    Term,
    Text,
    Value,
)
from medsales.domain.terms.contract_content import Clause, Clauses, TemplateUsed, must_name_once


class TemplateStatus(Term):
    DRAFT = "draft", "草稿"
    IN_APPROVAL = "in_approval", "审批中"
    IN_FORCE = "in_force", "启用"
    RETIRED = "retired", "停用"


class TemplateContent(Value):
    """What is approved."""

    code: Key
    version: int
    name: Text
    clauses: tuple[Clause, ...]


@dataclass(frozen=True)
class TemplateDraft:
    content: TemplateContent
    authors: frozenset[str]
    in_approval: bool = False


@dataclass(frozen=True)
class ContractTemplate(Aggregate):
    code: str = ""
    draft: TemplateDraft | None = None
    """The version that nobody has approved yet."""
    in_force: TemplateContent | None = None
    """The version that was approved last."""
    requests: int = 0
    retired: bool = False

    def must_be_usable(self) -> TemplateContent:
        if self.in_force is None or self.retired:
            raise Refused(
                "contract_template.not_in_force",
                f"no version of the template {self.code} is in force",
                f"合同模板 {self.code} 没有启用的版本",
            )
        return self.in_force

    def draft_that_may_change(self) -> TemplateDraft:
        if self.draft is None or self.draft.in_approval:
            raise Refused(
                "contract_template.no_draft",
                f"the template {self.code} has no draft that may be changed",
                f"合同模板 {self.code} 没有可修改的草稿",
            )
        return self.draft

    def draft_in_approval(self) -> TemplateDraft:
        if self.draft is None or not self.draft.in_approval:
            raise Refused(
                "contract_template.not_in_approval",
                f"no draft of the template {self.code} waits for approval",
                f"合同模板 {self.code} 没有待审批的草稿",
            )
        return self.draft

    def taken_over(
        self, id: ContractTemplateId, own: tuple[Clause, ...]
    ) -> tuple[tuple[Clause, ...], TemplateUsed]:
        """Its clauses, with what a contract says otherwise or besides, and what that was."""
        content = self.must_be_usable()
        others = {clause.key: clause for clause in own}
        clauses = tuple(others.get(clause.key, clause) for clause in content.clauses)
        known = {clause.key for clause in content.clauses}
        added = tuple(clause for clause in own if clause.key not in known)
        changed = {clause.key for clause in own} - {
            clause.key for clause in own if clause in content.clauses
        }
        used = TemplateUsed(template=id, version=content.version, changed=tuple(sorted(changed)))
        return (*clauses, *added), used


Wording = Annotated[Clauses, Field(min_length=1)]


class DraftContractTemplate(Command[ContractTemplate]):
    """Write a template, or a new version of it; contracts begun before keep theirs."""

    allowed = (Role.LEGAL, Role.MANAGER)

    code: Key = Field(examples=["FRAMEWORK"])
    """What the template is called in the business; every version has the same."""
    name: Text
    clauses: Wording

    def begins(self) -> ContractTemplateId:
        return ContractTemplateId.of(self.code)

    def decide(
        self, template: ContractTemplate, by: str
    ) -> ContractTemplateDrafted | ContractTemplateEdited | None:
        must_name_once("clause", "条款", (clause.key for clause in self.clauses))
        version = (template.in_force.version if template.in_force else 0) + 1
        content = TemplateContent(
            code=self.code, version=version, name=self.name, clauses=self.clauses
        )
        if content in (template.draft and template.draft.content, self.as_it_is(template)):
            return None
        if template.draft is None:
            return ContractTemplateDrafted(
                content=content, content_hash=content_hash(content), author=by
            )
        template.draft_that_may_change()
        return ContractTemplateEdited(
            content=content, content_hash=content_hash(content), author=by
        )

    def as_it_is(self, template: ContractTemplate) -> TemplateContent | None:
        """The same again as what is in force is nothing new."""
        now = template.in_force
        if now is None or template.retired or (now.name, now.clauses) != (self.name, self.clauses):
            return None
        return now.model_copy(update={"version": now.version + 1})


class ContractTemplateDrafted(Event[ContractTemplate]):
    content: TemplateContent
    content_hash: str
    author: str

    def apply(self, template: ContractTemplate, /) -> ContractTemplate:
        draft = TemplateDraft(self.content, frozenset({self.author}))
        return replace(template, code=self.content.code, draft=draft)


class ContractTemplateEdited(Event[ContractTemplate]):
    content: TemplateContent
    content_hash: str
    author: str

    def apply(self, template: ContractTemplate, /) -> ContractTemplate:
        before = template.draft.authors if template.draft else frozenset[str]()
        return replace(template, draft=TemplateDraft(self.content, before | {self.author}))


class SubmitContractTemplate(Command[ContractTemplate]):
    """Ask for approval of the draft; until it is given, the version before stays in force."""

    allowed = (Role.LEGAL, Role.MANAGER)

    def decide(
        self, template: ContractTemplate, id: ContractTemplateId, by: str
    ) -> tuple[ContractTemplateSubmitted | Also, ...] | None:
        if template.draft and template.draft.in_approval:
            return None
        draft = template.draft_that_may_change()
        content, number = draft.content, template.requests + 1
        request = RequestApproval(
            subject=id,
            number=number,
            version=content.version,
            content_hash=content_hash(content),
            authors=tuple(sorted(draft.authors | {by})),
            case=Case(),
            title=f"{content.name}, version {content.version}"[:200],
        )
        submitted = ContractTemplateSubmitted(
            version=content.version, content_hash=content_hash(content), request=number
        )
        return submitted, Also(ApprovalId.of(id, str(number)), request)


class ContractTemplateSubmitted(Event[ContractTemplate]):
    version: int
    content_hash: str
    request: int
    """Which of its requests for approval this is."""

    def apply(self, template: ContractTemplate, /) -> ContractTemplate:
        assert template.draft is not None, "a draft was submitted"
        draft = replace(template.draft, in_approval=True)
        return replace(template, draft=draft, requests=self.request)


class WithdrawContractTemplate(Command[ContractTemplate]):
    """Take a draft back from approval, to write it anew; its approval is void."""

    allowed = (Role.LEGAL, Role.MANAGER)

    reason: Text

    def decide(
        self, template: ContractTemplate, id: ContractTemplateId
    ) -> tuple[ContractTemplateWithdrawn | Also, ...] | None:
        if template.draft and not template.draft.in_approval:
            return None
        version = template.draft_in_approval().content.version
        approval = ApprovalId.of(id, str(template.requests))
        withdrawn = ContractTemplateWithdrawn(version=version, reason=self.reason)
        return withdrawn, Also(approval, VoidApproval(reason=self.reason))


class ContractTemplateWithdrawn(Event[ContractTemplate]):
    version: int
    reason: str

    def apply(self, template: ContractTemplate, /) -> ContractTemplate:
        assert template.draft is not None, "a draft was taken back"
        return replace(template, draft=replace(template.draft, in_approval=False))


class TakeVerdict(Command[ContractTemplate]):
    """Take over what became of the approval, in the decision that ended it."""

    allowed = ()

    verdict: Verdict

    def decide(
        self, template: ContractTemplate, id: ContractTemplateId
    ) -> ContractTemplateApproved | ContractTemplateRejected:
        draft, verdict = template.draft_in_approval(), self.verdict
        version = draft.content.version
        approval = ApprovalId.of(id, str(template.requests))
        verdict.must_be_about(approval, version, content_hash(draft.content))
        if not verdict.granted:
            reason = verdict.reason or "-"
            return ContractTemplateRejected(version=version, approval=approval, reason=reason)
        return ContractTemplateApproved(
            version=version,
            approval=approval,
            content_hash=verdict.content_hash,
            approvers=verdict.approvers,
        )


class ContractTemplateApproved(Event[ContractTemplate]):
    version: int
    approval: ApprovalId
    content_hash: str
    approvers: tuple[str, ...]

    def apply(self, template: ContractTemplate, /) -> ContractTemplate:
        assert template.draft is not None, "a draft was approved"
        return replace(template, in_force=template.draft.content, draft=None, retired=False)


class ContractTemplateRejected(Event[ContractTemplate]):
    version: int
    approval: ApprovalId
    reason: str

    def apply(self, template: ContractTemplate, /) -> ContractTemplate:
        assert template.draft is not None, "a draft was rejected"
        return replace(template, draft=replace(template.draft, in_approval=False))


class RetireContractTemplate(Command[ContractTemplate]):
    """Begin no more contracts from a template; a new version that is approved brings it back."""

    allowed = (Role.LEGAL, Role.MANAGER)

    reason: Text

    def decide(self, template: ContractTemplate) -> ContractTemplateRetired | None:
        if template.retired:
            return None
        return ContractTemplateRetired(
            version=template.must_be_usable().version, reason=self.reason
        )


class ContractTemplateRetired(Event[ContractTemplate]):
    version: int
    reason: str

    def apply(self, template: ContractTemplate, /) -> ContractTemplate:
        return replace(template, retired=True)
