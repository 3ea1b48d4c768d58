"""Random lives of price matrices, compared with a list of versions that anybody could check."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
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
from tests.domain.terms.pricing import Prices

from medsales.company import Company
from medsales.domain.governance.approval import Approve, Reject
from medsales.domain.ids import CustomerId, PriceMatrixId, ProductId
from medsales.domain.kernel import Command, Refused
from medsales.domain.parties.customer import CustomerTier, HospitalGrade
from medsales.domain.terms.price_matrix import (
    AddCells,
    DiscardDraft,
    DraftVersion,
    EditDraft,
    PriceMatrix,
    ResumeVersion,
    RevokeVersion,
    ScheduleVersion,
    StartVersion,
    SubmitVersion,
    SuspendVersion,
    VersionStatus,
    WithdrawVersion,
)
from medsales.domain.terms.price_sheet import Buyer, PriceCell, PriceKind
from medsales.domain.values import Money

PRODUCTS = [ProductId.of("PUMP"), ProductId.of("STENT")]
FAMILY = "泵"
"""Both products are of it."""
REGIONS = ["华东", "华南"]
UNION = CustomerId.of("union")
DAYS = [date(2026, month, 1) for month in (1, 3, 5)]
MIDDLE = date(2026, 4, 15)
QUESTIONS = [
    (product, Buyer(customer=customer, region=region, tier=tier, grade=grade), quantity)
    for product in PRODUCTS
    for region in REGIONS
    for tier in (CustomerTier.A, CustomerTier.B)
    for customer, grade in ((UNION, HospitalGrade.GRADE_3A), (None, None))
    for quantity in (1, 10)
]


def made(  # noqa: PLR0913, PLR0917 - the dimensions of a cell
    subject: str, kind: PriceKind, dimensions: Any, least: int, price: int, half: str
) -> Any:
    """A cell that its rule can mean, of the first or second half of the year, or of all of it."""
    region, tier, grade = dimensions
    if kind is PriceKind.REGIONAL and not (region or tier or grade):
        region = REGIONS[0]
    own = {"family": FAMILY} if subject == FAMILY else {"product": subject}
    days = {"first": {"valid_until": MIDDLE - timedelta(1)}, "second": {"valid_from": MIDDLE}}
    return PriceCell.model_validate(
        {
            **own,
            "kind": kind,
            "customer": UNION if kind in list(PriceKind)[:3] else None,
            "region": None if kind is PriceKind.LIST else region,
            "tier": None if kind is PriceKind.LIST else tier,
            "grade": None if kind is PriceKind.LIST else grade,
            "min_quantity": least,
            "price": Money(amount=Decimal(price), currency="CNY"),
            **days.get(half, {}),
        }
    )


DIMENSIONS = st.tuples(
    st.sampled_from([None, *REGIONS]),
    st.sampled_from([None, CustomerTier.A]),
    st.sampled_from([None, HospitalGrade.GRADE_3A]),
)
CELLS = st.lists(
    st.builds(
        made,
        st.sampled_from([*PRODUCTS, FAMILY]),
        st.sampled_from(PriceKind),
        DIMENSIONS,
        st.sampled_from([1, 2, 10]),
        st.integers(-1, 50),
        st.sampled_from(["all", "all", "first", "second"]),
    ),
    min_size=1,
    max_size=8,
).map(tuple)
PEOPLE = st.sampled_from(["chen", "li", "wang"])
NUMBERS = st.integers(1, 4)
S = VersionStatus
COUNTS = {S.SCHEDULED, S.EFFECTIVE, S.SUPERSEDED, S.SUSPENDED}
lives = count()


@dataclass(frozen=True)
class Known:
    """A version as whoever followed the life by hand would have written it down."""

    since: date
    cells: tuple[PriceCell, ...]
    authors: frozenset[str]
    stage: VersionStatus = S.DRAFT
    """Effective stands for everything that counts and is not suspended."""
    submitters: frozenset[str] = frozenset()
    approver: str | None = None


def clash(cells: tuple[PriceCell, ...]) -> bool:
    """Whether somebody could be asked two prices by the same rule on one day, tried by day."""
    for on in (*DAYS, MIDDLE):
        seen = [
            (c.subject, c.rule, c.customer, c.grade, c.tier, c.region, c.min_quantity)
            for c in cells
            if c.first_day <= on <= c.last_day
        ]
        if len(seen) > len(set(seen)):
            return True
    return False


def good(cells: tuple[PriceCell, ...]) -> bool:
    return all(cell.price.amount >= 0 for cell in cells) and not clash(cells)


def ruling(known: dict[int, Known], on: date) -> int | None:
    begun = [
        (version.since, number)
        for number, version in known.items()
        if version.stage in COUNTS and version.since <= on
    ]
    return max(begun)[1] if begun else None


def best_by_hand(known: dict[int, Known], question: Any, on: date) -> Any:
    """The price by trying the rules from the most particular to the most general (P4)."""
    product, buyer, quantity = question
    number = ruling(known, on)
    if number is None:
        return "price.none"
    if known[number].stage is S.SUSPENDED:
        return "price.suspended"
    fitting = [
        cell
        for cell in known[number].cells
        if cell.subject in (product, FAMILY)
        and cell.customer in (None, buyer.customer)
        and cell.grade in (None, buyer.grade)
        and cell.tier in (None, buyer.tier)
        and cell.region in (None, buyer.region)
        and cell.min_quantity <= quantity
        and cell.first_day <= on <= cell.last_day
    ]
    ranked = sorted(
        fitting,
        key=lambda cell: (
            ["special", "award", "agreement", "regional", "list"].index(cell.rule),
            cell.product is None,
            cell.customer is None,
            cell.grade is None,
            cell.tier is None,
            cell.region is None,
            -cell.min_quantity,
        ),
    )
    return (number, ranked[0].price) if ranked else "price.none"


class PriceMatrixLives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.town = self.found()
        self.known: dict[int, Known] = {}

    def found(self) -> Town:
        """Where this life is lived."""
        return InMemory(now=datetime(2026, 2, 1, 12, tzinfo=UTC))

    @initialize()
    def begin(self) -> None:
        self.id = PriceMatrixId.of(f"CN-{next(lives)}")
        self.prices = Prices(self.town, self.id)

    @property
    def matrix(self) -> PriceMatrix:
        return self.prices.matrix

    @property
    def today(self) -> date:
        return self.town.now.date() if isinstance(self.town, InMemory) else date(2026, 12, 31)

    def tell(self, command: Command[Any], by: str, *, may: bool, id: str | None = None) -> bool:
        refusal = self.town.ask(command, id or self.id, by)
        assert (refusal is None) == may, f"{command!r} by {by}: {refusal}"
        return may

    def change(self, number: int, **what: Any) -> None:
        self.known[number] = replace(self.known[number], **what)

    def stage(self, number: int) -> VersionStatus | None:
        return self.known[number].stage if number in self.known else None

    @rule(by=PEOPLE, since=st.sampled_from(DAYS), cells=CELLS)
    def draft(self, by: str, since: date, cells: tuple[PriceCell, ...]) -> None:
        if self.tell(DraftVersion(effective_from=since, cells=cells), by, may=good(cells)):
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
            self.schedule(number, "chen")

    @rule(n=NUMBERS, by=PEOPLE, since=st.sampled_from(DAYS), cells=CELLS)
    def edit(self, n: int, by: str, since: date, cells: tuple[PriceCell, ...]) -> None:
        may = self.stage(n) is S.DRAFT and good(cells)
        before = self.matrix
        if self.tell(EditDraft(version=n, effective_from=since, cells=cells), by, may=may):
            new = frozenset() if self.matrix == before else frozenset((by,))
            self.change(n, since=since, cells=cells, authors=self.known[n].authors | new)

    @rule(n=NUMBERS, by=PEOPLE, cells=CELLS)
    def add(self, n: int, by: str, cells: tuple[PriceCell, ...]) -> None:
        together = (*self.known[n].cells, *cells) if n in self.known else cells
        may = self.stage(n) is S.DRAFT and good(together)
        if self.tell(AddCells(version=n, cells=cells), by, may=may):
            self.change(n, cells=together, authors=self.known[n].authors | {by})

    @rule(n=NUMBERS, by=PEOPLE)
    def submit(self, n: int, by: str) -> None:
        may = self.stage(n) in {S.DRAFT, S.IN_REVIEW}
        drafted = self.stage(n) is S.DRAFT
        if self.tell(SubmitVersion(version=n), by, may=may) and drafted:
            self.change(n, stage=S.IN_REVIEW, submitters=frozenset((by,)))

    @rule(n=NUMBERS, by=PEOPLE)
    def approve(self, n: int, by: str) -> None:
        """With the hash of the version as it is, at the approval it asked for last."""
        if self.stage(n) is not S.IN_REVIEW:
            return
        version = self.matrix.version(n)
        may = by not in self.known[n].authors | self.known[n].submitters
        approve = Approve(content_hash=version.content_hash)
        if self.tell(approve, by, may=may, id=version.approval):
            self.change(n, stage=S.APPROVED, approver=by)

    @rule(n=NUMBERS)
    def reject(self, n: int) -> None:
        if self.stage(n) is S.IN_REVIEW and not {"wang"} & (
            self.known[n].authors | self.known[n].submitters
        ):
            version = self.matrix.version(n)
            no = Reject(content_hash=version.content_hash, reason="too cheap")
            self.tell(no, "wang", may=True, id=version.approval)
            self.change(n, stage=S.DRAFT)

    @rule(n=NUMBERS, by=PEOPLE)
    def withdraw(self, n: int, by: str) -> None:
        may = self.stage(n) in {S.DRAFT, S.IN_REVIEW}
        if self.tell(WithdrawVersion(version=n, reason="a slip"), by, may=may):
            self.change(n, stage=S.DRAFT)

    @rule(n=NUMBERS, by=PEOPLE)
    def schedule(self, n: int, by: str) -> None:
        may = self.stage(n) in {S.APPROVED, *COUNTS}
        again = self.stage(n) is not S.APPROVED
        if self.tell(ScheduleVersion(version=n), by, may=may) and not again:
            self.change(n, stage=S.EFFECTIVE)

    @rule(days=st.integers(1, 60), late=st.booleans())
    def days_go_by(self, days: int, *, late: bool) -> None:
        """The timer rings for every version, at random in time or not; prices do not wait."""
        if isinstance(self.town, InMemory):
            self.town.now += timedelta(days=days)
        for n in self.known if not late else ():
            self.tell(StartVersion(version=n), "timer", may=True)

    @rule(n=NUMBERS)
    def discard(self, n: int) -> None:
        may = self.stage(n) in {S.DRAFT, S.DISCARDED}
        if self.tell(DiscardDraft(version=n), "li", may=may):
            self.change(n, stage=S.DISCARDED)

    @rule(n=NUMBERS)
    def suspend_or_resume(self, n: int) -> None:
        status = self.matrix.versions[n].status if n in self.known else None
        if status is S.SUSPENDED:
            self.tell(ResumeVersion(version=n, reason="fine"), "li", may=True)
            self.change(n, stage=S.EFFECTIVE)
        elif self.tell(SuspendVersion(version=n, reason="?"), "li", may=status is S.EFFECTIVE):
            self.change(n, stage=S.SUSPENDED)

    @rule(n=NUMBERS, sure=st.integers(0, 2))
    def revoke(self, n: int, sure: int) -> None:
        status = self.matrix.versions[n].status if n in self.known else None
        may = status in {S.APPROVED, S.SCHEDULED, S.SUSPENDED, S.REVOKED}
        if sure == 0 and self.tell(RevokeVersion(version=n, reason="a slip"), "li", may=may):
            self.change(n, stage=S.REVOKED)

    @invariant()
    def every_version_is_where_we_saw_it_go(self) -> None:
        counting = {S.SCHEDULED, S.EFFECTIVE, S.SUPERSEDED}
        assert {
            n: S.EFFECTIVE if version.status in counting else version.status
            for n, version in self.matrix.versions.items()
        } == {n: version.stage for n, version in self.known.items()}

    @invariant()
    def nobody_approved_what_he_wrote(self) -> None:
        for number, version in self.matrix.versions.items():
            assert self.known[number].approver not in version.authors, "P2"
            assert version.authors == self.known[number].authors

    @invariant()
    def at_most_one_version_is_effective_and_it_is_the_one_that_rules_today(self) -> None:
        effective = self.matrix.among(S.EFFECTIVE)
        assert len(effective) <= 1, "P3"
        waiting = any(v.effective_from <= self.today for v in self.matrix.among(S.SCHEDULED))
        rules = self.matrix.in_force(self.today)
        if rules and not waiting and rules.status is not S.SUSPENDED:
            assert effective == [rules]

    @invariant()
    def every_price_is_the_one_found_by_hand(self) -> None:
        """So at every moment there is one effective price per cell, or none."""
        for question in QUESTIONS:
            product, buyer, quantity = question
            for on in (date(2025, 12, 31), *DAYS, MIDDLE):
                answer: Any
                try:
                    found = self.prices.price(buyer, quantity, on, product, FAMILY)
                except Refused as refused:
                    answer = refused.code
                else:
                    answer = (found.version, found.price)
                assert answer == best_by_hand(self.known, question, on), "P4, P6"


def test_price_matrices_live_consistently_in_memory() -> None:
    run_state_machine_as_test(
        PriceMatrixLives,
        settings=settings(max_examples=60, stateful_step_count=20, deadline=None),
    )


def test_price_matrices_live_consistently_in_the_database(company: Company) -> None:
    town = InCompany(company)

    class LivesInCompany(PriceMatrixLives):
        def found(self) -> Town:
            return town

        def teardown(self) -> None:
            town.must_be_reproducible()

        @invariant()
        def every_price_is_the_one_found_by_hand(self) -> None:
            """Asked in memory; here it would take long."""

    run_state_machine_as_test(
        LivesInCompany, settings=settings(max_examples=4, stateful_step_count=15, deadline=None)
    )
