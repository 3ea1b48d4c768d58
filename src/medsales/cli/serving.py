"""Serving and working: what runs until somebody says that it is enough."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import uvicorn

from medsales import logs, tracing
from medsales.api.main import create_app
from medsales.api.workers import Workers
from medsales.cli.failures import Failed
from medsales.cli.opening import DEFAULT, OUT, founded
from medsales.company import Companies, sealing, storage
from medsales.settings import Settings

GRACE = 5
"""Seconds that open requests get to finish when the server ends."""
ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - only said, not listened on
First = Callable[[Companies, str], None]
"""What happens before serving; it is told the address."""


def settings(host: str | None = None, port: int | None = None) -> Settings:
    """The environment's, except for what was given by hand."""
    given = {"host": host, "port": port}
    return Settings().model_copy(update={k: v for k, v in given.items() if v is not None})


def serve(settings: Settings, *, work: bool = True, first: First = lambda *_: None) -> None:
    """Answers over HTTP until told to end; then everything that was started is ended."""
    _let_itself_be_watched(settings)
    with (
        until_told_to_end(),
        closing(bound(settings.host, settings.port)) as door,
        storage(settings) as url,
        closing(Companies(url, settings.connections, sealing(settings))) as companies,
    ):
        founded(companies, DEFAULT)
        first(companies, address(settings.host, door))
        _answer(companies, settings, door, work=work)


def work(settings: Settings, names: Sequence[str]) -> None:
    """The worker as a process of its own. Raises UnknownCompany."""
    _let_itself_be_watched(settings)
    with (
        until_told_to_end(),
        storage(settings) as url,
        closing(Chosen(url, settings, names)) as companies,
    ):
        for name in names:
            companies[name].follower.positions()
        told = threading.Event()
        _on_ending(lambda *_: told.set())
        with _at_work(Workers(companies)):
            OUT.print(f"at work for {', '.join(names) or 'all companies'}; Ctrl-C ends it")
            told.wait()


class Chosen(Companies):
    """Only some of the companies, if any are named."""

    def __init__(self, url: str, settings: Settings, chosen: Sequence[str]) -> None:
        super().__init__(url, settings.connections, sealing(settings))
        self.chosen = chosen

    def names(self) -> list[str]:
        return [name for name in super().names() if not self.chosen or name in self.chosen]


class Server(uvicorn.Server):
    """Uvicorn, which says where it can be reached as soon as it can."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for door in sockets or ():
            url = address(self.config.host, door)
            OUT.print(f"medsales answers at {url} (docs: {url}/docs); Ctrl-C ends it")


def _answer(companies: Companies, settings: Settings, door: socket.socket, *, work: bool) -> None:
    app = create_app(companies, settings, work=work)
    server = Server(
        uvicorn.Config(
            app,
            host=settings.host,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=GRACE,
        )
    )
    # Uvicorn raises the signals again that have ended it: nobody else shall be hurt by them.
    _on_ending(server.handle_exit)
    try:
        server.run(sockets=[door])
    finally:
        # Uvicorn has done so, except when it failed to start or was told to end twice.
        if app.state.workers and app.state.workers.thread.is_alive():
            app.state.workers.stop()


@contextmanager
def _at_work(workers: Workers) -> Iterator[None]:
    workers.start()
    try:
        yield
    finally:
        workers.stop()


def bound(host: str, port: int) -> socket.socket:
    """A socket that has the address to itself, but does not listen yet. Raises Failed."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        door = socket.socket(family, kind, protocol)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(place)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Failed(f"cannot listen on {host} port {port}: {why.lower()}") from error
    return door


def address(host: str, door: socket.socket) -> str:
    name = "localhost" if host in ANYWHERE else f"[{host}]" if ":" in host else host
    return f"http://{name}:{door.getsockname()[1]}"


@contextmanager
def until_told_to_end() -> Iterator[None]:
    """Ctrl-C, and SIGTERM of a service manager, are a good end: what was opened is closed."""
    _on_ending(_end)
    with suppress(KeyboardInterrupt):
        yield


def _end(*_: object) -> None:
    _on_ending(lambda *_: None)
    raise KeyboardInterrupt


def _on_ending(handler: Callable[[int, Any], None]) -> None:
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, handler)


def _let_itself_be_watched(settings: Settings) -> None:
    logs.configure(settings.log_level, settings.log_format)
    tracing.configure()
