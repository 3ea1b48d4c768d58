"""HIBC: the published examples, linked and in one barcode, right and wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from medsales.domain.kernel import Refused
from medsales.domain.udi import (
    Issuer,
    compressed_product_code,
    hibc_check_character,
    parse_udi,
)
from medsales.domain.values import PartialDate, Precision

VECTORS = json.loads((Path(__file__).parent / "data" / "hibc_vectors.json").read_text("utf-8"))


def moment(on: PartialDate | None) -> str | None:
    if on is None:
        return None
    return f"{on.on}T{on.hour:02}:00:00" if on.precision is Precision.HOUR else str(on.on)


def decoded(barcode: str, *, strict: bool) -> dict[str, Any]:
    udi = parse_udi(barcode, strict=strict)
    assert (udi.issuer, udi.raw) == (Issuer.HIBCC, barcode)
    di = udi.di or ""
    return {
        "gudid_di": di,
        "lic": di[:4],
        "pcn": di[4:-1],
        "unit_of_measure": int(di[-1]),
        "lot": udi.lot,
        "serial": udi.serial,
        "expiry": moment(udi.expires),
        "manufacture_date": moment(udi.manufactured),
        "quantity": udi.quantity,
    }


def expected(vector: dict[str, Any]) -> dict[str, Any]:
    names = ("gudid_di", "lic", "pcn", "unit_of_measure", "lot", "serial", "expiry")
    return {name: vector[name] for name in (*names, "manufacture_date", "quantity")}


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda v: v["barcode"])
def test_a_published_example_is_read(vector: dict[str, Any]) -> None:
    assert decoded(vector["barcode"], strict=True) == expected(vector)
    assert parse_udi(vector["barcode"]).warnings == ()


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda v: v["reason"])
def test_a_wrong_barcode_is_refused(vector: dict[str, Any]) -> None:
    code = {"invalid": "udi.character", "link": "udi.link_character"}
    with pytest.raises(Refused) as refusal:
        parse_udi(vector["barcode"])
    assert refusal.value.code == code.get(vector["reason"].split()[0], "udi.check_digit")


@pytest.mark.parametrize(
    "vector", VECTORS["published_but_check_character_wrong"], ids=lambda v: v["barcode"]
)
def test_an_example_published_with_a_wrong_check_is_imported(vector: dict[str, Any]) -> None:
    assert decoded(vector["barcode"], strict=False) == expected(vector)
    (warning,) = parse_udi(vector["barcode"], strict=False).warnings
    assert warning.code == "udi.check_digit"
    assert vector["correct_check_character"] in warning.en


@pytest.mark.parametrize("vector", VECTORS["check_character"], ids=lambda v: v["data"])
def test_the_check_character(vector: dict[str, str]) -> None:
    assert hibc_check_character(vector["data"]) == vector["check"]


@pytest.mark.parametrize(("catalogue", "code"), VECTORS["pcn_compression"])
def test_a_catalogue_number_is_compressed(catalogue: str, code: str) -> None:
    assert compressed_product_code(catalogue) == code


@pytest.mark.parametrize(
    ("data", "shown", "lot"),
    [
        ("0928X1", "2028-09", "X1"),
        ("1228X1", "2028-12", "X1"),
        ("2093028X1", "2028-09-30", "X1"),
        ("3280930X1", "2028-09-30", "X1"),
        ("428093015X1", "2028-09-30 15:00Z", "X1"),
        ("528274X1", "2028-09-30", "X1"),
        ("62827423X1", "2028-09-30 23:00Z", "X1"),
        ("7X1", None, "X1"),
        ("8120928X1", "2028-09", "X1"),
        ("9001207X1", None, "X1"),
    ],
)
def test_every_date_flag(data: str, shown: str | None, lot: str) -> None:
    body = f"+A99912345/$${data}"
    udi = parse_udi(body + hibc_check_character(body))
    assert (str(udi.expires) if udi.expires else None, udi.lot) == (shown, lot)


def test_a_secondary_barcode_alone_names_no_device() -> None:
    udi = parse_udi("+$$52001510X3GD")
    assert (udi.di, udi.lot) == (None, "10X3")
    assert [w.code for w in udi.warnings] == ["udi.secondary"]


def test_a_date_that_does_not_exist_is_refused_or_kept_as_written() -> None:
    body = "+A99912345/$$3281331X1"
    barcode = body + hibc_check_character(body)
    with pytest.raises(Refused) as refusal:
        parse_udi(barcode)
    assert refusal.value.code == "udi.date"
    assert parse_udi(barcode, strict=False).extra == {"expires": "281331"}


def test_supplements_we_do_not_know_are_kept() -> None:
    body = "+A99912345/$X1/8V12"
    assert parse_udi(body + hibc_check_character(body)).extra == {"8V": "12"}


def test_a_di_as_gudid_lists_it_needs_to_be_told_whose_it_is() -> None:
    with pytest.raises(Refused) as refusal:
        parse_udi("A99912345")
    assert refusal.value.code == "udi.unknown_issuer"
    assert parse_udi("A99912345", issuer=Issuer.HIBCC).di == "A99912345"
    assert parse_udi("A99912345", strict=False).issuer is Issuer.OTHER


def test_lower_case_is_wrong_and_is_not_repaired() -> None:
    udi = parse_udi("+a123BJC5D6E71G", strict=False)
    assert udi.di == "a123BJC5D6E71"
    assert udi.warnings[0].code == "udi.character"
