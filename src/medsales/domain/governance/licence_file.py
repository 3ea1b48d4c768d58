"""The licences of one holder: what we, a customer, a supplier or a salesperson may do, until when.

All licences and authorisations of a holder stand in one file, numbered as they are printed. What
they permit is asked by the gates (licence.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from medsales.domain.governance.expiry import reminder
from medsales.domain.governance.licence_numbers import DeviceClass, NumberKind, read_number
from medsales.domain.ids import CustomerId, LicenceFileId, PersonId, ProductId
from medsales.domain.kernel import (
    Aggregate,
    Command,
    Event,
    Key,
    Refused,
    Role,
    Term,
    Text,
    Value,
    Who,
)
from medsales.domain.values import Evidence, day_in_china

NO_END = date.max
OWN = LicenceFileId.of("own")
"""Our own licences (LIC-4)."""

Holder = Annotated[
    Key,
    Field(
        pattern=r"^(own|(customer|supplier|person):[^\x00-\x1f\x7f]+)$",
        description="Whose it is: `own`, `customer:…`, `supplier:…` or `person:…`.",
        examples=["customer:91330000470003281C"],
    ),
]
LicenceNumber = Annotated[
    Key,
    Field(description="As printed on the licence.", examples=["浙杭药监械经营许20200123"]),
]
ClassificationCode = Annotated[
    str,
    Field(max_length=10, pattern=r"^[0-9]{2,4}(-[0-9]{2}){0,2}$", examples=["14-01-03"]),
]
"""分类编码, of the catalogue of 2017 (`14-01-03`) or the one before (`6815`)."""


def file_of(holder: CustomerId | PersonId | str) -> LicenceFileId:
    """The file of a customer, a supplier or a person; a bare name is that of a person."""
    if holder == "own":
        return OWN
    return LicenceFileId.of(holder if ":" in holder else PersonId.of(holder))


class LicenceKind(Term):
    BUSINESS = "business_licence", "营业执照"
    OPERATING = "operating_licence", "医疗器械经营许可证"
    OPERATING_FILING = "operating_filing", "医疗器械经营备案凭证"
    PRODUCTION = "production_licence", "医疗器械生产许可证"
    PRODUCTION_FILING = "production_filing", "医疗器械生产备案凭证"
    PRACTICE = "practice_licence", "医疗机构执业许可证"
    MANUFACTURER_AUTHORISATION = "manufacturer_authorisation", "供货授权书"
    DISTRIBUTION_AUTHORISATION = "distribution_authorisation", "经销授权书"
    SALESPERSON_AUTHORISATION = "salesperson_authorisation", "销售人员授权书"
    STATEMENT_OF_NEED = "statement_of_need", "使用需求说明"


NUMBERED_AS = {
    LicenceKind.OPERATING: NumberKind.OPERATING_LICENCE,
    LicenceKind.OPERATING_FILING: NumberKind.OPERATING_FILING,
    LicenceKind.PRODUCTION: NumberKind.PRODUCTION_LICENCE,
    LicenceKind.PRODUCTION_FILING: NumberKind.PRODUCTION_FILING,
}
AS_PRINTED = {NumberKind.FOREIGN, NumberKind.LEGACY}


class GatePolicy(Term):
    """What follows when a gate is not passed."""

    BLOCK = "block", "阻止"
    WARN = "warn", "提示"


class GatedProduct(Value):
    """What a gate needs to know of a product."""

    product: ProductId
    device_class: DeviceClass | None = None
    """None for what has not been classified: no licence is asked for."""
    classification: str | None = None
    family: str | None = None


class LicenceScope(Value):
    """What a licence or authorisation covers; what it does not name, it does not limit."""

    classes: tuple[DeviceClass, ...] = ()
    codes: tuple[ClassificationCode, ...] = Field(default=(), max_length=200)
    """A code covers all below it."""
    products: tuple[ProductId, ...] = Field(default=(), max_length=1000)
    families: tuple[Text, ...] = Field(default=(), max_length=200)
    """Product families; what is in one of them is covered as if it were named."""
    regions: tuple[Text, ...] = Field(default=(), max_length=100)
    """The territory, in sales regions."""

    def covers(self, goods: GatedProduct) -> bool:
        return (
            self._covers_class(goods.device_class)
            and self._covers_code(goods.classification)
            and self._covers_product(goods)
        )

    def covers_region(self, region: str | None) -> bool:
        return not self.regions or region is None or region in self.regions

    def _covers_class(self, device_class: DeviceClass | None) -> bool:
        return not self.classes or device_class is None or device_class in self.classes

    def _covers_code(self, code: str | None) -> bool:
        """What has no code is not covered by a licence that lists codes."""
        if not self.codes:
            return True
        return code is not None and any(f"{code}-".startswith(f"{each}-") for each in self.codes)

    def _covers_product(self, goods: GatedProduct) -> bool:
        if not self.products and not self.families:
            return True
        return goods.product in self.products or goods.family in self.families


EVERYTHING = LicenceScope()


class Licence(Value):
    """One licence, as printed, for one term."""

    kind: LicenceKind
    number: LicenceNumber
    """As printed; for a letter without a number, the one we file it under."""
    scope: LicenceScope = EVERYTHING
    valid_from: date
    valid_until: date | None = None
    """The last day; none for what does not expire."""
    issuer: Text
    evidence: Evidence | None = None
    """The copy on file (GSP art. 53, 82)."""
    salesperson: PersonId | None = None
    """Whom an authorisation names (GSP art. 53)."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_from > (self.valid_until or NO_END):
            raise ValueError("the licence ends before it begins")
        return self

    def covers_day(self, day: date) -> bool:
        return self.valid_from <= day <= (self.valid_until or NO_END)


