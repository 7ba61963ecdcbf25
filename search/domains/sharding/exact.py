"""The model's optimum by branch and bound, for small problems on equal devices: bound and plan in one.

The convex head is a linear program in epigraph form, so only the counts n[o, d] of shards of option o on device d are
integer. Widths that add up to the item's width are always the leaves of some halving (Kraft's equality), so one row an
item covers every way to split it:

    min  C + slope * S     C >= bias + skip z_d + out h_d,  h_d >= inner z_d + shift,  h_d >= 0,  z_d = sum_o E_o n[o, d]
                           S >= dims of d,   memory of d <= its cap,   sum_{o, d} width_o n[o, d] = width of item i
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, vstack

from cost_models.sharding.nets import ConvexHead
from search.domains.sharding.items import Items
from search.domains.sharding.placement import Plan
from search.domains.sharding.placement import fits as within
from search.domains.sharding.plan_cost import PlanModel
from solvers.table import make_solver
from solvers.types import MilpModel, SolveParams
from trimtab.results import Reason

MAX_COUNTS = 1_500  # integer variables; above this branch and bound adds nothing in seconds


@dataclass(frozen=True, kw_only=True)
class Exact:
    """What branch and bound proved and found, under the model."""

    lower_bound_ms: float
    plan: Plan | None
    optimal: bool
    solver: str


def is_small(items: Items, model: PlanModel) -> bool:
    """Whether branch and bound is worth trying: equal devices, no pins, few counts."""
    counts = len(items.options) * model.devices
    return len(model.heads) == 1 and items.allowed is None and counts <= MAX_COUNTS and model.devices > 1


def solve(
    items: Items,
    model: PlanModel,
    capacity: np.ndarray,
    *,
    seconds: float,
    solver: str = "highs",
    seed: int = 0,
    stop: Callable[[], bool] | None = None,
) -> Exact | None:
    """Branch and bound for `seconds`; None when nothing was proved."""
    head = model.heads[0]
    if not isinstance(head, ConvexHead):
        raise TypeError(f"an exact model wants a convex head; {type(head).__name__} came")
    milp = build(items, model, head, capacity)
    found = make_solver(solver).solve(
        milp, SolveParams(time_limit_s=seconds, relative_gap=1e-5, threads=1, seed=seed), stop=stop
    )
    if found.dual_bound is None or not math.isfinite(found.dual_bound):
        return None
    # A device without shards is priced f(0) here and nothing in truth; above f(0) the difference cannot matter.
    nothing = float(head(np.zeros((1, model.embedding.shape[2])))[0])
    even = float(items.options.dim[items.whole].sum()) / model.devices
    floor = nothing + float(model.exchange.of_largest(np.array(even)))
    if found.dual_bound <= floor:
        return None
    plan = None if found.x is None else _plan(items, model, found.x)
    return Exact(lower_bound_ms=found.dual_bound, plan=plan, optimal=found.proved, solver=solver)


def build(items: Items, model: PlanModel, head: ConvexHead, capacity: np.ndarray) -> MilpModel:
    """The model above. Columns: counts n[o, d] by device, then h[j, d] by device, then C, then S."""
    options = items.options
    count, devices, joints = len(options), model.devices, len(head.out)
    embedding = model.embedding[0]
    inner, skip = embedding @ head.inner.T, embedding @ head.skip  # (O, J), (O,)
    first_h = count * devices
    column_c = first_h + joints * devices
    column_s = column_c + 1
    rows: list[np.ndarray] = []
    cols: list[np.ndarray] = []
    data: list[np.ndarray] = []
    lower: list[float] = []
    upper: list[float] = []

    def add(columns: np.ndarray, values: np.ndarray, low: float, high: float) -> None:
        rows.append(np.full(len(columns), len(lower)))
        cols.append(columns)
        data.append(values)
        lower.append(low)
        upper.append(high)

    every = np.arange(count)
    for d in range(devices):
        n = every + d * count
        h = first_h + d * joints + np.arange(joints)
        for j in range(joints):  # h_j - inner_j n >= shift_j
            add(np.append(n, h[j]), np.append(-inner[:, j], 1.0), head.shift[j], np.inf)
        add(
            np.concatenate([n, h, [column_c]]),
            np.concatenate([-skip, -head.out, [1.0]]),
            head.bias,
            np.inf,
        )
        add(np.append(n, column_s), np.append(-options.dim, 1.0), 0.0, np.inf)
        add(n, options.memory, -np.inf, float(capacity[d]))
        if d and capacity[d] == capacity[d - 1]:  # equal devices: put them in order
            add(np.concatenate([n - count, n]), np.concatenate([options.dim, -options.dim]), 0.0, np.inf)
    for item in range(len(items)):
        mine = np.flatnonzero(options.item == item)
        columns = (mine[None, :] + count * np.arange(devices)[:, None]).ravel()
        whole = float(options.width[items.whole[item]])
        add(columns, np.tile(options.width[mine].astype(float), devices), whole, whole)
    total = column_s + 1
    matrix = coo_matrix(
        (np.concatenate(data), (np.concatenate(rows), np.concatenate(cols))), shape=(len(lower), total)
    ).tocsr()
    slope = float(model.exchange.of_largest(np.array(1.0)) - model.exchange.of_largest(np.array(0.0)))
    cost = np.zeros(total)
    cost[column_c], cost[column_s] = 1.0, slope
    high = np.full(total, np.inf)
    fits = options.memory <= capacity.max()
    most = options.width[items.whole[options.item]] // options.width
    high[:first_h] = np.tile(np.where(fits, most, 0), devices)
    integer = np.zeros(total, dtype=bool)
    integer[:first_h] = True
    return MilpModel(
        c=cost,
        col_lower=np.zeros(total),
        col_upper=high,
        integrality=integer,
        indptr=matrix.indptr.astype(np.int32),
        indices=matrix.indices.astype(np.int32),
        data=matrix.data,
        row_lower=np.array(lower),
        row_upper=np.array(upper),
        offset=float(model.exchange.of_largest(np.array(0.0))),
    )


MAX_PACKING = 40_000  # counts of a packing problem; above this the packers' word stands


def pack(items: Items, capacity: np.ndarray, *, seconds: float) -> tuple[Plan | None, bool]:
    """A plan that fits, whatever it costs, or the proof that none exists.  → (plan, proved impossible)

    For when the packers failed: memory, pins and coverage alone, as a feasibility program for HiGHS.
    """
    options, devices = items.options, len(capacity)
    count = len(options)
    if count * devices > MAX_PACKING:
        return None, False
    every = np.arange(count * devices)
    option, device = every % count, every // count
    memory = coo_matrix((options.memory[option] / 2**20, (device, every)), shape=(devices, len(every)))
    cover = coo_matrix(
        (options.width[option].astype(float), (options.item[option], every)), shape=(len(items), len(every))
    )
    matrix = vstack([memory, cover]).tocsr()
    whole = options.width[items.whole].astype(float)
    fits = options.memory[option] <= capacity[device]
    if items.allowed is not None:
        fits &= items.allowed[options.item[option], device]
    most = (options.width[items.whole[options.item]] // options.width)[option]
    model = MilpModel(
        c=np.zeros(len(every)),
        col_lower=np.zeros(len(every)),
        col_upper=np.where(fits, most, 0).astype(float),
        integrality=np.ones(len(every), dtype=bool),
        indptr=matrix.indptr.astype(np.int32),
        indices=matrix.indices.astype(np.int32),
        data=matrix.data,
        row_lower=np.concatenate([np.full(devices, -np.inf), whole]),
        row_upper=np.concatenate([capacity / 2**20, whole]),
    )
    found = make_solver("highs").solve(model, SolveParams(time_limit_s=seconds))
    if found.x is None:
        return None, found.termination.reason is Reason.INFEASIBLE
    times = np.round(found.x).astype(int)
    plan = Plan.of(np.repeat(option, times), np.repeat(device, times), "packed by branch and bound")
    return (plan, False) if within(items, plan, capacity) else (None, False)


def _plan(items: Items, model: PlanModel, x: np.ndarray) -> Plan:
    count = len(items.options)
    n = np.round(x[: count * model.devices]).astype(int).reshape(model.devices, count)
    device, option = np.nonzero(n)
    times = n[device, option]
    return Plan.of(np.repeat(option, times), np.repeat(device, times), "branch and bound")
