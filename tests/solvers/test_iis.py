"""Irreducible infeasible subsets."""

from __future__ import annotations

from dataclasses import replace

from solvers.iis import irreducible_subset
from tests.solvers.models import INF, milp


def test_rows_and_bounds_that_exclude_each_other_are_named() -> None:
    rows = [([1, 1, 0], 3, INF), ([1, 0, 0], -INF, 1), ([0, 0, 1], -INF, 9)]
    model = milp([1, 1, 1], rows, upper=[5, 1, 5], integer=False)
    subset = irreducible_subset(model, seconds=10)
    assert subset is not None
    assert set(subset.rows) == {0, 1}
    assert 1 in subset.columns, "x + y ≥ 3 and x ≤ 1 need the bound of y"
    assert 2 not in subset.rows


def test_without_any_of_its_parts_the_subset_is_feasible() -> None:
    rows = [([1, 1], 3, INF), ([1, 0], -INF, 1), ([0, 1], -INF, 1)]
    model = milp([0, 0], rows, upper=[5, 5], integer=False)
    subset = irreducible_subset(model, seconds=10)
    assert subset is not None
    for row in subset.rows:
        relaxed = replace(
            model,
            row_lower=[
                -INF if i == row else low for i, low in enumerate(model.row_lower)
            ],
            row_upper=[
                INF if i == row else high for i, high in enumerate(model.row_upper)
            ],
        )
        assert irreducible_subset(relaxed, seconds=10) is None


def test_a_model_that_only_integrality_makes_infeasible_has_none() -> None:
    model = milp([1], [([2], 1, 1)])
    assert irreducible_subset(model, seconds=10) is None
