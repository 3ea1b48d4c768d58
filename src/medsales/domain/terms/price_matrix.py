"""A price matrix: versions of all prices, each approved by somebody else before its day comes.

What the prices are, the sheets know (price_sheet.py); here is which version counts when, who wrote
and who approved it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, NamedTuple

from pydantic import Field

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Case, RequestApproval, Verdict, VoidApproval
from medsales.domain.ids import ApprovalId, PriceMatrixId, PriceSheetId, ProductId
from medsales.domain.kernel import (
    Aggregate,
    Also,
    Command,
    Event,
    Key,
    Refused,
    Role,
    Term,
    Text,
    Value,
)
from medsales.domain.parties.customer import CustomerKind
from medsales.domain.terms.price_depth import UNTOLD, Beside
from medsales.domain.terms.price_sheet import (
    CHUNK,
    Buyer,
    Candidate,
    Index,
    PriceCell,
    PriceException,
    PriceKind,
    PriceSheet,
    SheetVersion,
    WriteSheet,
    candidates,
    faults,
    indexed,
    sheet_of,
    sheets_for,
)
from medsales.domain.values import Currency, Evidence, Money, Quantity, day_in_china

__all__ = ["Buyer", "PriceCell", "PriceException", "PriceKind", "PriceMatrix", "sheets_for"]

Cells = Annotated[tuple[PriceCell, ...], Field(min_length=1, max_length=CHUNK)]


class VersionStatus(Term):
    DRAFT = "draft", "草稿"
    IN_REVIEW = "in_review", "审核中"
    APPROVED = "approved", "已批准"
    SCHEDULED = "scheduled", "待生效"
    EFFECTIVE = "effective", "已生效"
    SUPERSEDED = "superseded", "已被取代"
    SUSPENDED = "suspended", "已暂停"
    DISCARDED = "discarded", "已废弃"
    REVOKED = "revoked", "已撤销"


COUNTING = (
    VersionStatus.SCHEDULED,
    VersionStatus.EFFECTIVE,
    VersionStatus.SUPERSEDED,
    VersionStatus.SUSPENDED,
)
"""Those of which the latest begun rules a day. By the day, not by the status: a timer that comes
late never gives a wrong price."""
GIVEN_UP = (VersionStatus.SUSPENDED, VersionStatus.REVOKED)
"""Those at whose prices nothing is promised any more."""


WHOLE_LIST = "all"
"""What is settled where no quote or order of a repricing list is named."""


class Header(Value):
    """What the hash of a version begins with."""

    price_matrix: str
    version: int
    effective_from: date
    effective_until: date | None


class Chunk(Value):
    """What the hash of a version goes on with: some cells, after all that was written before."""

    before: str
    cells: tuple[PriceCell, ...]


@dataclass(frozen=True)
class Subjects:
    """How many cells are of families, and how many of products."""

    families: int = 0
    products: int = 0

    def with_those_of(self, version: MatrixVersion | None) -> Subjects:
        if version is None:
            return self
        known = version.subjects
        return Subjects(
            self.families + known.families,
            self.products + known.products + len(version.cells),
        )

    @property
    def are_mixed(self) -> bool:
        """Then nobody knows what a family's price means for one of its products: no sheet of a
        family knows which products these are."""
        return bool(self.families and self.products)


class Told(NamedTuple):
    """What cells say about who must approve them."""

    cells: int
    families: int
    deepest_discount: Decimal
    below_floor: bool


@dataclass(frozen=True)
class MatrixVersion:
    number: int
    authors: frozenset[str]
    effective_from: date
    cells: dict[ProductId, tuple[PriceCell, ...]] = field(default_factory=dict)
    """Only where it was written before there were sheets."""
    status: VersionStatus = VersionStatus.DRAFT
    effective_until: date | None = None
    """The last day it counts, if it ends before the next one begins."""
    edition: int = 1
    """How many times it has been written anew, and once more; sheets name it."""
    content_hash: str = ""
    approval: ApprovalId | None = None
    """The one it waits for, or waited for last."""
    subjects: Subjects = Subjects()
    deepest_discount: Decimal = Decimal(0)
    """In percent off the list price that was in force when it was written."""
    below_floor: bool = False
    """Whether a price lies below its floor, or a floor below the one that counted."""
    settled: dict[str, str] = field(default_factory=dict)
    """Which quotes and orders of its repricing list are left as they are, and why (P7)."""

    @property
    def order(self) -> tuple[date, int]:
        """Which of two versions counts: the one that begins later, then the one written later."""
        return (self.effective_from, self.number)

    def settlement(self, given: str) -> str | None:
        """Why a quote or an order is left at its older price, if somebody has decided that."""
        return self.settled.get(given) or self.settled.get(WHOLE_LIST)

    def hashed(self, id: str) -> str:
        if self.content_hash:
            return self.content_hash
        cells = tuple(cell for some in self.cells.values() for cell in some)
        return hashed(self.header(id), cells)

    def header(self, id: str) -> str:
        return header(id, self.number, self.effective_from, self.effective_until)


def header(id: str, number: int, since: date, until: date | None) -> str:
    return content_hash(
        Header(price_matrix=id, version=number, effective_from=since, effective_until=until)
    )


def hashed(before: str, cells: tuple[PriceCell, ...]) -> str:
    return content_hash(Chunk(before=before, cells=cells))


class PriceFound(Value):
    """A price and why it is this one (P6)."""

    price: Money
    version: int
    path: tuple[str, ...]
    floor: Money | None = None
    """Of the cell, or of the next more general one that has any."""
    rule: PriceKind = PriceKind.LIST
    exception: str | None = None
    """The name of the exception that lets it lie below its floor."""
    sheet: PriceSheetId | None = None
    """Where the exception is counted; none without one."""
    valid_until: date | None = None
    """The last day it holds, as far as is known by now."""
    min_quantity: int = 1
    """From how many pieces on it counts."""


@dataclass(frozen=True)
class PriceMatrix(Aggregate):
    """Prices, version by version."""

    code: str = ""
    currency: str = ""
    currencies: tuple[str, ...] = ()
    """All of them, the main one first."""
    regions: tuple[str, ...] = ()
    kinds: tuple[CustomerKind, ...] = ()
    """With the regions: for whom it is; none: for everybody."""
    versions: dict[int, MatrixVersion] = field(default_factory=dict)
    requests: int = 0
    """How many times a version has been submitted."""

    def version(self, number: int) -> MatrixVersion:
        if number not in self.versions:
            raise Refused(
                "matrix.version_unknown",
                f"there is no version {number} of {self.code}",
                f"{self.code} 没有第 {number} 版",
            )
        return self.versions[number]

    def version_to_change(self, number: int, *expected: VersionStatus) -> MatrixVersion:
        version = self.version(number)
        if version.status not in expected:
            raise Refused(
                "matrix.version_wrong_stage",
                f"version {number} is {version.status.en},"
                f" not {' or '.join(s.en for s in expected)}",
                f"第 {number} 版{version.status.zh}, 而非{'或'.join(s.zh for s in expected)}",
            )
        return version

    def among(self, *statuses: VersionStatus) -> list[MatrixVersion]:
        """In the order in which they count."""
        found = (version for version in self.versions.values() if version.status in statuses)
        return sorted(found, key=lambda version: version.order)

    def in_force(self, on: date) -> MatrixVersion | None:
        """The version that rules a day, if any: the last begun (P3: never two at once).

        It may be suspended, or have ended: then nothing has a price that day.
        """
        begun = [version for version in self.among(*COUNTING) if version.effective_from <= on]
        return begun[-1] if begun else None

    def price(  # noqa: PLR0913, PLR0917 - what a price depends on
        self,
        sheets: Iterable[PriceSheet | None],
        product: ProductId,
        family: str | None,
        buyer: Buyer,
        quantity: int,
        on: date,
        currency: str | None = None,
    ) -> PriceFound:
        """The price of one piece and its rule path; a pure function of its arguments (P6).

        `sheets` are those of `sheets_for`; others among them do no harm.
        """
        self.must_be_for(buyer)
        version = self._must_have_prices(on)
        fitting = (
            candidates(
                _places(version, sheets, product, family),
                buyer,
                quantity,
                on,
                currency or self.currency,
            )
            if version
            else iter(())
        )
        best = next((each for each in fitting if sells(each, quantity, on)), None)
        if version is None or best is None:
            raise self._no_price(product, buyer, quantity, on)
        others = tuple(fitting)
        elsewhere = floor_elsewhere(best, others)
        must_not_undercut(best.cell, elsewhere)
        return self._found(version, best, others, elsewhere)

    def must_be_for(self, buyer: Buyer) -> None:
        """P4: otherwise a seller would choose a price by choosing the matrix."""
        here = not self.regions or buyer.region in self.regions
        theirs = not self.kinds or buyer.kind_of is None or buyer.kind_of in self.kinds
        if not (here and theirs):
            who = buyer.kind_of.en if buyer.kind_of else "any kind"
            whom = buyer.kind_of.zh if buyer.kind_of else "不限类型"
            raise Refused(
                "matrix.not_for_customer",
                f"the prices of {self.code} are not for this customer ({who}, {buyer.region})",
                f"{self.code} 的价格不适用于该客户 ({whom}, {buyer.region})",
            )

    def _must_have_prices(self, on: date) -> MatrixVersion | None:
        version = self.in_force(on)
        if version and version.status is VersionStatus.SUSPENDED:
            raise Refused(
                "price.suspended",
                f"the prices of {on} are suspended: version {version.number} of {self.code}",
                f"{on} 的价格已暂停: {self.code} 第 {version.number} 版",
            )
        ended = version and version.effective_until and version.effective_until < on
        return None if ended else version

    def _no_price(self, product: ProductId, buyer: Buyer, quantity: int, on: date) -> Refused:
        return Refused(
            "price.none",
            f"{self.code} has no price for {quantity} of {product}"
            f" in {buyer.region}, tier {buyer.tier}, on {on}",
            f"{self.code} 中没有 {product} 的价格"
            f" ({buyer.region}, {buyer.tier.zh}, {on}, 数量 {quantity})",
        )

    def _found(
        self,
        version: MatrixVersion,
        best: Candidate,
        others: Iterable[Candidate],
        elsewhere: Money | None,
    ) -> PriceFound:
        cell, exception = best.cell, best.cell.exception
        own = cell.floor or next((each.cell.floor for each in others if each.cell.floor), None)
        floors = (floor for floor in (own, elsewhere) if floor)
        path = (
            f"{self.code} version {version.number}",
            f"since {version.effective_from}",
            cell.sentence.en,
        )
        allowed = (f"exception {exception.name} until {exception.until}",) if exception else ()
        return PriceFound(
            price=cell.price,
            version=version.number,
            path=(*path, *allowed),
            floor=max(floors, key=lambda floor: floor.amount, default=None),
            rule=cell.rule,
            exception=exception.name if exception else None,
            sheet=sheet_of(PriceMatrixId.of(self.code), cell) if exception else None,
            valid_until=self._last_day(version, cell),
            min_quantity=cell.min_quantity,
        )

    def _last_day(self, version: MatrixVersion, cell: PriceCell) -> date | None:
        following = [v for v in self.among(*COUNTING) if v.order > version.order]
        ends = [
            version.effective_until,
            cell.valid_until,
            cell.exception.until if cell.exception else None,
            date.fromordinal(following[0].effective_from.toordinal() - 1) if following else None,
        ]
        return min((day for day in ends if day), default=None)

    def must_take(self, cells: Iterable[PriceCell]) -> None:
        """P5, P8: each cell for itself; what stands beside what, the sheets judge."""
        for cell in cells:
            for fault in faults(cell, self.currencies):
                raise fault.refusal(cell)

    def superseded_if(self, *running: MatrixVersion) -> tuple[int, ...]:
        """Which versions no longer count for today when these run: all but the last begun."""
        others = self.among(VersionStatus.EFFECTIVE, VersionStatus.SUSPENDED)
        known = {version.number: version for version in (*others, *running)}
        last = max(known.values(), key=lambda version: version.order)
        held = {v.number for v in self.among(VersionStatus.SUSPENDED)} - {r.number for r in running}
        return tuple(sorted(known.keys() - held - {last.number}))

    def restored_without(self, number: int) -> tuple[int, ...]:
        """Which version counts again when an effective or suspended one goes."""
        begun = (VersionStatus.EFFECTIVE, VersionStatus.SUPERSEDED, VersionStatus.SUSPENDED)
        left = [version for version in self.among(*begun) if version.number != number]
        superseded = left and left[-1].status is VersionStatus.SUPERSEDED
        return (left[-1].number,) if superseded else ()

    def with_version(self, version: MatrixVersion) -> PriceMatrix:
        return replace(self, versions={**self.versions, version.number: version})

    def with_status(self, status: VersionStatus, *numbers: int) -> PriceMatrix:
        changed = {n: replace(self.versions[n], status=status) for n in numbers}
        return replace(self, versions={**self.versions, **changed})


def _places(
    version: MatrixVersion,
    sheets: Iterable[PriceSheet | None],
    product: ProductId,
    family: str | None,
) -> list[tuple[Index, PriceSheet | None]]:
    """Where to look: the product's own sheet, then that of its family."""
    if version.cells:
        return [(indexed(version.cells.get(product, ())), None)]
    serving = [sheet for sheet in sheets if sheet and sheet.serves(product, family)]
    serving.sort(key=lambda sheet: sheet.product is None)
    return [(sheet.said(version.number, version.edition).cells, sheet) for sheet in serving]


