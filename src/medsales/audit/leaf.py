"""The canonical line of a fact: what is hashed, streamed and exported, always the same bytes."""

import json
from datetime import UTC, datetime
from uuid import UUID

quoted = json.JSONEncoder(ensure_ascii=False).encode
"""Of a text: as JSON has it, with nothing escaped that need not be."""
MOST_DIGITS = 20
"""Of a position; longer ones are nonsense."""


def canonical_line(  # noqa: PLR0913, PLR0917 - what a fact has
    position: int,
    subject: str,
    version: int,
    event: str,
    payload: bytes,
    envelope: bytes,
    effective_at: datetime,
    recorded_at: datetime,
    event_id: str | UUID,
) -> bytes:
    """Payload and envelope as they lie in the table; no library decides how the rest looks."""
    return (
        b'{"position":%d,"subject":%b,"version":%d,"event":%b,"payload":%b,"envelope":%b,'
        b'"effective_at":"%b","recorded_at":"%b","event_id":"%b"}'
    ) % (
        position,
        quoted(subject).encode(),
        version,
        quoted(event).encode(),
        payload,
        envelope,
        moment(effective_at).encode(),
        moment(recorded_at).encode(),
        str(event_id).encode(),
    )


def moment(at: datetime) -> str:
    """To the microsecond, in UTC: 2026-01-31T08:30:00.000000Z."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def position_of(line: bytes) -> int | None:
    """The position a canonical line begins with; None for what is no such line."""
    name, _, rest = line.partition(b":")
    number = rest.partition(b",")[0]
    known = name == b'{"position"' and number.isdigit() and len(number) < MOST_DIGITS
    return int(number) if known else None


def moved(line: bytes, position: int) -> bytes:
    """The same fact, had it been at another position."""
    return b'{"position":%d,%b' % (position, line.partition(b",")[2])
