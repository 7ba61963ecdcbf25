"""Comparison of two readings of one file, the exact one and the one of HiGHS, before anything runs.

HiGHS 1.16 takes some files otherwise than written, without a word: `OBJSENSE MAXIMIZE` on one line is minimised, a
right-hand side on a second N row becomes the objective's constant, RANGES before RHS give other ranges. The exact reader
knows these parts and notes the rule by which it reads them; a difference beside such a rule is settled by it, any other is
refused. Detected at the end of a run, it would be a wrong answer; detected here, it is a message.
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
_DROPPED_BY_HIGHS = 1e-9  # coefficients up to here are left out of its matrix; the exact check still counts them


def refuse_unruled_differences(exact: ExactModel, model: MilpModel) -> None:
    """Raise ModelError when the readings differ, unless the exact reader noted a rule that may be why."""
    if not exact.rules:
        refuse_differences(exact, model)


def refuse_differences(exact: ExactModel, model: MilpModel) -> None:
    """Raise ModelError when the readings differ."""
    found = differences(exact, model)
    if found:
        raise ModelError(
            "two independent readers understand the file differently, so a result could not be trusted: "
            + "; ".join(found[:5])
            + ". Write that part the common way (see deploy/docs/guide/reading-models.md)"
        )


def differences(exact: ExactModel, model: MilpModel) -> list[str]:
    """Where the two readings differ; empty when they are the same model up to rounding to doubles."""
    if model.extras is not None or not exact.linear:
        return _special_differences(exact, model)
    found: list[str] = []

    def differ(what: str, ours: object, theirs: object) -> None:
        found.append(f"{what}: {ours!s:.80} here, {theirs!s:.80} by HiGHS")

    if exact.maximize != model.maximize:
        differ(
            "sense",
            "maximise" if exact.maximize else "minimise",
            "maximise" if model.maximize else "minimise",
        )
    if exact.n != model.n:
        differ("variables", exact.n, model.n)
    if exact.m != model.m:
        differ("rows", exact.m, model.m)
    if found:
        return found
    if model.col_names is not None and model.col_names != exact.col_names:
        place = next(
            i
            for i, (a, b) in enumerate(zip(exact.col_names, model.col_names, strict=True))
            if a != b
        )
        differ(
            f"name of variable {place + 1}", exact.col_names[place], model.col_names[place]
        )
        return found
    sign = -1.0 if model.maximize else 1.0
    if _double(exact.offset) != sign * model.offset:
        differ("objective's constant", float(exact.offset), sign * model.offset)
    costs = np.zeros(exact.n)
    for column, cost in exact.objective.items():
        costs[column] = _double(cost)
    names = exact.col_names
    for what, ours, theirs, labels in (
        ("cost of", costs, sign * model.c, names),
        ("lower bound of", _sides(exact.lower, -np.inf), model.col_lower, names),
        ("upper bound of", _sides(exact.upper, np.inf), model.col_upper, names),
        (
            "integrality of",
            np.frombuffer(bytes(exact.integer), dtype=np.uint8),
            model.integrality,
            names,
        ),
        (
            "lower side of",
            _sides(exact.row_lower, -np.inf),
            model.row_lower,
            exact.row_names,
        ),
        (
            "upper side of",
            _sides(exact.row_upper, np.inf),
            model.row_upper,
            exact.row_names,
        ),
    ):
        # RANGES make sums of decimals, which two readers may round to neighbouring doubles.
        with np.errstate(invalid="ignore"):
            same = (ours == theirs) | (
                np.abs(ours - theirs) <= 1e-12 * np.maximum(1.0, np.abs(theirs))
            )
        if not same.all():
            at = int(np.flatnonzero(~same)[0])
            differ(f"{what} {labels[at][:60]!r}", ours[at], theirs[at])
    _compare_entries(exact, model, found)
    return found


def _special_differences(exact: ExactModel, model: MilpModel) -> list[str]:
    """A model that HiGHS does not read: it was made by another run of the exact reader, and must be what this one makes."""
    ours = from_exact(exact)
    plain = ("maximize", "offset", "col_names", "row_names")
    wrong = [name for name in plain if getattr(ours, name) != getattr(model, name)]
    arrays = (*_ARRAYS, "integrality")
    wrong += [
        name
        for name in arrays
        if not np.array_equal(getattr(ours, name), getattr(model, name))
    ]
    words = [None if one.extras is None else one.extras.as_json() for one in (ours, model)]
    if words[0] != words[1]:
        wrong.append(" and ".join(ours.beyond_linear) or "nothing that is not linear here")
    return [f"{name.replace('_', ' ')} of a model that is not linear" for name in wrong]


def _compare_entries(exact: ExactModel, model: MilpModel, found: list[str]) -> None:
    values = np.array([_double(value) for value in exact.values] or [0.0])
    data = (
        values[np.frombuffer(exact.entry_value, dtype=np.int32)]
        if exact.nnz
        else np.zeros(0)
    )
    ours = _sorted_entries(
        np.frombuffer(exact.entry_row, dtype=np.int32)
        if exact.nnz
        else np.zeros(0, dtype=np.int32),
        np.frombuffer(exact.entry_col, dtype=np.int32)
        if exact.nnz
        else np.zeros(0, dtype=np.int32),
        data,
        model.n,
    )
    theirs = _sorted_entries(model.row_of_entry, model.indices, model.data, model.n)
    if len(ours[0]) != len(theirs[0]):
        found.append(f"coefficients: {len(ours[0])} here, {len(theirs[0])} by HiGHS")
        return
    wrong = np.flatnonzero(
        (ours[0] != theirs[0]) | (np.abs(ours[1] - theirs[1]) > 1e-12 * np.abs(ours[1]))
    )
    if len(wrong):
        row, column = divmod(int(ours[0][wrong[0]]), model.n)
        found.append(
            f"coefficient of {exact.col_names[column][:60]!r} in row {exact.row_names[row][:60]!r}: "
            f"{ours[1][wrong[0]]} here, {theirs[1][wrong[0]]} by HiGHS"
        )


def _sorted_entries(
    rows: np.ndarray[tuple[int], np.dtype[np.int32]],
    columns: np.ndarray[tuple[int], np.dtype[np.int32]],
    data: np.ndarray[tuple[int], np.dtype[np.float64]],
    n: int,
) -> tuple[
    np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.float64]]
]:
    kept = np.abs(data) > _DROPPED_BY_HIGHS
    place = rows[kept].astype(np.int64) * n + columns[kept]
    order = np.argsort(place, kind="stable")
    return place[order], data[kept][order]


def _double(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _sides(
    values: list[Fraction | None], absent: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    known: dict[Fraction, float] = {}
    out = np.full(len(values), absent)
    for place, value in enumerate(values):
        if value is not None:
            number = known.get(value)
            if number is None:
                number = known[value] = _double(value)
            out[place] = number
    return out
