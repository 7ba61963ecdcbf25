"""The funnel of one search: coarse solves by a search method, fine solves, second solver."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from search.domains.antenna.design import AntennaSolution, Design
from search.domains.antenna.encode import Estimate
from search.domains.antenna.parse import AntennaProblem
from search.domains.antenna.produce.pictures import live_pictures
from search.domains.antenna.search.calibration import (
    CalibratedSamples,
    Calibration,
    calibrate,
)
from search.domains.antenna.search.layouts import layouts_of
from search.domains.antenna.search.legalise import Rules
from search.domains.antenna.search.methods import make_searcher
from search.domains.antenna.search.model import choose_model
from search.domains.antenna.search.neighbourhood import Neighbourhood
from search.domains.antenna.search.score import Score
from search.domains.antenna.search.searcher import Searcher
from search.domains.antenna.search.solve import Evaluator
from search.domains.antenna.search.summary import reason_of, summarise, surrogate_of
from search.domains.antenna.search.tabu import Tabu
from search.domains.antenna.search.textbook import textbook_patch
from search.domains.antenna.verify.second_solver import (
    NOT_CHECKED,
    Opinions,
    SecondOpinion,
)
from search.domains.antenna.verify.verdicts import Verdict
from search.stop import StoppingCriterion
from search.types import OnIncumbent, SearchOutcome
from solvers.field.openems.process import OpenEmsMissing, find_openems
from solvers.field.rational import Rational
from trimtab.results import Incumbent, Reason, Termination

# Coarse solves before the best designs go to the fine solver; then doubled.
_FIRST_ROUND = 100
_LAST_FINE = 8  # fine solves for which time is left after the coarse ones
_BATCH = 8  # designs asked for at once
_POOL = 200  # coarse designs that compete for a fine solve
_APART = 4  # cells in which designs of one round of fine solves differ, at least
_ENOUGH = 2  # coarse designs that reach the goal: more are not looked for in this round
_SURPLUS_DB = 1.0  # by which a coarse design must exceed the goal to count among them
_CLIMBED = 3  # designs of a round from which the fine solver climbs
_STEPS, _IDLE = 15, 5  # of a climb at most, and without progress
# The first step of a climb takes the time of about six fine solves; with less time than this many,
# designs are solved without one.
_CLIMB_SOLVES = 10
_SAFE_DB = 0.2  # beyond the goal at sampled frequencies: the sweep sees more of them
# Predicted for the second solver before a corrected design is tried.
_CORRECTED_DB = 1.5
_HOPELESS_DB = -0.5  # fine margin below which openEMS is not asked during the search
# Reserved for the second solver, and for check and files.
_OPENEMS_SHARE, _OPENEMS_MOST_S = 0.4, 90.0
_FILES_SHARE, _FILES_MOST_S = 0.1, 5.0
_OPENING = "textbook patch"
_UNSEARCHED = (
    "the time ended before a design was searched for, this is a textbook patch: "
)
_RANK = {Verdict.PASS.value: 2, Verdict.SHIFTED.value: 1, Verdict.FAIL.value: 0}


@dataclass(frozen=True, kw_only=True, eq=False)
class Finalist:
    """A design that the fine solver has swept."""

    margin_db: float
    design: Design
    score: Score
    response: Rational | None  # of the sweep
    opinion: SecondOpinion | None = None

    @property
    def rank(self) -> tuple[int, float]:
        """Order of the finalists: openEMS' verdict, then how far it is from its limits."""
        if self.opinion is None:
            return 0, -np.inf
        worst = min(
            (row.limit_db - row.worst_db) * (-1 if row.name.startswith("avoid") else 1)
            for row in self.opinion.bands
        )
        return _RANK[self.opinion.verdict], worst


@dataclass(kw_only=True)
class State:
    """Designs and figures that a search has collected."""

    pool: list[tuple[float, Design]] = field(default_factory=list)  # coarse guide, design
    finalists: list[Finalist] = field(default_factory=list)  # best fine margin first
    reached: int = 0  # coarse designs of this round that exceed the goal
    opinions: list[SecondOpinion] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)
    reported_db: float = -np.inf