def floor_elsewhere(best: Candidate, others: Iterable[Candidate]) -> Money | None:
    """The floor of the list price that counts, where it is in another sheet than the price found:
    of the product for a price of its family, or the other way round."""
    lists = (each for each in (best, *others) if each.cell.rule is PriceKind.LIST)
    first = next((each for each in lists if each.cell.floor), None)
    return first.cell.floor if first and first.sheet is not best.sheet else None


def must_not_undercut(cell: PriceCell, floor: Money | None) -> None:
    """P5 where no sheet sees it, whatever floor the cell names itself."""
    if floor and not cell.exception and cell.price.amount < floor.amount:
        raise Refused(
            "price.below_floor",
            f"{cell.price} ({cell.sentence.en}) is below the floor {floor} of the list",
            f"{cell.price} ({cell.sentence.zh}) 低于目录底价 {floor}",
        )


def sells(candidate: Candidate, quantity: int, on: date) -> bool:
    """P5: an exception is over when its last day or its last piece is gone."""
    exception = candidate.cell.exception
    if exception is None:
        return True
    left = candidate.sheet.left_of(exception) if candidate.sheet else exception.max_quantity
    return on <= exception.until and quantity <= left


def by_product(cells: tuple[PriceCell, ...]) -> dict[ProductId, tuple[PriceCell, ...]]:
    grouped: dict[ProductId, list[PriceCell]] = {}
    for cell in cells:
        grouped.setdefault(cell.product or ProductId(""), []).append(cell)
    return {product: tuple(found) for product, found in grouped.items()}


