"""States to learn from: an incumbent, neighbourhoods that improved it much, and near misses.

Collected as in CL-LNS (Huang, Ferber, Tian, Dilkina and Steiner, ICML 2023): on small instances an
expert solves the local branching problem (Fischetti and Lodi 2003), min c·x within Hamming distance
k of the incumbent x̂, and steps to the best solution. Positives are the sets of variables that its
better solutions change. Negatives are made from the best of them: a growing share of its variables
is exchanged for random others, until the sub-MIP over the set gains next to nothing.

    python -m workers.train ilp collect --instances 24

The step resumes: each instance is one .npz file, written when it is complete.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from search.lns.constructive import constructive
from search.lns.sub_mip import Slicer
from solvers.highs import HighsSolver
from solvers.relaxation import distance_row
from solvers.types import Floats, MilpModel, SolveParams
from workers.corpus import integer_programs


@dataclass(frozen=True, kw_only=True)
class ExpertParams:
    """Limits of the expert. The paper has an hour a step; at a fifth of the size seconds do."""

    expert_s: float = 5.0  # of one step
    steps: int = 6
    least_share: float = 0.5  # of the best gain, for a positive (α_p)
    most_share: float = 0.05  # of the best gain, for a negative (α_n)
    positives: int = 10  # at most (u_p)
    negatives: int = 45  # at most; 90 in the paper
    sub_mip_s: float = 0.7
    negatives_s: float = 8.0  # for all negatives of a state


# Hamming distance k of the expert at a fifth of the paper's size; 50, 500, 50 and 200 in the paper.
DISTANCE = {"set-cover": 20, "independent-set": 60, "vertex-cover": 20, "auction": 40}


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """One decision. Shapes: x (n,); sets (P, n) and (Q, n) of bool."""

    x: Floats
    positives: np.ndarray
    gains: Floats  # (P,) of each positive, as a share of the best
    negatives: np.ndarray


def collect(
    family: str, seed: int, params: ExpertParams, *, say: Callable[[str], object]
) -> list[State]:
    """Return the states of the expert's steps on an instance of a fifth of the paper's size."""
    model = integer_programs.generate(family, "1/5", seed)
    slicer = Slicer(model)
    rng = np.random.default_rng((seed, 7))
    # Greedy by costs that are off by up to a factor e: the plain greedy is optimal on small vertex
    # covers, and a worse start gives more states.
    noisy = replace(model, c=model.c * np.exp(rng.uniform(-1.0, 1.0, model.n)))
    x = constructive(noisy, slicer.by_row, slicer.by_column)
    if x is None:
        raise RuntimeError(f"{family} seed {seed}: no start solution")
    states: list[State] = []
    for step in range(params.steps):
        began = time.monotonic()
        better = _expert(model, x, DISTANCE[family], params.expert_s, seed=seed)
        if not better:
            break
        state, best = _state(model, slicer, x, better, params, rng)
        say(
            f"{family} seed {seed} step {step}: "
            f"gain {model.objective(x) - model.objective(best):.4g}, "
            f"{len(state.positives)} positives, {len(state.negatives)} negatives, "
            f"{time.monotonic() - began:.1f} s"
        )
        if len(state.negatives):
            states.append(state)
        x = best
    return states


def _state(
    model: MilpModel,
    slicer: Slicer,
    x: Floats,
    better: list[Floats],
    params: ExpertParams,
    rng: np.random.Generator,
) -> tuple[State, Floats]:
    """Return the state at x, and the best of the `better` solutions."""
    objective = model.objective(x)
    ordered = sorted(better, key=model.objective)
    best = ordered[0]
    gain = objective - model.objective(best)
    least = params.least_share * gain
    good = [y for y in ordered if objective - model.objective(y) >= least]
    good = good[: params.positives]
    changed = np.abs(best - x) > 0.5
    state = State(
        x=x,
        positives=np.stack([np.abs(y - x) > 0.5 for y in good]),
        gains=np.array([(objective - model.objective(y)) / gain for y in good]),
        negatives=_negatives(model, slicer, x, changed, gain, params, rng),
    )
    return state, best


def _expert(
    model: MilpModel, x: Floats, distance: int, seconds: float, *, seed: int
) -> list[Floats]:
    """Return solutions better than x within Hamming `distance` of it, the best last."""
    row = distance_row(model, x)
    columns = np.flatnonzero(row.weights)
    limited = replace(
        model,
        indptr=np.append(model.indptr, len(model.data) + len(columns)),
        indices=np.append(model.indices, columns),
        data=np.append(model.data, row.weights[columns]),
        row_lower=np.append(model.row_lower, -np.inf),
        row_upper=np.append(model.row_upper, distance - row.constant),
        row_names=None,
    )
    cutoff = model.objective(x) - 1e-4 * max(1.0, abs(model.objective(x)))
    better: list[Floats] = []
    HighsSolver().solve(
        limited,
        SolveParams(time_limit_s=seconds, seed=seed, relative_gap=1e-4, cutoff=cutoff),
        hint=x,
        on_incumbent=lambda objective, y: (
            better.append(np.round(y)) if objective < cutoff else None
        ),
    )
    return better


def _negatives(
    model: MilpModel,
    slicer: Slicer,
    x: Floats,
    good: np.ndarray,
    gain: float,
    params: ExpertParams,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return (Q, n) sets as large as `good` whose sub-MIPs gain next to nothing."""
    members, others = np.flatnonzero(good), np.flatnonzero(~good)
    cutoff = model.objective(x) - params.most_share * gain
    negatives: list[np.ndarray] = []
    until = time.monotonic() + params.negatives_s
    for share in np.arange(0.05, 1.01, 0.05):
        exchanged = max(1, round(share * len(members)))
        failed = 0
        while (
            failed < 5
            and len(negatives) < params.negatives * (share + 0.2)
            and time.monotonic() < until
        ):
            free = good.copy()
            free[rng.choice(members, size=exchanged, replace=False)] = False
            free[rng.choice(others, size=min(exchanged, len(others)), replace=False)] = (
                True
            )
            sub = slicer.cut(x, free)
            if sub is None:
                break
            solved = HighsSolver().solve(
                sub.model,
                SolveParams(
                    time_limit_s=params.sub_mip_s, relative_gap=0.5, cutoff=cutoff
                ),
            )
            if solved.x is None:
                negatives.append(free)
            else:
                failed += 1
        if len(negatives) >= params.negatives or time.monotonic() >= until:
            break
    if not negatives:
        return np.zeros((0, model.n), dtype=bool)
    return np.stack(negatives[: params.negatives])


