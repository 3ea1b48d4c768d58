from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from medsales.domain.ids import ProductId
from medsales.domain.kernel import Event, Refused
from medsales.domain.parties.customer import CustomerTier
from medsales.domain.terms.price_matrix import (
    ApproveVersion,
    DiscardDraft,
    DraftDiscarded,
    DraftEdited,
    DraftVersion,
    EditDraft,
    OpenPriceMatrix,
    PriceCell,
    PriceMatrix,
    PriceMatrixOpened,
    RejectVersion,
    RevokeVersion,
    SubmitVersion,
    VersionApproved,
    VersionDrafted,
    VersionRejected,
    VersionRevoked,
    VersionSubmitted,
)
from medsales.domain.values import Money
from medsales.testing import given

PUMP, STENT = ProductId("product:06901234567892"), ProductId("product:06901234567908")
A, B = CustomerTier.A, CustomerTier.B
JANUARY, MARCH, JUNE = date(2026, 1, 1), date(2026, 3, 1), date(2026, 6, 1)


def cell(  # noqa: PLR0913 - what a price may depend on
    price: str,
    *,
    product: ProductId = PUMP,
    region: str | None = None,
    tier: CustomerTier | None = None,
    min_quantity: int = 1,
    currency: str = "CNY",
) -> PriceCell:
    money = Money(amount=Decimal(price), currency=currency)
    return PriceCell(
        product=product, price=money, region=region, tier=tier, min_quantity=min_quantity
    )


LIST = cell("12000")
OPENED = PriceMatrixOpened(code="CN-2026", name="2026 中国", currency="CNY")
OPEN = OpenPriceMatrix(code="CN-2026", name="2026 中国", currency="CNY")
DRAFTED = VersionDrafted(number=1, author="chen", effective_from=JANUARY, cells=(LIST,))
SUBMITTED = VersionSubmitted(number=1)
APPROVED = VersionApproved(number=1, effective_from=JANUARY, approver="wang")
REJECTED = VersionRejected(number=1, reason="too cheap")
DISCARDED = DraftDiscarded(number=1)
REVOKED = VersionRevoked(number=1, reason="a typing error")
EDITED = DraftEdited(number=1, author="li", effective_from=MARCH, cells=(cell("11000"),))
EDIT = EditDraft(version=1, effective_from=MARCH, cells=(cell("11000"),))
DRAFT = DraftVersion(effective_from=JANUARY, cells=(LIST,))

IN_DRAFT = (OPENED, DRAFTED)
IN_REVIEW = (*IN_DRAFT, SUBMITTED)
IN_FORCE = (*IN_REVIEW, APPROVED)
STAGES: dict[str, tuple[Event[Any], ...]] = {
    "draft": IN_DRAFT,
    "in review": IN_REVIEW,
    "approved": IN_FORCE,
    "discarded": (*IN_DRAFT, DISCARDED),
    "revoked": (*IN_FORCE, REVOKED),
}


def test_a_matrix_is_opened_in_one_currency() -> None:
    outcome = given().when(OPEN).then(OPENED)
    assert outcome.subject == "price-matrix:CN-2026"


def test_opening_it_again_changes_nothing() -> None:
    given(OPENED).when(OPEN).then()


def test_a_matrix_keeps_its_currency() -> None:
    in_euro = OpenPriceMatrix(code="CN-2026", name="2026 中国", currency="EUR")
    given(OPENED).when(in_euro).refused("matrix.exists", "already a matrix in CNY")


def test_a_version_is_drafted_by_its_author() -> None:
    given(OPENED).when(DRAFT, by="chen").then(DRAFTED)


def test_versions_are_counted_and_a_discarded_number_is_not_used_again() -> None:
    drafted = given(*IN_DRAFT, DISCARDED).when(DRAFT).events[0]
    assert isinstance(drafted, VersionDrafted)
    assert drafted.number == 2


