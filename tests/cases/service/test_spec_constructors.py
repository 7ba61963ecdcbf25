"""Constructors of specs take what JSON takes, and report errors by field."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

import pytest
from pydantic import ValidationError

from search.kinds import KINDS
from tests.cases.service.fields import BASES, PAIRS
from tests.cases.service.test_spec_fields import changed, with_files
from trimtab.errors import SpecError
from trimtab.specs.common import request_model
from trimtab.specs.sharding import DeviceGroup


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_constructors_take_what_json_takes(kind: str) -> None:
    """Words for enumerations and objects for models, at any depth."""
    for name, base in BASES.items():
        if name.split("-")[0] == kind:
            spec = with_files(base)
            assert KINDS[kind].spec(**spec) == KINDS[kind].spec.model_validate_json(
                json.dumps(spec)
            )
    pairs = [(pair.base or kind, pair.other) for pair in PAIRS[kind].values()]
    for base_name, changes in pairs:
        spec = with_files(changed(BASES[base_name], changes))
        try:
            read = KINDS[kind].spec.model_validate_json(json.dumps(spec))
        except ValidationError:
            with pytest.raises(SpecError):
                KINDS[kind].spec(**spec)
        else:
            assert KINDS[kind].spec(**spec) == read


def enumerations() -> list[tuple[type[Any], str, type[Enum]]]:
    fields = []
    for row in KINDS.values():
        stack, seen = [row.spec], set[type[Any]]()
        while stack:
            model = stack.pop()
            if model in seen:
                continue
            seen.add(model)
            for name, info in model.model_fields.items():
                if isinstance(info.annotation, type) and issubclass(
                    info.annotation, Enum
                ):
                    fields.append((model, name, info.annotation))
                parts = (*getattr(info.annotation, "__args__", ()), info.annotation)
                stack += [
                    part
                    for part in parts
                    if isinstance(part, type) and hasattr(part, "model_fields")
                ]
    return fields


@pytest.mark.parametrize(("model", "name", "words"), enumerations())
def test_every_enumeration_takes_its_words(
    model: Any, name: str, words: type[Enum]
) -> None:
    required = {"count": 1, "memory_gib": 1.0, "name": "t", "rows": 10, "dim": 8}
    required |= {"library": "picolibc"}
    values = {key: value for key, value in required.items() if key in model.model_fields}
    base = next((BASES[kind] for kind, row in KINDS.items() if row.spec is model), {})
    for word in words:
        more = (
            {"runs": [{}], "objective": "ir_instructions"}
            if word.value == "paper"
            else {}
        )
        if "runs" in more and "runs" not in model.model_fields:
            more = {}
        made = model(**{**with_files(base), **values, **more, name: word.value})
        assert getattr(made, name) is word
    with pytest.raises(SpecError) as caught:
        model(**{**with_files(base), **values, name: "no-such-word"})
    assert f"{name}: expected one of " in str(caught.value)
    assert "got 'no-such-word'" in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_the_error_has_its_parts() -> None:
    spec = KINDS["sharding"].spec
    with pytest.raises(SpecError) as caught:
        spec(
            devices=[{"count": 0, "memory_gib": 1.0}], tables=BASES["sharding"]["tables"]
        )
    error = caught.value
    assert (error.path, error.expected, error.got) == (
        "devices.0.count",
        "a value of at least 1",
        "0",
    )
    with pytest.raises(
        ValueError,
        match=r"^hardwar: expected no such field, got 'a100'; did you mean 'hardware'\?",
    ):
        DeviceGroup(count=1, memory_gib=1, hardwar="a100")  # type: ignore[call-arg]
    request: Any = request_model(spec)
    assert request(kind="sharding", spec=BASES["sharding"]).kind == "sharding"
