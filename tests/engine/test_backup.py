"""A backup made while facts are recorded, restored to any moment: the same log, nothing missing."""

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo
from tests.engine.purses import PutCoins, do, history, must_be_contiguous, new_company, purse
from tests.engine.test_embedded_postgres import quick_disk

from medsales.company import Company
from medsales.engine.backup import (
    LAST,
    Backup,
    BackupFailed,
    Mark,
    back_up,
    backups_in,
    last_backup,
    mark,
    marks,
    restore,
)
from medsales.engine.database import connect
from medsales.engine.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from medsales.engine.seal import Sealer, Sealing

PATIENCE = 60


@contextmanager
def short_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mb-", dir=quick_disk()))
    folder.chmod(0o711)  # the account that runs PostgreSQL for root passes through
    try:
        yield folder
    finally:
        for home in folder.glob("*/pg"):
            EmbeddedPostgres(home.parent).stopped()
        shutil.rmtree(folder)


@dataclass
class Writer:
    """Puts a coin into the purse again and again, and notes when it was told that it is in."""

    company: Company
    purse: str
    told: list[tuple[datetime, int]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    enough: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.enough.is_set():
            receipt = do(self.company, PutCoins(coins=1), self.purse)
            with self.news:
                self.told.append((datetime.now(UTC), receipt.position))
                self.news.notify_all()

    def wait_for_more(self, facts: int = 20) -> None:
        with self.news:
            enough = len(self.told) + facts
            assert self.news.wait_for(lambda: len(self.told) >= enough, PATIENCE)


@contextmanager
def writing(company: Company) -> Iterator[Writer]:
    writer = Writer(company, purse(company))
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield writer
    finally:
        writer.enough.set()
        thread.join()


@dataclass(frozen=True)
class Drill:
    """An installation that was backed up while it was written to, and has gone on since."""

    home: Path
    wal: Path
    backup: Backup
    company: str
    told: list[tuple[datetime, int]]
    midway: datetime
    """After the backup, with facts before and behind it."""
    recorded: list[datetime]
    """When each fact was recorded, by position."""
    logs: list[Mark]
    """The mark of the log at each position."""

    @property
    def place(self) -> Path:
        return Path(self.backup.place)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def drill(folder: Path) -> Drill:
    home, wal = folder / "home", folder / "wal"
    with EmbeddedPostgres(home, wal) as server:
        server.start()
        (home / "secret").write_text("what signs the tokens")
        company = new_company(server.url())
        with writing(company) as writer:
            writer.wait_for_more()
            backup = back_up(server, folder / "backups")
            writer.wait_for_more()
            midway = datetime.now(UTC)
            writer.wait_for_more()
        head = Sealer(company.database, Sealing(home / "seal.key")).seal()
        assert head
        log = history(company)
        recorded = [fact.recorded_at for fact in log]
        with connect(make_conninfo(server.superuser_url(), dbname="medsales")) as conn:
            logs = [mark(conn, company.name, upto) for upto in range(len(log) + 1)]
        company.close()
    assert logs[head.size].root == head.root.hex(), "it is the root that is signed"
    # Stopping closes the last piece of the write-ahead log and keeps it too.
    assert server.stopped()
    return Drill(home, wal, backup, company.name, writer.told, midway, recorded, logs)


def restored(drill: Drill, home: Path, to: datetime | None = None) -> Mark:
    found = restore(drill.place, home, to)
    assert set(found) == {drill.company}
    return found[drill.company]


def test_restored_to_its_end_the_log_is_the_same_to_the_last_fact(
    drill: Drill, folder: Path
) -> None:
    assert restored(drill, folder / "all") == drill.logs[-1]
    assert drill.backup.logs[drill.company].position < len(drill.recorded)
    with EmbeddedPostgres(folder / "all") as server:
        server.start()
        assert marks(server) == {drill.company: drill.logs[-1]}


def test_restored_to_a_moment_it_holds_what_was_acknowledged_and_nothing_recorded_later(
    drill: Drill, folder: Path
) -> None:
    found = restored(drill, folder / "then", drill.midway)
    acknowledged = [position for told, position in drill.told if told <= drill.midway]
    known = [position for position, at in enumerate(drill.recorded, 1) if at <= drill.midway]
    assert max(acknowledged) <= found.position <= max(known) < len(drill.recorded)
    assert found == drill.logs[found.position]


def test_a_restored_installation_goes_on(drill: Drill, folder: Path) -> None:
    home = folder / "goes-on"
    found = restored(drill, home, drill.midway)
    assert (home / "secret").read_text() == "what signs the tokens"
    with EmbeddedPostgres(home, folder / "wal-of-its-own") as server:
        server.start()
        company = new_company(server.url(), drill.company)
        assert do(company, PutCoins(coins=1), "purse:ann").position == found.position + 1
        must_be_contiguous(history(company))
        assert company.follower.verify(company.follower.projections) == []
        company.close()
        back_up(server, folder / "its-backups")


def test_without_the_write_ahead_log_there_is_what_was_acknowledged_before_the_backup(
    drill: Drill, folder: Path
) -> None:
    (folder / "nothing").mkdir()
    (folder / "nothing").chmod(0o755)
    found = restore(drill.place, folder / "bare", wal=[folder / "nothing"])[drill.company]
    before = [position for told, position in drill.told if told <= drill.backup.began_at]
    assert max(before) <= drill.backup.logs[drill.company].position <= found.position
    assert found == drill.logs[found.position]


def test_nothing_is_restored_over_what_is_there(drill: Drill) -> None:
    before = (drill.home / "pg" / "PG_VERSION").stat()
    with pytest.raises(BackupFailed, match="never over it") as failed:
        restore(drill.place, drill.home)
    assert failed.value.code == "restore.home_in_use"
    assert (drill.home / "pg" / "PG_VERSION").stat() == before


def test_a_moment_before_the_backup_or_after_the_end_is_refused(drill: Drill, folder: Path) -> None:
    home = folder / "never"
    with pytest.raises(BackupFailed, match="take an older one"):
        restore(drill.place, home, drill.backup.began_at)
    with pytest.raises(BackupFailed, match="ends before that moment"):
        restore(drill.place, home, datetime.now(UTC) + timedelta(days=1))
    assert not home.exists()
    assert list(folder.glob(".restoring*")) == []


def test_a_damaged_backup_is_refused_and_the_damage_named(drill: Drill, folder: Path) -> None:
    copy = copied(drill, folder / "damaged")
    (largest := max((copy / "pg" / "base").rglob("*"), key=lambda path: path.stat().st_size)).chmod(
        0o600
    )
    with largest.open("r+b") as file:
        file.seek(100)
        byte = file.read(1)[0]
        file.seek(100)
        file.write(bytes([byte ^ 1]))
    (copy / "pg" / "PG_VERSION").unlink()
    with pytest.raises(BackupFailed) as failed:
        restore(copy, folder / "from-damaged")
    assert failed.value.code == "backup.damaged"
    for named in (largest.relative_to(copy / "pg"), "PG_VERSION"):
        assert str(named) in str(failed.value)


def test_a_gap_in_the_write_ahead_log_is_told_not_taken_for_its_end(
    drill: Drill, folder: Path
) -> None:
    broken = folder / "broken-wal"
    shutil.copytree(drill.wal, broken)
    pieces = sorted(broken.glob("????????????????????????.gz"))
    last = int(pieces[-1].name[:24], 16)
    shutil.copy2(pieces[-1], broken / f"{last + 2:024X}.gz")
    for path in (broken, *broken.iterdir()):
        path.chmod(0o755)
    with pytest.raises(BackupFailed, match=f"a gap before {last + 2:024X}"):
        restore(drill.place, folder / "from-broken", wal=[broken])


def test_a_log_that_is_not_the_one_that_was_backed_up_is_found_out(
    drill: Drill, folder: Path
) -> None:
    copy = copied(drill, folder / "forged")
    said = json.loads((copy / "backup.json").read_text())
    said["logs"][drill.company]["root"] = "0" * 64
    (copy / "backup.json").write_text(json.dumps(said))
    with pytest.raises(BackupFailed, match="differs before position"):
        restore(copy, folder / "from-forged")
    assert not (folder / "from-forged").exists()


def copied(drill: Drill, place: Path) -> Path:
    shutil.copytree(drill.place, place, symlinks=True)
    return place


def test_older_backups_go_and_with_them_the_log_that_only_they_needed(
    drill: Drill, folder: Path
) -> None:
    with EmbeddedPostgres(drill.home, drill.wal) as server:
        server.start()
        second = back_up(server, folder / "backups")
        third = back_up(server, folder / "backups", keep=2)
        assert last_backup(server.home) == third
    assert [one.place for one in backups_in(folder / "backups")] == [second.place, third.place]
    server.stopped()
    kept = {path.name[:24] for path in drill.wal.iterdir()}
    assert min(kept) == second.first_wal > drill.backup.first_wal
    home = folder / "from-second"
    assert restore(Path(second.place), home)[drill.company] == drill.logs[-1]


def test_a_backup_belongs_on_another_disk(drill: Drill) -> None:
    with pytest.raises(BackupFailed, match="another disk"):
        back_up(EmbeddedPostgres(drill.home), drill.home / "backups")


def test_what_is_no_backup_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="there is no backup in"):
        restore(tmp_path, tmp_path / "home")
    assert last_backup(tmp_path) is None
    (tmp_path / LAST).write_text("{")
    assert last_backup(tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as somebody else")
def test_an_archive_that_the_server_cannot_write_is_told_before_it_starts(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(folder / "unlucky", closed) as server:
        with pytest.raises(EmbeddedPostgresError, match="MEDSALES_WAL_ARCHIVE") as refused:
            server.start()
        assert refused.value.code == "postgres.archive_unusable"
