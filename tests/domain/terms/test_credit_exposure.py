"""What is owed comes and goes by reservations, invoices, cash and guarantees (K1, K3, K5)."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.domain.orders.examples import cny
from tests.domain.terms.accounts import (
    AGREED,
    FAR,
    LONG_AGO,
    RECEIPT,
    SO1,
    SO2,
    WHY,
    ask,
    exposure,
    reserved,
    reserving,
)

from medsales.domain.kernel import Event
from medsales.domain.terms.credit import CreditAccount
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
    ReservationEnded,
    ReservationShipped,
    ReturnCash,
    Stage,
)
from medsales.domain.values import Money

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
    end = EndReservation(order=SO1, amount=cny("100"), why=Ending.CANCELLED)
    ended = ReservationEnded(
        order=SO1, amount=cny("100"), stage=Stage.CONFIRMED, why=Ending.CANCELLED
    )
    ask((RESERVED, SHIPPED), end).then(ended)
    ask((RESERVED, SHIPPED, ended), end).then()


def test_a_reservation_that_has_ended_wholly_is_gone_and_may_begin_again_k3() -> None:
    whole = ReservationEnded(
        order=SO1, amount=cny("400"), stage=Stage.CONFIRMED, why=Ending.CANCELLED
    )
    assert CreditAccount().after((RESERVED, whole)).reservations == {}
    ask((RESERVED, whole), reserving("400")).then(RESERVED)


def test_what_is_returned_ends_what_is_not_billed_k3() -> None:
    """Of 300 shipped 250 are billed: for those a credit note is needed."""
    back = EndReservation(order=SO1, amount=cny("300"), why=Ending.RETURNED)
    outcome = ask((RESERVED, SHIPPED, BILLED), back)
    outcome.then(
        ReservationEnded(order=SO1, amount=cny("50"), stage=Stage.SHIPPED, why=Ending.RETURNED)
    )
    note = PAY.model_copy(update={"means": Means.CREDIT_NOTE, "amount": cny("250")})
    settled = ask((RESERVED, SHIPPED, BILLED, *outcome.events), note).events
    assert exposure(RESERVED, SHIPPED, BILLED, *outcome.events, *settled) == 100


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


def test_a_guarantee_is_recorded_once_and_given_back() -> None:
    record = RecordGuarantee(
        number="LG-1", guarantor="工商银行", amount=cny("50"), until=FAR, evidence=RECEIPT
    )
    ask((AGREED,), record).then(GUARANTEE)
    ask((AGREED, GUARANTEE), record).then()
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
