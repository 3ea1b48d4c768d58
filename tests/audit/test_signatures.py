"""Signatures checked from a log alone (电子签名法 art. 13): whatever was touched is found."""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.letters import Letter, LetterWritten, RecallLetter, SignLetter, WriteLetter
from tests.audit.conftest import Auditee, verifier
from tests.engine.conftest import Server
from tests.engine.purses import new_name

from medsales.audit.contents import canonical
from medsales.audit.leaf import canonical_line
from medsales.audit.signatures import Signatures, checked
from medsales.audit.verifier import verified
from medsales.company import open_company
from medsales.domain.governance.person import PasswordReset, PersonLocked, PersonRevised
from medsales.domain.governance.signature import Meaning, SignatureInvalidated, Signed
from medsales.domain.kernel import Event, Role
from medsales.engine.application import Actor, Ask, MedSales
from medsales.engine.facts import Envelope, envelope_to_json, event_to_json
from medsales.testing import NOON, Pen

WANG = Pen("wang", "王敏")
CHEN = Pen("chen", "陈立")
HASH = "sha256:" + "a" * 64
OLDER = "sha256:" + "b" * 64
LETTER = "letter:1"
SIGNED = WANG.signs(LETTER, 2, HASH, Meaning.AUTHORSHIP)


@dataclass
class Book:
    """A log by hand."""

    lines: list[bytes] = field(default_factory=list)

    def tell(self, subject: str, *events: Event[Any], by: str = "wang", key: str = "") -> "Book":
        for event in events:
            at = len(self.lines) + 1
            envelope = Envelope(by, by, "web", key or f"key-{at}", "", "")
            self.lines.append(
                canonical_line(
                    at,
                    subject,
                    1,
                    type(event).__name__,
                    event_to_json(event).encode(),
                    envelope_to_json(envelope).encode(),
                    NOON,
                    NOON,
                    f"event-{at}",
                )
            )
        return self

    def signed(self, signed: Any = SIGNED, by: str = "wang", id: str | None = None) -> "Book":
        return self.tell(id or signed.statement.id(), Signed(signed=signed), by=by, key="sign")

    def edited(self, old: str, new: str) -> "Book":
        text = b"\n".join(self.lines)
        assert old.encode() in text
        return Book(text.replace(old.encode(), new.encode()).split(b"\n"))

    def checked(self, first: int = 1) -> Signatures:
        return checked(lambda: self.lines[first - 1 :], first)

    def found(self) -> list[str]:
        return [finding.code.removeprefix("signature.") for finding in self.checked().findings]


def written(version: int, content: str) -> LetterWritten:
    return LetterWritten(version=version, text="Dear Sirs", content_hash=content)


def book(*later: Event[Any]) -> Book:
    """People, and a letter in its second version."""
    people = Book().tell(WANG.id, *WANG.history()).tell(CHEN.id, *CHEN.history(), by="chen")
    return people.tell(LETTER, written(1, OLDER), written(2, HASH)).tell(WANG.id, *later)


def test_a_genuine_signature_has_nothing_wrong() -> None:
    report = book().signed().checked()
    assert report.findings == []
    (one,) = report.found.values()
    assert one.as_json()["genuine"] is True
    assert one.as_json()["statement"]["printed_name"] == "王敏"


# Tampering


def test_a_byte_of_the_statement() -> None:
    """Every field: whoever writes into a log without a seal is found by the signature."""
    whole = book().signed()
    for old, new in [
        ('"version":2,"content_hash":"' + HASH, '"version":3,"content_hash":"' + HASH),
        ('"printed_name":"王敏"', '"printed_name":"王明"'),
        ('"meaning":"authorship"', '"meaning":"review"'),
        ('"executed_at":"2026-06-01T12:00:00Z"', '"executed_at":"2026-06-01T12:00:01Z"'),
        ('"local_time":"2026-06-01T20', '"local_time":"2026-06-01T21'),
        ('"continuous":false,"at"', '"continuous":true,"at"'),
    ]:
        assert {"misnamed", "forged"} <= {*whole.edited(old, new).found()}, old


def test_a_byte_of_the_value() -> None:
    start = SIGNED.value[:10]
    other = ("B" if start[0] != "B" else "C") + start[1:]
    assert book().signed().edited(start, other).found() == ["forged"]


def test_bits_of_the_value_that_say_nothing() -> None:
    """64 bytes leave four bits of the last letter of base64 unused."""
    other = f"{SIGNED.value[:85]}{chr(ord(SIGNED.value[85]) + 1)}=="
    assert b64decode(other) == b64decode(SIGNED.value)
    assert book().signed().edited(SIGNED.value, other).found() == ["forged"]


