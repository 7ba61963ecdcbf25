"""Loop of the neighbourhood search: improvements only, limits, takeovers, intensifiers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from search.lns.arms import ArmParts, make_arms
from search.lns.deadline import Deadline
from search.lns.guide import Guide
from search.lns.intensify import make_intensifier
from search.lns.loop import LnsLoop, LnsParams
from search.lns.observer import LnsObserver, Repair
from search.lns.sub_mip import Slicer
from solvers.feasibility import is_feasible
from solvers.highs import HighsSolver
from solvers.types import Floats, MilpModel, SolveParams, SolveResult
from tests.search.models import brute_force, random_cover
from trimtab.specs.ilp import Neighbourhood
from workers.corpus import integer_programs
from workers.corpus.mixed_programs import generate


class Recorder(LnsObserver):
    """Records what the loop reports and counts its turns."""

    def __init__(self) -> None:
        self.improvements: list[tuple[float, Floats, str]] = []
        self.steps: list[Repair] = []
        self.iterations = 0
        self.elsewhere: tuple[float, Floats] | None = None
        self.late: Floats | None = None

    def on_improvement(self, objective: float, x: Floats, source: str) -> None:
        self.improvements.append((objective, x, source))

    def on_iteration(self) -> None:
        self.iterations += 1

    def on_repair(self, step: Repair) -> None:
        self.steps.append(step)

    def better_elsewhere(self, objective: float) -> tuple[float, Floats] | None:
        better = self.elsewhere
        return better if better is not None and better[0] < objective else None

    def late_start(self) -> Floats | None:
        start, self.late = self.late, None
        return start


def make_loop(
    model: MilpModel,
    observer: LnsObserver,
    stop: Callable[[], bool],
    words: Sequence[Neighbourhood] = (Neighbourhood.RANDOM, Neighbourhood.LB_RELAX),
) -> LnsLoop:
    slicer = Slicer(model)
    guide = Guide(model, deadline=Deadline(time.monotonic() + 60.0, stop=stop))
    return LnsLoop(
        guide,
        slicer=slicer,
        solver=HighsSolver(),
        arms=make_arms(words, ArmParts(guide=guide, slicer=slicer)),
        params=LnsParams(least=4),
        rng=np.random.default_rng(7),
        observer=observer,
    )


def run(model: MilpModel, steps: int, recorder: Recorder) -> LnsLoop:
    loop = make_loop(model, recorder, lambda: recorder.iterations >= steps)
    loop.run(np.ones(model.n))
    return loop


def test_it_only_improves_and_reaches_the_optimum() -> None:
    model = random_cover(9, 13, 11)
    best, _ = brute_force(model)
    recorder = Recorder()
    loop = run(model, 40, recorder)
    for objective, x, source in recorder.improvements:
        assert is_feasible(model, x)
        assert model.objective(x) == pytest.approx(objective)
        assert source in ("lns:random", "lns:lb-relax")
    objectives = [objective for objective, _, _ in recorder.improvements]
    assert objectives == sorted(objectives, reverse=True)
    assert len(set(objectives)) == len(objectives)
    assert loop.objective == pytest.approx(best)


def test_same_seed_same_run() -> None:
    model = random_cover(10, 16, 4)
    runs = []
    for _ in range(2):
        recorder = Recorder()
        run(model, 15, recorder)
        runs.append([objective for objective, _, _ in recorder.improvements])
    assert runs[0]
    assert runs[0][-1] == runs[1][-1]


def test_steps_are_reported_with_what_was_free() -> None:
    model = random_cover(10, 16, 4)
    recorder = Recorder()
    run(model, 10, recorder)
    assert recorder.steps
    for step in recorder.steps:
        assert step.arm in ("random", "lb-relax")
        if step.after is not None:
            assert step.free[np.abs(step.after - step.before) > 0.5].all()
            assert model.objective(step.after) < model.objective(step.before)


@pytest.mark.parametrize("with_arms", [True, False])
def test_exchanges_go_beside_the_arms_and_without_any(with_arms: bool) -> None:
    model = integer_programs.generate("auction", "1/5", 7)
    slicer, recorder = Slicer(model), Recorder()
    until = time.process_time() + 2.0
    guide = Guide(
        model,
        deadline=Deadline(
            time.monotonic() + 60.0, stop=lambda: time.process_time() > until
        ),
    )
    parts = ArmParts(guide=guide, slicer=slicer)
    loop = LnsLoop(
        guide,
        slicer=slicer,
        solver=HighsSolver(),
        arms=make_arms([Neighbourhood.RANDOM], parts) if with_arms else [],
        intensifier=make_intensifier(model, slicer.by_row, slicer.by_column),
        params=LnsParams(sub_mip_s=0.2),
        rng=np.random.default_rng(7),
        observer=recorder,
    )
    loop.run(np.zeros(model.n))
    assert loop.x is not None
    assert is_feasible(model, loop.x)
    assert "lns:one-swap" in {source for _, _, source in recorder.improvements}
    exchanges = loop.statistics["one-swap"]
    assert exchanges.calls > 0
    if with_arms:
        assert exchanges.seconds < 1.5 * loop.statistics["random"].seconds
        assert "one-swap" not in loop._bandit.arms, "it does not compete with them"


class Fruitless:
    """An intensifier beside the arms that uses its time and gains nothing."""

    name, competes = "one-swap", False

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.loop: LnsLoop | None = None

    def improve(
        self, x: np.ndarray, seconds: float, rng: np.random.Generator, on_better: object
    ) -> np.ndarray:
        if self.loop is not None:
            self.shares.append(self.loop._share)
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
        return x


def test_an_intensifier_that_gains_nothing_fades_to_its_least_share() -> None:
    model = integer_programs.generate("auction", "1/5", 7)
    slicer, recorder = Slicer(model), Recorder()
    intensifier = Fruitless()
    params = LnsParams(sub_mip_s=0.2, intensify_half_s=0.1, least_intensify_share=0.25)
    until = time.process_time() + 2.0
    guide = Guide(
        model,
        deadline=Deadline(
            time.monotonic() + 60.0, stop=lambda: time.process_time() > until
        ),
    )
    loop = intensifier.loop = LnsLoop(
        guide,
        slicer=slicer,
        solver=HighsSolver(),
        arms=make_arms([Neighbourhood.RANDOM], ArmParts(guide=guide, slicer=slicer)),
        intensifier=intensifier,
        params=params,
        rng=np.random.default_rng(7),
        observer=recorder,
    )
    loop.run(np.zeros(model.n))
    assert intensifier.shares[0] == params.intensify_share
    assert intensifier.shares[-1] == 0.25
    assert intensifier.shares == sorted(intensifier.shares, reverse=True)
    spent = loop.statistics
    assert spent["one-swap"].seconds < 0.6 * spent["random"].seconds


def test_a_gain_restores_the_share_of_an_intensifier() -> None:
    model = random_cover(8, 12, 6)
    loop = run(model, 1, Recorder())
    params = loop._params
    for _ in range(20):
        loop._adapt_share(improved=False, seconds=1.0)
    assert loop._share == params.least_intensify_share
    loop._adapt_share(improved=True, seconds=1.0)
    assert loop._share == params.intensify_share


def test_it_takes_over_better_solutions_from_elsewhere() -> None:
    model = random_cover(8, 12, 6)
    best, best_x = brute_force(model)
    assert best_x is not None
    recorder = Recorder()
    recorder.elsewhere = (best, best_x)
    loop = run(model, 1, recorder)
    assert loop.objective == best
    assert not recorder.improvements, "the rest of the run has it already"


def test_a_late_start_is_taken_if_it_is_better() -> None:
    model = random_cover(8, 12, 6)
    best, best_x = brute_force(model)
    assert best_x is not None
    recorder = Recorder()
    recorder.late = best_x
    loop = run(model, 1, recorder)
    assert loop.objective == best
    assert recorder.improvements[0][2] == "lns:lp-dive"


class SlowLp(HighsSolver):
    """HiGHS whose every solve takes a quarter of a second of processor time at least."""

    BASE_S = 0.25

    def solve(self, model: MilpModel, *args: Any, **kwargs: Any) -> SolveResult:
        began = time.process_time()
        result = super().solve(model, *args, **kwargs)
        while time.process_time() - began < self.BASE_S:
            pass
        return result


def test_sizes_leave_their_floor_where_each_lp_is_slow() -> None:
    """Ten set-ups at a time moved for 20 s where the LP took half of a sub-MIP's limit."""
    model = generate("lot-sizing", 1, size="tiny")
    found = HighsSolver().solve(model, SolveParams(time_limit_s=5, relative_gap=0.5))
    assert found.x is not None
    start = np.where(model.integrality, np.round(found.x), found.x)
    recorder = Recorder()
    slicer = Slicer(model)
    guide = Guide(model, deadline=Deadline(stop=lambda: recorder.iterations >= 3))
    loop = LnsLoop(
        guide,
        slicer=slicer,
        solver=SlowLp(),
        arms=make_arms((Neighbourhood.RANDOM,), ArmParts(guide=guide, slicer=slicer)),
        params=LnsParams(least=4),
        rng=np.random.default_rng(7),
        observer=recorder,
    )
    loop.run(start)
    assert loop.sizes["random"] > 7  # 15 % of 48 at first
    assert recorder.steps[0].free[~model.integrality].all()
