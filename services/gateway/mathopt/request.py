"""Requests of MathOpt's remote client: JSON of SolveMathOptModelRequest, as a draft and options.

The names are those of google/protobuf JSON: 64-bit integers come as text, infinities as "Infinity".
Defaults are left out by the client.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from trimtab.adapters.draft import (
    Draft,
    NotCarriedOver,
    Number,
    Products,
    Terms,
    add_product,
)

_MOST_NAME = 200
_ENGINES = {
    "SOLVER_TYPE_GSCIP": "scip",
    "SOLVER_TYPE_CP_SAT": "cp-sat",
    "SOLVER_TYPE_HIGHS": "highs",
}
# Settings of the way, not of the answer: they are named in `messages`.
_WITHOUT_EFFECT = ("lp_algorithm", "presolve", "cuts", "heuristics", "scaling")


def _seconds(value: Any) -> Any:
    """Return the seconds of a protobuf Duration: digits and an s."""
    if isinstance(value, str) and value.endswith("s"):
        return value[:-1]
    return value


Double = Annotated[float, Field(strict=False)]
Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]


class _Message(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True
    )


class SparseVector(_Message):
    """Values by id."""

    ids: tuple[int, ...] = ()
    values: tuple[float, ...] = ()


class SparseMatrix(_Message):
    """Coefficients by row and column."""

    row_ids: tuple[int, ...] = ()
    column_ids: tuple[int, ...] = ()
    coefficients: tuple[float, ...] = ()


class _Variables(_Message):
    ids: tuple[int, ...] = ()
    lower_bounds: tuple[Double, ...] = ()
    upper_bounds: tuple[Double, ...] = ()
    integers: tuple[bool, ...] = ()
    names: tuple[str, ...] = ()


class _Rows(_Message):
    ids: tuple[int, ...] = ()
    lower_bounds: tuple[Double, ...] = ()
    upper_bounds: tuple[Double, ...] = ()
    names: tuple[str, ...] = ()


class _Objective(_Message):
    maximize: bool = False
    offset: float = 0.0
    linear_coefficients: SparseVector = SparseVector()
    quadratic_coefficients: SparseMatrix = SparseMatrix()
    name: str = ""
    priority: int = 0


class _QuadraticRow(_Message):
    linear_terms: SparseVector = SparseVector()
    quadratic_terms: SparseMatrix = SparseMatrix()
    lower_bound: Double = 0.0
    upper_bound: Double = 0.0
    name: str = ""


class _LinearExpression(_Message):
    ids: tuple[int, ...] = ()
    coefficients: tuple[float, ...] = ()
    offset: float = 0.0


class _SosRow(_Message):
    expressions: tuple[_LinearExpression, ...] = ()
    weights: tuple[float, ...] = ()
    name: str = ""


class _IndicatorRow(_Message):
    indicator_id: int | None = None
    activate_on_zero: bool = False
    expression: SparseVector = SparseVector()
    lower_bound: Double = 0.0
    upper_bound: Double = 0.0
    name: str = ""


class Model(_Message):
    """ModelProto."""

    name: str = ""
    variables: _Variables = _Variables()
    objective: _Objective = _Objective()
    auxiliary_objectives: dict[str, Any] = {}
    linear_constraints: _Rows = _Rows()
    linear_constraint_matrix: SparseMatrix = SparseMatrix()
    quadratic_constraints: dict[int, _QuadraticRow] = {}
    second_order_cone_constraints: dict[str, Any] = {}
    sos1_constraints: dict[int, _SosRow] = {}
    sos2_constraints: dict[int, _SosRow] = {}
    indicator_constraints: dict[int, _IndicatorRow] = {}


class Parameters(_Message):
    """SolveParametersProto."""

    time_limit: Duration | None = None
    iteration_limit: int | None = None
    node_limit: int | None = None
    cutoff_limit: float | None = None
    objective_limit: float | None = None
    best_bound_limit: float | None = None
    solution_limit: int | None = None
    enable_output: bool = False
    threads: int | None = None
    random_seed: int | None = None
    absolute_gap_tolerance: float | None = None
    relative_gap_tolerance: float | None = None
    solution_pool_size: int | None = None
    lp_algorithm: str = ""
    presolve: str = ""
    cuts: str = ""
    heuristics: str = ""
    scaling: str = ""


class Filter(_Message):
    """SparseVectorFilterProto."""

    skip_zero_values: bool = False
    filter_by_ids: bool = False
    filtered_ids: tuple[int, ...] = ()


class Hint(_Message):
    """SolutionHintProto."""

    variable_values: SparseVector = SparseVector()
    dual_values: SparseVector = SparseVector()


class ModelParameters(_Message):
    """ModelSolveParametersProto."""

    variable_values_filter: Filter = Filter()
    dual_values_filter: Filter = Filter()
    reduced_costs_filter: Filter = Filter()
    initial_basis: dict[str, Any] = {}
    solution_hints: tuple[Hint, ...] = ()
    branching_priorities: SparseVector = SparseVector()


class SolveRequest(_Message):
    """SolveMathOptModelRequest."""

    solver_type: str = "SOLVER_TYPE_UNSPECIFIED"
    model: Model = Model()
    parameters: Parameters = Parameters()
    model_parameters: ModelParameters = ModelParameters()
    resources: dict[str, Any] = {}

    def spec_fields(self) -> dict[str, Any]:
        """Return the fields of an ilp spec. Raises NotCarriedOver for what has no counterpart."""
        p = self.parameters
        if p.iteration_limit is not None:
            raise _refusal("parameters.iteration_limit", "use time_limit or node_limit")
        fields = {
            "engine": _ENGINES.get(self.solver_type),
            "threads": p.threads,
            "absolute_gap": p.absolute_gap_tolerance,
            "cutoff": p.cutoff_limit,
            "objective_stop": p.objective_limit,
            "bound_stop": p.best_bound_limit,
            "node_limit": p.node_limit,
            "solution_limit": p.solution_limit,
            "pool": None
            if p.solution_pool_size is None
            else {"size": p.solution_pool_size},
        }
        return {name: value for name, value in fields.items() if value is not None}

    def without_effect(self) -> list[str]:
        """Return the names of settings that change nothing here."""
        parameters, more = self.parameters, self.model_parameters
        names = [
            f"parameters.{name}"
            for name in _WITHOUT_EFFECT
            if getattr(parameters, name, "")
            and not getattr(parameters, name).endswith("UNSPECIFIED")
        ]
        if more.initial_basis:
            names.append("model_parameters.initial_basis")
        if more.branching_priorities.ids:
            names.append("model_parameters.branching_priorities")
        if len(more.solution_hints) > 1:
            names.append("model_parameters.solution_hints after the first")
        return names


def draft_of(request: SolveRequest) -> Draft:
    """Return the model as a draft, columns and linear rows in the order of their ids.

    Raises NotCarriedOver for what has no counterpart, by its name in ModelProto.
    """
    model = request.model
    if model.auxiliary_objectives:
        raise _refusal("model.auxiliary_objectives", "solve for one objective at a time")
    if model.second_order_cone_constraints:
        raise _refusal("model.second_order_cone_constraints", "reformulate that part")
    draft = Draft(source="MathOpt")
    columns = _add_columns(draft, model.variables)
    _add_rows(draft, model, columns)
    objective = model.objective
    draft.set_objective(
        columns.terms(objective.linear_coefficients, "model.objective"),
        objective.offset,
        maximize=objective.maximize,
        products=columns.products(objective.quadratic_coefficients, "model.objective"),
    )
    _add_special(draft, model, columns)
    if request.model_parameters.solution_hints:
        hint = request.model_parameters.solution_hints[0].variable_values
        draft.set_start(columns.terms(hint, "solution_hints").items())
    return draft


class _Columns:
    """Columns by MathOpt's ids."""

    def __init__(self, ids: tuple[int, ...]) -> None:
        self._places = {id: place for place, id in enumerate(ids)}
        if len(self._places) != len(ids):
            raise NotCarriedOver("model.variables.ids: expected distinct ids")

    def place(self, id: int, where: str) -> int:
        place = self._places.get(id)
        if place is None:
            raise NotCarriedOver(f"{where}: expected the id of a variable, got {id}")
        return place

    def terms(self, vector: SparseVector, where: str) -> Terms:
        terms: dict[int, Number] = {}
        for id, value in _pairs(vector.ids, vector.values, where):
            terms[self.place(id, where)] = value
        return terms

    def products(self, matrix: SparseMatrix, where: str) -> Products:
        products: Products = {}
        for row, column, value in _triples(matrix, where):
            first, second = self.place(row, where), self.place(column, where)
            add_product(products, first, second, value)
        return products


