from __future__ import annotations

import subprocess
import sys


def ran(code: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import os\nfrom solvers.parent import *\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, done.stdout


def test_a_child_of_a_dead_parent_exits_at_once() -> None:
    code = "die_with_parent(os.getppid() + 1, 9)\nprint('alive')"
    assert ran(code) == (1, "")


def test_a_child_of_a_living_parent_goes_on() -> None:
    assert ran("die_with_parent(os.getppid(), 9)\nprint('alive')") == (0, "alive\n")