def path_of(folder: Path, family: str, seed: int) -> Path:
    """Return the file of an instance's states."""
    return folder / f"{family}-{seed}.npz"


def save(states: list[State], path: Path) -> None:
    """Write the states atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {"count": np.array(len(states))}
    for i, state in enumerate(states):
        arrays |= {
            f"{i}.x": state.x,
            f"{i}.positives": np.packbits(state.positives, axis=1),
            f"{i}.gains": state.gains,
            f"{i}.negatives": np.packbits(state.negatives, axis=1),
        }
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **arrays)  # type: ignore[arg-type]  # numpy's options
    os.replace(part, path)


def load(path: Path) -> list[State]:
    """Read the states that `save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        states = []
        for i in range(int(arrays["count"])):
            x = arrays[f"{i}.x"]
            positives, negatives = (
                np.unpackbits(arrays[f"{i}.{name}"], axis=1, count=len(x)).astype(bool)
                for name in ("positives", "negatives")
            )
            states.append(
                State(
                    x=x,
                    positives=positives,
                    gains=arrays[f"{i}.gains"],
                    negatives=negatives,
                )
            )
        return states


def collect_all(
    folder: Path,
    *,
    instances: int,
    first_seed: int,
    params: ExpertParams,
    say: Callable[[str], object],
) -> None:
    """Collect states of every family in turn, seed by seed, so that families stay balanced.

    Instances that are complete are skipped.
    """
    for seed in range(first_seed, first_seed + instances):
        for family in integer_programs.FAMILIES:
            path = path_of(folder, family, seed)
            if not path.is_file():
                save(collect(family, seed, params, say=say), path)
