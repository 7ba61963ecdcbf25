"""Held-out programs through a job's path: saved bytes, and equal behaviour."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.types import InvalidInput
from workers.bench.compile import cli, executed


def test_a_generated_program_is_optimised_and_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    few = [
        "--generated",
        "1",
        "--csmith",
        "0",
        "--whole",
        "--pipelines",
        "2",
        "--out",
        str(out),
    ]
    for _ in range(2):
        assert cli.main(["executed", *few]) == 0, "the second time it is only reported"
    (line,) = [json.loads(text) for text in out.read_text().splitlines()]
    assert (line["set"], line["program"], line["pipelines"]) == (
        "generated",
        "generated-1000",
        2,
    )
    assert line["runs_equal"] == "3 of 3"
    assert line["verified"] == "valid"
    assert line["ours"]["loadable_bytes"] <= line["oz"]["loadable_bytes"]
    assert "mean of set means" in capsys.readouterr().out


def test_a_program_without_end_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: object) -> None:
        raise InvalidInput("runs: run 0: the unoptimised program did not end within 10 s")

    monkeypatch.setattr(executed, "_run", endless)
    monkeypatch.setattr(executed, "report", lambda lines: None)
    few = [
        "--generated",
        "1",
        "--csmith",
        "0",
        "--whole",
        "--out",
        str(tmp_path / "out.jsonl"),
    ]
    assert cli.main(["executed", *few]) == 0
    assert "generated-1000 is left out: runs: run 0" in capsys.readouterr().err


def test_sets_weigh_the_same_in_their_mean(capsys: pytest.CaptureFixture[str]) -> None:
    def line(kind: str, saved: float, runs: str = "1 of 1") -> dict[str, object]:
        head = {"set": kind, "saved": saved, "saved_ir": saved, "runs_equal": runs}
        return head | {"verified": "valid", "quarantined": 0, "seconds": 1.0}

    executed.report(
        [
            line("a", 0.04),
            line("b", 0.01),
            line("b", 0.01, "unvalidated: no main"),
            line("b", 0.01),
        ]
    )
    printed = capsys.readouterr().out
    assert "mean of set means: 2.50% of loadable bytes" in printed
    pooled = next(
        text.split() for text in printed.splitlines() if text.startswith("pooled")
    )
    assert pooled[1:3] == ["4", "1.75%"]
    assert pooled[5:7] == ["3", "3"], "what could not be run is neither run nor equal"
