"""The seal: what is hashed, signed and told outside, and that no change of the past goes unseen."""

import stat
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from tests.engine.conftest import Server
from tests.engine.purses import at_once, execute, purse, query, until
from tests.engine.sealing import (
    DEEDS,
    Deed,
    Superuser,
    check,
    codes,
    cut_off_cleanly,
    edit_payload,
    edit_tile,
    fill,
    lines_of,
    sealed,
    sealer_of,
    unwatched,
)

from medsales.audit.chain import Chain
from medsales.audit.heads import Head, head_from_line
from medsales.audit.merkle import (
    leaf_hash,
    root,
)
from medsales.company import Company
from medsales.engine import witness
from medsales.engine.embedded_postgres import installed
from medsales.engine.seal import OtherKey, insert_key, take_successor
from medsales.engine.seal_check import checked
from medsales.engine.sealed import NotSealed, heads, keys_of, last_head, log_of, proof
from medsales.engine.sealing_key import key_in
from medsales.engine.tiles import SealBroken

pytestmark = pytest.mark.parametrize("server", ["postgres18"], indirect=True)
"""It is the same on every server; test_tiles.py looks at all of them."""


# Heads


def test_an_empty_log_is_not_sealed(company: Company, tmp_path: Path) -> None:
    assert sealer_of(company, tmp_path).seal() is None


def test_nothing_is_signed_when_nothing_is_new(company: Company, tmp_path: Path) -> None:
    fill(company, 3)
    assert sealed(company, tmp_path) == sealed(company, tmp_path)
    fill(company, 1)
    assert sealed(company, tmp_path).number == 2


def test_each_head_is_signed_and_links_to_the_one_before(company: Company, tmp_path: Path) -> None:
    for _ in range(4):
        fill(company, 2)
        sealed(company, tmp_path)
    with company.database.cursor() as db:
        made, keys = list(heads(db)), keys_of(db)
    assert [head.size for head in made] == [2, 4, 6, 8]
    chain = Chain(made[0].log, keys)
    assert [finding for head in made for finding in chain.check(head)] == []
    changed = replace(made[1], size=5)
    assert [one.code for one in Chain(made[0].log, keys).check_alone(changed)] == ["head.forged"]


def test_what_is_signed_is_text_that_any_tool_can_check(company: Company, tmp_path: Path) -> None:
    """docs/sealing.md shows this; `openssl pkeyutl` knows nothing of us."""
    fill(company, 3)
    head = sealed(company, tmp_path)
    with company.database.cursor() as db:
        (key,) = keys_of(db)
    assert key.id == head.key == sha256(key.public).hexdigest()
    # The twelve bytes that every Ed25519 public key in DER begins with.
    der = bytes.fromhex("302a300506032b6570032100") + key.public
    pem = f"-----BEGIN PUBLIC KEY-----\n{b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"
    (tmp_path / "key.pem").write_text(pem)
    (tmp_path / "text").write_bytes(head.signed())
    (tmp_path / "signature").write_bytes(head.signature)
    command = "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in text -sigfile signature"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)


def test_sealers_at_the_same_time_seal_every_fact_once(company: Company, tmp_path: Path) -> None:
    fill(company, 500)

    def work(n: int) -> Head:
        fill_safely(company, n)
        return sealed(company, tmp_path, file=tmp_path / "heads.jsonl")

    made = at_once(4, work)
    assert max(head.size for head in made) == 504
    assert codes(check(company, tmp_path)) == []


def fill_safely(company: Company, n: int) -> None:
    purse(company, f"racer {n}")


# Proofs


def test_what_is_not_sealed_yet_has_no_proof(company: Company, tmp_path: Path) -> None:
    fill(company, 2)
    with company.database.reading() as db, pytest.raises(NotSealed):
        proof(db, 1)
    sealed(company, tmp_path)
    fill(company, 1)
    with company.database.reading() as db:
        assert proof(db, 2) is not None
        assert proof(db, 4) is None
        with pytest.raises(NotSealed, match="position 3 is not sealed yet; the seal covers 2"):
            proof(db, 3)


# Superusers


@pytest.fixture
def life(company: Company, tmp_path: Path) -> Company:
    """A log of 600 facts and four heads, which are known outside as well."""
    for size in (100, 200, 255, 45):
        fill(company, size)
        sealed(company, tmp_path, file=tmp_path / "heads.jsonl")
    return company


