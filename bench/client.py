"""Asks over HTTP from a process of its own, so that asking never takes the server's interpreter.

A plain HTTP/1.1 client on asyncio streams with uvloop: connections stay open, requests are made
before the clock starts, of an answer only the status and the body are looked at. It reports how
much of a core it took itself.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from uuid import uuid4

import uvloop

POSITION = "{position}"
"""In a path: the position that the answer before has given."""
Step = tuple[str, str, str]
"""Method, path and body."""
Script = Sequence[Step]
"""What one person asks, step by step."""


@dataclass(frozen=True)
class Task:
    """Scripts to be played by so many clients, until none is left or the time is over."""

    port: int
    token: str
    clients: int
    scripts: Sequence[Script]
    seconds: float = 3600
    rate: float | None = None
    """Scripts begun per second; without it a client begins the next when it is done."""


@dataclass(frozen=True)
class Played:
    """How long each step of each script took, in seconds."""

    took: list[list[float]]
    elapsed: float
    cpu: float
    """Processor seconds of the client itself."""

    def whole(self) -> list[float]:
        return [sum(steps) for steps in self.took]

    @property
    def rate(self) -> float:
        return len(self.took) / self.elapsed


def play(task: Task) -> Played:
    """Raises RuntimeError if an answer was not 200."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.client"],
        input=json.dumps(asdict(task)),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError("the client has failed; its words are above")
    return Played(**json.loads(done.stdout))


def main() -> None:
    given = json.loads(sys.stdin.read())
    played = uvloop.run(_play(Task(**given)))
    print(json.dumps(asdict(played)))


async def _play(task: Task) -> Played:
    requests = [[_request(step, task.token) for step in script] for script in task.scripts]
    doors = [await asyncio.open_connection("127.0.0.1", task.port) for _ in range(task.clients)]
    waiting = iter(enumerate(requests))
    took: list[list[float]] = []
    begun, cpu = time.perf_counter(), time.process_time()
    clients = [_client(task, begun, waiting, Door(*door), took) for door in doors]
    await asyncio.gather(*clients)
    return Played(took, time.perf_counter() - begun, time.process_time() - cpu)


@dataclass(frozen=True)
class Door:
    """A connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer. Raises RuntimeError if it is not 200."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        body = await self.reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head[:15]!r} {body[:400]!r} to {request[:200]!r}")
        return body


async def _client(
    task: Task,
    begun: float,
    waiting: Iterator[tuple[int, list[bytes]]],
    door: Door,
    took: list[list[float]],
) -> None:
    for n, requests in waiting:
        if task.rate:
            await asyncio.sleep(begun + n / task.rate - time.perf_counter())
        if time.perf_counter() > begun + task.seconds:
            return
        took.append(await _script(requests, door))


async def _script(requests: Sequence[bytes], door: Door) -> list[float]:
    took: list[float] = []
    answer = b""
    for request in requests:
        ready = _positioned(request, answer)
        begun = time.perf_counter()
        answer = await door.ask(ready)
        took.append(time.perf_counter() - begun)
    return took


def _positioned(request: bytes, answer: bytes) -> bytes:
    if POSITION.encode() not in request:
        return request
    position = str(json.loads(answer)["position"])
    return request.replace(POSITION.encode(), position.encode(), 1)


def _request(step: Step, token: str) -> bytes:
    method, path, body = step
    content = body.encode()
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        f"Idempotency-Key: {uuid4()}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + content


if __name__ == "__main__":
    main()