class OpenPriceMatrix(Command[PriceMatrix]):
    """Begin a price matrix in one currency, or in several."""

    allowed = (Role.SALES, Role.MANAGER)

    code: Key
    name: Text
    currency: Currency
    """The one that is meant where none is named."""
    currencies: Annotated[tuple[Currency, ...], Field(max_length=20)] = ()
    """Further ones."""
    regions: Annotated[tuple[Text, ...], Field(max_length=100)] = ()
    """Of the customers that may buy at its prices; none: everywhere. It stays as it is opened."""
    kinds: Annotated[tuple[CustomerKind, ...], Field(max_length=10)] = ()
    """Of the customers that may buy at its prices; none: all. It stays as it is opened."""

    def begins(self) -> PriceMatrixId:
        return PriceMatrixId.of(self.code)

    def decide(self, matrix: PriceMatrix) -> PriceMatrixOpened | None:
        opened = PriceMatrixOpened(**self.model_dump())
        if not matrix.code:
            return opened
        known = (matrix.currencies, matrix.regions, matrix.kinds)
        if known == (opened.all_currencies, self.regions, self.kinds):
            return None
        raise Refused(
            "matrix.exists",
            f"{self.code} is already a matrix in {'/'.join(matrix.currencies)}",
            f"{self.code} 已是 {'/'.join(matrix.currencies)} 价格矩阵",
        )


