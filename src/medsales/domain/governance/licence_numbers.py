"""The numbers on Chinese certificates, read: who gave them, when, and for which class of device.

Registration and filing numbers are formed as 令47 art. 115 and 116 say, those of operating and
production licences as the offices print them. A number that does not speak of 械 is foreign and
accepted as it is; one that does and is formed otherwise is refused with what is wrong about it.
"""

import re
from typing import NamedTuple

from medsales.domain.kernel import Refused, Term, Value

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
"""The short names of provinces, regions and cities of that rank."""
CENTRAL = "国"
ABOUT_DEVICES = "械"


class DeviceClass(Term):
    """Risk class of a medical device (条例 739, art. 6)."""

    I = "I", "第一类"  # noqa: E741 - the class is called so
    II = "II", "第二类"
    III = "III", "第三类"


CLASSES = {"1": DeviceClass.I, "2": DeviceClass.II, "3": DeviceClass.III}


class NumberKind(Term):
    """What a number stands on."""

    REGISTRATION = "registration", "注册证编号"
    FILING = "filing", "备案编号"
    OPERATING_LICENCE = "operating_licence", "经营许可证编号"
    OPERATING_FILING = "operating_filing", "经营备案编号"
    PRODUCTION_LICENCE = "production_licence", "生产许可证编号"
    PRODUCTION_FILING = "production_filing", "生产备案编号"
    LEGACY = "legacy", "旧式编号"
    FOREIGN = "foreign", "非中国编号"


class Origin(Term):
    """Where a registered device comes from: the 准, 进 or 许 of its number."""

    DOMESTIC = "domestic", "境内"
    IMPORTED = "imported", "进口"
    HONG_KONG_MACAO_TAIWAN = "hong_kong_macao_taiwan", "港澳台"


ORIGINS = {"准": Origin.DOMESTIC, "进": Origin.IMPORTED, "许": Origin.HONG_KONG_MACAO_TAIWAN}


class CertificateNumber(Value):
    """A number and what it says by itself."""

    text: str
    kind: NumberKind
    region: str | None = None
    """国, or the province, with the city where one is named."""
    origin: Origin | None = None
    year: int | None = None
    """Of the first registration: year and serial survive a renewal."""
    device_class: DeviceClass | None = None
    category: str | None = None
    """The two digits of the classification catalogue."""
    serial: str | None = None


class _Form(NamedTuple):
    """How numbers of one kind are written: by which sign they are known, and what follows it."""

    sign: re.Pattern[str]
    digits: re.Pattern[str]
    en: str
    zh: str


REGISTRATION = _Form(
    re.compile(r"械注(?P<origin>准|进|许)"),
    re.compile(r"(?P<year>\d{4})(?P<klass>[123])(?P<category>\d{2})(?P<serial>\d{4})", re.ASCII),
    "11 digits: the year, the class 1 to 3, two of the category, four of the serial",
    "11 位数字: 年份, 管理类别 1 至 3, 两位分类编码, 四位流水号",
)
FILING = _Form(
    re.compile(r"械备"),
    re.compile(r"(?P<year>\d{4})(?P<serial>\d{4,5})号?", re.ASCII),
    "8 or 9 digits: the year and the serial",
    "8 至 9 位数字: 年份和流水号",
)
BUSINESS = _Form(
    re.compile(r"(?:食药监|药监|市监)?械(?P<trade>经营|生产)(?P<form>许|备)"),
    FILING.digits,
    FILING.en,
    FILING.zh,
)
LEGACY = re.compile(
    r"[\u4e00-\u9fa5]{0,4}(?:食药监|药监|药管|食药管)?械\s?[(（](?:准|进|许|试)[)）]字?"
    r"\s?\d{4}\s?第\s?\d+\s?号?(?:[(（]?更[)）]?)?",
    re.ASCII,
)
"""As they were before 2014, `国食药监械(准)字2013第3460001号`: accepted, not taken apart."""
BUSINESS_KINDS = {
    ("经营", "许"): NumberKind.OPERATING_LICENCE,
    ("经营", "备"): NumberKind.OPERATING_FILING,
    ("生产", "许"): NumberKind.PRODUCTION_LICENCE,
    ("生产", "备"): NumberKind.PRODUCTION_FILING,
}
YEARS = range(2000, 2100)


