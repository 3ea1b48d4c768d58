"""A price sheet: the prices of one product, or of one family, in a matrix, version by version.

A decision that prices an order loads the sheets of what it prices, and nothing else of a matrix of
100,000 cells. Which version counts on a day, the matrix says; what it costs then, the sheet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from itertools import product as every
from typing import Annotated, Any, NamedTuple, TypeAlias

from pydantic import Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer
from rpds import HashTrieMap

from medsales.domain.ids import CustomerId, OrderId, PriceMatrixId, PriceSheetId, ProductId
from medsales.domain.kernel import (
    LONGEST_ID,
    PRINTABLE,
    Aggregate,
    Command,
    Event,
    Refused,
    Sentence,
    Term,
    Text,
    Value,
)
from medsales.domain.parties.customer import Customer, CustomerKind, CustomerTier, HospitalGrade
from medsales.domain.values import Money, Quantity, day_in_china

Family = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=PRINTABLE),
    Field(examples=["输液泵"]),
]
"""A family of products, as they are classified; it becomes part of an id."""
CHUNK = 10_000
"""Cells that one command may bring."""


class PriceKind(Term):
    """Which rule a price comes from; the first of them that fits wins (P4)."""

    SPECIAL = "special", "特价"
    AWARD = "award", "中标价"
    AGREEMENT = "agreement", "协议价"
    REGIONAL = "regional", "区域价"
    LIST = "list", "目录价"


PRECEDENCE = tuple(PriceKind)
FIRST = {"product", "price", "region", "tier", "min_quantity"}
"""What cells consisted of before there were kinds of prices; those are stored as they were."""


class PriceException(Value):
    """Why a price may lie below its floor, for how many pieces and until when (P5)."""

    name: Text
    max_quantity: Quantity
    until: date
    reason: Text


class PriceCell(Value):
    """One price: of what, for whom, from a quantity on, on which days, and by which rule."""

    product: ProductId | None = None
    price: Money
    region: Text | None = None
    tier: CustomerTier | None = None
    min_quantity: Quantity = 1
    family: Family | None = None
    """Instead of one product."""
    kind: PriceKind | None = None
    """Without one: regional where a region, tier or grade is named, else list."""
    customer: CustomerId | None = None
    grade: HospitalGrade | None = None
    floor: Money | None = None
    """底价; a cell without one is measured by the floor of the list price beside it (P5)."""
    reference: Text | None = None
    """The award notice or agreement that it rests on."""
    valid_from: date | None = None
    """Within the validity of its version."""
    valid_until: date | None = None
    exception: PriceException | None = None
    """Needed for a price below the floor."""

    @model_serializer(mode="wrap")
    def _short(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is not said is not stored, except where it has been from the beginning."""
        said = write(self)
        return {name: said[name] for name in said if name in FIRST or said[name] is not None}

    def model_post_init(self, _: object) -> None:
        # A set of its own, which nobody asks for, would be a third of what a cell takes in memory.
        object.__setattr__(self, "__pydantic_fields_set__", FIELDS)

    @property
    def rule(self) -> PriceKind:
        if self.kind:
            return self.kind
        particular = self.region or self.tier or self.grade
        return PriceKind.REGIONAL if particular else PriceKind.LIST

    @property
    def subject(self) -> str:
        return str(self.product or self.family)

    @property
    def scope(self) -> Scope:
        """For whom it is; cells with the same scope and quantity differ in their days (P3)."""
        return (self.rule, self.customer, self.grade, self.tier, self.region, self.price.currency)

    @property
    def first_day(self) -> date:
        return self.valid_from or date.min

    @property
    def last_day(self) -> date:
        return self.valid_until or date.max

    def overlaps(self, other: PriceCell) -> bool:
        return self.first_day <= other.last_day and other.first_day <= self.last_day

    @property
    def sentence(self) -> Sentence:
        """Which rule this is, as the rule path of a price and a refusal name it."""
        en = [f"{self.rule.en} price", *self._dimensions("en"), f"from {self.min_quantity}"]
        zh = [self.rule.zh, *self._dimensions("zh"), f"起订量 {self.min_quantity}"]
        if self.valid_from or self.valid_until:
            en.append(f"{self.valid_from or '…'} to {self.valid_until or '…'}")
            zh.append(f"{self.valid_from or '…'} 至 {self.valid_until or '…'}")
        return Sentence(", ".join(en), ", ".join(zh))

    def _dimensions(self, language: str) -> Iterator[str]:
        words = WORDS[language]
        named = (self.family, self.customer, self.reference, self.tier, self.grade, self.region)
        yield from (f"{word} {part}" for word, part in zip(words, named, strict=True) if part)


