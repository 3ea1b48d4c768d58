"""Prices, and why they are what they are."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from medsales.api.auth import Caller
from medsales.api.commands import SubjectId
from medsales.domain.ids import PriceMatrixId, ProductId
from medsales.domain.kernel import Text
from medsales.domain.parties.customer import CustomerTier
from medsales.domain.terms.price_matrix import PriceFound, PriceMatrix
from medsales.domain.values import Quantity

router = APIRouter(tags=["terms"])


@router.get("/price-matrices/{id:path}/price")
def price(
    caller: Caller,
    id: SubjectId,
    product: Annotated[Text, Query(examples=["product:06901234567892"])],
    region: Text,
    tier: CustomerTier,
    quantity: Quantity = 1,
    on: date | None = None,
) -> PriceFound:
    """The price of one piece on a day, with the version and the rule that made it (P6)."""
    matrix = caller.company.app.existing(PriceMatrixId(id), PriceMatrix)
    day = on or datetime.now(UTC).date()
    return matrix.price(ProductId(product), region, tier, quantity, day)
