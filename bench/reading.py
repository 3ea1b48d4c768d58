"""How long a large lot's trace and a unit's history take, in 100,000 and in 1,000,000 facts."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString
from urllib.parse import quote

import psycopg

from bench.client import Task, play
from bench.filler import BIG_LOT, LARGE, SMALL, long_logs
from bench.measure import Case, Figures, Found, Goal, Line, Table, in_ms
from bench.server import serving, token
from bench.setting import Setting, opened
from medsales.company import Company
from medsales.domain.ids import DeviceUnitId, LotId
from medsales.engine.database import schema_of
from medsales.projections.lot_trace import trace_as_json
from medsales.projections.unit_history import history_of

BIGGEST = "select lot as id from lot_holding group by lot order by count(*) desc limit 1"
UNITS = "select distinct unit as id from history_entry where unit like 'device-unit:%' order by 1"
LOT_ROWS = "select * from lot_holding where lot = %s"
UNIT_ROWS = "select * from history_entry where unit = %s"
QUESTIONS = {"lot trace": 20, "unit history": 5}
"""How many milliseconds the p99 of each may be."""
SIZES = {SMALL: "100,000 facts", LARGE: "1,000,000 facts"}
BARE = "bare select"


@dataclass(frozen=True)
class Subject:
    """A company with so many facts, and whom it is asked about."""

    company: Company
    url: str
    lots: Sequence[str]
    units: Sequence[str]


def measure(setting: Setting) -> list[Table]:
    url = long_logs(setting)
    with (
        opened(url, SMALL) as small,
        opened(url, LARGE) as large,
        serving("reader", url) as port,
    ):
        subjects = [subject(setting, url, company) for company in (small, large)]
        cases: dict[str, Case] = {}
        for each in subjects:
            cases |= bare(each) | asked(each) | asked_over_http(each, port)
        found = setting.interleaved(cases)
        return [told(found, {each.company.name: each.company.log.head() for each in subjects})]


def subject(setting: Setting, url: str, company: Company) -> Subject:
    chance = random.Random(7)
    with company.database.reading() as db:
        lots = [row["id"] for row in db.execute(BIGGEST)]
        units = [row["id"] for row in db.execute(UNITS)]
    times = setting.size(100, 20), setting.size(500, 20)
    return Subject(company, url, lots * times[0], chance.choices(units, k=times[1]))


def told(found: Found, heads: Mapping[str, int]) -> Table:
    lines: list[Line] = []
    for question, most in QUESTIONS.items():
        for way in ("bare select", "function", "GET"):
            for size in (SMALL, LARGE):
                lines += line(found, question, way, size, most)
    return Table("Where a large lot is, and what happened to a unit", lines, notes(heads))


def line(found: Found, question: str, way: str, size: str, most: float) -> Iterator[Line]:
    what = f"{question}, {SIZES[size]}, {way}"
    to = {} if way == BARE else {BARE: f"{BARE} {question}, {size}"}
    if size == LARGE:
        to[SIZES[SMALL]] = f"{way} {question}, {SMALL}"
    ours = size == LARGE and way != BARE
    grown = (Goal(1.2, SIZES[SMALL], at_most=True),) if ours else ()
    goals = {"p50": grown, "p99": (Goal(most, at_most=True), *grown) if ours else ()}
    for part in ("p50", "p99"):
        of = (f"{way} {question}, {size}", part, "ms")
        yield found.line(f"{what}, {part}", of, to, *goals[part])


def notes(heads: Mapping[str, int]) -> str:
    return f"""\
* Logs of {" and ".join(f"{head:,}" for head in heads.values())} facts, those of the rebuild. A lot
  of {BIG_LOT:,} units, two of three of them sold, is in both. Units are drawn by chance from all;
  one caller.
* function: `trace_as_json` and `history_of` in a snapshot of their own from the pool; the trace is
  written as JSON by the database, of a history the models are built. GET: the whole request,
  token and JSON included, to a server in another process, one client; nothing is written
  meanwhile.
* bare select: the limit. The rows of the lot or unit by key, one prepared statement on an open
  connection, no join, no models.
* Why not 20 ms for the trace: the answer is 0.8 MB of JSON, of some 4,300 lines, which the database
  writes in one thread; over HTTP the text is copied, sent and read as well."""


def asked(subject: Subject) -> dict[str, Case]:
    database, size = subject.company.database, subject.company.name

    def traced(id: str) -> None:
        with database.reading() as db:
            assert trace_as_json(db, LotId(id))

    def told(id: str) -> None:
        with database.reading() as db:
            assert history_of(db, DeviceUnitId(id))

    return {
        f"function lot trace, {size}": timed(traced, subject.lots),
        f"function unit history, {size}": timed(told, subject.units),
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


def asked_over_http(subject: Subject, port: int) -> dict[str, Case]:
    ways = {
        "lot trace": [f"/lots/{quote(id, safe=':')}/trace" for id in subject.lots],
        "unit history": [f"/device-units/{quote(id, safe=':')}/history" for id in subject.units],
    }
    name = subject.company.name
    return {f"GET {question}, {name}": got(port, name, paths) for question, paths in ways.items()}


def got(port: int, company: str, paths: Sequence[str]) -> Case:
    def case() -> Figures:
        scripts = [[("GET", path, "")] for path in paths]
        return in_ms(play(Task(port, token(company), 1, scripts)).whole())

    return case


def bare(subject: Subject) -> dict[str, Case]:
    ways: tuple[tuple[str, LiteralString, Sequence[str]], ...] = (
        ("lot trace", LOT_ROWS, subject.lots),
        ("unit history", UNIT_ROWS, subject.units),
    )
    name = subject.company.name
    return {
        f"{BARE} {question}, {name}": selected(subject, query, ids) for question, query, ids in ways
    }


def selected(subject: Subject, query: LiteralString, ids: Sequence[str]) -> Case:
    options = f"-c search_path={schema_of(subject.company.name)}"

    def case() -> Figures:
        with psycopg.connect(subject.url, options=options, autocommit=True) as conn:
            return timed(lambda id: conn.execute(query, (id,), prepare=True).fetchall(), ids)()

    return case
