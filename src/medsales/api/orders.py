"""Orders, and how far they have come."""

from typing import Annotated

from fastapi import APIRouter

from medsales.api.commands import SubjectId
from medsales.api.reading import Page, Paging, Reading, found, reader
from medsales.domain.kernel import Text
from medsales.domain.orders.order import HoldKind, OrderStatus
from medsales.engine.past import Scope
from medsales.projections.order_board import (
    ORDERS,
    OrderBoard,
    OrderCard,
    OrderHoldCard,
    OrderSeen,
    order_seen,
)

router = APIRouter(tags=["orders"])
Board = Annotated[Reading, reader(OrderBoard)]
EACH_ORDER = Scope((OrderCard, OrderHoldCard), each="order")
WITH_SHIPMENTS = Scope(OrderBoard.rows, mentioned_by=("shipment",))


@router.get("/orders")
def orders(
    board: Board,
    paging: Paging,
    customer: Text | None = None,
    status: OrderStatus | None = None,
    hold: HoldKind | None = None,
) -> Page[OrderCard]:
    """The order board: of one customer or all, in one status or any, held for one check or not."""
    return board.page(
        OrderCard,
        paging,
        ORDERS,
        EACH_ORDER,
        customer,
        customer=customer,
        status=status,
        hold=hold,
    )


@router.get("/orders/{id:path}")
def order(board: Board, id: SubjectId) -> OrderSeen:
    """An order with its lines, prices, progress and shipments."""
    with board.snapshot(WITH_SHIPMENTS, id) as db:
        return found(order_seen(db, id), id)
