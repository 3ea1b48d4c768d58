"""Examples of licences: ours, a partner's, a hospital's, a supplier's and a salesperson's."""

from datetime import date

from medsales.domain.governance.licence import GatedProduct, LicenceFile
from medsales.domain.governance.licence_file import (
    Licence,
    LicenceKind,
    LicenceRecorded,
    LicenceScope,
    LicenceVerified,
)
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.ids import ProductId
from medsales.domain.kernel import Event

DAY = date(2026, 6, 1)
ENDS = date(2029, 12, 31)
STENT = GatedProduct(
    product=ProductId.of("06901234567892"),
    device_class=DeviceClass.III,
    classification="13-07-01",
    family="stents",
)
PUMP = GatedProduct(
    product=ProductId.of("06901234567808"), device_class=DeviceClass.II, classification="14-02-01"
)
PLASTER = GatedProduct(product=ProductId.of("06901234567815"), device_class=DeviceClass.I)
UNKNOWN = GatedProduct(product=ProductId.of("06901234567822"))

OPERATING = Licence(
    kind=LicenceKind.OPERATING,
    number="浙杭药监械经营许20200123",
    scope=LicenceScope(codes=("13-07", "14")),
    valid_from=date(2025, 1, 1),
    valid_until=ENDS,
    issuer="杭州市市场监督管理局",
)
FILING = OPERATING.model_copy(
    update={
        "kind": LicenceKind.OPERATING_FILING,
        "number": "浙杭药监械经营备20200456",
        "scope": LicenceScope(classes=(DeviceClass.II,)),
        "valid_until": None,
    }
)
PRACTICE = Licence(
    kind=LicenceKind.PRACTICE,
    number="PDY00012-3",
    valid_from=date(2020, 1, 1),
    valid_until=date(2034, 12, 31),
    issuer="浙江省卫生健康委员会",
)
BUSINESS = Licence(
    kind=LicenceKind.BUSINESS,
    number="91330000470003281C",
    valid_from=date(2010, 1, 1),
    issuer="杭州市市场监督管理局",
)
LETTER = Licence(
    kind=LicenceKind.MANUFACTURER_AUTHORISATION,
    number="SQ-2026-7",
    scope=LicenceScope(products=(STENT.product,), regions=("ZJ",)),
    valid_from=date(2026, 1, 1),
    valid_until=date(2026, 12, 31),
    issuer="Kingfisher 翠鸟",
)
NEED = Licence(
    kind=LicenceKind.STATEMENT_OF_NEED,
    number="NEED-1",
    valid_from=date(2026, 5, 1),
    issuer="浙江大学",
)
SALES = LETTER.model_copy(
    update={"kind": LicenceKind.SALESPERSON_AUTHORISATION, "number": "XS-2026-1"}
)
TERRITORY = LETTER.model_copy(
    update={"kind": LicenceKind.DISTRIBUTION_AUTHORISATION, "number": "JX-2026-1"}
)


def recorded(holder: str, *licences: Licence) -> tuple[Event[LicenceFile], ...]:
    return tuple(LicenceRecorded(holder=holder, licence=licence) for licence in licences)


def checked(licence: Licence) -> LicenceVerified:
    return LicenceVerified(
        number=licence.number,
        verifier="li",
        method="nmpa.gov.cn",
        valid_from=licence.valid_from,
        valid_until=licence.valid_until,
    )


def file(holder: str, *licences: Licence, verified: bool = True) -> LicenceFile:
    checks = tuple(map(checked, licences)) if verified else ()
    return LicenceFile().after([*recorded(holder, *licences), *checks])
