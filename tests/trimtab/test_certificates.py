"""Sentences about proved bounds stay true after rounding."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from trimtab.certificates import certified, statement


@given(bound=st.floats(1e-3, 1e6), factor=st.floats(1.0, 1e4))
def test_the_shown_figure_is_never_smaller_than_the_proved_one(
    bound: float, factor: float
) -> None:
    cost = bound * factor
    text = statement(cost, bound)
    figure = float(re.search(r"([\d.]+) (%|times)", text)[1])  # type: ignore[index]
    if "%" in text:
        assert figure / 100 >= 1 - bound / cost - 1e-9
    else:
        assert figure >= cost / bound - 1e-9


def test_without_a_positive_bound_nothing_is_claimed() -> None:
    assert "no lower bound" in statement(3.0, 0.0)


def test_only_a_complete_certificate_counts() -> None:
    certificate = {"lower_bound_ms": 1.0, "gap": 0.5, "model_ms": 2.0}
    result = {"bound": None, "summary": {"certificate": certificate}}
    assert certified(result) is not None
    assert certified({**result, "bound": 1.0}) is None
    for key in certificate:
        broken = {"certificate": {**certificate, key: float("nan")}}
        assert certified({"bound": None, "summary": broken}) is None
