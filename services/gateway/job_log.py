"""End of the engines' log of a job, from its stored events."""

from __future__ import annotations

from services.store.types import EventRecord, JobStore
from trimtab.results import PRINTED, EventType

DEFAULT_BYTES = 65_536
MOST_BYTES = 2**20
_MOST_EVENTS = 600  # a run of a day has at most 530: see workers.process.output_log


async def tail(store: JobStore, job_id: str, *, max_bytes: int) -> str:
    """Return the newest lines that engines printed, of at most `max_bytes` in UTF-8."""
    events = await store.newest_events(job_id, EventType.LOG, limit=_MOST_EVENTS)
    return joined(events, max_bytes=max_bytes)


def joined(events: list[EventRecord], *, max_bytes: int) -> str:
    """Join the printed lines of `log` events; whole lines, unless one alone is too long."""
    lines: list[str] = []
    left = max_bytes
    for event in reversed(events):
        if event.data.get("level") != PRINTED:
            continue
        for line in reversed(str(event.data.get("message", "")).split("\n")):
            encoded = line.encode(errors="replace")
            if len(encoded) + 1 > left:
                if not lines:
                    lines.append(encoded[-max_bytes:].decode(errors="ignore"))
                return "\n".join(reversed(lines))
            left -= len(encoded) + 1
            lines.append(line)
    return "\n".join(reversed(lines))
