from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError
from tests.domain.terms.pricing import (
    BEST,
    CANCER,
    JANUARY,
    JUNE,
    MARCH,
    MATRIX,
    OPEN,
    OPENED,
    PUMP,
    STENT,
    UNION,
    A,
    B,
    Prices,
    buyer,
    cell,
    exception,
    money,
    published,
)

from medsales.domain.governance.approval import ApprovalRequested, Approve, Reject
from medsales.domain.ids import ApprovalId, PriceSheetId, ProductId
from medsales.domain.kernel import Event, Refused
from medsales.domain.parties.customer import CustomerTier
from medsales.domain.terms.price_matrix import (
    AddCells,
    CellsAdded,
    DiscardDraft,
    DraftDiscarded,
    DraftEdited,
    DraftVersion,
    EditDraft,
    MatrixVersionApproved,
    MatrixVersionDrafted,
    MatrixVersionRewritten,
    OpenPriceMatrix,
    PriceMatrix,
    PriceMatrixOpened,
    ResumeVersion,
    RevokeVersion,
    ScheduleVersion,
    StartVersion,
    SubmitVersion,
    SuspendVersion,
    VersionApproved,
    VersionDrafted,
    VersionRejected,
    VersionRevoked,
    VersionScheduled,
    VersionStarted,
    VersionStatus,
    VersionSubmitted,
    VersionSuspended,
    VersionWithdrawn,
    WithdrawVersion,
)
from medsales.domain.terms.price_sheet import (
    Buyer,
    ExceptionReturned,
    ExceptionTaken,
    PriceCell,
    ReturnException,
    SheetWritten,
    TakeException,
    WriteSheet,
)
from medsales.domain.values import Money
from medsales.testing import given

LIST = cell("12000")
DRAFT = DraftVersion(effective_from=JANUARY, cells=(LIST,))
EDIT = EditDraft(version=1, effective_from=MARCH, cells=(cell("11000"),))
APPROVAL = ApprovalId("approval:price-matrix:CN-2026:1")
SHEET = PriceSheetId("price-sheet:CN-2026:product:06901234567892")
HASH = DRAFT.content(MATRIX, 1)


def drafted(since: date = JANUARY, number: int = 1) -> MatrixVersionDrafted:
    draft = DraftVersion(effective_from=since, cells=(LIST,))
    return MatrixVersionDrafted(
        number=number,
        author="chen",
        effective_from=since,
        cells=1,
        content_hash=draft.content(MATRIX, number),
        deepest_discount=Decimal("0.00"),
        below_floor=False,
    )


DRAFTED = drafted()
SUBMITTED = VersionSubmitted(number=1, approval=APPROVAL, content_hash=HASH)
APPROVED = MatrixVersionApproved(
    number=1, approval=APPROVAL, content_hash=HASH, approvers=("wang",)
)
SCHEDULED = VersionScheduled(number=1, effective_from=JANUARY, late=True)
STARTED = VersionStarted(number=1)
REWRITTEN = MatrixVersionRewritten(
    number=1,
    edition=2,
    author="li",
    effective_from=MARCH,
    cells=1,
    content_hash=DraftVersion(effective_from=MARCH, cells=EDIT.cells).content(MATRIX, 1),
    deepest_discount=Decimal("0.00"),
    below_floor=False,
)
DISCARDED = DraftDiscarded(number=1)
SUSPENDED = VersionSuspended(number=1, reason="a doubt")
REVOKED = VersionRevoked(number=1, reason="a typing error")

IN_DRAFT = (OPENED, DRAFTED)
IN_REVIEW = (*IN_DRAFT, SUBMITTED)
IS_APPROVED = (*IN_REVIEW, APPROVED)
IS_SCHEDULED = (*IS_APPROVED, SCHEDULED)
IN_FORCE = (*IS_SCHEDULED, STARTED)
STAGES: dict[str, tuple[Event[Any], ...]] = {
    "draft": IN_DRAFT,
    "in review": IN_REVIEW,
    "approved": IS_APPROVED,
    "scheduled": IS_SCHEDULED,
    "effective": IN_FORCE,
    "superseded": (*IN_FORCE, VersionStarted(number=1, superseded=(1,))),
    "suspended": (*IN_FORCE, SUSPENDED),
    "discarded": (*IN_DRAFT, DISCARDED),
    "revoked": (*IS_APPROVED, REVOKED),
}


def asked() -> dict[str, list[Event[Any]]]:
    """The approval that a submitted version waits for."""
    outcome = given(*IN_DRAFT).when(SubmitVersion(version=1), MATRIX, by="chen")
    return outcome.also


# A matrix -----------------------------------------------------------------------------------------


def test_a_matrix_is_opened_in_its_currencies() -> None:
    outcome = given().when(OPEN).then(OPENED)
    assert outcome.subject == MATRIX


