"""Plan the job for other numbers of devices."""

from __future__ import annotations

from typing import Any

import numpy as np

from cost_models.sharding.problem import TableArrays
from search.domains.sharding.encode.setup import set_up
from search.domains.sharding.parse.problem import ShardingProblem
from search.domains.sharding.search.bound.certificate import prove
from search.domains.sharding.search.deadlines import Stop
from search.domains.sharding.search.infeasible import prove_infeasible
from search.domains.sharding.search.instance import Instance, search_instance
from search.domains.sharding.search.models import Models
from search.domains.sharding.search.phases import NothingFits
from search.domains.sharding.search.summary import gap
from trimtab.specs.sharding import MAX_DEVICES, DeviceGroup, ShardingSpec


def what_if(
    problem: ShardingProblem,
    arrays: TableArrays,
    models: Models,
    rng: np.random.Generator,
    stop: Stop,
) -> list[dict[str, Any]]:
    """Return one row per number of devices: cost and gap, or a note with the reason for none."""
    return [
        {"devices": count, **_row(problem, arrays, models, rng, stop, count)}
        for count in problem.spec.what_if
    ]


def _row(
    problem: ShardingProblem,
    arrays: TableArrays,
    models: Models,
    rng: np.random.Generator,
    stop: Stop,
    count: int,
) -> dict[str, Any]:
    spec = with_devices(problem.spec, count)
    if isinstance(spec, str):
        return {"cost_ms": None, "note": spec}
    setup = set_up(problem, arrays=arrays, spec=spec)
    if (proof := prove_infeasible(setup)) is not None:
        return {"cost_ms": None, "note": proof.argument}
    instance = Instance.of(spec, setup, models)
    try:
        result = search_instance(instance, rng, stop=stop)
    except NothingFits:
        result = None
    if result is None:
        return {
            "cost_ms": None,
            "note": "no plan fits, or none was found in the time left",
        }
    certificate = prove(
        setup.items, instance.model, setup.capacity, result.plan, stop=stop
    )
    return {
        "cost_ms": result.oracle_ms,
        "gap": gap(result.model_ms, certificate.lower_bound_ms),
        "note": "",
    }


def with_devices(spec: ShardingSpec, count: int) -> ShardingSpec | str:
    """Return the job on `count` devices like those of the first group, or the reason against it."""
    first = spec.devices[0]
    per_node = spec.fabric.devices_per_node
    if per_node is not None and count > per_node and count % per_node:
        return f"{count} devices are not whole nodes of {per_node}"
    rules = spec.constraints
    if any(max(pin.devices) >= count for pin in rules.pin):
        return f"a table is pinned to a device beyond {count - 1}"
    fabric = spec.fabric
    if per_node is not None and count < per_node:
        fabric = fabric.model_copy(update={"devices_per_node": None})
    group = DeviceGroup(
        count=min(count, MAX_DEVICES),
        memory_gib=first.memory_gib,
        hardware=first.hardware,
    )
    fresh = rules.model_copy(update={"current_plan": (), "max_moved_gib": None})
    return spec.model_copy(
        update={
            "devices": (group,),
            "fabric": fabric,
            "constraints": fresh,
            "what_if": (),
        }
    )
