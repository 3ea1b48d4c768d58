"""Random lives of contracts: nothing counts that was not approved and signed as it stands."""

from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.domain.terms.contracts import (
    CONTRACT,
    END,
    PENS,
    ContractTown,
    draft,
    lines,
)

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Approve, Reject
from medsales.domain.governance.signature import Signature
from medsales.domain.kernel import Command
from medsales.domain.terms.amendment import (
    AmendmentDrafted,
    AmendmentEdited,
    DraftAmendment,
    EditAmendment,
    WithdrawAmendment,
)
from medsales.domain.terms.contract import (
    CancelContract,
    ContractApproved,
    ContractDrafted,
    ContractEdited,
    ContractStatus,
    EditContract,
    RecallContract,
    SendContract,
    SubmitContract,
)
from medsales.domain.terms.contract_content import Side
from medsales.domain.terms.contract_life import (
    ExpireContract,
    ResumeContract,
    SuspendContract,
    TerminateContract,
)
from medsales.domain.terms.contract_signing import (
    AmendmentTookEffect,
    ContractActivated,
    ContractSigned,
    CounterpartySignatureRecorded,
    RefuseContract,
)

PEOPLE = st.sampled_from(["chen", "wang", "sun", "li"])
PUMPS = st.integers(1, 5).map(lambda tens: tens * 10)
SELDOM = st.integers(0, 9)
"""What would end a life early is done when this is 0."""
SIDES = st.sampled_from(Side)
WRITTEN = (ContractDrafted, ContractEdited, AmendmentDrafted, AmendmentEdited)
ENDED = {
    ContractStatus.CANCELLED,
    ContractStatus.EXPIRED,
    ContractStatus.TERMINATED,
    ContractStatus.FULFILLED,
}
lives = count()


