"""Generalised assignment, types D (Chu and Beasley 1997) and E (Yagiura et al. 1999)."""

from __future__ import annotations

import numpy as np

from solvers.types import MilpModel
from workers.corpus.mixed_programs.draft import Draft

_FILLED = 0.8  # of the mean load of an agent


def generalised_assignment(
    *,
    agents: int,
    jobs: int,
    kind: str = "d",
    plant: np.random.Generator,
    demand: np.random.Generator | None = None,
) -> MilpModel:
    """Return a program that gives each job to one agent within the agents' capacities.

        min Σ c_ij x_ij,  Σ_i x_ij = 1,  Σ_j a_ij x_ij ≤ ⌊0.8 Σ_j a_ij / agents⌋

    kind: "d" or "e", both with costs that fall as the load rises.
    demand: scales each job's load by U(0.8, 1.2); costs, capacities and agents stay.
    """
    shape = (agents, jobs)
    if kind == "d":
        load = plant.integers(1, 101, shape).astype(float)
        cost = 111 - load + plant.integers(-10, 11, shape)
    elif kind == "e":
        load = np.round(1 - 10 * np.log(1 - plant.random(shape)))
        cost = np.round(1000 / load - 10 * plant.random(shape))
    else:
        raise ValueError(f"kind: expected d or e, got {kind!r}")
    capacity = np.floor(_FILLED * load.sum(axis=1) / agents)
    if demand is not None:
        load = np.maximum(1, np.round(load * demand.uniform(0.8, 1.2, jobs)))
    draft = Draft()
    x = draft.columns(agents, jobs, cost=cost, binary=True)
    draft.add(draft.rows(jobs, lower=1, upper=1), x)
    draft.add(draft.rows(agents, 1, upper=capacity[:, None]), x, load)
    return draft.model("generalised-assignment")