def _add_columns(draft: Draft, variables: _Variables) -> _Columns:
    names = variables.names or ("",) * len(variables.ids)
    parts = (variables.lower_bounds, variables.upper_bounds, variables.integers, names)
    if any(len(part) != len(variables.ids) for part in parts):
        raise NotCarriedOver(
            "model.variables: expected as many bounds, integers and names as ids"
        )
    for lower, upper, integer, name in zip(*parts, strict=True):
        draft.add_column(name[:_MOST_NAME], lower, upper, integer=integer)
    draft.own_columns = len(variables.ids)
    return _Columns(variables.ids)


def _add_rows(draft: Draft, model: Model, columns: _Columns) -> None:
    rows = model.linear_constraints
    names = rows.names or ("",) * len(rows.ids)
    if any(
        len(part) != len(rows.ids)
        for part in (rows.lower_bounds, rows.upper_bounds, names)
    ):
        raise NotCarriedOver(
            "model.linear_constraints: expected as many bounds and names as ids"
        )
    terms: dict[int, Terms] = {id: {} for id in rows.ids}
    where = "model.linear_constraint_matrix"
    for row, column, value in _triples(model.linear_constraint_matrix, where):
        if row not in terms:
            raise NotCarriedOver(f"{where}: expected the id of a constraint, got {row}")
        terms[row][columns.place(column, where)] = value
    for id, lower, upper, name in zip(
        rows.ids, rows.lower_bounds, rows.upper_bounds, names, strict=True
    ):
        draft.add_row(name[:_MOST_NAME], terms[id], lower, upper)


