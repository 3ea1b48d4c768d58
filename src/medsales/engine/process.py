"""Processes: when this happens, that must follow.

A process turns one fact into commands, and may see a fact twice. Each command it asks for carries a
key that follows from the fact, so the command log makes it exactly once.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

from medsales.domain.kernel import Command, Event, Refused, Role
from medsales.engine.application import Actor, Ask, KeyReused, MedSales
from medsales.engine.database import Database, Db
from medsales.engine.decision import subject_of
from medsales.engine.facts import Fact
from medsales.engine.log import Selection, facts

E = TypeVar("E", bound=Event[Any])
LOG = logging.getLogger(__name__)
BATCH = 200


class Then(NamedTuple):
    """A command that must follow, and to whom; a beginning finds its own id."""

    command: Command[Any]
    id: str | None = None


Policy: TypeAlias = Callable[[Fact[E], Db], Iterable[Then]]
POLICIES: dict[str, list[Policy[Any]]] = {}


def when(event: type[E]) -> Callable[[Policy[E]], Policy[E]]:
    """Marks what follows from an event. The policy may query read models, which have been brought
    at least to the fact."""

    def register(policy: Policy[E]) -> Policy[E]:
        POLICIES.setdefault(event.__name__, []).append(policy)
        return policy

    return register


class Processes:
    """Runs all policies of one company over its log, behind the read models they consult."""

    name = "processes"

    def __init__(self, app: MedSales, database: Database) -> None:
        self.app = app
        self.database = database

    def prepare(self) -> None:
        with self.database.writing() as db:
            db.execute(
                "insert into positions (name, fingerprint) values (%s, '') on conflict do nothing",
                (self.name,),
            )

    def step(self, upto: int) -> int:
        """Reacts to the next facts up to a position; returns how many were scanned."""
        with self.database.cursor() as db:
            news = facts(db, Selection(after=self.position(), upto=upto), BATCH)
        for fact in news:
            self._react(fact)
        if news:
            self._advance(news[-1].position)
        return len(news)

    def catch_up(self, upto: int) -> None:
        while self.step(upto):
            pass

    def position(self) -> int:
        with self.database.cursor() as db:
            query = "select position from positions where name = %s"
            row = db.execute(query, (self.name,), prepare=True).fetchone()
        assert row is not None
        return int(row["position"])

    def _react(self, fact: Fact[Any]) -> None:
        for policy in POLICIES.get(type(fact.event).__name__, ()):
            with self.database.reading() as db:
                asks = [_ask(policy, fact, then) for then in policy(fact, db)]
            _tell_refusals(asks, self.app.handle_many(asks))

    def _advance(self, position: int) -> None:
        with self.database.following() as db:
            db.execute(
                "update positions set position = greatest(position, %s) where name = %s",
                (position, self.name),
            )


def _ask(policy: Policy[Any], fact: Fact[Any], then: Then) -> Ask:
    """The key names fact and target, not a place in a list: a second look may find more of them."""
    name = f"process:{policy.__name__}"
    target = subject_of(then.command, then.id)
    return Ask(
        then.command,
        Actor(name, policy.__name__.replace("_", " "), (Role.SYSTEM,), name),
        then.id,
        key=f"{fact.position}:{type(then.command).__name__}:{target}",
        cause=fact.position,
        correlation=fact.envelope.correlation,
    )


def _tell_refusals(asks: Sequence[Ask], answers: Sequence[object]) -> None:
    for ask, answer in zip(asks, answers, strict=True):
        if isinstance(answer, Refused | KeyReused):
            LOG.warning("%s %s: %s", ask.actor.id, ask.id, answer)
        elif isinstance(answer, Exception):
            raise answer
