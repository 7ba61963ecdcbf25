"""Values of jobs and outlines at JSON pointers, and their texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.rest import EndedJob

MISSING = object()


def document_of(job: EndedJob) -> dict[str, Any]:
    """Return a job as the JSON document that pointers of facts refer to."""
    return {
        "state": str(job.state.value),
        "spec": job.spec,
        "budget": job.budget,
        "seed": job.seed,
        "termination": job.termination,
        "result": job.result,
        "seconds": job.seconds,
    }


def resolve(document: Any, pointer: str) -> Any:
    """Return the value at a pointer (RFC 6901), or `MISSING`."""
    if pointer and not pointer.startswith("/"):
        return MISSING
    value = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            if isinstance(value, Mapping):
                value = value[key]
            elif isinstance(value, list | tuple):
                value = value[int(key)]
            else:
                return MISSING
        except (KeyError, ValueError, IndexError):
            return MISSING
    return value


def single_line(text: str, most: int) -> str:
    """Return a text on one line of printable characters, shortened to `most`."""
    start = text[: 8 * most]
    line = " ".join("".join(c if c.isprintable() else " " for c in start).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