def test_opening_it_again_changes_nothing() -> None:
    given(OPENED).when(OPEN).then()


def test_a_matrix_keeps_its_currencies() -> None:
    in_euro = OpenPriceMatrix(code="CN-2026", name="2026 中国", currency="EUR")
    given(OPENED).when(in_euro).refused("matrix.exists", "already a matrix in CNY/USD")


# Writing a version --------------------------------------------------------------------------------


def test_a_version_is_drafted_and_its_cells_are_written_into_sheets() -> None:
    outcome = given(OPENED).when(DRAFT, MATRIX, by="chen").then(DRAFTED)
    assert outcome.also == {
        SHEET: [SheetWritten(price_matrix=MATRIX, version=1, edition=1, cells=(LIST,))]
    }


def test_versions_are_counted_and_a_discarded_number_is_not_used_again() -> None:
    (drafted,) = given(*IN_DRAFT, DISCARDED).when(DRAFT, MATRIX).events
    assert isinstance(drafted, MatrixVersionDrafted)
    assert drafted.number == 2


def test_a_large_version_comes_in_several_commands_and_its_hash_follows_all_of_them() -> None:
    prices = Prices()
    prices.draft([LIST])
    before = prices.matrix.version(1).content_hash
    prices.tell(AddCells(version=1, cells=(cell("9", product=STENT),)), by="li")
    version = prices.matrix.version(1)
    assert version.content_hash != before
    assert version.authors == {"chen", "li"}
    prices.approve(1)
    prices.tell(ScheduleVersion(version=1))
    assert prices.price().price == money("12000")
    assert prices.price(product=STENT).price == money("9")


def test_a_draft_that_is_written_anew_says_nothing_else_any_more() -> None:
    """P1. A sheet that the new edition does not touch no longer counts."""
    prices = Prices()
    prices.draft([LIST, cell("9", product=STENT)])
    prices.tell(EditDraft(version=1, effective_from=JANUARY, cells=(cell("11000"),)))
    prices.approve(1)
    prices.tell(ScheduleVersion(version=1))
    assert prices.price().price == money("11000")
    assert prices.refusal(product=STENT) == "price.none"


def test_a_draft_is_edited() -> None:
    given(*IN_DRAFT).when(EDIT, MATRIX, by="li").then(REWRITTEN)


def test_an_edit_that_changes_nothing_is_not_recorded() -> None:
    given(*IN_DRAFT, REWRITTEN).when(EDIT, MATRIX, by="zhao").then()


WRONG = [
    ("matrix.price_wrong", cell("12000", currency="EUR")),
    ("matrix.price_wrong", cell("-1")),
    ("matrix.price_wrong", cell("1", floor="-1")),
    ("matrix.cell_wrong", cell("9", kind="special")),
    ("matrix.cell_wrong", cell("9", kind="agreement", region="华东")),
    ("matrix.cell_wrong", cell("9", kind="award")),
    ("matrix.cell_wrong", cell("9", customer=UNION)),
    ("matrix.cell_wrong", cell("9", kind="regional")),
    ("matrix.cell_wrong", cell("9", kind="list", tier=A)),
    ("matrix.days_wrong", cell("9", valid_from=MARCH, valid_until=JANUARY)),
    ("matrix.subject_wrong", cell("9", family="泵", product=PUMP)),
    ("matrix.subject_wrong", PriceCell(price=money("9"))),
    ("matrix.below_floor", cell("79", floor="80")),
]


@pytest.mark.parametrize("write", [DraftVersion, EditDraft, AddCells])
@pytest.mark.parametrize(("code", "wrong"), WRONG)
def test_a_cell_says_one_thing_that_its_rule_can_mean_p5_p8(
    write: Any, code: str, wrong: PriceCell
) -> None:
    ways: dict[Any, dict[str, Any]] = {
        DraftVersion: {"effective_from": JANUARY},
        EditDraft: {"effective_from": JANUARY, "version": 1},
        AddCells: {"version": 1},
    }
    given(*IN_DRAFT).when(write(**ways[write], cells=(wrong,)), MATRIX).refused(code)


def test_a_price_is_a_decimal_with_a_currency_p8() -> None:
    assert cell("0.10").price + cell("0.20").price == cell("0.30").price
    with pytest.raises(ValidationError):
        Money(amount=Decimal("1.00001"), currency="CNY")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (LIST, cell("11000")),
        (cell("9", region="华东", tier=A), cell("8", region="华东", tier=A)),
        (
            cell("9", kind="special", customer=UNION, valid_until=date(2026, 3, 31)),
            cell("8", kind="special", customer=UNION, valid_from=MARCH),
        ),
        (cell("9", family="泵"), cell("8", family="泵")),
    ],
    ids=["two list prices", "one scope", "days that overlap", "a family"],
)
@pytest.mark.parametrize("later", [False, True], ids=["in one command", "in two"])
def test_two_cells_with_one_rank_on_the_same_days_are_refused_with_both_named_p3_p4(
    one: PriceCell, two: PriceCell, *, later: bool
) -> None:
    prices = Prices()
    if later:
        prices.draft([one])
        refused = prices.town.ask(AddCells(version=1, cells=(two,)), MATRIX)
    else:
        refused = prices.town.ask(DraftVersion(effective_from=JANUARY, cells=(one, two)), MATRIX)
    assert refused is not None
    assert refused.code == "matrix.cells_overlap"
    for said in (one, two):
        assert f"{said.price} ({said.sentence.en})" in refused.sentence.en
        assert f"{said.price} ({said.sentence.zh})" in refused.sentence.zh


