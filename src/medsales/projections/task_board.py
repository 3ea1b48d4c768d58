"""The task board: what somebody must do, by person and role, until when, and when it is done.

A task is raised by one fact and taken away by another, both of the same subject. What a subject has
raised before its own end is open no longer after it.
"""

from datetime import date, datetime, timedelta
from typing import Any

from medsales.domain.governance import approval, person
from medsales.domain.governance import licence_file as licence
from medsales.domain.kernel import Role, Sentence, Term
from medsales.domain.orders import cancelling, holds
from medsales.domain.orders.order import HoldKind, OrderStatus
from medsales.domain.sales import quote
from medsales.domain.stock import device_unit as unit
from medsales.domain.stock import product
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
from medsales.domain.values import start_of_day_in_china
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Change, Changes, Projection, Row, on


class TaskKind(Term):
    APPROVE = "approve", "审批"
    ANSWER_QUOTE = "answer_quote", "跟进报价"
    CONVERT_QUOTE = "convert_quote", "报价转单"
    REPRICE = "reprice", "重新定价"
    RELEASE_HOLD = "release_hold", "放行订单"
    SETTLE_RETURN = "settle_return", "退货结算"
    SIGN_CONTRACT = "sign_contract", "签署合同"
    MEET_OBLIGATION = "meet_obligation", "履行义务"
    RENEW_CONTRACT = "renew_contract", "续签合同"
    RENEW_LICENCE = "renew_licence", "资质延续"
    APPLY_FOR_RENEWAL = "apply_for_renewal", "申请延续"
    RENEW_REGISTRATION = "renew_registration", "注册证延续"
    OVERDUE_PLACEMENT = "overdue_placement", "逾期样机"


DONE_WHEN = {
    TaskKind.APPROVE: Sentence("it is approved or rejected", "审批通过或驳回"),
    TaskKind.ANSWER_QUOTE: Sentence(
        "it is accepted, declined, revised or withdrawn, or its time is over",
        "客户接受、谢绝, 报价修订、撤回或过期",
    ),
    TaskKind.CONVERT_QUOTE: Sentence(
        "it has become an order or a contract, or is voided", "已转为订单或合同, 或作废"
    ),
    TaskKind.REPRICE: Sentence(
        "the list is settled, or its version is followed by another, suspended or revoked",
        "清单已处理完毕, 或该版本已被新版本取代、暂停或撤销",
    ),
    TaskKind.RELEASE_HOLD: Sentence("the hold is released or rejected", "放行或拒绝"),
    TaskKind.SETTLE_RETURN: Sentence(
        "what came back is released, or an invoice of the order is credited",
        "已释放退货额度, 或已对订单发票开具贷项通知",
    ),
    TaskKind.SIGN_CONTRACT: Sentence(
        "this party has signed, or it is taken back or refused", "该方已签署, 或合同收回、拒签"
    ),
    TaskKind.MEET_OBLIGATION: Sentence("it is recorded as met", "已登记履行"),
    TaskKind.RENEW_CONTRACT: Sentence("a renewal takes effect", "续签协议生效"),
    TaskKind.RENEW_LICENCE: Sentence(
        "a new term is recorded, or the licence is revoked", "已登记延续, 或资质已撤销"
    ),
    TaskKind.APPLY_FOR_RENEWAL: Sentence(
        "the new term is recorded, or the time to apply is over", "已登记延续, 或申请期限已过"
    ),
    TaskKind.RENEW_REGISTRATION: Sentence(
        "a new term is recorded, or the registration is revoked", "已登记延续, 或注册证已撤销"
    ),
    TaskKind.OVERDUE_PLACEMENT: Sentence(
        "it is on its way back, sold where it stands, or its term is extended",
        "已启程归还、就地售出或延期",
    ),
}


