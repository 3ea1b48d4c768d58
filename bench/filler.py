"""Logs of very many facts, as the demo tells them: the same years under other numbers."""

import json
import re
from collections.abc import Iterator
from itertools import groupby, product
from typing import Any

import psycopg

from bench.sample import Business
from bench.setting import Setting, opened
from medsales.company import Company

PATTERN = 6_000
"""Facts of simulated years that are lived, with all their decisions; the others are copies."""
GROUP = 20
"""Copies that go on side by side, so that the facts of a unit lie as far apart as in life."""
APPEND = "select append(%s::jsonb)"
AT_A_TIME = 2_000
HOLE = "\x01"
"""Stands where the numbers of a copy differ: in serials, lots, orders, shipments, waybills."""
LIVES = ("device-unit:", "lot:", "order:", "shipment:")

LONG = "long"
"""The database of the long logs."""
SMALL, LARGE = "small", "large"
"""The companies in it."""
BIG_LOT = 2_000
"""Units of one lot, which each of them has."""


def long_logs(setting: Setting) -> str:
    """The database of two companies, of 100,000 and of 1,000,000 facts, with their read models."""
    sizes = {SMALL: setting.size(100_000, 7_000), LARGE: setting.size(1_000_000, 25_000)}

    def fill_both(url: str) -> None:
        for name, facts in sizes.items():
            with opened(url, name) as company:
                fill(company, facts)
                Business(company).lot(setting.size(BIG_LOT, 50))
                company.follower.rebuild(list(company.follower.projections))

    url = setting.shared(LONG, fill_both)
    # Otherwise the database would do it by itself, while something else is measured.
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("vacuum analyze")
    return url


def fill(company: Company, facts: int) -> None:
    """Until the log has so many facts. Each copy has units, lots, orders and shipments of its own;
    products, customers and warehouses are the same."""
    if company.log.head() < PATTERN:
        Business(company).live(PATTERN)
    pattern = list(_pattern(company))
    copies = _numbers(company.log.head())
    while company.log.head() < facts:
        group = [next(copies) for _ in range(GROUP)]
        for batch, number in product(pattern, group):
            _append(company, batch.replace(HOLE, number))
            if company.log.head() >= facts:
                return


def _numbers(head: int) -> Iterator[str]:
    """A log that is filled further has copies of other numbers."""
    number = head
    while True:
        yield f"C{number:07d}"
        number += 1


def _append(company: Company, requests: str) -> None:
    with company.database.following() as db:
        db.execute(APPEND, (requests,), prepare=True)


def _pattern(company: Company) -> Iterator[str]:
    """The lives of units, lots, orders and shipments, in batches of requests, with holes."""
    run = _run_of(company)
    hole = re.compile(f"(?<=[SL]){run}|(?<=SO-){run}|(?<=DN-){run}|(?<=SF){run}")
    batch: list[Any] = []
    for request in _requests(company, run):
        batch.append(request)
        if sum(len(each["facts"]) for each in batch) >= AT_A_TIME:
            yield hole.sub(HOLE, json.dumps(batch, ensure_ascii=False))
            batch = []
    yield hole.sub(HOLE, json.dumps(batch, ensure_ascii=False))


def _run_of(company: Company) -> str:
    """The number that all serials, lots and orders of the lived years have in common."""
    with company.database.cursor() as db:
        row = db.execute(
            "select split_part(originator_id, '-', 2) as run from facts"
            " where originator_id like 'order:%' order by notification_id limit 1"
        ).fetchone()
    assert row is not None
    return str(row["run"])


def _requests(company: Company, run: str) -> Iterator[dict[str, Any]]:
    """As they were asked for: all facts of a command together, with its envelope."""
    with company.database.cursor() as db:
        lived = db.execute(
            "select originator_id, originator_version, topic, convert_from(state, 'UTF8') as state,"
            " convert_from(metadata, 'UTF8') as metadata, effective_at from facts"
            " where notification_id <= %s order by notification_id",
            (2 * PATTERN,),
        ).fetchall()
    told = [f for f in lived if f["originator_id"].startswith(LIVES) and run in f["originator_id"]]
    for (metadata, at), facts in groupby(told, lambda f: (f["metadata"], f["effective_at"])):
        yield {
            "client": "filler",
            "key": None,
            "guards": [],
            "metadata": metadata,
            "effective_at": at.isoformat(),
            "facts": [
                [f["originator_id"], f["originator_version"], f["topic"], f["state"]] for f in facts
            ],
        }
