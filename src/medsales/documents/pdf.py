"""A sheet as PDF/A, by Typst: the same sheet is the same bytes on every machine and every day.

Nothing of the machine goes in: the font is ours, the date is that of the content, and Typst derives
the number of the file from what is in it. What the template is given is data, never markup.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import typst

from medsales.documents.characters import FONT, printable
from medsales.documents.sheet import Sheet

TEMPLATE = Path(__file__).with_name("sheet.typ")


def pdf(sheet: Sheet) -> bytes:
    """An archivable PDF (PDF/A-2b) with its font embedded."""
    compiler = typst.Compiler(TEMPLATE, root=TEMPLATE.parent, font_paths=_fonts())
    made = compiler.compile(
        format="pdf",
        sys_inputs={"sheet": json.dumps(_printable(sheet.model_dump(mode="json")))},
        timestamp=int(sheet.dated.timestamp()),
        pdf_standards="a-2b",
    )
    assert isinstance(made, bytes)
    return made


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONT.parent]
    )


def _printable(part: Any) -> Any:
    if isinstance(part, str):
        return printable(part)
    if isinstance(part, dict):
        return {name: _printable(each) for name, each in part.items()}
    if isinstance(part, list):
        return [_printable(each) for each in part]
    return part
