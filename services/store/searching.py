"""Columns of a job that lists are searched and ordered by, the same in every store."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from services.store import codec
from services.store.types import JobFilter, JobOrder, JobRecord, Position
from trimtab.results import JobSort, JobState

MAX_WORDS = 8
# PostgreSQL refuses an index entry of more than 2,704 bytes; these are two of eleven columns.
MAX_KEY_BYTES, MAX_TEXT_BYTES = 480, 1_500
_MAX_FAILURE = 800  # characters, so that labels have room too

_WITHOUT_RESULT = frozenset(
    {JobState.FAILED, JobState.DEAD, JobState.SKIPPED, JobState.CANCELLED}
)


def fold(text: str) -> str:
    """Return text for comparison: compatibility forms and letter case make no difference."""
    return unicodedata.normalize("NFKC", codec.storable(text)).casefold()


def words(text: str) -> tuple[str, ...]:
    """Return the words of a search, folded."""
    return tuple(dict.fromkeys(fold(text).split()))[:MAX_WORDS]


def name_key(name: str) -> str:
    """Return a name as it is searched and ordered by."""
    return _cut(fold(name), MAX_KEY_BYTES)


def search_text(job: JobRecord) -> str:
    """Return id, failure and labels of a job for searches; its name has its own column."""
    parts = [job.id]
    if job.state in _WITHOUT_RESULT and job.termination:
        reason, detail = (
            str(job.termination.get(key) or "") for key in ("reason", "detail")
        )
        parts.append(f"{reason} {detail}"[:_MAX_FAILURE])
    parts += [f"{key}={value}" for key, value in job.labels.items()]
    return _cut(fold("\n".join(parts)), MAX_TEXT_BYTES)


def objective(job: JobRecord) -> float | None:
    """Return the newest objective as a number that every database orders alike."""
    return _number((job.best or {}).get("objective"))


def gap(job: JobRecord) -> float | None:
    """Return the newest gap: that of the certificate, where there is one."""
    best = job.best or {}
    certificate: Mapping[str, Any] = best.get("certificate") or {}
    return _number(certificate.get("gap", best.get("gap")))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _cut(text: str, most_bytes: int) -> str:
    encoded = text.encode()
    if len(encoded) <= most_bytes:
        return text
    return encoded[:most_bytes].decode(errors="ignore")


SORT_VALUES: Mapping[JobSort, Callable[[JobRecord], str | float | None]] = {
    JobSort.CREATED: lambda job: None,
    JobSort.FINISHED: lambda job: job.finished_us,
    JobSort.RUN_TIME: lambda job: (
        None
        if job.finished_us is None or job.started_us is None
        else job.finished_us - job.started_us
    ),
    JobSort.OBJECTIVE: objective,
    JobSort.GAP: gap,
    JobSort.NAME: lambda job: name_key(job.name) or None,
    JobSort.KIND: lambda job: job.kind,
    JobSort.STATE: lambda job: job.state.value,
}
"""Value of each order; None: last. The SQL of `sql.listing` computes the same."""


def position(job: JobRecord, order: JobOrder) -> Position:
    """Return the place of a job in a listing."""
    return Position(id=job.id, value=SORT_VALUES[order.sort](job))


def matches_words(job: JobRecord, where: JobFilter) -> bool:
    """Return True if each word is in the name, id, failure or labels of a job."""
    texts = (name_key(job.name), search_text(job))
    return all(any(word in text for text in texts) for word in where.words)
