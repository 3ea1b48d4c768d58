"""The use of consigned goods: it makes the order, the sale and the debt together (U6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from medsales.domain.ids import CustomerId, OrderId, PriceMatrixId, PriceSheetId, ProductId
from medsales.domain.kernel import Also, Command, Event, Key, Role, Text
from medsales.domain.orders.drawing import drawn
from medsales.domain.orders.fulfilment import PlacedUnitsSold
from medsales.domain.orders.goods import Units, must_name_something_once
from medsales.domain.orders.holds import OrderConfirmed
from medsales.domain.orders.order import Order, OrderPlaced, allotted, by_line, number_taken
from medsales.domain.orders.placing import PriceList, WantedLine, sheets_of
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.device_unit import ConsumeUnit, DeviceUnit, SellPlacedUnit
from medsales.domain.stock.product import Product
from medsales.domain.terms.credit_exposure import ReserveCredit
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.domain.terms.price_sheet import PriceSheet
from medsales.domain.values import Money, day_in_china


class ReportUsage(Command[Order]):
    """Turn the use of consigned units into an order, once: sold and used up together (U6)."""

    allowed = (Role.SALES, Role.TECHNICIAN)

    number: Key = Field(examples=["SO-2026-0002"])
    """The number of the order that follows from the use."""
    customer: CustomerId
    price_matrix: PriceMatrixId
    units: Annotated[Units, Field(min_length=1)]
    reference: Text
    """The customer's own reference; no name of a patient."""

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        must_name_something_once(self.units, ())
        return self

    def begins(self) -> OrderId:
        return OrderId.of(self.number)

    def products(self, units: tuple[DeviceUnit, ...]) -> tuple[ProductId, ...]:
        return tuple(dict.fromkeys(unit.product for unit in units if unit.product))

    def sheets(self, products: tuple[Product, ...]) -> tuple[PriceSheetId, ...]:
        return sheets_of(self.price_matrix, products)

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        order: Order,
        id: OrderId,
        customer: Customer,
        price_matrix: PriceMatrix,
        units: tuple[DeviceUnit, ...],
        products: tuple[Product, ...],
        sheets: tuple[PriceSheet | None, ...],
        now: datetime,
        by: str,
    ) -> tuple[Event[Order] | Also, ...] | None:
        if order.placed is not None:
            self._must_be_the_same(order)
            return None
        for unit in units:
            unit.must_be_on_consignment()
        prices = PriceList.of(
            price_matrix, sheets, products, self.customer, customer, day_in_china(now)
        )
        placed = self._placed(customer, prices, units, by)
        wanted = [(n, None, unit.product, 1) for n, unit in zip(self.units, units, strict=True)]
        begun = placed.apply(order)
        goods = allotted(begun, wanted)
        owed = begun.worth(by_line(goods))
        confirmed = OrderConfirmed(customer=self.customer, reserved=owed)
        sold = PlacedUnitsSold(customer=self.customer, goods=goods)
        taken = drawn(placed, id, by_line(goods))
        return placed, confirmed, sold, *taken, *self._used_up(id, owed)

    def _must_be_the_same(self, order: Order) -> None:
        """D8: a report repeated is the same report."""
        if (order.customer, {key[0] for key in order.delivered}) != (
            self.customer,
            set(self.units),
        ):
            raise number_taken(self.number)

    def _placed(
        self, customer: Customer, prices: PriceList, units: tuple[DeviceUnit, ...], by: str
    ) -> OrderPlaced:
        pieces = Counter(unit.product for unit in units if unit.product is not None)
        wanted = (WantedLine(product=product, quantity=n) for product, n in pieces.items())
        return OrderPlaced(
            customer=self.customer,
            region=customer.region,
            tier=customer.tier,
            price_matrix=self.price_matrix,
            lines=prices.lines(wanted),
            placed_by=by,
            placed_on=prices.on,
        )

    def _used_up(self, id: OrderId, owed: Money) -> Iterator[Also]:
        """What has been used is owed, whatever the limit says: no check can undo the use."""
        if owed.amount:
            reserve = ReserveCredit(order=id, customer=self.customer, amount=owed, used=True)
            yield Also(reserve.begins(), reserve)
        for unit in self.units:
            yield Also(unit, SellPlacedUnit(order=id, customer=self.customer))
            yield Also(unit, ConsumeUnit(reference=self.reference))
