"""What each command of the command line says, and how it fails: in one sentence."""

import json
import stat
from collections.abc import Iterator

import psycopg
import pytest
from tests.cli.conftest import Program
from tests.domain.examples import OPEN_CHENGDU, OPEN_HANGZHOU, PUMP, REGISTER_PUMP, SN1, label

from medsales.api.auth import verified
from medsales.cli.operating import PEOPLE
from medsales.company import Company, open_company
from medsales.domain.kernel import Refused, Role
from medsales.domain.stock.device_unit import InspectUnit, ReceiveUnit
from medsales.engine.application import Actor, Ask
from medsales.engine.database import schema_of

MEI = Actor("mei", "Mei 梅", (Role.SYSTEM,), "desk")
LI = Actor("li", "Li 李", (Role.AUDITOR,), "desk")


@pytest.fixture
def told(database_url: str, name: str) -> Iterator[Company]:
    """A company with a short history: five facts and a refusal."""
    company = open_company(database_url, name)
    receive = ReceiveUnit(udi=label(serial="SN1"), product=PUMP, warehouse=OPEN_HANGZHOU.begins())
    for command in (OPEN_HANGZHOU, REGISTER_PUMP):
        company.app.handle(Ask(command, MEI))
    with pytest.raises(Refused):
        company.app.handle(Ask(OPEN_CHENGDU, LI))
    company.app.handle(Ask(receive, MEI))
    company.app.handle(Ask(InspectUnit(passed=True), MEI, SN1))
    company.follower.prepare()
    company.follower.catch_up()
    yield company
    company.database.close()


def test_version_and_help_need_nothing(alone: Program) -> None:
    assert alone.says("--version").startswith("medsales ")
    assert "verify" in alone.says("--help")
    assert "--no-worker" in alone.says("serve", "--help")
    assert list(alone.home.iterdir()) == []


def test_a_usage_error_is_told_by_exit_code_2(alone: Program) -> None:
    for words in (["nonsense"], ["serve", "--port", "70000"], ["facts", "--since", "yesterday"]):
        done = alone.run(*words)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_a_company_is_added_once_and_listed(medsales: Program, name: str) -> None:
    assert medsales.says("company", "add", name) == f"{name} is added\n"
    assert medsales.says("company", "add", name) == f"{name} is there already\n"
    assert name in medsales.says("company", "list").splitlines()
    assert name in medsales.json("company", "list")


def test_a_company_needs_a_possible_name(medsales: Program) -> None:
    assert medsales.refuses("company", "add", "A B").startswith("a company's short name is")


def test_an_unknown_company_is_told(medsales: Program, name: str) -> None:
    for words in (["facts"], ["verify"], ["rebuild"], ["worker"]):
        assert medsales.refuses(*words, "--company", name).startswith(
            f"there is no company {name};"
        )


def test_a_token_is_signed_with_a_secret_that_only_its_owner_reads(alone: Program) -> None:
    done = alone.run("token", "--user", "mei", "--name", "Mei 梅")
    secret = alone.home / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    claims = verified(secret.read_text(), done.stdout.strip())
    assert (claims.sub, claims.name, claims.roles) == ("mei", "Mei 梅", PEOPLE)
    assert "every role" in done.stderr


def test_a_token_has_the_roles_and_the_time_it_is_given(alone: Program) -> None:
    told = alone.json("token", "--role", "sales", "--role", "manager", "--days", "1")
    claims = verified((alone.home / "secret").read_text(), told["token"])
    assert claims.roles == (Role.SALES, Role.MANAGER)
    assert claims.exp - claims.iat == 86400
    assert told["roles"] == ["sales", "manager"]


@pytest.mark.parametrize("days", ["0", "3651", "nan", "inf"])
def test_a_token_is_good_for_a_day_to_ten_years(alone: Program, days: str) -> None:
    assert alone.run("token", "--days", days).returncode == 2


def test_a_token_for_the_system_is_refused(alone: Program) -> None:
    sentence = alone.refuses("token", "--user", "system")
    assert sentence.startswith("system is a name of the system itself")


def test_a_short_secret_is_refused(alone: Program) -> None:
    sentence = alone.refuses("token", MEDSALES_SECRET="short")
    assert sentence.startswith("MEDSALES_SECRET has 5 characters")


def test_info_before_anything_was_started_creates_nothing(alone: Program) -> None:
    assert "not created yet" in alone.says("info")
    assert list(alone.home.iterdir()) == []


def test_info_tells_how_far_everything_is(medsales: Program, told: Company) -> None:
    state = medsales.json("info")
    assert state["database"]["reachable"]
    (mine,) = [one for one in state["companies"] if one["name"] == told.name]
    assert (mine["head"], mine["refusals"], mine["worker"]) == (told.log.head(), 1, False)
    assert mine["lag"] == dict.fromkeys(sorted(told.follower.projections), 0)
    assert f"company            {told.name}" in medsales.says("info")


