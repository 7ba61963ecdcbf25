"""Names in the file."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from trimtab.adapters.names import file_names

NAMES = st.lists(
    st.text(max_size=12) | st.sampled_from(["x", "rows", "RHS", "x y", "1a"])
)


@given(names=NAMES)
def test_names_are_distinct_and_plain(names: list[str]) -> None:
    chosen = file_names(names, letter="v")
    assert len(chosen) == len(names) == len(set(chosen))
    assert all(re.fullmatch(r"[A-Za-z_][\w.()\[\],]*", name, re.ASCII) for name in chosen)


def test_a_plain_name_stays_and_others_are_made_from_it() -> None:
    assert file_names(["x", "x y", "x_y", "rows", "", "x"], letter="v") == [
        "x",
        "x_y_1",
        "x_y",
        "_rows",
        "v4",
        "x_5",
    ]


def test_taken_names_are_not_used() -> None:
    assert file_names(["x"], letter="v", taken=["x"]) == ["x_0"]