class LicenceSeen(Value):
    """A licence as a gate saw it (LIC-7)."""

    file: str
    """Whose file, or which product, it stands in."""
    kind: str
    number: str
    version: int
    """How often it had been recorded, renewed, verified or revoked by then."""
    valid_from: date
    valid_until: date | None = None
    revoked_on: date | None = None
    verified: bool = False


class RenewalWindow(Value):
    """When the renewal of an operating licence must be asked for (令54 art. 16)."""

    opens_on: date
    """90 working days before the end."""
    closes_on: date
    """30 working days before the end: a later request is not taken."""
    valid_until: date
    calendar: str
    """By whose calendar of working days."""


@dataclass(frozen=True)
class HeldLicence:
    """A licence by its number: every term of it, and what has been found out about it."""

    terms: tuple[Licence, ...]
    version: int = 1
    checked: frozenset[Licence] = frozenset()
    """The terms that have been verified, each with all that it says."""
    revoked_on: date | None = None
    reminded: int | None = None
    """The last reminder of the current term: so many days before its end; 0 when it is over."""
    window: RenewalWindow | None = None
    recorded_by: str | None = None
    """Who entered the current term; somebody else verifies it."""

    @property
    def current(self) -> Licence:
        return self.terms[-1]

    def term_on(self, day: date) -> Licence | None:
        """The latest that covers the day; a renewal that nobody has verified replaces nothing."""
        if self.revoked_on is not None and day >= self.revoked_on:
            return None
        terms = [term for term in reversed(self.terms) if term.covers_day(day)]
        verified = (term for term in terms if term in self.checked)
        return next(verified, terms[0] if terms else None)

    def must_not_be_entered_by(self, by: str) -> None:
        """Four eyes (GSP art. 53, 首营审核): nobody vouches for what he has entered himself."""
        if self.recorded_by == by:
            raise Refused(
                "licence.verified_by_recorder",
                f"you entered {self.current.number} yourself; somebody else verifies it",
                f"{self.current.number} 由您本人登记, 须由他人核实",
            )

    def must_be_valid_until(self, seen: date | None) -> None:
        """Each term ends later than the one before: its last day tells which was looked at."""
        until = self.current.valid_until
        if until != seen:
            raise Refused(
                "licence.verified_another",
                f"{self.current.number} is on file until {until or '…'}, and you looked at one"
                f" until {seen or '…'}",
                f"{self.current.number} 在档的有效期至 {until or '…'}, 而您核实的有效期至"
                f" {seen or '…'}",
            )

    def verified_on(self, day: date) -> bool:
        term = self.term_on(day)
        return term is not None and term in self.checked

    def seen(self, holder: str, day: date) -> LicenceSeen:
        term = self.term_on(day) or self.current
        return LicenceSeen(
            file=file_of(holder),
            kind=term.kind,
            number=term.number,
            version=self.version,
            valid_from=term.valid_from,
            valid_until=term.valid_until,
            revoked_on=self.revoked_on,
            verified=term in self.checked,
        )


