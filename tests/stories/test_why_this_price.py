"""An auditor asks why this price was given on that day, and checks it away from the server.

He gets the rule, the version, who approved and who signed; then he takes the facts home, and with
Python and the key of the seal alone finds the same people, the same content and no change.
"""

import json
import os
import subprocess
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.stories.office import PRICES, PUMP, UNION, Office, day, yuan

FLOW = {
    "governs": "price-matrix",
    "reason": "prices are signed for",
    "rules": [{"name": "all", "steps": [{"role": "manager", "signed": True}]}],
}
SINCE = day(-30)


def test_why_this_price(office: Office, tmp_path: Path) -> None:
    office.have_passwords(office.wang)
    office.qian.does("/approval-flows/propose-flow", **FLOW)
    office.zheng.does("/approval-flows/approval-flow:price-matrix/adopt-flow", version=1)
    office.prices(SINCE, signed=True, PUMP="9500.00")
    ordered = an_order(office)
    office.prices(SINCE, signed=True, PUMP="9900.00")

    why = office.ou.asks(
        f"/customers/{UNION}/terms-in-force",
        product=PUMP,
        on=day(0),
        price_matrix=PRICES,
        as_of=ordered,
    )["applied"]
    names_rule_version_approver_and_signature(why)
    the_later_version_changes_only_what_is_asked_today(office, why, ordered)

    folder, key = taken_home(office, tmp_path)
    report = verified(folder, key)
    the_facts_say_the_same_at_home(facts_in(folder), report, why)
    what_is_changed_at_home_is_found(folder, key)


def an_order(office: Office) -> int:
    """At the price in force; its position."""
    order = {"number": "SO-1", "customer": UNION, "price_matrix": PRICES}
    lines = [{"product": PUMP, "quantity": 2, "price": yuan("9500.00")}]
    placed = office.chen.does("/orders/place-order", **order, lines=lines)
    (line,) = office.ou.asks("/orders/order:SO-1")["lines"]
    assert (line["price"], line["price_version"]) == ("9500.00", 2)
    return int(placed["position"])


def names_rule_version_approver_and_signature(why: dict[str, Any]) -> None:
    assert (why["price"], why["rule"], why["version"]) == (yuan("9500.00"), "list", 2)
    assert why["path"] == ["CN version 2", f"since {SINCE}", "list price, from 1"]
    (consent,) = why["approval"]["consents"]
    assert (consent["approver"], consent["name"]) == ("wang", "王敏 Wang Min")
    (signature,) = why["signatures"]
    assert (signature["signer"], signature["counts"]) == ("person:wang", True)
    assert signature["content_hash"] == why["content_hash"] == why["approval"]["content_hash"]


def the_later_version_changes_only_what_is_asked_today(
    office: Office, why: dict[str, Any], ordered: int
) -> None:
    """P7: version 3 counts from the same day, and was not known when the order was placed."""
    question = {"product": PUMP, "on": day(0), "price_matrix": PRICES}
    path = f"/customers/{UNION}/terms-in-force"
    assert office.ou.asks(path, **question)["applied"]["price"] == yuan("9900.00")
    assert office.ou.asks(path, **question, recorded_by=ordered)["applied"] == why
    history = office.ou.asks("/price-history", product=PUMP, matrix=PRICES)["items"]
    assert {each["version"] for each in history} == {1, 2, 3}
    (line,) = office.ou.asks("/orders/order:SO-1")["lines"]
    assert line["price"] == "9500.00"


def taken_home(office: Office, home: Path) -> tuple[Path, str]:
    """`medsales audit export`, as the operator runs it; the key is told to the auditor."""
    folder = home / "export"
    environment = {
        **os.environ,
        "MEDSALES_HOME": str(home / "server"),
        "MEDSALES_DATABASE_URL": office.company.database.url,
    }
    command = ["audit", "export", str(folder), "--company", office.company.name]
    done = subprocess.run(
        [sys.executable, "-m", "medsales", *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (key,) = (line.split()[1] for line in done.stdout.splitlines() if line.startswith("key "))
    return folder, key


def verified(folder: Path, key: str) -> dict[str, Any]:
    """What `python -m medsales.audit` says, without a server or database."""
    done = audit(folder, key)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def audit(folder: Path, key: str) -> subprocess.CompletedProcess[str]:
    clean = {name: said for name, said in os.environ.items() if "MEDSALES" not in name}
    return subprocess.run(
        [sys.executable, "-m", "medsales.audit", str(folder), "--key", key, "--json"],
        env=clean,
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def facts_in(folder: Path) -> list[dict[str, Any]]:
    (file,) = (folder / "facts").glob("*.ndjson")
    return [json.loads(line) for line in file.read_text().splitlines()]


def the_facts_say_the_same_at_home(
    facts: list[dict[str, Any]], report: dict[str, Any], why: dict[str, Any]
) -> None:
    """Recomputed by hand: the signed bytes, the signature over them, who approved, what content."""
    id = why["signatures"][0]["signature"]
    (signed,) = (
        each["payload"]["signed"]
        for each in facts
        if (each["subject"], each["event"]) == (id, "Signed")
    )
    statement = signed["statement"]
    assert statement["content_hash"] == why["content_hash"]
    (key,) = (
        each["payload"]["public_key"]
        for each in facts
        if each["event"] == "SigningKeyRegistered" and each["subject"] == statement["signer"]
    )
    public = Ed25519PublicKey.from_public_bytes(b64decode(key))
    said = {name: value for name, value in statement.items() if value is not None}
    public.verify(b64decode(signed["value"]), rfc8785.dumps(said))
    assert id == f"signature:{sha256(rfc8785.dumps(said)).hexdigest()[:32]}"
    assert {one["id"]: one["genuine"] for one in report["signatures"]}[id] is True
    assert hashed_by_hand(facts, why["version"]) == why["content_hash"]
    (approved,) = (
        each["payload"]
        for each in facts
        if (each["subject"], each["event"]) == (why["approval"]["approval"], "StepApproved")
    )
    assert (approved["approver"], approved["signature"]) == ("wang", id)
    assert approved["content_hash"] == why["content_hash"]


def hashed_by_hand(facts: list[dict[str, Any]], version: int) -> str:
    """The hash that was approved and signed, from the prices themselves: that one is 9,500."""
    (drafted,) = (
        each["payload"]
        for each in facts
        if each["event"] == "MatrixVersionDrafted" and each["payload"]["number"] == version
    )
    (cells,) = (
        each["payload"]["cells"]
        for each in facts
        if each["event"] == "SheetWritten" and each["payload"]["version"] == version
    )
    assert [cell["price"] for cell in cells] == [yuan("9500.00")]
    days = {name: drafted[name] for name in ("effective_from", "effective_until")}
    before = digest({"price_matrix": PRICES, "version": version, **days})
    return digest({"before": before, "cells": cells})


def digest(said: Any) -> str:
    return f"sha256:{sha256(rfc8785.dumps(said)).hexdigest()}"


def what_is_changed_at_home_is_found(folder: Path, key: str) -> None:
    """One digit of one price."""
    (file,) = (folder / "facts").glob("*.ndjson")
    file.write_text(file.read_text().replace('"9500.00"', '"9400.00"', 1))
    done = audit(folder, key)
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"]