def test_a_log_that_nobody_changed_is_as_it_was_sealed(life: Company, tmp_path: Path) -> None:
    fill(life, 5)
    found = check(life, tmp_path)
    assert (found.findings, found.facts) == ([], 605)
    assert found.head is not None
    assert found.head.size == 600


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_a_superuser_is_found_out(
    deed: Deed, server: Server, life: Company, tmp_path: Path
) -> None:
    with unwatched(server, life) as superuser:
        deed(superuser)
    assert codes(check(life, tmp_path)) == DEEDS[deed]


def test_a_second_fact_at_a_position_is_seen_also_where_a_batch_ends(
    server: Server, company: Company, tmp_path: Path
) -> None:
    fill(company, 4100)
    sealed(company, tmp_path)
    with unwatched(server, company) as superuser:
        superuser.execute("drop index facts_notification_id_idx")
        superuser.execute(
            "insert into facts select 'purse:double', 1, topic, state, 4096, gen_random_uuid(),"
            " metadata, effective_at, recorded_at from facts where notification_id = 4096"
        )
    assert ("position.twice", 4096) in codes(checked(company.database))


def test_a_restored_old_backup_is_named(server: Server, company: Company, tmp_path: Path) -> None:
    """A real one, by pg_dump and pg_restore."""
    outside = tmp_path / "heads.jsonl"
    programs, schema = next(installed()).folder, company.database.schema
    address = psycopg.conninfo.make_conninfo(server.superuser_url, dbname="medsales")
    fill(company, 300)
    sealed(company, tmp_path, file=outside)
    dump = [f"{programs}/pg_dump", "-Fc", f"--schema={schema}", f"--file={tmp_path}/dump", address]
    subprocess.run(dump, check=True)
    fill(company, 20)
    sealed(company, tmp_path, file=outside)
    with server.connect(company, superuser=True) as superuser:
        superuser.execute(f"drop schema {schema} cascade")
    restore = [f"{programs}/pg_restore", f"--dbname={address}", f"{tmp_path}/dump"]
    subprocess.run(restore, check=True)
    assert codes(check(company, tmp_path)) == [("log.cut_off", 301)]
    fill(company, 1)
    with pytest.raises(SealBroken, match="the end was cut off, or an old backup restored"):
        sealed(company, tmp_path, file=outside)


def test_an_old_backup_that_is_written_on_is_a_fork(
    server: Server, life: Company, tmp_path: Path
) -> None:
    with unwatched(server, life) as superuser:
        cut_off_cleanly(superuser)
    fill(life, 10)
    # Sealed again where nobody compares with what is known outside.
    for _ in range(2):
        sealed(life, tmp_path)
        fill(life, 1)
    found = check(life, tmp_path)
    assert codes(found) == [("log.forked", None), ("log.forked", None)]
    assert "head 3 is not the one that is known outside" in found.findings[0].en


def test_without_a_witness_a_cut_off_end_is_not_seen(
    server: Server, life: Company, tmp_path: Path
) -> None:
    """The limit that docs/sealing.md names: why heads are written down outside."""
    with unwatched(server, life) as superuser:
        cut_off_cleanly(superuser)
    assert codes(checked(life.database)) == []
    assert codes(check(life, tmp_path)) == [("log.cut_off", 301)]


def test_heads_signed_anew_with_another_key_are_not_trusted(
    server: Server, life: Company, tmp_path: Path
) -> None:
    with life.database.cursor() as db:
        trusted = keys_of(db)[0].id
    with unwatched(server, life) as superuser:
        for table in ("seal_heads", "seal_keys"):
            superuser.execute(f"delete from {table}")
    (tmp_path / "his").mkdir()
    sealed(life, tmp_path / "his")
    assert codes(checked(life.database)) == []
    assert codes(checked(life.database, trusted=trusted)) == [("key.not_trusted", None)]
    assert [code for code, _ in codes(check(life, tmp_path))][-1] == "log.cut_off"


def test_a_key_is_trusted_but_not_whoever_claims_to_have_been_before_it(
    server: Server, life: Company, tmp_path: Path
) -> None:
    """He vouches for the true key, so it is in his log; it never took over from him."""
    with life.database.cursor() as db:
        (true,) = keys_of(db)
    with unwatched(server, life) as superuser:
        for table in ("seal_heads", "seal_keys", "seal_tiles"):
            superuser.execute(f"delete from {table}")
        edit_payload(superuser)
    his = sealer_of(life, tmp_path / "his")
    his.seal()
    his_key = key_in(tmp_path / "his/seal.key")
    after = replace(true, signed_by=his_key.id)
    vouched = replace(after, signature=his_key.sign(after.signed(log_in(life))) * 2)
    with life.database.writing() as db:
        insert_key(db, vouched)
    found = codes(checked(life.database, trusted=true.id))
    assert ("key.forged", None) in found
    assert ("key.not_trusted", None) in found


