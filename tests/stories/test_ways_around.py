"""Every way around an approval or a check is closed, with a sentence, and leaves a trace.

Each person here tries what people have tried; what they were told is found again by the auditor.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.stories.office import LETTER, PRICES, PUMP, UNION, Office, Somebody, day, yuan

from medsales.domain.kernel import Role

CHEAP = [{"product": PUMP, "quantity": 2, "price": yuan("9000.00")}]
CHEAPER = [{"product": PUMP, "quantity": 2, "price": yuan("8100.00")}]


@pytest.fixture(autouse=True)
def _found_by_the_auditor(office: Office) -> Any:
    """After each story: who was refused what, as he was told it, stands in the refusals."""
    yield
    assert office.refused, "nothing was tried"
    found = {(each["actor"], each["code"], each["en"], each["zh"]) for each in office.refusals()}
    assert set(office.refused) <= found


def submitted(by: Somebody, number: str = "Q-1", lines: Any = CHEAP) -> dict[str, Any]:
    """A quote ten percent below the list price; a manager must approve it."""
    drafted(by, number, lines)
    by.does(f"/quotes/quote:{number}/submit-quote")
    return by.office.approval(f"quote:{number}")


def drafted(by: Somebody, number: str = "Q-1", lines: Any = CHEAP) -> Any:
    return by.does(
        "/quotes/draft-quote",
        number=number,
        customer=UNION,
        price_matrix=PRICES,
        lines=lines,
        valid_until=day(60),
    )


def issued(office: Office) -> dict[str, Any]:
    """What the customer was sent: version and content hash."""
    office.wang.approves(submitted(office.chen))
    office.chen.does("/quotes/quote:Q-1/issue-quote")
    version = office.quote("Q-1")
    return {"version": version["version"], "content_hash": version["content_hash"]}


def test_editing_after_the_submission(office: Office) -> None:
    """Q2, P1: what is in review cannot be written anew."""
    submitted(office.chen)
    said = office.chen.is_refused(
        "quote.wrong_stage", "/quotes/quote:Q-1/edit-quote", lines=CHEAPER, valid_until=day(60)
    )
    assert said == {
        "en": "version 1 is pending approval, not draft",
        "zh": "第 1 版审批中, 而非草稿",
    }
    cells = [{"product": PUMP, "price": yuan("1.00")}]
    office.zhao.does(f"/price-matrices/{PRICES}/draft-version", effective_from=day(1), cells=cells)
    office.zhao.does(f"/price-matrices/{PRICES}/submit-version", version=2)
    body = {"version": 2, "effective_from": day(1), "cells": cells}
    said = office.zhao.is_refused(
        "matrix.version_wrong_stage", f"/price-matrices/{PRICES}/edit-draft", **body
    )
    assert "in review" in said["en"]
    assert "审核中" in said["zh"]


def test_approving_ones_own(office: Office) -> None:
    """P2: also for whoever only edited or submitted it."""
    own = submitted(office.wang)
    said = approval_refused(office.wang, "approval.approver_is_author", own)
    assert said["zh"] == "审批须由编制人和提交人以外的人作出"
    drafted(office.chen, "Q-2")
    office.wang.does("/quotes/quote:Q-2/submit-quote")
    approval_refused(office.wang, "approval.approver_is_author", office.approval("quote:Q-2"))


def approval_refused(
    who: Somebody, code: str, approval: dict[str, Any], **more: Any
) -> dict[str, str]:
    body = {"content_hash": approval["content_hash"], **more}
    return who.is_refused(code, f"/approvals/{approval['id']}/approve", **body)


def test_approving_ones_own_through_a_substitute(office: Office) -> None:
    """Wang writes, and has Lin, then Zhao, stand in for him; and would stand in for himself."""
    term = {"roles": ["manager"], "first_day": day(-1), "last_day": day(9), "reason": "holiday"}
    appoint = "/persons/person:wang/appoint-substitute"
    said = office.wang.is_refused("substitute.oneself", appoint, substitute="person:wang", **term)
    assert said == {"en": "nobody is his own substitute", "zh": "不得指定本人为代理人"}
    office.wang.does(appoint, substitute="person:lin", **term)
    own = submitted(office.wang)
    said = approval_refused(
        office.lin, "approval.substitute_of_author", own, on_behalf_of="person:wang"
    )
    assert "nobody approves it for him" in said["en"]
    assert "他人不得代为审批" in said["zh"]
    office.wang.does(appoint, substitute="person:zhao", **term)
    said = approval_refused(office.zhao, "approval.substitute_of_author", own)
    assert "代理人不得审批编制人的内容" in said["zh"]


def test_standing_in_where_nobody_was_asked_to(office: Office) -> None:
    own = submitted(office.chen)
    said = approval_refused(office.lin, "approval.not_substitute", own, on_behalf_of="person:wang")
    assert "您今日并非 wang 在该角色上的代理人" in said["zh"]
    approval_refused(office.lin, "approval.wrong_role", own)


def test_counting_twice(office: Office) -> None:
    """Below floor, manager and director: Wang is not two people by having two roles."""
    both = Somebody(office, "wang", office.wang.name, (*office.wang.roles, *office.qian.roles))
    below = [{"product": PUMP, "quantity": 1, "price": yuan("7000.00")}]
    approval = submitted(office.chen, lines=below)
    both.approves(approval)
    # The same again changes nothing; for somebody else he would count a second time.
    both.approves(approval)
    term = {"roles": ["director"], "first_day": day(-1), "last_day": day(9), "reason": "holiday"}
    office.qian.does("/persons/person:qian/appoint-substitute", substitute="person:wang", **term)
    said = approval_refused(both, "approval.counts_once", approval, on_behalf_of="person:qian")
    assert "每人只计一次" in said["zh"]
    assert office.quote("Q-1")["status"] == "pending_approval"


def test_using_a_stale_version(office: Office) -> None:
    """Q3, Q4: the old version is neither accepted nor issued, whatever was approved of it."""
    old = issued(office)
    office.chen.does("/quotes/quote:Q-1/revise-quote", reason="more")
    office.chen.does("/quotes/quote:Q-1/edit-quote", lines=CHEAPER, valid_until=day(60))
    accepted = {**old, "accepted_by": "刘主任", "evidence": LETTER}
    said = office.chen.is_refused("quote.not_current", "/quotes/quote:Q-1/accept-quote", **accepted)
    assert said["zh"] == "第 1 版并非现行版本, 现行为第 2 版"
    said = office.chen.is_refused("quote.wrong_stage", "/quotes/quote:Q-1/issue-quote")
    assert said["en"] == "version 2 is draft, not approved"
    office.chen.does("/quotes/quote:Q-1/submit-quote")
    office.wang.approves(office.approval("quote:Q-1"))
    office.chen.does("/quotes/quote:Q-1/issue-quote")
    other = {**accepted, "version": 2}
    said = office.chen.is_refused(
        "quote.content_differs", "/quotes/quote:Q-1/accept-quote", **other
    )
    assert "您看到的内容与已发出的第 2 版不一致" in said["zh"]


def test_replaying_an_approval(office: Office) -> None:
    """Wang's click on version 1 is sent again for version 2, and again for version 1."""
    first = submitted(office.chen)
    office.wang.approves(first)
    office.chen.does("/quotes/quote:Q-1/revise-quote", reason="more")
    office.chen.does("/quotes/quote:Q-1/edit-quote", lines=CHEAPER, valid_until=day(60))
    office.chen.does("/quotes/quote:Q-1/submit-quote")
    second = office.approval("quote:Q-1")
    replayed = {"id": second["id"], "content_hash": first["content_hash"]}
    said = approval_refused(office.wang, "approval.content_moved", replayed)
    assert second["content_hash"] in said["zh"]
    said = approval_refused(office.wang, "approval.closed", first)
    assert (said["en"], said["zh"]) == ("the approval is voided", "该审批已作废")
    assert office.quote("Q-1")["status"] == "pending_approval"


