"""How a repricing list ends: what was given away at older prices has been looked at (P7).

The list follows from what was quoted and ordered (projections/repricing.py). A quote that is
revised, declined, withdrawn or over leaves it by itself, and so does a cancelled order; about the
rest somebody decides, and says why it is left as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from medsales.domain.ids import OrderId, QuoteId
from medsales.domain.kernel import Command, Event, Role, Text
from medsales.domain.terms.price_matrix import COUNTING, WHOLE_LIST, PriceMatrix
from medsales.domain.values import Quantity

Given = tuple[QuoteId | OrderId, ...]


class SettleRepricing(Command[PriceMatrix]):
    """Leave what was given away at older prices as it is: some of the repricing list, or all (P7).

    What somebody changes instead, as by revising a quote, leaves the list without this.
    """

    allowed = (Role.SALES, Role.MANAGER)

    version: Quantity
    given: Annotated[Given, Field(max_length=200)] = ()
    """Quotes and orders of the list; without any, the whole list is settled."""
    reason: Text

    def decide(self, matrix: PriceMatrix) -> RepricingSettled | None:
        version = matrix.version_to_change(self.version, *COUNTING)
        if all(version.settlement(each) for each in self.given or (WHOLE_LIST,)):
            return None
        return RepricingSettled(number=self.version, given=self.given, reason=self.reason)


class RepricingSettled(Event[PriceMatrix]):
    number: int
    given: Given = ()
    """None where it was the whole list."""
    reason: str

    def apply(self, matrix: PriceMatrix, /) -> PriceMatrix:
        version = matrix.versions[self.number]
        now = dict.fromkeys(self.given or (WHOLE_LIST,), self.reason)
        return matrix.with_version(replace(version, settled={**now, **version.settled}))
