"""Cases of the fuzzer: one for each target on a small scale, a thousand on the full one."""

from __future__ import annotations

import pytest

from workers.bench.fuzz.cli import run_case
from workers.bench.fuzz.compile.check import MACHINES

FULL = 1000


def test_generated_programs_agree_with_clang(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither QEMU, for which zig builds its C library first, nor csmith: both are for longer runs.
    monkeypatch.setattr(
        "workers.bench.fuzz.compile.check.shutil.which", lambda name: None
    )
    for index in range(max(len(MACHINES), int(scale * FULL))):
        outcome = run_case("compile", 7, index)
        assert outcome.finding is None, outcome.finding
