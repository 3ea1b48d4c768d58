"""One trace from the request to the moment when everybody can read what it did."""

import threading
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind
from tests.api.conftest import Api

from medsales.engine import telemetry


class Spans(SpanExporter):
    """Those that have ended, for whoever waits for one."""

    def __init__(self) -> None:
        self.ended: list[ReadableSpan] = []
        self.news = threading.Condition()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self.news:
            self.ended += spans
            self.news.notify_all()
        return SpanExportResult.SUCCESS

    def named(self, name: str) -> ReadableSpan:
        def found() -> list[ReadableSpan]:
            return [span for span in self.ended if span.name == name]

        with self.news:
            assert self.news.wait_for(found, 30), [span.name for span in self.ended]
            return found()[0]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    found = Spans()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(found))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield found
    provider.shutdown()


def test_a_command_is_one_trace_until_it_can_be_read(api: Api, spans: Spans) -> None:
    api.project()
    answer = api.build()
    request = spans.named("BuildToyBox")
    decide, append = spans.named("decide"), spans.named("append")
    assert "projected" not in [span.name for span in spans.ended], "nobody has projected it yet"
    api.project()
    projected = spans.named("projected")
    assert request.context and projected.attributes and request.attributes
    for part in (decide, append, projected):
        assert part.context and part.context.trace_id == request.context.trace_id
        assert part.parent and part.parent.span_id == request.context.span_id
    assert request.kind is SpanKind.SERVER
    assert request.attributes["position"] == projected.attributes["position"] == 1
    assert request.attributes["request"] == answer.headers["X-Request-Id"]
    assert projected.attributes["seen"] is True
    assert order(decide, append, projected) == [decide, append, projected]


def order(*spans: ReadableSpan) -> list[ReadableSpan]:
    return sorted(spans, key=lambda span: span.end_time or 0)


def test_the_callers_trace_goes_on_here(api: Api, spans: Spans) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    api.put("bear", traceparent=caller)
    request = spans.named("PutToysIn")
    assert request.context and request.parent
    assert f"{request.context.trace_id:032x}" in caller
    assert f"{request.parent.span_id:016x}" in caller


def test_a_question_is_named_for_its_route(api: Api, spans: Spans) -> None:
    api.project()
    api.http.get("/toy-counts/toy-box:1")
    assert spans.named("GET /toy-counts/{id:path}").kind is SpanKind.SERVER


def test_without_a_collector_there_are_no_spans(api: Api) -> None:
    assert not telemetry.on()
    with telemetry.span("anything", position=1) as span:
        assert span is None
    assert api.build().status_code == 200
