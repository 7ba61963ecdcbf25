"""Prices of a plan, computed independently: the simulated devices and the certified model.

Shared with the product are the constants of the devices, the reuse of rows in a batch and the
networks' weights; every formula of the step is written out again, one shard at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from scipy.optimize import brentq

from cost_models.sharding.access import Reuse, reuse_of
from cost_models.sharding.hardware import PROFILES, HardwareProfile
from cost_models.sharding.nets import ConvexComputeNet, ConvexExchangeNet
from cost_models.sharding.problem import TableArrays
from cost_models.weights import load_weights
from trimtab.specs.sharding import ShardingSpec

Placed = tuple[int, int, int]  # table number, columns, device


@cache
def _nets() -> tuple[ConvexComputeNet, ConvexExchangeNet]:
    return (
        ConvexComputeNet.of(load_weights("trimtab-compute-0")),
        ConvexExchangeNet.of(load_weights("trimtab-exchange")),
    )


@dataclass(frozen=True, kw_only=True)
class Pricer:
    """Prices of plans of one job."""

    spec: ShardingSpec
    profiles: tuple[HardwareProfile, ...]  # of each device
    reuse: Reuse
    arrays: TableArrays
    _vectors: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: ShardingSpec) -> Pricer:
        """Return the prices for `spec`."""
        return cls(
            spec=spec,
            profiles=tuple(
                PROFILES[g.hardware] for g in spec.devices for _ in range(g.count)
            ),
            reuse=reuse_of(spec.tables, spec.global_batch),
            arrays=TableArrays.of(
                spec.tables, batch=spec.global_batch, optimizer=spec.optimizer
            ),
        )

    @property
    def ranks(self) -> int:
        """Number of devices."""
        return len(self.profiles)

    @property
    def per_node(self) -> int:
        """Devices in each node."""
        return self.spec.fabric.devices_per_node or self.ranks

    # --- the simulated devices ----------------------------------------------------------------

    def simulated_ms(self, shards: Sequence[Placed]) -> float:
        """Return the time of a step: the slowest device's compute, then both exchanges."""
        compute = [
            self._device_ms([s for s in shards if s[2] == d], p)
            for d, p in enumerate(self.profiles)
        ]
        near, far = self.transfer_ms(np.array([self.columns(shards)]).T)
        return max(compute) + 2 * (
            self._latency_ms() + max(near[0], far[0]) if self.ranks > 1 else 0.0
        )

    def columns(self, shards: Sequence[Placed]) -> list[float]:
        """Return the output columns of each device: one block per feature of a table."""
        total = [0.0] * self.ranks
        for table, width, device in shards:
            total[device] += width * self.spec.tables[table].features
        return total

    def transfer_ms(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the times of the slowest device inside and between nodes.

        Each is the larger of what it sends and what it receives.
        `columns` of each device of N plans: (D, N) → (N,), (N,).
        """
        ranks, per_node = self.ranks, self.per_node
        # Bytes of one column that a device sends each peer.
        piece = self.spec.global_batch / ranks * 4
        near = far = np.zeros(columns.shape[1])
        everything = sum(columns)
        for device, profile in enumerate(self.profiles):
            node = range(
                device // per_node * per_node, device // per_node * per_node + per_node
            )
            inside = sum(columns[d] for d in node)
            own, others = columns[device], inside - columns[device]
            outside = everything - inside
            intra, inter = self.spec.fabric.intra_gb_s, self.spec.fabric.inter_gb_s
            nvlink = (
                intra * 1e9
                if intra is not None
                else profile.nvlink_bytes_s * profile.nvlink_efficiency
            )
            nic = (
                inter * 1e9
                if inter is not None
                else profile.nic_bytes_s * profile.nic_efficiency
            )
            near = np.maximum(
                near, np.maximum((per_node - 1) * own, others) * piece / nvlink
            )
            far = np.maximum(
                far, np.maximum((ranks - per_node) * own, outside) * piece / nic
            )
        return 1e3 * near, 1e3 * far

    def _latency_ms(self) -> float:
        slowest = max(self.profiles, key=lambda p: p.intra_base_s)
        seconds = slowest.intra_base_s + slowest.intra_peer_s * (self.per_node - 1)
        if self.ranks > self.per_node:
            seconds += slowest.inter_base_s + slowest.inter_peer_s * (
                self.ranks - self.per_node
            )
        return 1e3 * seconds

    def _device_ms(self, shards: Sequence[Placed], hw: HardwareProfile) -> float:
        if not shards:
            return 0.0
        batch, tables = float(self.spec.global_batch), self.spec.tables
        stream = hw.hbm_bytes_s * hw.hbm_efficiency
        stays = self._stay_share(shards, hw)
        gather = outside = gradients = update = warps = lookups_all = rows_all = 0.0
        for number, width, _ in shards:
            table = tables[number]
            unique, count = self.reuse.unique[number], self.reuse.count[number]
            lookups, bags = float(unique @ count), batch * table.features
            row = _sectors(width * table.dtype.bytes)
            chunks = -(-width // 128)
            misses = (
                float((unique * (1 + (count - 1) * (1 - stays) ** count)).sum())
                if stays < 1
                else float(unique.sum())
            )
            limits = (
                lookups * chunks * hw.issue_cycles / (hw.sm_count * hw.clock_hz),
                lookups * row / hw.l2_bytes_s,
                misses * row / stream,
            )
            gather += sum(x**4 for x in limits) ** 0.25
            outside += ((lookups + bags) * 8 + bags * width * 4) / stream
            gradient = _sectors(width * 4)
            again = max(0.0, 1 - bags / max(lookups, 1.0)) * min(
                1.0, hw.l2_bytes / (bags * gradient)
            )
            gradients += (
                lookups * gradient * ((1 - again) / stream + again / hw.l2_bytes_s)
            )
            state = {
                "sgd": 0,
                "rowwise_adagrad": 4,
                "adagrad": 4 * width,
                "adam": 8 * width,
            }[self.spec.optimizer.value]
            update += (
                float(unique.sum())
                * 2
                * (row + _sectors(state))
                / (stream * hw.update_efficiency)
            )
            warps += bags * chunks
            lookups_all += lookups
            rows_all += float(table.rows)
        ramp = 1 + hw.fill_share * hw.sm_count * hw.warps_per_sm / max(warps, 1.0)
        passes = float(np.ceil(np.log2(max(rows_all, 2.0)) / 8))
        sort = lookups_all * passes * 24 / (hw.hbm_bytes_s * hw.sort_efficiency)
        forward = hw.launch_s + ramp * gather + outside
        return 1e3 * (
            forward
            + hw.backward_launches * hw.launch_s
            + sort
            + gradients
            + ramp * update
        )

    def _stay_share(self, shards: Sequence[Placed], hw: HardwareProfile) -> float:
        """Return Che's characteristic time of the shared L2, as a share of the batch."""
        rows = [_sectors(w * self.spec.tables[t].dtype.bytes) for t, w, _ in shards]
        unique = [self.reuse.unique[t] for t, _, _ in shards]
        count = [self.reuse.count[t] for t, _, _ in shards]
        if (
            sum(float(u.sum()) * r for u, r in zip(unique, rows, strict=True))
            <= hw.l2_bytes
        ):
            return 1.0

        def excess(log_tau: float) -> float:
            left = np.log1p(-np.exp(log_tau))
            held = sum(
                float((u * -np.expm1(c * left)).sum()) * r
                for u, c, r in zip(unique, count, rows, strict=True)
            )
            return held - hw.l2_bytes

        return float(np.exp(brentq(excess, -60.0, -1e-15, xtol=1e-12)))

    # --- the certified model ------------------------------------------------------------------

    def embedding(self, table: int, width: int, device: int) -> np.ndarray:
        """Return a shard's addend to the pooled vector of its device; (K,)."""
        key = (self.profiles[device].name, table)
        if key not in self._vectors:
            net, _ = _nets()
            widths = np.arange(4, self.spec.tables[table].dim + 4, 4)
            self._vectors[key] = net.embed(
                self.arrays, np.full(len(widths), table), widths, self.profiles[device]
            )
        return np.asarray(self._vectors[key][width // 4 - 1])

    def model_ms(
        self, pooled: np.ndarray, used: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Return the costs of N plans under the certified model.

        (N, D, K), (N, D), (N, D) → (N,)
        """
        net, exchange = _nets()
        heads = [net.head(p)(pooled[:, d]) for d, p in enumerate(self.profiles)]
        compute = np.where(used, np.stack(heads, axis=1), 0.0).max(1)
        if self.ranks == 1:
            return np.asarray(compute)
        near, far = self.transfer_ms(columns.T)
        return np.asarray(
            compute
            + 2 * exchange.cost(near, far, ranks=self.ranks, per_node=self.per_node)
        )

    def model_of(self, shards: Sequence[Placed]) -> float:
        """Return the cost of one plan under the certified model."""
        first = self.embedding(0, self.spec.tables[0].dim, 0)
        pooled, used = (
            np.zeros((1, self.ranks, len(first))),
            np.zeros((1, self.ranks), dtype=bool),
        )
        for table, width, device in shards:
            pooled[0, device] += self.embedding(table, width, device)
            used[0, device] = True
        return float(self.model_ms(pooled, used, np.array([self.columns(shards)]))[0])


def _sectors(size: float) -> float:
    return float(-(-size // 32) * 32)
