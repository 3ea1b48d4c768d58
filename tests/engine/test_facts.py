"""Facts: stored as canonical JSON, the same bytes for ever, and readable by an auditor."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.engine.purses import CoinsTaken, Purse, TakeCoins, asked, do, history, purse, query

from medsales.company import Company
from medsales.domain.kernel import EVENTS, KINDS, Event, aggregate_of
from medsales.domain.terms.price_matrix import PriceCell
from medsales.domain.values import Money
from medsales.engine.facts import (
    Envelope,
    Fact,
    envelope_to_json,
    event_from_json,
    event_to_json,
)


def everything(kind: type[Any]) -> set[type[Any]]:
    return {kind, *(below for child in kind.__subclasses__() for below in everything(child))}


def test_every_event_is_registered_once_under_its_name() -> None:
    events = [kind for kind in everything(Event) if aggregate_of(kind) and "[" not in kind.__name__]
    product = [kind for kind in events if kind.__module__.startswith("medsales.")]
    assert len(product) > 30
    assert len({kind.__name__ for kind in product}) == len(product)
    assert {kind.__name__: kind for kind in product}.items() <= EVENTS.items()


def test_every_event_belongs_to_an_aggregate_that_is_known() -> None:
    for event in EVENTS.values():
        aggregate = aggregate_of(event)
        assert aggregate is not None
        assert KINDS[aggregate.kind] is aggregate


def test_two_events_of_one_name_in_different_places_are_refused() -> None:
    with pytest.raises(TypeError, match="CoinsTaken is already an event in"):

        class CoinsTaken(Event[Purse]):
            __module__ = "somewhere.else"

    assert EVENTS["CoinsTaken"].__module__ == Purse.__module__


@pytest.mark.parametrize(
    ("event", "stored"),
    [
        (CoinsTaken(coins=3), '{"coins":3,"at":null}'),
        (
            CoinsTaken(coins=-1, at=datetime(2026, 6, 1, 12, tzinfo=UTC)),
            '{"coins":-1,"at":"2026-06-01T12:00:00Z"}',
        ),
    ],
)
def test_an_event_is_stored_as_these_very_bytes(event: Event[Any], stored: str) -> None:
    assert event_to_json(event) == stored
    assert event_from_json(type(event).__name__, stored.encode()) == event


def test_money_is_stored_exactly_and_never_as_a_float() -> None:
    cell = PriceCell(product="product:1", price=Money(amount="100.10", currency="CNY"))
    stored = json.loads(cell.model_dump_json())
    assert stored["price"]["amount"] == "100.10"


def test_reading_and_writing_again_gives_the_same_bytes(company: Company) -> None:
    purse(company)
    do(company, TakeCoins(coins=3), "purse:ann")
    for row in query(company, "select topic, state from facts"):
        assert event_to_json(event_from_json(row["topic"], row["state"])).encode() == row["state"]


def test_an_event_that_nobody_knows_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        event_from_json("NeverHappened", b"{}")


def stored(name: str = "CoinsTaken", state: bytes = b'{"coins":3,"at":null}') -> Fact[Any]:
    now = datetime.now(UTC)
    envelope = Envelope("ann", "Ann 安", "till", "k-1", "TakeCoins", "c-1")
    return Fact((1, "purse:ann", 1, name, state, envelope_to_json(envelope).encode(), now, now, ""))


def test_an_event_is_read_when_somebody_looks_at_it() -> None:
    unknown, broken = stored("NeverHappened"), stored(state=b"{")
    assert (unknown.name, unknown.by) == ("NeverHappened", "ann")
    with pytest.raises(KeyError):
        assert unknown.event
    with pytest.raises(ValueError, match="Invalid JSON"):
        assert broken.event


def test_an_event_that_was_let_go_is_read_again() -> None:
    fact = stored()
    fact.let_go()
    first = fact.event
    assert fact.event is first
    fact.let_go()
    assert fact.event == first == CoinsTaken(coins=3)
    assert fact.event is not first


def test_a_fact_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="evnt"):
        assert stored().evnt  # type: ignore[attr-defined]


def test_an_auditor_reads_the_log_as_jsonb(company: Company) -> None:
    purse(company, "安", 10)
    company.app.handle(asked(TakeCoins(coins=3), "purse:安", key="k-1"))
    (row,) = query(
        company,
        "select position, subject, version, event, payload->'coins' as coins,"
        " pg_typeof(payload)::text as kind, envelope->>'name' as name, envelope->>'key' as key"
        " from log where event = 'CoinsTaken'",
    )
    assert row == {
        "position": 2,
        "subject": "purse:安",
        "version": 2,
        "event": "CoinsTaken",
        "coins": 3,
        "kind": "jsonb",
        "name": "Ann 安",
        "key": "k-1",
    }


def test_a_fact_says_who_and_which(company: Company) -> None:
    purse(company)
    (fact,) = history(company)
    assert (fact.by, fact.subject, fact.version) == ("ann", "purse:ann", 1)
    assert len(fact.event_id) == 36
