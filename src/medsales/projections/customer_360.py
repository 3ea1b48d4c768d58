"""Everything about one customer: profile, devices, orders, and on which terms it buys."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, LiteralString

from medsales.domain.kernel import Value
from medsales.domain.orders.order import OrderPlaced
from medsales.domain.parties import customer
from medsales.domain.stock import device_unit as unit
from medsales.domain.stock.device_unit import Lifecycle, Placement
from medsales.domain.stock.movement import Movement
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Change, Changes, Projection, Row, on
from medsales.projections.contract_board import ANY, BOARD, ContractOnBoard
from medsales.projections.credit_exposure import EXPOSURES, ExposureLine
from medsales.projections.order_board import OrderCard
from medsales.projections.quote_board import QuoteCard


class CustomerProfile(Row, key=("customer",), indexes=(("region",),)):
    """Who a customer is."""

    customer: str
    name: str = ""
    kind_of: str = ""
    grade: str | None = None
    region: str = ""
    """With the tier, what its prices depend on."""
    tier: str = ""
    address: str = ""
    suspended_for: str | None = None


class CustomerDepartment(Row, key=("customer", "department")):
    """A department of a hospital."""

    customer: str
    department: str


class UnitAtSite(Row, key=("unit",), indexes=(("customer", "unit"),)):
    """A device that a customer has."""

    unit: str
    customer: str = ""
    product: str = ""
    lot: str | None = None
    state: str = ""
    placement: str = ""
    department: str | None = None
    warranty_until: date | None = None
    due_back: date | None = None
    overdue: bool = False
    """It should have been back by then, and is not even on its way."""
    since: datetime = BEGINNING


class CustomerPrice(Row, key=("customer", "product", "order", "line")):
    """A price a customer was given for a product, and why."""

    customer: str
    product: str
    order: str
    line: int
    price: Decimal = Decimal(0)
    currency: str = ""
    price_matrix: str = ""
    price_version: int = 0
    price_path: tuple[str, ...] = ()
    given_at: datetime = BEGINNING


class Customer360(Projection):
    rows = (CustomerProfile, CustomerDepartment, UnitAtSite, CustomerPrice)

    @on(customer.CustomerRegistered)
    def registered(self, fact: Fact[customer.CustomerRegistered]) -> Changes:
        event = fact.event
        yield CustomerProfile.put(
            customer=fact.subject,
            name=event.name,
            kind_of=event.kind_of,
            grade=event.grade,
            region=event.region,
            tier=event.tier,
            address=event.address,
        )
        for department in event.departments:
            yield CustomerDepartment.put(customer=fact.subject, department=department)

    @on(customer.CustomerRevised)
    def revised(self, fact: Fact[customer.CustomerRevised]) -> Changes:
        yield CustomerProfile.set(fact.subject, **fact.event.model_dump())

    @on(customer.DepartmentAdded)
    def department_added(self, fact: Fact[customer.DepartmentAdded]) -> Changes:
        yield CustomerDepartment.put(customer=fact.subject, department=fact.event.department)

    @on(customer.CustomerSuspended)
    def suspended(self, fact: Fact[customer.CustomerSuspended]) -> Changes:
        yield CustomerProfile.set(fact.subject, suspended_for=fact.event.reason)

    @on(customer.CustomerResumed)
    def resumed(self, fact: Fact[customer.CustomerResumed]) -> Changes:
        yield CustomerProfile.set(fact.subject, suspended_for=None)

    @on(unit.UnitDelivered)
    def delivered(self, fact: Fact[unit.UnitDelivered]) -> Changes:
        yield arrived(fact.subject, fact.event.moved, fact.effective_at, Placement.SOLD)

    @on(unit.UnitPlaced)
    def placed(self, fact: Fact[unit.UnitPlaced]) -> Changes:
        event = fact.event
        yield arrived(
            fact.subject, event.moved, fact.effective_at, event.placement, due_back=event.due_back
        )

    @on(unit.PlacementExtended)
    def extended(self, fact: Fact[unit.PlacementExtended]) -> Changes:
        yield UnitAtSite.set(fact.subject, due_back=fact.event.due_back, overdue=False)

    @on(unit.PlacementOverdue)
    def overdue(self, fact: Fact[unit.PlacementOverdue]) -> Changes:
        yield UnitAtSite.set(fact.subject, overdue=True)

    @on(unit.PlacedUnitSold)
    def sold_in_place(self, fact: Fact[unit.PlacedUnitSold]) -> Changes:
        yield UnitAtSite.set(fact.subject, placement=Placement.SOLD, due_back=None, overdue=False)

    @on(unit.PartFitted)
    def fitted(self, fact: Fact[unit.PartFitted]) -> Changes:
        event = fact.event
        yield arrived(
            fact.subject,
            event.moved,
            fact.effective_at,
            event.terms.placement,
        )
        until = event.terms.warranty_until
        yield UnitAtSite.set(fact.subject, state=Lifecycle.INSTALLED, warranty_until=until)

    @on(unit.UnitInstalled)
    def installed(self, fact: Fact[unit.UnitInstalled]) -> Changes:
        department = fact.event.department
        yield UnitAtSite.set(fact.subject, state=Lifecycle.INSTALLED, department=department)

    @on(unit.InstallationAccepted)
    def accepted(self, fact: Fact[unit.InstallationAccepted]) -> Changes:
        until = fact.event.warranty_until
        yield UnitAtSite.set(fact.subject, state=Lifecycle.IN_SERVICE, warranty_until=until)

    @on(unit.UnitUninstalled)
    def uninstalled(self, fact: Fact[unit.UnitUninstalled]) -> Changes:
        yield UnitAtSite.set(fact.subject, state=Lifecycle.AT_SITE, department=None)

    @on(unit.RepairOpened)
    def repair_opened(self, fact: Fact[unit.RepairOpened]) -> Changes:
        yield UnitAtSite.set(fact.subject, state=Lifecycle.UNDER_REPAIR)

    @on(unit.RepairCompleted)
    def repaired(self, fact: Fact[unit.RepairCompleted]) -> Changes:
        yield UnitAtSite.set(fact.subject, state=fact.event.state)

    @on(unit.UnitConsumed)
    def consumed(self, fact: Fact[unit.UnitConsumed]) -> Changes:
        yield UnitAtSite.set(fact.subject, state=Lifecycle.CONSUMED)

    @on(unit.UnitReturned, unit.PartTakenOut)
    def returning(self, fact: Fact[Any]) -> Changes:
        yield UnitAtSite.set(fact.subject, state=Lifecycle.RETURNING, overdue=False)

    @on(unit.UnitTakenBack, unit.UnitScrapped)
    def gone(self, fact: Fact[Any]) -> Changes:
        yield UnitAtSite.drop(fact.subject)

    @on(OrderPlaced)
    def ordered(self, fact: Fact[OrderPlaced]) -> Changes:
        event = fact.event
        for line in event.lines:
            yield CustomerPrice.put(
                customer=event.customer,
                product=line.product,
                price=line.price.amount,
                currency=line.price.currency,
                price_matrix=event.price_matrix or "",
                price_version=line.price_version,
                price_path=line.price_path,
                order=fact.subject,
                line=line.line,
                given_at=fact.effective_at,
            )


def arrived(
    id: str,
    moved: Movement,
    at: datetime,
    placement: Placement,
    due_back: date | None = None,
) -> Change:
    assert moved.destination is not None, "what arrives is somewhere"
    return UnitAtSite.put(
        unit=id,
        customer=moved.destination.holder,
        product=moved.product,
        lot=moved.lot,
        state=Lifecycle.AT_SITE,
        placement=placement,
        due_back=due_back,
        since=at,
    )


class AgreedTerm(Value):
    """A price that a contract agrees for a product and that counts on the day."""

    product: str
    contract: str
    version: int
    price: Decimal
    """Of one piece."""
    currency: str
    remaining: int | None = None
    """Pieces that may still be called off; none where only the amount is limited."""
    since: date
    valid_until: date
    payment_days: int
    """How many days after the invoice the customer pays."""


class CustomerSeen(Value):
    """The 360° view."""

    profile: CustomerProfile
    departments: tuple[str, ...]
    orders: tuple[OrderCard, ...]
    units: tuple[UnitAtSite, ...]
    prices: tuple[CustomerPrice, ...]
    """The one given last for each product, by when it was given and not by when it was recorded."""
    on: date
    """The day by which terms and credit were judged."""
    quotes: tuple[QuoteCard, ...]
    """The newest first."""
    contracts: tuple[ContractOnBoard, ...]
    terms: tuple[AgreedTerm, ...]
    """What contracts agree; for everything else the price matrices count, by tier and region."""
    credit: tuple[ExposureLine, ...]
    """What is owed and may still be, by account and currency."""


MOST = 1000
"""Of each kind in one view; longer lists are paged where they live."""


def customer_seen(db: Db, id: str, on: date) -> CustomerSeen | None:
    row = db.execute("select * from customer_profile where customer = %s", (id,)).fetchone()
    if row is None:
        return None
    departments = db.execute(
        "select department from customer_department where customer = %s order by 1", (id,)
    ).fetchall()
    orders = db.execute(
        "select * from order_card where customer = %s order by placed_at desc limit %s", (id, MOST)
    ).fetchall()
    units = db.execute(
        "select * from unit_at_site where customer = %s order by unit limit %s", (id, MOST)
    ).fetchall()
    prices = db.execute(
        "select distinct on (product) * from customer_price where customer = %s"
        ' order by product, given_at desc, "order" desc, line desc limit %s',
        (id, MOST),
    ).fetchall()
    return CustomerSeen(
        profile=CustomerProfile(**row),
        departments=tuple(row["department"] for row in departments),
        orders=tuple(OrderCard(**row) for row in orders),
        units=tuple(UnitAtSite(**row) for row in units),
        prices=tuple(CustomerPrice(**row) for row in prices),
        on=on,
        **commercial(db, id, on),
    )


def commercial(db: Db, id: str, on: date) -> dict[str, tuple[Value | Row, ...]]:
    """What was offered, what is agreed and what is owed."""
    given = {**ANY, "account": None, "over": None, "customer": id, "on": on, "most": MOST}

    def told(query: LiteralString) -> list[dict[str, Any]]:
        return db.execute(query, given).fetchall()

    contracts = told(BOARD + " order by c.contract desc limit %(most)s")
    exposures = told(EXPOSURES + " order by account, currency limit %(most)s")
    return {
        "quotes": tuple(QuoteCard(**row) for row in told(NEWEST_QUOTES)),
        "contracts": tuple(ContractOnBoard(**row) for row in contracts),
        "terms": tuple(AgreedTerm(**row) for row in told(TERMS)),
        "credit": tuple(ExposureLine(**row) for row in exposures),
    }


NEWEST_QUOTES = """
    select * from quote_card where customer = %(customer)s
    order by drafted_at desc, quote desc limit %(most)s
"""
TERMS = """
    select distinct on (line.product) line.product, c.contract, c.version, line.price,
        line.currency, line.max_quantity - line.called as remaining, v.since, c.valid_until,
        (v.content ->> 'payment_days')::int as payment_days
    from contract_card c
        join contract_version_card v on v.contract = c.contract and v.version = c.version
        join contract_line_card line on line.contract = c.contract and line.version = c.version
    where c.customer = %(customer)s and c.status = 'active'
        and v.since <= %(on)s and c.valid_from <= %(on)s and c.valid_until >= %(on)s
    order by line.product, v.since desc, c.contract desc limit %(most)s
"""
"""Of several contracts about a product the one that began last counts (terms_in_force.py)."""


CUSTOMERS = """
    select * from customer_profile where (%(like)s::text is null or name ilike %(like)s)
        and (%(region)s::text is null or region = %(region)s)
"""
"""Customers with a text in their name, in one region or any."""
