"""The quote board and the clock of quotes: what people see, and what happens at midnight."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.dealer import CHEN, GAUZE, LENS, PRICES, UNION, ZHAO, Dealer
from tests.engine.purses import history

from medsales.domain.governance.approval import Approve, Reject
from medsales.domain.ids import QuoteId
from medsales.domain.kernel import Refused
from medsales.domain.sales.offer import WantedQuoteLine
from medsales.domain.sales.quote import (
    AcceptQuote,
    ConvertQuoteToContract,
    DeclineQuote,
    DraftQuote,
    EditQuote,
    IssueQuote,
    Quote,
    ReviseQuote,
    SubmitQuote,
    VoidQuote,
    WithdrawQuote,
)
from medsales.domain.terms.price_matrix import DraftVersion, PriceCell
from medsales.domain.values import Money, day_in_china
from medsales.engine.application import Ask
from medsales.projections.quote_board import QuoteSeen, quote_seen

Q1 = QuoteId("quote:Q-1")
LAST_DAY = date(2030, 6, 30)
MIDNIGHT = datetime(2030, 6, 30, 16, tzinfo=UTC)
"""In China."""
LETTER = "sha256:" + "1e" * 32
TEN_OFF = (WantedQuoteLine(product=LENS, quantity=2, discount="10"),)
AT_LIST = (WantedQuoteLine(product=GAUZE, quantity=100),)


def quoted(dealer: Dealer, lines: Any = TEN_OFF) -> Quote:
    """Drafted and submitted."""
    draft = DraftQuote(
        number="Q-1", customer=UNION, price_matrix=PRICES, lines=lines, valid_until=LAST_DAY
    )
    dealer.tell(draft)
    dealer.tell(SubmitQuote(), Q1)
    return state(dealer)


def state(dealer: Dealer) -> Quote:
    return dealer.company.app.existing(Q1, Quote)


def approve(dealer: Dealer) -> None:
    quote = state(dealer)
    dealer.tell(Approve(content_hash=quote.content_hash), quote.approval, by=ZHAO)


def issued(dealer: Dealer, lines: Any = TEN_OFF) -> Quote:
    """Approved: it is cheaper than in force, or promises a price without an end for long (Q6)."""
    quoted(dealer, lines)
    approve(dealer)
    dealer.tell(IssueQuote(), Q1)
    return state(dealer)


def accept(dealer: Dealer) -> None:
    quote = state(dealer)
    dealer.tell(
        AcceptQuote(
            version=quote.version,
            content_hash=quote.content_hash,
            accepted_by="设备科 刘主任",
            evidence=LETTER,
        ),
        Q1,
    )


def seen(dealer: Dealer) -> QuoteSeen:
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        found = quote_seen(db, Q1)
    assert found is not None
    return found


def test_a_quote_shows_its_amount_deepest_discount_and_stage(dealer: Dealer) -> None:
    quoted(dealer, (*TEN_OFF, *AT_LIST))
    card = seen(dealer).quote
    assert (card.customer, card.status, card.version) == (UNION, "pending_approval", 1)
    assert (card.amount, card.currency) == (Decimal(2500), "CNY")
    assert (card.discount, card.below_floor) == (Decimal(10), False)
    assert (card.valid_until, card.drafted_by) == (LAST_DAY, CHEN.id)
    assert card.approval == "approval:quote:Q-1:1"


def test_a_version_keeps_its_lines_content_and_what_the_approval_looked_at(
    dealer: Dealer,
) -> None:
    quoted(dealer)
    (version,) = seen(dealer).versions
    assert version.shown is not None
    assert version.shown.lines == state(dealer).lines
    assert version.shown.content == state(dealer).content
    assert version.content_hash == state(dealer).content_hash
    assert version.shown.case is not None
    assert version.shown.case.discount == Decimal(10)
    assert [gate.gate for gate in version.shown.gates] == ["LIC-3", "LIC-5"]


def test_every_version_stays_with_what_became_of_it(dealer: Dealer) -> None:
    issued(dealer)
    dealer.tell(ReviseQuote(reason="less is enough"), Q1)
    soon = day_in_china(dealer.company.app.clock()) + timedelta(days=60)
    dealer.tell(EditQuote(lines=AT_LIST, valid_until=soon), Q1)
    dealer.tell(SubmitQuote(), Q1)
    first, second = seen(dealer).versions
    assert (first.status, first.reason) == ("superseded", "less is enough")
    assert (first.approvers, first.submitted_by) == (("zhao",), "chen")
    assert first.issued_at is not None
    assert first.ended_at is not None
    assert (second.status, second.approvers) == ("approved", ())
    card = seen(dealer).quote
    assert (card.version, card.amount, card.issued_at) == (2, Decimal(250), None)


def test_a_rejected_version_says_why(dealer: Dealer) -> None:
    quote = quoted(dealer)
    reject = Reject(content_hash=quote.content_hash, reason="too cheap")
    dealer.tell(reject, quote.approval, by=ZHAO)
    (version,) = seen(dealer).versions
    assert (version.status, version.reason) == ("draft", "too cheap")


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (DeclineQuote(reason="no budget"), "declined"),
        (WithdrawQuote(reason="a typing error"), "withdrawn"),
    ],
    ids=["decline", "withdraw"],
)
def test_an_end_is_told_with_its_reason(dealer: Dealer, end: Any, status: str) -> None:
    issued(dealer)
    dealer.tell(end, Q1)
    found = seen(dealer)
    assert found.quote.status == found.versions[0].status == status
    assert found.versions[0].reason == end.reason


def test_an_acceptance_and_what_was_made_of_it_are_told(dealer: Dealer) -> None:
    issued(dealer)
    accept(dealer)
    found = seen(dealer)
    assert (found.quote.status, found.quote.accepted_by) == ("accepted", "设备科 刘主任")
    assert found.versions[0].evidence == LETTER
    contract = ConvertQuoteToContract(
        number="HT-1", title="Lenses", valid_from="2030-01-01", valid_until="2030-12-31"
    )
    dealer.tell(contract, Q1)
    card = seen(dealer).quote
    assert (card.status, card.converted_into) == ("converted", "contract:HT-1")


def test_a_void_quote_says_why(dealer: Dealer) -> None:
    issued(dealer)
    accept(dealer)
    dealer.tell(VoidQuote(reason="the ward is not built"), Q1)
    found = seen(dealer)
    assert (found.quote.status, found.versions[0].reason) == ("voided", "the ward is not built")


# Q4: validity by timer


def at(dealer: Dealer, moment: datetime) -> None:
    dealer.company.app.clock = lambda: moment
    dealer.catch_up()


def expired(dealer: Dealer) -> list[str]:
    return [fact.subject for fact in history(dealer.company, kinds=("QuoteExpired",))]


def test_q4_it_expires_when_its_last_day_is_over_and_not_before(dealer: Dealer) -> None:
    issued(dealer)
    at(dealer, MIDNIGHT - timedelta(seconds=1))
    assert expired(dealer) == []
    at(dealer, MIDNIGHT)
    assert expired(dealer) == [Q1]
    assert seen(dealer).quote.status == "expired"


def test_q4_without_a_worker_it_is_over_all_the_same(dealer: Dealer) -> None:
    issued(dealer)
    dealer.company.app.clock = lambda: MIDNIGHT
    with pytest.raises(Refused, match="was valid until 2030-06-30"):
        accept(dealer)


@pytest.mark.parametrize("before", [timedelta(hours=3), timedelta(days=4000)])
def test_q4_nothing_is_accepted_at_a_time_of_ones_own_choosing(
    dealer: Dealer, before: timedelta
) -> None:
    """Whether the timer has rung must not decide, nor may it be before the quote was written."""
    quote = issued(dealer)
    dealer.company.app.clock = lambda: MIDNIGHT
    told = AcceptQuote(
        version=1, content_hash=quote.content_hash, accepted_by="刘主任", evidence=LETTER
    )
    late = Ask(told, CHEN, Q1, effective_at=MIDNIGHT - before, reason="the letter came by post")
    with pytest.raises(Refused) as refused:
        dealer.company.app.handle(late)
    assert refused.value.code == "effective.at_once"
    assert state(dealer).accepted is None


@pytest.mark.parametrize("end", ["accept", "decline", "withdraw", "revise"])
def test_q4_what_has_been_answered_does_not_expire(dealer: Dealer, end: str) -> None:
    issued(dealer)
    if end == "accept":
        accept(dealer)
    else:
        command: Any = {
            "decline": DeclineQuote(reason="-"),
            "withdraw": WithdrawQuote(reason="-"),
            "revise": ReviseQuote(reason="-"),
        }[end]
        dealer.tell(command, Q1)
    at(dealer, MIDNIGHT)
    assert expired(dealer) == []


def test_p7_an_issued_quote_keeps_its_prices_whatever_comes(dealer: Dealer) -> None:
    issued(dealer, AT_LIST)
    before = seen(dealer)
    cells = (PriceCell(product=GAUZE, price=Money(amount="1.00", currency="CNY")),)
    dealer.tell(DraftVersion(effective_from="2024-06-01", cells=cells), PRICES)
    dealer.put_in_force(2)
    assert seen(dealer) == before
    accept(dealer)
    offer = state(dealer).offer(MIDNIGHT)
    assert [(line.price.amount, line.price_version) for line in offer.lines] == [
        (Decimal("2.50"), 1)
    ]


def test_two_who_convert_at_the_same_time_get_one_order_or_contract(dealer: Dealer) -> None:
    """The database decides: of many conversions in one batch one is done (Q5)."""
    issued(dealer)
    accept(dealer)
    asks = [
        Ask(
            ConvertQuoteToContract(
                number=f"HT-{n}", title="Lenses", valid_from="2030-01-01", valid_until="2030-12-31"
            ),
            CHEN,
            Q1,
        )
        for n in range(8)
    ]
    answers = dealer.company.app.handle_many(asks)
    assert [isinstance(answer, Refused) for answer in answers].count(False) == 1
    (drafted,) = history(dealer.company, kinds=("ContractDrafted",))
    assert state(dealer).converted_into == drafted.subject
