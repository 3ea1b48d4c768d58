"""A hospital is quoted below floor, and becomes a customer under a contract that is renewed."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader
from tests.stories.office import LETTER, PRICES, PUMP, STENT, UNION, Office, Somebody, day, yuan

Q1, HT1 = "quote:Q-1", "contract:HT-1"
FLOW = {
    "governs": "quote",
    "reason": "who may sell below floor",
    "rules": [
        {
            "name": "below floor",
            "flags": ["below_floor"],
            "steps": [
                {"role": "manager", "hours": 24, "escalate_to": "director"},
                {"role": "director", "signed": True},
            ],
        },
        {"name": "everything else", "steps": [{"role": "manager"}]},
    ],
}


def test_a_hospital_from_a_quote_below_floor_to_a_renewed_contract(office: Office) -> None:
    office.have_passwords(office.qian, office.zheng, office.sun, office.liu)
    office.wang.does("/approval-flows/propose-flow", **FLOW)
    office.qian.does("/approval-flows/approval-flow:quote/adopt-flow", version=1)

    is_quoted_below_floor(office)
    is_escalated_and_approved(office)
    is_revised_and_approved_again(office)
    is_accepted_and_becomes_a_contract(office)
    is_signed_by_both(office, version=1)
    is_called_off(office)
    is_amended(office)
    is_renewed(office)
    shows_in_every_question(office)
    assert office.ou.asks("/parked")["items"] == [], "every read model understood all of it"


def is_quoted_below_floor(office: Office) -> None:
    """Two days ago, by the clock of that moment: 7,900 for a pump whose floor is 8,000."""
    office.chen.does(
        "/quotes/draft-quote",
        number="Q-1",
        customer=UNION,
        price_matrix=PRICES,
        lines=[{"product": PUMP, "quantity": 10, "price": yuan("7900.00")}],
        valid_until=day(60),
    )
    app = office.company.app
    with pytest.MonkeyPatch.context() as then:
        then.setattr(app, "clock", lambda: datetime.now(UTC) - timedelta(days=2))
        office.chen.does(f"/quotes/{Q1}/submit-quote")
    quote = office.quote("Q-1")
    assert quote["status"] == "pending_approval"
    (line,) = quote["shown"]["lines"]
    assert (line["floor"], line["discount"], line["rule"]) == (yuan("8000.00"), "21.00", "list")


def is_escalated_and_approved(office: Office) -> None:
    """The manager has not answered for a day: a director may, and another one signs."""
    approval = waits_for(office, office.qian)
    office.qian.approves(approval, comment="the first pumps in this hospital")
    signed = signature(office.zheng, Q1, approval)
    assert office.quote("Q-1")["status"] == "pending_approval"
    office.zheng.approves(approval, signature=signed)
    assert office.quote("Q-1")["status"] == "approved"
    office.chen.does(f"/quotes/{Q1}/issue-quote")


def waits_for(office: Office, director: Somebody) -> dict[str, Any]:
    """The approval, once it is a task of the directors; the next fact is told by the clock."""
    tasks = director.asks("/tasks", role="director", min_position=office.position + 1)["items"]
    assert [task["subject"] for task in tasks] == [Q1]
    return office.approval(Q1)


def signature(who: Somebody, subject: str, approval: dict[str, Any]) -> Any:
    return who.signs(subject, approval["version"], approval["content_hash"], "approval")


def is_revised_and_approved_again(office: Office) -> None:
    """The hospital wants stents too: version 1 is void with its approval."""
    first = office.approval(Q1)
    office.chen.does(f"/quotes/{Q1}/revise-quote", reason="stents are wanted too")
    assert office.approval(Q1)["status"] == "voided"
    office.chen.does(
        f"/quotes/{Q1}/edit-quote",
        lines=[
            {"product": PUMP, "quantity": 10, "price": yuan("7900.00")},
            {"product": STENT, "quantity": 100, "discount": "5"},
        ],
        valid_until=day(60),
        remarks="含安装与培训。",
    )
    office.chen.does(f"/quotes/{Q1}/submit-quote")
    approval = office.approval(Q1)
    assert approval["id"] != first["id"]
    office.wang.approves(approval)
    office.qian.approves(approval, signature=signature(office.qian, Q1, approval))
    office.chen.does(f"/quotes/{Q1}/issue-quote")


def is_accepted_and_becomes_a_contract(office: Office) -> None:
    """By the hash that is printed on the document the hospital was sent."""
    sent = office.chen.asks(f"/quotes/{Q1}/document", format="pdf")
    printed = "".join(page.extract_text() for page in PdfReader(BytesIO(sent.content)).pages)
    content_hash = sent.headers["Medsales-Content-Hash"]
    assert content_hash in printed
    assert "钱伟 Qian Wei" in printed
    (signed,) = office.qian.asks("/signatures", subject=Q1, signer="person:qian")["items"]
    for language, said in (("zh", "签名含义: 批准"), ("en", "Meaning: approval")):
        shown = office.chen.asks(f"/quotes/{Q1}/document", language=language).text
        assert said in shown, "B7: every rendering shows the signatures of its approval"
        assert signed["signature"].partition(":")[2] in shown
    office.chen.does(
        f"/quotes/{Q1}/accept-quote",
        version=2,
        content_hash=content_hash,
        accepted_by="设备科 刘主任",
        evidence=LETTER,
    )
    office.chen.does(
        f"/quotes/{Q1}/convert-quote-to-contract",
        number="HT-1",
        title="输液泵与支架年度采购",
        valid_from=day(0),
        valid_until=day(365),
        payment_days=60,
    )


def under_way(office: Office) -> dict[str, Any]:
    """The version that is out for signature, as its document says."""
    seen: dict[str, Any] = office.sun.asks(f"/contracts/{HT1}")
    return seen


def is_signed_by_both(office: Office, version: int) -> None:
    """Approved by manager and director, as it is below floor; signed by legal and the hospital."""
    office.chen.does(f"/contracts/{HT1}/submit-contract")
    for who in (office.wang, office.qian):
        who.approves(office.approval(HT1))
    office.chen.does(f"/contracts/{HT1}/send-contract")
    sent = office.liu.asks(f"/contracts/{HT1}/document", version=version, language="en")
    assert "This does not bind anybody" in sent.text
    seen = (version, sent.headers["Medsales-Content-Hash"], "responsibility")
    office.sun.does(f"/contracts/{HT1}/sign-contract", signature=office.sun.signs(HT1, *seen))
    office.liu.does(
        f"/contracts/{HT1}/countersign-contract", signature=office.liu.signs(HT1, *seen)
    )
    signed = office.liu.asks(f"/contracts/{HT1}/document", version=version, language="en")
    assert signed.headers["Medsales-Content-Hash"] == seen[1]
    assert "This does not bind anybody" not in signed.text
    for name in ("孙法 Sun Fa", "刘院长 Dr Liu"):
        assert f"Signed by {name}" in signed.text


def is_called_off(office: Office) -> None:
    """C2: as much as was agreed, and not one more."""
    orders(office, "SO-1", 6)
    said = office.chen.is_refused(
        "contract.quantity_exceeded", "/orders/place-order", **wanted("SO-2", 5)
    )
    assert "4 of product:06901234567892" in said["en"]
    assert "尚可订购 4 件" in said["zh"]


def wanted(number: str, pumps: int) -> dict[str, Any]:
    lines = [{"product": PUMP, "quantity": pumps, "price": yuan("7900.00")}]
    return {"number": number, "customer": UNION, "contract": HT1, "lines": lines}


def orders(office: Office, number: str, pumps: int) -> None:
    office.chen.does("/orders/place-order", **wanted(number, pumps))
    office.chen.does(f"/orders/order:{number}/confirm-order")
    order = office.chen.asks(f"/orders/order:{number}")
    assert order["order"]["status"] == "confirmed"


def is_amended(office: Office) -> None:
    """Ten more pumps, by a supplement with its own approval and signatures."""
    office.chen.does(
        f"/contracts/{HT1}/draft-amendment",
        kind="supplement",
        reason="a second ward",
        lines=[
            {"product": PUMP, "price": yuan("7900.00"), "max_quantity": 20},
            {"product": STENT, "price": yuan("760.00"), "max_quantity": 100},
        ],
    )
    office.chen.is_refused("contract.quantity_exceeded", "/orders/place-order", **wanted("SO-2", 5))
    is_signed_by_both(office, version=2)
    orders(office, "SO-2", 12)


def is_renewed(office: Office) -> None:
    office.chen.does(
        f"/contracts/{HT1}/draft-amendment",
        kind="renewal",
        reason="another year",
        valid_until=day(730),
    )
    is_signed_by_both(office, version=3)


def shows_in_every_question(office: Office) -> None:
    """What the hospital has, whoever asks."""
    (card,) = office.sun.asks("/contracts", customer=UNION)["items"]
    assert (card["version"], card["status"], card["valid_until"]) == (3, "active", day(730))
    terms = office.sun.asks(f"/customers/{UNION}/terms-in-force", product=PUMP)
    assert terms["applied"]["source"] == "contract"
    assert terms["applied"]["price"] == yuan("7900.00")
    assert {who["printed_name"] for who in terms["applied"]["signatures"]} == {
        "孙法 Sun Fa",
        "刘院长 Dr Liu",
    }
    for version, mark in ((1, "Superseded by version 3"), (2, "Superseded by version 3")):
        old = office.sun.asks(f"/contracts/{HT1}/document", version=version, language="en")
        assert mark in old.text
    assert "本件不构成要约" in office.sun.asks(f"/quotes/{Q1}/document", version=1).text
