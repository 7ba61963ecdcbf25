"""Read the original problem of a `pyscipopt.Model`, constraint by constraint.

SCIP's getters have undefined behaviour on constraints of other handlers, so the handler's name
decides which are called. The numbers of xor and cardinality constraints exist only in SCIP's CIP
text: a forked process writes it with generic names, and it is read strictly.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trimtab.adapters.draft import (
    Draft,
    NotCarriedOver,
    Number,
    Products,
    Terms,
    add_product,
)
from trimtab.adapters.mp_model import add_and_or
from trimtab.solution import Place

_LINEAR = ("linear", "knapsack", "setppc", "logicor", "varbound")
_BY_TEXT = ("xor", "cardinality")
_WRITING_S = 60.0
_INFINITY = float("inf")
_PLUGINS = {
    "Conshdlr": "a constraint handler written in Python",
    "Pricer": "a pricer, which adds variables while SCIP solves",
    "Benders": "a Benders decomposition",
}


def read(model: Any) -> tuple[Draft, Callable[[Any], Place | None]]:
    """Read the original problem of the model. Raises NotCarriedOver."""
    draft = Draft(source="pyscipopt.Model")
    _refuse_plugins(model, draft)
    infinity = float(model.infinity())
    variables = list(model.getVars(transformed=False))
    places = {int(variable.ptr()): place for place, variable in enumerate(variables)}
    costs: Terms = {}
    for place, variable in enumerate(variables):
        draft.add_column(
            str(variable.name),
            _side(variable.getLbOriginal(), infinity),
            _side(variable.getUbOriginal(), infinity),
            integer=_integral(variable),
        )
        costs[place] = float(variable.getObj())
    draft.own_columns = len(variables)
    draft.set_objective(
        costs,
        float(model.getObjoffset(original=True)),
        maximize=str(model.getObjectiveSense()) == "maximize",
    )
    constraints = list(model.getConss(transformed=False))
    reader = _Constraints(model, draft, places, infinity)
    for number, constraint in enumerate(constraints):
        reader.add(number, constraint)
        draft.carried += 1
    draft.check_complete(
        variables=int(model.getNVars(transformed=False)),
        constraints=int(model.getNConss(transformed=False)),
    )
    draft.set_start(_best_known(model, variables))

    def locate(variable: Any) -> Place | None:
        if type(variable).__name__ != "Variable" or not type(
            variable
        ).__module__.startswith("pyscipopt"):
            return None
        place = places.get(int(variable.ptr()))
        return None if place is None else (place, False)

    return draft, locate


def _refuse_plugins(model: Any, draft: Draft) -> None:
    """Refuse a model with Python plugins.

    Their constraints are in no list of the model; the plugins themselves have a reference to it.
    """
    package = next(
        sys.modules[base.__module__]
        for base in type(model).__mro__
        if base.__module__.startswith("pyscipopt")
    )
    kinds = {
        getattr(package, name): what
        for name, what in _PLUGINS.items()
        if hasattr(package, name)
    }
    written = tuple(kind for kind in kinds if kind.__subclasses__())
    if not written:  # no plugin class exists, and examining every object takes a second
        return
    for plugin in gc.get_objects():
        # By type, because a dead weak reference has no __class__.
        if not issubclass(type(plugin), written):
            continue
        try:
            owner = plugin.model.getStage.__self__
        except (AttributeError, ReferenceError):
            continue
        if owner is model:
            what = next(text for kind, text in kinds.items() if isinstance(plugin, kind))
            raise draft.refusal(f"{what} ({type(plugin).__name__})")


def _integral(variable: Any) -> bool:
    """Return True for a variable of integer type, or implied integer in an optimal solution."""
    return bool(variable.isIntegral())


def _side(value: float, infinity: float) -> float:
    return (
        _INFINITY
        if value >= infinity
        else -_INFINITY
        if value <= -infinity
        else float(value)
    )


class _Constraints:
    """Converter of single constraints."""

    def __init__(
        self, model: Any, draft: Draft, places: Mapping[int, int], infinity: float
    ) -> None:
        self._model, self._draft, self._places, self._infinity = (
            model,
            draft,
            places,
            infinity,
        )
        self._texts: list[str] | None = None

    def add(self, number: int, constraint: Any) -> None:
        """Add one constraint to the draft, or refuse it by name and handler."""
        handler, name = str(constraint.getConshdlrName()), str(constraint.name)
        draft, model = self._draft, self._model
        if handler in _LINEAR:
            terms = self._terms(constraint, handler)
            if handler == "logicor":  # a clause
                draft.add_row(name, terms, 1, _INFINITY)
            else:
                draft.add_row(name, terms, *self._sides(constraint))
        elif handler == "nonlinear":
            self._quadratic(constraint, name)
        elif handler in ("SOS1", "SOS2"):
            columns = [
                self._column(variable, name) for variable in model.getConsVars(constraint)
            ]
            draft.add_set(name, int(handler[-1]), columns, model.getConsVals(constraint))
        elif handler in ("and", "or"):
            *members, result = (
                self._column(variable, name) for variable in model.getConsVars(constraint)
            )
            add_and_or(draft, name, members, result, conjunction=handler == "and")
        elif handler == "indicator":
            self._indicator(constraint, name)
        elif handler in _BY_TEXT:
            self._by_text(number, constraint, handler, name)
        else:
            raise draft.refusal(f"the {handler} constraint {name!r}")

    def _column(self, variable: Any, name: str) -> int:
        place = self._places.get(int(variable.ptr()))
        if place is None:
            raise self._draft.refusal(
                f"the constraint {name!r} over {str(variable)!r}, which is not a variable of the "
                "original problem"
            )
        return place

    def _terms(self, constraint: Any, handler: str) -> Terms:
        variables = self._model.getConsVars(constraint)
        values = (
            [1.0] * len(variables)
            if handler == "logicor"
            else self._model.getConsVals(constraint)
        )
        terms: Terms = {}
        for variable, value in zip(variables, values, strict=True):
            column = self._column(variable, str(constraint.name))
            terms[column] = terms.get(column, 0.0) + float(value)
        return terms

    def _sides(self, constraint: Any) -> tuple[float, float]:
        model = self._model
        return _side(model.getLhs(constraint), self._infinity), _side(
            model.getRhs(constraint), self._infinity
        )

    def _quadratic(self, constraint: Any, name: str) -> None:
        model = self._model
        if not model.checkQuadraticNonlinear(constraint):
            raise self._draft.refusal(f"the nonlinear constraint {name!r}")
        bilinear, squares, linear = model.getTermsQuadratic(constraint)
        terms: Terms = {}
        products: Products = {}
        for first, second, value in bilinear:
            add_product(
                products,
                self._column(first, name),
                self._column(second, name),
                float(value),
            )
        for variable, square, value in squares:
            column = self._column(variable, name)
            add_product(products, column, column, float(square))
            terms[column] = terms.get(column, 0.0) + float(value)
        for variable, value in linear:
            column = self._column(variable, name)
            terms[column] = terms.get(column, 0.0) + float(value)
        self._draft.add_row(name, terms, *self._sides(constraint), products=products)

    def _indicator(self, constraint: Any, name: str) -> None:
        """Add `binary = value → slack = 0`; SCIP has the linear row with that slack beside it."""
        binary = self._model.getConsVars(constraint)[0]
        slack = self._column(self._model.getSlackVarIndicator(constraint), name)
        value = 1
        place = self._places.get(int(binary.ptr()))
        if place is None:
            # SCIP's negation of a binary is 1 - x, with the name of x and "_neg".
            own = str(binary.name).removesuffix("_neg")
            same = [
                column
                for column, one in enumerate(self._draft.columns)
                if one.name == own
            ]
            if str(binary.name) == own or len(same) != 1:
                raise self._draft.refusal(
                    f"the indicator constraint {name!r} over {str(binary)!r}"
                )
            place, value = same[0], 0
        if not self._draft.is_binary(place):
            raise self._draft.refusal(
                f"the indicator constraint {name!r} whose indicator is not binary"
            )
        self._draft.add_row(name, {slack: 1.0}, -_INFINITY, 0, indicator=(place, value))

    def _by_text(self, number: int, constraint: Any, handler: str, name: str) -> None:
        columns = [
            self._column(variable, name)
            for variable in self._model.getConsVars(constraint)
        ]
        if self._texts is None:
            self._texts = _cip_constraints(self._model)
        text = self._texts[number] if number < len(self._texts) else ""
        if handler == "xor":
            parity = _number(_XOR, text, {"vars": len(columns)})
            if parity not in (0, 1):
                raise self._draft.refusal(f"the xor constraint {name!r}")
            half = self._draft.add_column(
                f"{name}_half", 0, len(columns) // 2, integer=True
            )
            terms: Terms = {half: -2}
            for column in columns:
                terms[column] = terms.get(column, 0) + 1
            self._draft.add_row(name, terms, parity, parity)
            return
        most = _number(_CARDINALITY, text, {"vars": len(columns)})
        if most is None:
            raise self._draft.refusal(f"the cardinality constraint {name!r}")
        self._cardinality(name, columns, most)

    def _cardinality(self, name: str, columns: list[int], most: int) -> None:
        """Add: at most `most` of the columns are not 0."""
        draft = self._draft
        if most == 1:
            draft.add_set(name, 1, columns, None)
            return
        used: Terms = {}
        for column in columns:
            binary = draft.add_binary(f"{name}_used")
            draft.add_row(f"{name}_unused", {column: 1}, 0, 0, indicator=(binary, 0))
            used[binary] = 1
        draft.add_row(name, used, -_INFINITY, most)


_XOR = re.compile(
    r"\[xor\] <c\d+>: xor\((?P<vars><x\d+>\[\w\](?:,<x\d+>\[\w\])*)\) = (?P<number>[01]);"
)
_CARDINALITY = re.compile(
    r"\[cardinality\] <c\d+>: (?P<vars><x\d+> \([^()]*\)(?:, <x\d+> \([^()]*\))*) "
    r"<= (?P<number>\d+);"
)


def _number(pattern: re.Pattern[str], text: str, counts: Mapping[str, int]) -> int | None:
    """Return the number in a constraint's CIP text; None unless the text has this form and size."""
    match = pattern.fullmatch(text)
    if match is None or match["vars"].count("<x") != counts["vars"]:
        return None
    return int(match["number"])


