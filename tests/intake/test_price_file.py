import io
import tracemalloc
import zipfile
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.styles import numbers

from medsales.domain.parties.customer import CustomerTier, HospitalGrade
from medsales.domain.terms.price_sheet import PriceKind
from medsales.intake import limits, unpacking
from medsales.intake.limits import Unreadable
from medsales.intake.price_file import PriceFile, read_prices
from medsales.intake.tables import letter, rows_of

PUMP = "product:06901234567892"
HEADER = (
    "product,family,price,currency,kind,customer,region,tier,grade,min_quantity,floor,reference,"
    "valid_from,valid_until,exception,exception_quantity,exception_until,exception_reason"
)
FULL = (
    "06901234567892,,79.50,CNY,special,union,,A,3A,10,80,AG-1,2026-01-01,2026/6/30,EX-1,3,"
    "2026年6月30日,开业支持"
)


def read(data: bytes | str) -> PriceFile:
    return read_prices(data.encode() if isinstance(data, str) else data, "CNY", ("CNY", "USD"))


def table(*lines: str, header: str = "product,price,tier") -> PriceFile:
    return read("\n".join((header, *lines)))


def sheet(*rows: Any, formats: dict[str, str] | None = None) -> bytes:
    book = Workbook()
    active: Any = book.active
    for row in rows:
        active.append(row)
    for place, form in (formats or {}).items():
        active[place].number_format = form
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def told(found: PriceFile) -> list[str]:
    return [f"{fault.place} {fault.name}: {fault.en}" for fault in found.faults]


def test_every_column_finds_its_place() -> None:
    found = read(f"{HEADER}\n{FULL}")
    assert told(found) == []
    (cell,) = found.cells
    assert (cell.product, cell.customer) == (PUMP, "customer:union")
    assert (str(cell.price), str(cell.floor)) == ("79.50 CNY", "80 CNY")
    assert (cell.kind, cell.tier) == (PriceKind.SPECIAL, CustomerTier.A)
    assert (cell.grade, cell.min_quantity) == (HospitalGrade.GRADE_3A, 10)
    assert (cell.reference, cell.valid_from) == ("AG-1", date(2026, 1, 1))
    assert cell.valid_until == date(2026, 6, 30)
    assert cell.exception is not None
    assert (cell.exception.name, cell.exception.max_quantity) == ("EX-1", 3)
    assert (cell.exception.until, cell.exception.reason) == (date(2026, 6, 30), "开业支持")


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [("", "utf-8"), ("\ufeff", "utf-8"), ("", "gb18030"), ("\ufeff", "gb18030")],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_chinese_headers_and_words_in_what_spreadsheets_write(
    mark: str, encoding: str, delimiter: str
) -> None:
    lines = [
        f"{mark}产品,价格,价格类型,客户等级,医院等级,区域",
        f"{PUMP},12000,区域价,甲类客户,三级甲等,华东",
    ]
    data = "\r\n".join(lines).replace(",", delimiter).encode(encoding)
    (cell,) = read(data).cells
    assert (cell.kind, cell.tier, cell.region) == (PriceKind.REGIONAL, CustomerTier.A, "华东")
    assert cell.grade is HospitalGrade.GRADE_3A


def test_all_faults_are_told_at_once_with_row_column_and_both_languages() -> None:
    found = read(
        f"{HEADER}\n{FULL}\n"
        ",泵,abc,,list,,,D,,0,,,2026-02-30,,,,,\n"
        f"{PUMP},,79,EUR,,,,,,,80,,,,,,,\n"
        f"{PUMP},,70,,special,,,,,,80,,,,,,,"
    )
    assert told(found) == [
        "C3 price: abc is no number: write 1234.50",
        "H3 tier: d is none of A, B, C",
        "M3 valid_from: 2026-02-30 is no day: write 2026-01-31",
        "C4 price: 79 EUR is not a price in CNY/USD",
        "K4 floor: 80 EUR is not a price in CNY/USD",
        (
            "O4 exception: 79 EUR is below the floor 80 EUR; that needs a named exception with a"
            " quantity and a last day"
        ),
        "F5 customer: a special price names its customer",
        (
            "O5 exception: 70 CNY is below the floor 80 CNY; that needs a named exception with a"
            " quantity and a last day"
        ),
    ]
    assert found.rows == 4
    assert len(found.cells) == 1
    assert all(any("一" <= character <= "鿿" for character in fault.zh) for fault in found.faults)