class PriceMatrixOpened(Event[PriceMatrix]):
    code: str
    name: str
    currency: str
    currencies: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    kinds: tuple[CustomerKind, ...] = ()

    @property
    def all_currencies(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.currency, *self.currencies)))

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return replace(
            matrix,
            code=self.code,
            currency=self.currency,
            currencies=self.all_currencies,
            regions=self.regions,
            kinds=self.kinds,
        )


# Writing a version --------------------------------------------------------------------------------


class WritesCells(Command[PriceMatrix]):
    """A command that brings prices; the sheets it touches have their say in the same decision.

    How deep a discount is, the prices of now say (P2), not those of a day somebody chooses.
    """

    cells: Cells

    def sheets(self, id: str) -> tuple[PriceSheetId, ...]:
        return tuple(self.by_sheet(id))

    def by_sheet(self, id: str) -> dict[PriceSheetId, list[PriceCell]]:
        grouped: dict[PriceSheetId, list[PriceCell]] = {}
        for cell in self.cells:
            grouped.setdefault(sheet_of(id, cell), []).append(cell)
        return grouped

    def in_order(self, id: str) -> tuple[PriceCell, ...]:
        """Sheet by sheet, as they are stored: so that whoever has the log can hash them again."""
        return tuple(cell for cells in self.by_sheet(id).values() for cell in cells)

    def written(self, id: str, version: int, edition: int) -> tuple[Also, ...]:
        return tuple(
            Also(
                sheet,
                WriteSheet(
                    price_matrix=PriceMatrixId(id),
                    version=version,
                    edition=edition,
                    cells=tuple(cells),
                ),
            )
            for sheet, cells in self.by_sheet(id).items()
        )

    def told(
        self,
        matrix: PriceMatrix,
        id: str,
        sheets: Iterable[PriceSheet | None],
        on: date,
        draft: MatrixVersion | None = None,
    ) -> Told:
        """P2, P5: what the cells say about who must approve them."""
        version = matrix.in_force(on)
        beside = [
            Beside(tuple(cells), said(draft, sheet), in_force(version, sheet, cells[0]))
            for cells, sheet in zip(self.by_sheet(id).values(), sheets, strict=True)
        ]
        families = sum(cell.family is not None for cell in self.cells)
        here = Subjects(families, len(self.cells) - families)
        mixed = here.with_those_of(version).with_those_of(draft).are_mixed
        return Told(
            cells=len(self.cells),
            families=families,
            deepest_discount=UNTOLD if mixed else max(each.deepest() for each in beside),
            below_floor=any(cell.exception for cell in self.cells)
            or any(each.lifts_a_floor() for each in beside),
        )


