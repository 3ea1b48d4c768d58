"""How long an account of many settled invoices takes to be folded anew, against a short one."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bench.measure import Case, Figures, Found, Goal, Table
from bench.setting import Setting
from medsales.domain.ids import CustomerId, OrderId
from medsales.domain.kernel import Event
from medsales.domain.terms.credit import CreditAccount
from medsales.domain.terms.credit_exposure import (
    CreditReserved,
    InvoiceSettled,
    Means,
    OrderInvoiced,
    ReservationShipped,
    Stage,
)
from medsales.domain.values import Money

LONG, SHORT, TENTH = 60_000, 3_000, 10
AMOUNT = Money(amount=Decimal("1250.00"), currency="CNY")
CUSTOMER = CustomerId.of("91330000470003281C")


def measure(setting: Setting) -> list[Table]:
    long = setting.size(LONG, SHORT)
    cases = {"long": folding(long), "short": folding(long // TENTH)}
    return [told(setting.interleaved(cases), long)]


def told(found: Found, long: int) -> Table:
    short, goal = f"{long // TENTH:,} facts", Goal(2, f"{long // TENTH:,} facts", at_most=True)
    lines = [
        found.line(f"folding {short}", ("short", "each", "µs/fact")),
        found.line(f"folding {long:,} facts", ("long", "each", "µs/fact"), {short: "short"}, goal),
        found.line("all of it", ("long", "all", "s")),
    ]
    return Table("A credit account", lines, NOTES)


NOTES = """\
* One customer. Each order is four facts: reserved, shipped, billed, paid. What is settled stays in
  the state, so that no number is used twice.
* Folded from the beginning, from events in memory: what a process does that knows nothing and
  finds no snapshot, without reading and decoding. Time in proportion to the facts is a ratio of 1;
  as long as the maps of the state were copied at each fact it was 4.5."""


def folding(count: int) -> Case:
    events = [event for n in range(count // 4) for event in sold(n)]

    def case() -> Figures:
        begun = time.perf_counter()
        account = CreditAccount().after(events)
        took = time.perf_counter() - begun
        assert len(account.invoices) == count // 4
        return {"each": took / count * 1e6, "all": took}

    return case


def sold(n: int) -> Iterator[Event[Any]]:
    order, invoice = OrderId.of(f"SO-{n}"), f"INV-{n}"
    yield CreditReserved(customer=CUSTOMER, order=order, amount=AMOUNT, stage=Stage.CONFIRMED)
    yield ReservationShipped(order=order, amount=AMOUNT)
    yield OrderInvoiced(number=invoice, order=order, amount=AMOUNT)
    yield InvoiceSettled(
        invoice=invoice, order=order, means=Means.PAYMENT, reference=f"B-{n}", amount=AMOUNT
    )
