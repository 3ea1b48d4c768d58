"""What a process knows of the aggregates: read once, kept for a while, checked at every append."""

import inspect
import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json
from rpds import HashTrieMap

from medsales.domain import kernel
from medsales.domain.kernel import KINDS, Aggregate, Refused
from medsales.engine.decision import Loaded
from medsales.engine.garbage import undisturbed
from medsales.engine.log import Line, Log, Told, Wanted

LOG = logging.getLogger(__name__)
A = TypeVar("A", bound=Aggregate)
K = TypeVar("K")
V = TypeVar("V")

CAPACITY = 32 * 1024 * 1024
"""Bytes of facts whose states are kept, about; the states themselves take several times that."""
LONG = 200
"""Facts after which reading a stream again is to be spared by a snapshot."""
PER_EVENT = 500
"""What a fact that we have decided ourselves is taken to weigh at least, in bytes."""
NO_SNAPSHOT = ""
"""A shape that no snapshot has."""


class Memory:
    """Aggregates as far as they are known here. For one thread.

    What is remembered may be out of date: whoever decides on it has the versions checked when he
    appends, and says `doubt` when they were wrong.
    """

    def __init__(self, log: Log, capacity: int = CAPACITY) -> None:
        self.log = log
        self.capacity = capacity
        self.known: OrderedDict[str, Loaded] = OrderedDict()
        self.weights: dict[str, int] = {}
        self.weight = 0
        self.doubted: set[str] = set()

    def load(self, ids: Iterable[str]) -> dict[str, Loaded]:
        """The aggregates. Raises Refused for one whose facts this program cannot read."""
        wanted = list(dict.fromkeys(ids))
        self.read(wanted)
        for id in wanted:
            if id not in self.known:
                raise unreadable(id)
            self.known.move_to_end(id)
        return {id: self.known[id] for id in wanted}

    def read(self, ids: Iterable[str]) -> None:
        """Has these at hand; what is not known, or doubted, is read in one round trip."""
        stale = [id for id in dict.fromkeys(ids) if id not in self.known or id in self.doubted]
        if stale:
            self._read(stale)

    def keep(self, decided: Mapping[str, Loaded], facts: Iterable[Line] = ()) -> None:
        """What has just been decided; it counts until it turns out not to have been written."""
        large: Counter[str] = Counter()
        for fact in facts:
            large[fact.subject] += max(len(fact.state) - PER_EVENT, 0)
        for id, loaded in decided.items():
            before = self.known.get(id)
            if before is not loaded:
                news = PER_EVENT * (loaded.version - (before.version if before else 0))
                self._remember(id, loaded, self.weights.get(id, 0) + news + large[id])

    def doubt(self, ids: Iterable[str]) -> None:
        """These have moved, or were never written: what is known of them counts no more."""
        for id in ids:
            self._forget(id)

    def look_again(self, ids: Iterable[str]) -> None:
        """Has these brought up to date when they are next asked for."""
        self.doubted |= {id for id in ids if id in self.known}

    def clear(self) -> None:
        self.doubt([*self.known])

    def trim(self) -> None:
        """Forgets what has not been asked for the longest time. Between two decisions only."""
        while self.weight > self.capacity:
            self._forget(next(iter(self.known)))

    @undisturbed()
    def _read(self, ids: Iterable[str]) -> None:
        wanted = [Wanted(id, self._version(id), shape(kind_of(id))) for id in ids]
        for id, told in self.log.told(wanted).items():
            self._take_in_or_forget(id, told)

    def _take_in_or_forget(self, id: str, told: Told) -> None:
        """A fault in one stream is no fault of those that are read together with it."""
        try:
            if not told.unreadable:
                return self._take_in(id, told)
        except Exception:
            LOG.exception("the state of %s cannot be made", id)
        self._forget(id)
        if told.snapshot:
            self._take_in_or_forget(id, self.log.told([Wanted(id, 0, NO_SNAPSHOT)])[id])
        return None

    def _version(self, id: str) -> int:
        return self.known[id].version if id in self.known else 0

    def _take_in(self, id: str, told: Told) -> None:
        base = self.known.get(id) or Loaded(0, kind_of(id)())
        if told.snapshot:
            base = Loaded(told.snapshot_version, restored(type(base.state), told.snapshot))
        state = base.state.after(told.events)
        loaded = Loaded(base.version + len(told.events), state)
        if len(told.events) >= LONG:
            self.log.keep_snapshot(id, loaded.version, shape(type(state)), stored(state))
        self._remember(id, loaded, self.weights.get(id, 0) + told.size)
        self.doubted.discard(id)

    def _remember(self, id: str, loaded: Loaded, weight: int) -> None:
        # What does not exist, or has no facts of any size, takes its place too.
        weight = max(weight, PER_EVENT)
        self.weight += weight - self.weights.get(id, 0)
        self.known[id], self.weights[id] = loaded, weight

    def _forget(self, id: str) -> None:
        self.known.pop(id, None)
        self.doubted.discard(id)
        self.weight -= self.weights.pop(id, 0)


