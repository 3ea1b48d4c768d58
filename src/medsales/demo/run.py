"""Loads real products and hospitals, lives two years with them, and tells what can be asked."""

import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from medsales.company import Company
from medsales.demo import life, sources, terms
from medsales.demo.life import LIN, QIAN, WU, Arrived, Dealer
from medsales.demo.sources import Source
from medsales.domain.ids import DeviceUnitId, LotId, OrderId
from medsales.domain.kernel import Refused
from medsales.domain.orders.fulfilment import ReserveGoods
from medsales.domain.orders.holds import ConfirmOrder
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.stock.lot import HoldLot
from medsales.domain.values import day_in_china
from medsales.engine.application import Ask
from medsales.projections.customer_360 import customer_seen
from medsales.projections.lot_trace import LotTraced, trace
from medsales.projections.stock_picture import SUMMARY, StockSummary
from medsales.projections.unit_history import history_of

SHOWN = 12
"""Lines of a list that the story shows; the rest is counted."""


def run(
    company: Company,
    console: Console,
    *,
    products: Path | None = None,
    hospitals: Path | None = None,
    units: int = 3000,
) -> None:
    """Fills the company with sample data and tells the story. Raises OSError for missing files."""
    catalogue, sites = sources.devices(products), sources.hospitals(hospitals)
    dealer = life.dealer(company.app)
    arrived = _live(dealer, catalogue, sites, units, console)
    tell_imports(console, catalogue, sites, dealer)
    if arrived:
        _tell(company, dealer, arrived, sites, console)


def _live(
    dealer: Dealer, catalogue: Source, sites: Source, units: int, console: Console
) -> list[Arrived]:
    sellable, customers = life.sellable(catalogue), life.customers_of(sites)
    arrived: list[Arrived] = []
    opening = list(life.opening(dealer, catalogue, sites)) + list(life.pricing(dealer, sellable))
    received = [*life.goods_in(dealer, sellable, units, arrived), *life.lots_in(dealer, sellable)]
    sold = list(life.sales(dealer, customers, arrived)) if customers else []
    years = sorted([*received, *sold], key=life.moment)
    with _progress(console) as progress:
        for title, steps in (("Products, hospitals, prices", opening), ("Two years", years)):
            task = progress.add_task(title, total=len(steps))
            dealer.tell(steps, lambda n, task=task: progress.advance(task, n))  # type: ignore[misc]
    return arrived


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def tell_imports(console: Console, catalogue: Source, sites: Source, dealer: Dealer) -> None:
    """What came in, and every record that was odd."""
    console.print(
        f"\n[bold]Imported[/] {len(catalogue.commands)} of {catalogue.records} device records"
        f" and {len(sites.commands)} of {sites.records} hospitals."
    )
    for listed in (*catalogue.listed, *sites.listed):
        taken = "taken over with a warning" if listed.taken else "[red]not taken over[/]"
        console.print(f"  {listed.source}, {listed.record}: {taken}: {listed.reason}")
    for step, refused in dealer.refusals:
        if step.record:
            console.print(f"  {step.record}: [red]not taken over[/]: {refused.sentence.en}")
    later = [refused for step, refused in dealer.refusals if not step.record]
    for code, count in Counter(refused.code for refused in later).most_common():
        example = next(refused.sentence for refused in later if refused.code == code)
        console.print(f"  refused {count} × {code}: {example.en} / {example.zh}")


