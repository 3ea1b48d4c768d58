"""An office in memory that quotes pumps and stents: who is there, what is sold, the usual steps."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, TypeVar

import pytest
from tests.domain.orders.examples import (
    PUMP,
    STENT,
    UNION,
    WORLD,
    cny,
)

from medsales.domain.governance.approval import Approve, Reject
from medsales.domain.ids import ApprovalId, OrderId, PriceMatrixId, QuoteId
from medsales.domain.kernel import Aggregate, Command, Event, Refused, Role, Who
from medsales.domain.sales.offer import WantedQuoteLine
from medsales.domain.sales.quote import (
    AcceptQuote,
    ConvertQuote,
    DeclineQuote,
    DraftQuote,
    ExpireQuote,
    IssueQuote,
    Quote,
    QuoteStatus,
    SubmitQuote,
    VoidQuote,
    WithdrawQuote,
)
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    OpenPriceMatrix,
    PriceCell,
    ScheduleVersion,
    SubmitVersion,
)
from medsales.engine.decision import Decision, Loaded, subject_of
from medsales.engine.facts import event_from_json, event_to_json
from medsales.testing import NOON, loaded

A = TypeVar("A", bound=Aggregate)

LIST = PriceMatrixId("price-matrix:LIST")
Q1 = QuoteId("quote:Q-1")
SO9 = OrderId("order:SO-9")
LAST_DAY = date(2026, 6, 30)
LETTER = "sha256:" + "1e" * 32
CELLS = (
    PriceCell(product=PUMP, price=cny("10000.00"), floor=cny("8000.00")),
    PriceCell(product=STENT, price=cny("799.99"), floor=cny("600.00")),
)
AT_LIST = (WantedQuoteLine(product=PUMP, quantity=2), WantedQuoteLine(product=STENT, quantity=10))
TEN_OFF = (WantedQuoteLine(product=PUMP, quantity=2, discount="10"),)
BELOW_FLOOR = (WantedQuoteLine(product=PUMP, quantity=2, price=cny("7999.99")),)


class Office:
    """Everybody may do everything, unless a role is named; approvals still need somebody else."""

    def __init__(self) -> None:
        self.now = NOON
        self.streams: dict[str, list[Event[Any]]] = {id: list(told) for id, told in WORLD.items()}
        self.known: dict[str, Loaded] = {}
        self.log: list[tuple[str, Event[Any]]] = []
        """Everything that has been told here, in order."""
        self.tell(OpenPriceMatrix(code="LIST", name="2026", currency="CNY"))
        self.price(CELLS, date(2026, 1, 1), date(2026, 12, 31))

    def price(self, cells: Iterable[PriceCell], since: date, until: date | None = None) -> int:
        """A version of the prices, written by chen, approved by zhao and, below the floor, by qian;
        its number."""
        draft = DraftVersion(effective_from=since, effective_until=until, cells=tuple(cells))
        self.tell(draft, LIST)
        number = len(self.streams_of(LIST, "MatrixVersionDrafted"))
        self.tell(SubmitVersion(version=number), LIST)
        approval = ApprovalId.of(LIST, str(number))
        self.approve(approval, by="zhao")
        if not self.streams_of(approval, "ApprovalGranted"):
            self.approve(approval, by="qian")
        self.tell(ScheduleVersion(version=number), LIST)
        return number

    def streams_of(self, id: str, name: str) -> list[Event[Any]]:
        return [event for event in self.streams.get(id, ()) if type(event).__name__ == name]

    # Asking

    def tell(
        self,
        command: Command[Any],
        id: str | None = None,
        by: str = "chen",
        roles: tuple[Role, ...] = tuple(Role),
        at: datetime | None = None,
    ) -> list[Event[Any]]:
        """What came of it, over all aggregates. Raises Refused."""
        decision = Decision(self.load, Who(by, by.title(), roles), at or self.now)
        decision.ask(subject_of(command, id), command)
        for draft in decision.drafts:
            stored = event_from_json(
                type(draft.event).__name__, event_to_json(draft.event).encode()
            )
            assert stored == draft.event, "what is stored is read again as it was"
            self.streams.setdefault(draft.subject, []).append(stored)
            self.known.pop(draft.subject, None)
            self.log.append((draft.subject, stored))
        return [draft.event for draft in decision.drafts]

    def refusal(self, *asked: Any, **more: Any) -> Refused:
        with pytest.raises(Refused) as refused:
            self.tell(*asked, **more)
        assert refused.value.sentence.zh, "a refusal speaks Chinese too"
        return refused.value

    def load(self, ids: Iterable[str]) -> dict[str, Loaded]:
        for id in ids:
            if id not in self.known:
                self.known[id] = loaded(id, self.streams.get(id, ()))
        return {id: self.known[id] for id in ids}

    def state(self, id: str, kind: type[A]) -> A:
        state = self.load([id])[id].state
        assert isinstance(state, kind)
        return state

    @property
    def quote(self) -> Quote:
        return self.state(Q1, Quote)

    # The usual steps

    def drafted(self, lines: tuple[WantedQuoteLine, ...] = AT_LIST, **more: Any) -> "Office":
        self.tell(draft(lines, **more))
        return self

    def submitted(self, lines: tuple[WantedQuoteLine, ...] = AT_LIST, **more: Any) -> "Office":
        self.drafted(lines, **more).tell(SubmitQuote(), Q1)
        return self

    def issued(self, lines: tuple[WantedQuoteLine, ...] = AT_LIST, **more: Any) -> "Office":
        self.submitted(lines, **more).tell(IssueQuote(), Q1)
        return self

    def accepted(self) -> "Office":
        self.issued().tell(accept(self.quote), Q1)
        return self

    def approve(self, approval: ApprovalId | None = None, by: str = "wang") -> list[Event[Any]]:
        approval = approval or self.quote.approval
        assert approval is not None
        return self.tell(Approve(content_hash=self.hash_of(approval)), approval, by)

    def reject(self, by: str = "wang") -> list[Event[Any]]:
        approval = self.quote.approval
        assert approval is not None
        return self.tell(
            Reject(content_hash=self.hash_of(approval), reason="too cheap"), approval, by
        )

    def hash_of(self, approval: ApprovalId) -> str:
        hashed: str = self.streams_of(approval, "ApprovalRequested")[0].content_hash  # type: ignore[attr-defined]
        return hashed


def draft(lines: tuple[WantedQuoteLine, ...] = AT_LIST, **more: Any) -> DraftQuote:
    said = {"number": "Q-1", "customer": UNION, "price_matrix": LIST, "valid_until": LAST_DAY}
    return DraftQuote(lines=lines, **{**said, **more})


def accept(quote: Quote, **otherwise: Any) -> AcceptQuote:
    said = {
        "version": quote.version,
        "content_hash": quote.content_hash,
        "accepted_by": "设备科 刘主任",
        "evidence": LETTER,
    }
    return AcceptQuote(**{**said, **otherwise})


def in_stage(status: QuoteStatus) -> Office:
    """A quote that has come so far."""
    office = Office()
    if status is QuoteStatus.DRAFT:
        return office.drafted()
    if status is QuoteStatus.PENDING_APPROVAL:
        return office.submitted(TEN_OFF)
    if status is QuoteStatus.APPROVED:
        return office.submitted()
    if status in {QuoteStatus.ACCEPTED, QuoteStatus.CONVERTED, QuoteStatus.VOIDED}:
        office.accepted()
    else:
        office.issued()
    ends: dict[QuoteStatus, Command[Any]] = {
        QuoteStatus.CONVERTED: ConvertQuote(into=SO9),
        QuoteStatus.VOIDED: VoidQuote(reason="the ward is not built"),
        QuoteStatus.WITHDRAWN: WithdrawQuote(reason="a typing error"),
        QuoteStatus.DECLINED: DeclineQuote(reason="no budget"),
        QuoteStatus.EXPIRED: ExpireQuote(valid_until=LAST_DAY),
    }
    if status in ends:
        office.tell(ends[status], Q1)
    return office
