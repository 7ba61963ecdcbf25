"""JSON as text, the same way in every store: what went in is what comes out, in memory too.

Text that cannot be stored (a lone surrogate out of a solver's log) becomes U+FFFD here instead of an error far away.
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
    """Compact JSON. NaN and infinity become null: JSON has no word for them."""
    try:
        return orjson.dumps(value, default=_plain).decode()
    except TypeError:
        # Rare: lone surrogates, or integers beyond 64 bits, which only the standard library writes.
        return json.dumps(_clean(value), separators=(",", ":"), ensure_ascii=False)


def loads(text: str) -> Any:
    """The value again."""
    return orjson.loads(text)


def optional_dumps(value: Any) -> str | None:
    """None stays SQL's NULL."""
    return None if value is None else dumps(value)


def optional_loads(text: str | None) -> Any:
    """NULL stays None."""
    return None if text is None else orjson.loads(text)


def is_storable(text: str) -> bool:
    """True when both databases take `text`: PostgreSQL has no NUL, and neither takes a lone surrogate."""
    return "\x00" not in text and (text.isascii() or _encodes(text))


def storable(text: str) -> str:
    """`text` without what no database takes."""
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
    raise TypeError(f"{type(value).__name__} has no JSON form")


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
