"""`python -m workers.bench compile`: held-out packages, loadable bytes against true -Oz (minsize), methods one after another.

The corpus comes from `python -m workers.corpus`; only modules of held-out packages are used: nothing was tuned on them.
The modules are compiled alone and not run here: the service runs a program before an answer counts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from search.domains.compile.search.coreset import LISTS, load_coreset
from solvers.llvm.engine import Engine
from solvers.llvm.types import Metric
from workers.bench.compile.methods import METHODS, Task
from workers.bench.compile.report import print_report
from workers.bench.stats import machine
from workers.corpus.build import read

BUDGETS = (1, 10, 60)

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = ((),)


def main(argv: list[str]) -> int:
    """Run the protocol, or the one that is named first: `executed`, `audit`, `overhead`, `speed`."""
    if argv and argv[0] == "executed":
        from workers.bench.compile import executed

        return executed.main(argv[1:])
    if argv and argv[0] == "overhead":
        from workers.bench.compile import overhead

        return overhead.main(argv[1:])
    if argv and argv[0] == "speed":
        from workers.bench.compile import speed

        return speed.main(argv[1:])
    if argv and argv[0] == "audit":
        from workers.bench.compile import audit

        return audit.main(argv[1:])
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench compile", description=__doc__
    )
    parser.add_argument("--corpus", type=Path, default=Path("bench-results/train/compile"))
    parser.add_argument(
        "--methods",
        nargs="*",
        choices=list(METHODS),
        default=[m for m in METHODS if m != "without-policy"],
    )
    parser.add_argument(
        "--metric", type=Metric, choices=list(Metric), default=Metric.LOADABLE_BYTES
    )
    parser.add_argument("--budgets", nargs="*", type=int, default=list(BUDGETS))
    parser.add_argument(
        "--packages", nargs="*", default=None, help="none given: every held-out one"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the modules")
    parser.add_argument(
        "--most-instructions", type=int, default=5000, help="larger modules are left out"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results") / "compile.jsonl")
    given = parser.parse_args(argv)
    modules = [
        row
        for row in read(given.corpus)
        if row["split"] == "heldout" and row["set"] == "debian"
    ]
    modules = [
        row for row in modules if given.packages is None or row["package"] in given.packages
    ]
    modules = [
        row
        for row in modules
        if int(str(row["ir_instructions"])) <= given.most_instructions
    ]
    if not modules:
        print(
            f"no held-out module in {given.corpus}; make the corpus first: python -m workers.corpus",
            file=sys.stderr,
        )
        return 2
    modules = modules[:: max(1, round(1 / given.scale))]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    lines = _earlier(given.out, given.seed, given.metric)
    done = {(line["module"], line["method"], line["pipelines"]) for line in lines}
    for number, row in enumerate(modules):
        name = f"{row['package']}/{row['name']}"
        # An oracle has no budget: one line.
        wanted = [
            (m, b)
            for m in given.methods
            for b in (given.budgets if m != "oracle" else [len(load_coreset(given.metric))])
        ]
        left = [
            (method, budget)
            for method, budget in wanted
            if (row["name"], method, budget) not in done
        ]
        if not left:
            continue
        bitcode = (given.corpus / "modules" / f"{str(row['sha'])[:16]}.bc").read_bytes()
        with Engine(bitcode) as engine:
            task = Task.of(engine, given.metric)
            fresh = [_run(task, row, method, budget, given.seed) for method, budget in left]
        lines += fresh
        with given.out.open("a") as out:
            out.writelines(
                json.dumps(line | {"machine": machine()}) + "\n" for line in fresh
            )
        print(f"{number + 1} of {len(modules)}: {name}", file=sys.stderr, flush=True)
    print_report(lines, given.metric.value, LISTS[given.metric])
    return 0


def _earlier(out: Path, seed: int, metric: Metric) -> list[dict[str, Any]]:
    """Lines of the same seed and metric that the file has: a measurement that broke off goes on where it was."""
    found = (
        [json.loads(line) for line in out.read_text().splitlines()] if out.is_file() else []
    )
    return [
        line
        for line in found
        if line["seed"] == seed and line.get("metric") == metric.value
    ]


def _run(
    task: Task, row: dict[str, object], method: str, budget: int, seed: int
) -> dict[str, Any]:
    began = time.monotonic()
    best = METHODS[method](task, budget, seed)
    assert best.sizes is not None
    assert task.oz.sizes is not None
    return {
        "suite": "compile",
        "package": row["package"],
        "module": row["name"],
        "instructions": row["ir_instructions"],
        "method": method,
        "metric": task.metric.value,
        "pipelines": budget,
        "seed": seed,
        "seconds": round(time.monotonic() - began, 3),
        "oz": {
            "loadable": task.oz.sizes.loadable_bytes,
            "code": task.oz.sizes.code_bytes,
            "ir": task.oz.sizes.ir_instructions,
        },
        "best": {
            "loadable": best.sizes.loadable_bytes,
            "code": best.sizes.code_bytes,
            "ir": best.sizes.ir_instructions,
        },
        "llvm": task.engine.installed.build_id,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
