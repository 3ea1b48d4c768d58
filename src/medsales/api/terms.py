"""Prices, and why they are what they are: now, on a day, in the course of versions."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from medsales.api.auth import Caller
from medsales.api.commands import SubjectId
from medsales.api.problems import Trouble, invalid
from medsales.api.reading import POSITION, Asked, Page, Paging, Place, Reading, found, reader
from medsales.company import Company
from medsales.domain.ids import CustomerId, PriceMatrixId, ProductId
from medsales.domain.kernel import Aggregate, Text
from medsales.domain.parties.customer import Customer, CustomerTier, HospitalGrade
from medsales.domain.stock.product import Product
from medsales.domain.terms.price_matrix import COUNTING, PriceFound, PriceMatrix, VersionStatus
from medsales.domain.terms.price_sheet import Buyer, PriceKind, PriceSheet, sheets_for
from medsales.domain.values import Currency, Quantity, day_in_china
from medsales.engine.past import Scope, state_at
from medsales.projections.price_history import (
    DIFFERENCE,
    HISTORY,
    PriceDifference,
    PriceEntry,
    PriceHistory,
    PriceVersion,
    PriceWritten,
)

router = APIRouter(tags=["terms"])
Prices = Annotated[Reading, reader(PriceHistory)]
VERSIONS = Scope((PriceVersion,))
WITH_SHEETS = Scope((PriceVersion, PriceWritten), mentioned_by=("price-sheet",))
OF_PRODUCT = Scope(
    (PriceVersion, PriceWritten),
    mentioned_by=("price-sheet", "price-matrix"),
    mentions=("price-matrix",),
)
VERSION = "select * from price_version where matrix = %(matrix)s and number = %(number)s"
NEWEST = ("effective_from", "version", "position", "n")
Number = Annotated[int, Path(ge=1, le=1_000_000)]


class Wanted(NamedTuple):
    """What somebody asks the price of, and who would buy it."""

    product: ProductId
    customer: CustomerId | None
    region: str | None
    tier: CustomerTier | None
    grade: HospitalGrade | None
    quantity: int
    currency: str | None


@router.get("/price-matrices/{id:path}/price")
def price(
    caller: Caller,
    response: Response,
    asked: Asked,
    id: SubjectId,
    product: Annotated[Text, Query(examples=["product:06901234567892"])],
    customer: Annotated[Text | None, Query(description="Or a region and a tier.")] = None,
    region: Text | None = None,
    tier: CustomerTier | None = None,
    grade: HospitalGrade | None = None,
    quantity: Quantity = 1,
    currency: Currency | None = None,
    on: date | None = None,
) -> PriceFound:
    """The price of one piece on a day, with the version and the rule that made it (P6).

    For a customer, or for anybody of a region and tier. As it was known by a moment, if one is
    given: then the price of its day, unless `on` says so.
    """
    company = caller.company
    buyer = CustomerId(customer) if customer else None
    wanted = Wanted(ProductId(product), buyer, region, tier, grade, quantity, currency)
    if not asked:
        return _priced(_Now(company), id, wanted, on or _today())
    moment = asked.moment(company, company.log.head())
    response.headers[POSITION] = str(moment.position)
    with company.database.reading() as db:

        def then(id: str, kind: type[Aggregate]) -> Any:
            return state_at(db, kind, id, moment)

        found(then(id, PriceMatrix), id)
        return _priced(then, id, wanted, on or day_in_china(asked.time(db, moment)))


class _Now:
    """What aggregates are at present."""

    def __init__(self, company: Company) -> None:
        self.app = company.app

    def __call__(self, id: str, kind: type[Aggregate]) -> Any:
        loaded = self.app.load(id)
        return loaded.state if loaded.version and isinstance(loaded.state, kind) else None


def _priced(state: Any, id: str, wanted: Wanted, on: date) -> PriceFound:
    matrix = found(state(id, PriceMatrix), id)
    product = state(wanted.product, Product)
    family = product.family if product else None
    ids = sheets_for(PriceMatrixId(id), [(wanted.product, family)])
    answer: PriceFound = matrix.price(
        [state(sheet, PriceSheet) for sheet in ids],
        wanted.product,
        family,
        _buyer(state, wanted),
        wanted.quantity,
        on,
        wanted.currency,
    )
    return answer


def _buyer(state: Any, wanted: Wanted) -> Buyer:
    """Raises Trouble where nobody is named."""
    if wanted.customer:
        customer = found(state(wanted.customer, Customer), wanted.customer)
        return Buyer.of(wanted.customer, customer)
    if wanted.region is None or wanted.tier is None:
        raise invalid([(("customer",), "name a customer, or a region and a tier")])
    return Buyer(region=wanted.region, tier=wanted.tier, grade=wanted.grade)


@router.get("/price-matrices/{id:path}/versions")
def versions(prices: Prices, paging: Paging, id: SubjectId) -> Page[PriceVersion]:
    """The versions of a matrix, the newest first: where each stands, and what an approver sees."""
    query = "select * from price_version where matrix = %(matrix)s"
    return prices.page(PriceVersion, paging, query, VERSIONS, id, newest_first=True, matrix=id)


@router.get(
    "/price-matrices/{id:path}/versions/{number}/difference",
    responses={200: {"content": {"text/csv": {}}}},
    response_model=Page[PriceDifference],
)
def difference(
    prices: Prices,
    paging: Paging,
    id: SubjectId,
    number: Number,
    before: Annotated[int, Query(alias="from", ge=1, le=1_000_000, description="Which version.")],
    format: Annotated[str, Query(pattern="^(json|csv)$")] = "json",
) -> Any:
    """What a version says otherwise than another one: a line per cell, also as one CSV table."""
    for version in (before, number):
        otherwise = _no_version(id, version)
        prices.one(
            PriceVersion, VERSION, VERSIONS, id, otherwise=otherwise, matrix=id, number=version
        )
    pages = _differences(prices, id, before, number)
    if format == "json":
        return pages(paging)
    first = pages(Place(limit=1000, after=None))
    name = f'attachment; filename="prices-{before}-{number}.csv"'
    return StreamingResponse(
        _as_csv(first, pages),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": name, POSITION: str(first.position)},
    )


def _no_version(id: str, number: int) -> Trouble:
    return Trouble(
        404,
        "matrix.version_unknown",
        f"there is no version {number} of {id}",
        f"{id} 没有第 {number} 版",
    )


def _differences(prices: Reading, id: str, before: int, after: int) -> Any:
    def page(paging: Place) -> Page[PriceDifference]:
        return prices.page(
            PriceDifference,
            paging,
            DIFFERENCE,
            WITH_SHEETS,
            id,
            by=("cell",),
            matrix=id,
            first=before,
            second=after,
        )

    return page


def _as_csv(page: Page[PriceDifference], pages: Any) -> Iterator[str]:
    """With the mark that makes spreadsheets read UTF-8."""
    yield "\ufeff" + _csv_line([*PriceDifference.model_fields])
    while True:
        for line in page.items:
            yield _csv_line([_harmless(part) for part in line.model_dump(mode="json").values()])
        if page.next is None:
            return
        page = pages(Place(limit=1000, after=page.next))


def _harmless(part: object) -> object:
    """A text that a spreadsheet would take for a formula is shown as a text."""
    return f"'{part}" if isinstance(part, str) and part[:1] in {"=", "+", "@"} else part


def _csv_line(parts: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(parts)
    return line.getvalue()


@router.get("/price-history")
def price_history(
    prices: Prices,
    paging: Paging,
    product: Annotated[Text | None, Query(examples=["product:06901234567892"])] = None,
    family: Text | None = None,
    matrix: Text | None = None,
    customer: Annotated[
        Text | None, Query(description="Prices for this customer, and those for everybody.")
    ] = None,
    kind: PriceKind | None = None,
    status: Annotated[VersionStatus | None, Query(description="Of the version.")] = None,
) -> Page[PriceEntry]:
    """What a product or a family has cost when, the newest version first, and who approved it."""
    if product is None and family is None and matrix is None:
        raise invalid([(("product",), "name a product, a family or a matrix")])
    about = product or matrix
    return prices.page(
        PriceEntry,
        paging,
        HISTORY,
        OF_PRODUCT if product else WITH_SHEETS,
        about,
        by=NEWEST,
        newest_first=True,
        product=product,
        family=family,
        matrix=matrix,
        customer=customer,
        rule=kind,
        status=status,
        counting=list(COUNTING),
    )


def _today() -> date:
    return day_in_china(datetime.now(UTC))
