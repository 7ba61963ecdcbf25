"""Local search over a plan: transfers of columns and swaps of shards between devices.

A plan costs max compute + exchange(max columns), so a step can only help where one of the two
maxima is attained. All steps from such a device are priced at once: pooled vectors add up, so a
step is one head evaluation per device it changes. Ties are broken by the smooth cost of
`step_prices.py`, and every tied device is tried.

See deploy/docs/design/sharding.md, "Local search".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.plan_model import PlanModel
from search.domains.sharding.search.step_prices import TOLERANCE, StepPrices, cheapest
from search.domains.sharding.search.working_plan import Limits, WorkingPlan
from trimtab.specs.sharding import MIN_SHARD_DIM

_MAX_SWAPS = 4_000  # pairs priced in one go; of more, those with the lightest devices
_MAX_TARGETS = 64  # devices a shard may go to in one step; of more, the lightest
_MANY = 256  # shards x targets; of more, fewer ways to cut each are tried
_TIED = 1e-3  # relative; devices this close to the maximum count as tied
_MAX_TRIED = 8  # tied devices tried before the search gives up
_RELOAD_AFTER = 200  # steps


@dataclass(frozen=True, kw_only=True)
class Step:
    """A priced step."""

    cost: float
    smooth: float
    apply: Callable[[], None]


class LocalSearch:
    """One plan, improved in place."""

    def __init__(
        self, items: Items, model: PlanModel, plan: Plan, limits: Limits
    ) -> None:
        self._items, self._model, self._limits = items, model, limits
        self._working = WorkingPlan(items, model, plan, limits)
        self._prices = StepPrices(self._working)
        self._mean = float(items.options.dim[items.whole].sum()) / model.devices
        self.steps = 0
        self._since_reload = 0

    @property
    def plan(self) -> Plan:
        """The plan as it is now."""
        return self._working.plan

    @property
    def cost(self) -> float:
        """Its milliseconds under the model."""
        return self._working.cost

    def descend(self, stop: Callable[[], bool]) -> float:
        """Take the best step until none helps, and return the cost."""
        while not stop():
            step = self.best_step()
            if step is None:
                break
            step.apply()
            self.steps += 1
            self._since_reload += 1
            if self._since_reload > _RELOAD_AFTER:
                self._reload()
        self._reload()
        return self.cost

    def kick(self, rng: np.random.Generator, strength: int) -> None:
        """Move `strength` random shards to random devices that have room."""
        working, options = self._working, self._items.options
        for _ in range(strength):
            shard = int(rng.integers(len(working.option)))
            memory = options.memory[working.option[shard]]
            ok = working.loads.memory + memory <= self._limits.capacity
            ok &= working.allowed(shard)
            ok[working.device[shard]] = False
            if ok.any():
                columns = int(options.width[working.option[shard]])
                working.transfer(shard, columns, int(rng.choice(np.flatnonzero(ok))))
        self._reload()

    def _reload(self) -> None:
        self._working.reload()
        self._since_reload = 0

    def best_step(self) -> Step | None:
        """Return the best step of all tried devices; None when none helps."""
        loads = self._working.loads
        weighted = loads.dims * self._model.slowness
        cost, smooth = self._prices.now()
        now = Step(cost=cost, smooth=smooth, apply=lambda: None)
        first = list(dict.fromkeys([int(loads.compute.argmax()), int(weighted.argmax())]))
        if self._prices.whole_exchange and self._model.devices <= _MAX_TRIED:
            first = list(range(self._model.devices))
        best = now
        for device in first:
            best = self._better(best, self._transfers(device))
        if best is now:  # swaps are many: only when no transfer helps
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
        """Return devices that tie for the most compute or columns, without those in `but`."""
        loads = self._working.loads
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

    def _better(self, best: Step, candidate: Step | None) -> Step:
        if candidate is None:
            return best
        scale = TOLERANCE * max(1.0, self.cost)
        if candidate.cost < best.cost - scale:
            return candidate
        equal = candidate.cost <= best.cost + scale
        flatter = equal and candidate.smooth < best.smooth * (1 - 1e-8)
        return candidate if flatter else best

    def _targets(self, a: int) -> np.ndarray:
        """Return devices other than `a`; of very many, those with least compute or exchange."""
        working = self._working
        loads = working.loads
        compute, dims = loads.compute, loads.dims * self._model.slowness
        others = np.flatnonzero(np.arange(len(compute)) != a)
        if len(others) > _MAX_TARGETS:
            # The lightest devices are often those a huge shard fills: only devices with room count.
            mine = self._items.options.memory[working.option[working.device == a]]
            room = self._limits.capacity[others] - loads.memory[others]
            others = others[room >= (mine.min() / 2 if len(mine) else 0.0)]
        if len(others) > _MAX_TARGETS:
            half = _MAX_TARGETS // 2
            quick = np.argsort(compute[others], kind="stable")[:half]
            narrow = np.argsort(dims[others], kind="stable")[:half]
            others = others[np.union1d(quick, narrow)]
        return others

    def _cuts(
        self, a: int, shards: np.ndarray, others: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return numbers of columns that shards of `a` may send to other devices.

        All, half, and what levels two devices; for few shards and devices also quarters and what
        fills memory.  → place in `shards` (N,), device (N,), columns (N,)
        """
        options, loads = self._items.options, self._working.loads
        option = self._working.option[shards]
        width = options.width[option][:, None]  # (P, 1)
        features = options.dim[option][:, None] / width  # output columns of each column
        over = np.full((1, len(others)), loads.dims[a] - self._mean) / features
        under = (self._mean - loads.dims[others])[None] / features
        even = (loads.dims[a] - loads.dims[others])[None] / 2 / features
        amounts = [width, width / 2, np.minimum(over, under)]
        if len(shards) * len(others) <= _MANY:
            room = (self._limits.capacity - loads.memory)[others][None]
            per_column = options.memory[option][:, None] / width
            fill = np.floor(room / per_column / MIN_SHARD_DIM) * MIN_SHARD_DIM
            amounts += [width / 4, width * 3 / 4, over, under, even, fill]
        shape = (len(shards), len(others))
        columns = np.stack([np.broadcast_to(x, shape) for x in amounts], axis=-1)
        clipped = np.clip(columns, 0, width[..., None])
        columns = np.ceil(clipped / MIN_SHARD_DIM) * MIN_SHARD_DIM
        columns = np.sort(np.minimum(columns, width[..., None]).astype(np.int64), axis=-1)
        fresh = np.ones(columns.shape, dtype=bool)
        fresh[..., 1:] = columns[..., 1:] != columns[..., :-1]
        splittable = (options.half[option] != NONE)[:, None, None]
        whole = (columns == width[..., None]) | splittable
        p, b, c = np.nonzero(fresh & whole & (columns > 0))
        return p, others[b], columns[p, b, c]

    def _transfers(self, a: int) -> Step | None:
        """Return the best transfer of columns of one shard of `a` to another device.

        All columns (a move) or some (a split); they join a shard of the table that is there.
        """
        working, prices = self._working, self._prices
        loads, options = working.loads, self._items.options
        capacity = self._limits.capacity
        shards = np.flatnonzero(working.device == a)
        others = self._targets(a)
        if not len(shards) or not len(others):
            return None
        p, b, columns = self._cuts(a, shards, others)
        partner = working.partners(shards, b, p)
        option = working.option[shards[p]]
        item = options.item[option]
        left = options.width[option] - columns
        had = np.where(partner == NONE, NONE, working.option[partner])
        stays = np.where(left > 0, options.find(item, left), NONE)
        goes = options.find(item, columns + np.where(had == NONE, 0, options.width[had]))
        grown = self._memory(goes) - self._memory(had)
        ok = (goes != NONE) & ((left == 0) | (stays != NONE))
        ok &= loads.memory[b] + grown <= capacity[b]
        shrunk = loads.memory[a] - options.memory[option] + self._memory(stays)
        ok &= shrunk <= capacity[a]
        ok &= working.may_move(shards[p], b, columns)
        p, b, columns = p[ok], b[ok], columns[ok]
        stays, goes, had = stays[ok], goes[ok], had[ok]
        if not len(p):
            return None
        compute_a = self._without(a, shards, p, stays)
        compute_b = prices.head(
            b, loads.pooled[b] - prices.vector(b, had) + prices.vector(b, goes)
        )
        gone = options.dim[option[ok]] - np.where(stays == NONE, 0, options.dim[stays])
        cost, smooth = prices.price(
            a, b, compute_a, compute_b, loads.dims[a] - gone, loads.dims[b] + gone
        )
        n = cheapest(cost, smooth)
        shard, target, count = int(shards[p[n]]), int(b[n]), int(columns[n])
        return Step(
            cost=float(cost[n]),
            smooth=float(smooth[n]),
            apply=lambda: working.transfer(shard, count, target),
        )

    def _memory(self, option: np.ndarray) -> np.ndarray:
        return np.where(option == NONE, 0.0, self._items.options.memory[option])

    def _without(
        self, a: int, shards: np.ndarray, p: np.ndarray, stays: np.ndarray
    ) -> np.ndarray:
        """Return (N,) the compute of `a` when shards[p[n]] becomes option stays[n], or leaves.

        Equal changes are priced once.
        """
        working, prices = self._working, self._prices
        _, first, which = np.unique(
            p * (len(self._items.options) + 1) + stays,
            return_index=True,
            return_inverse=True,
        )
        shard, option = shards[p[first]], stays[first]
        at = np.full(len(first), a)
        pooled = (
            working.loads.pooled[a]
            - prices.vector(at, working.option[shard])
            + prices.vector(at, option)
        )
        empty = (working.loads.shards[a] <= 1) & (option == NONE)
        return np.asarray(
            np.where(empty, 0.0, prices.head(at, pooled))[which.reshape(-1)]
        )

    def _swaps(self, a: int) -> Step | None:
        """Return the best swap of a shard of `a` with a shard of another device."""
        working, prices = self._working, self._prices
        loads, options = working.loads, self._items.options
        p, q = self._swappable(a)
        if not len(p):
            return None
        b = working.device[q]
        at = np.full(len(p), a)
        mine, theirs = working.option[p], working.option[q]
        compute_a = prices.head(
            at, loads.pooled[a] - prices.vector(at, mine) + prices.vector(at, theirs)
        )
        compute_b = prices.head(
            b, loads.pooled[b] - prices.vector(b, theirs) + prices.vector(b, mine)
        )
        change = options.dim[theirs] - options.dim[mine]
        cost, smooth = prices.price(
            a, b, compute_a, compute_b, loads.dims[a] + change, loads.dims[b] - change
        )
        n = cheapest(cost, smooth)
        first, second, target = int(p[n]), int(q[n]), int(b[n])

        def apply() -> None:
            working.move(first, target)
            working.move(second, a)

        return Step(cost=float(cost[n]), smooth=float(smooth[n]), apply=apply)

    def _swappable(self, a: int) -> tuple[np.ndarray, np.ndarray]:
        """Return pairs of shards (N,), (N,), one on `a`, whose swap respects all limits."""
        working, options = self._working, self._items.options
        loads, capacity = working.loads, self._limits.capacity
        mine = np.flatnonzero(working.device == a)
        theirs = np.flatnonzero(working.device != a)
        if not len(mine) or not len(theirs):
            return mine[:0], theirs[:0]
        if len(mine) * len(theirs) > _MAX_SWAPS:
            # A swap helps most with the lightest devices.
            light = np.argsort(loads.compute, kind="stable")
            rank = np.empty(len(light), dtype=np.int64)
            rank[light] = np.arange(len(light))
            count = max(1, _MAX_SWAPS // len(mine))
            lightest_first = np.argsort(rank[working.device[theirs]], kind="stable")
            theirs = theirs[lightest_first[:count]]
        p, q = np.repeat(mine, len(theirs)), np.tile(theirs, len(mine))
        b = working.device[q]
        option_p, option_q = working.option[p], working.option[q]
        mp, mq = options.memory[option_p], options.memory[option_q]
        ok = (option_p != option_q) & (loads.memory[b] - mq + mp <= capacity[b])
        ok &= loads.memory[a] - mp + mq <= capacity[a]
        widths = options.width[working.option]
        ok &= working.may_move(p, b, widths[p])
        ok &= working.may_move(q, np.full(len(q), a), widths[q])
        p, q = p[ok], q[ok]
        if working.moves_limited and len(p):
            ok = self._swap_moves_little(p, q, a)
            p, q = p[ok], q[ok]
        return p, q

    def _swap_moves_little(self, p: np.ndarray, q: np.ndarray, a: int) -> np.ndarray:
        """Check the limit on moved bytes for swaps of p[n] on `a` with q[n]; returns (N,)."""
        working, weight = self._working, self._items.options.weight_bytes
        b = working.device[q]
        change = weight[working.option[p]] * (working.away(p, b) - working.away(p, a))
        change += weight[working.option[q]] * (working.away(q, a) - working.away(q, b))
        return np.asarray(working.moved() + change <= self._limits.moved)