def test_rows_that_overlap_name_each_other_p3() -> None:
    found = table(f"{PUMP},100,", f"{PUMP},90,A", f"{PUMP},95,", f"{PUMP},80,A")
    assert [(fault.row, fault.en[-8:]) for fault in found.faults] == [
        (4, " (row 2)"),
        (5, " (row 3)"),
    ]


def test_the_floor_of_a_list_price_holds_for_the_rows_beside_it_p5() -> None:
    header = "product,price,tier,floor"
    found = table(f"{PUMP},79,A,", f"{PUMP},100,,80", header=header)
    assert [fault.place for fault in found.faults] == ["A2"]


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("product,price,colour", "C1 colour: there is no column colour"),
        ("product,price,价格", "C1 价格: the column 价格 stands here a second time"),
        ("product,tier", "A1 price: no column price / 价格 / 单价"),
        ("price,tier", "A1 product: no column product"),
    ],
)
def test_a_header_names_what_is_known_and_needed(header: str, fault: str) -> None:
    found = table("x,1,", header=header)
    assert any(line.startswith(fault) for line in told(found))
    assert found.cells == ()


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("1234.5", "1234.5"),
        ('"1,234.50"', "1234.50"),
        ("１２３４．５", "1234.5"),
        (" 0 ", "0"),
        ("99999999999999.9999", "99999999999999.9999"),
    ],
)
def test_a_typed_amount_is_taken_digit_by_digit_p8(typed: str, amount: str) -> None:
    (cell,) = table(f"{PUMP},{typed},").cells
    assert str(cell.price.amount) == amount


@pytest.mark.parametrize(
    "typed", ["1.23456", "1e3", "12,34", "¥12", "-1", "NaN", "1" * 30, "=1+1", "#N/A", "1.5%"]
)
def test_what_is_no_exact_amount_is_a_fault_p8(typed: str) -> None:
    found = table(f'{PUMP},"{typed}",')
    assert [fault.place for fault in found.faults] == ["B2"]
    assert found.cells == ()


# Spreadsheets -------------------------------------------------------------------------------------


def test_a_spreadsheet_says_the_same_as_a_table() -> None:
    typed: list[Any] = FULL.split(",")
    typed[2], typed[9], typed[10], typed[15] = 79.5, 10, 80, 3
    typed[12], typed[13], typed[16] = datetime(2026, 1, 1), date(2026, 6, 30), "2026-06-30"  # noqa: DTZ001
    found = read(sheet(HEADER.split(","), typed))
    assert told(found) == []
    assert found.cells == read(f"{HEADER}\n{FULL}").cells


@pytest.mark.parametrize(
    ("value", "form", "fault"),
    [
        ("=100*0.9", "General", "here is a formula"),
        (1080.004, "0.00", "the cell shows 1080.00 and holds 1080.004"),
        (1080.4, '#,##0"元"', "the cell shows 1080 and holds 1080.4"),
        (1 / 3, "General", "has been rounded by the spreadsheet"),
        (0.5, numbers.FORMAT_PERCENTAGE, "is no number"),
        (True, "General", "is no number"),
        (datetime(2026, 1, 1), "yyyy-mm-dd", "is no number"),  # noqa: DTZ001
        ("#DIV/0!", "General", "is no number"),
        (0.12345, "General", "decimal"),
    ],
)
def test_a_number_is_what_the_cell_shows_or_a_fault_p8(value: Any, form: str, fault: str) -> None:
    found = read(sheet(("product", "price"), (PUMP, value), formats={"B2": form}))
    (line,) = told(found)
    assert line.startswith("B2 price")
    assert fault in line


@pytest.mark.parametrize(
    ("value", "form", "amount"),
    [
        (1080.1, "General", "1080.1"),
        (1080, "0.00", "1080"),
        (0.07, "0.00", "0.07"),
        (1234567.89, '"¥"#,##0.00', "1234567.89"),
        ("1,080.10", "@", "1080.10"),
    ],
)
def test_a_number_that_is_what_it_shows_is_taken_exactly_p8(
    value: Any, form: str, amount: str
) -> None:
    (cell,) = read(sheet(("product", "price"), (PUMP, value), formats={"B2": form})).cells
    assert cell.price.amount == Decimal(amount)


