"""Who is asking: a signed token names the person, the roles, the device and the company."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, NamedTuple

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from starlette.concurrency import run_in_threadpool

from medsales.api.problems import Trouble
from medsales.company import Companies, Company
from medsales.domain.kernel import Role, Text
from medsales.engine.application import SYSTEM, Actor
from medsales.logs import note

ALGORITHM = "HS256"
BEARER = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    description="A token made by `medsales token`, or by whoever knows the secret.",
)


def _not_the_system(id: str) -> str:
    if id == SYSTEM.id or id.startswith("process:"):
        raise ValueError(f"{id} is a name of the system itself; nobody else may speak under it")
    return id


OUTSIDERS_READ = re.compile(r"/(quotes|contracts)/.+/document")
"""What is open to who signs for the other party, and nothing besides: what we know of others, our
floors and our credit is ours. Whose document it is, the document asks; commands ask for roles."""

Speaker = Annotated[Text, AfterValidator(_not_the_system)]
"""The id of a person or a device."""


class Claims(BaseModel):
    """What a token says."""

    model_config = ConfigDict(frozen=True)

    sub: Speaker
    name: str = ""
    roles: tuple[Role, ...] = ()
    company: Text = "default"
    client: Speaker | None = None
    iat: int
    exp: int

    def actor(self) -> Actor:
        return Actor(self.sub, self.name, self.roles, self.client or self.sub)


class Asking(NamedTuple):
    """Who asks, in which company, and how many seconds a read model is waited for."""

    actor: Actor
    company: Company
    patience: float

    @property
    def is_outside(self) -> bool:
        """Whether somebody signs for the other party, and has no role of ours."""
        return {*self.actor.roles} == {Role.COUNTERPARTY}


def issue_token(
    secret: str,
    user: str,
    name: str,
    roles: Sequence[Role],
    *,
    company: str = "default",
    days: float = 30,
    client: str | None = None,
) -> str:
    """A token for one person on one device. Raises ValueError for a name of the system."""
    _not_the_system(user)
    _not_the_system(client or user)
    now = datetime.now(UTC)
    claims = Claims(
        sub=user,
        name=name,
        roles=tuple(roles),
        company=company,
        client=client,
        iat=int(now.timestamp()),
        exp=int((now + timedelta(days=days)).timestamp()),
    )
    return jwt.encode(claims.model_dump(mode="json", exclude_none=True), secret, ALGORITHM)


@lru_cache(maxsize=4096)
def verified(secret: str, token: str) -> Claims:
    """What a token says, if we have signed it. Raises InvalidTokenError or ValidationError.

    Remembered, so whoever asks looks at `exp` each time.
    """
    options: jwt.types.Options = {"require": ["sub", "iat", "exp"]}
    return Claims.model_validate(jwt.decode(token, secret, [ALGORITHM], options=options, leeway=30))


async def asking(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
) -> Asking:
    """Raises Trouble 401 without a good token, 403 for what outsiders may not read.

    UnknownCompany where its company is gone.
    """
    state = request.app.state
    claims = _claims(state.secret, given)
    note(company=claims.company, actor=claims.sub)
    company = await _opened(state.companies, claims.company)
    caller = Asking(claims.actor(), company, state.patience)
    closed = request.method != "POST" and not OUTSIDERS_READ.fullmatch(request.url.path)
    if closed and caller.is_outside:
        raise for_our_people()
    return caller


def for_our_people() -> Trouble:
    return Trouble(403, "role.missing", "this is for our own people", "仅限我方人员")


Caller = Annotated[Asking, Depends(asking)]


class OneOf:
    """Lets in who has one of these roles; the system may everything."""

    def __init__(self, *roles: Role) -> None:
        self.roles = {*roles, Role.SYSTEM}

    async def __call__(self, caller: Caller) -> Asking:
        if self.roles.isdisjoint(caller.actor.roles):
            raise Trouble(
                403,
                "role.missing",
                "this is for " + " or ".join(sorted(role.en for role in self.roles)),
                "须由" + "或".join(sorted(role.zh for role in self.roles)) + "查看",
            )
        return caller


Auditor = Annotated[Asking, Depends(OneOf(Role.AUDITOR, Role.MANAGER, Role.QUALITY))]
"""Those who may read what everybody did."""


async def _opened(companies: Companies, name: str) -> Company:
    if name in companies.opened:
        return companies.opened[name]
    return await run_in_threadpool(companies.__getitem__, name)


def _claims(secret: str, given: HTTPAuthorizationCredentials | None) -> Claims:
    if given is None:
        raise _stranger("token.missing", "a bearer token is needed", "缺少访问令牌")
    try:
        claims = verified(secret, given.credentials)
    except jwt.ExpiredSignatureError as error:
        raise _expired() from error
    except (jwt.PyJWTError, ValidationError, ValueError) as error:
        raise _stranger("token.invalid", "the token is not one of ours", "访问令牌无效") from error
    if claims.exp <= time.time():
        raise _expired()
    return claims


def _expired() -> Trouble:
    return _stranger("token.expired", "the token has expired", "访问令牌已过期")


def _stranger(code: str, en: str, zh: str) -> Trouble:
    challenge = "Bearer" if code == "token.missing" else 'Bearer error="invalid_token"'
    return Trouble(401, code, en, zh, {"WWW-Authenticate": challenge})
