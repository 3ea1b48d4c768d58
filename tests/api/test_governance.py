"""Approvals and tasks over HTTP: found by whoever must act, given, and seen afterwards."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.api.conftest import Api, Server, new_name
from tests.dealer import GAUZE, LENS, PRICES, UNION, ZHAO, Dealer
from tests.engine.purses import at_once, history

from medsales.company import open_company
from medsales.domain.governance.person import AppointSubstitute, EndSubstitution, RegisterPerson
from medsales.domain.ids import ApprovalFlowId, ApprovalId, PersonId
from medsales.domain.kernel import Role
from medsales.domain.stock.device_unit import PlaceUnit
from medsales.domain.terms.price_matrix import DraftVersion, PriceCell, SubmitVersion
from medsales.domain.values import Money, day_in_china, start_of_day_in_china
from medsales.engine.application import Actor

REQUEST = ApprovalId.of(PRICES, "2")
FLOW = ApprovalFlowId.of("price-matrix")


class Office:
    """A dealer whose people talk to the server; Chen has handed in a second version of prices."""

    def __init__(self, server: Server, http: httpx.Client) -> None:
        company = open_company(server.database_url, new_name())
        company.follower.prepare()
        server.companies.opened[company.name] = company
        self.dealer, self.http = Dealer(company), http
        self.api = Api(server, company, http)
        cells = tuple(
            PriceCell(product=product, price=Money(amount="9.00", currency="CNY"))
            for product in (LENS, GAUZE)
        )
        self.dealer.tell(DraftVersion(effective_from="2026-01-01", cells=cells), PRICES)
        self.dealer.tell(SubmitVersion(version=2), PRICES)

    def get(self, path: str, by: str = "zhao", *roles: Role, **params: Any) -> Any:
        self.dealer.catch_up()
        who = self.api.auth(*(roles or (Role.MANAGER,)), user=by)
        answer = self.http.get(path, params=params, headers=who)
        return answer.json() if answer.status_code == 200 else (answer.status_code, answer.json())

    def post(self, path: str, body: dict[str, Any], by: str, *roles: Role) -> Any:
        who = self.api.auth(*(roles or (Role.MANAGER,)), user=by)
        answer = self.api.post(path, body, **who)
        return answer.status_code if answer.status_code < 400 else answer.json()["code"]

    def seen(self) -> str:
        """The hash of what is asked about."""
        return str(self.get(f"/approvals/{REQUEST}")["approval"]["content_hash"])

    def ids(self, path: str, by: str = "zhao", *roles: Role, **params: Any) -> list[str]:
        return [str(item["raised_by"]) for item in self.get(path, by, *roles, **params)["items"]]


@pytest.fixture
def office(server: Server) -> Iterator[Office]:
    with httpx.Client(base_url=server.url, timeout=30) as http:
        office = Office(server, http)
        yield office
        server.forget(office.api.company.name)


def test_a_request_is_found_seen_given_and_told(office: Office) -> None:
    (line,) = office.get("/approvals", status="waiting")["items"]
    assert (line["approval"], line["waiting_for"]) == (REQUEST, ["manager"])
    assert office.get("/approvals", role="director")["items"] == []
    body = {"content_hash": line["content_hash"], "comment": "fine"}
    path = f"/approvals/{REQUEST}/approve"
    assert office.post(path, body, "chen") == "approval.approver_is_author"
    assert office.post(path, body, "feng", Role.FINANCE) == "approval.wrong_role"
    assert office.post(path, body, "zhao") == 200
    seen = office.get(f"/approvals/{REQUEST}")
    assert seen["approval"]["status"] == "granted"
    assert [voice["person"] for voice in seen["voices"]] == ["zhao"]
    (wait,) = office.get("/approval-waits", person="zhao", lasting=False, limit=1)["items"]
    assert wait["approval"] == ApprovalId.of(PRICES, "1")


def test_of_eight_last_approvals_at_once_one_counts(office: Office) -> None:
    """K4, P2: whoever comes second is told that it is over, and the version passes once."""
    body, path = {"content_hash": office.seen()}, f"/approvals/{REQUEST}/approve"
    answers = at_once(8, lambda n: office.post(path, body, f"manager-{n}"))
    assert Counter(answers) == {200: 1, "approval.closed": 7}
    passed = history(office.api.company, kinds=("ApprovalGranted", "MatrixVersionApproved"))
    assert [fact.name for fact in passed[-2:]] == ["ApprovalGranted", "MatrixVersionApproved"]
    assert passed[-2].position + 1 == passed[-1].position
    assert len(passed) == 4


def test_nobody_consents_in_the_past(office: Office) -> None:
    """Substitution and role are those of now; an effective time of its own would get around it."""
    body = {"content_hash": office.seen()}
    path = f"/approvals/{REQUEST}/approve?effective_at=2026-01-01T00:00:00Z&reason=forgot"
    assert office.post(path, body, "zhao") == "effective.at_once"


def test_tasks_are_found_by_role_by_person_and_as_mine(office: Office) -> None:
    assert office.ids("/tasks", role="manager") == [REQUEST]
    assert office.ids("/tasks", role=["sales", "manager"]) == [REQUEST]
    assert office.ids("/tasks", role="director") == office.ids("/tasks", person="zhao") == []
    assert office.ids("/tasks", "zhao", Role.MANAGER, mine=True) == [REQUEST]
    assert office.ids("/tasks", "feng", Role.FINANCE, mine=True) == []


def test_a_substitute_finds_what_waits_for_whom_he_stands_in_for(office: Office) -> None:
    names = {"organisation": "Dealer", "title": "Staff"}
    for who in ("wang", "chen", "li"):
        office.dealer.tell(RegisterPerson(person=who, name=who, **names), by=ZHAO)
    today = day_in_china(datetime.now(UTC))
    for principal in ("wang", "chen"):
        appoint = AppointSubstitute(
            substitute=PersonId.of("li"),
            roles=(Role.MANAGER,),
            first_day=today,
            last_day=today + timedelta(days=1),
            reason="leave",
        )
        by = Actor(principal, principal, (Role.MANAGER,))
        office.dealer.tell(appoint, PersonId.of(principal), by=by)

    def found() -> list[tuple[str, str | None]]:
        lines = office.get("/tasks", "li", Role.SALES, mine=True)["items"]
        return [(line["raised_by"], line["on_behalf_of"]) for line in lines]

    assert found() == [(REQUEST, "person:wang")], "nobody approves for chen, who wrote it"
    assert office.get("/tasks", "zhao", mine=True)["items"][0]["on_behalf_of"] is None
    wang = Actor("wang", "Wang", (Role.MANAGER,))
    office.dealer.tell(EndSubstitution(number=1), PersonId.of("wang"), by=wang)
    assert found() == []


def test_an_author_is_not_asked_to_approve_what_he_wrote(office: Office) -> None:
    assert office.ids("/tasks", "chen", Role.MANAGER, mine=True) == []
    assert office.ids("/tasks", person="chen", role="manager") == []


def test_tasks_in_the_order_in_which_they_are_due(office: Office) -> None:
    """U4: a unit that is overdue is a task, and comes before what has time."""
    unit = office.dealer.receive("S1")
    back = day_in_china(datetime.now(UTC))
    place = PlaceUnit(placement="demo", customer=UNION, agreement="AG-1", due_back=back)
    office.dealer.tell(place, unit)
    later = start_of_day_in_china(back + timedelta(days=1)) + timedelta(minutes=1)
    office.dealer.company.app.clock = lambda: later
    assert office.ids("/tasks") == [unit, REQUEST]
    first = office.get("/tasks", limit=1)
    (second,) = office.get("/tasks", limit=1, after=first["next"])["items"]
    assert second["raised_by"] == REQUEST
    assert office.ids("/tasks", overdue=True) == [unit]
    assert office.ids("/tasks", due_before=f"{back + timedelta(days=1)}T00:00:00Z") == [unit]
    assert office.ids("/tasks", kind="approve") == office.ids("/tasks", subject=PRICES) == [REQUEST]
    then: dict[str, Any] = {
        "recorded_by": office.api.company.log.head(),
        "effective_at": later.isoformat(),
    }
    assert office.ids("/tasks", overdue=True, **then) == [unit]
    assert office.ids("/tasks", overdue=True, as_of=0) == []


def test_a_flow_is_proposed_by_one_and_adopted_by_another(office: Office) -> None:
    assert [rule["name"] for rule in office.get(f"/approval-flows/{FLOW}")["rules"]] == [
        "below floor",
        "by a manager",
    ]
    rule = {"name": "twice", "steps": [{"role": "manager", "approvers": 2}]}
    body = {"governs": "price-matrix", "rules": [rule], "reason": "safer"}
    directors = (Role.DIRECTOR,)
    assert office.post("/approval-flows/propose-flow", body, "qian", *directors) == 200
    path, version = f"/approval-flows/{FLOW}/adopt-flow", {"version": 1}
    refused = office.post(path, version, "qian", *directors)
    assert refused == "approval_flow.adopter_is_proposer"
    assert office.get(f"/approval-flows/{FLOW}")["in_force"] is None
    assert office.post(path, version, "sun", *directors) == 200
    seen = office.get(f"/approval-flows/{FLOW}")
    assert (seen["in_force"], seen["rules"][0]["name"]) == (1, "twice")


@pytest.mark.parametrize("id", ["approval-flow:order", "approval-flow:", "approval-flow:nothing"])
def test_what_nobody_approves_has_no_flow(office: Office, id: str) -> None:
    assert office.get(f"/approval-flows/{id}")[0] == 404


def test_what_was_never_asked_is_unknown(office: Office) -> None:
    assert office.get("/approvals/approval:quote:Q:1")[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {"governs": "quote", "rules": [], "reason": "x"},
        {
            "governs": "quote",
            "rules": [{"name": "x", "steps": [{"role": "system"}]}],
            "reason": "x",
        },
        {"governs": "quote", "rules": [{"name": "x", "discount_from": 0.1}], "reason": "x"},
        {"governs": "quote", "rules": [{"name": "x", "discount_from": "NaN"}], "reason": "x"},
    ],
)
def test_what_is_no_flow_is_not_proposed(office: Office, body: dict[str, Any]) -> None:
    code = office.post("/approval-flows/propose-flow", body, "qian", Role.DIRECTOR)
    assert code == "input.invalid"
