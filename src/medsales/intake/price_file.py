"""A price list as people keep it: rows become cells, or every fault, with its row and column."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from medsales.domain.ids import CustomerId, ProductId
from medsales.domain.kernel import Id, Refused, Sentence, Term, Value
from medsales.domain.parties.customer import CustomerTier, HospitalGrade
from medsales.domain.terms.price_sheet import PriceCell, PriceKind, faults, faults_together
from medsales.intake.limits import Unreadable
from medsales.intake.tables import Written, Wrong, letter, rows_of

T = TypeVar("T", bound=Term)
MOST = 1000
"""Faults that are told; who has more of them has made one mistake all over."""


class RowFault(Value):
    """What is wrong at one place of the file."""

    row: int
    column: str
    """As spreadsheets call it: A, B, C …"""
    name: str
    """Of the column."""
    en: str
    zh: str

    @property
    def place(self) -> str:
        return f"{self.column}{self.row}"


class PriceFile(Value):
    """What a file says."""

    rows: int
    cells: tuple[PriceCell, ...]
    """Those of rows without a fault."""
    faults: tuple[RowFault, ...]
    more_faults: int = 0
    """That are not told any more."""

    @property
    def verdict(self) -> Sentence:
        """How many faults there are, in how many rows."""
        found = len(self.faults) + self.more_faults
        return Sentence(
            f"{counted(found, 'fault')} in {counted(self.rows, 'row')}",
            f"{self.rows} 行中有 {found} 处错误",
        )


def counted(number: int, what: str) -> str:
    """`1 fault`, `2 faults`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


# What the columns are called and how they are read ------------------------------------------------


def _term(kind: type[T]) -> Callable[[Written], T]:
    def read(written: Written) -> T:
        word = written.word().lower()
        for term in kind:
            if word in {term.value.lower(), term.en.lower(), term.zh.lower()}:
                return term
        known_en = ", ".join(term.value for term in kind)
        known_zh = ", ".join(term.zh for term in kind)
        raise Wrong(f"{word} is none of {known_en}", f"{word} 不是 {known_zh} 之一")

    return read


def _id(kind: type[Id]) -> Callable[[Written], str]:
    def read(written: Written) -> str:
        text = written.text()
        return text if text.startswith(f"{kind.kind}:") else kind.of(text)

    return read


class Column(NamedTuple):
    names: tuple[str, ...]
    """The first is the field's; the others are what people write above it."""
    read: Callable[[Written], Any]


COLUMNS = (
    Column(("product", "产品", "产品标识", "di"), _id(ProductId)),
    Column(("family", "系列", "产品系列"), Written.text),
    Column(("price", "价格", "单价"), Written.number),
    Column(("currency", "币种"), Written.word),
    Column(("kind", "价格类型", "类型"), _term(PriceKind)),
    Column(("customer", "客户"), _id(CustomerId)),
    Column(("region", "区域", "地区"), Written.text),
    Column(("tier", "客户等级"), _term(CustomerTier)),
    Column(("grade", "医院等级"), _term(HospitalGrade)),
    Column(("min_quantity", "起订量", "min quantity", "from quantity"), Written.count),
    Column(("floor", "底价"), Written.number),
    Column(("reference", "依据"), Written.text),
    Column(("valid_from", "起始日期", "valid from"), Written.day),
    Column(("valid_until", "截止日期", "valid until"), Written.day),
    Column(("exception", "例外"), Written.text),
    Column(("exception_quantity", "例外数量", "exception quantity"), Written.count),
    Column(("exception_until", "例外截止", "exception until"), Written.day),
    Column(("exception_reason", "例外原因", "exception reason"), Written.text),
)
EXCEPTION = {
    "exception": "name",
    "exception_quantity": "max_quantity",
    "exception_until": "until",
    "exception_reason": "reason",
}
BY_NAME = {name: column for column in COLUMNS for name in column.names}


