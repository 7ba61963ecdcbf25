"""TorchRec executes what the search may choose: column shards of any multiple of 4, several widths in one table."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from trimtab.specs.sharding import DeviceLoad, PlanShard, ShardingPlan, Table

pytestmark = [
    pytest.mark.torchrec,
    pytest.mark.skipif(
        find_spec("torchrec") is None,
        reason="TorchRec is an optional extra: make setup-torch",
    ),
]
ROOT = Path(__file__).parents[3]
# TorchRec takes shards of one table on one rank to be equally wide, so a plan has one shard of a table on a device.
CUTS = {100: (52, 48), 36: (12, 24), 60: (4, 56), 12: (8, 4), 20: (20,), 300: (148, 152)}


def uneven_plan() -> ShardingPlan:
    tables = tuple(Table(name=f"t{dim}", rows=50 + dim, dim=dim) for dim in CUTS)
    shards = []
    for place, (dim, widths) in enumerate(CUTS.items()):
        offset = 0
        for n, width in enumerate(widths):
            shards.append(
                PlanShard(
                    table=f"t{dim}", offset=offset, width=width, device=(place + n) % 2
                )
            )
            offset += width
    load = {
        "compute_ms": 0,
        "forward_ms": 0,
        "backward_ms": 0,
        "memory_bytes": 0,
        "memory_limit_bytes": 1,
    }
    loads = tuple(DeviceLoad(device=d, dim=0, shards=3, **load) for d in range(2))
    return ShardingPlan(
        cost_ms=1,
        global_batch=16,
        devices=loads,
        devices_per_node=2,
        shards=tuple(shards),
        tables=tables,
    )


def test_outputs_of_uneven_shards_are_those_of_the_unsharded_module(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(uneven_plan().model_dump_json())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = ROOT / "tests" / "trimtab" / "torchrec" / "two_ranks.py"
    out = tmp_path / "outputs"
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(plan), str(port), str(out)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        printed = [rank.communicate(timeout=240)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(
        text[-2500:] for text in printed
    )
    for rank in range(2):
        outputs = json.loads(Path(f"{out}.{rank}").read_text())
        # Sums of a narrower shard may be vectorised in another order: equal up to rounding.
        assert outputs["difference"] <= 1e-6
        assert outputs["largest"] > 0.0
        assert outputs["columns"] == sum(CUTS)
