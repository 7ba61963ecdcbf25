"""`python -m workers.bench ilp`: methods take turns on each instance, so that a slow hour of the machine meets all.

Best known is the best over all methods of the run and every earlier line of the output file (and the catalogue's optimum).
Instances of families are held out: training uses seeds below 500, tuning used seeds 501 and 502, measurements begin at 1000.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from search.picture import step_curves
from workers import generators
from workers.bench import instances
from workers.bench.ilp import metrics
from workers.bench.ilp.methods import METHODS, SET_COVER
from workers.bench.stats import machine

DEFAULT = ("trimtab", "trimtab-without-learned", "random-lns", "highs", "scip", "scip-aggressive", "cp-sat", SET_COVER)
SOLVERS = ("highs", "scip", "scip-aggressive", "cp-sat", SET_COVER)  # single solvers a user would call
Run = dict[str, Any]


def main(argv: list[str]) -> int:
    """Run the protocol."""
    parser = argparse.ArgumentParser(prog="python -m workers.bench ilp", description=__doc__)
    parser.add_argument(
        "--families", nargs="*", choices=sorted(generators.FAMILIES), default=sorted(generators.FAMILIES)
    )
    parser.add_argument("--sizes", nargs="*", choices=["1/5", "S", "L"], default=["1/5", "S"])
    parser.add_argument("--instances", type=int, default=5, help="of each family and size")
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--real", nargs="*", default=None, help="names of real files; none given: all 61")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(DEFAULT))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scale", type=float, default=1.0, help="of --seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results") / "ilp.jsonl")
    given = parser.parse_args(argv)
    seconds = max(1.0, given.seconds * given.scale)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    done = _earlier(given.out, seconds, given.seed)
    groups: dict[str, list[dict[str, Run]]] = {}
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch:
        for group, name, file in _files(given, Path(scratch)):
            runs: dict[str, Run] = {}
            for method in given.methods:
                run = done.get((name, method)) or _in_own_process(method, file, seconds, given.seed)
                runs[method] = run
                if (name, method) not in done:
                    line = {"suite": "ilp", "group": group, "instance": name, "method": method, "limit": seconds}
                    with given.out.open("a") as out:
                        out.write(json.dumps(line | {"seed": given.seed, "machine": machine()} | run) + "\n")
            known = [r for (other, _), r in done.items() if other == name]
            _measure(name, runs, known, seconds)
            groups.setdefault(group, []).append(runs)
            for method, run in runs.items():
                print(_line(name, method, run), flush=True)
    for group, rows in groups.items():
        _summary(group, rows, seconds)
        picture = given.out.with_name(f"ilp-{group.replace('/', '_')}.svg")
        picture.write_text(_picture(group, rows, seconds))
    return 0


def _files(given: argparse.Namespace, folder: Path) -> list[tuple[str, str, Path]]:
    if given.real is not None:
        return [("real", path.name, path) for path in instances.fetch(list(given.real))]
    files = []
    for family in given.families:
        for size in given.sizes:
            for seed in range(given.first_seed, given.first_seed + given.instances):
                path = folder / f"{family}-{size.replace('/', '_')}-{seed}.mps"
                generators.write_mps(generators.generate(family, size, seed), path)
                files.append((f"{family} {size}", f"{family} {size} seed {seed}", path))
    return files


def _earlier(out: Path, seconds: float, seed: int) -> dict[tuple[str, str], Run]:
    """Runs of the same limit and seed that the file has: a broken-off measurement goes on where it was."""
    found = {}
    for line in out.read_text().splitlines() if out.is_file() else ():
        row = json.loads(line)
        if row["limit"] == seconds and row["seed"] == seed:
            found[(row["instance"], row["method"])] = row
    return found


def _in_own_process(method: str, file: Path, seconds: float, seed: int) -> Run:
    command = [sys.executable, "-m", "workers.bench.ilp.methods", method, str(file), str(seconds), str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=2 * seconds + 120, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"trace": [], "bound": None, "reason": "hung", "seconds": 2 * seconds + 120}
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return {"trace": [], "bound": None, "reason": "crashed", "detail": done.stderr[-500:], "seconds": seconds}
    told: Run = json.loads(lines[-1])
    told["trace"] = [(round(at, 3), objective) for at, objective in told["trace"]]
    return told


def _measure(name: str, runs: dict[str, Run], earlier: Sequence[Run], seconds: float) -> None:
    maximise = any(run.get("sense") == "maximize" for run in runs.values())
    known = [run["trace"][-1][1] for run in [*runs.values(), *earlier] if run["trace"]]
    optimum = instances.OPTIMA.get(name.partition(".")[0])
    known += [optimum] if optimum is not None else []
    best = (max(known) if maximise else min(known)) if known else None
    for run in runs.values():
        run["best_known"] = best
        run["gap"] = 1.0 if best is None else metrics.gap_at(run["trace"], best, seconds)
        run["integral"] = metrics.integral(run["trace"], best, seconds)


def _line(name: str, method: str, run: Run) -> str:
    shown = f"{run['trace'][-1][1]:.10g}" if run["trace"] else "none"
    first = f"{run['trace'][0][0]:.2f}" if run["trace"] else "-"
    return (
        f"{name:30s} {method:24s} first {first:>6s} s  final {shown:>14s}  gap {run['gap']:.5f}  "
        f"PI {run['integral']:8.3f} s  {run['reason']} {run.get('verified', '')}"
    )


def _summary(group: str, rows: list[dict[str, Run]], seconds: float) -> None:
    methods = [m for m in rows[0] if any(row[m]["reason"] != "unsupported" for row in rows)]
    integrals = {m: [row[m]["integral"] for row in rows] for m in methods}
    gaps = {m: [row[m]["gap"] for row in rows] for m in methods}
    rate = metrics.best_performing_rate(gaps)
    print(
        f"\n{group}: {len(rows)} instances, {seconds:g} s. PI: primal integral, s; ratio: ours / theirs, 95 % interval"
    )
    for method in methods:
        text = (
            f"  {method:24s} PI mean {statistics.fmean(integrals[method]):8.3f}  geo (+1 s) "
            f"{metrics.geometric_mean(integrals[method], shift=1.0):8.3f}  best {rate[method]:4.0%}  "
            f"survival 1% {metrics.survival_rate(gaps[method], 0.01):4.0%}  "
            f"0.1% {metrics.survival_rate(gaps[method], 0.001):4.0%}"
        )
        if method != "trimtab" and "trimtab" in integrals:
            ratio, low, high = metrics.ratio_of_means(integrals["trimtab"], integrals[method])
            text += f"  ratio {ratio:.3f} [{low:.3f}, {high:.3f}]"
        print(text)
    singles = [m for m in methods if m in SOLVERS]
    if singles and "trimtab" in integrals:
        best = min(singles, key=lambda m: statistics.fmean(integrals[m]))
        print(
            f"  best single solver: {best}; ours / it {metrics.ratio_of_means(integrals['trimtab'], integrals[best])[0]:.3f}"
        )


def _picture(group: str, rows: list[dict[str, Run]], seconds: float) -> str:
    """Mean primal gap over time, of each method."""
    curves = {}
    for method in rows[0]:
        if all(row[method]["reason"] == "unsupported" for row in rows):
            continue
        times = sorted({0.0, seconds, *(at for row in rows for at, _ in row[method]["trace"] if at <= seconds)})
        curves[method] = [
            (
                at,
                statistics.fmean(
                    metrics.gap_at(row[method]["trace"], row[method]["best_known"] or 0.0, at) for row in rows
                ),
            )
            for at in times
        ]
    return step_curves(
        curves, until=seconds, title=f"{group}: mean primal gap", y_label="primal gap", limits=(0.0, 0.05)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
