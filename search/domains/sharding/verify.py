"""Independent check of a plan: from the tables, the constraints and the shards alone.

The check imports nothing of `search` or `encode` of this kind; an import contract in pyproject.toml
enforces that. Coverage, widths, memory and constraints are counted again from the spec.

One part is shared on purpose: the cost is defined as what the simulated devices of
`cost_models.sharding` take for the plan, so the check prices the plan with the same simulator that
the search uses as its oracle. It prices the plan's own rows with arrays of its own, so it finds
errors in the search's items, options and increments; it cannot find an error in the simulator.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from pydantic import JsonValue

from cost_models.sharding.fabric import fabric_of
from cost_models.sharding.problem import Shards
from cost_models.sharding.simulator import StepCost, compute_ms, step_cost
from search.domains.sharding.parse.problem import ShardingProblem
from trimtab.results import Verification, VerificationStatus
from trimtab.specs.sharding import MemoryModel, Optimizer, PlanShard, ShardingSpec, Table

_METHOD = (
    "every column once, widths, memory and constraints by counting; "
    "cost by the simulated devices"
)
_MOST_LOADS = 64  # devices whose loads a result lists
_COST_TOLERANCE = 1e-6  # relative above 1 ms, absolute below


def verify_plan(
    problem: ShardingProblem, shards: Iterable[PlanShard], claimed_ms: float
) -> Verification:
    """Check a plan; valid only without faults and when the oracle confirms the claimed cost."""
    shards = tuple(shards)
    spec, tables = problem.spec, {t.name: t for t in problem.tables}
    faults = [
        *_coverage(tables, shards, spec),
        *_memory(tables, shards, spec),
        *_constraints(tables, shards, spec),
    ]
    cost = None
    loads: dict[str, JsonValue] = {}
    if not faults:
        step = priced(problem, shards)
        cost, loads = step.total_ms, _loads(step)
        if abs(cost - claimed_ms) > _COST_TOLERANCE * max(1.0, claimed_ms):
            faults.append(
                f"cost: the oracle computes {cost:.6f} ms, the search claimed {claimed_ms:.6f} ms"
            )
    return Verification(
        status=VerificationStatus.INVALID if faults else VerificationStatus.VALID,
        method=_METHOD,
        claimed_objective=claimed_ms,
        objective=cost,
        max_violation=None
        if faults
        else 0.0,  # 0: every constraint was counted and holds
        checks={
            "tables": len(tables),
            "shards": len(shards),
            "faults": len(faults),
            **loads,
        },
        detail="; ".join(faults[:5]),
    )


def _loads(step: StepCost) -> dict[str, JsonValue]:
    """Return each device's milliseconds, for pictures of small plans."""
    if len(step.compute_ms) > _MOST_LOADS:
        return {}
    exchange = step.forward_ms + step.backward_ms
    return {
        "compute_ms": np.round(step.compute_ms, 6).tolist(),
        "exchange_ms": np.round(exchange, 6).tolist(),
    }


def oracle_ms(problem: ShardingProblem, shards: tuple[PlanShard, ...]) -> float:
    """Return the step's milliseconds on the simulated devices."""
    return priced(problem, shards).total_ms


def priced(problem: ShardingProblem, shards: tuple[PlanShard, ...]) -> StepCost:
    """Simulate one step from the plan's own rows."""
    spec = problem.spec
    arrays = problem.checked_arrays
    number = {t.name: i for i, t in enumerate(problem.tables)}
    table = np.array([number[s.table] for s in shards])
    width = np.array([s.width for s in shards])
    device = np.array([s.device for s in shards])
    profiles = problem.profiles(spec.devices)
    compute = np.zeros(len(profiles))
    for profile in {p.name: p for p in profiles}.values():
        mine = np.array([p.name == profile.name for p in profiles])
        here = mine[device]
        rows = Shards(
            table=table[here], width=width[here], group=device[here], groups=len(profiles)
        )
        compute[mine] = compute_ms(arrays, rows, profile).total_ms[mine]
    # Of the pooled outputs: one block per feature.
    columns = width * arrays.features[table]
    dims = np.bincount(device, weights=columns, minlength=len(profiles)).astype(float)
    return step_cost(
        compute, dims, spec.global_batch, fabric_of(spec.devices, spec.fabric)
    )


def shard_memory(table: Table, width: int, spec: ShardingSpec) -> float:
    """Return the bytes a shard takes on its device, computed apart from the search's formula."""
    weights = table.rows * width * (4 if table.dtype.value == "fp32" else 2)
    if spec.memory_model is MemoryModel.WEIGHTS:
        return float(weights)
    per_row = {
        Optimizer.SGD: 0,
        Optimizer.ROWWISE_ADAGRAD: 4,
        Optimizer.ADAGRAD: 4 * width,
        Optimizer.ADAM: 8 * width,
    }[spec.optimizer]
    # Pooled outputs and their gradients in fp32; int64 indices and offsets.
    outputs = 2 * spec.global_batch * table.features * width * 4
    inputs = 8 * spec.global_batch * (table.pooling + table.features)
    return float(weights + table.rows * per_row + outputs + inputs)