def begin_anew(superuser: Superuser) -> None:
    """Another past, never sealed, under a number of its own: no key is needed for that."""
    for table in ("seal_heads", "seal_keys", "seal_tiles"):
        superuser.execute(f"delete from {table}")
    superuser.execute("alter table seal_log disable trigger all")
    superuser.execute("update seal_log set log = gen_random_uuid()")
    edit_payload(superuser)


def test_a_log_that_was_begun_anew_is_not_sealed_and_is_named(
    server: Server, life: Company, tmp_path: Path
) -> None:
    with unwatched(server, life) as superuser:
        begin_anew(superuser)
    assert codes(check(life, tmp_path)) == [("log.replaced", None)]
    with pytest.raises(SealBroken, match="this company has another log"):
        sealed(life, tmp_path, file=tmp_path / "heads.jsonl")
    # Where nobody compared, the true key has sealed it.
    sealed(life, tmp_path)
    assert codes(check(life, tmp_path)) == [("log.replaced", None)]


def test_heads_outside_of_other_logs_alone_prove_nothing(company: Company, tmp_path: Path) -> None:
    fill(company, 1)
    head = sealed(company, tmp_path)
    other = replace(head, log="another")
    assert [one.code for one in checked(company.database, [other.line()]).findings] == [
        "outside.of_other_logs"
    ]
    assert checked(company.database, [other.line("another"), head.line()]).findings == []


def log_in(company: Company) -> str:
    with company.database.cursor() as db:
        return log_of(db)


def test_a_damaged_line_outside_is_named(life: Company, tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2][:40] + b"\n", lines[3]]))
    assert codes(check(life, tmp_path)) == [("outside.forged", None)]


@pytest.mark.parametrize(
    "statement",
    [
        "update seal_heads set size = 1",
        "delete from seal_heads",
        "truncate seal_heads cascade",
        "update seal_keys set public = ''",
        "delete from seal_witnesses",
        "update seal_log set log = gen_random_uuid()",
        "delete from seal_tiles",
        "truncate seal_tiles",
        "update seal_tiles set hashes = overlay(hashes placing sha256('x') from 33)",
        "update seal_tiles set hashes = substr(hashes, 1, 32) where octet_length(hashes) > 32",
        "update seal_tiles set tile = tile + 7",
    ],
)
def test_the_application_cannot_change_what_was_sealed(life: Company, statement: str) -> None:
    with pytest.raises(Exception, match=r"is refused: (what happened|a tile only grows)"):
        execute(life, statement)


# The sealer does not go on


@pytest.mark.parametrize(
    ("deed", "code"),
    [
        ("delete_last", "fact.missing"),
        ("edit_upper_tile", "facts.not_signed_over"),
        ("edit_last_head", "head.forged"),
        ("cut_off_cleanly", "log.cut_off"),
    ],
)
def test_nothing_is_signed_over_what_was_changed(
    deed: str, code: str, server: Server, life: Company, tmp_path: Path
) -> None:
    done = next(each for each in DEEDS if each.__name__ == deed)
    with unwatched(server, life) as superuser:
        done(superuser)
    before = query(life, "select * from seal_heads")
    with pytest.raises(SealBroken) as broken:
        sealed(life, tmp_path, file=tmp_path / "heads.jsonl")
    assert broken.value.finding.code == code
    assert query(life, "select * from seal_heads") == before


def test_an_edited_old_hash_does_not_get_into_a_new_head(
    server: Server, life: Company, tmp_path: Path
) -> None:
    with unwatched(server, life) as superuser:
        edit_tile(superuser)
    fill(life, 1)
    assert sealed(life, tmp_path).root == root([leaf_hash(line) for line in lines_of(life)])
    assert codes(check(life, tmp_path)) == DEEDS[edit_tile]


def test_a_gap_in_the_log_is_not_sealed_over(
    server: Server, company: Company, tmp_path: Path
) -> None:
    fill(company, 10)
    with unwatched(server, company) as superuser:
        superuser.execute("delete from facts where notification_id = 5")
    with pytest.raises(SealBroken, match="the fact at position 5 is missing"):
        sealed(company, tmp_path)


# Keys


def test_the_key_is_made_once_for_its_owner_only(company: Company, tmp_path: Path) -> None:
    fill(company, 1)
    sealed(company, tmp_path)
    made = (tmp_path / "seal.key").read_bytes()
    assert stat.S_IMODE((tmp_path / "seal.key").stat().st_mode) == 0o600
    fill(company, 1)
    sealed(company, tmp_path)
    assert (tmp_path / "seal.key").read_bytes() == made


