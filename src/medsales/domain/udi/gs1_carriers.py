"""What a scanner sends for a GS1 barcode: its symbology identifier and the data (ISO/IEC 15424)."""

import re
from typing import NamedTuple

from medsales.domain.kernel import Term
from medsales.domain.udi.findings import finding, refuse_any, refused, shown
from medsales.domain.udi.gs1_content import csum, gs1_check_digit
from medsales.domain.udi.gs1_dictionary import dictionary
from medsales.domain.udi.gs1_elements import GS, Element, Reading, joined, read_scan
from medsales.domain.udi.value import Finding

SYMBOLOGY = re.compile(r"\][A-Za-z][0-9A-Za-z]")
COMPOSITE = "|]e0"
"""Begins the composite component, a second message behind an EAN or UPC barcode."""
ESCAPED_CARET = re.compile(r"\\*\^")
GTIN_WIDTH = 14


class Mode(Term):
    """What follows a symbology identifier."""

    ELEMENTS = "elements", "GS1 应用标识符数据"
    GTIN = "gtin", "GTIN"
    PLAIN = "plain", "普通数据"


class Scan(NamedTuple):
    """What a scanner sent: the symbology identifier, if any, and the data."""

    symbology: str | None
    mode: Mode
    text: str


ELEMENT_SYMBOLOGIES = frozenset({"]C1", "]d2", "]Q3", "]J1", "]e0"})
GTIN_WIDTHS = {"]E0": 13, "]E4": 8}
"""EAN-13, UPC-A and UPC-E come as 13 digits, EAN-8 as 8 (GS1 General Specifications 5.1.2)."""


def scanned(raw: str) -> Scan:
    """Splits off the symbology identifier; its letters are case-sensitive."""
    if not SYMBOLOGY.match(raw):
        return Scan(None, Mode.PLAIN, raw)
    symbology, text = raw[:3], raw[3:]
    if symbology in ELEMENT_SYMBOLOGIES:
        return Scan(symbology, Mode.ELEMENTS, text)
    return Scan(symbology, Mode.GTIN if symbology in GTIN_WIDTHS else Mode.PLAIN, text)


def read_gtin_scan(scan: Scan) -> Reading:
    """An EAN or UPC barcode, perhaps with a composite component."""
    assert scan.symbology is not None
    gtin, composite, elements = scan.text.partition(COMPOSITE)
    primary = Element("01", gtin.zfill(GTIN_WIDTH))
    reading = Reading((primary,), gtin_findings(gtin, GTIN_WIDTHS[scan.symbology]))
    return joined(reading, read_scan(elements)) if composite else reading


def gtin_findings(gtin: str, width: int) -> tuple[Finding, ...]:
    if len(gtin) != width:
        return (finding("too_short" if len(gtin) < width else "too_long", shown(gtin)),)
    wrong = csum(gtin)
    kind = "check_digit" if wrong == "INCORRECT_CHECK_DIGIT" else "character"
    return (finding(kind, shown(gtin), "not a digit"),) if wrong else ()


class Carrier(NamedTuple):
    """A barcode symbology: how its identifier reads for GS1 data and for other data."""

    elements: str = ""
    plain: str = ""
    gtin_width: int = 0
    """For a carrier of one GTIN: how many digits it holds."""
    highest: int = 10**GTIN_WIDTH - 1


CARRIERS = {
    "QR": Carrier("]Q3", "]Q1"),
    "DM": Carrier("]d2", "]d1"),
    "DotCode": Carrier("]J1", "]J0"),
    "GS1_128_CCA": Carrier("]C1"),
    "GS1_128_CCC": Carrier("]C1"),
    "DataBarExpanded": Carrier("]e0"),
    "DataBarOmni": Carrier("]e0", gtin_width=14),
    "DataBarTruncated": Carrier("]e0", gtin_width=14),
    "DataBarStacked": Carrier("]e0", gtin_width=14),
    "DataBarStackedOmni": Carrier("]e0", gtin_width=14),
    "DataBarLimited": Carrier("]e0", gtin_width=14, highest=19_999_999_999_999),
    "UPCA": Carrier("]E00", gtin_width=12),
    "UPCE": Carrier("]E00", gtin_width=12),
    "EAN13": Carrier("]E0", gtin_width=13),
    "EAN8": Carrier("]E4", gtin_width=8),
}


def scan_data(carrier: str, message: str) -> str:
    """What a scanner would send for a message in GS1's test notation.

    `^` in front says that GS1 element strings follow and stands for FNC1 between them, `|` begins
    a composite component, and `\\^` begins other data with a caret.
    """
    kind = CARRIERS.get(carrier)
    if kind is None:
        raise refused(finding("malformed", shown(carrier), "is no carrier of GS1 data"))
    if kind.plain and not message.startswith("^"):
        unescaped = message[1:] if ESCAPED_CARET.match(message) else message
        return kind.plain + unescaped
    linear, bar, composite = message.partition("|")
    second = elements_only(composite) if bar else ""
    if kind.gtin_width:
        return gtin_scan(kind, linear, second)
    symbology = "]e0" if bar else kind.elements
    return symbology + followed_by(elements_only(linear), second)


def elements_only(message: str) -> str:
    if not message.startswith("^"):
        raise refused(finding("malformed", shown(message), "is no GS1 element string"))
    text = message[1:].replace("^", GS)
    refuse_any(read_scan(text).findings)
    return text


def followed_by(first: str, second: str) -> str:
    last = read_scan(first).elements[-1].ai
    ends_itself = dictionary()[last].predefined_length or first.endswith(GS) or not second
    return first + ("" if ends_itself else GS) + second


def gtin_scan(kind: Carrier, linear: str, second: str) -> str:
    gtin = complete_gtin(linear, kind.gtin_width)
    if int(gtin) > kind.highest:
        raise refused(finding("too_long", gtin))
    if kind.elements == "]e0":
        return f"]e001{gtin}{second}"
    return kind.elements + gtin + (COMPOSITE + second if second else "")


def complete_gtin(linear: str, width: int) -> str:
    """The digits of the barcode: taken from AI 01 if need be, the check digit added if left out."""
    gtin = linear.removeprefix("^01" + "0" * (GTIN_WIDTH - width))
    if len(gtin) == width - 1 and gtin.isascii() and gtin.isdigit():
        return gtin + gs1_check_digit(gtin)
    refuse_any(gtin_findings(gtin, width))
    return gtin
