"""TorchRec modules as a job's tables, and a plan as TorchRec's. Needs torch and torchrec.

    tables = from_modules(model)                       # list[Table] for ShardingSpec(tables=...)
    plan = to_torchrec("plan.json", model)             # torchrec's ShardingPlan, for GPUs
    DistributedModelParallel(model, plan=plan, ...)

Table names are the configs' own; a name that several modules use becomes `path.to.module/name`.
Every embedding parameter of the module is planned, refused by name or, if it cannot be sharded,
named in a warning.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from trimtab.errors import SpecError
from trimtab.specs.sharding import (
    MIN_SHARD_DIM,
    Access,
    DataType,
    PlanShard,
    ShardingPlan,
    Table,
)
from trimtab.torchrec_modules import NotPlanned, NotSharded, planned_collections

__all__ = [
    "NotPlanned",
    "NotSharded",
    "PlanMismatch",
    "TorchRecMissing",
    "from_modules",
    "to_torchrec",
]

_INSTALL = (
    "TorchRec is not installed here. On a machine with GPUs: pip install torchrec. On a CPU: pip "
    "install torch==2.13.0, then pip install --no-deps torchrec==1.9.2 fbgemm-gpu-cpu==1.8.0, then "
    "pip install tensordict==0.15.3 torchmetrics==1.0.3 pyre-extensions==0.0.32 tqdm"
)


class TorchRecMissing(ImportError):
    """torch or torchrec cannot be imported; the message has the commands to install them."""


class PlanMismatch(ValueError):
    """A plan and a module do not have the same tables."""


def from_modules(
    module: Any,
    *,
    pooling: Mapping[str, float] | float = 1.0,
    access: Mapping[str, Access] | None = None,
    leave_out: Collection[str] = (),
) -> list[Table]:
    """Return the tables of a module's EmbeddingBagCollections, or of EmbeddingBagConfigs.

    Args:
        module: A torch module, or a list of EmbeddingBagConfig.
        pooling: Mean look-ups per sample by *feature* (default 1), or one number for every
            feature; a table of several features gets their sum.
        access: Access statistics by *table*.
        leave_out: Paths of parts that are placed by other means, e.g. an EmbeddingCollection.

    Raises TorchRecMissing; NotPlanned when the module has other shardable parts; ValueError for a
    table that cannot be planned, an unknown name in `pooling` or `access`, or a module without
    tables. Warns NotSharded.
    """
    configs = list(_named_configs(module, leave_out))
    if not configs:
        raise ValueError(
            "module: expected an EmbeddingBagCollection in it, "
            f"got {type(module).__name__} without "
            "one; give the module that holds the embedding tables"
        )
    tables = {name: _features(config) for name, config in configs}
    features = {feature: name for name, own in tables.items() for feature in own}
    if isinstance(pooling, Mapping):
        own = {name: ", ".join(map(repr, fs)) for name, fs in tables.items()}
        _check_names(
            "pooling",
            "feature",
            pooling,
            features,
            other=own,
            hint="table {!r} has the features {}",
        )
    bare = {config.name: name for name, config in configs}
    names = {**bare, **{name: name for name in tables}}
    _check_names(
        "access",
        "table",
        access or {},
        names,
        other=features,
        hint="feature {!r} looks up table {!r}",
    )
    return [_table(name, config, pooling, access or {}) for name, config in configs]


def to_torchrec(
    plan: ShardingPlan | str | Path,
    module: Any,
    *,
    device_type: str = "cuda",
    devices_per_node: int | None = None,
    leave_out: Collection[str] = (),
) -> Any:
    """Return the plan as torchrec.distributed.types.ShardingPlan, with uneven column shards.

    Args:
        plan: A plan, or the path of a `plan.json`.
        module: The module that the plan was made for.
        device_type: `cuda`, or `cpu` for gloo ranks: the device of the tensors that
            DistributedModelParallel shards.
        devices_per_node: Ranks of a node, which number the local devices; None: the plan's.
        leave_out: Paths of parts that are placed by other means, as for `from_modules`.

    Every shardable part of `module` outside `leave_out` must be in the plan: the same tables with
    the same rows, width, type and number of features. Raises TorchRecMissing, NotPlanned or
    PlanMismatch.
    """
    types = _import("torchrec.distributed.types")
    spec = _import("torch.distributed._shard.sharding_spec")
    if not isinstance(plan, ShardingPlan):
        plan = ShardingPlan.model_validate(
            json.loads(Path(plan).read_text()), strict=False
        )
    per_node = devices_per_node or plan.devices_per_node
    tables = {t.name: t for t in plan.tables}
    shards: dict[str, list[PlanShard]] = {}
    for shard in sorted(plan.shards, key=lambda s: (s.table, s.offset)):
        shards.setdefault(shard.table, []).append(shard)

    def placement(rank: int) -> str:
        return (
            f"rank:{rank}/cpu"
            if device_type == "cpu"
            else f"rank:{rank}/{device_type}:{rank % per_node}"
        )

    modules: dict[str, Any] = {}
    collections = list(_collections(module, leave_out, warn=False))
    clash = _clashing(collections)
    used: set[str] = set()
    for path, collection in collections:
        sharded = types.EmbeddingModuleShardingPlan()
        for config in collection.embedding_bag_configs():
            name = f"{path}/{config.name}" if config.name in clash else config.name
            table = _planned(tables, name, config, path)
            used.add(name)
            own = shards[name]
            sharded[config.name] = types.ParameterSharding(
                sharding_type="table_wise" if len(own) == 1 else "column_wise",
                compute_kernel="fused",
                ranks=[s.device for s in own],
                sharding_spec=types.EnumerableShardingSpec(
                    [
                        spec.ShardMetadata(
                            shard_offsets=[0, s.offset],
                            shard_sizes=[table.rows, s.width],
                            placement=placement(s.device),
                        )
                        for s in own
                    ]
                ),
            )
        modules[path] = sharded
    if not modules:
        raise PlanMismatch(
            "module: expected an EmbeddingBagCollection in it, "
            f"got {type(module).__name__} without one; give the module the plan was made for"
        )
    if missing := sorted(set(tables) - used):
        listed = ", ".join(map(repr, missing[:5]))
        raise PlanMismatch(
            f"the plan has {len(missing)} tables that the module does not have ({listed}); "
            "give the module the plan was made for, or plan this one"
        )
    return types.ShardingPlan(plan=modules)


def _table(
    name: str,
    config: Any,
    pooling: Mapping[str, float] | float,
    access: Mapping[str, Access],
) -> Table:
    """Return a config as a Table. Raises ValueError with the table's name."""
    if config.embedding_dim % MIN_SHARD_DIM:
        wider = -(-config.embedding_dim // MIN_SHARD_DIM) * MIN_SHARD_DIM
        raise ValueError(
            f"table {name!r}: expected an embedding_dim that is a multiple of {MIN_SHARD_DIM} "
            f"(FBGEMM requires it), got {config.embedding_dim}; make it {wider}"
        )
    if getattr(config, "use_virtual_table", False):
        raise ValueError(
            f"table {name!r}: virtual tables (use_virtual_table, in SSD or key-value stores) are "
            "not planned; leave its collection out with leave_out and place it with TorchRec's "
            "planner"
        )
    features = _features(config)
    looked_up = (
        sum(pooling.get(f, 1.0) for f in features)
        if isinstance(pooling, Mapping)
        else pooling * len(features)
    )
    try:
        return Table(
            name=name,
            rows=int(config.num_embeddings),
            dim=int(config.embedding_dim),
            pooling=float(looked_up),
            features=len(features),
            dtype=_dtype(name, config),
            access=access.get(name, access.get(config.name)),
        )
    except SpecError as error:
        raise ValueError(f"table {name!r}: {'; '.join(map(str, error.faults))}") from None


def _dtype(name: str, config: Any) -> DataType:
    word = str(getattr(config.data_type, "value", config.data_type)).upper()
    try:
        return DataType(word.lower())
    except ValueError:
        types = ", ".join(t.name for t in DataType)
        raise ValueError(
            f"table {name!r}: expected data_type {types}, got {word}; quantized tables are not "
            "planned: train in one of these and quantize for inference, or leave its collection "
            "out with leave_out"
        ) from None


def _features(config: Any) -> list[str]:
    return list(config.feature_names) or [config.name]


def _check_names(
    field: str,
    noun: str,
    names: Iterable[str],
    valid: Mapping[str, str],
    *,
    other: Mapping[str, str],
    hint: str,
) -> None:
    """Raise ValueError for a name that is not in `valid`; `other` are names of the other sort."""
    unknown = [n for n in names if n not in valid]
    if not unknown:
        return
    name = unknown[0]
    if name in other:
        remedy = hint.format(name, other[name])
    elif near := get_close_matches(name, list(valid), n=3):
        remedy = f"did you mean {', '.join(map(repr, near))}?"
    else:
        remedy = f"{noun}s are {', '.join(map(repr, list(valid)[:8]))}" + (
            ", ..." if len(valid) > 8 else ""
        )
    more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
    raise ValueError(f"{field}: expected names of {noun}s, got {name!r}{more}; {remedy}")


def _planned(tables: Mapping[str, Table], name: str, config: Any, path: str) -> Table:
    """Return the plan's table of a config. Raises PlanMismatch."""
    table = tables.get(name)
    if table is None:
        raise PlanMismatch(
            f"table {name!r} of module {path or 'root'!r} is not in the plan; plan it with "
            "from_modules(module)"
        )
    if (table.rows, table.dim) != (config.num_embeddings, config.embedding_dim):
        raise PlanMismatch(
            f"table {name!r}: the plan is for {table.rows} x {table.dim}, the module has "
            f"{config.num_embeddings} x {config.embedding_dim}; plan it again"
        )
    if (dtype := _dtype(name, config)).bytes != table.dtype.bytes:
        raise PlanMismatch(
            f"table {name!r}: the plan is for {table.dtype}, the module has {dtype}; plan it "
            "again"
        )
    if (count := len(_features(config))) != table.features:
        raise PlanMismatch(
            f"table {name!r}: the plan is for {table.features} features, the module has {count}; "
            f"plan it again with features={count}"
        )
    return table


def _named_configs(module: Any, leave_out: Collection[str]) -> Iterator[tuple[str, Any]]:
    if isinstance(module, Sequence):
        for config in module:
            if not all(
                hasattr(config, field)
                for field in ("embedding_dim", "feature_names", "pooling")
            ):
                raise NotPlanned(
                    f"expected a list of EmbeddingBagConfig, got {type(config).__name__} "
                    f"{getattr(config, 'name', '')!r}; tables of sequences (EmbeddingConfig) are "
                    "not planned"
                )
            yield config.name, config
        return
    collections = list(_collections(module, leave_out))
    clash = _clashing(collections)
    for path, collection in collections:
        for config in collection.embedding_bag_configs():
            yield (
                (f"{path}/{config.name}" if config.name in clash else config.name),
                config,
            )


def _clashing(collections: Sequence[tuple[str, Any]]) -> set[str]:
    names = Counter(
        config.name for _, c in collections for config in c.embedding_bag_configs()
    )
    return {name for name, count in names.items() if count > 1}


def _collections(
    module: Any, leave_out: Collection[str], *, warn: bool = True
) -> Iterator[tuple[str, Any]]:
    bags = _import("torchrec.modules.embedding_modules").EmbeddingBagCollection
    torch = _import("torch")
    yield from planned_collections(
        module, leave_out=leave_out, torch=torch, bags=bags, warn=warn
    )


def _import(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except (
        ImportError,
        OSError,
    ) as error:  # OSError: a build of FBGEMM for another torch
        raise TorchRecMissing(f"{_INSTALL} ({type(error).__name__}: {error})") from error
