"""Ids, JSON text, and that importing the package stays cheap."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from services.store import codec
from services.store.ids import IdMaker

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


def test_ids_grow_and_have_one_shape() -> None:
    make = IdMaker("job")
    ids = [make() for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert {len(one) for one in ids} == {30}


def test_importing_the_package_loads_no_database_code() -> None:
    check = "import sys, services.store, tests.doubles.memory_store; assert 'sqlalchemy' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)
