"""Dropped privileges: files and sockets are out of reach, and the report is true."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from solvers import privileges


@pytest.mark.skipif(privileges.landlock_abi() < 1, reason="this kernel has no Landlock")
def test_run_as_a_file_it_reports_what_is_out_of_reach(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("x")
    command = [sys.executable, "-I", "-S", privileges.__file__, str(canary)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == {"files": True, "network": True}


@pytest.mark.skipif(privileges.landlock_abi() < 1, reason="this kernel has no Landlock")
def test_only_the_folders_passed_can_be_opened(tmp_path: Path) -> None:
    for name in ("readable", "writable", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    program = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('privileges', sys.argv[1])\n"
        "privileges = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(privileges)\n"
        "base = sys.argv[2]\n"
        "held = privileges.drop(readable=(*privileges.SYSTEM_FOLDERS, base + '/readable'),"
        " writable=(base + '/writable', base + '/absent'))\n"
        "def can(name, mode):\n"
        "    try:\n"
        "        open(f'{base}/{name}/file', mode).close()\n"
        "    except OSError:\n"
        "        return False\n"
        "    return True\n"
        "print(held['files'], can('readable', 'r'), can('readable', 'a'),"
        " can('writable', 'a'), can('other', 'r'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, privileges.__file__, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["True", "True", "False", "True", "False"]
