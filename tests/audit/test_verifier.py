"""What an auditor does away from the server: he verifies an export, and every change is named."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from tests.audit.conftest import SRC, Auditee, verifier
from tests.engine.purses import execute
from tests.engine.sealing import (
    DEEDS,
    Deed,
    cut_off_cleanly,
    delete_last,
    edit_fact_and_its_hash,
    edit_payload,
    fill,
    insert_one,
    unwatched,
)

from medsales.audit.verifier import NoExport, verified
from medsales.engine import audit_export
from medsales.engine.audit_export import Occupied


def test_an_export_that_nobody_touched_is_verified(auditee: Auditee) -> None:
    folder = auditee.export("export", auditee.sealed())
    said = verifier(folder, "--key", auditee.key, "--heads", auditee.outside, "--deep", "--json")
    assert (said.code, said.findings) == (0, [])
    assert (said.told["first"], said.told["last"], said.told["heads"]) == (1, 600, 4)
    text = verifier(folder, "--key", auditee.key, "--heads", auditee.outside).text
    assert text.startswith("verified: the positions 1 to 600 of log")
    assert "核验通过" in text
    assert len(text.splitlines()) == 2


def test_what_was_not_proved_is_said(folder: Path) -> None:
    said = verifier(folder)
    assert said.code == 0
    assert "no key was given to trust: compare " in said.text
    assert "that the end was not cut off is not shown" in said.text
    assert "未提供外部留存的树头" in said.text


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_an_export_of_a_changed_log_is_found_out(deed: Deed, auditee: Auditee) -> None:
    """The server is honest again, the log is not; the head is the last one that is there."""
    head = auditee.sealed()
    with unwatched(auditee.server, auditee.company) as superuser:
        deed(superuser)
    if deed is cut_off_cleanly:
        head = auditee.last_head()
    folder = auditee.export("export", head)
    said = verifier(folder, "--key", auditee.key, "--heads", auditee.outside, "--json")
    # Upper tiles are not exported, they follow from the hashes; nor is what stands at no position.
    left_out = {"tile.changed", "fact.beside_the_log"}
    expected = [one for one in DEEDS[deed] if one[0] not in left_out]
    assert [one for one in said.findings if one[0] != "head.not_last"] == expected
    assert said.code == (1 if expected else 0)


@pytest.mark.parametrize("deed", [edit_payload, edit_fact_and_its_hash, delete_last, insert_one])
def test_an_export_from_before_and_one_from_after_differ_where_it_was_changed(
    deed: Deed, auditee: Auditee
) -> None:
    """An auditor who kept an export can do without the hashes that the server keeps."""
    kept = auditee.export("before", auditee.sealed())
    with unwatched(auditee.server, auditee.company) as superuser:
        deed(superuser)
    after = auditee.export("after", auditee.last_head())
    shutil.copy(kept / "hashes.bin", after / "hashes.bin")
    shutil.copy(kept / "heads.ndjson", after / "heads.ndjson")
    found = [(one.code, one.position) for one in verified(after).findings if one.position]
    about_facts = [one for one in DEEDS[deed] if one[0] in {"fact.changed", "fact.missing"}]
    assert set(about_facts) <= set(found)


# What is done to the export itself


def edit_a_line(folder: Path) -> None:
    replace_in(
        folder / "facts/000000000000001.ndjson", b'"owner":"\xe7\x8e\x8b 137"', b'"owner":"me"'
    )


def swap_two_lines(folder: Path) -> None:
    path = folder / "facts/000000000000001.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4], lines[9] = lines[9], lines[4]
    path.write_bytes(b"".join(lines))


def cut_off_a_line(folder: Path) -> None:
    path = folder / "facts/000000000000001.ndjson"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def repeat_a_line(folder: Path) -> None:
    path = folder / "facts/000000000000001.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:7], lines[6], *lines[7:]]))


def write_nonsense_between(folder: Path) -> None:
    path = folder / "facts/000000000000001.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:7], b"nonsense\n", *lines[7:]]))


def add_a_file_of_facts(folder: Path) -> None:
    source = (folder / "facts/000000000000001.ndjson").read_bytes().splitlines(keepends=True)[-1]
    (folder / "facts/000000000000601.ndjson").write_bytes(source.replace(b":600,", b":601,", 1))


def remove_the_facts(folder: Path) -> None:
    (folder / "facts/000000000000001.ndjson").unlink()


def edit_the_hashes(folder: Path) -> None:
    text = bytearray((folder / "hashes.bin").read_bytes())
    text[32 * 9] ^= 1
    (folder / "hashes.bin").write_bytes(text)


def edit_the_digests(folder: Path) -> None:
    replace_in(folder / "read_models.json", b'"rows": 0', b'"rows": 1')


def edit_the_manifest(folder: Path) -> None:
    replace_in(folder / "manifest.json", b'"company": "', b'"company": "other_')


def edit_the_proof(folder: Path) -> None:
    (folder / "proof.json").write_text(json.dumps({"before": [], "behind": [[0, "00" * 32]]}))


def replace_in(path: Path, one: bytes, other: bytes) -> None:
    text = path.read_bytes()
    assert one in text
    path.write_bytes(text.replace(one, other, 1))


TOUCHES: dict[Callable[[Path], None], list[tuple[str, int | None]]] = {
    edit_a_line: [("file.changed", None), ("fact.changed", 137)],
    swap_two_lines: [("file.changed", None), ("position.twice", 5), ("fact.missing", 5)],
    cut_off_a_line: [("file.changed", None), ("fact.missing", 600)],
    repeat_a_line: [("file.changed", None), ("position.twice", 7)],
    write_nonsense_between: [("file.changed", None), ("line.unreadable", 8)],
    add_a_file_of_facts: [("file.added", None), ("facts.surplus", 601)],
    remove_the_facts: [("file.missing", None), ("fact.missing", 1)],
    edit_the_hashes: [("file.changed", None), ("hash.changed", 10)],
    edit_the_digests: [("file.changed", None)],
    edit_the_manifest: [("manifest.forged", None)],
    edit_the_proof: [("file.changed", None), ("facts.not_signed_over", 601)],
}


@pytest.mark.parametrize("touch", TOUCHES, ids=lambda touch: touch.__name__)
def test_an_export_that_was_touched_is_found_out(
    touch: Callable[[Path], None], folder: Path
) -> None:
    touch(folder)
    found = [(one.code, one.position) for one in verified(folder).findings]
    assert found[0] == TOUCHES[touch][0]
    assert set(TOUCHES[touch]) <= set(found)


def test_a_finding_is_told_in_both_languages_by_exit_code_1(folder: Path) -> None:
    edit_a_line(folder)
    said = verifier(folder)
    assert said.code == 1
    assert "the fact at position 137 is not the one that was sealed" in said.text
    assert "位置 137 的事实与封存时不同" in said.text
    assert "NOT VERIFIED: 2 findings\n  核验未通过：2 处" in said.text


ODD = '{"before": [[1000000000000, "00"]], "behind": [[0]], "format": "medsales audit export 1"}'


@pytest.mark.parametrize("name", ["manifest.json", "keys.json", "heads.ndjson", "proof.json"])
@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", '{"size": Infinity}', "[" * 100_000, ODD])
def test_what_cannot_be_read_is_told_and_never_a_crash(name: str, text: str, folder: Path) -> None:
    (folder / name).write_text(text)
    try:
        report = verified(folder)
    except NoExport as error:
        assert str(error)  # noqa: PT017 - either is right
    else:
        assert report.findings


@pytest.mark.parametrize(
    "name", ["../heads.jsonl", "/etc/passwd", "\ud800", "a\0b", "\x1b[2Jverified: all is well"]
)
def test_a_name_in_the_manifest_is_one_of_a_file_in_the_folder(name: str, folder: Path) -> None:
    """It may neither lead out of it nor write over what is shown."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"].append({"name": name, "sha256": "00"})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    said = verifier(folder)
    assert (said.code, "this cannot be read" in said.text) == (2, True)
    assert "\x1b" not in said.text


