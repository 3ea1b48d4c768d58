"""The servers that are asked: medsales as `medsales serve` runs it, and the least that inserts."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from fastapi import FastAPI
from psycopg_pool import ConnectionPool
from pydantic import BaseModel

from bench.appends import STATE, envelope, new_id
from bench.peers import INSERT
from medsales import logs
from medsales.api.auth import issue_token
from medsales.api.main import create_app
from medsales.company import Companies, sealing
from medsales.domain.kernel import Role
from medsales.engine.facts import envelope_to_json
from medsales.settings import Settings

SECRET = "a secret for measuring, and for nothing else"


def token(company: str = "bench") -> str:
    return issue_token(SECRET, "bench", "Bench", [Role.SYSTEM], company=company)


@contextmanager
def serving(kind: str, url: str) -> Iterator[int]:
    """A server in a process of its own: medsales, medsales without its worker (`reader`), or
    `bare`. Gives its port."""
    port = _free_port()
    command = [sys.executable, "-m", "bench.server", kind, url, str(port)]
    with TemporaryDirectory(prefix="bench-home-") as home, Path(home, "log").open("w") as log:
        given = {**os.environ, "MEDSALES_SECRET": SECRET, "MEDSALES_HOME": home}
        server = subprocess.Popen(command, env=given, stderr=log)
        try:
            _wait_for(port, server, Path(home, "log"))
            yield port
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    kind, url, port = sys.argv[1:]
    if kind == "bare":
        serve(bare(url), port)
        return
    settings = Settings()
    logs.configure(settings.log_level, settings.log_format)
    with closing(Companies(url, settings.connections, sealing(settings))) as companies:
        serve(create_app(companies, settings, work=kind == "medsales"), port)


def serve(app: FastAPI, port: str) -> None:
    """With the settings of `medsales serve`."""
    uvicorn.run(
        app, port=int(port), log_config=None, access_log=False, server_header=False, ws="none"
    )


class Sent(BaseModel):
    """A body of the same fields as RegisterCustomer."""

    number: str
    kind_of: str
    name: str
    region: str
    address: str
    departments: tuple[str, ...]


def bare(url: str) -> FastAPI:
    """FastAPI and psycopg_pool: reads a body, inserts a row of the same size, answers."""
    pool = ConnectionPool(url, min_size=1, max_size=20, kwargs={"autocommit": True}, open=False)
    metadata = envelope_to_json(envelope()).encode()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pool.open()
        yield
        pool.close()

    app = FastAPI(lifespan=lifespan)

    @app.post("/rows")
    def insert(sent: Sent) -> dict[str, str]:
        id = new_id()
        with pool.connection() as conn:
            conn.execute(INSERT, (id, "CustomerRegistered", STATE, metadata), prepare=True)
        return {"id": id, "number": sent.number}

    @app.get("/rows/{table}/{column}/{value:path}")
    def select(table: str, column: str, value: str) -> list[dict[str, object]]:
        with pool.connection() as conn:
            found = conn.execute(f'select * from "{table}" where "{column}" = %s', (value,))
            names = [column.name for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found]

    return app


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 30
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text()}")


if __name__ == "__main__":
    main()
