"""Compares the lines of a log with the hashes kept for them, and both with the signed heads.

The kept hashes say which position differs; the signed heads say which of the two is right. So an
edited fact is told from an edited hash.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from medsales.audit import findings
from medsales.audit.diagnosis import Diagnosis, Difference
from medsales.audit.findings import Finding
from medsales.audit.heads import Head
from medsales.audit.leaf import position_of
from medsales.audit.merkle import HASH, Edge, leaf_hash

BLOCK = 256
"""Lines that are compared at a time, at most."""
MANY = 1 << 62
REMEMBERED = 1000
"""Differences that are looked into between two heads; a whole log may differ."""
Kept = Callable[[int, int], bytes]
"""The hashes that were kept for the positions `first` to `last`, one after the other."""
Rest = Iterable[tuple[int, bytes]]
"""What is known to stand behind the last position: full subtrees, level and root."""


@dataclass(slots=True)
class Comparison:
    """A log, read once from the position after those that its tree begins with."""

    lines: Iterator[bytes]
    kept: Kept
    told: Edge = field(default_factory=Edge)
    """The tree over the lines."""
    stored: Edge = field(init=False)
    """The tree over the kept hashes; the same one as long as nothing differs."""
    at: int = field(init=False)
    """The position up to which it has been compared."""
    settled: int = field(init=False)
    """The position of the last head that it agreed with."""
    differences: list[Difference] = field(default_factory=list)
    diagnosis: Diagnosis = field(default_factory=Diagnosis)
    odd: list[Finding] = field(default_factory=list)
    """What is wrong beside lines that differ."""
    next: tuple[int, bytes] | None = None
    astray: bool = False
    """No head can be compared any more: one was signed over what is neither told nor stored."""

    def __post_init__(self) -> None:
        self.stored = self.told
        self.at = self.settled = self.told.size
        self._pull(self.at)

    def read(self, last: int) -> None:
        """Compares lines with kept hashes up to a position."""
        while self.at < last:
            end = min(last, (self.at | (BLOCK - 1)) + 1)
            self._block(self.at + 1, end)
            self.at = end

    def settle(self, head: Head, rest: Rest = ()) -> None:
        """Finds what is wrong since the head before; then both trees are what this one signed.

        The head is of the position read up to, or of what stands there with the rest behind it.
        """
        told, stored = (_completed(edge, rest) for edge in (self.told, self.stored))
        differences, self.differences = self.differences, []
        if self.astray or stored == head.root:
            self.diagnosis.take(differences)
            self.told = self.stored
        elif told == head.root:
            self.odd += [findings.hash_changed(one.position) for one in differences]
            self.stored = self.told
        else:
            self.diagnosis.take(differences)
            self.odd.append(findings.not_signed_over(self.settled + 1, head.size, head.number))
            self.astray = True
        self.settled = self.at

    def follow(self) -> None:
        """Goes on behind the last head, where only the positions can be looked at."""
        while self.next is not None:
            if self.next[0] != self.at + 1:
                self.odd.append(findings.missing(self.at + 1, self.next[0] - 1))
            self.at = self.next[0]
            self._pull(self.at)

    def surplus(self) -> None:
        """Nothing may stand behind the position read up to."""
        if self.next is not None:
            self.odd.append(findings.surplus(self.next[0]))

    def findings(self) -> list[Finding]:
        """All that was found, in the order of the log."""
        self.diagnosis.take(self.differences)
        found = [*self.odd, *self.diagnosis.findings()]
        return sorted(found, key=lambda finding: finding.position or MANY)

    def _block(self, first: int, last: int) -> None:
        kept = self.kept(first, last)
        lines = self._lines(first, last)
        hashes = [kept[at : at + HASH] for at in range(0, len(kept), HASH)]
        found = [line and leaf_hash(line) for line in lines]
        if found != hashes:
            hashes += [bytes(HASH)] * (len(lines) - len(hashes))
            self._differ(first, lines, found, hashes)
            self._part()
        self.told.extend([hash or bytes(HASH) for hash in found])
        if self.stored is not self.told:
            self.stored.extend(hashes)

    def _part(self) -> None:
        """From here on there are two trees, until a head says which is right."""
        if self.stored is self.told:
            self.stored = self.told.copy()

    def _differ(
        self,
        first: int,
        lines: list[bytes | None],
        found: list[bytes | None],
        hashes: list[bytes],
    ) -> None:
        last = first + len(lines)
        lines_after = [*lines[1:], self.next[1] if self.next and self.next[0] == last else None]
        kept_after = [*hashes[1:], self.kept(last, last)]
        for n, line in enumerate(lines):
            if found[n] == hashes[n]:
                continue
            if len(self.differences) == REMEMBERED:
                self.diagnosis.uncounted += 1
                continue
            self.differences.append(
                Difference(first + n, line, hashes[n], lines_after[n], kept_after[n])
            )

    def _lines(self, first: int, last: int) -> list[bytes | None]:
        """The lines at these positions, None where there is none."""
        found: list[bytes | None] = []
        for position in range(first, last + 1):
            if self.next is not None and self.next[0] == position:
                found.append(self.next[1])
                self._pull(position)
            else:
                found.append(None)
        return found

    def _pull(self, after: int) -> None:
        """Takes the next line that stands where it may stand."""
        for line in self.lines:
            # Usually it is the very next one, which is cheaper to see than to read.
            if line.startswith(b'{"position":%d,' % (after + 1)):
                self.next = (after + 1, line)
                return
            position = position_of(line)
            if position is not None and position > after:
                self.next = (position, line)
                return
            if len(self.odd) < REMEMBERED:
                wrong = findings.no_line(after) if position is None else findings.twice(position)
                self.odd.append(wrong)
        self.next = None


def _completed(edge: Edge, rest: Rest) -> bytes:
    """The root when what is known to follow has been added."""
    whole = edge.copy()
    for level, hash in rest:
        whole.add(level, hash)
    return whole.root()
