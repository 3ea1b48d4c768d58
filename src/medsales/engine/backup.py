"""Backing up the embedded server while it works, and restoring it as it was at a moment.

A backup is a folder:

    backup.json   when it was made, of which version, and how far each company's log was
    pg/           the data, with a manifest of PostgreSQL's that tells a checksum of every file
    home/         what else the data folder held: the secret, keys

With the write-ahead log that the server keeps beside it (`MEDSALES_WAL_ARCHIVE`) the data is
brought forward from there to any later moment.
"""

import fcntl
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from hashlib import file_digest, sha256
from pathlib import Path
from typing import NoReturn

from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from medsales.audit.merkle import Edge, leaf_hash
from medsales.engine import schema
from medsales.engine.database import connect, schema_of
from medsales.engine.embedded_postgres import (
    ITS_OWN,
    PRIVATE,
    EmbeddedPostgres,
    EmbeddedPostgresError,
    clean_environment,
    locked,
)
from medsales.engine.sealed import lines

LAST = "last-backup.json"
"""In home: where the last backup was put, for whoever asks how old it is."""
UNFINISHED = ".unfinished-"
AUTO_CONF = "postgresql.auto.conf"
PIECE = re.compile(r"[0-9A-F]{24}")
"""A piece of the write-ahead log is named for its timeline (8 digits) and its number."""
BATCH = 5000
LONGEST_RECOVERY = 7 * 86400
"""Seconds. Only so that nothing waits for ever."""


class BackupFailed(Exception):
    """There is no backup, or nothing was restored: a stable code and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Mark:
    """How far a log was, and what it said up to there: two logs with the same mark are the same."""

    position: int
    root: str
    """Of the Merkle tree over all facts up to there: the one that a seal would sign."""


@dataclass(frozen=True)
class Backup:
    """What a backup says of itself."""

    began_at: datetime
    made_at: datetime
    """Whatever was acknowledged before `began_at` is in it; from `made_at` on it can be used."""
    postgres: str
    size: int
    first_wal: str
    """The first piece of the write-ahead log that a restore reads."""
    archive: str | None
    logs: dict[str, Mark]
    place: str = ""


_backups = TypeAdapter(Backup)


# Making one


def back_up(server: EmbeddedPostgres, folder: Path, keep: int | None = None) -> Backup:
    """A verified copy in a folder of its own below `folder`; older ones than `keep` are removed.

    Facts are recorded meanwhile. Raises BackupFailed.
    """
    folder = folder.resolve()
    if server.home in (folder, *folder.parents):
        raise BackupFailed(
            "backup.folder_inside",
            f"{folder} is in the data folder itself; a backup belongs on another disk",
        )
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    with _only_one(folder):
        began_at = datetime.now(UTC)
        aside = folder / f"{UNFINISHED}{began_at:%Y%m%dT%H%M%S.%fZ}"
        place = folder / f"{began_at:%Y%m%dT%H%M%S.%fZ}"
        try:
            made = _made(server, aside, place, began_at)
            aside.rename(place)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        write_last(server.home, made)
        if keep:
            _forget(server, folder, keep)
    return made


def _made(server: EmbeddedPostgres, aside: Path, place: Path, began_at: datetime) -> Backup:
    logs = marks(server)
    aside.mkdir(mode=PRIVATE)
    address = make_conninfo(server.superuser_url(), dbname="")
    given = ("-D", aside / "pg", "-d", address, "-X", "stream", "-c", "fast")
    _run("made", server.program("pg_basebackup"), *given, "--manifest-checksums=SHA256")
    must_be_whole(aside)
    _copy_the_rest(server, aside / "home")
    made = Backup(
        began_at,
        datetime.now(UTC),
        (aside / "pg" / "PG_VERSION").read_text().strip(),
        _size(aside),
        _first_wal(aside),
        str(server.archive) if server.archive else None,
        logs,
        str(place),
    )
    (aside / "backup.json").write_bytes(_backups.dump_json(made, indent=2))
    return made


def must_be_whole(backup: Path) -> None:
    """Every file has the checksum that PostgreSQL put into its manifest. Raises BackupFailed.

    Not by pg_verifybackup: that of the wheel does not run (patched after it was built, it crashes
    while being loaded), and none reads the manifest of a later version.
    """
    damaged = [*_damaged(backup / "pg")]
    if damaged:
        some = ", ".join(damaged[:3]) + (", …" if damaged[3:] else "")
        raise BackupFailed("backup.damaged", f"{backup} is damaged: {some}")


def _damaged(data: Path) -> Iterator[str]:
    """Files that are missing, or are not as they were written. WAL has checksums of its own."""
    try:
        text = (data / "backup_manifest").read_bytes()
        told = from_json(text)
        files = {_path_in(one): one["Checksum"] for one in told["Files"]}
    except (OSError, ValueError, LookupError):
        yield "backup_manifest"
        return
    # The last line, with the checksum of those before, would not cover itself.
    if sha256(text[: text.rindex(b'"Manifest-Checksum"')]).hexdigest() != told["Manifest-Checksum"]:
        yield "backup_manifest"
    for path, checksum in files.items():
        if _checksum(data / path) != checksum:
            yield path


def _path_in(entry: dict[str, str]) -> str:
    return entry["Path"] if "Path" in entry else bytes.fromhex(entry["Encoded-Path"]).decode()


def _checksum(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def backups_in(folder: Path) -> list[Backup]:
    """The oldest first."""
    return [found_in(place.parent) for place in sorted(folder.glob("*/backup.json"))]


def found_in(place: Path) -> Backup:
    """What the backup in this folder says of itself. Raises BackupFailed if there is none."""
    try:
        return _backups.validate_json((place / "backup.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise BackupFailed("backup.unknown", f"there is no backup in {place}") from error


def last_backup(home: Path) -> Backup | None:
    """The last that was made of this installation, wherever it is now."""
    try:
        return _backups.validate_json((home / LAST).read_bytes())
    except (OSError, ValidationError):
        return None


def write_last(home: Path, made: Backup) -> None:
    aside = home / f".new-{LAST}"
    aside.write_bytes(_backups.dump_json(made))
    aside.rename(home / LAST)


def _forget(server: EmbeddedPostgres, folder: Path, keep: int) -> None:
    """Removes older backups, and the write-ahead log that only they would have needed."""
    known = backups_in(folder)
    for old in known[:-keep]:
        shutil.rmtree(folder / Path(old.place).name)
    oldest = known[-keep:][0].first_wal
    for piece in server.archive.iterdir() if server.archive else ():
        if PIECE.match(piece.name) and piece.name[8:24] < oldest[8:]:
            piece.unlink()


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    fd = os.open(folder / "backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not locked(fd, fcntl.LOCK_EX):
            raise BackupFailed("backup.running", f"another backup is being made in {folder}")
        for left_behind in folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left_behind)
        yield
    finally:
        os.close(fd)


def _copy_the_rest(server: EmbeddedPostgres, to: Path) -> None:
    to.mkdir(mode=PRIVATE)
    for path in server.home.iterdir():
        its_own = any(fnmatch(path.name, pattern) for pattern in (*ITS_OWN, LAST))
        if its_own or path == server.archive:
            continue
        if path.is_dir():
            shutil.copytree(path, to / path.name, symlinks=True)
        elif path.is_file():
            shutil.copy2(path, to / path.name)


def _first_wal(backup: Path) -> str:
    label = (backup / "pg" / "backup_label").read_text()
    return label.partition("(file ")[2].partition(")")[0]


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


# What the logs say


def marks(server: EmbeddedPostgres) -> dict[str, Mark]:
    """The mark of every company's log as it is now."""
    url = make_conninfo(server.superuser_url(), dbname="medsales")
    names = schema.companies(url)
    with connect(url) as conn:
        return {name: mark(conn, name) for name in names}


