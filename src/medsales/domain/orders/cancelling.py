"""How an order ends before it is shipped, in part or whole, and how it is opened again (D2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from medsales.domain.ids import CustomerId, OrderId
from medsales.domain.kernel import Also, Command, Event, Refused, Role, Text, Who
from medsales.domain.orders.drawing import drawn, given_back
from medsales.domain.orders.fulfilment import GoodsReleased, set_free
from medsales.domain.orders.goods import Goods, LineNumber
from medsales.domain.orders.holds import must_own
from medsales.domain.orders.order import CancelledLine, HoldKind, Order, OrderStatus
from medsales.domain.parties.customer import Customer
from medsales.domain.terms.credit_exposure import EndReservation
from medsales.domain.values import Quantity


class CancelOrder(Command[Order]):
    """Cancel all that has not been shipped; what was set aside is free again (D2)."""

    allowed = (Role.SALES, Role.MANAGER)

    reason: Text

    def decide(self, order: Order, id: OrderId, who: Who) -> tuple[Event[Order] | Also, ...] | None:
        rest = not_shipped(order)
        if not rest and any(line.cancelled for line in order.lines.values()):
            return None
        if any(line.shipped for line in order.lines.values()):
            may_take_apart(order, who)
        if not rest:
            raise Refused(
                "order.all_shipped",
                "everything has been shipped; it can only be returned",
                "订单货物已全部发出, 只能退货",
            )
        may_leave_so_few(order, rest, who)
        return tuple(wholly_cancelled(order, id, self.reason))


def may_take_apart(order: Order, who: Who) -> None:
    """A gift is not kept by who cancels what it was given with, nor the price of a set by a part.

    A manager may leave them so, and says why.
    """
    if order.placed and order.placed.promoted and Role.MANAGER not in who.roles:
        raise Refused(
            "order.promoted_together",
            f"the order counts as a whole under {order.placed.promoted.promotion};"
            " a manager decides to cancel a part of it",
            f"订单整体适用 {order.placed.promoted.promotion}, 部分取消须由经理决定",
        )


def may_leave_so_few(order: Order, pieces: dict[int, int], who: Who) -> None:
    """A price for many is not kept by who cancels most of them (P4); the whole line may go.

    A manager may leave it so, and says why.
    """
    for number, quantity in pieces.items():
        line = order.lines[number]
        left = line.left - quantity
        if 0 < left < line.min_quantity and Role.MANAGER not in who.roles:
            raise Refused(
                "order.below_quantity_break",
                f"line {number} has its price from {line.min_quantity} pieces on, and {left} would"
                " be left; a manager decides that",
                f"第 {number} 行的价格自 {line.min_quantity} 件起适用, 取消后仅余 {left} 件,"
                " 须由经理决定",
            )


def not_shipped(order: Order) -> dict[int, int]:
    return {n: line.not_shipped for n, line in order.lines.items() if line.not_shipped}


def wholly_cancelled(order: Order, id: OrderId, reason: str) -> Iterator[Event[Order] | Also]:
    """All that has not been shipped, and what was set aside for it."""
    goods = tuple(
        Goods(goods=goods, warehouse=warehouse, line=line, quantity=quantity)
        for (goods, warehouse, line), quantity in order.set_aside.items()
    )
    if goods:
        yield GoodsReleased(customer=order.buyer(), goods=goods, reason=reason)
        yield from (set_free(some, id) for some in goods)
    yield from cancelled(order, id, not_shipped(order), reason)


def cancelled(
    order: Order, id: OrderId, pieces: dict[int, int], reason: str
) -> Iterator[Event[Order] | Also]:
    """So many pieces of its lines; what they took of credit and contracts is free (D4, K3)."""
    left = sum(line.left for line in order.lines.values())
    kept = order.status or OrderStatus.PLACED
    yield OrderCancelled(
        customer=order.buyer(),
        lines=tuple(CancelledLine(line=n, quantity=some) for n, some in pieces.items()),
        reason=reason,
        status=kept if left > sum(pieces.values()) else OrderStatus.CANCELLED,
    )
    if order.reserved and order.credit:
        worth = order.worth(pieces)
        yield Also(order.credit, EndReservation(order=id, amount=worth))
    yield from given_back(order, id, pieces)


class CancelLine(Command[Order]):
    """Cancel some pieces of a line that are neither shipped nor set aside (D2)."""

    allowed = (Role.SALES, Role.MANAGER)

    line: LineNumber
    quantity: Quantity
    reason: Text

    def decide(self, order: Order, id: OrderId, who: Who) -> tuple[Event[Order] | Also, ...]:
        order.must_be(OrderStatus.PLACED, OrderStatus.ON_HOLD, OrderStatus.CONFIRMED)
        line = order.line(self.line)
        may_take_apart(order, who)
        if self.quantity > line.open:
            raise Refused(
                "order.cancel_too_much",
                f"{line.open} of line {self.line} can be cancelled, not {self.quantity}",
                f"第 {self.line} 行可取消 {line.open}, 不足 {self.quantity}",
            )
        may_leave_so_few(order, {self.line: self.quantity}, who)
        return tuple(cancelled(order, id, {self.line: self.quantity}, self.reason))


class OrderCancelled(Event[Order]):
    customer: CustomerId
    lines: tuple[CancelledLine, ...]
    reason: str
    status: OrderStatus
    """Of the order afterwards: cancelled when nothing of it is left."""

    def apply(self, order: Order, /) -> Order:
        lines = dict(order.lines)
        for some in self.lines:
            line = lines[some.line]
            lines[some.line] = replace(line, cancelled=line.cancelled + some.quantity)
        return replace(order, lines=lines, status=self.status, cancelled_last=self.lines)


class RejectHold(Command[Order]):
    """Decide that a held order is not to be: it is cancelled, by the role that owns the hold."""

    allowed = (Role.FINANCE, Role.MANAGER, Role.QUALITY)

    kind: HoldKind
    reason: Text

    def decide(self, order: Order, id: OrderId, who: Who) -> tuple[Event[Order] | Also, ...] | None:
        order.must_be(OrderStatus.ON_HOLD)
        must_own(self.kind, who)
        if self.kind not in order.holds:
            return None
        rejected = HoldRejected(customer=order.buyer(), kind=self.kind, reason=self.reason)
        return rejected, *wholly_cancelled(order, id, self.reason)


class HoldRejected(Event[Order]):
    customer: CustomerId
    kind: HoldKind
    reason: str


class ReopenOrder(Command[Order]):
    """Have a cancelled order again that was never shipped; it must pass every check anew (D4)."""

    allowed = (Role.SALES, Role.MANAGER)

    reason: Text

    def decide(
        self, order: Order, id: OrderId, customer: Customer, by: str
    ) -> tuple[Event[Order] | Also, ...]:
        order.must_be(OrderStatus.CANCELLED)
        assert order.placed is not None, "what was cancelled was placed"
        customer.must_be_served()
        lines = order.cancelled_last
        reopened = OrderReopened(
            customer=order.buyer(), lines=lines, reason=self.reason, reopened_by=by
        )
        return reopened, *drawn(order.placed, id, {line.line: line.quantity for line in lines})


class OrderReopened(Event[Order]):
    customer: CustomerId
    lines: tuple[CancelledLine, ...]
    """What its last cancellation took is wanted again."""
    reason: str
    reopened_by: str | None = None
    """Who may not release its holds either."""

    def apply(self, order: Order, /) -> Order:
        lines = dict(order.lines)
        for some in self.lines:
            line = lines[some.line]
            lines[some.line] = replace(line, cancelled=line.cancelled - some.quantity)
        return replace(
            order,
            lines=lines,
            status=OrderStatus.PLACED,
            holds=(),
            price_released=False,
            reserved=False,
            reopened=True,
            reopened_by=self.reopened_by,
            cancelled_last=(),
        )