@dataclass(frozen=True)
class LicenceFile(Aggregate):
    holder: str = ""
    licences: dict[str, HeldLicence] = field(default_factory=dict)
    """By number."""
    approved: bool = False
    """Approved as a supplier (首营企业)."""
    salesperson_policy: GatePolicy = GatePolicy.WARN
    """Of our own file: what follows when a salesperson is not authorised (LIC-5)."""

    def of_kind(self, *kinds: LicenceKind) -> Iterator[HeldLicence]:
        return (held for held in self.licences.values() if held.current.kind in kinds)

    def held(self, number: str) -> HeldLicence:
        if number not in self.licences:
            raise Refused(
                "licence.unknown",
                f"there is no licence {number} in this file",
                f"该档案中没有编号为 {number} 的证照",
            )
        return self.licences[number]

    def with_held(self, number: str, held: HeldLicence) -> LicenceFile:
        return replace(self, licences={**self.licences, number: held})


def must_not_be_ones_own(holder: str, who: Who) -> None:
    """LIC-4, LIC-5: nobody checks our own papers and letters of authorisation once more, so they
    are entered by whoever answers for them, and not by the one who is authorised."""
    if holder == "own" or holder.startswith("person:"):
        answers = not {Role.QUALITY, Role.MANAGER}.isdisjoint(who.roles)
        if not answers or holder == PersonId.of(who.id):
            raise Refused(
                "licence.not_for_oneself",
                "our own licences and authorisations are entered by quality or a manager,"
                " and nobody enters his own",
                "本企业证照和授权书由质量人员或经理登记, 且不得登记本人的授权书",
            )


class RecordLicence(Command[LicenceFile]):
    """Put a licence or authorisation on the file of its holder."""

    allowed = (Role.QUALITY, Role.SALES, Role.MANAGER)

    holder: Holder
    licence: Licence

    def begins(self) -> LicenceFileId:
        return file_of(self.holder)

    def decide(self, file: LicenceFile, who: Who) -> LicenceRecorded | None:
        must_not_be_ones_own(self.holder, who)
        number = self.licence.number
        if number in file.licences:
            self._must_be_known(file.licences[number])
            return None
        must_be_numbered_as(self.licence.kind, number)
        return LicenceRecorded(holder=self.holder, licence=self.licence, recorded_by=who.id)

    def _must_be_known(self, held: HeldLicence) -> None:
        if self.licence not in held.terms:
            raise Refused(
                "licence.exists",
                f"{self.licence.number} is on file already; a new term of it is a renewal",
                f"编号 {self.licence.number} 已登记; 新的有效期请按延续登记",
            )


def must_be_numbered_as(kind: LicenceKind, number: str) -> None:
    """A Chinese number says which kind of licence it stands on."""
    wanted = NUMBERED_AS.get(kind)
    if wanted is None:
        return
    read = read_number(number)
    if read.kind not in {wanted, *AS_PRINTED}:
        raise Refused(
            "licence.number_of_another_kind",
            f"{number} is the number of a {read.kind.en}, not of a {kind.en}",
            f"{number} 是{read.kind.zh}, 而非{kind.zh}编号",
        )