def test_the_key_of_another() -> None:
    foreign = CHEN.signs(LETTER, 2, HASH, Meaning.AUTHORSHIP, signer=WANG.id)
    found = book().signed(foreign).found()
    assert found == ["key_unknown"]
    posing = CHEN.signs(LETTER, 2, HASH, Meaning.AUTHORSHIP, signer=WANG.id, key_id=WANG.key_id)
    assert book().signed(posing).found() == ["forged", "not_proved", "name_of_another"]


def test_a_key_that_was_put_in_the_place_of_his() -> None:
    swapped = book().signed().edited(WANG.public_key, CHEN.public_key)
    assert swapped.found() == ["forged"]


def test_a_signature_of_an_older_version() -> None:
    """The letter is in its second version; what was signed is the first."""
    older = WANG.signs(LETTER, 1, OLDER, Meaning.AUTHORSHIP)
    assert book().signed(older).found() == []
    claimed = book().signed(older).tell(LETTER, written(2, HASH), key="sign")
    assert claimed.found() == ["content_unknown"]
    renamed = WANG.signs(LETTER, 2, OLDER, Meaning.AUTHORSHIP)
    assert book().signed(renamed).found() == ["content_unknown"]


def test_a_content_that_the_subject_never_had() -> None:
    never = WANG.signs(LETTER, 2, "sha256:" + "c" * 64, Meaning.AUTHORSHIP)
    assert book().signed(never).found() == ["content_unknown"]
    elsewhere = WANG.signs("letter:2", 2, HASH, Meaning.AUTHORSHIP)
    assert book().signed(elsewhere).found() == ["content_unknown"]
    later = book().signed(never).tell(LETTER, written(2, "sha256:" + "c" * 64))
    assert later.found() == ["content_unknown"]
    together = book().signed(never).tell(LETTER, written(2, "sha256:" + "c" * 64), key="sign")
    assert together.found() == []


def test_a_key_that_was_given_up() -> None:
    new = Pen("wang's second").history(NOON)
    assert "key_ended" in book(*new[1:]).signed().found()
    reset = PasswordReset(reason="forgot", reset_at=NOON, ends=WANG.key_id)
    assert book(reset).signed().found() == ["key_ended", "not_proved"]


def test_somebody_else_handed_it_in() -> None:
    assert book().signed(by="chen").found() == ["by_another"]


def test_nobody_had_proved_who_he_is() -> None:
    assert book(PersonLocked(failures=5)).signed().found() == ["not_proved"]


def test_another_name_than_that_of_then() -> None:
    revised = PersonRevised(name="王明", organisation="翠鸟", title="x", reason="marriage")
    assert book(revised).signed().found() == ["name_of_another"]
    assert book().signed().tell(WANG.id, revised).found() == []


