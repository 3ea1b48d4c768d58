"""A price list from a file: looked at, or written into a new draft, all of it or nothing."""

from datetime import date
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from medsales.api.auth import Caller
from medsales.api.commands import SubjectId, checked_key
from medsales.api.problems import FieldError, Trouble
from medsales.api.reading import POSITION
from medsales.company import Company
from medsales.domain.ids import PriceMatrixId
from medsales.domain.kernel import Refused
from medsales.domain.terms.price_matrix import AddCells, DraftVersion, PriceMatrix
from medsales.domain.terms.price_sheet import PriceCell
from medsales.domain.values import Currency
from medsales.engine.application import Actor, Ask, Receipt
from medsales.intake.limits import Unreadable
from medsales.intake.price_file import PriceFile, RowFault, read_prices, refused

router = APIRouter(tags=["terms"])
PORTION = 2_500
"""Cells that are written together: what a decision reads of their sheets has to fit into memory,
with all versions that these have had."""
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILES = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("text/csv", XLSX, "application/octet-stream")
        },
    }
}


class Draft(BaseModel):
    """For which days a file is to count."""

    model_config = ConfigDict(frozen=True)

    effective_from: date
    effective_until: date | None = None


class Imported(BaseModel):
    """What became of a file."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    rows: int
    cells: int
    """Prices that could be written."""
    faults: tuple[RowFault, ...]
    """What must be mended first; nothing is written as long as there is one."""
    more_faults: int = 0
    """That are not listed."""
    version: int | None = None
    """The draft that was written; none in a dry run."""
    position: int | None = None


@router.post("/price-matrices/{id:path}/import", openapi_extra=FILES)
async def import_prices(
    caller: Caller,
    response: Response,
    id: SubjectId,
    request: Request,
    effective_from: date,
    effective_until: date | None = None,
    currency: Annotated[
        Currency | None, Query(description="Of amounts without one; else that of the matrix.")
    ] = None,
    key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
    *,
    dry_run: Annotated[bool, Query(description="Only say what is wrong with the file.")] = False,
) -> Imported:
    """Write a CSV or XLSX file into a new draft version, or say all that is wrong with it.

    The body is the file. A row is a price; the header names product or family, price, and
    whatever else it depends on, in English or Chinese. Nothing is written as long as one row has
    a fault. The same key with the same file gets the first answer again.
    """
    file = await request.body()
    draft = Draft(effective_from=effective_from, effective_until=effective_until)

    def work() -> Imported:
        found = read(file, _matrix(caller.company, id, caller.actor), currency)
        if dry_run:
            return told(found)
        if found.faults:
            raise faulty(found)
        wanted = (PriceMatrixId(id), caller.actor, checked_key(key))
        version, receipt = draft_from(caller.company, *wanted, draft, found.cells)
        response.headers[POSITION] = str(receipt.position)
        return told(found, version, receipt.position)

    return await run_in_threadpool(work)


def _matrix(company: Company, id: str, actor: Actor) -> PriceMatrix:
    """Raises Refused for who may not draft, before any work is done for him."""
    if not actor.may(DraftVersion):
        raise Refused(
            "role.missing", "importing prices is for sales or manager", "导入价格须由销售或经理执行"
        )
    return company.app.existing(id, PriceMatrix)


def read(file: bytes, matrix: PriceMatrix, currency: str | None) -> PriceFile:
    """Raises Refused for what is no price list at all."""
    try:
        return read_prices(file, currency or matrix.currency, matrix.currencies)
    except Unreadable as error:
        raise refused(error) from error


def told(found: PriceFile, version: int | None = None, position: int | None = None) -> Imported:
    return Imported(
        rows=found.rows,
        cells=len(found.cells),
        faults=found.faults,
        more_faults=found.more_faults,
        version=version,
        position=position,
    )


def faulty(found: PriceFile) -> Trouble:
    errors = [
        FieldError(field=fault.place, message=f"{fault.name}: {fault.en} / {fault.zh}")
        for fault in found.faults
    ]
    return Trouble(
        422,
        "prices.faulty",
        f"nothing was imported: {found.verdict.en}",
        f"未导入任何价格: {found.verdict.zh}",
        errors=errors,
    )


def draft_from(
    company: Company,
    id: PriceMatrixId,
    actor: Actor,
    key: str,
    draft: Draft,
    cells: tuple[PriceCell, ...],
) -> tuple[int, Receipt]:
    """Writes the cells, some at a time; each command has a key that follows from the given one.

    Asked again after a fault half-way it goes on. Raises Refused.
    """
    first = DraftVersion(
        effective_from=draft.effective_from,
        effective_until=draft.effective_until,
        cells=cells[:PORTION],
    )
    receipt = company.app.handle(Ask(first, actor, id, key=f"{key}:0", part_of=_hash(cells)))
    number = _number(company, id, receipt)
    for begin in range(PORTION, len(cells), PORTION):
        more = AddCells(version=number, cells=cells[begin : begin + PORTION])
        receipt = company.app.handle(Ask(more, actor, id, key=f"{key}:{begin}"))
    return number, receipt


def _hash(cells: tuple[PriceCell, ...]) -> str:
    """A file that only begins like the one before it is another wish."""
    lines = (cell.model_dump_json() for cell in cells)
    return sha256("\n".join(lines).encode()).hexdigest()


def _number(company: Company, id: PriceMatrixId, receipt: Receipt) -> int:
    """Of the version that a receipt tells of."""
    fact = company.log.streams([id])[id][receipt.version - 1]
    number: int = fact.event.number
    return number
