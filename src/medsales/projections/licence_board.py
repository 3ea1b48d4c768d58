"""Who holds which licence until when, and what has been said about what runs out."""

from datetime import date, datetime
from typing import Any

from medsales.domain.governance import licence_file as licence
from medsales.domain.governance.licence_file import Licence
from medsales.domain.kernel import Value
from medsales.domain.stock import device_unit as unit
from medsales.domain.stock import lot, product
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Change, Changes, Projection, Row, on


class LicenceLine(Row, key=("file", "number"), indexes=(("valid_until",),)):
    """A licence or authorisation of somebody, in its current term."""

    file: str
    number: str
    holder: str = ""
    """`own`, a customer, a supplier or a person."""
    kind: str = ""
    issuer: str = ""
    classes: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    """An empty list sets no bounds."""
    salesperson: str | None = None
    valid_from: date = date.min
    valid_until: date | None = None
    evidence: str | None = None
    verified_by: str | None = None
    """Who checked this term."""
    verified_how: str | None = None
    revoked_on: date | None = None
    revoked_for: str | None = None
    renewal_opens_on: date | None = None
    renewal_closes_on: date | None = None
    """Between these days the renewal of our own licence must be asked for (LIC-4)."""


class SupplierStanding(Row, key=("file",)):
    """Whether goods may be taken from a supplier (首营企业)."""

    file: str
    approved: bool = False
    approved_by: str | None = None
    approved_at: datetime | None = None
    withdrawn_for: str | None = None


class Announcement(Row, key=("position",), ledger=True):
    """Something runs out, or has: a licence, a registration, a lot or a unit."""

    position: int
    subject: str = ""
    """The licence file, product, lot or unit."""
    event: str = ""
    number: str = ""
    """Of the licence or certificate."""
    valid_until: date = date.max
    days: int = 0
    """Which reminder it is: so many days before the end; 0 when it is over."""
    effective_at: datetime = BEGINNING


class LicenceBoard(Projection):
    rows = (LicenceLine, SupplierStanding, Announcement)

    @on(licence.LicenceRecorded)
    def recorded(self, fact: Fact[licence.LicenceRecorded]) -> Changes:
        held = fact.event.licence
        yield LicenceLine.put(
            file=fact.subject, number=held.number, holder=fact.event.holder, **shown(held)
        )

    @on(licence.LicenceRenewed)
    def renewed(self, fact: Fact[licence.LicenceRenewed]) -> Changes:
        held = fact.event.licence
        fresh = {"verified_by": None, "verified_how": None}
        window = {"renewal_opens_on": None, "renewal_closes_on": None}
        yield LicenceLine.set(fact.subject, held.number, **shown(held), **fresh, **window)

    @on(licence.LicenceVerified)
    def verified(self, fact: Fact[licence.LicenceVerified]) -> Changes:
        event = fact.event
        said = {"verified_by": event.verifier, "verified_how": event.method}
        yield LicenceLine.set(fact.subject, event.number, **said)

    @on(licence.LicenceRevoked)
    def revoked(self, fact: Fact[licence.LicenceRevoked]) -> Changes:
        said = {"revoked_on": fact.event.on, "revoked_for": fact.event.reason}
        yield LicenceLine.set(fact.subject, fact.event.number, **said)

    @on(licence.SupplierApproved)
    def supplier_approved(self, fact: Fact[licence.SupplierApproved]) -> Changes:
        yield SupplierStanding.put(
            file=fact.subject,
            approved=True,
            approved_by=fact.event.approver,
            approved_at=fact.effective_at,
            withdrawn_for=None,
        )

    @on(licence.SupplierApprovalWithdrawn)
    def approval_withdrawn(self, fact: Fact[licence.SupplierApprovalWithdrawn]) -> Changes:
        yield SupplierStanding.set(fact.subject, approved=False, withdrawn_for=fact.event.reason)

    @on(licence.LicenceRenewalWindowPlanned)
    def renewal_planned(self, fact: Fact[licence.LicenceRenewalWindowPlanned]) -> Changes:
        yield renewal(fact)

    @on(licence.LicenceRenewalWindowOpened)
    def renewal_opened(self, fact: Fact[licence.LicenceRenewalWindowOpened]) -> Changes:
        yield renewal(fact)
        yield announced(fact, fact.event.window.valid_until, number=fact.event.number)

    @on(licence.LicenceRenewalWindowClosed)
    def renewal_closed(self, fact: Fact[licence.LicenceRenewalWindowClosed]) -> Changes:
        yield announced(fact, fact.event.window.valid_until, number=fact.event.number)

    @on(licence.LicenceExpiryNear, product.RegistrationExpiryNear)
    def near_expiry(self, fact: Fact[Any]) -> Changes:
        event = fact.event
        yield announced(fact, event.valid_until, number=event.number, days=event.days)

    @on(licence.LicenceExpired, product.RegistrationExpired)
    def expired(self, fact: Fact[Any]) -> Changes:
        yield announced(fact, fact.event.valid_until, number=fact.event.number)

    @on(lot.LotNearExpiry, unit.UnitNearExpiry)
    def goods_near_expiry(self, fact: Fact[Any]) -> Changes:
        yield announced(fact, fact.event.expires.last_day, days=lot.NEAR_EXPIRY)

    @on(lot.LotExpired, unit.UnitExpired)
    def goods_expired(self, fact: Fact[Any]) -> Changes:
        yield announced(fact, fact.event.expires.last_day)


