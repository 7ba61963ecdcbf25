"""Read `highspy.Highs`: its LP, Hessian and types, by `getModel`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trimtab.adapters.draft import Draft, NotCarriedOver, Products, add_product
from trimtab.solution import Place

_CONTINUOUS, _INTEGER, _SEMICONTINUOUS, _SEMIINTEGER, _IMPLIED = range(5)


def read(highs: Any) -> tuple[Draft, Callable[[Any], Place | None]]:
    """Read the model in the engine. Raises NotCarriedOver."""
    draft = Draft(source="highspy.Highs")
    _refuse_what_is_outside(highs, draft)
    model = highs.getModel()
    lp = model.lp_
    if lp.is_scaled_:
        raise draft.refusal("a model that HiGHS has scaled (run clearSolver first)")
    columns, rows = int(lp.num_col_), int(lp.num_row_)
    types = [int(kind) for kind in lp.integrality_] or [_CONTINUOUS] * columns
    names = _names(lp.col_names_, columns)
    for name, lower, upper, kind in zip(
        names, list(lp.col_lower_), list(lp.col_upper_), types, strict=True
    ):
        draft.add_column(
            name,
            float(lower),
            float(upper),
            integer=kind in (_INTEGER, _SEMIINTEGER, _IMPLIED),
            semicontinuous=kind in (_SEMICONTINUOUS, _SEMIINTEGER),
        )
    draft.own_columns = columns
    terms = _entries(lp.a_matrix_, rows)
    lower, upper = list(lp.row_lower_), list(lp.row_upper_)
    for row, name in enumerate(_names(lp.row_names_, rows)):
        draft.add_row(name, terms[row], float(lower[row]), float(upper[row]))
        draft.carried += 1
    draft.set_objective(
        {column: float(cost) for column, cost in enumerate(lp.col_cost_)},
        float(lp.offset_),
        maximize="max" in str(lp.sense_).lower(),
        products=_hessian(model.hessian_),
    )
    solution = highs.getSolution()
    if solution.value_valid and len(solution.col_value) == columns:
        draft.set_start(enumerate(solution.col_value))
    draft.check_complete(
        variables=int(highs.getNumCol()), constraints=int(highs.getNumRow())
    )

    def locate(variable: Any) -> Place | None:
        if type(variable).__name__ == "highs_var":
            return _within(int(variable.index), columns)
        return (
            _within(variable, columns)
            if isinstance(variable, int) and not isinstance(variable, bool)
            else None
        )

    return draft, locate


def _refuse_what_is_outside(highs: Any, draft: Draft) -> None:
    """Refuse objectives and rows that are not in the LP."""
    objectives = getattr(highs, "getNumLinearObjectives", lambda: 0)()
    if objectives:
        raise draft.refusal(f"{objectives} linear objectives (addLinearObjective)")
    lazy = getattr(highs, "cbMipDefineLazyConstraints", None)
    if getattr(lazy, "callbacks", None):
        raise draft.refusal(
            "lazy constraints from a callback (cbMipDefineLazyConstraints)"
        )


def _names(names: Any, count: int) -> list[str]:
    try:
        own = [str(name) for name in names]
    except UnicodeDecodeError:
        own = []
    return own if len(own) == count else [""] * count


def _entries(matrix: Any, rows: int) -> list[dict[int, float]]:
    """Return column → coefficient for each row; repeated entries are summed."""
    by_row: list[dict[int, float]] = [{} for _ in range(rows)]
    starts, indices, values = (
        list(matrix.start_),
        list(matrix.index_),
        list(matrix.value_),
    )
    columnwise = "col" in str(matrix.format_).lower()
    for major in range(len(starts) - 1):
        for entry in range(int(starts[major]), int(starts[major + 1])):
            minor = int(indices[entry])
            row, column = (minor, major) if columnwise else (major, minor)
            by_row[row][column] = by_row[row].get(column, 0.0) + float(values[entry])
    return by_row


def _hessian(hessian: Any) -> Products:
    """Return the products of ½ xᵀQx.

    A triangular Hessian has the lower triangle by columns, a square one both triangles.
    """
    products: Products = {}
    if not int(hessian.dim_):
        return products
    starts, indices, values = (
        list(hessian.start_),
        list(hessian.index_),
        list(hessian.value_),
    )
    square = "square" in str(hessian.format_).lower()
    if not square and "triangular" not in str(hessian.format_).lower():
        raise NotCarriedOver(
            f"highspy.Highs: expected a triangular or square Hessian, got {hessian.format_}"
        )
    for column in range(int(hessian.dim_)):
        for entry in range(int(starts[column]), int(starts[column + 1])):
            row = int(indices[entry])
            factor = 0.5 if square or row == column else 1.0
            add_product(products, row, column, factor * float(values[entry]))
    return products


def _within(index: int, count: int) -> Place | None:
    return (index, False) if 0 <= index < count else None
