"""The wiring on one screen: every aggregate, every question answered, every process."""

from medsales.domain.governance.parking import Parking
from medsales.domain.kernel import Aggregate
from medsales.domain.orders.order import Order
from medsales.domain.orders.shipment import Shipment
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.device_identifier import DeviceIdentifier
from medsales.domain.stock.device_unit import DeviceUnit
from medsales.domain.stock.lot import Lot
from medsales.domain.stock.product import Product
from medsales.domain.stock.warehouse import Warehouse
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.engine.mentions import Mentions
from medsales.engine.projection import Projection
from medsales.processes import lot_hold_reaches_units, placement_overdue
from medsales.projections.customer_360 import Customer360
from medsales.projections.lot_trace import LotTrace
from medsales.projections.order_board import OrderBoard
from medsales.projections.product_list import ProductList
from medsales.projections.stock_picture import StockPicture
from medsales.projections.timers import TimerBoard
from medsales.projections.unit_history import UnitHistory

AGGREGATES: tuple[type[Aggregate], ...] = (
    Customer,
    Product,
    DeviceIdentifier,
    Lot,
    DeviceUnit,
    Warehouse,
    PriceMatrix,
    Order,
    Shipment,
    Parking,
)

PROJECTIONS: tuple[type[Projection], ...] = (
    ProductList,
    UnitHistory,
    LotTrace,
    StockPicture,
    OrderBoard,
    Customer360,
    TimerBoard,
    Mentions,
)

PROCESSES = (lot_hold_reaches_units, placement_overdue)
