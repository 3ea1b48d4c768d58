"""Shows in words what changed about a subject between two moments."""

from datetime import datetime
from typing import Any

import typer
from pydantic_core import to_json
from rich.text import Text

from medsales.api.problems import Trouble
from medsales.api.subjects import Difference, FactTold, difference
from medsales.audit.terminal import showable
from medsales.cli.failures import Failed
from medsales.cli.opening import OUT, opened
from medsales.cli.reading import indexed
from medsales.engine.between import RowChange

WORDS = {
    "en": ("from position {} to {}", "nothing has changed", "new", "gone", "none"),
    "zh": ("自位置 {} 至 {}", "没有变化", "新增", "删除", "无"),
}


def diff(
    name: str,
    subject: str,
    span: tuple[int | datetime, int | datetime | None],
    language: str,
    *,
    json: bool,
) -> None:
    """Raises Failed for positions that are not there, or more than a person can read."""
    with opened(name) as company:
        indexed(company)
        try:
            found = difference(company, subject, *span)
        except Trouble as error:
            raise Failed(getattr(error.sentence, language)) from error
    if json:
        typer.echo(showable(found.model_dump_json(indent=2)))
    else:
        _tell(found, language)


def _tell(found: Difference, language: str) -> None:
    span, nothing, *_ = WORDS[language]
    OUT.print(Text(f"{found.subject}, {span.format(found.begin, found.end)}", "bold"))
    for fact in found.facts:
        _line(fact, language)
    for row in found.rows:
        _row(row, language)
    if not found.facts:
        OUT.print(nothing)


def _line(fact: FactTold, language: str) -> None:
    OUT.print(
        Text.assemble(
            (f"{fact.position:>8}", "dim"),
            f"  {fact.recorded_at:%Y-%m-%d %H:%M:%S}  ",
            (f"{fact.by}  ", "cyan"),
            (f"{fact.subject}  ", "green"),
            fact.zh if language == "zh" else fact.en,
        )
    )


def _row(row: RowChange, language: str) -> None:
    *_, new, gone, none = WORDS[language]
    key = " ".join(str(part) for part in row.key.values())
    what = "" if row.added or (row.before and row.after) else gone if row.before else new
    OUT.print(Text.assemble((f"{row.table} ", "bold"), key, (f"  {what}" if what else "", "dim")))
    for column, amount in row.added.items():
        OUT.print(Text(f"    {column}: {amount:+}"))
    for column in row.after or row.before:
        before = _shown(row.before.get(column), none)
        after = _shown(row.after.get(column), none)
        OUT.print(Text(f"    {column}: {before} -> {after}"))


def _shown(value: Any, none: str) -> str:
    if value is None:
        return none
    return value if isinstance(value, str) else to_json(value).decode()
