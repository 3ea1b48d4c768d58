"""What only a password opens; and what a row of the table is worth without one: nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.engine.purses import execute, query

from medsales.company import Company
from medsales.engine.credentials import CODE, METHOD, METHODS, Passwords

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it costs to derive a key is no concern here."""
    monkeypatch.setitem(METHODS, METHOD, (2**4, 8, 1))


@pytest.fixture
def passwords(company: Company) -> Passwords:
    found = Passwords(company.database)
    found.put_key("person:wang", "first", WORDS, KEY)
    return found


def raw(key: Ed25519PrivateKey | None) -> Any:
    return key and key.private_bytes_raw()


def test_the_password_opens_the_key_and_nothing_else_does(passwords: Passwords) -> None:
    assert raw(passwords.key("person:wang", "first", WORDS)) == b"k" * 32
    for wrong in ("", "correct horse", WORDS.upper(), f"{WORDS} ", "x" * 10_000):
        assert passwords.key("person:wang", "first", wrong) is None
    assert passwords.key("person:wang", "second", WORDS) is None
    assert passwords.key("person:chen", "first", WORDS) is None


def test_a_password_is_the_same_on_every_keyboard(passwords: Passwords) -> None:
    """RFC 8265: composed or not, full width or not."""
    passwords.put_key("person:zoe", "first", "Zo\u00e9 likes １２３", KEY)
    assert passwords.key("person:zoe", "first", "Zoe\u0301 likes 123")


def test_a_row_is_of_no_use_under_another_name(passwords: Passwords, company: Company) -> None:
    """Whoever can write to the table cannot lend a key to somebody else."""
    copied = "insert into credentials select %s, %s, method, salt, nonce, secret from credentials"
    for subject, name in (("person:chen", "first"), ("person:wang", CODE)):
        execute(company, f"{copied} where name = 'first' limit 1", subject, name)
    assert passwords.key("person:chen", "first", WORDS) is None
    assert not passwords.has_code("person:wang", WORDS)


def test_the_new_key_stands_beside_the_old_one_until_that_is_dropped(passwords: Passwords) -> None:
    passwords.put_key("person:wang", "second", "staple", OTHER)
    assert raw(passwords.key("person:wang", "first", WORDS)) == b"k" * 32
    assert raw(passwords.key("person:wang", "second", "staple")) == b"o" * 32
    passwords.drop("person:wang", "first", "never there")
    assert passwords.key("person:wang", "first", WORDS) is None
    assert raw(passwords.key("person:wang", "second", "staple")) == b"o" * 32


def test_a_code_is_good_for_its_time_and_the_last_one_counts(passwords: Passwords) -> None:
    soon, before = (datetime.now(UTC) + timedelta(hours=hours) for hours in (1, -1))
    passwords.put_code("person:wang", "abcd", soon)
    assert passwords.has_code("person:wang", "abcd")
    assert not passwords.has_code("person:wang", "efgh")
    passwords.put_code("person:wang", "efgh", soon)
    assert not passwords.has_code("person:wang", "abcd")
    passwords.put_code("person:wang", "ijkl", before)
    assert not passwords.has_code("person:wang", "ijkl")


def test_the_table_shows_neither_key_nor_password(passwords: Passwords, company: Company) -> None:
    passwords.put_code("person:wang", "abcd", datetime.now(UTC))
    (code, key) = query(company, "select * from credentials order by name")
    for row in (code, key):
        kept = b"".join(bytes(part) for part in row.values() if isinstance(part, bytes))
        assert b"k" * 32 not in kept
        assert WORDS.encode() not in kept
        assert b"abcd" not in kept
    assert (code["salt"], code["nonce"]) != (key["salt"], key["nonce"])
    assert key["method"] == METHOD