def run_search(
    problem: AntennaProblem,
    estimate: Estimate,
    *,
    stop: StoppingCriterion,
    rng: np.random.Generator,
    on_incumbent: OnIncumbent,
    start: AntennaSolution | None = None,
    opinions: Opinions | None = None,
) -> SearchOutcome:
    """Return a design that openEMS confirms, or the one with the best margin by the fine solver.

    The objective is the worst margin over all requirements by the fine solver, at most `margin_db`:
    more margin than was asked for is no better. Ends when openEMS confirms a design, or when the
    solves or the runs of openEMS are spent.
    """
    funnel = _Funnel(problem, stop, rng, on_incumbent, opinions or Opinions())
    if start is not None:
        funnel.solve_fine(start.design, "an earlier attempt")
    funnel.open()
    funnel.search()
    unsearched = funnel.unsearched()
    funnel.confirm()
    state, limit = funnel.state, stop.limit
    best = funnel.best()
    design, score = best.design, best.score
    objective = min(problem.spec.margin_db, best.margin_db)
    return SearchOutcome(
        termination=Termination(
            reason=Reason.COMPLETED if limit is None else Reason.FEASIBLE,
            limit=limit,
            detail=_UNSEARCHED * unsearched + reason_of(problem, estimate, score),
        ),
        solution=AntennaSolution(design=design, objective_db=objective),
        objective=objective,
        bound=None,
        sense="maximize",
        summary=summarise(
            problem,
            estimate,
            score,
            funnel.evaluator,
            state.opinions,
            state.calibrations,
            surrogate_of(funnel.learned, funnel.model_note),
        ),
    )


