"""Objective `run_time`: the program that takes the least CPU time on the given runs, told apart from noise.

Times are CPU seconds of the whole program, all runs together, user and system. Two programs are compared in pairs of runs, one
after the other and the order turned each time, so that a slow moment of the machine meets both. What is told is the median
of the pairs' ratios with its exact interval by order statistics (a sign test turned round: no law of the noise is assumed).
A candidate counts only when that interval is below 1; the last word are fresh pairs against -O2, which no choice was made on.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from search.domains.compile.search.behaviour import Judge
from search.domains.compile.search.edits import Candidate
from search.domains.compile.search.incumbents import Chosen
from search.domains.compile.search.quarantine import Quarantined
from search.types import InvalidInput
from solvers.llvm.engine import Built, CandidateFailed, Engine
from solvers.llvm.pipeline import BadPipeline

BASELINE = "O2"
LEAST_S = 0.02  # of CPU time with the baseline: below it start-up and the clock are what is measured
_LOOK, _PAIRS, _LAST_PAIRS = 3, 11, 15
_WORTH_IT = 0.995  # median ratio of a first look from which on more pairs are run
_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Ours against the baseline."""

    ratio: float  # median of ours / baseline over the pairs
    low: float  # interval of the median
    high: float
    pairs: int
    ours_s: float  # median CPU seconds
    baseline_s: float
    baseline: str = BASELINE

    @property
    def faster(self) -> bool:
        """The whole interval is below 1."""
        return self.high < 1.0

    def told(self) -> str:
        """For people."""
        return (
            f"{self.ours_s:.4g} s, {self.ratio:.3f} [{self.low:.3f}, {self.high:.3f}] of the {self.baseline_s:.4g} s of "
            f"-{self.baseline}, {self.pairs} pairs of runs"
        )


def paired(ours: Callable[[], float], theirs: Callable[[], float], pairs: int) -> Timing:
    """Run both in turn. Each call is one run and returns its seconds. Raises ValueError below one pair."""
    if pairs < 1:
        raise ValueError(f"{pairs} pairs came; wanted at least 1")
    mine: list[float] = []
    others: list[float] = []
    for number in range(pairs):
        for go, into in ((ours, mine), (theirs, others))[:: 1 if number % 2 == 0 else -1]:
            into.append(go())
    ratios = sorted(a / max(1e-9, b) for a, b in zip(mine, others, strict=True))
    low, high = median_interval(ratios)
    return Timing(
        ratio=statistics.median(ratios),
        low=low,
        high=high,
        pairs=pairs,
        ours_s=statistics.median(mine),
        baseline_s=statistics.median(others),
    )


def median_interval(
    ordered: Sequence[float], confidence: float = _CONFIDENCE
) -> tuple[float, float]:
    """Order statistics that hold the median with at least `confidence`; (0, inf) when there are too few values for that."""
    n = len(ordered)
    tail, k = 0.0, 0
    while k < n // 2:
        tail += math.comb(n, k) / 2**n
        if 2 * tail > 1 - confidence:
            break
        k += 1
    return (0.0, math.inf) if k == 0 else (ordered[k - 1], ordered[n - k])


@dataclass(frozen=True, kw_only=True)
class Fastest:
    """What the search ends with."""

    chosen: Chosen
    timing: Timing | None  # None: the baseline itself
    tried: int
    quarantined: tuple[Quarantined, ...]


@dataclass(frozen=True, kw_only=True)
class _Program:
    name: str
    candidate: Candidate
    built: Built
    path: Path


def fastest(
    engine: Engine,
    judge: Judge,
    *,
    defaults: Mapping[str, str],
    space: Sequence[Candidate],
    rng: np.random.Generator,
    build_id: str,
    tell: Callable[[Chosen], None],
    ends: Callable[[], bool],
    spend: Callable[[int], object] = lambda count: None,
) -> Fastest:
    """LLVM's own levels first, then single changes of the best one, drawn. Raises InvalidInput when nothing can be timed."""
    if not judge.cases:
        raise InvalidInput(
            f"objective run_time wants a program that can be run and repeats itself: {judge.why_unvalidated}. Give `runs`"
        )
    bad: list[Quarantined] = []

    def program(candidate: Candidate) -> _Program | None:
        """Built, linked and seen to behave; None otherwise."""
        try:
            recipe = candidate.recipe(defaults)
            built = engine.build(recipe)
        except (BadPipeline, CandidateFailed):
            return None
        verdict = judge.ask(built.object)
        if not verdict.equal:
            if not verdict.stopped:
                bad.append(
                    Quarantined(
                        build_id=build_id,
                        name=candidate.name,
                        recipe=recipe,
                        objective=0.0,
                        why=verdict.detail,
                    )
                )
            return None
        return _Program(
            name=candidate.name,
            candidate=candidate,
            built=built,
            path=judge.link(built.object),
        )

    def seconds(of: _Program) -> Callable[[], float]:
        return lambda: cpu_s(judge, of.path)

    baseline = program(Candidate(name=BASELINE, base=BASELINE))
    if baseline is None:
        raise InvalidInput(
            f"objective run_time: -{BASELINE} itself does not come through, or behaves otherwise"
        )
    took = seconds(baseline)()
    if took < LEAST_S:
        raise InvalidInput(
            f"objective run_time: the runs take {1000 * took:.1f} ms of CPU time with -{BASELINE}; wanted "
            f"{1000 * LEAST_S:.0f} ms or more, so that programs can be told apart. Give longer `runs`"
        )
    best, best_s, tried = baseline, took, 1
    tell(Chosen(name=best.name, value=best_s, built=best.built))
    seen = {best.built.measured.program}
    queue = [Candidate(name=level, base=level) for level in ("O3", "Os", "Oz", "O1")]
    while not ends():
        if not queue:
            changes = [change for change in space if change.edits and change.base == "Oz"]
            change = changes[int(rng.integers(len(changes)))]
            queue = [replace(best.candidate.joined(change), base=best.candidate.base)]
        found = program(queue.pop(0))
        tried += 1
        spend(1)
        if found is None or found.built.measured.program in seen:
            continue
        seen.add(found.built.measured.program)
        if paired(seconds(found), seconds(best), _LOOK).ratio > _WORTH_IT or ends():
            continue
        timing = paired(seconds(found), seconds(best), _PAIRS)
        if timing.faster:
            best, best_s = found, timing.ours_s
            tell(Chosen(name=best.name, value=best_s, built=best.built))
    last = (
        None if best is baseline else paired(seconds(best), seconds(baseline), _LAST_PAIRS)
    )
    if last is None or not last.faster:
        best, best_s, last = baseline, took if last is None else last.baseline_s, None
    value = best_s if last is None else last.ours_s
    return Fastest(
        chosen=Chosen(name=best.name, value=value, built=best.built),
        timing=last,
        tried=tried,
        quarantined=tuple(bad),
    )


def cpu_s(judge: Judge, program: Path) -> float:
    """CPU seconds of all cases, once each."""
    return sum(judge.run(program, case, timeout_s).cpu_s for case, timeout_s in judge.cases)


def reserve_s(run_s: float) -> float:
    """Seconds that the last pairs and the check's own want, of wall clock for one program's runs."""
    return 2 * 2 * _LAST_PAIRS * run_s