def _cip_constraints(model: Any) -> list[str]:
    """Return SCIP's text of each original constraint, in order.

    A forked process writes it, so that a crash ends only that process.
    """
    if not hasattr(os, "fork"):
        return []
    with tempfile.TemporaryDirectory(prefix="trimtab-cip-") as folder:
        path = Path(folder) / "model.cip"
        child = os.fork()
        if child == 0:
            code = 1
            try:
                model.writeProblem(
                    str(path), trans=False, genericnames=True, verbose=False
                )
                code = 0
            finally:
                os._exit(code)
        until = time.monotonic() + _WRITING_S
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                status = 1
                break
            time.sleep(0.005)
        if status != 0 or not path.is_file():
            raise NotCarriedOver(
                "pyscipopt.Model: expected SCIP to write its xor and cardinality constraints, got "
                "a failure"
            )
        text = path.read_text(encoding="utf-8", errors="replace")
    _, _, constraints = text.partition("\nCONSTRAINTS\n")
    return [
        line.strip() for line in constraints.splitlines() if line.strip().startswith("[")
    ]


def _best_known(model: Any, variables: list[Any]) -> list[tuple[int, Number]]:
    """Return the model's best complete solution (SCIP does not return partial ones)."""
    solutions = list(model.getSols())
    if not solutions:
        return []
    sign = -1 if str(model.getObjectiveSense()) == "maximize" else 1
    best = min(solutions, key=lambda solution: sign * float(model.getSolObjVal(solution)))
    return [
        (place, float(model.getSolVal(best, variable)))
        for place, variable in enumerate(variables)
    ]
