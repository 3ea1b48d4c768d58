"""The wiring on one screen: every aggregate, every question answered, every process."""

from medsales.domain.governance.approval import Approval
from medsales.domain.governance.approval_flow import ApprovalFlow
from medsales.domain.governance.licence_file import LicenceFile
from medsales.domain.governance.parking import Parking
from medsales.domain.governance.person import Person
from medsales.domain.governance.signature import Signature
from medsales.domain.kernel import Aggregate
from medsales.domain.orders.order import Order
from medsales.domain.orders.shipment import Shipment
from medsales.domain.parties.customer import Customer
from medsales.domain.parties.our_company import OurCompany
from medsales.domain.sales.quote import Quote
from medsales.domain.stock.device_identifier import DeviceIdentifier
from medsales.domain.stock.device_unit import DeviceUnit
from medsales.domain.stock.lot import Lot
from medsales.domain.stock.product import Product
from medsales.domain.stock.warehouse import Warehouse
from medsales.domain.terms.contract import Contract
from medsales.domain.terms.contract_template import ContractTemplate
from medsales.domain.terms.credit import CreditAccount
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.domain.terms.price_sheet import PriceSheet
from medsales.domain.terms.promotion import Promotion
from medsales.engine.mentions import Mentions
from medsales.engine.projection import Projection
from medsales.processes import (
    approval_time,
    contract_clock,
    licence_expiry,
    lot_hold_reaches_units,
    placement_overdue,
    price_versions,
    quote_expiry,
    stock_expiry,
)
from medsales.projections.approval_board import ApprovalBoard
from medsales.projections.contract_board import ContractBoard
from medsales.projections.credit_exposure import CreditExposure
from medsales.projections.customer_360 import Customer360
from medsales.projections.licence_board import LicenceBoard
from medsales.projections.lot_trace import LotTrace
from medsales.projections.order_board import OrderBoard
from medsales.projections.price_history import PriceHistory
from medsales.projections.product_list import ProductList
from medsales.projections.quote_board import QuoteBoard
from medsales.projections.signature_board import SignatureBoard
from medsales.projections.stock_picture import StockPicture
from medsales.projections.task_board import TaskBoard
from medsales.projections.timers import TimerBoard
from medsales.projections.unit_history import UnitHistory

AGGREGATES: tuple[type[Aggregate], ...] = (
    Customer,
    OurCompany,
    Product,
    DeviceIdentifier,
    Lot,
    DeviceUnit,
    Warehouse,
    PriceMatrix,
    PriceSheet,
    Promotion,
    CreditAccount,
    Quote,
    Order,
    Shipment,
    Parking,
    ApprovalFlow,
    Approval,
    Person,
    Signature,
    LicenceFile,
    ContractTemplate,
    Contract,
)

PROJECTIONS: tuple[type[Projection], ...] = (
    ProductList,
    UnitHistory,
    LotTrace,
    StockPicture,
    OrderBoard,
    CreditExposure,
    ContractBoard,
    PriceHistory,
    QuoteBoard,
    Customer360,
    LicenceBoard,
    ApprovalBoard,
    TaskBoard,
    SignatureBoard,
    TimerBoard,
    Mentions,
)

PROCESSES = (
    approval_time,
    contract_clock,
    licence_expiry,
    stock_expiry,
    lot_hold_reaches_units,
    placement_overdue,
    price_versions,
    quote_expiry,
)
