"""How deep prices go, off the list price and below the floor: what their approvers are told."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from medsales.domain.terms.price_sheet import (
    PriceCell,
    PriceKind,
    SheetVersion,
    discount,
    list_floors,
    lowest,
    own_floors,
)
from medsales.domain.values import Money

UNTOLD = Decimal(100)
"""What nobody can compare counts as all of the price, so that it hides from no approver (P2)."""


class Beside(NamedTuple):
    """What is written into one sheet, with what stands beside it."""

    cells: tuple[PriceCell, ...]
    draft: SheetVersion
    """What the version has said before: a list price may come after its special prices."""
    in_force: SheetVersion

    @property
    def lists(self) -> tuple[PriceCell, ...]:
        """The list prices of the version that is written."""
        return (*self.draft.list_cells(self.draft.lowest), *of_the_list(self.cells))

    @property
    def lists_in_force(self) -> tuple[PriceCell, ...]:
        return self.in_force.list_cells(self.in_force.lowest)

    def deepest(self) -> Decimal:
        """P2: off the list price in force; new products off their own list.

        Where nothing is on the list, off what it has cost so far; where it is, but in another
        currency, nobody can tell.
        """
        listed = {**list_prices(self.lists), **list_prices(self.lists_in_force)}
        bases = {**self.in_force.lowest, **listed}
        untold = UNTOLD if listed else Decimal(0)
        return max(
            discount(price, bases[known]) if known in bases else untold
            for known, price in lowest(self.draft.lowest, self.cells).items()
        )

    def lifts_a_floor(self) -> bool:
        """P5: whoever writes a floor of his own does not let a price below the one that counts.

        The floor of the list may sink with its price, not further; that of anybody in particular
        lies below it only with the consent of those who approve that.
        """
        before, now = list_floors(self.lists_in_force), list_floors(self.lists)
        wider = {**self.in_force.floors, **before, **now}
        own = own_floors(self.draft.floors, self.cells)
        return any(self._sinks(floor, now.get(known)) for known, floor in before.items()) or any(
            self._is_lower(floor, wider.get(known)) for known, floor in own.items()
        )

    def _is_lower(self, own: Money, wider: Money | None) -> bool:
        """Also one of a family that can be compared with none: its products may have another."""
        if wider is None:
            return self.cells[0].family is not None
        return own.amount < wider.amount

    def _sinks(self, before: Money, now: Money | None) -> bool:
        if now is None:
            return True
        cheaper = (
            list_prices(self.lists_in_force)[now.currency].amount
            - list_prices(self.lists)[now.currency].amount
        )
        return before.amount - now.amount > max(cheaper, Decimal(0))


def of_the_list(cells: Iterable[PriceCell]) -> tuple[PriceCell, ...]:
    return tuple(cell for cell in cells if cell.rule is PriceKind.LIST)


def list_prices(cells: Iterable[PriceCell]) -> dict[str, Money]:
    """What a single piece costs everybody, by currency; the cells are of one product or family."""
    found: dict[str, PriceCell] = {}
    for cell in of_the_list(cells):
        known = found.setdefault(cell.price.currency, cell)
        found[cell.price.currency] = min(known, cell, key=lambda each: each.min_quantity)
    return {currency: cell.price for currency, cell in found.items()}
