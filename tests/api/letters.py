"""A letter, which is nothing but signed: for tests of signing."""

from dataclasses import dataclass, replace

from medsales.domain.canonical import content_hash
from medsales.domain.governance.signature import (
    InvalidateSignature,
    Meaning,
    SignedStatement,
    signing,
)
from medsales.domain.ids import SignatureId
from medsales.domain.kernel import (
    Aggregate,
    Also,
    Command,
    Event,
    Id,
    Key,
    Note,
    Refused,
    Role,
    Text,
    Value,
)


class LetterId(Id, example="letter:1"):
    """A letter, by its number."""


class LetterContent(Value):
    """What is signed."""

    version: int
    text: str


BLANK = LetterContent(version=0, text="")


@dataclass(frozen=True)
class Letter(Aggregate):
    """A letter, version by version."""

    content: LetterContent = BLANK
    signature: SignatureId | None = None

    def hash(self) -> str:
        return content_hash(self.content)


class WriteLetter(Command[Letter]):
    """Writes a letter, or writes it anew."""

    allowed = (Role.SALES,)
    number: Key
    """Its own."""
    text: Note
    """What it says."""

    def begins(self) -> LetterId:
        return LetterId.of(self.number)

    def decide(self, letter: Letter) -> "LetterWritten":
        content = LetterContent(version=letter.content.version + 1, text=self.text)
        return LetterWritten(
            version=content.version, text=self.text, content_hash=content_hash(content)
        )


class LetterWritten(Event[Letter]):
    version: int
    text: str
    content_hash: str

    def apply(self, _: Letter, /) -> Letter:
        return Letter(LetterContent(version=self.version, text=self.text))


class SignLetter(Command[Letter]):
    """Signs it as its author."""

    allowed = (Role.SALES,)
    signature: SignedStatement

    def decide(self, letter: Letter, id: LetterId, by: str) -> "tuple[LetterSigned, Also]":
        asked = signing(
            self.signature,
            subject=id,
            version=letter.content.version,
            content_hash=letter.hash(),
            by=by,
            meaning=Meaning.AUTHORSHIP,
        )
        signed = LetterSigned(
            version=letter.content.version,
            content_hash=letter.hash(),
            signature=self.signature.statement.id(),
        )
        return signed, asked


class LetterSigned(Event[Letter]):
    version: int
    content_hash: str
    signature: SignatureId

    def apply(self, letter: Letter, /) -> Letter:
        return replace(letter, signature=self.signature)


class RecallLetter(Command[Letter]):
    """Takes a signed letter back; the signature is void."""

    allowed = (Role.SALES,)
    reason: Text

    def decide(self, letter: Letter) -> "tuple[LetterRecalled, Also]":
        if letter.signature is None:
            raise Refused("letter.not_signed", "it is not signed", "尚未签名")
        return LetterRecalled(), Also(letter.signature, InvalidateSignature(reason=self.reason))


class LetterRecalled(Event[Letter]):
    def apply(self, letter: Letter, /) -> Letter:
        return replace(letter, signature=None)