def shown(held: Licence) -> dict[str, Any]:
    return {
        "kind": held.kind,
        "issuer": held.issuer,
        "classes": tuple(str(each) for each in held.scope.classes),
        "codes": held.scope.codes,
        "products": tuple(str(each) for each in held.scope.products),
        "families": held.scope.families,
        "regions": held.scope.regions,
        "salesperson": held.salesperson,
        "valid_from": held.valid_from,
        "valid_until": held.valid_until,
        "evidence": held.evidence,
    }


def renewal(fact: Fact[Any]) -> Change:
    window = fact.event.window
    days = {"renewal_opens_on": window.opens_on, "renewal_closes_on": window.closes_on}
    return LicenceLine.set(fact.subject, fact.event.number, **days)


def announced(fact: Fact[Any], until: date, *, number: str = "", days: int = 0) -> Change:
    return Announcement.put(
        position=fact.position,
        subject=fact.subject,
        event=fact.name,
        number=number,
        valid_until=until,
        days=days,
        effective_at=fact.effective_at,
    )


class LicenceFileSeen(Value):
    """All papers of one holder."""

    file: str
    licences: tuple[LicenceLine, ...]
    supplier: SupplierStanding | None
    """None for whom nobody has approved as a supplier yet."""


def licence_file_seen(db: Db, id: str) -> LicenceFileSeen | None:
    lines = db.execute(
        "select * from licence_line where file = %s order by number", (id,)
    ).fetchall()
    standing = db.execute("select * from supplier_standing where file = %s", (id,)).fetchone()
    if not lines and standing is None:
        return None
    return LicenceFileSeen(
        file=id,
        licences=tuple(LicenceLine(**line) for line in lines),
        supplier=SupplierStanding(**standing) if standing else None,
    )


LICENCES = """
    select * from licence_line where (%(file)s::text is null or file = %(file)s)
        and (%(kind_of)s::text is null or kind = %(kind_of)s)
        and (%(expiring_before)s::date is null
            or revoked_on is null and valid_until < %(expiring_before)s)
"""
"""Licences of one holder or all, of one kind or any, and those that end before a day."""
ANNOUNCEMENTS = """
    select * from announcement where (%(subject)s::text is null or subject = %(subject)s)
"""
"""What runs out, in the order in which it was said."""
