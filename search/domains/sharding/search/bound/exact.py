"""Optimum of the model by branch and bound, for small problems: a bound and a plan.

Convex heads are linear programs in epigraph form, so only the counts n[o, d] of shards of option o
on device d are integer. A cover of an item is a multiset of its options, so one row per item
describes all covers:

    min  C + E
    C >= bias + skip z_d + out h_d - f_d(0) (1 - y_d),   h_d >= inner z_d + shift,   h_d >= 0
    z_d = sum_o E_o n[o, d],   y_d = 1 where d holds a shard (a device without shards costs nothing)
    E >= forms (N, F),   N, F >= milliseconds that d sends or receives at each level
    memory of d <= its capacity,   sum_{o, d} width_o n[o, d] = width of item i
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix

from cost_models.sharding.simulator import FabricModel
from search import engine_log
from search.domains.sharding.constants import GIB
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan
from search.domains.sharding.search.bound.certificate import least_compute
from search.domains.sharding.search.bound.groups import Groups, groups_of
from search.domains.sharding.search.loads import plan_cost
from search.domains.sharding.search.plan_model import LearnedExchange, PlanModel
from solvers.table import make_solver
from solvers.types import MilpModel, SolveParams, SolveResult

_SOLVER_TOLERANCE = 2e-5  # relative
_FIRST_SHARE = 0.5  # of the seconds, for the first of two engines
# Integer variables; above this branch and bound adds nothing in seconds.
MAX_COUNTS = 4_000


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Bound and plan of branch and bound, under the model."""

    lower_bound_ms: float
    plan: Plan | None
    optimal: bool
    solver: str


def is_small(items: Items, model: PlanModel) -> bool:
    """Return whether branch and bound is worth trying: several devices, few counts."""
    return model.devices > 1 and len(items.options) * model.devices <= MAX_COUNTS


def solve(
    items: Items,
    model: PlanModel,
    capacity: np.ndarray,
    *,
    seconds: float,
    solver: str = "highs",
    confirm: str | None = "scip",
    seed: int = 0,
    stop: Callable[[], bool] | None = None,
) -> Exact | None:
    """Run branch and bound for `seconds`; None when nothing was proved.

    The bound is the smaller one of two engines' unless `confirm` is None: HiGHS 1.16 has called a
    plan optimal that cost 0.3 % too much
    (`python -m workers.bench fuzz sharding --seed 3 --first 1775 --cases 1`).
    """
    began = time.monotonic()
    groups = groups_of(items, model, capacity)
    assert isinstance(model.exchange, LearnedExchange)
    milp = build(items, groups, capacity, model.exchange.fabric)
    results: list[SolveResult] = []
    for engine in (solver,) if confirm is None else (solver, confirm):
        left_s = seconds - (time.monotonic() - began)
        if left_s <= 0:
            return None
        limit_s = left_s if results or confirm is None else _FIRST_SHARE * left_s
        params = SolveParams(
            time_limit_s=limit_s,
            relative_gap=1e-5,
            threads=1,
            seed=seed,
            log=engine_log.is_on(),
        )
        results.append(make_solver(engine).solve(milp, params, stop=stop))
    bounds = [result.dual_bound for result in results]
    if any(bound is None or not math.isfinite(bound) for bound in bounds):
        return None
    lowest = min(bound for bound in bounds if bound is not None)
    plans = [_plan(items, model, result.x) for result in results if result.x is not None]
    plan = min(plans, key=lambda one: plan_cost(items, model, one), default=None)
    # A solver's bound may be too high by its tolerances: 3e-6 relative in fuzz sharding, seed 1,
    # case 879.
    bound = lowest - _SOLVER_TOLERANCE * abs(lowest)
    proved = all(result.proved for result in results)
    return Exact(
        lower_bound_ms=bound,
        plan=plan,
        optimal=proved,
        solver=" and ".join(filter(None, (solver, confirm))),
    )


class _Rows:
    """Rows of the program."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.lower: list[float] = []
        self.upper: list[float] = []

    def add(
        self, columns: np.ndarray, values: np.ndarray, low: float, high: float
    ) -> None:
        """Add a row low <= values @ x[columns] <= high."""
        self._parts.append((np.full(len(columns), len(self.lower)), columns, values))
        self.lower.append(low)
        self.upper.append(high)

    def entries(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return row, column and value of all entries."""
        row, column, value = (
            np.concatenate(part) for part in zip(*self._parts, strict=True)
        )
        return row, column, value


