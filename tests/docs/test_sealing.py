"""What docs/sealing.md tells an operator and an auditor to type, typed."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Program, new_home
from tests.docs.test_docs import DOCS, blocks
from tests.domain.examples import OPEN_HANGZHOU, REGISTER_PUMP

from medsales.company import Company
from medsales.domain.kernel import Role
from medsales.engine.application import Actor, Ask

PAGE = DOCS / "sealing.md"


@pytest.fixture
def program(database_url: str) -> Iterator[Program]:
    with Program(new_home(), database_url) as program:
        yield program


def test_the_commands_of_the_page_run(company: Company, program: Program, tmp_path: Path) -> None:
    for command in (OPEN_HANGZHOU, REGISTER_PUMP):
        company.app.handle(Ask(command, Actor("mei", "Mei", (Role.SYSTEM,), "desk")))
    script = "\n".join(blocks(PAGE, "bash"))
    assert script.count("medsales") == 4
    script = re.sub(
        r"^medsales (seal verify|seal|audit export)",
        rf"python -m medsales \1 --company {company.name}",
        script,
        flags=re.MULTILINE,
    ).replace("python -m", f"{sys.executable} -m")
    heads = tmp_path / "heads"
    first = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.splitlines()[0]],
        env=program.environment(MEDSALES_SEAL_FILE=str(heads)),
        capture_output=True,
        text=True,
        check=True,
    )
    key = first.stdout.split()[-1]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=program.environment(MEDSALES_SEAL_FILE=str(heads), FINGERPRINT=key, HEADS=str(heads)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "are as they were sealed, by 1 head;" in done.stdout
    assert "verified: the positions 1 to" in done.stdout
    assert "not shown" not in done.stdout
