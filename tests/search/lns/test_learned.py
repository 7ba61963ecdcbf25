"""Learned arm: useful scores, no set twice, disabled on other models."""

from __future__ import annotations

import numpy as np
import pytest

from cost_models.weights import load_weights
from gnn.policies.neighbourhood_numpy import NeighbourhoodNet
from search.lns.constructive import constructive
from search.lns.guide import Guide
from search.lns.learned import LearnedNeighbourhood, inclusion
from search.lns.sub_mip import Slicer
from solvers.types import MilpModel
from tests.search.models import milp
from workers.corpus import integer_programs


def learned(model: MilpModel, notes: list[str] | None = None) -> LearnedNeighbourhood:
    net = NeighbourhoodNet(weights=load_weights("cl-lns"))
    note = (notes if notes is not None else []).append
    return LearnedNeighbourhood(model, Guide(model), net, note=note)


def start(model: MilpModel) -> np.ndarray:
    slicer = Slicer(model)
    x = constructive(model, slicer.by_row, slicer.by_column)
    assert x is not None
    return x


def test_disabled_on_other_models() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (-np.inf, rng.integers(1, 40, 60).astype(float).tolist(), 400.0)
        for _ in range(20)
    ]
    model = milp((-rng.integers(1, 50, 60)).astype(float).tolist(), rows)
    notes: list[str] = []
    arm = learned(model, notes)
    assert not arm.ready(np.zeros(60))
    assert not arm.ready(np.zeros(60))
    assert len(notes) == 1, "one note is enough"
    assert "disabled" in notes[0]


def test_scores_rank_high_the_variables_of_a_good_step() -> None:
    """Top scores hold far more of the changes to a good solution than random variables do."""
    from solvers.highs import HighsSolver
    from solvers.types import SolveParams

    shares, chances = [], []
    for seed in (901, 902):
        model = integer_programs.generate("set-cover", "1/5", seed)
        x = start(model)
        best = HighsSolver().solve(
            model, SolveParams(time_limit_s=6.0, relative_gap=0.05), hint=x
        )
        assert best.x is not None
        changed = np.abs(best.x - x) > 0.5
        arm = learned(model)
        assert arm.ready(x)
        free = arm.choose(
            x,
            2 * int(changed.sum()),
            np.random.default_rng(0),
            np.ones(model.n, dtype=bool),
        )
        shares.append(float(free[changed].mean()))
        chances.append(float(free.mean()))
    assert np.mean(shares) > 3 * np.mean(chances)


def test_a_set_is_not_tried_twice() -> None:
    model = integer_programs.generate("set-cover", "1/5", 903)
    x, arm = start(model), learned(model)
    assert arm.ready(x)
    rng = np.random.default_rng(0)
    movable = np.ones(model.n, dtype=bool)
    sets = [arm.choose(x, 50, rng, movable) for _ in range(4)]
    assert sets[0].sum() == 50
    assert len({s.tobytes() for s in sets}) == 4
    assert all(20 <= s.sum() <= 60 for s in sets[1:])
    movable[np.flatnonzero(sets[0])] = False
    assert not arm.choose(x, 50, rng, movable)[sets[0]].any()


def test_inclusion_probabilities_sum_to_the_size() -> None:
    logits = np.random.default_rng(0).normal(0, 3, 500)
    for count in (1, 40, 250, 499):
        p = inclusion(logits, count)
        assert p.sum() == pytest.approx(count, rel=1e-6)
        assert ((p >= 0) & (p <= 1)).all()
        assert (np.diff(p[np.argsort(logits)]) >= 0).all(), (
            "a larger score is never less likely"
        )
    with pytest.raises(ValueError, match="count"):
        inclusion(logits, 0)
