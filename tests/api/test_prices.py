"""Prices over HTTP: versions, differences, history, and whole files."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.api.conftest import Api, Server, new_name
from tests.dealer import GAUZE, LENS, PRICES, UNION, Dealer
from tests.intake.test_price_file import sheet

from medsales.api import price_import
from medsales.api.price_import import PORTION
from medsales.company import open_company
from medsales.domain.kernel import Role
from medsales.domain.stock.product import ClassifyProduct
from medsales.domain.terms.price_matrix import (
    AddCells,
    DraftVersion,
    EditDraft,
    PriceCell,
    RevokeVersion,
    SuspendVersion,
)
from medsales.domain.values import Money

AT = f"/price-matrices/{PRICES}"
FILE = f"product,price,tier\n{LENS},1300,\n{LENS},1200.50,A\n{GAUZE},3,\n"


def cell(price: str, **what: Any) -> PriceCell:
    subject = {} if "family" in what else {"product": LENS}
    return PriceCell(**{**subject, **what}, price=Money(amount=price, currency="CNY"))


@pytest.fixture
def dealer(server: Server) -> Iterator[tuple[Dealer, Api]]:
    company = open_company(server.database_url, new_name())
    company.follower.prepare()
    server.companies.opened[company.name] = company
    with httpx.Client(base_url=server.url, timeout=60) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(Role.SALES))
        yield Dealer(company), api
    server.forget(company.name)


def send(api: Api, data: bytes | str, *, key: str = "K", **params: Any) -> httpx.Response:
    return api.http.post(
        f"{AT}/import",
        content=data,
        params={"effective_from": "2025-01-01", **params},
        headers={"Idempotency-Key": key, "Content-Type": "text/csv"},
    )


def test_versions_say_where_they_stand_and_what_an_approver_sees(
    dealer: tuple[Dealer, Api],
) -> None:
    told, api = dealer
    told.tell(DraftVersion(effective_from="2025-01-01", cells=(cell("999"),)), PRICES)
    told.catch_up()
    second, first = api.get(f"{AT}/versions").json()["items"]
    assert (first["number"], first["status"], first["approved_by"]) == (1, "effective", ["zhao"])
    assert (second["status"], second["cells"], second["author"]) == ("draft", 1, "chen")
    told.tell(AddCells(version=2, cells=(cell("9", product=GAUZE),)), PRICES)
    told.put_in_force(2)
    told.catch_up()
    second, first = api.get(f"{AT}/versions").json()["items"]
    assert (first["status"], second["status"], second["cells"]) == ("superseded", "effective", 2)
    told.tell(SuspendVersion(version=2, reason="a doubt"), PRICES)
    told.tell(RevokeVersion(version=2, reason="a slip"), PRICES)
    told.catch_up()
    second, first = api.get(f"{AT}/versions").json()["items"]
    assert (first["status"], second["status"]) == ("effective", "revoked")
    assert second["reason"] == "a slip"


def test_a_difference_is_a_table_of_what_was_added_removed_and_changed(
    dealer: tuple[Dealer, Api],
) -> None:
    told, api = dealer
    cells = (cell("1500"), cell("1100", tier="A"))
    told.tell(DraftVersion(effective_from="2025-01-01", cells=cells), PRICES)
    told.tell(
        EditDraft(version=2, effective_from="2025-01-01", cells=(cell("1375"), cells[1])), PRICES
    )
    told.catch_up()
    path = f"{AT}/versions/2/difference"
    lines = api.get(path, **{"from": 1}).json()["items"]
    assert [(line["change"], line["product"], line["tier"]) for line in lines] == [
        ("changed", LENS, None),
        ("added", LENS, "A"),
        ("removed", GAUZE, None),
    ]
    assert (lines[0]["price_before"], lines[0]["price"], lines[0]["percent"]) == (
        "1250.00",
        "1375",
        "10.00",
    )
    pages = api.get(path, **{"from": 1}, limit=2).json()
    rest = api.get(path, **{"from": 1}, limit=2, after=pages["next"]).json()
    assert pages["items"] + rest["items"] == lines
    table = api.get(path, **{"from": 1}, format="csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text.removeprefix("\ufeff"))))
    assert [row["change"] for row in rows] == ["changed", "added", "removed"]
    nine = api.get(path, **{"from": 9})
    assert (nine.status_code, nine.json()["code"]) == (404, "matrix.version_unknown")
    assert nine.json()["sentences"]["en"] == f"there is no version 9 of {PRICES}"
    assert api.get(path, **{"from": 2}).json()["items"] == []


def test_a_spreadsheet_does_not_take_a_cell_for_a_formula(dealer: tuple[Dealer, Api]) -> None:
    told, api = dealer
    told.tell(
        DraftVersion(effective_from="2025-01-01", cells=(cell("9", region='=cmd|"x"'),)), PRICES
    )
    told.catch_up()
    table = api.get(f"{AT}/versions/2/difference", **{"from": 1}, format="csv").text
    rows = list(csv.DictReader(io.StringIO(table.removeprefix("\ufeff"))))
    assert {row["region"] for row in rows} == {"", '\'=cmd|"x"'}


def test_the_history_of_a_price_says_when_it_counted_and_who_approved_it(
    dealer: tuple[Dealer, Api],
) -> None:
    told, api = dealer
    for number, (since, price) in enumerate((("2024-06-01", "1"), ("2025-01-01", "2")), start=2):
        told.tell(DraftVersion(effective_from=since, cells=(cell(price),)), PRICES)
        told.put_in_force(number)
    told.tell(DraftVersion(effective_from="2025-06-01", cells=(cell("3"),)), PRICES)
    told.catch_up()
    entries = api.get("/price-history", product=LENS).json()["items"]
    assert [
        (e["version"], e["price"], e["in_force_from"], e["in_force_until"]) for e in entries
    ] == [
        (4, "3", None, None),
        (3, "2", "2025-01-01", None),
        (2, "1", "2024-06-01", "2024-12-31"),
        (1, "1250.00", "2024-01-01", "2024-05-31"),
    ]
    assert [entry["approved_by"] for entry in entries] == [[], ["zhao"], ["zhao"], ["zhao"]]
    drafts = api.get("/price-history", matrix=PRICES, status="draft").json()["items"]
    assert [entry["version"] for entry in drafts] == [4]
    assert api.get("/price-history").status_code == 422


def test_a_price_is_asked_for_a_customer_a_family_or_another_currency(
    dealer: tuple[Dealer, Api],
) -> None:
    told, api = dealer
    told.tell(ClassifyProduct(family="晶体"), LENS)
    cells = (cell("900", family="晶体", kind="special", customer=UNION), cell("1000"))
    told.tell(DraftVersion(effective_from="2025-01-01", cells=cells), PRICES)
    told.put_in_force(2)
    found = api.get(f"{AT}/price", product=LENS, customer=UNION).json()
    assert (found["price"]["amount"], found["rule"]) == ("900", "special")
    anybody = api.get(f"{AT}/price", product=LENS, region="ZJ", tier="A").json()
    assert anybody["price"]["amount"] == "1000"
    for wrong in ({}, {"region": "ZJ"}):
        assert api.get(f"{AT}/price", product=LENS, **wrong).status_code == 422
    assert api.get(f"{AT}/price", product=LENS, customer="customer:x").status_code == 404
    dollars = api.get(f"{AT}/price", product=LENS, customer=UNION, currency="USD")
    assert dollars.json()["code"] == "price.none"


# Files --------------------------------------------------------------------------------------------


def test_a_file_becomes_a_draft(dealer: tuple[Dealer, Api]) -> None:
    told, api = dealer
    answer = send(api, FILE)
    assert answer.status_code == 200, answer.text
    assert {name: answer.json()[name] for name in ("rows", "cells", "version")} == {
        "rows": 3,
        "cells": 3,
        "version": 2,
    }
    told.put_in_force(2)
    found = api.get(f"{AT}/price", product=LENS, region="ZJ", tier="A").json()
    assert found["price"] == {"amount": "1200.50", "currency": "CNY"}


def test_the_same_wish_gets_the_first_answer_again(dealer: tuple[Dealer, Api]) -> None:
    told, api = dealer
    first = send(api, FILE)
    head = told.company.log.head()
    assert send(api, FILE).json() == first.json()
    assert told.company.log.head() == head
    assert send(api, FILE.replace("1300", "1301")).json()["code"] == "idempotency_key.reused"
    assert send(api, FILE, key="").json()["code"] == "idempotency_key.missing"


def test_a_dry_run_says_everything_and_writes_nothing(dealer: tuple[Dealer, Api]) -> None:
    told, api = dealer
    head = told.company.log.head()
    good = send(api, FILE, key="", dry_run=True).json()
    assert (good["cells"], good["faults"], good["version"]) == (3, [], None)
    bad = send(api, f"{FILE}{LENS},x,Z\n", key="", dry_run=True).json()
    assert [(one["row"], one["column"], one["name"]) for one in bad["faults"]] == [
        (5, "B", "price"),
        (5, "C", "tier"),
    ]
    assert all(one["en"] and one["zh"] for one in bad["faults"])
    assert told.company.log.head() == head


def test_a_file_with_a_fault_is_refused_whole_with_all_faults(dealer: tuple[Dealer, Api]) -> None:
    told, api = dealer
    head = told.company.log.head()
    answer = send(api, f"{FILE}{LENS},x,Z\n{GAUZE},4,\n")
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "prices.faulty"
    assert [error["field"] for error in problem["errors"]] == ["B5", "C5", "B6"]
    assert problem["sentences"]["en"] == "nothing was imported: 3 faults in 5 rows"
    assert "不是数字" in problem["errors"][0]["message"]
    one = send(api, f"product,price\n{LENS},x\n", key="one").json()
    assert one["sentences"]["en"] == "nothing was imported: 1 fault in 1 row"
    assert told.company.log.head() == head


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"PK\x03\x04nothing", "prices.unreadable"),
        (b"", "prices.unreadable"),
        (b"\0", "prices.unreadable"),
        (b"product,price\n" + b"\n" * (16 * 1024 * 1024), "body.too_large"),
    ],
)
def test_what_is_no_price_list_is_refused(
    dealer: tuple[Dealer, Api], data: bytes, code: str
) -> None:
    answer = send(dealer[1], data)
    assert answer.json()["code"] == code
    assert answer.json()["sentences"]["zh"]


def test_only_who_may_draft_may_import(dealer: tuple[Dealer, Api]) -> None:
    _, api = dealer
    api.http.headers.update(api.auth(Role.WAREHOUSE))
    assert send(api, FILE, dry_run=True).json()["code"] == "role.missing"
    api.http.headers.update(api.auth(Role.SALES))
    path = "/price-matrices/price-matrix:XX/import?effective_from=2025-01-01"
    unknown = api.http.post(path, content=FILE, headers={"Idempotency-Key": "1"})
    assert unknown.json()["code"] == "price-matrix.unknown"


def test_a_large_spreadsheet_is_written_in_parts(dealer: tuple[Dealer, Api]) -> None:
    told, api = dealer
    count = 2 * PORTION + 5
    rows = [(f"product:{n:014}", 100 + n % 7) for n in range(count)]
    answer = send(api, sheet(("product", "price"), *rows))
    assert answer.status_code == 200, answer.text
    assert answer.json()["cells"] == count
    names = [fact.name for fact in told.company.log.streams([PRICES])[PRICES]]
    assert names[-3:] == ["MatrixVersionDrafted", "CellsAdded", "CellsAdded"]


def test_a_key_is_for_one_file_even_where_another_begins_alike(
    dealer: tuple[Dealer, Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was answered with the version of the longer file, as if all were well."""
    told, api = dealer
    monkeypatch.setattr(price_import, "PORTION", 2)
    rows = [f"product:{n:014},{100 + n}" for n in range(5)]

    def file(count: int) -> str:
        return "\n".join(("product,price", *rows[:count]))

    first = send(api, file(4))
    assert (first.status_code, first.json()["cells"]) == (200, 4)
    head = told.company.log.head()
    for other in (2, 5):
        answer = send(api, file(other))
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key.reused")
    assert send(api, file(4)).json() == first.json()
    assert told.company.log.head() == head
