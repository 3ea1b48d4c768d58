"""Read models rebuilt from a long log, against merely reading and decoding it; and the memory."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg

from bench.filler import LARGE, SMALL, long_logs
from bench.measure import Case, Figures, Found, Goal, Table
from bench.setting import Setting, opened
from medsales.catalogue import PROJECTIONS
from medsales.engine.database import schema_of

RUNS = 3
LOOK = 0.05
"""Seconds between two looks at the memory."""


def measure(setting: Setting) -> list[Table]:
    url, heads = long_logs(setting), {}
    for name in (SMALL, LARGE):
        with opened(url, name) as company:
            heads[name] = company.log.head()
    cases: dict[str, Case] = {
        "read": lambda: decoded(url, LARGE),
        LARGE: lambda: rebuilt(url, LARGE),
        SMALL: lambda: rebuilt(url, SMALL),
    }
    return [told(setting.at_most(RUNS, cases), heads)]


def told(found: Found, heads: dict[str, int]) -> Table:
    unit = "facts/s"
    small, large = f"{heads[SMALL]:,} facts", f"{heads[LARGE]:,} facts"
    lines = [
        found.line("reading and JSON-decoding the log, one process", ("read", "rate", unit)),
        found.line(
            f"medsales rebuild, {large}, per core",
            (LARGE, "rate", unit),
            {"reading and decoding": "read"},
            Goal(0.3, "reading and decoding"),
        ),
        found.line(f"medsales rebuild, {large}, all cores", (LARGE, "all", unit)),
        found.line(f"medsales rebuild, {small}, all cores", (SMALL, "all", unit)),
        found.line(f"most memory, {small}", (SMALL, "memory", "MB")),
        found.line(
            f"most memory, {large}",
            (LARGE, "memory", "MB"),
            {small: SMALL},
            Goal(400, at_most=True),
            Goal(1.1, small, at_most=True),
        ),
    ]
    notes = f"""\
* {RUNS} runs at most, since each takes minutes, and without a warm-up: the same was done when the
  log was made.
* The log: the demo's simulated years, and copies of them with other serials, lots, orders and
  shipments, side by side. All {len(PROJECTIONS)} read models; the command as an operator gives it,
  with as many workers as there are cores ({os.cpu_count()}): parts, keys and indexes, comparison
  with the rows before, swap. Its own figure, without the start of the program.
* Per core: all facts a second by the number of cores; the database works on the same cores.
* Reading and decoding: a server-side cursor over the log in its order, binary, 2,000 rows at a
  time, `json.loads` of each payload and each envelope. Only this process's thread is at work.
* Memory: resident memory of the command and its workers together, looked at every
  {LOOK * 1000:.0f} ms; pages they share are counted in each. The database is not in it.
* Why not 0.3: a fact becomes six rows, half of them of the subject index. A worker takes about 47
  µs of processor time a fact (12 to read the event, 15 to 18 for COPY, the rest in handlers and
  folding; profiled), the database about 33 µs on the same cores; to read and decode takes 12."""
    return Table("Rebuild of all read models", lines, notes)


def decoded(url: str, name: str) -> Figures:
    begun, count = time.perf_counter(), 0
    options = f"-c search_path={schema_of(name)}"
    with psycopg.connect(url, options=options) as conn, conn.cursor("log") as db:
        db.execute("select state, metadata from facts order by notification_id", binary=True)
        while rows := db.fetchmany(2_000):
            for state, metadata in rows:
                json.loads(state)
                json.loads(metadata)
            count += len(rows)
    return {"rate": count / (time.perf_counter() - begun)}


def rebuilt(url: str, name: str) -> Figures:
    """As the command tells it."""
    command = [sys.executable, "-m", "medsales", "rebuild", "--company", name]
    given = {**os.environ, "MEDSALES_DATABASE_URL": url}
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, text=True) as process:
        memory = max(_memory(process), default=0)
        said = process.stdout.read() if process.stdout else ""
    found = re.search(r"from ([\d,]+) facts in ([\d.]+) s", said)
    assert found, said
    rate = int(found[1].replace(",", "")) / float(found[2])
    return {"all": rate, "rate": rate / (os.cpu_count() or 1), "memory": memory / 2**20}


def _memory(process: subprocess.Popen[str]) -> Iterator[int]:
    first = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            yield sum(one.memory_info().rss for one in (first, *first.children(recursive=True)))
        except psutil.Error:
            continue
        time.sleep(LOOK)
