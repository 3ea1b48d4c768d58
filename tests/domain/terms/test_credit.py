"""What a customer may owe: limit, overrides, standing, groups (K2, K4, K7, K8)."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from tests.domain.orders.examples import CANCER, UNION, cny
from tests.domain.orders.towns import InMemory
from tests.domain.terms.accounts import (
    ACCOUNT,
    AGREED,
    FAR,
    HEAD,
    JOINED,
    RECEIPT,
    SO1,
    SO2,
    TAKEN_IN,
    WHY,
    account,
    agreed_to,
    ask,
    consents,
    owner,
    requested,
    reserved,
    reserving,
    town,
    verdict_on,
)

from medsales.domain.governance.approval import Approve, Reject
from medsales.domain.ids import ApprovalId, CreditAccountId
from medsales.domain.kernel import Event, Refused, Sentence
from medsales.domain.terms.credit import (
    AgreeCredit,
    AgreeGroupLimit,
    BlockCredit,
    ClearCredit,
    CloseCredit,
    CreditAccount,
    CreditAgreed,
    CreditBlocked,
    CreditChangeRejected,
    CreditChangeRequested,
    CreditCleared,
    CreditClosed,
    CreditHeld,
    CreditRequestWithdrawn,
    CreditStatus,
    CreditUnblocked,
    CreditWatched,
    EndOverride,
    GroupLimitAgreed,
    HoldCredit,
    Matter,
    OverrideEnded,
    OverrideGranted,
    RequestOverride,
    UnblockCredit,
    WatchCredit,
    WithdrawCreditRequest,
)
from medsales.domain.terms.credit_exposure import (
    CashRecorded,
    CashReturned,
    EndReservation,
    InvoiceSettled,
    Means,
    OrderInvoiced,
    RecordCash,
    Stage,
)
from medsales.domain.terms.credit_group import (
    GroupLeft,
    JoinGroup,
    LeaveGroup,
    MemberJoined,
    MemberLeft,
    MemberNoted,
)
from medsales.domain.values import Money
from medsales.testing import NOON, given

AGREE = AgreeCredit(customer=UNION, limit=cny("1000"), reason=WHY)
MORE = AgreeCredit(customer=UNION, limit=cny("2000"), reason=WHY)
LESS = AgreeCredit(customer=UNION, limit=cny("100"), reason=WHY)
OVERRIDE = RequestOverride(amount=cny("500"), until=date(2026, 6, 30), reason=WHY)
RAISED = agreed_to(MORE, AGREED)[-1]


def state(*history: Event[Any]) -> CreditAccount:
    return CreditAccount().after(history)


# The limit


def test_an_account_begins_with_its_first_reservation_and_counts_without_a_limit() -> None:
    account().when(reserving("1000000")).then(reserved("1000000"))


def test_credit_is_agreed_for_the_first_time_by_one_person() -> None:
    outcome = account().when(AGREE).then(AGREED)
    assert outcome.subject == ACCOUNT


def test_agreeing_the_same_again_changes_nothing() -> None:
    ask((AGREED,), AGREE).then()


def test_there_is_no_credit_for_a_customer_that_does_not_exist() -> None:
    nobody = AgreeCredit(customer=CANCER, limit=cny("1"), reason=WHY)
    account().when(nobody).refused("customer.unknown")


def test_a_limit_is_not_negative() -> None:
    ask((), AgreeCredit(customer=UNION, limit=cny("-1"), reason=WHY)).refused("credit.negative")


def test_a_reservation_fits_to_the_last_cent_k2() -> None:
    ask((AGREED, reserved("400")), reserving("600", SO2)).then(reserved("600", SO2))
    ask((AGREED, reserved("400")), reserving("600.01", SO2)).refused(
        "credit.no_room", "600.01 CNY on top of 400 would be more than the 1000 agreed"
    )


def test_a_limit_is_that_of_its_currency_k2() -> None:
    euro = reserving("1").model_copy(update={"amount": Money(amount="1", currency="EUR")})
    ask((AGREED,), euro).refused("credit.no_room", "agreed in CNY, not in EUR")
    ask((), euro).then(
        reserved("1").model_copy(update={"amount": Money(amount="1", currency="EUR")})
    )


def test_lowering_a_limit_takes_effect_at_once_and_leaves_reservations_alone_k8() -> None:
    outcome = ask((AGREED, reserved("900")), LESS)
    lowered = AGREED.model_copy(update={"limit": cny("100")})
    outcome.then(lowered)
    after = state(AGREED, reserved("900"), lowered)
    assert after.reservations[SO1].confirmed == 900
    ask((AGREED, reserved("900"), lowered), reserving("0.01", SO2)).refused("credit.no_room")


@pytest.mark.parametrize(
    "raising",
    [
        MORE,
        AGREE.model_copy(update={"payment_days": 60}),
        AGREE.model_copy(update={"limit": Money(amount="1", currency="EUR")}),
    ],
    ids=["a higher limit", "more time to pay", "another currency"],
)
def test_who_raises_a_limit_needs_another_person(raising: AgreeCredit) -> None:
    outcome = ask((AGREED,), raising)
    (asked,) = outcome.events
    assert isinstance(asked, CreditChangeRequested)
    assert list(outcome.also) == [ApprovalId.of(ACCOUNT, "1")]
    assert state(AGREED, asked).limit == cny("1000")


def test_a_raised_limit_counts_once_somebody_has_agreed() -> None:
    asked = requested(MORE, AGREED)
    (raised,) = ask(asked, verdict_on(asked)).events
    assert isinstance(raised, CreditAgreed)
    assert raised.grant is not None
    assert (raised.grant.approvers, raised.grant.requested_by) == (("wang",), "chen")
    after = state(*asked, raised)
    assert (after.limit, after.pending) == (cny("2000"), {})


def test_what_is_rejected_stays_as_it_was() -> None:
    asked = requested(MORE, AGREED)
    outcome = ask(asked, verdict_on(asked, granted=False))
    outcome.then(CreditChangeRejected(request=1, reason="too much"))
    assert state(*asked, *outcome.events).pending == {}


def test_a_verdict_about_something_else_is_not_taken() -> None:
    asked = requested(MORE, AGREED)
    verdict = verdict_on(asked)
    stale = verdict.verdict.model_copy(update={"content_hash": "sha256:" + "0" * 64})
    ask(asked, verdict.model_copy(update={"verdict": stale})).refused("credit.request_unknown")
    ask((AGREED,), verdict).refused("credit.request_unknown")
    ask((*asked, *ask(asked, verdict).events), verdict).refused("credit.request_unknown")


def test_a_lowered_limit_withdraws_the_wish_for_a_higher_one() -> None:
    here = town()
    for command in (AGREE, MORE, LESS):
        assert here.ask(command, by="chen") is None
    assert any(isinstance(event, CreditRequestWithdrawn) for event in here.streams[ACCOUNT])
    late = Approve(content_hash=hash_of(here))
    refusal = here.ask(late, ApprovalId.of(ACCOUNT, "1"), by="wang")
    assert refusal is not None
    assert refusal.code == "approval.closed"


def hash_of(here: InMemory) -> str:
    asked = [e for e in here.streams[ACCOUNT] if isinstance(e, CreditChangeRequested)]
    return asked[-1].content_hash


# Overrides


def test_an_override_needs_another_person_than_who_asked_k4() -> None:
    here = town()
    assert here.ask(AGREE, by="chen") is None
    assert here.ask(OVERRIDE, ACCOUNT, by="chen") is None
    approval, approve = ApprovalId.of(ACCOUNT, "1"), Approve(content_hash=hash_of(here))
    refusal = here.ask(approve, approval, by="chen")
    assert refusal is not None
    assert refusal.code == "approval.approver_is_author"
    assert here.ask(approve, approval, by="wang") is None
    granted = here.streams[ACCOUNT][-1]
    assert isinstance(granted, OverrideGranted)
    assert granted.grant.approvers == ("wang",)


def test_asking_twice_for_the_same_override_waits_once_k4() -> None:
    """Under another key; once it is granted, the same again is a wish of its own."""
    here = town()
    assert here.ask(AGREE) is None
    for _ in range(2):
        assert here.ask(OVERRIDE, ACCOUNT, by="chen") is None
    assert [*owner(here).pending] == [1]
    approve = Approve(content_hash=hash_of(here))
    assert here.ask(approve, ApprovalId.of(ACCOUNT, "1"), by="wang") is None
    assert here.ask(OVERRIDE, ACCOUNT, by="chen") is None
    assert [*owner(here).pending] == [2]


def test_a_rejected_override_is_told_to_the_account_k4() -> None:
    here = town()
    assert here.ask(AGREE, by="chen") is None
    assert here.ask(OVERRIDE, ACCOUNT, by="chen") is None
    reject = Reject(content_hash=hash_of(here), reason="they never pay")
    assert here.ask(reject, ApprovalId.of(ACCOUNT, "1"), by="wang") is None
    assert here.streams[ACCOUNT][-1] == CreditChangeRejected(request=1, reason="they never pay")


OVERRIDDEN = agreed_to(OVERRIDE, AGREED)


def test_an_override_counts_by_its_amount_k4() -> None:
    ask(OVERRIDDEN, reserving("1500")).then(reserved("1500"))
    ask(OVERRIDDEN, reserving("1500.01")).refused("credit.no_room", "1500 agreed")


@pytest.mark.parametrize(("hour", "fits"), [(15, True), (16, False)])
def test_an_override_counts_to_the_end_of_its_last_day_k4(hour: int, fits: bool) -> None:
    """In China, where it ends at 16:00 UTC."""
    at = datetime(2026, 6, 30, hour, tzinfo=UTC)
    outcome = ask(OVERRIDDEN, reserving("1500"), at=at)
    assert (outcome.refusal is None) is fits


def test_nobody_asks_for_an_override_that_is_over_k4() -> None:
    over = OVERRIDE.model_copy(update={"until": date(2026, 5, 31)})
    ask((AGREED,), over).refused("credit.override_over")


def test_an_override_is_ended_early_and_leaves_reservations_alone_k4_k8() -> None:
    used = (*OVERRIDDEN, reserved("1500"))
    outcome = ask(used, EndOverride(request=1, reason=WHY))
    outcome.then(OverrideEnded(request=1, reason=WHY))
    assert state(*used, *outcome.events).reservations[SO1].confirmed == 1500
    ask((*used, *outcome.events), reserving("0.01", SO2)).refused("credit.no_room")


def test_a_request_is_withdrawn_with_its_approval() -> None:
    here = town()
    withdraw = WithdrawCreditRequest(request=1, reason=WHY)
    assert here.ask(AGREE) is None
    assert here.ask(OVERRIDE, ACCOUNT) is None
    assert here.ask(withdraw, ACCOUNT) is None
    assert here.streams[ACCOUNT][-1] == CreditRequestWithdrawn(request=1, reason=WHY)
    again = here.ask(withdraw, ACCOUNT)
    assert again is not None
    assert again.code == "credit.request_unknown"


# Standing

HELD, BLOCKED = CreditHeld(reason=WHY), CreditBlocked(reason=WHY)
MONEY = CashRecorded(reference="BANK-1", amount=cny("10"), evidence=RECEIPT)


@pytest.mark.parametrize("stopped", [HELD, BLOCKED, CreditClosed(reason=WHY)])
def test_nothing_new_is_sold_on_an_account_that_is_stopped(stopped: Event[Any]) -> None:
    ask((AGREED, stopped), reserving("1")).refused("credit.no_room", "the credit account")


def test_a_watched_account_goes_on() -> None:
    ask((AGREED, CreditWatched(reason=WHY)), reserving("1")).then(reserved("1"))


def test_goods_that_were_used_are_owed_whatever_the_limit_says_u6() -> None:
    ask((AGREED, HELD), reserving("5000", used=True)).then(reserved("5000", stage=Stage.SHIPPED))


@pytest.mark.parametrize(
    ("history", "command", "event"),
    [
        ((), WatchCredit(reason=WHY), CreditWatched(reason=WHY)),
        ((CreditWatched(reason=WHY),), HoldCredit(reason=WHY), HELD),
        ((HELD, MONEY), ClearCredit(reason=WHY), CreditCleared(reason=WHY)),
        ((HELD,), BlockCredit(reason=WHY), BLOCKED),
        ((BLOCKED,), CloseCredit(reason=WHY), CreditClosed(reason=WHY)),
    ],
    ids=["watch", "hold", "clear", "block", "close"],
)
def test_how_an_account_stands_changes_step_by_step(
    history: tuple[Any, ...], command: Any, event: Any
) -> None:
    ask((AGREED, *history), command).then(event)
    if not isinstance(command, ClearCredit):
        ask((AGREED, *history, event), command).then()


@pytest.mark.parametrize(
    ("history", "command"),
    [
        ((BLOCKED,), ClearCredit(reason=WHY)),
        ((BLOCKED,), HoldCredit(reason=WHY)),
        ((HELD,), WatchCredit(reason=WHY)),
        ((HELD,), UnblockCredit(reason=WHY)),
        ((HELD,), CloseCredit(reason=WHY)),
    ],
)
def test_an_account_leaves_a_standing_only_by_its_own_way(
    history: tuple[Any, ...], command: Any
) -> None:
    ask((AGREED, *history), command).refused("credit.wrong_stage")


def test_an_account_is_unblocked_by_two_persons() -> None:
    asked = requested(UnblockCredit(reason=WHY), AGREED, BLOCKED)
    assert state(*asked).status is CreditStatus.BLOCKED
    (unblocked,) = ask(asked, verdict_on(asked)).events
    assert isinstance(unblocked, CreditUnblocked)
    assert state(*asked, unblocked).status is CreditStatus.ACTIVE


def test_a_hold_is_ended_by_a_payment_or_by_two_persons() -> None:
    clear = ClearCredit(reason=WHY)
    asked = requested(clear, AGREED, MONEY, HELD)
    assert state(*asked).status is CreditStatus.ON_HOLD, "what came before it was held counts not"
    (cleared,) = ask(asked, verdict_on(asked)).events
    assert isinstance(cleared, CreditCleared)
    assert cleared.grant is not None
    after = state(*asked, cleared)
    assert (after.status, after.pending) == (CreditStatus.ACTIVE, {})


def test_who_is_paid_while_somebody_is_asked_ends_the_hold_alone() -> None:
    here = town(AGREED, HELD)
    assert here.ask(ClearCredit(reason=WHY), ACCOUNT) is None
    money = RecordCash(reference="BANK-1", amount=cny("10"), evidence=RECEIPT)
    for command in (money, ClearCredit(reason=WHY)):
        assert here.ask(command, ACCOUNT) is None
    assert (owner(here).status, owner(here).pending) == (CreditStatus.ACTIVE, {})
    is_closed(consents(here, 1))


def is_closed(refusal: Refused | None) -> None:
    assert refusal is not None
    assert refusal.code == "approval.closed"


def test_a_credit_note_or_nothing_at_all_is_no_payment_that_ends_a_hold() -> None:
    billed = OrderInvoiced(number="INV-1", order=SO1, amount=cny("10"))
    history = (AGREED, reserved("10", stage=Stage.SHIPPED), billed, HELD)
    settled = InvoiceSettled(
        invoice="INV-1", order=SO1, means=Means.PAYMENT, reference="R", amount=cny("10")
    )
    assert state(*history, settled).paid_since_held
    note = settled.model_copy(update={"means": Means.CREDIT_NOTE})
    assert not state(*history, note).paid_since_held
    nothing = [event.model_copy(update={"amount": cny("0")}) for event in (settled, MONEY)]
    assert not state(*history, *nothing).paid_since_held


def test_money_that_was_paid_back_ends_no_hold() -> None:
    back = CashReturned(reference=MONEY.reference, amount=MONEY.amount, evidence=RECEIPT)
    assert state(AGREED, HELD, MONEY).paid_since_held
    requested(ClearCredit(reason=WHY), AGREED, HELD, MONEY, back)


@pytest.mark.parametrize("command", [BlockCredit(reason=WHY), OVERRIDE], ids=["block", "override"])
def test_nobody_is_asked_any_longer_to_end_a_hold_that_has_ended(command: Any) -> None:
    here = town(AGREED, HELD)
    for each in (ClearCredit(reason=WHY), command):
        assert here.ask(each, ACCOUNT) is None
    if command is OVERRIDE:
        assert consents(here, 2) is None
    assert owner(here).pending == {}
    is_closed(consents(here, 1))


def test_an_approved_override_ends_a_hold_but_not_a_block() -> None:
    held = agreed_to(OVERRIDE, AGREED, HELD)
    assert state(*held).status is CreditStatus.ACTIVE
    assert state(*agreed_to(OVERRIDE, AGREED, BLOCKED)).status is CreditStatus.BLOCKED


def test_an_account_is_not_closed_while_something_is_owed() -> None:
    ask((AGREED, reserved("1"), BLOCKED), CloseCredit(reason=WHY)).refused("credit.still_owed")


@pytest.mark.parametrize("command", [AGREE, MORE, OVERRIDE, BlockCredit(reason=WHY)])
def test_a_closed_account_stays_closed(command: Any) -> None:
    ask((AGREED, BLOCKED, CreditClosed(reason=WHY)), command).refused("credit.closed")


# Groups

GROUP_LIMIT = GroupLimitAgreed(limit=cny("1200"), reason=WHY)
HEAD_AGREED = CreditAgreed(customer=CANCER, limit=cny("5000"), payment_days=30, reason=WHY)
MEMBER = (AGREED, JOINED)


def test_a_member_brings_what_it_owes_into_the_group_k7() -> None:
    outcome = account(AGREED, reserved("400"), head=(HEAD_AGREED,)).when(
        JoinGroup(head=HEAD, reason=WHY), ACCOUNT
    )
    outcome.then(JOINED)
    assert outcome.also == {HEAD: [MemberJoined(member=ACCOUNT, owed=(cny("400"),))]}


def test_the_group_limit_is_checked_over_the_head_and_all_members_k7() -> None:
    sister = CreditAccountId("credit-account:sister")
    group = (
        HEAD_AGREED,
        GROUP_LIMIT,
        reserved("300", SO2),
        TAKEN_IN,
        MemberJoined(member=sister, owed=(cny("500"),)),
    )
    outcome = account(*MEMBER, head=group).when(reserving("400"), ACCOUNT).then(reserved("400"))
    assert outcome.also == {HEAD: [MemberNoted(member=ACCOUNT, owed=cny("400"))]}
    account(*MEMBER, head=group).when(reserving("400.01"), ACCOUNT).refused(
        "credit.no_room", "1200 agreed"
    )
    # The head's own orders count in the same way.
    account(*group).when(reserving("400.01"), HEAD).refused("credit.no_room")


def test_the_advance_of_a_member_makes_no_room_for_the_others_k7() -> None:
    """Otherwise one person could make room for a group, by taking in who has paid in advance."""
    rich = MemberJoined(member=CreditAccountId("credit-account:rich"), owed=(cny("-5000"),))
    group = (HEAD_AGREED, GROUP_LIMIT, rich, TAKEN_IN)
    member = account(AGREED.model_copy(update={"limit": cny("9000")}), JOINED, head=group)
    member.when(reserving("1200"), ACCOUNT).then(reserved("1200"))
    member.when(reserving("1200.01"), ACCOUNT).refused("credit.no_room", "on top of 0")


def test_a_group_that_is_stopped_stops_its_members_k7() -> None:
    account(*MEMBER, head=(HEAD_AGREED, TAKEN_IN, HELD)).when(reserving("1"), ACCOUNT).refused(
        "credit.no_room"
    )


def test_the_head_is_told_when_a_reservation_ends_k7() -> None:
    history = (*MEMBER, reserved("400"))
    end = EndReservation(order=SO1, amount=cny("150"))
    outcome = account(*history, head=(HEAD_AGREED, TAKEN_IN)).when(end, ACCOUNT)
    assert outcome.also == {HEAD: [MemberNoted(member=ACCOUNT, owed=cny("250"))]}


def test_a_member_takes_what_it_owes_along_when_it_leaves_k7() -> None:
    history = (*MEMBER, reserved("400"))
    head = (HEAD_AGREED, MemberJoined(member=ACCOUNT, owed=(cny("400"),)))
    asked = requested(LeaveGroup(reason=WHY), *history)
    outcome = account(*asked, head=head).when(verdict_on(asked), ACCOUNT)
    (left,) = outcome.events
    assert isinstance(left, GroupLeft)
    assert left.head == HEAD
    assert outcome.also == {HEAD: [MemberLeft(member=ACCOUNT)]}
    assert state(*head, MemberLeft(member=ACCOUNT)).group_exposure("CNY", FAR) == 0


def test_who_has_a_member_leave_its_group_needs_another_person_k7() -> None:
    """Otherwise its finance alone would be rid of the limit of the group."""
    head = (HEAD_AGREED, GROUP_LIMIT, MemberJoined(member=ACCOUNT, owed=(cny("900"),)))
    here = town(AGREED, JOINED, reserved("900"), head=head)
    assert here.ask(LeaveGroup(reason=WHY), ACCOUNT, by="chen") is None
    assert owner(here).head == HEAD, "until somebody has agreed"
    refusal = consents(here, 1, by="chen")
    assert refusal is not None
    assert refusal.code == "approval.approver_is_author"
    assert consents(here, 1, by="wang") is None
    assert (owner(here).head, owner(here).pending) == (None, {})
    assert not state(*here.streams[HEAD]).members


def test_a_member_that_may_not_leave_stays_k7() -> None:
    asked = requested(LeaveGroup(reason=WHY), *MEMBER)
    rejected = ask(asked, verdict_on(asked, granted=False)).events
    assert state(*asked, *rejected).head == HEAD
    ask((AGREED,), LeaveGroup(reason=WHY)).then()


def test_who_joins_a_group_does_not_escape_the_group_limit_of_its_own_k7() -> None:
    """A head without members joins a group that has no limit at all."""
    own = GroupLimitAgreed(limit=cny("200"), reason=WHY)
    generous = account(AGREED, own, JOINED, head=(HEAD_AGREED, TAKEN_IN))
    generous.when(reserving("200"), ACCOUNT).then(reserved("200"))
    generous.when(reserving("200.01"), ACCOUNT).refused("credit.no_room", "200 agreed")


@pytest.mark.parametrize(
    ("history", "head"),
    [
        ((AGREED,), (HEAD_AGREED, JOINED)),
        ((AGREED, MemberJoined(member=HEAD, owed=())), (HEAD_AGREED,)),
    ],
    ids=["a head with a head", "a head that joins"],
)
def test_a_group_has_one_level_k7(history: tuple[Any, ...], head: tuple[Any, ...]) -> None:
    account(*history, head=head).when(JoinGroup(head=HEAD, reason=WHY), ACCOUNT).refused(
        "credit.group_of_groups"
    )


def test_nobody_is_its_own_head_k7() -> None:
    ask((AGREED,), JoinGroup(head=ACCOUNT, reason=WHY)).refused("credit.group_of_groups")


def test_an_account_belongs_to_one_group_k7() -> None:
    other = CreditAccountId("credit-account:other")
    known = given(*MEMBER, others={other: (HEAD_AGREED,)})
    known.when(JoinGroup(head=other, reason=WHY), ACCOUNT).refused("credit.in_a_group")
    account(*MEMBER, head=(HEAD_AGREED,)).when(JoinGroup(head=HEAD, reason=WHY), ACCOUNT).then()


def test_a_raised_group_limit_needs_another_person_k7() -> None:
    first = AgreeGroupLimit(limit=cny("1200"), reason=WHY)
    ask((AGREED,), first).then(GROUP_LIMIT)
    asked = requested(AgreeGroupLimit(limit=cny("1300"), reason=WHY), AGREED, GROUP_LIMIT)
    after = state(*asked, *ask(asked, verdict_on(asked)).events)
    assert (after.group_limit, after.pending) == (cny("1300"), {})
    lower = AgreeGroupLimit(limit=cny("10"), reason=WHY)
    ask((AGREED, GROUP_LIMIT), lower).then(GroupLimitAgreed(limit=cny("10"), reason=WHY))


def test_an_override_of_the_head_widens_the_group_limit_k4_k7() -> None:
    asked = account(HEAD_AGREED, GROUP_LIMIT, TAKEN_IN).when(OVERRIDE, HEAD).events
    (request,) = [event for event in asked if isinstance(event, CreditChangeRequested)]
    assert request.request.matter is Matter.OVERRIDE
    granted = OverrideGranted(
        amount=cny("500"),
        until=FAR,
        reason=WHY,
        grant=RAISED.grant,  # type: ignore[attr-defined]
    )
    head = state(HEAD_AGREED, GROUP_LIMIT, TAKEN_IN, granted)
    member = state(
        AGREED.model_copy(update={"limit": cny("9000")}),
        JOINED,
    )
    assert member.objection(cny("1700"), NOON.date(), head) is None
    assert member.objection(cny("1700.01"), NOON.date(), head) == Sentence(
        "1700.01 CNY on top of 0 would be more than the 1700 agreed with cms-010001",
        "现有敞口 0, 加上 1700.01 CNY 将超出 cms-010001 的额度 1700",
    )
