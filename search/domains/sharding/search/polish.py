"""The last steps are taken on the oracle itself: work leaves the device that computes longest or holds most columns.

A plan that is best for a model is best where the model errs (the optimiser's curse), so the model alone must not choose.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cost_models.sharding.simulator import step_cost
from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan, merged
from search.domains.sharding.search.local_search import Limits
from search.domains.sharding.search.oracle import Oracle
from trimtab.specs.sharding import MIN_SHARD_DIM

_ORDER = 12  # of the norm that tells which of two plans of one cost is more even


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
    plan = merged(items, plan)
    option, device, home = plan.option.copy(), plan.device.copy(), plan.home.copy()
    compute = oracle.compute(option, device)
    dims = oracle.dims(plan)
    cost = oracle.step(plan).total_ms
    used, failed = 1, 0
    if np.isfinite(limits.moved) or len(compute) == 1:
        return plan, cost, used
    fabric = oracle.fabric
    speed = fabric.inter_bytes_s if fabric.ranks > fabric.per_node else fabric.intra_bytes_s
    slowness = speed.max() / speed
    while used < evaluations and failed < 60 and not stop():
        # The device that computes longest, or one of those with most columns: many may tie.
        wide = dims * slowness
        tied = np.flatnonzero(wide >= wide.max() * (1 - 1e-9))
        slow = int(compute.argmax()) if rng.random() < 0.5 else int(rng.choice(tied))
        mine = np.flatnonzero(device == slow)
        if not len(mine):
            break
        shard = int(rng.choice(mine))
        light = np.argsort(compute if rng.random() < 0.5 else wide, kind="stable")[
            : max(2, len(compute) // 3)
        ]
        target = int(rng.choice(light[light != slow])) if (light != slow).any() else slow
        trial = _trial(items, option, device, home, shard, target, rng)
        used += 1
        failed += 1
        if trial is None:
            continue
        new_option, new_device, new_home = trial.option, trial.device, trial.home
        new_memory = np.bincount(
            new_device, weights=options.memory[new_option], minlength=len(compute)
        )
        if (new_memory > limits.capacity).any():
            continue
        if (
            items.allowed is not None
            and not items.allowed[options.item[new_option], new_device].all()
        ):
            continue
        if not allowed(trial):
            continue
        changed = np.array([slow, target])
        new_compute = compute.copy()
        new_compute[changed] = oracle.compute_some(new_option, new_device, changed)
        new_dims = oracle.dims(trial)
        new_cost = _total(oracle, new_compute, new_dims)
        flatter = (
            new_cost <= cost + 1e-12
            and _uneven(new_compute, new_dims * slowness, compute, wide) < 1 - 1e-7
        )
        if new_cost < cost * (1 - 1e-9) or flatter:
            option, device, home = new_option, new_device, new_home
            compute, dims, cost, failed = new_compute, new_dims, new_cost, 0
    return (
        Plan(option=option, device=device, home=home, source=f"{plan.source}+oracle"),
        cost,
        used,
    )


def _uneven(
    compute: np.ndarray, dims: np.ndarray, old_compute: np.ndarray, old_dims: np.ndarray
) -> float:
    """How uneven the loads are, over how uneven they were: by a norm of a high order, so that ties at the top count."""
    new, old = 0.0, 0.0
    for now, before in ((compute, old_compute), (dims, old_dims)):
        top = max(float(before.max()), 1e-12)
        new += float(((now / top) ** _ORDER).sum())
        old += float(((before / top) ** _ORDER).sum())
    return new / old


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
) -> Plan | None:
    """A random step that takes work from `shard`'s device to `target`: a move, a swap, or some of the shard's columns."""
    options = items.options
    kind = rng.random()
    new_device = device.copy()
    if kind < 0.35:
        new_device[shard] = target
        return merged(items, Plan(option=option, device=new_device, home=home))
    if kind < 0.7:
        theirs = np.flatnonzero(device == target)
        if not len(theirs):
            return None
        other = int(rng.choice(theirs))
        new_device[shard], new_device[other] = target, device[shard]
        return merged(items, Plan(option=option, device=new_device, home=home))
    half = int(options.half[option[shard]])
    if half == NONE:
        return None
    rest = int(options.rest[option[shard]])
    if kind >= 0.85:  # any cut, not only in the middle
        width, item = int(options.width[option[shard]]), int(options.item[option[shard]])
        columns = (
            int(rng.integers(1, width // MIN_SHARD_DIM)) * MIN_SHARD_DIM
            if width > MIN_SHARD_DIM
            else 0
        )
        half, rest = (
            int(o)
            for o in options.find(
                np.array([item, item]), np.array([columns, width - columns])
            )
        )
        if half == NONE or rest == NONE:
            return None
    new_option = np.append(option, rest)
    new_option[shard] = half
    return merged(
        items,
        Plan(
            option=new_option,
            device=np.append(device, target),
            home=np.append(home, home[shard]),
        ),
    )
