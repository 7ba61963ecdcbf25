"""A proved lower bound of the model's cost, and what anyone needs to check it.

The model prices a device that holds shards with pooled vector z at f(z) = bias + skip z + sum_j out_j relu(inner_j z +
shift_j), out >= 0. For any s in [0, 1]^J the affine function

    f_s(z) = alpha(s) + g(s) z,   alpha = bias + sum_j out_j s_j shift_j,   g = skip + sum_j out_j s_j inner_j

lies below f. The slowest of U used devices is at least their mean, so with W equal devices every plan's compute is at least

    B(s) = alpha(s) + (1/U) sum_i m_i(s),   m_i = least g(s) E over all ways to halve item i into shards that fit a device

(U = W when the sum is positive, otherwise 1). Two more facts sharpen it. A device that holds shard o costs at least
floor(o) = f(E_o) + what the items priced below zero by the slope of f at E_o could take off. So a plan below C uses no
shard with floor above C: if some item then has no way left, or B(s) without those shards exceeds C, no plan is below C.

The exchange is at least that of equal dim sums. So *any* s is a proof: the certificate is the vector s, and checking it is
these formulae. The best s comes from a linear program whose columns, ways to split an item, are generated as needed; small
problems can then be closed by branch and bound (`exact.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from cost_models.sharding.nets import ConvexHead
from search.domains.sharding.items import NONE, Items
from search.domains.sharding.plan_cost import PlanModel

_ROUNDS = 25
_BISECTIONS = 20
_CLOSE = 2e-4  # relative; below this another round is not worth its time


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A lower bound in milliseconds under the model, with its proof."""

    lower_bound_ms: float
    compute_ms: float  # of the bound
    exchange_ms: float
    multipliers: tuple[float, ...]  # s; empty when branch and bound gave the bound
    method: str


def prove(
    items: Items, model: PlanModel, capacity: np.ndarray, option: np.ndarray, *, stop: Callable[[], bool]
) -> Certificate:
    """The best bound found. `option` are the shards of a good plan: the first columns of the linear program.

    With unequal devices each class gives a bound as if all devices were of that class; the least of them holds.
    """
    exchange = exchange_bound(items, model)
    kinds = range(len(model.heads))
    found = [_best_multipliers(items, model, kind, capacity, option, stop) for kind in kinds]
    found = [(_raised(items, model, kind, capacity, s, b), s) for kind, (b, s) in zip(kinds, found, strict=True)]
    compute, multipliers = min(found, key=lambda entry: entry[0])
    several = len(model.heads) > 1
    return Certificate(
        lower_bound_ms=compute + exchange,
        compute_ms=compute,
        exchange_ms=exchange,
        multipliers=() if several else tuple(float(s) for s in multipliers),
        method="mean of the devices, least over device classes"
        if several
        else "mean of the devices, column generation",
    )


def exchange_bound(items: Items, model: PlanModel) -> float:
    """The exchange of a perfectly even plan; dim sums add up to the same whatever is split."""
    even = float(items.options.dim[items.whole].sum()) / model.devices
    return float(model.exchange.of_largest(np.array(even)))


def bound_of(
    items: Items,
    model: PlanModel,
    kind: int,
    capacity: np.ndarray,
    s: np.ndarray,
    forbidden: np.ndarray | None = None,
) -> float:
    """B(s): the compute bound that multipliers `s` in [0, 1]^J prove; infinite when `forbidden` leaves an item no way."""
    head = _head(model, kind)
    alpha = head.bias + float((head.out * s) @ head.shift)
    slope = head.skip + (head.out * s) @ head.inner  # (K,)
    price = model.embedding[kind] @ slope
    cheapest, _ = cheapest_splits(items, price if forbidden is None else np.where(forbidden, np.inf, price), capacity)
    total = float(cheapest[items.whole].sum())
    return alpha + total / (model.devices if total > 0 else 1)


