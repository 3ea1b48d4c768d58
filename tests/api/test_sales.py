"""Quotes over HTTP, the terms in force on both axes, and the repricing list (Q1-Q7, P7)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tests.api.conftest import Api, Server, new_name
from tests.dealer import CHILDREN, GAUZE, LENS, PRICES, UNION, ZHAO, Dealer
from tests.engine.purses import history

from medsales.company import open_company
from medsales.domain.governance.approval import Approve
from medsales.domain.governance.signature import Meaning
from medsales.domain.ids import ContractId, OrderId
from medsales.domain.kernel import Role
from medsales.domain.orders.cancelling import CancelOrder
from medsales.domain.parties.customer import ReviseCustomer
from medsales.domain.parties.our_company import DescribeOurCompany
from medsales.domain.terms.contract import Contract, DraftContract, SendContract, SubmitContract
from medsales.domain.terms.contract_content import AgreedLine, Clause
from medsales.domain.terms.contract_signing import (
    RecordCounterpartySignature,
    SignContract,
    SigningMethod,
)
from medsales.domain.terms.price_matrix import DraftVersion, PriceCell
from medsales.domain.values import Money, day_in_china
from medsales.testing import Pen

EVERYBODY = tuple(role for role in Role if role is not Role.SYSTEM)
Q1 = "quote:Q-1"
CONTRACT = ContractId("contract:HT-1")
LETTER = "sha256:" + "1e" * 32
TODAY = day_in_china(datetime.now(UTC))
FAR, SOON = TODAY + timedelta(days=365), TODAY + timedelta(days=60)
DRAFT = {
    "number": "Q-1",
    "customer": UNION,
    "price_matrix": PRICES,
    "lines": [{"product": GAUZE, "quantity": 100}],
    "valid_until": SOON.isoformat(),
}
ZHAOS_PEN = Pen("zhao", ZHAO.name, role=Role.LEGAL)


@dataclass
class Office:
    """Somebody who may do everything, at a server; nobody else works there."""

    dealer: Dealer
    api: Api

    def tell(self, path: str, **body: Any) -> httpx.Response:
        return self.api.post(path, body)

    def done(self, path: str, **body: Any) -> Any:
        answer = self.tell(path, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, **given: Any) -> Any:
        self.dealer.catch_up()
        answer = self.api.get(path, **given)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def quote(self) -> Any:
        return self.get(f"/quotes/{Q1}")

    def issued(self, **otherwise: Any) -> Any:
        self.done("/quotes/draft-quote", **{**DRAFT, **otherwise})
        self.done(f"/quotes/{Q1}/submit-quote")
        self.done(f"/quotes/{Q1}/issue-quote")
        return self.acceptance()

    def acceptance(self) -> dict[str, Any]:
        version = self.quote()["versions"][-1]
        return {
            "version": version["version"],
            "content_hash": version["content_hash"],
            "accepted_by": "刘主任",
            "evidence": LETTER,
        }

    def terms(self, **given: Any) -> Any:
        asked = {"product": LENS, "price_matrix": PRICES, **given}
        return self.get(f"/customers/{UNION}/terms-in-force", **asked)

    def price(self, since: str, **amounts: str) -> int:
        """A version of all prices, in force; its number."""
        cells = tuple(
            PriceCell(product=product, price=Money(amount=amounts[name], currency="CNY"))
            for name, product in (("lens", LENS), ("gauze", GAUZE))
            if name in amounts
        )
        self.dealer.tell(DraftVersion(effective_from=since, cells=cells), PRICES)
        number = len(history(self.dealer.company, kinds=("MatrixVersionDrafted",)))
        self.dealer.put_in_force(number)
        return number

    def contract(self, **otherwise: Any) -> Contract:
        """Drafted by Chen, approved and signed by Zhao, sealed by the hospital."""
        said = {
            "number": "HT-1",
            "customer": UNION,
            "title": "Lenses",
            "lines": (AgreedLine(product=LENS, price=cny("1111.00"), max_quantity=50),),
            "currency": "CNY",
            "valid_from": TODAY,
            "valid_until": FAR,
            "price_matrix": PRICES,
            "clauses": (Clause(key="payment", title="付款", text="验收后 60 日内付款"),),
            "payment_days": 60,
        }
        self.dealer.tell(DraftContract(**{**said, **otherwise}))
        self.dealer.tell(SubmitContract(), CONTRACT)
        approve = Approve(content_hash=self.hash())
        self.dealer.tell(approve, self.state().approval(CONTRACT), by=ZHAO)
        self.dealer.tell(SendContract(), CONTRACT)
        organisation = ZHAOS_PEN.printed["organisation"]
        self.dealer.tell(DescribeOurCompany(name=organisation, address="杭州"))
        self.dealer.tell(ZHAOS_PEN.registration())
        for command in ZHAOS_PEN.commands():
            self.dealer.tell(command, ZHAOS_PEN.id, by=ZHAO)
        self.dealer.tell(self.sealed(), CONTRACT)
        self.dealer.tell(self.signed(), CONTRACT, by=ZHAO)
        return self.state()

    def state(self) -> Contract:
        return self.dealer.company.app.existing(CONTRACT, Contract)

    def hash(self) -> str:
        under_way = self.state().under_way
        assert under_way is not None
        return under_way.content_hash

    def sealed(self) -> RecordCounterpartySignature:
        return RecordCounterpartySignature(
            signer_name="刘院长",
            title="院长",
            organisation="Union Hospital 协和医院",
            method=SigningMethod.SEALED_PAPER,
            evidence=LETTER,
            signed_at=self.dealer.company.app.clock(),
            content_hash=self.hash(),
        )

    def signed(self) -> SignContract:
        signature = ZHAOS_PEN.signs(
            CONTRACT, 1, self.hash(), Meaning.RESPONSIBILITY, at=self.dealer.company.app.clock()
        )
        return SignContract(signature=signature)


def cny(amount: str) -> Money:
    return Money(amount=amount, currency="CNY")


@pytest.fixture
def office(server: Server) -> Iterator[Office]:
    name = new_name()
    company = server.companies.opened[name] = open_company(server.database_url, name)
    company.follower.prepare()
    dealer = Dealer(company)
    with httpx.Client(base_url=server.url, timeout=30) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(*EVERYBODY, user="chen"))
        yield Office(dealer, api)
    server.forget(name)


# A quote's life


def test_a_quote_lives_over_http(office: Office) -> None:
    acceptance = office.issued()
    office.done(f"/quotes/{Q1}/accept-quote", **acceptance)
    office.done("/orders/place-order", number="SO-1", customer=UNION, quote=Q1)
    quote = office.quote()
    assert (quote["quote"]["status"], quote["quote"]["converted_into"]) == (
        "converted",
        "order:SO-1",
    )
    (line,) = quote["versions"][0]["shown"]["lines"]
    assert (line["price"]["amount"], line["rule"], line["discount"]) == ("2.50", "list", "0.00")
    order = office.get("/orders/order:SO-1")
    assert order["lines"][0]["price_path"][-1] == "quote version 1"


def test_quotes_are_listed_by_customer_and_stage(office: Office) -> None:
    for n, customer in ((1, UNION), (2, UNION), (3, CHILDREN)):
        office.done("/quotes/draft-quote", **{**DRAFT, "number": f"Q-{n}", "customer": customer})
    office.done("/quotes/quote:Q-2/submit-quote")
    found = office.get("/quotes", customer=UNION, limit=1)
    assert [card["quote"] for card in found["items"]] == [Q1]
    rest = office.get("/quotes", customer=UNION, after=found["next"])
    assert [card["quote"] for card in rest["items"]] == ["quote:Q-2"]
    approved = office.get("/quotes", status="approved")
    assert [card["quote"] for card in approved["items"]] == ["quote:Q-2"]


def test_what_is_not_there_is_a_404(office: Office) -> None:
    office.dealer.catch_up()
    answer = office.api.get("/quotes/quote:none")
    assert (answer.status_code, answer.json()["code"]) == (404, "quote.unknown")


@pytest.mark.parametrize("internal", ["take-verdict", "convert-quote", "expire-quote"])
def test_nobody_takes_the_place_of_the_machinery(office: Office, internal: str) -> None:
    """An approval, a conversion and the clock cannot be played over HTTP."""
    office.issued()
    assert office.tell(f"/quotes/{Q1}/{internal}").status_code in {404, 405}


def test_q5_of_many_acceptances_and_conversions_at_once_one_counts(office: Office) -> None:
    """Against a running server; the others are told what has become of it."""
    acceptance = office.issued()

    def accepts(n: int) -> httpx.Response:
        return office.tell(
            f"/quotes/{Q1}/accept-quote", **{**acceptance, "accepted_by": f"Doctor {n}"}
        )

    def converts(n: int) -> httpx.Response:
        if n % 2:
            return office.tell("/orders/place-order", number=f"SO-{n}", customer=UNION, quote=Q1)
        contract = {"number": f"HT-{n}", "title": "Gauze", "valid_from": TODAY.isoformat()}
        until = {"valid_until": FAR.isoformat()}
        return office.tell(f"/quotes/{Q1}/convert-quote-to-contract", **contract, **until)

    with ThreadPoolExecutor(16) as many:
        accepted = list(many.map(accepts, range(16)))
        converted = list(many.map(converts, range(16)))
    assert sorted(answer.status_code for answer in accepted) == [200] + 15 * [422]
    assert {answer.json().get("code") for answer in accepted} == {None, "quote.wrong_stage"}
    assert sorted(answer.status_code for answer in converted) == [200] + 15 * [422]
    assert {answer.json().get("code") for answer in converted} == {None, "quote.converted"}
    begun = history(office.dealer.company, kinds=("OrderPlaced", "ContractDrafted"))
    assert [fact.subject for fact in begun] == [office.quote()["quote"]["converted_into"]]


def test_a_refusal_is_kept_with_its_sentences(office: Office) -> None:
    office.done("/quotes/draft-quote", **DRAFT)
    answer = office.tell(f"/quotes/{Q1}/issue-quote")
    assert answer.status_code == 422
    assert "而非已批准" in answer.text
    kept = office.api.get("/refusals", Role.AUDITOR).text
    assert "version 1 is draft, not approved" in kept


# Which terms were in force


def test_a_price_says_rule_version_and_who_approved_it(office: Office) -> None:
    found = office.terms()
    applied = found["applied"]
    assert (applied["source"], applied["id"], applied["version"]) == ("price_matrix", PRICES, 1)
    assert (applied["price"]["amount"], applied["rule"]) == ("1250.00", "list")
    assert applied["path"][0] == "CN version 1"
    approval = applied["approval"]
    assert approval["approval"] == f"approval:{PRICES}:1"
    assert approval["content_hash"] == applied["content_hash"]
    (consent,) = approval["consents"]
    assert (consent["approver"], consent["name"], consent["role"]) == (
        "zhao",
        ZHAO.name,
        "manager",
    )
    assert (found["on"], found["clauses"]) == (TODAY.isoformat(), [])


def test_p4_a_contract_comes_before_the_prices_of_a_matrix(office: Office) -> None:
    office.contract()
    found = office.terms(quantity=10)
    applied = found["applied"]
    assert (applied["source"], applied["id"], applied["rule"]) == ("contract", CONTRACT, "contract")
    assert applied["price"]["amount"] == "1111.00"
    assert [clause["key"] for clause in found["clauses"]] == ["payment"]
    assert found["payment_days"] == 60
    assert [c["approver"] for c in applied["approval"]["consents"]] == ["zhao"]
    sealed, signed = applied["signatures"]
    assert (sealed["printed_name"], sealed["evidence"], sealed["counts"]) == (
        "刘院长",
        LETTER,
        True,
    )
    assert (signed["printed_name"], signed["meaning"], signed["counts"]) == (
        ZHAO.name,
        "responsibility",
        True,
    )
    assert signed["signature"].startswith("signature:")
    assert signed["content_hash"] == applied["content_hash"]


def test_what_a_contract_does_not_cover_costs_what_the_matrix_says(office: Office) -> None:
    office.contract()
    more = office.terms(quantity=51)
    assert (more["applied"]["source"], more["clauses"]) == ("price_matrix", [])
    (why,) = more["not_applied"]
    assert (why["id"], why["code"]) == (CONTRACT, "contract.quantity_exceeded")
    before = office.terms(on=(TODAY - timedelta(days=1)).isoformat())
    assert before["applied"]["source"] == "price_matrix"
    other = office.terms(product=GAUZE)
    assert [one["code"] for one in other["not_applied"]] == ["contract.not_agreed"]


def test_both_axes_what_was_known_then_and_what_applied_then(office: Office) -> None:
    """A late version changes what a day is known to have cost, not what was known that day."""
    known = office.dealer.company.log.head()
    office.contract()
    signed = office.dealer.company.log.head()
    number = office.price("2025-01-01", lens="999.00")
    matrix: dict[str, Any] = {"quantity": 51}

    def price(**given: Any) -> str:
        amount: str = office.terms(**given)["applied"]["price"]["amount"]
        return amount

    assert price() == price(as_of=signed) == "1111.00"
    assert price(as_of=known) == "1250.00"
    assert price(**matrix) == "999.00"
    assert price(**matrix, as_of=signed) == "1250.00"
    assert price(**matrix, on="2024-06-01") == "1250.00"
    assert price(**matrix, on="2025-06-01") == "999.00"
    assert price(**matrix, on="2025-06-01", as_of=signed) == "1250.00"
    late = office.terms(**matrix, on="2025-06-01")["applied"]
    assert (late["version"], late["approval"]["approval"]) == (
        number,
        f"approval:{PRICES}:{number}",
    )


def test_the_customer_is_the_one_of_that_day(office: Office) -> None:
    """A tier changed today does not change what applied last year."""
    cells = tuple(
        PriceCell(product=LENS, price=cny(amount), tier=tier)
        for amount, tier in (("900.00", "A"), ("1000.00", "B"))
    )
    office.dealer.tell(DraftVersion(effective_from="2025-01-01", cells=cells), PRICES)
    office.dealer.put_in_force(2)
    office.dealer.tell(ReviseCustomer(name="Union", region="ZJ", tier="B", address="1 Road"), UNION)
    changed = history(office.dealer.company, kinds=("CustomerRevised",))[-1]
    before = (changed.effective_at - timedelta(microseconds=1)).isoformat()
    assert office.terms()["applied"]["price"]["amount"] == "1000.00"
    assert office.terms(effective_at=before)["applied"]["price"]["amount"] == "900.00"


def test_a_price_that_was_quoted_is_told_with_its_discount_and_approvers(office: Office) -> None:
    """The auditor's question: why this price, by which rule, approved by whom."""
    lines = [{"product": LENS, "quantity": 2, "discount": "20"}]
    office.done("/quotes/draft-quote", **{**DRAFT, "lines": lines})
    office.done(f"/quotes/{Q1}/submit-quote")
    card = office.quote()["quote"]
    assert office.terms()["quoted"] == []
    seen = office.acceptance()["content_hash"]
    office.dealer.tell(Approve(content_hash=seen), card["approval"], by=ZHAO)
    office.done(f"/quotes/{Q1}/issue-quote")
    issued = office.dealer.company.log.head()
    (quoted,) = office.terms()["quoted"]
    assert (quoted["price"]["amount"], quoted["discount"], quoted["in_force"]["amount"]) == (
        "1000.00",
        "20.00",
        "1250.00",
    )
    assert quoted["approval"]["content_hash"] == quoted["content_hash"] == seen
    assert [one["name"] for one in quoted["approval"]["consents"]] == [ZHAO.name]
    office.done(f"/quotes/{Q1}/decline-quote", reason="no budget")
    assert office.terms()["quoted"] == []
    assert office.terms(as_of=issued)["quoted"] == [quoted]


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"product": "product:none"}, 404, "product.unknown"),
        ({"on": "2020-01-01"}, 422, "price.none"),
        ({"price_matrix": None}, 422, "terms.none"),
        ({"price_matrix": "price-matrix:none"}, 404, "price-matrix.unknown"),
    ],
)
def test_where_nothing_applied_it_says_so(
    office: Office, given: dict[str, Any], status: int, code: str
) -> None:
    office.dealer.catch_up()
    asked = {"product": LENS, "price_matrix": PRICES, **given}
    asked = {name: value for name, value in asked.items() if value is not None}
    answer = office.api.get(f"/customers/{UNION}/terms-in-force", **asked)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


