"""What customers were offered, what they accepted, and which terms applied to them."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query

from medsales.api.commands import SubjectId
from medsales.api.reading import MOST, POSITION, Page, Paging, Reading, found, reader
from medsales.domain.ids import CustomerId, PriceMatrixId, ProductId
from medsales.domain.kernel import Text
from medsales.domain.sales.quote import QuoteStatus
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.domain.values import Quantity
from medsales.engine.mentions import Mentions
from medsales.engine.past import Moment, Scope, state_at
from medsales.projections.order_board import OrderCard, OrderLineCard
from medsales.projections.quote_board import (
    QUOTES,
    IssuedLine,
    QuoteBoard,
    QuoteCard,
    QuoteSeen,
    QuoteVersionCard,
    quote_seen,
)
from medsales.projections.repricing import (
    GIVEN,
    GivenLine,
    Prices,
    RepricedLine,
    beginning_of,
)
from medsales.projections.terms_in_force import Question, TermsInForce, terms_in_force

router = APIRouter(tags=["sales"])
Board = Annotated[Reading, reader(QuoteBoard)]
Index = Annotated[Reading, reader(Mentions)]
EACH_QUOTE = Scope((QuoteCard,), each="quote")
WITH_VERSIONS = Scope((QuoteCard, QuoteVersionCard))
GIVEN_LINES = Scope(
    (QuoteCard, QuoteVersionCard, IssuedLine, OrderCard, OrderLineCard),
    mentioned_by=("quote", "order"),
)
A_PRODUCT = Query(examples=["product:06901234567892"])
A_MATRIX = Query(examples=["price-matrix:CN-2026"], description="For what no contract agrees.")


@router.get("/quotes")
def quotes(
    board: Board, paging: Paging, customer: Text | None = None, status: QuoteStatus | None = None
) -> Page[QuoteCard]:
    """Quotes and how far their current version has come: of one customer or all."""
    return board.page(
        QuoteCard, paging, QUOTES, EACH_QUOTE, customer, customer=customer, status=status
    )


@router.get("/quotes/{id:path}")
def quote(board: Board, id: SubjectId) -> QuoteSeen:
    """A quote with all its versions: lines, prices and their reasons, approvals, acceptance."""
    with board.snapshot(WITH_VERSIONS, id) as db:
        return found(quote_seen(db, id), id)


@router.get("/customers/{id:path}/terms-in-force")
def terms(
    index: Index,
    id: SubjectId,
    product: Annotated[Text, A_PRODUCT],
    quantity: Quantity = 1,
    on: date | None = None,
    price_matrix: Annotated[Text | None, A_MATRIX] = None,
) -> TermsInForce:
    """Which price and clauses applied to a customer for a product on a day: by which rule and
    version, approved and signed by whom.

    As it was known by a moment, if one is given: then on its day, unless `on` says so.
    """
    moment = index.moment or Moment(index.upto())
    index.response.headers[POSITION] = str(moment.position)
    matrix = PriceMatrixId(price_matrix) if price_matrix else None
    question = Question(CustomerId(id), ProductId(product), quantity, on or index.day(), matrix)
    with index.company.database.reading() as db:
        return found(terms_in_force(db, question, moment), id)


@router.get("/price-matrices/{id:path}/versions/{version}/repricing")
def repricing(
    board: Board, paging: Paging, id: SubjectId, version: Annotated[int, Path(ge=1, le=MOST)]
) -> Page[RepricedLine]:
    """What was quoted and ordered since the day a version counts from, at older prices (P7).

    Nothing that was issued changes by itself; this says what would cost something else. A page may
    hold fewer lines than its limit: those that cost the same are left out.
    """
    moment = board.moment or Moment(board.upto())
    with board.company.database.reading() as db:
        matrix = found(state_at(db, PriceMatrix, id, moment), id)
        since = beginning_of(matrix, version)
        given = board.page(
            GivenLine,
            paging,
            GIVEN,
            GIVEN_LINES,
            id,
            by=("id", "version", "line"),
            matrix=id,
            since=since,
            number=version,
        )
        prices = Prices(db, moment, PriceMatrixId(id), matrix)
        lines = list(prices.repriced(given.items, version))
    return Page(items=lines, next=given.next, position=given.position)
