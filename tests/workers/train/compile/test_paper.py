"""Paper mode: roll-outs, rewards and coreset follow the paper, and a small run completes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.workers.corpus import toy
from workers.corpus import build
from workers.train.compile.paper import discover
from workers.train.compile.paper.rollout import Table, coreset, mean_over_oz, rolled_out


def table() -> Table:
    """Two programs, sequences of 2, 3 and 1 passes; the last crashed on the second program."""
    return Table(
        shas=["a", "b"],
        packages=["p", "q"],
        o0=np.array([100.0, 50.0]),
        oz=np.array([60.0, 40.0]),
        counts=[[[90, 80], [100, 70, 75], [65]], [[50, 45], [48, 44, 41], []]],
    )


def test_best_prefix_and_reward() -> None:
    assert table().best().tolist() == [[80, 70, 65], [45, 41, 50]]
    np.testing.assert_allclose(
        table().reward()[0], [(60 - 80) / 60, (60 - 70) / 60, (60 - 65) / 60]
    )


def test_a_roll_out_stops_within_a_sequence_and_restarts_for_each() -> None:
    order = np.array([[0, 1, 2], [1, 0, 2]])
    assert rolled_out(table(), order, 1).tolist() == [90, 48]
    assert rolled_out(table(), order, 4).tolist() == [70, 41]
    assert rolled_out(table(), order, 6).tolist() == [65, 41]
    assert rolled_out(table(), order, 0).tolist() == [100, 50], (
        "the unoptimised program counts"
    )


def test_coreset_covers_both_programs() -> None:
    ratio = table().o0[:, None] / table().best()
    ratio /= ratio.max(axis=1, keepdims=True)
    first = coreset(table(), 2)
    assert first[0] == int(ratio.sum(axis=0).argmax())
    assert set(first) == {1, 2}


def test_the_metrics_of_the_paper() -> None:
    sets, pooled, ratio = mean_over_oz(table(), np.array([54.0, 40.0]))
    assert sets == pytest.approx(0.05)
    assert pooled == pytest.approx(0.05)
    assert ratio == pytest.approx((60 / 54) ** 0.5)


def test_discovery_and_learning_on_a_toy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from workers.train.compile.paper import learn

    toy.unpacked(
        tmp_path,
        monkeypatch,
        {"a.c": toy.functions(4), "b.c": toy.functions(5)},
        pattern=r"\w+\.c",
    )
    build.build(tmp_path, packages=("toy",), per_package=5, say=lambda text: None)
    monkeypatch.setattr(discover, "EPISODES", 4)
    for _ in range(2):
        discover.discover(tmp_path, say=lambda text: None)
    rows = discover.rows(tmp_path / "paper-sequences.jsonl")
    assert len(rows) == 2, "the second time nothing is searched"
    for row in rows:
        listed = {
            str(r["sha"]): int(str(r["ir_instructions"])) for r in build.read(tmp_path)
        }
        with discover.engine_of(tmp_path, row) as engine:
            counts = discover.trajectory(engine, row["passes"])
        assert min(counts) == row["ir"] <= listed[row["sha"]]
    lines = build.read(tmp_path)
    splits = ("train", "val", "heldout")
    monkeypatch.setattr(discover, "PROGRAMS", dict.fromkeys(splits, 2))
    (tmp_path / "modules.jsonl").write_text(
        "".join(
            json.dumps({**row, "split": split}) + "\n"
            for split in splits
            for row in lines
        )
    )
    rows = []
    for split in splits:  # the same programs in every split: only the steps are tested
        (tmp_path / "paper-table.jsonl").unlink(missing_ok=True)
        monkeypatch.setattr(discover, "PROGRAMS", {split: 2})
        discover.table(tmp_path, say=lambda text: None)
        rows += discover.rows(tmp_path / "paper-table.jsonl")
    (tmp_path / "paper-table.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    monkeypatch.setattr(
        learn, "RUNS", [learn.Run(name="GEAN-NVP", encoder="gean", loss="nvp", epochs=2)]
    )
    learn.compare(tmp_path, out=tmp_path / "out.jsonl", seed=0, say=lambda text: None)
    methods = {row["method"]: row for row in discover.rows(tmp_path / "out.jsonl")}
    assert methods["Oz"]["mean_of_sets"] == 0
    assert methods["Oracle"]["pooled"] >= methods["Top-45"]["pooled"] - 1e-12
    assert (
        methods["Oracle"]["mean_of_sets"] >= methods["GEAN-NVP"]["mean_of_sets"] - 1e-12
    )
