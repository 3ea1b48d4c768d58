"""The dates barcodes carry: two-digit years, Julian days, months without a day, hours."""

from datetime import UTC, date, datetime, timedelta

from medsales.domain.values import PartialDate, Precision

CENTURY_PIVOT = 2026
"""The year two-digit years are read from, when nobody says otherwise."""

CENTURY = 100
HALF_AHEAD = 51
HALF_BACK = -50
DAY_WIDTH = 8


def is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def full_year(yy: int, pivot: int = CENTURY_PIVOT) -> int:
    """The year a two-digit year means: within 49 years back or 50 ahead of the pivot.

    GS1 General Specifications 7.12; HIBCC and MA name no rule of their own and follow it.
    """
    ahead = yy - pivot % CENTURY
    century = pivot - pivot % CENTURY
    if ahead >= HALF_AHEAD:
        return century - CENTURY + yy
    return century + yy + (CENTURY if ahead <= HALF_BACK else 0)


def calendar_day(year: int, month: int, day: int) -> PartialDate | None:
    """The day, or with day 0 the month; None when the calendar has no such day."""
    try:
        return PartialDate(on=date(year, month, day)) if day else PartialDate.month(year, month)
    except ValueError:
        return None


def from_yymmdd(text: str, pivot: int = CENTURY_PIVOT) -> PartialDate | None:
    """YYMMDD; DD=00 says the month only (GS1 General Specifications 3.4.2)."""
    if len(text) != len("YYMMDD") or not is_digits(text):
        return None
    year = full_year(int(text[:2]), pivot)
    return calendar_day(year, int(text[2:4]), int(text[4:]))


def from_yyyymmdd(text: str) -> PartialDate | None:
    if len(text) != DAY_WIDTH or not is_digits(text):
        return None
    return calendar_day(int(text[:4]), int(text[4:6]), int(text[6:]))


def from_year_and_day(year: int, day_of_year: int) -> PartialDate | None:
    """The Julian form: a year and the day in it, 1 to 366."""
    try:
        on = date(year, 1, 1) + timedelta(days=day_of_year - 1)
    except (ValueError, OverflowError):
        return None
    return PartialDate(on=on) if day_of_year and on.year == year else None


def at_hour(day: PartialDate | None, hour: int) -> PartialDate | None:
    """The same day with the hour (UTC); None when there is no such hour."""
    if day is None or day.precision is not Precision.DAY:
        return None
    try:
        datetime(2000, 1, 1, hour, tzinfo=UTC)
    except ValueError:
        return None
    return PartialDate(on=day.on, precision=Precision.HOUR, hour=hour)


def to_yymmdd(day: PartialDate) -> str:
    """What a GS1 barcode writes; the month only is written DD=00."""
    return f"{day.on:%y%m}{'00' if day.precision is Precision.MONTH else f'{day.on:%d}'}"
