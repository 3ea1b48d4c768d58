"""The GS1 application identifiers (AIs) and their rules, read from GS1's own syntax dictionary."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

DICTIONARY = Path(__file__).parent / "data" / "gs1-syntax-dictionary.txt"
"""Release 2026-01-27 of the GS1 Barcode Syntax Dictionary, Apache-2.0, verbatim."""

LINE = re.compile(r"(?P<first>\d{2,4})(?:-(?P<last>\d{2,4}))?\s+(?P<flags>[*?]*)\s*(?P<rest>.*)")
COMPONENT = re.compile(r"(?P<charset>[NXYZ])(?P<low>\d+|\.\.)(?P<high>\d*)")


class Component(NamedTuple):
    """One part of a value, such as `N13,csum,gcppos1` or `[X..17]`."""

    charset: str
    low: int
    high: int
    optional: bool
    linters: tuple[str, ...]


class Ai(NamedTuple):
    """One line of the dictionary, for one AI."""

    code: str
    predefined_length: bool
    """Ends where its length says; every other AI needs a separator after it."""
    link_attribute: bool
    """May stand in the query of a Digital Link."""
    components: tuple[Component, ...]
    requires: tuple[tuple[str, ...], ...]
    """Each group must be met by one of its patterns; `01+21` needs both."""
    excludes: tuple[str, ...]
    link_paths: tuple[tuple[str, ...], ...]
    """For a Digital Link key, the qualifiers that may follow it; empty for other AIs."""
    title: str

    @property
    def shortest(self) -> int:
        return sum(part.low for part in self.components if not part.optional)

    @property
    def longest(self) -> int:
        return sum(part.high for part in self.components)


def component(text: str) -> Component:
    kind, *linters = text.replace("[", "").replace("]", "").split(",")
    match = COMPONENT.fullmatch(kind)
    assert match, f"not a component: {text}"
    low = 1 if match["low"] == ".." else int(match["low"])
    high = int(match["high"]) if match["high"] else low
    return Component(match["charset"], low, high, text.startswith("["), tuple(linters))


def link_paths(attributes: list[str]) -> tuple[tuple[str, ...], ...]:
    for attribute in attributes:
        key, _, paths = attribute.partition("=")
        if key == "dlpkey":
            return tuple(tuple(path.split(",")) if path else () for path in paths.split("|"))
    return ()


def values_of(key: str, attributes: list[str]) -> tuple[tuple[str, ...], ...]:
    found = (a.removeprefix(f"{key}=").split(",") for a in attributes if a.startswith(f"{key}="))
    return tuple(tuple(each) for each in found)


def entries(line: str) -> list[Ai]:
    match = LINE.match(line)
    assert match, f"not a dictionary line: {line}"
    specification, _, title = match["rest"].partition("#")
    words = specification.split()
    parts = tuple(component(w) for w in words if COMPONENT.match(w.lstrip("[")))
    attributes = [w for w in words if not COMPONENT.match(w.lstrip("["))]
    first, last = int(match["first"]), int(match["last"] or match["first"])
    return [
        Ai(
            code=f"{number:0{len(match['first'])}}",
            predefined_length="*" in match["flags"],
            link_attribute="?" in match["flags"],
            components=parts,
            requires=values_of("req", attributes),
            excludes=tuple(p for group in values_of("ex", attributes) for p in group),
            link_paths=link_paths(attributes),
            title=title.strip(),
        )
        for number in range(first, last + 1)
    ]


@cache
def dictionary() -> dict[str, Ai]:
    lines = DICTIONARY.read_text(encoding="utf-8").splitlines()
    return {ai.code: ai for line in lines if line[:1].isdigit() for ai in entries(line)}


@cache
def widths() -> dict[str, int]:
    """How long an AI is, by its first two digits (GS1 General Specifications 7.8.2)."""
    return {code[:2]: len(code) for code in dictionary()}


def ai_at_start(text: str) -> Ai | None:
    return dictionary().get(text[: widths().get(text[:2], 0)])
