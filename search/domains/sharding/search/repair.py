"""Repair a plan in use that no longer fits: the plan that fits and moves fewest bytes."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, vstack

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items, options_by_width
from search.domains.sharding.encode.plan import Plan, fits
from solvers.table import make_solver
from solvers.types import MilpModel, SolveParams

_MAX_COUNTS = 40_000  # integer variables of the repair; larger jobs rely on first fit


def least_moving_plan(
    items: Items,
    plan: Plan,
    home_device: np.ndarray,
    capacity: np.ndarray,
    *,
    seconds: float,
) -> Plan | None:
    """Return the plan that fits and moves fewest bytes away from home, by integer programming.

    It cuts the shards of `plan` further where that helps. None when the program is too large or
    no plan was found within `seconds`.
    """
    options, devices = items.options, len(capacity)
    by_width = options_by_width(items)
    # Shards cut from one home, or from one new item, are covered together.
    keys = [
        (int(h), int(options.item[o]))
        for o, h in zip(plan.option, plan.home, strict=True)
    ]
    parts = list(dict.fromkeys(keys))
    width = {key: 0 for key in parts}
    for key, option in zip(keys, plan.option, strict=True):
        width[key] += int(options.width[option])
    cuts = [
        (p, o)
        for p, key in enumerate(parts)
        for w, o in by_width[key[1]].items()
        if w <= width[key]
    ]
    if len(cuts) * devices > _MAX_COUNTS:
        return None
    part, option = (
        np.repeat(np.array(column), devices) for column in zip(*cuts, strict=True)
    )
    device = np.tile(np.arange(devices), len(cuts))
    total = np.array([float(width[key]) for key in parts])
    homes = np.array([key[0] for key in parts], dtype=np.int64)
    home = home_device[homes][part]
    away = (home != NONE) & (home != device)
    program = _program(items, capacity, option, device, part, total, away)
    solved = make_solver("highs").solve(
        program, SolveParams(time_limit_s=seconds, threads=1)
    )
    if solved.x is None:
        return None
    times = np.round(solved.x).astype(int)
    repaired = Plan.of(
        np.repeat(option, times),
        np.repeat(device, times),
        "current plan, repaired",
        home=np.repeat(homes[part], times),
    )
    return repaired if fits(items, repaired, capacity) else None


def _program(
    items: Items,
    capacity: np.ndarray,
    option: np.ndarray,
    device: np.ndarray,
    part: np.ndarray,
    total: np.ndarray,
    away: np.ndarray,
) -> MilpModel:
    """Return the program over the counts n[k] of shards of option[k] of a part on device[k].

    min  sum of bytes away from home, then of shards
    memory of each device <= capacity,  the widths of each part sum to `total`

    option, device, part and away are (K,).
    """
    options = items.options
    may = options.memory[option] <= capacity[device]
    if items.allowed is not None:
        may &= items.allowed[options.item[option], device]
    every = np.arange(len(device))
    memory = coo_matrix(
        (options.memory[option] / capacity[device], (device, every)),
        shape=(len(capacity), len(every)),
    )
    cover = coo_matrix(
        (options.width[option].astype(float), (part, every)),
        shape=(len(total), len(every)),
    )
    matrix = vstack([memory, cover]).tocsr()
    scale = max(float(options.weight_bytes.max()), 1.0)
    return MilpModel(
        # The small constant prefers fewer shards among plans that move as many bytes.
        c=options.weight_bytes[option] / scale * away + 1e-6,
        col_lower=np.zeros(len(every)),
        col_upper=np.where(may, total[part] // options.width[option], 0.0),
        integrality=np.ones(len(every), dtype=bool),
        indptr=matrix.indptr.astype(np.int32),
        indices=matrix.indices.astype(np.int32),
        data=matrix.data,
        row_lower=np.concatenate([np.full(len(capacity), -np.inf), total]),
        row_upper=np.concatenate([np.ones(len(capacity)), total]),
    )


def moved_bytes(items: Items, plan: Plan, home_device: np.ndarray) -> float:
    """Return the bytes of weights away from home."""
    home = home_device[plan.home]
    away = (home != NONE) & (home != plan.device)
    return float(items.options.weight_bytes[plan.option] @ away)
