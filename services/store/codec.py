"""JSON text, encoded the same way by every store.

Characters that cannot be stored, e.g. a lone surrogate from a solver's log, become U+FFFD here
instead of an error in the database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def dumps(value: Any) -> str:
    """Encode as compact JSON. NaN and infinity, which JSON lacks, become null."""
    try:
        return orjson.dumps(value, default=_plain).decode()
    except TypeError:
        # Rare: lone surrogates, or integers beyond 64 bits, which only the standard library writes.
        return json.dumps(_clean(value), separators=(",", ":"), ensure_ascii=False)


def loads(text: str) -> Any:
    """Decode JSON text."""
    return orjson.loads(text)


def optional_dumps(value: Any) -> str | None:
    """Encode as JSON; None becomes NULL."""
    return None if value is None else dumps(value)


def optional_loads(text: str | None) -> Any:
    """Decode JSON text; NULL becomes None."""
    return None if text is None else orjson.loads(text)


def is_storable(text: str) -> bool:
    """Return True if both databases accept `text`: no NUL, no lone surrogate."""
    return "\x00" not in text and (text.isascii() or _encodes(text))


def storable(text: str) -> str:
    """Replace the characters that no database accepts by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"expected a JSON value, got a {type(value).__name__}")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {_clean(str(key)): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    if isinstance(value, float) and (
        value != value or value in (float("inf"), float("-inf"))
    ):
        return None
    return value
