"""A model in integers, for solvers that know nothing else: rows and costs scaled by powers of ten, exactly or not at all.

A double counts as the decimal it is the nearest double to (0.1 is 1/10). A row whose coefficients are no decimals of at
most nine places, or whose activity could leave 64 bits, makes the model unsupported: a rounded row would be another row.
Sides are rounded inwards after giving way by 1e-9 relatively, a thousandth of the tolerance that solutions are judged by:
sums of doubles such as 0.30000000000000004 must not shut out the point they were computed from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from solvers.types import Floats, MilpModel, why_not_linear

_MAX_PLACES = 9
_EXACT_DOUBLE = 2.0**53
_MAX_ACTIVITY = 2.0**61
_SIDE_SLACK = Fraction(1, 10**9)
NO_LOWER, NO_UPPER = -(2**63), 2**63 - 1

Int64 = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class IntegralModel:
    """The same program over integers. `crossed` names a row or variable that no integer point can satisfy."""

    lower: list[int]
    upper: list[int]
    data: Int64  # (nnz,) integer coefficients
    row_lower: list[int]  # NO_LOWER where absent
    row_upper: list[int]
    costs: Int64  # (n,) integer costs: objective = (costs·x) / cost_scale + offset
    cost_scale: int
    crossed: str | None


def why_not_integral(model: MilpModel) -> str | None:
    """None when `integral` can be made."""
    if model.extras is not None:
        return why_not_linear(model)
    continuous = int(model.n - np.count_nonzero(model.integrality))
    if continuous:
        return f"it takes integers only, and {continuous} of {model.n} variables are continuous"
    unbounded = np.flatnonzero(~(np.isfinite(model.col_lower) & np.isfinite(model.col_upper)))
    if len(unbounded):
        first = model.column_name(int(unbounded[0]))
        return f"it wants bounds on every variable, and {len(unbounded)} have none, e.g. {first!r}"
    largest = np.maximum(np.abs(model.col_lower), np.abs(model.col_upper))
    if largest.max(initial=0.0) > _EXACT_DOUBLE:
        return "it wants bounds that doubles hold exactly (up to 2^53)"
    data, places = _scaled(model)
    if places is None:
        return f"it wants coefficients of at most {_MAX_PLACES} decimal places, so that rows scale to integers"
    reach = np.bincount(model.row_of_entry, weights=np.abs(data) * largest[model.indices], minlength=model.m)
    costs, cost_places = _scaled_costs(model)
    if cost_places is None:
        return f"it wants costs of at most {_MAX_PLACES} decimal places"
    cost_reach = float(np.abs(costs) @ largest)
    if max(reach.max(initial=0.0), cost_reach, np.abs(data).max(initial=0.0)) > _MAX_ACTIVITY:
        return "a row or the objective, scaled to integers, could leave 64 bits"
    return None


def integral(model: MilpModel) -> IntegralModel:
    """Scale. Only for models with `why_not_integral(model) is None`."""
    data, places = _scaled(model)
    costs, cost_places = _scaled_costs(model)
    if places is None or cost_places is None:
        raise ValueError("the model cannot be scaled; ask why_not_integral first")
    lower = [math.ceil(value) for value in model.col_lower.tolist()]
    upper = [math.floor(value) for value in model.col_upper.tolist()]
    no_integer = np.flatnonzero(np.ceil(model.col_lower) > np.floor(model.col_upper))
    crossed = f"no integer fits variable {model.column_name(int(no_integer[0]))!r}" if len(no_integer) else None
    row_lower, row_upper = [NO_LOWER] * model.m, [NO_UPPER] * model.m
    scales = [10 ** int(k) for k in places.tolist()]
    for row, (low, high, scale) in enumerate(
        zip(model.row_lower.tolist(), model.row_upper.tolist(), scales, strict=True)
    ):
        if low > -math.inf:
            row_lower[row] = _clipped(math.ceil((Fraction(low) - _slack(low)) * scale))
        if high < math.inf:
            row_upper[row] = _clipped(math.floor((Fraction(high) + _slack(high)) * scale))
        if row_lower[row] > row_upper[row]:
            crossed = crossed or f"no integer activity fits row {row + 1}"
    return IntegralModel(
        lower=lower,
        upper=upper,
        data=data.astype(np.int64),
        row_lower=row_lower,
        row_upper=row_upper,
        costs=costs.astype(np.int64),
        cost_scale=10**cost_places,
        crossed=crossed,
    )


def _slack(side: float) -> Fraction:
    return _SIDE_SLACK * Fraction(max(1.0, abs(side)))


def _clipped(side: int) -> int:
    # Activities stay within 2^61, so a side beyond 2^62 says the same as one at 2^62.
    return max(-(2**62), min(2**62, side))


def _places(values: Floats) -> NDArray[np.int64] | None:
    """Decimal places of each value; None when one has more than nine."""
    places = np.full(len(values), -1, dtype=np.int64)
    for k in range(_MAX_PLACES + 1):
        power = 10.0**k
        with np.errstate(over="ignore"):
            whole = np.rint(values * power)
        # Both numbers are exact doubles, so their quotient is the double nearest to the decimal.
        fits = (places < 0) & (np.abs(whole) <= _EXACT_DOUBLE) & (whole / power == values)
        places[fits] = k
        if (places >= 0).all():
            return places
    return None


def _scaled(model: MilpModel) -> tuple[Floats, NDArray[np.int64] | None]:
    """((nnz,) whole coefficients, (m,) places of each row)."""
    of_entries = _places(model.data)
    if of_entries is None:
        return model.data, None
    places = np.zeros(model.m, dtype=np.int64)
    np.maximum.at(places, model.row_of_entry, of_entries)
    return np.rint(model.data * (10.0 ** places[model.row_of_entry])), places


def _scaled_costs(model: MilpModel) -> tuple[Floats, int | None]:
    places = _places(model.c)
    if places is None:
        return model.c, None
    most = int(places.max(initial=0))
    return np.rint(model.c * 10.0**most), most
