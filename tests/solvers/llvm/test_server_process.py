"""Process primitives of the server, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from solvers.llvm import server_process
from tests.solvers.llvm.processes import gone


def run(code: str, stderr: Path) -> str:
    with stderr.open("w+b") as file:
        return subprocess.run(
            [sys.executable, "-c", f"from {server_process.__name__} import *\n{code}"],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            check=True,
            timeout=30,
        ).stdout


def test_captured_stderr_is_what_the_block_wrote(tmp_path: Path) -> None:
    code = """
os.write(2, b"before")
with stderr_captured() as text:
    os.write(2, b"inside")
    assert not text, "filled at the end"
os.write(2, b"after")
print(text.decode())
"""
    assert run(code, tmp_path / "stderr") == "inside\n"
    assert (tmp_path / "stderr").read_text() == "beforeinsideafter", "nothing is lost"


def test_a_spawned_program_reports_its_exit(tmp_path: Path) -> None:
    code = """
for command in (["/bin/sh", "-c", "exit 7"], ["/no/such/program"]):
    print(os.waitstatus_to_exitcode(os.waitpid(spawn(command), 0)[1]))
"""
    assert run(code, tmp_path / "stderr").split() == ["7", "127"]


def test_a_spawned_program_dies_with_its_parent(tmp_path: Path) -> None:
    code = 'print(spawn(["/bin/sleep", "60"]), flush=True)\nos._exit(0)'
    assert gone(int(run(code, tmp_path / "stderr")))
