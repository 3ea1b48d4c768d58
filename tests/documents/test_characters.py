"""Nothing vanishes in print: not a rare character of a name, not what cannot be seen."""

import unicodedata

import pytest

from medsales.documents.characters import FONT, in_font, printable, visible
from medsales.documents.words import Word


def test_the_font_holds_the_names_of_people_and_hospitals() -> None:
    for name in (
        "䶮",
        "堃",
        "喆",
        "㛃",
        "𬬭",
        "犇",
        "淼",
        "協和醫院",
        "Müller",
        "Ж",
        "Ω",
        "①",
        "℃",
        "Ⅲ",
    ):
        assert printable(name) == name


def test_the_font_holds_all_of_gb_2312_and_everything_we_print_ourselves() -> None:
    gb2312 = {
        bytes((row, cell)).decode("gb2312", "ignore")
        for row in range(0xB0, 0xF8)
        for cell in range(0xA1, 0xFF)
    } - {""}
    assert len(gb2312) == 6763
    ours = {character for word in Word for character in word.en + word.zh}
    assert {ord(character) for character in gb2312 | ours} <= in_font()


def test_the_font_is_small_enough_to_ship() -> None:
    assert FONT.stat().st_size < 3_000_000
    assert (FONT.parent / "OFL.txt").read_text().startswith("Copyright")


def test_what_the_font_does_not_hold_is_printed_by_its_code() -> None:
    assert printable("𠮷野 🏥 龑") == "[U+20BB7]野 [U+1F3E5] [U+9F91]"
    assert visible("𠮷野 🏥 龑") == "𠮷野 🏥 龑"


@pytest.mark.parametrize(
    "hidden", ["\u202e", "\u200b", "\u2066", "\x00", "\x1b", "\u2028", "\ue000", "\x85"]
)
def test_what_cannot_be_seen_is_shown_by_its_code(hidden: str) -> None:
    assert visible(f"a{hidden}b") == f"a[U+{ord(hidden):04X}]b" == printable(f"a{hidden}b")


def test_a_text_keeps_its_paragraphs() -> None:
    assert printable("一\n二\r\n三\t四") == "一\n二\n三 四"


def test_two_writings_of_the_same_letter_are_printed_the_same() -> None:
    assert printable(unicodedata.normalize("NFD", "é")) == printable("é") == "é"
