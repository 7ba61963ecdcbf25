"""The methods, each run in a process of its own: `python -m workers.bench.ilp.methods METHOD FILE SECONDS SEED`.

Libraries are imported before the clock starts, for all alike; reading the file counts. Solvers read with HiGHS' reader alone,
ours with both of its readers. OR-Tools' set cover heuristics get the model as we read it.
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

# Ours: which arms beside HiGHS on the whole problem.
OURS: dict[str, tuple[Neighbourhood, ...]] = {
    "trimtab": _DEFAULT,
    "trimtab-with-learned": tuple(Neighbourhood),
    "random-lns": (Neighbourhood.RANDOM,),
    **{f"arm:{arm.value}": (arm,) for arm in Neighbourhood},
}
# Theirs: engine, threads, aggressive heuristics. CP-SAT has no LNS below 8 workers.
THEIRS: dict[str, tuple[str, int, bool]] = {
    "highs": ("highs", 2, False),
    "scip": ("scip", 1, False),
    "scip-aggressive": ("scip", 1, True),
    "cp-sat": ("cp-sat", 8, False),
}
SET_COVER = "or-tools-set-cover"
_GUIDED_STEPS = 200  # between two looks at the clock
METHODS = (*OURS, *THEIRS, SET_COVER)

Trace = list[tuple[float, float]]


def run_one(method: str, file: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Trace, bound and how it ended; objectives in the owner's sense."""
    before_s = tree_cpu_s()
    if method in OURS:
        told = _ours(OURS[method], file, seconds, seed)
    elif method == SET_COVER:
        told = _set_cover(file, seconds)
    else:
        told = _theirs(method, file, seconds, seed)
    told["cpu_trace"] = [at - before_s for at in told.get("cpu_trace", [])]
    return told | {"cpu_s": tree_cpu_s() - before_s}


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

    def found(objective: float, x: Any) -> None:
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
    outcome = solver.solve(model, params, on_incumbent=found)
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
    """OR-Tools: greedy, steepest search, then guided local search until time is up or it has nothing left to try."""
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
        for i in by_column.indices[by_column.indptr[j] : by_column.indptr[j + 1]].tolist():
            cover.add_element_to_last_subset(i)
    invariant = set_cover.SetCoverInvariant(cover)

    def note() -> None:
        if invariant.num_uncovered_elements() > 0:
            return  # guided local search walks through states that cover not all: their cost is no solution's
        value = invariant.cost() + model.offset
        if not trace or value < trace[-1][1] - 1e-9:
            trace.append((time.monotonic() - began, value))

    set_cover.GreedySolutionGenerator(invariant).next_solution()
    note()
    set_cover.SteepestSearch(invariant).next_solution()
    note()
    guided = set_cover.GuidedLocalSearch(invariant)
    guided.initialize()
    guided.set_max_iterations(_GUIDED_STEPS)
    while time.monotonic() - began < seconds and guided.next_solution():
        note()
    return {
        "trace": trace,
        "bound": None,
        "sense": "minimize",
        "reason": "feasible",
        "seconds": time.monotonic() - began,
    }


def preload() -> None:
    """Import what a method would import late. No solver runs: ours forks, and threads do not survive that."""
    import scipy.sparse  # noqa: F401

    for engine in ("highs", "scip", "cp-sat"):
        make_solver(engine)


def main(argv: list[str]) -> int:
    """One run; a JSON line."""
    preload()
    print(json.dumps(run_one(argv[0], Path(argv[1]), float(argv[2]), int(argv[3]))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
