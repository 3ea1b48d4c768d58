"""Says what was done to a log, as far as its lines show: edited, swapped, inserted, taken out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from medsales.audit import findings
from medsales.audit.findings import Finding
from medsales.audit.leaf import moved
from medsales.audit.merkle import leaf_hash

REMEMBERED = 1000
"""Differences that are told one by one; a whole log may differ."""
PAIRED = 100
"""Lines for which it is tried whether two of them were swapped; each is hashed for every other."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A position whose line does not have the hash that was kept for it."""

    position: int
    line: bytes | None
    kept: bytes
    line_after: bytes | None
    kept_after: bytes

    @property
    def belongs_after(self) -> bool:
        return _is(self.line, self.position + 1, self.kept_after)

    @property
    def belongs_here(self) -> bool:
        """The line that stands behind."""
        return _is(self.line_after, self.position, self.kept)


def _is(line: bytes | None, position: int, kept: bytes) -> bool:
    return line is not None and leaf_hash(moved(line, position)) == kept


@dataclass(slots=True)
class Diagnosis:
    """Takes the differences of a whole log, in its order."""

    shift: int = 0
    """1 where lines were moved up, -1 where they were moved down."""
    at: int = 0
    found: list[Finding] = field(default_factory=list)
    lone: list[Difference] = field(default_factory=list)
    """Those that are not explained by what came or went before them."""
    uncounted: int = 0

    def take(self, differences: Iterable[Difference]) -> None:
        for one in differences:
            if not self._moved(one):
                self._remember(one)

    def findings(self) -> list[Finding]:
        """Everything that was done."""
        found = [
            *self.found,
            *_missing([one.position for one in self.lone if one.line is None]),
            *_in_their_place([one for one in self.lone if one.line is not None]),
        ]
        left = [findings.more(self.uncounted)] if self.uncounted else []
        return sorted(found, key=lambda finding: finding.position or 0) + left

    def _remember(self, one: Difference) -> None:
        if len(self.lone) < REMEMBERED:
            self.lone.append(one)
        else:
            self.uncounted += 1

    def _moved(self, one: Difference) -> bool:
        """Whether it is explained by a fact that was inserted or taken out, here or before."""
        before = self.shift if one.position == self.at + 1 else 0
        up, down = one.belongs_after, one.belongs_here
        self.at, self.shift = one.position, up - down
        if self.shift and self.shift != before:
            self.found.append((findings.removed if up else findings.inserted)(one.position))
        # Where lines were moved, one is missing at the end, or the last one lies behind it.
        ended = (before == 1 and one.line is None) or (before == -1 and one.line_after is None)
        return self.shift != 0 or ended


def _missing(positions: Sequence[int]) -> Iterator[Finding]:
    """One sentence for positions that follow each other."""
    for _, run in groupby(enumerate(positions), key=lambda each: each[1] - each[0]):
        gone = [position for _, position in run]
        yield findings.missing(gone[0], gone[-1])


def _in_their_place(lone: Sequence[Difference]) -> Iterator[Finding]:
    """Facts that were swapped with each other, and those that were edited."""
    partners: dict[int, int] = {}
    for n, one in enumerate(lone[:PAIRED]):
        for other in lone[n + 1 : PAIRED]:
            if _is(one.line, other.position, other.kept) and _is(
                other.line, one.position, one.kept
            ):
                partners |= {one.position: other.position, other.position: one.position}
    for one in lone:
        other_position = partners.get(one.position)
        if other_position is None:
            yield findings.changed(one.position)
        elif one.position < other_position:
            yield findings.swapped(one.position, other_position)
