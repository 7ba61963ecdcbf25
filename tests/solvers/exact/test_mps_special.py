"""Sections of MPS beyond linear rows."""

from __future__ import annotations

from fractions import Fraction

import pytest

from solvers.errors import ModelError
from solvers.exact.model import Builder, ExactLimits
from solvers.exact.mps_special import SpecialSections


def sections() -> tuple[Builder, SpecialSections]:
    build = Builder(limits=ExactLimits())
    for name in ("x", "y", "z"):
        build.add_column(name)
    build.row_names.append("r")
    return build, SpecialSections(build, {"obj": -1, "r": 0})


def read_products(section: str, header: list[str], *lines: str) -> Builder:
    build, special = sections()
    special.open_products(section, header, "obj", 1)
    for number, line in enumerate(lines, 2):
        special.line(section, line.split(), number)
    special.close(9)
    return build


def test_one_triangle_and_both_triangles_are_the_same_objective() -> None:
    """½ xᵀQx with Q = [[4, 1], [1, 0]] is 2 x² + x y."""
    one = read_products("QUADOBJ", ["QUADOBJ"], "x x 4", "y x 1")
    both = read_products("QMATRIX", ["QMATRIX"], "x x 4", "x y 1", "y x 1")
    assert one.objective_products == both.objective_products == {(0, 0): 2, (0, 1): 1}


def test_products_of_a_row_are_not_halved() -> None:
    build = read_products("QCMATRIX", ["QCMATRIX", "r"], "x x 4", "x y 1", "y x 1")
    assert build.row_products == {0: {(0, 0): 4, (0, 1): 2}}


@pytest.mark.parametrize(
    ("section", "header", "lines", "message"),
    [
        ("QMATRIX", ["QMATRIX"], ["x y 1"], "both triangles"),
        ("QUADOBJ", ["QUADOBJ"], ["x y 1", "y x 1"], "one triangle"),
        ("QCMATRIX", ["QCMATRIX", "obj"], [], "not the objective"),
        ("QSECTION", ["QSECTION", "r"], [], "expected the objective"),
        ("QUADOBJ", ["QUADOBJ"], ["x q 1"], "'q' of QUADOBJ"),
        ("QUADOBJ", ["QUADOBJ"], ["x y"], "got 2 words"),
    ],
)
def test_faulty_products_are_refused(
    section: str, header: list[str], lines: list[str], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_products(section, header, *lines)


def test_sets_end_where_the_next_begins() -> None:
    build, special = sections()
    for number, line in enumerate(("S1 a", "x 2", "SOS y 1", "S2 SOS b", "z 1"), 1):
        special.line("SOS", line.split(), number)
    special.close(6)
    assert [(one.name, one.kind, one.columns) for one in build.sets] == [
        ("a", 1, (1, 0)),
        ("b", 2, (2,)),
    ]
    with pytest.raises(ModelError, match="got 'a' again"):
        special.line("SOS", ["S1", "a"], 7)


def test_a_set_may_be_unnamed() -> None:
    build, special = sections()
    special.line("SOS", ["S1"], 1)
    special.line("SOS", ["x", "1"], 2)
    special.close(3)
    assert build.sets[0].name == "SOS1"


def test_indicators_name_a_row_a_column_and_a_value() -> None:
    build, special = sections()
    special.line("INDICATORS", ["IF", "r", "z", "1"], 1)
    assert build.indicators == {0: (2, 1)}
    with pytest.raises(ModelError, match="value 0 or 1, got 2"):
        special.line("INDICATORS", ["IF", "r", "z", "2"], 2)
    with pytest.raises(ModelError, match="'obj' of INDICATORS is not in ROWS"):
        special.line("INDICATORS", ["IF", "obj", "z", str(Fraction(1))], 3)
