"""Stopping criteria: time, evaluations, target gap and the owner's request, and their union.

The search calls a criterion with the best point so far; it returns True when the run must end, and
its `limit` then names the limit that was reached.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from trimtab.results import Incumbent, Limit

_UNLIMITED = float("inf")
_SAME = 1e-9  # relative; objectives that differ by less are the same


class StoppingCriterion(Protocol):
    """Decides when a run ends. Called often, so it must be cheap."""

    @property
    def limit(self) -> Limit | None:
        """The limit that was reached; None while none is."""
        ...

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True when the run must end now."""
        ...

    def remaining_s(self) -> float:
        """Return the seconds left, infinity without a time limit. Solvers take it as theirs."""
        ...

    def evaluations_left(self) -> int | None:
        """Return the evaluations left; None when they are not limited."""
        ...

    def spend(self, count: int = 1) -> None:
        """Count evaluations that were made."""
        ...


class _Criterion:
    """A criterion that limits neither time nor evaluations; subclasses limit one thing each."""

    limit: Limit | None = None

    def remaining_s(self) -> float:
        """Return infinity: time is not limited here."""
        return _UNLIMITED

    def evaluations_left(self) -> int | None:
        """Return None: evaluations are not limited here."""
        return None

    def spend(self, count: int = 1) -> None:
        """Ignore evaluations: they are not limited here."""


class TimeLimit(_Criterion):
    """Ends `seconds` after its construction."""

    def __init__(
        self, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not seconds > 0:
            raise ValueError(f"time limit: expected seconds > 0, got {seconds!r}")
        self._clock = clock
        self._deadline = clock() + seconds

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True once the deadline has passed."""
        if self._clock() >= self._deadline:
            self.limit = Limit.TIME
        return self.limit is not None

    def remaining_s(self) -> float:
        """Return the seconds until the deadline, never negative."""
        return max(0.0, self._deadline - self._clock())


class TargetGap(_Criterion):
    """Ends once the relative gap is at most `target`."""

    def __init__(self, target: float) -> None:
        if not 0 <= target <= 1:
            raise ValueError(f"target gap: expected a number in [0, 1], got {target!r}")
        self._target = target

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True once the gap is small enough."""
        if best is not None and best.gap is not None and best.gap <= self._target:
            self.limit = Limit.TARGET_GAP
        return self.limit is not None


class AbsoluteGap(_Criterion):
    """Ends once |objective - bound| is at most `target`, in units of the objective."""

    def __init__(self, target: float) -> None:
        if not target >= 0:
            raise ValueError(f"absolute gap: expected a number >= 0, got {target!r}")
        self._target = target

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True once the gap is small enough."""
        if best is None or best.objective is None or best.bound is None:
            return self.limit is not None
        if abs(best.objective - best.bound) <= self._target:
            self.limit = Limit.TARGET_GAP
        return self.limit is not None


class ObjectiveStop(_Criterion):
    """Ends at a solution with an objective of `target` or better, in the user's sense."""

    def __init__(self, target: float, *, maximize: bool) -> None:
        self._target, self._sign = target, -1.0 if maximize else 1.0

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True once a solution is good enough."""
        if best is not None and best.objective is not None:
            slack = _SAME * max(1.0, abs(self._target))
            if self._sign * (best.objective - self._target) <= slack:
                self.limit = Limit.OBJECTIVE
        return self.limit is not None


class BoundStop(_Criterion):
    """Ends once the proved bound reaches `target`, in the user's sense."""

    def __init__(self, target: float, *, maximize: bool) -> None:
        self._target, self._sign = target, -1.0 if maximize else 1.0

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True once the bound goes far enough."""
        if best is not None and best.bound is not None:
            slack = _SAME * max(1.0, abs(self._target))
            if self._sign * (best.bound - self._target) >= -slack:
                self.limit = Limit.BOUND
        return self.limit is not None


class SolutionLimit(_Criterion):
    """Ends at the `count`-th reported objective."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"solution limit: expected a count >= 1, got {count!r}")
        self._left = count
        self._last: float | None = None

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True once enough solutions were reported."""
        if best is not None and best.objective not in (None, self._last):
            self._last = best.objective
            self._left -= 1
        if self._left <= 0:
            self.limit = Limit.SOLUTIONS
        return self.limit is not None


class TimeOf(_Criterion):
    """Ends when the time of another criterion is over or its owner asks, for work after a search.

    Other limits of that criterion were for the search.
    """

    def __init__(self, other: StoppingCriterion) -> None:
        self._other = other

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True once no time is left."""
        if self._other.remaining_s() <= 0:
            self.limit = Limit.TIME
        return self.limit is not None

    def remaining_s(self) -> float:
        """Return the seconds that the other criterion leaves."""
        return self._other.remaining_s()


class EvaluationLimit(_Criterion):
    """Ends after `count` evaluations, as counted by `spend`."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"evaluation limit: expected a count >= 1, got {count!r}")
        self._left = count

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True once the evaluations are spent."""
        if self._left <= 0:
            self.limit = Limit.EVALUATIONS
        return self.limit is not None

    def evaluations_left(self) -> int:
        """Return the evaluations left, never negative."""
        return max(0, self._left)

    def spend(self, count: int = 1) -> None:
        """Count evaluations that were made."""
        self._left -= count


class OwnerStop(_Criterion):
    """Ends when the owner asks for it.

    The event is set by the thread that listens to the worker's host.
    """

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True once the event is set."""
        if self._event.is_set():
            self.limit = Limit.STOPPED
        return self.limit is not None

    def remaining_s(self) -> float:
        """Return 0 once the event is set, infinity before."""
        return 0.0 if self._event.is_set() else _UNLIMITED


class AnyOf(_Criterion):
    """Ends when the first of its parts does, and takes over that part's limit."""

    def __init__(self, *parts: StoppingCriterion) -> None:
        self.parts = parts

    def __call__(self, best: Incumbent | None) -> bool:
        """Return True once any part ends the run."""
        if self.limit is None:
            for part in self.parts:
                if part(best):
                    self.limit = part.limit
                    break
        return self.limit is not None

    def remaining_s(self) -> float:
        """Return the least that any part leaves."""
        return min((part.remaining_s() for part in self.parts), default=_UNLIMITED)

    def evaluations_left(self) -> int | None:
        """Return the least that any part leaves; None when no part limits evaluations."""
        counts = (part.evaluations_left() for part in self.parts)
        return min((count for count in counts if count is not None), default=None)

    def spend(self, count: int = 1) -> None:
        """Pass evaluations on to all parts."""
        for part in self.parts:
            part.spend(count)


def from_budget(budget: Mapping[str, Any], stop_event: threading.Event) -> AnyOf:
    """Return the criterion of a run: its owner's request, its time and its other limits.

    Time begins now.
    """
    parts: list[StoppingCriterion] = [
        OwnerStop(stop_event),
        TimeLimit(float(budget["seconds"])),
    ]
    if budget.get("target_gap") is not None:
        parts.append(TargetGap(float(budget["target_gap"])))
    if budget.get("evaluations") is not None:
        parts.append(EvaluationLimit(int(budget["evaluations"])))
    return AnyOf(*parts)
