"""What is due and when: set by one fact, taken away by another."""

from datetime import date, datetime, time, timedelta
from typing import Any

from medsales.domain.governance import approval
from medsales.domain.governance import licence_file as licence
from medsales.domain.governance.expiry import days_before, next_reminder
from medsales.domain.sales import quote
from medsales.domain.stock import device_unit as unit
from medsales.domain.stock import lot, product
from medsales.domain.terms import contract_life, contract_signing
from medsales.domain.terms import price_matrix as prices
from medsales.domain.values import CHINA, PartialDate, start_of_day_in_china
from medsales.engine.facts import Fact
from medsales.engine.projection import Change, Changes, Projection, on
from medsales.engine.timers import Timer

PLACEMENT_OVERDUE = "placement_overdue"
PRICE_VERSION_STARTS = "price_version_starts"
QUOTE_EXPIRY = "quote_expiry"
CONTRACT_EXPIRY = "contract_expiry"
CONTRACT_RENEWAL = "contract_renewal"
OBLIGATION_DUE = "obligation_due"
LOT_EXPIRY = "lot_expiry"
UNIT_EXPIRY = "unit_expiry"
LICENCE_EXPIRY = "licence_expiry"
REGISTRATION_EXPIRY = "registration_expiry"
RENEWAL_PLAN = "renewal_plan"
RENEWAL_OPENS = "renewal_opens"
RENEWAL_CLOSES = "renewal_closes"
LICENCE_TIMERS = (LICENCE_EXPIRY, RENEWAL_PLAN, RENEWAL_CLOSES)
"""That a new term or the end of a licence takes away."""

APPROVAL_REMINDER = "approval_reminder"
APPROVAL_ESCALATION = "approval_escalation"

PLANNED_BEFORE = 160
"""Days before the end of our licence on which its renewal is planned: 90 working days are never
more, and the holidays of that year are known by then."""
PART = "\t"
"""Between a subject and the number of a paper in it; neither has control characters."""
LONG_AGO = date(1970, 1, 1)
"""Whatever was due before is due now."""


