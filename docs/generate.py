"""Writes what the code already says: docs/events.md, docs/problems.md, the terms in the glossary.

    python docs/generate.py            writes
    python docs/generate.py --check    names what is out of date, and ends with 1

It also moves the line numbers in links such as `[`append`](../src/…/log.py#L12)` to where the name
is defined now.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from medsales.catalogue import AGGREGATES
from medsales.domain.kernel import EVENTS, Aggregate, Command, Event, Term, aggregate_of
from medsales.domain.udi.findings import SENTENCES

DOCS = Path(__file__).parent
SRC = DOCS.parent / "src" / "medsales"
BEGIN, END = "<!-- generated: terms -->\n", "<!-- end of what is generated -->\n"
BY_HAND = "*Written by `docs/generate.py`; change the code, not this page.*\n"
LINK = re.compile(r"\[`([\w.]+)`\]\((\.\./[^)#]+\.py)#L\d+\)")


def main() -> None:
    stale = [path for path, text in pages() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        names = ", ".join(path.name for path in stale)
        sys.exit(f"out of date: {names}; run python docs/generate.py" if stale else 0)
    for path, text in pages():
        path.write_text(text)


def pages() -> Iterator[tuple[Path, str]]:
    """Every page that is generated in whole or in part, and how it should read."""
    yield DOCS / "events.md", events()
    yield DOCS / "problems.md", problems()
    glossary = DOCS / "glossary.md"
    before, _, rest = glossary.read_text().partition(BEGIN)
    yield glossary, f"{before}{BEGIN}{terms()}{END}{rest.partition(END)[2]}"
    for page in sorted(DOCS.rglob("*.md")):
        if page != glossary and LINK.search(page.read_text()):
            yield page, LINK.sub(partial(relinked, page), page.read_text())


# Events


def events() -> str:
    chapters = "\n".join(_chapter(aggregate) for aggregate in AGGREGATES)
    return (
        "# Every event\n\n"
        f"{BY_HAND}\n"
        "An event is stored under its class name, for ever. Beside each one the log keeps its\n"
        "envelope: who, through which client, with which command, why, which version of medsales\n"
        "decided (`engine/facts.py`). `?` marks a field that older facts may lack.\n\n"
        f"{chapters}"
    )


def _chapter(aggregate: type[Aggregate]) -> str:
    module = sys.modules[aggregate.__module__]
    file = module.__name__.removeprefix("medsales.").replace(".", "/")
    sentence = " ".join((module.__doc__ or "").split("\n\n")[0].split())
    own = [event for event in EVENTS.values() if aggregate_of(event) is aggregate]
    told = "\n".join(_event(event, aggregate) for event in own)
    return f"## {aggregate.__name__}\n\n{sentence} (`{file}.py`)\n\n{told}"


def _event(event: type[Event[Any]], aggregate: type[Aggregate]) -> str:
    causes = [c for c in aggregate.commands.values() if _mentions(c, event.__name__)]
    lines = [f"### {event.__name__}", ""]
    own = " ".join((vars(event).get("__doc__") or "").split())
    lines += [own, ""] if own else []
    for cause in causes:
        lines.append(f"* `{cause.__name__}`: {' '.join((cause.__doc__ or '').split())}")
    lines += [""] if causes else []
    fields = list(_fields(event))
    if fields:
        lines += ["| field | type | |", "|---|---|---|", *fields, ""]
    return "\n".join(lines)


def _mentions(command: type[Command[Any]], event: str) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == event for node in ast.walk(source_of(command))
    )


def _fields(event: type[Event[Any]]) -> Iterator[str]:
    for name, info in event.model_fields.items():
        mark = "" if info.is_required() else "?"
        kind = _annotation(event, name).replace("|", "\\|")
        yield f"| `{name}`{mark} | `{kind}` | {' '.join((info.description or '').split())} |"


def _annotation(event: type[Event[Any]], name: str) -> str:
    """As it is written in the source."""
    for kind in event.__mro__:
        if name in vars(kind).get("__annotations__", {}):
            for line in source_of(kind).body:
                if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) == name:
                    return ast.unparse(line.annotation)
    raise LookupError(name)


def source_of(kind: type) -> ast.ClassDef:
    return classes(sys.modules[kind.__module__].__file__ or "")[kind.__name__]


@cache
def classes(file: str) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree(file).body if isinstance(node, ast.ClassDef)}


@cache
def tree(file: str | Path) -> ast.Module:
    return ast.parse(Path(file).read_text())


# Problems


def problems() -> str:
    refusals = sorted(set(_told("Refused", ("domain", "engine"), code_at=0)))
    troubles = sorted({*_told("Trouble", ("api",), code_at=1), *_told("_stranger", ("api",), 0)})
    findings = [
        (f"udi.{kind}", _blank(en), _blank(zh)) for kind, (en, zh) in sorted(SENTENCES.items())
    ]
    return (
        "# Every refusal and problem\n\n"
        f"{BY_HAND}\n"
        "An answer that is not a success is `application/problem+json` with one of these codes\n"
        "and both sentences. `…` stands for what differs from case to case. Codes do not change.\n"
        "A code that ends in `.unknown` is a 404, `role.missing` a 403, every other refusal of a\n"
        "rule a 422.\n\n"
        f"## A rule refused\n\n{_table(refusals)}\n"
        f"## A barcode is wrong\n\n{_table(findings)}\n"
        f"## The request could not be served\n\n{_table(troubles)}"
    )


Told = tuple[str, str, str]


def _told(callee: str, parts: tuple[str, ...], code_at: int) -> Iterator[Told]:
    """Every call that gives a code and two sentences, as far as they stand in the source."""
    for part in parts:
        for file in sorted((SRC / part).rglob("*.py")):
            for node in ast.walk(tree(file)):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == callee:
                    match [_text(argument) for argument in node.args[code_at : code_at + 3]]:
                        case [code, en, zh] if code.strip("…"):
                            yield code, en, zh


def _blank(sentence: str) -> str:
    return re.sub(r"{\w+}", "…", sentence)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return re.sub("…+", "…", _text(node.left) + _text(node.right))
    return "…"


def _table(lines: list[Told]) -> str:
    rows = (f"| `{code.replace('…', '<kind>')}` | {en} | {zh} |\n" for code, en, zh in lines)
    return "| code | English | 中文 |\n|---|---|---|\n" + "".join(rows)


# Terms


def terms() -> str:
    found = sorted(_kinds(Term), key=lambda kind: kind.__name__)
    return "\n" + "".join(_term(kind) for kind in found if kind.__module__.startswith("medsales"))


def _kinds(kind: type[Term]) -> Iterator[type[Term]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)


def _term(kind: type[Term]) -> str:
    said = " ".join((vars(kind).get("__doc__") or "").split())
    rows = "".join(f"| {term.zh} | {term.en} | `{term.value}` |\n" for term in kind)
    head = f"### {kind.__name__}\n\n" + (f"{said}\n\n" if said else "")
    return f"{head}| 中文 | English | stored as |\n|---|---|---|\n{rows}\n"


# Links


def relinked(page: Path, link: re.Match[str]) -> str:
    name, target = link[1], link[2]
    return f"[`{name}`]({target}#L{line_of((page.parent / target).resolve(), name)})"


def line_of(file: Path, name: str) -> int:
    """Where a class, function, method or name is defined; a file without it is an error."""
    for found, line in definitions(file):
        if found == name:
            return line
    raise LookupError(f"{file} does not define {name}")


@cache
def definitions(file: Path) -> tuple[tuple[str, int], ...]:
    return tuple(_defined(tree(file), ""))


def _defined(parent: ast.AST, within: str) -> Iterator[tuple[str, int]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{within}{node.name}", node.lineno
            yield from _defined(node, f"{within}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((f"{within}{ast.unparse(target)}", node.lineno) for target in targets)


if __name__ == "__main__":
    main()
