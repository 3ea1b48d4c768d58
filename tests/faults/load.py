"""Clients who insist: each wish is repeated under its key until the server says it is done."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
from tests.cli.conftest import PATIENCE, Program, http
from tests.domain.examples import OPEN_HANGZHOU, PUMP, REGISTER_PUMP, REGISTER_UNION, UNION

from medsales.domain.ids import LotId

CLIENTS = 8
WISHES = 30
"""Of each client."""
PUMP_DI = PUMP.partition(":")[2]
LOT = LotId.of(PUMP_DI, "L1")
HOLD = {"hold": "Q-2026-7", "reason": "leaking seal"}


class Wish(NamedTuple):
    """A command over HTTP, under the key it keeps however often it is sent."""

    key: str
    path: str
    body: dict[str, Any]


def wishes(client: int) -> Iterator[Wish]:
    """Some of its own, and some that all clients want of the same lot, hospital and warehouse."""
    for n in range(WISHES):
        tag = f"{client}-{n}"
        yield (
            Wish(tag, "/customers/register-customer", registration(tag)),
            Wish(tag, f"/customers/{UNION}/add-department", {"department": f"ward {tag}"}),
            Wish(tag, "/device-units/receive-unit", delivery(tag)),
        )[n % 3]


def registration(tag: str) -> dict[str, Any]:
    return REGISTER_UNION.model_dump(mode="json") | {"number": tag, "name": f"Hospital {tag}"}


def delivery(tag: str) -> dict[str, Any]:
    udi = f"(01){PUMP_DI}(10)L1(21)SN{tag}"
    return {"udi": udi, "product": PUMP, "warehouse": OPEN_HANGZHOU.begins()}


GROUND = (
    Wish("hangzhou", "/warehouses/open-warehouse", OPEN_HANGZHOU.model_dump(mode="json")),
    Wish("pump", "/products/register-product", REGISTER_PUMP.model_dump(mode="json")),
    Wish("union", "/customers/register-customer", REGISTER_UNION.model_dump(mode="json")),
)
"""What must be there before the rest makes sense."""


@dataclass
class Load:
    """Clients who repeat each wish until they are told that it is done."""

    token: str
    url: str
    """Where the server is now; it moves when it is started again."""
    receipts: dict[str, httpx.Response] = field(default_factory=dict)
    told: threading.Condition = field(default_factory=threading.Condition)
    interrupted: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    """Of the problems that clients were told."""
    deadline: float = field(default_factory=lambda: time.monotonic() + PATIENCE)
    pause: threading.Event = field(default_factory=threading.Event)

    def client(self, name: int) -> None:
        with httpx.Client(timeout=30, trust_env=False) as client:
            for wish in wishes(name):
                self.insist(client, wish)

    def insist(self, client: httpx.Client, wish: Wish) -> httpx.Response:
        answer: httpx.Response | None = None
        while time.monotonic() < self.deadline:
            answer = self.sent(client, wish)
            if answer is not None and answer.status_code != 503:
                assert answer.status_code == 200, answer.text
                with self.told:
                    self.receipts[wish.key] = answer
                    self.told.notify_all()
                return answer
            self._not_done(answer)
            self.pause.wait(0.1)
        raise TimeoutError(f"{wish} is not done: {answer and answer.text}")

    def _not_done(self, answer: httpx.Response | None) -> None:
        with self.told:
            self.interrupted += 1
            self.codes["nobody knows" if answer is None else answer.json()["code"]] += 1
            self.told.notify_all()

    def sent(self, client: httpx.Client, wish: Wish) -> httpx.Response | None:
        """None when nobody knows what became of it."""
        with suppress(httpx.TransportError):
            return client.post(
                self.url + wish.path,
                json=wish.body,
                headers={"Idempotency-Key": wish.key, "Authorization": f"Bearer {self.token}"},
            )
        return None

    def wait_for(self, acknowledged: int) -> None:
        self.wait_until(lambda: len(self.receipts) >= acknowledged)

    def wait_until(self, true: Callable[[], object]) -> None:
        """Looked at whenever somebody has been answered, or not."""
        with self.told:
            left = self.deadline - time.monotonic()
            assert self.told.wait_for(true, left), self.codes

    @contextmanager
    def running(self) -> Iterator[None]:
        """All have been told that everything is done when this ends."""
        with ThreadPoolExecutor(CLIENTS) as clients:
            work: list[Future[None]] = [clients.submit(self.client, n) for n in range(CLIENTS)]
            try:
                yield
            except BaseException:
                self.deadline = 0
                raise
            for future in work:
                future.result()


def begun(program: Program, url: str) -> Load:
    load = Load(program.says("token").strip(), url)
    with httpx.Client() as client:
        for wish in GROUND:
            load.insist(client, wish)
    return load


def must_have_kept_its_word(program: Program, load: Load) -> None:
    """Every wish is in the log once, whole; the same answer is given again; nothing differs."""
    read_models_have_caught_up(load)
    with http(load.url, load.token) as client:
        for key, wish in list(all_wishes().items())[::20]:
            first = load.receipts[key]
            assert load.insist(client, wish).content == first.content
        facts = [json.loads(line) for line in client.get("/facts").iter_lines()]
    assert [fact["position"] for fact in facts] == list(range(1, len(facts) + 1))
    found = Counter(f["envelope"]["key"] for f in facts if f["envelope"]["client"] == "me")
    assert found == {key: len(told.json()["events"]) for key, told in load.receipts.items()}
    assert set(load.receipts) >= set(all_wishes())
    clocks = [fact["recorded_at"] for fact in facts]
    assert clocks == sorted(clocks)
    assert program.json("verify")["differences"] == []


def all_wishes() -> dict[str, Wish]:
    all = (*GROUND, *(wish for client in range(CLIENTS) for wish in wishes(client)))
    return {wish.key: wish for wish in all}


def read_models_have_caught_up(load: Load) -> None:
    head = max(answer.json()["position"] for answer in load.receipts.values())
    with http(load.url, load.token) as client:
        for path in ("/stock", f"/lots/{LOT}/trace", "/products"):
            answer = client.get(path, params={"min_position": head})
            assert answer.status_code == 200, answer.text


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.05)
    return True
