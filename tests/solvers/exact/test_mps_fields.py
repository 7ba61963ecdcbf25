"""Fields of MPS lines."""

from __future__ import annotations

import pytest

from solvers.errors import ModelError
from solvers.exact.mps_fields import (
    SetNames,
    SideCache,
    fixed_fields,
    pairs_of,
    without_comment,
)


def test_fixed_columns_may_hold_spaces() -> None:
    text = f"    {'COL A':8}  {'ROW ONE':8}  {'2.5':>12}   {'R3':8}  {'4':>12}"
    assert fixed_fields(text, "COLUMNS", 1) == ["COL A", "ROW ONE", "2.5", "R3", "4"]
    assert fixed_fields(" UP           x                  4", "BOUNDS", 1) == [
        "UP",
        "",
        "x",
        "4",
    ]
    assert fixed_fields(" FR           x", "BOUNDS", 1) == ["FR", "", "x"]
    with pytest.raises(ModelError, match=r"line 7: expected spaces .*, got a tab"):
        fixed_fields(" L\tr", "ROWS", 7)


def test_a_dollar_begins_a_comment_unless_it_is_a_name() -> None:
    assert without_comment(["x", "r", "1", "$", "why"], {}, {}) == ["x", "r", "1"]
    assert without_comment(["x", "$r", "1"], {"$r": 0}, {}) == ["x", "$r", "1"]
    assert without_comment(["$x", "r", "1"], {}, {}) == ["$x", "r", "1"]


def test_a_section_names_one_set() -> None:
    sets = SetNames()
    sets.check("RHS", "A", 1)
    sets.check("RHS", "", 2)
    sets.check("BOUNDS", "B", 3)
    with pytest.raises(ModelError, match="line 4: expected one set in RHS"):
        sets.check("RHS", "C", 4)


def test_sides_are_parsed_once() -> None:
    cache = SideCache()
    assert cache.parse("0.10", 1) is cache.parse("0.10", 2)
    with pytest.raises(ModelError, match="line 3"):
        cache.parse("x", 3)


def test_pairs_need_an_even_number() -> None:
    assert list(pairs_of(["a", "1", "b", "2"])) == [("a", "1"), ("b", "2")]
    with pytest.raises(ValueError, match="zip"):
        list(pairs_of(["a"]))
