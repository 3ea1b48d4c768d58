"""Signing over HTTP (B7): proof, statement, command; and that no password is kept anywhere."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from tests.api.conftest import Api, new_name, running
from tests.api.letters import Letter
from tests.api.test_commands import is_problem

from medsales.api.main import create_app
from medsales.catalogue import AGGREGATES
from medsales.cli.signing import new_code
from medsales.company import Companies, open_company
from medsales.domain.governance.person import FAILURES
from medsales.domain.governance.signature import SignedStatement
from medsales.domain.ids import PersonId
from medsales.domain.kernel import Role
from medsales.engine.credentials import METHOD, METHODS, Passwords
from medsales.engine.database import connect, schema_of
from medsales.engine.log import Selection, facts
from medsales.projections.in_words import in_words
from medsales.settings import Settings

FIRST = "correct horse battery"
SECOND = "staple 订书钉 forever"
WANG = "person:wang"


MEANT = dict(METHODS)


@dataclass
class Desk:
    """Wang's desk: he may write letters, and sign what he wrote."""

    api: Api
    session: str | None = None
    letters: list[str] = field(default_factory=list)

    def begin(self, user: str = "wang", name: str = "王敏", password: str = FIRST) -> None:
        body = {"person": user, "name": name, "organisation": "翠鸟医疗", "title": "销售经理"}
        registrar = self.api.auth(Role.MANAGER, user="registrar")
        answer = self.api.post("/persons/register-person", body, **registrar)
        assert answer.status_code == 200
        self.set_password(self.code(user), password)

    def code(self, user: str = "wang") -> str:
        return new_code(self.api.company, PersonId.of(user), "forgot it", "operator")

    def set_password(self, old: str, new: str, who: str = WANG) -> httpx.Response:
        return self.api.http.post(f"/persons/{who}/password", json={"old": old, "new": new})

    def write(self, text: str = "Dear Sirs", number: str = "1") -> dict[str, Any]:
        assert self.api.post("/letters/write-letter", {"number": number, "text": text}).is_success
        letter = self.api.company.app.existing(f"letter:{number}", Letter)
        return {
            "subject": f"letter:{number}",
            "version": letter.content.version,
            "content_hash": letter.hash(),
        }

    def prepare(self, shown: dict[str, Any], **given: Any) -> httpx.Response:
        said = {
            "meaning": "authorship",
            "text": "我已阅读并同意",
            "time_zone": "Asia/Shanghai",
            "person": WANG,
            "password": FIRST,
        }
        asked = {**shown, **said, **given}
        asked = {name: value for name, value in asked.items() if value is not None}
        return self.api.http.post("/signatures/prepare", json=asked)

    def sign(self, prepared: httpx.Response) -> httpx.Response:
        assert prepared.status_code == 200, prepared.text
        statement = prepared.json()
        subject = statement["statement"]["subject"]
        return self.api.post(f"/letters/{subject}/sign-letter", {"signature": statement})

    def facts(self) -> list[tuple[str, dict[str, Any]]]:
        with self.api.company.database.cursor() as db:
            rows = db.execute("select event, payload from log order by position").fetchall()
        return [(row["event"], row["payload"]) for row in rows]

    def everything_kept(self) -> str:
        """All rows of all tables, as text."""
        with connect(self.api.server.database_url) as conn:
            conn.execute(f"set search_path to {schema_of(self.api.company.name)}")
            tables = conn.execute(
                "select tablename from pg_tables where schemaname = current_schema()"
            ).fetchall()
            rows = [
                row
                for table in tables
                for row in conn.execute(
                    f"select to_jsonb(t)::text as row from {table['tablename']} t"
                )
            ]
            facts = conn.execute("select convert_from(state, 'UTF8') as row from facts")
            return "\n".join(row["row"] for row in [*rows, *facts])


@pytest.fixture(scope="module")
def post_office(database_url: str, settings: Settings) -> Iterator[Any]:
    companies = Companies(database_url)
    with running(create_app(companies, settings, aggregates=(*AGGREGATES, Letter))) as url:
        yield url, companies
    companies.close()