def _coverage(
    tables: dict[str, Table], shards: tuple[PlanShard, ...], spec: ShardingSpec
) -> list[str]:
    """Return faults of names, devices and widths, and columns not placed exactly once."""
    faults = []
    columns: dict[str, list[PlanShard]] = defaultdict(list)
    for shard in shards:
        if shard.table not in tables:
            faults.append(f"unknown table {shard.table!r} in a shard")
            continue
        if not 0 <= shard.device < spec.device_count:
            faults.append(
                f"table {shard.table!r}: expected devices 0 .. {spec.device_count - 1}, "
                f"got {shard.device}"
            )
        if shard.width % 4:
            faults.append(
                f"table {shard.table!r}: expected widths that are multiples of 4, "
                f"got {shard.width}"
            )
        columns[shard.table].append(shard)
    for name, table in tables.items():
        at = 0
        for shard in sorted(columns[name], key=lambda s: s.offset):
            if shard.offset != at:
                faults.append(
                    f"table {name!r}: columns {min(at, shard.offset)} to "
                    f"{max(at, shard.offset)} are placed twice or not at all"
                )
                break
            at += shard.width
        else:
            if at != table.dim:
                faults.append(f"table {name!r}: {at} of {table.dim} columns are placed")
    return faults


def _memory(
    tables: dict[str, Table], shards: tuple[PlanShard, ...], spec: ShardingSpec
) -> list[str]:
    """Return the devices that hold more than their memory."""
    limit = [
        group.memory_gib * 2**30 for group in spec.devices for _ in range(group.count)
    ]
    used = [0.0] * len(limit)
    for shard in shards:
        if shard.table in tables and shard.device < len(used):
            used[shard.device] += shard_memory(tables[shard.table], shard.width, spec)
    return [
        f"device {d} holds {u / 2**30:.3f} GiB of {m / 2**30:.3f} GiB"
        for d, (u, m) in enumerate(zip(used, limit, strict=True))
        if u > m * (1 + 1e-12)
    ]


def _constraints(
    tables: dict[str, Table], shards: tuple[PlanShard, ...], spec: ShardingSpec
) -> list[str]:
    """Return the constraints that the plan violates."""
    rules = spec.constraints
    devices_of: dict[str, set[int]] = defaultdict(set)
    count: dict[str, int] = defaultdict(int)
    for shard in shards:
        devices_of[shard.table].add(shard.device)
        count[shard.table] += 1
    faults = [
        f"pin: table {pin.table!r} is on devices {sorted(devices_of[pin.table])}, "
        f"expected {sorted(pin.devices)}"
        for pin in rules.pin
        if not devices_of[pin.table] <= set(pin.devices)
    ]
    faults += [
        f"together: tables {', '.join(group)} are on several devices"
        for group in rules.together
        if len(set.union(*(devices_of[name] for name in group))) > 1
    ]
    faults += [
        f"no_split: table {name!r} is split" for name in rules.no_split if count[name] > 1
    ]
    faults += [
        f"min_shard_dim: table {s.table!r} has a shard of {s.width} columns, "
        f"expected at least {rules.min_shard_dim}"
        for s in shards
        if s.table in tables
        and s.width < rules.min_shard_dim
        and s.width < tables[s.table].dim
    ]
    if rules.max_moved_gib is not None:
        moved = _moved_bytes(tables, rules.current_plan, shards)
        forced = _unavoidable_bytes(tables, spec)
        if moved > max(rules.max_moved_gib * 2**30, forced) * (1 + 1e-12):
            faults.append(
                f"max_moved_gib: {moved / 2**30:.3f} GiB leave their device, expected at most "
                f"{rules.max_moved_gib:.3f}; {forced / 2**30:.3f} must"
            )
    return faults


def _unavoidable_bytes(tables: dict[str, Table], spec: ShardingSpec) -> float:
    """Return the weights of the plan in use that must move.

    They are on devices that are gone, or that a pin of the table or of its group forbids.
    """
    rules = spec.constraints
    every = set(range(spec.device_count))
    pins = {pin.table: every & set(pin.devices) for pin in rules.pin}
    group_of = {name: group for group in rules.together for name in group}
    total = 0.0
    for shard in rules.current_plan:
        if shard.table in tables:
            names = group_of.get(shard.table, (shard.table,))
            allowed = set.intersection(*(pins.get(n, every) for n in names))
            if shard.device not in allowed:
                table = tables[shard.table]
                total += shard.width * table.rows * table.dtype.bytes
    return total


def _moved_bytes(
    tables: dict[str, Table], old: tuple[PlanShard, ...], new: tuple[PlanShard, ...]
) -> float:
    """Return the weights whose column is on another device than before; new tables move nothing."""
    before: dict[str, dict[int, int]] = defaultdict(dict)
    for shard in old:
        for column in range(shard.offset, shard.offset + shard.width):
            before[shard.table][column] = shard.device
    moved = 0.0
    for shard in new:
        if shard.table in before:
            away = sum(
                before[shard.table].get(column) != shard.device
                for column in range(shard.offset, shard.offset + shard.width)
            )
            moved += away * tables[shard.table].rows * tables[shard.table].dtype.bytes
    return moved
