"""The picture in docs/architecture.md, checked: each part imports only what stands above it."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "medsales"
FILES = sorted(SRC.rglob("*.py"))
CODE = [file for file in FILES if file.name != "__init__.py"]
each_file = pytest.mark.parametrize("file", CODE, ids=lambda file: str(file.relative_to(SRC)))

PARTS = {
    "domain": {"domain"},
    "audit": {"audit"},
    "intake": {"domain", "intake"},
    "engine": {"audit", "domain", "engine"},
    "projections": {"domain", "engine", "projections"},
    "processes": {"domain", "engine", "projections", "processes"},
    "documents": {"documents", "domain", "engine", "projections"},
    "catalogue": {"domain", "engine", "projections", "processes"},
    "settings": set(),
    "logs": set(),
    "tracing": {"engine"},
    "testing": {"domain", "engine"},
    "company": {"catalogue", "domain", "engine", "settings"},
    "api": {
        "api",
        "audit",
        "catalogue",
        "company",
        "documents",
        "domain",
        "engine",
        "intake",
        "logs",
        "projections",
        "settings",
    },
}
"""What each part may import. Whatever is not named here (cli, demo) stands on top of all."""

CONTEXTS = [
    "kernel",
    "values",
    "canonical",
    "ids",
    "udi",
    "parties",
    "governance",
    "stock",
    "terms",
    "sales",
    "orders",
]
"""The domain from the ground up; each context knows those before it."""

DOMAIN_MAY_USE = {
    "__future__",
    "base64",
    "calendar",
    "collections",
    "cryptography",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "functools",
    "hashlib",
    "itertools",
    "operator",
    "pathlib",
    "pydantic",
    "pydantic_core",
    "re",
    "rfc8785",
    "rpds",
    "string",
    "types",
    "typing",
    "unicodedata",
    "urllib",
}
"""Nothing that reads a clock, the network or a random number.

pathlib is for the tables beside the code, urllib only for taking addresses apart. cryptography is
for checking signatures and for making those that need no random number (Ed25519); keys are made
elsewhere. zoneinfo is not here: it reads the tables of the machine.
"""

LONGEST_FUNCTION = 40


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            module = node.module or ""
            # `from medsales.engine import schema` imports medsales.engine.schema
            yield from (f"{module}.{alias.name}" for alias in node.names)


def ours(file: Path) -> set[tuple[str, ...]]:
    names = (tuple(name.split(".")) for name in imports(file))
    return {name[1:] for name in names if name[0] == "medsales"}


def part_of(file: Path) -> str:
    return file.relative_to(SRC).parts[0].removesuffix(".py")


@each_file
def test_a_part_imports_only_what_it_may(file: Path) -> None:
    allowed = PARTS.get(part_of(file))
    if allowed is not None:
        assert {name[0] for name in ours(file)} <= allowed


def test_every_part_has_its_place() -> None:
    on_top = {"__init__", "__main__", "cli", "demo"}
    assert {part_of(file) for file in FILES} <= PARTS.keys() | on_top


@pytest.mark.parametrize(
    ("lower", "higher"), [*pairwise(["domain", "engine", "projections", "processes"])]
)
def test_the_lower_part_does_not_know_the_higher(lower: str, higher: str) -> None:
    assert higher not in PARTS[lower]
    assert lower in PARTS[higher]


@each_file
def test_the_domain_uses_what_is_pure_and_nothing_else(file: Path) -> None:
    if part_of(file) == "domain":
        used = {name.split(".")[0] for name in imports(file)} - {"medsales"}
        assert used <= DOMAIN_MAY_USE
        assert "urllib.request" not in imports(file)


@each_file
def test_a_context_knows_only_those_below_it(file: Path) -> None:
    if part_of(file) == "domain" and file.stem != "__init__":
        own = file.relative_to(SRC / "domain").parts[0].removesuffix(".py")
        known = {name[1] for name in ours(file) if name[0] == "domain"}
        assert known <= set(CONTEXTS[: CONTEXTS.index(own) + 1])


@each_file
def test_the_engine_knows_no_business_word(file: Path) -> None:
    if part_of(file) == "engine":
        known = {name[1] for name in ours(file) if name[0] == "domain"}
        assert known <= {"kernel"}


AUDITORS_MAY_USE = {"cryptography", "medsales", *sys.stdlib_module_names}


@each_file
def test_what_an_auditor_runs_needs_python_and_cryptography_alone(file: Path) -> None:
    if part_of(file) == "audit":
        assert {name.split(".")[0] for name in imports(file)} <= AUDITORS_MAY_USE


@each_file
def test_only_the_catalogue_knows_all_read_models(file: Path) -> None:
    """What else depends on one read model names it, so that it can be found and changed."""
    if part_of(file) not in {"catalogue", "projections", "processes", "api", "demo"}:
        assert "projections" not in {name[0] for name in ours(file)}


EMPTY = (ast.Dict, ast.List, ast.Set)


@each_file
def test_no_module_remembers_one_company_for_another(file: Path) -> None:
    """A global that is filled later would be shared by all companies of a process.

    The registers hold classes and functions, which are the same for everybody.
    """
    filled_later = [
        ast.unparse(node)
        for node in tree(file).body
        if isinstance(node, ast.Assign | ast.AnnAssign) and _grows(node.value)
    ]
    assert {name.split(":")[0] for name in filled_later} <= {"KINDS", "EVENTS", "POLICIES", "DUE"}
    assert not [node for node in ast.walk(tree(file)) if isinstance(node, ast.Global)]


@each_file
def test_what_is_remembered_for_ever_does_not_depend_on_a_company(file: Path) -> None:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef) and any(
            "cache" in ast.unparse(decorator) for decorator in node.decorator_list
        ):
            asked = {argument.arg for argument in node.args.args}
            assert not asked & {"self", "company", "tenant", "schema", "database", "db", "url"}


def _grows(value: ast.expr | None) -> bool:
    if isinstance(value, EMPTY):
        return not (value.keys if isinstance(value, ast.Dict) else value.elts)
    called = getattr(value.func, "id", "") if isinstance(value, ast.Call) else ""
    return called in {"dict", "list", "set", "defaultdict", "Counter"} and not getattr(
        value, "args", ()
    )


# How it is written


@each_file
def test_functions_are_short(file: Path) -> None:
    long = [
        f"{node.name}: {length}"
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert long == []


@each_file
def test_a_file_opens_with_one_sentence(file: Path) -> None:
    opening = (ast.get_docstring(tree(file)) or "").split("\n\n")[0]
    assert opening.endswith((".", "?", "。"))


@each_file
def test_nothing_is_left_to_do_and_nothing_is_printed(file: Path) -> None:
    text = file.read_text()
    assert not [word for word in ("TODO", "FIXME", "XXX", "HACK") if word in text]
    prints = [
        node.lineno
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in {"print", "breakpoint"}
        and "file" not in {keyword.arg for keyword in node.keywords}
    ]
    assert prints == []


@each_file
def test_a_decision_never_reads_a_clock(file: Path) -> None:
    """Time comes as a parameter, so that a decision made again says the same."""
    if part_of(file) == "domain":
        called = {node.attr for node in ast.walk(tree(file)) if isinstance(node, ast.Attribute)}
        assert not called & {"now", "utcnow", "today"}
