"""Conditions: a closed language that can say nothing but comparisons."""

from __future__ import annotations

import ast
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.domains.plan.outline.conditions import parse

CONTEXT = {
    "spec": {"engine": "scip", "what_if": [8, 16], "lns": {"enabled": False}},
    "budget": {"seconds": 60, "target_gap": 0.01},
    "seed": 0,
    "result": {
        "gap": 0.005,
        "objective": 0.0,
        "bound": None,
        "summary": {"what_if": [{"devices": 8}, {"devices": 16, "note": "none fits"}]},
        "artifacts": {"solution.sol": {}},
    },
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("result.gap <= budget.target_gap", True),
        ("result.gap > budget.target_gap", False),
        ("result.gap < 0.005", False),
        ("result.objective != null", True),
        ("result.bound != null", False),
        ("result.bound == null", True),
        ("result.missing == null", False),
        ("not result.missing", True),
        ("seed == 0", True),
        ("seed == false", False),
        ("spec.engine == 'scip'", True),
        ("spec.engine != 'highs'", True),
        ("spec.lns.enabled == false", True),
        ("spec.lns.enabled", False),
        ("spec.what_if", True),
        ("result.summary.what_if covers spec.what_if", True),
        ("result.summary.what_if covers 32", False),
        ("spec.what_if covers 16", True),
        ("result.artifacts covers 'solution.sol'", True),
        ("result.artifacts covers 'plan.json'", False),
        ("spec.what_if.1 == 16", True),
        ("spec.what_if.7 == 16", False),
        ("spec.engine < 3", False),
    ],
)
def test_conditions_compare(text: str, holds: bool) -> None:
    assert parse(text).holds(CONTEXT) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "result.gap <",
        "3 < result.gap",
        "result.gap <= 1 2",
        "result.gap + 1",
        "__import__('os')",
        "result.gap <= open",
        "spec.engine == scip",
        "result.gap <= 1; result",
        "lambda: 1",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="condition: expected"):
        parse(text)


@given(
    path=st.sampled_from(["spec.a", "budget.b", "result.c", "seed"]),
    operator=st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    left=st.integers(-5, 5) | st.floats(-5, 5),
    right=st.integers(-5, 5),
)
def test_numbers_compare_as_python_does(
    path: str, operator: str, left: float, right: int
) -> None:
    root, _, name = path.partition(".")
    context = {root: {name: left} if name else left}
    expected = eval(
        compile(ast.parse(f"a {operator} b", mode="eval"), "", "eval"),
        {"a": left, "b": right},
    )
    assert parse(f"{path} {operator} {right}").holds(context) is expected


@given(st.text(max_size=40))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse(text).holds(CONTEXT) in (True, False)
