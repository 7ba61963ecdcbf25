"""Validation errors as `path: expected <what>, got <what>; <remedy>`, for SDK, CLI, pages, HTTP."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from trimtab.specs.docstrings import description

Item = TypeVar("Item", bound=Mapping[str, Any])
_SECRET_WORDS = ("secret", "password", "authorization", "api_key", "token")
# What pydantic puts into a location for the member of a union that it tried; not a field.
_UNION_MEMBER = re.compile(
    r"(function-(after|before|wrap|plain)|list|tuple|set|dict|nullable)\[|constrained-"
)
_SHOWN_CHARS = 120
_EXAMPLE = re.compile(r"e\.g\.\s+`([^`]+)`")
_REMEDY_UNKNOWN = "remove it or correct its name"

# Error types of pydantic → what was expected. Braces are filled from the error's context.
_EXPECTED = {
    "missing": "a value",
    "extra_forbidden": "no such field",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer of at most 64 bits",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_sub_type": "text",
    "string_unicode": "valid Unicode text",
    "bytes_type": "bytes",
    "none_required": "null",
    "tuple_type": "a list",
    "list_type": "a list",
    "set_type": "a list",
    "iterable_type": "a list",
    "dict_type": "an object",
    "mapping_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dataclass_type": "an object",
    "is_instance_of": "a {class}",
    "enum": "one of {expected}",
    "literal_error": "one of {expected}",
    "greater_than": "a value greater than {gt}",
    "greater_than_equal": "a value of at least {ge}",
    "less_than": "a value less than {lt}",
    "less_than_equal": "a value of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "union_tag_invalid": "one of {expected_tags} as {discriminator}",
    "union_tag_not_found": "an object with {discriminator}",
    "url_parsing": "a URL",
    "url_scheme": "a URL of scheme {expected_schemes}",
    "path_type": "a path",
    "timezone_aware": "a time with its offset from UTC, e.g. 2027-01-31T12:00:00Z",
    "datetime_type": "a time, e.g. 2027-01-31T12:00:00Z",
    "datetime_parsing": "a time, e.g. 2027-01-31T12:00:00Z",
    "datetime_from_date_parsing": "a time, e.g. 2027-01-31T12:00:00Z",
    "datetime_object_invalid": "a time, e.g. 2027-01-31T12:00:00Z",
}


_SINGULAR = {"entries": "entry", "characters": "character"}
_ONE = re.compile(rf"\b1 ({'|'.join(_SINGULAR)})\b")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One error of an input."""

    path: str
    """Dotted path of the field; empty for the input as a whole."""
    expected: str
    """Expected value. For a rule of our own: the whole sentence, and `got` is empty."""
    got: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        head = f"{self.path}: " if self.path else ""
        body = f"expected {self.expected}, got {self.got}" if self.got else self.expected
        return f"{head}{body}" + (f"; {self.remedy}" if self.remedy else "")


def faults_of(
    error: ValidationError, *, known: Mapping[str, Iterable[str]] | None = None
) -> list[Fault]:
    """Return every fault, in the order of the fields.

    `known` has the field names of each object by its path, for suggestions.
    """
    items = own_faults(error.errors(include_url=False))
    return [_fault(item, known or {}) for item in items]


def own_faults(items: Sequence[Item]) -> list[Item]:
    """Leave out entries of `ValidationError.errors()` that only follow from others."""
    meant = without_other_members(items)
    return [item for item in meant if not _follows(item, meant)]


def without_other_members(items: Sequence[Item]) -> list[Item]:
    """Leave out that a value is not of one type of a union where it is faulty as another.

    `stop: [""]` fits neither text nor a list of texts; that its entry is empty is what helps.
    """
    unions = [_before_member(item["loc"]) for item in items]
    meant = {
        union
        for item, union in zip(items, unions, strict=True)
        if union is not None and not _of_another_type(item, union)
    }
    return [
        item
        for item, union in zip(items, unions, strict=True)
        if union is None or union not in meant or not _of_another_type(item, union)
    ]


def _before_member(location: Iterable[Any]) -> tuple[Any, ...] | None:
    """Return the location of the outermost union, None without one."""
    parts = tuple(location)
    members = (i for i, part in enumerate(parts) if _is_member(part))
    return next((parts[:i] for i in members), None)


def _of_another_type(item: Mapping[str, Any], union: tuple[Any, ...]) -> bool:
    return len(item["loc"]) == len(union) + 1 and str(item["type"]).endswith("_type")


def _is_member(part: Any) -> bool:
    return isinstance(part, str) and _UNION_MEMBER.match(part) is not None


