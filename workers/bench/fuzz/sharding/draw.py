"""Random sharding jobs, small enough to enumerate every plan of most of them."""

from __future__ import annotations

from typing import Any

import numpy as np

Body = dict[str, Any]

_WIDTHS = (4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 60, 64, 96, 100, 128, 200, 300)
_SMALL_WIDTHS = 6  # number of narrow widths, drawn most of the time
_STATE_BYTES = {
    "sgd": (0, 0),
    "rowwise_adagrad": (4, 0),
    "adagrad": (0, 4),
    "adam": (0, 8),
}  # per row, per element


def draw(rng: np.random.Generator) -> Body:
    """Draw a spec of kind `sharding` as a JSON object."""
    tables = [_table(rng, i) for i in range(int(rng.integers(1, 5)))]
    hardware = [str(rng.choice(["v100", "a100", "h100"]))]
    if rng.random() < 0.3:
        hardware.append(str(rng.choice(["v100", "a100", "h100"])))
    counts = [int(rng.integers(1, 4 if len(hardware) == 1 else 3)) for _ in hardware]
    spec: Body = {
        "tables": tables,
        "global_batch": int(2 ** rng.integers(0, 17)),
        "optimizer": str(rng.choice(list(_STATE_BYTES))),
        "memory_model": str(rng.choice(["weights", "training"])),
        "kicks": int(rng.integers(0, 4)),
        "proof_seconds": 0.0 if rng.random() < 0.7 else 0.3,
    }
    need = sum(table_bytes(spec, t, t["dim"]) for t in tables) / 2**30
    devices = sum(counts)
    groups = []
    for name, count in zip(hardware, counts, strict=True):
        slack = float(
            rng.choice([0.8, 1.0, 1.05, 1.3, 2.0, 4.0, 10.0]) * rng.uniform(0.9, 1.1)
        )
        groups.append(
            {
                "count": count,
                "memory_gib": max(need / devices * slack, 1e-9),
                "hardware": name,
            }
        )
    spec["devices"] = groups
    spec["fabric"] = _fabric(rng, devices)
    spec["constraints"] = _constraints(rng, tables, devices)
    if rng.random() < 0.05:
        spec["what_if"] = [int(rng.integers(1, 5))]
    return spec


def table_bytes(spec: Body, table: Body, width: int) -> float:
    """Return the bytes of a shard of `width` columns, by the guide's section on memory."""
    rows, element = table["rows"], 4 if table.get("dtype", "fp32") == "fp32" else 2
    weights = rows * width * element
    if spec["memory_model"] == "weights":
        return float(weights)
    per_row, per_element = _STATE_BYTES[spec["optimizer"]]
    state = rows * (per_row + per_element * width)
    features, pooling, batch = (
        table.get("features", 1),
        table.get("pooling", 1.0),
        spec["global_batch"],
    )
    outputs_and_gradients = 2 * batch * features * width * 4
    indices_and_offsets = 8 * (batch * pooling + batch * features)
    return float(weights + state + outputs_and_gradients + indices_and_offsets)


def _table(rng: np.random.Generator, number: int) -> Body:
    few = rng.random() < 0.85
    width = int(rng.choice(_WIDTHS[:_SMALL_WIDTHS] if few else _WIDTHS))
    rows = int(10 ** rng.uniform(0, 8 if rng.random() < 0.9 else 10))
    table: Body = {"name": f"t{number}", "rows": rows, "dim": width}
    if rng.random() < 0.8:
        table["pooling"] = float(np.round(10 ** rng.uniform(-1, 2), 3))
    if rng.random() < 0.2:
        table["features"] = int(rng.integers(1, 5))
    if rng.random() < 0.4:
        table["dtype"] = str(rng.choice(["fp32", "fp16", "bf16"]))
    if (access := _access(rng, rows)) is not None:
        table["access"] = access
    return table


def _access(rng: np.random.Generator, rows: int) -> Body | None:
    match int(rng.integers(0, 5)):
        case 0:
            return {
                "type": "zipf",
                "alpha": float(rng.uniform(0, 2)),
                "active_rows": int(rng.integers(1, rows + 1)),
            }
        case 1:
            shares = rng.random(17) ** 3
            return {"type": "reuse", "bins": [float(s) for s in shares / shares.sum()]}
        case 2:
            size = int(rng.integers(1, 50))
            return {
                "type": "sample",
                "indices": [int(i) for i in rng.integers(0, min(rows, 30), size)],
            }
        case _:
            return None


def _fabric(rng: np.random.Generator, devices: int) -> Body:
    fabric: Body = {}
    divisors = [d for d in range(1, devices + 1) if devices % d == 0]
    if rng.random() < 0.5:
        fabric["devices_per_node"] = int(rng.choice(divisors))
    if rng.random() < 0.2:
        fabric["intra_gb_s"] = float(10 ** rng.uniform(0, 3))
    if rng.random() < 0.2:
        fabric["inter_gb_s"] = float(10 ** rng.uniform(-1, 2))
    return fabric


def _constraints(rng: np.random.Generator, tables: list[Body], devices: int) -> Body:
    rules: Body = {}
    names = [t["name"] for t in tables]
    if rng.random() < 0.25:
        rules["no_split"] = [n for n in names if rng.random() < 0.5]
    if rng.random() < 0.2 and len(names) > 1:
        size = int(rng.integers(2, len(names) + 1))
        rules["together"] = [[str(n) for n in rng.permutation(names)[:size]]]
    if rng.random() < 0.25:
        grouped = set(rules.get("together", [[]])[0])
        pinned = [n for n in names if rng.random() < 0.5 and n not in grouped]
        rules["pin"] = [{"table": n, "devices": _subset(rng, devices)} for n in pinned]
    if rng.random() < 0.2:
        rules["min_shard_dim"] = int(rng.choice([4, 8, 12, 16, 32]))
    if rng.random() < 0.3:
        rules["current_plan"] = _current_plan(rng, tables, devices)
        if rng.random() < 0.5 and rules["current_plan"]:
            largest = sum(t["rows"] * t["dim"] * 4 for t in tables) / 2**30
            rules["max_moved_gib"] = (
                0.0 if rng.random() < 0.3 else float(rng.uniform(0, 1) * largest)
            )
    return rules


def _subset(rng: np.random.Generator, devices: int) -> list[int]:
    size = int(rng.integers(1, devices + 1))
    return [int(d) for d in rng.permutation(devices)[:size]]


def _current_plan(
    rng: np.random.Generator, tables: list[Body], devices: int
) -> list[Body]:
    """Draw a plan in use: tables may be new or gone, and it may have used more devices."""
    before = devices + (int(rng.integers(1, 3)) if rng.random() < 0.3 else 0)
    held = [t for t in tables if rng.random() < 0.85]
    shards = []
    for table in held:
        offset = 0
        for width in _partition(rng, table["dim"]):
            shards.append(
                {
                    "table": table["name"],
                    "offset": offset,
                    "width": width,
                    "device": int(rng.integers(before)),
                }
            )
            offset += width
    if held and rng.random() < 0.2:
        shards.append({"table": "gone", "offset": 0, "width": 8, "device": 0})
    return [shards[int(i)] for i in rng.permutation(len(shards))]


def _partition(rng: np.random.Generator, dim: int) -> list[int]:
    parts = []
    while dim:
        width = dim if rng.random() < 0.5 else 4 * int(rng.integers(1, dim // 4 + 1))
        parts.append(width)
        dim -= width
    return parts