def test_cells_differ_by_every_dimension_and_by_their_days_p3() -> None:
    prices = published((JANUARY, EVERY_RULE))
    assert prices.status(1) is VersionStatus.EFFECTIVE
    quarters = [
        cell("3", kind="special", customer=UNION, valid_until=date(2026, 3, 31)),
        cell("4", kind="special", customer=UNION, valid_from=date(2026, 4, 1)),
    ]
    parted = published((JANUARY, [LIST, *quarters]))
    assert parted.price(on=date(2026, 3, 31)).price == money("3")
    assert parted.price(on=date(2026, 4, 1)).price == money("4")


def test_a_cell_of_one_matrix_is_no_matter_of_another() -> None:
    prices = published((JANUARY, [LIST]))
    other = Prices(prices.town, type(MATRIX)("price-matrix:US-2026"))
    other.publish([cell("1", currency="USD")])
    assert other.price(currency="USD").price == money("1", "USD")
    assert prices.refusal(currency="USD") == "price.none"


def test_names_that_are_too_long_for_an_id_are_refused() -> None:
    long = cell("1", product=ProductId("product:" + "9" * 190))
    draft = DraftVersion(effective_from=JANUARY, cells=(long,))
    given(OPENED).when(draft, MATRIX).refused("id.too_long")


# Floors and exceptions (P5) -----------------------------------------------------------------------


def test_no_cell_is_below_the_floor_of_the_list_price_beside_it_p5() -> None:
    listed, cheap = cell("100", floor="80"), cell("79", tier=A)
    prices = Prices()
    for order in ((listed, cheap), (cheap, listed)):
        draft = DraftVersion(effective_from=JANUARY, cells=order)
        refused = prices.town.ask(draft, MATRIX)
        assert refused is not None
        assert refused.code == "matrix.below_floor"
    prices.draft([cheap])
    refused = prices.town.ask(AddCells(version=1, cells=(listed,)), MATRIX)
    assert refused is not None
    assert "79 CNY is below the floor 80 CNY" in refused.sentence.en


def test_a_named_exception_lets_a_price_below_the_floor_and_says_so_p5() -> None:
    cheap = cell("79", kind="special", customer=UNION, exception=exception())
    prices = published((JANUARY, [cell("100", floor="80"), cheap]))
    found = prices.price()
    assert (found.price, found.floor, found.exception) == (money("79"), money("80"), "EX-1")
    assert found.path[-1] == "exception EX-1 until 2026-06-30"
    assert found.sheet == SHEET
    assert found.valid_until == date(2026, 6, 30)
    assert prices.price(buyer(customer=CANCER)).price == money("100")


def test_an_exception_ends_with_its_last_day_p5() -> None:
    cheap = cell("79", tier=A, exception=exception(until=date(2026, 6, 30)))
    prices = published((JANUARY, [cell("100", floor="80"), cheap]))
    assert prices.price(on=date(2026, 6, 30)).price == money("79")
    assert prices.price(on=date(2026, 7, 1)).price == money("100")


def test_an_exception_ends_with_its_last_piece_p5() -> None:
    cheap = cell("79", tier=A, exception=exception(pieces=3))
    prices = published((JANUARY, [cell("100", floor="80"), cheap]))
    assert prices.price(quantity=4).price == money("100"), "the order as a whole"
    take = TakeException(order="order:1", name="EX-1", version=1, quantity=2)
    prices.tell(take, SHEET)
    assert prices.price(quantity=2).price == money("100")
    assert prices.price(quantity=1).price == money("79")
    prices.tell(ReturnException(order="order:1", name="EX-1", quantity=5), SHEET)
    assert prices.price(quantity=3).price == money("79")


CHEAP = SheetWritten(
    price_matrix=MATRIX,
    version=1,
    edition=1,
    cells=(cell("79", floor="80", exception=exception(pieces=3)),),
)
TWO = ExceptionTaken(order="order:1", name="EX-1", version=1, quantity=2)


def test_what_an_order_takes_of_an_exception_is_counted_p5() -> None:
    take = TakeException(order="order:1", name="EX-1", version=1, quantity=2)
    given(CHEAP).when(take, SHEET).then(TWO)
    given(CHEAP, TWO).when(take, SHEET).refused(
        "price.exception_used_up", "covers 1 more pieces, not 2"
    )


