"""How long a price among 100,000 cells takes, and a version of so many from draft to approval."""

import gc
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from itertools import product as every

import psutil  # type: ignore[import-untyped]  # it ships no types

from bench.measure import Case, Figures, Found, Goal, Table, in_ms
from bench.setting import Setting, opened
from medsales.api.price_import import PORTION, Draft, draft_from
from medsales.company import Company
from medsales.domain.governance.approval import Approve
from medsales.domain.ids import CustomerId, PriceMatrixId, ProductId
from medsales.domain.kernel import Role
from medsales.domain.parties.customer import CustomerTier
from medsales.domain.terms.price_matrix import (
    OpenPriceMatrix,
    PriceMatrix,
    ScheduleVersion,
    SubmitVersion,
    hashed,
)
from medsales.domain.terms.price_sheet import (
    Buyer,
    PriceCell,
    PriceKind,
    PriceSheet,
    sheet_of,
    sheets_for,
)
from medsales.domain.values import Money
from medsales.engine.application import Actor, Ask, Receipt
from medsales.engine.decision import Loaded
from medsales.engine.memory import Memory

MANY, FEW = 100_000, 2_000
PER_PRODUCT = 100
REGIONS = [f"R{n}" for n in range(32)]
CHEN = Actor("chen", "Chen", tuple(Role), "bench")
WANG = Actor("wang", "Wang", tuple(Role), "bench")
SPREAD, ALONE, GROWING = (PriceMatrixId.of(key) for key in ("SPREAD", "ALONE", "GROWING"))
SINCE = date(2024, 1, 1)
PARTS = {
    "p50": "p50",
    "p99": "p99",
    "p99 of the processor": "p99, processor time alone",
}
LIMIT = "the limit of 1 ms"
HASHING = "hashing them, no more"


def measure(setting: Setting) -> list[Table]:
    count = setting.size(MANY, FEW)
    with setting.database("pricing") as url, opened(url) as company:
        for id in (SPREAD, ALONE, GROWING):
            told(company, OpenPriceMatrix(code=id.key, name=id.key, currency="CNY"))
        cells = tuple(spread(count))
        published(company, SPREAD, SINCE, cells)
        published(company, ALONE, SINCE, tuple(alone(count)))
        cases: dict[str, Case] = {
            **{
                f"{name}, {id.key}": resolved(setting, company, id, count, way)
                for id in (SPREAD, ALONE)
                for name, way in (("price", pure), ("loaded", with_sheets))
            },
            "limit": lambda: dict.fromkeys(PARTS, 1.0),
            "publish": publishing(company, cells),
            "hashing": hashing(cells),
        }
        return [table(setting.interleaved(cases), count)]


def table(found: Found, count: int) -> Table:
    lines = []
    for id, what in ((SPREAD, f"{count // PER_PRODUCT:,} sheets"), (ALONE, "one sheet")):
        for part, name in PARTS.items():
            of, goal = (f"price, {id.key}", part, "ms"), Goal(1, LIMIT, at_most=True)
            said = f"a price and its path, {what}, {name}"
            lines.append(found.line(said, of, {LIMIT: "limit"}, goal))
        of = (f"loaded, {id.key}", "p50", "ms")
        lines.append(found.line(f"the same, sheets read from the log first, {what}, p50", of))
    drafted, goal = ("publish", "draft", "ms"), Goal(5000, at_most=True)
    lines += [
        found.line(f"{count:,} cells drafted, in commands of 2,500", drafted, {HASHING: "hashing"}),
        found.line("submitted", ("publish", "submit", "ms")),
        found.line("approved", ("publish", "approve", "ms"), {}, goal),
        found.line("scheduled, and in force", ("publish", "schedule", "ms")),
        found.line("memory more than before the first of them", ("publish", "memory", "MiB")),
    ]
    return Table("Prices", lines, notes(count))


def notes(count: int) -> str:
    return f"""\
* {count:,} cells in one version: {PER_PRODUCT} for each product ({SPREAD.key}), or all for one
  ({ALONE.key}). Regions, tiers, quantity breaks, and special prices of customers. Questions drawn
  by chance, half of them of customers who have a special price.
* price: `PriceMatrix.price` on states at hand, one caller, one thread; the path is in the answer.
  The limit is that of the issue. Where others want the processor, p99 holds their turns, of some
  milliseconds each; processor time does not.
* read first: matrix and sheets from the log, by a memory that knows nothing.
* drafted: `DraftVersion` and `AddCells`, each cell checked, hashed (RFC 8785, SHA-256) and
  written into its sheet, durable. Approved: `Approve`, with which the version hears its verdict.
  {HASHING}: their canonical bytes and SHA-256, without any of the rest.
* Each run adds a version of {count:,} cells to the same sheets, so the later ones find more there.
  memory: of this process, after garbage collection, from run to run."""


# What is priced -----------------------------------------------------------------------------------


