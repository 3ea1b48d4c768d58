"""Random lives of quotes: nothing is issued but what was approved, nothing is used twice."""

from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.domain.orders.examples import PUMP, STENT, UNION, cny
from tests.domain.sales.examples import CELLS, LETTER, LIST, Office

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Approve, Reject
from medsales.domain.ids import ApprovalId, ContractId, OrderId, QuoteId
from medsales.domain.kernel import Command, Refused
from medsales.domain.sales import quote as q
from medsales.domain.sales.offer import WantedQuoteLine
from medsales.domain.sales.quote import Quote, QuoteStatus
from medsales.domain.terms.price_matrix import PriceCell
from medsales.domain.values import day_in_china

QUOTES = st.sampled_from([QuoteId.of(f"Q-{n}") for n in range(1, 6)])
PEOPLE = st.sampled_from(["chen", "li", "wang", "sun"])
DAYS = st.integers(0, 3)
LINES = st.lists(
    st.builds(
        WantedQuoteLine,
        product=st.sampled_from([PUMP, STENT]),
        quantity=st.integers(1, 3),
        discount=st.sampled_from([None, "0", "5", "30"]),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
SELDOM = st.integers(0, 4)
"""What happens seldom is done when this is 0."""
REPLAYED = st.integers(0, 5)
"""Of which approval: people press the button of an old message as well."""


class QuoteLives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.office = Office()
        self.begun = len(self.office.log)
        self.seen: dict[QuoteId, list[tuple[int, str]]] = {}
        """What customers were sent: version and hash."""

    def tell(self, command: Command[Any], id: str | None = None, by: str = "chen") -> None:
        with suppress(Refused):
            self.office.tell(command, id, by)

    def quote(self, id: QuoteId) -> Quote:
        return self.office.state(id, Quote)

    # What people try

    @rule(id=QUOTES, lines=LINES, days=DAYS, by=PEOPLE)
    def draft(self, id: QuoteId, lines: Any, days: int, by: str) -> None:
        command = q.DraftQuote(
            number=id.key,
            customer=UNION,
            price_matrix=LIST,
            lines=lines,
            valid_until=self.day(days),
        )
        self.tell(command, by=by)

    @rule(id=QUOTES, lines=LINES, days=DAYS, by=PEOPLE)
    def edit(self, id: QuoteId, lines: Any, days: int, by: str) -> None:
        self.tell(q.EditQuote(lines=lines, valid_until=self.day(days)), id, by)

    def day(self, days: int) -> date:
        return self.office.now.date() + timedelta(days=days)

    @rule(id=QUOTES, lines=LINES, days=DAYS, by=PEOPLE, approver=PEOPLE, far=st.integers(1, 5))
    def bring_on(  # noqa: PLR0913, PLR0917 - what may be different
        self, id: QuoteId, lines: Any, days: int, by: str, approver: str, far: int
    ) -> None:
        """Drafted, submitted, approved, issued, accepted, used: so far as it gets."""
        steps: tuple[Callable[[], None], ...] = (
            lambda: self.draft(id, lines, days, by),
            lambda: self.tell(q.SubmitQuote(), id, by),
            lambda: self.approve(id, approver, 0),
            lambda: self.issue(id, by),
            lambda: self.accept(id, 1, "刘主任"),
            lambda: self.convert(id, 1),
        )
        for step in steps[: far + 1]:
            step()

    @rule(id=QUOTES, by=PEOPLE, replayed=REPLAYED)
    def approve(self, id: QuoteId, by: str, replayed: int) -> None:
        for approval, hashed in self.asked_for(id)[-1 - replayed :][:1]:
            self.tell(Approve(content_hash=hashed), approval, by)

    @rule(id=QUOTES, by=PEOPLE, replayed=REPLAYED)
    def reject(self, id: QuoteId, by: str, replayed: int) -> None:
        for approval, hashed in self.asked_for(id)[-1 - replayed :][:1]:
            self.tell(Reject(content_hash=hashed, reason="too cheap"), approval, by)

    def asked_for(self, id: QuoteId) -> list[tuple[ApprovalId, str]]:
        submitted: Any = self.office.streams_of(id, "QuoteSubmitted")
        return [(event.approval, event.content_hash) for event in submitted]

    @rule(id=QUOTES, by=PEOPLE)
    def issue(self, id: QuoteId, by: str) -> None:
        self.tell(q.IssueQuote(), id, by)
        if self.quote(id).status is QuoteStatus.ISSUED:
            self.seen.setdefault(id, []).append(
                (self.quote(id).version, self.quote(id).content_hash)
            )

    @rule(id=QUOTES, by=PEOPLE)
    def revise(self, id: QuoteId, by: str) -> None:
        self.tell(q.ReviseQuote(reason="less"), id, by)

    @rule(id=QUOTES, which=st.integers(1, 3), who=st.sampled_from(["刘主任", "院长"]))
    def accept(self, id: QuoteId, which: int, who: str) -> None:
        """The newest offer, or one that still lies on somebody's desk."""
        for version, hashed in self.seen.get(id, [])[-which:][:1]:
            accept = q.AcceptQuote(
                version=version, content_hash=hashed, accepted_by=who, evidence=LETTER
            )
            self.tell(accept, id)

    @rule(id=QUOTES, into=st.integers(0, 3))
    def convert(self, id: QuoteId, into: int) -> None:
        target = OrderId.of(f"SO-{into}") if into else ContractId.of("HT-1")
        self.tell(q.ConvertQuote(into=target), id)

    @rule(id=QUOTES, into=st.integers(1, 3))
    def convert_to_contract(self, id: QuoteId, into: int) -> None:
        day = self.office.now.date()
        contract = q.ConvertQuoteToContract(
            number=f"{id.key}-{into}", title="输液泵", valid_from=day, valid_until=day
        )
        self.tell(contract, id)

    @rule(id=QUOTES, how=st.integers(0, 8))
    def end(self, id: QuoteId, how: int) -> None:
        """Seldom, or there would be nothing to watch."""
        ends: list[Command[Any]] = [
            q.DeclineQuote(reason="no budget"),
            q.WithdrawQuote(reason="a typing error"),
            q.VoidQuote(reason="the ward is not built"),
        ]
        if how < len(ends):
            self.tell(ends[how], id)

    @rule(sure=SELDOM, timer=st.booleans())
    def time_passes(self, sure: int, *, timer: bool) -> None:
        """With a timer that comes in time, or not at all."""
        self.office.now += timedelta(days=not sure)
        for id in self.office.streams if timer else ():
            state = self.office.load([id])[id].state
            if (
                isinstance(state, Quote)
                and day_in_china(self.office.now) > state.text().valid_until
            ):
                self.tell(q.ExpireQuote(valid_until=state.text().valid_until), id)

    @rule(price=st.integers(80, 120), sure=SELDOM)
    def reprice(self, price: int, sure: int) -> None:
        if sure:
            return
        cells = (
            PriceCell(product=PUMP, price=cny(f"{price}00.00"), floor=cny("8000.00")),
            CELLS[1],
        )
        self.office.price(cells, self.office.now.date())

    # What must always be true, told by the facts alone

    @invariant()
    def what_is_issued_was_approved_as_it_is(self) -> None:
        """Q2: and the approval had not been voided, nor given by one of the authors."""
        granted: dict[str, Any] = {}
        requested: dict[str, Any] = {}
        for id, event in self.office.log[self.begun :]:
            name = type(event).__name__
            if name == "ApprovalRequested":
                requested[id] = event
            elif name == "ApprovalGranted":
                granted[id] = event
            elif name == "ApprovalVoided":
                granted.pop(id, None)
            elif isinstance(event, q.QuoteIssued):
                (approval,) = [a for a in granted if f"approval:{id}:" in a and a in granted][-1:]
                grant, request = granted[approval], requested[approval]
                assert (grant.version, grant.content_hash) == (event.version, event.content_hash)
                assert not set(grant.approvers) & set(request.authors)
                assert grant.approvers or not request.case.discount

    @invariant()
    def one_version_is_current(self) -> None:
        """Q3: what happens, happens to the newest one."""
        newest: dict[str, int] = {}
        for id, event in self.office.log[self.begun :]:
            if isinstance(event, q.QuoteDrafted):
                assert id not in newest
                newest[id] = 1
            elif isinstance(event, q.QuoteRevised):
                assert (event.superseded, event.version) == (newest[id], newest[id] + 1)
                newest[id] += 1
            elif id.startswith("quote:"):
                assert event.version == newest[id]  # type: ignore[attr-defined]

    @invariant()
    def what_is_accepted_was_issued_and_is_used_once(self) -> None:
        """Q4, Q5."""
        issued: dict[str, q.QuoteIssued] = {}
        accepted: set[str] = set()
        used: set[str] = set()
        for id, event in self.office.log[self.begun :]:
            if isinstance(event, q.QuoteIssued):
                issued[id] = event
            elif isinstance(event, q.QuoteAccepted):
                assert id not in accepted
                assert event.content_hash == issued[id].content_hash
                accepted.add(id)
            elif isinstance(event, q.QuoteConverted | q.QuoteVoided):
                assert id in accepted
                assert id not in used
                used.add(id)

    @invariant()
    def the_hash_is_that_of_what_the_customer_sees(self) -> None:
        for _, event in self.office.log[-3:]:
            if isinstance(event, q.QuoteSubmitted):
                assert event.content_hash == content_hash(event.content)
                shown = [(line.product, line.price) for line in event.content.lines]
                assert shown == [(line.product, line.price) for line in event.lines]


def test_quotes_live_by_the_rules() -> None:
    run_state_machine_as_test(
        QuoteLives,
        settings=settings(
            max_examples=120, stateful_step_count=40, deadline=None, derandomize=True, database=None
        ),
    )