FIELDS = set(PriceCell.model_fields)
WORDS = {
    "en": ("family", "customer", "by", "tier", "grade", "region"),
    "zh": ("系列", "客户", "依据", "客户等级", "医院等级", "区域"),
}

Scope: TypeAlias = tuple[
    PriceKind,
    CustomerId | None,
    HospitalGrade | None,
    CustomerTier | None,
    str | None,
    str,
]
"""Kind, customer, grade, tier, region, currency."""
Index: TypeAlias = dict[Scope, tuple[PriceCell, ...]]
"""The cells of a version by scope, the highest quantity break first."""


def list_scope(currency: str) -> Scope:
    """The list price is the same for everybody, so there is one place for it in each currency."""
    return (PriceKind.LIST, None, None, None, None, currency)


class Buyer(Value):
    """For whom a price is looked up: all that it may depend on."""

    customer: CustomerId | None = None
    kind_of: CustomerKind | None = None
    """None for a question about nobody in particular."""
    region: str = ""
    tier: CustomerTier = CustomerTier.C
    grade: HospitalGrade | None = None

    @classmethod
    def of(cls, id: CustomerId | str, customer: Customer) -> Buyer:
        return cls(
            customer=CustomerId(id),
            kind_of=customer.kind_of,
            region=customer.region,
            tier=customer.tier,
            grade=customer.grade,
        )

    def scopes(self, kind: PriceKind, currency: str) -> Iterator[Scope]:
        """From the most particular to the most general: the order within one kind (P4)."""
        named = (self.customer, self.grade, self.tier, self.region)
        dimensions: Any = [dict.fromkeys((value, None)) for value in named]
        for customer, grade, tier, region in every(*dimensions):
            yield (kind, customer, grade, tier, region, currency)


# What is wrong with cells: told one by one to whoever drafts, all at once to whoever imports ------


class Fault(NamedTuple):
    """What is wrong with a cell, and in which of its fields."""

    field: str
    code: str
    en: str
    zh: str

    def refusal(self, cell: PriceCell) -> Refused:
        named = cell.sentence
        return Refused(
            self.code,
            f"{cell.subject} ({named.en}): {self.en}",
            f"{cell.subject} ({named.zh}): {self.zh}",
        )


def faults(cell: PriceCell, currencies: Iterable[str]) -> Iterator[Fault]:
    """What is wrong with a cell, whatever stands beside it (P5, P8)."""
    if (cell.product is None) == (cell.family is None):
        yield Fault(
            "product",
            "matrix.subject_wrong",
            "a price is for one product or for one family",
            "价格须针对一个产品或一个系列",
        )
    for name, money in (("price", cell.price), ("floor", cell.floor)):
        if money and (money.currency not in currencies or money.amount < 0):
            known = "/".join(currencies)
            yield Fault(
                name,
                "matrix.price_wrong",
                f"{money} is not a price in {known}",
                f"{money} 不是 {known} 价格",
            )
    yield from _wrong_dimensions(cell)
    if cell.first_day > cell.last_day:
        yield Fault(
            "valid_until",
            "matrix.days_wrong",
            f"its last day {cell.valid_until} is before its first, {cell.valid_from}",
            f"截止日期 {cell.valid_until} 早于起始日期 {cell.valid_from}",
        )
    if cell.floor and cell.floor.currency != cell.price.currency:
        yield Fault(
            "floor",
            "matrix.floor_wrong",
            f"the floor {cell.floor} is in another currency than the price {cell.price}",
            f"底价 {cell.floor} 与价格 {cell.price} 币种不同",
        )
    if cell.floor:
        yield from below(cell, cell.floor)


