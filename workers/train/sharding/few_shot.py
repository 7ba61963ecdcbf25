"""Few-shot fitting of the shipped compute model to a measured device, in numpy.

Three steps: the constants of the simulated device by a direct search over the measurements; the
net from the shipped weights on random sets that this device prices; then the net on the
measurements, with the weights of the least validation error kept. See
deploy/docs/design/fitted-models.md, "Sharding: few-shot fitting".
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from cost_models.sharding.features import (
    conditioned_features,
    magnitude,
    physical_features,
)
from cost_models.sharding.fitted import FITTED, SHARES, with_factors
from cost_models.sharding.hardware import HardwareProfile
from cost_models.sharding.nets import ConvexComputeNet
from cost_models.sharding.problem import Shards
from cost_models.sharding.simulator import compute_ms
from workers.train.sharding.measured import SetArrays

Weights = dict[str, np.ndarray]

_FARTHEST = math.log(1024.0)  # factor of a constant
_HUBER = 0.1  # relative error from which on the loss is linear
_EVERY = 25  # steps between validations
DRAWN_SETS = 5_000
_MOST_TABLES = 15  # of a drawn set, as the collector draws them
_TRAINED = (
    "table.0.weight",
    "table.0.bias",
    "table.2.weight",
    "table.2.bias",
    "inner.weight",
    "inner.bias",
    "out_raw",
    "skip",
    "bias_raw",
)


def predict(
    weights: Mapping[str, np.ndarray], sets: SetArrays, profile: HardwareProfile
) -> np.ndarray:
    """Return (N,) milliseconds by a weights file as a search evaluates it."""
    net = ConvexComputeNet.of(weights)
    rows = net.embed(sets.tables, sets.table, sets.width, profile)
    pooled = np.zeros((len(sets), rows.shape[1]))
    np.add.at(pooled, sets.group, rows)
    return net.head(profile)(pooled)


def simulate(sets: SetArrays, profile: HardwareProfile) -> np.ndarray:
    """Return (N,) milliseconds on a simulated device."""
    shards = Shards(
        table=sets.table, width=sets.width, group=sets.group, groups=len(sets)
    )
    return compute_ms(sets.tables, shards, profile).total_ms


def calibrate(
    sets: SetArrays,
    base: HardwareProfile,
    *,
    stop: Callable[[], bool] = lambda: False,
    evaluations: int = 500,
) -> tuple[float, ...]:
    """Search the factors of `FITTED` that bring the simulated device closest to measurements.

    Nelder and Mead (1965) on logarithms, with a slight pull towards the base profile.
    """

    def at(logs: np.ndarray) -> tuple[float, np.ndarray]:
        logs = np.clip(logs, -_FARTHEST, _FARTHEST)
        predicted = simulate(sets, with_factors(base, np.exp(logs).tolist()))
        error = _huber(predicted / sets.cost_ms - 1).mean()
        return float(error) + 1e-4 * float((logs**2).sum()), logs

    ratio = float(np.median(sets.cost_ms / simulate(sets, base)))
    # Begin with a device that is slower or faster as a whole.
    rates = np.array([name not in ("l2_bytes", *SHARES, "launch_s") for name in FITTED])
    start = np.where(rates, -math.log(ratio), 0.0)
    start[FITTED.index("launch_s")] = math.log(ratio)
    best_error, best = at(start)

    def objective(logs: np.ndarray) -> float:
        nonlocal best_error, best
        if stop():
            return best_error  # ends the search soon: all points are equal
        error, clipped = at(logs)
        if error < best_error:
            best_error, best = error, clipped
        return error

    simplex = start + np.vstack([np.zeros(len(FITTED)), 0.7 * np.eye(len(FITTED))])
    minimize(
        objective,
        start,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": evaluations, "xatol": 1e-3},
    )
    return tuple(np.exp(best).tolist())


def drawn_sets(
    sets: SetArrays, profile: HardwareProfile, count: int, *, seed: int
) -> SetArrays:
    """Return random sets of the measured tables, priced by the simulated device."""
    rng = np.random.default_rng((seed, 4))
    sizes = rng.integers(1, _MOST_TABLES + 1, count)
    table = rng.integers(0, len(sets.tables), sizes.sum())
    drawn = dataclasses.replace(
        sets,
        table=table,
        width=sets.tables.dim[table],
        group=np.repeat(np.arange(count), sizes),
        cost_ms=np.ones(count),
    )
    return dataclasses.replace(drawn, cost_ms=simulate(drawn, profile))


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Inputs of the net for M shards in N sets on one device."""

    x: np.ndarray  # (M, F) standardised and clipped
    physical: np.ndarray  # (M, P)
    size: np.ndarray  # (M, 1)
    group: np.ndarray  # (M,)
    start: np.ndarray  # (N + 1,)
    shift: np.ndarray  # (J,) part of the joints' shift that the device decides
    cost_ms: np.ndarray  # (N,)

    @classmethod
    def of(
        cls, weights: Mapping[str, np.ndarray], sets: SetArrays, profile: HardwareProfile
    ) -> Inputs:
        """Compute the inputs once; the tables' features do not change with the weights."""
        pairs, which = np.unique(
            np.stack([sets.table, sets.width], axis=1), axis=0, return_inverse=True
        )
        table, width = pairs.T
        physical = physical_features(sets.tables, table, width, profile)
        x = conditioned_features(sets.tables, table, width, profile, physical)
        x = np.clip((x - weights["mean"]) / weights["std"], -6.0, 6.0)
        which = which.ravel()
        counts = np.bincount(sets.group, minlength=len(sets))
        return cls(
            x=x[which],
            physical=physical[which],
            size=magnitude(physical)[which][:, None],
            group=sets.group,
            start=np.concatenate([[0], np.cumsum(counts)]),
            shift=weights["condition"]
            @ (profile.conditions() - weights["condition_mean"]),
            cost_ms=sets.cost_ms,
        )

    def select(self, index: np.ndarray) -> Inputs:
        """Return the sets `index`."""
        sizes = np.diff(self.start)[index]
        start = np.concatenate([[0], np.cumsum(sizes)])
        within = np.arange(start[-1]) - np.repeat(start[:-1], sizes)
        rows = np.repeat(self.start[index], sizes) + within
        return dataclasses.replace(
            self,
            x=self.x[rows],
            physical=self.physical[rows],
            size=self.size[rows],
            group=np.repeat(np.arange(len(index)), sizes),
            start=start,
            cost_ms=self.cost_ms[index],
        )


