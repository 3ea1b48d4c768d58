"""What something cost when, by which version of which matrix, and who approved that."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from medsales.domain.terms import price_matrix as prices
from medsales.domain.terms.price_matrix import VersionStatus
from medsales.domain.terms.price_sheet import PriceCell, SheetWritten
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Change, Changes, Projection, Row, on


class PriceVersion(Row, key=("matrix", "number")):
    """A version of a price matrix."""

    matrix: str
    number: int
    status: str = ""
    effective_from: date = date.min
    effective_until: date | None = None
    edition: int = 0
    """Prices that were written for another edition of the draft do not count."""
    cells: int = 0
    """How many prices it has."""
    content_hash: str | None = None
    """What an approver must have seen."""
    author: str = ""
    """Who began it."""
    drafted_at: datetime = BEGINNING
    approval: str | None = None
    approved_by: tuple[str, ...] = ()
    approved_at: datetime | None = None
    late: bool = False
    """Whether it was scheduled after its day had begun (P7)."""
    reason: str | None = None
    """Of the last rejection, suspension or revocation."""


class PriceWritten(
    Row,
    key=("source", "position", "n"),
    indexes=(("product",), ("family",), ("matrix", "version")),
    ledger=True,
):
    """A price as it was written into a draft."""

    source: str
    """The sheet; or the matrix, where it was written before there were sheets."""
    position: int
    n: int
    matrix: str = ""
    version: int = 0
    edition: int = 0
    cell: str = ""
    """What it is for, in one word: the same in every version."""
    product: str | None = None
    family: str | None = None
    kind: str = ""
    customer: str | None = None
    grade: str | None = None
    tier: str | None = None
    region: str | None = None
    min_quantity: int = 1
    price: Decimal = Decimal(0)
    currency: str = ""
    floor: Decimal | None = None
    reference: str | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    exception: str | None = None
    exception_quantity: int | None = None
    exception_until: date | None = None


class PriceHistory(Projection):
    rows = (PriceVersion, PriceWritten)

    @on(prices.MatrixVersionDrafted)
    def drafted(self, fact: Fact[prices.MatrixVersionDrafted]) -> Changes:
        event = fact.event
        yield PriceVersion.put(
            matrix=fact.subject,
            number=event.number,
            status=VersionStatus.DRAFT,
            effective_from=event.effective_from,
            effective_until=event.effective_until,
            edition=1,
            cells=event.cells,
            content_hash=event.content_hash,
            author=event.author,
            drafted_at=fact.recorded_at,
        )

    @on(prices.CellsAdded)
    def added(self, fact: Fact[prices.CellsAdded]) -> Changes:
        key = (fact.subject, fact.event.number)
        yield PriceVersion.add(*key, cells=fact.event.cells)
        yield PriceVersion.set(*key, content_hash=fact.event.content_hash)

    @on(prices.MatrixVersionRewritten)
    def rewritten(self, fact: Fact[prices.MatrixVersionRewritten]) -> Changes:
        event = fact.event
        yield PriceVersion.set(
            fact.subject,
            event.number,
            effective_from=event.effective_from,
            effective_until=event.effective_until,
            edition=event.edition,
            cells=event.cells,
            content_hash=event.content_hash,
        )

    @on(SheetWritten)
    def sheet_written(self, fact: Fact[SheetWritten]) -> Changes:
        event = fact.event
        for n, cell in enumerate(event.cells):
            yield written(fact, n, cell, event.price_matrix, event.version, event.edition)

    @on(prices.VersionDrafted)
    def drafted_with_cells(self, fact: Fact[prices.VersionDrafted]) -> Changes:
        event = fact.event
        yield PriceVersion.put(
            matrix=fact.subject,
            number=event.number,
            status=VersionStatus.DRAFT,
            effective_from=event.effective_from,
            edition=-fact.position,
            cells=len(event.cells),
            author=event.author,
            drafted_at=fact.recorded_at,
        )
        yield from self._cells_inside(fact)

    @on(prices.DraftEdited)
    def edited_with_cells(self, fact: Fact[prices.DraftEdited]) -> Changes:
        event = fact.event
        yield PriceVersion.set(
            fact.subject,
            event.number,
            effective_from=event.effective_from,
            edition=-fact.position,
            cells=len(event.cells),
        )
        yield from self._cells_inside(fact)

    @staticmethod
    def _cells_inside(fact: Fact[Any]) -> Changes:
        """The position stands for the edition: below zero, where no edition of a sheet is."""
        for n, cell in enumerate(fact.event.cells):
            yield written(fact, n, cell, fact.subject, fact.event.number, -fact.position)

    @on(prices.VersionSubmitted)
    def submitted(self, fact: Fact[prices.VersionSubmitted]) -> Changes:
        event = fact.event
        known = {"content_hash": event.content_hash} if event.content_hash else {}
        yield PriceVersion.set(
            fact.subject,
            event.number,
            status=VersionStatus.IN_REVIEW,
            approval=event.approval,
            **known,
        )

    @on(prices.VersionWithdrawn, prices.VersionRejected)
    def given_back(self, fact: Fact[Any]) -> Changes:
        yield self._now(fact, VersionStatus.DRAFT, reason=fact.event.reason)

    @on(prices.DraftDiscarded)
    def discarded(self, fact: Fact[prices.DraftDiscarded]) -> Changes:
        yield self._now(fact, VersionStatus.DISCARDED)

    @on(prices.MatrixVersionApproved)
    def approved(self, fact: Fact[prices.MatrixVersionApproved]) -> Changes:
        yield self._now(
            fact,
            VersionStatus.APPROVED,
            approved_by=fact.event.approvers,
            approved_at=fact.recorded_at,
        )

    @on(prices.VersionApproved)
    def approved_at_once(self, fact: Fact[prices.VersionApproved]) -> Changes:
        yield self._now(
            fact,
            VersionStatus.SCHEDULED,
            approved_by=(fact.event.approver,),
            approved_at=fact.recorded_at,
        )

    @on(prices.VersionScheduled)
    def scheduled(self, fact: Fact[prices.VersionScheduled]) -> Changes:
        yield self._now(fact, VersionStatus.SCHEDULED, late=fact.event.late)

    @on(prices.VersionStarted)
    def started(self, fact: Fact[prices.VersionStarted]) -> Changes:
        yield self._now(fact, VersionStatus.EFFECTIVE)
        yield from self._others(fact, fact.event.superseded, VersionStatus.SUPERSEDED)

    @on(prices.VersionSuspended)
    def suspended(self, fact: Fact[prices.VersionSuspended]) -> Changes:
        yield self._now(fact, VersionStatus.SUSPENDED, reason=fact.event.reason)

    @on(prices.VersionResumed)
    def resumed(self, fact: Fact[prices.VersionResumed]) -> Changes:
        yield self._now(fact, VersionStatus.EFFECTIVE, reason=fact.event.reason)
        yield from self._others(fact, fact.event.superseded, VersionStatus.SUPERSEDED)

    @on(prices.VersionRevoked)
    def revoked(self, fact: Fact[prices.VersionRevoked]) -> Changes:
        yield self._now(fact, VersionStatus.REVOKED, reason=fact.event.reason)
        yield from self._others(fact, fact.event.restored, VersionStatus.EFFECTIVE)

    @staticmethod
    def _now(fact: Fact[Any], status: VersionStatus, **more: Any) -> Change:
        return PriceVersion.set(fact.subject, fact.event.number, status=status, **more)

    @staticmethod
    def _others(fact: Fact[Any], numbers: tuple[int, ...], status: VersionStatus) -> Changes:
        for number in numbers:
            yield PriceVersion.set(fact.subject, number, status=status)


def written(  # noqa: PLR0913, PLR0917 - where it was written, and for what
    fact: Fact[Any], n: int, cell: PriceCell, matrix: str, version: int, edition: int
) -> Change:
    exception = cell.exception
    return PriceWritten.put(
        source=fact.subject,
        position=fact.position,
        n=n,
        matrix=matrix,
        version=version,
        edition=edition,
        cell=named(cell),
        product=cell.product,
        family=cell.family,
        kind=cell.rule,
        customer=cell.customer,
        grade=cell.grade,
        tier=cell.tier,
        region=cell.region,
        min_quantity=cell.min_quantity,
        price=cell.price.amount,
        currency=cell.price.currency,
        floor=cell.floor.amount if cell.floor else None,
        reference=cell.reference,
        valid_from=cell.valid_from,
        valid_until=cell.valid_until,
        exception=exception.name if exception else None,
        exception_quantity=exception.max_quantity if exception else None,
        exception_until=exception.until if exception else None,
    )


def named(cell: PriceCell) -> str:
    parts = (cell.subject, *cell.scope, cell.min_quantity, cell.valid_from)
    return "|".join("" if part is None else str(part) for part in parts)


class PriceEntry(BaseModel):
    """A price in the course of time."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    matrix: str
    version: int
    status: str
    """Of the version."""
    effective_from: date
    """Of the version."""
    in_force_from: date | None
    """None while, or since, the version does not count."""
    in_force_until: date | None
    """The last day; none where no end is known."""
    product: str | None
    family: str | None
    kind: str
    customer: str | None
    grade: str | None
    tier: str | None
    region: str | None
    min_quantity: int
    price: Decimal
    currency: str
    floor: Decimal | None
    reference: str | None
    valid_from: date | None
    valid_until: date | None
    exception: str | None
    approval: str | None
    approved_by: tuple[str, ...]
    late: bool
    source: str
    position: int
    n: int


