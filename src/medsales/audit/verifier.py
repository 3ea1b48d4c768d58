"""Checks an export on its own: no database, no server, nothing but Python and `cryptography`."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from medsales.audit import findings
from medsales.audit.chain import Chain, Witness
from medsales.audit.comparing import Comparison
from medsales.audit.findings import Finding
from medsales.audit.heads import Head, Key, head_from_json, head_from_line, key_from_json
from medsales.audit.leaf import position_of
from medsales.audit.manifest import FORMAT, MANIFEST, SIGNATURE
from medsales.audit.merkle import HASH, Edge
from medsales.audit.signatures import Signatures, checked

FIELDS = [
    *("position", "subject", "version", "event", "payload", "envelope"),
    *("effective_at", "recorded_at", "event_id"),
]
CHUNK = 1 << 20
HIGHEST = 63
"""Levels of a tree; positions have no more bits."""


class NoExport(Exception):
    """This folder is no export that can be read; says why in a sentence."""


@dataclass(frozen=True)
class Export:
    """An export as it lies in a folder."""

    folder: Path
    manifest: dict[str, Any]
    text: bytes
    """The manifest as it was signed."""
    head: Head
    keys: list[Key]
    first: int
    last: int

    @property
    def log(self) -> str:
        return str(self.manifest.get("log"))

    def beside(self, which: str) -> list[tuple[int, bytes]]:
        """The full subtrees before the exported positions, or behind them. Raises NoExport."""
        parts = _made(lambda told: list(told[which]), _told(self.folder / "proof.json"))
        return [_made(_subtree, part) for part in parts]

    def lines(self) -> Iterator[bytes]:
        for path in sorted((self.folder / "facts").glob("*.ndjson")):
            if not path.is_file():
                continue
            with path.open("rb") as file:
                for line in file:
                    yield line.rstrip(b"\n")

    def heads(self) -> Iterator[Head]:
        """Raises NoExport."""
        with (self.folder / "heads.ndjson").open("rb") as file:
            for line in file:
                yield _made(head_from_line, line)

    def files(self) -> dict[str, str]:
        """Their SHA-256 as the manifest has it, by name. Raises NoExport."""
        listed = _made(list, self.manifest.get("files"))
        return dict(_made(_listed, one) for one in listed)


def read(folder: Path) -> Export:
    """Raises NoExport, OSError."""
    for path in folder.rglob("*"):
        if not (path.is_file() or path.is_dir()):
            raise NoExport(f"{path} is neither a file nor a folder")
    text = (folder / MANIFEST).read_bytes()
    manifest = _told(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise NoExport(f"{folder / MANIFEST} is of another format than {FORMAT!r}")
    first: int = _made(lambda told: max(1, int(told["first"])), manifest)
    # No more than there are hashes: a manifest may claim anything.
    hashes = (folder / "hashes.bin").stat().st_size // HASH
    last: int = _made(lambda told: min(int(told["last"]), first + hashes - 1), manifest)
    if last < first:
        raise NoExport(f"{folder} holds no fact")
    head = _made(head_from_json, manifest.get("head"))
    keys = [_made(key_from_json, one) for one in _made(list, _told(folder / "keys.json"))]
    return Export(folder, manifest, text, head, keys, first, last)


def _told(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise NoExport(f"{path} is not JSON: {error}") from error


def _listed(one: Any) -> tuple[str, str]:
    name = str(one["name"])
    if not name.isprintable() or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("it is no name of a file in this folder")
    return name, str(one["sha256"])


def _subtree(given: Any) -> tuple[int, bytes]:
    level, hash = int(given[0]), bytes.fromhex(given[1])
    if not 0 <= level < HIGHEST:
        raise ValueError("there is no tree that high")
    return level, hash


def _made(make: Any, given: Any) -> Any:
    try:
        return make(given)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise NoExport(f"this cannot be read: {str(given)[:80]}") from error


@dataclass(frozen=True)
class Report:
    """What a check came to."""

    export: Export
    findings: list[Finding]
    heads: int
    stamps: list[str]
    """Heads that an authority has stamped; its signature is for `openssl ts` to check."""
    witnessed: bool
    """Whether heads from outside were compared."""
    signatures: Signatures
    """The electronic signatures that people made, and what is wrong with them."""


def verified(
    folder: Path,
    *,
    trusted: str | None = None,
    outside: Iterable[bytes] | None = None,
    deep: bool = False,
) -> Report:
    """Everything that is wrong with an export. Raises NoExport, OSError."""
    export = read(folder)
    chain = Chain(export.log, export.keys)
    witness = Witness(export.log, outside or (), str(export.manifest.get("company")))
    found = [*chain.check_keys(trusted), *_manifest(export, chain), *_files(export)]
    found += _facts(export, chain, witness)
    found += witness.ended(chain.last)
    if deep:
        found += _meaning(export)
    stamps, wrong = _stamps(export)
    number = chain.last.number if chain.last else 0
    signatures = checked(export.lines, export.first)
    found += [*wrong, *signatures.findings]
    return Report(export, found, number, stamps, outside is not None, signatures)


def _manifest(export: Export, chain: Chain) -> Iterator[Finding]:
    key = chain.keys.get(str(export.manifest.get("key")))
    try:
        signature = bytes.fromhex((export.folder / SIGNATURE).read_text())
    except ValueError:
        signature = b""
    if key is None or not key.signs(export.text, signature):
        yield findings.manifest_forged()
    yield from chain.check_alone(export.head)


def _files(export: Export) -> Iterator[Finding]:
    listed = {MANIFEST, SIGNATURE, *export.files()}
    for name, expected in export.files().items():
        path = export.folder / name
        if not path.is_file():
            yield findings.file_missing(name)
        elif _sha256(path) != expected:
            yield findings.file_changed(name)
    for path in sorted((export.folder / "facts").glob("*")):
        if f"facts/{path.name}" not in listed:
            yield findings.file_added(f"facts/{path.name}")


def _sha256(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _facts(export: Export, chain: Chain, witness: Witness) -> Iterator[Finding]:
    """The lines against their hashes, and both against every head that covers them."""
    with (export.folder / "hashes.bin").open("rb") as hashes:

        def kept(first: int, last: int) -> bytes:
            hashes.seek((first - export.first) * HASH)
            return bytes(hashes.read((last - first + 1) * HASH))

        before = Edge(export.beside("before"))
        if before.size != export.first - 1:
            raise NoExport("proof.json does not lead up to the first position")
        comparison = Comparison(export.lines(), kept, before)
        for head in export.heads():
            yield from chain.check(head)
            yield from witness.check(head)
            if chain.genuine and comparison.at <= head.size <= export.last:
                comparison.read(head.size)
                comparison.settle(head)
        comparison.read(export.last)
        comparison.settle(export.head, export.beside("behind"))
        comparison.surplus()
        yield from comparison.findings()
        if chain.last is None or chain.last.signed() != export.head.signed():
            yield findings.head_not_last(export.head.number)


def _stamps(export: Export) -> tuple[list[str], list[Finding]]:
    """Stamps name the head by its hash; whether the authority signed them is not looked at here."""
    good: list[str] = []
    wrong: list[Finding] = []
    signed = {
        f"{head.number}": head.signed()
        for head in (export.heads() if (export.folder / "stamps").exists() else ())
        if (export.folder / f"stamps/{head.number}.tsr").exists()
    }
    for number, text in signed.items():
        if sha256(text).digest() in (export.folder / f"stamps/{number}.tsr").read_bytes():
            good.append(number)
        else:
            wrong.append(findings.stamp_of_another(number))
    return good, wrong


def _meaning(export: Export) -> Iterator[Finding]:
    """Whether every line is a JSON object with the fields of a fact, in their order."""
    for line in export.lines():
        try:
            told = json.loads(line)
            fields = list(told) if isinstance(told, dict) else []
        except (ValueError, RecursionError):
            fields = []
        if fields != FIELDS:
            yield findings.not_a_fact(position_of(line) or 0)
