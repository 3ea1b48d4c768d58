"""given(...).when(...).then(...): the way to say what an aggregate does, in tests and docs."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

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

    def when(
        self,
        command: Command[Any],
        id: str | None = None,
        *,
        by: str = "chen",
        roles: tuple[Role, ...] = tuple(Role),
        at: datetime = NOON,
    ) -> "Outcome":
        """Lets the command decide. Without an id, a made-up one of the right kind is used."""
        kind = aggregate_of(type(command))
        assert kind is not None
        subject = id or f"{kind.kind}:1"
        try:
            subject = subject_of(command, subject)
            decision = Decision(self._load(subject), Who(by, by.title(), roles), at)
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


__all__ = ["NOON", "Also", "Outcome", "given", "loaded"]
