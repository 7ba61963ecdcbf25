"""From TorchRec modules to a job, and from a plan back to TorchRec. Wants torch and torchrec (an optional extra).

    tables = from_modules(model)                       # List[Table] for ShardingSpec(tables=...)
    plan = to_torchrec("plan.json", model)             # torchrec.distributed.types.ShardingPlan
    DistributedModelParallel(model, plan=plan, ...)

Table names are the configs' own; a name that several modules use is written `path.to.module/name`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.specs.sharding import Access, DataType, PlanShard, ShardingPlan, Table

_INSTALL = (
    "TorchRec is not installed here. On a machine with GPUs: pip install torchrec. On a CPU: pip install torch==2.13.0, then "
    "pip install --no-deps torchrec==1.9.2 fbgemm-gpu-cpu==1.8.0, then pip install tensordict==0.15.3 torchmetrics==1.0.3 "
    "pyre-extensions==0.0.32 tqdm"
)


class TorchRecMissing(ImportError):
    """torch or torchrec cannot be imported; the message says what to install."""


class PlanMismatch(ValueError):
    """A plan and a module do not have the same tables."""


def from_modules(
    module: Any,
    *,
    pooling: Mapping[str, float] | float = 1.0,
    access: Mapping[str, Access] | None = None,
) -> list[Table]:
    """Tables of an EmbeddingBagCollection, of a module that holds some, or of a list of EmbeddingBagConfig.

    `pooling` is the mean look-ups per sample of each *feature*, or one number for all; a table that serves several features
    gets their sum. `access` gives statistics by table name. Raises TorchRecMissing, or ValueError when nothing is found.
    """
    found: list[Table] = []
    for name, config in _named_configs(module):
        features = list(config.feature_names) or [config.name]
        looked_up = (
            sum(pooling.get(f, 1.0) for f in features) if isinstance(pooling, Mapping) else pooling * len(features)
        )
        found.append(
            Table(
                name=name,
                rows=int(config.num_embeddings),
                dim=int(config.embedding_dim),
                pooling=float(looked_up),
                dtype=DataType.FP16
                if str(getattr(config.data_type, "value", "FP32")).upper() == "FP16"
                else DataType.FP32,
                access=(access or {}).get(name, (access or {}).get(config.name)),
            )
        )
    if not found:
        raise ValueError(
            f"no EmbeddingBagCollection in {type(module).__name__}; give the module that holds the embedding tables"
        )
    return found


def to_torchrec(
    plan: ShardingPlan | str | Path, module: Any, *, device_type: str = "cuda", devices_per_node: int | None = None
) -> Any:
    """The plan as torchrec.distributed.types.ShardingPlan for `module`, uneven column shards included.

    Every table of every EmbeddingBagCollection in `module` must be in the plan with the same rows and width. Raises
    TorchRecMissing or PlanMismatch.
    """
    types = _import("torchrec.distributed.types")
    spec = _import("torch.distributed._shard.sharding_spec")
    if not isinstance(plan, ShardingPlan):
        plan = ShardingPlan.model_validate(json.loads(Path(plan).read_text()), strict=False)
    per_node = devices_per_node or plan.devices_per_node
    tables = {t.name: t for t in plan.tables}
    shards: dict[str, list[PlanShard]] = {}
    for shard in sorted(plan.shards, key=lambda s: (s.table, s.offset)):
        shards.setdefault(shard.table, []).append(shard)

    def placement(rank: int) -> str:
        return f"rank:{rank}/cpu" if device_type == "cpu" else f"rank:{rank}/{device_type}:{rank % per_node}"

    modules: dict[str, Any] = {}
    clash = _clashing(module)
    for path, collection in _collections(module):
        sharded = types.EmbeddingModuleShardingPlan()
        for config in collection.embedding_bag_configs():
            name = f"{path}/{config.name}" if config.name in clash else config.name
            table = tables.get(name)
            if table is None:
                raise PlanMismatch(
                    f"table {name!r} of module {path or 'root'!r} is not in the plan; plan it with from_modules(module)"
                )
            if (table.rows, table.dim) != (config.num_embeddings, config.embedding_dim):
                raise PlanMismatch(
                    f"table {name!r}: the plan is for {table.rows} x {table.dim}, the module has {config.num_embeddings} x "
                    f"{config.embedding_dim}; plan it again"
                )
            mine = shards[name]
            sharded[config.name] = types.ParameterSharding(
                sharding_type="table_wise" if len(mine) == 1 else "column_wise",
                compute_kernel="fused",
                ranks=[s.device for s in mine],
                sharding_spec=types.EnumerableShardingSpec(
                    [
                        spec.ShardMetadata(
                            shard_offsets=[0, s.offset],
                            shard_sizes=[table.rows, s.width],
                            placement=placement(s.device),
                        )
                        for s in mine
                    ]
                ),
            )
        modules[path] = sharded
    if not modules:
        raise PlanMismatch(
            f"no EmbeddingBagCollection in {type(module).__name__}; give the module the plan was made for"
        )
    return types.ShardingPlan(plan=modules)


def _named_configs(module: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(module, Sequence):
        for config in module:
            yield config.name, config
        return
    clash = _clashing(module)
    for path, collection in _collections(module):
        for config in collection.embedding_bag_configs():
            yield (f"{path}/{config.name}" if config.name in clash else config.name), config


def _clashing(module: Any) -> set[str]:
    names = Counter(config.name for _, c in _collections(module) for config in c.embedding_bag_configs())
    return {name for name, count in names.items() if count > 1}


def _collections(module: Any) -> Iterator[tuple[str, Any]]:
    kind = _import("torchrec.modules.embedding_modules").EmbeddingBagCollection
    for path, child in module.named_modules():
        if isinstance(child, kind):
            yield path, child


def _import(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # OSError: a build of FBGEMM for another torch
        raise TorchRecMissing(f"{_INSTALL} ({type(error).__name__}: {error})") from error
