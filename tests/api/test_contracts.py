"""Contracts over HTTP: written, refused in two languages, listed, and asked about as of then."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.api.conftest import Api, Server, new_name
from tests.domain.terms.contracts import CONTRACT, PUMP, UNION, ContractCompany, draft

from medsales.company import open_company
from medsales.domain.kernel import Role
from medsales.domain.terms.contract_content import Clause
from medsales.domain.terms.contract_template import DraftContractTemplate

Place = tuple[Api, ContractCompany]
"""Somebody of sales who talks to the server, and the company with a contract in force."""


def opened(server: Server) -> Iterator[Place]:
    company = open_company(server.database_url, new_name())
    company.follower.prepare()
    server.companies.opened[company.name] = company
    town = ContractCompany(company)
    town.active()
    with httpx.Client(base_url=server.url, timeout=30) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(Role.SALES))
        yield api, town
    server.forget(company.name)


@pytest.fixture
def place(server: Server) -> Iterator[Place]:
    yield from opened(server)


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[Place]:
    """For tests that leave it as it is, or ask about what nobody else does."""
    yield from opened(server)


def written(number: str, **more: Any) -> dict[str, Any]:
    return draft(number=number, **more).model_dump(mode="json", exclude_unset=True)


def test_the_board_lists_pages_and_filters(place: Place) -> None:
    api, town = place
    town.told(town.call_off("SO-1", pumps=30), CONTRACT)
    for number in ("HT-2", "HT-3"):
        assert api.post("/contracts/draft-contract", written(number)).status_code == 200
    town.catch_up()
    first = api.get("/contracts", limit=2).json()
    rest = api.get("/contracts", limit=2, after=first["next"]).json()
    assert [each["contract"] for each in (*first["items"], *rest["items"])] == [
        "contract:HT-1",
        "contract:HT-2",
        "contract:HT-3",
    ]
    (active,) = api.get("/contracts", customer=UNION, status="active").json()["items"]
    assert (active["called_amount"], active["remaining_pieces"]) == ("1500", 90)
    assert api.get("/contracts", due_by="2030-01-01").json()["items"] == []


def test_one_contract_with_everything_and_as_of_then(
    place: Place,
) -> None:
    api, town = place
    before = town.company.log.head()
    town.told(town.call_off("SO-1", pumps=30), CONTRACT)
    town.catch_up()
    now = api.get(f"/contracts/{CONTRACT}").json()
    pumps = now["lines"][0]
    assert (pumps["product"], pumps["remaining"]) == (PUMP, 70)
    assert [signature["side"] for signature in now["signatures"]] == ["theirs", "ours"]
    assert now["versions"][0]["content"]["title"] == "输液泵与支架年度采购"
    then = api.get(f"/contracts/{CONTRACT}", as_of=before).json()
    assert then["lines"][0]["remaining"] == 100
    assert then["calls"] == []
    answer = api.get("/contracts/contract:none")
    assert (answer.status_code, answer.json()["code"]) == (404, "contract.unknown")


def test_a_template_with_its_versions(shared: Place) -> None:
    api, town = shared
    clause = Clause(key="payment", title="付款", text="三十日内")
    town.told(DraftContractTemplate(code="F", name="框架", clauses=(clause,)), by="sun")
    town.catch_up()
    seen = api.get("/contract-templates/contract-template:F").json()
    assert seen["in_force"] is None
    assert seen["versions"][0]["content"]["clauses"][0]["text"] == "三十日内"
    assert api.get("/contract-templates/contract-template:G").status_code == 404


def test_what_orders_take_has_no_address(shared: Place) -> None:
    api, town = shared
    wish = town.call_off("SO-1", pumps=1).model_dump(mode="json")
    for name in ("call-off", "return-call-off", "take-verdict", "expire-contract"):
        assert api.post(f"/contracts/{CONTRACT}/{name}", wish).status_code in {404, 405}
    assert api.post("/contracts/draft-contract-from-quote", wish).status_code in {404, 405}
    town.catch_up()
    assert api.get(f"/contracts/{CONTRACT}").json()["calls"] == []


def test_the_price_reasons_of_a_quote_cannot_be_made_up(
    shared: Place,
) -> None:
    """A line of a contract that was written by hand says so to whoever approves it."""
    api, _ = shared
    body = written("HT-2")
    body["lines"][0] |= {"price_version": 3, "discount": "0"}
    answer = api.post("/contracts/draft-contract", body)
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} >= {"lines.0.price_version"}


def test_refusals_are_told_in_english_and_chinese(shared: Place) -> None:
    api, _ = shared
    answer = api.post("/contracts/draft-contract", written("HT-1", title="另一合同"))
    assert (answer.status_code, answer.json()["code"]) == (422, "contract.number_taken")
    assert "has been used for another contract" in str(answer.json())
    assert "已用于另一合同" in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"valid_from": "yesterday"},
        {"lines": []},
        {"lines": [{"product": PUMP, "price": {"amount": 1.5, "currency": "CNY"}}]},
        {"payment_days": -1},
        {"clauses": [{"key": "A B", "title": "x", "text": "x"}]},
        {"award": {"tender": "x"}},
        {"max_amount": {"amount": "1e400", "currency": "CNY"}},
    ],
)
def test_bad_input_is_told_by_field(shared: Place, wrong: dict[str, Any]) -> None:
    api, _ = shared
    answer = api.post("/contracts/draft-contract", {**written("HT-2"), **wrong})
    assert answer.status_code == 422
    assert all(error["field"].split(".")[0] in wrong for error in answer.json()["errors"])


def test_sales_does_not_end_a_contract(place: Place) -> None:
    api, _ = place
    end = f"/contracts/{CONTRACT}/terminate-contract"
    assert api.post(end, {"reason": "x"}).status_code == 403
    director = api.auth(Role.DIRECTOR)
    assert api.post(end, {"reason": "x"}, **director).status_code == 200