@pytest.mark.parametrize("write", [DraftVersion, EditDraft])
@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ((cell("12000", currency="EUR"),), "matrix.price_wrong"),
        ((cell("-1"),), "matrix.price_wrong"),
        ((LIST, cell("11000")), "matrix.cells_overlap"),
        (
            (cell("9", region="华东", tier=A), cell("8", region="华东", tier=A)),
            "matrix.cells_overlap",
        ),
    ],
    ids=["another currency", "a negative price", "two list prices", "two prices in one scope"],
)
def test_cells_are_prices_in_the_currency_of_the_matrix_one_per_scope_p3_p8(
    write: Any, cells: tuple[PriceCell, ...], code: str
) -> None:
    which = {"version": 1} if write is EditDraft else {}
    given(*IN_DRAFT).when(write(effective_from=JANUARY, cells=cells, **which)).refused(code)


def test_scopes_differ_by_product_region_tier_and_quantity_p3() -> None:
    cells = (
        LIST,
        cell("11", product=STENT),
        cell("10", region="华东"),
        cell("9", tier=A),
        cell("8", min_quantity=10),
    )
    outcome = given(OPENED).when(DraftVersion(effective_from=JANUARY, cells=cells))
    assert outcome.refusal is None


def test_a_price_is_a_decimal_with_a_currency_p8() -> None:
    assert cell("0.10").price + cell("0.20").price == cell("0.30").price
    with pytest.raises(ValidationError):
        Money(amount=Decimal("1.00001"), currency="CNY")


def test_a_draft_is_edited() -> None:
    given(*IN_DRAFT).when(EDIT, by="li").then(EDITED)


def test_an_edit_that_changes_nothing_is_not_recorded() -> None:
    given(*IN_DRAFT, EDITED).when(EDIT, by="zhao").then()


def test_a_draft_is_submitted() -> None:
    given(*IN_DRAFT).when(SubmitVersion(version=1)).then(SUBMITTED)


def test_a_submitted_version_is_approved_by_somebody_else() -> None:
    given(*IN_REVIEW).when(ApproveVersion(version=1), by="wang").then(APPROVED)


def test_nobody_approves_what_he_wrote_p2() -> None:
    given(*IN_REVIEW).when(ApproveVersion(version=1), by="chen").refused(
        "matrix.approver_is_author", "somebody who did not write it"
    )


def test_nobody_approves_what_he_edited_p2() -> None:
    given(*IN_DRAFT, EDITED, SUBMITTED).when(ApproveVersion(version=1), by="li").refused(
        "matrix.approver_is_author"
    )


def test_the_first_author_stays_an_author_after_an_edit_p2() -> None:
    given(*IN_DRAFT, EDITED, SUBMITTED).when(ApproveVersion(version=1), by="chen").refused(
        "matrix.approver_is_author"
    )


def test_a_submitted_version_is_given_back() -> None:
    given(*IN_REVIEW).when(RejectVersion(version=1, reason="too cheap")).then(REJECTED)


def test_a_rejected_version_is_a_draft_again() -> None:
    given(*IN_REVIEW, REJECTED).when(EDIT, by="li").then(EDITED)


def test_a_draft_is_thrown_away() -> None:
    given(*IN_DRAFT).when(DiscardDraft(version=1)).then(DISCARDED)


def test_an_approved_version_is_revoked() -> None:
    given(*IN_FORCE).when(RevokeVersion(version=1, reason="a typing error")).then(REVOKED)


WRONG_STAGES = [
    (EDIT, {"draft"}, set()),
    (SubmitVersion(version=1), {"draft"}, {"in review"}),
    (ApproveVersion(version=1), {"in review"}, {"approved"}),
    (RejectVersion(version=1, reason="too cheap"), {"in review"}, {"draft"}),
    (DiscardDraft(version=1), {"draft"}, {"discarded"}),
    (RevokeVersion(version=1, reason="a typing error"), {"approved"}, {"revoked"}),
]