class Task(Row, key=("task",), indexes=(("role",), ("person",), ("subject",))):
    """Something to do."""

    task: str
    kind: str = ""
    title_en: str = ""
    title_zh: str = ""
    done_when_en: str = ""
    done_when_zh: str = ""
    subject: str = ""
    """What it is about."""
    raised_by: str = ""
    """Whose fact raised it: an approval, an order, a unit."""
    person: str | None = None
    """Who must do it; otherwise somebody of the role."""
    role: str | None = None
    not_for: tuple[str, ...] = ()
    """People who may hold the role, and must not do this: authors do not approve."""
    since: datetime = BEGINNING
    due_at: datetime | None = None
    reminded_at: datetime | None = None


class TaskEnd(Row, key=("subject",)):
    """When a subject has ended, and with it whatever it had asked people to do."""

    subject: str
    ended_at: datetime = BEGINNING


class StandIn(Row, key=("principal", "number"), indexes=(("substitute",),)):
    """Who approves for whom, so that he finds what waits for him."""

    principal: str
    number: int
    substitute: str = ""
    roles: tuple[str, ...] = ()
    first_day: date = date.min
    last_day: date = date.min
    since: datetime = BEGINNING


class TaskBoard(Projection):
    rows = (Task, TaskEnd, StandIn)

    # Approvals

    @on(approval.StepOpened)
    def approver_waited_for(self, fact: Fact[approval.StepOpened]) -> Changes:
        event = fact.event
        yield approving(fact, str(event.step), event.role, event.due_at)

    @on(approval.StepEscalated)
    def step_escalated(self, fact: Fact[approval.StepEscalated]) -> Changes:
        event = fact.event
        yield approving(fact, f"{event.step} escalated", event.to, fact.effective_at)

    @on(approval.ApproversReminded)
    def approvers_reminded(self, fact: Fact[approval.ApproversReminded]) -> Changes:
        task = task_of(fact, TaskKind.APPROVE, str(fact.event.step))
        yield Task.set(task, reminded_at=fact.effective_at)

    @on(approval.StepApproved)
    def step_approved(self, fact: Fact[approval.StepApproved]) -> Changes:
        if fact.event.complete:
            yield from approved(fact, fact.event.step)

    @on(approval.ApprovalRejected, approval.ApprovalVoided)
    def approval_closed(self, fact: Fact[Any]) -> Changes:
        yield from approved(fact, *fact.event.open_steps)

    @on(person.SubstituteAppointed)
    def substitute_appointed(self, fact: Fact[person.SubstituteAppointed]) -> Changes:
        event = fact.event
        yield StandIn.put(
            principal=fact.subject,
            number=event.number,
            substitute=event.substitute,
            roles=tuple(role.value for role in event.roles),
            first_day=event.first_day,
            last_day=event.last_day,
            since=fact.effective_at,
        )

    @on(person.SubstitutionEnded)
    def substitution_ended(self, fact: Fact[person.SubstitutionEnded]) -> Changes:
        yield StandIn.drop(fact.subject, fact.event.number)

    @on(person.PersonDismissed)
    def person_dismissed(self, fact: Fact[person.PersonDismissed]) -> Changes:
        yield TaskEnd.put(subject=fact.subject, ended_at=fact.effective_at)

    # Quotes and prices

    @on(quote.QuoteIssued)
    def quote_issued(self, fact: Fact[quote.QuoteIssued]) -> Changes:
        event = fact.event
        title = Sentence(
            f"Get an answer to {fact.subject} from {event.customer}",
            f"跟进 {event.customer} 对 {fact.subject} 的答复",
        )
        due_at = end_in_china(event.valid_until)
        yield raised(fact, TaskKind.ANSWER_QUOTE, title, person=fact.by, due_at=due_at)

    @on(quote.QuoteAccepted)
    def quote_accepted(self, fact: Fact[quote.QuoteAccepted]) -> Changes:
        title = Sentence(
            f"Make {fact.subject} into an order or a contract",
            f"将 {fact.subject} 转为订单或合同",
        )
        yield done(fact, TaskKind.ANSWER_QUOTE)
        yield raised(fact, TaskKind.CONVERT_QUOTE, title, person=fact.by)

    @on(quote.QuoteDeclined, quote.QuoteRevised, quote.QuoteWithdrawn, quote.QuoteExpired)
    def quote_answered(self, fact: Fact[Any]) -> Changes:
        yield done(fact, TaskKind.ANSWER_QUOTE)

    @on(quote.QuoteConverted, quote.QuoteVoided)
    def quote_settled(self, fact: Fact[Any]) -> Changes:
        yield done(fact, TaskKind.CONVERT_QUOTE)

    @on(price_matrix.VersionScheduled)
    def version_scheduled(self, fact: Fact[price_matrix.VersionScheduled]) -> Changes:
        """A late one: what was offered at older prices is listed for somebody to look at (P7)."""
        event = fact.event
        if not event.late or event.number == FIRST:
            return
        title = Sentence(
            f"Go through the repricing list of {fact.subject} version {event.number}",
            f"处理 {fact.subject} 第 {event.number} 版的重新定价清单",
        )
        yield raised(fact, TaskKind.REPRICE, title, str(event.number), role=Role.SALES)

    @on(price_matrix.VersionStarted)
    def version_started(self, fact: Fact[price_matrix.VersionStarted]) -> Changes:
        for number in fact.event.superseded:
            if number != fact.event.number:
                yield done(fact, TaskKind.REPRICE, str(number))

    @on(repricing.RepricingSettled)
    def repricing_settled(self, fact: Fact[repricing.RepricingSettled]) -> Changes:
        if not fact.event.given:
            yield done(fact, TaskKind.REPRICE, str(fact.event.number))

    @on(price_matrix.VersionSuspended, price_matrix.VersionRevoked)
    def version_stopped(self, fact: Fact[Any]) -> Changes:
        yield done(fact, TaskKind.REPRICE, str(fact.event.number))

    # Orders

    @on(holds.OrderHeld)
    def order_held(self, fact: Fact[holds.OrderHeld]) -> Changes:
        for kind in HoldKind:
            yield done(fact, TaskKind.RELEASE_HOLD, kind.value)
        for hold in fact.event.holds:
            title = Sentence(
                f"Decide on the hold of {fact.subject}: {hold.en}",
                f"处理 {fact.subject} 的{hold.kind.zh}待放行: {hold.zh}",
            )
            role = holds.HOLD_OWNERS[hold.kind]
            yield raised(fact, TaskKind.RELEASE_HOLD, title, hold.kind.value, role=role)

    @on(holds.HoldReleased)
    def hold_released(self, fact: Fact[holds.HoldReleased]) -> Changes:
        yield done(fact, TaskKind.RELEASE_HOLD, fact.event.kind.value)

    @on(holds.OrderConfirmed, cancelling.HoldRejected, cancelling.OrderReopened)
    def order_not_held(self, fact: Fact[Any]) -> Changes:
        for kind in HoldKind:
            yield done(fact, TaskKind.RELEASE_HOLD, kind.value)

    @on(cancelling.OrderCancelled)
    def order_cancelled(self, fact: Fact[cancelling.OrderCancelled]) -> Changes:
        if fact.event.status is OrderStatus.CANCELLED:
            for kind in HoldKind:
                yield done(fact, TaskKind.RELEASE_HOLD, kind.value)

    @on(credit_exposure.ReturnNoted)
    def return_noted(self, fact: Fact[credit_exposure.ReturnNoted]) -> Changes:
        """Nobody but people knows whether it had been billed, and who keeps a gift."""
        order, amount = fact.event.order, fact.event.amount
        title = Sentence(
            f"Settle what came back of {order}, worth {amount}: release or credit it",
            f"处理 {order} 的退货 ({amount}): 释放额度或开具贷项通知",
        )
        yield raised(fact, TaskKind.SETTLE_RETURN, title, order, role=Role.FINANCE)

    @on(credit_exposure.ReservationEnded)
    def return_released(self, fact: Fact[credit_exposure.ReservationEnded]) -> Changes:
        if fact.event.why is Ending.RETURNED:
            yield done(fact, TaskKind.SETTLE_RETURN, fact.event.order)

    @on(credit_exposure.InvoiceSettled)
    def return_credited(self, fact: Fact[credit_exposure.InvoiceSettled]) -> Changes:
        if fact.event.means is Means.CREDIT_NOTE:
            yield done(fact, TaskKind.SETTLE_RETURN, fact.event.order)

    # Contracts

    @on(contract.ContractSent)
    def contract_sent(self, fact: Fact[contract.ContractSent]) -> Changes:
        version = fact.event.version
        ours = Sentence(
            f"Sign {fact.subject} version {version} for us",
            f"代表我方签署 {fact.subject} 第 {version} 版",
        )
        theirs = Sentence(
            f"Get the customer's signature of {fact.subject} version {version}",
            f"取得客户对 {fact.subject} 第 {version} 版的签署",
        )
        yield raised(fact, TaskKind.SIGN_CONTRACT, ours, Side.OURS.value, role=Role.LEGAL)
        yield raised(fact, TaskKind.SIGN_CONTRACT, theirs, Side.THEIRS.value, role=Role.SALES)

    @on(contract_signing.ContractSigned)
    def contract_signed(self, fact: Fact[contract_signing.ContractSigned]) -> Changes:
        yield done(fact, TaskKind.SIGN_CONTRACT, fact.event.side.value)

    @on(contract_signing.CounterpartySignatureRecorded)
    def customer_signed(self, fact: Fact[Any]) -> Changes:
        yield done(fact, TaskKind.SIGN_CONTRACT, Side.THEIRS.value)

    @on(
        contract.ContractRecalled,
        contract_signing.ContractRefused,
        contract_signing.AmendmentRefused,
        amendment.AmendmentWithdrawn,
    )
    def contract_not_signed(self, fact: Fact[Any]) -> Changes:
        for side in Side:
            yield done(fact, TaskKind.SIGN_CONTRACT, side.value)

    @on(contract_life.ObligationReminded)
    def obligation_due(self, fact: Fact[contract_life.ObligationReminded]) -> Changes:
        event = fact.event
        title = Sentence(
            f"{fact.subject}, {event.party.en}: {event.description}",
            f"{fact.subject} {event.party.zh}义务: {event.description}",
        )
        due_at = end_in_china(event.due)
        kind = TaskKind.MEET_OBLIGATION
        yield raised(fact, kind, title, event.key, role=Role.SALES, due_at=due_at)

    @on(contract_life.ObligationMet)
    def obligation_met(self, fact: Fact[contract_life.ObligationMet]) -> Changes:
        yield done(fact, TaskKind.MEET_OBLIGATION, fact.event.key)

    @on(contract_life.RenewalReminded)
    def contract_ends_soon(self, fact: Fact[contract_life.RenewalReminded]) -> Changes:
        event = fact.event
        title = Sentence(
            f"Renew {fact.subject} with {event.customer}: it ends on {event.valid_until}",
            f"与 {event.customer} 续签 {fact.subject}: {event.valid_until} 到期",
        )
        due_at = end_in_china(event.valid_until)
        yield raised(fact, TaskKind.RENEW_CONTRACT, title, role=Role.SALES, due_at=due_at)

    @on(contract_signing.AmendmentTookEffect)
    def amendment_took_effect(self, fact: Fact[contract_signing.AmendmentTookEffect]) -> Changes:
        if fact.event.amendment is AmendmentKind.RENEWAL:
            yield done(fact, TaskKind.RENEW_CONTRACT)

    @on(
        contract.ContractCancelled,
        contract_life.ContractTerminated,
        contract_life.ContractExpired,
        contract_life.ContractFulfilled,
    )
    def contract_ended(self, fact: Fact[Any]) -> Changes:
        yield TaskEnd.put(subject=fact.subject, ended_at=fact.effective_at)

    # Licences

    @on(licence.LicenceExpiryNear, licence.LicenceExpired)
    def licence_ends(self, fact: Fact[Any]) -> Changes:
        event = fact.event
        title = Sentence(
            f"Get the {event.kind.en} {event.number} renewed: it ends on {event.valid_until}",
            f"{event.kind.zh} {event.number} 须延续: {event.valid_until} 到期",
        )
        due_at = end_in_china(event.valid_until)
        kind = TaskKind.RENEW_LICENCE
        yield raised(fact, kind, title, event.number, role=Role.QUALITY, due_at=due_at)

    @on(licence.LicenceRenewalWindowOpened)
    def renewal_opened(self, fact: Fact[licence.LicenceRenewalWindowOpened]) -> Changes:
        number, window = fact.event.number, fact.event.window
        title = Sentence(
            f"Apply for the renewal of {number} by {window.closes_on} (令54 art. 16)",
            f"在 {window.closes_on} 前申请延续 {number} (令54 第16条)",
        )
        due_at = end_in_china(window.closes_on)
        kind = TaskKind.APPLY_FOR_RENEWAL
        yield raised(fact, kind, title, number, role=Role.QUALITY, due_at=due_at)

    @on(licence.LicenceRenewalWindowClosed)
    def renewal_closed(self, fact: Fact[licence.LicenceRenewalWindowClosed]) -> Changes:
        yield done(fact, TaskKind.APPLY_FOR_RENEWAL, fact.event.number)

    @on(licence.LicenceRenewed)
    def licence_renewed(self, fact: Fact[licence.LicenceRenewed]) -> Changes:
        yield from licence_settled(fact, fact.event.licence.number)

    @on(licence.LicenceRevoked)
    def licence_revoked(self, fact: Fact[licence.LicenceRevoked]) -> Changes:
        yield from licence_settled(fact, fact.event.number)

    @on(product.RegistrationExpiryNear, product.RegistrationExpired)
    def registration_ends(self, fact: Fact[Any]) -> Changes:
        event = fact.event
        title = Sentence(
            f"Get the registration {event.number} of {fact.subject} renewed:"
            f" it ends on {event.valid_until}",
            f"{fact.subject} 的注册证 {event.number} 须延续: {event.valid_until} 到期",
        )
        due_at = end_in_china(event.valid_until)
        kind = TaskKind.RENEW_REGISTRATION
        yield raised(fact, kind, title, event.number, role=Role.QUALITY, due_at=due_at)

    @on(product.RegistrationRecorded)
    def registration_renewed(self, fact: Fact[product.RegistrationRecorded]) -> Changes:
        yield done(fact, TaskKind.RENEW_REGISTRATION, fact.event.registration.number)

    @on(product.RegistrationRevoked)
    def registration_revoked(self, fact: Fact[product.RegistrationRevoked]) -> Changes:
        yield done(fact, TaskKind.RENEW_REGISTRATION, fact.event.number)

    # Units on demo or loan

    @on(unit.PlacementOverdue)
    def placement_overdue(self, fact: Fact[unit.PlacementOverdue]) -> Changes:
        """U4."""
        event = fact.event
        title = Sentence(
            f"Get {fact.subject} back from {event.customer}: it was due on {event.due_back}",
            f"自 {event.customer} 收回 {fact.subject}: 应于 {event.due_back} 归还",
        )
        due_at = end_in_china(event.due_back)
        yield raised(fact, TaskKind.OVERDUE_PLACEMENT, title, role=Role.SALES, due_at=due_at)

    @on(
        unit.PlacementExtended,
        unit.PlacedUnitSold,
        unit.UnitReturned,
        unit.UnitTakenBack,
        unit.UnitConsumed,
        unit.UnitScrapped,
    )
    def placement_settled(self, fact: Fact[Any]) -> Changes:
        yield done(fact, TaskKind.OVERDUE_PLACEMENT)


