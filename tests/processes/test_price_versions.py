"""A price version starts on its day by a timer, and its prices never wait for the timer (P3)."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent
from tests.dealer import LENS, PRICES, Dealer
from tests.engine.purses import history, query

from medsales.company import Company
from medsales.domain.kernel import Event
from medsales.domain.orders.order import Order
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    PriceCell,
    PriceMatrix,
    RevokeVersion,
    VersionApproved,
    VersionDrafted,
    VersionStatus,
    VersionSubmitted,
)
from medsales.domain.values import CHINA, Money
from medsales.engine.facts import event_to_json

DAY = date(2027, 6, 30)
BEFORE = datetime(2027, 6, 29, 23, 59, 59, tzinfo=CHINA)
MIDNIGHT = datetime(2027, 6, 30, tzinfo=CHINA)
S = VersionStatus


@pytest.fixture
def dealer(company: Company) -> Dealer:
    return Dealer(company)


def cell(price: str) -> PriceCell:
    return PriceCell(product=LENS, price=Money(amount=price, currency="CNY"))


def scheduled(dealer: Dealer, price: str, day: date = DAY) -> int:
    dealer.tell(DraftVersion(effective_from=day, cells=(cell(price),)), PRICES)
    number = len(matrix(dealer).versions)
    dealer.put_in_force(number)
    return number


def matrix(dealer: Dealer) -> PriceMatrix:
    return dealer.company.app.existing(PRICES, PriceMatrix)


def statuses(dealer: Dealer) -> list[VersionStatus]:
    return [version.status for version in matrix(dealer).versions.values()]


def at(dealer: Dealer, moment: datetime) -> None:
    dealer.company.app.clock = lambda: moment
    dealer.catch_up()


def timers(dealer: Dealer) -> list[dict[str, Any]]:
    return query(dealer.company, "select * from timer where timer = 'price_version_starts'")


def ordered(dealer: Dealer, number: str) -> Money:
    order = dealer.order(number, (LENS, 1))
    placed = dealer.company.app.existing(order, Order).placed
    assert placed is not None
    return placed.lines[0].price


def test_a_version_starts_when_its_day_begins_and_not_before(dealer: Dealer) -> None:
    scheduled(dealer, "999")
    at(dealer, BEFORE)
    assert statuses(dealer) == [S.EFFECTIVE, S.SCHEDULED]
    assert [timer["due_at"] for timer in timers(dealer)] == [MIDNIGHT]
    at(dealer, MIDNIGHT)
    assert statuses(dealer) == [S.SUPERSEDED, S.EFFECTIVE]
    at(dealer, MIDNIGHT)
    (started,) = history(dealer.company, kinds=("VersionStarted",))[1:]
    assert started.envelope.client == "process:price_version_starts"
    dealer.catch_up()
    assert timers(dealer) == []


def test_an_order_gets_the_price_of_its_day_also_before_the_timer_has_rung(
    dealer: Dealer,
) -> None:
    scheduled(dealer, "999")
    dealer.company.app.clock = lambda: BEFORE
    assert ordered(dealer, "1").amount == 1250
    dealer.company.app.clock = lambda: MIDNIGHT
    assert ordered(dealer, "2").amount == 999
    assert statuses(dealer) == [S.EFFECTIVE, S.SCHEDULED]


def test_several_versions_that_were_waited_for_too_long_start_in_their_order(
    dealer: Dealer,
) -> None:
    for price, day in (("3", date(2027, 9, 1)), ("2", date(2027, 8, 1)), ("1", DAY)):
        scheduled(dealer, price, day)
    at(dealer, datetime(2028, 1, 1, tzinfo=CHINA))
    dealer.catch_up()
    assert statuses(dealer) == [S.SUPERSEDED, S.EFFECTIVE, S.SUPERSEDED, S.SUPERSEDED]
    assert ordered(dealer, "1").amount == 3


def test_a_version_that_was_revoked_in_time_never_starts(dealer: Dealer) -> None:
    number = scheduled(dealer, "999")
    dealer.tell(RevokeVersion(version=number, reason="a slip"), PRICES)
    at(dealer, MIDNIGHT)
    assert statuses(dealer) == [S.EFFECTIVE, S.REVOKED]
    assert timers(dealer) == []


def old_facts(company: Company, *events: Event[Any]) -> None:
    """As an earlier medsales wrote them."""
    version = len(company.log.streams([PRICES])[PRICES])
    company.log.insert_events(
        [
            StoredEvent(PRICES, version + n, type(event).__name__, event_to_json(event).encode())
            for n, event in enumerate(events, start=1)
        ]
    )


def test_a_version_from_before_there_were_sheets_counts_starts_and_is_in_the_history(
    dealer: Dealer,
) -> None:
    """What was approved then counts from its day on; the timer comes with the new read model."""
    since = date(2025, 1, 1)
    facts: Sequence[Event[Any]] = (
        VersionDrafted(number=2, author="chen", effective_from=since, cells=(cell("777"),)),
        VersionSubmitted(number=2),
        VersionApproved(number=2, effective_from=since, approver="zhao"),
    )
    old_facts(dealer.company, *facts)
    assert ordered(dealer, "1").amount == 777
    dealer.catch_up()
    assert statuses(dealer) == [S.SUPERSEDED, S.EFFECTIVE]
    (version,) = query(dealer.company, "select * from price_version where number = 2")
    assert (version["cells"], version["approved_by"]) == (1, ["zhao"])
    (line,) = query(dealer.company, "select * from price_written where version = 2")
    assert (line["price"], line["edition"]) == (777, version["edition"])
    assert dealer.company.follower.verify(["price_history", "timer_board"]) == []


def test_a_late_version_changes_no_order_that_was_placed_before(dealer: Dealer) -> None:
    """P7; and what is ordered from now on, for its days, has its prices."""
    first = ordered(dealer, "1")
    scheduled(dealer, "900", date(2024, 6, 1))
    placed = dealer.company.app.existing("order:1", Order).placed
    assert placed is not None
    assert placed.lines[0].price == first
    assert ordered(dealer, "2").amount == 900
