"""Tasks as NeuroShard's evaluation draws them (Zha et al. 2023), from four sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cost_models.sharding.generator import (
    fbgemm_production,
    meta_like,
    mlperf_dlrm,
    nvidia_synthetic,
)
from trimtab.specs.sharding import (
    DeviceGroup,
    Fabric,
    Hardware,
    MemoryModel,
    Optimizer,
    ShardingSpec,
    Table,
)

PAPER_BATCH = 65_536
# Training drew its tables with seed 856 (workers/train/sharding/data.py), so this pool is unseen.
UNSEEN_POOL_SEED = 2023
_MOST_DRAWS = 10_000


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of the table of results."""

    source: str
    devices: int
    max_dim: int | None  # None: the tables' own widths

    @property
    def name(self) -> str:
        """Return the name that results show, such as meta-8-dim128."""
        return f"{self.source}-{self.devices}" + (
            f"-dim{self.max_dim}" if self.max_dim else ""
        )


def tasks(setting: Setting, count: int, seed: int = 0) -> Iterator[ShardingSpec]:
    """Yield `count` jobs of a setting; task k does not depend on `count`."""
    pool = _pool(setting.source)
    for k in range(count):
        rng = np.random.default_rng(
            (seed, k, setting.devices, setting.max_dim or 0, len(pool))
        )
        yield _task(setting, pool, rng)


def accepted_share(setting: Setting, count: int = 200, seed: int = 0) -> float:
    """Return the share of draws within the memory limit.

    Rejection biases tasks towards small tables.
    """
    pool = _pool(setting.source)
    rng = np.random.default_rng((seed, 1))
    fits = [_draw(setting, pool, rng)[1] <= _limit(setting) for _ in range(count)]
    return float(np.mean(fits))


def _task(setting: Setting, pool: list[Table], rng: np.random.Generator) -> ShardingSpec:
    for _ in range(_MOST_DRAWS):
        tables, memory = _draw(setting, pool, rng)
        if memory <= _limit(setting):
            return ShardingSpec(
                tables=tuple(tables),
                devices=(
                    DeviceGroup(
                        count=setting.devices, memory_gib=4.0, hardware=Hardware.A100
                    ),
                ),
                fabric=Fabric(),
                global_batch=PAPER_BATCH,
                optimizer=Optimizer.SGD,
                memory_model=MemoryModel.WEIGHTS,
            )
    raise RuntimeError(
        f"{setting.name}: no draw of {_MOST_DRAWS} stayed within {_limit(setting) / 2**30:.0f} GiB"
    )


def _draw(
    setting: Setting, pool: list[Table], rng: np.random.Generator
) -> tuple[list[Table], float]:
    """Draw the tables of a task with replacement; return them and their bytes.

    There are 10 to 59 tables for 4 devices, more in proportion.

    Widths are uniform over the powers of two from 4 to max_dim.
    """
    size = int(rng.integers(10 * setting.devices // 4, 60 * setting.devices // 4))
    chosen = rng.integers(0, len(pool), size)
    widths = [t.dim for t in (pool[i] for i in chosen)]
    if setting.max_dim is not None:
        choice = [w for w in (128, 64, 32, 16, 8, 4) if w <= setting.max_dim]
        widths = [int(w) for w in rng.choice(choice, size)]
    tables = [
        pool[i].model_copy(update={"name": f"{n}:{pool[i].name}", "dim": w})
        for n, (i, w) in enumerate(zip(chosen, widths, strict=True))
    ]
    return tables, float(sum(t.rows * t.dim * t.dtype.bytes for t in tables))


def _limit(setting: Setting) -> float:
    """Return the limit of a task in bytes: 15 GB on 4 devices of 4 GB, one less than they have."""
    return (4 * setting.devices - setting.devices / 4) * 2.0**30


def _pool(source: str) -> list[Table]:
    match source:
        case "meta":
            return meta_like(856, np.random.default_rng(UNSEEN_POOL_SEED))
        case "fbgemm":
            return fbgemm_production()
        case "mlperf":
            return mlperf_dlrm()
        case _:
            return nvidia_synthetic(source)
