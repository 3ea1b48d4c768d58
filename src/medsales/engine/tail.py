"""The end of the log, kept in memory, so that all who follow it share one read of it."""

from typing import Any

from medsales.engine.database import Database
from medsales.engine.facts import Fact
from medsales.engine.log import Selection, facts

BATCH = 2000
"""Facts that are read, and kept, at a time."""


class Tail:
    """The last batch that was read; whoever is further behind reads for himself.

    Positions have no gaps, so a position says where in the batch its fact is.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.kept: list[Fact[Any]] = []

    def after(self, position: int, limit: int, upto: int | None = None) -> list[Fact[Any]]:
        """The facts that follow a position; fewer than there are, but none only at the end."""
        found = self._kept_after(position) or self._read_after(position)
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

    def _read_after(self, position: int) -> list[Fact[Any]]:
        with self.database.cursor() as db:
            found = facts(db, Selection(after=position), BATCH)
        if found and (not self.kept or found[-1].position > self.kept[-1].position):
            self.kept = found
        return found
