"""A fact is an event with its envelope: whose it is, where in the log, who caused it and when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from medsales.domain.kernel import EVENTS, Event

E_co = TypeVar("E_co", bound=Event[Any], covariant=True)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who asked for what, through which client, and why; stored beside each event."""

    by: str
    """The user's id; never reused for somebody else (AUD-9)."""
    name: str
    """The user's printed name as it was then."""
    client: str
    """The device or program the command came from."""
    key: str
    """The idempotency key of the command."""
    command: str
    correlation: str
    """Shared by everything that one request led to."""
    cause: int | None = None
    """The position of the fact that made a process ask for this."""
    reason: str | None = None
    """Why the effective time differs from the time of recording."""
    app: str = ""
    """The version of medsales that decided (AUD-8)."""


@dataclass(frozen=True, slots=True)
class Fact(Generic[E_co]):
    """One line of the log."""

    position: int
    subject: str
    version: int
    event: E_co
    envelope: Envelope
    effective_at: datetime
    recorded_at: datetime
    event_id: str

    @property
    def by(self) -> str:
        return self.envelope.by


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that has been decided and has its number, but no position yet."""

    subject: str
    version: int
    event: Event[Any]


_envelopes = TypeAdapter(Envelope)


def event_to_json(event: Event[Any]) -> str:
    """Canonical: fields in declared order, no blanks, exact decimals as strings, UTF-8."""
    return event.__pydantic_serializer__.to_json(event).decode()


def event_from_json(name: str, state: bytes) -> Event[Any]:
    """The event a stored row tells of. Raises KeyError for a name the catalogue does not know."""
    return EVENTS[name].__pydantic_validator__.validate_json(state)  # type: ignore[no-any-return]


def envelope_to_json(envelope: Envelope) -> str:
    return _envelopes.dump_json(envelope).decode()


def fact_from_row(row: dict[str, Any]) -> Fact[Any]:
    return Fact(
        row["notification_id"],
        row["originator_id"],
        row["originator_version"],
        event_from_json(row["topic"], row["state"]),
        _envelopes.validate_json(row["metadata"]),
        row["effective_at"],
        row["recorded_at"],
        str(row["event_id"]),
    )
