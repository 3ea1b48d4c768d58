"""The accounts, orders and amounts that the examples of credit speak of."""

from datetime import date
from decimal import Decimal
from typing import Any

from tests.domain.orders.examples import UNION, UNION_REGISTERED, cny
from tests.domain.orders.towns import InMemory

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Approve, Verdict
from medsales.domain.ids import ApprovalId, CreditAccountId, OrderId
from medsales.domain.kernel import Command, Event, Refused
from medsales.domain.terms.credit import (
    CreditAccount,
    CreditAgreed,
    CreditChangeRequested,
    TakeVerdict,
)
from medsales.domain.terms.credit_exposure import CreditReserved, ReserveCredit, Stage
from medsales.domain.terms.credit_group import GroupJoined, MemberJoined
from medsales.testing import Outcome, given, loaded

ACCOUNT = CreditAccountId.of(UNION.key)
HEAD = CreditAccountId("credit-account:the-group")
SO1, SO2 = OrderId("order:SO-1"), OrderId("order:SO-2")
RECEIPT = "sha256:" + "b" * 64
LONG_AGO, FAR = date(2026, 1, 1), date(2026, 12, 31)
WHY = "as agreed at the dinner 见会议纪要"
AGREED = CreditAgreed(customer=UNION, limit=cny("1000"), payment_days=30, reason=WHY)
OTHERS: dict[str, Any] = {UNION: (UNION_REGISTERED,)}


def reserving(amount: str, order: OrderId = SO1, *, used: bool = False) -> ReserveCredit:
    return ReserveCredit(order=order, customer=UNION, amount=cny(amount), used=used)


def reserved(amount: str, order: OrderId = SO1, stage: Stage = Stage.CONFIRMED) -> CreditReserved:
    return CreditReserved(customer=UNION, order=order, amount=cny(amount), stage=stage)


JOINED = GroupJoined(head=HEAD, reason=WHY)
TAKEN_IN = MemberJoined(member=ACCOUNT, owed=())


def account(*history: Event[Any], **others: Any) -> given:
    named = {"head": HEAD}
    return given(*history, others={**OTHERS, **{named[n]: life for n, life in others.items()}})


def ask(history: tuple[Event[Any], ...], command: Command[Any], **more: Any) -> Outcome:
    return account(*history).when(command, ACCOUNT, **more)


def requested(
    command: Command[Any], *history: Event[Any], by: str = "chen"
) -> tuple[Event[Any], ...]:
    """The history after somebody has asked for what needs another's consent."""
    outcome = ask(history, command, by=by)
    assert outcome.refusal is None, outcome.refusal
    return (*history, *outcome.events)


def verdict_on(
    history: tuple[Event[Any], ...], *, granted: bool = True, by: str = "wang"
) -> TakeVerdict:
    """What the approval of the last request would tell."""
    asked = [event for event in history if isinstance(event, CreditChangeRequested)][-1]
    number = asked.request.number
    return TakeVerdict(
        verdict=Verdict(
            approval=ApprovalId.of(ACCOUNT, str(number)),
            version=number,
            content_hash=content_hash(asked.request),
            granted=granted,
            reason=None if granted else "too much",
            approvers=(by,) if granted else (),
        )
    )


def agreed_to(
    command: Command[Any], *history: Event[Any], by: str = "chen"
) -> tuple[Event[Any], ...]:
    """The history after somebody has asked, and somebody else has agreed."""
    asked = requested(command, *history, by=by)
    outcome = ask(asked, verdict_on(asked))
    assert outcome.refusal is None, outcome.refusal
    return (*asked, *outcome.events)


def town(*history: Event[Any], head: tuple[Event[Any], ...] = ()) -> InMemory:
    """Where the hospital is known, and people ask one after the other."""
    lives = {**OTHERS, ACCOUNT: history, HEAD: head}
    streams = {id: list(events) for id, events in lives.items() if events}
    return InMemory(streams, {id: loaded(id, events) for id, events in streams.items()})


def owner(here: InMemory) -> CreditAccount:
    """The account of the hospital as it stands there."""
    state = here.state(ACCOUNT)
    assert isinstance(state, CreditAccount)
    return state


def consents(here: InMemory, number: int, by: str = "wang") -> Refused | None:
    """Somebody agrees to what was asked under this number."""
    id = ApprovalId.of(ACCOUNT, str(number))
    approval: Any = here.state(id)
    return here.ask(Approve(content_hash=approval.content_hash), id, by)


def exposure(*history: Event[Any], on: date = LONG_AGO) -> Decimal:
    return CreditAccount().after(history).exposure("CNY", on)
