"""Checks the electronic signatures in a log: value, key, signer, proof, and what was signed.

All that it takes is in the log: the statement, the public keys of the signer, and the content that
the facts of the subject hold, which is hashed again. Lines are read twice: who signed what, then
what was signed and approved.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from medsales.audit.contents import Contents, Of, canonical, event_of, quoted
from medsales.audit.findings import Finding
from medsales.audit.heads import Key, fingerprint

Lines = Callable[[], Iterable[bytes]]
"""The lines of a log in order, as often as they are asked for."""


@dataclass
class Signer:
    """A person as the log tells of him up to some position."""

    shown: tuple[str, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    sessions: set[str] = field(default_factory=set)

    def take(self, event: str, payload: dict[str, Any]) -> None:
        if event in {"PersonRegistered", "PersonRevised"}:
            self.shown = (payload["name"], payload["title"], payload["organisation"])
        elif event == "ReauthenticationPassed":
            self.sessions.add(payload["session"])
        elif event == "SessionEnded":
            self.sessions.discard(payload["session"])
        elif event in {"SigningKeyRegistered", "PasswordReset", "PersonLocked"}:
            self.sessions.clear()
        if event == "SigningKeyRegistered":
            self.key = payload["key_id"]
            self.keys[payload["key_id"]] = payload["public_key"]
        elif event == "PasswordReset":
            self.key = None


@dataclass
class Signature:
    """One signature, and what is wrong with it."""

    id: str
    position: int
    statement: dict[str, Any]
    command: tuple[str, str]
    """The command that brought it, so that what the same one did to the subject counts too."""
    invalidated: str | None = None
    findings: list[Finding] = field(default_factory=list)
    borne_out: bool = False
    """A fact of the subject carries the hash that was signed."""
    contradicted: bool = False
    """A fact that came with the signature carries another one."""

    @property
    def of(self) -> Of:
        return str(self.statement.get("subject")), self.statement.get("version")

    def compare(self, line: bytes) -> None:
        """With a fact of the subject: what came before, and what the same command brought."""
        if b"sha256:" not in line:
            return
        try:
            fact = json.loads(line)
            payload, envelope = fact["payload"], fact["envelope"]
            together = self.command == (envelope["client"], envelope["key"])
            before = fact["position"] <= self.position
            content, version = payload.get("content_hash"), payload.get("version")
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            return
        signed = str(self.statement.get("content_hash"))
        fits = version in (None, self.statement.get("version"))
        self.borne_out |= (before or together) and fits and content == signed
        self.contradicted |= together and content not in (None, signed)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "position": self.position,
            "statement": self.statement,
            "invalidated": self.invalidated,
            "genuine": not self.findings,
        }


@dataclass
class Signatures:
    """All that were found in a log, or in the part of it that was given."""

    found: dict[str, Signature] = field(default_factory=dict)
    unreadable: list[Finding] = field(default_factory=list)
    unchecked: int = 0
    """How many were made with a key, or of a content, from before the first line."""
    contents: Contents = field(default_factory=Contents)
    """What the subjects hold, of whatever was approved or signed."""

    @property
    def findings(self) -> list[Finding]:
        each = (finding for one in self.found.values() for finding in one.findings)
        found = [*self.unreadable, *each, *self.contents.changed.values()]
        return sorted(found, key=lambda finding: finding.position or 0)


OF_PEOPLE = {
    *("PersonRegistered", "PersonRevised", "PersonLocked", "PasswordReset"),
    *("SigningKeyRegistered", "ReauthenticationPassed", "SessionEnded"),
}
LOOKED_AT = {name.encode() for name in (*OF_PEOPLE, "Signed", "SignatureInvalidated")}


def checked(lines: Lines, first: int = 1) -> Signatures:
    """Every signature in a log, or in what was exported of it from a position on."""
    signatures = Signatures(contents=Contents(whole=first == 1))
    signers: dict[str, Signer] = {}
    for line in lines():
        if event_of(line) in LOOKED_AT:
            _take(signatures, signers, line)
    _look_for_contents(signatures, lines)
    for one in signatures.found.values():
        missing = [finding for finding in one.findings if finding.code in FROM_BEFORE]
        if first > 1 and missing:
            signatures.unchecked += 1
            one.findings = [finding for finding in one.findings if finding not in missing]
    return signatures


def _take(signatures: Signatures, signers: dict[str, Signer], line: bytes) -> None:
    try:
        fact = json.loads(line)
        subject, event, payload = fact["subject"], fact["event"], fact["payload"]
        if event == "Signed":
            one = _signature(fact)
            one.findings += _wrong(one, payload["signed"], signers, fact["envelope"])
            signatures.found[subject] = one
        elif event == "SignatureInvalidated" and subject in signatures.found:
            signatures.found[subject].invalidated = payload["reason"]
        elif event in OF_PEOPLE:
            signers.setdefault(subject, Signer()).take(event, payload)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        signatures.unreadable.append(_unreadable(line))


def _signature(fact: dict[str, Any]) -> Signature:
    envelope = fact["envelope"]
    statement = dict(fact["payload"]["signed"]["statement"])
    command = (envelope["client"], envelope["key"])
    return Signature(str(fact["subject"]), int(fact["position"]), statement, command)


def _wrong(
    one: Signature, signed: dict[str, Any], signers: dict[str, Signer], envelope: dict[str, Any]
) -> Iterator[Finding]:
    said = one.statement
    text = canonical(said).encode()
    signer = signers.get(said["signer"])
    if one.id != f"signature:{sha256(text).hexdigest()[:32]}":
        yield _misnamed(one)
    if said["signer"] != f"person:{envelope['by']}":
        yield _by_another(one, str(envelope["by"]))
    if signer is None or said["key_id"] not in signer.keys:
        yield _key_unknown(one)
        return
    public = b64decode(signer.keys[said["key_id"]], validate=True)
    key = Key(said["key_id"], public, "")
    value = b64decode(signed["value"], validate=True)
    # The last letter has four bits that say nothing: they may not be changed either.
    written = b64encode(value).decode() == signed["value"]
    if fingerprint(public) != key.id or not written or not key.signs(text, value):
        yield _forged(one)
    if signer.key != key.id:
        yield _key_ended(one)
    if said["authentication"]["session"] not in signer.sessions:
        yield _not_proved(one)
    if signer.shown != (said["printed_name"], said["title"], said["organisation"]):
        yield _name_of_another(one)


def _look_for_contents(signatures: Signatures, lines: Lines) -> None:
    """Whether the subject had by then what was signed, and holds it still."""
    waiting: dict[bytes, list[Signature]] = {}
    for one in signatures.found.values():
        name = f'"subject":{quoted(str(one.statement.get("subject")))},'.encode()
        waiting.setdefault(name, []).append(one)
    for line in lines():
        signatures.contents.take(line)
        for one in waiting.get(line[line.find(b'"subject":') : line.find(b'"version":')], ()):
            one.compare(line)
    signatures.contents.end()
    for one in signatures.found.values():
        if one.contradicted or not one.borne_out:
            one.findings.append(_content_unknown(one))
        if one.of in [*signatures.contents.changed]:
            one.findings.append(_content_changed(one))


# What an auditor is told

FROM_BEFORE = {"signature.key_unknown", "signature.not_proved", "signature.name_of_another"} | {
    "signature.content_unknown"
}
"""What may be right where the log is not given from its beginning."""


def _finding(one: Signature, code: str, en: str, zh: str) -> Finding:
    return Finding(
        f"signature.{code}",
        f"{one.id} at position {one.position} {en}",
        f"位置 {one.position} 的签名 {one.id} {zh}",
        one.position,
    )


def _unreadable(line: bytes) -> Finding:
    start = line[:60].decode(errors="replace")
    return Finding(
        "signature.unreadable",
        f"what the log tells of a signature or a signer cannot be read: {start}",
        f"日志中有关签名或签名人的记录无法读取: {start}",
    )


def _misnamed(one: Signature) -> Finding:
    return _finding(
        one,
        "misnamed",
        "does not bear the name that follows from its statement",
        "的编号与其声明内容不符",
    )


def _by_another(one: Signature, by: str) -> Finding:
    return _finding(
        one,
        "by_another",
        f"was handed in by {by}, not by its signer",
        f"由 {by} 提交, 而非签名人本人",
    )


def _key_unknown(one: Signature) -> Finding:
    return _finding(
        one,
        "key_unknown",
        "was made with a key that its signer had not registered before",
        "所用密钥此前未由签名人登记",
    )


def _forged(one: Signature) -> Finding:
    return _finding(
        one,
        "forged",
        "has a value that was not made over this statement with this key",
        "的签名值与声明或密钥不符",
    )


def _key_ended(one: Signature) -> Finding:
    return _finding(
        one,
        "key_ended",
        "was made with a key that its signer had given up before",
        "所用密钥在此之前已失效",
    )


def _not_proved(one: Signature) -> Finding:
    return _finding(
        one,
        "not_proved",
        "names a session in which its signer had not proved who he is",
        "所述会话中没有签名人的身份验证记录",
    )


def _name_of_another(one: Signature) -> Finding:
    return _finding(
        one,
        "name_of_another",
        "prints another name, title or organisation than its signer had then",
        "所印姓名、职务或单位与签名人当时的不符",
    )


def _content_unknown(one: Signature) -> Finding:
    return _finding(
        one,
        "content_unknown",
        "is of a version and a content that its subject did not have",
        "所签的版本和内容不是签名对象当时的内容",
    )


def _content_changed(one: Signature) -> Finding:
    return _finding(
        one,
        "content_changed",
        "is of a content that was changed afterwards: its hash is another one now",
        "所签内容此后被改动: 其哈希已不相符",
    )
