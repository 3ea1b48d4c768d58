"""C2, C3: what is ordered under a contract never exceeds it, and keeps the version it was under."""

from datetime import date, datetime, timedelta
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.domain.terms.contracts import (
    BEGIN,
    CONTRACT,
    END,
    PUMP,
    STENT,
    ContractTown,
    called,
    cny,
    draft,
    lines,
)

from medsales.domain.ids import OrderId
from medsales.domain.kernel import Refused
from medsales.domain.terms.amendment import DraftAmendment
from medsales.domain.terms.contract import CalledLine, CalledOff, CallOff, CallOffReturned
from medsales.domain.terms.contract_life import ExpireContract, TerminateContract
from medsales.domain.values import CHINA


@pytest.fixture
def town() -> ContractTown:
    town = ContractTown()
    town.active()
    return town


def test_c2_no_more_than_the_contracted_quantity(town: ContractTown) -> None:
    town.told(town.call_off("SO-1", pumps=60), CONTRACT)
    town.refused("contract.quantity_exceeded", town.call_off("SO-2", pumps=41))
    town.told(town.call_off("SO-2", pumps=40), CONTRACT)
    town.refused("contract.quantity_exceeded", town.call_off("SO-3", pumps=1))
    assert town.contract.remaining(town.contract.agreed_content(), PUMP) == 0


def test_c2_lines_of_one_product_are_taken_together(town: ContractTown) -> None:
    twice = CallOff(order=OrderId.of("SO-1"), lines=called(60, 0) * 2)
    town.refused("contract.quantity_exceeded", twice)


def test_c2_no_more_than_the_contracted_amount() -> None:
    town = ContractTown()
    town.active(max_amount=cny(1500), lines=lines(pumps=None, stents=None))
    town.told(town.call_off("SO-1", stents=1, pumps=10), CONTRACT)
    town.refused("contract.amount_exceeded", town.call_off("SO-2", pumps=7))
    town.told(town.call_off("SO-2", pumps=6), CONTRACT)
    assert town.contract.is_called_off()


@pytest.mark.parametrize("day", [BEGIN - timedelta(days=1), END + timedelta(days=1)])
def test_c2_no_order_outside_the_validity(town: ContractTown, day: date) -> None:
    """Judged by the day, whether or not the clock has noted the end."""
    town.now = datetime.combine(day, datetime.min.time(), CHINA)
    town.refused("contract.not_valid", town.call_off("SO-1", pumps=1))
    with pytest.raises(Refused) as refusal:
        town.contract.agreed(PUMP, 1, day)
    assert refusal.value.code == "contract.not_valid"


@pytest.mark.parametrize("day", [BEGIN, END])
def test_c2_the_first_and_the_last_day_count_as_they_are_in_china(
    town: ContractTown, day: date
) -> None:
    last_moment = datetime.combine(day, datetime.max.time(), CHINA)
    town.now = last_moment
    town.told(town.call_off("SO-1", pumps=1), CONTRACT)
    if day == END:
        town.now += timedelta(seconds=1)
        town.refused("contract.not_valid", town.call_off("SO-2", pumps=1))


def test_c2_not_before_both_have_signed_even_if_it_is_valid_since_longer() -> None:
    town = ContractTown()
    town.now += timedelta(days=10)
    town.active()
    for days, works in ((9, False), (10, True)):
        day = BEGIN + timedelta(days=days)
        town.now = datetime.combine(day, datetime.min.time(), CHINA)
        if works:
            town.told(town.call_off("SO-1", pumps=1), CONTRACT)
        else:
            town.refused("contract.not_valid", town.call_off("SO-1", pumps=1))


def test_a_contract_that_is_active_need_not_be_valid_yet() -> None:
    town = ContractTown()
    town.active(valid_from=BEGIN + timedelta(days=30))
    town.refused("contract.not_valid", town.call_off("SO-1", pumps=1))
    town.later(30)
    town.told(town.call_off("SO-1", pumps=1), CONTRACT)


def test_nothing_is_ordered_under_a_draft() -> None:
    town = ContractTown()
    town.told(draft())
    town.refused("contract.wrong_stage", town.call_off("SO-1", pumps=1))


def test_what_is_not_agreed_has_no_price(town: ContractTown) -> None:
    other = CalledLine(product="product:OTHER", quantity=1, amount=cny(1))
    town.refused("product.unknown", CallOff(order=OrderId.of("SO-1"), lines=(other,)))
    only_pumps = ContractTown()
    only_pumps.active(lines=lines()[:1])
    only_pumps.refused("contract.not_agreed", only_pumps.call_off("SO-1", stents=1))


@pytest.mark.parametrize("amount", [cny(49), cny(51), cny("50.0001")])
def test_d3_an_order_under_a_contract_has_its_price(town: ContractTown, amount: object) -> None:
    cheap = CalledLine(product=PUMP, quantity=1, amount=amount)
    town.refused("contract.price_differs", CallOff(order=OrderId.of("SO-1"), lines=(cheap,)))


def test_an_order_calls_off_once(town: ContractTown) -> None:
    for _ in range(2):
        town.told(town.call_off("SO-1", pumps=5), CONTRACT)
    assert town.happened().count("CalledOff") == 1
    town.refused("contract.called_otherwise", town.call_off("SO-1", pumps=6))


