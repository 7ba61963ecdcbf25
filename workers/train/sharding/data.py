"""Training data of the sharding cost models: random sets of tables, priced by the oracle.

The data are generated in seconds and never stored.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from cost_models.sharding.features import (
    conditioned_features,
    paper_features,
    physical_features,
)
from cost_models.sharding.generator import diverse, meta_like
from cost_models.sharding.hardware import PROFILES
from cost_models.sharding.problem import Shards, TableArrays
from cost_models.sharding.simulator import compute_ms
from trimtab.specs.sharding import Hardware, Optimizer, Table

PAPER_TABLES = 856
PAPER_BATCH = 65_536
PAPER_WIDTHS = (128, 64, 32, 16, 8, 4)
PAPER_MEMORY = 4 * 2**30
POOL_SEED = 856  # of the tables trained on; tests use others
_CHUNK = 4_000


@dataclass(frozen=True, kw_only=True)
class Sets:
    """N sets of shard configurations with their cost.

    Rows `start[i]:start[i + 1]` of `config` are set i.
    """

    config: np.ndarray  # (M,) row of `features`
    start: np.ndarray  # (N + 1,)
    cost_ms: np.ndarray  # (N,)
    features: np.ndarray  # (C, F) float32
    physical: np.ndarray  # (C, P) float32; empty for the paper's net
    condition: np.ndarray  # (N, CONDITIONS); empty for the paper's net

    def __len__(self) -> int:
        return len(self.cost_ms)

    def digest(self) -> str:
        """Return the sha256 over all arrays, which identifies the data in the manifest."""
        sha = hashlib.sha256()
        for array in (self.config, self.start, self.cost_ms, self.features):
            sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()

    def head(self, count: int) -> Sets:
        """Return the first `count` sets."""
        return Sets(
            config=self.config[: self.start[count]],
            start=self.start[: count + 1],
            cost_ms=self.cost_ms[:count],
            features=self.features,
            physical=self.physical,
            condition=self.condition[:count],
        )


def paper_pool(seed: int = POOL_SEED) -> list[Table]:
    """Draw 856 tables of width 128 like Meta's."""
    return meta_like(PAPER_TABLES, np.random.default_rng(seed))


def paper_sets(
    hardware: Hardware, samples: int, seed: int, *, pool_seed: int = POOL_SEED
) -> Sets:
    """Draw sets by the protocol of NeuroShard's code (Zha et al., MLSys 2023).

    1 to 15 of the 5,136 augmented tables, with replacement, at most 4 GB; batch 65,536, SGD.
    """
    arrays = TableArrays.of(
        paper_pool(pool_seed), batch=PAPER_BATCH, optimizer=Optimizer.SGD
    )
    table = np.repeat(np.arange(PAPER_TABLES), len(PAPER_WIDTHS))
    width = np.tile(np.array(PAPER_WIDTHS), PAPER_TABLES)
    rng = np.random.default_rng(seed)
    memory = arrays.rows[table] * width * 4
    config, start = draw_sets(rng, samples, memory, limit=PAPER_MEMORY, most=15)
    return Sets(
        config=config,
        start=start,
        cost_ms=price(arrays, table[config], width[config], start, hardware),
        features=paper_features(arrays, table, width).astype(np.float32),
        physical=np.empty((0, 0), dtype=np.float32),
        condition=np.empty((samples, 0)),
    )


