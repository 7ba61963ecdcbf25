"""Validation errors as `path: expected ..., got ...; remedy`."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from trimtab.faults import dotted, faults_of, fields_by_path, shown


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    count: int = Field(ge=1)
    names: list[str] = Field(default=[], min_length=0, max_length=2)

    @field_validator("count")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("inner.count: expected an even number; add one")
        return value


class Outer(BaseModel):
    inner: Inner
    api_key: int = 0


def texts(body: Any, **options: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(body)
    return [str(fault) for fault in faults_of(caught.value, **options)]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "inner: expected a value, got nothing"),
        ({"inner": {"count": 0}}, "inner.count: expected a value of at least 1, got 0"),
        ({"inner": {"count": "2"}}, "inner.count: expected an integer, got '2'"),
        ({"inner": {"count": 3}}, "inner.count: expected an even number; add one"),
        (
            {"inner": {"count": 2, "names": ["a", "b", "c"]}},
            "inner.names: expected at most 2 entries, got 3",
        ),
    ],
)
def test_each_fault_names_field_expectation_and_value(body: Any, text: str) -> None:
    assert texts(body) == [text]


def test_an_unknown_field_gets_a_suggestion_when_the_names_are_known() -> None:
    body = {"inner": {"count": 2, "nmaes": []}}
    (text,) = texts(body, known={"inner": ["count", "names"]})
    assert text.endswith("did you mean 'names'?")
    (text,) = texts(body)
    assert "remove it or correct its name" in text


def test_a_secret_is_not_shown() -> None:
    (text,) = texts({"inner": {"count": 2}, "api_key": "tt_1_hush"})
    assert "hush" not in text
    assert "(not shown)" in text


def test_a_number_of_tokens_is_no_secret() -> None:
    assert shown(("max_tokens",), -1) == "-1"
    assert shown(("max_tokens",), "tt_1_hush") == "(not shown)"
    assert shown(("token",), 4711) == "(not shown)"
    assert shown(("token", "max_tokens"), 4711) == "(not shown)"


def _stored(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains a NUL character; remove it")
    return text


_Stored = Annotated[str, AfterValidator(_stored)]
_Stop = Annotated[_Stored, Field(min_length=1)]


class Choices(BaseModel):
    model_config = ConfigDict(strict=True)

    stop: _Stop | Annotated[list[_Stop], Field(max_length=2)]


@pytest.mark.parametrize(
    ("stop", "wanted"),
    [
        ("", ["stop: expected text of at least 1 character, got 0 characters"]),
        ([""], ["stop.0: expected text of at least 1 character, got 0 characters"]),
        (["a", "b", "c"], ["stop: expected at most 2 entries, got 3"]),
        ("a\x00", ["stop: contains a NUL character; remove it"]),
        (5, ["stop: expected text, got 5", "stop: expected a list, got 5"]),
    ],
)
def test_a_union_says_what_is_wrong_with_the_type_that_was_meant(
    stop: object, wanted: list[str]
) -> None:
    with pytest.raises(ValidationError) as caught:
        Choices.model_validate({"stop": stop})
    assert [str(fault) for fault in faults_of(caught.value)] == wanted


def test_values_are_short_and_valid_text() -> None:
    assert len(shown(("x",), "a" * 10_000)) <= 120
    assert shown(("x",), 2**64) == "an integer of 20 digits"
    shown(("x",), "\ud800\x00").encode()
    assert dotted(("spec", "devices", 0, "count")) == "spec.devices.0.count"


def test_a_close_name_is_suggested_at_any_depth() -> None:
    class Request(BaseModel):
        rows: list[Inner] | None = None

    known = fields_by_path(Request)
    assert known == {"": ["rows"], "rows": ["count", "names"]}
    with pytest.raises(ValidationError) as caught:
        Request.model_validate({"rows": [{"count": 2}, {"count": 2, "nmes": []}]})
    (fault,) = faults_of(caught.value, known=known)
    assert str(fault).endswith("got a list of 0; did you mean 'names'?")
