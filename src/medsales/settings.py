"""What an operator can set, each by an environment variable; nothing set is a good choice."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

SHORTEST_SECRET = 32
"""Characters: as many bytes as HS256 signs with."""


def default_home() -> Path:
    """Where an installation keeps its data: the user's data folder, for root the machine's.

    PostgreSQL refuses to run as root, and the account it runs as cannot enter root's own folder.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/medsales")
    return user_data_path("medsales", appauthor=False)


class Settings(BaseSettings):
    """MEDSALES_HOME, MEDSALES_DATABASE_URL, MEDSALES_HOST, MEDSALES_PORT and so on."""

    model_config = SettingsConfigDict(env_prefix="MEDSALES_", env_ignore_empty=True)

    home: Path = Field(default_factory=default_home)
    """The data folder: the embedded database, the secrets, a note of the last backup."""
    database_url: str | None = None
    """A libpq connection string to PostgreSQL 15 or newer; without it one is embedded."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    connections: Annotated[int, Field(ge=4)] = 20
    """Database connections per company at most."""
    wait: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 2.0
    """Seconds that a reader with `min_position` waits for the read model."""
    seal_key: Path | None = None
    """The file of the key that signs tree heads; `seal.key` in the data folder if not given."""
    seal_every: Annotated[float, Field(ge=0.1, le=86400, allow_inf_nan=False)] = 5.0
    """Seconds between two tree heads at least."""
    seal_file: Path | None = None
    """A file, best on another machine, that every tree head is appended to."""
    seal_webhook: str | None = None
    """An address that every tree head is posted to."""
    seal_tsa: str | None = None
    """The address of an RFC 3161 authority that stamps tree heads."""
    wal_archive: Path | None = None
    """Where the embedded server keeps its write-ahead log, for a restore to any moment."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"
    """`auto`: JSON lines, but on a terminal text."""

    def secret(self) -> str:
        """The key that signs tokens: MEDSALES_SECRET, or a file made once in the data folder."""
        if given := os.environ.get("MEDSALES_SECRET"):
            return _hard_to_guess(given)
        path = self.home / "secret"
        if not path.exists():
            self._make_secret(path)
        return path.read_text()

    def _make_secret(self, path: Path) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=self.home) as whole:  # for its owner only
            print(secrets.token_urlsafe(48), end="", file=whole, flush=True)
            with suppress(FileExistsError):
                os.link(whole.name, path)  # nobody ever reads half of it


def _hard_to_guess(secret: str) -> str:
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(
            f"MEDSALES_SECRET has {len(secret)} characters, but needs {SHORTEST_SECRET}: who "
            "guesses it makes tokens for anybody; without it a good one is made"
        )
    return secret