def test_writing_over_what_a_colleague_has_just_written(office: Office) -> None:
    """Both looked at the same draft; the second is told, and nothing of the first is lost."""
    seen = drafted(office.chen)["version"]
    edit = {"valid_until": day(60), "if_match": f'"{seen}"'}
    office.lin.does("/quotes/quote:Q-1/edit-quote", lines=CHEAPER, **edit)
    wishes = [{"product": PUMP, "quantity": 3}]
    answer = office.chen.tell("/quotes/quote:Q-1/edit-quote", lines=wishes, **edit)
    assert (answer.status_code, answer.json()["code"]) == (412, "version.stale")
    said = was_told(office, "chen", answer)
    assert said == {
        "en": f"quote:Q-1 is at version {seen + 1}, not {seen}",
        "zh": f"当前版本为 {seen + 1}，与所给版本不符",
    }
    assert office.quote("Q-1")["shown"]["lines"][0]["price"] == yuan("8100.00")
    office.chen.is_refused("quote.wrong_stage", "/quotes/quote:Q-1/issue-quote")


def test_changing_it_while_it_is_approved(office: Office) -> None:
    """At the same moment, often: no content is ever issued that nobody approved."""
    for number in (f"Q-{n}" for n in range(6)):
        approval = submitted(office.chen, number)
        quote = f"/quotes/quote:{number}"
        with ThreadPoolExecutor(2) as pool:
            approving = pool.submit(
                office.wang.tell,
                f"/approvals/{approval['id']}/approve",
                content_hash=approval["content_hash"],
            )
            revising = pool.submit(office.chen.tell, f"{quote}/revise-quote", reason="cheaper")
        assert revising.result().status_code == 200, revising.result().text
        answer = approving.result()
        if answer.status_code != 200:
            assert answer.json()["code"] == "approval.closed", answer.text
            was_told(office, "wang", answer)
        office.chen.does(f"{quote}/edit-quote", lines=CHEAPER, valid_until=day(60))
        said = office.chen.is_refused("quote.wrong_stage", f"{quote}/issue-quote")
        assert said["zh"] == "第 2 版草稿, 而非已批准"
        assert office.approval(f"quote:{number}")["status"] == "voided"


