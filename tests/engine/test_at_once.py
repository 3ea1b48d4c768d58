"""Many at once: one wins, the others get a clear answer, and nothing is lost."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.engine.conftest import Server
from tests.engine.purses import (
    PutCoins,
    ShareCoins,
    TakeCoins,
    asked,
    at_once,
    coins,
    commands,
    history,
    must_be_contiguous,
    purse,
)
from tests.engine.trade import ANN, BOB, UNITS, opened_for_business, ordered, received

from medsales.company import Company
from medsales.domain.kernel import Refused
from medsales.domain.orders.cancelling import CancelOrder
from medsales.domain.orders.fulfilment import ReserveGoods
from medsales.domain.orders.holds import ConfirmOrder
from medsales.domain.orders.order import Order, OrderStatus
from medsales.domain.stock.device_unit import DeviceUnit, Lifecycle
from medsales.engine.application import Ask, Receipt

ROOT = Path(__file__).parents[2]


def answered(company: Company, ask: Ask) -> Any:
    return company.app.handle_many([ask])[0]


def kinds(answers: list[Any]) -> Counter[str]:
    """Who won, who had nothing to do, who was told no and why."""
    return Counter(
        ("won" if answer.events else "nothing")
        if isinstance(answer, Receipt)
        else getattr(answer, "code", type(answer).__name__)
        for answer in answers
    )


def must_have_lost_nothing(company: Company, answers: list[Any], before: int) -> None:
    """Every acknowledged event is in the log, and nothing else is."""
    log = history(company)
    must_be_contiguous(log)
    told = [event for a in answers if isinstance(a, Receipt) for event in a.events]
    assert Counter(told) == Counter(type(fact.event).__name__ for fact in log[before:])
    kept = Counter(line["outcome"] for line in commands(company))
    assert kept["refused"] == sum(isinstance(answer, Refused) for answer in answers)


@pytest.fixture
def dealer(trader: Company) -> Company:
    opened_for_business(trader)
    return trader


def test_twenty_reserve_the_last_open_piece_and_one_gets_it(dealer: Company) -> None:
    units = received(dealer, 20)
    order = ordered(dealer, "1", 1)
    before = dealer.log.head()
    answers = at_once(
        20, lambda n: answered(dealer, asked(ReserveGoods(units=(units[n],)), order, ANN))
    )
    counted = kinds(answers)
    assert counted["won"] == 1
    assert set(counted) <= {"won", "order.more_than_open"}
    must_have_lost_nothing(dealer, answers, before)
    assert dealer.log.head() == before + 2
    reserved = [u for u in units if state_of(dealer, u).lifecycle is Lifecycle.RESERVED]
    assert len(reserved) == 1


def state_of(company: Company, unit: str) -> DeviceUnit:
    state = company.app.load(unit).state
    assert isinstance(state, DeviceUnit)
    return state


def test_twenty_orders_want_the_same_unit_and_one_gets_it(dealer: Company) -> None:
    (unit,) = received(dealer, 1)
    orders = [ordered(dealer, str(n)) for n in range(20)]
    before = dealer.log.head()
    answers = at_once(
        20, lambda n: answered(dealer, asked(ReserveGoods(units=(unit,)), orders[n], ANN))
    )
    counted = kinds(answers)
    assert counted["won"] == 1
    assert set(counted) <= {"won", "unit.wrong_stage"}
    must_have_lost_nothing(dealer, answers, before)
    (winner,) = (n for n in range(20) if isinstance(answers[n], Receipt))
    assert state_of(dealer, unit).order == orders[winner]


def test_twenty_confirm_and_cancel_one_order_and_each_happens_once(dealer: Company) -> None:
    order = ordered(dealer, "1", confirmed=False)
    before = dealer.log.head()
    wishes = [ConfirmOrder(), CancelOrder(reason="budget")]
    answers = at_once(
        20, lambda n: answered(dealer, asked(wishes[n % 2], order, (ANN, BOB)[n % 2]))
    )
    happened = Counter(event for a in answers if isinstance(a, Receipt) for event in a.events)
    assert happened["OrderCancelled"] == 1
    assert happened["OrderConfirmed"] <= 1
    assert set(kinds(answers)) <= {"won", "nothing", "order.wrong_stage"}
    must_have_lost_nothing(dealer, answers, before)
    state = dealer.app.load(order).state
    assert isinstance(state, Order)
    assert state.status is OrderStatus.CANCELLED


def test_twenty_take_the_last_coin(company: Company) -> None:
    id = purse(company, coins=1)
    answers = at_once(20, lambda _: answered(company, asked(TakeCoins(coins=1), id)))
    assert kinds(answers)["won"] == 1
    assert coins(company, id) == 0
    must_have_lost_nothing(company, answers, 1)


def test_coins_that_go_round_in_all_directions_are_neither_lost_nor_made(company: Company) -> None:
    ids = [purse(company, f"owner-{n}", 20) for n in range(5)]

    def share(n: int) -> list[Any]:
        others = tuple(id for id in ids if id != ids[n % 5])
        ask = [
            asked(ShareCoins(to=others[: 1 + k % 3], coins=1 + k % 4), ids[n % 5]) for k in range(6)
        ]
        return [answered(company, each) for each in ask]

    answers = [answer for some in at_once(10, share) for answer in some]
    assert sum(coins(company, id) for id in ids) == 100
    assert min(coins(company, id) for id in ids) >= 0
    must_be_contiguous(history(company))
    told = sum(len(a.events) for a in answers if isinstance(a, Receipt))
    assert company.log.head() == 5 + told


def test_batches_that_disturb_each_other_lose_nothing(company: Company) -> None:
    """Each batch puts in and takes out; nobody is ever paid what is not there."""
    id = purse(company, coins=0)

    def batch(_: int) -> list[Any]:
        asks = [
            asked(PutCoins(coins=2), id),
            asked(TakeCoins(coins=2), id),
            asked(TakeCoins(coins=1), id),
        ]
        return company.app.handle_many(asks)

    answers = [answer for some in at_once(8, batch) for answer in some]
    balance = 0
    for fact in history(company)[1:]:
        balance += fact.event.coins * (1 if type(fact.event).__name__ == "CoinsPut" else -1)
        assert balance >= 0
    assert coins(company, id) == balance
    told = sum(len(a.events) for a in answers if isinstance(a, Receipt))
    assert company.log.head() == 1 + told


PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from medsales.catalogue import PROJECTIONS
from medsales.domain.orders.fulfilment import ReserveGoods
from tests.engine.purses import asked, at_once, opened
from tests.engine.test_at_once import answered, kinds
from tests.engine.trade import ANN, UNITS
company = opened(sys.argv[2], sys.argv[3], PROJECTIONS)
company.log.head()
first = int(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
reserve = lambda n: asked(ReserveGoods(units=(UNITS[first + n],)), "order:1", ANN)
answers = at_once(5, lambda n: answered(company, reserve(n)))
print(json.dumps(kinds(answers)), flush=True)
company.database.close()
"""


def test_four_programs_with_five_threads_each_reserve_the_last_open_piece(
    dealer: Company, server: Server
) -> None:
    received(dealer, 20)
    ordered(dealer, "1", 1)
    before = dealer.log.head()
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(ROOT), server.url, dealer.name, str(first)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for first in range(0, 20, 5)
    ]
    assert [each.stdout.readline() for each in programs if each.stdout] == ["ready\n"] * 4
    for each in programs:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    counted: Counter[str] = Counter()
    for each in programs:
        counted += Counter(json.loads(each.communicate()[0]))
    assert counted.total() == 20
    assert counted["won"] == 1
    assert set(counted) <= {"won", "order.more_than_open"}
    assert dealer.log.head() == before + 2
    must_be_contiguous(history(dealer))
    reserved = [u for u in UNITS if state_of(dealer, u).lifecycle is Lifecycle.RESERVED]
    assert len(reserved) == 1
