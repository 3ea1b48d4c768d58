"""ICCBBA identifiers of medical products of human origin: ISBT 128 structures (ICCBBA ST-011)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from medsales.domain.udi import dates
from medsales.domain.udi.findings import finding, shown
from medsales.domain.udi.value import Finding, Issuer, Udi
from medsales.domain.values import PartialDate


class Structure(NamedTuple):
    """One ISBT 128 data structure: its identifier, what it says, and the form of its data."""

    name: str
    identifier: str
    data: str


STRUCTURES = (
    Structure("compound", "=+", r"[0-9]{5}"),
    Structure("di", "=/", r"[A-Za-z0-9]{16}"),
    Structure("di", "=)", r"[A-Za-z0-9]{10}"),
    Structure("serial", "=,", r"[A-Za-z0-9]{6}"),
    Structure("expires", "=>", r"[0-9]{6}"),
    Structure("expires", "&>", r"[0-9]{10}"),
    Structure("manufactured", "=}", r"[0-9]{6}"),
    Structure("manufactured", "&}", r"[0-9]{10}"),
    Structure("lot", "&,1", r"[!-%'-<>-~]{18}"),
    Structure("lot", "&)", r"[!-%'-<>-~]{10}"),
    Structure("donation_id", "=", r"[A-Z1-9][A-Z0-9]{14}"),
)
"""Longer identifiers first: a donation number begins with a bare `=`."""

DONATION_WIDTH = 13
"""The two flag characters behind are no part of the number (ISBT 128 structure 001)."""
NEXT = re.compile(r"(?<=.)(?=[=&])", re.DOTALL)
NINETEENTH = "9"


def parse_iccbba(raw: str, text: str) -> Udi:
    told: dict[str, str] = {}
    extra: dict[str, str] = {}
    findings: list[Finding] = []
    for structure, piece in pieces(text):
        if structure is None or structure.name in told:
            extra[f"?{len(extra)}"] = piece
            findings.append(finding("malformed", shown(piece), "is no ISBT 128 structure"))
        else:
            told[structure.name] = piece.removeprefix(structure.identifier)
    if "compound" in told:
        extra["=+"] = told["compound"]
    return built(raw, told, extra, findings)


def pieces(text: str) -> Iterator[tuple[Structure | None, str]]:
    """The structures one by one; the blanks printed between them are no part of them."""
    rest = text
    while rest:
        structure, end = structure_at_start(rest)
        yield structure, rest[:end]
        rest = rest[end:].lstrip(" ")


def structure_at_start(text: str) -> tuple[Structure | None, int]:
    for structure in STRUCTURES:
        match = re.match(re.escape(structure.identifier) + structure.data, text)
        if match:
            return structure, match.end()
    unknown = NEXT.search(text)
    return None, unknown.start() if unknown else len(text)


def built(raw: str, told: dict[str, str], extra: dict[str, str], findings: list[Finding]) -> Udi:
    days: dict[str, PartialDate | None] = {}
    for name in ("expires", "manufactured"):
        days[name] = isbt_day(told[name]) if name in told else None
        if name in told and days[name] is None:
            extra[name] = told[name]
            findings.append(finding("date", told[name], "ISBT 128"))
    donation = told.get("donation_id")
    if donation:
        extra["din_flags"] = donation[DONATION_WIDTH:]
    if "di" not in told:
        findings.append(finding("secondary"))
    return Udi(
        raw=raw,
        issuer=Issuer.ICCBBA,
        di=told.get("di"),
        lot=told.get("lot"),
        serial=told.get("serial"),
        donation_id=donation[:DONATION_WIDTH] if donation else None,
        manufactured=days["manufactured"],
        expires=days["expires"],
        extra=extra,
        warnings=tuple(findings),
    )


def isbt_day(text: str) -> PartialDate | None:
    """cyyjjj, perhaps with hhmm: c is the third digit of the year, 9 for 19yy, 0 for 20yy."""
    millennium = 1000 if text[0] == NINETEENTH else 2000
    day = dates.from_year_and_day(millennium + int(text[:3]), int(text[3:6]))
    return dates.at_hour(day, int(text[6:8])) if text[6:] else day
