"""P1, P2: a version of prices takes the verdict about what it says now, and no other."""

from datetime import date
from typing import Any

import pytest
from tests.domain.terms.pricing import JANUARY, MARCH, MATRIX, Prices, cell

from medsales.domain.governance.approval import Verdict
from medsales.domain.terms.price_matrix import (
    EditDraft,
    SubmitVersion,
    TakeVerdict,
    VersionStatus,
    WithdrawVersion,
)


@pytest.fixture
def prices() -> Prices:
    """Version 1 waits for its approval."""
    prices = Prices()
    prices.draft([cell("100")])
    prices.tell(SubmitVersion(version=1))
    return prices


def verdict(prices: Prices, **otherwise: Any) -> TakeVerdict:
    version = prices.matrix.version(1)
    said = {
        "approval": version.approval,
        "version": 1,
        "content_hash": version.content_hash,
        "granted": True,
        "approvers": ("wang",),
    }
    return TakeVerdict(verdict=Verdict(**{**said, **otherwise}))


@pytest.mark.parametrize(
    "otherwise",
    [
        {"content_hash": "sha256:" + "0" * 64},
        {"approval": "approval:price-matrix:CN-2026:2"},
    ],
)
def test_p2_a_verdict_about_another_content_or_request_is_none(
    prices: Prices, otherwise: dict[str, Any]
) -> None:
    refused = prices.town.ask(verdict(prices, **otherwise), MATRIX)
    assert refused is not None
    assert refused.code.endswith("verdict_stale")
    prices.tell(verdict(prices))
    assert prices.status(1) is VersionStatus.APPROVED


def test_p1_a_verdict_that_was_right_does_not_count_for_what_was_written_since(
    prices: Prices,
) -> None:
    before = verdict(prices)
    prices.tell(WithdrawVersion(version=1, reason="a slip"))
    refused = prices.town.ask(before, MATRIX)
    assert refused is not None
    assert refused.code == "matrix.version_wrong_stage"
    prices.tell(EditDraft(version=1, effective_from=JANUARY, cells=(cell("1"),)))
    prices.tell(SubmitVersion(version=1))
    refused = prices.town.ask(before, MATRIX)
    assert refused is not None
    assert refused.code.endswith("verdict_stale")


def test_a_draft_is_not_written_anew_to_end_before_it_begins() -> None:
    prices = Prices()
    prices.draft([cell("100")])
    edit = EditDraft(
        version=1, effective_from=MARCH, effective_until=date(2026, 2, 28), cells=(cell("1"),)
    )
    refused = prices.town.ask(edit, MATRIX)
    assert refused is not None
    assert refused.code == "matrix.days_wrong"
