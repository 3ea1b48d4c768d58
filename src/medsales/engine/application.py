"""The whole write side of one company: load, let the command decide, append, answer."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from typing import Any, TypeVar
from uuid import uuid4

from opentelemetry.context import Context

from medsales.domain.kernel import Aggregate, Command, Refused, Role, Sentence, Value, Who
from medsales.engine.committer import Committer
from medsales.engine.decision import Decision, Loaded, first_reads, subject_of, unknown
from medsales.engine.facts import Draft, Envelope
from medsales.engine.garbage import undisturbed
from medsales.engine.log import Appended, Entry, Log, Request, line_of
from medsales.engine.memory import Memory
from medsales.engine.telemetry import here, shared_span, span_in

ATTEMPTS = 2
"""How often a command is decided in the hope that nobody else moves what it reads."""
CLOCK_SKEW = timedelta(minutes=5)
APP = version("medsales")


A = TypeVar("A", bound=Aggregate)


class NotDecided(Exception):
    """The command got no answer from the business rules; nothing happened."""


class Stale(NotDecided):
    """The caller's expected version is not the current one."""

    def __init__(self, subject: str, expected: int, found: int) -> None:
        super().__init__(f"{subject} is at version {found}, not {expected}")
        self.found = found
        self.sentence = Sentence(str(self), f"当前版本为 {found}，与所给版本不符")


class KeyReused(NotDecided):
    """The idempotency key has been used for another command."""


