"""Errors of solvers."""

from __future__ import annotations

import pytest

from solvers.errors import ModelError, SolverFailed, SolversError, Unsupported


def test_a_model_error_shows_its_line_where_it_has_one() -> None:
    assert str(ModelError("expected a number", line=7)) == "line 7: expected a number"
    assert ModelError("expected a number", line=7).line == 7
    assert str(ModelError("no rows")) == "no rows"
    assert ModelError("no rows").line is None


def test_unsupported_names_solver_and_reason() -> None:
    error = Unsupported("highs", "it has SOS sets")
    assert (error.solver, error.why) == ("highs", "it has SOS sets")
    assert str(error) == "highs cannot take this model: it has SOS sets"


@pytest.mark.parametrize("kind", [ModelError, SolverFailed])
def test_all_have_one_root(kind: type[Exception]) -> None:
    with pytest.raises(SolversError):
        raise kind("x")
