"""What holds for every aggregate, found by trying commands nobody would think of."""

import ast
import inspect
import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from tests.domain.orders.examples import PUMP, PUMP_DI, STENT, STENT_DI, UNION, WORLD
from tests.domain.orders.towns import InMemory
from tests.domain.terms.contracts import CONTRACT, in_force

from medsales.catalogue import AGGREGATES
from medsales.domain.governance.signature import SignedStatement
from medsales.domain.ids import (
    AnyId,
    ApprovalFlowId,
    ApprovalId,
    ContractId,
    ContractTemplateId,
    CreditAccountId,
    CustomerId,
    DeviceIdentifierId,
    DeviceUnitId,
    LicenceFileId,
    LotId,
    OrderId,
    OurCompanyId,
    ParkingId,
    PersonId,
    PriceMatrixId,
    PriceSheetId,
    ProductId,
    PromotionId,
    QuoteId,
    ShipmentId,
    SignatureId,
    WarehouseId,
)
from medsales.domain.kernel import EVENTS, KINDS, Aggregate, Command, Id, Value, aggregate_of
from medsales.domain.udi import Issuer, Udi
from medsales.engine.decision import GIVEN, aggregates_needed, parameters
from medsales.engine.memory import types_of
from medsales.testing import NOON, Pen, loaded

K = TypeVar("K")
DOMAIN = Path(__file__).parents[2] / "src" / "medsales" / "domain"
COMMANDS = [command for aggregate in AGGREGATES for command in aggregate.commands.values()]
PUBLIC = [command for command in COMMANDS if command.allowed]
"""The others are asked by aggregates only, in the course of somebody's command."""

each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
each_public = pytest.mark.parametrize("command", PUBLIC, ids=lambda command: command.__name__)

PEN = Pen("chen")
SIGNED = [PEN.signs(f"order:SO-{n}", n, "sha256:" + "a" * 64) for n in (1, 2)]

# Few names, so that what one command speaks of another one has heard of.
KEYS: dict[type[Id], tuple[str, ...]] = {
    CustomerId: ("91330000470003281C", "cms-010001", "nobody"),
    ProductId: (PUMP_DI, STENT_DI, "nothing"),
    DeviceIdentifierId: (PUMP_DI, STENT_DI),
    DeviceUnitId: (f"{PUMP_DI}:SN1", f"{PUMP_DI}:SN2", f"{PUMP_DI}:SN9", f"{STENT_DI}:SN1"),
    LotId: (f"{STENT_DI}:A213", f"{PUMP_DI}:A213"),
    WarehouseId: ("HZ-1", "WH-1", "nowhere"),
    PriceMatrixId: ("CN-2026", "CN-2027"),
    PriceSheetId: (f"CN-2026:product:{PUMP_DI}", "CN-2026:family:华东"),
    PromotionId: ("SPRING-2026", "AUTUMN-2026"),
    CreditAccountId: ("91330000470003281C", "cms-010001"),
    QuoteId: ("Q-1", "Q-2"),
    ContractId: ("HT-1", "HT-2"),
    ContractTemplateId: ("FRAMEWORK", "SHORT"),
    OurCompanyId: ("us",),
    OrderId: ("SO-1", "SO-2"),
    ShipmentId: ("DN-1", "DN-2"),
    ParkingId: ("stock_picture", "timer_board"),
    LicenceFileId: ("own", "customer:91330000470003281C", "supplier:maker", "person:chen"),
    PersonId: ("chen", "wang", "nobody"),
    SignatureId: tuple(signed.statement.id().key for signed in SIGNED),
    ApprovalFlowId: ("price-matrix", "quote", "nothing"),
    ApprovalId: ("price-matrix:CN-2026:1", "price-matrix:CN-2026:2", "quote:Q-1:1"),
    AnyId: ("price-matrix:CN-2026", "quote:Q-1"),
}
TEXTS = (
    *(key for keys in KEYS.values() for key in keys),
    "CNY",
    "EUR",
    "华东",
    "心内科",
    "14-02",
    "base",
    "sha256:" + "a" * 64,
    PEN.public_key,
    PEN.key_id,
    PEN.session,
)
NUMBERS = (0, 1, 2, 3, 10, 1_000_000)
DAYS = (date(1999, 12, 31), date(2026, 1, 1), date(2026, 6, 1), date(9999, 12, 31))
ATOMS: dict[Any, tuple[Any, ...]] = {
    str: TEXTS,
    int: NUMBERS,
    bool: (False, True),
    date: DAYS,
    datetime: (NOON,),
    AwareDatetime: (NOON,),
    Decimal: (Decimal(-1), Decimal(0), Decimal("0.50"), Decimal(700)),
    type(None): (None,),
}
LABELS = st.builds(
    lambda di, serial, lot: Udi(raw="x", issuer=Issuer.OTHER, di=di, serial=serial, lot=lot),
    st.sampled_from([PUMP_DI, STENT_DI, None]),
    st.sampled_from([None, "SN1", "SN8"]),
    st.sampled_from([None, "A213", "B7"]),
)


