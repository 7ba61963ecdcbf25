"""Limits on the runs of a job's programs, equal in the search and in the check."""

from __future__ import annotations

from solvers.llvm.execute import Ran

MEMORY_BYTES = 2 * 2**30
# A candidate that timed out runs once more with this multiple of its limit.
RETRY_FACTOR = 3


def limit_message(number: int, ran: Ran, timeout_s: float) -> str:
    """Explain which limit stopped run `number` of a candidate."""
    if ran.limit == "seconds":
        return (
            f"run {number} exceeded its time limit of {timeout_s:g} s, and {RETRY_FACTOR} times "
            "that when it was tried again; the unoptimised program ended in time"
        )
    return (
        f"run {number} reached its limit of {ran.limit}; the unoptimised program did not"
    )
