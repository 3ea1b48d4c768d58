"""A stored event is for ever: a sample of each, as it was stored, must load and be stored alike.

When a test here fails, the form of an event has changed. Do not rewrite the sample: give the new
field a default and keep the old sample in `older/`, or make a new event (docs/architecture.md).
"""

import json
from pathlib import Path

import pytest
from tests.domain.samples.write import SAMPLES, own_events

from medsales.engine.facts import event_from_json, event_to_json

EVENTS = own_events()
NAMES = sorted(EVENTS)
CURRENT = sorted(SAMPLES.glob("*.json"))
OLDER = sorted((SAMPLES / "older").glob("*.json"))


def named(file: Path) -> str:
    """`older/UnitReceived.json` and `older/UnitReceived.2.json` are both of UnitReceived."""
    return file.name.partition(".")[0]


def test_every_event_has_a_sample_and_every_sample_an_event() -> None:
    assert [named(file) for file in CURRENT] == NAMES


@pytest.mark.parametrize("file", CURRENT, ids=named)
def test_a_sample_loads_and_is_written_back_byte_for_byte(file: Path) -> None:
    stored = file.read_bytes()
    event = event_from_json(named(file), stored)
    assert type(event) is EVENTS[named(file)]
    assert event_to_json(event).encode() + b"\n" == stored


@pytest.mark.parametrize("file", CURRENT, ids=named)
def test_a_sample_fills_every_field(file: Path) -> None:
    said = json.loads(file.read_bytes())
    assert list(said) == list(EVENTS[named(file)].model_fields)
    assert [name for name, value in said.items() if value in (None, [], "")] == []


@pytest.mark.parametrize("file", CURRENT, ids=named)
def test_an_event_from_before_its_optional_fields_still_loads(file: Path) -> None:
    said = json.loads(file.read_bytes())
    fields = EVENTS[named(file)].model_fields
    older = {name: value for name, value in said.items() if fields[name].is_required()}
    event = event_from_json(named(file), json.dumps(older).encode())
    assert {name: getattr(event, name) for name in fields.keys() - older.keys()} == {
        name: fields[name].get_default(call_default_factory=True)
        for name in fields.keys() - older.keys()
    }


def test_there_are_samples_of_older_forms() -> None:
    assert OLDER
    assert {named(file) for file in OLDER} <= set(NAMES)


@pytest.mark.parametrize("file", OLDER, ids=lambda file: file.stem)
def test_an_older_form_still_loads_and_means_the_same(file: Path) -> None:
    event = event_from_json(named(file), file.read_bytes())
    stored = json.loads(event_to_json(event))
    said = json.loads(file.read_bytes())
    assert {name: stored[name] for name in said} == said
