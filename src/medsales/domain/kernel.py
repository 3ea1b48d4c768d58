"""The vocabulary every aggregate is written in: Value, Id, Event, Command, Refused, Also.

A command looks at the state and decides: an event, several, none, or a refusal. An event says what
the state becomes. Nothing here knows about databases, HTTP or clocks.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, Self, TypeVar
from unicodedata import category, is_normalized

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic import StringConstraints as Strings
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

S = TypeVar("S", bound="Aggregate")

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Text = Annotated[
    str, Strings(strip_whitespace=True, min_length=1, max_length=200, pattern=PRINTABLE)
]
"""One line for people: 1 to 200 characters, no control characters."""
KEY_FORM = Strings(strip_whitespace=True, min_length=1, max_length=100, pattern=PRINTABLE)
Key = Annotated[str, KEY_FORM]
"""A number or code that the business gives; it becomes part of an id."""
Note = Annotated[str, Strings(min_length=1, max_length=4000, pattern=r"^[^\x00]*$")]
"""Some paragraphs for people: 1 to 4,000 characters."""


LONGEST_ID = 200


class Sentence(NamedTuple):
    """What a person reads, in the two languages of the business."""

    en: str
    zh: str


MISLEADING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Controls but tabs and ends of lines, other ends of lines, and marks that turn a line around."""
NOTHING_SEEN = frozenset({"Cc", "Cf", "Cs", "Mc", "Me", "Mn", "Zl", "Zp", "Zs"})
BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def misleading(text: str, *, key: bool = False) -> Sentence | None:
    """What is wrong with a text that shows people something else than it holds.

    For what is said from outside. What is recorded already is never judged by it: types have
    patterns that old facts keep to, and this may grow.
    """
    if found := MISLEADING.search(text.replace("\r\n", "\n")):
        code = f"U+{ord(found[0]):04X}"
        return Sentence(f"must not hold the control character {code}", f"不得含有控制字符 {code}")
    if text and all(category(c) in NOTHING_SEEN or c in BLANK_LETTERS for c in text):
        return Sentence("shows nothing that can be read", "没有可见的内容")
    return _no_key(text) if key else None


def _no_key(text: str) -> Sentence | None:
    """Two numbers that look the same would be two ids."""
    if unseen := next((c for c in text if category(c) == "Cf"), None):
        code = f"U+{ord(unseen):04X}"
        return Sentence(f"must not hold {code}, which is not seen", f"不得含有不可见字符 {code}")
    if not is_normalized("NFC", text):
        return Sentence("must be in Unicode's composed form, NFC", "须采用 Unicode 组合形式 (NFC)")
    return None


class Refused(Exception):
    """A business rule said no: a stable code for programs, a sentence for the person who asked."""

    def __init__(self, code: str, en: str, zh: str) -> None:
        super().__init__(en)
        self.code = code
        self.sentence = Sentence(en, zh)