# P7: the repricing list


def test_p7_a_late_version_lists_what_was_given_at_older_prices(office: Office) -> None:
    acceptance = office.issued()
    office.done(f"/quotes/{Q1}/accept-quote", **acceptance)
    order = office.dealer.order("SO-1", (LENS, 2), customer=CHILDREN)
    path = f"/price-matrices/{PRICES}/versions/2/repricing"
    number = office.price("2025-01-01", lens="1000.00", gauze="2.50")
    assert number == 2
    assert office.get(f"/price-matrices/{PRICES}/versions/1/repricing")["items"] == []
    (line,) = office.get(path)["items"]
    assert (line["id"], line["status"], line["price_version"]) == (order, "confirmed", 1)
    assert (line["in_force"], line["new_price"], line["difference"]) == (
        "1250.00",
        "1000.00",
        "-500.00",
    )
    office.price("2025-01-01", lens="1000.00", gauze="3.00")
    assert office.get(path)["items"] == []
    third = office.get(f"/price-matrices/{PRICES}/versions/3/repricing")["items"]
    assert [(one["id"], one["line"], one["new_price"]) for one in third] == [
        (order, 1, "1000.00"),
        (Q1, 1, "3.00"),
    ]
    assert office.quote()["versions"][0]["shown"]["lines"][0]["price"]["amount"] == "2.50"


