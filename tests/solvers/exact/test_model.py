"""Numbers of files, and the checks common to both formats."""

from __future__ import annotations

from fractions import Fraction

import pytest

from solvers.errors import ModelError
from solvers.exact.model import (
    Builder,
    Deadline,
    ExactLimits,
    parse_number,
    parse_side,
)


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("0.1", Fraction(1, 10)),
        ("-1.5e-3", Fraction(-3, 2000)),
        ("+.5", Fraction(1, 2)),
        ("7.", Fraction(7)),
        ("1d2", Fraction(100)),
        ("1e-400", Fraction(1, 10**400)),
    ],
)
def test_numbers_are_exact(token: str, value: Fraction) -> None:
    assert parse_number(token, 1) == value


@pytest.mark.parametrize(
    "token", ["", ".", "e5", "1_0", "0x1", "nan", "inf", "1e401", "1e309"]
)
def test_other_words_are_refused_with_their_line(token: str) -> None:
    with pytest.raises(ModelError, match="line 3: expected a number"):
        parse_number(token, 3)


def test_infinite_sides_are_words_and_large_numbers() -> None:
    assert parse_side("-Infinity", 1) == (None, -1)
    assert parse_side("1e20", 1) == (None, 1)
    assert parse_side("-1e30", 1) == (None, -1)
    assert parse_side("1e19", 1) == (Fraction(10**19), 0)


def test_products_of_a_pair_are_added_in_either_order() -> None:
    build, products = Builder(limits=ExactLimits()), {}
    build.add_product(products, 1, 0, Fraction(2))
    build.add_product(products, 0, 1, Fraction(3))
    assert products == {(0, 1): 5}
    assert build.products == 1


def test_an_indicator_must_be_binary() -> None:
    build = Builder(limits=ExactLimits())
    build.add_column("z")
    build.row_names.append("r")
    build.row_lower.append(None)
    build.row_upper.append(Fraction(1))
    build.add_indicator(0, 0, Fraction(1), 4)
    with pytest.raises(ModelError, match="not binary"):
        build.finish()
    build.integer[0], build.upper[0] = 1, Fraction(1)
    assert build.finish().indicators == {0: (0, 1)}
    with pytest.raises(ModelError, match="line 5: expected one indicator"):
        build.add_indicator(0, 0, Fraction(0), 5)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([(0, Fraction(1)), (1, Fraction(1))], "distinct weights"),
        ([(0, Fraction(1)), (0, Fraction(2))], "each variable once"),
    ],
)
def test_sets_are_ordered_by_distinct_weights(
    members: list[tuple[int, Fraction]], message: str
) -> None:
    build = Builder(limits=ExactLimits())
    with pytest.raises(ModelError, match=message):
        build.add_set("s", 1, members, 2)
    build.add_set("s", 2, [(7, Fraction(3)), (5, Fraction(-1))], 2)
    assert build.sets[0].columns == (5, 7)


def test_a_deadline_raises_once_it_is_over() -> None:
    Deadline(ExactLimits(time_s=60.0)).check()
    with pytest.raises(ModelError, match="not done within"):
        Deadline(ExactLimits(time_s=-1.0)).check()
