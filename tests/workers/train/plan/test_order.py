"""Training of the order model: its task, its accuracy, and that it repeats."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from search.domains.plan.outline.display import WEIGHTS, OrderModel, order_model
from workers.train.plan.cli import main
from workers.train.plan.order import examples, fit, measure, moved, outline


def test_a_moved_leaf_is_elsewhere_and_nothing_is_lost() -> None:
    rng = np.random.default_rng(3)
    for count in range(2, 9):
        for _ in range(20):
            leaves = list(range(count))
            other = moved(leaves, rng)
            assert other != leaves
            assert sorted(other) == leaves
            rest = [[x for x in other if x != leaf] for leaf in leaves]
            assert any(left == sorted(left) for left in rest), "only one has moved"
    assert all(outline(rng) for _ in range(50))


def test_it_learns_better_than_chance_and_repeats(tmp_path: Path) -> None:
    model = fit(800, seed=0)
    assert model == fit(800, seed=0)
    assert measure(model, 800, seed=1) > 0.65
    blank = OrderModel(weights=(0.0,) * len(model.weights))
    assert measure(blank, 800, seed=1) == pytest.approx(0.5, abs=0.05)
    x, y = examples(400, seed=2)
    assert x.shape == (400, len(model.weights))
    assert 0.4 < y.mean() < 0.6
    out = tmp_path / "display.toml"
    command = ["order", "--outlines", "200", "--seed", "5", "--out", str(out)]
    assert main(command) == 0
    first = out.read_bytes()
    assert main(command) == 0
    assert out.read_bytes() == first


def test_the_shipped_weights_are_those_of_their_command(tmp_path: Path) -> None:
    head = WEIGHTS.read_text().partition("`")[2].partition("`")[0]
    words = head.removeprefix("python -m workers.train plan ").split()
    out = tmp_path / "display.toml"
    assert main([*words, "--out", str(out)]) == 0
    made, shipped = (tomllib.loads(path.read_text()) for path in (out, WEIGHTS))
    assert made["weights"] == pytest.approx(shipped["weights"], abs=1e-4)
    assert order_model().bias == pytest.approx(made["bias"], abs=1e-4)
