"""Capacitated facility location with single sourcing.

Data of Cornuéjols, Sridharan and Thizy (1991) as learn2branch draws them (Gasse et al. 2019), with
binary assignments and a ratio of capacity to demand of 3, which leaves a gap of about 1 %.
"""

from __future__ import annotations

import numpy as np

from solvers.types import MilpModel
from workers.corpus.mixed_programs.draft import Draft


def facility_location(
    *,
    customers: int,
    sites: int,
    ratio: float = 3.0,
    plant: np.random.Generator,
    demand: np.random.Generator | None = None,
) -> MilpModel:
    """Return a program that opens sites and assigns each customer to one.

        min f·y + Σ c_ij x_ij,  Σ_j x_ij = 1,  Σ_i d_i x_ij ≤ cap_j y_j,  x_ij ≤ y_j

    demand: draws the customers' demand anew; positions, capacities and costs a unit stay.
    """
    distance = np.linalg.norm(
        plant.random((customers, 1, 2)) - plant.random((1, sites, 2)), axis=2
    )
    demands = plant.integers(5, 36, customers)
    drawn = plant.integers(10, 161, sites)
    fixed = plant.integers(100, 111, sites) * np.sqrt(drawn) + plant.integers(
        0, 91, sites
    )
    capacity = np.floor(ratio * demands.sum() / drawn.sum() * drawn)
    if demand is not None:
        demands = demand.integers(5, 36, customers)
    draft = Draft()
    x = draft.columns(
        customers, sites, cost=10 * demands[:, None] * distance, binary=True
    )
    y = draft.columns(sites, cost=fixed, binary=True)
    draft.add(draft.rows(customers, 1, lower=1, upper=1), x)
    load = draft.rows(sites, upper=0)
    draft.add(load, x, demands[:, None])
    draft.add(load, y, -capacity)
    draft.add(draft.rows(1, lower=demands.sum()), y, capacity)
    link = draft.rows(customers, sites, upper=0)
    draft.add(link, x)
    draft.add(link, y, -1)
    return draft.model("facility-location")
