"""Files that travel show a bar on a terminal and nothing elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from trimtab.cli.bars import transfer

SCRIPT = """
import sys, time
from trimtab.cli.bars import transfer
with transfer("upload model.mps", quiet="quiet" in sys.argv) as progress:
    if progress is None:
        print("silent")
    else:
        for done in range(0, 101, 20):
            progress(done * 1000, 100_000)
            time.sleep(0.05)
        print("told")
"""


def on_a_terminal(*arguments: str) -> tuple[str, str]:
    """Standard output, and what the terminal of standard error showed."""
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            timeout=60,
            check=True,
        )
        os.set_blocking(ours, False)
        shown = b""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                shown += os.read(ours, 65_536)
            except BlockingIOError:
                break
    finally:
        os.close(theirs)
        os.close(ours)
    return done.stdout.strip(), shown.decode(errors="replace")


def test_a_terminal_sees_the_bar() -> None:
    output, shown = on_a_terminal()
    assert output == "told"
    assert "upload model.mps" in shown
    assert "kB" in shown


def test_quiet_and_pipes_see_nothing() -> None:
    output, shown = on_a_terminal("quiet")
    assert (output, shown) == ("silent", "")
    with transfer("x") as progress:
        assert progress is None, "the tests' standard error is no terminal"
