"""The PDF: archivable, its font embedded, and the same bytes wherever and whenever it is made."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from tests.documents.examples import CONTENT, HASH, HOSTILE, named

from medsales.documents.content import TEMPLATE_VERSION, sheet
from medsales.documents.html import html
from medsales.documents.pdf import pdf
from medsales.documents.sheet import Language

ROOT = Path(__file__).parents[2]
HASHES = """
from tests.documents.test_pdf import own_hashes
print(*own_hashes())
"""
AS_PRINTED = {
    1: "f8c57bda61c904609b2187730fe6a3755cbf8bcad5d27b86c3af2cadc3fde9a4",
}
"""What the example is in all four renderings, by the version of the template."""


def own_hashes() -> list[str]:
    return [
        sha256(make(sheet(CONTENT, language))).hexdigest()
        for language in Language
        for make in (html, pdf)
    ]


def read(made: bytes) -> PdfReader:
    return PdfReader(BytesIO(made))


def text(made: bytes) -> str:
    """Without the ends of lines: where a long text is broken is no matter of its content."""
    return "".join(page.extract_text() for page in read(made).pages).replace("\n", "")


def hashes(folder: Path, **environment: str) -> list[str]:
    """Of all four renderings, as a process of its own makes them."""
    found = subprocess.run(
        [sys.executable, "-c", HASHES],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.split()


def test_the_same_content_is_the_same_bytes_everywhere(tmp_path: Path) -> None:
    """Other processes, time zones, languages of the machine, orders of sets, folders, homes."""
    here = own_hashes()
    assert here == hashes(
        tmp_path, TZ="America/New_York", LANG="C", LC_ALL="C", PYTHONHASHSEED="1", PYTHONUTF8="0"
    )
    assert here == hashes(
        ROOT,
        TZ="Pacific/Kiritimati",
        LANG="zh_CN.UTF-8",
        PYTHONHASHSEED="2",
        HOME=str(tmp_path),
        SOURCE_DATE_EPOCH="86400",
    )
    assert len(set(here)) == 4


def test_a_changed_template_has_a_new_number() -> None:
    """Who has filed a document can have the same bytes again, or sees by the number why not.

    If this fails you have changed words, layout, font or engine: raise TEMPLATE_VERSION, and add a
    line to AS_PRINTED.
    """
    assert AS_PRINTED[TEMPLATE_VERSION] == sha256(" ".join(own_hashes()).encode()).hexdigest()


def test_many_at_a_time_are_the_same_as_one_after_the_other() -> None:
    sheets = [sheet(named(f"Hospital {number}"), Language.ZH) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(pdf, sheets)) == [pdf(each) for each in sheets]


def test_another_content_is_other_bytes() -> None:
    assert pdf(sheet(named("Union"), Language.ZH)) != pdf(sheet(named("Onion"), Language.ZH))


def test_the_only_date_in_it_is_that_of_the_content() -> None:
    information = read(pdf(sheet(CONTENT, Language.EN))).metadata
    assert information is not None
    assert information.creation_date == datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
    assert information.modification_date == information.creation_date
    assert information.title == "Quotation Q-2026-0001 · Version 2"


def test_it_is_archivable_and_brings_its_only_font() -> None:
    made = pdf(sheet(CONTENT, Language.ZH))
    assert b"<pdfaid:part>2</pdfaid:part>" in made
    fonts = list(every_font(read(made)))
    assert {font["/BaseFont"].partition("+")[2] for font in fonts} == {"NotoSansSC-Regular"}
    assert all("/FontFile3" in font["/FontDescriptor"] for font in fonts)


def every_font(reader: PdfReader) -> Any:
    pages: Any = reader.pages
    for page in pages:
        for font in page["/Resources"]["/Font"].values():
            yield font.get_object()["/DescendantFonts"][0]


@pytest.mark.parametrize("language", Language)
def test_html_and_pdf_say_the_same(language: Language) -> None:
    shown = sheet(CONTENT, language)
    printed = closed(text(pdf(shown)))
    said = [shown.title, shown.number, shown.mark, *shown.footer]
    for block in shown.blocks:
        said += _said(block.model_dump())
    lines = {closed(line) for each in said for line in (each or "").splitlines()}
    assert len(lines) > 40
    assert {line for line in lines if line not in printed} == set()
    assert HASH in printed


def closed(text: str) -> str:
    """Without spaces: where Chinese meets Latin, print has one that nobody has written."""
    return "".join(text.split())


def _said(part: Any) -> list[str]:
    match part:
        case str() if part not in {"facts", "table", "prose", "stamp"}:
            return [part]
        case dict():
            return [text for each in part.values() for text in _said(each)]
        case list() | tuple():
            return [text for each in part for text in _said(each)]
    return []


def test_what_people_wrote_is_printed_and_never_run() -> None:
    assert HOSTILE in text(pdf(sheet(named(HOSTILE), Language.EN)))


def test_a_rare_character_is_printed_and_one_we_lack_by_its_code() -> None:
    assert "䶮堃𬬭[U+20BB7]" in text(pdf(sheet(named("䶮堃𬬭𠮷"), Language.ZH)))


def test_a_line_that_cannot_be_broken_stays_on_the_page() -> None:
    made = read(pdf(sheet(named("W" * 200), Language.EN)))
    width = made.pages[0].mediabox.width
    places: list[float] = []

    def visit(text: str, _: Any, matrix: list[float], *__: Any) -> None:
        if "W" in text:
            places.append(matrix[4] + 8.5 * len(text.strip()))

    made.pages[0].extract_text(visitor_text=visit)
    assert len(places) > 2
    assert max(places) < width


def test_a_thousand_lines_repeat_their_header_and_count_their_pages() -> None:
    line = CONTENT.lines[0]
    many = tuple(line.model_copy(update={"line": number}) for number in range(1, 1001))
    pages = read(pdf(sheet(CONTENT.model_copy(update={"lines": many}), Language.EN))).pages
    assert len(pages) > 20
    assert all("Unit price" in page.extract_text() for page in pages[:-1])
    assert f"{len(pages)} / {len(pages)}" in pages[-1].extract_text()


@given(st.text(max_size=200))
@settings(max_examples=25, deadline=None)
def test_whatever_people_write_can_be_printed(text: str) -> None:
    assert pdf(sheet(named(f"<{text}>"), Language.ZH)).startswith(b"%PDF-1.7")
