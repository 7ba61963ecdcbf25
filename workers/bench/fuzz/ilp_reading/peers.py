"""Readings of a text by the exact reader, HiGHS and SCIP, in one form that can be compared.

A `Meaning` has variables and rows by content, not by order: readers number and keep rows
differently.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highspy

from solvers.exact import ExactModel

_INFINITE = 1e20
_DROPPED = 1e-9  # HiGHS drops coefficients up to this size

RowKey = tuple[tuple[tuple[str, float], ...], float, float]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """Content of a linear model."""

    maximize: bool
    offset: float
    columns: Mapping[str, tuple[float, float, bool, float]]
    """Name → lower, upper, integer, cost."""
    rows: Counter[RowKey]
    """Terms by name, lower side, upper side."""


def difference(one: Meaning, other: Meaning) -> str:
    """Describe where two meanings differ; empty when they are equal."""
    if one.maximize != other.maximize:
        return f"maximize: {one.maximize} and {other.maximize}"
    if not _near(one.offset, other.offset):
        return f"constant: {one.offset} and {other.offset}"
    for name in sorted({*one.columns, *other.columns}):
        mine, theirs = one.columns.get(name), other.columns.get(name)
        if mine is None or theirs is None:
            return f"variable {name!r}: {mine} and {theirs}"
        if mine[2] != theirs[2] or not all(
            _near(a, b) for a, b in zip(mine, theirs, strict=True)
        ):
            return f"variable {name!r}: {mine} and {theirs}"
    if one.rows != other.rows:
        mine_only = list((one.rows - other.rows).elements())[:2]
        theirs_only = list((other.rows - one.rows).elements())[:2]
        return f"rows: {mine_only} and {theirs_only}"
    return ""


def of_exact(model: ExactModel) -> Meaning:
    """Return the meaning of an exact model."""
    names = model.col_names
    terms: list[list[tuple[str, float]]] = [[] for _ in model.row_names]
    for row, column, value in zip(
        model.entry_row, model.entry_col, model.entry_value, strict=True
    ):
        terms[row].append((names[column], float(model.values[value])))
    return Meaning(
        maximize=model.maximize,
        offset=float(model.offset),
        columns={
            name: (
                -math.inf if low is None else float(low),
                math.inf if high is None else float(high),
                bool(whole),
                float(model.objective.get(index, 0)),
            )
            for index, (name, low, high, whole) in enumerate(
                zip(names, model.lower, model.upper, model.integer, strict=True)
            )
        },
        rows=rows_of(
            (
                row,
                -math.inf if low is None else float(low),
                math.inf if high is None else float(high),
            )
            for row, low, high in zip(
                terms, model.row_lower, model.row_upper, strict=True
            )
        ),
    )


def of_highs(path: Path) -> Meaning | None:
    """Return HiGHS' reading; None when it refuses, or warns that it left something out."""
    engine: Any = highspy._core._Highs()
    log = path.with_name("highs.log")
    log.unlink(missing_ok=True)
    engine.setOptionValue("log_to_console", False)
    engine.setOptionValue("log_file", str(log))
    status = engine.readModel(str(path))
    engine.setOptionValue("log_file", "")
    messages = log.read_text(errors="replace") if log.is_file() else ""
    if status == highspy.HighsStatus.kError or "WARNING" in messages:
        return None
    lp = engine.getLp()
    if engine.getHessianNumNz() or any(int(kind) in (2, 3) for kind in lp.integrality_):
        return None
    engine.ensureRowwise()
    lp = engine.getLp()
    names = list(lp.col_names_)
    matrix = lp.a_matrix_
    starts, indices, values = (
        list(matrix.start_),
        list(matrix.index_),
        list(matrix.value_),
    )
    types = [int(kind) for kind in lp.integrality_] or [0] * len(names)
    return Meaning(
        maximize=lp.sense_ == highspy.ObjSense.kMaximize,
        offset=float(lp.offset_),
        columns={
            name: (_side(low), _side(high), kind in (1, 4), float(cost))
            for name, low, high, kind, cost in zip(
                names, lp.col_lower_, lp.col_upper_, types, lp.col_cost_, strict=True
            )
        },
        rows=rows_of(
            (
                [
                    (names[indices[entry]], float(values[entry]))
                    for entry in range(starts[row], starts[row + 1])
                ],
                low,
                high,
            )
            for row, (low, high) in enumerate(
                zip(lp.row_lower_, lp.row_upper_, strict=True)
            )
        ),
    )


def of_scip(path: Path) -> Meaning | None:
    """Return SCIP's reading; None when it refuses, or when something is not linear."""
    from pyscipopt import Model

    model = Model()
    model.hideOutput()
    try:
        model.readProblem(str(path))
    except (OSError, Exception):  # SCIP raises errors of many types
        return None
    rows: list[tuple[list[tuple[str, float]], float, float]] = []
    for constraint in model.getConss(transformed=False):
        if constraint.getConshdlrName() != "linear":
            return None
        rows.append(
            (
                [
                    (str(variable.name), float(value))
                    for variable, value in zip(
                        model.getConsVars(constraint),
                        model.getConsVals(constraint),
                        strict=True,
                    )
                ],
                float(model.getLhs(constraint)),
                float(model.getRhs(constraint)),
            )
        )
    return Meaning(
        maximize=str(model.getObjectiveSense()) == "maximize",
        offset=float(model.getObjoffset(original=True)),
        columns={
            str(variable.name): (
                _side(variable.getLbOriginal()),
                _side(variable.getUbOriginal()),
                bool(variable.isIntegral()),
                float(variable.getObj()),
            )
            for variable in model.getVars(transformed=False)
        },
        rows=rows_of(rows),
    )


def rows_of(rows: Any) -> Counter[RowKey]:
    """Return rows with equal terms summed and numbers rounded to 12 digits, without empty rows."""
    counted: Counter[RowKey] = Counter()
    for terms, lower, upper in rows:
        sums: dict[str, float] = {}
        for name, value in terms:
            sums[name] = sums.get(name, 0.0) + value
        nonzero = ((name, value) for name, value in sums.items() if abs(value) > _DROPPED)
        entries = tuple(sorted((name, _rounded(value)) for name, value in nonzero))
        low, high = _side(lower), _side(upper)
        if (low == -math.inf and high == math.inf) or (not entries and low <= 0 <= high):
            continue
        counted[(entries, _rounded(low), _rounded(high))] += 1
    return counted


def _side(value: float) -> float:
    if abs(value) >= _INFINITE:
        return math.copysign(math.inf, value)
    return float(value)


def _rounded(value: float) -> float:
    return value if math.isinf(value) else float(f"{value:.12g}") + 0.0


def _near(one: float, other: float) -> bool:
    return one == other or abs(one - other) <= 1e-12 * max(1.0, abs(one))
