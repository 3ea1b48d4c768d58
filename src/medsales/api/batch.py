"""Many commands in one request: what a device brings home that was offline."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field, JsonValue
from pydantic_core import to_json

from medsales.api.auth import Caller
from medsales.api.commands import KEY, Moment, decoded, must_be_text, parsed, public_commands
from medsales.api.limits import BATCH_PATH
from medsales.api.problems import Problem, Trouble, language, problem, trouble
from medsales.api.texts import must_be_shown
from medsales.domain.kernel import PRINTABLE, Aggregate, Command, Note, Value
from medsales.engine.application import Actor, Answer, Ask, Receipt
from medsales.logs import note

Commands = Mapping[str, type[Command[Any]]]


class Item(Value):
    """A command with all that surrounds it."""

    command: Annotated[str, Field(examples=["ReceiveUnit"])]
    id: Annotated[str, Field(max_length=200, pattern=PRINTABLE)] | None = None
    """Whose command it is; a command that begins a life needs none."""
    body: dict[str, JsonValue]
    """The command itself, as its own route would take it."""
    key: Annotated[str, Field(pattern=KEY)]
    """The idempotency key of this command."""
    expected_version: Annotated[int, Field(ge=0)] | None = None
    effective_at: Moment | None = None
    reason: Note | None = None


class Batch(Value):
    """Up to 1,000 commands, decided in this order."""

    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=1000)]


class Received(Value):
    """A batch whose items are not looked at yet: one bad item must not fail its neighbours."""

    items: Annotated[tuple[JsonValue, ...], Field(min_length=1, max_length=1000)]


class Outcome(Value):
    """What became of one item: a receipt, or a problem."""

    status: int
    """The status its own route would have answered with."""
    receipt: Receipt | None = None
    problem: Problem | None = None


class Outcomes(Value):
    """One outcome per item, in order."""

    items: tuple[Outcome, ...]


async def _bytes(request: Request) -> bytes:
    return await request.body()


def batch_routes(aggregates: Iterable[type[Aggregate]]) -> APIRouter:
    commands = commands_by_name(aggregates)
    router = APIRouter(tags=["commands"])

    @router.post(
        BATCH_PATH,
        operation_id="commands",
        summary="Up to 1,000 commands at once",
        response_model=None,
        responses={200: {"model": Outcomes}, 413: problem("The body is over 8 MiB")},
        openapi_extra=BODY,
    )
    def batch(
        caller: Caller, body: Annotated[bytes, Depends(_bytes)], request: Request
    ) -> Response:
        """Each command is answered for itself, as if sent alone; all are appended together."""
        asks = [_ask(item, commands, caller.actor) for item in decoded(Received, body).items]
        good = {n: ask for n, ask in enumerate(asks) if isinstance(ask, Ask)}
        told = dict(zip(good, caller.company.app.handle_many([*good.values()]), strict=True))
        tongue = language(request.headers.get("Accept-Language"))
        answers = [told.get(n, ask) for n, ask in enumerate(asks)]
        outcomes = Outcomes(items=tuple(_outcome(answer, tongue) for answer in answers))
        _note(outcomes)
        return Response(outcomes.model_dump_json(exclude_none=True), media_type="application/json")

    return router


def _note(outcomes: Outcomes) -> None:
    receipts = [item.receipt for item in outcomes.items if item.receipt]
    last = max((receipt.position for receipt in receipts), default=None)
    counted = {"commands": len(outcomes.items), "accepted": len(receipts)}
    note(outcome="batch", code=None, position=last, **counted)


def commands_by_name(aggregates: Iterable[type[Aggregate]]) -> Commands:
    """Every command by its name, which is unique: it names an operation of the API."""
    found: dict[str, type[Command[Any]]] = {}
    for command in (command for each in aggregates for command in public_commands(each).values()):
        namesake = found.setdefault(command.__name__, command)
        assert namesake is command, f"two commands are called {command.__name__}"
    return found


def _ask(raw: JsonValue, commands: Commands, actor: Actor) -> Ask | Trouble:
    try:
        must_be_text(raw)
        item = decoded(Item, to_json(raw))
        must_be_shown("reason", item.reason)
        return Ask(
            parsed(_known(commands, item.command), to_json(item.body)),
            actor,
            item.id,
            key=item.key,
            expected_version=item.expected_version,
            effective_at=item.effective_at,
            reason=item.reason,
        )
    except Exception as error:  # noqa: BLE001 - one item's misfortune is told as its own
        return trouble(error)


def _known(commands: Commands, name: str) -> type[Command[Any]]:
    if name not in commands:
        raise Trouble(404, "command.unknown", f"there is no command {name}", f"没有命令 {name}")
    return commands[name]


def _outcome(answer: Answer | Ask | Trouble | None, tongue: str) -> Outcome:
    if isinstance(answer, Receipt):
        return Outcome(status=200, receipt=answer)
    assert isinstance(answer, Exception)
    told = trouble(answer).problem(tongue)
    return Outcome(status=told.status, problem=told)


BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Batch"}}},
    }
}
