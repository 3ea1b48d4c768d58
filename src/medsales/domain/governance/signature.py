"""An electronic signature: who signed which version of what, as what, when, and how he proved it.

The statement says all of it and names the hash of the content; the value is made over the RFC 8785
bytes of the statement with a key that only the password of the signer unlocks. So a later change
of the statement, of the content or of the value shows (电子签名法 art. 13), to whoever has the log.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Literal, Self

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from medsales.domain.governance.person import (
    Authentication,
    Fingerprint,
    Name,
    Organisation,
    Person,
    Title,
    nfc,
)
from medsales.domain.ids import AnyId, PersonId, SignatureId
from medsales.domain.kernel import (
    Aggregate,
    Also,
    Command,
    Event,
    Note,
    Refused,
    Role,
    Sentence,
    Term,
    Text,
    Value,
    Who,
)
from medsales.domain.values import Evidence, Quantity

FRESH = timedelta(minutes=10)
"""A statement that was prepared longer ago is read and signed again."""
LONGEST_ZONE = 50

Kind = Annotated[str, Field(pattern=r"^[a-z-]+$", max_length=40, examples=["contract"])]
Zone = Annotated[
    str,
    # Its form only: which zones there are differs from machine to machine and from year to year.
    Field(pattern=r"^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$", max_length=LONGEST_ZONE),
    Field(examples=["Asia/Shanghai"]),
]
"""A time zone by its name in the IANA database."""
Unsaid = Field(exclude_if=lambda value: value is None)
"""What is not said is neither stored nor signed; so a field that comes later, and is optional like
this one, changes no signature of before."""
Said = Annotated[Note, AfterValidator(nfc)]
Device = Annotated[Text, AfterValidator(nfc), Field(examples=["iPad 0421, ward 3"])]
"""What somebody signs on, as he or his program tells it (B7)."""
SignatureValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$", max_length=88)]
"""The 64 bytes of an Ed25519 signature, in base64."""


class Meaning(Term):
    """What a signature says about what is signed (21 CFR 11.50(a)(3))."""

    AUTHORSHIP = "authorship", "编制"
    REVIEW = "review", "审核"
    APPROVAL = "approval", "批准"
    RESPONSIBILITY = "responsibility", "负责"
    RECEIPT = "receipt", "签收"
    WITNESS = "witness", "见证"


class Statement(Value):
    """What is signed, in full; every field is covered by the value."""

    subject: AnyId
    subject_type: Kind
    version: Quantity
    """Of the content, as the subject counts."""
    content_hash: Evidence
    """Of the content that was seen."""
    document: Annotated[Evidence | None, Unsaid] = None
    """The rendering in which it was seen, where it was one."""
    meaning: Meaning
    text: Said
    """What the signer declares."""
    signer: PersonId
    printed_name: Name
    title: Title
    role: Role
    organisation: Organisation
    executed_at: AwareDatetime
    """In UTC."""
    time_zone: Zone
    """Where the signer was."""
    device: Annotated[Device | None, Unsaid] = None
    local_time: AwareDatetime
    """The same moment as the clocks there showed it, with the offset that was in force."""
    authentication: Authentication
    key_id: Fingerprint
    algorithm: Literal["Ed25519"] = "Ed25519"

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.subject.partition(":")[0] != self.subject_type:
            raise ValueError("subject_type is the word before the colon of the subject")
        if self.executed_at.utcoffset() or self.executed_at != self.local_time:
            raise ValueError("executed_at is in UTC, and local_time is the same moment")
        return self

    def signed_bytes(self) -> bytes:
        """RFC 8785, of all that is stored."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    def id(self) -> SignatureId:
        return SignatureId.of(sha256(self.signed_bytes()).hexdigest()[:32])


class SignedStatement(Value):
    """A statement with the value that its signer's key makes over it."""

    statement: Statement
    value: SignatureValue

    def is_genuine(self, public_key: str) -> bool:
        """Whether the value was made over exactly this, by the private half of that key."""
        try:
            key = Ed25519PublicKey.from_public_bytes(b64decode(public_key, validate=True))
            value = b64decode(self.value, validate=True)
            key.verify(value, self.statement.signed_bytes())
        except (InvalidSignature, ValueError):
            return False
        # The last letter has four bits that say nothing: they may not be changed either.
        return b64encode(value).decode() == self.value


