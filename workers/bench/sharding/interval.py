"""`python -m workers.bench sharding calibrate`: the 90 % interval of a plan's cost.

Normalised split conformal prediction: plans of tasks from a pool of its own (seed 31), all
profiles, several sizes; the 90 % quantiles of |oracle / model - 1| / spread by mean width, where
the spread is the ensemble's. The quality suite measures the coverage on tasks from a third pool.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from cost_models.sharding.generator import diverse, meta_like
from search.domains.sharding.encode.setup import set_up
from search.domains.sharding.parse.problem import parse
from search.domains.sharding.search.ensemble import member_costs
from search.domains.sharding.search.instance import Instance, search_instance
from search.domains.sharding.search.models import (
    CALIBRATION,
    WIDTH_BINS,
    Models,
    width_bin,
)
from trimtab.specs.sharding import (
    DeviceGroup,
    Hardware,
    MemoryModel,
    Optimizer,
    ShardingSpec,
)

_POOL_SEED = 31
_JOBS = 600


def calibrate(
    models: Models, *, seed: int, say: Callable[[str], object]
) -> dict[str, Any]:
    """Plan calibration jobs and write the quantiles beside the weights.

    Returns them, and the coverage of quantiles fitted on one half of the plans on the other half.
    """
    drawn = [_score(models, seed, k, say) for k in range(_JOBS)]
    entries = [entry for entry in drawn if entry is not None]
    scores = np.array([score for score, _ in entries])
    bins = np.array([width for _, width in entries])
    every = range(len(WIDTH_BINS) + 1)
    fit = np.array([_quantile(scores[::2][bins[::2] == b]) for b in every])
    covered = float((scores[1::2] <= fit[bins[1::2]]).mean())
    quantiles = [round(_quantile(scores[bins == b]), 4) for b in every]
    content = {
        "quantiles": quantiles,
        "width_bins": list(WIDTH_BINS),
        "plans": len(scores),
        "pool_seed": _POOL_SEED,
    }
    (models.folder / CALIBRATION).write_text(json.dumps(content) + "\n")
    return {**content, "coverage_of_half_fitted_on_other_half": covered}


def _quantile(scores: np.ndarray) -> float:
    """Return the finite-sample 90 % quantile.

    It is the smallest score that at least 90 % of n + 1 do not exceed.
    """
    if not len(scores):
        raise ValueError(
            "width bin: expected at least one calibration plan, got none; draw more jobs"
        )
    rank = min(len(scores), int(np.ceil(0.9 * (len(scores) + 1))))
    return float(np.sort(scores)[rank - 1])


def _score(
    models: Models, seed: int, k: int, say: Callable[[str], object]
) -> tuple[float, int] | None:
    """Return the nonconformity score and the width bin of job k; None when no plan fits."""
    rng = np.random.default_rng((seed, _POOL_SEED, k))
    count = int(rng.integers(10, 80))
    devices = int(rng.choice([2, 4, 8]))
    tables = meta_like(count, rng) if rng.random() < 0.7 else diverse(count, rng)
    widest = int(rng.choice([4, 8, 16, 32, 64, 128]))
    widths = rng.choice([w for w in (128, 64, 32, 16, 8, 4) if w <= widest], count)
    tables = [
        t.model_copy(update={"dim": int(w), "name": f"{i}"})
        for i, (t, w) in enumerate(zip(tables, widths, strict=True))
    ]
    need = sum(t.rows * t.dim * t.dtype.bytes for t in tables) / 2**30
    memory_gib = max(
        1.0,
        float(rng.uniform(1.1, 2.0)) * need / devices,
        max(t.rows for t in tables) * 40 / 2**30,
    )
    hardware = list(Hardware)[int(rng.integers(3))]
    spec = ShardingSpec(
        tables=tuple(tables),
        devices=(DeviceGroup(count=devices, memory_gib=memory_gib, hardware=hardware),),
        global_batch=int(rng.choice([16_384, 65_536, 262_144])),
        optimizer=Optimizer.ROWWISE_ADAGRAD,
        memory_model=MemoryModel.WEIGHTS,
    )
    setup = set_up(parse(spec, {}))
    result = search_instance(Instance.of(spec, setup, models), rng)
    if (k + 1) % 20 == 0:
        say(f"{k + 1}/{_JOBS} calibration plans")
    if result is None:
        return None
    costs = member_costs(models, setup, result.plan)
    score = abs(result.oracle_ms / costs[0] - 1) / models.spread(costs)
    return score, width_bin(float(setup.arrays.dim.mean()))
