"""What is kept out before anything is read: text that is no text, bodies that are too large."""

from urllib.parse import unquote_to_bytes

from fastapi import Response
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medsales.api.problems import Trouble, language, trouble

MIB = 1024 * 1024
BODY = 1 * MIB
BATCH = 8 * MIB
BATCH_PATH = "/commands"
FILE = 16 * MIB
FILE_ENDS = "/import"
"""How the address of a question ends that takes a whole file."""


class Gate:
    """Refuses malformed text in the address, and more body than is allowed, announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = _limit(scope["path"])
        if not _is_text(scope):
            await _told(scope, NO_TEXT)(scope, receive, send)
        elif _announced(scope) > limit:
            await _told(scope, _too_large(limit))(scope, receive, send)
        else:
            await self.app(scope, _counting(receive, limit), send)


class Incidents:
    """Answers what nobody has foreseen with a problem that names an incident in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            if begun or scope["type"] != "http":
                # The connection must break: the client shall not take a part for the whole.
                raise
            await _told(scope, trouble(error))(scope, receive, send)


def _limit(path: str) -> int:
    if path.endswith(FILE_ENDS):
        return FILE
    return BATCH if path == BATCH_PATH else BODY


NO_TEXT = Trouble(
    400,
    "text.malformed",
    "the address holds characters that are no text: NUL, or bytes that are not UTF-8",
    "地址中含有非法字符（NUL 或非 UTF-8 字节）",
)


def _too_large(limit: int) -> Trouble:
    size = limit // MIB
    return Trouble(413, "body.too_large", f"the body is over {size} MiB", f"请求体超过 {size} MiB")


def _told(scope: Scope, told: Trouble) -> Response:
    return told.response(language(Headers(scope=scope).get("Accept-Language")))


def _is_text(scope: Scope) -> bool:
    raw: bytes = scope.get("raw_path", b"") + b"?" + scope["query_string"]
    if b"%" not in raw and raw.isascii():
        return True
    try:
        return "\0" not in unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return False


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("Content-Length", "0")
    return int(length) if length.isdecimal() else 0


def _counting(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _too_large(limit)
        return message

    return counted