@dataclass
class Reader:
    """Reads one file, and notes down what is wrong with it."""

    currency: str
    """Of amounts beside which none is named."""
    currencies: tuple[str, ...]
    places: dict[str, int] = field(default_factory=dict)
    """In which column each field stands."""
    faults: list[RowFault] = field(default_factory=list)
    found: list[tuple[int, PriceCell]] = field(default_factory=list)
    rows: int = 0

    def read(self, data: bytes) -> PriceFile:
        """Raises Unreadable."""
        rows = rows_of(data)
        header = next(rows, None)
        if header is None:
            raise Unreadable("the file is empty", "文件为空")
        if self._heads(*header):
            for number, row in rows:
                self.rows += 1
                self._row(number, row)
            self._beside_each_other()
        # A damaged file may be known for one only at its end.
        self.rows += sum(1 for _ in rows)
        if not self.rows and not self.faults:
            raise Unreadable("the file has a header and no prices", "文件只有表头, 没有价格")
        told = sorted(self.faults, key=lambda fault: fault.row)
        return PriceFile(
            rows=self.rows,
            cells=tuple(cell for _, cell in self.found),
            faults=tuple(told[:MOST]),
            more_faults=len(told[MOST:]),
        )

    def note(self, row: int, name: str, sentence: Sentence) -> None:
        column = letter(self.places.get(name, 1))
        self.faults.append(
            RowFault(row=row, column=column, name=name, en=sentence.en, zh=sentence.zh)
        )

    def _heads(self, number: int, row: list[Written]) -> bool:
        """Whether the header names what is needed, and nothing else."""
        for n, written in enumerate(row, start=1):
            word = "" if written.empty else str(written.value).strip().lower()
            column = BY_NAME.get(word)
            if column and column.names[0] not in self.places:
                self.places[column.names[0]] = n
            elif word:
                self.places.setdefault(word, n)
                self.note(number, word, _unknown(word, repeated=column is not None))
        for needed in (
            ("price",) if {"product", "family"} & {*self.places} else ("price", "product")
        ):
            if needed not in self.places:
                names = " / ".join(BY_NAME[needed].names)
                self.note(number, needed, Sentence(f"no column {names}", f"缺少列 {names}"))
        return not self.faults

    def _row(self, number: int, row: list[Written]) -> None:
        before = len(self.faults)
        said = dict(self._said(number, row))
        if len(self.faults) > before:
            return
        try:
            cell = PriceCell.model_validate(self._cell(said))
        except ValidationError as error:
            for name, sentence in _misfits(error):
                self.note(number, name, sentence)
            return
        for fault in faults(cell, self.currencies):
            self.note(number, fault.field, Sentence(fault.en, fault.zh))
        if len(self.faults) == before:
            self.found.append((number, cell))

    def _said(self, number: int, row: list[Written]) -> Iterator[tuple[str, Any]]:
        for name, place in self.places.items():
            written = row[place - 1] if place <= len(row) else Written(None)
            if written.empty:
                continue
            try:
                yield name, BY_NAME[name].read(written)
            except Wrong as wrong:
                self.note(number, name, wrong.sentence)

    def _cell(self, said: dict[str, Any]) -> dict[str, Any]:
        currency = said.pop("currency", self.currency)
        for name in ("price", "floor"):
            if name in said:
                said[name] = {"amount": said[name], "currency": currency}
        exception = {EXCEPTION[name]: said.pop(name) for name in EXCEPTION if name in said}
        return {**said, "exception": exception} if exception else said

    def _beside_each_other(self) -> None:
        """P3, P5: what no row shows alone."""
        sheets: dict[str, list[tuple[int, PriceCell]]] = {}
        for number, cell in self.found:
            sheets.setdefault(f"{cell.product} {cell.family}", []).append((number, cell))
        for placed in sheets.values():
            numbers = [number for number, _ in placed]
            for place, other, fault in faults_together(cell for _, cell in placed):
                en, zh = (
                    (f" (row {numbers[other]})", f" (第 {numbers[other]} 行)")
                    if other is not None
                    else ("", "")
                )
                self.note(numbers[place], fault.field, Sentence(fault.en + en, fault.zh + zh))


def _unknown(word: str, *, repeated: bool) -> Sentence:
    if repeated:
        return Sentence(f"the column {word} stands here a second time", f"列 {word} 重复")
    known = ", ".join(column.names[0] for column in COLUMNS)
    return Sentence(f"there is no column {word}; there are {known}", f"没有列 {word}")


FIELDS: Mapping[str, str] = {
    "name": "exception",
    **{part: name for name, part in EXCEPTION.items()},
}


def _misfits(error: ValidationError) -> Iterator[tuple[str, Sentence]]:
    """What the form of a cell does not allow: too long, too small, missing beside another."""
    for one in error.errors(include_url=False, include_context=False):
        path = [str(part) for part in one["loc"]]
        name = path[0] if path else "price"
        if name == "exception":
            name = FIELDS.get(path[-1], name)
        message = one["msg"][0].lower() + one["msg"][1:]
        yield name, Sentence(message, f"内容不符合要求 ({message})")


def read_prices(data: bytes, currency: str, currencies: Iterable[str]) -> PriceFile:
    """All cells of a file, and all that is wrong with it. Raises Unreadable."""
    return Reader(currency, tuple(currencies)).read(data)


def refused(error: Unreadable) -> Refused:
    return Refused("prices.unreadable", error.sentence.en, error.sentence.zh)
