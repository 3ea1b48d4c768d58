"""A unique device identifier: what was scanned, and what it says."""

from typing import Annotated

from pydantic import Field
from pydantic import StringConstraints as Strings

from medsales.domain.kernel import Term, Value
from medsales.domain.values import PartialDate

RAW_LIMIT = 500
QUANTITY_LIMIT = 99_999_999

Scanned = Annotated[str, Strings(max_length=RAW_LIMIT, pattern=r"^[^\x00]*$")]
"""What a barcode says: at most 500 characters, control characters allowed, NUL not."""


class Issuer(Term):
    """Whose rules the identifier follows."""

    GS1 = "gs1", "GS1"
    HIBCC = "hibcc", "HIBCC"
    ICCBBA = "iccbba", "ICCBBA"
    MA = "ma", "MA (中关村工信二维码)"
    AHM = "ahm", "AHM (阿里健康)"
    OTHER = "other", "未知"


class DiFormat(Term):
    """How a GTIN was issued; in 14 digits a GTIN-13 is still a GTIN-13."""

    GTIN_8 = "gtin_8", "GTIN-8"
    GTIN_12 = "gtin_12", "GTIN-12"
    GTIN_13 = "gtin_13", "GTIN-13"
    GTIN_14 = "gtin_14", "GTIN-14"


class Finding(Value):
    """Something odd about a barcode: a stable code, and a sentence in both languages."""

    code: str
    en: str
    zh: str


class Udi(Value):
    """What a scanner sent, verbatim, and what it means; upper and lower case are never folded."""

    raw: Scanned
    """Exactly what was scanned."""
    issuer: Issuer
    symbology: Scanned | None = None
    """The AIM identifier the scanner put in front, such as ]d2 (ISO/IEC 15424)."""
    di: Scanned | None = None
    """The device identifier (a GTIN always in 14 digits); none in a secondary barcode."""
    di_source_format: DiFormat | None = None
    lot: Scanned | None = None
    serial: Scanned | None = None
    manufactured: PartialDate | None = None
    expires: PartialDate | None = None
    donation_id: Scanned | None = None
    quantity: Annotated[int, Field(ge=0, le=QUANTITY_LIMIT)] | None = None
    """How many pieces the barcode says the package holds."""
    extra: dict[str, Scanned] = Field(default_factory=dict)
    """Everything else the barcode says, by its identifier (for GS1 the AI)."""
    warnings: tuple[Finding, ...] = ()

    def __hash__(self) -> int:
        return hash((self.raw, self.issuer))
