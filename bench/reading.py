"""How long a lot trace and a unit's history take, in a log of 10,000 and of 100,000 facts."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import LiteralString
from urllib.parse import quote

import psycopg

from bench.client import Task, play
from bench.measure import Case, Figures, Found, Goal, Line, Table, in_ms
from bench.sample import Business
from bench.server import serving, token
from bench.setting import Setting, opened, settle
from medsales.company import Company
from medsales.domain.ids import DeviceUnitId, LotId
from medsales.engine.database import schema_of
from medsales.projections.lot_trace import trace
from medsales.projections.unit_history import history_of

LOTS = "select distinct lot as id from lot_holding where goods <> lot order by 1"
UNITS = "select distinct unit as id from history_entry where unit like 'device-unit:%' order by 1"
LOT_ROWS = "select * from lot_holding where lot = %s"
UNIT_ROWS = "select * from history_entry where unit = %s"
QUESTIONS = ("lot trace", "unit history")


@dataclass(frozen=True)
class Subject:
    """A company with so many facts, and whom it is asked about."""

    company: Company
    url: str
    lots: Sequence[str]
    units: Sequence[str]


def measure(setting: Setting) -> list[Table]:
    sizes = {"10,000": setting.size(10_000, 1_500), "100,000": setting.size(100_000, 3_000)}
    with setting.database("reading") as url, ExitStack() as stack:
        subjects = {
            size: stack.enter_context(filled(setting, url, f"facts_{n}", facts))
            for n, (size, facts) in enumerate(sizes.items())
        }
        port = stack.enter_context(serving("medsales", url))
        for subject in subjects.values():
            settle(subject.company)
        cases: dict[str, Case] = {}
        for size, subject in subjects.items():
            cases |= asked(size, subject)
            cases |= asked_over_http(size, subject, port)
            cases |= bare(size, subject)
        heads = [subject.company.log.head() for subject in subjects.values()]
        return [told(setting.interleaved(cases), list(sizes), heads)]


def told(found: Found, sizes: Sequence[str], heads: Sequence[int]) -> Table:
    lines: list[Line] = []
    for size in sizes:
        for question, most in zip(QUESTIONS, (20, 5), strict=True):
            case = f"{question}, {size} facts"
            for way in ("bare select", "function", "GET"):
                to = {} if way == "bare select" else {"bare select": f"bare select {case}"}
                for part in ("p50", "p99"):
                    goals = (
                        (Goal(most, at_most=True),)
                        if way != "bare select" and part == "p99"
                        else ()
                    )
                    of = (f"{way} {case}", part, "ms")
                    lines.append(found.line(f"{case}, {way}, {part}", of, to, *goals))
    return Table(
        "Asking where a lot is, and what happened to a unit",
        lines,
        f"""\
* Logs of {" and ".join(f"{head:,}" for head in heads)} facts, made by the demo's simulation; 40
  serials to a lot. Lots and units are drawn by chance, one caller.
* function: `trace` and `history_of` in a snapshot of their own from the pool, with the answer's
  models built. GET: the whole request, token and JSON included, to a server in another process,
  one client.
* bare select: the limit. The rows of the lot or unit by key, one prepared statement on an open
  connection, no join, no models.""",
    )


@contextmanager
def filled(setting: Setting, url: str, name: str, facts: int) -> Iterator[Subject]:
    with opened(url, name) as company:
        Business(company).live(facts)
        company.follower.catch_up()
        with company.database.writing() as db:
            db.execute("analyze")
        chance = random.Random(7)
        times = setting.size(300, 20)
        with company.database.reading() as db:
            lots = [row["id"] for row in db.execute(LOTS)]
            units = [row["id"] for row in db.execute(UNITS)]
        yield Subject(company, url, chance.choices(lots, k=times), chance.choices(units, k=times))


def asked(size: str, subject: Subject) -> dict[str, Case]:
    database = subject.company.database

    def traced(id: str) -> None:
        with database.reading() as db:
            assert trace(db, LotId(id))

    def told(id: str) -> None:
        with database.reading() as db:
            assert history_of(db, DeviceUnitId(id))

    return {
        f"function lot trace, {size} facts": timed(traced, subject.lots),
        f"function unit history, {size} facts": timed(told, subject.units),
    }


def timed(question: Callable[[str], object], ids: Sequence[str]) -> Case:
    def case() -> Figures:
        took = []
        for id in ids:
            begun = time.perf_counter()
            question(id)
            took.append(time.perf_counter() - begun)
        return in_ms(took)

    return case


def asked_over_http(size: str, subject: Subject, port: int) -> dict[str, Case]:
    ways = {
        "lot trace": [f"/lots/{quote(id, safe=':')}/trace" for id in subject.lots],
        "unit history": [f"/device-units/{quote(id, safe=':')}/history" for id in subject.units],
    }
    name = subject.company.name
    return {
        f"GET {question}, {size} facts": got(port, name, paths) for question, paths in ways.items()
    }


def got(port: int, company: str, paths: Sequence[str]) -> Case:
    def case() -> Figures:
        scripts = [[("GET", path, "")] for path in paths]
        return in_ms(play(Task(port, token(company), 1, scripts)).whole())

    return case


def bare(size: str, subject: Subject) -> dict[str, Case]:
    ways: tuple[tuple[str, LiteralString, Sequence[str]], ...] = (
        ("lot trace", LOT_ROWS, subject.lots),
        ("unit history", UNIT_ROWS, subject.units),
    )
    return {
        f"bare select {question}, {size} facts": selected(subject, query, ids)
        for question, query, ids in ways
    }


def selected(subject: Subject, query: LiteralString, ids: Sequence[str]) -> Case:
    options = f"-c search_path={schema_of(subject.company.name)}"

    def case() -> Figures:
        with psycopg.connect(subject.url, options=options, autocommit=True) as conn:
            return timed(lambda id: conn.execute(query, (id,), prepare=True).fetchall(), ids)()

    return case
