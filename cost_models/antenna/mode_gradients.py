"""Gradients of reduced models by the metal, through the eigenvalue problem of the modes.

Metal changes inductance A and potential V by diagonals dA, dV alone (see `modes`). With charges
c = Gᵀψ, the eigenvalue problem G V Gᵀ ψ = λ A ψ and ψᵀAψ = 1,

    dλ_m = c_mᵀ dV c_m − λ_m ψ_mᵀ dA ψ_m,
    dψ_m = −½ (ψ_mᵀ dA ψ_m) ψ_m
           + Σ_{j≠m} (c_jᵀ dV c_m − λ_m ψ_jᵀ dA ψ_m)/(λ_m − λ_j) ψ_j,

where j runs over all modes, those of λ = 0 (currents in loops) too. Modes closer than a thousandth
do not rotate into each other: there the derivative is not defined.
"""

from __future__ import annotations

import math

import numpy as np

from cost_models.antenna.modes import (
    ARRAYS,
    GAIN,
    NODES,
    BoardTables,
    Modes,
    Real,
    Reduced,
    stacked,
)
from cost_models.antenna.tape import Node

_CLOSE = 1e-3  # relative distance of λ under which modes do not rotate into each other


def reduced_nodes(
    tables: BoardTables, metal: Node, cells: np.ndarray, modes: int
) -> Reduced:
    """Return `modes.reduce_many` of relaxed metal (n, c, c) as nodes with gradients by it."""
    solved = [
        Modes(tables, mask, feeds, modes)
        for mask, feeds in zip(metal.value.astype(float), cells, strict=True)
    ]
    values = vars(stacked(one.reduced for one in solved))
    n = len(solved)
    shapes = {name: values[name].shape[1:] for name in ARRAYS}
    ends = np.cumsum([0, *(math.prod(shapes[name]) for name in ARRAYS)])
    flat = np.concatenate([values[name].reshape(n, -1) for name in ARRAYS], axis=1)

    def split(row: np.ndarray) -> Reduced:
        parts = zip(ARRAYS, ends[:-1], ends[1:], strict=True)
        return Reduced(**{k: row[a:b].reshape(shapes[k]) for k, a, b in parts})

    def back(slope: np.ndarray) -> np.ndarray:
        rows = zip(solved, slope.astype(float), strict=True)
        return np.stack([pullback(one, split(row)) for one, row in rows]).astype(
            np.float32
        )

    node = Node(flat, ((metal, back),))
    parts = zip(ARRAYS, ends[:-1], ends[1:], strict=True)
    return Reduced(
        **{k: node[:, int(a) : int(b)].reshape(n, *shapes[k]) for k, a, b in parts}
    )


def pullback(modes: Modes, slope: Reduced) -> Real:
    """Return the gradient by the metal (c, c) of a loss with `slope` by the reduced model."""
    psi, charges, values = np.concatenate(modes.currents), modes.charges, modes.values
    by_psi, by_charge = np.zeros_like(psi), np.zeros_like(charges)
    by_value = np.zeros_like(values)
    direct = np.zeros(len(psi)), np.zeros(len(charges))
    count = min(modes.count, len(values))
    inductance, elastance = _of_matrices(slope, modes.reduced)
    _through_matrices(modes, count, inductance, elastance, by_psi, by_charge)
    by_value[:count] += np.einsum("fkk->k", elastance[:NODES])[:count]
    _through_feeds(modes, count, slope, by_charge, by_value)
    _through_densities(modes, count, slope, (by_psi, by_charge, by_value), direct)
    ends = modes.edge_ends
    by_psi += by_charge[ends[0]] - by_charge[ends[1]]
    own = psi.T @ by_psi
    distance = values[None] - values[:, None]  # λ_m − λ_j
    inverse = distance / (distance**2 + (_CLOSE * values[None]) ** 2)
    np.fill_diagonal(inverse, 0.0)
    on_potential = own * inverse + np.diag(by_value)
    on_inductance = -own * inverse * values[None] - np.diag(
        0.5 * np.diag(own) + values * by_value
    )
    loops = modes.solve_inductance(by_psi) - psi @ own
    by_inductance = ((psi @ on_inductance - loops) * psi).sum(axis=1)
    by_potential = ((charges @ on_potential) * charges).sum(axis=1)
    return modes.by_metal(direct[0] + by_inductance, direct[1] + by_potential)