@pytest.mark.parametrize("change", [{"key": "\x1b[2Jall is well"}, {"log": "\ud800"}])
def test_a_head_may_say_what_no_console_can_show(change: dict[str, str], folder: Path) -> None:
    heads = folder / "heads.ndjson"
    changed = {**json.loads(heads.read_text().splitlines()[0]), **change}
    heads.write_text(json.dumps(changed) + "\n")
    said = verifier(folder)
    assert (said.code, "\x1b" in said.text) == (1, False)


def test_keys_may_be_nothing_at_all(folder: Path) -> None:
    (folder / "keys.json").write_text("null")
    assert verifier(folder).code == 2


@pytest.mark.parametrize("name", ["facts/000000000000001.ndjson", "hashes.bin"])
def test_what_is_no_file_is_not_waited_for(name: str, folder: Path) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    said = verifier(folder)
    assert (said.code, "is neither a file nor a folder" in said.text) == (2, True)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_console_without_chinese_is_no_reason_to_fail(encoding: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medsales.audit", str(folder)],
        capture_output=True,
        check=False,
        cwd=SRC,
        env={"PYTHONIOENCODING": encoding},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"verified: ")


def test_what_is_no_export_is_told_in_a_sentence(folder: Path) -> None:
    (folder / "manifest.json").write_text("{}")
    said = verifier(folder)
    assert said.code == 2
    assert "is of another format than 'medsales audit export 1'" in said.text


@pytest.mark.parametrize("field", ["first", "last", "head", "files", "key", "log"])
@pytest.mark.parametrize("value", [None, "x", -1, 10**18, [], {}])
def test_a_manifest_may_claim_anything(field: str, value: object, folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, field: value}))
    try:
        report = verified(folder)
    except NoExport as error:
        assert str(error)  # noqa: PT017 - either is right
    else:
        assert "manifest.forged" in [one.code for one in report.findings]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    said = verifier(tmp_path / "nowhere")
    assert (said.code, "No such file" in said.text) == (2, True)


# A part of the log


