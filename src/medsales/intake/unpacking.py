"""Looks through an XLSX file before it is read: what a price list does not need is refused.

A few kilobytes can unpack to millions of cells, and the library that reads spreadsheets keeps a
row, or a part without rows, in memory as a whole. So each part is run through the same parser
first, which keeps nothing, only counts, and stops at the first thing there is too much of.
"""

import io
from collections.abc import Iterator
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import BadZipFile, ZipFile

from medsales.intake import limits
from medsales.intake.limits import MIB, broken, too_large, too_many_rows, too_wide

UNPACKED = 192 * MIB
"""What a spreadsheet of 100,000 rows needs, several times over; a bomb has no bottom."""
RATIO = 100
"""How many times larger than the file; spreadsheets are at 10 or 20."""
MEMBERS = 500
ELEMENTS = 6_000_000
"""Of all parts together: 100,000 rows of all columns, three elements a cell."""
STRINGS = 500_000
"""Texts that a workbook keeps aside, each of them once."""
TOGETHER = 100_000
"""Elements that the library holds at a time: a row, or all before, after and outside of rows."""
SPAN = 8 * MIB
"""Their size."""
DEPTH = 50
CHUNK = 64 * 1024
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
ROW, CELL, MERGED, STRING = (f"{MAIN} {name}" for name in ("row", "c", "mergeCell", "si"))
ROW_DEPTH, STRING_DEPTH = 3, 2


def must_be_harmless(data: bytes) -> frozenset[str]:
    """Which parts hold merged cells. Raises Unreadable."""
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            unpacked = sum(one.file_size for one in members)
            if len(members) > MEMBERS or unpacked > min(UNPACKED, MIB + RATIO * len(data)):
                raise too_large()
            return frozenset(_merged(archive))
    except (BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise broken() from error


def _merged(archive: ZipFile) -> Iterator[str]:
    left = ELEMENTS
    for member in archive.infolist():
        part = _Part(left)
        with archive.open(member) as file:
            part.read(iter(lambda: file.read(CHUNK), b""))
        left = part.left
        if part.merged:
            yield member.filename


class _Part:
    """One part of the archive, counted."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.together = self.since = self.depth = 0
        self.row = self.cells = self.strings = 0
        self.merged = False
        self.parser = ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._declares

    def read(self, chunks: Iterator[bytes]) -> None:
        """As far as it is XML: pictures are not, and what is broken the library tells."""
        size = 0
        for chunk in chunks:
            try:
                self.parser.Parse(chunk)
            except ExpatError:
                return
            size += len(chunk)
            if size - self.since > SPAN:
                raise too_large()

    def _begin(self, name: str, said: dict[str, str]) -> None:
        self.depth += 1
        self.together += 1
        self.left -= 1
        if self.depth > DEPTH or self.together > TOGETHER or self.left < 0:
            raise too_large()
        if name == CELL:
            self._cell(said.get("r", ""))
        elif name == ROW and self.depth == ROW_DEPTH:
            self._row(said.get("r"))
        elif name == STRING and self.depth == STRING_DEPTH:
            self._string()
        elif name == MERGED:
            self.merged = True

    def _end(self, _: str) -> None:
        self.depth -= 1

    def _row(self, number: str | None) -> None:
        if number is not None and not (number.isascii() and number.isdigit()):
            raise broken()
        before, self.row = self.row, int(number[:10]) if number else self.row + 1
        if self.row > limits.ROWS:
            raise too_many_rows()
        # The library leaves out a row whose number has been passed.
        if self.row <= before:
            raise broken()
        self.cells = 0
        self._afresh()

    def _cell(self, place: str) -> None:
        """Empty cells may stand beside a price list, but not without end."""
        self.cells += 1
        if self.cells > WIDEST or place[2:3].isalpha():
            raise too_wide(self.row)

    def _string(self) -> None:
        self.strings += 1
        if self.strings > STRINGS:
            raise too_large()
        self._afresh()

    def _afresh(self) -> None:
        self.together, self.since = 0, self.parser.CurrentByteIndex

    def _declares(self, *_: object) -> None:
        """Entities that stand for others, or for files of ours."""
        raise broken()


WIDEST = 26 + 26 * 26
"""Columns whose name has two letters at most; the third makes the library fill all before it."""
