"""Local search over a plan: columns moved between devices and shards swapped, each judged by the exact change of the cost.

A plan costs max compute + exchange(max dims), so a step can only help where one of the two is attained. All steps from
such a device are priced at once: pooled vectors add up, so a step is one head evaluation per device it changes.

On several nodes many devices tie for the most columns, and no single step lowers the maximum. So plans of equal cost
are compared by their `smooth` cost, the same sum with the maximum replaced by a norm of a high order: it falls with each
device that leaves the tie, and what devices far below the maximum gain or lose hardly counts. Every tied device is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan, merged
from search.domains.sharding.search.loads import Loads
from search.domains.sharding.search.plan_model import PlanModel
from trimtab.specs.sharding import MIN_SHARD_DIM

_TOLERANCE = 1e-9
_ORDER = 12  # of the norm that stands for the maximum
_MAX_SWAPS = 4_000  # pairs priced in one go; of more, those with the lightest devices
_MAX_TARGETS = 64  # devices a shard may go to in one step; of more, the lightest
_MANY = 256  # shards x targets; of more, fewer ways to cut each are tried
_TIED = 1e-3  # devices within this of the maximum count as tied
_MAX_UNEQUAL = 64  # devices with unequal links up to which the whole exchange is priced
_MAX_TRIED = 8  # tied devices tried before the search gives up


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
    smooth: float
    apply: Callable[[], None]


class LocalSearch:
    """One plan, improved in place. `plan` gives it back."""

    def __init__(self, items: Items, model: PlanModel, plan: Plan, limits: Limits) -> None:
        self._items, self._model, self._limits = items, model, limits
        plan = merged(items, plan)
        self.option = plan.option.copy()
        self.device = plan.device.copy()
        self.home = plan.home.copy()
        self._source = plan.source
        # Over unequal links receiving can decide, and then the whole exchange is priced, not the largest sender's alone.
        self._unequal = float(model.slowness.max()) > 1 and model.devices <= _MAX_UNEQUAL
        self._mean = float(items.options.dim[items.whole].sum()) / model.devices
        self.steps = 0
        self._reload()

    @property
    def plan(self) -> Plan:
        """The plan as it is now."""
        return Plan(
            option=self.option.copy(),
            device=self.device.copy(),
            home=self.home.copy(),
            source=self._source,
        )

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
                columns = int(options.width[self.option[shard]])
                self._transfer(shard, columns, int(rng.choice(np.flatnonzero(ok))))
        self._reload()

    # --- pricing -------------------------------------------------------------------------------------------------

    def _best_step(self) -> _Step | None:
        loads = self._loads
        weighted = loads.dims * self._model.slowness
        # By the same estimate as the steps are priced, or a difference between it and the exact exchange could go in circles.
        exchange = self._model.exchange
        sent = (
            exchange(loads.dims) if self._unequal else exchange.of_largest(weighted.max())
        )
        estimate = float(loads.compute.max() + sent)
        now = _Step(cost=estimate, smooth=self._smooth_now(), apply=lambda: None)
        first = list(dict.fromkeys([int(loads.compute.argmax()), int(weighted.argmax())]))
        if self._unequal and self._model.devices <= _MAX_TRIED:
            first = list(range(self._model.devices))
        best = now
        for device in first:
            best = self._better(best, self._transfers(device))
        if best is now:  # swaps are many: only when nothing cheaper helps
            for device in first:
                best = self._better(best, self._swaps(device))
        for device in self._tied(first) if best is now else ():
            best = self._better(
                self._better(best, self._transfers(device)), self._swaps(device)
            )
            if best is not now:
                break
        return None if best is now else best

    def _tied(self, but: list[int]) -> list[int]:
        """Devices that tie for the most compute or the most columns, beside those in `but`."""
        loads = self._loads
        weighted = loads.dims * self._model.slowness
        share = np.maximum(
            loads.compute / max(loads.compute.max(), 1e-12),
            weighted / max(weighted.max(), 1e-12),
        )
        order = np.argsort(-share, kind="stable")
        return [
            int(d)
            for d in order[: _MAX_TRIED + len(but)]
            if share[d] >= 1 - _TIED and d not in but
        ][:_MAX_TRIED]

    def _better(self, best: _Step, candidate: _Step | None) -> _Step:
        if candidate is None:
            return best
        scale = _TOLERANCE * max(1.0, self.cost)
        if candidate.cost < best.cost - scale:
            return candidate
        flatter = candidate.cost <= best.cost + scale and candidate.smooth < best.smooth * (
            1 - 1e-8
        )
        return candidate if flatter else best

    def _smooth_now(self) -> float:
        compute, weighted = self._loads.compute, self._loads.dims * self._model.slowness
        top_compute, top_dims = self._tops()
        return float(
            self._smooth(
                ((compute / top_compute) ** _ORDER).sum(),
                ((weighted / top_dims) ** _ORDER).sum(),
            )
        )

    def _tops(self) -> tuple[float, float]:
        weighted = self._loads.dims * self._model.slowness
        return max(float(self._loads.compute.max()), 1e-6), max(float(weighted.max()), 1e-6)

    def _smooth(self, compute: np.ndarray, dims: np.ndarray) -> np.ndarray:
        """Milliseconds of the two norms, from the sums of powers relative to the present maxima."""
        top_compute, top_dims = self._tops()
        exchange = self._model.exchange.of_largest(top_dims * dims ** (1 / _ORDER))
        return np.asarray(top_compute * compute ** (1 / _ORDER) + exchange)

    def _price(
        self,
        a: int,
        b: np.ndarray,
        compute_a: np.ndarray,
        compute_b: np.ndarray,
        dims_a: np.ndarray,
        dims_b: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cost and smooth cost of N steps that change devices `a` and `b[n]`.  # (N,), (N,)"""
        loads, model = self._loads, self._model
        weighted = loads.dims * model.slowness
        rest_compute = _max_without(loads.compute, a, b)
        rest_dims = _max_without(weighted, a, b)
        largest_compute = np.maximum(rest_compute, np.maximum(compute_a, compute_b))
        wa, wb = dims_a * model.slowness[a], dims_b * model.slowness[b]
        largest_dims = np.maximum(rest_dims, np.maximum(wa, wb))
        cost = largest_compute + (
            self._exchange(a, b, dims_a, dims_b)
            if self._unequal
            else model.exchange.of_largest(largest_dims)
        )
        top_compute, top_dims = self._tops()
        sums = []
        for values, top, new_a, new_b in (
            (loads.compute, top_compute, compute_a, compute_b),
            (weighted, top_dims, wa, wb),
        ):
            powers = (values / top) ** _ORDER
            rest = np.maximum(powers.sum() - powers[a] - powers[b], 0.0)
            sums.append(rest + (new_a / top) ** _ORDER + (new_b / top) ** _ORDER)
        return cost, self._smooth(*sums)

    def _exchange(
        self, a: int, b: np.ndarray, dims_a: np.ndarray, dims_b: np.ndarray
    ) -> np.ndarray:
        """The exchange when `a` and `b[n]` have other columns.  # (N,)"""
        dims = np.repeat(self._loads.dims[None], len(b), axis=0)
        dims[:, a] = dims_a
        dims[np.arange(len(b)), b] = dims_b
        return self._model.exchange(dims)

    def _head(self, device: np.ndarray, pooled: np.ndarray) -> np.ndarray:
        """Milliseconds of rows of pooled vectors, each on its device.  # (N,)"""
        heads = self._model.heads
        if len(heads) == 1:
            return heads[0](pooled)
        cost = np.empty(len(pooled))
        kind = self._model.device_class[device]
        for c, head in enumerate(heads):
            cost[kind == c] = head(pooled[kind == c])
        return cost

    def _vector(self, device: np.ndarray, option: np.ndarray) -> np.ndarray:
        """Embedding of each option on its device; zero for NONE.  # (N, K)"""
        vectors = self._model.embedding[self._model.device_class[device], option]
        return np.where((option == NONE)[:, None], 0.0, vectors)

    def _memory(self, option: np.ndarray) -> np.ndarray:
        return np.where(option == NONE, 0.0, self._items.options.memory[option])

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

    def _may_move(
        self, shards: np.ndarray, devices: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Whether pins and the bound on moved bytes allow columns[n] of shards[n] on devices[n].  # (N,)"""
        items, limits = self._items, self._limits
        ok = np.ones(len(shards), dtype=bool)
        if items.allowed is not None:
            ok &= items.allowed[items.options.item[self.option[shards]], devices]
        if np.isfinite(limits.moved) and limits.home_device is not None:
            option = self.option[shards]
            size = (
                items.options.weight_bytes[option] * columns / items.options.width[option]
            )
            change = size * (
                self._away(shards, devices) - self._away(shards, self.device[shards])
            )
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

    def _cuts(
        self, a: int, shards: np.ndarray, others: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How many columns of which shard of `a` may go to which device: all, half, or what would level two devices.

        → place in `shards` (N,), device (N,), columns (N,)
        """
        options, loads = self._items.options, self._loads
        width = options.width[self.option[shards]][:, None]  # (P, 1)
        features = (
            options.dim[self.option[shards]][:, None] / width
        )  # output columns of each column
        over = np.full((1, len(others)), loads.dims[a] - self._mean) / features
        under = (self._mean - loads.dims[others])[None] / features
        even = (loads.dims[a] - loads.dims[others])[None] / 2 / features
        wanted = [
            width + 0.0 * under,
            width / 2 + 0.0 * under,
            np.minimum(over, under) + 0.0 * width,
        ]
        if len(shards) * len(others) <= _MANY:
            room = (self._limits.capacity - loads.memory)[others][None]
            held = options.memory[self.option[shards]][:, None] / width
            wanted += [
                width / 4 + 0.0 * under,
                width * 3 / 4 + 0.0 * under,
                over + 0.0 * width + 0.0 * under,
            ]
            wanted += [
                under + 0.0 * width,
                even + 0.0 * width,
                np.floor(room / held / MIN_SHARD_DIM) * MIN_SHARD_DIM,
            ]
        columns = np.stack(wanted, axis=-1)
        columns = (
            np.ceil(np.clip(columns, 0, width[..., None]) / MIN_SHARD_DIM) * MIN_SHARD_DIM
        )
        columns = np.sort(np.minimum(columns, width[..., None]).astype(np.int64), axis=-1)
        fresh = np.ones(columns.shape, dtype=bool)
        fresh[..., 1:] = columns[..., 1:] != columns[..., :-1]
        whole = (columns == width[..., None]) | (options.half[self.option[shards]] != NONE)[
            :, None, None
        ]
        p, b, c = np.nonzero(fresh & whole & (columns > 0))
        return p, others[b], columns[p, b, c]

    def _partners(
        self, shards: np.ndarray, device: np.ndarray, place: np.ndarray
    ) -> np.ndarray:
        """The shard of the same table (and home) already on device[n], which a transfer would widen, or NONE.  # (N,)"""
        item = self._items.options.item[self.option]
        partner = np.full(len(place), NONE)
        for p, shard in enumerate(shards):
            same = np.flatnonzero((item == item[shard]) & (self.home == self.home[shard]))
            if len(same) == 1:
                continue
            on = np.full(self._model.devices, NONE)
            on[self.device[same]] = same
            rows = place == p
            partner[rows] = on[device[rows]]
        return partner

    def _transfers(self, a: int) -> _Step | None:
        """Columns of one shard of `a` to another device: all (a move), some (a split), joining what is there."""
        loads, options = self._loads, self._items.options
        shards = np.flatnonzero(self.device == a)
        others = self._targets(a)
        if not len(shards) or not len(others):
            return None
        p, b, columns = self._cuts(a, shards, others)
        partner = self._partners(shards, b, p)
        option, item = self.option[shards[p]], options.item[self.option[shards[p]]]
        left = options.width[option] - columns
        had = np.where(partner == NONE, NONE, self.option[partner])
        stays = np.where(left > 0, options.find(item, left), NONE)
        goes = options.find(item, columns + np.where(had == NONE, 0, options.width[had]))
        grown = self._memory(goes) - self._memory(had)
        ok = (goes != NONE) & ((left == 0) | (stays != NONE))
        ok &= loads.memory[b] + grown <= self._limits.capacity[b]
        ok &= (
            loads.memory[a] - options.memory[option] + self._memory(stays)
            <= self._limits.capacity[a]
        )
        ok &= self._may_move(shards[p], b, columns)
        p, b, columns, stays, goes, had = (
            p[ok],
            b[ok],
            columns[ok],
            stays[ok],
            goes[ok],
            had[ok],
        )
        if not len(p):
            return None
        compute_a = self._without(a, shards, p, stays)
        compute_b = self._head(
            b, loads.pooled[b] - self._vector(b, had) + self._vector(b, goes)
        )
        option = self.option[shards[p]]
        gone = options.dim[option] - np.where(stays == NONE, 0, options.dim[stays])
        cost, smooth = self._price(
            a, b, compute_a, compute_b, loads.dims[a] - gone, loads.dims[b] + gone
        )
        n = _least(cost, smooth)
        shard, target, count = int(shards[p[n]]), int(b[n]), int(columns[n])
        return _Step(
            cost=float(cost[n]),
            smooth=float(smooth[n]),
            apply=lambda: self._transfer(shard, count, target),
        )

    def _without(
        self, a: int, shards: np.ndarray, p: np.ndarray, stays: np.ndarray
    ) -> np.ndarray:
        """Compute of `a` when shards[p[n]] becomes option stays[n] (NONE: it leaves); equal changes priced once.  # (N,)"""
        _, first, which = np.unique(
            p * (len(self._items.options) + 1) + stays,
            return_index=True,
            return_inverse=True,
        )
        shard, option = shards[p[first]], stays[first]
        at = np.full(len(first), a)
        pooled = (
            self._loads.pooled[a]
            - self._vector(at, self.option[shard])
            + self._vector(at, option)
        )
        empty = (self._loads.shards[a] <= 1) & (option == NONE)
        return np.asarray(np.where(empty, 0.0, self._head(at, pooled))[which.reshape(-1)])

    def _swaps(self, a: int) -> _Step | None:
        """One shard of `a` against one of another device."""
        loads, options = self._loads, self._items.options
        mine = np.flatnonzero(self.device == a)
        theirs = np.flatnonzero(self.device != a)
        if not len(mine) or not len(theirs):
            return None
        if (
            len(mine) * len(theirs) > _MAX_SWAPS
        ):  # the lightest devices are where a swap helps
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
        widths = options.width[self.option]
        ok &= self._may_move(p, b, widths[p]) & self._may_move(
            q, np.full(len(q), a), widths[q]
        )
        p, q, b = p[ok], q[ok], b[ok]
        if (
            np.isfinite(self._limits.moved)
            and self._limits.home_device is not None
            and len(p)
        ):
            ok = self._swap_moves_little(p, q, b, a)
            p, q, b = p[ok], q[ok], b[ok]
        if not len(p):
            return None
        at = np.full(len(p), a)
        compute_a = self._head(
            at,
            loads.pooled[a]
            - self._vector(at, self.option[p])
            + self._vector(at, self.option[q]),
        )
        compute_b = self._head(
            b,
            loads.pooled[b]
            - self._vector(b, self.option[q])
            + self._vector(b, self.option[p]),
        )
        change = options.dim[self.option[q]] - options.dim[self.option[p]]
        cost, smooth = self._price(
            a, b, compute_a, compute_b, loads.dims[a] + change, loads.dims[b] - change
        )
        n = _least(cost, smooth)
        first, second, target = int(p[n]), int(q[n]), int(b[n])

        def apply() -> None:
            self._move(first, target)
            self._move(second, a)

        return _Step(cost=float(cost[n]), smooth=float(smooth[n]), apply=apply)

    def _swap_moves_little(
        self, p: np.ndarray, q: np.ndarray, b: np.ndarray, a: int
    ) -> np.ndarray:
        weight = self._items.options.weight_bytes
        change = weight[self.option[p]] * (self._away(p, b) - self._away(p, a))
        change += weight[self.option[q]] * (self._away(q, a) - self._away(q, b))
        return np.asarray(self._moved() + change <= self._limits.moved)

    # --- changing the plan ---------------------------------------------------------------------------------------

    def _add(self, device: int, option: int, sign: int) -> None:
        loads, options, model = self._loads, self._items.options, self._model
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

    def _move(self, shard: int, target: int) -> None:
        option = int(self.option[shard])
        self._add(int(self.device[shard]), option, -1)
        self._add(target, option, +1)
        self.device[shard] = target
        self.cost = self._loads.cost

    def _transfer(self, shard: int, columns: int, target: int) -> None:
        """`columns` of `shard` to `target`, where they join a shard of the same table and home."""
        options = self._items.options
        option, a = int(self.option[shard]), int(self.device[shard])
        item = options.item[option]
        partner = int(
            self._partners(np.array([shard]), np.array([target]), np.array([0]))[0]
        )
        widened = NONE
        if partner != NONE:
            widened = int(options.find(item, options.width[self.option[partner]] + columns))
        if widened == NONE:
            partner = NONE
        new = int(options.find(item, columns)) if partner == NONE else widened
        left = int(options.width[option]) - columns
        self._add(a, option, -1)
        if left:
            self.option[shard] = int(options.find(item, left))
            self._add(a, int(self.option[shard]), +1)
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
            keep = np.arange(len(self.option)) != shard
            self.option, self.device, self.home = (
                self.option[keep],
                self.device[keep],
                self.home[keep],
            )
        self.cost = self._loads.cost


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


def _least(cost: np.ndarray, smooth: np.ndarray) -> int:
    """Where cost is least; the flattest of those.  Ties go to the first, so that runs repeat."""
    least = cost.min()
    near = np.flatnonzero(cost <= least + _TOLERANCE * max(1.0, abs(float(least))))
    return int(near[smooth[near].argmin()])
