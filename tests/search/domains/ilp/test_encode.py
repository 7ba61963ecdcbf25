"""Encode stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from search.domains.ilp.encode import encode
from tests.search.models import random_cover


def test_scaling_keeps_points_and_objectives() -> None:
    model = random_cover(5, 8, 1)
    large = replace(model, c=1e9 * model.c)
    scaled = encode(large)
    x = np.ones(model.n)
    inside = scaled.enter(x)
    np.testing.assert_allclose(scaled.restore(inside), x)
    value = scaled.model.in_user_sense(scaled.model.objective(inside))
    assert np.isclose(value, large.objective(x))
    assert "whole_rows" in vars(scaled.model), "computed before the processes are forked"
