"""JSON schemas as grammars: bounds that a schema bomb cannot pass, and refusals by name."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab.specs.antenna import AntennaSpec
from trimtab.specs.common import JobRequest
from trimtab.specs.compile import CompileSpec
from trimtab.specs.ilp import IlpSpec
from trimtab.specs.sharding import ShardingSpec
from workers.llm.grammar_error import BadGrammar
from workers.llm.json_grammar import grammar


@pytest.mark.parametrize(
    "spec", [AntennaSpec, CompileSpec, IlpSpec, ShardingSpec, JobRequest]
)
def test_our_own_specifications(spec: Any) -> None:
    assert grammar(spec.model_json_schema()).startswith("root ::= ")


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def doubling(levels: int) -> dict[str, Any]:
    """Return a schema that is 2^levels schemas when written out."""
    definitions: dict[str, Any] = {"d0": {"type": "integer"}}
    for i in range(1, levels):
        reference = {"$ref": f"#/$defs/d{i - 1}"}
        definitions[f"d{i}"] = {"type": "array", "prefixItems": [reference, reference]}
    return {"$ref": f"#/$defs/d{levels - 1}", "$defs": definitions}


RECURSIVE = {
    "$defs": {
        "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (nested(17), "at most 16 schemas within one another"),
        (nested(900), "at most 16 schemas within one another"),
        (
            {"type": "object", "properties": {f"p{i}": {} for i in range(1001)}},
            "at most 1000 schemas",
        ),
        (RECURSIVE, "no recursion"),
        ({"$ref": "#"}, "no recursion"),
        ({"$ref": "https://example.org/schema"}, "a path within the schema"),
        ({"$ref": "#/$defs/none"}, "a definition at"),
        ({"type": "array", "minItems": 10**9}, "minItems: expected at most"),
        ({"type": "string", "minLength": 10**6}, "minLength: expected at most"),
        ({"type": "string", "pattern": "(a{1,9999}){1,9999}"}, "pattern: expected"),
        ({"enum": list(range(30_000))}, "at most 20000 values"),
        ({"enum": []}, "at least one value"),
        ({"anyOf": []}, "at least one schema"),
        (False, "expected an object or true"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "within its bounds"),
        (
            {"type": "string", "minLength": 3, "maxLength": 2},
            "minLength: expected at most 2",
        ),
        (
            {"type": "array", "minItems": 2, "prefixItems": [{}], "items": False},
            "minItems",
        ),
        ({"not": {"type": "null"}}, "json_schema.not"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        (
            {"type": "object", "properties": {"a": {"if": {}}}},
            "json_schema.properties.a.if",
        ),
        ({"type": "text"}, "type: expected"),
        ({"type": "string", "format": "iban"}, "format: expected one of"),
        ({"type": "number", "multipleOf": 0}, "multipleOf"),
        ({"type": "integer", "minimum": float("nan")}, "minimum"),
        ({"const": float("inf")}, "expected JSON"),
        ({"const": "\ud800"}, "expected JSON"),
        ({"type": "integer", "enum": ["a"]}, "values of type"),
        ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, "merge them"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, "write anyOf"),
        (
            {"type": "object", "required": ["a"], "additionalProperties": False},
            "required: expected names",
        ),
        ({"type": "object", "minProperties": 3}, "minProperties"),
    ],
)
def test_refused_by_name(schema: Any, said: str) -> None:
    with pytest.raises(BadGrammar) as caught:
        grammar(schema)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 800


def test_references_written_out_are_counted() -> None:
    grammar(doubling(7))
    with pytest.raises(BadGrammar):
        grammar(doubling(12))


def test_one_of_by_a_constant_requires_it() -> None:
    parts = [
        {
            "type": "object",
            "properties": {"kind": {"const": kind}, "n": {"type": "integer"}},
        }
        for kind in ("a", "b")
    ]
    text = grammar({"oneOf": parts})
    assert '"{}"' not in text.partition("\nstring ::=")[0]


def test_bounds_beside_an_enum() -> None:
    text = grammar({"enum": [1, 5, "a", "long", 9.5], "maximum": 6, "maxLength": 2})
    rule = text.splitlines()[1]
    assert rule == 'r0 ::= "1" | "5" | "\\u0022a\\u0022"'
    with pytest.raises(BadGrammar, match="within the bounds"):
        grammar({"const": 5, "minimum": 6})
