from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as property_of
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.domain.orders.towns import InMemory
from tests.domain.terms.pricing import PUMP, STENT, A, B, buyer, money

from medsales.domain.governance.approval import Approve, Verdict
from medsales.domain.ids import ApprovalId, OrderId, PromotionId
from medsales.domain.kernel import Event, Refused
from medsales.domain.terms.promotion import (
    AmountOff,
    Applied,
    Bundle,
    BundleItem,
    DraftPromotion,
    DrawOnPromotion,
    EditPromotion,
    FreeGoods,
    FreeLine,
    PercentOff,
    PromotedWish,
    Promotion,
    PromotionApproved,
    PromotionDrafted,
    PromotionDrawn,
    PromotionEdited,
    PromotionReturned,
    PromotionStopped,
    PromotionSubmitted,
    PromotionWithdrawn,
    ReturnToPromotion,
    StopPromotion,
    SubmitPromotion,
    TakeVerdict,
    Terms,
    WithdrawPromotion,
    applied,
)
from medsales.testing import given

ID = PromotionId("promotion:SPRING")
APPROVAL = ApprovalId("approval:promotion:SPRING:1")
SO1, SO2 = OrderId("order:1"), OrderId("order:2")
FIVE = PercentOff(percent=Decimal(5))
FIRST, LAST = date(2026, 5, 1), date(2026, 6, 30)
JUNE = date(2026, 6, 1)


def terms(offer: Any = FIVE, **more: Any) -> Terms:
    whole = {
        "name": "春季促销",
        "offer": offer,
        "first_day": FIRST,
        "last_day": LAST,
        "currency": "CNY",
        "budget": money("100"),
        **more,
    }
    return Terms.model_validate(whole)


def wish(
    price: str, quantity: int = 1, product: Any = PUMP, line: int = 1, **more: Any
) -> PromotedWish:
    return PromotedWish(line=line, product=product, quantity=quantity, price=money(price), **more)


DRAFT = DraftPromotion(code="SPRING", terms=terms())
DRAFTED = PromotionDrafted(code="SPRING", author="chen", terms=terms())
HASH = DRAFT.content
SUBMITTED = PromotionSubmitted(version=1, approval=APPROVAL, content_hash=HASH)
APPROVED = PromotionApproved(version=1, approval=APPROVAL, content_hash=HASH, approvers=("wang",))
STOPPED = PromotionStopped(reason="over")
RUNNING = (DRAFTED, SUBMITTED, APPROVED)
EDIT = EditPromotion(terms=terms(PercentOff(percent=Decimal(6))))


# Its life -----------------------------------------------------------------------------------------


def test_a_promotion_is_drafted_once() -> None:
    given().when(DRAFT, by="chen").then(DRAFTED)
    assert Promotion().after([DRAFTED]).content_hash == HASH
    given(DRAFTED).when(DRAFT).then()
    other = DraftPromotion(code="SPRING", terms=terms(PercentOff(percent=Decimal(50))))
    given(DRAFTED).when(other).refused("promotion.exists")


