"""`python -m workers.bench ilp`: primal integrals of trimtab and other solvers.

Methods take turns on each instance, so that a slow hour of the machine affects all of them. Best
known is the best over all methods of the run and all earlier lines of the output file, and the
catalogue's optimum. Instances of families are held out: training uses seeds below 500, tuning
used seeds 501 and 502, measurements begin at 1000. `python -m workers.bench ilp families` measures
policies that are fitted to a family of mixed programs (workers.bench.ilp.families),
`python -m workers.bench ilp arms` each arm alone and the portfolio (workers.bench.ilp.arms).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from workers.bench import instances
from workers.bench.ilp import arms, conditions, families, report
from workers.bench.ilp.memory import PeakMemory
from workers.bench.ilp.methods import METHODS, SET_COVER
from workers.bench.ilp.report import Run
from workers.bench.lines import earlier_lines
from workers.bench.stats import machine
from workers.corpus import integer_programs

DEFAULT = (
    "trimtab",
    "trimtab-without-learned",
    "random-lns",
    "highs",
    "scip",
    "scip-aggressive",
    "cp-sat",
    SET_COVER,
)

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = ((),)


def main(argv: list[str]) -> int:
    """Run the protocol, or print the report of earlier output files."""
    if argv[:1] == ["families"]:
        return families.main(argv[1:])
    if argv[:1] == ["arms"]:
        return arms.main(argv[1:])
    options = _parser().parse_args(argv)
    if options.condition:
        return conditions.main(options)
    if options.report:
        report.print_all(*report.read(options.report), options.out)
        return 0
    seconds = max(1.0, options.seconds * options.scale)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    earlier = _earlier(options.out, seconds, options.seed)
    groups: report.Groups = {}
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch:
        for group, name, file in _files(options, Path(scratch)):
            runs = _run_methods(group, name, file, seconds, options, earlier)
            others = [run for (instance, _), run in earlier.items() if instance == name]
            report.measure(name, runs, others, seconds)
            groups.setdefault(group, {})[name] = runs
            for method, run in runs.items():
                print(report.line(name, method, run), flush=True)
    report.print_all(groups, seconds, options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench ilp", description=__doc__
    )
    families = sorted(integer_programs.FAMILIES)
    parser.add_argument("--families", nargs="*", choices=families, default=families)
    parser.add_argument(
        "--sizes", nargs="*", choices=["1/5", "S", "L"], default=["1/5", "S"]
    )
    parser.add_argument(
        "--instances", type=int, default=5, help="of each family and size"
    )
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument(
        "--real", nargs="*", help="names of real files; without names all 61"
    )
    parser.add_argument(
        "--condition",
        nargs="+",
        choices=conditions.CONDITIONS,
        help="measure real files alone, two at once, or beside eight busy processes",
    )
    parser.add_argument(
        "--files",
        nargs="+",
        help="with --condition: names of real files, or paths; default: a fixed list of 21",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        help="with --condition: rounds of all methods on each file",
    )
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(DEFAULT))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scale", type=float, default=1.0, help="of --seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results") / "ilp.jsonl")
    parser.add_argument(
        "--report",
        type=Path,
        nargs="+",
        help="run nothing: print the report of these output files together",
    )
    return parser


def _run_methods(
    group: str,
    name: str,
    file: Path,
    seconds: float,
    options: argparse.Namespace,
    earlier: dict[tuple[str, str], Run],
) -> dict[str, Run]:
    """Return the runs of all methods on one instance.

    Runs that the output file lacks are made and appended.
    """
    runs: dict[str, Run] = {}
    for method in options.methods:
        if (name, method) in earlier:
            runs[method] = earlier[(name, method)]
            continue
        runs[method] = _in_own_process(method, file, seconds, options.seed)
        line = {
            "suite": "ilp",
            "group": group,
            "instance": name,
            "method": method,
            "limit": seconds,
            "seed": options.seed,
            "machine": machine(),
            **runs[method],
        }
        with options.out.open("a") as out:
            out.write(json.dumps(line) + "\n")
    return runs


def _files(options: argparse.Namespace, folder: Path) -> list[tuple[str, str, Path]]:
    """Return (group, instance, file) of all instances; families are generated in `folder`."""
    if options.real is not None:
        return [("real", path.name, path) for path in instances.fetch(list(options.real))]
    seeds = range(options.first_seed, options.first_seed + options.instances)
    files = []
    for family, size, seed in itertools.product(options.families, options.sizes, seeds):
        path = folder / f"{family}-{size.replace('/', '_')}-{seed}.mps"
        integer_programs.write_mps(integer_programs.generate(family, size, seed), path)
        files.append((f"{family} {size}", f"{family} {size} seed {seed}", path))
    return files


def _earlier(out: Path, seconds: float, seed: int) -> dict[tuple[str, str], Run]:
    """Return the runs in the output file with this limit and seed, to resume from."""
    return {
        (row["instance"], row["method"]): row
        for row in earlier_lines(out)
        if row["limit"] == seconds and row["seed"] == seed
    }


def _in_own_process(method: str, file: Path, seconds: float, seed: int) -> Run:
    command = [sys.executable, "-m", "workers.bench.ilp.methods", method, str(file)]
    command += [str(seconds), str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=environment
    ) as process:
        try:
            with PeakMemory(process.pid) as memory:
                out, error = process.communicate(timeout=2 * seconds + 120)
        except subprocess.TimeoutExpired:
            process.kill()
            return {
                "trace": [],
                "bound": None,
                "reason": "hung",
                "seconds": 2 * seconds + 120,
            }
    lines = out.strip().splitlines()
    if process.returncode != 0 or not lines:
        return {
            "trace": [],
            "bound": None,
            "reason": "crashed",
            "detail": error[-500:],
            "seconds": seconds,
        }
    run: Run = json.loads(lines[-1])
    run["peak_bytes"] = memory.peak_bytes
    run["trace"] = [(round(at, 3), objective) for at, objective in run["trace"]]
    return run


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
