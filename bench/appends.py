"""Appends per second at 1, 8 and 32 callers: ours, the library's, and pgbench."""

import re
import subprocess
import threading
import time
from collections.abc import Callable
from uuid import uuid4

from bench.measure import Case, Figures, Found, Goal, Line, Table, counted
from bench.peers import make_bare, stock_recorder, stored
from bench.sample import EVERYBODY, new_customer
from bench.setting import Setting, opened
from medsales.domain.kernel import Event
from medsales.domain.parties.customer import Customer, CustomerRegistered
from medsales.engine.application import Ask, MedSales
from medsales.engine.facts import Draft, Envelope, envelope_to_json, event_to_json
from medsales.engine.log import Log, Request, line_of

CALLERS = (1, 8, 32)
GOALS = {
    1: (Goal(1, "stock recorder"),),
    32: (Goal(6, "stock recorder"), Goal(0.7, "pgbench")),
}
EVENT: Event[Customer] = CustomerRegistered(**new_customer().model_dump())
STATE = event_to_json(EVENT).encode()


def measure(setting: Setting) -> list[Table]:
    with setting.database("appends") as url, opened(url) as ours, stock_recorder(url) as stock:
        make_bare(url)
        append = appending(ours.log)
        library = by_the_library(ours.log)
        handle = handling(ours.app)

        def insert() -> None:
            stock.insert_events([stored(new_id(), "CustomerRegistered", STATE)])

        cases: dict[str, Case] = {}
        for callers in CALLERS:
            cases[f"stock {callers}"] = timed(setting, insert, callers)
            cases[f"library {callers}"] = timed(setting, library, callers)
            cases[f"append {callers}"] = timed(setting, append, callers)
            if setting.pgbench:
                cases[f"pgbench {callers}"] = pgbench(setting, url, callers)
            cases[f"handle {callers}"] = timed(setting, handle, callers)
        return [told(setting.interleaved(cases))]


def told(found: Found) -> Table:
    lines: list[Line] = []
    for callers in CALLERS:
        n, who = str(callers), counted(callers, "caller")
        to = {"stock recorder": f"stock {n}", "pgbench": f"pgbench {n}"}
        goals = GOALS.get(callers, ())
        unit = "appends/s"
        lines += [
            found.line(f"stock recorder, {who}", (f"stock {n}", "rate", unit)),
            found.line(f"pgbench, {who}", (f"pgbench {n}", "rate", unit)),
            found.line(f"insert_events, {who}", (f"library {n}", "rate", unit), to, *goals),
            found.line(f"with command log, {who}", (f"append {n}", "rate", unit), to),
            found.line(f"MedSales.handle, {who}", (f"handle {n}", "rate", "commands/s"), to),
        ]
    return Table("Durable appends in order", lines, NOTES)


NOTES = """\
* insert_events: our log through the library's interface, one StoredEvent per call: a row of `facts`
  with an envelope, in order, answered when it is durable. Callers are threads of one process; what
  waits is appended together.
* with command log: the same as commands are kept, with a guard that is checked, a whole envelope,
  an idempotency key that is looked up, and a row of `commands` beside the row of `facts`.
* stock recorder: PostgresApplicationRecorder of eventsourcing as its factory makes it (pool of
  15, table lock), text ids, one StoredEvent with the same bytes of state per call; it writes
  neither an envelope nor a line in a command log.
* pgbench: the limit. The same columns and bytes into a table with the columns and indexes of
  `facts`, one prepared insert per transaction, not in order, with the same durability; `-c`
  callers, `-j 2`. It is written in C and its callers share no interpreter.
* MedSales.handle: a whole RegisterCustomer: read the stream, decide, append, answer.
* Why not 0.7 of pgbench: its callers are C and insert in two backends at once; ours is one writer,
  so that there is one order. Half of the callers wait while the other half are answered, so a batch
  of 32 callers has 16 requests; it costs about 0.4 ms to commit and 0.3 ms to begin, and each
  request 20 to 50 µs in the one backend. In Python half of the interpreter's time goes into
  waking the waiting threads (sampled with py-spy)."""


def new_id() -> str:
    return f"customer:bench-{uuid4().hex}"


def by_the_library(log: Log) -> Callable[[], None]:
    def insert() -> None:
        log.insert_events([stored(new_id(), "CustomerRegistered", STATE)])

    return insert


def appending(log: Log) -> Callable[[], None]:
    def append() -> None:
        appended = log.committer.submit(request(new_id())).result()
        assert appended.status == "done"

    return append


def handling(app: MedSales) -> Callable[[], None]:
    def handle() -> None:
        app.handle(Ask(new_customer(), EVERYBODY))

    return handle


def request(id: str) -> Request:
    return Request(
        subject=id,
        version=1,
        envelope=envelope(),
        fingerprint="0" * 64,
        guards={id: 0},
        facts=(line_of(Draft(id, 1, EVENT)),),
    )


def envelope() -> Envelope:
    key = str(uuid4())
    return Envelope("bench", "Bench", "bench", key, "RegisterCustomer", key, app="0.1.0")


def timed(setting: Setting, call: Callable[[], object], callers: int) -> Case:
    """Callers that call without a pause."""

    def case() -> Figures:
        return {"rate": rate_of(call, callers, setting.seconds)}

    return case


def rate_of(call: Callable[[], object], callers: int, seconds: float) -> float:
    done: list[int] = []
    start = threading.Barrier(callers + 1)

    def work() -> None:
        start.wait()
        deadline = time.perf_counter() + seconds
        count = 0
        while time.perf_counter() < deadline:
            call()
            count += 1
        done.append(count)

    threads = [threading.Thread(target=work) for _ in range(callers)]
    for thread in threads:
        thread.start()
    start.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    if len(done) < callers:
        raise RuntimeError("a caller has failed; its traceback is above")
    return sum(done) / took


def pgbench(setting: Setting, url: str, callers: int) -> Case:
    script = setting.server.home / "insert.sql"
    metadata = envelope_to_json(envelope()).encode()
    # A colon in a text would begin a variable of pgbench.
    script.write_text(
        "insert into bare.facts (originator_id, originator_version, topic, state, metadata) values"
        " ('customer' || chr(58) || 'bench-' || replace(gen_random_uuid()::text, '-', ''), 1,"
        f" 'CustomerRegistered', '\\x{STATE.hex()}', '\\x{metadata.hex()}');\n"
    )

    def case() -> Figures:
        options = ["-n", "-M", "prepared", "-f", script, "-c", callers, "-j", min(callers, 2)]
        seconds = max(int(setting.seconds), 1)
        command = [str(part) for part in (setting.pgbench, *options, "-T", seconds, url)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        assert found is not None, done.stdout
        return {"rate": float(found[1])}

    return case