def unreadable(id: str) -> Refused:
    return Refused(
        "stream.unreadable",
        f"{id} has facts that this version of medsales does not know; a newer one wrote them",
        f"{id} 含有本版本 medsales 无法识别的事实, 可能由更新的版本写入",
    )


def kind_of(id: str) -> type[Aggregate]:
    return KINDS.get(id.partition(":")[0], Aggregate)


def shape(kind: type[Aggregate]) -> str:
    """The version of a state: changes with any line of the code that folds it.

    A snapshot of another shape is never read. Every rule and value lies in the package of the
    kernel, so its whole source is taken; that asks for too many snapshots anew, never for too few.
    """
    return _shape(Path(inspect.getfile(kind)))


@cache
def _shape(module: Path) -> str:
    sources = {*Path(inspect.getfile(kernel)).parent.rglob("*.py"), module}
    return sha256(b"".join(path.read_bytes() for path in sorted(sources))).hexdigest()


def stored(state: Aggregate) -> bytes:
    """The state as a snapshot holds it: JSON, in which a mapping is a list of pairs.

    Keys of a mapping may be tuples or values here, which keys of a JSON object cannot be.
    """
    return to_json(_plain(state))


def restored(kind: type[A], snapshot: bytes) -> A:
    state: A = _shaped(kind, from_json(snapshot))
    return state


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict | HashTrieMap):
        return [(_plain(key), _plain(part)) for key, part in value.items()]
    if isinstance(value, tuple | frozenset):
        return [_plain(part) for part in value]
    return value


def _shaped(annotation: Any, plain: Any) -> Any:
    """What `_plain` was made of, as the annotation says."""
    if isinstance(annotation, type) and is_dataclass(annotation):
        types = types_of(annotation)
        return annotation(**{name: _shaped(types[name], part) for name, part in plain.items()})
    parts = [part for part in get_args(annotation) if part not in (NoneType, Ellipsis)]
    if get_origin(annotation) in (dict, Mapping, Growing):
        pairs = {_shaped(parts[0], key): _shaped(parts[1], part) for key, part in plain}
        return HashTrieMap(pairs) if get_origin(annotation) is Growing else pairs
    if get_origin(annotation) in (tuple, frozenset):
        each = parts * len(plain) if len(parts) == 1 else parts
        return get_origin(annotation)(map(_shaped, each, plain))
    if get_origin(annotation) is UnionType and len(parts) == 1:
        return None if plain is None else _shaped(parts[0], plain)
    return _adapter(annotation).validate_python(plain)


class Growing(Generic[K, V]):
    """Stands for HashTrieMap in annotations, as that one takes no parameters at run time."""


@cache
def types_of(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, localns={"HashTrieMap": Growing}, include_extras=True)


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)