def task_of(fact: Fact[Any], kind: TaskKind, part: str = "") -> str:
    """One task of a kind for each subject, or for each part of it."""
    return f"{kind.value} {fact.subject} {part}".strip()


def raised(fact: Fact[Any], kind: TaskKind, title: Sentence, part: str = "", **more: Any) -> Change:
    until = DONE_WHEN[kind]
    return Task.put(
        task=task_of(fact, kind, part),
        kind=kind.value,
        title_en=title.en,
        title_zh=title.zh,
        done_when_en=until.en,
        done_when_zh=until.zh,
        raised_by=fact.subject,
        since=fact.effective_at,
        **{"subject": fact.subject, **more},
    )


def done(fact: Fact[Any], kind: TaskKind, part: str = "") -> Change:
    return Task.drop(task_of(fact, kind, part))


def approving(fact: Fact[Any], part: str, role: Role, due_at: datetime | None) -> Change:
    event = fact.event
    title = Sentence(f"Approve: {event.title}", f"审批: {event.title}")
    return raised(
        fact,
        TaskKind.APPROVE,
        title,
        part,
        subject=event.subject,
        role=role,
        due_at=due_at,
        not_for=event.authors,
    )


def approved(fact: Fact[Any], *steps: int) -> Changes:
    for step in steps:
        yield done(fact, TaskKind.APPROVE, str(step))
        yield done(fact, TaskKind.APPROVE, f"{step} escalated")


