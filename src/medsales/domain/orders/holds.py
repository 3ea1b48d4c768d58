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
from medsales.domain.governance.person import Person
from medsales.domain.governance.speaking import SpeaksForUs, must_speak_for_us
from medsales.domain.ids import (
    CreditAccountId,
    CustomerId,
    OrderId,
    PriceMatrixId,
    PriceSheetId,
)
from medsales.domain.kernel import (
    Also,
    Command,
    Event,
    Refused,
    Role,
    Sentence,
    Text,
    Value,
    Who,
)
from medsales.domain.orders.order import HoldKind, Order, OrderPlaced, OrderStatus
from medsales.domain.orders.placing import PriceList, WantedLine, sheets_of
from medsales.domain.parties.customer import Customer
from medsales.domain.parties.our_company import OurCompany
from medsales.domain.stock.product import Product
from medsales.domain.terms.credit import CreditAccount
from medsales.domain.terms.credit_exposure import ReserveCredit
from medsales.domain.terms.price_matrix import GIVEN_UP, PriceMatrix
from medsales.domain.terms.price_sheet import PriceSheet
from medsales.domain.terms.promotion import Promotion
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
    buyer: Customer,
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

    order: OrderId
    customer: Customer
    price_matrix: PriceMatrix | None
    products: tuple[Product, ...]
    sheets: tuple[PriceSheet | None, ...]
    promotion: Promotion | None
    buyer_file: LicenceFile | None
    own_file: LicenceFile | None
    credit: CreditAccount | None
    head: CreditAccount | None
    on: date

    def gates(self) -> tuple[GateEvaluated, ...]:
        return sale_gates(self.customer, self.products, self.buyer_file, self.own_file, self.on)

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
        """A price may have been given up since; and that of another day must still be in force.

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
        if self.price_matrix and not placed.quote:
            yield from self._given_up(placed, self.price_matrix)
            yield from self._of_another_day(order, placed, self.price_matrix)

    def _given_up(self, placed: OrderPlaced, matrix: PriceMatrix) -> Iterator[Hold]:
        for number in sorted({line.price_version for line in placed.lines}):
            status = matrix.version(number).status
            if status in GIVEN_UP:
                yield Hold(
                    kind=HoldKind.PRICE,
                    en=f"version {number} of the prices is {status.en}",
                    zh=f"价格第 {number} 版{status.zh}",
                )

    def _of_another_day(
        self, order: Order, placed: OrderPlaced, matrix: PriceMatrix
    ) -> Iterator[Hold]:
        """No price is kept by waiting with the confirmation."""
        since = placed.placed_on
        if not order.reopened and (since is None or since == self.on):
            return
        if objection := self._costs_otherwise(order, placed, matrix):
            yield Hold(
                kind=HoldKind.PRICE,
                en=f"the prices are those of {since or 'another day'}: {objection.en}",
                zh=f"价格为 {since or '另一日'} 的价格: {objection.zh}",
            )

    def _costs_otherwise(
        self, order: Order, placed: OrderPlaced, matrix: PriceMatrix
    ) -> Sentence | None:
        """Whether the same would have another price, or none, if it were ordered today."""
        sheets = tuple(sheet and without(sheet, self.order) for sheet in self.sheets)
        buyer = order.buyer()
        prices = PriceList.of(matrix, sheets, self.products, buyer, self.customer, self.on)
        wanted = tuple(WantedLine(product=p, quantity=n) for p, n in placed.wanted())
        try:
            today = prices.ordered(wanted, self.promotion)[0]
        except Refused as refused:
            return refused.sentence
        for then, now in zip(placed.lines, today, strict=False):
            if then.price != now.price:
                return Sentence(
                    f"{then.product} costs {now.price} on {self.on}, not {then.price}",
                    f"{then.product} 在 {self.on} 的价格为 {now.price}, 而非 {then.price}",
                )
        return None

    def _licence(self) -> Iterator[Hold]:
        for gate in self.gates():
            if gate.blocks:
                en, zh = gate.reason_en or gate.gate, gate.reason_zh or gate.gate
                yield Hold(kind=HoldKind.LICENCE, en=f"{gate.gate}: {en}", zh=f"{gate.gate}: {zh}")


def without(sheet: PriceSheet, order: OrderId) -> PriceSheet:
    """As it would be if the order had taken nothing under its exceptions (P5)."""
    for name, taken in sheet.taken.items():
        if order in taken.orders:
            sheet = sheet.with_taken(name, order, -taken.orders[order])
    return sheet


def amount_of(order: Order) -> Money:
    """What is still wanted of it."""
    return order.worth({n: line.left for n, line in order.lines.items()})


class ChecksOrder(Command[Order]):
    """A command that promises what was ordered, if all checks pass.

    They are made as of now, also where it is told late: nobody promises in the past, when there
    still was room, or a licence.
    """

    def head(self, credit: CreditAccount | None) -> CreditAccountId | None:
        return credit.head if credit else None

    def sheets(
        self, price_matrix: PriceMatrix | None, products: tuple[Product, ...]
    ) -> tuple[PriceSheetId, ...]:
        matrix = PriceMatrixId.of(price_matrix.code) if price_matrix else None
        return sheets_of(matrix, products)


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
        sheets: tuple[PriceSheet | None, ...],
        promotion: Promotion | None,
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
            id,
            customer,
            price_matrix,
            products,
            sheets,
            promotion,
            buyer_file,
            own_file,
            credit,
            head,
            day_in_china(now),
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
    """Nor opened it again: whoever wants an order does not wave it through."""
    placed_by = order.placed.placed_by if order.placed else None
    if who.id in {placed_by, order.reopened_by}:
        raise Refused(
            "order.hold_of_own",
            "a hold is released by somebody who neither placed the order nor opened it again",
            "放行须由下单人及重新打开订单人以外的人作出",
        )


class ReleaseHold(SpeaksForUs, ChecksOrder):
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
        sheets: tuple[PriceSheet | None, ...],
        promotion: Promotion | None,
        buyer_file: LicenceFile | None,
        own_file: LicenceFile | None,
        credit: CreditAccount | None,
        head: CreditAccount | None,
        speaker: Person | None,
        our_company: OurCompany | None,
        now: datetime,
    ) -> tuple[Event[Order] | Also, ...] | None:
        must_speak_for_us(speaker, our_company)
        order.must_be(OrderStatus.ON_HOLD)
        must_own(self.kind, who)
        must_not_have_placed(order, who)
        customer.must_be_served()
        if self.kind not in order.holds:
            return None
        checks = Checks(
            id,
            customer,
            price_matrix,
            products,
            sheets,
            promotion,
            buyer_file,
            own_file,
            credit,
            head,
            day_in_china(now),
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
