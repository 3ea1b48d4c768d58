"""Unique device identifiers (UDI), parsed from what a scanner really sends."""

from medsales.domain.udi.dates import CENTURY_PIVOT
from medsales.domain.udi.device_identifiers import check_di
from medsales.domain.udi.gs1 import digital_link, gs1_element_string
from medsales.domain.udi.gs1_content import gs1_check_digit
from medsales.domain.udi.hibc import compressed_product_code, hibc_check_character
from medsales.domain.udi.scanning import ScannedUdi, parse_udi
from medsales.domain.udi.value import DiFormat, Finding, Issuer, Udi

__all__ = [
    "CENTURY_PIVOT",
    "DiFormat",
    "Finding",
    "Issuer",
    "ScannedUdi",
    "Udi",
    "check_di",
    "compressed_product_code",
    "digital_link",
    "gs1_check_digit",
    "gs1_element_string",
    "hibc_check_character",
    "parse_udi",
]
