"""Phase `encode` has nothing to compute: instances are encoded by the learner, while it fits."""

from __future__ import annotations

from search.domains.learn.problem import LearnProblem


def encode(problem: LearnProblem) -> None:
    """Return nothing."""
