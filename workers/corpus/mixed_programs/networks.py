"""Multi-commodity fixed-charge network design, after the "C" sets of Crainic, Frangioni and
Gendron (2001)."""

from __future__ import annotations

import numpy as np

from solvers.types import MilpModel
from workers.corpus.mixed_programs.draft import Draft

_TIGHT = 0.12  # mean capacity of an arc, as a share of the whole demand
_FIXED = 1.0  # weight of fixed costs against costs of flow
_OUTSIDE = 5.0  # cost of outsourcing, in dearest arcs with their fixed cost


def network_design(
    *,
    nodes: int,
    arcs: int,
    commodities: int,
    plant: np.random.Generator,
    demand: np.random.Generator | None = None,
) -> MilpModel:
    """Return a program that opens arcs (y) and routes flows (x); the rest is outsourced (z).

        Σ over commodities of x ≤ u y,  x_k ≤ min(q_k, u) y,  conservation at every node

    demand: draws the commodities' quantities anew; arcs, capacities, costs and pairs stay.
    """
    tail, head = _arcs(nodes, arcs, plant)
    places = plant.random((nodes, 2))
    cost = np.round(1 + 20 * np.linalg.norm(places[tail] - places[head], axis=1))
    pairs = plant.integers(nodes * (nodes - 1), size=commodities)
    origin, other = pairs // (nodes - 1), pairs % (nodes - 1)
    target = other + (other >= origin)
    quantity = plant.integers(5, 51, commodities)
    capacity = np.ceil(plant.uniform(0.5, 1.5, arcs) * _TIGHT * quantity.sum())
    fixed = 0.5 * _FIXED * cost * capacity * plant.uniform(0.8, 1.2, arcs)
    if demand is not None:
        quantity = demand.integers(5, 51, commodities)
    draft = Draft()
    x = draft.columns(commodities, arcs, cost=cost)
    y = draft.columns(arcs, cost=fixed, binary=True)
    z = draft.columns(
        commodities, cost=_OUTSIDE * (1 + _FIXED) * cost.max(), upper=quantity
    )
    every = np.arange(commodities)
    net = np.zeros((commodities, nodes))
    net[every, origin], net[every, target] = quantity, -quantity
    balance = draft.rows(commodities, nodes, lower=net, upper=net)
    draft.add(balance[:, tail], x)
    draft.add(balance[:, head], x, -1)
    draft.add(balance[every, origin], z)
    draft.add(balance[every, target], z, -1)
    load = draft.rows(arcs, upper=0)
    draft.add(load, x)
    draft.add(load, y, -capacity)
    link = draft.rows(commodities, arcs, upper=0)
    draft.add(link, x)
    draft.add(link, y, -np.minimum(quantity[:, None], capacity))
    return draft.model("network-design")


def _arcs(
    nodes: int, arcs: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return tails and heads of a random Hamiltonian cycle and random arcs, none twice."""
    if not nodes <= arcs <= nodes * (nodes - 1):
        raise ValueError(
            f"arcs: expected {nodes} to {nodes * (nodes - 1)} for {nodes} nodes, got {arcs}"
        )
    order = rng.permutation(nodes)
    tail, head = order, np.roll(order, -1)
    codes = tail * nodes + head
    every = np.arange(nodes * nodes)
    others = np.setdiff1d(every[every // nodes != every % nodes], codes)
    codes = np.concatenate([codes, rng.permutation(others)[: arcs - nodes]])
    return codes // nodes, codes % nodes
