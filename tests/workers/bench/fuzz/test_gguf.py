"""The fuzzer of GGUF files: it converts what is whole, and reports what must not happen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.isolation import NativeError
from workers.bench.fuzz.gguf import check, files
from workers.bench.fuzz.types import Fault


@pytest.mark.parametrize("kind", [files.F16, files.Q4_1, files.Q6_K])
def test_whole_files_are_converted(tmp_path: Path, kind: int) -> None:
    shape = files.Shape(width=256, feed_forward=256)
    path = tmp_path / "model.gguf"
    path.write_bytes(files.model_file(shape, kind=kind, rng=np.random.default_rng(0)))
    assert check._forked(path) == "converted"


def test_damaged_files() -> None:
    outcomes = [check.check(i, np.random.default_rng([3, i])) for i in range(1, 25)]
    assert all(outcome.finding is None for outcome in outcomes)
    assert {outcome.label for outcome in outcomes} <= {"converted", "refused"}


def test_a_crash_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(path: Path, out: Path, *, dtype: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(check, "convert", crash)
    outcome = check.check(1, np.random.default_rng([3, 1]))
    assert outcome.finding is not None
    assert outcome.finding.fault is Fault.CRASHED
    assert "ZeroDivisionError" in outcome.finding.detail


def test_a_header_that_does_not_fit_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(NativeError, match="of 64 bytes"):
        check._readable(tmp_path)
