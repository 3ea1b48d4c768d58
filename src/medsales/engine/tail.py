"""The end of the log, kept in memory, so that all who follow it share one read of it."""

from typing import Any

from medsales.engine.database import Database
from medsales.engine.facts import Fact
from medsales.engine.log import Selection, facts

BATCH = 2000
"""Facts that are read, and kept, at a time at most."""


class Tail:
    """The last facts that were read; whoever is further behind reads for himself.

    Positions have no gaps, so a position says where among them its fact is.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.kept: list[Fact[Any]] = []

    def after(self, position: int, limit: int, upto: int | None = None) -> list[Fact[Any]]:
        """The facts that follow a position; fewer than there are, but none only at the end."""
        found = self._kept_after(position) or self._read_after(position, limit)
        wanted = limit if upto is None else min(limit, upto - position)
        return found[: max(0, wanted)]

    def forget(self) -> None:
        """Something is wrong: everything is read again."""
        self.kept = []

    def _kept_after(self, position: int) -> list[Fact[Any]]:
        kept = self.kept
        if not kept or not kept[0].position <= position + 1 <= kept[-1].position:
            return []
        return kept[position + 1 - kept[0].position :]

    def _read_after(self, position: int, limit: int) -> list[Fact[Any]]:
        with self.database.cursor() as db:
            found = facts(db, Selection(after=position), min(limit, BATCH))
        self._keep(found)
        return found

    def _keep(self, found: list[Fact[Any]]) -> None:
        kept = self.kept
        if kept and found and kept[-1].position + 1 == found[0].position:
            self.kept = [*kept, *found][-BATCH:]
        elif found and (not kept or kept[-1].position < found[0].position):
            self.kept = found
