"""How far each read model has come in the log, and by which code."""

from collections.abc import Iterable, Sequence

from medsales.engine.database import Db
from medsales.engine.projection import Projection


def positions(db: Db, names: Iterable[str], *, lock: bool = False) -> dict[str, int]:
    query = "select name, position from positions where name = any(%s) order by name"
    rows = db.execute(query + (" for update" if lock else ""), (list(names),), prepare=True)
    return {row["name"]: row["position"] for row in rows}


def current(db: Db, projections: Iterable[Projection], *, lock: bool = False) -> dict[str, int]:
    """As `positions`, but only of read models whose rows were made by the code that we are: other
    code may have made other tables."""
    code = {projection.name: projection.fingerprint() for projection in projections}
    query = (
        "select name, position from positions"
        " where (name, fingerprint) in (select * from unnest(%s::text[], %s::text[])) order by name"
    )
    values = (list(code), list(code.values()))
    rows = db.execute(query + (" for update" if lock else ""), values, prepare=True)
    return {row["name"]: row["position"] for row in rows}


def start_at_zero(db: Db, projection: Projection, *, fingerprint: str | None = None) -> None:
    made_by = projection.fingerprint() if fingerprint is None else fingerprint
    db.execute(
        "insert into positions (name, fingerprint) values (%s, %s)"
        " on conflict (name) do update set fingerprint = excluded.fingerprint",
        (projection.name, made_by),
    )


def advance(db: Db, names: Sequence[str], position: int) -> None:
    db.execute(
        "update positions set position = %s where name = any(%s)",
        (position, list(names)),
        prepare=True,
    )
