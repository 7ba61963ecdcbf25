"""States to learn from: an incumbent, neighbourhoods that improved it much, and near misses.

A neighbourhood is a set of integer variables; continuous ones are free in any case.

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

from search.lns.coupling import Coupling
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.highs import HighsSolver
from solvers.relaxation import Relaxation, distance_row
from solvers.types import Bools, Floats, MilpModel, SolveParams


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


_FIRST_DISTANCE = 10


def _never() -> bool:
    return False


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """One decision. Shapes: x (n,); sets (P, n) and (Q, n) of bool."""

    x: Floats
    positives: np.ndarray
    gains: Floats  # (P,) of each positive, as a share of the best
    negatives: np.ndarray


def expert_states(
    model: MilpModel,
    x: Floats,
    distance: int,
    params: ExpertParams,
    *,
    rng: np.random.Generator,
    say: Callable[[str], object],
    stop: Callable[[], bool] = _never,
) -> list[State]:
    """Return the states of the expert's steps from a solution x (n,) of any linear model."""
    expert = Expert(model, params)
    states: list[State] = []
    for step in range(params.steps):
        began = time.monotonic()
        better = expert.better(x, distance, seed=int(rng.integers(2**31 - 1)))
        if not better or stop():
            break
        state, best = expert.state(x, better, rng)
        say(
            f"step {step}: gain {model.objective(x) - model.objective(best):.4g}, "
            f"{len(state.positives)} positives, {len(state.negatives)} negatives, "
            f"{time.monotonic() - began:.1f} s"
        )
        if len(state.negatives):
            states.append(state)
        x = best
    return states


def changed(model: MilpModel, x: Floats, y: Floats) -> Bools:
    """Return (n,) the integer variables that differ: continuous ones are free in any case."""
    differs: Bools = model.integrality & (np.abs(y - x) > 0.5)
    return differs


