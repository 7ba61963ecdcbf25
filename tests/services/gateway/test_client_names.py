"""Names in `/openapi.json`, from which generators of typed clients take theirs."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Any

import pytest

from services.gateway.app import create_app
from services.settings import Settings
from tests.doubles.memory_store import MemoryStore


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("names")
    return create_app(
        Settings(data_dir=folder, role="gateway"), store=MemoryStore()
    ).openapi()


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [op for path in document["paths"].values() for op in path.values()]


def test_operations_have_short_unique_names_with_one_tag(
    document: dict[str, Any],
) -> None:
    names = [op["operationId"] for op in operations(document)]
    assert len(names) == len(set(names))
    for op in operations(document):
        name = op["operationId"]
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+){0,3}", name), name
        assert not keyword.iskeyword(name), name
        assert op["tags"], name
        assert op["summary"], name


def test_schemas_are_named_like_classes(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        # No `Input`/`Output` twins, no module paths, no `Response_...` of nameless models.
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", name), name
        assert schema.get("title", name) == name, name


def test_bodies_and_answers_refer_to_named_schemas(document: dict[str, Any]) -> None:
    for op in operations(document):
        body = op.get("requestBody", {}).get("content", {}).get("application/json")
        # MathOpt's own protocol has a body of its own.
        if body is not None and op["operationId"] != "solve_mathopt_model":
            assert "$ref" in body["schema"], op["operationId"]


def test_names_that_generators_make_up_are_free(document: dict[str, Any]) -> None:
    """A nameless object is named after its owner and property: `Outline.answers`."""
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        for field, inner in schema.get("properties", {}).items():
            made_up = name + field.title().replace("_", "")
            if inner.get("type") == "object":
                assert made_up not in schemas, (name, field)


def test_choices_have_names(document: dict[str, Any]) -> None:
    """A nameless list of words would become `ListDeliveriesStateType0Item`."""
    for op in operations(document):
        for parameter in op.get("parameters", []):
            schema = parameter["schema"]
            for part in (schema, *schema.get("anyOf", [])):
                assert "enum" not in part.get("items", {}), parameter["name"]
    scopes = document["components"]["schemas"]["NewKey"]["properties"]["scopes"]
    assert scopes["items"] == {"$ref": "#/components/schemas/Scope"}
