"""What exactly was approved or signed: the canonical bytes of a content, and their hash."""

import unicodedata
from hashlib import sha256
from typing import Any

import rfc8785

from medsales.domain.kernel import Value


def canonical(content: Value) -> bytes:
    """The bytes of RFC 8785: amounts are texts, texts are NFC, so that equal contents are equal.

    Two contents that mean the same number in another writing (`1.0`, `1.00`) are two contents.
    """
    return rfc8785.dumps(_normal(content.model_dump(mode="json")))


def content_hash(content: Value) -> str:
    """`sha256:` and the hash of the canonical bytes."""
    return f"sha256:{sha256(canonical(content)).hexdigest()}"


def _normal(part: Any) -> Any:
    if isinstance(part, str):
        return unicodedata.normalize("NFC", part)
    if isinstance(part, dict):
        return {_normal(key): _normal(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_normal(each) for each in part]
    return part
