"""HIBC identifiers: primary and secondary data, linked or in one barcode (ANSI/HIBC 2.6)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from medsales.domain.udi import dates
from medsales.domain.udi.findings import finding, shown
from medsales.domain.udi.value import QUANTITY_LIMIT, Finding, Issuer, Udi
from medsales.domain.values import PartialDate

MOD_43 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"
LONGEST_DATUM = 18

DI = re.compile(r"[A-Z][A-Z0-9]{3}[A-Z0-9]{1,18}[0-9]")
"""Labeler, product, unit of measure: what GUDID lists, without the + and the check character."""
LINKED = re.compile(r"(\+[A-Z][A-Z0-9]{3}[A-Z0-9]{1,18}[0-9].)(\+.+)", re.DOTALL)
ONE = r"(\+(?:\$\$?\+?)?[^+]*..)"
SECONDARIES = tuple(re.compile(ONE * n, re.DOTALL) for n in (1, 2))
"""One secondary barcode or two; any of the last two characters, link and check, may be a +."""
SECONDARY = re.compile(r"\$\$\+|\$\$|\$\+|\$")
SUPPLEMENT = re.compile(r"(?P<name>[0-9]{0,3}[A-Z])(?P<value>.*)", re.DOTALL)
QUANTITY_WIDTHS = {"8": 2, "9": 5}


@dataclass
class Told:
    """What the barcode has said so far."""

    pivot: int
    di: str | None = None
    lot: str | None = None
    serial: str | None = None
    manufactured: PartialDate | None = None
    expires: PartialDate | None = None
    quantity: int | None = None
    extra: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def hibc_check_character(body: str) -> str:
    """The modulo 43 check character of everything before it, the + included (ANSI/HIBC 2.6 B)."""
    return MOD_43[sum(MOD_43.index(c) for c in body) % len(MOD_43)]


def compressed_product_code(catalogue_number: str) -> str:
    """A catalogue number as HIBC encodes it: letters and digits only (ANSI/HIBC 2.6, 2.2.1)."""
    return re.sub(r"[^A-Z0-9]", "", catalogue_number)


def parse_hibc(raw: str, text: str, pivot: int) -> Udi:
    told = Told(pivot)
    read(told, text[1:-1] if text.startswith("*+") and text.endswith("*") else text)
    if told.di is None:
        told.findings.append(finding("secondary"))
    return Udi(
        raw=raw,
        issuer=Issuer.HIBCC,
        di=told.di,
        lot=told.lot,
        serial=told.serial,
        manufactured=told.manufactured,
        expires=told.expires,
        quantity=told.quantity,
        extra=told.extra,
        warnings=tuple(told.findings),
    )


def parse_hibc_di(raw: str) -> Udi:
    """The identifier as GUDID lists it: no +, no check character, nothing to check it with."""
    wrong = () if DI.fullmatch(raw) else (finding("malformed", shown(raw), "is no HIBC DI"),)
    return Udi(raw=raw, issuer=Issuer.HIBCC, di=raw, warnings=wrong)


def read(told: Told, text: str) -> None:
    linked = LINKED.fullmatch(text)
    if linked:
        barcodes = [linked[1], *secondaries(linked[2])]
        told.findings.extend(link_findings(barcodes))
        read_barcode(told, linked[1], linked=False)
        for barcode in barcodes[1:]:
            read_barcode(told, barcode, linked=True)
    else:
        read_barcode(told, text, linked=not begins_with_primary(text))


def secondaries(text: str) -> tuple[str, ...]:
    found = (pattern.fullmatch(text) for pattern in SECONDARIES)
    return next((match.groups() for match in found if match), (text,))


def begins_with_primary(text: str) -> bool:
    return DI.fullmatch(text[1:-1].partition("/")[0]) is not None or not (
        SECONDARY.match(text[1:]) or text[1:2] == "S" or text[1:2].isdigit()
    )


def link_findings(barcodes: list[str]) -> Iterator[Finding]:
    """The last but one character of a secondary barcode repeats the check of the primary."""
    check = barcodes[0][-1]
    for barcode in barcodes[1:]:
        if barcode[-2:-1] != check:
            yield finding("link_character", barcode[-2:-1], check)


def read_barcode(told: Told, text: str, *, linked: bool) -> None:
    told.findings.extend(check_findings(text))
    body = text[1 : -2 if linked else -1]
    parts = body.split("/")
    if not linked:
        read_primary(told, parts.pop(0))
    for i, part in enumerate(parts):
        (read_supplement if i else read_secondary)(told, part)


def read_primary(told: Told, text: str) -> None:
    told.di = text or None
    if not DI.fullmatch(text):
        told.findings.append(finding("malformed", shown(text), "is no HIBC DI"))


def check_findings(text: str) -> Iterator[Finding]:
    strange = next((c for c in text if c not in MOD_43), None)
    if strange:
        yield finding("character", shown(text), f"{strange!r} is no HIBC character")
    elif hibc_check_character(text[:-1]) != text[-1]:
        expected = hibc_check_character(text[:-1])
        yield finding("check_digit", f"{shown(text)} ({text[-1]} ≠ {expected})")


def read_secondary(told: Told, text: str) -> None:
    """Lot or serial with quantity and date, behind its flag characters; else a supplement."""
    flag = SECONDARY.match(text)
    if flag:
        quantified = flag[0].startswith("$$")
        read_flagged(told, text[flag.end() :], quantified=quantified, serial=flag[0].endswith("+"))
    elif text[:1].isdigit() and not text.startswith(("14D", "16D")):
        keep_date(told, "expires", julian_day(told, text[:5]), text[:5])
        keep_datum(told, text[5:], serial=False)
    else:
        read_supplement(told, text)


def read_flagged(told: Told, text: str, *, quantified: bool, serial: bool) -> None:
    rest = text
    if quantified:
        rest = read_quantity(told, rest)
        rest = read_date(told, rest)
    keep_datum(told, rest, serial=serial)


def read_quantity(told: Told, text: str) -> str:
    width = QUANTITY_WIDTHS.get(text[:1])
    if width is None:
        return text
    keep_quantity(told, text[1 : 1 + width])
    return text[1 + width :]


def keep_quantity(told: Told, digits: str) -> None:
    if dates.is_digits(digits) and int(digits) <= QUANTITY_LIMIT:
        told.quantity = int(digits)
    else:
        told.extra["Q"] = digits
        told.findings.append(finding("content", f"Q {shown(digits)}", "not a quantity"))


def month_first(told: Told, text: str) -> PartialDate | None:
    return dates.from_yymmdd(text[2:] + text[:2] + "00", told.pivot)


def us_day(told: Told, text: str) -> PartialDate | None:
    return whole_day(told, text[4:] + text[:4])


def whole_day(told: Told, text: str) -> PartialDate | None:
    return None if text.endswith("00") else dates.from_yymmdd(text, told.pivot)


def day_and_hour(told: Told, text: str) -> PartialDate | None:
    return dates.at_hour(whole_day(told, text[:6]), int(text[6:] or 24))


def julian_day(told: Told, text: str) -> PartialDate | None:
    if len(text) != len("YYJJJ") or not dates.is_digits(text):
        return None
    return dates.from_year_and_day(dates.full_year(int(text[:2]), told.pivot), int(text[2:]))


def julian_hour(told: Told, text: str) -> PartialDate | None:
    return dates.at_hour(julian_day(told, text[:5]), int(text[5:] or 24))


DateReader = Callable[[Told, str], PartialDate | None]

DATE_FLAGS: dict[str, tuple[int, int, DateReader]] = {
    "0": (0, 4, month_first),
    "1": (0, 4, month_first),
    "2": (1, 6, us_day),
    "3": (1, 6, whole_day),
    "4": (1, 8, day_and_hour),
    "5": (1, 5, julian_day),
    "6": (1, 7, julian_hour),
}
"""By flag: how many characters the flag takes, how many the date takes, how it is read.

