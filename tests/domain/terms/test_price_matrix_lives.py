"""Random lives of price matrices, compared with a list of versions that anybody could check."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.domain.orders.towns import InCompany, InMemory, Town

from medsales.company import Company
from medsales.domain.ids import PriceMatrixId, ProductId
from medsales.domain.kernel import Command, Refused
from medsales.domain.parties.customer import CustomerTier
from medsales.domain.terms.price_matrix import (
    ApproveVersion,
    DiscardDraft,
    DraftVersion,
    EditDraft,
    OpenPriceMatrix,
    PriceCell,
    PriceMatrix,
    RejectVersion,
    RevokeVersion,
    SubmitVersion,
    VersionStatus,
)
from medsales.domain.values import Money

PRODUCTS = [ProductId.of("PUMP"), ProductId.of("STENT")]
REGIONS = ["华东", "华南"]
DAYS = [date(2026, month, 1) for month in (1, 2, 3)]
QUESTIONS = [
    (product, region, tier, quantity)
    for product in PRODUCTS
    for region in REGIONS
    for tier in (CustomerTier.A, CustomerTier.B)
    for quantity in (1, 10)
]
CELLS = st.lists(
    st.builds(
        PriceCell,
        product=st.sampled_from(PRODUCTS),
        price=st.integers(-1, 50).map(lambda n: Money(amount=Decimal(n), currency="CNY")),
        region=st.sampled_from([None, *REGIONS]),
        tier=st.sampled_from([None, CustomerTier.A]),
        min_quantity=st.sampled_from([1, 2, 10]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda cell: cell.scope,
).map(tuple)
PEOPLE = st.sampled_from(["chen", "li", "wang"])
NUMBERS = st.integers(1, 4)
lives = count()


@dataclass(frozen=True)
class Known:
    """A version as whoever followed the life by hand would have written it down."""

    since: date
    cells: tuple[PriceCell, ...]
    authors: frozenset[str]
    stage: VersionStatus = VersionStatus.DRAFT
    approver: str | None = None


def best_by_hand(known: dict[int, Known], question: Any, on: date) -> tuple[int, Money] | None:
    """The price by trying the rules from the most particular to the most general (P4)."""
    product, region, tier, quantity = question
    begun = [
        (version.since, number)
        for number, version in known.items()
        if version.stage is VersionStatus.APPROVED and version.since <= on
    ]
    if not begun:
        return None
    _, number = max(begun)
    for wanted in ((tier, region), (tier, None), (None, region), (None, None)):
        for least in range(quantity, 0, -1):
            for cell in known[number].cells:
                if (cell.product, (cell.tier, cell.region), cell.min_quantity) == (
                    product,
                    wanted,
                    least,
                ):
                    return number, cell.price
    return None


class PriceMatrixLives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.town = self.found()
        self.id = PriceMatrixId.of(f"CN-{next(lives)}")
        self.known: dict[int, Known] = {}

    def found(self) -> Town:
        """Where this life is lived."""
        return InMemory()

    @initialize()
    def begin(self) -> None:
        code = self.id.partition(":")[2]
        assert self.town.ask(OpenPriceMatrix(code=code, name="中国", currency="CNY")) is None

    @property
    def matrix(self) -> PriceMatrix:
        state = self.town.state(self.id)
        assert isinstance(state, PriceMatrix)
        return state

    def tell(self, command: Command[Any], by: str, *, may: bool) -> bool:
        refusal = self.town.ask(command, self.id, by)
        assert (refusal is None) == may, f"{command!r} by {by}: {refusal}"
        return may

    def change(self, number: int, **what: Any) -> None:
        self.known[number] = replace(self.known[number], **what)

    def stage(self, number: int) -> VersionStatus | None:
        return self.known[number].stage if number in self.known else None

    @rule(by=PEOPLE, since=st.sampled_from(DAYS), cells=CELLS)
    def draft(self, by: str, since: date, cells: tuple[PriceCell, ...]) -> None:
        may = all(cell.price.amount >= 0 for cell in cells)
        if self.tell(DraftVersion(effective_from=since, cells=cells), by, may=may):
            self.known[len(self.known) + 1] = Known(since, cells, frozenset((by,)))

    @rule(since=st.sampled_from(DAYS), cells=CELLS, editor=st.sampled_from([None, "li"]))
    def publish(self, since: date, cells: tuple[PriceCell, ...], editor: str | None) -> None:
        """A version all the way: everybody tries to approve it, at last wang, who only read it."""
        before = len(self.known)
        self.draft("chen", since, cells)
        number = len(self.known)
        if number > before:
            if editor:
                self.edit(number, editor, DAYS[0], cells)
            self.submit(number, "chen")
            for person in ("chen", "li", "wang"):
                self.approve(number, person)

    @rule(n=NUMBERS, by=PEOPLE, since=st.sampled_from(DAYS), cells=CELLS)
    def edit(self, n: int, by: str, since: date, cells: tuple[PriceCell, ...]) -> None:
        in_draft = self.stage(n) is VersionStatus.DRAFT
        may = in_draft and all(cell.price.amount >= 0 for cell in cells)
        before = self.matrix
        if self.tell(EditDraft(version=n, effective_from=since, cells=cells), by, may=may):
            new = frozenset() if self.matrix == before else frozenset((by,))
            self.change(n, since=since, cells=cells, authors=self.known[n].authors | new)

    @rule(n=NUMBERS, by=PEOPLE)
    def submit(self, n: int, by: str) -> None:
        may = self.stage(n) in (VersionStatus.DRAFT, VersionStatus.IN_REVIEW)
        if self.tell(SubmitVersion(version=n), by, may=may):
            self.change(n, stage=VersionStatus.IN_REVIEW)

    @rule(n=NUMBERS, by=PEOPLE)
    def approve(self, n: int, by: str) -> None:
        stage = self.stage(n)
        again = stage is VersionStatus.APPROVED
        fresh = stage is VersionStatus.IN_REVIEW and by not in self.known[n].authors
        if self.tell(ApproveVersion(version=n), by, may=again or fresh) and fresh:
            self.change(n, stage=VersionStatus.APPROVED, approver=by)

    @rule(n=NUMBERS, by=PEOPLE)
    def reject(self, n: int, by: str) -> None:
        may = self.stage(n) in (VersionStatus.DRAFT, VersionStatus.IN_REVIEW)
        if self.tell(RejectVersion(version=n, reason="too cheap"), by, may=may):
            self.change(n, stage=VersionStatus.DRAFT)

    @rule(n=NUMBERS, by=PEOPLE, sure=st.integers(0, 3))
    def discard(self, n: int, by: str, sure: int) -> None:
        may = self.stage(n) in (VersionStatus.DRAFT, VersionStatus.DISCARDED)
        if sure == 0 and self.tell(DiscardDraft(version=n), by, may=may):
            self.change(n, stage=VersionStatus.DISCARDED)

    @rule(n=NUMBERS, by=PEOPLE, sure=st.integers(0, 3))
    def revoke(self, n: int, by: str, sure: int) -> None:
        may = self.stage(n) in (VersionStatus.APPROVED, VersionStatus.REVOKED)
        if sure == 0 and self.tell(RevokeVersion(version=n, reason="a slip"), by, may=may):
            self.change(n, stage=VersionStatus.REVOKED)

    @invariant()
    def every_version_is_where_we_saw_it_go(self) -> None:
        versions = self.matrix.versions
        assert {n: version.status for n, version in versions.items()} == {
            n: version.stage for n, version in self.known.items()
        }

    @invariant()
    def nobody_approved_what_he_wrote(self) -> None:
        for number, version in self.matrix.versions.items():
            assert self.known[number].approver not in version.authors, "P2"

    @invariant()
    def cells_are_those_written_last_and_never_change_once_approved(self) -> None:
        for number, version in self.matrix.versions.items():
            cells = [cell for some in version.cells.values() for cell in some]
            assert {cell.scope: cell.price for cell in cells} == {
                cell.scope: cell.price for cell in self.known[number].cells
            }, "P1"

    @invariant()
    def at_any_date_at_most_one_version_is_in_force(self) -> None:
        matrix = self.matrix
        assert matrix.in_force(date(2025, 12, 31)) is None
        for on in DAYS:
            begun = [
                (version.effective_from, number)
                for number, version in matrix.versions.items()
                if version.status is VersionStatus.APPROVED and version.effective_from <= on
            ]
            found = matrix.in_force(on)
            assert (found and (found.effective_from, found.number)) == max(begun, default=None)

    @invariant()
    def a_price_is_the_one_found_by_hand(self) -> None:
        matrix = self.matrix
        for question in QUESTIONS:
            for on in DAYS:
                try:
                    found = matrix.price(*question, on)
                except Refused:
                    answer = None
                else:
                    answer = (found.version, found.price)
                assert answer == best_by_hand(self.known, question, on), "P4, P6"


def test_price_matrices_live_consistently_in_memory() -> None:
    run_state_machine_as_test(
        PriceMatrixLives,
        settings=settings(max_examples=50, stateful_step_count=20, deadline=None),
    )


def test_price_matrices_live_consistently_in_the_database(company: Company) -> None:
    town = InCompany(company)

    class LivesInCompany(PriceMatrixLives):
        def found(self) -> Town:
            return town

        def teardown(self) -> None:
            town.must_be_reproducible()

    run_state_machine_as_test(
        LivesInCompany, settings=settings(max_examples=5, stateful_step_count=15, deadline=None)
    )
