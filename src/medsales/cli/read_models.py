"""Read models made anew from the facts, or compared with them."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import typer
from pydantic_core import to_json
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from medsales.cli.failures import Failed
from medsales.cli.opening import ERR, OUT, opened
from medsales.company import Company
from medsales.engine.comparison import Difference

PATIENCE = 2.0
"""Seconds before a person wants to know how far it is."""


def rebuild(name: str, names: Sequence[str], workers: int | None) -> None:
    """Tells how the new rows compare with the old ones."""
    with opened(name) as company:
        chosen = _chosen(company, names)
        begun = time.monotonic()
        with Bar(ERR, "rebuilding", company.log.head()) as bar:
            found = company.follower.rebuild(chosen, workers=workers, progress=bar)
        took = time.monotonic() - begun
        OUT.print(f"made anew from {company.log.head():,} facts in {took:.1f} s:", *chosen)
    for one in found:
        OUT.print(beside_the_old(one))


def verify(name: str, names: Sequence[str], workers: int | None, *, json: bool) -> None:
    """Exit code 1 when a stored row differs from what the facts tell."""
    with opened(name) as company:
        chosen = _chosen(company, names)
        _must_be_by_this_code(company, chosen)
        with Bar(ERR, "verifying", company.log.head()) as bar:
            differences = company.follower.verify(chosen, workers=workers, progress=bar)
        reached = {one: at for one, at in company.follower.positions().items() if one in chosen}
    if json:
        typer.echo(to_json({"checked": reached, "differences": differences}, indent=2))
    else:
        _tell(reached, differences)
    if differences:
        raise typer.Exit(1)


def _chosen(company: Company, names: Sequence[str]) -> Sequence[str]:
    """All if none is named; their tables are made if there was no worker yet. Raises Failed."""
    known = company.follower.projections
    for name in names:
        if name not in known:
            raise Failed(f"there is no read model {name}; there are {', '.join(known)}")
    company.follower.prepare()
    return list(dict.fromkeys(names)) or list(known)


def _must_be_by_this_code(company: Company, chosen: Sequence[str]) -> None:
    if outdated := [name for name in company.follower.outdated() if name in chosen]:
        raise Failed(
            f"the rows of {', '.join(outdated)} were made by another version of medsales;"
            f" `medsales rebuild {' '.join(outdated)}` makes them anew, and so does a worker"
        )


def beside_the_old(one: Difference) -> str:
    """How many rows differ from those that the new ones have taken the place of."""
    if one.not_compared:
        return f"  {one.table}: not compared, {one.not_compared}"
    if one.differing:
        return (
            f"  {one.table}: {one.differing:,} rows differ between the {one.stored_count:,} old"
            f" ones and the {one.told_count:,} new ones"
        )
    return f"  {one.table}: {one.told_count:,} rows, as before"


def _tell(reached: dict[str, int], differences: Sequence[Difference]) -> None:
    for difference in differences:
        _tell_of(difference)
    if not differences:
        for name, position in reached.items():
            OUT.print(f"{name} equals the facts up to position {position:,}")


def _tell_of(difference: Difference) -> None:
    if difference.not_compared:
        OUT.print(f"{difference.table} cannot be compared: {difference.not_compared}")
        return
    OUT.print(
        f"{difference.table} differs: {difference.stored_count:,} rows are stored, "
        f"the facts tell of {difference.told_count:,}"
    )
    for row in difference.stored_only:
        _row("stored, but not told by the facts", row)
    for row in difference.told_only:
        _row("told by the facts, but not stored", row)


def _row(what: str, row: dict[str, Any]) -> None:
    OUT.print(f"  {what}: {to_json(row).decode()}", markup=False)


class Rate(ProgressColumn):
    """How many facts a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} facts/s")


class Bar:
    """How far a long task has come; a short one, and one that nobody watches, shows nothing."""

    def __init__(self, console: Console, what: str, total: int) -> None:
        self.console = console
        self.what = what
        self.total = total
        self.begun = time.monotonic()
        self.progress: Progress | None = None
        self.task = TaskID(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        if self.progress:
            self.progress.stop()

    def __call__(self, done: int, total: int) -> None:
        """The total may be no more than what is known to be done."""
        if self.console.is_terminal and time.monotonic() - self.begun >= PATIENCE:
            shown = self.progress or self._shown()
            shown.update(self.task, completed=done, total=max(total, self.total))

    def _shown(self) -> Progress:
        columns = (TextColumn(self.what), BarColumn(), MofNCompleteColumn(), Rate())
        left = (TimeRemainingColumn(), TextColumn("left"))
        self.progress = Progress(*columns, *left, console=self.console, transient=True)
        self.task = self.progress.add_task(self.what, total=self.total)
        self.progress.start()
        return self.progress
