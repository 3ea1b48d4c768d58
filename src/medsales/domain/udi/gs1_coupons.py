"""The content of North American coupons, AIs 8110 and 8112, field by field.

Devices carry no coupons; the rules are here because the dictionary names them.
"""

from collections.abc import Callable

from medsales.domain.udi.dates import calendar_day, full_year, is_digits

LONGER = 6
"""A company prefix and a serial number are this much longer than their length digit says."""


class Broken(Exception):
    """The coupon stops making sense here; carries GS1's name for it."""


class Coupon:
    """Reads the digits of a coupon from left to right."""

    def __init__(self, digits: str) -> None:
        self.rest = digits

    def take(self, width: int, too_short: str) -> str:
        if len(self.rest) < width:
            raise Broken(too_short)
        taken, self.rest = self.rest[:width], self.rest[width:]
        return taken

    def choice(self, allowed: str, missing: str, invalid: str) -> str:
        digit = self.take(1, missing)
        if digit not in allowed:
            raise Broken(invalid)
        return digit

    def sized(self, field: str, allowed: str, longer: int = 0) -> str:
        """A field behind its length digit; 9 says that the field is left out."""
        size = self.choice(allowed, f"COUPON_MISSING_{field}_VLI", f"COUPON_INVALID_{field}_LENGTH")
        left_out = size == "9" and not allowed.startswith("012345678")
        width = 0 if left_out else int(size) + longer
        return self.take(width, f"COUPON_TRUNCATED_{field}")

    def option(self, digit: str) -> bool:
        found = self.rest.startswith(digit)
        self.rest = self.rest[found:]
        return found

    def day(self, field: str, invalid: str) -> str:
        text = self.take(6, f"COUPON_TOO_SHORT_FOR_{field}_DATE")
        year, month, day = full_year(int(text[:2])), int(text[2:4]), int(text[4:])
        if not day or calendar_day(year, month, day) is None:
            raise Broken(invalid)
        return text

    def purchase(self, which: str) -> None:
        field = f"{which}_PURCHASE_REQUIREMENT"
        self.sized(field, "12345")
        self.choice("012349", f"COUPON_MISSING_{field}_CODE", f"COUPON_INVALID_{field}_CODE")
        self.take(3, f"COUPON_TRUNCATED_{which}_PURCHASE_FAMILY_CODE")

    def end(self) -> None:
        if self.rest:
            raise Broken("COUPON_EXCESS_DATA")


def first_purchase(coupon: Coupon) -> None:
    coupon.sized("GCP", "0123456", LONGER)
    coupon.take(6, "COUPON_TRUNCATED_OFFER_CODE")
    coupon.sized("SAVE_VALUE", "12345")
    coupon.purchase("1ST")


def further_purchases(coupon: Coupon) -> None:
    if coupon.option("1"):
        rules = "ADDITIONAL_PURCHASE_RULES_CODE"
        coupon.choice("0123", f"COUPON_MISSING_{rules}", f"COUPON_INVALID_{rules}")
        coupon.purchase("2ND")
        coupon.sized("2ND_PURCHASE_GCP", "01234569", LONGER)
    if coupon.option("2"):
        coupon.purchase("3RD")
        coupon.sized("3RD_PURCHASE_GCP", "01234569", LONGER)


def validity(coupon: Coupon) -> None:
    # The misspelling is GS1's.
    until = coupon.option("3") and coupon.day("EXPIRATION", "COUPON_INVALID_EXIPIRATION_DATE")
    since = coupon.option("4") and coupon.day("START", "COUPON_INVALID_START_DATE")
    if until and since and since > until:
        raise Broken("COUPON_EXPIRATION_BEFORE_START")


def serial_and_retailer(coupon: Coupon) -> None:
    if coupon.option("5"):
        coupon.sized("SERIAL_NUMBER", "0123456789", LONGER)
    if coupon.option("6"):
        coupon.sized("RETAILER_GCP_OR_GLN", "1234567", LONGER)


def flags(coupon: Coupon) -> None:
    if not coupon.option("9"):
        return
    for allowed, field in (
        ("01256", "SAVE_VALUE_CODE"),
        ("012", "SAVE_VALUE_APPLIES_TO_ITEM"),
        ("0123456789", "STORE_COUPON_FLAG"),
        ("01", "DONT_MULTIPLY_FLAG"),
    ):
        coupon.choice(allowed, f"COUPON_MISSING_{field}", f"COUPON_INVALID_{field}")


def positive_offer(coupon: Coupon) -> None:
    coupon.choice("01", "COUPON_MISSING_FORMAT_CODE", "COUPON_INVALID_FORMAT_CODE")
    coupon.sized("FUNDER", "0123456", LONGER)
    coupon.take(6, "COUPON_TRUNCATED_OFFER_CODE")
    coupon.sized("SERIAL_NUMBER", "0123456789", LONGER)


ORIGINAL = (first_purchase, further_purchases, validity, serial_and_retailer, flags)


def coupon_code(value: str) -> str | None:
    """AI 8110: what is wrong, by GS1's name, or None."""
    return broken(value, ORIGINAL)


def coupon_positive_offer(value: str) -> str | None:
    """AI 8112: what is wrong, by GS1's name, or None."""
    return broken(value, (positive_offer,))


def broken(value: str, parts: tuple[Callable[[Coupon], None], ...]) -> str | None:
    if value and not is_digits(value):
        return "NON_DIGIT_CHARACTER"
    coupon = Coupon(value)
    try:
        for part in parts:
            part(coupon)
        coupon.end()
    except Broken as found:
        return str(found)
    return None
