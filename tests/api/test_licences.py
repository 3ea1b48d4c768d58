"""Licences over HTTP: recorded, listed by holder, kind and end, and one holder's whole file."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
from tests.api.conftest import Api, Server, new_name
from tests.domain.governance.licences import BUSINESS, LETTER, OPERATING, PRACTICE

from medsales.company import open_company
from medsales.domain.governance.licence_file import Licence
from medsales.domain.kernel import Role

MAKER = "licence-file:supplier:maker"


@pytest.fixture
def office(server: Server) -> Iterator[Api]:
    """Who keeps the licences of a company, with all its read models."""
    name = new_name()
    company = open_company(server.database_url, name)
    company.follower.prepare()
    server.companies.opened[name] = company
    with httpx.Client(base_url=server.url, timeout=30) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(Role.QUALITY))
        yield api
    server.forget(name)


def record(api: Api, holder: str, *papers: Licence) -> None:
    """By somebody else than Mei, who verifies them."""
    for paper in papers:
        body = {"holder": holder, "licence": paper.model_dump(mode="json")}
        answer = api.post(
            "/licence-files/record-licence", body, **api.auth(Role.QUALITY, user="gu")
        )
        assert answer.is_success, answer.text


def do(api: Api, file: str, what: str, **body: Any) -> httpx.Response:
    return api.post(f"/licence-files/{file}/{what}", body)


def listed(api: Api, **asked: Any) -> list[str]:
    api.project()
    return [line["number"] for line in api.get("/licences", **asked).json()["items"]]


def test_licences_are_listed_by_holder_kind_and_end(office: Api) -> None:
    record(office, "customer:union", PRACTICE)
    record(office, "own", OPERATING, BUSINESS)
    record(office, "person:wang", LETTER)
    assert len(listed(office)) == 4
    assert listed(office, holder="own") == [BUSINESS.number, OPERATING.number]
    assert listed(office, holder="wang") == [LETTER.number]
    assert listed(office, kind="practice_licence") == [PRACTICE.number]
    assert listed(office, expiring_before="2030-01-01") == [OPERATING.number, LETTER.number]
    assert listed(office, expiring_before=str(LETTER.valid_until)) == []
    assert office.get("/licences", kind="passport").status_code == 422
    assert office.get("/licences", expiring_before="soon").status_code == 422


def test_a_list_of_licences_pages_also_within_one_holder(office: Api) -> None:
    papers = [OPERATING.model_copy(update={"number": f"DL-{n}"}) for n in range(5)]
    record(office, "own", *papers)
    office.project()
    for when in ({}, {"as_of": office.positions()}):
        first = office.get("/licences", limit=3, **when).json()
        rest = office.get("/licences", limit=3, after=first["next"], **when).json()
        pages = [[line["number"] for line in page["items"]] for page in (first, rest)]
        assert pages == [["DL-0", "DL-1", "DL-2"], ["DL-3", "DL-4"]]
        assert rest["next"] is None


def test_a_file_shows_what_is_known_of_each_paper(office: Api) -> None:
    record(office, "supplier:maker", BUSINESS, OPERATING, LETTER)
    for paper in (BUSINESS, OPERATING, LETTER):
        seen = {"number": paper.number, "valid_until": paper.model_dump(mode="json")["valid_until"]}
        assert do(office, MAKER, "verify-licence", method="nmpa", **seen).is_success
    assert do(office, MAKER, "approve-supplier").is_success
    revoke = do(office, MAKER, "revoke-licence", number=LETTER.number, on="2026-07-01", reason="x")
    assert revoke.is_success
    office.project()
    found = office.get(f"/licence-files/{MAKER}").json()
    by_number = {line["number"]: line for line in found["licences"]}
    assert by_number[OPERATING.number]["codes"] == ["13-07", "14"]
    assert by_number[OPERATING.number]["verified_by"] == "mei"
    assert by_number[LETTER.number]["revoked_on"] == "2026-07-01"
    assert (found["supplier"]["approved"], found["supplier"]["approved_by"]) == (True, "mei")


def test_an_unknown_file_is_a_404_and_an_empty_past_too(office: Api) -> None:
    record(office, "own", OPERATING)
    office.project()
    assert office.get("/licence-files/licence-file:own").is_success
    assert office.get("/licence-files/licence-file:supplier:x").status_code == 404
    assert office.get("/licence-files/licence-file:own", as_of=0).status_code == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"number": "浙杭药监械经营许2020"}, "certificate.number_malformed"),
        ({"number": "浙杭药监械经营备20200123"}, "licence.number_of_another_kind"),
        ({"valid_until": "2020-01-01"}, "input.invalid"),
        ({"scope": {"codes": ["fourteen"]}}, "input.invalid"),
        ({"kind": "passport"}, "input.invalid"),
    ],
)
def test_a_wrong_licence_is_refused_in_both_languages(
    office: Api, change: dict[str, Any], code: str
) -> None:
    body = {"holder": "own", "licence": {**OPERATING.model_dump(mode="json"), **change}}
    answer = office.post("/licence-files/record-licence", body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == code
    assert problem["sentences"]["en"]
    assert problem["sentences"]["zh"]


def test_only_quality_verifies_and_nobody_sends_what_midnight_says(office: Api) -> None:
    record(office, "own", OPERATING)
    office.http.headers.update(office.auth(Role.SALES))
    file = "licence-file:own"
    refused = do(office, file, "verify-licence", number=OPERATING.number, method="nmpa")
    assert refused.json()["code"] == "role.missing"
    for what in ("remind-of-licence", "open-renewal-window", "close-renewal-window"):
        assert do(office, file, what, number=OPERATING.number).status_code == 405


def test_what_runs_out_is_announced(office: Api) -> None:
    ended = OPERATING.model_copy(update={"valid_until": date(2025, 6, 30)})
    record(office, "own", ended)
    worker = office.company.worker()
    worker.processes.prepare()
    worker.catch_up()
    (line,) = office.get("/licences/announced", subject="licence-file:own").json()["items"]
    assert (line["event"], line["number"], line["days"]) == ("LicenceExpired", ended.number, 0)
    assert office.get("/licences/announced", subject="licence-file:x").json()["items"] == []