def was_told(office: Office, who: str, answer: httpx.Response) -> dict[str, str]:
    """A refusal that was not sure to come; the auditor finds it like the others."""
    said: dict[str, str] = answer.json()["sentences"]
    office.refused.append((who, answer.json()["code"], said["en"], said["zh"]))
    return said


def test_approving_what_is_changed_between_reading_and_approving(office: Office) -> None:
    """Q2: Wang has version 1 before him; Chen revises, and Wang says yes to what he read."""
    read = submitted(office.chen)
    office.chen.does("/quotes/quote:Q-1/revise-quote", reason="cheaper")
    said = approval_refused(office.wang, "approval.closed", read)
    assert said == {"en": "the approval is voided", "zh": "该审批已作废"}
    said = office.chen.is_refused("quote.wrong_stage", "/quotes/quote:Q-1/issue-quote")
    assert said["zh"] == "第 2 版草稿, 而非已批准"


def test_ordering_directly_at_another_price(office: Office) -> None:
    """D3: neither below the price in force, nor from a quote that nobody has accepted."""
    lines = [{"product": PUMP, "quantity": 2, "price": yuan("8100.00")}]
    order = {"number": "SO-1", "customer": UNION}
    said = office.chen.is_refused(
        "order.price_not_in_force",
        "/orders/place-order",
        **order,
        price_matrix=PRICES,
        lines=lines,
    )
    assert said == {
        "en": f"{PUMP} costs 10000.00 CNY, not 8100.00 CNY",
        "zh": f"{PUMP} 的有效价格为 10000.00 CNY, 而非 8100.00 CNY",
    }
    submitted(office.chen)
    office.chen.is_refused("quote.wrong_stage", "/orders/place-order", **order, quote="quote:Q-1")


