"""Races for what terms limit, against two running servers: call-offs, budgets, last approvals."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import httpx
from tests.api.conftest import SECRET
from tests.api.test_credit_races import TODAY, Shop, shop
from tests.api.test_sales import CONTRACT, ZHAOS_PEN, Office, cny
from tests.dealer import GAUZE, LENS, PRICES, UNION, ZHAO
from tests.engine.purses import history

from medsales.api.auth import issue_token
from medsales.domain.governance.approval import Approve
from medsales.domain.ids import OrderId, PromotionId, QuoteId
from medsales.domain.kernel import Role
from medsales.domain.parties.our_company import DescribeOurCompany
from medsales.domain.sales.offer import WantedQuoteLine
from medsales.domain.sales.quote import DraftQuote, IssueQuote, Quote, SubmitQuote
from medsales.domain.terms.contract import Contract
from medsales.domain.terms.contract_content import AgreedLine
from medsales.domain.terms.promotion import (
    DraftPromotion,
    PercentOff,
    Promotion,
    SubmitPromotion,
    Terms,
)

__all__ = ["shop"]
MANY = 32
SPRING, Q1 = PromotionId("promotion:SPRING"), QuoteId("quote:Q-1")


def all_at_once(shop: Shop, *asked: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
    """Everybody at the same moment, by turns at one server and the other: who, where, what."""
    together = Barrier(len(asked))

    def ask(n: int) -> httpx.Response:
        who, path, body = asked[n]
        roles = (Role.SALES, Role.MANAGER)
        token = issue_token(SECRET, who, who, roles, company=shop.company.name)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"{path}-{n}"}
        with httpx.Client(base_url=shop.urls[n % 2], timeout=60, headers=headers) as http:
            together.wait()
            return http.post(path, json=body)

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(ask, range(len(asked))))


def told(answers: list[httpx.Response]) -> Counter[str]:
    return Counter(each.json().get("code", "done") for each in answers)


def wanted(number: int, pieces: int, **terms: Any) -> tuple[str, str, dict[str, Any]]:
    line = {"product": LENS, "quantity": pieces}
    order = {"number": f"SO-{number}", "customer": UNION, "lines": [line], **terms}
    return f"seller-{number}", "/orders/place-order", order


def begun(shop: Shop) -> list[OrderId]:
    return [OrderId(fact.subject) for fact in history(shop.company, kinds=("OrderPlaced",))]


def test_32_orders_want_the_last_units_of_a_contract_and_get_what_there_is_c2(shop: Shop) -> None:
    """30 are left, everybody wants 4: seven get them, and the last two wait for who wants two."""
    lines = (AgreedLine(product=LENS, price=cny("1111.00"), max_quantity=30),)
    organisation = ZHAOS_PEN.printed["organisation"]
    shop.dealer.tell(DescribeOurCompany(name=organisation, address="杭州"))
    Office(shop.dealer, None).contract(lines=lines)  # type: ignore[arg-type]
    orders = (wanted(n, 4, contract=CONTRACT) for n in range(MANY))
    answers = all_at_once(shop, *orders)
    assert told(answers) == {"done": 7, "contract.quantity_exceeded": MANY - 7}
    assert all(answer.json()["sentences"]["zh"] for answer in answers if answer.is_error)
    contract: Contract = shop.state(CONTRACT, Contract)
    assert contract.drawn[LENS].quantity == 28
    assert set(contract.called) == set(begun(shop))
    (last,) = all_at_once(shop, wanted(99, 2, contract=CONTRACT))
    assert last.status_code == 200, last.text


def test_32_orders_want_one_budget_and_it_is_never_overdrawn(shop: Shop) -> None:
    """A tenth off 1,250: eight orders of one lens fit into 1,000; what one gives back another
    gets."""
    promoted(shop)
    orders = (wanted(n, 1, price_matrix=PRICES, promotion=SPRING) for n in range(MANY))
    assert told(all_at_once(shop, *orders)) == {"done": 8, "promotion.budget_used_up": MANY - 8}
    state: Promotion = shop.state(SPRING, Promotion)
    assert state.drawn == 1000
    assert {*state.draws} == {*begun(shop)}
    first = begun(shop)[0]
    cancelled = ("seller-0", f"/orders/{first}/cancel-order", {"reason": "no need"})
    more = (wanted(n, 1, price_matrix=PRICES, promotion=SPRING) for n in range(50, 60))
    cancelling, *asked = all_at_once(shop, cancelled, *more)
    assert cancelling.status_code == 200, cancelling.text
    assert told(asked)["done"] <= 1
    assert shop.state(SPRING, Promotion).drawn == 125 * len(shop.state(SPRING, Promotion).draws)
    assert shop.state(SPRING, Promotion).drawn <= 1000


def promoted(shop: Shop) -> None:
    terms = Terms(
        name="spring",
        offer=PercentOff(percent=Decimal(10)),
        first_day=TODAY - timedelta(days=1),
        last_day=TODAY + timedelta(days=2),
        currency="CNY",
        budget=cny("1000"),
    )
    shop.dealer.tell(DraftPromotion(code="SPRING", terms=terms))
    shop.dealer.tell(SubmitPromotion(), SPRING)
    seen: Promotion = shop.state(SPRING, Promotion)
    shop.dealer.tell(Approve(content_hash=seen.content_hash), seen.approval, by=ZHAO)


def quoted(shop: Shop, discount: str) -> Quote:
    """Handed in by Chen; with a discount it waits for a manager."""
    draft = DraftQuote(
        number="Q-1",
        customer=UNION,
        price_matrix=PRICES,
        lines=(WantedQuoteLine(product=GAUZE, quantity=10, discount=discount),),
        valid_until=TODAY + timedelta(days=60),
    )
    shop.dealer.tell(draft)
    shop.dealer.tell(SubmitQuote(), Q1)
    quote: Quote = shop.state(Q1, Quote)
    return quote


def test_q2_of_two_last_approvals_at_two_servers_one_counts(shop: Shop) -> None:
    """And a rejection at the same moment is either the end or comes too late."""
    quote = quoted(shop, "10")
    yes = {"content_hash": quote.content_hash}
    path = f"/approvals/{quote.approval}"
    asked = [(f"manager-{n}", f"{path}/approve", yes) for n in range(2)]
    no = ("manager-9", f"{path}/reject", {**yes, "reason": "too cheap"})
    answers = all_at_once(shop, *asked, no)
    assert told(answers) == {"done": 1, "approval.closed": 2}
    ended = history(shop.company, kinds=("QuoteApproved", "QuoteRejected"))
    assert [fact.subject for fact in ended] == [Q1]


def test_q4_q5_of_many_acceptances_and_conversions_at_two_servers_one_counts(shop: Shop) -> None:
    quote = quoted(shop, "0")
    shop.dealer.tell(IssueQuote(), Q1)
    seen = {"version": 1, "content_hash": quote.content_hash, "evidence": "sha256:" + "1e" * 32}
    accepted = all_at_once(
        shop,
        *((f"n-{n}", f"/quotes/{Q1}/accept-quote", {**seen, "accepted_by": f"{n}"}) for n in "ab"),
    )
    assert told(accepted) == {"done": 1, "quote.wrong_stage": 1}
    term = {"valid_from": TODAY.isoformat(), "valid_until": (TODAY + timedelta(30)).isoformat()}
    contract = {"number": "HT-9", "title": "Gauze", **term}
    order = {"number": "SO-1", "customer": UNION, "quote": Q1}
    converted = all_at_once(
        shop,
        ("chen", f"/quotes/{Q1}/convert-quote-to-contract", contract),
        ("lin", "/orders/place-order", order),
    )
    assert told(converted) == {"done": 1, "quote.converted": 1}
    made = history(shop.company, kinds=("OrderPlaced", "ContractDrafted"))
    assert [fact.subject for fact in made] == [shop.state(Q1, Quote).converted_into]