HISTORY = """
    select w.*, v.status, v.effective_from, v.approval, v.approved_by, v.late,
        case when counts then v.effective_from end as in_force_from,
        case when counts then least(v.effective_until, following.first - 1) end as in_force_until
    from price_written w
    join price_version v
        on v.matrix = w.matrix and v.number = w.version and v.edition = w.edition
    cross join lateral (select v.status = any(%(counting)s) as counts) as c
    left join lateral (
        select min(o.effective_from) as first from price_version o
        where o.matrix = v.matrix and o.status = any(%(counting)s)
            and (o.effective_from, o.number) > (v.effective_from, v.number)
    ) as following on true
    where (%(product)s::text is null or w.product = %(product)s)
        and (%(family)s::text is null or w.family = %(family)s)
        and (%(matrix)s::text is null or w.matrix = %(matrix)s)
        and (%(customer)s::text is null or w.customer is null or w.customer = %(customer)s)
        and (%(rule)s::text is null or w.kind = %(rule)s)
        and (%(status)s::text is null or v.status = %(status)s)
"""
"""Every price that was written into what a version came to say."""


class PriceDifference(BaseModel):
    """A cell that two versions do not say the same of."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    cell: str
    """What it is for, in one word."""
    change: str
    """added, removed or changed"""
    product: str | None
    family: str | None
    kind: str
    customer: str | None
    grade: str | None
    tier: str | None
    region: str | None
    min_quantity: int
    currency: str
    valid_from: date | None
    price_before: Decimal | None
    price: Decimal | None
    percent: Decimal | None
    """By how much it has risen."""
    floor_before: Decimal | None
    floor: Decimal | None
    valid_until_before: date | None
    valid_until: date | None
    reference_before: str | None
    reference: str | None
    exception_before: str | None
    exception: str | None


DIFFERENCE = """
    with cells as (
        select w.* from price_written w
        join price_version v
            on v.matrix = w.matrix and v.number = w.version and v.edition = w.edition
        where w.matrix = %(matrix)s
    ), a as (select * from cells where version = %(first)s),
    b as (select * from cells where version = %(second)s)
    select coalesce(b.cell, a.cell) as cell,
        case when a.cell is null then 'added' when b.cell is null then 'removed'
            else 'changed' end as change,
        coalesce(b.product, a.product) as product, coalesce(b.family, a.family) as family,
        coalesce(b.kind, a.kind) as kind, coalesce(b.customer, a.customer) as customer,
        coalesce(b.grade, a.grade) as grade, coalesce(b.tier, a.tier) as tier,
        coalesce(b.region, a.region) as region,
        coalesce(b.min_quantity, a.min_quantity) as min_quantity,
        coalesce(b.currency, a.currency) as currency,
        coalesce(b.valid_from, a.valid_from) as valid_from,
        a.price as price_before, b.price, a.floor as floor_before, b.floor,
        round((b.price - a.price) * 100 / nullif(a.price, 0), 2) as percent,
        a.valid_until as valid_until_before, b.valid_until,
        a.reference as reference_before, b.reference,
        a.exception as exception_before, b.exception
    from a full join b on a.cell = b.cell
    where a.cell is null or b.cell is null
        or (a.price, a.floor, a.valid_until, a.reference, a.exception, a.exception_quantity,
            a.exception_until)
        is distinct from (b.price, b.floor, b.valid_until, b.reference, b.exception,
            b.exception_quantity, b.exception_until)
"""
