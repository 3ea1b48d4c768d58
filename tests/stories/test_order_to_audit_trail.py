"""From goods-in to the audit trail over HTTP, as clients of a real server see it."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from tests.api.conftest import running

from medsales.api.auth import issue_token
from medsales.api.main import create_app
from medsales.company import Companies, open_company
from medsales.domain.kernel import Role
from medsales.settings import Settings

SCAN = "]d20106901234567892172501311117010110A213B1\x1d21SN/1"
LENS = "product:06901234567892"
UNIT = "device-unit:06901234567892:SN/1"
UNION = "customer:91330000470003281C"


class Client:
    """Somebody with every role, who repeats himself only on purpose."""

    def __init__(self, url: str, company: str, *roles: Role, user: str = "mei") -> None:
        token = issue_token("s" * 40, user, "Mei 梅", roles or tuple(Role), company=company)
        self.http = httpx.Client(
            base_url=url, timeout=30, headers={"Authorization": f"Bearer {token}"}
        )
        self.keys = count()
        self.position = 0

    def tell(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": f"k{next(self.keys)}"}
        answer = self.http.post(path, json=body or {}, headers=headers)
        self.position = answer.json().get("position", self.position)
        return answer

    def done(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.tell(path, body)
        assert answer.status_code == 200, answer.text
        receipt: dict[str, Any] = answer.json()
        return receipt

    def ask(self, path: str, **params: Any) -> Any:
        answer = self.http.get(path, params={"min_position": self.position, **params})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def server(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """A server that works for a company of its own: its address, and the company."""
    monkeypatch.setenv("MEDSALES_SECRET", "s" * 40)
    name = f"story_{uuid4().hex[:12]}"
    companies = Companies(database_url)
    companies.opened[name] = open_company(database_url, name)
    monkeypatch.setattr(companies, "names", lambda: [name])
    with running(create_app(companies, Settings(wait=20), work=True)) as url:
        yield url, name
    companies.close()


@pytest.fixture
def client(server: tuple[str, str]) -> Client:
    client = Client(*server)
    open_for_business(client, Client(*server, user="li"))
    return client


THE_LENS = {
    "di": "06901234567892",
    "issuer": "gs1",
    "name": "Lens 人工晶状体",
    "model": "M1",
    "registrant": "Maker",
    "device_class": "III",
    "tracked_by": "serial",
    "implantable": True,
    "packages": [
        {"di": "16901234567899", "level": "box", "contains": "06901234567892", "quantity": 5}
    ],
}
THE_HOSPITAL = {
    "uscc": "91330000470003281C",
    "kind_of": "hospital",
    "name": "Union 协和医院",
    "region": "浙江",
    "tier": "A",
    "grade": "3A",
    "address": "2 路",
}


def open_for_business(client: Client, second: Client) -> None:
    client.done("/products/register-product", THE_LENS)
    certificate = {"number": "国械注准20203160001", "valid_from": "2015-01-01"}
    client.done(f"/products/{LENS}/record-registration", {"registration": certificate})
    client.done("/warehouses/open-warehouse", {"code": "HZ", "name": "杭州", "address": "1 路"})
    client.done("/customers/register-customer", THE_HOSPITAL)
    license_both(client, second)
    client.done("/price-matrices/open-price-matrix", {"code": "CN", "name": "L", "currency": "CNY"})
    cells = [{"product": LENS, "price": {"amount": "1250.00", "currency": "CNY"}, "tier": "A"}]
    draft = {"effective_from": "2024-01-01", "cells": cells}
    client.done("/price-matrices/price-matrix:CN/draft-version", draft)
    client.done("/price-matrices/price-matrix:CN/submit-version", {"version": 1})


def license_both(client: Client, second: Client) -> None:
    """Of us and of the hospital; a second person verifies."""
    for holder, kind, number in (
        ("own", "operating_licence", "浙杭食药监械经营许20200001号"),
        (UNION, "practice_licence", "PDY00001-233010217A1001"),
    ):
        licence = {"kind": kind, "number": number, "valid_from": "2020-01-01", "issuer": "浙江"}
        body = {"holder": holder, "licence": licence}
        file = client.done("/licence-files/record-licence", body)["id"]
        verified = {"number": number, "method": "国家药监局数据查询"}
        second.done(f"/licence-files/{file}/verify-licence", verified)


def approve(server: tuple[str, str], client: Client) -> None:
    """By somebody else than the author (P2)."""
    token = issue_token("s" * 40, "zhao", "Zhao 赵", (Role.MANAGER,), company=server[1])
    http = httpx.Client(base_url=server[0], headers={"Authorization": f"Bearer {token}"})
    (version,) = client.ask("/price-matrices/price-matrix:CN/versions")["items"]
    for path, body in (
        (f"/approvals/{version['approval']}/approve", {"content_hash": version["content_hash"]}),
        ("/price-matrices/price-matrix:CN/schedule-version", {"version": 1}),
    ):
        answer = http.post(path, json=body, headers={"Idempotency-Key": path})
        assert answer.status_code == 200, answer.text


def receive(client: Client) -> str:
    scan = SCAN.replace("250131", "450131")
    body = {"udi": scan, "product": LENS, "warehouse": "warehouse:HZ"}
    unit: str = client.done("/device-units/receive-unit", body)["id"]
    client.done(f"/device-units/{quote(unit)}/inspect-unit", {"passed": True})
    return unit


def order(client: Client) -> None:
    wanted = [{"product": LENS, "quantity": 1}]
    client.done(
        "/orders/place-order",
        {"number": "SO-1", "customer": UNION, "price_matrix": "price-matrix:CN", "lines": wanted},
    )
    client.done("/orders/order:SO-1/confirm-order")
    client.done("/orders/order:SO-1/reserve-goods", {"units": [UNIT]})


def dispatch(client: Client) -> httpx.Response:
    return client.tell(
        "/shipments/dispatch-shipment",
        {
            "number": "DN-1",
            "order": "order:SO-1",
            "units": [UNIT],
            "transport": {"carrier": "SF", "waybill": "SF1"},
            "ship_to": "2 路",
        },
    )


def test_a_lens_from_goods_in_to_the_hospital_and_its_audit_trail(
    server: tuple[str, str], client: Client
) -> None:
    approve(server, client)
    assert receive(client) == UNIT
    order(client)
    assert dispatch(client).status_code == 200
    client.done("/shipments/shipment:DN-1/deliver-shipment", {"received_by": "Wang 王"})
    client.done(f"/device-units/{quote(UNIT)}/install-unit", {"department": "Eye 眼科"})
    acceptance = {"accepted_by": "Wang 王", "warranty_months": 24}
    client.done(f"/device-units/{quote(UNIT)}/accept-installation", acceptance)

    trail = client.ask(f"/device-units/{quote(UNIT, safe='')}/history")
    assert [line["event"] for line in trail][-3:] == [
        "UnitDelivered",
        "UnitInstalled",
        "InstallationAccepted",
    ]
    assert trail[0]["by_name"] == "Mei 梅"
    lot = client.ask("/lots/lot:06901234567892:A213B1/trace")
    assert [(h["goods"], h["holder"], h["name"]) for h in lot["holders"]] == [
        (UNIT, UNION, "Union 协和医院")
    ]
    (line,) = client.ask("/stock")["items"]
    assert (line["holder"], line["on_hand"]) == (UNION, 1)
    assert client.ask("/stock/summary")["items"][0]["at_customers"] == 1
    assert len(client.ask("/stock/movements", product=LENS)["items"]) == 4
    board = client.ask("/orders/order:SO-1")
    assert (board["progress"], board["lines"][0]["price"]) == ("fulfilled", "1250.00")
    view = client.ask(f"/customers/{UNION}")
    assert view["units"][0]["state"] == "in_service"
    assert view["prices"][0]["price_path"][-1] == "regional price, tier A, from 1"
    assert client.ask("/customers", search="协和")["items"][0]["customer"] == UNION
    assert client.ask("/products", search="lens")["items"][0]["product"] == LENS
    assert len(client.ask(f"/products/{LENS}")["packages"]) == 2
    assert client.ask("/orders", customer=UNION)["items"][0]["order"] == "order:SO-1"


def test_a_scan_finds_product_lot_and_unit(client: Client) -> None:
    receive(client)
    found = client.ask(f"/scan/{quote(SCAN, safe='')}")
    assert (found["product"], found["unit"]) == (LENS, UNIT)
    assert found["lot"] == "lot:06901234567892:A213B1"
    assert found["udi"]["expires"]["on"] == "2025-01-31"
    box = client.ask(f"/scan/{quote('(01)16901234567899')}")
    assert (box["product"], box["package_level"], box["unit"]) == (LENS, "box", None)
    link = client.ask(f"/scan/{quote('https://example.org/01/06901234567892/21/SN%2F1', safe='')}")
    assert link["unit"] == UNIT
    odd = client.ask(f"/scan/{quote('(01)06901234567890')}")
    assert odd["product"] is None
    assert odd["udi"]["warnings"][0]["code"] == "udi.check_digit"


def test_a_held_lot_stays_and_the_refusal_is_kept(server: tuple[str, str], client: Client) -> None:
    approve(server, client)
    receive(client)
    order(client)
    hold = {"hold": "Q-1", "reason": "leak 泄漏"}
    client.done("/lots/lot:06901234567892:A213B1/hold-lot", hold)
    refused = dispatch(client)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] in ("lot.held", "unit.held")
    assert "Q-1" in refused.json()["sentences"]["zh"]
    kept = client.ask("/refusals")["items"]
    assert [(some["actor"], some["command"]) for some in kept] == [("mei", "DispatchShipment")]
    assert client.ask("/orders/order:SO-1")["order"]["shipped"] == 0


def test_a_price_says_why(server: tuple[str, str], client: Client) -> None:
    approve(server, client)
    where = {"product": LENS, "region": "浙江", "tier": "A"}
    found = client.ask("/price-matrices/price-matrix:CN/price", **where)
    assert found["price"] == {"amount": "1250.00", "currency": "CNY"}
    assert found["path"][0] == "CN version 1"
    none = client.http.get(
        "/price-matrices/price-matrix:CN/price", params={**where, "on": "2020-01-01"}
    )
    assert none.json()["code"] == "price.none"


def test_what_nobody_knows_is_not_found(client: Client) -> None:
    for path in (
        "/device-units/device-unit:1:x/history",
        "/lots/lot:1:x/trace",
        "/products/product:1",
        "/customers/customer:1",
        "/orders/order:1",
        "/price-matrices/price-matrix:1/price?product=p&region=r&tier=A",
    ):
        joint = "&" if "?" in path else "?"
        answer = client.http.get(f"{path}{joint}min_position={client.position}")
        assert (answer.status_code, answer.json()["code"].endswith(".unknown")) == (404, True), path


def test_commands_that_are_part_of_others_have_no_route(client: Client) -> None:
    for path in (
        f"/device-units/{quote(UNIT)}/ship-unit",
        "/orders/order:SO-1/record-dispatch",
        "/device-identifiers/assign-identifier",
    ):
        assert client.tell(path).status_code in (404, 405), path
