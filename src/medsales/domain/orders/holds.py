"""Whether an order is promised: its checks, the holds they lead to, and who may release them.

A check that fails does not lose the order: it is held, and the role that owns the check decides.
Credit and licences are checked again when they are released, so that a signature alone opens
neither; only room on the account, or an override, or a licence on file does (K2, LIC-3, LIC-4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from medsales.domain.governance.licence import GateEvaluated, buyer_gate, seller_gate
from medsales.domain.governance.licence_file import LicenceFile
from medsales.domain.ids import CreditAccountId, CustomerId, OrderId
from medsales.domain.kernel import Also, Command, Event, Refused, Role, Text, Value, Who
from medsales.domain.orders.order import HoldKind, Order, OrderStatus
from medsales.domain.parties.customer import Customer, CustomerKind
from medsales.domain.stock.product import Product
from medsales.domain.terms.credit import CreditAccount
from medsales.domain.terms.credit_exposure import ReserveCredit
from medsales.domain.terms.price_matrix import PriceMatrix, VersionStatus
from medsales.domain.values import Money, day_in_china

HOLD_OWNERS = {
    HoldKind.CREDIT: Role.FINANCE,
    HoldKind.PRICE: Role.MANAGER,
    HoldKind.LICENCE: Role.QUALITY,
}
"""Who may release or reject which hold."""


class Hold(Value):
    """A check that an order did not pass, and why."""

    kind: HoldKind
    en: str
    zh: str


def sale_gates(
    buyer: CustomerKind,
    products: Iterable[Product],
    buyer_file: LicenceFile | None,
    own_file: LicenceFile | None,
    on: date,
) -> tuple[GateEvaluated, GateEvaluated]:
    """LIC-3 and LIC-4, with what they saw (LIC-7)."""
    goods = tuple(product.gated for product in products)
    return buyer_gate(buyer_file, buyer, goods, on), seller_gate(own_file, goods, on)


@dataclass(frozen=True)
class Checks:
    """All that a promise depends on besides the order itself."""

    customer: Customer
    price_matrix: PriceMatrix | None
    products: tuple[Product, ...]
    buyer_file: LicenceFile | None
    own_file: LicenceFile | None
    credit: CreditAccount | None
    head: CreditAccount | None
    on: date

    def gates(self) -> tuple[GateEvaluated, ...]:
        return sale_gates(
            self.customer.kind_of, self.products, self.buyer_file, self.own_file, self.on
        )

    def failed(self, order: Order) -> tuple[Hold, ...]:
        """One hold of a kind, the first reason of each."""
        holds: dict[HoldKind, Hold] = {}
        for hold in (*self._credit(order), *self._price(order), *self._licence()):
            holds.setdefault(hold.kind, hold)
        return tuple(holds.values())

    def _credit(self, order: Order) -> Iterator[Hold]:
        if self.credit is None:
            return
        if objection := self.credit.objection(amount_of(order), self.on, self.head):
            yield Hold(kind=HoldKind.CREDIT, en=objection.en, zh=objection.zh)

    def _price(self, order: Order) -> Iterator[Hold]:
        """A price may have been given up since; one that was opened again must still be in force.

        What a quote or a contract promises does not depend on the matrix any more (D3). But a
        quote is accepted once: who cancelled what came of it has no promise left (Q5).
        """
        placed = order.placed
        if placed is None or order.price_released:
            return
        if placed.quote and order.reopened:
            yield Hold(
                kind=HoldKind.PRICE,
                en=f"the order was opened again, and {placed.quote} promised its prices once",
                zh=f"订单为重新打开, 而报价 {placed.quote.key} 的价格承诺仅限一次",
            )
        if self.price_matrix is None or placed.quote:
            return
        for number in sorted({line.price_version for line in placed.lines}):
            status = self.price_matrix.version(number).status
            current = self.price_matrix.in_force(self.on)
            if status in GIVEN_UP:
                yield Hold(
                    kind=HoldKind.PRICE,
                    en=f"version {number} of the prices is {status.en}",
                    zh=f"价格第 {number} 版{status.zh}",
                )
            elif order.reopened and (current is None or current.number != number):
                yield Hold(
                    kind=HoldKind.PRICE,
                    en=f"the order was opened again, and version {number} is no longer in force",
                    zh=f"订单为重新打开, 而价格第 {number} 版已不再有效",
                )

    def _licence(self) -> Iterator[Hold]:
        for gate in self.gates():
            if gate.blocks:
                en, zh = gate.reason_en or gate.gate, gate.reason_zh or gate.gate
                yield Hold(kind=HoldKind.LICENCE, en=f"{gate.gate}: {en}", zh=f"{gate.gate}: {zh}")


GIVEN_UP = (VersionStatus.SUSPENDED, VersionStatus.REVOKED)
"""Versions at whose prices nothing is promised any more."""


def amount_of(order: Order) -> Money:
    """What is still wanted of it."""
    return order.worth({n: line.ordered - line.cancelled for n, line in order.lines.items()})


class ChecksOrder(Command[Order]):
    """A command that promises what was ordered, if all checks pass.

    They are made as of now, also where it is told late: nobody promises in the past, when there
    still was room, or a licence.
    """

    def head(self, credit: CreditAccount | None) -> CreditAccountId | None:
        return credit.head if credit else None


def promised(order: Order, id: OrderId, checks: Checks) -> Iterator[Event[Order] | Also]:
    """The order is confirmed and its credit reserved together (D4), or it is held."""
    gates, failed = checks.gates(), checks.failed(order)
    if failed:
        yield OrderHeld(customer=order.buyer(), holds=failed, gates=gates)
        return
    amount = amount_of(order)
    yield OrderConfirmed(customer=order.buyer(), gates=gates, reserved=amount)
    if amount.amount:
        reserve = ReserveCredit(order=id, customer=order.buyer(), amount=amount)
        yield Also(reserve.begins(), reserve)


class ConfirmOrder(ChecksOrder):
    """Promise to deliver what was ordered; what does not pass its checks is put on hold."""

    allowed = (Role.SALES, Role.MANAGER)

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        order: Order,
        id: OrderId,
        customer: Customer,
        price_matrix: PriceMatrix | None,
        products: tuple[Product, ...],
        buyer_file: LicenceFile | None,
        own_file: LicenceFile | None,
        credit: CreditAccount | None,
        head: CreditAccount | None,
        now: datetime,
    ) -> tuple[Event[Order] | Also, ...] | None:
        if order.status is OrderStatus.CONFIRMED:
            return None
        order.must_be(OrderStatus.PLACED)
        customer.must_be_served()
        checks = Checks(
            customer, price_matrix, products, buyer_file, own_file, credit, head, day_in_china(now)
        )
        return tuple(promised(order, id, checks))


class OrderConfirmed(Event[Order]):
    customer: CustomerId
    gates: tuple[GateEvaluated, ...] = ()
    reserved: Money | None = None
    """What it takes of the customer's credit; none of the orders from before credit was kept."""

    def apply(self, order: Order, /) -> Order:
        return replace(
            order,
            status=OrderStatus.CONFIRMED,
            holds=(),
            reserved=self.reserved is not None,
        )


