"""Draw what is measured: a pool of table configurations, sets of it, and one batch of look-ups.

All draws are seeded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workers.train.sharding.collect.errors import CollectError, check_limits

DIMS = (4, 8, 16, 32, 64, 128)
MAX_TABLES_IN_SET = 15  # NeuroShard: n ~ U{1..15}, with replacement
MAX_DRAWS = 10_000

# Independent streams of random numbers.
_POOL, _SET, _LOOKUPS = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """A table and its access law: p(rank) ~ rank^-alpha over `active_rows` of its rows."""

    rows: int
    dim: int
    pooling: float
    """Mean look-ups per sample; bag lengths are Poisson."""
    alpha: float
    active_rows: int

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in fp32."""
        return self.rows * self.dim * 4

    def as_row(self) -> list[float]:
        """Return the row of the header: rows, dim, pooling, alpha, active rows."""
        return [self.rows, self.dim, self.pooling, self.alpha, self.active_rows]

    @classmethod
    def of_row(cls, row: list[float]) -> TableConfig:
        """Build a configuration from its row: the inverse of `as_row`."""
        rows, dim, pooling, alpha, active = row
        return cls(
            rows=int(rows),
            dim=int(dim),
            pooling=float(pooling),
            alpha=float(alpha),
            active_rows=int(active),
        )


@dataclass(frozen=True, kw_only=True)
class DrawLimits:
    """Limits of the pool and of one set."""

    seed: int
    batch: int
    pool: int
    """Table configurations in all; sets draw from them with replacement."""
    max_rows: int
    max_pooling: float
    max_gib: float
    """Most weights of a set, GiB (the paper: 4), and most look-ups, outputs and gradients."""

    def __post_init__(self) -> None:
        limits = (
            ("seed", self.seed, 0, 2**63 - 1),
            ("batch", self.batch, 1, 2**20),
            ("pool", self.pool, 1, 100_000),
            ("max-rows", self.max_rows, 1_000, 2**30),
            ("max-pooling", self.max_pooling, 1, 10_000),
            ("max-gib", self.max_gib, 0.001, 1_024),
        )
        check_limits(limits)


@dataclass(frozen=True, kw_only=True)
class Lookups:
    """One batch for all tables of a set in the layout of TBE: by table, then by bag."""

    indices: np.ndarray  # (look-ups,) int64
    offsets: np.ndarray  # (tables * batch + 1,) int64
    counts: tuple[int, ...]
    """Look-ups of each table."""
    unique: tuple[int, ...]
    """Different rows among them."""


def draw_pool(limits: DrawLimits) -> list[TableConfig]:
    """Draw the pool.

    Rows, pooling and active rows are log-uniform, widths uniform over `DIMS`, alpha uniform in
    0..1.3.
    """
    rng = np.random.default_rng([limits.seed, _POOL])
    return [_draw_table(rng, limits) for _ in range(limits.pool)]


def _draw_table(rng: np.random.Generator, limits: DrawLimits) -> TableConfig:
    rows = _log_uniform(rng, 1_000, limits.max_rows)
    return TableConfig(
        rows=int(rows),
        dim=int(rng.choice(DIMS)),
        pooling=round(_log_uniform(rng, 1, limits.max_pooling), 2),
        alpha=round(float(rng.uniform(0, 1.3)), 2),
        active_rows=int(_log_uniform(rng, 100, rows)),
    )


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def draw_set(pool: list[TableConfig], index: int, limits: DrawLimits) -> list[int]:
    """Draw set `index`: U{1..15} tables with replacement, all drawn again until they fit.

    Returns their places in the pool.
    """
    rng = np.random.default_rng([limits.seed, _SET, index])
    for _ in range(MAX_DRAWS):
        chosen = [
            int(i)
            for i in rng.integers(
                len(pool), size=int(rng.integers(1, MAX_TABLES_IN_SET + 1))
            )
        ]
        if fits([pool[i] for i in chosen], limits):
            return chosen
    raise CollectError(
        f"no set of tables within --max-gib {limits.max_gib} in {MAX_DRAWS} draws; "
        "give more memory, a smaller --max-rows, --max-pooling or --batch"
    )


def fits(tables: list[TableConfig], limits: DrawLimits) -> bool:
    """Check that weights, and look-ups with outputs and gradients, stay below the limit."""
    most = limits.max_gib * 2**30
    weights = sum(t.weight_bytes for t in tables)
    passing = limits.batch * sum(8 * t.pooling + 2 * 4 * t.dim for t in tables)
    return weights <= most and passing <= most


def draw_lookups(
    tables: list[TableConfig], places: list[int], limits: DrawLimits
) -> Lookups:
    """Draw the batch of a set; equal sets have equal batches in every run."""
    rng = np.random.default_rng([limits.seed, _LOOKUPS, *places])
    lengths = [rng.poisson(t.pooling, limits.batch) for t in tables]
    indices = [
        zipf_rows(rng, t, int(n.sum())) for t, n in zip(tables, lengths, strict=True)
    ]
    offsets = np.zeros(len(tables) * limits.batch + 1, np.int64)
    np.cumsum(np.concatenate(lengths), out=offsets[1:])
    return Lookups(
        indices=np.concatenate(indices),
        offsets=offsets,
        counts=tuple(len(i) for i in indices),
        unique=tuple(len(np.unique(i)) for i in indices),
    )


def zipf_rows(rng: np.random.Generator, table: TableConfig, count: int) -> np.ndarray:
    """Draw `count` rows by the table's exact Zipf law.

    A bijection spreads ranks over the whole table: adjacent hot rows would share cache lines.
    """
    cdf = np.cumsum(np.arange(1, table.active_rows + 1, dtype=np.float64) ** -table.alpha)
    ranks = np.searchsorted(cdf, rng.random(count) * cdf[-1], side="right")
    # Golden ratio: separates neighbouring ranks.
    step = int(0.6180339887 * table.rows) | 1
    while math.gcd(step, table.rows) != 1:
        step += 2
    return (ranks.astype(np.int64) * step) % table.rows