def mark(conn: Connection[DictRow], company: str, upto: int | None = None) -> Mark:
    """The same root that the seal has for so many facts, but made from the facts themselves."""
    conn.execute(SQL("set search_path to {}").format(Identifier(schema_of(company))))
    db, edge = conn.cursor(), Edge()
    end = _head(conn) if upto is None else upto
    while some := lines(db, edge.size, end, BATCH):
        edge.extend([leaf_hash(line) for _, line in some])
    return Mark(edge.size, edge.root().hex())


def _head(conn: Connection[DictRow]) -> int:
    row = conn.execute("select coalesce(max(notification_id), 0) as head from facts").fetchone()
    assert row is not None
    return int(row["head"])


# Restoring


def restore(
    place: Path, home: Path, to: datetime | None = None, wal: Sequence[Path] = ()
) -> dict[str, Mark]:
    """A new installation in `home`, as all was at a moment, or at the end of what there is.

    Every log begins with what the backup had noted. Raises BackupFailed or EmbeddedPostgresError.
    """
    made, home = found_in(place), home.resolve()
    _must_be_new(home)
    if to and to < made.made_at:
        raise BackupFailed(
            "restore.too_early",
            f"this backup was ready at {made.made_at.isoformat()}; take an older one for {to}",
        )
    folders = wal or ([Path(made.archive)] if made.archive else [])
    with _aside(home) as server:
        must_be_whole(place)
        _fill(server, place)
        _must_be_readable(server, made, folders)
        found = _recovered(server, made, folders, to)
        server.close()
        server.stopped()
        # Its own settings again, without the instructions to recover.
        shutil.copyfile(place / "pg" / AUTO_CONF, server.data / AUTO_CONF)
        server.home.rename(home)
    return found


@contextmanager
def _aside(home: Path) -> Iterator[EmbeddedPostgres]:
    """A server in a folder beside, which is removed unless it has got its name."""
    server = EmbeddedPostgres(home.with_name(f".restoring-{home.name}"))
    try:
        yield server
    finally:
        server.close()
        server.stopped()
        shutil.rmtree(server.home, ignore_errors=True)