def test_taking_the_price_list_of_others(office: Office) -> None:
    """P4: a matrix that was opened for partners abroad prices nothing for a hospital here."""
    export = "price-matrix:EXPORT"
    office.zhao.does(
        "/price-matrices/open-price-matrix",
        code="EXPORT",
        name="Export 出口",
        currency="CNY",
        kinds=["partner"],
    )
    cells = [{"product": PUMP, "price": yuan("500.00")}]
    office.zhao.does(f"/price-matrices/{export}/draft-version", effective_from=day(0), cells=cells)
    office.zhao.does(f"/price-matrices/{export}/submit-version", version=1)
    office.wang.approves(office.approval(export))
    office.zhao.does(f"/price-matrices/{export}/schedule-version", version=1)
    wanted = {
        "customer": UNION,
        "price_matrix": export,
        "lines": [{"product": PUMP, "quantity": 1}],
    }
    for path, more in (
        ("/orders/place-order", {"number": "SO-1"}),
        ("/quotes/draft-quote", {"number": "Q-1", "valid_until": day(60)}),
    ):
        said = office.chen.is_refused("matrix.not_for_customer", path, **wanted, **more)
        assert said == {
            "en": "the prices of EXPORT are not for this customer (hospital, 浙江)",
            "zh": "EXPORT 的价格不适用于该客户 (医院, 浙江)",
        }


def test_writing_a_special_price_with_a_floor_of_its_own(office: Office) -> None:
    """P2, P5: for the family or for the product, one manager alone does not let it through."""
    office.gu.does(f"/products/{PUMP}/classify-product", family="输液泵")
    listed = {"product": PUMP, "price": yuan("10000.00"), "floor": yuan("8000.00")}
    given_away = {
        "kind": "special",
        "customer": UNION,
        "price": yuan("1.00"),
        "floor": yuan("1.00"),
    }
    for number, subject in ((2, {"product": PUMP}), (3, {"family": "输液泵"})):
        cells = [listed, {**subject, **given_away}]
        path = f"/price-matrices/{PRICES}"
        office.zhao.does(f"{path}/draft-version", effective_from=day(0), cells=cells)
        office.zhao.does(f"{path}/submit-version", version=number)
        office.wang.approves(office.approval(PRICES))
        wrong = office.zhao.is_refused(
            "matrix.version_wrong_stage", f"{path}/schedule-version", version=number
        )
        assert wrong["en"] == f"version {number} is in review, not approved"


def test_accepting_in_the_past_and_issuing_at_prices_that_were_wrong(office: Office) -> None:
    """Q4: an acceptance binds us when it is told; P1: nothing is sent at revoked prices."""
    seen = issued(office)
    accept = {**seen, "accepted_by": "刘院长", "evidence": LETTER}
    told = {"effective_at": "2020-01-01T00:00:00Z", "reason": "the letter came by post"}
    office.chen.is_refused(
        "effective.at_once", "/quotes/quote:Q-1/accept-quote", **accept, told=told
    )
    office.wang.approves(submitted(office.chen, "Q-2"))
    wrong = {"version": 1, "reason": "a wrong column"}
    office.wang.does(f"/price-matrices/{PRICES}/suspend-version", **wrong)
    office.wang.does(f"/price-matrices/{PRICES}/revoke-version", **wrong)
    said = office.chen.is_refused("quote.price_given_up", "/quotes/quote:Q-2/issue-quote")
    assert said == {
        "en": "version 1 of its prices is revoked; revise the quote, then it is priced anew",
        "zh": "其价格第 1 版已撤销; 请修订报价以重新计价",
    }
    office.chen.does("/quotes/quote:Q-1/accept-quote", **accept)