def signed_with(key: Ed25519PrivateKey, statement: Statement) -> SignedStatement:
    """For whoever holds the key; Ed25519 needs no random number."""
    value = b64encode(key.sign(statement.signed_bytes())).decode()
    return SignedStatement(statement=statement, value=value)


def public_key_of(key: Ed25519PrivateKey) -> tuple[str, str]:
    """In base64, and its fingerprint."""
    public = key.public_key().public_bytes_raw()
    return b64encode(public).decode(), sha256(public).hexdigest()


def signing(  # noqa: PLR0913 - what a signature is bound to
    signed: SignedStatement,
    *,
    subject: str,
    version: int,
    content_hash: str,
    by: str,
    meaning: Meaning,
) -> Also:
    """What a decision asks for that needs this signature, with what the subject is right now.

    Raises Refused where it is a signature of something else, or of what has changed since.
    """
    statement = signed.statement
    _must_be_of(statement, subject)
    _must_not_have_moved(statement, version, content_hash)
    _must_mean(statement, meaning)
    must_be_own(statement, by)
    return Also(statement.id(), Sign(signed=signed))


def _must_be_of(statement: Statement, subject: str) -> None:
    if statement.subject != subject:
        raise Refused(
            "signature.other_subject",
            f"this is a signature of {statement.subject}, not of {subject}",
            f"该签名属于 {statement.subject}, 而非 {subject}",
        )


def _must_not_have_moved(statement: Statement, version: int, content_hash: str) -> None:
    if (statement.version, statement.content_hash) != (version, content_hash):
        raise Refused(
            "signature.subject_moved",
            f"{statement.subject} is no longer what you have signed: read version {version}"
            " and sign again",
            f"{statement.subject} 在您签名后已变更: 请阅读第 {version} 版后重新签名",
        )


def _must_mean(statement: Statement, meaning: Meaning) -> None:
    if statement.meaning is not meaning:
        raise Refused(
            "signature.other_meaning",
            f"{meaning.en} is asked for, and this signature says {statement.meaning.en}",
            f"此处须签{meaning.zh}, 而该签名为{statement.meaning.zh}",
        )


def must_be_own(statement: Statement, by: str) -> None:
    """Nobody signs as somebody else (B7)."""
    if statement.signer != PersonId.of(by):
        raise Refused(
            "signature.not_own",
            f"this is the signature of {statement.signer}; nobody signs as somebody else",
            f"该签名属于 {statement.signer}; 不得代他人签名",
        )


@dataclass(frozen=True)
class Signature(Aggregate):
    """An electronic signature: who signed which version of what, as what, and when."""

    signed: SignedStatement | None = None
    invalidated: str | None = None
    """Why it counts no longer."""