@dataclass(frozen=True)
class Actor:
    """Somebody who asks: a person or a program, as a token names them."""

    id: str
    name: str = ""
    roles: tuple[Role, ...] = ()
    client: str = "local"

    def who(self) -> Who:
        return Who(self.id, self.name or self.id, self.roles)

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
    part_of: str = ""
    """The hash of what this is a part of, and alone does not tell: another whole, another wish."""
    trace: Context | None = field(default_factory=here, compare=False, repr=False)
    """The span of whoever asks, for the thread that decides."""

    def body(self) -> str:
        """The command as it was asked."""
        return self.command.model_dump_json()

    def fingerprint(self, subject: str, body: str) -> str:
        parts = (
            type(self.command).__name__,
            self.actor.id,
            subject,
            body,
            str(self.effective_at),
            self.reason or "",
            *([self.part_of] if self.part_of else []),
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


Answer = Receipt | Exception
"""A receipt; or Refused, Stale, KeyReused, or what went wrong with this command alone."""
Append = Callable[[Sequence[Request]], list[Appended]]


def outcome_of(answer: Answer) -> str:
    """In one word, for whoever counts."""
    if isinstance(answer, Receipt):
        return "accepted" if answer.events else "nothing"
    words = {Refused: "refused", Stale: "stale", KeyReused: "key_reused"}
    return words.get(type(answer), "failed")


def utc_now() -> datetime:
    return datetime.now(UTC)


class MedSales:
    """Answers commands for one company.

    Whatever waits is decided together, in the order it came, and appended together: a later command
    sees what the earlier ones did, so commands to this process never get into each other's way.
    """

    def __init__(self, log: Log, clock: Callable[[], datetime] = utc_now) -> None:
        self.log = log
        self.clock = clock
        """What a decision takes for now; the log keeps a clock of its own."""
        self.memory = Memory(log)
        self.committer = Committer(f"decide {log.datastore.company}", self._decide_together)
        self.answered: Counter[str] = Counter()
        """How many commands were answered how, since this process began."""

    def handle(self, ask: Ask) -> Receipt:
        """Decides and appends. Raises Refused, Stale, KeyReused or Overloaded."""
        (answer,) = self.handle_many([ask])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def handle_many(self, asks: Sequence[Ask]) -> list[Answer]:
        """Answers each ask for itself, in order. Raises Overloaded."""
        return self.submit(asks).result()

    def submit(self, asks: Sequence[Ask]) -> "Future[list[Answer]]":
        """As `handle_many`, for those who wait in another way. Raises Overloaded."""
        return self.committer.submit(asks, len(asks))

    def close(self) -> None:
        """Answers what is waiting, and takes nothing more."""
        self.committer.close()
        self.log.close()

    def preview(self, ask: Ask) -> tuple[Draft, ...]:
        """What would happen, without letting it happen. Raises Refused or Stale."""
        decision, refusal = self._decide(ask, Memory(self.log))
        if refusal:
            raise refusal
        return tuple(decision.drafts)

    def load(self, id: str) -> Loaded:
        """The aggregate as the log has it now; at version 0 if nothing has happened."""
        return Memory(self.log).load([id])[id]

    def existing(self, id: str, kind: type[A]) -> A:
        """The state of an aggregate as the log has it now. Raises Refused if there is none."""
        loaded = self.load(id)
        if loaded.version == 0 or not isinstance(loaded.state, kind):
            raise unknown(id)
        return loaded.state

    def _decide_together(self, jobs: Sequence[Sequence[Ask]]) -> list[list[Answer]]:
        asks = dict(enumerate(ask for job in jobs for ask in job))
        try:
            with undisturbed():
                answers = self._answers(asks)
            answers |= self._repeated(asks, answers)
            self._keep_stale(asks, answers)
        except Exception:
            # Nobody knows what was written.
            self.memory.clear()
            raise
        self.memory.trim()
        self.answered.update(map(outcome_of, answers.values()))
        told = (answers[n] for n in range(len(asks)))
        return [[next(told) for _ in job] for job in jobs]

    def _answers(self, asks: Mapping[int, Ask]) -> dict[int, Answer]:
        answers: dict[int, Answer] = {}
        for _ in range(ATTEMPTS):
            answers |= self._attempt(_left(asks, answers), self.log.append)
            if len(answers) == len(asks):
                return answers
        # Other processes keep moving what is read here: they wait now, so that nobody starves.
        # Held anew for each attempt, as what is read shows only what has been committed.
        while left := _left(asks, answers):
            with self.log.held() as append:
                self.memory.look_again([*self.memory.known])
                held = self._attempt(left, append)
            answers |= held
        return answers

    def _attempt(self, asks: Mapping[int, Ask], append: Append) -> dict[int, Answer]:
        self._read_first(asks.values())
        answers: dict[int, Answer] = {}
        requests: dict[int, Request] = {}
        for n, ask in asks.items():
            try:
                with span_in(ask.trace, "decide"):
                    requests[n] = self._request(ask)
            except Refused as error:
                answers[n] = self._answered_before(ask) or error
            except Exception as error:  # noqa: BLE001 - a fault in one rule is no fault of others
                answers[n] = error
        with shared_span("append", [asks[n].trace for n in requests]):
            appended = append(list(requests.values())) if requests else []
        if any(result.status != "done" for result in appended):
            # What was not appended was judged by what has not come about: it is judged again.
            answers.clear()
        for (n, request), result in zip(requests.items(), appended, strict=True):
            if result.status != "done":
                self.memory.doubt(request.guards)
            if result.status != "conflict":
                answers[n] = _answer(request, result)
        return answers

    def _read_first(self, asks: Iterable[Ask]) -> None:
        """One round trip for the whole batch; a decision that reads on finds the rest by itself."""
        firsts = [(ask, first_reads(ask.command, ask.id)) for ask in asks]
        # Who names a version wants the truth, also where nothing is appended that would check it.
        self.memory.look_again(id for ask, ids in firsts if ask.expected_version for id in ids[:1])
        self.memory.read(id for _, ids in firsts for id in ids)

    def _repeated(
        self, asks: Mapping[int, Ask], answers: Mapping[int, Answer]
    ) -> dict[int, Answer]:
        """Whoever names an old version because he asks again: the first answer."""
        stale = [n for n, answer in answers.items() if isinstance(answer, Stale)]
        return {n: before for n in stale if (before := self._answered_before(asks[n]))}

    def _keep_stale(self, asks: Mapping[int, Ask], answers: Mapping[int, Answer]) -> None:
        """Who would have written over somebody else's work is found among the refusals.

        Under a key of its own: he may look again and ask with the same key.
        """
        stale = [_noted(asks[n], error) for n, error in answers.items() if isinstance(error, Stale)]
        if stale:
            self.log.append(stale)

    def _answered_before(self, ask: Ask) -> Answer | None:
        found = self.log.entry(ask.actor.client, ask.key)
        if found is None:
            return None
        fingerprint, entry = found
        with suppress(Refused):
            subject = subject_of(ask.command, ask.id)
            if fingerprint == ask.fingerprint(subject, ask.body()):
                return _told(subject, entry)
        return KeyReused(ask.key)

    def _request(self, ask: Ask) -> Request:
        """Raises Stale; and Refused where there is no subject to keep a refusal with."""
        decision, refusal = self._decide(ask, self.memory)
        subject, body = subject_of(ask.command, ask.id), ask.body()
        facts = () if refusal else tuple(map(line_of, decision.drafts))
        if refusal is None:
            self.memory.keep(decision.now, facts)
        return Request(
            subject=subject,
            version=decision.read.get(subject, 0) if refusal else decision.now[subject].version,
            envelope=ask.envelope(),
            fingerprint=ask.fingerprint(subject, body),
            guards=decision.read,
            facts=facts,
            effective_at=ask.effective_at,
            body=body,
            refusal=(refusal.code, refusal.sentence) if refusal else None,
        )

    def _decide(self, ask: Ask, memory: Memory) -> tuple[Decision, Refused | None]:
        subject = subject_of(ask.command, ask.id)
        now = self.clock()
        decision = Decision(memory.load, ask.actor.who(), ask.effective_at or now, now)
        try:
            _must_be_allowed(ask)
            _must_have_a_good_time(ask, now)
            _must_be_current(ask, subject, memory)
            decision.ask(subject, ask.command)
        except Refused as refused:
            return decision, refused
        return decision, None


def _noted(ask: Ask, stale: Stale) -> Request:
    subject, body = subject_of(ask.command, ask.id), ask.body()
    return Request(
        subject=subject,
        version=stale.found,
        envelope=replace(ask, key=str(uuid4())).envelope(),
        fingerprint=ask.fingerprint(subject, body),
        guards={},
        body=body,
        refusal=("version.stale", stale.sentence),
    )


def _left(asks: Mapping[int, Ask], answers: Mapping[int, Answer]) -> dict[int, Ask]:
    return {n: ask for n, ask in asks.items() if n not in answers}


def _must_be_current(ask: Ask, subject: str, memory: Memory) -> None:
    if ask.expected_version is not None:
        found = memory.load([subject])[subject].version
        if found != ask.expected_version:
            raise Stale(subject, ask.expected_version, found)


def _answer(request: Request, result: Appended) -> Answer:
    if result.status == "reused":
        return KeyReused(request.envelope.key)
    if result.error:
        return result.error
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
    if ask.command.at_once:
        raise Refused(
            "effective.at_once",
            "this takes effect when it is asked, and at no other time",
            "该操作即时生效, 不得另行指定生效时间",
        )
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
