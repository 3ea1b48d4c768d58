"""Every way round what a contract is approved and signed for that somebody has thought of."""

from datetime import UTC, date, timedelta
from typing import Any

import pytest
from tests.domain.sales import examples as office
from tests.domain.terms.contracts import (
    BEGIN,
    CONTRACT,
    END,
    HOSPITAL,
    OURS,
    PENS,
    PUMP,
    UNION,
    ContractTown,
    cny,
    draft,
    lines,
)

from medsales.domain.governance.approval import Approve
from medsales.domain.governance.approval_flow import ApprovalFlow, Case, FlowRule, Step, rule_for
from medsales.domain.governance.person import DismissPerson, RevisePerson
from medsales.domain.governance.signature import Meaning
from medsales.domain.ids import ApprovalId
from medsales.domain.kernel import KINDS, Command, Role
from medsales.domain.parties.customer import ReviseCustomer
from medsales.domain.parties.our_company import US
from medsales.domain.sales.quote import ConvertQuoteToContract, IssueQuote, SubmitQuote
from medsales.domain.terms.amendment import DraftAmendment, EditAmendment
from medsales.domain.terms.contract import (
    DraftContract,
    EditContract,
    SendContract,
    SubmitContract,
)
from medsales.domain.terms.contract_content import AgreedLine, Award, Obligation, PriceReason
from medsales.domain.terms.contract_life import MeetObligation
from medsales.domain.terms.contract_signing import (
    CountersignContract,
    ExcuseLateSigning,
    SignContract,
)
from medsales.domain.terms.price_sheet import discount
from medsales.testing import Pen

FULL = AgreedLine(product=PUMP, price=cny(50), max_quantity=100)


@pytest.fixture
def town() -> ContractTown:
    return ContractTown()


# Who wrote it


def test_who_wrote_the_quote_does_not_approve_the_contract_made_of_it() -> None:
    """Somebody else converts and submits it: what it says is still the author's."""
    here = office.Office().accepted()
    begin = ConvertQuoteToContract(number="HT-1", title="x", valid_from=BEGIN, valid_until=END)
    here.tell(begin, office.Q1, by="li")
    here.tell(SubmitContract(), CONTRACT, by="li")
    approval = ApprovalId.of(CONTRACT, "1")
    approve = Approve(content_hash=here.hash_of(approval))
    for author in ("chen", "li"):
        assert here.refusal(approve, approval, by=author).code == "approval.approver_is_author"
    assert here.approve(approval)


# What is approved


@pytest.mark.parametrize("amount", [None, cny(10).model_copy(update={"currency": "USD"})])
def test_an_amount_that_nobody_can_tell_goes_to_those_who_approve_large_ones(amount: Any) -> None:
    """Neither a contract without a limit nor another currency is a way past the director."""
    large = FlowRule(name="large", amount_from=cny(1000), steps=(Step(role=Role.DIRECTOR),))
    small = FlowRule(name="small", amount_up_to=cny(999), steps=(Step(role=Role.SALES),))
    rest = FlowRule(name="rest", steps=(Step(role=Role.MANAGER),))
    flow = ApprovalFlow(proposed=((small, large, rest),), in_force=1)
    assert rule_for("contract", flow, Case(amount=amount)).rule.name == "large"
    alone = FlowRule(name="nobody", amount_from=cny(1))
    assert not alone.fits(Case(amount=amount))


def test_no_rounding_hides_a_discount() -> None:
    assert discount(cny("99999"), cny("100000")) > 0
    assert discount(cny("100000"), cny("100000")) == 0
    assert discount(cny("100001"), cny("100000")) <= 0


def test_the_price_of_many_is_no_reason_for_the_price_of_one() -> None:
    reason = PriceReason(product=PUMP, price=cny(50), pieces=100, price_version=1)
    assert reason.is_about(FULL)
    assert not reason.is_about(FULL.model_copy(update={"max_quantity": 99}))
    assert not reason.is_about(FULL.model_copy(update={"max_quantity": None}))
    assert not reason.is_about(FULL.model_copy(update={"price": cny(49)}))


