"""Rows belong to one subject, or are only added to: streams may be folded in any order."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.domain.governance.test_approval_lives import Life as ApprovalLife
from tests.domain.orders import test_order_lives as orders
from tests.domain.orders.towns import InMemory
from tests.domain.stock import test_device_unit_lives as units
from tests.domain.stock.lives import DeviceUnitLives
from tests.domain.terms import test_credit_lives as credit
from tests.domain.terms import test_price_matrix_lives as prices

from medsales.catalogue import PROJECTIONS
from medsales.domain.kernel import Command, Event
from medsales.domain.stock.warehouse import WarehouseOpened
from medsales.engine.facts import Envelope, Fact, envelope_to_json, event_to_json
from medsales.engine.projection import Batch, Change, Changes, Projection, Row, fold, lines, on
from medsales.testing import NOON

KINDS = [kind() for kind in PROJECTIONS]
QUICK = settings(
    max_examples=20,
    stateful_step_count=30,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    deadline=None,
    database=None,
)
Streams = Mapping[str, Sequence[Event[Any]]]


class Story:
    """The facts of one life, in the order of a log."""

    def __init__(self) -> None:
        self.facts: list[Fact[Any]] = []
        self.told: dict[str, int] = {}

    def goes_on(self, streams: Streams) -> None:
        """Writes down what is new in the streams."""
        for subject, events in streams.items():
            for event in events[self.told.get(subject, 0) :]:
                self.told[subject] = version = self.told.get(subject, 0) + 1
                self.facts.append(fact(len(self.facts) + 1, subject, version, event))

    def must_be_told_stream_by_stream(self) -> None:
        assert not several_subjects(self.facts)
        streams: dict[str, list[Fact[Any]]] = {}
        for each in self.facts:
            streams.setdefault(each.subject, []).append(each)
        subjects = list(streams)
        random.Random(len(subjects)).shuffle(subjects)
        shuffled = [each for subject in subjects for each in streams[subject]]
        assert rows_of(fold(KINDS, shuffled)) == rows_of(fold(KINDS, self.facts))


def fact(position: int, subject: str, version: int, event: Event[Any]) -> Fact[Any]:
    at = NOON + timedelta(minutes=position)
    envelope = Envelope("chen", "陈静", "tests", str(position), "Told", "")
    state, metadata = event_to_json(event).encode(), envelope_to_json(envelope).encode()
    name = type(event).__name__
    return Fact((position, subject, version, name, state, metadata, at, at, str(uuid4())))


def rows_of(batch: Batch) -> dict[str, list[str]]:
    return {row.__name__: sorted(map(repr, lines(row, batch[row]))) for row in batch}


def several_subjects(facts: Sequence[Fact[Any]]) -> dict[Any, set[str]]:
    """Rows that are not shared, and yet are touched by more than one subject."""
    touched: dict[Any, set[str]] = {}
    for row, key, subject in touches(KINDS, facts):
        if not row.shared:
            touched.setdefault((row.__name__, key), set()).add(subject)
    return {which: subjects for which, subjects in touched.items() if len(subjects) > 1}


def touches(
    projections: Sequence[Projection], facts: Sequence[Fact[Any]]
) -> Iterator[tuple[type[Row], Any, str]]:
    for each in facts:
        for projection in projections:
            for row, changes in fold([projection], [each]).items():
                yield from ((row, key, each.subject) for key in changes)


class Told(units.InMemory):
    """A town whose story is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()

    def handle(self, command: Command[Any], id: str | None) -> int:
        happened = super().handle(command, id)
        self.story.goes_on(self.town.streams)
        return happened

    def close(self) -> None:
        self.story.must_be_told_stream_by_stream()


class ToldOrders(orders.OrderLives):
    def found(self) -> InMemory:
        self.story = Story()
        return InMemory()

    def tell(self, command: Command[Any], id: str | None = None, by: str = "chen") -> bool:
        happened = super().tell(command, id, by)
        assert isinstance(self.town, InMemory)
        self.story.goes_on(self.town.streams)
        return happened

    def teardown(self) -> None:
        self.story.must_be_told_stream_by_stream()


class ToldPrices(prices.PriceMatrixLives):
    def found(self) -> InMemory:
        self.story = Story()
        return InMemory()

    def teardown(self) -> None:
        assert isinstance(self.town, InMemory)
        self.story.goes_on(self.town.streams)
        self.story.must_be_told_stream_by_stream()


def test_the_lives_of_prices_may_be_told_stream_by_stream() -> None:
    run_state_machine_as_test(ToldPrices, settings=QUICK)


class ToldCredit(credit.CreditLives):
    def found(self) -> InMemory:
        self.story = Story()
        return InMemory()

    def tell(self, command: Command[Any], id: str | None = None, by: str = "chen") -> bool:
        happened = super().tell(command, id, by)
        assert isinstance(self.town, InMemory)
        self.story.goes_on(self.town.streams)
        return happened

    def teardown(self) -> None:
        self.story.must_be_told_stream_by_stream()


def test_the_lives_of_units_and_lots_may_be_told_stream_by_stream() -> None:
    machine: Any = lambda: DeviceUnitLives(Told)  # noqa: E731 - anything that makes a machine
    run_state_machine_as_test(machine, settings=QUICK)


def test_the_lives_of_credit_accounts_may_be_told_stream_by_stream() -> None:
    run_state_machine_as_test(ToldCredit, settings=QUICK)


def test_the_lives_of_orders_may_be_told_stream_by_stream() -> None:
    run_state_machine_as_test(ToldOrders, settings=QUICK)


def test_the_lives_of_approvals_may_be_told_stream_by_stream() -> None:
    for seed in range(20):
        life, story = ApprovalLife(seed), Story()
        for _ in range(60):
            life.step()
            story.goes_on(life.desk.streams)
        story.must_be_told_stream_by_stream()


class Tally(Row, key=("kind",), shared=True):
    """What facts of any subject are added to."""

    kind: str
    n: int = 0


class Tallies(Projection):
    rows = (Tally,)

    def __init__(self, change: Callable[[], Change]) -> None:
        self.change = change

    @on(WarehouseOpened)
    def opened(self, _: Fact[Any]) -> Changes:
        yield self.change()


OPENED = fact(1, "warehouse:HZ", 1, WarehouseOpened(name="Hangzhou", address="1 Road", zones=()))


def test_what_is_shared_is_added_to() -> None:
    batch = fold([Tallies(lambda: Tally.add("a", n=2))], [OPENED, OPENED])
    assert rows_of(batch) == {"Tally": ["('a', 4)"]}


@pytest.mark.parametrize(
    "change",
    [lambda: Tally.put(kind="a", n=1), lambda: Tally.set("a", n=1), lambda: Tally.drop("a")],
)
def test_what_is_shared_is_not_put_nor_set_nor_dropped(change: Callable[[], Change]) -> None:
    with pytest.raises(TypeError, match="Tally is shared by several subjects: only add to it"):
        fold([Tallies(change)], [OPENED])
