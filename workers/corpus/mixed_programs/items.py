"""Balanced item placement, a problem of the ML4CO competition (Gasse et al. 2022)."""

from __future__ import annotations

import numpy as np

from solvers.types import MilpModel
from workers.corpus.mixed_programs.draft import Draft

_RESOURCES = 3
_ROOM = 2.0  # capacity of all bins over the size of all items
_IMBALANCE = 300.0  # cost of the largest deficit of a resource


def item_placement(
    *,
    small: int,
    big: int,
    bins: int,
    plant: np.random.Generator,
    demand: np.random.Generator | None = None,
) -> MilpModel:
    """Return a program that puts items into bins so that all bins are about equally full.

        Σ_b x_ib = 1,  Σ_i d_ir x_ib ≤ cap_r,  Σ_i (bins d_ir / total_r) x_ib + δ_br ≥ 1,
        δ_br ≤ Δ_r,  min Σ δ + 300 Σ Δ

    demand: draws the small items anew; the big ones and the bins stay.
    """
    size = np.concatenate(
        [
            plant.uniform(0, 0.1, (small, _RESOURCES)),
            plant.uniform(0.9, 1, (big, _RESOURCES)),
        ]
    )
    capacity = _ROOM * size.sum(axis=0) / bins
    if demand is not None:
        size[:small] = demand.uniform(0, 0.1, (small, _RESOURCES))
    size = np.round(size, 6)
    share = bins * size / size.sum(axis=0)
    draft = Draft()
    x = draft.columns(small + big, bins, binary=True)
    deficit = draft.columns(bins, _RESOURCES, cost=1.0, upper=1.0)
    largest = draft.columns(_RESOURCES, cost=_IMBALANCE)
    draft.add(draft.rows(small + big, 1, lower=1, upper=1), x)
    draft.add(
        draft.rows(bins, _RESOURCES, upper=capacity), x[:, :, None], size[:, None, :]
    )
    filled = draft.rows(bins, _RESOURCES, lower=1)
    draft.add(filled, x[:, :, None], share[:, None, :])
    draft.add(filled, deficit)
    above = draft.rows(bins, _RESOURCES, upper=0)
    draft.add(above, deficit)
    draft.add(above, largest, -1)
    return draft.model("item-placement")
