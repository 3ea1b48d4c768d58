"""Signed tree heads: who says when that the log had this size and this root, and what came before.

What is signed is plain text, a line for each field, so that it can be checked with any tool.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NOTHING = bytes(32)
"""What the first head has as the head before it."""


@dataclass(frozen=True, slots=True)
class Head:
    """The log as it was when it was sealed."""

    log: str
    """Which log: the same for ever, in whatever database it lies."""
    number: int
    size: int
    """So many facts: those at the positions 1 to `size`."""
    root: bytes
    sealed_at: str
    previous: bytes
    """The hash of the head before."""
    key: str
    signature: bytes = b""

    def signed(self) -> bytes:
        """The text that the signature is over."""
        lines = (self.log, self.number, self.size, self.root.hex(), self.sealed_at)
        return _text("medsales tree head 1", *lines, self.previous.hex(), self.key)

    def hash(self) -> bytes:
        return sha256(self.signed()).digest()

    def as_json(self) -> dict[str, Any]:
        return {
            "log": self.log,
            "number": self.number,
            "size": self.size,
            "root": self.root.hex(),
            "sealed_at": self.sealed_at,
            "previous": self.previous.hex(),
            "key": self.key,
            "signature": self.signature.hex(),
        }

    def line(self, company: str | None = None) -> bytes:
        """For a file of heads."""
        whose = {} if company is None else {"company": company}
        return json.dumps({**self.as_json(), **whose}).encode() + b"\n"


def head_from_json(given: Mapping[str, Any]) -> Head:
    """Raises KeyError, TypeError or ValueError for what is no head."""
    return Head(
        str(given["log"]),
        int(given["number"]),
        int(given["size"]),
        bytes.fromhex(given["root"]),
        str(given["sealed_at"]),
        bytes.fromhex(given["previous"]),
        str(given["key"]),
        bytes.fromhex(given["signature"]),
    )


def head_from_line(line: bytes) -> Head:
    """Raises ValueError for what is no head."""
    try:
        return head_from_json(json.loads(line))
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError("this is no head") from error


def company_in(line: bytes) -> str | None:
    """Whose log it is, where the line of a head says so; it is no part of what is signed."""
    company = json.loads(line).get("company")
    return None if company is None else str(company)


@dataclass(frozen=True, slots=True)
class Key:
    """Who signs: a public key, and the key before it that vouches for it."""

    id: str
    """The fingerprint: SHA-256 of the 32 bytes of the public key."""
    public: bytes
    made_at: str
    signed_by: str | None = None
    signature: bytes = b""
    """Of the key before, then of this one: who trusts it trusts those it took over from."""

    def signed(self, log: str) -> bytes:
        """The text by which the key before makes this one its successor, and this one agrees."""
        return _text("medsales seal key 1", log, self.id, self.made_at, self.signed_by or "")

    def follows(self, before: "Key", log: str) -> bool:
        """Whether both have signed that this key took over from that one."""
        text, middle = self.signed(log), len(self.signature) // 2
        by_it, by_this = self.signature[:middle], self.signature[middle:]
        return before.signs(text, by_it) and self.signs(text, by_this)

    def signs(self, text: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "public": self.public.hex(),
            "made_at": self.made_at,
            "signed_by": self.signed_by,
            "signature": self.signature.hex(),
        }


def key_from_json(given: Mapping[str, Any]) -> Key:
    """Raises KeyError, TypeError or ValueError for what is no key."""
    signed_by = given["signed_by"]
    return Key(
        str(given["id"]),
        bytes.fromhex(given["public"]),
        str(given["made_at"]),
        None if signed_by is None else str(signed_by),
        bytes.fromhex(given["signature"]),
    )


def fingerprint(public: bytes) -> str:
    return sha256(public).hexdigest()


def in_order(keys: Sequence[Key]) -> list[Key]:
    """Each key after the one that vouches for it; a key that nobody vouches for is left out."""
    after = {key.signed_by: key for key in keys}
    found: list[Key] = []
    signed_by: str | None = None
    while signed_by in after:
        found.append(after.pop(signed_by))
        signed_by = found[-1].id
    return found


def _text(*lines: str | int) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogatepass")
