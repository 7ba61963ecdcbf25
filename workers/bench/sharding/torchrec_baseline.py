"""TorchRec's own planner, run for real on modules without memory, with storage counted as the other planners count it.

Storage: TorchRec adds optimizer state, input and output buffers and a reserved share; here a shard is charged its weights
alone, so that a cap means the same for everyone. Splits: by default tables of width <= 128 are never split by column, and a
column-wise table has one shard width; here each table is offered halves, or narrower shards where a half would not fit.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from trimtab.specs.sharding import PlanShard, Table

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
    """The planner's shards (None: it found no plan) and its seconds.

    `variant`: `default` (greedy, sorted by storage), `perf` (the same, sorted by time), `dp` (dynamic programming proposer),
    `memory_balanced`.
    """
    import torch
    from torchrec import EmbeddingBagCollection, EmbeddingBagConfig
    from torchrec.distributed.embedding_types import EmbeddingComputeKernel
    from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
    from torchrec.distributed.planner import (
        EmbeddingShardingPlanner,
        ParameterConstraints,
        Topology,
    )
    from torchrec.distributed.planner.partitioners import (
        GreedyPerfPartitioner,
        MemoryBalancedPartitioner,
        SortBy,
    )
    from torchrec.distributed.planner.proposers import DynamicProgrammingProposer
    from torchrec.distributed.planner.storage_reservations import (
        FixedPercentageStorageReservation,
    )
    from torchrec.distributed.planner.types import PlannerError
    from torchrec.distributed.types import ShardingType

    logging.getLogger("torchrec").setLevel(logging.CRITICAL)
    partitioners = {
        "default": GreedyPerfPartitioner(),
        "perf": GreedyPerfPartitioner(sort_by=SortBy.PERF),
        "dp": GreedyPerfPartitioner(sort_by=SortBy.PERF),
        "memory_balanced": MemoryBalancedPartitioner(),
    }
    if variant not in partitioners:
        raise ValueError(
            f"variant wants one of {', '.join(partitioners)}; {variant!r} came"
        )
    module = EmbeddingBagCollection(
        device=torch.device("meta"),
        tables=[
            EmbeddingBagConfig(
                name=f"t{i}",
                num_embeddings=t.rows,
                embedding_dim=t.dim,
                feature_names=[f"f{i}"],
            )
            for i, t in enumerate(tables)
        ],
    )
    constraints = {
        f"t{i}": ParameterConstraints(
            sharding_types=[ShardingType.TABLE_WISE.value, ShardingType.COLUMN_WISE.value]
            if shard_width(t, memory_bytes_per_device) < t.dim
            else [ShardingType.TABLE_WISE.value],
            compute_kernels=[EmbeddingComputeKernel.FUSED.value],
            min_partition=shard_width(t, memory_bytes_per_device),
            pooling_factors=[t.pooling],
        )
        for i, t in enumerate(tables)
    }
    topology = Topology(
        world_size=device_count,
        local_world_size=min(devices_per_node, device_count),
        compute_device="cuda",
        hbm_cap=memory_bytes_per_device,
    )
    planner = EmbeddingShardingPlanner(
        topology=topology,
        batch_size=global_batch // device_count,
        partitioner=partitioners[variant],
        proposer=DynamicProgrammingProposer() if variant == "dp" else None,
        storage_reservation=FixedPercentageStorageReservation(percentage=0.0),
        constraints=constraints,
        stats=[],
    )
    _charge_weights_alone(planner, tables)
    began = time.process_time()
    try:
        plan = planner.plan(module, [EmbeddingBagCollectionSharder()])
    except PlannerError:
        return None, time.process_time() - began
    seconds = time.process_time() - began
    found = [
        PlanShard(
            table=tables[int(name[1:])].name,
            offset=int(shard.shard_offsets[1]),
            width=int(shard.shard_sizes[1]),
            device=int(shard.placement.rank()),
        )
        for name, sharding in plan.plan[""].items()
        for shard in sharding.sharding_spec.shards
    ]
    return found, seconds


def shard_width(table: Table, memory_bytes: int) -> int:
    """Half the table, halved again until two such shards fit a device; the table's own width when it cannot be halved."""
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

        def estimate(self, sharding_options: list[Any], *args: Any, **kwargs: Any) -> None:
            for option in sharding_options:
                element = tables[int(option.name[1:])].dtype.bytes
                for shard in option.shards:
                    shard.storage = Storage(
                        hbm=int(shard.size[0]) * int(shard.size[1]) * element, ddr=0
                    )

    estimators = planner._enumerator._estimators
    for place, estimator in enumerate(estimators):
        if "Storage" in type(estimator).__name__:
            estimators[place] = WeightsOnly()
