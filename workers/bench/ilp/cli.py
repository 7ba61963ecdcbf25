"""`python -m workers.bench ilp`: methods take turns on each instance, so that a slow hour of the machine meets all.

Best known is the best over all methods of the run and every earlier line of the output file (and the catalogue's optimum).
Instances of families are held out: training uses seeds below 500, tuning used seeds 501 and 502, measurements begin at 1000.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from workers.bench import instances
from workers.bench.ilp import conditions, report
from workers.bench.ilp.memory import PeakMemory
from workers.bench.ilp.methods import METHODS, SET_COVER
from workers.bench.ilp.report import Run
from workers.bench.stats import machine
from workers.corpus import integer_programs

DEFAULT = (
    "trimtab",
    "trimtab-with-learned",
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
    """Run the protocol."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench ilp", description=__doc__
    )
    parser.add_argument(
        "--families",
        nargs="*",
        choices=sorted(integer_programs.FAMILIES),
        default=sorted(integer_programs.FAMILIES),
    )
    parser.add_argument(
        "--sizes", nargs="*", choices=["1/5", "S", "L"], default=["1/5", "S"]
    )
    parser.add_argument("--instances", type=int, default=5, help="of each family and size")
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument(
        "--real", nargs="*", default=None, help="names of real files; none given: all 61"
    )
    parser.add_argument(
        "--condition",
        nargs="+",
        choices=conditions.CONDITIONS,
        help="measure real files alone, two at once, or beside eight busy processes (workers.bench.ilp.conditions)",
    )
    parser.add_argument(
        "--files",
        nargs="+",
        help="with --condition: names of real files, or paths; else a fixed 21",
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
        help="run nothing: tell what these output files say together",
    )
    given = parser.parse_args(argv)
    if given.condition:
        return conditions.main(given)
    if given.report:
        report.tell(*report.read(given.report), given.out)
        return 0
    seconds = max(1.0, given.seconds * given.scale)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    done = _earlier(given.out, seconds, given.seed)
    groups: report.Groups = {}
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as scratch:
        for group, name, file in _files(given, Path(scratch)):
            runs: dict[str, Run] = {}
            for method in given.methods:
                run = done.get((name, method)) or _in_own_process(
                    method, file, seconds, given.seed
                )
                runs[method] = run
                if (name, method) not in done:
                    line = {
                        "suite": "ilp",
                        "group": group,
                        "instance": name,
                        "method": method,
                        "limit": seconds,
                    }
                    with given.out.open("a") as out:
                        out.write(
                            json.dumps(
                                line | {"seed": given.seed, "machine": machine()} | run
                            )
                            + "\n"
                        )
            known = [r for (other, _), r in done.items() if other == name]
            report.measure(name, runs, known, seconds)
            groups.setdefault(group, {})[name] = runs
            for method, run in runs.items():
                print(report.line(name, method, run), flush=True)
    report.tell(groups, seconds, given.out)
    return 0


def _files(given: argparse.Namespace, folder: Path) -> list[tuple[str, str, Path]]:
    if given.real is not None:
        return [("real", path.name, path) for path in instances.fetch(list(given.real))]
    files = []
    for family in given.families:
        for size in given.sizes:
            for seed in range(given.first_seed, given.first_seed + given.instances):
                path = folder / f"{family}-{size.replace('/', '_')}-{seed}.mps"
                integer_programs.write_mps(
                    integer_programs.generate(family, size, seed), path
                )
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
    command = [
        sys.executable,
        "-m",
        "workers.bench.ilp.methods",
        method,
        str(file),
        str(seconds),
        str(seed),
    ]
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
    told: Run = json.loads(lines[-1])
    told["peak_bytes"] = memory.peak_bytes
    told["trace"] = [(round(at, 3), objective) for at, objective in told["trace"]]
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
