"""What a process or a timer has asked for, on its own behalf, and what becomes of it."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from eventsourcing.persistence import InterfaceError, InternalError, OperationalError

from medsales.domain.kernel import Command, Refused, Role
from medsales.engine.application import Actor, Answer, Ask, KeyReused, MedSales, NotDecided
from medsales.engine.committer import Overloaded
from medsales.engine.database import DatabaseUnavailable

LOG = logging.getLogger(__name__)
PREFIX = "process:"
"""Begins the name under which they ask; no person may use such a one."""

FOR_NOW = (
    OperationalError,
    InterfaceError,
    InternalError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    DatabaseUnavailable,
    NotDecided,
    Overloaded,
    MemoryError,
)
"""What may be better in a moment: then the same is asked again, and nothing is passed over."""


class Then(NamedTuple):
    """A command that must follow, and to whom; a beginning finds its own id."""

    command: Command[Any]
    id: str | None = None


def ask(who: str, then: Then, *, key: str, cause: int, correlation: str = "") -> Ask:
    """The command, in the name of a process, because of the fact at a position."""
    name = PREFIX + who
    actor = Actor(name, who.replace("_", " "), (Role.SYSTEM,), name)
    return Ask(then.command, actor, then.id, key=key, cause=cause, correlation=correlation)


def done(app: MedSales, asks: Sequence[Ask]) -> None:
    """Has the commands decided. A refusal is told in the log of refusals, and is an answer."""
    answers: Sequence[Answer] = app.handle_many(asks) if asks else ()
    for one, answer in zip(asks, answers, strict=True):
        if isinstance(answer, Refused | KeyReused):
            LOG.warning("%s %s: %s", one.actor.id, one.id, answer)
        elif isinstance(answer, Exception):
            raise answer
