"""Decide by integer programming whether the tables fit: memory, pins and coverage alone."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix

from search.domains.sharding.constants import NONE
from search.domains.sharding.encode.items import Items
from search.domains.sharding.encode.plan import Plan, fits
from search.domains.sharding.search.infeasible import affine_bytes
from solvers.table import make_solver
from solvers.types import MilpModel, SolveParams
from trimtab.results import Reason
from trimtab.specs.sharding import MIN_SHARD_DIM

MAX_PACKING = 40_000  # variables; larger problems rely on the packing heuristics
_MIB = 2.0**20


def pack(
    items: Items, capacity: np.ndarray, *, seconds: float
) -> tuple[Plan | None, bool]:
    """Return a plan that fits at any cost, or a proof that none exists.  → (plan, impossible)

    Two shards of a table on one device take at least as much memory as one, so a device holds of
    each table either nothing (y = 0) or one shard of 4 u columns (y = 1). The proof therefore
    covers all cuts into multiples of 4, also those that are no options of the search.
    """
    devices, count = len(capacity), len(items)
    if 2 * count * devices > MAX_PACKING:
        return None, False
    model = _model(items, capacity)
    solved = make_solver("highs").solve(model, SolveParams(time_limit_s=seconds))
    if solved.x is None:
        return None, solved.termination.reason is Reason.INFEASIBLE
    columns = MIN_SHARD_DIM * np.round(solved.x[count * devices :]).astype(np.int64)
    item, device = (part.ravel() for part in np.indices((count, devices)))
    used = columns > 0
    option = items.options.find(item[used], columns[used])
    if (option == NONE).any():
        return None, False
    plan = Plan.of(option, device[used], "packed by branch and bound")
    return (plan, False) if fits(items, plan, capacity) else (None, False)


def _model(items: Items, capacity: np.ndarray) -> MilpModel:
    """Build the program. Variables: y[i, d], then u[i, d] in units of 4 columns."""
    options = items.options
    devices, count = len(capacity), len(items)
    half = count * devices
    units = options.width[items.whole] // MIN_SHARD_DIM
    least = items.narrowest // MIN_SHARD_DIM
    bytes_of = [affine_bytes(items, i) for i in range(count)]
    per_shard = np.array([a for a, _ in bytes_of]) / _MIB
    per_unit = np.array([b for _, b in bytes_of]) * MIN_SHARD_DIM / _MIB
    item, device = (part.ravel() for part in np.indices((count, devices)))
    y, u = np.arange(half), half + np.arange(half)
    may = (
        np.ones(half, dtype=bool)
        if items.allowed is None
        else items.allowed[item, device]
    )
    # Rows: memory of each device; coverage of each item; u <= units y; u >= least y.
    row = np.concatenate(
        [
            device,
            device,
            devices + item,
            *(devices + count + k * half + y for k in (0, 0, 1, 1)),
        ]
    )
    column = np.concatenate([y, u, u, u, y, u, y])
    ones = np.ones(half)
    value = np.concatenate(
        [
            per_shard[item],
            per_unit[item],
            ones,
            ones,
            -1.0 * units[item],
            ones,
            -1.0 * least[item],
        ]
    )
    matrix = coo_matrix(
        (value, (row, column)), shape=(devices + count + 2 * half, 2 * half)
    ).tocsr()
    unbounded = np.full(half, np.inf)
    whole = units.astype(float)
    return MilpModel(
        c=np.zeros(2 * half),
        col_lower=np.zeros(2 * half),
        col_upper=np.concatenate(
            [may.astype(float), np.where(may, units[item], 0).astype(float)]
        ),
        integrality=np.ones(2 * half, dtype=bool),
        indptr=matrix.indptr.astype(np.int32),
        indices=matrix.indices.astype(np.int32),
        data=matrix.data,
        row_lower=np.concatenate(
            [np.full(devices, -np.inf), whole, -unbounded, np.zeros(half)]
        ),
        row_upper=np.concatenate([capacity / _MIB, whole, np.zeros(half), unbounded]),
    )