def test_another_installation_cannot_go_on_with_its_own_key(
    company: Company, tmp_path: Path
) -> None:
    fill(company, 1)
    sealed(company, tmp_path)
    (tmp_path / "other").mkdir()
    fill(company, 1)
    with pytest.raises(OtherKey, match="is sealed with the key"):
        sealed(company, tmp_path / "other")


def test_a_key_is_followed_by_one_that_it_vouches_for(company: Company, tmp_path: Path) -> None:
    fill(company, 1)
    first = sealed(company, tmp_path)
    sealer = sealer_of(company, tmp_path)
    successor = sealer.rotate()
    assert sealer.rotate() == successor  # interrupted and given again
    fill(company, 1)
    with pytest.raises(OtherKey):
        sealer.seal()
    take_successor(tmp_path / "seal.key")
    second = sealed(company, tmp_path)
    assert (second.key, successor.signed_by) == (successor.id, first.key)
    assert codes(checked(company.database, trusted=first.key)) == []
    assert stat.S_IMODE((tmp_path / "seal.key").stat().st_mode) == 0o600


def test_a_key_that_nobody_vouches_for_is_named(
    server: Server, company: Company, tmp_path: Path
) -> None:
    fill(company, 1)
    sealed(company, tmp_path)
    sealer_of(company, tmp_path).rotate()
    with unwatched(server, company) as superuser:
        superuser.execute(
            "update seal_keys set signature = sha512('x') || sha512('y')"
            " where signed_by is not null"
        )
    assert codes(checked(company.database)) == [("key.forged", None)]


@pytest.mark.parametrize(
    ("text", "sentence"), [("nonsense", "holds no private key"), ("rsa", "of another kind")]
)
def test_a_file_that_is_no_key_is_told(
    text: str, sentence: str, company: Company, tmp_path: Path
) -> None:
    fill(company, 1)
    if text == "rsa":
        command = ["openssl", "genpkey", "-algorithm", "RSA", "-out", str(tmp_path / "seal.key")]
        subprocess.run(command, check=True, capture_output=True)
    else:
        (tmp_path / "seal.key").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        sealed(company, tmp_path)


# Outside


def test_each_head_is_written_down_once_and_what_was_missed_is_caught_up(
    company: Company, tmp_path: Path
) -> None:
    path = tmp_path / "far" / "heads.jsonl"
    for with_file in (True, False, False, True, True):
        fill(company, 1)
        sealed(company, tmp_path, file=path if with_file else None)
    sealed(company, tmp_path, file=path)
    told = [head_from_line(line) for line in path.read_bytes().splitlines()]
    with company.database.cursor() as db:
        assert told == list(heads(db))


def test_the_last_head_is_found_at_the_end_of_a_long_file_of_several_logs(
    company: Company, neighbour: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "TAIL", 100)
    path = tmp_path / "heads.jsonl"
    for one in (company, company, *[neighbour] * 5):
        fill(one, 1)
        head = sealed(one, tmp_path, file=path)
    with path.open("ab") as file:
        file.write(b'{"half":')
    with company.database.cursor() as db:
        last = last_head(db)
    assert last is not None
    assert witness.last_in(path, last.log) == last
    assert witness.last_in(path, head.log) == head
    assert witness.last_in(path, "another") is None
    fill(company, 1)
    assert sealed(company, tmp_path, file=path).number == 3
    assert witness.last_in(path, last.log) != last


