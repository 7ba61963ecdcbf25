"""Expressions of LP files: terms, constants, products and where they end."""

from __future__ import annotations

from fractions import Fraction

import pytest

from solvers.errors import ModelError
from solvers.exact.lp_cursor import Cursor
from solvers.exact.lp_expression import Expressions, Side
from solvers.exact.lp_tokens import tokens
from solvers.exact.model import Builder, ExactLimits


def read(text: str, *, halved: bool = False, after: bool = False) -> tuple[Side, Cursor]:
    build = Builder(limits=ExactLimits())
    cursor = Cursor(tokens([f"min\n{text}".split("\n")]), build)
    cursor.advance()
    return Expressions(cursor, build).read(halved=halved, after=after), cursor


def test_terms_of_one_variable_are_summed_and_constants_added() -> None:
    side, _ = read("2 x + 3 - y + x - - 4 * y + 0.5 <= 1")
    assert side.terms == {0: 3, 1: 3}
    assert side.constant == Fraction(7, 2)


def test_products_of_the_objective_are_halved() -> None:
    side, _ = read("x - [ 2 x^2 - 4 x * y ] / 2", halved=True)
    assert side.products == {(0, 0): -1, (0, 1): 2}
    side, _ = read("[ 2 x^2 ] <= 1")
    assert side.products == {(0, 0): 2}
    with pytest.raises(ModelError, match="expected / 2 after the objective's products"):
        read("[ 2 x^2 ]", halved=True)
    with pytest.raises(ModelError, match="expected no / after the products of a row"):
        read("[ 2 x^2 ] / 2 <= 1")


def test_a_number_after_a_comparison_ends_with_its_line() -> None:
    side, cursor = read("4\n x + y >= 1", after=True)
    assert (side.terms, side.constant) == ({}, 4)
    assert cursor.now.text == "x"
    side, cursor = read("4\nr2: x >= 1", after=True)
    assert cursor.at_label()


def test_an_infinity_stands_alone() -> None:
    side, _ = read("- infinity <= x")
    assert (side.infinite, side.value) == (-1, None)
    with pytest.raises(ModelError, match="expected a variable among the terms"):
        read("x + inf <= 1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 x y <= 1", "or - between terms"),
        ("x + <= 1", "after the sign"),
        ("x * y <= 1", "products between"),
    ],
)
def test_missing_signs_and_stray_products_are_refused(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read(text)


def test_a_side_minus_another_moves_all_terms() -> None:
    left, _ = read("2 x + [ x^2 ] <= 1")
    right = Side(terms={0: Fraction(5), 1: Fraction(1)}, products={(0, 0): Fraction(1)})
    whole = left.minus(right)
    assert whole.terms == {0: -3, 1: -1}
    assert whole.products == {(0, 0): 0}
