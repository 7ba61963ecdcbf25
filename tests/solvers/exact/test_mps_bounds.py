"""Types of bounds in MPS."""

from __future__ import annotations

from fractions import Fraction

import pytest

from solvers.errors import ModelError
from solvers.exact.model import Builder, ExactLimits
from solvers.exact.mps_bounds import Bounds
from solvers.exact.mps_fields import SetNames, SideCache


def read(*lines: str, marked: bool = False) -> tuple[Builder, list[str]]:
    build = Builder(limits=ExactLimits())
    build.add_column("x")
    bounds = Bounds(build, SetNames(), SideCache())
    if marked:
        build.integer[0] = 1
        bounds.integer_by_marker(0)
    for number, line in enumerate(lines, 1):
        bounds.line(line.split(), number)
    return build, list(bounds.finish())


@pytest.mark.parametrize(
    ("line", "lower", "upper", "integer", "semi"),
    [
        ("UP B x 4", 0, 4, False, False),
        ("LO B x -2", -2, None, False, False),
        ("FX x 2.5", Fraction(5, 2), Fraction(5, 2), False, False),
        ("LI B x 2", 2, None, True, False),
        ("UI B x 3", 0, 3, True, False),
        ("FR B x", None, None, False, False),
        ("MI x", None, None, False, False),
        ("MI B x 0", None, None, False, False),
        ("PL x", 0, None, False, False),
        ("BV B x", 0, 1, True, False),
        ("SC B x 9", 0, 9, False, True),
        ("SI B x 1e30", 0, None, True, True),
    ],
)
def test_types(
    line: str, lower: object, upper: object, integer: bool, semi: bool
) -> None:
    build, rules = read(line)
    assert (build.lower[0], build.upper[0]) == (lower, upper)
    assert (bool(build.integer[0]), 0 in build.semicontinuous) == (integer, semi)
    assert rules == []


def test_an_integer_by_marker_is_binary_without_a_bound() -> None:
    build, _ = read(marked=True)
    assert build.upper[0] == 1
    build, _ = read("LO B x 0", marked=True)
    assert build.upper[0] is None


def test_a_negative_upper_bound_alone_drops_the_lower_one() -> None:
    build, rules = read("UP B x -1")
    assert build.lower[0] is None
    assert "lower bound is -infinity" in rules[0]
    build, rules = read("UP B x -1", "LO B x 0")
    assert (build.lower[0], rules) == (0, [])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["UP B x 1", "FX B x 1"], "line 2: expected one upper bound"),
        (["XX B x 1"], "expected a bound of a type"),
        (["UP B q 1"], "'q' of BOUNDS is not in COLUMNS"),
        (["UP B x -1e30"], "leaves no value"),
        (["SC B x 0"], "other than 0"),
        (["UP B"], "got 1 words"),
        (["LO A x 1", "UP B x 2"], "one set in BOUNDS"),
    ],
)
def test_faults_name_their_line(lines: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read(*lines)
