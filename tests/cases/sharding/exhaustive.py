"""Small random sharding jobs and all their plans, priced by the model.

Proofs and the search are compared with them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from search.domains.sharding.encode.setup import Setup, set_up
from search.domains.sharding.parse.problem import ShardingProblem, parse
from search.domains.sharding.search.instance import Instance
from search.domains.sharding.search.models import Models
from search.domains.sharding.search.plan_model import PlanModel
from trimtab.specs.sharding import (
    Constraints,
    DeviceGroup,
    Fabric,
    Hardware,
    MemoryModel,
    Optimizer,
    Pin,
    ShardingSpec,
    Table,
    ZipfAccess,
)

MOST_PLANS = 60_000


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job, parsed and set up."""

    spec: ShardingSpec
    problem: ShardingProblem
    setup: Setup
    model: PlanModel


def ready(spec: ShardingSpec, models: Models) -> Job:
    problem = parse(spec, {})
    setup = set_up(problem)
    model = Instance.of(spec, setup, models).model
    return Job(spec=spec, problem=problem, setup=setup, model=model)


def random_spec(rng: np.random.Generator) -> ShardingSpec:
    """Draw two to four narrow tables on two to four devices.

    With every constraint, kind of device and tightness of memory.
    """
    devices = int(rng.integers(2, 5))
    most = {2: 4, 3: 4, 4: 3}[devices]
    tables = tuple(
        Table(
            name=f"t{i}",
            rows=int(10 ** rng.uniform(1, 7)),
            dim=int(rng.choice([4, 8, 12, 16, 20] if devices < 4 else [4, 8, 12, 16])),
            pooling=float(round(10 ** rng.uniform(0, 2), 2)),
            access=ZipfAccess(
                alpha=float(round(rng.uniform(0.2, 1.3), 2)), active_rows=10**6
            ),
        )
        for i in range(int(rng.integers(2, most + 1)))
    )
    need = sum(t.rows * t.dim * 4 for t in tables) / 2**30
    slack = float(rng.choice([0.97, 1.01, 1.2, 3.0, 50.0]))
    if rng.random() < 0.5:
        kinds = tuple(
            DeviceGroup(
                count=1,
                memory_gib=max(
                    1e-6, slack * need / devices * float(rng.uniform(0.7, 1.3))
                ),
                hardware=Hardware(str(rng.choice(["v100", "a100", "h100"]))),
            )
            for _ in range(devices)
        )
    else:
        kinds = (
            DeviceGroup(count=devices, memory_gib=max(1e-6, slack * need / devices)),
        )
    names = [t.name for t in tables]
    pins = tuple(
        Pin(
            table=n,
            devices=tuple(int(d) for d in np.flatnonzero(rng.random(devices) < 0.6))
            or (0,),
        )
        for n in names
        if rng.random() < 0.3
    )
    free = [n for n in names if n not in {p.table for p in pins}]
    together = (tuple(free[:2]),) if len(free) > 2 and rng.random() < 0.3 else ()
    return ShardingSpec(
        tables=tables,
        devices=kinds,
        fabric=Fabric(
            devices_per_node=devices // 2
            if devices % 2 == 0 and rng.random() < 0.5
            else None
        ),
        global_batch=int(rng.choice([256, 65_536, 2**20])),
        optimizer=Optimizer(str(rng.choice(["sgd", "rowwise_adagrad", "adam"]))),
        memory_model=MemoryModel(str(rng.choice(["weights", "weights", "training"]))),
        constraints=Constraints(
            pin=pins,
            together=together,
            no_split=tuple(n for n in names if rng.random() < 0.3),
            min_shard_dim=int(rng.choice([4, 4, 8, 12])),
        ),
    )


def every_plan(job: Job) -> np.ndarray | None:
    """Return the model cost of every plan that respects memory and constraints.

    A plan is the number of columns of each table on each device, enumerated from the tables and
    the constraints. None when there are too many plans.
    """
    items, model, capacity = job.setup.items, job.model, job.setup.capacity
    ways = [_ways(job, item) for item in range(len(items))]
    if np.prod([float(len(w)) for w in ways]) > MOST_PLANS:
        return None
    devices, size = model.devices, model.embedding.shape[2]
    pooled = np.zeros((1, devices, size))
    dims = memory = np.zeros((1, devices))
    for item, way in enumerate(ways):
        vectors, columns, room = (
            np.stack(part)
            for part in zip(*(_carried(job, item, w) for w in way), strict=True)
        )
        pooled = (pooled[:, None] + vectors[None]).reshape(-1, devices, size)
        dims = (dims[:, None] + columns[None]).reshape(-1, devices)
        memory = (memory[:, None] + room[None]).reshape(-1, devices)
    fits = (memory <= capacity).all(1)
    compute = model.compute(pooled[fits], dims[fits] > 0)
    return np.asarray(model.total(compute, dims[fits]))


def _ways(job: Job, item: int) -> list[tuple[int, ...]]:
    """Return the columns of each device, for each way to cut and place an item."""
    rules, tables, devices = job.spec.constraints, job.problem.tables, job.model.devices
    members = job.setup.items.members[item]
    name, dim = tables[members[0]].name, tables[members[0]].dim
    pins = {p.table: set(p.devices) for p in rules.pin}
    allowed = set(range(devices))
    for member in members:
        allowed &= pins.get(tables[member].name, allowed)
    if len(members) > 1 or name in rules.no_split:
        return [tuple(dim if d == at else 0 for d in range(devices)) for at in allowed]
    widths = [
        0,
        *range(rules.min_shard_dim, dim + 1, 4),
        *([dim] if dim < rules.min_shard_dim else []),
    ]
    choices = [widths if d in allowed else [0] for d in range(devices)]
    return [way for way in itertools.product(*choices) if sum(way) == dim]


def _carried(
    job: Job, item: int, way: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pooled vectors (D, K), columns and bytes of each device."""
    options, model = job.setup.items.options, job.model
    vectors = np.zeros((model.devices, model.embedding.shape[2]))
    dims, memory = np.zeros(model.devices), np.zeros(model.devices)
    for device, columns in enumerate(way):
        if columns:
            option = int(options.find(np.array([item]), np.array([columns]))[0])
            assert option >= 0, f"{columns} columns are a shard of item {item}"
            vectors[device] = model.embedding[model.device_class[device], option]
            dims[device], memory[device] = options.dim[option], options.memory[option]
    return vectors, dims, memory
