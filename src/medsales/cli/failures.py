"""What went wrong, in one sentence for the person at the keyboard."""

from functools import singledispatch

import psycopg
from eventsourcing.persistence import PersistenceError
from pydantic import ValidationError

from medsales.company import UnknownCompany
from medsales.domain.kernel import Refused
from medsales.engine.application import NotDecided
from medsales.engine.backup import BackupFailed
from medsales.engine.committer import Overloaded
from medsales.engine.database import DatabaseUnavailable, explained
from medsales.engine.embedded_postgres import EmbeddedPostgresError


class Failed(Exception):
    """A command of the command line cannot do what it should; says why in a sentence."""


@singledispatch
def sentence(error: Exception) -> str:
    """Nobody has foreseen the others, so there is more to say than a sentence."""
    kind, said = type(error).__name__, " ".join(str(error).split())
    return f"this should not happen: {kind}: {said} (--debug shows where)"


@sentence.register(Failed)
@sentence.register(BackupFailed)
@sentence.register(EmbeddedPostgresError)
@sentence.register(DatabaseUnavailable)
@sentence.register(Refused)
@sentence.register(NotDecided)
@sentence.register(Overloaded)
@sentence.register(ValueError)
def _(error: Exception) -> str:
    return " ".join(str(error).split())


@sentence.register
def _(error: UnknownCompany) -> str:
    return f"there is no company {error}; `medsales company add {error}` adds it"


@sentence.register(PersistenceError)
@sentence.register(psycopg.Error)
def _(error: Exception) -> str:
    return str(explained(error))


@sentence.register
def _(error: OSError) -> str:
    where = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}"


@sentence.register
def _(error: ValidationError) -> str:
    prefix = "MEDSALES_" if error.title == "Settings" else ""
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{_named(prefix, one['loc'])} is wrong: {one['msg'][0].lower()}{one['msg'][1:]}"
        for one in wrong
    )


def _named(prefix: str, where: tuple[int | str, ...]) -> str:
    name = ".".join(map(str, where))
    return f"{prefix}{name.upper()}" if prefix else name