def draw_sets(
    rng: np.random.Generator, samples: int, memory: np.ndarray, *, limit: float, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `samples` sets of 1 to `most` configurations, uniformly with replacement.

    A set over the memory limit is drawn again. Returns configurations and the start of each set.
    """
    sets: list[np.ndarray] = []
    while len(sets) < samples:
        size = int(rng.integers(1, most + 1))
        drawn = rng.integers(0, len(memory), size)
        if memory[drawn].sum() <= limit:
            sets.append(drawn)
    start = np.concatenate([[0], np.cumsum([len(s) for s in sets])])
    return np.concatenate(sets), start


def price(
    arrays: TableArrays,
    table: np.ndarray,
    width: np.ndarray,
    start: np.ndarray,
    hardware: Hardware,
) -> np.ndarray:
    """Return (N,) the oracle's milliseconds of each set."""
    costs = []
    for low in range(0, len(start) - 1, _CHUNK):
        ends = start[low : low + _CHUNK + 1]
        part = slice(ends[0], ends[-1])
        group = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
        shards = Shards(
            table=table[part], width=width[part], group=group, groups=len(ends) - 1
        )
        costs.append(compute_ms(arrays, shards, PROFILES[hardware]).total_ms)
    return np.concatenate(costs)


# Batches and optimizers of the conditioned nets, with their shares of the samples; the paper has
# one setting.
_SETTINGS = (
    (65_536, Optimizer.SGD, 0.4),
    (65_536, Optimizer.ROWWISE_ADAGRAD, 0.2),
    (65_536, Optimizer.ADAM, 0.05),
    (4_096, Optimizer.ROWWISE_ADAGRAD, 0.1),
    (16_384, Optimizer.ADAGRAD, 0.1),
    (262_144, Optimizer.ROWWISE_ADAGRAD, 0.15),
)


def conditioned_sets(
    samples_per_profile: int,
    seed: int,
    *,
    pool_seed: int = POOL_SEED,
    diverse_tables: int = 900,
) -> Sets:
    """Draw sets over all profiles and settings, from tables like Meta's and from diverse ones.

    80 % of the sets have 1 to 15 shards, 20 % up to 100.
    """
    rng = np.random.default_rng(seed)
    pool = paper_pool(pool_seed) + diverse(
        diverse_tables, np.random.default_rng(pool_seed + 1)
    )
    table, width = augmented(pool)
    parts: list[_Part] = []
    features: list[np.ndarray] = []
    physical: list[np.ndarray] = []
    offset = 0
    for batch, optimizer, share in _SETTINGS:
        arrays = TableArrays.of(pool, batch=batch, optimizer=optimizer)
        memory = arrays.rows[table] * width * arrays.element_bytes[table]
        for hardware, profile in PROFILES.items():
            count = round(samples_per_profile * share)
            drawn = _mixed_sets(rng, count, memory, meta=table < PAPER_TABLES)
            quantities = physical_features(arrays, table, width, profile)
            inputs = conditioned_features(arrays, table, width, profile, quantities)
            features.append(inputs.astype(np.float32))
            physical.append(quantities.astype(np.float32))
            for config, start in drawn:
                cost = price(arrays, table[config], width[config], start, hardware)
                condition = np.tile(profile.conditions(), (len(cost), 1))
                parts.append((config + offset, np.diff(start), cost, condition))
            offset += len(table)
    return _shuffled(rng, parts, np.concatenate(features), np.concatenate(physical))


# Config, sizes, cost, condition.
_Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _mixed_sets(
    rng: np.random.Generator, count: int, memory: np.ndarray, *, meta: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw half of the sets from tables like Meta's, 30 % from all tables, the rest large.

    meta: (C,) configurations of tables like Meta's.
    """
    only_meta = np.flatnonzero(meta)
    small, medium = count // 2, count * 3 // 10
    config, start = draw_sets(rng, small, memory[only_meta], limit=16 * 2**30, most=15)
    return [
        (only_meta[config], start),
        draw_sets(rng, medium, memory, limit=80 * 2**30, most=15),
        draw_sets(
            rng,
            count - small - medium,
            np.minimum(memory, 2**30),
            limit=80 * 2**30,
            most=100,
        ),
    ]


def _shuffled(
    rng: np.random.Generator,
    parts: list[_Part],
    features: np.ndarray,
    physical: np.ndarray,
) -> Sets:
    """Join the parts in a random order of their sets."""
    order = rng.permutation(sum(len(part[2]) for part in parts))
    sizes = np.concatenate([part[1] for part in parts])
    begins = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    every = np.concatenate([part[0] for part in parts])
    take = np.concatenate([np.arange(begins[i], begins[i] + sizes[i]) for i in order])
    return Sets(
        config=every[take],
        start=np.concatenate([[0], np.cumsum(sizes[order])]),
        cost_ms=np.concatenate([part[2] for part in parts])[order],
        features=features,
        physical=physical,
        condition=np.concatenate([part[3] for part in parts])[order],
    )


def augmented(pool: list[Table]) -> tuple[np.ndarray, np.ndarray]:
    """Return tables and widths, (C,) each: every width that halving reaches, in multiples of 4."""
    table, width = [], []
    for i, entry in enumerate(pool):
        columns = entry.dim
        while True:
            table.append(i)
            width.append(columns)
            if columns % 8:
                break
            columns //= 2
    return np.array(table), np.array(width)