class LicenceRecorded(Event[LicenceFile]):
    holder: str
    licence: Licence
    recorded_by: str | None = None

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        held = HeldLicence(terms=(self.licence,), recorded_by=self.recorded_by)
        return replace(file, holder=self.holder).with_held(self.licence.number, held)


class RenewLicence(Command[LicenceFile]):
    """Record a new term of a licence on file; the earlier terms stay known."""

    allowed = (Role.QUALITY, Role.SALES, Role.MANAGER)

    number: LicenceNumber
    valid_from: date
    """The first day of the new term."""
    valid_until: date | None = None
    """Its last day."""
    scope: LicenceScope | None = None
    """None where it stays as it was."""
    evidence: Evidence | None = None
    """The copy of the new licence."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_from > (self.valid_until or NO_END):
            raise ValueError("the licence ends before it begins")
        return self

    def decide(self, file: LicenceFile, who: Who) -> LicenceRenewed | None:
        must_not_be_ones_own(file.holder, who)
        held = file.held(self.number)
        term = self._term(held.current)
        if term in held.terms:
            return None
        if held.revoked_on is not None:
            raise Refused(
                "licence.revoked",
                f"{self.number} was revoked on {held.revoked_on}; it cannot be renewed",
                f"{self.number} 已于 {held.revoked_on} 被撤销或注销, 不能延续",
            )
        if (term.valid_until or NO_END) <= (held.current.valid_until or NO_END):
            raise Refused(
                "licence.renewal_ends_no_later",
                f"{self.number} is valid until {held.current.valid_until} already",
                f"{self.number} 的有效期已至 {held.current.valid_until}",
            )
        if term.valid_from <= held.current.valid_from:
            raise Refused(
                "licence.renewal_begins_no_later",
                f"{self.number} is valid from {held.current.valid_from}; its renewal begins later",
                f"{self.number} 自 {held.current.valid_from} 起有效, 延续的起始日期须在其后",
            )
        return LicenceRenewed(licence=term, recorded_by=who.id)

    def _term(self, before: Licence) -> Licence:
        return before.model_copy(
            update={
                "valid_from": self.valid_from,
                "valid_until": self.valid_until,
                "scope": self.scope or before.scope,
                "evidence": self.evidence or before.evidence,
            }
        )


class LicenceRenewed(Event[LicenceFile]):
    licence: Licence
    recorded_by: str | None = None

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        before = file.licences[self.licence.number]
        renewed = HeldLicence(
            terms=(*before.terms, self.licence),
            version=before.version + 1,
            checked=before.checked,
            recorded_by=self.recorded_by,
        )
        return file.with_held(self.licence.number, renewed)


class VerifyLicence(Command[LicenceFile]):
    """Say that the current term of a licence has been checked, and how (GSP art. 53, 82).

    Whoever entered that term does not check it. It is named by its last day: what has been renewed
    since somebody looked has not been looked at.
    """

    allowed = (Role.QUALITY,)

    number: LicenceNumber
    method: Text = Field(examples=["国家药监局数据查询"])
    """Where it was looked up, or with whom."""
    valid_until: date | None = None
    """The last day of the term that was looked at; none for what does not expire."""

    def decide(self, file: LicenceFile, by: str) -> LicenceVerified | None:
        held = file.held(self.number)
        held.must_be_valid_until(self.valid_until)
        if held.current in held.checked:
            return None
        held.must_not_be_entered_by(by)
        return LicenceVerified(
            number=self.number,
            verifier=by,
            method=self.method,
            valid_from=held.current.valid_from,
            valid_until=held.current.valid_until,
        )


class LicenceVerified(Event[LicenceFile]):
    number: str
    verifier: str
    method: str
    valid_from: date
    valid_until: date | None = None
    """The term that was checked, with all it says; a later one is checked again."""

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        held = file.licences[self.number]
        checked = held.checked | {held.current}
        verified = replace(held, checked=checked, version=held.version + 1)
        return file.with_held(self.number, verified)


class RevokeLicence(Command[LicenceFile]):
    """Record that a licence has been revoked, cancelled or withdrawn, and from which day on."""

    allowed = (Role.QUALITY, Role.MANAGER)

    number: LicenceNumber
    on: date
    """The first day on which it no longer counts."""
    reason: Text

    def decide(self, file: LicenceFile) -> LicenceRevoked | None:
        held = file.held(self.number)
        if held.revoked_on is not None and held.revoked_on <= self.on:
            return None
        return LicenceRevoked(
            number=self.number, kind=held.current.kind, on=self.on, reason=self.reason
        )


class LicenceRevoked(Event[LicenceFile]):
    number: str
    kind: LicenceKind
    on: date
    reason: str

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        held = file.licences[self.number]
        revoked = replace(held, revoked_on=self.on, version=held.version + 1)
        return file.with_held(self.number, revoked)


# First purchase from a supplier -------------------------------------------------------------------

LICENCES_TO_SUPPLY = (
    LicenceKind.OPERATING,
    LicenceKind.OPERATING_FILING,
    LicenceKind.PRODUCTION,
    LicenceKind.PRODUCTION_FILING,
)
SUPPLIER_FILE = (
    (LicenceKind.BUSINESS,),
    LICENCES_TO_SUPPLY,
    (LicenceKind.MANUFACTURER_AUTHORISATION,),
)
"""What must be on file before the first purchase, one of each line (GSP art. 53)."""


class ApproveSupplier(Command[LicenceFile]):
    """Approve a supplier whose file is complete and verified, before the first purchase (LIC-1)."""

    allowed = (Role.QUALITY,)

    remark: Text | None = None

    def decide(self, file: LicenceFile, by: str, at: datetime) -> SupplierApproved | None:
        if file.approved:
            return None
        seen = tuple(_first_good(file, kinds, day_in_china(at)) for kinds in SUPPLIER_FILE)
        return SupplierApproved(approver=by, remark=self.remark, seen=seen)


def _first_good(file: LicenceFile, kinds: tuple[LicenceKind, ...], day: date) -> LicenceSeen:
    for held in file.of_kind(*kinds):
        if held.verified_on(day):
            return held.seen(file.holder, day)
    names_en, names_zh = " or ".join(k.en for k in kinds), "或".join(k.zh for k in kinds)
    raise Refused(
        "supplier.file_incomplete",
        f"the file of {file.holder} has no verified {names_en} valid on {day}",
        f"{file.holder} 的档案中没有在 {day} 有效且已核实的{names_zh}",
    )


class SupplierApproved(Event[LicenceFile]):
    approver: str
    remark: str | None = None
    seen: tuple[LicenceSeen, ...]
    """What the approval was founded on."""

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        return replace(file, approved=True)


class WithdrawSupplierApproval(Command[LicenceFile]):
    """Take no more goods from a supplier until it is approved again."""

    allowed = (Role.QUALITY, Role.MANAGER)

    reason: Text

    def decide(self, file: LicenceFile) -> SupplierApprovalWithdrawn | None:
        return SupplierApprovalWithdrawn(reason=self.reason) if file.approved else None


class SupplierApprovalWithdrawn(Event[LicenceFile]):
    reason: str

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        return replace(file, approved=False)


class SetSalespersonPolicy(Command[LicenceFile]):
    """Say for all of us what follows when a salesperson is not authorised for a sale (LIC-5)."""

    allowed = (Role.QUALITY, Role.DIRECTOR)

    policy: GatePolicy

    def begins(self) -> LicenceFileId:
        return OWN

    def decide(self, file: LicenceFile) -> SalespersonPolicySet | None:
        if file.salesperson_policy is self.policy:
            return None
        return SalespersonPolicySet(policy=self.policy)


class SalespersonPolicySet(Event[LicenceFile]):
    policy: GatePolicy

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        return replace(file, holder="own", salesperson_policy=self.policy)


# What ends ----------------------------------------------------------------------------------------


class RemindOfLicence(Command[LicenceFile]):
    """Say that a licence ends soon, or has ended (GSP art. 51)."""

    allowed = ()

    number: LicenceNumber

    def decide(self, file: LicenceFile, at: datetime) -> LicenceExpiryNear | LicenceExpired | None:
        held = file.held(self.number)
        until = held.current.valid_until
        if until is None or held.revoked_on is not None:
            return None
        days = reminder(until, day_in_china(at), held.reminded)
        if days is None:
            return None
        said = {"number": self.number, "kind": held.current.kind, "valid_until": until}
        return LicenceExpiryNear(**said, days=days) if days else LicenceExpired(**said)


class LicenceExpiryNear(Event[LicenceFile]):
    number: str
    kind: LicenceKind
    valid_until: date
    days: int
    """The reminder this is: 90, 60, 30 or 7 days before the end."""

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        return file.with_held(self.number, replace(file.licences[self.number], reminded=self.days))


class LicenceExpired(Event[LicenceFile]):
    number: str
    kind: LicenceKind
    valid_until: date

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        return file.with_held(self.number, replace(file.licences[self.number], reminded=0))


class PlanRenewalWindow(Command[LicenceFile]):
    """Note between which days the renewal of our licence must be asked for (LIC-4)."""

    allowed = ()

    number: LicenceNumber
    window: RenewalWindow

    def decide(self, file: LicenceFile, at: datetime) -> LicenceRenewalWindowPlanned | None:
        held = file.held(self.number)
        ends = held.current.valid_until
        if held.window or held.revoked_on or ends != self.window.valid_until:
            return None
        if ends < day_in_china(at):
            return None
        return LicenceRenewalWindowPlanned(number=self.number, window=self.window)


class LicenceRenewalWindowPlanned(Event[LicenceFile]):
    number: str
    window: RenewalWindow

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        return file.with_held(self.number, replace(file.licences[self.number], window=self.window))


class OpenRenewalWindow(Command[LicenceFile]):
    """Say that the renewal of our licence can be asked for from today on (LIC-4)."""

    allowed = ()

    number: LicenceNumber
    window: RenewalWindow
    """As it is counted today."""

    def decide(
        self, file: LicenceFile, at: datetime
    ) -> LicenceRenewalWindowOpened | LicenceRenewalWindowClosed | None:
        held, day = file.held(self.number), day_in_china(at)
        planned = held.window is not None and held.current.valid_until == self.window.valid_until
        if not planned or held.revoked_on or day < self.window.opens_on:
            return None
        if day > self.window.closes_on:
            return LicenceRenewalWindowClosed(number=self.number, window=self.window)
        return LicenceRenewalWindowOpened(number=self.number, window=self.window)


class LicenceRenewalWindowOpened(Event[LicenceFile]):
    number: str
    window: RenewalWindow

    def apply(self, file: LicenceFile, /) -> LicenceFile:
        return file.with_held(self.number, replace(file.licences[self.number], window=self.window))


class CloseRenewalWindow(Command[LicenceFile]):
    """Say that the renewal of our licence was not recorded in time (LIC-4)."""

    allowed = ()

    number: LicenceNumber

    def decide(self, file: LicenceFile, at: datetime) -> LicenceRenewalWindowClosed | None:
        held = file.held(self.number)
        window = held.window
        if window is None or held.revoked_on or day_in_china(at) <= window.closes_on:
            return None
        return LicenceRenewalWindowClosed(number=self.number, window=window)


class LicenceRenewalWindowClosed(Event[LicenceFile]):
    number: str
    window: RenewalWindow