def _wrong_dimensions(cell: PriceCell) -> Iterator[Fault]:
    kind, particular = cell.rule, cell.region or cell.tier or cell.grade
    if kind in {PriceKind.SPECIAL, PriceKind.AGREEMENT} and not cell.customer:
        yield _misplaced(kind, "customer", "names its customer", "须指明客户")
    if kind is PriceKind.AWARD and not (cell.customer or cell.region):
        yield _misplaced(kind, "customer", "names a customer or a region", "须指明客户或区域")
    if kind is PriceKind.REGIONAL and not particular:
        yield _misplaced(
            kind, "region", "names a region, tier or grade", "须指明区域、客户等级或医院等级"
        )
    if kind in {PriceKind.REGIONAL, PriceKind.LIST} and cell.customer:
        yield _misplaced(kind, "customer", "is for every customer", "不得指定客户")
    if kind is PriceKind.LIST and particular:
        yield _misplaced(kind, "kind", "is the same everywhere", "不得区分区域或等级")


def _misplaced(kind: PriceKind, field: str, en: str, zh: str) -> Fault:
    article = "an" if kind in {PriceKind.AWARD, PriceKind.AGREEMENT} else "a"
    return Fault(field, "matrix.cell_wrong", f"{article} {kind.en} price {en}", f"{kind.zh}{zh}")


def below(cell: PriceCell, floor: Money) -> Iterator[Fault]:
    """P5."""
    if cell.price.currency != floor.currency or cell.price.amount >= floor.amount:
        return
    if cell.exception is None:
        yield Fault(
            "exception",
            "matrix.below_floor",
            f"{cell.price} is below the floor {floor}; that needs a named exception with a"
            " quantity and a last day",
            f"{cell.price} 低于底价 {floor}, 须有注明数量和截止日期的例外",
        )


class Side(NamedTuple):
    """A fault of one cell beside others: which of them, and where the other one stands."""

    cell: int
    other: int | None
    fault: Fault


def faults_together(cells: Iterable[PriceCell]) -> Iterator[Side]:
    """What is wrong with cells of one sheet beside each other (P3, P5), by their places."""
    cells = tuple(cells)
    yield from _overlaps(cells)
    yield from _exceptions(cells)
    floors = list_floors(cells)
    for n, cell in enumerate(cells if floors else ()):
        floor = floors.get(cell.price.currency)
        if floor and not cell.floor:
            yield from (Side(n, None, fault) for fault in below(cell, floor))


def list_floors(cells: Iterable[PriceCell]) -> dict[str, Money]:
    """The highest floor of a list price, by currency."""
    floors: dict[str, Money] = {}
    for cell in cells:
        floor = cell.floor
        if cell.rule is PriceKind.LIST and floor:
            known = floors.setdefault(floor.currency, floor)
            floors[floor.currency] = max(known, floor, key=_amount)
    return floors


def lowest(known: Mapping[str, Money], cells: Iterable[PriceCell]) -> dict[str, Money]:
    """The lowest price in each currency: of these cells, and of what is known."""
    found = dict(known)
    for cell in cells:
        price = cell.price
        found[price.currency] = min(found.get(price.currency, price), price, key=_amount)
    return found


def own_floors(known: Mapping[str, Money], cells: Iterable[PriceCell]) -> dict[str, Money]:
    """The lowest floor of a price that is not for everybody: of these cells, and what is known."""
    found = dict(known)
    for cell in cells:
        floor = cell.floor
        if floor and cell.rule is not PriceKind.LIST:
            found[floor.currency] = min(found.get(floor.currency, floor), floor, key=_amount)
    return found


def _amount(money: Money) -> Decimal:
    return money.amount


