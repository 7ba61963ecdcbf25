"""A model in integers, for solvers that know nothing else: rows and costs scaled by powers of ten, exactly or not at all.

A double counts as the decimal it is the nearest double to (0.1 is 1/10). A row whose coefficients are no short decimals
(solvers.whole_rows), or whose activity could leave 64 bits, makes the model unsupported: a rounded row would be another row.
Sides are rounded inwards. Sides that are no short decimals give way by 1e-9 relatively before that,
by a quarter of a unit at most: sums of doubles such as 0.30000000000000004 must not shut out the point they were computed from. Whole sides do not give way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from solvers.types import Floats, MilpModel, why_not_linear
from solvers.whole_rows import decimal_places

_EXACT_DOUBLE = 2.0**53
_MAX_ACTIVITY = 2.0**61
_LARGE = 2.0**30  # coefficients beyond are divided by what they have in common
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
    cost_scale: Fraction
    crossed: str | None


def why_not_integral(model: MilpModel) -> str | None:
    """None when `integral` can be made."""
    if model.extras is not None:
        return why_not_linear(model)
    continuous = int(model.n - np.count_nonzero(model.integrality))
    if continuous:
        return f"it takes integers only, and {continuous} of {model.n} variables are continuous"
    unbounded = np.flatnonzero(
        ~(np.isfinite(model.col_lower) & np.isfinite(model.col_upper))
    )
    if len(unbounded):
        first = model.column_name(int(unbounded[0]))
        return f"it wants bounds on every variable, and {len(unbounded)} have none, e.g. {first!r}"
    largest = np.maximum(np.abs(model.col_lower), np.abs(model.col_upper))
    if largest.max(initial=0.0) > _EXACT_DOUBLE:
        return "it wants bounds that doubles hold exactly (up to 2^53)"
    data, scales = _scaled(model)
    if scales is None:
        return "it wants coefficients of at most nine decimal places, so that rows scale to integers"
    reach = np.bincount(
        model.row_of_entry, weights=np.abs(data) * largest[model.indices], minlength=model.m
    )
    costs, cost_scale = _scaled_costs(model)
    if cost_scale is None:
        return "it wants costs of at most nine decimal places"
    cost_reach = float(np.abs(costs) @ largest)
    if (
        max(reach.max(initial=0.0), cost_reach, np.abs(data).max(initial=0.0))
        > _MAX_ACTIVITY
    ):
        return "a row or the objective, scaled to integers, could leave 64 bits"
    return None


def integral(model: MilpModel) -> IntegralModel:
    """Scale. Only for models with `why_not_integral(model) is None`."""
    data, scales = _scaled(model)
    costs, cost_scale = _scaled_costs(model)
    if scales is None or cost_scale is None:
        raise ValueError("the model cannot be scaled; ask why_not_integral first")
    lower = [math.ceil(value) for value in model.col_lower.tolist()]
    upper = [math.floor(value) for value in model.col_upper.tolist()]
    no_integer = np.flatnonzero(np.ceil(model.col_lower) > np.floor(model.col_upper))
    crossed = (
        f"no integer fits variable {model.column_name(int(no_integer[0]))!r}"
        if len(no_integer)
        else None
    )
    row_lower, row_upper = [NO_LOWER] * model.m, [NO_UPPER] * model.m
    _, lows, highs = model.author_rows()
    whole = (decimal_places(lows) >= 0, decimal_places(highs) >= 0)
    sides = zip(
        lows.tolist(),
        highs.tolist(),
        scales,
        whole[0].tolist(),
        whole[1].tolist(),
        strict=True,
    )
    for row, (low, high, scale, whole_low, whole_high) in enumerate(sides):
        if low > -math.inf:
            row_lower[row] = _clipped(
                math.ceil(
                    _scaled_side(low, scale, whole_low) - _slack(low, scale, whole_low)
                )
            )
        if high < math.inf:
            row_upper[row] = _clipped(
                math.floor(
                    _scaled_side(high, scale, whole_high) + _slack(high, scale, whole_high)
                )
            )
        if row_lower[row] > row_upper[row]:
            crossed = crossed or f"no integer activity fits row {row + 1}"
    return IntegralModel(
        lower=lower,
        upper=upper,
        data=data.astype(np.int64),
        row_lower=row_lower,
        row_upper=row_upper,
        costs=costs.astype(np.int64),
        cost_scale=cost_scale,
        crossed=crossed,
    )


def _scaled_side(side: float, scale: Fraction, whole: bool) -> Fraction:
    # A whole side counts as the decimal it is the nearest double to, as coefficients do.
    return (Fraction(repr(side)) if whole else Fraction(side)) * scale


def _slack(side: float, scale: Fraction, whole: bool) -> Fraction:
    return (
        Fraction(0)
        if whole
        else min(_SIDE_SLACK * Fraction(max(1.0, abs(side))) * scale, Fraction(1, 4))
    )


def _clipped(side: int) -> int:
    # Activities stay within 2^61, so a side beyond 2^62 says the same as one at 2^62.
    return max(-(2**62), min(2**62, side))


def _scaled(model: MilpModel) -> tuple[Floats, list[Fraction] | None]:
    """((nnz,) whole coefficients, (m,) author's row → whole row factors); None when some row is no row of integers."""
    data, _, _ = model.author_rows()
    of_entries = decimal_places(data)
    if (of_entries < 0).any():
        return data, None
    places = np.zeros(model.m, dtype=np.int64)
    np.maximum.at(places, model.row_of_entry, of_entries)
    whole, exact = _times_power(data, places[model.row_of_entry])
    if not exact:
        return data, None
    scales = [Fraction(10 ** int(k)) for k in places.tolist()]
    largest = np.zeros(model.m)
    np.maximum.at(largest, model.row_of_entry, np.abs(whole))
    for row in np.flatnonzero(largest > _LARGE).tolist():
        span = slice(int(model.indptr[row]), int(model.indptr[row + 1]))
        common = int(np.gcd.reduce(whole[span].astype(np.int64)))
        whole[span] /= common
        scales[row] /= common
    return whole, scales


def _scaled_costs(model: MilpModel) -> tuple[Floats, Fraction | None]:
    """((n,) whole costs, cost of the model → whole cost factor)."""
    costs = model.c / model.cost_factor
    places = decimal_places(costs)
    if (places < 0).any():
        return model.c, None
    most = int(places.max(initial=0))
    whole, exact = _times_power(costs, np.full(model.n, most))
    if not exact:
        return model.c, None
    common = (
        int(np.gcd.reduce(whole.astype(np.int64), initial=0))
        if np.abs(whole).max(initial=0.0) > _LARGE
        else 1
    )
    return whole / common, Fraction(10**most) / common / Fraction(model.cost_factor)


def _times_power(values: Floats, places: NDArray[np.int64]) -> tuple[Floats, bool]:
    """Values times powers of ten, rounded; False when a double cannot hold one of them exactly."""
    with np.errstate(over="ignore"):
        whole = np.rint(values * 10.0**places)
    return whole, bool((np.abs(whole) <= _EXACT_DOUBLE).all())
