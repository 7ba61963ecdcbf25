"""Reuse of rows in one batch in 17 bins, from a law, a histogram or a sample.

The bins are those of Meta's locality statistics and of NeuroShard's features: a row accessed c
times is in bin k when 2^(k-1) < c <= 2^k (bin 0: c = 1; bin 16: c > 32,768). They depend on the
size of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import pdtr

from trimtab.specs.sharding import (
    REUSE_BINS,
    ReuseAccess,
    SampleAccess,
    Table,
    ZipfAccess,
)

EDGES = 2.0 ** np.arange(REUSE_BINS - 1)  # upper ends of bins 0 .. 15: 1, 2, 4, ... 32768
# Assumed mean count of a row in each bin: counts get rarer within a bin, so below its middle.
TYPICAL_COUNT = np.concatenate([[1.0, 2.0, 3.4], 0.70 * EDGES[3:], [1.5 * EDGES[-1]]])
# Law assumed for a table without statistics: medians of the fit to Meta's 856 tables
# (see `generator.py`).
ASSUMED_ALPHA = 0.835
ASSUMED_ACTIVE_ROWS = 163_000
_EXACT_RANKS = 32
_NODES = 128
_CLEAR = 40.0  # exp(-40) = 4e-18


@dataclass(frozen=True, kw_only=True)
class Reuse:
    """Reuse of T tables in one batch."""

    unique: np.ndarray  # (T, 17) rows accessed, by bin
    # Shape (T, 17) mean accesses of a row of that bin; 1 where there is no row.
    count: np.ndarray

    @property
    def lookups(self) -> np.ndarray:
        """Look-ups (T,) in the batch."""
        return np.asarray((self.unique * self.count).sum(1))

    @property
    def unique_rows(self) -> np.ndarray:
        """Different rows (T,) accessed in the batch."""
        return np.asarray(self.unique.sum(1))

    def fractions(self) -> np.ndarray:
        """Return (T, 17) the share of the unique rows in each bin."""
        return np.asarray(
            self.unique / np.maximum(self.unique.sum(1, keepdims=True), 1e-12)
        )


def reuse_of(tables: tuple[Table, ...] | list[Table], batch: int) -> Reuse:
    """Return the reuse of `tables` in a batch of `batch` samples."""
    unique = np.zeros((len(tables), REUSE_BINS))
    count = np.ones((len(tables), REUSE_BINS))
    lookups = np.array([batch * t.pooling for t in tables])
    rows = np.array([float(t.rows) for t in tables])
    laws = [
        (i, *_law(t))
        for i, t in enumerate(tables)
        if t.access is None or isinstance(t.access, ZipfAccess)
    ]
    if laws:
        index = np.array([law[0] for law in laws])
        reuse = zipf_reuse(
            np.array([law[1] for law in laws]),
            np.minimum([law[2] for law in laws], rows[index]),
            lookups[index],
        )
        unique[index], count[index] = reuse.unique, reuse.count
    for i, table in enumerate(tables):
        match table.access:
            case ReuseAccess():
                unique[i], count[i] = _of_bins(table.access, lookups[i], table.pooling)
            case SampleAccess():
                times = np.unique(np.asarray(table.access.indices), return_counts=True)[1]
                values, rows_of = np.unique(times, return_counts=True)
                scale = lookups[i] / len(table.access.indices)
                unique[i], count[i] = _binned(values * scale, rows_of.astype(float))
            case _:
                pass
    # No table has more accessed rows than rows, and the look-ups add up to batch x pooling.
    shrink = np.minimum(1.0, rows / np.maximum(unique.sum(1), 1e-12))
    unique *= shrink[:, None]
    count *= (lookups / np.maximum((unique * count).sum(1), 1e-12))[:, None]
    return Reuse(unique=unique, count=np.maximum(count, 1.0))


def zipf_reuse(alpha: np.ndarray, active_rows: np.ndarray, lookups: np.ndarray) -> Reuse:
    """Return the reuse of tables whose rank r is looked up with probability ~ r^-alpha.

    Counts are Poisson. Ranks are exact up to 32; further ranks are joined in log-spaced intervals
    at the mean probability of each. All arguments: (T,).
    """
    active = np.maximum(active_rows, 1.0)[:, None]
    head = np.arange(1, _EXACT_RANKS + 1, dtype=float)
    spread = np.linspace(0, 1, _NODES - _EXACT_RANKS + 1)
    # Interval ends in ranks, from the last exact one (+1/2) to the last rank (+1/2).
    ends = (_EXACT_RANKS + 0.5) * (
        np.maximum(active + 0.5, _EXACT_RANKS + 0.5) / (_EXACT_RANKS + 0.5)
    ) ** spread
    wide = np.diff(ends, axis=1)  # (T, nodes - 32)
    mass_head = head[None] ** -alpha[:, None] * (head[None] <= active)
    mass_tail = _power_integral(ends[:, :-1], ends[:, 1:], alpha[:, None])
    active_head = (head[None] <= active).astype(float)
    ranks = np.concatenate([active_head, wide], axis=1)  # (T, nodes)
    mass = np.concatenate([mass_head, mass_tail], axis=1)
    mass /= mass.sum(1, keepdims=True)
    probability = np.where(ranks > 0, mass / np.maximum(ranks, 1e-300), 0.0)
    rate = probability * lookups[:, None]  # (T, nodes)
    unique = np.empty((len(alpha), REUSE_BINS))
    count = np.empty((len(alpha), REUSE_BINS))
    for start in range(0, len(alpha), 256):  # bounded memory: (256, nodes, 17) at a time
        part = slice(start, start + 256)
        unique[part], count[part] = _bins_of_rates(rate[part], ranks[part])
    # Scale the counts so that look-ups add up exactly.
    count *= (lookups / np.maximum((unique * count).sum(1), 1e-12))[:, None]
    return Reuse(unique=unique, count=np.maximum(count, 1.0))


def _law(table: Table) -> tuple[float, float]:
    if isinstance(table.access, ZipfAccess):
        return table.access.alpha, float(min(table.access.active_rows, table.rows))
    return ASSUMED_ALPHA, float(min(table.rows, ASSUMED_ACTIVE_ROWS))


def _power_integral(low: np.ndarray, high: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Integrate x^-alpha from `low` to `high`."""
    near_one = np.abs(alpha - 1) < 1e-6
    power = np.where(near_one, 1.0, 1 - alpha)
    return np.asarray(
        np.where(near_one, np.log(high / low), (high**power - low**power) / power)
    )


