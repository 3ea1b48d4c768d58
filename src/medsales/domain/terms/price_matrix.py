"""A price matrix: versions of list prices, each approved by somebody else before it counts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Annotated

from pydantic import Field

from medsales.domain.ids import PriceMatrixId, ProductId
from medsales.domain.kernel import Aggregate, Command, Event, Key, Refused, Role, Term, Text, Value
from medsales.domain.parties.customer import CustomerTier
from medsales.domain.values import Currency, Money, Quantity


class PriceCell(Value):
    """One price: for a product, from a quantity on, in one region or any, for one tier or any."""

    product: ProductId
    price: Money
    region: Text | None = None
    tier: CustomerTier | None = None
    min_quantity: Quantity = 1

    @property
    def scope(self) -> tuple[str, str | None, str | None, int]:
        return (self.product, self.region, self.tier, self.min_quantity)

    def fits(self, region: str, tier: CustomerTier, quantity: int) -> bool:
        return (
            self.region in (None, region)
            and self.tier in (None, tier)
            and self.min_quantity <= quantity
        )

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """P4: tier before region before list price; among equals the highest quantity break."""
        return (self.tier is not None, self.region is not None, self.min_quantity)

    @property
    def rule(self) -> str:
        """Which rule this is, as the rule path of a price says it."""
        where = f"region {self.region}" if self.region else "any region"
        who = f"tier {self.tier}" if self.tier else "any tier"
        return f"{who}, {where}, from {self.min_quantity}"


Cells = Annotated[tuple[PriceCell, ...], Field(min_length=1, max_length=100_000)]


class VersionStatus(Term):
    DRAFT = "draft", "草稿"
    IN_REVIEW = "in_review", "审核中"
    APPROVED = "approved", "已批准"
    DISCARDED = "discarded", "已废弃"
    REVOKED = "revoked", "已撤销"


@dataclass(frozen=True)
class MatrixVersion:
    number: int
    authors: frozenset[str]
    effective_from: date
    cells: dict[ProductId, tuple[PriceCell, ...]]
    status: VersionStatus = VersionStatus.DRAFT


class PriceFound(Value):
    """A price and why it is this one (P6)."""

    price: Money
    version: int
    path: tuple[str, ...]


@dataclass(frozen=True)
class PriceMatrix(Aggregate):
    code: str = ""
    currency: str = ""
    versions: dict[int, MatrixVersion] = field(default_factory=dict)

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

    def in_force(self, on: date) -> MatrixVersion | None:
        """The approved version that began last on or before a day (P3: never two at once)."""
        begun = [
            version
            for version in self.versions.values()
            if version.status is VersionStatus.APPROVED and version.effective_from <= on
        ]
        return max(
            begun, key=lambda version: (version.effective_from, version.number), default=None
        )

    def price(
        self, product: ProductId, region: str, tier: CustomerTier, quantity: int, on: date
    ) -> PriceFound:
        """The price of one piece and its rule path; a pure function of its arguments (P6)."""
        version = self.in_force(on)
        cells = version.cells.get(product, ()) if version else ()
        fitting = [cell for cell in cells if cell.fits(region, tier, quantity)]
        if version is None or not fitting:
            raise Refused(
                "price.none",
                f"{self.code} has no price for {quantity} of {product}"
                f" in {region}, tier {tier}, on {on}",
                f"{self.code} 中没有 {product} 的价格 ({region}, {tier.zh}, {on}, 数量 {quantity})",
            )
        best = max(fitting, key=lambda cell: cell.rank)
        path = (
            f"{self.code} version {version.number}",
            f"since {version.effective_from}",
            best.rule,
        )
        return PriceFound(price=best.price, version=version.number, path=path)

    def must_take(self, cells: tuple[PriceCell, ...]) -> None:
        """P3, P8: one price per scope, all in the currency of the matrix."""
        scopes: set[object] = set()
        for cell in cells:
            if cell.price.currency != self.currency or cell.price.amount < 0:
                raise Refused(
                    "matrix.price_wrong",
                    f"{cell.product} ({cell.rule}): {cell.price} is not a price in {self.currency}",
                    f"{cell.product} ({cell.rule}): {cell.price} 不是 {self.currency} 价格",
                )
            if cell.scope in scopes:
                raise Refused(
                    "matrix.cells_overlap",
                    f"two prices for {cell.product}, {cell.rule}",
                    f"{cell.product} ({cell.rule}) 有两个价格",
                )
            scopes.add(cell.scope)

    def with_version(self, version: MatrixVersion) -> PriceMatrix:
        return replace(self, versions={**self.versions, version.number: version})

    def with_status(self, number: int, status: VersionStatus) -> PriceMatrix:
        return self.with_version(replace(self.versions[number], status=status))


def by_product(cells: tuple[PriceCell, ...]) -> dict[ProductId, tuple[PriceCell, ...]]:
    grouped: dict[ProductId, list[PriceCell]] = {}
    for cell in cells:
        grouped.setdefault(cell.product, []).append(cell)
    return {product: tuple(found) for product, found in grouped.items()}


class OpenPriceMatrix(Command[PriceMatrix]):
    """Begin a price matrix in one currency."""

    allowed = (Role.SALES, Role.MANAGER)

    code: Key
    name: Text
    currency: Currency

    def begins(self) -> PriceMatrixId:
        return PriceMatrixId.of(self.code)

    def decide(self, matrix: PriceMatrix) -> PriceMatrixOpened | None:
        if matrix.code and matrix.currency == self.currency:
            return None
        if matrix.code:
            raise Refused(
                "matrix.exists",
                f"{self.code} is already a matrix in {matrix.currency}",
                f"{self.code} 已是 {matrix.currency} 价格矩阵",
            )
        return PriceMatrixOpened(code=self.code, name=self.name, currency=self.currency)


class PriceMatrixOpened(Event[PriceMatrix]):
    code: str
    name: str
    currency: str

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return replace(matrix, code=self.code, currency=self.currency)


class DraftVersion(Command[PriceMatrix]):
    """Write a new version of all prices, to count from a day on once it is approved."""

    allowed = (Role.SALES, Role.MANAGER)

    effective_from: date
    cells: Cells

    def decide(self, matrix: PriceMatrix, by: str) -> VersionDrafted:
        matrix.must_take(self.cells)
        return VersionDrafted(
            number=len(matrix.versions) + 1,
            author=by,
            effective_from=self.effective_from,
            cells=self.cells,
        )


class VersionDrafted(Event[PriceMatrix]):
    number: int
    author: str
    effective_from: date
    cells: tuple[PriceCell, ...]

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        authors = frozenset((self.author,))
        cells = by_product(self.cells)
        return matrix.with_version(MatrixVersion(self.number, authors, self.effective_from, cells))


class EditDraft(Command[PriceMatrix]):
    """Write a draft anew; after submission nobody edits (P1)."""

    allowed = (Role.SALES, Role.MANAGER)

    version: Quantity
    effective_from: date
    cells: Cells

    def decide(self, matrix: PriceMatrix, by: str) -> DraftEdited | None:
        draft = matrix.version_to_change(self.version, VersionStatus.DRAFT)
        matrix.must_take(self.cells)
        written = (draft.effective_from, draft.cells)
        if written == (self.effective_from, by_product(self.cells)):
            return None
        return DraftEdited(
            number=self.version,
            author=by,
            effective_from=self.effective_from,
            cells=self.cells,
        )


class DraftEdited(Event[PriceMatrix]):
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


class SubmitVersion(Command[PriceMatrix]):
    """Hand a draft in for approval; it can no longer be edited (P1)."""

    allowed = (Role.SALES, Role.MANAGER)

    version: Quantity

    def decide(self, matrix: PriceMatrix) -> VersionSubmitted | None:
        if matrix.version(self.version).status is VersionStatus.IN_REVIEW:
            return None
        matrix.version_to_change(self.version, VersionStatus.DRAFT)
        return VersionSubmitted(number=self.version)


class VersionSubmitted(Event[PriceMatrix]):
    number: int

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(self.number, VersionStatus.IN_REVIEW)


class ApproveVersion(Command[PriceMatrix]):
    """Approve a submitted version; nobody approves what he wrote himself (P2)."""

    allowed = (Role.MANAGER,)

    version: Quantity

    def decide(self, matrix: PriceMatrix, by: str) -> VersionApproved | None:
        version = matrix.version(self.version)
        if version.status is VersionStatus.APPROVED:
            return None
        matrix.version_to_change(self.version, VersionStatus.IN_REVIEW)
        if by in version.authors:
            raise Refused(
                "matrix.approver_is_author",
                "a version is approved by somebody who did not write it",
                "价格版本须由编制人以外的人批准",
            )
        return VersionApproved(
            number=self.version, effective_from=version.effective_from, approver=by
        )


class VersionApproved(Event[PriceMatrix]):
    number: int
    effective_from: date
    approver: str

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(self.number, VersionStatus.APPROVED)


class RejectVersion(Command[PriceMatrix]):
    """Give a submitted version back to its authors."""

    allowed = (Role.MANAGER,)

    version: Quantity
    reason: Text

    def decide(self, matrix: PriceMatrix) -> VersionRejected | None:
        if matrix.version(self.version).status is VersionStatus.DRAFT:
            return None
        matrix.version_to_change(self.version, VersionStatus.IN_REVIEW)
        return VersionRejected(number=self.version, reason=self.reason)


class VersionRejected(Event[PriceMatrix]):
    number: int
    reason: str

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(self.number, VersionStatus.DRAFT)


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
        return matrix.with_status(self.number, VersionStatus.DISCARDED)


class RevokeVersion(Command[PriceMatrix]):
    """Take an approved version out of force; orders already placed keep their prices (D3)."""

    allowed = (Role.MANAGER,)

    version: Quantity
    reason: Text

    def decide(self, matrix: PriceMatrix) -> VersionRevoked | None:
        if matrix.version(self.version).status is VersionStatus.REVOKED:
            return None
        matrix.version_to_change(self.version, VersionStatus.APPROVED)
        return VersionRevoked(number=self.version, reason=self.reason)


class VersionRevoked(Event[PriceMatrix]):
    number: int
    reason: str

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        return matrix.with_status(self.number, VersionStatus.REVOKED)
