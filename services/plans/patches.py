"""JSON Patch (RFC 6902) of an outline, at the places that its owner may change. Pure.

Without `move` and `copy`: a few copies of copies would fill the memory.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from services.errors import InvalidBody, field_error
from trimtab.plans import PatchOperation

_INDEX = re.compile(r"^(0|[1-9][0-9]{0,8})\Z")
# Of a pointer's parts; `*` is any one, `**` any number of further ones.
EDITABLE = (
    ("leaves", "*", "spec", "**"),
    ("leaves", "*", "budget", "**"),
    ("leaves", "*", "seed"),
    ("leaves", "*", "enabled"),
    ("edges", "**"),
    ("answers", "*"),
)
_EDITABLE_TEXT = ", ".join("/" + "/".join(parts) for parts in EDITABLE)


def patched(document: Any, operations: Sequence[PatchOperation]) -> Any:
    """Return a copy of an outline's JSON with all operations applied; all or none.

    Raises InvalidBody with the number of the operation.
    """
    document = copy.deepcopy(document)
    for number, operation in enumerate(operations):
        try:
            _apply(document, operation)
        except _Refused as error:
            at = f"{number}.{error.field}"
            entry = field_error(at, got=error.got, expected=error.expected)
            message = f"{at}: expected {error.expected}, got {error.got}"
            raise InvalidBody(
                message,
                errors=[{**entry, "message": message}],
                fix="read the outline again, and name a place in it that can be edited: "
                + _EDITABLE_TEXT,
            ) from None
    return document


class _Refused(Exception):
    def __init__(self, field: str, expected: str, got: object) -> None:
        self.field, self.expected, self.got = field, expected, repr(got)[:120]


def _apply(document: Any, operation: PatchOperation) -> None:
    if operation.op != "test":
        _require_editable(operation.path)
    container, last = _walk(document, operation.path)
    value = copy.deepcopy(operation.value)
    match operation.op:
        case "test":
            current = _step(container, last, operation.path)
            if not _same(current, value):
                raise _Refused("value", repr(current)[:120], value)
        case "remove":
            _step(container, last, operation.path)
            del container[last if isinstance(container, dict) else int(last)]
        case "replace":
            _step(container, last, operation.path)
            container[last if isinstance(container, dict) else int(last)] = value
        case "add" if isinstance(container, dict):
            container[last] = value
        case "add" if isinstance(container, list) and last == "-":
            container.append(value)
        case "add" if isinstance(container, list) and _is_index(last, len(container) + 1):
            container.insert(int(last), value)
        case "add":
            raise _Refused("path", "a place in the outline", operation.path)


def _parts(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise _Refused("path", "a JSON pointer, which begins with /", pointer)
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _require_editable(pointer: str) -> None:
    parts = _parts(pointer)
    if not any(_fits(parts, pattern) for pattern in EDITABLE):
        raise _Refused("path", f"one of {_EDITABLE_TEXT}", pointer)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if pattern[-1] == "**":
        pattern = pattern[:-1]
        parts = parts[: len(pattern)]
    return len(parts) == len(pattern) and all(
        one in ("*", part) for part, one in zip(parts, pattern, strict=True)
    )


def _walk(document: Any, pointer: str) -> tuple[Any, str]:
    """Return the container of a place, and the last part of its pointer."""
    *steps, last = _parts(pointer)
    for step in steps:
        document = _step(document, step, pointer)
    return document, last


def _step(container: Any, part: str, pointer: str) -> Any:
    if isinstance(container, dict) and part in container:
        return container[part]
    if isinstance(container, list) and _is_index(part, len(container)):
        return container[int(part)]
    raise _Refused("path", "a place in the outline", pointer)


def _is_index(part: str, below: int) -> bool:
    return _INDEX.match(part) is not None and int(part) < below


def _same(one: Any, other: Any) -> bool:
    """Return True for equal JSON values; true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
