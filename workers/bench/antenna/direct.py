"""Direct search on the fine solver: the rivals of the funnel.

Every design that the method proposes is a fine solve, at the sampled frequencies of each band. The
first design with the full margin goes to openEMS, and after a refusal the next one that differs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.domains.antenna.design import Design
from search.domains.antenna.parse import FINE, AntennaProblem, parse
from search.domains.antenna.search.layouts import Vectors, layouts_of
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.search.methods import (
    Annealing,
    RandomSearch,
    Setting,
)
from search.domains.antenna.search.samples import BandSamples
from search.domains.antenna.search.searcher import Searcher
from search.domains.antenna.search.solve import Evaluator
from search.domains.antenna.verify.second_solver import SecondOpinion, second_opinion
from search.domains.antenna.verify.verdicts import Verdict
from solvers.field.moments import MomentMethod, refined_antenna
from solvers.field.tables import compute_tables
from trimtab.specs.antenna import AntennaSpec

_APART = 4  # cells in which designs differ that openEMS sees
# Fine margin below which the best design is not sent to openEMS at the end.
_HOPELESS_DB = -0.5


class TunedAnnealing(Annealing):
    """Annealing for 100 fine solves; `python -m workers.bench antenna tune` chose the numbers."""

    hottest, coldest, patience, begin = 1.5, 0.1, 15, 20


RIVALS: dict[str, Callable[[Setting], Searcher]] = {
    "annealing": TunedAnnealing,
    "random": RandomSearch,
}


@dataclass(frozen=True, kw_only=True)
class DirectRun:
    """Result and cost of a direct search."""

    margin_db: float
    fine_solves: int
    solves_to_verdict: int  # fine solves until the design with the last verdict was found
    opinions: tuple[SecondOpinion, ...]
    cpu_s: float  # openEMS apart


class FineSamples:
    """The fine solver at the sampled frequencies of each band."""

    def __init__(self, problem: AntennaProblem) -> None:
        self.samples = BandSamples(problem.spec)
        grid = problem.grid.refined(FINE)
        self._tables = compute_tables(problem.board, grid, self.samples.frequencies_hz)

    def margin_and_guide(self, design: Design) -> tuple[float, float]:
        """Return the margin and the guide of a design, dB."""
        score = self.samples.score(self.response(design))
        return score.margin_db, score.guide_db

    def response(self, design: Design) -> NDArray[np.complex128]:
        """Return S11 of a design at the samples' frequencies."""
        built = refined_antenna(design.mask, design.feed, design.vias, factor=FINE)
        method = MomentMethod(self._tables, built)
        count = len(self.samples.frequencies_hz)
        y = np.array([1 / method.input_impedance(index) for index in range(count)])
        return self.samples.reflections(y)


def run(spec: AntennaSpec, rival: str, seed: int, folder: Path) -> DirectRun:
    """Search, with openEMS for the designs that reach the margin."""
    began = time.process_time()
    problem = parse(spec, {}, folder)
    fine = FineSamples(problem)
    searcher = RIVALS[rival](setting_of(problem, np.random.default_rng(seed)))
    solves, to_verdict = 0, 0
    best: tuple[float, Design, int] | None = None
    opinions: list[SecondOpinion] = []
    seen: list[Design] = []

    def ask_openems(design: Design, at: int) -> None:
        nonlocal to_verdict
        seen.append(design)
        to_verdict = at
        never = threading.Event().is_set
        opinions.append(second_opinion(problem, design, left_s=900, stopped=never))

    def over() -> bool:
        confirmed = bool(opinions) and opinions[-1].verdict == Verdict.PASS.value
        return confirmed or 0 < spec.verify_runs <= len(opinions)

    while solves < spec.fine_solves and not over():
        designs = searcher.ask(1)
        margin, guide = fine.margin_and_guide(designs[0])
        solves += 1
        searcher.tell(designs, [guide])
        if best is None or margin > best[0]:
            best = margin, designs[0], solves
        apart = all(int((designs[0].mask ^ d.mask).sum()) >= _APART for d in seen)
        if spec.verify_runs and margin >= spec.margin_db and apart:
            ask_openems(designs[0], solves)
    assert best is not None
    unseen = all(design is not best[1] for design in seen)
    if spec.verify_runs and not over() and best[0] >= _HOPELESS_DB and unseen:
        ask_openems(best[1], best[2])
    return DirectRun(
        margin_db=best[0],
        fine_solves=solves,
        solves_to_verdict=to_verdict,
        opinions=tuple(opinions),
        cpu_s=time.process_time() - began,
    )


def setting_of(problem: AntennaProblem, rng: np.random.Generator) -> Setting:
    """Return the parts of a method for a direct search."""
    spec = problem.spec
    rules = Rules(spec)
    return Setting(
        spec=spec,
        rules=rules,
        layouts=layouts_of(spec, rules),
        vectors=Vectors(spec, rules),
        rng=rng,
        evaluations=spec.fine_solves,
        evaluator=Evaluator(problem),
    )
