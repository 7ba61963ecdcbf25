"""JSON schemas as grammars of JSON text, in the notation that xgrammar reads.

Written here, because a converter that ignores a keyword promises what it does not keep. Each text
of the grammar is valid under the schema. The reverse does not hold: keys come in the order of
`properties`; no key comes that the schema does not name; strings with a length hold no character
that JSON must escape; integers and decimals have at most 15 digits where the schema sets no bound.
Keywords that bound a value and are not known here are refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from workers.llm import characters, regex_grammar
from workers.llm.grammar_error import BadGrammar
from workers.llm.json_bounds import (
    OF_NUMBERS,
    NumberBounds,
    Schema,
    counts,
    json_text,
    shown,
)
from workers.llm.json_leaves import LENGTHS, MAX_VALUES, PLAIN, number, string

MAX_DEPTH = 16
MAX_NODES = 1000  # with every $ref written out
_ANNOTATIONS = frozenset(
    (
        *("title", "description", "default", "examples", "example", "deprecated"),
        *("readOnly", "writeOnly", "$comment", "$schema", "$id", "$defs", "definitions"),
        *("discriminator", "contentMediaType", "contentEncoding"),
    )
)
_OF_TYPE = {
    "object": {
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "minProperties",
        "maxProperties",
    },
    "array": {"items", "prefixItems", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "integer": set(OF_NUMBERS),
    "boolean": set[str](),
    "null": set[str](),
}
_OF_TYPE["number"] = _OF_TYPE["integer"]
_TYPES = frozenset(_OF_TYPE)
_SHARED = (
    f'string ::= "\\"" ({PLAIN} | "\\\\" ["\\\\/bfnrt])* "\\""',
    'number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,15})? ("e" [+\\u002d]? [0-9]{1,2})?',
    'anything ::= "null" | "true" | "false" | number | string | list | object',
    'list ::= "[]" | "[" anything (", " anything)* "]"',
    'object ::= "{}" | "{" string ": " anything (", " string ": " anything)* "}"',
)


def grammar(schema: Schema) -> str:
    """Return the grammar of a schema, with the rule `root`. Raises BadGrammar."""
    return _Writer(schema).text()


class _Writer:
    """Writes one rule for each part of a schema."""

    def __init__(self, schema: Schema) -> None:
        self._root = schema
        self._rules: list[str] = []
        self._of_reference: dict[str, tuple[str, int]] = {}
        self._open: list[str] = []  # references that are being followed

    def text(self) -> str:
        rule, _ = self._rule(self._root, "json_schema", 1)
        return "\n".join([f"root ::= {rule}", *self._rules, *_SHARED]) + "\n"

    def _new(self, body: str) -> str:
        name = f"r{len(self._rules)}"
        self._rules.append(f"{name} ::= {body}")
        return name

    def _rule(self, schema: Any, field: str, depth: int) -> tuple[str, int]:
        """Return an expression for a schema, and its number of nodes."""
        if depth > MAX_DEPTH:
            raise BadGrammar(
                f"{field}: expected at most {MAX_DEPTH} schemas within one another; flatten it"
            )
        if schema is True:
            return "anything", 1
        if not isinstance(schema, Mapping):
            raise BadGrammar(
                f"{field}: expected an object or true, got {shown(schema)}; write a schema"
            )
        if "$ref" in schema:
            return self._reference(schema, field, depth)
        body, nodes = self._body(schema, field, depth)
        if nodes > MAX_NODES:
            raise BadGrammar(
                f"{field}: expected at most {MAX_NODES} schemas with every $ref written out, got "
                f"{nodes}; split the request"
            )
        return (body if body.isidentifier() else self._new(body)), nodes

    def _reference(self, schema: Schema, field: str, depth: int) -> tuple[str, int]:
        reference = schema["$ref"]
        self._only(schema, {"$ref"}, field)
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise BadGrammar(
                f"{field}.$ref: expected a path within the schema, as #/$defs/Name, got "
                f"{shown(reference)}; put the definition into $defs"
            )
        if reference in self._open:
            raise BadGrammar(
                f"{field}.$ref: expected no recursion, got {reference[:80]!r} within itself; "
                "write out as many levels as you need"
            )
        if reference not in self._of_reference:
            self._open.append(reference)
            self._of_reference[reference] = self._rule(
                self._found(reference, field), reference, depth + 1
            )
            self._open.pop()
        return self._of_reference[reference]

    def _found(self, reference: str, field: str) -> Any:
        at: Any = self._root
        for part in reference[1:].split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(at, Mapping) or key not in at:
                raise BadGrammar(
                    f"{field}.$ref: expected a definition at {reference[:80]!r}, got none; add it"
                )
            at = at[key]
        return at

    def _only(self, schema: Schema, known: set[str], field: str) -> None:
        for keyword, value in schema.items():
            if keyword in known or keyword in _ANNOTATIONS:
                continue
            if keyword == "uniqueItems" and value is False:
                continue
            allowed = ", ".join(sorted(known))
            raise BadGrammar(
                f"{field}.{keyword}: expected a keyword that a grammar can keep here ({allowed}), "
                f"got {str(keyword)[:40]!r}; leave it out and check the answer"
            )

    def _body(self, schema: Schema, field: str, depth: int) -> tuple[str, int]:
        """Return the right side of a rule, and the number of nodes."""
        for keyword in ("const", "enum"):
            if keyword in schema:
                return self._values(schema, keyword, field), 1
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in schema:
                return self._alternatives(schema, keyword, field, depth)
        kinds = schema.get("type")
        if kinds is None:
            kinds = [
                kind
                for kind in ("object", "array", "string", "number")
                if _OF_TYPE[kind] & schema.keys()
            ]
            if not kinds:
                self._only(schema, set(), field)
                return "anything", 1
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if not kinds or any(not isinstance(k, str) or k not in _TYPES for k in kinds):
            raise BadGrammar(
                f"{field}.type: expected {', '.join(sorted(_TYPES))}, got {shown(kinds)}"
            )
        keywords = set().union(*(_OF_TYPE[kind] for kind in kinds)) | {"type"}
        self._only(schema, keywords, field)
        texts, nodes = [], 1
        for kind in dict.fromkeys(kinds):
            if kind == "integer" and "number" in kinds:
                continue
            text, count = self._of_kind(kind, schema, field, depth)
            texts.append(text)
            nodes += count
        return " | ".join(texts), nodes

    def _of_kind(
        self, kind: str, schema: Schema, field: str, depth: int
    ) -> tuple[str, int]:
        if kind == "object":
            return self._object(schema, field, depth)
        if kind == "array":
            return self._array(schema, field, depth)
        if kind == "string":
            return string(schema, field), 0
        if kind in ("integer", "number"):
            return number(schema, field, whole=kind == "integer"), 0
        return {"boolean": '"true" | "false"', "null": '"null"'}[kind], 0

    def _values(self, schema: Schema, keyword: str, field: str) -> str:
        values = [schema["const"]] if keyword == "const" else schema["enum"]
        kinds = schema.get("type", [])
        kinds = kinds if isinstance(kinds, list) else [kinds]
        self._only(schema, {keyword, "type", *_OF_TYPE["integer"], *LENGTHS}, field)
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise BadGrammar(f"{field}.{keyword}: expected a list of at least one value")
        if len(values) > MAX_VALUES:
            raise BadGrammar(
                f"{field}.{keyword}: expected at most {MAX_VALUES} values, got {len(values)}"
            )
        texts = [
            json_text(value, f"{field}.{keyword}")
            for value in values
            if _fits(value, kinds) and _within(value, schema, field)
        ]
        if not texts:
            raise BadGrammar(
                f"{field}.{keyword}: expected values of type {shown(kinds)} within the bounds, "
                "got none; correct one of them"
            )
        return " | ".join(characters.literal_text(text) for text in dict.fromkeys(texts))

    def _alternatives(
        self, schema: Schema, keyword: str, field: str, depth: int
    ) -> tuple[str, int]:
        self._only(schema, {keyword}, field)
        parts = schema[keyword]
        if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
            raise BadGrammar(f"{field}.{keyword}: expected a list of at least one schema")
        if keyword == "allOf" and len(parts) > 1:
            raise BadGrammar(
                f"{field}.allOf: expected one schema, got {len(parts)}; merge them into one"
            )
        if keyword == "oneOf" and len(parts) > 1:
            parts = self._disjoint(parts, field)
        texts, nodes = [], 1
        for i, part in enumerate(parts):
            text, count = self._rule(part, f"{field}.{keyword}[{i}]", depth + 1)
            texts.append(text)
            nodes += count
        return " | ".join(texts), nodes

    def _disjoint(self, parts: Sequence[Any], field: str) -> list[Any]:
        """Return the schemas of a `oneOf`, changed so that no value fits two of them.

        Known are schemas of different types, and objects with a property that has other constant
        values in each: it is then required. Raises BadGrammar for others.
        """
        seen = [self._followed(part, field) for part in parts]
        kinds = [k if isinstance(k, list) else [k] for k in (p.get("type") for p in seen)]
        flat = ["number" if k == "integer" else k for ks in kinds for k in ks]
        if None not in flat and len(set(flat)) == len(flat):
            return list(parts)
        shared = set.intersection(*({*p.get("properties", {})} for p in seen))
        for name in sorted(shared):
            constants = [_constants(p["properties"][name]) for p in seen]
            texts = [json.dumps(v, sort_keys=True) for c in constants for v in c or ()]
            if all(constants) and len(set(texts)) == len(texts):
                return [
                    {**p, "required": sorted({*p.get("required", ()), name})}
                    for p in seen
                ]
        raise BadGrammar(
            f"{field}.oneOf: expected schemas of different types, or with a property that has "
            "another constant in each; write anyOf"
        )

    def _followed(self, schema: Any, field: str) -> Schema:
        hops = 0
        while isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
            schema, hops = self._found(schema["$ref"], field), hops + 1
            if hops > MAX_DEPTH:
                break
        return schema if isinstance(schema, Mapping) else {}

    def _object(self, schema: Schema, field: str, depth: int) -> tuple[str, int]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            raise BadGrammar(
                f"{field}: expected `properties` as an object and `required` as a list"
            )
        properties = {**properties}
        extra = schema.get("additionalProperties", not properties)
        for name in required:
            if name not in properties:
                if extra is False or not isinstance(name, str):
                    raise BadGrammar(
                        f"{field}.required: expected names of properties, got {shown(name)}"
                    )
                properties[name] = extra
        least, most = counts(schema, "minProperties", "maxProperties", field)
        if not properties:
            return self._map(schema, (least, most), field, depth)
        texts, nodes = [], 0
        for name, part in properties.items():
            text, count = self._rule(part, f"{field}.properties.{name}", depth + 1)
            key = characters.literal_text(json_text(name, field) + ": ")
            texts.append((f"{key} {text}", name in required))
            nodes += count
        must = sum(needed for _, needed in texts)
        if least > max(must, 1) or (most is not None and most < len(texts)):
            raise BadGrammar(
                f"{field}: expected minProperties of at most {max(must, 1)} and maxProperties of "
                f"at least {len(texts)}, got {least} and {most}; leave them out"
            )
        return self._members(texts, may_be_empty=least <= must == 0), nodes

    def _members(self, members: Sequence[tuple[str, bool]], *, may_be_empty: bool) -> str:
        """Return an object whose members come in order, each required or not.

        Rule i of `after` writes members i and later, of which each follows another one.
        """
        after = '""'
        starts: list[str] = []
        for text, needed in reversed(members):
            if needed:
                starts = []
            starts.insert(0, f"{text} {after}")
            follows = f'", " {text} {after}'
            after = self._new(follows if needed else f"{follows} | {after}")
        body = f'"{{" ({" | ".join(starts)}) "}}"'
        return f'"{{}}" | {body}' if may_be_empty else body

    def _map(
        self, schema: Schema, counts: tuple[int, int | None], field: str, depth: int
    ) -> tuple[str, int]:
        """Return an object with any keys, or with keys of a pattern."""
        least, most = counts
        patterns = schema.get("patternProperties") or {}
        values, key, nodes = schema.get("additionalProperties", True), "string", 0
        if patterns:
            if not isinstance(patterns, Mapping) or len(patterns) > 1:
                raise BadGrammar(
                    f"{field}.patternProperties: expected one pattern, got "
                    f"{shown(patterns)}; name the properties"
                )
            ((pattern, values),) = patterns.items()
            tree = regex_grammar.parse(str(pattern), field=f"{field}.patternProperties")
            inside = regex_grammar.grammar_text(tree, json=True, field=field)
            key = f'"\\"" {inside} "\\""'
        if values is False or most == 0:
            if least:
                raise BadGrammar(f"{field}.minProperties: expected 0, got {least}")
            return '"{}"', 0
        if least > 1:
            raise BadGrammar(
                f"{field}.minProperties: expected at most 1, got {least}; name the properties"
            )
        text, nodes = self._rule(values, f"{field}.additionalProperties", depth + 1)
        more = "" if most is None else most - 1
        pair = f'{key} ": " {text}'
        body = f'"{{" {pair} (", " {pair}){{0,{more}}} "}}"'
        return (body if least else f'"{{}}" | {body}'), nodes

    def _array(self, schema: Schema, field: str, depth: int) -> tuple[str, int]:
        least, most = counts(schema, "minItems", "maxItems", field)
        first = schema.get("prefixItems", [])
        rest = schema.get("items", not first)
        if not isinstance(first, list):
            raise BadGrammar(f"{field}.prefixItems: expected a list of schemas")
        if rest is False:
            most = min(len(first), len(first) if most is None else most)
        if most is not None and most < least:
            raise BadGrammar(
                f"{field}.minItems: expected at most {most}, got {least}; correct one of them"
            )
        texts, nodes = [], 0
        for i, part in enumerate(first[:most]):
            text, count = self._rule(part, f"{field}.prefixItems[{i}]", depth + 1)
            texts.append(text)
            nodes += count
        item = ""
        if rest is not False and (most is None or most > len(first)):
            item, count = self._rule(rest, f"{field}.items", depth + 1)
            nodes += count
        return self._items(texts, item, least, most), nodes

    def _items(self, first: list[str], item: str, least: int, most: int | None) -> str:
        """Return a list: `first` in order, then `item`, `least` to `most` in all."""
        body = ""
        if item:
            low = max(0, least - len(first))
            high = None if most is None else most - len(first)
            if first:
                body = f'(", " {item}){{{low},{"" if high is None else high}}}'
            else:
                more = "" if high is None else high - 1
                body = f'{item} (", " {item}){{{max(0, low - 1)},{more}}}'
        for i in range(len(first) - 1, -1, -1):
            comma = '", " ' if i else ""
            # What follows may be left out once there are enough items.
            optional = body and i + 1 >= least and (i + 1 < len(first))
            body = f"{comma}{first[i]} {f'({body})?' if optional else body}"
        if not body:
            return '"[]"'
        filled = f'"[" {body} "]"'
        return filled if least else f'"[]" | {filled}'


def _fits(value: Any, kinds: Sequence[Any]) -> bool:
    """Return whether a value is of one of these types; of no type, always."""
    if not kinds:
        return True
    whole = not isinstance(value, bool) and (
        isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    )
    of = {
        "null": value is None,
        "boolean": isinstance(value, bool),
        "integer": whole,
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "string": isinstance(value, str),
        "array": isinstance(value, list | tuple),
        "object": isinstance(value, Mapping),
    }
    return any(of.get(kind, False) for kind in kinds)


def _within(value: Any, schema: Schema, field: str) -> bool:
    """Return whether a value keeps the bounds on numbers and lengths beside an enum."""
    if isinstance(value, str):
        least, most = counts(schema, *LENGTHS, field)
        return least <= len(value) <= (len(value) if most is None else most)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return NumberBounds.of(schema, field).hold(Decimal(str(value)))


def _constants(schema: Any) -> list[Any]:
    if not isinstance(schema, Mapping):
        return []
    return [schema["const"]] if "const" in schema else list(schema.get("enum") or ())
