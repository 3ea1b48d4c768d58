"""P2: who approves follows from how deep the discount is, and each subject tells its own case."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.domain.orders.towns import InMemory
from tests.domain.terms.contracts import CONTRACT, UNION, ContractTown, draft
from tests.domain.terms.pricing import MATRIX, A, Prices, cell, exception, money

from medsales.domain.governance.approval import ApprovalRequested
from medsales.domain.governance.approval_flow import AdoptFlow, FlowRule, ProposeFlow, Step
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.ids import ApprovalFlowId, ApprovalId, PromotionId
from medsales.domain.kernel import Role
from medsales.domain.parties.customer import ReviseCustomer
from medsales.domain.terms.contract import SubmitContract
from medsales.domain.terms.price_matrix import SubmitVersion
from medsales.domain.terms.promotion import (
    AmountOff,
    DraftPromotion,
    PercentOff,
    SubmitPromotion,
    Terms,
)

MANAGER, DIRECTOR = Step(role=Role.MANAGER), Step(role=Role.DIRECTOR)
LEVELS = (
    FlowRule(name="up to 5 %", discount_up_to=Decimal(5), steps=(MANAGER,)),
    FlowRule(name="up to 20 %", discount_up_to=Decimal(20), steps=(MANAGER, DIRECTOR)),
    FlowRule(name="deeper", steps=(Step(role=Role.DIRECTOR, approvers=2),)),
)
SPRING = PromotionId("promotion:SPRING")


def governed(town: InMemory, kind: str, rules: tuple[FlowRule, ...] = LEVELS) -> None:
    """Proposed by qian, adopted by sun."""
    propose = ProposeFlow(governs=kind, rules=rules, reason="levels")
    assert town.ask(propose, by="qian") is None
    assert town.ask(AdoptFlow(version=1), ApprovalFlowId.of(kind), by="sun") is None


def asked(town: InMemory, subject: str) -> ApprovalRequested:
    requested = town.streams[ApprovalId.of(subject, "1")][0]
    assert isinstance(requested, ApprovalRequested)
    return requested


def steps(request: ApprovalRequested) -> list[tuple[Role, int]]:
    return [(step.role, step.approvers) for step in request.steps]


@pytest.mark.parametrize(
    ("price", "level"),
    [
        ("95", [(Role.MANAGER, 1)]),
        ("94.99", [(Role.MANAGER, 1), (Role.DIRECTOR, 1)]),
        ("80", [(Role.MANAGER, 1), (Role.DIRECTOR, 1)]),
        ("79.99", [(Role.DIRECTOR, 2)]),
    ],
)
def test_p2_the_deepest_price_of_a_version_decides_who_approves_all_of_it(
    price: str, level: list[tuple[Role, int]]
) -> None:
    town = InMemory()
    prices = Prices(town)
    governed(town, "price-matrix")
    prices.draft([cell("100"), cell("99", grade="3A"), cell(price, tier=A)])
    prices.tell(SubmitVersion(version=1))
    assert steps(asked(town, MATRIX)) == level


def test_p2_below_the_floor_two_approve_a_version_without_a_flow_of_its_own() -> None:
    """As for a quote: otherwise a special price would be the way round it."""
    town = InMemory()
    prices = Prices(town)
    prices.draft([cell("100", floor="90"), cell("89", tier=A, exception=exception())])
    prices.tell(SubmitVersion(version=1))
    request = asked(town, MATRIX)
    assert (request.rule, steps(request)) == (
        "below floor",
        [(Role.MANAGER, 1), (Role.DIRECTOR, 1)],
    )


@pytest.mark.parametrize(
    ("offer", "rule"),
    [
        (PercentOff(percent=Decimal(5)), "up to 5 %"),
        (PercentOff(percent=Decimal(20)), "up to 20 %"),
        (PercentOff(percent=Decimal("20.01")), "deeper"),
        (AmountOff(amount=money("1")), "deeper"),
    ],
)
def test_p2_what_a_promotion_takes_off_decides_who_approves_it(offer: Any, rule: str) -> None:
    town = InMemory()
    governed(town, "promotion")
    terms = Terms(
        name="spring",
        offer=offer,
        first_day=date(2026, 5, 1),
        last_day=date(2026, 6, 30),
        currency="CNY",
        budget=money("100"),
    )
    assert town.ask(DraftPromotion(code="SPRING", terms=terms)) is None
    assert town.ask(SubmitPromotion(), SPRING) is None
    assert asked(town, SPRING).rule == rule


def conditions() -> Iterator[FlowRule]:
    """Each of which the contract below fulfils, and would not if it told nothing of it."""
    yield FlowRule(name="region", regions=("华东",), steps=(DIRECTOR,))
    yield FlowRule(name="grade", customer_grades=("3A",), steps=(DIRECTOR,))
    yield FlowRule(name="class", product_classes=("III",), steps=(DIRECTOR,))
    yield FlowRule(name="amount", amount_from=money("19000"), steps=(DIRECTOR,))
    yield FlowRule(name="flag", flags=("price_of_its_own",), steps=(DIRECTOR,))


@pytest.mark.parametrize("rule", [*conditions()], ids=lambda rule: rule.name)
def test_a_contract_tells_all_that_a_flow_may_ask_for(rule: FlowRule) -> None:
    town = ContractTown(pumps=DeviceClass.III)
    graded = ReviseCustomer(name="协和", region="华东", tier="A", grade="3A", address="庆春路")
    town.told(graded, UNION)
    governed(town, "contract", (rule, FlowRule(name="any", steps=(MANAGER,))))
    town.told(draft())
    town.told(SubmitContract(), CONTRACT)
    assert asked(town, CONTRACT).rule == rule.name


def test_a_contract_that_does_not_fulfil_a_condition_goes_on_to_the_next_rule() -> None:
    for rule in conditions():
        town = ContractTown(pumps=DeviceClass.II)
        other = rule.model_copy(
            update={
                "regions": ("华南",) if rule.regions else (),
                "customer_grades": ("2A",) if rule.customer_grades else (),
                "amount_from": money("19000.01") if rule.amount_from else None,
                "flags": ("from_tender",) if rule.flags else (),
            }
        )
        governed(town, "contract", (other, FlowRule(name="any", steps=(MANAGER,))))
        town.told(draft())
        town.told(SubmitContract(), CONTRACT)
        assert asked(town, CONTRACT).rule == "any", rule.name