@pytest.mark.parametrize(
    ("command", "stage"),
    [
        pytest.param(command, stage, id=f"{type(command).__name__} when {stage}")
        for command, right, repeated in WRONG_STAGES
        for stage in STAGES
        if stage not in right | repeated
    ],
)
def test_a_version_changes_only_in_its_stage_p1(command: Any, stage: str) -> None:
    given(*STAGES[stage]).when(command, by="wang").refused("matrix.version_wrong_stage")


@pytest.mark.parametrize(
    ("command", "stage"),
    [
        pytest.param(command, stage, id=f"{type(command).__name__} when {stage}")
        for command, _, repeated in WRONG_STAGES
        for stage in repeated
    ],
)
def test_asking_again_for_what_has_happened_changes_nothing(command: Any, stage: str) -> None:
    given(*STAGES[stage]).when(command, by="wang").then()


@pytest.mark.parametrize("command", [command for command, _, _ in WRONG_STAGES])
def test_a_version_that_was_never_drafted_is_unknown(command: Any) -> None:
    given(OPENED).when(command).refused("matrix.version_unknown", "no version 1 of CN-2026")


# How a price is found (P4, P6)


def matrix(*versions: tuple[date, tuple[PriceCell, ...]], opened: Any = OPENED) -> PriceMatrix:
    """A matrix whose versions are all approved."""
    state = PriceMatrix().after([opened])
    for number, (since, cells) in enumerate(versions, start=1):
        drafted = VersionDrafted(number=number, author="chen", effective_from=since, cells=cells)
        approved = VersionApproved(number=number, effective_from=since, approver="wang")
        state = state.after([drafted, approved])
    return state


EVERY_RULE = (
    cell("100"),
    cell("95", min_quantity=10),
    cell("90", region="华东"),
    cell("85", region="华东", min_quantity=10),
    cell("80", tier=A),
    cell("75", tier=A, min_quantity=10),
    cell("70", tier=A, region="华东"),
    cell("65", tier=A, region="华东", min_quantity=10),
)


@pytest.mark.parametrize(
    ("region", "tier", "quantity", "price", "rule"),
    [
        ("华南", B, 1, "100", "any tier, any region, from 1"),
        ("华南", B, 9, "100", "any tier, any region, from 1"),
        ("华南", B, 10, "95", "any tier, any region, from 10"),
        ("华东", B, 1, "90", "any tier, region 华东, from 1"),
        ("华东", B, 10, "85", "any tier, region 华东, from 10"),
        ("华南", A, 1, "80", "tier A, any region, from 1"),
        ("华南", A, 999, "75", "tier A, any region, from 10"),
        ("华东", A, 1, "70", "tier A, region 华东, from 1"),
        ("华东", A, 10, "65", "tier A, region 华东, from 10"),
    ],
)
@pytest.mark.parametrize("cells", [EVERY_RULE, EVERY_RULE[::-1]], ids=["in order", "reversed"])
def test_the_most_particular_price_wins_whatever_the_order_of_cells_p4(  # noqa: PLR0913, PLR0917
    cells: tuple[PriceCell, ...],
    region: str,
    tier: CustomerTier,
    quantity: int,
    price: str,
    rule: str,
) -> None:
    found = matrix((JANUARY, cells)).price(PUMP, region, tier, quantity, JUNE)
    assert found.price == Money(amount=Decimal(price), currency="CNY")
    assert found.path == ("CN-2026 version 1", "since 2026-01-01", rule)


def test_a_tier_comes_before_a_region_even_when_it_is_dearer_p4() -> None:
    both = matrix((JANUARY, (cell("90", region="华东"), cell("95", tier=A))))
    assert both.price(PUMP, "华东", A, 1, JUNE).path[-1] == "tier A, any region, from 1"


