"""A PostgreSQL server for tests, from Debian's packages.

Use `from tests.postgres import postgres_server`. One server per test session, with fsync on, in its
own folder, on a free loopback port; each test has a database of its own (`fresh_database`).
PostgreSQL refuses to run as root, so root hands over to the user `postgres`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest


def binaries() -> Path | None:
    """Folder of initdb and pg_ctl, if PostgreSQL's server is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if shutil.which("pg_config"):
        told = subprocess.run(
            ["pg_config", "--bindir"], capture_output=True, text=True, check=True
        ).stdout
        found.insert(0, Path(told.strip()))
    return next(
        (
            folder
            for folder in found
            if (folder / "initdb").exists() and (folder / "pg_ctl").exists()
        ),
        None,
    )


class PostgresServer:
    """initdb, start, stop."""

    def __init__(self, bin_dir: Path, folder: Path) -> None:
        self._bin = bin_dir
        self._folder = folder
        self._data = folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        self._run(
            "initdb",
            "-D",
            str(self._data),
            "-U",
            "trimtab",
            "-A",
            "trust",
            "--no-locale",
            "-E",
            "UTF8",
        )

    def url(self, database: str) -> str:
        return f"postgresql://trimtab@127.0.0.1:{self.port}/{database}"

    def fresh_database(self) -> str:
        """URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 "
            f"-c unix_socket_directories={self._folder} -c fsync=on"
        )
        self._run(
            "pg_ctl",
            "-D",
            str(self._data),
            "-o",
            options,
            "-l",
            str(self._folder / "log"),
            # Recovery after a crash takes minutes on a busy disk.
            "-w",
            "-t",
            "240",
            "start",
        )

    def stop(self, mode: str = "fast") -> None:
        """`immediate` is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            command = [
                "setpriv",
                "--reuid",
                "postgres",
                "--regid",
                "postgres",
                "--clear-groups",
                *command,
            ]
        done = subprocess.run(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, (
            f"{program}: {done.stdout[-500:]}{done.stderr[-1500:]}"
        )


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a server in a new folder; skip the test where PostgreSQL is not installed."""
    bin_dir = binaries()
    if bin_dir is None:
        reason = (
            "PostgreSQL's server is not installed; on Debian: "
            "apt-get install --no-install-recommends postgresql"
        )
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    # Not pytest's tmp_path: its 0700 parents would keep the user `postgres` out.
    folder = Path(tempfile.mkdtemp(prefix="trimtab-pg-"))
    try:
        server = PostgresServer(bin_dir, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    return postgres_server.fresh_database()