def said(version: MatrixVersion | None, sheet: PriceSheet | None) -> SheetVersion:
    """By a version in a sheet."""
    if version is None or sheet is None:
        return SheetVersion(0)
    return sheet.said(version.number, version.edition)


def in_force(
    version: MatrixVersion | None, sheet: PriceSheet | None, cell: PriceCell
) -> SheetVersion:
    """What counts where such a cell is written."""
    # A version from before there were sheets has its cells inside.
    inside = version.cells.get(cell.product or ProductId(""), ()) if version else ()
    return SheetVersion(0).with_cells(inside) if inside else said(version, sheet)


OLDEST = date(1949, 10, 1)
"""No price is older; the calendar of machines has no day before its first."""


def must_be_days(since: date, until: date | None) -> None:
    if since < OLDEST:
        raise Refused(
            "matrix.days_wrong",
            f"no price counts from {since} on; the first day there can be is {OLDEST}",
            f"价格不能自 {since} 起生效, 最早为 {OLDEST}",
        )
    if until and until < since:
        raise Refused(
            "matrix.days_wrong",
            f"the last day {until} is before the first, {since}",
            f"截止日期 {until} 早于起始日期 {since}",
        )


class DraftVersion(WritesCells):
    """Write a new version of all prices, to count from a day on once it is approved."""

    allowed = (Role.SALES, Role.MANAGER)

    effective_from: date
    effective_until: date | None = None
    """The last day, if no price is to count after it."""

    def content(self, id: str, number: int) -> str:
        """The hash of what it would write: what its approver will be shown."""
        before = header(id, number, self.effective_from, self.effective_until)
        return hashed(before, self.in_order(id))

    def decide(
        self,
        matrix: PriceMatrix,
        id: str,
        by: str,
        now: datetime,
        sheets: tuple[PriceSheet | None, ...],
    ) -> tuple[MatrixVersionDrafted | Also, ...]:
        must_be_days(self.effective_from, self.effective_until)
        matrix.must_take(self.cells)
        number = len(matrix.versions) + 1
        drafted = MatrixVersionDrafted(
            number=number,
            author=by,
            effective_from=self.effective_from,
            effective_until=self.effective_until,
            content_hash=self.content(id, number),
            **self.told(matrix, id, sheets, day_in_china(now))._asdict(),
        )
        return drafted, *self.written(id, number, edition=1)


class MatrixVersionDrafted(Event[PriceMatrix]):
    """The prices themselves are in the sheets."""

    number: int
    author: str
    effective_from: date
    effective_until: date | None = None
    cells: int
    """How many."""
    families: int = 0
    """How many of them are of families."""
    content_hash: str
    deepest_discount: Decimal
    below_floor: bool

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_version(
            MatrixVersion(
                self.number,
                frozenset((self.author,)),
                self.effective_from,
                effective_until=self.effective_until,
                content_hash=self.content_hash,
                subjects=Subjects(self.families, self.cells - self.families),
                deepest_discount=self.deepest_discount,
                below_floor=self.below_floor,
            )
        )


