"""From the answer to a command until a reader sees what it did, at 50 commands per second."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg

from bench.client import POSITION, Task, play
from bench.http import step
from bench.measure import Case, Figures, Found, Goal, Line, Table, in_ms
from bench.sample import EVERYBODY, new_customer
from bench.server import serving, token
from bench.setting import Setting, opened, settle
from medsales.company import Company
from medsales.engine.application import Ask

RATE = 50
LOOK = 0.0005
"""Seconds between two looks at the read model; what is reported is late by at most that."""
PATIENCE = 10
CALLERS = 16
INSERT = "insert into bare_rows values (%s, %s)"


def measure(setting: Setting) -> list[Table]:
    number = setting.size(250, 25)
    with (
        setting.database("visible") as url,
        opened(url) as company,
        serving("medsales", url) as port,
    ):
        settle(company)
        cases: dict[str, Case] = {
            "notify": lambda: notified(url, number),
            "row": lambda: seen(company, number),
            "get": lambda: got(port, number),
        }
        return [told(setting.interleaved(cases))]


def told(found: Found) -> Table:
    ways = {
        "notify": "the least",
        "row": "answered to row visible",
        "get": "answered to GET with min_position answered",
    }
    lines: list[Line] = []
    for case, what in ways.items():
        to = {} if case == "notify" else {"the least": "notify"}
        for part, most in (("p50", 15), ("p99", 60)):
            goals = (Goal(most, at_most=True),) if case != "notify" else ()
            lines.append(found.line(f"{what}, {part}", (case, part, "ms"), to, *goals))
    return Table(f"Read your writes, {RATE} commands per second", lines, NOTES)


NOTES = """\
* Commands (RegisterCustomer) begin every 20 ms whether or not the one before is visible yet. The
  worker is in the server's process, as with `medsales serve`.
* row visible: `MedSales.handle` in the measuring process has returned, until the row of the
  customer is found in `customer_profile` by another connection, which looks twice per
  millisecond.
* GET: a POST has been answered, until GET /customers/{id}?min_position= is answered with the
  position of the receipt: the time of a whole request is part of it.
* the least: the limit of any read model that follows the log. An insert with pg_notify has been
  answered, until whoever listens has inserted a row of its own and committed it."""


def paced(number: int, ask: Callable[[], float]) -> Figures:
    begun = time.perf_counter()

    def due(n: int) -> float:
        time.sleep(max(begun + n / RATE - time.perf_counter(), 0))
        return ask()

    with ThreadPoolExecutor(CALLERS) as callers:
        return in_ms(list(callers.map(due, range(number))))


def seen(company: Company, number: int) -> Figures:
    def ask() -> float:
        id = company.app.handle(Ask(new_customer(), EVERYBODY)).id
        begun = time.perf_counter()
        with company.database.get_connection() as conn:
            query = "select from customer_profile where customer = %s"
            while not conn.execute(query, (id,), prepare=True).rowcount:
                if time.perf_counter() - begun > PATIENCE:
                    raise TimeoutError(f"{id} has not become visible")
                time.sleep(LOOK)
        return time.perf_counter() - begun

    return paced(number, ask)


def got(port: int, number: int) -> Figures:
    commands = [new_customer() for _ in range(number)]
    scripts = [
        [step(command), ("GET", f"/customers/{command.begins()}?min_position={POSITION}", "")]
        for command in commands
    ]
    done = play(Task(port, token(), CALLERS, scripts, rate=RATE))
    return in_ms([steps[-1] for steps in done.took])


def notified(url: str, number: int) -> Figures:
    committed: dict[str, float] = {}
    heard: queue.Queue[tuple[str, float]] = queue.Queue()
    ready = threading.Event()
    with (
        psycopg.connect(url, autocommit=True) as listening,
        psycopg.connect(url, autocommit=True) as writing,
        psycopg.connect(url, autocommit=True) as projecting,
    ):
        writing.execute("create table if not exists bare_rows (kind text, n int)")
        listening.execute("listen bell")

        def listen() -> None:
            ready.set()
            for notify in listening.notifies(stop_after=number, timeout=60):
                projecting.execute(INSERT, ("seen", int(notify.payload)), prepare=True)
                heard.put((notify.payload, time.perf_counter()))

        listener = threading.Thread(target=listen)
        listener.start()
        ready.wait()
        begun = time.perf_counter()
        for n in range(number):
            time.sleep(max(begun + n / RATE - time.perf_counter(), 0))
            writing.execute(
                f"with kept as ({INSERT}) select pg_notify('bell', %s)",
                ("asked", n, str(n)),
                prepare=True,
            )
            committed[str(n)] = time.perf_counter()
        listener.join()
    arrived = dict(heard.queue)
    return in_ms([arrived[n] - at for n, at in committed.items()])
