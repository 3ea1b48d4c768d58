"""Sealing the log, proving that it is as it was sealed, and handing it to an auditor."""

from importlib.metadata import version
from pathlib import Path

import typer
from pydantic_core import to_json

from medsales.audit.findings import Finding, more
from medsales.audit.heads import Head
from medsales.cli.failures import Failed
from medsales.cli.opening import ERR, OUT, opened, opened_companies
from medsales.cli.read_models import Bar
from medsales.company import Company
from medsales.engine.audit_export import Export, Occupied
from medsales.engine.seal import OtherKey, Sealer, take_successor
from medsales.engine.seal_check import Checked, checked
from medsales.engine.sealing_key import existing, key_in
from medsales.engine.tiles import SealBroken
from medsales.engine.witness import lines_in

SHOWN = 100
"""Findings that are told one by one."""


def seal(name: str, *, json: bool) -> None:
    """Now, up to the end of the log."""
    with opened(name) as company:
        head = _sealed(company)
    if json:
        OUT.print_json(data=head.as_json())
        return
    OUT.print(f"head {head.number} covers {head.size:,} facts, signed {head.sealed_at}")
    OUT.print(f"root {head.root.hex()}")
    OUT.print(f"key  {head.key}")


def verify(name: str, outside: Path | None, key: str | None, *, json: bool) -> None:
    """Exit code 1 when something is not as it was sealed."""
    with opened(name) as company:
        sealing = _sealer(company).sealing
        heads = outside or sealing.file
        if outside and not outside.exists():
            raise Failed(f"there is no file {outside}")
        # Whoever can change the database can put keys of his own into it, but not in here.
        trusted = key or (existing(sealing.key).id if sealing.key.exists() else None)
        with Bar(ERR, "verifying", company.log.head()) as bar:
            found = checked(company.database, lines_in(heads) if heads else (), trusted, bar)
    if json:
        typer.echo(to_json(_as_json(found), indent=2))
    else:
        _tell(found, heads)
    if found.findings:
        raise typer.Exit(1)


def rotate() -> None:
    """Every log that the key signs, then the file: interrupted, it is simply given again."""
    with opened_companies() as companies:
        followed = [name for name in companies.names() if _followed(_sealer(companies[name]))]
        if not followed:
            raise Failed("there is no company here whose log is sealed with this key")
        path = _sealer(companies[followed[0]]).sealing.key
        take_successor(path)
    OUT.print(f"{', '.join(followed)}: from now on sealed with the key")
    OUT.print(existing(path).id)


def _followed(sealer: Sealer) -> bool:
    try:
        sealer.rotate()
    except OtherKey as other:
        ERR.print(f"left as it is: {other}", markup=False)
        return False
    return True


def export(name: str, folder: Path, first: int, last: int | None) -> None:
    with opened(name) as company:
        head = _sealed(company)
        last = head.size if last is None else last
        if not 1 <= first <= last <= head.size:
            raise Failed(f"the log has the positions 1 to {head.size}")
        key = key_in(_sealer(company).sealing.key)
        with Bar(ERR, "exporting", last - first + 1) as bar:
            written = Export(company.database, folder, head, first, last)
            try:
                written.write(key, company.follower.projections, version("medsales"), bar)
            except Occupied as error:
                raise Failed(str(error)) from error
    OUT.print(f"{folder} holds the positions {first:,} to {last:,}, by head {head.number}")
    OUT.print(f"key {head.key}")
    OUT.print(f"python -m medsales.audit {folder} --key {head.key}", markup=False)


def _sealer(company: Company) -> Sealer:
    assert company.sealer is not None
    return company.sealer


def _sealed(company: Company) -> Head:
    """Raises Failed."""
    try:
        with Bar(ERR, "sealing", company.log.head()) as bar:
            head = _sealer(company).seal(bar)
    except SealBroken as broken:
        raise Failed(f"{_said(broken.finding)} (`medsales seal verify` names all)") from broken
    except OtherKey as error:
        raise Failed(str(error)) from error
    if head is None:
        raise Failed("the log holds no fact yet, so there is nothing to seal")
    return head


def _said(finding: Finding) -> str:
    return f"{finding.en} / {finding.zh}"


def _as_json(found: Checked) -> dict[str, object]:
    return {
        "head": found.head and found.head.as_json(),
        "facts": found.facts,
        "findings": [finding.as_json() for finding in found.findings],
    }


def _tell(found: Checked, heads: Path | None) -> None:
    """In English and in Chinese."""
    for finding in found.findings[:SHOWN]:
        OUT.print(f"{finding}", markup=False)
    if len(found.findings) > SHOWN:
        OUT.print(f"{more(len(found.findings) - SHOWN)}")
    if found.findings:
        return
    if found.head is None:
        OUT.print("the log has never been sealed; `medsales seal` does it\n  此日志从未封存")
        return
    size, number = found.head.size, found.head.number
    by = "1 head" if number == 1 else f"{number:,} heads"
    OUT.print(
        f"the positions 1 to {size:,} are as they were sealed, by {by};"
        f" {found.facts - size:,} facts are newer\n"
        f"  位置 1 至 {size:,} 与封存时一致，共 {number:,} 个树头；另有 {found.facts - size:,}"
        " 条较新"
    )
    if heads is None:
        OUT.print(
            "no heads from outside were compared (MEDSALES_SEAL_FILE or --heads): that the end was"
            " not cut off is not shown\n  未与外部树头比对：无法证明末尾未被截断"
        )