def test_info_tells_why_the_database_cannot_be_reached_but_not_the_password(
    alone: Program,
) -> None:
    url = "postgresql://mei:geheim@127.0.0.1:1/x"
    done = alone.run("info", MEDSALES_DATABASE_URL=url)
    assert done.returncode == 1
    assert "cannot be reached" in done.stdout
    assert "geheim" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://mei@127.0.0.1:1/x", "the database cannot be reached"),
        ("nonsense", "the database setting is wrong"),
    ],
)
def test_a_wrong_database_url_is_told(alone: Program, url: str, sentence: str) -> None:
    assert alone.refuses("serve", "--port", "0", MEDSALES_DATABASE_URL=url).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEDSALES_PORT", "abc"),
        ("MEDSALES_PORT", "70000"),
        ("MEDSALES_WAIT", "nan"),
        ("MEDSALES_CONNECTIONS", "0"),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(alone: Program, name: str, value: str) -> None:
    assert alone.refuses("serve", **{name: value}).startswith(f"{name} is wrong: input should be")


def test_a_folder_that_cannot_be_used_is_told(alone: Program) -> None:
    (alone.home / "file").touch()
    home = str(alone.home / "file")
    for words in (["token"], ["facts"]):
        assert "file" in alone.refuses(*words, MEDSALES_HOME=home)


def test_only_debug_shows_the_traceback(alone: Program) -> None:
    done = alone.run("serve", "--debug", MEDSALES_PORT="abc")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_facts_are_shown_in_the_order_of_the_log(medsales: Program, told: Company) -> None:
    found = medsales.facts("--company", told.name)
    assert [fact["position"] for fact in found] == list(range(1, told.log.head() + 1))
    shown = medsales.says("facts", "--company", told.name).splitlines()
    assert [line.split()[0] for line in shown] == [str(fact["position"]) for fact in found]
    assert json.dumps(found[0]["payload"], ensure_ascii=False) in shown[0]
    assert "\x1b" not in "".join(shown)


def test_facts_are_chosen(medsales: Program, told: Company) -> None:
    def kinds(*words: str) -> list[str]:
        return [fact["event"] for fact in medsales.facts("--company", told.name, *words)]

    assert kinds("--subject", SN1, "--kind", "UnitInspected") == ["UnitInspected"]
    assert kinds("--actor", "li") == []
    assert kinds("--since", "2020-01-01", "--until", "2020-01-02T08:00+08:00") == []
    assert kinds("--after", "1", "--upto", "9", "--limit", "1") == ["ProductRegistered"]
    assert kinds("--subject", "") == []
    assert kinds("--until", "2020-01-01T00:00-16:00") == []
    assert medsales.refuses("facts", "--kind", "Nonsense") == "no event is called Nonsense"


def test_colour_is_for_those_who_want_it(medsales: Program, told: Company) -> None:
    words = ("facts", "--company", told.name, "--limit", "1")
    assert "\x1b[36m" in medsales.says(*words, FORCE_COLOR="1")
    assert "\x1b[36m" not in medsales.says(*words, FORCE_COLOR="1", NO_COLOR="1")


def test_verify_finds_tampering_and_rebuild_repairs_it(medsales: Program, told: Company) -> None:
    here = ("--company", told.name)
    assert "product_list equals the facts" in medsales.says("verify", *here)
    with psycopg.connect(told.database.url) as conn:
        conn.execute(f"update {schema_of(told.name)}.product_name set name = 'forged'")
    done = medsales.run("verify", *here)
    assert done.returncode == 1
    assert "product_name differs: 1 rows are stored, the facts tell of 1" in done.stdout
    assert "forged" in done.stdout
    done = medsales.run("verify", "product_list", "--json", *here)
    assert done.returncode == 1
    (difference,) = json.loads(done.stdout)["differences"]
    assert (difference["table"], difference["stored_only"][0]["name"]) == ("product_name", "forged")
    assert medsales.says("verify", "unit_history", *here).count("\n") == 1
    assert "product_list" in medsales.says("rebuild", "product_list", *here)
    assert medsales.json("verify", *here)["differences"] == []


def test_an_unknown_read_model_is_told_with_the_known_ones(
    medsales: Program, told: Company
) -> None:
    for command in ("verify", "rebuild"):
        sentence = medsales.refuses(command, "nonsense", "--company", told.name)
        assert sentence.startswith("there is no read model nonsense; there are")
        assert "stock_picture" in sentence


def test_the_demo_fills_a_company(medsales: Program, name: str) -> None:
    story = medsales.says("demo", "--units", "20", "--company", name)
    assert "Imported" in story
    assert len(medsales.facts("--company", name, "--kind", "UnitReceived")) > 0
    assert medsales.json("verify", "--company", name)["differences"] == []


def test_the_demo_can_be_quiet(medsales: Program, name: str) -> None:
    assert medsales.says("demo", "--quiet", "--units", "5", "--company", name) == ""
