"""How a command is decided: what it needs is read, its rules run, what follows is noted down."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

from medsales.domain.kernel import (
    LONGEST_ID,
    Aggregate,
    Also,
    Command,
    Event,
    Id,
    Refused,
    Who,
    aggregate_of,
)
from medsales.engine.facts import Draft


@dataclass(frozen=True, slots=True)
class Loaded:
    """An aggregate as far as it is known here: its version and the state folded up to it."""

    version: int
    state: Aggregate


GIVEN = ("id", "by", "who", "at", "now")
"""What every decision may ask for besides aggregates."""

Load = Callable[[Iterable[str]], Mapping[str, Loaded]]


class Need(NamedTuple):
    """A parameter of `decide` that is an aggregate: whose field names it, and must it exist?"""

    name: str
    optional: bool
    names: tuple[str, ...] | None = None
    """What the method that points to it asks for; None where a field does."""


class Decision:
    """One command on its way to an answer: all it has read, and all it would have happen."""

    def __init__(self, load: Load, who: Who, at: datetime, now: datetime | None = None) -> None:
        self.load = load
        self.given: dict[str, Any] = {"by": who.id, "who": who, "at": at, "now": now or at}
        self.read: dict[str, int] = {}
        self.now: dict[str, Loaded] = {}
        self.drafts: list[Draft] = []

    def ask(self, id: str, command: Command[Any]) -> None:
        """Decides for one aggregate, and for those that must agree. Raises Refused."""
        self._fetch([id, *_pointed_to(command, command)])
        state = self._existing(id, begins=command.is_beginning()).state
        needs = self._needs(id, command, state)
        outcome = command.decide(state, **needs)  # type: ignore[attr-defined]
        parts = outcome if type(outcome) is tuple else () if outcome is None else (outcome,)
        self._fetch_for(parts)
        for part in parts:
            if isinstance(part, Also):
                self.ask(part.id, part.command)
            else:
                self._note(id, part)

    def _fetch(self, ids: Iterable[str]) -> None:
        missing = [id for id in dict.fromkeys(ids) if id not in self.now]
        if missing:
            found = self.load(missing)
            self.now.update(found)
            self.read.update({id: loaded.version for id, loaded in found.items()})

    def _fetch_for(self, parts: tuple[Event[Any] | Also, ...]) -> None:
        also = [part for part in parts if isinstance(part, Also)]
        self._fetch(
            id for part in also for id in (part.id, *_pointed_to(part.command, part.command))
        )
        self._fetch(
            id for part in also for id in _pointed_to(part.command, self.now[part.id].state)
        )

    def _existing(self, id: str, *, begins: bool = False) -> Loaded:
        if self.now[id].version == 0 and not begins:
            raise unknown(id)
        return self.now[id]

    def _needs(self, id: str, command: Command[Any], state: Aggregate) -> dict[str, Any]:
        given = {"id": id, **self.given}
        needs = {name: given[name] for name in parameters(type(command)) if name in given}
        for need in aggregates_needed(type(command)):
            pointer = getattr(command if hasattr(command, need.name) else state, need.name)
            if need.names is not None:
                pointer = pointer(**{name: {**given, **needs}[name] for name in need.names})
            needs[need.name] = self._state_of(pointer, need)
        return needs

    def _state_of(self, pointer: Any, need: Need) -> Any:
        if pointer is None:
            return None
        ids = pointer if isinstance(pointer, tuple) else (pointer,)
        self._fetch(ids)
        states = tuple(
            None if need.optional and self.now[id].version == 0 else self._existing(id).state
            for id in ids
        )
        return states if isinstance(pointer, tuple) else states[0]

    def _note(self, id: str, event: Event[Any]) -> None:
        before = self.now[id]
        after = Loaded(before.version + 1, event.apply(before.state))
        self.now[id] = after
        self.drafts.append(Draft(id, after.version, event))


def unknown(id: str) -> Refused:
    return Refused(f"{id.partition(':')[0]}.unknown", f"there is no {id}", f"没有 {id}")


@cache
def parameters(command: type[Command[Any]]) -> dict[str, Any]:
    """What `decide` asks for after the state: name to annotation."""
    signature = inspect.signature(command.decide, eval_str=True)  # type: ignore[attr-defined]
    return {p.name: p.annotation for p in list(signature.parameters.values())[2:]}


@cache
def aggregates_needed(command: type[Command[Any]]) -> tuple[Need, ...]:
    return tuple(
        Need(name, _is_optional(annotation), _asked_by(getattr(command, name, None)))
        for name, annotation in parameters(command).items()
        if name not in GIVEN
    )


def _is_optional(annotation: Any) -> bool:
    """`Lot | None`, and also `tuple[Lot | None, ...]`."""
    parts = get_args(annotation)
    return NoneType in parts or (get_origin(annotation) is tuple and NoneType in get_args(parts[0]))


def _asked_by(pointer: Any) -> tuple[str, ...] | None:
    if not inspect.isfunction(pointer):
        return None
    return tuple(inspect.signature(pointer).parameters)[1:]


def first_reads(command: Command[Any], id: str | None) -> list[str]:
    """What will be read for a command at once; nothing where there is nothing to decide."""
    try:
        return [subject_of(command, id), *_pointed_to(command, command)]
    except Refused:
        return []


def _pointed_to(command: Command[Any], holder: Command[Any] | Aggregate) -> list[Id]:
    """The ids that the command or the state holds for what the decision needs."""
    found: list[Id] = []
    for need in aggregates_needed(type(command)):
        if need.names is not None or (holder is not command and hasattr(command, need.name)):
            continue
        pointer = getattr(holder, need.name, None)
        found += pointer if isinstance(pointer, tuple) else [pointer] if pointer else []
    return found


def subject_of(command: Command[Any], id: str | None) -> str:
    """Whose command this is: the id it was sent to, or the one that follows from its fields.

    Raises Refused where the id is of another kind or missing.
    """
    if command.is_beginning():
        begun = command.begins()
        if len(begun) > LONGEST_ID:
            raise Refused("id.too_long", f"{begun} is too long for an id", f"编号 {begun} 过长")
        return begun
    kind = aggregate_of(type(command))
    assert kind is not None
    shown = str(id)[:LONGEST_ID]
    if not re.fullmatch(rf"{kind.kind}:[^\x00-\x1f\x7f]+", shown) or shown != id:
        raise Refused(
            f"{kind.kind}.unknown",
            f"{shown!r} is not the id of a {kind.kind}; it would begin with '{kind.kind}:'",
            f"{shown!r} 不是 {kind.kind} 的编号; 编号应以 '{kind.kind}:' 开头",
        )
    return id