def licence_settled(fact: Fact[Any], number: str) -> Changes:
    yield done(fact, TaskKind.RENEW_LICENCE, number)
    yield done(fact, TaskKind.APPLY_FOR_RENEWAL, number)


LAST = date.max - timedelta(days=2)


def end_in_china(day: date) -> datetime:
    """When the day is over there."""
    return start_of_day_in_china(min(day, LAST) + timedelta(days=1))


FIRST = 1
"""Before it there were no prices to offer anything at."""


class TaskLine(Task, key=("task",)):
    """A task, in the order in which they are due."""

    sort_at: datetime
    """When it is due; the end of time where it has no limit."""
    on_behalf_of: str | None
    """For whom he who asks for his own tasks would do it."""


TASKS = """
    select t.*, coalesce(t.due_at, timestamptz '9999-12-31 00:00+00') as sort_at,
        case when t.role = any(%(roles)s) then null else b.principal end as on_behalf_of
    from task t, lateral (
        select min(s.principal) as principal from stand_in s
        where s.substitute = %(substitute)s and t.kind = 'approve' and t.role = any(s.roles)
            and %(today)s::date between s.first_day and s.last_day
            and substr(s.principal, length('person:') + 1) <> all(t.not_for)
            and not exists (
                select from task_end e where e.subject = s.principal and e.ended_at >= s.since)
    ) as b
    where (
            %(person)s::text is null and %(roles)s::text[] is null
            or t.person = %(person)s or t.role = any(%(roles)s) or b.principal is not null
        )
        and (%(person)s::text is null or %(person)s <> all(t.not_for))
        and (%(of_kind)s::text is null or t.kind = %(of_kind)s)
        and (%(subject)s::text is null or t.subject = %(subject)s)
        and (%(due_before)s::timestamptz is null or t.due_at < %(due_before)s)
        and (%(late_at)s::timestamptz is null or t.due_at < %(late_at)s)
        and not exists (
            select from task_end e where e.subject = t.raised_by and e.ended_at >= t.since)
"""
"""Of a person, of some roles, or of both; of everybody where neither is given."""
