"""Exact check of a point against the original model, in integers over a common denominator.

Integer variables are rounded to the nearest integer first, and the largest rounding is reported;
continuous ones are taken as the exact dyadic rational of their double. Continuous problems are
rarely feasible exactly, so there are two answers: exactly feasible, and feasible within the field's
tolerance (violation ≤ 1e-6 · max(unit, |side|), rounding ≤ 1e-5: solvers promise 1e-6 on their own
scaled and presolved model, and the rounded point must hold anyway). The unit is 1, or the scale of
the row or variable where that is far from 1 (solvers.exact.units). Whole rows have no tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import compress
from numbers import Rational, Real

from solvers.errors import SolversError
from solvers.exact.model import ExactModel, Products
from solvers.exact.units import Units, units_of

TOLERANCE = Fraction(1, 10**6)
ROUNDING = Fraction(1, 10**5)
_ZERO, _ONE = Fraction(0), Fraction(1)

Number = int | float | Fraction


class SolutionError(SolversError):
    """The point does not belong to the model: names, values or their number are wrong."""


@dataclass(frozen=True, kw_only=True)
class ExactCheck:
    """Result of the check. Violations are exact; 0 means none."""

    objective: Fraction  # of the rounded point, in the sense of the model's author
    objective_size: (
        Fraction  # sum of the absolute values of the objective's terms and constant
    )
    max_row_violation: Fraction
    max_bound_violation: Fraction
    max_integrality: (
        Fraction  # largest distance of an integer variable to its nearest integer
    )
    relative_row_violation: (
        Fraction  # over max(unit, |side|); at least 1 for a broken whole row
    )
    relative_bound_violation: Fraction
    worst_row: str | None
    worst_column: str | None  # the variable furthest outside its bounds
    max_set_violation: Fraction  # largest value that a SOS set requires to be 0
    worst_set: str | None
    violated_rows: int
    checked_rows: int
    checked_columns: int
    tolerance: Fraction = TOLERANCE

    @property
    def detail(self) -> str:
        """A sentence about the violations; empty without any."""
        if self.feasible:
            return ""
        parts = []
        if self.worst_row is not None:
            parts.append(
                f"{self.violated_rows} rows are violated, worst {self.worst_row[:100]!r}"
            )
        if self.worst_column is not None:
            parts.append(f"variable {self.worst_column[:100]!r} is outside its bounds")
        if self.worst_set is not None:
            parts.append(
                f"the SOS set {self.worst_set[:100]!r} has too many values that are not 0"
            )
        if self.max_integrality > ROUNDING:
            parts.append("an integer variable has a fractional value")
        return "; ".join(parts)

    @property
    def max_violation(self) -> Fraction:
        """Largest violation of rows, bounds, sets and integrality."""
        return max(
            self.max_row_violation,
            self.max_bound_violation,
            self.max_set_violation,
            self.max_integrality,
        )

    @property
    def exactly_feasible(self) -> bool:
        """True when every row, bound and set holds exactly for the rounded point."""
        return (
            self.max_row_violation == 0
            and self.max_bound_violation == 0
            and self.max_set_violation == 0
            and self.max_integrality <= ROUNDING
        )

    @property
    def feasible(self) -> bool:
        """True when the point is feasible within tolerance."""
        return (
            self.relative_row_violation <= self.tolerance
            and self.relative_bound_violation <= self.tolerance
            and self.max_set_violation <= self.tolerance
            and self.max_integrality <= ROUNDING
        )


def check(
    model: ExactModel,
    solution: Mapping[str, Number] | Sequence[Number],
    *,
    tolerance: Fraction = TOLERANCE,
) -> ExactCheck:
    """Check a point.

    solution: values by name (absent names are 0), or one number per column in the file's order.
    tolerance: violation of rows, bounds and sets that is allowed, relative as above.

    Raises SolutionError when the point does not belong to the model.
    """
    point, rounding = _rounded(model, _in_order(model, solution))
    numerators, scale = _common_scale(point)
    units = units_of(model)
    bound = _bounds(model, point, units)
    row = _rows(model, numerators, scale, point, units)
    sets = _sets(model, point)
    terms = [
        cost * point[column] for column, cost in model.objective.items() if point[column]
    ]
    products = [
        value * point[i] * point[j] for (i, j), value in model.objective_products.items()
    ]
    return ExactCheck(
        objective=model.offset + sum(terms, _ZERO) + sum(products, _ZERO),
        objective_size=abs(model.offset)
        + sum(map(abs, terms), _ZERO)
        + sum(map(abs, products), _ZERO),
        max_row_violation=row.worst,
        max_bound_violation=bound.worst,
        max_integrality=rounding,
        relative_row_violation=row.worst_relative,
        relative_bound_violation=bound.worst_relative,
        worst_row=row.where(model.row_names),
        worst_column=bound.where(model.col_names),
        max_set_violation=sets.worst,
        worst_set=sets.where(tuple(one.name for one in model.sets)),
        violated_rows=row.count,
        checked_rows=model.m,
        checked_columns=model.n,
        tolerance=tolerance,
    )


def _in_order(
    model: ExactModel, solution: Mapping[str, Number] | Sequence[Number]
) -> Sequence[Number]:
    if not isinstance(solution, Mapping):
        if len(solution) != model.n:
            raise SolutionError(
                f"expected {model.n} numbers, one per variable, got {len(solution)}"
            )
        return solution
    values: list[Number] = [0] * model.n
    places = {name: column for column, name in enumerate(model.col_names)}
    for name, value in solution.items():
        place = places.get(name)
        if place is None:
            raise SolutionError(f"the model has no variable {name[:100]!r}")
        values[place] = value
    return values


def _rounded(
    model: ExactModel, values: Sequence[object]
) -> tuple[list[int | Fraction], Fraction]:
    """Return the exact values, with integers rounded, and the largest rounding."""
    point: list[int | Fraction] = []
    worst = _ZERO
    integer = model.integer
    for column, value in enumerate(values):
        if isinstance(value, int):
            exact: int | Fraction = int(value)
        elif isinstance(value, Rational):  # fractions, and numpy's integers
            exact = Fraction(value)
        elif isinstance(value, Real):
            exact = _of_double(float(value), model.col_names[column])
        else:
            raise SolutionError(
                f"variable {model.col_names[column][:100]!r}: expected a number, "
                f"got {type(value).__name__}"
            )
        if integer[column] and not isinstance(exact, int):
            nearest = round(exact)
            worst = max(worst, abs(exact - nearest))
            exact = nearest
        point.append(exact)
    return point, worst


def _of_double(value: float, name: str) -> int | Fraction:
    if not math.isfinite(value):
        raise SolutionError(
            f"variable {name[:100]!r}: expected a finite value, got {value}"
        )
    return int(value) if value.is_integer() else Fraction(value)


def _common_scale(values: Sequence[int | Fraction]) -> tuple[list[int], int]:
    """Return numerators and their common denominator."""
    scale = math.lcm(*{value.denominator for value in values}) if values else 1
    return [value.numerator * (scale // value.denominator) for value in values], scale


class _Worst:
    """The largest violation so far, absolute and relative, and its place."""

    def __init__(self) -> None:
        self.worst, self.worst_relative = _ZERO, _ZERO
        self.count = 0
        self._at: int | None = None

    def add(
        self,
        place: int,
        violation: Fraction,
        side: Fraction,
        unit: Fraction = _ONE,
        *,
        whole: bool = False,
    ) -> None:
        self.count += 1
        relative = max(_ONE, violation) if whole else violation / max(unit, abs(side))
        self.worst = max(self.worst, violation)
        if relative > self.worst_relative:
            self.worst_relative, self._at = relative, place

    def where(self, names: tuple[str, ...]) -> str | None:
        return None if self._at is None else names[self._at]


def _bounds(model: ExactModel, point: Sequence[int | Fraction], units: Units) -> _Worst:
    worst = _Worst()
    for column, (value, lower, upper) in enumerate(
        zip(point, model.lower, model.upper, strict=True)
    ):
        if column in model.semicontinuous:
            _semicontinuous(
                worst, column, value, lower, upper, units.columns.get(column, _ONE)
            )
            continue
        # p / q against r / s without a division: comparison of Fractions takes five times as long.
        p, q = value.numerator, value.denominator
        if lower is not None and p * lower.denominator < lower.numerator * q:
            worst.add(
                column,
                lower - value,
                lower,
                units.columns.get(column, _ONE),
                whole=bool(model.integer[column]),
            )
        if upper is not None and p * upper.denominator > upper.numerator * q:
            worst.add(
                column,
                value - upper,
                upper,
                units.columns.get(column, _ONE),
                whole=bool(model.integer[column]),
            )
    return worst


def _semicontinuous(
    worst: _Worst,
    column: int,
    value: int | Fraction,
    lower: Fraction | None,
    upper: Fraction | None,
    unit: Fraction,
) -> None:
    """Add the distance to 0 or to the bounds, whichever is nearer."""
    exact = Fraction(value)
    side = (
        lower
        if lower is not None and exact < lower
        else upper
        if upper is not None and exact > upper
        else None
    )
    if side is None or exact == 0:
        return
    distance = abs(exact - side)
    if abs(exact) / unit < distance / max(unit, abs(side)):
        worst.add(column, abs(exact), _ZERO, unit)
    else:
        worst.add(column, distance, side, unit)


def _sets(model: ExactModel, point: Sequence[int | Fraction]) -> _Worst:
    """Measure SOS sets: the largest value outside the best window of `kind` neighbours."""
    worst = _Worst()
    for place, one in enumerate(model.sets):
        sizes = [abs(Fraction(point[column])) for column in one.columns]
        used = [at for at, size in enumerate(sizes) if size]
        if not used or used[-1] - used[0] < one.kind:
            continue
        windows = {begin for at in used for begin in range(at - one.kind + 1, at + 1)}
        outside = [
            max(
                (sizes[at] for at in used if not begin <= at < begin + one.kind),
                default=_ZERO,
            )
            for begin in windows
        ]
        worst.add(place, min(outside), _ZERO)
    return worst


def _sum_of_products(products: Products, point: Sequence[int | Fraction]) -> Fraction:
    return sum(
        (
            value * point[i] * point[j]
            for (i, j), value in products.items()
            if point[i] and point[j]
        ),
        _ZERO,
    )


def _rows(
    model: ExactModel,
    numerators: list[int],
    scale: int,
    point: Sequence[int | Fraction],
    units: Units,
) -> _Worst:
    coefficients, coefficient_scale = _common_scale(model.values)
    activity = [0] * model.m
    # Most of a solution is 0; `compress` skips the entries of those columns.
    used = map(numerators.__getitem__, model.entry_col)
    entries = zip(model.entry_row, model.entry_col, model.entry_value, strict=True)
    for row, column, value in compress(entries, used):
        activity[row] += numerators[column] * coefficients[value]
    total = scale * coefficient_scale
    worst = _Worst()
    for row, (sum_, lower, upper) in enumerate(
        zip(activity, model.row_lower, model.row_upper, strict=True)
    ):
        if row in model.indicators:
            binary, active_at = model.indicators[row]
            if point[binary] != active_at:
                continue
        if row in model.row_products:
            whole = Fraction(sum_, total) + _sum_of_products(
                model.row_products[row], point
            )
            if lower is not None and whole < lower:
                worst.add(row, lower - whole, lower)
            if upper is not None and whole > upper:
                worst.add(row, whole - upper, upper)
            continue
        # sum_ / total against p / q without a division
        if lower is not None and sum_ * lower.denominator < lower.numerator * total:
            violation = lower - Fraction(sum_, total)
            worst.add(
                row,
                violation,
                lower,
                units.rows.get(row, _ONE),
                whole=bool(units.whole[row]),
            )
        if upper is not None and sum_ * upper.denominator > upper.numerator * total:
            violation = Fraction(sum_, total) - upper
            worst.add(
                row,
                violation,
                upper,
                units.rows.get(row, _ONE),
                whole=bool(units.whole[row]),
            )
    return worst
