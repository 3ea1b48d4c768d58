"""One line for each request: who asked for what, under which key, and how it was answered."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medsales.logs import SAID

LOG = structlog.get_logger("medsales.requests")
ID = re.compile(r"[\x21-\x7e]{1,100}")
"""Of a request, as others may give it: visible and short, so that no line of a log is forged."""
QUIET = "/health/"
"""What is asked every second by machines is told only at the level debug."""


class RequestLog:
    """Gives each request an id, answers with it, and writes the line when it is over.

    The query is not written: it may hold what people have typed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("X-Request-Id", "")
        id = given if ID.fullmatch(given) else uuid4().hex
        said = {"request": id, "method": scope["method"], "path": _as_sent(scope)}
        before = SAID.set(said)
        begun = time.perf_counter()

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                said["status"] = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = id
            await send(message)

        try:
            await self.app(scope, receive, answering)
        finally:
            tell = LOG.debug if scope["path"].startswith(QUIET) else LOG.info
            tell("request", ms=round((time.perf_counter() - begun) * 1000, 2))
            SAID.reset(before)


def _as_sent(scope: Scope) -> str:
    """Percent-encoded, so that it is one word."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("ascii", "backslashreplace")