def _follows(item: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether a list is too short only because pydantic left out its faulty entries."""
    at = tuple(item["loc"])
    return item["type"] == "too_short" and any(
        len(other["loc"]) > len(at) and tuple(other["loc"])[: len(at)] == at
        for other in items
    )


def fault_of(
    item: Mapping[str, Any], *, known: Mapping[str, Iterable[str]] | None = None
) -> Fault:
    """Translate one entry of `ValidationError.errors()`; `known` as in `faults_of`."""
    return _fault(item, known or {})


def fields_by_path(model: type[BaseModel], prefix: str = "") -> dict[str, list[str]]:
    """Return the field names of a model and of the models within, by their dotted paths.

    Numbers of list entries are left out of the paths.
    """
    names: dict[str, list[str]] = {prefix: list(model.model_fields)}
    for name, field in model.model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        for inner in _models_in(field.annotation):
            for at, fields in fields_by_path(inner, path).items():
                names[at] = [*names.get(at, ()), *fields]
    return names


def faults_in(model: type[BaseModel], error: ValidationError) -> list[Fault]:
    """Return the faults of an input for `model`, with the field meant and examples as remedies."""
    faults = faults_of(error, known=fields_by_path(model))
    return [with_example(fault, model) for fault in faults]


def with_example(fault: Fault, model: type[BaseModel], prefix: str = "") -> Fault:
    """Return the fault of a missing or mistyped field with the example of its description."""
    name = fault.path.removeprefix(prefix)
    example = _EXAMPLE.search(description(model, name))
    if fault.remedy or not fault.got or example is None:
        return fault
    return replace(fault, remedy=f"e.g. {' '.join(example.group(1).split())}")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _fault(item: Mapping[str, Any], known: Mapping[str, Iterable[str]]) -> Fault:
    location = tuple(part for part in item["loc"] if not _is_member(part))
    path, kind = dotted(location), str(item["type"])
    if kind in ("too_short", "too_long") and isinstance(item.get("input"), str):
        kind = f"string_{kind}"
    if kind in ("value_error", "assertion_error"):
        # A rule of our own is a whole sentence. If it names its field, the path is not repeated.
        message = (
            str(item["msg"])
            .removeprefix("Value error, ")
            .removeprefix("Assertion failed, ")
        )
        return Fault(path="" if _names_a_field(message) else path, expected=message)
    if kind == "extra_forbidden":
        return Fault(
            path=path,
            expected="no such field",
            got=shown(location, item.get("input")),
            remedy=_near(location, known),
        )
    template = _EXPECTED.get(kind)
    context = {name: _plain(value) for name, value in (item.get("ctx") or {}).items()}
    try:
        expected = (
            template.format(**context) if template else _from_message(str(item["msg"]))
        )
    except (KeyError, IndexError):
        expected = _from_message(str(item["msg"]))
    return Fault(
        path=path,
        expected=_ONE.sub(lambda found: "1 " + _SINGULAR[found[1]], expected),
        got="nothing" if kind == "missing" else _got(kind, location, item, context),
        remedy=context.get("remedy", ""),
    )


def _got(
    kind: str,
    location: tuple[Any, ...],
    item: Mapping[str, Any],
    context: Mapping[str, str],
) -> str:
    value = item.get("input")
    if kind in ("too_short", "too_long") and "actual_length" in context:
        return context["actual_length"]
    if kind in ("string_too_short", "string_too_long") and isinstance(value, str):
        return "1 character" if len(value) == 1 else f"{len(value):,} characters"
    return shown(location, value)


def dotted(location: Iterable[Any]) -> str:
    """Return a location as text: `("spec", "devices", 0, "count")` → `spec.devices.0.count`."""
    return ".".join(str(part)[:80] for part in location if not _is_member(part))


def shown(location: Iterable[Any], value: Any) -> str:
    """Return a short form of a JSON value. Secrets are not shown."""
    if is_secret(location, value):
        return "(not shown)"
    match value:
        case None:
            text = "null"
        case bool():
            text = "true" if value else "false"
        case Mapping():
            text = f"an object with {', '.join(map(str, list(value)[:5])) or 'no fields'}"
        case list() | tuple():
            text = f"a list of {len(value)}"
        case int() if abs(value) >= 2**63:
            digits = str(len(str(value))) if abs(value) < 10**4000 else "many"
            text = f"an integer of {digits} digits"
        case int():
            text = str(value)
        case float():
            text = repr(value) if math.isfinite(value) else str(value)
        case _:
            text = repr(value)
    text = text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def is_secret(location: Iterable[Any], value: Any) -> bool:
    """Return whether a value must not be shown, by the names of its location.

    A number at `max_tokens` or the like counts tokens of a text, and is no secret.
    """
    names = [str(part).lower() for part in location]
    if isinstance(value, int | float):
        names = [name.replace("tokens", "") for name in names]
    return any(word in name for name in names for word in _SECRET_WORDS)


def _names_a_field(message: str) -> bool:
    head, colon, _ = message.partition(": ")
    return bool(colon) and "." in head and " " not in head


def _near(location: tuple[Any, ...], known: Mapping[str, Iterable[str]]) -> str:
    above = dotted(part for part in location[:-1] if not isinstance(part, int))
    names = list(known.get(above, ()))
    close = difflib.get_close_matches(str(location[-1]), names, n=1) if location else []
    if close:
        return f"did you mean {close[0]!r}?"
    return (
        f"{_REMEDY_UNKNOWN}; fields here: {', '.join(sorted(names))}"
        if names
        else _REMEDY_UNKNOWN
    )


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return str(value)


def _from_message(message: str) -> str:
    """Turn pydantic's message into the end of "expected ..."."""
    for head in ("Input should be ", "Value should be ", "Input should "):
        message = message.removeprefix(head)
    return message[:1].lower() + message[1:]
