"""A product: what it is, which identifiers name its packages, and since when it may be sold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from medsales.domain.governance.expiry import OVER, reminder
from medsales.domain.governance.licence import GatedProduct, GateEvaluated, LicenceSeen
from medsales.domain.governance.licence_file import ClassificationCode
from medsales.domain.governance.licence_numbers import DeviceClass, NumberKind, read_number
from medsales.domain.ids import DeviceIdentifierId, ProductId
from medsales.domain.kernel import Aggregate, Also, Command, Event, Refused, Role, Term, Text, Value
from medsales.domain.stock.device_identifier import AssignIdentifier
from medsales.domain.udi import Issuer, check_di
from medsales.domain.values import Evidence, PartialDate, Quantity, day_in_china

Di = Annotated[
    str,
    Field(min_length=6, max_length=50, pattern=r"^[!-~]+$", examples=["06901234567892"]),
]
"""A device identifier as its issuer writes it; case is never folded."""

NO_EXPIRY = date.max


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
    device_class: DeviceClass | None = None
    family: str | None = None
    """Products that are priced and authorised together."""
    classification: str | None = None
    registrations: tuple[Registration, ...] = ()
    revoked: Mapping[str, date] = field(default_factory=dict)
    """By number, the first day on which the registration no longer counts."""
    reminded: Mapping[str, tuple[date, int]] = field(default_factory=dict)
    """By number, the last reminder: of which end, and how many days before it."""
    approved: bool = False
    """Approved before its first purchase (首营品种)."""

    @property
    def gated(self) -> GatedProduct:
        """What the gates of the law ask about (gates.py)."""
        return GatedProduct(
            product=ProductId.of(self.di),
            device_class=self.device_class,
            classification=self.classification,
            family=self.family,
        )

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
        if self.certificate_on(day) is None:
            raise Refused(
                "registration.not_valid",
                f"{self.name} has no registration certificate valid on {day}",
                f"{self.name} 在 {day} 没有有效的注册证",
            )

    def certificate_on(self, day: date) -> Registration | None:
        """The certificate that was valid on a day, the one recorded last if there are several."""
        valid = (
            each
            for each in reversed(self.registrations)
            if each.covers(day) and day < self.revoked.get(each.number, NO_EXPIRY)
        )
        return next(valid, None)

    def must_be_registered_when_made(self, made: PartialDate | None) -> None:
        """A certificate covers what was made within its validity (令47 art. 112, LIC-2)."""
        if made is not None and self.registrations:
            self.must_be_registered_on(made.last_day)

    def registration_gate(self, made: PartialDate | None, on: date) -> GateEvaluated:
        """LIC-2: what is accepted or sold was made under a valid certificate (令47 art. 112).

        Without a date of manufacture, some certificate will do; a product that has not been
        classified is held up when it is sold (D6), not when it is accepted.
        """
        day = made.last_day if made else None
        found = self.certificate_on(day) if day else (*self.registrations, None)[0]
        closed = found is None and (bool(self.registrations) or self.device_class is not None)
        when_en, when_zh = (f"when it was made, on {day}", f"生产日期 {day} ") if day else ("", "")
        return GateEvaluated(
            gate="LIC-2",
            passed=not closed,
            on=on,
            inputs=(self._seen(found),) if found else (),
            code="registration.not_valid_at_manufacture" if closed else None,
            reason_en=f"{self.name} had no valid registration {when_en}" if closed else None,
            reason_zh=f"{self.name} {when_zh}没有有效的注册证" if closed else None,
        )

    def approval_gate(self, on: date) -> GateEvaluated:
        """LIC-2: before the first purchase a product has been approved (首营品种, GSP art. 54)."""
        found = self.certificate_on(on)
        return GateEvaluated(
            gate="LIC-2",
            passed=self.approved,
            on=on,
            inputs=(self._seen(found),) if found else (),
            code=None if self.approved else "product.not_approved",
            reason_en=None if self.approved else f"{self.name} has not been approved to be bought",
            reason_zh=None if self.approved else f"{self.name} 未通过首营品种审核",
        )

    def _seen(self, registration: Registration) -> LicenceSeen:
        return LicenceSeen(
            file=ProductId.of(self.di),
            kind="registration",
            number=registration.number,
            version=self.registrations.index(registration) + 1,
            valid_from=registration.valid_from,
            valid_until=registration.valid_until,
            revoked_on=self.revoked.get(registration.number),
        )


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
            device_class=self.device_class,
            identifiers=frozenset(package.di for package in self.packages),
            piece_labels=frozenset(p.di for p in self.packages if p.contains is None),
            registered=self,
        )


class ClassifyProduct(Command[Product]):
    """Say to which family and risk class a product belongs, and where the catalogue lists it."""

    allowed = (Role.QUALITY, Role.MANAGER)

    family: Text | None = None
    """What it is priced and authorised with; products of one family share its cells."""
    classification: ClassificationCode | None = None
    """分类编码 of the device catalogue: what an operating licence lists."""
    device_class: DeviceClass | None = None
    """None leaves it as it is; a class that is known does not change, licences depend on it."""

    def decide(self, product: Product) -> ProductClassified | None:
        known = product.device_class
        classified = ProductClassified(
            family=self.family,
            classification=self.classification,
            device_class=self.device_class or known,
        )
        if classified.apply(product) == product:
            return None
        if known is not None and classified.device_class is not known:
            raise Refused(
                "product.other_class",
                f"{product.name} is of class {known}, not {self.device_class}",
                f"{product.name} 属{known.zh}, 管理类别不得变更",
            )
        for registration in product.registrations:
            _must_be_of(classified.device_class, product.name, registration.number)
        return classified


class ProductClassified(Event[Product]):
    family: str | None = None
    classification: str | None = None
    device_class: DeviceClass | None = None

    def apply(self, product: Product, /) -> Product:
        return replace(
            product,
            family=self.family,
            classification=self.classification,
            device_class=self.device_class,
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
    """Record a registration certificate or its renewal; earlier ones stay known.

    A Chinese number must be well formed and of the product's class; older and foreign ones are
    taken as they are.
    """

    allowed = (Role.QUALITY,)

    registration: Registration

    def decide(self, product: Product) -> RegistrationRecorded | None:
        number = self.registration.number
        if self.registration in product.registrations:
            return None
        if self.registration.valid_from > (self.registration.valid_until or NO_EXPIRY):
            raise Refused(
                "registration.ends_before_it_begins",
                "the certificate ends before it begins",
                "注册证的截止日期早于起始日期",
            )
        _must_be_well_formed(number)
        _must_be_of(product.device_class, product.name, number)
        if number in product.revoked:
            raise Refused(
                "registration.revoked",
                f"{number} was revoked from {product.revoked[number]} on",
                f"{number} 已自 {product.revoked[number]} 起被撤销或注销",
            )
        return RegistrationRecorded(registration=self.registration)


def _must_be_well_formed(number: str) -> None:
    said = read_number(number)
    if said.kind not in CERTIFIES:
        raise Refused(
            "registration.number_of_another_kind",
            f"{number} is the number of a {said.kind.en}, not of a registration",
            f"{number} 是{said.kind.zh}, 不是注册证或备案编号",
        )


def _must_be_of(device_class: DeviceClass | None, name: str, number: str) -> None:
    """令47 art. 115: the number itself says of which class the device is."""
    said = class_in(number)
    if said is None or device_class is None or said is device_class:
        return
    raise Refused(
        "registration.other_class",
        f"{number} is for class {said}; {name} is of class {device_class}",
        f"{number} 属{said.zh}, {name} 属{device_class.zh}",
    )


def class_in(number: str) -> DeviceClass | None:
    """None also for what was recorded before numbers were checked."""
    try:
        return read_number(number).device_class
    except Refused:
        return None


CERTIFIES = {NumberKind.REGISTRATION, NumberKind.FILING, NumberKind.LEGACY, NumberKind.FOREIGN}


class RegistrationRecorded(Event[Product]):
    registration: Registration

    def apply(self, product: Product, /) -> Product:
        return replace(product, registrations=(*product.registrations, self.registration))


class RevokeRegistration(Command[Product]):
    """Record that a registration was revoked or cancelled: from then on nothing is sold on it."""

    allowed = (Role.QUALITY,)

    number: Text
    """Of the certificate, as it was recorded."""
    on: date
    """The first day on which it no longer counts."""
    reason: Text

    def decide(self, product: Product) -> RegistrationRevoked | None:
        if product.revoked.get(self.number, NO_EXPIRY) <= self.on:
            return None
        if all(each.number != self.number for each in product.registrations):
            raise Refused(
                "registration.unknown",
                f"{product.name} has no registration {self.number}",
                f"{product.name} 没有编号为 {self.number} 的注册证",
            )
        return RegistrationRevoked(number=self.number, on=self.on, reason=self.reason)


class RegistrationRevoked(Event[Product]):
    number: str
    on: date
    reason: str

    def apply(self, product: Product, /) -> Product:
        return replace(product, revoked={**product.revoked, self.number: self.on})


class ApproveProduct(Command[Product]):
    """Approve a product before its first purchase: its certificate and its label were examined."""

    allowed = (Role.QUALITY,)

    label: Evidence
    """A sample or picture of the label (GSP art. 54)."""
    remark: Text | None = None

    def decide(self, product: Product, by: str, at: datetime) -> ProductApproved | None:
        if product.approved:
            return None
        day = day_in_china(at)
        product.must_be_registered_on(day)
        certificate = product.certificate_on(day)
        assert certificate is not None, "it is registered"
        return ProductApproved(
            approver=by, label=self.label, certificate=certificate, remark=self.remark
        )


class ProductApproved(Event[Product]):
    approver: str
    label: str
    certificate: Registration
    """The one that was examined."""
    remark: str | None = None

    def apply(self, product: Product, /) -> Product:
        return replace(product, approved=True)


class WithdrawProductApproval(Command[Product]):
    """Buy no more of a product until it is approved again."""

    allowed = (Role.QUALITY, Role.MANAGER)

    reason: Text

    def decide(self, product: Product) -> ProductApprovalWithdrawn | None:
        return ProductApprovalWithdrawn(reason=self.reason) if product.approved else None


class ProductApprovalWithdrawn(Event[Product]):
    reason: str

    def apply(self, product: Product, /) -> Product:
        return replace(product, approved=False)


class RemindOfRegistration(Command[Product]):
    """Say that a registration ends soon, or has ended (GSP art. 51)."""

    allowed = ()

    number: Text
    valid_until: date
    """The end that was waited for; nothing happens where there is a later one by now."""

    def decide(
        self, product: Product, at: datetime
    ) -> RegistrationExpiryNear | RegistrationExpired | None:
        until, number = self.valid_until, self.number
        ends = [r.valid_until or NO_EXPIRY for r in product.registrations if r.number == number]
        if not ends or max(ends) != until or number in product.revoked:
            return None
        end, given = product.reminded.get(number, (None, None))
        days = reminder(until, day_in_china(at), given if end == until else None)
        if days is None:
            return None
        if days == OVER:
            return RegistrationExpired(number=number, valid_until=until)
        return RegistrationExpiryNear(number=number, valid_until=until, days=days)


class RegistrationExpiryNear(Event[Product]):
    number: str
    valid_until: date
    days: int
    """The reminder this is: 90, 60, 30 or 7 days before the end."""

    def apply(self, product: Product, /) -> Product:
        said = (self.valid_until, self.days)
        return replace(product, reminded={**product.reminded, self.number: said})


class RegistrationExpired(Event[Product]):
    number: str
    valid_until: date

    def apply(self, product: Product, /) -> Product:
        return replace(product, reminded={**product.reminded, self.number: (self.valid_until, 0)})