def test_opening_an_order_again_to_escape_the_credit_check(office: Office) -> None:
    """K2, D4: cancelled, its room given to another, opened again; it must find room again."""
    office.feng.does(
        "/credit-accounts/agree-credit", customer=UNION, limit=yuan("30000.00"), reason="new"
    )
    for number in ("SO-1", "SO-2"):
        lines = [{"product": PUMP, "quantity": 2}]
        order = {"number": number, "customer": UNION, "price_matrix": PRICES}
        office.chen.does("/orders/place-order", **order, lines=lines)
    office.chen.does("/orders/order:SO-1/confirm-order")
    office.chen.does("/orders/order:SO-1/cancel-order", reason="no need")
    office.chen.does("/orders/order:SO-2/confirm-order")
    office.chen.does("/orders/order:SO-1/reopen-order", reason="needed after all")
    office.chen.does("/orders/order:SO-1/confirm-order")
    assert statuses(office, "SO-1", "SO-2") == ["on_hold", "confirmed"]
    release = {"kind": "credit", "reason": "he is a good customer"}
    path = "/orders/order:SO-1/release-hold"
    office.chen.is_refused("role.missing", path, **release)
    office.wang.is_refused("order.hold_of_others", path, **release)
    said = office.feng.is_refused("order.hold_stands", path, **release)
    assert "20000.00 CNY on top of 20000.00 would be more than the 30000.00 agreed" in said["en"]
    assert "20000.00" in said["zh"]
    assert "30000.00" in said["zh"]
    assert statuses(office, "SO-1", "SO-2") == ["on_hold", "confirmed"]


def test_making_room_on_credit_alone(office: Office) -> None:
    """K1, K4, K7: neither by a guarantee or a limit, nor by leaving a group or ending a hold."""
    ours = "credit-account:" + UNION.partition(":")[2]
    to_account = f"/credit-accounts/{ours}"
    agree_on_a_group(office, to_account)
    for number in ("SO-1", "SO-2"):
        order = {"number": number, "customer": UNION, "price_matrix": PRICES}
        lines = [{"product": PUMP, "quantity": 2}]
        office.chen.does("/orders/place-order", **order, lines=lines)
        office.chen.does(f"/orders/order:{number}/confirm-order")
    letter = {"number": "LG-1", "guarantor": "his brother", "evidence": LETTER}
    more = {"amount": yuan("90000.00"), "until": day(90)}
    for path, body in (
        ("record-guarantee", {**letter, **more}),
        ("request-override", {**more, "reason": "a good customer"}),
        ("leave-group", {"reason": "they have grown up"}),
        ("agree-credit", {"customer": UNION, "limit": yuan("99000.00"), "reason": "they pay"}),
    ):
        where = "/credit-accounts" if path == "agree-credit" else to_account
        office.feng.does(f"{where}/{path}", **body)
        said = approval_refused(office.feng, "approval.approver_is_author", office.approval(ours))
        assert said["zh"] == "审批须由编制人和提交人以外的人作出"
    office.feng.does(f"{to_account}/hold-credit", reason="overdue")
    office.feng.does(f"{to_account}/clear-credit", reason="they have promised")
    approval_refused(office.feng, "approval.approver_is_author", office.approval(ours))
    release = {"kind": "credit", "reason": "he is a good customer"}
    office.feng.is_refused("order.hold_stands", "/orders/order:SO-2/release-hold", **release)
    waiting = office.feng.asks(to_account)
    assert [each["matter"] for each in waiting["requests"]] == [
        "guarantee",
        "override",
        "leave_group",
        "limit",
        "clear",
    ]
    (line,) = waiting["exposures"]
    assert (line["exposure"], line["guaranteed"], line["overridden"]) == ("20000.00", "0", "0")
    assert statuses(office, "SO-1", "SO-2") == ["confirmed", "on_hold"]


def agree_on_a_group(office: Office, to_account: str) -> None:
    """The hospital may owe 20,000, and its group no more than that."""
    for customer, limit in ((parent(office), "90000.00"), (UNION, "20000.00")):
        agreed = {"customer": customer, "limit": yuan(limit), "reason": "new"}
        office.feng.does("/credit-accounts/agree-credit", **agreed)
    theirs = "credit-account:group"
    together = {"limit": yuan("20000.00"), "reason": "new"}
    office.feng.does(f"/credit-accounts/{theirs}/agree-group-limit", **together)
    office.feng.does(f"{to_account}/join-group", head=theirs, reason="theirs")


def parent(office: Office) -> str:
    company = {"number": "group", "kind_of": "hospital", "name": "集团", "region": "浙江"}
    told = office.wang.does("/customers/register-customer", **company, address="杭州")
    return str(told["id"])


def statuses(office: Office, *numbers: str) -> list[str]:
    return [office.chen.asks(f"/orders/order:{n}")["order"]["status"] for n in numbers]