def test_an_exception_that_is_not_there_cannot_be_taken() -> None:
    take = TakeException(order="order:1", name="EX-9", version=1, quantity=2)
    given(CHEAP).when(take, SHEET).refused("price.exception_unknown")


def test_an_order_gives_back_at_most_what_it_took() -> None:
    back = ReturnException(order="order:1", name="EX-1", quantity=5)
    given(CHEAP, TWO).when(back, SHEET).then(
        ExceptionReturned(order="order:1", name="EX-1", quantity=2)
    )
    given(CHEAP).when(back, SHEET).then()


def test_an_exception_has_one_limit_p5() -> None:
    cells = [
        cell("79", floor="80", tier=tier, exception=exception(pieces=pieces))
        for tier, pieces in ((A, 3), (B, 30))
    ]
    draft = DraftVersion(effective_from=JANUARY, cells=tuple(cells))
    given(OPENED).when(draft, MATRIX).refused("matrix.exception_differs", "EX-1")


def test_an_exception_keeps_its_count_when_the_next_version_names_it_again_p5() -> None:
    cells = [cell("100", floor="80"), cell("79", tier=A, exception=exception(pieces=3))]
    prices = published((JANUARY, cells))
    prices.tell(TakeException(order="order:1", name="EX-1", version=1, quantity=3), SHEET)
    prices.publish(cells, MARCH)
    assert prices.price().price == money("100")


# Approval (P1, P2) --------------------------------------------------------------------------------


def test_a_submitted_version_asks_for_approval_of_exactly_what_it_says_p2() -> None:
    outcome = given(*IN_DRAFT).when(SubmitVersion(version=1), MATRIX, by="chen").then(SUBMITTED)
    request = outcome.also[APPROVAL][0]
    assert isinstance(request, ApprovalRequested)
    assert (request.version, request.content_hash, request.authors) == (1, HASH, ("chen",))


@pytest.mark.parametrize(
    ("cells", "discount", "flags"),
    [
        ([cell("100"), cell("88", tier=A)], "12.00", ()),
        ([cell("100", floor="90"), cell("80", tier=A, exception=exception())], "20.00",
         ("below_floor",)),
        ([cell("60")], "50.00", ()),
        ([cell("150")], "0", ()),
    ],
    ids=["off the list in force", "below the floor", "a cheaper list", "dearer"],
)  # fmt: skip
def test_the_level_of_approval_follows_from_the_discount_p2(
    cells: list[PriceCell], discount: str, flags: tuple[str, ...]
) -> None:
    """Off the list price in force: 120 for one that has none yet."""
    prices = Prices()
    prices.publish([cell("120")]) if len(cells) == 1 else None
    number = prices.draft(cells, MARCH)
    prices.tell(SubmitVersion(version=number))
    approval = prices.matrix.version(number).approval
    case = prices.town.streams[str(approval)][0].case  # type: ignore[attr-defined]
    assert (case.discount, case.flags) == (Decimal(discount), flags)


def test_nobody_approves_what_he_wrote_or_edited_p2() -> None:
    prices = Prices()
    prices.draft([LIST])
    prices.tell(EditDraft(version=1, effective_from=JANUARY, cells=(cell("11000"),)), by="li")
    prices.tell(SubmitVersion(version=1), by="zhao")
    version = prices.matrix.version(1)
    approve = Approve(content_hash=version.content_hash)
    for person in ("chen", "li", "zhao"):
        refused = prices.town.ask(approve, version.approval, person)
        assert refused is not None
        assert refused.code == "approval.approver_is_author"
    prices.tell(approve, version.approval, "wang")
    assert prices.status(1) is VersionStatus.APPROVED


def test_the_verdict_comes_in_the_same_decision_as_the_last_step_p2() -> None:
    approve = Approve(content_hash=HASH)
    others = {**asked(), MATRIX: IN_REVIEW}
    history = others.pop(APPROVAL)
    outcome = given(*history, others=others).when(approve, APPROVAL, by="wang")
    assert outcome.also == {MATRIX: [APPROVED]}


def test_a_rejected_version_is_a_draft_again() -> None:
    prices = Prices()
    prices.draft([LIST])
    prices.tell(SubmitVersion(version=1))
    version = prices.matrix.version(1)
    reject = Reject(content_hash=version.content_hash, reason="too cheap")
    prices.tell(reject, version.approval, "wang")
    assert prices.status(1) is VersionStatus.DRAFT
    prices.tell(EDIT)


