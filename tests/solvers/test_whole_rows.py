"""Short decimals and the units of whole rows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solvers.exact.units import is_whole
from solvers.whole_rows import decimal_places, whole_units


@given(digits=st.integers(-(10**9) + 1, 10**9 - 1), places=st.integers(0, 22))
def test_short_decimals_have_their_places(digits: int, places: int) -> None:
    value = float(Fraction(digits, 10**places))
    measured = int(decimal_places(np.array([value]))[0])
    assert 0 <= measured <= places
    assert Fraction(digits, 10**places) * 10**measured == int(
        Fraction(digits, 10**places) * 10**measured
    )


def test_the_exact_rule_is_the_same() -> None:
    for value in (0.1, 1e-9, 123456789e-12, 0.123456789012, 1e-23, 5.0):
        exact = Fraction(repr(value))
        assert (decimal_places(np.array([value]))[0] >= 0) == is_whole(exact), value


def test_measured_data_and_infinities() -> None:
    assert decimal_places(np.array([1 / 3, np.pi, np.inf, -np.inf])).tolist() == [
        -1,
        -1,
        0,
        0,
    ]


def test_a_row_is_as_fine_as_its_finest_number() -> None:
    data = np.array([0.5, 1.0, 0.25, 1.0, 1 / 3])
    rows = np.array([0, 0, 1, 1, 2], dtype=np.int32)
    units = whole_units(
        data,
        np.array([True, True, True, True, True]),
        rows,
        np.array([-np.inf, 0.125, 0.0]),
        np.array([3.0, np.inf, 1.0]),
    )
    assert units.tolist() == pytest.approx([0.1, 0.001, 0.0])


def test_a_continuous_column_makes_a_row_ordinary() -> None:
    units = whole_units(
        np.array([1.0, 1.0]),
        np.array([True, False]),
        np.array([0, 0], dtype=np.int32),
        np.array([0.0]),
        np.array([1.0]),
    )
    assert units.tolist() == [0.0]
