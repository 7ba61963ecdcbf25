"""Incumbents are reported after their checkpoint is on disk."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from search import checkpoint
from trimtab.results import Incumbent
from workers.process.reporter import Reporter


def point(objective: float) -> Incumbent:
    return Incumbent(elapsed_s=0.0, objective=objective)


def test_a_reported_incumbent_can_be_restored(tmp_path: Path) -> None:
    on_disk: list[bytes | None] = []
    path = tmp_path / checkpoint.FILE_NAME
    reporter = Reporter(lambda _: on_disk.append(checkpoint.read(path)), workdir=tmp_path)
    reporter.checkpoint(lambda: b"one")
    reporter.incumbent(point(1.0))
    reporter.close()
    assert on_disk == [b"one"]


def test_a_newer_bound_does_not_drop_the_checkpoint_of_its_solution(
    tmp_path: Path,
) -> None:
    reporter = Reporter(lambda _: None, workdir=tmp_path)
    reporter.checkpoint(lambda: b"first")
    reporter.incumbent(point(2.0))
    reporter._throttle._next_at = math.inf
    reporter.checkpoint(lambda: b"better")
    reporter.incumbent(point(1.0))
    reporter.incumbent(point(1.0))  # its bound has risen
    reporter.close()
    assert checkpoint.read(tmp_path / checkpoint.FILE_NAME) == b"better"


def test_a_checkpoint_without_an_incumbent_is_written_at_the_next_phase(
    tmp_path: Path,
) -> None:
    reporter = Reporter(lambda _: None, workdir=tmp_path)
    reporter.checkpoint(lambda: b"last")
    reporter.flush()
    reporter.close()
    assert checkpoint.read(tmp_path / checkpoint.FILE_NAME) == b"last"


def test_a_failing_checkpoint_warns_once_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> bytes:
        raise MemoryError("too large")

    sent: list[float | None] = []
    reporter = Reporter(lambda item: sent.append(item.objective), workdir=tmp_path)
    for objective in (3.0, 2.0):
        reporter.checkpoint(fail)
        reporter.incumbent(point(objective))
        reporter.flush()
    reporter.close()
    assert sent == [3.0, 2.0]
    assert capsys.readouterr().err.count("MemoryError") == 1
