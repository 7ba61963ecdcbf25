"""Results laid out for their kind: headline figures, and values with units. Pure.

Units come from the ends of names, as the results of all kinds spell them: `cost_ms`, `f_hz`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from services.web import formatting
from services.web.formatting import brief, flat, label, percent
from trimtab.specs.sharding import ShardingSpec

Json = Mapping[str, Any]
MAX_NESTED = 40  # values of a nested object that are shown

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


def facts(summary: Json) -> list[SimpleNamespace]:
    """Return a summary as groups of facts: its own values, then one group per nested object."""
    own = SimpleNamespace(title="", facts=[])
    groups = [own]
    for name, value in summary.items():
        if isinstance(value, Mapping) and value:
            nested = [
                (without_unit(str(key)), measured(str(key), inner))
                for key, inner in list(value.items())[:MAX_NESTED]
            ]
            groups.append(SimpleNamespace(title=label(str(name)), facts=nested))
        else:
            own.facts.append((without_unit(name), measured(name, value)))
    return [group for group in groups if group.facts]


def headline(kind: str, result: Json | None) -> SimpleNamespace | None:
    """Return what the owner of a job of this kind looks for first; None for other kinds."""
    summary: Json = (result or {}).get("summary") or {}
    if kind != ShardingSpec.KIND or not summary:
        return None
    certificate: Json = summary.get("certificate") or {}
    figures = [
        ("Proved gap", percent(certificate.get("gap")), "under the certified model"),
        (
            "Step time",
            measured("cost_ms", (result or {}).get("objective")),
            "slowest device",
        ),
        (
            "Interval",
            measured("interval_ms", summary.get("interval_ms")),
            "expected range",
        ),
        (
            "Lower bound",
            measured("lower_bound_ms", certificate.get("lower_bound_ms")),
            "no plan of the model is faster",
        ),
    ]
    baselines = [
        row
        for row in summary.get("baselines") or ()
        if isinstance(row.get("cost_ms"), int | float)
    ]
    objective = (result or {}).get("objective")
    if baselines and isinstance(objective, int | float) and objective > 0:
        best = min(baselines, key=lambda row: row["cost_ms"])
        figures.append(
            (
                "Best baseline",
                measured("cost_ms", best["cost_ms"]),
                str(best.get("planner", "")),
            )
        )
    return SimpleNamespace(
        figures=[
            SimpleNamespace(name=name, value=value, note=note)
            for name, value, note in figures
            if value != "–"
        ],
        statement=str(certificate.get("statement", "")),
    )
