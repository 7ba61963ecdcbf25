"""Terminations of runs that raised, for the child and for the inline executor."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from search.finish import CannotFinish
from search.isolation import NativeCrash
from search.text_model import ModelBusy, ModelUnavailable, TextModelError
from search.types import InvalidInput
from trimtab.results import Limit, Reason, Termination


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Failure of a run."""

    termination: Termination
    internal: bool = False  # a fault of trimtab: log the traceback
    transient: bool = False  # a passing state of the machine: another attempt may succeed


def failure_of(error: Exception, *, phase: str, memory_bytes: int) -> Failure:
    """Return the failure of a run that `error` ended in `phase`."""
    match error:
        case InvalidInput():
            return _failure(error.reason, str(error))
        case NativeCrash() if phase == "parse":
            return _failure(
                Reason.INPUT_CRASHED_PARSER,
                f"reading the input: {error}; the file is damaged or hostile",
            )
        case NativeCrash():
            return _failure(Reason.NUMERICAL_ERROR, f"in phase {phase}: {error}")
        case ModelUnavailable() | ModelBusy():
            termination = Termination(
                reason=Reason.WORKER_LOST, detail=f"in phase {phase}: {error}"[:2000]
            )
            return Failure(termination=termination, transient=True)
        case CannotFinish():
            return _failure(Reason.INTERNAL_ERROR, str(error)[:2000])
        case TextModelError():
            return _failure(Reason.INVALID_INPUT, f"in phase {phase}: {error}"[:2000])
        case MemoryError():
            detail = (
                f"in phase {phase} the run needed more than its {memory_bytes / 2**30:.1f} GiB "
                "of memory"
            )
            return _failure(Reason.RESOURCE_EXHAUSTED, detail, limit=Limit.MEMORY)
        case OSError(errno=errno.EFBIG):
            return _failure(
                Reason.RESOURCE_EXHAUSTED,
                f"in phase {phase} the run wrote a larger file than it may",
            )
        case OSError(errno=errno.ENOSPC):
            termination = Termination(
                reason=Reason.INTERNAL_ERROR, detail=f"in phase {phase} the disk was full"
            )
            return Failure(termination=termination, transient=True)
        case _:
            detail = f"in phase {phase}: {type(error).__name__}: {error}"[:2000]
            return Failure(
                termination=Termination(reason=Reason.INTERNAL_ERROR, detail=detail),
                internal=True,
            )


def _failure(reason: Reason, detail: str, limit: Limit | None = None) -> Failure:
    return Failure(termination=Termination(reason=reason, limit=limit, detail=detail))
