"""Every command of an aggregate becomes one typed POST; its body is the command itself."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from medsales.api.auth import BEARER, asking
from medsales.api.problems import Trouble, invalid, problem, trouble
from medsales.api.texts import must_be_seen, must_be_shown
from medsales.domain.kernel import PRINTABLE, Aggregate, Command, Note, Value
from medsales.engine.application import Actor, Ask, MedSales, Receipt
from medsales.engine.facts import Draft
from medsales.logs import note

M = TypeVar("M", bound=Value)

KEY = r"^[\x20-\x7e]{1,200}$"
Moment = Annotated[
    AwareDatetime,
    Field(ge=datetime(1900, 1, 1, tzinfo=UTC), lt=datetime(9999, 12, 31, tzinfo=UTC)),
    AfterValidator(lambda moment: moment.astimezone(UTC)),
]
"""A point in time, in UTC however it was written: the same moment is the same wish.

Years before ours, and offsets of most of a day, break the database's calendar.
"""
ID_DESCRIPTION = "The id of what the command is for; may hold `/`, percent-encoded or not."
SubjectId = Annotated[str, Path(max_length=200, pattern=PRINTABLE, description=ID_DESCRIPTION)]
_ids = TypeAdapter(Annotated[str, Field(max_length=200, pattern=PRINTABLE)])


class Foreseen(Value):
    """An event that would be recorded."""

    subject: str
    version: int
    event: str
    payload: JsonValue


foreseen = TypeAdapter(list[Foreseen])


class Parameters(BaseModel):
    """What the address says around a command; a misspelt `dry_run` must not record anything."""

    model_config = ConfigDict(extra="forbid")

    effective_at: Moment | None = None
    reason: Note | None = None
    dry_run: bool = False


class Given(Parameters):
    """What the headers and the address say around a command."""

    key: str
    expected_version: int | None

    def ask(self, command: Command[Any], actor: Actor, id: str | None) -> Ask:
        note(command=type(command).__name__, subject=id, key=self.key)
        return Ask(
            command,
            actor,
            id,
            key=self.key,
            expected_version=self.expected_version,
            effective_at=self.effective_at,
            reason=self.reason,
        )


def given(request: Request) -> Given:
    try:
        found = Parameters.model_validate(_said_once(request.query_params))
    except ValidationError as error:
        raise trouble(error) from error
    must_be_shown("reason", found.reason)
    headers = request.headers
    key = "dry-run" if found.dry_run else checked_key(headers.get("Idempotency-Key"))
    version = _expected_version(headers.get("If-Match"))
    return Given.model_construct(**dict(found), key=key, expected_version=version)


def _said_once(parameters: QueryParams) -> dict[str, str]:
    said = dict(parameters)
    if len(said) < len(parameters.multi_items()):
        raise invalid(
            ((name,), "is given more than once")
            for name in said
            if len(parameters.getlist(name)) > 1
        )
    return said


def _parameter(place: str, name: str, schema: Any, description: str) -> dict[str, Any]:
    return {"in": place, "name": name, "description": description, "schema": schema}


ID = {
    **_parameter("path", "id", {"type": "string", "maxLength": 200}, ID_DESCRIPTION),
    "required": True,
}
PARAMETERS = [
    _parameter(
        "header",
        "Idempotency-Key",
        {"type": "string", "pattern": KEY},
        "New for every wish and the same for every repetition of it: the repetition gets the "
        "first answer. Required, except with `dry_run`.",
    ),
    _parameter(
        "header",
        "If-Match",
        {"type": "string", "examples": ['"7"']},
        "The ETag last seen: the command is decided only if nothing has changed since.",
    ),
    _parameter(
        "query",
        "effective_at",
        {"type": "string", "format": "date-time"},
        "When it happened in the world, if not now; needs a reason.",
    ),
    _parameter(
        "query",
        "reason",
        {"type": "string", "maxLength": 4000},
        "Why the effective time is another than now.",
    ),
    _parameter(
        "query",
        "dry_run",
        {"type": "boolean", "default": False},
        "Decides and answers with the events to expect, but records nothing.",
    ),
]


def public_commands(aggregate: type[Aggregate]) -> dict[str, type[Command[Any]]]:
    """Those that somebody may give; the others are only ever part of another decision."""
    return {name: command for name, command in aggregate.commands.items() if command.allowed}


def command_routes(path: str, aggregate: type[Aggregate]) -> APIRouter:
    router = APIRouter(prefix=path, tags=[path.strip("/")])
    for name, command in public_commands(aggregate).items():
        begins = command.is_beginning()
        router.add_api_route(
            f"/{name}" if begins else f"/{{id:path}}/{name}",
            _endpoint(command),
            methods=["POST"],
            operation_id=command.__name__,
            summary=name.replace("-", " ").capitalize(),
            description=_described(command),
            response_model=None,
            responses=ANSWERS,
            openapi_extra=_described_more(command, begins=begins),
        )
    return router


def _endpoint(command_type: type[Command[Any]]) -> Callable[[Request], Awaitable[Response]]:
    """Reads the request by itself: as parameters of FastAPI that takes longer than most decisions.

    Nothing here waits in a thread: whatever has come in meanwhile is decided together.
    """

    async def endpoint(request: Request) -> Response:
        caller = await asking(request, await BEARER(request))
        id = _subject(request) if "id" in request.path_params else None
        around = given(request)
        command = parsed(command_type, await request.body())
        ask = around.ask(command, caller.actor, id)
        app = caller.company.app
        if around.dry_run:
            return _foretold(await run_in_threadpool(app.preview, ask))
        return _accepted(await answered(app, ask))

    return endpoint


class Direct:
    """Leads a command straight to its endpoint.

    The router would try some two hundred addresses one after another, which takes longer than the
    answer. What is not found here goes to the router, which knows the same endpoints.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self.app = app
        self.endpoints = {
            _ends(route.path): route.endpoint for route in routes if isinstance(route, APIRoute)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.endpoints.get(_ends(scope["path"])) if scope["type"] == "http" else None
        if endpoint is None or scope["method"] != "POST" or scope.get("root_path"):
            await self.app(scope, receive, send)
            return
        _, _, rest = scope["path"][1:].partition("/")
        id, slash, _ = rest.rpartition("/")
        scope["path_params"] = {"id": id} if slash else {}
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)


