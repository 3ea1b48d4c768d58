"""The order board: every order, what it costs, and how far each line of it has come."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from medsales.domain.kernel import Value
from medsales.domain.orders import cancelling, fulfilment, holds, order, shipment
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Change, Changes, Projection, Row, on


class OrderCard(Row, key=("order",), indexes=(("customer", "order"), ("placed_at", "order"))):
    """An order and its totals, in pieces."""

    order: str
    customer: str = ""
    status: str = ""
    placed_at: datetime = BEGINNING
    placed_by: str = ""
    price_matrix: str = ""
    amount: Decimal = Decimal(0)
    """Of all lines as ordered."""
    currency: str = ""
    ordered: int = 0
    set_aside: int = 0
    shipped: int = 0
    delivered: int = 0
    cancelled: int = 0
    returned: int = 0


class OrderLineCard(Row, key=("order", "line"), indexes=(("product",),)):
    """A line of an order: its price with the rule that made it, and its progress in pieces."""

    order: str
    line: int
    product: str = ""
    price: Decimal = Decimal(0)
    """Of one piece."""
    currency: str = ""
    price_version: int = 0
    price_path: tuple[str, ...] = ()
    ordered: int = 0
    set_aside: int = 0
    shipped: int = 0
    delivered: int = 0
    cancelled: int = 0
    returned: int = 0


class OrderHoldCard(Row, key=("order", "kind"), indexes=(("kind", "order"),)):
    """A check that an order did not pass, and who released or rejected it."""

    order: str
    kind: str
    """credit, price or licence."""
    owner: str = ""
    """The role that decides on it."""
    en: str = ""
    zh: str = ""
    held_at: datetime = BEGINNING
    decided: str = ""
    """released, rejected, or nothing yet."""
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None
    """Why it was released or rejected."""


class ShipmentCard(Row, key=("shipment",), indexes=(("order",),)):
    """A shipment, from its plan to the signature of who received it."""

    shipment: str
    order: str = ""
    customer: str = ""
    status: str = ""
    carrier: str = ""
    waybill: str = ""
    dispatched_at: datetime | None = None
    delivered_at: datetime | None = None
    received_by: str | None = None
    evidence: str | None = None


class OrderBoard(Projection):
    rows = (OrderCard, OrderLineCard, OrderHoldCard, ShipmentCard)

    @on(order.OrderPlaced)
    def placed(self, fact: Fact[order.OrderPlaced]) -> Changes:
        event = fact.event
        yield OrderCard.put(
            order=fact.subject,
            customer=event.customer,
            status=order.OrderStatus.PLACED,
            placed_at=fact.effective_at,
            placed_by=fact.by,
            price_matrix=event.price_matrix or "",
            amount=sum((line.price.amount * line.quantity for line in event.lines), Decimal(0)),
            currency=event.lines[0].price.currency,
            ordered=sum(line.quantity for line in event.lines),
        )
        for line in event.lines:
            yield OrderLineCard.put(
                order=fact.subject,
                line=line.line,
                product=line.product,
                price=line.price.amount,
                currency=line.price.currency,
                price_version=line.price_version,
                price_path=line.price_path,
                ordered=line.quantity,
            )

    @on(holds.OrderConfirmed)
    def confirmed(self, fact: Fact[holds.OrderConfirmed]) -> Changes:
        yield OrderCard.set(fact.subject, status=order.OrderStatus.CONFIRMED)

    @on(holds.OrderHeld)
    def held(self, fact: Fact[holds.OrderHeld]) -> Changes:
        yield OrderCard.set(fact.subject, status=order.OrderStatus.ON_HOLD)
        for hold in fact.event.holds:
            yield OrderHoldCard.put(
                order=fact.subject,
                kind=hold.kind,
                owner=holds.HOLD_OWNERS[hold.kind],
                en=hold.en,
                zh=hold.zh,
                held_at=fact.effective_at,
            )

    @on(holds.HoldReleased)
    def hold_released(self, fact: Fact[holds.HoldReleased]) -> Changes:
        yield decided(fact, "released")

    @on(cancelling.HoldRejected)
    def hold_rejected(self, fact: Fact[cancelling.HoldRejected]) -> Changes:
        yield decided(fact, "rejected")

    @on(cancelling.OrderReopened)
    def reopened(self, fact: Fact[cancelling.OrderReopened]) -> Changes:
        yield OrderCard.set(fact.subject, status=order.OrderStatus.PLACED)
        for line in fact.event.lines:
            yield OrderLineCard.add(fact.subject, line.line, cancelled=-line.quantity)
            yield OrderCard.add(fact.subject, cancelled=-line.quantity)

    @on(fulfilment.GoodsReserved)
    def reserved(self, fact: Fact[fulfilment.GoodsReserved]) -> Changes:
        return counted(fact, set_aside=+1)

    @on(fulfilment.GoodsReleased)
    def released(self, fact: Fact[fulfilment.GoodsReleased]) -> Changes:
        return counted(fact, set_aside=-1)

    @on(fulfilment.OrderShipped)
    def shipped(self, fact: Fact[fulfilment.OrderShipped]) -> Changes:
        return counted(fact, set_aside=-1, shipped=+1)

    @on(fulfilment.OrderDelivered)
    def delivered(self, fact: Fact[fulfilment.OrderDelivered]) -> Changes:
        return counted(fact, delivered=+1)

    @on(fulfilment.PlacedUnitsSold)
    def sold_in_place(self, fact: Fact[fulfilment.PlacedUnitsSold]) -> Changes:
        return counted(fact, shipped=+1, delivered=+1)

    @on(fulfilment.GoodsReturned)
    def returned(self, fact: Fact[fulfilment.GoodsReturned]) -> Changes:
        return counted(fact, returned=+1)

    @on(cancelling.OrderCancelled)
    def cancelled(self, fact: Fact[cancelling.OrderCancelled]) -> Changes:
        yield OrderCard.set(fact.subject, status=fact.event.status)
        for line in fact.event.lines:
            yield OrderLineCard.add(fact.subject, line.line, cancelled=line.quantity)
            yield OrderCard.add(fact.subject, cancelled=line.quantity)

    @on(shipment.ShipmentPlanned)
    def shipment_planned(self, fact: Fact[shipment.ShipmentPlanned]) -> Changes:
        yield ShipmentCard.set(
            fact.subject,
            order=fact.event.order,
            customer=fact.event.customer,
            status=shipment.ShipmentStatus.PLANNED,
        )

    @on(shipment.ShipmentCancelled)
    def shipment_cancelled(self, fact: Fact[shipment.ShipmentCancelled]) -> Changes:
        yield ShipmentCard.set(fact.subject, status=shipment.ShipmentStatus.CANCELLED)

    @on(shipment.ShipmentDispatched)
    def dispatched(self, fact: Fact[shipment.ShipmentDispatched]) -> Changes:
        yield ShipmentCard.set(
            fact.subject,
            order=fact.event.order,
            customer=fact.event.customer,
            status=shipment.ShipmentStatus.IN_TRANSIT,
            carrier=fact.event.transport.carrier,
            waybill=fact.event.transport.waybill,
            dispatched_at=fact.effective_at,
        )

    @on(shipment.ShipmentDelivered)
    def shipment_delivered(self, fact: Fact[shipment.ShipmentDelivered]) -> Changes:
        yield ShipmentCard.set(
            fact.subject,
            status=shipment.ShipmentStatus.DELIVERED,
            delivered_at=fact.effective_at,
            received_by=fact.event.received_by,
            evidence=fact.event.evidence,
        )


def decided(fact: Fact[Any], how: str) -> Change:
    event = fact.event
    return OrderHoldCard.set(
        fact.subject,
        event.kind,
        decided=how,
        decided_by=fact.by,
        decided_at=fact.effective_at,
        reason=event.reason,
    )


def counted(fact: Fact[Any], **signs: int) -> Changes:
    """Adds the pieces of the goods to line and order."""
    for some in fact.event.goods:
        amounts = {what: sign * some.quantity for what, sign in signs.items()}
        yield OrderLineCard.add(fact.subject, some.line, **amounts)
        yield OrderCard.add(fact.subject, **amounts)


class OrderSeen(Value):
    """An order as people see it, with its progress."""

    order: OrderCard
    progress: str
    """placed, on_hold, confirmed, in fulfilment, fulfilled, cancelled; follows from the counts."""
    lines: tuple[OrderLineCard, ...]
    holds: tuple[OrderHoldCard, ...]
    shipments: tuple[ShipmentCard, ...]


def progress_of(card: OrderCard) -> str:
    if card.cancelled == card.ordered:
        return "cancelled"
    if card.delivered + card.cancelled >= card.ordered:
        return "fulfilled"
    return "in fulfilment" if card.shipped else card.status


def order_seen(db: Db, id: str) -> OrderSeen | None:
    row = db.execute('select * from order_card where "order" = %s', (id,)).fetchone()
    if row is None:
        return None
    lines = db.execute(
        'select * from order_line_card where "order" = %s order by line', (id,)
    ).fetchall()
    held = db.execute(
        'select * from order_hold_card where "order" = %s order by kind', (id,)
    ).fetchall()
    card = OrderCard(**row)
    return OrderSeen(
        order=card,
        progress=progress_of(card),
        lines=tuple(OrderLineCard(**line) for line in lines),
        holds=tuple(OrderHoldCard(**hold) for hold in held),
        shipments=tuple(shipments_of(db, id)),
    )


def shipments_of(db: Db, id: str) -> list[ShipmentCard]:
    rows = db.execute(
        'select * from shipment_card where "order" = %s order by dispatched_at, shipment', (id,)
    )
    return [ShipmentCard(**row) for row in rows]


ORDERS = """
    select * from order_card where (%(customer)s::text is null or customer = %(customer)s)
        and (%(status)s::text is null or status = %(status)s)
        and (%(hold)s::text is null or status = 'on_hold' and exists (
            select from order_hold_card as h
            where h."order" = order_card."order" and h.kind = %(hold)s and h.decided = ''
        ))
"""
"""Orders of one customer or all, in one status or any, held for one check or not."""
