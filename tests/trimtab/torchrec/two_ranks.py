"""One of two gloo ranks that run a plan through DistributedModelParallel, for test_executed.py."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.specs.sharding import ShardingPlan, Table

if TYPE_CHECKING:
    from torch import Tensor


def main(rank: int, plan_path: str, port: str, out: str) -> None:
    warnings.simplefilter("ignore")
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    import torch
    import torch.distributed as dist
    from torchrec import EmbeddingBagCollection, EmbeddingBagConfig, KeyedJaggedTensor
    from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
    from torchrec.distributed.model_parallel import DistributedModelParallel
    from torchrec.distributed.types import ShardingEnv

    from trimtab.torchrec import to_torchrec

    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    plan = ShardingPlan.model_validate(
        json.loads(Path(plan_path).read_text()), strict=False
    )

    def configs() -> list[EmbeddingBagConfig]:
        return [
            EmbeddingBagConfig(
                name=t.name,
                num_embeddings=t.rows,
                embedding_dim=t.dim,
                feature_names=_features_of(t),
            )
            for t in plan.tables
        ]

    torch.manual_seed(0)
    plain = EmbeddingBagCollection(tables=configs(), device=torch.device("cpu"))
    torch.manual_seed(0)
    model = EmbeddingBagCollection(tables=configs(), device=torch.device("cpu"))
    sharded = DistributedModelParallel(
        model,
        env=ShardingEnv.from_process_group(dist.group.WORLD),
        plan=to_torchrec(plan, model, device_type="cpu"),
        sharders=[EmbeddingBagCollectionSharder()],
        device=torch.device("cpu"),
        init_data_parallel=False,
    )
    _copy_weights(plain.state_dict(), sharded.state_dict())
    keys = [feature for t in plan.tables for feature in _features_of(t)]
    lengths, values = _look_ups(plan, rank)
    features = KeyedJaggedTensor(keys=keys, values=values, lengths=lengths)
    actual = sharded(features)
    actual = actual.wait() if hasattr(actual, "wait") else actual
    expected = plain(features)
    names = list(expected.keys())
    report = {
        "difference": max(float((actual[k] - expected[k]).abs().max()) for k in names),
        "largest": max(float(expected[k].abs().max()) for k in names),
        "columns": sum(actual.length_per_key()),
    }
    sum(actual[k].sum() for k in names).backward()
    Path(f"{out}.{rank}").write_text(json.dumps(report))
    dist.barrier()
    dist.destroy_process_group()
    # gloo's threads are sometimes still joinable when the interpreter unloads torch, and
    # std::terminate() then ends a rank that has done all its work ("terminate called without an
    # active exception", about 1 run in 30 under load).
    sys.stdout.flush()
    os._exit(0)


def _features_of(table: Table) -> list[str]:
    return [f"f_{table.name}_{i}" for i in range(table.features)]


def _look_ups(plan: ShardingPlan, rank: int, batch: int = 8) -> tuple[Tensor, Tensor]:
    """Return random (lengths, values) of every feature."""
    import torch

    generator = torch.Generator().manual_seed(10 + rank)
    tables = [t for t in plan.tables for _ in range(t.features)]
    lengths = torch.randint(0, 5, (len(tables) * batch,), generator=generator)
    counts = lengths.view(len(tables), batch).sum(dim=1).tolist()
    values = [
        torch.randint(0, t.rows, (count,), generator=generator)
        for t, count in zip(tables, counts, strict=True)
    ]
    return lengths, torch.cat(values)


def _copy_weights(whole_of: dict, held_by: dict) -> None:
    """The plain weights into the sharded model's own memory, each shard its columns."""
    from torch.distributed._shard.sharded_tensor import ShardedTensor

    copied = 0
    for name, held in held_by.items():
        assert isinstance(held, ShardedTensor), f"{name} is sharded"
        whole = whole_of[name.removeprefix("module.")]
        for shard in held.local_shards():
            (r, c), (h, w) = shard.metadata.shard_offsets, shard.metadata.shard_sizes
            shard.tensor.detach().copy_(whole[r : r + h, c : c + w])
            copied += 1
    assert copied, "this rank holds something"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4])