def build(
    items: Items, groups: Groups, capacity: np.ndarray, fabric: FabricModel
) -> MilpModel:
    """Build the program. Variables: n[o, d] by device, h[j, d] by device, y[d], then C, E, N, F."""
    options = items.options
    count, devices, joints = len(options), len(capacity), len(groups.heads[0].out)
    first_h = count * devices
    first_y = first_h + joints * devices
    c, e, near, far = first_y + devices + np.arange(4)
    rows = _Rows()
    for d in range(devices):
        _device_rows(
            rows, items, groups, capacity, fabric, d, (int(c), int(near), int(far))
        )
    for form in groups.forms:
        rows.add(
            np.array([e, near, far]), np.array([1.0, -form[0], -form[1]]), 0.0, np.inf
        )
    for item in range(len(items)):
        mine = np.flatnonzero(options.item == item)
        columns = (mine[None, :] + count * np.arange(devices)[:, None]).ravel()
        whole = float(options.width[items.whole[item]])
        rows.add(
            columns, np.tile(options.width[mine].astype(float), devices), whole, whole
        )
    total = int(far) + 1
    row, column, value = rows.entries()
    matrix = coo_matrix((value, (row, column)), shape=(len(rows.lower), total)).tocsr()
    cost = np.zeros(total)
    cost[[c, e]] = 1.0
    low, high = np.zeros(total), np.full(total, np.inf)
    low[near], low[far] = groups.near_least, groups.far_least
    most = options.width[items.whole[options.item]] // options.width
    for d in range(devices):
        usable = options.memory <= capacity[d]
        if items.allowed is not None:
            usable &= items.allowed[options.item, d]
        high[d * count : (d + 1) * count] = np.where(usable, most, 0)
    integer = np.zeros(total, dtype=bool)
    integer[:first_h] = integer[first_y : first_y + devices] = True
    high[first_y : first_y + devices] = 1.0
    nothing = max(
        float(h(np.zeros((1, e.shape[1])))[0])
        for h, e in zip(groups.heads, groups.embedding, strict=True)
    )
    # An idle device is then never the slowest, and y may be fixed.
    if least_compute(items, groups) >= nothing:
        low[first_y : first_y + devices] = 1.0
    return MilpModel(
        c=cost,
        col_lower=low,
        col_upper=high,
        integrality=integer,
        indptr=matrix.indptr.astype(np.int32),
        indices=matrix.indices.astype(np.int32),
        data=matrix.data,
        row_lower=np.array(rows.lower),
        row_upper=np.array(rows.upper),
        offset=groups.constant_ms,
    )


def _device_rows(
    rows: _Rows,
    items: Items,
    groups: Groups,
    capacity: np.ndarray,
    fabric: FabricModel,
    d: int,
    ends: tuple[int, int, int],
) -> None:
    """Add the rows of device d: compute, exchange, memory, and its order among equal devices.

    ends: columns of C, N and F.
    """
    options = items.options
    column_c, near, far = ends
    group = int(groups.of_device[d])
    head, embedding = groups.heads[group], groups.embedding[group]
    inner, skip = embedding @ head.inner.T, embedding @ head.skip  # (O, J), (O,)
    count, joints = len(options), len(head.out)
    n = np.arange(count) + d * count
    h = count * len(capacity) + d * joints + np.arange(joints)
    y = (count + joints) * len(capacity) + d
    for j in range(joints):  # h_j - inner_j n >= shift_j
        rows.add(
            np.append(n, h[j]), np.append(-inner[:, j], 1.0), float(head.shift[j]), np.inf
        )
    nothing = float(head(np.zeros((1, embedding.shape[1])))[0])
    rows.add(
        np.concatenate([n, h, [y, column_c]]),
        np.concatenate([-skip, -head.out, [-nothing, 1.0]]),
        head.bias - nothing,
        np.inf,
    )
    rows.add(np.append(n, y), np.append(-options.dim, groups.columns), 0.0, np.inf)
    for column, rate in ((near, groups.near[group]), (far, groups.far[group])):
        if rate > 0:
            rows.add(
                np.append(n, column), np.append(-options.dim * rate, 1.0), 0.0, np.inf
            )
    # N >= rate (all columns - those held on the receiving side)
    for column, rate, node in _receivers(groups, fabric, d, (near, far)):
        home = (np.arange(count)[None] + node[:, None] * count).ravel()
        rows.add(
            np.append(home, column),
            np.append(np.tile(options.dim * rate, len(node)), 1.0),
            rate * groups.columns,
            np.inf,
        )
    rows.add(n, options.memory / GIB, -np.inf, float(capacity[d]) / GIB)
    equal = d > 0 and capacity[d] == capacity[d - 1] and groups.of_device[d - 1] == group
    if equal and (
        items.allowed is None or (items.allowed[:, d] == items.allowed[:, d - 1]).all()
    ):
        rows.add(
            np.concatenate([n - count, n]),
            np.concatenate([options.dim, -options.dim]),
            0.0,
            np.inf,
        )


def _receivers(
    groups: Groups, fabric: FabricModel, d: int, columns: tuple[int, int]
) -> list[tuple[int, float, np.ndarray]]:
    """Return the levels at which receiving can decide.

    Each: variable of the level, milliseconds per column, devices on the receiving side.
    """
    if fabric.ranks == 1:
        return []
    if fabric.ranks == fabric.per_node:
        return [
            (
                columns[0],
                float(groups.near[groups.of_device[d]]) / (fabric.per_node - 1),
                np.array([d]),
            )
        ]
    node = d // fabric.per_node * fabric.per_node + np.arange(fabric.per_node)
    return [
        (
            columns[1],
            float(groups.far[groups.of_device[d]]) / (fabric.ranks - fabric.per_node),
            node,
        )
    ]


def _plan(items: Items, model: PlanModel, x: np.ndarray) -> Plan:
    """Return the plan of a solution."""
    count = len(items.options)
    n = np.round(x[: count * model.devices]).astype(int).reshape(model.devices, count)
    device, option = np.nonzero(n)
    times = n[device, option]
    return Plan.of(np.repeat(option, times), np.repeat(device, times), "branch and bound")
