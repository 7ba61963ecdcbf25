"""`python -m workers.bench ilp`: our pipeline beside SCIP, HiGHS and CP-SAT on the same two cores, one after another.

Every method runs in a process of its own, from reading the file to its limit; its clock starts before the file is read. The
methods take turns on each instance, so that a slow hour of the machine meets all. Best known is the best over all methods
(and the catalogue's optimum where there is one). Primal gap and primal integral as in search.trace (Berthold 2013).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.trace import primal_gap, primal_integral
from trimtab.results import Incumbent
from workers.bench import generators, instances
from workers.bench.stats import machine

# name → (engine of solvers.table or None for ours, threads). CP-SAT has no LNS below 8 workers (ilp.md, finding 10).
METHODS: dict[str, tuple[str | None, int]] = {
    "trimtab": (None, 2),
    "scip": ("scip", 1),
    "highs": ("highs", 2),
    "cp-sat": ("cp-sat", 8),
}
REAL = ("fast0507", "air05", "p2756", "mkc", "swath", "10teams", "gt2", "qnet1")


def run_one(method: str, file: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Run one method in this process; its trace, bound and how it ended. Objectives in the owner's sense."""
    began = time.monotonic()
    trace: list[tuple[float, float]] = []
    engine, threads = METHODS[method]
    if engine is None:
        from search import pipeline
        from search.domains.ilp import build
        from search.stop import from_budget
        from trimtab.specs.common import ArtifactRef
        from trimtab.specs.ilp import IlpSpec

        def on_incumbent(point: Incumbent) -> None:
            if point.objective is not None and (not trace or trace[-1][1] != point.objective):
                trace.append((time.monotonic() - began, point.objective))

        spec = IlpSpec(model=ArtifactRef(digest="sha256:" + "0" * 64, name=file.name))
        stop = from_budget({"seconds": seconds}, threading.Event())
        with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as workdir:
            result = pipeline.run(
                build(),
                spec,
                inputs={"model": file},
                workdir=Path(workdir),
                stop=stop,
                seed=seed,
                on_incumbent=on_incumbent,
            ).result
        return {
            "trace": trace,
            "bound": result.bound,
            "sense": result.sense,
            "reason": result.termination.reason.value,
            "verified": result.verification.status.value,
            "exactly_feasible": result.verification.checks.get("exactly_feasible"),
            "summary": result.summary,
            "seconds": time.monotonic() - began,
        }
    from solvers.read import read_model
    from solvers.table import make_solver
    from solvers.types import SolveParams

    model = read_model(file)

    def found(objective: float, x: Any) -> None:
        trace.append((time.monotonic() - began, model.in_user_sense(objective)))

    solver = make_solver(engine)
    why_not = solver.why_not(model)
    sense = "maximize" if model.maximize else "minimize"
    if why_not is not None:
        return {"trace": [], "bound": None, "sense": sense, "reason": "unsupported", "detail": why_not, "seconds": 0.0}
    left = max(0.1, seconds - (time.monotonic() - began))
    outcome = solver.solve(
        model, SolveParams(time_limit_s=left, threads=threads, seed=seed, relative_gap=1e-6), on_incumbent=found
    )
    bound = outcome.dual_bound
    return {
        "trace": trace,
        "bound": None if bound is None or not math.isfinite(bound) else model.in_user_sense(bound),
        "sense": sense,
        "reason": outcome.termination.reason.value,
        "seconds": time.monotonic() - began,
    }


def _in_own_process(method: str, file: Path, seconds: float, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "workers.bench.ilp", "--one", method, str(file), str(seconds), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * seconds + 120)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return {"trace": [], "bound": None, "reason": "crashed", "detail": done.stderr[-500:], "seconds": seconds}
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def _files(given: argparse.Namespace, folder: Path) -> list[tuple[str, Path]]:
    files = []
    for size in given.sizes:
        rows, columns = generators.SIZES[size]
        for seed in range(given.first_seed, given.first_seed + given.instances):
            path = folder / f"{size.replace('/', '_')}-seed{seed}.mps"
            generators.write_mps(generators.set_cover(rows, columns, seed=seed), path)
            files.append((f"{size} seed {seed}", path))
    if given.real:
        files += [(path.name, path) for path in instances.fetch(list(given.real))]
    return files


