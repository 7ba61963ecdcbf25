"""Timeline of a job: queue, attempts, phases and end, as bars over time.

Widths are percentages, so that bars fit every screen while texts keep their size. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from search.drawing.ticks import round_ticks, tick_text
from services.store.types import AttemptRecord, EventRecord, JobRecord
from services.web import formatting
from trimtab.results import EventType, JobState

MAX_ATTEMPTS = 12  # the newest ones are shown
_LEAST = 0.4  # percent: no bar vanishes
_ROW, _BAR, _TEXT = 40, 12, 14  # pixels
_AXIS = 26
_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86_400.0


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of time, in seconds since the submit."""

    name: str
    begin_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """Duration."""
        return max(0.0, self.end_s - self.begin_s)


def timeline(
    job: JobRecord,
    attempts: Sequence[AttemptRecord],
    events: Sequence[EventRecord],
    now_us: int,
) -> SimpleNamespace:
    """Return rows of bars, ticks and the same in words."""
    end_s = _since(job, job.finished_us or now_us)
    shown = attempts[-MAX_ATTEMPTS:]
    first_s = _since(job, attempts[0].started_us) if attempts else end_s
    name = "Waiting" if job.state is JobState.WAITING and not attempts else "Queued"
    rows = [_row("wait", Span(name=name, begin_s=0, end_s=first_s), "", [])]
    for attempt in shown:
        rows += _attempt_rows(job, attempt, attempts, events, now_us)
    until_s = max(end_s, 0.1)
    for number, row in enumerate(rows):
        _place(row, number, until_s)
    unit_s, unit = _unit(until_s)
    height = _ROW * len(rows) + _AXIS
    return SimpleNamespace(
        rows=rows,
        ticks=[
            SimpleNamespace(x=_percent(t * unit_s, until_s), text=f"{text} {unit}")
            for t in round_ticks(0.0, until_s / unit_s, most=5)
            if (text := tick_text(t, until_s / unit_s))
        ],
        height=height,
        axis=height - _AXIS,
        cut=len(attempts) - len(shown),
        words=_words(job, rows, end_s),
        phases=[
            SimpleNamespace(
                attempt=row.label,
                name=part.name,
                began=formatting.seconds(part.begin_s),
                took=formatting.seconds(part.seconds),
            )
            for row in rows
            for part in row.parts
        ],
    )


def _attempt_rows(
    job: JobRecord,
    attempt: AttemptRecord,
    attempts: Sequence[AttemptRecord],
    events: Sequence[EventRecord],
    now_us: int,
) -> list[SimpleNamespace]:
    """Return the row of an attempt, and one of the wait after it."""
    ended_us = attempt.ended_us or (job.finished_us or now_us)
    span = Span(
        name=f"Attempt {attempt.number}",
        begin_s=_since(job, attempt.started_us),
        end_s=_since(job, ended_us),
    )
    css = {None: "running", "result": "good", "rested": "calm"}.get(
        attempt.outcome, "bad"
    )
    outcome = (attempt.outcome or "running").replace("_", " ")
    rows = [_row(css, span, outcome, _phases(job, attempt, ended_us, events))]
    later = [other for other in attempts if other.started_us >= ended_us]
    if later and attempt.ended_us is not None:
        wait = Span(
            name="Queued again",
            begin_s=span.end_s,
            end_s=_since(job, min(other.started_us for other in later)),
        )
        rows.append(_row("wait", wait, "", []))
    return rows


def _phases(
    job: JobRecord, attempt: AttemptRecord, ended_us: int, events: Sequence[EventRecord]
) -> list[Span]:
    """Return the phases that an attempt reported; a result's own times stand for lost ones."""
    reported = [
        (event.at_us, str(event.data.get("phase", "")))
        for event in events
        if event.type is EventType.PHASE
        and attempt.started_us <= event.at_us <= ended_us
        and event.data.get("phase")
    ]
    merged: list[tuple[int, str]] = []
    for at_us, name in reported:
        if not merged or merged[-1][1] != name:
            merged.append((at_us, name))
    if not merged:
        return _timed(job, attempt) if attempt.outcome == "result" else []
    ends = [at_us for at_us, _ in merged[1:]] + [ended_us]
    return [
        Span(name=name, begin_s=_since(job, at_us), end_s=_since(job, end_us))
        for (at_us, name), end_us in zip(merged, ends, strict=True)
    ]


def _timed(job: JobRecord, attempt: AttemptRecord) -> list[Span]:
    spans = []
    at_s = _since(job, attempt.started_us)
    for name, spent in ((job.result or {}).get("timings_s") or {}).items():
        spans.append(Span(name=name, begin_s=at_s, end_s=at_s + float(spent)))
        at_s += float(spent)
    return spans


def _row(css: str, span: Span, outcome: str, parts: Sequence[Span]) -> SimpleNamespace:
    more = f", {outcome}" if outcome else ""
    return SimpleNamespace(
        css=css,
        span=span,
        label=span.name,
        text=f"{span.name}: {formatting.seconds(span.seconds)}{more}",
        parts=list(parts),
    )


def _place(row: Any, number: int, until_s: float) -> None:
    row.top = _ROW * number
    row.text_y = row.top + _TEXT
    row.bar_y = row.top + _TEXT + 6
    row.bar_height = _BAR
    row.x = _percent(row.span.begin_s, until_s)
    row.width = max(_LEAST, _percent(row.span.seconds, until_s))
    # A text that begins far to the right ends at its bar instead.
    row.anchor = "end" if row.x > 55 else "start"
    row.text_x = min(100.0, row.x + row.width) if row.anchor == "end" else row.x
    row.bars = [
        SimpleNamespace(
            x=_percent(part.begin_s, until_s),
            width=max(_LEAST, _percent(part.seconds, until_s)),
            title=f"{part.name}: {formatting.seconds(part.seconds)}",
            odd=index % 2 == 1,
        )
        for index, part in enumerate(row.parts)
    ]


def _words(job: JobRecord, rows: Sequence[SimpleNamespace], end_s: float) -> str:
    parts = [row.text for row in rows]
    state = formatting.STATE_WORDS[job.state].lower()
    ended = f"{state} after" if job.state.is_terminal else f"{state} since the submit for"
    return "; ".join([*parts, f"{ended} {formatting.seconds(end_s)}"]) + "."


def _since(job: JobRecord, at_us: int) -> float:
    return max(0.0, (at_us - job.created_us) / formatting.US)


def _percent(at_s: float, until_s: float) -> float:
    return round(min(100.0, max(0.0, 100 * at_s / until_s)), 2)


def _unit(until_s: float) -> tuple[float, str]:
    """Return the unit of the axis: (its seconds, its name)."""
    if until_s >= 3 * _DAY_S:
        return _DAY_S, "d"
    if until_s >= 3 * _HOUR_S:
        return _HOUR_S, "h"
    return (_MINUTE_S, "min") if until_s >= 3 * _MINUTE_S else (1.0, "s")
