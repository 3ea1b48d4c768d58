"""Rows of a CSV or XLSX file, as they were written: nothing is rounded, guessed or calculated."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from unicodedata import normalize

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from medsales.domain.kernel import Sentence, misleading
from medsales.intake import limits
from medsales.intake.limits import (
    COLUMNS,
    FILE,
    LINE,
    MIB,
    Unreadable,
    broken,
    too_long,
    too_many_rows,
    too_wide,
)
from medsales.intake.unpacking import must_be_harmless

T = TypeVar("T")
LONGEST = 500
"""Characters of a cell."""
DIGITS = 15
"""A spreadsheet keeps no more of a number; what is longer has been rounded already."""
AMOUNT = re.compile(r"-?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")
RAISED = re.compile("[²³¹⁰-₟①-⓿]")
DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")


class Wrong(Exception):
    """One cell does not say what it should; says why in both languages."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.sentence = Sentence(en, zh)


@dataclass(frozen=True)
class Written:
    """What stands in one cell of a file."""

    value: Any
    shown: int | None = None
    """Decimals that the cell shows of its number; None for all of them."""
    formula: bool = False

    @property
    def empty(self) -> bool:
        return self.value is None or (isinstance(self.value, str) and not self.value.strip())

    def text(self) -> str:
        """Raises Wrong for a number: it may have lost its leading zeros."""
        self._must_be_written()
        if isinstance(self.value, str):
            return _seen(normalize("NFC", self.value.strip()))
        raise Wrong(
            f"{self.value} is a number or date here; format the cell as text and type it again",
            f"{self.value} 是数值或日期, 请将单元格设为文本格式后重新填写",
        )

    def word(self) -> str:
        """A text in which width and case do not matter."""
        self._must_be_written()
        return normalize("NFKC", str(self.value)).strip()

    def number(self) -> Decimal:
        """Exactly what the cell shows. Raises Wrong where that is not what it holds."""
        self._must_be_written()
        if isinstance(self.value, str):
            return self._typed_number()
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise Wrong(f"{self.value} is no number", f"{self.value} 不是数字")
        exact = Decimal(repr(self.value))
        if not exact.is_finite() or len(exact.normalize().as_tuple().digits) > DIGITS:
            raise Wrong(
                f"{self.value} has been rounded by the spreadsheet; round it yourself",
                f"{self.value} 已被电子表格舍入, 请自行取整后填写",
            )
        if self.shown is not None and exact != round(exact, self.shown):
            raise Wrong(
                f"the cell shows {round(exact, self.shown)} and holds {exact}; round it yourself",
                f"单元格显示 {round(exact, self.shown)}, 实际为 {exact}, 请自行取整后填写",
            )
        return exact

    def _typed_number(self) -> Decimal:
        typed = normalize("NFKC", self.value).strip()
        # A raised 2 would otherwise become a digit like the others: 10² is not 102.
        if not AMOUNT.fullmatch(typed) or any(RAISED.match(sign) for sign in self.value):
            raise Wrong(
                f"{self.value.strip()} is no number: write 1234.50",
                f"{self.value.strip()} 不是数字, 请写作 1234.50",
            )
        try:
            return Decimal(typed.replace(",", ""))
        except InvalidOperation:
            raise Wrong(f"{typed} is too long", f"{typed} 过长") from None

    def count(self) -> int:
        number = self.number()
        if number != int(number):
            raise Wrong(f"{number} is no whole number", f"{number} 不是整数")
        return int(number)

    def day(self) -> date:
        self._must_be_written()
        if isinstance(self.value, datetime) and self.value.time() == time():
            return self.value.date()
        if isinstance(self.value, date) and not isinstance(self.value, datetime):
            return self.value
        found = isinstance(self.value, str) and DAY.fullmatch(self.word())
        try:
            if found:
                return date(*map(int, found.groups()))
        except ValueError:
            pass
        raise Wrong(
            f"{self.value} is no day: write 2026-01-31",
            f"{self.value} 不是日期, 请写作 2026-01-31",
        )

    def _must_be_written(self) -> None:
        if self.formula:
            raise Wrong(
                "here is a formula; paste it as a value, so that what is approved stays",
                "此处为公式, 请粘贴为数值, 以确保批准的内容不变",
            )
        if isinstance(self.value, str) and len(self.value) > LONGEST:
            raise Wrong(f"more than {LONGEST} characters stand here", f"内容超过 {LONGEST} 个字符")


NOTHING = Written(None)


def _seen(text: str) -> str:
    """Raises Wrong for what shows something else than it holds."""
    if wrong := misleading(text):
        raise Wrong(f"this text {wrong.en}", f"此文本{wrong.zh}")
    return text


