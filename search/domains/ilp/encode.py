"""Encode phase: scale the model (deploy/docs/design/ilp.md, "Scaling").

Engines work with absolute tolerances, which then mean the same in every row and objective.
"""

from __future__ import annotations

from solvers.scaling import ScaledModel, scale
from solvers.types import MilpModel


def encode(model: MilpModel) -> ScaledModel:
    """Scale the model, and compute what its copies in forked processes share."""
    scaled = scale(model)
    _ = scaled.model.whole_rows  # cached by the model: computed once, before the forks
    return scaled