0 and 1 are no flags: they begin the month of MMYY (ANSI/HIBC 2.6, table 3).
"""
NO_DATE = "7"


def read_date(told: Told, text: str) -> str:
    if text[:1] == NO_DATE:
        return text[1:]
    if text[:1] not in DATE_FLAGS:
        if text:
            told.findings.append(finding("malformed", shown(text), "begins with no HIBC date flag"))
        return text
    skipped, width, reader = DATE_FLAGS[text[0]]
    written, rest = text[skipped : skipped + width], text[skipped + width :]
    on = reader(told, written) if dates.is_digits(written) else None
    keep_date(told, "expires", on, written)
    return rest


def keep_date(told: Told, name: str, on: PartialDate | None, text: str) -> None:
    if on is None:
        told.extra[name] = text
        told.findings.append(finding("date", shown(text), "HIBC"))
    else:
        setattr(told, name, on)


def keep_datum(told: Told, text: str, *, serial: bool) -> None:
    if not text:
        return
    if len(text) > LONGEST_DATUM:
        told.findings.append(finding("too_long", shown(text)))
    if serial:
        told.serial = text
    else:
        told.lot = text


def read_supplement(told: Told, text: str) -> None:
    """/S serial, /16D made, /14D expires, /Q quantity; others are kept as they are."""
    match = SUPPLEMENT.fullmatch(text)
    if not match:
        told.findings.append(finding("malformed", f"/{shown(text)}", "has no data identifier"))
        return
    name, value = match["name"], match["value"]
    if name == "S":
        keep_datum(told, value, serial=True)
    elif name in ("16D", "14D"):
        on = None if value.endswith("00") else dates.from_yyyymmdd(value)
        keep_date(told, "manufactured" if name == "16D" else "expires", on, value)
    elif name == "Q":
        keep_quantity(told, value)
    else:
        told.extra[name] = value