def _of_matrices(slope: Reduced, made: Reduced) -> tuple[Real, Real]:
    """Return the slopes by both matrices, (2·NODES, K, K), with those of the scalars."""
    inductance, elastance = slope.inductance.copy(), slope.elastance.copy()
    k = len(made.scalars)
    on = np.arange(k)
    # (K, 2·NODES)
    own, back = (np.einsum("fkk->kf", m) for m in (made.inductance, made.elastance))
    middle = NODES // 2
    value = np.maximum(back[:, middle], 1e-3)[:, None]
    clipped = back[:, middle] <= 1e-3
    first, *blocks = np.split(slope.scalars, 1 + NODES * np.arange(4), axis=1)

    def through(block: Real, argument: Real) -> Real:
        return np.asarray(block * GAIN / np.sqrt(1 + (GAIN * argument) ** 2))

    loss = through(blocks[0], own[:, NODES:])
    shift = through(blocks[1], own[:, :NODES] - 1)
    back_loss = through(blocks[2], back[:, NODES:] / value)
    back_shift = through(blocks[3], back[:, :NODES] / value - 1)
    inductance[:, on, on] += np.concatenate([shift, loss], axis=1).T
    elastance[:, on, on] += (np.concatenate([back_shift, back_loss], axis=1) / value).T
    by_value = 0.5 * first[:, 0] / value[:, 0]
    by_value -= (back_loss * back[:, NODES:] / value**2).sum(axis=1)
    by_value -= (back_shift * back[:, :NODES] / value**2).sum(axis=1)
    elastance[middle, on, on] += np.where(clipped, 0.0, by_value)
    return inductance, elastance


def _through_matrices(
    modes: Modes,
    given: int,
    inductance: Real,
    elastance: Real,
    by_psi: Real,
    by_charge: Real,
) -> None:
    start = 0
    for axis, psi in enumerate(modes.currents):
        change = modes.inductance_changes[axis]
        rows = slice(start, start + len(psi))
        for part, table in enumerate((change.real, change.imag)):
            for f in range(NODES):
                both = _symmetric(inductance[part * NODES + f], given)
                by_psi[rows, :given] += table[f] @ (psi[:, :given] @ both)
        start += len(psi)
    gathered = modes.potential_changes
    for part, matrices in enumerate((gathered.real, gathered.imag)):
        for f in range(NODES):
            both = _symmetric(elastance[part * NODES + f], given)
            by_charge[:, :given] += matrices[f] @ (modes.charges[:, :given] @ both)


def _symmetric(matrix: Real, given: int) -> Real:
    some = matrix[:given, :given]
    return np.asarray(some + some.T)


def _through_feeds(
    modes: Modes,
    given: int,
    slope: Reduced,
    by_charge: Real,
    by_value: Real,
) -> None:
    posts = modes.posts
    for f in range(NODES):
        by_charge[:, :given] += posts[f].real.T @ slope.coupling[:, f, :given]
        by_charge[:, :given] += posts[f].imag.T @ slope.coupling[:, NODES + f, :given]
    above, values = modes.felt_by_posts[:, given:], modes.values[given:]
    first, second = slope.rest[:, 0:1], slope.rest[:, 1:2]
    size = above * (first + second / values)
    by_charge[:, given:] += 2 * posts[NODES // 2].real.T @ (size / np.sqrt(values))
    by_value[given:] -= (above**2 * (first + 2 * second / values) / values).sum(axis=0)


def _through_densities(
    modes: Modes,
    given: int,
    slope: Reduced,
    sums: tuple[Real, Real, Real],
    direct: tuple[Real, Real],
) -> None:
    (by_psi, by_charge, by_value), (by_inductance, by_potential) = sums, direct
    values, c = modes.values[:given], modes.charges[:, :given]
    phi = modes.potentials[:, :given] * np.sqrt(values)  # V·charge
    electric = slope.electric[:given][:, modes.i, modes.j].T
    magnetic = slope.magnetic[:given][:, modes.i, modes.j].T
    by_charge[:, :given] += electric * phi / values
    by_charge[:, :given] += modes.potential @ (electric * c) / values
    by_value[:given] -= (electric * c * phi).sum(axis=0) / values**2
    a, b = modes.edge_ends
    of_edges = 0.5 * (magnetic[a] + magnetic[b])
    psi = np.concatenate(modes.currents)[:, :given]
    by_psi[:, :given] += of_edges * modes.times_inductance(psi)
    by_psi[:, :given] += modes.times_inductance(of_edges * psi)
    by_inductance += (of_edges * psi**2).sum(axis=1)
    by_potential += (electric * c**2 / values).sum(axis=1)
