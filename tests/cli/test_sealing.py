"""Sealing, verifying and exporting from the command line."""

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.cli.conftest import Program
from tests.domain.examples import OPEN_HANGZHOU, PUMP, REGISTER_PUMP, SN1, label
from tests.engine.purses import query, until

from medsales.company import Company, open_company
from medsales.domain.kernel import Role
from medsales.domain.stock.device_unit import InspectUnit, ReceiveUnit
from medsales.engine.application import Actor, Ask

MEI = Actor("mei", "Mei 梅", (Role.SYSTEM,), "desk")


@pytest.fixture
def told(database_url: str, name: str) -> Iterator[Company]:
    """A company with a few facts, and its read models."""
    company = open_company(database_url, name)
    receive = ReceiveUnit(udi=label(serial="SN1"), product=PUMP, warehouse=OPEN_HANGZHOU.begins())
    for command in (OPEN_HANGZHOU, REGISTER_PUMP, receive):
        company.app.handle(Ask(command, MEI))
    company.follower.prepare()
    company.follower.catch_up()
    yield company
    company.close()


def inspect(company: Company) -> None:
    company.app.handle(Ask(InspectUnit(passed=True), MEI, SN1))


def test_a_log_is_sealed_verified_and_exported(medsales: Program, told: Company) -> None:
    mine = ("--company", told.name)
    head = medsales.json("seal", *mine)
    assert head["size"] == told.log.head()
    assert stat.S_IMODE((medsales.home / "seal.key").stat().st_mode) == 0o600
    inspect(told)
    assert "head 2 covers" in medsales.says("seal", *mine)
    said = medsales.says("seal", "verify", *mine)
    assert said.startswith(f"the positions 1 to {told.log.head()} are as they were sealed")
    assert "与封存时一致" in said
    assert "no heads from outside were compared" in said
    folder = medsales.home / "export"
    assert f"--key {head['key']}" in medsales.says("audit", "export", str(folder), *mine)
    tables = json.loads((folder / "read_models.json").read_text())
    assert {one["read_model"] for one in tables} == set(told.follower.projections)
    assert sum(one["rows"] for one in tables) > 0
    done = subprocess.run(
        [sys.executable, "-m", "medsales.audit", folder, "--key", head["key"]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "verified: the positions 1 to" in done.stdout


def test_what_was_changed_is_named_by_exit_code_1(medsales: Program, told: Company) -> None:
    mine = ("--company", told.name)
    medsales.says("seal", *mine, MEDSALES_SEAL_FILE=str(medsales.home / "heads"))
    with told.database.writing() as db:
        db.execute("grant update, delete on facts to current_user")
        db.execute("alter table facts disable trigger user")
        db.execute("update facts set topic = 'Nothing' where notification_id = 2")
        db.execute("delete from facts where notification_id = %s", (told.log.head(),))
    done = medsales.run("seal", "verify", *mine, "--heads", str(medsales.home / "heads"))
    assert done.returncode == 1
    assert "the fact at position 2 is not the one that was sealed" in done.stdout
    assert "位置 2 的事实与封存时不同" in done.stdout
    done = medsales.run("seal", "verify", *mine, "--json")
    assert done.returncode == 1
    found = [(one["code"], one["position"]) for one in json.loads(done.stdout)["findings"]]
    assert found == [("fact.changed", 2), ("fact.missing", told.log.head() + 1)]
    assert "is missing / 位置" in medsales.refuses("seal", *mine)


def test_a_worker_seals_by_itself(medsales: Program, told: Company) -> None:
    worker = medsales.start("worker", "--company", told.name)
    until(lambda: any(row["size"] == told.log.head() for row in query(told, HEADS)))
    assert worker.told(signal.SIGTERM) == 0


HEADS = "select size from seal_heads"


def test_mistakes_are_told_in_a_sentence(medsales: Program, told: Company) -> None:
    mine = ("--company", told.name)
    nowhere = str(medsales.home / "nowhere")
    assert "there is no file" in medsales.refuses("seal", "verify", *mine, "--heads", nowhere)
    (medsales.home / "taken").mkdir()
    (medsales.home / "taken" / "file").touch()
    taken = str(medsales.home / "taken")
    assert "is not empty" in medsales.refuses("audit", "export", taken, *mine)
    head = told.log.head()
    sentence = medsales.refuses("audit", "export", nowhere, *mine, "--to", str(head + 1))
    assert sentence == f"the log has the positions 1 to {head}"
    other = medsales.refuses("seal", *mine, MEDSALES_SEAL_KEY=str(medsales.home / "other.key"))
    assert "is sealed with the key" in other


def test_a_new_key_follows_the_present_one(alone: Program) -> None:
    alone.says("company", "add", "one")
    assert "holds no fact yet" in alone.refuses("seal", "--company", "one")
    said = alone.says("seal", "rotate")
    first = (alone.home / "seal.key").read_bytes()
    assert said.startswith("one: from now on sealed with the key")
    alone.says("seal", "rotate")
    assert (alone.home / "seal.key").read_bytes() != first
    assert not (alone.home / "seal.key.next").exists()
