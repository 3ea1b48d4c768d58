"""The vocabulary: ids that carry their kind, values that do not change, refusals in two tongues."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from tests.domain.examples import HANGZHOU, SHIPMENT, SN1, UNION

from medsales.domain.ids import DeviceUnitId, LotId, PartyId, WarehouseId
from medsales.domain.kernel import (
    EVENTS,
    KINDS,
    Command,
    Key,
    Refused,
    Role,
    Text,
    dashed,
    misleading,
)
from medsales.domain.stock.device_unit import DeviceUnit, HoldUnit, ReceiveUnit, UnitHeld
from medsales.domain.stock.warehouse import Warehouse, WarehouseClosed, Zone, ZoneAdded
from medsales.engine.facts import event_from_json, event_to_json


def test_an_id_is_its_kind_and_its_business_key() -> None:
    assert DeviceUnitId.of("06901234567892", "SN77") == "device-unit:06901234567892:SN77"


@pytest.mark.parametrize(
    "text",
    ["lot:1:2", "device-unit:", "device-unit", "device-unit:a\nb", "device-unit:" + "9" * 189],
)
def test_an_id_of_another_kind_or_form_is_not_taken(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(DeviceUnitId).validate_python(text)


@pytest.mark.parametrize("holder", [HANGZHOU, UNION, SHIPMENT], ids=str)
def test_a_holder_is_read_back_as_the_kind_it_is(holder: str) -> None:
    parties: TypeAdapter[Any] = TypeAdapter(PartyId)
    assert type(parties.validate_json(f'"{holder}"')) is type(holder)


def test_a_lot_holds_nothing() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(PartyId).validate_python(LotId.of("1", "2"))


def test_kinds_and_events_are_found_by_their_names() -> None:
    assert KINDS["device-unit"] is DeviceUnit
    assert EVENTS["UnitHeld"] is UnitHeld
    assert DeviceUnit.commands["hold-unit"] is HoldUnit
    assert dashed("DeviceUnit") == "device-unit"


def test_an_aggregate_is_what_its_events_made_it() -> None:
    events = [ZoneAdded(zone=Zone.RETURNS), WarehouseClosed(reason="lease ends")]
    assert Warehouse().after(events) == Warehouse(zones=frozenset({Zone.RETURNS}), closed=True)
    assert Warehouse().after([]) == Warehouse()


def test_an_event_does_not_change() -> None:
    held = UnitHeld(hold="Q-7", reason="alarm fails")
    with pytest.raises(ValidationError):
        held.hold = "Q-8"  # type: ignore[misc]


def test_a_command_takes_no_field_it_does_not_know() -> None:
    with pytest.raises(ValidationError):
        HoldUnit.model_validate({"hold": "Q-7", "reason": "x", "oops": 1})


def test_only_a_beginning_knows_whose_life_it_begins() -> None:
    assert ReceiveUnit.is_beginning()
    assert not HoldUnit.is_beginning()
    with pytest.raises(LookupError, match="HoldUnit begins nothing"):
        HoldUnit(hold="Q-7", reason="x").begins()


@pytest.mark.parametrize("kind", [Text, Key])
@pytest.mark.parametrize("text", ["", " ", "a\nb", "a\x00b", "9" * 201])
def test_a_line_for_people_is_short_and_printable(kind: Any, text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(text)


@pytest.mark.parametrize(
    "text",
    [
        *("a\x1bb", "a\x9bb", "a\x85b", "a\x7fb", "a\rb", "a\u2028b", "a\u2029b"),
        *("\u202eevil", "\u2066a\u2069", "a\u200e", "\u200fa", "\u061ca"),
        *("\u200b\u200d\ufeff", "\u3164", "\u2800", "\u0301", "\u3000", " \n"),
    ],
)
def test_a_text_that_shows_something_else_than_it_holds_is_misleading(text: str) -> None:
    wrong = misleading(text)
    assert wrong is not None
    assert wrong.zh != wrong.en


@pytest.mark.parametrize(
    "text", ["", "王敏", "a\tb\nc\r\nd", "𠮷𡃁 ☃ 👩\u200d⚕️ é e\u0301", "\U000323b0", "\u3000a"]
)
def test_a_text_that_can_be_read_is_not_misleading(text: str) -> None:
    assert misleading(text) is None


@pytest.mark.parametrize("number", ["Q-1\u200b", "Q\u00ad1", "Caf\u0065\u0301-1"])
def test_two_numbers_that_look_the_same_are_not_two_ids(number: str) -> None:
    assert misleading(number, key=True)
    assert misleading(number) is None
    assert misleading("Café-1", key=True) is None


def test_a_recorded_fact_is_never_judged_by_what_a_text_may_hold_today() -> None:
    """Otherwise a life with such a text in it could not be read any more."""
    for text in ("\u202e gnp", "a\x9b31m", "\u200b", "Cafe\u0301"):
        held = UnitHeld(hold=text, reason=text)
        assert event_from_json("UnitHeld", event_to_json(held).encode()) == held
        assert TypeAdapter(DeviceUnitId).validate_python(f"device-unit:{text}").key == text


def test_a_refusal_speaks_both_languages() -> None:
    refusal = Refused("unit.held", "the unit is on hold", "该器械已被暂停使用")
    assert (str(refusal), refusal.sentence.zh) == ("the unit is on hold", "该器械已被暂停使用")


def test_a_term_is_stored_as_its_value_and_said_in_both_languages() -> None:
    assert (Role.WAREHOUSE.value, Role.WAREHOUSE.zh) == ("warehouse", "仓库")
    assert DeviceUnit().lifecycle.en == "registered"


def test_every_command_is_a_message_of_one_aggregate() -> None:
    for aggregate in (DeviceUnit, Warehouse):
        assert all(issubclass(command, Command) for command in aggregate.commands.values())


def test_ids_are_compared_letter_by_letter() -> None:
    assert DeviceUnitId.of("1", "sn1") != DeviceUnitId.of("1", "SN1")
    assert str(SN1).startswith("device-unit:")
    assert WarehouseId.of("hz-1") != HANGZHOU
