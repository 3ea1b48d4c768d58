"""Checks that heads follow from each other and bear the signatures of keys that vouch in turn."""

from collections.abc import Iterable, Iterator, Sequence

from medsales.audit import findings
from medsales.audit.findings import Finding
from medsales.audit.heads import (
    NOTHING,
    Head,
    Key,
    company_in,
    fingerprint,
    head_from_line,
    in_order,
)


class Chain:
    """The heads of one log, in the order they were made."""

    def __init__(self, log: str, keys: Sequence[Key]) -> None:
        self.log = log
        self.given = keys
        self.keys = {key.id: key for key in in_order(keys)}
        self.last: Head | None = None
        self.genuine = True
        """Whether the last head bears its signature."""

    def check_keys(self, trusted: str | None = None) -> Iterator[Finding]:
        """Each key but the first is vouched for by the one before it, and owns to following it."""
        for key in self.given:
            before = self.keys.get(key.signed_by or "")
            vouched = not key.signed_by or (before is not None and key.follows(before, self.log))
            if key.id not in self.keys or key.id != fingerprint(key.public) or not vouched:
                self.keys.pop(key.id, None)
                yield findings.key_forged(key.id)
        if trusted is not None and trusted not in self.keys:
            yield findings.key_not_trusted(trusted)

    def check(self, head: Head) -> Iterator[Finding]:
        """The next head."""
        last = self.last
        self.last = head
        forged = list(self.check_alone(head))
        self.genuine = not forged
        yield from forged
        number, size, before = (last.number, last.size, last.hash()) if last else (0, 0, NOTHING)
        if (head.number, head.previous) != (number + 1, before) or head.size < size:
            yield findings.head_unlinked(head.number)

    def check_alone(self, head: Head) -> Iterator[Finding]:
        key = self.keys.get(head.key)
        if head.log != self.log:
            yield findings.head_of_another_log(head.number)
        if key is None:
            yield findings.key_unknown(head.number, head.key)
        elif not key.signs(head.signed(), head.signature):
            yield findings.head_forged(head.number)


class Witness:
    """Heads of one log that were written down elsewhere, line by line as they were made."""

    def __init__(self, log: str, lines: Iterable[bytes] = (), company: str | None = None) -> None:
        self.log = log
        self.company = company
        self.known = False
        """Whether there is any head of this log."""
        self.other: Head | None = None
        """The last one of another log."""
        self.before: Head | None = None
        """The last one of another log of the same company."""
        self.lines = enumerate(lines, start=1)
        self.damaged: list[Finding] = []
        self.next = self._read()

    def check(self, head: Head) -> Iterator[Finding]:
        """Whether the next head of the log is the one that is known here."""
        while self.next is not None and self.next.number < head.number:
            self.next = self._read()
        if self.next is not None and self.next.number == head.number:
            known, self.next = self.next, self._read()
            if known.signed() != head.signed():
                yield findings.forked(known.number, known.size, known.sealed_at)

    def ended(self, last: Head | None) -> Iterator[Finding]:
        """When the log has no more heads; what is known here beyond them is missing there."""
        lost = None
        while self.next is not None:
            lost, self.next = self.next, self._read()
        yield from self.damaged
        if self.before is not None:
            before = self.before
            yield findings.replaced(before.log, before.number, before.size, before.sealed_at)
        elif self.other is not None and not self.known:
            yield findings.outside_of_other_logs(self.log)
        if lost is not None and lost.number > (last.number if last else 0):
            at = (last.number, last.size) if last else (0, 0)
            yield findings.cut_off(lost.number, lost.size, lost.sealed_at, *at)

    def _read(self) -> Head | None:
        for number, line in self.lines:
            try:
                head = head_from_line(line)
            except ValueError:
                self.damaged.append(findings.outside_forged(number))
            else:
                if head.log == self.log:
                    self.known = True
                    return head
                self.other = head
                if self.company is not None and company_in(line) == self.company:
                    self.before = head
        return None
