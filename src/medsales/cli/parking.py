"""What read models and processes could not take in: shown, tried again, discarded."""

import getpass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from medsales.api.auth import Speaker
from medsales.cli.failures import Failed
from medsales.cli.opening import ERR, OUT, opened
from medsales.company import Company
from medsales.domain.governance.parking import DiscardParked, RetryParked
from medsales.domain.kernel import Command, Role
from medsales.engine import parking
from medsales.engine.application import Actor, Ask
from medsales.engine.parking import Parked

LISTED = TypeAdapter(list[Parked])
SPEAKER: TypeAdapter[str] = TypeAdapter(Speaker)


def show(company: str, *, json: bool) -> None:
    with opened(company) as found:
        waiting = _parked(found)
    if json:
        OUT.print_json(LISTED.dump_json(waiting).decode())
        return
    if not waiting:
        ERR.print("nothing is parked")
    for one in waiting:
        OUT.print(f"{one.name}  {one.subject}  from position {one.position:,}", markup=False)
        OUT.print(f"  since {one.parked_at:%Y-%m-%d %H:%M:%S} UTC: {one.error}", markup=False)


def retry(company: str, name: str, subject: str | None, user: str | None) -> None:
    """One stream, or all that this read model or process has parked. Raises Failed."""
    with opened(company) as found:
        chosen = [one for one in _of(found, name) if subject in (None, one.subject)]
        if not chosen:
            raise _not_parked(name, subject)
        for one in chosen:
            _ask(found, RetryParked(name=name, stream=one.subject), user)
            OUT.print(f"{one.subject} is tried again for {name} when the worker gets there")


def discard(company: str, name: str, subject: str, reason: str, user: str | None) -> None:
    """Raises Failed."""
    with opened(company) as found:
        for one in _of(found, name):
            if one.subject == subject:
                _ask(found, _discard(one, reason), user)
                OUT.print(
                    f"position {one.position:,} is passed over by {name} from now on; "
                    f"the rest of {subject} is taken in when the worker gets there"
                )
                return
    raise _not_parked(name, subject)


def _discard(one: Parked, reason: str) -> DiscardParked:
    try:
        return DiscardParked(
            name=one.name, stream=one.subject, position=one.position, reason=reason
        )
    except ValidationError as error:
        raise Failed("a discard needs a reason of 1 to 4,000 characters") from error


def _parked(company: Company) -> list[Parked]:
    with company.database.cursor() as db:
        return parking.parked(db)


def _of(company: Company, name: str) -> list[Parked]:
    return [one for one in _parked(company) if one.name == name]


def _ask(company: Company, command: Command[Any], user: str | None) -> None:
    """In the name of whoever sits at the keyboard: it is written beside the fact."""
    who = user or getpass.getuser()
    try:
        SPEAKER.validate_python(who)
    except ValidationError as error:
        raise Failed(f"{who} cannot decide: that is no name of a person") from error
    company.app.handle(Ask(command, Actor(who, who, (Role.MANAGER,), "medsales parked")))


def _not_parked(name: str, subject: str | None) -> Failed:
    what = subject or "nothing"
    return Failed(f"{what} is {'not ' if subject else ''}parked for {name}; see `medsales parked`")
