"""The last steps are taken on the oracle itself: moves and splits away from its slowest device, kept when it agrees.

A plan that is best for a model is best where the model errs (the optimiser's curse), so the model alone must not choose.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cost_models.sharding.simulator import step_cost
from search.domains.sharding.items import NONE, Items
from search.domains.sharding.local_search import Limits
from search.domains.sharding.placement import Plan
from search.domains.sharding.rescore import Oracle


def polish(
    items: Items,
    oracle: Oracle,
    plan: Plan,
    limits: Limits,
    rng: np.random.Generator,
    *,
    evaluations: int,
    allowed: Callable[[Plan], bool],
    stop: Callable[[], bool],
) -> tuple[Plan, float, int]:
    """Improve `plan` by the oracle; returns plan, its milliseconds and the evaluations used.

    `allowed` is the model's word: plans it finds much dearer are not tried, so that its certificate stays tight.
    """
    options = items.options
    option, device, home = plan.option.copy(), plan.device.copy(), plan.home.copy()
    compute = oracle.compute(option, device)
    cost = oracle.step(plan).total_ms
    used, failed = 1, 0
    if np.isfinite(limits.moved) or len(compute) == 1:
        return plan, cost, used
    while used < evaluations and failed < 60 and not stop():
        slow = int(compute.argmax())
        mine = np.flatnonzero(device == slow)
        if not len(mine):
            break
        shard = int(rng.choice(mine))
        light = np.argsort(compute, kind="stable")[: max(2, len(compute) // 3)]
        target = int(rng.choice(light[light != slow])) if (light != slow).any() else slow
        trial = _trial(items, option, device, home, shard, target, rng)
        used += 1
        failed += 1
        if trial is None:
            continue
        new_option, new_device, new_home = trial
        new_memory = np.bincount(new_device, weights=options.memory[new_option], minlength=len(compute))
        if (new_memory > limits.capacity).any():
            continue
        if items.allowed is not None and not items.allowed[options.item[new_option], new_device].all():
            continue
        if not allowed(Plan(option=new_option, device=new_device, home=new_home)):
            continue
        changed = np.array([slow, target])
        new_compute = compute.copy()
        new_compute[changed] = oracle.compute_some(new_option, new_device, changed)
        new_dims = np.bincount(new_device, weights=options.dim[new_option], minlength=len(compute))
        new_cost = _total(oracle, new_compute, new_dims)
        flatter = new_cost <= cost + 1e-12 and (new_compute**2).sum() < (compute**2).sum() * (1 - 1e-7)
        if new_cost < cost * (1 - 1e-9) or flatter:
            option, device, home = new_option, new_device, new_home
            compute, cost, failed = new_compute, new_cost, 0
    return Plan(option=option, device=device, home=home, source=f"{plan.source}+oracle"), cost, used


def _total(oracle: Oracle, compute: np.ndarray, dims: np.ndarray) -> float:
    return step_cost(compute, dims, oracle.arrays.batch, oracle.fabric).total_ms


def _trial(
    items: Items,
    option: np.ndarray,
    device: np.ndarray,
    home: np.ndarray,
    shard: int,
    target: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """A random step that takes work from `shard`'s device to `target`: a move, a swap, or half of the shard."""
    kind = rng.random()
    new_device = device.copy()
    if kind < 0.4:
        new_device[shard] = target
        return option, new_device, home
    if kind < 0.8:
        theirs = np.flatnonzero(device == target)
        if not len(theirs):
            return None
        other = int(rng.choice(theirs))
        new_device[shard], new_device[other] = target, device[shard]
        return option, new_device, home
    half = int(items.options.half[option[shard]])
    if half == NONE:
        return None
    new_option = np.append(option, half)
    new_option[shard] = half
    return new_option, np.append(device, target), np.append(home, home[shard])
