"""What the value of a GS1 application identifier may contain: GS1's "linters".

Each rule answers None, or GS1's own name for what is wrong. They follow the reference routines of
the GS1 Barcode Syntax Dictionary, which give the rules of the GS1 General Specifications a name.
"""

import re
import string
from collections.abc import Callable
from itertools import count, islice

from medsales.domain.udi import gs1_code_lists as lists
from medsales.domain.udi.dates import calendar_day, full_year, is_digits
from medsales.domain.udi.findings import finding, shown
from medsales.domain.udi.gs1_coupons import coupon_code, coupon_positive_offer
from medsales.domain.udi.gs1_dictionary import Ai, Component
from medsales.domain.udi.value import Finding

Rule = Callable[[str], str | None]

ALPHANUMERIC = string.digits + string.ascii_uppercase + string.ascii_lowercase
CSET_82 = "".join(sorted("!\"%&'()*+,-./:;<=>?_" + ALPHANUMERIC))
CSET_39 = "#-/" + string.digits + string.ascii_uppercase
CSET_64 = "-_" + ALPHANUMERIC
CSET_32 = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
IBAN_LETTERS = string.digits + string.ascii_uppercase

SHORTEST_COMPANY_PREFIX = 4
BASE64_PADS = 2
BASE64_GROUP = 3
IBAN_WIDTHS = range(11, 35)
PAIRED_WIDTHS = range(2, 100)
COORDINATE_WIDTH = 10
ALPHA_MODULUS = 1021


def gs1_check_digit(body: str) -> str:
    """The check digit of a GTIN, SSCC or GLN without it (GS1 General Specifications 7.9.1)."""
    weighted = (int(digit) * (3, 1)[i % 2] for i, digit in enumerate(reversed(body)))
    return str(-sum(weighted) % 10)


def gs1_check_pair(body: str) -> str:
    """The two check characters of a GMN or MUDI (GS1 General Specifications 7.9.5)."""
    primes = islice((n for n in count(2) if all(n % d for d in range(2, n))), len(body))
    weights = (CSET_82.index(c) * p for c, p in zip(reversed(body), primes, strict=True))
    high, low = divmod(sum(weights) % ALPHA_MODULUS, len(CSET_32))
    return CSET_32[high] + CSET_32[low]


def only(allowed: str, otherwise: str) -> Rule:
    return lambda value: None if set(value) <= set(allowed) else otherwise


def one_of(allowed: frozenset[str], otherwise: str) -> Rule:
    return lambda value: None if value in allowed else otherwise


numeric = only(string.digits, "NON_DIGIT_CHARACTER")
cset82 = only(CSET_82, "INVALID_CSET82_CHARACTER")


def cset64(value: str) -> str | None:
    padded = len(value) - len(value.rstrip("="))
    if padded > BASE64_PADS or (padded and len(value) % BASE64_GROUP):
        return "INVALID_CSET64_PADDING"
    return only(CSET_64, "INVALID_CSET64_CHARACTER")(value.rstrip("="))


def csum(value: str) -> str | None:
    if not value:
        return "TOO_SHORT_FOR_CHECK_DIGIT"
    wrong = numeric(value)
    return wrong or (None if gs1_check_digit(value[:-1]) == value[-1] else "INCORRECT_CHECK_DIGIT")


def csumalpha(value: str) -> str | None:
    if len(value) < PAIRED_WIDTHS.start:
        return "TOO_SHORT_FOR_CHECK_PAIR"
    if len(value) not in PAIRED_WIDTHS:
        return "TOO_LONG_FOR_CHECK_PAIR_IMPLEMENTATION"
    wrong = cset82(value[:-2])
    return wrong or (None if gs1_check_pair(value[:-2]) == value[-2:] else "INCORRECT_CHECK_PAIR")


def gcppos1(value: str) -> str | None:
    """Begins with a company prefix, four digits at least; the register of them is not public."""
    if len(value) < SHORTEST_COMPANY_PREFIX:
        return "TOO_SHORT_FOR_GCP"
    return None if is_digits(value[:SHORTEST_COMPANY_PREFIX]) else "INVALID_GCP_PREFIX"


def gcppos2(value: str) -> str | None:
    return gcppos1(value[1:])