def test_a_verdict_about_something_else_is_refused_p2() -> None:
    """An approval of version 1 that was voided in between, or one of another content."""
    prices = Prices()
    prices.draft([LIST])
    prices.tell(SubmitVersion(version=1))
    stale = prices.matrix.version(1)
    prices.tell(WithdrawVersion(version=1, reason="a typing error"))
    refused = prices.town.ask(Approve(content_hash=stale.content_hash), stale.approval, "wang")
    assert refused is not None
    assert refused.code == "approval.closed"
    prices.tell(EDIT)
    prices.tell(SubmitVersion(version=1))
    current = prices.matrix.version(1)
    assert current.approval != stale.approval
    refused = prices.town.ask(Approve(content_hash=stale.content_hash), current.approval, "wang")
    assert refused is not None
    assert refused.code == "approval.content_moved"


def test_a_submitted_version_is_taken_back_and_its_approval_is_void() -> None:
    withdraw = WithdrawVersion(version=1, reason="a typing error")
    outcome = given(*IN_REVIEW, others=asked()).when(withdraw, MATRIX)
    outcome.then(VersionWithdrawn(number=1, reason="a typing error"))
    assert [type(event).__name__ for event in outcome.also[APPROVAL]] == ["ApprovalVoided"]


def test_a_draft_is_thrown_away() -> None:
    given(*IN_DRAFT).when(DiscardDraft(version=1), MATRIX).then(DISCARDED)


# The life of a version ----------------------------------------------------------------------------


def test_an_approved_version_waits_for_its_day() -> None:
    in_may = datetime(2025, 12, 1, 12, tzinfo=UTC)
    given(*IS_APPROVED).when(ScheduleVersion(version=1), MATRIX, at=in_may).then(
        VersionScheduled(number=1, effective_from=JANUARY, late=False)
    )


def test_its_day_starts_it() -> None:
    in_time = VersionScheduled(number=1, effective_from=JANUARY, late=False)
    start, day = StartVersion(version=1), datetime(2025, 12, 31, 16, tzinfo=UTC)
    given(*IS_APPROVED, in_time).when(start, MATRIX, at=day).then(STARTED)
    early = datetime(2025, 12, 31, 15, 59, tzinfo=UTC)
    given(*IS_APPROVED, in_time).when(start, MATRIX, at=early).then()


def test_a_version_that_is_scheduled_on_its_day_or_later_starts_at_once_and_is_late_p7() -> None:
    given(*IS_APPROVED).when(ScheduleVersion(version=1), MATRIX).then(SCHEDULED, STARTED)
    on_the_day = datetime(2026, 1, 1, 9, tzinfo=UTC)
    given(*IS_APPROVED).when(ScheduleVersion(version=1), MATRIX, at=on_the_day).then(
        VersionScheduled(number=1, effective_from=JANUARY, late=False), STARTED
    )


def test_the_next_version_supersedes_the_one_before() -> None:
    prices = published((JANUARY, [LIST]), (MARCH, [cell("11000")]))
    assert [prices.status(n) for n in (1, 2)] == [VersionStatus.SUPERSEDED, VersionStatus.EFFECTIVE]


def test_a_late_version_counts_for_its_days_and_not_for_today_p7() -> None:
    prices = published((MARCH, [cell("100")]), (JANUARY, [cell("99")]))
    assert prices.price(on=date(2026, 2, 1)).price == money("99")
    assert prices.price(on=JUNE).price == money("100")
    assert [prices.status(n) for n in (1, 2)] == [VersionStatus.EFFECTIVE, VersionStatus.SUPERSEDED]


def test_suspended_prices_sell_nothing_until_they_are_resumed() -> None:
    prices = published((JANUARY, [LIST]), (MARCH, [cell("11000")]))
    prices.tell(SuspendVersion(version=2, reason="a doubt"))
    assert prices.refusal() == "price.suspended"
    assert prices.price(on=date(2026, 2, 1)).version == 1, "other days have their version"
    prices.tell(ResumeVersion(version=2, reason="all right"))
    assert prices.price().price == money("11000")


def test_after_a_revocation_the_version_before_counts_again() -> None:
    prices = published((JANUARY, [LIST]), (MARCH, [cell("1")]))
    prices.tell(SuspendVersion(version=2, reason="a doubt"))
    prices.tell(RevokeVersion(version=2, reason="a typing error"))
    assert prices.price().version == 1
    assert [prices.status(n) for n in (1, 2)] == [VersionStatus.EFFECTIVE, VersionStatus.REVOKED]


def test_a_version_that_was_overtaken_while_suspended_does_not_come_back_over_the_next() -> None:
    prices = published((JANUARY, [LIST]))
    prices.tell(SuspendVersion(version=1, reason="a doubt"))
    prices.publish([cell("11000")], MARCH)
    prices.tell(ResumeVersion(version=1, reason="all right"))
    assert [prices.status(n) for n in (1, 2)] == [VersionStatus.SUPERSEDED, VersionStatus.EFFECTIVE]
    assert prices.price().version == 2


