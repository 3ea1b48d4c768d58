"""GS1 identifiers: from element strings to what they say about a device, and back."""

from collections.abc import Iterator

from medsales.domain.udi.dates import CENTURY_PIVOT, from_yymmdd, is_digits, to_yymmdd
from medsales.domain.udi.findings import finding, refuse_any, refused, shown
from medsales.domain.udi.gs1_content import csum
from medsales.domain.udi.gs1_digital_link import CANONICAL_STEM, digital_link_of
from medsales.domain.udi.gs1_elements import Element, Reading, value_findings, written
from medsales.domain.udi.gs1_rules import association_findings
from medsales.domain.udi.value import DiFormat, Finding, Issuer, Udi
from medsales.domain.values import PartialDate

GTIN, LOT, MADE, EXPIRY, SERIAL, COUNT = "01", "10", "11", "17", "21", "30"
GTIN_WIDTH = 14
COUNT_WIDTH = 8

FORMATS = {
    8: DiFormat.GTIN_8,
    12: DiFormat.GTIN_12,
    13: DiFormat.GTIN_13,
    14: DiFormat.GTIN_14,
}


def gtin_format(gtin: str) -> DiFormat | None:
    """How a 14-digit GTIN was issued, from its leading zeros (GS1 General Specifications 3.3.2)."""
    if len(gtin) != GTIN_WIDTH or not is_digits(gtin):
        return None
    return FORMATS[next(w for w in FORMATS if gtin.startswith("0" * (GTIN_WIDTH - w)))]


def udi_of(raw: str, reading: Reading, pivot: int = CENTURY_PIVOT) -> Udi:
    """What the elements say about a device; what has no field of its own goes to `extra`."""
    first = {e.ai: e.value for e in reversed(reading.elements)}
    order = dict.fromkeys(e.ai for e in reading.elements)
    dates = {ai: from_yymmdd(first.get(ai, ""), pivot) for ai in (MADE, EXPIRY)}
    counted = is_digits(first.get(COUNT, "")) and len(first[COUNT]) <= COUNT_WIDTH
    told = {GTIN, LOT, SERIAL, *(ai for ai, on in dates.items() if on), *[COUNT] * counted}
    di = first.get(GTIN)
    named = () if di else (finding("no_di", shown(raw)),)
    return Udi(
        raw=raw,
        issuer=Issuer.GS1 if reading.elements else Issuer.OTHER,
        di=di,
        di_source_format=gtin_format(di or ""),
        lot=first.get(LOT),
        serial=first.get(SERIAL),
        manufactured=dates[MADE],
        expires=dates[EXPIRY],
        quantity=int(first[COUNT]) if counted else None,
        extra={ai: first[ai] for ai in order if ai not in told},
        warnings=(*reading.findings, *association_findings(reading.elements), *named),
    )


def udi_of_gtin(raw: str, gtin: str) -> Udi:
    """A bare GTIN of 8, 12, 13 or 14 digits."""
    wrong = () if csum(gtin) is None else (finding("check_digit", gtin),)
    return Udi(
        raw=raw,
        issuer=Issuer.GS1,
        di=gtin.zfill(GTIN_WIDTH),
        di_source_format=FORMATS[len(gtin)],
        warnings=wrong,
    )


def is_gtin_width(text: str) -> bool:
    return len(text) in FORMATS and is_digits(text)


def elements_of(udi: Udi) -> tuple[Element, ...]:
    """The element strings that say what the identifier says."""
    if udi.issuer is not Issuer.GS1 or udi.di is None:
        raise refused(finding("not_gs1", shown(udi.raw)))
    return tuple(Element(ai, value) for ai, value in said(udi) if value is not None)


def said(udi: Udi) -> Iterator[tuple[str, str | None]]:
    yield GTIN, udi.di
    yield MADE, to_yymmdd(udi.manufactured) if udi.manufactured else None
    yield EXPIRY, to_yymmdd(udi.expires) if udi.expires else None
    yield LOT, udi.lot
    yield SERIAL, udi.serial
    yield COUNT, None if udi.quantity is None else str(udi.quantity)
    yield from udi.extra.items()


def digital_link(udi: Udi, stem: str = CANONICAL_STEM) -> str:
    """The GS1 Digital Link address of a GS1 identifier."""
    return digital_link_of(elements_of(udi), stem)


def gs1_element_string(  # noqa: PLR0913 - each is one element of the string
    di: str,
    *,
    lot: str | None = None,
    serial: str | None = None,
    expires: PartialDate | None = None,
    manufactured: PartialDate | None = None,
    prefix: str = "",
) -> str:
    """What a scanner sends for a device; `prefix` may be a symbology identifier such as `]d2`."""
    udi = Udi(
        raw=di, issuer=Issuer.GS1, di=di, lot=lot, serial=serial, expires=expires,
        manufactured=manufactured,
    )  # fmt: skip
    elements = elements_of(udi)
    refuse_any((*wrong_dates(udi), *(f for e in elements for f in value_findings(e))))
    return prefix + written(elements)


def wrong_dates(udi: Udi) -> Iterator[Finding]:
    """A date that six digits cannot say: its hour, or a year too far away."""
    for on in (udi.manufactured, udi.expires):
        if on and from_yymmdd(to_yymmdd(on)) != on:
            yield finding("date", str(on), "YYMMDD")