def test_an_invalidated_signature_is_genuine_and_told_so() -> None:
    gone = SignatureInvalidated(reason="went back")
    report = book().signed().tell(SIGNED.statement.id(), gone).checked()
    assert report.findings == []
    assert [one.invalidated for one in report.found.values()] == ["went back"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"statement":{', '"statement":[{'),
        ('"signer":"person:wang"', '"signer":{}'),
        ('"algorithm":"Ed25519"', '"algorithm":0.5'),
        ('"key_id":"', '"no_key":"'),
        (f'"value":"{SIGNED.value}"', '"value":"no base64!"'),
        (f'"value":"{SIGNED.value}"', '"value":null'),
        (WANG.public_key, "AAAA"),
        ('"session":"', '"session":7,"s":"'),
        ('"content_hash":"', '"content":"'),
        ('"by":"wang"', '"by":null'),
    ],
)
def test_nonsense_is_told_and_never_a_crash(old: str, new: str) -> None:
    report = book().signed().edited(old, new).checked()
    assert report.findings
    assert all(finding.en and finding.zh for finding in report.findings)


def test_where_the_beginning_is_not_given_it_is_said_that_nothing_was_checked() -> None:
    whole = book().signed()
    for first in (2, 4, len(whole.lines)):
        part = whole.checked(first)
        assert (part.findings, part.unchecked) == ([], 1)
    start = SIGNED.value[:10]
    forged = whole.edited(start, ("B" if start[0] != "B" else "C") + start[1:])
    assert [one.code for one in forged.checked(2).findings] == ["signature.forged"]


# Canonical bytes

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_the_canonical_bytes_are_those_of_rfc_8785(value: Any) -> None:
    assert canonical(value).encode() == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [0.5, {"a": [0.5]}, b"bytes"])
def test_what_is_hashed_holds_no_fractions(value: Any) -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        canonical(value)


def test_all_that_is_stored_is_signed() -> None:
    """What is not said is not stored, so a field that comes later changes no old signature."""
    stored = json.loads(SIGNED.model_dump_json())["statement"]
    assert not {"document", "device"} & stored.keys()
    assert canonical(stored).encode() == SIGNED.statement.signed_bytes()
    seen = WANG.signs(LETTER, 2, HASH, document=OLDER)
    stored = json.loads(seen.model_dump_json())["statement"]
    assert stored["document"] == OLDER
    assert canonical(stored).encode() == seen.statement.signed_bytes()


# Away from the server


class Office:
    """A company in which letters are written and signed, without HTTP."""

    def __init__(self, app: MedSales) -> None:
        self.app = app

    def ask(self, command: Any, id: str | None = None, by: str = "wang") -> str:
        actor = Actor(by, by, tuple(Role))
        return self.app.handle(Ask(command, actor, id)).id

    def sign(self, pen: Pen, id: str) -> str:
        letter = self.app.existing(id, Letter)
        now = self.app.clock()
        signed = pen.signs(id, letter.content.version, letter.hash(), Meaning.AUTHORSHIP, at=now)
        self.ask(SignLetter(signature=signed), id, pen.by)
        return signed.statement.id()


@pytest.fixture(scope="module")
def signed_letters(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Auditee]:
    """Two letters, one written anew and signed, the other signed and recalled."""
    company = open_company(server.url, new_name())
    company.follower.prepare()
    office = Office(company.app)
    office.ask(WANG.registration(), by="zhao")
    for command in WANG.commands():
        office.ask(command, WANG.id)
    first, second = (office.ask(WriteLetter(number=n, text="Dear Sirs")) for n in "12")
    office.ask(WriteLetter(number="1", text="Dear Sirs and Mesdames"))
    for letter in (first, second):
        office.sign(WANG, letter)
    office.ask(RecallLetter(reason="wrong price"), second)
    yield Auditee(server, company, tmp_path_factory.mktemp("letters"))
    company.close()


def test_an_auditor_checks_signatures_away_from_the_server(signed_letters: Auditee) -> None:
    folder = signed_letters.export("export", signed_letters.sealed())
    said = verifier(folder, "--key", signed_letters.key, where=folder / "verifier")
    assert said.code == 0, said.text
    assert "genuine electronic signatures: 2; invalidated: 1 of all 2" in said.text
    assert "2 个电子签名真实有效" in said.text
    told = verifier(folder, "--json").told["signatures"]
    assert [one["genuine"] for one in told] == [True, True]
    assert [one["invalidated"] for one in told] == [None, "wrong price"]
    assert told[0]["statement"]["content_hash"].startswith("sha256:")


def test_a_part_of_the_log_says_what_it_does_not_show(signed_letters: Auditee) -> None:
    head = signed_letters.sealed()
    folder = signed_letters.export("part", head, 4)
    said = verifier(folder)
    assert (said.code, "2 signatures rest on facts from before this" in said.text) == (0, True)


def test_a_forged_signature_is_found_though_the_log_was_sealed_over_it(
    signed_letters: Auditee,
) -> None:
    """Whoever holds the database and the sealing key still lacks the password of the signer."""
    company = signed_letters.company
    office = Office(company.app)
    letter = office.ask(WriteLetter(number="3", text="I owe you a million"))
    known = company.app.existing(letter, Letter)
    forger = Pen("chen", "王敏")
    forged = forger.signs(
        letter, 1, known.hash(), Meaning.AUTHORSHIP, signer=WANG.id, key_id=WANG.key_id
    )
    with company.database.writing() as db:
        db.execute(
            "insert into facts select %s, 1, 'Signed', %s, notification_id + 1,"
            " gen_random_uuid(), metadata, effective_at, recorded_at from facts"
            " order by notification_id desc limit 1",
            (forged.statement.id(), event_to_json(Signed(signed=forged)).encode()),
        )
    folder = signed_letters.export("forged", signed_letters.sealed())
    codes = [finding.code for finding in verified(folder).findings]
    assert codes == ["signature.forged", "signature.not_proved"]
    assert verifier(folder).code == 1
    assert "签名值与声明或密钥不符" in verifier(folder).text


def touch(folder: Path, change: Callable[[bytes], bytes]) -> None:
    (path,) = (folder / "facts").glob("*")
    path.write_bytes(change(path.read_bytes()))


def test_an_export_that_was_edited_is_found_twice(signed_letters: Auditee) -> None:
    """By the seal, and by the signature."""
    folder = signed_letters.export("edited", signed_letters.last_head())
    touch(folder, lambda text: text.replace(b'"meaning":"authorship"', b'"meaning":"approval"', 1))
    codes = {finding.code for finding in verified(folder).findings}
    assert {"fact.changed", "signature.forged", "signature.misnamed"} <= codes