def loss_and_gradient(
    weights: Mapping[str, np.ndarray], inputs: Inputs
) -> tuple[float, Weights]:
    """Return the mean Huber loss of the relative error, and its gradient by weight.

    The net is `cost_models.sharding.nets.ConvexComputeNet`, in double precision.
    """
    w = weights
    hidden = inputs.x @ w["table.0.weight"].T + w["table.0.bias"]  # (M, H)
    active = np.maximum(hidden, 0.0)
    learned = active @ w["table.2.weight"].T + w["table.2.bias"]  # (M, L)
    rows = np.hstack([inputs.physical, inputs.size * learned]) / w["scale"]  # (M, K)
    pooled = np.add.reduceat(rows, inputs.start[:-1], axis=0)  # (N, K)
    joints = pooled @ w["inner.weight"].T + w["inner.bias"] + inputs.shift  # (N, J)
    open_joints = np.maximum(joints, 0.0)
    out, bias = np.logaddexp(0.0, w["out_raw"]), np.logaddexp(0.0, w["bias_raw"])
    cost = bias[0] + pooled @ w["skip"] + open_joints @ out  # (N,)
    error = cost / inputs.cost_ms - 1
    count = len(error)

    by_cost = np.clip(error, -_HUBER, _HUBER) / inputs.cost_ms / count  # (N,)
    by_joints = by_cost[:, None] * out * (joints > 0)  # (N, J)
    by_pooled = by_cost[:, None] * w["skip"] + by_joints @ w["inner.weight"]  # (N, K)
    by_rows = by_pooled[inputs.group] / w["scale"]  # (M, K)
    by_learned = by_rows[:, inputs.physical.shape[1] :] * inputs.size  # (M, L)
    by_hidden = (by_learned @ w["table.2.weight"]) * (hidden > 0)  # (M, H)
    gradient = {
        "table.0.weight": by_hidden.T @ inputs.x,
        "table.0.bias": by_hidden.sum(0),
        "table.2.weight": by_learned.T @ active,
        "table.2.bias": by_learned.sum(0),
        "inner.weight": by_joints.T @ pooled,
        "inner.bias": by_joints.sum(0),
        "out_raw": (by_cost @ open_joints) * _sigmoid(w["out_raw"]),
        "skip": by_cost @ pooled,
        "bias_raw": np.array([by_cost.sum()]) * _sigmoid(w["bias_raw"]),
    }
    return float(_huber(error).mean()), gradient


