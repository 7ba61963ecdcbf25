"""Run by test_converters.py in its own process: print the outcome of each case as JSON."""

from __future__ import annotations

import json
import warnings
from typing import Any

warnings.simplefilter("ignore")

import torch  # noqa: E402
from torchrec import (  # noqa: E402
    EmbeddingBagCollection,
    EmbeddingBagConfig,
    EmbeddingCollection,
    EmbeddingConfig,
)
from torchrec.modules.embedding_configs import DataType  # noqa: E402
from torchrec.modules.feature_processor_ import (  # noqa: E402
    PositionWeightedModuleCollection,
)
from torchrec.modules.fp_embedding_modules import (  # noqa: E402
    FeatureProcessedEmbeddingBagCollection,
)
from torchrec.modules.fused_embedding_modules import FusedEmbeddingBagCollection  # noqa: E402
from torchrec.modules.mc_embedding_modules import (  # noqa: E402
    ManagedCollisionEmbeddingBagCollection,
)
from torchrec.modules.mc_modules import (  # noqa: E402
    DistanceLFU_EvictionPolicy,
    ManagedCollisionCollection,
    MCHManagedCollisionModule,
)
from torchrec.quant.embedding_modules import (  # noqa: E402
    EmbeddingBagCollection as QuantEmbeddingBagCollection,
)

from trimtab.specs.sharding import (  # noqa: E402
    DeviceLoad,
    PlanShard,
    ShardingPlan,
    Table,
    ZipfAccess,
)
from trimtab.torchrec import from_modules, to_torchrec  # noqa: E402

META, CPU = torch.device("meta"), torch.device("cpu")
ZIPF = ZipfAccess(alpha=1.0, active_rows=9)


def config(
    name: str = "t", features: tuple[str, ...] = ("f",), dim: int = 64, **more: Any
) -> EmbeddingBagConfig:
    return EmbeddingBagConfig(
        name=name,
        num_embeddings=1000,
        embedding_dim=dim,
        feature_names=list(features),
        **more,
    )


def bags(
    *configs: EmbeddingBagConfig, device: torch.device = META
) -> EmbeddingBagCollection:
    return EmbeddingBagCollection(device=device, tables=list(configs) or [config()])


def model(**parts: torch.nn.Module) -> torch.nn.Module:
    module = torch.nn.Module()
    for name, part in parts.items():
        module.add_module(name, part)
    return module


def sequences() -> torch.nn.Module:
    history = EmbeddingConfig(
        name="history", num_embeddings=50_000_000, embedding_dim=64, feature_names=["h"]
    )
    return EmbeddingCollection(device=META, tables=[history])


def collisions() -> torch.nn.Module:
    inner = bags(device=CPU)
    managed = MCHManagedCollisionModule(
        zch_size=1000,
        device=CPU,
        eviction_interval=1,
        eviction_policy=DistanceLFU_EvictionPolicy(),
        input_hash_size=4000,
    )
    return ManagedCollisionEmbeddingBagCollection(
        inner, ManagedCollisionCollection({"t": managed}, inner.embedding_bag_configs())
    )


def fused() -> torch.nn.Module:
    return FusedEmbeddingBagCollection(
        tables=[config()], optimizer_type=torch.optim.SGD, optimizer_kwargs={"lr": 0.1}
    )


def processed() -> torch.nn.Module:
    weighted = EmbeddingBagCollection(device=META, tables=[config()], is_weighted=True)
    return FeatureProcessedEmbeddingBagCollection(
        weighted, PositionWeightedModuleCollection({"f": 8})
    )


def quantized() -> torch.nn.Module:
    return QuantEmbeddingBagCollection(
        tables=[config(data_type=DataType.INT8)], is_weighted=False, device=CPU
    )


def plan(*tables: Table) -> ShardingPlan:
    loads = tuple(
        DeviceLoad(
            device=d,
            compute_ms=0,
            forward_ms=0,
            backward_ms=0,
            memory_bytes=0,
            memory_limit_bytes=1,
            dim=0,
            shards=1,
        )
        for d in range(2)
    )
    shards = tuple(
        PlanShard(table=t.name, offset=0, width=t.dim, device=1) for t in tables
    )
    return ShardingPlan(
        cost_ms=1,
        global_batch=8,
        devices=loads,
        devices_per_node=2,
        shards=shards,
        tables=tables,
    )


