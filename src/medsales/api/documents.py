"""Quotes and contracts as documents: HTML or PDF, in Chinese or English, of any version."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from medsales.api.auth import Caller, for_our_people
from medsales.api.commands import SubjectId
from medsales.api.reading import POSITION, Asked, found
from medsales.audit.contents import Contents
from medsales.documents.content import DocumentContent, sheet
from medsales.documents.contract import (
    ContractVersion,
    Names,
    contract_document,
    contract_seen,
)
from medsales.documents.html import POLICY, html
from medsales.documents.pdf import pdf
from medsales.documents.quote import quote_document, quote_seen
from medsales.documents.seller import sold_by
from medsales.documents.sheet import Language, Sheet
from medsales.documents.trail import Trail, approvers, content_changed, trail_of
from medsales.documents.words import Said
from medsales.domain.governance.person import Person
from medsales.domain.ids import ApprovalId, ContractId, PersonId, QuoteId
from medsales.domain.kernel import Id, Term
from medsales.domain.parties.customer import Customer
from medsales.domain.parties.our_company import US, OurCompany
from medsales.domain.stock.product import Product
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.past import Moment, facts_at, state_at
from medsales.engine.sealed import lines_of

router = APIRouter(tags=["documents"])
CONTENT_HASH = "Medsales-Content-Hash"
AT_WORK = CapacityLimiter(2)
"""Each PDF takes tens of megabytes and, by itself, every core; the others wait without a thread."""


class Format(Term):
    HTML = "html", "网页"
    PDF = "pdf", "PDF"


MAKERS: dict[Format, Callable[[Sheet], bytes]] = {Format.HTML: html, Format.PDF: pdf}
MEDIA_TYPES = {Format.HTML: "text/html; charset=utf-8", Format.PDF: "application/pdf"}
A_DOCUMENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The document; the same content is the same bytes",
        "content": {
            "text/html": {"schema": {"type": "string"}},
            "application/pdf": {"schema": {"type": "string", "format": "binary"}},
        },
        "headers": {
            name: {"description": said, "schema": {"type": "string"}}
            for name, said in (
                ("ETag", "The hash of the bytes"),
                (CONTENT_HASH, "What was approved and signed, as it is printed on the document"),
                (POSITION, "What had been recorded up to this position was printed"),
            )
        },
    },
    304: {"description": "The document is the one the client has"},
}


@dataclass(frozen=True)
class Past:
    """The log up to the moment that is asked about."""

    db: Db
    moment: Moment

    def facts(self, id: str) -> list[Fact[Any]]:
        """As they were decided; none that builds on one which had not taken effect."""
        told = sorted(facts_at(self.db, id, self.moment), key=lambda fact: fact.version)
        return [fact for number, fact in enumerate(told, start=1) if fact.version == number]

    def life(self, kind: type[Id], id: str) -> list[Fact[Any]]:
        """Raises Trouble 404 where there is nothing of that kind."""
        return found(self.facts(id) if id.startswith(f"{kind.kind}:") else [], id)

    def trail(self, approval: ApprovalId | None, *signatures: str) -> Trail:
        """Who approved, and every signature: those of the approval, then those of the subject."""
        steps = approvers(self.facts(approval)) if approval else ()
        ids = [each.step.signature for each in steps if each.step.signature]
        return trail_of(steps, [self.facts(id) for id in (*ids, *signatures)])

    def as_signed(self, id: str, content: DocumentContent, trail: Trail) -> DocumentContent:
        """The document, if the content in the log is still what was approved and signed."""
        contents = Contents()
        for line in lines_of(self.db, (id,)):
            contents.take(line)
        others = {hash for hash in trail.signed if hash != content.content_hash}
        if (id, content.version) in contents.changed or others:
            raise content_changed(content.number, content.version)
        return content

    def sold(self, content: DocumentContent) -> DocumentContent:
        """With our company as it was called on the day of the document."""
        then = Moment(self.moment.position, content.dated)
        return sold_by(state_at(self.db, OurCompany, US, then), content)

    def names(self, version: ContractVersion) -> Names:
        then = Moment(version.written.position)
        content = version.content
        return Names(
            state_at(self.db, Customer, content.customer, then) or Customer(),
            {id: state_at(self.db, Product, id, then) or Product() for id in content.products},
        )


Find = Callable[[Past, str, int | None], DocumentContent]
"""What is to be printed, of which id and version."""


@dataclass(frozen=True)
class Printer:
    """How somebody wants a document, and what he has of it already."""

    caller: Caller
    asked: Asked
    version: Annotated[int | None, Query(ge=1, description="The current one, if not given.")] = None
    language: Language = Language.ZH
    format: Format = Format.HTML
    if_none_match: Annotated[str | None, Header()] = None

    async def printed(self, find: Find, id: str) -> Response:
        """Found in a thread like other answers; made in one of the few that are for that."""
        content, position = await run_in_threadpool(self._found, find, id)
        shown = sheet(content, self.language)
        made = await to_thread.run_sync(MAKERS[self.format], shown, limiter=AT_WORK)
        return self._answer(made, content, position)

    def _found(self, find: Find, id: str) -> tuple[DocumentContent, int]:
        company = self.caller.company
        moment = self.asked.moment(company, company.log.head())
        with company.database.reading() as db:
            content = find(Past(db, moment), id, self.version)
        self._must_be_for(content.buyer)
        return content, moment.position

    def _must_be_for(self, buyer: Said | None) -> None:
        """Who signs for the other party reads the papers of its own organisation."""
        if not self.caller.is_outside:
            return
        person = self.caller.company.app.load(PersonId.of(self.caller.actor.id)).state
        assert isinstance(person, Person)
        if person.gone or person.organisation != buyer:
            raise for_our_people()

    def _answer(self, made: bytes, content: DocumentContent, position: int) -> Response:
        headers = {
            "ETag": f'"sha256:{sha256(made).hexdigest()}"',
            CONTENT_HASH: content.content_hash,
            POSITION: str(position),
            "Cache-Control": "private, no-cache",
        }
        if headers["ETag"] == self.if_none_match:
            return Response(status_code=304, headers=headers)
        name = f"{content.number}-{content.version}-{self.language.value}.{self.format.value}"
        headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(name, safe='')}"
        headers["Content-Security-Policy"] = POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        return Response(made, media_type=MEDIA_TYPES[self.format], headers=headers)


Printing = Annotated[Printer, Depends()]


@router.get(
    "/quotes/{id:path}/document",
    operation_id="quote_document",
    summary="A quote as its customer reads it",
    response_class=Response,
    responses=A_DOCUMENT,
)
async def quote_as_document(printing: Printing, id: SubjectId) -> Response:
    """From the submission on: what is still a draft has no document."""
    return await printing.printed(_quote, id)


def _quote(past: Past, id: str, version: int | None) -> DocumentContent:
    seen = quote_seen(past.life(QuoteId, id), version)
    trail = past.trail(seen.quote.approval)
    return past.sold(past.as_signed(id, quote_document(seen, trail), trail))


@router.get(
    "/contracts/{id:path}/document",
    operation_id="contract_document",
    summary="A contract, or an amendment, as both parties sign it",
    response_class=Response,
    responses=A_DOCUMENT,
)
async def contract_as_document(printing: Printing, id: SubjectId) -> Response:
    """Without a version the one that counts; parties and goods are called as they were then."""
    return await printing.printed(_contract, id)


def _contract(past: Past, id: str, version: int | None) -> DocumentContent:
    seen = contract_seen(ContractId(id), past.life(ContractId, id), version)
    trail = past.trail(seen.approval, *seen.version.signatures)
    document = contract_document(seen, past.names(seen.version), trail)
    return past.sold(past.as_signed(id, document, trail))
