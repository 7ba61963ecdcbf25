"""The comparison of few-shot fitting, at a small size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from workers.bench.learn import cli
from workers.bench.learn.simulated_file import write_measured


def test_all_arms_are_measured(tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    options = ["--measurements", "60", "--seeds", "1", "--steps", "50"]
    cli.main(["sharding", *options, "--scratch-steps", "50", "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    rows = [line for line in lines if "arm" in line]
    assert [(row["arm"], row["labels"]) for row in rows] == [
        ("shipped", 0),
        ("simulated device alone", 60),
        ("fitted", 60),
        ("fitted without drawn sets", 60),
        ("from scratch", 60),
        ("from scratch", 600),
    ]
    errors = {row["arm"]: row["mape"] for row in rows}
    assert errors["fitted"] < errors["shipped"] / 3


def test_the_card_of_a_file_is_a_line(tmp_path: Path) -> None:
    file, out = write_measured(tmp_path / "slow.jsonl"), tmp_path / "lines.jsonl"
    options = ["--file", str(file), "--seeds", "1", "--steps", "50", "--out", str(out)]
    cli.main(["measured", *options])
    (line,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert line["decision"] == "adopted"
    assert line["fitted"] < line["shipped"] / 3
    assert line["sizes"]["held_out"] >= 5
