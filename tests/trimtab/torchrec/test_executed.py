"""TorchRec executes an exported plan with uneven shards and gives the unsharded outputs."""

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


def uneven_plan() -> ShardingPlan:
    """One table whole, one halved, one as 64 + 32 + 32 with two shards on one rank."""
    tables = (
        Table(name="a", rows=100, dim=16),
        Table(name="b", rows=1_000, dim=64, features=2),
        Table(name="c", rows=50, dim=128),
    )
    shards = (
        PlanShard(table="a", offset=0, width=16, device=1),
        PlanShard(table="b", offset=0, width=32, device=1),
        PlanShard(table="b", offset=32, width=32, device=0),
        PlanShard(table="c", offset=0, width=64, device=0),
        PlanShard(table="c", offset=64, width=32, device=1),
        PlanShard(table="c", offset=96, width=32, device=1),
    )
    loads = tuple(
        DeviceLoad(
            device=d,
            compute_ms=0,
            forward_ms=0,
            backward_ms=0,
            memory_bytes=0,
            memory_limit_bytes=1,
            dim=0,
            shards=3,
        )
        for d in range(2)
    )
    return ShardingPlan(
        cost_ms=1,
        global_batch=16,
        devices=loads,
        devices_per_node=2,
        shards=shards,
        tables=tables,
    )


def test_outputs_are_those_of_the_unsharded_module(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(uneven_plan().model_dump_json())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = Path(__file__).with_name("two_ranks.py")
    out = tmp_path / "report"
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
        outputs = [rank.communicate(timeout=240)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0, 0], "\n".join(outputs)[-3000:]
    for rank in range(2):
        report = json.loads(Path(f"{out}.{rank}").read_text())
        assert report["difference"] == 0.0
        assert report["largest"] > 0.0, "the weights are not all zero"
        assert report["columns"] == 16 + 2 * 64 + 128, (
            "one block of columns for each feature"
        )
