"""Which GS1 application identifiers need, exclude or contradict each other."""

from collections.abc import Callable, Iterator

from medsales.domain.udi.findings import finding, shown
from medsales.domain.udi.gs1_dictionary import dictionary
from medsales.domain.udi.gs1_elements import Element
from medsales.domain.udi.value import Finding

Elements = tuple[Element, ...]

SIGNATURE = "8030"
SERIALISED_BY_CHOICE = ("253", "255", "8003")


def matches(pattern: str, code: str) -> bool:
    """Whether an AI is meant by a pattern such as `310n`."""
    return len(pattern) == len(code) and code.startswith(pattern.rstrip("n"))


def partners(pattern: str, code: str, elements: Elements) -> list[str]:
    """The other AIs a pattern means; no AI is its own partner, even if the pattern fits."""
    return [e.ai for e in elements if e.ai != code and matches(pattern, e.ai)]


def repeats_differ(elements: Elements) -> Iterator[Finding]:
    """Repeated elements must agree (GS1 General Specifications 4.14)."""
    first: dict[str, str] = {}
    for code, value in elements:
        if first.setdefault(code, value) != value:
            both = f"({code}) {shown(first[code])} / {shown(value)}"
            yield finding("ai_differs", both)


def excluded(elements: Elements) -> Iterator[Finding]:
    for code in dict.fromkeys(e.ai for e in elements):
        ai = dictionary().get(code)
        for pattern in ai.excludes if ai else ():
            for other in partners(pattern, code, elements):
                yield finding("ai_excluded_pair", f"({code})", f"({other})")


def missing(elements: Elements) -> Iterator[Finding]:
    for code in dict.fromkeys(e.ai for e in elements):
        ai = dictionary().get(code)
        for choices in ai.requires if ai else ():
            if not any(all_present(choice, code, elements) for choice in choices):
                yield finding("ai_missing_pair", f"({code})", f"({') / ('.join(choices)})")


def all_present(choice: str, code: str, elements: Elements) -> bool:
    return all(partners(pattern, code, elements) for pattern in choice.split("+"))


def signed_without_serial(elements: Elements) -> Iterator[Finding]:
    """A digital signature signs one item: its key must carry the optional serial number."""
    if not any(e.ai == SIGNATURE for e in elements):
        return
    for code, value in elements:
        if code in SERIALISED_BY_CHOICE and len(value) == dictionary()[code].shortest:
            yield finding("ai_missing_pair", f"({SIGNATURE})", f"({code}) + serial")


RULES: tuple[Callable[[Elements], Iterator[Finding]], ...] = (
    repeats_differ,
    excluded,
    missing,
    signed_without_serial,
)


def association_findings(elements: Elements) -> tuple[Finding, ...]:
    """What is wrong with elements found together on one item (GS1 General Specifications 4.13)."""
    return tuple(found for rule in RULES for found in rule(elements))
