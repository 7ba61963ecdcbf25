"""A plan that local search changes in place: shards, device loads, and the limits it respects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan, merged
from search.domains.sharding.search.loads import Loads
from search.domains.sharding.search.plan_model import PlanModel


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that every plan must respect."""

    capacity: np.ndarray  # (D,) bytes
    moved: float = np.inf  # bytes that may leave their home device
    # Device of each shard of the current plan, and NONE at the end for new tables.
    home_device: np.ndarray | None = None


class WorkingPlan:
    """S shards and the loads of the devices, updated by adding and subtracting."""

    def __init__(
        self, items: Items, model: PlanModel, plan: Plan, limits: Limits
    ) -> None:
        self.items, self.model, self.limits = items, model, limits
        plan = merged(items, plan)
        self.option = plan.option.copy()
        self.device = plan.device.copy()
        self.home = plan.home.copy()
        self._source = plan.source
        self.reload()

    @property
    def plan(self) -> Plan:
        """The plan as it is now."""
        return Plan(
            option=self.option.copy(),
            device=self.device.copy(),
            home=self.home.copy(),
            source=self._source,
        )

    def reload(self) -> None:
        """Recompute the loads, without the rounding errors of many updates."""
        self.loads = Loads(self.items, self.model, self.plan)
        self.cost = self.loads.cost

    def allowed(self, shard: int) -> np.ndarray:
        """Return (D,) the devices that the pins allow for a shard."""
        if self.items.allowed is None:
            return np.ones(self.model.devices, dtype=bool)
        return self.items.allowed[self.items.options.item[self.option[shard]]]

    def may_move(
        self, shards: np.ndarray, devices: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Check pins and moved bytes for columns[n] of shards[n] to devices[n]; returns (N,)."""
        items, limits = self.items, self.limits
        ok = np.ones(len(shards), dtype=bool)
        if items.allowed is not None:
            ok &= items.allowed[items.options.item[self.option[shards]], devices]
        if self.moves_limited:
            option = self.option[shards]
            size = (
                items.options.weight_bytes[option] * columns / items.options.width[option]
            )
            change = size * (
                self.away(shards, devices) - self.away(shards, self.device[shards])
            )
            ok &= self.moved() + change <= limits.moved
        return ok

    @property
    def moves_limited(self) -> bool:
        """True when moved bytes are limited."""
        limits = self.limits
        return bool(np.isfinite(limits.moved)) and limits.home_device is not None

    def away(self, shards: np.ndarray, devices: np.ndarray | int) -> np.ndarray:
        """Return (N,) 1.0 where shards[n] on devices[n] would be away from home.

        Shards of new tables have no home and are never away.
        """
        assert self.limits.home_device is not None
        home = self.limits.home_device[self.home[shards]]
        return np.asarray((home != NONE) & (home != devices), dtype=float)

    def moved(self) -> float:
        """Return the bytes of weights away from home now."""
        if self.limits.home_device is None:
            return 0.0
        away = self.away(np.arange(len(self.device)), self.device)
        return float(self.items.options.weight_bytes[self.option] @ away)

    def partners(
        self, shards: np.ndarray, device: np.ndarray, place: np.ndarray
    ) -> np.ndarray:
        """Return (N,) the shard on device[n] that a transfer from shards[place[n]] widens.

        It is of the same table and home; NONE where there is none.
        """
        item = self.items.options.item[self.option]
        partner = np.full(len(place), NONE)
        for p, shard in enumerate(shards):
            same = np.flatnonzero((item == item[shard]) & (self.home == self.home[shard]))
            if len(same) == 1:
                continue
            on = np.full(self.model.devices, NONE)
            on[self.device[same]] = same
            rows = place == p
            partner[rows] = on[device[rows]]
        return partner

    def move(self, shard: int, target: int) -> None:
        """Move a shard to the device `target`."""
        option = int(self.option[shard])
        self._add(int(self.device[shard]), option, -1)
        self._add(target, option, +1)
        self.device[shard] = target
        self.cost = self.loads.cost

    def transfer(self, shard: int, columns: int, target: int) -> None:
        """Move columns of a shard to a device; they join a shard of its table and home there."""
        options = self.items.options
        option, source = int(self.option[shard]), int(self.device[shard])
        item = options.item[option]
        partner = int(
            self.partners(np.array([shard]), np.array([target]), np.array([0]))[0]
        )
        widened = NONE
        if partner != NONE:
            widened = int(
                options.find(item, options.width[self.option[partner]] + columns)
            )
        if widened == NONE:
            partner = NONE
        new = int(options.find(item, columns)) if partner == NONE else widened
        left = int(options.width[option]) - columns
        self._add(source, option, -1)
        if left:
            self.option[shard] = int(options.find(item, left))
            self._add(source, int(self.option[shard]), +1)
        if partner != NONE:
            self._add(target, int(self.option[partner]), -1)
            self.option[partner] = new
        self._add(target, new, +1)
        if partner == NONE and left:
            self.option = np.append(self.option, new)
            self.device = np.append(self.device, target)
            self.home = np.append(self.home, self.home[shard])
        elif partner == NONE:
            self.device[shard] = target
        elif not left:
            self._remove(shard)
        self.cost = self.loads.cost

    def _remove(self, shard: int) -> None:
        others = np.arange(len(self.option)) != shard
        self.option = self.option[others]
        self.device = self.device[others]
        self.home = self.home[others]

    def _add(self, device: int, option: int, sign: int) -> None:
        loads, options, model = self.loads, self.items.options, self.model
        kind = model.device_class[device]
        loads.pooled[device] += sign * model.embedding[kind, option]
        loads.memory[device] += sign * options.memory[option]
        loads.dims[device] += sign * options.dim[option]
        loads.shards[device] += sign
        used = loads.shards[device] > 0
        loads.compute[device] = (
            float(model.heads[kind](loads.pooled[device])) if used else 0.0
        )
        if not used:
            loads.pooled[device] = 0.0
