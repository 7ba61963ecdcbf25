"""Differences between jobs: their requests, results and figures, side by side. No IO."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.results import JobView

FEWEST, MOST = 2, 8  # jobs in a comparison
MAX_TEXT = 80  # characters of a value; longer ones are cut
MAX_ROWS = 200
_MAX_LEAVES = 20_000  # of one job: beyond them its rest is not compared
_ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One value of each job, by its place."""

    path: str
    values: tuple[str, ...]  # "–": this job has none


@dataclass(frozen=True, kw_only=True)
class Differences:
    """Rows of values that are not the same in all jobs."""

    rows: tuple[Row, ...]
    same: int  # places whose values are equal
    left_out: int  # differing places beyond the most that are shown


def different(job_ids: Sequence[str]) -> list[str]:
    """Return the ids without repetitions. Raises ValueError unless they are 2 to 8."""
    chosen = list(dict.fromkeys(job_ids))
    if not FEWEST <= len(chosen) <= MOST:
        raise ValueError(
            f"job_ids: expected {FEWEST} to {MOST} different jobs, got {len(chosen)}"
        )
    return chosen


def differences(parts: Sequence[Any]) -> Differences:
    """Compare JSON values leaf by leaf; objects by key, arrays by index."""
    flat = [dict(_leaves(part)) for part in parts]
    paths = dict.fromkeys(path for leaves in flat for path in leaves)
    rows = []
    same = 0
    for path in paths:
        values = [leaves.get(path, _ABSENT) for leaves in flat]
        first = values[0]
        if all(type(value) is type(first) and value == first for value in values):
            same += 1
        else:
            rows.append(Row(path=path, values=_told_apart(values)))
    return Differences(
        rows=tuple(rows[:MAX_ROWS]), same=same, left_out=max(0, len(rows) - MAX_ROWS)
    )


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Iterate over (dotted path, scalar), in the order of the value."""
    count = 0
    waiting = [("", value)]
    while waiting and count < _MAX_LEAVES:
        path, inner = waiting.pop()
        if isinstance(inner, Mapping) and inner:
            items: list[tuple[str, Any]] = [
                (str(key), each) for key, each in inner.items()
            ]
        elif isinstance(inner, list | tuple) and inner:
            items = [(str(index), each) for index, each in enumerate(inner)]
        else:
            count += 1
            yield path, inner
            continue
        waiting += [
            (f"{path}.{key}" if path else key, each) for key, each in reversed(items)
        ]


def _told_apart(values: Sequence[Any]) -> tuple[str, ...]:
    """Return texts of values; long ones begin where they differ."""
    texts = [_text(value) for value in values]
    if all(len(text) <= MAX_TEXT for text in texts):
        return tuple(texts)
    shared = _shared(texts)
    start = max(0, shared - 20)
    return tuple(_cut(text, start) for text in texts)


def _shared(texts: Sequence[str]) -> int:
    """Return the length of the common beginning of texts."""
    low, high = min(texts), max(texts)
    for index, (one, other) in enumerate(zip(low, high, strict=False)):
        if one != other:
            return index
    return min(len(low), len(high))


def _cut(text: str, start: int) -> str:
    if len(text) <= MAX_TEXT:
        return text
    head = "…" if start else ""
    tail = "…" if len(text) > start + MAX_TEXT else ""
    return f"{head}{text[start : start + MAX_TEXT]}{tail}"


def _text(value: Any) -> str:
    if value is _ABSENT:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def compared_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a request that decides its run."""
    skipped = ("labels", "webhook", "name", "priority", "max_attempts")
    return {key: value for key, value in request.items() if key not in skipped}


def compared_result(result: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the part of a result that is compared: summary, checks, times, versions."""
    if not result:
        return {}
    parts = {
        key: result.get(key)
        for key in ("termination", "summary", "verification", "timings_s", "versions")
    }
    return {key: value for key, value in parts.items() if value}


def compared(
    views: Sequence[JobView],
    requests: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any] | None],
) -> dict[str, Any]:
    """Return figures and differences of jobs as texts, ready for a table or JSON."""
    figures = {
        "state": [view.state.value for view in views],
        "objective": [_best(view, "objective") for view in views],
        "bound": [_best(view, "bound") for view in views],
        "gap": [_best(view, "gap") for view in views],
        "run time": [_run_time(view) for view in views],
        "check": [str(view.verification_status or "–") for view in views],
    }
    of_requests = differences([compared_request(request) for request in requests])
    of_results = differences([compared_result(result) for result in results])
    return {
        "jobs": [{"id": view.id, "name": view.name, "kind": view.kind} for view in views],
        "figures": figures,
        "request": {row.path: list(row.values) for row in of_requests.rows},
        "result": {row.path: list(row.values) for row in of_results.rows},
    }


def _best(view: JobView, field: str) -> str:
    value = getattr(view.best, field, None)
    return "–" if value is None else f"{value:.6g}"


def _run_time(view: JobView) -> str:
    if view.started_at is None or view.finished_at is None:
        return "–"
    return f"{(view.finished_at - view.started_at).total_seconds():.3g} s"
