"""What docs/signatures.md tells a signer, an operator and an auditor to type, typed."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from tests.cli.conftest import Program, new_home
from tests.docs.test_docs import DOCS, at_work, blocks, served

from medsales.api.auth import issue_token
from medsales.company import Company
from medsales.domain.governance.person import RegisterPerson
from medsales.domain.ids import ProductId
from medsales.domain.kernel import Role
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    OpenPriceMatrix,
    PriceCell,
    SubmitVersion,
)
from medsales.domain.values import Money
from medsales.engine.application import Actor, Ask
from medsales.settings import Settings

PAGE = DOCS / "signatures.md"
CHEN = Actor("chen", "陈立", tuple(Role), "desk")
PRICE = Money(amount=Decimal("1250.00"), currency="CNY")


@pytest.fixture
def program(database_url: str) -> Iterator[Program]:
    with Program(new_home(), database_url) as program:
        yield program


def ask(company: Company, *commands: tuple[object, str | None]) -> None:
    for command, id in commands:
        company.app.handle(Ask(command, CHEN, id))  # type: ignore[arg-type]


@pytest.mark.skipif(not shutil.which("jq"), reason="the page uses jq")
def test_the_commands_of_the_page_run(company: Company, program: Program, tmp_path: Path) -> None:
    cell = PriceCell(product=ProductId("product:06901234567892"), price=PRICE)
    matrix = "price-matrix:CN-2026"
    ask(
        company,
        (
            RegisterPerson(
                person="wang", name="王敏", organisation="浙江翠鸟医疗器械有限公司", title="经理"
            ),
            None,
        ),
        (OpenPriceMatrix(code="CN-2026", name="China", currency="CNY"), None),
        (DraftVersion(effective_from=date(2026, 1, 1), cells=(cell,)), matrix),
        (SubmitVersion(version=1), matrix),
    )
    script = re.sub(
        r"medsales (password set|signature verify|audit export)",
        rf"{sys.executable} -m medsales \1 --company {company.name}",
        "\n".join(blocks(PAGE, "bash")),
    ).replace("python -m medsales.audit", f"{sys.executable} -m medsales.audit")
    settings = Settings(home=program.home)
    token = issue_token(settings.secret(), "wang", "王敏", (Role.MANAGER,), company=company.name)
    company.follower.prepare()
    company.follower.catch_up()
    with served(company, settings) as (address, _), at_work(company):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=program.environment(MEDSALES=address, TOKEN=token),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "Signed by 王敏" in done.stdout
    assert "核验通过，有效" in done.stdout
    told = json.loads(done.stdout[done.stdout.rindex("\n{\n") :])
    assert told["genuine"] is True
    assert told["statement"]["text"] == "同意执行 / I approve these prices"
