"""What happened in memory, as facts that a document is made of; and what a document says."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from html import unescape
from re import sub
from typing import Any

from medsales.documents.content import DocumentContent, sheet
from medsales.documents.html import html
from medsales.documents.sheet import Language
from medsales.domain.kernel import Event
from medsales.engine.facts import Envelope, Fact, envelope_to_json, event_to_json

BEGINNING = datetime(2026, 6, 1, 2, tzinfo=UTC)


def facts(
    subject: str, events: Iterable[Event[Any]], name: str = "Wang Min 王敏"
) -> list[Fact[Any]]:
    """One a minute, all told by the same person."""
    return [_fact(number, subject, event, name) for number, event in enumerate(events, start=1)]


def _fact(number: int, subject: str, event: Event[Any], name: str) -> Fact[Any]:
    told = type(event).__name__
    at = BEGINNING + timedelta(minutes=number - 1)
    envelope = Envelope(by="wang", name=name, client="", key="", command="", correlation="")
    state, metadata = event_to_json(event).encode(), envelope_to_json(envelope).encode()
    return Fact((number, subject, number, told, state, metadata, at, at, ""))


def said(content: DocumentContent, language: Language = Language.ZH) -> list[str]:
    """The lines of a document, without its marks."""
    page = html(sheet(content, language)).decode()
    body = page[page.index("<body>") :]
    return [unescape(line) for line in sub(r"<[^>]*>", "\n", body).splitlines() if line.strip()]