def _must_be_new(home: Path) -> None:
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise BackupFailed(
            "restore.home_in_use",
            f"{home} is not empty; a backup is restored beside what is there, never over it: name "
            "a new folder, or move the old one away",
        )


def _fill(server: EmbeddedPostgres, place: Path) -> None:
    EmbeddedPostgres(server.home).stopped()  # of a restore that was killed
    shutil.rmtree(server.home, ignore_errors=True)
    server.home.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(place / "home", server.home, symlinks=True)
    server.home.chmod(PRIVATE if os.geteuid() else 0o711)
    account = server.account
    shutil.copytree(place / "pg", server.data, symlinks=True)
    for path in (server.data, *server.data.rglob("*")):
        account.own(path)
    server.data.chmod(PRIVATE)


def _must_be_readable(server: EmbeddedPostgres, made: Backup, wal: Iterable[Path]) -> None:
    """Otherwise the server would take what it cannot find for the end, and say nothing."""
    had = [piece.name for piece in (server.data / "pg_wal").iterdir()]
    for folder in wal:
        if server.account.run("/bin/sh", "-c", 'ls "$1"', "sh", folder).returncode:
            raise BackupFailed(
                "restore.wal_unreadable",
                f"the account {server.account.name}, which runs PostgreSQL, cannot read {folder}, "
                "where the write-ahead log is kept; --wal names another folder",
            )
        had += [piece.name.removesuffix(".gz") for piece in folder.iterdir()]
    if missing := _first_gap(made.first_wal, had):
        raise BackupFailed(
            "restore.wal_missing",
            f"the write-ahead log has a gap before {missing}; without that piece nothing after it "
            "can be restored",
        )


def _first_gap(first: str, pieces: Iterable[str]) -> str | None:
    """The first piece of the backup's timeline whose forerunner is nowhere."""
    line = [piece for piece in pieces if len(piece) == len(first) and piece[:8] == first[:8]]
    after = sorted({piece for piece in line if piece > first})
    expected = _number_of(first) + 1
    for piece in after:
        if _number_of(piece) != expected:
            return piece
        expected += 1
    return None


def _number_of(piece: str) -> int:
    return int(piece[8:16], 16) * 256 + int(piece[16:], 16)


def _recovered(
    server: EmbeddedPostgres, made: Backup, wal: Iterable[Path], to: datetime | None
) -> dict[str, Mark]:
    """The server finds the signal, reads the log to its end or to the moment, and serves."""
    (server.data / "recovery.signal").touch()
    server.account.own(server.data / "recovery.signal")
    with (server.data / AUTO_CONF).open("a") as settings:
        settings.writelines(f"{line}\n" for line in _instructions(wal, to))
    try:
        server.start(LONGEST_RECOVERY)
    except EmbeddedPostgresError as error:
        _explain(server, error)
    found = marks(server)
    _must_continue(server, made)
    return found


def _instructions(wal: Iterable[Path], to: datetime | None) -> Iterator[str]:
    """As settings. A new timeline is begun always: nobody takes its log for the old one's."""
    tries = " || ".join(_try(folder.resolve()) for folder in wal) or "false"
    yield f"restore_command = {_quoted(tries)}"
    yield "hot_standby = off"  # nobody comes in before all is there
    if to:
        yield f"recovery_target_time = {_quoted(to.astimezone(UTC).isoformat(sep=' '))}"
        yield "recovery_target_action = promote"


def _try(folder: Path) -> str:
    piece = f"{shlex.quote(str(folder)).replace('%', '%%')}/%f"
    return f"{{ test -f {piece}.gz && gzip -dc {piece}.gz >%p; }} || cp {piece} %p"


def _quoted(value: str) -> str:
    doubled = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"


def _explain(server: EmbeddedPostgres, error: EmbeddedPostgresError) -> NoReturn:
    said = server.log.read_text(errors="replace")
    if "recovery ended before configured recovery target was reached" in said:
        raise BackupFailed(
            "restore.time_not_reached",
            "the write-ahead log ends before that moment; without --to everything there is will be "
            "restored",
        ) from error
    raise error


def _must_continue(server: EmbeddedPostgres, made: Backup) -> None:
    """What was noted when the backup was made is still the beginning of every log."""
    with connect(make_conninfo(server.superuser_url(), dbname="medsales")) as conn:
        for company, noted in made.logs.items():
            if mark(conn, company, noted.position) != noted:
                raise BackupFailed(
                    "restore.log_differs",
                    f"the log of {company} differs before position {noted.position} from what was "
                    "noted when it was backed up",
                )


def _run(what: str, program: Path, *arguments: str | Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - programs we found, arguments we made
            [program, *arguments],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise BackupFailed(
            "backup.program_missing",
            f"{program} is missing here; MEDSALES_PG_BIN can name a folder that has it",
        ) from error
    if done.returncode:
        words = " | ".join(done.stderr.splitlines()[-3:])
        raise BackupFailed(f"backup.not_{what}", f"the backup could not be {what}: {words}")
