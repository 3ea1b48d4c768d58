"""How each language writes a day, an amount and a sum."""

from datetime import date

import pytest

from medsales.documents.sheet import Language
from medsales.documents.words import Word, in_capitals, say
from medsales.domain.values import Money


def yuan(amount: str) -> Money:
    return Money(amount=amount, currency="CNY")


@pytest.mark.parametrize("word", Word)
def test_every_word_is_there_in_both_languages(word: Word) -> None:
    assert any("\u4e00" <= character <= "\u9fff" for character in word.zh)
    assert word.en.isascii()


def test_what_is_said_is_written_as_the_language_writes_it() -> None:
    assert say(date(2026, 3, 1), Language.ZH) == "2026年3月1日"
    assert say(date(2026, 3, 1), Language.EN) == "2026-03-01"
    assert say(Word.TOTAL, Language.ZH) == "合计"
    assert say("Wang 王", Language.EN) == "Wang 王"


def test_an_amount_loses_no_digit() -> None:
    assert say(yuan("1234567.5000"), Language.EN) == "CNY 1,234,567.5000"
    assert say(yuan("0.0001"), Language.EN) == "CNY 0.0001"
    assert say(Money(amount="1E+7", currency="JPY"), Language.ZH) == "JPY 10,000,000"


@pytest.mark.parametrize(
    ("amount", "capitals"),
    [
        ("0", "零元整"),
        ("0.05", "伍分"),
        ("0.50", "伍角整"),
        ("3.05", "叁元零伍分"),
        ("12.30", "壹拾贰元叁角整"),
        ("1250.00", "壹仟贰佰伍拾元整"),
        ("1005", "壹仟零伍元整"),
        ("100000", "壹拾万元整"),
        ("100100", "壹拾万零壹佰元整"),
        ("20300400", "贰仟零叁拾万零肆佰元整"),
        ("100010001", "壹亿零壹万零壹元整"),
        ("100000000.01", "壹亿元零壹分"),
        ("999999999999.99", "玖仟玖佰玖拾玖亿玖仟玖佰玖拾玖万玖仟玖佰玖拾玖元玖角玖分"),
    ],
)
def test_a_sum_in_capitals(amount: str, capitals: str) -> None:
    assert in_capitals(yuan(amount)) == capitals


@pytest.mark.parametrize("amount", ["0.001", "1000000000000", "-1"])
def test_a_sum_that_cannot_be_written_in_capitals_exactly_is_not(amount: str) -> None:
    assert in_capitals(yuan(amount)) is None


def test_only_yuan_are_written_in_capitals() -> None:
    assert in_capitals(Money(amount="1", currency="USD")) is None
