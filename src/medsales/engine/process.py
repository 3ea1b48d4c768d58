"""Processes: when this happens, that must follow.

A process turns one fact into commands, and may see a fact twice. Each command it asks for carries a
key that follows from the fact, so the command log makes it exactly once.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

from medsales.domain.kernel import Event
from medsales.engine import parking
from medsales.engine.application import Ask, MedSales
from medsales.engine.consequences import FOR_NOW, Then, ask, done
from medsales.engine.database import Database, Db
from medsales.engine.decision import subject_of
from medsales.engine.facts import Fact
from medsales.engine.follower import PROCESSES
from medsales.engine.parking import Skipped
from medsales.engine.tail import Tail
from medsales.engine.timers import DUE

__all__ = ["POLICIES", "Policy", "Processes", "Then", "when"]

LOG = logging.getLogger(__name__)
E = TypeVar("E", bound=Event[Any])
BATCH = 200
TOGETHER = 100
"""Commands that are asked at once; then the read models have their turn."""

Policy: TypeAlias = Callable[[Fact[E], Db], Iterable[Then]]
POLICIES: dict[str, list[Policy[Any]]] = {}
Meanwhile: TypeAlias = Callable[[], object]


def when(event: type[E]) -> Callable[[Policy[E]], Policy[E]]:
    """Marks what follows from an event. The policy may query read models, which have been brought
    at least to the fact."""

    def register(policy: Policy[E]) -> Policy[E]:
        POLICIES.setdefault(event.__name__, []).append(policy)
        return policy

    return register


class Processes:
    """Runs all policies of one company over its log, behind the read models they consult."""

    name = PROCESSES

    def __init__(self, app: MedSales, database: Database, tail: Tail | None = None) -> None:
        self.app = app
        self.database = database
        self.tail = tail or Tail(database)

    def prepare(self) -> None:
        with self.database.writing() as db:
            db.execute(
                "insert into positions (name, fingerprint) values (%s, '') on conflict do nothing",
                (self.name,),
            )

    def step(self, upto: int, meanwhile: Meanwhile = lambda: None) -> int:
        """Reacts to the next facts up to a position; returns how many were scanned.

        What is to be done meanwhile has its turn whenever this takes longer.
        """
        news = parking.upto_decision(self.tail.after(self.position(), BATCH, upto))
        skips = self._skips(news)
        for fact in news:
            for policy in POLICIES.get(fact.name, ()):
                skip = skips.setdefault(policy.__name__, Skipped())
                if fact not in skip and (error := self._follow(policy, fact, meanwhile)):
                    self._park(policy, fact, error)
                    skip.streams[fact.subject] = fact.position
        if news:
            self._settle(news[-1], meanwhile)
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

    def _skips(self, news: Sequence[Fact[Any]]) -> dict[str, Skipped]:
        names = {policy.__name__ for fact in news for policy in POLICIES.get(fact.name, ())}
        if not names:
            return {}
        with self.database.cursor() as db:
            return parking.skipped_among(db, list(names), news)

    def _follow(
        self, policy: Policy[Any], fact: Fact[Any], meanwhile: Meanwhile
    ) -> Exception | None:
        """Has done what follows from the fact; what is wrong with it, if anything is."""
        asks: list[Ask] = []
        error = _wrong_with(lambda: asks.extend(self._asks(policy, fact)))
        for n in range(0, len(asks), TOGETHER):
            some = asks[n : n + TOGETHER]
            error = error or _wrong_with(partial(done, self.app, some))
            meanwhile()
        return error

    def _asks(self, policy: Policy[Any], fact: Fact[Any]) -> list[Ask]:
        with self.database.reading() as db:
            return [_ask(policy, fact, then) for then in policy(fact, db)]

    def _park(self, policy: Policy[Any], fact: Fact[Any], error: Exception) -> None:
        LOG.warning("%s failed at position %s", policy.__name__, fact.position, exc_info=error)
        with self.database.writing() as db:
            parking.park(db, policy.__name__, fact, error)

    def _settle(self, decision: Fact[Any], meanwhile: Meanwhile) -> None:
        """If this decides about a parked stream of ours, it goes on; first all, then the note."""
        name = parking.decided_about(decision)
        if name is None or name not in {*_names(), *DUE}:
            return
        with self.database.cursor() as db:
            first = parking.waits_from(db, name, decision)
        if first is None:
            return
        failed = self._go_on(name, decision, first, meanwhile)
        with self.database.writing() as db:
            parking.free(db, name, decision)
            if failed:
                parking.park(db, name, *failed)

    def _go_on(
        self, name: str, decision: Fact[Any], first: int, meanwhile: Meanwhile
    ) -> tuple[Fact[Any], Exception] | None:
        """Where the stream stops again, and why."""
        for fact in self._stream(decision, first):
            for policy in POLICIES.get(fact.name, ()):
                if policy.__name__ == name and (error := self._follow(policy, fact, meanwhile)):
                    return fact, error
        return None

    def _stream(self, decision: Fact[Any], first: int) -> Iterator[Fact[Any]]:
        start = first if decision.name == parking.RETRIED else first + 1
        with self.database.cursor() as db:
            for some in parking.stream(db, decision.event.stream, start, decision.position):
                yield from some

    def _advance(self, position: int) -> None:
        with self.database.following() as db:
            db.execute(
                "update positions set position = greatest(position, %s) where name = %s",
                (position, self.name),
            )


def _names() -> set[str]:
    return {policy.__name__ for policies in POLICIES.values() for policy in policies}


def _wrong_with(step: Callable[[], object]) -> Exception | None:
    """Raises only what may be better in a moment."""
    try:
        step()
    except FOR_NOW:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
        return error
    return None


def _ask(policy: Policy[Any], fact: Fact[Any], then: Then) -> Ask:
    """The key names fact and target, not a place in a list: a second look may find more of them."""
    target = subject_of(then.command, then.id)
    return ask(
        policy.__name__,
        then,
        key=f"{fact.position}:{type(then.command).__name__}:{target}",
        cause=fact.position,
        correlation=fact.envelope.correlation,
    )
