"""Texts of a command that show people something else than they hold are refused at the door."""

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args, get_type_hints

from medsales.api.problems import invalid
from medsales.domain.kernel import KEY_FORM, Id, Value, misleading
from medsales.domain.udi import Udi

Where = tuple[int | str, ...]


def must_be_seen(message: Value, body: bytes) -> None:
    """Raises Trouble 422, which names the fields that are wrong.

    Ids that are only mentioned pass, so that what was named before this rule can still be spoken
    of; and so does what a scanner read, where controls have a meaning.
    """
    # Nothing that misleads is written in plain ASCII, and most commands are.
    if body.isascii() and b"\\" not in body:
        return
    if wrong := [*_inside(message, (), key=False)]:
        raise invalid(wrong)


def must_be_shown(field: str, text: str | None) -> None:
    """Raises Trouble 422."""
    if text and (wrong := misleading(text)):
        raise invalid([((field,), wrong.en)])


def _inside(value: Any, where: Where, *, key: bool) -> Iterator[tuple[Where, str]]:
    if isinstance(value, Id | Udi):
        return
    if isinstance(value, str):
        if wrong := misleading(value, key=key):
            yield where, wrong.en
    elif isinstance(value, Value):
        keys = _keys(type(value))
        for name in type(value).model_fields:
            yield from _inside(getattr(value, name), (*where, name), key=name in keys)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _inside(name, where, key=key)
            yield from _inside(part, (*where, str(name)), key=key)
    elif isinstance(value, tuple | list | frozenset | set):
        for n, part in enumerate(value):
            yield from _inside(part, (*where, n), key=key)


@cache
def _keys(kind: type[Value]) -> frozenset[str]:
    """The fields that hold a number or code of the business."""
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(name for name in kind.model_fields if KEY_FORM in _parts(hints[name]))


def _parts(annotation: Any) -> list[Any]:
    inner = [part for arg in get_args(annotation) for part in _parts(arg)]
    return [annotation, *inner]