def cells_of(product: ProductId, count: int) -> Iterator[PriceCell]:
    """Half of them list and regional prices, the other half special prices of customers."""
    dimensions = every((None, *REGIONS), (None, CustomerTier.A, CustomerTier.B), (1, 10, 100))
    general = islice(dimensions, count // 2)
    for n in range(count):
        region, tier, least = next(general, (None, None, 0))
        special = (
            {"kind": PriceKind.SPECIAL, "customer": CustomerId.of(str(n))} if not least else {}
        )
        yield PriceCell(
            product=product,
            region=region,
            tier=tier,
            min_quantity=least or 1,
            price=Money(amount=Decimal(1_000_000 - n) / 100, currency="CNY"),
            **special,
        )


def spread(count: int) -> Iterator[PriceCell]:
    for n in range(count // PER_PRODUCT):
        yield from cells_of(ProductId.of(f"{n:014}"), PER_PRODUCT)


def alone(count: int) -> Iterator[PriceCell]:
    yield from cells_of(ProductId.of("1"), count)


def told(company: Company, command: object, id: str | None = None, by: Actor = CHEN) -> Receipt:
    return company.app.handle(Ask(command, by, id))  # type: ignore[arg-type]


def published(
    company: Company, id: PriceMatrixId, since: date, cells: tuple[PriceCell, ...]
) -> Figures:
    """Milliseconds for each step."""
    took: dict[str, float] = {}

    def step(name: str, work: Callable[[], object]) -> None:
        begun = time.perf_counter()
        work()
        took[name] = (time.perf_counter() - begun) * 1000

    key, draft = f"{id}{since}", Draft(effective_from=since)
    step("draft", lambda: draft_from(company, id, CHEN, key, draft, cells))
    number = len(company.app.existing(id, PriceMatrix).versions)
    step("submit", lambda: told(company, SubmitVersion(version=number), id))
    version = company.app.existing(id, PriceMatrix).version(number)
    seen = Approve(content_hash=version.content_hash)
    step("approve", lambda: told(company, seen, version.approval, WANG))
    step("schedule", lambda: told(company, ScheduleVersion(version=number), id))
    return took


def publishing(company: Company, cells: tuple[PriceCell, ...]) -> Case:
    days, before = iter(range(1, 1000)), memory()

    def case() -> Figures:
        since = SINCE + timedelta(days=next(days))
        return {**published(company, GROWING, since, cells), "memory": memory() - before}

    return case


def hashing(cells: tuple[PriceCell, ...]) -> Case:
    def case() -> Figures:
        begun = time.perf_counter()
        for first in range(0, len(cells), PORTION):
            hashed("", cells[first : first + PORTION])
        return {"draft": (time.perf_counter() - begun) * 1000}

    return case


def memory() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 2**20


# How it is asked ----------------------------------------------------------------------------------

Question = tuple[PriceMatrixId, ProductId, Buyer, int]
Way = Callable[[Company, list[Question]], Figures]


def resolved(setting: Setting, company: Company, id: PriceMatrixId, count: int, way: Way) -> Case:
    chance = random.Random(7)
    times = setting.size(2000, 50) if way is pure else 3
    sheets = count // PER_PRODUCT
    customers = count if id == ALONE else PER_PRODUCT
    questions = [
        (
            id,
            ProductId.of("1" if id == ALONE else f"{chance.randrange(sheets):014}"),
            Buyer(
                customer=CustomerId.of(str(chance.randrange(customers))),
                region=chance.choice(REGIONS),
                tier=chance.choice([*CustomerTier]),
            ),
            chance.choice((1, 5, 50, 500)),
        )
        for _ in range(times)
    ]
    return lambda: way(company, questions)


def pure(company: Company, questions: list[Question]) -> Figures:
    """Of states that are at hand."""
    load = Memory(company.log).load
    took, computed = [], []
    for id, product, buyer, quantity in questions:
        matrix, sheets = states(load, id, product)
        begun, at_work = time.perf_counter(), time.thread_time()
        assert matrix.price(sheets, product, None, buyer, quantity, SINCE).path
        computed.append(time.thread_time() - at_work)
        took.append(time.perf_counter() - begun)
    return {**in_ms(took), "p99 of the processor": in_ms(computed)["p99"]}


def with_sheets(company: Company, questions: list[Question]) -> Figures:
    took = []
    for id, product, buyer, quantity in questions:
        begun = time.perf_counter()
        matrix, sheets = states(Memory(company.log).load, id, product)
        assert matrix.price(sheets, product, None, buyer, quantity, SINCE).path
        took.append(time.perf_counter() - begun)
    return in_ms(took)


def states(
    load: Callable[[Iterable[str]], Mapping[str, Loaded]], id: PriceMatrixId, product: ProductId
) -> tuple[PriceMatrix, list[PriceSheet]]:
    ids = sheets_for(id, [(product, None)])
    found = {name: loaded.state for name, loaded in load([id, *ids]).items()}
    matrix, sheet = found[id], found[sheet_of(id, PriceCell(product=product, price=FREE))]
    assert isinstance(matrix, PriceMatrix)
    assert isinstance(sheet, PriceSheet)
    return matrix, [sheet]


FREE = Money(amount=Decimal(0), currency="CNY")
