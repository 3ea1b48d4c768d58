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
    assert {trace_of(span) for span in (decide, append, projected)} == {trace_of(request)}
    assert request.kind is SpanKind.SERVER
    assert (request.attributes or {})["position"] == (projected.attributes or {})["position"] == 1
    assert (request.attributes or {})["request"] == answer.headers["X-Request-Id"]
    assert (projected.attributes or {})["seen"] is True
    assert order(projected, append, decide) == [decide, append, projected]


def trace_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context
    return context.trace_id


def test_what_is_appended_together_is_in_every_trace(api: Api, spans: Spans) -> None:
    items = [
        {"command": "BuildToyBox", "key": f"b{n}", "body": {"number": str(n)}} for n in range(3)
    ]
    api.post("/commands", {"items": items})
    request = spans.named("POST /commands")
    ours = [span.name for span in spans.ended if trace_of(span) == trace_of(request)]
    assert (ours.count("decide"), ours.count("append")) == (3, 3)


def order(*spans: ReadableSpan) -> list[ReadableSpan]:
    return sorted(spans, key=lambda span: span.end_time or 0)


def test_the_callers_trace_goes_on_here(api: Api, spans: Spans) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    api.put("bear", traceparent=caller)
    request = spans.named("PutToysIn")
    assert request.parent
    assert f"{trace_of(request):032x}" in caller
    assert f"{request.parent.span_id:016x}" in caller


def test_a_question_is_named_for_its_route(api: Api, spans: Spans) -> None:
    api.project()
    api.http.get("/toy-counts/toy-box:1?remark=Wang")
    request = spans.named("GET /toy-counts/{id:path}")
    assert request.kind is SpanKind.SERVER
    assert "Wang" not in "".join(span.to_json() for span in spans.ended)


def test_without_a_collector_there_are_no_spans(api: Api) -> None:
    assert not telemetry.on()
    with telemetry.span("anything", position=1) as span:
        assert span is None
    assert api.build().status_code == 200
