"""The stock picture adds up: levels are the sum of the ledger, and nothing is left out."""

from tests.dealer import (
    GAUZE,
    GAUZE_LOT,
    HANGZHOU,
    LENS,
    SHANGHAI,
    UNION,
    Dealer,
)

from medsales.domain.orders.cancelling import CancelOrder
from medsales.domain.orders.fulfilment import ReturnGoods, SellPlacedUnits
from medsales.domain.orders.goods import LotQuantity
from medsales.domain.stock.device_unit import (
    ArriveUnit,
    CollectUnit,
    InstallUnit,
    OpenRepair,
    PlaceUnit,
    ScrapUnit,
    TakeBackUnit,
    TransferUnit,
)
from medsales.domain.stock.lot import ScrapLot
from medsales.domain.stock.warehouse import Zone
from medsales.projections.stock_picture import PICTURE, SUMMARY, PictureLine, StockSummary

Levels = dict[tuple[str, str], tuple[int, int, int, int]]


def levels(dealer: Dealer, product: str = LENS) -> Levels:
    """(holder, zone) to (on hand, reserved, free, ours)."""
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        rows = db.execute(PICTURE, {"holder": None, "product": product}).fetchall()
    lines = [PictureLine(**row) for row in rows]
    return {(s.holder, s.zone): (s.on_hand, s.reserved, s.free, s.ours) for s in lines}


def summed(dealer: Dealer, product: str = LENS) -> StockSummary:
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        rows = [StockSummary(**row) for row in db.execute(SUMMARY)]
    return next(row for row in rows if row.product == product)


def test_what_is_reserved_is_on_hand_but_not_free(dealer: Dealer) -> None:
    units = [dealer.receive(f"S{n}") for n in range(3)]
    order = dealer.order("1", (LENS, 2))
    dealer.reserve(order, *units[:2])
    assert levels(dealer) == {(HANGZHOU, "qualified"): (3, 2, 1, 0)}
    dealer.tell(CancelOrder(reason="changed mind"), order)
    assert levels(dealer) == {(HANGZHOU, "qualified"): (3, 0, 3, 0)}


def test_goods_are_followed_from_warehouse_over_shipment_to_customer(dealer: Dealer) -> None:
    first, second = dealer.receive("S1"), dealer.receive("S2")
    order = dealer.order("1", (LENS, 2))
    dealer.reserve(order, first, second)
    dealer.deliver(dealer.dispatch("A", order, first))
    dealer.dispatch("B", order, second)
    assert levels(dealer) == {("shipment:B", ""): (1, 0, 0, 0), (UNION, ""): (1, 0, 0, 0)}
    total = summed(dealer)
    assert (total.in_warehouses, total.in_transit, total.at_customers) == (0, 1, 1)


def test_goods_between_two_warehouses_are_in_transit(dealer: Dealer) -> None:
    unit = dealer.receive("S1")
    dealer.tell(TransferUnit(to=SHANGHAI), unit)
    assert summed(dealer).in_transit == 1
    dealer.tell(ArriveUnit(warehouse=SHANGHAI), unit)
    assert levels(dealer) == {(SHANGHAI, "qualified"): (1, 0, 1, 0)}


def test_what_is_placed_with_a_customer_stays_ours_until_sold(dealer: Dealer) -> None:
    demo, loan = dealer.receive("S1"), dealer.receive("S2")
    for unit, kind in ((demo, "demo"), (loan, "loan")):
        dealer.tell(
            PlaceUnit(placement=kind, customer=UNION, agreement="A1", due_back="2030-01-01"), unit
        )
    assert levels(dealer) == {(UNION, ""): (2, 0, 0, 2)}
    order = dealer.order("1", (LENS, 1))
    dealer.tell(SellPlacedUnits(units=(demo,), used_disclosed=True), order)
    assert levels(dealer) == {(UNION, ""): (2, 0, 0, 1)}
    dealer.tell(CollectUnit(reason="loan over"), loan)
    dealer.tell(TakeBackUnit(warehouse=HANGZHOU), loan)
    assert levels(dealer) == {(UNION, ""): (1, 0, 0, 0), (HANGZHOU, "returns"): (1, 0, 0, 0)}


def test_u11_quantities_are_conserved(dealer: Dealer) -> None:
    dealer.receive_gauze(100)
    order = dealer.order("1", (GAUZE, 40))
    some = (LotQuantity(lot=GAUZE_LOT, warehouse=HANGZHOU, quantity=40),)
    dealer.reserve(order, quantities=some)
    dealer.deliver(dealer.dispatch("A", order, quantities=some))
    back = (LotQuantity(lot=GAUZE_LOT, warehouse=HANGZHOU, quantity=5),)
    dealer.tell(ReturnGoods(quantities=back, reason="too many"), order)
    scrap = ScrapLot(warehouse=HANGZHOU, zone=Zone.RETURNS, quantity=2, reason="opened")
    dealer.tell(scrap, GAUZE_LOT)
    assert levels(dealer, GAUZE) == {
        (HANGZHOU, "qualified"): (60, 0, 60, 0),
        (HANGZHOU, "returns"): (3, 0, 0, 0),
        (UNION, ""): (35, 0, 0, 0),
    }


def test_the_levels_are_the_sum_of_the_ledger(dealer: Dealer) -> None:
    dealer.sell("1", dealer.receive("S1"), dealer.receive("S2"))
    dealer.receive_gauze(7)
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        wrong = db.execute("""
            with entries as (
                select source as holder, source_zone as zone, product, lot, -quantity as n
                    from stock_movement where source <> ''
                union all select destination, destination_zone, product, lot, quantity
                    from stock_movement where destination <> '')
            select holder, zone, product, lot, sum(n) from entries
                group by holder, zone, product, lot having sum(n) <> 0
            except select holder, zone, product, lot, on_hand from stock_level where on_hand <> 0
        """).fetchall()
    assert wrong == []


def test_what_is_scrapped_at_a_customer_is_no_longer_ours_there(dealer: Dealer) -> None:
    unit = dealer.receive("S1")
    dealer.tell(
        PlaceUnit(placement="demo", customer=UNION, agreement="A1", due_back="2030-01-01"), unit
    )
    for command in (InstallUnit(department="Eye"), OpenRepair(fault="fell"), ScrapUnit(reason="x")):
        dealer.tell(command, unit)
    total = summed(dealer)
    assert (total.at_customers, total.ours_at_customers) == (0, 0)
