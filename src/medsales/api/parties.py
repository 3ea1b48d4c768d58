"""Who buys from us, and everything about them."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter

from medsales.api.commands import SubjectId
from medsales.api.reading import Page, Paging, Reading, containing, found, reader
from medsales.api.stock import Search
from medsales.domain.kernel import Text
from medsales.engine.past import Scope
from medsales.projections.contract_board import (
    ContractCard,
    ContractLineCard,
    ContractObligation,
    ContractVersionCard,
)
from medsales.projections.credit_exposure import LISTED
from medsales.projections.customer_360 import (
    CUSTOMERS,
    Customer360,
    CustomerDepartment,
    CustomerPrice,
    CustomerProfile,
    CustomerSeen,
    UnitAtSite,
    customer_seen,
)
from medsales.projections.order_board import OrderCard
from medsales.projections.quote_board import QuoteCard

router = APIRouter(tags=["customers"])
Customers = Annotated[Reading, reader(Customer360)]
EACH_CUSTOMER = Scope((CustomerProfile,), each="customer")
SEEN = Scope(
    (
        CustomerProfile,
        CustomerDepartment,
        OrderCard,
        UnitAtSite,
        CustomerPrice,
        QuoteCard,
        ContractCard,
        ContractVersionCard,
        ContractLineCard,
        ContractObligation,
        *LISTED,
    ),
    mentioned_by=("order", "device-unit", "quote", "contract", "credit-account"),
)


@router.get("/customers")
def customers(
    customers: Customers, paging: Paging, search: Search = None, region: Text | None = None
) -> Page[CustomerProfile]:
    """Customers, by name and region."""
    like = containing(search)
    return customers.page(
        CustomerProfile, paging, CUSTOMERS, EACH_CUSTOMER, like=like, region=region
    )


@router.get("/customers/{id:path}")
def customer_360(customers: Customers, id: SubjectId, on: date | None = None) -> CustomerSeen:
    """The 360° view: profile, orders, devices on site, prices given; quotes, contracts, terms and
    credit as they count on a day, or on that of the moment asked about."""
    day = on or customers.day()
    with customers.snapshot(SEEN, id) as db:
        return found(customer_seen(db, id, day), id)
