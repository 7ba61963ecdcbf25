"""How values are put for people: durations, numbers, states, the sentence that says why a run ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from trimtab.results import JobState, Limit, Reason

US = 1_000_000

STATE_WORDS: Mapping[JobState, str] = {
    JobState.QUEUED: "Queued",
    JobState.RUNNING: "Running",
    JobState.SUCCEEDED: "Succeeded",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
    JobState.DEAD: "Dead",
}

_REASONS: Mapping[Reason, str] = {
    Reason.OPTIMAL: "Proved optimal: no better solution exists within tolerance.",
    Reason.FEASIBLE: "Ended with a solution in hand",
    Reason.NO_SOLUTION_FOUND: "Ended without a solution; nothing was proved",
    Reason.INFEASIBLE: "Proved infeasible: no solution exists.",
    Reason.UNBOUNDED: "Proved unbounded: the objective can improve without end.",
    Reason.INFEASIBLE_OR_UNBOUNDED: "Proved infeasible or unbounded; the solver did not tell which.",
    Reason.COMPLETED: "Did all its work.",
    Reason.INVALID_INPUT: "The input could not be read, or makes no sense.",
    Reason.INPUT_CRASHED_PARSER: "The native parser or solver died on this input.",
    Reason.RESOURCE_EXHAUSTED: "The run asked for more memory or file space than it may have.",
    Reason.NUMERICAL_ERROR: "The numbers went wrong: the solver gave up on precision.",
    Reason.VERIFICATION_FAILED: "The search claimed a solution that the independent check refused.",
    Reason.CANCELLED: "Cancelled: its owner discarded it.",
    Reason.WORKER_LOST: "The worker died or went silent.",
    Reason.INTERNAL_ERROR: "A fault of the service.",
}
_LIMITS: Mapping[Limit, str] = {
    Limit.TIME: "the time budget was used up",
    Limit.EVALUATIONS: "the evaluation budget was used up",
    Limit.TARGET_GAP: "the target gap was reached",
    Limit.STOPPED: "its owner stopped it and kept the best",
    Limit.MEMORY: "the memory limit was reached",
    Limit.ATTEMPTS: "all attempts were used up",
    Limit.OTHER: "another limit was reached",
}
# Keys of the wire are lower case; these are written in capitals.
_ABBREVIATIONS = frozenset({"id", "url", "lns", "mip", "lp", "ilp", "cpu", "gpu", "rss"})


def termination(value: Mapping[str, Any] | None) -> str:
    """The sentence for a stored Termination."""
    if not value:
        return ""
    try:
        sentence = _REASONS[Reason(value["reason"])]
    except (KeyError, ValueError):  # written by a newer server
        return str(value.get("reason", ""))
    limit = value.get("limit")
    if limit in set(Limit):
        sentence = f"{sentence.rstrip('.')}: {_LIMITS[Limit(limit)]}."
    return sentence if sentence.endswith(".") else sentence + "."


def number(value: float | int | None) -> str:
    """Up to nine significant digits, thousands grouped; a dash when there is none."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e9:
        return f"{value:,.9g}" if abs(value) < 1e6 else f"{value:,.2f}"
    return f"{value:.6g}"


def percent(value: float | None) -> str:
    """A gap in [0, 1] as per cent."""
    if value is None:
        return "–"
    scaled = value * 100
    if scaled == 0:
        return "0 %"
    return f"{scaled:.2f} %" if scaled >= 0.01 else f"{scaled:.1e} %"


def seconds(value: float | None) -> str:
    """`0.42 s`, `12.3 s`, `4 min 07 s`, `3 h 05 min`."""
    if value is None:
        return "–"
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 10:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def since(now_us: int, then_us: int | None) -> str:
    """`12 s ago`, in whole units."""
    if then_us is None:
        return "–"
    age = max(0, (now_us - then_us) // US)
    if age < 60:
        return f"{age} s ago"
    if age < 3600:
        return f"{age // 60} min ago"
    if age < 86_400:
        return f"{age // 3600} h ago"
    return f"{age // 86_400} d ago"


def utc(us: int | None) -> str:
    """`2026-11-23 16:20:11 UTC`."""
    return (
        "–"
        if us is None
        else datetime.fromtimestamp(us // US, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def iso(us: int | None) -> str:
    """For the `datetime` attribute."""
    return "" if us is None else datetime.fromtimestamp(us // US, UTC).isoformat()


def size(count: int | None) -> str:
    """Bytes in binary units."""
    if count is None:
        return "–"
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{int(value)} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def label(key: str) -> str:
    """`sub_mip_seconds` → `Sub MIP seconds`: a key of the wire as a label."""
    parts = [part.upper() if part in _ABBREVIATIONS else part for part in key.split("_")]
    text = " ".join(parts).strip()
    return text[:1].upper() + text[1:]
