"""Spans for whoever has tracing set up; for all others as good as nothing."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import ProxyTracerProvider, Span, SpanKind

NOTHING: AbstractContextManager[None] = nullcontext()
Said = str | int | float | bool


def on() -> bool:
    """Whether anybody collects spans: without an SDK the API has nothing but a stand-in."""
    return not isinstance(trace.get_tracer_provider(), ProxyTracerProvider)


def here() -> Context | None:
    """The open span, for a thread that goes on with its work; None if nobody collects spans."""
    return context.get_current() if on() else None


def span(name: str, **attributes: Said) -> AbstractContextManager[Span | None]:
    """Part of whatever span is open in this thread or task."""
    return span_in(context.get_current(), name, **attributes) if on() else NOTHING


def span_in(
    whole: Context | None, name: str, **attributes: Said
) -> AbstractContextManager[Span | None]:
    """Part of a span that was `here` somewhere else."""
    if whole is None:
        return NOTHING
    return _tracer().start_as_current_span(name, whole, attributes=attributes)


@contextmanager
def shared_span(name: str, wholes: Iterable[Context | None]) -> Iterator[None]:
    """Done once for several, so it is a part of the span of each."""
    began = time.time_ns()
    yield
    for whole in wholes:
        if whole is not None:
            _tracer().start_span(name, whole, start_time=began).end()


def request_span(name: str, headers: Mapping[str, str]) -> AbstractContextManager[Span | None]:
    """The whole of a request; part of the caller's trace if it says so (W3C trace context)."""
    if not on():
        return NOTHING
    caller = propagate.extract(headers)
    return _tracer().start_as_current_span(name, caller, kind=SpanKind.SERVER)


def begun(name: str, **attributes: Said) -> Span:
    """A span that somebody else ends later."""
    return _tracer().start_span(name, attributes=attributes)


def _tracer() -> trace.Tracer:
    return trace.get_tracer("medsales")
