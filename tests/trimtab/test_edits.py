"""Patches against the JSON patch library: what they say is what it makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.edits import difference, pointer_of, remove_value, set_value

LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab~/", max_size=3)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab~/0", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def applied(document: Any, patch: list[dict[str, Any]]) -> Any:
    """Apply a patch by the steps of RFC 6902, section 4: add, remove and replace."""
    box = {"": document}
    for step in patch:
        names = [""] + [
            name.replace("~1", "/").replace("~0", "~")
            for name in step["path"].split("/")[1:]
        ]
        at: Any = box
        for name in names[:-1]:
            at = at[int(name)] if isinstance(at, list) else at[name]
        last: Any = int(names[-1]) if isinstance(at, list) else names[-1]
        if step["op"] in ("remove", "replace"):
            at[last]  # must exist
        if step["op"] == "remove":
            del at[last]
        else:
            at[last] = step["value"]
    return box[""]


def typed(value: Any) -> Any:
    """Return a value in which True and 1 differ, as in JSON."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return (type(value).__name__, value)


@given(JSON, JSON)
def test_a_difference_leads_from_one_value_to_the_other(before: Any, after: Any) -> None:
    import copy

    patch = difference(before, after, "")
    assert typed(applied(copy.deepcopy(before), patch)) == typed(after)
    assert (patch == []) == (typed(before) == typed(after))


def test_a_value_is_set_where_it_is_or_can_be() -> None:
    request = {"spec": {"devices": [{"count": 8}], "engine": None}, "enabled": True}
    assert set_value(request, "l1", "spec.devices.0.count", 4) == [
        {"op": "replace", "path": "/leaves/l1/spec/devices/0/count", "value": 4}
    ]
    assert set_value(request, "l1", "spec.a/b", 4)[0] == {
        "op": "add",
        "path": "/leaves/l1/spec/a~1b",
        "value": 4,
    }
    assert set_value(request, "l1", "enabled", False)[0]["op"] == "replace"
    for path in ("spec.devices.1.count", "spec.devices.1", "budget.seconds", "spec.x.y"):
        with pytest.raises(KeyError):
            set_value(request, "l1", path, 1)
    assert remove_value(request, "l1", "spec.engine")[0]["op"] == "remove"
    assert pointer_of("leaves", "l1", 0) == "/leaves/l1/0"
