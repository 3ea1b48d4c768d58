"""One line, and one span, for each request: who asked for what, and how it was answered."""

import re
import time
from typing import Any
from uuid import uuid4

import structlog
from opentelemetry.trace import Span, format_trace_id
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medsales.engine import telemetry
from medsales.logs import SAID

LOG = structlog.get_logger("medsales.requests")
ID = re.compile(r"[\x21-\x7e]{1,100}")
"""Of a request, as others may give it: visible and short, so that no line of a log is forged."""
QUIET = ("/health/", "/metrics")
"""What machines ask every few seconds is told only at the level debug."""


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
        headers = Headers(scope=scope)
        said = {"request": _id(headers), "method": scope["method"], "path": _as_sent(scope)}
        before = SAID.set(said)
        try:
            with telemetry.request_span(scope["method"], headers) as span:
                if span:
                    said["trace"] = format_trace_id(span.get_span_context().trace_id)
                await self._answered(scope, receive, send, said)
                if span:
                    _trace(scope, span, said)
        finally:
            SAID.reset(before)

    async def _answered(
        self, scope: Scope, receive: Receive, send: Send, said: dict[str, Any]
    ) -> None:
        begun = time.perf_counter()

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                said["status"] = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = said["request"]
            await send(message)

        try:
            await self.app(scope, receive, answering)
        finally:
            tell = LOG.debug if scope["path"].startswith(QUIET) else LOG.info
            tell("request", ms=round((time.perf_counter() - begun) * 1000, 2))


def _id(headers: Headers) -> str:
    given = headers.get("X-Request-Id", "")
    return given if ID.fullmatch(given) else uuid4().hex


def _as_sent(scope: Scope) -> str:
    """Percent-encoded, so that it is one word."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("ascii", "backslashreplace")


def _trace(scope: Scope, span: Span, said: dict[str, Any]) -> None:
    """What the line says the span says too; it goes on until everybody can read what was done."""
    span.update_name(str(said.get("command") or f"{said['method']} {_route(scope)}"))
    span.set_attributes({name: value for name, value in said.items() if value is not None})
    state = scope["app"].state
    if (position := said.get("position")) and (company := said.get("company")):
        state.projected.expect(state.companies.opened[company], position)


def _route(scope: Scope) -> str:
    """As it is written, with `{id}`: few names for many requests."""
    return getattr(scope.get("route"), "path", "")
