"""`medsales prices import`: a file becomes a draft, or everything that is wrong with it is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Program
from tests.dealer import GAUZE, LENS, Dealer

from medsales.company import Company, open_company
from medsales.domain.ids import PriceMatrixId
from medsales.domain.terms.price_matrix import PriceMatrix

GOOD = f"product,price\n{LENS},1300\n{GAUZE},3\n"
FROM = ("--matrix", "CN", "--from", "2030-01-01")


@pytest.fixture
def company(database_url: str, name: str) -> Iterator[Company]:
    opened = open_company(database_url, name)
    opened.follower.prepare()
    Dealer(opened)
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "prices.csv"


def test_a_file_becomes_a_draft_once(medsales: Program, company: Company, file: Path) -> None:
    file.write_text(GOOD)
    words = ("prices", "import", str(file), *FROM, "--company", company.name, "--user", "lin")
    assert "nothing is written" in medsales.run(*words, "--dry-run").stderr
    assert medsales.says(*words) == "2 prices are version 2 of price-matrix:CN, a draft\n"
    assert medsales.json(*words)["version"] == 2, "the same file again is the same wish"
    matrix = company.app.existing(PriceMatrixId.of("CN"), PriceMatrix)
    assert {number: version.authors for number, version in matrix.versions.items()} == {
        1: {"chen"},
        2: {"lin"},
    }


def test_one_price_is_said_to_be_one(medsales: Program, company: Company, file: Path) -> None:
    file.write_text(f"product,price\n{LENS},1300\n")
    words = ("prices", "import", str(file), *FROM, "--company", company.name)
    assert medsales.says(*words) == "1 price is version 2 of price-matrix:CN, a draft\n"


def test_everything_that_is_wrong_is_told_at_once(
    medsales: Program, company: Company, file: Path
) -> None:
    file.write_text(f"{GOOD}{LENS},x\n{GAUZE},4\n")
    head = company.log.head()
    done = medsales.run("prices", "import", str(file), *FROM, "--company", company.name)
    assert done.returncode == 1
    assert "B4  price: x is no number" in done.stdout
    assert "B5  price: two prices for" in done.stdout
    assert "行" in done.stdout
    assert done.stderr.endswith("2 faults in 4 rows; nothing was imported\n")
    assert company.log.head() == head


def test_what_is_no_price_list_or_no_matrix_is_a_sentence(
    medsales: Program, company: Company, file: Path
) -> None:
    file.write_bytes(b"PK\x03\x04")
    at = ("--company", company.name)
    words = ("prices", "import", str(file), *FROM)
    assert medsales.refuses(*words, *at) == "the XLSX file is damaged or protected"
    other = ("--matrix", "XX", "--from", "2030-01-01", *at)
    assert "no price-matrix:XX" in medsales.refuses("prices", "import", str(file), *other)
