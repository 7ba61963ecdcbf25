"""Sharding jobs of the cases, run in this process."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.sharding import build
from search.stop import from_budget
from trimtab.results import RunResult
from trimtab.specs.sharding import ShardingPlan, ShardingSpec

HERE = Path(__file__).parent


def spec_of(name: str) -> dict[str, Any]:
    """The spec of a request in `inputs`."""
    return dict(json.loads((HERE / "inputs" / f"{name}.json").read_text())["spec"])


def run(
    body: dict[str, Any], folder: Path
) -> tuple[RunResult, ShardingPlan | None, dict[str, str]]:
    """Result, plan and files of a job."""
    spec = ShardingSpec.model_validate_json(json.dumps(body))
    folder.mkdir(exist_ok=True)
    stop = from_budget({"seconds": 60.0}, threading.Event())
    finished = pipeline.run(build(), spec, inputs={}, workdir=folder, stop=stop, seed=0)
    files = {p.name: p.path.read_text() for p in finished.produced}
    plan = None
    if "plan.json" in files:
        plan = ShardingPlan.model_validate(json.loads(files["plan.json"]), strict=False)
    return finished.result, plan, files


def tables(count: int = 4, **fields: Any) -> list[dict[str, Any]]:
    """Equal tables t0, t1, ..."""
    return [
        {"name": f"t{i}", "rows": 100_000, "dim": 64, "pooling": 4.0, **fields}
        for i in range(count)
    ]


def devices(count: int, memory_gib: float = 8.0) -> list[dict[str, Any]]:
    """One group of equal devices."""
    return [{"count": count, "memory_gib": memory_gib, "hardware": "a100"}]


def shard(table: str, offset: int, width: int, device: int) -> dict[str, Any]:
    """One shard of a plan in use."""
    return {"table": table, "offset": offset, "width": width, "device": device}
