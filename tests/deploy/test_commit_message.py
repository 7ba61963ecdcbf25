"""The commit-msg hook accepts what CONTRIBUTING.md asks for, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOOD = "ilp: scale objectives before solving\n\nSolvers use absolute tolerances.\n"


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (GOOD, ""),
        ("# a comment of git\n" + GOOD, ""),
        ("Merge branch 'main' into docs\n", ""),
        ("ilp: " + "x" * 68 + "\n\nWhy.\n", "subject: expected at most 72"),
        ("Scale objectives\n\nWhy.\n", "subject: expected `area:"),
        ("ilp: scale objectives\n\n# only a comment\n", "body: expected the reason"),
        ("ilp: scale objectives\nWhy.\n", "body: expected an empty line"),
    ],
)
def test_messages(tmp_path: Path, message: str, fault: str) -> None:
    path = tmp_path / "COMMIT_EDITMSG"
    path.write_text(message)
    run = subprocess.run(
        [sys.executable, "deploy/tools/commit_message.py", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == (1 if fault else 0), run.stderr
    assert fault in run.stderr
