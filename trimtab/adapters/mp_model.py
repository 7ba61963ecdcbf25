"""Read OR-Tools' MPModelProto, `pywraplp.Solver` and `ModelBuilder` (by their MPModelProto)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from trimtab.adapters.draft import Draft, Terms, add_product
from trimtab.solution import Place

Locate = Callable[[Any], Place | None]


def read_pywraplp(solver: Any) -> tuple[Draft, Locate]:
    """Read a `pywraplp.Solver` through its proto, without solving or writing text."""
    proto = importlib.import_module(
        "ortools.linear_solver.linear_solver_pb2"
    ).MPModelProto()
    solver.ExportModelToProto(proto)
    draft = _draft(proto, "pywraplp.Solver")
    draft.check_complete(
        variables=int(solver.NumVariables()),
        constraints=int(solver.NumConstraints()) + len(proto.general_constraint),
    )
    # Names that the export generates ("auto_v_…") are not the user's.
    for column, variable in zip(draft.columns, solver.variables(), strict=True):
        column.name = str(variable.name())
    if not draft.start:
        draft.set_start(_solved(solver))
    return draft, _locate(
        len(draft.columns), "Variable", lambda variable: int(variable.index())
    )


def read_builder(model: Any) -> tuple[Draft, Locate]:
    """Read a `model_builder.Model` through its proto."""
    proto = model.export_to_proto()
    draft = _draft(proto, "ModelBuilder")
    draft.check_complete(
        variables=int(model.num_variables), constraints=int(model.num_constraints)
    )
    return draft, _locate(
        len(draft.columns), "Variable", lambda variable: int(variable.index)
    )


def read_proto(proto: Any) -> tuple[Draft, Locate]:
    """Read an `MPModelProto`; the user names its variables by index."""
    draft = _draft(proto, "MPModelProto")
    draft.check_complete(
        variables=len(proto.variable),
        constraints=len(proto.constraint) + len(proto.general_constraint),
    )
    return draft, _locate(len(draft.columns), "", lambda variable: int(variable))


def _draft(proto: Any, source: str) -> Draft:
    draft = Draft(source=source)
    costs: Terms = {}
    for place, variable in enumerate(proto.variable):
        draft.add_column(
            str(variable.name),
            variable.lower_bound,
            variable.upper_bound,
            integer=bool(variable.is_integer),
        )
        costs[place] = float(variable.objective_coefficient)
    draft.own_columns = len(draft.columns)
    for constraint in proto.constraint:
        terms = _terms(constraint.var_index, constraint.coefficient)
        draft.add_row(
            str(constraint.name), terms, constraint.lower_bound, constraint.upper_bound
        )
        draft.carried += 1
    for constraint in proto.general_constraint:
        _general(draft, constraint)
        draft.carried += 1
    quadratic = proto.quadratic_objective
    products: dict[tuple[int, int], float] = {}
    for first, second, value in zip(
        quadratic.qvar1_index, quadratic.qvar2_index, quadratic.coefficient, strict=True
    ):
        add_product(products, int(first), int(second), float(value))
    draft.set_objective(
        costs,
        float(proto.objective_offset),
        maximize=bool(proto.maximize),
        products=dict(products),
    )
    hint = proto.solution_hint
    draft.set_start(
        zip((int(place) for place in hint.var_index), hint.var_value, strict=True)
    )
    return draft


def _general(draft: Draft, constraint: Any) -> None:
    kind = constraint.WhichOneof("general_constraint")
    name = str(constraint.name)
    part: Any = getattr(constraint, kind) if kind else None
    if kind == "indicator_constraint":
        row = part.constraint
        if not draft.is_binary(int(part.var_index)):
            raise draft.refusal(
                f"the indicator constraint {name!r} whose indicator is not binary"
            )
        draft.add_row(
            name or str(row.name),
            _terms(row.var_index, row.coefficient),
            row.lower_bound,
            row.upper_bound,
            indicator=(int(part.var_index), int(part.var_value)),
        )
    elif kind == "sos_constraint":
        number = 2 if int(part.type) == 1 else 1  # SOS1_DEFAULT = 0, SOS2 = 1
        draft.add_set(
            name,
            number,
            [int(place) for place in part.var_index],
            [float(w) for w in part.weight],
        )
    elif kind == "quadratic_constraint":
        products: dict[tuple[int, int], float] = {}
        for first, second, value in zip(
            part.qvar1_index, part.qvar2_index, part.qcoefficient, strict=True
        ):
            add_product(products, int(first), int(second), float(value))
        terms = _terms(part.var_index, part.coefficient)
        draft.add_row(
            name, terms, part.lower_bound, part.upper_bound, products=dict(products)
        )
    elif kind in ("and_constraint", "or_constraint"):
        _logic(
            draft,
            name,
            [int(place) for place in part.var_index],
            int(part.resultant_var_index),
            kind,
        )
    else:
        raise draft.refusal(
            f"the {(kind or 'empty general constraint').replace('_', ' ')} {name!r}"
        )


def _logic(draft: Draft, name: str, columns: list[int], result: int, kind: str) -> None:
    """Add result = and(columns), or result = or(columns), over binaries."""
    if not all(draft.is_binary(column) for column in (*columns, result)):
        raise draft.refusal(
            f"the {kind.replace('_', ' ')} {name!r} over variables that are not binary"
        )
    add_and_or(draft, name, columns, result, conjunction=kind == "and_constraint")


def add_and_or(
    draft: Draft, name: str, columns: Iterable[int], result: int, *, conjunction: bool
) -> None:
    """Add result = min (conjunction) or max of binary columns, as exact linear rows."""
    members = list(dict.fromkeys(columns))
    infinite = float("inf")
    for number, column in enumerate(members):
        terms: Terms = {} if column == result else {result: 1, column: -1}
        sides = (-infinite, 0) if conjunction else (0, infinite)
        draft.add_row(f"{name}_{number}", terms, *sides)
    every: Terms = {result: 1}
    for column in members:
        every[column] = every.get(column, 0) - 1
    draft.add_row(
        f"{name}_all",
        every,
        1 - len(members) if conjunction else -infinite,
        infinite if conjunction else 0,
    )


def _terms(columns: Any, values: Any) -> Terms:
    terms: Terms = {}
    for column, value in zip(columns, values, strict=True):
        terms[int(column)] = terms.get(int(column), 0) + float(value)
    return terms


def _solved(solver: Any) -> list[tuple[int, float]]:
    """Return values of the last solve; before the first one OR-Tools has 0 everywhere."""
    values = [
        (place, float(variable.solution_value()))
        for place, variable in enumerate(solver.variables())
    ]
    return values if any(value for _, value in values) else []


def _locate(count: int, name: str, index_of: Callable[[Any], int]) -> Locate:
    def locate(variable: Any) -> Place | None:
        if name and type(variable).__name__ != name:
            return None
        if not name and (not isinstance(variable, int) or isinstance(variable, bool)):
            return None
        index = index_of(variable)
        return (index, False) if 0 <= index < count else None

    return locate
