"""Trace of a run: incumbents and bounds over time, and the figures computed from it.

Primal gap and primal integral are those of Berthold (2013), section 2: p(x) = 0 if c·x = c* = 0; 1
if there is no solution or c·x·c* < 0; else |c·x − c*| / max(|c·x|, |c*|). P(T) = ∫₀ᵀ p(t) dt, with
gap 1 before the first solution.
"""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.results import Incumbent

MAX_POINTS = 2_000


def relative_gap(objective: float | None, bound: float | None) -> float | None:
    """Return |objective − bound| / max(|objective|, |bound|); None when one is missing.

    0 when they are equal, also at 0.
    """
    if objective is None or bound is None:
        return None
    if objective == bound:
        return 0.0
    return abs(objective - bound) / max(abs(objective), abs(bound))


def primal_gap(objective: float | None, best: float) -> float:
    """Return the distance of `objective` from the best known value, in [0, 1]."""
    if objective is None:
        return 1.0
    if objective == best:
        return 0.0
    if min(objective, best) < 0 < max(objective, best):  # a product may underflow
        return 1.0
    return abs(objective - best) / max(abs(objective), abs(best))


def primal_integral(
    trace: Sequence[Incumbent], *, best: float | None, until_s: float
) -> float:
    """Return the integral of the primal gap from 0 to `until_s` in seconds.

    `until_s` itself when there is no solution at all.
    """
    if best is None:
        return until_s
    total, since, gap = 0.0, 0.0, 1.0
    for point in trace:
        now = min(point.elapsed_s, until_s)
        total += gap * max(0.0, now - since)
        since = max(since, now)
        if point.objective is not None:
            gap = primal_gap(point.objective, best)
    return total + gap * max(0.0, until_s - since)


class Trace:
    """Collects at most `MAX_POINTS` points; drops points that only moved the bound first."""

    def __init__(self, max_points: int = MAX_POINTS) -> None:
        if max_points < 3:
            raise ValueError(
                f"trace.max_points: expected at least 3 (first, newest and one between), "
                f"got {max_points}"
            )
        self._max = max_points
        self._points: list[Incumbent] = []

    @property
    def points(self) -> list[Incumbent]:
        """The points in order of time."""
        return list(self._points)

    @property
    def newest(self) -> Incumbent | None:
        """The latest point; None before the first one."""
        return self._points[-1] if self._points else None

    def add(self, point: Incumbent) -> None:
        """Append a point; thin the trace when it is full."""
        self._points.append(point)
        if len(self._points) > self._max:
            self._thin()

    def _thin(self) -> None:
        points = self._points
        improves = [
            i == 0 or points[i].objective != points[i - 1].objective
            for i in range(len(points))
        ]
        thinned = [
            p
            for i, p in enumerate(points)
            if improves[i] or i == len(points) - 1 or i % 2 == 0
        ]
        if len(thinned) > self._max:
            # Improvements only: take the first, the last and every second one. The curve loses
            # resolution; objective and bound of the result do not come from the trace.
            thinned = [
                p for i, p in enumerate(points) if i in (0, len(points) - 1) or i % 2 == 0
            ]
        self._points = thinned
