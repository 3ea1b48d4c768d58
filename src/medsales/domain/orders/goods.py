"""Goods under an order: units and quantities of lots, counted in piles by line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from medsales.domain.ids import DeviceUnitId, LotId, WarehouseId
from medsales.domain.kernel import Refused, Sentence, Value
from medsales.domain.values import Quantity

LineNumber = Annotated[int, Field(ge=1, le=10_000, examples=[1])]
Units = Annotated[tuple[DeviceUnitId, ...], Field(max_length=500)]


class LotQuantity(Value):
    """A quantity of a lot in one of our warehouses."""

    lot: LotId
    warehouse: WarehouseId
    quantity: Quantity


Quantities = Annotated[tuple[LotQuantity, ...], Field(max_length=100)]


class Goods(Value):
    """Some goods under a line of an order: a unit, or a quantity of a lot from a warehouse."""

    goods: DeviceUnitId | LotId
    warehouse: WarehouseId | None = None
    """None for a unit, which knows itself where it is."""
    line: int
    quantity: int = 1


Pile = dict[tuple[DeviceUnitId | LotId, WarehouseId | None, int], int]
"""How much of which goods, by line."""


def plus(pile: Pile, goods: Iterable[Goods], sign: int = +1) -> Pile:
    total = dict(pile)
    for some in goods:
        key = (some.goods, some.warehouse, some.line)
        total[key] = total.get(key, 0) + sign * some.quantity
    return {key: quantity for key, quantity in total.items() if quantity}


def minus(pile: Pile, goods: Iterable[Goods]) -> Pile:
    return plus(pile, goods, -1)


def picked(
    pile: Pile,
    wanted: Iterable[tuple[DeviceUnitId | LotId, WarehouseId | None, int]],
    refusal: Sentence,
) -> tuple[Goods, ...]:
    """Takes goods from a pile, with the lines they lie under. Raises Refused (D1, D7)."""
    found: list[Goods] = []
    left = dict(pile)
    for goods, warehouse, quantity in wanted:
        missing = quantity
        for key in [key for key in left if key[:2] == (goods, warehouse)]:
            pieces = min(missing, left[key])
            if pieces > 0:
                found.append(Goods(goods=goods, warehouse=warehouse, line=key[2], quantity=pieces))
                left[key] -= pieces
                missing -= pieces
        if missing:
            raise Refused("order.goods_foreign", f"{goods} {refusal.en}", f"{goods} {refusal.zh}")
    return tuple(found)


def must_name_something_once(units: Units, quantities: tuple[LotQuantity, ...]) -> None:
    """Raises ValueError, which the caller is told as a mistake in his request."""
    if len({*units, *(some.lot for some in quantities)}) != len(units) + len(quantities):
        raise ValueError("something is named twice")
    if not units and not quantities:
        raise ValueError("name at least one unit or quantity of a lot")
