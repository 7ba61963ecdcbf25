"""A screened method asks only for what the surrogate likes, distinct and once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.domains.antenna.search.layouts import layouts_of
from search.domains.antenna.search.learned import Learned
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.search.methods import make_searcher
from search.domains.antenna.search.solve import Evaluator
from tests.search.domains.antenna.jobs import PATCH, problem
from tests.search.domains.antenna.search.doubles import Resembling


@pytest.mark.parametrize("method", ["genetic", "placement", "annealing"])
def test_predictions_choose_what_is_solved(tmp_path: Path, method: str) -> None:
    made = problem(tmp_path, search=method, feed=[2, 2])
    evaluator, rng = Evaluator(made), np.random.default_rng(0)
    model = Learned(Resembling(), evaluator.samples, "double")
    searcher = make_searcher(evaluator, rng, model)
    layouts = layouts_of(made.spec, Rules(made.spec))
    chance = np.mean([(layouts.random(rng).mask ^ PATCH.mask).sum() for _ in range(50)])
    seen: set[bytes] = set()
    differing = []
    for _ in range(6):
        designs = searcher.ask(4)
        masks = [design.mask for design in designs]
        assert all((a ^ b).sum() >= 4 for i, a in enumerate(masks) for b in masks[:i])
        assert not seen & {design.key for design in designs}
        seen |= {design.key for design in designs}
        differing += [int((mask ^ PATCH.mask).sum()) for mask in masks]
        for design in designs:
            model.add(design, np.zeros(len(evaluator.samples.frequencies_hz), complex))
        searcher.tell(designs, [0.0] * len(designs))
    assert np.mean(differing) < 0.8 * chance
    assert model.predicted > 500