def cheapest_splits(items: Items, price: np.ndarray, capacity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least price of covering each option by itself or by its halvings, and whether it is split.  # (O,), (O,)

    An option that fits on no device is never a shard itself.
    """
    options = items.options
    best = np.where(options.memory <= capacity.max(), price, np.inf)
    split = np.zeros(len(best), dtype=bool)
    for layer in _layers(options.half):  # narrowest first: a width is decided after its half
        halves = 2 * best[options.half[layer]]
        better = halves < best[layer]
        best[layer] = np.where(better, halves, best[layer])
        split[layer] = better
    return best, split


def _layers(half: np.ndarray) -> list[np.ndarray]:
    """Options that can be halved, by how often, fewest first."""
    depth = np.zeros(len(half), dtype=np.int64)
    can = half != NONE
    while True:
        deeper = np.where(can, depth[half] + 1, 0)
        if (deeper == depth).all():
            return [np.flatnonzero(depth == d) for d in range(1, int(depth.max()) + 1)]
        depth = deeper


def floors(items: Items, model: PlanModel, kind: int, capacity: np.ndarray) -> np.ndarray:
    """What a device costs at least that holds an option; 0 where nothing is proved.  # (O,)"""
    head = _head(model, kind)
    embedding = model.embedding[kind]
    active = embedding @ head.inner.T + head.shift > 0  # (O, J)
    patterns, which = np.unique(active, axis=0, return_inverse=True)
    slopes = head.skip + (patterns * head.out) @ head.inner  # (P, K)
    rest = np.array([_least_rest(items, embedding @ slope, capacity) for slope in slopes])
    return np.maximum(head(embedding) + rest[which.reshape(-1)], 0.0)


def _least_rest(items: Items, price: np.ndarray, capacity: np.ndarray) -> float:
    """What everything else on a device can lower its price by at most: the items whose cheapest way is negative."""
    cheapest, _ = cheapest_splits(items, price, capacity)
    return float(np.minimum(cheapest[items.whole], 0.0).sum())


def _raised(items: Items, model: PlanModel, kind: int, capacity: np.ndarray, s: np.ndarray, bound: float) -> float:
    """The largest C found for which `floors` and `s` prove that no plan is below C."""
    floor = floors(items, model, kind, capacity)
    low, high = bound, max(bound, float(floor.max()))
    for _ in range(_BISECTIONS):
        if high - low <= _CLOSE * max(high, 1e-9):
            break
        middle = (low + high) / 2
        if bound_of(items, model, kind, capacity, s, forbidden=floor > middle) > middle:
            low = middle
        else:
            high = middle
    return low


def _best_multipliers(
    items: Items, model: PlanModel, kind: int, capacity: np.ndarray, option: np.ndarray, stop: Callable[[], bool]
) -> tuple[float, np.ndarray]:
    """Column generation on  min f(mean z)  over convex combinations of each item's ways to be split."""
    head = _head(model, kind)
    embedding = model.embedding[kind]  # (O, K)
    inner = embedding @ head.inner.T  # (O, J) what a shard adds to each joint
    skip = embedding @ head.skip  # (O,)
    columns = _Columns(items, inner, skip)
    columns.add_plan(option)
    columns.add_plan(items.whole[_fits(items, capacity)[items.whole]], complete=False)
    mean = inner[option].sum(0) / model.devices + head.shift
    best_s = (mean > 0).astype(float)
    best = bound_of(items, model, kind, capacity, best_s)
    for _ in range(_ROUNDS):
        if stop():
            break
        solved = columns.solve(head, model.devices)
        if solved is None:
            break
        value, s = solved
        bound = bound_of(items, model, kind, capacity, s)
        if bound > best:
            best, best_s = bound, s
        price = skip + inner @ (head.out * s)
        _, split = cheapest_splits(items, price, capacity)
        if value - best <= _CLOSE * abs(value) or not columns.add_cheapest(split):
            break
    return best, best_s


class _Columns:
    """Ways to split items, as columns of the linear program."""

    def __init__(self, items: Items, inner: np.ndarray, skip: np.ndarray) -> None:
        self._items, self._inner, self._skip = items, inner, skip
        self._seen: set[tuple[int, tuple[int, ...]]] = set()
        self._item: list[int] = []
        self._joint: list[np.ndarray] = []
        self._cost: list[float] = []

    def add_plan(self, option: np.ndarray, *, complete: bool = True) -> None:
        of_item: dict[int, list[int]] = {}
        for o in option:
            of_item.setdefault(int(self._items.options.item[o]), []).append(int(o))
        if complete and len(of_item) != len(self._items):
            raise ValueError(f"a plan covers all {len(self._items)} items; {len(of_item)} came")
        for item, shards in of_item.items():
            self._add(item, shards)

    def add_cheapest(self, split: np.ndarray) -> bool:
        """The cheapest way of each item; False when all were known."""
        before = len(self._item)
        for item, whole in enumerate(self._items.whole):
            shards: list[int] = []
            pending = [int(whole)]
            while pending:
                o = pending.pop()
                if split[o]:
                    pending += [int(self._items.options.half[o])] * 2
                else:
                    shards.append(o)
            self._add(item, shards)
        return len(self._item) > before

    def _add(self, item: int, shards: list[int]) -> None:
        key = (item, tuple(sorted(shards)))
        if key in self._seen:
            return
        self._seen.add(key)
        self._item.append(item)
        self._joint.append(self._inner[shards].sum(0))
        self._cost.append(float(self._skip[shards].sum()))

    def solve(self, head: ConvexHead, devices: int) -> tuple[float, np.ndarray] | None:
        """Value and multipliers of  min bias + skip z + out h,  h >= inner z + shift,  h >= 0,  convexity per item."""
        from scipy.sparse import csr_matrix, hstack, identity

        n, joints = len(self._item), len(head.out)
        joint = csr_matrix(np.array(self._joint).T / devices)  # (J, n)
        upper = hstack([joint, -identity(joints)], format="csr")
        cover = csr_matrix((np.ones(n), (self._item, np.arange(n))), shape=(len(self._items), n + joints))
        cost = np.concatenate([np.array(self._cost) / devices, head.out])
        found = linprog(cost, A_ub=upper, b_ub=-head.shift, A_eq=cover, b_eq=np.ones(len(self._items)), method="highs")
        if found.status != 0:
            return None
        # A multiplier is -(dual of its row) / out; rounding cannot break the proof, any s in [0, 1] is one.
        s = np.clip(-found.ineqlin.marginals / np.maximum(head.out, 1e-12), 0.0, 1.0)
        return float(found.fun + head.bias), s


def _fits(items: Items, capacity: np.ndarray) -> np.ndarray:
    return np.asarray(items.options.memory <= capacity.max())


def _head(model: PlanModel, kind: int) -> ConvexHead:
    head = model.heads[kind]
    if not isinstance(head, ConvexHead):
        raise TypeError(f"a bound wants a convex head; {type(head).__name__} came")
    return head
