"""What customers owe or will, and what is agreed with them."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter

from medsales.api.commands import SubjectId
from medsales.api.reading import Page, Paging, Reading, found, reader
from medsales.domain.kernel import Text
from medsales.domain.terms.credit import CreditStatus
from medsales.engine.past import Scope
from medsales.projections.credit_exposure import (
    EXPOSURES,
    LISTED,
    CreditExposure,
    CreditSeen,
    ExposureLine,
    credit_seen,
)

router = APIRouter(tags=["credit"])
Credit = Annotated[Reading, reader(CreditExposure)]
EACH_ACCOUNT = Scope(LISTED, each="credit-account")
WHOLE_ACCOUNT = Scope(CreditExposure.rows)


@router.get("/credit-accounts")
def credit_accounts(
    credit: Credit,
    paging: Paging,
    customer: Text | None = None,
    status: CreditStatus | None = None,
    over: bool | None = None,
    on: date | None = None,
) -> Page[ExposureLine]:
    """What customers owe, by account and currency, with the parts of the sum (K1).

    Guarantees and overrides are judged by the day `on`, or that of the moment asked about.
    """
    return credit.page(
        ExposureLine,
        paging,
        EXPOSURES,
        EACH_ACCOUNT,
        customer,
        by=("account", "currency"),
        on=on or credit.day(),
        account=None,
        customer=customer,
        status=status,
        over=over,
    )


@router.get("/credit-accounts/{id:path}")
def credit_account(credit: Credit, id: SubjectId, on: date | None = None) -> CreditSeen:
    """A credit account: what is agreed, what is owed, and every part of the sum (K1)."""
    day = on or credit.day()
    with credit.snapshot(WHOLE_ACCOUNT, id) as db:
        return found(credit_seen(db, id, day), id)
