"""Exact branch and bound for small models: proves the claims of a floating-point engine.

In rational arithmetic, for linear models with integer and semi-continuous variables. Nodes are cut
off by a row objective ≤ incumbent − gap, so an empty tree proves that nothing is better than the
incumbent by more than the gap. Points met on the way are exact.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from solvers.exact.model import ExactModel
from solvers.exact.simplex import Least, OutOfTime, Side, Tableau

# Columns and rows together, and entries; beyond, a pivot takes too long in Python.
MOST_VARIABLES, MOST_ENTRIES = 400, 6_000
_ZERO = Fraction(0)


class Claim(Enum):
    """The statement that was proved."""

    # No exactly feasible point beats `objective` by more than the gap.
    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    UNDECIDED = "undecided"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Outcome of a proof."""

    claim: Claim
    # Of x, or of the incumbent passed; in the author's sense.
    objective: Fraction | None = None
    # With OPTIMAL: no exactly feasible point is better than this.
    bound: Fraction | None = None
    # An exact point that beats the incumbent passed.
    x: tuple[Fraction, ...] | None = None
    nodes: int = 0


def takes(model: ExactModel) -> bool:
    """Return True for small linear models, semi-continuous variables included."""
    linear = not (
        model.objective_products or model.row_products or model.indicators or model.sets
    )
    return linear and model.n + model.m <= MOST_VARIABLES and model.nnz <= MOST_ENTRIES


def prove(
    model: ExactModel, *, incumbent: Fraction | None, gap: Fraction, seconds: float
) -> Proof:
    """Search for an exact point better than `incumbent` by more than the relative `gap`.

    incumbent: in the author's sense.
    """
    if not takes(model):
        return Proof(claim=Claim.UNDECIDED, objective=incumbent)
    return _Search(model, incumbent=incumbent, gap=gap, seconds=seconds).run()


