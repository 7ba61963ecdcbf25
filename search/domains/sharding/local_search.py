"""Local search over a plan: move, swap, split and merge shards, each judged by the exact change of the model's cost.

A plan costs max compute + exchange(max dims), so a step can only help where one of the two is attained. All steps from
such a device are priced at once: pooled vectors add up, so a step is one head evaluation per device it changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.domains.sharding.items import NONE, Items
from search.domains.sharding.placement import Loads, Plan
from search.domains.sharding.plan_cost import PlanModel

_TOLERANCE = 1e-9
_MAX_SWAPS = 4_000  # pairs priced in one go; of more, those with the lightest devices
_MAX_TARGETS = 64  # devices a shard may go to in one step; of more, the lightest


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a plan must respect."""

    capacity: np.ndarray  # (D,) bytes
    moved: float = np.inf  # bytes that may leave their home device
    home_device: np.ndarray | None = (
        None  # device of each shard of the current plan, and NONE at the end for new tables
    )


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A priced step."""

    cost: float
    spread: float
    apply: Callable[[], None]


class LocalSearch:
    """One plan, improved in place. `plan` gives it back."""

    def __init__(self, items: Items, model: PlanModel, plan: Plan, limits: Limits) -> None:
        self._items, self._model, self._limits = items, model, limits
        self.option = plan.option.copy()
        self.device = plan.device.copy()
        self.home = plan.home.copy()
        self._source = plan.source
        self.steps = 0
        self._reload()

    @property
    def plan(self) -> Plan:
        """The plan as it is now."""
        return Plan(option=self.option.copy(), device=self.device.copy(), home=self.home.copy(), source=self._source)

    def _reload(self) -> None:
        self._loads = Loads(self._items, self._model, self.plan)
        self.cost = self._loads.cost
        self._since_reload = 0

    def descend(self, stop: Callable[[], bool]) -> float:
        """Take the best step until none helps; returns the cost."""
        while not stop():
            step = self._best_step()
            if step is None:
                break
            step.apply()
            self.steps += 1
            self._since_reload += 1
            if self._since_reload > 200:
                self._reload()
        self._reload()
        return self.cost

    def kick(self, rng: np.random.Generator, strength: int) -> None:
        """Move a few random shards to random devices that have room."""
        options, capacity = self._items.options, self._limits.capacity
        for _ in range(strength):
            shard = int(rng.integers(len(self.option)))
            memory = options.memory[self.option[shard]]
            ok = (self._loads.memory + memory <= capacity) & self._may(shard)
            ok[self.device[shard]] = False
            if ok.any():
                self._move(shard, int(rng.choice(np.flatnonzero(ok))))
        self._reload()

    # --- pricing -------------------------------------------------------------------------------------------------

    def _best_step(self) -> _Step | None:
        loads = self._loads
        weighted = loads.dims * self._model.slowness
        critical = list(dict.fromkeys([int(loads.compute.argmax()), int(weighted.argmax())]))
        # By the same estimate as the steps are priced, or a difference between it and the exact exchange could go in circles.
        estimate = float(loads.compute.max() + self._model.exchange.of_largest(weighted.max()))
        now = _Step(cost=estimate, spread=self._spread(loads.compute, weighted), apply=lambda: None)
        best = now
        for device in critical:
            for steps in (self._moves, self._splits, self._merges):
                best = self._better(best, steps(device))
        if best is now:  # swaps are many: only when nothing cheaper helps
            for device in critical:
                best = self._better(best, self._swaps(device))
        return None if best is now else best

    def _better(self, best: _Step, found: _Step | None) -> _Step:
        if found is None:
            return best
        scale = _TOLERANCE * max(1.0, self.cost)
        if found.cost < best.cost - scale:
            return found
        return found if found.cost <= best.cost + scale and found.spread < best.spread * (1 - 1e-6) else best

    def _spread(self, compute: np.ndarray, weighted: np.ndarray) -> float:
        # Breaks ties on plateaus: flatter loads give later steps room.
        return float(
            (compute**2).sum() / max((compute.max() ** 2), 1e-12)
            + (weighted**2).sum() / max(weighted.max() ** 2, 1e-12)
        )

    def _price(
        self,
        a: int,
        b: np.ndarray,
        compute_a: np.ndarray,
        compute_b: np.ndarray,
        dims_a: np.ndarray,
        dims_b: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cost and spread of N steps that change devices `a` and `b[n]`.  # (N,), (N,)"""
        loads, model = self._loads, self._model
        weighted = loads.dims * model.slowness
        rest_compute = _max_without(loads.compute, a, b)
        rest_dims = _max_without(weighted, a, b)
        largest_compute = np.maximum(rest_compute, np.maximum(compute_a, compute_b))
        wa, wb = dims_a * model.slowness[a], dims_b * model.slowness[b]
        largest_dims = np.maximum(rest_dims, np.maximum(wa, wb))
        cost = largest_compute + model.exchange.of_largest(largest_dims)
        squares = (loads.compute**2).sum() - loads.compute[a] ** 2 - loads.compute[b] ** 2 + compute_a**2 + compute_b**2
        wide = (weighted**2).sum() - weighted[a] ** 2 - weighted[b] ** 2 + wa**2 + wb**2
        top_compute, top_dims = max(float(loads.compute.max()), 1e-6), max(float(weighted.max()), 1e-6)
        return cost, squares / top_compute**2 + wide / top_dims**2

    def _head(self, device: np.ndarray, pooled: np.ndarray) -> np.ndarray:
        """Milliseconds of rows of pooled vectors, each on its device.  # (N,)"""
        heads = self._model.heads
        if len(heads) == 1:
            return heads[0](pooled)
        found = np.empty(len(pooled))
        kind = self._model.device_class[device]
        for c, head in enumerate(heads):
            found[kind == c] = head(pooled[kind == c])
        return found

    def _vector(self, device: np.ndarray, option: np.ndarray) -> np.ndarray:
        return self._model.embedding[self._model.device_class[device], option]

    def _leave(self, a: int, shards: np.ndarray) -> np.ndarray:
        """Compute of `a` without each of its `shards`.  # (P,)"""
        at = np.full(len(shards), a)
        alone = self._loads.shards[a] <= 1
        left = self._head(at, self._loads.pooled[a] - self._vector(at, self.option[shards]))
        return np.zeros(len(shards)) if alone else left

    def _targets(self, a: int) -> np.ndarray:
        """Devices other than `a`; of very many, those that compute least and those that exchange least."""
        compute, dims = self._loads.compute, self._loads.dims * self._model.slowness
        others = np.flatnonzero(np.arange(len(compute)) != a)
        if len(others) > _MAX_TARGETS:
            # The lightest devices are often those a huge shard fills: only devices with room count.
            mine = self._items.options.memory[self.option[self.device == a]]
            room = self._limits.capacity[others] - self._loads.memory[others]
            others = others[room >= (mine.min() / 2 if len(mine) else 0.0)]
        if len(others) > _MAX_TARGETS:
            half = _MAX_TARGETS // 2
            quick = np.argsort(compute[others], kind="stable")[:half]
            narrow = np.argsort(dims[others], kind="stable")[:half]
            others = others[np.union1d(quick, narrow)]
        return others

    def _may(self, shard: int) -> np.ndarray:
        if self._items.allowed is None:
            return np.ones(self._model.devices, dtype=bool)
        return self._items.allowed[self._items.options.item[self.option[shard]]]

    def _may_move(self, shards: np.ndarray, devices: np.ndarray) -> np.ndarray:
        """Whether pins and the bound on moved bytes allow shards[n] on devices[n].  # (N,)"""
        items, limits = self._items, self._limits
        ok = np.ones(len(shards), dtype=bool)
        if items.allowed is not None:
            ok &= items.allowed[items.options.item[self.option[shards]], devices]
        if np.isfinite(limits.moved) and limits.home_device is not None:
            memory = items.options.weight_bytes[self.option[shards]]
            change = memory * (self._away(shards, devices) - self._away(shards, self.device[shards]))
            ok &= self._moved() + change <= limits.moved
        return ok

    def _away(self, shards: np.ndarray, devices: np.ndarray | int) -> np.ndarray:
        """1.0 where shards[n] on devices[n] would not be where the current plan has it; new tables are never away."""
        assert self._limits.home_device is not None
        home = self._limits.home_device[self.home[shards]]
        return np.asarray((home != NONE) & (home != devices), dtype=float)

    def _moved(self) -> float:
        """Bytes of weights away from home now."""
        if self._limits.home_device is None:
            return 0.0
        away = self._away(np.arange(len(self.device)), self.device)
        return float(self._items.options.weight_bytes[self.option] @ away)

    # --- steps ---------------------------------------------------------------------------------------------------

    def _moves(self, a: int) -> _Step | None:
        """One shard of `a` to any other device."""
        loads, options = self._loads, self._items.options
        shards = np.flatnonzero(self.device == a)
        others = self._targets(a)
        if not len(shards) or not len(others):
            return None
        p, b = np.repeat(np.arange(len(shards)), len(others)), np.tile(others, len(shards))
        memory = options.memory[self.option[shards]]
        ok = loads.memory[b] + memory[p] <= self._limits.capacity[b]
        ok &= self._may_move(shards[p], b)
        p, b = p[ok], b[ok]
        if not len(p):
            return None
        option = self.option[shards[p]]
        compute_a = self._leave(a, shards)[p]
        compute_b = self._head(b, loads.pooled[b] + self._vector(b, option))
        columns = options.dim[option]
        cost, spread = self._price(a, b, compute_a, compute_b, loads.dims[a] - columns, loads.dims[b] + columns)
        n = _least(cost, spread)
        shard, target = int(shards[p[n]]), int(b[n])
        return _Step(cost=float(cost[n]), spread=float(spread[n]), apply=lambda: self._move(shard, target))

    def _swaps(self, a: int) -> _Step | None:
        """One shard of `a` against one of another device."""
        loads, options = self._loads, self._items.options
        mine = np.flatnonzero(self.device == a)
        theirs = np.flatnonzero(self.device != a)
        if not len(mine) or not len(theirs):
            return None
        if len(mine) * len(theirs) > _MAX_SWAPS:  # the lightest devices are where a swap helps
            light = np.argsort(loads.compute, kind="stable")
            rank = np.empty(len(light), dtype=np.int64)
            rank[light] = np.arange(len(light))
            keep = max(1, _MAX_SWAPS // len(mine))
            theirs = theirs[np.argsort(rank[self.device[theirs]], kind="stable")[:keep]]
        p, q = np.repeat(mine, len(theirs)), np.tile(theirs, len(mine))
        b = self.device[q]
        mp, mq = options.memory[self.option[p]], options.memory[self.option[q]]
        capacity = self._limits.capacity
        ok = (self.option[p] != self.option[q]) & (loads.memory[b] - mq + mp <= capacity[b])
        ok &= loads.memory[a] - mp + mq <= capacity[a]
        ok &= self._may_move(p, b) & self._may_move(q, np.full(len(q), a))
        p, q, b = p[ok], q[ok], b[ok]
        if np.isfinite(self._limits.moved) and self._limits.home_device is not None and len(p):
            ok = self._swap_moves_little(p, q, b, a)
            p, q, b = p[ok], q[ok], b[ok]
        if not len(p):
            return None
        at = np.full(len(p), a)
        compute_a = self._head(
            at, loads.pooled[a] - self._vector(at, self.option[p]) + self._vector(at, self.option[q])
        )
        compute_b = self._head(b, loads.pooled[b] - self._vector(b, self.option[q]) + self._vector(b, self.option[p]))
        change = options.dim[self.option[q]] - options.dim[self.option[p]]
        cost, spread = self._price(a, b, compute_a, compute_b, loads.dims[a] + change, loads.dims[b] - change)
        n = _least(cost, spread)
        first, second, target = int(p[n]), int(q[n]), int(b[n])

        def apply() -> None:
            self._move(first, target)
            self._move(second, a)

        return _Step(cost=float(cost[n]), spread=float(spread[n]), apply=apply)

    def _swap_moves_little(self, p: np.ndarray, q: np.ndarray, b: np.ndarray, a: int) -> np.ndarray:
        weight = self._items.options.weight_bytes
        change = weight[self.option[p]] * (self._away(p, b) - self._away(p, a))
        change += weight[self.option[q]] * (self._away(q, a) - self._away(q, b))
        return np.asarray(self._moved() + change <= self._limits.moved)

    def _splits(self, a: int) -> _Step | None:
        """A shard of `a` halved, one half to another device."""
        loads, options = self._loads, self._items.options
        shards = np.flatnonzero((self.device == a) & (options.half[self.option] != NONE))
        others = self._targets(a)
        if not len(shards) or not len(others):
            return None
        p, b = np.repeat(np.arange(len(shards)), len(others)), np.tile(others, len(shards))
        half = options.half[self.option[shards]]
        ok = loads.memory[b] + options.memory[half][p] <= self._limits.capacity[b]
        if self._items.allowed is not None:
            ok &= self._items.allowed[options.item[half][p], b]
        if np.isfinite(self._limits.moved) and self._limits.home_device is not None:
            change = options.weight_bytes[half][p] * (self._away(shards[p], b) - self._away(shards[p], a))
            ok &= self._moved() + change <= self._limits.moved
        p, b = p[ok], b[ok]
        if not len(p):
            return None
        at = np.full(len(shards), a)
        stays = self._head(at, loads.pooled[a] - self._vector(at, self.option[shards]) + self._vector(at, half))
        compute_b = self._head(b, loads.pooled[b] + self._vector(b, half[p]))
        gone = (options.dim[self.option[shards]] - options.dim[half])[p]
        cost, spread = self._price(
            a, b, stays[p], compute_b, loads.dims[a] - gone, loads.dims[b] + options.dim[half][p]
        )
        n = _least(cost, spread)
        shard, target = int(shards[p[n]]), int(b[n])
        return _Step(cost=float(cost[n]), spread=float(spread[n]), apply=lambda: self._split(shard, target))

    def _merges(self, a: int) -> _Step | None:
        """Two equal shards of one table, one of them on `a`, joined on the other's device, or both on `a`."""
        loads, options = self._loads, self._items.options
        mine = np.flatnonzero((self.device == a) & (options.double[self.option] != NONE))
        pairs = [
            (int(s), int(t))
            for s in mine
            for t in np.flatnonzero((self.option == self.option[s]) & (self.home == self.home[s]))
            if t != s and (self.device[t] != a or t > s)
        ]
        if not pairs:
            return None
        s, t = (np.array(column) for column in zip(*pairs, strict=True))
        b = self.device[t]
        same = b == a
        option, double = self.option[s], options.double[self.option[s]]
        ok = loads.memory[b] - options.memory[option] + options.memory[double] <= self._limits.capacity[b]
        ok &= self._may_move(s, b)
        s, t, b, same, option, double = s[ok], t[ok], b[ok], same[ok], option[ok], double[ok]
        if not len(s):
            return None
        compute_a = np.where(same, 0.0, self._leave(a, s))
        grown = loads.pooled[b] - self._vector(b, option) * (1 + same)[:, None] + self._vector(b, double)
        compute_b = self._head(b, grown)
        dims_a = np.where(same, 0.0, loads.dims[a] - options.dim[option])
        dims_b = loads.dims[b] - options.dim[option] * (1 + same) + options.dim[double]
        cost, spread = self._price(a, b, compute_a, compute_b, dims_a, dims_b)
        n = _least(cost, spread)
        first, second = int(s[n]), int(t[n])
        return _Step(cost=float(cost[n]), spread=float(spread[n]), apply=lambda: self._merge(first, second))

    # --- changing the plan ---------------------------------------------------------------------------------------

    def _add(self, device: int, option: int, sign: int) -> None:
        loads, options, model = self._loads, self._items.options, self._model
        kind = model.device_class[device]
        loads.pooled[device] += sign * model.embedding[kind, option]
        loads.memory[device] += sign * options.memory[option]
        loads.dims[device] += sign * options.dim[option]
        loads.shards[device] += sign
        used = loads.shards[device] > 0
        loads.compute[device] = float(model.heads[kind](loads.pooled[device])) if used else 0.0
        if not used:
            loads.pooled[device] = 0.0

    def _settle(self) -> None:
        self.cost = self._loads.cost

    def _move(self, shard: int, target: int) -> None:
        option = int(self.option[shard])
        self._add(int(self.device[shard]), option, -1)
        self._add(target, option, +1)
        self.device[shard] = target
        self._settle()

    def _split(self, shard: int, target: int) -> None:
        option, a = int(self.option[shard]), int(self.device[shard])
        half = int(self._items.options.half[option])
        self._add(a, half, +1)
        self._add(a, option, -1)
        self._add(target, half, +1)
        self.option[shard] = half
        self.option = np.append(self.option, half)
        self.device = np.append(self.device, target)
        self.home = np.append(self.home, self.home[shard])
        self._settle()

    def _merge(self, first: int, second: int) -> None:
        """`first` joins `second` where that is."""
        option, b = int(self.option[first]), int(self.device[second])
        double = int(self._items.options.double[option])
        self._add(b, double, +1)
        self._add(b, option, -1)
        self._add(int(self.device[first]), option, -1)
        self.option[second] = double
        keep = np.arange(len(self.option)) != first
        self.option, self.device, self.home = self.option[keep], self.device[keep], self.home[keep]
        self._settle()


def _max_without(values: np.ndarray, a: int, b: np.ndarray) -> np.ndarray:
    """max of `values` leaving out a and b[n], for each n; 0 when nothing is left.  # (N,)"""
    first, second = -1, -1
    for device in np.argsort(-values, kind="stable")[:3]:
        if device != a:
            first, second = (int(device), second) if first < 0 else (first, int(device))
        if second >= 0:
            break
    if first < 0:
        return np.zeros(len(b))
    return np.where(b == first, values[second] if second >= 0 else 0.0, values[first])


def _least(cost: np.ndarray, spread: np.ndarray) -> int:
    """Where cost is least; the flattest of those.  Ties go to the first, so that runs repeat."""
    least = cost.min()
    near = np.flatnonzero(cost <= least + _TOLERANCE * max(1.0, abs(float(least))))
    return int(near[spread[near].argmin()])
