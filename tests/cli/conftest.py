"""The real program, run as a person runs it: a process, a data folder, words on its streams."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx
import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

PATIENCE = 180.0
"""Seconds after which a process that says nothing is killed: only so that no test hangs."""


class Running:
    """A process that goes on until it is told to end; its answers come as lines."""

    def __init__(self, command: list[str], environment: dict[str, str], errors: Path) -> None:
        self.errors = errors
        with errors.open("a") as stderr:
            self.process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
            )

    def says(self, pattern: str) -> re.Match[str]:
        """The first line that holds this."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"it ended without saying {pattern}: {self.errors.read_text()}")

    def url(self) -> str:
        return self.says(r"answers at (http://\S+)")[1]

    def told(self, ending: signal.Signals) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(ending)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


@dataclass
class Program:
    """`medsales`, with a data folder of its own."""

    home: Path
    database_url: str | None = None
    running: list[Running] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MEDSALES_") and name not in ("FORCE_COLOR", "NO_COLOR")
        }
        given = {"MEDSALES_HOME": str(self.home), "MEDSALES_WAIT": "30", "COLUMNS": "100"}
        if self.database_url:
            given["MEDSALES_DATABASE_URL"] = self.database_url
        return {**clean, **given, **more}

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "medsales", *words],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def says(self, *words: str, **environment: str) -> str:
        done = self.run(*words, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.says(*words, "--json"))

    def facts(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.says("facts", "--json", *words).splitlines()]

    def refuses(self, *words: str, **environment: str) -> str:
        """Exit code 1 and one sentence, which is returned."""
        done = self.run(*words, **environment)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert re.fullmatch(r"medsales: [^\n]+\n", done.stderr), done.stderr
        return done.stderr.removeprefix("medsales: ").strip()

    def start(self, *words: str) -> Running:
        command = [sys.executable, "-u", "-m", "medsales", *words]
        running = Running(command, self.environment(), self.home.with_suffix(".err"))
        self.running.append(running)
        dumb = threading.Timer(PATIENCE, running.process.kill)
        dumb.daemon = True
        dumb.start()
        return running

    def serve(self, *words: str) -> Running:
        return self.start("serve", "--port", "0", *words)

    def processes(self) -> list[psutil.Process]:
        """Whatever lives in, or was started for, the data folder."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return str(self.home) in " ".join(process.cmdline()) or process.cwd().startswith(
                str(self.home)
            )
        except psutil.Error:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for running in self.running:
            if running.process.poll() is None:
                running.kill()
            assert running.process.stdout is not None
            running.process.stdout.close()
        psutil.wait_procs(self.processes(), PATIENCE)
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.with_suffix(".err").unlink(missing_ok=True)


def new_home() -> Path:
    """Where the account that runs PostgreSQL for root can go; it cannot enter pytest's folders."""
    home = Path(tempfile.mkdtemp(prefix="medsales-"))
    home.chmod(0o711)
    return home


@pytest.fixture
def alone() -> Iterator[Program]:
    """With nothing but an empty data folder."""
    with Program(new_home()) as program:
        yield program


@pytest.fixture
def medsales(database_url: str) -> Iterator[Program]:
    """With the database server that all tests share."""
    with Program(new_home(), database_url) as program:
        yield program


@pytest.fixture
def name() -> str:
    """A company that nobody else uses."""
    return f"test_{uuid4().hex[:12]}"


def http(url: str, token: str) -> httpx.Client:
    return httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {token.strip()}"}, timeout=40
    )
