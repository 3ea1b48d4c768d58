"""How far each read model has come in the log, and by which code."""

from collections.abc import Iterable, Sequence

from medsales.engine.database import Db
from medsales.engine.projection import Projection


def positions(db: Db, names: Iterable[str], *, lock: bool = False) -> dict[str, int]:
    query = "select name, position from positions where name = any(%s) order by name"
    rows = db.execute(query + (" for update" if lock else ""), (list(names),), prepare=True)
    return {row["name"]: row["position"] for row in rows}


def start_at_zero(db: Db, projection: Projection) -> None:
    db.execute(
        "insert into positions (name, fingerprint) values (%s, %s)"
        " on conflict (name) do update set fingerprint = excluded.fingerprint",
        (projection.name, projection.fingerprint()),
    )


def advance(db: Db, names: Sequence[str], position: int) -> None:
    db.execute(
        "update positions set position = %s where name = any(%s)",
        (position, list(names)),
        prepare=True,
    )
