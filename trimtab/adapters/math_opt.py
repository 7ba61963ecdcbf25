"""Read OR-Tools MathOpt's `mathopt.Model` and its ModelProto."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trimtab.adapters.draft import Draft, Products, Terms, add_product
from trimtab.solution import Place

_MISSING = ("auxiliary_objectives", "second_order_cone_constraints")


def read(model: Any) -> tuple[Draft, Callable[[Any], Place | None]]:
    """Read a `mathopt.Model` through its proto."""
    draft, places = _draft(model.export_model(), "MathOpt Model")
    constraints = sum(
        int(getattr(model, f"get_num_{kind}_constraints")())
        for kind in ("linear", "quadratic", "indicator")
    )
    draft.check_complete(
        variables=int(model.get_num_variables()),
        # SOS sets have no count in the Python API; the proto's own is compared in `_draft`.
        constraints=constraints + len(draft.sets),
    )

    def locate(variable: Any) -> Place | None:
        if type(variable).__name__ != "Variable" or not type(
            variable
        ).__module__.startswith("ortools.math_opt"):
            return None
        owner, own = (
            getattr(variable, "elemental", None),
            getattr(model, "_elemental", None),
        )
        if owner is not None and own is not None and owner is not own:
            return None
        place = places.get(int(variable.id))
        return None if place is None else (place, False)

    return draft, locate


def read_proto(proto: Any) -> tuple[Draft, Callable[[Any], Place | None]]:
    """Read a `ModelProto`; the user names its variables by id."""
    draft, places = _draft(proto, "MathOpt ModelProto")
    draft.check_complete(
        variables=len(proto.variables.ids),
        constraints=len(proto.linear_constraints.ids)
        + len(proto.quadratic_constraints)
        + len(proto.indicator_constraints)
        + len(proto.sos1_constraints)
        + len(proto.sos2_constraints),
    )

    def locate(variable: Any) -> Place | None:
        place = (
            places.get(variable)
            if isinstance(variable, int) and not isinstance(variable, bool)
            else None
        )
        return None if place is None else (place, False)

    return draft, locate


def _draft(proto: Any, source: str) -> tuple[Draft, dict[int, int]]:
    draft = Draft(source=source)
    for part in _MISSING:
        if len(getattr(proto, part, ())):
            raise draft.refusal(part.replace("_", " "))
    supported = {
        "name",
        "variables",
        "objective",
        "linear_constraints",
        "linear_constraint_matrix",
    } | {f"{kind}_constraints" for kind in ("quadratic", "indicator", "sos1", "sos2")}
    for part in proto.DESCRIPTOR.fields:
        # A later MathOpt may have constraints that this adapter does not know.
        if (
            part.name not in supported
            and part.name not in _MISSING
            and len(getattr(proto, part.name))
        ):
            raise draft.refusal(part.name.replace("_", " "))
    variables = proto.variables
    places = {int(number): place for place, number in enumerate(variables.ids)}
    names = list(variables.names) or [""] * len(places)
    for name, lower, upper, integer in zip(
        names,
        variables.lower_bounds,
        variables.upper_bounds,
        variables.integers,
        strict=True,
    ):
        draft.add_column(str(name), lower, upper, integer=bool(integer))
    draft.own_columns = len(draft.columns)
    _linear_rows(draft, proto, places)
    for _, row in sorted(proto.quadratic_constraints.items()):
        draft.add_row(
            str(row.name),
            _vector(row.linear_terms, places),
            row.lower_bound,
            row.upper_bound,
            products=_matrix(row.quadratic_terms, places),
        )
        draft.carried += 1
    for _, row in sorted(proto.indicator_constraints.items()):
        _indicator(draft, row, places)
        draft.carried += 1
    for kind, sets in ((1, proto.sos1_constraints), (2, proto.sos2_constraints)):
        for _, one in sorted(sets.items()):
            _set(draft, kind, one, places)
            draft.carried += 1
    objective = proto.objective
    draft.set_objective(
        _vector(objective.linear_coefficients, places),
        float(objective.offset),
        maximize=bool(objective.maximize),
        products=_matrix(objective.quadratic_coefficients, places),
    )
    return draft, places


def _linear_rows(draft: Draft, proto: Any, places: dict[int, int]) -> None:
    rows = proto.linear_constraints
    terms: dict[int, Terms] = {int(number): {} for number in rows.ids}
    matrix = proto.linear_constraint_matrix
    for row, column, value in zip(
        matrix.row_ids, matrix.column_ids, matrix.coefficients, strict=True
    ):
        terms[int(row)][places[int(column)]] = float(value)
    names = list(rows.names) or [""] * len(rows.ids)
    for number, name, lower, upper in zip(
        rows.ids, names, rows.lower_bounds, rows.upper_bounds, strict=True
    ):
        draft.add_row(str(name), terms[int(number)], lower, upper)
        draft.carried += 1


def _indicator(draft: Draft, row: Any, places: dict[int, int]) -> None:
    if not row.HasField("indicator_id"):  # its variable was deleted: it never applies
        return
    column = places[int(row.indicator_id)]
    if not draft.is_binary(column):
        raise draft.refusal(
            f"the indicator constraint {str(row.name)!r} whose indicator is not binary"
        )
    value = 0 if getattr(row, "activate_on_zero", False) else 1
    terms = _vector(row.expression, places)
    draft.add_row(
        str(row.name), terms, row.lower_bound, row.upper_bound, indicator=(column, value)
    )


def _set(draft: Draft, kind: int, one: Any, places: dict[int, int]) -> None:
    """Add SOS sets; a member that is not a bare variable gets an auxiliary variable."""
    columns: list[int] = []
    for number, expression in enumerate(one.expressions):
        terms, offset = _vector(expression, places), float(expression.offset)
        if len(terms) == 1 and offset == 0 and 1.0 in terms.values():
            columns.append(next(iter(terms)))
            continue
        infinite = float("inf")
        column = draft.add_column(
            f"{one.name}_{number}", -infinite, infinite, integer=False
        )
        draft.add_row(f"{one.name}_{number}", {**terms, column: -1.0}, -offset, -offset)
        columns.append(column)
    draft.add_set(str(one.name), kind, columns, [float(weight) for weight in one.weights])


def _vector(vector: Any, places: dict[int, int]) -> Terms:
    """Return the terms of a SparseDoubleVector or a linear expression."""
    coefficients = (
        vector.coefficients if hasattr(vector, "coefficients") else vector.values
    )
    return {
        places[int(i)]: float(value)
        for i, value in zip(vector.ids, coefficients, strict=True)
    }


def _matrix(matrix: Any, places: dict[int, int]) -> Products:
    products: Products = {}
    for first, second, value in zip(
        matrix.row_ids, matrix.column_ids, matrix.coefficients, strict=True
    ):
        add_product(products, places[int(first)], places[int(second)], float(value))
    return products
