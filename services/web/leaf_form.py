"""The form that edits one leaf of an outline: its fields, and the patch that it asks for. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.web.answers import Answers, Fault, read_value, texts_of
from services.web.form_view import request_form
from services.web.forms import Control, Field
from trimtab.edits import Patch, difference, pointer_of, set_value
from trimtab.outlines import LeafValue, is_file
from trimtab.specs.common import Spec, request_model

PARTS = ("spec", "budget", "seed", "enabled")  # what an owner may change
_LINES = frozenset({Control.LINES, Control.CHOICES})
_NESTED = frozenset(
    {Control.JSON, Control.PAIRS, Control.LONG_TEXT, Control.ROWS, Control.FILES}
)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What was typed into a leaf's form and refused, to be shown again."""

    leaf: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[str] = ()


def fields_of_kind(spec: type[Spec] | None) -> dict[str, Field]:
    """Return the form fields of a kind's request by dotted path; none for an unknown kind."""
    if spec is None:
        return {}
    return {leaf.name: leaf for leaf in request_form(request_model(spec)).leaves()}


def field_of(value: LeafValue, fields: Mapping[str, Field]) -> Field | None:
    """Return the form field of a value; None for one that is shown only."""
    if is_file(value.value):
        return None
    found = fields.get(value.path)
    if found is None:
        found = _by_type(value)
    if found is None or found.control in (Control.CONSTANT, Control.GROUP, Control.FILE):
        return None
    if found.control in _LINES and any("," in str(entry) for entry in value.value or ()):
        return None
    # Long texts and nested values are edited as JSON, with the whole request.
    return None if found.control in _NESTED else found


def _by_type(value: LeafValue) -> Field | None:
    """Return the field of a value inside a list, which no form has, by the value's own type."""
    path = tuple(value.path.split("."))
    match value.value:
        case bool():
            control = Control.FLAG
        case int():
            control = Control.INTEGER
        case float():
            control = Control.NUMBER
        case str():
            control = Control.TEXT
        case _:
            return None
    return Field(path=path, control=control, label=path[-1], default=value.value)


def text_of(item: Field, value: Any) -> str:
    """Return a value as the form shows it; lists on one line."""
    if value is None:
        return ""
    texts = texts_of(item, value)
    if item.control in _LINES:
        texts = [", ".join(text.strip() for entry in texts for text in entry.split("\n"))]
    return texts[0] if texts else ""


def posted_patch(
    name: str,
    request: Mapping[str, Any],
    values: Sequence[LeafValue],
    fields: Mapping[str, Field],
    posted: Mapping[str, str],
) -> tuple[Patch, list[Fault]]:
    """Return (patch, answers that cannot be read) of a posted form.

    Untouched answers change nothing. An emptied one removes its value, so that the default applies.
    """
    after = copy.deepcopy({part: request.get(part) for part in PARTS})
    before = copy.deepcopy(after)
    faults: list[Fault] = []
    for value in values:
        item = field_of(value, fields)
        text = posted.get(value.path)
        if item is None or text is None or text.strip() == text_of(item, value.value):
            continue
        try:
            _put(after, value.path, _read(item, text))
        except ValueError as error:
            path = tuple(value.path.split("."))
            faults.append(
                Fault(path=path, got=text[:120] or "nothing", expected=str(error))
            )
    return _between(name, before, after), faults


def json_patch(name: str, request: Mapping[str, Any], text: str) -> Patch:
    """Return the patch that gives a leaf the request in `text`. Raises ValueError."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"request: expected JSON, got text that is none: {error}"
        ) from None
    if not isinstance(given, dict) or not isinstance(given.get("spec"), dict):
        raise ValueError(
            "request: expected an object with `spec` and `budget`, got another"
        )
    before = {part: request.get(part) for part in PARTS}
    after = before | {part: given[part] for part in PARTS if part in given}
    return _between(name, before, after)


def enabled_patch(name: str, request: Mapping[str, Any], enabled: bool) -> Patch:
    """Return the patch that drops a leaf, or takes it in again."""
    return set_value(request, name, "enabled", enabled)


def request_text(request: Mapping[str, Any]) -> str:
    """Return the editable part of a leaf's request as JSON text."""
    shown = {part: request[part] for part in ("spec", "budget", "seed")}
    return json.dumps(shown, indent=2, ensure_ascii=False)


def _between(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Patch:
    return difference(before, after, pointer_of("leaves", name))


_REMOVED = object()


def _read(item: Field, text: str) -> Any:
    """Convert an answer; an empty one removes the value. Raises ValueError."""
    if not text.strip():
        return _REMOVED
    if item.control in _LINES:
        parts = [part.strip() for part in text.replace("\n", ",").split(",")]
        texts = [part for part in parts if part]
        joined = ["\n".join(texts)] if item.control is Control.LINES else texts
        return read_value(item, Answers(values={item.name: joined}))
    return read_value(item, Answers(values={item.name: [text.strip()]}))


def _put(request: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    at: Any = request
    for step in parents:
        at = at[int(step)] if isinstance(at, list) else at[step]
    if value is not _REMOVED:
        at[int(last) if isinstance(at, list) else last] = value
    elif isinstance(at, dict):
        del at[last]
    else:
        raise ValueError("a value")
