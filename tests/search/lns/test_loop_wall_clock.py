"""Limits in processor time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from search.lns.arms import ArmParts, make_arms
from search.lns.deadline import Deadline
from search.lns.guide import Guide
from search.lns.loop import LnsLoop, LnsParams
from search.lns.observer import LnsObserver
from search.lns.sub_mip import Slicer
from solvers.types import SolveParams, SolveResult
from tests.search.models import random_cover
from trimtab.results import Limit, Reason, Termination
from trimtab.specs.ilp import Neighbourhood


class Starved:
    """Solver that gets `share` of a core, and runs into its limit on the wall clock."""

    name = "starved"

    def __init__(self, share: float) -> None:
        self._share = share
        self.limits: list[float] = []
        self.used: list[float] = []

    def why_not(self, model: object) -> str | None:
        return None

    def solve(
        self, model: object, params: SolveParams, *, stop: object = None, **_: object
    ) -> SolveResult:
        assert callable(stop)
        self.limits.append(params.time_limit_s)
        began, cpu = time.monotonic(), time.process_time()
        while time.monotonic() - began < params.time_limit_s and not stop():
            burn = time.process_time() + 0.002
            while time.process_time() < burn:
                pass
            time.sleep(0.002 * (1 / self._share - 1))
        self.used.append(time.process_time() - cpu)
        return SolveResult(
            termination=Termination(reason=Reason.NO_SOLUTION_FOUND, limit=Limit.TIME),
            primal=None,
            dual_bound=None,
            x=None,
            solver=self.name,
            elapsed_s=time.monotonic() - began,
            nodes=0,
            solutions=0,
        )


def test_sub_mips_get_their_processor_time_on_a_busy_machine() -> None:
    model = random_cover(20, 40, 3)
    solver = Starved(share=0.2)
    steps = 0

    class Counter(LnsObserver):
        def on_iteration(self) -> None:
            nonlocal steps
            steps += 1

    slicer = Slicer(model)
    guide = Guide(
        model, deadline=Deadline(time.monotonic() + 60.0, stop=lambda: steps >= 8)
    )
    loop = LnsLoop(
        guide,
        slicer=slicer,
        solver=solver,
        arms=make_arms([Neighbourhood.RANDOM], ArmParts(guide=guide, slicer=slicer)),
        params=LnsParams(sub_mip_s=0.05),
        rng=np.random.default_rng(0),
        observer=Counter(),
    )
    loop.run(np.ones(model.n))
    assert solver.limits[0] == pytest.approx(0.05, rel=0.01), "nothing is known yet"
    assert solver.limits[-1] > 0.15, (
        "a fifth of a core: five times the wall clock, or nearly"
    )
    assert max(solver.used[3:]) > 0.04, "and with it nearly all of its processor time"
    assert max(solver.used) < 0.1, "but not more"