def read_number(text: str) -> CertificateNumber:
    """What a certificate number says. Raises Refused where it is Chinese and malformed."""
    if ABOUT_DEVICES not in text:
        return CertificateNumber(text=text, kind=NumberKind.FOREIGN)
    if LEGACY.fullmatch(text):
        return CertificateNumber(text=text, kind=NumberKind.LEGACY)
    if found := _sign(text, REGISTRATION):
        return _registration(text, found)
    if found := _sign(text, FILING):
        return _filing(text, found)
    if found := _sign(text, BUSINESS):
        return _business(text, found)
    raise malformed(
        text,
        "after 械 comes 注准, 注进, 注许, 备, or 经营 or 生产 with 许 or 备",
        "“械”字之后应为注准, 注进, 注许, 备, 或经营/生产许, 经营/生产备",
    )


def _sign(text: str, form: _Form) -> re.Match[str] | None:
    return form.sign.search(text)


def _registration(text: str, sign: re.Match[str]) -> CertificateNumber:
    region = _region(text, sign, cities=0)
    said = _digits(text, sign, REGISTRATION)
    origin, klass = ORIGINS[sign["origin"]], CLASSES[said["klass"]]
    _must_be_given_there(text, region, origin, klass)
    return CertificateNumber(
        text=text,
        kind=NumberKind.REGISTRATION,
        region=region,
        origin=origin,
        year=int(said["year"]),
        device_class=klass,
        category=said["category"],
        serial=said["serial"],
    )


def _must_be_given_there(text: str, region: str, origin: Origin, klass: DeviceClass) -> None:
    """令47 art. 115: who registers which class; class I is filed, not registered."""
    if klass is DeviceClass.I:
        raise malformed(
            text, "class I is filed (械备), not registered", "第一类应为备案(械备), 而非注册"
        )
    central = origin is not Origin.DOMESTIC or klass is DeviceClass.III
    if central != (region == CENTRAL):
        raise malformed(
            text,
            f"class {klass} with 准, 进 or 许 as here is registered by"
            f" {'国' if central else 'a province'}, not by {region}",
            f"{origin.zh}{klass.zh}应由{'国家局' if central else '省局'}注册, 而非“{region}”",
        )


def _filing(text: str, sign: re.Match[str]) -> CertificateNumber:
    region = _region(text, sign, cities=2)
    said = _digits(text, sign, FILING)
    return CertificateNumber(
        text=text,
        kind=NumberKind.FILING,
        region=region,
        year=int(said["year"]),
        device_class=DeviceClass.I,
        serial=said["serial"],
    )


def _business(text: str, sign: re.Match[str]) -> CertificateNumber:
    region = _region(text, sign, cities=3)
    said = _digits(text, sign, BUSINESS)
    return CertificateNumber(
        text=text,
        kind=BUSINESS_KINDS[sign["trade"], sign["form"]],
        region=region,
        year=int(said["year"]),
        serial=said["serial"],
    )


def _region(text: str, sign: re.Match[str], cities: int) -> str:
    """What stands before the sign: 国 or a province, and for local offices the city."""
    region = text[: sign.start()]
    if region == CENTRAL:
        return region
    if not region or region[0] not in PROVINCES:
        raise malformed(
            text,
            f"it begins with 国 or the short name of a province, not with {region[:4]!r}",
            f"编号应以“国”或省级简称开头, 而非“{region[:4]}”",
        )
    if not re.fullmatch(rf".[\u4e00-\u9fa5]{{0,{cities}}}", region):
        raise malformed(
            text,
            f"{region!r} is not the short name of an office that gives such numbers",
            f"“{region}”不是发放此类编号的部门简称",
        )
    return region


def _digits(text: str, sign: re.Match[str], form: _Form) -> re.Match[str]:
    rest = text[sign.end() :]
    said = form.digits.fullmatch(rest)
    if said is None:
        raise malformed(
            text,
            f"after {sign[0]} come {form.en}; here is {rest!r}",
            f"“{sign[0]}”之后应为{form.zh}; 此处为“{rest}”",
        )
    if int(said["year"]) not in YEARS:
        raise malformed(text, f"{said['year']} is not a year", f"{said['year']} 不是有效年份")
    return said


def malformed(text: str, en: str, zh: str) -> Refused:
    return Refused(
        "certificate.number_malformed",
        f"{text} is no valid Chinese certificate number: {en}",
        f"{text} 不是有效的编号: {zh}",
    )
