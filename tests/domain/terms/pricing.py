"""What examples of prices speak of: cells, and matrices whose versions went all the way."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from tests.domain.orders.towns import InMemory, Town

from medsales.domain.governance.approval import Approve
from medsales.domain.ids import CustomerId, PriceMatrixId, ProductId
from medsales.domain.kernel import Refused
from medsales.domain.parties.customer import CustomerTier, HospitalGrade
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    OpenPriceMatrix,
    PriceFound,
    PriceMatrix,
    PriceMatrixOpened,
    ScheduleVersion,
    SubmitVersion,
    VersionStatus,
)
from medsales.domain.terms.price_sheet import (
    Buyer,
    PriceCell,
    PriceException,
    PriceSheet,
    sheets_for,
)
from medsales.domain.values import Money

PUMP, STENT = ProductId("product:06901234567892"), ProductId("product:06901234567908")
UNION, CANCER = CustomerId("customer:union"), CustomerId("customer:cancer")
A, B, C = CustomerTier
BEST = HospitalGrade.GRADE_3A
JANUARY, MARCH, JUNE = date(2026, 1, 1), date(2026, 3, 1), date(2026, 6, 1)
MATRIX = PriceMatrixId("price-matrix:CN-2026")
OPEN = OpenPriceMatrix(code="CN-2026", name="2026 中国", currency="CNY", currencies=("USD",))
OPENED = PriceMatrixOpened(code="CN-2026", name="2026 中国", currency="CNY", currencies=("USD",))


def money(amount: str, currency: str = "CNY") -> Money:
    return Money(amount=Decimal(amount), currency=currency)


def cell(price: str, *, currency: str = "CNY", floor: str | None = None, **what: Any) -> PriceCell:
    """Of the pump, if no other product or family is named."""
    subject = {} if "family" in what else {"product": PUMP}
    lowest = {"floor": money(floor, currency)} if floor else {}
    return PriceCell(**{**subject, **lowest, **what}, price=money(price, currency))


def exception(name: str = "EX-1", pieces: int = 3, until: date = date(2026, 6, 30)) -> Any:
    return PriceException(name=name, max_quantity=pieces, until=until, reason="开业支持")


def buyer(
    region: str = "华东",
    tier: CustomerTier = A,
    grade: HospitalGrade | None = None,
    customer: CustomerId | None = UNION,
) -> Buyer:
    return Buyer(customer=customer, region=region, tier=tier, grade=grade)


class Prices:
    """A matrix in a town, whose versions are written by chen, approved by wang and, below the
    floor, by qian too."""

    def __init__(self, town: Town | None = None, id: PriceMatrixId = MATRIX) -> None:
        self.town = town or InMemory()
        self.id = id
        opening = OpenPriceMatrix(
            code=id.key, name="2026 中国", currency="CNY", currencies=("USD",)
        )
        assert self.town.ask(opening) is None

    @property
    def matrix(self) -> PriceMatrix:
        state = self.town.state(self.id)
        assert isinstance(state, PriceMatrix)
        return state

    def tell(self, command: Any, id: str | None = None, by: str = "chen") -> None:
        refusal = self.town.ask(command, id or self.id, by)
        assert refusal is None, f"{command!r}: {refusal}"

    def draft(self, cells: Iterable[PriceCell], since: date = JANUARY, **more: Any) -> int:
        self.tell(DraftVersion(effective_from=since, cells=tuple(cells), **more))
        return len(self.matrix.versions)

    def approve(self, number: int) -> None:
        self.tell(SubmitVersion(version=number))
        version = self.matrix.version(number)
        for approver in ("wang", "qian") if version.below_floor else ("wang",):
            self.tell(Approve(content_hash=version.hashed(self.id)), version.approval, approver)

    def publish(self, cells: Iterable[PriceCell], since: date = JANUARY, **more: Any) -> int:
        number = self.draft(cells, since, **more)
        self.approve(number)
        self.tell(ScheduleVersion(version=number))
        return number

    def status(self, number: int) -> VersionStatus:
        return self.matrix.version(number).status

    def sheets(self, product: ProductId = PUMP, family: str | None = None) -> list[PriceSheet]:
        states = [self.town.state(id) for id in sheets_for(self.id, [(product, family)])]
        return [state for state in states if isinstance(state, PriceSheet)]

    def price(  # noqa: PLR0913, PLR0917 - what a price depends on
        self,
        who: Buyer | None = None,
        quantity: int = 1,
        on: date = JUNE,
        product: ProductId = PUMP,
        family: str | None = None,
        currency: str | None = None,
    ) -> PriceFound:
        sheets = self.sheets(product, family)
        return self.matrix.price(sheets, product, family, who or buyer(), quantity, on, currency)

    def refusal(self, *args: Any, **asked: Any) -> str | None:
        try:
            self.price(*args, **asked)
        except Refused as refused:
            return refused.code
        return None


def published(*versions: tuple[date, Iterable[PriceCell]]) -> Prices:
    prices = Prices()
    for since, cells in versions:
        prices.publish(cells, since)
    return prices
