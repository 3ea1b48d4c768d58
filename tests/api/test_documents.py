"""Documents over HTTP: of any version and moment, the same bytes again, and nobody's mistakes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from io import BytesIO
from typing import Any

import httpx
import pytest
from pypdf import PdfReader
from tests.api.conftest import Api, Server, new_name
from tests.dealer import CHEN, GAUZE, PRICES, UNION, Dealer

from medsales.company import open_company
from medsales.domain.governance.person import RegisterPerson
from medsales.domain.ids import QuoteId
from medsales.domain.kernel import Role
from medsales.domain.parties.customer import ReviseCustomer
from medsales.domain.parties.our_company import DescribeOurCompany
from medsales.domain.sales.offer import WantedQuoteLine
from medsales.domain.sales.quote import (
    DeclineQuote,
    DraftQuote,
    EditQuote,
    IssueQuote,
    Quote,
    ReviseQuote,
    SubmitQuote,
)
from medsales.domain.terms.contract import Contract, DraftContract
from medsales.domain.terms.contract_content import AgreedLine
from medsales.domain.values import Money, day_in_china
from medsales.engine.application import Ask

QUOTE = QuoteId("quote:Q-1/甲 #1")
ADDRESS = "/quotes/quote:Q-1%2F%E7%94%B2%20%231/document"
OURS = "翠鸟医疗"
LINES = (WantedQuoteLine(product=GAUZE, quantity=100),)
SOON = day_in_china(datetime.now(UTC)) + timedelta(days=60)


@pytest.fixture(scope="module")
def office(server: Server) -> Iterator[tuple[Api, Dealer, dict[str, int]]]:
    """A quote in two versions, and the positions at which each was issued; at 0 it is a draft."""
    name = new_name()
    company = server.companies.opened[name] = open_company(server.database_url, name)
    dealer = Dealer(company)
    issued = {}
    drafted = dealer.tell(
        DraftQuote(
            number=QUOTE.key,
            customer=UNION,
            price_matrix=PRICES,
            lines=LINES,
            valid_until=SOON,
            remarks="<b>报价</b> & 'more' \u202e",
        )
    )
    issued["0"] = drafted.position
    dealer.tell(SubmitQuote(), QUOTE)
    issued["1"] = dealer.tell(IssueQuote(), QUOTE).position
    dealer.tell(DescribeOurCompany(name=OURS, address="杭州"))
    dealer.tell(ReviseQuote(reason="more"), QUOTE)
    more = (WantedQuoteLine(product=GAUZE, quantity=200),)
    dealer.tell(EditQuote(lines=more, valid_until=SOON), QUOTE)
    dealer.tell(SubmitQuote(), QUOTE)
    issued["2"] = dealer.tell(IssueQuote(), QUOTE).position
    with httpx.Client(base_url=server.url, timeout=30) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(Role.SALES))
        yield api, dealer, issued
    server.forget(name)


def test_the_seller_is_named_as_on_the_day_of_the_document(
    office: tuple[Api, Dealer, Any],
) -> None:
    api, *_ = office
    assert OURS in text(api.get(ADDRESS, version=2))
    assert OURS not in text(api.get(ADDRESS, version=1))


@pytest.mark.parametrize("format", ["html", "pdf"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_same_question_gets_the_same_bytes(
    office: tuple[Api, Dealer, Any], format: str, language: str
) -> None:
    api, dealer, _ = office
    first = api.get(ADDRESS, format=format, language=language)
    again = api.get(ADDRESS, format=format, language=language)
    assert first.status_code == 200, first.text
    assert first.content == again.content
    assert first.headers["ETag"] == f'"sha256:{sha256(first.content).hexdigest()}"'
    quote = dealer.company.app.existing(QUOTE, Quote)
    assert first.headers["Medsales-Content-Hash"] == quote.content_hash
    assert first.headers["Medsales-Position"] == str(api.positions())
    assert quote.content_hash in text(first)
    unchanged = api.http.get(
        ADDRESS,
        params={"format": format, "language": language},
        headers={"If-None-Match": first.headers["ETag"]},
    )
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def text(answer: httpx.Response) -> str:
    if answer.headers["content-type"] == "application/pdf":
        return "".join(page.extract_text() for page in PdfReader(BytesIO(answer.content)).pages)
    return answer.text


def test_a_browser_neither_runs_it_nor_guesses_what_it_is(office: tuple[Api, Any, Any]) -> None:
    answer = office[0].get(ADDRESS, version=1)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    name = "Q-1%2F%E7%94%B2%20%231-1-zh.html"
    assert answer.headers["Content-Disposition"] == f"inline; filename*=UTF-8''{name}"
    assert "&lt;b&gt;报价&lt;/b&gt; &amp; &#x27;more&#x27; [U+202E]" in answer.text


def test_a_version_can_be_had_as_it_was_issued(office: tuple[Api, Any, dict[str, int]]) -> None:
    api, _, issued = office
    now = api.get(ADDRESS, version=1, language="en")
    then = api.get(ADDRESS, as_of=issued["1"], language="en")
    assert "Superseded by version 2" in now.text
    assert "Superseded" not in then.text
    assert then.headers["Medsales-Content-Hash"] == now.headers["Medsales-Content-Hash"]
    assert api.get(ADDRESS, version=2, language="en").text == api.get(ADDRESS, language="en").text


def test_what_is_renamed_later_changes_no_document(office: tuple[Api, Dealer, Any]) -> None:
    """Not of a quote, whose content holds the names; nor of a contract, which names ids."""
    api, dealer, _ = office
    contract = DraftContract(
        number="HT-1",
        customer=UNION,
        title="Gauze 纱布",
        lines=(AgreedLine(product=GAUZE, price=Money(amount="2.50", currency="CNY")),),
        currency="CNY",
        valid_from="2026-01-01",
        valid_until="2099-01-01",
    )
    drafted = dealer.tell(contract).id
    before = [api.get(path).content for path in (ADDRESS, f"/contracts/{drafted}/document")]
    revised = ReviseCustomer(name="Other 另一医院", region="ZJ", tier="A", address="2 Road")
    dealer.tell(revised, UNION)
    after = [api.get(path).content for path in (ADDRESS, f"/contracts/{drafted}/document")]
    assert before == after
    assert all("Union Hospital 协和医院".encode() in made for made in before)
    assert b"Gauze M1" in before[1]
    hashed = dealer.company.app.existing(drafted, Contract).under_way
    assert hashed is not None
    assert f"内容哈希 {hashed.content_hash}".encode() in before[1]


def test_bad_questions_are_answered_in_sentences(office: tuple[Api, Any, Any]) -> None:
    api, _, issued = office
    for path, params, status, code in (
        (ADDRESS, {"version": 3}, 422, "document.no_such_version"),
        (ADDRESS, {"version": 0}, 422, "input.invalid"),
        (ADDRESS, {"version": 2**70}, 422, "document.no_such_version"),
        (ADDRESS, {"format": "doc"}, 422, "input.invalid"),
        (ADDRESS, {"language": "fr"}, 422, "input.invalid"),
        (ADDRESS, {"as_of": 10**6}, 422, "position.not_recorded"),
        (ADDRESS, {"as_of": issued["0"]}, 422, "quote.not_submitted"),
        (ADDRESS, {"as_of": 0}, 404, "quote.unknown"),
        ("/quotes/quote:none/document", {}, 404, "quote.unknown"),
        (f"/quotes/{UNION}/document", {}, 404, "customer.unknown"),
        (f"/contracts/{UNION}/document", {}, 404, "customer.unknown"),
        ("/contracts/contract:none/document", {}, 404, "contract.unknown"),
    ):
        answer = api.get(path, **params)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (path, params)
        assert answer.json()["sentences"]["zh"]
    assert httpx.get(f"{api.server.url}{ADDRESS}").status_code == 401


def test_what_was_told_late_is_not_printed_without_what_it_builds_on(
    office: tuple[Api, Dealer, Any],
) -> None:
    """Issued today, and declined, as was told later, yesterday."""
    api, dealer, _ = office
    yesterday = datetime.now(UTC) - timedelta(days=1)
    drafted = DraftQuote(
        number="Q-9", customer=UNION, price_matrix=PRICES, lines=LINES, valid_until=SOON
    )
    id = dealer.tell(drafted).id
    for command in (SubmitQuote(), IssueQuote()):
        dealer.tell(command, id)
    decline = DeclineQuote(reason="no budget")
    late = Ask(decline, CHEN, id, effective_at=yesterday, reason="forgotten")
    dealer.company.app.handle(late)
    path = f"/quotes/{id}/document"
    then = api.get(path, effective_at=(yesterday + timedelta(hours=1)).isoformat())
    assert (then.status_code, then.json()["code"]) == (404, "quote.unknown")
    now = api.get(path, effective_at=datetime.now(UTC).isoformat())
    assert now.content == api.get(path).content


@pytest.mark.parametrize("what", ["quote", "contract"])
def test_what_was_changed_in_the_log_is_not_printed_as_it_was_approved(
    office: tuple[Api, Dealer, Any], what: str
) -> None:
    """C1, Q2, B7: the content is hashed again, whoever could write into the table."""
    api, dealer, _ = office
    if what == "quote":
        drafted = DraftQuote(
            number="Q-7", customer=UNION, price_matrix=PRICES, lines=LINES, valid_until=SOON
        )
        id, event = dealer.tell(drafted).id, "QuoteSubmitted"
        dealer.tell(SubmitQuote(), id)
    else:
        line = AgreedLine(
            product=GAUZE, price=Money(amount="9.00", currency="CNY"), max_quantity=10
        )
        contract = DraftContract(
            number="HT-7",
            customer=UNION,
            title="t",
            lines=(line,),
            currency="CNY",
            valid_from="2026-01-01",
            valid_until="2099-12-31",
        )
        id, event = dealer.tell(contract).id, "ContractDrafted"
    path = f"/{what}s/{id}/document"
    assert api.get(path, version=1).status_code == 200
    with dealer.company.database.writing() as db:
        db.execute("grant update on facts to current_user")
        db.execute("alter table facts disable trigger user")
        db.execute(
            "update facts set state = convert_to(replace(convert_from(state, 'UTF8'), %s, %s),"
            " 'UTF8') where originator_id = %s and topic = %s",
            ('"valid_until":"20', '"valid_until":"21', id, event),
        )
        db.execute("alter table facts enable trigger user")
    answer = api.get(path, version=1)
    assert (answer.status_code, answer.json()["code"]) == (422, "document.content_changed")
    assert "打印" in answer.json()["sentences"]["zh"]


def test_who_signs_for_the_customer_reads_its_papers_and_nothing_else(
    office: tuple[Api, Dealer, Any],
) -> None:
    """B7: an outsider gets a token to sign with; what we know of others and our floors is ours."""
    api, dealer, _ = office
    for person, organisation in (("liu", "Union Hospital 协和医院"), ("ma", "Children's 儿童医院")):
        dealer.tell(
            RegisterPerson(person=person, name=person, organisation=organisation, title="x")
        )
    liu, ma, nobody = (api.auth(Role.COUNTERPARTY, user=user) for user in ("liu", "ma", "nobody"))
    assert api.http.get(ADDRESS, headers=liu).status_code == 200
    closed = [(ADDRESS, ma), (ADDRESS, nobody)]
    closed += [(f"/{path}", liu) for path in ("quotes", "contracts", "tasks", "facts")]
    closed += [(f"/quotes/{QUOTE}", liu), (f"/price-matrices/{PRICES}/versions", liu)]
    for path, who in closed:
        answer = api.http.get(path, headers=who)
        assert (answer.status_code, answer.json()["code"]) == (403, "role.missing"), path
