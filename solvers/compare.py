"""Comparison of the exact reading of a file with that of HiGHS, before a run begins.

HiGHS 1.16 misreads some files without a warning: `OBJSENSE MAXIMIZE` on one line is minimised, a
right-hand side on a second N row becomes the constant of the objective, RANGES before RHS give
other ranges. The exact reader notes the rule by which it reads these parts; a difference beside
such a rule is decided by it, any other is refused. At the end of a run it would be a wrong answer,
here it is a message.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from solvers.errors import ModelError
from solvers.exact import ExactModel
from solvers.from_exact import from_exact
from solvers.types import MilpModel

_ARRAYS = (
    "c",
    "col_lower",
    "col_upper",
    "indptr",
    "indices",
    "data",
    "row_lower",
    "row_upper",
)
# Coefficients up to here are ignored; the exact check counts them.
_DROPPED_BY_HIGHS = 1e-9


def refuse_unruled_differences(exact: ExactModel, model: MilpModel) -> None:
    """Raise ModelError when the readings differ and the exact reader noted no rule."""
    if not exact.rules:
        refuse_differences(exact, model)


def refuse_differences(exact: ExactModel, model: MilpModel) -> None:
    """Raise ModelError when the readings differ."""
    different = differences(exact, model)
    if different:
        raise ModelError(
            "two independent readers understand the file differently, so a result could not be "
            "trusted: "
            + "; ".join(different[:5])
            + ". Write that part the common way (see deploy/docs/guide/reading-models.md)"
        )


def differences(exact: ExactModel, model: MilpModel) -> list[str]:
    """Return sentences about differences; none for equal models up to rounding to doubles."""
    if model.extras is not None or not exact.linear:
        return _special_differences(exact, model)
    different = _shape_differences(exact, model)
    if not different:
        different += _vector_differences(exact, model)
        different += _entry_differences(exact, model)
    return different


def _differ(what: str, ours: object, theirs: object) -> str:
    return f"{what}: {ours!s:.80} here, {theirs!s:.80} by HiGHS"


def _shape_differences(exact: ExactModel, model: MilpModel) -> list[str]:
    """Compare sense, sizes and names, without which vectors cannot be compared."""
    different: list[str] = []
    if exact.maximize != model.maximize:
        senses = ("minimise", "maximise")
        different.append(_differ("sense", senses[exact.maximize], senses[model.maximize]))
    if exact.n != model.n:
        different.append(_differ("variables", exact.n, model.n))
    if exact.m != model.m:
        different.append(_differ("rows", exact.m, model.m))
    if (
        not different
        and model.col_names is not None
        and model.col_names != exact.col_names
    ):
        pairs = zip(exact.col_names, model.col_names, strict=True)
        place = next(i for i, (ours, theirs) in enumerate(pairs) if ours != theirs)
        different.append(
            _differ(
                f"name of variable {place + 1}",
                exact.col_names[place],
                model.col_names[place],
            )
        )
    return different


def _vector_differences(exact: ExactModel, model: MilpModel) -> list[str]:
    """Compare constant, costs, bounds, integrality and sides."""
    different: list[str] = []
    sign = -1.0 if model.maximize else 1.0
    if _double(exact.offset) != sign * model.offset:
        different.append(
            _differ("objective's constant", float(exact.offset), sign * model.offset)
        )
    costs = np.zeros(exact.n)
    for column, cost in exact.objective.items():
        costs[column] = _double(cost)
    integer = np.frombuffer(bytes(exact.integer), dtype=np.uint8)
    row_lower, row_upper = (
        _sides(exact.row_lower, -np.inf),
        _sides(exact.row_upper, np.inf),
    )
    names = exact.col_names
    for what, ours, theirs, labels in (
        ("cost of", costs, sign * model.c, names),
        ("lower bound of", _sides(exact.lower, -np.inf), model.col_lower, names),
        ("upper bound of", _sides(exact.upper, np.inf), model.col_upper, names),
        ("integrality of", integer, model.integrality, names),
        ("lower side of", row_lower, model.row_lower, exact.row_names),
        ("upper side of", row_upper, model.row_upper, exact.row_names),
    ):
        # RANGES make sums of decimals, which two readers may round to neighbouring doubles.
        with np.errstate(invalid="ignore"):
            same = (ours == theirs) | (
                np.abs(ours - theirs) <= 1e-12 * np.maximum(1.0, np.abs(theirs))
            )
        if not same.all():
            at = int(np.flatnonzero(~same)[0])
            different.append(_differ(f"{what} {labels[at][:60]!r}", ours[at], theirs[at]))
    return different


def _special_differences(exact: ExactModel, model: MilpModel) -> list[str]:
    """Compare a model that HiGHS does not read, and that another exact reading was made to."""
    ours = from_exact(exact)
    plain = ("maximize", "offset", "col_names", "row_names")
    wrong = [name for name in plain if getattr(ours, name) != getattr(model, name)]
    arrays = (*_ARRAYS, "integrality")
    wrong += [
        name
        for name in arrays
        if not np.array_equal(getattr(ours, name), getattr(model, name))
    ]
    words = [
        None if one.extras is None else one.extras.as_json() for one in (ours, model)
    ]
    if words[0] != words[1]:
        wrong.append(
            " and ".join(ours.beyond_linear) or "nothing that is not linear here"
        )
    return [f"{name.replace('_', ' ')} of a model that is not linear" for name in wrong]


def _entry_differences(exact: ExactModel, model: MilpModel) -> list[str]:
    """Compare the coefficients."""
    if exact.nnz:
        values = np.array([_double(value) for value in exact.values])
        rows = np.frombuffer(exact.entry_row, dtype=np.int32)
        columns = np.frombuffer(exact.entry_col, dtype=np.int32)
        data = values[np.frombuffer(exact.entry_value, dtype=np.int32)]
    else:
        rows = columns = np.zeros(0, dtype=np.int32)
        data = np.zeros(0)
    ours = _sorted_entries(rows, columns, data, model.n)
    theirs = _sorted_entries(model.row_of_entry, model.indices, model.data, model.n)
    if len(ours[0]) != len(theirs[0]):
        return [_differ("coefficients", len(ours[0]), len(theirs[0]))]
    wrong = np.flatnonzero(
        (ours[0] != theirs[0]) | (np.abs(ours[1] - theirs[1]) > 1e-12 * np.abs(ours[1]))
    )
    if not len(wrong):
        return []
    row, column = divmod(int(ours[0][wrong[0]]), model.n)
    return [
        _differ(
            f"coefficient of {exact.col_names[column][:60]!r} "
            f"in row {exact.row_names[row][:60]!r}",
            ours[1][wrong[0]],
            theirs[1][wrong[0]],
        )
    ]


def _sorted_entries(
    rows: np.ndarray[tuple[int], np.dtype[np.int32]],
    columns: np.ndarray[tuple[int], np.dtype[np.int32]],
    data: np.ndarray[tuple[int], np.dtype[np.float64]],
    n: int,
) -> tuple[
    np.ndarray[tuple[int], np.dtype[np.int64]],
    np.ndarray[tuple[int], np.dtype[np.float64]],
]:
    counted = np.abs(data) > _DROPPED_BY_HIGHS
    place = rows[counted].astype(np.int64) * n + columns[counted]
    order = np.argsort(place, kind="stable")
    return place[order], data[counted][order]


def _double(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _sides(
    values: list[Fraction | None], absent: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    doubles: dict[Fraction, float] = {}
    out = np.full(len(values), absent)
    for place, value in enumerate(values):
        if value is not None:
            number = doubles.get(value)
            if number is None:
                number = doubles[value] = _double(value)
            out[place] = number
    return out
