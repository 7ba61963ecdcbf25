"""Text for people: durations, numbers, states, reasons of an end."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from trimtab.results import JobState, Limit, Reason

US = 1_000_000
MAX_LISTED = 12  # longer lists are counted instead of shown

# In the order of the list's tabs: those that wait for their owner come first.
STATE_WORDS: Mapping[JobState, str] = {
    JobState.NEEDS_INPUT: "Needs input",
    JobState.AWAITING_APPROVAL: "Awaiting approval",
    JobState.WAITING: "Waiting",
    JobState.QUEUED: "Queued",
    JobState.RUNNING: "Running",
    JobState.SUCCEEDED: "Succeeded",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
    JobState.DEAD: "Dead",
    JobState.SKIPPED: "Skipped",
}

_REASONS: Mapping[Reason, str] = {
    Reason.OPTIMAL: "Proved optimal: no better solution exists within the tolerance.",
    Reason.FEASIBLE: "Ended with a feasible solution",
    Reason.NO_SOLUTION_FOUND: "Ended without a solution and without a proof",
    Reason.INFEASIBLE: "Proved infeasible: no solution exists.",
    Reason.UNBOUNDED: "Proved unbounded: the objective can improve without limit.",
    Reason.INFEASIBLE_OR_UNBOUNDED: "Proved infeasible or unbounded; it is open which.",
    Reason.COMPLETED: "Completed.",
    Reason.INVALID_INPUT: "The input is invalid.",
    Reason.INPUT_CRASHED_PARSER: "The native parser or solver crashed on this input.",
    Reason.RESOURCE_EXHAUSTED: "The run exceeded its memory or file size limit.",
    Reason.NUMERICAL_ERROR: "The solver failed to reach the required precision.",
    Reason.VERIFICATION_FAILED: "The independent check rejected the reported solution.",
    Reason.CANCELLED: "Cancelled by its owner; its result was discarded.",
    Reason.WORKER_LOST: "The worker died or stopped responding.",
    Reason.PARENT_FAILED: "Never run: a job that it needed did not succeed.",
    Reason.INPUT_MISSING: "Never run: a job that it needed made no such file.",
    Reason.INTERNAL_ERROR: "An internal error of the service.",
}
_LIMITS: Mapping[Limit, str] = {
    Limit.TIME: "the time budget was used up",
    Limit.EVALUATIONS: "the evaluation budget was used up",
    Limit.TARGET_GAP: "the target gap was reached",
    Limit.STOPPED: "its owner stopped it and kept the best solution",
    Limit.MEMORY: "the memory limit was reached",
    Limit.ATTEMPTS: "all attempts were used up",
    Limit.CUTOFF: "no solution is as good as the cutoff",
    Limit.OBJECTIVE: "a solution was good enough",
    Limit.BOUND: "the bound went far enough",
    Limit.NODES: "the node limit was reached",
    Limit.SOLUTIONS: "enough solutions were found",
    Limit.OTHER: "another limit was reached",
}
# Keys in JSON are lower case; these words are shown in capitals.
_ABBREVIATIONS = frozenset(
    {"id", "url", "lns", "mip", "lp", "ilp", "cpu", "gpu", "rss", "ir"}
)
_UNITS: Mapping[str, str] = {
    "gib": "GiB",
    "mib": "MiB",
    "gb": "GB",
    "ghz": "GHz",
    "mhz": "MHz",
    "db": "dB",
    "llvm": "LLVM",
    "oz": "-Oz",
}


def termination(value: Mapping[str, Any] | None) -> str:
    """Return the sentence for a stored Termination."""
    if not value:
        return ""
    try:
        sentence = _REASONS[Reason(value["reason"])]
    except (KeyError, ValueError):  # a newer server wrote this reason
        return str(value.get("reason", ""))
    limit = value.get("limit")
    if limit in set(Limit):
        sentence = f"{sentence.rstrip('.')}: {_LIMITS[Limit(limit)]}."
    return sentence if sentence.endswith(".") else sentence + "."


def number(value: float | int | None) -> str:
    """Format up to nine significant digits with grouped thousands; a dash for None."""
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


def brief(value: float | int | None) -> str:
    """Format three significant digits, whole numbers in full; a dash for None."""
    if value is None or isinstance(value, int) or not math.isfinite(value):
        return number(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def figure(value: float | int | None) -> str:
    """Format a figure of a table: whole numbers in full, others to five digits."""
    if value is None or not math.isfinite(value) or value == int(value):
        return number(value)
    return f"{value:,.1f}" if abs(value) >= 10_000 else f"{value:,.5g}"


def percent(value: float | None) -> str:
    """Format a gap in [0, 1] as a percentage."""
    if value is None:
        return "–"
    scaled = value * 100
    if scaled == 0:
        return "0 %"
    return f"{scaled:.2f} %" if scaled >= 0.01 else f"{scaled:.1e} %"


def seconds(value: float | None) -> str:
    """Format a duration: `0.42 s`, `12.3 s`, `4 min 07 s`, `3 h 05 min`."""
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
    """Format an age in whole units: `12 s ago`."""
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
    """Format a time: `2026-11-23 16:20:11 UTC`."""
    return (
        "–"
        if us is None
        else datetime.fromtimestamp(us // US, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def minute(us: int) -> str:
    """Format a time to the minute: `2026-11-23 16:20 UTC`."""
    return datetime.fromtimestamp(us // US, UTC).strftime("%Y-%m-%d %H:%M UTC")


def iso(us: int | None) -> str:
    """Format a time for the `datetime` attribute."""
    return "" if us is None else datetime.fromtimestamp(us // US, UTC).isoformat()


def size(count: int | None) -> str:
    """Format bytes in binary units."""
    if count is None:
        return "–"
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{int(value)} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def label(key: str) -> str:
    """Turn a JSON key into a label: `sub_mip_seconds` → `Sub MIP seconds`."""
    parts = [
        part.upper() if part in _ABBREVIATIONS else _UNITS.get(part, part)
        for part in key.split("_")
    ]
    text = " ".join(parts).strip()
    return text[:1].upper() + text[1:]


def capitalize_first(text: str) -> str:
    """Capitalize the first letter and leave the rest as it is."""
    return text[:1].upper() + text[1:]


def sentence(detail: str, fix: str | None = None) -> str:
    """Join an error's detail and remedy into sentences."""
    parts = [detail, fix] if fix else [detail]
    return " ".join(f"{capitalize_first(part).rstrip('.')}." for part in parts if part)


def flat(value: Any, figure: Callable[[float | int | None], str] = number) -> str:
    """Format any JSON value in one line, its numbers by `figure`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return figure(value)
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return (
            ", ".join(f"{key}: {flat(inner, figure)}" for key, inner in value.items())
            or "–"
        )
    if len(value) > MAX_LISTED:
        return f"{len(value)} values, see the result"
    parts = [flat(inner, figure) for inner in value]
    sentences = all(part.endswith(".") for part in parts)
    return (" " if sentences else ", ").join(parts) or "–"
