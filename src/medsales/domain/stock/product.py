"""A product: what it is, which identifiers name its packages, and since when it may be sold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from medsales.domain.ids import DeviceIdentifierId, ProductId
from medsales.domain.kernel import Aggregate, Also, Command, Event, Refused, Role, Term, Text, Value
from medsales.domain.stock.device_identifier import AssignIdentifier
from medsales.domain.udi import Issuer, check_di
from medsales.domain.values import PartialDate, Quantity

Di = Annotated[
    str,
    Field(min_length=6, max_length=50, pattern=r"^[!-~]+$", examples=["06901234567892"]),
]
"""A device identifier as its issuer writes it; case is never folded."""

NO_EXPIRY = date.max


class DeviceClass(Term):
    """Risk class of a medical device (条例 739, art. 6)."""

    I = "I", "第一类"  # noqa: E741 - the class is called so
    II = "II", "第二类"
    III = "III", "第三类"


class TrackedBy(Term):
    SERIAL = "serial", "序列号"
    LOT = "lot", "批号"


class Packaging(Value):
    """One package level: the identifier on it, and how many of which package it contains."""

    di: Di
    level: Text
    """`base`, `box`, `case`, as the labeller calls it."""
    issuer: Issuer = Issuer.GS1
    contains: Di | None = None
    """The identifier of the package inside; none for the base unit."""
    quantity: Quantity = 1
    """How many of the package inside."""


Celsius = Annotated[Decimal, Field(ge=-273, le=1000, max_digits=7, examples=["8.0"])]


class StorageConditions(Value):
    """How the goods must be kept and carried (GSP art. 63)."""

    min_celsius: Celsius | None = None
    max_celsius: Celsius | None = None
    text: Text | None = None
    """Everything the label says besides, as it says it."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        low, high = self.min_celsius, self.max_celsius
        if low is not None and high is not None and low > high:
            raise ValueError("the lower temperature is above the upper one")
        return self


class Registration(Value):
    """A registration or filing certificate, and from when until when it is valid."""

    number: Text
    """注册证编号或备案编号, as printed on the certificate."""
    valid_from: date
    valid_until: date | None = None
    """The last day; none for a filing that does not expire."""

    def covers(self, day: date) -> bool:
        return self.valid_from <= day <= (self.valid_until or NO_EXPIRY)


@dataclass(frozen=True)
class Product(Aggregate):
    di: str = ""
    name: str = ""
    tracked_by: TrackedBy = TrackedBy.SERIAL
    identifiers: frozenset[str] = frozenset()
    piece_labels: frozenset[str] = frozenset()
    """The identifiers on a single piece; the others are those of packages of several."""
    registered: ProductRegistered | None = None
    registrations: tuple[Registration, ...] = ()

    def must_be_tracked_by(self, tracking: TrackedBy) -> None:
        if self.tracked_by is not tracking:
            raise Refused(
                "product.tracked_otherwise",
                f"{self.name} is tracked by {self.tracked_by.en}, not by {tracking.en}",
                f"{self.name} 按{self.tracked_by.zh}管理, 而非{tracking.zh}",
            )

    def must_bear(self, di: str | None) -> None:
        if di not in self.identifiers:
            raise Refused(
                "product.identifier_foreign",
                f"the device identifier {di} is not one of {self.name}",
                f"器械标识 {di} 不属于 {self.name}",
            )

    def must_label_one_piece(self, di: str | None) -> None:
        """A serial or a lot quantity is that of pieces: a box label would count them wrong."""
        self.must_bear(di)
        if di not in self.piece_labels:
            raise Refused(
                "product.package_scanned",
                f"{di} is the label of a package of {self.name}; scan a single piece",
                f"{di} 是 {self.name} 的包装标识, 请扫描单件标签",
            )

    def must_be_registered_on(self, day: date) -> None:
        """D6; and 令47 art. 112 where the day is that of manufacture."""
        if not any(registration.covers(day) for registration in self.registrations):
            raise Refused(
                "registration.not_valid",
                f"{self.name} has no registration certificate valid on {day}",
                f"{self.name} 在 {day} 没有有效的注册证",
            )

    def must_be_registered_when_made(self, made: PartialDate | None) -> None:
        """A certificate covers what was made within its validity (令47 art. 112, LIC-2)."""
        if made is not None and self.registrations:
            self.must_be_registered_on(made.last_day)


