"""The tree of RFC 6962: one hash for a whole log, and short proofs of what is in it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import TypeAlias

HASH = 32
"""Bytes of a hash."""
EMPTY = sha256(b"").digest()
"""The root of a log without a fact."""
Span: TypeAlias = Callable[[int, int], bytes]
"""The root over the leaves from `start` up to, but not including, `end`."""


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def full_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a number of hashes that is a power of two."""
    while len(hashes) > 1:
        hashes = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(hashes[::2], hashes[1::2], strict=True)
        ]
    return hashes[0]


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, as the RFC defines it."""
    return span_of(leaves)(0, len(leaves)) if leaves else EMPTY


def span_of(leaves: Sequence[bytes]) -> Span:
    """The plain way, for a tree that is held in memory."""

    def span(start: int, end: int) -> bytes:
        if end - start == 1:
            return leaves[start]
        middle = start + split(end - start)
        return node_hash(span(start, middle), span(middle, end))

    return span


def split(size: int) -> int:
    """The largest power of two that is smaller: so many leaves are on the left."""
    return 1 << (size - 1).bit_length() - 1


# Proofs


def inclusion_proof(index: int, size: int, span: Span) -> list[bytes]:
    """What leads from leaf `index` (from 0) to the root of a tree with `size` leaves."""
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split(end - start)
        if index < middle:
            proof.append(span(middle, end))
            end = middle
        else:
            proof.append(span(start, middle))
            start = middle
    return proof[::-1]


def consistency_proof(first: int, second: int, span: Span) -> list[bytes]:
    """What shows that the tree with `second` leaves begins with the one that has `first`."""
    proof: list[bytes] = []
    start, end = 0, second
    while first != end:
        middle = start + split(end - start)
        if first <= middle:
            proof.append(span(middle, end))
            end = middle
        else:
            proof.append(span(start, middle))
            start = middle
    if start:
        proof.append(span(start, end))
    return proof[::-1]


def includes(root: bytes, size: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether this proof shows that leaf `index` of the tree has this hash (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or any(len(part) != HASH for part in proof):
        return False
    at, last, found = index, size - 1, leaf
    for part in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(part, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, part)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def extends(
    first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether this proof shows that the second tree begins with the first (RFC 9162, 2.1.4.2).

    Every tree begins with the empty one, so about that there is nothing to prove.
    """
    if not 0 < first <= second or any(len(part) != HASH for part in proof):
        return False
    if first == second:
        return not proof and first_root == second_root
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    return _climbed(first - 1, second - 1, path) == (first_root, second_root)


def _climbed(at: int, last: int, path: list[bytes]) -> tuple[bytes, bytes] | None:
    """The roots of the smaller and the larger tree that a consistency proof leads to."""
    while at & 1:
        at, last = at >> 1, last >> 1
    smaller = larger = path[0]
    for part in path[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            smaller, larger = node_hash(part, smaller), node_hash(part, larger)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            larger = node_hash(larger, part)
        at, last = at >> 1, last >> 1
    return (smaller, larger) if last == 0 else None


# Trees that grow


def subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The fewest full subtrees, (level, index), that cover the leaves from start up to end."""
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


class Edge:
    """The right edge of a tree: enough to add leaves and to tell the root, however large it is."""

    def __init__(self, full: Iterable[tuple[int, bytes]] = ()) -> None:
        self.full = list(full)
        """The full subtrees from left to right: level and root."""

    @property
    def size(self) -> int:
        return sum(1 << level for level, _ in self.full)

    def copy(self) -> "Edge":
        return Edge(self.full)

    def add(self, level: int, hash: bytes) -> None:
        """Adds a full subtree, which must begin where the tree ends."""
        while self.full and self.full[-1][0] == level:
            hash = node_hash(self.full.pop()[1], hash)
            level += 1
        self.full.append((level, hash))

    def extend(self, leaves: Sequence[bytes]) -> None:
        size = self.size
        for level, index in subtrees(size, size + len(leaves)):
            start = (index << level) - size
            self.add(level, full_root(leaves[start : start + (1 << level)]))

    def root(self) -> bytes:
        if not self.full:
            return EMPTY
        *others, (_, found) = self.full
        for _, left in reversed(others):
            found = node_hash(left, found)
        return found