class AddCells(WritesCells):
    """Write further prices into a draft: a large version comes in several commands."""

    allowed = (Role.SALES, Role.MANAGER)

    version: Quantity

    def decide(
        self,
        matrix: PriceMatrix,
        id: str,
        by: str,
        now: datetime,
        sheets: tuple[PriceSheet | None, ...],
    ) -> tuple[CellsAdded | Also, ...]:
        draft = matrix.version_to_change(self.version, VersionStatus.DRAFT)
        if draft.cells:
            raise Refused(
                "matrix.draft_old",
                f"version {self.version} was begun before there were price sheets; write it anew",
                f"第 {self.version} 版的草稿早于价格表页, 请重新编制",
            )
        matrix.must_take(self.cells)
        added = CellsAdded(
            number=self.version,
            edition=draft.edition,
            author=by,
            content_hash=hashed(draft.content_hash, self.in_order(id)),
            **self.told(matrix, id, sheets, day_in_china(now), draft)._asdict(),
        )
        return added, *self.written(id, self.version, draft.edition)


class CellsAdded(Event[PriceMatrix]):
    number: int
    edition: int
    author: str
    cells: int
    families: int = 0
    content_hash: str
    """Of all that has been written so far."""
    deepest_discount: Decimal
    """Of these cells."""
    below_floor: bool

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        draft = matrix.versions[self.number]
        return matrix.with_version(
            replace(
                draft,
                authors=draft.authors | {self.author},
                content_hash=self.content_hash,
                subjects=Subjects(self.families, self.cells - self.families).with_those_of(draft),
                deepest_discount=max(draft.deepest_discount, self.deepest_discount),
                below_floor=draft.below_floor or self.below_floor,
            )
        )


class EditDraft(WritesCells):
    """Write a draft anew; after submission nobody edits (P1)."""

    allowed = (Role.SALES, Role.MANAGER)

    version: Quantity
    effective_from: date
    effective_until: date | None = None
    """The last day, if no price is to count after it."""

    def decide(
        self,
        matrix: PriceMatrix,
        id: str,
        by: str,
        now: datetime,
        sheets: tuple[PriceSheet | None, ...],
    ) -> tuple[MatrixVersionRewritten | Also, ...] | None:
        draft = matrix.version_to_change(self.version, VersionStatus.DRAFT)
        must_be_days(self.effective_from, self.effective_until)
        matrix.must_take(self.cells)
        before = header(id, self.version, self.effective_from, self.effective_until)
        content = hashed(before, self.in_order(id))
        if content == draft.content_hash:
            return None
        rewritten = MatrixVersionRewritten(
            number=self.version,
            edition=draft.edition + 1,
            author=by,
            effective_from=self.effective_from,
            effective_until=self.effective_until,
            content_hash=content,
            **self.told(matrix, id, sheets, day_in_china(now))._asdict(),
        )
        return rewritten, *self.written(id, self.version, rewritten.edition)


class MatrixVersionRewritten(Event[PriceMatrix]):
    number: int
    edition: int
    author: str
    effective_from: date
    effective_until: date | None = None
    cells: int
    families: int = 0
    content_hash: str
    deepest_discount: Decimal
    below_floor: bool

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        draft = matrix.versions[self.number]
        return matrix.with_version(
            replace(
                draft,
                authors=draft.authors | {self.author},
                effective_from=self.effective_from,
                effective_until=self.effective_until,
                cells={},
                edition=self.edition,
                content_hash=self.content_hash,
                subjects=Subjects(self.families, self.cells - self.families),
                deepest_discount=self.deepest_discount,
                below_floor=self.below_floor,
            )
        )


class DiscardDraft(Command[PriceMatrix]):
    """Throw a draft away; its number is not used again."""

    allowed = (Role.SALES, Role.MANAGER)

    version: Quantity

    def decide(self, matrix: PriceMatrix) -> DraftDiscarded | None:
        if matrix.version(self.version).status is VersionStatus.DISCARDED:
            return None
        matrix.version_to_change(self.version, VersionStatus.DRAFT)
        return DraftDiscarded(number=self.version)


class DraftDiscarded(Event[PriceMatrix]):
    number: int

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(VersionStatus.DISCARDED, self.number)


# Approval -----------------------------------------------------------------------------------------