@pytest.fixture(scope="module", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """What they cost is no concern of these tests; that they cost enough is one of the last."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, METHOD, (2**4, 8, 1))
        yield


@pytest.fixture
def desk(server: Any, post_office: Any, database_url: str) -> Iterator[Desk]:
    """A company of its own."""
    yield from desks(server, post_office, database_url)


@pytest.fixture(scope="module")
def one_desk(server: Any, post_office: Any, database_url: str) -> Iterator[Desk]:
    """For tests that leave nothing behind."""
    yield from desks(server, post_office, database_url)


def desks(server: Any, post_office: Any, database_url: str) -> Iterator[Desk]:
    url, companies = post_office
    company = open_company(database_url, new_name())
    company.follower.prepare()
    companies.opened[company.name] = company
    with httpx.Client(base_url=url, timeout=30) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(Role.SALES, Role.MANAGER, user="wang"))
        desk = Desk(api)
        desk.begin()
        yield desk
    companies.opened.pop(company.name).close()


def test_a_signature_is_prepared_and_sent_with_the_command_it_belongs_to(desk: Desk) -> None:
    shown = desk.write()
    seen = "sha256:" + "d" * 64
    prepared = desk.prepare(shown, document=seen, device="iPad 0421")
    receipt = desk.sign(prepared).json()
    assert receipt["events"] == ["LetterSigned", "Signed"]
    statement = prepared.json()["statement"]
    assert (statement["printed_name"], statement["document"]) == ("王敏", seen)
    assert (statement["title"], statement["role"]) == ("销售经理", "sales")
    assert statement["device"] == "iPad 0421"
    assert statement["local_time"].endswith("+08:00")
    assert statement["authentication"]["components"] == ["person_id", "password"]
    assert statement["authentication"]["continuous"] is False
    desk.api.company.follower.catch_up()
    (card,) = desk.api.get("/signatures", subject="letter:1").json()["items"]
    seen = desk.api.get(f"/signatures/{card['signature']}").json()
    assert seen["signed"] == prepared.json()
    assert "签名人: 王敏" in seen["zh"]
    key = desk.api.get(f"/persons/{WANG}").json()["keys"][0]
    assert SignedStatement.model_validate(seen["signed"]).is_genuine(key["public_key"])
    assert desk.api.get("/signatures", signer=WANG).json()["items"] == [card]
    assert desk.api.get("/signatures", signer="person:chen").json()["items"] == []


def test_in_a_session_the_password_alone_is_enough(desk: Desk) -> None:
    """21 CFR 11.200(a)(1)(i)."""
    shown = desk.write()
    first = desk.prepare(shown).json()["statement"]["authentication"]
    again = desk.prepare(shown, person=None, session=first["session"])
    how = again.json()["statement"]["authentication"]
    assert (how["components"], how["continuous"]) == (["password"], True)
    assert how["session"] == first["session"]
    assert desk.sign(again).status_code == 200


def test_without_a_session_the_password_alone_is_not(desk: Desk) -> None:
    shown = desk.write()
    for session in (None, "made-up"):
        answer = desk.prepare(shown, person=None, session=session)
        assert is_problem(answer, 422, "reauthentication.incomplete")
    session = desk.prepare(shown).json()["statement"]["authentication"]["session"]
    ended = desk.api.post(f"/persons/{WANG}/end-session", {"session": session})
    assert ended.json()["events"] == ["SessionEnded"]
    answer = desk.prepare(shown, person=None, session=session)
    assert is_problem(answer, 422, "reauthentication.incomplete")


def test_what_has_moved_since_it_was_shown_is_not_signed(desk: Desk) -> None:
    """B7: what you see is what you sign."""
    prepared = desk.prepare(desk.write("Dear Sirs"))
    desk.write("Dear Sirs and Mesdames")
    assert is_problem(desk.sign(prepared), 422, "signature.subject_moved")
    assert [name for name, _ in desk.facts()].count("Signed") == 0


def test_a_changed_statement_is_found_out(desk: Desk) -> None:
    shown = desk.write()
    prepared = desk.prepare(shown)
    for change in ({"text": "I know nothing"}, {"printed_name": "陈立"}, {"role": "manager"}):
        statement = prepared.json()
        statement["statement"] |= change
        answer = desk.api.post("/letters/letter:1/sign-letter", {"signature": statement})
        assert is_problem(answer, 422, "signature.forged")


def test_nobody_signs_as_somebody_else(desk: Desk) -> None:
    """Neither with his token, nor with his statement, nor under his name."""
    shown = desk.write()
    prepared = desk.prepare(shown)
    wrong = desk.prepare(shown, person="person:chen")
    assert is_problem(wrong, 403, "reauthentication.failed")
    desk.api.http.headers.update(desk.api.auth(Role.SALES, Role.MANAGER, user="chen"))
    assert is_problem(desk.sign(prepared), 422, "signature.not_own")
    assert is_problem(desk.prepare(shown), 404, "person.unknown")
    assert is_problem(desk.set_password(FIRST, SECOND), 404, "person.unknown")
    chen = {"person": "chen", "name": "陈立", "organisation": "翠鸟医疗", "title": "经理"}
    assert is_problem(desk.api.post("/persons/register-person", chen), 422, "person.oneself")
    registrar = desk.api.auth(Role.MANAGER, user="registrar")
    desk.api.post("/persons/register-person", chen, **registrar)
    assert is_problem(desk.set_password(FIRST, SECOND), 422, "person.other")
    assert is_problem(desk.prepare(shown), 422, "person.no_password")


def test_failed_attempts_are_facts_and_lock_until_reset(desk: Desk) -> None:
    shown = desk.write()
    session = desk.prepare(shown).json()["statement"]["authentication"]["session"]
    prepared = desk.prepare(shown)
    for _ in range(FAILURES):
        assert is_problem(desk.prepare(shown, password="x"), 403, "reauthentication.failed")
    told = [name for name, _ in desk.facts() if name.startswith(("Reauth", "Person"))]
    assert told[-FAILURES - 1 :] == [*["ReauthenticationFailed"] * FAILURES, "PersonLocked"]
    assert is_problem(desk.prepare(shown), 422, "person.locked")
    assert is_problem(desk.sign(prepared), 422, "person.locked")
    assert is_problem(desk.set_password(FIRST, SECOND), 422, "person.locked")
    assert desk.api.get(f"/persons/{WANG}").json()["locked"] is True
    code = desk.code()
    assert is_problem(desk.prepare(shown), 422, "person.no_password")
    assert desk.set_password(code, SECOND).status_code == 200
    assert is_problem(desk.set_password(code, FIRST), 403, "reauthentication.failed")
    assert is_problem(desk.sign(prepared), 422, "signature.key_ended")
    alone = desk.prepare(shown, person=None, session=session, password=SECOND)
    assert is_problem(alone, 422, "reauthentication.incomplete")
    assert desk.sign(desk.prepare(shown, password=SECOND)).status_code == 200


def test_guessing_at_once_gains_nothing(desk: Desk) -> None:
    """Attempts count in the order of the log, whatever threads check them."""
    shown = desk.write()
    guesses = [f"guess {n}" for n in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda guess: desk.prepare(shown, password=guess), guesses))
    codes = sorted(answer.json()["code"] for answer in answers)
    failed = FAILURES * ["reauthentication.failed"]
    assert codes == (12 - FAILURES) * ["person.locked"] + failed
    told = [name for name, _ in desk.facts()]
    assert told.count("ReauthenticationFailed") == FAILURES
    assert is_problem(desk.prepare(shown), 422, "person.locked")


def test_what_was_signed_stays_signed_under_a_new_password(desk: Desk) -> None:
    shown = desk.write()
    desk.sign(desk.prepare(shown))
    first = desk.api.get(f"/persons/{WANG}").json()["keys"]
    told = desk.set_password(FIRST, SECOND)
    keys = desk.api.get(f"/persons/{WANG}").json()["keys"]
    assert [key["key_id"] for key in keys] == [first[0]["key_id"], told.json()["key_id"]]
    assert [key["until"] is None for key in keys] == [False, True]
    assert is_problem(desk.prepare(shown), 403, "reauthentication.failed")
    assert desk.sign(desk.prepare(desk.write("again"), password=SECOND)).status_code == 200
    causes = [fact["cause"] for name, fact in desk.facts() if name == "SigningKeyRegistered"]
    assert causes == ["first", "changed"]


def test_two_new_passwords_at_once_one_counts(desk: Desk) -> None:
    news = ["a brand new password", "another new password"]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda new: desk.set_password(FIRST, new), news))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses in ([200, 403], [200, 422])
    (good,) = [new for new, told in zip(news, answers, strict=True) if told.status_code == 200]
    assert desk.prepare(desk.write(), password=good).status_code == 200
    with desk.api.company.database.cursor() as db:
        rows = db.execute("select name from credentials where subject = %s", (WANG,)).fetchall()
    (key,) = [told.json()["key_id"] for told in answers if told.status_code == 200]
    assert [row["name"] for row in rows] == [key]


def test_an_invalidated_signature_is_shown_and_does_not_come_back(desk: Desk) -> None:
    shown = desk.write()
    prepared = desk.prepare(shown)
    desk.sign(prepared)
    desk.api.post("/letters/letter:1/recall-letter", {"reason": "wrong price"})
    desk.api.company.follower.catch_up()
    (card,) = desk.api.get("/signatures", subject="letter:1").json()["items"]
    assert card["invalidated_because"] == "wrong price"
    seen = desk.api.get(f"/signatures/{card['signature']}").json()
    assert (seen["invalidated"], seen["zh"][-1]) == ("wrong price", "已作废: wrong price")
    assert is_problem(desk.sign(prepared), 422, "signature.invalidated")
    then = desk.api.get(f"/signatures/{card['signature']}", as_of=card["position"]).json()
    assert (then["invalidated"], then["signed"]) == (None, seen["signed"])
    assert desk.sign(desk.prepare(shown)).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "Asia/Shanghai/"},
        {"text": "\0"},
        {"text": ""},
        {"subject": "letter"},
        {"subject": "letter:\x01"},
        {"version": 0},
        {"version": 2**70},
        {"content_hash": "sha256:xyz"},
        {"meaning": "nonsense"},
        {"password": ""},
        {"password": "p" * 201},
        {"password": 7},
        {"session": "s" * 65},
        {"person": "chen"},
        {"role": "king"},
        {"more": "than asked"},
    ],
)
def test_bad_input_names_its_field_and_never_the_password(
    given: dict[str, Any], one_desk: Desk
) -> None:
    desk = one_desk
    answer = desk.prepare(
        {"subject": "letter:1", "version": 1, "content_hash": "sha256:" + "a" * 64}, **given
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == next(iter(given))
    assert FIRST not in answer.text
    assert "p" * 201 not in answer.text


@pytest.mark.parametrize("role", ["director", "system"])
def test_one_signs_in_a_role_of_ones_own(one_desk: Desk, role: str) -> None:
    shown = one_desk.write()
    assert is_problem(one_desk.prepare(shown, role=role), 422, "signature.role_not_own")


@pytest.mark.parametrize("new", ["short", "my name is Wang ok", FIRST, "x" * 201])
def test_a_password_is_long_and_not_the_old_one(one_desk: Desk, new: str) -> None:
    answer = one_desk.set_password(FIRST, new)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "new"
    assert new not in answer.text


def test_no_password_is_kept_anywhere(desk: Desk) -> None:
    """Not in facts, commands, refusals or rows; and the key that it opens only encrypted."""
    shown = desk.write()
    desk.sign(desk.prepare(shown))
    desk.prepare(shown, password="a wrong password")
    desk.set_password("another wrong one", SECOND)
    code = desk.code()
    desk.set_password(code, SECOND)
    kept = desk.everything_kept()
    assert "ReauthenticationFailed" in kept
    for secret in (FIRST, SECOND, code, "a wrong password", "another wrong one"):
        assert secret not in kept
    person = desk.api.get(f"/persons/{WANG}").json()
    key = Passwords(desk.api.company.database).key(WANG, person["keys"][-1]["key_id"], SECOND)
    assert key is not None
    assert key.private_bytes_raw().hex() not in kept
    assert len(re.findall(r'"method": ?"scrypt-15-8-3"', kept)) == 1


def test_who_is_not_registered_is_told_so(desk: Desk) -> None:
    assert is_problem(desk.api.get("/persons/person:nobody"), 404, "person.unknown")
    assert is_problem(desk.api.get("/signatures/signature:x"), 404, "signature.unknown")
    for path in ("/persons/letter:1", "/signatures/letter:1", "/signatures/person:wang"):
        assert desk.api.get(path).status_code == 404
        assert desk.api.get(path, as_of=1).status_code == 404


def test_a_password_costs_who_guesses_it() -> None:
    """OWASP's least for scrypt; a name of a method never changes what it means."""
    spent = METHOD.removeprefix("scrypt-").split("-")
    assert tuple(map(int, spent)) == (15, 8, 3)
    assert MEANT == {METHOD: (2**15, 8, 3)}


def test_a_signature_is_found_by_whoever_looks_for_what_was_signed(desk: Desk) -> None:
    """In the facts that mention the subject, and in words."""
    desk.sign(desk.prepare(desk.write()))
    desk.api.company.follower.catch_up()
    asked = desk.api.get("/subjects/letter:1/facts", Role.AUDITOR, limit=10)
    told = [json.loads(line)["event"] for line in asked.text.splitlines()]
    assert told == ["LetterWritten", "LetterSigned", "Signed"]
    (words,) = in_chinese(desk, "Signed")
    assert "签名: subject letter:1" in words
    assert "printed_name 王敏" in words


def in_chinese(desk: Desk, event: str) -> list[str]:
    with desk.api.company.database.cursor() as db:
        found = [fact for fact in facts(db, Selection(), 1000) if fact.name == event]
    return [in_words(fact, ()).zh for fact in found]
