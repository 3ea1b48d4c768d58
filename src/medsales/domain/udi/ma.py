"""MA identifiers of ZIIOT, China: `MA.156.M0.<registrant>.<package, item, check>`, then segments.

How the check character of an MA identifier is made is not public: it is kept, never checked.
Sources: udi.cp-sy.cn, udi.cn; the segments .L lot, .S serial, .M made, .D sterilisation lot,
.V valid until (有效期), .E expires (失效日期).
"""

import re

from medsales.domain.udi import dates
from medsales.domain.udi.findings import finding, shown
from medsales.domain.udi.value import Finding, Issuer, Udi
from medsales.domain.values import PartialDate

MA = re.compile(
    r"(?P<di>MA\.[0-9]{3}\.M0\.[A-Z0-9]{6}\.[A-Z0-9]{8})(?P<segments>(?:\.[LSMDVE][^.]+)*)",
)
SEGMENT = re.compile(r"\.([LSMDVE])([^.]+)")
TEXTS = {"L": "lot", "S": "serial"}


def parse_ma(raw: str, text: str, pivot: int) -> Udi:
    match = MA.match(text)
    if not match:
        wrong = finding("malformed", shown(text), "is no MA identifier")
        return Udi(raw=raw, issuer=Issuer.MA, di=text, warnings=(wrong,))
    segments = dict(reversed(SEGMENT.findall(match["segments"])))
    findings: list[Finding] = []
    extra = {name: value for name, value in segments.items() if name == "D"}
    if match.end() < len(text):
        extra["?"] = text[match.end() :]
        findings.append(finding("malformed", shown(extra["?"]), "is no MA segment"))
    days = {name: day(segments, name, extra, findings, pivot) for name in "MVE"}
    if days["V"] and days["E"]:
        extra["E"] = segments["E"]
    return Udi(
        raw=raw,
        issuer=Issuer.MA,
        di=match["di"],
        lot=segments.get("L"),
        serial=segments.get("S"),
        manufactured=days["M"],
        expires=days["V"] or days["E"],
        extra=extra,
        warnings=tuple(findings),
    )


def day(
    segments: dict[str, str], name: str, extra: dict[str, str], findings: list[Finding], pivot: int
) -> PartialDate | None:
    text = segments.get(name)
    if text is None:
        return None
    found = dates.from_yymmdd(text, pivot) or dates.from_yyyymmdd(text)
    if found is None:
        extra[name] = text
        findings.append(finding("date", f".{name}{shown(text)}", "MA"))
    return found
