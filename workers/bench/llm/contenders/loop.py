"""Child's side of a comparison: orders as JSON lines in, CPU time and tokens as JSON lines out.

Needs nothing beside the standard library: rivals live in an environment of their own.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any, Protocol, TextIO


class Contender(Protocol):
    """An engine with a number of sequences."""

    def read(self, prompts: list[list[int]]) -> int:
        """Read prompts and draw the first token of each; return the tokens drawn."""
        ...

    def advance(self, steps: int) -> int:
        """Draw about `steps` more tokens of each sequence; return the tokens drawn."""
        ...


def reply_stream() -> TextIO:
    """Return standard output for replies alone: what an engine prints goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def serve(contender: Contender, replies: TextIO) -> None:
    """Obey orders until standard input ends."""
    _say(replies, {"ready": True, **_usage()})
    for line in sys.stdin:
        order = json.loads(line)
        before = _usage()["cpu_s"]
        if order["do"] == "read":
            tokens = contender.read(order["prompts"])
        else:
            tokens = contender.advance(order["steps"])
        usage = _usage()
        usage["cpu_s"] -= before
        _say(replies, {"tokens": tokens, **usage})


def _say(replies: TextIO, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def _usage() -> dict[str, float]:
    """Return CPU seconds of all threads so far, and the greatest resident memory in MB."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}