def _overlaps(cells: tuple[PriceCell, ...]) -> Iterator[Side]:
    """Two cells that fit the same request with the same rank on the same day (P3, P4)."""
    alike: dict[tuple[Scope, int], list[int]] = {}
    for n, cell in enumerate(cells):
        alike.setdefault((cell.scope, cell.min_quantity), []).append(n)
    for places in alike.values():
        lasting: int | None = None
        for n in sorted(places, key=lambda n: (cells[n].first_day, n)):
            if lasting is not None and cells[lasting].overlaps(cells[n]):
                first, second = sorted((lasting, n))
                yield Side(second, first, _overlap(cells[second], cells[first]))
            if lasting is None or cells[n].last_day > cells[lasting].last_day:
                lasting = n


def _exceptions(cells: tuple[PriceCell, ...]) -> Iterator[Side]:
    """P5: what is counted under one name has one limit."""
    known: dict[str, int] = {}
    for n, cell in enumerate(cells):
        exception = cell.exception
        first = known.setdefault(exception.name, n) if exception else n
        if exception != cells[first].exception:
            name = exception.name if exception else ""
            yield Side(
                n,
                first,
                Fault(
                    "exception",
                    "matrix.exception_differs",
                    f"the exception {name} has another limit, day or reason elsewhere",
                    f"例外 {name} 的数量、日期或原因前后不一致",
                ),
            )


def _overlap(cell: PriceCell, other: PriceCell) -> Fault:
    one, two = other.sentence, cell.sentence
    return Fault(
        "price",
        "matrix.cells_overlap",
        f"two prices for {cell.subject} on the same days: {other.price} ({one.en})"
        f" and {cell.price} ({two.en})",
        f"{cell.subject} 同期有两个价格: {other.price} ({one.zh}) 与 {cell.price} ({two.zh})",
    )


# The sheet ----------------------------------------------------------------------------------------


def sheet_of(matrix: PriceMatrixId | str, cell: PriceCell) -> PriceSheetId:
    """Where a cell lives. Raises Refused where its names are too long for an id."""
    key = PriceMatrixId(matrix).key
    id = (
        PriceSheetId.of(key, cell.product)
        if cell.product
        else PriceSheetId.of(key, "family", cell.family or "")
    )
    if len(id) > LONGEST_ID:
        raise Refused("id.too_long", f"{id} is too long for an id", f"编号 {id} 过长")
    return id


def sheets_for(
    matrix: PriceMatrixId | str,
    products: Iterable[tuple[ProductId, str | None]] | Mapping[Any, Any],
) -> tuple[PriceSheetId, ...]:
    """The sheets that price these products: (id, family) each, or their states by id."""
    key = PriceMatrixId(matrix).key
    if isinstance(products, Mapping):
        products = [(id, product.family) for id, product in products.items()]
    ids = (
        id
        for product, family in products
        for id in (
            PriceSheetId.of(key, product),
            *([PriceSheetId.of(key, "family", family)] if family else []),
        )
    )
    return tuple(dict.fromkeys(ids))


@dataclass(frozen=True)
class SheetVersion:
    """What a version says. Its cells come in many commands, and none looks through all of them."""

    edition: int
    cells: Index = field(default_factory=dict)
    exceptions: dict[str, PriceCell] = field(default_factory=dict)
    """For each exception one of the cells that name it."""
    lowest: dict[str, Money] = field(default_factory=dict)
    """The lowest price in each currency."""
    floors: dict[str, Money] = field(default_factory=dict)
    """The lowest floor of a price that is not for everybody, in each currency."""

    def every_cell(self) -> tuple[PriceCell, ...]:
        return self._within(self.cells)

    def list_cells(self, currencies: Iterable[str]) -> tuple[PriceCell, ...]:
        return self._within(map(list_scope, currencies))

    def exception(self, name: str) -> PriceException | None:
        cell = self.exceptions.get(name)
        return cell.exception if cell else None

    def beside(self, cells: tuple[PriceCell, ...]) -> tuple[PriceCell, ...]:
        """What further cells can be at odds with (P3, P5): where they raise a floor, everything."""
        lists = self.list_cells(dict.fromkeys(cell.price.currency for cell in cells))
        before = list_floors(lists)
        for currency, floor in list_floors(cells).items():
            if currency not in before or floor.amount > before[currency].amount:
                return self.every_cell()
        names = (cell.exception.name for cell in cells if cell.exception)
        named = (self.exceptions[name] for name in names if name in self.exceptions)
        return self._within(dict.fromkeys(cell.scope for cell in (*lists, *named, *cells)))

    def _within(self, scopes: Iterable[Scope]) -> tuple[PriceCell, ...]:
        return tuple(cell for scope in scopes for cell in self.cells.get(scope, ()))

    def with_cells(self, cells: tuple[PriceCell, ...]) -> SheetVersion:
        exceptions = {cell.exception.name: cell for cell in cells if cell.exception}
        return SheetVersion(
            self.edition,
            {**self.cells, **_sorted(self.cells, cells)},
            {**exceptions, **self.exceptions},
            lowest(self.lowest, cells),
            own_floors(self.floors, cells),
        )


