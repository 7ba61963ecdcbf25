"""Pools of tables like those of Meta's published statistics, and public production lists.

The law behind `meta_like` was fitted to the 2021 file of facebookresearch/dlrm_datasets (MIT): 856
tables, 887,017,990 look-ups of 128,435,723 rows in a batch of 65,536. Active rows are
lognormal(12.14, 1.29), pooling is lognormal(., 0.82) scaled to a mean of 15.81, Zipf alpha is
uniform in (0.78, 0.89). Declared rows follow FBGEMM's production lists (median 2.2 M).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.specs.sharding import DataType, Table, ZipfAccess

_PUBLIC = Path(__file__).with_name("data") / "tables_public.json"
MEAN_POOLING = 15.81
MAX_ROWS = 50_000_000


def meta_like(count: int, rng: np.random.Generator, *, dim: int = 128) -> list[Table]:
    """Draw `count` tables from the fitted law."""
    rows = np.clip(rng.lognormal(np.log(2.2e6), 1.3, count), 1_000, MAX_ROWS).astype(int)
    active = np.minimum(np.maximum(rng.lognormal(12.14, 1.29, count), 10), rows).astype(
        int
    )
    pooling = rng.lognormal(0.0, 0.82, count)
    pooling *= MEAN_POOLING / np.exp(0.82**2 / 2)
    alpha = rng.uniform(0.78, 0.89, count)
    return [
        Table(
            name=f"t{i}",
            rows=int(rows[i]),
            dim=dim,
            pooling=round(float(max(pooling[i], 0.05)), 3),
            access=ZipfAccess(
                alpha=round(float(alpha[i]), 4), active_rows=int(active[i])
            ),
        )
        for i in range(count)
    ]


def diverse(count: int, rng: np.random.Generator) -> list[Table]:
    """Draw tables for training that vary far more than one company's.

    2 to 10^9 rows, pooling 1 to 300, any skew, fp16 and fp32.
    """
    tables = []
    for i in range(count):
        if rng.random() < 0.35:
            tables.append(
                meta_like(1, rng, dim=int(rng.choice([32, 64, 128, 256])))[0].model_copy(
                    update={"name": f"d{i}"}
                )
            )
            continue
        rows = int(
            np.exp(rng.uniform(np.log(2), np.log(1e9 if rng.random() < 0.5 else 1e5)))
        )
        active = max(1, int(rows ** rng.uniform(0.5, 1.0)))
        pooling = (
            1.0
            if rng.random() < 0.4
            else float(np.round(np.exp(rng.uniform(0, np.log(300))), 2))
        )
        tables.append(
            Table(
                name=f"d{i}",
                rows=rows,
                dim=int(
                    rng.choice(
                        [8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024]
                    )
                ),
                pooling=pooling,
                dtype=DataType.FP16 if rng.random() < 0.25 else DataType.FP32,
                access=ZipfAccess(
                    alpha=round(float(rng.uniform(0, 1.5)), 3), active_rows=active
                ),
            )
        )
    return tables


def fbgemm_production() -> list[Table]:
    """Return the 116 tables of FBGEMM's ten representative production operators (BSD-3).

    Its script uses pooling 20 for all.
    """
    tables = []
    for entry in _read()["fbgemm_prod_representative"]:
        for i, (rows, dim) in enumerate(zip(entry["rows"], entry["dims"], strict=True)):
            tables.append(
                Table(name=f"b{entry['bench']}_{i}", rows=rows, dim=dim, pooling=20.0)
            )
    return tables


def mlperf_dlrm() -> list[Table]:
    """Return the 26 tables of MLPerf DLRM-DCNv2 with their multi-hot sizes (MIT)."""
    entry = _read()["mlperf_dlrm_v2"]
    pairs = zip(entry["rows"], entry["pooling"], strict=True)
    return [
        Table(name=f"cat_{i}", rows=r, dim=entry["dim"], pooling=float(p))
        for i, (r, p) in enumerate(pairs)
    ]


def nvidia_synthetic(model: str) -> list[Table]:
    """Return one of NVIDIA's synthetic models v3 (Apache-2.0), with a power law of 1.05.

    From `tiny` with 55 tables to `colossal` with 2,002. A shared table serves one feature per entry
    of its look-up list.
    """
    models = _read()["nvidia_synthetic_v3"]
    if model not in models:
        raise ValueError(f"model: expected one of {', '.join(models)}, got {model!r}")
    tables: list[Table] = []
    for number, nnz, rows, width, shared in models[model]:
        pooling = float(sum(nnz)) if shared else float(np.mean(nnz))
        for _ in range(number):
            access = ZipfAccess(alpha=1.05, active_rows=rows)
            tables.append(
                Table(
                    name=f"{model}_{len(tables)}",
                    rows=rows,
                    dim=width,
                    pooling=pooling,
                    access=access,
                )
            )
    return tables


def _read() -> dict[str, Any]:
    return json.loads(_PUBLIC.read_text())
