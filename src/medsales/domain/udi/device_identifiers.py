"""A device identifier on its own, as product registers list it: is it well formed?"""

from medsales.domain.udi.findings import finding, shown
from medsales.domain.udi.gs1_content import gs1_check_digit
from medsales.domain.udi.value import Finding, Issuer

GTIN_LENGTHS = (8, 12, 13, 14)


def check_di(di: str, issuer: Issuer) -> tuple[Finding, ...]:
    """What is wrong with a device identifier of this issuer; only GS1 publishes a check digit.

    A HIBC identifier in a register carries no check character (ANSI/HIBC 2.6, 4.1), MA and AHM do
    not publish theirs.
    """
    if issuer is not Issuer.GS1:
        return ()
    if not di.isdecimal() or len(di) not in GTIN_LENGTHS:
        return (finding("malformed", f"{shown(di)} is not a GTIN of 8, 12, 13 or 14 digits"),)
    if gs1_check_digit(di[:-1]) != di[-1]:
        return (finding("check_digit", shown(di)),)
    return ()
