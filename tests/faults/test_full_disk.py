"""A disk that is full while facts are appended: refused honestly, and done when there is room."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from secrets import token_hex

import httpx
import psycopg
import pytest
from tests.cli.conftest import Program
from tests.faults.load import Load, Wish, begun, must_have_kept_its_word, registration

from medsales.engine.embedded_postgres import EmbeddedPostgres

SIZE = "200m"


@dataclass(frozen=True)
class Disk:
    """A small one that nobody else uses."""

    place: Path

    @property
    def filler(self) -> Path:
        return self.place / "filler"

    def fill(self) -> None:
        with self.filler.open("wb", buffering=0) as file:
            for piece in (1 << 20, 1 << 12):
                try:
                    while file.write(b"\0" * piece):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        self.filler.unlink()


@pytest.fixture
def disk() -> Iterator[Disk]:
    place = Path(tempfile.mkdtemp(prefix="md-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=711", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        place.rmdir()
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(place)
    finally:
        EmbeddedPostgres(place / "home").stopped()
        subprocess.run(["umount", str(place)], check=True)
        shutil.rmtree(place)


def test_what_the_tables_have_no_room_for_is_refused_and_done_when_there_is(disk: Disk) -> None:
    home = disk.place / "home"
    with Program(home) as program:
        server = program.serve()
        load = begun(program, server.url())
        with load.running(), httpx.Client(timeout=30, trust_env=False) as client:
            load.wait_for(40)
            begin_new_pieces(home, 1)  # so that the write-ahead log has room, and only the rest not
            disk.fill()
            refused, answer = asked_until_refused(load, client)
            assert (answer.status_code, answer.json()["code"]) == (503, "database.disk_full")
            disk.free()
            load.insist(client, refused)
        must_have_kept_its_word(program, load)
        assert server.process.poll() is None


def asked_until_refused(load: Load, client: httpx.Client) -> tuple[Wish, httpx.Response]:
    """Facts that are large and cannot be compressed."""
    for n in count():
        long = f"?effective_at=2026-01-01T00:00:00Z&reason={token_hex(1900)}"
        body = registration(f"more-{n}")
        wish = Wish(f"more-{n}", f"/customers/register-customer{long}", body)
        answer = load.sent(client, wish)
        assert answer is not None
        if answer.status_code != 200:
            return wish, answer
        load.receipts[wish.key] = answer
    raise AssertionError


def test_a_server_without_room_for_its_own_log_stops_and_comes_back_by_itself(disk: Disk) -> None:
    home = disk.place / "home"
    with Program(home) as program:
        server = program.serve()
        load = begun(program, server.url())
        with load.running():
            load.wait_for(40)
            disk.fill()
            with pytest.raises(psycopg.OperationalError):
                begin_new_pieces(home, 40)
            # It does not pretend: what it cannot write down it does not do, and it stops.
            load.wait_until(lambda: load.codes["database.unreachable"])
            disk.free()
        must_have_kept_its_word(program, load)
        assert server.process.poll() is None


def begin_new_pieces(home: Path, pieces: int) -> None:
    """Of the write-ahead log; each takes all of its room at once."""
    url = EmbeddedPostgres(home).superuser_url()
    with psycopg.connect(url, autocommit=True) as conn:
        for _ in range(pieces):
            conn.execute("select pg_switch_wal()")
            conn.execute("select pg_logical_emit_message(true, 'medsales', 'full')")