@dataclass(kw_only=True)
class TuningState:
    """State of the fine-tuning: all that the next step needs."""

    weights: Weights
    first: Weights  # Adam's moments
    second: Weights
    best: Weights
    best_error: float
    step: int = 0

    @classmethod
    def new(cls, weights: Mapping[str, np.ndarray]) -> TuningState:
        """Begin at `weights`."""
        exact = {name: np.asarray(array, np.float64) for name, array in weights.items()}
        zeros = {name: np.zeros_like(exact[name]) for name in _TRAINED}
        return cls(
            weights=exact,
            first=zeros,
            second={name: array.copy() for name, array in zeros.items()},
            best=dict(exact),
            best_error=math.inf,
        )

    def to_arrays(self) -> Weights:
        """Return the state as named arrays, for a file."""
        parts = ("weights", "first", "second", "best")
        arrays = {
            f"{part}.{name}": array
            for part in parts
            for name, array in getattr(self, part).items()
        }
        arrays["step"] = np.array([self.step])
        arrays["best_error"] = np.array([self.best_error])
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TuningState:
        """Rebuild a state. Raises KeyError."""

        def part(name: str) -> Weights:
            prefix = f"{name}."
            return {
                k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)
            }

        return cls(
            weights=part("weights"),
            first=part("first"),
            second=part("second"),
            best=part("best"),
            best_error=float(arrays["best_error"][0]),
            step=int(arrays["step"][0]),
        )


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Parameters of the fine-tuning."""

    steps: int
    seed: int
    learning_rate: float = 1e-3
    drawn_steps: int = 0  # of `steps`, the first, on drawn sets
    drawn_rate: float = 1e-2
    batch: int = 128
    validation: float = 0.15  # share of the sets


def fine_tune(
    state: TuningState,
    inputs: Inputs,
    tuning: Tuning,
    drawn: Inputs | None = None,
    *,
    on_validation: Callable[[TuningState, float, float], bool],
) -> Weights:
    """Train by Adam with a cosine rate; return the weights of the least validation error.

    on_validation: called with (state, loss, validation MAPE); returns True to end now. The batches
    depend on seed and step alone, so a resumed training ends with the same weights.
    """
    order = np.random.default_rng((tuning.seed, 1)).permutation(len(inputs.cost_ms))
    held = max(1, round(tuning.validation * len(order)))
    validation, train = inputs.select(order[:held]), order[held:]
    loss = math.nan
    while True:
        if state.step % _EVERY == 0 or state.step >= tuning.steps:
            error = mape(state.weights, validation)
            if error < state.best_error:
                state.best_error = error
                state.best = {k: v.copy() for k, v in state.weights.items()}
            if on_validation(state, loss, error) or state.step >= tuning.steps:
                break
        rng = np.random.default_rng((tuning.seed, 2, state.step))
        source, among = inputs, train
        if drawn is not None and state.step < tuning.drawn_steps:
            source, among = drawn, np.arange(len(drawn.cost_ms))
        batch = rng.choice(among, min(tuning.batch, len(among)), replace=False)
        loss, gradient = loss_and_gradient(state.weights, source.select(batch))
        _adam(state, gradient, tuning)
    return {name: array.astype(np.float32) for name, array in state.best.items()}


def _adam(state: TuningState, gradient: Weights, tuning: Tuning) -> None:
    """Take one step (Kingma and Ba 2015, algorithm 1)."""
    rate, done, steps = tuning.learning_rate, state.step, tuning.steps
    if done < tuning.drawn_steps:
        rate, steps = tuning.drawn_rate, tuning.drawn_steps
    else:
        done, steps = done - tuning.drawn_steps, steps - tuning.drawn_steps
    share = done / steps
    rate *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share))
    state.step += 1
    for name, slope in gradient.items():
        state.first[name] = 0.9 * state.first[name] + 0.1 * slope
        state.second[name] = 0.999 * state.second[name] + 0.001 * slope**2
        mean = state.first[name] / (1 - 0.9**state.step)
        spread = state.second[name] / (1 - 0.999**state.step)
        state.weights[name] = state.weights[name] - rate * mean / (np.sqrt(spread) + 1e-8)


def mape(weights: Mapping[str, np.ndarray], inputs: Inputs) -> float:
    """Return the mean absolute percentage error, as a share."""
    w = weights
    active = np.maximum(inputs.x @ w["table.0.weight"].T + w["table.0.bias"], 0.0)
    learned = active @ w["table.2.weight"].T + w["table.2.bias"]
    rows = np.hstack([inputs.physical, inputs.size * learned]) / w["scale"]
    pooled = np.add.reduceat(rows, inputs.start[:-1], axis=0)
    joints = pooled @ w["inner.weight"].T + w["inner.bias"] + inputs.shift
    out, bias = np.logaddexp(0.0, w["out_raw"]), np.logaddexp(0.0, w["bias_raw"])
    cost = bias[0] + pooled @ w["skip"] + np.maximum(joints, 0.0) @ out
    return float(np.abs(cost / inputs.cost_ms - 1).mean())


def _huber(error: np.ndarray) -> np.ndarray:
    size = np.abs(error)
    return np.where(size <= _HUBER, 0.5 * size**2, _HUBER * (size - 0.5 * _HUBER))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -x))
