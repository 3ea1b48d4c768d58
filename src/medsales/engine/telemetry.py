"""Spans for whoever has tracing set up; for all others as good as nothing."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from opentelemetry import propagate, trace
from opentelemetry.trace import ProxyTracerProvider, Span, SpanKind

NOTHING: AbstractContextManager[None] = nullcontext()
Said = str | int | float | bool


def on() -> bool:
    """Whether anybody collects spans: without an SDK the API has nothing but a stand-in."""
    return not isinstance(trace.get_tracer_provider(), ProxyTracerProvider)


def span(name: str, **attributes: Said) -> AbstractContextManager[Span | None]:
    """Part of whatever span is open in this thread or task."""
    if not on():
        return NOTHING
    return _tracer().start_as_current_span(name, attributes=attributes)


def request_span(
    name: str, headers: Mapping[str, str], **attributes: Said
) -> AbstractContextManager[Span | None]:
    """The whole of a request; part of the caller's trace if it says so (W3C trace context)."""
    if not on():
        return NOTHING
    return _tracer().start_as_current_span(
        name, propagate.extract(headers), kind=SpanKind.SERVER, attributes=attributes
    )


def begun(name: str, **attributes: Said) -> Span:
    """A span that somebody else ends later."""
    return _tracer().start_span(name, attributes=attributes)


def _tracer() -> trace.Tracer:
    return trace.get_tracer("medsales")
