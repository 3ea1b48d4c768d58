"""Backing up and restoring, as an operator does it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from medsales.cli.failures import Failed
from medsales.cli.opening import ERR, OUT
from medsales.company import storage
from medsales.engine.backup import Mark, back_up, restore
from medsales.engine.embedded_postgres import EmbeddedPostgres
from medsales.settings import Settings

ELSEWHERE = (
    "MEDSALES_DATABASE_URL names a server of your own: back it up and restore it with its own "
    "tools, pg_basebackup or pgBackRest; docs/operations.md says how"
)


def make(folder: Path, keep: int | None, *, json: bool) -> None:
    """The place of the backup alone goes to stdout."""
    settings = Settings()
    if settings.database_url:
        raise Failed(ELSEWHERE)
    if not (settings.home / "pg").exists():
        raise Failed(f"there is nothing to back up: no database in {settings.home}")
    with storage(settings):
        made = back_up(EmbeddedPostgres(settings.home, settings.wal_archive), folder, keep)
    if json:
        OUT.print_json(data={"place": made.place, "size": made.size, "logs": _said(made.logs)})
        return
    ERR.print(f"{made.size / 1e6:,.0f} MB, verified; {_in_words(made.logs)}")
    OUT.print(made.place, markup=False)


def bring_back(
    place: Path, home: Path, to: datetime | None, wal: Sequence[Path], *, json: bool
) -> None:
    found = restore(place, home, to, wal)
    if json:
        OUT.print_json(data={"home": str(home.resolve()), "logs": _said(found)})
        return
    OUT.print(f"restored into {home.resolve()}: {_in_words(found)}", markup=False)
    OUT.print(f"`MEDSALES_HOME={home.resolve()} medsales verify` looks at it", markup=False)


def _said(logs: Mapping[str, Mark]) -> dict[str, dict[str, int | str]]:
    return {name: {"position": one.position, "root": one.root} for name, one in logs.items()}


def _in_words(logs: Mapping[str, Mark]) -> str:
    told = [f"{name} up to position {one.position:,}" for name, one in logs.items()]
    return ", ".join(told) or "no company"
