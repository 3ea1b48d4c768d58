"""What is owed comes and goes by reservations, invoices, cash and guarantees (K1, K3, K5)."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.domain.orders.examples import cny
from tests.domain.terms.accounts import (
    ACCOUNT,
    AGREED,
    FAR,
    HEAD,
    LONG_AGO,
    RECEIPT,
    SO1,
    SO2,
    WHY,
    agreed_to,
    ask,
    consents,
    exposure,
    owner,
    requested,
    reserved,
    reserving,
    town,
    verdict_on,
)

from medsales.domain.kernel import Event
from medsales.domain.terms.credit import (
    CreditAccount,
    CreditChangeRequested,
)
from medsales.domain.terms.credit_exposure import (
    CashRecorded,
    CashReturned,
    EndGuarantee,
    Ending,
    EndReservation,
    GuaranteeEnded,
    GuaranteeRecorded,
    InvoiceSettled,
    Means,
    MoveReservation,
    OrderInvoiced,
    RecordCash,
    RecordGuarantee,
    RecordInvoice,
    RecordSettlement,
    ReleaseReservation,
    ReservationEnded,
    ReservationShipped,
    ReturnCash,
    ReturnNoted,
    Stage,
    TakeReturn,
)
from medsales.domain.terms.credit_group import MemberJoined
from medsales.domain.values import Money
from medsales.engine.memory import restored, stored

RESERVED = reserved("400")
SHIPPED = ReservationShipped(order=SO1, amount=cny("300"))
BILL = RecordInvoice(number="INV-1", order=SO1, amount=cny("250"))
BILLED = OrderInvoiced(number="INV-1", order=SO1, amount=cny("250"))
PAY = RecordSettlement(invoice="INV-1", means=Means.PAYMENT, reference="BANK-1", amount=cny("100"))
PAID = InvoiceSettled(
    invoice="INV-1", order=SO1, means=Means.PAYMENT, reference="BANK-1", amount=cny("100")
)
ADVANCE = CashRecorded(reference="BANK-2", amount=cny("80"), evidence=RECEIPT)
GUARANTEE = GuaranteeRecorded(
    number="LG-1", guarantor="工商银行", amount=cny("50"), until=FAR, evidence=RECEIPT
)
LIFE: tuple[Event[Any], ...] = (AGREED, RESERVED, SHIPPED, BILLED, PAID, ADVANCE, GUARANTEE)


def test_exposure_is_the_sum_of_its_parts_k1() -> None:
    """100 confirmed, 50 shipped, 150 of the invoice open, 80 of cash, 50 guaranteed."""
    assert exposure(*LIFE) == 100 + 50 + 150 - 80 - 50


def test_moving_on_changes_no_exposure_k1() -> None:
    assert exposure(RESERVED) == exposure(RESERVED, SHIPPED) == exposure(*LIFE[:4]) == 400


def test_a_guarantee_counts_to_its_last_day_k1() -> None:
    assert exposure(RESERVED, GUARANTEE, on=FAR) == 350
    assert exposure(RESERVED, GUARANTEE, on=date(2027, 1, 1)) == 400


def test_what_is_shipped_is_no_longer_confirmed_k1() -> None:
    ask((RESERVED,), MoveReservation(order=SO1, amount=cny("300"))).then(SHIPPED)


@pytest.mark.parametrize(
    ("history", "command"),
    [
        ((RESERVED,), MoveReservation(order=SO1, amount=cny("400.01"))),
        ((RESERVED,), MoveReservation(order=SO2, amount=cny("1"))),
        ((RESERVED, SHIPPED), BILL.model_copy(update={"amount": cny("300.01")})),
        ((RESERVED,), BILL),
        (
            (RESERVED, SHIPPED, BILLED),
            BILL.model_copy(update={"number": "INV-2", "amount": cny("51")}),
        ),
    ],
    ids=["more shipped", "another order", "more billed", "not shipped", "billed already"],
)
def test_nothing_of_a_reservation_ends_twice_k3(history: tuple[Any, ...], command: Any) -> None:
    ask(history, command).refused("credit.more_than_reserved")


def test_an_order_reserves_once_k3() -> None:
    ask((RESERVED,), reserving("1")).refused("credit.reserved_already")


def test_what_is_cancelled_ends_what_was_confirmed_k3() -> None:
    end = EndReservation(order=SO1, amount=cny("100"))
    ended = ReservationEnded(
        order=SO1, amount=cny("100"), stage=Stage.CONFIRMED, why=Ending.CANCELLED
    )
    ask((RESERVED, SHIPPED), end).then(ended)
    ask((RESERVED, SHIPPED, ended), end).then()


def test_a_reservation_that_has_ended_wholly_is_gone_and_may_begin_again_k3() -> None:
    whole = ReservationEnded(
        order=SO1, amount=cny("400"), stage=Stage.CONFIRMED, why=Ending.CANCELLED
    )
    assert not CreditAccount().after((RESERVED, whole)).reservations
    ask((RESERVED, whole), reserving("400")).then(RESERVED)


def back(amount: str, *, whole: bool = False, alone: bool = True) -> TakeReturn:
    return TakeReturn(order=SO1, amount=cny(amount), whole=whole, alone=alone)


def ended_for(amount: str) -> ReservationEnded:
    return ReservationEnded(order=SO1, amount=cny(amount), stage=Stage.SHIPPED, why=Ending.RETURNED)


def noted(amount: str) -> ReturnNoted:
    return ReturnNoted(order=SO1, amount=cny(amount))


def release(amount: str) -> ReleaseReservation:
    return ReleaseReservation(order=SO1, amount=cny(amount), reason=WHY)


def test_what_comes_back_before_anything_is_billed_is_owed_no_longer_k3() -> None:
    ask((RESERVED, SHIPPED), back("120")).then(ended_for("120"))
    assert exposure(RESERVED, SHIPPED, ended_for("120")) == 280


def test_a_return_of_billed_goods_leaves_what_the_customer_keeps_owed_k1_k3() -> None:
    """A pump of 250 is billed and comes back; a stent of 50 stays, and is billed later."""
    ask((RESERVED, SHIPPED, BILLED), back("250")).then(noted("250"))
    history = (RESERVED, SHIPPED, BILLED, noted("250"))
    assert exposure(*history) == exposure(*history[:3]) == 400
    note = NOTE.model_copy(update={"amount": cny("250")})
    credited = agreed_to(note, *history)
    assert exposure(*credited) == 150
    ask(credited, release("50")).refused("credit.more_than_returned", "at most 0")
    stent = RecordInvoice(number="INV-2", order=SO1, amount=cny("50"))
    assert exposure(*credited, *ask(credited, stent).events) == 150


def test_what_came_back_unbilled_is_released_when_somebody_else_agrees_k3() -> None:
    """It was the stent of 50: finance says so, and one person is not enough."""
    history = (RESERVED, SHIPPED, BILLED, noted("50"))
    for amount in ("50.01", "0", "-1"):
        ask(history, release(amount)).refused("credit.more_than_returned", "at most 50")
    asked = requested(release("50"), *history)
    assert exposure(*asked) == 400
    outcome = ask(asked, verdict_on(asked))
    (ended,) = outcome.events
    assert isinstance(ended, ReservationEnded)
    assert ended.grant is not None
    assert ended.grant.approvers == ("wang",)
    after = CreditAccount().after((*asked, ended))
    assert after.exposure("CNY", FAR) == 350
    assert after.pending == {}
    ask((*asked, ended), release("50")).refused("credit.more_than_returned", "at most 0")


def test_what_was_billed_since_is_not_released_k3() -> None:
    asked = requested(release("50"), RESERVED, SHIPPED, BILLED, noted("50"))
    billed = BILLED.model_copy(update={"number": "INV-2", "amount": cny("20")})
    ask((*asked, billed), verdict_on(asked)).refused("credit.more_than_returned", "at most 30")


def test_what_counts_as_a_whole_with_other_goods_is_not_released_by_a_return_alone_k3() -> None:
    """A gift is not kept by who returns what it was given with."""
    ask((RESERVED, SHIPPED), back("300", alone=False)).then(noted("300"))
    together = (RESERVED, SHIPPED, noted("300"))
    gift_too = back("0", whole=True, alone=False)
    ask(together, gift_too).then(ended_for("300"))
    assert exposure(*together, ended_for("300")) == 100


def test_what_comes_back_after_all_was_billed_waits_for_a_credit_note_k3() -> None:
    all_billed = BILLED.model_copy(update={"amount": cny("300")})
    history = (reserved("300"), SHIPPED, all_billed)
    ask(history, back("100")).then(noted("100"))
    assert exposure(*history, noted("100")) == 300
    ask((*history, noted("100")), release("100")).refused("credit.more_than_returned")


def test_a_gift_that_comes_back_changes_nothing_k3() -> None:
    ask((RESERVED, SHIPPED), back("0", alone=False)).then()


def test_what_is_returned_ends_what_is_not_billed_k3() -> None:
    """All 300 that were shipped are back, and 250 are billed: for those a credit note is needed."""
    outcome = ask((RESERVED, SHIPPED, BILLED), back("300", whole=True))
    outcome.then(ended_for("50"), ReturnNoted(order=SO1, amount=cny("250")))
    note = NOTE.model_copy(update={"amount": cny("250")})
    assert exposure(*agreed_to(note, RESERVED, SHIPPED, BILLED, *outcome.events)) == 100


NOTE = RecordSettlement(
    invoice="INV-1", means=Means.CREDIT_NOTE, reference="CN-1", amount=cny("200"), evidence=RECEIPT
)


def test_a_credit_note_counts_once_somebody_else_has_agreed() -> None:
    """It brings no money: otherwise finance alone could make room by writing one."""
    asked = requested(NOTE, *LIFE[:4])
    assert exposure(*asked) == exposure(*LIFE[:4]) == 400
    (settled,) = ask(asked, verdict_on(asked)).events
    assert isinstance(settled, InvoiceSettled)
    assert settled.grant is not None
    assert (settled.grant.approvers, settled.grant.requested_by) == (("wang",), "chen")
    assert (settled.means, settled.amount, settled.evidence) == (NOTE.means, cny("200"), RECEIPT)
    after = CreditAccount().after((*asked, settled))
    assert after.exposure("CNY", FAR) == 200
    assert after.pending == {}
    ask((*asked, settled), NOTE).then()
    rejected = ask(asked, verdict_on(asked, granted=False)).events
    assert exposure(*asked, *rejected) == 400


def test_a_credit_note_is_never_above_what_is_open_when_it_counts_k5() -> None:
    more = NOTE.model_copy(update={"amount": cny("250.01")})
    ask(LIFE[:4], more).refused("credit.more_than_open")
    asked = requested(NOTE, *LIFE[:4])
    ask((*asked, PAID), verdict_on(asked)).refused("credit.more_than_open", "150 of INV-1")
    namesake = PAID.model_copy(update={"reference": "CN-1", "amount": cny("1")})
    ask((*asked, namesake), verdict_on(asked)).refused("credit.reference_taken", "as 1 since")


def test_two_credit_notes_wait_beside_each_other_and_one_for_itself_alone() -> None:
    one = NOTE.model_copy(update={"amount": cny("10")})
    other = one.model_copy(update={"reference": "CN-2"})
    here = town(*LIFE[:4])
    less = one.model_copy(update={"amount": cny("9")})
    for command, waiting in ((one, [1]), (other, [1, 2]), (one, [1, 2]), (less, [2, 3])):
        assert here.ask(command, ACCOUNT) is None
        assert list(owner(here).pending) == waiting


def test_what_has_been_shipped_is_billed_once_k3() -> None:
    ask((RESERVED, SHIPPED), BILL).then(BILLED)
    ask((RESERVED, SHIPPED, BILLED), BILL).then()
    other = BILL.model_copy(update={"amount": cny("1")})
    ask((RESERVED, SHIPPED, BILLED), other).refused("credit.invoice_taken", "another: 250 CNY")


def test_an_invoice_is_in_the_currency_of_its_order() -> None:
    euro = BILL.model_copy(update={"amount": Money(amount="1", currency="EUR")})
    ask((RESERVED, SHIPPED), euro).refused("money.currencies_differ")


def test_a_payment_is_counted_once_and_never_above_the_invoice_k5() -> None:
    ask(LIFE[:4], PAY).then(PAID)
    ask(LIFE[:5], PAY).then()
    more = PAY.model_copy(update={"reference": "BANK-9", "amount": cny("150.01")})
    ask(LIFE[:5], more).refused("credit.more_than_open", "150 of INV-1")
    ask(LIFE[:3], PAY).refused("credit.no_such_part", "no invoice INV-1")


def test_cash_on_account_pays_an_invoice_without_changing_the_exposure_k1_k5() -> None:
    from_cash = PAY.model_copy(
        update={"means": Means.UNAPPLIED_CASH, "reference": "BANK-2", "amount": cny("80")}
    )
    outcome = ask(LIFE, from_cash)
    assert exposure(*LIFE, *outcome.events) == exposure(*LIFE)
    again = from_cash.model_copy(update={"amount": cny("0.01")})
    ask((*LIFE, *outcome.events), again).refused("credit.more_than_open", "0 of BANK-2")
    strange = from_cash.model_copy(update={"reference": "BANK-7"})
    ask(LIFE, strange).refused("credit.no_such_part")


def test_cash_is_recorded_once_and_paid_back_only_as_far_as_it_is_there_k6() -> None:
    record = RecordCash(reference="BANK-2", amount=cny("80"), evidence=RECEIPT)
    ask((AGREED,), record).then(ADVANCE)
    ask((AGREED, ADVANCE), record).then()
    back = ReturnCash(reference="BANK-2", amount=cny("80"), evidence=RECEIPT)
    returned = CashReturned(reference="BANK-2", amount=cny("80"), evidence=RECEIPT)
    ask((AGREED, ADVANCE), back).then(returned)
    assert exposure(AGREED, ADVANCE, returned) == 0
    ask((AGREED, ADVANCE, returned), back).refused("credit.more_than_open")


def test_cash_and_guarantees_make_room_k1_k2() -> None:
    ask((AGREED, ADVANCE, GUARANTEE), reserving("1130")).then(reserved("1130"))
    ask((AGREED, ADVANCE, GUARANTEE), reserving("1130.01")).refused("credit.no_room")


RECORD = RecordGuarantee(
    number="LG-1", guarantor="工商银行", amount=cny("50"), until=FAR, evidence=RECEIPT
)


def test_a_guarantee_counts_once_somebody_else_has_agreed_k1() -> None:
    """It makes room as a higher limit does."""
    asked = requested(RECORD, AGREED, RESERVED)
    assert exposure(*asked) == 400
    (recorded,) = ask(asked, verdict_on(asked)).events
    assert isinstance(recorded, GuaranteeRecorded)
    assert recorded.grant is not None
    assert (recorded.grant.approvers, recorded.grant.requested_by) == (("wang",), "chen")
    assert recorded.guarantee == GUARANTEE.guarantee
    after = CreditAccount().after((*asked, recorded))
    assert after.exposure("CNY", FAR) == 350
    assert after.pending == {}
    rejected = ask(asked, verdict_on(asked, granted=False)).events
    assert exposure(*asked, *rejected) == 400


@pytest.mark.parametrize(
    "change",
    [
        {"amount": cny("50.01")},
        {"amount": Money(amount="1", currency="EUR")},
        {"until": date(2027, 1, 1)},
        {"amount": cny("1"), "until": date(2027, 1, 1)},
        {"guarantor": "his brother"},
        {"number": "LG-2", "amount": cny("1")},
    ],
    ids=["more", "another currency", "longer", "less for longer", "of another", "one more"],
)
def test_who_makes_a_guarantee_secure_more_needs_another_person_k1(change: Any) -> None:
    (asked,) = ask((AGREED, GUARANTEE), RECORD.model_copy(update=change)).events
    assert isinstance(asked, CreditChangeRequested)
    assert exposure(AGREED, GUARANTEE, asked) == -50


def test_a_guarantee_is_made_smaller_or_shorter_at_once_k1() -> None:
    smaller = {"amount": cny("20"), "until": date(2026, 6, 30)}
    reduced = GUARANTEE.model_copy(update=smaller)
    ask((AGREED, GUARANTEE), RECORD.model_copy(update=smaller)).then(reduced)


@pytest.mark.parametrize(
    "command",
    [
        RECORD.model_copy(update={"amount": cny("20")}),
        EndGuarantee(number="LG-1", reason=WHY),
    ],
    ids=["smaller", "given back"],
)
def test_nobody_is_asked_any_longer_for_more_of_a_guarantee_that_is_less(command: Any) -> None:
    here = town(AGREED, GUARANTEE)
    for each in (RECORD.model_copy(update={"amount": cny("90")}), command):
        assert here.ask(each, ACCOUNT) is None
    assert owner(here).pending == {}
    refusal = consents(here, 1)
    assert refusal is not None
    assert refusal.code == "approval.closed"


def test_letters_of_guarantee_wait_beside_each_other() -> None:
    other = RECORD.model_copy(update={"number": "LG-2"})
    here = town(AGREED)
    more = RECORD.model_copy(update={"amount": RECORD.amount * 2})
    for command, waiting in ((RECORD, [1]), (other, [1, 2]), (RECORD, [1, 2]), (more, [2, 3])):
        assert here.ask(command, ACCOUNT) is None
        assert list(owner(here).pending) == waiting
    assert consents(here, 3) is None
    assert list(owner(here).guarantees) == ["LG-1"]


def test_a_guarantee_is_recorded_once_and_given_back() -> None:
    ask((AGREED, GUARANTEE), RECORD).then()
    end = EndGuarantee(number="LG-1", reason=WHY)
    ended = GuaranteeEnded(number="LG-1", reason=WHY)
    ask((AGREED, GUARANTEE), end).then(ended)
    assert exposure(AGREED, GUARANTEE, ended, on=LONG_AGO) == 0
    ask((AGREED, GUARANTEE, ended), end).refused("credit.no_such_part")


def test_an_amount_that_no_account_can_hold_is_refused() -> None:
    much = cny("90000000000000")
    ask((), reserving("1").model_copy(update={"amount": much})).refused("credit.amount_too_large")
    record = RecordCash(reference="B", amount=cny("-1"), evidence=RECEIPT)
    ask((AGREED,), record).refused("credit.negative")


def test_an_account_is_kept_by_currency() -> None:
    euro = RESERVED.model_copy(
        update={"amount": Money(amount=Decimal(7), currency="EUR"), "order": SO2}
    )
    after = CreditAccount().after((RESERVED, euro))
    assert after.exposure("CNY", FAR) == 400
    assert after.exposure("EUR", FAR) == 7


def test_an_account_comes_back_from_its_snapshot_with_all_its_parts() -> None:
    member = MemberJoined(member=HEAD, owed=(cny("5"), Money(amount="7", currency="EUR")))
    waiting = requested(RECORD.model_copy(update={"number": "LG-2"}), *LIFE, member)
    account = CreditAccount().after(waiting)
    again = restored(CreditAccount, stored(account))
    assert again == account
    more = PAID.model_copy(update={"reference": "BANK-9"})
    assert again.after((more,)).invoices["INV-1"].open == 50


def test_another_amount_under_the_name_of_a_payment_is_not_lost_in_silence_k5() -> None:
    """A bank pays in two parts, and somebody writes the same number to both."""
    ask(LIFE, PAY).then()
    second = PAY.model_copy(update={"amount": cny("50")})
    ask(LIFE, second).refused("credit.reference_taken", "counted as 100 before")
    cash = RecordCash(reference="BANK-2", amount=cny("80"), evidence=RECEIPT)
    returned = CashReturned(reference="BANK-2", amount=cny("30"), evidence=RECEIPT)
    ask((*LIFE, returned), cash).then()
    more = cash.model_copy(update={"amount": cny("81")})
    ask((*LIFE, returned), more).refused("credit.reference_taken", "counted as 80 before")
