"""GS1 element strings, as people read them `(01)…(10)…` and as scanners send them."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from medsales.domain.udi.findings import finding, shown
from medsales.domain.udi.gs1_content import content_error, content_finding
from medsales.domain.udi.gs1_dictionary import Ai, ai_at_start, dictionary
from medsales.domain.udi.value import Finding

GS = "\x1d"
"""How a scanner sends FNC1 (GS1 General Specifications 7.8.3)."""

PARENTHESES = re.compile(r"(?<!\\)\(([0-9]{2,4})\)")
BRACES = re.compile(r"\{([0-9]{2,4})\}")


class Element(NamedTuple):
    """One application identifier and its value."""

    ai: str
    value: str


class Reading(NamedTuple):
    """What a text says, and what is wrong with how it says it."""

    elements: tuple[Element, ...]
    findings: tuple[Finding, ...]


def joined(*readings: Reading) -> Reading:
    elements = tuple(e for reading in readings for e in reading.elements)
    return Reading(elements, tuple(f for reading in readings for f in reading.findings))


def value_findings(element: Element) -> tuple[Finding, ...]:
    """What is wrong with a value whose end is known."""
    ai, value = dictionary().get(element.ai), element.value
    what = f"({element.ai}) {shown(value)}"
    if ai is None:
        return (finding("ai_unknown", f"({element.ai})"),)
    if len(value) > ai.longest:
        return (finding("too_long", what),)
    _, wrong = content_error(ai, value)
    return (content_finding(ai, value, wrong),) if wrong else ()


def read_hri(text: str) -> Reading:
    """Reads the human readable form; the braces of the HL7 examples are read as parentheses.

    A parenthesis that belongs to a value is written with a backslash, as GS1's own tools do; the
    blanks that labels print between elements are no part of them.
    """
    parts = (BRACES if text.startswith("{") else PARENTHESES).split(text)
    before, codes = parts[0], parts[1::2]
    values = [*(value.rstrip(" ") for value in parts[2:-1:2]), *parts[2:][-1:]]
    stray = [v for v in (before, *values) if re.search(r"(?<!\\)\(", v)]
    elements = [Element(c, v.replace(r"\(", "(")) for c, v in zip(codes, values, strict=True)]
    findings = [f for element in elements for f in value_findings(element)]
    if before or stray or not elements:
        wrong = shown(before or (stray or [text])[0])
        findings.insert(0, finding("malformed", wrong, "is no element such as (01)…"))
    return Reading(tuple(elements), tuple(findings))


def read_scan(text: str) -> Reading:
    """Reads what a scanner sends after the symbology identifier: elements, GS between them.

    A GS after a predefined-length element is tolerated (GS1 General Specifications 7.8.6.3).
    """
    elements: list[Element] = []
    findings: list[Finding] = []
    rest = text
    while rest:
        ai = ai_at_start(rest)
        if ai is None:
            findings.append(finding("ai_unknown", shown(rest[:4])))
            rest = after_separator(rest)
            continue
        value, rest, wrong = read_value(ai, rest[len(ai.code) :])
        elements.append(Element(ai.code, value))
        findings.extend(wrong)
    if not elements and not findings:
        findings.append(finding("malformed", shown(text), "is no element string"))
    return Reading(tuple(elements), tuple(findings))


def after_separator(text: str) -> str:
    return text.partition(GS)[2]


def read_value(ai: Ai, text: str) -> tuple[str, str, list[Finding]]:
    """The value at the start of the text, what follows it, and what is wrong with it."""
    until_separator, separator, following = text.partition(GS)
    consumed, wrong = content_error(ai, until_separator)
    findings = [content_finding(ai, until_separator, wrong)] if wrong else []
    left = until_separator[consumed:]
    if ai.predefined_length and left:
        return until_separator[:consumed], left + separator + following, findings
    if left and not wrong:
        findings.append(finding("too_long", f"({ai.code}) {shown(until_separator)}"))
    return until_separator, following, findings


def written(elements: Iterable[Element]) -> str:
    """The element string, a GS only where one is needed."""
    return "".join(spelled(tuple(elements)))


def spelled(elements: tuple[Element, ...]) -> Iterator[str]:
    for i, (code, value) in enumerate(elements):
        ai = dictionary().get(code)
        ends_itself = i + 1 == len(elements) or (ai is not None and ai.predefined_length)
        yield code + value + ("" if ends_itself else GS)
