"""Figures of several runs, their ratios within each run, and the tables that show them."""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median

from rich.table import Table as RichTable

Figures = Mapping[str, float]
Case = Callable[[], Figures]
COLUMNS = ("what", "unit", "min", "median", "max", "ratio: median (min to max)", "goal")


@dataclass(frozen=True)
class Series:
    """One figure, once per run."""

    values: tuple[float, ...]

    @property
    def middle(self) -> float:
        return median(self.values)

    def to(self, other: "Series") -> "Series":
        """The ratio within each run."""
        pairs = zip(self.values, other.values, strict=True)
        return Series(tuple(mine / theirs for mine, theirs in pairs))

    def shown(self) -> tuple[str, str, str]:
        return shown(min(self.values)), shown(self.middle), shown(max(self.values))


@dataclass(frozen=True)
class Goal:
    """What is wanted: at least a number, or at most; of the figure itself or of a ratio."""

    limit: float
    to: str = ""
    at_most: bool = False

    def met(self, line: "Line") -> bool:
        series = line.ratios.get(self.to) if self.to else line.series
        if series is None:
            return False
        found = series.middle
        return found <= self.limit if self.at_most else found >= self.limit

    def text(self, line: "Line") -> str:
        of = f"× {self.to}" if self.to else line.unit
        verdict = "met" if self.met(line) else "missed"
        return f"{'≤' if self.at_most else '≥'} {self.limit:,g} {of}: {verdict}"


@dataclass(frozen=True)
class Line:
    """A figure as it is shown; without a series where it could not be measured."""

    what: str
    unit: str
    series: Series | None
    ratios: Mapping[str, Series] = field(default_factory=dict)
    goals: tuple[Goal, ...] = ()

    def cells(self) -> tuple[str, ...]:
        figures = self.series.shown() if self.series else ("–", "–", "–")
        ratios = "; ".join(_ratio(peer, series) for peer, series in self.ratios.items())
        goals = "; ".join(goal.text(self) for goal in self.goals)
        return self.what, self.unit, *figures, ratios, goals


@dataclass(frozen=True)
class Table:
    """The lines of one subject, and what exactly was measured."""

    title: str
    lines: Sequence[Line]
    notes: str

    def missed(self) -> list[str]:
        return [
            f"{self.title}, {line.what}: {goal.text(line)}"
            for line in self.lines
            for goal in line.goals
            if not goal.met(line)
        ]

    def for_console(self) -> RichTable:
        table = RichTable(title=self.title, title_justify="left", caption_justify="left")
        for n, column in enumerate(COLUMNS):
            table.add_column(column, justify="right" if 2 <= n <= 4 else "left")
        for line in self.lines:
            table.add_row(*line.cells())
        table.caption = self.notes
        return table

    def as_markdown(self) -> str:
        marks = ["--:" if 2 <= n <= 4 else "---" for n in range(len(COLUMNS))]
        rows = [COLUMNS, marks, *(line.cells() for line in self.lines)]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([f"## {self.title}", "", *lines, "", self.notes])


class Found:
    """What the cases of a subject came to."""

    def __init__(self, by_case: Mapping[str, Sequence[Figures]]) -> None:
        self.by_case = by_case

    def series(self, case: str, figure: str) -> Series | None:
        runs = self.by_case.get(case)
        return Series(tuple(run[figure] for run in runs)) if runs else None

    def line(
        self,
        what: str,
        of: tuple[str, str, str],
        to: Mapping[str, str] | None = None,
        *goals: Goal,
    ) -> Line:
        """A line for (case, figure, unit), with its ratio to the same figure of other cases."""
        case, figure, unit = of
        mine = self.series(case, figure)
        peers = {name: self.series(other, figure) for name, other in (to or {}).items()}
        ratios = {name: mine.to(theirs) for name, theirs in peers.items() if mine and theirs}
        return Line(what, unit, mine, ratios, goals)


def interleaved(runs: int, cases: Mapping[str, Case], *, warm_up: bool) -> Found:
    """Measures every case in each run, there and back again, so that none has the better place.

    A warm-up is one run more that does not count.
    """
    found: dict[str, list[Figures]] = {name: [] for name in cases}
    for case in cases.values() if warm_up else ():
        case()
    for run in range(runs):
        for name in list(cases)[:: 1 if run % 2 == 0 else -1]:
            gc.collect()
            found[name].append(cases[name]())
    return Found(found)


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that so many of all do not exceed."""
    return sorted(values)[max(ceil(part * len(values)) - 1, 0)]


def in_ms(seconds: Sequence[float]) -> Figures:
    """`tail` is how much longer the slowest take than most: the p99 in p50s."""
    p50, p99 = percentile(seconds, 0.50), percentile(seconds, 0.99)
    return {"p50": p50 * 1000, "p99": p99 * 1000, "tail": p99 / p50}


def counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def shown(number: float) -> str:
    """Three digits that matter."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def _ratio(peer: str, series: Series) -> str:
    least, middle, most = series.shown()
    return f"{middle} × {peer} ({least} to {most})"