class RegisterProduct(Command[Product]):
    """Take up a product with the identifiers of all its package levels."""

    allowed = (Role.QUALITY, Role.MANAGER)

    di: Di
    """The device identifier of the base unit."""
    issuer: Issuer
    name: Text
    model: Text
    catalogue_number: Text | None = None
    registrant: Text
    """医疗器械注册人: the legal manufacturer."""
    device_class: DeviceClass | None = None
    """Risk class; unknown for foreign products that have not been classified."""
    tracked_by: TrackedBy
    implantable: bool = False
    single_use: bool = False
    packages: tuple[Packaging, ...] = Field(default=(), max_length=20)
    """The package levels above the base unit."""
    storage: StorageConditions | None = None
    imported: bool = False
    """Taken over from a foreign register: a defective identifier is kept with a warning (UDI-3)."""

    @model_validator(mode="after")
    def _packages_hold_what_is_known(self) -> Self:
        known = {self.di, *(package.di for package in self.packages)}
        if len(known) != len(self.packages) + 1:
            raise ValueError("two package levels have the same device identifier")
        for package in self.packages:
            if package.contains is not None and package.contains not in known - {package.di}:
                raise ValueError(f"the package {package.di} contains an unknown {package.contains}")
        return self

    def begins(self) -> ProductId:
        return ProductId.of(self.di)

    def decide(self, product: Product) -> tuple[ProductRegistered | Also, ...] | None:
        levels = (Packaging(di=self.di, level="base", issuer=self.issuer), *self.packages)
        findings = [f for level in levels for f in check_di(level.di, level.issuer)]
        registered = ProductRegistered(
            **self.model_dump(exclude={"packages", "imported"}),
            packages=levels,
            warnings=tuple(finding.en for finding in findings),
        )
        if registered == product.registered:
            return None
        if product.registered is not None:
            raise Refused(
                "product.exists",
                f"this device identifier is already registered as {product.name}",
                f"该器械标识已登记为 {product.name}",
            )
        if findings and not self.imported:
            raise Refused(findings[0].code, findings[0].en, findings[0].zh)
        return registered, *_claims(self.begins(), levels)


def _claims(product: ProductId, packages: tuple[Packaging, ...]) -> tuple[Also, ...]:
    return tuple(
        Also(DeviceIdentifierId.of(package.di), AssignIdentifier(di=package.di, product=product))
        for package in packages
    )


class ProductRegistered(Event[Product]):
    di: str
    issuer: Issuer
    name: str
    model: str
    catalogue_number: str | None = None
    registrant: str
    device_class: DeviceClass | None = None
    tracked_by: TrackedBy
    implantable: bool = False
    single_use: bool = False
    packages: tuple[Packaging, ...]
    storage: StorageConditions | None = None
    warnings: tuple[str, ...] = ()

    def apply(self, product: Product, /) -> Product:
        return replace(
            product,
            di=self.di,
            name=self.name,
            tracked_by=self.tracked_by,
            identifiers=frozenset(package.di for package in self.packages),
            piece_labels=frozenset(p.di for p in self.packages if p.contains is None),
            registered=self,
        )


class AddPackaging(Command[Product]):
    """Name another package level of a product."""

    allowed = (Role.QUALITY, Role.MANAGER)

    packaging: Packaging

    def decide(self, product: Product) -> tuple[PackagingAdded | Also, ...] | None:
        if self.packaging.di in product.identifiers:
            return None
        if self.packaging.contains is not None:
            product.must_bear(self.packaging.contains)
        added = PackagingAdded(packaging=self.packaging)
        return added, *_claims(ProductId.of(product.di), (self.packaging,))


class PackagingAdded(Event[Product]):
    packaging: Packaging

    def apply(self, product: Product, /) -> Product:
        piece = {self.packaging.di} if self.packaging.contains is None else set()
        return replace(
            product,
            identifiers=product.identifiers | {self.packaging.di},
            piece_labels=product.piece_labels | piece,
        )


class RecordRegistration(Command[Product]):
    """Record a registration certificate or its renewal; earlier ones stay known."""

    allowed = (Role.QUALITY,)

    registration: Registration

    def decide(self, product: Product) -> RegistrationRecorded | None:
        if self.registration in product.registrations:
            return None
        if self.registration.valid_from > (self.registration.valid_until or NO_EXPIRY):
            raise Refused(
                "registration.ends_before_it_begins",
                "the certificate ends before it begins",
                "注册证的截止日期早于起始日期",
            )
        return RegistrationRecorded(registration=self.registration)


class RegistrationRecorded(Event[Product]):
    registration: Registration

    def apply(self, product: Product, /) -> Product:
        return replace(product, registrations=(*product.registrations, self.registration))
