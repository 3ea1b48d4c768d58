"""The contract board: called off, remaining, obligations due, and every version with its papers."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis.stateful import run_state_machine_as_test
from tests.domain.terms.contracts import (
    BEGIN,
    CONTRACT,
    END,
    PUMP,
    STENT,
    UNION,
    ContractCompany,
    cny,
    draft,
    lines,
)
from tests.domain.terms.test_contract_lives import ContractLives
from tests.projections.test_row_by_row import QUICK, Story

from medsales.company import Company
from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Approve
from medsales.domain.terms.amendment import DraftAmendment, WithdrawAmendment
from medsales.domain.terms.contract import SendContract
from medsales.domain.terms.contract_content import Clause, Obligation, Side
from medsales.domain.terms.contract_life import MeetObligation, TerminateContract
from medsales.domain.terms.contract_signing import RefuseContract
from medsales.domain.terms.contract_template import (
    DraftContractTemplate,
    RetireContractTemplate,
    SubmitContractTemplate,
)
from medsales.projections.contract_board import (
    ANY,
    BOARD,
    ContractOnBoard,
    ContractSeen,
    contract_seen,
    template_seen,
)

TRAINING = Obligation(
    key="training", description="培训", party=Side.OURS, due=date(2026, 9, 1), milestone=True
)
PAYING = Obligation(key="deposit", description="保证金", party=Side.THEIRS, due=date(2026, 7, 1))


@pytest.fixture
def town(company: Company) -> ContractCompany:
    return ContractCompany(company)


def seen(town: ContractCompany) -> ContractSeen:
    town.catch_up()
    with town.company.database.reading() as db:
        found = contract_seen(db, CONTRACT)
    assert found is not None
    return found


def board(town: ContractCompany, **asked: Any) -> list[ContractOnBoard]:
    town.catch_up()
    with town.company.database.reading() as db:
        rows = db.execute(BOARD, {**ANY, **asked}).fetchall()
    return [ContractOnBoard(**row) for row in rows]


def test_it_follows_the_contract_from_the_draft_to_both_signatures(town: ContractCompany) -> None:
    town.told(draft(max_amount=cny(10_000)))
    assert seen(town).contract.status == "draft"
    town.approved()
    assert seen(town).contract.status == "approved"
    town.told(SendContract(), CONTRACT)
    town.told(town.sealed(), CONTRACT)
    assert seen(town).contract.status == "partially_signed"
    town.told(town.sign(), CONTRACT, by="sun")
    found = seen(town)
    assert (found.contract.status, found.contract.version) == ("active", 1)
    assert found.contract.active_since == BEGIN
    assert found.contract.remaining_amount == 10_000
    assert found.contract.remaining_pieces == 120
    (version,) = found.versions
    assert version.approvers == ("wang", "qian")
    assert version.content is not None
    assert version.content.valid_until == END
    assert [(s.side, s.signer, s.void) for s in found.signatures] == [
        ("theirs", "刘院长", False),
        ("ours", "孙法务", False),
    ]


def test_called_off_and_remaining(town: ContractCompany) -> None:
    town.active(max_amount=cny(10_000))
    town.told(town.call_off("SO-1", pumps=30, stents=2), CONTRACT)
    town.told(town.call_off("SO-2", pumps=10), CONTRACT)
    town.told(town.give_back("SO-1", pumps=5), CONTRACT)
    found = seen(town)
    assert found.contract.called_amount == 35 * 50 + 2 * 700
    assert found.contract.remaining_amount == 10_000 - 3150
    assert [(line.product, line.called, line.remaining) for line in found.lines] == [
        (PUMP, 35, 65),
        (STENT, 2, 18),
    ]
    assert [(call.order, call.product, call.quantity, call.version) for call in found.calls] == [
        ("order:SO-1", PUMP, 25, 1),
        ("order:SO-1", STENT, 2, 1),
        ("order:SO-2", PUMP, 10, 1),
    ]


def test_the_board_says_the_same_as_the_contract_itself(town: ContractCompany) -> None:
    town.active()
    for n in range(5):
        town.told(town.call_off(f"SO-{n}", pumps=n + 1, stents=n % 2), CONTRACT)
        town.told(town.give_back(f"SO-{n}", pumps=1), CONTRACT)
    contract = town.contract
    found = seen(town)
    assert found.contract.called_amount == contract.drawn_amount
    for line in found.lines:
        assert line.remaining == contract.remaining(contract.agreed_content(), line.product)  # type: ignore[arg-type]


def test_obligations_and_what_is_due_first(town: ContractCompany) -> None:
    town.active(obligations=(TRAINING, PAYING))
    (card,) = board(town)
    assert (card.obligations_open, card.next_due) == (2, PAYING.due)
    assert board(town, due_by=date(2026, 6, 30)) == []
    town.told(MeetObligation(key="deposit"), CONTRACT)
    (card,) = board(town, customer=UNION, status="active", due_by=TRAINING.due)
    assert (card.obligations_open, card.next_due) == (1, TRAINING.due)
    assert [(o.obligation, o.met_on, o.milestone) for o in seen(town).obligations] == [
        ("deposit", BEGIN, False),
        ("training", None, True),
    ]


def test_an_amendment_shows_beside_what_is_in_force(town: ContractCompany) -> None:
    town.active()
    town.told(DraftAmendment(kind="supplement", reason="扩容", lines=lines(pumps=150)), CONTRACT)
    town.sent()
    found = seen(town)
    assert (found.contract.version, found.contract.amending) == (1, "out_for_signature")
    assert found.lines[0].max_quantity == 100
    town.told(town.sealed(), CONTRACT)
    town.told(town.sign(), CONTRACT, by="sun")
    found = seen(town)
    assert (found.contract.version, found.contract.amending) == (2, None)
    assert (found.lines[0].max_quantity, found.lines[0].version) == (150, 2)
    assert [(v.version, v.status, v.supplement) for v in found.versions] == [
        (1, "in_force", None),
        (2, "in_force", Decimal(2500)),
    ]


def test_a_refusal_voids_the_signatures_and_shows_them(town: ContractCompany) -> None:
    town.told(draft())
    town.sent()
    town.told(town.sign(), CONTRACT, by="sun")
    town.told(RefuseContract(side=Side.THEIRS, reason="预算取消"), CONTRACT)
    found = seen(town)
    assert found.contract.status == "draft"
    assert found.versions[0].reason == "预算取消"
    assert found.versions[0].approvers == ()
    town.later(1)
    town.signed()
    assert [s.void for s in seen(town).signatures] == [True, False, False]


def test_what_ends_says_why(town: ContractCompany) -> None:
    town.active()
    change = DraftAmendment(kind="change", reason="x", payment_days=90)
    town.told(change, CONTRACT)
    town.told(WithdrawAmendment(reason="不需要"), CONTRACT)
    town.told(change, CONTRACT)
    town.told(TerminateContract(reason="违约"), CONTRACT)
    found = seen(town).contract
    assert (found.status, found.reason, found.amending) == ("terminated", "违约", None)


def test_templates_version_by_version(town: ContractCompany) -> None:
    clause = Clause(key="payment", title="付款", text="三十日内")
    write = DraftContractTemplate(code="F", name="框架", clauses=(clause,))
    template = write.begins()

    def in_force() -> list[Any]:
        town.catch_up()
        with town.company.database.reading() as db:
            found = template_seen(db, template)
        assert found is not None
        return [found.in_force, [(v.version, v.status) for v in found.versions]]

    town.told(write, by="sun")
    assert in_force() == [None, [(1, "draft")]]
    town.told(SubmitContractTemplate(), template, by="sun")
    assert in_force() == [None, [(1, "in_approval")]]
    state: Any = town.state(template)
    approve = Approve(content_hash=content_hash(state.draft.content))
    town.told(approve, f"approval:{template}:1", by="wang")
    assert in_force() == [1, [(1, "in_force")]]
    town.told(RetireContractTemplate(reason="x"), template)
    assert in_force() == [None, [(1, "retired")]]


def test_the_rows_equal_the_facts(town: ContractCompany) -> None:
    town.active(obligations=(TRAINING,))
    town.told(town.call_off("SO-1", pumps=3), CONTRACT)
    town.told(DraftAmendment(kind="change", reason="x", payment_days=9), CONTRACT)
    town.catch_up()
    follower = town.company.follower
    assert follower.verify(["contract_board", "timer_board"]) == []
    follower.rebuild(["contract_board"])
    assert follower.verify(["contract_board"]) == []


class ToldContracts(ContractLives):
    """A life whose facts are folded in the order of the log, and then subject by subject."""

    def teardown(self) -> None:
        story = Story()
        story.goes_on(self.town.streams)
        story.must_be_told_stream_by_stream()


def test_the_lives_of_contracts_may_be_told_stream_by_stream() -> None:
    run_state_machine_as_test(ToldContracts, settings=QUICK)
