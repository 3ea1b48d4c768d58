"""Amendments: the next version, approved and signed for itself; until then nothing changes."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from tests.domain.terms.contracts import (
    BEGIN,
    CONTRACT,
    END,
    PUMP,
    STENT,
    ContractTown,
    cny,
    draft,
    lines,
)

from medsales.domain.governance.approval import Approve
from medsales.domain.terms.amendment import DraftAmendment, EditAmendment, WithdrawAmendment
from medsales.domain.terms.contract import (
    ContractStatus,
    RecallContract,
    SendContract,
    SubmitContract,
)
from medsales.domain.terms.contract_content import Award, Clause, Side
from medsales.domain.terms.contract_life import ExpireContract, SuspendContract, TerminateContract
from medsales.domain.terms.contract_signing import AmendmentTookEffect, RefuseContract
from medsales.domain.values import CHINA

NEXT_END = date(2028, 5, 31)


@pytest.fixture
def town() -> ContractTown:
    town = ContractTown()
    town.active()
    return town


def more(pumps: int = 100, stents: int = 20, **said: Any) -> DraftAmendment:
    return DraftAmendment(kind="supplement", reason="扩容", lines=lines(pumps, stents), **said)


RENEWAL = DraftAmendment(kind="renewal", reason="续签一年", valid_until=NEXT_END)


def edited(amendment: DraftAmendment, **changed: Any) -> EditAmendment:
    return EditAmendment(**{**amendment.model_dump(), **changed})


def test_until_the_last_signature_the_version_before_is_in_force(town: ContractTown) -> None:
    """draft → in approval → approved → out → partly signed: 100 pumps all the way, then 150."""
    steps: list[Callable[[], object]] = [
        lambda: town.told(more(pumps=150), CONTRACT),
        lambda: town.told(SubmitContract(), CONTRACT),
        town.approve,
        lambda: town.told(SendContract(), CONTRACT),
        lambda: town.told(town.sealed(), CONTRACT),
    ]
    for step in steps:
        step()
        assert town.status() is ContractStatus.ACTIVE
        assert town.contract.agreed_content().version == 1
        town.refused("contract.quantity_exceeded", town.call_off("SO-1", pumps=101))
    town.told(town.sign(), CONTRACT, by="sun")
    town.told(town.call_off("SO-1", pumps=150), CONTRACT)
    last = [e for e in town.streams[CONTRACT] if isinstance(e, AmendmentTookEffect)]
    assert [(each.version, each.supplement) for each in last] == [(2, cny(2500))]


def test_what_an_amendment_does_not_name_stays() -> None:
    other = ContractTown()
    clause = Clause(key="payment", title="付款", text="三十日内付款")
    other.active(clauses=(clause,), quality="国家标准")
    changed = Clause(key="payment", title="付款", text="六十日内付款")
    new = Clause(key="penalty", title="违约", text="每日万分之五")
    other.told(DraftAmendment(kind="change", reason="x", clauses=(changed, new)), CONTRACT)
    content = other.under_way.content
    assert content.clauses == (changed, new)
    assert content.quality == "国家标准"
    assert content.lines == other.contract.agreed_content().lines


def test_one_amendment_at_a_time(town: ContractTown) -> None:
    town.told(more(pumps=150), CONTRACT)
    town.told(more(pumps=150), CONTRACT)
    town.refused("amendment.one_at_a_time", more(pumps=160))
    town.told(edited(more(), lines=lines(160)), CONTRACT)
    town.told(edited(more(), lines=lines(160)), CONTRACT)
    assert town.happened()[-2:] == ["AmendmentDrafted", "AmendmentEdited"]
    town.told(SubmitContract(), CONTRACT)
    town.refused("contract.wrong_stage", edited(more(), lines=lines(170)))


def test_it_has_an_approval_of_its_own_that_its_author_does_not_give(town: ContractTown) -> None:
    first = town.contract.approval(CONTRACT)
    town.told(more(pumps=150), CONTRACT, by="wang")
    town.told(SubmitContract(), CONTRACT)
    assert town.contract.approval(CONTRACT) != first
    refusal = town.approve("wang")
    assert refusal is not None
    assert refusal.code == "approval.approver_is_author"
    assert town.approve("sun") is None


def test_a_withdrawn_amendment_takes_its_approval_along(town: ContractTown) -> None:
    town.told(more(pumps=150), CONTRACT)
    town.told(SubmitContract(), CONTRACT)
    approval, seen = town.contract.approval(CONTRACT), town.under_way.content_hash
    for _ in range(2):
        town.told(WithdrawAmendment(reason="不需要了"), CONTRACT)
    town.refused("approval.closed", Approve(content_hash=seen), approval, by="wang")
    assert town.contract.under_way is None
    assert town.status() is ContractStatus.ACTIVE
    town.told(more(pumps=150), CONTRACT)


def test_a_refused_amendment_is_over_and_its_signature_void(town: ContractTown) -> None:
    town.told(more(pumps=150), CONTRACT)
    town.sent()
    sign = town.sign()
    town.told(sign, CONTRACT, by="sun")
    town.told(RefuseContract(side=Side.THEIRS, reason="预算不足"), CONTRACT)
    assert town.happened(sign.signature.statement.id())[-1] == "SignatureInvalidated"
    assert town.contract.under_way is None
    town.refused("contract.quantity_exceeded", town.call_off("SO-1", pumps=101))


def test_a_recalled_amendment_is_a_draft_again(town: ContractTown) -> None:
    town.told(more(pumps=150), CONTRACT)
    town.sent()
    town.told(RecallContract(reason="x"), CONTRACT)
    town.told(edited(more(), lines=lines(140)), CONTRACT)
    town.refused("contract.wrong_stage", SendContract())


@pytest.mark.parametrize("end", [TerminateContract(reason="x"), ExpireContract(valid_until=END)])
def test_with_the_contract_its_amendment_ends(town: ContractTown, end: Any) -> None:
    town.told(more(pumps=150), CONTRACT)
    town.sent()
    sign = town.sign()
    town.told(sign, CONTRACT, by="sun")
    town.told(end, CONTRACT)
    assert town.happened(sign.signature.statement.id())[-1] == "SignatureInvalidated"
    assert town.contract.under_way is None


def test_only_what_is_active_is_amended(town: ContractTown) -> None:
    town.told(more(pumps=150), CONTRACT)
    town.sent()
    town.told(SuspendContract(reason="x"), CONTRACT)
    town.refused("contract.wrong_stage", town.sealed())
    fresh = ContractTown()
    fresh.told(draft())
    fresh.refused("contract.wrong_stage", more(pumps=150))
    fresh.refused("amendment.none", WithdrawAmendment(reason="x"))


def test_a_renewal_moves_the_end(town: ContractTown) -> None:
    town.told(RENEWAL, CONTRACT)
    town.signed()
    town.told(ExpireContract(valid_until=END), CONTRACT)
    assert town.status() is ContractStatus.ACTIVE
    town.now = datetime.combine(END + timedelta(days=1), datetime.min.time(), CHINA)
    town.told(town.call_off("SO-1", pumps=1), CONTRACT)
    town.told(ExpireContract(valid_until=NEXT_END), CONTRACT)
    assert town.status() is ContractStatus.EXPIRED


@pytest.mark.parametrize(
    "wrong",
    [
        DraftAmendment(kind="renewal", reason="x", payment_days=1),
        DraftAmendment(kind="change", reason="x", valid_until=NEXT_END),
        DraftAmendment(kind="renewal", reason="x", valid_until=END - timedelta(days=1)),
        DraftAmendment(kind="change", reason="x", valid_until=END - timedelta(days=1)),
    ],
)
def test_only_a_renewal_moves_the_end_and_only_forward(
    town: ContractTown, wrong: DraftAmendment
) -> None:
    town.refused("amendment.not_a_renewal", wrong)


def test_what_has_ended_is_not_renewed(town: ContractTown) -> None:
    """Nobody has noted the end yet; the day decides."""
    town.told(RENEWAL, CONTRACT)
    town.sent()
    town.now = datetime.combine(END + timedelta(days=1), datetime.min.time(), CHINA)
    town.refused("contract.over", town.sealed())


def test_an_amendment_may_begin_later_than_it_is_signed(town: ContractTown) -> None:
    begin = BEGIN + timedelta(days=60)
    dearer = (lines()[0].model_copy(update={"price": cny(60)}),)
    change = DraftAmendment(kind="change", reason="x", lines=dearer, effective_from=begin)
    town.told(change, CONTRACT)
    town.signed()
    for day, price, version in ((begin - timedelta(days=1), 50, 1), (begin, 60, 2)):
        found = town.contract.agreed(PUMP, 1, day)
        assert (found.price, found.contract_version) == (cny(price), version)


def test_no_day_of_the_contract_is_without_a_version(town: ContractTown) -> None:
    late = END + timedelta(days=2)
    town.refused("amendment.leaves_a_gap", RENEWAL.model_copy(update={"effective_from": late}))


def test_an_amendment_changes_something(town: ContractTown) -> None:
    town.refused("amendment.changes_nothing", more())


def test_what_has_been_called_off_is_not_amended_away(town: ContractTown) -> None:
    town.told(more(pumps=50), CONTRACT)
    town.sent()
    town.told(town.call_off("SO-1", pumps=51), CONTRACT)
    town.refused("contract.called_off_already", town.sealed())
    town.told(WithdrawAmendment(reason="x"), CONTRACT)
    town.refused("contract.called_off_already", more(pumps=50))
    less = DraftAmendment(kind="change", reason="x", max_amount=cny(2549))
    town.refused("contract.called_off_already", less)


# C4: 19,000 in all; a tenth is 1,900, which is 38 pumps


@pytest.fixture
def public() -> ContractTown:
    town = ContractTown()
    town.active(public_procurement=True)
    return town


@pytest.mark.parametrize(("pumps", "fits"), [(138, True), (139, False)])
def test_c4_with_public_money_a_tenth_may_be_added(
    public: ContractTown, pumps: int, *, fits: bool
) -> None:
    if fits:
        public.told(more(pumps=pumps), CONTRACT)
    else:
        public.refused("amendment.adds_too_much", more(pumps=pumps))


def test_c4_a_tenth_by_all_amendments_together(public: ContractTown) -> None:
    """Also when one of them takes away again: what was added was added."""
    public.told(more(pumps=120), CONTRACT)
    public.signed()
    public.refused("amendment.adds_too_much", more(pumps=139))
    public.told(DraftAmendment(kind="change", reason="x", lines=lines(pumps=100)), CONTRACT)
    public.signed()
    public.refused("amendment.adds_too_much", more(pumps=119))
    public.told(more(pumps=118), CONTRACT)


def test_c4_less_of_one_makes_no_room_for_another(public: ContractTown) -> None:
    public.refused("amendment.adds_too_much", more(pumps=1, stents=23))


def test_c4_the_same_goods_at_the_same_price(public: ContractTown) -> None:
    dearer = lines()[0].model_copy(update={"price": cny(51)})
    change = DraftAmendment(kind="change", reason="x", lines=(dearer,))
    public.refused("amendment.other_goods", change)
    only_pumps = ContractTown()
    only_pumps.active(public_procurement=True, lines=lines()[:1])
    stents = lines()[1].model_copy(update={"max_quantity": 1})
    only_pumps.refused(
        "amendment.other_goods", DraftAmendment(kind="supplement", reason="x", lines=(stents,))
    )


def test_c4_under_a_cap_it_is_the_cap_that_counts() -> None:
    town = ContractTown()
    town.active(public_procurement=True, max_amount=cny(10_000))
    for cap, fits in ((11_001, False), (11_000, True)):
        change = DraftAmendment(kind="supplement", reason="x", max_amount=cny(cap))
        if fits:
            town.told(change, CONTRACT)
        else:
            town.refused("amendment.adds_too_much", change)


def test_c4_is_about_public_money(town: ContractTown) -> None:
    town.told(more(pumps=1000), CONTRACT)


def test_c5_an_amendment_keeps_price_and_quality_of_the_bid() -> None:
    town = ContractTown()
    award = Award(
        tender="ZB-1",
        subject="输液泵与支架年度采购",
        awarded_on=BEGIN,
        lines=lines(),
        valid_from=BEGIN,
        valid_until=END,
    )
    town.active(award=award)
    dearer = lines()[1].model_copy(update={"price": cny(800)})
    change = DraftAmendment(kind="change", reason="x", lines=(dearer,))
    town.refused("contract.unlike_the_bid", change)
    town.told(more(stents=21), CONTRACT)
    assert town.under_way.content.line_of(STENT).max_quantity == 21


def test_versions_count_in_their_order(town: ContractTown) -> None:
    """The second begins later than it was signed; the third is signed before, and not earlier."""
    begin = BEGIN + timedelta(days=60)
    later = DraftAmendment(kind="change", reason="x", payment_days=60, effective_from=begin)
    town.told(later, CONTRACT)
    town.signed()
    town.later(10)
    town.told(DraftAmendment(kind="change", reason="x", payment_days=90), CONTRACT)
    town.signed()
    assert [each.since for each in town.contract.in_force] == [BEGIN, begin, begin]
    assert town.contract.version_on(begin).content.version == 3
