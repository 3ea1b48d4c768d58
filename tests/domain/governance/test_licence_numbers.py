"""Numbers on Chinese certificates: by 令47 art. 115 and 116, older, foreign and wrong ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from medsales.domain.governance.licence_file import ClassificationCode
from medsales.domain.governance.licence_numbers import (
    PROVINCES,
    CertificateNumber,
    DeviceClass,
    NumberKind,
    Origin,
    read_number,
)
from medsales.domain.kernel import Refused

DATA = Path(__file__).parents[4] / "shared" / "data"
COMPLETE = re.compile(r"[\u4e00-\u9fa5]{1,8}械[注备][准进许]?[0-9]{8,11}(?![0-9])")
"""A number in running text, as opposed to the rule of how numbers are formed."""


def must_be_there() -> None:
    if not DATA.is_dir():
        pytest.skip(f"the real data is not beside this checkout: {DATA}")


def refusal(text: str) -> Refused:
    with pytest.raises(Refused) as refused:
        read_number(text)
    assert refused.value.code == "certificate.number_malformed"
    return refused.value


def test_a_domestic_registration_of_class_iii_is_taken_apart() -> None:
    assert read_number("国械注准20203160001") == CertificateNumber(
        text="国械注准20203160001",
        kind=NumberKind.REGISTRATION,
        region="国",
        origin=Origin.DOMESTIC,
        year=2020,
        device_class=DeviceClass.III,
        category="16",
        serial="0001",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("浙械注准20212140123", {"region": "浙", "device_class": "II", "origin": "domestic"}),
        ("国械注进20172311111", {"device_class": "II", "origin": "imported", "category": "31"}),
        ("国械注许20183460042", {"origin": "hong_kong_macao_taiwan", "device_class": "III"}),
        ("粤潮械备20140023", {"kind": "filing", "region": "粤潮", "device_class": "I"}),
        ("国械备20160011号", {"kind": "filing", "region": "国", "year": 2016}),
        ("京械备20150001", {"kind": "filing", "serial": "0001"}),
        ("浙杭药监械经营许20200123", {"kind": "operating_licence", "region": "浙杭"}),
        ("沪浦食药监械经营备20180456号", {"kind": "operating_filing", "year": 2018}),
        ("苏食药监械生产许20150023号", {"kind": "production_licence", "region": "苏"}),
        ("苏苏食药监械生产备20150001号", {"kind": "production_filing", "region": "苏苏"}),
    ],
)
def test_the_other_forms_are_read(text: str, said: dict[str, Any]) -> None:
    read = read_number(text).model_dump(mode="json")
    assert {name: str(read[name]) for name in said} == {n: str(v) for n, v in said.items()}


@pytest.mark.parametrize(
    "text",
    [
        "国食药监械(准)字2013第3460001号",
        "国食药监械（进）字2012第2310012号",
        "浙食药监械(准)字2009第2270123号(更)",
        "国药管械(试)字2001第301号",
    ],
)
def test_a_legacy_number_is_accepted_as_such(text: str) -> None:
    read = read_number(text)
    assert (read.kind, read.year, read.device_class) == (NumberKind.LEGACY, None, None)


@pytest.mark.parametrize("text", ["K123456", "CE 0123", "GUDID 00848486001117", "1", "DEN190040"])
def test_a_foreign_number_is_accepted_as_it_is(text: str) -> None:
    assert read_number(text) == CertificateNumber(text=text, kind=NumberKind.FOREIGN)


@pytest.mark.parametrize(
    ("text", "en", "zh"),
    [
        ("国械注准2020316001", "11 digits", "11 位数字"),
        ("国械注准20204160001", "the class 1 to 3", "管理类别 1 至 3"),
        ("国械注准２０２０３１６０００１", "11 digits", "11 位数字"),
        ("国械住准20203160001", "after 械 comes 注准", "应为注准"),
        ("国械注20203160001", "after 械 comes 注准", "应为注准"),
        ("械注准20203160001", "begins with 国", "应以“国”"),
        ("美械注准20203160001", "short name of a province", "省级简称"),
        ("浙杭械注准20212140123", "not the short name of an office", "部门简称"),
        ("国械注准20201160001", "class I is filed", "第一类应为备案"),
        ("国械注准20202160001", "registered by a province", "省局"),
        ("浙械注准20213140123", "registered by 国", "国家局"),
        ("浙械注进20212140123", "registered by 国", "国家局"),
        ("国械注准99993160001", "9999 is not a year", "不是有效年份"),
        ("浙械备1", "the year and the serial", "年份和流水号"),
        ("浙杭药监械经营许2020", "the year and the serial", "年份和流水号"),
    ],
)
def test_a_malformed_chinese_number_is_refused_with_what_is_wrong(
    text: str, en: str, zh: str
) -> None:
    refused = refusal(text)
    assert en in refused.sentence.en
    assert zh in refused.sentence.zh
    assert text in refused.sentence.zh


@given(
    st.sampled_from(PROVINCES),
    st.integers(2014, 2040),
    st.integers(0, 99),
    st.integers(0, 9999),
)
def test_what_a_number_is_made_of_is_what_is_read(
    province: str, year: int, category: int, serial: int
) -> None:
    read = read_number(f"{province}械注准{year}2{category:02}{serial:04}")
    assert (read.region, read.year, read.device_class) == (province, year, DeviceClass.II)
    assert (read.category, read.serial) == (f"{category:02}", f"{serial:04}")


@given(st.text(alphabet="国浙械注备准进许经营生产食药监(准)字第号0123456789 ABC", max_size=24))
def test_any_text_is_read_or_refused_in_both_languages(text: str) -> None:
    said: tuple[str, ...]
    try:
        said = (read_number(text).text,)
    except Refused as refused:
        said = refused.sentence
    assert all(text in each for each in said)


def test_the_certificate_numbers_in_the_real_data_are_read() -> None:
    """Real texts of the authority, and one real export of its database."""
    must_be_there()
    texts = [file.read_text() for file in (DATA / "nmpa").iterdir()]
    texts += [file.read_text() for file in (DATA / "regs_cn").iterdir()]
    found = {number for text in texts for number in COMPLETE.findall(text)}
    assert "粤潮械备20140023" in found
    for number in found:
        assert read_number(number).kind in {NumberKind.FILING, NumberKind.REGISTRATION}


def test_every_code_of_the_real_catalogue_is_a_classification_code() -> None:
    """All 1,142 product categories of 医疗器械分类目录, and the 22 chapters above them."""
    must_be_there()
    catalogue = json.loads((DATA / "nmpa" / "classification_catalog.json").read_text())
    listed = [*catalogue["items"], *catalogue["l1_categories"]]
    codes = [each["code"] for each in listed]
    assert len(codes) > 1000
    for code in codes:
        assert TypeAdapter(ClassificationCode).validate_python(code) == code
