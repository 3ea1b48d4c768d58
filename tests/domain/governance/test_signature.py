"""Electronic signatures (B7): bound to the bytes, to the person, to the moment; never deleted."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import rfc8785
from pydantic import ValidationError

from medsales.domain.governance.person import (
    PasswordReset,
    PersonDismissed,
    PersonLocked,
    PersonRevised,
    SessionEnded,
)
from medsales.domain.governance.signature import (
    FRESH,
    InvalidateSignature,
    Meaning,
    Sign,
    SignatureInvalidated,
    Signed,
    SignedStatement,
    Statement,
    lines_for_people,
    signing,
)
from medsales.domain.kernel import Also, Refused, Role
from medsales.testing import NOON, Outcome, Pen, given

HASH = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
CONTRACT = "contract:HT-1"
WANG = Pen("wang", "王敏", role=Role.MANAGER)
CHEN = Pen("chen", "陈立")
SIGNED = WANG.signs(CONTRACT, 2, HASH)


def asked(signed: SignedStatement = SIGNED, **wanted: Any) -> Also:
    given: dict[str, Any] = {
        "subject": CONTRACT,
        "version": 2,
        "content_hash": HASH,
        "by": "wang",
        "meaning": Meaning.APPROVAL,
    }
    return signing(signed, **{**given, **wanted})


def sign(signed: SignedStatement = SIGNED, *later: Any, by: str = "wang", **how: Any) -> Outcome:
    world = given(others={WANG.id: (*WANG.history(), *later), CHEN.id: CHEN.history()})
    return world.when(Sign(signed=signed), by=by, **how)


class TestWhatIsSigned:
    """What you see is what you sign."""

    def test_a_decision_asks_for_the_signature_of_what_it_is_about(self) -> None:
        assert asked() == Also(SIGNED.statement.id(), Sign(signed=SIGNED))

    @pytest.mark.parametrize(
        ("wanted", "code"),
        [
            ({"subject": "contract:HT-2"}, "signature.other_subject"),
            ({"version": 3}, "signature.subject_moved"),
            ({"version": 1}, "signature.subject_moved"),
            ({"content_hash": OTHER}, "signature.subject_moved"),
            ({"meaning": Meaning.REVIEW}, "signature.other_meaning"),
            ({"by": "chen"}, "signature.not_own"),
        ],
    )
    def test_a_signature_of_anything_else_is_refused(
        self, wanted: dict[str, Any], code: str
    ) -> None:
        with pytest.raises(Refused) as refusal:
            asked(**wanted)
        assert refusal.value.code == code
        assert refusal.value.sentence.zh

    def test_the_bytes_are_those_of_rfc_8785(self) -> None:
        """An implementation of its own reads the stored JSON and comes to the same bytes."""
        stored = json.loads(SIGNED.model_dump_json())["statement"]
        assert rfc8785.dumps(stored) == SIGNED.statement.signed_bytes()
        assert SignedStatement.model_validate_json(SIGNED.model_dump_json()) == SIGNED

    def test_a_text_is_the_same_however_it_was_typed(self) -> None:
        one = WANG.signs(CONTRACT, 2, HASH, text="Zoe\u0301 agrees")
        assert one == WANG.signs(CONTRACT, 2, HASH, text="Zo\u00e9 agrees")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"subject_type": "quote"},
            {"local_time": NOON + timedelta(seconds=1)},
            {"executed_at": SIGNED.statement.local_time},
            {"time_zone": "../etc/passwd"},
            {"algorithm": "RSA"},
        ],
    )
    def test_a_statement_agrees_with_itself(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            WANG.signs(CONTRACT, 2, HASH, **wrong)


class TestWhoSigns:
    def test_a_genuine_signature_is_kept(self) -> None:
        outcome = sign().then(Signed(signed=SIGNED))
        assert outcome.subject == SIGNED.statement.id()

    def test_keeping_it_twice_is_harmless(self) -> None:
        late = NOON + timedelta(days=1)
        world = given(Signed(signed=SIGNED), others={WANG.id: WANG.history()})
        world.when(Sign(signed=SIGNED), by="wang", at=late).then()

    def test_nobody_signs_as_somebody_else(self) -> None:
        sign(by="chen").refused("signature.not_own")

    def test_only_who_is_registered_signs(self) -> None:
        given().when(Sign(signed=SIGNED), by="wang").refused("person.unknown")

    @pytest.mark.parametrize("away", [FRESH, -FRESH])
    def test_it_is_of_now(self, away: timedelta) -> None:
        sign(at=NOON + away).then(Signed(signed=SIGNED))
        further = away + (away / 600)
        sign(at=NOON + further).refused("signature.not_fresh")

    def test_the_key_of_another_is_no_good(self) -> None:
        """Also where he claims that it is his own."""
        forged = SignedStatement(
            statement=SIGNED.statement,
            value=CHEN.signs(CONTRACT, 2, HASH, signer=WANG.id, key_id=WANG.key_id).value,
        )
        sign(forged).refused("signature.forged")
        foreign = CHEN.signs(CONTRACT, 2, HASH, signer=WANG.id)
        sign(foreign).refused("signature.forged")

    def test_with_a_key_that_was_given_up_nobody_signs(self) -> None:
        new = Pen("wang's second", "王敏")
        second = new.history(NOON)[1:]
        sign(SIGNED, *second).refused("signature.key_ended")
        reset = PasswordReset(reason="forgot", reset_at=NOON, ends=WANG.key_id)
        sign(SIGNED, reset).refused("signature.key_ended")

    def test_nobody_signs_before_he_had_his_key(self) -> None:
        before = NOON - timedelta(minutes=2)
        early = WANG.signs(CONTRACT, 2, HASH, at=before)
        sign(early, at=before).refused("signature.key_ended")

    def test_a_signature_needs_a_proof_that_is_on_record(self) -> None:
        said = SIGNED.statement.authentication.model_copy(update={"session": "another"})
        sign(WANG.signs(CONTRACT, 2, HASH, authentication=said)).refused("signature.session_ended")

    def test_a_lock_or_the_end_of_the_session_comes_before_it(self) -> None:
        sign(SIGNED, PersonLocked(failures=5)).refused("person.locked")
        sign(SIGNED, SessionEnded(session=WANG.session)).refused("signature.session_ended")
        sign(SIGNED, PersonDismissed(reason="left")).refused("person.gone")

    def test_one_signs_in_a_role_of_ones_own(self) -> None:
        sign(roles=(Role.SALES,)).refused("signature.role_not_own")

    def test_the_name_is_the_one_of_then(self) -> None:
        revised = PersonRevised(name="王敏", organisation="翠鸟", title="总监", reason="升任")
        sign(SIGNED, revised).refused("signature.name_changed")
        kept = sign().then(Signed(signed=SIGNED)).events[0]
        assert isinstance(kept, Signed)
        assert kept.signed.statement.printed_name == "王敏"


def with_value(change: Callable[[str], str]) -> SignedStatement:
    return SIGNED.model_copy(update={"value": change(SIGNED.value)})


class TestTampering:
    """电子签名法 art. 13: any later change of the signature or of the content is found."""

    @pytest.mark.parametrize("name", [*Statement.model_fields])
    def test_every_field_is_covered(self, name: str) -> None:
        now = getattr(SIGNED.statement, name)
        other: dict[str, Any] = {
            "version": 1,
            "meaning": Meaning.REVIEW,
            "role": Role.SALES,
            "authentication": SIGNED.statement.authentication.model_copy(
                update={"continuous": True}
            ),
        }
        changed = other.get(name, now + timedelta(seconds=1) if "_at" in name else f"{now}x")
        if name == "local_time":
            changed = now + timedelta(seconds=1)
        statement = SIGNED.statement.model_copy(update={name: changed})
        assert statement != SIGNED.statement
        forged = SignedStatement.model_construct(statement=statement, value=SIGNED.value)
        assert SIGNED.is_genuine(WANG.public_key)
        assert not forged.is_genuine(WANG.public_key)

    def test_a_byte_of_the_value(self) -> None:
        forged = with_value(lambda value: ("B" if value[0] != "B" else "C") + value[1:])
        sign(forged).refused("signature.forged")

    @pytest.mark.parametrize(
        "last", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    )
    def test_bits_of_the_value_that_say_nothing(self, last: str) -> None:
        """64 bytes leave four bits of the last letter of base64 unused."""
        forged = with_value(lambda value: f"{value[:85]}{last}==")
        assert forged.is_genuine(WANG.public_key) is (forged == SIGNED)

    def test_another_value_for_a_statement_that_is_signed_already(self) -> None:
        forged = with_value(lambda value: ("B" if value[0] != "B" else "C") + value[1:])
        world = given(Signed(signed=SIGNED), others={WANG.id: WANG.history()})
        world.when(Sign(signed=forged), by="wang").refused("signature.forged")

    @pytest.mark.parametrize("value", ["", "no base64!", "A" * 86 + "=="])
    def test_what_is_no_signature_at_all(self, value: str) -> None:
        forged = SignedStatement.model_construct(statement=SIGNED.statement, value=value)
        assert not forged.is_genuine(WANG.public_key)
        assert not SIGNED.is_genuine(value)


class TestInvalidation:
    REASON = InvalidateSignature(reason="the contract went back")
    INVALIDATED = SignatureInvalidated(reason="the contract went back")

    def test_it_is_said_once_and_the_signature_stays(self) -> None:
        id = SIGNED.statement.id()
        outcome = given(Signed(signed=SIGNED)).when(self.REASON, id).then(self.INVALIDATED)
        assert outcome.drafts[-1].version == 2
        given(Signed(signed=SIGNED), self.INVALIDATED).when(self.REASON, id).then()

    def test_it_does_not_come_back(self) -> None:
        world = given(Signed(signed=SIGNED), self.INVALIDATED, others={WANG.id: WANG.history()})
        world.when(Sign(signed=SIGNED), by="wang").refused("signature.invalidated")


def test_what_is_declared_passes_for_nothing_else() -> None:
    """B7: one line, marked as his words, with nothing that moves the cursor or hides a line."""
    text = "ok\nSigned by 钱伟\u2028Meaning: approval\r\x1b[8m\x9b8m\u202e"
    lines = lines_for_people(WANG.signs(CONTRACT, 2, HASH, text=text), "gone\nSigned by 钱伟")
    for block in ([line.en for line in lines], [line.zh for line in lines]):
        assert all(line.isprintable() for line in block)
        assert not any(line.startswith("Signed by 钱伟") for line in block)
    said = "“ok Signed by 钱伟 Meaning: approval [U+001B][8m[U+009B]8m[U+202E]”"
    assert (f"Declares: {said}", f"声明内容: {said}") in lines


def test_the_block_for_people_says_it_in_two_languages() -> None:
    """21 CFR 11.50: name, time, meaning; and what binds them."""
    lines = lines_for_people(SIGNED, "the contract went back")
    english = "\n".join(line.en for line in lines)
    chinese = "\n".join(line.zh for line in lines)
    for said in ("王敏", "翠鸟", "2026-06-01 20:00:00+08:00 Asia/Shanghai", HASH, WANG.key_id):
        assert said in english
        assert said in chinese
    assert "Meaning: approval" in english
    assert "签名含义: 批准" in chinese
    assert lines[-1] == ("INVALIDATED: the contract went back", "已作废: the contract went back")
    assert len(lines_for_people(SIGNED)) == len(lines) - 1
