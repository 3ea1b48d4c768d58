"""`medsales password set` and `medsales signature verify`, as operators and auditors use them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.api.letters import Letter, RecallLetter, SignLetter, WriteLetter
from tests.cli.conftest import Program, http, new_home

from medsales.cli.failures import Failed
from medsales.cli.signing import new_code, speaker
from medsales.company import Company, open_company
from medsales.domain.governance.person import RegisterPerson
from medsales.domain.governance.signature import Meaning, Sign, SignedStatement
from medsales.domain.kernel import Role
from medsales.engine.application import Actor, Ask
from medsales.engine.embedded_postgres import EmbeddedPostgres
from medsales.testing import Pen

WANG = Pen("wang", "王敏")
CHEN = {"person": "chen", "name": "陈立", "organisation": "翠鸟医疗", "title": "经理"}


@pytest.fixture(scope="module")
def medsales() -> Iterator[Program]:
    """One is enough, with a database of its own: who serves, serves every company in it."""
    with Program(new_home()) as program:
        yield program


@pytest.fixture(scope="module")
def company(medsales: Program) -> Iterator[Company]:
    """Wang has a key, and has written a letter."""
    with EmbeddedPostgres(medsales.home) as server:
        server.start()
        company = open_company(server.url(), "letters")
        company.follower.prepare()
        ask(company, WANG.registration(), by="zhao")
        for command in WANG.commands():
            ask(company, command, WANG.id)
        ask(company, WriteLetter(number="1", text="Dear Sirs"))
        yield company
        company.close()


def ask(company: Company, command: Any, id: str | None = None, by: str = "wang") -> str:
    return company.app.handle(Ask(command, Actor(by, by, tuple(Role)), id)).id


def statement(company: Company, version: int = 1) -> SignedStatement:
    content = company.app.existing("letter:1", Letter).hash()
    now = company.app.clock()
    return WANG.signs("letter:1", version, content, Meaning.AUTHORSHIP, at=now)


def test_a_signature_is_verified_and_shown(medsales: Program, company: Company) -> None:
    signed = statement(company)
    ask(company, SignLetter(signature=signed), "letter:1")
    id = signed.statement.id()
    said = medsales.says("signature", "verify", id, "--company", company.name)
    assert "Signed by 王敏\n  签名人: 王敏" in said
    assert "核验通过，有效" in said
    told = medsales.json("signature", "verify", id, "--company", company.name)
    assert (told["genuine"], told["findings"]) == (True, [])
    ask(company, RecallLetter(reason="wrong price"), "letter:1")
    said = medsales.says("signature", "verify", id, "--company", company.name)
    assert "INVALIDATED: wrong price" in said
    assert "核验通过，但已作废" in said


def test_what_its_subject_never_was_is_told_by_exit_code_1(
    medsales: Program, company: Company
) -> None:
    signed = statement(company, version=7)
    ask(company, Sign(signed=signed))
    done = medsales.run("signature", "verify", signed.statement.id(), "--company", company.name)
    assert done.returncode == 1
    assert "of a version and a content that its subject did not have" in done.stdout
    assert "核验未通过" in done.stdout


def test_what_is_no_signature_is_told_in_a_sentence(medsales: Program, company: Company) -> None:
    for id in ("signature:none", "nonsense"):
        said = medsales.refuses("signature", "verify", id, "--company", company.name)
        assert said.startswith(f"there is no {id}")


def test_the_operator_gives_a_code_and_the_person_sets_the_password(
    medsales: Program, company: Company
) -> None:
    """Nobody but himself ever knows it; each code is a fact, with who gave it and why."""
    ask(company, RegisterPerson(**CHEN))
    given = ("--company", company.name, "--user", "operator", "--reason", "first day")
    void = medsales.says("password", "set", "chen", *given).strip()
    code = medsales.says("password", "set", "person:chen", *given).strip()
    token = medsales.says("token", "--user", "chen", "--company", company.name)
    with http(medsales.serve().url(), token) as chen:
        assert password(chen, void).json()["code"] == "reauthentication.failed"
        assert password(chen, code).status_code == 200
        assert password(chen, code).json()["code"] == "reauthentication.failed"
    with company.database.cursor() as db:
        rows = db.execute("select event, payload, envelope from log where subject = 'person:chen'")
        facts = rows.fetchall()
    resets = [fact for fact in facts if fact["event"] == "PasswordReset"]
    assert [fact["payload"]["reason"] for fact in resets] == ["first day"] * 2
    assert {fact["envelope"]["by"] for fact in resets} == {"operator"}
    assert code not in str(facts)


def password(person: httpx.Client, old: str) -> httpx.Response:
    body = {"old": old, "new": "correct horse battery"}
    return person.post("/persons/person:chen/password", json=body)


def test_who_is_not_registered_gets_no_code(medsales: Program, company: Company) -> None:
    said = medsales.refuses("password", "set", "nobody", "--company", company.name)
    assert said.startswith("there is no person:nobody")


@pytest.mark.parametrize(("reason", "user"), [("", "operator"), ("why not", "system")])
def test_a_reset_has_a_reason_and_somebody_who_decides(
    company: Company, reason: str, user: str
) -> None:
    with pytest.raises(Failed):
        new_code(company, WANG.id, reason, speaker(user))
