"""Features of a model, its root LP and its incumbents."""

from __future__ import annotations

import numpy as np
import pytest

from search.lns.features import GraphBuilder, RowFeature, VariableFeature
from solvers.relaxation import Relaxation
from tests.search.models import milp


def test_features_of_a_small_model_by_hand() -> None:
    model = milp([4.0, -2.0, 0.0], [(1, [1, 1, 0], np.inf), (-2, [0, 2, -1], 3)])
    builder = GraphBuilder(model, Relaxation(model).root())
    graph = builder.at([np.array([1.0, 0.0, 0.0])])
    assert graph.variables.shape == (3, len(VariableFeature))
    assert graph.rows.shape == (3, len(RowFeature)), "the row of two sides is two nodes"
    assert graph.variables[:, VariableFeature.OBJECTIVE].tolist() == [1.0, -0.5, 0.0]
    assert graph.variables[:, VariableFeature.VALUE_0].tolist() == [1.0, 0.0, 0.0]
    assert graph.variables[:, VariableFeature.PRESENT_1].tolist() == [0.0] * 3
    assert graph.rows[:, RowFeature.LOWER_SIDE].tolist() == [0.0, 1.0, 1.0]
    # Upper sides come first; a lower side is negated: −x0 − x1 ≤ −1 is tight at the incumbent.
    assert graph.rows[:, RowFeature.INCUMBENT_TIGHT].tolist() == [0.0, 1.0, 0.0]
    assert graph.rows[:, RowFeature.RHS_SIGN].tolist() == [1.0, -1.0, 1.0]
    assert sorted(graph.edges[:, 0].tolist()) == [-1.0, -1.0, -1.0, -0.5, 0.5, 1.0]
    with pytest.raises(ValueError, match="at least one incumbent"):
        builder.at([])
