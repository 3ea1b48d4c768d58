"""Money is exact and of one currency, dates say no more than they know, numbers are checked."""

from datetime import date
from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError
from stdnum.cn import uscc

from medsales.domain.kernel import Refused
from medsales.domain.values import (
    Money,
    PartialDate,
    Precision,
    Quantity,
    Uscc,
    months_after,
)

A_COMPANY = "91110000600037341L"


def yuan(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


def test_p8_money_is_added_exactly() -> None:
    assert yuan("0.10") + yuan("0.20") == yuan("0.30")


def test_p8_a_price_times_pieces_is_exact() -> None:
    assert yuan("0.1") * 3 == yuan("0.3")
    assert str(yuan("1250.00") * 2) == "2500.00 CNY"


def test_p8_currencies_are_not_mixed() -> None:
    with pytest.raises(Refused) as refusal:
        yuan("1") + Money(amount=Decimal(1), currency="EUR")
    assert refusal.value.code == "money.currencies_differ"


@pytest.mark.parametrize("amount", ["0.00001", "NaN", "Infinity", "1e18"])
def test_p8_an_amount_is_a_decimal_that_can_be_kept(amount: str) -> None:
    with pytest.raises(ValidationError):
        yuan(amount)


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001, 1.5, "two"])
def test_a_quantity_is_a_whole_number_of_at_least_one(quantity: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Quantity).validate_python(quantity)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 6, 1), 24, date(2028, 6, 1)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 6, 1), 0, date(2026, 6, 1)),
    ],
)
def test_u7_months_end_on_the_same_day_or_the_last(day: date, months: int, expected: date) -> None:
    assert months_after(day, months) == expected


@pytest.mark.parametrize(
    ("known", "last"),
    [
        (PartialDate.month(2028, 2), date(2028, 2, 29)),
        (PartialDate.month(2027, 2), date(2027, 2, 28)),
        (PartialDate(on=date(2027, 1, 31)), date(2027, 1, 31)),
        (PartialDate(on=date(2027, 1, 1)), date(2027, 1, 1)),
        (PartialDate(on=date(2027, 1, 5), precision=Precision.HOUR, hour=9), date(2027, 1, 5)),
    ],
    ids=str,
)
def test_udi5_a_month_means_up_to_its_last_day(known: PartialDate, last: date) -> None:
    assert known.last_day == last


def test_udi5_a_date_is_shown_as_exactly_as_it_is_known() -> None:
    assert str(PartialDate.month(2028, 2)) == "2028-02"
    assert str(PartialDate(on=date(2028, 2, 1))) == "2028-02-01"
    hourly = PartialDate(on=date(2028, 2, 1), precision=Precision.HOUR, hour=9)
    assert str(hourly) == "2028-02-01 9:00Z"


@pytest.mark.parametrize(
    "said",
    [
        {"on": date(2028, 2, 2), "precision": Precision.MONTH},
        {"on": date(2028, 2, 1), "precision": Precision.HOUR},
        {"on": date(2028, 2, 1), "hour": 9},
    ],
)
def test_udi5_a_date_says_no_more_than_it_knows(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PartialDate.model_validate(said)


def test_a_social_credit_code_is_checked_as_others_check_it() -> None:
    assert uscc.is_valid(A_COMPANY)
    assert TypeAdapter(Uscc).validate_python(A_COMPANY) == A_COMPANY


@pytest.mark.parametrize("wrong", ["91110000600037341M", "9111000060003734IL", "9133", ""])
def test_a_wrong_social_credit_code_is_not_taken(wrong: str) -> None:
    assert not uscc.is_valid(wrong)
    with pytest.raises(ValidationError):
        TypeAdapter(Uscc).validate_python(wrong)


def test_p8_an_amount_is_never_a_float() -> None:
    with pytest.raises(ValidationError, match="as a text"):
        Money.model_validate_json('{"amount": 12345678901234.5678, "currency": "CNY"}')
    exact = Money.model_validate_json('{"amount": "12345678901234.5678", "currency": "CNY"}')
    assert str(exact.amount) == "12345678901234.5678"