def test_a_version_may_end_and_leaves_no_price() -> None:
    prices = Prices()
    prices.publish([LIST])
    prices.publish([cell("9")], MARCH, effective_until=date(2026, 3, 31))
    assert prices.price(on=date(2026, 3, 31)).price == money("9")
    assert prices.refusal(on=date(2026, 4, 1)) == "price.none"
    backwards = DraftVersion(effective_from=MARCH, effective_until=JANUARY, cells=(LIST,))
    given(OPENED).when(backwards, MATRIX).refused("matrix.days_wrong")


def test_no_price_is_older_than_the_calendar() -> None:
    for first in (date.min, date(1949, 9, 30)):
        old = DraftVersion(effective_from=first, cells=(LIST,))
        given(OPENED).when(old, MATRIX).refused("matrix.days_wrong")


REPEATED = {
    "SubmitVersion": {"in review"},
    "WithdrawVersion": {"draft"},
    "DiscardDraft": {"discarded"},
    "ScheduleVersion": {"scheduled", "effective", "superseded", "suspended"},
    "StartVersion": {*STAGES} - {"scheduled"},
    "SuspendVersion": {"suspended"},
    "ResumeVersion": {"effective", "superseded"},
    "RevokeVersion": {"revoked"},
}
RIGHT = {
    "EditDraft": {"draft"},
    "AddCells": {"draft"},
    "SubmitVersion": {"draft"},
    "WithdrawVersion": {"in review"},
    "DiscardDraft": {"draft"},
    "ScheduleVersion": {"approved"},
    "StartVersion": {"scheduled"},
    "SuspendVersion": {"effective"},
    "ResumeVersion": {"suspended"},
    "RevokeVersion": {"approved", "scheduled", "suspended"},
}
COMMANDS: tuple[Any, ...] = (
    EDIT,
    AddCells(version=1, cells=(cell("9", product=STENT),)),
    SubmitVersion(version=1),
    WithdrawVersion(version=1, reason="a typing error"),
    DiscardDraft(version=1),
    ScheduleVersion(version=1),
    StartVersion(version=1),
    SuspendVersion(version=1, reason="a doubt"),
    ResumeVersion(version=1, reason="all right"),
    RevokeVersion(version=1, reason="a typing error"),
)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_a_version_changes_only_in_its_stage_p1(command: Any, stage: str) -> None:
    """And asking again for what has happened changes nothing."""
    name = type(command).__name__
    outcome = given(*STAGES[stage], others=asked()).when(command, MATRIX, by="wang")
    if stage in RIGHT[name]:
        assert outcome.refusal is None
        assert outcome.events
    elif stage in REPEATED.get(name, ()):
        outcome.then()
    else:
        outcome.refused("matrix.version_wrong_stage")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_a_version_that_was_never_drafted_is_unknown(command: Any) -> None:
    given(OPENED).when(command, MATRIX).refused("matrix.version_unknown", "no version 1 of CN-2026")


@pytest.mark.parametrize("status", [*VersionStatus])
def test_prices_count_once_a_version_is_scheduled_and_until_it_is_revoked(
    status: VersionStatus,
) -> None:
    """By the day, not by the status: a timer that comes late gives no wrong price."""
    prices = published((JANUARY, [LIST]))
    state = prices.matrix.with_status(status, 1)
    counts = {VersionStatus.SCHEDULED, VersionStatus.EFFECTIVE, VersionStatus.SUPERSEDED}
    if status in counts:
        assert state.price(prices.sheets(), PUMP, None, buyer(), 1, JUNE).version == 1
        return
    with pytest.raises(Refused) as refusal:
        state.price(prices.sheets(), PUMP, None, buyer(), 1, JUNE)
    suspended = status is VersionStatus.SUSPENDED
    assert refusal.value.code == ("price.suspended" if suspended else "price.none")


# How a price is found (P4, P6) --------------------------------------------------------------------

EVERY_RULE = (
    cell("100"),
    cell("95", min_quantity=10),
    cell("99", family="泵"),
    cell("90", region="华东"),
    cell("85", region="华东", min_quantity=10),
    cell("89", region="华东", family="泵"),
    cell("80", tier=A),
    cell("75", tier=A, min_quantity=10),
    cell("70", tier=A, region="华东"),
    cell("65", tier=A, region="华东", min_quantity=10),
    cell("60", grade=BEST),
    cell("50", kind="agreement", customer=UNION),
    cell("40", kind="award", region="华东"),
    cell("39", kind="award", customer=UNION),
    cell("30", kind="special", customer=UNION, family="泵"),
    cell("29", kind="special", customer=UNION, min_quantity=100),
    cell("7", currency="USD"),
)
NOBODY = None