class TimerBoard(Projection):
    rows = (Timer,)

    @on(unit.UnitPlaced, unit.PlacementExtended)
    def placed(self, fact: Fact[Any]) -> Changes:
        yield Timer.put(
            timer=PLACEMENT_OVERDUE,
            subject=fact.subject,
            due_at=end_of(fact.event.due_back),
            set_by=fact.position,
        )

    @on(
        unit.PlacementOverdue,
        unit.PlacedUnitSold,
        unit.UnitReturned,
        unit.UnitTakenBack,
    )
    def not_waited_for(self, fact: Fact[Any]) -> Changes:
        yield Timer.drop(PLACEMENT_OVERDUE, fact.subject)

    @on(prices.VersionScheduled, prices.VersionApproved)
    def price_version_scheduled(self, fact: Fact[Any]) -> Changes:
        yield Timer.put(
            timer=PRICE_VERSION_STARTS,
            subject=f"{fact.subject}:{fact.event.number}",
            due_at=start_of_day_in_china(fact.event.effective_from),
            set_by=fact.position,
        )

    @on(prices.VersionStarted, prices.VersionRevoked)
    def price_version_not_waited_for(self, fact: Fact[Any]) -> Changes:
        yield Timer.drop(PRICE_VERSION_STARTS, f"{fact.subject}:{fact.event.number}")

    @on(unit.UnitConsumed, unit.UnitScrapped)
    def unit_ended(self, fact: Fact[Any]) -> Changes:
        yield Timer.drop(PLACEMENT_OVERDUE, fact.subject)
        yield Timer.drop(UNIT_EXPIRY, fact.subject)

    @on(unit.UnitReceived)
    def unit_received(self, fact: Fact[unit.UnitReceived]) -> Changes:
        """What belongs to a lot expires with its lot: one timer for all of it."""
        if fact.event.moved.lot is None and fact.event.udi.expires is not None:
            yield near_expiry(UNIT_EXPIRY, fact, fact.event.udi.expires)

    @on(unit.UnitNearExpiry)
    def unit_near_expiry(self, fact: Fact[unit.UnitNearExpiry]) -> Changes:
        yield expiry(UNIT_EXPIRY, fact, fact.event.expires)

    @on(unit.UnitExpired)
    def unit_expired(self, fact: Fact[unit.UnitExpired]) -> Changes:
        yield Timer.drop(UNIT_EXPIRY, fact.subject)

    @on(lot.LotOpened)
    def lot_opened(self, fact: Fact[lot.LotOpened]) -> Changes:
        if fact.event.expires is not None:
            yield near_expiry(LOT_EXPIRY, fact, fact.event.expires)

    @on(lot.LotNearExpiry)
    def lot_near_expiry(self, fact: Fact[lot.LotNearExpiry]) -> Changes:
        yield expiry(LOT_EXPIRY, fact, fact.event.expires)

    @on(lot.LotExpired)
    def lot_expired(self, fact: Fact[lot.LotExpired]) -> Changes:
        yield Timer.drop(LOT_EXPIRY, fact.subject)

    @on(product.RegistrationRecorded)
    def registration_recorded(self, fact: Fact[product.RegistrationRecorded]) -> Changes:
        held = fact.event.registration
        if held.valid_until is not None:
            yield from registration_ends(fact, held.number, held.valid_until, None)

    @on(product.RegistrationExpiryNear)
    def registration_near_expiry(self, fact: Fact[product.RegistrationExpiryNear]) -> Changes:
        event = fact.event
        yield from registration_ends(fact, event.number, event.valid_until, event.days)

    @on(product.RegistrationExpired)
    def registration_expired(self, fact: Fact[product.RegistrationExpired]) -> Changes:
        part = f"{fact.event.number}{PART}{fact.event.valid_until}"
        yield Timer.drop(REGISTRATION_EXPIRY, part_of(fact, part))

    @on(licence.LicenceRecorded, licence.LicenceRenewed)
    def licence_recorded(self, fact: Fact[Any]) -> Changes:
        held: licence.Licence = fact.event.licence
        for timer in LICENCE_TIMERS:
            yield Timer.drop(timer, part_of(fact, held.number))
        if held.valid_until is None:
            return
        yield from licence_ends(fact, held.number, held.valid_until, None)
        if fact.subject == licence.OWN and held.kind is licence.LicenceKind.OPERATING:
            planned = days_before(held.valid_until, PLANNED_BEFORE)
            yield timer_at(RENEWAL_PLAN, fact, planned, held.number)

    @on(licence.LicenceExpiryNear)
    def licence_near_expiry(self, fact: Fact[licence.LicenceExpiryNear]) -> Changes:
        event = fact.event
        yield from licence_ends(fact, event.number, event.valid_until, event.days)

    @on(licence.LicenceRenewalWindowPlanned)
    def renewal_planned(self, fact: Fact[licence.LicenceRenewalWindowPlanned]) -> Changes:
        yield Timer.drop(RENEWAL_PLAN, part_of(fact, fact.event.number))
        window, number = fact.event.window, fact.event.number
        yield timer_at(RENEWAL_OPENS, fact, window.opens_on, f"{number}{PART}{window.valid_until}")

    @on(licence.LicenceRenewalWindowOpened)
    def renewal_opened(self, fact: Fact[licence.LicenceRenewalWindowOpened]) -> Changes:
        window, number = fact.event.window, fact.event.number
        yield Timer.drop(RENEWAL_OPENS, part_of(fact, f"{number}{PART}{window.valid_until}"))
        yield timer_at(RENEWAL_CLOSES, fact, window.closes_on + timedelta(days=1), number)

    @on(licence.LicenceRenewalWindowClosed)
    def renewal_closed(self, fact: Fact[licence.LicenceRenewalWindowClosed]) -> Changes:
        window, number = fact.event.window, fact.event.number
        yield Timer.drop(RENEWAL_OPENS, part_of(fact, f"{number}{PART}{window.valid_until}"))
        yield Timer.drop(RENEWAL_CLOSES, part_of(fact, number))

    @on(licence.LicenceExpired)
    def licence_expired(self, fact: Fact[licence.LicenceExpired]) -> Changes:
        yield Timer.drop(LICENCE_EXPIRY, part_of(fact, fact.event.number))

    @on(licence.LicenceRevoked)
    def licence_revoked(self, fact: Fact[licence.LicenceRevoked]) -> Changes:
        for timer in LICENCE_TIMERS:
            yield Timer.drop(timer, part_of(fact, fact.event.number))

    @on(quote.QuoteIssued)
    def quote_issued(self, fact: Fact[quote.QuoteIssued]) -> Changes:
        """At 00:00 of the day after: on the last day it can still be accepted."""
        last = min(fact.event.valid_until, date.max - timedelta(days=1))
        yield timer_at(QUOTE_EXPIRY, fact, last + timedelta(days=1))

    @on(
        quote.QuoteRevised,
        quote.QuoteAccepted,
        quote.QuoteDeclined,
        quote.QuoteWithdrawn,
        quote.QuoteExpired,
    )
    def quote_answered(self, fact: Fact[Any]) -> Changes:
        yield Timer.drop(QUOTE_EXPIRY, fact.subject)

    @on(approval.StepOpened)
    def approvers_waited_for(self, fact: Fact[approval.StepOpened]) -> Changes:
        event = fact.event
        if event.remind_at:
            yield step_timer(APPROVAL_REMINDER, fact, event.step, event.remind_at)
        if event.due_at and event.escalate_to:
            yield step_timer(APPROVAL_ESCALATION, fact, event.step, event.due_at)

    @on(approval.ApproversReminded)
    def approvers_reminded(self, fact: Fact[approval.ApproversReminded]) -> Changes:
        yield Timer.drop(APPROVAL_REMINDER, part_of(fact, str(fact.event.step)))

    @on(approval.StepEscalated)
    def step_escalated(self, fact: Fact[approval.StepEscalated]) -> Changes:
        yield Timer.drop(APPROVAL_ESCALATION, part_of(fact, str(fact.event.step)))

    @on(approval.StepApproved)
    def step_approved(self, fact: Fact[approval.StepApproved]) -> Changes:
        if fact.event.complete:
            yield from nobody_waited_for(fact, fact.event.step)

    @on(approval.ApprovalRejected, approval.ApprovalVoided)
    def approval_closed(self, fact: Fact[Any]) -> Changes:
        yield from nobody_waited_for(fact, *fact.event.open_steps)

    @on(contract_signing.ContractActivated, contract_signing.AmendmentTookEffect)
    def contract_in_force(self, fact: Fact[Any]) -> Changes:
        terms: contract_signing.TermsInForce = fact.event.terms
        last = min(terms.valid_until, date.max - timedelta(days=1))
        yield timer_at(CONTRACT_EXPIRY, fact, last + timedelta(days=1))
        renewal = days_before(terms.valid_until, terms.renewal_notice_days)
        yield timer_at(CONTRACT_RENEWAL, fact, renewal)
        for each in terms.obligations:
            yield timer_at(OBLIGATION_DUE, fact, days_before(each.due, each.notice_days), each.key)

    @on(
        contract_life.ContractExpired,
        contract_life.ContractTerminated,
        contract_life.ContractFulfilled,
    )
    def contract_ended(self, fact: Fact[Any]) -> Changes:
        """Its obligations are still asked about once; then nothing comes of it."""
        yield Timer.drop(CONTRACT_EXPIRY, fact.subject)
        yield Timer.drop(CONTRACT_RENEWAL, fact.subject)

    @on(contract_life.RenewalReminded)
    def renewal_reminded(self, fact: Fact[contract_life.RenewalReminded]) -> Changes:
        yield Timer.drop(CONTRACT_RENEWAL, fact.subject)

    @on(contract_life.ObligationReminded, contract_life.ObligationMet)
    def obligation_told(self, fact: Fact[Any]) -> Changes:
        yield Timer.drop(OBLIGATION_DUE, part_of(fact, fact.event.key))