class OrderHeld(Event[Order]):
    customer: CustomerId
    holds: tuple[Hold, ...]
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, order: Order, /) -> Order:
        kinds = tuple(hold.kind for hold in self.holds)
        return replace(order, status=OrderStatus.ON_HOLD, holds=kinds)


def must_own(kind: HoldKind, who: Who) -> None:
    owner = HOLD_OWNERS[kind]
    if owner not in who.roles and Role.SYSTEM not in who.roles:
        raise Refused(
            "order.hold_of_others",
            f"a hold for {kind.en} is decided by {owner.en}",
            f"{kind.zh}待放行由{owner.zh}决定",
        )


def must_not_have_placed(order: Order, who: Who) -> None:
    if order.placed is not None and order.placed.placed_by == who.id:
        raise Refused(
            "order.hold_of_own",
            "a hold is released by somebody who did not place the order",
            "放行须由下单人以外的人作出",
        )


class ReleaseHold(ChecksOrder):
    """Release a hold that one's role owns; the last one confirms the order.

    Credit and licence are checked again: a release cannot exceed a limit (K2) or replace a licence.
    """

    allowed = (Role.FINANCE, Role.MANAGER, Role.QUALITY)

    kind: HoldKind
    reason: Text

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        order: Order,
        id: OrderId,
        who: Who,
        customer: Customer,
        price_matrix: PriceMatrix | None,
        products: tuple[Product, ...],
        buyer_file: LicenceFile | None,
        own_file: LicenceFile | None,
        credit: CreditAccount | None,
        head: CreditAccount | None,
        now: datetime,
    ) -> tuple[Event[Order] | Also, ...] | None:
        order.must_be(OrderStatus.ON_HOLD)
        must_own(self.kind, who)
        must_not_have_placed(order, who)
        customer.must_be_served()
        if self.kind not in order.holds:
            return None
        checks = Checks(
            customer, price_matrix, products, buyer_file, own_file, credit, head, day_in_china(now)
        )
        return tuple(self._released(order, id, checks))

    def _released(self, order: Order, id: OrderId, checks: Checks) -> Iterator[Event[Order] | Also]:
        released = HoldReleased(
            customer=order.buyer(),
            kind=self.kind,
            reason=self.reason,
            gates=checks.gates() if self.kind is HoldKind.LICENCE else (),
        )
        after = released.apply(order)
        for hold in checks.failed(after):
            if hold.kind is self.kind:
                raise Refused("order.hold_stands", hold.en, hold.zh)
        yield released
        if not after.holds:
            yield from promised(after, id, checks)


class HoldReleased(Event[Order]):
    customer: CustomerId
    kind: HoldKind
    reason: str
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, order: Order, /) -> Order:
        return replace(
            order,
            holds=tuple(kind for kind in order.holds if kind is not self.kind),
            price_released=order.price_released or self.kind is HoldKind.PRICE,
        )
