"""What runs out is announced in time: licences, registrations, and the time to renew our own.

The window for renewing an operating licence is counted in working days (令54 art. 16). Which days
are worked is announced by the state a year at a time, so it is counted when the time comes, and the
fact keeps the days and whose calendar they are by.
"""

from datetime import date, timedelta
from importlib.metadata import version

from medsales.domain.governance.licence_file import (
    CloseRenewalWindow,
    OpenRenewalWindow,
    PlanRenewalWindow,
    RemindOfLicence,
    RenewalWindow,
)
from medsales.domain.ids import LicenceFileId, ProductId
from medsales.domain.stock.product import RemindOfRegistration
from medsales.domain.values import day_in_china
from medsales.engine.consequences import Then
from medsales.engine.timers import Timer, due
from medsales.projections.timers import PART, PLANNED_BEFORE

OPENS, CLOSES = 90, 30
"""Working days before the end of an operating licence."""


@due
def licence_expiry(timer: Timer) -> Then:
    file, number = parts(timer)
    return Then(RemindOfLicence(number=number), LicenceFileId(file))


@due
def registration_expiry(timer: Timer) -> Then:
    product, paper = parts(timer)
    number, _, until = paper.rpartition(PART)
    remind = RemindOfRegistration(number=number, valid_until=date.fromisoformat(until))
    return Then(remind, ProductId(product))


@due
def renewal_plan(timer: Timer) -> Then:
    file, number = parts(timer)
    until = day_in_china(timer.due_at) + timedelta(days=PLANNED_BEFORE)
    return Then(PlanRenewalWindow(number=number, window=window(until)), LicenceFileId(file))


@due
def renewal_opens(timer: Timer) -> Then:
    """Counted once more: by now it is known which days the state has moved."""
    file, paper = parts(timer)
    number, _, until = paper.rpartition(PART)
    counted = window(date.fromisoformat(until))
    return Then(OpenRenewalWindow(number=number, window=counted), LicenceFileId(file))


@due
def renewal_closes(timer: Timer) -> Then:
    file, number = parts(timer)
    return Then(CloseRenewalWindow(number=number), LicenceFileId(file))


def parts(timer: Timer) -> tuple[str, str]:
    """Whose paper, and which."""
    subject, _, number = timer.subject.partition(PART)
    return subject, number


def window(until: date) -> RenewalWindow:
    """The last day itself is not counted, so we are rather early than late."""
    import holidays  # noqa: PLC0415 - takes half a second, and is asked for once in five years

    china = holidays.country_holidays("CN")
    return RenewalWindow(
        opens_on=china.get_nth_working_day(until, -OPENS),
        closes_on=china.get_nth_working_day(until, -CLOSES),
        valid_until=until,
        calendar=f"holidays {version('holidays')}, CN",
    )
