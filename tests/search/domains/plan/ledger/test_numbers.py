from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.domains.plan.ledger.numbers import RULES, decimal_text, shown
from search.domains.plan.verify.rounding import text_of


@pytest.mark.parametrize(
    ("value", "rule", "text"),
    [
        ("1824.0", "six", "1,824"),
        ("1845.7946810883084", "six", "1,845.79"),
        ("2.51479929655695", "three", "2.51"),
        ("2.797225477016106", "three", "2.80"),
        ("0.02040816326530612", "percent", "2.04"),
        ("0.5", "percent", "50"),
        ("1.0", "percent", "100"),
        ("0.0", "percent", "0"),
        ("-0.0", "exact", "0"),
        ("5150000000.0", "giga", "5.15"),
        ("7.294117647058823529411764705882353", "signed", "+7.29"),
        ("-7.294117647", "signed", "-7.29"),
        ("1e-12", "three", "1e-12"),
        ("1.23456e-12", "three", "1.23e-12"),
        ("1e15", "six", "1e15"),
        ("999999999999999", "six", "999,999,999,999,999"),
        ("12345.6", "three", "12,300"),
        ("0.99995", "three", "1.00"),
        ("2.5", "three", "2.5"),
    ],
)
def test_a_figure_is_shown_by_its_rule(value: str, rule: str, text: str) -> None:
    assert shown(value, rule) == text


@given(
    st.one_of(
        st.floats(min_value=-1e30, max_value=1e30, allow_nan=False),
        st.integers(min_value=-(10**30), max_value=10**30),
        st.decimals(min_value=-1000, max_value=1000, places=3).map(float),
    ),
    st.sampled_from(sorted(RULES)),
)
def test_decimals_and_fractions_round_alike(number: float, rule: str) -> None:
    text = decimal_text(number)
    if text is not None:
        assert shown(text, rule) == text_of(Fraction(text), rule)


@pytest.mark.parametrize(
    "value", [None, True, "12", float("nan"), float("inf"), 1e300, 5e-324, 10**400]
)
def test_what_is_no_usual_number_has_no_text(value: object) -> None:
    assert decimal_text(value) is None
