"""Few-shot fitting beside the shipped model and beside training from scratch on ten times as much.

The device is simulated with constants that no model was trained on; labels have 2 % of noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from cost_models.sharding.features import (
    conditioned_features,
    physical_features,
)
from cost_models.sharding.fitted import with_factors
from cost_models.sharding.hardware import GB, MIB, PROFILES, HardwareProfile
from cost_models.sharding.problem import Shards
from cost_models.sharding.simulator import compute_ms
from cost_models.weights import load_weights
from trimtab.specs.sharding import Hardware
from workers.train.sharding.collect.random_sets import DrawLimits, draw_pool, draw_set
from workers.train.sharding.few_shot import (
    DRAWN_SETS,
    Inputs,
    Tuning,
    TuningState,
    Weights,
    calibrate,
    drawn_sets,
    fine_tune,
    predict,
    simulate,
)
from workers.train.sharding.measured import MeasuredSet, SetArrays, arrays_of

# Close to an L4 by its datasheet (300 GB/s, 48 MiB of L2, 58 SMs); the rest is made up. Issue
# cycles, resident warps, gather efficiency and the number of launches differ from the base profile
# and are not among the fitted constants.
DEVICE = HardwareProfile(
    name="l4-like",
    hbm_bytes_s=300 * GB,
    hbm_efficiency=0.8,
    l2_bytes=48 * MIB,
    l2_bytes_s=1_500 * GB,
    sm_count=58,
    clock_hz=2.04e9,
    warps_per_sm=48,
    nvlink_bytes_s=32 * GB,
    nic_bytes_s=12.5 * GB,
    issue_cycles=5.0,
    update_efficiency=0.35,
    launch_s=7e-6,
    backward_launches=18,
    sort_efficiency=0.4,
)
BASE = PROFILES[Hardware.A100]
NOISE = 0.02
_TEST_FROM, _TEST = 1_000_000, 1_000


def measured(seed: int, first: int, count: int) -> SetArrays:
    """Return `count` sets of 1 to 15 tables of the pool of `seed`, with noisy costs."""
    limits = DrawLimits(
        seed=seed,
        batch=16_384,
        pool=400,
        max_rows=10_000_000,
        max_pooling=100,
        max_gib=16,
    )
    pool = draw_pool(limits)
    sets = [
        MeasuredSet(
            tables=tuple(pool[i] for i in draw_set(pool, k, limits)),
            batch=limits.batch,
            cost_ms=1.0,
        )
        for k in range(first, first + count)
    ]
    arrays = arrays_of(sets)
    shards = Shards(
        table=arrays.table, width=arrays.width, group=arrays.group, groups=count
    )
    noise = np.random.default_rng((seed, first)).normal(0, NOISE, count)
    cost = compute_ms(arrays.tables, shards, DEVICE).total_ms * np.exp(noise)
    return replace(arrays, cost_ms=cost)


def compare(
    seed: int, *, measurements: int, steps: int, scratch_steps: int
) -> Iterator[dict[str, Any]]:
    """Yield the errors of all arms on unseen sets."""
    test = measured(seed, _TEST_FROM, _TEST)

    def line(arm: str, labels: int, predicted: np.ndarray) -> dict[str, Any]:
        error = np.abs(predicted / test.cost_ms - 1)
        return {
            "arm": arm,
            "labels": labels,
            "run": seed,
            "mape": float(error.mean()),
            "p95": float(np.quantile(error, 0.95)),
        }

    shipped = load_weights("trimtab-compute-0")
    yield line("shipped", 0, predict(shipped, test, BASE))
    few = measured(seed, 0, measurements)
    profile = with_factors(BASE, calibrate(few, BASE))
    yield line("simulated device alone", measurements, simulate(test, profile))
    for arm, drawn_steps in (
        ("fitted", 4 * steps // 5),
        ("fitted without drawn sets", 0),
    ):
        drawn = drawn_sets(few, profile, DRAWN_SETS, seed=seed)
        fitted = fine_tune(
            TuningState.new(shipped),
            Inputs.of(shipped, few, profile),
            Tuning(steps=steps, seed=seed, drawn_steps=drawn_steps),
            Inputs.of(shipped, drawn, profile),
            on_validation=_go_on,
        )
        yield line(arm, measurements, predict(fitted, test, profile))
    for labels in (measurements, 10 * measurements):
        sets = few if labels == measurements else measured(seed, 0, labels)
        made = from_scratch(sets, steps=scratch_steps, seed=seed)
        yield line("from scratch", labels, predict(made, test, BASE))


def _go_on(state: TuningState, loss: float, error: float) -> bool:
    return False


def from_scratch(sets: SetArrays, *, steps: int, seed: int) -> Weights:
    """Train the same net from random weights, with the constants of the base profile."""
    import torch

    from workers.train.sharding.models import ConvexCompute, physical_scale

    pairs = np.unique(np.stack([sets.table, sets.width], axis=1), axis=0)
    table, width = pairs.T
    physical = physical_features(sets.tables, table, width, BASE)
    x = conditioned_features(sets.tables, table, width, BASE, physical)
    torch.manual_seed(seed)
    net = ConvexCompute(x.mean(0), x.std(0) + 1e-6, physical_scale(), BASE.conditions())
    weights = {k: v.numpy().astype(np.float64) for k, v in net.state_dict().items()}
    return fine_tune(
        TuningState.new(weights),
        Inputs.of(weights, sets, BASE),
        Tuning(steps=steps, seed=seed, learning_rate=5e-3, batch=128),
        on_validation=_go_on,
    )
