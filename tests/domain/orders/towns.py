"""Where random lives are lived: a town in memory, or a company with its database."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from medsales.company import Company
from medsales.domain.kernel import Aggregate, Command, Event, Refused, Role, Who
from medsales.engine.application import Actor, Ask
from medsales.engine.decision import Decision, Loaded, subject_of
from medsales.engine.facts import event_from_json, event_to_json
from medsales.testing import NOON, loaded


class Town(Protocol):
    """Somewhere to ask for things, and to see what came of it."""

    def ask(self, command: Command[Any], id: str | None = None, by: str = "chen") -> Refused | None:
        """Tells the refusal; None when the command was answered well."""

    def state(self, id: str) -> Aggregate: ...


@dataclass
class InMemory:
    """Streams of events, each written as JSON and read again, as the log would."""

    streams: dict[str, list[Event[Any]]] = field(default_factory=dict)
    known: dict[str, Loaded] = field(default_factory=dict)
    now: datetime = NOON

    def who(self, by: str) -> Who:
        """Everybody may do everything, unless a town says otherwise."""
        return Who(by, by, tuple(Role))

    def ask(self, command: Command[Any], id: str | None = None, by: str = "chen") -> Refused | None:
        decision = Decision(self._load, self.who(by), self.now)
        try:
            decision.ask(subject_of(command, id), command)
        except Refused as refusal:
            return refusal
        for draft in decision.drafts:
            name = type(draft.event).__name__
            stored = event_from_json(name, event_to_json(draft.event).encode())
            assert stored == draft.event
            stream = self.streams.setdefault(draft.subject, [])
            stream.append(stored)
            before = self._load([draft.subject])[draft.subject]
            self.known[draft.subject] = Loaded(len(stream), stored.apply(before.state))
        assert all(
            self.state(draft.subject) == decision.now[draft.subject].state
            for draft in decision.drafts
        )
        return None

    def state(self, id: str) -> Aggregate:
        return self._load([id])[id].state

    def _load(self, ids: Iterable[str]) -> dict[str, Loaded]:
        return {id: self.known.get(id) or loaded(id, ()) for id in ids}


@dataclass(frozen=True)
class InCompany:
    """The real engine: every command is decided and appended, every state folded from the log."""

    company: Company

    def ask(self, command: Command[Any], id: str | None = None, by: str = "chen") -> Refused | None:
        try:
            self.company.app.handle(Ask(command, Actor(by, roles=tuple(Role)), id))
        except Refused as refusal:
            return refusal
        return None

    def state(self, id: str) -> Aggregate:
        return self.company.app.load(id).state

    def must_be_reproducible(self) -> None:
        """The read models follow the log, and say what a rebuild would say."""
        follower = self.company.follower
        follower.prepare()
        follower.catch_up()
        assert follower.verify(list(follower.projections)) == []
