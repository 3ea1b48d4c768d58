"""A device identifier on its own, as product registers list it: is it well formed?"""

import re

from medsales.domain.udi.findings import finding, shown
from medsales.domain.udi.gs1_content import gs1_check_digit
from medsales.domain.udi.value import Finding, Issuer

GTIN_LENGTHS = (8, 12, 13, 14)


HIBC = re.compile(r"[A-Z][A-Z0-9]{3}[A-Z0-9]{1,18}[0-9]")
"""Labeler code, product code, unit of measure; a register leaves the check character away."""


def check_di(di: str, issuer: Issuer) -> tuple[Finding, ...]:
    """What is wrong with a device identifier of this issuer.

    Only GS1's carries a check digit in a register; MA and AHM do not publish theirs (UDI-3).
    """
    if issuer is Issuer.HIBCC and not HIBC.fullmatch(di):
        return (finding("malformed", f"{shown(di)} is not a HIBC labeler, product and unit code"),)
    if issuer is not Issuer.GS1:
        return ()
    if not di.isdecimal() or len(di) not in GTIN_LENGTHS:
        return (finding("malformed", f"{shown(di)} is not a GTIN of 8, 12, 13 or 14 digits"),)
    if gs1_check_digit(di[:-1]) != di[-1]:
        return (finding("check_digit", shown(di)),)
    return ()
