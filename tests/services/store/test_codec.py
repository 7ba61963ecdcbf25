"""JSON text of the stores: round trips, and values that JSON or a database lacks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.store import codec

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values)
def test_json_comes_back_as_it_went_in(value: object) -> None:
    assert codec.loads(codec.dumps(value)) == value


def test_what_json_cannot_say_becomes_null_or_a_replacement_character() -> None:
    assert codec.loads(codec.dumps({"a": float("nan"), "b": "x\ud800", "c": (1,)})) == {
        "a": None,
        "b": "x\ufffd",
        "c": [1],
    }
    assert codec.storable("a\x00\udfff") == "a\ufffd\ufffd"
    assert [codec.is_storable(text) for text in ("ü", "", "\x00", "\ud800")] == [
        True,
        True,
        False,
        False,
    ]
