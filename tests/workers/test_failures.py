"""Terminations of runs that an exception ended."""

from __future__ import annotations

import errno

import pytest

from search.finish import CannotFinish
from search.isolation import NativeCrash
from trimtab.results import Reason
from workers.failures import failure_of


@pytest.mark.parametrize(
    ("error", "phase", "reason", "transient"),
    [
        (NativeCrash("reading", 11), "parse", Reason.INPUT_CRASHED_PARSER, False),
        (NativeCrash("solving", 6), "search", Reason.NUMERICAL_ERROR, False),
        (MemoryError(), "search", Reason.RESOURCE_EXHAUSTED, False),
        (OSError(errno.EFBIG, "too large"), "produce", Reason.RESOURCE_EXHAUSTED, False),
        (OSError(errno.ENOSPC, "full"), "produce", Reason.INTERNAL_ERROR, True),
        (KeyError("x"), "encode", Reason.INTERNAL_ERROR, False),
        (CannotFinish("in verify: no"), "verify", Reason.INTERNAL_ERROR, False),
    ],
)
def test_what_exceptions_mean(
    error: Exception, phase: str, reason: Reason, transient: bool
) -> None:
    failure = failure_of(error, phase=phase, memory_bytes=2**30)
    assert (failure.termination.reason, failure.transient) == (reason, transient)
    assert phase in failure.termination.detail or reason is Reason.INPUT_CRASHED_PARSER
    assert failure.internal is isinstance(error, KeyError)
