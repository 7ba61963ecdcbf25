"""Every method improves on a score that has a known best design, and repeats by seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.domains.antenna.design import Design
from search.domains.antenna.parse import parse
from search.domains.antenna.search import methods
from search.domains.antenna.search.methods import METHODS, make_searcher
from search.domains.antenna.search.solve import Evaluator
from search.domains.antenna.verify.legality import broken_rules
from tests.search.domains.antenna.jobs import PATCH, job
from trimtab.specs.antenna import SearchMethod

EVALUATIONS = 300


def resemblance(design: Design) -> float:
    """Minus the number of cells in which a design differs from the patch."""
    return -float((design.mask ^ PATCH.mask).sum())


class Resembling:
    """A neighbourhood that scores by resemblance."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.present: Design | None = None

    def move(self, design: Design) -> None:
        self.present = design

    def guides(self, designs: Sequence[Design]) -> tuple[Any, Any]:
        scores = np.array([resemblance(design) for design in designs])
        return scores, scores


@pytest.fixture(autouse=True)
def _scored_by_resemblance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "Neighbourhood", Resembling)


def best_scores(
    method: SearchMethod,
    seed: int,
    topology: str = "pixels",
    evaluations: int = EVALUATIONS,
) -> list[float]:
    spec = job(
        search=method.value, feed=[2, 2], coarse_solves=evaluations, topology=topology
    )
    evaluator = Evaluator(parse(spec, {}, Path()))
    searcher = make_searcher(evaluator, np.random.default_rng(seed))
    scores: list[float] = []
    while len(scores) < evaluations:
        designs = searcher.ask(8)
        assert 1 <= len(designs) <= 8
        assert all(broken_rules(spec, design) == [] for design in designs)
        told = [resemblance(design) for design in designs]
        searcher.tell(designs, told)
        scores += told
    return scores


# Without a surrogate, `gradient` is tabu search.
LEARNING = [m for m in METHODS if m not in (SearchMethod.RANDOM, SearchMethod.GRADIENT)]


@pytest.mark.parametrize("method", LEARNING)
@pytest.mark.parametrize("topology", ["pixels", "rectangles"])
def test_later_designs_are_better(method: SearchMethod, topology: str) -> None:
    few = method is SearchMethod.TABU  # its walks begin after 60 random designs
    runs = [
        best_scores(method, seed, topology, evaluations=120 if few else EVALUATIONS)
        for seed in range(1 if few else 3)
    ]
    early = np.mean([np.mean(scores[:40]) for scores in runs])
    late = np.mean([np.mean(scores[-60:]) for scores in runs])
    assert late > early + 0.5


@pytest.mark.parametrize("method", METHODS)
def test_equal_seeds_give_equal_proposals(method: SearchMethod) -> None:
    assert best_scores(method, 5, evaluations=90) == best_scores(
        method, 5, evaluations=90
    )


def test_the_table_has_every_method_of_the_spec() -> None:
    assert set(METHODS) == set(SearchMethod)
