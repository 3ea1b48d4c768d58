"""Random lives of people who sign: what the domain keeps, an auditor finds genuine; no more."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.api.letters import RecallLetter, SignLetter, WriteLetter

from medsales.audit.leaf import canonical_line
from medsales.audit.signatures import Signatures, checked
from medsales.domain.governance.person import (
    PAUSE,
    Component,
    EndSession,
    Person,
    RecordReauthentication,
    RegisterPerson,
    RegisterSigningKey,
    ResetPassword,
    RevisePerson,
)
from medsales.domain.governance.signature import Meaning, Signature
from medsales.domain.ids import PersonId
from medsales.domain.kernel import Command, Refused, Role, Who
from medsales.engine.decision import Decision, Loaded, subject_of
from medsales.engine.facts import Envelope, envelope_to_json, event_to_json
from medsales.testing import NOON, Pen, loaded

PEOPLE = ("wang", "chen")
LETTERS = ("letter:1", "letter:2")
SESSIONS = ("s1", "s2")
WORK = timedelta(minutes=4)
LIVES = 30
STEPS = 150
RIGHT = 0.9


@dataclass
class Office:
    """Two people, two letters, a few keys, one log."""

    chance: random.Random
    now: datetime = NOON
    known: dict[str, Loaded] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    keys: dict[str, list[Pen]] = field(default_factory=lambda: {who: [] for who in PEOPLE})
    refusals: set[str] = field(default_factory=set)

    def load(self, ids: Iterable[str]) -> dict[str, Loaded]:
        return {id: self.known.get(id) or loaded(id, ()) for id in ids}

    def state(self, id: str) -> Any:
        return self.load([id])[id].state

    def ask(self, command: Command[Any], id: str | None, by: str) -> bool:
        decision = Decision(self.load, Who(by, by, (Role.MANAGER, Role.SALES)), self.now)
        try:
            decision.ask(subject_of(command, id), command)
        except Refused as refusal:
            self.refusals.add(refusal.code)
            return False
        key = f"key-{len(self.lines)}"
        for draft in decision.drafts:
            self.lines.append(self._line(draft.subject, draft.version, draft.event, by, key))
        self.known.update({draft.subject: decision.now[draft.subject] for draft in decision.drafts})
        return True

    def _line(self, subject: str, version: int, event: Any, by: str, key: str) -> bytes:
        return canonical_line(
            len(self.lines) + 1,
            subject,
            version,
            type(event).__name__,
            event_to_json(event).encode(),
            envelope_to_json(Envelope(by, by, "web", key, "", "")).encode(),
            self.now,
            self.now,
            f"event-{len(self.lines)}",
        )

    # What happens

    def live_on(self) -> None:
        pick = self.chance.choice
        who, letter, session = pick(PEOPLE), pick(LETTERS), pick(SESSIONS)
        id = PersonId.of(who)
        number = letter.partition(":")[2]
        self.now += pick((timedelta(seconds=20), timedelta(seconds=20), WORK, PAUSE * 2))
        possible: list[Callable[[], object]] = [
            lambda: self.ask(self._revised(), id, "boss"),
            lambda: self.ask(self._proved(session, passed=True), id, who),
            lambda: self.ask(self._proved(session, passed=True), id, who),
            lambda: self.ask(self._proved(session, passed=False), id, pick((who, "chen"))),
            lambda: self.ask(EndSession(session=session), id, who),
            lambda: self._new_key(who),
            lambda: self._reset(id),
            lambda: self.ask(WriteLetter(number=number, text=f"{self.now}"), None, who),
            lambda: self.ask(RecallLetter(reason="no"), letter, who),
            *[lambda: self._sign(who, letter)] * 8,
        ]
        pick(possible)()

    def _revised(self) -> Command[Any]:
        name = self.chance.choice(("王敏", "陈立"))
        return RevisePerson(name=name, organisation="翠鸟", title="x", reason="so")

    def _proved(self, session: str, *, passed: bool) -> Command[Any]:
        return RecordReauthentication(
            session=session,
            components=tuple(Component)[self.chance.randrange(2) :],
            method="password",
            continuous=self.chance.random() < 0.5,
            passed=passed,
        )

    def _new_key(self, who: str) -> None:
        if self.keys[who] and self.chance.random() < RIGHT / 2:
            return
        pen = Pen(f"{who} {len(self.keys[who])}")
        replaces = self.state(f"person:{who}").key
        command = RegisterSigningKey(
            public_key=pen.public_key, key_id=pen.key_id, replaces=replaces
        )
        if self.ask(command, PersonId.of(who), who):
            self.keys[who].append(pen)

    def _reset(self, id: str) -> None:
        if self.chance.random() < 1 - RIGHT:
            self.ask(ResetPassword(reason="forgot"), id, "operator")

    def _mostly(self, right: Any, *wrong: Any) -> Any:
        return right if self.chance.random() < RIGHT else self.chance.choice(wrong or (right,))

    def _sign(self, who: str, id: str) -> None:
        """Mostly as it should be; else with an old key, another's, under another name, late."""
        letter, signer = self.state(id), self.state(f"person:{who}")
        pens = [pen for each in self.keys.values() for pen in each]
        if not self.keys[who]:
            return
        pen = self._mostly(self.keys[who][-1], *pens)
        shown = self._mostly(signer, *(self.state(f"person:{one}") for one in PEOPLE))
        session = self._mostly(next(iter(signer.sessions), "s1"), *SESSIONS)
        at = self._mostly(self.now, self.now - WORK, self.now - WORK * 4)
        how = pen.signs(id, 1, letter.hash(), at=at).statement.authentication
        signed = pen.signs(
            id,
            max(1, letter.content.version - self._mostly(0, 1)),
            letter.hash(),
            Meaning.AUTHORSHIP,
            at=at,
            signer=PersonId.of(who),
            printed_name=shown.name,
            title=shown.title,
            organisation=shown.organisation,
            authentication=how.model_copy(update={"session": session}),
        )
        self.ask(SignLetter(signature=signed), id, self._mostly(who, *PEOPLE))