def test_what_is_given_back_may_be_called_off_again(town: ContractTown) -> None:
    town.told(town.call_off("SO-1", pumps=100), CONTRACT)
    town.told(town.give_back("SO-1", pumps=30), CONTRACT)
    town.refused("contract.quantity_exceeded", town.call_off("SO-2", pumps=31))
    town.told(town.call_off("SO-2", pumps=30), CONTRACT)
    town.refused("contract.not_called_off", town.give_back("SO-1", pumps=71))
    town.refused("contract.not_called_off", town.give_back("SO-9", pumps=1))
    town.refused("contract.not_called_off", town.give_back("SO-1", stents=1))
    town.told(town.give_back("SO-1", pumps=70), CONTRACT)
    town.told(town.call_off("SO-1", pumps=70), CONTRACT)


def test_it_is_given_back_at_the_price_it_was_called_off_at(town: ContractTown) -> None:
    town.told(town.call_off("SO-1", pumps=2), CONTRACT)
    cheaper = town.give_back("SO-1", pumps=2).model_copy(
        update={"lines": (CalledLine(product=PUMP, quantity=2, amount=cny(99)),)}
    )
    town.refused("contract.not_called_off", cheaper)


@pytest.mark.parametrize("end", [TerminateContract(reason="x"), ExpireContract(valid_until=END)])
def test_it_is_given_back_also_after_the_end(town: ContractTown, end: object) -> None:
    town.told(town.call_off("SO-1", pumps=2), CONTRACT)
    town.told(end, CONTRACT)  # type: ignore[arg-type]
    town.told(town.give_back("SO-1", pumps=2), CONTRACT)
    assert isinstance(town.last(), CallOffReturned)


def test_c3_an_order_keeps_the_version_it_was_placed_under(town: ContractTown) -> None:
    """A new price is for new orders; what was called off before goes back at its own."""
    town.told(town.call_off("SO-1", pumps=10), CONTRACT)
    dearer = lines()[0].model_copy(update={"price": cny(60)})
    town.told(DraftAmendment(kind="change", reason="涨价", lines=(dearer,)), CONTRACT)
    town.told(town.call_off("SO-2", pumps=1), CONTRACT)
    town.signed()
    town.refused("contract.price_differs", town.call_off("SO-3", pumps=1))
    at_60 = CalledLine(product=PUMP, quantity=1, amount=cny(60))
    town.told(CallOff(order=OrderId.of("SO-3"), lines=(at_60,)), CONTRACT)
    versions = [e.version for e in town.streams[CONTRACT] if isinstance(e, CalledOff)]
    assert versions == [1, 1, 2]
    town.told(town.give_back("SO-1", pumps=10), CONTRACT)
    assert town.contract.drawn_amount == 110


# Random lives

PIECES = st.integers(0, 40)
ORDERS = st.integers(0, 5).map(lambda n: f"SO-{n}")
lives = count()


class CallOffLives(RuleBasedStateMachine):
    """Orders come and go; a contract is amended meanwhile; it is always the sum of its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.town = ContractTown()
        self.limits = {PUMP: 100, STENT: 20}
        self.most = 0

    @initialize(most=st.sampled_from([None, 6000]))
    def begin(self, most: int | None) -> None:
        self.town.active(max_amount=None if most is None else cny(most))
        self.most = most or 19_000

    @rule(order=ORDERS, pumps=PIECES, stents=st.integers(0, 12))
    def call_off(self, order: str, pumps: int, stents: int) -> None:
        if pumps + stents:
            self.town.ask(self.town.call_off(order, pumps, stents), CONTRACT)

    @rule(order=ORDERS, pumps=PIECES, stents=st.integers(0, 12))
    def give_back(self, order: str, pumps: int, stents: int) -> None:
        if pumps + stents:
            self.town.ask(self.town.give_back(order, pumps, stents), CONTRACT)

    @rule(pumps=st.integers(1, 130), stents=st.integers(1, 30))
    def amend(self, pumps: int, stents: int) -> None:
        change = DraftAmendment(kind="change", reason="x", lines=lines(pumps, stents))
        if self.town.ask(change, CONTRACT) is None and self.town.contract.under_way:
            self.town.signed()
            self.limits = {PUMP: pumps, STENT: stents}

    @invariant()
    def it_is_the_sum_of_its_parts(self) -> None:
        contract = self.town.contract
        for product, limit in self.limits.items():
            parts = [call[product] for call in contract.called.values() if product in call]
            drawn = contract.drawn.get(product)
            assert sum(part.quantity for part in parts) == (drawn.quantity if drawn else 0)
            assert sum(part.amount for part in parts) == (drawn.amount if drawn else 0)
            assert sum(part.quantity for part in parts) <= limit
        content = contract.content
        if content and content.max_amount:
            assert contract.drawn_amount <= content.max_amount.amount
        told = [e for e in self.town.streams.get(CONTRACT, []) if isinstance(e, CalledOff)]
        back = [e for e in self.town.streams.get(CONTRACT, []) if isinstance(e, CallOffReturned)]
        pieces = sum(line.quantity for e in told for line in e.lines)
        returned = sum(line.quantity for e in back for line in e.lines)
        assert pieces - returned == sum(some.quantity for some in contract.drawn.values())


def test_random_lives_never_exceed_the_contract() -> None:
    run_state_machine_as_test(
        CallOffLives,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
        ),
    )