@pytest.mark.parametrize(
    "command",
    [
        *(SubmitQuote, IssueQuote, SendContract),
        *(DraftContract, EditContract, DraftAmendment, EditAmendment),
    ],
)
def test_nobody_reaches_for_the_prices_of_last_year(command: type[Command[Any]]) -> None:
    """Nor issues in the past what has expired, nor sends before it was approved."""
    assert command.at_once


# What is signed


def test_c1_what_is_signed_is_what_both_read(town: ContractTown) -> None:
    """Names as they were when it was written; our reasons are kept beside it."""
    town.told(draft())
    content = town.under_way.content
    assert (content.customer_name, content.customer_address) == (HOSPITAL, "庆春路")
    assert [(line.name, line.model, line.registrant) for line in content.lines] == [
        ("PUMP-1", "M", "R"),
        ("STENT-1", "M", "R"),
    ]
    ours = {"floor", "discount", "price_version", "price_path"}
    assert not ours & set(type(content.lines[0]).model_fields)


def test_who_renames_the_customer_does_not_sign_for_it(town: ContractTown) -> None:
    town.told(draft())
    town.sent()
    town.told(town.sign(), CONTRACT, by="sun")
    town.told(ReviseCustomer(name=OURS, region="华东", tier="A", address="x"), UNION)
    refused = town.refused("contract.not_their_signatory", town.countersign("wang"), by="wang")
    assert HOSPITAL in str(refused)
    town.told(town.countersign(), CONTRACT, by="liu")


def test_nobody_signs_for_both_by_changing_sides(town: ContractTown) -> None:
    town.told(draft())
    town.sent()
    town.told(town.sign(), CONTRACT, by="sun")
    revise = RevisePerson(name="孙法务", organisation=HOSPITAL, title="经理", reason="x")
    sun = PENS["sun"].id
    town.refused("person.oneself", revise, sun, by="sun")
    town.told(revise, sun, by="wang")
    again = CountersignContract(signature=town.statement("sun", organisation=HOSPITAL))
    town.refused("contract.both_sides", again, by="sun")


def test_nobody_of_a_third_company_signs_for_us(town: ContractTown) -> None:
    """C1, B7: neither its people nor the customer's, whatever the roles in their tokens."""
    town.told(draft())
    town.sent()
    third = Pen("third", "第三人", role=Role.LEGAL, organisation="别的公司")
    town.told(third.registration(), by="registrar")
    for command in third.commands():
        town.told(command, third.id, by="third")
    seen = (CONTRACT, 1, town.under_way.content_hash, Meaning.RESPONSIBILITY)
    posing = SignContract(signature=third.signs(*seen, at=town.now))
    refused = town.refused("contract.not_our_signatory", posing, by="third")
    assert OURS in str(refused)
    liu = town.sign("liu", role=Role.DIRECTOR)
    town.refused("contract.not_our_signatory", liu, by="liu")


def test_nobody_signs_for_us_before_we_have_said_who_we_are(town: ContractTown) -> None:
    town.told(draft())
    town.sent()
    del town.streams[US], town.known[US]
    town.refused("our_company.not_described", town.sign(), by="sun")
    town.told(town.countersign(), CONTRACT, by="liu")


def test_who_signs_for_the_customer_may_do_nothing_else() -> None:
    """B7: there is a role for outsiders; none of ours is needed to countersign."""
    allowed = {
        command.__name__
        for kind in KINDS.values()
        for command in kind.commands.values()
        if Role.COUNTERPARTY in command.allowed
    }
    assert allowed == {"CountersignContract", "EndSession"}
    assert CountersignContract.allowed == (Role.COUNTERPARTY,)


def test_c6_who_has_left_or_is_not_ours_excuses_nothing(town: ContractTown) -> None:
    town.told(draft())
    town.refused("person.not_ours", ExcuseLateSigning(reason="x"), by="liu")
    town.told(DismissPerson(reason="x"), PENS["sun"].id, by="registrar")
    town.refused("person.gone", ExcuseLateSigning(reason="x"), by="sun")


