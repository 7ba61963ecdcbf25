"""Edits of an outline as JSON patches (RFC 6902)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Patch = list[dict[str, Any]]


def pointer_of(*parts: str | int) -> str:
    """Return a JSON pointer (RFC 6901)."""
    return "".join(
        "/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts
    )


def set_value(request: Mapping[str, Any], leaf: str, path: str, value: Any) -> Patch:
    """Return the patch that gives a leaf's request another value.

    Args:
        request: The leaf's part of the outline, as JSON.
        leaf: Its id.
        path: Dotted path: `spec.engine`, `budget.seconds`, `spec.devices.0.count`, `enabled`.
        value: The value, as JSON has it.

    Raises KeyError when the parent of the path does not exist.
    """
    parent, steps = _parent(request, path)
    exists = steps[-1] in parent if isinstance(parent, Mapping) else True
    operation = "replace" if exists else "add"
    pointer = pointer_of("leaves", leaf, *steps)
    return [{"op": operation, "path": pointer, "value": value}]


def remove_value(request: Mapping[str, Any], leaf: str, path: str) -> Patch:
    """Return the patch that removes a value, so that its default applies. Raises KeyError."""
    parent, steps = _parent(request, path)
    if isinstance(parent, Mapping) and steps[-1] not in parent:
        raise KeyError(f"{path}: expected a value of leaf {leaf}, which has none there")
    return [{"op": "remove", "path": pointer_of("leaves", leaf, *steps)}]


def _parent(
    request: Mapping[str, Any], path: str
) -> tuple[Mapping[str, Any] | list[Any], list[str]]:
    """Return what holds the value at a dotted path, and the path's steps."""
    steps = path.split(".")
    at: Any = request
    for number, step in enumerate(steps[:-1]):
        inside = _child(at, step)
        if not isinstance(inside, Mapping | list):
            where = ".".join(steps[: number + 1])
            members = (
                ", ".join(map(str, at))
                if isinstance(at, Mapping)
                else f"0 to {len(at) - 1}"
            )
            raise KeyError(f"{where}: expected one of {members}, got {step!r}")
        at = inside
    if isinstance(at, list) and _child(at, steps[-1]) is None:
        raise KeyError(f"{path}: expected an index from 0 to {len(at) - 1}")
    return at, steps


def _child(value: Any, step: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(step)
    if step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None


def difference(before: Any, after: Any, pointer: str) -> Patch:
    """Return the patch that turns one JSON value into another, changing as little as possible.

    Lists of different length are replaced as a whole.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        patch: Patch = []
        for key in before:
            if key not in after:
                patch.append({"op": "remove", "path": pointer + pointer_of(key)})
        for key, value in after.items():
            where = pointer + pointer_of(key)
            if key in before:
                patch += difference(before[key], value, where)
            else:
                patch.append({"op": "add", "path": where, "value": value})
        return patch
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            step
            for index, (old, new) in enumerate(zip(before, after, strict=True))
            for step in difference(old, new, pointer + pointer_of(index))
        ]
    # In Python, True == 1 and 1 == 1.0; in JSON the first differ.
    same = before == after and isinstance(before, bool) == isinstance(after, bool)
    return [] if same else [{"op": "replace", "path": pointer, "value": after}]