def end_of(day: date) -> datetime:
    """Its last moment, in China."""
    return datetime.combine(day, time.max, CHINA)


def part_of(fact: Fact[Any], number: str) -> str:
    return f"{fact.subject}{PART}{number}"


def timer_at(timer: str, fact: Fact[Any], day: date, part: str | None = None) -> Change:
    """At midnight in China, when the day of a licence or an expiry begins there."""
    return Timer.put(
        timer=timer,
        subject=fact.subject if part is None else part_of(fact, part),
        due_at=start_of_day_in_china(max(day, LONG_AGO)),
        set_by=fact.position,
    )


def near_expiry(timer: str, fact: Fact[Any], expires: PartialDate) -> Change:
    return timer_at(timer, fact, lot.near_from(expires))


def expiry(timer: str, fact: Fact[Any], expires: PartialDate) -> Change:
    """At 00:00 of the day after: the last day is still a good one."""
    last = min(expires.last_day, date.max - timedelta(days=1))
    return timer_at(timer, fact, last + timedelta(days=1))


def licence_ends(fact: Fact[Any], number: str, until: date, reminded: int | None) -> Changes:
    following = next_reminder(until, reminded)
    if following is not None:
        yield timer_at(LICENCE_EXPIRY, fact, following, number)


def registration_ends(fact: Fact[Any], number: str, until: date, reminded: int | None) -> Changes:
    """By its end too: a certificate may be recorded after the one that renewed it."""
    following = next_reminder(until, reminded)
    if following is not None:
        yield timer_at(REGISTRATION_EXPIRY, fact, following, f"{number}{PART}{until}")


def step_timer(timer: str, fact: Fact[Any], step: int, due_at: datetime) -> Change:
    subject = part_of(fact, str(step))
    return Timer.put(timer=timer, subject=subject, due_at=due_at, set_by=fact.position)


def nobody_waited_for(fact: Fact[Any], *steps: int) -> Changes:
    for step in steps:
        yield Timer.drop(APPROVAL_REMINDER, part_of(fact, str(step)))
        yield Timer.drop(APPROVAL_ESCALATION, part_of(fact, str(step)))
