"""From whatever a scanner or a keyboard sends to a device identifier."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from medsales.domain.kernel import Refused
from medsales.domain.udi.dates import CENTURY_PIVOT
from medsales.domain.udi.findings import finding, refuse_any, shown
from medsales.domain.udi.gs1 import is_gtin_width, udi_of, udi_of_gtin
from medsales.domain.udi.gs1_carriers import Mode, Scan, read_gtin_scan, scanned
from medsales.domain.udi.gs1_digital_link import is_web_address, read_digital_link
from medsales.domain.udi.gs1_elements import GS, Reading, read_hri, read_scan
from medsales.domain.udi.hibc import parse_hibc, parse_hibc_di
from medsales.domain.udi.iccbba import parse_iccbba
from medsales.domain.udi.ma import parse_ma
from medsales.domain.udi.value import RAW_LIMIT, Finding, Issuer, Udi

SUFFIX = "\r\n\t"
"""What a scanner types after a barcode; not a blank, which may be a HIBC check character."""
LOST_SEPARATORS = ("\u2194", "\u241d")
"""What has been seen where a GS was: ↔ in published HL7 data, ␝ in terminals."""
FNC1 = "^"
BEGINS_WITH_GTIN = re.compile(r"01[0-9]{14}")
BARE_DI = re.compile(r"[!-~]+")
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse_udi(
    raw: str,
    *,
    strict: bool = True,
    issuer: Issuer | None = None,
    century_pivot: int = CENTURY_PIVOT,
) -> Udi:
    """Reads a barcode of any issuer. Strict, for our own entries: the first thing wrong is refused.

    Lenient, for imports: nothing is refused; what is wrong becomes a warning. `issuer` says whose
    rules a bare identifier follows, where its form does not tell.
    """
    text, unstorable = storable(raw)
    udi = read(text, issuer, century_pivot)
    udi = udi.model_copy(update={"warnings": (*unstorable, *udi.warnings)})
    if strict:
        refuse_any(udi.warnings)
    return udi


def storable(raw: str) -> tuple[str, tuple[Finding, ...]]:
    """What can be kept of a text, and what cannot: NUL, half characters, more than 500."""
    wrong: list[Finding] = []
    if len(raw) > RAW_LIMIT:
        wrong.append(finding("too_long", shown(raw[:RAW_LIMIT])))
    text = UNSTORABLE.sub("\ufffd", raw[:RAW_LIMIT])
    if text != raw[:RAW_LIMIT]:
        wrong.append(finding("character", shown(text), "NUL or half a character"))
    return text, tuple(wrong)


def read(raw: str, issuer: Issuer | None, pivot: int) -> Udi:
    scan = scanned(raw.rstrip(SUFFIX))
    repaired, findings = with_separators(scan)
    udi = of_issuer(raw, repaired, issuer, pivot)
    return udi.model_copy(
        update={"symbology": scan.symbology, "warnings": (*findings, *udi.warnings)}
    )


def with_separators(scan: Scan) -> tuple[Scan, tuple[Finding, ...]]:
    """Puts a GS back where only GS1 data could have lost one."""
    is_gs1 = scan.mode is Mode.ELEMENTS or BEGINS_WITH_GTIN.match(scan.text)
    lost = [c for c in LOST_SEPARATORS if is_gs1 and c in scan.text]
    text = scan.text
    for character in lost:
        text = text.replace(character, GS)
    return scan._replace(text=text), tuple(finding("separator_repaired", c) for c in lost)


def of_issuer(raw: str, scan: Scan, issuer: Issuer | None, pivot: int) -> Udi:
    """The first characters tell the issuer (IMDRF N48, appendix A)."""
    if scan.mode is not Mode.PLAIN:
        reading = read_scan(scan.text) if scan.mode is Mode.ELEMENTS else read_gtin_scan(scan)
        return udi_of(raw, reading, pivot)
    gs1 = gs1_reader(scan.text)
    if gs1:
        return udi_of(raw, gs1(scan.text), pivot)
    return of_other_issuer(raw, scan.text, issuer, pivot)


def gs1_reader(text: str) -> Callable[[str], Reading] | None:
    if is_web_address(text):
        return read_digital_link
    if text.startswith(("(", "{")):
        return read_hri
    if text.startswith((FNC1, GS)):
        return read_in_gs1_mode
    return read_carets if BEGINS_WITH_GTIN.match(text) else None


def read_in_gs1_mode(text: str) -> Reading:
    """FNC1 in front, as GS or in GS1's test notation as ^, says that element strings follow."""
    return read_scan(text[1:].replace(FNC1, GS) if text.startswith(FNC1) else text[1:])


def read_carets(text: str) -> Reading:
    """No GS1 value may hold a caret, so one can only stand for a separator."""
    return read_scan(text.replace(FNC1, GS))


def of_other_issuer(raw: str, text: str, issuer: Issuer | None, pivot: int) -> Udi:
    if text.startswith(("+", "*+")):
        return parse_hibc(raw, text, pivot)
    if text.startswith(("=", "&")):
        return parse_iccbba(raw, text)
    if text.startswith("MA."):
        return parse_ma(raw, text, pivot)
    return of_bare_di(raw, text, issuer)


def of_bare_di(raw: str, text: str, issuer: Issuer | None) -> Udi:
    """An identifier without any sign of its issuer, as catalogues and databases list it."""
    if is_gtin_width(text) and issuer in (None, Issuer.GS1):
        return udi_of_gtin(raw, text)
    if not BARE_DI.fullmatch(text):
        wrong = finding("no_di", shown(text))
        return Udi(raw=raw, issuer=issuer or Issuer.OTHER, warnings=(wrong,))
    if issuer is Issuer.HIBCC:
        return parse_hibc_di(text).model_copy(update={"raw": raw})
    # AHM publishes no layout, and ICCBBA's has no sign of its own: what is said is believed.
    believed = issuer in (Issuer.AHM, Issuer.ICCBBA)
    kind, other = ("malformed", f"is no DI of {issuer.value}") if issuer else ("unknown_issuer", "")
    wrong = finding(kind, shown(text), other)
    return Udi(
        raw=raw, issuer=issuer or Issuer.OTHER, di=text, warnings=() if believed else (wrong,)
    )


def from_scan(value: object) -> Udi:
    """A text is a scan, and is read strictly; what was read before stays as it is.

    Only a Udi of ours was read before: a client that sends the parts could say another serial than
    its scan does.
    """
    if isinstance(value, Udi):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("udi.no_scan", "give the text that the scanner sent")
    try:
        return parse_udi(value)
    except Refused as no:
        told = {"sentence": no.sentence.en, "zh": no.sentence.zh}
        raise PydanticCustomError(no.code, "{sentence}", told) from no


def as_scanned(udi: Udi) -> str:
    """A command is remembered as it was given."""
    return udi.raw


EXAMPLE = "(01)06901234567892(17)270131(10)A213B1(21)1234"

ScannedUdi = Annotated[
    Udi,
    PlainValidator(from_scan),
    PlainSerializer(as_scanned, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": RAW_LIMIT,
            "description": "A UDI as scanned or typed: GS1, HIBC, ICCBBA or MA.",
            "examples": [EXAMPLE],
        },
        mode="validation",
    ),
]
"""A field of a command: takes what the scanner sent, or an identifier that was read before."""
