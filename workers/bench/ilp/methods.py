"""Methods to compare, each in a process of its own.

Command: `python -m workers.bench.ilp.methods METHOD FILE SECONDS SEED`.

Libraries are imported before the clock starts, for all methods alike; reading the file counts. The
other solvers read with HiGHS' reader alone, trimtab with both of its readers. OR-Tools' set cover
heuristics get the model as we read it.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from search import pipeline
from search.domains.ilp import build
from search.lns.structure import is_set_cover
from search.stop import from_budget
from solvers.read import ReadLimits, read_model
from solvers.table import make_solver
from solvers.types import SolveParams
from trimtab.results import Incumbent
from trimtab.specs.common import ArtifactRef
from trimtab.specs.ilp import IlpSpec, LnsOptions, Neighbourhood
from workers.bench.ilp.cpu import tree_cpu_s

_DEFAULT = LnsOptions().neighbourhoods

# trimtab with these arms beside HiGHS on the whole problem.
OURS: dict[str, tuple[Neighbourhood, ...]] = {
    "trimtab": _DEFAULT,
    "trimtab-without-learned": tuple(
        arm for arm in Neighbourhood if arm is not Neighbourhood.CL_LNS
    ),
    "random-lns": (Neighbourhood.RANDOM,),
    **{f"arm:{arm.value}": (arm,) for arm in Neighbourhood},
}
# Engine, threads, aggressive heuristics. CP-SAT has no LNS below 8 workers.
THEIRS: dict[str, tuple[str, int, bool]] = {
    "highs": ("highs", 2, False),
    "scip": ("scip", 1, False),
    "scip-aggressive": ("scip", 1, True),
    "cp-sat": ("cp-sat", 8, False),
}
SET_COVER = "or-tools-set-cover"
_GUIDED_STEPS = 200  # of guided local search between two readings of the clock
METHODS = (*OURS, *THEIRS, SET_COVER)

Trace = list[tuple[float, float]]


def run_one(method: str, file: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Return trace, bound and termination of one run; objectives in the sense of the file."""
    before_s = tree_cpu_s()
    if method in OURS:
        run = _ours(OURS[method], file, seconds, seed)
    elif method == SET_COVER:
        run = _set_cover(file, seconds)
    else:
        run = _theirs(method, file, seconds, seed)
    run["cpu_trace"] = [at - before_s for at in run.get("cpu_trace", [])]
    return run | {"cpu_s": tree_cpu_s() - before_s}


def _ours(
    arms: tuple[Neighbourhood, ...], file: Path, seconds: float, seed: int
) -> dict[str, Any]:
    began = time.monotonic()
    trace: Trace = []
    cpu_trace: list[float] = []

    def on_incumbent(point: Incumbent) -> None:
        if point.objective is not None and (not trace or trace[-1][1] != point.objective):
            trace.append((time.monotonic() - began, point.objective))
            cpu_trace.append(tree_cpu_s())

    spec = IlpSpec(
        model=ArtifactRef(digest="sha256:" + "0" * 64, name=file.name),
        lns=LnsOptions(neighbourhoods=arms),
    )
    stop = from_budget({"seconds": seconds}, threading.Event())
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as workdir:
        result = pipeline.run(
            build(),
            spec,
            inputs={"model": file},
            workdir=Path(workdir),
            stop=stop,
            seed=seed,
            callbacks=pipeline.Callbacks(on_incumbent=on_incumbent),
        ).result
    return {
        "trace": trace,
        "cpu_trace": cpu_trace,
        "bound": result.bound,
        "sense": result.sense,
        "reason": result.termination.reason.value,
        "verified": result.verification.status.value,
        "exactly_feasible": result.verification.checks.get("exactly_feasible"),
        "summary": result.summary,
        "seconds": time.monotonic() - began,
    }


def _theirs(method: str, file: Path, seconds: float, seed: int) -> dict[str, Any]:
    engine, threads, aggressive = THEIRS[method]
    began = time.monotonic()
    trace: Trace = []
    cpu_trace: list[float] = []
    model = read_model(file, limits=ReadLimits(compared_bytes=0))
    sense = "maximize" if model.maximize else "minimize"

    def on_incumbent(objective: float, x: Any) -> None:
        trace.append((time.monotonic() - began, model.in_user_sense(objective)))
        cpu_trace.append(tree_cpu_s())

    solver = make_solver(engine)
    why_not = solver.why_not(model)
    if why_not is not None:
        return {
            "trace": [],
            "bound": None,
            "sense": sense,
            "reason": "unsupported",
            "detail": why_not,
            "seconds": 0.0,
        }
    left = max(0.1, seconds - (time.monotonic() - began))
    params = SolveParams(
        time_limit_s=left,
        threads=threads,
        seed=seed,
        relative_gap=1e-6,
        aggressive=aggressive,
    )
    outcome = solver.solve(model, params, on_incumbent=on_incumbent)
    bound = outcome.dual_bound
    return {
        "trace": trace,
        "cpu_trace": cpu_trace,
        "bound": None
        if bound is None or not math.isfinite(bound)
        else model.in_user_sense(bound),
        "sense": sense,
        "reason": outcome.termination.reason.value,
        "seconds": time.monotonic() - began,
    }


def _set_cover(file: Path, seconds: float) -> dict[str, Any]:
    """Run OR-Tools' greedy and steepest search, then guided local search."""
    from ortools.set_cover.python import set_cover

    began = time.monotonic()
    model = read_model(file, limits=ReadLimits(compared_bytes=0))
    if not is_set_cover(model):
        return {
            "trace": [],
            "bound": None,
            "sense": "minimize",
            "reason": "unsupported",
            "seconds": 0.0,
        }
    trace: Trace = []
    cover = set_cover.SetCoverModel()
    by_column = model.matrix.tocsc()
    for j in range(model.n):
        cover.add_empty_subset(float(model.c[j]))
        for i in by_column.indices[
            by_column.indptr[j] : by_column.indptr[j + 1]
        ].tolist():
            cover.add_element_to_last_subset(i)
    invariant = set_cover.SetCoverInvariant(cover)

    def record() -> None:
        if invariant.num_uncovered_elements() > 0:
            return  # guided local search visits partial covers, which are no solutions
        value = invariant.cost() + model.offset
        if not trace or value < trace[-1][1] - 1e-9:
            trace.append((time.monotonic() - began, value))

    set_cover.GreedySolutionGenerator(invariant).next_solution()
    record()
    set_cover.SteepestSearch(invariant).next_solution()
    record()
    guided = set_cover.GuidedLocalSearch(invariant)
    guided.initialize()
    guided.set_max_iterations(_GUIDED_STEPS)
    while time.monotonic() - began < seconds and guided.next_solution():
        record()
    return {
        "trace": trace,
        "bound": None,
        "sense": "minimize",
        "reason": "feasible",
        "seconds": time.monotonic() - began,
    }


def preload() -> None:
    """Import what a method would import late.

    No solver runs: trimtab forks, and threads do not survive a fork.
    """
    import scipy.sparse  # noqa: F401

    for engine in ("highs", "scip", "cp-sat"):
        make_solver(engine)


def main(argv: list[str]) -> int:
    """Run one method; print its result as a JSON line."""
    preload()
    print(json.dumps(run_one(argv[0], Path(argv[1]), float(argv[2]), int(argv[3]))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