def test_p7_what_no_longer_counts_is_not_repriced(office: Office) -> None:
    office.issued()
    office.done(f"/quotes/{Q1}/decline-quote", reason="no budget")
    order = office.dealer.order("SO-1", (LENS, 2))
    office.dealer.tell(CancelOrder(reason="no need"), OrderId(order))
    office.price("2025-01-01", lens="1000.00", gauze="3.00")
    assert office.get(f"/price-matrices/{PRICES}/versions/2/repricing")["items"] == []


def test_p7_a_list_is_settled_line_by_line_or_as_a_whole(office: Office) -> None:
    """A quote that is withdrawn leaves it; what stays as it is, somebody has decided."""
    office.issued()
    orders = [office.dealer.order(f"SO-{n}", (LENS, 1)) for n in range(2)]
    office.price("2025-01-01", lens="1000.00", gauze="3.00")
    path, settle = (
        f"/price-matrices/{PRICES}/{what}" for what in ("versions/2/repricing", "settle-repricing")
    )

    def listed() -> dict[str, str | None]:
        return {line["id"]: line["settled"] for line in office.get(path)["items"]}

    def to_do() -> int:
        return len(office.get("/tasks", kind="reprice")["items"])

    assert listed() == {Q1: None, orders[0]: None, orders[1]: None}
    office.done(f"/quotes/{Q1}/withdraw-quote", reason="offered anew")
    office.done(settle, version=2, given=[orders[0]], reason="credited")
    assert listed() == {orders[0]: "credited", orders[1]: None}
    assert to_do() == 1
    office.done(settle, version=2, reason="nobody minds")
    assert listed() == {orders[0]: "credited", orders[1]: "nobody minds"}
    assert to_do() == 0


