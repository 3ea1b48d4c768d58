"""Whatever is approved hears its verdict from its approval alone; nobody plays the machinery."""

import pytest

from medsales.catalogue import AGGREGATES
from medsales.domain.governance.approval import Approval
from medsales.domain.governance.approval_flow import VERDICT

APPROVED = {aggregate.kind: aggregate for aggregate in AGGREGATES if VERDICT in aggregate.commands}
OF_THE_MACHINERY = ("request-approval", "void-approval", "remind-approvers", "escalate-step")


def test_what_is_approved_by_somebody_else() -> None:
    assert set(APPROVED) == {
        "price-matrix",
        "promotion",
        "quote",
        "contract",
        "contract-template",
        "credit-account",
    }


@pytest.mark.parametrize("kind", APPROVED)
def test_no_role_tells_a_verdict(kind: str) -> None:
    """P2, Q2, K4: otherwise one could approve past the approval."""
    assert APPROVED[kind].commands[VERDICT].allowed == ()


@pytest.mark.parametrize("name", OF_THE_MACHINERY)
def test_no_role_asks_for_voids_or_hurries_an_approval(name: str) -> None:
    assert Approval.commands[name].allowed == ()


@pytest.mark.parametrize("kind", APPROVED)
def test_nothing_is_approved_by_a_second_command(kind: str) -> None:
    """`approve-…` of the subject itself is for what is not governed by a flow."""
    verbs = {name.partition("-")[0] for name in APPROVED[kind].commands}
    assert not verbs & {"approve", "reject", "grant"}
