"""Reports and checkpoints of a run: what a learner gets as its `FitRun`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from search.domains.learn.state import LearnState, read_folder
from search.domains.learn.types import Point
from search.stop import StoppingCriterion
from search.types import OnIncumbent
from trimtab.cards import CurvePoint
from trimtab.pictures import PlotCurve, PlotPicture
from trimtab.results import Incumbent

_PAUSE_S = 1.0  # between two reports, each of which writes a checkpoint
_MOST_POINTS = 400


@dataclass(kw_only=True)
class Course:
    """State of a run, and its way to the owner."""

    state: LearnState
    on_incumbent: OnIncumbent
    clock: Callable[[], float] = time.monotonic
    _next_at: float = field(default=-float("inf"), init=False)

    def update(self, state: LearnState) -> None:
        """Replace the state; the next report checkpoints it."""
        self.state = state

    def report(
        self, source: str, objective: float | None = None, *, now: bool = False
    ) -> None:
        """Send a point with the learning curve and a checkpoint, at most one a second.

        objective: of a model with a card; before, there is no solution.
        """
        if not now and self.clock() < self._next_at:
            return
        state = self.state
        pictures = () if len(state.curve) < 2 else (curve_picture(state.curve),)
        self.on_incumbent(
            Incumbent(
                elapsed_s=0.0, objective=objective, source=source, pictures=pictures
            ),
            lambda: state,
        )
        self._next_at = self.clock() + _PAUSE_S


class Fitting:
    """`FitRun` of one run."""

    def __init__(
        self,
        course: Course,
        *,
        seed: int,
        folder: Path,
        workdir: Path,
        stop: StoppingCriterion,
        judge_s: float,
    ) -> None:
        """Begin to fit.

        judge_s: seconds of the budget that are set aside for the evaluation.
        """
        self.seed, self.folder, self.workdir = seed, folder, workdir
        self._course, self._stop, self._judge_s = course, stop, judge_s

    def stop(self) -> bool:
        """Return True when fitting must end now."""
        return self._stop(None) or self.remaining_s() <= 0

    def remaining_s(self) -> float:
        """Return the seconds left for fitting."""
        return max(0.0, self._stop.remaining_s() - self._judge_s)

    def report(self, point: Point) -> None:
        """Record a point of the learning curve, and send it."""
        course = self._course
        newest = CurvePoint(
            stage=point.stage,
            step=point.step,
            loss=point.loss,
            validation=point.validation,
        )
        curve = thinned((*course.state.curve, newest))
        course.update(replace(course.state, curve=curve))
        seen = "" if point.validation is None else f", validation {point.validation:.4g}"
        course.report(
            f"{point.stage} {point.step}/{point.steps}: loss {point.loss:.4g}{seen}"
        )

    def save(self) -> None:
        """Checkpoint the state folder."""
        course = self._course
        course.update(replace(course.state, files=read_folder(self.folder)))
        course.report("fit: state saved")


def thinned(curve: tuple[CurvePoint, ...]) -> tuple[CurvePoint, ...]:
    """Drop every second point of a curve that has become too long; the last one stays."""
    if len(curve) <= _MOST_POINTS:
        return curve
    return (*curve[:-1:2], curve[-1])


def curve_picture(curve: tuple[CurvePoint, ...]) -> PlotPicture:
    """Return the learning curve of the newest stage as a picture."""
    stage = curve[-1].stage
    points = [point for point in curve if point.stage == stage]
    steps = tuple(float(point.step) for point in points)
    lines = [PlotCurve(name="loss", x=steps, y=tuple(point.loss for point in points))]
    seen = [point for point in points if point.validation is not None]
    if seen:
        held = tuple(float(point.validation or 0.0) for point in seen)
        lines.append(
            PlotCurve(name="validation", x=tuple(float(p.step) for p in seen), y=held)
        )
    values = [value for line in lines for value in line.y]
    low, high = min(0.0, *values), max(values)
    return PlotPicture(
        title=f"Learning curve: {stage}"[:60],
        alt=f"Learning curve of stage {stage}: loss {points[-1].loss:.4g} at step "
        f"{points[-1].step}.",
        x_label="step",
        y_label="loss",
        x=(0.0, max(steps) or 1.0),
        y=(low, high if high > low else low + 1.0),
        curves=tuple(lines),
    )
