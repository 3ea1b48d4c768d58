"""The whole write side of one company: load, let the command decide, append, answer."""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from typing import Any, TypeVar
from uuid import uuid4

from medsales.domain.kernel import KINDS, Aggregate, Command, Refused, Role, Value
from medsales.engine.decision import Decision, Loaded, first_reads, subject_of, unknown
from medsales.engine.facts import Draft, Envelope, Fact
from medsales.engine.log import Appended, Entry, Log, Request

ATTEMPTS = 12
"""How often a command is decided anew when what it read has moved; then the caller is told."""
CLOCK_SKEW = timedelta(minutes=5)
APP = version("medsales")


A = TypeVar("A", bound=Aggregate)


class NotDecided(Exception):
    """The command got no answer from the business rules; nothing was written."""


class Conflict(NotDecided):
    """Others kept changing what the decision read."""


class Stale(NotDecided):
    """The caller's expected version is not the current one."""

    def __init__(self, subject: str, expected: int, found: int) -> None:
        super().__init__(f"{subject} is at version {found}, not {expected}")
        self.found = found


class KeyReused(NotDecided):
    """The idempotency key has been used for another command."""


@dataclass(frozen=True)
class Actor:
    """Somebody who asks: a person or a program, as a token names them."""

    id: str
    name: str = ""
    roles: tuple[Role, ...] = ()
    client: str = "local"

    def may(self, command: type[Command[Any]]) -> bool:
        return Role.SYSTEM in self.roles or any(role in self.roles for role in command.allowed)


SYSTEM = Actor("system", "medsales", (Role.SYSTEM,), "system")


@dataclass(frozen=True)
class Ask:
    """A command with all that surrounds it: whose it is, from whom, under which key, since when."""

    command: Command[Any]
    actor: Actor
    id: str | None = None
    key: str = field(default_factory=lambda: str(uuid4()))
    expected_version: int | None = None
    effective_at: datetime | None = None
    reason: str | None = None
    cause: int | None = None
    correlation: str = ""

    def fingerprint(self, subject: str) -> str:
        body = self.command.model_dump_json()
        parts = (
            type(self.command).__name__,
            self.actor.id,
            subject,
            body,
            str(self.effective_at),
            self.reason or "",
        )
        return sha256("\n".join(parts).encode()).hexdigest()

    def envelope(self) -> Envelope:
        return Envelope(
            by=self.actor.id,
            name=self.actor.name,
            client=self.actor.client,
            key=self.key,
            command=type(self.command).__name__,
            correlation=self.correlation or self.key,
            cause=self.cause,
            reason=self.reason,
            app=APP,
        )


class Receipt(Value):
    """What a command achieved; a reader who passes `position` on sees at least this."""

    id: str
    version: int
    """The version of the aggregate afterwards: the ETag to send as If-Match."""
    events: tuple[str, ...]
    """What happened, also to other aggregates; empty when there was nothing to do."""
    position: int
    """Where the log stood."""


Answer = Receipt | Refused | NotDecided


