"""What ends on a day is announced 90, 60, 30 and 7 days before it, and told when it is over."""

from datetime import date, timedelta

REMINDERS = (90, 60, 30, 7)
"""Days before the end (GSP art. 51, item 5: early warning of licences that run out)."""
OVER = 0


def reminder(until: date, day: date, given: int | None) -> int | None:
    """The reminder that is due and has not been given: the latest only; `OVER` after the end."""
    left = (until - day).days
    due = OVER if left < 0 else min((n for n in REMINDERS if left <= n), default=None)
    return due if due is not None and (given is None or due < given) else None


def next_reminder(until: date, given: int | None = None) -> date | None:
    """The day on which there is something to say again; None when all has been said."""
    if given == OVER or until == date.max:
        return None
    later = next((n for n in REMINDERS if given is None or n < given), None)
    return until + timedelta(days=1) if later is None else days_before(until, later)


def days_before(day: date, days: int) -> date:
    """So many days before; the first of all days where there are not so many."""
    return date.fromordinal(max(1, day.toordinal() - days))
