"""Values in a JSON document by dotted path: `spec.devices.0.count`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

MISSING = object()


def get(document: Any, path: str) -> Any:
    """Return the value at a path; `MISSING` where there is none."""
    value = document
    for word in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(word, MISSING)
        elif isinstance(value, list | tuple):
            index = int(word) if word.isdecimal() else len(value)
            value = value[index] if index < len(value) else MISSING
        else:
            return MISSING
        if value is MISSING:
            return MISSING
    return value


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path. A number in the path is an index of a list, at most its length.

    Raises ValueError where the path leads through a value that is neither object nor list.
    """
    last = path.rpartition(".")[2]
    place: Any = document
    for word, following in itertools.pairwise(path.split(".")):
        blank: Any = [] if following.isdecimal() else {}
        if isinstance(place, list):
            place = place[_index(place, word, path, blank)]
        else:
            place = place.setdefault(word, blank)
        if not isinstance(place, dict | list):
            raise ValueError(
                f"{path}: expected a place in objects and lists, got {word!r}"
            )
    if isinstance(place, list):
        place[_index(place, last, path, None)] = value
    else:
        place[last] = value


def _index(place: list[Any], word: str, path: str, blank: Any) -> int:
    """Return an index of a list, which grows by one blank where the index is its length."""
    index = int(word) if word.isdecimal() else len(place) + 1
    if index > len(place):
        raise ValueError(f"{path}: expected an index up to {len(place)}, got {word!r}")
    if index == len(place):
        place.append(blank)
    return index


def leaves(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the scalar values of a document with their paths; empty containers count as values."""
    if isinstance(document, Mapping) and document:
        parts = [(str(name), value) for name, value in document.items()]
    elif isinstance(document, list | tuple) and document:
        parts = [(str(index), value) for index, value in enumerate(document)]
    else:
        yield path, document
        return
    for name, value in parts:
        yield from leaves(value, f"{path}.{name}" if path else name)


def in_order(path: str) -> tuple[tuple[bool, int, str], ...]:
    """Return a key that sorts paths so that entries of a list come by their numbers."""
    return tuple(
        (word.isdecimal(), int(word) if word.isdecimal() else 0, word)
        for word in path.split(".")
    )
