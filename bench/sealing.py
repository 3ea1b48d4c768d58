"""Facts sealed per second against facts appended, proofs in a long log, offline verification."""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.appends import new_id, request
from bench.filler import LARGE, LONG, long_logs
from bench.measure import Case, Figures, Found, Goal, Table, in_ms
from bench.setting import Setting
from medsales.audit.verifier import verified
from medsales.company import Company, open_company
from medsales.engine.audit_export import Export
from medsales.engine.database import Db
from medsales.engine.seal import Sealer, Sealing
from medsales.engine.seal_check import checked
from medsales.engine.sealed import extension, proof
from medsales.engine.sealing_key import key_in

TOGETHER = 500
"""Requests in one append: the way in which facts come quickest."""


def measure(setting: Setting) -> list[Table]:
    long_logs(setting)
    with setting.database("sealing", like=LONG) as url, sealed(setting, url) as company:
        head = sealer_of(company).seal()
        assert head is not None
        folder = exported(setting, company, min(head.size, setting.size(300_000, 3_000)))
        cases: dict[str, Case] = {
            "append": lambda: {"rate": appended(company, setting.size(20_000, 1_000))},
            "seal": lambda: {"rate": newly_sealed(company, setting.size(20_000, 1_000))},
            "proof": lambda: asked(setting, company, proof),
            "consistency": lambda: asked(setting, company, extension),
            "online": lambda: {"rate": checked_online(company)},
            "offline": lambda: {"rate": checked_offline(folder)},
        }
        return [told(setting.interleaved(cases), head.size)]


def told(found: Found, length: int) -> Table:
    unit, to = "facts/s", {"appending": "append"}
    lines = [
        found.line(f"appending, {TOGETHER} requests at a time", ("append", "rate", unit)),
        found.line("sealing", ("seal", "rate", unit), to, Goal(1, "appending")),
        *(
            found.line(f"{what}, {part}", (case, part, "ms"), {}, Goal(5, at_most=True))
            for case, what in (("proof", "proof of a fact"), ("consistency", "consistency proof"))
            for part in ("p50", "p99")
        ),
        found.line("medsales seal verify", ("online", "rate", unit)),
        found.line("offline verification", ("offline", "rate", unit), {}, Goal(100_000)),
    ]
    notes = f"""\
* The log: {length:,} facts and more, the long one of the rebuild.
* appending: one caller, batches of requests with one CustomerRegistered each through `append`;
  sealing: what was appended then, from the first row read to the signed head, in one thread of one
  process; each fact read, hashed, its tiles written, all durable.
* proofs: by chance, one caller, one snapshot each: the fact, the tiles and the head read, the
  hashes computed; without HTTP.
* seal verify: the whole log, read from the database and compared with tiles and heads.
* offline: `medsales.audit` over an export of a part of the log, read from the disk's cache, one
  process: SHA-256 of the files, the line of every fact hashed and the tree over them."""
    return Table("Sealing and proving", lines, notes)


@contextmanager
def sealed(setting: Setting, url: str) -> Iterator[Company]:
    company = open_company(url, LARGE, sealing=Sealing(setting.server.home / "seal.key"))
    try:
        yield company
    finally:
        company.close()


def sealer_of(company: Company) -> Sealer:
    assert company.sealer is not None
    return company.sealer


def appended(company: Company, count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count // TOGETHER):
        company.log.append([request(new_id()) for _ in range(TOGETHER)])
    return count / (time.perf_counter() - begun)


def newly_sealed(company: Company, count: int) -> float:
    sealer_of(company).seal()
    appended(company, count)
    begun = time.perf_counter()
    sealer_of(company).seal()
    return count / (time.perf_counter() - begun)


def asked(setting: Setting, company: Company, question: Callable[[Db, int], object]) -> Figures:
    sealer_of(company).seal()
    took, head = [], company.log.head()
    for position in random.Random(7).choices(range(1, head + 1), k=setting.size(500, 20)):
        begun = time.perf_counter()
        with company.database.reading() as db:
            assert question(db, position)
        took.append(time.perf_counter() - begun)
    return in_ms(took)


def exported(setting: Setting, company: Company, count: int) -> Path:
    folder = setting.server.home / "export"
    shutil.rmtree(folder, ignore_errors=True)
    head = sealer_of(company).seal()
    assert head is not None
    key = key_in(sealer_of(company).sealing.key)
    Export(company.database, folder, head, 1, count).write(key, {}, "bench")
    return folder


def checked_online(company: Company) -> float:
    begun = time.perf_counter()
    found = checked(company.database)
    assert not found.findings, found.findings
    return found.facts / (time.perf_counter() - begun)


def checked_offline(folder: Path) -> float:
    begun = time.perf_counter()
    report = verified(folder)
    assert not report.findings, report.findings
    return report.export.last / (time.perf_counter() - begun)