class MedSales:
    """Answers commands for one company."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def handle(self, ask: Ask) -> Receipt:
        """Decides and appends. Raises Refused, Conflict, Stale or KeyReused."""
        (answer,) = self.handle_many([ask])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def handle_many(self, asks: Sequence[Ask]) -> list[Answer]:
        """Answers each ask for itself, in order, with one append for all.

        A later ask sees what the earlier ones did. Those whose reads have moved are decided again.
        """
        answers: dict[int, Answer] = {}
        for attempt in range(ATTEMPTS):
            waiting = [n for n in range(len(asks)) if n not in answers]
            if not waiting:
                break
            _pause(attempt)
            answers |= self._attempt({n: asks[n] for n in waiting})
        moved = Conflict("others keep changing what this command reads; please ask again")
        return [answers.get(n, moved) for n in range(len(asks))]

    def preview(self, ask: Ask) -> tuple[Draft, ...]:
        """What would happen, without letting it happen. Raises Refused or Stale."""
        request = self._decide(ask, _Memory(self.log))
        if request.refusal:
            raise Refused(request.refusal[0], *request.refusal[1])
        return request.drafts

    def load(self, id: str) -> Loaded:
        """The aggregate as the log has it now; at version 0 if nothing has happened."""
        return _Memory(self.log).load([id])[id]

    def existing(self, id: str, kind: type[A]) -> A:
        """The state of an aggregate as the log has it now. Raises Refused if there is none."""
        loaded = self.load(id)
        if loaded.version == 0 or not isinstance(loaded.state, kind):
            raise unknown(id)
        return loaded.state

    def _attempt(self, asks: Mapping[int, Ask]) -> dict[int, Answer]:
        memory = _Memory(self.log)
        # One round trip for the whole batch; a decision that reads on finds the rest by itself.
        memory.load(id for ask in asks.values() for id in first_reads(ask.command, ask.id))
        answers: dict[int, Answer] = {}
        requests: dict[int, Request] = {}
        for n, ask in asks.items():
            try:
                requests[n] = self._decide(ask, memory)
            except (Stale, Refused) as error:
                answers[n] = self._answered_before(ask) or error
        appended = self.log.append(list(requests.values())) if requests else []
        for (n, request), result in zip(requests.items(), appended, strict=True):
            if result.status != "conflict":
                answers[n] = _answer(request, result)
        return answers

    def _answered_before(self, ask: Ask) -> Answer | None:
        found = self.log.entry(ask.actor.client, ask.key)
        if found is None:
            return None
        fingerprint, entry = found
        with suppress(Refused):
            subject = subject_of(ask.command, ask.id)
            if fingerprint == ask.fingerprint(subject):
                return _told(subject, entry)
        return KeyReused(ask.key)

    def _decide(self, ask: Ask, memory: "_Memory") -> Request:
        """Raises Stale; and Refused where there is no subject to keep a refusal with."""
        subject = subject_of(ask.command, ask.id)
        now = datetime.now(UTC)
        decision = Decision(memory.load, ask.actor.id, ask.effective_at or now)
        refusal = None
        try:
            _must_be_allowed(ask)
            _must_have_a_good_time(ask, now)
            self._must_be_current(ask, subject, memory)
            decision.ask(subject, ask.command)
            memory.keep(decision.now)
        except Refused as refused:
            refusal = (refused.code, refused.sentence)
        known = decision.read.get(subject, 0) if refusal else decision.now[subject].version
        return Request(
            subject=subject,
            version=known,
            envelope=ask.envelope(),
            fingerprint=ask.fingerprint(subject),
            guards=decision.read,
            drafts=() if refusal else tuple(decision.drafts),
            effective_at=ask.effective_at,
            body=ask.command.model_dump_json(),
            refusal=refusal,
        )

    def _must_be_current(self, ask: Ask, subject: str, memory: "_Memory") -> None:
        if ask.expected_version is not None:
            found = memory.load([subject])[subject].version
            if found != ask.expected_version:
                raise Stale(subject, ask.expected_version, found)


class _Memory:
    """What one attempt knows of the aggregates: read once, then carried forward."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.known: dict[str, Loaded] = {}

    def load(self, ids: Iterable[str]) -> dict[str, Loaded]:
        wanted = list(ids)
        missing = [id for id in wanted if id not in self.known]
        if missing:
            streams = self.log.streams(missing)
            self.known |= {id: folded(id, facts) for id, facts in streams.items()}
        return {id: self.known[id] for id in wanted}

    def keep(self, decided: Mapping[str, Loaded]) -> None:
        self.known |= decided


def folded(id: str, facts: Sequence[Fact[Any]]) -> Loaded:
    """The state of an aggregate after its facts."""
    state = KINDS.get(id.partition(":")[0], Aggregate)()
    return Loaded(facts[-1].version if facts else 0, state.after(fact.event for fact in facts))


def _answer(request: Request, result: Appended) -> Answer:
    if result.status == "reused":
        return KeyReused(request.envelope.key)
    assert result.entry is not None
    return _told(request.subject, result.entry)


def _told(subject: str, entry: Entry) -> Answer:
    if entry.refusal:
        code, sentence = entry.refusal
        return Refused(code, sentence.en, sentence.zh)
    return Receipt(id=subject, version=entry.version, events=entry.events, position=entry.position)


def _must_be_allowed(ask: Ask) -> None:
    command = type(ask.command)
    if not ask.actor.may(command):
        roles_en = " or ".join(role.en for role in command.allowed) or "other commands only"
        roles_zh = "或".join(role.zh for role in command.allowed) or "其他命令"
        raise Refused(
            "role.missing",
            f"{command.__name__} is for {roles_en}",
            f"{command.__name__} 须由{roles_zh}执行",
        )


def _must_have_a_good_time(ask: Ask, now: datetime) -> None:
    if ask.effective_at is None:
        return
    if ask.effective_at > now + CLOCK_SKEW:
        raise Refused(
            "effective.in_future",
            f"what takes effect at {ask.effective_at:%Y-%m-%d %H:%M} has not happened yet",
            f"生效时间 {ask.effective_at:%Y-%m-%d %H:%M} 尚未到来",
        )
    if not ask.reason:
        raise Refused(
            "effective.reason_missing",
            "an effective time of its own needs a reason",
            "另行指定生效时间须说明原因",
        )


def _pause(attempt: int) -> None:
    """Lets the others finish: longer each time, and never the same for two callers."""
    if attempt:
        time.sleep(random.uniform(0, 0.002 * 2 ** min(attempt, 6)))  # noqa: S311 - jitter
