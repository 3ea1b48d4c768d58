"""A fact is an event with its envelope: whose it is, where in the log, who caused it and when."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

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


Stored: TypeAlias = tuple[int, str, int, str, bytes, bytes, datetime, datetime, str]
"""The columns of a fact as it is stored: `STORED`."""
STORED = (
    "notification_id, originator_id, originator_version, topic, state, metadata,"
    " effective_at, recorded_at, event_id::text"
)


class Fact(Generic[E_co]):
    """One line of the log. Its event and envelope are read when somebody looks at them."""

    __slots__ = (
        "_metadata",
        "_state",
        "effective_at",
        "envelope",
        "event",
        "event_id",
        "name",
        "position",
        "recorded_at",
        "subject",
        "version",
    )
    position: int
    subject: str
    version: int
    name: str
    """The stored name of the event."""
    event: E_co
    envelope: Envelope
    effective_at: datetime
    recorded_at: datetime
    event_id: str

    def __init__(self, stored: Stored) -> None:
        (
            self.position,
            self.subject,
            self.version,
            self.name,
            self._state,
            self._metadata,
            self.effective_at,
            self.recorded_at,
            self.event_id,
        ) = stored

    if not TYPE_CHECKING:  # or every name would be right

        def __getattr__(self, name: str) -> Any:
            """Only called for what is not there yet."""
            if name == "event":
                self.event = event_from_json(self.name, self._state)
                return self.event
            if name == "envelope":
                self.envelope = envelope_from_json(self._metadata)
                return self.envelope
            raise AttributeError(name)

    def let_go(self) -> None:
        """Forgets the event, which is read again if need be: thousands of them fill the memory."""
        try:  # noqa: SIM105 - `suppress` takes longer than all the rest
            del self.event
        except AttributeError:
            pass

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


@lru_cache(maxsize=64)  # the facts of one command share theirs, and stand side by side
def envelope_from_json(metadata: bytes) -> Envelope:
    return _envelopes.validate_json(metadata)


def fact_from_row(row: dict[str, Any]) -> Fact[Any]:
    return Fact(
        (
            row["notification_id"],
            row["originator_id"],
            row["originator_version"],
            row["topic"],
            row["state"],
            row["metadata"],
            row["effective_at"],
            row["recorded_at"],
            str(row["event_id"]),
        )
    )
