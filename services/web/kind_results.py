"""Facts of results: labels, and values with units. Pure.

Units come from the ends of names, as the results of all kinds spell them: `cost_ms`, `f_hz`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from services.web import formatting
from services.web.formatting import MAX_LISTED, brief, flat, label, percent

Json = Mapping[str, Any]
MAX_NESTED = 40  # values of a nested object that are shown
MAX_DEPTH = 4  # of nested objects whose values are shown

_UNITS: Mapping[str, str] = {
    "ms": "ms",
    "s": "s",
    "gib": "GiB",
    "mib": "MiB",
    "bytes": "bytes",
    "hz": "Hz",
    "ghz": "GHz",
    "mhz": "MHz",
    "db": "dB",
    "mm": "mm",
}
_SHARES = frozenset({"gap", "search_gap", "share", "saved"})


def measured(name: str, value: Any) -> str:
    """Format a value in three digits, with the unit that its name ends in."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return flat(value)
    tail = name.rsplit("_", 1)[-1]
    if isinstance(value, int | float):
        if not math.isfinite(value):
            return str(value)
        if name in _SHARES or tail == "gap":
            return percent(float(value))
        if tail == "s" and "_" in name:
            return formatting.seconds(float(value))
        unit = _UNITS.get(tail, "") if "_" in name else ""
        return f"{brief(value)} {unit}".rstrip()
    if isinstance(value, list) and _is_interval(name, value):
        unit = _UNITS.get(tail, "")
        return f"{brief(value[0])} to {brief(value[1])} {unit}".rstrip()
    return flat(value, brief)


def table_column(name: str, values: Sequence[Any]) -> str:
    """Return the heading of a column: without a unit that its cells have."""
    return (
        without_unit(name) if any(_has_unit(value) for value in values) else label(name)
    )


def _has_unit(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_interval(name: str, value: Sequence[Any]) -> bool:
    return (
        "interval" in name
        and len(value) == 2
        and all(isinstance(end, int | float) for end in value)
    )


def without_unit(name: str) -> str:
    """Return a label without the unit, which the value has."""
    head, _, tail = name.rpartition("_")
    return label(head if head and tail in _UNITS else name)


def flattened(values: Json, prefix: str = "", depth: int = 0) -> list[tuple[str, str]]:
    """Return (label, text) of each value; nested objects give `Outer: inner`.

    Long lists and lists of objects are counted: the result has them. Values that are missing are
    left out.
    """
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        words = without_unit(str(key))
        name = f"{prefix}: {words}" if prefix else words
        if isinstance(value, Mapping):
            if depth < MAX_DEPTH:
                found += flattened(value, name, depth + 1)
        elif isinstance(value, list | tuple) and depth and len(value) > MAX_LISTED:
            continue  # a series, e.g. a curve, of which a picture says more
        elif isinstance(value, list | tuple) and _is_nested(value):
            if not value:
                continue
            count = f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
            found.append((name, f"{count}, see the result"))
        elif (text := measured(str(key), value)) not in ("", "–"):
            found.append((name, text))
    return found


def _is_nested(value: Sequence[Any]) -> bool:
    return any(isinstance(inner, Mapping | list | tuple) for inner in value)


def facts(summary: Json) -> list[SimpleNamespace]:
    """Return a summary as groups of facts: its own values, then one group per nested object."""
    own = SimpleNamespace(title="", facts=[])
    groups = [own]
    for name, value in summary.items():
        if isinstance(value, Mapping):
            nested = flattened(value)[:MAX_NESTED]
            groups.append(SimpleNamespace(title=label(str(name)), facts=nested))
        else:
            own.facts += flattened({name: value})
    return [group for group in groups if group.facts]
