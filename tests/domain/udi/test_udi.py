"""What a device identifier says, whoever issued it, and what becomes of a wrong one."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from biip import ParseConfig
from biip.gs1_messages import GS1Message
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from medsales.domain.kernel import Refused, Value
from medsales.domain.udi import (
    DiFormat,
    Issuer,
    ScannedUdi,
    Udi,
    digital_link,
    gs1_check_digit,
    gs1_element_string,
    parse_udi,
    scanning,
)
from medsales.domain.udi.gs1_carriers import Mode, scanned
from medsales.domain.udi.gs1_content import CSET_82
from medsales.domain.values import PartialDate, Precision

EXAMPLES = json.loads((Path(__file__).parent / "data" / "udi_examples.json").read_text("utf-8"))
DECODED = [e for e in EXAMPLES if e["value"] and "expect" in e and "mod-43" not in str(e)]
GTIN = "06901234567892"
STENT = f"(01){GTIN}(17)270131(10)A213B1(21)1234"


def refusal_of(raw: str, **hints: Any) -> str:
    with pytest.raises(Refused) as refusal:
        parse_udi(raw, **hints)
    assert refusal.value.sentence.en
    assert refusal.value.sentence.zh
    return refusal.value.code


def warned(raw: str) -> list[str]:
    return [w.code for w in parse_udi(raw, strict=False).warnings]


class TestExamples:
    @pytest.mark.parametrize("example", DECODED, ids=lambda e: e["value"])
    def test_a_published_example_is_read(self, example: dict[str, Any]) -> None:
        udi = parse_udi(example["value"])
        said = {
            "di": udi.di,
            "lot": udi.lot,
            "serial": udi.serial,
            "donation_id": udi.donation_id,
            "expiry": str(udi.expires),
            "manufacture_date": str(udi.manufactured),
        }
        assert {name: said[name] for name in example["expect"]} == example["expect"]
        assert udi.raw == example["value"]
        assert udi.issuer.value == example["issuer"].partition("-")[0].lower()

    def test_the_wrongly_checked_example_of_the_regulators_is_imported(self) -> None:
        (example,) = [e for e in EXAMPLES if "mod-43" in str(e)]
        udi = parse_udi(example["value"], strict=False)
        assert [w.code for w in udi.warnings] == ["udi.check_digit"]
        assert (udi.lot, udi.serial) == (example["expect"]["lot"], example["expect"]["serial"])
        assert str(udi.expires) == "2020-02-02 16:00Z"

    def test_eight_digit_dates_in_gs1_are_refused_and_kept_on_import(self) -> None:
        (example,) = [e for e in EXAMPLES if "expect_error" in e]
        assert refusal_of(example["value"]) == "udi.too_long"
        udi = parse_udi(example["value"], strict=False)
        assert (udi.di, udi.lot, udi.expires) == ("00851997007004", "5290-201001", None)
        assert udi.extra == {"17": "20231021", "11": "20201021"}

    def test_a_lost_separator_is_repaired_with_a_warning(self) -> None:
        (example,) = [e for e in EXAMPLES if "\u2194" in (e["value"] or "")]
        assert refusal_of(example["value"]) == "udi.separator_repaired"
        udi = parse_udi(example["value"], strict=False)
        assert (udi.raw, udi.symbology) == (example["value"], "]d2")
        assert (udi.lot, udi.serial) == ("NYFUL01", "192837")
        assert udi.extra == {"713": "A1B2C3D4E5F6G"}
        assert warned(example["value"]) == ["udi.separator_repaired"]

    def test_examples_without_a_string_are_the_only_ones_left_out(self) -> None:
        read = [e for e in EXAMPLES if e["value"]]
        assert len(read) == len(DECODED) + 3
        assert all(
            e["issuer"].startswith(("HIBCC", "MA", "AHM")) for e in EXAMPLES if e not in read
        )


class TestGs1:
    @pytest.mark.parametrize(
        "raw",
        [
            STENT,
            STENT.replace("(", "{").replace(")", "}"),
            f"]d201{GTIN}1727013110A213B1\x1d211234",
            f"]C101{GTIN}17270131\x1d10A213B1\x1d211234",
            f"]Q301{GTIN}1727013110A213B1\x1d211234\x1d",
            f"]J101{GTIN}1727013110A213B1\x1d211234",
            f"]e001{GTIN}1727013110A213B1\x1d211234",
            f"01{GTIN}1727013110A213B1\x1d211234",
            f"\x1d01{GTIN}1727013110A213B1\x1d211234",
            f"^01{GTIN}1727013110A213B1^211234",
            f"01{GTIN}1727013110A213B1^211234\r\n",
            f"(01){GTIN} (17)270131  (10)A213B1 (21)1234",
            f"https://example.com/shop/01/{GTIN}/10/A213B1/21/1234?17=270131&utm=x#top",
            "]d1https://id.gs1.org/01/6901234567892/10/A213B1/21/1234?17=270131",
            f"]Q1HTTPS://ID.GS1.ORG/01/{GTIN}/10/%41213B1/21/1234?17=270131",
        ],
    )
    def test_one_device_however_it_was_scanned(self, raw: str) -> None:
        udi = parse_udi(raw)
        assert (udi.issuer, udi.di, udi.lot, udi.serial) == (Issuer.GS1, GTIN, "A213B1", "1234")
        assert udi.expires == PartialDate(on=date(2027, 1, 31))
        assert (udi.raw, udi.warnings) == (raw, ())

    def test_the_month_alone_stays_a_month(self) -> None:
        made = parse_udi(f"(01){GTIN}(11)260200").manufactured
        assert made == PartialDate.month(2026, 2)

    @pytest.mark.parametrize(
        ("yy", "pivot", "year"),
        [
            ("76", 2026, 2076), ("77", 2026, 1977), ("00", 2026, 2000), ("50", 1999, 1950),
            ("49", 1999, 2049), ("48", 1999, 2048), ("40", 2095, 2140), ("99", 2026, 1999),
        ],
    )  # fmt: skip
    def test_a_two_digit_year_is_near_the_pivot(self, yy: str, pivot: int, year: int) -> None:
        udi = parse_udi(f"(01){GTIN}(17){yy}0101", century_pivot=pivot)
        assert udi.expires is not None
        assert udi.expires.on.year == year

    @pytest.mark.parametrize(
        ("raw", "di", "issued"),
        [
            ("02345673", "00000002345673", DiFormat.GTIN_8),
            ("]E402345673", "00000002345673", DiFormat.GTIN_8),
            ("416000336108", "00416000336108", DiFormat.GTIN_12),
            ("]E00416000336108", "00416000336108", DiFormat.GTIN_12),
            ("6901234567892", GTIN, DiFormat.GTIN_13),
            ("26901234567896", "26901234567896", DiFormat.GTIN_14),
        ],
    )
    def test_a_bare_gtin_gets_14_digits(self, raw: str, di: str, issued: DiFormat) -> None:
        udi = parse_udi(raw)
        assert (udi.di, udi.lot) == (di, None)
        assert udi.di_source_format is issued

    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            ("(01)06901234567893", "udi.check_digit"),
            ("06901234567893", "udi.check_digit"),
            ("(01)0690123456789", "udi.too_short"),
            ("(10)A213B1", "udi.ai_missing_pair"),
            (f"(01){GTIN}(37)5", "udi.ai_excluded_pair"),
            (f"(01){GTIN}(10)A(10)B", "udi.ai_differs"),
            (f"(01){GTIN}(17)271301", "udi.date"),
            (f"(01){GTIN}(10)A B", "udi.character"),
            (f"(01){GTIN}(10)😀", "udi.character"),
            (f"(01){GTIN}(10){'A' * 21}", "udi.too_long"),
            (f"(01){GTIN}(89)X", "udi.ai_unknown"),
            (f"(01){GTIN}(8007)FR12345678901234567", "udi.check_digit"),
            (f"(01){GTIN}(422)999", "udi.content"),
            (f"x(01){GTIN}", "udi.unknown_issuer"),
            (f"(01){GTIN}(10)A(b)", "udi.malformed"),
            ("(00)123456789012345675", "udi.no_di"),
            ("https://example.com/product/7", "udi.digital_link"),
            (f"]d201{GTIN}10A^21B", "udi.character"),
            ("", "udi.no_di"),
            ("no barcode at all", "udi.no_di"),
            ("1234567890", "udi.unknown_issuer"),
        ],
    )
    def test_what_is_wrong_is_refused_and_on_import_warned_about(self, raw: str, code: str) -> None:
        assert refusal_of(raw) == code
        assert code in warned(raw)

    def test_a_parenthesis_in_a_lot_is_escaped(self) -> None:
        assert parse_udi(rf"(01){GTIN}(10)A\(21)B").lot == "A(21)B"

    def test_case_is_never_folded(self) -> None:
        udi = parse_udi(f"(01){GTIN}(10)aBc(21)xYz")
        assert (udi.lot, udi.serial) == ("aBc", "xYz")
        assert (scanned("]d2x").mode, scanned("]D2x").mode) == (Mode.ELEMENTS, Mode.PLAIN)

    def test_a_count_and_other_elements_are_kept(self) -> None:
        udi = parse_udi(f"(01){GTIN}(30)12(240)REF-7")
        assert (udi.quantity, udi.extra) == (12, {"240": "REF-7"})


class TestImports:
    def test_a_gtin_with_a_wrong_check_digit_is_stored(self) -> None:
        udi = parse_udi("00718175003306", strict=False)
        assert (udi.issuer, udi.di) == (Issuer.GS1, "00718175003306")
        assert warned("00718175003306") == ["udi.check_digit"]

    def test_a_gtin_of_a_wrong_length_is_stored(self) -> None:
        udi = parse_udi("1234567890", strict=False, issuer=Issuer.GS1)
        assert (udi.issuer, udi.di) == (Issuer.GS1, "1234567890")
        assert [w.code for w in udi.warnings] == ["udi.malformed"]

    def test_a_di_of_an_unknown_issuer_is_stored(self) -> None:
        udi = parse_udi("XB-17", strict=False)
        assert (udi.issuer, udi.di) == (Issuer.OTHER, "XB-17")
        assert warned("XB-17") == ["udi.unknown_issuer"]

    def test_ali_health_publishes_no_layout_so_the_di_is_believed(self) -> None:
        assert parse_udi("8134567890123X", issuer=Issuer.AHM).di == "8134567890123X"

    @given(st.text(max_size=60))
    @settings(max_examples=300)
    def test_an_import_never_fails(self, raw: str) -> None:
        stored_and_read_again(parse_udi(raw, strict=False))

    @given(
        st.sampled_from(
            ["(01)", "]d2", "]E0", "+", "+A123", "=/", "=", "MA.156.M0.", "^", "https://"]
        ),
        st.text("0123456789ABab()=/+$&,>.{}%^?\x1d\x00\ud800", max_size=60),
    )
    @settings(max_examples=500)
    def test_an_import_of_half_a_barcode_never_fails(self, start: str, rest: str) -> None:
        stored_and_read_again(parse_udi(start + rest, strict=False))

    @pytest.mark.parametrize("raw", ["A" * 10_000, "(01)" * 2_500, "1" * 10_000, "+" * 10_000])
    def test_ten_thousand_characters_are_refused_and_cut_on_import(self, raw: str) -> None:
        assert refusal_of(raw) == "udi.too_long"
        assert parse_udi(raw, strict=False).raw == raw[:500]

    def test_what_cannot_be_stored_is_replaced(self) -> None:
        assert refusal_of(f"(01){GTIN}\x00") == "udi.character"
        assert parse_udi("A\x00B", strict=False).raw == "A\ufffdB"
        assert parse_udi("A\ud800B", strict=False).raw == "A\ufffdB"

    def test_emoji_are_kept(self) -> None:
        assert parse_udi("😀", strict=False).raw == "😀"


class TestOtherIssuers:
    MA = "MA.156.M0.123ABC.1ABCDEFX"

    def test_ma_with_its_segments(self) -> None:
        udi = parse_udi(f"{self.MA}.LB-7.S0001.M260131.DST9.V20290130")
        assert (udi.issuer, udi.di) == (Issuer.MA, self.MA)
        assert (udi.lot, udi.serial, udi.extra) == ("B-7", "0001", {"D": "ST9"})
        assert str(udi.manufactured) == "2026-01-31"
        assert str(udi.expires) == "2029-01-30"

    def test_ma_with_an_expiry_only(self) -> None:
        assert str(parse_udi(f"{self.MA}.E290130").expires) == "2029-01-30"

    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            ("MA.156.M0.123", "udi.malformed"),
            (f"{MA}.X1", "udi.malformed"),
            (f"{MA}.V9", "udi.date"),
        ],
    )
    def test_a_wrong_ma_is_refused(self, raw: str, code: str) -> None:
        assert refusal_of(raw) == code
        assert parse_udi(raw, strict=False).di

    def test_the_blanks_printed_between_structures_are_no_data(self) -> None:
        udi = parse_udi("=)1TE123456A &)RZ12345678")
        assert (udi.di, udi.lot) == ("1TE123456A", "RZ12345678")

    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            ("=/A9999XYZ100T04", "udi.malformed"),
            ("=/A9999XYZ100T0476=>025367", "udi.date"),
            ("=/A9999XYZ100T0476=%2800", "udi.malformed"),
        ],
    )
    def test_a_wrong_isbt_structure_is_refused(self, raw: str, code: str) -> None:
        assert refusal_of(raw) == code
        assert code in warned(raw)

    def test_an_expiry_to_the_hour(self) -> None:
        expires = parse_udi("=/A9999XYZ100T0476&>0270312359").expires
        assert expires == PartialDate(on=date(2027, 1, 31), precision=Precision.HOUR, hour=23)


CHARACTERS = st.text(CSET_82, min_size=1, max_size=20)
DAYS = st.dates(date(1977, 1, 1), date(2076, 12, 31)).map(lambda on: PartialDate(on=on))
MONTHS = DAYS.map(lambda day: PartialDate.month(day.on.year, day.on.month))
DATES = st.none() | DAYS | MONTHS
GTINS = st.text("0123456789", min_size=13, max_size=13).map(lambda b: b + gs1_check_digit(b))


LABELS = st.fixed_dictionaries(
    {
        "di": GTINS,
        "lot": st.none() | CHARACTERS,
        "serial": st.none() | CHARACTERS,
        "expires": DATES,
        "manufactured": DATES,
    }
)


class TestWriting:
    @given(LABELS, st.sampled_from(["", "]d2", "]C1"]))
    @settings(max_examples=200)
    def test_what_is_written_is_read_back(self, label: dict[str, Any], prefix: str) -> None:
        scanned_once = parse_udi(gs1_element_string(**label, prefix=prefix))
        for udi in (scanned_once, parse_udi(digital_link(scanned_once))):
            assert {name: getattr(udi, name) for name in label} == label

    @given(LABELS)
    @settings(max_examples=50)
    def test_another_parser_reads_the_same(self, label: dict[str, Any]) -> None:
        config = ParseConfig(separator_chars=["\x1d"])
        message = GS1Message.parse(gs1_element_string(**label), config=config)
        read = {e.ai.ai: e.value for e in message.element_strings}
        assert (read["01"], read.get("10"), read.get("21")) == (
            label["di"],
            label["lot"],
            label["serial"],
        )

    def test_a_separator_only_where_one_is_needed(self) -> None:
        barcode = gs1_element_string(GTIN, lot="L", serial="S", prefix="]d2")
        assert barcode == f"]d201{GTIN}10L\x1d21S"
        assert gs1_element_string(GTIN, lot="L") == f"01{GTIN}10L"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"di": "06901234567893"},
            {"lot": "A B"},
            {"serial": "X" * 21},
            {"expires": PartialDate(on=date(2100, 1, 1))},
            {"expires": PartialDate(on=date(2027, 1, 1), precision=Precision.HOUR, hour=3)},
        ],
    )
    def test_a_barcode_that_could_not_be_read_is_not_written(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(Refused):
            gs1_element_string(**{"di": GTIN, **wrong})

    def test_only_gs1_has_digital_links(self) -> None:
        with pytest.raises(Refused) as refusal:
            digital_link(parse_udi("+A123BJC5D6E71G"))
        assert refusal.value.code == "udi.not_gs1"


class ReceiveUnit(Value):
    udi: ScannedUdi


def stored_and_read_again(udi: Udi) -> None:
    assert Udi.model_validate_json(udi.model_dump_json()) == udi


def must_not_be_read(*_: object, **__: object) -> Udi:
    raise AssertionError("a stored identifier was read again")


class TestInACommand:
    def test_a_scan_is_read(self) -> None:
        assert ReceiveUnit.model_validate({"udi": STENT}).udi == parse_udi(STENT)

    def test_what_was_stored_is_not_read_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        defective = parse_udi("(01)06901234567893(10)A", strict=False)
        monkeypatch.setattr(scanning, "parse_udi", must_not_be_read)
        stored_and_read_again(defective)
        assert ReceiveUnit(udi=defective).udi is defective

    def test_parts_that_may_disagree_with_the_scan_are_not_taken(self) -> None:
        forged = parse_udi(STENT).model_copy(update={"serial": "ANOTHER"}).model_dump()
        with pytest.raises(ValidationError, match="the text that the scanner sent"):
            ReceiveUnit.model_validate({"udi": forged})

    def test_a_refusal_names_the_field_the_code_and_the_sentence(self) -> None:
        with pytest.raises(ValidationError) as failure:
            ReceiveUnit.model_validate({"udi": "(01)06901234567893"})
        (error,) = failure.value.errors()
        assert (error["loc"], error["type"]) == (("udi",), "udi.check_digit")
        assert "check digit" in error["msg"]
        assert "校验位" in error["ctx"]["zh"]

    def test_the_schema_asks_for_a_scan(self) -> None:
        schema = ReceiveUnit.model_json_schema()["properties"]["udi"]
        assert (schema["type"], schema["examples"]) == ("string", [STENT])

    def test_nothing_else_is_taken(self) -> None:
        with pytest.raises(ValidationError):
            TypeAdapter(ScannedUdi).validate_python(17)

    def test_an_identifier_can_be_looked_up(self) -> None:
        assert len({parse_udi(STENT), parse_udi(STENT)}) == 1
        assert issubclass(Udi, BaseModel)