@dataclass(frozen=True)
class Taken:
    """Pieces sold under an exception: in all, and by the order that sold them."""

    pieces: int = 0
    orders: HashTrieMap[OrderId, int] = field(default_factory=HashTrieMap)

    def plus(self, order: OrderId, quantity: int) -> Taken:
        now = self.orders.get(order, 0) + quantity
        orders = self.orders.insert(order, now) if now else self.orders.discard(order)
        return Taken(self.pieces + quantity, orders)


@dataclass(frozen=True)
class PriceSheet(Aggregate):
    """The prices of one product or family in a matrix, version by version."""

    product: ProductId | None = None
    family: str | None = None
    versions: dict[int, SheetVersion] = field(default_factory=dict)
    taken: HashTrieMap[str, Taken] = field(default_factory=HashTrieMap)
    """What has been sold under an exception, by its name."""

    def serves(self, product: ProductId, family: str | None) -> bool:
        return self.product == product if self.product else self.family == family

    def said(self, version: int, edition: int) -> SheetVersion:
        """By a version; nothing where it has been rewritten without this sheet since."""
        found = self.versions.get(version)
        return found if found and found.edition == edition else SheetVersion(edition)

    def taken_under(self, name: str) -> Taken:
        return self.taken.get(name, Taken())

    def left_of(self, exception: PriceException) -> int:
        return exception.max_quantity - self.taken_under(exception.name).pieces

    def exception(self, name: str, version: int) -> PriceException:
        found = self.versions.get(version)
        exception = found.exception(name) if found else None
        if exception:
            return exception
        raise Refused(
            "price.exception_unknown",
            f"version {version} has no exception {name} here",
            f"第 {version} 版没有例外 {name}",
        )

    def with_cells(self, version: int, edition: int, cells: tuple[PriceCell, ...]) -> PriceSheet:
        written = self.said(version, edition).with_cells(cells)
        return replace(self, versions={**self.versions, version: written})

    def with_taken(self, name: str, order: OrderId, quantity: int) -> PriceSheet:
        taken = self.taken_under(name).plus(order, quantity)
        return replace(self, taken=self.taken.insert(name, taken))


def indexed(cells: Iterable[PriceCell]) -> Index:
    return _sorted({}, cells)


def _sorted(known: Index, cells: Iterable[PriceCell]) -> Index:
    """Those scopes that the cells touch, the highest quantity break first."""
    touched: dict[Scope, list[PriceCell]] = {}
    for cell in cells:
        scope = cell.scope
        if scope not in touched:
            touched[scope] = list(known.get(scope, ()))
        touched[scope].append(cell)
    return {
        scope: tuple(sorted(some, key=lambda cell: cell.min_quantity, reverse=True))
        for scope, some in touched.items()
    }


class Candidate(NamedTuple):
    """A cell that fits a request, and the sheet that counts its exception."""

    cell: PriceCell
    sheet: PriceSheet | None


