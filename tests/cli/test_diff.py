"""`medsales diff` and `facts --mentioning`: what changed, in words, in both languages."""

from collections.abc import Iterator

import pytest
from tests.cli.conftest import Program
from tests.dealer import CHEN, LENS, UNION, Dealer

from medsales.company import Company, open_company
from medsales.domain.parties.customer import ReviseCustomer
from medsales.engine.application import Ask

REVISE = ReviseCustomer(name="Union 协和", region="SH", tier="B", address="2 Road")


@pytest.fixture
def told(database_url: str, name: str) -> Iterator[tuple[Company, int]]:
    """A company, and the position before a sale and a change of the customer."""
    company = open_company(database_url, name)
    company.follower.prepare()
    dealer = Dealer(company)
    unit = dealer.receive("S1")
    begin = company.log.head()
    dealer.sell("1", unit)
    dealer.tell(REVISE, UNION)
    dealer.catch_up()
    yield company, begin
    company.close()


def test_what_has_changed_is_told_in_words(medsales: Program, told: tuple[Company, int]) -> None:
    company, begin = told
    words = ("diff", UNION, "--from", str(begin), "--company", company.name)
    lines = medsales.says(*words).splitlines()
    assert lines[0] == f"{UNION}, from position {begin} to {company.log.head()}"
    assert any(line.endswith(f"delivered to {UNION}, who owns it now") for line in lines)
    assert "customer_profile customer:union" in lines
    assert "    region: ZJ -> SH" in lines
    assert "order_card order:1  new" in lines
    assert "    on_hand: -1" in lines
    chinese = medsales.says(*words, "--lang", "zh")
    assert f"{UNION}, 自位置 {begin} 至 {company.log.head()}" in chinese
    assert f"已交付 {UNION}, 所有权转移" in chinese
    assert "变更客户资料" in chinese
    assert "order_card order:1  新增" in chinese


def test_a_difference_is_for_programs_too(medsales: Program, told: tuple[Company, int]) -> None:
    company, begin = told
    here = ("--company", company.name)
    found = medsales.json("diff", UNION, "--from", str(begin), *here)
    assert found["begin"] == begin
    assert {row["table"] for row in found["rows"]} >= {"customer_profile", "unit_at_site"}
    first, *_, last = found["facts"]
    assert last["event"] == "CustomerRevised"
    times = ("--from", first["recorded_at"], "--to", last["recorded_at"])
    by_time = medsales.json("diff", UNION, *times, *here)
    assert by_time["facts"][-1] == last
    assert first not in by_time["facts"]


def test_nothing_and_impossible_moments_are_told(
    medsales: Program, told: tuple[Company, int]
) -> None:
    company, _ = told
    here = ("--company", company.name)
    head = str(company.log.head())
    assert "nothing has changed" in medsales.says("diff", UNION, "--from", head, *here)
    beyond = medsales.refuses("diff", UNION, "--to", "9999", *here)
    assert beyond == f"nothing has been recorded at position 9999 yet; the log ends at {head}"
    backwards = medsales.refuses("diff", UNION, "--from", head, "--to", "1", *here)
    assert f"position {head} is after 1" in backwards
    assert medsales.run("diff", UNION, "--from", "yesterday", *here).returncode == 2


def test_facts_that_name_somebody_are_shown(medsales: Program, told: tuple[Company, int]) -> None:
    company, _ = told
    here = ("--company", company.name, "--mentioning", LENS)
    found = medsales.facts(*here)
    assert {fact["subject"] for fact in found} > {LENS, "order:1", f"price-sheet:CN:{LENS}"}
    assert [fact["position"] for fact in found] == sorted(fact["position"] for fact in found)
    kinds = medsales.facts(*here, "--kind", "UnitShipped", "--limit", "5")
    assert [fact["event"] for fact in kinds] == ["UnitShipped"]


def test_an_index_that_lacks_the_end_of_the_log_is_told(
    medsales: Program, told: tuple[Company, int]
) -> None:
    company, _ = told
    sentence = "is there a worker?"
    with company.database.writing() as db:
        db.execute("update positions set position = position - 1 where name = 'mentions'")
    words = ("facts", "--mentioning", LENS, "--company", company.name)
    assert medsales.refuses(*words).endswith(sentence)


def test_a_terminal_takes_no_orders_from_what_was_recorded(
    medsales: Program, told: tuple[Company, int]
) -> None:
    """Facts from before misleading texts were refused are shown by the code of what is in them."""
    company, begin = told
    name = "\u202egnp.exe\x9b8m\u2028"
    asked = Ask(REVISE.model_copy(update={"name": name}), CHEN, UNION)
    company.app.handle(asked)
    company.worker().catch_up()
    here = ("--company", company.name)
    for words in (
        ("facts", *here),
        ("facts", "--mentioning", UNION, *here),
        ("diff", UNION, "--from", str(begin), *here),
    ):
        shown = medsales.says(*words)
        assert r"\u202egnp.exe\u009b8m\u2028" in shown
        assert not any(sign in shown for sign in "\u202e\x9b\u2028")
    change = next(
        row
        for row in medsales.json("diff", UNION, "--from", str(begin), *here)["rows"]
        if row["table"] == "customer_profile"
    )
    assert change["after"]["name"] == name, "in JSON it is what it was"