def _bins_of_rates(rate: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return expected rows and mean count by bin for rows with Poisson rates.

    (T, nodes) → (T, 17), (T, 17)
    """
    below = _poisson_at_most(EDGES, rate)  # P(count <= edge)
    none = np.exp(-rate)[:, :, None]
    upto = np.concatenate([none, below, np.ones_like(none)], axis=2)
    # E[count; a < count <= b] = rate * P(a - 1 < count <= b - 1)
    less = _poisson_at_most(EDGES - 1, rate)
    reach = np.concatenate([np.zeros_like(none), less, np.ones_like(none)], axis=2)
    unique = np.einsum("tn,tnk->tk", rows, np.diff(upto, axis=2))
    hits = np.einsum("tn,tnk->tk", rows * rate, np.diff(reach, axis=2))
    return unique, np.where(unique > 1e-9, hits / np.maximum(unique, 1e-9), 1.0)


def _poisson_at_most(count: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Return P(Poisson(rate) <= count), exact to 1e-17; (K,), (T, nodes) → (T, nodes, K).

    Most rates are far from most counts; there Chernoff's bound exp(-distance) gives 0 or 1.
    """
    rate = rate[:, :, None]
    log = np.log(np.maximum(rate, 1e-300)) - np.log(np.maximum(count, 1e-300))
    distance = rate - count - count * log
    clear = (distance > _CLEAR) | (rate == 0)
    chance = np.where(rate > count, 0.0, 1.0)
    near = np.nonzero(~clear)
    chance[near] = pdtr(
        np.broadcast_to(count, chance.shape)[near],
        np.broadcast_to(rate, chance.shape)[near],
    )
    return chance


def _binned(rate: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    unique, count = _bins_of_rates(rate[None], rows[None])
    return unique[0], count[0]


def _of_bins(
    access: ReuseAccess, lookups: float, pooling: float
) -> tuple[np.ndarray, np.ndarray]:
    share = np.asarray(access.bins) / sum(access.bins)
    batch = lookups / pooling
    if access.batch is not None and access.batch != round(batch):
        # Rows seen c times in the measured batch are assumed to have that rate; rows it never saw
        # stay unknown.
        rows = share * (access.batch * pooling) / (share @ TYPICAL_COUNT)
        return _binned(TYPICAL_COUNT * batch / access.batch, rows)
    return share * lookups / (share @ TYPICAL_COUNT), TYPICAL_COUNT.copy()