def candidates(
    places: Iterable[tuple[Index, PriceSheet | None]],
    buyer: Buyer,
    quantity: int,
    on: date,
    currency: str,
) -> Iterator[Candidate]:
    """The cells that fit, the best first: kind, product before family, scope, quantity (P4)."""
    places = tuple(places)
    for kind in PRECEDENCE:
        scopes = tuple(buyer.scopes(kind, currency))
        for index, sheet in places:
            for scope in scopes:
                for cell in index.get(scope, ()):
                    if cell.min_quantity <= quantity and cell.first_day <= on <= cell.last_day:
                        yield Candidate(cell, sheet)


def discount(price: Money, base: Money) -> Decimal:
    """Percent off, rounded up: no rounding hides a discount; negative above the base."""
    if not base.amount:
        return Decimal(0)
    off = (base.amount - price.amount) * 100 / base.amount
    return off.quantize(Decimal("0.01"), rounding=ROUND_CEILING)


class WriteSheet(Command[PriceSheet]):
    """Write prices of one product or family into a draft; part of drafting a version."""

    allowed = ()

    price_matrix: PriceMatrixId
    version: Quantity
    edition: Quantity
    """Which rewriting of the draft; prices of an earlier one no longer count."""
    cells: Annotated[tuple[PriceCell, ...], Field(min_length=1, max_length=CHUNK)]
    """All of one product, or of one family."""

    def begins(self) -> PriceSheetId:
        return sheet_of(self.price_matrix, self.cells[0])

    def decide(self, sheet: PriceSheet) -> SheetWritten:
        beside = sheet.said(self.version, self.edition).beside(self.cells)
        together = (*beside, *self.cells)
        for place, _, fault in faults_together(together):
            raise fault.refusal(together[place])
        return SheetWritten(**self.model_dump(exclude={"cells"}), cells=self.cells)


class SheetWritten(Event[PriceSheet]):
    price_matrix: PriceMatrixId
    version: int
    edition: int
    cells: tuple[PriceCell, ...]

    def apply(self, sheet: PriceSheet, /) -> PriceSheet:
        return replace(
            sheet.with_cells(self.version, self.edition, self.cells),
            product=self.cells[0].product,
            family=self.cells[0].family,
        )


class TakeException(Command[PriceSheet]):
    """Count pieces of an order against an exception; part of selling below the floor (P5)."""

    allowed = ()

    order: OrderId
    name: Text
    version: Quantity
    """The version of the matrix that the price was found in."""
    quantity: Quantity

    def decide(self, sheet: PriceSheet, now: datetime) -> ExceptionTaken:
        exception = sheet.exception(self.name, self.version)
        if day_in_china(now) > exception.until:
            raise Refused(
                "price.exception_over",
                f"the exception {self.name} was over on {exception.until}",
                f"例外 {self.name} 已于 {exception.until} 截止",
            )
        left = sheet.left_of(exception)
        if self.quantity > left:
            raise Refused(
                "price.exception_used_up",
                f"the exception {self.name} covers {left} more pieces, not {self.quantity}",
                f"例外 {self.name} 仅余 {left} 件, 不足 {self.quantity} 件",
            )
        return ExceptionTaken(
            order=self.order, name=self.name, version=self.version, quantity=self.quantity
        )


class ExceptionTaken(Event[PriceSheet]):
    order: OrderId
    name: str
    version: int
    quantity: int

    def apply(self, sheet: PriceSheet, /) -> PriceSheet:
        return sheet.with_taken(self.name, self.order, self.quantity)


class ReturnException(Command[PriceSheet]):
    """Give back what an order has not used of an exception; part of cancelling."""

    allowed = ()

    order: OrderId
    name: Text
    quantity: Quantity

    def decide(self, sheet: PriceSheet) -> ExceptionReturned | None:
        used = sheet.taken_under(self.name).orders.get(self.order, 0)
        back = min(self.quantity, used)
        if not back:
            return None
        return ExceptionReturned(order=self.order, name=self.name, quantity=back)


class ExceptionReturned(Event[PriceSheet]):
    order: OrderId
    name: str
    quantity: int

    def apply(self, sheet: PriceSheet, /) -> PriceSheet:
        return sheet.with_taken(self.name, self.order, -self.quantity)