def test_p7_an_order_made_of_a_quote_is_listed_with_the_quote(office: Office) -> None:
    acceptance = office.issued()
    office.done(f"/quotes/{Q1}/accept-quote", **acceptance)
    office.done("/orders/place-order", number="SO-1", customer=UNION, quote=Q1)
    office.price("2025-01-01", gauze="3.00")
    found = office.get(f"/price-matrices/{PRICES}/versions/2/repricing", limit=1)
    assert [(line["id"], line["status"]) for line in found["items"]] == [(Q1, "converted")]


def test_p7_the_list_pages_and_shows_the_past(office: Office) -> None:
    orders = [office.dealer.order(f"SO-{n}", (LENS, 1)) for n in range(3)]
    office.price("2025-01-01", lens="1000.00")
    path = f"/price-matrices/{PRICES}/versions/2/repricing"
    first = office.get(path, limit=2)
    second = office.get(path, limit=2, after=first["next"])
    assert [one["id"] for one in (*first["items"], *second["items"])] == orders
    then = office.dealer.company.log.head()
    office.dealer.tell(CancelOrder(reason="no need"), OrderId(orders[0]))
    assert len(office.get(path)["items"]) == 2
    assert len(office.get(path, as_of=then)["items"]) == 3


def test_a_version_that_is_not_there_is_refused(office: Office) -> None:
    office.dealer.catch_up()
    answer = office.api.get(f"/price-matrices/{PRICES}/versions/9/repricing")
    assert (answer.status_code, answer.json()["code"]) == (422, "matrix.version_unknown")


