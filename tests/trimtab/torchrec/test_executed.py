"""TorchRec executes exported plans with uneven column shards, and gives the unsharded outputs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
# TorchRec expects the shards of one table on one rank to be equally wide; plans of the search have
# one shard of a table per device.
CUTS = {100: (52, 48), 36: (12, 24), 60: (4, 56), 12: (8, 4), 20: (20,), 300: (148, 152)}


def plan_of(tables: tuple[Table, ...], shards: list[PlanShard]) -> ShardingPlan:
    """Return a plan on two devices; their loads do not matter here."""
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
        shards=tuple(shards),
        tables=tables,
    )


def equal_widths_per_rank() -> ShardingPlan:
    """One table whole, one halved, one as 64 + 32 + 32 with two shards on one rank."""
    tables = (
        Table(name="a", rows=100, dim=16),
        Table(name="b", rows=1_000, dim=64, features=2),
        Table(name="c", rows=50, dim=128),
    )
    rows = [
        ("a", 0, 16, 1),
        ("b", 0, 32, 1),
        ("b", 32, 32, 0),
        ("c", 0, 64, 0),
        ("c", 64, 32, 1),
        ("c", 96, 32, 1),
    ]
    shards = [
        PlanShard(table=table, offset=offset, width=width, device=device)
        for table, offset, width, device in rows
    ]
    return plan_of(tables, shards)


def several_widths_per_table() -> ShardingPlan:
    """Tables cut at any multiple of 4."""
    tables = tuple(Table(name=f"t{dim}", rows=50 + dim, dim=dim) for dim in CUTS)
    shards = []
    for place, (dim, widths) in enumerate(CUTS.items()):
        for n, width in enumerate(widths):
            offset = sum(widths[:n])
            shards.append(
                PlanShard(
                    table=f"t{dim}", offset=offset, width=width, device=(place + n) % 2
                )
            )
    return plan_of(tables, shards)


def execute(plan: ShardingPlan, folder: Path) -> list[dict[str, Any]]:
    """Run the plan on two ranks; return the comparison that each rank wrote."""
    path, out = folder / "plan.json", folder / "outputs"
    path.write_text(plan.model_dump_json())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = Path(__file__).with_name("two_ranks.py")
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(path), str(port), str(out)],
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
    return [json.loads(Path(f"{out}.{rank}").read_text()) for rank in range(2)]


@pytest.mark.parametrize(
    ("plan", "tolerance", "columns"),
    [
        # One block of columns for each feature.
        (equal_widths_per_rank(), 0.0, 16 + 2 * 64 + 128),
        # Sums of a narrower shard may be vectorised in another order: equal up to rounding.
        (several_widths_per_table(), 1e-6, sum(CUTS)),
    ],
    ids=["equal widths per rank", "several widths per table"],
)
def test_outputs_are_those_of_the_unsharded_module(
    plan: ShardingPlan, tolerance: float, columns: int, tmp_path: Path
) -> None:
    for outputs in execute(plan, tmp_path):
        assert outputs["difference"] <= tolerance
        assert outputs["largest"] > 0.0, "the weights are not all zero"
        assert outputs["columns"] == columns