def test_an_identifier_that_became_a_number_has_lost_its_zeros() -> None:
    found = read(sheet(("product", "price"), (6901234567892, 1)))
    (line,) = told(found)
    assert "format the cell as text" in line


def test_a_time_of_day_is_no_day() -> None:
    late = datetime(2026, 1, 1, 13, 30)  # noqa: DTZ001
    (line,) = told(read(sheet(("product", "price", "valid_from"), (PUMP, 1, late))))
    assert line.startswith("C2 valid_from")


def test_empty_rows_and_columns_are_passed_over_and_rows_keep_their_numbers() -> None:
    found = read(sheet((), ("product", None, "price"), (), (PUMP, None, 1), (PUMP, "", "x")))
    assert len(found.cells) == 1
    assert told(found) == ["C5 price: x is no number: write 1234.50"]


# What is no price list ----------------------------------------------------------------------------


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbb">]><a>&b;</a>'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"product,price\n",
        b"product,price\n\0,1\n",
        b"\xd0\xcf\x11\xe0 an old workbook",
        b"\xff\xfe\xff\xff",
        b'product,price\n"' + PUMP.encode() + b",1\n",
        b"PK\x03\x04 no archive",
        zipped("readme.txt", b"no workbook"),
        zipped("xl/workbook.xml", BOMB),
        sheet(("product", "price"), (PUMP, 1))[:-60],
        b"product,price\n" + b"x" * limits.FILE,
    ],
)
def test_what_is_no_table_is_refused_in_both_languages(data: bytes) -> None:
    with pytest.raises(Unreadable) as refusal:
        read(data)
    assert refusal.value.sentence.en
    assert refusal.value.sentence.zh


def test_a_bomb_is_not_unpacked() -> None:
    with pytest.raises(Unreadable, match="far larger"):
        read(zipped("xl/worksheets/sheet1.xml", b"0" * (unpacking.UNPACKED + 1)))


def test_a_table_has_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROWS", 3)
    lines = [f"{PUMP},1,{tier}" for tier in "ABC"]
    assert len(table(*lines[:2]).cells) == 2
    for data in (
        "\n".join(("product,price,tier", *lines)).encode(),
        sheet(("product", "price", "tier"), *(line.split(",") for line in lines)),
    ):
        with pytest.raises(Unreadable, match="the file has over 2 prices"):
            read(data)
    with pytest.raises(Unreadable, match="over 50 columns"):
        table("," * 50 + "x")
    assert "more than 500 characters" in told(table(f"{PUMP},{'1' * 501},"))[0]


# What is small and unpacks to something large -----------------------------------------------------

MAIN = f'xmlns="{unpacking.MAIN}"'
SHEET = "xl/worksheets/sheet1.xml"
GOOD = sheet(("product", "price"), (PUMP, 1))