class ContractLives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.town = ContractTown()
        self.old_papers: list[Command[Any]] = []
        """Signatures that were made once; people try them again when it suits them."""
        self.ended: ContractStatus | None = None

    @initialize(by=PEOPLE, far=st.integers(0, 7))
    def begin(self, by: str, far: int) -> None:
        """Lives begin at every stage, for few would get far by chance."""
        self.town.told(draft(), by=by)
        for _ in range(far):
            self.go_on()

    def go_on(self) -> None:
        """The next right step, by whoever may take it."""
        draft = self.town.contract.under_way
        if draft is None:
            change = DraftAmendment(kind="change", reason="x", lines=lines(pumps=110))
            self.ask(change)
        elif draft.stage is ContractStatus.DRAFT:
            self.ask(SubmitContract())
        elif draft.stage is ContractStatus.IN_APPROVAL:
            for by in ("wang", "sun", "li"):
                self.town.approve(by)
        elif draft.stage is ContractStatus.APPROVED:
            self.ask(SendContract())
        elif Side.THEIRS not in draft.sides:
            self.record("chen")
        else:
            for by in ("sun", "wang"):
                self.sign(by, theirs=False)

    @rule(steps=st.integers(1, 6))
    def goes_on(self, steps: int) -> None:
        for _ in range(steps):
            self.go_on()

    def ask(self, command: Command[Any], by: str = "chen") -> None:
        self.town.ask(command, CONTRACT, by)

    @rule(by=PEOPLE, pumps=PUMPS)
    def edit(self, by: str, pumps: int) -> None:
        said = draft(lines=lines(pumps=pumps)).model_dump(exclude={"number", "customer"})
        self.ask(EditContract(**said), by)

    @rule(by=PEOPLE, pumps=PUMPS, edit=st.booleans())
    def amend(self, by: str, pumps: int, *, edit: bool) -> None:
        command = EditAmendment if edit else DraftAmendment
        self.ask(command(kind="change", reason="x", lines=lines(pumps=pumps)), by)

    @rule(by=PEOPLE)
    def submit(self, by: str) -> None:
        self.ask(SubmitContract(), by)

    @rule(by=PEOPLE, back=st.integers(0, 2), sure=st.booleans())
    def approve(self, by: str, back: int, *, sure: bool) -> None:
        """The request that waits, or one of long ago; for what is there now."""
        contract = self.town.contract
        if contract.under_way is None or contract.requests <= back:
            return
        number = contract.requests - back
        seen = contract.under_way.content_hash
        decide = Approve(content_hash=seen) if sure else Reject(content_hash=seen, reason="x")
        self.town.ask(decide, f"approval:{CONTRACT}:{number}", by)

    @rule()
    def send(self) -> None:
        self.ask(SendContract())

    @rule(by=PEOPLE | st.just("liu"), theirs=st.booleans())
    def signs(self, by: str, *, theirs: bool) -> None:
        self.sign(by, theirs=theirs)

    def sign(self, by: str, *, theirs: bool) -> None:
        if self.town.contract.under_way is None or by not in PENS:
            return
        signature = self.town.countersign(by) if theirs else self.town.sign(by)
        self.old_papers.append(signature)
        self.ask(signature, by)

    @rule(by=PEOPLE)
    def enter(self, by: str) -> None:
        self.record(by)

    def record(self, by: str) -> None:
        if self.town.contract.under_way is not None:
            paper = self.town.sealed()
            self.old_papers.append(paper)
            self.ask(paper, by)

    @rule(by=PEOPLE | st.just("liu"), which=st.integers(0, 9))
    def replay(self, by: str, which: int) -> None:
        if self.old_papers:
            self.ask(self.old_papers[which % len(self.old_papers)], by)

    @rule(side=SIDES, sure=SELDOM)
    def refuse(self, side: Side, sure: int) -> None:
        if sure < 3:
            self.ask(RefuseContract(side=side, reason="x"))

    @rule(sure=SELDOM)
    def recall_or_withdraw(self, sure: int) -> None:
        if sure < 2:
            self.ask(RecallContract(reason="x"))
        elif sure < 4:
            self.ask(WithdrawAmendment(reason="x"))

    @rule(resume=st.booleans())
    def suspend(self, *, resume: bool) -> None:
        self.ask(ResumeContract(reason="x") if resume else SuspendContract(reason="x"))

    @rule(sure=SELDOM)
    def end(self, sure: int) -> None:
        ways = [
            CancelContract(reason="x"),
            TerminateContract(reason="x"),
            ExpireContract(valid_until=END),
        ]
        if sure < len(ways):
            self.ask(ways[sure])

    # What is always true

    @invariant()
    def what_counts_was_approved_by_another_and_signed_by_both(self) -> None:
        events = self.town.streams.get(CONTRACT, [])
        for place, event in enumerate(events):
            if isinstance(event, ContractActivated | AmendmentTookEffect):
                self.must_be_approved(events[:place], event.version, event.content_hash)
                self.must_be_signed(events[:place], event.content_hash)

    def must_be_approved(self, before: list[Any], version: int, hash: str) -> None:
        """The last approval of this version is of these bytes, by nobody who wrote them."""
        approvals = [e for e in before if isinstance(e, ContractApproved) and e.version == version]
        writers = {
            e.author for e in before if isinstance(e, WRITTEN) and e.content.version == version
        }
        assert approvals
        assert approvals[-1].content_hash == hash
        assert not set(approvals[-1].approvers) & writers

    def must_be_signed(self, before: list[Any], hash: str) -> None:
        ours = [e for e in before if isinstance(e, ContractSigned) and e.content_hash == hash]
        papers = [
            e
            for e in before
            if isinstance(e, CounterpartySignatureRecorded) and e.content_hash == hash
        ]
        assert {e.side for e in ours} | {Side.THEIRS for _ in papers} == {*Side}
        valid = [e for e in ours if self.is_valid(e)]
        assert {e.side for e in valid} | {Side.THEIRS for _ in papers} == {*Side}

    def is_valid(self, signed: ContractSigned) -> bool:
        signature = self.town.state(signed.signature)
        assert isinstance(signature, Signature)
        assert signature.signed is not None
        return not signature.invalidated

    @invariant()
    def every_version_counts_once_and_in_order(self) -> None:
        contract = self.town.contract if self.town.streams.get(CONTRACT) else None
        if contract is None:
            return
        versions = [each.content.version for each in contract.in_force]
        assert versions == list(range(1, len(versions) + 1))
        since = [each.since for each in contract.in_force]
        assert since == sorted(since)
        begun = [e for e in self.town.happened() if e == "ContractActivated"]
        assert len(begun) == min(1, len(versions))
        if contract.under_way:
            assert contract.under_way.content_hash == content_hash(contract.under_way.content)
            assert contract.under_way.version == len(versions) + 1

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        if not self.town.streams.get(CONTRACT):
            return
        status = self.town.status()
        assert self.ended in (None, status)
        self.ended = status if status in ENDED else None

    @invariant()
    def what_is_out_for_signature_is_approved_as_it_stands(self) -> None:
        contract = self.town.contract if self.town.streams.get(CONTRACT) else None
        draft = contract.under_way if contract else None
        if draft is None or draft.stage in {ContractStatus.DRAFT, ContractStatus.IN_APPROVAL}:
            return
        self.must_be_approved(self.town.streams[CONTRACT], draft.version, draft.content_hash)


def test_random_lives_of_contracts() -> None:
    run_state_machine_as_test(
        ContractLives,
        settings=settings(
            max_examples=80,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
        ),
    )
