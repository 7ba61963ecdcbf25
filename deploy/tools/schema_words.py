"""Words for JSON schemas in the reference pages: types, defaults, limits and meanings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "multiple of {}",
    "pattern": "`{}`",
}
# Least lengths, with the word for what is counted; the most are "maxLength" and "maxItems".
COUNTS = {"minLength": "characters", "minItems": "items"}

Schema = Mapping[str, Any]


def paragraph(text: str) -> str:
    """Return the text on one line."""
    return re.sub(r"\s+", " ", text).strip()


def meaning_of(field: Schema) -> str:
    """Return a field's description, with the word of JSON for an absent value."""
    return re.sub(r"\bNone\b", "`null`", paragraph(field.get("description", "")))


def type_and_limits(field: Schema) -> str:
    """Return a field's type and the limits on its values."""
    parts = [type_of(field).removesuffix(" or null"), limits_of(field)]
    return ", ".join(part for part in parts if part)


def type_of(field: Schema) -> str:
    """Return a field's type in words; models link to their section."""
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in field:
            return " or ".join(dict.fromkeys(type_of(part) for part in field[key]))
    if field.get("type") == "array":
        items = field.get("items") or {}
        return f"list of {plural(type_of(items))}" if items else "list"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        return f"mapping to {type_of(values)}" if isinstance(values, dict) else "mapping"
    return str(field.get("type", "any"))


def plural(words: str) -> str:
    """Return the plural of a plain type; links and values stay."""
    first, *rest = words.split(" ")
    plain = first in ("string", "integer", "number", "boolean", "list", "mapping")
    return " ".join([f"{first}s", *rest]) if plain else words


def default_of(field: Schema, *, required: bool) -> str:
    """Return the default, or `required`."""
    if required:
        return "required"
    if "default" not in field:
        return "its defaults" if "$ref" in field else "empty"
    value = field["default"]
    if value == {} and "$ref" in field:
        return "its defaults"
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= 60 else "see meaning"


def limits_of(field: Schema) -> str:
    """Return the limits on a value or on the items of a list."""
    parts = [field, *field.get("anyOf", ())]
    words = [count_of(part, key) for part in parts for key in COUNTS]
    words += [
        LIMITS[key].format(number(part[key]))
        for part in parts
        for key in LIMITS
        if key in part and not (key == "pattern" and len(str(part[key])) > 60)
    ]
    for part in parts:
        items = part.get("items") if part.get("type") == "array" else None
        if items and (inner := limits_of(items)):
            counted = any(count_of(items, key) for key in COUNTS)
            words.append(f"each of {inner}" if counted else f"each {inner}")
    return ", ".join(dict.fromkeys(word for word in words if word))


def count_of(part: Schema, key: str) -> str:
    """Return the limits on a length in words, such as "1 to 200 characters"; empty if none."""
    least, most = part.get(key), part.get(key.replace("min", "max"))
    if least is None and most is None:
        return ""
    if most is None:
        return "not empty" if least == 1 else f"at least {number(least)} {COUNTS[key]}"
    if least == most:
        return f"{number(most)} {COUNTS[key]}"
    begin = f"{number(least)} to" if least else "at most"
    return f"{begin} {number(most)} {COUNTS[key]}"


def number(value: Any) -> str:
    """Return a number with thousands separators; other values as they are."""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return str(value)