def values(  # noqa: PLR0911 - one return per form of a type
    annotation: Any, *constraints: Any
) -> st.SearchStrategy[Any]:
    """Arbitrary values of a type, out of a small world; what the type turns away is left out."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return values(inner, *more, *constraints)
    if annotation is Udi:
        return LABELS
    if annotation is SignedStatement:
        return st.sampled_from(SIGNED)
    if get_origin(annotation) in (Union, UnionType):
        return st.one_of([values(option, *constraints) for option in get_args(annotation)])
    if get_origin(annotation) is tuple:
        return st.lists(values(get_args(annotation)[0]), max_size=2).map(tuple)
    if issubclass(annotation, Value):
        return st.deferred(lambda: messages(annotation))
    if issubclass(annotation, Id):
        return st.sampled_from([annotation.of(key) for key in KEYS[annotation]])
    known = ATOMS.get(annotation) or tuple(annotation)
    return st.sampled_from([value for value in known if fits(value, annotation, constraints)])


def fits(value: Any, annotation: Any, constraints: tuple[Any, ...]) -> bool:
    checked: Any = Annotated[annotation, *constraints] if constraints else annotation
    try:
        TypeAdapter(checked).validate_python(value)
    except ValidationError:
        return False
    return True


def messages(kind: type[Value]) -> st.SearchStrategy[Any]:
    fields = {name: field_values(field) for name, field in kind.model_fields.items()}
    return st.fixed_dictionaries(fields).map(lambda said: made(kind, said))


def field_values(field: FieldInfo) -> st.SearchStrategy[Any]:
    arbitrary = values(field.annotation, *field.metadata)
    return arbitrary if field.is_required() else st.just(field.get_default()) | arbitrary


def made(kind: type[Value], said: dict[str, Any]) -> Any:
    """Pydantic turns some combinations away; those never reach a decision."""
    try:
        return kind(**said)
    except ValidationError:
        assume(False)


def ids_of(aggregate: type[Aggregate]) -> list[str]:
    (kind,) = [kind for kind in KEYS if kind.kind == aggregate.kind]
    return [kind.of(key) for key in KEYS[kind]]


def begun() -> InMemory:
    streams = {id: list(events) for id, events in WORLD.items()}
    streams[CONTRACT] = list(in_force(UNION, PUMP, STENT))
    return InMemory(streams, {id: loaded(id, events) for id, events in streams.items()})


ANY_COMMAND = {command: messages(command) for command in COMMANDS}


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: aggregate.__name__)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_commands_either_yield_facts_or_are_refused(aggregate: type[Aggregate], data: Any) -> None:
    """The town lets only Refused pass, and reads back every fact and state from JSON."""
    town = begun()
    own = [command for command in aggregate.commands.values() if command.allowed]
    own = own or list(aggregate.commands.values())
    for _ in range(data.draw(st.integers(1, 15))):
        kind = data.draw(st.sampled_from(own) | st.sampled_from(own + PUBLIC))
        command = data.draw(ANY_COMMAND[kind])
        whose = aggregate_of(kind)
        assert whose is not None
        town.ask(command, data.draw(st.sampled_from(ids_of(whose))))


@each_command
def test_a_command_says_what_it_does_and_who_may_ask(command: type[Command[Any]]) -> None:
    assert command.__doc__
    assert command.__doc__.strip()[0].isupper()
    assert command.__doc__.strip().endswith(".")
    assert "allowed" in vars(command)


@each_command
def test_whatever_a_decision_needs_is_pointed_to(command: type[Command[Any]]) -> None:
    """Each aggregate that `decide` names has an id of that name on the command or the state."""
    state = aggregate_of(command)
    assert state is not None
    unknown = [need for need in parameters(command) if need not in GIVEN]
    assert unknown == [need.name for need in aggregates_needed(command)]
    for need in aggregates_needed(command):
        wanted = _inside(parameters(command)[need.name], Aggregate)
        pointer = _annotation(command, need.name) or _annotation(state, need.name)
        pointed = {KINDS[kind.kind] for kind in _inside(pointer, Id)}
        assert pointed == wanted


def _annotation(holder: type, name: str) -> Any:
    """The type of a field or property, or of what a method returns."""
    member = getattr(holder, name, None)
    if isinstance(member, property):
        return get_type_hints(member.fget)["return"]
    if inspect.isfunction(member):
        return get_type_hints(member)["return"]
    return types_of(holder).get(name)


def _inside(annotation: Any, kind: type[K]) -> set[type[K]]:
    if isinstance(annotation, type) and issubclass(annotation, kind):
        return {annotation}
    return {found for part in get_args(annotation) for found in _inside(part, kind)}


# Fields


def strings(schema: dict[str, Any], defs: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Every place in a JSON schema where a text may stand; a number written as text is none."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from strings(defs[name], defs, path)
    options = schema.get("anyOf", [])
    if schema.get("type") == "string":
        yield path, schema
    if not any(option.get("type") == "number" for option in options):
        for option in options:
            yield from strings(option, defs, path)
    for name, inner in schema.get("properties", {}).items():
        yield from strings(inner, defs, f"{path}.{name}")
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from strings(inner, defs, f"{path}[]")


FIXED_LENGTH = re.compile(r"^\^[^*+]*\{\d+\}\$$")


@each_public
def test_no_text_is_without_a_limit(command: type[Command[Any]]) -> None:
    schema = command.model_json_schema()
    endless = [
        path
        for path, text in strings(schema, schema.get("$defs", {}), command.__name__)
        if not {"maxLength", "enum", "const", "format"} & text.keys()
        and not FIXED_LENGTH.match(text.get("pattern", ""))
    ]
    assert endless == []


PLAIN = {
    "address",
    "catalogue_number",
    "cells",
    "checklist",
    "code",
    "currency",
    "department",
    "departments",
    "due_back",
    "effective_from",
    "evidence",
    "fault",
    "grade",
    "hold",
    "implantable",
    "line",
    "lines",
    "model",
    "name",
    "passed",
    "planned_for",
    "quantities",
    "quantity",
    "reason",
    "region",
    "remark",
    "removed",
    "single_use",
    "supplier",
    "tier",
    "units",
    "used_disclosed",
    "version",
    "warranty_months",
    "work",
    "zones",
}
"""Words of the glossary, which a field need not explain again."""


@each_public
def test_a_field_is_described_or_plain(command: type[Command[Any]]) -> None:
    schema = command.model_json_schema()
    silent = [
        name
        for name, field in schema.get("properties", {}).items()
        if "description" not in str(field) and "$ref" not in str(field) and name not in PLAIN
    ]
    assert silent == []


@each_public
def test_an_example_of_a_field_is_a_good_one(command: type[Command[Any]]) -> None:
    for field in command.model_fields.values():
        for example in field.examples or []:
            assert fits(example, field.annotation, tuple(field.metadata))


@pytest.mark.parametrize("kind", KEYS, ids=lambda kind: kind.__name__)
def test_the_example_of_an_id_is_an_id(kind: type[Id]) -> None:
    assert TypeAdapter(kind).validate_python(kind.example) == kind.example


# Refusals and names


def refusals() -> Iterator[tuple[str, ast.Call]]:
    for file in sorted(DOMAIN.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused":
                yield f"{file.relative_to(DOMAIN)}:{node.lineno}", node


ALL_REFUSALS = list(refusals())
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("refusal", [call for _, call in ALL_REFUSALS], ids=dict(ALL_REFUSALS))
def test_a_refusal_has_a_code_and_speaks_english_and_chinese(refusal: ast.Call) -> None:
    assert len(refusal.args) == 3
    code, en, zh = refusal.args
    if isinstance(code, ast.Constant):
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", str(code.value))
    if isinstance(en, ast.JoinedStr | ast.Constant):
        assert not CHINESE.search(_literal(en))
        assert CHINESE.search(_literal(zh)) or ast.unparse(zh).endswith(".zh}'")


def _literal(node: ast.AST) -> str:
    return "".join(
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )


def test_every_aggregate_that_can_be_written_is_in_the_catalogue() -> None:
    assert {
        aggregate_of(event) for event in EVENTS.values() if "tests" not in event.__module__
    } == {*AGGREGATES}