@pytest.mark.parametrize(
    "wrong",
    [
        {"last_day": date(2026, 4, 30)},
        {"budget": money("1", "USD")},
        {"budget": None},
        {"budget": money("-1")},
        {"offer": AmountOff(amount=money("1", "USD"))},
        {"offer": AmountOff(amount=money("-1"))},
    ],
    ids=["ends first", "currency", "no budget", "negative", "another currency", "dearer"],
)
def test_terms_that_cannot_be_kept_are_not_taken(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        terms(**{"offer": FIVE, **wrong})


def test_it_is_approved_by_somebody_else_and_any_edit_comes_before() -> None:
    town = InMemory()
    assert town.ask(DRAFT) is None
    assert town.ask(EDIT, ID, "li") is None
    assert town.ask(SubmitPromotion(), ID, "li") is None
    state: Any = town.state(ID)
    refused = town.ask(EDIT, ID)
    assert refused is not None
    assert refused.code == "promotion.wrong_stage"
    for author in ("chen", "li"):
        refused = town.ask(Approve(content_hash=state.content_hash), state.approval, author)
        assert refused is not None
        assert refused.code == "approval.approver_is_author"
    assert town.ask(Approve(content_hash=state.content_hash), state.approval, "wang") is None
    running: Any = town.state(ID)
    assert running.is_running(JUNE)


def test_what_it_takes_off_decides_who_approves() -> None:
    outcome = given(DRAFTED).when(SubmitPromotion(), ID).then(SUBMITTED)
    request: Any = outcome.also[APPROVAL][0]
    assert (request.case.discount, request.case.amount) == (Decimal(5), money("100"))


@pytest.mark.parametrize(
    ("offer", "discount"),
    [
        (FreeGoods(buy=PUMP, count=3, free=PUMP, free_count=1, value=money("10")), "25.00"),
        (FreeGoods(buy=STENT, count=3, free=PUMP, free_count=1, value=money("10")), "100"),
        (AmountOff(amount=money("1")), "100"),
        (
            Bundle(
                items=(
                    BundleItem(product=PUMP, quantity=1, price=money("1")),
                    BundleItem(product=STENT, quantity=1, price=money("1")),
                )
            ),
            "100",
        ),
    ],
    ids=["of the same goods", "of other goods", "an amount", "a set"],
)
def test_p2_what_its_terms_do_not_tell_is_the_deepest_discount(offer: Any, discount: str) -> None:
    """So no promotion slips past those who approve large discounts."""
    drafted = PromotionDrafted(code="SPRING", author="chen", terms=terms(offer))
    request: Any = given(drafted).when(SubmitPromotion(), ID).also[APPROVAL][0]
    assert request.case.discount == Decimal(discount)


BOTH = (BundleItem(product=each, quantity=1, price=money("1")) for each in (PUMP, STENT))


@pytest.mark.parametrize(
    ("offer", "steps"),
    [
        (FreeGoods(buy=STENT, count=100, free=PUMP, free_count=1, value=money("0")), 2),
        (FreeGoods(buy=PUMP, count=9, free=PUMP, free_count=1, value=money("10")), 2),
        (Bundle(items=tuple(BOTH)), 1),
        (AmountOff(amount=money("99")), 1),
        (FIVE, 1),
    ],
    ids=["another product", "the same product", "a set", "an amount", "a percentage"],
)
def test_p5_a_gift_is_below_every_floor_and_two_approve_it(offer: Any, steps: int) -> None:
    """Where no flow has been adopted; what is not given away stops at the floor by itself."""
    drafted = PromotionDrafted(code="SPRING", author="chen", terms=terms(offer))
    outcome = given(drafted).when(SubmitPromotion(), ID)
    request: Any = outcome.also[APPROVAL][0]
    assert request.case.flags == (("below_floor",) if steps == 2 else ())
    assert len(request.steps) == steps


@pytest.mark.parametrize(
    "offer",
    [
        PercentOff(percent=Decimal(90)),
        AmountOff(amount=money("99")),
        Bundle(
            items=(
                BundleItem(product=PUMP, quantity=1, price=money("0.01")),
                BundleItem(product=STENT, quantity=1, price=money("800")),
            )
        ),
    ],
    ids=["a percentage", "an amount", "a set"],
)
def test_p5_whatever_is_taken_off_no_price_goes_below_its_floor(offer: Any) -> None:
    wishes = [wish("100", floor=money("80")), wish("800", product=STENT, line=2)]
    lines = applied(terms(offer), wishes).lines
    assert min(line.price.amount for line in lines if line.product == PUMP) == 80


def test_a_submitted_one_is_taken_back_and_its_approval_is_void() -> None:
    asked = given(DRAFTED).when(SubmitPromotion(), ID).also
    withdraw = WithdrawPromotion(reason="a slip")
    outcome = given(DRAFTED, SUBMITTED, others=asked).when(withdraw, ID)
    outcome.then(PromotionWithdrawn(reason="a slip"))
    assert [type(event).__name__ for event in outcome.also[APPROVAL]] == ["ApprovalVoided"]


STAGES: dict[str, tuple[Event[Any], ...]] = {
    "draft": (DRAFTED,),
    "in review": (DRAFTED, SUBMITTED),
    "approved": RUNNING,
    "stopped": (*RUNNING, STOPPED),
}
LIFE: list[tuple[Any, set[str], set[str]]] = [
    (EDIT, {"draft"}, set()),
    (SubmitPromotion(), {"draft"}, {"in review"}),
    (WithdrawPromotion(reason="a slip"), {"in review"}, {"draft"}),
    (StopPromotion(reason="over"), {"approved"}, {"stopped"}),
]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("command", "right", "again"), LIFE)
def test_it_changes_only_in_its_stage(
    command: Any, right: set[str], again: set[str], stage: str
) -> None:
    asked = given(DRAFTED).when(SubmitPromotion(), ID).also
    outcome = given(*STAGES[stage], others=asked).when(command, ID)
    if stage in right:
        assert outcome.events
    elif stage in again:
        outcome.then()
    else:
        outcome.refused("promotion.wrong_stage")


