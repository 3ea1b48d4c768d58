"""A lot's holders: every unit and quantity, who has each now, and who had it before."""

from tests.dealer import (
    GAUZE,
    GAUZE_LOT,
    HANGZHOU,
    LENS,
    LOT,
    SHANGHAI,
    UNION,
    Dealer,
)

from medsales.domain.ids import LotId
from medsales.domain.orders.fulfilment import ReturnGoods
from medsales.domain.orders.goods import LotQuantity
from medsales.domain.stock.device_unit import ArriveUnit, ScrapUnit, TakeBackUnit, TransferUnit
from medsales.domain.stock.lot import HoldLot, LiftLotHold
from medsales.projections.lot_trace import LotTraced, trace


def traced(dealer: Dealer, lot: LotId) -> LotTraced:
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        found = trace(db, lot)
    assert found is not None
    return found


def holders(found: LotTraced) -> dict[tuple[str, str], int]:
    return {(some.goods, some.holder): some.quantity for some in found.holders}


def former(found: LotTraced) -> set[tuple[str, str]]:
    return {(some.goods, some.holder) for some in found.former}


def test_units_are_found_wherever_they_are(dealer: Dealer) -> None:
    kept, sent, sold = (dealer.receive(serial) for serial in ("S1", "S2", "S3"))
    order = dealer.order("1", (LENS, 2))
    dealer.reserve(order, sent, sold)
    dealer.deliver(dealer.dispatch("A", order, sold))
    dealer.dispatch("B", order, sent)
    found = traced(dealer, LOT)
    assert holders(found) == {(kept, HANGZHOU): 1, (sent, "shipment:B"): 1, (sold, UNION): 1}
    assert former(found) == {(sent, HANGZHOU), (sold, HANGZHOU), (sold, "shipment:A")}
    assert next(some.name for some in found.holders if some.holder == UNION) == (
        "Union Hospital 协和医院"
    )


def test_quantities_are_split_over_their_holders(dealer: Dealer) -> None:
    dealer.receive_gauze(100)
    order = dealer.order("1", (GAUZE, 30))
    some = (LotQuantity(lot=GAUZE_LOT, warehouse=HANGZHOU, quantity=30),)
    dealer.reserve(order, quantities=some)
    dealer.deliver(dealer.dispatch("A", order, quantities=some))
    back = (LotQuantity(lot=GAUZE_LOT, warehouse=HANGZHOU, quantity=4),)
    dealer.tell(ReturnGoods(quantities=back, reason="too many"), order)
    found = traced(dealer, GAUZE_LOT)
    assert holders(found) == {(GAUZE_LOT, HANGZHOU): 74, (GAUZE_LOT, UNION): 26}
    assert former(found) == {(GAUZE_LOT, "shipment:A")}


def test_who_had_a_unit_before_is_remembered_over_a_return_and_a_second_sale(
    dealer: Dealer,
) -> None:
    unit = dealer.receive("S1")
    order = dealer.sell("1", unit)
    dealer.tell(ReturnGoods(units=(unit,), reason="wrong one"), order)
    dealer.tell(TakeBackUnit(warehouse=HANGZHOU), unit)
    dealer.tell(TransferUnit(to=SHANGHAI), unit)
    dealer.tell(ArriveUnit(warehouse=SHANGHAI), unit)
    found = traced(dealer, LOT)
    assert holders(found) == {(unit, SHANGHAI): 1}
    assert former(found) == {(unit, HANGZHOU), (unit, "shipment:DN-1"), (unit, UNION)}


def test_a_scrapped_unit_is_held_by_nobody(dealer: Dealer) -> None:
    unit = dealer.receive("S1")
    dealer.tell(ScrapUnit(reason="broken"), unit)
    found = traced(dealer, LOT)
    assert holders(found) == {}
    assert former(found) == {(unit, HANGZHOU)}


def test_a_hold_on_the_lot_shows_until_the_last_one_is_lifted(dealer: Dealer) -> None:
    dealer.receive("S1")
    for hold in ("Q1", "Q2"):
        dealer.tell(HoldLot(hold=hold, reason="leak"), LOT)
    dealer.tell(LiftLotHold(hold="Q1", reason="tested"), LOT)
    assert traced(dealer, LOT).held
    dealer.tell(LiftLotHold(hold="Q2", reason="tested"), LOT)
    assert not traced(dealer, LOT).held


def test_a_lot_nobody_ever_had_has_no_trace(dealer: Dealer) -> None:
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        assert trace(db, LotId("lot:06901234567892:NONE")) is None


def test_the_trace_is_one_indexed_read(dealer: Dealer) -> None:
    dealer.receive("S1")
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        db.execute("set local enable_seqscan = off")
        plan = db.execute("explain select * from lot_holding where lot = %s", (LOT,)).fetchall()
    assert "lot_holding_pkey" in str(plan)
