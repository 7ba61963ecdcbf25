"""Setting a job up for its own devices and for a what-if."""

from __future__ import annotations

from search.domains.sharding.constants import GIB, NONE
from search.domains.sharding.encode.setup import set_up
from search.domains.sharding.parse.problem import parse
from tests.search.domains.sharding.conftest import job
from trimtab.specs.sharding import Constraints, DeviceGroup, PlanShard


def test_devices_are_numbered_through_the_groups() -> None:
    groups = (DeviceGroup(count=2, memory_gib=3), DeviceGroup(count=1, memory_gib=5))
    setup = set_up(parse(job(4, 3, devices=groups), {}))
    assert setup.capacity.tolist() == [3 * GIB, 3 * GIB, 5 * GIB]
    assert len(setup.profiles) == setup.fabric.ranks == 3
    assert setup.current is setup.home_device is setup.in_use is None


def test_a_what_if_reuses_the_arrays() -> None:
    problem = parse(job(4, 2), {})
    first = set_up(problem)
    other = set_up(
        problem,
        arrays=first.arrays,
        spec=problem.spec.model_copy(
            update={"devices": (DeviceGroup(count=7, memory_gib=1),)}
        ),
    )
    assert other.arrays is first.arrays
    assert len(other.capacity) == 7
    assert len(first.capacity) == 2


def test_home_devices_end_with_none_for_new_tables() -> None:
    spec = job(3, 2)
    current = tuple(
        PlanShard(table=t.name, offset=0, width=t.dim, device=i)
        for i, t in enumerate(spec.tables[:2])
    )
    rules = Constraints(current_plan=current)
    setup = set_up(parse(spec.model_copy(update={"constraints": rules}), {}))
    assert setup.home_device is not None
    assert setup.home_device.tolist() == [0, 1, NONE]
    assert setup.current is not None
    assert setup.home_device[setup.current.home].tolist().count(NONE) == 1
