"""How somebody proves over HTTP who he is: the password is checked, and each attempt is a fact."""

from secrets import token_urlsafe
from typing import Annotated, Any, NamedTuple

import anyio
from anyio import to_thread
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, SecretStr
from starlette.concurrency import run_in_threadpool

from medsales.api.auth import Asking
from medsales.api.commands import answered
from medsales.api.problems import Trouble
from medsales.company import Company
from medsales.domain.governance.person import (
    Authentication,
    Component,
    Person,
    RecordReauthentication,
    RegisterSigningKey,
    SessionName,
)
from medsales.domain.governance.signature import public_key_of
from medsales.domain.ids import PersonId
from medsales.domain.kernel import Command, Refused, Role, Value
from medsales.engine.application import Actor, Ask
from medsales.engine.credentials import CODE, Passwords, Proving

SLOW = anyio.CapacityLimiter(2)
"""A password takes 32 MiB and a fifth of a second; who guesses shall not slow down all others."""
SHORTEST = 12

Password = Annotated[SecretStr, Field(min_length=1, max_length=200)]
NewPassword = Annotated[SecretStr, Field(min_length=SHORTEST, max_length=200)]


class Proof(Value):
    """What somebody gives: all of it first, later in the session the password alone."""

    password: Password
    person: PersonId | None = None
    session: SessionName | None = None


def proving(company: Company) -> Proving:
    """What people prove themselves by: passwords now; what is stronger is chosen here."""
    return Passwords(company.database)


class Proved(NamedTuple):
    """Who it is, and the key that his password opened."""

    id: PersonId
    person: Person
    key: Ed25519PrivateKey
    how: Authentication


async def proved(caller: Asking, given: Proof) -> Proved:
    """Raises Refused, or Trouble 403 when the proof is wrong; that too is a fact."""
    id, person = await himself(caller)
    if person.key is None:
        raise Refused(
            "person.no_password",
            "you have no password to sign with yet; set one with the code from the operator",
            "您尚未设置签名密码, 请用管理员提供的代码设置",
        )
    means = proving(caller.company)
    opened = await to_thread.run_sync(
        means.key, id, person.key, given.password.get_secret_value(), limiter=SLOW
    )
    key = opened if given.person in (None, id) else None
    components = (Component.PERSON_ID,) if given.person else ()
    now = caller.company.app.clock()
    continuous = person.goes_on(given.session, now)
    session = given.session if continuous and given.session else token_urlsafe(12)
    how = Authentication(
        components=(*components, Component.PASSWORD),
        method=means.method,
        session=session,
        continuous=continuous,
        at=now,
    )
    await recorded(caller, id, how, passed=key is not None)
    if key is None:
        raise WRONG
    return Proved(id, person, key, how)


async def himself(caller: Asking) -> tuple[PersonId, Person]:
    """The person that the token names. Raises Refused where there is none, or he is locked."""
    id = PersonId.of(caller.actor.id)
    person = await run_in_threadpool(caller.company.app.existing, id, Person)
    person.must_be_here()
    person.must_be_unlocked()
    return id, person


async def recorded(caller: Asking, id: PersonId, how: Authentication, *, passed: bool) -> None:
    """The domain counts attempts in the order of the log: guessing at once gains nothing."""
    said = how.model_dump(exclude={"at"})
    await asked(caller, id, RecordReauthentication(**said, passed=passed))


async def asked(caller: Asking, id: PersonId, command: Command[Any]) -> None:
    """In the name of who asks, and by the right of the system: people do not give such commands."""
    who = Actor(caller.actor.id, caller.actor.name, (Role.SYSTEM,), caller.actor.client)
    await answered(caller.company.app, Ask(command, who, id))


async def password_set(caller: Asking, id: str, old: str, new: str) -> str:
    """A new key for a new password; tells its fingerprint. Raises Refused or Trouble 403."""
    own, person = await himself(caller)
    if id != own:
        raise Refused(
            "person.other",
            f"nobody sets the password of somebody else; you are {own}",
            f"不得为他人设置密码; 您是 {own}",
        )
    passwords = Passwords(caller.company.database)
    good = await to_thread.run_sync(_opens, passwords, own, person.key, old, limiter=SLOW)
    how = Authentication(
        components=tuple(Component),
        method=passwords.method if person.key else CODE,
        session=token_urlsafe(12),
        continuous=False,
        at=caller.company.app.clock(),
    )
    await recorded(caller, own, how, passed=good)
    if not good:
        raise WRONG
    return await _new_key(caller, passwords, own, person, new)


def _opens(passwords: Passwords, id: str, key: str | None, old: str) -> bool:
    return passwords.has_code(id, old) if key is None else passwords.key(id, key, old) is not None


async def _new_key(
    caller: Asking, passwords: Passwords, id: PersonId, person: Person, new: str
) -> str:
    key = Ed25519PrivateKey.generate()
    public, name = public_key_of(key)
    await to_thread.run_sync(passwords.put_key, id, name, new, key, limiter=SLOW)
    try:
        register = RegisterSigningKey(public_key=public, key_id=name, replaces=person.key)
        await asked(caller, id, register)
    except Refused:
        await run_in_threadpool(passwords.drop, id, name)
        raise
    await run_in_threadpool(passwords.drop, id, CODE, *person.keys)
    return name


WRONG = Trouble(
    403,
    "reauthentication.failed",
    "the password or the person id is wrong; the attempt is on record",
    "密码或人员编号错误; 此次尝试已记录",
)
