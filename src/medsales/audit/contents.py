"""Hashes again what facts hold: a content whose hash is named is the one that was named.

What is approved and signed is named by the hash of its content. A changed content shows here, also
where it lies in the log beside a hash that nobody touched, and before any seal came by (C1, B7).
Decimals are stored as texts, so RFC 8785 needs nothing but the standard library; a number with a
fraction is refused. What was written before contents had hashes is left alone.
"""

import json
import unicodedata
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from medsales.audit.findings import Finding

Of = tuple[str, Any]
"""Whose content, and in which version."""
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
MATRIX = {"MatrixVersionDrafted", "MatrixVersionRewritten", "CellsAdded"}
"""Their prices follow in facts of sheets, product by product."""
WITHOUT = {"PromotionDrafted", "PromotionEdited", "SheetWritten"}
"""Hold a content, and name no hash."""
OLD = {"VersionDrafted", "DraftEdited"}
"""Price versions from before there were hashes of them."""
LOOKED_AT = {name.encode() for name in WITHOUT | OLD}
EVENT, MARKS = b'"event":"', (b'"content_hash":', b'"content":{')
quoted = json.JSONEncoder(ensure_ascii=False).encode


def event_of(line: bytes) -> bytes:
    """The name of the event; it stands behind the subject, whose quotes are escaped."""
    start = line.find(EVENT) + len(EVENT)
    return line[start : line.find(b'"', start)]


def canonical(value: Any) -> str:
    """RFC 8785. Raises ValueError for a number with a fraction: they are stored as texts."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        told = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(f"{quoted(name)}:{canonical(part)}" for name, part in told) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(canonical, value))}]"
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    raise ValueError("what is hashed holds texts, whole numbers, lists and objects")


def hashed(content: Any) -> str:
    """As `content_hash` of the program itself: composed texts (NFC), then the canonical bytes."""
    return f"sha256:{sha256(canonical(_composed(content)).encode()).hexdigest()}"


def _composed(part: Any) -> Any:
    if isinstance(part, str):
        return unicodedata.normalize("NFC", part)
    if isinstance(part, dict):
        return {_composed(name): _composed(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_composed(each) for each in part]
    return part


@dataclass
class Chunk:
    """Prices on their way: the hash that they lead to, and the cells that have come so far."""

    of: Of
    edition: int
    before: str
    stated: str
    position: int
    cells: list[Any] = field(default_factory=list)


@dataclass
class Contents:
    """What each subject holds in each version, as far as a log has been read."""

    whole: bool = True
    """Whether it is read from the beginning, so that what is named must have been there."""
    held: dict[Of, str] = field(default_factory=dict)
    changed: dict[Of, Finding] = field(default_factory=dict)
    """The first thing that is wrong with each."""
    chunks: dict[str, Chunk] = field(default_factory=dict)
    holders: set[str] = field(default_factory=set)
    old: set[Of] = field(default_factory=set)

    def take(self, line: bytes) -> None:
        """One line of the log. What is no fact at all is for others to find."""
        if not any(mark in line for mark in MARKS) and event_of(line) not in LOOKED_AT:
            return
        try:
            fact = json.loads(line)
            subject, event, payload = str(fact["subject"]), fact["event"], fact["payload"]
            self._look(subject, event, payload, int(fact["position"]))
        except UNREADABLE:
            return

    def end(self) -> None:
        """Nothing more comes."""
        for subject in [*self.chunks]:
            self._settle(subject)

    def _look(self, subject: str, event: str, payload: dict[str, Any], position: int) -> None:
        about = payload["subject"] if subject.startswith("approval:") else subject
        if event == "SheetWritten":
            self._written(payload)
            return
        self._settle(about)
        of = (about, payload.get("version", payload.get("number")))
        if event in OLD:
            self.old.add(of)
        elif event in MATRIX:
            self._begun(of, event, payload, position)
        elif event in WITHOUT:
            self._promoted(of, payload, position)
        elif isinstance(content := payload.get("content", payload.get("request")), dict):
            version = content.get("version", content.get("number"))
            self._hold((about, version), content, payload.get("content_hash"), position)
        elif stated := payload.get("content_hash"):
            self._named(of, stated, position)

    def _hold(self, of: Of, content: Any, stated: str | None, position: int) -> None:
        try:
            found = hashed(content)
        except UNREADABLE:
            found = "none"
        self.held[of] = found
        self.holders.add(of[0])
        if stated not in {None, found}:
            self._found(of, position)

    def _named(self, of: Of, stated: str, position: int) -> None:
        """By a later fact, of the subject or of its approval: the content that stood last."""
        looked_at = of in self.held or (self.whole and of[0] in self.holders)
        if looked_at and of not in self.old and self.held.get(of) != stated:
            self._found(of, position)

    def _found(self, of: Of, position: int) -> None:
        self.changed.setdefault(of, content_changed(*of, position))

    def _promoted(self, of: Of, payload: dict[str, Any], position: int) -> None:
        subject, version = of[0], payload.get("version", 1)
        code = subject.partition(":")[2]
        content = {"code": code, "version": version, "terms": payload["terms"]}
        self._hold((subject, version), content, None, position)

    # Prices: the hash of a version is chained, over its days and then over each part of its cells

    def _begun(self, of: Of, event: str, payload: dict[str, Any], position: int) -> None:
        edition, stated = payload.get("edition", 1), payload["content_hash"]
        if event == "CellsAdded":
            before = self.held.get(of, "")
        else:
            before = hashed(
                {
                    "price_matrix": of[0],
                    "version": of[1],
                    "effective_from": payload["effective_from"],
                    "effective_until": payload["effective_until"],
                }
            )
        self.chunks[of[0]] = Chunk(of, edition, before, stated, position)

    def _written(self, payload: dict[str, Any]) -> None:
        chunk = self.chunks.get(payload["price_matrix"])
        if chunk and (chunk.of[1], chunk.edition) == (payload["version"], payload["edition"]):
            chunk.cells += payload["cells"]

    def _settle(self, subject: str) -> None:
        """All cells of a part are there, once its matrix or its approval is spoken of again."""
        chunk = self.chunks.pop(subject, None)
        if chunk is None:
            return
        if chunk.before:
            content = {"before": chunk.before, "cells": chunk.cells}
            self._hold(chunk.of, content, chunk.stated, chunk.position)
        elif self.whole:
            self._found(chunk.of, chunk.position)
        else:
            self.held[chunk.of] = chunk.stated


def content_changed(subject: str, version: Any, position: int) -> Finding:
    where = f", as the fact at position {position} names it" if position else ""
    place = f" (位置 {position} 的事实所述)" if position else ""
    return Finding(
        "content.changed",
        f"{subject}, version {version}, is not the content that its hash was made of{where}",
        f"{subject} 第 {version} 版的内容与其哈希不符{place}",
        position or None,
    )
