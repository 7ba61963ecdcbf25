"""Programs under limits, by shell scripts; test_execute has compiled programs."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from solvers.llvm.confined import Access, CannotConfine, Finished, Limits, run
from tests.waiting import sooner_than


def shell(script: str, folder: Path, **options: Any) -> Finished:
    limits = Limits(**{"wall_s": 10.0, **options.pop("limits", {})})
    access = Access(writable=[folder], environment=options.pop("environment", {}))
    return run(
        ["/bin/sh", "-c", script], cwd=folder, limits=limits, access=access, **options
    )


def test_output_status_and_environment(tmp_path: Path) -> None:
    done = shell(
        'cat; echo "$WORD" >&2; exit 3',
        tmp_path,
        stdin=b"in",
        environment={"WORD": "out"},
    )
    assert (done.exit_code, done.signal, done.limit) == (3, None, "")
    assert (done.stdout, done.stderr) == (b"in", b"out\n")
    assert done.cpu_s < done.seconds
    assert done.peak_bytes > 0


def test_unread_input_is_no_error(tmp_path: Path) -> None:
    assert shell("exit 0", tmp_path, stdin=bytes(2**20)).exit_code == 0


@pytest.mark.parametrize(
    ("script", "limits", "limit"),
    [
        ("sleep 60", {"wall_s": 0.3}, "seconds"),
        ("while :; do echo text; done", {"output_bytes": 10_000}, "output"),
    ],
)
def test_exceeding_a_limit_ends_the_program(
    script: str, limits: dict[str, float], limit: str, tmp_path: Path
) -> None:
    with sooner_than(60):
        done = shell(script, tmp_path, limits=limits)
    assert (done.exit_code, done.signal, done.limit) == (None, None, limit)
    assert len(done.stdout) <= 10_000


def test_a_written_file_is_limited(tmp_path: Path) -> None:
    done = shell("head -c 100000 /dev/zero > big", tmp_path, limits={"file_bytes": 1000})
    assert done.exit_code != 0
    assert (tmp_path / "big").stat().st_size == 1000


def test_a_signal_is_reported(tmp_path: Path) -> None:
    assert shell("kill -SEGV $$", tmp_path).signal == signal.SIGSEGV


def test_callers_can_end_the_program(tmp_path: Path) -> None:
    assert shell("sleep 60", tmp_path, stopped=lambda: True).limit == "stopped"
    assert shell("sleep 60", tmp_path, watch=lambda: "files").limit == "files"


def test_a_program_that_cannot_start_is_named(tmp_path: Path) -> None:
    limits, access = Limits(wall_s=5), Access()
    with pytest.raises(
        CannotConfine, match="cannot run /no/such/program: FileNotFoundError"
    ):
        run(["/no/such/program"], cwd=tmp_path, limits=limits, access=access)
    with pytest.raises(CannotConfine, match="at most 100,000 bytes"):
        run(["/bin/true", "x" * 200_000], cwd=tmp_path, limits=limits, access=access)
