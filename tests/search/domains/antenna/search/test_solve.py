"""The evaluator solves a design once, and counts."""

from __future__ import annotations

from pathlib import Path

from search.domains.antenna.search.solve import Evaluator
from tests.search.domains.antenna.jobs import PATCH, problem


def test_a_design_is_solved_once_per_fidelity(tmp_path: Path) -> None:
    evaluator = Evaluator(problem(tmp_path))
    first = evaluator.score(PATCH, "coarse")
    assert evaluator.score(PATCH, "coarse") is first
    assert evaluator.solved == {"coarse": 1, "fine": 0}
    fine = evaluator.score(PATCH, "fine")
    assert evaluator.known(PATCH, "fine")
    # Off resonance both fidelities agree within a decibel.
    assert abs(fine.margin_db - first.margin_db) < 1.0
