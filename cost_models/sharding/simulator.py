"""Cost oracle: a deterministic simulated GPU that looks up, exchanges and updates embeddings.

One step of a device that holds a set of column shards, all looked up by one fused kernel (FBGEMM's
table batched embedding):

    forward  = launch + ramp * sum_i smoothmax(issue_i, L2_i, HBM_i) + indices + outputs
    backward = launches + radix sort of all look-ups + gather of output gradients
               + read-modify-write of unique rows

- *Sectors*: memory moves in 32-byte sectors, so a row narrower than 32 bytes costs as much as one
  of 32.
- *Issue*: a warp serves a row of up to 128 elements, so narrow rows cost the same: halving a width
  below that saves little.
- *Shared L2*: all tables of the device fill one cache. Che's approximation (Che, Tung, Wang 2002)
  gives the time tau, as a share of the batch, after which a row is evicted; a row accessed n times
  at random moments then misses 1 + (n - 1) (1 - tau)^n times. So tables slow each other down, and
  a plan's cost is not a sum over tables.
- *Ramp*: a kernel with few warps does not fill the device, so fused operators cost less than the
  sum of single ones.

The exchange is an all-to-all in two levels with an alpha-beta model (see `all_to_all_ms`). The
limits of the simulator are listed in deploy/docs/guide/sharding-simulator.md; its place in the
kind is described in deploy/docs/design/sharding.md, "Oracle".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.sharding.hardware import HardwareProfile
from cost_models.sharding.problem import (
    INDEX_BYTES,
    Shards,
    TableArrays,
    state_bytes_per_row,
)

SECTOR_BYTES = 32
LANES_ELEMENTS = 128  # a warp: 32 lanes of 4 elements
SORT_BYTES = 24  # 8-byte key and 4-byte payload, read and written, per radix pass
RADIX_BITS = 8
OUTPUT_BYTES = 4  # pooled outputs and their gradients are fp32
SMOOTHNESS = 4.0  # exponent of the smooth maximum of overlapping limits
_BISECTIONS = 26


@dataclass(frozen=True, kw_only=True)
class ComputeCost:
    """Milliseconds of each group."""

    forward_ms: np.ndarray  # (G,)
    backward_ms: np.ndarray  # (G,)

    @property
    def total_ms(self) -> np.ndarray:
        """Milliseconds (G,) forward and backward."""
        return np.asarray(self.forward_ms + self.backward_ms)


def compute_ms(
    tables: TableArrays, shards: Shards, hardware: HardwareProfile
) -> ComputeCost:
    """Simulate the compute of each group on `hardware`; a group without shards costs nothing."""
    groups = shards.groups
    width = shards.width.astype(float)
    bags = float(tables.batch) * tables.features[shards.table]  # (S,)
    lookups = tables.lookups[shards.table]  # (S,)
    unique = tables.unique[shards.table]  # (S, 17)
    count = tables.count[shards.table]
    row_bytes = sector_bytes(width * tables.element_bytes[shards.table])

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(shards.group, weights=values, minlength=groups)

    cache = hardware.l2_bytes
    tau = eviction_time(unique, count, row_bytes, shards.group, groups, cache)  # (G,)
    misses = expected_misses(unique, count, tau[shards.group])  # (S,)

    chunks = np.ceil(width / LANES_ELEMENTS)
    issue = (
        lookups * chunks * hardware.issue_cycles / (hardware.sm_count * hardware.clock_hz)
    )
    cached = lookups * row_bytes / hardware.l2_bytes_s
    fetched = misses * row_bytes / (hardware.hbm_bytes_s * hardware.hbm_efficiency)
    gather = (issue**SMOOTHNESS + cached**SMOOTHNESS + fetched**SMOOTHNESS) ** (
        1 / SMOOTHNESS
    )
    stream = hardware.hbm_bytes_s * hardware.hbm_efficiency
    io = ((lookups + bags) * INDEX_BYTES + bags * width * OUTPUT_BYTES) / stream

    warps = total(bags * chunks)
    ramp = (
        1
        + hardware.fill_share
        * hardware.sm_count
        * hardware.warps_per_sm
        / np.maximum(warps, 1.0)
    )
    used = warps > 0
    forward = np.where(used, hardware.launch_s + ramp * total(gather) + total(io), 0.0)

    all_lookups = total(lookups)
    distinct = total(tables.rows[shards.table])
    passes = np.ceil(np.log2(np.maximum(distinct, 2.0)) / RADIX_BITS)
    sort = (
        all_lookups
        * passes
        * SORT_BYTES
        / (hardware.hbm_bytes_s * hardware.sort_efficiency)
    )
    gradient_bytes = sector_bytes(width * OUTPUT_BYTES)
    # Each look-up reads its bag's gradient; only the first read of a bag must miss, later reads hit
    # as far as L2 holds the gradients.
    in_cache = np.minimum(1.0, hardware.l2_bytes / (bags * gradient_bytes))
    again = np.maximum(0.0, 1 - bags / np.maximum(lookups, 1.0)) * in_cache
    gradients = (
        lookups * gradient_bytes * ((1 - again) / stream + again / hardware.l2_bytes_s)
    )
    rows_touched = tables.unique_rows[shards.table]
    state = sector_bytes(state_bytes_per_row(tables.optimizer, shards.width))
    update = (
        rows_touched * 2 * (row_bytes + state) / (stream * hardware.update_efficiency)
    )
    backward = np.where(
        used,
        hardware.backward_launches * hardware.launch_s
        + sort
        + total(gradients)
        + ramp * total(update),
        0.0,
    )
    return ComputeCost(forward_ms=1e3 * forward, backward_ms=1e3 * backward)


def sector_bytes(size: np.ndarray) -> np.ndarray:
    """Return the bytes moved for `size` bytes: whole sectors."""
    return np.asarray(np.ceil(size / SECTOR_BYTES) * SECTOR_BYTES)


def expected_misses(unique: np.ndarray, count: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """Return (S,) the cache misses when a row stays for `tau` of the batch.

    Rows are accessed `count` times at random moments. The first access misses; a later one misses
    when no access of that row fell into the tau before it.
    """
    stay = np.log1p(-np.minimum(tau, 1 - 1e-12))[:, None]
    return np.asarray((unique * (1 + (count - 1) * np.exp(count * stay))).sum(1))


def eviction_time(
    unique: np.ndarray,
    count: np.ndarray,
    row_bytes: np.ndarray,
    group: np.ndarray,
    groups: int,
    capacity: float,
) -> np.ndarray:
    """Return (G,) Che's characteristic time of each group's cache.

    The time tau is a share of the batch in (0, 1]. The cache holds the rows accessed within it:
    sum of unique (1 - (1 - tau)^count) row_bytes = capacity.
    """
    low = np.zeros(groups)
    high = np.ones(groups)
    filled = np.bincount(group, weights=unique.sum(1) * row_bytes, minlength=groups)
    fits = filled <= capacity
    if fits.all():
        return high
    weight = unique * row_bytes[:, None]
    for _ in range(_BISECTIONS):
        # Geometric steps first: tau is often far below one.
        middle = np.where(low > 0, np.sqrt(np.maximum(low, 1e-12) * high), high * 0.1)
        stay = np.log1p(-np.minimum(middle, 1 - 1e-12))[group][:, None]
        cached = np.bincount(
            group, weights=(weight * -np.expm1(count * stay)).sum(1), minlength=groups
        )
        over = cached > capacity
        high = np.where(over, middle, high)
        low = np.where(over, low, middle)
    return np.where(fits, 1.0, high)


@dataclass(frozen=True, kw_only=True)
class FabricModel:
    """W ranks in nodes; bandwidths are effective, per rank and direction, in bytes per second."""

    ranks: int
    per_node: int
    intra_bytes_s: np.ndarray  # (W,)
    inter_bytes_s: np.ndarray  # (W,)
    intra_base_s: float
    inter_base_s: float
    intra_peer_s: float
    inter_peer_s: float

    @property
    def latency_s(self) -> float:
        """Seconds of an exchange without data."""
        if self.ranks == 1:
            return 0.0
        near = self.intra_base_s + self.intra_peer_s * (self.per_node - 1)
        far = self.inter_base_s + self.inter_peer_s * (self.ranks - self.per_node)
        return near + (far if self.ranks > self.per_node else 0.0)


def all_to_all_ms(dims: np.ndarray, batch: int, fabric: FabricModel) -> np.ndarray:
    """Return the milliseconds of one all-to-all of the pooled outputs; (..., W) → (...).

    All ranks enter together. Rank r holds `dims[r]` columns for the whole batch and sends each peer
    its share of the samples; the two levels work at the same time, and the slowest rank of the
    slower level decides. The backward exchange is the transpose and takes as long.
    """
    if fabric.ranks == 1:
        return np.zeros(dims.shape[:-1])
    near, far = transfer_ms(dims, batch, fabric)
    return np.asarray(1e3 * fabric.latency_s + np.maximum(near, far))


def transfer_ms(
    dims: np.ndarray, batch: int, fabric: FabricModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return the slowest rank's milliseconds inside and between nodes, without latency.

    (..., W) → (...), (...)
    """
    ranks, per_node = fabric.ranks, fabric.per_node
    bytes_per_peer = batch * OUTPUT_BYTES / ranks
    nodes = dims.reshape(*dims.shape[:-1], ranks // per_node, per_node)
    node_sum = np.repeat(nodes.sum(-1), per_node, axis=-1)
    everything = dims.sum(-1, keepdims=True)
    near = np.maximum((per_node - 1) * dims, node_sum - dims) * bytes_per_peer
    far = np.maximum((ranks - per_node) * dims, everything - node_sum) * bytes_per_peer
    slowest_near = (near / fabric.intra_bytes_s).max(-1)
    return np.asarray(1e3 * slowest_near), np.asarray(
        1e3 * (far / fabric.inter_bytes_s).max(-1)
    )


@dataclass(frozen=True, kw_only=True)
class StepCost:
    """Cost of one step of a whole plan."""

    compute_ms: np.ndarray  # (W,)
    forward_ms: np.ndarray  # (W,) forward exchange, including the wait for the last rank
    backward_ms: np.ndarray  # (W,)

    @property
    def total_ms(self) -> float:
        """Milliseconds of the slowest rank: compute, then backward, then forward exchange.

        The order is that of the simulator in NeuroShard's code (Zha et al., MLSys 2023).
        """
        return float((self.compute_ms + self.forward_ms + self.backward_ms).max())


def step_cost(
    compute: np.ndarray, dims: np.ndarray, batch: int, fabric: FabricModel
) -> StepCost:
    """Combine compute and exchange into one step.

    Each rank enters the forward exchange when its compute and the backward exchange are done.
    """
    exchange = float(all_to_all_ms(dims, batch, fabric))
    backward = np.full(len(compute), exchange)
    start = compute + backward
    return StepCost(
        compute_ms=compute,
        forward_ms=start.max() - start + exchange,
        backward_ms=backward,
    )