def rows_of(data: bytes) -> Iterator[tuple[int, list[Written]]]:
    """The rows that say something, with their numbers, of whichever kind of file it is.

    Raises Unreadable, also later while it is read.
    """
    if len(data) > FILE:
        raise Unreadable(f"the file is over {FILE // MIB} MiB", f"文件超过 {FILE // MIB} MiB")
    read = _sheet(data) if data[:2] == b"PK" else _table(data)
    for number, row in read:
        if number > limits.ROWS:
            raise too_many_rows()
        if any(not each.empty for each in row):
            yield number, row


def _fitting(number: int, row: Sequence[T], says: Callable[[T], object]) -> Sequence[T]:
    """The columns a price list may have. Raises Unreadable where something is said beyond them."""
    if any(says(part) for part in row[COLUMNS:]):
        raise too_wide(number)
    return row[:COLUMNS]


def letter(column: int) -> str:
    """How a spreadsheet calls its first, second … column."""
    return str(get_column_letter(column))


# CSV ----------------------------------------------------------------------------------------------


def _table(data: bytes) -> Iterator[tuple[int, list[Written]]]:
    text = _decoded(data)
    first = text[: text.find("\n", 0, LINE) + 1] or text[:LINE]
    lines = _Lines(text)
    try:
        rows = csv.reader(lines, delimiter=max(",;\t", key=first.count), strict=True)
        for lines.row, row in enumerate(rows, start=1):
            lines.read = 0
            yield lines.row, [Written(part) for part in _fitting(lines.row, row, str.strip)]
    except csv.Error as error:
        raise Unreadable(f"this is no CSV file: {error}", f"文件不是有效的 CSV: {error}") from None


class _Lines:
    """The lines of a text; whoever reads on without end for one row is stopped."""

    def __init__(self, text: str) -> None:
        self.text = io.StringIO(text, newline="")
        self.row = self.read = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.text.readline(LINE + 1)
        self.read += len(line)
        if self.read > LINE:
            raise too_long(self.row + 1)
        if not line:
            raise StopIteration
        return line


def _decoded(data: bytes) -> str:
    """UTF-8, or what Chinese spreadsheets write."""
    if b"\0" in data or data[:4] == b"\xd0\xcf\x11\xe0":
        raise Unreadable(
            "this is neither a CSV nor an XLSX file; save it as one of them",
            "文件既非 CSV 也非 XLSX, 请另存为其中一种格式",
        )
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            # GB 18030 may begin with the same mark, and Python leaves it there.
            return data.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            pass
    raise Unreadable("the file is neither UTF-8 nor GB 18030", "文件编码既非 UTF-8 也非 GB 18030")


# XLSX ---------------------------------------------------------------------------------------------


def _sheet(data: bytes) -> Iterator[tuple[int, list[Written]]]:
    """Its first sheet, read as a stream."""
    merged = must_be_harmless(data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=False)
        sheet: Any = book.worksheets[0]
        sheet.reset_dimensions()
        rows = enumerate(sheet.iter_rows(), start=1)
        inside = sheet._worksheet_path in merged  # noqa: SLF001 - nothing else names the part
    except Exception as error:  # whatever a library of many formats raises for a damaged file
        raise broken() from error
    if inside:
        raise Unreadable(
            "the sheet has merged cells, in which only the first says something:"
            " split them and fill in each",
            "工作表含有合并单元格, 其中仅首格有内容: 请取消合并并逐格填写",
        )
    while found := _next(rows):
        number, row = found
        cells = _fitting(number, row, lambda cell: cell.value not in (None, ""))
        yield number, [_written(cell) for cell in cells]


def _next(rows: Iterator[tuple[int, Any]]) -> tuple[int, Any] | None:
    try:
        return next(rows, None)
    except Exception as error:  # as above
        raise broken() from error


def _written(cell: Any) -> Written:
    value = cell.value
    if value is None:
        return NOTHING
    if cell.data_type == "f":
        return Written(value, formula=True)
    if not isinstance(value, str | int | float | date | None):
        return Written(str(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Written(value)
    form = str(cell.number_format)
    return Written(f"{value} (%)") if "%" in form else Written(value, shown=_decimals(form))


def _decimals(form: str) -> int | None:
    """How many decimals a number format shows; None for all of them."""
    plain = re.sub(r'"[^"]*"|\[[^]]*\]|\\.|_.|\*.', "", form.split(";", maxsplit=1)[0])
    found = re.search(r"[0#]", plain)
    if found is None or "E" in plain:
        return None
    whole = re.search(r"\.([0#?]+)", plain)
    return len(whole[1]) if whole else 0
