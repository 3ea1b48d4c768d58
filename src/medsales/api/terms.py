"""Prices, and why they are what they are."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response

from medsales.api.auth import Caller
from medsales.api.commands import SubjectId
from medsales.api.reading import POSITION, Asked, found
from medsales.domain.ids import PriceMatrixId, ProductId
from medsales.domain.kernel import Text
from medsales.domain.parties.customer import CustomerTier
from medsales.domain.terms.price_matrix import PriceFound, PriceMatrix
from medsales.domain.values import Quantity
from medsales.engine.past import state_at

router = APIRouter(tags=["terms"])


@router.get("/price-matrices/{id:path}/price")
def price(
    caller: Caller,
    response: Response,
    asked: Asked,
    id: SubjectId,
    product: Annotated[Text, Query(examples=["product:06901234567892"])],
    region: Text,
    tier: CustomerTier,
    quantity: Quantity = 1,
    on: date | None = None,
) -> PriceFound:
    """The price of one piece on a day, with the version and the rule that made it (P6).

    As it was known by a moment, if one is given: then the price of its day, unless `on` says so.
    """
    company = caller.company
    if not asked:
        matrix = company.app.existing(PriceMatrixId(id), PriceMatrix)
        return matrix.price(ProductId(product), region, tier, quantity, on or _today())
    moment = asked.moment(company, company.log.head())
    response.headers[POSITION] = str(moment.position)
    with company.database.reading() as db:
        matrix = found(state_at(db, PriceMatrix, id, moment), id)
        day = on or asked.time(db, moment).date()
    return matrix.price(ProductId(product), region, tier, quantity, day)


def _today() -> date:
    return datetime.now(UTC).date()