def main(argv: list[str]) -> int:
    """Run the protocol."""
    if argv[:1] == ["--one"]:
        print(json.dumps(run_one(argv[1], Path(argv[2]), float(argv[3]), int(argv[4]))))
        return 0
    parser = argparse.ArgumentParser(prog="python -m workers.bench ilp", description=__doc__)
    parser.add_argument("--sizes", nargs="*", choices=sorted(generators.SIZES), default=["SC/5", "SC-S"])
    parser.add_argument("--instances", type=int, default=3, help="of each size")
    parser.add_argument("--first-seed", type=int, default=1000, help="held out: nothing was tuned on seeds >= 1000")
    parser.add_argument("--real", nargs="*", default=[], help=f"names, e.g. {' '.join(REAL)}")
    parser.add_argument("--methods", nargs="*", choices=sorted(METHODS), default=list(METHODS))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scale", type=float, default=1.0, help="of --seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results") / "ilp.jsonl")
    given = parser.parse_args(argv)
    seconds = max(1.0, given.seconds * given.scale)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    integrals: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch:
        for name, file in _files(given, Path(scratch)):
            runs = {method: _in_own_process(method, file, seconds, given.seed) for method in given.methods}
            group = name.split(" seed ")[0]
            for method, row in _rows(name, runs, seconds).items():
                line = {"suite": "ilp", "instance": name, "method": method, "seconds": seconds, "seed": given.seed}
                with given.out.open("a") as out:
                    out.write(json.dumps(line | row | {"machine": machine()}) + "\n")
                integrals.setdefault(group, {}).setdefault(method, []).append(row["primal_integral"])
                print(_line(name, method, row), flush=True)
    _summary(integrals)
    return 0


def _rows(name: str, runs: dict[str, dict[str, Any]], seconds: float) -> dict[str, dict[str, Any]]:
    maximise = any(run.get("sense") == "maximize" for run in runs.values())
    finals = [run["trace"][-1][1] for run in runs.values() if run["trace"]]
    optimum = instances.OPTIMA.get(name.partition(".")[0])
    known = finals + ([optimum] if optimum is not None else [])
    best = (max(known) if maximise else min(known)) if known else None
    rows = {}
    for method, run in runs.items():
        points = [Incumbent(elapsed_s=t, objective=o) for t, o in run["trace"]]
        final = points[-1].objective if points else None
        rows[method] = {
            "objective": final,
            "bound": run["bound"],
            "reason": run["reason"],
            "first_solution_s": round(points[0].elapsed_s, 3) if points else None,
            "primal_gap": None if best is None else round(primal_gap(final, best), 6),
            "primal_integral": round(primal_integral(points, best=best, until_s=seconds), 3),
            "best_known": best,
            "took_s": round(run["seconds"], 2),
            **_some(run, "verified", "exactly_feasible", "summary", "detail"),
            "trace": [(round(t, 3), o) for t, o in run["trace"]][-200:],
        }
    return rows


def _some(run: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: run[key] for key in keys if key in run}


def _line(name: str, method: str, row: dict[str, Any]) -> str:
    shown = "none" if row["objective"] is None else f"{row['objective']:.10g}"
    bound = "none" if row["bound"] is None else f"{row['bound']:.6g}"
    return (
        f"{name:24s} {method:8s} objective {shown:>12s}  bound {bound:>10s}  gap {row['primal_gap']}  "
        f"PI {row['primal_integral']:8.3f} s  {row['reason']} {row.get('verified', '')}"
    )


def _summary(integrals: dict[str, dict[str, list[float]]]) -> None:
    print("\nmean primal integral, seconds; ratio ours/theirs of paired runs with a 95 % bootstrap interval")
    for group, by_method in integrals.items():
        ours = by_method.get("trimtab")
        for method, values in by_method.items():
            text = f"{group:14s} {method:8s} {statistics.fmean(values):9.3f}"
            if ours and method != "trimtab" and len(ours) == len(values):
                low, high = _bootstrap(ours, values)
                ratio = math.fsum(ours) / max(1e-9, math.fsum(values))
                text += f"   ratio {ratio:.3f} [{low:.3f}, {high:.3f}]"
            print(text)


def _bootstrap(ours: Sequence[float], theirs: Sequence[float], *, draws: int = 2000) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    a, b = np.array(ours), np.array(theirs)
    picks = rng.integers(len(a), size=(draws, len(a)))
    ratios = a[picks].sum(axis=1) / np.maximum(1e-9, b[picks].sum(axis=1))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