def calendar(value: str, year: int, *, month_alone: bool) -> str | None:
    month, day = int(value[-4:-2]), int(value[-2:])
    if calendar_day(year, month, 0) is None:
        return "ILLEGAL_MONTH"
    if day == 0:
        return None if month_alone else "ILLEGAL_DAY"
    return None if calendar_day(year, month, day) else "ILLEGAL_DAY"


def dated(width: int, *, month_alone: bool) -> Rule:
    def rule(value: str) -> str | None:
        if len(value) != width:
            return "DATE_TOO_SHORT" if len(value) < width else "DATE_TOO_LONG"
        if not is_digits(value):
            return "NON_DIGIT_CHARACTER"
        written = int(value[:-4])
        year = full_year(written) if width == len("YYMMDD") else written
        return calendar(value, year, month_alone=month_alone)

    return rule


def timed(unit: str, limit: int) -> Rule:
    def rule(value: str) -> str | None:
        if len(value) != len("00"):
            return f"{unit}_TOO_{'SHORT' if len(value) < len('00') else 'LONG'}"
        return numeric(value) or (None if int(value) < limit else f"ILLEGAL_{unit}")

    return rule


hour, minute, second = timed("HOUR", 24), timed("MINUTE", 60), timed("SECOND", 60)


def hhmi(value: str) -> str | None:
    if len(value) != len("HHMI"):
        return f"HOUR_WITH_MINUTE_TOO_{'SHORT' if len(value) < len('HHMI') else 'LONG'}"
    return hour(value[:2]) or minute(value[2:])


def coordinate(name: str, limit: int) -> Rule:
    def rule(value: str) -> str | None:
        if len(value) != COORDINATE_WIDTH:
            return f"{name}_INVALID_LENGTH"
        return numeric(value) or (None if int(value) <= limit else f"INVALID_{name}")

    return rule


def iban(value: str) -> str | None:
    """ISO 13616: country, check digits, account; the whole is 1 modulo 97."""
    if len(value) not in IBAN_WIDTHS:
        return f"IBAN_TOO_{'SHORT' if len(value) < IBAN_WIDTHS.start else 'LONG'}"
    if value[:2] not in lists.COUNTRY_LETTERS:
        return "ILLEGAL_IBAN_COUNTRY_CODE"
    if not set(value) <= set(IBAN_LETTERS):
        return "INVALID_IBAN_CHARACTER"
    number = "".join(str(IBAN_LETTERS.index(c)) for c in value[4:] + value[:4])
    return None if int(number) % 97 == 1 else "INCORRECT_IBAN_CHECKSUM"


def importer_index(value: str) -> str | None:
    if len(value) != 1:
        return "IMPORTER_IDX_MUST_BE_ONE_CHARACTER"
    return only(CSET_64, "INVALID_IMPORT_IDX_CHARACTER")(value)


def nonzero(value: str) -> str | None:
    return numeric(value) or (None if value.strip("0") else "ILLEGAL_ZERO_VALUE")


def no_zero_prefix(value: str) -> str | None:
    return numeric(value) or ("ILLEGAL_ZERO_PREFIX" if value.startswith("0") else None)


def repeated(character: str, otherwise: str) -> Rule:
    return lambda value: None if value and set(value) == {character} else otherwise


def has_non_digit(value: str) -> str | None:
    return "REQUIRES_NON_DIGIT_CHARACTER" if set(value) <= set(string.digits) else None


def percent_encoded(value: str) -> str | None:
    wrong = re.search(r"%(?![0-9A-Fa-f]{2})", value)
    return "INVALID_PERCENT_SEQUENCE" if wrong else None