class _Funnel:
    """The stages of one search over common state."""

    def __init__(
        self,
        problem: AntennaProblem,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        opinions: Opinions,
    ) -> None:
        self.problem, self.spec, self._stop = problem, problem.spec, stop
        self._on_incumbent, self._rng = on_incumbent, rng
        self._opinions = opinions
        self.evaluator = Evaluator(problem)
        self.learned, self.model_note = choose_model(problem, self.evaluator.samples)
        if self.learned is not None:
            self.evaluator.on_coarse = self.learned.add
        self._layouts = layouts_of(self.spec, Rules(self.spec))
        self.state = State()
        self._reserve_s = _reserve_s(problem, stop.remaining_s())
        self._files_s = _files_s(stop.remaining_s())
        self._fine_s = 0.0  # of the newest fine solve
        # Some fine solves are left for corrections by openEMS.
        reserve = (_STEPS + 2) * max(0, self.spec.verify_runs - 1)
        self._fine_solves = self.spec.fine_solves - min(
            reserve, self.spec.fine_solves // 3
        )
        self._near: Neighbourhood | None = None  # by the fine solver
        self._opening = b""  # key of the textbook patch
        self._opened = 0  # fine solves before the search
        self._half_s = np.inf  # of the time that the search has

    def open(self) -> None:
        """Solve a textbook patch, so that there is an answer from the beginning.

        It needs no tables but the fine solver's, which the check needs too. It counts as one of the
        fine solves; if only one is allowed, a design that was searched for comes first.
        """
        if self.spec.fine_solves > 1 or self._coarse_over():
            self._solve_opening()

    def search(self) -> None:
        """Alternate coarse search and fine solves; each round doubles the coarse solves."""
        self._opened = self.evaluator.solved["fine"]
        self._half_s = self._searching_s() / 2
        if not (self._reached() or self._coarse_over()):
            self._rounds()
        if not self.state.finalists:
            self._solve_opening()

    def _rounds(self) -> None:
        rounds = [min(_FIRST_ROUND, self.spec.coarse_solves)]
        while rounds[-1] < self.spec.coarse_solves:
            rounds.append(min(2 * rounds[-1], self.spec.coarse_solves))
        searcher = make_searcher(self.evaluator, self._rng, self.learned)
        for number, until in enumerate(rounds):
            self.state.reached = 0
            self._coarse(searcher, until)
            last = self._coarse_over()
            share = (self._fine_solves - self._opened) * (number + 1) / len(rounds)
            fine = self._opened + max(1, round(share))
            self._fine(self._fine_solves if last else fine)
            if last or self._reached():
                return

    def unsearched(self) -> bool:
        """Return whether the textbook patch is the only design, and does not suffice."""
        keys = [row.design.key for row in self.state.finalists]
        return keys == [self._opening] and not self._reached()

    def confirm(self) -> None:
        """Ask openEMS about the best design; after a refusal, about one corrected by what it saw.

        The check judges the result by the same simulation, which is not repeated.
        """
        for run in range(self.spec.verify_runs):
            waiting = [row for row in self.state.finalists if row.opinion is None]
            if not waiting or (waiting[0].margin_db < _HOPELESS_DB and run == 0):
                return
            finalist = waiting[0]
            opinion = self._opinions(
                self.problem,
                finalist.design,
                left_s=self._stop.remaining_s() - self._files_s,
                stopped=lambda: self._stop.remaining_s() <= 0,
            )
            self.state.opinions.append(opinion)
            if opinion.verdict == NOT_CHECKED:
                return
            finalist = replace(finalist, opinion=opinion)
            others = [r for r in self.state.finalists if r.design is not finalist.design]
            self.state.finalists = [*others, finalist]
            if opinion.verdict == Verdict.PASS.value or self._time_over():
                return
            if run + 1 < self.spec.verify_runs:
                self._correct(finalist)

    def best(self) -> Finalist:
        """Return the finalist that openEMS judged best; the one with most margin if it saw none."""
        confirmed = [row for row in self.state.finalists if row.opinion is not None]
        if confirmed:
            return max(confirmed, key=lambda row: row.rank)
        return self.state.finalists[0]

    def _solve_opening(self) -> None:
        patch = textbook_patch(self.problem)
        self._opening = patch.key
        self.solve_fine(patch, _OPENING)

    def _correct(self, finalist: Finalist) -> None:
        """Climb from a refused design by the fine solver, corrected to predict openEMS."""
        opinion, fine = finalist.opinion, finalist.response
        if fine is None or opinion is None or opinion.frequencies_hz is None:
            return
        assert opinion.s11 is not None
        highest = self.problem.frequencies_hz.max()
        calibration = calibrate(
            self.spec, opinion.frequencies_hz, opinion.s11, lambda f: fine(f / highest)
        )
        self.state.calibrations.append(calibration)
        if not Neighbourhood.fits(self.evaluator, "fine"):
            return
        self._near = None  # its memory is needed
        samples = CalibratedSamples(self.spec, calibration)
        left = self.spec.fine_solves - self.evaluator.solved["fine"]
        if left < 3:
            return
        near = Neighbourhood(self.evaluator, "fine", samples)
        design = self._climb(near, finalist.design, _CORRECTED_DB, most=left - 2)
        if design.key == finalist.design.key:
            return
        self.solve_fine(design, "corrected by openEMS")
        # The corrected design is the next to be asked about, whatever its own margin.
        newest = next(r for r in self.state.finalists if r.design.key == design.key)
        others = [r for r in self.state.finalists if r is not newest]
        self.state.finalists = [newest, *others]

    def _coarse(self, searcher: Searcher, until: int) -> None:
        """Let the search method spend coarse solves until `until` of them are spent."""
        idle = 0
        while self.evaluator.solved["coarse"] < until and not self._coarse_over():
            left = until - self.evaluator.solved["coarse"]
            designs = searcher.ask(min(_BATCH, left))
            scores = []
            before = self.evaluator.solved["coarse"]
            for design in designs:
                if self._coarse_over():
                    return
                solved_before = self.evaluator.known(design, "coarse")
                score = self.evaluator.score(design, "coarse")
                scores.append(score.guide_db)
                if not solved_before:
                    self._stop.spend()
                    self._pool(design, score)
            searcher.tell(designs, scores)
            idle = idle + 1 if self.evaluator.solved["coarse"] == before else 0
            if idle > 200 or self.state.reached >= _ENOUGH:
                return

    def _pool(self, design: Design, score: Score) -> None:
        state = self.state
        if score.margin_db >= self.spec.margin_db + _SURPLUS_DB:
            state.reached += 1
        state.pool.append((score.guide_db, design))
        if len(state.pool) > 2 * _POOL:
            state.pool = sorted(state.pool, key=lambda row: -row[0])[:_POOL]

    def _fine(self, until: int) -> None:
        """Solve the best coarse designs and climb from them, until `until` solves are spent."""
        chosen: list[Design] = []
        for _, design in sorted(self.state.pool, key=lambda row: -row[0]):
            if self.evaluator.solved["fine"] + len(chosen) >= until:
                break
            if len(chosen) == _CLIMBED or self.evaluator.known(design, "fine"):
                continue
            if all(_distance(design, other) >= _APART for other in chosen):
                chosen.append(design)
        for design in chosen:
            # The first design is solved though time is over: it is the search's best.
            if self._time_over() and self.evaluator.solved["fine"] > self._opened:
                return
            began = self.evaluator.solved["fine"]
            left = until - began
            climbs = left > 2 and self._searching_s() > _CLIMB_SOLVES * self._fine_s
            if climbs and Neighbourhood.fits(self.evaluator, "fine"):
                if self._near is None:
                    self._near = Neighbourhood(self.evaluator, "fine")
                goal = self.spec.margin_db + _SAFE_DB
                design = self._climb(self._near, design, goal, most=left - 2)
            self.solve_fine(design, self.spec.search.value)
            if self._reached() or self.evaluator.solved["fine"] >= until:
                return

    def _climb(
        self, near: Neighbourhood, start: Design, goal_db: float, most: int = _STEPS
    ) -> Design:
        """Return the best design of a tabu walk by the fine solver that starts at `start`.

        Each step counts as a fine solve: it costs less than one.
        """
        walk = Tabu(near, self._layouts, self._rng)
        walk.begin(start, -np.inf)
        self.evaluator.solved["fine"] += 1
        margins, guides = near.guides([start])
        walk.best_db = float(guides[0])
        best = float(guides[0]), float(margins[0]), start
        for _ in range(min(most, _STEPS)):
            if best[1] >= goal_db or walk.idle >= _IDLE or self._time_over():
                break
            proposed = walk.step()
            if not proposed:
                break
            design, margin, guide = proposed[0]
            walk.take(design, guide)
            self.evaluator.solved["fine"] += 1
            if guide > best[0]:
                best = guide, margin, design
        return best[2]

    def solve_fine(self, design: Design, source: str) -> None:
        """Sweep one design by the fine solver, and report it when it is the best so far."""
        if self.evaluator.known(design, "fine"):
            return
        began = time.monotonic()
        score = self.evaluator.score(design, "fine")
        response = self.evaluator.newest
        self._fine_s = time.monotonic() - began
        state = self.state
        state.finalists.append(
            Finalist(
                margin_db=score.margin_db, design=design, score=score, response=response
            )
        )
        state.finalists.sort(key=lambda row: -row.margin_db)
        objective = min(score.margin_db, self.spec.margin_db)
        if objective > state.reported_db:
            state.reported_db = objective
            solution = AntennaSolution(design=design, objective_db=objective)
            self._on_incumbent(
                Incumbent(
                    elapsed_s=0.0,
                    objective=objective,
                    source=source,
                    pictures=live_pictures(self.problem, design, response),
                ),
                lambda: solution,
            )

    def _reached(self) -> bool:
        """Return whether a design has the full margin."""
        return any(row.margin_db >= self.spec.margin_db for row in self.state.finalists)

    def _coarse_over(self) -> bool:
        """Return whether only the fine solves of the best designs are left to do."""
        fine = min(_LAST_FINE, self._fine_solves - self.evaluator.solved["fine"])
        needed_s = min(fine * self._fine_s, self._half_s)
        return self._stop(None) or self._searching_s() <= needed_s

    def _searching_s(self) -> float:
        """Return the seconds left for the search itself."""
        return self._stop.remaining_s() - self._reserve_s

    def _time_over(self) -> bool:
        return self._searching_s() <= 0


def _reserve_s(problem: AntennaProblem, left_s: float) -> float:
    """Return the seconds that check and files need after the search."""
    if not np.isfinite(left_s):
        return 0.0
    reserve = _files_s(left_s)
    if problem.spec.verify_runs:
        try:
            find_openems()
        except OpenEmsMissing:
            return reserve
        reserve += min(_OPENEMS_SHARE * left_s, _OPENEMS_MOST_S)
    return reserve


def _files_s(left_s: float) -> float:
    """Return the seconds that files need after the search."""
    return min(_FILES_SHARE * left_s, _FILES_MOST_S)


def _distance(a: Design, b: Design) -> int:
    posts = {a.feed, *a.vias} ^ {b.feed, *b.vias}
    return int((a.mask ^ b.mask).sum()) + _APART * bool(posts)
