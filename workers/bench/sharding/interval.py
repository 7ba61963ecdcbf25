"""`python -m workers.bench sharding calibrate`: the 90 % interval for the oracle's cost of a plan the search chose.

Normalised split conformal: plans of tasks from a pool of its own (seed 31), all profiles, several sizes; the 90 % quantile
of |oracle / model - 1| / spread, where the spread is the ensemble's. The quality suite's tasks, from yet another pool, then
tell how often the interval holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from cost_models.sharding.generator import diverse, meta_like
from cost_models.sharding.problem import TableArrays
from search.domains.sharding.domain import member_costs, search_with
from search.domains.sharding.models import CALIBRATION, Models
from search.domains.sharding.plan_cost import certified_model
from search.domains.sharding.problem import parse, set_up
from search.domains.sharding.rescore import Oracle
from trimtab.specs.sharding import DeviceGroup, Hardware, MemoryModel, Optimizer, ShardingSpec

_POOL_SEED = 31
_JOBS = 240


def calibrate(models: Models, *, seed: int, say: Callable[[str], object]) -> dict[str, Any]:
    """Plan calibration jobs, keep the quantiles beside the weights, report them and their coverage on a held-out half."""
    scores = np.array([s for k in range(_JOBS) if (s := _score(models, seed, k, say)) is not None])
    fit, rest = scores[::2], scores[1::2]
    covered = float((rest <= _quantile(fit)).mean())
    content = {"quantile": round(_quantile(scores), 5), "plans": len(scores), "pool_seed": _POOL_SEED}
    (models.folder / CALIBRATION).write_text(json.dumps(content) + "\n")
    return {**content, "coverage_of_half_fitted_on_other_half": covered}


def _quantile(scores: np.ndarray) -> float:
    """The smallest score that at least 90 % of n + 1 do not exceed: conformal's finite-sample quantile."""
    rank = min(len(scores), int(np.ceil(0.9 * (len(scores) + 1))))
    return float(np.sort(scores)[rank - 1])


def _score(models: Models, seed: int, k: int, say: Callable[[str], object]) -> float | None:
    rng = np.random.default_rng((seed, _POOL_SEED, k))
    count = int(rng.integers(10, 80))
    devices = int(rng.choice([2, 4, 8]))
    tables = meta_like(count, rng) if rng.random() < 0.7 else diverse(count, rng)
    widths = rng.choice([128, 64, 32, 16, 8], count)
    tables = [
        t.model_copy(update={"dim": int(w), "name": f"{i}"})
        for i, (t, w) in enumerate(zip(tables, widths, strict=True))
    ]
    need = sum(t.rows * t.dim * t.dtype.bytes for t in tables) / 2**30
    spec = ShardingSpec(
        tables=tuple(tables),
        devices=(
            DeviceGroup(
                count=devices,
                memory_gib=max(
                    1.0, float(rng.uniform(1.1, 2.0)) * need / devices, max(t.rows for t in tables) * 40 / 2**30
                ),
                hardware=list(Hardware)[int(rng.integers(3))],
            ),
        ),
        global_batch=int(rng.choice([16_384, 65_536, 262_144])),
        optimizer=Optimizer.ROWWISE_ADAGRAD,
        memory_model=MemoryModel.WEIGHTS,
    )
    problem = parse(spec, {})
    arrays = TableArrays.of(spec.tables, batch=spec.global_batch, optimizer=spec.optimizer)
    setup = set_up(problem, arrays, spec)
    model = certified_model(setup.items, arrays, setup.profiles, setup.fabric, models.compute, models.exchange)
    oracle = Oracle(items=setup.items, arrays=arrays, profiles=setup.profiles, fabric=setup.fabric)
    found = search_with(spec, setup, model, oracle, rng, lambda: False, lambda plan, cost, source: None, models=models)
    if (k + 1) % 20 == 0:
        say(f"{k + 1}/{_JOBS} calibration plans")
    if found is None:
        return None
    costs = member_costs(models, setup, found.plan)
    return abs(found.oracle_ms / costs[0] - 1) / models.spread(costs)
