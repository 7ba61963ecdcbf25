"""MathOpt's JSON as a draft, and what is refused by name."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from services.gateway.mathopt.request import SolveRequest, draft_of
from trimtab.adapters.draft import NotCarriedOver

# As OR-Tools 9.15 sends it: 64-bit integers and infinities as text.
BODY: dict[str, Any] = {
    "solverType": "SOLVER_TYPE_GSCIP",
    "model": {
        "name": "t",
        "variables": {
            "ids": ["0", "2", "5"],
            "lowerBounds": [0.0, -1.5, 0.0],
            "upperBounds": [1.0, "Infinity", 5.0],
            "integers": [True, False, True],
            "names": ["x", "y", ""],
        },
        "objective": {
            "maximize": True,
            "offset": 7.0,
            "linearCoefficients": {"ids": ["0", "5"], "values": [1.0, -1.0]},
        },
        "linearConstraints": {
            "ids": ["3"],
            "lowerBounds": ["-Infinity"],
            "upperBounds": [3.0],
            "names": ["c"],
        },
        "linearConstraintMatrix": {
            "rowIds": ["3", "3"],
            "columnIds": ["0", "2"],
            "coefficients": [1.0, 2.0],
        },
        "sos2Constraints": {
            "1": {
                "expressions": [
                    {"ids": ["2"], "coefficients": [1.0]},
                    {"ids": ["5"], "coefficients": [1.0]},
                ],
                "weights": [2.0, 1.0],
            }
        },
    },
    "parameters": {
        "timeLimit": "7.500s",
        "nodeLimit": "5",
        "presolve": "EMPHASIS_OFF",
        "lpAlgorithm": "LP_ALGORITHM_UNSPECIFIED",
    },
    "modelParameters": {"branchingPriorities": {"ids": ["0"], "values": [3]}},
}


def changed(path: str, value: Any) -> SolveRequest:
    body = json.loads(json.dumps(BODY))
    part = body
    *folders, last = path.split(".")
    for name in folders:
        part = part.setdefault(name, {})
    part[last] = value
    return SolveRequest.model_validate_json(json.dumps(body))


def test_ids_become_places() -> None:
    request = SolveRequest.model_validate_json(json.dumps(BODY))
    draft = draft_of(request)
    assert [(c.lower, c.upper, c.integer) for c in draft.columns] == [
        (0, 1, True),
        (-1.5, None, False),
        (0, 5, True),
    ]
    assert draft.rows[0].terms == {0: 1, 1: 2}
    assert (draft.objective, draft.offset, draft.maximize) == ({0: 1, 2: -1}, 7, True)
    assert [(one.kind, one.columns, one.weights) for one in draft.sets] == [
        (2, [1, 2], [2, 1])
    ]
    assert request.spec_fields() == {"engine": "scip", "node_limit": 5}
    assert request.parameters.time_limit == 7.5
    assert request.without_effect() == [
        "parameters.presolve",
        "model_parameters.branching_priorities",
    ]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("parameters.iterationLimit", "9", "parameters.iteration_limit"),
        ("model.auxiliaryObjectives", {"0": {"priority": "2"}}, "auxiliary_objectives"),
        ("model.secondOrderConeConstraints", {"0": {}}, "second_order_cone"),
        (
            "model.sos1Constraints",
            {"0": {"expressions": [{"ids": ["0", "2"], "coefficients": [1.0, 1.0]}]}},
            r"sos1_constraints\[0\].expressions",
        ),
        (
            "model.sos1Constraints",
            {"0": {"expressions": [{"ids": ["0"]}]}},
            r"sos1_constraints\[0\].expressions: expected as many values as ids",
        ),
        ("model.objective.linearCoefficients", {"ids": ["9"], "values": [1.0]}, "got 9"),
        ("model.variables.names", ["x"], "as many bounds, integers and names"),
        (
            "model.linearConstraintMatrix.rowIds",
            ["3", "4"],
            "expected the id of a constraint, got 4",
        ),
    ],
)
def test_what_cannot_be_carried_is_named(path: str, value: Any, named: str) -> None:
    request = changed(path, value)

    def carried() -> object:
        return draft_of(request), request.spec_fields()

    with pytest.raises(NotCarriedOver, match=named):
        carried()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.conicConstraints", {}),
        ("parameters.timeLimit", "soon"),
        ("parameters.timeLimit", "-1s"),
        ("model.variables.lowerBounds", ["low", 0, 0]),
        ("callbackRegistration", {}),
    ],
)
def test_unknown_or_wrong_fields_are_refused(path: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        changed(path, value)


def test_absent_bounds_are_infinite_text() -> None:
    assert changed("parameters.threads", 2).model.variables.upper_bounds[1] == math.inf
