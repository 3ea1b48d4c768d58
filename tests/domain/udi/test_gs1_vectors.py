"""GS1's own conformance vectors: every one passes, or is listed here with the reason it differs."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medsales.domain.kernel import Refused
from medsales.domain.udi.gs1_carriers import Mode, read_gtin_scan, scan_data, scanned
from medsales.domain.udi.gs1_content import (
    LINTERS,
    component_error,
    content_error,
)
from medsales.domain.udi.gs1_dictionary import dictionary
from medsales.domain.udi.gs1_digital_link import digital_link_of, read_digital_link
from medsales.domain.udi.gs1_elements import GS, Reading, read_hri, read_scan, written
from medsales.domain.udi.gs1_rules import association_findings

Vector = dict[str, Any]

VECTORS = json.loads(
    (Path(__file__).parent / "data" / "gs1_syntax_engine_vectors.json").read_text("utf-8")
)

REGISTER = "needs the register of assigned company prefixes, which GS1 does not publish"
SHORT_GTIN = "the engine's default; with an option it pads, as we do: such links exist on goods"
UNKNOWN_AI = "the engine with unknown AIs permitted; we refuse what the dictionary does not know"

DEVIATIONS = {
    "component_linters gcppos1 '1234567' INVALID_GCP_PREFIX": REGISTER,
    "component_linters gcppos1 '1234567' GCP_DATASOURCE_OFFLINE": REGISTER,
    "component_linters gcppos2 'I1234567' INVALID_GCP_PREFIX": REGISTER,
    "digital_link_parse False https://a/01/2112345678900": SHORT_GTIN,
    "digital_link_parse False https://a/01/02345673": SHORT_GTIN,
    "digital_link_parse True https://example.com/01/09520123456788?99=XYZ&89=ABC123": UNKNOWN_AI,
    "digital_link_generate True (01)12312312312326(99)000001(89)XXX(95)INT": UNKNOWN_AI,
}
"""By section and vector. What is listed must differ: a deviation that is gone is deleted here."""


def caret_form(reading: Reading) -> str:
    return "^" + written(reading.elements).replace(GS, "^")


def read_caret_form(text: str) -> Reading | None:
    return read_scan(text[1:].replace("^", GS)) if text.startswith("^") else None


def agrees(reading: Reading | None, vector: Vector) -> bool:
    """The verdict is the same, and so is what was read."""
    if reading is None or reading.findings:
        return vector["valid"] is False
    return bool(vector["valid"]) and vector.get("unbracketed") in (None, caret_form(reading))


def bracketed(vector: Vector) -> bool:
    return agrees(read_hri(vector["bracketed"]), vector)


def unbracketed(vector: Vector) -> bool:
    return agrees(read_caret_form(vector["unbracketed"]), {"valid": vector["valid"]})


def association(vector: Vector) -> bool:
    elements = read_hri(vector["bracketed"]).elements
    return (association_findings(elements) == ()) is vector["valid"]


def linted(vector: Vector) -> bool:
    """The first wrong component of the first wrong element is named as GS1 names it."""
    wrong = "OK"
    for code, value in read_hri(vector["bracketed"]).elements:
        wrong = content_error(dictionary()[code], value)[1] or "OK"
        if wrong != "OK":
            break
    return f"GS1_LINTER_{wrong}" == str(vector["expected"])


def link_read(vector: Vector) -> bool:
    return agrees(read_digital_link(vector["uri"]), vector)


def link_written(vector: Vector) -> bool:
    elements = read_hri(vector["bracketed"]).elements
    uri: str | None = vector["uri"]
    return answer(digital_link_of, elements, vector["stem"]) == uri


def answer(function: Callable[..., str], *arguments: Any) -> str | None:
    try:
        return function(*arguments)
    except Refused:
        return None


SYMBOLOGIES = {
    "]Q3": "QR", "]Q1": "QR", "]d2": "DM", "]d1": "DM", "]J1": "DotCode", "]J0": "DotCode",
    "]e0": "DataBarExpanded", "]C1": "GS1_128_CCA", "]E0": "EAN13", "]E4": "EAN8",
}  # fmt: skip


def engine_form(raw: str) -> tuple[str, str | None]:
    """The symbology and the data as GS1's engine writes them; NONE when it refuses the scan."""
    scan = scanned(raw)
    symbology = SYMBOLOGIES.get(scan.symbology or "")
    if symbology is None:
        return "NONE", None
    if scan.mode is Mode.PLAIN:
        link = re.match("https?://|HTTPS?://", scan.text)
        sound = not link or not read_digital_link(scan.text).findings
        escape = "\\" if re.match(r"\\*\^", scan.text) else ""
        return (symbology, escape + scan.text) if sound else ("NONE", None)
    reading = read_gtin_scan(scan) if scan.mode is Mode.GTIN else read_scan(scan.text)
    if reading.findings:
        return "NONE", None
    first, bar, second = scan.text.partition("|]e0")
    linear = first if scan.mode is Mode.GTIN else "^" + first.replace(GS, "^")
    return symbology, linear + ("|^" + second.replace(GS, "^") if bar else "")


