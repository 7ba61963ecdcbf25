"""When to stop: budgets, targets and the owner's word compose.

A criterion is asked with the best known point and answers whether to end; `limit` then says which one it was.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from trimtab.results import Incumbent, Limit


class StoppingCriterion(Protocol):
    """Asked often; must be cheap."""

    @property
    def limit(self) -> Limit | None:
        """Which limit said stop; None while none has."""
        ...

    def __call__(self, best: Incumbent | None) -> bool:
        """True when the run must end now."""
        ...

    def remaining_s(self) -> float:
        """Seconds left, infinity when time is no limit. Solvers get this as their time limit."""
        ...


class TimeLimit:
    """Ends `seconds` after it was made."""

    def __init__(
        self, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not seconds > 0:
            raise ValueError(f"time limit wants seconds > 0; {seconds!r} came")
        self._clock = clock
        self._deadline = clock() + seconds
        self.limit: Limit | None = None

    def __call__(self, best: Incumbent | None) -> bool:
        """True once the deadline has passed."""
        if self._clock() >= self._deadline:
            self.limit = Limit.TIME
        return self.limit is not None

    def remaining_s(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self._deadline - self._clock())


class TargetGap:
    """Ends once the relative gap is at most `target`."""

    def __init__(self, target: float) -> None:
        if not 0 <= target <= 1:
            raise ValueError(f"target gap wants a number in [0, 1]; {target!r} came")
        self._target = target
        self.limit: Limit | None = None

    def __call__(self, best: Incumbent | None) -> bool:
        """True once the gap is small enough."""
        if best is not None and best.gap is not None and best.gap <= self._target:
            self.limit = Limit.TARGET_GAP
        return self.limit is not None

    def remaining_s(self) -> float:
        """Time is no limit here."""
        return float("inf")


class EvaluationLimit:
    """Ends after `count` calls of `spend`."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"evaluation limit wants a count >= 1; {count!r} came")
        self._left = count
        self.limit: Limit | None = None

    @property
    def left(self) -> int:
        """Evaluations that may still be made."""
        return max(0, self._left)

    def spend(self, count: int = 1) -> None:
        """Tell that evaluations were made."""
        self._left -= count

    def __call__(self, best: Incumbent | None) -> bool:
        """True once the evaluations are spent."""
        if self._left <= 0:
            self.limit = Limit.EVALUATIONS
        return self.limit is not None

    def remaining_s(self) -> float:
        """Time is no limit here."""
        return float("inf")


class OwnerStop:
    """Ends when the owner says `stop`: an event set by the thread that listens to the worker's host."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event
        self.limit: Limit | None = None

    def __call__(self, best: Incumbent | None) -> bool:
        """True once the owner said so."""
        if self._event.is_set():
            self.limit = Limit.STOPPED
        return self.limit is not None

    def remaining_s(self) -> float:
        """Nothing left once told, otherwise no limit."""
        return 0.0 if self._event.is_set() else float("inf")


class AnyOf:
    """Ends when the first of its parts does, and carries that part's limit."""

    def __init__(self, *parts: StoppingCriterion) -> None:
        self.parts = parts
        self.limit: Limit | None = None

    def __call__(self, best: Incumbent | None) -> bool:
        """True once any part says so."""
        if self.limit is None:
            for part in self.parts:
                if part(best):
                    self.limit = part.limit
                    break
        return self.limit is not None

    def remaining_s(self) -> float:
        """The least that any part leaves."""
        return min((part.remaining_s() for part in self.parts), default=float("inf"))

    def evaluations_left(self) -> int | None:
        """The least that any part leaves; None when evaluations are no limit."""
        counts = [part.left for part in self.parts if isinstance(part, EvaluationLimit)]
        counts += [
            n
            for part in self.parts
            if isinstance(part, AnyOf) and (n := part.evaluations_left()) is not None
        ]
        return min(counts, default=None)

    def spend(self, count: int = 1) -> None:
        """Pass evaluations on to the parts that count them."""
        for part in self.parts:
            if isinstance(part, (EvaluationLimit, AnyOf)):
                part.spend(count)


def from_budget(budget: Mapping[str, Any], stop_event: threading.Event) -> AnyOf:
    """The criterion of a run: its owner's word, its time, and what else its budget limits. Time begins now."""
    parts: list[StoppingCriterion] = [
        OwnerStop(stop_event),
        TimeLimit(float(budget["seconds"])),
    ]
    if budget.get("target_gap") is not None:
        parts.append(TargetGap(float(budget["target_gap"])))
    if budget.get("evaluations") is not None:
        parts.append(EvaluationLimit(int(budget["evaluations"])))
    return AnyOf(*parts)