def test_an_edit_that_changes_nothing_is_not_recorded() -> None:
    given(DRAFTED).when(EditPromotion(terms=terms()), ID).then()
    edited = given(DRAFTED).when(EDIT, ID, by="li").events
    assert edited == [PromotionEdited(version=2, author="li", terms=EDIT.terms)]
    assert Promotion().after([DRAFTED, *edited]).content_hash != HASH


@pytest.mark.parametrize(
    ("stage", "on", "runs"),
    [
        ("approved", FIRST, True),
        ("approved", LAST, True),
        ("approved", date(2026, 4, 30), False),
        ("approved", date(2026, 7, 1), False),
        ("in review", JUNE, False),
        ("stopped", JUNE, False),
    ],
)
def test_it_runs_on_its_days_while_it_is_approved(stage: str, on: date, *, runs: bool) -> None:
    promotion = Promotion().after(STAGES[stage])
    assert promotion.is_running(on) == runs
    if not runs:
        with pytest.raises(Refused) as refusal:
            promotion.applied([wish("100")], buyer(), on)
        assert refusal.value.code == "promotion.not_running"


# What it makes of an order ------------------------------------------------------------------------


def outcome(said: Terms, *wishes: PromotedWish) -> list[tuple[int, int, str]]:
    return [(p.line, p.quantity, str(p.price.amount)) for p in applied(said, wishes).lines]


def test_a_percentage_is_taken_off_to_the_cent() -> None:
    found = applied(terms(), [wish("99.99", 2)])
    assert str(found.lines[0].price.amount) == "94.99"
    assert (found.amount, found.pieces) == (money("10.00"), 2)


def test_an_amount_is_taken_off_each_piece_but_never_below_nothing() -> None:
    off = terms(AmountOff(amount=money("30")))
    assert outcome(off, wish("100", 2), wish("20", line=2)) == [(1, 2, "70"), (2, 1, "0")]


@pytest.mark.parametrize("offer", [PercentOff(percent=Decimal(50)), AmountOff(amount=money("50"))])
def test_a_promotion_never_leads_below_the_floor_p5(offer: Any) -> None:
    assert outcome(terms(offer), wish("100", floor=money("80"))) == [(1, 1, "80")]
    assert outcome(terms(offer), wish("70", floor=money("80"))) == [(1, 1, "70")]


def test_only_what_it_is_for_gets_cheaper() -> None:
    named = terms(products=(STENT,), families=("泵",))
    lines = [wish("100"), wish("100", family="泵", line=2), wish("100", product=STENT, line=3)]
    assert outcome(named, *lines) == [(1, 1, "100"), (2, 1, "95.00"), (3, 1, "95.00")]
    in_dollars = PromotedWish(line=1, product=STENT, quantity=1, price=money("100", "USD"))
    assert outcome(named, in_dollars) == [(1, 1, "100")]


