"""Where spans are sent: to a collector, when the variables of OpenTelemetry name one."""

import logging
import os

from opentelemetry import trace

from medsales.engine.application import APP

LOG = logging.getLogger(__name__)
NAMED_BY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def configure() -> None:
    """Nothing happens unless a collector is named; other settings are OpenTelemetry's own."""
    if not any(os.environ.get(name) for name in NAMED_BY):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        LOG.warning(
            "a collector is named, but tracing is not installed: 'medsales[tracing]' has it"
        )
        return
    name = os.environ.get("OTEL_SERVICE_NAME", "medsales")
    resource = Resource.create({"service.name": name, "service.version": APP})
    provider = TracerProvider(resource=resource)  # it flushes when the process ends
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
