"""Private keys that only a password opens; and the port for stronger proofs than passwords.

A secret is no fact: it is replaced, and no command, log or export ever holds it. What the log says
is which public key counts. So a new key is put beside the old one first, then the fact is appended,
then the old one goes: stopped anywhere between, the password that counts still opens the key that
counts.
"""

from dataclasses import dataclass
from datetime import datetime
from secrets import token_bytes
from typing import Protocol
from unicodedata import normalize

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from medsales.engine.database import Database

CODE = "code"
"""The name of what opens nothing, and is good for setting a password once."""
METHODS = {
    # 32 MiB and about a fifth of a second: OWASP's least for scrypt. A stronger one gets a new
    # name, and what is stored keeps the one it was made with.
    "scrypt-15-8-3": (2**15, 8, 3),
}
METHOD = "scrypt-15-8-3"


class Proving(Protocol):
    """How somebody proves who he is: a password now; a token or a fingerprint may come."""

    @property
    def method(self) -> str:
        """As the log names it."""

    def key(self, subject: str, name: str, proof: str) -> Ed25519PrivateKey | None:
        """The private key of this name, if the proof is good. Takes its time."""


@dataclass(frozen=True)
class Passwords:
    """Keys in the table `credentials`, each encrypted under a key derived from the password."""

    database: Database
    method: str = "password"

    def key(self, subject: str, name: str, proof: str) -> Ed25519PrivateKey | None:
        secret = self._opened(subject, name, proof)
        return Ed25519PrivateKey.from_private_bytes(secret) if secret else None

    def has_code(self, subject: str, code: str) -> bool:
        return self._opened(subject, CODE, code) is not None

    def put_key(self, subject: str, name: str, password: str, key: Ed25519PrivateKey) -> None:
        self._put(subject, name, password, key.private_bytes_raw())

    def put_code(self, subject: str, code: str, expires_at: datetime) -> None:
        self._put(subject, CODE, code, b"", expires_at)

    def drop(self, subject: str, *names: str) -> None:
        """They are gone for good."""
        with self.database.writing() as db:
            db.execute(
                "delete from credentials where subject = %s and name = any(%s)",
                (subject, list(names)),
            )

    def _opened(self, subject: str, name: str, password: str) -> bytes | None:
        with self.database.cursor() as db:
            row = db.execute(
                "select * from credentials where subject = %s and name = %s"
                " and (expires_at is null or expires_at > clock_timestamp())",
                (subject, name),
            ).fetchone()
        if row is None:
            return None
        cipher = AESGCM(_derived(password, bytes(row["salt"]), row["method"]))
        try:
            return cipher.decrypt(bytes(row["nonce"]), bytes(row["secret"]), _bound(subject, name))
        except InvalidTag:
            return None

    def _put(
        self,
        subject: str,
        name: str,
        password: str,
        secret: bytes,
        expires_at: datetime | None = None,
    ) -> None:
        salt, nonce = token_bytes(16), token_bytes(12)
        cipher = AESGCM(_derived(password, salt, METHOD))
        hidden = cipher.encrypt(nonce, secret, _bound(subject, name))
        with self.database.writing() as db:
            db.execute(
                "insert into credentials (subject, name, method, salt, nonce, secret, expires_at)"
                " values (%s, %s, %s, %s, %s, %s, %s) on conflict (subject, name) do update set"
                " (method, salt, nonce, secret, expires_at, set_at) = (excluded.method,"
                " excluded.salt, excluded.nonce, excluded.secret, excluded.expires_at,"
                " clock_timestamp())",
                (subject, name, METHOD, salt, nonce, hidden, expires_at),
            )


def _derived(password: str, salt: bytes, method: str) -> bytes:
    n, r, p = METHODS[method]
    # The same password however the keyboard composes its letters (RFC 8265).
    text = normalize("NFKC", password).encode()
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(text)


def _bound(subject: str, name: str) -> bytes:
    """So that a row is of no use for anybody else."""
    return f"{subject}\n{name}".encode()