def lived(seed: int) -> Office:
    office = Office(random.Random(seed))
    for who in PEOPLE:
        office.ask(
            RegisterPerson(person=who, name="王敏", organisation="翠鸟", title="x"),
            None,
            "registrar",
        )
    for _ in range(STEPS):
        office.live_on()
    return office


def found(lines: list[bytes]) -> Signatures:
    return checked(lambda: lines)


@pytest.fixture(scope="module")
def offices() -> list[Office]:
    return [lived(seed) for seed in range(LIVES)]


def test_lives_are_full_enough_to_prove_something(offices: list[Office]) -> None:
    assert sum(len(found(office.lines).found) for office in offices) > 2 * LIVES
    refusals = {code for office in offices for code in office.refusals}
    assert refusals >= {
        "signature.not_own",
        "signature.forged",
        "signature.key_ended",
        "signature.session_ended",
        "signature.not_fresh",
        "signature.subject_moved",
        "reauthentication.incomplete",
        "person.locked",
        "person.other",
    }


def test_what_the_domain_keeps_an_auditor_finds_genuine(offices: list[Office]) -> None:
    for office in offices:
        report = found(office.lines)
        assert report.findings == []
        kept = {id: one.state for id, one in office.known.items() if "signature:" in id}
        assert report.found.keys() == kept.keys()
        for id, state in kept.items():
            assert isinstance(state, Signature)
            assert state.invalidated == report.found[id].invalidated


def test_any_byte_that_is_changed_in_a_signature_is_found(offices: list[Office]) -> None:
    chance = random.Random(1)
    for office in offices:
        for at, line in enumerate(office.lines):
            if b'"event":"Signed"' in line:
                touched = [*office.lines]
                touched[at] = with_another_byte(line, chance)
                assert found(touched).findings, touched[at]


def with_another_byte(line: bytes, chance: random.Random) -> bytes:
    """Somewhere in the payload."""
    start, end = line.index(b'"payload":') + len(b'"payload":'), line.index(b',"envelope":')
    byte = chance.randrange(start, end)
    return line[:byte] + bytes([line[byte] ^ (1 << chance.randrange(7))]) + line[byte + 1 :]


def test_at_every_moment_one_key_counts_at_most(offices: list[Office]) -> None:
    for office in offices:
        for who in PEOPLE:
            person = office.state(f"person:{who}")
            assert isinstance(person, Person)
            counting = [name for name, key in person.keys.items() if key.until is None]
            assert counting == ([person.key] if person.key else [])
            assert not (person.locked and person.sessions)
