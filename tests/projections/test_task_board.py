"""Tasks: raised by one fact, taken away by another, and found by person, role and time."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tests.dealer import UNION
from tests.domain.governance.papers import PAPER, Desk, PaperReturned, WritePaper, flow
from tests.domain.governance.test_approval_lives import Life
from tests.projections.test_row_by_row import fact

from medsales.domain.governance import licence_file as licence
from medsales.domain.governance.approval import EscalateStep, RemindApprovers, Step
from medsales.domain.governance.licence_file import Licence, LicenceKind, RenewalWindow
from medsales.domain.ids import OrderId, QuoteId
from medsales.domain.kernel import Event, Role, Value
from medsales.domain.orders import cancelling, holds
from medsales.domain.orders.holds import Hold
from medsales.domain.orders.order import HoldKind, OrderStatus
from medsales.domain.sales import quote
from medsales.domain.stock import device_unit as unit
from medsales.domain.stock import product
from medsales.domain.stock.product import Registration
from medsales.domain.terms import (
    amendment,
    contract,
    contract_life,
    contract_signing,
    credit_exposure,
    price_matrix,
    repricing,
)
from medsales.domain.terms.contract_content import AmendmentKind, Side
from medsales.domain.terms.credit_exposure import Ending, Means
from medsales.domain.values import Money
from medsales.engine.facts import Fact
from medsales.engine.projection import fold
from medsales.projections.task_board import DONE_WHEN, Task, TaskBoard, TaskEnd, TaskKind
from medsales.testing import NOON

SUBJECT = "something:1"


def told(events: Iterable[Event[Any]]) -> Iterator[Fact[Any]]:
    for n, event in enumerate(events, start=1):
        one = fact(n, SUBJECT, n, PaperReturned(reason=""))
        one.name, one.event = type(event).__name__, event
        yield one


def tasks(facts: Iterable[Fact[Any]]) -> dict[str, Task]:
    """What is open after these facts."""
    rows = fold([TaskBoard()], facts)
    ended = {key[0] for key in rows[TaskEnd]}
    found = [Task(**change.values) for change in rows[Task].values() if not change.gone]
    return {task.task: task for task in found if task.raised_by not in ended}


def after(*events: Event[Any]) -> list[Task]:
    return list(tasks(told(events)).values())


# Approvals


SLOW = Step(role=Role.MANAGER, hours=8, remind_after_hours=4, escalate_to=Role.DIRECTOR)
DIRECTOR = Step(role=Role.DIRECTOR)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def at(desk: Desk) -> list[Task]:
    """What the approvals of a desk ask people to do."""
    streams = [(id, told) for id, told in desk.streams.items() if id.startswith("approval:")]
    facts = [
        fact(n, id, n, event) for id, events in streams for n, event in enumerate(events, start=1)
    ]
    return sorted(tasks(facts).values(), key=lambda task: task.task)


def test_a_step_that_waits_is_a_task_of_its_role_until_its_time(desk: Desk) -> None:
    id = desk.hands_in()
    (task,) = at(desk)
    assert task.model_dump(exclude={"done_when_en", "done_when_zh", "since"}) == {
        "task": f"approve {id} 1",
        "kind": "approve",
        "title_en": "Approve: Paper 1: 3 % off",
        "title_zh": "审批: Paper 1: 3 % off",
        "subject": PAPER,
        "raised_by": id,
        "person": None,
        "role": "manager",
        "not_for": ("chen",),
        "due_at": NOON + timedelta(hours=48),
        "reminded_at": None,
    }
    assert (task.done_when_en, task.done_when_zh) == DONE_WHEN[TaskKind.APPROVE]


def test_the_task_goes_from_step_to_step(desk: Desk) -> None:
    desk.follows(*flow(SLOW, DIRECTOR))
    id = desk.hands_in()
    desk.does(desk.approve(), id, by="wang")
    assert [task.role for task in at(desk)] == ["director"]
    desk.does(desk.approve(), id, by="qian")
    assert at(desk) == []


def test_who_is_one_of_several_leaves_the_task_to_the_others(desk: Desk) -> None:
    desk.follows(*flow(Step(role=Role.MANAGER, approvers=2)))
    id = desk.hands_in()
    desk.does(desk.approve(), id, by="wang")
    assert len(at(desk)) == 1
    desk.does(desk.approve(), id, by="zhao")
    assert at(desk) == []


def test_an_escalated_step_is_a_task_of_both_roles(desk: Desk) -> None:
    desk.follows(*flow(SLOW))
    id = desk.hands_in()
    desk.does(RemindApprovers(step=1), id)
    desk.does(EscalateStep(step=1), id)
    first, second = at(desk)
    assert (first.role, second.role) == ("manager", "director")
    assert first.reminded_at is not None
    assert second.due_at == second.since
    desk.does(desk.approve(), id, by="qian")
    assert at(desk) == []


def test_what_is_void_asks_nobody(desk: Desk) -> None:
    desk.follows(*flow(SLOW, DIRECTOR, in_order=False))
    desk.hands_in()
    assert len(at(desk)) == 2
    desk.does(WritePaper(number="1", text="other"))
    assert at(desk) == []


def test_after_any_life_the_tasks_are_the_steps_that_wait() -> None:
    for seed in range(20):
        life = Life(seed)
        for _ in range(60):
            life.step()
        assert [task.task for task in at(life.desk)] == sorted(waiting(life))


def waiting(life: Life) -> Iterator[str]:
    for id, _ in life.requests():
        state = life.desk.approval(id)
        for step in state.open_steps:
            yield f"approve {id} {step}"
            if state.part(step).escalated:
                yield f"approve {id} {step} escalated"


# Everything else: what raises a task, and what takes it away


def made(event: type[Value], /, **fields: Any) -> Any:
    """As much of an event, or of a value in it, as tasks depend on."""
    return event.model_construct(**fields)


DAY = date(2030, 2, 28)
HOLDS = tuple(Hold(kind=kind, en="too much", zh="超额") for kind in HoldKind)
LICENCE: dict[str, Any] = {"number": "沪123", "kind": LicenceKind.OPERATING, "valid_until": DAY}
WINDOW: dict[str, Any] = {"number": "沪123", "window": made(RenewalWindow, closes_on=DAY)}
RENEWED = made(licence.LicenceRenewed, licence=made(Licence, number="沪123"))
REGISTRATION: dict[str, Any] = {"number": "国械注准20203080001", "valid_until": DAY}
OBLIGATION: dict[str, Any] = {
    "key": "train",
    "due": DAY,
    "party": Side.OURS,
    "description": "Train the nurses",
}
BACK = OrderId("order:SO-1")
NOTED = credit_exposure.ReturnNoted(order=BACK, amount=Money(amount="800", currency="CNY"))
HELD = made(holds.OrderHeld, holds=HOLDS[:1])
RENEWAL = made(contract_signing.AmendmentTookEffect, amendment=AmendmentKind.RENEWAL)
CHANGE = made(contract_signing.AmendmentTookEffect, amendment=AmendmentKind.CHANGE)
ENDS_SOON = made(contract_life.RenewalReminded, customer=UNION, valid_until=DAY)
LATE = made(price_matrix.VersionScheduled, late=True, number=2)
NEXT = made(price_matrix.VersionStarted, number=3, superseded=(2,))

LIVES: list[tuple[TaskKind, Event[Any], Role | None, list[Event[Any]]]] = [
    (
        TaskKind.ANSWER_QUOTE,
        made(quote.QuoteIssued, customer=UNION, valid_until=DAY),
        None,
        [
            made(quote.QuoteDeclined),
            made(quote.QuoteRevised),
            made(quote.QuoteWithdrawn),
            made(quote.QuoteExpired),
        ],
    ),
    (
        TaskKind.CONVERT_QUOTE,
        made(quote.QuoteAccepted),
        None,
        [made(quote.QuoteConverted), made(quote.QuoteVoided)],
    ),
    (
        TaskKind.REPRICE,
        LATE,
        Role.SALES,
        [
            NEXT,
            made(repricing.RepricingSettled, number=2, given=()),
            made(price_matrix.VersionSuspended, number=2),
            made(price_matrix.VersionRevoked, number=2),
        ],
    ),
    (
        TaskKind.RELEASE_HOLD,
        HELD,
        Role.FINANCE,
        [
            made(holds.HoldReleased, kind=HoldKind.CREDIT),
            made(holds.OrderConfirmed),
            made(cancelling.HoldRejected),
            made(cancelling.OrderReopened),
            made(cancelling.OrderCancelled, status=OrderStatus.CANCELLED),
        ],
    ),
    (
        TaskKind.SETTLE_RETURN,
        NOTED,
        Role.FINANCE,
        [
            made(credit_exposure.ReservationEnded, order=BACK, why=Ending.RETURNED),
            made(credit_exposure.InvoiceSettled, order=BACK, means=Means.CREDIT_NOTE),
        ],
    ),
    (
        TaskKind.MEET_OBLIGATION,
        made(contract_life.ObligationReminded, **OBLIGATION),
        Role.SALES,
        [made(contract_life.ObligationMet, key="train"), made(contract_life.ContractTerminated)],
    ),
    (
        TaskKind.RENEW_CONTRACT,
        ENDS_SOON,
        Role.SALES,
        [RENEWAL, made(contract_life.ContractExpired), made(contract_life.ContractFulfilled)],
    ),
    (
        TaskKind.RENEW_LICENCE,
        made(licence.LicenceExpiryNear, **LICENCE),
        Role.QUALITY,
        [RENEWED, made(licence.LicenceRevoked, number="沪123")],
    ),
    (
        TaskKind.APPLY_FOR_RENEWAL,
        made(licence.LicenceRenewalWindowOpened, **WINDOW),
        Role.QUALITY,
        [RENEWED, made(licence.LicenceRenewalWindowClosed, **WINDOW)],
    ),
    (
        TaskKind.RENEW_REGISTRATION,
        made(product.RegistrationExpiryNear, **REGISTRATION),
        Role.QUALITY,
        [
            made(
                product.RegistrationRecorded,
                registration=made(Registration, **REGISTRATION),
            ),
            made(product.RegistrationRevoked, **REGISTRATION),
        ],
    ),
    (
        TaskKind.OVERDUE_PLACEMENT,
        made(unit.PlacementOverdue, customer=UNION, due_back=DAY),
        Role.SALES,
        [
            made(unit.PlacementExtended),
            made(unit.PlacedUnitSold),
            made(unit.UnitReturned),
            made(unit.UnitTakenBack),
            made(unit.UnitConsumed),
            made(unit.UnitScrapped),
        ],
    ),
]


@pytest.mark.parametrize(
    ("kind", "raising", "role", "ends"), LIVES, ids=lambda each: str(each)[:20]
)
def test_a_task_is_raised_by_one_fact_and_taken_away_by_another(
    kind: TaskKind, raising: Event[Any], role: Role | None, ends: list[Event[Any]]
) -> None:
    (task,) = after(raising)
    assert (task.kind, task.role, task.subject) == (kind, role, SUBJECT)
    assert task.person == (None if role else "chen")
    assert task.title_en
    assert task.title_zh != task.title_en
    for end in ends:
        assert after(raising, end) == [], type(end).__name__


def test_the_kinds_of_tasks_are_all_tried_here() -> None:
    tried = {kind for kind, *_ in LIVES} | {TaskKind.APPROVE, TaskKind.SIGN_CONTRACT}
    assert tried == set(TaskKind) == set(DONE_WHEN)


def test_p7_a_quote_that_is_settled_leaves_the_rest_of_the_list_to_do() -> None:
    one = made(repricing.RepricingSettled, number=2, given=(QuoteId.of("Q-1"),))
    assert [task.kind for task in after(LATE, one)] == [TaskKind.REPRICE]


def test_what_came_back_waits_for_finance_whatever_is_paid_or_cancelled() -> None:
    paid = made(credit_exposure.InvoiceSettled, order=BACK, means=Means.PAYMENT)
    cancelled = made(credit_exposure.ReservationEnded, order=BACK, why=Ending.CANCELLED)
    other = made(credit_exposure.ReservationEnded, order="order:SO-2", why=Ending.RETURNED)
    assert [task.kind for task in after(NOTED, paid, cancelled, other)] == [TaskKind.SETTLE_RETURN]


def test_both_parties_sign_a_contract() -> None:
    sent = made(contract.ContractSent, version=1)
    ours, theirs = sorted(after(sent), key=lambda task: task.task)
    assert (ours.role, theirs.role) == (Role.LEGAL, Role.SALES)
    signed = made(contract_signing.ContractSigned, side=Side.OURS)
    assert [task.role for task in after(sent, signed)] == [Role.SALES]
    for theirs_too in (
        made(contract_signing.ContractSigned, side=Side.THEIRS),
        made(contract_signing.CounterpartySignatureRecorded),
    ):
        assert after(sent, signed, theirs_too) == []


@pytest.mark.parametrize(
    "kind",
    [
        contract.ContractRecalled,
        contract_signing.ContractRefused,
        contract_signing.AmendmentRefused,
        amendment.AmendmentWithdrawn,
        contract_life.ContractTerminated,
    ],
)
def test_what_is_not_to_be_signed_any_more_waits_for_nobody(kind: type[Event[Any]]) -> None:
    assert after(made(contract.ContractSent, version=1), made(kind)) == []


def test_a_change_of_a_contract_does_not_renew_it() -> None:
    assert (
        len(after(made(contract_life.RenewalReminded, customer=UNION, valid_until=DAY), CHANGE))
        == 1
    )


def test_each_hold_is_a_task_of_the_role_that_owns_it() -> None:
    held = made(holds.OrderHeld, holds=HOLDS)
    roles = {task.task.rpartition(" ")[2]: task.role for task in after(held)}
    assert roles == {"credit": "finance", "price": "manager", "licence": "quality"}
    released = made(holds.HoldReleased, kind=HoldKind.PRICE)
    assert len(after(held, released)) == 2
    assert len(after(held, HELD)) == 1, "held anew, for less"


def test_a_version_in_time_and_the_first_of_all_need_no_list() -> None:
    assert after(made(price_matrix.VersionScheduled, late=False, number=2)) == []
    assert after(made(price_matrix.VersionScheduled, late=True, number=1)) == []


def test_a_licence_that_has_ended_is_still_to_be_renewed() -> None:
    near, over = made(licence.LicenceExpiryNear, **LICENCE), made(licence.LicenceExpired, **LICENCE)
    assert [task.task for task in after(near)] == [task.task for task in after(near, over)]


def test_a_licence_is_due_when_its_last_day_is_over_in_china() -> None:
    (task,) = after(made(licence.LicenceExpiryNear, **LICENCE))
    assert task.due_at is not None
    assert task.due_at.astimezone(UTC) == datetime(2030, 2, 28, 16, tzinfo=UTC)