@pytest.mark.parametrize(
    ("who", "quantity", "price", "rule"),
    [
        (buyer("华南", B, customer=NOBODY), 1, "100", "list price, from 1"),
        (buyer("华南", B, customer=NOBODY), 9, "100", "list price, from 1"),
        (buyer("华南", B, customer=NOBODY), 10, "95", "list price, from 10"),
        (buyer("华南", A, customer=NOBODY), 1, "80", "regional price, tier A, from 1"),
        (buyer("华南", A, customer=NOBODY), 999, "75", "regional price, tier A, from 10"),
        (buyer("华南", A, BEST, NOBODY), 999, "60", "regional price, grade 3A, from 1"),
        (buyer("华东", B, customer=NOBODY), 1, "40", "award price, region 华东, from 1"),
        (buyer("华南", A, BEST, UNION), 1, "30",
         "special price, family 泵, customer customer:union, from 1"),
        (buyer("华东", A, BEST, UNION), 100, "29",
         "special price, customer customer:union, from 100"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cells", [EVERY_RULE, EVERY_RULE[::-1]], ids=["in order", "reversed"])
def test_the_most_particular_price_wins_whatever_the_order_of_cells_p4(
    cells: Iterable[PriceCell], who: Buyer, quantity: int, price: str, rule: str
) -> None:
    found = published((JANUARY, cells)).price(who, quantity, family="泵")
    assert found.price == money(price)
    assert found.path == ("CN-2026 version 1", "since 2026-01-01", rule)


KINDS = {
    "special": cell("5", kind="special", customer=UNION),
    "award": cell("4", kind="award", customer=UNION),
    "agreement": cell("3", kind="agreement", customer=UNION),
    "regional": cell("2", kind="regional", region="华东", tier=A, grade=BEST, min_quantity=10),
    "list": cell("1", kind="list", min_quantity=10),
}


@pytest.mark.parametrize("count", range(1, 6))
def test_special_before_award_before_agreement_before_regional_before_list_p4(count: int) -> None:
    """The dearer wins here each time: the order is one of rules, never of amounts."""
    first, *_ = kinds = list(KINDS)[-count:]
    found = published((JANUARY, [KINDS[kind] for kind in kinds])).price(buyer(grade=BEST), 10)
    assert (found.rule, found.price) == (KINDS[first].kind, KINDS[first].price)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (cell("9", region="华东"), cell("8", region="华东", family="泵", tier=A)),
        (cell("9", grade=BEST), cell("8", tier=A, region="华东")),
        (cell("9", tier=A), cell("8", region="华东")),
        (cell("9", tier=A), cell("8", region="华东", min_quantity=10)),
        (cell("9", min_quantity=10), cell("8", min_quantity=2)),
        (
            cell("9", kind="award", customer=UNION),
            cell("8", kind="award", region="华东", tier=A, grade=BEST),
        ),
    ],
    ids=["product, family", "grade, tier", "tier, region", "region, break", "breaks", "customer"],
)
def test_within_a_kind_the_order_is_total_p4(first: PriceCell, second: PriceCell) -> None:
    found = published((JANUARY, [second, first])).price(buyer(grade=BEST), 10, family="泵")
    assert found.price == first.price


def test_a_price_in_another_currency_is_another_price() -> None:
    prices = published((JANUARY, EVERY_RULE))
    assert prices.price(currency="USD").price == money("7", "USD")


def test_resolving_is_pure_the_same_question_has_the_same_answer_p6() -> None:
    prices = published((JANUARY, EVERY_RULE))
    questions = [buyer(region, tier) for region in ("华东", "华南") for tier in (A, B)]
    first = [prices.price(who, 5) for who in questions]
    before = prices.matrix, prices.sheets()
    again = [prices.price(who, 5) for who in questions[::-1]]
    assert first == again[::-1]
    assert before == (prices.matrix, prices.sheets()), "asking changes nothing"


@pytest.mark.parametrize(
    "asked",
    [
        {"product": STENT},
        {"who": buyer("华南")},
        {"who": buyer(tier=B)},
        {"quantity": 9},
        {"on": date(2025, 12, 31)},
        {"currency": "USD"},
    ],
    ids=["product", "region", "tier", "too few", "before the first version", "currency"],
)
def test_where_no_cell_fits_there_is_no_price(asked: Any) -> None:
    prices = published((JANUARY, [cell("65", tier=A, region="华东", min_quantity=10)]))
    assert prices.refusal(**{"quantity": 10, **asked}) == "price.none"


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
    prices = published((JANUARY, [LIST]), (MARCH, [LIST]), (JUNE, [LIST]))
    assert prices.price(on=on).version == version


def test_a_price_says_until_when_it_holds_as_far_as_is_known() -> None:
    """Q6 compares the validity of a quote with it."""
    prices = Prices()
    prices.publish([LIST, cell("9", tier=A, valid_until=date(2026, 1, 31))])
    assert prices.price(buyer(tier=B)).valid_until is None
    prices.publish([LIST], MARCH, effective_until=date(2026, 12, 31))
    assert prices.price(buyer(tier=B), on=JANUARY).valid_until == date(2026, 2, 28)
    assert prices.price(on=JANUARY).valid_until == date(2026, 1, 31)
    assert prices.price(on=MARCH).valid_until == date(2026, 12, 31)


def test_of_two_versions_from_the_same_day_the_later_one_counts() -> None:
    found = published((JANUARY, [cell("100")]), (JANUARY, [cell("99")])).price()
    assert (found.version, found.price) == (2, money("99"))


def test_a_version_replaces_all_prices_of_the_one_before() -> None:
    prices = published((JANUARY, [LIST, cell("800", product=STENT)]), (MARCH, [LIST]))
    assert prices.refusal(product=STENT) == "price.none"


# Facts from before there were sheets and approvals ------------------------------------------------


def old(*versions: tuple[date, tuple[PriceCell, ...]]) -> PriceMatrix:
    """A matrix whose versions hold their cells, each approved by one person."""
    state = PriceMatrix().after([PriceMatrixOpened(code="CN", name="CN", currency="CNY")])
    for number, (since, cells) in enumerate(versions, start=1):
        drafted = VersionDrafted(number=number, author="chen", effective_from=since, cells=cells)
        approved = VersionApproved(number=number, effective_from=since, approver="wang")
        state = state.after([drafted, VersionSubmitted(number=number), approved])
    return state


@pytest.mark.parametrize(
    ("region", "tier", "quantity", "price"),
    [
        ("华南", B, 10, "95"),
        ("华东", B, 1, "90"),
        ("华南", A, 999, "75"),
        ("华东", A, 10, "65"),
    ],
)
def test_an_old_version_means_what_it_meant(
    region: str, tier: CustomerTier, quantity: int, price: str
) -> None:
    """From its approval on, on its days, tier before region before list."""
    cells = tuple(each for each in EVERY_RULE[:10] if not each.family)
    matrix = old((JANUARY, (LIST,)), (MARCH, cells))
    found = matrix.price([], PUMP, None, Buyer(region=region, tier=tier), quantity, JUNE)
    assert (found.price, found.version) == (money(price), 2)
    assert matrix.price([], PUMP, None, buyer(), 1, JANUARY).version == 1


def test_an_old_version_is_revoked_as_before() -> None:
    history = (
        OPENED,
        VersionDrafted(number=1, author="chen", effective_from=JANUARY, cells=(LIST,)),
        VersionSubmitted(number=1),
        VersionApproved(number=1, effective_from=JANUARY, approver="wang"),
    )
    given(*history).when(RevokeVersion(version=1, reason="a typing error"), MATRIX).then(REVOKED)
    given(*history).when(StartVersion(version=1), MATRIX).then(STARTED)


def test_an_old_version_in_review_is_handed_in_again_and_an_old_draft_is_written_anew() -> None:
    old_draft = VersionDrafted(number=1, author="chen", effective_from=JANUARY, cells=(LIST,))
    edited = DraftEdited(number=1, author="li", effective_from=MARCH, cells=(LIST,))
    waiting = (OPENED, old_draft, edited, VersionSubmitted(number=1))
    outcome = given(*waiting).when(SubmitVersion(version=1), MATRIX, by="zhao")
    (request, *_) = outcome.also[ApprovalId("approval:price-matrix:CN-2026:2")]
    assert isinstance(request, ApprovalRequested)
    assert {*request.authors} >= {"chen", "li"}
    rejected = VersionRejected(number=1, reason="too cheap")
    add = AddCells(version=1, cells=(cell("9", product=STENT),))
    given(*waiting, rejected).when(add, MATRIX).refused("matrix.draft_old")
    edit = given(*waiting, rejected).when(EDIT, MATRIX)
    assert isinstance(edit.events[0], MatrixVersionRewritten)
    state = PriceMatrix().after([*waiting, rejected, *edit.events])
    assert state.version(1).cells == {}


def test_an_edit_that_is_added_to_keeps_all_authors() -> None:
    added = CellsAdded(
        number=1,
        edition=1,
        author="li",
        cells=1,
        content_hash=HASH,
        deepest_discount=Decimal(3),
        below_floor=True,
    )
    state = PriceMatrix().after([*IN_DRAFT, added])
    version = state.version(1)
    assert version.authors == {"chen", "li"}
    assert version.deepest_discount == 3
    assert version.below_floor


def test_a_sheet_that_is_not_of_the_product_is_not_looked_at() -> None:
    prices = published((JANUARY, [LIST, cell("1", product=STENT), cell("2", family="泵")]))
    every = [*prices.sheets(STENT, "泵"), *prices.sheets(PUMP), None]
    assert prices.matrix.price(every, PUMP, None, buyer(), 1, JUNE).price == money("12000")


@pytest.mark.parametrize("command", [WriteSheet, TakeException, ReturnException, StartVersion])
def test_what_only_a_matrix_or_an_order_may_ask_has_no_role(command: Any) -> None:
    assert command.allowed == ()