def piece_of_total(value: str) -> str | None:
    if not set(value) <= set(string.digits):
        return "NON_DIGIT_CHARACTER"
    if not value or len(value) % 2:
        return "INVALID_LENGTH_FOR_PIECE_OF_TOTAL"
    piece, total = int(value[: len(value) // 2]), int(value[len(value) // 2 :])
    if not piece or not total:
        return "ZERO_TOTAL_PIECES" if piece else "ZERO_PIECE_NUMBER"
    return "PIECE_NUMBER_EXCEEDS_TOTAL" if piece > total else None


def position_in_sequence(value: str) -> str | None:
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", value)
    if not match:
        return "POSITION_IN_SEQUENCE_MALFORMED"
    if any(number.startswith("0") for number in match.groups()):
        return "ILLEGAL_ZERO_PREFIX"
    return "POSITION_EXCEEDS_END" if int(match[1]) > int(match[2]) else None


CHARSETS: dict[str, Rule] = {
    "N": numeric,
    "X": cset82,
    "Y": only(CSET_39, "INVALID_CSET39_CHARACTER"),
    "Z": cset64,
}

LINTERS: dict[str, Rule] = {
    "couponcode": coupon_code,
    "couponposoffer": coupon_positive_offer,
    "cset39": CHARSETS["Y"],
    "cset64": cset64,
    "cset82": cset82,
    "csetnumeric": numeric,
    "csum": csum,
    "csumalpha": csumalpha,
    "gcppos1": gcppos1,
    "gcppos2": gcppos2,
    "hasnondigit": has_non_digit,
    "hh": hour,
    "hhmi": hhmi,
    "hyphen": repeated("-", "NOT_HYPHEN"),
    "iban": iban,
    "importeridx": importer_index,
    "iso3166": one_of(lists.COUNTRY_NUMBERS, "NOT_ISO3166"),
    "iso3166999": one_of(lists.COUNTRY_NUMBERS | {"999"}, "NOT_ISO3166_OR_999"),
    "iso3166alpha2": one_of(lists.COUNTRY_LETTERS, "NOT_ISO3166_ALPHA2"),
    "iso4217": one_of(lists.CURRENCY_NUMBERS, "NOT_ISO4217"),
    "iso5218": one_of(frozenset("0129"), "INVALID_BIOLOGICAL_SEX_CODE"),
    "latitude": coordinate("LATITUDE", 1_800_000_000),
    "longitude": coordinate("LONGITUDE", 3_600_000_000),
    "mediatype": one_of(lists.MEDIA_TYPES, "INVALID_MEDIA_TYPE"),
    "mi": minute,
    "nonzero": nonzero,
    "nozeroprefix": no_zero_prefix,
    "packagetype": one_of(lists.PACKAGE_TYPES, "INVALID_PACKAGE_TYPE"),
    "pcenc": percent_encoded,
    "pieceoftotal": piece_of_total,
    "posinseqslash": position_in_sequence,
    "ss": second,
    "winding": one_of(frozenset("019"), "INVALID_WINDING_DIRECTION"),
    "yesno": one_of(frozenset("01"), "NOT_ZERO_OR_ONE"),
    "yymmd0": dated(6, month_alone=True),
    "yymmdd": dated(6, month_alone=False),
    "yyyymmd0": dated(8, month_alone=True),
    "yyyymmdd": dated(8, month_alone=False),
    "zero": repeated("0", "NOT_ZERO"),
}

FAMILIES = (
    ("check_digit", re.compile(r"INCORRECT_|TOO_\w+_FOR_CHECK")),
    ("character", re.compile(r"CHARACTER|CSET")),
    ("date", re.compile(r"DATE_TOO|ILLEGAL_(MONTH|DAY|HOUR|MINUTE|SECOND)|(HOUR|MINUTE|SECOND)_")),
)


def component_error(part: Component, value: str) -> str | None:
    """GS1's name for the first thing wrong with one component of a value."""
    rules = (CHARSETS[part.charset], *(LINTERS[name] for name in part.linters))
    return next((wrong for rule in rules if (wrong := rule(value))), None)


def content_error(ai: Ai, value: str) -> tuple[int, str | None]:
    """How much of the text this AI consumes, and GS1's name for what is wrong with it."""
    at = 0
    for part in ai.components:
        piece = value[at : at + part.high]
        if part.optional and not piece:
            continue
        if len(piece) < part.low:
            return at + len(piece), "TOO_SHORT"
        if wrong := component_error(part, piece):
            return min(len(value), ai.longest), wrong
        at += len(piece)
    return at, None


def content_finding(ai: Ai, value: str, wrong: str) -> Finding:
    what = f"({ai.code}) {shown(value)}"
    if wrong == "TOO_SHORT":
        return finding("too_short", what)
    family = next((name for name, names in FAMILIES if names.search(wrong)), "content")
    return finding(family, what, wrong.lower().replace("_", " "))
