"""Out-of-distribution check of graphs."""

from __future__ import annotations

import numpy as np
import pytest

from cost_models.weights import load_weights
from gnn.policies.out_of_distribution import MARGIN, fit, ood_score
from search.lns.features import GraphBuilder
from solvers.relaxation import Relaxation
from workers.corpus import integer_programs


@pytest.mark.parametrize("family", list(integer_programs.FAMILIES))
def test_held_out_instances_of_five_times_the_size_are_in_distribution(
    family: str,
) -> None:
    if family == "auction":
        pytest.skip("its root LP takes seconds; measured in the bench")
    model = integer_programs.generate(family, "S", 900)
    builder = GraphBuilder(model, Relaxation(model).root())
    assert ood_score(builder.summary(), load_weights("cl-lns")) < MARGIN


def test_the_score_is_one_at_the_radius_and_takes_the_nearest_family() -> None:
    rng = np.random.default_rng(0)
    near, far = rng.normal(0, 1, (20, 5)), rng.normal(100, 1, (20, 5))
    weights = fit({"near": near, "far": far})
    scores = [ood_score(summary, weights) for summary in near]
    assert max(scores) == pytest.approx(1.0, rel=1e-5), "the outermost training instance"
    assert max(ood_score(summary, weights) for summary in far) == pytest.approx(
        1.0, rel=1e-4
    )
    assert ood_score(np.full(5, 50.0), weights) > MARGIN


def test_a_constant_feature_has_the_least_spread() -> None:
    weights = fit({"constant": np.ones((3, 4))})
    assert ood_score(np.ones(4), weights) == 0.0
    assert np.isfinite(ood_score(np.full(4, 2.0), weights))
