"""Says what was done to a log, as far as its lines show: edited, swapped, inserted, taken out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from medsales.audit import findings
from medsales.audit.findings import Finding
from medsales.audit.leaf import moved
from medsales.audit.merkle import leaf_hash

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
    """Remembers from one head to the next whether lines were moved."""

    shift: int = 0
    """1 where lines were moved up, -1 where they were moved down."""
    at: int = 0

    def of(self, differences: Iterable[Difference]) -> list[Finding]:
        lone: list[Difference] = []
        found: list[Finding] = []
        for one in differences:
            said = self._moved(one)
            if said is None:
                lone.append(one)
            else:
                found += said
        found += _missing([one.position for one in lone if one.line is None])
        found += _in_their_place([one for one in lone if one.line is not None])
        return sorted(found, key=lambda finding: finding.position or 0)

    def _moved(self, one: Difference) -> list[Finding] | None:
        """What was inserted or taken out here; nothing if it is only what follows from that."""
        before = self.shift if one.position == self.at + 1 else 0
        up, down = one.belongs_after, one.belongs_here
        self.at, self.shift = one.position, up - down
        if before == 1 and one.line is None:
            return []
        if self.shift == 0:
            return None
        if self.shift == before:
            return []
        return [(findings.removed if up else findings.inserted)(one.position)]


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
