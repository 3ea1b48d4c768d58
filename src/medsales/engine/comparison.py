"""Comparing the tables of two schemas: how many rows differ, and some of them."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from psycopg.sql import SQL, Composed, Identifier

from medsales.engine.database import Db
from medsales.engine.projection import Row

SHOWN = 20
"""Rows of each kind that are shown; the others are counted."""


@dataclass(frozen=True)
class Difference:
    """What is stored in one table, and what the facts tell: rows that only one of them has."""

    table: str
    stored_only: list[dict[str, Any]] = field(default_factory=list)
    told_only: list[dict[str, Any]] = field(default_factory=list)
    stored_count: int = 0
    told_count: int = 0
    differing: int = 0
    """Rows that are stored only, and rows that are told only."""
    not_compared: str = ""
    """Why the two could not be compared."""

    def __bool__(self) -> bool:
        return bool(self.differing or self.not_compared or self.stored_count != self.told_count)


def compared(db: Db, row: type[Row], stored: str, told: str) -> Difference:
    """Two schemas' tables of a row model. In one snapshot, so that they may change meanwhile."""
    table = row.table
    if _columns(db, stored, table) != _columns(db, told, table):
        return Difference(table, not_compared="its columns are others than before")
    seed = secrets.randbits(62)
    (one, other) = (_digest(db, schema, table, seed) for schema in (stored, told))
    if one == other:
        return Difference(table, stored_count=one[0], told_count=other[0])
    surplus, missing = _only_in(stored, told, table), _only_in(told, stored, table)
    return Difference(
        table,
        _some(db, surplus),
        _some(db, missing),
        one[0],
        other[0],
        _count(db, surplus) + _count(db, missing),
    )


def _columns(db: Db, schema: str, table: str) -> list[dict[str, Any]]:
    return db.execute(
        "select attname, format_type(atttypid, atttypmod) as type, attnotnull from pg_attribute"
        " where attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))"
        " and attnum > 0 and not attisdropped order by attnum",
        (schema, table),
    ).fetchall()


def _digest(db: Db, schema: str, table: str, seed: int) -> tuple[int, Any]:
    """How many rows, and a sum over them that nobody can foresee: equal for equal rows in any
    order, and much quicker than comparing row by row."""
    row = db.execute(
        SQL("select count(*) as n, sum(hash_record_extended(t, %s)) as digest from {} as t").format(
            Identifier(schema, table)
        ),
        (seed,),
    ).fetchone()
    assert row is not None
    return row["n"], row["digest"]


def _only_in(one: str, other: str, table: str) -> Composed:
    return SQL("select * from {} except all select * from {}").format(
        Identifier(one, table), Identifier(other, table)
    )


def _some(db: Db, rows: Composed) -> list[dict[str, Any]]:
    return db.execute(SQL("{} limit {}").format(rows, SHOWN)).fetchall()


def _count(db: Db, rows: Composed) -> int:
    row = db.execute(SQL("select count(*) as n from ({}) as q").format(rows)).fetchone()
    assert row is not None
    return int(row["n"])
