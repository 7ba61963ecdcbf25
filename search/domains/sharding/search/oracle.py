"""The oracle's word on plans: what the model prefers is only a proposal until the oracle has priced it."""

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
    """Prices plans on the simulated devices."""

    items: Items
    arrays: TableArrays
    profiles: list[HardwareProfile]
    fabric: FabricModel

    def compute(self, option: np.ndarray, device: np.ndarray) -> np.ndarray:
        """Milliseconds of each device.  # (D,)"""
        return self._compute(option, device, len(self.profiles), self.profiles)

    def compute_some(
        self, option: np.ndarray, device: np.ndarray, devices: np.ndarray
    ) -> np.ndarray:
        """Milliseconds of a few devices only.  # (len(devices),)"""
        mask = np.isin(device, devices)
        number = np.full(len(self.profiles), -1)
        number[devices] = np.arange(len(devices))
        return self._compute(
            option[mask],
            number[device[mask]],
            len(devices),
            [self.profiles[d] for d in devices],
        )

    def _compute(
        self,
        option: np.ndarray,
        device: np.ndarray,
        devices: int,
        profiles: list[HardwareProfile],
    ) -> np.ndarray:
        table, width, owner = members_of(self.items, option)
        group = device[owner]
        found = np.zeros(devices)
        for profile in {p.name: p for p in profiles}.values():
            of_profile = np.array([p.name == profile.name for p in profiles])
            mask = of_profile[group]
            shards = Shards(
                table=table[mask], width=width[mask], group=group[mask], groups=devices
            )
            found[of_profile] = compute_ms(self.arrays, shards, profile).total_ms[
                of_profile
            ]
        return found

    def dims(self, plan: Plan) -> np.ndarray:
        """Columns on each device.  # (D,)"""
        return np.bincount(
            plan.device,
            weights=self.items.options.dim[plan.option],
            minlength=len(self.profiles),
        )

    def step(self, plan: Plan) -> StepCost:
        """One step of the plan."""
        return step_cost(
            self.compute(plan.option, plan.device),
            self.dims(plan),
            self.arrays.batch,
            self.fabric,
        )

    def cost(self, plan: Plan) -> float:
        """The plan's milliseconds."""
        return self.step(plan).total_ms


def members_of(
    items: Items, option: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables, widths and the place in `option` of every table shard in a list of options."""
    options = items.options
    begin = options.member_begin[option]
    if len(options.member_option) == len(options):
        return (
            options.member_table[option],
            options.member_width[option],
            np.arange(len(option)),
        )
    # Members of an option are consecutive in the flat list.
    size = np.append(options.member_begin[1:], len(options.member_option))[option] - begin
    owner = np.repeat(np.arange(len(option)), size)
    flat = (
        np.repeat(begin, size)
        + np.arange(size.sum())
        - np.repeat(np.cumsum(size) - size, size)
    )
    return options.member_table[flat], options.member_width[flat], owner
