"""Process of the solution pool: solve for one further solution after the other.

The next best solution is the optimum of the model with rows that keep it apart from each solution
so far (`search.domains.ilp.search.apart`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.domains.ilp.search.apart import apart
from search.domains.ilp.search.state import ABSOLUTE_GAP, PROOF_GAP
from search.isolation import Say
from solvers.table import make_solver
from solvers.types import Floats, MilpModel, SolveParams
from trimtab.results import Reason
from trimtab.specs.ilp import PoolOptions


@dataclass(frozen=True, kw_only=True)
class Further:
    """Engine and limits of the solves for further solutions."""

    engine: str
    threads: int
    seed: int
    seconds: float
    cutoff: float | None = None  # in the minimised sense


def further_solutions(
    model: MilpModel,
    best: Floats,
    *,
    bounds: tuple[Floats, Floats],
    options: PoolOptions,
    further: Further,
    folder: Path,
) -> Callable[[Say], None]:
    """Return the work of the pool's process: solve for one further solution after the other.

    best, bounds: (n,), in the units of `model`. Points are left as files in `folder`.
    """

    def work(say: Say) -> None:
        until = time.monotonic() + further.seconds
        larger, newest = model, best
        for number in range(1, options.size):
            larger = apart(larger, [newest], bounds, options.distance)
            params = SolveParams(
                time_limit_s=max(0.01, until - time.monotonic()),
                threads=further.threads,
                seed=further.seed,
                relative_gap=PROOF_GAP,
                absolute_gap=ABSOLUTE_GAP,
                cutoff=further.cutoff,
            )
            result = make_solver(further.engine).solve(larger, params)
            ended = result.termination
            if ended.reason is Reason.INFEASIBLE:
                say({"complete": True})
                return
            if ended.reason is not Reason.OPTIMAL or result.x is None:
                say({"ended": ended.detail or ended.reason.value})
                return
            newest = result.x[: model.n]
            name = f"pool-{number}.npy"
            np.save(folder / name, newest)
            say({"point": name})

    return work
