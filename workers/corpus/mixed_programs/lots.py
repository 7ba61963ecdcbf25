"""Multi-item capacitated lot sizing with set-up times (Trigeiro, Thomas and McClain 1989)."""

from __future__ import annotations

import numpy as np

from solvers.types import MilpModel
from workers.corpus.mixed_programs.draft import Draft

_MEAN, _SPREAD = 100.0, 35.0  # of the demand
_SPARSE = 4  # first periods, in which a quarter of the items has no demand
_OVERTIME = 1000.0  # cost of a unit
_PERIODS_BETWEEN = 4.0  # set-ups (TBO), by the economic order quantity
_UTILISATION = 0.9


def lot_sizing(
    *,
    items: int,
    periods: int,
    plant: np.random.Generator,
    demand: np.random.Generator | None = None,
) -> MilpModel:
    """Return a program that plans lots: production x, set-ups y, stock s and overtime o.

        min h·s + q·y + 1000 Σ o,  s_{t−1} + x_t − s_t = d_t,  x_t ≤ M y_t,
        Σ over items of (x_t + τ y_t) ≤ C + o_t

    demand: draws the demand anew; set-ups, holding costs and capacity stay.
    """
    demands = _drawn(items, periods, plant)
    holding = plant.uniform(0.5, 1.5, items)
    setup_time = np.round(plant.uniform(10, 50, items))
    setup_cost = (
        holding * _MEAN * _PERIODS_BETWEEN**2 / 2 * plant.uniform(0.6, 1.4, items)
    )
    busy = (demands + setup_time[:, None] * (demands > 0)).sum()
    capacity = np.ceil(busy / periods / _UTILISATION)
    if demand is not None:
        demands = _drawn(items, periods, demand)
    rest = demands[:, ::-1].cumsum(axis=1)[:, ::-1]
    largest = np.minimum(capacity - setup_time[:, None], rest)
    draft = Draft()
    shape = (items, periods)
    x = draft.columns(*shape)
    y = draft.columns(*shape, cost=setup_cost[:, None], binary=True)
    s = draft.columns(*shape, cost=holding[:, None])
    o = draft.columns(periods, cost=_OVERTIME)
    balance = draft.rows(*shape, lower=demands, upper=demands)
    draft.add(balance, x)
    draft.add(balance, s, -1)
    draft.add(balance[:, 1:], s[:, :-1])
    link = draft.rows(*shape, upper=0)
    draft.add(link, x)
    draft.add(link, y, -largest)
    load = draft.rows(periods, upper=capacity)
    draft.add(load, x)
    draft.add(load, y, setup_time[:, None])
    draft.add(load, o, -1)
    return draft.model("lot-sizing")


def _drawn(items: int, periods: int, rng: np.random.Generator) -> np.ndarray:
    demands = np.round(np.maximum(0, rng.normal(_MEAN, _SPREAD, (items, periods))))
    first = min(_SPARSE, periods)
    demands[:, :first] *= rng.random((items, first)) >= 0.25
    return demands
