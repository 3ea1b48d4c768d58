"""What auditors read: every fact as it is stored, and every command that was refused."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Json, JsonValue

from medsales.api.auth import Auditor
from medsales.api.commands import Moment
from medsales.api.problems import Trouble
from medsales.api.reading import MOST, POSITION, LogReading, Page, Paging, Position
from medsales.company import Company
from medsales.engine.log import Selection, rows
from medsales.engine.mentions import about
from medsales.engine.sealed import line_of

router = APIRouter(tags=["audit"])
BATCH = 500
"""Facts held in memory at a time."""


class FactLine(BaseModel):
    """A fact as it is stored: what happened, and in which circumstances. Its bytes are sealed."""

    position: int
    subject: str
    version: int
    event: str
    payload: JsonValue
    envelope: JsonValue
    effective_at: datetime
    recorded_at: datetime
    event_id: str


class Refusal(BaseModel):
    """A command that a rule refused: who asked for what, when, and what he was told."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    recorded_at: datetime
    client: str
    key: str
    actor: str
    command: str
    subject: str
    body: Json[JsonValue]
    """The command as it was asked."""
    code: str
    en: str
    zh: str


@router.get(
    "/facts",
    operation_id="facts",
    summary="Facts in the order of the log, one JSON object a line",
    response_model=None,
    responses={
        200: {
            "description": "A stream; what is recorded while it flows is not in it",
            "content": {
                "application/x-ndjson": {"schema": {"$ref": "#/components/schemas/FactLine"}}
            },
            "headers": {
                POSITION: {
                    "description": "The position the log had when the stream began",
                    "schema": {"type": "integer"},
                }
            },
        }
    },
)
def facts(
    *,
    caller: Auditor,
    subject: Annotated[str | None, Query(description="Facts of this aggregate.")] = None,
    kind: Annotated[list[str] | None, Query(description="Events; may be repeated.")] = None,
    actor: Annotated[str | None, Query(description="What this user caused.")] = None,
    since: Annotated[Moment | None, Query(description="Recorded at or after.")] = None,
    until: Annotated[Moment | None, Query(description="Recorded before.")] = None,
    after: Annotated[Position, Query(description="Positions greater than this.")] = 0,
    upto: Annotated[Position | None, Query(description="Positions up to this.")] = None,
    limit: Annotated[int | None, Query(ge=1, description="As many at most.")] = None,
) -> StreamingResponse:
    head = caller.company.log.head()
    last = head if upto is None else min(upto, head)
    chosen = Selection(after, last, subject, tuple(kind or ()), actor, since, until)
    return StreamingResponse(
        lines(caller.company, chosen, MOST if limit is None else limit),
        headers={POSITION: str(head)},
        media_type="application/x-ndjson",
    )


@router.get(
    "/facts/{position}",
    operation_id="fact",
    summary="One fact",
    response_model=None,
    responses={200: {"model": FactLine}},
)
def fact(caller: Auditor, position: Annotated[int, Path(ge=1, le=MOST)]) -> Response:
    with caller.company.database.cursor() as db:
        found = rows(db, Selection(after=position - 1, upto=position), 1)
    if not found:
        raise unknown(position)
    return Response(line_of(found[0]), media_type="application/json")


def unknown(position: int) -> Trouble:
    return Trouble(
        404, "fact.unknown", f"there is no position {position} yet", f"尚无位置 {position}"
    )


@router.get("/refusals", operation_id="refusals", summary="Commands that were refused")
def refusals(_: Auditor, log: LogReading, paging: Paging) -> Page[Refusal]:
    return log.page(
        Refusal,
        paging,
        "select recorded_at, client, key, actor, command, subject, body, code, en, zh"
        " from commands where outcome = 'refused'",
        by=("recorded_at", "client", "key"),
    )


def lines(
    company: Company, chosen: Selection, left: int, mentioning: str | None = None
) -> Iterator[bytes]:
    """Batch after batch; between two of them no connection is held."""
    while left > 0:
        wanted = min(left, BATCH)
        with company.database.cursor() as db:
            found = (
                about(db, mentioning, chosen, wanted) if mentioning else rows(db, chosen, wanted)
            )
        yield b"".join(line_of(row) + b"\n" for row in found)
        if len(found) < wanted:
            return
        left -= wanted
        chosen = replace(chosen, after=found[-1]["notification_id"])