def _add_special(draft: Draft, model: Model, columns: _Columns) -> None:
    """Add what is not linear: quadratic and indicator rows, SOS sets of single variables."""
    for id, row in model.quadratic_constraints.items():
        where = f"model.quadratic_constraints[{id}]"
        draft.add_row(
            row.name[:_MOST_NAME],
            columns.terms(row.linear_terms, where),
            row.lower_bound,
            row.upper_bound,
            products=columns.products(row.quadratic_terms, where),
        )
    for id, condition in model.indicator_constraints.items():
        where = f"model.indicator_constraints[{id}]"
        if condition.indicator_id is None:
            continue  # MathOpt: an indicator whose variable was deleted never applies
        draft.add_row(
            condition.name[:_MOST_NAME],
            columns.terms(condition.expression, where),
            condition.lower_bound,
            condition.upper_bound,
            indicator=(
                columns.place(condition.indicator_id, where),
                0 if condition.activate_on_zero else 1,
            ),
        )
    for kind, sets in ((1, model.sos1_constraints), (2, model.sos2_constraints)):
        for id, one in sets.items():
            where = f"model.sos{kind}_constraints[{id}]"
            members = [_single(part, columns, where) for part in one.expressions]
            draft.add_set(one.name[:_MOST_NAME], kind, members, list(one.weights))


def _single(expression: _LinearExpression, columns: _Columns, where: str) -> int:
    where = f"{where}.expressions"
    pairs = list(_pairs(expression.ids, expression.coefficients, where))
    if len(pairs) != 1 or expression.offset or not pairs[0][1]:
        raise _refusal(where, "use one variable for each expression")
    return columns.place(pairs[0][0], where)


def _pairs(
    ids: tuple[int, ...], values: tuple[float, ...], where: str
) -> zip[tuple[int, float]]:
    if len(ids) != len(values):
        raise NotCarriedOver(
            f"{where}: expected as many values as ids, got {len(values)} and {len(ids)}"
        )
    return zip(ids, values, strict=True)


def _triples(matrix: SparseMatrix, where: str) -> zip[tuple[int, int, float]]:
    parts = (matrix.row_ids, matrix.column_ids, matrix.coefficients)
    if len({len(part) for part in parts}) != 1:
        raise NotCarriedOver(f"{where}: expected as many row ids, column ids and values")
    return zip(*parts, strict=True)


def _refusal(name: str, remedy: str) -> NotCarriedOver:
    return NotCarriedOver(f"{name}: expected none, because trimtab has none; {remedy}")
