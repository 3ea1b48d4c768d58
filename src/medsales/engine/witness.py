"""Tells somebody outside of each head: a file, a webhook, an authority that stamps the time.

Only what is known outside shows that the end of a log was cut off, or an old backup restored.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from medsales.audit.heads import Head

TIMEOUT = 10.0
"""Seconds that somebody outside has to answer."""
MOST = 1 << 20
"""Bytes of an answer."""


class NotTold(Exception):
    """Somebody outside could not be told of a head; says why in a sentence."""


def lines_in(path: Path) -> Iterator[bytes]:
    """The heads written down so far; none where there is no file yet."""
    if path.exists():
        with path.open("rb") as file:
            yield from file


def append(path: Path, heads: list[Head]) -> None:
    """Writes heads down, on the disk before it returns. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # All in one write: a reader, or a crash, finds whole lines or at most one half at the end.
        file.write(b"".join(head.line() for head in heads))
        file.flush()
        os.fsync(file.fileno())


def posted(url: str, head: Head) -> bytes:
    """Posts a head as JSON; the answer does not matter, but must be a success."""
    return _post(url, head.line(), "application/json")[:1000]


def stamped(url: str, head: Head) -> bytes:
    """The answer of an RFC 3161 authority, which holds its signed time for this head."""
    rfc3161 = _rfc3161()
    request = rfc3161.TimestampRequestBuilder().data(head.signed()).build()
    answer = _post(url, request.as_bytes(), "application/timestamp-query")
    try:
        response = rfc3161.decode_timestamp_response(answer)
        told = response.tst_info
        right = told.message_imprint.message == request.message_imprint.message
    except ValueError as error:
        raise NotTold(f"{url} did not answer with a timestamp: {error}") from error
    if not right or told.nonce != request.nonce:
        raise NotTold(f"{url} stamped something else")
    return answer


def _rfc3161() -> Any:
    try:
        import rfc3161_client  # noqa: PLC0415 - an extra that is not always installed
    except ImportError as error:
        raise NotTold(
            "timestamps need the extra `timestamps`: pip install medsales[timestamps]"
        ) from error
    return rfc3161_client


def _post(url: str, body: bytes, kind: str) -> bytes:
    request = Request(url, body, {"Content-Type": kind}, method="POST")  # noqa: S310 - an operator's setting
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            return bytes(answer.read(MOST))
    except (URLError, OSError, ValueError) as error:
        raise NotTold(f"{url} could not be told: {getattr(error, 'reason', error)}") from error


Way = Callable[[str, Head], bytes]