class Outside(BaseHTTPRequestHandler):
    """Answers as it is told to, and remembers what it was sent."""

    said: ClassVar[list[bytes]]
    answer: ClassVar[Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.said.append(body)
        status, answer = self.answer(body)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def listening(answer: Any) -> Iterator[tuple[str, list[bytes], type[Outside]]]:
    class Told(Outside):
        said: ClassVar[list[bytes]] = []

    Told.answer = staticmethod(answer)
    handler: type[Outside] = Told
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", handler.said, handler
        server.shutdown()
        thread.join()


def test_a_webhook_is_told_each_head_and_told_again_when_it_failed(
    company: Company, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    statuses = iter([500, 200, 200])
    with listening(lambda _: (next(statuses), b"thanks")) as (url, said, _):
        fill(company, 1)
        first = sealed(company, tmp_path, webhook=url)
        assert "could not be told" in caplog.text
        assert sealed(company, tmp_path, webhook=url) == first
        fill(company, 1)
        second = sealed(company, tmp_path, webhook=url)
        sealed(company, tmp_path, webhook=url)
    assert [head_from_line(line) for line in said] == [first, first, second]


def test_a_webhook_that_is_away_does_not_stop_the_sealing(
    company: Company, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(company, 1)
    head = sealed(company, tmp_path, webhook="http://127.0.0.1:1/", file=tmp_path / "h")
    assert witness.last_in(tmp_path / "h", head.log) == head
    assert "could not be told" in caplog.text


def authority(home: Path) -> Any:
    """A small RFC 3161 authority, by openssl."""
    (home / "serial").write_text("01\n")
    (home / "tsa.cnf").write_text(
        "[req]\ndistinguished_name=dn\nx509_extensions=tsa_ext\nprompt=no\n[dn]\nCN=Test TSA\n"
        "[tsa_ext]\nextendedKeyUsage=critical,timeStamping\n"
        f"[tsa]\ndefault_tsa=one\n[one]\nserial={home}/serial\nsigner_digest=sha256\n"
        "default_policy=1.2.3.4\ndigests=sha256,sha512\ness_cert_id_alg=sha256\n"
    )
    _openssl(home, "req -x509 -newkey rsa:2048 -nodes -config tsa.cnf -keyout tsa.key -out tsa.pem")

    def answer(body: bytes) -> tuple[int, bytes]:
        (home / "query").write_bytes(body)
        _openssl(
            home,
            "ts -reply -config tsa.cnf -section one -queryfile query -signer tsa.pem"
            " -inkey tsa.key -out reply",
        )
        return 200, (home / "reply").read_bytes()

    return answer


def _openssl(home: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=home, check=True, capture_output=True)


def test_an_authority_stamps_a_head_and_openssl_agrees(company: Company, tmp_path: Path) -> None:
    with listening(authority(tmp_path)) as (url, _, _):
        fill(company, 3)
        head = sealed(company, tmp_path, authority=url)
    (told,) = query(company, "select * from seal_witnesses")
    assert (told["head"], told["way"]) == (1, "timestamp")
    (tmp_path / "head.tsr").write_bytes(told["answer"])
    (tmp_path / "head.txt").write_bytes(head.signed())
    verify = "ts -verify -in head.tsr -data head.txt -CAfile tsa.pem"
    _openssl(tmp_path, verify)
    (tmp_path / "head.txt").write_bytes(replace(head, size=4).signed())
    with pytest.raises(subprocess.CalledProcessError):
        _openssl(tmp_path, verify)


def no_timestamp(_: bytes) -> tuple[int, bytes]:
    return 200, b"no timestamp"


def test_a_stamp_for_something_else_is_not_kept(
    company: Company, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stamp = authority(tmp_path)
    first: list[tuple[int, bytes]] = []

    def always_the_first(body: bytes) -> tuple[int, bytes]:
        first[:] = first or [stamp(body)]
        return first[0]

    with listening(always_the_first) as (url, _, handler):
        for _ in range(2):
            fill(company, 1)
            sealed(company, tmp_path, authority=url)
        assert "stamped something else" in caplog.text
        handler.answer = staticmethod(no_timestamp)
        sealed(company, tmp_path, authority=url)
        assert "did not answer with a timestamp" in caplog.text
    assert [row["head"] for row in query(company, "select head from seal_witnesses")] == [1]


# The worker


def test_the_worker_seals_what_is_new_by_itself(company: Company, tmp_path: Path) -> None:
    sealer = sealer_of(company, tmp_path, every=0.1)
    worker = replace(company, sealer=sealer).worker()
    worker.start()
    try:
        for size in (1, 2):
            purse(company, f"p{size}")
            until(partial(has_head_of, company, size))
    finally:
        worker.stop()
    assert sealer.thread is not None
    assert not sealer.thread.is_alive()


def has_head_of(company: Company, size: int) -> bool:
    return size in [row["size"] for row in query(company, "select size from seal_heads")]


def test_a_broken_seal_is_told_and_the_worker_goes_on(
    server: Server, life: Company, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with unwatched(server, life) as superuser:
        superuser.execute("delete from facts where notification_id = 600")
    sealer = sealer_of(life, tmp_path)
    sealer.step()
    sealer.finish()
    assert "the fact at position 600 is missing" in caplog.text
    assert sealer.broken is not None, "what /metrics shows as medsales_seal_broken"


def test_a_lost_database_is_waited_for(
    company: Company, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sealer = sealer_of(company, tmp_path)
    company.database.close()
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the pool says
        sealer.seal()
    sealer.step()
    sealer.finish()
    assert "sealing" in caplog.text
