"""Oracle of the search: prices plans on the simulated devices.

The model only proposes plans; the oracle chooses among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cost_models.sharding.hardware import HardwareProfile
from cost_models.sharding.problem import Shards, TableArrays
from cost_models.sharding.simulator import FabricModel, StepCost, compute_ms, step_cost
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """Simulated devices of one job."""

    items: Items
    arrays: TableArrays
    profiles: list[HardwareProfile]
    fabric: FabricModel

    def compute(self, option: np.ndarray, device: np.ndarray) -> np.ndarray:
        """Return (D,) the milliseconds of each device."""
        return self._compute(option, device, self.profiles)

    def compute_some(
        self, option: np.ndarray, device: np.ndarray, devices: np.ndarray
    ) -> np.ndarray:
        """Return (len(devices),) the milliseconds of a few devices only."""
        mask = np.isin(device, devices)
        number = np.full(len(self.profiles), -1)
        number[devices] = np.arange(len(devices))
        return self._compute(
            option[mask], number[device[mask]], [self.profiles[d] for d in devices]
        )

    def _compute(
        self, option: np.ndarray, device: np.ndarray, profiles: list[HardwareProfile]
    ) -> np.ndarray:
        table, width, owner = members_of(self.items, option)
        group = device[owner]
        milliseconds = np.zeros(len(profiles))
        for profile in {p.name: p for p in profiles}.values():
            of_profile = np.array([p.name == profile.name for p in profiles])
            mask = of_profile[group]
            shards = Shards(
                table=table[mask],
                width=width[mask],
                group=group[mask],
                groups=len(profiles),
            )
            cost = compute_ms(self.arrays, shards, profile)
            milliseconds[of_profile] = cost.total_ms[of_profile]
        return milliseconds

    def dims(self, plan: Plan) -> np.ndarray:
        """Return (D,) the columns on each device."""
        return np.bincount(
            plan.device,
            weights=self.items.options.dim[plan.option],
            minlength=len(self.profiles),
        )

    def step(self, plan: Plan) -> StepCost:
        """Simulate one step of the plan."""
        return step_cost(
            self.compute(plan.option, plan.device),
            self.dims(plan),
            self.arrays.batch,
            self.fabric,
        )

    def cost(self, plan: Plan) -> float:
        """Return the plan's milliseconds."""
        return self.step(plan).total_ms


def members_of(
    items: Items, option: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the table shards of a list of options.

    → tables (M,), widths (M,), place in `option` (M,)
    """
    options = items.options
    if len(options.member_option) == len(options):  # no groups: one member per option
        every = np.arange(len(option))
        return options.member_table[option], options.member_width[option], every
    # Members of an option are consecutive in the flat list.
    begin = options.member_begin[option]
    size = np.append(options.member_begin[1:], len(options.member_option))[option] - begin
    owner = np.repeat(np.arange(len(option)), size)
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    flat = np.repeat(begin, size) + within
    return options.member_table[flat], options.member_width[flat], owner
