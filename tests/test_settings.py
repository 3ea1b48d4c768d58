"""What an operator sets is either good or refused; nothing set is good."""

import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medsales.company import sealing
from medsales.engine.seal import Sealing
from medsales.settings import Settings


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("port", ["0", "65535"], ["-1", "65536", "http"]),
        ("connections", ["4", "100"], ["3", "0", "-1"]),
        ("wait", ["0", "0.5", "60"], ["-1", "61", "nan", "inf", "-inf"]),
        ("seal_every", ["0.1", "86400"], ["0", "-1", "86401", "nan", "inf"]),
    ],
)
def test_a_number_has_its_bounds(
    monkeypatch: pytest.MonkeyPatch, name: str, good: list[str], bad: list[str]
) -> None:
    for value in good:
        monkeypatch.setenv(f"MEDSALES_{name.upper()}", value)
        found: Any = getattr(Settings(), name)
        assert found == float(value)
    for value in bad:
        monkeypatch.setenv(f"MEDSALES_{name.upper()}", value)
        with pytest.raises(ValidationError, match=name):
            Settings()


def test_a_secret_is_made_once_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDSALES_SECRET", raising=False)
    settings = Settings(home=tmp_path / "home")
    assert len(made := settings.secret()) >= 32
    assert settings.secret() == made
    assert stat.S_IMODE((settings.home / "secret").stat().st_mode) == 0o600


def test_a_secret_that_is_there_is_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDSALES_SECRET", raising=False)
    monkeypatch.setattr("medsales.settings.NamedTemporaryFile", None)
    (tmp_path / "secret").write_text("kept since the first start of this machine")
    assert Settings(home=tmp_path).secret() == "kept since the first start of this machine"


def test_a_given_secret_is_long_enough_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSALES_SECRET", "s" * 32)
    assert Settings().secret() == "s" * 32
    monkeypatch.setenv("MEDSALES_SECRET", "s" * 31)
    with pytest.raises(ValueError, match="MEDSALES_SECRET has 31 characters, but needs 32"):
        Settings().secret()


def test_who_seals_and_who_is_told_can_be_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert sealing(Settings(home=tmp_path)) == Sealing(tmp_path / "seal.key")
    for name, value in {
        "KEY": "/safe/key",
        "EVERY": "60",
        "FILE": "/far/heads",
        "WEBHOOK": "https://a.example/",
        "TSA": "https://b.example/",
    }.items():
        monkeypatch.setenv(f"MEDSALES_SEAL_{name}", value)
    assert sealing(Settings(home=tmp_path)) == Sealing(
        Path("/safe/key"), 60, Path("/far/heads"), "https://a.example/", "https://b.example/"
    )
