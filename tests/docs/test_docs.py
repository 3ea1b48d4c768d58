"""What the pages say is so: links lead somewhere, code is quoted as it is, examples run."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from textwrap import indent
from time import monotonic, sleep
from typing import Any

import pytest
import uvicorn
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_command

from medsales import cli, demo
from medsales.api.auth import issue_token
from medsales.api.main import create_app
from medsales.cli.operating import PEOPLE
from medsales.company import Companies, Company
from medsales.engine.embedded_postgres import EmbeddedPostgres
from medsales.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SRC = ROOT / "src" / "medsales"
README = ROOT / "README.md"
CHINESE = ROOT / "README.zh-CN.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [code for spoken, code in FENCE.findall(page.read_text()) if spoken == language]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# Pages


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        name, _, anchor = target.partition("#")
        if "://" not in target:
            file = (page.parent / name).resolve() if name else page
            assert file.exists(), target
            assert ROOT in (file, *file.parents), target
            assert not anchor or file.suffix == ".py" or anchor in anchors(file), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [README]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for target in LINK.findall(prose(page)):
            file = (page.parent / target.partition("#")[0]).resolve()
            found = sorted(file.glob("*.md")) if file.is_dir() else [file]
            waiting += [one for one in found if one.suffix == ".md" and one not in reached]
    assert {page for page in PAGES if DOCS in page.parents} <= reached


def test_what_is_generated_is_up_to_date() -> None:
    done = ended([sys.executable, str(DOCS / "generate.py"), "--check"])
    assert done.returncode == 0, done.stderr


def ended(command: list[str], **where: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **where)


def test_both_readmes_have_the_same_commands_and_settings() -> None:
    assert blocks(README, "bash") == blocks(CHINESE, "bash")
    assert settings_in(README) == settings_in(CHINESE)
    assert prose(README).count("\n## ") == prose(CHINESE).count("\n## ")


def settings_in(page: Path) -> list[str]:
    return re.findall(r"^\| `(MEDSALES_[A-Z_]+)` \|", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", [README, DOCS / "operations.md"], ids=lambda page: page.name)
def test_every_setting_is_listed(page: Path) -> None:
    known = {f"MEDSALES_{name.upper()}" for name in Settings.model_fields}
    for file in SRC.rglob("*.py"):
        known |= set(re.findall(r"\bMEDSALES_[A-Z_]*[A-Z]\b", file.read_text()))
    assert set(settings_in(page)) == known


def test_operations_explains_every_way_in_which_the_database_can_fail() -> None:
    said = set(re.findall(r"`((?:postgres|database)\.\w+)`", (DOCS / "operations.md").read_text()))
    code = "".join((SRC / "engine" / f"{name}.py").read_text() for name in FAILING)
    assert said == set(re.findall(r'"((?:postgres|database)\.[a-z]\w+)"', code))


FAILING = ("database", "embedded_postgres")


def test_the_words_of_the_glossary_are_in_the_code() -> None:
    spoken = prose(DOCS / "glossary.md").partition("## Not built yet")[0]
    code = "".join(file.read_text() for file in SRC.rglob("*.py"))
    for line in re.findall(r"^\|[^|]*\|[^|]*\|([^|]*)\|$", spoken, re.MULTILINE):
        for word in re.findall(r"`([\w.]+)`", line):
            assert re.search(rf"\b{re.escape(word)}\b", code), word


def test_the_architecture_has_a_place_for_every_module_of_the_engine() -> None:
    page = (DOCS / "architecture.md").read_text()
    modules = [file.name for file in (SRC / "engine").glob("*.py") if file.stem != "__init__"]
    assert [name for name in modules if f"`{name}`" not in page] == []


# Commands


def test_every_command_that_is_named_exists() -> None:
    asked = [line for page in PAGES for line in command_lines(page)]
    assert len(asked) > 10
    for words in asked:
        command = get_command(cli.app)
        while words and isinstance(command, TyperGroup) and not words[0].startswith("-"):
            assert words[0] in command.commands, words
            command = command.commands[words.pop(0)]
        options = {
            name for given in command.params for name in (*given.opts, *given.secondary_opts)
        }
        assert {w for w in words if w.startswith("--")} <= {*options, "--help"}, words


def command_lines(page: Path) -> Iterator[list[str]]:
    spans = [*re.findall(r"`([^`\n]+)`", prose(page)), *"\n".join(blocks(page, "bash")).split("\n")]
    for span in spans:
        if found := re.match(r"(?:.*[ /(])?medsales ([a-z-][^()$>]*)", span):
            yield found[1].split()


# The tour


def test_the_tour_quotes_the_code_as_it_is() -> None:
    sources = [file.read_text() for file in SRC.rglob("*.py")]
    quoted = [*blocks(DOCS / "tour.md", "python"), *blocks(DOCS / "tour.md", "sql")]
    assert len(quoted) > 10
    for code in quoted:
        forms = [indent(code, " " * depth) for depth in (0, 4, 8)]
        assert any(form in source for form in forms for source in sources), code


# Adding an aggregate


def test_an_aggregate_can_be_added_as_it_is_written(tmp_path: Path, database_url: str) -> None:
    """In a copy of the repository and processes of its own: nobody else shall meet the new kind."""
    for part in ("src", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    page = DOCS / "adding-an-aggregate.md"
    for code in blocks(page, "python"):
        write(tmp_path, code)
    for change in blocks(page, "diff"):
        edit(tmp_path, change)
    run(tmp_path, database_url, "tests.domain.samples.write")
    samples = tmp_path / "tests" / "domain" / "samples"
    assert json.loads((samples / "ServiceNoteClosed.json").read_text()) == {"outcome": "轴承已润滑"}
    run(tmp_path, database_url, "pytest", "-q", "-p", "no:cacheprovider", "-k", NEW, *CONCERNED)


NEW = "service_note or ServiceNote or service.py or every_event_has or openapi"
CONCERNED = (
    "tests/domain/service",
    "tests/projections/test_service_notes.py",
    "tests/test_architecture.py",
    "tests/domain/test_golden_samples.py",
    "tests/domain/test_every_aggregate.py",
    "tests/api/test_openapi.py",
    "tests/api/test_subjects.py",
)
"""The new tests, and those that look at everything there is."""


def write(root: Path, code: str) -> None:
    """The first line says which file: a new one, or one that gets more at its end."""
    named, _, rest = code.partition("\n")
    file = root / named.removeprefix("# ")
    file.parent.mkdir(parents=True, exist_ok=True)
    if "src" in file.relative_to(root).parts:
        (file.parent / "__init__.py").touch()
    before = file.read_text() if file.exists() else ""
    file.write_text(before + (rest if before else rest.lstrip("\n")))


def edit(root: Path, change: str) -> None:
    """Lines with + come after the line above them, or in place of one with -."""
    named, *marked = change.splitlines()
    file = root / named.removeprefix("--- ")
    lines = file.read_text().split("\n")
    at = 0
    for mark, line in ((text[0], text[1:]) for text in marked):
        if mark == "+":
            lines.insert(at, line)
            at += 1
        else:
            assert lines.count(line) == 1, f"{named}: {line}"
            at = lines.index(line) + (mark == " ")
            if mark == "-":
                del lines[at]
    file.write_text("\n".join(lines))


def run(root: Path, database_url: str, module: str, *arguments: str) -> None:
    paths = {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}", "PYTHONDONTWRITEBYTECODE": "1"}
    own = {"MEDSALES_TEST_DATABASE_URL": database_url}
    kept = {name: v for name, v in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", module, *arguments]
    done = ended(command, cwd=root, env={**kept, **paths, **own})
    assert done.returncode == 0, done.stdout + done.stderr


# The first ten minutes


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples need curl")
def test_the_examples_of_the_readme_run(company: Company, tmp_path: Path) -> None:
    demo.run(company, Console(quiet=True), units=200)
    examples = [code for code in blocks(README, "bash") if not code.startswith("make ")]
    with served(company, Settings(home=tmp_path)) as (address, token), at_work(company):
        script = "\necho; echo ----\n".join(examples)
        script = script.replace("http://127.0.0.1:8000", address)
        script = script.replace("$(.venv/bin/medsales token)", token)
        assert address in script
        assert token in script
        script = as_here(script.replace("/tmp", str(tmp_path)), company)
        own = {"MEDSALES_DATABASE_URL": company.database.url, "MEDSALES_HOME": str(tmp_path)}
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = ended(command, cwd=tmp_path, env={**os.environ, **own})
    assert done.returncode == 0, done.stderr
    _, *answers = done.stdout.split("----")
    told: list[Any] = [json.loads(said) for said in answers[:8]]
    history, trace, stock, receipt, refusal, refusals, traced_then, stock_then = told
    assert [line["event"] for line in history][:2] == ["UnitReceived", "UnitInspected"]
    assert len({some["holder"] for some in trace["holders"]}) > 3
    assert len(stock["items"]) == 5
    assert receipt["events"] == ["UnitReceived", "LotOpened"]
    assert refusal["code"] == "unit.already_received"
    assert "unit.already_received" in [line["code"] for line in refusals["items"]]
    assert [some["holder"] for some in traced_then["holders"]] != [
        some["holder"] for some in trace["holders"]
    ]
    assert len(stock_then["items"]) == 5
    assert stock_then["position"] == 1500
    about, sealed, operated, *deal = answers[8:]
    assert "inspected by" in about
    assert "verified: the positions 1 to" in sealed
    assert "made anew from" in operated
    assert "medsales_lag_seconds" in operated
    shows_how_terms_hold(deal, tmp_path)


def shows_how_terms_hold(answers: list[str], tmp_path: Path) -> None:
    """What the section on terms promises of each of its examples."""
    approval, terms, credit, tasks, _, draft, own, granted, order = answers
    (tmp_path / "quote.pdf").read_bytes().index(b"%PDF-1.7")
    told: list[Any] = [json.loads(said) for said in (approval, terms, credit, tasks)]
    assert [said["person"] for said in told[0]["voices"]] == ["zhao", "he"]
    assert told[1]["applied"]["source"] == "contract"
    assert len(told[1]["applied"]["signatures"]) == 2
    assert len(told[2]["orders"]) == 2
    assert "release_hold" in [task["kind"] for task in told[3]["items"]]
    assert json.loads(draft)["events"] == ["QuoteDrafted"]
    assert json.loads(own)["code"] == "approval.approver_is_author"
    assert json.loads(granted)["events"][-1] == "QuoteApproved"
    assert json.loads(order)["code"] == "order.price_not_in_force"


@contextmanager
def at_work(company: Company) -> Iterator[None]:
    """As `make run` has it: what is recorded reaches the read models."""
    worker = company.worker()
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def as_here(script: str, company: Company) -> str:
    """The commands of an installation, for the company and with the programs of this test."""
    programs = (
        r"\.venv/bin/medsales (seal verify|audit export|facts|diff|seal|rebuild|parked|token)"
    )
    script = re.sub(programs, rf".venv/bin/medsales \1 --company {company.name}", script)
    script = script.replace(".venv/bin/python", sys.executable)
    return script.replace(".venv/bin/medsales", f"{sys.executable} -m medsales")


# Operations


def test_the_drill_of_operations_is_done_as_it_is_written() -> None:
    page = (DOCS / "operations.md").read_text()
    told = page[page.index("## Backing up") : page.index("## A server of your own")]
    backup, archive, drill, moment = [code for language, code in FENCE.findall(told) if language]
    lines = [archive, FIRST, backup, drill, LATER, re.sub(r"--to \S+", '--to "$NOW"', moment), LAST]
    with short_home() as root:
        script = "".join(lines)
        script = script.replace("/mnt/backup", f"{root}/disk").replace("/var/lib", str(root))
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = ended(["bash", "-euo", "pipefail", "-c", script], env={"PATH": programs})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("restored into") == 2
    assert "lot_trace equals the facts up to position 0" in done.stdout
    assert "last backup" in done.stdout
    assert done.stdout.endswith("default\n"), "what was added later is not in it"


FIRST = "export MEDSALES_HOME=/var/lib/medsales\nmedsales company add default\n"
LATER = "NOW=$(date -u +%FT%T.%6NZ)\nmedsales company add later\n"
LAST = "MEDSALES_HOME=/var/lib/medsales-then MEDSALES_WAL_ARCHIVE= medsales company list\n"


@contextmanager
def short_home() -> Iterator[Path]:
    """Where the account that runs PostgreSQL for root can go, unlike pytest's own folders."""
    root = Path(tempfile.mkdtemp(prefix="md-"))
    root.chmod(0o711)
    try:
        yield root
    finally:
        for data in root.glob("*/pg"):
            EmbeddedPostgres(data.parent).stopped()
        shutil.rmtree(root)


@contextmanager
def served(company: Company, settings: Settings) -> Iterator[tuple[str, str]]:
    """A real server for one company; where it is, and a token for it."""
    token = issue_token(settings.secret(), "me", "me", PEOPLE, company=company.name)
    with closing(Companies(company.database.url)) as companies, socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(companies, settings), log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([door],))
        thread.start()
        try:
            until = monotonic() + 20
            while not server.started and monotonic() < until:
                sleep(0.01)
            assert server.started
            yield f"http://127.0.0.1:{door.getsockname()[1]}", token
        finally:
            server.should_exit = True
            thread.join()
