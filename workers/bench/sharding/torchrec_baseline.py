"""TorchRec's own planner, with storage counted as for the other planners.

It runs on modules without memory.

Storage: TorchRec adds optimizer state, input and output buffers and a reserved share; here a
shard is charged its weights alone, so that a cap means the same for all planners. Splits: by
default tables of width <= 128 are never split by column, and a column-wise table has one shard
width; here each table is offered halves, or narrower shards where a half would not fit.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from trimtab.specs.sharding import PlanShard, Table

VARIANTS = ("default", "perf", "dp", "memory_balanced")
_NARROWEST = 4


def plan_with_torchrec(
    tables: list[Table],
    *,
    device_count: int,
    memory_bytes_per_device: int,
    devices_per_node: int,
    global_batch: int,
    variant: str,
) -> tuple[list[PlanShard] | None, float]:
    """Return the planner's shards (None: it found no plan) and its seconds of processor time.

    `variant`: `default` (greedy, sorted by storage), `perf` (the same, sorted by time), `dp`
    (dynamic programming proposer), `memory_balanced`.
    """
    from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
    from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
    from torchrec.distributed.planner.proposers import DynamicProgrammingProposer
    from torchrec.distributed.planner.storage_reservations import (
        FixedPercentageStorageReservation,
    )
    from torchrec.distributed.planner.types import PlannerError

    if variant not in VARIANTS:
        raise ValueError(
            f"variant: expected one of {', '.join(VARIANTS)}, got {variant!r}"
        )
    logging.getLogger("torchrec").setLevel(logging.CRITICAL)
    planner = EmbeddingShardingPlanner(
        topology=Topology(
            world_size=device_count,
            local_world_size=min(devices_per_node, device_count),
            compute_device="cuda",
            hbm_cap=memory_bytes_per_device,
        ),
        batch_size=global_batch // device_count,
        partitioner=_partitioner(variant),
        proposer=DynamicProgrammingProposer() if variant == "dp" else None,
        storage_reservation=FixedPercentageStorageReservation(percentage=0.0),
        constraints=_constraints(tables, memory_bytes_per_device),
        stats=[],
    )
    _charge_weights_alone(planner, tables)
    module = _module(tables)
    began = time.process_time()
    try:
        plan = planner.plan(module, [EmbeddingBagCollectionSharder()])
    except PlannerError:
        return None, time.process_time() - began
    seconds = time.process_time() - began
    return _shards(plan, tables), seconds


def _partitioner(variant: str) -> Any:
    from torchrec.distributed.planner.partitioners import (
        GreedyPerfPartitioner,
        MemoryBalancedPartitioner,
        SortBy,
    )

    if variant == "memory_balanced":
        return MemoryBalancedPartitioner()
    if variant == "default":
        return GreedyPerfPartitioner()
    return GreedyPerfPartitioner(sort_by=SortBy.PERF)


def _module(tables: list[Table]) -> Any:
    """Return a module without memory; table number i is `t<i>`, its feature `f<i>`."""
    import torch
    from torchrec import EmbeddingBagCollection, EmbeddingBagConfig

    configs = [
        EmbeddingBagConfig(
            name=f"t{i}",
            num_embeddings=table.rows,
            embedding_dim=table.dim,
            feature_names=[f"f{i}"],
        )
        for i, table in enumerate(tables)
    ]
    return EmbeddingBagCollection(device=torch.device("meta"), tables=configs)


def _constraints(tables: list[Table], memory_bytes: int) -> dict[str, Any]:
    """Return the permitted sharding of each table.

    A table is whole, or split by columns where two shards of half its width exist.
    """
    from torchrec.distributed.embedding_types import EmbeddingComputeKernel
    from torchrec.distributed.planner import ParameterConstraints
    from torchrec.distributed.types import ShardingType

    whole, columns = ShardingType.TABLE_WISE.value, ShardingType.COLUMN_WISE.value
    constraints = {}
    for i, table in enumerate(tables):
        width = shard_width(table, memory_bytes)
        constraints[f"t{i}"] = ParameterConstraints(
            sharding_types=[whole, columns] if width < table.dim else [whole],
            compute_kernels=[EmbeddingComputeKernel.FUSED.value],
            min_partition=width,
            pooling_factors=[table.pooling],
        )
    return constraints


def _shards(plan: Any, tables: list[Table]) -> list[PlanShard]:
    return [
        PlanShard(
            table=tables[int(name[1:])].name,
            offset=int(shard.shard_offsets[1]),
            width=int(shard.shard_sizes[1]),
            device=int(shard.placement.rank()),
        )
        for name, sharding in plan.plan[""].items()
        for shard in sharding.sharding_spec.shards
    ]


def shard_width(table: Table, memory_bytes: int) -> int:
    """Return half the table's width, halved again until two such shards fit a device.

    A table that cannot be halved keeps its width.
    """
    width = table.dim
    while width % (2 * _NARROWEST) == 0:
        width //= 2
        if 2 * table.rows * width * table.dtype.bytes <= memory_bytes:
            break
    return width


def _charge_weights_alone(planner: Any, tables: list[Table]) -> None:
    """Replace the storage estimator by one that counts rows x width x bytes."""
    from torchrec.distributed.planner.types import Storage

    class WeightsOnly:
        """TorchRec's ShardEstimator protocol."""

        def estimate(
            self, sharding_options: list[Any], *args: Any, **kwargs: Any
        ) -> None:
            for option in sharding_options:
                element = tables[int(option.name[1:])].dtype.bytes
                for shard in option.shards:
                    shard.storage = Storage(
                        hbm=int(shard.size[0]) * int(shard.size[1]) * element, ddr=0
                    )

    estimators = planner._enumerator._estimators
    for index, estimator in enumerate(estimators):
        if "Storage" in type(estimator).__name__:
            estimators[index] = WeightsOnly()
