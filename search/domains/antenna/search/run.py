"""The funnel of one search: coarse solves by a search method, fine solves, second solver."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from search.domains.antenna.design import AntennaSolution, Design
from search.domains.antenna.encode import Estimate
from search.domains.antenna.parse import AntennaProblem
from search.domains.antenna.produce.pictures import live_pictures
from search.domains.antenna.search.methods import make_searcher
from search.domains.antenna.search.score import Score
from search.domains.antenna.search.solve import Evaluator
from search.domains.antenna.search.summary import reason_of, summarise
from search.domains.antenna.verify.second_solver import (
    NOT_CHECKED,
    SecondOpinion,
    second_opinion,
)
from search.domains.antenna.verify.verdicts import Verdict
from search.stop import StoppingCriterion
from search.types import OnIncumbent, SearchOutcome
from solvers.field.openems.process import OpenEmsMissing, find_openems
from trimtab.results import Incumbent, Reason, Termination

# Coarse solves before the best designs go to the fine solver; then doubled.
_FIRST_ROUND = 40
_LAST_FINE = 8  # fine solves for which time is left after the coarse ones
_BATCH = 8  # designs asked for at once
_POOL = 200  # coarse designs that compete for a fine solve
_APART = 4  # cells in which designs of one round of fine solves differ, at least
_ENOUGH = 4  # coarse designs that reach the goal: more are not looked for in this round
_SURPLUS_DB = 0.5  # by which a coarse design must exceed the goal to count among them
# Reserved for the second solver, and for check and files.
_OPENEMS_SHARE, _OPENEMS_MOST_S = 0.4, 90.0
_FILES_SHARE, _FILES_MOST_S = 0.1, 5.0


@dataclass(kw_only=True)
class State:
    """Designs and figures that a search has collected."""

    pool: list[tuple[float, Design]] = field(default_factory=list)  # coarse guide, design
    # Fine margin.
    finalists: list[tuple[float, Design, Score]] = field(default_factory=list)
    reached: int = 0  # coarse designs of this round that exceed the goal
    opinions: list[SecondOpinion] = field(default_factory=list)
    reported_db: float = -np.inf


def run_search(
    problem: AntennaProblem,
    estimate: Estimate,
    *,
    stop: StoppingCriterion,
    rng: np.random.Generator,
    on_incumbent: OnIncumbent,
    start: AntennaSolution | None = None,
) -> SearchOutcome:
    """Return the design with the best margin by the fine solver.

    The objective is the worst margin over all requirements, at most `margin_db`: more margin than
    was asked for is no better. Ends when enough designs have it, or when the solves are spent.
    """
    funnel = _Funnel(problem, stop, rng, on_incumbent)
    if start is not None:
        funnel.solve_fine(start.design, "an earlier attempt")
    funnel.search()
    funnel.confirm()
    state = funnel.state
    limit = stop.limit
    if not state.finalists:
        detail = "no design was solved by the fine solver before the run ended"
        return SearchOutcome(
            termination=Termination(
                reason=Reason.NO_SOLUTION_FOUND, limit=limit, detail=detail
            ),
            solution=None,
            objective=None,
            bound=None,
            sense="maximize",
        )
    margin, design, score = state.finalists[0]
    objective = min(problem.spec.margin_db, margin)
    return SearchOutcome(
        termination=Termination(
            reason=Reason.COMPLETED if limit is None else Reason.FEASIBLE,
            limit=limit,
            detail=reason_of(problem, estimate, score),
        ),
        solution=AntennaSolution(design=design, objective_db=objective),
        objective=objective,
        bound=None,
        sense="maximize",
        summary=summarise(
            problem, estimate, score, funnel.evaluator.solved, state.opinions
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
    ) -> None:
        self.problem, self.spec, self._stop = problem, problem.spec, stop
        self._on_incumbent = on_incumbent
        self._searcher = make_searcher(problem.spec, rng)
        self.evaluator = Evaluator(problem)
        self.state = State()
        self._reserve_s = _reserve_s(problem, stop.remaining_s())
        self._fine_s = 0.0  # of the newest fine solve

    def search(self) -> None:
        """Alternate coarse search and fine solves; each round doubles the coarse solves."""
        rounds = [min(_FIRST_ROUND, self.spec.coarse_solves)]
        while rounds[-1] < self.spec.coarse_solves:
            rounds.append(min(2 * rounds[-1], self.spec.coarse_solves))
        for number, until in enumerate(rounds):
            self.state.reached = 0
            self._coarse(until)
            last = self._coarse_over()
            fine = round(self.spec.fine_solves * (number + 1) / len(rounds))
            self._fine(self.spec.fine_solves if last else max(1, fine))
            if last or self._reached():
                return

    def confirm(self) -> None:
        """Ask the second solver about finalists with full margin, and put a confirmed one first.

        The last of `verify_runs` is left to the check of the result.
        """
        runs = self.spec.verify_runs - 1
        full = [row for row in self.state.finalists if row[0] >= self.spec.margin_db]
        for row in full[: runs if len(full) > 1 else 0]:
            left = self._stop.remaining_s() - self._reserve_s
            opinion = second_opinion(
                self.problem,
                row[1],
                left_s=left,
                stopped=lambda: self._stop.remaining_s() <= 0,
            )
            self.state.opinions.append(opinion)
            if opinion.verdict == NOT_CHECKED:
                return
            self.state.finalists.remove(row)
            if opinion.verdict == Verdict.PASS.value:
                self.state.finalists.insert(0, row)
                return
            # Refused or shifted: behind the other designs with full margin.
            self.state.finalists.insert(len(full) - 1, row)

    def _coarse(self, until: int) -> None:
        """Let the search method spend coarse solves until `until` of them are spent."""
        idle = 0
        while self.evaluator.solved["coarse"] < until and not self._coarse_over():
            left = until - self.evaluator.solved["coarse"]
            designs = self._searcher.ask(min(_BATCH, left))
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
            self._searcher.tell(designs, scores)
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
        """Solve the best coarse designs, distinct ones first, until `until` are spent."""
        chosen: list[Design] = []
        for _, design in sorted(self.state.pool, key=lambda row: -row[0]):
            if self.evaluator.solved["fine"] + len(chosen) >= until:
                break
            if self.evaluator.known(design, "fine"):
                continue
            if all(_distance(design, other) >= _APART for other in chosen):
                chosen.append(design)
        for design in chosen:
            # The first design is solved though time is over: without it there is no answer.
            if self._time_over() and self.state.finalists:
                return
            self.solve_fine(design, self.spec.search.value)
            if self._reached():
                return

    def solve_fine(self, design: Design, source: str) -> None:
        """Solve one design by the fine solver, and report it when it is the best so far."""
        began = time.monotonic()
        known = self.evaluator.known(design, "fine")
        score = self.evaluator.score(design, "fine")
        response = None if known else self.evaluator.newest
        self._fine_s = time.monotonic() - began
        margin = score.margin_db
        state = self.state
        state.finalists.append((margin, design, score))
        state.finalists.sort(key=lambda row: -min(row[0], self.spec.margin_db))
        objective = min(margin, self.spec.margin_db)
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
        """Return whether as many designs have the full margin as can be checked."""
        full = sum(row[0] >= self.spec.margin_db for row in self.state.finalists)
        return full >= max(1, self.spec.verify_runs)

    def _coarse_over(self) -> bool:
        """Return whether only the fine solves of the best designs are left to do."""
        fine = min(_LAST_FINE, self.spec.fine_solves - self.evaluator.solved["fine"])
        left_s = self._stop.remaining_s() - self._reserve_s
        return self._stop(None) or left_s <= fine * self._fine_s

    def _time_over(self) -> bool:
        return self._stop.remaining_s() <= self._reserve_s


def _reserve_s(problem: AntennaProblem, left_s: float) -> float:
    """Return the seconds that check and files need after the search."""
    if not np.isfinite(left_s):
        return 0.0
    reserve = min(_FILES_SHARE * left_s, _FILES_MOST_S)
    if problem.spec.verify_runs:
        try:
            find_openems()
        except OpenEmsMissing:
            return reserve
        reserve += min(_OPENEMS_SHARE * left_s, _OPENEMS_MOST_S)
    return reserve


def _distance(a: Design, b: Design) -> int:
    posts = {a.feed, *a.vias} ^ {b.feed, *b.vias}
    return int((a.mask ^ b.mask).sum()) + _APART * bool(posts)