class Expert:
    """Local branching on a whole model, and sets that gain next to nothing beside it."""

    def __init__(self, model: MilpModel, params: ExpertParams) -> None:
        self._model, self._params = model, params
        self._slicer = Slicer(model)
        self._coupling = Coupling(model, self._slicer.by_row)
        self._relaxation = Relaxation(model)
        self._sub_mip_s = params.sub_mip_s

    def distance(
        self, x: Floats, *, seed: int, within_s: float
    ) -> tuple[int, list[Floats]]:
        """Return a distance k for this model, and the better solutions within it.

        k doubles from 10 until the gain per second falls, or for `within_s` of processor time.
        """
        until = time.process_time() + within_s
        model, k, rate = self._model, _FIRST_DISTANCE, 0.0
        chosen: int = k
        solutions: list[Floats] = []
        while k <= int(model.integrality.sum()) and time.process_time() < until:
            began = time.process_time()
            better = self.better(x, k, seed=seed)
            seconds = max(1e-3, time.process_time() - began)
            gain = model.objective(x) - model.objective(better[-1]) if better else 0.0
            if better and gain / seconds < rate:
                break
            if better:
                rate, chosen, solutions = gain / seconds, k, better
            elif solutions:
                break
            k *= 2
        return chosen, solutions

    def better(self, x: Floats, distance: int, *, seed: int) -> list[Floats]:
        """Return solutions better than x within Hamming `distance` of it, the best last."""
        model, began = self._model, time.process_time()
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
            row_factors=None
            if model.row_factors is None
            else np.append(model.row_factors, 1.0),
        )
        cutoff = model.objective(x) - 1e-4 * max(1.0, abs(model.objective(x)))
        improving: list[Floats] = []
        HighsSolver().solve(
            limited,
            SolveParams(seed=seed, relative_gap=1e-4, cutoff=cutoff),
            hint=x,
            on_incumbent=lambda objective, y: (
                improving.append(y) if objective < cutoff else None
            ),
            stop=lambda: time.process_time() - began > self._params.expert_s,
        )
        whole = [y for one in improving if (y := self.completed(one)) is not None]
        return sorted(
            (y for y in whole if model.objective(y) < cutoff),
            key=model.objective,
            reverse=True,
        )

    def completed(self, y: Floats) -> Floats | None:
        """Return y with whole integers and continuous variables that fit them; None if none do."""
        model = self._model
        y = np.where(model.integrality, np.round(y), y)
        if is_feasible(model, y):
            return y
        if bool(model.integrality.all()):
            return None
        solved = self._relaxation.complete(y, time_limit_s=self._params.expert_s).x
        if solved is None:
            return None
        y = np.where(model.integrality, np.round(y), solved)
        return y if is_feasible(model, y) else None

    def state(
        self, x: Floats, better: list[Floats], rng: np.random.Generator
    ) -> tuple[State, Floats]:
        """Return the state at x, and the best of the `better` solutions."""
        model, params = self._model, self._params
        objective = model.objective(x)
        ordered = sorted(better, key=model.objective)
        best = ordered[0]
        gain = objective - model.objective(best)
        least = params.least_share * gain
        good = _distinct(
            model, x, [y for y in ordered if objective - model.objective(y) >= least]
        )[: params.positives]
        state = State(
            x=x,
            positives=np.stack([changed(model, x, y) for y in good]),
            gains=np.array([(objective - model.objective(y)) / gain for y in good]),
            negatives=self._negatives(x, changed(model, x, best), gain, rng),
        )
        return state, best

    def _negatives(
        self, x: Floats, good: Bools, gain: float, rng: np.random.Generator
    ) -> np.ndarray:
        """Return (Q, n) sets as large as `good` whose sub-MIPs gain next to nothing.

        They are tried as the search would: completed, and with all continuous variables free.
        """
        model, params = self._model, self._params
        members = np.flatnonzero(good)
        others = np.flatnonzero(~good & model.integrality)
        cutoff = model.objective(x) - params.most_share * gain
        negatives: list[np.ndarray] = []
        until = time.process_time() + params.negatives_s
        for share in np.arange(0.05, 1.01, 0.05):
            exchanged = max(1, round(share * len(members)))
            failed = 0
            while (
                failed < 5
                and len(negatives) < params.negatives * (share + 0.2)
                and time.process_time() < until
            ):
                chosen = good.copy()
                chosen[rng.choice(members, size=exchanged, replace=False)] = False
                chosen[
                    rng.choice(others, size=min(exchanged, len(others)), replace=False)
                ] = True
                gains = self._gains(x, chosen, cutoff)
                if gains is None:
                    break
                if gains:
                    failed += 1
                else:
                    negatives.append(chosen)
            if len(negatives) >= params.negatives or time.process_time() >= until:
                break
        if not negatives:
            return np.zeros((0, model.n), dtype=bool)
        return np.stack(negatives[: params.negatives])

    def _gains(self, x: Floats, chosen: Bools, cutoff: float) -> bool | None:
        """Return True if the sub-MIP over a set has a solution below `cutoff`; None if not even x.

        A set that reaches the time limit without one counts as no gain, as in the search.
        """
        free = self._coupling.completed(x, chosen) | ~self._model.integrality
        sub = self._slicer.cut(x, free)
        if sub is None:
            return None
        began = time.process_time()
        solved = HighsSolver().solve(
            sub.model,
            SolveParams(relative_gap=0.5, cutoff=cutoff),
            stop=lambda: time.process_time() - began > self._sub_mip_s,
        )
        return solved.x is not None


def _distinct(model: MilpModel, x: Floats, solutions: list[Floats]) -> list[Floats]:
    """Leave out solutions whose changes are those of an earlier one to nine tenths."""
    distinct: list[Floats] = []
    sets: list[Bools] = []
    for y in solutions:
        own = changed(model, x, y)
        if not own.any():
            continue
        if all((own & s).sum() < 0.9 * (own | s).sum() for s in sets):
            distinct.append(y)
            sets.append(own)
    return distinct


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
