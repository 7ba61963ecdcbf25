"""The launcher, run as a file with an order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from solvers.llvm import confine
from solvers.privileges import SYSTEM_FOLDERS
from tests.solvers.llvm.processes import sleeping

ROOT = Path(confine.__file__).parents[2]


def launch(
    command: list[str], folder: Path, **changes: Any
) -> tuple[bytes, dict[str, Any]]:
    """Return the program's output and the merged lines of the launcher's report."""
    ours, its_end = os.pipe()
    order = {
        "command": command,
        "environment": {"ONLY": "this"},
        "readable": list(SYSTEM_FOLDERS),
        "writable": [str(folder)],
        "report": its_end,
        "memory_bytes": 1 << 30,
        "cpu_s": 5.0,
        "file_bytes": 1 << 20,
        "open_files": 64,
        "processes": 16,
    } | changes
    done = subprocess.run(
        [sys.executable, "-I", "-S", confine.__file__, json.dumps(order), str(ROOT)],
        stdout=subprocess.PIPE,
        pass_fds=(its_end,),
        cwd=folder,
        check=False,
        timeout=30,
    )
    os.close(its_end)
    with os.fdopen(ours, "rb") as file:
        lines = [json.loads(line) for line in file]
    return done.stdout, {key: value for line in lines for key, value in line.items()}


def test_the_report_has_restrictions_and_status(tmp_path: Path) -> None:
    output, report = launch(["/bin/sh", "-c", "env; exit 4"], tmp_path)
    assert b"ONLY=this" in output
    names = {line.partition(b"=")[0] for line in output.splitlines()}
    assert names <= {b"ONLY", b"PWD", b"OLDPWD", b"SHLVL", b"_"}, (
        "of the order and the shell"
    )
    assert report["status"] == 4
    assert set(report["held"]) == {"network", "processes", "files"}
    assert report["cpu_s"] >= 0


def test_limits_are_in_force(tmp_path: Path) -> None:
    script = "ulimit -n; ulimit -c; ulimit -v; ulimit -t"
    output, _ = launch(["/bin/sh", "-c", script], tmp_path)
    assert output.split() == [b"64", b"0", b"1048576", b"6"]


def test_the_program_cannot_write_the_report(tmp_path: Path) -> None:
    script = (
        'for i in 3 4 5 6 7 8 9; do (echo "{}" >&$i) 2>/dev/null && echo open; done; true'
    )
    output, report = launch(["/bin/sh", "-c", script], tmp_path)
    assert output == b""
    assert report["status"] == 0


def test_processes_of_the_program_end_with_it(tmp_path: Path) -> None:
    seconds = f"4322.{os.getpid()}"
    script = f"trap '' TERM HUP; setsid sleep {seconds} & echo $! > pid"
    _, report = launch(["/bin/sh", "-c", script], tmp_path)
    assert report["status"] == 0
    assert (tmp_path / "pid").read_text().strip().isdigit(), "it was started"
    assert sleeping(seconds) == []


def test_files_outside_the_order_cannot_be_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    output, report = launch(["/bin/cat", str(outside)], inside)
    if not report["held"]["files"]:
        pytest.skip("this kernel has no Landlock")
    assert output == b""
    assert report["status"] != 0


def test_a_missing_program_is_reported(tmp_path: Path) -> None:
    _, report = launch(["/no/such/program"], tmp_path)
    assert report["failed"].startswith("FileNotFoundError")
