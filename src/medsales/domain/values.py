"""What is measured, paid and dated: Money, Quantity, PartialDate, and the numbers of companies."""

from calendar import monthrange
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from medsales.domain.kernel import Refused, Term, Value

Quantity = Annotated[int, Field(ge=1, le=1_000_000, examples=[1])]
"""How many pieces: a whole number, at least one."""

Days = Annotated[int, Field(ge=0, le=3650, examples=[180])]
"""A number of days."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["CNY"])]
"""Three letters of ISO 4217."""


def exact(amount: object) -> object:
    if isinstance(amount, float):
        raise ValueError("write the amount as a text, a number in JSON is rounded (P8)")  # noqa: TRY004
    return amount


class Money(Value):
    """An amount in one currency; exact, never a float (P8)."""

    amount: Annotated[
        Decimal,
        # Beside the type, so that pydantic counts the digits itself, which is quicker.
        Field(max_digits=18, decimal_places=4, examples=["1250.00"]),
        BeforeValidator(exact),
    ]
    currency: Currency

    def __add__(self, other: "Money") -> "Money":
        self.must_be_in(other.currency)
        return Money(amount=self.amount + other.amount, currency=self.currency)

    def __mul__(self, count: int) -> "Money":
        return Money(amount=self.amount * count, currency=self.currency)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def must_be_in(self, currency: str) -> None:
        if self.currency != currency:
            raise Refused(
                "money.currencies_differ",
                f"{self.currency} cannot be added to {currency}",
                f"{self.currency} 与 {currency} 币种不同, 不能相加",
            )


Evidence = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", examples=["sha256:" + "0" * 64])]
"""A document, photograph or signature, by the SHA-256 of its bytes."""


CHINA = timezone(timedelta(hours=8), "Asia/Shanghai")
"""There is no summer time in China, and one zone."""


def day_in_china(moment: datetime) -> date:
    """The day it is there: what every rule and every paper means by a day."""
    return moment.astimezone(CHINA).date()


def start_of_day_in_china(day: date) -> datetime:
    return datetime.combine(day, time.min, CHINA)


def months_after(day: date, months: int) -> date:
    """The same day so many months later; the last of the month where there is no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


class Precision(Term):
    """How exactly a date is known; a month on a label never becomes a day (UDI-5)."""

    HOUR = "hour", "时"
    DAY = "day", "日"
    MONTH = "month", "月"


class PartialDate(Value):
    """A date as a label gives it: to the month, the day or the hour (UTC)."""

    on: date
    """The day; the first of the month where only the month is known."""
    precision: Precision = Precision.DAY
    hour: Annotated[int, Field(ge=0, le=23)] | None = None

    @model_validator(mode="after")
    def _says_no_more_than_it_knows(self) -> Self:
        if self.precision is Precision.MONTH and self.on.day != 1:
            raise ValueError("a date known to the month is written as its first day")
        if (self.hour is not None) != (self.precision is Precision.HOUR):
            raise ValueError("an hour goes with precision 'hour', and only with it")
        return self

    @classmethod
    def month(cls, year: int, month: int) -> "PartialDate":
        return cls(on=date(year, month, 1), precision=Precision.MONTH)

    @property
    def last_day(self) -> date:
        """The last day it may mean: what an expiry is compared with (UDI-5)."""
        if self.precision is not Precision.MONTH:
            return self.on
        return self.on.replace(day=monthrange(self.on.year, self.on.month)[1])

    def __str__(self) -> str:
        shown = {Precision.MONTH: f"{self.on:%Y-%m}", Precision.HOUR: f"{self.on} {self.hour}:00Z"}
        return shown.get(self.precision, str(self.on))


USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def checked_uscc(number: str) -> str:
    """Checks the 18th character of a unified social credit code (GB 32100-2015, 4.7)."""
    weighted = (USCC_ALPHABET.index(c) * 3**i % 31 for i, c in enumerate(number[:17]))
    if USCC_ALPHABET[-sum(weighted) % 31] != number[17]:
        raise ValueError("the check character of the unified social credit code is wrong")
    return number


Uscc = Annotated[
    str,
    Field(pattern=rf"^[{USCC_ALPHABET}]{{18}}$", examples=["91330000MA27X12A3C"]),
    AfterValidator(checked_uscc),
]
"""统一社会信用代码: the 18 characters that name a Chinese legal entity."""