# The commercial part of the 360 view


def test_the_360_view_shows_quotes_contracts_terms_and_credit(office: Office) -> None:
    office.issued()
    before = office.dealer.company.log.head()
    office.contract()
    order = office.dealer.order("SO-1", (GAUZE, 10))
    seen = office.get(f"/customers/{UNION}")
    assert [(card["quote"], card["status"]) for card in seen["quotes"]] == [(Q1, "issued")]
    (contract,) = seen["contracts"]
    assert (contract["contract"], contract["status"], contract["remaining_pieces"]) == (
        CONTRACT,
        "active",
        50,
    )
    (term,) = seen["terms"]
    told = (term["product"], term["contract"], term["price"], term["payment_days"])
    assert told == (LENS, CONTRACT, "1111.00", 60)
    (credit,) = seen["credit"]
    assert (credit["currency"], Decimal(credit["exposure"])) == ("CNY", Decimal(25))
    assert order in {card["order"] for card in seen["orders"]}
    then = office.get(f"/customers/{UNION}", as_of=before)
    assert [card["quote"] for card in then["quotes"]] == [Q1]
    assert (then["contracts"], then["terms"], then["credit"]) == ([], [], [])


def test_the_360_view_judges_terms_by_the_day(office: Office) -> None:
    office.contract()
    day = {"on": (FAR + timedelta(days=1)).isoformat()}
    assert office.get(f"/customers/{UNION}", **day)["terms"] == []
    other = office.get(f"/customers/{CHILDREN}")
    assert (other["quotes"], other["contracts"], other["credit"]) == ([], [], [])