class SubmitVersion(Command[PriceMatrix]):
    """Hand a draft in for approval; it can no longer be edited (P1)."""

    allowed = (Role.SALES, Role.MANAGER)

    version: Quantity

    def decide(self, matrix: PriceMatrix, id: str) -> tuple[VersionSubmitted | Also, ...] | None:
        version = matrix.version(self.version)
        if version.status is VersionStatus.IN_REVIEW and version.approval:
            return None
        # One that was in review before there were approvals is handed in again.
        matrix.version_to_change(self.version, VersionStatus.DRAFT, VersionStatus.IN_REVIEW)
        request = self._request(matrix, version, id)
        submitted = VersionSubmitted(
            number=self.version, approval=request.begins(), content_hash=request.content_hash
        )
        return submitted, Also(request.begins(), request)

    def _request(self, matrix: PriceMatrix, version: MatrixVersion, id: str) -> RequestApproval:
        return RequestApproval(
            subject=id,
            number=matrix.requests + 1,
            version=self.version,
            content_hash=version.hashed(id),
            authors=tuple(sorted(version.authors)),
            case=Case(
                discount=max(version.deepest_discount, Decimal(0)),
                flags=("below_floor",) if version.below_floor else (),
            ),
            title=f"{matrix.code} version {version.number} from {version.effective_from}",
        )


class VersionSubmitted(Event[PriceMatrix]):
    number: int
    approval: ApprovalId | None = None
    """None where it was handed in before there were approvals."""
    content_hash: Evidence | None = None

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        version = replace(
            matrix.versions[self.number], status=VersionStatus.IN_REVIEW, approval=self.approval
        )
        return replace(matrix.with_version(version), requests=matrix.requests + 1)


class WithdrawVersion(Command[PriceMatrix]):
    """Take a submitted version back, to write it anew; its approval is void."""

    allowed = (Role.SALES, Role.MANAGER)

    version: Quantity
    reason: Text

    def decide(self, matrix: PriceMatrix) -> tuple[VersionWithdrawn | Also, ...] | None:
        version = matrix.version(self.version)
        if version.status is VersionStatus.DRAFT:
            return None
        matrix.version_to_change(self.version, VersionStatus.IN_REVIEW)
        withdrawn = VersionWithdrawn(number=self.version, reason=self.reason)
        if version.approval is None:
            return (withdrawn,)
        return withdrawn, Also(version.approval, VoidApproval(reason=self.reason))


class VersionWithdrawn(Event[PriceMatrix]):
    number: int
    reason: str

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(VersionStatus.DRAFT, self.number)


class TakeVerdict(Command[PriceMatrix]):
    """Hear what became of an approval; part of its last step."""

    allowed = ()

    verdict: Verdict

    def decide(self, matrix: PriceMatrix) -> MatrixVersionApproved | VersionRejected | None:
        verdict = self.verdict
        version = matrix.version_to_change(verdict.version, VersionStatus.IN_REVIEW)
        content = version.hashed(PriceMatrixId.of(matrix.code))
        verdict.must_be_about(version.approval, version.number, content)
        if not verdict.granted:
            return VersionRejected(number=version.number, reason=verdict.reason or "")
        return MatrixVersionApproved(
            number=version.number,
            approval=verdict.approval,
            content_hash=verdict.content_hash,
            approvers=verdict.approvers,
        )


class MatrixVersionApproved(Event[PriceMatrix]):
    number: int
    approval: ApprovalId
    content_hash: str
    approvers: tuple[str, ...]

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(VersionStatus.APPROVED, self.number)


class VersionRejected(Event[PriceMatrix]):
    number: int
    reason: str

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(VersionStatus.DRAFT, self.number)


# Its days -----------------------------------------------------------------------------------------


class ScheduleVersion(Command[PriceMatrix]):
    """Let an approved version count from its day on; a day in the past is said to be late (P7)."""

    allowed = (Role.SALES, Role.MANAGER)

    version: Quantity

    def decide(
        self, matrix: PriceMatrix, now: datetime
    ) -> tuple[VersionScheduled | VersionStarted, ...] | None:
        version = matrix.version(self.version)
        if version.status in COUNTING:
            return None
        matrix.version_to_change(self.version, VersionStatus.APPROVED)
        scheduled = VersionScheduled(
            number=version.number,
            effective_from=version.effective_from,
            effective_until=version.effective_until,
            late=version.effective_from < day_in_china(now),
        )
        if version.effective_from > day_in_china(now):
            return (scheduled,)
        return scheduled, started(matrix, version)


def started(matrix: PriceMatrix, version: MatrixVersion) -> VersionStarted:
    return VersionStarted(number=version.number, superseded=matrix.superseded_if(version))


class VersionScheduled(Event[PriceMatrix]):
    number: int
    effective_from: date
    effective_until: date | None = None
    late: bool
    """Whether its day was over: quotes that were issued keep their prices and are listed (P7)."""

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(VersionStatus.SCHEDULED, self.number)