def outcome(make: Any) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = make()
        except ValueError as error:
            return {"refused": str(error)}
    if isinstance(made, str):
        return {"placement": made}
    rows = [[t.name, t.rows, t.dim, t.pooling, t.features, t.dtype.value] for t in made]
    return {
        "tables": rows,
        "warnings": [
            str(w.message) for w in caught if w.category.__name__ == "NotSharded"
        ],
    }


def placement(device_type: str) -> str:
    sharding = to_torchrec(
        plan(Table(name="t", rows=1000, dim=64)), bags(), device_type=device_type
    ).plan[""]["t"]
    return str(sharding.sharding_spec.shards[0].placement)


ONE = Table(name="t", rows=1000, dim=64)
THREE = ("f", "g", "h")
CASES: dict[str, Any] = {
    "plain": lambda: from_modules(bags()),
    "8 features": lambda: from_modules(
        bags(config(features=tuple(f"f{i}" for i in range(8))))
    ),
    "pooling by feature": lambda: from_modules(
        bags(config(features=THREE)), pooling={"f": 3.0, "g": 8.0}
    ),
    "pooling of every feature": lambda: from_modules(
        bags(config(features=THREE)), pooling=2.0
    ),
    "no feature names": lambda: from_modules(
        bags(config(features=())), pooling={"t": 5.0}
    ),
    "list of configs": lambda: from_modules([config()]),
    "virtual table": lambda: from_modules([config(use_virtual_table=True)]),
    "dim 10": lambda: from_modules(bags(config(dim=10))),
    "dim 2": lambda: from_modules(bags(config(dim=2))),
    "pooling names a table": lambda: from_modules(
        bags(config("user", ("uid",))), pooling={"user": 20.0}
    ),
    "pooling misspelt": lambda: from_modules(
        bags(config("user", ("user_id",))), pooling={"user_idd": 20.0}
    ),
    "pooling of nothing": lambda: from_modules(bags(), pooling={"zzz": 20.0}),
    "pooling not positive": lambda: from_modules(bags(), pooling={"f": 0.0}),
    "access misspelt": lambda: from_modules(bags(config("item")), access={"items": ZIPF}),
    "access names a feature": lambda: from_modules(
        bags(config("user", ("uid",))), access={"uid": ZIPF}
    ),
    "sequences": lambda: from_modules(
        model(bags=bags(config("a")), sequences=sequences())
    ),
    "sequences left out": lambda: from_modules(
        model(bags=bags(config("a")), sequences=sequences()), leave_out=["sequences"]
    ),
    "leave_out of nothing": lambda: from_modules(
        model(bags=bags(), sequences=sequences()), leave_out=["sequence"]
    ),
    "sequence configs": lambda: from_modules(
        [
            EmbeddingConfig(
                name="s", num_embeddings=10, embedding_dim=8, feature_names=["s"]
            )
        ]
    ),
    "managed collision": lambda: from_modules(model(mc=collisions())),
    "fused": lambda: from_modules(model(fused=fused())),
    "feature processed": lambda: from_modules(model(fp=processed())),
    "quantized": lambda: from_modules(model(q=quantized())),
    "no tables": lambda: from_modules(torch.nn.Linear(1, 1)),
    "plain torch tables": lambda: from_modules(
        model(
            bags=bags(config("a")),
            position=torch.nn.Embedding(100, 8, device=META),
            bag=torch.nn.EmbeddingBag(100, 8, device=META),
            head=torch.nn.Linear(100_000, 10_000, device=META),
            small=torch.nn.Linear(10, 10, device=META),
        )
    ),
    "to: sequences": lambda: to_torchrec(
        plan(ONE), model(bags=bags(), sequences=sequences())
    ),
    "to: other features": lambda: to_torchrec(
        plan(ONE), bags(config(features=("f", "g")))
    ),
    "to: other type": lambda: to_torchrec(
        plan(ONE), bags(config(data_type=DataType.BF16))
    ),
    "to: plan has more tables": lambda: to_torchrec(
        plan(ONE, Table(name="u", rows=9, dim=8)), bags()
    ),
    "to: cpu": lambda: placement("cpu"),
    "to: cuda": lambda: placement("cuda"),
}
for kind in ("FP16", "BF16", "INT8", "INT4", "INT2", "NFP8", "UINT8"):
    CASES[kind.lower()] = lambda kind=kind: from_modules(
        [config(data_type=DataType[kind])]
    )

if __name__ == "__main__":
    print(json.dumps({name: outcome(make) for name, make in CASES.items()}))
