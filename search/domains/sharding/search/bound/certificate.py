"""A proved lower bound of the model's cost, with the multipliers needed to check it.

The model prices a device that holds shards with pooled vector z at f(z) = bias + skip z +
sum_j out_j relu(inner_j z + shift_j), out >= 0. For any s in [0, 1]^J the affine function

    f_s(z) = alpha(s) + g(s) z
    alpha  = bias + sum_j out_j s_j shift_j,   g = skip + sum_j out_j s_j inner_j

lies below f. The slowest device takes at least any weighted mean of the devices used. Devices form
groups of equal ones (`groups.py`); with a weight mu_g for a group of n_g devices, sum mu = 1, every
plan's compute is at least

    sum_g mu_g alpha_g + sum over shards o on group g of (mu_g / n_g) g_g E_o

The exchange takes at least the time of its slowest sender: any weighted mean of the senders, and a
bound from indivisible columns (`sending.py`). Memory adds pi_g (bytes on g - room of g) <= 0. All
of it is linear in the shards: each shard o has a price on each group, an item costs at least its
cheapest cover by options (`covers.py`), and

    B(mu, s, ...) = constant + sum_i cheapest cover of item i

is a bound for *any* multipliers: the certificate is the multipliers, and these formulae check it.
The best ones come from a linear program whose columns, the covers, are generated as needed
(`columns.py`).

One more fact sharpens the bound. A plan that puts shard o on group g costs at least floor(g, o):
the device computes f(E_o), less what items with a negative price at the slope of f in E_o could
save, and it sends o's columns. So a plan below C has no shard with a floor above C: if some item
then has no cover left, or B without those shards exceeds C, no plan is below C. Small problems can
then be closed by branch and bound (`exact.py`).

See deploy/docs/design/sharding.md, "Lower bound".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.bound.columns import Columns
from search.domains.sharding.search.bound.covers import Covers
from search.domains.sharding.search.bound.groups import Groups, groups_of, least_rest
from search.domains.sharding.search.bound.multipliers import Multipliers, even
from search.domains.sharding.search.deadlines import seconds_left
from search.domains.sharding.search.plan_model import PlanModel
from trimtab.specs.sharding import MIN_SHARD_DIM

_ROUNDS = 25
_BISECTIONS = 20
_CLOSE = 2e-4  # relative; below this another round is not worth its time
_MAX_PATTERNS = 48  # slopes for which floors are proved; other shards get none
_PATTERN_FLOATS = 4_000_000  # bounds the memory of one batch of slopes


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A lower bound of the cost under the model, with its proof."""

    lower_bound_ms: float
    compute_ms: float  # of the bound
    exchange_ms: float
    # s; empty with several groups of devices and after branch and bound.
    multipliers: tuple[float, ...]
    method: str


def prove(
    items: Items,
    model: PlanModel,
    capacity: np.ndarray,
    plan: Plan,
    *,
    stop: Callable[[], bool],
) -> Certificate:
    """Return the best bound that can be proved until `stop`.

    plan: a good plan; its covers are the first columns of the linear program.
    """
    groups = groups_of(items, model, capacity)
    covers = Covers(items)
    bound, best = _best_multipliers(items, groups, covers, plan, stop)
    bound = _raised(items, groups, covers, best, bound, stop)
    exchange = groups.exchange_least_ms
    several = len(groups) > 1
    method = (
        f"weighted mean of {len(groups)} device groups"
        if several
        else "mean of the devices"
    )
    coarse = int((items.step > MIN_SHARD_DIM).sum())
    if coarse:
        widest = (
            f"multiples of {int(items.step.max())} or less for the {coarse} widest tables"
        )
        method += f"; proved among shard widths that are {widest}"
    return Certificate(
        lower_bound_ms=bound,
        compute_ms=bound - exchange,
        exchange_ms=exchange,
        multipliers=() if several else tuple(float(s) for s in best.slope[0]),
        method=f"{method}, column generation",
    )


def bound_of(
    items: Items,
    groups: Groups,
    covers: Covers,
    multipliers: Multipliers,
    forbidden: np.ndarray | None = None,
) -> float:
    """Return B, the bound of the multipliers; infinite when `forbidden` leaves an item no cover.

    forbidden: (G, O) options excluded on each group.
    """
    compute, others = multipliers.prices(items, groups)
    banned = ~groups.usable if forbidden is None else ~groups.usable | forbidden
    least = covers.least(np.where(banned, np.inf, compute + others).min(0))
    if not np.isfinite(least).all():
        return np.inf
    total = float(least.sum())
    alpha = multipliers.alphas(groups)
    used = multipliers.weight > 0
    mean = float(multipliers.weight @ alpha)
    # A device without shards costs nothing, not alpha, so the mean is over the devices used. It is
    # at least the mean over all when the plan's shards lift it above every alpha; otherwise the
    # least alpha holds.
    alone = (
        float(covers.least(np.where(banned, np.inf, compute).min(0)).sum())
        if others.any()
        else total
    )
    if mean + alone < alpha[used].max() or alone <= 0:
        share = float((multipliers.weight[used] / groups.count[used]).min())
        mean = float(alpha[used].min()) + (1 / share - 1) * min(0.0, alone)
        if alone <= 0 and not used.all():  # the plan may use only devices without weight
            mean = min(mean, groups.least_ms)
    return mean + total + multipliers.constant(groups)