class StartVersion(Command[PriceMatrix]):
    """Note that the day of a scheduled version has come."""

    allowed = ()

    version: Quantity

    def decide(self, matrix: PriceMatrix, at: datetime) -> VersionStarted | None:
        version = matrix.version(self.version)
        due = version.effective_from <= day_in_china(at)
        if version.status is not VersionStatus.SCHEDULED or not due:
            return None
        return started(matrix, version)


class VersionStarted(Event[PriceMatrix]):
    number: int
    superseded: tuple[int, ...] = ()
    """Versions that no longer count for today; the version itself where a later one had begun."""

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        running = matrix.with_status(VersionStatus.EFFECTIVE, self.number)
        return running.with_status(VersionStatus.SUPERSEDED, *self.superseded)


class SuspendVersion(Command[PriceMatrix]):
    """Stop selling at the prices in force until they are resumed or revoked."""

    allowed = (Role.MANAGER,)

    version: Quantity
    reason: Text

    def decide(self, matrix: PriceMatrix) -> VersionSuspended | None:
        if matrix.version(self.version).status is VersionStatus.SUSPENDED:
            return None
        matrix.version_to_change(self.version, VersionStatus.EFFECTIVE)
        return VersionSuspended(number=self.version, reason=self.reason)


class VersionSuspended(Event[PriceMatrix]):
    number: int
    reason: str

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(VersionStatus.SUSPENDED, self.number)


class ResumeVersion(Command[PriceMatrix]):
    """Sell at suspended prices again."""

    allowed = (Role.MANAGER,)

    version: Quantity
    reason: Text

    def decide(self, matrix: PriceMatrix) -> VersionResumed | None:
        version = matrix.version(self.version)
        if version.status in {VersionStatus.EFFECTIVE, VersionStatus.SUPERSEDED}:
            return None
        matrix.version_to_change(self.version, VersionStatus.SUSPENDED)
        return VersionResumed(
            number=self.version, reason=self.reason, superseded=matrix.superseded_if(version)
        )


class VersionResumed(Event[PriceMatrix]):
    number: int
    reason: str
    superseded: tuple[int, ...] = ()
    """The version itself, where another one had begun meanwhile."""

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        running = matrix.with_status(VersionStatus.EFFECTIVE, self.number)
        return running.with_status(VersionStatus.SUPERSEDED, *self.superseded)


class RevokeVersion(Command[PriceMatrix]):
    """Take a version out for good; the one before it counts again, orders keep their prices (D3).

    One that is in force is suspended first.
    """

    allowed = (Role.MANAGER,)

    version: Quantity
    reason: Text

    def decide(self, matrix: PriceMatrix) -> VersionRevoked | None:
        if matrix.version(self.version).status is VersionStatus.REVOKED:
            return None
        version = matrix.version_to_change(
            self.version,
            VersionStatus.APPROVED,
            VersionStatus.SCHEDULED,
            VersionStatus.SUSPENDED,
        )
        suspended = version.status is VersionStatus.SUSPENDED
        restored = matrix.restored_without(version.number) if suspended else ()
        return VersionRevoked(number=self.version, reason=self.reason, restored=restored)


class VersionRevoked(Event[PriceMatrix]):
    number: int
    reason: str
    restored: tuple[int, ...] = ()
    """The version that counts again."""

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        left = matrix.with_status(VersionStatus.REVOKED, self.number)
        return left.with_status(VersionStatus.EFFECTIVE, *self.restored)


# As it was before there were sheets and approvals: these facts are no longer made -----------------


class VersionDrafted(Event[PriceMatrix]):
    """A draft with all its prices inside."""

    number: int
    author: str
    effective_from: date
    cells: tuple[PriceCell, ...]

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        authors = frozenset((self.author,))
        cells = by_product(self.cells)
        return matrix.with_version(MatrixVersion(self.number, authors, self.effective_from, cells))


class DraftEdited(Event[PriceMatrix]):
    """A draft written anew, with all its prices inside."""

    number: int
    author: str
    effective_from: date
    cells: tuple[PriceCell, ...]

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        draft = matrix.versions[self.number]
        return matrix.with_version(
            replace(
                draft,
                authors=draft.authors | {self.author},
                effective_from=self.effective_from,
                cells=by_product(self.cells),
            )
        )


class VersionApproved(Event[PriceMatrix]):
    """An approval by one person, which also let the version count from its day on."""

    number: int
    effective_from: date
    approver: str

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(VersionStatus.SCHEDULED, self.number)
