"""The watcher: keeps PostgreSQL running while a process of medsales uses it, then stops it.

`embedded_postgres` starts this file as a small program of its own (`python -I -S`, standard library
only). Whoever uses the server holds a shared lock on `users.lock`, which the kernel drops on any
death; when the watcher gets that lock for itself, nobody is left.
"""

import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

TICK = 0.2
PATIENCE = 60.0
PR_SET_PDEATHSIG = 1


class Server(Protocol):
    """A running PostgreSQL, our child or not."""

    def poll(self) -> int | None: ...
    def send_signal(self, sig: int, /) -> None: ...


class Orphan:
    """A server whose watcher was killed: not our child, so we hold on to it by its pid."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def send_signal(self, sig: int, /) -> None:
        os.kill(self.pid, sig)


class HeldOrphan(Orphan):
    """Linux: a handle of the process itself, which no zombie and no reused pid can imitate."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        ended, _, _ = select.select([self.handle], [], [], 0)
        return 0 if ended else None

    def send_signal(self, sig: int, /) -> None:
        signal.pidfd_send_signal(self.handle, sig)


def main(home: Path, seat: int, account: str, orphan: int, *command: str) -> None:
    users = os.open(home / "users.lock", os.O_RDWR)
    leave_the_starter()
    sign(seat)
    server = adopt(orphan) if orphan else start(command, account)
    while server.poll() is None:
        if unused(users):
            stop(server)
            forget_private_socket(home)
        else:
            time.sleep(TICK)


def leave_the_starter() -> None:
    """Become nobody's child: no zombie in the application, and no signal meant for it."""
    if os.fork():
        os._exit(0)
    # Whoever is told to end (a terminal, a service manager) ends; we follow when all have.
    # Not SIG_IGN, which PostgreSQL would inherit.
    for ending in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: None)


def sign(seat: int) -> None:
    """Write our pid, for people who look; the lock itself was inherited."""
    with suppress(OSError):  # a full disk
        os.ftruncate(seat, 0)
        os.pwrite(seat, f"{os.getpid()}\n".encode(), 0)


def adopt(pid: int) -> Server:
    try:
        return HeldOrphan(pid)
    except (AttributeError, OSError):  # macOS, an old kernel, or it ended just now
        return Orphan(pid)


def start(command: tuple[str, ...], account: str) -> Server:
    """As a child; PostgreSQL refuses to run as root, so root runs it as `account` (uid:gid)."""
    uid, gid = map(int, account.split(":"))
    root = os.geteuid() == 0
    return subprocess.Popen(  # noqa: S603 - the command comes from embedded_postgres
        command,
        cwd="/",
        user=uid if root else None,
        group=gid if root else None,
        extra_groups=[] if root else None,
        preexec_fn=dying_with_us(),  # noqa: PLW1509 - this process has one thread
    )


def dying_with_us() -> Callable[[], None] | None:
    """Linux: fast shutdown when the watcher is killed. Elsewhere the next start adopts the orphan.

    The signal comes when the thread which forked ends: safe here, where there is only one.
    """
    if sys.platform != "linux":
        return None
    prctl, watcher = ctypes.CDLL(None).prctl, os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != watcher:  # killed before the line above
            os._exit(1)

    return prepare


def unused(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def stop(server: Server) -> None:
    """A fast shutdown; after a minute an immediate one, which costs the next start a recovery."""
    tell(server, signal.SIGINT)
    give_up = time.monotonic() + PATIENCE
    while server.poll() is None:
        if time.monotonic() > give_up:
            tell(server, signal.SIGQUIT)
            give_up += PATIENCE
        time.sleep(TICK / 10)


def tell(server: Server, sig: int) -> None:
    with suppress(ProcessLookupError):  # it ended just now
        server.send_signal(sig)


def forget_private_socket(home: Path) -> None:
    """A home with a long name keeps its socket in /tmp: leave nothing there."""
    link = home / "socket"
    if link.is_symlink():
        with suppress(OSError):  # not empty, not ours: the next start looks at it again
            link.resolve().rmdir()
            link.unlink()


if __name__ == "__main__":
    _, folder, lock, owner, left, *program = sys.argv
    main(Path(folder), int(lock), owner, int(left), *program)
