"""What the running program says: one line for each thing, for people or for programs."""

import io
import logging
import sys
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TextIO, cast

import structlog
from pydantic_core import to_json
from structlog.types import EventDict, Processor, WrappedLogger

SAID: ContextVar[dict[str, Any] | None] = ContextVar("said", default=None)
"""What is known of the request at hand: shared with the thread that answers it."""


def note(**known: Any) -> None:
    """Has every further line of this request say so too; nothing outside of a request."""
    said = SAID.get()
    if said is not None:
        said.update(known)


def configure(level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Everything goes to stderr the same way: our lines, the libraries', the web server's."""
    to = cast("TextIO", _Unfailing(stream or sys.stderr))
    readable = to.isatty() if form == "auto" else form == "text"
    last: list[Processor] = [_for_people(to) if readable else _for_programs()]
    if not readable:
        last.insert(0, structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*COMMON, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(to),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(to)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*FROM_OTHERS, *COMMON],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for quiet in ("uvicorn", "httpx", "asyncio"):
        logging.getLogger(quiet).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


class _Unfailing(io.TextIOBase):
    """A full disk, or a pipe nobody reads, is no reason to fail a request."""

    def __init__(self, to: TextIO) -> None:
        self.to = to

    def write(self, text: str, /) -> int:
        with suppress(OSError, ValueError):
            return self.to.write(text)
        return 0

    def isatty(self) -> bool:
        return self.to.isatty()

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self.to.flush()


def _of_the_request(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    return {**line, **said} if (said := SAID.get()) else line


COMMON: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    _of_the_request,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper("iso", utc=True, key="at"),
]


FROM_OTHERS: list[Processor] = [
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
]


def _for_programs() -> Processor:
    return structlog.processors.JSONRenderer(serializer=_one_line)


def _one_line(line: EventDict, **_: Any) -> str:
    # Ten times as fast as json.dumps, and nothing that is logged can make it fail.
    return to_json(line, serialize_unknown=True).decode()


def _for_people(to: TextIO) -> Processor:
    # A plain traceback: the pretty one shows the values of variables, and so passwords.
    return structlog.dev.ConsoleRenderer(
        colors=to.isatty(),
        timestamp_key="at",
        exception_formatter=structlog.dev.plain_traceback,
    )
