"""python -m bench [NAME…] [--runs 5] [--quick] [--write]"""

import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from bench import (
    appends,
    crediting,
    http,
    past,
    pricing,
    projecting,
    reading,
    rebuilding,
    receiving,
    sealing,
    visible,
)
from bench.measure import Table
from bench.setting import Setting, described, prepared

SUBJECTS: Mapping[str, Callable[[Setting], list[Table]]] = {
    "appends": appends.measure,
    "http": http.measure,
    "receiving": receiving.measure,
    "projecting": projecting.measure,
    "visible": visible.measure,
    "past": past.measure,
    "pricing": pricing.measure,
    "crediting": crediting.measure,
    "reading": reading.measure,
    "sealing": sealing.measure,
    "rebuilding": rebuilding.measure,
}
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> None:
    given = arguments()
    # Told to end, we still stop our servers and remove our folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    console = Console()
    console.width = max(console.width, 150)
    with prepared(given.runs, quick=given.quick) as setting:
        machine = described(setting)
        tables: list[Table] = []
        for name in given.names or SUBJECTS:
            begun = time.perf_counter()
            tables += (found := SUBJECTS[name](setting))
            for table in found:
                console.print(table.for_console())
            console.print(f"{name} took {time.perf_counter() - begun:.0f} s\n")
            if given.write:
                # After each subject, so that nothing is lost when somebody has had enough.
                PAGE.write_text(page(machine, tables, quick=given.quick))
    for missed in (missed for table in tables for missed in table.missed()):
        console.print(f"missed: {missed}")
    if given.write:
        console.print(f"written to {PAGE}")


def arguments() -> Namespace:
    parser = ArgumentParser("bench", description="Measures medsales against limits and peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SUBJECTS))
    parser.add_argument("--runs", type=int, default=None, help="5 if not given, 1 with --quick")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it work?")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    given = parser.parse_args()
    given.runs = given.runs or (1 if given.quick else 5)
    if unknown := set(given.names) - set(SUBJECTS):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    if given.names and given.write:
        parser.error("the page is written of all subjects, or not at all")
    return given


def page(machine: Mapping[str, str], tables: list[Table], *, quick: bool) -> str:
    """docs/benchmarks.md."""
    missed = [f"* {missed}" for table in tables for missed in table.missed()]
    parts = [
        "# Benchmarks",
        QUICK if quick else INTRODUCTION,
        "\n".join(["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in machine.items())]),
        *(table.as_markdown() for table in tables),
        "## Goals that were missed",
        "\n".join(missed) or "None.",
    ]
    return "\n\n".join(parts) + "\n"


INTRODUCTION = """\
Written by `make bench`; measure your own machine with the same command, or one subject with
`.venv/bin/python -m bench NAME` (appends, http, receiving, projecting, visible, past, pricing,
reading, sealing, rebuilding).

Every figure is the smallest, the median and the largest of several runs. In each run ours and its
peer or limit are measured one after the other, so a ratio compares figures of the same minutes; it
says more than the figure itself, which is this machine's. Clients, server and database share the
cores. A goal is compared with the median."""
QUICK = "Written with `--quick`: a check that the programs work. **These figures mean nothing.**"


if __name__ == "__main__":
    main()
