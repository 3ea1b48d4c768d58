"""Exports of real logs, checked by the real verifier in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import server_home
from tests.engine.conftest import Server
from tests.engine.purses import new_company
from tests.engine.sealing import fill

from medsales.audit.heads import Head
from medsales.company import Company
from medsales.engine.audit_export import Export
from medsales.engine.embedded_postgres import EmbeddedPostgres
from medsales.engine.seal import Sealer, Sealing
from medsales.engine.sealed import last_head
from medsales.engine.sealing_key import key_in

SRC = Path(__file__).parents[2] / "src"


@dataclass
class Auditee:
    """A company with 600 facts and four heads, which are also known outside."""

    server: Server
    company: Company
    home: Path

    @property
    def sealer(self) -> Sealer:
        return Sealer(self.company.database, Sealing(self.home / "seal.key", file=self.outside))

    @property
    def outside(self) -> Path:
        return self.home / "heads.jsonl"

    @property
    def key(self) -> str:
        return key_in(self.home / "seal.key").id

    def sealed(self) -> Head:
        head = self.sealer.seal()
        assert head is not None
        return head

    def last_head(self) -> Head:
        with self.company.database.cursor() as db:
            head = last_head(db)
        assert head is not None
        return head

    def export(self, name: str, head: Head, first: int = 1, last: int | None = None) -> Path:
        folder = self.home / name
        export = Export(self.company.database, folder, head, first, last or head.size)
        key = key_in(self.home / "seal.key")
        export.write(key, self.company.follower.projections, "0.0.0")
        return folder


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One is enough: what is checked here is done away from it."""
    if given := os.environ.get("MEDSALES_TEST_DATABASE_URL"):
        yield Server(18, given, given)
        return
    with EmbeddedPostgres(server_home("18")) as embedded:
        embedded.start()
        yield Server(18, embedded.url(), embedded.superuser_url())


@pytest.fixture
def auditee(server: Server, tmp_path: Path) -> Iterator[Auditee]:
    yield from auditees(server, tmp_path)


@pytest.fixture(scope="session")
def exported(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An export that nobody may touch; see `folder`."""
    for auditee in auditees(server, tmp_path_factory.mktemp("exported")):
        yield auditee.export("export", auditee.sealed())


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy of an export, to do with it what one likes."""
    return shutil.copytree(exported, tmp_path / "export")


def auditees(server: Server, tmp_path: Path) -> Iterator[Auditee]:
    company = new_company(server.url)
    auditee = Auditee(server, company, tmp_path)
    for size in (100, 200, 255, 45):
        fill(company, size)
        auditee.sealed()
    yield auditee
    company.database.close()


@dataclass
class Said:
    """What the verifier told, and its exit code."""

    code: int
    text: str

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found

    @property
    def findings(self) -> list[tuple[str, int | None]]:
        return [(one["code"], one["position"]) for one in self.told["findings"]]


def verifier(*words: object, where: Path = SRC) -> Said:
    """In a process that has Python and what it is given, and no other module of ours."""
    done = subprocess.run(
        [sys.executable, "-m", "medsales.audit", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=where,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(where)},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout or done.stderr)
