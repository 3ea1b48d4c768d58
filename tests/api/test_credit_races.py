"""32 confirmations against one limit: never over it, and none lost (K2, K7)."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import httpx
import pytest
from tests.api.conftest import SECRET, new_name, running
from tests.dealer import CHILDREN, LENS, PRICES, UNION, Dealer

from medsales.api.auth import issue_token
from medsales.api.main import create_app
from medsales.company import Companies, Company, open_company
from medsales.domain.governance.approval import Approval
from medsales.domain.ids import ApprovalId, CreditAccountId, CustomerId, OrderId
from medsales.domain.kernel import Role
from medsales.domain.orders.order import Order, OrderStatus
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.terms.credit import AgreeCredit, AgreeGroupLimit, CreditAccount
from medsales.domain.terms.credit_group import JoinGroup, LeaveGroup
from medsales.domain.values import Money
from medsales.settings import Settings

MANY = 32
ROOM_FOR = 10
LENS_PRICE = 1250
LIMIT = Money(amount=ROOM_FOR * LENS_PRICE, currency="CNY")
OURS, THEIRS = CreditAccountId.of(UNION.key), CreditAccountId.of(CHILDREN.key)
TODAY = datetime.now(UTC).date()


class Shop:
    """Two servers of one company: what they decide meets in the database alone."""

    def __init__(self, company: Company, urls: tuple[str, ...]) -> None:
        self.company = company
        self.dealer = Dealer(company)
        self.urls = urls
        token = issue_token(SECRET, "mei", "Mei 梅", (Role.SALES,), company=company.name)
        self.headers = {"Authorization": f"Bearer {token}"}

    def placed(self, number: int, customer: CustomerId) -> OrderId:
        wanted = (WantedLine(product=LENS, quantity=1),)
        place = PlaceOrder(
            number=f"SO-{number}", customer=customer, price_matrix=PRICES, lines=wanted
        )
        return OrderId(self.dealer.tell(place).id)

    def confirm_all(self, orders: list[OrderId]) -> list[httpx.Response]:
        """Everybody at the same moment, by turns at one server and the other."""
        together = Barrier(len(orders))

        def confirm(n: int) -> httpx.Response:
            headers = {**self.headers, "Idempotency-Key": f"confirm-{n}"}
            with httpx.Client(base_url=self.urls[n % 2], timeout=60, headers=headers) as http:
                together.wait()
                return http.post(f"/orders/{orders[n]}/confirm-order", json={})

        with ThreadPoolExecutor(len(orders)) as pool:
            return list(pool.map(confirm, range(len(orders))))

    def approve(self, account: CreditAccountId, content_hash: str) -> httpx.Response:
        """Somebody of finance agrees to the first that was asked about an account."""
        token = issue_token(SECRET, "wei", "Wei 卫", (Role.FINANCE,), company=self.company.name)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "approve"}
        path = f"/approvals/{ApprovalId.of(account, '1')}/approve"
        with httpx.Client(base_url=self.urls[1], timeout=60, headers=headers) as http:
            return http.post(path, json={"content_hash": content_hash})

    def statuses(self, orders: list[OrderId]) -> Counter[OrderStatus | None]:
        return Counter(self.state(order, Order).status for order in orders)

    def state(self, id: str, kind: type[Any]) -> Any:
        self.company.app.memory.look_again([id])
        state = self.company.app.load(id).state
        assert isinstance(state, kind)
        return state


@pytest.fixture
def shop(database_url: str, settings: Settings) -> Iterator[Shop]:
    name = new_name()
    company = open_company(database_url, name)
    one, other = Companies(database_url), Companies(database_url)
    with running(create_app(one, settings)) as here, running(create_app(other, settings)) as there:
        yield Shop(company, (here, there))
    company.database.close()
    for companies in (one, other):
        companies.close()


def test_32_confirmations_against_one_limit_are_confirmed_or_held_and_never_over_it_k2(
    shop: Shop,
) -> None:
    shop.dealer.tell(AgreeCredit(customer=UNION, limit=LIMIT, reason="ok"))
    orders = [shop.placed(n, UNION) for n in range(MANY)]
    answers = shop.confirm_all(orders)
    assert {answer.status_code for answer in answers} == {200}
    assert shop.statuses(orders) == {
        OrderStatus.CONFIRMED: ROOM_FOR,
        OrderStatus.ON_HOLD: MANY - ROOM_FOR,
    }
    told = Counter(answer.json()["events"][0] for answer in answers)
    assert told == {"OrderConfirmed": ROOM_FOR, "OrderHeld": MANY - ROOM_FOR}
    account: CreditAccount = shop.state(OURS, CreditAccount)
    assert account.exposure("CNY", TODAY) == LIMIT.amount
    confirmed = {o for o in orders if shop.state(o, Order).status is OrderStatus.CONFIRMED}
    assert set(account.reservations) == confirmed


def test_leaving_a_group_while_orders_are_confirmed_loses_and_doubles_nothing_k7(
    shop: Shop,
) -> None:
    """Until the grant the limit of the group counts, after it no more; no member is left over."""
    wide = Money(amount=1_000_000, currency="CNY")
    for customer in (UNION, CHILDREN):
        shop.dealer.tell(AgreeCredit(customer=customer, limit=wide, reason="ok"))
    shop.dealer.tell(AgreeGroupLimit(limit=LIMIT, reason="ok"), THEIRS)
    shop.dealer.tell(JoinGroup(head=THEIRS, reason="ok"), OURS)
    shop.dealer.tell(LeaveGroup(reason="sold"), OURS)
    asked = shop.state(ApprovalId.of(OURS, "1"), Approval).content_hash
    orders = [shop.placed(n, UNION) for n in range(MANY)]
    with ThreadPoolExecutor(1) as pool:
        agreed = pool.submit(shop.approve, OURS, asked)
        answers = shop.confirm_all(orders)
    assert {answer.status_code for answer in (agreed.result(), *answers)} == {200}
    head, member = shop.state(THEIRS, CreditAccount), shop.state(OURS, CreditAccount)
    assert (member.head, dict(head.members)) == (None, {})
    confirmed = {o for o in orders if shop.state(o, Order).status is OrderStatus.CONFIRMED}
    assert set(member.reservations) == confirmed
    assert len(confirmed) >= ROOM_FOR
    assert member.exposure("CNY", TODAY) == len(confirmed) * LENS_PRICE


def test_the_limit_of_a_group_holds_over_its_members_k7(shop: Shop) -> None:
    wide = Money(amount=1_000_000, currency="CNY")
    for customer in (UNION, CHILDREN):
        shop.dealer.tell(AgreeCredit(customer=customer, limit=wide, reason="ok"))
    shop.dealer.tell(AgreeGroupLimit(limit=LIMIT, reason="ok"), THEIRS)
    shop.dealer.tell(JoinGroup(head=THEIRS, reason="ok"), OURS)
    orders = [shop.placed(n, (UNION, CHILDREN)[n // 2 % 2]) for n in range(MANY)]
    answers = shop.confirm_all(orders)
    assert {answer.status_code for answer in answers} == {200}
    assert shop.statuses(orders)[OrderStatus.CONFIRMED] == ROOM_FOR
    head, member = shop.state(THEIRS, CreditAccount), shop.state(OURS, CreditAccount)
    assert head.group_exposure("CNY", TODAY) == LIMIT.amount
    assert dict(head.members) == {OURS: member.owed}