def test_nobody_names_himself(town: ContractTown) -> None:
    town.refused("person.oneself", PENS["wang"].registration(), None, by="wang")


def test_the_seal_is_that_of_the_customer(town: ContractTown) -> None:
    town.told(draft())
    town.sent()
    town.refused("contract.not_their_signatory", town.sealed(organisation="别的医院"))
    town.told(town.sealed(), CONTRACT)


# What is called off


@pytest.mark.parametrize("cap", [{}, {"max_amount": cny(3000)}])
def test_c2_less_to_come_is_less_already(town: ContractTown, cap: dict[str, Any]) -> None:
    """An amendment that both have signed and that begins later leaves no time to order more."""
    town.active(**({"max_amount": cny(19000)} if cap else {}))
    town.told(town.call_off("1", 50), CONTRACT)
    line = FULL.model_copy(update={"max_quantity": 60})
    less = {"max_amount": cap["max_amount"]} if cap else {"lines": (line,)}
    later = BEGIN + timedelta(days=30)
    town.told(DraftAmendment(kind="change", reason="x", effective_from=later, **less), CONTRACT)
    town.sent()
    town.told(town.sealed(evidence="sha256:" + "6" * 64), CONTRACT)
    town.told(town.sign(), CONTRACT, by="sun")
    code = "contract.amount_exceeded" if cap else "contract.quantity_exceeded"
    town.refused(code, town.call_off("2", 11))
    town.told(town.call_off("2", 10), CONTRACT)


def test_an_amendment_on_its_way_keeps_the_contract_from_being_fulfilled(
    town: ContractTown,
) -> None:
    """Otherwise its approval would wait for ever, and could never be given."""
    town.active(obligations=(Obligation(key="base", description="x", party="ours", due=END),))
    town.told(town.call_off("1", 100, 20), CONTRACT)
    town.told(DraftAmendment(kind="change", reason="x", payment_days=60), CONTRACT)
    town.told(SubmitContract(), CONTRACT)
    town.told(MeetObligation(key="base"), CONTRACT)
    assert town.status() == "active"
    assert town.approve() is None


# The edges of the calendar


def test_a_contract_until_the_last_of_all_days_is_amended_like_any_other(
    town: ContractTown,
) -> None:
    town.active(valid_until=date.max)
    change = {"kind": "change", "reason": "x", "payment_days": 60}
    town.told(DraftAmendment(**change, effective_from=date.max), CONTRACT)


def test_c6_an_award_of_the_last_of_all_days_is_signed_in_time(town: ContractTown) -> None:
    said = {"subject": "s", "lines": lines(), "valid_from": BEGIN, "valid_until": END}
    award = Award(tender="t", awarded_on=date.max, **said)
    town.told(draft(title="s", award=award))
    town.sent()
    town.told(town.sealed(), CONTRACT)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_is_no_day_in_china_is_refused(town: ContractTown, at: str) -> None:
    town.told(draft())
    town.sent()
    town.refused("contract.signed_at_wrong", town.sealed(signed_at=at))


def test_a_signature_of_the_end_of_time_is_refused(town: ContractTown) -> None:
    town.told(draft())
    town.sent()
    end = town.now.replace(year=9999, month=12, day=31, hour=23, tzinfo=UTC)
    there = {"time_zone": "UTC", "local_time": end, "executed_at": end}
    signature = town.statement("sun", **there)
    sign = town.sign().model_copy(update={"signature": signature})
    town.refused("signature.not_fresh", sign, by="sun")


def test_c2_both_languages_name_the_same_first_day(town: ContractTown) -> None:
    town.told(draft(valid_from=BEGIN - timedelta(days=60)))
    town.signed()
    town.now -= timedelta(days=10)
    sentence = town.refused("contract.not_valid", town.call_off("1", 1)).sentence
    assert str(BEGIN) in sentence.en
    assert str(BEGIN) in sentence.zh