def with_part(name: str, content: str | bytes) -> bytes:
    """A good spreadsheet in which one part is another one."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(GOOD)) as good,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for other in {*good.namelist()} - {name}:
            archive.writestr(other, good.read(other))
        archive.writestr(name, content)
    return file.getvalue()


def with_rows(rows: str, start: str = "", encoding: str = "utf-8") -> bytes:
    whole = f"{start}<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"
    return with_part(SHEET, whole.encode(encoding))


ENTITY = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
HOSTILE = {
    "a line of commas": (b"product,price\n" + b"," * 1_000_000, "row 2 has over 65,536 characters"),
    "a row of lines": (b"product\n" + b'"\n",' * 200_000, "row 2 has over 65,536 characters"),
    "a row of cells": (with_rows("<row>" + "<c><v>1</v></c>" * 500_000), "over 50 columns"),
    "rows of cells": (with_rows(("<row>" + "<c/>" * 700 + "</row>") * 300), "far larger"),
    "a far row": (with_rows('<row r="1000000000"/>'), "over 100,000 prices"),
    "a far row, written oddly": (with_rows('<row r="1E9"/>'), "damaged"),
    "rows backwards": (with_rows('<row r="2"/><row r="1"/>'), "damaged"),
    "a far column": (with_rows('<row><c r="AAA1"/></row>'), "over 50 columns"),
    "a word beyond the columns": (with_rows('<row><c r="ZZ1"><v>1</v></c></row>'), "50 columns"),
    "a row inside a row": (with_rows("<row><row>" + "<v/>" * 200_000), "far larger"),
    "a deep row": (with_rows("<row>" + "<v>" * 100), "far larger"),
    "a long word": (with_rows("<row><c><v>" + "1" * 9_000_000), "far larger"),
    "a long name": (with_rows('<row><c r="' + "1" * 9_000_000), "far larger"),
    "many texts": (
        with_part("xl/texts.xml", f"<sst {MAIN}>" + "<si><t>a</t></si>" * 30_000),
        "far larger",
    ),
    "an entity": (with_rows("<row/>", f"<!--{'x' * 2000}-->{ENTITY}"), "damaged"),
    "an entity in UTF-16": (with_rows("<row/>", ENTITY, "utf-16"), "damaged"),
}


@pytest.mark.parametrize(("data", "why"), HOSTILE.values(), ids=HOSTILE)
def test_what_unpacks_to_more_than_a_price_list_is_refused_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch, data: bytes, why: str
) -> None:
    """Some of them would take gigabytes: the library holds a row, or a part, as a whole."""
    monkeypatch.setattr(unpacking, "RATIO", 10**6)
    monkeypatch.setattr(unpacking, "ELEMENTS", 200_000)
    monkeypatch.setattr(unpacking, "STRINGS", 20_000)
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable, match=why):
            read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(data) + 48 * limits.MIB


def test_what_is_packed_a_hundred_times_smaller_is_no_price_list() -> None:
    with pytest.raises(Unreadable, match="far larger"):
        read(with_rows("<row/>" * 400_000))


def test_rows_left_out_and_cells_without_a_word_do_no_harm() -> None:
    cells = "<c><v>1</v></c>"
    rows = f'<row r="7">{cells}</row><row r="100001"><c r="A100001"/>{cells}<c r="ZZ100001"/></row>'
    assert told(read(with_rows(rows)))[0] == "A7 1: there is no column 1; there are " + ", ".join(
        HEADER.split(",")
    )
    found = [(n, len(row)) for n, row in rows_of(with_rows(rows))]
    assert found == [(7, 1), (100_001, limits.COLUMNS)]


@pytest.mark.parametrize("merged", ["C2:C3", "A1:C1"])
def test_merged_cells_are_refused_for_all_but_the_first_say_nothing_p3(merged: str) -> None:
    """A region over two rows would make the second a price everywhere."""
    book = Workbook()
    active: Any = book.active
    for row in (("product", "price", "region"), (PUMP, 1, "浙江"), (PUMP, 2, None)):
        active.append(row)
    active.merge_cells(merged)
    file = io.BytesIO()
    book.save(file)
    with pytest.raises(Unreadable, match="merged cells") as refusal:
        read(file.getvalue())
    assert "合并单元格" in refusal.value.sentence.zh


def test_merged_cells_of_another_sheet_do_no_harm() -> None:
    book = Workbook()
    active: Any = book.active
    active.append(("product", "price"))
    active.append((PUMP, 1))
    book.create_sheet("notes").merge_cells("A1:B2")
    file = io.BytesIO()
    book.save(file)
    assert len(read(file.getvalue()).cells) == 1


@settings(max_examples=150)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_anything_is_read_or_refused(data: bytes) -> None:
    for start in (b"", b"product,price\n", b"PK\x03\x04"):
        try:
            found = read(start + data)
        except Unreadable:
            continue
        assert found.rows >= len(found.cells)


def test_columns_are_called_as_spreadsheets_call_them() -> None:
    assert [letter(n) for n in (1, 26, 27)] == ["A", "Z", "AA"]


@pytest.mark.parametrize("written", ["10²", "①", "10₂", "²"])
def test_a_raised_or_circled_digit_is_no_digit(written: str) -> None:
    """10² would otherwise cost 102."""
    (fault,) = read(f"product,price\n{PUMP},{written}").faults
    assert fault.en.startswith(f"{written} is no number")
