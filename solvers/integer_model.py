"""Models in integers, for solvers that take nothing else: scaled exactly by powers of ten.

A double counts as the decimal whose nearest double it is (0.1 is 1/10). A row whose coefficients
are not short decimals (solvers.whole_rows), or whose activity could exceed 64 bits, makes the model
unsupported: a rounded row would be another row. Sides are rounded inwards. Before that, sides that
are not short decimals are relaxed by 1e-9, relatively, and by a quarter of a unit at most: sums of
doubles such as 0.30000000000000004 must not exclude the point they were computed from.
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
_LARGE = 2.0**30  # larger coefficients are divided by their common divisor
_SIDE_SLACK = Fraction(1, 10**9)
NO_LOWER, NO_UPPER = -(2**63), 2**63 - 1

Int64 = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class IntegralModel:
    """The same program over integers."""

    lower: list[int]
    upper: list[int]
    data: Int64  # (nnz,) integer coefficients
    row_lower: list[int]  # NO_LOWER where absent
    row_upper: list[int]
    costs: Int64  # (n,) integer costs: objective = (costs·x) / cost_scale + offset
    cost_scale: Fraction
    crossed: str | None  # a sentence about a row or variable that no integer satisfies


def why_not_integral(model: MilpModel) -> str | None:
    """Return the reason why the model does not scale to integers; None if it does."""
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
        return (
            f"it needs bounds on every variable, and {len(unbounded)} have none, "
            f"e.g. {first!r}"
        )
    largest = np.maximum(np.abs(model.col_lower), np.abs(model.col_upper))
    if largest.max(initial=0.0) > _EXACT_DOUBLE:
        return "it needs bounds that doubles hold exactly (up to 2^53)"
    data, scales = _scaled(model)
    if scales is None:
        return (
            "it needs coefficients of at most nine decimal places, "
            "so that rows scale to integers"
        )
    reach = np.bincount(
        model.row_of_entry,
        weights=np.abs(data) * largest[model.indices],
        minlength=model.m,
    )
    costs, cost_scale = scaled_costs(model)
    if cost_scale is None:
        return "it needs costs of at most nine decimal places"
    cost_reach = float(np.abs(costs) @ largest)
    if (
        max(reach.max(initial=0.0), cost_reach, np.abs(data).max(initial=0.0))
        > _MAX_ACTIVITY
    ):
        return "a row or the objective, scaled to integers, could exceed 64 bits"
    return None


def integral(model: MilpModel) -> IntegralModel:
    """Scale a model for which `why_not_integral` returns None."""
    data, scales = _scaled(model)
    costs, cost_scale = scaled_costs(model)
    if scales is None or cost_scale is None:
        raise ValueError("expected a model that scales; call why_not_integral first")
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
                    _scaled_side(high, scale, whole_high)
                    + _slack(high, scale, whole_high)
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
    # A whole side counts as the decimal whose nearest double it is, like coefficients.
    return (Fraction(repr(side)) if whole else Fraction(side)) * scale


def _slack(side: float, scale: Fraction, whole: bool) -> Fraction:
    return (
        Fraction(0)
        if whole
        else min(_SIDE_SLACK * Fraction(max(1.0, abs(side))) * scale, Fraction(1, 4))
    )


def _clipped(side: int) -> int:
    # Activities stay within 2^61, so a side beyond 2^62 equals one at 2^62.
    return max(-(2**62), min(2**62, side))


def _scaled(model: MilpModel) -> tuple[Floats, list[Fraction] | None]:
    """Return (nnz,) integral coefficients, and the factors from the author's rows to these.

    The factors are None when some row does not scale.
    """
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


def scaled_costs(model: MilpModel) -> tuple[Floats, Fraction | None]:
    """Return (n,) integral costs, and the factor from the model's cost to theirs, if they scale."""
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
    """Return rounded values times powers of ten, and whether doubles hold all of them exactly."""
    with np.errstate(over="ignore"):
        whole = np.rint(values * 10.0**places)
    return whole, bool((np.abs(whole) <= _EXACT_DOUBLE).all())