def test_the_buyer_deciding_for_us(office: Office) -> None:
    """P2, Q2, B7: he countersigns, and nothing else; with a role of ours in his token, no more."""
    approval = submitted(office.chen)
    seen = {"content_hash": approval["content_hash"]}
    approve, propose = f"/approvals/{approval['id']}/approve", "/approval-flows/propose-flow"
    free = {"governs": "quote", "rules": [{"name": "x", "steps": [{"role": "sales"}]}]}
    office.liu.is_refused("role.missing", approve, **seen)
    director = Somebody(office, "liu", office.liu.name, (Role.DIRECTOR,))
    said = director.is_refused("person.not_ours", approve, **seen)
    assert "不得代表其作出决定" in said["zh"]
    director.is_refused("person.not_ours", propose, **free, reason="cheaper")
    office.qian.does("/persons/person:zheng/dismiss-person", reason="left")
    office.zheng.is_refused("person.gone", propose, **free, reason="never mind")
    office.wang.approves(approval)


def test_somebody_else_signing_for_us(office: Office) -> None:
    """C1, B7: neither a third company nor the buyer, whatever the roles in their tokens."""
    third = Somebody(office, "third", "第三人 Third", (Role.LEGAL,))
    names = {"name": third.name, "organisation": "别的公司", "title": "x"}
    office.qian.does("/persons/register-person", person="third", **names)
    director = Somebody(office, "liu", office.liu.name, (Role.DIRECTOR,))
    office.have_passwords(third, director)
    terms = {
        "title": "输液泵采购",
        "lines": [{"product": PUMP, "price": yuan("9000.00"), "max_quantity": 10}],
        "currency": "CNY",
        "valid_from": day(-1),
        "valid_until": day(365),
    }
    office.chen.does("/contracts/draft-contract", number="HT-1", customer=UNION, **terms)
    contract = "contract:HT-1"
    out_for_signature(office, contract)
    read = office.sun.asks(f"/contracts/{contract}/document").headers["Medsales-Content-Hash"]
    for somebody in (third, director):
        signed = somebody.signs(contract, 1, read, "responsibility")
        path = f"/contracts/{contract}/sign-contract"
        said = somebody.is_refused("contract.not_our_signatory", path, signature=signed)
        assert "登记单位" in said["zh"]


def test_signing_what_has_been_changed_since(office: Office) -> None:
    """C1: the signature is of the content that was read; and nobody sends it for somebody else."""
    office.have_passwords(office.sun)
    contract = "contract:HT-1"
    terms = {
        "title": "输液泵采购",
        "lines": [{"product": PUMP, "price": yuan("9000.00"), "max_quantity": 10}],
        "currency": "CNY",
        "valid_from": day(-1),
        "valid_until": day(365),
    }
    office.chen.does("/contracts/draft-contract", number="HT-1", customer=UNION, **terms)
    out_for_signature(office, contract)
    read = office.sun.asks(f"/contracts/{contract}/document").headers["Medsales-Content-Hash"]
    signed = office.sun.signs(contract, 1, read, "responsibility")
    path = f"/contracts/{contract}/sign-contract"
    said = office.wang.is_refused("signature.not_own", path, signature=signed)
    assert "不得代他人签名" in said["zh"]
    office.chen.does(f"/contracts/{contract}/recall-contract", reason="the price")
    cheaper = [{"product": PUMP, "price": yuan("1.00"), "max_quantity": 10}]
    office.chen.does(f"/contracts/{contract}/edit-contract", **{**terms, "lines": cheaper})
    out_for_signature(office, contract)
    said = office.sun.is_refused("signature.subject_moved", path, signature=signed)
    assert "在您签名后已变更" in said["zh"]
    assert "no longer what you have signed" in said["en"]


def out_for_signature(office: Office, contract: str) -> None:
    office.chen.does(f"/contracts/{contract}/submit-contract")
    for approver in (office.wang, office.qian):  # its price was compared with none
        approver.approves(office.approval(contract))
    office.chen.does(f"/contracts/{contract}/send-contract")
