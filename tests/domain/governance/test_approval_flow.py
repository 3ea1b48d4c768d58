"""Flows: which rule a case falls under, and that nobody changes the rules alone."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError
from tests.domain.governance.papers import BY_MANAGER, FLOW, PAPER, Desk, flow

from medsales.domain.governance.approval import AdoptFlow, Case, FlowRule, ProposeFlow, Step
from medsales.domain.governance.approval_flow import (
    VERDICT,
    ApprovalFlow,
    must_take_verdicts,
    rule_for,
)
from medsales.domain.governance.person import DismissPerson, RegisterPerson
from medsales.domain.ids import PersonId
from medsales.domain.kernel import KINDS, Role
from medsales.domain.parties.our_company import DescribeOurCompany
from medsales.domain.values import Money

STEPS = (Step(role=Role.DIRECTOR),)


def cny(amount: str, currency: str = "CNY") -> Money:
    return Money(amount=Decimal(amount), currency=currency)


def chosen(*rules: FlowRule, **case: Any) -> str:
    found = rule_for("paper", ApprovalFlow("paper", (rules,), ("qian",), 1), Case(**case))
    return found.rule.name


# Which rule


def test_the_first_rule_that_fits_wins() -> None:
    rules = (
        FlowRule(name="deep", discount_from=Decimal(20), steps=STEPS),
        FlowRule(name="some", discount_from=Decimal(5), steps=STEPS),
        BY_MANAGER,
    )
    found = [chosen(*rules, discount=Decimal(d)) for d in ("30", "20", "19.99", "5", "4")]
    assert found == ["deep", "deep", "some", "some", "any"]


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"discount_up_to": Decimal(5)}, {"discount": Decimal(5)}, {"discount": Decimal("5.01")}),
    ({"amount_from": cny("1000")}, {"amount": cny("1000")}, {"amount": cny("999.99")}),
    ({"amount_up_to": cny("1000")}, {"amount": cny("1000")}, {"amount": cny("1000.01")}),
    ({"amount_up_to": cny("1000")}, {"amount": cny("1")}, {"amount": None}),
    ({"regions": ("华东", "华北")}, {"region": "华北"}, {"region": "西南"}),
    ({"regions": ("华东",)}, {"region": "华东"}, {"region": None}),
    ({"customer_grades": ("3A",)}, {"customer_grade": "3A"}, {"customer_grade": "2A"}),
    ({"product_classes": ("III",)}, {"product_classes": ("I", "III")}, {"product_classes": ("I",)}),
    ({"flags": ("below_floor",)}, {"flags": ("below_floor", "x")}, {"flags": ("x",)}),
]


@pytest.mark.parametrize(("condition", "inside", "outside"), CONDITIONS)
def test_a_rule_fits_a_case_that_fulfils_its_conditions(
    condition: dict[str, Any], inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    special = FlowRule(name="special", steps=STEPS, **condition)
    assert chosen(special, BY_MANAGER, **inside) == "special"
    assert chosen(special, BY_MANAGER, **outside) == "any"


@pytest.mark.parametrize("bound", [{"amount_up_to": cny("1000")}, {"amount_from": cny("0")}])
def test_an_amount_in_another_currency_fulfils_no_condition(bound: dict[str, Money]) -> None:
    special = FlowRule(name="special", **bound)
    assert chosen(special, BY_MANAGER, amount=cny("10", "USD")) == "any"


def test_all_conditions_of_a_rule_must_hold() -> None:
    both = FlowRule(name="both", discount_from=Decimal(5), regions=("华东",), steps=STEPS)
    assert chosen(both, BY_MANAGER, discount=Decimal(6), region="华东") == "both"
    assert chosen(both, BY_MANAGER, discount=Decimal(6), region="西南") == "any"
    assert chosen(both, BY_MANAGER, discount=Decimal(4), region="华东") == "any"


def test_a_mixed_case_does_not_slip_through_by_its_harmless_part() -> None:
    """A rule that asks nobody must name every class and flag; one that asks somebody, only one."""
    harmless = FlowRule(name="harmless", product_classes=("I",))
    assert chosen(harmless, BY_MANAGER, product_classes=("I",)) == "harmless"
    assert chosen(harmless, BY_MANAGER, product_classes=("I", "III")) == "any"
    assert chosen(harmless, BY_MANAGER, product_classes=()) == "any"


def test_what_is_remarkable_is_never_let_pass_by_a_rule_that_does_not_say_so() -> None:
    own_limit = FlowRule(name="own limit", discount_up_to=Decimal(5))
    assert chosen(own_limit, BY_MANAGER, discount=Decimal(3)) == "own limit"
    assert chosen(own_limit, BY_MANAGER, discount=Decimal(3), flags=("below_floor",)) == "any"


def test_a_discount_is_not_rounded_into_a_limit() -> None:
    own_limit = FlowRule(name="own limit", discount_up_to=Decimal(5))
    assert chosen(own_limit, BY_MANAGER, discount=Decimal(500) / Decimal("99.999999")) == "any"
    assert Case(discount=Decimal(100) / 3).discount == Decimal("33.3334")
    assert Case(discount=Decimal("12.50")).model_dump(mode="json")["discount"] == "12.50"


# What is approved


@pytest.mark.parametrize(
    "kind",
    ["price-matrix", "promotion", "quote", "contract", "contract-template", "credit-account"],
)
def test_only_an_approval_tells_a_verdict(kind: str) -> None:
    """No subject passes its gate by a command that somebody could send."""
    must_take_verdicts(kind)
    assert KINDS[kind].commands[VERDICT].allowed == ()


# Until a flow is adopted


@pytest.mark.parametrize(
    ("kind", "case", "roles"),
    [
        ("paper", Case(), [Role.MANAGER]),
        ("price-matrix", Case(discount=Decimal(90)), [Role.MANAGER]),
        ("credit-account", Case(), [Role.FINANCE]),
        ("quote", Case(), []),
        ("quote", Case(discount=Decimal(-2)), []),
        ("quote", Case(discount=Decimal("0.01")), [Role.MANAGER]),
        ("quote", Case(flags=("beyond_price_validity",)), [Role.MANAGER]),
        ("quote", Case(flags=("below_floor",)), [Role.MANAGER, Role.DIRECTOR]),
    ],
)
def test_who_approves_until_a_flow_is_adopted(kind: str, case: Case, roles: list[Role]) -> None:
    found = rule_for(kind, None, case)
    assert [step.role for step in found.rule.steps] == roles
    assert found.version is None


def test_what_is_only_proposed_does_not_count() -> None:
    desk = Desk()
    desk.does(ProposeFlow(governs="paper", rules=flow(*STEPS), reason="safer"), by="qian")
    assert desk.approval(desk.hands_in()).parts[0].step.role is Role.MANAGER


# Nobody changes the rules alone


PROPOSE = ProposeFlow(governs="paper", rules=flow(*STEPS), reason="safer")


@pytest.fixture
def desk() -> Desk:
    """Sun has proposed a flow."""
    desk = Desk()
    desk.does(PROPOSE, by="sun")
    return desk


def test_a_flow_is_adopted_by_somebody_who_did_not_propose_it(desk: Desk) -> None:
    desk.refuses("approval_flow.adopter_is_proposer", AdoptFlow(version=1), FLOW, "sun")
    desk.does(AdoptFlow(version=1), FLOW, by="qian")
    assert desk.approval(desk.hands_in()).parts[0].step.role is Role.DIRECTOR


def test_nor_by_who_stands_in_for_him(desk: Desk) -> None:
    desk.appoints("sun", "qian", Role.DIRECTOR)
    desk.refuses("approval.substitute_of_author", AdoptFlow(version=1), FLOW, "qian")


def test_only_the_newest_proposal_is_adopted(desk: Desk) -> None:
    second = ProposeFlow(governs="paper", rules=(BY_MANAGER,), reason="simpler")
    desk.does(second, by="sun")
    desk.refuses("approval_flow.not_the_newest", AdoptFlow(version=1), FLOW, "qian")
    desk.refuses("approval_flow.not_the_newest", AdoptFlow(version=3), FLOW, "qian")
    desk.does(AdoptFlow(version=2), FLOW, by="qian")


def test_asking_twice_changes_nothing(desk: Desk) -> None:
    desk.does(PROPOSE, by="sun")
    desk.does(AdoptFlow(version=1), FLOW, by="qian")
    desk.does(AdoptFlow(version=1), FLOW, by="qian")
    assert desk.told(FLOW) == ["FlowProposed", "FlowAdopted"]


def test_an_approval_keeps_the_flow_it_began_under(desk: Desk) -> None:
    running = desk.hands_in()
    desk.does(AdoptFlow(version=1), FLOW, by="qian")
    desk.does(desk.approve(), running, by="wang")
    assert desk.paper.approved
    assert desk.streams[running][0].flow_version is None  # type: ignore[attr-defined]
    later = desk.hands_in("4 % off")
    assert desk.streams[later][0].flow_version == 1  # type: ignore[attr-defined]


# What is no flow


def test_the_last_rule_asks_somebody_whatever_the_case() -> None:
    desk = Desk()
    for last in (FlowRule(name="nobody"), FlowRule(name="deep", regions=("华东",), steps=STEPS)):
        propose = ProposeFlow(governs="paper", rules=(BY_MANAGER, last), reason="no")
        desk.refuses("approval_flow.not_complete", propose, None, "qian")


@pytest.mark.parametrize("kind", ["order", "nothing", "approval"])
def test_a_flow_is_for_what_is_approved(kind: str) -> None:
    propose = ProposeFlow(governs=kind, rules=(BY_MANAGER,), reason="no")
    Desk().refuses("approval.subject_unknown", propose, None, "qian")


@pytest.mark.parametrize(
    "step",
    [
        {"role": "system"},
        {"role": "manager", "hours": 5, "escalate_to": "system"},
        {"role": "manager", "escalate_to": "director"},
        {"role": "manager", "approvers": 0},
        {"role": "manager", "hours": 0},
    ],
)
def test_a_step_is_done_by_people_in_their_time(step: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Step.model_validate(step)


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.COUNTERPARTY])
@pytest.mark.parametrize("step", ["role", "escalate_to"])
def test_no_step_waits_for_who_approves_nothing(desk: Desk, step: str, role: Role) -> None:
    """P2: everything under such a flow would wait for ever."""
    waits = Step(**{"role": Role.MANAGER, "hours": 1, step: role})
    propose = ProposeFlow(governs="paper", rules=flow(waits), reason="x")
    desk.refuses("approval_flow.role_never_approves", propose, None, "qian")


def left(desk: Desk, *people: str) -> None:
    """They have gone, and keep their tokens."""
    for person in people:
        gone = RegisterPerson(person=person, name=person, organisation="Dealer", title="x")
        desk.does(gone, by="registrar")
        desk.does(DismissPerson(reason="x"), PersonId.of(person), by="registrar")


def test_who_has_left_changes_no_flow(desk: Desk) -> None:
    """Q2, B7: neither proposes nor adopts."""
    left(desk, "qian", "sun")
    desk.refuses("person.gone", AdoptFlow(version=1), FLOW, "sun")
    other = ProposeFlow(governs="paper", rules=(BY_MANAGER,), reason="x")
    desk.refuses("person.gone", other, None, "qian")


def test_whoever_is_registered_elsewhere_changes_no_flow(desk: Desk) -> None:
    """P2: whatever the roles in his token; under an earlier name of ours he is one of us."""
    desk.does(DescribeOurCompany(name="Dealer", address="x"), by="registrar")
    for person, organisation in (("qian", "Hospital"), ("zhao", "Dealer")):
        register = RegisterPerson(person=person, name="x", organisation=organisation, title="x")
        desk.does(register, by="registrar")
    desk.refuses("person.not_ours", PROPOSE, None, "qian")
    desk.refuses("person.not_ours", AdoptFlow(version=1), FLOW, "qian")
    desk.does(DescribeOurCompany(name="Dealer Ltd", address="x"), by="registrar")
    desk.does(AdoptFlow(version=1), FLOW, by="zhao")


def test_conditions_are_exact() -> None:
    with pytest.raises(ValidationError, match="write the amount as a text"):
        FlowRule.model_validate({"name": "x", "discount_from": 0.1})


def test_a_paper_is_handed_in_under_its_flow() -> None:
    desk = Desk()
    desk.follows(*flow(*STEPS))
    asked: Any = desk.streams[desk.hands_in()][0]
    assert (asked.subject, asked.rule, asked.flow_version) == (PAPER, "any", 1)
