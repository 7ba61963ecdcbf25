"""A PostgreSQL server from Debian's packages, to crash and restart.

It has a folder of its own and a free port.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

from workers.bench.service.harness import free_port


class PostgresMissing(RuntimeError):
    """This machine has no PostgreSQL server."""


def binaries() -> Path:
    """Return the folder of `initdb` and `pg_ctl`. Raises PostgresMissing."""
    folders = [
        Path(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    ]
    on_path = shutil.which("pg_ctl")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise PostgresMissing(
        "pg_ctl and initdb: not found; on Debian: apt-get install --no-install-recommends "
        "postgresql"
    )


class PostgresServer:
    """A PostgreSQL server to start, stop and crash.

    As root it runs as the user `postgres`: PostgreSQL refuses root.
    """

    def __init__(self, folder: Path, *, settings: tuple[str, ...] = ()) -> None:
        self._bin = binaries()
        self._folder = folder
        self._data = folder / "data"
        self._port = free_port()
        self._settings = settings
        self.url = f"postgresql://trimtab@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> PostgresServer:
        self._folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            # Every parent must be searchable by the user `postgres`; temporary folders are made
            # 0700.
            for parent in (self._folder, *self._folder.parents):
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
            shutil.chown(self._folder, "postgres", "postgres")
        options = "-U trimtab -A trust --no-locale -E UTF8"
        self._run("initdb", "-D", str(self._data), *options.split())
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop("immediate")

    def start(self) -> None:
        """Start and wait until it takes connections."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1"
        options += f" -c unix_socket_directories={self._folder}"
        for setting in self._settings:
            options += f" -c {setting}"
        data, log = str(self._data), str(self._folder / "log")
        self._run(
            "pg_ctl", "-D", data, "-o", options, "-l", log, "-w", "-t", "240", "start"
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop; mode `immediate` is a crash: no checkpoint, recovery at the next start."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop", check=False)

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        command = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            as_postgres = "setpriv --reuid postgres --regid postgres --clear-groups"
            command = [*as_postgres.split(), *command]
        done = subprocess.run(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if check and done.returncode != 0:
            raise RuntimeError(
                f"{program} ended with {done.returncode}:\n"
                f"{done.stdout[-500:]}\n{done.stderr[-1500:]}"
            )