def test_it_is_for_some_regions_and_tiers() -> None:
    here = PromotionDrafted(
        code="SPRING", author="chen", terms=terms(regions=("华东",), tiers=(A,))
    )
    promotion = Promotion().after([here, SUBMITTED, APPROVED])
    assert promotion.applied([wish("100")], buyer("华东", A), JUNE).pieces == 1
    for who in (buyer("华南", A), buyer("华东", B)):
        with pytest.raises(Refused) as refusal:
            promotion.applied([wish("100")], who, JUNE)
        assert refusal.value.code == "promotion.not_for"


SET = Bundle(
    items=(
        BundleItem(product=PUMP, quantity=1, price=money("80")),
        BundleItem(product=STENT, quantity=2, price=money("7")),
    )
)


def test_a_bundle_counts_in_whole_sets_and_the_rest_keeps_its_price() -> None:
    found = outcome(terms(SET), wish("100", 3), wish("10", 5, STENT, 2))
    assert found == [(1, 2, "80"), (1, 1, "100"), (2, 4, "7"), (2, 1, "10")]
    assert outcome(terms(SET), wish("100", 3)) == [(1, 3, "100")]


def test_a_bundle_never_leads_below_the_floor_p5() -> None:
    two = [wish("100", floor=money("90")), wish("10", 2, STENT, 2, floor=money("3"))]
    assert outcome(terms(SET), *two) == [(1, 1, "90"), (2, 2, "7")]
    below = [wish("85", floor=money("90")), wish("10", 2, STENT, 2)]
    assert outcome(terms(SET), *below)[0] == (1, 1, "85"), "a named exception stays as it is"


def test_a_bundle_never_makes_dearer() -> None:
    assert outcome(terms(SET), wish("60"), wish("10", 2, STENT, 2))[0] == (1, 1, "60")


def test_goods_are_free_for_every_so_many_bought() -> None:
    offer = FreeGoods(buy=PUMP, count=3, free=STENT, free_count=2, value=money("10"))
    found = applied(terms(offer), [wish("100", 4), wish("100", 3, line=2)])
    assert found.free == (FreeLine(product=STENT, quantity=4, value=money("10")),)
    assert (found.amount, found.pieces) == (money("40"), 4)
    assert applied(terms(offer), [wish("100", 2)]).free == ()


OFFERS = st.sampled_from(
    [
        FIVE,
        AmountOff(amount=money("30")),
        SET,
        FreeGoods(buy=PUMP, count=2, free=STENT, free_count=1, value=money("9")),
    ]
)
WISHES = st.lists(
    st.builds(
        wish,
        st.integers(0, 200).map(str),
        st.integers(1, 9),
        st.sampled_from([PUMP, STENT]),
        floor=st.sampled_from([None, money("50")]),
    ),
    max_size=5,
)


@settings(max_examples=200)
@property_of(OFFERS, WISHES)
def test_no_piece_is_lost_and_what_is_saved_is_what_the_budget_pays(
    offer: Any, wishes: list[PromotedWish]
) -> None:
    numbered = [one.model_copy(update={"line": n}) for n, one in enumerate(wishes)]
    found: Applied = applied(terms(offer), numbered)
    for one in numbered:
        pieces = [line for line in found.lines if line.line == one.line]
        assert sum(line.quantity for line in pieces) == one.quantity
        assert all(Decimal(0) <= line.price.amount <= one.price.amount for line in pieces)
    before = sum(one.price.amount * one.quantity for one in numbered)
    after = sum(line.price.amount * line.quantity for line in found.lines)
    given_away = sum(line.value.amount * line.quantity for line in found.free)
    assert found.amount.amount == before - after + given_away


# Its budget ---------------------------------------------------------------------------------------


def drawn(order: OrderId, amount: str, pieces: int = 1) -> PromotionDrawn:
    return PromotionDrawn(order=order, amount=money(amount), pieces=pieces)


def draw(order: OrderId, amount: str, pieces: int = 1) -> DrawOnPromotion:
    return DrawOnPromotion(order=order, amount=money(amount), pieces=pieces)