class _Search:
    def __init__(
        self,
        model: ExactModel,
        *,
        incumbent: Fraction | None,
        gap: Fraction,
        seconds: float,
    ) -> None:
        self._model, self._gap = model, gap
        self._least_gap = gap * min(
            (abs(cost) for cost in model.objective.values()), default=Fraction(1)
        )
        self._sign = -1 if model.maximize else 1
        self._deadline = time.monotonic() + seconds
        # To be minimised, without the constant.
        self._incumbent = (
            None if incumbent is None else self._sign * (incumbent - model.offset)
        )
        self._x: tuple[Fraction, ...] | None = None
        self._nodes = 0
        self._cost = model.n + model.m  # the variable of the objective's value
        terms: list[dict[int, Fraction]] = [{} for _ in range(model.m)]
        for row, column, value in zip(
            model.entry_row, model.entry_col, model.entry_value, strict=True
        ):
            terms[row][column] = terms[row].get(column, _ZERO) + model.values[value]
        costs = {column: self._sign * cost for column, cost in model.objective.items()}
        self._step = _step(costs, model.integer)
        self._tableau = Tableau(model.n, [*terms, costs], deadline=self._deadline)
        self._bounds = [self._root_bounds(column) for column in range(model.n)]
        self._bounds += list(zip(model.row_lower, model.row_upper, strict=True))

    def run(self) -> Proof:
        if any(
            lower is not None and upper is not None and lower > upper
            for lower, upper in self._bounds
        ):
            return self._done(
                Claim.OPTIMAL if self._incumbent is not None else Claim.INFEASIBLE
            )
        for variable, (lower, upper) in enumerate(self._bounds):
            self._tableau.set_bounds(variable, lower, upper)
        try:
            if not self._tableau.restore():
                return self._done(
                    Claim.OPTIMAL if self._incumbent is not None else Claim.INFEASIBLE
                )
            if self._tableau.minimise(self._cost) is Least.UNBOUNDED:
                # With rational data and a ray of the relaxation, any integer point makes the
                # objective unbounded.
                self._incumbent = None
                self._branch(any_point=True)
                return self._done(
                    Claim.INFEASIBLE if self._x is None else Claim.UNBOUNDED
                )
            self._branch(any_point=False)
            return self._done(
                Claim.INFEASIBLE if self._incumbent is None else Claim.OPTIMAL
            )
        except OutOfTime:
            return self._done(Claim.UNDECIDED)

    def _done(self, claim: Claim) -> Proof:
        objective = (
            None
            if self._incumbent is None
            else self._sign * self._incumbent + self._model.offset
        )
        bound = None
        if claim is Claim.OPTIMAL and self._incumbent is not None:
            below = self._cutoff(self._incumbent)
            bound = (
                self._incumbent
                if self._step and (self._incumbent / self._step).denominator == 1
                else below
            )
            bound = self._sign * bound + self._model.offset
        return Proof(
            claim=claim, objective=objective, bound=bound, x=self._x, nodes=self._nodes
        )

    def _root_bounds(self, column: int) -> tuple[Side, Side]:
        lower, upper = self._model.lower[column], self._model.upper[column]
        if column in self._model.semicontinuous:
            lower = None if lower is None else min(_ZERO, lower)
            upper = None if upper is None else max(_ZERO, upper)
        if self._model.integer[column]:
            lower = None if lower is None else Fraction(math.ceil(lower))
            upper = None if upper is None else Fraction(math.floor(upper))
        return lower, upper

    def _cutoff(self, incumbent: Fraction) -> Fraction:
        if self._step:
            return (math.ceil(incumbent / self._step) - 1) * self._step
        size = abs(incumbent + self._sign * self._model.offset)
        return incumbent - max(self._gap * size, self._least_gap)

    def _branch(self, *, any_point: bool) -> None:
        """Search depth first, to an empty tree or, with `any_point`, to the first point."""
        stack: list[dict[int, tuple[Side, Side]]] = [{}]
        applied: dict[int, tuple[Side, Side]] = {}
        while stack:
            node = stack.pop()
            self._nodes += 1
            for variable in applied.keys() - node.keys():
                self._tableau.set_bounds(variable, *self._bounds[variable])
            for variable, bounds in node.items():
                self._tableau.set_bounds(variable, *bounds)
            applied = node
            if self._incumbent is not None:
                self._tableau.set_bounds(self._cost, None, self._cutoff(self._incumbent))
            if not self._tableau.restore():
                continue
            if self._incumbent is None and not any_point:
                self._tableau.minimise(self._cost)
            children = self._children(node)
            if children is None:
                self._x = tuple(self._tableau.value[: self._model.n])
                if any_point:
                    return
                # Optimise the continuous part of this leaf: with fixed integers it is an LP.
                self._improve_leaf(node)
                stack.append(node)  # the rest of the node, below the new cutoff
            else:
                stack.extend(children)

    def _improve_leaf(self, node: dict[int, tuple[Side, Side]]) -> None:
        tableau, n = self._tableau, self._model.n
        fixed: dict[int, tuple[Side, Side]] = {}
        for column in range(n):
            value = tableau.value[column]
            if self._model.integer[column]:
                fixed[column] = (value, value)
            elif column in self._model.semicontinuous:
                lower, upper = self._model.lower[column], self._model.upper[column]
                fixed[column] = (value, value) if not value else (lower, upper)
        for column, bounds in fixed.items():
            tableau.set_bounds(column, *bounds)
        tableau.restore()
        tableau.minimise(self._cost)
        self._x = tuple(tableau.value[:n])
        self._incumbent = tableau.value[self._cost]
        for column in fixed:
            tableau.set_bounds(column, *node.get(column, self._bounds[column]))

    def _children(
        self, node: dict[int, tuple[Side, Side]]
    ) -> Sequence[dict[int, tuple[Side, Side]]] | None:
        """Return two parts of a node, the nearer one last; None when its point is a solution."""
        model, values = self._model, self._tableau.value
        best, at = Fraction(-1), -1
        for column in range(model.n):
            value = values[column]
            if model.integer[column] and value.denominator != 1:
                fraction = value - math.floor(value)
                if min(fraction, 1 - fraction) > best:
                    best, at = min(fraction, 1 - fraction), column
        if at >= 0:
            lower, upper = node.get(at, self._bounds[at])
            below = Fraction(math.floor(values[at]))
            parts = [{**node, at: (lower, below)}, {**node, at: (below + 1, upper)}]
            return parts if values[at] - below > Fraction(1, 2) else parts[::-1]
        for column in model.semicontinuous:
            value = values[column]
            own_lower, own_upper = model.lower[column], model.upper[column]
            if not value or (
                (own_lower is None or value >= own_lower)
                and (own_upper is None or value <= own_upper)
            ):
                continue
            lower, upper = node.get(column, self._bounds[column])
            inside = _largest(lower, own_lower), _least(upper, own_upper)
            parts = [{**node, column: (_ZERO, _ZERO)}]
            if inside[0] is None or inside[1] is None or inside[0] <= inside[1]:
                parts.append({**node, column: inside})
            return parts
        return None


def _largest(one: Side, other: Side) -> Side:
    return max((side for side in (one, other) if side is not None), default=None)


def _least(one: Side, other: Side) -> Side:
    return min((side for side in (one, other) if side is not None), default=None)


def _step(costs: dict[int, Fraction], integer: bytearray) -> Fraction | None:
    """Return the number that divides every objective value (without constant); None without one."""
    if not costs or not all(integer[column] for column in costs):
        return None
    denominator = math.lcm(*(cost.denominator for cost in costs.values()))
    return Fraction(
        math.gcd(*(int(cost * denominator) for cost in costs.values())), denominator
    )
