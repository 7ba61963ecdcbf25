"""Report of policies fitted to families."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trimtab.cards import Decision
from workers.bench.ilp.families import compared, main, print_report


def row(arm: str, instance: int, trace: list[tuple[float, float]]) -> dict[str, Any]:
    return {
        **{"family": "lot-sizing", "size": "S", "regime": "recurring", "start": "warm"},
        **{"instance": instance, "limit": 4.0, "warm_s": 1.0, "train": 5, "seed": 0},
        **{"arm": arm, "trace": trace, "objective": trace[-1][1]},
    }


def test_ratios_are_against_the_better_end_of_both_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        row("with", 1000, [(0.0, 20.0), (1.0, 10.0)]),  # gap ½ for one second
        row("without", 1000, [(0.0, 20.0), (2.0, 10.0)]),
        row("with", 1001, [(0.0, 20.0), (2.0, 10.0)]),
        row("without", 1001, [(0.0, 20.0), (2.0, 10.0)]),
        row("with", 1002, [(0.0, 20.0)]),  # not a pair yet
    ]
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in rows))
    assert main(["--report", str(file)]) == 0
    text = capsys.readouterr().out
    assert (
        "2 instances  primal integral 0.750 s with, 1.000 s without, ratio 0.750" in text
    )
    assert "final better 0, tied 2, worse 0" in text


def test_a_card_needs_five_instances() -> None:
    """Of equal runs it adopts none; where the arm always helps, it does."""
    slow, fast = [(0.0, 20.0), (2.0, 10.0)], [(0.0, 20.0), (1.0, 10.0)]
    for count, trace, decision in (
        (4, fast, None),
        (5, fast, Decision.ADOPTED),
        (5, slow, Decision.REJECTED),
    ):
        rows = [
            row(arm, number, trace if arm == "with" else slow)
            for number in range(count)
            for arm in ("with", "without")
        ]
        (one,) = compared(rows)
        assert one.card is decision


def test_nothing_measured_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_report([])
    assert capsys.readouterr().out == ""