def test_an_order_draws_on_the_budget_once() -> None:
    given(*RUNNING).when(draw(SO1, "60"), ID).then(drawn(SO1, "60"))
    given(*RUNNING, drawn(SO1, "60")).when(draw(SO1, "60"), ID).then()
    given(*RUNNING, drawn(SO1, "60")).when(draw(SO1, "10"), ID).refused("promotion.drawn_already")


def test_the_budget_is_never_overdrawn() -> None:
    history = (*RUNNING, drawn(SO1, "60"))
    given(*history).when(draw(SO2, "40"), ID).then(drawn(SO2, "40"))
    given(*history).when(draw(SO2, "40.01"), ID).refused("promotion.budget_used_up", "40 CNY left")


def test_pieces_have_a_budget_of_their_own() -> None:
    ten = PromotionDrafted(code="SPRING", author="chen", terms=terms(budget=None, budget_pieces=10))
    history = (ten, SUBMITTED, APPROVED, drawn(SO1, "5000", 8))
    given(*history).when(draw(SO2, "5000", 2), ID).then(drawn(SO2, "5000", 2))
    given(*history).when(draw(SO2, "1", 3), ID).refused("promotion.budget_used_up", "2 pieces left")


def test_what_is_given_back_can_be_drawn_again() -> None:
    back = PromotionReturned(order=SO1, amount=money("60"), pieces=1)
    given(*RUNNING, drawn(SO1, "60")).when(ReturnToPromotion(order=SO1), ID).then(back)
    given(*RUNNING).when(ReturnToPromotion(order=SO1), ID).then()
    given(*RUNNING, drawn(SO1, "60"), back).when(draw(SO2, "100"), ID).then(drawn(SO2, "100"))


def test_nothing_is_drawn_before_after_or_in_another_currency() -> None:
    for at in (datetime(2026, 4, 30, 15, 59, tzinfo=UTC), datetime(2026, 6, 30, 16, tzinfo=UTC)):
        given(*RUNNING).when(draw(SO1, "60"), ID, at=at).refused("promotion.not_running")
    given(*RUNNING, STOPPED).when(draw(SO1, "60"), ID).refused("promotion.not_running")
    dollars = DrawOnPromotion(order=SO1, amount=money("1", "USD"), pieces=1)
    given(*RUNNING).when(dollars, ID).refused("money.currencies_differ")


@settings(max_examples=60)
@property_of(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60), st.booleans()), max_size=30))
def test_in_any_life_the_draws_are_within_the_budget(
    wishes: list[tuple[int, int, bool]],
) -> None:
    town = InMemory({ID: list(RUNNING)})
    town.known[ID] = given(*RUNNING)._load(ID)([ID])[ID]
    for n, amount, back in wishes:
        order = OrderId.of(str(n))
        town.ask(ReturnToPromotion(order=order) if back else draw(order, str(amount)), ID)
        state: Any = town.state(ID)
        assert state.drawn == sum(part.amount.amount for part in state.draws.values())
        assert state.drawn <= 100


@pytest.mark.parametrize(
    ("stage", "said", "code"),
    [
        ("in review", {"content_hash": "sha256:" + "0" * 64}, "verdict_stale"),
        ("in review", {"version": 2}, "verdict_stale"),
        ("in review", {"approval": ApprovalId.of(ID, "2")}, "verdict_stale"),
        ("approved", {}, "promotion.wrong_stage"),
        ("stopped", {}, "promotion.wrong_stage"),
    ],
)
def test_a_verdict_is_about_what_waits_for_it(stage: str, said: dict[str, Any], code: str) -> None:
    """Also one that was right once: a promotion that was stopped does not run again by it."""
    right = {"approval": APPROVAL, "version": 1, "content_hash": HASH, "approvers": ("wang",)}
    verdict = TakeVerdict(verdict=Verdict(granted=True, **{**right, **said}))
    refusal = given(*STAGES[stage]).when(verdict, ID).refusal
    assert refusal is not None
    assert refusal.code.endswith(code)
