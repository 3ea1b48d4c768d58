"""The subject index finds every fact that ever named somebody, in one read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tests.engine.trade import CT, MATRIX, UNITS, opened_for_business, ordered, received

from medsales.company import Company
from medsales.domain.kernel import EVENTS, Event, Id
from medsales.engine.facts import event_from_json
from medsales.engine.log import Selection, facts
from medsales.engine.mentions import Mentions, about, collector, mentioned

SAMPLES = sorted((Path(__file__).parents[1] / "domain" / "samples").glob("*.json"))


def ids_in(value: Any) -> Iterator[str]:
    """Looked for in every corner."""
    if isinstance(value, Id):
        yield value
    elif isinstance(value, BaseModel):
        yield from ids_in(list(value.__dict__.values()))
    elif isinstance(value, dict):
        yield from ids_in([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from ids_in(part)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_every_id_in_an_event_is_found(sample: Path) -> None:
    event = event_from_json(sample.stem, sample.read_bytes())
    assert mentioned(event) == set(ids_in(event))


def test_there_are_events_with_ids_and_without() -> None:
    found = [name for name in EVENTS if collector(EVENTS[name])]
    assert "UnitShipped" in found
    assert "CustomerResumed" not in found


class Name(Id, example="name:x"):
    """A name."""


class Inner(BaseModel):
    id: Name | None = None
    others: frozenset[Name] = frozenset()


class Nested(BaseModel):
    ids: dict[str, tuple[Inner | None, ...]]
    either: str | Inner | Name


class Nesting(Event[Any]):
    deep: Nested


def test_ids_are_found_however_deep() -> None:
    inner = Inner(id=Name("name:a"), others=frozenset({Name("name:b")}))
    for either, more in (("word", set()), (Name("name:c"), {"name:c"}), (inner, set())):
        deep = Nested.model_construct(ids={"x": (inner, None, Inner())}, either=either)
        assert mentioned(Nesting.model_construct(deep=deep)) == {"name:a", "name:b"} | more


@pytest.fixture
def business(trader: Company) -> Company:
    opened_for_business(trader)
    received(trader, 3)
    ordered(trader, "1")
    trader.follower.catch_up()
    return trader


def found(company: Company, subject: str, limit: int = 1000, **selected: Any) -> list[int]:
    with company.database.reading() as db:
        rows = about(db, subject, Selection(**selected), limit)
    return [row["notification_id"] for row in rows]


def by_hand(company: Company, subject: str) -> list[int]:
    with company.database.reading() as db:
        log = facts(db, Selection(), 10_000)
    return [f.position for f in log if f.subject == subject or subject in set(ids_in(f.event))]


def test_own_facts_and_those_that_name_it_come_in_the_order_of_the_log(business: Company) -> None:
    for subject in (CT, MATRIX, "warehouse:HZ", "customer:x", "order:1", *UNITS[:3]):
        assert found(business, subject) == by_hand(business, subject) != []
    assert found(business, "customer:nobody") == []


def test_they_are_chosen_like_other_facts(business: Company) -> None:
    everything = found(business, CT)
    assert found(business, CT, 3) == everything[:3]
    assert found(business, CT, after=everything[1], limit=2) == everything[2:4]
    assert found(business, CT, upto=everything[4]) == everything[:5]
    kinds = found(business, CT, kinds=("UnitReceived",))
    assert len(kinds) == 3
    assert set(kinds) < set(everything)


def test_a_fact_is_not_a_mention_of_its_own_subject(business: Company) -> None:
    with business.database.reading() as db:
        wrong = db.execute(
            "select * from mention m join facts f on f.notification_id = m.position"
            " where f.originator_id = m.subject"
        ).fetchall()
    assert wrong == []


def test_the_index_follows_every_event_that_has_a_place_for_an_id() -> None:
    assert {name for name in EVENTS if collector(EVENTS[name])} == set(Mentions.handlers)
    assert "NeverHeardOf" not in Mentions.handlers