class Sign(Command[Signature]):
    """Keep a signature, after checking that it is genuine; asked by what is signed."""

    allowed = ()

    signed: SignedStatement

    def begins(self) -> SignatureId:
        return self.signed.statement.id()

    @property
    def signer(self) -> PersonId:
        return self.signed.statement.signer

    def decide(self, signature: Signature, who: Who, at: datetime, signer: Person) -> Signed | None:
        statement = self.signed.statement
        must_be_own(statement, who.id)
        self.must_count(signature)
        if signature.signed is not None:
            return None
        self.must_be_fresh(at)
        self.must_be_genuine(signer)
        self.must_be_who_he_is(signer, who)
        return Signed(signed=self.signed)

    def must_count(self, signature: Signature) -> None:
        if signature.invalidated is not None:
            raise Refused(
                "signature.invalidated",
                "this signature has been invalidated; sign again",
                "该签名已作废, 请重新签名",
            )
        if signature.signed not in (None, self.signed):
            raise _forged()

    def must_be_fresh(self, at: datetime) -> None:
        if abs(at - self.signed.statement.executed_at) > FRESH:
            raise Refused(
                "signature.not_fresh",
                f"the signature is of {self.signed.statement.executed_at:%Y-%m-%d %H:%M} UTC,"
                " more than ten minutes away; sign again",
                f"签名时间 {self.signed.statement.executed_at:%Y-%m-%d %H:%M} UTC"
                " 与现在相差超过十分钟, 请重新签名",
            )

    def must_be_genuine(self, signer: Person) -> None:
        """Made with the key of now: with one that was given up nobody signs any more."""
        statement = self.signed.statement
        known = signer.keys.get(statement.key_id)
        if known is None or not self.signed.is_genuine(known.public):
            raise _forged()
        if statement.key_id != signer.key or statement.executed_at < known.since:
            raise Refused(
                "signature.key_ended",
                "your password has been set anew since; sign again",
                "您的密码已更换, 请重新签名",
            )

    def must_be_who_he_is(self, signer: Person, who: Who) -> None:
        statement = self.signed.statement
        signer.must_be_here()
        signer.must_be_unlocked()
        if statement.authentication.session not in signer.sessions:
            raise Refused(
                "signature.session_ended",
                "the session in which you signed has ended; sign again",
                "您签名时的会话已结束, 请重新签名",
            )
        if statement.role not in who.roles:
            raise Refused(
                "signature.role_not_own",
                f"you are not {statement.role.en}",
                f"您不具有{statement.role.zh}角色",
            )
        shown = (statement.printed_name, statement.title, statement.organisation)
        if shown != (signer.name, signer.title, signer.organisation):
            raise Refused(
                "signature.name_changed",
                "your name, title or organisation has changed since; sign again",
                "您的姓名、职务或单位已变更, 请重新签名",
            )


def _forged() -> Refused:
    return Refused(
        "signature.forged",
        "the value was not made over this statement by a key of this person",
        "签名值与声明内容或签名人密钥不符",
    )


class Signed(Event[Signature]):
    signed: SignedStatement

    def apply(self, signature: Signature, /) -> Signature:
        return replace(signature, signed=self.signed)


class InvalidateSignature(Command[Signature]):
    """Say that a signature counts no longer, and why; it is never deleted (B7)."""

    allowed = ()

    reason: Text

    def decide(self, signature: Signature) -> SignatureInvalidated | None:
        if signature.invalidated is not None:
            return None
        return SignatureInvalidated(reason=self.reason)


class SignatureInvalidated(Event[Signature]):
    reason: str

    def apply(self, signature: Signature, /) -> Signature:
        return replace(signature, invalidated=self.reason)


def one_line(text: str) -> str:
    """What somebody has written, where it can pass for nothing else: no line of its own, nothing
    that moves the cursor or turns the line around. The text itself, which is signed, stays."""
    plain = " ".join(text.split())
    return "".join(c if c.isprintable() else f"[U+{ord(c):04X}]" for c in plain)


def lines_for_people(
    signed: SignedStatement, invalidated: str | None = None
) -> tuple[Sentence, ...]:
    """The block that every rendering of a signed thing shows (21 CFR 11.50)."""
    said = signed.statement
    clock = said.local_time.isoformat(" ", "seconds")
    time = f"{clock} {said.time_zone}"
    name, text = one_line(said.printed_name), one_line(said.text)
    title, organisation = one_line(said.title), one_line(said.organisation)
    subject = one_line(said.subject)
    lines = (
        Sentence(f"Signed by {name}", f"签名人: {name}"),
        Sentence(f"{title}, {organisation}", f"{organisation} {title}"),
        Sentence(f"Meaning: {said.meaning.en}", f"签名含义: {said.meaning.zh}"),
        Sentence(f"Declares: “{text}”", f"声明内容: “{text}”"),
        Sentence(f"Time: {time}", f"签名时间: {time}"),
        Sentence(
            f"Of {subject}, version {said.version}, {said.content_hash}",
            f"签名对象: {subject} 第 {said.version} 版, {said.content_hash}",
        ),
        Sentence(
            f"Signature {said.id().key}, key {said.key_id}",
            f"签名编号 {said.id().key}, 密钥 {said.key_id}",
        ),
    )
    if invalidated is None:
        return lines
    reason = one_line(invalidated)
    return (*lines, Sentence(f"INVALIDATED: {reason}", f"已作废: {reason}"))