def _ends(path: str) -> tuple[str, str, bool]:
    """`/orders/{id}/confirm-order` is known by its first word, its last, and one between them."""
    first, _, rest = path[1:].partition("/")
    _, slash, last = rest.rpartition("/")
    return first, last, bool(slash)


async def answered(app: MedSales, ask: Ask) -> Receipt:
    """Raises what `handle` raises."""
    (answer,) = await asyncio.wrap_future(app.submit((ask,)))
    if isinstance(answer, Exception):
        raise answer
    return answer


def _subject(request: Request) -> str:
    try:
        return _ids.validate_python(request.path_params["id"])
    except ValidationError as error:
        raise invalid((("id",), one["msg"]) for one in error.errors()) from error


def _accepted(receipt: Receipt) -> Response:
    outcome = "accepted" if receipt.events else "nothing"
    note(outcome=outcome, subject=receipt.id, position=receipt.position)
    etag = {"ETag": f'"{receipt.version}"'}
    return Response(receipt.model_dump_json(), headers=etag, media_type="application/json")


def _foretold(drafts: Iterable[Draft]) -> Response:
    told = [
        Foreseen(
            subject=draft.subject,
            version=draft.version,
            event=type(draft.event).__name__,
            payload=draft.event.model_dump(mode="json"),
        )
        for draft in drafts
    ]
    return Response(foreseen.dump_json(told), media_type="application/json")


def parsed(kind: type[M], body: bytes) -> M:
    """The message in a body. Raises Trouble 422, which names the fields that are wrong."""
    message = decoded(kind, body)
    if b"\\u0000" in body:
        must_be_text(from_json(body))
    must_be_seen(message, body)
    return message


def decoded(kind: type[M], body: bytes) -> M:
    """As `parsed`, but its texts may hold what PostgreSQL does not take."""
    try:
        return kind.__pydantic_validator__.validate_json(body)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise trouble(error) from error


def must_be_text(value: JsonValue) -> None:
    """PostgreSQL has no NUL in texts. Raises Trouble 422, which names where one was found."""
    if wrong := [(where, "must not hold a NUL character") for where in _nuls(value, ())]:
        raise invalid(wrong)


def _nuls(value: JsonValue, where: tuple[int | str, ...]) -> Iterator[tuple[int | str, ...]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _nuls(name, where)
            yield from _nuls(part, (*where, name))
    elif isinstance(value, list):
        for n, part in enumerate(value):
            yield from _nuls(part, (*where, n))
    elif isinstance(value, str) and "\0" in value:
        yield where


def checked_key(key: str | None) -> str:
    if not key:
        raise Trouble(
            400,
            "idempotency_key.missing",
            "a command needs the header Idempotency-Key",
            "命令须带 Idempotency-Key 请求头",
        )
    if not re.fullmatch(KEY, key):
        raise Trouble(
            400,
            "idempotency_key.malformed",
            "an Idempotency-Key is 1 to 200 printable ASCII characters",
            "Idempotency-Key 须为 1 至 200 个可打印 ASCII 字符",
        )
    return key


def _expected_version(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    found = re.fullmatch(r'"([0-9]{1,18})"|([0-9]{1,18})', if_match)
    if found is None:
        raise Trouble(
            400,
            "if_match.malformed",
            'If-Match is one version, as the ETag gave it: "7"',
            'If-Match 须为单个版本号，如 ETag 所示："7"',
        )
    return int(found[1] or found[2])


def _described(command: type[Command[Any]]) -> str:
    roles = ", ".join(role.en for role in command.allowed)
    return f"{command.__doc__ or ''}\n\nFor: {roles}."


def _described_more(command: type[Command[Any]], *, begins: bool) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{command.__name__}"}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    parameters = PARAMETERS if begins else [ID, *PARAMETERS]
    security: list[dict[str, list[str]]] = [{BEARER.scheme_name: []}]
    return {"requestBody": body, "parameters": parameters, "security": security}


ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Receipt | list[Foreseen],
        "description": "Done, or there was nothing to do; with `dry_run`, the events to expect",
        "headers": {
            "ETag": {
                "description": "The version afterwards, to be sent as If-Match",
                "schema": {"type": "string", "examples": ['"7"']},
            }
        },
    },
    412: problem("The version is not the one in If-Match; `version` tells the current one"),
    413: problem("The body is over 1 MiB"),
}
