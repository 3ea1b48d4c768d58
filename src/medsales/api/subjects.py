"""Everything about anybody or anything: each fact that ever named it, and what has changed."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from medsales.api.auth import Auditor
from medsales.api.commands import SubjectId
from medsales.api.facts import lines
from medsales.api.problems import Trouble, invalid
from medsales.api.reading import (
    MOST,
    POSITION,
    Position,
    PositionOrTime,
    Reading,
    When,
    reader,
)
from medsales.company import Company
from medsales.engine.between import RowChange, TooMuch, changed_rows, facts_between
from medsales.engine.log import Selection
from medsales.engine.mentions import Mentions
from medsales.engine.past import passed_over
from medsales.projections.in_words import in_words

router = APIRouter(tags=["audit"])
Index = Annotated[Reading, reader(Mentions)]
A_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A stream, in the order of the log",
        "content": {"application/x-ndjson": {"schema": {"$ref": "#/components/schemas/FactLine"}}},
        "headers": {
            POSITION: {
                "description": "What had been recorded up to this position was looked through",
                "schema": {"type": "integer"},
            }
        },
    }
}


class FactTold(BaseModel):
    """A fact in words."""

    position: int
    subject: str
    event: str
    en: str
    zh: str
    by: str
    by_name: str
    reason: str | None
    effective_at: datetime
    recorded_at: datetime


class Difference(BaseModel):
    """What became of a subject between two positions."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    subject: str
    begin: int
    """What had been recorded up to here is not told."""
    end: int
    facts: list[FactTold]
    """Its own, and those that name it."""
    rows: list[RowChange]
    """What these facts have changed in read models."""


@router.get(
    "/subjects/{id:path}/facts",
    operation_id="facts_about",
    summary="Every fact that is a subject's own or names it, one JSON object a line",
    response_model=None,
    responses=A_STREAM,
)
def facts_about(
    caller: Auditor,
    index: Index,
    id: SubjectId,
    after: Annotated[Position, Query(description="Positions greater than this.")] = 0,
    limit: Annotated[int | None, Query(ge=1, description="As many at most.")] = None,
) -> StreamingResponse:
    if index.moment and index.moment.effective_at:
        raise invalid([(("effective_at",), "does not choose facts; each says when it took effect")])
    upto = index.upto()
    found = lines(caller.company, Selection(after=after, upto=upto), limit or MOST, id)
    return StreamingResponse(
        found, headers={POSITION: str(upto)}, media_type="application/x-ndjson"
    )


@router.get("/subjects/{id:path}/diff", operation_id="diff")
def diff(
    caller: Auditor,
    response: Response,
    id: SubjectId,
    begin: Annotated[PositionOrTime, Query(alias="from", description="A position, or a time.")] = 0,
    end: Annotated[
        PositionOrTime | None, Query(alias="to", description="The same; now if not given.")
    ] = None,
) -> Difference:
    """What has changed about a subject between two moments: the facts in words, and the rows."""
    found = difference(caller.company, id, begin, end)
    response.headers[POSITION] = str(found.end)
    return found


def difference(
    company: Company, id: str, begin: int | datetime, end: int | datetime | None
) -> Difference:
    """Raises Trouble 422 for positions that are not there, or too many facts."""
    reached = company.follower.positions().get(Mentions.name, 0)
    first = When(begin, None).moment(company, reached).position
    last = When(end, None).moment(company, reached).position
    if first > last:
        raise invalid([(("from",), f"position {first} is after {last}, where it is to end")])
    projections = list(company.follower.projections.values())
    with company.database.reading() as db:
        try:
            facts = facts_between(db, id, first, last)
        except TooMuch as error:
            raise Trouble(
                422, "diff.too_much", f"{error}; ask for less", "变化过多，请缩小范围"
            ) from error
        skipped = passed_over(db, projections)
        rows = changed_rows(db, projections, skipped, facts, first)
    told = [
        _told(fact, *in_words(fact, [p for p in projections if fact not in skipped[p.name]]))
        for fact in facts
    ]
    return Difference(subject=id, begin=first, end=last, facts=told, rows=rows)


def _told(fact: Any, en: str, zh: str) -> FactTold:
    return FactTold(
        position=fact.position,
        subject=fact.subject,
        event=fact.name,
        en=en,
        zh=zh,
        by=fact.by,
        by_name=fact.envelope.name,
        reason=fact.envelope.reason,
        effective_at=fact.effective_at,
        recorded_at=fact.recorded_at,
    )