class Term(StrEnum):
    """A word of the business: the stored value, and how each language says it."""

    zh: str

    def __new__(cls, value: str, zh: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.zh = zh
        return member

    @property
    def en(self) -> str:
        return self.value.replace("_", " ")


class Role(Term):
    """What somebody may do here; a token names the roles of its bearer."""

    SALES = "sales", "销售"
    WAREHOUSE = "warehouse", "仓库"
    TECHNICIAN = "technician", "工程师"
    QUALITY = "quality", "质量"
    MANAGER = "manager", "经理"
    DIRECTOR = "director", "总监"
    FINANCE = "finance", "财务"
    LEGAL = "legal", "法务"
    AUDITOR = "auditor", "审计"
    COUNTERPARTY = "counterparty", "对方签署人"
    SYSTEM = "system", "系统"


class Who(NamedTuple):
    """Who asks: an id that is never given again, the name to print, and what this person may do."""

    id: str
    name: str
    roles: tuple[Role, ...]


class Value(BaseModel):
    """Immutable data, compared by content."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class Id(str):
    """The name of one aggregate: its kind and its business key, `order:SO-1`."""

    __slots__ = ()
    kind: ClassVar[str]
    example: ClassVar[str]

    def __init_subclass__(cls, example: str) -> None:
        cls.kind = dashed(cls.__name__.removesuffix("Id"))
        cls.example = example

    @classmethod
    def of(cls, *key: str) -> Self:
        return cls(":".join((cls.kind, *key)))

    @property
    def key(self) -> str:
        """What follows the kind."""
        return self.partition(":")[2]

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        pattern = rf"^{cls.kind}:[^\x00-\x1f\x7f]+$"
        text = core_schema.str_schema(pattern=pattern, max_length=LONGEST_ID)
        return core_schema.no_info_after_validator_function(cls, text)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "description": cls.__doc__, "examples": [cls.example]}


@dataclass(frozen=True)
class Aggregate:
    """State folded from events. Every field's default means "nothing has happened yet"."""

    kind: ClassVar[str] = ""
    commands: ClassVar[dict[str, type["Command[Any]"]]]

    def __init_subclass__(cls) -> None:
        cls.kind = dashed(cls.__name__)
        cls.commands = {}
        KINDS[cls.kind] = cls

    def after(self, events: Iterable["Event[Self]"]) -> Self:
        state = self
        for event in events:
            state = event.apply(state)
        return state


KINDS: dict[str, type[Aggregate]] = {}
"""Every kind of aggregate, by the word its ids begin with."""

EVENTS: dict[str, type["Event[Any]"]] = {}
"""Every event by its stored name, which is its class name and never changes."""


def aggregate_of(message: type[Value]) -> type[Aggregate] | None:
    """The aggregate in `class ShipUnit(Command[DeviceUnit])`; None for the generic bases."""
    for base in message.__mro__[1:]:
        found = getattr(base, "__pydantic_generic_metadata__", {}).get("args", ())
        if found and isinstance(found[0], type) and issubclass(found[0], Aggregate):
            return found[0]
    return None


def dashed(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


class Event(Value, Generic[S]):
    """A fact: named in the past tense, never changed, never deleted."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        if aggregate_of(cls) is None:
            return
        namesake = EVENTS.setdefault(cls.__name__, cls)
        if namesake.__module__ != cls.__module__:
            raise TypeError(f"{cls.__name__} is already an event in {namesake.__module__}")

    def apply(self, state: S, /) -> S:
        """What the state becomes. By default a fact is recorded and changes nothing."""
        return state


class Command(Value, Generic[S]):
    """A wish: named as an order, and free to be refused.

    Each command defines `decide(self, state, ...)`, which returns the event it causes, a tuple of
    events and of what is `Also` asked of other aggregates, or None when there is nothing to do.
    After the state, a decision may name what else it needs: `id` (whose state it is), `by` (the id
    of who asks), `who` (the same with name and roles), `at` (the moment it takes effect), `now`
    (the moment it is asked: by it is judged what may be promised), and any aggregate, or tuple of
    them, that a field of the command or of the state points to by that name. A method of the
    command may point too: it is given what it names of all this, where the decision has named it
    before. What is pointed to must exist, unless it is annotated `... | None`.
    """

    allowed: ClassVar[tuple[Role, ...]]
    at_once: ClassVar[bool] = False
    """Whether it takes effect when it is asked and at no other time: nobody consents in the past,
    when he still had the power to."""

    def begins(self) -> Id:
        """The id of the life this command begins; only beginnings define it."""
        raise LookupError(f"{type(self).__name__} begins nothing")

    @classmethod
    def is_beginning(cls) -> bool:
        return cls.begins is not Command.begins

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        aggregate = aggregate_of(cls)
        if aggregate is not None and hasattr(cls, "decide"):
            aggregate.commands[dashed(cls.__name__)] = cls


class Also(NamedTuple):
    """Part of a decision: another aggregate must agree to this, or nothing happens at all."""

    id: Id
    command: Command[Any]
