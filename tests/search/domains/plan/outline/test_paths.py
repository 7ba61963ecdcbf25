"""Values by dotted path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.domains.plan.outline.paths import MISSING, get, leaves, put

JSON = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=3),
    lambda part: (
        st.dictionaries(st.text("abc_", min_size=1, max_size=3), part, max_size=3)
        | st.lists(part, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc_", min_size=1, max_size=3), JSON, max_size=3))
def test_a_document_is_made_again_from_its_leaves(document: dict[str, Any]) -> None:
    made: dict[str, Any] = {}
    if document:
        for path, value in leaves(document):
            assert get(document, path) == value
            put(made, path, value)
    assert made == document


def test_missing_is_no_value() -> None:
    assert get({"a": None}, "a") is None
    for path in ("b", "a.b", "c.0", "c.x", "c.-1"):
        assert get({"a": None, "c": []}, path) is MISSING


@pytest.mark.parametrize("path", ["a.1", "a.x", "b.c"])
def test_no_place_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        put({"a": [], "b": 3}, path, 1)