def _tell(
    company: Company, dealer: Dealer, arrived: list[Arrived], sites: Source, console: Console
) -> None:
    held = arrived[len(arrived) // 2]
    _hold(dealer, held)
    refused = _try_to_ship(dealer, arrived, held, sites)
    _project(company, console)
    customer = life.customers_of(sites)[0].begins()
    deal = terms.told(company, dealer.run, customer, held.product)
    _project(company, console)
    _tell_lot(company, held.lot, console)
    console.print("\n[bold]Shipping from the held lot is refused[/]")
    for sentence in refused.sentence if refused else ("nothing was left to ship",):
        console.print(f"  {sentence}")
    _tell_unit(company, held.lot, console)
    _tell_stock(company, console)
    _tell_customer(company, held.lot, console)
    terms.shown(company, deal, console)


def _hold(dealer: Dealer, held: Arrived) -> None:
    command = HoldLot(hold="Q-2026-7", reason="leaking seal reported 密封泄漏")
    dealer.app.handle(Ask(command, QIAN, held.lot))


def _try_to_ship(
    dealer: Dealer, arrived: list[Arrived], held: Arrived, sites: Source
) -> Refused | None:
    """Orders what is left of the held lot and tries to send it."""
    customer = life.customers_of(sites)[0]
    order = OrderId.of(f"SO-{dealer.run}-HELD")
    place = PlaceOrder(
        number=order.partition(":")[2],
        customer=customer.begins(),
        price_matrix=life.MATRIX,
        lines=(WantedLine(product=held.product, quantity=1),),
    )
    dealer.app.handle(Ask(place, LIN))
    dealer.app.handle(Ask(ConfirmOrder(), LIN, order))
    for some in (some for some in arrived if some.lot == held.lot):
        try:
            dealer.app.handle(Ask(ReserveGoods(units=(some.unit,)), WU, order))
        except Refused as refused:
            if refused.code == "lot.held":
                return refused
    return None


def _project(company: Company, console: Console) -> None:
    with console.status("Read models …"):
        company.follower.prepare()
        company.follower.renew()
        worker = company.worker()
        worker.processes.prepare()
        worker.catch_up()


def _tell_lot(company: Company, lot: LotId, console: Console) -> None:
    with company.database.reading() as db:
        begun = time.perf_counter()
        found = trace(db, lot)
        took = (time.perf_counter() - begun) * 1000
    assert found is not None, "the lot was received"
    console.print(f"\n[bold]Who holds {lot}[/] (found in {took:.1f} ms, on hold: {found.held})")
    table = Table("holder", "name", "units")
    for holder, (name, count) in _by_holder(found).items():
        table.add_row(holder, name or "", str(count))
    console.print(table)
    console.print(f"  and {len(found.former)} entries of who held them before")


def _by_holder(found: LotTraced) -> dict[str, tuple[str | None, int]]:
    counts: dict[str, tuple[str | None, int]] = {}
    for some in found.holders:
        counts[some.holder] = (some.name, counts.get(some.holder, ("", 0))[1] + some.quantity)
    return counts


def _tell_unit(company: Company, lot: LotId, console: Console) -> None:
    with company.database.reading() as db:
        found = trace(db, lot)
        assert found is not None, "the lot was received"
        goods = [some.goods for some in found.holders]
        longest = max((history_of(db, DeviceUnitId(unit)) for unit in goods), key=len)
    console.print(f"\n[bold]The audit trail of {longest[0].unit}[/]")
    table = Table("position", "effective", "by", "what happened", "发生了什么")
    for entry in longest:
        when = f"{entry.effective_at:%Y-%m-%d}"
        table.add_row(str(entry.position), when, entry.by, entry.en, entry.zh)
    console.print(table)


def _tell_stock(company: Company, console: Console) -> None:
    with company.database.reading() as db:
        rows = [StockSummary(**row) for row in db.execute(SUMMARY)]
    console.print(f"\n[bold]The stock picture[/]: {len(rows)} products, the first {SHOWN}")
    table = Table("product", "in warehouses", "reserved", "in transit", "at customers")
    for row in sorted(rows, key=lambda row: -row.at_customers)[:SHOWN]:
        counts = (row.in_warehouses, row.reserved, row.in_transit, row.at_customers)
        table.add_row(row.name, *map(str, counts))
    console.print(table)


def _tell_customer(company: Company, lot: LotId, console: Console) -> None:
    today = day_in_china(company.app.clock())
    with company.database.reading() as db:
        found = trace(db, lot)
        assert found is not None, "the lot was received"
        holder = next((s.holder for s in found.holders if s.holder.startswith("customer:")), None)
        seen = customer_seen(db, holder, today) if holder else None
    if seen is None:
        return
    profile = seen.profile
    console.print(f"\n[bold]{profile.name}[/], {profile.region}, tier {profile.tier}")
    console.print(f"  {len(seen.orders)} orders, {len(seen.units)} devices on site")
    for price in seen.prices[:3]:
        why = ", ".join(price.price_path)
        console.print(f"  {price.product}: {price.price} {price.currency} ({why})")
