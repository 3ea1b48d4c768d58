"""A quote as its customer reads it: everything its content hash covers, and who answered for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from medsales.documents.content import (
    DocumentContent,
    Entry,
    GoodsLine,
    Paragraphs,
    Party,
    entries,
)
from medsales.documents.trail import Trail, approval, in_china, no_such_version
from medsales.documents.words import Said, Word
from medsales.domain.kernel import Refused, Sentence
from medsales.domain.sales.offer import ContentLine, QuoteContent
from medsales.domain.sales.quote import Quote, QuoteStatus
from medsales.engine.facts import Fact

BINDING = {QuoteStatus.ISSUED, QuoteStatus.ACCEPTED, QuoteStatus.CONVERTED}
NO_OFFER = Sentence("This is not an offer", "本件不构成要约")


@dataclass(frozen=True)
class QuoteSeen:
    """One version, and what had become of it by the moment that is asked about."""

    quote: Quote
    newest: int
    """The current version by then."""
    times: Mapping[str, datetime]
    """When each event of this version happened."""


def quote_seen(facts: Iterable[Fact[Any]], version: int | None = None) -> QuoteSeen:
    """Of the facts of a quote; without a version the current one. Raises Refused."""
    quote = Quote()
    seen: dict[int, Quote] = {}
    times: dict[int, dict[str, datetime]] = {}
    for fact in facts:
        quote = fact.event.apply(quote)
        seen[quote.version] = quote
        times.setdefault(quote.version, {})[fact.name] = fact.effective_at
    wanted = version or quote.version
    if wanted not in seen:
        raise no_such_version(quote.number, wanted)
    return QuoteSeen(seen[wanted], quote.version, times[wanted])


def quote_document(seen: QuoteSeen, trail: Trail) -> DocumentContent:
    """Raises Refused while nothing has been submitted: what may change has no document."""
    quote, content = seen.quote, seen.quote.content
    if content is None:
        raise Refused(
            "quote.not_submitted",
            f"version {quote.version} has not been submitted; there is no document of a draft",
            f"第 {quote.version} 版尚未提交, 草稿没有文件",
        )
    return DocumentContent(
        title=Word.QUOTE,
        number=content.number,
        version=content.version,
        mark=_mark(seen),
        dated=seen.times["QuoteSubmitted"],
        facts=_facts(seen, content),
        parties=(_buyer(content),),
        lines=tuple(map(_line, content.lines)),
        total=content.total,
        clauses=_remarks(content),
        approval=approval(quote.approval, trail.approvers),
        signatures=trail.signatures,
        content_hash=quote.content_hash,
    )


def _mark(seen: QuoteSeen) -> Sentence | None:
    status = seen.quote.status or QuoteStatus.DRAFT
    if seen.newest > seen.quote.version:
        en = f"Superseded by version {seen.newest}"
        return Sentence(f"{en}. {NO_OFFER.en}.", f"已被第 {seen.newest} 版取代, {NO_OFFER.zh}。")
    if status in BINDING:
        return None
    return Sentence(f"{status.en.capitalize()}. {NO_OFFER.en}.", f"{status.zh}, {NO_OFFER.zh}。")


def _facts(seen: QuoteSeen, content: QuoteContent) -> tuple[Entry, ...]:
    known: tuple[tuple[Word, Said | None], ...] = (
        (Word.DATED, in_china(seen.times.get("QuoteIssued", seen.times["QuoteSubmitted"]))),
        (Word.VALID_UNTIL, content.valid_until),
        (Word.PRICE_LIST, content.price_matrix),
        (Word.TENDER, content.tender),
        (Word.STATUS, seen.quote.status),
    )
    return entries(*known, *_acceptance(seen))


def _acceptance(seen: QuoteSeen) -> tuple[tuple[Word, Said | None], ...]:
    accepted = seen.quote.accepted
    if accepted is None:
        return ()
    return (
        (Word.ACCEPTED_BY, accepted.accepted_by),
        (Word.ACCEPTED_AT, in_china(seen.times["QuoteAccepted"])),
        (Word.EVIDENCE, accepted.evidence),
    )


def _buyer(content: QuoteContent) -> Party:
    return Party(
        role=Word.BUYER,
        facts=entries(
            (Word.NAME, content.customer_name),
            (Word.NUMBER_OF_PARTY, content.customer.key),
            (Word.ADDRESS, content.customer_address),
        ),
    )


def _line(line: ContentLine) -> GoodsLine:
    return GoodsLine(
        line=line.line,
        product=f"{line.name} {line.model}".strip(),
        details=(line.registrant, *line.registrations, line.product.key),
        price=line.price,
        quantity=line.quantity,
    )


def _remarks(content: QuoteContent) -> tuple[Paragraphs, ...]:
    if content.remarks is None:
        return ()
    return (Paragraphs(title=Word.REMARKS, text=content.remarks),)
