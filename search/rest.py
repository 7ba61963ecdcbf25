"""Runs that go to rest instead of ending, and are claimed again later.

A plan rests while its owner reads an outline, and while its jobs run; no worker waits meanwhile.
What the run knows travels in a memo: a JSON document in the store. A domain that can rest returns
`SearchOutcome(rest=...)` from `search`, and takes up the memo in `wake` at its next run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from trimtab.results import JobState

MAX_MEMO_BYTES = 4 * 2**20
Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rest:
    """A run that ends for now."""

    state: JobState  # NEEDS_INPUT, AWAITING_APPROVAL, or WAITING for jobs of its outline
    # `{"outline": trimtab.plans.Outline, ...}`: the outline is what the owner sees, the rest is the
    # domain's own. Kept as it is until the next run.
    memo: Json
    detail: str = ""  # for people
    # AWAITING_APPROVAL: approve on the owner's behalf, at once.
    approved: bool = False


@dataclass(frozen=True, kw_only=True)
class EndedJob:
    """A job of the outline that has ended."""

    id: str
    fence: int  # of the attempt that counted
    kind: str
    state: JobState
    spec: Json
    budget: Json
    seed: int
    termination: Json | None  # trimtab.results.Termination
    result: Json | None  # trimtab.results.RunResult with artifacts; None without one
    seconds: float  # from first claim to end


@dataclass(frozen=True, kw_only=True)
class Woken:
    """State that a run takes up after a rest."""

    memo: Json
    # By leaf of the outline; a leaf without a job is missing.
    jobs: Mapping[str, EndedJob] = field(default_factory=dict)
    stop_requested: bool = False  # by the owner: start nothing more, write the report
    site: str = ""  # address of the server, for links in a report; empty: not known
    # False: its jobs were never started. It was answered, or re-driven while it was at rest.
    approved: bool = True


REST_STATES = (JobState.NEEDS_INPUT, JobState.AWAITING_APPROVAL, JobState.WAITING)


def require_sound(rest: Rest) -> bytes:
    """Return the memo as JSON. Raises ValueError for a rest that no service takes."""
    if rest.state not in REST_STATES:
        expected = ", ".join(state.value for state in REST_STATES)
        raise ValueError(
            f"rest.state: expected one of {expected}, got {rest.state.value}"
        )
    encoded = json.dumps(dict(rest.memo), allow_nan=False, separators=(",", ":")).encode()
    if len(encoded) > MAX_MEMO_BYTES:
        raise ValueError(
            f"rest.memo: expected at most {MAX_MEMO_BYTES:,} bytes, got {len(encoded):,}; "
            "keep less for the next run"
        )
    return encoded


@runtime_checkable
class Rests(Protocol):
    """A domain whose runs may go to rest."""

    def wake(self, problem: Any, woken: Woken) -> Any:
        """Return the parsed problem with what has happened since the last run.

        `woken.memo` was made by a process that may have been taken over, and its outline was
        edited by its owner: raise InvalidInput on any doubt.
        """
        ...
