"""Processes of a run are found by their mark and killed; no others are."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from workers.process import process_tree


def test_kills_what_carries_the_mark_and_nothing_else(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(300)"]
    ours = subprocess.Popen(
        sleep, env=os.environ | {process_tree.MARK: str(tmp_path / "a")}
    )
    other = subprocess.Popen(
        sleep, env=os.environ | {process_tree.MARK: str(tmp_path / "ab")}
    )
    try:
        assert process_tree.of_run(tmp_path / "a") == [ours.pid]
        assert process_tree.kill_run(tmp_path / "a") == []
        assert ours.wait(60) == -9
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_time_without_a_processor_is_counted(tmp_path: Path) -> None:
    assert process_tree.waited_s(tmp_path / "none") == 0.0
    core = min(os.sched_getaffinity(0))
    busy = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    environment = os.environ | {process_tree.MARK: str(tmp_path / "a")}
    pair = [
        subprocess.Popen([sys.executable, "-c", busy], env=environment) for _ in range(2)
    ]
    try:
        until = time.monotonic() + 60
        while process_tree.waited_s(tmp_path / "a") < 0.2 and time.monotonic() < until:
            time.sleep(0.05)
        assert process_tree.waited_s(tmp_path / "a") >= 0.2
    finally:
        for process in pair:
            process.kill()
            process.wait()


def test_a_process_is_named_by_its_pid_and_start() -> None:
    assert process_tree.started_at(os.getpid()) == process_tree.started_at(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert process_tree.started_at(process.pid) is None


def test_owner_is_read_from_a_folder_name() -> None:
    assert process_tree.owner_of("run-12-345-ab_c", "run-") == (12, 345)
    for name in ("run-abc", "run-12-ab", "run-x-1-ab", "run-1-2-3-4"):
        assert process_tree.owner_of(name, "run-") is None, name
