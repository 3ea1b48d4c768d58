"""When the last day of an issued quote has passed unanswered, it is expired (Q4)."""

from datetime import timedelta

from medsales.domain.ids import QuoteId
from medsales.domain.sales.quote import ExpireQuote
from medsales.domain.values import day_in_china
from medsales.engine.consequences import Then
from medsales.engine.timers import Timer, due


@due
def quote_expiry(timer: Timer) -> Then:
    last = day_in_china(timer.due_at) - timedelta(days=1)
    return Then(ExpireQuote(valid_until=last), QuoteId(timer.subject))