def scan_read(vector: Vector) -> bool:
    return engine_form(vector["scan"]) == (vector["symbology"], vector["data"])


def scan_written(vector: Vector) -> bool:
    scan: str | None = vector["scan"]
    return answer(scan_data, vector["symbology"], vector["data"]) == scan


def component(vector: Vector) -> bool:
    wrong = LINTERS[vector["linter"]](vector["value"])
    named: str | None = vector.get("error")
    return (f"GS1_LINTER_{wrong}" if wrong else None) == named


CHECKS: dict[str, tuple[Callable[[Vector], bool], str]] = {
    "bracketed_to_unbracketed": (bracketed, "bracketed"),
    "process_unbracketed": (unbracketed, "unbracketed"),
    "ai_association_rules": (association, "bracketed"),
    "linter_by_ai": (linted, "bracketed"),
    "digital_link_parse": (link_read, "uri"),
    "digital_link_generate": (link_written, "bracketed"),
    "scan_data_parse": (scan_read, "scan"),
    "scan_data_generate": (scan_written, "data"),
}


def name_of(section: str, vector: Vector) -> str:
    return f"{section} {vector.get('valid')} {vector[CHECKS[section][1]]}"


def component_vectors() -> list[Vector]:
    groups: dict[str, list[Vector]] = VECTORS["component_linters"]
    return [{**v, "linter": linter} for linter, group in groups.items() for v in group]


def component_name(vector: Vector) -> str:
    error = str(vector.get("error")).removeprefix("GS1_LINTER_")
    return f"component_linters {vector['linter']} {vector['value']!r} {error}"


def test_every_section_is_checked() -> None:
    assert {*CHECKS, "component_linters"} == set(VECTORS)


@pytest.mark.parametrize("section", CHECKS)
def test_a_section_differs_only_where_listed(section: str) -> None:
    agree, _ = CHECKS[section]
    differing = {name_of(section, v) for v in VECTORS[section] if not agree(v)}
    assert differing == {name for name in DEVIATIONS if name.startswith(f"{section} ")}


def test_content_rules_differ_only_where_listed() -> None:
    differing = {component_name(v) for v in component_vectors() if not component(v)}
    assert differing == {name for name in DEVIATIONS if name.startswith("component_linters ")}


def test_every_rule_the_dictionary_names_is_known() -> None:
    named = {n for ai in dictionary().values() for part in ai.components for n in part.linters}
    assert named <= set(LINTERS)


def test_every_element_of_the_dictionary_can_be_checked() -> None:
    for ai in dictionary().values():
        assert all(component_error(part, "\x00") for part in ai.components)
        assert ai.shortest <= ai.longest
