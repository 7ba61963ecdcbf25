"""Tagged messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from search.domains.ilp.tagged import Tagged, Vocabulary, pack


@dataclass(frozen=True, kw_only=True)
class Greeting(Tagged):
    TYPE: ClassVar[str] = "greeting"

    name: str


def test_a_message_carries_its_type() -> None:
    data = pack(Greeting(name="x"))
    assert data == {"type": "greeting", "name": "x"}
    assert Vocabulary(Greeting).unpack(data) == Greeting(name="x")
    assert data["type"] == "greeting", "the object is left as it was"


@pytest.mark.parametrize("data", [{"type": "farewell"}, {"name": "x"}, {}])
def test_unknown_types_are_refused(data: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"type: expected one of greeting, got"):
        Vocabulary(Greeting).unpack(data)


def test_fields_that_are_not_there_are_refused() -> None:
    with pytest.raises(TypeError):
        Vocabulary(Greeting).unpack({"type": "greeting", "age": 3})
