"""Where everything is, and what happened to it: units, lots, stock, products, scans."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from medsales.api.commands import SubjectId
from medsales.api.reading import POSITION, Page, Paging, Reading, containing, found, reader
from medsales.domain.ids import DeviceIdentifierId, DeviceUnitId, LotId, ProductId
from medsales.domain.kernel import Text, Value
from medsales.domain.udi import Udi, parse_udi
from medsales.engine.past import Scope
from medsales.projections.customer_360 import CustomerProfile
from medsales.projections.lot_trace import (
    LotHolding,
    LotOnHold,
    LotTrace,
    LotTraced,
    trace,
    trace_as_json,
)
from medsales.projections.product_list import (
    PRODUCTS,
    ProductCard,
    ProductList,
    ProductName,
    ProductPackage,
    product_bearing,
    product_card,
)
from medsales.projections.stock_picture import (
    LEVELS,
    MOVEMENTS,
    PICTURE,
    SUMMARY,
    PictureLine,
    StockLevel,
    StockMovement,
    StockPicture,
    StockSummary,
)
from medsales.projections.unit_history import (
    HistoryEntry,
    UnitHistory,
    UnitNumber,
    history_of,
)

router = APIRouter(tags=["stock"])
Histories = Annotated[Reading, reader(UnitHistory)]
Traces = Annotated[Reading, reader(LotTrace)]
Stock = Annotated[Reading, reader(StockPicture)]
Products = Annotated[Reading, reader(ProductList)]
Search = Annotated[Text | None, Query(description="A part of the name; case does not matter.")]

HISTORY = Scope((HistoryEntry, UnitNumber), ("device-unit",), ("device-unit",))
TRACE = Scope((LotHolding, LotOnHold, CustomerProfile), ("device-unit",), ("customer",))
STOCK = Scope(
    (ProductName,),
    ledgers=(StockMovement,),
    sums={StockLevel: LEVELS},
    named_in="select distinct product as subject from stock_movement"
    " where %(product)s::text is null or product = %(product)s",
)
LEDGER = Scope(ledgers=(StockMovement,))
EACH_PRODUCT = Scope((ProductName,), each="product")
CARD = Scope(ProductList.rows)
SCANNED = Scope(
    (ProductPackage, *HISTORY.rows, *TRACE.rows),
    ("device-unit",),
    ("product", "device-unit", "customer"),
)


@router.get("/device-units/{id:path}/history")
def unit_history(histories: Histories, id: SubjectId) -> list[HistoryEntry]:
    """The full audit trail of a serial number, one sentence per fact, in both languages."""
    with histories.snapshot(HISTORY, id) as db:
        return found(history_of(db, DeviceUnitId(id)), id)


@router.get("/lots/{id:path}/trace", response_model=LotTraced)
def lot_trace(traces: Traces, id: SubjectId) -> Response:
    """Every unit and quantity of a lot: who holds each now, and who held it before."""
    with traces.snapshot(TRACE, id) as db:
        answer = found(trace_as_json(db, LotId(id)), id)
    return Response(answer, headers={POSITION: str(traces.position)}, media_type="application/json")


@router.get("/stock")
def stock_picture(
    stock: Stock, paging: Paging, holder: Text | None = None, product: Text | None = None
) -> Page[PictureLine]:
    """What stands where, by holder, zone, product and lot."""
    by = ("holder", "zone", "product", "lot")
    return stock.page(PictureLine, paging, PICTURE, STOCK, by=by, holder=holder, product=product)


@router.get("/stock/summary")
def stock_summary(stock: Stock, paging: Paging) -> Page[StockSummary]:
    """Per product: in warehouses, reserved, on the way, with customers."""
    return stock.page(StockSummary, paging, SUMMARY, STOCK, by=("product",), product=None)


@router.get("/stock/movements")
def stock_movements(
    stock: Stock, paging: Paging, product: Text | None = None
) -> Page[StockMovement]:
    """The ledger under the stock picture, in the order of the log."""
    return stock.page(StockMovement, paging, MOVEMENTS, LEDGER, product=product)


@router.get("/products")
def products(products: Products, paging: Paging, search: Search = None) -> Page[ProductName]:
    """Products, by name, model, registrant or identifier."""
    return products.page(ProductName, paging, PRODUCTS, EACH_PRODUCT, like=containing(search))


@router.get("/products/{id:path}")
def product(products: Products, id: SubjectId) -> ProductCard:
    """A product with its packages and registration certificates."""
    with products.snapshot(CARD, id) as db:
        return found(product_card(db, id), id)


class Scanned(Value):
    """What a scan says, and what we know by it."""

    udi: Udi
    product: str | None
    package_level: str | None
    unit: str | None
    """The unit with this serial number, if we ever had it."""
    lot: str | None
    """The lot, if we ever had any of it."""


@router.get("/scan/{text:path}")
def scan(histories: Histories, text: str) -> Scanned:
    """Reads what a scanner sent, in the form of any issuer, and finds the product, unit and lot.

    Percent-encode it; the separator GS is `%1D`. A defect of the label is a warning, no refusal.
    """
    udi = parse_udi(text, strict=False)
    with histories.snapshot(SCANNED, DeviceIdentifierId.of(udi.di or "")) as db:
        package = product_bearing(db, udi.di or "")
        base = ProductId(package.product).key if package else udi.di or ""
        unit = DeviceUnitId.of(base, udi.serial or "")
        lot = LotId.of(base, udi.lot or "")
        histories.also(unit, lot)
        return Scanned(
            udi=udi,
            product=package and package.product,
            package_level=package and package.level,
            unit=unit if udi.serial and history_of(db, unit) else None,
            lot=lot if udi.lot and trace(db, lot) else None,
        )
