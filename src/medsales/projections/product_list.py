"""Products, and which identifier on which package leads to which of them."""

from datetime import date

from medsales.domain.kernel import Value
from medsales.domain.stock import product
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.projection import Change, Changes, Projection, Row, on


class ProductName(Row, key=("product",)):
    """A product, as lists show it."""

    product: str
    di: str = ""
    name: str = ""
    model: str = ""
    registrant: str = ""
    device_class: str | None = None
    tracked_by: str = ""
    implantable: bool = False
    family: str | None = None
    """What it is priced and authorised with."""
    classification: str | None = None
    """Its code in the device catalogue."""
    approved_by: str | None = None
    """Who approved it before its first purchase (首营品种)."""
    warnings: tuple[str, ...] = ()
    """What was odd about its identifiers when it was taken over."""


class ProductPackage(Row, key=("di",), indexes=(("product",),)):
    """A package level of a product, by the identifier on it."""

    di: str
    product: str = ""
    level: str = ""
    contains: str | None = None
    quantity: int = 1


class ProductRegistration(Row, key=("product", "position"), ledger=True):
    """A registration certificate of a product."""

    product: str
    position: int
    number: str = ""
    valid_from: date = date.min
    valid_until: date | None = None


class ProductRevocation(Row, key=("product", "number")):
    """A registration that no longer counts, and from when on."""

    product: str
    number: str
    revoked_on: date = date.min
    reason: str = ""


class ProductList(Projection):
    rows = (ProductName, ProductPackage, ProductRegistration, ProductRevocation)

    @on(product.ProductRegistered)
    def registered(self, fact: Fact[product.ProductRegistered]) -> Changes:
        event = fact.event
        yield ProductName.put(
            product=fact.subject,
            di=event.di,
            name=event.name,
            model=event.model,
            registrant=event.registrant,
            device_class=event.device_class,
            tracked_by=event.tracked_by,
            implantable=event.implantable,
            warnings=event.warnings,
        )
        for package in event.packages:
            yield packaged(fact.subject, package)

    @on(product.PackagingAdded)
    def packaging_added(self, fact: Fact[product.PackagingAdded]) -> Changes:
        yield packaged(fact.subject, fact.event.packaging)

    @on(product.ProductClassified)
    def classified(self, fact: Fact[product.ProductClassified]) -> Changes:
        event = fact.event
        yield ProductName.set(
            fact.subject,
            family=event.family,
            classification=event.classification,
            device_class=event.device_class,
        )

    @on(product.ProductApproved)
    def approved(self, fact: Fact[product.ProductApproved]) -> Changes:
        yield ProductName.set(fact.subject, approved_by=fact.event.approver)

    @on(product.ProductApprovalWithdrawn)
    def approval_withdrawn(self, fact: Fact[product.ProductApprovalWithdrawn]) -> Changes:
        yield ProductName.set(fact.subject, approved_by=None)

    @on(product.RegistrationRevoked)
    def registration_revoked(self, fact: Fact[product.RegistrationRevoked]) -> Changes:
        event = fact.event
        yield ProductRevocation.put(
            product=fact.subject, number=event.number, revoked_on=event.on, reason=event.reason
        )

    @on(product.RegistrationRecorded)
    def registration_recorded(self, fact: Fact[product.RegistrationRecorded]) -> Changes:
        registration = fact.event.registration
        yield ProductRegistration.put(
            product=fact.subject,
            position=fact.position,
            number=registration.number,
            valid_from=registration.valid_from,
            valid_until=registration.valid_until,
        )


def packaged(id: str, package: product.Packaging) -> Change:
    return ProductPackage.put(
        di=package.di,
        product=id,
        level=package.level,
        contains=package.contains,
        quantity=package.quantity,
    )


class ProductCard(Value):
    """A product with its packages and certificates."""

    product: ProductName
    packages: tuple[ProductPackage, ...]
    registrations: tuple[ProductRegistration, ...]
    revocations: tuple[ProductRevocation, ...]


def product_card(db: Db, id: str) -> ProductCard | None:
    named = db.execute("select * from product_name where product = %s", (id,)).fetchone()
    if named is None:
        return None
    packages = db.execute(
        "select * from product_package where product = %s order by di", (id,)
    ).fetchall()
    held = db.execute(
        "select * from product_registration where product = %s order by position", (id,)
    ).fetchall()
    revoked = db.execute(
        "select * from product_revocation where product = %s order by number", (id,)
    ).fetchall()
    return ProductCard(
        product=ProductName(**named),
        packages=tuple(ProductPackage(**row) for row in packages),
        registrations=tuple(ProductRegistration(**row) for row in held),
        revocations=tuple(ProductRevocation(**row) for row in revoked),
    )


def product_bearing(db: Db, di: str) -> ProductPackage | None:
    """The package level that a device identifier names."""
    row = db.execute("select * from product_package where di = %s", (di,)).fetchone()
    return ProductPackage(**row) if row else None


PRODUCTS = """
    select * from product_name where %(like)s::text is null
        or concat_ws(' ', name, model, registrant, di) ilike %(like)s
"""
"""Products whose name, model, registrant or identifier contains a text."""
