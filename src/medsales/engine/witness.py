"""Tells somebody outside of each head: a file, a webhook, an authority that stamps the time.

Only what is known outside shows that the end of a log was cut off, or an old backup restored.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import URLError
from urllib.request import Request, urlopen

from medsales.audit.heads import Head, head_from_line

TIMEOUT = 10.0
"""Seconds that somebody outside has to answer."""
MOST = 1 << 20
"""Bytes of an answer."""
TAIL = 1 << 16
"""Bytes at the end of a file of heads that are looked at first."""


class NotTold(Exception):
    """Somebody outside could not be told of a head; says why in a sentence."""


def lines_in(path: Path) -> Iterator[bytes]:
    """The heads written down so far; none where there is no file yet."""
    if path.exists():
        with path.open("rb") as file:
            yield from file


def last_in(path: Path, log: str) -> Head | None:
    """The last head of this log that was written down; read from the end, the file may be long."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        size = TAIL
        while True:
            start = max(0, length - size)
            file.seek(start)
            found = _last_of(file.read(length - start), log, whole=start == 0)
            if found is not None or start == 0:
                return found
            size *= 8


def _last_of(text: bytes, log: str, *, whole: bool) -> Head | None:
    lines = text.splitlines()
    for line in reversed(lines if whole else lines[1:]):
        with suppress(ValueError):
            head = head_from_line(line)
            if head.log == log:
                return head
    return None


def append(path: Path, heads: list[Head], company: str | None = None) -> None:
    """Writes heads down, on the disk before it returns. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        written = b"".join(head.line(company) for head in heads)
        # What a crash left half written stays a line of its own.
        file.write(written if _ends_a_line(file) else b"\n" + written)
        file.flush()
        os.fsync(file.fileno())


def _ends_a_line(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def posted(url: str, head: Head) -> bytes:
    """Posts a head as JSON; the answer does not matter, but must be a success."""
    return _post(url, head.line(), "application/json")[:1000]


def stamped(url: str, head: Head) -> bytes:
    """The answer of an RFC 3161 authority, which holds its signed time for this head."""
    rfc3161 = _rfc3161()
    asked = rfc3161.TimestampRequestBuilder().data(head.signed())
    request = asked.hash_algorithm(rfc3161.HashAlgorithm.SHA256).build()
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