@pytest.mark.parametrize(("first", "last"), [(1, 600), (1, 1), (600, 600), (257, 512), (99, 433)])
def test_a_part_is_proved_by_the_hashes_beside_it(first: int, last: int, auditee: Auditee) -> None:
    folder = auditee.export("part", auditee.sealed(), first, last)
    assert sum(1 for _ in open_lines(folder)) == last - first + 1
    assert verified(folder).findings == []
    line = next(open_lines(folder))
    path = folder / f"facts/{first:015}.ndjson"
    path.write_bytes(path.read_bytes().replace(line, line.replace(b"ann", b"bob")))
    found = verified(folder).findings
    assert [(one.code, one.position) for one in found] == [
        ("file.changed", None),
        ("fact.changed", first),
    ]


def open_lines(folder: Path) -> Iterator[bytes]:
    for path in sorted((folder / "facts").glob("*")):
        yield from path.read_bytes().splitlines(keepends=True)


def test_facts_come_in_files_of_bounded_size(
    auditee: Auditee, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_export, "FILE", 10_000)
    monkeypatch.setattr(audit_export, "BATCH", 50)
    folder = auditee.export("export", auditee.sealed())
    sizes = [path.stat().st_size for path in (folder / "facts").glob("*")]
    assert len(sizes) > 10
    assert max(sizes) < 10_000 + 50 * 300
    assert verified(folder).findings == []


# Trust


def test_a_key_that_is_not_the_trusted_one_is_told(folder: Path) -> None:
    said = verifier(folder, "--key", "0" * 64, "--json")
    assert (said.code, said.findings) == (1, [("key.not_trusted", None)])


def test_a_log_that_was_set_back_is_seen_by_the_heads_outside(auditee: Auditee) -> None:
    folder = auditee.export("export", auditee.sealed())
    fill(auditee.company, 1)
    auditee.sealed()
    said = verifier(folder, "--heads", auditee.outside, "--json")
    assert (said.code, said.findings) == (1, [("log.cut_off", 601)])
    assert "外部留存有" in verifier(folder, "--heads", auditee.outside).text


def test_only_a_deep_look_reads_the_lines(auditee: Auditee) -> None:
    """A payload that is no JSON was recorded so, and sealed so."""
    execute(
        auditee.company,
        "insert into facts select 'purse:odd', 1, topic, 'no json', 601, gen_random_uuid(),"
        " metadata, effective_at, recorded_at from facts where notification_id = 1",
    )
    folder = auditee.export("export", auditee.sealed())
    assert verifier(folder).code == 0
    said = verifier(folder, "--deep", "--json")
    assert (said.code, said.findings) == (1, [("line.not_a_fact", 601)])


# What it needs


def test_the_verifier_in_the_export_needs_nothing_but_python_and_cryptography(folder: Path) -> None:
    """Run where medsales is not installed, and nothing else may be imported."""
    script = (
        "import runpy, sys\n"
        "class Guard:\n"
        "    def find_spec(self, name, *_):\n"
        "        top = name.partition('.')[0]\n"
        "        if top not in ALLOWED: raise ImportError(name + ' is not allowed')\n"
        "ALLOWED = {*sys.stdlib_module_names, 'cryptography', '_cffi_backend', 'medsales'}\n"
        "sys.meta_path.insert(0, Guard())\n"
        "sys.argv[1:] = ['..']\n"
        "sys.path.insert(0, '.')\n"
        "try: runpy.run_module('medsales.audit', run_name='__main__')\n"
        "except SystemExit as end: code = end.code\n"
        "ours = [m for m in sys.modules if m.startswith('medsales.')]\n"
        "assert all(m.startswith('medsales.audit') for m in ours), ours\n"
        "import medsales.audit; assert 'verifier' in medsales.audit.__file__\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        cwd=folder / "verifier",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "核验通过" in done.stdout


def test_the_exported_verifier_is_the_one_that_is_tested_here(folder: Path) -> None:
    for source in (SRC / "medsales/audit").glob("*.py"):
        assert (folder / "verifier/medsales/audit" / source.name).read_bytes() == (
            source.read_bytes()
        )


# The read models


def test_a_digest_is_what_psql_and_sha256sum_come_to(auditee: Auditee) -> None:
    execute(auditee.company, "insert into balance values ('purse:b', 2, 1), ('purse:A', 3, 1)")
    folder = auditee.export("export", auditee.sealed())
    told = {one["table"]: one for one in json.loads((folder / "read_models.json").read_text())}
    balances = (
        b'{"coins": 2, "facts": 1, "purse": "purse:b"}\n'
        b'{"coins": 3, "facts": 1, "purse": "purse:A"}\n'
    )
    assert told["balance"]["sha256"] == sha256(balances).hexdigest()
    assert told["balance"]["rows"] == 2
    assert told["flow"] == {
        "read_model": "flows",
        "position": 0,
        "table": "flow",
        "rows": 0,
        "sha256": sha256(b"").hexdigest(),
    }


def test_an_export_needs_a_folder_of_its_own(auditee: Auditee) -> None:
    head = auditee.sealed()
    auditee.export("export", head)
    with pytest.raises(Occupied, match="is not empty"):
        auditee.export("export", head)