def test_a_particular_price_comes_before_a_higher_quantity_break_p4() -> None:
    both = matrix((JANUARY, (cell("50", min_quantity=10), cell("60", tier=A))))
    assert both.price(PUMP, "华东", A, 10, JUNE).path[-1] == "tier A, any region, from 1"


def test_resolving_is_pure_the_same_question_has_the_same_answer_p6() -> None:
    prices = matrix((JANUARY, EVERY_RULE))
    questions = [(region, tier) for region in ("华东", "华南") for tier in (A, B)]
    first = [prices.price(PUMP, region, tier, 5, JUNE) for region, tier in questions]
    again = [prices.price(PUMP, region, tier, 5, JUNE) for region, tier in questions[::-1]]
    assert first == again[::-1]
    assert prices == matrix((JANUARY, EVERY_RULE)), "asking changes nothing"


@pytest.mark.parametrize(
    ("product", "region", "tier", "quantity", "on"),
    [
        (STENT, "华东", A, 10, JUNE),
        (PUMP, "华南", A, 10, JUNE),
        (PUMP, "华东", B, 10, JUNE),
        (PUMP, "华东", A, 9, JUNE),
        (PUMP, "华东", A, 10, date(2025, 12, 31)),
    ],
    ids=[
        "another product",
        "another region",
        "another tier",
        "too few",
        "before the first version",
    ],
)
def test_where_no_cell_fits_there_is_no_price(
    product: ProductId, region: str, tier: CustomerTier, quantity: int, on: date
) -> None:
    prices = matrix((JANUARY, (cell("65", tier=A, region="华东", min_quantity=10),)))
    with pytest.raises(Refused) as refusal:
        prices.price(product, region, tier, quantity, on)
    assert refusal.value.code == "price.none"
    assert str(product) in refusal.value.sentence.en


@pytest.mark.parametrize(
    ("on", "version"),
    [
        (JANUARY, 1),
        (date(2026, 2, 28), 1),
        (MARCH, 2),
        (date(2026, 5, 31), 2),
        (JUNE, 3),
        (date(2030, 1, 1), 3),
    ],
)
def test_a_version_counts_from_its_day_until_the_next_begins_p3(on: date, version: int) -> None:
    prices = matrix((JANUARY, (LIST,)), (MARCH, (LIST,)), (JUNE, (LIST,)))
    assert prices.price(PUMP, "华东", A, 1, on).version == version


def test_of_two_versions_from_the_same_day_the_later_one_counts() -> None:
    prices = matrix((JANUARY, (cell("100"),)), (JANUARY, (cell("99"),)))
    found = prices.price(PUMP, "华东", A, 1, JUNE)
    assert (found.version, found.price.amount) == (2, Decimal(99))


def test_a_late_version_takes_effect_in_the_past_p7() -> None:
    prices = matrix((MARCH, (cell("100"),)), (JANUARY, (cell("99"),)))
    assert prices.price(PUMP, "华东", A, 1, date(2026, 2, 1)).version == 2
    assert prices.price(PUMP, "华东", A, 1, JUNE).version == 1


def test_a_version_replaces_all_prices_of_the_one_before() -> None:
    prices = matrix((JANUARY, (LIST, cell("800", product=STENT))), (MARCH, (LIST,)))
    with pytest.raises(Refused):
        prices.price(STENT, "华东", A, 1, JUNE)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "approved"])
def test_only_an_approved_version_counts(stage: str) -> None:
    with pytest.raises(Refused):
        PriceMatrix().after(STAGES[stage]).price(PUMP, "华东", A, 1, JUNE)


def test_after_a_revocation_the_version_before_counts_again() -> None:
    prices = matrix((JANUARY, (cell("100"),)), (MARCH, (cell("1"),)))
    corrected = prices.after([VersionRevoked(number=2, reason="a typing error")])
    assert corrected.price(PUMP, "华东", A, 1, JUNE).version == 1
