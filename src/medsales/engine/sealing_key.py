"""The private key that signs tree heads: a file for its owner only, made once."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from medsales.audit.heads import fingerprint


@dataclass(frozen=True, slots=True)
class SealingKey:
    """Who holds it can sign in the name of this installation."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def id(self) -> str:
        return fingerprint(self.public)

    def sign(self, text: bytes) -> bytes:
        return self.private.sign(text)


def key_in(path: Path) -> SealingKey:
    """The key in this file, which is made if it is missing. Raises ValueError with a sentence."""
    if not path.exists():
        _make(path)
    return existing(path)


def existing(path: Path) -> SealingKey:
    """Raises ValueError with a sentence, or OSError."""
    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} holds no private key that can be read") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError(f"{path} holds a key of another kind; Ed25519 is needed")  # noqa: TRY004
    return SealingKey(private)


def next_to(path: Path) -> Path:
    """Where the next key waits until every log knows it."""
    return path.with_name(f"{path.name}.next")


def _make(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent) as whole:  # for its owner only
        whole.write(pem)
        whole.flush()
        os.fsync(whole.fileno())
        with suppress(FileExistsError):
            os.link(whole.name, path)  # nobody ever reads half of it
