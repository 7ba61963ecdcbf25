"""Improve a plan by random steps that the oracle itself prices.

Steps take work from the device that computes longest or has most columns. A plan that is best
under a model is best where the model errs (the optimiser's curse), so the model alone must not
choose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cost_models.sharding.simulator import step_cost
from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan, fits, merged
from search.domains.sharding.search.deadlines import Stop
from search.domains.sharding.search.oracle import Oracle
from search.domains.sharding.search.working_plan import Limits
from trimtab.specs.sharding import MIN_SHARD_DIM

_ORDER = 12  # of the norm by which the more even of two plans of equal cost is preferred
_MAX_FAILED = 60  # steps in a row without a better plan
# Shares of the random steps: moves, swaps, cuts in the middle; the rest cuts anywhere.
_MOVES, _MOVES_AND_SWAPS, _AND_HALVES = 0.35, 0.7, 0.85


@dataclass(kw_only=True)
class _Polished:
    """A plan with its oracle figures."""

    plan: Plan
    compute: np.ndarray  # (D,) milliseconds
    dims: np.ndarray  # (D,) columns
    cost: float


def polish(
    items: Items,
    oracle: Oracle,
    plan: Plan,
    limits: Limits,
    rng: np.random.Generator,
    *,
    evaluations: int,
    allowed: Callable[[Plan], bool],
    stop: Stop,
) -> tuple[Plan, float, int]:
    """Improve `plan` by the oracle; return plan, its milliseconds and the evaluations used.

    allowed: rejects plans that are too expensive under the model, so that the certificate, which
        bounds the model's cost, stays tight.
    """
    source = plan.source
    plan = merged(items, plan)
    best = _Polished(
        plan=plan,
        compute=oracle.compute(plan.option, plan.device),
        dims=oracle.dims(plan),
        cost=oracle.step(plan).total_ms,
    )
    used, failed = 1, 0
    if np.isfinite(limits.moved) or len(best.compute) == 1:
        return plan, best.cost, used
    fabric = oracle.fabric
    speed = (
        fabric.inter_bytes_s if fabric.ranks > fabric.per_node else fabric.intra_bytes_s
    )
    slowness = speed.max() / speed
    while used < evaluations and failed < _MAX_FAILED and not stop():
        pair = _devices(best, slowness, rng)
        if pair is None:
            break
        shard, source_device, target = pair
        trial = _trial(items, best.plan, shard, target, rng)
        used += 1
        failed += 1
        if trial is None or not fits(items, trial, limits.capacity) or not allowed(trial):
            continue
        changed = np.array([source_device, target])
        priced = _priced(oracle, best, trial, changed)
        flatter = (
            priced.cost <= best.cost + 1e-12
            and _unevenness(priced, best, slowness) < 1 - 1e-7
        )
        if priced.cost < best.cost * (1 - 1e-9) or flatter:
            best, failed = priced, 0
    final = best.plan
    polished = Plan(
        option=final.option,
        device=final.device,
        home=final.home,
        source=f"{source}+oracle",
    )
    return polished, best.cost, used


def _devices(
    best: _Polished, slowness: np.ndarray, rng: np.random.Generator
) -> tuple[int, int, int] | None:
    """Draw a shard, its device, which limits the plan, and a light device to relieve it.

    None when the device that limits the plan holds nothing.
    """
    compute, weighted = best.compute, best.dims * slowness
    # The device that computes longest, or one of those with most columns: many may tie.
    tied = np.flatnonzero(weighted >= weighted.max() * (1 - 1e-9))
    slow = int(compute.argmax()) if rng.random() < 0.5 else int(rng.choice(tied))
    mine = np.flatnonzero(best.plan.device == slow)
    if not len(mine):
        return None
    shard = int(rng.choice(mine))
    lightest_first = np.argsort(
        compute if rng.random() < 0.5 else weighted, kind="stable"
    )
    light = lightest_first[: max(2, len(compute) // 3)]
    target = int(rng.choice(light[light != slow])) if (light != slow).any() else slow
    return shard, slow, target


def _priced(
    oracle: Oracle, best: _Polished, trial: Plan, changed: np.ndarray
) -> _Polished:
    """Price a trial of which only the devices `changed` differ from the best plan."""
    compute = best.compute.copy()
    compute[changed] = oracle.compute_some(trial.option, trial.device, changed)
    dims = oracle.dims(trial)
    cost = step_cost(compute, dims, oracle.arrays.batch, oracle.fabric).total_ms
    return _Polished(plan=trial, compute=compute, dims=dims, cost=cost)


def _unevenness(new: _Polished, old: _Polished, slowness: np.ndarray) -> float:
    """Return how uneven the loads are, relative to the old ones.

    By a norm of a high order, so that ties at the top count.
    """
    new_sum, old_sum = 0.0, 0.0
    for now, before in (
        (new.compute, old.compute),
        (new.dims * slowness, old.dims * slowness),
    ):
        top = max(float(before.max()), 1e-12)
        new_sum += float(((now / top) ** _ORDER).sum())
        old_sum += float(((before / top) ** _ORDER).sum())
    return new_sum / old_sum


def _trial(
    items: Items, plan: Plan, shard: int, target: int, rng: np.random.Generator
) -> Plan | None:
    """Return the plan after a random step that takes work from `shard`'s device to `target`.

    A move, a swap, or a transfer of some of the shard's columns; None when the step is impossible.
    """
    kind = rng.random()
    device = plan.device.copy()
    if kind < _MOVES:
        device[shard] = target
        return merged(items, Plan(option=plan.option, device=device, home=plan.home))
    if kind < _MOVES_AND_SWAPS:
        theirs = np.flatnonzero(plan.device == target)
        if not len(theirs):
            return None
        other = int(rng.choice(theirs))
        device[shard], device[other] = target, plan.device[shard]
        return merged(items, Plan(option=plan.option, device=device, home=plan.home))
    halves = _cut(items, int(plan.option[shard]), rng, anywhere=kind >= _AND_HALVES)
    if halves is None:
        return None
    option = np.append(plan.option, halves[1])
    option[shard] = halves[0]
    return merged(
        items,
        Plan(
            option=option,
            device=np.append(plan.device, target),
            home=np.append(plan.home, plan.home[shard]),
        ),
    )


def _cut(
    items: Items, option: int, rng: np.random.Generator, *, anywhere: bool
) -> tuple[int, int] | None:
    """Cut an option in the middle or at a random column; None when it cannot be cut there."""
    options = items.options
    first = int(options.half[option])
    if first == NONE:
        return None
    second = int(options.rest[option])
    if anywhere:
        width, item = int(options.width[option]), int(options.item[option])
        columns = 0
        if width > MIN_SHARD_DIM:
            columns = int(rng.integers(1, width // MIN_SHARD_DIM)) * MIN_SHARD_DIM
        first, second = (
            int(o)
            for o in options.find(
                np.array([item, item]), np.array([columns, width - columns])
            )
        )
        if first == NONE or second == NONE:
            return None
    return first, second
