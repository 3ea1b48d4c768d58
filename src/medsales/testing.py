"""given(...).when(...).then(...): the way to say what an aggregate does, in tests and docs."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medsales.domain.governance.person import (
    Authentication,
    Component,
    KeyCause,
    Person,
    PersonRegistered,
    ReauthenticationPassed,
    RecordReauthentication,
    RegisterPerson,
    RegisterSigningKey,
    SigningKeyRegistered,
)
from medsales.domain.governance.signature import (
    Meaning,
    SignedStatement,
    Statement,
    public_key_of,
    signed_with,
)
from medsales.domain.ids import PersonId
from medsales.domain.kernel import (
    KINDS,
    Aggregate,
    Also,
    Command,
    Event,
    Refused,
    Role,
    Who,
    aggregate_of,
)
from medsales.engine.decision import Decision, Loaded, subject_of

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


class given:  # noqa: N801 - reads as a sentence
    """The history of one aggregate, and of others that matter: `given(RECEIVED, others={...})`."""

    def __init__(
        self, *history: Event[Any], others: Mapping[str, Iterable[Event[Any]]] | None = None
    ) -> None:
        self.history = history
        self.others = {id: tuple(events) for id, events in (others or {}).items()}

    def when(  # noqa: PLR0913 - all but the first are named, and mostly left out
        self,
        command: Command[Any],
        id: str | None = None,
        *,
        by: str = "chen",
        roles: tuple[Role, ...] = tuple(Role),
        at: datetime = NOON,
        now: datetime | None = None,
    ) -> "Outcome":
        """Lets the command decide. Without an id, a made-up one of the right kind is used.

        It is asked at the moment it takes effect, unless another `now` is given.
        """
        kind = aggregate_of(type(command))
        assert kind is not None
        subject = id or f"{kind.kind}:1"
        try:
            subject = subject_of(command, subject)
            decision = Decision(self._load(subject), Who(by, by.title(), roles), at, now)
            decision.ask(subject, command)
        except Refused as refusal:
            return Outcome(subject, None, refusal)
        return Outcome(subject, decision, None)

    def _load(self, subject: str) -> Any:
        known = {**self.others, subject: self.history}
        return lambda ids: {id: loaded(id, known.get(id, ())) for id in ids}


def loaded(id: str, history: Iterable[Event[Any]]) -> Loaded:
    events = list(history)
    return Loaded(len(events), KINDS.get(id.partition(":")[0], Aggregate)().after(events))


class Outcome:
    """What came of it: events of the aggregate and of others, or a refusal."""

    def __init__(self, subject: str, decision: Decision | None, refusal: Refused | None) -> None:
        self.subject = subject
        self.refusal = refusal
        self.drafts = decision.drafts if decision else []

    @property
    def events(self) -> list[Event[Any]]:
        """What happened to the aggregate itself."""
        return [draft.event for draft in self.drafts if draft.subject == self.subject]

    @property
    def also(self) -> dict[str, list[Event[Any]]]:
        """What happened to others, by id."""
        found: dict[str, list[Event[Any]]] = {}
        for draft in self.drafts:
            if draft.subject != self.subject:
                found.setdefault(draft.subject, []).append(draft.event)
        return found

    def then(self, *expected: Event[Any]) -> "Outcome":
        """Exactly these events of the aggregate itself; none for a harmless repeat."""
        assert self.refusal is None, f"refused: {self.refusal}"
        assert self.events == list(expected)
        return self

    def refused(self, code: str, reason: str = "") -> None:
        assert self.refusal is not None, f"not refused: {self.drafts}"
        assert self.refusal.code == code, f"refused otherwise: {self.refusal.code}: {self.refusal}"
        assert reason in str(self.refusal)
        assert self.refusal.sentence.zh, "a refusal speaks Chinese too"


class Pen:
    """Somebody who signs without a server: his key follows from his id. For tests and stories."""

    def __init__(
        self,
        by: str,
        name: str = "",
        *,
        role: Role = Role.MANAGER,
        title: str = "经理",
        organisation: str = "杭州翠鸟医疗器械有限公司",
    ) -> None:
        self.by = by
        self.id = PersonId.of(by)
        self.role = role
        self.printed = {
            "name": name or by.title(),
            "title": title,
            "organisation": organisation,
        }
        self.key = Ed25519PrivateKey.from_private_bytes(sha256(by.encode()).digest())
        self.public_key, self.key_id = public_key_of(self.key)
        self.session = f"session-of-{self.key_id[:8]}"

    def history(self, at: datetime = NOON) -> tuple[Event[Person], ...]:
        """What has happened to a person who may sign; for `given(..., others={pen.id: ...})`."""
        before = at - timedelta(minutes=1)
        key = SigningKeyRegistered(
            public_key=self.public_key,
            key_id=self.key_id,
            cause=KeyCause.FIRST,
            since=before,
            replaces=None,
        )
        proof = ReauthenticationPassed(proved_at=before, **self._proof())
        return (PersonRegistered(**self.printed), key, proof)

    def registration(self) -> RegisterPerson:
        """For somebody else to ask: nobody registers himself."""
        return RegisterPerson(person=self.by, **self.printed)

    def commands(self) -> tuple[Command[Person], ...]:
        """What follows it in a company: to be asked by this person, by right of the system."""
        key = RegisterSigningKey(public_key=self.public_key, key_id=self.key_id)
        proof = RecordReauthentication(passed=True, **self._proof())
        return (key, proof)

    def _proof(self) -> dict[str, Any]:
        return {
            "session": self.session,
            "components": tuple(Component),
            "method": "test",
            "continuous": False,
        }

    def signs(
        self,
        subject: str,
        version: int,
        content_hash: str,
        meaning: Meaning = Meaning.APPROVAL,
        *,
        at: datetime = NOON,
        **otherwise: Any,
    ) -> SignedStatement:
        """As `POST /signatures/prepare` would answer; `otherwise` replaces fields of it."""
        said: dict[str, Any] = {
            "subject": subject,
            "subject_type": subject.partition(":")[0],
            "version": version,
            "content_hash": content_hash,
            "meaning": meaning,
            "text": f"{meaning.zh} / {meaning.en}",
            "signer": self.id,
            "printed_name": self.printed["name"],
            "title": self.printed["title"],
            "role": self.role,
            "organisation": self.printed["organisation"],
            "executed_at": at,
            "time_zone": "Asia/Shanghai",
            "local_time": at.astimezone(timezone(timedelta(hours=8))),
            "authentication": Authentication(at=at, **self._proof()),
            "key_id": self.key_id,
        }
        return signed_with(self.key, Statement(**{**said, **otherwise}))


__all__ = ["NOON", "Also", "Outcome", "Pen", "given", "loaded"]