def _best_multipliers(
    items: Items, groups: Groups, covers: Covers, plan: Plan, stop: Callable[[], bool]
) -> tuple[float, Multipliers]:
    """Generate columns: the linear program gives multipliers, and pricing gives new covers."""
    best = even(items, groups, plan)
    bound = bound_of(items, groups, covers, best)
    if stop():
        return bound, best
    columns = Columns(items, groups)
    columns.add_plan(plan)
    columns.add_whole()
    for _ in range(_ROUNDS):
        if stop():
            break
        solved = columns.solve(seconds_left(stop))
        if solved is None:
            break
        value, multipliers = solved
        candidate = bound_of(items, groups, covers, multipliers)
        if candidate > bound:
            bound, best = candidate, multipliers
        if value - bound <= _CLOSE * abs(value):
            break
        compute, others = multipliers.prices(items, groups)
        price = np.where(groups.usable, compute + others, np.inf)
        if not columns.add_cheapest(covers.cheapest(price.min(0)), price.argmin(0)):
            break
    return bound, best


def floors(
    items: Items,
    groups: Groups,
    stop: Callable[[], bool] = lambda: False,
    above: float = 0.0,
) -> np.ndarray:
    """Return (G, O) the least cost of plans with an option on a group; 0 without a proof.

    Only options whose floor could exceed `above` are examined.
    """
    floor = np.zeros((len(groups), len(items.options)))
    for g, (head, embedding) in enumerate(
        zip(groups.heads, groups.embedding, strict=True)
    ):
        dims = items.options.dim
        near, far = (
            np.maximum(groups.near_least, groups.near[g] * dims),
            np.maximum(groups.far_least, groups.far[g] * dims),
        )
        exchange = groups.exchange_ms(near, far)
        worth = np.flatnonzero(groups.usable[g] & (head(embedding) + exchange > above))
        if len(worth):
            proved = _device_floors(items, groups, g, worth, stop)
            floor[g, worth] = np.where(
                np.isfinite(proved), np.maximum(proved + exchange[worth], 0.0), 0.0
            )
    return floor


def least_compute(items: Items, groups: Groups) -> float:
    """Return the least compute of a device that holds a shard."""
    least = np.inf
    for g in range(len(groups)):
        usable = np.flatnonzero(groups.usable[g])
        if len(usable):
            least = min(
                least,
                float(
                    _device_floors(
                        items, groups, g, usable, lambda: False, most=len(usable)
                    ).min()
                ),
            )
    return max(0.0, least) if np.isfinite(least) else 0.0


def _device_floors(
    items: Items,
    groups: Groups,
    g: int,
    worth: np.ndarray,
    stop: Callable[[], bool],
    *,
    most: int = _MAX_PATTERNS,
) -> np.ndarray:
    """Return (len(worth),) the least compute of a device of group `g` that holds an option.

    -inf without a proof. `most`: slopes to prove floors for, the most frequent first.
    """
    head, embedding = groups.heads[g], groups.embedding[g]
    active = embedding[worth] @ head.inner.T + head.shift > 0  # (., J)
    patterns, which, count = np.unique(
        active, axis=0, return_inverse=True, return_counts=True
    )
    common = np.argsort(-count, kind="stable")[:most]
    rest = np.full(len(patterns), -np.inf)
    batch = max(1, _PATTERN_FLOATS // len(embedding))
    for at in range(0, len(common), batch):
        if stop():
            break
        part = common[at : at + batch]
        slopes = head.skip + (patterns[part] * head.out) @ head.inner  # (P, K)
        rest[part] = least_rest(items, embedding @ slopes.T, groups.usable[g])
    return np.asarray(head(embedding[worth]) + rest[which.reshape(-1)])


def _raised(
    items: Items,
    groups: Groups,
    covers: Covers,
    multipliers: Multipliers,
    bound: float,
    stop: Callable[[], bool],
) -> float:
    """Raise the bound: bisect for the largest C such that floors exclude every plan below C."""
    if stop():
        return bound
    floor = floors(items, groups, stop, bound)
    low, high = bound, max(bound, float(floor.max(initial=0.0)))
    for _ in range(_BISECTIONS):
        if stop() or high - low <= _CLOSE * max(high, 1e-9):
            break
        middle = (low + high) / 2
        if (
            bound_of(items, groups, covers, multipliers, forbidden=floor > middle)
            > middle
        ):
            low = middle
        else:
            high = middle
    return low
