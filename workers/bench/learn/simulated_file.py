"""Collector's files of a simulated device that no shipped model was trained on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from cost_models.sharding.hardware import GB, PROFILES
from cost_models.sharding.problem import Shards
from cost_models.sharding.simulator import compute_ms
from trimtab.specs.sharding import Hardware
from workers.train.sharding.collect.random_sets import DrawLimits, draw_pool, draw_set
from workers.train.sharding.measured import MeasuredSet, arrays_of

SLOW = dataclasses.replace(
    PROFILES[Hardware.A100], name="slow", hbm_bytes_s=300 * GB, l2_bytes_s=1_500 * GB
)


def write_measured(
    path: Path,
    *,
    sets: int = 60,
    seed: int = 7,
    machine: str = "slow",
    factor: float = 1.0,
    scramble: bool = False,
) -> Path:
    """Write a file of `sets` sets with 2 % of noise.

    scramble: times of a device that the shipped model knows, with noise that nothing explains.
    """
    limits = DrawLimits(
        seed=seed, batch=4096, pool=30, max_rows=1_000_000, max_pooling=50, max_gib=4
    )
    pool = draw_pool(limits)
    places = [draw_set(pool, k, limits)[:4] for k in range(sets)]
    arrays = arrays_of(
        [
            MeasuredSet(tables=tuple(pool[i] for i in p), batch=4096, cost_ms=1.0)
            for p in places
        ]
    )
    shards = Shards(
        table=arrays.table, width=arrays.width, group=arrays.group, groups=sets
    )
    device = PROFILES[Hardware.A100] if scramble else SLOW
    cost = factor * compute_ms(arrays.tables, shards, device).total_ms
    spread = 0.5 if scramble else 0.02
    noise = np.exp(np.random.default_rng(seed).normal(0, spread, sets))
    header = {
        "kind": "run",
        "format": "trimtab-tbe-costs/1",
        "draw": dataclasses.asdict(limits),
        "protocol": {"device": "cuda"},
        "machine": {"gpu": machine},
        "pool": [table.as_row() for table in pool],
    }
    rows = [
        {
            "kind": "set",
            "index": k,
            "tables": [[i, 1, 1] for i in chosen],
            "forward_ms": [float(cost[k] * noise[k] * 0.4)],
            "backward_ms": [float(cost[k] * noise[k] * 0.6)],
        }
        for k, chosen in enumerate(places)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in (header, *rows)))
    return path
